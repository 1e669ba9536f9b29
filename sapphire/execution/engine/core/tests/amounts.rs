//! Coins of every price against integers without an end: what the books say is exact, or it is refused by name.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use num_bigint::BigInt;
use proptest::prelude::*;
use sapphire_core::amounts::{Atoms, MAX_ATOMS, is_holdable};
use sapphire_core::decimal::{DecimalError, atoms_text, parse_atoms};
use sapphire_core::instrument::{ATOMS_PER_UNIT, Asset, Instrument, InstrumentId, RATE_ONE, Side, fee};
use sapphire_core::orders::Fill;
use sapphire_core::positions::{Ledger, Position};
use sapphire_core::venue::{
    AccountId, AccountKind, FeeRates, NewOrder, OrderId, Outcome, Rejection, Terms, TimeInForce, Venue,
};

const COIN: Asset = Asset(0);
const USDT: Asset = Asset(1);
const BNB: Asset = Asset(2);
const ID: InstrumentId = InstrumentId(0);

/// A coin as a venue would list it, and the cash of somebody who trades it.
#[derive(Clone, Debug)]
struct Coin {
    /// Power of ten of the tick, in quote: -10 is finer than an atom.
    tick_power: i32,
    lot_power: i32,
    ticks: i64,
    cash: Atoms,
    fee_rate: i64,
}

/// Prices from 1e-9 to 1e6, three to eight digits of ticks, cash up to 1e12.
fn coins() -> impl Strategy<Value = Coin> {
    let price = (-10_i32..=0, 1_i64..100_000_000).prop_filter("a price of 1e-9 to 1e6", |(power, ticks)| {
        let price = *ticks as f64 * 10_f64.powi(*power);
        (1e-9..=1e6).contains(&price)
    });
    let cash = (1_u32..=20, 1_i128..10).prop_map(|(power, digit)| (digit * 10_i128.pow(power)).min(10_i128.pow(20)));
    (price, -8_i32..=3, cash, 0_i64..1_000_000).prop_map(|((tick_power, ticks), lot_power, cash, fee_rate)| Coin {
        tick_power,
        lot_power,
        ticks,
        cash,
        fee_rate,
    })
}

/// A power of ten as a venue writes it.
fn decimal(power: i32) -> String {
    if power >= 0 {
        format!("1{}", "0".repeat(power as usize))
    } else {
        format!("{:.*}", -power as usize, 10_f64.powi(power))
    }
}

impl Coin {
    /// None where a step is finer than an atom.
    fn instrument(&self) -> Option<Instrument> {
        let step = |power| match parse_atoms(&decimal(power)) {
            Ok(atoms) => Some(i64::try_from(atoms).unwrap()),
            Err(error) => {
                assert_eq!((error, power < -8), (DecimalError::TooPrecise, true), "{power}");
                None
            }
        };
        Some(Instrument {
            base: COIN,
            quote: USDT,
            tick_atoms: step(self.tick_power)?,
            lot_atoms: step(self.lot_power)?,
            min_lots: 1,
            max_lots: i64::MAX,
            min_ticks: 1,
            max_ticks: 1_000_000_000,
            min_notional_atoms: 0,
        })
    }
}

/// `a * b / c`, toward zero, in integers without an end.
fn exact(a: impl Into<BigInt>, b: impl Into<BigInt>, c: impl Into<BigInt>) -> BigInt {
    a.into() * b.into() / c.into()
}

/// What a value is, or that nobody can hold it.
fn agrees(emitted: Option<Atoms>, value: &BigInt) -> Result<(), TestCaseError> {
    match emitted {
        Some(emitted) => prop_assert_eq!(&BigInt::from(emitted), value),
        None => prop_assert!(*value > BigInt::from(MAX_ATOMS) || *value < BigInt::from(-MAX_ATOMS), "{} fits", value),
    }
    Ok(())
}

