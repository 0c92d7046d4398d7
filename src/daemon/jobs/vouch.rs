//! The ends of the chains of evidence, signed, told to the daemon's log: a place that whoever cuts the store's end does not reach.
//! It must never say of a chain the same twice, nor leave one out that has grown.

use std::collections::BTreeMap;

use provost_store::{StoreError, evidence::Checkpoint};

use crate::{
    house::House,
    wire::{WireError, Wiring},
};

/// How many entries each chain had when its end was told last.
#[derive(Debug, Default)]
pub struct Vouched(BTreeMap<String, u64>);

impl Vouched {
    /// Signed checkpoints of the chains that have grown since.
    pub fn grown(&mut self, house: &House, wiring: &Wiring) -> Result<Vec<Checkpoint>, WireError> {
        let ends = house.inventory().chain_ends()?;
        let grown: Vec<_> = ends.iter().filter(|(writer, end)| self.0.get(writer) != Some(&end.count)).collect();
        if grown.is_empty() {
            return Ok(Vec::new());
        }
        let (signer, now) = (wiring.signer()?, house.now());
        let signed = grown.iter().map(|(writer, end)| signer.sign(writer, end, now)).collect();
        self.0.extend(grown.iter().map(|(writer, end)| (writer.clone(), end.count)));
        Ok(signed)
    }

    /// Tells them to the log, each as `provost evidence verify --checkpoint` takes it.
    pub fn tell(&mut self, house: &House, wiring: &Wiring) {
        match self.grown(house, wiring) {
            Ok(checkpoints) => {
                for checkpoint in checkpoints {
                    let line = serde_json::json!({ "checkpoint": checkpoint });
                    tracing::info!(chain = checkpoint.writer, entries = checkpoint.count, %line, "evidence ends here");
                }
            }
            Err(WireError::Store(StoreError::Away(_))) => {}
            Err(error) => tracing::error!(%error, "cannot vouch for evidence"),
        }
    }
}
