//! The door of the AWS SDK: it leaves by the same transport, so it is counted, recorded and played back alike.

use aws_smithy_runtime_api::client::{
    http::{HttpClient as _, HttpConnector as _, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponentsBuilder,
};
use aws_smithy_types::body::SdkBody;

use super::{cassette::Paper, *};
use crate::{Cassette, Door, Gate, Recorder};

const WHOLE: &str = "<ListUsersResponse><IsTruncated>false</IsTruncated></ListUsersResponse>";

fn gate(egress: Egress) -> Gate {
    Gate::by(egress, Pace::new(Mode::Full), Limits::default()).unwrap()
}

fn way(door: &Door) -> SharedHttpConnector {
    let components = RuntimeComponentsBuilder::for_tests().build().unwrap();
    door.http_connector(&HttpConnectorSettings::default(), &components)
}

async fn call(door: &Door, origin: &str, service: &str, action: &str) -> Result<HttpResponse, ConnectorError> {
    let mut request = HttpRequest::new(SdkBody::from(format!("Action={action}&Version=1")));
    request.set_method("POST").unwrap();
    request.set_uri(format!("{origin}/")).unwrap();
    let signature =
        format!("AWS4-HMAC-SHA256 Credential=AKIA/20261124/us-east-1/{service}/aws4_request, Signature=hunter2");
    request.headers_mut().insert("authorization", signature);
    request.headers_mut().insert("content-type", "application/x-www-form-urlencoded");
    way(door).call(request).await
}

#[tokio::test]
async fn what_passes_is_signed_counted_and_whole() {
    let to = Loopback::start(|asked| match asked.body.as_str() {
        body if body.contains("ListUsers") => Reply::new(200, &[("content-type", "text/xml")], WHOLE),
        body if body.contains("ListRoles") => Reply::new(200, &[], WHOLE.trim_end_matches('>')),
        _ => Reply::new(400, &[], "<E><Error><Code>Throttling</Code></Error></E>"),
    })
    .await;
    let gate = gate(Egress::default());
    let door = gate.reads(["iam:ListUsers", "iam:ListRoles", "iam:ListGroups"], " (sweep)");
    let answer = call(&door, &to.origin, "iam", "ListUsers").await.unwrap();
    assert_eq!(answer.body().bytes(), Some(WHOLE.as_bytes()));
    assert!(call(&door, &to.origin, "iam", "ListRoles").await.is_err(), "it breaks off");
    assert_eq!(call(&door, &to.origin, "iam", "ListGroups").await.unwrap().status().as_u16(), 400);
    assert!(call(&door, &to.origin, "iam", "CreateUser").await.is_err());
    assert!(to.asked().iter().all(|asked| asked.header("authorization").ends_with("Signature=hunter2")));
    let calls: Vec<_> = gate.calls().into_iter().map(|call| (call.operation, call.throttled)).collect();
    let named = |name: &str, throttled| (format!("iam:{name} (sweep)"), throttled);
    assert_eq!(calls, [named("ListUsers", false), named("ListRoles", false), named("ListGroups", true)]);
    assert_eq!((to.asked().len(), gate.opened(), to.accepted()), (3, 1, 1));
}

#[tokio::test]
async fn what_it_heard_is_played_back_but_for_credentials() {
    let to = Loopback::start(|_| Reply::new(200, &[("content-type", "text/xml")], WHOLE)).await;
    let paper = Paper::default();
    let recorder = Recorder::new(paper.clone(), [7; 32]).unwrap();
    let live = gate(Egress::default().recorded(recorder.clone()));
    call(&live.reads(["iam:ListUsers"], ""), &to.origin, "iam", "ListUsers").await.unwrap();
    call(&live.credentials(["sts:AssumeRole"]), &to.origin, "sts", "AssumeRole").await.unwrap();
    assert_eq!(recorder.written(), Ok(1), "credentials are not written down");
    let text = paper.text();
    assert!(!text.contains("hunter2"), "{text}");
    let played = gate(Egress::replaying(Cassette::read(text.as_bytes()).unwrap()));
    let elsewhere = "https://iam.amazonaws.com";
    let answer = call(&played.reads(["iam:ListUsers"], ""), elsewhere, "iam", "ListUsers").await.unwrap();
    assert_eq!(answer.body().bytes(), Some(WHOLE.as_bytes()));
    assert!(call(&played.credentials(["sts:AssumeRole"]), elsewhere, "sts", "AssumeRole").await.is_err());
    assert_eq!(played.opened(), 0);
}
