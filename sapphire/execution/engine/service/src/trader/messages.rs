//! Facts as messages: names for indices, text for numbers, ids from identities.
//!
//! Invariant: a message is a function of its fact alone, but for the time of its publication.

use sapphire_core::amounts::Atoms;
use sapphire_core::engine::Refusal;
use sapphire_core::instrument::InstrumentId;
use sapphire_core::messages::{
    AccountState, DecimalText, Envelope, FillReport, Heartbeat, Message, Name, OrderExecution, OrderType, PartState,
    PositionState, Prose, RiskUpdate, Sent, Settled, StreamPosition,
};
use sapphire_core::orders::{self, ReleaseId};
use sapphire_core::{engine, instrument, risk};

use super::emitting::{EmittedFact, Fact, OrderFact};
use crate::entry::RunConfig;
use crate::events::{EntryId, ReleaseDigest};
use crate::fold::KnownRelease;
use crate::streams::Streams;
use crate::units::Units;

mod kinds;

use kinds::{order_state, side, time_in_force, trading_state};

/// Who sends it.
pub const PRODUCER: &str = "service";

const NS_PER_MS: i64 = 1_000_000;

/// Facts of a step that have numbers of their own.
const FACTS_PER_STEP: u64 = 1_024;

/// Something that is no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} cannot be published: {why}")]
pub struct Unpublishable {
    what: &'static str,
    why: String,
}

fn unpublishable(what: &'static str) -> impl Fn(String) -> Unpublishable {
    move |why| Unpublishable { what, why }
}

/// What the account holds at the close of a bar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountFact {
    /// The close.
    pub bar_close_ns: i64,
    /// Cash.
    pub cash_quote_atoms: Atoms,
    /// Base atoms and whole lots, by instrument.
    pub positions: Vec<(Atoms, i64)>,
    /// What passes.
    pub state: risk::TradingState,
}

/// Nothing more is to be done at a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettledFact {
    /// The step.
    pub number: u64,
    /// The message that announced it.
    pub message_id: String,
    /// Market time.
    pub now_ns: i64,
    /// Close of the last bar.
    pub bar_close_ns: i64,
    /// Where the signals have been read to.
    pub cursor: EntryId,
    /// Orders and cancels since it settled last.
    pub sent: u64,
    /// When it wants to be woken.
    pub wake_at_ns: Option<i64>,
}

/// Makes messages of facts.
#[derive(Debug)]
pub struct MessageBuilder {
    run: RunConfig,
    release: ReleaseDigest,
    streams: Streams,
    published_from: u64,
    releases: Vec<ReleaseDigest>,
}

/// `ms(x)` of the bus's ids.
pub fn ms(time_ns: i64) -> u64 {
    (time_ns.max(0) / NS_PER_MS).cast_unsigned()
}

/// Where the account's state at a close stands in its stream.
pub fn account_entry(bar_close_ns: i64) -> EntryId {
    EntryId { ms: ms(bar_close_ns), seq: 1 }
}

/// Where a step stands in the streams of the lock-step.
pub fn step_entry(number: u64) -> EntryId {
    EntryId { ms: number, seq: 1 }
}

/// Where a fact stands in the stream of executions; `from` is what the run's steps are published on top of.
pub fn execution_entry(from: u64, emitted: &EmittedFact) -> EntryId {
    EntryId { ms: from + emitted.step, seq: u64::from(emitted.index) + 1 }
}

impl MessageBuilder {
    /// Names of a run and its streams, the release that it trades now, what its steps are published on top of, and the
    /// releases it has met.
    #[must_use]
    pub fn new(
        (run, release, streams): (RunConfig, ReleaseDigest, Streams),
        published_from: u64,
        releases: &[KnownRelease],
    ) -> Self {
        let releases = releases.iter().map(|release| release.digest).collect();
        Self { run, release, streams, published_from, releases }
    }

    /// The streams that it says things in.
    pub fn streams(&self) -> &Streams {
        &self.streams
    }

