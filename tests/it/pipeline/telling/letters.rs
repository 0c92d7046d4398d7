//! Letters on their way: none lost, none twice where the sink can tell, none that nobody enabled.
//! It must never look into a letter that did not arrive.

use super::*;

#[test]
fn ten_thousand_cases_reach_a_sink_that_fails_a_fifth_of_all_calls_each_in_order_and_none_is_lost() {
    const CASES: u32 = 10_000;
    let arrived: Arc<Mutex<Vec<(String, String, String)>>> = Arc::default();
    let calls = Arc::new(Mutex::new(0_u64));
    let (note, count) = (Arc::clone(&arrived), Arc::clone(&calls));
    let office = Office::new("");
    let to = office.runtime.block_on(Loopback::start(move |asked| {
        let mut calls = count.lock().unwrap();
        *calls += 1;
        let body = said(asked);
        let case = body["data"]["cases"][0]["id"].as_str().unwrap().to_owned();
        let line = (asked.header("webhook-id").to_owned(), case, body["type"].as_str().unwrap().to_owned());
        // A fifth fails, in every way there is: of the first two the letter arrived all the same.
        match *calls % 25 {
            0 => {
                note.lock().unwrap().push(line);
                Reply::new(500, &[], "")
            }
            5 => {
                note.lock().unwrap().push(line);
                Reply::new(200, &[], "{}").cut(2)
            }
            10 => Reply::new(429, &[("retry-after", "0")], ""),
            15 => Reply::new(503, &[], ""),
            20 => Reply::new(502, &[], ""),
            _ => {
                note.lock().unwrap().push(line);
                Reply::new(204, &[], "")
            }
        }
    }));
    let office = Office { wiring: wired(&webhook(&to), office.home.path()), ..office };
    let opened = office.desk.house.now();
    for number in 0..CASES {
        office.put(&[finding(number, Severity::High, opened)]);
    }
    // Every tenth is settled while the letter about its beginning may still be on its way.
    office.write();
    for number in (0..CASES).step_by(10) {
        office.put(&[fixed(&finding(number, Severity::High, opened), office.desk.house.now())]);
    }
    office.carry();
    for _ in 0..200 {
        let tomorrow = office.desk.house.now() + Span::days(1);
        if office.desk.house.inventory().due_letters(tomorrow, (1, 1)).unwrap().is_empty() {
            break;
        }
        office.pass(1, Span::seconds(60));
    }
    let letters = office.letters();
    assert_eq!(letters.len(), (CASES + CASES / 10) as usize);
    let lost: Vec<_> = letters.iter().filter(|letter| !matches!(letter.state, Leaving::Delivered { .. })).collect();
    assert!(lost.is_empty(), "{} of them: {:?}", lost.len(), lost[0]);
    let arrived = arrived.lock().unwrap();
    let ids: BTreeSet<&str> = arrived.iter().map(|(id, ..)| id.as_str()).collect();
    let sent: BTreeSet<String> = letters.iter().map(|letter| letter.id.to_string()).collect();
    assert!(ids.iter().map(|id| (*id).to_owned()).eq(sent), "what arrived is what was written, by id");
    // Whoever drops what comes twice under one id sees each case begin, and end after that.
    let mut seen: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut met = BTreeSet::new();
    for (id, case, what) in arrived.iter().filter(|(id, ..)| met.insert(id.clone())) {
        assert!(!id.is_empty());
        seen.entry(case).or_default().push(what);
    }
    assert_eq!(seen.len(), CASES as usize);
    let whole = seen.values().filter(|what| what.as_slice() == ["provost.case.opened", "provost.case.settled"]).count();
    assert_eq!(whole, CASES as usize / 10, "order within a case");
    assert!(seen.values().filter(|what| what.len() == 1).all(|what| *what == ["provost.case.opened"]));
    assert!(arrived.len() > letters.len(), "some came twice, under their id");
}

