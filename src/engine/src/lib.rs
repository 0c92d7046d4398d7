//! The verbs of Provost: reconcile, judge, own. Pure and synchronous, so that every answer can be repeated.
//! It must never ask for the time, touch the disk or the network, or know which store or connector is at work.

pub mod absence;
pub mod reconcile;
