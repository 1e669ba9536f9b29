//! What the settings and the venue together say: the way to the venue, its fees, and the run's configuration.
//!
//! Invariant: nothing here is opened or kept; the same answers give the same configuration.

use sapphire_core::engine::FeeSide;

use crate::clock::ClockMode;
use crate::entry::{Listing, RunConfig};
use crate::gateway::{DrainControl, GatewayError, RECV_WINDOW_MS, Secret, VenueRules, VenueSettings, commission};
use crate::settings::{Credentials, RELEASE_SLOTS, Settings};

pub(super) fn venue_settings(settings: &Settings, credentials: &Credentials, clock_mode: ClockMode) -> VenueSettings {
    let control = settings.venue.control_url.as_ref().zip(credentials.venue_control_token.as_ref());
    VenueSettings {
        rest_url: settings.venue.rest_url.clone(),
        ws_url: settings.venue.ws_url.clone(),
        api_key: Secret::new(&credentials.api_key),
        api_secret: Secret::new(&credentials.api_secret),
        clock_mode,
        control: control.map(|(url, token)| DrainControl { url: url.clone(), token: Secret::new(token) }),
        recv_window_ms: RECV_WINDOW_MS,
    }
}

/// The highest taker fee among the symbols, so that what is held back for a fee is enough for each, and what it is
/// taken in. The asset that fees can be taken in beside those traded is followed with them.
pub(super) fn taker_fees(venue: &VenueSettings, rules: &mut VenueRules) -> Result<(i64, FeeSide), GatewayError> {
    let fees = rules.symbols.iter().map(|symbol| commission(venue, &symbol.name));
    let fees = fees.collect::<Result<Vec<_>, _>>()?;
    for asset in fees.iter().filter_map(|fees| fees.other_asset.as_deref()) {
        rules.track_asset(asset);
    }
    let is_in_other = !fees.is_empty() && fees.iter().all(|fees| fees.is_in_other);
    let side = if is_in_other { FeeSide::Other } else { FeeSide::Received };
    Ok((fees.iter().map(|fees| fees.taker).max().unwrap_or_default(), side))
}

pub(super) fn run_config(settings: &Settings, rules: &VenueRules, (fee_rate, fee_side): (i64, FeeSide)) -> RunConfig {
    let listings = settings.symbols.iter().zip(&rules.symbols).map(|(symbol, listed)| {
        let instrument = &listed.instrument;
        Listing {
            symbol: symbol.clone(),
            base: rules.assets.get(usize::from(instrument.base.0)).cloned().unwrap_or_default(),
            tick_atoms: instrument.tick_atoms,
            lot_atoms: instrument.lot_atoms,
            min_lots: instrument.min_lots,
            max_lots: instrument.max_lots,
            min_ticks: instrument.min_ticks,
            max_ticks: instrument.max_ticks,
            min_notional_atoms: instrument.min_notional_atoms,
        }
    });
    RunConfig {
        engine: RunConfig::ENGINE.to_owned(),
        account: settings.account.clone(),
        account_tag: settings.account_tag,
        stage: settings.stage.as_str().to_owned(),
        interval: settings.interval.clone(),
        quote: settings.quote.clone(),
        assets: rules.assets.clone(),
        instruments: listings.collect(),
        releases: RELEASE_SLOTS,
        fee_rate,
        fee_side,
        execution: settings.execution,
        limits: settings.limits.clone(),
    }
}
