//! The gate that every order passes before it may be sent.
//!
//! Invariant: an `Approved` order has met every limit from its own up to the account's at the moment it was made, and
//! nothing else makes one. The gate fails closed: what it cannot know (a price, a value) refuses. Cancels do not come
//! here: they always pass.
//!
//! Known limitation: spot. An order reduces when it sells, because nothing can be held below zero.

use crate::amounts::Atoms;
use crate::instrument::{Instrument, InstrumentId, Side, fee};
use crate::orders::{ClientOrderId, Order, ReleaseId};

/// Why an order was not let through.
pub mod denial;
/// Trading state and loss latch.
pub mod latch;
/// The numbers of the gate.
pub mod limits;
mod rate_limiter;
#[cfg(test)]
mod tests;
mod value;

pub use denial::{Denial, DenialCode, Level};
pub use latch::{Cause, Command, TradingState};
pub use limits::{LimitSet, Limits};

use latch::Latch;
use rate_limiter::RateLimiter;
use value::{bounds, size, unvalued};

/// An order that passed the gate. Only [`Gate::check`] makes one and only one can be sent, so an unchecked order does
/// not compile.
#[derive(Debug, PartialEq, Eq)]
pub struct Approved(Order);

impl Approved {
    /// What was approved.
    pub fn order(&self) -> &Order {
        &self.0
    }
}

/// Best prices of an instrument and when they were seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bbo {
    /// Best bid.
    pub bid_ticks: i64,
    /// Best ask.
    pub ask_ticks: i64,
    /// Market time at which they stood.
    pub market_ns: i64,
}

impl Bbo {
    /// Price in the middle, quote atoms per base unit.
    pub fn middle_atoms(&self, instrument: &Instrument) -> Atoms {
        instrument.price_atoms(self.bid_ticks).midpoint(instrument.price_atoms(self.ask_ticks))
    }
}

/// What a limit set carries before the order: values in quote atoms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// Value held; without one, why there is none: something held has no fresh price, or is worth more than an account
    /// can hold.
    pub held_atoms: Result<Atoms, DenialCode>,
    /// Buys on the way.
    pub buying_atoms: Atoms,
    /// Sells on the way.
    pub selling_atoms: Atoms,
}

impl Exposure {
    /// Nothing held and nothing on the way.
    pub const NONE: Self = Self { held_atoms: Ok(0), buying_atoms: 0, selling_atoms: 0 };
}

/// The account as an order finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountView {
    /// Market time.
    pub now_ns: i64,
    /// Whole lots held and not promised to sells on the way.
    pub sellable_lots: i64,
    /// Cash not promised to buys on the way.
    pub free_cash_atoms: Atoms,
    /// Base atoms held of the instrument.
    pub held_atoms: Atoms,
    /// All cash.
    pub cash_atoms: Atoms,
    /// Equity; without one, why there is none, as for [`Exposure::held_atoms`].
    pub equity_atoms: Result<Atoms, DenialCode>,
    /// The instrument's exposure.
    pub symbol: Exposure,
    /// The release's exposure.
    pub strategy: Exposure,
    /// The account's exposure.
    pub account: Exposure,
    /// Best price of own orders of the instrument on the other side.
    pub own_opposite_ticks: Option<i64>,
}

/// The last order of an instrument that passed, and when.
#[derive(Clone, Copy, Debug)]
struct Passed {
    now_ns: i64,
    order: Order,
}

impl Passed {
    /// `order` would be the same thing again at the same moment.
    fn is_repeated_by(&self, order: &Order, now_ns: i64) -> bool {
        let terms = |order: &Order| (order.side, order.ticks, order.lots);
        self.now_ns == now_ns && terms(&self.order) == terms(order)
    }
}

/// One limit set with its windows.
#[derive(Clone, Debug)]
struct Watched {
    limit_set: LimitSet,
    rate_limiter: RateLimiter,
}

impl Watched {
    fn new(limit_set: &LimitSet) -> Self {
        Self { limit_set: *limit_set, rate_limiter: RateLimiter::new(limit_set) }
    }
}

/// The limits and what they need to remember.
#[derive(Clone, Debug)]
pub struct Gate {
    instruments: Vec<Instrument>,
    /// Fee that a buy pays in quote on top of its value, 1e-8.
    quote_fee_rate: i64,
    collar_bps: i64,
    max_reference_age_ns: i64,
    symbols: Vec<Watched>,
    /// By release: the tighter of what the configuration has for its place and of its own limits.
    strategies: Vec<Watched>,
    /// By release: what the configuration has for its place.
    places: Vec<LimitSet>,
    account: Watched,
    latch: Latch,
    guards_loss: bool,
    last_id: Option<ClientOrderId>,
    passed: Vec<Option<Passed>>,
    /// By instrument: a command has closed it, and nothing of it is bought before one resumes.
    closed: Vec<bool>,
}

