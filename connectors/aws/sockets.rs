//! Every connection of a run is one that the gate opened: the SDK has no other way out.
//! It must never count on the SDK's settings alone: the provider counts whom it accepted.

use std::sync::Arc;

use provost_client::{Gate, Limits, Pace};
use provost_model::{Clock, Time};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    Aws, Settings,
    session::Session,
    testing::{Account, FakeIam},
};
use crate::{Bookmarks, Emitter, fingerprint::FingerprintKey};

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Time {
        Time::from_seconds(1_795_521_600)
    }
}

#[tokio::test]
async fn a_run_opens_no_connection_of_its_own() {
    let fake = FakeIam::start(Account::default()).await.unwrap();
    let settings = Settings::read(json!({ "endpoint_url": fake.url }).as_object().unwrap()).unwrap();
    let gate = Gate::new(Pace::new(settings.pace), Limits::default()).unwrap();
    let prints = Arc::new(FingerprintKey::new("k1", [7; 32]));
    let aws = Aws { settings, gate: gate.clone(), prints };
    let (out, mut events) = mpsc::channel(16);
    let hearing = tokio::spawn(async move { while events.recv().await.is_some() {} });
    let mut to = Emitter::new(out, Arc::new(Fixed), CancellationToken::new());
    let session = Session::for_tests(&aws.settings, &aws.gate, to.stop().clone()).await;
    let _ = aws.run(&session, &Bookmarks::default(), &mut to).await;
    drop(to);
    hearing.await.unwrap();
    let (calls, accepted) = fake.with(|account| (account.calls.values().sum::<u64>(), account.connections));
    assert!(calls > 2, "it ran: {calls}");
    assert_eq!(accepted, gate.opened());
}
