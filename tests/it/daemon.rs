//! The daemon as a real process: what it tells its manager, how it answers, reloads, drains and catches up.
//! It must never be told apart from the command line beside the store by what it answers.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::{
        fs::PermissionsExt as _,
        net::{UnixListener, UnixStream},
    },
    path::Path,
    sync::Arc,
    time::Duration,
};

use provost::{clock::WallClock, house::House, jobs::sources::change_source};
use provost_connectors::host::testtree;
use provost_model::{Clock, RecordId, Span, Time};
use provost_store::{
    OpenOptions, Store as _,
    inventory::{Draft, JUDGE_QUEUE, SourceRow},
};
use rustix::process::Signal;
use serde_json::Value;

use crate::program::{Place, Running, until};

/// A schedule that no test lives to see.
const YEARLY: &str = "schedule = \"0 0 1 1 *\"\n";

fn source(place: &Place) -> Value {
    place.listed(&["sources"]).remove(0)
}

/// Waits until the source's last run is over.
fn looked(place: &Place) -> Value {
    until("the source is looked at", || source(place)["last_complete"].is_string());
    source(place)
}

fn ended(mut daemon: Running) {
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ends(), 0);
}

/// Changes what a store knows of the source, while no daemon has it.
fn rewrite(place: &Place, change: impl Fn(&mut SourceRow, Time)) {
    let options = OpenOptions { wait: Duration::from_secs(10), ..OpenOptions::default() };
    let store = provost_store::open(&place.store(), &options).unwrap();
    change_source(&House::new(Arc::new(store), Arc::new(WallClock)), "tree", change).unwrap();
}

fn looks(place: &Place) -> usize {
    place.log().lines().filter(|line| line.contains("\"looked\"")).count()
}

#[test]
fn it_tells_its_manager_what_it_does_from_start_to_end() {
    let (place, _) = Place::grown();
    place.configure(YEARLY);
    let (daemon, manager) = place.daemon();
    manager.wait_for("STATUS=looking on schedule");
    manager.wait_for("WATCHDOG=1");
    daemon.signal(Signal::TERM);
    let last = manager.wait_for("STOPPING=1");
    assert!(last.last().unwrap().contains("STATUS=handing over"), "{last:?}");
    let mut daemon = daemon;
    assert_eq!(daemon.ends(), 0);
    assert!(!place.socket().exists(), "the socket is taken away");
}

#[test]
fn a_source_that_was_never_looked_at_is_looked_at_at_once_and_the_next_time_survives_a_restart() {
    let (place, _) = Place::grown();
    place.configure(&format!("{YEARLY}jitter = \"20m\"\n"));
    let (daemon, _manager) = place.daemon();
    let first = looked(&place);
    let next = first["next_run"].as_str().unwrap().to_owned();
    assert!(next.parse::<jiff::Timestamp>().is_ok(), "{next}");
    ended(daemon);
    assert_eq!(source(&place)["next_run"], next.as_str());
    let (daemon, manager) = place.daemon();
    manager.wait_for("WATCHDOG=1");
    assert_eq!(source(&place)["next_run"], next.as_str(), "the jitter is not drawn again");
    assert_eq!(source(&place)["last_run"], first["last_run"], "and it is not looked at again");
    ended(daemon);
    assert_eq!(looks(&place), 1);
}

#[test]
fn missed_times_are_caught_up_once() {
    let (place, _) = Place::grown();
    place.configure("schedule = \"0 3 * * *\"\n");
    place.done(&["scan"]);
    let before = source(&place);
    rewrite(&place, |row, now| row.next_run = Some(now - Span::days(9)));
    let (daemon, manager) = place.daemon();
    until("it is caught up", || source(&place)["last_run"] != before["last_run"]);
    manager.wait_for("WATCHDOG=1");
    manager.wait_for("WATCHDOG=1");
    let next: Time = Time::parse_inclusive(source(&place)["next_run"].as_str().unwrap()).unwrap();
    assert!(next > WallClock.now() && next < WallClock.now() + Span::days(1) + Span::seconds(3600), "{next}");
    ended(daemon);
    assert_eq!(looks(&place), 1);
}