impl Gate {
    /// A gate for `instruments`; `quote_fee_rate` (1e-8) is what a buy pays in quote on top of its value.
    #[must_use]
    pub fn new(instruments: Vec<Instrument>, quote_fee_rate: i64, limits: &Limits) -> Self {
        Self {
            passed: vec![None; instruments.len()],
            closed: vec![false; instruments.len()],
            instruments,
            quote_fee_rate,
            collar_bps: limits.collar_bps,
            max_reference_age_ns: limits.max_reference_age_ns,
            symbols: limits.symbols.iter().map(Watched::new).collect(),
            strategies: limits.strategies.iter().map(Watched::new).collect(),
            places: limits.strategies.clone(),
            account: Watched::new(&limits.account),
            latch: Latch::new(limits.max_daily_loss_bps),
            guards_loss: limits.max_daily_loss_bps.is_some(),
            last_id: None,
        }
    }

    /// What passes at present.
    pub fn state(&self) -> TradingState {
        self.latch.state()
    }

    /// Whether a reference of that time is fresh at `now_ns`.
    pub fn is_fresh(&self, bbo: &Bbo, now_ns: i64) -> bool {
        now_ns.saturating_sub(bbo.market_ns) <= self.max_reference_age_ns
    }

    /// Obeys an operator.
    pub fn command(&mut self, command: Command) {
        self.latch.command(command);
        match command {
            Command::Flatten => self.closed.fill(true),
            Command::Resume => self.closed.fill(false),
            Command::Close(InstrumentId(index)) => {
                if let Some(closed) = self.closed.get_mut(index as usize) {
                    *closed = true;
                }
            }
            Command::Halt | Command::Reduce => {}
        }
    }

    /// A command has closed an instrument: what is held of it is sold, and nothing bought, until one resumes.
    pub fn is_closed(&self, instrument: InstrumentId) -> bool {
        self.closed.get(instrument.0 as usize).copied().unwrap_or(false)
    }

    /// What one order, and all orders on the way, may be worth by the limits of an instrument and of the account.
    pub fn value_limits(&self, instrument: InstrumentId) -> [Option<LimitSet>; 2] {
        [self.symbols.get(instrument.0 as usize).map(|watched| watched.limit_set), Some(self.account.limit_set)]
    }

    /// Takes note of the equity; whether the loss latch trips by it.
    pub fn observe(&mut self, now_ns: i64, equity_atoms: Atoms) -> bool {
        self.latch.observe(now_ns, equity_atoms)
    }

    /// Money came in (negative: went out): neither a gain nor a loss of the day.
    pub fn shift(&mut self, atoms: Atoms) {
        self.latch.shift(atoms);
    }

    /// What holds at the level of a release: the tighter of the configuration's and its own. None without a place.
    pub fn strategy(&self, release: ReleaseId) -> Option<&LimitSet> {
        self.strategies.get(release.0 as usize).map(|watched| &watched.limit_set)
    }

    /// A release's own limits take their place at the strategy's level. They cannot allow more than the configuration
    /// does, and the orders counted so far stay counted. A release without a place has no orders either.
    pub fn tighten(&mut self, release: ReleaseId, own: &LimitSet) {
        let index = release.0 as usize;
        if let (Some(watched), Some(place)) = (self.strategies.get_mut(index), self.places.get(index)) {
            watched.limit_set = place.tightened(own);
            watched.rate_limiter.set(&watched.limit_set);
        }
    }

    /// The venue never had this order, so that the same again is no duplicate. It stays counted by the rate limiter.
    pub fn forget(&mut self, order: &Order) {
        if let Some(passed) = self.passed.get_mut(order.instrument.0 as usize) {
            *passed = passed.filter(|passed| passed.order.id != order.id);
        }
    }

    /// Checks `order` against every limit from the order's own up to the account's.
    ///
    /// # Errors
    /// The first limit that refuses: its code, the limit and the value that met it.
    pub fn check(&mut self, order: Order, account: &AccountView, bbo: Option<Bbo>) -> Result<Approved, Denial> {
        self.state_allows(&order)?;
        let instrument = self.known(&order)?;
        let bbo = self.fresh(bbo, account.now_ns)?;
        let value = bounds(&order, &instrument, account)?;
        self.collar(&order, &bbo)?;
        self.means(&order, value, account)?;
        self.not_again(&order, account)?;
        self.tree(&order, value, account)?;
        self.record(&order, account.now_ns);
        Ok(Approved(order))
    }

    fn state_allows(&self, order: &Order) -> Result<(), Denial> {
        let refuse = |code, (value, limit): (Atoms, Atoms)| Err(Denial { code, level: Level::Account, value, limit });
        match (self.state(), order.side) {
            (TradingState::Halted, _) => refuse(DenialCode::Halted, (0, 0)),
            (TradingState::Reducing, Side::Buy) => match self.latch.tripped() {
                Some(tripped) => refuse(DenialCode::LossLatch, tripped),
                None => refuse(DenialCode::Reducing, (0, 0)),
            },
            (TradingState::Active, Side::Buy) if self.is_closed(order.instrument) => {
                Err(Denial { code: DenialCode::Reducing, level: Level::Symbol, value: 0, limit: 0 })
            }
            _ => Ok(()),
        }
    }

