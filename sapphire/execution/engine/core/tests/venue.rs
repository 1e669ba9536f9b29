//! What the venue promises, over random histories of four owners in two books that share their quote asset.
//!
//! Matching is compared with a plain list of orders; money is recounted from nothing after every command.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use sapphire_core::instrument::{Asset, Instrument, InstrumentId, Side};
use sapphire_core::venue::{
    AccountId, AccountKind, Balance, ExpiryReason, FeeRates, NewOrder, Order, OrderId, Outcome, Rejection, Terms,
    TimeInForce, Trade, Venue,
};

const ASSETS: usize = 3;
const QUOTE: Asset = Asset(2);
const LIQUIDITY: AccountId = AccountId(0);
const CLIENTS: u32 = 3;

fn instrument(base: u16, tick_atoms: i64, lot_atoms: i64) -> Instrument {
    Instrument {
        base: Asset(base),
        quote: QUOTE,
        tick_atoms,
        lot_atoms,
        min_lots: 2,
        max_lots: 60,
        min_ticks: 92,
        max_ticks: 110,
        min_notional_atoms: 4_000_000,
    }
}

#[derive(Clone, Debug)]
enum Command {
    Submit {
        account: u32,
        instrument: u16,
        side: Side,
        terms: Terms,
    },
    /// Of the order that was submitted as the `which`-th (modulo their number), by its owner or by somebody else.
    Cancel {
        which: usize,
        account: Option<u32>,
    },
    Deposit {
        account: u32,
        asset: u16,
        atoms: i128,
    },
    /// The synthetic liquidity takes all its orders out.
    Withdraw,
}

fn sides() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Buy), Just(Side::Sell)]
}

fn all_terms() -> impl Strategy<Value = Terms> {
    let time_in_force = prop_oneof![
        4 => Just(TimeInForce::GoodTillCancel),
        1 => Just(TimeInForce::ImmediateOrCancel),
        1 => Just(TimeInForce::FillOrKill),
        1 => Just(TimeInForce::PostOnly),
    ];
    prop_oneof![
        6 => (90_i64..113, 0_i64..64, time_in_force)
            .prop_map(|(ticks, lots, time_in_force)| Terms::Limit { ticks, lots, time_in_force }),
        1 => (0_i64..64).prop_map(|lots| Terms::Market { lots }),
        1 => (0_i128..200_000_000).prop_map(|quote_atoms| Terms::MarketQuote { quote_atoms }),
    ]
}

fn commands() -> impl Strategy<Value = Vec<Command>> {
    let command = prop_oneof![
        12 => (0..=CLIENTS, 0_u16..2, sides(), all_terms())
            .prop_map(|(account, instrument, side, terms)| Command::Submit { account, instrument, side, terms }),
        3 => (any::<usize>(), prop::option::weighted(0.2, 0..=CLIENTS + 1))
            .prop_map(|(which, account)| Command::Cancel { which, account }),
        1 => (1..=CLIENTS + 1, 0_u16..4, -300_000_000_i128..300_000_000)
            .prop_map(|(account, asset, atoms)| Command::Deposit { account, asset, atoms }),
        1 => Just(Command::Withdraw),
    ];
    prop::collection::vec(command, 1..80)
}

/// Tick and lot in atoms; odd ones, so that products are cut.
fn venues() -> impl Strategy<Value = Run> {
    let grain = prop_oneof![Just((1_000_000_i64, 1_000_000_i64)), Just((333_337, 777_001)), Just((7_919_111, 104_729))];
    let fees = prop_oneof![Just(FeeRates::default()), Just(FeeRates { maker: 75_000, taker: 100_000 })];
    (grain.clone(), grain, prop::collection::vec((fees, 0_i128..900_000_000), CLIENTS as usize)).prop_map(
        |(first, second, clients)| {
            let instruments = vec![instrument(0, first.0, first.1), instrument(1, second.0, second.1)];
            let mut run = Run {
                venue: Venue::new(instruments.clone(), ASSETS),
                instruments,
                plain: Plain::default(),
                deposited: [0; ASSETS],
                submitted: Vec::new(),
                trades: [0; 2],
            };
            assert_eq!(run.venue.open_account(AccountKind::Liquidity, FeeRates::default()), LIQUIDITY);
            for (fees, atoms) in clients {
                let account = run.venue.open_account(AccountKind::Client, fees);
                for asset in 0..ASSETS as u16 {
                    run.deposit(account.0, asset, atoms);
                }
            }
            run
        },
    )
}

