//! The way to the database: a small runtime of its own, connections kept ready, lost ones sought again.
//! It must never block a thread of the runtime that calls it longer than the work takes, nor repeat work unasked.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, sync_channel},
    },
    time::{Duration, Instant},
};

use sqlx::{ConnectOptions as _, Connection as _, PgConnection, Row as _};
use tokio::{runtime::Runtime, sync::Semaphore, time::timeout};

use super::{
    address::Address,
    trouble::{Halt, Remedy},
};
use crate::StoreError;

/// Longest time to connect.
const CONNECT: Duration = Duration::from_secs(10);
/// Longest time an answer may take: after it the line counts as lost, since a dead host sends nothing.
const ANSWER: Duration = Duration::from_secs(180);
/// The first and the longest pause before connecting again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));

/// Work under way on a connection.
pub(super) type Asked<'c, T> = Pin<Box<dyn Future<Output = Result<T, Halt>> + Send + 'c>>;

/// The way to one database.
pub(super) struct Link {
    runtime: Option<Runtime>,
    line: Arc<Line>,
}

/// What the tasks share.
struct Line {
    address: Address,
    patience: Duration,
    /// Connections that nobody uses. Our own, since sqlx's pool asks the server at each return whether it lives.
    idle: Mutex<Vec<PgConnection>>,
    permits: Semaphore,
}

/// Tries so far.
struct Tries {
    begun: Instant,
    pause: Duration,
    before: u32,
}

impl Default for Tries {
    fn default() -> Self {
        Self { begun: Instant::now(), pause: PAUSES.0, before: 0 }
    }
}

/// An answer that is on its way.
pub(super) struct Coming<T>(Receiver<Result<T, StoreError>>);

impl<T> Coming<T> {
    /// Waits for it.
    pub(super) fn wait(self) -> Result<T, StoreError> {
        self.0.recv().unwrap_or_else(|_| Err(StoreError::Io(std::io::Error::other("work at the database panicked"))))
    }
}

