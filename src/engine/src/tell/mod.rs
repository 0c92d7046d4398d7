//! From cases to letters: what is news about a case, which routes it goes by, and what is gathered into one message.
//! It must never tell twice what was told, nor leave out what no route takes without saying so.

mod gather;
mod news;
mod route;
mod tries;

pub use gather::{WORST, gathered, uncertain};
pub use news::news;
pub use route::{Form, Quiet, Route, Which, routes_of};
pub use tries::{Next, after_failure};
