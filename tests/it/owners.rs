//! Owners as their user meets them: evidence, people from a file, what a human being confirms, and who leaves.
//! It must never depend on whose files the tests are.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;

use crate::program::{Place, Said, until};

const PEOPLE: &str = r#"
[[persons]]
id = "ann"
emails = ["ann@x.org"]
teams = ["payments"]

[[persons]]
id = "carol"
left = 2026-01-31

[[teams]]
id = "payments"
"#;

/// A place whose people are known, and where the owner of a file counts for little.
fn place(people: &str) -> Place {
    let (place, _) = Place::grown();
    let file = place.path("people.toml");
    fs::write(&file, people).unwrap();
    let known = fs::read_to_string(place.configuration()).unwrap();
    let owners = "[owners]\nweights = { file_owner = 0.3 }\n";
    place.write_configuration(&format!("{owners}[people]\nfile = {file:?}\n{known}"));
    place
}

/// A token in a file: nobody answers for it.
fn ownerless(place: &Place) -> Value {
    let open = place.listed(&["findings", "list", "--where", "rule == \"OWN-NONE\""]);
    let tokens = place.listed(&["inventory", "list", "--where", "kind == \"token\""]);
    // Which of the others comes first is chance: ids of one moment are random.
    let of_nobody = |token: &Value| open.iter().any(|finding| finding["subject"] == token["id"]);
    tokens.into_iter().find(of_nobody).expect("somebody answers for every token")
}

fn states(place: &Place, id: &str, rule: &str) -> Vec<(String, String)> {
    let rows =
        place.listed(&["findings", "list", "--all", "--where", &format!("subject == {id:?} && rule == {rule:?}")]);
    let word = |it: &Value| it.as_str().unwrap_or("-").to_owned();
    rows.iter().map(|row| (word(&row["state"]), word(&row["resolution"]))).collect()
}

fn is(state: &str, resolution: &str) -> Vec<(String, String)> {
    vec![(state.to_owned(), resolution.to_owned())]
}

/// What was said, without what differs from place to place.
fn plain(said: &Said) -> Vec<String> {
    let lines = said.out.lines().map(|line| {
        let words =
            line.split(' ').map(|word| if word.starts_with("20") && word.ends_with('Z') { "TIME" } else { word });
        words.collect::<Vec<_>>().join(" ")
    });
    lines.collect()
}

#[test]
fn what_a_human_being_confirms_holds_and_is_judged_at_once() {
    let place = place(PEOPLE);
    place.done(&["scan"]);
    let row = ownerless(&place);
    let id = row["id"].as_str().unwrap();
    let file_owner = row["attributes"]["file_owner"]["value"].as_str().unwrap();
    assert_eq!(states(&place, id, "OWN-NONE"), is("open", "-"));

    let said = place.done(&["owners", "confirm", id, "ANN@x.org", "--reason", "asked her"]);
    assert_eq!(said.err, format!("{id}: ann answers for it from now on: asked her\n"));
    assert_eq!(states(&place, id, "OWN-NONE"), is("resolved", "fixed"));
    let listed = place.listed(&["inventory", "list", "--where", &format!("id == {id:?}")]);
    assert_eq!(listed[0]["owner"], "ann");
    let explained = place.done(&["owners", "explain", id]);
    assert!(explained.fits(), "{}", explained.out);
    let lines = plain(&explained);
    assert!(lines[0].starts_with("record  token "), "{}", explained.out);
    let lines = &lines[lines.iter().position(|line| line == "Owner").unwrap()..];
    let uid = rustix::process::getuid().as_raw();
    let (beside, file) = (&lines[3], &lines[4]);
    assert_eq!(
        [&lines[..3], &lines[5..]].concat(),
        [
            "Owner",
            "  ann (a person): confidence 1.00, confirmed",
            &format!("    confirmation: confirmed by uid {uid} says ann, 1.00, as of TIME"),
            "",
            "Said by people",
            &format!("  TIME ann confirmed by uid {uid}: asked her"),
        ]
    );
    assert_eq!(*beside, format!("  beside {file_owner}: confidence 0.30"));
    assert!(file.ends_with(&format!("file owner says {file_owner}, 0.30")), "{file}");
    let shown = place.done(&["inventory", "show", id]);
    assert!(shown.out.contains("\nOwner\n  ann (a person): confidence 1.00, confirmed\n"), "{}", shown.out);

    let said = place.done(&["owners", "withdraw", id, "--reason", "she only looked"]);
    assert_eq!(said.err, format!("{id}: ann is not confirmed any more: she only looked\n"));
    assert_eq!(states(&place, id, "OWN-NONE"), is("open", "-"));
    let told: Value = serde_json::from_str(&place.done(&["owners", "explain", id, "-o", "json"]).out).unwrap();
    let words: Vec<&Value> = told["words"].as_array().unwrap().iter().map(|it| &it["reason"]).collect();
    assert_eq!(words, ["asked her", "she only looked"], "everything said is kept");
    let again = place.say(&["owners", "withdraw", id, "--reason", "again"]);
    assert_eq!((again.status, again.err), (2, format!("provost: nothing is confirmed about the owner of {id}\n")));
}

