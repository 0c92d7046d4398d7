//! The web client against a provider on this machine: what leaves, what is refused, what comes back.

mod act;
mod authority;
mod cassette;
mod door;
#[path = "../../../../../tests/servers/loopback/mod.rs"]
mod loopback;
mod pages;
mod says;
mod sigv4;
mod way;

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use self::loopback::{Loopback, Reply};
use super::*;
use crate::authority::{Nobody, Token};

fn provider(to: &Loopback, reads: &[&str]) -> Provider {
    Provider {
        origin: to.origin.clone(),
        reads: reads.iter().map(|it| (*it).to_owned()).collect(),
        patience: Patience { first: Duration::from_millis(1), ..Patience::default() },
        ..Provider::default()
    }
}

fn bearer() -> Arc<dyn Authority> {
    Arc::new(Token::bearer(Arc::new(|| Ok("s3cr3t".into()))))
}

fn web(to: &Loopback, reads: &[&str]) -> Web {
    Web::new(provider(to, reads), bearer()).unwrap()
}

#[tokio::test]
async fn a_declared_read_is_answered_signed_and_counted() {
    let to =
        Loopback::start(|_| Reply::new(200, &[("etag", "\"1\""), ("date", "Tue, 24 Nov 2026 12:00:00 GMT")], "[1]"))
            .await;
    let web = web(&to, &["GET /orgs/{org}/hooks", "LIST /v1/{mount}/metadata/{path...}"]);
    let answer = web.ask(Ask::get("GET /orgs/{org}/hooks", &["a/b"]).query("per_page", "100")).await.unwrap();
    assert_eq!(answer.json::<Vec<u32>>().unwrap(), [1]);
    assert_eq!(answer.etag(), Some("\"1\""));
    web.ask(Ask::list("LIST /v1/{mount}/metadata/{path...}", &["kv", "a/b/"])).await.unwrap();
    assert_eq!(to.targets(), ["/orgs/a%2Fb/hooks?per_page=100", "/v1/kv/metadata/a/b/"]);
    let asked = &to.asked()[1];
    assert_eq!((asked.method.as_str(), asked.header("authorization")), ("LIST", "Bearer s3cr3t"));
    assert!(asked.header("user-agent").starts_with("provost/"));
    let calls = web.calls();
    assert_eq!(calls[0], Call { operation: "GET /orgs/{org}/hooks".into(), throttled: false });
    assert_eq!((calls.len(), web.opened(), to.accepted()), (2, 1, 1));
    assert!(web.provider_time().is_some());
}

#[tokio::test]
async fn what_is_not_declared_opens_no_connection() {
    let to = Loopback::start(|_| Reply::json("{}")).await;
    let document = "query { viewer { login } }";
    let mut declared = provider(&to, &["GET /a/{x}", "POST /graphql", "POST /find"]);
    declared.documents = vec![document];
    let web = Web::new(declared, bearer()).unwrap();
    let elsewhere = to.origin.replace("127.0.0.1", "127.0.0.2");
    let refused = [
        Ask::get("GET /b", &[]),
        Ask::get("GET /a/{y}", &["1"]),
        Ask::get("GET /a/{x}", &[""]),
        Ask::get("GET /a/{x}", &[".."]),
        Ask::get("GET /a/{x}", &["x/../../b"]),
        Ask::get("GET /a/{x}", &[]),
        Ask::get("GET /a/{x}", &["1", "2"]),
        Ask::post("GET /a/{x}", &["1"], Body::Json(json!({}))),
        Ask::get("POST /find", &[]),
        Ask::post("POST /graphql", &[], Body::Json(json!({ "query": "mutation { a }" }))),
        Ask::graphql("POST /graphql", "query { other }", json!({})),
        Ask::graphql("POST /find", "query { other }", json!({})),
        Ask::link("GET /a/{x}", &format!("{elsewhere}/a/1")),
        Ask::link("GET /a/{x}", "/b"),
        Ask::link("GET /a/{x}", "/a/1/../../b"),
        Ask::link("GET /a/{x}", "/a/%2e%2e"),
        Ask::link("GET /a/{x}", "//127.0.0.2/a/1"),
        Ask::link("GET /a/{x}", "http://x:y@127.0.0.1/a/1"),
        Ask::get("GET /a/{x}", &["1"]).header("host", "b"),
        Ask::get("GET /a/{x}", &["1"]).header("x", "a\r\nb: c"),
        Ask::get("GET /a/{x}", &["1"]).if_none_match(Some("a\nb")),
    ];
    for ask in refused {
        let failure = web.ask(ask).await.unwrap_err();
        assert!(matches!(failure.why, Why::Denied | Why::Malformed), "{failure:?}");
    }
    assert_eq!((to.accepted(), web.opened(), web.calls().len()), (0, 0, 0));
    web.ask(Ask::link("GET /a/{x}", &format!("{}/a/1?page=2#x", to.origin)).query("q", "1")).await.unwrap();
    assert_eq!(to.targets(), ["/a/1?page=2&q=1"]);
}

