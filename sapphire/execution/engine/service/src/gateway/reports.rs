//! What comes on the socket, as events: the user stream's events and the answers to places and cancels.
//!
//! Invariants: each event of the account gives exactly one event (so that events can be counted against the account's
//! event number), and each answer ends in exactly one closing event. An event about an order of ours that cannot be
//! taken as it is (a number that does not fit, a kind that is not known) is never dropped: the order is unanswered, so
//! it is asked for.

use std::borrow::Cow;

use sapphire_core::orders::{ClientOrderId, Fill, Report, ReportKind};
use serde::Deserialize;

use super::answers::{NEW_ORDER_REJECTED, atoms, fee_asset, lots, ticks};
use super::errors::GatewayError;
use super::requests::RequestId;
use super::rules::VenueRules;
use super::weights::Reported;
use crate::events::Venue;

const NS_PER_MS: i64 = 1_000_000;

/// A frame of the venue: an answer, or an event.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Frame<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(default)]
    status: Option<u16>,
    #[serde(borrow, default)]
    error: Option<Refusal<'a>>,
    #[serde(default)]
    pub(super) rate_limits: Vec<Reported>,
    #[serde(borrow, default)]
    event: Option<Event<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Refusal<'a> {
    pub(super) code: i32,
    #[serde(borrow)]
    pub(super) msg: Cow<'a, str>,
    #[serde(default)]
    data: Option<Retry>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Retry {
    #[serde(default)]
    retry_after: Option<i64>,
}

/// The fields of the events that we read; all of them stand in `executionReport`.
#[derive(Debug, Deserialize)]
#[expect(non_snake_case, reason = "the venue's field names differ by case alone")]
struct Event<'a> {
    #[serde(borrow)]
    e: Cow<'a, str>,
    #[serde(default)]
    E: i64,
    #[serde(borrow, default)]
    s: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    c: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    C: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    x: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    r: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    l: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    z: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    L: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    n: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    N: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    Y: Option<Cow<'a, str>>,
    #[serde(default)]
    t: Option<i64>,
    #[serde(default)]
    i: Option<u64>,
    #[serde(default)]
    I: Option<u64>,
}

/// What a frame was about, beside its words.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Its words say it all.
    Plain,
    /// The subscription's answer: its refusal, if it was refused.
    Subscribed(Option<(i32, String)>),
    /// The venue ends the stream or the connection.
    Ending(&'static str),
    /// The venue told us to stop; until when (market time), where it said so.
    Limited(Option<i64>),
    /// It told us that there were too many orders.
    TooManyOrders,
}

/// When a frame came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Came {
    /// Market time, for what does not carry its own.
    pub(super) market_ns: i64,
    /// Monotonic.
    pub(super) received_ns: i64,
}

/// Reads what the venue sends to one account.
#[derive(Debug)]
pub(super) struct Reports {
    pub(super) rules: VenueRules,
    pub(super) account_tag: u16,
}

/// HTTP status of a client that asked too much, and of one that is banned.
const LIMITED: [u16; 2] = [429, 418];
/// Code of too many new orders.
const TOO_MANY_ORDERS: i32 = -1015;
/// Codes after which nobody knows what became of a request: internal error, disconnected, unexpected response,
/// time-out.
const UNKNOWN_OUTCOME: [i32; 4] = [-1000, -1001, -1006, -1007];

impl Reports {
    /// Appends a frame's events to `events`.
    pub(super) fn take(&self, frame: &Frame<'_>, came: Came, events: &mut Vec<Venue>) -> Kind {
        if let Some(event) = &frame.event {
            return self.event(event, came.received_ns, events);
        }
        match frame.id.as_deref().and_then(RequestId::parse) {
            Some(RequestId::Subscribe) => {
                let refusal = frame.error.as_ref().map(|refusal| (refusal.code, refusal.msg.clone().into_owned()));
                let answered = frame.status == Some(200) || refusal.is_some();
                Kind::Subscribed(if answered { refusal } else { Some((0, "an answer without a status".to_owned())) })
            }
            Some(RequestId::Place(order)) => answer(frame, came, events, Asked::Place(order)),
            Some(RequestId::Cancel(order)) => answer(frame, came, events, Asked::Cancel(order)),
            None => {
                tracing::warn!(id = ?frame.id, status = ?frame.status, "an answer to no request of ours");
                limited(frame)
            }
        }
    }

