//! The bytes of an event: its time, a tag, then its fields in order, little-endian, each as wide as its type.
//!
//! Invariant, property-tested: every event is read back as it was written; what is cut short, goes on behind its end or
//! holds a value that no event has is refused.

use super::{Balances, Body, Event, Signal};
use crate::amounts::Atoms;
use crate::instrument::{Asset, InstrumentId};
use crate::orders::{ClientOrderId, Fill, ReleaseId, Report, ReportKind};
use crate::risk::{Command, LimitSet};

/// Bytes that are no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEvent {
    /// They end before the event does.
    #[error("the event is cut short: expected {expected} bytes more, got {got}")]
    Truncated {
        /// Bytes that the next field has.
        expected: usize,
        /// Bytes that are left.
        got: usize,
    },
    /// They go on behind the event.
    #[error("the event has ended, expected no more bytes, got {got}")]
    Trailing {
        /// Bytes behind its end.
        got: usize,
    },
    /// A tag or a truth value that no event has.
    #[error("{what}: got {got}, which no event of this version has; read it with the engine that wrote it")]
    Unknown {
        /// The field.
        what: &'static str,
        /// Its value.
        got: u8,
    },
}

impl Event {
    /// Appends the event's bytes to `bytes`.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        let mut writer = Writer(bytes);
        writer.i64(self.market_ns);
        match &self.body {
            Body::Epoch { epoch } => writer.u8(1).u32(*epoch),
            Body::Verdict { release, ok } => writer.u8(2).u16(release.0).u8((*ok).into()),
            Body::Signal(signal) => writer.u8(3).signal(signal),
            Body::EndOfBar { bar_close_ns } => writer.u8(4).i64(*bar_close_ns),
            Body::Bbo { instrument, bid_ticks, ask_ticks, as_of_ns } => {
                writer.u8(5).u16(instrument.0).i64(*bid_ticks).i64(*ask_ticks).i64(*as_of_ns)
            }
            Body::Report(report) => writer.u8(6).report(report),
            Body::Balances(balances) => writer.u8(7).balances(balances),
            Body::Timer => writer.u8(8),
            Body::Command(command) => writer.u8(9).command(*command),
            Body::Limits { release, limits } => writer.u8(10).u16(release.0).limit_set(limits),
        };
    }

    /// Reads an event from all of `bytes`.
    ///
    /// # Errors
    /// [`BadEvent`] says what does not fit.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadEvent> {
        let mut reader = Reader(bytes);
        let event = Self { market_ns: reader.i64()?, body: reader.body()? };
        match reader.0.len() {
            0 => Ok(event),
            got => Err(BadEvent::Trailing { got }),
        }
    }
}

struct Writer<'a>(&'a mut Vec<u8>);

