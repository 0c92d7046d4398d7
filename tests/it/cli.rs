//! The program as its user meets it: words in, answers, remarks and an exit status out.
//! It must never judge a command by anything that its user cannot see.

use std::{fs, io::Read as _, os::unix::fs::PermissionsExt as _, path::Path, process::Stdio, time::Duration};

use provost_store::OpenOptions;
use serde_json::Value;

use crate::program::{Place, Running, Said};

/// The fields that other programs rely on.
const RECORD: [&str; 16] = [
    "id",
    "kind",
    "source",
    "external_id",
    "name",
    "identity",
    "owner",
    "created_at",
    "rotated_at",
    "last_used_at",
    "expires_at",
    "status",
    "presence",
    "first_seen",
    "last_seen",
    "attributes",
];
const FINDING: [&str; 12] = [
    "id",
    "rule",
    "rule_version",
    "subject",
    "external_id",
    "state",
    "severity",
    "opened_at",
    "resolved_at",
    "resolution",
    "because",
    "frameworks",
];

/// A place whose tree was looked at once.
fn scanned() -> Place {
    let (place, _) = Place::grown();
    place.done(&["scan"]);
    place
}

/// Names of the fields of each line, in the order in which they are written.
fn fields(line: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut depth = 0;
    let mut text = None::<String>;
    let mut last = String::new();
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (&mut text, letter) {
            (Some(it), '\\') => it.extend(letters.next()),
            (Some(_), '"') => last = text.take().unwrap(),
            (Some(it), _) => it.push(letter),
            (None, '"') => text = Some(String::new()),
            (None, '{' | '[') => depth += 1,
            (None, '}' | ']') => depth -= 1,
            (None, ':') if depth == 1 => names.push(last.clone()),
            _ => {}
        }
    }
    names
}

fn is_reading(value: &Value) -> bool {
    match value["reading"].as_str() {
        Some("known") => value.get("value").is_some(),
        Some("never" | "not_reported" | "not_permitted" | "not_collected") => value.get("value").is_none(),
        _ => false,
    }
}

