//! What the credential report has of users, told right beside them where the report comes in time: one change of a record,
//! and one version of it, instead of two.
//! It must never tell of a report that is not believed as a whole, nor of a user whose keys have to be listed first.

use std::{sync::Arc, time::Duration};

use provost_client::Failure;
use provost_model::{Realm, Time};
use tokio::sync::watch;

use super::{
    credentials::{self, Report},
    people::Users,
    report::{Row, Rows},
    rows,
    session::Session,
    slots::{self, Listed},
};
use crate::{Emitter, Stopped};

/// Things told at a time: with what the report has of as many users they are one batch.
pub(super) const AT_ONCE: usize = 100;
/// Things told for one user, usually at most: itself twice, and two credentials.
const OF_ONE: usize = 4;
/// How long users wait for the report: what is made anew often takes longer, and they are told without it then.
const MOMENT: Duration = Duration::from_secs(2);

/// A report on its way.
pub(super) struct Coming(watch::Sender<State>);

/// How far it is.
enum State {
    /// It may be here in a moment.
    Expected,
    /// It was waited for in vain, or cannot be had or believed.
    Late,
    Here(Arc<Believed>),
}

/// A report that is believed: every row of it can be found, and it is not older than the one known already.
pub(super) struct Believed {
    rows: Rows,
    as_of: Time,
}

/// Tells what the report has of users.
pub(super) struct Beside<'a> {
    coming: &'a Coming,
    /// Whose keys were listed before.
    listed: &'a Listed,
    realm: &'a Realm,
    began: bool,
}

impl Coming {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(State::Expected))
    }

    /// Has the report made and gets it, and says here how far it is.
    pub(super) async fn obtained(&self, session: &Session, known: Option<Time>) -> Result<Report, Failure> {
        let report = credentials::obtain(session).await;
        self.say(report.as_ref().map_or(State::Late, |report| State::of(report, known)));
        report
    }

    fn say(&self, state: State) {
        self.0.send_replace(state);
    }

    /// The report, if it is here or will be in a moment, which is waited for once.
    async fn in_time(&self) -> Option<Arc<Believed>> {
        let mut told = self.0.subscribe();
        let known = told.wait_for(|state| !matches!(state, State::Expected));
        let Ok(known) = tokio::time::timeout(MOMENT, known).await else {
            self.0.send_if_modified(State::be_late);
            return None;
        };
        match &*known.ok()? {
            State::Here(believed) => Some(Arc::clone(believed)),
            State::Expected | State::Late => None,
        }
    }
}

impl State {
    /// What was expected comes later than that.
    fn be_late(&mut self) -> bool {
        let expected = matches!(self, Self::Expected);
        if expected {
            *self = Self::Late;
        }
        expected
    }

    fn of(report: &Report, known: Option<Time>) -> Self {
        Believed::of(report, known).map_or(Self::Late, |believed| Self::Here(Arc::new(believed)))
    }
}

impl Believed {
    fn of(report: &Report, known: Option<Time>) -> Option<Self> {
        let mut as_of = report.generated;
        let mut each = |row: &Row<'_>| as_of = rows::no_older(as_of, row);
        let rows = Rows::of(report.csv.clone(), &mut each).ok()?;
        credentials::not_stale(as_of, known).ok()?;
        Some(Self { rows, as_of })
    }
}

impl<'a> Beside<'a> {
    pub(super) fn new(coming: &'a Coming, listed: &'a Listed, realm: &'a Realm) -> Self {
        Self { coming, listed, realm, began: false }
    }

    /// The report, if it came in time; with room for what it has of so many users, so that one commit takes both.
    pub(super) async fn report(&self, users: usize, to: &mut Emitter) -> Result<Option<Arc<Believed>>, Stopped> {
        let report = self.coming.in_time().await;
        if report.is_some() {
            to.room_for(users * OF_ONE).await?;
        }
        Ok(report)
    }

    /// Says what the report has of the users of those names, and notes of whom it did.
    pub(super) async fn tell(
        &mut self,
        report: &Believed,
        (names, users): (&[String], &mut Users),
        to: &mut Emitter,
    ) -> Result<(), Stopped> {
        let scope = credentials::scope(self.realm);
        if !std::mem::replace(&mut self.began, true) {
            to.begin(&scope, None).await?;
        }
        for row in names.iter().filter_map(|name| report.rows.of_user(name)) {
            let Some((number, user)) = users.of_row(&row).filter(|(_, user)| !self.waits(&user.id, &row)) else {
                continue;
            };
            for entity in rows::entities(&scope.realm, &row, Some(user)) {
                to.see(&scope, None, report.as_of, entity).await?;
            }
            users.note_reported(number);
        }
        Ok(())
    }

    /// Whether the user's keys have to be listed before the row is told: they were listed once, and their columns changed.
    fn waits(&self, user_id: &str, row: &Row<'_>) -> bool {
        self.listed.has(user_id) && !self.listed.knows(user_id, slots::key_columns_digest(user_id, row))
    }
}

#[cfg(test)]
mod tests {
    use provost_model::Sighting;
    use tokio::sync::mpsc;
    use tokio_util::sync::CancellationToken;

    use super::{
        super::{people::User, tests::Fixed},
        *,
    };
    use crate::Event;

    const BORN: &str = "2024-01-01T00:00:00Z";
    const HEADER: &str = "user,arn,user_creation_time,password_enabled,mfa_active,access_key_1_active,\
        access_key_1_last_rotated,access_key_2_active,access_key_2_last_rotated";

