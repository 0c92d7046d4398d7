//! IAM of one account as an estate of the generic tests: the fake of our own, with a page for every user.
//! It must never look at regions: what is there has tests of its own.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use provost_client::{Gate, Limits, Pace, Patience};
use provost_model::Trouble;
use serde_json::json;

use super::{
    Aws, SPEC, Session, Settings,
    testing::{Account, FakeIam, FakeUser},
};
use crate::{
    Access, Bookmarks, Connector, Emitter, Spec,
    fingerprint::FingerprintKey,
    generic::{Estate, Throttle, Upstream},
};

/// The estate.
pub(crate) struct Iam;

/// Eyes with credentials of their own, whatever this machine has.
struct Eyes(Aws);

#[async_trait]
impl Estate for Iam {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn start(&self) -> Arc<Upstream> {
        let users = vec![
            FakeUser::new("ann", "AIDAANN", &[("AKIAANN1", true, "2026-01-01T00:00:00Z")]),
            FakeUser::new("bob", "AIDABOB", &[("AKIABOB1", true, "2025-01-01T00:00:00Z")]),
        ];
        let account = Account { users, page: 1, generated: "2026-11-24T05:00:00Z".to_owned(), ..Account::default() };
        let fake = FakeIam::start(account).await.unwrap();
        Arc::new(Upstream::Server(fake.url.trim_start_matches("http://").parse().unwrap()))
    }

    fn eyes(&self, base: &str) -> Box<dyn Connector> {
        let table = json!({"endpoint_url": base, "regions": [], "pace": "full"});
        let settings = Settings::read(table.as_object().unwrap()).unwrap();
        let limits = Limits { in_flight: 4, attempt: Duration::from_secs(2), ..Limits::default() };
        let gate = Gate::new(Pace::new(settings.pace), limits).unwrap();
        Box::new(Eyes(Aws { settings, gate, prints: Arc::new(FingerprintKey::new("k1", [7; 32])) }))
    }

    fn throttle(&self) -> Throttle {
        let body = "<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message></Error>\
                    <RequestId>1</RequestId></ErrorResponse>";
        Throttle { status: 400, headers: vec![("content-type", "text/xml")], body }
    }

    fn orders(&self) -> Vec<&'static str> {
        // The report there is may be fresh enough without.
        vec!["Action=GenerateCredentialReport"]
    }

    fn spare(&self) -> Vec<&'static str> {
        // What stands in where the report or the details are denied, what only a check or a sweep asks, and what is asked
        // of providers and regions that are not there.
        let iam = [
            "iam:GetAccountSummary",
            "iam:ListUsers",
            "iam:ListVirtualMFADevices",
            "iam:GetOpenIDConnectProvider",
            "iam:ListSSHPublicKeys",
            "iam:ListSigningCertificates",
            // Asked of those who hold rights and whose last use lies far back: nobody here.
            "iam:GenerateServiceLastAccessedDetails",
            "iam:GetServiceLastAccessedDetails",
        ];
        let beyond =
            SPEC.reads.iter().map(|read| read.0).filter(|read| !read.starts_with("iam:") && !read.starts_with("sts:"));
        iam.into_iter().chain(beyond).collect()
    }
}

#[async_trait]
impl Connector for Eyes {
    async fn announce(&self) -> String {
        self.0.announce().await
    }

    async fn check(&self) -> Access {
        self.0.check().await
    }

    fn disposition(&self) -> String {
        self.0.disposition()
    }

    async fn discover(&self, known: &Bookmarks, to: &mut Emitter) -> Result<(), Trouble> {
        let how = (Patience::none(), to.stop().clone());
        let session = Session::trying(&self.0.settings, &self.0.gate, how).await;
        self.0.run(&session, known, to).await
    }
}
