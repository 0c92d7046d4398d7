//! A login over SSH that is tried: by the `ssh` program, with one key, and left before anything is done there.
//! It must never ask a person or an agent, trust a server's key that it does not know, or leave the private half on a disk.

use std::{
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::fs::{MemfdFlags, Mode, fchmod, memfd_create};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

use super::program::{Program, bare, end};
use crate::ActionError;

/// The usual program.
pub(crate) const SSH: &str = "/usr/bin/ssh";
/// How long a login may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Most that is read of what the program says, in bytes.
const MOST: u64 = 64 << 10;
/// What the program calls what it is given as its input, which it can read as often as it likes.
const INPUT: &str = "/proc/self/fd/0";
/// What `ssh` says of itself once it is let in (OpenSSH, `sshconnect2.c`), at the level VERBOSE.
const IN: &str = "Authenticated to ";

/// Who logs in where.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    program: Program,
    user: String,
    host: String,
    port: u16,
    known_hosts: PathBuf,
}

impl Login {
    /// `user@host`, `user@host:port` or `user@[address]:port`, and the file with the server's key.
    pub(crate) fn parse(setting: &str, text: &str, known_hosts: &Path) -> Result<Self, String> {
        let wrong = || format!("{setting}: expected USER@HOST or USER@HOST:PORT");
        let (user, place) = text.rsplit_once('@').ok_or_else(wrong)?;
        let (host, port) = match place.strip_prefix('[') {
            Some(place) => {
                let (host, rest) = place.split_once(']').ok_or_else(wrong)?;
                (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or_else(wrong)?) })
            }
            None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
        };
        let port = port.map_or(Ok(22), str::parse).map_err(|_| wrong())?;
        // Nothing that the program takes for an option of its own.
        let plain = |text: &str, more: &str| {
            !text.is_empty()
                && !text.starts_with('-')
                && text.chars().all(|it| it.is_ascii_alphanumeric() || "-_.".contains(it) || more.contains(it))
        };
        if !plain(user, "") || !plain(host, ":") {
            return Err(wrong());
        }
        let path = known_hosts.to_str().filter(|it| it.starts_with('/') && plain(it, "/+@=,"));
        path.ok_or_else(|| "known_hosts: expected an absolute path of plain letters".to_owned())?;
        let program = Program::parse("ssh", &[SSH.to_owned()])?;
        Ok(Self { program, user: user.to_owned(), host: host.to_owned(), port, known_hosts: known_hosts.to_owned() })
    }

    /// Whether it could be tried.
    pub(crate) fn check(&self) -> Result<(), ActionError> {
        let refused = |said: String| ActionError::GiveUp { said };
        self.program.trusted().map_err(|said| refused(format!("the ssh program is not run: {said}")))?;
        let known = std::fs::metadata(&self.known_hosts);
        known.map_err(|error| refused(format!("the file of known_hosts cannot be read: {}", error.kind())))?;
        Ok(())
    }

    /// Logs in with that key and leaves at once. [`ActionError::GiveUp`]: it is not let in.
    pub(crate) async fn tried(&self, private: &SecretString) -> Result<(), ActionError> {
        let refused = |said: &str| ActionError::GiveUp { said: said.to_owned() };
        let later = |said: String| ActionError::Retry { after: None, said };
        let path = self.program.trusted().map_err(|said| refused(&format!("the ssh program is not run: {said}")))?;
        let handed = handed(private);
        let written = |kind| later(format!("the key cannot be handed to the ssh program: {kind}"));
        let handed = handed.map_err(|error| written(error.kind()))?;
        let mut command = bare(&path);
        command.args(["-N", "-T", "-F", "none", "-i", INPUT, "-l", &self.user]).stdin(handed);
        command.args(["-p", &self.port.to_string()]);
        for option in OPTIONS {
            command.args(["-o", option]);
        }
        command.arg("-o").arg(format!("UserKnownHostsFile={}", self.known_hosts.display()));
        command.args(["--", &self.host]).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| later(format!("ssh does not start: {}", error.kind())))?;
        let heard = tokio::time::timeout(PATIENCE, heard(child.stderr.take())).await;
        end(&mut child).await;
        match heard {
            Ok(Heard::In) => Ok(()),
            Ok(Heard::Shut) => Err(refused("the server does not let the new key in")),
            Ok(Heard::Stranger) => Err(refused("the server's own key is not the one in known_hosts")),
            Ok(Heard::Nothing) => Err(later("the server cannot be reached over SSH".to_owned())),
            Err(_) => Err(later(format!("the server did not answer within {} s", PATIENCE.as_secs()))),
        }
    }
}