    fn event(&self, event: &Event<'_>, received_ns: i64, events: &mut Vec<Venue>) -> Kind {
        let number = event.I;
        match &*event.e {
            "executionReport" => {}
            "eventStreamTerminated" => return Kind::Ending("the venue ended the user stream"),
            "serverShutdown" => return Kind::Ending("the venue shuts down"),
            _ => {
                events.push(Venue::Other { event: number });
                return Kind::Plain;
            }
        }
        let Some(order) = self.ours(event) else {
            events.push(Venue::Other { event: number });
            return Kind::Plain;
        };
        let kind = self.report_kind(event).unwrap_or_else(|error| {
            tracing::error!(%order, %error, "a report cannot be taken as it is; the order is asked for");
            ReportKind::Unanswered
        });
        let market_ns = event.E.saturating_mul(NS_PER_MS);
        events.push(Venue::Report { report: Report { order, kind }, market_ns, received_ns, event: number });
        Kind::Plain
    }

    /// The order of ours that an event is about. A cancel's own id stands in `c`, the order's in `C` then.
    fn ours(&self, event: &Event<'_>) -> Option<ClientOrderId> {
        let original = event.C.as_deref().filter(|id| !id.is_empty());
        let order: ClientOrderId = original.or(event.c.as_deref())?.parse().ok()?;
        (order.account == self.account_tag).then_some(order)
    }

    fn report_kind(&self, event: &Event<'_>) -> Result<ReportKind, GatewayError> {
        let symbol = event.s.as_deref().unwrap_or_default();
        let unknown = || GatewayError::unreadable("a symbol that we trade", symbol);
        let instrument = self.rules.instrument(symbol).ok_or_else(unknown)?;
        let executed_lots = || lots(&self.rules, instrument, event.z.as_deref().unwrap_or_default());
        match event.x.as_deref().unwrap_or_default() {
            "NEW" => {
                let no_number = || GatewayError::unreadable("the venue's number of an order", "none");
                Ok(ReportKind::Accepted { venue_order: event.i.ok_or_else(no_number)? })
            }
            "CANCELED" => Ok(ReportKind::Canceled { executed_lots: executed_lots()? }),
            "EXPIRED" | "TRADE_PREVENTION" => Ok(ReportKind::Expired { executed_lots: executed_lots()? }),
            "REJECTED" => {
                tracing::warn!(reason = event.r.as_deref(), symbol, "the venue refused an order on its way");
                Ok(ReportKind::Rejected { venue_code: NEW_ORDER_REJECTED })
            }
            "TRADE" => {
                let text = |field: &Option<Cow<'_, str>>| field.as_deref().unwrap_or_default().to_owned();
                let no_trade = || GatewayError::unreadable("a trade's number", format!("{:?}", event.t));
                let fill = Fill {
                    trade: event.t.and_then(|trade| u64::try_from(trade).ok()).ok_or_else(no_trade)?,
                    ticks: ticks(&self.rules, instrument, &text(&event.L))?,
                    lots: lots(&self.rules, instrument, &text(&event.l))?,
                    quote_atoms: atoms(&text(&event.Y))?,
                    fee_asset: fee_asset(&self.rules, &text(&event.N), &text(&event.n))?,
                    fee_atoms: atoms(&text(&event.n))?,
                };
                Ok(ReportKind::Trade { fill, executed_lots: executed_lots()? })
            }
            other => Err(GatewayError::unreadable("an execution that we know", other)),
        }
    }
}

#[derive(Clone, Copy)]
enum Asked {
    Place(ClientOrderId),
    Cancel(ClientOrderId),
}