#[test]
fn a_hangup_puts_a_good_configuration_to_work_and_a_bad_one_leaves_the_old() {
    let (place, _) = Place::grown();
    place.configure(YEARLY);
    let (daemon, manager) = place.daemon();
    looked(&place);
    let good = fs::read_to_string(place.configuration()).unwrap();
    // The command line reads the configuration too, to find the socket: this one stays good.
    let kept = place.path("good.toml");
    fs::write(&kept, &good).unwrap();

    for (bad, why) in [
        ("[[sources]]\nname = 7\n".to_owned(), "wrong"),
        (good.replace("[store]", "[store]\npath = \"/elsewhere\""), "moves store or socket"),
        (good.replace("system = false", "sistem = false"), "wrong"),
    ] {
        place.write_configuration(&bad);
        daemon.signal(Signal::HUP);
        let told = manager.wait_for("READY=1");
        assert!(told.iter().any(|it| it.contains("RELOADING=1\n") && it.contains("MONOTONIC_USEC=")), "{told:?}");
        assert!(told.last().unwrap().contains(why), "{told:?}");
        // The old one is at work: the source it names is known, and can be looked at.
        assert_eq!(asked(&place, &["--config", kept.to_str().unwrap(), "scan", "tree"]).0, 0, "{why}");
    }
    assert!(place.log().contains("sistem"), "the log says what is wrong: {}", place.log());

    let before = source(&place)["next_run"].as_str().unwrap().to_owned();
    let good = good.replace(YEARLY.trim(), "schedule = \"*/30 * * * *\"");
    place.write_configuration(&format!("{good}\n[[sources]]\nname = \"second\"\nconnector = \"host\"\nroots = [{:?}]\nsystem = false\nmachine_id = \"1123456789abcdef0123456789abcdef\"\n", place.tree().join("src")));
    daemon.signal(Signal::HUP);
    let told = manager.wait_for("READY=1");
    assert!(told.last().unwrap().contains("STATUS=looking on schedule"), "{told:?}");
    assert_eq!(asked(&place, &["scan", "second"]).0, 0);
    // It does not wait for the time that the former schedule had set.
    until("the new schedule is kept", || source(&place)["next_run"] != before.as_str());
    let next = Time::parse_inclusive(source(&place)["next_run"].as_str().unwrap()).unwrap();
    assert!(next < WallClock.now() + Span::seconds(1801), "{next}");
    ended(daemon);
}

/// Findings of that rule about files, by state and resolution.
fn of_rule(place: &Place, rule: &str) -> Vec<(String, String)> {
    let all = place.listed(&["findings", "list", "--all", "--where", &format!("rule == {rule:?}")]);
    let word = |it: &Value| it.as_str().unwrap_or_default().to_owned();
    all.iter().map(|it| (word(&it["state"]), word(&it["resolution"]))).collect()
}

#[test]
fn a_changed_policy_changes_findings_without_a_look_by_a_hangup_as_by_a_restart() {
    const RULE: &str = "CFG-PLAINTEXT-STORE";
    let (place, _) = Place::grown();
    place.configure(YEARLY);
    let (daemon, _manager) = place.daemon();
    let looked_at = looked(&place)["last_run"].clone();
    until("it is judged", || !of_rule(&place, RULE).is_empty());
    let usual = fs::read_to_string(place.configuration()).unwrap();
    let off = format!("{usual}\n[thresholds]\noff = [{RULE:?}]\n");
    let all = |place: &Place, state: &str, why: &str| {
        until("findings follow", || of_rule(place, RULE).iter().all(|it| *it == (state.to_owned(), why.to_owned())));
    };
    all(&place, "open", "");
    place.write_configuration(&off);
    daemon.signal(Signal::HUP);
    all(&place, "resolved", "policy_changed");
    ended(daemon);
    place.write_configuration(&usual);
    let (daemon, _manager) = place.daemon();
    all(&place, "open", "");
    assert_eq!(source(&place)["last_run"], looked_at, "nothing was looked at");
    ended(daemon);
}

