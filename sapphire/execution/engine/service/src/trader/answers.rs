//! What an operator is answered, and what an operator's command does.

use sapphire_core::amounts::Atoms;
use sapphire_core::instrument::{Asset, InstrumentId};
use sapphire_core::risk::{Command, DenialCode, TradingState};
use serde_json::{Value, json};

use super::{Stage, Trader, TraderFailure};
use crate::control::{Answer, Question};
use crate::entry::Source;
use crate::fold::KnownRelease;
use crate::fold::Traded;
use crate::journal::Standing;
use crate::latched::{Note, command_text};
use crate::latency_trace::STAGES;

impl Trader {
    /// Answers a question of the control API.
    pub(super) fn answer(&mut self, question: &Question) -> Result<Answer, TraderFailure> {
        match question {
            Question::Command { command, who, halt } => self.on_command(*command, who, *halt),
            Question::Close { symbol, who } => {
                if let Some(instrument) = self.run.instrument(symbol) {
                    return self.on_command(Command::Close(instrument), who, 0);
                }
                let known: Vec<&str> = self.run.instruments.iter().map(|each| each.symbol.as_str()).collect();
                let text = format!("expected: one of {}; got: {symbol:?}; next: name one", known.join(", "));
                Ok(Err(text))
            }
            Question::Live => Ok(Ok(json!({"live": true}))),
            Question::State => Ok(Ok(self.state())),
            Question::Positions => Ok(Ok(self.positions())),
            Question::Stop => {
                self.is_ending = true;
                Ok(Ok(json!({"stopping": true})))
            }
        }
    }

    fn on_command(&mut self, command: Command, who: &str, halt: u64) -> Result<Answer, TraderFailure> {
        if command.leads_to_orders() && self.journal.standing() != Standing::Flowing {
            let text = command_text(command);
            let text = format!(
                "expected: a journal with room on a disk that keeps up; got: one that has not; next: free disk space, \
                 see /state, then {text}"
            );
            return Ok(Err(text));
        }
        self.show_quotes()?;
        self.command(command, Source::Operator { who: who.to_owned() })?;
        if command == Command::Halt {
            self.halts_applied = self.halts_applied.max(halt);
        }
        Ok(Ok(json!({
            "state": self.engine.trading_state().text(),
            "step": self.step.to_string(),
            "closed": self.closed(),
        })))
    }

    /// What commands have closed: since when, by whom and why, and how far it is sold.
    fn closed(&self) -> Vec<Value> {
        let listed = (0..).map(InstrumentId).zip(&self.run.instruments).zip(&self.instruments);
        let closed = listed.filter(|((instrument, _), _)| self.engine.is_closed(*instrument));
        let rows = closed.map(|((instrument, listing), rules)| {
            let position = self.engine.ledger().positions().get(usize::from(instrument.0));
            let standing = match (self.engine.trading_state(), self.engine.refused(instrument)) {
                _ if self.engine.is_flat(instrument) => "flat",
                (TradingState::Halted, _) => "halted",
                (_, Some(_)) => "refused",
                _ => "selling",
            };
            let refused = self.engine.refused(instrument).filter(|_| standing == "refused");
            json!({
                "symbol": listing.symbol,
                "set": self.latched.closed(instrument).map(note),
                "lots": position.map_or(0, |position| position.sellable_lots(rules)).to_string(),
                "in_flight_lots": self.engine.in_flight_lots(instrument).to_string(),
                "standing": standing,
                "refused": refused.map(DenialCode::text),
            })
        });
        rows.collect()
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
            "release": self.traded.last().map(|traded| traded.release),
            "traded": self.traded.iter().map(traded_row).collect::<Vec<_>>(),
            "stage": self.run.stage,
            "trading": self.engine.trading_state().text(),
            "trading_set": self.latched.state().map(note),
            "closed": self.closed(),
            "latency": self.latency(),
            "last_bar_close_ns": self.engine.ended_bar_ns().map(|close_ns| close_ns.to_string()),
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

    /// From the first byte of a signal to the last of the order on the socket, since the process started. The 99th
    /// percentile where there are enough orders for one.
    fn latency(&self) -> Value {
        let stage = STAGES.len() - 1;
        let (count, at) = self.metrics.quantiles(stage, &[0.5, 0.99]);
        let quantile = |place: usize, least: u64| at.get(place).filter(|_| count >= least).map(ToString::to_string);
        json!({ "hop": STAGES[stage], "orders": count, "median_ns": quantile(0, 1), "p99_ns": quantile(1, 100) })
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
        let mut unrealised = Some(0);
        let rows = ledger.positions().iter().zip(&self.instruments).zip(&self.run.instruments).enumerate();
        let rows = rows.map(|(index, ((position, rules), listing))| {
            let instrument = InstrumentId(index as u16);
            let price = self.engine.price(instrument);
            let value = price.and_then(|(price_atoms, _)| position.value_atoms(price_atoms));
            let gain = if position.atoms == 0 { Some(0) } else { value.map(|value| value - position.cost_atoms) };
            unrealised = unrealised.zip(gain).map(|(sum, gain)| sum + gain);
            json!({
                "symbol": listing.symbol,
                "price_atoms": price.map(|(atoms, _)| atoms.to_string()),
                "price_ns": price.map(|(_, since_ns)| since_ns.to_string()),
                "value_atoms": value.map(|atoms| atoms.to_string()),
                "unrealised_atoms": gain.map(|atoms| atoms.to_string()),
                "atoms": position.atoms.to_string(),
                "lots": position.sellable_lots(rules).to_string(),
                "in_flight_lots": self.engine.in_flight_lots(instrument).to_string(),
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
        let rows: Vec<Value> = rows.collect();
        let realised: Atoms = ledger.positions().iter().map(|position| position.realised_atoms).sum();
        json!({
            "account": self.run.account,
            "quote": self.run.quote,
            "trading": self.engine.trading_state().text(),
            "trading_set": self.latched.state().map(note),
            "closed": self.closed(),
            "realised_quote_atoms": realised.to_string(),
            "unrealised_quote_atoms": unrealised.map(|atoms: Atoms| atoms.to_string()),
            "cash_quote_atoms": ledger.cash_atoms().to_string(),
            "equity_quote_atoms": self.engine.equity_atoms().map(|atoms| atoms.to_string()),
            "positions": rows,
            "fees": fees.collect::<Vec<_>>(),
            "others": others.collect::<Vec<_>>(),
        })
    }
}

/// A command that was applied, as it is answered.
fn note(note: &Note) -> Value {
    json!({ "word": note.command, "market_ns": note.market_ns.to_string(), "by": note.by, "why": note.why })
}

/// From when on a release was traded.
fn traded_row(traded: &Traded) -> Value {
    json!({
        "release": traded.release,
        "wall_ns": traded.wall_ns.to_string(),
        "market_ns": traded.market_ns.map(|market_ns| market_ns.to_string()),
    })
}
