//! What a request must satisfy before the journal has it.
//!
//! Invariant: a request that passes can be carried out; what can still refuse it is the book and the balance it meets
//! on arrival. Nothing is rounded: a price between two ticks is a `PRICE_FILTER`, a quantity between two lots a
//! `LOT_SIZE`.

use sapphire_core::amounts::{Atoms, MAX_ATOMS, is_holdable};
use sapphire_core::instrument::{Instrument, InstrumentId};
use sapphire_core::venue::{AccountId, AccountKind, FeeRates, OrderId, Terms, TimeInForce as Core};
use sapphire_sim::market::Listed;

use super::api::{
    CancelAll, CancelOrder, Filter, MAX_CLIENT_ORDER_ID, MAX_OPEN_ORDERS, MatchingError, OrderKind, PlaceOrder,
    Refusal, TimeInForce,
};
use super::command::{Cancel, Command, OpenAccount, Place};
use super::{Genesis, MatchingService};

/// How far market time can go: the generated market's history ends there (2048-11-01).
const LAST_NS: i64 = 2_487_196_800_000_000_000;

/// Longest name of an account, in bytes.
const LONGEST_NAME: usize = 32;

/// Fee rates above this are a mistake: 10 %, in 1e-8.
const HIGHEST_FEE: i64 = 10_000_000;

impl MatchingService {
    /// The command of a new order.
    pub(super) fn check_place(&self, order: &PlaceOrder) -> Result<Command, MatchingError> {
        self.check_account(order.account)?;
        let info = self.catalog.symbol(order.instrument).ok_or(MatchingError::UnknownInstrument)?;
        if !info.is_open(self.now_ns()) {
            return Err(Refusal::MarketClosed.into());
        }
        if let Some(text) = &order.client_order_id {
            check_client_id(text)?;
            if self.ledger.has_client_id(order.account, text) {
                return Err(Refusal::DuplicateOrder.into());
            }
        }
        let terms = self.terms(order, &info.instrument)?;
        let open = self.ledger.count_open(order.account, order.instrument, MAX_OPEN_ORDERS);
        if matches!(terms, Terms::Limit { .. }) && open == MAX_OPEN_ORDERS {
            return Err(Refusal::Filter(Filter::MaxNumOrders).into());
        }
        Ok(Command::Place(Place {
            account: order.account,
            instrument: order.instrument,
            side: order.side,
            terms,
            client_order_id: order.client_order_id.clone(),
        }))
    }

    fn terms(&self, order: &PlaceOrder, rules: &Instrument) -> Result<Terms, Refusal> {
        match order.kind {
            OrderKind::Limit { price_atoms, quantity_atoms, time_in_force } => {
                let time_in_force = match time_in_force {
                    TimeInForce::Gtc => Core::GoodTillCancel,
                    TimeInForce::Ioc => Core::ImmediateOrCancel,
                    TimeInForce::Fok => Core::FillOrKill,
                };
                limit(rules, price_atoms, quantity_atoms, time_in_force)
            }
            OrderKind::LimitMaker { price_atoms, quantity_atoms } => {
                limit(rules, price_atoms, quantity_atoms, Core::PostOnly)
            }
            OrderKind::Market { quantity_atoms } => {
                let lots = lots(rules, quantity_atoms, Filter::MarketLotSize)?;
                let reference = self.last_price(order.account, order.instrument);
                if reference.is_some_and(|ticks| !rules.is_worth_an_order(ticks, lots)) {
                    return Err(Refusal::Filter(Filter::Notional));
                }
                Ok(Terms::Market { lots })
            }
            OrderKind::MarketQuote { quote_atoms } => {
                if quote_atoms < rules.min_notional_atoms {
                    return Err(Refusal::Filter(Filter::Notional));
                }
                Ok(Terms::MarketQuote { quote_atoms })
            }
        }
    }

    /// The price of the last trade that an account could see: in its own books, or in the public ones where they are
    /// the same.
    fn last_price(&self, account: AccountId, instrument: InstrumentId) -> Option<i64> {
        if self.market.is_public(account) {
            return self.public_price(instrument);
        }
        self.market.last_ticks(account, instrument).or_else(|| self.path_price(instrument))
    }

    /// The last public trade's price, or the path's where nothing has traded yet.
    pub(super) fn public_price(&self, instrument: InstrumentId) -> Option<i64> {
        let traded = self.tapes.get(instrument.0 as usize).and_then(|tape| tape.last()).map(|trade| trade.ticks);
        traded.or_else(|| self.path_price(instrument))
    }

