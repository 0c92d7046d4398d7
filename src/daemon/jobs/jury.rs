//! Judges what a run touches while the run goes on, on a thread of its own: a run never waits for rules.
//! It must never let a run be over before everything it touched was judged.

use std::{collections::BTreeMap, sync::mpsc, thread::JoinHandle};

use provost_engine::News;
use provost_model::RecordId;
use provost_store::StoreError;

use super::judge::Touched;

/// Who judges beside a run.
pub struct Jury {
    hands: Option<mpsc::Sender<Vec<Touched>>>,
    thread: Option<JoinHandle<Result<(), StoreError>>>,
}

impl Jury {
    /// Begins to listen. `judge` gives the number of findings that changed.
    pub fn sit(
        mut judge: impl FnMut(&[Touched]) -> Result<u64, StoreError> + Send + 'static,
    ) -> Result<Self, StoreError> {
        let (hands, handed) = mpsc::channel::<Vec<Touched>>();
        let thread = std::thread::Builder::new().name("judging".to_owned()).spawn(move || {
            while let Ok(first) = handed.recv() {
                // What came meanwhile is judged with it, once.
                let mut records: BTreeMap<RecordId, News> = BTreeMap::new();
                for touched in std::iter::once(first).chain(handed.try_iter()).flatten() {
                    records.entry(touched.id).or_default().add(touched.news);
                }
                let records: Vec<Touched> = records.into_iter().map(|(id, news)| Touched { id, news }).collect();
                let findings = judge(&records)?;
                tracing::info!(records = records.len(), findings, "judged what changed");
            }
            Ok(())
        })?;
        Ok(Self { hands: Some(hands), thread: Some(thread) })
    }

    /// Hands records over. Fails if judging failed before.
    pub fn hear(&mut self, records: Vec<Touched>) -> Result<(), StoreError> {
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

impl Drop for Jury {
    fn drop(&mut self) {
        // What a run that failed committed is judged all the same.
        let _ = self.rise();
    }
}