/// A clock a day ahead.
struct Tomorrow;

impl Clock for Tomorrow {
    fn now(&self) -> Time {
        WallClock.now() + Span::days(1)
    }
}

/// Whether a verdict is due by time alone, as the store of that place keeps it.
fn is_due(place: &Place) -> bool {
    let options = OpenOptions { wait: Duration::from_secs(10), ..OpenOptions::default() };
    let store = provost_store::open(&place.store(), &options).unwrap();
    !store.due(JUDGE_QUEUE, WallClock.now(), 1).unwrap().is_empty()
}

#[test]
fn while_the_clock_is_before_the_last_commit_looking_goes_on_and_verdicts_by_time_alone_wait() {
    let (place, _) = Place::grown();
    place.configure(YEARLY);
    place.done(&["scan"]);
    let due = |clock: Arc<dyn Clock>| {
        let options = OpenOptions { wait: Duration::from_secs(10), ..OpenOptions::default() };
        let house = House::new(Arc::new(provost_store::open(&place.store(), &options).unwrap()), clock);
        let mut draft = Draft::new(house.inventory(), house.now());
        draft.judge_at(RecordId::from_bytes([7; 16]), Some(WallClock.now() - Span::days(1)));
        draft.commit().unwrap();
    };
    due(Arc::new(WallClock));
    let (daemon, manager) = place.daemon();
    manager.wait_for("WATCHDOG=1");
    manager.wait_for("WATCHDOG=1");
    ended(daemon);
    assert!(!is_due(&place), "with a clock that is right it is judged at once");

    due(Arc::new(Tomorrow));
    let (daemon, manager) = place.daemon();
    manager.wait_for("STATUS=looking on schedule; the clock is not trusted");
    manager.wait_for("WATCHDOG=1");
    manager.wait_for("WATCHDOG=1");
    let notices = place.listed(&["status"]).remove(0)["notices"].to_string();
    assert!(notices.contains("the clock is not trusted") && notices.contains("the store was written"), "{notices}");
    place.done(&["scan"]);
    ended(daemon);
    assert!(place.log().contains("the clock is not trusted"));
    assert!(is_due(&place), "it waits");
    // Beside the store the same is said.
    assert!(place.listed(&["status"]).remove(0)["notices"].to_string().contains("the clock is not trusted"));
}

/// What the daemon answers: nothing else than it can, for the store is opened by nobody else meanwhile.
fn asked(place: &Place, words: &[&str]) -> (i32, String) {
    let said = place.say(words);
    (said.status, said.out + &said.err)
}