/// The books in integers without an end, by the rules of `positions`.
#[derive(Debug, Default)]
struct Books {
    cash: BigInt,
    atoms: BigInt,
    cost: BigInt,
    realised: BigInt,
    bnb: BigInt,
}

impl Books {
    fn trade(&mut self, atoms: BigInt, quote: BigInt) {
        let zero = BigInt::from(0);
        let opposite = (self.atoms > zero && atoms < zero) || (self.atoms < zero && atoms > zero);
        let (held, moved) = (BigInt::from(self.atoms.magnitude().clone()), BigInt::from(atoms.magnitude().clone()));
        let closed = if opposite { held.clone().min(moved.clone()) } else { zero.clone() };
        let part =
            |amount: &BigInt, whole: &BigInt| if *whole == zero { zero.clone() } else { amount * &closed / whole };
        let (closed_cost, closed_quote) = (part(&self.cost, &held), part(&quote, &moved));
        self.realised -= &closed_cost + &closed_quote;
        self.cost += &quote - &closed_quote - &closed_cost;
        self.atoms += atoms;
        self.cash -= quote;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    /// Cash, position, cost, gain and value to the last atom, for a coin at a billionth and for one at a million.
    #[test]
    fn the_books_are_those_of_integers_without_an_end(
        coin in coins(),
        acts in prop::collection::vec((any::<bool>(), 1_i128..=1_000, -20_i64..=20, 0_u8..3), 1..12),
    ) {
        let Some(instrument) = coin.instrument() else { return Ok(()) };
        if instrument.fault().is_some() {
            agrees(None, &exact(BigInt::from(instrument.price_atoms(instrument.max_ticks)), instrument.lot_atoms, ATOMS_PER_UNIT))?;
            return Ok(());
        }
        let mut ledger = Ledger::new(&[instrument], USDT, 3);
        ledger.reconcile(USDT, coin.cash, 0).unwrap();
        ledger.reconcile(BNB, coin.cash, 0).unwrap();
        let mut books = Books { cash: coin.cash.into(), bnb: coin.cash.into(), ..Books::default() };
        for (trade, (buy, thousandths, away, fee_in)) in acts.into_iter().enumerate() {
            let ticks = (coin.ticks + coin.ticks * away / 100).max(1);
            let lot_value = exact(instrument.price_atoms(ticks), instrument.lot_atoms, 1);
            let cash = BigInt::from(ledger.cash_atoms().max(0) * thousandths / 1_000);
            let wanted = if buy { cash * ATOMS_PER_UNIT / lot_value } else {
                BigInt::from(ledger.position(ID).atoms * thousandths / 1_000 / Atoms::from(instrument.lot_atoms))
            };
            // More than 64 bits of lots are no order: the venue's bounds end there.
            let Ok(lots) = i64::try_from(wanted) else { continue };
            let value = exact(instrument.price_atoms(ticks), BigInt::from(lots) * instrument.lot_atoms, ATOMS_PER_UNIT);
            agrees(instrument.checked_notional(ticks, lots), &value)?;
            let Some(quote_atoms) = instrument.checked_notional(ticks, lots) else { continue };
            let base_atoms = instrument.base_atoms(lots);
            prop_assert_eq!(BigInt::from(base_atoms), BigInt::from(lots) * instrument.lot_atoms);
            let (fee_asset, amount) = match fee_in {
                0 if buy => (COIN, base_atoms),
                0 | 1 => (USDT, quote_atoms),
                _ => (BNB, quote_atoms),
            };
            let fee_atoms = fee(amount, coin.fee_rate);
            prop_assert_eq!(BigInt::from(fee_atoms), exact(amount, coin.fee_rate, RATE_ONE));
            let side = if buy { Side::Buy } else { Side::Sell };
            let fill = Fill { trade: trade as u64, ticks, lots, quote_atoms, fee_asset, fee_atoms };
            ledger.apply(&instrument, ID, side, &fill);
            let sign = BigInt::from(side.sign());
            let paid = |asset| if fee_asset == asset { BigInt::from(fee_atoms) } else { BigInt::from(0) };
            books.bnb -= paid(BNB);
            books.trade(&sign * base_atoms - paid(COIN), &sign * value + paid(USDT));
            let Position { atoms, cost_atoms, realised_atoms } = ledger.position(ID);
            prop_assert_eq!(BigInt::from(ledger.cash_atoms()), books.cash.clone());
            prop_assert_eq!(BigInt::from(atoms), books.atoms.clone());
            prop_assert_eq!(BigInt::from(cost_atoms), books.cost.clone());
            prop_assert_eq!(BigInt::from(realised_atoms), books.realised.clone());
            prop_assert_eq!(BigInt::from(ledger.held(BNB).unwrap()), books.bnb.clone());
            let price = instrument.price_atoms(ticks);
            agrees(ledger.position(ID).value_atoms(price), &exact(atoms, price, ATOMS_PER_UNIT))?;
            if let Some(average) = ledger.position(ID).average_price_atoms() {
                prop_assert_eq!(BigInt::from(average), exact(cost_atoms, ATOMS_PER_UNIT, atoms));
            }
        }
    }

    /// A venue's balances move by exactly what a trade moves, and what no account can hold is refused by name.
    #[test]
    fn a_venue_moves_what_integers_without_an_end_move(coin in coins(), share in 1_i128..=1_000) {
        let Some(instrument) = coin.instrument() else { return Ok(()) };
        if instrument.fault().is_some() {
            return Ok(());
        }
        let mut venue = Venue::new(vec![instrument], 3);
        let fees = FeeRates { maker: 0, taker: coin.fee_rate };
        let liquidity = venue.open_account(AccountKind::Liquidity, FeeRates::default());
        let client = venue.open_account(AccountKind::Client, fees);
        venue.deposit(client, USDT, coin.cash).unwrap();
        let lot_value = exact(instrument.price_atoms(coin.ticks), instrument.lot_atoms, 1);
        let Ok(lots) = i64::try_from(BigInt::from(coin.cash * share / 1_000) * ATOMS_PER_UNIT / lot_value) else { return Ok(()) };
        prop_assume!(lots > 0);
        let place = |venue: &mut Venue, id, account: AccountId, side, out: &mut Vec<Outcome>| {
            let terms = Terms::Limit { ticks: coin.ticks, lots, time_in_force: TimeInForce::GoodTillCancel };
            venue.submit(NewOrder { id: OrderId(id), account, instrument: ID, side, terms }, out)
        };
        let mut out = Vec::new();
        let value = exact(instrument.price_atoms(coin.ticks), BigInt::from(lots) * instrument.lot_atoms, ATOMS_PER_UNIT);
        let offered = place(&mut venue, 1, liquidity, Side::Sell, &mut out);
        prop_assert_eq!(offered, if value <= BigInt::from(MAX_ATOMS) { Ok(()) } else { Err(Rejection::Amount) });
        let bought = place(&mut venue, 2, client, Side::Buy, &mut out);
        if bought.is_err() {
            prop_assert_eq!(bought, Err(Rejection::Amount));
            prop_assert!(!is_holdable(instrument.base_atoms(lots)));
            return Ok(());
        }
        let account = venue.account(client).unwrap();
        let base = BigInt::from(lots) * instrument.lot_atoms;
        let taken = base.clone() * coin.fee_rate / RATE_ONE;
        prop_assert_eq!(BigInt::from(account.balance(USDT).free), BigInt::from(coin.cash) - value);
        prop_assert_eq!(BigInt::from(account.balance(COIN).free), base - taken);
    }

    #[test]
    fn an_amount_that_can_be_held_survives_its_text(atoms in 0_i128..=MAX_ATOMS - 1) {
        prop_assert_eq!(parse_atoms(&atoms_text(atoms)), Ok(atoms));
    }
}
