//! The daemon: opens the door, starts the scheduler, tells the service manager how it is, reloads, drains.
//! It must never say that it is well when scheduler, writer and socket have not moved.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sd_notify::NotifyState;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{self, Environment, Paths},
    desk::Desk,
    scheduler,
    socket::{Door, serve},
    wire::Wiring,
};

/// Why the daemon cannot run.
#[derive(Debug, Error)]
pub enum VigilError {
    /// The socket cannot be opened.
    #[error("the socket {path}: {error}")]
    Socket {
        /// Where.
        path: PathBuf,
        /// How it failed.
        error: std::io::Error,
    },
    /// Signals cannot be heard.
    #[error("signals: {0}")]
    Signals(#[from] std::io::Error),
    /// The ticker failed.
    #[error("the scheduler: {0}")]
    Scheduler(String),
}

/// How often the service manager is told how it is.
const STATUS_EVERY: Duration = Duration::from_secs(5);

/// Runs until a signal ends it.
pub async fn run(desk: Arc<Desk>, paths: &Paths) -> Result<(), VigilError> {
    let path = desk.wiring().config.daemon.socket.clone();
    let door = Door::open(&path).map_err(|error| VigilError::Socket { path: path.clone(), error })?;
    let stop = CancellationToken::new();
    let (turning, answering) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    if let Err(error) = scheduler::resume(&desk) {
        tracing::error!(%error, "cannot tell which runs were under way");
    }

    let door_keeper = {
        let (desk, stop, answering) = (Arc::clone(&desk), stop.clone(), Arc::clone(&answering));
        tokio::task::spawn_blocking(move || serve(&door, &desk, &stop, &answering))
    };
    let mut schedule = tokio::spawn(scheduler::run(Arc::clone(&desk), stop.clone(), Arc::clone(&turning)));

    let mut hangup = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tell(&[NotifyState::Ready, NotifyState::Status("looking on schedule")]);
    tracing::info!(socket = %path.display(), "ready");
    let mut pulse = Pulse::new(turning, answering);
    let mut beat = tokio::time::interval(STATUS_EVERY);
    let ended = loop {
        tokio::select! {
            _ = terminate.recv() => break None,
            _ = interrupt.recv() => break None,
            _ = hangup.recv() => reload(&desk, paths),
            _ = beat.tick() => pulse.tell(&desk),
            ended = &mut schedule => break Some(ended),
        }
    };
    tell(&[NotifyState::Stopping, NotifyState::Status("handing over what is under way")]);
    tracing::info!("stopping");
    stop.cancel();
    desk.house.closing().cancel();
    let ended = match ended {
        Some(ended) => ended,
        None => schedule.await,
    };
    let _ = door_keeper.await;
    match ended {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(VigilError::Scheduler(error.to_string())),
        Err(_) => Err(VigilError::Scheduler("it panicked".into())),
    }
}

/// Puts the configuration file to work as it is now. A bad one leaves the old one at work.
fn reload(desk: &Desk, paths: &Paths) {
    let monotonic = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let micros = i128::from(monotonic.tv_sec) * 1_000_000 + i128::from(monotonic.tv_nsec) / 1000;
    tell(&[NotifyState::Reloading, NotifyState::MonotonicUsec(micros)]);
    let old = desk.wiring();
    let environment: Environment = old.environment.clone();
    let said = match config::load(paths) {
        Err(problems) => {
            for problem in &problems {
                tracing::error!(%problem, "the configuration was not reloaded");
            }
            "the new configuration is wrong; the old one is at work"
        }
        Ok(config)
            if config.store.name() != old.config.store.name() || config.daemon.socket != old.config.daemon.socket =>
        {
            tracing::error!("store and socket cannot change without a restart; the configuration was not reloaded");
            "the new configuration moves store or socket; the old one is at work"
        }
        Ok(config) => match Wiring::new(config, environment) {
            Ok(wiring) => {
                desk.rewire(wiring);
                tracing::info!("reloaded");
                "looking on schedule"
            }
            Err(error) => {
                tracing::error!(%error, "the configuration was not reloaded");
                "the new configuration is wrong; the old one is at work"
            }
        },
    };
    tell(&[NotifyState::Ready, NotifyState::Status(said)]);
}

/// Watches whether the parts of the daemon move.
struct Pulse {
    turning: Arc<AtomicU64>,
    answering: Arc<AtomicU64>,
    before: (u64, u64),
}

impl Pulse {
    fn new(turning: Arc<AtomicU64>, answering: Arc<AtomicU64>) -> Self {
        Self { turning, answering, before: (0, 0) }
    }

    /// Tells the service manager what is under way, and that the daemon lives if everything moved since last time. That
    /// the pen can be had shows that no writer hangs.
    fn tell(&mut self, desk: &Desk) {
        let running = desk.runs.running();
        let status = match running.len() {
            0 => "looking on schedule".to_owned(),
            _ => format!("looking at {}", running.keys().cloned().collect::<Vec<_>>().join(", ")),
        };
        let doubt = match desk.clock_distrust() {
            Ok(Some(_)) => "; the clock is not trusted",
            Ok(None) | Err(_) => "",
        };
        let away = desk.house.away_since();
        match away {
            Some(since) => {
                let since = since.whole_seconds();
                tell(&[NotifyState::Status(&format!("the store cannot be reached since {since}; waiting for it"))]);
            }
            None => tell(&[NotifyState::Status(&format!("{status}{doubt}"))]),
        }
        let moved = self.moved();
        // Waiting for a store that is away is all there is to do: it is no reason to be killed.
        if away.is_some() || (moved && desk.house.writes()) {
            tell(&[NotifyState::Watchdog]);
        }
    }

    /// Whether both the scheduler and the socket moved since this was asked last.
    fn moved(&mut self) -> bool {
        let now = (self.turning.load(Ordering::Relaxed), self.answering.load(Ordering::Relaxed));
        let moved = now.0 > self.before.0 && now.1 > self.before.1;
        self.before = now;
        moved
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager was not told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_stands_still_is_not_called_alive() {
        let (turning, answering) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let mut pulse = Pulse::new(Arc::clone(&turning), Arc::clone(&answering));
        for (turns, answers, alive) in [(0, 0, false), (1, 7, true), (0, 3, false), (2, 0, false), (1, 1, true)] {
            turning.fetch_add(turns, Ordering::Relaxed);
            answering.fetch_add(answers, Ordering::Relaxed);
            assert_eq!(pulse.moved(), alive, "after {turns} turns and {answers} answers");
        }
    }
}
