//! The trader loop: the one thread that owns engine, journal and the way to the venue.
//!
//! In: `TraderEvent`s, one at a time, and time.
//! Out: orders, cancels and questions to the venue; facts to the event
//! publisher. For each event: stamp, journal, step, act. Orders go out on this thread before anything else that follows
//! from a step.
//!
//! Invariants: nothing is applied that is not in the journal; a flagged `KillSwitch` lets no order out, whatever the
//! engine decided; signals are taken only after everything that the venue knows has been asked for; in lock-step what
//! the venue sends is applied at the step that it belongs to.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use sapphire_core::engine::{Balances, Engine, Outputs};
use sapphire_core::instrument::Instrument;
use sapphire_core::orders::{ClientOrderId, Report};
use sapphire_core::risk::Command;

use crate::clock::{ClockMode, MarketTime, Monotonic, ShownTime};
use crate::control::KillSwitch;
use crate::entry::{RunConfig, Source};
use crate::events::{EntryId, Intake, ReleaseDigest, TraderEvent};
use crate::fold::Traded;
use crate::gateway::Gateway;
use crate::journal::{Journal, JournalFailure};
use crate::latched::Latched;
use crate::latency_trace::LatencyTrace;
use crate::lockstep::Lockstep;
use crate::mailbox::{Channel, Mailbox, Patience};
use crate::metrics::{Figure, Metrics};

/// Orders and fills for the control API.
pub mod blotter;
/// Facts of steps.
pub mod emitting;
/// The thread that publishes.
pub mod event_publisher;
/// Facts as messages.
pub mod messages;

mod acting;
mod answers;
mod keeping;
mod opening;
mod quotes;
mod slots;
mod stepping;
mod taking;
mod unsent;

pub use slots::NOBODY;

use emitting::Emitter;
use event_publisher::EventPublisher;
use keeping::Due;
use opening::Opening;
use quotes::Quotes;
use slots::Slots;
use unsent::Unsent;

/// The channels of the trader loop's mailbox.
pub mod channels {
    /// Signals from the bus.
    pub const SIGNALS: usize = 0;
    /// Steps of the lock-step.
    pub const STEPS: usize = 1;
    /// What the venue sends and answers on the socket.
    pub const USER_DATA: usize = 2;
    /// What it answers by REST.
    pub const REST_CLIENT: usize = 3;
    /// Its stream of best prices.
    pub const MARKET_DATA: usize = 4;
    /// The control API.
    pub const CONTROL: usize = 5;
    /// How many there are.
    pub const COUNT: usize = 6;
}

/// The trader loop cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum TraderFailure {
    /// The journal does not take what has to be recorded.
    #[error("the trader loop stops: what is not recorded must not be done\n  {0}")]
    Journal(#[from] JournalFailure),
    /// The thread that publishes has ended.
    #[error("the trader loop stops: the thread that publishes has ended; see its log")]
    EventPublisherGone,
}

/// What the trader loop is made of.
#[derive(Debug)]
pub struct Parts {
    /// The process's clock.
    pub clock: Monotonic,
    /// How market time runs.
    pub clock_mode: ClockMode,
    /// Where the trader loop shows market time to the threads that read.
    pub shown: ShownTime,
    /// Names and numbers of the run.
    pub run: RunConfig,
    /// The releases that the run traded; the last is traded now.
    pub traded: Vec<Traded>,
    /// The venue's rules by index.
    pub instruments: Vec<Instrument>,
    /// Length of a bar.
    pub interval_ns: i64,
    /// Recovered.
    pub engine: Engine,
    /// Open.
    pub journal: Journal,
    /// Where the signals have been read to.
    pub cursor: EntryId,
    /// Where the intake begins, at the cursor or after it.
    pub passed: EntryId,
    /// Releases by slot.
    pub releases: Vec<crate::fold::KnownRelease>,
    /// Who set what passes.
    pub latched: Latched,
    /// What the run before had closed; applied before anything else of this one.
    pub carried: Vec<(Command, Source)>,
    /// Admission's verdicts on them now: what the journal says of them may be closed since.
    pub verdicts: Vec<Intake>,
    /// The last step of the lock-step that there is, and the last that was settled.
    pub steps: (u64, u64),
    /// Close of the last bar whose account state is on the bus.
    pub published_close_ns: i64,
    /// Connecting.
    pub gateway: Gateway,
    /// With [`channels::COUNT`] channels.
    pub mailbox: Mailbox,
    /// Publishing.
    pub event_publisher: EventPublisher,
    /// To the trace writer.
    pub latency_traces: Channel<LatencyTrace>,
    /// Numbers.
    pub metrics: Arc<Metrics>,
    /// Read before every order.
    pub switch: Arc<KillSwitch>,
    /// It looks for events without sleeping.
    pub spin: bool,
}