    fn path_price(&self, instrument: InstrumentId) -> Option<i64> {
        self.charts.present_minute(instrument, self.now_ns()).map(|minute| minute.close)
    }

    /// The command of a cancel.
    pub(super) fn check_cancel(&self, cancel: &CancelOrder) -> Result<Command, MatchingError> {
        self.check_account(cancel.account)?;
        self.check_instrument(cancel.instrument)?;
        if let Some(text) = &cancel.cancel_client_order_id {
            check_client_id(text)?;
        }
        let order = self.ledger.find_open(cancel.account, cancel.instrument, &cancel.order);
        let order = order.ok_or(MatchingError::UnknownOrder)?;
        Ok(Command::Cancel(Cancel {
            account: cancel.account,
            order: OrderId(order.order_id),
            client_order_id: cancel.cancel_client_order_id.clone(),
        }))
    }

    /// The command of a cancel of everything.
    pub(super) fn check_cancel_all(&self, cancel: CancelAll) -> Result<Command, MatchingError> {
        let CancelAll { account, instrument } = cancel;
        self.check_account(account)?;
        self.check_instrument(instrument)?;
        let has_open = self.ledger.open(account, Some(instrument)).next().is_some();
        if has_open { Ok(Command::CancelAll { account, instrument }) } else { Err(MatchingError::UnknownOrder) }
    }

    /// The command of a deposit or withdrawal.
    pub(super) fn check_deposit(
        &self,
        account: AccountId,
        asset: &str,
        atoms: Atoms,
    ) -> Result<Command, MatchingError> {
        self.check_account(account)?;
        let index = self.fundable(asset)?;
        let held = self.balance(account, index).ok_or(MatchingError::UnknownAccount)?;
        let free = held.free_atoms;
        let is_held = is_holdable(atoms) && free + atoms >= 0 && is_holdable(free + held.locked_atoms + atoms);
        if !is_held {
            return Err(MatchingError::Deposit(format!(
                "{atoms} atoms of {asset} cannot be added to the {free} that are free: an account holds 0 to {MAX_ATOMS}"
            )));
        }
        Ok(Command::Deposit { account, asset: asset.to_owned(), atoms })
    }

    /// The command of a new account; one without a name is the development account.
    pub(super) fn check_account_opening(
        &self,
        name: Option<&str>,
        fees: FeeRates,
        funds: &[(String, Atoms)],
    ) -> Result<Command, MatchingError> {
        if let Some(name) = name {
            check_name(name)?;
            if self.account_named(name).is_ok() {
                return Err(MatchingError::NameTaken(name.to_owned()));
            }
        }
        for (asset, atoms) in funds {
            self.fundable(asset)?;
            if !(0..=MAX_ATOMS).contains(atoms) {
                return Err(MatchingError::Deposit(format!(
                    "an account begins with 0 to {MAX_ATOMS} atoms, got {atoms} of {asset}"
                )));
            }
        }
        if [fees.maker, fees.taker].iter().any(|rate| !(0..=HIGHEST_FEE).contains(rate)) {
            return Err(MatchingError::Deposit(format!(
                "expected fee rates from 0 to {HIGHEST_FEE} (1e-8), got {fees:?}"
            )));
        }
        let FeeRates { maker, taker } = fees;
        let (name, own_books) = (name.map(str::to_owned), name.is_some());
        Ok(Command::OpenAccount(OpenAccount { maker, taker, funds: funds.to_vec(), name, own_books }))
    }

    /// The account of a name.
    pub(super) fn account_named(&self, name: &str) -> Result<AccountId, MatchingError> {
        let found = self.accounts.iter().position(|row| row.name.as_deref() == Some(name));
        found.map(|index| AccountId(index as u32)).ok_or_else(|| {
            let names: Vec<&str> = self.accounts.iter().filter_map(|row| row.name.as_deref()).collect();
            let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            MatchingError::AccountName(format!("expected the name of an account (there are: {known}), got {name:?}"))
        })
    }

    /// The command of an advance to `to_ns` that a `wake_at` may end earlier.
    pub(super) fn check_advance(&self, to_ns: i64, wake_at: &[i64]) -> Result<Command, MatchingError> {
        if !self.genesis.is_lockstep {
            let text = "market time runs at a speed here; expected an exchange started with --lockstep";
            return Err(MatchingError::Clock(text.into()));
        }
        let now_ns = self.now_ns();
        let last_ns = self.rules_end_ns().unwrap_or(LAST_NS);
        if !(now_ns..=last_ns).contains(&to_ns) {
            let until =
                if last_ns < LAST_NS { ", when trading rules change and a new market has to begin" } else { "" };
            return Err(MatchingError::Clock(format!(
                "expected a time from {now_ns} to {last_ns}{until}, got {to_ns}"
            )));
        }
        let wake_ns = wake_at.iter().copied().filter(|wake_ns| *wake_ns > now_ns).min();
        Ok(Command::Advance { to_ns: wake_ns.map_or(to_ns, |wake_ns| wake_ns.min(to_ns)) })
    }

