//! What the venue trades and how much it lets us ask: `exchangeInfo` in the engine's integers.
//!
//! Invariant: a rule that is no whole number of ticks, lots or atoms is refused, never rounded.
//! A tick or a lot finer than an atom is refused by the symbol's name.

use std::collections::BTreeMap;

use sapphire_core::amounts::Atoms;
use sapphire_core::decimal::parse_atoms;
use sapphire_core::instrument::{Asset, Instrument, InstrumentId};
use serde::Deserialize;

use super::errors::GatewayError;
use super::rest::{Http, encoded};
use super::weights::{RateLimit, Reported};

/// A symbol of the venue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolRules {
    /// The venue's name, such as `BTCUSDT`.
    pub name: String,
    /// Its rules; `base` and `quote` index [`VenueRules::assets`].
    pub instrument: Instrument,
}

/// What the venue trades and how much it lets us ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VenueRules {
    /// By instrument index, in the order asked for.
    pub symbols: Vec<SymbolRules>,
    /// Names by asset index, in order of appearance (base, quote, base of the next symbol, and so on), then those that
    /// fees may be taken in beside them.
    pub assets: Vec<String>,
    /// Its limits.
    pub limits: Vec<RateLimit>,
    /// The venue's clock when it said so.
    pub market_ns: i64,
}

impl VenueRules {
    /// The instruments, by index.
    pub fn instruments(&self) -> Vec<Instrument> {
        self.symbols.iter().map(|symbol| symbol.instrument).collect()
    }

    /// An instrument by the venue's name.
    pub fn instrument(&self, name: &str) -> Option<InstrumentId> {
        self.symbols.iter().position(|symbol| symbol.name == name).map(|index| InstrumentId(index as u16))
    }

    /// A symbol by its index.
    pub fn symbol(&self, instrument: InstrumentId) -> Option<&SymbolRules> {
        self.symbols.get(instrument.0 as usize)
    }

    /// Follows an asset beside those of the symbols, such as the coin that fees are taken in.
    pub fn track_asset(&mut self, name: &str) {
        index_of(name, &mut self.assets);
    }

    /// An asset by its name.
    pub fn asset(&self, name: &str) -> Option<Asset> {
        self.assets.iter().position(|asset| asset == name).map(|index| Asset(index as u16))
    }
}

/// Rules of symbols, given as `BTC/USDT` or `BTCUSDT`. Asked before anything else, without a key.
///
/// # Errors
/// [`GatewayError::Unlisted`] for a symbol that the venue does not have; others see [`GatewayError`].
pub fn exchange_info(rest_url: &str, symbols: &[String]) -> Result<VenueRules, GatewayError> {
    let names: Vec<String> = symbols.iter().map(|symbol| symbol.replace('/', "")).collect();
    let list = names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(",");
    let http = Http::new(rest_url)?;
    let query = format!("symbols={}", encoded(&format!("[{list}]")));
    let answer = http.get("its rules (exchangeInfo)", "/api/v3/exchangeInfo", &query);
    let answer = answer.and_then(|reply| reply.read::<Info>("its rules (exchangeInfo)", &http.base));
    match answer {
        Err(GatewayError::Refused { code: -1121, .. }) => Err(GatewayError::Unlisted { symbol: symbols.join(", ") }),
        answer => answer.and_then(|info| rules(&names, &info)),
    }
}

/// The answer of `exchangeInfo`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    server_time: i64,
    rate_limits: Vec<Reported>,
    symbols: Vec<Listing>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listing {
    symbol: String,
    base_asset: String,
    quote_asset: String,
    filters: Vec<Filter>,
}

/// A rule of a symbol: those that we know have some of these fields.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    filter_type: String,
    #[serde(flatten)]
    fields: BTreeMap<String, serde_json::Value>,
}

fn rules(names: &[String], info: &Info) -> Result<VenueRules, GatewayError> {
    let mut assets: Vec<String> = Vec::new();
    let mut symbols = Vec::with_capacity(names.len());
    for name in names {
        let listing = info.symbols.iter().find(|listing| listing.symbol == *name);
        let listing = listing.ok_or_else(|| GatewayError::Unlisted { symbol: name.clone() })?;
        let [base, quote] = [&listing.base_asset, &listing.quote_asset].map(|asset| index_of(asset, &mut assets));
        symbols.push(SymbolRules { name: name.clone(), instrument: instrument(listing, base, quote)? });
    }
    let limits = info.rate_limits.iter().filter_map(Reported::limit).collect();
    Ok(VenueRules { symbols, assets, limits, market_ns: info.server_time.saturating_mul(1_000_000) })
}

fn index_of(name: &str, assets: &mut Vec<String>) -> Asset {
    let known = assets.iter().position(|asset| asset == name);
    let index = known.unwrap_or_else(|| {
        assets.push(name.to_owned());
        assets.len() - 1
    });
    Asset(index as u16)
}

