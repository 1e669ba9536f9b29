//! Replays by hand, to the atom; and what holds of every replay.
#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use proptest::prelude::*;
use sapphire_core::engine::{EndCause, Execution, FeeSide, Refusal};
use sapphire_core::instrument::{Asset, Instrument, InstrumentId, Side, fee};
use sapphire_core::orders::OrderState;
use sapphire_core::risk::{Command, DenialCode, LimitSet, Limits};
use sapphire_core::venue::FeeRates;
use sapphire_sim::candle::{Candle, MINUTE_NS};
use sapphire_sim::feed::{Feed, RecordedFeed};
use sapphire_sim::hash::symbol_key;
use sapphire_sim::latency::Latency;
use sapphire_sim::liquidity::SyntheticLiquidity;
use sapphire_sim::listing::listing;
use sapphire_sim::market::Listed;
use sapphire_sim::replay::{Model, NO_SIGNAL, Record, Replay, ReplayConfig, ReplayError};

const HOUR_NS: i64 = 60 * MINUTE_NS;
/// 2024-01-01T00:00Z.
const START_NS: i64 = 1_704_067_200_000_000_000;
const UNIT: i128 = 100_000_000;
const USDT: Asset = Asset(0);
const BTC: InstrumentId = InstrumentId(0);
const LATENCY: Latency = Latency { seed: 7, min_ns: 20_000_000, max_ns: 80_000_000 };
const IDEAL: Model = Model::NextOpen { fee_side: FeeSide::Quote };

fn config(model: Model) -> ReplayConfig {
    ReplayConfig {
        quote: USDT,
        assets: 3,
        seed: 7,
        fees: FeeRates { maker: 100_000, taker: 100_000 },
        model,
        limits: Limits::open(2, 1),
        execution: Execution::default(),
        deposits: vec![(USDT, 10_000 * UNIT)],
        start_ns: START_NS,
        time_to_live_ns: HOUR_NS,
    }
}

fn rules(symbol: &str, base: u16) -> Instrument {
    listing(symbol).unwrap().instrument(Asset(base), USDT)
}

fn generated() -> Vec<Listed> {
    let symbols = ["BTCUSDT", "ETHUSDT"].into_iter().enumerate();
    let listed = symbols.map(|(index, symbol)| {
        Listed::generated(7, listing(symbol).unwrap(), (Asset(index as u16 + 1), USDT), START_NS)
    });
    listed.collect()
}

/// Hours of BTC that open at 50,000, 51,000, 52,000 ... and close a hundred above; `gaps` are missing.
fn recorded(hours: i64, gaps: &[i64]) -> Vec<Listed> {
    let candle = |hour: i64| Candle {
        open_ns: START_NS + hour * HOUR_NS,
        open: 5_000_000 + hour * 100_000,
        high: 5_050_000 + hour * 100_000,
        low: 4_990_000 + hour * 100_000,
        close: 5_010_000 + hour * 100_000,
        volume: 60_000_000,
    };
    let candles: Vec<Candle> = (0..hours).filter(|hour| !gaps.contains(hour)).map(candle).collect();
    let feed = Feed::Recorded(RecordedFeed::new(7, "BTCUSDT", candles, HOUR_NS).unwrap());
    vec![Listed { symbol: "BTCUSDT".to_owned(), instrument: rules("BTCUSDT", 1), feed }]
}

fn one_symbol(model: Model) -> ReplayConfig {
    ReplayConfig { limits: Limits::open(1, 1), assets: 2, ..config(model) }
}

/// Buys at a close and holds to the end.
fn buy_and_hold(config: &ReplayConfig, listed: Vec<Listed>, lots: i64, bars: i64) -> Record {
    buy_at(1, config, listed, lots, bars)
}

fn buy_at(buy: i64, config: &ReplayConfig, listed: Vec<Listed>, lots: i64, bars: i64) -> Record {
    let mut replay = Replay::new(config, listed).unwrap();
    for bar in 1..=bars {
        replay.close_bar(START_NS + bar * HOUR_NS).unwrap();
        if bar == buy {
            replay.signal(BTC, lots).unwrap();
        }
        replay.end_of_bar().unwrap();
    }
    replay.finish().unwrap()
}