#[test]
fn declarations_that_make_no_sense_are_refused() {
    let base = || Provider { origin: "https://a.example".into(), ..Provider::default() };
    let wrong = [
        Provider { origin: "http://a.example".into(), ..base() },
        Provider { origin: "https://a:b@a.example".into(), ..base() },
        Provider { also: vec!["http://b.example".into()], ..base() },
        Provider { also: vec!["https://b.example/x".into()], ..base() },
        Provider { reads: vec!["DELETE /x".into()], ..base() },
        Provider { reads: vec!["GET https://b.example/x".into()], ..base() },
        Provider { documents: vec!["mutation { a }"], ..base() },
        Provider { headers: vec![("host".into(), "b".into())], ..base() },
    ];
    for provider in wrong {
        assert!(Web::new(provider, Arc::new(Nobody)).is_err());
    }
    let elsewhere = vec!["POST https://b.example/token".into()];
    let right = Provider { also: vec!["https://b.example".into()], reads: elsewhere, ..base() };
    assert!(Web::new(right, Arc::new(Nobody)).is_ok());
}

#[tokio::test]
async fn a_redirect_is_followed_to_a_declared_read_and_the_credential_stays_home() {
    let other = Loopback::start(|_| Reply::json("[2]")).await;
    let away = format!("{}/b/1", other.origin);
    let to = Loopback::start(move |asked| match asked.target.as_str() {
        "/a/1" => Reply::new(302, &[("location", "/b/1")], ""),
        "/a/2" => Reply::new(307, &[("location", &away)], ""),
        "/a/3" => Reply::new(301, &[("location", "/c/1")], ""),
        "/a/4" => Reply::new(301, &[("location", "http://169.254.169.254/b/1")], ""),
        "/a/5" => Reply::new(302, &[("location", "/a/5")], ""),
        "/a/6" => Reply::new(302, &[], ""),
        _ => Reply::json("[1]"),
    })
    .await;
    let mut declared = provider(&to, &["GET /a/{x}", "GET /b/{x}"]);
    declared.also = vec![other.origin.clone()];
    let web = Web::new(declared, bearer()).unwrap();
    let ask = |x: &str| web.ask(Ask::get("GET /a/{x}", &[x]).header("x-tenant", "t"));
    assert_eq!(ask("1").await.unwrap().body(), b"[1]");
    assert_eq!(ask("2").await.unwrap().body(), b"[2]");
    for (x, says) in [("3", "not a declared read"), ("4", "169.254.169.254"), ("5", "too often"), ("6", "no place")] {
        let failure = ask(x).await.unwrap_err();
        assert!(failure.why == Why::Malformed && failure.said.contains(says), "{failure}");
    }
    assert!(to.asked().iter().all(|asked| asked.header("authorization") == "Bearer s3cr3t"));
    let stranger = &other.asked()[0];
    assert_eq!((stranger.header("authorization"), stranger.header("x-tenant")), ("", ""));
    let fifth = to.targets().iter().filter(|it| *it == "/a/5").count();
    assert_eq!(fifth, REDIRECTS + 1);
    assert_eq!(web.calls().len(), to.asked().len() + other.asked().len());
}

#[tokio::test]
async fn a_link_to_another_origin_is_taken_without_the_credential() {
    let other = Loopback::start(|_| Reply::json("[]")).await;
    let to = Loopback::start(|_| Reply::json("[]")).await;
    let mut declared = provider(&to, &["GET /b/{x}"]);
    declared.also = vec![other.origin.clone()];
    declared.reads.push(format!("GET {}/c", other.origin));
    let web = Web::new(declared, bearer()).unwrap();
    web.ask(Ask::link("GET /b/{x}", &format!("{}/b/1?sig=x", other.origin))).await.unwrap();
    web.ask(Ask::get(format!("GET {}/c", other.origin), &[])).await.unwrap();
    let signed: Vec<_> = other.asked().iter().map(|it| it.header("authorization").to_owned()).collect();
    assert_eq!(signed, ["", "Bearer s3cr3t"], "only a read that names the other origin is signed there");
}