#[test]
fn whoever_dies_between_the_try_and_its_note_leaves_it_to_the_sink_to_tell() {
    // A sink that drops what it has gets the letter again, under the same id.
    let office = Office::new("");
    let to = office.runtime.block_on(Loopback::start(|_| Reply::new(200, &[], "ok")));
    let blind = format!(
        "[[sinks]]\nname = \"chat\"\nkind = \"chat_webhook\"\nstyle = \"mattermost\"\nurl = \"env:CHAT\"\n\
         [[routes]]\nname = \"people\"\nto = \"chat\"\ngather = \"1m\"\nat_once = \"never\"\n{}",
        webhook(&to)
    );
    let config = blind.replace("env:CHAT", &format!("file:{}", office.home.path().join("chat").display()));
    std::fs::write(office.home.path().join("chat"), format!("{}/hooks/x", to.origin)).unwrap();
    let office = Office { wiring: wired(&config, office.home.path()), ..office };
    let house = &office.desk.house;
    office.put(&[finding(1, Severity::High, house.now())]);
    office.write();
    office.desk.pass(Span::seconds(61));
    office.write();
    // Both are being tried, the requests leave, and the daemon dies.
    let letters = office.letters();
    assert_eq!(letters.len(), 2);
    let begun = Draft::new(house.inventory(), house.now()).commit_tries(letters).unwrap();
    assert_eq!(begun.len(), 2);
    drop(begun);
    assert_eq!(office.states(), ["trying", "trying"]);
    office.carry();
    let mut states: Vec<_> = office.letters().iter().map(|it| (it.sink.clone(), it.state.word(), it.tries)).collect();
    states.sort();
    // The blind one is not sent again, and the next message says so.
    assert_eq!(states, [("chat".to_owned(), "uncertain", 1), ("hook".to_owned(), "delivered", 2)]);
    assert_eq!(to.asked().len(), 1);
    office.desk.pass(Span::seconds(61));
    office.carry();
    let asked = to.asked();
    let message = asked.last().unwrap();
    assert_eq!(message.target, "/hooks/x");
    let lost = office.letters().into_iter().find(|it| matches!(it.state, Leaving::Uncertain { .. })).unwrap();
    assert!(
        message.body.contains("1 earlier message") && message.body.contains(&lost.id.to_string()),
        "{}",
        message.body
    );
    // An operator who knows that it did not arrive has it sent all the same.
    again(house, &lost, (Leaving::Waits, 1000)).unwrap();
    office.carry();
    assert!(office.letters().iter().all(|it| matches!(it.state, Leaving::Delivered { .. })));
    let kinds = office.evidence();
    for kind in ["decision.standing", "letter.uncertain", "letter.sent_again", "letter.delivered"] {
        assert!(kinds.iter().any(|it| it == kind), "{kind}: {kinds:?}");
    }
}

#[test]
fn nothing_is_told_that_nobody_enabled_and_a_route_that_is_taken_away_tells_no_more() {
    let office = Office::new("");
    let to = office.runtime.block_on(Loopback::start(|_| Reply::new(204, &[], "")));
    office.put(&[finding(1, Severity::High, office.desk.house.now())]);
    office.carry();
    assert!(office.letters().is_empty(), "no route, no letter");
    let mut office = Office { wiring: wired(&webhook(&to), office.home.path()), ..office };
    // What stood before the route was there is told by it too.
    office.write();
    assert_eq!(office.states(), ["waits"]);
    let standing = office.desk.house.inventory().standing("all").unwrap().unwrap();
    assert_eq!(standing.by, "the configuration's defaults", "nobody's file");
    // It is taken away before the letter left.
    let without = webhook(&to).split("[[routes]]").next().unwrap().to_owned();
    office.reconfigure(&without);
    office.carry();
    assert_eq!((office.states(), to.asked().len()), (vec!["dead"], 0));
    assert!(office.desk.house.inventory().standing("all").unwrap().is_none());
    // It is there again: what was given up is sent once somebody says so.
    office.reconfigure(&webhook(&to));
    office.carry();
    assert_eq!(to.asked().len(), 0, "it was told of: nothing is new");
    let dead = office.letters().remove(0);
    again(&office.desk.house, &dead, (Leaving::Waits, 1000)).unwrap();
    office.carry();
    assert_eq!((office.states(), to.asked().len()), (vec!["delivered"], 1));
    assert!(office.evidence().iter().any(|kind| kind == "decision.standing_over"));

    // What the log says of the end of evidence finds a tail that was cut.
    let mut vouched = Vouched::default();
    let checkpoints = vouched.grown(&office.desk.house, &office.wiring).unwrap();
    assert_eq!(checkpoints.iter().map(|it| it.writer.as_str()).collect::<Vec<_>>(), ["telling"]);
    assert!(vouched.grown(&office.desk.house, &office.wiring).unwrap().is_empty(), "once");
    let mut lines = Vec::new();
    let inventory = office.desk.house.inventory();
    inventory
        .each_exhibit(&mut |exhibit| {
            lines.push(serde_json::to_vec(&exhibit).unwrap());
            Ok(Go::On)
        })
        .unwrap();
    let holds = |lines: &[Vec<u8>]| {
        let mut verifier = Verifier::default();
        verifier.expect(&serde_json::to_vec(&serde_json::json!({ "checkpoint": checkpoints[0] })).unwrap()).unwrap();
        lines.iter().all(|line| verifier.take(line)) && verifier.report(&[]).holds
    };
    assert!(holds(&lines) && !holds(&lines[..lines.len() - 1]));
}