/// A venue and what is known of it from outside.
#[derive(Debug)]
struct Run {
    venue: Venue,
    instruments: Vec<Instrument>,
    plain: Plain,
    deposited: [i128; ASSETS],
    submitted: Vec<NewOrder>,
    trades: [u64; 2],
}

/// Everything that can be seen of a venue.
type View = (Vec<Balance>, Vec<Vec<sapphire_core::book::Resting>>, Vec<i128>, Vec<Option<Order>>);

impl Run {
    fn deposit(&mut self, account: u32, asset: u16, atoms: i128) {
        if self.venue.deposit(AccountId(account), Asset(asset), atoms).is_ok() {
            self.deposited[asset as usize] += atoms;
        }
    }

    fn view(&self) -> View {
        let account = |id| self.venue.account(id).unwrap().balances().to_vec();
        let book = |id, side| self.venue.book(InstrumentId(id)).unwrap().queue(side).collect();
        (
            accounts().flat_map(account).collect(),
            [0, 1].into_iter().flat_map(|id| [book(id, Side::Buy), book(id, Side::Sell)]).collect(),
            self.venue.collected().to_vec(),
            self.submitted.iter().map(|order| self.venue.order(order.id).copied()).collect(),
        )
    }

    fn apply(&mut self, command: &Command) -> Result<(), TestCaseError> {
        match *command {
            Command::Submit { account, instrument, side, terms } => {
                let id = OrderId(self.submitted.len() as u64 + 1);
                let order =
                    NewOrder { id, account: AccountId(account), instrument: InstrumentId(instrument), side, terms };
                self.submit(order)?;
            }
            Command::Cancel { which, account } if !self.submitted.is_empty() => {
                let order = self.submitted[which % self.submitted.len()];
                self.cancel(order, account.map_or(order.account, AccountId))?;
            }
            Command::Cancel { .. } => {}
            Command::Deposit { account, asset, atoms } => self.deposit(account, asset, atoms),
            Command::Withdraw => {
                let ids: Vec<OrderId> =
                    self.submitted.iter().filter(|order| order.account == LIQUIDITY).map(|order| order.id).collect();
                self.plain.resting.retain(|resting| resting.account != LIQUIDITY);
                self.venue.remove_all(ids.into_iter());
            }
        }
        self.check_money()?;
        self.check_books()
    }

    fn submit(&mut self, order: NewOrder) -> Result<(), TestCaseError> {
        let before = self.view();
        let mut out = Vec::new();
        let answer = self.venue.submit(order, &mut out);
        if answer.is_err() {
            prop_assert_eq!(out, Vec::new());
            prop_assert_eq!(self.view(), before);
            return Ok(());
        }
        self.submitted.push(order);
        prop_assert_eq!(out[0], Outcome::Accepted(order.id));
        let (met, expired) = self.plain.submit(&order, &self.instruments[order.instrument.0 as usize]);
        let trades: Vec<Trade> = out.iter().filter_map(traded).collect();
        let found: Vec<Met> = trades.iter().map(|trade| (trade.maker.order, trade.ticks, trade.lots)).collect();
        prop_assert_eq!(found, met);
        let gone: Vec<OrderId> = out.iter().filter_map(self_trade).collect();
        prop_assert_eq!(gone, expired);
        self.check_trades(&order, &trades)?;
        self.check_end(&order, &out)?;
        self.check_terms(&order, &trades)
    }

