//! What the control plane asks of the matching service.

use sapphire_core::amounts::Atoms;
use sapphire_core::instrument::{Asset, InstrumentId};
use sapphire_core::venue::{AccountId, FeeRates, OrderId};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::MatchingService;
use super::api::{BalanceView, FillView, OrderView, Reply};
use super::journal::Watermarks;
use crate::keys::Credentials;

/// A command of the control plane.
#[derive(Debug)]
pub enum Control {
    /// Moves market time (lock-step): up to the first of `to_ns`, a `wake_at` and an event that a client sees.
    Advance {
        /// Where to.
        to_ns: i64,
        /// Where somebody wants to be woken.
        wake_at: Vec<i64>,
        /// Where it stands then.
        reply: Reply<Advanced>,
    },
    /// Pays into an account, or out of it.
    Deposit {
        /// Account.
        account: AccountId,
        /// Name of the asset.
        asset: String,
        /// Atoms, negative for a withdrawal.
        atoms: Atoms,
        /// The balance then.
        reply: Reply<BalanceView>,
    },
    /// Opens an account and gives it a key.
    OpenAccount {
        /// Its name, no other account's.
        name: String,
        /// Its key.
        credentials: Credentials,
        /// Its fee rates.
        fees: FeeRates,
        /// What it begins with.
        funds: Vec<(String, Atoms)>,
        /// Its index.
        reply: Reply<AccountId>,
    },
    /// Finds an account by its name.
    FindAccount {
        /// Its name.
        name: String,
        /// Its index.
        reply: Reply<AccountId>,
    },
    /// Gives the state.
    State {
        /// With every order and fill.
        full: bool,
        /// The state.
        reply: Reply<Value>,
    },
    /// Gives its figures; whoever is answered knows that the matching service lives.
    Figures(Reply<Figures>),
    /// Ends the matching service: the journal is synced and closed.
    Stop(oneshot::Sender<()>),
}

/// What the matching service counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Market time.
    pub now_ns: i64,
    /// Accounts of clients.
    pub accounts: usize,
    /// Their orders that rest.
    pub open_orders: usize,
    /// Their orders so far.
    pub orders: usize,
    /// Their fills so far.
    pub fills: usize,
    /// What they were sent so far.
    pub events: u64,
    /// Requests on their way.
    pub travelling: usize,
    /// Last record of the journal written, and the last synced.
    pub journal: Option<(u64, u64)>,
}

/// Where market time stands after an advance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advanced {
    /// Market time.
    pub now_ns: i64,
    /// How many things clients saw at that time.
    pub events: u64,
    /// Per client account, the sequence of its last event.
    pub sequences: Vec<(AccountId, u64)>,
}

impl MatchingService {
    pub(super) fn advanced(&self, events: u64) -> Advanced {
        let rows = self.accounts.iter().enumerate().skip(1);
        let sequences = rows.map(|(index, row)| (AccountId(index as u32), row.events)).collect();
        Advanced { now_ns: self.now_ns(), events, sequences }
    }

    pub(super) fn figures(&self, journal: Option<&Watermarks>) -> Figures {
        let accounts = 1..self.accounts.len();
        let mut figures = Figures {
            now_ns: self.now_ns(),
            accounts: accounts.len(),
            open_orders: 0,
            orders: 0,
            fills: 0,
            events: 0,
            travelling: self.market.travelling(),
            journal: journal.map(|marks| (marks.written(), marks.synced())),
        };
        for index in accounts {
            let account = AccountId(index as u32);
            let (orders, fills) = self.ledger.counts(account);
            figures.orders += orders;
            figures.fills += fills;
            figures.open_orders += self.ledger.open(account, None).count();
            figures.events += self.accounts[index].events;
        }
        figures
    }