    fn known(&self, order: &Order) -> Result<Instrument, Denial> {
        let instrument = self.instruments.get(order.instrument.0 as usize).copied();
        let has_limits = self.symbols.len() > order.instrument.0 as usize;
        // An operator may reduce in nobody's name, and no more than that.
        let has_place = self.strategies.len() > order.release.0 as usize
            || (order.release == ReleaseId::OPERATOR && order.side == Side::Sell);
        instrument.filter(|_| has_limits && has_place).ok_or_else(|| {
            Denial::order(DenialCode::Unknown, i64::from(order.instrument.0), i64::from(order.release.0))
        })
    }

    fn fresh(&self, bbo: Option<Bbo>, now_ns: i64) -> Result<Bbo, Denial> {
        let limit = self.max_reference_age_ns;
        let sound = |bbo: &Bbo| 0 < bbo.bid_ticks && bbo.bid_ticks <= bbo.ask_ticks;
        let bbo = bbo.filter(sound).ok_or_else(|| Denial::order(DenialCode::NoReference, 0, limit))?;
        if self.is_fresh(&bbo, now_ns) {
            Ok(bbo)
        } else {
            Err(Denial::order(DenialCode::StaleReference, now_ns.saturating_sub(bbo.market_ns), limit))
        }
    }

    fn collar(&self, order: &Order, bbo: &Bbo) -> Result<(), Denial> {
        let middle = i128::from(bbo.bid_ticks) + i128::from(bbo.ask_ticks);
        let away = (2 * i128::from(order.ticks) - middle).abs() * 10_000;
        // In basis points, rounded up: a hair beyond the collar is beyond it.
        let bps = (away + middle - 1) / middle.max(1);
        if bps > i128::from(self.collar_bps) {
            return Err(Denial::order(DenialCode::Collar, bps, self.collar_bps));
        }
        Ok(())
    }

    /// Spot: what is sold is held, what is bought is paid for.
    fn means(&self, order: &Order, value: Atoms, account: &AccountView) -> Result<(), Denial> {
        let (code, needed, available) = match order.side {
            Side::Sell => (DenialCode::Oversell, Atoms::from(order.lots), Atoms::from(account.sellable_lots)),
            Side::Buy => {
                let cost = value + fee(value, self.quote_fee_rate);
                (DenialCode::InsufficientCash, cost, account.free_cash_atoms)
            }
        };
        if needed > available { Err(Denial::order(code, needed, available)) } else { Ok(()) }
    }

    fn not_again(&self, order: &Order, account: &AccountView) -> Result<(), Denial> {
        if let Some(own) = account.own_opposite_ticks
            && (own - order.ticks) * order.side.sign() <= 0
        {
            return Err(Denial::order(DenialCode::SelfTrade, order.ticks, own));
        }
        let passed = self.passed.get(order.instrument.0 as usize).and_then(Option::as_ref);
        let same = passed.is_some_and(|passed| passed.is_repeated_by(order, account.now_ns));
        if let Some(last) = self.last_id.filter(|last| same || order.id <= *last) {
            return Err(Denial::order(DenialCode::Duplicate, order.id.sequence, last.sequence));
        }
        Ok(())
    }

    /// The limit sets that an order hangs on; an operator's on no strategy's.
    fn limit_sets(&self, order: &Order) -> impl Iterator<Item = (Level, &Watched)> {
        let strategy = self.strategies.get(order.release.0 as usize).map(|watched| (Level::Strategy, watched));
        let symbol = (Level::Symbol, &self.symbols[order.instrument.0 as usize]);
        [Some(symbol), strategy, Some((Level::Account, &self.account))].into_iter().flatten()
    }

    fn tree(&self, order: &Order, value: Atoms, account: &AccountView) -> Result<(), Denial> {
        for (level, watched) in self.limit_sets(order) {
            let exposure = match level {
                Level::Symbol => account.symbol,
                Level::Strategy => account.strategy,
                Level::Order | Level::Account => account.account,
            };
            size(&watched.limit_set, level, value, order.side, &exposure)?;
        }
        if order.side == Side::Buy
            && self.guards_loss
            && let Err(code) = account.equity_atoms
        {
            return Err(unvalued(code, Level::Account, self.max_reference_age_ns));
        }
        for (level, watched) in self.limit_sets(order) {
            if let Some((code, sent)) = watched.rate_limiter.full(account.now_ns) {
                return Err(Denial { code, level, value: sent.into(), limit: sent.into() });
            }
        }
        Ok(())
    }

    fn record(&mut self, order: &Order, now_ns: i64) {
        let InstrumentId(instrument) = order.instrument;
        let ReleaseId(release) = order.release;
        self.symbols[instrument as usize].rate_limiter.record(now_ns);
        if let Some(strategy) = self.strategies.get_mut(release as usize) {
            strategy.rate_limiter.record(now_ns);
        }
        self.account.rate_limiter.record(now_ns);
        self.last_id = Some(order.id);
        self.passed[instrument as usize] = Some(Passed { now_ns, order: *order });
    }
}