/// The events of an answer to a place or cancel.
fn answer(frame: &Frame<'_>, came: Came, events: &mut Vec<Venue>, asked: Asked) -> Kind {
    let Came { market_ns, received_ns } = came;
    let report = |order, kind| Venue::Report { report: Report { order, kind }, market_ns, received_ns, event: None };
    let refusal = frame.error.as_ref();
    let is_taken = frame.status == Some(200) && refusal.is_none();
    match (asked, refusal) {
        (Asked::Place(order), _) if is_taken => events.push(Venue::Acknowledged { order, received_ns }),
        (Asked::Cancel(order), _) if is_taken => events.push(Venue::Answered { order }),
        (Asked::Place(order), Some(refusal)) if is_final(frame, refusal) => {
            tracing::warn!(%order, code = refusal.code, message = %refusal.msg, "the venue refused an order");
            events.push(report(order, ReportKind::Rejected { venue_code: refusal.code }));
        }
        (Asked::Cancel(order), Some(refusal)) if is_final(frame, refusal) => {
            tracing::warn!(%order, code = refusal.code, message = %refusal.msg, "the venue refused a cancel");
            events.push(report(order, ReportKind::CancelRejected { venue_code: refusal.code }));
            events.push(Venue::Answered { order });
        }
        (Asked::Place(order), _) => events.push(report(order, ReportKind::Unanswered)),
        (Asked::Cancel(order), _) => {
            events.push(report(order, ReportKind::Unanswered));
            events.push(Venue::Answered { order });
        }
    }
    limited(frame)
}

/// After this refusal the request has done nothing and never will.
fn is_final(frame: &Frame<'_>, refusal: &Refusal<'_>) -> bool {
    let known = frame.status.is_some_and(|status| (400..500).contains(&status));
    // An order of this id is there already: what became of it has to be asked.
    known && !UNKNOWN_OUTCOME.contains(&refusal.code) && refusal.msg != "Duplicate order sent."
}

