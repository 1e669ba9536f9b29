//! Accounts beside each other: each is sent what it would be sent alone.

use proptest::prelude::*;

use super::{
    AccountId, Applied, BTC, Bench, CancelOrder, Command, FEES, FillsQuery, ONE, OrderKind, OrderRef, PlaceOrder,
    SECOND_NS, START_NS, Side, TWO, TimeInForce, UNIT, UserEvent, ready,
};
use crate::matching::api::FillView;

/// What an account asks for at a moment of market time; a cancel names the order by its place among the account's.
#[derive(Clone, Debug)]
struct Request {
    at_ns: i64,
    account: AccountId,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Place(PlaceOrder),
    Cancel(usize),
}

#[derive(Clone, Copy, Debug)]
struct Act {
    second: bool,
    wait_ns: i64,
    buy: bool,
    above: i64,
    lots: i64,
    how: u8,
    which: usize,
}

/// Half of the acts come at the instant of the one before, where ordinals tell; prices are around the first account's
/// best ask, so that the second crosses the first, rests at its prices and takes what it would have got.
fn acts() -> impl Strategy<Value = Vec<Act>> {
    let wait_ns = prop_oneof![Just(0), 1_i64..7 * SECOND_NS, (0_i64..20).prop_map(|steps| steps * 5 * SECOND_NS)];
    let act = (any::<bool>(), wait_ns, any::<bool>(), -30_i64..30, 20_i64..300_000, 0_u8..7, any::<usize>());
    let act = act.prop_map(|(second, wait_ns, buy, above, lots, how, which)| Act {
        second,
        wait_ns,
        buy,
        above,
        lots,
        how,
        which,
    });
    prop::collection::vec(act, 1..40)
}

impl Bench {
    fn wait_until(&mut self, at_ns: i64) {
        if self.matching.genesis.is_lockstep {
            while self.matching.now_ns() < at_ns {
                self.advance(at_ns - self.matching.now_ns());
            }
            return;
        }
        self.now_ns = self.now_ns.max(at_ns);
        if self.matching.is_due(self.now_ns) {
            self.carry_out(&Command::Tick);
        }
    }

    fn ask(&mut self, request: &Request) {
        self.wait_until(request.at_ns);
        let account = request.account;
        match &request.what {
            What::Place(order) => drop(self.place(&PlaceOrder { account, ..order.clone() })),
            What::Cancel(which) => {
                let placed = self.matching.ledger.all(account);
                let Some(order) = placed.get(*which).map(|order| OrderRef::Id(order.order_id)) else { return };
                let cancel = CancelOrder { account, instrument: BTC, order, cancel_client_order_id: None };
                if let Ok(command) = self.matching.check_cancel(&cancel) {
                    self.carry_out(&command);
                }
            }
        }
    }

    /// The request of an act, at prices of the present.
    fn request(&self, at_ns: i64, act: &Act) -> Request {
        let account = if act.second { TWO } else { ONE };
        let side = if act.buy { Side::Buy } else { Side::Sell };
        let limit = |force| self.limit(side, act.above, act.lots, force);
        let kind = match (act.how, limit(TimeInForce::Gtc)) {
            (0, _) => OrderKind::Market { quantity_atoms: i128::from(act.lots * 1_000) },
            (1, _) => limit(TimeInForce::Ioc),
            (2, OrderKind::Limit { price_atoms, quantity_atoms, .. }) => {
                OrderKind::LimitMaker { price_atoms, quantity_atoms }
            }
            (3, _) => {
                let placed = self.matching.ledger.all(account).len();
                return Request { at_ns, account, what: What::Cancel(act.which % placed.max(1)) };
            }
            (_, kind) => kind,
        };
        Request { at_ns, account, what: What::Place(Self::order(account, side, kind)) }
    }

    /// Asks all that is wanted, then lets what travels arrive; what each account was sent.
    fn emitted(&mut self, requests: &[Request]) -> [Vec<UserEvent>; 2] {
        let heard = [ONE, TWO].map(|account| self.matching.subscribe_user(account).unwrap());
        for request in requests {
            self.ask(request);
        }
        let end_ns = requests.last().map_or(START_NS, |request| request.at_ns) + 30 * SECOND_NS;
        self.wait_until(end_ns);
        heard.map(ready)
    }