    /// When the first symbol's trading rules change to ones that this market was not begun with.
    pub(super) fn rules_end_ns(&self) -> Option<i64> {
        self.market.listed().iter().filter_map(Listed::rules_end_ns).min()
    }

    pub(super) fn check_account(&self, account: AccountId) -> Result<(), MatchingError> {
        let kind = self.market.account(account).map(sapphire_core::venue::Account::kind);
        if kind == Some(AccountKind::Client) { Ok(()) } else { Err(MatchingError::UnknownAccount) }
    }

    pub(super) fn check_instrument(&self, instrument: InstrumentId) -> Result<(), MatchingError> {
        if self.catalog.symbol(instrument).is_some() { Ok(()) } else { Err(MatchingError::UnknownInstrument) }
    }

    fn fundable(&self, asset: &str) -> Result<sapphire_core::instrument::Asset, MatchingError> {
        self.catalog.asset(asset).ok_or_else(|| {
            let known: Vec<&str> = self.catalog.assets().iter().map(|info| info.name.as_str()).collect();
            MatchingError::Deposit(format!("expected one of the assets {}, got {asset}", known.join(", ")))
        })
    }
}

/// Whether a genesis is one that the engine can run.
pub(super) fn check_genesis(genesis: &Genesis) -> Result<(), String> {
    /// 2017-01-01: before any listing.
    const FIRST_NS: i64 = 1_483_228_800_000_000_000;
    if (FIRST_NS..=LAST_NS).contains(&genesis.start_ns) {
        return Ok(());
    }
    let (first, last, got) = (FIRST_NS, LAST_NS, genesis.start_ns);
    let [first, last, got] = [first, last, got].map(crate::settings::iso);
    Err(format!(
        "--start does not fit\n  expected: a time from {first} to {last}\n  got:      {got}\n  next:     choose another"
    ))
}

fn check_name(name: &str) -> Result<(), MatchingError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(is_plain) {
        return Ok(());
    }
    Err(MatchingError::AccountName(format!(
        "expected an account name of 1 to {LONGEST_NAME} letters, digits, - and _, got {name:?}"
    )))
}

fn check_client_id(text: &str) -> Result<(), Refusal> {
    if (1..=MAX_CLIENT_ORDER_ID).contains(&text.len()) { Ok(()) } else { Err(Refusal::ClientOrderId) }
}

fn limit(rules: &Instrument, price_atoms: Atoms, quantity_atoms: Atoms, time_in_force: Core) -> Result<Terms, Refusal> {
    let ticks =
        steps(price_atoms, rules.tick_atoms).filter(|ticks| (rules.min_ticks..=rules.max_ticks).contains(ticks));
    let ticks = ticks.ok_or(Refusal::Filter(Filter::Price))?;
    let lots = lots(rules, quantity_atoms, Filter::LotSize)?;
    if !rules.is_worth_an_order(ticks, lots) {
        return Err(Refusal::Filter(Filter::Notional));
    }
    Ok(Terms::Limit { ticks, lots, time_in_force })
}

/// How many steps an amount is; none where it is no whole number of them, or more than 64 bits count.
fn steps(atoms: Atoms, step: i64) -> Option<i64> {
    let step = Atoms::from(step);
    if atoms % step == 0 { i64::try_from(atoms / step).ok() } else { None }
}

/// Whole lots within bounds; `bounds` is the filter that names a quantity out of them.
fn lots(rules: &Instrument, quantity_atoms: Atoms, bounds: Filter) -> Result<i64, Refusal> {
    if quantity_atoms <= 0 || quantity_atoms % Atoms::from(rules.lot_atoms) != 0 {
        return Err(Refusal::Filter(Filter::LotSize));
    }
    // More than 64 bits of lots are more than any instrument's largest order.
    let lots = steps(quantity_atoms, rules.lot_atoms).ok_or(Refusal::Filter(bounds))?;
    if (rules.min_lots..=rules.max_lots).contains(&lots) { Ok(lots) } else { Err(Refusal::Filter(bounds)) }
}
