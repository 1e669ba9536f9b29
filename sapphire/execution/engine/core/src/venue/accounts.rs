//! Balances to the atom.

use super::Rejection;
use crate::amounts::{Atoms, is_holdable};
use crate::instrument::Asset;

/// Who stands behind an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountKind {
    /// A client: never below zero, pays fees.
    Client,
    /// The market itself: unlimited, and allowed to trade with itself.
    Liquidity,
}

/// Fee rates of an account, 1e-8 of the amount received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct FeeRates {
    /// For orders that stood in the book.
    pub maker: i64,
    /// For orders that took.
    pub taker: i64,
}

/// What an account has of one asset, in atoms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Balance {
    /// At its owner's disposal.
    pub free: Atoms,
    /// Promised to standing orders.
    pub locked: Atoms,
}

impl Balance {
    /// Free and promised together.
    pub fn total(&self) -> Atoms {
        self.free + self.locked
    }
}

/// One owner's balances.
#[derive(Clone, Debug)]
pub struct Account {
    kind: AccountKind,
    fees: FeeRates,
    balances: Vec<Balance>,
}

impl Account {
    pub(super) fn new(kind: AccountKind, fees: FeeRates, assets: usize) -> Self {
        Self { kind, fees, balances: vec![Balance::default(); assets] }
    }

    /// Client or synthetic liquidity.
    pub fn kind(&self) -> AccountKind {
        self.kind
    }

    /// Fee rates.
    pub fn fees(&self) -> FeeRates {
        self.fees
    }

    /// Balance of one asset; zero for an asset the venue does not know.
    pub fn balance(&self, asset: Asset) -> Balance {
        self.balances.get(asset.0 as usize).copied().unwrap_or_default()
    }

    /// All balances, by asset.
    pub fn balances(&self) -> &[Balance] {
        &self.balances
    }

    pub(super) fn deposit(&mut self, asset: Asset, atoms: Atoms) -> Result<(), Rejection> {
        let balance = self.balances.get_mut(asset.0 as usize).ok_or(Rejection::Unknown)?;
        let free = balance.free.checked_add(atoms).ok_or(Rejection::Amount)?;
        // What is locked comes back to what is free: the two together must fit as well.
        let total = free.checked_add(balance.locked).ok_or(Rejection::Amount)?;
        if atoms > 0 && self.kind == AccountKind::Client && !is_holdable(total) {
            return Err(Rejection::Amount);
        }
        if atoms < 0 && free < 0 && self.kind == AccountKind::Client {
            return Err(Rejection::InsufficientBalance);
        }
        balance.free = free;
        Ok(())
    }

    pub(super) fn lock(&mut self, asset: Asset, atoms: Atoms) {
        let balance = &mut self.balances[asset.0 as usize];
        balance.free -= atoms;
        balance.locked += atoms;
    }

    pub(super) fn unlock(&mut self, asset: Asset, atoms: Atoms) {
        self.lock(asset, -atoms);
    }

    pub(super) fn credit(&mut self, asset: Asset, atoms: Atoms) {
        self.balances[asset.0 as usize].free += atoms;
    }
}
