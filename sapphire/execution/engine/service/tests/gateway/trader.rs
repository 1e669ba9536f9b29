//! A trader loop that does what it is asked: it approves orders by the real gate, and keeps every event.

use std::time::{Duration, Instant};

use sapphire_core::instrument::{InstrumentId, Side};
use sapphire_core::orders::{ClientOrderId, Order, ReleaseId, ReportKind};
use sapphire_core::risk::{AccountView, Approved, Bbo, Exposure, Gate, Limits};
use sapphire_core::venue::TimeInForce;
use sapphire_service::clock::{ClockMode, Monotonic};
use sapphire_service::events::{Quote, TraderEvent, Venue};
use sapphire_service::gateway::{
    Channels, Gateway, GatewayError, Identity, NotSent, Stamps, VenueRules, VenueSettings, exchange_info,
};
use sapphire_service::mailbox::Mailbox;

use crate::venue::{Exchange, SECOND_NS, START_NS, SYMBOLS};

pub const BTC: InstrumentId = InstrumentId(0);
pub const TAG: u16 = 1;
const LONG: Duration = Duration::from_secs(20);

pub struct Trader {
    pub gateway: Gateway,
    mailbox: Mailbox,
    pub clock: Monotonic,
    pub rules: VenueRules,
    pub epoch: u32,
    pub sequence: u64,
    pub market_ns: i64,
    /// Events of the account before anybody listened.
    unheard: u64,
    /// Every event, in the order in which it was taken.
    pub events: Vec<Venue>,
    /// Orders that a lost connection left without an answer.
    pub unanswered: Vec<ClientOrderId>,
}

impl Trader {
    pub fn open(exchange: &Exchange, clock_mode: ClockMode) -> Self {
        let mut trader = Self::with(&exchange.settings(clock_mode), 1).unwrap();
        trader.connected();
        if clock_mode == ClockMode::Lockstep {
            trader.unheard = exchange.advance_to(START_NS);
        }
        trader
    }

    pub fn with(settings: &VenueSettings, epoch: u32) -> Result<Self, GatewayError> {
        let rules = exchange_info(&settings.rest_url, &SYMBOLS.map(str::to_owned))?;
        let (mailbox, channels) = Mailbox::new(3);
        let [user_data, rest_client, market_data]: [_; 3] = channels.try_into().unwrap();
        let clock = Monotonic::new();
        let identity = Identity { account_tag: TAG, epoch };
        let gateway =
            Gateway::start(settings, &rules, identity, Channels { user_data, rest_client, market_data }, clock)?;
        let (events, unanswered) = (Vec::new(), Vec::new());
        Ok(Self {
            gateway,
            mailbox,
            clock,
            rules,
            epoch,
            sequence: 0,
            market_ns: START_NS,
            unheard: 0,
            events,
            unanswered,
        })
    }

    pub fn connected(&mut self) {
        self.wait("a connection", |event| matches!(event, Venue::Connected { .. }));
        assert!(self.gateway.is_connected());
    }

    /// Takes events until one fits; that one.
    pub fn wait(&mut self, what: &str, fits: impl Fn(&Venue) -> bool) -> Venue {
        let deadline = Instant::now() + LONG;
        loop {
            let event = self.take(deadline.saturating_duration_since(Instant::now()));
            let event = event.unwrap_or_else(|| panic!("no {what} in time; so far {:#?}", self.events));
            if fits(&event) {
                return event;
            }
        }
    }

    pub fn take(&mut self, timeout: Duration) -> Option<Venue> {
        let event = match self.mailbox.next(timeout)? {
            TraderEvent::Venue(event) => event,
            other => panic!("not the venue's: {other:?}"),
        };
        self.unanswered.extend_from_slice(self.gateway.heard(&event));
        self.events.push(event.clone());
        Some(event)
    }

