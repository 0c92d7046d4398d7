//! A real PostgreSQL server for tests and benches: started as an ordinary user, ended with the process that started it.
//! It must never listen beyond this machine, nor outlive its tests, however they end.

#![allow(dead_code, reason = "three programs use it, each a part of it")]

use std::{
    env, fs,
    io::{self, Write as _},
    net::TcpListener,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use tempfile::TempDir;

/// Names the directory of the server's programs: set by `cargo xtask test`.
pub const PROGRAMS: &str = "PROVOST_TEST_POSTGRES";
/// The server's user: it refuses to run as root.
const NOBODY: u32 = 65_534;
const PASSWORD: &str = "only-for-tests";
const TRIES: u32 = 600;

/// For tests that would only wait for the disk.
const QUICK: &[&str] = &["fsync=off", "shared_buffers=32MB"];
/// What it says is written reaches the disk.
const DURABLE: &[&str] = &["fsync=on", "shared_buffers=32MB"];
/// What it says is written reaches the disk; memory and log as somebody would set them who gave the database a machine.
const MEASURED: &[&str] = &[
    "fsync=on",
    "synchronous_commit=on",
    "shared_buffers=1GB",
    "effective_cache_size=4GB",
    "max_wal_size=8GB",
    "checkpoint_timeout=15min",
];

/// A server of this process's own.
#[derive(Debug)]
pub struct Server {
    programs: PathBuf,
    home: TempDir,
    port: u16,
    settings: &'static [&'static str],
    running: Pair,
}

/// A server, and a shell that ends it and removes its files when this process is gone, however it went.
#[derive(Debug)]
struct Pair {
    server: Child,
    keeper: Child,
}

/// The server that the tests of this process share; `None`, said loudly, where there is none and none was asked for.
pub fn shared() -> Option<&'static Server> {
    static SHARED: OnceLock<Option<Server>> = OnceLock::new();
    SHARED.get_or_init(|| programs().map(|programs| Server::start(&programs, QUICK))).as_ref()
}

/// A server of the caller's own, for tests that kill it; `durable`: what it says is written reaches the disk.
pub fn own(durable: bool) -> Option<Server> {
    programs().map(|programs| Server::start(&programs, if durable { DURABLE } else { QUICK }))
}

fn programs() -> Option<PathBuf> {
    let told = env::var_os(PROGRAMS).map(PathBuf::from);
    if told.is_none() {
        let _ = writeln!(io::stderr(), "SKIPPED: no PostgreSQL; `cargo xtask test` installs it and sets {PROGRAMS}");
    }
    told
}

impl Server {
    fn start(programs: &Path, settings: &'static [&'static str]) -> Self {
        let home = home(&env::temp_dir());
        copy(&template(programs), &home.path().join("data"));
        own_by_server(home.path());
        Self::launched(programs, home, settings)
    }

    /// A server to be measured, with those programs and its files in a directory that its user can reach.
    pub fn measured(programs: &Path, directory: &Path) -> Self {
        let home = home(directory);
        make(programs, home.path(), &[]);
        Self::launched(programs, home, MEASURED)
    }

    fn launched(programs: &Path, home: TempDir, settings: &'static [&'static str]) -> Self {
        let (running, port) = launch(programs, home.path(), settings);
        Self { programs: programs.to_owned(), home, port, settings, running }
    }

    /// The process that all others of the server come from.
    pub fn pid(&self) -> u32 {
        self.running.server.id()
    }

    /// Kills the server without a word, as a crash of its machine would.
    pub fn kill(&mut self) {
        self.running.end("-KILL");
    }

    /// Ends the server at once, as `pg_ctl stop -m immediate` does: nobody is asked to finish.
    pub fn cut(&mut self) {
        self.running.end("-QUIT");
    }

    /// Starts an ended server again, at the same place.
    pub fn again(&mut self) {
        // Its children may live a moment longer, and hold its memory.
        for _ in 0..TRIES {
            if let Some(pair) = try_launch(&self.programs, self.home.path(), (self.port, self.settings)) {
                self.running = pair;
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("the server does not start again: {}", log(self.home.path()));
    }

    /// The address of a fresh, empty database.
    pub fn fresh(&self) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("fresh{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.ask("postgres", &format!("CREATE DATABASE {name}"));
        format!("postgres://postgres@localhost:{}/{name}?host={}", self.port, self.home.path().join("run").display())
    }

    /// An address over TCP instead of the server's socket, at that port: the server's own, or a proxy's.
    pub fn over_tcp(&self, url: &str, port: u16) -> String {
        let database = database(url);
        format!("postgres://postgres:{PASSWORD}@127.0.0.1:{port}/{database}?sslmode=disable")
    }

    /// The server's port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What the database at an address answers to a query: a line a row, columns parted by `|`.
    pub fn query(&self, url: &str, sql: &str) -> String {
        self.ask(database(url), sql)
    }

    fn ask(&self, database: &str, sql: &str) -> String {
        let run = self.home.path().join("run");
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database]);
        psql.args(["-p", &self.port.to_string(), "-h"]).arg(run).args(["-c", sql]).stdin(Stdio::null());
        let done = psql.output().unwrap_or_else(|error| panic!("psql: {error}"));
        assert!(done.status.success(), "{sql}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.running.end("-QUIT");
    }
}