#[test]
fn quickstart_says_what_it_reads_before_it_reads_and_writes_a_configuration_once() {
    let (place, _) = Place::grown();
    fs::remove_file(place.configuration()).unwrap();
    let tree = place.tree();
    let words = ["quickstart", "--once", "--no-aws", "--root", tree.to_str().unwrap()];
    let first = place.say(&words);
    // What of the machine itself may not be read is another matter.
    assert!([0, 3].contains(&first.status), "{}{}", first.out, first.err);
    assert!(first.fits(), "{}{}", first.out, first.err);
    assert!(first.err.starts_with("About to read, and only to read:\n  this-host: "), "{}", first.err);
    let remarks: Vec<&str> = first.err.lines().collect();
    assert!(remarks[1].contains(tree.to_str().unwrap()), "{}", first.err);
    let wrote = remarks.iter().position(|line| line.starts_with("Wrote ")).unwrap();
    assert!(remarks[wrote].contains("provost.toml") && !first.err.contains("aws:"), "{}", first.err);
    assert!(remarks.iter().any(|line| line.starts_with("… and ") && line.ends_with(" more: provost inventory list")));
    for heading in ["SOURCE ", "KIND ", "SEVERITY "] {
        assert!(first.out.lines().any(|line| line.contains(heading)), "{heading}: {}", first.out);
    }
    let mode = fs::metadata(place.configuration()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    place.done(&["config", "check"]);

    let written = fs::read(place.configuration()).unwrap();
    let second = place.say(&["quickstart", "--once", "--no-aws"]);
    assert!([0, 3].contains(&second.status), "{}{}", second.out, second.err);
    assert!(second.err.contains("is there already and was left as it is"), "{}", second.err);
    assert_eq!(fs::read(place.configuration()).unwrap(), written);
}

#[test]
fn quickstart_announces_before_it_has_touched_anything() {
    let (place, _) = Place::grown();
    fs::remove_file(place.configuration()).unwrap();
    // Nothing can be looked at without a store, and this one cannot be made: what is said comes first all the same.
    fs::write(place.path("state/provost"), "in the way").unwrap();
    let tree = place.tree();
    let said = place.say(&["quickstart", "--once", "--no-aws", "--root", tree.to_str().unwrap()]);
    assert!(![0, 3].contains(&said.status), "{}", said.status);
    assert!(said.err.starts_with("About to read, and only to read:\n"), "{}", said.err);
}

#[test]
fn records_have_exactly_the_pinned_fields() {
    let place = scanned();
    let listed = place.done(&["inventory", "list", "-o", "ndjson"]);
    assert_eq!(listed.err, "");
    assert!(listed.out.lines().count() > 40);
    for line in listed.out.lines() {
        assert_eq!(fields(line), RECORD);
        let row: Value = serde_json::from_str(line).unwrap();
        for name in ["created_at", "rotated_at", "last_used_at", "expires_at"] {
            assert!(is_reading(&row[name]), "{name}: {row}");
        }
        let attributes = row["attributes"].as_object().unwrap();
        assert!(attributes.values().all(is_reading), "{row}");
        assert_eq!(row["source"], serde_json::json!(["tree"]));
        assert_eq!(row["presence"], "present");
        for name in ["first_seen", "last_seen"] {
            assert!(row[name].as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{row}");
        }
    }
    let whole: Value = serde_json::from_str(&place.done(&["inventory", "list", "-o", "json"]).out).unwrap();
    assert_eq!(whole.as_array().unwrap().len(), listed.out.lines().count());
    let csv = place.done(&["inventory", "list", "-o", "csv"]).out;
    assert_eq!(csv.lines().next().unwrap(), RECORD.join(","));
}

#[test]
fn findings_have_exactly_the_pinned_fields() {
    let place = scanned();
    let listed = place.done(&["findings", "list", "-o", "ndjson"]);
    assert!(listed.out.lines().count() > 10, "{}", listed.out);
    for line in listed.out.lines() {
        assert_eq!(fields(line), FINDING);
    }
    let rules: Vec<String> = listed.lines().iter().map(|it| it["rule"].as_str().unwrap().to_owned()).collect();
    for rule in ["CRED-AGE", "CRED-WEAK-KEY", "CFG-PLAINTEXT-STORE", "AI-AGENT-UNGOV"] {
        assert!(rules.iter().any(|it| it == rule), "{rule} is not among {rules:?}");
    }
}

#[test]
fn one_expression_language_chooses_what_is_listed() {
    let place = scanned();
    let all = place.listed(&["inventory", "list"]);
    let agents = place.listed(&["inventory", "list", "--where", "kind == \"ai_agent\""]);
    assert!(!agents.is_empty() && agents.len() < all.len());
    assert!(agents.iter().all(|it| it["kind"] == "ai_agent"));
    let unknown = place.done(&["inventory", "list", "-o", "ndjson", "--where", "last_used_at > created_at"]);
    assert!(unknown.err.contains("left out"), "what is unknown is neither true nor false: {}", unknown.err);
    let said = place.say(&["inventory", "list", "--where", "kin == \"token\""]);
    assert_eq!(said.status, 2);
    assert!(said.err.contains("kind"), "what was probably meant: {}", said.err);
    let said = place.say(&["inventory", "list", "--where", "kind =="]);
    assert_eq!((said.status, said.out.as_str()), (2, ""), "{}", said.err);
    assert!(said.err.starts_with("provost: --where: "), "{}", said.err);
    let high = place.listed(&["findings", "list", "--where", "severity == \"high\""]);
    assert!(!high.is_empty() && high.iter().all(|it| it["severity"] == "high"));
}

#[test]
fn before_the_first_look_nothing_was_believed() {
    let place = scanned();
    for words in [&["inventory", "list", "--at", "2020-01-01"][..], &["findings", "list", "--at", "2020-01-01"]] {
        assert_eq!(place.listed(words), Vec::<Value>::new(), "{words:?}");
    }
    assert!(!place.listed(&["inventory", "list", "--at", "2999-01-01"]).is_empty());
    let said = place.say(&["inventory", "list", "--at", "yesterday"]);
    assert_eq!(said.status, 2);
    assert!(said.err.contains("yesterday"), "{}", said.err);
}

#[test]
fn one_record_is_shown_by_any_of_its_names_with_what_became_of_it() {
    let place = scanned();
    let row = place.listed(&["inventory", "list", "--where", "kind == \"certificate\""]).remove(0);
    let id = row["id"].as_str().unwrap();
    let shown = place.done(&["inventory", "show", id]);
    assert!(shown.out.starts_with("id ") && shown.out.contains(id), "{}", shown.out);
    for name in [&id[id.len() - 8..], row["external_id"].as_str().unwrap()] {
        assert_eq!(place.done(&["inventory", "show", name]).out, shown.out, "{name}");
    }
    let history = place.done(&["inventory", "history", id, "-o", "ndjson"]).lines();
    assert_eq!(history[0]["what"], "appeared");

    // It goes, and comes back.
    let pem = place.tree().join("tls");
    fs::rename(&pem, place.path("elsewhere")).unwrap();
    fs::create_dir(&pem).unwrap();
    place.say(&["scan"]);
    fs::remove_dir(&pem).unwrap();
    fs::rename(place.path("elsewhere"), &pem).unwrap();
    place.done(&["scan"]);
    let history = place.done(&["inventory", "history", id]);
    assert!(history.fits(), "{}", history.out);
    let said = place.say(&["inventory", "show", "nobody"]);
    assert_eq!(said.status, 2);
    assert!(said.err.contains("no record is called \"nobody\""), "{}", said.err);
}

#[test]
fn a_finding_is_shown_and_explained() {
    let place = scanned();
    for finding in place.listed(&["findings", "list", "--where", "severity != \"info\""]).iter().take(12) {
        let id = finding["id"].as_str().unwrap();
        let shown = place.done(&["findings", "show", id]);
        assert!(shown.out.contains(finding["because"].as_str().unwrap()), "{}", shown.out);
        let told = place.done(&["findings", "explain", id]);
        for part in ["Found", "Why it matters", "Severity", "What to do"] {
            assert!(told.out.lines().any(|line| line == part), "{part}: {}", told.out);
        }
        assert!(told.out.contains(finding["rule"].as_str().unwrap()));
        let whole = place.done(&["findings", "explain", id, "-o", "json"]);
        assert!(!whole.lines()[0]["severity_steps"].as_array().unwrap().is_empty());
    }
    assert_eq!(place.say(&["findings", "explain", "nobody"]).status, 2);
}

#[test]
fn an_altered_snapshot_is_found_and_differences_are_shown() {
    let place = scanned();
    place.done(&["snapshot", "take"]);
    fs::write(place.tree().join("src/app/new.env"), "NEW_TOKEN=hZ3kQ9wR5tY7uI1oP2aS4dF6gH8jK0lZ\n").unwrap();
    fs::write(place.tree().join(".env"), "NEW_TOKEN=hZ3kQ9wR5tY7uI1oP2aS4dF6gH8jK0lZ\n").unwrap();
    place.done(&["scan"]);
    std::thread::sleep(Duration::from_secs(1));
    place.done(&["snapshot", "take"]);
    let names: Vec<String> =
        place.listed(&["snapshot", "list"]).iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names.len(), 2);
    let differences = place.listed(&["snapshot", "diff", &names[0], &names[1]]);
    assert!(differences.iter().any(|it| it["what"] == "appeared"), "{differences:?}");
    assert!(place.listed(&["snapshot", "diff", &names[1]]).is_empty(), "nothing changed since");
    place.done(&["snapshot", "verify"]);

    let file = place.store().join("snapshots").join(&names[0]).join("records.ndjson.zst");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    let said = place.say(&["snapshot", "verify"]);
    assert_eq!(said.status, 1, "{}", said.out);
    assert!(said.fits(), "{}", said.out);
    assert_eq!(place.say(&["snapshot", "verify", &names[1]]).status, 0, "the other one is whole");
    assert_eq!(place.say(&["snapshot", "verify", "../.."]).status, 2);
}

#[test]
fn a_baseline_is_decided_once_the_source_ran() {
    let (place, _) = Place::grown();
    assert_eq!(place.say(&["baseline", "work", "tree"]).status, 2, "it never ran");
    place.done(&["scan"]);
    assert!(place.done(&["status"]).out.contains("provost baseline accept|work tree"));
    assert_eq!(place.say(&["baseline", "accept", "tree", "--reason", " "]).status, 2);
    let said = place.done(&["baseline", "accept", "tree", "--reason", "known since the audit"]);
    assert!(said.fits(), "{}{}", said.out, said.err);
    assert!(!place.done(&["status"]).out.contains("provost baseline accept|work tree"));
    assert_eq!(place.say(&["baseline", "work", "nobody"]).status, 2);
}

#[test]
fn sources_and_status_tell_how_it_stands() {
    let (place, _) = Place::grown();
    let before = place.done(&["sources", "-o", "ndjson"]).lines().remove(0);
    assert_eq!((&before["name"], &before["outcome"]), (&"tree".into(), &Value::Null));
    place.done(&["scan"]);
    let after = place.done(&["sources", "list", "-o", "ndjson"]).lines().remove(0);
    assert_eq!(after["outcome"], "complete");
    assert!(after["records"].as_u64().unwrap() > 40);
    let status = place.done(&["status", "-o", "json"]).lines().remove(0);
    assert_eq!(status["daemon"], Value::Null);
    assert_eq!(status["store"], place.store().to_str().unwrap());
    assert!(place.done(&["status"]).out.contains("none runs"));
    let said = place.say(&["sources", "retire", "tree", "--reason", "x"]);
    assert_eq!(said.status, 2, "it is configured still: {}", said.err);
}

#[test]
fn every_problem_of_a_configuration_is_listed_at_once() {
    let (place, _) = Place::grown();
    assert_eq!(place.done(&["config", "check"]).out, "");
    place.write_configuration(
        "[daemon]\ndrain = \"5 min\"\n\n[[sources]]\nname = \"a\"\nconnector = \"hots\"\nschedule = \"never\"\n",
    );
    let said = place.say(&["config", "check"]);
    assert_eq!(said.status, 2);
    for hint in ["drain", "schedule"] {
        assert!(said.out.contains(hint), "{hint}: {}", said.out);
    }
    place.configure("rots = [\"/x\"]\n");
    let said = place.say(&["config", "check"]);
    assert_eq!(said.status, 2);
    assert!(said.out.contains("rots"), "{}", said.out);
    // The same mistake in any other command.
    let scan = place.say(&["scan"]);
    assert_eq!(scan.status, 2);
    assert!(scan.err.contains("rots"), "{}", scan.err);
    place.write_configuration("[[sources]\n");
    assert_eq!(place.say(&["status"]).status, 2);
    let missing = place.path("nowhere.toml");
    assert_eq!(place.say(&["--config", missing.to_str().unwrap(), "status"]).status, 2);
    let schema: Value = serde_json::from_str(&place.done(&["config", "schema"]).out).unwrap();
    assert!(schema["properties"]["sources"].is_object());
    place.write_configuration(&place.done(&["config", "example"]).out);
    place.done(&["config", "check"]);
}

#[test]
fn exit_statuses_mean_what_the_help_says() {
    let (place, _) = Place::grown();
    assert_eq!(place.say(&["--help"]).status, 0);
    assert_eq!(place.say(&["--version"]).status, 0);
    assert_eq!(place.say(&["nonsense"]).status, 2);
    assert_eq!(place.say(&["scan", "nobody"]).status, 2);
    assert_eq!(place.say(&["scan", "--fail-on", "low"]).status, 6);
    assert_eq!(place.say(&["findings", "list", "--fail-on", "info"]).status, 6);
    assert_eq!(place.done(&["findings", "list", "--fail-on", "info", "--at", "2020-01-01"]).status, 0);
    fs::rename(place.tree(), place.path("moved")).unwrap();
    let absent = place.say(&["scan"]);
    assert_eq!(absent.status, 3, "{}{}", absent.out, absent.err);
    assert!(place.done(&["status"]).out.contains("partial"));
    place.write_configuration("");
    assert_eq!(place.say(&["scan"]).status, 2, "no sources");
}

#[test]
fn too_much_that_vanishes_at_once_is_held_back_until_released() {
    let place = scanned();
    let before = place.listed(&["inventory", "list"]).len();
    for entry in fs::read_dir(place.tree()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("src") {
            fs::remove_dir_all(path).unwrap();
        }
    }
    let held = place.say(&["scan"]);
    assert_eq!(held.status, 4, "{}{}", held.out, held.err);
    assert!(held.fits(), "{}", held.out);
    let rows = place.listed(&["inventory", "list"]);
    assert!(rows.len() >= before && rows.iter().all(|it| it["presence"] == "present"));
    let status = place.done(&["status"]);
    assert!(status.out.contains("provost sources release tree"), "{}", status.out);
    assert!(status.fits(), "{}", status.out);
    place.done(&["sources", "release", "tree", "--reason", "the machine was cleaned"]);
    assert!(!place.listed(&["inventory", "list", "--presence", "missing,gone"]).is_empty());
}

#[test]
fn a_store_that_another_process_holds_is_left_alone() {
    let place = scanned();
    let _held = provost_store::open(&place.store(), &OpenOptions::default()).unwrap();
    let said = place.say(&["inventory", "list"]);
    assert_eq!((said.status, said.out.as_str()), (5, ""), "{}", said.err);
    assert!(said.err.contains(&std::process::id().to_string()), "it names the holder: {}", said.err);
}

#[test]
fn a_damaged_store_is_said_to_be_damaged_and_left_as_it_is() {
    let place = scanned();
    fs::remove_file(place.store().join("format.toml")).unwrap();
    let said = place.say(&["status"]);
    assert_eq!(said.status, 5, "{}", said.err);
    assert!(said.err.starts_with("provost: ") && said.err.contains("format"), "{}", said.err);
}

#[test]
fn a_store_of_another_engine_than_the_configuration_names_is_left_alone() {
    let place = scanned();
    let config = fs::read_to_string(place.configuration()).unwrap();
    fs::write(place.configuration(), config.replacen("[store]", "[store]\nengine = \"redb\"", 1)).unwrap();
    let said = place.say(&["status"]);
    assert_eq!(said.status, 5, "{}", said.err);
    assert!(said.err.contains("provost store migrate --to redb"), "{}", said.err);
    fs::remove_dir_all(place.store()).unwrap();
    place.done(&["scan"]);
    assert!(place.store().join("redb/db").exists(), "a new store is made with the engine that is named");
}

#[test]
fn a_reader_that_has_had_enough_is_no_failure() {
    let place = scanned();
    for words in [&["inventory", "list", "-o", "ndjson"][..], &["findings", "list"], &["config", "example"]] {
        let mut running = Running(place.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
        drop(running.0.stdout.take());
        assert_eq!(running.ends(), 0, "{words:?}");
        let mut said = String::new();
        running.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(!said.contains("panicked") && !said.contains("pipe"), "{words:?}: {said}");
    }
}

#[test]
fn nothing_that_people_read_is_wider_than_a_hundred_columns() {
    let place = scanned();
    let name = "a-name-that-goes-on-and-on-".repeat(8);
    fs::write(place.tree().join(format!("{name}.env")), "API_TOKEN=hZ3kQ9wR5tY7uI1oP2aS4dF6gH8jK0lZ\n").unwrap();
    fs::write(place.tree().join("\u{1b}[31m.env"), "API_TOKEN=hZ3kQ9wR5tY7uI1oP2aS4dF6gH8jK0lZ\n").unwrap();
    for words in [
        &["scan"][..],
        &["inventory", "list"],
        &["findings", "list"],
        &["sources"],
        &["snapshot", "take"],
        &["snapshot", "list"],
        &["snapshot", "verify"],
        &["snapshot", "diff", "2020-01-01"],
        &["--help"],
        &["scan", "--help"],
        &["inventory", "list", "--help"],
    ] {
        let said = place.done(words);
        assert!(said.fits(), "{words:?}:\n{}{}", said.out, said.err);
        assert!(!said.out.contains('\u{1b}'), "{words:?}");
    }
}

#[test]
fn check_tries_what_a_source_may_see() {
    let (place, _) = Place::grown();
    let said = place.done(&["check", "tree"]);
    assert!(said.out.contains(place.tree().to_str().unwrap()), "{}", said.out);
    let wrong = place.say(&["check", "tre"]);
    assert_eq!(wrong.status, 2);
    assert!(wrong.err.contains("did you mean \"tree\"?"), "{}", wrong.err);
}

#[test]
fn completions_are_printed_for_every_shell() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(place.done(&["completions", shell]).out.contains("quickstart"), "{shell}");
    }
    assert!(!Path::new(&place.store()).exists(), "nothing was made for it");
}