    fn cancel(&mut self, order: NewOrder, account: AccountId) -> Result<(), TestCaseError> {
        let before = self.view();
        let stands = self.venue.order(order.id).copied();
        let mut out = Vec::new();
        match self.venue.cancel(account, order.id, &mut out) {
            Ok(found) => {
                prop_assert_eq!(account, order.account);
                prop_assert_eq!(Some(found), stands);
                prop_assert_eq!(out, vec![Outcome::Canceled(order.id)]);
                self.plain.resting.retain(|resting| resting.id != order.id);
            }
            Err(refusal) => {
                prop_assert_eq!(refusal, Rejection::UnknownOrder);
                prop_assert!(stands.is_none() || account != order.account);
                prop_assert_eq!(out, Vec::new());
                prop_assert_eq!(self.view(), before);
            }
        }
        Ok(())
    }

    fn check_trades(&mut self, order: &NewOrder, trades: &[Trade]) -> Result<(), TestCaseError> {
        for trade in trades {
            let number = &mut self.trades[order.instrument.0 as usize];
            *number += 1;
            prop_assert_eq!((trade.number, trade.instrument), (*number, order.instrument));
            prop_assert_eq!((trade.taker.order, trade.taker.account), (order.id, order.account));
            prop_assert_eq!(trade.taker_side, order.side);
            prop_assert!(trade.taker.account != trade.maker.account || order.account == LIQUIDITY);
            prop_assert_eq!(trade.maker.complete, self.venue.order(trade.maker.order).is_none());
        }
        Ok(())
    }

    /// An order rests, or its last word was that it is complete or that it expired: never neither, never both.
    fn check_end(&self, order: &NewOrder, out: &[Outcome]) -> Result<(), TestCaseError> {
        let complete = |outcome: &Outcome| traded(outcome).is_some_and(|trade| trade.taker.complete);
        let expired = |outcome: &Outcome| matches!(outcome, Outcome::Expired(id, _) if *id == order.id);
        let ends = out.iter().filter(|outcome| complete(outcome) || expired(outcome)).count();
        let stands = usize::from(self.venue.order(order.id).is_some());
        prop_assert_eq!(ends + stands, 1, "{:?}", out);
        prop_assert!(ends == 0 || out.last().is_some_and(|outcome| complete(outcome) || expired(outcome)));
        Ok(())
    }

    fn check_terms(&self, order: &NewOrder, trades: &[Trade]) -> Result<(), TestCaseError> {
        let filled: i64 = trades.iter().map(|trade| trade.lots).sum();
        let paid: i128 = trades.iter().map(|trade| trade.quote_atoms).sum();
        let stands = self.venue.order(order.id);
        match order.terms {
            Terms::Limit { ticks, lots, time_in_force } => {
                prop_assert!(trades.iter().all(|trade| (ticks - trade.ticks) * order.side.sign() >= 0));
                prop_assert!(filled <= lots);
                prop_assert!(stands.is_none_or(|order| (order.filled_lots, order.filled_quote) == (filled, paid)));
                match time_in_force {
                    TimeInForce::GoodTillCancel => prop_assert_eq!(stands.is_some(), filled < lots),
                    TimeInForce::ImmediateOrCancel => prop_assert!(stands.is_none()),
                    TimeInForce::FillOrKill => prop_assert!(stands.is_none() && (filled == 0 || filled == lots)),
                    TimeInForce::PostOnly => prop_assert!(stands.is_some() && filled == 0),
                }
            }
            Terms::Market { lots } => prop_assert!(stands.is_none() && filled <= lots),
            Terms::MarketQuote { quote_atoms } => prop_assert!(stands.is_none() && paid <= quote_atoms),
        }
        Ok(())
    }

