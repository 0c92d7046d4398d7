//! How many records a source sees: each counted once, however many scopes see it, and whatever becomes of it.

use provost_store::{Batch, Op, Table};

use super::script::{Act, Desk};

/// A run in which one scope lists these users completely, and another those.
fn seen(users: &[&'static str], report: &[&'static str]) -> Vec<Act> {
    let mut acts = vec![Act::Realm("123456789012")];
    for (scope, names) in [("users", users), ("report", report)] {
        acts.push(Act::Begin(scope));
        acts.extend(names.iter().map(|name| Act::User(scope, name)));
        acts.push(Act::Atomic(scope));
    }
    acts
}

fn counted(desk: &Desk) -> u64 {
    desk.house.inventory().records_of("test").unwrap()
}

#[test]
fn a_record_that_two_scopes_see_counts_once() {
    let desk = Desk::new();
    assert_eq!(counted(&desk), 0);
    desk.run(&seen(&["a", "b", "c"], &["a", "b"]));
    assert_eq!(counted(&desk), 3);
    let statements: u64 = desk.house.inventory().scopes(Some("test")).unwrap().iter().map(|row| row.present).sum();
    assert_eq!(statements, 5, "or the test shows nothing");
    desk.run(&seen(&["a", "b", "c"], &["a", "d"]));
    assert_eq!(counted(&desk), 4, "one more, and b is still in the list of users");
    desk.run(&seen(&["a", "c"], &["a", "d"]));
    assert_eq!(counted(&desk), 3, "b is in neither");
    desk.run(&seen(&["a", "b", "c"], &["a", "d"]));
    assert_eq!(counted(&desk), 4, "and back");
    assert_eq!(desk.house.inventory().records_of("another").unwrap(), 0);
}

#[test]
fn a_store_without_the_counter_is_counted_and_goes_on_from_there() {
    let desk = Desk::new();
    desk.run(&seen(&["a", "b", "c"], &["a", "b"]));
    let meta = Table { name: "meta", versioned: false };
    let lose = Op::Delete { table: meta, key: b"records_of\0test\0".to_vec() };
    desk.house.store().commit(Batch { at: desk.house.now(), ops: vec![lose], ..Batch::default() }).unwrap();
    assert_eq!(counted(&desk), 3);
    desk.run(&seen(&["a", "b", "c"], &["a", "d"]));
    assert_eq!(counted(&desk), 4);
}
