//! Letters as text: what people read, and what no text from outside can do to it.
//! It must never know how a dialect escapes, only what came of it.

use provost_model::door::{corpus::HOSTILE, is_hidden};

use super::*;

const ALL: [Dialect; 4] = [Dialect::Plain, Dialect::Slack, Dialect::Markdown, Dialect::Html];

fn hostile(text: &str) -> Letter {
    let mut letter = sample();
    for case in &mut letter.cases {
        (case.name, case.external_id) = (text.to_owned(), text.to_owned());
        case.owner = Some(text.to_owned());
        case.sources = vec![text.to_owned()];
        case.faults.iter_mut().for_each(|fault| fault.because = text.to_owned());
    }
    letter
}

#[test]
fn a_message_says_who_owns_it_what_is_wrong_why_it_matters_what_to_do_by_when_and_one_link() {
    let words = Wording::new(Dialect::Plain, None).unwrap();
    let mut letter = sample();
    (letter.baselines, letter.uncertain) = (Vec::new(), Vec::new());
    assert_eq!(
        words.words(&letter).unwrap(),
        "1 high case new\n\
         \n\
         high, new: access key AKIAIOSFODNN7EXAMPLE in aws-prod\n\
         Wrong: not used for a long time (CRED-STALE): last used 2026-05-03, 210 days ago; limit 45\n\
         Why it matters: A key nobody uses is a door nobody watches.\n\
         What to do (disable): Disable it, wait, then delete it.\n\
         Owner: payments\n\
         Due: Sun 2026-12-06 13:00 UTC, in 7 days\n\
         Decide: provost cases show 01234567"
    );
    let slack = Wording::new(Dialect::Slack, None).unwrap().words(&letter).unwrap();
    assert!(
        slack.starts_with("*1 high case new*\n\n*high*, new: access key `AKIAIOSFODNN7EXAMPLE` in `aws-prod`\n"),
        "{slack}"
    );
    letter.cases[0].owner = None;
    letter.cases[0].due = None;
    let unowned = words.words(&letter).unwrap();
    assert!(unowned.contains("Owner: nobody yet: say who\nDue: no deadline\n"), "{unowned}");
    letter.cases[0].event = crate::Event::Settled;
    letter.counts[0].event = crate::Event::Settled;
    let settled = words.words(&letter).unwrap();
    assert!(settled.starts_with("1 high case settled\n"), "{settled}");
    let proven =
        "in aws-prod\nNothing of it stands any more, as a later look proved; it was: not used for a long time.\nDecide";
    assert!(settled.contains(proven), "{settled}");
    letter.cases[0].stage = "accepted".into();
    let accepted = words.words(&letter).unwrap();
    assert!(
        accepted.contains("in aws-prod\nThe risk was accepted until a date; it comes back by itself; it was: not"),
        "{accepted}"
    );
}

#[test]
fn a_digest_counts_what_it_leaves_out_and_says_what_may_be_missing() {
    let words = Wording::new(Dialect::Plain, None).unwrap();
    let mut letter = sample();
    letter.counts[0].cases = 400;
    let text = words.words(&letter).unwrap();
    assert!(text.starts_with("400 high cases new; 3 cases found by the first complete run of aws-prod; 1 earlier message may be missing\n"), "{text}");
    assert!(
        text.contains("The first complete run of aws-prod found 3 high. Nothing of it has a deadline yet"),
        "{text}"
    );
    assert!(text.contains("To have it worked off: provost baseline work aws-prod\n"), "{text}");
    assert!(text.contains("1 earlier message got no clear answer and may be missing: 01234567-89ab-"), "{text}");
    assert!(text.ends_with("399 more cases. Everything: provost cases list"), "{text}");
}

#[test]
fn nothing_from_outside_formats_links_or_mentions() {
    for (text, tries) in HOSTILE {
        let letter = hostile(text);
        for dialect in ALL {
            let words = Wording::new(dialect, None).unwrap().words(&letter).unwrap();
            assert!(!words.chars().any(|it| it != '\n' && is_hidden(it)), "{tries}: {words:?}");
            // What is not in code, or not escaped, is the same whatever the text from outside is.
            let outside_of_code: String = match dialect {
                Dialect::Slack | Dialect::Markdown => words.split('`').step_by(2).collect(),
                Dialect::Plain => continue,
                Dialect::Html => words.replace("<b>", "").replace("</b>", "").replace("<br>", ""),
            };
            assert!(!outside_of_code.contains(['<', '>', '@']) || dialect == Dialect::Html, "{tries}: {words:?}");
            if dialect == Dialect::Html {
                assert!(!outside_of_code.contains(['<', '>', '"', '\'']), "{tries}: {words:?}");
            } else {
                let plain = Wording::new(dialect, None).unwrap().words(&hostile("x")).unwrap();
                assert_eq!(outside_of_code, plain.split('`').step_by(2).collect::<String>(), "{tries}");
            }
        }
    }
}

#[test]
fn an_operator_s_template_escapes_too_and_a_wrong_one_is_refused_with_its_line() {
    let own = "{{ title }}\n{% for case in cases %}{{ case.owner }} {{ bold(case.name) }}{% endfor %}";
    let words = Wording::new(Dialect::Slack, Some(own)).unwrap().words(&hostile("<!channel>")).unwrap();
    assert!(words.ends_with("`&lt;!channel&gt;` *`&lt;!channel&gt;`*"), "{words}");
    for (template, line, said) in [
        ("a\n{{ case }}", Some(2), "undefined"),
        ("{% for x in %}", Some(1), "syntax error"),
        ("a\n\n{% include \"/etc/passwd\" %}", Some(3), ""),
        ("{{ id | safe }}", Some(1), "filter"),
        ("{% for a in range(9) %}{% endfor %}", Some(1), "function"),
    ] {
        let error = Wording::new(Dialect::Plain, Some(template)).unwrap_err();
        assert_eq!(error.line, line, "{template}: {error}");
        assert!(error.to_string().contains(said), "{template}: {error}");
    }
    assert!(Wording::new(Dialect::Plain, Some(&"x".repeat(TEMPLATE_MAX + 1))).is_err());
    let nested = "{% for a in cases %}".repeat(300) + "x" + &"{% endfor %}".repeat(300);
    assert!(Wording::new(Dialect::Plain, Some(&nested)).is_err(), "nesting has a bound");
}

#[test]
fn a_text_is_bounded_and_cut_between_lines() {
    let mut letter = sample();
    letter.cases = vec![letter.cases[0].clone(); 400];
    for dialect in ALL {
        let words = Wording::new(dialect, None).unwrap().words(&letter).unwrap();
        assert!(words.len() <= TEXT_MAX + 8 && words.ends_with("\n…"), "{}", words.len());
    }
}
