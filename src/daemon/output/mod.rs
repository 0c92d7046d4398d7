//! What people and programs get to read: rows, their formats, and the doors hostile text passes on its way out.
//! It must never print by itself: every writer is handed the place it writes to.

pub mod age;
pub mod case;
pub mod delivery;
pub mod door;
pub mod finding;
pub mod inventory;
pub mod progress;
pub mod table;
pub mod wrap;
pub mod write;

pub use case::CaseRow;
pub use delivery::DeliveryRow;
pub use finding::FindingRow;
pub use inventory::{Beside, InventoryRow};
pub use progress::Progress;
pub use table::{Cell, Tone};
pub use wrap::broken;
pub use write::{Format, Look, Row, write_rows};