#[test]
fn the_command_line_is_answered_by_the_daemon_as_beside_the_store() {
    let (place, _) = Place::grown();
    place.configure(YEARLY);
    place.done(&["scan"]);
    let questions: &[&[&str]] = &[
        &["inventory", "list", "-o", "ndjson", "--where", "kind == \"token\""],
        &["inventory", "list", "-o", "csv"],
        &["inventory", "list", "--where", "nonsense("],
        &["inventory", "show", "nobody"],
        &["findings", "list", "-o", "ndjson"],
        &["findings", "list", "--fail-on", "high", "-o", "json"],
        &["snapshot", "diff", "unknown"],
        &["scan", "nobody"],
    ];
    let beside: Vec<_> = questions.iter().map(|words| asked(&place, words)).collect();
    let (daemon, _manager) = place.daemon();
    for (words, beside) in questions.iter().zip(beside) {
        assert_eq!(asked(&place, words), beside, "{words:?}");
    }

    let status = place.listed(&["status"]).remove(0);
    assert_eq!(status["daemon"]["pid"], daemon.0.id());
    fs::remove_dir_all(place.tree().join("src")).unwrap();
    fs::set_permissions(place.tree().join("tls"), fs::Permissions::from_mode(0o000)).unwrap();
    let partial = place.say(&["scan"]);
    fs::set_permissions(place.tree().join("tls"), fs::Permissions::from_mode(0o755)).unwrap();
    if !rustix::process::geteuid().is_root() {
        assert_eq!(partial.status, 3, "{}{}", partial.out, partial.err);
    }
    fs::rename(place.tree(), place.path("moved")).unwrap();
    let absent = place.say(&["scan"]);
    assert_eq!(absent.status, 3, "{}{}", absent.out, absent.err);
    assert!(absent.out.contains("partial") && absent.out.contains("not seen"), "{}", absent.out);
    let records = place.listed(&["inventory", "list", "--where", "kind == \"ssh_key\""]);
    assert!(!records.is_empty() && records.iter().all(|it| it["presence"] == "present"), "{records:?}");
    ended(daemon);
}

/// What comes back over the socket for these bytes, until it is closed.
fn over(socket: &Path, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    // It may be closed before all is written.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn what_is_no_question_is_refused_and_the_next_caller_is_answered() {
    let (place, _) = Place::grown();
    place.configure(YEARLY);
    let (daemon, _manager) = place.daemon();
    assert_eq!(fs::metadata(place.socket()).unwrap().permissions().mode() & 0o777, 0o660);
    let huge = [b"{\"arguments\":[\"".as_slice(), &vec![b'x'; 3 << 20], b"\"]}\n"].concat();
    for garbage in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\n", b"\xff\xfe\0\n", b"{\"arguments\":[\"status\"]}\n", b"", &huge]
    {
        let answer = over(&place.socket(), garbage);
        assert!(!answer.contains("\"out\""), "{answer}");
        let exits: Vec<&str> = answer.lines().filter(|line| line.contains("exit")).collect();
        assert!(exits.iter().all(|line| *line == "{\"exit\":2}"), "{answer}");
    }
    // Commands that are none of a daemon's business.
    let (status, said) = asked(&place, &["status"]);
    assert_eq!(status, 0, "{said}");
    assert!(said.contains("pid"), "{said}");
    ended(daemon);
}

#[test]
fn what_a_dead_daemon_left_is_replaced_and_its_run_goes_on() {
    let place = Place::new();
    for copy in 0..4 {
        testtree::grow(&place.tree().join(copy.to_string())).unwrap();
    }
    place.configure(YEARLY);
    let (mut daemon, _manager) = place.daemon();
    until("it looks", || source(&place)["last_run"].is_string());
    daemon.0.kill().unwrap();
    daemon.ends();
    assert!(place.socket().exists());
    rewrite(&place, |row, now| row.next_run = Some(now + Span::days(300)));
    let (daemon, _manager) = place.daemon();
    looked(&place);
    ended(daemon);
}

#[test]
fn a_file_in_the_socket_s_place_is_left_alone() {
    let (place, _) = Place::grown();
    fs::create_dir_all(place.socket().parent().unwrap()).unwrap();
    fs::write(place.socket(), "mine").unwrap();
    let said = place.say(&["run"]);
    assert_eq!(said.status, 2, "{}", said.err);
    assert!(said.err.contains("is no socket"), "{}", said.err);
    assert_eq!(fs::read_to_string(place.socket()).unwrap(), "mine");

    fs::remove_file(place.socket()).unwrap();
    drop(UnixListener::bind(place.socket()).unwrap());
    let (daemon, _manager) = place.daemon();
    ended(daemon);
}

