//! `status`: sources, runs, findings and the daemon at a glance.
//! It must never look better than it is: what is partial, held or stale is said.

use std::collections::BTreeMap;

use provost_model::{FindingState, Severity};
use provost_store::Go;

use super::{CommandError, sources};
use crate::{
    cli::{
        self, Exit, Screen,
        status::{Daemon, RunningRow, Status},
    },
    desk::Desk,
    jobs::anew,
};

/// Answers it.
pub(super) fn status(desk: &Desk, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let inventory = desk.house.inventory();
    let wiring = desk.wiring();
    let space = desk.house.store().space()?;
    let mut records = 0;
    inventory.each_record(None, &mut |record, _| {
        records +=
            u64::from(matches!(record.presence(), provost_model::Presence::Present | provost_model::Presence::Missing));
        Ok(Go::On)
    })?;
    let mut open: BTreeMap<Severity, u64> = BTreeMap::new();
    let mut notices = Vec::new();
    inventory.each_finding(None, &mut |finding| {
        if finding.state == FindingState::Open {
            *open.entry(finding.severity).or_default() += 1;
            if finding.source.is_some() {
                notices.push(format!("{}: {}: {}", finding.rule, finding.external_id, finding.because));
            }
        }
        Ok(Go::On)
    })?;
    if let Some((free, needed)) = desk.lacks_room()? {
        notices.push(format!(
            "only {} free on the store's disk, {} must stay free: no run starts, running ones end early",
            cli::status::bytes(free),
            cli::status::bytes(needed)
        ));
    }
    let running = desk.runs.running().into_iter().map(|(source, progress)| RunningRow {
        source,
        started: progress.started,
        done: progress.done,
        total: progress.total,
        of: progress.of.to_owned(),
    });
    if let Some(why) = desk.clock_distrust()? {
        notices.push(format!("the clock is not trusted: {why}; verdicts by time alone wait"));
    }
    if records > 0 && !anew::holds(inventory, &wiring.yardstick)? {
        notices.push("thresholds, owner tags or rules changed; not every finding follows them yet".into());
    }
    if records > 0 && !inventory.linked_by()?.is_some_and(|mark| mark.everything) {
        notices.push("not every record is grouped yet".into());
    }
    let status = Status {
        daemon: desk.daemon_since.map(|since| Daemon {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            since,
        }),
        store: wiring.config.store.name().display().to_string(),
        store_bytes: space.used,
        free_bytes: (space.total != u64::MAX).then_some(space.free),
        records,
        findings: open.into_iter().rev().collect(),
        notices,
        sources: sources::rows(desk)?,
        running: running.collect(),
    };
    Ok(cli::status::show(&status, screen)?)
}