#[tokio::test]
async fn an_answer_that_is_not_whole_is_none() {
    let zipped = |body: &[u8]| {
        use std::io::Write as _;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    };
    let (bomb, small) = (zipped(&[b' '; 1 << 20]), zipped(b"[1, 2, 3]"));
    let to = Loopback::start(move |asked| match asked.target.as_str() {
        "/cut" => Reply::json("[1, 2, 3]").cut(3),
        "/half" => Reply::json("[1, 2"),
        "/html" => Reply::new(200, &[], "<html>hunter2</html>"),
        "/long" => Reply::json(&"1".repeat(5_000)),
        "/bomb" => Reply::new(200, &[("content-encoding", "gzip")], &bomb),
        "/zip" => Reply::new(200, &[("content-encoding", "gzip")], &small[..small.len() - 4]),
        "/fine" => Reply::new(200, &[("content-encoding", "gzip")], &small),
        "/strange" => Reply::new(200, &[("content-encoding", "br")], "x"),
        "/slow" => Reply::nothing(),
        _ => Reply::new(304, &[], ""),
    })
    .await;
    let mut declared = provider(&to, &["GET /{x}"]);
    declared.limits = Limits { answer: 4_096, attempt: Duration::from_millis(300), ..Limits::default() };
    declared.patience = Patience::none();
    let web = Web::new(declared, bearer()).unwrap();
    assert_eq!(web.ask(Ask::get("GET /{x}", &["fine"])).await.unwrap().json::<Vec<u32>>().unwrap(), [1, 2, 3]);
    let table = [
        ("cut", Why::Unavailable, "cut"),
        ("half", Why::Malformed, "breaks off"),
        ("html", Why::Malformed, "no JSON"),
        ("long", Why::TooLarge, "4096"),
        ("bomb", Why::TooLarge, "4096"),
        ("zip", Why::Malformed, "whole"),
        ("strange", Why::Malformed, "whole"),
        ("slow", Why::Unavailable, "no answer"),
        ("unasked-304", Why::Malformed, "304"),
    ];
    for (x, why, says) in table {
        let answer = web.ask(Ask::get("GET /{x}", &[x])).await;
        let failure = answer.and_then(|answer| answer.json::<Vec<u32>>()).unwrap_err();
        assert!(failure.why == why && failure.said.contains(says), "{x}: {failure:?}");
        assert!(!failure.said.contains("hunter2"));
    }
    let gone = Provider { origin: "http://127.0.0.1:9".into(), ..provider(&to, &["GET /"]) };
    let failure = Web::new(gone, bearer()).unwrap().ask(Ask::get("GET /", &[])).await.unwrap_err();
    assert_eq!((failure.why, failure.said.as_str()), (Why::Unavailable, "the provider cannot be reached"));
}

