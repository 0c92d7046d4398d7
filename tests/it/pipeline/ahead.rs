//! What a run looks up before it takes events in: the events of one batch together, whatever each of them is about.
//! It must never cost a question for each thing.

use std::sync::Arc;

use provost_model::Kind;
use provost_store::Space;

use super::{
    script::{Act, Desk},
    shared::Shared,
};

#[test]
fn what_many_parts_speak_of_is_looked_up_together() {
    let ids: Vec<&'static str> = (0..100).map(|number| &*format!("key-{number}").leak()).collect();
    let mut acts = vec![Act::Realm("123456789012"), Act::Begin("keys")];
    for id in &ids {
        acts.extend([Act::Key("keys", Some(id), id, "ann"), Act::PartFull("keys", id)]);
    }
    acts.push(Act::Full("keys"));
    for is_shared in [true, false] {
        let store = Arc::new(Shared::new());
        let space = Space { free: 1 << 40, total: 1 << 40, used: 0 };
        *store.disk.lock().unwrap() = (!is_shared).then_some((space, 0));
        let desk = Desk::over(Arc::<Shared>::clone(&store));
        desk.run(&acts);
        store.questions.lock().unwrap().clear();
        desk.run(&acts);
        let asked = store.questions.lock().unwrap().clone();
        let after_keys: Vec<usize> = asked.iter().filter(|it| it.0 == "keys").map(|it| it.1).collect();
        assert!(after_keys.iter().max() >= Some(&ids.len()) && after_keys.len() < 5, "{asked:?}");
        assert!(ids.iter().all(|id| desk.record(Kind::AccessKey, id).is_some()));
    }
}