#[test]
fn four_hundred_findings_are_one_message_and_the_beginning_of_a_source_is_no_news() {
    let office = Office::new("");
    let to = office.runtime.block_on(Loopback::start(|_| Reply::new(200, &[], "ok")));
    std::fs::write(office.home.path().join("chat"), format!("{}/hooks/x", to.origin)).unwrap();
    let chat = office.home.path().join("chat");
    let config = format!(
        "[[sinks]]\nname = \"chat\"\nkind = \"chat_webhook\"\nstyle = \"mattermost\"\nurl = \"file:{}\"\n\
         [[sources]]\nname = \"source-7\"\nconnector = \"host\"\nroots = [\"/nowhere\"]\n\
         [[routes]]\nname = \"people\"\nto = \"chat\"\ngather = \"5m\"\n{}",
        chat.display(),
        webhook(&to)
    );
    let office = Office { wiring: wired(&config, office.home.path()), ..office };
    let house = &office.desk.house;
    let messages = || -> Vec<String> {
        let asked = to.asked();
        asked
            .iter()
            .filter(|it| it.target == "/hooks/x")
            .map(|it| said(it)["text"].as_str().unwrap().to_owned())
            .collect()
    };
    // The first complete run of a source found one that is high.
    let begun = Finding { baseline: true, ..finding(7, Severity::High, house.now()) };
    office.put(&[begun]);
    let mut draft = Draft::new(house.inventory(), house.now());
    let mut row = draft.source("source-7").unwrap();
    row.baseline = BaselineState::Taken;
    draft.put_source("source-7", &row).unwrap();
    draft.commit().unwrap();
    for number in 100..500 {
        office.put(&[finding(number, Severity::Medium, house.now())]);
    }
    office.carry();
    assert_eq!(messages().len(), 0, "it is gathered");
    office.desk.pass(Span::seconds(301));
    office.carry();
    let all = messages();
    assert_eq!(all.len(), 1);
    assert!(
        all[0].starts_with("**400 medium cases new; 1 case found by the first complete run of source-7**"),
        "{}",
        all[0]
    );
    assert!(all[0].contains("380 more cases"), "{}", all[0]);
    let hooks = to.asked().iter().filter(|it| it.target == "/in").count();
    assert_eq!(hooks, 400, "no letter about the beginning");
    // A critical one does not wait, and once told it is told how it ends.
    let worst = finding(1, Severity::Critical, house.now());
    office.put(std::slice::from_ref(&worst));
    office.carry();
    assert_eq!(messages().len(), 2);
    assert!(messages()[1].starts_with("**1 critical case new**"), "{}", messages()[1]);
    // Its deadline of a day passes.
    office.pass(25, Span::hours(1));
    let overdue = messages();
    assert!(overdue[2].starts_with("**1 critical case overdue**"), "{overdue:?}");
    office.put(&[fixed(&worst, house.now())]);
    office.carry();
    office.desk.pass(Span::seconds(301));
    office.carry();
    let settled = messages();
    assert_eq!(settled.len(), 4, "the others are due in thirty days: {settled:?}");
    assert!(
        settled[3].contains("1 critical case settled") && settled[3].contains("as a later look proved"),
        "{settled:?}"
    );
}

