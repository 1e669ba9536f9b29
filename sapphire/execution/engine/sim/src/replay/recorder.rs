//! An engine whose every decision is written down, wherever its orders go.
//!
//! Invariant: the digest covers all that the engine decides, in order and with its time, and nothing else.

use sapphire_core::amounts::Atoms;
use sapphire_core::engine::{BadConfig, Body, Config, Engine, Event, Output, Outputs};
use sapphire_core::instrument::{Asset, InstrumentId};
use sapphire_core::orders::{ClientOrderId, Order, Report, ReportKind};

use sapphire_core::positions::NotHoldable;

use super::ReplayError;
use super::record::{DenialRow, FillRow, Record, RefusalRow, TargetRow};

/// Where the engine's requests go, and what the other side says is held.
pub(super) trait Route {
    /// Market time.
    fn now_ns(&self) -> i64;

    /// Sends an order; when it will arrive.
    fn place(&mut self, order: &Order) -> i64;

    /// Sends a cancel.
    fn cancel(&mut self, order: ClientOrderId, instrument: InstrumentId);

    /// What the exchange says is held of an asset, free and locked together; none where it keeps no accounts.
    fn balance(&self, asset: Asset) -> Option<Atoms>;
}

/// The engine and its record.
#[derive(Debug)]
pub(super) struct Recorder {
    pub(super) engine: Engine,
    pub(super) record: Record,
    /// The first amount that the engine could not hold: the replay does not go on.
    fault: Option<NotHoldable>,
    quote: Asset,
    /// The asset of each instrument, by index.
    bases: Vec<Asset>,
    out: Outputs,
    bytes: Vec<u8>,
    hasher: blake3::Hasher,
}

impl Recorder {
    pub(super) fn new(config: Config) -> Result<Self, BadConfig> {
        Ok(Self {
            fault: None,
            quote: config.quote,
            bases: config.instruments.iter().map(|instrument| instrument.base).collect(),
            engine: Engine::new(config)?,
            record: Record::default(),
            out: Outputs::with_capacity(16),
            bytes: Vec::with_capacity(1_024),
            hasher: blake3::Hasher::new(),
        })
    }

    /// Whether the engine could hold everything so far.
    ///
    /// # Errors
    /// [`ReplayError::NotHoldable`] names the first amount that it could not.
    pub(super) fn check(&self) -> Result<(), ReplayError> {
        self.fault.map_or(Ok(()), |fault| Err(fault.into()))
    }

    /// One step of the engine, and what follows from it outside.
    pub(super) fn apply(&mut self, route: &mut impl Route, body: Body) {
        let now_ns = route.now_ns();
        let mut out = std::mem::take(&mut self.out);
        self.engine.step(&Event { market_ns: now_ns, body }, &mut out);
        if !out.is_empty() {
            self.bytes.clear();
            self.bytes.extend_from_slice(&now_ns.to_le_bytes());
            out.encode(&mut self.bytes);
            self.hasher.update(&self.bytes);
        }
        for output in out.drain() {
            self.follow(route, output, now_ns);
        }
        self.out = out;
    }

    /// What the exchange says about an order.
    pub(super) fn report(&mut self, route: &mut impl Route, report: Report) {
        self.apply(route, Body::Report(report));
        let Some(tracked) = self.engine.orders().get(report.order) else { return };
        self.record.update(tracked);
        if let ReportKind::Trade { fill, .. } = report.kind {
            let (instrument, side) = (tracked.order.instrument, tracked.order.side);
            let (time_ns, order) = (route.now_ns(), report.order.sequence);
            self.record.fills.push(FillRow { time_ns, order, instrument, side, fill });
        }
    }

    /// Compares the engine's books with the exchange's and hands out the record. Orders that still travel stay as they
    /// are in it.
    pub(super) fn finish(mut self, route: &impl Route) -> Result<Record, ReplayError> {
        self.check()?;
        let positions = self.engine.ledger().positions().iter().map(|position| position.atoms);
        let held = self.bases.iter().copied().zip(positions);
        for (asset, engine) in held.chain([(self.quote, self.engine.ledger().cash_atoms())]) {
            let exchange = route.balance(asset).unwrap_or(engine);
            if exchange != engine {
                return Err(ReplayError::BalancesDiffer { asset: asset.0, exchange, engine });
            }
        }
        let fees = self.engine.ledger().fees().iter().enumerate();
        self.record.fees = fees.map(|(asset, atoms)| (Asset(asset as u16), *atoms)).collect();
        self.record.digest = *self.hasher.finalize().as_bytes();
        Ok(self.record)
    }

    fn follow(&mut self, route: &mut impl Route, output: Output, time_ns: i64) {
        let target = |signal, lots, cause| TargetRow { time_ns, signal, lots, cause };
        match output {
            Output::Place(approved) => {
                let arrives_ns = route.place(approved.order());
                self.record.open(approved.order(), time_ns, Some(arrives_ns));
            }
            Output::Cancel { order, instrument } => route.cancel(order, instrument),
            Output::Denied { order, denial } => {
                self.record.open(&order, time_ns, None);
                self.record.denials.push(DenialRow { time_ns, order: order.id.sequence, denial });
            }
            Output::SignalRefused { signal, reason } => {
                self.record.refusals.push(RefusalRow { time_ns, signal, reason });
            }
            Output::TargetReached { signal, held_lots } => self.record.targets.push(target(signal, held_lots, None)),
            Output::TargetExpired { signal, remaining_lots, cause } => {
                self.record.targets.push(target(signal, remaining_lots, Some(cause)));
            }
            Output::NotHoldable { asset, atoms } => {
                self.fault.get_or_insert(NotHoldable { asset, atoms });
            }
            Output::Trading { state, cause } => self.record.trading.push((time_ns, state, cause)),
            // The engine is asked when to be woken; these exchanges answer everything and tell nothing twice.
            Output::WakeAt(_)
            | Output::Query { .. }
            | Output::Adjusted { .. }
            | Output::BalancesSkipped { .. }
            | Output::Unmatched { .. }
            | Output::Overfilled { .. } => {}
        }
    }
}
