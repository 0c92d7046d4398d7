//! `rules list` and `rules what-if` as their user meets them, beside the store and over the socket of a daemon.
//! It must never find anything changed by having asked.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
};

use provost::clock::WallClock;
use provost_engine::rules::ALL;
use provost_model::{Clock as _, Span, Time};
use provost_store::{OpenOptions, Store as _};
use rustix::process::Signal;
use serde_json::Value;

use crate::program::{Place, Said, until};

/// A place that was looked at, with keys of 1024 bits in it.
fn scanned() -> Place {
    let (place, _) = Place::grown();
    place.done(&["scan"]);
    place
}

/// A file of that name with that text in the place; its path.
fn file(place: &Place, name: &str, text: &str) -> String {
    let path = place.path(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// What was said, in JSON.
fn asked(place: &Place, words: &[&str]) -> Value {
    let said = place.done(&[&["rules", "what-if", "-o", "json"], words].concat());
    assert_eq!(said.err, "", "{words:?}");
    serde_json::from_str(&said.out).unwrap()
}

/// Subjects of open findings of that rule whose words hold these.
fn open(place: &Place, rule: &str, words: &str) -> Vec<String> {
    let rows = place.listed(&["findings", "list", "--where", &format!("rule == {rule:?}")]);
    let rows = rows.iter().filter(|row| row["because"].as_str().unwrap().contains(words));
    let mut subjects: Vec<String> = rows.map(|row| row["subject"].as_str().unwrap().to_owned()).collect();
    subjects.sort();
    subjects
}

/// Keys that are weak for their 1024 bits.
fn short(place: &Place) -> Vec<String> {
    let short = open(place, "CRED-WEAK-KEY", "rsa key of 1024 bits");
    assert!(!short.is_empty());
    short
}

/// Subjects of the findings that are told to change so.
fn told(answer: &Value, change: &str) -> Vec<String> {
    let rows = answer["findings"].as_array().unwrap().iter().filter(|row| row["change"] == change);
    let mut subjects: Vec<String> = rows.map(|row| row["subject"].as_str().unwrap().to_owned()).collect();
    subjects.sort();
    subjects
}

/// The number of the last commit, while no daemon has the store.
fn head(place: &Place) -> u64 {
    provost_store::open(&place.store(), &OpenOptions::default()).unwrap().head().unwrap().number.0
}

/// The lines without the moment they are of.
fn timeless(said: &Said) -> String {
    let lines = said.out.lines().map(|line| match line.split_once("as of ") {
        Some((before, _)) => format!("{before}as of TIME"),
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_raised_bound_opens_a_lowered_one_closes_and_nothing_is_written() {
    let place = scanned();
    let (weak, short) = (open(&place, "CRED-WEAK-KEY", ""), short(&place));
    let before = head(&place);
    let lax = asked(&place, &[&file(&place, "lax.toml", "[thresholds]\nrsa_bits = 1024\n")]);
    assert_eq!((told(&lax, "closes"), told(&lax, "opens")), (short.clone(), vec![]));
    assert_eq!(lax["total"]["closes"], short.len());
    assert_eq!(lax["rules"]["CRED-WEAK-KEY"], lax["total"]);
    let strict = asked(&place, &[&file(&place, "strict.toml", "[thresholds]\nrsa_bits = 8192\n")]);
    let opens = told(&strict, "opens");
    assert!(!opens.is_empty() && opens.iter().all(|it| !weak.contains(it)), "{strict}");
    assert_eq!(head(&place), before, "nothing was written");
    assert_eq!(open(&place, "CRED-WEAK-KEY", ""), weak);

    // What was told comes true.
    let known = fs::read_to_string(place.configuration()).unwrap();
    place.write_configuration(&format!("[thresholds]\nrsa_bits = 8192\n\n{known}"));
    place.done(&["scan"]);
    let mut all = [weak, opens].concat();
    all.sort();
    assert_eq!(open(&place, "CRED-WEAK-KEY", ""), all);
    // A whole configuration will do, and this one is at work.
    let configuration = place.configuration();
    let said = place.done(&["rules", "what-if", configuration.to_str().unwrap()]);
    assert_eq!(said.out, "would change nothing: every rule would judge by the figures that are at work\n");
}

#[test]
fn a_daemon_answers_the_same_and_opens_no_file() {
    let place = scanned();
    let lax = file(&place, "lax.toml", "[thresholds]\nrsa_bits = 1024\noff = [\"SRC-HELD\"]\n");
    let words = ["rules", "what-if", &lax];
    let beside = place.done(&words);
    let rules = place.done(&["rules", "list"]);
    assert!(beside.fits() && rules.fits(), "{}{}", beside.out, rules.out);
    let (mut daemon, _manager) = place.daemon();
    let log = place.log().lines().count();
    assert_eq!(timeless(&place.done(&words)), timeless(&beside));
    assert_eq!(place.done(&["rules", "list"]).out, rules.out);
    // The name is the caller's business: here it is one that leads nowhere for the daemon.
    fs::rename(&lax, place.path("home/here.toml")).unwrap();
    let mut elsewhere = place.command(&["rules", "what-if", "here.toml", "-o", "json", "--limit", "0"]);
    let said = Said::of(&elsewhere.current_dir(place.path("home")).output().unwrap());
    let answer: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&answer["findings"], answer["total"]["closes"].as_u64() > Some(0)), (&Value::Array(vec![]), true));
    assert!(place.log().lines().count() > log, "it was the daemon that answered");
    // Whoever asks without the thresholds is refused, even where the daemon could read the file.
    let readable = place.path("home/here.toml");
    let question = serde_json::json!({
        "store": place.store(), "arguments": ["rules", "what-if", readable],
        "terminal": false, "width": null, "no_colour": true, "watched": false,
    });
    let mut socket = UnixStream::connect(place.socket()).unwrap();
    writeln!(socket, "{question}").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("its thresholds did not come with it") && answer.ends_with("{\"exit\":2}\n"), "{answer}");
    for (text, said) in [
        ("[thresholds]\nrsa_bit = 3\n", "there is no setting \"rsa_bit\"; did you mean \"rsa_bits\"?"),
        ("[thresholds]\nreused_in = 1\n", "reused_in must be at least 2"),
    ] {
        let wrong = file(&place, "wrong.toml", text);
        let refused = place.say(&["rules", "what-if", &wrong]);
        assert_eq!((refused.status, refused.err), (2, format!("provost: {wrong}: thresholds: {said}\n")));
    }
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ends(), 0);
}

#[test]
fn a_file_that_says_nothing_of_use_is_refused() {
    let place = scanned();
    let long = format!("[thresholds]\n{}", "# padding\n".repeat(14_000));
    for (text, said) in [
        (
            "[thresholds]\nstale_key_day = 3\n",
            "thresholds: there is no setting \"stale_key_day\"; did you mean \"stale_key_days\"?",
        ),
        ("[thresholds]\nstale_key_days = \"hunter2\"\n", "thresholds: the type is wrong, expected u32"),
        ("[thresholds]\noff = [\"CRED-STAL\"]\n", "thresholds: off: there is no rule \"CRED-STAL\""),
        ("[threshold]\nstale_key_days = 3\n", "there is no table [thresholds] in it"),
        (&long, "it is longer than 128 KiB"),
    ] {
        let wrong = file(&place, "wrong.toml", text);
        let refused = place.say(&["rules", "what-if", &wrong]);
        assert_eq!(
            (refused.status, refused.out, refused.err),
            (2, String::new(), format!("provost: {wrong}: {said}\n"))
        );
    }
    let twice = place.say(&["rules", "what-if", "x.toml", "--policy-text", "[thresholds]"]);
    assert_eq!(
        (twice.status, twice.err.as_str()),
        (2, "provost: name a FILE; --policy-text is how a daemon is asked\n")
    );
    let broken = file(&place, "broken.toml", "[thresholds]\nrsa_bits = = 3\n");
    let refused = place.say(&["rules", "what-if", &broken]);
    assert_eq!(refused.status, 2);
    assert!(refused.err.starts_with(&format!("provost: {broken}: line 2, column ")), "{}", refused.err);
    let none = place.say(&["rules", "what-if", "nowhere.toml"]);
    assert_eq!(none.status, 2);
    assert!(none.err.starts_with("provost: nowhere.toml: No such file"), "{}", none.err);
}

#[test]
fn of_a_past_time_what_there_was_then_is_told() {
    let place = scanned();
    let lax = file(&place, "lax.toml", "[thresholds]\nrsa_bits = 1024\noff = [\"SRC-STALE\"]\n");
    let before = short(&place);
    let then = WallClock.now().to_string();
    // A key is taken away, and twice looked for: what is missing once is gone the second time.
    fs::remove_file(place.tree().join(".ssh/id_rsa")).unwrap();
    place.done(&["scan"]);
    place.done(&["scan"]);
    let left = short(&place);
    assert!(left.len() < before.len(), "{left:?}");
    assert_eq!(told(&asked(&place, &[&lax]), "closes"), left);
    let past = asked(&place, &[&lax, "--at", &then]);
    assert_eq!(told(&past, "closes"), before);
    assert_eq!((&past["at"], &past["sources"]), (&Value::from(then.as_str()), &Value::from(0)));
    let notices = past["notices"].as_array().unwrap();
    assert!(notices.len() == 3 && notices[1].as_str().unwrap().starts_with("of today: people, "), "{notices:?}");
    let today = &then[..10];
    assert_eq!(told(&asked(&place, &[&lax, "--at", today]), "closes"), left, "today's last instant means now");

    let early = place.say(&["rules", "what-if", &lax, "--at", "2020-01-01"]);
    assert_eq!(early.status, 2);
    let from = early.err.split("from ").nth(1).unwrap().split(' ').next().unwrap();
    assert_eq!(
        early.err,
        format!("provost: what there was at 2020-01-01T23:59:59.999999Z is not known; it can be told from {from} on\n")
    );
    // From the second that is named on it can.
    until("that second comes", || WallClock.now() > Time::parse_inclusive(from).unwrap());
    asked(&place, &[&lax, "--at", from]);
    let late = place.say(&["rules", "what-if", &lax, "--at", "2999-01-01"]);
    assert_eq!((late.status, late.err.as_str()), (2, "provost: 2999-01-01T23:59:59.999999Z is still to come\n"));
    // A store that forgets sooner tells less.
    let known = fs::read_to_string(place.configuration()).unwrap();
    place.write_configuration(&known.replace("[store]\n", "[store]\nkeep_history = \"1d\"\n"));
    let before = (WallClock.now() - Span::days(2)).to_string();
    assert_eq!(place.say(&["rules", "what-if", &lax, "--at", &before]).status, 2);
}

#[test]
fn rules_are_listed_with_the_figures_at_work() {
    let place = scanned();
    let known = fs::read_to_string(place.configuration()).unwrap();
    let thresholds = "[thresholds]\nrsa_bits = 1024\noff = [\"CRED-AGE\"]\n\n\
                      [[thresholds.overrides]]\nmatch = { kind = \"ssh_key\" }\nthresholds = { rsa_bits = 4096 }\n\n";
    place.write_configuration(&format!("{thresholds}{known}"));
    place.done(&["scan"]);
    let rows = place.listed(&["rules", "list"]);
    let ids: Vec<&str> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ALL.iter().map(|rule| rule.id).collect::<Vec<_>>());
    let row = |id: &str| rows.iter().find(|row| row["id"] == id).unwrap();
    let weak = row("CRED-WEAK-KEY");
    assert_eq!(
        (&weak["figures"]["rsa_bits"], &weak["overrides"], &weak["off"]),
        (&1024.into(), &1.into(), &false.into())
    );
    assert_eq!(row("CRED-AGE")["off"], true);
    let findings = place.listed(&["findings", "list"]);
    for (id, row) in ids.iter().zip(&rows) {
        assert_eq!(row["open"], findings.iter().filter(|it| it["rule"] == *id).count(), "{id}");
    }
    let shown = place.done(&["rules", "list"]).out;
    assert!(shown.contains("rsa_bits=1024; 1 override"), "{shown}");
    assert!(shown.lines().any(|line| line.starts_with("CRED-AGE") && line.ends_with(" off;")), "{shown}");
}
