//! Whatever clients do, and however time is cut.

use proptest::prelude::*;
use sapphire_core::instrument::ATOMS_PER_UNIT;

use super::{
    BTC, Bench, CancelAll, Command, FillsQuery, ONE, OrderKind, OrderStatus, START_NS, Side, TWO, TimeInForce,
};

#[derive(Clone, Copy, Debug)]
enum Act {
    Limit { second: bool, buy: bool, above: i64, lots: i64, how: u8 },
    Market { second: bool, buy: bool, lots: i64 },
    Quote { second: bool, buy: bool, units: i64 },
    Cancel(bool, usize),
    CancelAll(bool),
    Deposit(bool, i64),
    Wait(i64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => (any::<bool>(), any::<bool>(), -60_i64..60, 20_i64..400_000, 0_u8..4)
            .prop_map(|(second, buy, above, lots, how)| Act::Limit { second, buy, above, lots, how }),
        2 => (any::<bool>(), any::<bool>(), 20_i64..300_000).prop_map(|(second, buy, lots)| Act::Market { second, buy, lots }),
        1 => (any::<bool>(), any::<bool>(), 6_i64..900_000).prop_map(|(second, buy, units)| Act::Quote { second, buy, units }),
        2 => (any::<bool>(), 0_usize..40).prop_map(|(second, which)| Act::Cancel(second, which)),
        1 => any::<bool>().prop_map(Act::CancelAll),
        1 => (any::<bool>(), -2_000_000_i64..2_000_000).prop_map(|(second, units)| Act::Deposit(second, units)),
        3 => (1_i64..20_000).prop_map(Act::Wait),
    ];
    prop::collection::vec(act, 1..50)
}

impl Bench {
    fn act(&mut self, act: Act) {
        let who = |second| if second { TWO } else { ONE };
        let side = |buy| if buy { Side::Buy } else { Side::Sell };
        // What is refused is refused; what is not must add up.
        match act {
            Act::Limit { second, buy, above, lots, how } => {
                let force = [TimeInForce::Gtc, TimeInForce::Ioc, TimeInForce::Fok, TimeInForce::Gtc][how as usize];
                let kind = match self.limit(side(buy), above, lots, force) {
                    OrderKind::Limit { price_atoms, quantity_atoms, .. } if how == 3 => {
                        OrderKind::LimitMaker { price_atoms, quantity_atoms }
                    }
                    kind => kind,
                };
                let _ = self.place(&Self::order(who(second), side(buy), kind));
            }
            Act::Market { second, buy, lots } => {
                let kind = OrderKind::Market { quantity_atoms: (lots * 1_000).into() };
                let _ = self.place(&Self::order(who(second), side(buy), kind));
            }
            Act::Quote { second, buy, units } => {
                let kind = OrderKind::MarketQuote { quote_atoms: i128::from(units * ATOMS_PER_UNIT) };
                let _ = self.place(&Self::order(who(second), side(buy), kind));
            }
            Act::Cancel(second, which) => {
                let open = self.matching.open_orders(who(second), Some(BTC)).unwrap();
                if !open.is_empty() {
                    self.cancel(who(second), open[which % open.len()].order_id).unwrap();
                }
            }
            Act::CancelAll(second) => {
                if let Ok(command) = self.matching.check_cancel_all(CancelAll { account: who(second), instrument: BTC })
                {
                    self.carry_out(&command);
                }
            }
            Act::Deposit(second, units) => {
                if let Ok(command) =
                    self.matching.check_deposit(who(second), "USDT", i128::from(units * ATOMS_PER_UNIT))
                {
                    self.carry_out(&command);
                }
            }
            Act::Wait(millis) => self.wait(millis * 1_000_000),
        }
    }

    fn wait(&mut self, by_ns: i64) {
        if self.matching.genesis.is_lockstep {
            self.advance(by_ns);
            return;
        }
        self.now_ns += by_ns;
        if self.matching.is_due(self.now_ns) {
            self.carry_out(&Command::Tick);
        }
    }
}

fn check_history(bench: &Bench) {
    for account in [ONE, TWO] {
        for order in bench.matching.ledger.all(account) {
            let fills = bench.matching.ledger.fills_of(order);
            assert_eq!(fills.iter().map(|fill| fill.lots).sum::<i64>(), order.executed_lots, "{order:?}");
            assert_eq!(
                fills.iter().map(|fill| fill.quote_atoms).sum::<i128>(),
                order.executed_quote_atoms,
                "{order:?}"
            );
            let stands = bench.matching.market.order(account, sapphire_core::venue::OrderId(order.order_id)).is_some();
            let is_working = matches!(order.status, OrderStatus::New | OrderStatus::PartiallyFilled);
            assert_eq!(stands, is_working, "{order:?}");
            if order.status == OrderStatus::Filled {
                assert_eq!(order.executed_lots, order.quantity_lots, "{order:?}");
            }
        }
        let query = FillsQuery {
            account,
            instrument: BTC,
            order_id: None,
            from_trade_id: None,
            start_ns: None,
            end_ns: None,
            limit: 1_000,
        };
        let fills = bench.matching.my_trades(&query).unwrap();
        assert!(fills.windows(2).all(|pair| pair[0].trade_id <= pair[1].trade_id));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever clients do: money adds up after every command, history agrees with the book, and the journal alone
    /// leads to the same state, ids included.
    #[test]
    fn the_journal_is_the_matching_service(acts in acts(), is_lockstep: bool) {
        let mut bench = Bench::new(is_lockstep);
        for act in acts {
            bench.act(act);
        }
        check_history(&bench);
        let replayed = bench.replayed();
        prop_assert_eq!(replayed.state(true, None), bench.matching.state(true, None));
        prop_assert_eq!(replayed.digest(), bench.matching.digest());
    }

    /// However market time is cut into advances, the same orders meet the same market.
    #[test]
    fn the_way_time_is_cut_changes_nothing(cuts in prop::collection::vec(1_i64..30_000, 1..20)) {
        let total: i64 = cuts.iter().sum();
        let mut whole = Bench::new(true);
        let mut parts = Bench::new(true);
        for bench in [&mut whole, &mut parts] {
            let kind = bench.limit(Side::Buy, -3, 900_000, TimeInForce::Gtc);
            bench.place(&Bench::order(ONE, Side::Buy, kind)).unwrap();
        }
        let end_ns = START_NS + total * 1_000_000;
        for cut in cuts {
            let to_ns = parts.matching.now_ns() + cut * 1_000_000;
            while parts.matching.now_ns() < to_ns.min(end_ns) {
                let by_ns = to_ns.min(end_ns) - parts.matching.now_ns();
                parts.advance(by_ns);
            }
        }
        for bench in [&mut whole, &mut parts] {
            while bench.matching.now_ns() < end_ns {
                let by_ns = end_ns - bench.matching.now_ns();
                bench.advance(by_ns);
            }
        }
        prop_assert_eq!(whole.matching.state(true, None), parts.matching.state(true, None));
    }
}