fn equities(record: &Record) -> Vec<i128> {
    record.bars.iter().map(|bar| bar.equity_quote_atoms).collect()
}

#[test]
fn buy_and_hold_at_the_next_open_by_hand() {
    let record = buy_and_hold(&one_symbol(IDEAL), recorded(4, &[]), 10_000, 3);
    // 0.1 BTC at the second hour's open of 51,000.00: 5,100 USDT and 5.10 of fee.
    let fill = record.fills[0];
    assert_eq!((fill.time_ns, fill.fill.ticks, fill.fill.lots), (START_NS + HOUR_NS, 5_100_000, 10_000));
    assert_eq!((fill.fill.quote_atoms, fill.fill.fee_asset, fill.fill.fee_atoms), (5_100 * UNIT, USDT, 510_000_000));
    // 4,894.90 in cash and 0.1 BTC at the closes of 51,100.00 and 52,100.00.
    assert_eq!(equities(&record), [10_000 * UNIT, 1_000_490_000_000, 1_010_490_000_000]);
    assert_eq!(record.bars[2].cash_quote_atoms, 489_490_000_000);
    assert_eq!(record.bars[2].position_atoms, [10_000_000]);
    assert_eq!(record.fees, [(USDT, 510_000_000), (Asset(1), 0)]);
    assert_eq!(record.orders[0].state, OrderState::Filled);
}

#[test]
fn at_the_next_open_all_the_cash_can_be_spent_at_once() {
    let record = buy_and_hold(&one_symbol(IDEAL), recorded(4, &[]), 1_000_000, 2);
    // 10,000 / 1.001 = 9,990.00999 USDT; a lot at 51,000.00 costs 0.51.
    let lots: Vec<i64> = record.orders.iter().map(|row| row.filled_lots).collect();
    assert_eq!(lots, [19_588]);
    let end = &record.targets[0];
    assert_eq!((end.time_ns, end.lots, end.cause), (START_NS + 2 * HOUR_NS, 980_412, Some(EndCause::TimeToLive)));
}

#[test]
fn fees_as_the_venue_takes_them_by_hand() {
    let model = Model::NextOpen { fee_side: FeeSide::Received };
    let record = buy_and_hold(&one_symbol(model), recorded(4, &[]), 10_000, 2);
    // 10,011 lots less 0.1 % of them: 0.10000989 BTC arrive, for 5,105.61 USDT.
    assert_eq!((record.fills[0].fill.lots, record.fills[0].fill.fee_atoms), (10_011, 10_011));
    assert_eq!(record.bars[1].position_atoms, [10_000_989]);
    assert_eq!(record.bars[1].cash_quote_atoms, 489_439_000_000);
    // 4,894.39 and 0.10000989 BTC at 51,100.00.
    assert_eq!(record.bars[1].equity_quote_atoms, 489_439_000_000 + 511_050_537_900);
}

#[test]
fn buy_and_hold_in_the_book_by_hand() {
    let listed = recorded(4, &[]);
    let rules = listed[0].instrument;
    let minute = listed[0].feed.next_minute(START_NS + HOUR_NS).unwrap();
    // What the synthetic liquidity has offered at the close: its first step, less what its own market order took.
    let step = SyntheticLiquidity::new(7, "BTCUSDT", rules).steps(&minute).remove(0);
    let mut asks: Vec<(i64, i64)> =
        step.quotes.iter().filter(|quote| quote.side == Side::Sell).map(|quote| (quote.ticks, quote.lots)).collect();
    asks.sort_unstable();
    if let Some(taker) = step.taker.filter(|taker| taker.side == Side::Buy) {
        assert!(taker.lots < asks[0].1);
        asks[0].1 -= taker.lots;
    }
    let (mut left, mut cash, mut atoms) = (10_011, 10_000 * UNIT, 0);
    for (ticks, lots) in asks {
        let taken = lots.min(left);
        left -= taken;
        cash -= rules.notional(ticks, taken);
        atoms += rules.base_atoms(taken) - fee(rules.base_atoms(taken), 100_000);
    }
    assert_eq!(left, 0, "the book is deep enough for the test");
    let record = buy_and_hold(&one_symbol(Model::Book { latency: Latency::NONE }), listed, 10_000, 2);
    let bar = &record.bars[1];
    assert_eq!((bar.cash_quote_atoms, bar.position_atoms[0]), (cash, atoms));
    assert!(record.fills.iter().all(|fill| fill.fill.ticks > minute.open), "a buy pays the spread");
    // At the close of 51,100.00.
    assert_eq!(bar.equity_quote_atoms, cash + atoms * 51_100);
}