    /// The state as JSON: integers as text, in ticks, lots and atoms.
    pub(super) fn state(&self, full: bool, journal: Option<&Watermarks>) -> Value {
        let symbols: Vec<Value> = self.catalog.instruments().map(|instrument| self.symbol_state(instrument)).collect();
        let accounts: Vec<Value> =
            (1..self.accounts.len()).map(|index| self.account_state(AccountId(index as u32), full)).collect();
        json!({
            "now_ns": self.now_ns().to_string(),
            "start_ns": self.genesis.start_ns.to_string(),
            "lockstep": self.genesis.is_lockstep,
            "generator": self.genesis.generator,
            "seed": self.genesis.seed,
            "market": self.catalog.source().name(),
            "travelling": self.market.travelling(),
            "next_ns": self.next_instant().map(|instant| instant.to_string()),
            "outputs": format!("{:016x}", self.digest()),
            "symbols": symbols,
            "accounts": accounts,
            "journal": journal.map(|marks| json!({
                "epoch": marks.epoch,
                "written": marks.written(),
                "synced": marks.synced(),
            })),
        })
    }

    fn symbol_state(&self, instrument: InstrumentId) -> Value {
        let index = instrument.0 as usize;
        let depth = &self.depths[index];
        let best = depth.best(self.now_ns());
        json!({
            "symbol": self.catalog.symbols()[index].symbol,
            "last_trade": self.tapes[index].last().map(|trade| json!({
                "id": trade.trade_id, "ticks": trade.ticks.to_string(), "lots": trade.lots.to_string(),
            })),
            "last_update_id": depth.last_update_id(),
            "bid": best.bid.map(|(ticks, lots)| [ticks.to_string(), lots.to_string()]),
            "ask": best.ask.map(|(ticks, lots)| [ticks.to_string(), lots.to_string()]),
        })
    }

    fn account_state(&self, account: AccountId, full: bool) -> Value {
        let assets = self.catalog.assets().iter().enumerate();
        let balances: serde_json::Map<String, Value> = assets
            .filter_map(|(index, info)| Some((info.name.clone(), self.balance(account, Asset(index as u16))?)))
            .map(|(name, held)| {
                (name, json!({"free": held.free_atoms.to_string(), "locked": held.locked_atoms.to_string()}))
            })
            .collect();
        let (orders, fills) = self.ledger.counts(account);
        let open: Vec<u64> = self.ledger.open(account, None).map(|order| order.order_id).collect();
        let mut state = json!({
            "account": account.0,
            "event_sequence": self.accounts[account.0 as usize].events,
            "balances": balances,
            "open_orders": open,
            "orders": orders,
            "fills": fills,
        });
        if let Some(name) = &self.accounts[account.0 as usize].name {
            state["name"] = json!(name);
        }
        if full {
            state["history"] = self.ledger.all(account).iter().map(|order| self.order_state(order)).collect();
        }
        state
    }

    fn order_state(&self, order: &OrderView) -> Value {
        let locked =
            self.market.order(order.account, OrderId(order.order_id)).map_or(0, |standing| standing.locked_atoms);
        let fills: Vec<FillState> = self.ledger.fills_of(order).iter().map(FillState::of).collect();
        json!({
            "symbol": self.catalog.symbols()[order.instrument.0 as usize].symbol,
            "order_id": order.order_id,
            "client_order_id": order.client_order_id,
            "side": order.side.sign(),
            "type": order.order_type.name(),
            "time_in_force": order.time_in_force.name(),
            "status": order.status.name(),
            "price_ticks": order.price_ticks.to_string(),
            "quantity_lots": order.quantity_lots.to_string(),
            "quote_order_atoms": order.quote_order_atoms.to_string(),
            "executed_lots": order.executed_lots.to_string(),
            "executed_quote_atoms": order.executed_quote_atoms.to_string(),
            "locked_atoms": locked.to_string(),
            "time_ns": order.time_ns.to_string(),
            "update_ns": order.update_ns.to_string(),
            "working_ns": order.working_ns.map(|time_ns| time_ns.to_string()),
            "fills": fills,
        })
    }
}

#[derive(Serialize)]
struct FillState {
    trade_id: u64,
    ticks: String,
    lots: String,
    quote_atoms: String,
    commission_asset: u16,
    commission_atoms: String,
    time_ns: String,
    is_maker: bool,
}

impl FillState {
    fn of(fill: &FillView) -> Self {
        Self {
            trade_id: fill.trade_id,
            ticks: fill.ticks.to_string(),
            lots: fill.lots.to_string(),
            quote_atoms: fill.quote_atoms.to_string(),
            commission_asset: fill.commission_asset.0,
            commission_atoms: fill.commission_atoms.to_string(),
            time_ns: fill.time_ns.to_string(),
            is_maker: fill.is_maker,
        }
    }
}