fn database(url: &str) -> &str {
    let path = url.split('?').next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default()
}

/// Starts a server on a free port.
fn launch(programs: &Path, home: &Path, settings: &[&str]) -> (Pair, u16) {
    for _ in 0..TRIES {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if let Some(pair) = try_launch(programs, home, (port, settings)) {
            return (pair, port);
        }
    }
    panic!("the server does not start: {}", log(home));
}

fn try_launch(programs: &Path, home: &Path, (port, settings): (u16, &[&str])) -> Option<Pair> {
    let output = fs::OpenOptions::new().create(true).append(true).open(home.join("log")).unwrap();
    let mut server = as_server(&programs.join("postgres"));
    server.arg("-D").arg(home.join("data")).arg("-k").arg(home.join("run"));
    let place = format!("port={port}");
    let always = [place.as_str(), "listen_addresses=127.0.0.1", "max_connections=60"];
    for setting in always.iter().chain(settings) {
        server.args(["-c", setting]);
    }
    server.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
    let server = server.spawn().unwrap();
    // When this process is gone, its end of the keeper's input closes. A server that nobody waits for may stay in the
    // table of processes: the keeper does not wait for ever.
    let keeper = "read _; kill -QUIT $1 2>/dev/null; for _ in 1 2 3 4 5 6 7 8 9; do kill -0 $1 2>/dev/null || break; \
        sleep 0.2; done; rm -rf \"$2\"";
    let keeper = Command::new("sh")
        .args(["-c", keeper, "keeper", &server.id().to_string()])
        .arg(home)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut pair = Pair { server, keeper };
    for _ in 0..TRIES {
        if !matches!(pair.server.try_wait(), Ok(None)) {
            break;
        }
        let mut psql = Command::new(programs.join("psql"));
        psql.args(["-X", "-U", "postgres", "-p", &port.to_string(), "-h"])
            .arg(home.join("run"))
            .args(["-c", "SELECT 1"]);
        let asked = psql.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if asked.is_ok_and(|status| status.success()) {
            return Some(pair);
        }
        thread::sleep(Duration::from_millis(20));
    }
    pair.end("-QUIT");
    None
}

impl Pair {
    /// Sends the server a signal by its id, waits for its end, and lets the keeper go without its work.
    fn end(&mut self, signal: &str) {
        if matches!(self.server.try_wait(), Ok(None)) {
            run(Command::new("kill").args([signal, &self.server.id().to_string()]));
        }
        let _ = self.server.wait();
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

/// A data directory as the server makes it, made once and copied from then on: making takes seconds.
fn template(programs: &Path) -> PathBuf {
    let built = env::current_exe().unwrap();
    let place = built.ancestors().nth(2).unwrap().join("postgres-template");
    if place.exists() {
        return place;
    }
    let home = home(&env::temp_dir());
    make(programs, home.path(), &["--no-sync", "--wal-segsize=1"]);
    let aside = place.with_extension(std::process::id().to_string());
    copy(&home.path().join("data"), &aside);
    if fs::rename(&aside, &place).is_err() {
        // Another test process was faster.
        fs::remove_dir_all(&aside).unwrap();
    }
    place
}

/// A directory for a server's files.
fn home(below: &Path) -> TempDir {
    let home = tempfile::Builder::new().prefix("provost-pg").tempdir_in(below).unwrap();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(home.path().join("run")).unwrap();
    home
}

/// Makes a data directory in a server's home.
fn make(programs: &Path, home: &Path, how: &[&str]) {
    fs::write(home.join("password"), PASSWORD).unwrap();
    own_by_server(home);
    let mut initdb = as_server(&programs.join("initdb"));
    initdb.args(how).args(["-U", "postgres", "-E", "UTF8", "--locale=C"]);
    initdb.args(["--auth-local=trust", "--auth-host=password", "--pwfile"]).arg(home.join("password"));
    run(initdb.arg("-D").arg(home.join("data")));
}

/// A program of the server, run as an ordinary user.
fn as_server(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    let user = NOBODY.to_string();
    command.args(["--reuid", &user, "--regid", &user, "--clear-groups"]).arg(program);
    command.current_dir("/");
    command
}

fn own_by_server(path: &Path) {
    if is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        if path.is_dir() {
            fs::read_dir(path).unwrap().for_each(|entry| own_by_server(&entry.unwrap().path()));
        }
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

fn copy(from: &Path, to: &Path) {
    fs::DirBuilder::new().mode(0o700).create(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let place = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &place);
        } else {
            fs::copy(entry.path(), place).unwrap();
        }
    }
}

fn run(command: &mut Command) {
    let done = command.stdin(Stdio::null()).output().unwrap();
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
}

fn log(home: &Path) -> String {
    fs::read_to_string(home.join("log")).unwrap_or_default()
}
