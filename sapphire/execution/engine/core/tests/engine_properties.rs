//! What holds whatever the line to the venue does to the reports.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

mod rough_venue;

use proptest::prelude::*;
use rough_venue::{FEE_RATE, Fate, MID_TICKS, RoughVenue, USDT, config, instrument};
use sapphire_core::engine::{Balances, Body, Engine, Event, Output, Outputs, Signal};
use sapphire_core::instrument::{Asset, InstrumentId, Side, fee};
use sapphire_core::orders::{ClientOrderId, Order, ReleaseId, Report, ReportKind};
use sapphire_core::positions::Ledger;
use sapphire_core::risk::Command;

const T: i64 = 1_704_067_200_000_000_000;
const MINUTE_NS: i64 = 60_000_000_000;
const SECOND_NS: i64 = 1_000_000_000;
const CASH_ATOMS: i128 = 10_000_000_000_000;
const SYMBOLS: u16 = 2;

/// The books of somebody who saw every trade at once, in the order in which it happened.
fn books_of(venue: &RoughVenue) -> Ledger {
    let instruments: Vec<_> = (0..SYMBOLS).map(instrument).collect();
    let mut ledger = Ledger::new(&instruments, USDT, 3);
    for (order, fill) in &venue.trades {
        ledger.apply(&instruments[usize::from(order.instrument.0)], order.instrument, order.side, fill);
    }
    ledger
}

/// One step of a run.
#[derive(Clone, Debug)]
enum Act {
    /// A bar closes with these targets.
    Bar([Option<i64>; SYMBOLS as usize]),
    /// One of the unread reports is read, and kept to be read again if so.
    Read(usize, bool),
    /// The answer about a live order does not come.
    Silence(usize),
    /// Time passes.
    Wait(i64),
    /// An operator speaks.
    Say(Command),
    /// The process starts anew.
    Restart,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let target = || prop_oneof![2 => (0_i64..40_000).prop_map(Some), 1 => Just(Some(0)), 1 => Just(None)];
    let command = prop_oneof![
        Just(Command::Halt),
        Just(Command::Reduce),
        Just(Command::Resume),
        Just(Command::Flatten),
        (0..SYMBOLS).prop_map(|index| Command::Close(InstrumentId(index))),
    ];
    let act = prop_oneof![
        3 => (target(), target()).prop_map(|(btc, eth)| Act::Bar([btc, eth])),
        12 => (any::<usize>(), prop::bool::weighted(0.2)).prop_map(|(place, again)| Act::Read(place, again)),
        1 => any::<usize>().prop_map(Act::Silence),
        4 => (1_i64..20).prop_map(|seconds| Act::Wait(seconds * SECOND_NS)),
        1 => command.prop_map(Act::Say),
        1 => Just(Act::Restart),
    ];
    prop::collection::vec(act, 1..120)
}

fn fates() -> impl Strategy<Value = Vec<(Fate, bool)>> {
    let fate = prop_oneof![
        1 => Just(Fate::Lost),
        1 => Just(Fate::Refused),
        8 => (0_u8..=130, 1_u8..=3).prop_map(|(hundredths, trades)| Fate::Traded(hundredths, trades)),
    ];
    prop::collection::vec((fate, any::<bool>()), 1..40)
}

/// A run of the engine against the rough venue, with every promise checked on the way.
struct Run {
    engine: Engine,
    venue: RoughVenue,
    events: Vec<Event>,
    digests: Vec<[u8; 32]>,
    now_ns: i64,
    epoch: u32,
    halted: bool,
    /// By a command, until one resumes: nothing of it is bought, whatever the signals say.
    closed: [bool; SYMBOLS as usize],
    targets: [Option<i64>; SYMBOLS as usize],
    sent: Vec<Order>,
    fates: Vec<(Fate, bool)>,
}

impl Run {
    fn new(fates: Vec<(Fate, bool)>) -> Self {
        let mut run = Self {
            engine: Engine::new(config(SYMBOLS)).unwrap(),
            venue: RoughVenue::new(CASH_ATOMS, 3),
            events: Vec::new(),
            digests: Vec::new(),
            now_ns: T,
            epoch: 1,
            halted: false,
            closed: [false; SYMBOLS as usize],
            targets: [None; SYMBOLS as usize],
            sent: Vec::new(),
            fates,
        };
        run.say(Body::Epoch { epoch: 1 });
        run.say(Body::Verdict { release: ReleaseId(0), ok: true });
        run.say(Body::Balances(Balances { as_of_ns: T, holdings: vec![(USDT, CASH_ATOMS)] }));
        run
    }

    fn say(&mut self, body: Body) {
        let event = Event { market_ns: self.now_ns, body };
        let mut out = Outputs::default();
        self.engine.step(&event, &mut out);
        self.events.push(event);
        self.digests.push(out.digest());
        for output in out.drain() {
            match output {
                Output::Place(approved) => self.place(*approved.order()),
                Output::Cancel { order, .. } => self.venue.cancel(order),
                Output::Query { order, .. } => {
                    let (_, conclusive) = self.fates[order.sequence as usize % self.fates.len()];
                    self.venue.query(order, conclusive);
                }
                _ => {}
            }
        }
    }

