//! From cases to letters to sinks over a real store: nothing lost, nothing twice where the sink can tell, nothing sent that
//! nobody enabled (promises 5, 6 and 8).

mod letters;
mod tickets;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use provost::{
    config::{Environment, Paths, Scene, parse},
    house::House,
    jobs::{
        deliver::{AT_ONCE, Pace, again, deliver},
        tell,
        vouch::Vouched,
    },
    wire::Wiring,
};
use provost_model::{Delivery, Finding, FindingState, Leaving, RecordId, Resolution, Severity, Span, Time};
use provost_store::{
    Go, Store, StoreError,
    evidence::Verifier,
    inventory::{BaselineState, Draft},
};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::{script::Desk, shared::Shared};
use crate::loopback::{Asked, Loopback, Reply};

/// A house, a configuration over it, and the wires of the tests.
struct Office {
    desk: Desk,
    wiring: Arc<Wiring>,
    runtime: Runtime,
    stop: CancellationToken,
    home: tempfile::TempDir,
}

impl Office {
    fn new(config: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let wiring = wired(config, home.path());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Self { desk: Desk::new(), wiring, runtime, stop: CancellationToken::new(), home }
    }

    /// Over another store.
    fn over(self, store: Arc<dyn Store>) -> Self {
        Self { desk: Desk::over(store), ..self }
    }

    fn reconfigure(&mut self, config: &str) {
        self.wiring = wired(config, self.home.path());
    }

    /// Writes findings of one subject.
    fn put(&self, findings: &[Finding]) {
        let house = &self.desk.house;
        let written = house.again(|| {
            let mut draft = Draft::new(house.inventory(), house.now());
            draft.put_findings(findings[0].subject, findings)?;
            draft.commit()
        });
        written.unwrap();
    }

    /// Writes down what there is to tell, as the daemon does.
    fn write(&self) {
        tell::survey(&self.desk.house, &self.wiring).unwrap();
        tell::turn(&self.desk.house, &self.wiring).unwrap();
    }

    /// Sends what is due, as couriers do.
    async fn send(&self) {
        let house = &self.desk.house;
        for (sink, letters) in house.inventory().due_letters(house.now(), (20_000, AT_ONCE)).unwrap() {
            let (wiring, stop) = (Arc::clone(&self.wiring), self.stop.clone());
            deliver(House::clone(house), wiring, (sink, letters), Pace::new(house.now()), stop).await.unwrap();
        }
    }

    /// Carries until nothing is due at this moment.
    fn carry(&self) {
        loop {
            self.write();
            self.runtime.block_on(self.send());
            if self.desk.house.inventory().due_letters(self.desk.house.now(), (1, 1)).unwrap().is_empty() {
                return;
            }
            // Sinks take so many a minute.
            self.desk.pass(Span::seconds(1));
        }
    }

    /// Lets time go by in steps, and carries after each.
    fn pass(&self, steps: usize, step: Span) {
        for _ in 0..steps {
            self.desk.pass(step);
            self.carry();
        }
    }

    fn letters(&self) -> Vec<Delivery> {
        let mut letters = Vec::new();
        let inventory = self.desk.house.inventory();
        inventory
            .each_delivery(&mut |letter| {
                letters.push(letter);
                Ok(Go::On)
            })
            .unwrap();
        letters
    }

    fn states(&self) -> Vec<&'static str> {
        self.letters().iter().map(|letter| letter.state.word()).collect()
    }

    /// Kinds of all entries of evidence, whose chain holds.
    fn evidence(&self) -> Vec<String> {
        let (mut verifier, mut kinds) = (Verifier::default(), Vec::new());
        let inventory = self.desk.house.inventory();
        inventory
            .each_exhibit(&mut |exhibit| {
                assert!(verifier.take(&serde_json::to_vec(&exhibit).unwrap()));
                kinds.push(exhibit.kind);
                Ok(Go::On)
            })
            .unwrap();
        assert!(verifier.report(&[]).holds);
        kinds
    }
}

fn wired(config: &str, home: &std::path::Path) -> Arc<Wiring> {
    let paths = Paths {
        scene: Scene::User,
        file: home.join("provost.toml"),
        file_named: false,
        store: home.join("store"),
        fingerprint_key: home.join("fingerprint.key"),
        evidence_key: home.join("evidence.key"),
        socket: home.join("socket"),
    };
    let config = parse(config, &paths).unwrap_or_else(|problems| panic!("{problems:?}"));
    let variables = [
        ("HOME".to_owned(), home.display().to_string()),
        ("SECRET".to_owned(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned()),
        ("TOKEN".to_owned(), "xoxb-test".to_owned()),
    ];
    Arc::new(Wiring::new(config, Environment::new(variables, 1000)).unwrap())
}

fn subject(number: u32) -> RecordId {
    let mut id = [9; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    RecordId::from_bytes(id)
}

fn finding(number: u32, severity: Severity, at: Time) -> Finding {
    let subject = subject(number);
    let mut id = *subject.as_bytes();
    id[15] = 1;
    Finding {
        id: RecordId::from_bytes(id),
        rule: "SRC-STALE".into(),
        rule_version: 1,
        subject,
        external_id: format!("source-{number}"),
        source: Some(format!("source-{number}")),
        state: FindingState::Open,
        severity,
        severity_steps: Vec::new(),
        opened_at: at,
        opened_as_of: at,
        resolved_at: None,
        resolution: None,
        unconfirmed_since: None,
        baseline: false,
        because: format!("not seen for {number} days"),
        until: None,
        policy: String::new(),
    }
}

fn fixed(of: &Finding, at: Time) -> Finding {
    let resolution = Some(Resolution::Fixed);
    Finding { state: FindingState::Resolved, resolution, resolved_at: Some(at), ..of.clone() }
}

/// A signed webhook of that server, and a route that tells it everything.
fn webhook(to: &Loopback) -> String {
    format!(
        "[[sinks]]\nname = \"hook\"\nkind = \"webhook\"\nurl = \"{}/in\"\nsecret = \"env:SECRET\"\nper_minute = 6000\n\
         [[routes]]\nname = \"all\"\nto = \"hook\"\n",
        to.origin
    )
}

fn said(asked: &Asked) -> serde_json::Value {
    serde_json::from_str(&asked.body).unwrap()
}
