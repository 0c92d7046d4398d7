//! The credential report: getting it, linking its rows to users, planning whose keys need a listing, and saying it.
//! It must never vouch for a report of which a row was not understood.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use aws_sdk_iam::types::ReportStateType;
use bytes::Bytes;
use provost_client::Failure;
use provost_model::{Cover, Cursor, Entity, Realm, Scope, Span, Time, Trouble, Why};

use super::{
    authorization::time,
    people::{UserNo, Users},
    report::{self, Counts, Row},
    rows,
    session::{Session, stopped},
    slots::{self, Listed, Slot},
};
use crate::{Emitter, Stopped};

const GENERATE: &str = "iam:GenerateCredentialReport";
const GET: &str = "iam:GetCredentialReport";
/// First wait for a report that is being made, and the longest between two looks.
const FIRST_WAIT: Duration = Duration::from_millis(1_100);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// Looks for a report that is being made: about two minutes.
const LOOKS: u32 = 16;
/// AWS makes a new report at most every 4 hours; an older one means that making it fails.
const OLD: Span = Span::hours(8);
/// Rows turned into entities at a time, so that memory stays bounded.
const ROWS: usize = 500;

/// A report as AWS made it.
pub(super) struct Report {
    pub(super) csv: Bytes,
    pub(super) generated: Time,
    /// Why a newer one could not be made.
    pub(super) lack: Option<Failure>,
}

/// What the report says about whose keys have to be listed.
#[derive(Default)]
pub(super) struct Plan {
    /// Users whose keys were listed before and whose key columns changed since: to be listed before their slots are told.
    pub(super) first: Vec<(UserNo, u64)>,
    /// Users whose keys were never listed.
    pub(super) then: Vec<(UserNo, u64)>,
    /// Users that the report does not know.
    pub(super) unreported: Vec<UserNo>,
    /// Users for whom the report shows no key; one may be hidden.
    pub(super) silent: Vec<UserNo>,
    /// What the report shows of the keys of those to be listed.
    pub(super) slots: HashMap<UserNo, Vec<Slot>>,
    pub(super) as_of: Time,
    counts: Counts,
}

/// Has a report made, waits for it, and gets it.
pub(super) async fn obtain(session: &Session) -> Result<Report, Failure> {
    let made = session.ask(GENERATE, || session.iam.generate_credential_report().send()).await;
    let (lack, ready) = match made {
        Ok(answer) => (None, answer.state == Some(ReportStateType::Complete)),
        Err(failure) => (Some(failure), true),
    };
    let mut wait = FIRST_WAIT;
    for look in 0..LOOKS {
        if !ready || look > 0 {
            session.wait(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
        if session.is_stopping() {
            return Err(stopped(GET));
        }
        match session.ask(GET, || session.iam.get_credential_report().send()).await {
            Ok(answer) => {
                let csv = answer.content.map(aws_smithy_types::Blob::into_inner).unwrap_or_default().into();
                let Some(generated) = answer.generated_time.map(time) else { return Err(malformed("it has no date")) };
                return Ok(Report { csv, generated, lack });
            }
            // Older servers say it with 404 ReportInProgress, IAM with 404 CredentialReportNotReadyException.
            Err(failure)
                if matches!(failure.code.as_str(), "ReportInProgress" | "CredentialReportNotReadyException") =>
            {
                if let Some(lack) = lack {
                    return Err(lack);
                }
            }
            Err(failure) => return Err(lack.unwrap_or(failure)),
        }
    }
    let said = "the credential report was still not ready after two minutes".to_owned();
    Err(Failure { operation: GET.to_owned(), why: Why::Unavailable, code: String::new(), said })
}

/// Reads the report once, to learn its age and whose keys have to be listed.
/// `again` asks for everybody whose row shows keys, listed before or not.
pub(super) fn plan(report: &Report, users: &Users, listed: &Listed, again: bool) -> Result<Plan, Failure> {
    let mut plan = Plan { as_of: report.generated, ..Plan::default() };
    let mut seen = vec![false; users.len()];
    let mut each = |row: Row<'_>| {
        plan.as_of = rows::no_older(plan.as_of, &row);
        let Some((number, user)) = users.of_row(&row) else { return };
        if let Some(seen) = seen.get_mut(number) {
            *seen = true;
        }
        let columns = slots::key_columns_digest(&user.id, &row);
        let known = listed.knows(&user.id, columns);
        if known && !(again && row.shows_keys()) {
            return;
        }
        if !known && listed.has(&user.id) {
            plan.first.push((number, columns));
        } else if row.shows_keys() {
            plan.then.push((number, columns));
        } else {
            plan.silent.push(number);
            return;
        }
        plan.slots.insert(number, slots::slots(&row));
    };
    plan.counts = report::read(&report.csv, &mut each).map_err(|error| malformed(&error.to_string()))?;
    plan.unreported = seen.iter().enumerate().filter(|(_, seen)| !**seen).map(|(number, _)| number).collect();
    Ok(plan)
}

/// Refuses a report older than the one known already.
pub(super) fn not_stale(as_of: Time, known: Option<Time>) -> Result<(), Failure> {
    if known.is_none_or(|known| as_of >= known) {
        return Ok(());
    }
    let said = format!("the report of {as_of} is older than the one known already");
    Err(Failure { operation: GET.to_owned(), why: Why::Stale, code: String::new(), said })
}

/// The scope of the report.
pub(super) fn scope(realm: &Realm) -> Scope {
    Scope::new(realm.clone(), "iam/credential-report")
}

/// When the report known so far was made.
pub(super) fn known(cursor: Option<&Cursor>) -> Option<Time> {
    let bytes = cursor?.0.as_slice().try_into().ok()?;
    Some(Time::from_micros(i64::from_be_bytes(bytes)))
}

/// Says everything the report holds and was not told yet, but for the keys of users in `held`, whose listing failed.
pub(super) async fn tell(report: Report, plan: &Plan, told: &Telling<'_>, to: &mut Emitter) -> Result<(), Stopped> {
    let scope = scope(told.realm);
    to.begin(&scope, None).await?;
    if to.now() - plan.as_of > OLD {
        let because = report.lack.as_ref().map(|lack| format!(": {lack}")).unwrap_or_default();
        let said = format!("the newest credential report is of {}{because}", plan.as_of);
        to.trouble(Trouble { place: scope.path.clone(), why: Why::Stale, said, blind_spot: false }).await?;
    }
    let header_end = report.csv.iter().position(|byte| *byte == b'\n').map_or(report.csv.len(), |at| at + 1);
    let (header, mut rest) = report.csv.split_at(header_end);
    let mut part = Vec::new();
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(chunk_end(rest));
        part.clear();
        part.extend_from_slice(header);
        part.extend_from_slice(chunk);
        rest = after;
        let mut entities: Vec<Entity> = Vec::with_capacity(ROWS * 2);
        let mut each = |row: Row<'_>| entities.extend(told.of(&row));
        // Faults of single rows were counted by the plan.
        if report::read(&part, &mut each).is_err() {
            return to.partial(&scope, Why::Malformed, "the credential report cannot be read").await;
        }
        for entity in entities {
            to.see(&scope, None, plan.as_of, entity).await?;
        }
    }
    told.end(&scope, plan, to).await
}