/// When the event that triggers something came, was understood and was taken.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_field_names, reason = "the unit is in the name")]
struct Trigger {
    received_ns: i64,
    parsed_ns: i64,
    taken_ns: i64,
}

impl Trigger {
    fn at(taken_ns: i64) -> Self {
        Self { received_ns: taken_ns, parsed_ns: taken_ns, taken_ns }
    }
}

/// What the venue sent before its time had come.
#[derive(Debug)]
enum Held {
    Report(Report, i64),
    Balances(Balances),
}

#[derive(Debug)]
enum Stage {
    /// The venue is being asked for everything; no signal is taken.
    Opening(Opening),
    /// Signals are taken.
    Open,
}

/// Room for reports that wait.
const HELD: usize = 256;

/// Room for orders whose answer is awaited.
const FLYING: usize = 256;

/// The trader loop's state.
#[derive(Debug)]
pub struct Trader {
    clock: Monotonic,
    clock_mode: ClockMode,
    market: MarketTime,
    shown: ShownTime,
    run: RunConfig,
    traded: Vec<Traded>,
    instruments: Vec<Instrument>,
    interval_ns: i64,
    engine: Engine,
    journal: Journal,
    gateway: Gateway,
    mailbox: Mailbox,
    event_publisher: EventPublisher,
    latency_traces: Channel<LatencyTrace>,
    metrics: Arc<Metrics>,
    switch: Arc<KillSwitch>,
    /// Halts applied, and since when one waits to be.
    halts_applied: u64,
    flagged_since_ns: Option<i64>,
    slots: Slots,
    /// Releases that were refused, and why.
    unadmitted: Vec<(ReleaseDigest, String)>,
    latched: Latched,
    /// To be applied before anything is done.
    carried: Vec<(Command, Source)>,
    /// To be taken before anything is done.
    verdicts: Vec<Intake>,
    quotes: Quotes,
    emitter: Emitter,
    lockstep: Lockstep,
    stage: Stage,
    held: VecDeque<Held>,
    /// What the way to the venue says about orders that it did not take.
    pending: VecDeque<Report>,
    unsent: Unsent,
    /// Orders that a halt kept back.
    withheld: Vec<ClientOrderId>,
    flying: Vec<LatencyTrace>,
    cursor: EntryId,
    /// In lock-step: signals up to here may come in.
    gate_ms: u64,
    /// Orders and cancels since the last step was settled.
    sent: u64,
    last_close_ns: i64,
    due: Due,
    outputs: Outputs,
    bytes: Vec<u8>,
    is_ending: bool,
    step: u64,
    passed: EntryId,
    spin: bool,
}

