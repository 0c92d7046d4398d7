//! Who this process is among those that share a store, and the leases it holds there: taken, kept alive, given back.
//! It must never go on holding what it lost: whoever works under a lease is told at once.

use std::sync::Arc;

use provost_model::{Span, Time};
use provost_store::{
    Claim, Fence, StoreError,
    inventory::{Draft, MemberRow},
};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::house::House;

/// Where nobody else can come, a lease lasts until it is given back or the store is opened anew: a clock that jumps must
/// not end a run.
const FOR_GOOD: Span = Span::days(36_500);
/// What the name of a member's lease begins with.
pub const MEMBER: &str = "member/";

/// Who this process is on the store.
#[derive(Clone)]
pub struct Tenancy {
    house: House,
    me: Arc<MemberRow>,
    length: Span,
}

/// A lease that is held and kept alive until it is dropped, which gives it back.
pub struct Hold {
    house: House,
    fence: Fence,
    lost: CancellationToken,
    over: CancellationToken,
}

impl Tenancy {
    /// Somebody in that house. `length`: how long what it takes lasts by itself, where others share the store.
    pub fn new(house: &House, me: MemberRow, length: Span) -> Self {
        let length = if house.store().shared() { length } else { FOR_GOOD };
        Self { house: house.fenced(None), me: Arc::new(me), length }
    }

    /// How long what is taken lasts by itself: a holder that died is succeeded after that.
    pub fn length(&self) -> Span {
        self.length
    }

    /// Who this is.
    pub fn me(&self) -> &MemberRow {
        &self.me
    }

    /// Takes a lease, unless somebody holds it, be it this process.
    pub fn take(&self, name: &str) -> Result<Option<Hold>, StoreError> {
        let now = self.now()?;
        let fence = self.house.store().lease(name, &self.me.id, now, now + self.length)?;
        Ok(fence.map(|fence| self.keep(fence)))
    }

    /// Claims up to `limit` due items of a queue. Each is to be kept or given back.
    pub fn claim(&self, queue: &str, limit: usize) -> Result<Vec<Claim>, StoreError> {
        let now = self.now()?;
        self.house.store().claim(queue, &self.me.id, (now, now + self.length), limit)
    }

    /// Keeps a lease alive that was just taken.
    pub fn keep(&self, fence: Fence) -> Hold {
        let hold = Hold {
            house: self.house.clone(),
            fence: fence.clone(),
            lost: CancellationToken::new(),
            over: CancellationToken::new(),
        };
        // Outside a runtime nothing beats; a lease then lasts as long as it was taken for.
        if let (true, Ok(runtime)) = (self.house.store().shared(), Handle::try_current()) {
            runtime.spawn(beat(self.clone(), fence, hold.lost.clone(), hold.over.clone()));
        }
        hold
    }

    /// Says that this process is at work on the store, for as long as the hold is kept. Forgets those that are gone.
    pub fn join(&self) -> Result<Option<Hold>, StoreError> {
        let Some(hold) = self.take(&format!("{MEMBER}{}", self.me.id))? else { return Ok(None) };
        let house = hold.house();
        house.again(|| {
            let mut draft = Draft::new(house.inventory(), house.now());
            draft.put_member(&self.me.id, Some(&self.me))?;
            draft.commit()
        })?;
        self.forget_gone()?;
        Ok(Some(hold))
    }

    /// Says that this process is not at work on the store any more.
    pub fn leave(&self, membership: Hold) -> Result<(), StoreError> {
        let mut draft = Draft::new(self.house.inventory(), self.house.now());
        draft.put_member(&self.me.id, None)?;
        draft.commit()?;
        drop(membership);
        Ok(())
    }

    /// Forgets members whose lease is over.
    pub fn forget_gone(&self) -> Result<(), StoreError> {
        // The members first: each took its lease before it said so, and whoever says so meanwhile is not among them.
        // Whoever says so anew is not forgotten either: the row that was read is not the one that stands.
        let mut draft = Draft::new(self.house.inventory(), self.house.now());
        let members = draft.members()?;
        let alive = self.alive()?;
        for member in members.iter().filter(|member| !alive.contains(&format!("{MEMBER}{}", member.id))) {
            tracing::info!(member = %member.id, host = %member.host, "another daemon is gone; its work is taken over");
            draft.put_member(&member.id, None)?;
        }
        match draft.commit() {
            // Somebody else forgot them, or they are back.
            Err(StoreError::Conflict(_)) => Ok(()),
            done => done.map(drop),
        }
    }

    /// Names of the leases that are held by anybody now.
    pub fn alive(&self) -> Result<Vec<String>, StoreError> {
        let now = self.now()?;
        let held = self.house.store().leases()?.into_iter().filter(|lease| lease.until > now);
        Ok(held.map(|lease| lease.name).collect())
    }

    /// Gives back what former holders left, where only one process can be at work and this is it.
    pub fn succeed(&self) -> Result<(), StoreError> {
        if self.house.store().shared() {
            return Ok(());
        }
        let left = self.house.store().leases()?;
        left.into_iter()
            .try_for_each(|lease| self.house.store().release(&Fence { name: lease.name, token: lease.token }))
    }

    /// The clock that those who share the store go by; where nobody else can come, our own.
    pub fn now(&self) -> Result<Time, StoreError> {
        let local = self.house.now();
        if self.house.store().shared() { self.house.store().clock(local) } else { Ok(local) }
    }

    /// Prolongs a lease; `false` if it is not held by that token any more. It is never taken anew: whoever gave it back
    /// meanwhile, or lost it, would find it held by nobody.
    fn prolong(&self, fence: &Fence) -> Result<bool, StoreError> {
        let now = self.now()?;
        self.house.store().renew(fence, now, now + self.length)
    }
}

impl Hold {
    /// The house, for whoever works under this lease.
    pub fn house(&self) -> House {
        self.house.fenced(Some(self.fence.clone()))
    }

    /// Cancelled when the lease is lost.
    pub fn lost(&self) -> &CancellationToken {
        &self.lost
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.over.cancel();
        if !self.lost.is_cancelled()
            && let Err(error) = self.house.store().release(&self.fence)
        {
            tracing::warn!(%error, lease = %self.fence.name, "a lease could not be given back; it runs out by itself");
        }
    }
}

/// Prolongs a lease every third of its length.
async fn beat(tenancy: Tenancy, fence: Fence, lost: CancellationToken, over: CancellationToken) {
    let third = std::time::Duration::from_micros(u64::try_from(tenancy.length.as_micros() / 3).unwrap_or(1));
    loop {
        tokio::select! {
            () = over.cancelled() => return,
            () = tokio::time::sleep(third) => {}
        }
        let (asked, of) = (tenancy.clone(), fence.clone());
        let prolonged = tokio::task::spawn_blocking(move || asked.prolong(&of)).await;
        if over.is_cancelled() {
            return;
        }
        match prolonged {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => {
                tracing::warn!(lease = %fence.name, "a lease was lost; what it was for ends here");
                lost.cancel();
                return;
            }
            Ok(Err(error)) => {
                if matches!(error, StoreError::Away(_)) {
                    tenancy.house.out_of_reach();
                }
                tracing::warn!(%error, lease = %fence.name, "a lease could not be prolonged");
            }
            Err(_) => return,
        }
    }
}