#[test]
fn an_order_arrives_after_its_delay() {
    let record = buy_and_hold(&one_symbol(Model::Book { latency: LATENCY }), recorded(4, &[]), 10_000, 2);
    let close_ns = START_NS + HOUR_NS;
    let delay_ns = LATENCY.delay_ns(symbol_key("BTCUSDT"), close_ns, 1);
    assert!((20_000_000..=80_000_000).contains(&delay_ns));
    assert_eq!((record.orders[0].sent_ns, record.orders[0].arrives_ns), (close_ns, Some(close_ns + delay_ns)));
    assert!(record.fills.iter().all(|fill| fill.time_ns == close_ns + delay_ns));
}

#[test]
fn the_spread_costs_and_every_model_reaches_the_target() {
    let equity = Model::ladder(LATENCY).map(|model| {
        let record = buy_and_hold(&one_symbol(model), recorded(4, &[]), 10_000, 3);
        assert_eq!(record.bars[2].position_atoms[0] / 1_000, 10_000, "{model:?}");
        record.bars[2].equity_quote_atoms
    });
    assert!(equity[2] < equity[1], "{equity:?}");
    assert!(equity[0] != equity[1], "{equity:?}");
}

#[test]
fn a_signal_in_a_gap_waits_for_the_market() {
    for model in [IDEAL, Model::Book { latency: Latency::NONE }] {
        let config = ReplayConfig { time_to_live_ns: 3 * HOUR_NS, ..one_symbol(model) };
        let record = buy_at(2, &config, recorded(6, &[1, 2, 3]), 10_000, 5);
        assert_eq!(record.fills[0].time_ns, START_NS + 4 * HOUR_NS, "{model:?}");
        let code = record.denials[0].denial.code;
        assert!(matches!(code, DenialCode::StaleReference | DenialCode::NoReference), "{code:?}");
        assert_eq!(record.denials.len(), 1);
        assert_eq!(record.bars[2].equity_quote_atoms, 10_000 * UNIT);
        let record = buy_at(2, &one_symbol(model), recorded(6, &[1, 2, 3]), 10_000, 5);
        assert!(record.fills.is_empty());
        assert_eq!(record.targets[0].cause, Some(EndCause::TimeToLive));
    }
}

#[test]
fn the_gate_and_the_refusals_are_in_the_record() {
    let symbols = vec![LimitSet { max_exposure_atoms: Some(1_000 * UNIT), ..LimitSet::default() }];
    let limits = Limits { symbols, ..Limits::open(1, 1) };
    let mut replay = Replay::new(&ReplayConfig { limits, ..one_symbol(IDEAL) }, recorded(4, &[])).unwrap();
    replay.close_bar(START_NS + HOUR_NS).unwrap();
    replay.signal(BTC, 10_000).unwrap();
    replay.signal(BTC, 10_000).unwrap();
    replay.signal(InstrumentId(9), 1).unwrap();
    replay.end_of_bar().unwrap();
    replay.command(Command::Halt);
    replay.close_bar(START_NS + 2 * HOUR_NS).unwrap();
    replay.signal(BTC, 10_000).unwrap();
    let record = replay.finish().unwrap();
    assert_eq!(record.denials[0].denial.code, DenialCode::Exposure);
    assert_eq!(record.orders[0].state, OrderState::Denied);
    let reasons: Vec<Refusal> = record.refusals.iter().map(|row| row.reason).collect();
    assert_eq!(reasons, [Refusal::Repeated, Refusal::UnknownInstrument, Refusal::Halted]);
    assert_eq!(record.trading.len(), 1);
}