#[test]
fn a_word_about_somebody_unknown_or_gone_is_refused() {
    let place = place(PEOPLE);
    place.done(&["scan"]);
    let row = ownerless(&place);
    let id = row["id"].as_str().unwrap();
    for (owner, expected) in [
        (
            "paymets",
            "provost: none of the 2 persons and 1 teams known is called \"paymets\"; did you mean \"payments\"?\n",
        ),
        ("carol", "provost: carol left 2026-01-31T23:59:59Z\n"),
    ] {
        let said = place.say(&["owners", "confirm", id, owner, "--reason", "x"]);
        assert_eq!((said.status, said.err.as_str()), (2, expected));
    }
    let said = place.say(&["owners", "confirm", "nobody", "ann", "--reason", "x"]);
    assert_eq!(said.status, 2);
    assert!(place.listed(&["owners", "list"]).iter().all(|it| it["confirmed"].is_null()));
    let unsure = place.listed(&["owners", "list", "--below", "0.6"]);
    assert!(!unsure.is_empty() && unsure.iter().all(|it| it["confidence"].as_f64().unwrap() < 0.6));
    assert_eq!(place.listed(&["owners", "list", "--conflicts"]), Vec::<Value>::new());
}

#[test]
fn the_daemon_takes_words_and_notices_who_leaves() {
    let place = place(PEOPLE);
    place.done(&["scan"]);
    let row = ownerless(&place);
    let id = row["id"].as_str().unwrap();
    let (mut daemon, _manager) = place.daemon();
    place.done(&["owners", "confirm", id, "ann", "--reason", "asked"]);
    assert_eq!(states(&place, id, "OWN-NONE"), is("resolved", "fixed"));
    assert_eq!(states(&place, id, "OWN-LEFT"), Vec::new());
    let left = PEOPLE.replace("teams = [\"payments\"]\n", "teams = [\"payments\"]\nleft = 2026-02-01\n");
    fs::write(place.path("people.toml"), left).unwrap();
    daemon.signal(Signal::HUP);
    until("the leaver is noticed", || states(&place, id, "OWN-LEFT") == is("open", "-"));
    let finding = place.listed(&["findings", "list", "--where", "rule == \"OWN-LEFT\""]).remove(0);
    let told = place.done(&["findings", "explain", finding["id"].as_str().unwrap()]);
    assert!(told.out.contains("owner: ann (a person, left 2026-02-01T23:59:59Z): confidence 0.70"), "{}", told.out);
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ends(), 0);
}

#[test]
fn a_wrong_people_file_is_told_line_by_line() {
    let place = place("[[persons]]\nid = \"ann\"\nteams = [\"ops\"]\n\n[[persons]]\nid = \"Ann\"\nmail = \"x\"\n");
    let said = place.say(&["config", "check"]);
    assert_eq!(said.status, 2);
    assert!(said.out.contains("line 7, column 1: ") && said.out.contains("persons[1].mail"), "{}", said.out);
    fs::write(place.path("people.toml"), "[[persons]]\nid = \"ann\"\nteams = [\"ops\"]\n").unwrap();
    let said = place.say(&["config", "check"]);
    assert!(said.out.ends_with("persons[0].teams: there is no team \"ops\"\n"), "{}", said.out);
    assert_eq!(place.say(&["scan"]).status, 2);
}
