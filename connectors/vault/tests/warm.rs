//! What a second run costs, what it sees, and what it lets go of.
//! It must never call a run warm that asked for everything again.

use std::{io::Write as _, thread};

use provost_model::{Kind, Reading, Span, field};
use serde_json::json;

use super::{
    openbao::{self, ROOT, Server},
    run::{Said, run, run_after, with_token},
    truth::seed,
};
use crate::{Bookmarks, Connector};

/// The figures of the task: secrets, AppRoles, secret ids.
const SECRETS: usize = 10_000;
const ROLES: usize = 500;
const SECRET_IDS: usize = 5_000;
/// Threads that fill the server.
const HANDS: usize = 8;

fn fill(server: &Server) {
    server.write("sys/auth/approle", &json!({"type": "approle"}));
    let share = |all: usize, hand: usize| (0..all).filter(move |it| it % HANDS == hand);
    let spread = |work: &(dyn Fn(usize) + Sync)| {
        thread::scope(|scope| (0..HANDS).for_each(|hand| drop(scope.spawn(move || work(hand)))));
    };
    spread(&|hand| {
        for number in share(ROLES, hand) {
            server.write(&format!("auth/approle/role/role-{number}"), &json!({"secret_id_ttl": "720h"}));
        }
    });
    spread(&|hand| {
        for number in share(SECRET_IDS, hand) {
            server.write(&format!("auth/approle/role/role-{}/secret-id", number % ROLES), &json!({}));
        }
        for number in share(SECRETS, hand) {
            let path = format!("secret/data/team-{}/app-{number}", number % 100);
            server.write(&path, &json!({"data": {"v": "x"}}));
        }
    });
}

fn told(line: &str) {
    let _ = writeln!(std::io::stderr(), "FIGURE {line}");
}

/// Asks through a server that knows no listing with details, as Vault knows none.
fn as_vault(server: &Server) -> super::faults::Proxy {
    super::faults::Proxy::before(server.url(), |request| {
        let detailed = request.path.contains("/detailed-metadata") || request.path.contains("/policies/detailed/");
        let unknown = "{\"errors\":[\"1 error occurred:\\n\\t* unsupported path\\n\\n\"]}";
        detailed.then_some(super::faults::Fault::Answer(404, unknown))
    })
}

