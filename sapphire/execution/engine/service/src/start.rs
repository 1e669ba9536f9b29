//! How a service begins and ends.
//!
//! Order: settings and keys; the port; the venue's rules; what the bus has; the journal, which also takes the account's
//! folder; then the threads, and the first line on stdout. The trader loop works on the calling thread until it is
//! asked to stop; then what is emitted is published, the journal is synced, and the folder is let go.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::Builder;

use sapphire_core::engine::{Engine, Event};
use sapphire_endpoint::{ListenError, Listening, Tokens, listen};
use serde_json::json;

use crate::bus::Bus;
use crate::bus_writer::BusWriter;
use crate::clock::{ClockMode, Monotonic, ShownTime, wall_ns};
use crate::control::{ControlApi, ControlPlane, KillSwitch};
use crate::entry::RunConfig;
use crate::events::{BadText, EntryId, Intake, ReleaseDigest};
use crate::evidence::Admission;
use crate::fold::{Audience, Step};
use crate::gateway::{Channels, Gateway, GatewayError, Identity, VenueRules, VenueSettings, exchange_info};
use crate::intake::{Ended, IntakeGround, SignalIntake, StepIntake, last_signed};
use crate::journal::{Journal, JournalFailure, JournalOptions, Recovered};
use crate::latency_trace::TraceWriter;
use crate::mailbox::{Channel, Mailbox};
use crate::metrics::Metrics;
use crate::settings::{Credentials, SettingError, Settings};
use crate::signal_key::SignalKey;
use crate::streams::Streams;
use crate::trader::blotter::{self, Blotter};
use crate::trader::emitting::{EmittedFact, Emitter};
use crate::trader::event_publisher::{EventPublisher, Tools};
use crate::trader::messages::{MessageBuilder, execution_entry};
use crate::trader::{Parts, Trader, TraderFailure, channels};

mod ground;

use ground::{run_config, taker_fees, venue_settings};

/// Entries on their way to the bus.
const OUTGOING: usize = 4_096;

