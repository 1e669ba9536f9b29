//! Deposits, and the proof that money neither appears nor vanishes.

use sapphire_core::amounts::Atoms;
use sapphire_core::instrument::{Asset, Side};
use sapphire_core::venue::{AccountId, OrderId, Venue};

use super::MatchingService;
use super::api::UserEventKind;

impl MatchingService {
    /// Pays into an account (negative: out of it); the checks were made before the journal had it.
    pub(super) fn deposit(&mut self, account: AccountId, asset: &str, atoms: Atoms) {
        let Some(asset) = self.catalog.asset(asset) else { return };
        if self.market.deposit(account, asset, atoms).is_err() {
            return;
        }
        self.deposits[asset.0 as usize] += atoms;
        let now_ns = self.market.now_ns();
        self.emit(account, now_ns, UserEventKind::BalanceUpdate { asset, delta_atoms: atoms });
        self.announce_positions(&[(account, asset)].into());
    }

    /// Per asset, balances and fees are what was paid in; per client and asset, what is locked is what its open orders
    /// need; no client is below zero.
    ///
    /// # Errors
    /// The first sentence that does not hold.
    pub(crate) fn check_money(&self) -> Result<(), String> {
        for (index, deposited) in self.deposits.iter().enumerate() {
            let asset = Asset(index as u16);
            let accounts = (1..self.accounts.len()).filter_map(|index| self.market.account(AccountId(index as u32)));
            let clients: Atoms = accounts.map(|account| account.balance(asset).total()).sum();
            let liquidity = |venue: &Venue| {
                venue.account(self.market.liquidity()).map_or(0, |liquidity| liquidity.balance(asset).total())
            };
            let others: Atoms = self.market.venues().map(|venue| liquidity(venue) + venue.collected()[index]).sum();
            let total = clients + others;
            if total != *deposited {
                let name = self.catalog.asset_name(asset);
                return Err(format!("{name}: {deposited} atoms were paid in and {total} are there"));
            }
        }
        for index in 1..self.accounts.len() {
            self.check_locks(AccountId(index as u32))?;
        }
        Ok(())
    }

    fn check_locks(&self, account: AccountId) -> Result<(), String> {
        let mut needed = vec![0; self.deposits.len()];
        for order in self.ledger.open(account, None) {
            let Some(standing) = self.market.order(account, OrderId(order.order_id)) else { continue };
            let Some(instrument) = self.market.venue().instrument(order.instrument) else { continue };
            let rest = order.quantity_lots - order.executed_lots;
            let (asset, atoms) = match order.side {
                Side::Buy => (instrument.quote, instrument.notional(order.price_ticks, rest)),
                Side::Sell => (instrument.base, instrument.base_atoms(rest)),
            };
            if standing.locked_atoms != atoms || standing.filled_lots != order.executed_lots {
                return Err(format!("order {}: book {standing:?}, ledger {order:?}", order.order_id));
            }
            needed[asset.0 as usize] += atoms;
        }
        for (index, needed) in needed.into_iter().enumerate() {
            let asset = Asset(index as u16);
            let balance = self.market.account(account).map(|account| account.balance(asset)).unwrap_or_default();
            if balance.locked != needed || balance.free < 0 {
                let name = self.catalog.asset_name(asset);
                return Err(format!("account {} {name}: {balance:?} while open orders need {needed}", account.0));
            }
        }
        Ok(())
    }
}