#[test]
fn cases_go_to_whom_they_concern_and_the_rest_to_whom_it_is_left() {
    let office = Office::new("");
    let to = office.runtime.block_on(Loopback::start(|_| Reply::new(204, &[], "")));
    let sink = |name: &str| {
        format!(
            "[[sinks]]\nname = \"{name}\"\nkind = \"webhook\"\nurl = \"{}/{name}\"\nsecret = \"env:SECRET\"\n",
            to.origin
        )
    };
    let config = format!(
        "{}{}{}[[routes]]\nname = \"bad\"\nto = \"bad\"\nseverity = \"high\"\nowned = true\n\
         [[routes]]\nname = \"nobody\"\nto = \"nobody\"\nowned = false\nseverity = \"high\"\n\
         [[routes]]\nname = \"rest\"\nto = \"rest\"\nrest = true\n\
         [[routes]]\nname = \"dry\"\nto = \"rest\"\ndry_run = true\n",
        sink("bad"),
        sink("nobody"),
        sink("rest")
    );
    // The last one takes everything, and so leaves no rest.
    let config =
        config.replace("name = \"dry\"\nto = \"rest\"\n", "name = \"dry\"\nto = \"rest\"\nseverity = \"critical\"\n");
    let office = Office { wiring: wired(&config, office.home.path()), ..office };
    let now = office.desk.house.now();
    office.put(&[finding(1, Severity::High, now)]);
    office.put(&[finding(2, Severity::Low, now)]);
    office.put(&[finding(3, Severity::Critical, now)]);
    office.carry();
    let mut targets: Vec<String> = to.targets();
    targets.sort();
    assert_eq!(targets, ["/nobody", "/nobody", "/rest"]);
    let dry: Vec<_> = office.letters().into_iter().filter(|it| it.route == "dry").collect();
    assert!(
        matches!(dry.as_slice(), [one] if one.state.word() == "dropped" && one.said.as_deref() == Some("dry run: not sent"))
    );
    // A case that becomes worse is told of where it was told of, whatever route it would go by now.
    office.put(&[finding(2, Severity::High, now)]);
    office.carry();
    let mut later = to.targets().split_off(3);
    later.sort();
    assert_eq!(later, ["/nobody", "/rest"]);
}

#[test]
fn a_database_that_goes_away_in_the_middle_loses_no_letter_and_sends_none_twice() {
    for lost in 1..=12 {
        let office = Office::new("");
        let to = office.runtime.block_on(Loopback::start(|_| Reply::new(204, &[], "")));
        let store = Arc::new(Shared::new());
        let office = Office { wiring: wired(&webhook(&to), office.home.path()), ..office }.over(store.clone());
        let opened = office.desk.house.now();
        for number in 0..5 {
            office.put(&[finding(number, Severity::High, opened)]);
        }
        // From now on every so manieth answer is lost: the batch was taken, and nobody heard so.
        let losing = Arc::downgrade(&store);
        let from = store.batches.load(std::sync::atomic::Ordering::SeqCst);
        store.before_each(move |batch, place| match losing.upgrade() {
            Some(store) if (place - from) % 13 == lost => store.lose_answer(batch),
            _ => Ok::<(), StoreError>(()),
        });
        office.carry();
        office.put(&[fixed(&finding(0, Severity::High, opened), office.desk.house.now())]);
        office.carry();
        let ids: Vec<String> = to.asked().iter().map(|it| it.header("webhook-id").to_owned()).collect();
        let letters = office.letters();
        assert!(letters.iter().all(|it| matches!(it.state, Leaving::Delivered { .. })), "{lost}: {letters:?}");
        assert_eq!((ids.len(), ids.iter().collect::<BTreeSet<_>>().len(), letters.len()), (6, 6, 6), "{lost}");
        let kinds = office.evidence();
        let count = |kind: &str| kinds.iter().filter(|it| *it == kind).count();
        assert_eq!((count("decision.standing"), count("letter.delivered")), (1, 6), "{lost}: {kinds:?}");
    }
}

#[test]
fn a_letter_that_arrived_is_forgotten_after_its_time_though_its_sink_is_not_there_any_more() {
    let office = Office::new("");
    let to = office.runtime.block_on(Loopback::start(|_| Reply::new(204, &[], "")));
    let mut office = Office { wiring: wired(&webhook(&to), office.home.path()), ..office };
    office.put(&[finding(1, Severity::High, office.desk.house.now())]);
    office.carry();
    assert_eq!(office.states(), ["delivered"]);
    office.reconfigure("");
    office.carry();
    assert_eq!(office.states(), ["delivered"]);
    office.pass(1, Span::days(91));
    assert_eq!(office.states(), [""; 0]);
    assert!(!office.evidence().iter().any(|kind| kind == "letter.dead"), "it did arrive");
}