fn limited(frame: &Frame<'_>) -> Kind {
    let Some(refusal) = &frame.error else { return Kind::Plain };
    if !frame.status.is_some_and(|status| LIMITED.contains(&status)) {
        return Kind::Plain;
    }
    if refusal.code == TOO_MANY_ORDERS {
        return Kind::TooManyOrders;
    }
    Kind::Limited(refusal.data.and_then(|retry| retry.retry_after).map(|ms| ms.saturating_mul(NS_PER_MS)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::answers::tests::rules;
    use sapphire_core::instrument::Asset;

    const ORDER: ClientOrderId = ClientOrderId { account: 1, epoch: 2, sequence: 3 };

    fn take(text: &str) -> (Kind, Vec<Venue>) {
        let reports = Reports { rules: rules(), account_tag: 1 };
        let mut events = Vec::new();
        let kind =
            reports.take(&serde_json::from_str(text).unwrap(), Came { market_ns: 40, received_ns: 5 }, &mut events);
        (kind, events)
    }

    fn execution(fields: &str) -> String {
        format!(
            r#"{{"subscriptionId":0,"event":{{"e":"executionReport","E":60,"s":"BTCUSDT","S":"BUY","o":"LIMIT",
            "q":"0.01",
            "L":"64000.50","l":"0.00001","n":"0.00000001","N":"BTC","Y":"0.640005","z":"0.00002","r":"NONE","i":4,
            "T":60,"w":false,"m":false,"O":59,"u":1,"B":[],{fields}}}}}"#
        )
    }

    fn report(kind: ReportKind, event: Option<u64>, market_ns: i64) -> Venue {
        Venue::Report { report: Report { order: ORDER, kind }, market_ns, received_ns: 5, event }
    }

    #[test]
    fn executions_become_reports() {
        let ours = format!(r#""c":"{ORDER}","C":"""#);
        let cancel = format!(r#""c":"x","C":"{ORDER}""#);
        let fill =
            Fill { trade: 8, ticks: 6_400_050, lots: 1, quote_atoms: 64_000_500, fee_asset: Asset(0), fee_atoms: 1 };
        for (fields, kind) in [
            (format!(r#"{ours},"x":"NEW","t":-1,"I":7"#), ReportKind::Accepted { venue_order: 4 }),
            (format!(r#"{ours},"x":"TRADE","t":8,"I":7"#), ReportKind::Trade { fill, executed_lots: 2 }),
            (format!(r#"{ours},"x":"EXPIRED","t":-1,"I":7"#), ReportKind::Expired { executed_lots: 2 }),
            (format!(r#"{ours},"x":"REJECTED","t":-1,"I":7"#), ReportKind::Rejected { venue_code: -2010 }),
            (format!(r#"{cancel},"x":"CANCELED","t":-1,"I":7"#), ReportKind::Canceled { executed_lots: 2 }),
            (format!(r#"{ours},"x":"REPLACED","t":-1,"I":7"#), ReportKind::Unanswered),
            (format!(r#"{ours},"x":"TRADE","t":-1,"I":7"#), ReportKind::Unanswered),
            (
                format!(r#"{ours},"x":"TRADE","t":8,"I":7"#).replace("\"x\"", "\"N\":\"BNB\",\"x\""),
                ReportKind::Trade { fill: Fill { fee_asset: Asset::UNLISTED, ..fill }, executed_lots: 2 },
            ),
        ] {
            // The second `N` stands where the first did.
            let text = if fields.contains("BNB") {
                execution(&fields).replacen(r#""N":"BTC","#, "", 1)
            } else {
                execution(&fields)
            };
            assert_eq!(take(&text), (Kind::Plain, vec![report(kind, Some(7), 60_000_000)]), "{fields}");
        }
    }

    #[test]
    fn what_is_not_ours_still_counts() {
        let other = Venue::Other { event: Some(7) };
        assert_eq!(take(&execution(r#""c":"web_1","C":"","x":"NEW","t":-1,"I":7"#)).1, std::slice::from_ref(&other));
        assert_eq!(take(&execution(r#""c":"sap-0002-00000002-3","C":"","x":"NEW","t":-1,"I":7"#)).1, [other]);
        let position = r#"{"subscriptionId":0,"event":
            {"e":"outboundAccountPosition","E":1,"u":1,"B":[{"a":"BTC","f":"1","l":"0"}]}}"#;
        assert_eq!(take(position).1, [Venue::Other { event: None }]);
        let ended = take(r#"{"subscriptionId":0,"event":{"e":"eventStreamTerminated","E":1}}"#);
        assert!(matches!(ended.0, Kind::Ending(_)) && ended.1.is_empty());
        assert!(matches!(take(r#"{"event":{"e":"serverShutdown","E":1}}"#).0, Kind::Ending(_)));
    }

    #[test]
    fn answers_say_whether_the_order_can_be_there() {
        let answered = |mark: &str, rest: &str| take(&format!(r#"{{"id":"{mark}{ORDER}",{rest}}}"#));
        let code = |status: u16, code: i32, msg: &str| {
            format!(r#""status":{status},"error":{{"code":{code},"msg":"{msg}"}},"rateLimits":[]"#)
        };
        let taken = r#""status":200,"result":{"orderId":4,"symbol":"BTCUSDT"}"#;
        assert_eq!(answered("p", taken), (Kind::Plain, vec![Venue::Acknowledged { order: ORDER, received_ns: 5 }]));
        assert_eq!(answered("c", taken), (Kind::Plain, vec![Venue::Answered { order: ORDER }]));
        let refused = report(ReportKind::Rejected { venue_code: -1013 }, None, 40);
        assert_eq!(answered("p", &code(400, -1013, "Filter failure: NOTIONAL")).1, [refused]);
        let unknown = report(ReportKind::Unanswered, None, 40);
        for (status, number, text) in [
            (503, -1001, "Internal error"),
            (500, -1000, ""),
            (400, -1007, "Timeout"),
            (400, -2010, "Duplicate order sent."),
        ] {
            assert_eq!(answered("p", &code(status, number, text)).1, std::slice::from_ref(&unknown), "{number}");
        }
        let cancel = answered("c", &code(400, -2011, "Unknown order sent."));
        let refused = report(ReportKind::CancelRejected { venue_code: -2011 }, None, 40);
        assert_eq!(cancel.1, [refused, Venue::Answered { order: ORDER }]);
    }

    #[test]
    fn limits_are_understood() {
        let limited = format!(
            r#"{{"id":"p{ORDER}","status":429,"error":
                {{"code":-1003,"msg":"Too much","data":{{"serverTime":1,"retryAfter":9}}}}}}"#
        );
        assert_eq!(take(&limited).0, Kind::Limited(Some(9_000_000)));
        let orders =
            format!(r#"{{"id":"p{ORDER}","status":429,"error":{{"code":-1015,"msg":"Too many new orders"}}}}"#);
        assert_eq!(take(&orders).0, Kind::TooManyOrders);
        let refused = take(r#"{"id":"subscribe","status":401,"error":{"code":-2015,"msg":"Invalid API-key"}}"#);
        assert_eq!(refused.0, Kind::Subscribed(Some((-2015, "Invalid API-key".into()))));
        assert_eq!(take(r#"{"id":"subscribe","status":200,"result":{"subscriptionId":0}}"#).0, Kind::Subscribed(None));
    }
}
