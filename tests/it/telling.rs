//! Telling as its user meets it: the program, its configuration, a chat and a program that are told, and a daemon that is killed.
//! It must never speak to anything but servers of its own.

use std::fs;

use provost_connectors::host::testtree::Tree;
use rustix::process::Signal;
use tokio::runtime::Runtime;

use crate::{
    loopback::{Asked, Loopback, Reply},
    program::{Place, until},
};

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// A place whose chat and program are at that server, once the addresses were put into files.
fn told_at(to: &Loopback) -> (Place, Tree) {
    let (place, tree) = Place::grown();
    fs::write(place.path("chat"), format!("{}/hooks/s3cr3t-p4th-0f-th3-ch4t", to.origin)).unwrap();
    fs::write(place.path("key"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    place.configure(&format!(
        "schedule = \"* * * * *\"\n\
         [[sinks]]\nname = \"chat\"\nkind = \"chat_webhook\"\nstyle = \"mattermost\"\nurl = \"file:{}\"\n\
         [[sinks]]\nname = \"program\"\nkind = \"webhook\"\nurl = \"{}/in\"\nsecret = \"file:{}\"\nper_minute = 6000\n\
         [[routes]]\nname = \"people\"\nto = \"chat\"\ngather = \"1s\"\n\
         [[routes]]\nname = \"programs\"\nto = \"program\"\nseverity = \"high\"\n",
        place.path("chat").display(),
        to.origin,
        place.path("key").display()
    ));
    (place, tree)
}

fn text(asked: &Asked) -> String {
    let body: serde_json::Value = serde_json::from_str(&asked.body).unwrap();
    body["text"].as_str().unwrap_or_default().to_owned()
}

fn messages(to: &Loopback) -> Vec<String> {
    to.asked().iter().filter(|it| it.target.starts_with("/hooks/")).map(text).collect()
}

#[test]
fn the_beginning_is_one_message_and_once_it_is_worked_off_each_case_is_told_of_with_proof() {
    let runtime = runtime();
    let to = runtime.block_on(Loopback::start(|_| Reply::new(200, &[], "ok")));
    let (place, tree) = told_at(&to);
    let sinks = place.done(&["sinks", "list"]);
    assert!(sinks.fits() && sinks.out.contains("dedup key") && !sinks.out.contains("s3cr3t"), "{}", sinks.out);
    let preview = place.done(&["sinks", "preview", "chat"]);
    assert!(preview.out.contains("Decide: `provost cases show"), "{}", preview.out);
    assert!(place.done(&["routes", "list"]).out.contains("not yet"), "nobody put it to work");
    let (daemon, _manager) = place.daemon();
    place.done(&["scan", "tree"]);
    until("the beginning is told of", || !messages(&to).is_empty());
    let first = messages(&to).remove(0);
    assert!(first.contains("found by the first complete run of tree"), "{first}");
    assert!(first.contains("To have it worked off: `provost baseline work tree`"), "{first}");
    let critical = place.listed(&["cases", "list", "--where", "severity == \"critical\""]).len();
    let told = || to.asked().iter().filter(|it| it.target == "/in").count();
    until("what is critical is told of at once", || told() == critical);

    place.done(&["baseline", "work", "tree"]);
    let bad = place.listed(&["cases", "list", "--where", "severity == \"critical\" || severity == \"high\""]).len();
    assert!(bad > critical);
    until("each case is told of", || told() == bad);
    let of_program: Vec<serde_json::Value> =
        to.asked().iter().filter(|it| it.target == "/in").map(|it| serde_json::from_str(&it.body).unwrap()).collect();
    assert!(of_program.iter().all(|it| it["type"] == "provost.case.opened"));
    until("its letters have ended", || place.listed(&["outbox", "list", "--state", "waits"]).is_empty());
    let letters = place.done(&["outbox", "list"]);
    assert!(letters.fits() && letters.err.contains("0 given up, 0 uncertain"), "{}{}", letters.out, letters.err);
    let routes = place.done(&["routes", "list"]);
    assert!(routes.fits() && !routes.out.contains("not yet"), "{}", routes.out);
    let case = of_program[0]["data"]["cases"][0]["id"].as_str().unwrap();
    let short = &case[case.len() - 8..];
    assert_eq!(place.done(&["routes", "of", short]).out.trim().rsplit(": ").next(), Some("people, programs"));
    let shown = place.listed(&["outbox", "list"]);
    let id = shown[0]["id"].as_str().unwrap();
    let one = place.done(&["outbox", "show", &id[id.len() - 8..]]);
    assert!(one.fits() && one.out.contains("What to do ("), "{}", one.out);
    let proof = place.done(&["evidence", "export"]);
    fs::write(place.path("proof"), &proof.out).unwrap();
    let verified = place.done(&["evidence", "verify", place.path("proof").to_str().unwrap()]);
    assert!(verified.out.contains("all of them hold"), "{}", verified.out);
    for kind in ["decision.standing", "letter.delivered"] {
        assert!(proof.out.contains(kind), "{kind}");
    }
    drop(daemon);
    // Not one line of what was planted in the files looked at is in what was told.
    let all: Vec<String> = to.asked().into_iter().map(|it| it.body).collect();
    let said = |text: &str| all.iter().any(|body| body.contains(text));
    let lines = tree.planted.iter().flat_map(|planted| planted.value.lines());
    let values: Vec<&str> = lines.filter(|line| line.len() >= 12 && !line.starts_with("-----")).collect();
    assert!(values.len() > 50 && values.iter().all(|value| !said(value)), "a value was told");
    assert!(tree.planted.iter().any(|planted| said(planted.file.rsplit('/').next().unwrap())), "places are told");
    assert!(!place.log().contains("s3cr3t-p4th"), "the address of a chat is a secret");
}

#[test]
fn a_daemon_that_is_killed_while_it_tells_sends_again_only_where_the_sink_can_tell() {
    let runtime = runtime();
    // Neither is ever answered, until it is killed.
    let answers = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let says = answers.clone();
    let to = runtime.block_on(Loopback::start(move |_| match says.load(std::sync::atomic::Ordering::SeqCst) {
        true => Reply::new(200, &[], "ok"),
        false => Reply::nothing(),
    }));
    let (place, _) = told_at(&to);
    let (mut daemon, _manager) = place.daemon();
    place.done(&["scan", "tree"]);
    place.done(&["baseline", "work", "tree"]);
    until("both are being told", || {
        let asked = to.asked();
        asked.iter().any(|it| it.target == "/in") && asked.iter().any(|it| it.target.starts_with("/hooks/"))
    });
    daemon.signal(Signal::KILL);
    daemon.ends();
    let before = to.asked();
    answers.store(true, std::sync::atomic::Ordering::SeqCst);
    let (_daemon, _manager) = place.daemon();
    until("everything has ended", || {
        let open = |state: &str| place.listed(&["outbox", "list", "--state", state]).len();
        open("waits") + open("trying") == 0 && !place.listed(&["outbox", "list", "--state", "uncertain"]).is_empty()
    });
    // The chat got the message once, whether it arrived or not, and the next one says so.
    let uncertain = place.listed(&["outbox", "list", "--state", "uncertain"]);
    assert_eq!(uncertain.len(), 1, "{uncertain:?}");
    assert_eq!(uncertain[0]["sink"], "chat");
    let id = uncertain[0]["id"].as_str().unwrap();
    until("the next message says so", || messages(&to).iter().any(|text| text.contains(id)));
    let first = before.iter().find(|it| it.target.starts_with("/hooks/")).map(text).unwrap();
    assert_eq!(messages(&to).iter().filter(|text| **text == first).count(), 1, "it is not sent again");
    // The program got every letter that had begun once more, under the same id, and each case has one letter.
    let ids = |asked: &[Asked]| -> Vec<String> {
        asked.iter().filter(|it| it.target == "/in").map(|it| it.header("webhook-id").to_owned()).collect()
    };
    let (begun, all) = (ids(&before), ids(&to.asked()));
    assert!(begun.iter().all(|id| all.iter().filter(|it| *it == id).count() == 2), "{begun:?} {all:?}");
    let letters = place.listed(&["outbox", "list", "--route", "programs"]);
    let distinct: std::collections::BTreeSet<&String> = all.iter().collect();
    assert_eq!(distinct.len(), letters.len(), "nothing is told under two names");
    assert!(letters.iter().all(|it| it["state"] == "delivered"));
}