    fn place(&mut self, order: Order) {
        assert!(!self.halted, "halted, and sent {order:?}");
        assert!(self.sent.iter().all(|sent| sent.id != order.id), "sent twice: {order:?}");
        let rules = instrument(order.instrument.0);
        let held = self.venue.held_atoms(order.instrument);
        let target = rules.base_atoms(self.targets[order.instrument.0 as usize].unwrap_or(0));
        let moved = rules.base_atoms(order.lots);
        match order.side {
            Side::Sell => {
                assert!(held - moved >= target, "sells below the target: {held} - {moved} < {target}");
                assert!(moved <= held, "sells more than is held");
            }
            Side::Buy => {
                assert!(!self.closed[order.instrument.0 as usize], "closed, and buys: {order:?}");
                let arrives = moved - fee(moved, FEE_RATE);
                assert!(
                    held + arrives < target + i128::from(rules.lot_atoms),
                    "buys a lot too much: {held} + {arrives} > {target}"
                );
                let selling = (0..SYMBOLS).any(|index| self.engine.in_flight_lots(InstrumentId(index)) < 0);
                assert!(!selling, "buys before the sells are final");
                assert!(rules.notional(order.ticks, order.lots) <= self.venue.balances[0], "buys without cash");
            }
        }
        self.sent.push(order);
        let (fate, _) = self.fates[self.sent.len() % self.fates.len()];
        self.venue.place(&order, fate);
        assert!(self.venue.balances.iter().all(|atoms| *atoms >= 0), "{:?}", self.venue.balances);
    }

    fn quote(&mut self) {
        for index in 0..SYMBOLS {
            let instrument = InstrumentId(index);
            let as_of_ns = self.now_ns;
            self.say(Body::Bbo { instrument, bid_ticks: MID_TICKS - 100, ask_ticks: MID_TICKS + 100, as_of_ns });
        }
    }

    fn wait(&mut self, span_ns: i64) {
        self.now_ns += span_ns;
        self.quote();
        self.say(Body::Timer);
    }

    fn bar(&mut self, targets: [Option<i64>; SYMBOLS as usize]) {
        self.now_ns += MINUTE_NS;
        self.quote();
        for (index, target) in targets.into_iter().enumerate() {
            let Some(target_lots) = target else { continue };
            let (release, bar_close_ns) = (ReleaseId(0), self.now_ns);
            let instrument = InstrumentId(index as u16);
            let time_to_live_ns = 10 * MINUTE_NS;
            self.say(Body::Signal(Signal { release, instrument, target_lots, bar_close_ns, time_to_live_ns }));
            if !self.halted && !self.closed[index] {
                self.targets[index] = Some(target_lots);
            }
        }
        self.say(Body::EndOfBar { bar_close_ns: self.now_ns });
    }

