//! From a connector's words to the inventory: promises 2, 4 and 8 over a scripted source and a real store.

mod absence;
mod ahead;
mod anew;
mod counts;
mod crash;
mod custody;
mod deciding;
mod guarding;
mod incremental;
mod link;
mod meanwhile;
mod overdue;
mod rotating;
mod script;
pub(crate) mod shared;
mod telling;
mod together;
mod upkeep;
mod whatif;