#[test]
fn the_steps_of_a_bar_come_in_their_order() {
    let mut replay = Replay::new(&one_symbol(IDEAL), recorded(4, &[])).unwrap();
    assert_eq!(replay.signal(BTC, 1), Err(ReplayError::NoBar));
    assert_eq!(replay.end_of_bar(), Err(ReplayError::NoBar));
    let close_ns = START_NS + HOUR_NS;
    assert_eq!(replay.close_bar(close_ns + 1).unwrap_err(), ReplayError::CloseNotAMinute { close_ns: close_ns + 1 });
    replay.close_bar(close_ns).unwrap();
    let again = ReplayError::CloseOutOfOrder { after_ns: close_ns, close_ns };
    assert_eq!(replay.close_bar(close_ns).unwrap_err(), again);
    let wrong = replay.run_targets(&[close_ns + HOUR_NS], &[1, 2]).unwrap_err();
    assert_eq!(wrong, ReplayError::Targets { expected: 1, got: 2 });
}

/// Bars and targets of a run over the generated market.
fn runs() -> impl Strategy<Value = (usize, Vec<[i64; 2]>)> {
    let lots = || prop_oneof![2 => Just(NO_SIGNAL), 1 => Just(0), 3 => 0_i64..20_000];
    (0..4_usize, prop::collection::vec((lots(), lots()).prop_map(|(btc, eth)| [btc, eth]), 1..30))
}

