//! Eyes on one AWS account: IAM and STS, through the cheapest reads that tell everything.
//! It must never hold a secret value, nor ask for anything its SPEC does not list.

mod authorization;
mod credentials;
mod keys;
pub mod nature;
mod people;
pub mod policy;
pub mod report;
mod rows;
mod session;
mod settings;
pub mod slots;

use std::collections::HashMap;

use async_trait::async_trait;
use provost_client::{Failure, Gate, Limits, Pace, Patience};
use provost_model::{Kind, Realm, Trouble, Why};

use self::{
    authorization::Authorization,
    credentials::{Plan, Report, Telling},
    keys::{Because, Keys},
    people::{UserNo, Users},
    session::{Caller, Session},
    settings::Settings,
    slots::Listed,
};
use crate::{Access, Bookmarks, Connector, Emitter, Permission, Reach, Read, Source, Spec, Stopped};

/// What this connector is.
pub static SPEC: Spec = Spec {
    name: "aws",
    title: "Amazon Web Services",
    about: "IAM of one account: users, roles, groups, policies, access keys, passwords, certificates, identity providers, root",
    version: 1,
    reach: Reach::Provider,
    kinds: &[
        Kind::User,
        Kind::Role,
        Kind::Group,
        Kind::Policy,
        Kind::AccessKey,
        Kind::Password,
        Kind::Certificate,
    ],
    reads: &[
        Read("sts:GetCallerIdentity"),
        Read("iam:GenerateCredentialReport"),
        Read("iam:GetCredentialReport"),
        Read("iam:GetAccountAuthorizationDetails"),
        Read("iam:ListAccessKeys"),
    ],
    permissions: &[Permission { action: "iam:ListAccessKeys", optional: false, why: "access key ids" }],
    blind_spots: &[],
    example: "",
    documentation: &[],
    build,
};

/// One source of this kind.
struct Aws {
    settings: Settings,
    gate: Gate,
}

fn build(source: &Source) -> Result<Box<dyn Connector>, String> {
    let settings = Settings::read(&source.settings)?;
    let limits = Limits { in_flight: settings.in_flight, calls: settings.max_calls, ..Limits::default() };
    let gate = Gate::new(Pace::new(settings.pace), limits)?;
    Ok(Box::new(Aws { settings, gate }))
}

#[async_trait]
impl Connector for Aws {
    async fn announce(&self) -> String {
        String::new()
    }

    async fn check(&self) -> Access {
        Access::default()
    }

    fn disposition(&self) -> String {
        String::new()
    }

    async fn discover(&self, known: &Bookmarks, to: &mut Emitter) -> Result<(), Trouble> {
        self.gate.begin();
        let session = Session::new(&self.settings, &self.gate, Patience::default(), to.stop().clone()).await;
        let caller = session.caller().await;
        count(&session, to).await?;
        let caller = caller.map_err(fatal)?;
        let realm = caller.realm();
        to.realm(realm.clone()).await?;
        let run = Looking { session: &session, known, realm: &realm };
        run.look(to).await?;
        Ok(())
    }
}

struct Looking<'a> {
    session: &'a Session,
    known: &'a Bookmarks,
    realm: &'a Realm,
}

impl Looking<'_> {
    async fn look(&self, to: &mut Emitter) -> Result<(), Stopped> {
        let session = self.session;
        let authorization = Authorization::new(session, self.realm);
        let (users, report) = tokio::join!(authorization.list(to), credentials::obtain(session));
        let (users, _failure) = users?;
        count(session, to).await?;
        self.credentials(&users, report, to).await
    }

    async fn credentials(&self, users: &Users, report: Result<Report, Failure>, to: &mut Emitter) -> Result<(), Stopped> {
        let listed = Listed::new();
        let report = report.map_err(drop);
        let Ok(report) = report else { return Ok(()) };
        let Ok(plan) = credentials::plan(&report, users, &listed) else { return Ok(()) };
        let mut keys = Keys::new(self.session, self.realm, users, listed);
        let mut wanted: std::collections::HashSet<UserNo> = plan.first.iter().chain(&plan.then).map(|(number, _)| *number).collect();
        credentials::rows_of(&report, users, &wanted, &mut |number, row| {
            keys.slots.insert(number, slots::slots(row));
        });
        wanted.clear();
        keys.begin(to).await?;
        keys.list(&plan.first, Because::Columns, to).await?;
        let held = keys.failed.clone();
        let why_held = keys.failure.as_ref().map(|failure| failure.why);
        let told = Telling { realm: self.realm, users, known: None, held: &held, why_held };
        credentials::tell(report, &plan, &told, to).await?;
        count(self.session, to).await?;
        keys.list(&plan.then, Because::Columns, to).await?;
        keys.end(to).await
    }
}

/// Reports the calls sent since last time.
async fn count(session: &Session, to: &mut Emitter) -> Result<(), Stopped> {
    for call in session.gate.calls() {
        to.call(&call.operation, call.throttled).await?;
    }
    Ok(())
}

fn fatal(failure: Failure) -> Trouble {
    Trouble { place: failure.operation.clone(), why: failure.why, said: failure.said, blind_spot: false }
}