    fn check_money(&self) -> Result<(), TestCaseError> {
        for asset in (0..ASSETS as u16).map(Asset) {
            let balances: Vec<Balance> = accounts().map(|id| self.venue.account(id).unwrap().balance(asset)).collect();
            let held: i128 = balances.iter().map(|balance| balance.free + balance.locked).sum();
            prop_assert_eq!(held + self.venue.collected()[asset.0 as usize], self.deposited[asset.0 as usize]);
            for (account, balance) in accounts().zip(balances) {
                prop_assert_eq!(balance.locked, self.needed(account, asset));
                prop_assert!(account == LIQUIDITY || balance.free >= 0, "{:?} of {:?}: {:?}", asset, account, balance);
            }
        }
        Ok(())
    }

    /// What the orders that an account has standing may cost it of one asset.
    fn needed(&self, account: AccountId, asset: Asset) -> i128 {
        let locks = self.plain.resting.iter().filter(|resting| resting.account == account && account != LIQUIDITY);
        locks
            .map(|resting| {
                let rules = &self.instruments[resting.instrument.0 as usize];
                match resting.side {
                    Side::Buy if rules.quote == asset => rules.notional(resting.ticks, resting.lots),
                    Side::Sell if rules.base == asset => rules.base_atoms(resting.lots),
                    _ => 0,
                }
            })
            .sum()
    }

    fn check_books(&self) -> Result<(), TestCaseError> {
        for id in [0, 1].map(InstrumentId) {
            let book = self.venue.book(id).unwrap();
            if let (Some(bid), Some(ask)) = (book.best(Side::Buy), book.best(Side::Sell)) {
                prop_assert!(bid < ask);
            }
            for side in [Side::Buy, Side::Sell] {
                let found: Vec<Met> =
                    book.queue(side).map(|resting| (resting.id, resting.ticks, resting.lots)).collect();
                let expected: Vec<Met> = self
                    .plain
                    .queue(id, side)
                    .iter()
                    .map(|resting| (resting.id, resting.ticks, resting.lots))
                    .collect();
                prop_assert_eq!(found, expected);
            }
        }
        Ok(())
    }
}

fn accounts() -> impl Iterator<Item = AccountId> {
    (0..=CLIENTS).map(AccountId)
}

fn traded(outcome: &Outcome) -> Option<Trade> {
    if let Outcome::Traded(trade) = outcome { Some(*trade) } else { None }
}

fn self_trade(outcome: &Outcome) -> Option<OrderId> {
    if let Outcome::Expired(id, ExpiryReason::SelfTrade) = outcome { Some(*id) } else { None }
}

/// Maker, price and quantity of a trade.
type Met = (OrderId, i64, i64);

#[derive(Clone, Copy, Debug)]
struct PlainOrder {
    id: OrderId,
    account: AccountId,
    instrument: InstrumentId,
    side: Side,
    ticks: i64,
    lots: i64,
}

/// Price-time priority as one says it: a list in arrival order, sorted by price when somebody trades.
#[derive(Debug, Default)]
struct Plain {
    resting: Vec<PlainOrder>,
}

impl Plain {
    fn queue(&self, instrument: InstrumentId, side: Side) -> Vec<PlainOrder> {
        let of = |order: &&PlainOrder| order.instrument == instrument && order.side == side;
        let mut queue: Vec<PlainOrder> = self.resting.iter().filter(of).copied().collect();
        queue.sort_by_key(|order| -order.ticks * side.sign());
        queue
    }

