//! A token that lasts for a while, obtained by whoever needs it first.
//! It must never be asked for by two at once, nor given out when it is about to end.

use std::{fmt, sync::Arc, time::Duration};

use secrecy::SecretString;
use tokio::{sync::Mutex, time::Instant};

use crate::Failure;

/// A token is not given out in the last part of its time: a tenth, and at most this long.
const NEARLY: Duration = Duration::from_secs(60);
/// Many calls may be refused with one token: a new one younger than this is not replaced again.
const YOUNG: Duration = Duration::from_secs(5);

/// A token as it is obtained.
#[derive(Debug)]
pub struct Lease {
    /// The token.
    pub secret: SecretString,
    /// How long it lasts from now on.
    pub lasts: Duration,
}

/// Keeps a token as long as it lasts.
#[derive(Default)]
pub struct Leased(Mutex<Option<Held>>);

struct Held {
    secret: Arc<SecretString>,
    since: Instant,
    until: Instant,
}

impl Leased {
    /// The token, obtained anew if there is none, if it nears its end, or if it was refused (`fresh`).
    pub async fn get<F>(&self, fresh: bool, fetch: F) -> Result<Arc<SecretString>, Failure>
    where
        F: AsyncFnOnce() -> Result<Lease, Failure>,
    {
        let mut held = self.0.lock().await;
        let now = Instant::now();
        if let Some(held) = held.as_ref().filter(|held| now < held.until && (!fresh || now < held.since + YOUNG)) {
            return Ok(held.secret.clone());
        }
        // What was refused or is over goes at once, whether or not another one is given.
        *held = None;
        let lease = fetch().await?;
        let (secret, since) = (Arc::new(lease.secret), Instant::now());
        let until = since + lease.lasts.saturating_sub((lease.lasts / 10).min(NEARLY));
        *held = Some(Held { secret: secret.clone(), since, until });
        Ok(secret)
    }
}

impl fmt::Debug for Leased {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Leased")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use secrecy::ExposeSecret as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_token_is_obtained_once_until_it_nears_its_end_or_is_refused() {
        let (leased, asked) = (Leased::default(), AtomicU32::new(0));
        let get = async |fresh| {
            let fetch = async || {
                let number = asked.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(10)).await;
                Ok(Lease { secret: format!("t{number}").into(), lasts: Duration::from_secs(600) })
            };
            leased.get(fresh, fetch).await.unwrap().expose_secret().to_owned()
        };
        let (one, two) = tokio::join!(get(false), get(false));
        assert_eq!((one.as_str(), two.as_str()), ("t0", "t0"));
        assert_eq!(get(true).await, "t0", "it is young");
        tokio::time::advance(YOUNG).await;
        let (one, two) = tokio::join!(get(true), get(true));
        assert_eq!((one.as_str(), two.as_str()), ("t1", "t1"));
        tokio::time::advance(Duration::from_secs(539)).await;
        assert_eq!(get(false).await, "t1");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(get(false).await, "t2");
    }
}
