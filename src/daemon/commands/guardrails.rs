//! `cases guardrails …`: what policy decides by itself, and what it leaves to people.
//! It must never decide: that is the daemon's turn.

use provost_store::Go;

use super::{Asked, CommandError};
use crate::{
    cli::{
        self, Exit, Screen,
        guardrails::{GuardrailRow, WouldRow},
    },
    jobs::guard,
};

/// Answers it.
pub(super) fn guardrails(asked: &Asked<'_>, name: Option<&str>, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let (house, wiring) = (&asked.desk.house, asked.desk.wiring());
    let all = &wiring.config.guardrails;
    let Some(name) = name else {
        let (stand, today) = (house.inventory().guardrails()?, guard::today(house.inventory(), screen.look.now)?);
        let people = wiring.yardstick.people.of_file();
        let row = |it| {
            let nobody = provost_engine::govern::Guardrail::somebody_answers(it, people, screen.look.now).err();
            let count = today.get(&it.name).copied().unwrap_or(0);
            GuardrailRow::of(it, stand.get(&it.name), count, nobody.map(|left| left.to_string()))
        };
        return Ok(cli::guardrails::list(all.iter().map(row).collect(), screen)?);
    };
    let Some(by) = all.iter().find(|it| it.name == name) else {
        let said = format!("no [[guardrails]] entry is called {name:?}; see: provost cases guardrails");
        return Err(CommandError::Usage(said));
    };
    let mut rows = Vec::new();
    guard::would((house, &wiring), by, &mut |would| {
        rows.push(WouldRow {
            id: would.record.id,
            kind: would.record.kind.name(),
            name: would.record.name(),
            external_id: would.record.external().to_owned(),
            rules: would.rules,
            decides: would.left.is_none().then_some(by.remedy),
            left: would.left.map(|left| left.to_string()),
        });
        if asked.stop.is_cancelled() { Go::Stop } else { Go::On }
    })?;
    Ok(cli::guardrails::would(name, rows, screen)?)
}
