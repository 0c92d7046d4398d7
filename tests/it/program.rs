//! The built program in a place of its own: private home and directories, no credentials from outside.
//! It must never touch anything outside of its place, nor end a process that it did not start.

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt as _, lchown},
        net::UnixDatagram,
        process::{CommandExt as _, ExitStatusExt as _},
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use provost_connectors::host::testtree::{self, Tree};
use serde_json::Value;

/// How long anything may take before a test gives up waiting for it.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Who is nobody on every machine.
const NOBODY: u32 = 65_534;

/// A place with nothing in it but what tests put there.
pub struct Place {
    directory: tempfile::TempDir,
    environment: Vec<(&'static str, &'static str)>,
    user: Option<u32>,
}

/// How a command ended, and what it said.
#[derive(Debug)]
pub struct Said {
    /// The exit status; 128 + the signal if one ended it.
    pub status: i32,
    /// Answers.
    pub out: String,
    /// Remarks.
    pub err: String,
}

/// A process that is ended when it is dropped.
pub struct Running(pub Child);

/// Where a daemon reports to as it would to a service manager.
pub struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Place {
    /// An empty place.
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("provost-it-").tempdir().unwrap();
        for name in ["home", "config/provost", "state", "run", "tree"] {
            fs::create_dir_all(directory.path().join(name)).unwrap();
        }
        Self { directory, environment: Vec::new(), user: None }
    }

    /// The same place for a program that is started with these variables too.
    pub fn with(mut self, environment: impl IntoIterator<Item = (&'static str, &'static str)>) -> Self {
        self.environment.extend(environment);
        self
    }

    /// The same place as somebody's who is not root: root decides nothing. Where the tests run as root it is given away with all
    /// that is in it, and the program runs there as nobody. Gives the number of whose it is now.
    pub fn of_somebody(mut self) -> (Self, u32) {
        let own = rustix::process::getuid();
        if !own.is_root() {
            return (self, own.as_raw());
        }
        give(&self.path(""), NOBODY);
        // Beside it: the program may lie where only root may look.
        let (program, here) = (env!("CARGO_BIN_EXE_provost"), self.path("provost"));
        fs::hard_link(program, &here).or_else(|_| fs::copy(program, &here).map(drop)).unwrap();
        self.user = Some(NOBODY);
        (self, NOBODY)
    }

    /// A place with the tree of every sort of file, and a configuration that looks at it alone.
    pub fn grown() -> (Self, Tree) {
        let place = Self::new();
        let tree = testtree::grow(&place.tree()).unwrap();
        place.configure("");
        (place, tree)
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What is looked at.
    pub fn tree(&self) -> PathBuf {
        self.path("tree")
    }

    /// The store.
    pub fn store(&self) -> PathBuf {
        self.path("state/provost")
    }

    /// The daemon's socket.
    pub fn socket(&self) -> PathBuf {
        self.path("run/provost/provost.sock")
    }

    /// The configuration file.
    pub fn configuration(&self) -> PathBuf {
        self.path("config/provost/provost.toml")
    }

    /// A source `tree` that looks at the tree and at nothing of the machine, with more settings of its own.
    pub fn configure(&self, more: &str) {
        let roots = self.tree();
        self.write_configuration(&format!(
            "[store]\nmin_free = \"1MiB\"\n\n[[sources]]\nname = \"tree\"\nconnector = \"host\"\n\
             roots = [{roots:?}]\nsystem = false\nmachine_id = \"0123456789abcdef0123456789abcdef\"\n{more}"
        ));
    }

    /// Replaces the configuration file.
    pub fn write_configuration(&self, text: &str) {
        fs::write(self.configuration(), text).unwrap();
    }

    /// The program with these words, in this place.
    pub fn command(&self, words: &[&str]) -> Command {
        self.command_through(&[], words)
    }

    /// The same, started by another program with words of its own.
    pub fn command_through(&self, starter: &[&str], words: &[&str]) -> Command {
        let program = match self.user {
            Some(_) => self.path("provost").display().to_string(),
            None => env!("CARGO_BIN_EXE_provost").to_owned(),
        };
        let all = [starter, &[program.as_str()], words].concat();
        let mut command = Command::new(all[0]);
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
            .args(&all[1..])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.path("home"))
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("XDG_STATE_HOME", self.path("state"))
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .envs(self.environment.iter().copied())
            .current_dir(self.directory.path())
            .stdin(Stdio::null());
        command
    }

    /// What the program says to these words.
    pub fn say(&self, words: &[&str]) -> Said {
        Said::of(&self.command(words).output().unwrap())
    }

    /// The same, when all must go well.
    pub fn done(&self, words: &[&str]) -> Said {
        let said = self.say(words);
        assert_eq!(said.status, 0, "{words:?}: {}{}", said.out, said.err);
        said
    }

    /// Starts the program; what it says is thrown away.
    pub fn start(&self, words: &[&str]) -> Running {
        Running(self.command(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// Starts the daemon and waits until it is ready; its log goes to `daemon.log`.
    pub fn daemon(&self) -> (Running, Manager) {
        self.daemon_by(&["run"])
    }

    /// The same, with other words.
    pub fn daemon_by(&self, words: &[&str]) -> (Running, Manager) {
        self.daemon_of(self.command(words))
    }

    /// The same, by a command of one's own.
    pub fn daemon_of(&self, mut command: Command) -> (Running, Manager) {
        let manager = Manager::new(&self.path("notify"));
        let log = fs::File::options().create(true).append(true).open(self.path("daemon.log")).unwrap();
        command.env("NOTIFY_SOCKET", &manager.path).stdout(Stdio::null()).stderr(log);
        let running = Running(command.spawn().unwrap());
        manager.wait_for("READY=1");
        (running, manager)
    }

    /// What the daemons of this place logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("daemon.log")).unwrap()
    }

    /// The objects that a list holds.
    pub fn listed(&self, words: &[&str]) -> Vec<Value> {
        let words = [words, &["-o", "ndjson"]].concat();
        self.done(&words).lines()
    }
}

impl Said {
    /// What a process that ended said.
    pub fn of(output: &Output) -> Self {
        Self {
            status: number(output.status),
            out: String::from_utf8(output.stdout.clone()).unwrap(),
            err: String::from_utf8(output.stderr.clone()).unwrap(),
        }
    }

    /// Answers of one object a line.
    pub fn lines(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Whether nobody needs to scroll sideways.
    pub fn fits(&self) -> bool {
        self.out.lines().chain(self.err.lines()).all(|line| line.chars().count() <= 100)
    }
}

impl Running {
    /// Sends it a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// The status it ends with.
    pub fn ends(&mut self) -> i32 {
        let mut status = None;
        until("it ends", || {
            status = self.0.try_wait().unwrap();
            status.is_some()
        });
        number(status.unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Manager {
    fn new(path: &Path) -> Self {
        let _ = fs::remove_file(path);
        let socket = UnixDatagram::bind(path).unwrap();
        // Whoever the daemon runs as: nobody else gets to the place.
        fs::set_permissions(path, fs::Permissions::from_mode(0o666)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, path: path.to_owned() }
    }

    /// The next message.
    pub fn next(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).unwrap_or_else(|error| panic!("no message came: {error}"));
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// All messages up to one that holds that line.
    pub fn wait_for(&self, line: &str) -> Vec<String> {
        let since = Instant::now();
        let mut before = Vec::new();
        while since.elapsed() < PATIENCE {
            before.push(self.next());
            if before.last().unwrap().lines().any(|it| it == line) {
                return before;
            }
        }
        panic!("{line:?} did not come, but {before:?}");
    }
}

/// Waits until it is so; gives up loudly.
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !so() {
        assert!(since.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn number(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

/// Gives everything below a path to a user.
fn give(path: &Path, user: u32) {
    lchown(path, Some(user), Some(user)).unwrap();
    if path.is_dir() && !path.is_symlink() {
        fs::read_dir(path).unwrap().for_each(|entry| give(&entry.unwrap().path(), user));
    }
}