impl Trader {
    /// A trader loop that has not begun.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let latest_ns = parts.engine.now_ns().max(0);
        let count = parts.instruments.len();
        Self {
            market: MarketTime::new(parts.clock_mode, latest_ns),
            due: Due::new(parts.published_close_ns),
            step: parts.journal.steps(),
            gate_ms: parts.passed.ms,
            clock: parts.clock,
            clock_mode: parts.clock_mode,
            shown: parts.shown,
            run: parts.run,
            traded: parts.traded,
            instruments: parts.instruments,
            interval_ns: parts.interval_ns,
            engine: parts.engine,
            journal: parts.journal,
            gateway: parts.gateway,
            mailbox: parts.mailbox,
            event_publisher: parts.event_publisher,
            latency_traces: parts.latency_traces,
            metrics: parts.metrics,
            switch: parts.switch,
            halts_applied: 0,
            flagged_since_ns: None,
            slots: Slots::new(parts.releases),
            unadmitted: Vec::new(),
            latched: parts.latched,
            carried: parts.carried,
            verdicts: parts.verdicts,
            quotes: Quotes::new(count),
            emitter: Emitter::new(),
            lockstep: Lockstep::new(parts.steps.1),
            stage: Stage::Opening(Opening::new(parts.clock_mode == ClockMode::Lockstep && parts.steps.0 > 0)),
            held: VecDeque::with_capacity(HELD),
            pending: VecDeque::with_capacity(HELD),
            unsent: Unsent::default(),
            withheld: Vec::with_capacity(FLYING),
            flying: Vec::with_capacity(FLYING),
            cursor: parts.cursor,
            sent: 0,
            last_close_ns: parts.published_close_ns,
            outputs: Outputs::with_capacity(64),
            bytes: Vec::with_capacity(4_096),
            is_ending: false,
            passed: parts.passed,
            spin: parts.spin,
        }
    }

    /// Works until it is asked to stop.
    ///
    /// # Errors
    /// [`TraderFailure`]: what is not recorded must not be done.
    pub fn run(mut self) -> Result<(), TraderFailure> {
        let outcome = self.work();
        self.metrics.set(Figure::Ready, 0);
        self.close();
        outcome
    }

    fn work(&mut self) -> Result<(), TraderFailure> {
        self.metrics.set(Figure::Epoch, i64::from(self.journal.epoch()));
        self.pass(self.passed)?;
        for (command, source) in std::mem::take(&mut self.carried) {
            tracing::warn!(?command, ?source, "carried over from the run before");
            self.command(command, source)?;
        }
        for verdict in std::mem::take(&mut self.verdicts) {
            self.take_intake(verdict, self.clock.now_ns())?;
        }
        while !self.is_ending {
            let timeout = self.patience();
            let patience = Patience { timeout, spin: if self.spin { timeout } else { Duration::ZERO } };
            let gate = self.gate();
            if let Some(event) = self.mailbox.next_if(patience, |channel, event| gate.admits(channel, event)) {
                self.take(event)?;
            } else {
                self.lockstep_turn()?;
            }
            self.keep()?;
        }
        Ok(())
    }

    /// Which events may come in now.
    fn gate(&self) -> Gate {
        let is_flagged = self.switch.asked() != self.halts_applied;
        let is_open = matches!(self.stage, Stage::Open);
        Gate {
            is_flagged,
            takes_signals: is_open && !self.due.has_no_room,
            signals_to_ms: if self.clock_mode == ClockMode::Lockstep { self.gate_ms } else { u64::MAX },
            takes_steps: is_open && self.lockstep.is_idle(),
        }
    }

    /// How long nothing need be done although nothing comes.
    fn patience(&mut self) -> Duration {
        let now_ns = self.clock.now_ns();
        let step = self.lockstep.patience(now_ns).unwrap_or(keeping::LONGEST);
        self.kept_until(now_ns).min(step)
    }
}

/// Which events may come in.
#[derive(Clone, Copy, Debug)]
struct Gate {
    is_flagged: bool,
    takes_signals: bool,
    signals_to_ms: u64,
    takes_steps: bool,
}

impl Gate {
    fn admits(&self, channel: usize, event: &TraderEvent) -> bool {
        // A halt overtakes everything that waits.
        if self.is_flagged {
            return channel == channels::CONTROL;
        }
        match event {
            TraderEvent::Intake(intake) => {
                let entry = match intake {
                    Intake::Release { .. } => return self.takes_signals,
                    Intake::Thrown => return true,
                    Intake::Signal { entry, .. } | Intake::EndOfBar { entry, .. } | Intake::DeadLetter { entry } => {
                        entry
                    }
                };
                self.takes_signals && entry.ms <= self.signals_to_ms
            }
            TraderEvent::Step(_) => self.takes_steps,
            TraderEvent::Venue(_) | TraderEvent::Ask(_) => true,
        }
    }
}