/// A command that comes while a daemon starts finds the store held and nobody at the socket.
#[test]
fn who_waits_for_a_store_is_answered_as_soon_as_a_daemon_has_it() {
    let (place, _) = Place::grown();
    let held = provost_store::open(&place.store(), &OpenOptions::default()).unwrap();
    fs::create_dir_all(place.socket().parent().unwrap()).unwrap();
    let socket = UnixListener::bind(place.socket()).unwrap();
    std::thread::scope(|threads| {
        let said = threads.spawn(|| place.say(&["status"]));
        for answer in ["\"elsewhere\"\n", "\"elsewhere\"\n", "{\"out\":\"it is up\"}\n{\"exit\":0}\n"] {
            let mut asked = BufReader::new(socket.accept().unwrap().0);
            asked.read_line(&mut String::new()).unwrap();
            asked.get_mut().write_all(answer.as_bytes()).unwrap();
        }
        let said = said.join().unwrap();
        assert_eq!((said.status, said.out.as_str()), (0, "it is up"), "{}", said.err);
    });
    drop(held);
}

#[test]
fn a_daemon_that_is_told_to_end_hands_over_what_it_saw_and_goes_on_at_the_next_start() {
    let place = Place::new();
    for copy in 0..8 {
        testtree::grow(&place.tree().join(copy.to_string())).unwrap();
    }
    place.configure(YEARLY);
    let (daemon, manager) = place.daemon();
    until("it looks", || source(&place)["last_run"].is_string());
    daemon.signal(Signal::TERM);
    manager.wait_for("STOPPING=1");
    let mut daemon = daemon;
    assert_eq!(daemon.ends(), 0);
    let records = place.listed(&["inventory", "list", "--presence", "present,missing,gone"]);
    assert!(records.iter().all(|it| it["presence"] == "present"));
    let (daemon, _manager) = place.daemon();
    looked(&place);
    let after = place.listed(&["inventory", "list"]);
    assert!(after.len() >= records.len());
    ended(daemon);
}

#[test]
fn quickstart_stays_and_answers() {
    let place = Place::new();
    testtree::grow(&place.tree()).unwrap();
    let (daemon, manager) = place.daemon_by(&["quickstart", "--no-aws", "--root", place.tree().to_str().unwrap()]);
    let sources = place.listed(&["sources"]);
    assert_eq!(sources[0]["name"], "this-host");
    assert!(sources[0]["last_run"].is_string(), "it was looked at before it is ready");
    assert_eq!(place.listed(&["status"]).remove(0)["daemon"]["pid"], daemon.0.id());
    daemon.signal(Signal::INT);
    manager.wait_for("STOPPING=1");
    let mut daemon = daemon;
    assert_eq!(daemon.ends(), 0);
    assert!(place.log().contains("Staying to look on schedule"), "{}", place.log());
}

#[test]
fn another_store_is_not_answered_for() {
    let (place, _) = Place::grown();
    place.configure(YEARLY);
    let (daemon, _manager) = place.daemon();
    looked(&place);
    let other = place.path("other.toml");
    let text = fs::read_to_string(place.configuration()).unwrap();
    let elsewhere = format!("[store]\npath = {:?}\n", place.path("elsewhere"));
    fs::write(&other, text.replace("[store]\n", &elsewhere)).unwrap();
    let said = place.done(&["--config", other.to_str().unwrap(), "inventory", "list", "-o", "ndjson"]);
    assert_eq!(said.out, "", "the daemon's records are not those of the other store");
    ended(daemon);
}

#[test]
fn its_memory_is_nobody_s_business() {
    let (place, _) = Place::grown();
    place.configure(YEARLY);
    let (daemon, _manager) = place.daemon();
    let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.0.id())).unwrap();
    let core: Vec<&str> =
        limits.lines().find(|line| line.starts_with("Max core file size")).unwrap().split_whitespace().collect();
    assert_eq!(core[4..6], ["0", "0"], "no core image is written");
    ended(daemon);
}
