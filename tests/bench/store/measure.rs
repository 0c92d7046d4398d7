//! What a stretch of work costs this process: time, processor time, bytes written to the disk, peak memory; and the upper
//! ends of many small times. It must never estimate what the kernel does not say.

use std::{
    fs,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::server::Database;

/// What was spent.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Spent {
    /// Seconds.
    pub(crate) wall: f64,
    /// Seconds of processor time, of all threads, and of the server if there is one.
    pub(crate) cpu: f64,
    /// Bytes that were caused to be written to the disk.
    pub(crate) written: u64,
}

/// From when on it is counted, with what a server does for this process.
pub(crate) struct Since<'a> {
    server: Option<&'a Database>,
    begun: Instant,
    cpu: f64,
    written: u64,
}

impl<'a> Since<'a> {
    pub(crate) fn now(server: Option<&'a Database>) -> Self {
        let (cpu, written) = so_far(server);
        Self { server, begun: Instant::now(), cpu, written }
    }

    pub(crate) fn spent(&self) -> Spent {
        let wall = self.begun.elapsed().as_secs_f64();
        let (cpu, written) = so_far(self.server);
        Spent { wall, cpu: cpu - self.cpu, written: written.saturating_sub(self.written) }
    }
}

fn so_far(server: Option<&Database>) -> (f64, u64) {
    let theirs = server.map_or((0.0, 0), |server| (server.cpu(), server.written()));
    (cpu() + theirs.0, written_by("self") + theirs.1)
}

fn cpu() -> f64 {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    spent.tv_sec as f64 + spent.tv_nsec as f64 / 1e9
}

/// Bytes that a process caused to be written to the disk.
pub(crate) fn written_by(process: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/io")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|bytes| bytes.trim().parse().ok()).unwrap_or(0)
}

/// The most memory this process ever had resident, in MiB.
pub(crate) fn peak_mib() -> f64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: f64 = line.and_then(|it| it.trim().strip_suffix(" kB")).and_then(|it| it.parse().ok()).unwrap_or(0.0);
    kib / 1024.0
}

/// Bytes of all files below a directory.
pub(crate) fn bytes_below(directory: &std::path::Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(about) if about.is_dir() => bytes_below(&entry.path()),
        // What is on the disk, not what a file with holes says of itself.
        Ok(about) => std::os::unix::fs::MetadataExt::blocks(&about) * 512,
        Err(_) => 0,
    });
    sizes.sum()
}

/// The time below which 95 of 100 of these lie, in milliseconds.
pub(crate) fn p95(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    let at = (times.len() * 95).div_ceil(100).saturating_sub(1);
    times.get(at).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}