#[test]
fn colours_appear_on_terminals_only() {
    let place = scanned();
    let said = Said::of(&place.command(&["findings", "list"]).env("FORCE_COLOR", "1").output().unwrap());
    assert!(!said.out.contains('\u{1b}'));
}

#[test]
fn a_scan_beside_the_store_judges_by_a_changed_policy_what_it_does_not_look_at() {
    let place = scanned();
    let usual = fs::read_to_string(place.configuration()).unwrap();
    let other = place.path("other");
    fs::create_dir(&other).unwrap();
    place.write_configuration(&format!(
        "{usual}\n[[sources]]\nname = \"other\"\nconnector = \"host\"\nroots = [{other:?}]\nsystem = false\n\
         machine_id = \"1123456789abcdef0123456789abcdef\"\n[thresholds.thresholds]\noff = [\"CFG-PLAINTEXT-STORE\"]\n"
    ));
    let status = || place.listed(&["status"]).remove(0)["notices"].to_string();
    assert!(status().contains("not every finding follows"), "{}", status());
    place.done(&["scan", "other"]);
    let found = place.listed(&["findings", "list", "--all", "--where", "rule == \"CFG-PLAINTEXT-STORE\""]);
    assert!(!found.is_empty() && found.iter().all(|it| it["resolution"] == "policy_changed"), "{found:?}");
    assert!(!status().contains("not every finding follows"), "{}", status());
}

