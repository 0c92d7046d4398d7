//! Eyes on one AWS account: its pure parts, which ask nobody anything.
//! It must never hold a secret value.

pub mod nature;
pub mod policy;
pub mod report;
pub mod slots;
