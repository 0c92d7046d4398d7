//! Signatures of AWS: as its documentation computes them, over what is sent, with keys that are renewed.

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use provost_model::Clock;

use super::*;
use crate::authority::{Keys, Pair, Role, SecretOf, SigV4};

const LIST: &str = "POST / Action=ListAccessKeys";

#[derive(Default)]
struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Time {
        // 30 August 2015, 12:36:00.
        Time::from_seconds(1_440_938_160 + self.0.load(Ordering::Relaxed))
    }
}

fn secret(text: &'static str) -> SecretOf {
    Arc::new(move || Ok(text.into()))
}

fn pair(id: &'static str, key: &'static str, token: Option<&'static str>) -> Pair {
    Pair { access_key_id: secret(id), secret_access_key: secret(key), session_token: token.map(secret) }
}

fn keys(pair: Pair) -> Arc<Keys> {
    Arc::new(Keys::pair(pair, Arc::new(Hands::default())))
}

/// The worked example of the documentation ("Create a signed AWS API request").
#[tokio::test]
async fn a_signature_is_the_one_that_the_documentation_computes() {
    let signer =
        SigV4::new(keys(pair("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None)), "us-east-1", "iam");
    let web = Web::new(Provider { origin: "https://iam.amazonaws.com".into(), ..Provider::default() }, bearer());
    let url = Url::parse("https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08").unwrap();
    let mut headers = HeaderMap::new();
    let kind = HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::USER_AGENT, HeaderValue::from_static("provost"));
    let call = Outgoing { method: "GET", url: &url, headers: &headers, body: b"" };
    let signature = signer.signature(&web.unwrap(), &call, false).await.unwrap();
    let said = |name: &str| signature.iter().find(|(its, _)| its == name).unwrap().1.to_str().unwrap();
    assert_eq!(said("x-amz-date"), "20150830T123600Z");
    assert_eq!(
        said("authorization"),
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date, \
         Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    );
    assert!(signature.iter().all(|(_, value)| value.is_sensitive()));
    assert!(!format!("{signer:?}").contains("wJalr"));
}

#[tokio::test]
async fn each_call_is_signed_over_what_it_says_and_its_token() {
    let to = Loopback::start(|_| Reply::new(200, &[], "<A/>")).await;
    let signer = SigV4::new(keys(pair("AKIA1 \n", "hunter2\n", Some("t0ken"))), "eu-west-1", "iam");
    let web = Web::new(provider(&to, &[LIST]), Arc::new(signer)).unwrap();
    for user in ["ann", "bob", "ann"] {
        let form = Body::Form(vec![("UserName".into(), user.into())]);
        web.ask(Ask::post(LIST, &[], form)).await.unwrap();
    }
    let signatures: Vec<String> = to.asked().iter().map(|it| it.header("authorization").to_owned()).collect();
    assert!(signatures[0].starts_with(
        "AWS4-HMAC-SHA256 Credential=AKIA1/20150830/eu-west-1/iam/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature="
    ));
    assert!(signatures[0] == signatures[2] && signatures[0] != signatures[1], "{signatures:?}");
    assert_eq!(to.asked()[0].header("x-amz-security-token"), "t0ken");
}

#[tokio::test]
async fn keys_that_are_no_pair_sign_nothing() {
    let to = Loopback::start(|_| Reply::new(200, &[], "<A/>")).await;
    for wrong in [pair("", "hunter2", None), pair("AKIA1", " ", None), pair("AKIA1", "a\nhunter2", None)] {
        let web = Web::new(provider(&to, &[LIST]), Arc::new(SigV4::new(keys(wrong), "r", "iam"))).unwrap();
        let failure = web.ask(Ask::post(LIST, &[], Body::Form(Vec::new()))).await.unwrap_err();
        assert!(failure.why == Why::Unauthenticated && !failure.said.contains("hunter2"), "{failure}");
    }
    assert_eq!(to.accepted(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_role_is_taken_on_once_until_its_session_nears_its_end() {
    let given = AtomicU32::new(0);
    let to = Loopback::start(move |asked| {
        if !asked.body.starts_with("Action=AssumeRole&") {
            return Reply::new(200, &[], "<A/>");
        }
        let number = given.fetch_add(1, Ordering::Relaxed);
        Reply::new(
            200,
            &[],
            format!(
                "<R><Credentials><AccessKeyId>ASIA{number}</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
                 <SessionToken>t{number}</SessionToken><Expiration>2015-08-30T13:36:00Z</Expiration></Credentials></R>"
            ),
        )
    })
    .await;
    let clock: Arc<dyn Clock> = Arc::new(Hands::default());
    let own = Arc::new(Keys::pair(pair("AKIA1", "hunter2", None), clock.clone()));
    let sts = Web::new(provider(&to, &[Role::READ]), Arc::new(SigV4::new(own, "eu-west-1", "sts"))).unwrap();
    let arn = "arn:aws:iam::123456789012:role/rotates".to_owned();
    let role = Role { sts, arn, session: "provost".into(), external_id: Some("x 1".into()) };
    let signer = SigV4::new(Arc::new(Keys::role(role, clock)), "us-east-1", "iam");
    let web = Web::new(provider(&to, &[LIST]), Arc::new(signer)).unwrap();
    let ask = async || web.ask(Ask::post(LIST, &[], Body::Form(Vec::new()))).await.unwrap();
    ask().await;
    ask().await;
    tokio::time::advance(Duration::from_secs(3_541)).await;
    ask().await;
    let asked = to.asked();
    let taken: Vec<_> = asked.iter().filter(|it| it.body.starts_with("Action=AssumeRole&")).collect();
    assert_eq!(taken.len(), 2);
    assert_eq!(
        taken[0].body,
        "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Frotates\
         &RoleSessionName=provost&ExternalId=x+1"
    );
    assert!(taken[0].header("authorization").contains("Credential=AKIA1/20150830/eu-west-1/sts/aws4_request"));
    let others: Vec<_> = asked.iter().filter(|it| !it.body.starts_with("Action=AssumeRole&")).collect();
    let tokens: Vec<_> = others.iter().map(|it| it.header("x-amz-security-token")).collect();
    assert_eq!(tokens, ["t0", "t0", "t1"]);
    assert!(others[2].header("authorization").contains("Credential=ASIA1/20150830/us-east-1/iam/aws4_request"));
}
