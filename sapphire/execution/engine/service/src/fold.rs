//! From entries to the engine: what a journal means.
//!
//! Invariant: the same entries give the same engine, and the outputs of every step are those whose digest the journal
//! holds; the first step that differs is named. No I/O and no clock.

use sapphire_core::engine::{BadConfig, Body, Engine, Event, Outputs};

use crate::entry::{Entry, RunConfig, SlotTaken, Source};
use crate::events::{EntryId, ReleaseDigest};
use crate::latched::Latched;

/// Why entries cannot be folded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FoldFault {
    /// The run's configuration cannot be meant.
    #[error(transparent)]
    Config(#[from] BadConfig),
    /// The engine decides otherwise than it did when the journal was written.
    #[error(transparent)]
    Differs(#[from] Box<Difference>),
    /// A release takes a slot that is not the next, or there are no more.
    #[error("release {digest} takes slot {got}; expected {expected}, below {slots}")]
    Slot {
        /// The release.
        digest: ReleaseDigest,
        /// The slot it takes.
        got: u16,
        /// The next free slot.
        expected: usize,
        /// How many there are.
        slots: u16,
    },
    /// A later start that counts other steps.
    #[error("a start counts {got} steps before it; expected {expected}")]
    Steps {
        /// Steps there are.
        expected: u64,
        /// Steps it counts.
        got: u64,
    },
}

/// The first step that leads to something else than was recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "step {step} differs from what was recorded\n  expected: outputs of digest {recorded}\n  got:      {outputs} \
     (digest {folded})\n  event:    {event}\n  next:     replay it with the engine that wrote it, {engine}"
)]
pub struct Difference {
    /// The step.
    pub step: u64,
    /// Its event.
    pub event: String,
    /// What it leads to now.
    pub outputs: String,
    /// Digest of what it led to then.
    pub recorded: String,
    /// Digest of what it leads to now.
    pub folded: String,
    /// The engine of the run.
    pub engine: String,
}

/// A release that the run has met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownRelease {
    /// sha256 of its manifest.
    pub digest: ReleaseDigest,
    /// Its name.
    pub name: String,
    /// Its evidence verified when it was last looked at.
    pub ok: bool,
}

/// From when on a release was traded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traded {
    /// The release.
    pub release: ReleaseDigest,
    /// The machine's time at the start of the process, UTC nanoseconds.
    pub wall_ns: i64,
    /// Market time of the first event after it; none before there was one.
    pub market_ns: Option<i64>,
}

/// One step, after it was made.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// Its number in the run, from 1.
    pub number: u64,
    /// Epoch of the process that made it.
    pub epoch: u32,
    /// What its number is published on top of.
    pub published_from: u64,
    /// What the engine was given.
    pub event: &'a Event,
    /// Where that came from.
    pub source: &'a Source,
    /// What follows from it.
    pub outputs: &'a Outputs,
    /// The engine after it.
    pub engine: &'a Engine,
    /// The run's names and numbers.
    pub run: &'a RunConfig,
    /// Releases by slot.
    pub releases: &'a [KnownRelease],
}

/// Who watches a fold.
pub trait Audience {
    /// The engine is about to be given `event`.
    fn before(&mut self, engine: &Engine, event: &Event) {
        let _ = (engine, event);
    }

    /// The engine has taken it.
    fn after(&mut self, step: &Step<'_>);
}

/// Nobody watches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody;

impl Audience for Nobody {
    fn after(&mut self, _: &Step<'_>) {}
}

/// A run as far as it has been folded.
#[derive(Debug)]
pub struct Fold {
    run: RunConfig,
    engine: Engine,
    epoch: u32,
    steps: u64,
    /// Where the signals of the release that is traded have been read to.
    cursor: EntryId,
    /// The releases that were traded, and where the signals of those before the last have been read to.
    traded: Vec<Traded>,
    cursors: Vec<(Option<ReleaseDigest>, EntryId)>,
    lockstep: u64,
    published_from: u64,
    releases: Vec<KnownRelease>,
    latched: Latched,
    outputs: Outputs,
    /// The last event, to say what differs.
    last: Option<Event>,
    digest: blake3::Hasher,
    bytes: Vec<u8>,
}

impl Fold {
    /// A run's beginning.
    ///
    /// # Errors
    /// [`FoldFault::Config`].
    pub fn begin(run: &RunConfig, epoch: u32) -> Result<Self, FoldFault> {
        Ok(Self {
            engine: Engine::new(run.engine_config()?)?,
            run: run.clone(),
            epoch,
            steps: 0,
            cursor: EntryId::default(),
            traded: Vec::new(),
            cursors: Vec::new(),
            lockstep: 0,
            published_from: 0,
            releases: Vec::new(),
            latched: Latched::default(),
            outputs: Outputs::with_capacity(16),
            last: None,
            digest: blake3::Hasher::new(),
            bytes: Vec::with_capacity(1_024),
        })
    }

