//! What REST answers, as reports.
//!
//! Invariants, property-tested: the reports of an order carry each of its trades once, with the quantity so far rising
//! to what is executed; an order that still travels gives none; a number that is no whole number of ticks, lots or
//! atoms is an error, never rounded.

use sapphire_core::amounts::Atoms;
use sapphire_core::decimal::parse_atoms;
use sapphire_core::engine::Balances;
use sapphire_core::instrument::{Asset, InstrumentId};
use sapphire_core::orders::{ClientOrderId, Fill, Report, ReportKind};
use serde::Deserialize;

use super::errors::GatewayError;
use super::rules::VenueRules;
use crate::events::Quote;

/// The venue's code for an order that it refused, where it names none.
pub(super) const NEW_ORDER_REJECTED: i32 = -2010;
/// The venue's code for an order that it does not have.
pub(super) const NO_SUCH_ORDER: i32 = -2013;

const NS_PER_MS: i64 = 1_000_000;

/// Whole ticks of a price.
pub(super) fn ticks(rules: &VenueRules, instrument: InstrumentId, text: &str) -> Result<i64, GatewayError> {
    steps(text, rules.symbol(instrument).map(|symbol| symbol.instrument.tick_atoms), "ticks")
}

/// Whole lots of a quantity.
pub(super) fn lots(rules: &VenueRules, instrument: InstrumentId, text: &str) -> Result<i64, GatewayError> {
    steps(text, rules.symbol(instrument).map(|symbol| symbol.instrument.lot_atoms), "lots")
}

/// Atoms of an amount.
pub(super) fn atoms(text: &str) -> Result<Atoms, GatewayError> {
    parse_atoms(text)
        .map_err(|error| GatewayError::unreadable("an amount in atoms of 1e-8", format!("{text}: {error}")))
}

fn steps(text: &str, step: Option<i64>, what: &str) -> Result<i64, GatewayError> {
    let value = atoms(text)?;
    match step {
        Some(step @ 1..) if value % Atoms::from(step) == 0 => i64::try_from(value / Atoms::from(step))
            .map_err(|_| GatewayError::unreadable(format!("{what} that 64 bits count"), text)),
        _ => Err(GatewayError::unreadable(format!("a whole number of {what}"), text)),
    }
}

/// A row of the order queries.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OrderRow {
    pub(super) symbol: String,
    pub(super) client_order_id: String,
    pub(super) executed_qty: String,
    pub(super) status: Status,
    pub(super) order_id: u64,
    #[serde(default)]
    pub(super) update_time: i64,
}

/// Where an order is, in the venue's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Status {
    PendingNew,
    New,
    PartiallyFilled,
    PendingCancel,
    Filled,
    Canceled,
    Rejected,
    Expired,
    ExpiredInMatch,
}

/// A row of `myTrades`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TradeRow {
    pub(super) id: u64,
    price: String,
    qty: String,
    quote_qty: String,
    commission: String,
    commission_asset: String,
    time: i64,
}

impl TradeRow {
    fn fill(&self, rules: &VenueRules, instrument: InstrumentId) -> Result<Fill, GatewayError> {
        Ok(Fill {
            trade: self.id,
            ticks: ticks(rules, instrument, &self.price)?,
            lots: lots(rules, instrument, &self.qty)?,
            quote_atoms: atoms(&self.quote_qty)?,
            fee_asset: fee_asset(rules, &self.commission_asset, &self.commission)?,
            fee_atoms: atoms(&self.commission)?,
        })
    }
}

/// The asset that a fee was taken in. One that was not known at the start is [`Asset::UNLISTED`]: the trade is booked
/// whole, and the fee, which came out of an asset that is not followed here, is written to the log.
pub(super) fn fee_asset(rules: &VenueRules, name: &str, fee: &str) -> Result<Asset, GatewayError> {
    match rules.asset(name) {
        Some(asset) => Ok(asset),
        None if name.is_empty() && atoms(fee)? != 0 => Err(GatewayError::unreadable("the asset of a fee", fee)),
        None => {
            if !name.is_empty() {
                tracing::error!(asset = name, fee, "a fee in an asset that is not followed; it is in no balance here");
            }
            Ok(Asset::UNLISTED)
        }
    }
}