/// What is needed to say a report.
pub(super) struct Telling<'a> {
    pub(super) realm: &'a Realm,
    pub(super) users: &'a Users,
    /// Users whose listing was due and failed, and why the first did.
    pub(super) held: &'a HashSet<UserNo>,
    pub(super) why_held: Option<Why>,
}

impl Telling<'_> {
    fn of(&self, row: &Row<'_>) -> Vec<Entity> {
        if row.is_root {
            return rows::entities(self.realm, row, None);
        }
        match self.users.of_row(row) {
            Some((number, user)) if user.reported || self.held.contains(&number) => Vec::new(),
            Some((_, user)) => rows::entities(self.realm, row, Some(user)),
            // A user that is gone, or was born again since: the listing of users is newer.
            None => Vec::new(),
        }
    }

    async fn end(&self, scope: &Scope, plan: &Plan, to: &mut Emitter) -> Result<(), Stopped> {
        if plan.counts.malformed > 0 {
            let first = plan.counts.named.first().map(ToString::to_string).unwrap_or_default();
            let said =
                format!("{} rows of the credential report cannot be read; the first: {first}", plan.counts.malformed);
            return to.partial(scope, Why::Malformed, said).await;
        }
        if !self.users.complete {
            return to.partial(scope, Why::NotReached, "the users of the report's rows were not all listed").await;
        }
        if let Some(why) = self.why_held {
            let said = format!("{} users changed their keys, and listing them failed", self.held.len());
            return to.partial(scope, why, said).await;
        }
        let next = Some(Cursor(plan.as_of.as_micros().to_be_bytes().to_vec()));
        to.cover(scope, None, plan.as_of, Cover::Full { next, atomic: true }).await
    }
}

/// Where the next [`ROWS`] lines end.
fn chunk_end(rest: &[u8]) -> usize {
    let ends = rest.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    ends.take(ROWS).enumerate().last().filter(|(count, _)| count + 1 == ROWS).map_or(rest.len(), |(_, end)| end)
}

fn malformed(said: &str) -> Failure {
    Failure { operation: GET.to_owned(), why: Why::Malformed, code: String::new(), said: said.to_owned() }
}