async fn costs(eyes: &dyn Connector, family: &str, secret_ids: usize) -> (Said, Said) {
    let (result, cold) = run(eyes, &Bookmarks::default()).await;
    result.unwrap();
    assert_eq!(cold.amiss(), Vec::<String>::new());
    assert_eq!(cold.of(Kind::Secret).len(), SECRETS);
    assert_eq!(cold.of(Kind::ServiceAccount).len(), ROLES);
    assert_eq!(cold.of(Kind::ClientSecret).len(), secret_ids);
    let (result, warm) = run(eyes, &cold.next).await;
    result.unwrap();
    assert_eq!(warm.amiss(), Vec::<String>::new());
    let news = warm.entities.iter().filter(|(scope, _)| scope != "namespaces").count();
    told(&format!(
        "{family}: {SECRETS} secrets, {ROLES} AppRoles, {secret_ids} secret ids: cold {} calls, warm {} ({:.2} %)",
        cold.sent(),
        warm.sent(),
        warm.sent() as f64 * 100.0 / cold.sent() as f64
    ));
    assert!(warm.sent() * 20 <= cold.sent(), "{} of {}: {:#?}", warm.sent(), cold.sent(), warm.calls);
    assert_eq!(news, 0, "nothing changed, so nothing is told again");
    assert!(warm.parts.is_empty() && warm.gone == 0);
    (cold, warm)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_run_costs_a_twentieth_and_sees_what_is_new_within_two() {
    let Some(server) = openbao::own() else { return };
    fill(&server);
    let eyes = with_token(&server.url(), ROOT, json!({}));
    let (cold, warm) = costs(&*eyes, "OpenBao", SECRET_IDS).await;

    // A new secret id is seen once its role's turn comes: at the latest when the others had theirs.
    let made = server.write("auth/approle/role/role-7/secret-id", &json!({}));
    let accessor = made["secret_id_accessor"].as_str().unwrap();
    let (mut known, mut runs) = (warm.next, 0);
    loop {
        runs += 1;
        let (_, said) = run_after(&*eyes, &known, Span::seconds(60 * runs)).await;
        assert!(said.sent() * 20 <= cold.sent() + 40, "{:#?}", said.calls);
        if said.of(Kind::ClientSecret).keys().any(|it| it.ends_with(accessor)) {
            break;
        }
        assert!(runs < 2, "two runs list every role");
        known = said.next;
    }
    told(&format!("OpenBao: a new secret id of one of {ROLES} AppRoles was seen in warm run {runs}"));

    // With sweep_every gone by, everything is read again, though no listing shows a change.
    let (_, swept) = run_after(&*eyes, &cold.next, Span::days(8)).await;
    assert!(swept.calls["GET /v1/auth/{mount}/role/{role}"] >= u64::try_from(ROLES).unwrap());

    let vault = as_vault(&server);
    let eyes = with_token(&vault.url(), ROOT, json!({}));
    let (_, warm) = costs(&*eyes, "without listings with details, as Vault", SECRET_IDS + 1).await;
    assert_eq!(warm.calls["LIST /v1/auth/{mount}/role/{role}/secret-id"], u64::try_from(ROLES).unwrap().min(292));
}

fn kinds(said: &Said, kind: Kind) -> Vec<String> {
    said.of(kind).into_keys().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_new_shows_in_the_next_run_and_what_is_gone_is_told_empty() {
    let Some(server) = openbao::own() else { return };
    seed(&server);
    for (eyes, detailed) in [(with_token(&server.url(), ROOT, json!({})), true), {
        let proxy = Box::leak(Box::new(as_vault(&server)));
        (with_token(&proxy.url(), ROOT, json!({})), false)
    }] {
        let (_, cold) = run(&*eyes, &Bookmarks::default()).await;
        let made = server.write("auth/approle/role/app1/secret-id", &json!({}));
        let name = format!("secret/data/fresh-{detailed}");
        server.write(&name, &json!({"data": {"a": "b"}}));
        let (_, warm) = run(&*eyes, &cold.next).await;
        assert_eq!(warm.amiss(), Vec::<String>::new());
        let accessor = made["secret_id_accessor"].as_str().unwrap();
        assert!(kinds(&warm, Kind::ClientSecret).iter().any(|it| it.ends_with(accessor)));
        assert!(kinds(&warm, Kind::Secret).iter().any(|it| it.ends_with(&format!("fresh-{detailed}"))));

        let body = json!({"secret_id_accessor": accessor});
        server.write("auth/approle/role/app1/secret-id-accessor/destroy", &body);
        server.delete(&format!("secret/metadata/fresh-{detailed}"));
        let (_, after) = run(&*eyes, &warm.next).await;
        assert_eq!(after.amiss(), Vec::<String>::new());
        assert!(!kinds(&after, Kind::ClientSecret).iter().any(|it| it.ends_with(accessor)));
        let covered = after
            .parts
            .iter()
            .filter(|((scope, part), _)| scope == "approle/approle/secret-ids" && part.starts_with("app1/"));
        assert!(covered.count() > 0, "the part in which it was is told whole without it: {:?}", after.parts);
        match detailed {
            true => assert_eq!(after.covers["kv/secret"], "full"),
            false => assert!(after.parts.keys().any(|(scope, _)| scope == "kv/secret"), "{:?}", after.parts),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_log_tells_where_to_look_first() {
    let Some(server) = openbao::own() else { return };
    server.write("sys/auth/approle", &json!({"type": "approle"}));
    for number in 0..150 {
        server.write(&format!("auth/approle/role/role-{number}"), &json!({}));
    }
    let proxy = as_vault(&server);
    server.write("secret/data/a/db", &json!({"data": {"v": "1"}}));
    let eyes = with_token(&proxy.url(), ROOT, json!({"audit_log": server.audit_log(), "warm_share": 0.0}));
    let (_, cold) = run(&*eyes, &Bookmarks::default()).await;
    // The roles listed in one run are a hundred at the least: the last of a warm run's order is beyond that.
    let (_, warm) = run_after(&*eyes, &cold.next, Span::seconds(5)).await;
    assert_eq!(warm.calls["LIST /v1/auth/{mount}/role/{role}/secret-id"], 100);
    let (mut seen, mut listed) = (0, 0);
    for number in [1_usize, 77, 149] {
        let made = server.write(&format!("auth/approle/role/role-{number}/secret-id"), &json!({}));
        server.write("secret/data/a/db", &json!({"data": {"v": number}}));
        let (_, next) = run_after(&*eyes, &warm.next, Span::seconds(10)).await;
        let accessor = made["secret_id_accessor"].as_str().unwrap();
        seen += usize::from(kinds(&next, Kind::ClientSecret).iter().any(|it| it.ends_with(accessor)));
        let versions = next.named(Kind::Secret, "secret/a/db").facts.get(field::VERSION_COUNT);
        listed += usize::from(matches!(versions, Reading::Known(2..)));
    }
    assert_eq!((seen, listed), (3, 3), "each is seen in the run after it was made, whatever its turn");
}
