//! The order of one run over an organization: what changed, who is there, what was granted, then repository by repository.
//! It must never begin to ask repository by repository before everything that findings rest on is told.

use std::collections::BTreeSet;

use super::{
    alerts, audit::Changes, count, deploy_keys, listing::Seen, lists, org::Org, owners, people, repositories,
    round::Position, sweep,
};
use crate::{Emitter, Stopped};

/// The scope whose cursor remembers how far the sweep of deploy keys is.
const KEYS_SWEEP: &str = "deploy-key-sweep";

/// Looks at an organization.
pub(super) async fn look(org: &mut Org<'_>, to: &mut Emitter) -> Result<(), Stopped> {
    org.changes = Changes::read(org, to).await?;
    count(org, "", to).await?;
    let people = people::members(org, to).await?;
    count(org, "", to).await?;
    let seen = Seen { org, people: &people };
    lists::all(&seen, to).await?;
    let org = seen.org;
    let leaking = alerts::look(org, to).await?;
    count(org, "", to).await?;
    let mut triage = repositories::look(org, leaking.as_ref(), to).await?;
    count(org, "", to).await?;
    // Keys that live with their repository are told; what only REST says of them comes now.
    uses(org, &triage, to).await?;
    owners::look(org, &triage, &people, to).await?;
    count(org, "", to).await?;
    let holding = sweep::turn(org, &triage.index, to).await?;
    repositories::hold(org, &mut triage, &holding, to).await?;
    count(org, sweep::SWEEP, to).await
}

/// The use of deploy keys: of those that changed, and of those whose turn it is.
async fn uses(org: &Org<'_>, triage: &repositories::Triage, to: &mut Emitter) -> Result<(), Stopped> {
    let scope = org.scope(KEYS_SWEEP);
    let now = to.now();
    let mut position = org.cursor(KEYS_SWEEP).and_then(Position::read).unwrap_or_else(|| Position::begun(now));
    let before = position.clone();
    let turn =
        |among: &BTreeSet<u64>| -> BTreeSet<u64> { sweep::share(org, among, &mut position, now).into_iter().collect() };
    if !deploy_keys::look(org, &triage.index, turn, to).await? {
        // Whoever was not reached keeps its turn.
        position = before;
    }
    to.begin(&scope, None).await?;
    to.cover(&scope, None, now, provost_model::Cover::Delta { next: position.cursor() }).await
}