impl Link {
    /// A way to that database, with so many connections at most; a lost one is sought again that long.
    pub(super) fn new(address: Address, connections: usize, patience: Duration) -> Result<Self, StoreError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("postgres")
            .enable_all()
            .build()?;
        let permits = Semaphore::new(connections.max(2));
        Ok(Self { runtime: Some(runtime), line: Arc::new(Line { address, patience, idle: Mutex::default(), permits }) })
    }

    /// What to call the database.
    pub(super) fn place(&self) -> &str {
        self.line.address.place()
    }

    /// Does work and waits for its answer. Work is told how often it was begun before: it may have been done already.
    pub(super) fn ask<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> Fn(&'c mut PgConnection, u32) -> Asked<'c, T> + Send + Sync + 'static,
    {
        self.start(work).wait()
    }

    /// Begins work.
    pub(super) fn start<T, F>(&self, work: F) -> Coming<T>
    where
        T: Send + 'static,
        F: for<'c> Fn(&'c mut PgConnection, u32) -> Asked<'c, T> + Send + Sync + 'static,
    {
        let line = Arc::clone(&self.line);
        self.spawned(async move { line.patiently(work).await })
    }

    /// A connection of the caller's own: what is begun on it stays begun until it is dropped.
    pub(super) fn own(&self) -> Result<PgConnection, StoreError> {
        let line = Arc::clone(&self.line);
        self.spawned(async move { line.patiently_connected().await }).wait()
    }

    /// Does work on such a connection, and gives it back. Nothing is repeated.
    pub(super) fn with<T, F>(&self, mut own: PgConnection, work: F) -> Result<(PgConnection, T), StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut PgConnection) -> Asked<'c, T> + Send + 'static,
    {
        let line = Arc::clone(&self.line);
        let done = self.spawned(async move {
            match timeout(ANSWER, work(&mut own)).await.unwrap_or_else(|_| Err(lost("no answer in time"))) {
                Ok(answer) => Ok((own, answer)),
                Err(halt) => Err(line.told(halt)),
            }
        });
        done.wait()
    }

    fn spawned<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Coming<T> {
        let (tell, told) = sync_channel(1);
        if let Some(runtime) = &self.runtime {
            runtime.spawn(async move {
                // Who asked may have gone away.
                let _ = tell.send(work.await);
            });
        }
        Coming(told)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Not waited for: a runtime must not wait inside another one, and nothing acknowledged is under way.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Line {
    async fn patiently<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: for<'c> Fn(&'c mut PgConnection, u32) -> Asked<'c, T>,
    {
        let mut tries = Tries::default();
        loop {
            match self.once(&work, tries.before).await {
                Ok(answer) => return Ok(answer),
                Err(halt) => tokio::time::sleep(self.pause(halt, &mut tries)?).await,
            }
        }
    }

    async fn patiently_connected(&self) -> Result<PgConnection, StoreError> {
        let mut tries = Tries::default();
        loop {
            match self.connected().await {
                Ok(connection) => return Ok(connection),
                Err(halt) => tokio::time::sleep(self.pause(halt, &mut tries)?).await,
            }
        }
    }

    /// How long to wait before the next try, if there is to be one.
    fn pause(&self, halt: Halt, tries: &mut Tries) -> Result<Duration, StoreError> {
        let (said, wait) = match halt.remedy(self.address.place()) {
            Remedy::Tell(error) => return Err(error),
            Remedy::Repeat(said) => (said, PAUSES.0),
            Remedy::Reconnect(said) => {
                // Those that wait here were made before the trouble: they share it.
                self.idle().clear();
                tries.pause = (tries.pause * 2).min(PAUSES.1);
                (said, tries.pause)
            }
        };
        if tries.begun.elapsed() + wait > self.patience {
            return Err(self.away(&said));
        }
        tries.before += 1;
        tracing::debug!(place = self.address.place(), said, tries.before, "asking the database again");
        Ok(wait)
    }

    /// What the caller hears where nothing is tried again.
    fn told(&self, halt: Halt) -> StoreError {
        match halt.remedy(self.address.place()) {
            Remedy::Tell(error) => error,
            Remedy::Repeat(said) | Remedy::Reconnect(said) => self.away(&said),
        }
    }

    fn away(&self, said: &str) -> StoreError {
        StoreError::Away(format!("{}: {said}", self.address.place()))
    }

    async fn once<T, F>(&self, work: &F, before: u32) -> Result<T, Halt>
    where
        F: for<'c> Fn(&'c mut PgConnection, u32) -> Asked<'c, T>,
    {
        let Ok(_permit) = self.permits.acquire().await else { return Err(lost("the store is closing")) };
        let ready = self.idle().pop();
        let mut connection = match ready {
            Some(connection) => connection,
            None => self.connected().await?,
        };
        let answer = timeout(ANSWER, work(&mut connection, before)).await.map_err(|_| lost("no answer in time"))??;
        // After an error a connection is not used again: nobody knows what is still on its way.
        self.idle().push(connection);
        Ok(answer)
    }

    async fn connected(&self) -> Result<PgConnection, Halt> {
        timeout(CONNECT, self.connect()).await.unwrap_or_else(|_| Err(lost("no connection in time")))
    }

    async fn connect(&self) -> Result<PgConnection, Halt> {
        let mut connection = self.address.options().connect().await?;
        let asked = "SELECT current_setting('server_encoding'), current_setting('synchronous_commit'), \
            current_setting('jit', true)";
        let row = sqlx::query(asked).fetch_one(&mut connection).await?;
        let (encoding, synchronous, jit): (String, String, Option<String>) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        if encoding != "UTF8" {
            let _ = connection.close().await;
            let said = format!("its encoding is {encoding}; make it with ENCODING 'UTF8'");
            return Err(StoreError::Refused { place: self.address.place().to_owned(), said }.into());
        }
        if synchronous == "off" {
            // What is acknowledged is durable, whatever the database does for others.
            sqlx::raw_sql("SET synchronous_commit = on").execute(&mut connection).await?;
        }
        if jit.as_deref() == Some("on") {
            // Index steps of milliseconds: the planner takes them for long the larger a table is, and compiling takes longer.
            sqlx::raw_sql("SET jit = off").execute(&mut connection).await?;
        }
        Ok(connection)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<PgConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lost(said: &str) -> Halt {
    Halt::Sqlx(sqlx::Error::Io(std::io::Error::other(said.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::server;

    #[test]
    fn what_the_database_sets_for_others_does_not_hold_here() {
        let Some(server) = server::shared() else { return };
        let url = server.fresh();
        for set in ["synchronous_commit = off", "jit = on"] {
            let named = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET ";
            server.query(&url, &format!("{named}{set}', current_database()); END $$"));
        }
        let shown = "SELECT current_setting('synchronous_commit') || ' ' || current_setting('jit')";
        assert_eq!(server.query(&url, shown).trim(), "off on");
        let link = Link::new(Address::parse(&url).unwrap(), 2, Duration::ZERO).unwrap();
        let here = link
            .ask::<String, _>(move |on, _| Box::pin(async move { Ok(sqlx::query_scalar(shown).fetch_one(on).await?) }));
        assert_eq!(here.unwrap(), "on off");
    }
}