    /// Whom an accepted order meets, and which of its owner's orders expire on the way.
    fn submit(&mut self, order: &NewOrder, rules: &Instrument) -> (Vec<Met>, Vec<OrderId>) {
        let (limit, mut lots, mut quote) = match order.terms {
            Terms::Limit { ticks, lots, .. } => (Some(ticks), lots, i128::from(i64::MAX)),
            Terms::Market { lots } => (None, lots, i128::from(i64::MAX)),
            Terms::MarketQuote { quote_atoms } => (None, i64::MAX, quote_atoms),
        };
        let (mut met, mut expired) = (Vec::new(), Vec::new());
        let reachable: Vec<PlainOrder> = self
            .queue(order.instrument, order.side.opposite())
            .into_iter()
            .filter(|resting| limit.is_none_or(|ticks| (ticks - resting.ticks) * order.side.sign() >= 0))
            .collect();
        let own = |resting: &PlainOrder| order.account != LIQUIDITY && resting.account == order.account;
        let kill = matches!(order.terms, Terms::Limit { time_in_force: TimeInForce::FillOrKill, .. });
        if kill && reachable.iter().filter(|resting| !own(resting)).map(|resting| resting.lots).sum::<i64>() < lots {
            return (met, expired);
        }
        for resting in reachable {
            if lots == 0 || payable(rules, resting.ticks, quote) == 0 && !own(&resting) {
                break;
            }
            if own(&resting) {
                // An order by amount that cannot pay for the next stranger's lot has ended before its own expires.
                let last = met.last().map(|(_, ticks, _)| *ticks);
                if last.is_some_and(|last| payable(rules, self.onward(order, &resting, last), quote) == 0) {
                    break;
                }
                expired.push(resting.id);
                self.resting.retain(|other| other.id != resting.id);
                continue;
            }
            let mut standing = resting.lots;
            while standing > 0 && lots > 0 {
                let taken = standing.min(lots).min(payable(rules, resting.ticks, quote));
                if taken == 0 {
                    break;
                }
                met.push((resting.id, resting.ticks, taken));
                standing -= taken;
                lots -= taken;
                quote -= rules.notional(resting.ticks, taken);
            }
            self.fill(resting.id, standing);
            if standing > 0 {
                break;
            }
        }
        if let Terms::Limit { ticks, time_in_force: TimeInForce::GoodTillCancel | TimeInForce::PostOnly, .. } =
            order.terms
            && lots > 0
        {
            let NewOrder { id, account, instrument, side, .. } = *order;
            self.resting.push(PlainOrder { id, account, instrument, side, ticks, lots });
        }
        (met, expired)
    }

    /// The price of the first stranger behind an own order; `last` if there is none.
    fn onward(&self, order: &NewOrder, own: &PlainOrder, last: i64) -> i64 {
        let queue = self.queue(order.instrument, order.side.opposite());
        let mut behind = queue.iter().skip_while(|resting| resting.id != own.id);
        behind.find(|resting| resting.account != order.account).map_or(last, |stranger| stranger.ticks)
    }

    fn fill(&mut self, id: OrderId, left: i64) {
        for resting in &mut self.resting {
            if resting.id == id {
                resting.lots = left;
            }
        }
        self.resting.retain(|resting| resting.lots > 0);
    }
}

/// Lots that an amount pays for.
fn payable(rules: &Instrument, ticks: i64, quote: i128) -> i64 {
    if quote == i128::from(i64::MAX) {
        return i64::MAX;
    }
    let lot = i128::from(ticks) * i128::from(rules.tick_atoms) * i128::from(rules.lot_atoms);
    (quote * 100_000_000 / lot) as i64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_history_keeps_the_promises(mut run in venues(), commands in commands()) {
        for command in &commands {
            run.apply(command)?;
        }
    }

    /// When all have cancelled, nothing is locked and the books are empty.
    #[test]
    fn everything_locked_comes_back(mut run in venues(), commands in commands()) {
        for command in &commands {
            run.apply(command)?;
        }
        for order in run.submitted.clone() {
            run.cancel(order, order.account)?;
        }
        run.check_money()?;
        let (balances, books, ..) = run.view();
        prop_assert!(balances.iter().all(|balance| balance.locked == 0));
        prop_assert!(books.iter().all(Vec::is_empty));
    }
}
