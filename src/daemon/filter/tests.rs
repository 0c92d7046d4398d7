//! What expressions mean, row by row.
//! It must never measure time.

use provost_model::{Facts, Kind, Reading, Severity, Status, Time, field};

use super::*;
use crate::{
    output::{FindingRow, finding::samples::finding, inventory::samples},
    rows::Candidate,
};

fn row(name: &str, facts: Facts) -> Candidate {
    let mut candidate = samples::candidate(name);
    candidate.record.statements[0].facts = facts.with(field::NAME, name.to_owned());
    candidate
}

/// Of these rows: which are kept, and what is said of those left out.
fn kept(source: &str, rows: Vec<Candidate>) -> (Vec<String>, String) {
    let filter = Filter::compile::<Candidate>(source).unwrap_or_else(|error| panic!("{source}: {error}"));
    let (rows, left_out) =
        filter.keep(rows, samples::NOW, DEADLINE).unwrap_or_else(|error| panic!("{source}: {error}"));
    let said = if left_out.rows() == 0 { String::new() } else { left_out.to_string() };
    (rows.into_iter().map(|it| it.record.name()).collect(), said)
}

fn fault(source: &str) -> String {
    match Filter::compile::<Candidate>(source) {
        Err(error) => error.to_string(),
        Ok(filter) => filter.keep(vec![samples::candidate("a")], samples::NOW, DEADLINE).unwrap_err().to_string(),
    }
}

#[test]
fn an_expression_keeps_refuses_or_leaves_out() {
    // The sample: an access key of aws-prod, 267 days old, never used, expiry not reported, owner payments.
    let table = [
        ("kind == \"access_key\" && age_days > 90", "kept"),
        ("kind == \"access_key\" && age_days > 300", "refused"),
        ("last_used_at < timestamp(\"2030-01-01T00:00:00Z\")", "unknown last_used_at (never: 1)"),
        ("!(last_used_at < timestamp(\"2030-01-01T00:00:00Z\"))", "unknown last_used_at (never: 1)"),
        ("idle_days > 90", "unknown idle_days (never: 1)"),
        ("reading(last_used_at) == \"never\"", "kept"),
        ("reading(attributes.last_used_at) == \"never\"", "kept"),
        ("reading(expires_at) == \"not_reported\"", "kept"),
        ("reading(description) == \"not_permitted\"", "kept"),
        ("reading(bits) == \"not_collected\"", "kept"),
        ("known(last_used_at)", "refused"),
        ("known(last_used_at) && idle_days > 90", "refused"),
        ("!known(last_used_at) || idle_days > 90", "kept"),
        ("has(attributes.mfa)", "kept"),
        ("has(attributes.bits)", "refused"),
        ("attributes.mfa == false", "kept"),
        ("mfa", "refused"),
        ("expires_at > timestamp(\"2026-10-01T00:00:00Z\") || status == \"active\"", "kept"),
        ("status == \"active\" || expires_at > timestamp(\"2026-10-01T00:00:00Z\")", "kept"),
        ("expires_at > timestamp(\"2026-10-01T00:00:00Z\") && status == \"inactive\"", "refused"),
        (
            "status == \"active\" && expires_at > timestamp(\"2026-10-01T00:00:00Z\")",
            "unknown expires_at (not reported: 1)",
        ),
        ("bits < 2048", "unknown bits (not collected: 1)"),
        ("\"aws-prod\" in source", "kept"),
        ("source.exists(it, it.startsWith(\"aws\"))", "kept"),
        ("tools.exists(p, p.endsWith(\":*\"))", "kept"),
        ("groups.exists(g, g == \"admins\")", "unknown groups (not collected: 1)"),
        ("tags.team == \"payments\"", "kept"),
        ("tags[\"team\"] == \"payments\"", "kept"),
        ("tags.env == \"prod\"", "unknown env (absent: 1)"),
        ("has(tags.env) && tags.env == \"prod\"", "refused"),
        ("\"team\" in tags", "kept"),
        ("identity == null", "kept"),
        ("identity < \"a\"", "unknown identity (absent: 1)"),
        ("known(owner) && owner == \"payments\"", "kept"),
        ("owner in [\"payments\", \"core\"]", "kept"),
        ("name.contains(\"ploy\") && external_id.startsWith(\"AKIA\")", "kept"),
        ("created_at < timestamp(\"2026-06-01T00:00:00Z\")", "kept"),
        ("created_at + duration(\"8000h\") < timestamp(\"2026-06-01T00:00:00Z\")", "refused"),
        ("first_seen <= last_seen", "kept"),
        ("age_days > 90.5", "kept"),
        ("presence in [\"present\", \"missing\"]", "kept"),
    ];
    for (source, expected) in table {
        let (rows, said) = kept(source, vec![samples::candidate("deploy")]);
        let found = match (rows.len(), said.as_str()) {
            (1, "") => "kept",
            (0, "") => "refused",
            (_, said) => said.strip_prefix("1 row left out: ").unwrap(),
        };
        assert_eq!(found, expected, "{source}");
    }
}

