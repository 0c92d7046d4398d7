//! How much room a store has, and how much it must have before work begins.
//! It must never delete anything to make room.

use std::path::Path;

use crate::{Space, StoreError};

/// The least room, in bytes, below which no run starts: the larger of 1 GiB and 5 % of the device. Memory needs none.
pub fn min_free(space: &Space) -> u64 {
    const GIB: u64 = 1 << 30;
    if space.total == u64::MAX { 0 } else { GIB.max(space.total / 20) }
}

/// Whether there is room enough to start a run.
pub fn has_room(space: &Space) -> bool {
    space.free >= min_free(space)
}

/// The room on the device of a path.
pub(crate) fn of(path: &Path, used: u64) -> Result<Space, StoreError> {
    let device = rustix::fs::statvfs(path).map_err(std::io::Error::from)?;
    let bytes = |blocks: u64| blocks.saturating_mul(device.f_frsize);
    Ok(Space { free: bytes(device.f_bavail), total: bytes(device.f_blocks), used })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_of_one_gibibyte_and_five_percent_must_be_free() {
        const GIB: u64 = 1 << 30;
        let table = [
            (GIB, 2 * GIB, true),
            (GIB - 1, 2 * GIB, false),
            (2 * GIB, 100 * GIB, false),
            (5 * GIB, 100 * GIB, true),
            (u64::MAX, u64::MAX, true),
        ];
        for (free, total, room) in table {
            assert_eq!(has_room(&Space { free, total, used: 0 }), room, "{free} of {total}");
        }
    }

    #[test]
    fn a_directory_lies_on_a_device_with_bounds() {
        let space = of(Path::new("/"), 3).unwrap();
        assert!(space.total > 0 && space.total < u64::MAX && space.free <= space.total);
    }
}
