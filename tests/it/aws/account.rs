//! The fake IAM in this process, with a runtime of its own, so that the program can ask it.
//! It must never answer anybody but this test.

use provost::clock::WallClock;
use provost_connectors::aws::testing::{Account, FakeIam, FakeUser, Fault};
use provost_model::{Clock as _, Time};

/// A running fake.
pub(super) struct Fake {
    iam: FakeIam,
    _runtime: tokio::runtime::Runtime,
}

impl Fake {
    /// A fake with that many users, each with one active key from long ago: `AKIA0000` of `AIDA0000`, and so on.
    pub(super) fn with_users(count: usize) -> Self {
        let account = Account { users: (0..count).map(user).collect(), generated: now(), ..Account::default() };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let iam = runtime.block_on(FakeIam::start(account)).unwrap();
        Self { iam, _runtime: runtime }
    }

    /// Its address.
    pub(super) fn url(&self) -> &str {
        &self.iam.url
    }

    /// Looks into the account, or changes it.
    pub(super) fn with<T>(&self, change: impl FnOnce(&mut Account) -> T) -> T {
        self.iam.with(change)
    }

    /// From now on, after so many more right answers, an action is answered like that.
    pub(super) fn fail(&self, action: &'static str, after: u64, fault: Fault) {
        self.with(|account| {
            let so_far = account.calls.get(action).copied().unwrap_or(0);
            account.after.insert(action, so_far + after);
            account.faults.insert(action, fault);
        });
    }

    /// Everything is answered rightly again.
    pub(super) fn heal(&self) {
        self.with(|account| {
            account.faults.clear();
            account.after.clear();
            account.bucket = None;
            account.levels.clear();
        });
    }
}

/// A user of the fake, with one active key.
pub(super) fn user(number: usize) -> FakeUser {
    let [name, id, key] = ["svc", "AIDA", "AKIA"].map(|word| format!("{word}{number:04}"));
    FakeUser::new(&name, &id, &[(&key, true, "2024-02-03T04:05:06Z")])
}

/// This moment in whole seconds, as the report writes it.
pub(super) fn now() -> String {
    Time::from_seconds(WallClock.now().as_micros() / 1_000_000).to_string()
}

/// A minute from now: later than whatever a run said before.
pub(super) fn soon() -> String {
    Time::from_seconds(WallClock.now().as_micros() / 1_000_000 + 60).to_string()
}

/// A denial.
pub(super) const DENIED: Fault = Fault::Error(403, "AccessDenied", "not authorised to perform this");
