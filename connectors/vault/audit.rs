//! The file of an audit device on this host: who read which secret, who signed in, what was written to.
//! It must never take a line for more than it is: anybody who may send requests writes into this file.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader, Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use provost_model::{Cover, Cursor, Scope, Time, Trouble, Why};
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

use super::{hints::Hints, place::Looking};
use crate::{Emitter, Stopped};

/// Most bytes read in one run; of a longer file the end.
const BYTES_MAX: u64 = 512 << 20;
/// Longest line; longer ones are passed over.
const LINE_MAX: u64 = 1 << 20;
/// Most secrets and roles whose uses are remembered.
const PATHS_MAX: usize = 20_000;
/// Most readers of one secret; those seen longest ago are forgotten.
const READERS_MAX: usize = 8;
/// Longest name or path taken, in bytes.
const TEXT_MAX: usize = 1_024;
/// How often a file may have been turned over since the last run and still be found.
const TURNED: &str = "1";
/// Grows with the shape of what is remembered.
const VERSION: u32 = 1;

/// What is known of uses, over all runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Trail {
    version: u32,
    at: Option<Position>,
    /// The time of the first line read, in seconds.
    since: Option<i64>,
    /// Readers by accessor of the mount and path in it, each with the time of the latest read, in seconds.
    readers: BTreeMap<String, BTreeMap<String, i64>>,
    /// Latest logins by accessor of the mount and role, in seconds.
    logins: BTreeMap<String, i64>,
}

/// How far a file was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    device: u64,
    inode: u64,
    offset: u64,
}

/// What one run found in it.
#[derive(Default)]
struct Report {
    hints: Hints,
    /// Lines that make no sense.
    refused: u64,
    /// Why something between the last run and this one was not read.
    gap: Option<&'static str>,
}

/// What is taken of a line.
#[derive(Deserialize)]
struct Line {
    time: Time,
    #[serde(rename = "type")]
    sort: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    auth: Auth,
    request: Request,
}

#[derive(Default, Deserialize)]
struct Auth {
    #[serde(default)]
    display_name: String,
    #[serde(default)]
    entity_id: String,
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Request {
    operation: String,
    #[serde(default)]
    mount_type: String,
    #[serde(default)]
    mount_point: String,
    #[serde(default)]
    mount_accessor: String,
    #[serde(default)]
    namespace: Namespace,
    path: String,
}

#[derive(Default, Deserialize)]
struct Namespace {
    #[serde(default)]
    path: String,
}

/// Reads on in the file that the settings name, if they do, and tells how far it is.
pub(super) async fn read_on(looking: &mut Looking<'_>, to: &mut Emitter) -> Result<(), Stopped> {
    let Some(path) = looking.settings.audit_log.clone() else { return Ok(()) };
    let scope = Scope::new(looking.realm.clone(), "audit-log");
    let known = looking.cursor(&scope).and_then(|it| serde_json::from_slice::<Trail>(&it.0).ok());
    let known = known.filter(|it| it.version == VERSION).unwrap_or_default();
    let mut trail = known.clone();
    to.begin(&scope, None).await?;
    let read = tokio::task::spawn_blocking(move || trail.read(&path).map(|report| (trail, report))).await;
    let (trail, report) = match read {
        Ok(Ok(read)) => read,
        Ok(Err(error)) => {
            looking.trail = known;
            let why = if error.kind() == std::io::ErrorKind::PermissionDenied { Why::Denied } else { Why::Unavailable };
            return to.partial(&scope, why, format!("audit_log: {error}")).await;
        }
        Err(_) => {
            looking.trail = known;
            return to.partial(&scope, Why::Stopped, "the run was stopped").await;
        }
    };
    for (said, amiss) in [
        (report.gap.map(str::to_owned), report.gap.is_some()),
        (Some(format!("{} lines of the audit log make no sense", report.refused)), report.refused > 0),
    ] {
        if let (Some(said), true) = (said, amiss) {
            let place = scope.path.clone();
            to.trouble(Trouble { place, why: Why::Malformed, said, blind_spot: true }).await?;
        }
    }
    let next = Cursor(serde_json::to_vec(&trail).unwrap_or_default());
    (looking.trail, looking.hints) = (trail, report.hints);
    let now = to.now();
    to.cover(&scope, None, now, Cover::Delta { next }).await
}

impl Trail {
    /// Since when uses are known.
    pub(super) fn since(&self) -> Option<Time> {
        self.since.map(Time::from_seconds)
    }

