//! What follows from a thing's end: with its container a thing goes too, and so does what lives in it.
//! It must never let a container go before what it holds: a turn killed in between would forget the rest.

use std::collections::BTreeSet;

use provost_engine::absence;
use provost_model::{Change, What};
use provost_store::{StoreError, inventory::Draft};

/// A change with everything that follows from it, in the order in which it is to be committed: what lives in a thing
/// before the thing itself.
pub(super) fn with_dependents(draft: &mut Draft<'_>, change: Change) -> Result<Vec<Change>, StoreError> {
    let mut known = BTreeSet::from([change.after.id]);
    let mut all = vec![change];
    let mut at = 0;
    while let Some(change) = all.get(at) {
        at += 1;
        if change.what != What::Gone {
            continue;
        }
        let gone = change.after.clone();
        for dependent in draft.dependents(&gone)? {
            if known.insert(dependent) {
                all.extend(draft.record(dependent)?.and_then(absence::container_gone));
            }
        }
    }
    all.reverse();
    Ok(all)
}