/// Why a service does not start, or ends.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A setting.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// A name of the settings that streams cannot carry.
    #[error("the account's or the venue's name: {0}")]
    Name(#[from] BadText),
    /// The venue.
    #[error(transparent)]
    Venue(#[from] GatewayError),
    /// The bus.
    #[error(transparent)]
    Bus(#[from] crate::bus::BusError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalFailure),
    /// The trader loop.
    #[error(transparent)]
    Trader(#[from] TraderFailure),
    /// Where the control API was to listen, or what others were to be told.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The machine.
    #[error("{what}: {source}")]
    Machine {
        /// What was to be done.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

fn machine(what: &'static str) -> impl Fn(io::Error) -> Failure {
    move |source| Failure::Machine { what, source }
}

/// What is there before anything is opened.
struct Ground {
    clock_mode: ClockMode,
    interval_ns: i64,
    tokens: Tokens,
    listening: Listening,
    clock: Monotonic,
    shown: ShownTime,
    streams: Streams,
    key: SignalKey,
    venue: VenueSettings,
    rules: VenueRules,
    run: RunConfig,
    /// The bus, with the password of its user.
    bus_address: String,
    /// Ends the threads that wait for the bus.
    stop: Arc<AtomicBool>,
}

impl Ground {
    fn of(settings: &Settings) -> Result<Self, Failure> {
        let credentials = Credentials::read(&settings.credentials, settings.service_tokens.as_deref())?;
        let streams = Streams::new(&settings.venue.name, &settings.account, &settings.release)?;
        let key = SignalKey::read(&settings.signal_key, &streams.signals)?;
        let (tokens, bus_address) = (credentials.tokens()?, settings.bus_address()?);
        let (clock_mode, interval_ns) = (settings.clock.clock_mode()?, settings.interval_ns()?);
        let listening = listen(&settings.bind, settings.host.as_deref(), settings.port)?;
        let venue = venue_settings(settings, &credentials, clock_mode);
        venue.require_addresses()?;
        let mut rules = exchange_info(&settings.venue.rest_url, &settings.symbols)?;
        let fees = taker_fees(&venue, &mut rules)?;
        let run = run_config(settings, &rules, fees);
        let (clock, shown, stop) = (Monotonic::new(), ShownTime::default(), Arc::new(AtomicBool::new(false)));
        Ok(Self {
            clock_mode,
            interval_ns,
            tokens,
            listening,
            clock,
            shown,
            streams,
            key,
            venue,
            rules,
            run,
            bus_address,
            stop,
        })
    }

    fn bus(&self) -> Result<Bus, Failure> {
        Ok(Bus::new(&self.bus_address, Arc::clone(&self.stop))?)
    }
}

/// What the bus has: the last entries of the streams.
struct Heard {
    executions: EntryId,
    account: EntryId,
    signals: EntryId,
    /// The last step and the last that was settled.
    steps: (u64, u64),
}

impl Heard {
    fn on(bus: &mut Bus, streams: &Streams, key: &SignalKey) -> Result<Self, Failure> {
        bus.connect()?;
        let mut last = |stream: &str| -> Result<EntryId, Failure> {
            Ok(bus.last(stream)?.entries().last().map(|entry| entry.id).unwrap_or_default())
        };
        // The answers before the steps: what is settled was begun.
        let settled = last(&streams.settled)?.ms;
        Ok(Self {
            executions: last(&streams.executions)?,
            account: last(&streams.states)?,
            steps: (last(&streams.lockstep)?.ms, settled),
            signals: last_signed(bus, streams, key)?,
        })
    }
}

/// Runs a service until it is asked to stop.
///
/// # Errors
/// [`Failure`]: what was expected, what came, what to do next.
pub fn run(settings: &Settings) -> Result<(), Failure> {
    let ground = Ground::of(settings)?;
    let heard = Heard::on(&mut ground.bus()?, &ground.streams, &ground.key)?;
    let mut reemission = Reemission::new(heard.executions);
    let (journal, recovered) = open_journal(settings, &ground.run, &mut reemission)?;
    let (mailbox, [signals, steps, user_data, rest_client, market_data, control]) = trader_mailbox()?;
    let identity = settings.identity();
    let labels: Vec<_> = identity.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let metrics = Arc::new(Metrics::new(&labels));
    let blotter = Arc::new(Blotter::default());
    let tools = Tools {
        message_builder: MessageBuilder::new(
            (ground.run.clone(), settings.release, ground.streams.clone()),
            recovered.published_from,
            &recovered.releases,
        ),
        bus_writer: BusWriter::start(ground.bus()?, &ground.streams.dead_letters, OUTGOING)
            .map_err(machine("the bus writer's thread"))?,
        blotter: Arc::clone(&blotter),
        metrics: Arc::clone(&metrics),
        waker: mailbox.waker(),
        address: ground.listening.authority(),
    };
    reemission.latest.iter().for_each(|emitted| blotter.note(emitted, &tools.message_builder));
    let (event_publisher, event_publisher_thread) =
        EventPublisher::start(tools, reemission.unpublished).map_err(machine("the event publisher's thread"))?;
    let (trace_writer, latency_traces) = TraceWriter::start(&settings.folder, recovered.epoch, Arc::clone(&metrics))
        .map_err(machine("the file of latency traces"))?;
    let switch = Arc::new(KillSwitch::default());
    let control_api = serve(&ground, control, (&switch, &metrics, blotter)).map_err(machine("the control API"))?;
    let identity = Identity { account_tag: settings.account_tag, epoch: recovered.epoch };
    let venue_channels = Channels { user_data, rest_client, market_data };
    let gateway = Gateway::start(&ground.venue, &ground.rules, identity, venue_channels, ground.clock)?;
    // Signals of before a run are not for it.
    let passed = if recovered.is_new_run { heard.signals } else { recovered.cursor };
    let verdicts = take_in(settings, &ground, (signals, steps), passed, &recovered)?;
    announce(settings, &ground.listening, recovered.epoch).map_err(machine("the first line on stdout"))?;
    let stop = Arc::clone(&ground.stop);
    let trader = Trader::new(Parts {
        clock: ground.clock,
        clock_mode: ground.clock_mode,
        shown: ground.shown,
        instruments: ground.rules.instruments(),
        run: ground.run,
        traded: recovered.traded,
        interval_ns: ground.interval_ns,
        engine: recovered.engine,
        journal,
        cursor: recovered.cursor,
        passed,
        releases: recovered.releases,
        latched: recovered.latched,
        carried: recovered.carried,
        verdicts,
        steps: heard.steps,
        published_close_ns: heard.account.ms.cast_signed().saturating_mul(1_000_000),
        gateway,
        mailbox,
        event_publisher,
        latency_traces,
        metrics,
        switch,
        spin: settings.spin,
    });
    let outcome = trader.run();
    event_publisher_thread.finish();
    stop.store(true, Ordering::Relaxed);
    end(trace_writer, control_api);
    Ok(outcome?)
}

fn end(trace_writer: TraceWriter, control_api: ControlApi) {
    if let Err(error) = trace_writer.finish() {
        tracing::error!(%error, "the file of latency traces");
    }
    control_api.finish();
    tracing::info!("ended");
}

fn serve(
    ground: &Ground,
    trader: Channel,
    (switch, metrics, blotter): (&Arc<KillSwitch>, &Arc<Metrics>, Arc<Blotter>),
) -> io::Result<ControlApi> {
    let plane = ControlPlane {
        trader: Arc::new(Mutex::new(trader)),
        switch: Arc::clone(switch),
        metrics: Arc::clone(metrics),
        blotter,
        tokens: ground.tokens.clone(),
    };
    ControlApi::start(ground.listening.socket.try_clone()?, plane)
}

/// The trader loop's mailbox and its channels, in their order.
fn trader_mailbox() -> Result<(Mailbox, [Channel; channels::COUNT]), Failure> {
    let (mailbox, channels) = Mailbox::new(channels::COUNT);
    let other = |_| machine("the trader loop's channels")(io::Error::other("another number of them"));
    Ok((mailbox, channels.try_into().map_err(other)?))
}

fn open_journal(
    settings: &Settings,
    run: &RunConfig,
    reemission: &mut Reemission,
) -> Result<(Journal, Recovered), Failure> {
    let options = JournalOptions {
        segment_bytes: settings.journal.segment_bytes,
        reserve_bytes: settings.journal.reserve_bytes,
        ..JournalOptions::default()
    };
    let (journal, recovered) = Journal::open(&settings.folder, run, settings.release, &options, wall_ns(), reemission)?;
    tracing::info!(
        release = %settings.release,
        epoch = recovered.epoch,
        steps = recovered.steps,
        cursor = %recovered.cursor,
        new_run = recovered.is_new_run,
        torn = recovered.was_torn,
        unpublished = reemission.unpublished.len(),
        "journal open"
    );
    Ok((journal, recovered))
}

/// Starts the threads that read from the bus; admission's verdicts on the releases of the journal.
fn take_in(
    settings: &Settings,
    ground: &Ground,
    (signals, steps): (Channel, Channel),
    passed: EntryId,
    recovered: &Recovered,
) -> Result<Vec<Intake>, Failure> {
    let traded: Vec<ReleaseDigest> = recovered.releases.iter().map(|release| release.digest).collect();
    let admission = Admission::new(&settings.home, settings.stage, settings.trust.clone());
    let (bus, clock) = (ground.bus()?, ground.clock);
    let against = IntakeGround {
        streams: ground.streams.clone(),
        release: settings.release,
        key: ground.key.clone(),
        time: ground.shown.clone(),
        interval_ns: ground.interval_ns,
    };
    let mut intake = SignalIntake::new(bus, passed, signals, &settings.symbols, admission, against, clock);
    let verdicts = intake.judge(&traded);
    begin("signals", move || intake.run())?;
    if ground.clock_mode == ClockMode::Lockstep {
        let intake = StepIntake::new(ground.bus()?, ground.streams.clone(), steps, clock);
        begin("steps", move || intake.run())?;
    }
    Ok(verdicts)
}

/// Starts a thread that reads from the bus; it ends with the process.
fn begin(name: &'static str, work: impl FnOnce() -> Ended + Send + 'static) -> Result<(), Failure> {
    let thread = Builder::new().name(name.into()).spawn(move || {
        let ended = work();
        tracing::info!(name, %ended, "ended");
    });
    thread.map(drop).map_err(machine("a thread that reads from the bus"))
}

/// The first line on stdout.
fn announce(settings: &Settings, listening: &Listening, epoch: u32) -> io::Result<()> {
    let line = json!({
        "control_url": listening.url("http"),
        "account": settings.account,
        "epoch": epoch,
        "pid": std::process::id(),
    });
    let mut stdout = io::stdout();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

/// The facts of the journal: to the bus what it may not have, to the blotter the latest.
struct Reemission {
    emitter: Emitter,
    published: EntryId,
    unpublished: Vec<EmittedFact>,
    latest: VecDeque<EmittedFact>,
}

impl Reemission {
    fn new(published: EntryId) -> Self {
        Self { emitter: Emitter::new(), published, unpublished: Vec::new(), latest: VecDeque::new() }
    }
}

impl Audience for Reemission {
    fn before(&mut self, engine: &Engine, event: &Event) {
        self.emitter.before(engine, event);
    }

    fn after(&mut self, step: &Step<'_>) {
        let facts = self.emitter.after(step.event, step.source, step.outputs, step.engine);
        for (fact, index) in facts.zip(0..) {
            let emitted = EmittedFact { step: step.number, index, market_ns: step.event.market_ns, fact };
            if execution_entry(step.published_from, &emitted) > self.published {
                self.unpublished.push(emitted.clone());
            }
            self.latest.push_back(emitted);
            if self.latest.len() > 2 * blotter::ROOM {
                self.latest.pop_front();
            }
        }
    }
}