    fn read(&mut self, place: usize, again: bool) {
        if self.venue.unread.is_empty() {
            return;
        }
        let place = place % self.venue.unread.len();
        let report = if again { self.venue.unread[place] } else { self.venue.unread.swap_remove(place) };
        self.say(Body::Report(report));
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Bar(targets) => self.bar(*targets),
            Act::Read(place, again) => self.read(*place, *again),
            Act::Silence(place) if !self.sent.is_empty() => {
                let order = self.sent[place % self.sent.len()].id;
                self.say(Body::Report(Report { order, kind: ReportKind::Unanswered }));
            }
            Act::Silence(_) => {}
            Act::Wait(span_ns) => self.wait(*span_ns),
            Act::Say(command) => {
                self.command(*command);
            }
            Act::Restart => {
                self.epoch += 1;
                self.say(Body::Epoch { epoch: self.epoch });
            }
        }
    }

    fn command(&mut self, command: Command) {
        self.halted = if let Command::Close(_) = command { self.halted } else { command == Command::Halt };
        for index in 0..SYMBOLS {
            let is_closed = command == Command::Flatten || command == Command::Close(InstrumentId(index));
            self.closed[index as usize] = (self.closed[index as usize] || is_closed) && command != Command::Resume;
            if is_closed {
                self.targets[index as usize] = Some(0);
            }
        }
        self.say(Body::Command(command));
    }

    /// The line is repaired: every order is asked for, and everything is read.
    fn settle(&mut self) {
        self.halted = true;
        self.say(Body::Command(Command::Halt));
        let ids: Vec<ClientOrderId> = self.sent.iter().map(|order| order.id).collect();
        for id in ids {
            self.say(Body::Report(Report { order: id, kind: ReportKind::Unanswered }));
            self.venue.query(id, true);
        }
        while !self.venue.unread.is_empty() {
            self.read(0, false);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// The promises of [`Run::place`] on the way; and in the end the engine holds what the venue says, to the atom, at
    /// the cost and with the gains of somebody who saw every trade at once.
    #[test]
    fn however_it_is_told_the_engine_ends_where_the_venue_is(acts in acts(), fates in fates()) {
        let mut run = Run::new(fates);
        for act in &acts {
            run.act(act);
        }
        run.settle();
        prop_assert!(run.engine.is_quiet());
        prop_assert_eq!(run.engine.ledger().cash_atoms(), run.venue.balances[0]);
        for index in 0..SYMBOLS {
            let held = run.engine.ledger().position(InstrumentId(index)).atoms;
            prop_assert_eq!(held, run.venue.balances[index as usize + 1]);
        }
        let (engine, truth) = (run.engine.ledger(), books_of(&run.venue));
        prop_assert_eq!(engine.fees(), truth.fees());
        // What was spent and is not held any more was realised, whenever it was told.
        let invested: i128 = engine.positions().iter().map(|position| position.cost_atoms - position.realised_atoms).sum();
        prop_assert_eq!(invested, CASH_ATOMS - engine.cash_atoms());
        // An average cost is truncated at each sale, so that another order of telling may shift an atom at each.
        let slack = run.venue.trades.len() as i128;
        for (ours, theirs) in engine.positions().iter().zip(truth.positions()) {
            prop_assert!((ours.realised_atoms - theirs.realised_atoms).abs() <= slack, "{ours:?} {theirs:?}");
            prop_assert!((ours.cost_atoms - theirs.cost_atoms).abs() <= slack, "{ours:?} {theirs:?}");
        }
        let holdings: Vec<(Asset, i128)> =
            run.venue.balances.iter().enumerate().map(|(asset, atoms)| (Asset(asset as u16), *atoms)).collect();
        let mut out = Outputs::default();
        run.now_ns += 1;
        let snapshot = Body::Balances(Balances { as_of_ns: run.now_ns, holdings });
        run.engine.step(&Event { market_ns: run.now_ns, body: snapshot }, &mut out);
        let differs = |output: &Output| matches!(output, Output::Adjusted { .. } | Output::BalancesSkipped { .. });
        prop_assert!(!out.iter().any(differs));
    }

    /// The journal is enough: the same events give the same decisions, step by step.
    #[test]
    fn the_same_events_give_the_same_bytes(acts in acts(), fates in fates()) {
        let mut run = Run::new(fates);
        for act in &acts {
            run.act(act);
        }
        let mut engine = Engine::new(config(SYMBOLS)).unwrap();
        for (event, digest) in run.events.iter().zip(&run.digests) {
            let mut out = Outputs::default();
            engine.step(event, &mut out);
            prop_assert_eq!(&out.digest(), digest, "{:?}", event);
        }
    }

    /// Whatever happened before, a flatten leaves nothing that the venue would still take, with signals that want more
    /// and a restart on the way; and nothing is on the way in the end.
    #[test]
    fn a_flatten_ends_flat(acts in acts(), fates in fates(), fill in 30_u8..=100) {
        let mut run = Run::new(fates);
        for act in &acts {
            run.act(act);
        }
        run.command(Command::Flatten);
        run.fates = vec![(Fate::Traded(fill, 2), true)];
        for round in 0..80 {
            if round == 3 {
                run.act(&Act::Restart);
            }
            let ids: Vec<ClientOrderId> = run.sent.iter().map(|order| order.id).collect();
            for id in ids {
                run.venue.query(id, true);
            }
            while !run.venue.unread.is_empty() {
                run.read(0, false);
            }
            run.bar([Some(20_000), Some(20_000)]);
            run.wait(5 * SECOND_NS);
        }
        prop_assert!(run.engine.is_quiet());
        for index in 0..SYMBOLS {
            let rules = instrument(index);
            let smallest = (rules.min_notional_atoms / rules.notional(MID_TICKS - 20_000, 1) + 1) as i64;
            let held = run.venue.held_atoms(InstrumentId(index));
            prop_assert!(held < rules.base_atoms(smallest + 1), "{held} of {index} is left");
            prop_assert!(run.engine.is_closed(InstrumentId(index)) && run.engine.is_flat(InstrumentId(index)));
        }
    }

    /// On a good line, every target is reached to less than the venue's smallest order.
    #[test]
    fn a_good_line_leads_to_the_target(
        bars in prop::collection::vec((0_i64..40_000, 0_i64..40_000), 1..6), fill in 30_u8..=100,
    ) {
        let mut run = Run::new(vec![(Fate::Traded(fill, 2), true)]);
        for (btc, eth) in bars {
            run.bar([Some(btc), Some(eth)]);
            for _ in 0..60 {
                while !run.venue.unread.is_empty() {
                    run.read(0, false);
                }
                run.wait(5 * SECOND_NS);
            }
            for (index, target) in [btc, eth].into_iter().enumerate() {
                let rules = instrument(index as u16);
                let missing = rules.base_atoms(target) - run.venue.held_atoms(InstrumentId(index as u16));
                let smallest = (rules.min_notional_atoms / rules.notional(MID_TICKS, 1) + 1) as i64;
                prop_assert!(missing <= rules.base_atoms(smallest) && missing > -rules.base_atoms(smallest + 1));
            }
        }
    }
}