    /// Who read what lies at a path of a mount.
    pub(super) fn readers(&self, mount: &str, path: &str) -> Option<&BTreeMap<String, i64>> {
        self.readers.get(&format!("{mount}/{path}"))
    }

    /// When a role of a mount last signed in.
    pub(super) fn login(&self, mount: &str, role: &str) -> Option<Time> {
        self.logins.get(&format!("{mount}/{role}")).map(|at| Time::from_seconds(*at))
    }

    /// Reads on from where it was.
    fn read(&mut self, path: &Path) -> std::io::Result<Report> {
        self.version = VERSION;
        let mut report = Report::default();
        let file = open(path)?;
        let facts = file.metadata()?;
        let mut from = 0;
        let before = self.at;
        match before {
            Some(at) if (at.device, at.inode) == (facts.dev(), facts.ino()) => {
                if at.offset <= facts.size() {
                    from = at.offset;
                } else {
                    report.gap = Some("the audit log was cut: what stood in it since the last run was not read");
                }
            }
            Some(at) if !self.rest_of(&turned(path), at, &mut report) => {
                report.gap = Some("the audit log was turned over: the rest of the old file was not found");
            }
            Some(_) | None => {}
        }
        let skipped = facts.size().saturating_sub(from) > BYTES_MAX;
        if skipped {
            from = facts.size() - BYTES_MAX;
            if self.at.is_some() {
                report.gap = Some("more was written into the audit log than is read at once: the end of it was read");
            }
        }
        if report.gap.is_some() {
            // From here on every use is known again.
            self.since = None;
        }
        let offset = self.lines(file, (from, skipped), &mut report)?;
        self.at = Some(Position { device: facts.dev(), inode: facts.ino(), offset });
        Ok(report)
    }

    /// Reads what was added to a file before it was turned over. False if that file is not to be found.
    fn rest_of(&mut self, path: &Path, at: Position, report: &mut Report) -> bool {
        let Ok(file) = open(path) else { return false };
        let is_it = file.metadata().is_ok_and(|it| (it.dev(), it.ino()) == (at.device, at.inode));
        is_it && self.lines(file, (at.offset, false), report).is_ok()
    }

    /// Takes every whole line from an offset on, and gives the offset behind the last of them.
    fn lines(&mut self, mut file: File, (from, torn): (u64, bool), report: &mut Report) -> std::io::Result<u64> {
        file.seek(SeekFrom::Start(from))?;
        let mut reader = BufReader::with_capacity(1 << 16, file.take(BYTES_MAX));
        let (mut offset, mut line) = (from, Vec::new());
        let mut is_whole = !torn;
        loop {
            line.clear();
            let length = reader.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)?;
            let ended = line.last() == Some(&b'\n');
            if length == 0 || (!ended && (length as u64) < LINE_MAX) {
                // The last line is still being written.
                return Ok(offset);
            }
            offset += length as u64;
            if is_whole && ended {
                self.take(&line, report);
            } else if is_whole {
                report.refused += 1;
            }
            // What follows a piece of a line is its rest.
            is_whole = ended;
        }
    }

