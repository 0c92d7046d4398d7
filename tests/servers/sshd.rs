//! A real OpenSSH server for tests: on a free port of this machine, with keys of its own, ended with its tests.
//! It must never listen beyond this machine, nor let anybody in by a password.

#![allow(dead_code, reason = "several programs use it, each a part of it")]

use std::{
    env, fs,
    io::{self, BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use tempfile::TempDir;

/// Names the server's program: set by `cargo xtask test`.
pub const PROGRAM: &str = "PROVOST_TEST_SSHD";
const TRIES: u32 = 300;

/// A running server, for the user who runs the test.
#[derive(Debug)]
pub struct Server {
    child: Child,
    home: TempDir,
    port: u16,
}

/// A server of the caller's own; `None`, said loudly, where there is none and none was asked for.
pub fn own() -> Option<Server> {
    let told = env::var_os(PROGRAM).map(PathBuf::from);
    if told.is_none() {
        let _ = writeln!(io::stderr(), "SKIPPED: no sshd; `cargo xtask test` installs it and sets {PROGRAM}");
    }
    told.map(|program| Server::start(&program))
}

impl Server {
    fn start(program: &Path) -> Self {
        let open = fs::Permissions::from_mode(0o755);
        let home = tempfile::Builder::new().prefix("provost-sshd").permissions(open).tempdir().unwrap();
        keygen(&home.path().join("host"));
        let keys = home.path().join("keys");
        fs::create_dir(&keys).unwrap();
        fs::write(keys.join("authorized_keys"), "").unwrap();
        fs::set_permissions(keys.join("authorized_keys"), fs::Permissions::from_mode(0o600)).unwrap();
        // As root it wants this directory, which only the init script of Debian makes.
        let _ = fs::create_dir("/run/sshd");
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut child = launched(program, home.path(), port);
            for _ in 0..TRIES {
                if child.try_wait().unwrap().is_some() {
                    // Somebody else took the port meanwhile.
                    break;
                }
                let greeted = TcpStream::connect(("127.0.0.1", port)).is_ok_and(|stream| {
                    let mut line = String::new();
                    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
                    BufReader::new(stream).read_line(&mut line).is_ok() && line.starts_with("SSH-")
                });
                if greeted {
                    return Self { child, home, port };
                }
                thread::sleep(Duration::from_millis(20));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("sshd does not start: {}", fs::read_to_string(home.path().join("log")).unwrap_or_default());
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its file of keys that may log in.
    pub fn authorized_keys(&self) -> PathBuf {
        self.home.path().join("keys/authorized_keys")
    }

    /// A file that knows its own key.
    pub fn known_hosts(&self) -> PathBuf {
        let key = fs::read_to_string(self.home.path().join("host.pub")).unwrap();
        let path = self.home.path().join("known_hosts");
        fs::write(&path, format!("[127.0.0.1]:{} {key}", self.port)).unwrap();
        path
    }

    /// What it wrote down.
    pub fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("log")).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes a key without a passphrase; the public half is beside it, as `.pub`.
pub fn keygen(path: &Path) {
    let mut keygen = Command::new("ssh-keygen");
    keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", "ann@ci", "-f"]).arg(path).stdin(Stdio::null());
    assert!(keygen.status().unwrap().success(), "ssh-keygen");
}

/// Without StrictModes: where tests have their files, everybody can add some.
fn launched(program: &Path, home: &Path, port: u16) -> Child {
    // Only root can see that an account is not locked; PAM is asked by anybody.
    let pam = if fs::metadata("/proc/self").unwrap().uid() == 0 { "no" } else { "yes" };
    let config = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {0}/host\nPidFile none\nAuthorizedKeysFile {0}/keys/authorized_keys\n\
         PubkeyAuthentication yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM {pam}\nUseDNS no\n\
         PermitRootLogin prohibit-password\nStrictModes no\nLogLevel VERBOSE\n",
        home.display()
    );
    fs::write(home.join("config"), config).unwrap();
    let log = fs::OpenOptions::new().create(true).append(true).open(home.join("log")).unwrap();
    let mut command = Command::new(program);
    command.args(["-D", "-e", "-f"]).arg(home.join("config"));
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    command.spawn().unwrap_or_else(|error| panic!("sshd does not start ({error}); run: cargo xtask test"))
}