    /// Where a fact stands in the stream of executions.
    pub fn entry(&self, emitted: &EmittedFact) -> EntryId {
        execution_entry(self.published_from, emitted)
    }

    /// A release took the next slot.
    pub fn seat(&mut self, digest: ReleaseDigest) {
        self.releases.push(digest);
    }

    /// Name of an instrument.
    pub fn symbol(&self, instrument: InstrumentId) -> &str {
        self.run.symbol(instrument).unwrap_or("unknown")
    }

    /// Amounts in their units.
    pub fn units(&self) -> Units<'_> {
        Units(&self.run)
    }

    /// Digest of a release, where it has one.
    pub fn release(&self, release: ReleaseId) -> Option<String> {
        self.releases.get(usize::from(release.0)).map(ToString::to_string)
    }

    /// Name of an asset.
    pub fn asset(&self, asset: instrument::Asset) -> &str {
        self.run.asset_name(asset).unwrap_or("unknown")
    }

    /// The message of a fact of a step.
    ///
    /// # Errors
    /// [`Unpublishable`]: a number or a name that no message can carry.
    pub fn message(&self, emitted: &EmittedFact, wall_ns: i64) -> Result<Message, Unpublishable> {
        match &emitted.fact {
            Fact::Order(fact) => self.execution(emitted, fact, wall_ns),
            Fact::Refused { signal, reason, symbol, state } => {
                let symbol = symbol.as_deref().or_else(|| self.run.symbol(signal.instrument));
                let text = refusal_text(*reason);
                self.risk(emitted, signal.bar_close_ns, (reason.text(), text), symbol, None, *state, wall_ns)
            }
            Fact::Denied { order, denial, state } => {
                let numbers = Units(&self.run).denial(order, denial);
                let text = format!("order {} was refused: {}; {numbers}", order.id, denial.code.meaning());
                let numbers = Some((denial.value, denial.limit));
                let symbol = self.run.symbol(order.instrument);
                self.risk(emitted, order.bar_close_ns, (denial.code.text(), text), symbol, numbers, *state, wall_ns)
            }
            Fact::Trading { state, cause, why, command } => {
                let why = match (why, cause) {
                    (Some(why), _) => why.to_string(),
                    (None, risk::Cause::Command) => "by command".to_owned(),
                    (None, risk::Cause::Loss) => "the loss latch fell".to_owned(),
                };
                let (symbol, text) = match command {
                    Some(risk::Command::Close(instrument)) => {
                        (self.run.symbol(*instrument), format!("the position is closed: {why}"))
                    }
                    Some(risk::Command::Flatten) => (None, format!("every position is closed: {why}")),
                    _ => (None, why),
                };
                self.risk(emitted, 0, (cause.text(), text), symbol, None, *state, wall_ns)
            }
        }
    }

    fn execution(&self, emitted: &EmittedFact, fact: &OrderFact, wall_ns: i64) -> Result<Message, Unpublishable> {
        let order = &fact.order;
        let wrong = unpublishable("an order");
        let envelope = self.envelope(emitted, order.bar_close_ns, "ORDER_EXECUTION@1", wall_ns)?;
        let reason = match (&fact.denial, fact.venue_code) {
            (Some(denial), _) => Some(denial.code.text().to_owned()),
            (None, Some(code)) => Some(format!("VENUE_{}", code.unsigned_abs())),
            (None, None) if fact.state == orders::OrderState::Expired => Some("EXPIRED".to_owned()),
            (None, None) => None,
        };
        let fill = fact.fill.map(|fill| self.fill(&fill, emitted.market_ns)).transpose()?;
        Ok(Message::OrderExecution(Box::new(OrderExecution {
            account: name(&self.run.account)?,
            created_ns: fact.made_ns.max(0),
            envelope,
            fill,
            filled_lots: fact.filled_lots,
            filled_quote_atoms: fact.filled_quote,
            limit_ticks: Some(order.ticks).filter(|ticks| *ticks > 0),
            lots: order.lots,
            order_id: name(&order.id.to_string())?,
            order_type: if order.ticks > 0 { OrderType::Limit } else { OrderType::Market },
            reason: reason.map(|reason| name(&reason)).transpose()?,
            release: self.release(order.release).map(|digest| name(&digest)).transpose()?,
            side: side(order),
            state: order_state(fact.state),
            symbol: name(self.run.symbol(order.instrument).ok_or_else(|| wrong("an unknown instrument".into()))?)?,
            time_in_force: time_in_force(order.time_in_force),
            venue_order_id: fact.venue_order.map(|number| name(&number.to_string())).transpose()?,
        })))
    }

    fn fill(&self, fill: &orders::Fill, time_ns: i64) -> Result<FillReport, Unpublishable> {
        Ok(FillReport {
            fee_asset: name(self.asset(fill.fee_asset))?,
            fee_atoms: fill.fee_atoms,
            is_maker: false,
            lots: fill.lots,
            price_ticks: fill.ticks,
            quote_atoms: fill.quote_atoms,
            time_ns,
            trade_id: name(&fill.trade.to_string())?,
        })
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one message, from four facts")]
    fn risk(
        &self,
        emitted: &EmittedFact,
        bar_close_ns: i64,
        (code, text): (&str, String),
        symbol: Option<&str>,
        numbers: Option<(Atoms, Atoms)>,
        state: risk::TradingState,
        wall_ns: i64,
    ) -> Result<Message, Unpublishable> {
        let text: String = text.chars().take(1_000).collect();
        Ok(Message::RiskUpdate(Box::new(RiskUpdate {
            account: name(&self.run.account)?,
            code: name(code)?,
            envelope: self.envelope(emitted, bar_close_ns, "RISK_UPDATE@1", wall_ns)?,
            limit: numbers.map(|(_, limit)| decimal(limit)).transpose()?,
            state: trading_state(state),
            // A symbol that is no name, from a signal about something else, cannot be repeated.
            symbol: symbol.and_then(|symbol| Name::new(symbol).ok()),
            text: Prose::new(&text).map_err(|error| unpublishable("a text")(error.to_string()))?,
            value: numbers.map(|(value, _)| decimal(value)).transpose()?,
        })))
    }

    /// The account's state at the close of a bar.
    ///
    /// # Errors
    /// [`Unpublishable`].
    pub fn account(&self, fact: &AccountFact, wall_ns: i64) -> Result<Message, Unpublishable> {
        let entry = account_entry(fact.bar_close_ns);
        let held = self.run.instruments.iter().zip(&fact.positions);
        let positions = held.map(|(listing, (atoms, lots))| {
            Ok(PositionState { atoms: (*atoms).max(0), lots: (*lots).max(0), symbol: name(&listing.symbol)? })
        });
        let close_ms = ms(fact.bar_close_ns);
        Ok(Message::AccountState(Box::new(AccountState {
            account: name(&self.run.account)?,
            bar_close_ns: fact.bar_close_ns,
            cash_quote_atoms: fact.cash_quote_atoms,
            envelope: Envelope {
                causation_id: None,
                event_time_ns: fact.bar_close_ns,
                message_id: name(&format!("{PRODUCER}-{}-{entry}", self.streams.states))?,
                producer: name(PRODUCER)?,
                publish_time_ns: wall_ns,
                schema_id: name("ACCOUNT_STATE@1")?,
                sequence: close_ms / 1_000 * FACTS_PER_STEP,
                trace_id: name(&self.streams.trace(close_ms))?,
            },
            positions: positions.collect::<Result<_, Unpublishable>>()?,
            quote: name(&self.run.quote)?,
            state: trading_state(fact.state),
        })))
    }

    /// That a step is done.
    ///
    /// # Errors
    /// [`Unpublishable`].
    pub fn settled(&self, fact: &SettledFact, wall_ns: i64) -> Result<Message, Unpublishable> {
        let entry = step_entry(fact.number);
        let position = |stream: &str, entry: EntryId| {
            Ok(StreamPosition { position: name(&entry.to_string())?, stream: name(stream)? })
        };
        Ok(Message::Settled(Box::new(Settled {
            bar_close_ns: fact.bar_close_ns,
            consumed: vec![position(&self.streams.signals, fact.cursor)?],
            envelope: Envelope {
                causation_id: Some(name(&fact.message_id)?),
                event_time_ns: fact.now_ns,
                message_id: name(&format!("{PRODUCER}-{}-{entry}", self.streams.settled))?,
                producer: name(PRODUCER)?,
                publish_time_ns: wall_ns,
                schema_id: name("SETTLED@1")?,
                sequence: fact.number,
                trace_id: name(&self.streams.trace(ms(fact.bar_close_ns)))?,
            },
            sent: vec![Sent { count: fact.sent, stream: name("orders")? }],
            wake_at_ns: fact.wake_at_ns.filter(|wake_ns| *wake_ns >= 0),
        })))
    }

    fn envelope(
        &self,
        emitted: &EmittedFact,
        bar_close_ns: i64,
        schema_id: &str,
        wall_ns: i64,
    ) -> Result<Envelope, Unpublishable> {
        let entry = self.entry(emitted);
        let trace = match bar_close_ns {
            0 => format!("{}-step-{}", self.run.account, emitted.step),
            close_ns => self.streams.trace(ms(close_ns)),
        };
        Ok(Envelope {
            causation_id: None,
            event_time_ns: emitted.market_ns.max(0),
            message_id: name(&format!("{PRODUCER}-{}-{entry}", self.streams.executions))?,
            producer: name(PRODUCER)?,
            publish_time_ns: wall_ns,
            schema_id: name(schema_id)?,
            sequence: emitted.step * FACTS_PER_STEP + u64::from(emitted.index),
            trace_id: name(&trace)?,
        })
    }

    /// That the process is alive.
    ///
    /// # Errors
    /// [`Unpublishable`].
    pub fn heartbeat(
        &self,
        (state, since_ns): (PartState, i64),
        address: &str,
        count: u64,
        wall_ns: i64,
    ) -> Result<Message, Unpublishable> {
        let producer = format!("{PRODUCER}:{}", self.run.account);
        Ok(Message::Heartbeat(Box::new(Heartbeat {
            address: Name::new(address).ok(),
            envelope: Envelope {
                causation_id: None,
                event_time_ns: wall_ns,
                message_id: name(&format!("{producer}-{}-{wall_ns}", self.streams.heartbeats))?,
                producer: name(&producer)?,
                publish_time_ns: wall_ns,
                schema_id: name("HEARTBEAT@1")?,
                sequence: count,
                trace_id: name(&format!("part-{producer}"))?,
            },
            release: Some(name(&self.release.to_string())?),
            since_ns,
            state,
        })))
    }
}

fn refusal_text(reason: Refusal) -> String {
    format!("the signal was refused: {}", reason.meaning())
}

fn name(text: &str) -> Result<Name, Unpublishable> {
    Name::new(text).map_err(|error| unpublishable("a name")(format!("{error}, got {text:?}")))
}

fn decimal(number: Atoms) -> Result<DecimalText, Unpublishable> {
    DecimalText::new(&number.to_string()).map_err(|error| unpublishable("a number")(error.to_string()))
}

/// What the engine holds, as it is emitted at a close.
#[must_use]
pub fn account_fact(engine: &engine::Engine, instruments: &[instrument::Instrument], bar_close_ns: i64) -> AccountFact {
    let held = engine.ledger().positions().iter().zip(instruments);
    AccountFact {
        bar_close_ns,
        cash_quote_atoms: engine.ledger().cash_atoms(),
        positions: held.map(|(position, rules)| (position.atoms, position.sellable_lots(rules))).collect(),
        state: engine.trading_state(),
    }
}
