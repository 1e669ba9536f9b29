//! The venue's REST questions that we ask, one function each: charged, signed, timed and read.
//!
//! Invariant: every question is counted against the venue's limits before it is asked, and the venue's own count
//! corrects ours after it. In lock-step a question is asked whatever our count says, because time stands until it is
//! answered.

use std::sync::Arc;

use sapphire_core::engine::Balances;
use sapphire_core::instrument::InstrumentId;
use sapphire_core::orders::ClientOrderId;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::answers::{AccountRow, BookTickerRow, NO_SUCH_ORDER, OrderRow, TradeRow, lots, quotes};
use super::errors::GatewayError;
use super::reconcile::VenueOrder;
use super::rest::{Reply, SignedHttp, Verb, drain, encoded};
use super::rules::VenueRules;
use super::shared::Shared;
use super::weights::Purpose;
use crate::events::Quote;

/// Rows of trades in one answer: the venue's most.
const PAGE: usize = 1_000;
/// The venue's code for a timestamp outside its window.
const OUTSIDE_WINDOW: i32 = -1021;
const NS_PER_MS: i64 = 1_000_000;
const NS_PER_S: i64 = 1_000_000_000;

/// Asks.
#[derive(Debug)]
pub(super) struct Questions {
    pub(super) shared: Arc<Shared>,
    http: SignedHttp,
    pub(super) rules: VenueRules,
}

/// What the venue's clock said, and when it was asked and answered (monotonic).
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_field_names, reason = "two clocks, and every unit in its name")]
pub(super) struct TimeAnswer {
    pub(super) market_ns: i64,
    pub(super) sent_ns: i64,
    pub(super) received_ns: i64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServerTime {
    server_time: i64,
}

/// The venue's clock, asked without any count.
pub(super) fn server_time_ns(reply: &Reply, venue: &str) -> Result<i64, GatewayError> {
    let time: ServerTime = reply.read(TIME, venue)?;
    Ok(time.server_time.saturating_mul(NS_PER_MS))
}

/// What [`server_time_ns`] asks.
pub(super) const TIME: &str = "its time";

impl Questions {
    pub(super) fn new(shared: Arc<Shared>, http: SignedHttp, rules: VenueRules) -> Self {
        Self { shared, http, rules }
    }

    /// The venue's clock.
    pub(super) fn time(&self) -> Result<TimeAnswer, GatewayError> {
        self.charge(Purpose::Question, 1, TIME)?;
        let sent_ns = self.shared.clock.now_ns();
        let reply = self.http.open.get(TIME, "/api/v3/time", "")?;
        let received_ns = self.shared.clock.now_ns();
        self.note(&reply);
        let market_ns = server_time_ns(&reply, &self.http.open.base)?;
        self.shared.time.note(market_ns, received_ns);
        Ok(TimeAnswer { market_ns, sent_ns, received_ns })
    }

    /// The best prices of all symbols, as of a market time not after the question.
    pub(super) fn quotes(&self, as_of_ns: i64) -> Result<Vec<Quote>, GatewayError> {
        const WHAT: &str = "the best prices";
        self.charge(Purpose::Question, 4, WHAT)?;
        let names: Vec<String> = self.rules.symbols.iter().map(|symbol| format!("\"{}\"", symbol.name)).collect();
        let query = format!("symbols={}", encoded(&format!("[{}]", names.join(","))));
        let reply = self.http.open.get(WHAT, "/api/v3/ticker/bookTicker", &query)?;
        self.note(&reply);
        let rows: Vec<BookTickerRow> = reply.read(WHAT, &self.http.open.base)?;
        quotes(&self.rules, &rows, as_of_ns)
    }

