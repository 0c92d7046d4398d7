//! `evidence export|head`: what stands in the chains of a store.
//! It must never leave an entry out of a chain that it writes out: what is not meant goes without its facts.

use std::collections::BTreeMap;

use provost_store::{Go, evidence::Checkpoint};

use super::{Asked, CommandError, cases::subject};
use crate::cli::{self, Evidence, Exit, Screen};

/// Facts about people, and their words.
const OF_PEOPLE: [&str; 6] = ["by", "uid", "purpose", "control", "owner", "because"];

/// Answers one of them.
pub(super) fn evidence(asked: &Asked<'_>, action: &Evidence, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    match action {
        Evidence::Export { subject, since, until, redacted } => {
            let about = match subject.as_deref().map(|typed| self::subject(asked, typed, screen)).transpose()? {
                Some(Ok(subject)) => Some(subject.to_string()),
                Some(Err(exit)) => return Ok(exit),
                None => None,
            };
            let (mut count, mut failed, mut ends) = (0_u64, None, BTreeMap::new());
            asked.desk.house.inventory().each_exhibit(&mut |exhibit| {
                if since.is_some_and(|since| exhibit.at < since) {
                    return Ok(Go::On);
                }
                if until.is_some_and(|until| exhibit.at > until) || asked.stop.is_cancelled() {
                    return Ok(Go::Stop);
                }
                let is_meant = about.as_deref().is_none_or(|about| exhibit.fact("subject") == Some(about));
                let shown = match (is_meant, redacted) {
                    (false, _) => exhibit.stub(),
                    (true, true) => exhibit.without(&|name| OF_PEOPLE.contains(&name)),
                    (true, false) => exhibit,
                };
                count += u64::from(is_meant);
                ends.insert(shown.writer.clone(), shown.end());
                if let Err(error) = cli::evidence::exhibit(&shown, screen) {
                    failed = Some(error);
                    return Ok(Go::Stop);
                }
                Ok(Go::On)
            })?;
            if let Some(error) = failed {
                return Err(error.into());
            }
            // Of a part that ends earlier, no checkpoint is made: what came later is not in it.
            let signed = if until.is_none() { checkpoints(asked)? } else { Vec::new() };
            let ends_so = |it: &&Checkpoint| ends.get(&it.writer).is_some_and(|end| end.head == it.head);
            signed.iter().filter(ends_so).try_for_each(|it| cli::evidence::checkpoint(it, screen))?;
            screen.remark(&format!("{count} entries; check them with: provost evidence verify FILE --head HASH"))?;
            Ok(Exit::Done)
        }
        Evidence::Head => Ok(cli::evidence::heads(&checkpoints(asked)?, screen)?),
        Evidence::Verify { .. } => Err(CommandError::Usage("a file is checked without a daemon".to_owned())),
    }
}

/// A signed checkpoint of each chain as it is now.
fn checkpoints(asked: &Asked<'_>) -> Result<Vec<Checkpoint>, CommandError> {
    let ends = asked.desk.house.inventory().chain_ends()?;
    if ends.is_empty() {
        return Ok(Vec::new());
    }
    let (signer, now) = (asked.desk.wiring().signer()?, asked.desk.house.now());
    Ok(ends.iter().map(|(writer, end)| signer.sign(writer, end, now)).collect())
}