#[test]
fn rows_left_out_are_counted_by_what_is_unknown() {
    let bits = |bits: Reading<i64>| Facts::new().with(field::BITS, bits);
    let rows = vec![
        row("short", bits(Reading::Known(1024))),
        row("long", bits(Reading::Known(4096))),
        row("denied", bits(Reading::NotPermitted)),
        row("later", bits(Reading::NotCollected)),
        row("later too", Facts::new()),
    ];
    let (kept, said) = kept("bits < 2048", rows);
    assert_eq!(kept, ["short"]);
    assert_eq!(said, "3 rows left out: unknown bits (not collected: 2), bits (not permitted: 1)");
}

#[test]
fn faults_are_pointed_at() {
    let all = [
        "last_usd_at == null && kind == \"user\"",
        "kind == \"acces_key\"",
        "\"gonne\" == presence",
        "source == \"aws-prod\"",
        "created_at < \"2026-01-01\"",
        "reading(\"last_used_at\") == \"never\"",
        "attributes.mfaa",
        "attributes == null",
        "kind == ",
        "age_days",
        "name > 3",
        "nonsense(name)",
        "zzz",
        "source.all(a, source.all(b, source.all(c, true)))",
    ];
    let said: String = all.iter().map(|source| format!("{}\n\n", fault(source))).collect();
    insta::assert_snapshot!(said, @r#"
    there is no field "last_usd_at"; did you mean "last_used_at"?
      last_usd_at == null && kind == "user"
      ^^^^^^^^^^^

    kind is never "acces_key"; did you mean "access_key"?
      kind == "acces_key"
               ^^^^^^^^^

    presence is never "gonne"; did you mean "gone"?
      "gonne" == presence
       ^^^^^

    source is a list; write "aws-prod" in source
      source == "aws-prod"
      ^^^^^^

    created_at is an instant; compare it with timestamp("2026-10-01T00:00:00Z")
      created_at < "2026-01-01"
      ^^^^^^^^^^

    reading() takes the name of one field, as in reading(last_used_at)
      reading("last_used_at") == "never"
      ^^^^^^^

    there is no field "mfaa"; did you mean "mfa"?
      attributes.mfaa
                 ^^^^

    attributes is used as attributes.NAME, or simply NAME
      attributes == null
      ^^^^^^^^^^

    the expression cannot be parsed: something is missing at the end
      kind == 
              ^

    the expression gives a value of type int, not true or false
      age_days
      ^^^^^^^^

    > cannot be applied to string and int

    there is no function "nonsense"

    there is no field "zzz"
      zzz
      ^^^

    all, exists, map and filter nest more than 2 deep
    "#);
}

#[test]
fn hostile_expressions_end_in_an_error_or_an_answer() {
    let chains = [
        "(".repeat(2000),
        "[".repeat(4000),
        "!".repeat(4000),
        format!("{}true", "!".repeat(4000)),
        format!("{}1", "-".repeat(4000)),
        format!("{}1 == 1", "1+".repeat(2000)),
        format!("tags{}", ".a".repeat(2000)),
        format!("tags{}", "[0]".repeat(1300)),
        format!("{}true", "true?true:".repeat(400)),
        format!("{}true", "true&&".repeat(600)),
        format!("true{}", "==true".repeat(600)),
        format!("name{}", ".size()".repeat(500)),
        "\"".repeat(4000),
        "'''".repeat(1000),
        "\u{0}\u{202e}".to_owned(),
        "{".repeat(24),
    ];
    for source in chains {
        if let Ok(filter) = Filter::compile::<Candidate>(&source) {
            let _ = filter.keep(vec![samples::candidate("a")], samples::NOW, DEADLINE);
        }
    }
}

#[test]
fn no_time_left_is_an_error_not_a_shorter_list() {
    let filter = Filter::compile::<Candidate>("true").unwrap();
    let nothing_left = std::time::Duration::ZERO;
    assert!(filter.keep(vec![samples::candidate("a")], samples::NOW, nothing_left).is_err());
}

#[test]
fn only_what_is_asked_for_is_looked_up() {
    let filter = Filter::compile::<Candidate>("tags.exists(name, name == \"x\") || reading(mfa) == \"known\"").unwrap();
    let names: Vec<&str> = filter.wanted.iter().map(|wanted| wanted.bound.as_str()).collect();
    assert_eq!(names, ["tags", "reading@mfa"]);
}

#[test]
fn times_of_any_size_are_comparable() {
    for micros in [i64::MIN, -1, 0, 1, i64::MAX] {
        let mut row = samples::candidate("a");
        row.record.first_seen = Time::from_micros(micros);
        let (rows, said) = kept("first_seen <= timestamp(\"9999-12-31T23:59:59Z\")", vec![row]);
        assert_eq!((rows.len(), said.as_str()), (1, ""), "{micros}");
    }
}

#[test]
fn findings_answer_by_their_own_names() {
    let rows = vec![
        FindingRow::from(&finding("CRED-STALE", Severity::High)),
        FindingRow::from(&finding("OWN-NONE", Severity::Low)),
    ];
    let filter = Filter::compile::<FindingRow>(
        "severity in [\"high\", \"critical\"] && rule.startsWith(\"CRED-\") && state == \"open\" && resolved_at == null \
         && frameworks.owasp_nhi.exists(id, id == \"NHI1\") && age_days == 4",
    );
    let (kept, left_out) = filter.unwrap().keep(rows, samples::NOW, DEADLINE).unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(left_out.rows(), 0);
    assert!(Filter::compile::<FindingRow>("kind == \"user\"").is_err());
}

#[test]
fn the_sample_is_what_the_table_says() {
    let sample = samples::candidate("a").record;
    assert_eq!((sample.kind, sample.status(samples::NOW)), (Kind::AccessKey, Status::Active));
}

#[test]
fn kinds_that_an_expression_cannot_keep_are_known_beforehand() {
    let kept = |source: &str| -> Vec<&str> {
        let filter = Filter::compile::<Candidate>(source).unwrap_or_else(|error| panic!("{source}: {error}"));
        let may = Kind::ALL.iter().filter(|kind| filter.may_keep(**kind)).map(|kind| kind.name()).collect::<Vec<_>>();
        if may.len() == Kind::ALL.len() { vec!["all"] } else { may }
    };
    let table: [(&str, &[&str]); 10] = [
        ("kind == 'user'", &["user"]),
        ("'user' == kind && tags.zone == 'eu'", &["user"]),
        ("(status == 'active' && kind == 'user') && idle_days > 3", &["user"]),
        ("kind in ['user', 'role'] && age_days > 3", &["user", "role"]),
        ("kind in ['user', 'role'] && kind == 'role'", &["role"]),
        ("kind == 'user' && kind == 'role'", &[]),
        ("kind == 'user' || age_days > 3", &["all"]),
        ("!(kind == 'user')", &["all"]),
        ("kind != 'user' && age_days > 3", &["all"]),
        ("kind in [name] && age_days > 3", &["all"]),
    ];
    for (source, expected) in table {
        assert_eq!(kept(source), expected, "{source}");
    }
}
