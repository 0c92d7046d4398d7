//! Cases and decisions as their user meets them at a terminal.
//! It must never depend on whose files the tests are: where they run as root, the place is given to somebody ordinary.

use std::fs;

use provost::clock::WallClock;
use provost_model::{Clock as _, Span};
use serde_json::Value;

use crate::program::{Place, Said};

/// A place of one ordinary user, who is Ann of the people file.
struct Annes {
    place: Place,
    uid: u32,
}

impl Annes {
    fn new() -> Self {
        let (place, _) = Place::grown();
        let (place, uid) = place.of_somebody();
        let file = place.path("people.toml");
        fs::write(&file, format!("[[persons]]\nid = \"ann\"\nuid = {uid}\n[[persons]]\nid = \"bob\"\nuid = 61002\n"))
            .unwrap();
        let known = fs::read_to_string(place.configuration()).unwrap();
        place.write_configuration(&format!("[people]\nfile = {file:?}\n{known}"));
        Self { place, uid }
    }

    fn say(&self, words: &[&str]) -> Said {
        self.place.say(words)
    }

    fn done(&self, words: &[&str]) -> Said {
        let said = self.say(words);
        assert_eq!(said.status, 0, "{words:?}: {}{}", said.out, said.err);
        said
    }

    fn json(&self, words: &[&str]) -> Value {
        serde_json::from_str(&self.done(&[words, &["-o", "json"]].concat()).out).unwrap()
    }
}

