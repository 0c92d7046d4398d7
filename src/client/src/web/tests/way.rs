//! The way out: whose certificates are trusted, and which proxy stands between.

use super::{loopback::AUTHORITY, *};

#[tokio::test]
async fn only_who_is_trusted_is_spoken_to() {
    let to = Loopback::secure(|_| Reply::json("[]")).await;
    let trusting = Egress::default().trusting(AUTHORITY).unwrap();
    for (egress, trusted) in [(trusting, true), (Egress::default(), false)] {
        let declared = Provider { egress, patience: Patience::none(), ..provider(&to, &["GET /x"]) };
        let answer = Web::new(declared, bearer()).unwrap().ask(Ask::get("GET /x", &[])).await;
        match answer {
            Ok(_) => assert!(trusted),
            Err(failure) => assert!(!trusted && failure.said.contains("certificate"), "{failure}"),
        }
    }
    assert_eq!(to.asked().len(), 1);
}

#[tokio::test]
async fn a_proxy_stands_before_others_and_never_before_this_machine() {
    let to = Loopback::start(|_| Reply::json("[]")).await;
    let proxy = Loopback::start(|_| Reply::new(502, &[], "")).await;
    let through = |origin: &str, direct| Provider {
        origin: origin.to_owned(),
        egress: Egress::through(&proxy.origin, direct),
        patience: Patience::none(),
        ..provider(&to, &["GET /x"])
    };
    let ask = async |provider| Web::new(provider, bearer()).unwrap().ask(Ask::get("GET /x", &[])).await;
    ask(through(&to.origin, "")).await.unwrap();
    assert_eq!((to.accepted(), proxy.accepted()), (1, 0));
    assert_eq!(ask(through("https://api.example.invalid", "")).await.unwrap_err().why, Why::Unavailable);
    let asked = &proxy.asked()[0];
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("CONNECT", "api.example.invalid:443"));
    assert_eq!(asked.header("authorization"), "");
    ask(through("https://127.0.0.1:9", "")).await.unwrap_err();
    ask(through("https://api.example.invalid", "example.invalid")).await.unwrap_err();
    assert_eq!(proxy.accepted(), 1);
}
