//! `cluster status`: who is at work on the store, from the leases they hold.
//! It must never believe a row that no lease stands behind.

use provost_model::Outcome;
use provost_store::{
    Held, StoreError,
    inventory::{Inventory, TURN_QUEUE, WORK_QUEUE},
};

use super::CommandError;
use crate::{
    cli::{
        self, Exit, Screen,
        cluster::{Cluster, Member, Turn, Work},
    },
    desk::Desk,
    tenancy::MEMBER,
};

/// Answers it.
pub(super) fn status(desk: &Desk, screen: &mut Screen<'_>) -> Result<Exit, CommandError> {
    let (store, now) = (desk.house.store(), desk.tenancy.now()?);
    let inventory = desk.house.inventory();
    let shared = store.shared();
    let held: Vec<Held> = store.leases()?.into_iter().filter(|lease| lease.until > now).collect();
    let of = |queue: &str| {
        let prefix = format!("{queue}/");
        held.iter().filter_map(move |lease| Some((lease.name.strip_prefix(&prefix)?.to_owned(), lease)))
    };
    let until = |lease: &Held| shared.then_some(lease.until);
    let work = of(WORK_QUEUE).map(|(item, lease)| {
        let (source, scope) = item.split_once('/').unwrap_or((&item, ""));
        let since = begun(inventory, source)?;
        Ok(Work {
            source: source.to_owned(),
            scope: scope.to_owned(),
            holder: lease.holder.clone(),
            since,
            until: until(lease),
        })
    });
    let turns =
        of(TURN_QUEUE).map(|(turn, lease)| Turn { turn, holder: lease.holder.clone(), until: until(lease) }).collect();
    let cluster = Cluster {
        shared,
        store: desk.wiring().config.store.name().display().to_string(),
        members: members(desk, &held)?,
        work: work.collect::<Result<_, StoreError>>()?,
        turns,
    };
    Ok(cli::cluster::show(&cluster, screen)?)
}

/// Daemons whose lease lasts; of an embedded store the one that answers.
fn members(desk: &Desk, held: &[Held]) -> Result<Vec<Member>, StoreError> {
    if !desk.house.store().shared() {
        let me = desk.tenancy.me();
        return Ok(desk.daemon_since.map(|since| member(me.clone(), since, None)).into_iter().collect());
    }
    let members = desk.house.inventory().members()?.into_iter().filter_map(|row| {
        let lease = held.iter().find(|lease| lease.name.strip_prefix(MEMBER) == Some(&row.id))?;
        let since = row.since;
        // A heartbeat prolongs the lease by its whole length.
        Some(member(row, since, Some(lease.until - desk.tenancy.length())))
    });
    Ok(members.collect())
}

fn member(
    row: provost_store::inventory::MemberRow,
    since: provost_model::Time,
    heard: Option<provost_model::Time>,
) -> Member {
    Member { id: row.id, host: row.host, pid: row.pid, version: row.version, since, heard }
}

/// When the run of a source that is under way began.
fn begun(inventory: Inventory<'_>, source: &str) -> Result<Option<provost_model::Time>, StoreError> {
    let Some(id) = inventory.source(source)?.last_run else { return Ok(None) };
    Ok(inventory.run(source, id)?.filter(|run| run.outcome == Outcome::Running).map(|run| run.started))
}