    /// Takes events until every request is answered.
    pub fn settle(&mut self) {
        let deadline = Instant::now() + LONG;
        while self.gateway.outstanding() > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(self.take(left).is_some(), "{} unanswered: {:#?}", self.gateway.outstanding(), self.events);
        }
    }

    /// Lets market time pass, and reads the user stream as far as it reaches then.
    pub fn advance(&mut self, exchange: &Exchange, seconds: i64) {
        self.market_ns += seconds * SECOND_NS;
        let last = exchange.advance_to(self.market_ns);
        let deadline = Instant::now() + LONG;
        let mut read = self.events_read();
        while read < last {
            let event = self.take(deadline.saturating_duration_since(Instant::now()));
            assert!(event.is_some(), "{read} of {last} events: {:#?}", self.events);
            read = self.events_read();
        }
    }

    /// The account's event number as far as the stream was read: an event without one counts one.
    fn events_read(&self) -> u64 {
        self.events.iter().fold(self.unheard, |read, event| match event {
            Venue::Report { event: Some(event), .. } | Venue::Other { event: Some(event) } => *event,
            Venue::Other { event: None } => read + 1,
            _ => read,
        })
    }

    pub fn approve(&mut self, side: Side, ticks: i64, lots: i64, time_in_force: TimeInForce) -> Approved {
        self.sequence += 1;
        let order = Order {
            id: ClientOrderId { account: TAG, epoch: self.epoch, sequence: self.sequence },
            instrument: BTC,
            release: ReleaseId(0),
            bar_close_ns: 0,
            side,
            ticks,
            lots,
            time_in_force,
        };
        // What the venue checks is left to the venue.
        let mut instruments = self.rules.instruments();
        for instrument in &mut instruments {
            instrument.min_notional_atoms = 0;
        }
        let account = AccountView {
            now_ns: 0,
            sellable_lots: i64::MAX,
            free_cash_atoms: i64::MAX.into(),
            held_atoms: 0,
            cash_atoms: 0,
            equity_atoms: Ok(0),
            symbol: Exposure::NONE,
            strategy: Exposure::NONE,
            account: Exposure::NONE,
            own_opposite_ticks: None,
        };
        let reference = Bbo { bid_ticks: ticks, ask_ticks: ticks, market_ns: 0 };
        let mut gate = Gate::new(instruments, 0, &Limits::open(SYMBOLS.len(), 1));
        gate.check(order, &account, Some(reference)).unwrap()
    }

    pub fn place(&mut self, side: Side, ticks: i64, lots: i64, time_in_force: TimeInForce) -> ClientOrderId {
        self.try_place(side, ticks, lots, time_in_force).unwrap()
    }

    pub fn try_place(
        &mut self,
        side: Side,
        ticks: i64,
        lots: i64,
        time_in_force: TimeInForce,
    ) -> Result<ClientOrderId, NotSent> {
        let approved = self.approve(side, ticks, lots, time_in_force);
        let (market_ns, mut stamps) = (self.market_ns, Stamps::default());
        self.gateway.place(&approved, market_ns, &mut stamps)?;
        assert!(0 < stamps.framed_ns && stamps.framed_ns <= stamps.written_ns);
        Ok(approved.order().id)
    }

    /// The best prices of bitcoin.
    pub fn quote(&mut self) -> Quote {
        self.gateway.ask_references(self.market_ns).unwrap();
        let answer = self.wait("references", |event| matches!(event, Venue::References { asked: true, .. }));
        let Venue::References { quotes, .. } = answer else { unreachable!() };
        assert_eq!(quotes.len(), SYMBOLS.len());
        quotes[0]
    }

    /// The reports about an order, in order; from the stream and from answers.
    pub fn reports(&self, order: ClientOrderId) -> Vec<ReportKind> {
        let kind = |event: &Venue| match event {
            Venue::Report { report, .. } if report.order == order => Some(report.kind),
            _ => None,
        };
        self.events.iter().filter_map(kind).collect()
    }

    /// Asks for an order and gives its reports.
    pub fn query(&mut self, order: ClientOrderId, made_ns: i64) -> Vec<ReportKind> {
        let before = self.reports(order).len();
        self.gateway.query(order, BTC, made_ns).unwrap();
        self.wait("an answer", |event| *event == Venue::Answered { order });
        self.reports(order).split_off(before)
    }
}
