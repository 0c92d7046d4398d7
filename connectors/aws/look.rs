//! The order of one run: bulk first, then what the bulk asks for, then what has no bulk form.
//! It must never begin to list user by user before everything that findings rest on is told.

use std::{collections::BTreeSet, time::Duration};

use provost_client::Failure;
use provost_model::{Cursor, Reading, Realm, Time, Why};

use super::{
    advisor,
    authorization::{Authorization, Listed as Told},
    beside::{Beside, Coming},
    count,
    credentials::{self, Plan, Report, Telling},
    eyes::Who,
    keys::{Because, Keys},
    lists,
    people::{UserNo, Users},
    regional, rows,
    session::Session,
    settings::{Regions, Trail},
    slots::Listed,
    sweep::Round,
    trail,
};
use crate::{Bookmarks, Emitter, Stopped, fingerprint::FingerprintKey};

/// Scope whose cursor remembers whose keys were listed.
const KEYS: &str = "iam/access-keys";

/// One run.
pub(super) struct Looking<'a> {
    pub(super) session: &'a Session,
    pub(super) known: &'a Bookmarks,
    pub(super) realm: &'a Realm,
    pub(super) who: Who,
    pub(super) sweep_every: Duration,
    /// The number of the account.
    pub(super) account: &'a str,
    /// Accounts that are no outsiders.
    pub(super) own: &'a BTreeSet<String>,
    pub(super) regions: &'a Regions,
    pub(super) lookup_every: Duration,
    pub(super) prints: &'a FingerprintKey,
    /// Where a trail writes its files, and who may read them: the one who looks first, whichever role is taken on later.
    pub(super) trail: Option<&'a Trail>,
    pub(super) archive: &'a Session,
}

impl Looking<'_> {
    /// Looks at everything. Gives what the one who looks could do beyond reading.
    pub(super) async fn look(&self, to: &mut Emitter) -> Result<Reading<Vec<String>>, Stopped> {
        let session = self.session;
        let listed = self.cursor(KEYS).and_then(|cursor| Listed::decode(&cursor.0)).unwrap_or_default();
        let known = credentials::known(self.cursor("iam/credential-report"));
        let coming = Coming::new();
        let beside = Beside::new(&coming, &listed, self.realm);
        let authorization = Authorization::new(session, self.realm, self.who.clone(), self.own).beside(beside);
        let (listing, report) =
            tokio::join!(Box::pin(authorization.list(to)), Box::pin(coming.obtained(session, known)));
        // Nobody looks for single rows of the report any more.
        drop(coming);
        let Told { mut users, failure, could_write, candidates, roles } = listing?;
        let is_whole = failure.is_none();
        if failure.is_some_and(|failure| {
            matches!(failure.why, Why::Denied | Why::Malformed | Why::Unavailable | Why::Throttled)
        }) {
            // Without the details the plain listing still gives unique ids, to which everything else is tied.
            users = Box::pin(lists::users(session, self.realm, users, to)).await?;
        } else if users.complete {
            // The plain listing stood in for the details: nothing may live on because it is not read any more.
            to.unwatch(&lists::plain_users(self.realm)).await?;
        }
        count(session, to).await?;
        let round = Round::due(self, &users, to.now());
        self.credentials(&users, (report, known, listed), &round, to).await?;
        let secrets = Box::pin(regional::all(self, to)).await?;
        let mut people = None;
        if is_whole {
            let mut alive = roles;
            alive.extend((0..users.len()).filter_map(|number| users.get(number)).map(|user| user.id.clone()));
            Box::pin(advisor::turn(self, candidates, &alive, to)).await?;
            people = Some(alive);
        }
        // With no region set nothing beside IAM is asked.
        if *self.regions != Regions::These(Vec::new()) {
            Box::pin(trail::look(self, people.as_ref(), &secrets, to)).await?;
        }
        Box::pin(round.turn(self, &users, to)).await?;
        count(session, to).await?;
        Ok(could_write)
    }

    /// The report and the access keys, with those that only a sweep can find.
    async fn credentials(
        &self,
        users: &Users,
        (report, known, listed): (Result<Report, Failure>, Option<Time>, Listed),
        round: &Round,
        to: &mut Emitter,
    ) -> Result<(), Stopped> {
        let again = self.known.full_due.iter().any(|path| path == KEYS);
        let planned = report.and_then(|report| {
            let plan = credentials::plan(&report, users, &listed, again)?;
            credentials::not_stale(plan.as_of, known)?;
            Ok((report, plan))
        });
        let mut keys = Keys::new(self.session, self.realm, users, listed);
        let silent = match planned {
            Ok(planned) => Box::pin(self.reported(users, planned, &mut keys, to)).await?,
            Err(failure) => Box::pin(self.unreported(users, failure, &mut keys, to)).await?,
        };
        keys.list(&round.among(&silent), Because::Sweep, to).await?;
        keys.end(to).await?;
        count(self.session, to).await
    }

    /// A run with a report. Gives the users whose keys only a sweep can find.
    async fn reported(
        &self,
        users: &Users,
        (report, mut plan): (Report, Plan),
        keys: &mut Keys<'_>,
        to: &mut Emitter,
    ) -> Result<Vec<UserNo>, Stopped> {
        // The report tells of second factors: what stood in for it must not live on.
        to.unwatch(&lists::second_factors_scope(self.realm)).await?;
        keys.slots = std::mem::take(&mut plan.slots);
        keys.begin(to).await?;
        // A change of status moves a slot's date, and so its name: the listing has to say first that it is the same key.
        keys.list(&plan.first, Because::Columns, to).await?;
        let held = keys.failed.clone();
        let why_held = keys.failure.as_ref().map(|failure| failure.why);
        let told = Telling { realm: self.realm, users, held: &held, why_held };
        credentials::tell(report, &plan, &told, to).await?;
        count(self.session, to).await?;
        lists::all(self, to).await?;
        keys.list(&plan.then, Because::Columns, to).await?;
        let unknown: Vec<_> = plan.unreported.iter().map(|number| (*number, 0)).collect();
        keys.list(&unknown, Because::TooNew, to).await?;
        Ok(plan.silent)
    }

    /// A run without report: every user that was never listed is listed now, and counted as a sweep.
    async fn unreported(
        &self,
        users: &Users,
        failure: Failure,
        keys: &mut Keys<'_>,
        to: &mut Emitter,
    ) -> Result<Vec<UserNo>, Stopped> {
        let scope = credentials::scope(self.realm);
        to.begin(&scope, None).await?;
        if self.cursor(&scope.path).is_none() {
            for number in 0..users.len() {
                if let Some(user) = users.get(number) {
                    // Names and tags of a user are as old as it is, for all one knows: the first report must be able to
                    // correct this, and reports are up to four hours old.
                    let as_of = user.created.unwrap_or_default();
                    to.see(&scope, None, as_of, rows::unreported(self.realm, user)).await?;
                }
            }
        }
        to.partial(&scope, failure.why, failure.to_string()).await?;
        count(self.session, to).await?;
        if users.complete && failure.why != Why::Stale {
            lists::second_factors(self, users, to).await?;
        }
        lists::all(self, to).await?;
        keys.begin(to).await?;
        let (known, new): (Vec<UserNo>, Vec<UserNo>) = (0..users.len()).partition(|number| keys.knows(*number));
        let new: Vec<_> = new.into_iter().map(|number| (number, 0)).collect();
        keys.list(&new, Because::NoReport, to).await?;
        Ok(known)
    }

    /// Where a former run got to in a scope.
    pub(super) fn cursor(&self, path: &str) -> Option<&Cursor> {
        self.known.cursors.get(path)
    }
}