#[tokio::test]
async fn an_unchanged_answer_is_told() {
    let to = Loopback::start(|asked| match asked.header("if-none-match") {
        "\"1\"" => Reply::new(304, &[("etag", "\"1\"")], ""),
        _ => Reply::new(200, &[("etag", "\"1\"")], "[]"),
    })
    .await;
    let web = web(&to, &["GET /x"]);
    let first = web.ask(Ask::get("GET /x", &[]).if_none_match(None)).await.unwrap();
    assert!(!first.unchanged());
    let second = web.ask(Ask::get("GET /x", &[]).if_none_match(first.etag())).await.unwrap();
    assert!(second.unchanged() && second.json::<Vec<u32>>().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_throttle_is_waited_out_and_a_denial_stands() {
    let count = std::sync::atomic::AtomicU32::new(0);
    let to = Loopback::start(move |asked| {
        let first = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
        match asked.target.as_str() {
            "/wait" if first => Reply::new(429, &[("retry-after", "7")], r#"{"message":"slow"}"#),
            "/never" => Reply::new(429, &[("retry-after", "90000")], ""),
            "/denied" => Reply::new(403, &[], r#"{"message":"no","code":"forbidden"}"#),
            "/gone" => Reply::new(404, &[], r#"{"message":"Not Found","code":"gone"}"#),
            "/down" => Reply::new(503, &[], ""),
            _ => Reply::json("[]"),
        }
    })
    .await;
    let web = web(&to, &["GET /{x}", "GET /never"]);
    let ask = |x: &str| web.ask(Ask::get("GET /{x}", &[x]));
    let began = Instant::now();
    assert!(ask("wait").await.is_ok());
    assert!(began.elapsed() >= Duration::from_secs(7), "{:?}", began.elapsed());
    assert!(web.calls()[0].throttled);
    for _ in 0..2 {
        let never = web.ask(Ask::get("GET /never", &[])).await.unwrap_err();
        assert_eq!((never.why, never.is_missing()), (Why::Throttled, false));
    }
    assert_eq!(to.targets().iter().filter(|it| *it == "/never").count(), 1, "it is not asked again before its time");
    let denied = ask("denied").await.unwrap_err();
    assert_eq!(
        (denied.why, denied.code.as_str(), denied.said.as_str()),
        (Why::Denied, "forbidden", "HTTP 403: forbidden: no")
    );
    assert!(ask("gone").await.unwrap_err().is_missing());
    web.begin();
    assert_eq!(ask("down").await.unwrap_err().why, Why::Unavailable);
    assert_eq!(web.calls().len(), 4, "tried as often as patience says");
}

#[tokio::test(start_paused = true)]
async fn the_share_of_others_is_left_to_them() {
    let left = std::sync::atomic::AtomicU32::new(4);
    let to = Loopback::start(move |_| {
        let left = left.fetch_sub(1, std::sync::atomic::Ordering::Relaxed) - 1;
        let (left, reset) = (left.to_string(), if left < 3 { "7200" } else { "600" });
        let told = [("x-ratelimit-limit", "4"), ("x-ratelimit-remaining", &left), ("x-ratelimit-reset", reset)];
        Reply::new(200, &told, "[]")
    })
    .await;
    let mut declared = provider(&to, &["GET /x"]);
    (declared.reserve, declared.patience.window) = (0.75, Duration::from_secs(3_600));
    let web = Web::new(declared, bearer()).unwrap();
    let ask = || web.ask(Ask::get("GET /x", &[]));
    let began = Instant::now();
    ask().await.unwrap();
    let known = &web.budgets()[0];
    assert_eq!((known.resource.as_str(), known.limit, known.remaining, known.reserve), ("GET /x", 4, 3, 3));
    ask().await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(600));
    let failure = ask().await.unwrap_err();
    assert!(failure.why == Why::Throttled && failure.said.contains("7200 s"), "{failure}");
    assert_eq!(to.asked().len(), 2, "the third was not sent");
}

#[tokio::test]
async fn calls_of_a_run_are_bounded() {
    let to = Loopback::start(|_| Reply::json("[]")).await;
    let mut declared = provider(&to, &["GET /x"]);
    declared.limits.calls = 2;
    let web = Web::new(declared, bearer()).unwrap();
    let ask = || web.ask(Ask::get("GET /x", &[]));
    assert!(ask().await.is_ok() && ask().await.is_ok());
    assert_eq!(ask().await.unwrap_err().why, Why::TooLarge);
    assert_eq!(to.asked().len(), 2);
    web.begin();
    assert!(ask().await.is_ok());
}

#[tokio::test]
async fn a_graphql_answer_that_lacks_parts_is_no_whole_one() {
    let document = "query Q($part: String) { a(part: $part) }";
    let to = Loopback::start(|asked| {
        let error = r#""errors":[{"type":"FORBIDDEN","path":["a"],"message":"no"}]"#;
        Reply::json(&match asked.body.as_str() {
            body if body.contains("whole") => r#"{"data":{"a":1}}"#.to_owned(),
            body if body.contains("some") => format!(r#"{{"data":{{"a":null}},{error}}}"#),
            body if body.contains("none") => format!("{{{error}}}"),
            _ => "[]".to_owned(),
        })
    })
    .await;
    let mut declared = provider(&to, &["POST /graphql"]);
    declared.documents = vec![document];
    let web = Web::new(declared, bearer()).unwrap();
    let ask = |part: &str| Ask::graphql("POST /graphql", document, json!({ "part": part }));
    assert!(web.ask(ask("whole")).await.unwrap().gaps().is_empty());
    assert_eq!(web.ask(ask("some")).await.unwrap_err().why, Why::Denied);
    assert_eq!(web.ask(ask("some").with_gaps()).await.unwrap().gaps()[0].place, "/a");
    assert_eq!(web.ask(ask("none").with_gaps()).await.unwrap_err().code, "FORBIDDEN");
    assert_eq!(web.ask(ask("nonsense").with_gaps()).await.unwrap_err().why, Why::Malformed);
}
