//! STORE-ROOM: the store takes far more room than what it holds, and there is too little to rewrite it.
//! It must never ask for a rewrite that would give little back.

use provost_model::{FieldSet, Severity, Time};

use super::{Check, Judged, Mapping, Rule, Verdict};
use crate::thresholds::Thresholds;

/// What this rule is.
pub(super) static SPEC: Rule = Rule {
    id: "STORE-ROOM",
    version: 1,
    severity: Severity::Medium,
    title: "no room to rewrite the store, which would give room back",
    why: "A store that cannot give back what it no longer needs grows until scans end for want of room, and what is not \
          scanned changes unseen.",
    remedy: "Make room on the device of the store, or move it with `provost store migrate`; `provost store compact` then \
             rewrites it at once, and the daemon does by itself within a day.",
    frameworks: Mapping { owasp_nhi: &[], nist_csf: &["PR.IR-04"], other: &[("nist_sp_800_53_r5", "SC-5")] },
    needs: &[],
    reads: FieldSet::EMPTY,
    neighbours: &[],
    dates: false,
    figures: &[],
    check: Check::Store(check),
};

/// The store's own room, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreView {
    /// What it takes.
    pub used: u64,
    /// What is live in it.
    pub live: u64,
    /// What must be free for a rewrite.
    pub needed: u64,
    /// What was free.
    pub free: u64,
}

impl StoreView {
    /// How many times what is live a store takes before it is rewritten; a fresh one takes up to twice that.
    const TIMES: u64 = 3;
    /// Below this it is left as it is.
    pub const SMALL: u64 = 256 << 20;

    /// Whether a rewrite would give much back.
    pub fn is_worth_it(&self) -> bool {
        self.used >= Self::SMALL && self.used / Self::TIMES >= self.live
    }
}

fn check(store: &StoreView, _: &Thresholds, _: Time) -> Judged {
    if !store.is_worth_it() || store.free >= store.needed {
        return Ok(Verdict::pass());
    }
    let mib = |bytes: u64| format!("{} MiB", bytes.div_ceil(1 << 20));
    let said = format!(
        "the store takes {}, of which {} are live; rewriting it needs {} free, there are {}",
        mib(store.used),
        mib(store.live),
        mib(store.needed),
        mib(store.free)
    );
    Ok(Verdict::fail(said, Vec::new()))
}

#[cfg(test)]
mod tests {
    use provost_model::Time;

    use super::*;

    #[test]
    fn only_a_store_that_would_shrink_and_cannot_is_a_fault() {
        const MIB: u64 = 1 << 20;
        let table = [
            // used, live, needed, free
            ((1_000, 300, 450, 449), "fail"),
            ((1_000, 300, 450, 450), "pass"),
            ((1_000, 334, 501, 1), "pass"),
            ((255, 1, 2, 1), "pass"),
            ((256, 85, 128, 1), "fail"),
            ((0, 0, 0, 0), "pass"),
        ];
        for ((used, live, needed, free), word) in table {
            let [used, live, needed, free] = [used, live, needed, free].map(|mib| mib * MIB);
            let verdict =
                SPEC.of_store(&StoreView { used, live, needed, free }, &Thresholds::default(), Time::from_seconds(1));
            assert_eq!(verdict.word(), word, "{used} {live} {needed} {free}");
        }
    }
}
