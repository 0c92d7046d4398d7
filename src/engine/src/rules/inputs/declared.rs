//! Inputs one by one, without chance: a figure or a neighbour's attribute that moves a verdict is declared.
//! It must never be compiled into the program.

use std::collections::BTreeSet;

use provost_model::{Attr, Kind, Reading, Record, Span, Status, Time, field};

use super::*;
use crate::{
    rules::{
        Subject,
        sample::{NOW, Sample, ago, key, record},
    },
    thresholds::{Limits, Thresholds},
};

const AGES: [i64; 8] = [1, 3, 10, 20, 50, 120, 250, 800];

/// Things of a kind that are as old, as long unused, switched off or expired as a figure in days may be about.
fn things(kind: Kind) -> Vec<Record> {
    let mut all = Vec::new();
    for age in AGES {
        let made = || {
            record(kind)
                .with(field::CREATED_AT, ago(age))
                .with(field::USAGE_SINCE, ago(age))
                .with(field::EXPIRES_AT, Reading::NotReported)
        };
        let active = || made().with(field::STATUS, Status::Active);
        let kinds: Vec<Sample> = vec![
            active().with(field::LAST_USED_AT, Reading::Never),
            active().with(field::LAST_USED_AT, ago(age / 2)),
            active().with(field::LAST_USED_AT, Reading::NotReported),
            active().with(field::EXPIRES_AT, Reading::Never).of("AIDA1"),
            active().with(field::EXPIRES_AT, NOW + Span::days(age)).with(field::LAST_USED_AT, ago(age)),
            active().with(field::EXPIRES_AT, ago(age)),
            made().with(field::STATUS, Status::Inactive).with(field::ROTATED_AT, ago(age)).told(ago(age)),
            active().with(field::ADMIN, true).with(field::ENVIRONMENT, "prod".to_owned()),
        ];
        all.extend(kinds.into_iter().map(Sample::build));
    }
    all
}

#[test]
fn a_figure_that_moves_a_verdict_moves_the_digest_of_its_rule() {
    let all = serde_json::to_value(Limits::default()).unwrap();
    let names = all.as_object().unwrap().keys().filter(|it| it.ends_with("_days") && *it != "expiring_days");
    let other = |(name, days): (&String, u32)| {
        let limits: Limits = serde_json::from_value(serde_json::json!({ name: days })).unwrap();
        (name.clone(), Thresholds::default().with(&limits))
    };
    let others: Vec<(String, Thresholds)> = names.flat_map(|name| [(name, 0), (name, 3000)]).map(other).collect();
    let usual = Thresholds::default();
    let mut moved = BTreeSet::new();
    let sibling = key().id(8).named("AKIA2").with(field::CREATED_AT, ago(30)).build();
    for kind in (0..=u8::MAX).map_while(Kind::from_code) {
        for record in things(kind) {
            let siblings = std::slice::from_ref(&sibling);
            let subject = Subject { siblings, credentials: siblings, ..Subject::alone(&record) };
            for rule in Rule::about(kind) {
                let verdict = rule.of_record(&subject, &usual, NOW);
                let moving = others.iter().filter(|(_, other)| rule.of_record(&subject, other, NOW) != verdict);
                for (name, other) in moving {
                    moved.insert((rule.id, name.clone()));
                    assert_ne!(usual.digest_of(rule.id), other.digest_of(rule.id), "{} reads {name}", rule.id);
                }
            }
        }
    }
    // Had nothing moved, nothing would have been looked at.
    for (rule, figure) in
        [("CRED-AGE", "age_key_days"), ("CRED-MULTI-ACTIVE", "overlap_days"), ("ID-IDLE", "idle_role_days")]
    {
        assert!(moved.contains(&(rule, figure.to_owned())), "{rule} {figure}: {moved:?}");
    }
}

#[test]
fn when_a_sibling_was_made_is_news_for_whoever_is_older() {
    let rule = Rule::of_id("CRED-MULTI-ACTIVE").unwrap();
    let old = key().with(field::CREATED_AT, ago(400)).build();
    let sibling = |attr: Attr<Time>, at: Time| {
        let bare = key().id(8).named("AKIA2").with(field::CREATED_AT, Reading::NotCollected);
        bare.with(attr, at).build()
    };
    for attr in [field::CREATED_AT, field::ROTATED_AT, field::ISSUED_AT] {
        let (before, after) = (sibling(attr, ago(3)), sibling(attr, ago(100)));
        let word = |sibling: &Record| {
            let siblings = std::slice::from_ref(sibling);
            rule.of_record(&Subject { siblings, ..Subject::alone(&old) }, &Thresholds::default(), NOW).word()
        };
        assert_eq!((word(&before), word(&after)), ("pass", "fail"), "{:?}", attr.field());
        let news = News::between(Some(&before), &after);
        assert!(rule.concerned(Relation::Sibling, &news), "{:?}", attr.field());
        assert!(concerned(Kind::AccessKey, Relation::Sibling, &news), "{:?}", attr.field());
    }
    let (before, after) = (key().id(8).build(), key().id(8).with(field::DESCRIPTION, "x".to_owned()).build());
    assert!(!concerned(Kind::AccessKey, Relation::Sibling, &News::between(Some(&before), &after)));
}

#[test]
fn the_same_by_anothers_word_is_news_for_whoever_asks_how_fresh_it_is() {
    let rule = Rule::of_id("ID-IDLE").unwrap();
    let retold = |attr: Attr<Time>| {
        let before = record(Kind::AccessKey).with(field::CREATED_AT, Reading::NotCollected).with(attr, ago(3)).build();
        let mut after = before.clone();
        after.statements.iter_mut().for_each(|said| said.scope = ScopeNo(99));
        let news = News::between(Some(&before), &after);
        assert!(news.fields.is_empty() && news.spoken && !news.whole && !news.named, "{news:?}");
        news
    };
    let (used, touched) = (retold(field::LAST_USED_AT), retold(field::MODIFIED_AT));
    assert!(rule.concerned(Relation::Credential, &used) && !rule.concerned(Relation::Credential, &touched));
    assert!(rule.concerned(Relation::Itself, &used) && rule.concerned(Relation::Itself, &touched));
}