    fn report(generated: &str) -> Report {
        let row = |name: &str| {
            format!("\n{name},arn:aws:iam::1:user/{name},{BORN},false,true,true,2025-05-05T00:00:00Z,false,N/A")
        };
        let csv = format!("{HEADER}{}{}{}", row("ann"), row("bob"), row("cid"));
        Report { csv: csv.into(), generated: generated.parse().unwrap(), lack: None }
    }

    fn users() -> Users {
        let mut users = Users::default();
        for (name, created) in [("ann", BORN), ("bob", BORN), ("cid", "2025-01-01T00:00:00Z"), ("dan", BORN)] {
            let (id, arn) = (format!("AIDA{name}"), format!("arn:aws:iam::1:user/{name}"));
            let created = Some(created.parse().unwrap());
            users.add(User { id, name: name.to_owned(), arn, created, ..User::default() });
        }
        users
    }

    /// What is told beside everybody, as of when, and of which users that is noted.
    async fn told(coming: &Coming, listed: &Listed) -> (Vec<(String, String)>, Vec<String>) {
        let (out, mut events) = mpsc::channel(16);
        let mut to = Emitter::new(out, Arc::new(Fixed), CancellationToken::new());
        let (mut users, realm) = (users(), Realm::new("aws", "1"));
        let names: Vec<String> = ["ann", "bob", "cid", "dan"].map(str::to_owned).into();
        let mut beside = Beside::new(coming, listed, &realm);
        for names in names.chunks(2) {
            let Some(report) = beside.report(names.len(), &mut to).await.unwrap() else { continue };
            beside.tell(&report, (names, &mut users), &mut to).await.unwrap();
        }
        to.flush().await.unwrap();
        drop(to);
        let (mut said, mut began) = (Vec::new(), 0);
        while let Some(batch) = events.recv().await {
            for event in batch {
                match event {
                    Event::Begin { .. } => began += 1,
                    Event::See { as_of, sightings, .. } => said.extend(sightings.into_iter().map(|it| match it {
                        Sighting::Present(entity) => (entity.key.external, as_of.to_string()),
                        Sighting::Gone(_) => unreachable!(),
                    })),
                    other => panic!("{other:?}"),
                }
            }
        }
        assert!(began <= 1);
        let noted = names.iter().filter(|name| users.named(name).is_some_and(|(_, user)| user.reported));
        (said, noted.cloned().collect())
    }

    fn coming(state: State) -> Coming {
        let coming = Coming::new();
        coming.say(state);
        coming
    }

    fn made(generated: &str, known: Option<&str>) -> Coming {
        coming(State::of(&report(generated), known.map(|it| it.parse().unwrap())))
    }

    #[tokio::test]
    async fn what_the_report_has_of_a_user_is_told_with_it_unless_its_keys_come_first() {
        let coming = made("2026-11-24T05:00:00Z", None);
        let as_of = "2026-11-24T05:00:00Z".to_owned();
        let of = |name: &str| {
            let all = [format!("AIDA{name}"), format!("AIDA{name}/slot-1@2025-05-05T00:00:00Z")];
            all.map(|it| (it, as_of.clone()))
        };
        // Cid was born again since, and the report knows no dan.
        let (said, noted) = told(&coming, &Listed::new()).await;
        assert_eq!((said, noted), ([of("ann"), of("bob")].concat(), vec!["ann".to_owned(), "bob".to_owned()]));
        let mut listed = Listed::new();
        listed.note("AIDAann", 7);
        let rows = Rows::of(report(&as_of).csv, &mut |_| {}).unwrap();
        listed.note("AIDAbob", slots::key_columns_digest("AIDAbob", &rows.of_user("bob").unwrap()));
        let (said, noted) = told(&coming, &listed).await;
        assert_eq!((said, noted), (of("bob").to_vec(), vec!["bob".to_owned()]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_report_that_does_not_come_or_is_not_believed_is_not_told() {
        let broken = Report { csv: "user\nann".into(), ..report("2026-11-24T05:00:00Z") };
        let stale = made("2026-11-24T05:00:00Z", Some("2026-11-24T05:00:01Z"));
        let late = [State::Expected, State::Late, State::of(&broken, None)].map(coming);
        for coming in late.into_iter().chain([stale]) {
            assert_eq!(told(&coming, &Listed::new()).await, (Vec::new(), Vec::new()));
        }
        let same = made("2026-11-24T05:00:00Z", Some("2026-11-24T05:00:00Z"));
        assert_eq!(told(&same, &Listed::new()).await.1, ["ann", "bob"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_report_is_waited_for_once_and_told_of_once_it_is_here() {
        let coming = coming(State::Late);
        let began = tokio::time::Instant::now();
        assert_eq!(told(&coming, &Listed::new()).await.1, Vec::<String>::new());
        assert_eq!(began.elapsed(), Duration::ZERO);
        coming.say(State::Expected);
        // Of two turns to tell only the first one waits.
        assert_eq!(told(&coming, &Listed::new()).await.1, Vec::<String>::new());
        assert_eq!(began.elapsed(), MOMENT);
        coming.say(State::of(&report("2026-11-24T05:00:00Z"), None));
        assert_eq!(told(&coming, &Listed::new()).await.1, ["ann", "bob"]);
        coming.say(State::Expected);
        let soon = async {
            tokio::time::sleep(MOMENT / 2).await;
            coming.say(State::of(&report("2026-11-24T05:00:00Z"), None));
        };
        let listed = Listed::new();
        let (told, ()) = tokio::join!(told(&coming, &listed), soon);
        assert_eq!(told.1, ["ann", "bob"]);
    }
}
