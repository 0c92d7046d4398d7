//! Opens connections: only for a call that still waits for one a moment later, and counts them.
//! It must never make a call wait that nobody gives a connection back to.
//!
//! hyper begins a connection for every call that finds none idle, also where one is being given back at that very moment.
//! The call then takes that one, and what was begun goes on in a task of its own, for a connection too many.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tower_layer::Layer;
use tower_service::Service;

/// How long a call waits for a connection that is being given back before it opens one: longer than that takes on a busy
/// machine, and nothing beside a handshake.
const MOMENT: Duration = Duration::from_millis(10);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Dials for the calls of one client.
#[derive(Clone, Debug, Default)]
pub(super) struct Dials {
    opened: Arc<AtomicU64>,
}

/// A connector that dials so.
#[derive(Clone, Debug)]
pub(super) struct Dialling<S> {
    inner: S,
    dials: Dials,
}

impl Dials {
    /// Connections tried so far.
    pub(super) fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }
}

impl<S> Layer<S> for Dials {
    type Service = Dialling<S>;

    fn layer(&self, inner: S) -> Dialling<S> {
        Dialling { inner, dials: self.clone() }
    }
}

impl<S, R> Service<R> for Dialling<S>
where
    S: Service<R, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send,
    S::Response: Send,
    R: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, to: R) -> Self::Future {
        // The one that was asked whether it is ready is the one that dials.
        let another = self.inner.clone();
        let (mut inner, dials) = (std::mem::replace(&mut self.inner, another), self.dials.clone());
        let whose = tokio::task::try_id();
        Box::pin(async move {
            if dials.opened() > 0 {
                tokio::time::sleep(MOMENT).await;
                // A call is answered where it was asked.
                if tokio::task::try_id() != whose {
                    return Err("the call was given another connection".into());
                }
            }
            dials.opened.fetch_add(1, Ordering::Relaxed);
            inner.call(to).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone)]
    struct Anywhere;

    impl Service<&'static str> for Anywhere {
        type Response = &'static str;
        type Error = BoxError;
        type Future = std::future::Ready<Result<&'static str, BoxError>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, to: &'static str) -> Self::Future {
            std::future::ready(Ok(to))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_is_opened_at_once_and_others_for_who_still_waits() {
        let dials = Dials::default();
        let mut to = dials.layer(Anywhere);
        let begun = tokio::time::Instant::now();
        assert_eq!(to.call("a").await.unwrap(), "a");
        assert!(begun.elapsed().is_zero());
        assert_eq!((to.call("b").await.unwrap(), dials.opened()), ("b", 2));
        assert!(begun.elapsed() >= MOMENT);
        // What goes on elsewhere goes on for nobody.
        let begun = to.call("c");
        assert!(tokio::spawn(begun).await.unwrap().is_err());
        assert_eq!(dials.opened(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_of_a_task_is_answered_there() {
        let dials = Dials::default();
        let mut to = dials.layer(Anywhere);
        to.call("a").await.unwrap();
        let answered = tokio::spawn(async move { to.call("b").await });
        assert_eq!((answered.await.unwrap().unwrap(), dials.opened()), ("b", 2));
    }
}