    fn fills(&self, account: AccountId) -> Vec<FillView> {
        let (from_trade_id, start_ns, end_ns) = (Some(0), None, None);
        let query =
            FillsQuery { account, instrument: BTC, order_id: None, from_trade_id, start_ns, end_ns, limit: 1_000 };
        self.matching.my_trades(&query).unwrap()
    }

    fn open(&mut self, name: &str) -> AccountId {
        let funds = [("USDT".to_owned(), 1_000_000 * UNIT), ("BTC".to_owned(), 10 * UNIT)];
        let command = self.matching.check_account_opening(Some(name), FEES, &funds).unwrap();
        let Applied::Opened(account) = self.carry_out(&command) else { panic!("not an opening") };
        account
    }
}

/// Fills without what counts over the accounts of an exchange: the order ids.
fn nameless(fills: Vec<FillView>) -> Vec<FillView> {
    fills.into_iter().map(|fill| FillView { order_id: 0, ..fill }).collect()
}

fn of(requests: &[Request], account: AccountId) -> Vec<Request> {
    requests.iter().filter(|request| request.account == account).cloned().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What an account is sent, ids and all, and what the public sees are the same whatever another account does.
    #[test]
    fn an_account_does_not_notice_another(acts in acts(), is_lockstep: bool) {
        let mut both = Bench::new(is_lockstep);
        let heard = [ONE, TWO].map(|account| both.matching.subscribe_user(account).unwrap());
        let mut requests = Vec::new();
        let mut at_ns = START_NS;
        for act in &acts {
            at_ns += act.wait_ns;
            both.wait_until(at_ns);
            let request = both.request(at_ns, act);
            both.ask(&request);
            requests.push(request);
        }
        both.wait_until(at_ns + 30 * SECOND_NS);
        let together = heard.map(ready);
        for (place, account) in [ONE, TWO].into_iter().enumerate() {
            let mut alone = Bench::new(is_lockstep);
            let mut mine = of(&requests, account);
            // Time goes on to the same end.
            let end = Request { at_ns, account, what: What::Cancel(usize::MAX) };
            mine.push(end);
            let emitted = alone.emitted(&mine);
            prop_assert_eq!(&emitted[place], &together[place]);
            prop_assert_eq!(alone.fills(account), both.fills(account));
            let (alone, both) = (alone.matching.state(true, None), both.matching.state(true, None));
            prop_assert_eq!(&alone["accounts"][place], &both["accounts"][place]);
            if account == ONE {
                prop_assert_eq!(&alone["symbols"], &both["symbols"]);
            }
        }
        // The journal alone leads to the same state.
        prop_assert_eq!(both.replayed().state(true, None), both.matching.state(true, None));
        prop_assert_eq!(both.replayed().digest(), both.matching.digest());
    }

    /// The same requests at the same times get the same fills in whichever account they are made, one that was opened
    /// long after the market began too.
    #[test]
    fn the_same_requests_get_the_same_fills_in_any_account(acts in acts(), is_lockstep: bool, later_s in 0_i64..400) {
        let from_ns = START_NS + later_s * SECOND_NS;
        let mut first = Bench::new(is_lockstep);
        first.wait_until(from_ns);
        let mut requests = Vec::new();
        let mut at_ns = from_ns;
        for act in &acts {
            at_ns += act.wait_ns;
            first.wait_until(at_ns);
            let request = first.request(at_ns, &Act { second: false, ..*act });
            first.ask(&request);
            requests.push(request);
        }
        first.wait_until(at_ns + 30 * SECOND_NS);
        let mut other = Bench::new(is_lockstep);
        // The first account trades as well, at other times.
        let noise = other.request(START_NS, &Act { second: false, how: 4, ..acts[0] });
        other.ask(&noise);
        other.wait_until(from_ns);
        let late = other.open("late");
        for request in requests {
            for account in [late, TWO] {
                other.ask(&Request { account, ..request.clone() });
            }
        }
        other.wait_until(at_ns + 30 * SECOND_NS);
        for account in [TWO, late] {
            prop_assert_eq!(nameless(other.fills(account)), nameless(first.fills(ONE)), "account {:?}", account);
        }
    }
}