    /// An order by our own name; none when the venue does not have it.
    pub(super) fn order(
        &self,
        order: ClientOrderId,
        instrument: InstrumentId,
    ) -> Result<Option<OrderRow>, GatewayError> {
        let query = format!("symbol={}&origClientOrderId={order}", self.symbol(instrument)?);
        match self.signed(Verb::Get, "an order", 4, "/api/v3/order", &query) {
            Ok(row) => Ok(Some(row)),
            Err(GatewayError::Refused { code: NO_SUCH_ORDER, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All trades of an order, by their ids.
    pub(super) fn trades(&self, order_id: u64, instrument: InstrumentId) -> Result<Vec<TradeRow>, GatewayError> {
        let symbol = self.symbol(instrument)?;
        let mut trades: Vec<TradeRow> = Vec::new();
        loop {
            let from = trades.last().map_or(String::new(), |last| format!("&fromId={}", last.id + 1));
            let query = format!("symbol={symbol}&orderId={order_id}{from}&limit={PAGE}");
            let page: Vec<TradeRow> = self.signed(Verb::Get, "an order's trades", 5, "/api/v3/myTrades", &query)?;
            let is_last = page.len() < PAGE;
            trades.extend(page);
            trades.sort_unstable_by_key(|trade| trade.id);
            trades.dedup_by_key(|trade| trade.id);
            if is_last {
                return Ok(trades);
            }
        }
    }

    /// Our orders that the venue shows open, of all symbols.
    pub(super) fn open_orders(&self) -> Result<Vec<VenueOrder>, GatewayError> {
        let mut open = Vec::new();
        for (index, symbol) in self.rules.symbols.iter().enumerate() {
            let query = format!("symbol={}", symbol.name);
            let rows: Vec<OrderRow> = self.signed(Verb::Get, "the open orders", 6, "/api/v3/openOrders", &query)?;
            let instrument = InstrumentId(index as u16);
            for row in rows.iter().filter(|row| row.symbol == symbol.name) {
                let Ok(order) = row.client_order_id.parse() else { continue };
                let executed_lots = lots(&self.rules, instrument, &row.executed_qty)?;
                open.push(VenueOrder { order, instrument, executed_lots });
            }
        }
        Ok(open)
    }

    /// Takes an order out; whether it was there.
    pub(super) fn cancel(&self, order: ClientOrderId, instrument: InstrumentId) -> Result<bool, GatewayError> {
        let query = format!("symbol={}&origClientOrderId={order}", self.symbol(instrument)?);
        match self.signed::<serde_json::Value>(Verb::Delete, "the end of an order", 1, "/api/v3/order", &query) {
            Ok(_) => Ok(true),
            Err(GatewayError::Refused { status: 400, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What the account holds.
    pub(super) fn balances(&self, as_of_ns: i64) -> Result<Balances, GatewayError> {
        let account: AccountRow = self.signed(Verb::Get, "the account", 20, "/api/v3/account", "")?;
        account.balances(&self.rules, as_of_ns)
    }

    /// Whether every request of a dead connection has been heard; none when nobody can say.
    pub(super) fn drained(&self) -> Result<Option<bool>, GatewayError> {
        let control = self.shared.settings.control.as_ref();
        control.map(|control| drain(control, &self.http.open)).transpose()
    }

    /// Market time after which a request of that time is refused by the venue, with the second that a request may be
    /// ahead.
    pub(super) fn last_chance_ns(&self, made_ns: i64) -> i64 {
        made_ns.saturating_add(i64::from(self.shared.settings.window_ms()) * NS_PER_MS + NS_PER_S)
    }

    fn symbol(&self, instrument: InstrumentId) -> Result<&str, GatewayError> {
        let symbol = self.rules.symbol(instrument).map(|symbol| symbol.name.as_str());
        symbol.ok_or_else(|| GatewayError::unreadable("an instrument that we trade", format!("{instrument:?}")))
    }

    /// A signed question. A timestamp that the venue finds wrong is corrected once by its clock.
    fn signed<T: DeserializeOwned>(
        &self,
        verb: Verb,
        what: &'static str,
        weight: u32,
        path: &str,
        query: &str,
    ) -> Result<T, GatewayError> {
        let purpose = if verb == Verb::Delete { Purpose::Cancel } else { Purpose::Question };
        let ask = || {
            self.charge(purpose, weight, what)?;
            let timestamp_ms = self.shared.time.timestamp_ms(self.shared.market_ns());
            let reply = self.http.ask(verb, what, path, query, timestamp_ms)?;
            self.note(&reply);
            reply.read(what, &self.http.open.base)
        };
        match ask() {
            Err(GatewayError::Refused { code: OUTSIDE_WINDOW, .. }) => {
                self.time()?;
                ask()
            }
            answer => answer,
        }
    }

    fn charge(&self, purpose: Purpose, weight: u32, what: &'static str) -> Result<(), GatewayError> {
        let now_ns = self.shared.market_ns();
        let mut weights = self.shared.weights();
        if self.shared.is_lockstep() {
            weights.count_anyway(purpose, weight, now_ns);
            return Ok(());
        }
        weights.charge(purpose, weight, now_ns).map_err(|_| GatewayError::Limited { what })
    }

    fn note(&self, reply: &Reply) {
        let now_ns = self.shared.market_ns();
        let mut weights = self.shared.weights();
        if let Some(used) = reply.used_weight {
            weights.correct_minute(used);
        }
        if let Some(seconds) = reply.retry_after_s.filter(|_| reply.is_limited()) {
            weights.block_until(now_ns.saturating_add(i64::from(seconds) * NS_PER_S));
        }
    }
}