#[test]
fn a_store_that_cannot_be_made_is_said_to_be_where_and_what_to_do() {
    let (place, _) = Place::grown();
    fs::write(place.path("a-file"), "mine").unwrap();
    let path = place.path("a-file/store");
    let usual = fs::read_to_string(place.configuration()).unwrap();
    place.write_configuration(&usual.replace("[store]\n", &format!("[store]\npath = {path:?}\n")));
    for words in [&["scan"][..], &["status"], &["run"]] {
        let said = place.say(words);
        assert_eq!(said.status, 1, "{words:?}: {}", said.err);
        assert!(said.err.contains(path.to_str().unwrap()) && said.err.contains("store.path"), "{}", said.err);
    }
    assert_eq!(fs::read_to_string(place.path("a-file")).unwrap(), "mine");
}

#[test]
fn sources_count_each_record_once_and_name_the_next_time_before_a_daemon_ran() {
    let (place, _) = Place::grown();
    // The second root lies in the first: two scopes see the same files.
    let usual = fs::read_to_string(place.configuration()).unwrap();
    let (tree, inner) = (place.tree(), place.tree().join("src"));
    let both = usual.replace(&format!("roots = [{tree:?}]"), &format!("roots = [{tree:?}, {inner:?}]"));
    assert_ne!(both, usual);
    place.write_configuration(&format!("{both}schedule = \"0 0 1 1 *\"\n"));
    place.done(&["scan"]);
    let source = place.listed(&["sources"]).remove(0);
    assert_eq!(source["records"].as_u64().unwrap(), place.listed(&["inventory", "list"]).len() as u64);
    assert!(source["next_run"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{source:#}");
    assert!(!place.done(&["sources"]).out.contains("on demand"));
}
