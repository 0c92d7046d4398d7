//! Judges what a run touches while the run goes on, on a thread of its own: a run waits for rules only when more is left
//! to judge than memory should hold. It must never let a run be over before everything it touched was judged.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError, mpsc},
    thread::JoinHandle,
};

use provost_store::StoreError;

use super::judge::{Gathering, Touched};

/// Records that may wait to be judged, some tens of megabytes. With more, the run waits: a slow store slows it down.
const BACKLOG: usize = 200_000;

/// Who judges beside a run.
pub struct Jury {
    hands: Option<mpsc::Sender<Vec<Touched>>>,
    backlog: Arc<Backlog>,
    thread: Option<JoinHandle<Result<(), StoreError>>>,
}

impl Jury {
    /// Begins to listen. `judge` gives the number of findings that changed.
    pub fn sit(judge: impl FnMut(&[Touched]) -> Result<u64, StoreError> + Send + 'static) -> Result<Self, StoreError> {
        Self::sit_within(BACKLOG, judge)
    }

    fn sit_within(
        most: usize,
        mut judge: impl FnMut(&[Touched]) -> Result<u64, StoreError> + Send + 'static,
    ) -> Result<Self, StoreError> {
        let (hands, handed) = mpsc::channel::<Vec<Touched>>();
        let backlog = Arc::new(Backlog { most, waiting: Mutex::new(Some(0)), less: Condvar::new() });
        let open = Open(Arc::clone(&backlog));
        let thread = std::thread::Builder::new().name("judging".to_owned()).spawn(move || {
            while let Ok(first) = handed.recv() {
                // What came meanwhile is judged with it, once.
                let mut records = Gathering::default();
                let mut came = 0;
                for touched in std::iter::once(first).chain(handed.try_iter()).flatten() {
                    came += 1;
                    records.add(touched);
                }
                let records = records.take();
                let findings = judge(&records)?;
                open.0.took(came);
                tracing::info!(records = records.len(), findings, "judged what changed");
            }
            Ok(())
        })?;
        Ok(Self { hands: Some(hands), backlog, thread: Some(thread) })
    }

    /// Hands records over, once there is room for them. Fails if judging failed before.
    pub fn hear(&mut self, records: Vec<Touched>) -> Result<(), StoreError> {
        self.backlog.make_room(records.len());
        match self.hands.as_ref().map(|hands| hands.send(records)) {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) | None => self.rise(),
        }
    }

    /// Returns when everything handed over was judged.
    pub fn rise(&mut self) -> Result<(), StoreError> {
        self.hands = None;
        match self.thread.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(judged)) => judged,
            Some(Err(_)) => Err(StoreError::Io(std::io::Error::other("judging panicked"))),
        }
    }
}

/// How many records wait to be judged; `None` once nobody judges any more.
struct Backlog {
    most: usize,
    waiting: Mutex<Option<usize>>,
    less: Condvar,
}

impl Backlog {
    /// Waits until so many more may wait. What is more than ever may wait by itself waits for all others.
    fn make_room(&self, records: usize) {
        let full = |waiting: &mut Option<usize>| waiting.is_some_and(|it| it > 0 && it + records > self.most);
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut waiting = self.less.wait_while(waiting, full).unwrap_or_else(PoisonError::into_inner);
        *waiting = waiting.map(|it| it + records);
    }

    fn took(&self, records: usize) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        *waiting = waiting.map(|it| it.saturating_sub(records));
        self.less.notify_all();
    }
}

/// Lives as long as somebody judges: when that ends, in whatever way, nobody waits for it any more.
struct Open(Arc<Backlog>);

impl Drop for Open {
    fn drop(&mut self) {
        *self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.0.less.notify_all();
    }
}

impl Drop for Jury {
    fn drop(&mut self) {
        // What a run that failed committed is judged all the same.
        let _ = self.rise();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use provost_model::RecordId;

    use super::*;

    fn touched(ids: std::ops::Range<u8>) -> Vec<Touched> {
        ids.map(|id| Touched::wholly(RecordId::from_bytes([id; 16]))).collect()
    }

    #[test]
    fn who_hands_over_more_than_may_wait_waits_until_some_are_judged() {
        let (allow, allowed) = mpsc::channel::<()>();
        let log = Arc::new(Mutex::new(Vec::new()));
        let judged = Arc::clone(&log);
        let mut jury = Jury::sit_within(3, move |records| {
            allowed.recv().unwrap();
            judged.lock().unwrap().push(("judged", records.len()));
            Ok(0)
        })
        .unwrap();
        std::thread::scope(|threads| {
            let heard = Arc::clone(&log);
            let jury = &mut jury;
            let run = threads.spawn(move || {
                for part in [0..2, 2..4, 4..9] {
                    let count = part.len();
                    jury.hear(touched(part)).unwrap();
                    heard.lock().unwrap().push(("heard", count));
                }
            });
            // Long enough for whoever does not wait to be noticed.
            for _ in 0..3 {
                std::thread::sleep(Duration::from_millis(50));
                allow.send(()).unwrap();
            }
            run.join().unwrap();
        });
        jury.rise().unwrap();
        let of = |word| log.lock().unwrap().iter().filter(|it| it.0 == word).map(|it| it.1).collect::<Vec<_>>();
        assert_eq!((of("heard"), of("judged")), (vec![2, 2, 5], vec![2, 2, 5]));
        assert_eq!(log.lock().unwrap()[0], ("heard", 2));
    }

    #[test]
    fn nobody_waits_for_a_jury_that_failed() {
        let mut jury = Jury::sit_within(1, |_| Err(StoreError::Codec("a verdict".to_owned()))).unwrap();
        let failed = (0..9).find_map(|part| jury.hear(touched(part..part + 1)).err());
        let failed = failed.or_else(|| jury.rise().err());
        assert!(failed.is_some_and(|error| error.to_string().contains("a verdict")));
    }
}
