//! A cluster as an estate of the generic tests: what a real OpenBao answered once, page by page.
//! It must never be written by hand: `PROVOST_UPDATE_DOCS=1` asks a real server anew, and somebody reads the difference.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;

use super::{built, openbao, truth::seed};
use crate::{
    Bookmarks, Connector, Spec,
    generic::{
        Answered, Asked, Door, Estate, Overlay, Said, Throttle, Upstream,
        recorded::{self, Page},
        through,
    },
    vault::{Patience, SPEC},
};

/// The estate.
pub(crate) struct Recorded;

/// Writes down what passes. Targets with those words are denied: what stands in for them is asked for then.
#[derive(Default)]
struct Recorder {
    pages: Arc<Mutex<BTreeMap<String, Page>>>,
    denied: Option<&'static str>,
}

impl Overlay for Recorder {
    fn instead(&self, asked: &mut Asked) -> Option<Answered> {
        let denied = serde_json::json!({"errors": ["1 error occurred:\n\t* permission denied\n\n"]});
        self.denied.filter(|words| asked.target.contains(words)).map(|_| Answered::json(403, &denied))
    }

    fn after(&self, asked: &Asked, answered: Answered) -> Answered {
        if answered.status != 403 {
            let page = Page::of(asked, &answered);
            self.pages.lock().unwrap().insert(page.asked.clone(), page);
        }
        answered
    }
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/pages/openbao.jsonl")
}

#[async_trait]
impl Estate for Recorded {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn start(&self) -> Arc<Upstream> {
        recorded::replayed(&file())
    }

    fn eyes(&self, base: &str) -> Box<dyn Connector> {
        let mut vault = built(base);
        vault.settings.attempt = Duration::from_secs(2);
        vault.patience = Patience::none();
        Box::new(vault)
    }

    fn known(&self) -> Bookmarks {
        Bookmarks { sweep_now: true, ..Bookmarks::default() }
    }

    fn throttle(&self) -> Throttle {
        let body = r#"{"errors": ["request path \"sys/mounts\": rate limit quota exceeded"]}"#;
        Throttle { status: 429, headers: vec![("content-type", "application/json"), ("retry-after", "0")], body }
    }

    fn can_bear(&self, page: &str) -> bool {
        BORNE.iter().any(|words| page.contains(words))
    }

    fn spare(&self) -> Vec<&'static str> {
        SPARE.to_vec()
    }
}

/// Words of pages that tell more of what another has listed, or that a plainer listing stands in for.
const BORNE: [&str; 10] = [
    "/sys/internal/ui/resultant-acl",
    "/detailed",
    "/auth/approle/role/",
    "/identity/entity/id/",
    "/identity/group/id/",
    "/pki/cert/",
    "/pki/certs/revoked",
    "/transit/keys/",
    "/auth/token/lookup-accessor",
    "/secret-id-accessor/lookup",
];

/// What is asked of engines and ways to sign in that are not in the estate, and what only logging in, a check or a server
/// without listings in detail needs.
const SPARE: [&str; 21] = [
    // Other engines and ways to sign in.
    "GET /v1/auth/{mount}/config",
    "GET /v1/{mount}/role/{role}",
    "GET /v1/{mount}/roles/{role}",
    "GET /v1/{mount}/static-role/{role}",
    "GET /v1/{mount}/static-roles/{role}",
    "LIST /v1/{mount}/role",
    "LIST /v1/{mount}/roles",
    "LIST /v1/{mount}/static-role",
    "LIST /v1/{mount}/static-roles",
    "LIST /v1/sys/leases/lookup/{prefix...}",
    // Servers without listings in detail, and older ones.
    "GET /v1/sys/policies/acl/{name}",
    "GET /v1/{mount}/metadata/{path...}",
    "LIST /v1/sys/policies/acl",
    "LIST /v1/{mount}/certs",
    "LIST /v1/{mount}/detailed-metadata",
    "LIST /v1/{mount}/detailed-metadata/{path...}",
    "LIST /v1/{mount}/metadata",
    "LIST /v1/{mount}/metadata/{path...}",
    // Other rights than all, other namespaces than the first, and a login instead of a token.
    "GET /v1/sys/internal/ui/mounts",
    "LIST /v1/sys/namespaces",
    "POST /v1/auth/{mount}/login",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_real_server_is_asked_what_the_recorded_one_was() {
    let Some(server) = openbao::own() else { return };
    seed(&server);
    let address = server.url().trim_start_matches("http://").parse().unwrap();
    let upstream = Arc::new(Upstream::Server(address));
    let pages = Arc::default();
    let passing = async |denied| {
        let recorder = Recorder { pages: Arc::clone(&pages), denied };
        let door = Door::open(Arc::clone(&upstream), Some(Arc::new(recorder))).await;
        through(&door, &Recorded).await
    };
    for words in ["scan=true", "/detailed"] {
        assert!(passing(Some(words)).await.broke.is_none());
    }
    let real = passing(None).await;
    assert!(real.broke.is_none() && real.troubles.is_empty(), "{:?}", real.troubles);
    if std::env::var_os("PROVOST_UPDATE_DOCS").is_some() {
        recorded::keep(&file(), pages.lock().unwrap().values());
    }
    let door = Door::open(Recorded.start().await, None).await;
    let replayed = through(&door, &Recorded).await;
    assert_eq!(real.calls, replayed.calls);
    // Certificates and accessors have other names on another server.
    let shown = |said: &Said| {
        let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
        for ((scope, _), all) in &said.seen {
            *numbers.entry(scope.clone()).or_default() += all.len();
        }
        numbers
    };
    assert_eq!(shown(&real), shown(&replayed));
}