/// Everything the venue says about an order, in the order in which it happened, each with its market time. `trades` are
/// by their ids.
pub(super) fn reports(
    rules: &VenueRules,
    order: ClientOrderId,
    instrument: InstrumentId,
    row: &OrderRow,
    trades: &[TradeRow],
) -> Result<Vec<(Report, i64)>, GatewayError> {
    let updated_ns = row.update_time.saturating_mul(NS_PER_MS);
    let mut emitted = Vec::with_capacity(trades.len() + 2);
    let mut emit = |kind, market_ns| emitted.push((Report { order, kind }, market_ns));
    match row.status {
        Status::PendingNew => return Ok(emitted),
        Status::Rejected => {
            emit(ReportKind::Rejected { venue_code: NEW_ORDER_REJECTED }, updated_ns);
            return Ok(emitted);
        }
        _ => {}
    }
    let first_ns = trades.first().map_or(updated_ns, |trade| trade.time.saturating_mul(NS_PER_MS));
    emit(ReportKind::Accepted { venue_order: row.order_id }, first_ns);
    let mut executed_lots = 0_i64;
    for trade in trades {
        let fill = trade.fill(rules, instrument)?;
        let sum = executed_lots.checked_add(fill.lots);
        executed_lots = sum.ok_or_else(|| GatewayError::unreadable("trades whose lots 64 bits count", &trade.qty))?;
        emit(ReportKind::Trade { fill, executed_lots }, trade.time.saturating_mul(NS_PER_MS));
    }
    // Trades were asked for after the order, so there may be more of them than it knew.
    let executed_lots = executed_lots.max(lots(rules, instrument, &row.executed_qty)?);
    match row.status {
        Status::Canceled => emit(ReportKind::Canceled { executed_lots }, updated_ns),
        Status::Expired | Status::ExpiredInMatch => emit(ReportKind::Expired { executed_lots }, updated_ns),
        _ => {}
    }
    Ok(emitted)
}

/// The answer of `account`.
#[derive(Debug, Deserialize)]
pub(super) struct AccountRow {
    balances: Vec<BalanceRow>,
}

#[derive(Debug, Deserialize)]
struct BalanceRow {
    asset: String,
    free: String,
    locked: String,
}

impl AccountRow {
    /// What is held of the assets that we know; of one that the venue does not name, nothing is held.
    pub(super) fn balances(&self, rules: &VenueRules, as_of_ns: i64) -> Result<Balances, GatewayError> {
        let mut holdings = Vec::with_capacity(rules.assets.len());
        for (index, name) in rules.assets.iter().enumerate() {
            let held = match self.balances.iter().find(|row| row.asset == *name) {
                Some(row) => atoms(&row.free)? + atoms(&row.locked)?,
                None => 0,
            };
            holdings.push((Asset(index as u16), held));
        }
        Ok(Balances { as_of_ns, holdings })
    }
}

/// A row of `ticker/bookTicker`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BookTickerRow {
    symbol: String,
    bid_price: String,
    ask_price: String,
}

/// Quotes of the symbols that have both a bid and an ask.
pub(super) fn quotes(rules: &VenueRules, rows: &[BookTickerRow], as_of_ns: i64) -> Result<Vec<Quote>, GatewayError> {
    let mut quotes = Vec::with_capacity(rows.len());
    for row in rows {
        let Some(instrument) = rules.instrument(&row.symbol) else { continue };
        quotes.extend(quote(rules, instrument, &row.bid_price, &row.ask_price, as_of_ns)?);
    }
    quotes.sort_unstable_by_key(|quote| quote.instrument);
    Ok(quotes)
}