    /// Takes one line.
    fn take(&mut self, line: &[u8], report: &mut Report) {
        if line.trim_ascii().is_empty() {
            return;
        }
        let Ok(line) = serde_json::from_slice::<Line>(line) else {
            report.refused += 1;
            return;
        };
        // A request is written down before it is known whether it is allowed; its answer tells.
        if line.sort != "response" || !line.error.is_empty() {
            return;
        }
        let at = line.time.as_seconds();
        self.since = Some(self.since.map_or(at, |since| since.min(at)));
        let Line { auth, request, .. } = line;
        if [&request.path, &request.mount_accessor, &auth.display_name, &auth.entity_id].iter().any(|it| !is_sound(it))
        {
            report.refused += 1;
            return;
        }
        let namespace = request.namespace.path.trim_matches('/');
        let role = auth.metadata.as_ref().and_then(|it| it.get("role_name")).filter(|it| is_sound(it));
        if request.mount_type == "approle" && request.path.ends_with("/login") {
            if let Some(role) = role {
                note(&mut self.logins, format!("{}/{role}", request.mount_accessor), at);
            }
            return;
        }
        if matches!(request.operation.as_str(), "create" | "update" | "patch" | "delete") {
            report.hints.note(namespace, &request.path);
        }
        if request.operation == "read" && request.mount_type == "kv" {
            let mount =
                request.mount_point.strip_prefix(request.namespace.path.as_str()).unwrap_or(&request.mount_point);
            if let Some(rest) = request.path.strip_prefix(mount) {
                self.note_reader(format!("{}/{rest}", request.mount_accessor), who(&auth, role), at);
            }
        }
    }

    fn note_reader(&mut self, path: String, who: String, at: i64) {
        if self.readers.len() >= PATHS_MAX && !self.readers.contains_key(&path) {
            return;
        }
        let readers = self.readers.entry(path).or_default();
        let latest = readers.entry(who).or_insert(at);
        *latest = at.max(*latest);
        if readers.len() > READERS_MAX
            && let Some(oldest) = readers.iter().min_by_key(|(_, at)| **at).map(|(who, _)| who.clone())
        {
            readers.remove(&oldest);
        }
    }
}

/// Notes the later of two times.
fn note(times: &mut BTreeMap<String, i64>, name: String, at: i64) {
    if times.len() < PATHS_MAX || times.contains_key(&name) {
        let latest = times.entry(name).or_insert(at);
        *latest = at.max(*latest);
    }
}

/// Who asked, as the log names them: as what they signed in, and which entity that is.
fn who(auth: &Auth, role: Option<&String>) -> String {
    let mut words = auth.display_name.clone();
    if let Some(role) = role {
        words.push_str(&format!(" role {role}"));
    }
    if !auth.entity_id.is_empty() {
        words.push_str(&format!(" entity {}", auth.entity_id));
    }
    words
}

fn is_sound(text: &str) -> bool {
    text.len() <= TEXT_MAX && !text.contains(char::is_control)
}

/// Opens a regular file; anything else could keep the reader waiting.
fn open(path: &Path) -> std::io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(std::io::Error::other("it is no regular file")) }
}

