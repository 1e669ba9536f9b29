//! What the exchange lists: names and decimals, for the edge.

use rustc_hash::FxHashMap;
use sapphire_core::instrument::{Asset, Instrument, InstrumentId};

/// Where the market's path comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarketSource {
    /// Made by the exchange from its seed.
    Generated,
    /// Candles from files.
    Recorded,
}

impl MarketSource {
    /// The word that plots, gates and reports show.
    pub fn name(self) -> &'static str {
        match self {
            Self::Generated => "generated",
            Self::Recorded => "recorded",
        }
    }
}

/// An asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetInfo {
    /// `USDT`.
    pub name: String,
}

/// A symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolInfo {
    /// `BTCUSDT`.
    pub symbol: String,
    /// `BTC`.
    pub base_asset: String,
    /// `USDT`.
    pub quote_asset: String,
    /// Venue rules, in ticks, lots and atoms.
    pub instrument: Instrument,
    /// Decimals of a price that is a whole number of ticks.
    pub price_decimals: u8,
    /// Decimals of a quantity that is a whole number of lots.
    pub quantity_decimals: u8,
    /// Before it the market is closed, UTC nanoseconds.
    pub listed_ns: i64,
    /// From it on the market is closed: the symbol is delisted, or trades by rules that this market was not begun with.
    /// None for recorded candles that end when no others go on.
    pub ends_ns: Option<i64>,
}

impl SymbolInfo {
    /// Whether its market is open.
    #[must_use]
    pub fn is_open(&self, now_ns: i64) -> bool {
        now_ns >= self.listed_ns && self.ends_ns.is_none_or(|ends_ns| now_ns < ends_ns)
    }
}

/// All that is listed. Does not change while the exchange runs.
#[derive(Clone, Debug)]
pub struct Catalog {
    assets: Vec<AssetInfo>,
    symbols: Vec<SymbolInfo>,
    by_symbol: FxHashMap<String, InstrumentId>,
    source: MarketSource,
    is_lockstep: bool,
}

impl Catalog {
    pub(crate) fn new(assets: Vec<AssetInfo>, symbols: Vec<SymbolInfo>, source: MarketSource, lockstep: bool) -> Self {
        let by_symbol =
            symbols.iter().enumerate().map(|(index, info)| (info.symbol.clone(), InstrumentId(index as u16))).collect();
        Self { assets, symbols, by_symbol, source, is_lockstep: lockstep }
    }

    /// The same symbols with other rules.
    pub(crate) fn with_symbols(&self, symbols: Vec<SymbolInfo>) -> Self {
        Self::new(self.assets.clone(), symbols, self.source, self.is_lockstep)
    }

    /// The instrument of an exact symbol (`BTCUSDT`).
    pub fn instrument(&self, symbol: &str) -> Option<InstrumentId> {
        self.by_symbol.get(symbol).copied()
    }

    /// All symbols; the place of one is its [`InstrumentId`].
    pub fn symbols(&self) -> &[SymbolInfo] {
        &self.symbols
    }

    /// A symbol.
    pub fn symbol(&self, instrument: InstrumentId) -> Option<&SymbolInfo> {
        self.symbols.get(instrument.0 as usize)
    }

    /// All instruments.
    pub fn instruments(&self) -> impl Iterator<Item = InstrumentId> {
        (0..self.symbols.len()).map(|index| InstrumentId(index as u16))
    }

    /// All assets; the place of one is its [`Asset`].
    pub fn assets(&self) -> &[AssetInfo] {
        &self.assets
    }

    /// Name of an asset; empty for one that is not listed.
    pub fn asset_name(&self, asset: Asset) -> &str {
        self.assets.get(asset.0 as usize).map_or("", |info| info.name.as_str())
    }

    /// The asset of a name.
    pub fn asset(&self, name: &str) -> Option<Asset> {
        self.assets.iter().position(|info| info.name == name).map(|index| Asset(index as u16))
    }

    /// Where the market's path comes from.
    pub fn source(&self) -> MarketSource {
        self.source
    }

    /// Market time moves only at the control plane's word.
    pub fn is_lockstep(&self) -> bool {
        self.is_lockstep
    }
}
