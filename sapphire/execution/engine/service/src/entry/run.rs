//! What a run of the engine is made of, by name.
//!
//! Invariant: two equal configurations have one digest, and an engine under one repeats what an engine under the other
//! did. Names become indices in the order in which they stand here.

use std::collections::BTreeMap;

use sapphire_core::amounts::Atoms;
use sapphire_core::engine::{BadConfig, Config, Execution, FeeSide};
use sapphire_core::instrument::{Asset, Instrument, InstrumentId};
use sapphire_core::risk::{LimitSet, Limits};
use serde::{Deserialize, Serialize};

/// Everything that decides beside the events. Another one begins another run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// The engine that decides, [`RunConfig::ENGINE`]: another version begins another run.
    pub engine: String,
    /// Name of the account.
    pub account: String,
    /// Its tag in order ids.
    pub account_tag: u16,
    /// `paper` or `live`.
    pub stage: String,
    /// Length of a bar, such as `5m`.
    pub interval: String,
    /// The asset that cash is in.
    pub quote: String,
    /// Names of the assets by index: the quote, every base, and what fees may be taken in.
    pub assets: Vec<String>,
    /// What is traded, by index.
    pub instruments: Vec<Listing>,
    /// Slots for releases.
    pub releases: u16,
    /// Taker fee, 1e-8.
    pub fee_rate: i64,
    /// What it is taken in.
    pub fee_side: FeeSide,
    /// How targets are worked.
    pub execution: Execution,
    /// The gate's numbers.
    pub limits: LimitRules,
}

/// An instrument and the venue's rules for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    /// Its name, such as `BTC/USDT`.
    pub symbol: String,
    /// What is bought and sold.
    pub base: String,
    /// Quote atoms that one tick adds to the price of one whole base unit.
    pub tick_atoms: i64,
    /// Base atoms in one lot.
    pub lot_atoms: i64,
    /// Smallest order, lots.
    pub min_lots: i64,
    /// Largest order, lots.
    pub max_lots: i64,
    /// Lowest price, ticks.
    pub min_ticks: i64,
    /// Highest price, ticks.
    pub max_ticks: i64,
    /// Smallest order, quote atoms.
    pub min_notional_atoms: Atoms,
}

/// The gate's numbers by name. One that is not named sets no limit; collar and age of the reference have defaults; a
/// name that is not known is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitRules {
    /// Furthest price from the middle of the reference, basis points.
    pub collar_bps: i64,
    /// Oldest reference that counts as fresh, market time.
    pub max_reference_age_ns: i64,
    /// Of every symbol that has none of its own.
    pub symbol: LimitSet,
    /// Of single symbols.
    pub symbols: BTreeMap<String, LimitSet>,
    /// Of every release; its own limits can only tighten them.
    pub strategy: LimitSet,
    /// Of the account.
    pub account: LimitSet,
    /// Largest fall of equity below the day's start, basis points.
    pub max_daily_loss_bps: Option<i64>,
}

impl Default for LimitRules {
    /// [`Limits::open`].
    fn default() -> Self {
        let open = Limits::open(0, 0);
        Self {
            collar_bps: open.collar_bps,
            max_reference_age_ns: open.max_reference_age_ns,
            symbol: LimitSet::default(),
            symbols: BTreeMap::new(),
            strategy: LimitSet::default(),
            account: open.account,
            max_daily_loss_bps: open.max_daily_loss_bps,
        }
    }
}

impl RunConfig {
    /// Name and version of the engine in this binary.
    pub const ENGINE: &str = concat!("sapphire-core ", env!("CARGO_PKG_VERSION"));

    /// What the engine is made of.
    ///
    /// # Errors
    /// [`BadConfig`] names an asset, a symbol or a number that cannot be meant.
    pub fn engine_config(&self) -> Result<Config, BadConfig> {
        if self.engine != Self::ENGINE {
            let (expected, got) = (Self::ENGINE, &self.engine);
            return Err(BadConfig(format!("engine: expected {expected}, got {got}; replay it with that engine")));
        }
        let instruments = self.instruments.iter().map(|listing| self.rules(listing)).collect::<Result<_, _>>()?;
        Ok(Config {
            instruments,
            quote: self.asset(&self.quote)?,
            assets: self.assets.len(),
            releases: usize::from(self.releases),
            account_tag: self.account_tag,
            fee_rate: self.fee_rate,
            fee_side: self.fee_side,
            execution: self.execution,
            limits: self.limits()?,
        })
    }

    /// BLAKE3 of the configuration: what the header of each file carries.
    pub fn digest(&self) -> [u8; 32] {
        // Plain data with text keys always has a text.
        *blake3::hash(&serde_json::to_vec(self).unwrap_or_default()).as_bytes()
    }

    /// Name of an instrument; none for an index that is not traded.
    pub fn symbol(&self, instrument: InstrumentId) -> Option<&str> {
        self.instruments.get(usize::from(instrument.0)).map(|listing| listing.symbol.as_str())
    }

    /// Name of an asset; none for an index that is not known.
    pub fn asset_name(&self, asset: Asset) -> Option<&str> {
        self.assets.get(usize::from(asset.0)).map(String::as_str)
    }

    /// Index of a symbol; none for one that is not traded.
    pub fn instrument(&self, symbol: &str) -> Option<InstrumentId> {
        let place = self.instruments.iter().position(|listing| listing.symbol == symbol)?;
        u16::try_from(place).ok().map(InstrumentId)
    }

    /// Index of an asset.
    ///
    /// # Errors
    /// [`BadConfig`] for one that is not listed.
    pub fn asset(&self, name: &str) -> Result<Asset, BadConfig> {
        let place = self.assets.iter().position(|asset| asset == name);
        let place = place.and_then(|place| u16::try_from(place).ok());
        place.map(Asset).ok_or_else(|| BadConfig(format!("assets: expected {name} among them, got {:?}", self.assets)))
    }

    fn rules(&self, listing: &Listing) -> Result<Instrument, BadConfig> {
        Ok(Instrument {
            base: self.asset(&listing.base)?,
            quote: self.asset(&self.quote)?,
            tick_atoms: listing.tick_atoms,
            lot_atoms: listing.lot_atoms,
            min_lots: listing.min_lots,
            max_lots: listing.max_lots,
            min_ticks: listing.min_ticks,
            max_ticks: listing.max_ticks,
            min_notional_atoms: listing.min_notional_atoms,
        })
    }

    fn limits(&self) -> Result<Limits, BadConfig> {
        let rules = &self.limits;
        if let Some(unknown) = rules.symbols.keys().find(|symbol| self.instrument(symbol).is_none()) {
            return Err(BadConfig(format!("limits: symbols: expected symbols that are traded, got {unknown}")));
        }
        let of = |listing: &Listing| *rules.symbols.get(&listing.symbol).unwrap_or(&rules.symbol);
        Ok(Limits {
            collar_bps: rules.collar_bps,
            max_reference_age_ns: rules.max_reference_age_ns,
            symbols: self.instruments.iter().map(of).collect(),
            strategies: vec![rules.strategy; usize::from(self.releases)],
            account: rules.account,
            max_daily_loss_bps: rules.max_daily_loss_bps,
        })
    }
}
