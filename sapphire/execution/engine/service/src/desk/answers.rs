//! What an operator is told, and what an operator's command does.

use sapphire_core::amounts::Atoms;
use sapphire_core::instrument::{Asset, InstrumentId};
use sapphire_core::risk::Command;
use serde_json::{Value, json};

use super::{Desk, DeskFailure, Stage};
use crate::control::{Answer, Question};
use crate::entry::Source;
use crate::fold::KnownRelease;
use crate::journal::Standing;

impl Desk {
    /// Answers a question of the control API.
    pub(super) fn answer(&mut self, question: &Question) -> Result<Answer, DeskFailure> {
        match question {
            Question::Command { command, reason, halt } => self.obey(*command, reason, *halt),
            Question::State => Ok(Ok(self.state())),
            Question::Positions => Ok(Ok(self.positions())),
            Question::Stop => {
                self.is_ending = true;
                Ok(Ok(json!({"stopping": true})))
            }
        }
    }

    fn obey(&mut self, command: Command, reason: &str, halt: u64) -> Result<Answer, DeskFailure> {
        if command == Command::Resume && self.journal.standing() != Standing::Flowing {
            let text = "expected: a journal with room on a disk that keeps up; got: one that has not; next: free disk \
                        space, see /state, then resume";
            return Ok(Err(text.to_owned()));
        }
        self.show_quotes()?;
        self.command(command, Source::Operator { who: format!("control: {reason}") })?;
        if command == Command::Halt {
            self.obeyed = self.obeyed.max(halt);
        }
        Ok(Ok(json!({"state": self.engine.trading_state().text(), "step": self.step.to_string()})))
    }

    fn state(&mut self) -> Value {
        let now_ns = self.clock.now_ns();
        let market_ns = self.market.at(now_ns);
        let marks = self.journal.watermarks();
        let standing = match self.journal.standing() {
            Standing::Flowing => "flowing",
            Standing::Lagging(_) => "lagging",
            Standing::Reserve => "reserve",
            Standing::Closed => "closed",
        };
        let releases = self.slots.known().iter().map(|release| {
            let (digest, standing) = (release.digest.to_string(), self.release_standing(release));
            json!({"digest": digest, "name": release.name, "ok": release.ok, "standing": standing})
        });
        let refused = self.unadmitted.iter().map(|(digest, why)| json!({"digest": digest.to_string(), "why": why}));
        json!({
            "account": self.run.account,
            "stage": self.run.stage,
            "trading": self.engine.trading_state().text(),
            "ready": matches!(self.stage, Stage::Open),
            "epoch": self.journal.epoch(),
            "step": self.step.to_string(),
            "market_ns": market_ns.to_string(),
            "connected": self.gateway.is_connected(),
            "outstanding": self.gateway.outstanding(),
            "cursor": self.cursor.to_string(),
            "lockstep": {
                "working_on": self.lockstep.step().map(|step| step.number.to_string()),
                "settled": self.lockstep.settled().to_string(),
            },
            "wake_at_ns": self.engine.wake_at_ns().map(|wake_ns| wake_ns.to_string()),
            "journal": {
                "written": marks.written.to_string(),
                "synced": marks.synced.to_string(),
                "standing": standing,
            },
            "releases": releases.collect::<Vec<_>>(),
            "refused_releases": refused.collect::<Vec<_>>(),
        })
    }

    /// What a release may do at present.
    fn release_standing(&self, release: &KnownRelease) -> &'static str {
        let limits = self.engine.strategy_limits(self.slots.of(&release.digest));
        match limits.and_then(|limits| limits.max_exposure_atoms) {
            _ if !release.ok => "refused",
            Some(0) => "reduces only",
            _ => "open",
        }
    }

    fn positions(&self) -> Value {
        let ledger = self.engine.ledger();
        let rows = ledger.positions().iter().zip(&self.instruments).zip(&self.run.instruments).enumerate();
        let rows = rows.map(|(index, ((position, rules), listing))| {
            json!({
                "symbol": listing.symbol,
                "atoms": position.atoms.to_string(),
                "lots": position.sellable_lots(rules).to_string(),
                "in_flight_lots": self.engine.in_flight_lots(InstrumentId(index as u16)).to_string(),
                "cost_atoms": position.cost_atoms.to_string(),
                "average_price_atoms": position.average_price_atoms().map(|price| price.to_string()),
                "realised_atoms": position.realised_atoms.to_string(),
            })
        });
        let named = || (0..).map(Asset).zip(&self.run.assets);
        let amount = |atoms: Option<Atoms>| atoms.filter(|atoms| *atoms != 0).map(|atoms| atoms.to_string());
        // A fee in an asset without a price here is shown in that asset, and its value is null.
        let fees = named().filter_map(|(asset, name)| {
            let atoms = amount(ledger.fees().get(usize::from(asset.0)).copied())?;
            let value = self.engine.fee_value_atoms(asset).map(|atoms| atoms.to_string());
            Some(json!({ "asset": name, "atoms": atoms, "quote_atoms": value }))
        });
        let others = named().filter_map(|(asset, name)| {
            let atoms = amount(ledger.others().get(usize::from(asset.0)).copied())?;
            Some(json!({ "asset": name, "atoms": atoms }))
        });
        json!({
            "account": self.run.account,
            "quote": self.run.quote,
            "cash_quote_atoms": ledger.cash_atoms().to_string(),
            "equity_quote_atoms": self.engine.equity_atoms().map(|atoms| atoms.to_string()),
            "positions": rows.collect::<Vec<_>>(),
            "fees": fees.collect::<Vec<_>>(),
            "others": others.collect::<Vec<_>>(),
        })
    }
}