/// A quote, when there is a price on both sides.
pub(super) fn quote(
    rules: &VenueRules,
    instrument: InstrumentId,
    bid: &str,
    ask: &str,
    as_of_ns: i64,
) -> Result<Option<Quote>, GatewayError> {
    let (bid_ticks, ask_ticks) = (ticks(rules, instrument, bid)?, ticks(rules, instrument, ask)?);
    let is_whole = bid_ticks > 0 && ask_ticks > 0;
    Ok(is_whole.then_some(Quote { instrument, bid_ticks, ask_ticks, as_of_ns }))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::gateway::rules::SymbolRules;
    use proptest::prelude::*;
    use sapphire_core::instrument::Instrument;

    pub(in crate::gateway) fn rules() -> VenueRules {
        let instrument = Instrument {
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
        VenueRules {
            symbols: vec![SymbolRules { name: "BTCUSDT".into(), instrument }],
            assets: vec!["BTC".into(), "USDT".into()],
            limits: Vec::new(),
            market_ns: 0,
        }
    }

    const ORDER: ClientOrderId = ClientOrderId { account: 1, epoch: 2, sequence: 3 };
    const BTC: InstrumentId = InstrumentId(0);

    fn row(status: Status, executed_qty: &str) -> OrderRow {
        let (symbol, client_order_id) = ("BTCUSDT".into(), ORDER.to_string());
        OrderRow { symbol, client_order_id, executed_qty: executed_qty.into(), status, order_id: 9, update_time: 70 }
    }

    fn trade(id: u64, lots: i64) -> TradeRow {
        let atoms = |atoms: i64| sapphire_core::decimal::atoms_text(atoms);
        TradeRow {
            id,
            price: "64000.50".into(),
            qty: atoms(lots * 1_000),
            quote_qty: atoms(lots * 64_000_500),
            commission: atoms(lots),
            commission_asset: "BTC".into(),
            time: 60,
        }
    }

    #[test]
    fn an_order_that_travels_gives_nothing_and_a_refused_one_its_refusal() {
        assert_eq!(reports(&rules(), ORDER, BTC, &row(Status::PendingNew, "0"), &[]).unwrap(), []);
        let refused = reports(&rules(), ORDER, BTC, &row(Status::Rejected, "0"), &[]).unwrap();
        assert_eq!(refused, [(Report { order: ORDER, kind: ReportKind::Rejected { venue_code: -2010 } }, 70_000_000)]);
    }

    #[test]
    fn what_is_no_whole_number_is_refused() {
        assert_eq!(ticks(&rules(), BTC, "64000.50000000").unwrap(), 6_400_050);
        assert!(ticks(&rules(), BTC, "64000.505").is_err());
        assert_eq!(lots(&rules(), BTC, "0.00001").unwrap(), 1);
        assert!(lots(&rules(), BTC, "0.000001").is_err());
        assert!(atoms("1e3").is_err());
        let nameless = TradeRow { commission_asset: String::new(), ..trade(1, 1) };
        assert!(reports(&rules(), ORDER, BTC, &row(Status::Filled, "0.00001"), &[nameless]).is_err());
        // More lots than 64 bits count are no quantity.
        assert!(lots(&rules(), BTC, "99999999999999999999").is_err());
    }

    #[test]
    fn a_fee_in_a_third_asset_is_a_fee() {
        let followed = VenueRules { assets: vec!["BTC".into(), "USDT".into(), "BNB".into()], ..rules() };
        for (rules, asset) in [(followed, Asset(2)), (rules(), Asset::UNLISTED)] {
            let burnt = TradeRow { commission_asset: "BNB".into(), ..trade(1, 1) };
            let emitted = reports(&rules, ORDER, BTC, &row(Status::Filled, "0.00001"), &[burnt]).unwrap();
            let ReportKind::Trade { fill, executed_lots: 1 } = emitted[1].0.kind else { panic!("{emitted:?}") };
            assert_eq!((fill.lots, fill.fee_asset, fill.fee_atoms), (1, asset, 1));
        }
    }

    #[test]
    fn balances_name_every_asset() {
        let account: AccountRow = serde_json::from_str(
            r#"{"balances":[{"asset":"USDT","free":"1.5","locked":"0.5"},{"asset":"XRP","free":"9","locked":"0"}]}"#,
        )
        .unwrap();
        let balances = account.balances(&rules(), 5).unwrap();
        assert_eq!(balances, Balances { as_of_ns: 5, holdings: vec![(Asset(0), 0), (Asset(1), 200_000_000)] });
    }

    #[test]
    fn a_book_with_one_side_is_no_quote() {
        let rows: Vec<BookTickerRow> = serde_json::from_str(
            r#"[{"symbol":"BTCUSDT","bidPrice":"1.00","bidQty":"1","askPrice":"0.00","askQty":"0"},
                {"symbol":"X","bidPrice":"","askPrice":""}]"#,
        )
        .unwrap();
        assert_eq!(quotes(&rules(), &rows, 5).unwrap(), []);
        let quote = quote(&rules(), BTC, "1.00", "1.01", 5).unwrap();
        assert_eq!(quote, Some(Quote { instrument: BTC, bid_ticks: 100, ask_ticks: 101, as_of_ns: 5 }));
    }

    proptest! {
        #[test]
        fn trades_are_told_once_and_add_up(parts in prop::collection::vec(1_i64..1_000, 0..20), lag in 0_usize..5) {
            let trades: Vec<TradeRow> = parts.iter().enumerate().map(|(id, lots)| trade(id as u64, *lots)).collect();
            // The order was asked for first, so it may know fewer trades.
            let known: i64 = parts[..parts.len().saturating_sub(lag)].iter().sum();
            let row = row(Status::Expired, &sapphire_core::decimal::atoms_text(known * 1_000));
            let emitted = reports(&rules(), ORDER, BTC, &row, &trades).unwrap();
            prop_assert_eq!(emitted.len(), parts.len() + 2);
            prop_assert_eq!(emitted[0].0.kind, ReportKind::Accepted { venue_order: 9 });
            let mut sum = 0;
            for (lots, (report, _)) in parts.iter().zip(&emitted[1..]) {
                sum += lots;
                let ReportKind::Trade { fill, executed_lots } = report.kind else { panic!("{report:?}") };
                prop_assert_eq!((fill.lots, executed_lots), (*lots, sum));
            }
            prop_assert_eq!(emitted[parts.len() + 1].0.kind, ReportKind::Expired { executed_lots: sum });
        }
    }
}