#[test]
fn a_case_is_seen_decided_and_taken_back() {
    let annes = Annes::new();
    annes.say(&["scan"]);
    let cases = annes.json(&["cases", "list", "--where", "\"CRED-WEAK-KEY\" in rules && kind == \"ssh_key\""]);
    let case = &cases.as_array().unwrap()[0];
    let id = case["id"].as_str().unwrap();
    assert_eq!((case["stage"].as_str(), case["decision"].is_null()), (Some("open"), true), "{case:#}");
    assert!(case["baseline"] == true && case["deadline"].is_null(), "a first look waits for a word: {case:#}");
    annes.done(&["baseline", "work", "tree"]);
    let case = annes.json(&["cases", "show", id]);
    assert!(case["case"]["deadline"].is_string(), "{case:#}");

    let listed = annes.done(&["cases", "list"]);
    assert!(listed.fits(), "{}", listed.out);
    assert!(listed.err.contains("overdue") && !listed.err.contains("no deadline runs"), "{}", listed.err);

    // Without a date, a reason or somebody who may, nothing is decided.
    assert_eq!(annes.say(&["cases", "accept", id, "--reason", "x"]).status, 2);
    let past = annes.say(&["cases", "accept", id, "--until", "2020-01-01", "--reason", "x"]);
    assert!(past.status == 1 && past.err.contains("is past"), "{past:?}");
    let unknown = annes.say(&["cases", "act", id, "--rule", "CRED-STOLE", "--reason", "x"]);
    assert!(unknown.status == 2 && unknown.err.contains("CRED-WEAK-KEY"), "{unknown:?}");

    let words = ["cases", "accept", id, "--until", "2099-01-01", "--reason", "replaced in spring"];
    let long = annes.say(&words);
    assert!(long.status == 1 && long.err.contains("365 days at most"), "{long:?}");
    let year = (WallClock.now() + Span::days(300)).to_string();
    let accept = ["cases", "accept", id, "--until", &year, "--control", "no route from outside", "--reason", "spring"];
    let held = annes.json(&accept);
    assert_eq!((held["stage"].as_str(), held["asked_by"].as_str()), (Some("in_force"), Some("ann")), "{held:#}");
    let open = annes.json(&["cases", "show", id]);
    assert!(open["case"].is_null() && open["findings"].as_array().unwrap().is_empty(), "{open:#}");
    let shown = annes.done(&["cases", "show", id]);
    assert!(shown.out.contains("spring") && shown.out.contains("no route from outside"), "{}", shown.out);

    let decision = held["id"].as_str().unwrap();
    let own = annes.say(&["cases", "approve", decision, "--reason", "x"]);
    assert!(own.status == 1 && own.err.contains("in_force"), "{own:?}");
    annes.done(&["cases", "withdraw", decision, "--reason", "the audit says no"]);
    let open = annes.json(&["cases", "show", id]);
    assert_eq!(open["case"]["stage"], "open", "{open:#}");
    annes.done(&["cases", "reassign", id, "--to", "bob", "--reason", "his host"]);
    let given = annes.json(&["cases", "show", id]);
    assert_eq!(
        (given["case"]["stage"].as_str(), given["case"]["owner"].as_str()),
        (Some("open"), Some("bob")),
        "{given:#}"
    );
    let act = annes.done(&["cases", "act", id, "--reason", "new key"]);
    assert!(act.err.contains("rotate") && act.err.contains("rotate status"), "{}", act.err);
    assert_eq!(annes.json(&["cases", "show", id])["case"]["stage"], "decided");

    let all = annes.json(&["cases", "decisions"]);
    let stages: Vec<&str> = all.as_array().unwrap().iter().map(|it| it["stage"].as_str().unwrap()).collect();
    assert_eq!(stages, ["in_force", "in_force", "withdrawn"]);
    // What was decided is proven by a file of its own, with or without people in it.
    let file = annes.place.path("evidence.ndjson");
    let whole = annes.done(&["evidence", "export"]);
    fs::write(&file, &whole.out).unwrap();
    let kept = annes.done(&["evidence", "head", "-o", "ndjson"]).out;
    let checkpoint: Value = serde_json::from_str(&kept).unwrap();
    let word = |name: &str| checkpoint["checkpoint"][name].as_str().unwrap().to_owned();
    let (head, key) = (word("head"), word("key"));
    let elsewhere = annes.place.path("checkpoint.ndjson");
    fs::write(&elsewhere, &kept).unwrap();
    let elsewhere = elsewhere.to_str().unwrap();
    let path = file.to_str().unwrap();
    let checked = annes.done(&["evidence", "verify", path, "--checkpoint", elsewhere, "--key", &key]);
    assert!(checked.out.contains("signed checkpoint") && !checked.out.contains("written anew"), "{}", checked.out);
    let checked = annes.done(&["evidence", "verify", path, "--head", &head]);
    assert!(checked.out.contains("all of them hold") && checked.out.contains("Not excluded"), "{}", checked.out);
    assert!(whole.out.lines().count() == 5 && whole.out.contains("no route from outside"), "{}", whole.out);
    let redacted = annes.done(&["evidence", "export", "--redacted", "--subject", id]);
    assert!(!redacted.out.contains("ann") && !redacted.out.contains("no route"), "{}", redacted.out);
    fs::write(&file, &redacted.out).unwrap();
    annes.done(&["evidence", "verify", path, "--head", &head]);
    // A word changed, and a tail that was cut off.
    fs::write(&file, whole.out.replacen("no route", "one route", 1)).unwrap();
    let forged = annes.say(&["evidence", "verify", path]);
    assert!(forged.status == 1 && forged.out.contains("line 1") && forged.out.contains("changed"), "{forged:?}");
    let cut: Vec<&str> = whole.out.lines().take(2).collect();
    fs::write(&file, cut.join("\n")).unwrap();
    let short = annes.say(&["evidence", "verify", path, "--checkpoint", elsewhere]);
    assert!(short.status == 1 && short.out.contains("cut off"), "{short:?}");
    let short = annes.say(&["evidence", "verify", path, "--head", &head]);
    assert!(short.status == 1 && short.out.contains("cut off"), "{short:?}");
    assert_eq!(annes.say(&["evidence", "verify", path]).status, 0, "without a head that cannot be told");

    let latency = annes.json(&["cases", "latency"]);
    assert!(latency["decided"]["settled"].as_u64().unwrap() >= 1, "{latency:#}");
    assert!(annes.done(&["cases", "latency"]).fits() && annes.done(&["cases", "decisions"]).fits());
}

#[test]
fn who_is_nobody_of_the_people_file_decides_nothing() {
    let annes = Annes::new();
    annes.say(&["scan"]);
    let id = annes.json(&["cases", "list"])[0]["id"].as_str().unwrap().to_owned();
    let people = annes.place.path("people.toml");
    fs::write(&people, "[[persons]]\nid = \"bob\"\nuid = 61002\n").unwrap();
    let said = annes.say(&["cases", "act", &id, "--reason", "x"]);
    assert!(said.status == 1 && said.err.contains(&format!("uid = {}", annes.uid)), "{said:?}");
    assert!(annes.json(&["cases", "decisions"]).as_array().unwrap().is_empty());
}
