//! Tests that every connector gets for its [`Estate`]: what a provider does wrong must never pass for an answer.
//! It must never know a connector: a new one adds its estate to [`in_rust`] and nothing else.

mod door;
mod faults;
mod golden;
pub(crate) mod recorded;
mod run;

use std::sync::Arc;

use async_trait::async_trait;

pub(crate) use self::{
    door::{Alike, Answered, Asked, Door, Fault, Overlay, Upstream},
    run::{Said, looked, through},
};
use crate::{Bookmarks, Connector, Spec, aws, github, manifest, vault};

/// A provider for tests, and eyes on it.
#[async_trait]
pub(crate) trait Estate: Send + Sync {
    /// The connector.
    fn spec(&self) -> &'static Spec;

    /// Starts the provider on this machine. It ends with the runtime.
    async fn start(&self) -> Arc<Upstream>;

    /// Eyes that look at the provider at that address. They give up after one or two tries: a fault never passes.
    fn eyes(&self, base: &str) -> Box<dyn Connector>;

    /// What a run of the eyes begins with: nothing, or an operator's wish for everything at once.
    fn known(&self) -> Bookmarks {
        Bookmarks::default()
    }

    /// How the provider says that there were too many calls: the status, headers and a body.
    fn throttle(&self) -> Throttle {
        Throttle { status: 429, headers: vec![("retry-after", "0")], body: "{}" }
    }

    /// Words of requests that show nothing, so that nothing is missed without them: such as an order for a fresh report.
    fn orders(&self) -> Vec<&'static str> {
        Vec::new()
    }

    /// What is alike in all questions for a page: eyes may ask for less of it when a question fails.
    fn alike(&self) -> Alike {
        str::to_owned
    }

    /// Whether another page, or a reading that is not answered, may stand in for a page with everything covered all the same.
    fn can_bear(&self, _page: &str) -> bool {
        false
    }

    /// Reads that one run of the eyes need not make: those that stand in for others, or that another setting asks for.
    fn spare(&self) -> Vec<&'static str> {
        Vec::new()
    }
}

/// How a provider says that there were too many calls.
#[derive(Clone, Debug)]
pub(crate) struct Throttle {
    pub status: u16,
    pub headers: Vec<(&'static str, &'static str)>,
    pub body: &'static str,
}

/// The estates of connectors in Rust.
fn in_rust() -> Vec<Box<dyn Estate>> {
    vec![Box::new(aws::estate::Iam), Box::new(github::Acme), Box::new(vault::Recorded)]
}

/// Every estate.
fn estates() -> Vec<Box<dyn Estate>> {
    in_rust().into_iter().chain(manifest::estates()).collect()
}