/// Where a file is found after it was turned over, as log rotation names it.
fn turned(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(TURNED);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write};

    use serde_json::json;

    use super::*;

    fn line(operation: &str, path: &str, more: &serde_json::Value) -> String {
        let mut line = json!({"time": "2026-11-29T01:08:01.338424043Z", "type": "response",
            "auth": {"display_name": "token-ci", "entity_id": "e-1"},
            "request": {"operation": operation, "mount_type": "kv", "mount_point": "secret/", "mount_accessor": "kv_1",
                "namespace": {"id": "root"}, "path": path}});
        for (name, value) in more.as_object().unwrap() {
            line[name] = value.clone();
        }
        format!("{line}\n")
    }

    #[test]
    fn only_answered_reads_count_and_every_line_once() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("audit.log");
        let read = line("read", "secret/data/db", &json!({}));
        let refused = line("read", "secret/data/other", &json!({"error": "permission denied"}));
        let asked = line("read", "secret/data/third", &json!({"type": "request"}));
        let login = line(
            "update",
            "auth/approle/login",
            &json!({
            "auth": {"display_name": "approle", "metadata": {"role_name": "ci"}},
            "request": {"operation": "update", "mount_type": "approle", "mount_accessor": "ap_1", "path": "auth/approle/login"}}),
        );
        let torn = &read[..40];
        fs::write(&path, format!("{read}{refused}{asked}not json\n{login}{torn}")).unwrap();
        let mut trail = Trail::default();
        let report = trail.read(&path).unwrap();
        assert_eq!(report.refused, 1);
        let at = "2026-11-29T01:08:01Z".parse::<Time>().unwrap();
        assert_eq!(trail.since(), Some(at));
        assert_eq!(trail.readers("kv_1", "data/db").unwrap()["token-ci entity e-1"], at.as_seconds());
        assert!(trail.readers("kv_1", "data/other").is_none() && trail.readers("kv_1", "data/third").is_none());
        assert_eq!(trail.login("ap_1", "ci"), Some(at));
        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        let write = line("update", "secret/data/new", &json!({}));
        file.write_all(format!("{}{write}", &read[40..]).as_bytes()).unwrap();
        let report = trail.read(&path).unwrap();
        assert_eq!(report.refused, 0);
        assert!(report.hints.is_written("", "secret/data/new") && !report.hints.is_written("", "secret/data/db"));
        let back: Trail = serde_json::from_slice(&serde_json::to_vec(&trail).unwrap()).unwrap();
        assert_eq!(back, trail);
    }

    #[test]
    fn a_file_that_was_turned_over_is_read_to_its_end_first() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("audit.log");
        fs::write(&path, line("read", "secret/data/a", &json!({}))).unwrap();
        let mut trail = Trail::default();
        trail.read(&path).unwrap();
        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(line("read", "secret/data/b", &json!({})).as_bytes()).unwrap();
        fs::rename(&path, home.path().join("audit.log.1")).unwrap();
        fs::write(&path, line("read", "secret/data/c", &json!({}))).unwrap();
        assert!(trail.read(&path).unwrap().gap.is_none());
        assert!(["data/a", "data/b", "data/c"].iter().all(|it| trail.readers("kv_1", it).is_some()));
        fs::remove_file(home.path().join("audit.log.1")).unwrap();
        fs::remove_file(&path).unwrap();
        let keep = File::create(home.path().join("other")).unwrap();
        fs::write(&path, "").unwrap();
        assert!(trail.read(&path).unwrap().gap.is_some());
        drop(keep);
        fs::write(&path, line("read", "secret/data/d", &json!({}))).unwrap();
        assert!(trail.read(&path).unwrap().gap.is_none());
        fs::write(&path, "").unwrap();
        assert!(trail.read(&path).unwrap().gap.is_some(), "cut in place");
    }

    #[test]
    fn hostile_lines_are_refused_one_by_one_and_memory_is_bounded() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("audit.log");
        let mut text = String::new();
        text.push_str(&line("read", &format!("secret/data/{}", "x".repeat(TEXT_MAX)), &json!({})));
        text.push_str(&line("read", "secret/data/\u{1b}[2J", &json!({})));
        text.push_str(&format!("{{\"time\":\"{}\"}}\n", "9".repeat(2 << 20)));
        text.push_str(&format!("{}\n", "[".repeat(100_000)));
        for number in 0..100 {
            let auth = json!({"auth": {"display_name": format!("reader-{number}")}});
            text.push_str(&line("read", "secret/data/db", &auth));
        }
        fs::write(&path, text).unwrap();
        let mut trail = Trail::default();
        let report = trail.read(&path).unwrap();
        assert_eq!(report.refused, 4);
        assert_eq!(trail.readers("kv_1", "data/db").unwrap().len(), READERS_MAX);
        assert_eq!(trail.readers.len(), 1);
        assert!(Trail::default().read(home.path()).is_err(), "a directory is no log");
    }
}