fn run(config: &ReplayConfig, targets: &[[i64; 2]]) -> Record {
    let closes: Vec<i64> = (1..=targets.len() as i64).map(|bar| START_NS + bar * HOUR_NS).collect();
    let mut replay = Replay::new(config, generated()).unwrap();
    replay.run_targets(&closes, targets.as_flattened()).unwrap();
    replay.finish().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Money is neither made nor lost but by trades and fees; nothing goes below zero; engine and exchange agree (or
    /// the replay does not finish); the batch is the loop; and twice is once.
    #[test]
    fn a_replay_keeps_its_books((model, targets) in runs()) {
        let config = config(Model::ladder(LATENCY)[model]);
        let record = run(&config, &targets);
        let mut cash = 10_000 * UNIT;
        let mut atoms = [0; 2];
        for row in &record.fills {
            let rules = generated()[row.instrument.0 as usize].instrument;
            prop_assert_eq!(row.fill.quote_atoms, rules.notional(row.fill.ticks, row.fill.lots));
            cash -= i128::from(row.side.sign()) * row.fill.quote_atoms;
            atoms[row.instrument.0 as usize] += i128::from(row.side.sign()) * rules.base_atoms(row.fill.lots);
            if row.fill.fee_asset == USDT {
                cash -= row.fill.fee_atoms;
            } else {
                atoms[row.instrument.0 as usize] -= row.fill.fee_atoms;
            }
            prop_assert!(cash >= 0 && atoms.iter().all(|atoms| *atoms >= 0));
        }
        let mut replay = Replay::new(&config, generated()).unwrap();
        for (bar, row) in targets.iter().enumerate() {
            replay.close_bar(START_NS + (bar as i64 + 1) * HOUR_NS).unwrap();
            for (index, lots) in row.iter().enumerate().filter(|(_, lots)| **lots != NO_SIGNAL) {
                replay.signal(InstrumentId(index as u16), *lots).unwrap();
            }
            replay.end_of_bar().unwrap();
        }
        prop_assert_eq!(replay.engine().ledger().cash_atoms(), cash);
        prop_assert_eq!([0, 1].map(|index| replay.engine().ledger().position(InstrumentId(index)).atoms), atoms);
        let looped = replay.finish().unwrap();
        prop_assert_eq!(looped.digest, record.digest);
        prop_assert_eq!(looped, record);
    }
}

#[test]
fn another_decision_is_another_digest() {
    let config = config(Model::Book { latency: LATENCY });
    let digest = |config: &ReplayConfig, lots: i64| run(config, &[[lots, NO_SIGNAL], [0, 30_000]]).digest;
    assert_ne!(digest(&config, 10_000), digest(&config, 10_001));
    let later = ReplayConfig { model: Model::Book { latency: Latency { seed: 8, ..LATENCY } }, ..config.clone() };
    assert_ne!(digest(&config, 10_000), digest(&later, 10_000));
}

#[test]
fn what_is_held_of_a_symbol_that_trades_no_more_is_paid_out_at_its_last_price() {
    for model in [IDEAL, Model::Book { latency: LATENCY }] {
        let mut replay = Replay::new(&config(model), recorded(6, &[])).unwrap();
        assert_eq!(replay.settle(BTC), Err(ReplayError::NoBar));
        replay.close_bar(START_NS + HOUR_NS).unwrap();
        assert_eq!(replay.settle(BTC), Ok(None));
        replay.signal(BTC, 1_000).unwrap();
        replay.end_of_bar().unwrap();
        for hour in 2..=8 {
            replay.close_bar(START_NS + hour * HOUR_NS).unwrap();
            if hour < 8 {
                replay.end_of_bar().unwrap();
            }
        }
        let before = replay.record().bars.last().unwrap().clone();
        assert!(before.position_atoms[0] > 0);
        let paid = replay.settle(BTC).unwrap().unwrap();
        assert_eq!(paid.atoms, before.position_atoms[0]);
        assert_eq!(paid.ticks, 5_510_000);
        assert_eq!(before.cash_quote_atoms + paid.quote_atoms, before.equity_quote_atoms);
        assert_eq!(replay.settle(BTC), Ok(None));
        replay.end_of_bar().unwrap();
        let after = replay.close_bar(START_NS + 9 * HOUR_NS).unwrap().clone();
        assert_eq!(after.equity_quote_atoms, before.equity_quote_atoms);
        assert_eq!((after.cash_quote_atoms, after.position_atoms[0]), (before.equity_quote_atoms, 0));
        replay.end_of_bar().unwrap();
        replay.finish().unwrap();
    }
}

/// Hours of a coin at half a millionth; a lot is a whole coin.
fn small_coin() -> Vec<Listed> {
    let instrument = Instrument {
        base: Asset(1),
        quote: USDT,
        tick_atoms: 1,
        lot_atoms: 100_000_000,
        min_lots: 1,
        max_lots: i64::MAX,
        min_ticks: 1,
        max_ticks: 1_000_000,
        min_notional_atoms: 0,
    };
    let candle = |hour: i64| Candle {
        open_ns: START_NS + hour * HOUR_NS,
        open: 50,
        high: 55,
        low: 48,
        close: 52,
        volume: 1_000_000_000_000_000,
    };
    let feed = Feed::Recorded(RecordedFeed::new(7, "PEPEUSDT", (0..4).map(candle).collect(), HOUR_NS).unwrap());
    vec![Listed { symbol: "PEPEUSDT".to_owned(), instrument, feed }]
}

#[test]
fn more_than_64_bits_of_a_coin_are_paid_out_to_the_atom() {
    for model in [IDEAL, Model::NextOpen { fee_side: FeeSide::Received }, Model::Book { latency: LATENCY }] {
        let config = ReplayConfig { deposits: vec![(USDT, 200_000 * UNIT)], ..one_symbol(model) };
        let mut replay = Replay::new(&config, small_coin()).unwrap();
        for hour in 1..=5 {
            replay.close_bar(START_NS + hour * HOUR_NS).unwrap();
            if hour == 1 {
                replay.signal(BTC, 150_000_000_000).unwrap();
            }
            if hour < 5 {
                replay.end_of_bar().unwrap();
            }
        }
        let before = replay.record().bars.last().unwrap().clone();
        let paid = replay.settle(BTC).unwrap().unwrap();
        assert_eq!((paid.atoms, paid.ticks), (before.position_atoms[0], 52));
        assert!(paid.atoms > i128::from(i64::MAX), "{model:?}: {}", paid.atoms);
        assert_eq!(paid.quote_atoms, paid.atoms * 52 / UNIT);
        assert_eq!(before.cash_quote_atoms + paid.quote_atoms, before.equity_quote_atoms);
        replay.end_of_bar().unwrap();
        let after = replay.close_bar(START_NS + 6 * HOUR_NS).unwrap().clone();
        assert_eq!((after.cash_quote_atoms, after.position_atoms[0]), (before.equity_quote_atoms, 0));
        replay.end_of_bar().unwrap();
        replay.finish().unwrap();
    }
}