impl Writer<'_> {
    fn u8(&mut self, value: u8) -> &mut Self {
        self.0.push(value);
        self
    }

    fn u16(&mut self, value: u16) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    fn u64(&mut self, value: u64) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    fn i32(&mut self, value: i32) -> &mut Self {
        self.u32(value.cast_unsigned())
    }

    fn i64(&mut self, value: i64) -> &mut Self {
        self.u64(value.cast_unsigned())
    }

    fn atoms(&mut self, value: Atoms) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    fn signal(&mut self, signal: &Signal) -> &mut Self {
        self.u16(signal.release.0).u16(signal.instrument.0).i64(signal.target_lots);
        self.i64(signal.bar_close_ns).i64(signal.time_to_live_ns)
    }

    fn report(&mut self, report: &Report) -> &mut Self {
        let ClientOrderId { account, epoch, sequence } = report.order;
        self.u16(account).u32(epoch).u64(sequence);
        match report.kind {
            ReportKind::Accepted { venue_order } => self.u8(0).u64(venue_order),
            ReportKind::Rejected { venue_code } => self.u8(1).i32(venue_code),
            ReportKind::Trade { fill, executed_lots } => {
                self.u8(2).u64(fill.trade).i64(fill.ticks).i64(fill.lots).atoms(fill.quote_atoms);
                self.u16(fill.fee_asset.0).atoms(fill.fee_atoms).i64(executed_lots)
            }
            ReportKind::Canceled { executed_lots } => self.u8(3).i64(executed_lots),
            ReportKind::Expired { executed_lots } => self.u8(4).i64(executed_lots),
            ReportKind::CancelRejected { venue_code } => self.u8(5).i32(venue_code),
            ReportKind::NotFound { conclusive } => self.u8(6).u8(conclusive.into()),
            ReportKind::Unanswered => self.u8(7),
        }
    }

    fn balances(&mut self, balances: &Balances) -> &mut Self {
        self.i64(balances.as_of_ns).u32(balances.holdings.len() as u32);
        for (asset, atoms) in &balances.holdings {
            self.u16(asset.0).atoms(*atoms);
        }
        self
    }

    fn command(&mut self, command: Command) -> &mut Self {
        match command {
            Command::Halt => self.u8(0),
            Command::Reduce => self.u8(1),
            Command::Resume => self.u8(2),
            Command::Flatten => self.u8(3),
            Command::Close(instrument) => self.u8(4).u16(instrument.0),
        }
    }

    fn limit_set(&mut self, limit_set: &LimitSet) -> &mut Self {
        for atoms in [limit_set.max_order_atoms, limit_set.max_exposure_atoms, limit_set.max_open_atoms] {
            match atoms {
                Some(atoms) => self.u8(1).atoms(atoms),
                None => self.u8(0),
            };
        }
        for rate in [limit_set.max_orders_per_second, limit_set.max_orders_per_minute] {
            match rate {
                Some(rate) => self.u8(1).u32(rate),
                None => self.u8(0),
            };
        }
        self
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], BadEvent> {
        let (field, rest) =
            self.0.split_first_chunk::<N>().ok_or(BadEvent::Truncated { expected: N, got: self.0.len() })?;
        self.0 = rest;
        Ok(*field)
    }

    fn u8(&mut self) -> Result<u8, BadEvent> {
        Ok(self.take::<1>()?[0])
    }

    fn u16(&mut self) -> Result<u16, BadEvent> {
        self.take().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, BadEvent> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, BadEvent> {
        self.take().map(u64::from_le_bytes)
    }

    fn i32(&mut self) -> Result<i32, BadEvent> {
        self.take().map(i32::from_le_bytes)
    }

    fn i64(&mut self) -> Result<i64, BadEvent> {
        self.take().map(i64::from_le_bytes)
    }

    fn atoms(&mut self) -> Result<Atoms, BadEvent> {
        self.take().map(Atoms::from_le_bytes)
    }

    fn truth(&mut self, what: &'static str) -> Result<bool, BadEvent> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            got => Err(BadEvent::Unknown { what, got }),
        }
    }

    fn body(&mut self) -> Result<Body, BadEvent> {
        Ok(match self.u8()? {
            1 => Body::Epoch { epoch: self.u32()? },
            2 => Body::Verdict { release: ReleaseId(self.u16()?), ok: self.truth("verdict")? },
            3 => Body::Signal(Signal {
                release: ReleaseId(self.u16()?),
                instrument: InstrumentId(self.u16()?),
                target_lots: self.i64()?,
                bar_close_ns: self.i64()?,
                time_to_live_ns: self.i64()?,
            }),
            4 => Body::EndOfBar { bar_close_ns: self.i64()? },
            5 => Body::Bbo {
                instrument: InstrumentId(self.u16()?),
                bid_ticks: self.i64()?,
                ask_ticks: self.i64()?,
                as_of_ns: self.i64()?,
            },
            6 => Body::Report(self.report()?),
            7 => Body::Balances(self.balances()?),
            8 => Body::Timer,
            9 => Body::Command(match self.u8()? {
                0 => Command::Halt,
                1 => Command::Reduce,
                2 => Command::Resume,
                3 => Command::Flatten,
                4 => Command::Close(InstrumentId(self.u16()?)),
                got => return Err(BadEvent::Unknown { what: "command", got }),
            }),
            10 => Body::Limits { release: ReleaseId(self.u16()?), limits: self.limit_set()? },
            got => return Err(BadEvent::Unknown { what: "kind of event", got }),
        })
    }

    fn report(&mut self) -> Result<Report, BadEvent> {
        let order = ClientOrderId { account: self.u16()?, epoch: self.u32()?, sequence: self.u64()? };
        let kind = match self.u8()? {
            0 => ReportKind::Accepted { venue_order: self.u64()? },
            1 => ReportKind::Rejected { venue_code: self.i32()? },
            2 => {
                let fill = Fill {
                    trade: self.u64()?,
                    ticks: self.i64()?,
                    lots: self.i64()?,
                    quote_atoms: self.atoms()?,
                    fee_asset: Asset(self.u16()?),
                    fee_atoms: self.atoms()?,
                };
                ReportKind::Trade { fill, executed_lots: self.i64()? }
            }
            3 => ReportKind::Canceled { executed_lots: self.i64()? },
            4 => ReportKind::Expired { executed_lots: self.i64()? },
            5 => ReportKind::CancelRejected { venue_code: self.i32()? },
            6 => ReportKind::NotFound { conclusive: self.truth("conclusive")? },
            7 => ReportKind::Unanswered,
            got => return Err(BadEvent::Unknown { what: "kind of report", got }),
        };
        Ok(Report { order, kind })
    }

    fn balances(&mut self) -> Result<Balances, BadEvent> {
        let as_of_ns = self.i64()?;
        let count = self.u32()?;
        // Not reserved by the count: bytes that are no event must not decide how much memory is taken.
        let holdings = (0..count).map(|_| Ok((Asset(self.u16()?), self.atoms()?))).collect::<Result<_, BadEvent>>()?;
        Ok(Balances { as_of_ns, holdings })
    }

    fn limit_set(&mut self) -> Result<LimitSet, BadEvent> {
        let mut atoms = [None; 3];
        for place in &mut atoms {
            *place = if self.truth("limit set")? { Some(self.atoms()?) } else { None };
        }
        let mut rates = [None; 2];
        for place in &mut rates {
            *place = if self.truth("limit set")? { Some(self.u32()?) } else { None };
        }
        let [max_order_atoms, max_exposure_atoms, max_open_atoms] = atoms;
        let [max_orders_per_second, max_orders_per_minute] = rates;
        Ok(LimitSet {
            max_order_atoms,
            max_exposure_atoms,
            max_open_atoms,
            max_orders_per_second,
            max_orders_per_minute,
        })
    }
}

#[cfg(test)]
mod tests;