    /// Takes in the next entry of the run, written by `epoch`; `recorded` is the digest of the outputs of the step
    /// before it, as the journal has it.
    ///
    /// # Errors
    /// [`FoldFault`]; then the fold stands before the entry.
    pub fn take(
        &mut self,
        epoch: u32,
        entry: &Entry,
        recorded: Option<[u8; 32]>,
        audience: &mut dyn Audience,
    ) -> Result<(), FoldFault> {
        self.compare(recorded)?;
        self.epoch = epoch;
        match entry {
            Entry::Begin(begin) => {
                self.published_from = entry.published_from();
                begin.release.into_iter().for_each(|release| self.trade(release, begin.wall_ns));
            }
            Entry::Continue(_) => {}
            Entry::Resume(resume) if resume.steps != self.steps => {
                return Err(FoldFault::Steps { expected: self.steps, got: resume.steps });
            }
            Entry::Resume(resume) => resume.release.into_iter().for_each(|release| self.trade(release, resume.wall_ns)),
            Entry::Release(slot) => self.seat(slot)?,
            Entry::Passed(entry) => self.cursor = self.cursor.max(*entry),
            Entry::Event { event, source } => self.step(event, source, audience),
        }
        Ok(())
    }

    /// A release is traded from here on. Each has a stream of signals and a place in it of its own.
    pub(crate) fn trade(&mut self, release: ReleaseDigest, wall_ns: i64) {
        let before = self.traded.last().map(|traded| traded.release);
        if before == Some(release) {
            return;
        }
        self.cursors.push((before, self.cursor));
        self.traded.push(Traded { release, wall_ns, market_ns: None });
        let known = self.cursors.iter().rev().find(|(known, _)| *known == Some(release));
        self.cursor = known.map_or_else(EntryId::default, |(_, cursor)| *cursor);
    }

    /// The releases that were traded, oldest first; journals of before they were written do not say.
    pub fn traded(&self) -> &[Traded] {
        &self.traded
    }

    /// The run.
    pub fn run(&self) -> &RunConfig {
        &self.run
    }

    /// Events taken in.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Releases by slot.
    pub fn releases(&self) -> &[KnownRelease] {
        &self.releases
    }

    /// Who set what passes.
    pub fn latched(&self) -> &Latched {
        &self.latched
    }

    /// The engine as it stands.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Where the signals of the release that is traded have been read to.
    pub fn cursor(&self) -> EntryId {
        self.cursor
    }

    /// The last step of the lock-step that an event came from; 0 when none did.
    pub fn lockstep(&self) -> u64 {
        self.lockstep
    }

    /// What the numbers of this run's steps are published on top of.
    pub fn published_from(&self) -> u64 {
        self.published_from
    }

    /// BLAKE3 of the last step's outputs; none before the first step.
    pub fn last_outputs(&self) -> Option<[u8; 32]> {
        self.last.as_ref().map(|_| self.outputs.digest())
    }

    /// BLAKE3 of every decision in its order and with its time: runs that decided alike have one.
    pub fn digest(&self) -> [u8; 32] {
        *self.digest.finalize().as_bytes()
    }

    /// Hands out the engine and the releases.
    #[must_use]
    pub fn into_engine(self) -> (Engine, Vec<KnownRelease>) {
        (self.engine, self.releases)
    }

    fn compare(&self, recorded: Option<[u8; 32]>) -> Result<(), FoldFault> {
        let (Some(recorded), Some(folded)) = (recorded, self.last_outputs()) else { return Ok(()) };
        if recorded == folded {
            return Ok(());
        }
        let text = |digest| blake3::Hash::from_bytes(digest).to_string();
        let outputs: Vec<_> = self.outputs.iter().collect();
        Err(FoldFault::Differs(Box::new(Difference {
            step: self.steps,
            event: self.last.as_ref().map(|event| format!("{event:?}")).unwrap_or_default(),
            outputs: format!("{outputs:?}"),
            recorded: text(recorded),
            folded: text(folded),
            engine: self.run.engine.clone(),
        })))
    }

    fn seat(&mut self, slot: &SlotTaken) -> Result<(), FoldFault> {
        let expected = self.releases.len();
        if usize::from(slot.slot) != expected || slot.slot >= self.run.releases {
            let (digest, got, slots) = (slot.digest, slot.slot, self.run.releases);
            return Err(FoldFault::Slot { digest, got, expected, slots });
        }
        self.releases.push(KnownRelease { digest: slot.digest, name: slot.name.clone(), ok: false });
        Ok(())
    }

    fn step(&mut self, event: &Event, source: &Source, audience: &mut dyn Audience) {
        audience.before(&self.engine, event);
        self.outputs.clear();
        self.engine.step(event, &mut self.outputs);
        self.steps += 1;
        self.latched.on_event(event, source, &self.outputs);
        if let Some(traded) = self.traded.last_mut() {
            traded.market_ns.get_or_insert(event.market_ns);
        }
        self.last = Some(event.clone());
        self.cursor = source.cursor().map_or(self.cursor, |entry| self.cursor.max(entry));
        if let Source::Step(number) = source {
            self.lockstep = self.lockstep.max(*number);
        }
        if let Body::Verdict { release, ok } = &event.body
            && let Some(known) = self.releases.get_mut(usize::from(release.0))
        {
            known.ok = *ok;
        }
        if !self.outputs.is_empty() {
            self.bytes.clear();
            self.bytes.extend_from_slice(&event.market_ns.to_le_bytes());
            self.outputs.encode(&mut self.bytes);
            self.digest.update(&self.bytes);
        }
        audience.after(&Step {
            number: self.steps,
            published_from: self.published_from,
            epoch: self.epoch,
            event,
            source,
            outputs: &self.outputs,
            engine: &self.engine,
            run: &self.run,
            releases: &self.releases,
        });
    }
}