/// How ssh_config(5) names what is wanted.
const OPTIONS: [&str; 17] = [
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "GlobalKnownHostsFile=none",
    "UpdateHostKeys=no",
    "IdentitiesOnly=yes",
    "IdentityAgent=none",
    "AddKeysToAgent=no",
    "PreferredAuthentications=publickey",
    "PasswordAuthentication=no",
    "KbdInteractiveAuthentication=no",
    "ControlMaster=no",
    "ControlPath=none",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ConnectionAttempts=1",
    "ConnectTimeout=20",
    "LogLevel=VERBOSE",
];

enum Heard {
    In,
    Shut,
    Stranger,
    Nothing,
}

/// What the program says, until it is let in or ends.
async fn heard(from: Option<impl tokio::io::AsyncRead + Unpin>) -> Heard {
    let Some(from) = from else { return Heard::Nothing };
    let mut lines = BufReader::new(from.take(MOST)).lines();
    let mut heard = Heard::Nothing;
    while let Ok(Some(line)) = lines.next_line().await {
        if line.starts_with(IN) && line.contains("using \"publickey\"") {
            return Heard::In;
        }
        if line.contains("Permission denied (") {
            heard = Heard::Shut;
        } else if line.contains("Host key verification failed") {
            heard = Heard::Stranger;
        }
    }
    heard
}

/// The private half in memory that no path leads to: it is gone with whoever has it open, however they end.
fn handed(private: &SecretString) -> std::io::Result<File> {
    let mut file = File::from(memfd_create("key", MemfdFlags::CLOEXEC)?);
    // The program takes no key that others might read.
    fchmod(&file, Mode::RUSR | Mode::WUSR)?;
    file.write_all(private.expose_secret().as_bytes())?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use super::*;

    #[test]
    fn a_login_is_taken_apart_and_no_option_can_be_put_into_it() {
        let known = Path::new("/etc/ssh/known_hosts");
        for (text, user, host, port) in [
            ("git@github.com", "git", "github.com", 22),
            ("app@127.0.0.1:2222", "app", "127.0.0.1", 2222),
            ("app@[::1]:2222", "app", "::1", 2222),
            ("app@[::1]", "app", "::1", 22),
        ] {
            let login = Login::parse("login", text, known).unwrap();
            assert_eq!((login.user.as_str(), login.host.as_str(), login.port), (user, host, port));
        }
        for text in ["hunter2", "-oProxyCommand=x@h", "a@-h", "a@h:x", "a@[::1", "a@h h", "@h", "a@", "a@[::1]x"] {
            let said = Login::parse("login", text, known).unwrap_err();
            assert!(said.starts_with("login: ") && !said.contains("hunter2"), "{said}");
        }
        for path in ["known_hosts", "/a b", "/a%h", "/a\"b", "/~"] {
            assert!(Login::parse("login", "a@h", Path::new(path)).is_err(), "{path}");
        }
    }

    #[test]
    fn the_private_half_is_nobody_elses_and_in_no_directory() {
        let file = handed(&SecretString::from("s3cret")).unwrap();
        let about = file.metadata().unwrap();
        assert_eq!((about.permissions().mode() & 0o777, about.len(), about.nlink()), (0o600, 6, 0));
    }
}