fn instrument(listing: &Listing, base: Asset, quote: Asset) -> Result<Instrument, GatewayError> {
    let field = |kinds: &[&str], name: &str| field(listing, kinds, name);
    let (price, lot, notional) = (["PRICE_FILTER"], ["LOT_SIZE"], ["NOTIONAL", "MIN_NOTIONAL"]);
    let tick_atoms = field(&price, "tickSize")?;
    let lot_atoms = field(&lot, "stepSize")?;
    let narrow = |atoms: Atoms, what: &str| {
        let unfit = |_| unfit(listing, &format!("{what} of at most {} atoms", i64::MAX), &atoms.to_string());
        i64::try_from(atoms).map_err(unfit)
    };
    let (tick_atoms, lot_atoms) = (narrow(tick_atoms, "a tickSize")?, narrow(lot_atoms, "a stepSize")?);
    let steps = |atoms: Atoms, step: i64, what: &str| match Atoms::from(step) {
        step @ 1.. if atoms % step == 0 => narrow(atoms / step, what),
        step => {
            Err(unfit(listing, &format!("{what} that is a whole number of steps"), &format!("{atoms} / {step} atoms")))
        }
    };
    // Zero is the venue's word for "no bound".
    let highest = match field(&price, "maxPrice")? {
        0 => i64::MAX / tick_atoms.max(1),
        atoms => steps(atoms, tick_atoms, "a highest price")?,
    };
    let instrument = Instrument {
        base,
        quote,
        tick_atoms,
        lot_atoms,
        min_lots: steps(field(&lot, "minQty")?, lot_atoms, "a smallest quantity")?.max(1),
        max_lots: steps(field(&lot, "maxQty")?, lot_atoms, "a largest quantity")?,
        min_ticks: steps(field(&price, "minPrice")?, tick_atoms, "a lowest price")?.max(1),
        max_ticks: highest,
        min_notional_atoms: field(&notional, "minNotional")?,
    };
    instrument.fault().map_or(Ok(instrument), |fault| Err(unfit(listing, "rules that can be traded under", &fault)))
}

fn field(listing: &Listing, kinds: &[&str], name: &str) -> Result<Atoms, GatewayError> {
    let filter = listing.filters.iter().find(|filter| kinds.contains(&filter.filter_type.as_str()));
    let text = filter.and_then(|filter| filter.fields.get(name)).and_then(serde_json::Value::as_str);
    let text = text.ok_or_else(|| unfit(listing, &format!("{name} in {}", kinds[0]), "none"))?;
    parse_atoms(text)
        .map_err(|error| unfit(listing, &format!("{name} in whole atoms of 1e-8"), &format!("{text}: {error}")))
}

fn unfit(listing: &Listing, expected: &str, got: &str) -> GatewayError {
    GatewayError::unreadable(format!("{expected} for {}", listing.symbol), got)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::weights::LimitKind;

    fn info(tick: &str, max_qty: &str) -> Info {
        let text = format!(
            r#"{{"timezone":"UTC","serverTime":1709251200000,"rateLimits":[
                {{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":6000}},
                {{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":100}},
                {{"rateLimitType":"RAW_REQUESTS","interval":"MINUTE","intervalNum":5,"limit":61000}}],
              "symbols":[{{"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT","filters":[
                {{"filterType":"PRICE_FILTER","minPrice":"0.01000000","maxPrice":"1000000.00000000",
                  "tickSize":"{tick}"}},
                {{"filterType":"LOT_SIZE","minQty":"0.00001000","maxQty":"{max_qty}","stepSize":"0.00001000"}},
                {{"filterType":"ICEBERG_PARTS","limit":10}},
                {{"filterType":"NOTIONAL","minNotional":"5.00000000","applyMinToMarket":true,"avgPriceMins":5}}]}}]}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn the_venues_rules_become_integers() {
        let rules = rules(&["BTCUSDT".into()], &info("0.01000000", "9000.00000000")).unwrap();
        assert_eq!(rules.assets, ["BTC", "USDT"]);
        let expected = Instrument {
            base: Asset(0),
            quote: Asset(1),
            tick_atoms: 1_000_000,
            lot_atoms: 1_000,
            min_lots: 1,
            max_lots: 900_000_000,
            min_ticks: 1,
            max_ticks: 100_000_000,
            min_notional_atoms: 500_000_000,
        };
        assert_eq!(rules.instruments(), [expected]);
        assert_eq!(rules.market_ns, 1_709_251_200_000_000_000);
        let kinds: Vec<_> = rules.limits.iter().map(|limit| (limit.kind, limit.interval_ns, limit.limit)).collect();
        assert_eq!(kinds, [(LimitKind::Weight, 60_000_000_000, 6_000), (LimitKind::Orders, 10_000_000_000, 100)]);
        assert_eq!((rules.instrument("BTCUSDT"), rules.asset("ETH")), (Some(InstrumentId(0)), None));
    }

    #[test]
    fn what_is_no_whole_number_is_refused() {
        for (tick, max_qty, word) in [
            ("0.000000001", "9000", "tickSize"),
            ("0.01", "9000.000001", "largest quantity"),
            ("0", "9000", "highest price"),
        ] {
            let error = rules(&["BTCUSDT".into()], &info(tick, max_qty)).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
        let error = rules(&["ETHUSDT".into()], &info("0.01", "9000")).unwrap_err();
        assert_eq!(error, GatewayError::Unlisted { symbol: "ETHUSDT".into() });
    }
}
