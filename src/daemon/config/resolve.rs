//! Following a reference to the secret it names.
//! It must never use a shell, wait for ever, trust a program others can replace, or let a value into an error.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Read},
    os::unix::{
        fs::{MetadataExt, OpenOptionsExt},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use secrecy::{ExposeSecret, SecretBox, SecretString};

use super::Reference;

/// Longest secret, in bytes.
const LONGEST: u64 = 64 << 10;
/// Longest time a program may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a program that closed its output is asked whether it ended.
const GLANCE: Duration = Duration::from_millis(5);

/// What the process was started with; read once, at the very edge.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    uid: u32,
}

/// Why a secret could not be had. Names places, never contents.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// Nothing is there.
    #[error("{0} is not set")]
    Unset(String),
    /// systemd handed over no credentials at all.
    #[error("{0}: no credentials were handed over; they come from LoadCredential= in the unit")]
    NoCredentials(String),
    /// It cannot be read.
    #[error("{0} cannot be read: {1}")]
    Unreadable(String, io::Error),
    /// It is not what a secret can be.
    #[error("{0} {1}")]
    Unfit(String, &'static str),
    /// The program must not be run.
    #[error("{0} is not run: {1}")]
    Untrusted(String, String),
    /// The program failed.
    #[error("{0} {1}")]
    Failed(String, String),
}

impl Environment {
    /// An environment of these variables, for a process of that user.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>, uid: u32) -> Self {
        Self { variables: variables.into_iter().collect(), uid }
    }

    /// A variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The numeric id of the user the process runs as.
    pub fn uid(&self) -> u32 {
        self.uid
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Environment({} variables, uid {})", self.variables.len(), self.uid)
    }
}

impl Reference {
    /// The secret this reference names. Blocks, for at most ten seconds.
    pub fn resolve(&self, environment: &Environment) -> Result<SecretString, ResolveError> {
        let name = self.to_string();
        match self {
            Reference::Env(variable) => {
                environment.get(variable).map(SecretString::from).ok_or(ResolveError::Unset(name))
            }
            Reference::File(path) => from_file(name, path),
            Reference::Credential(id) => {
                let Some(directory) = environment.get("CREDENTIALS_DIRECTORY") else {
                    return Err(ResolveError::NoCredentials(name));
                };
                from_file(name, &Path::new(directory).join(id))
            }
            Reference::Exec { program, arguments } => {
                let program = trusted(&name, program, environment.uid)?;
                from_program(name, &program, arguments)
            }
        }
    }
}

fn from_file(name: String, path: &Path) -> Result<SecretString, ResolveError> {
    // Without blocking: a pipe put in the place of a file must not hold the daemon.
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    let opened = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = match opened.and_then(|file| file.metadata().map(|about| (file, about.is_file()))) {
        Ok((file, true)) => file,
        Ok((_, false)) => return Err(ResolveError::Unfit(name, "is not a regular file")),
        Err(error) => return Err(ResolveError::Unreadable(name, error)),
    };
    match read_bounded(file) {
        Ok(bytes) => secret(name, &bytes),
        Err(error) => Err(ResolveError::Unreadable(name, error)),
    }
}

fn read_bounded(from: impl Read) -> io::Result<SecretBox<Vec<u8>>> {
    let mut bytes = Vec::with_capacity(4096);
    from.take(LONGEST + 1).read_to_end(&mut bytes)?;
    Ok(SecretBox::new(Box::new(bytes)))
}

/// The bytes as text, without the line end that editors and programs add.
fn secret(name: String, bytes: &SecretBox<Vec<u8>>) -> Result<SecretString, ResolveError> {
    let bytes = bytes.expose_secret();
    if bytes.len() as u64 > LONGEST {
        return Err(ResolveError::Unfit(name, "is longer than 64 KiB"));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return Err(ResolveError::Unfit(name, "is not UTF-8 text")) };
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(ResolveError::Unfit(name, "is empty"));
    }
    Ok(SecretString::from(text))
}

/// The program's real path, if nobody but root and the daemon's user can replace it.
fn trusted(name: &str, program: &Path, uid: u32) -> Result<PathBuf, ResolveError> {
    let real = program.canonicalize().map_err(|error| ResolveError::Unreadable(name.to_owned(), error))?;
    let refused = |why: String| ResolveError::Untrusted(name.to_owned(), why);
    for (place, is_program) in real.ancestors().zip(std::iter::once(true).chain(std::iter::repeat(false))) {
        let about = place.metadata().map_err(|error| ResolveError::Unreadable(name.to_owned(), error))?;
        if is_program && !about.is_file() {
            return Err(refused("it is not a regular file".into()));
        }
        if about.uid() != 0 && about.uid() != uid {
            return Err(refused(format!(
                "{} belongs to uid {}, not to root or uid {uid}",
                place.display(),
                about.uid()
            )));
        }
        // In a sticky directory others can add files but not replace this one.
        let sticky = !is_program && about.mode() & 0o1000 != 0;
        if about.mode() & 0o022 != 0 && !sticky {
            return Err(refused(format!(
                "{} can be written by others (mode {:o})",
                place.display(),
                about.mode() & 0o7777
            )));
        }
    }
    Ok(real)
}

fn from_program(name: String, program: &Path, arguments: &[String]) -> Result<SecretString, ResolveError> {
    let until = Instant::now() + PATIENCE;
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|error| ResolveError::Unreadable(name.clone(), error))?;
    let output = child.stdout.take();
    let (tell, told) = mpsc::sync_channel(1);
    // Ends with the program: its group is killed below, which closes the pipe.
    std::thread::spawn(move || tell.send(output.map(read_bounded)));
    let read = told.recv_timeout(PATIENCE);
    let ended = if read.is_ok() { ended_by(&mut child, until) } else { None };
    if ended.is_none() {
        kill_group(&mut child);
    }
    match (read, ended) {
        (Ok(Some(Ok(bytes))), _) if bytes.expose_secret().len() as u64 > LONGEST => {
            Err(ResolveError::Unfit(name, "printed more than 64 KiB"))
        }
        (Ok(Some(Ok(bytes))), Some(status)) if status.success() => secret(name, &bytes),
        (Ok(Some(Err(error))), _) => Err(ResolveError::Unreadable(name, error)),
        (_, Some(status)) => Err(ResolveError::Failed(name, format!("ended with {status}"))),
        (_, None) => Err(ResolveError::Failed(name, format!("did not end within {} s", PATIENCE.as_secs()))),
    }
}

fn ended_by(child: &mut std::process::Child, until: Instant) -> Option<std::process::ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < until => std::thread::sleep(GLANCE),
            _ => return None,
        }
    }
}

fn kill_group(child: &mut std::process::Child) {
    let group = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(group) = group {
        // It may have ended by itself in this moment: then there is nothing to kill.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn here() -> Environment {
        let uid = rustix::process::getuid().as_raw();
        Environment::new([("TOKEN".to_owned(), "t0ken".to_owned()), ("EMPTY".to_owned(), String::new())], uid)
    }

    fn value(reference: &str, environment: &Environment) -> Result<String, String> {
        let reference: Reference = reference.parse().unwrap();
        let resolved = reference.resolve(environment).map_err(|error| error.to_string())?;
        Ok(resolved.expose_secret().to_owned())
    }

    fn program(directory: &Path, body: &str) -> PathBuf {
        let path = directory.join("program");
        std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        path
    }

    #[test]
    fn variables_come_from_the_environment_handed_in() {
        assert_eq!(value("env:TOKEN", &here()).unwrap(), "t0ken");
        assert_eq!(value("env:EMPTY", &here()).unwrap_err(), "env:EMPTY is not set");
        assert!(value("env:HOME", &here()).is_err());
    }

    #[test]
    fn files_lose_their_line_end_and_are_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("secret");
        let reference = format!("file:{}", file.display());
        for (content, found) in
            [("s\n", Some("s")), ("s\r\n", Some("s")), (" s \n\n", Some(" s \n")), ("\n", None), ("", None)]
        {
            std::fs::write(&file, content).unwrap();
            assert_eq!(value(&reference, &here()).ok().as_deref(), found, "{content:?}");
        }
        std::fs::write(&file, vec![b'a'; (LONGEST + 1) as usize]).unwrap();
        assert!(value(&reference, &here()).unwrap_err().ends_with("is longer than 64 KiB"));
        std::fs::write(&file, [0xff, 0xfe]).unwrap();
        assert!(value(&reference, &here()).unwrap_err().ends_with("is not UTF-8 text"));
        assert!(value(&format!("file:{}", directory.path().display()), &here()).is_err());
    }

    #[test]
    fn a_pipe_in_the_place_of_a_file_holds_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        assert!(value(&format!("file:{}", pipe.display()), &here()).unwrap_err().ends_with("is not a regular file"));
    }

    #[test]
    fn credentials_come_from_the_directory_systemd_names() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("api"), "v\n").unwrap();
        let named = ("CREDENTIALS_DIRECTORY".to_owned(), directory.path().display().to_string());
        assert_eq!(value("credential:api", &Environment::new([named], 0)).unwrap(), "v");
        assert!(value("credential:api", &here()).unwrap_err().contains("LoadCredential="));
    }

    #[test]
    fn programs_are_run_without_a_shell_and_without_our_environment() {
        let directory = tempfile::tempdir().unwrap();
        let path = program(directory.path(), "printf '%s|%s' \"$1\" \"$TOKEN\"");
        assert_eq!(value(&format!("exec:{} $(id)", path.display()), &here()).unwrap(), "$(id)|");
    }

    #[test]
    fn programs_that_fail_or_flood_are_named_without_their_output() {
        let directory = tempfile::tempdir().unwrap();
        let path = program(directory.path(), "echo s3cret; exit 3");
        let error = value(&format!("exec:{}", path.display()), &here()).unwrap_err();
        assert!(error.contains("exit status: 3") && !error.contains("s3cret"), "{error}");
        let path = program(directory.path(), "exec cat /dev/zero");
        let error = value(&format!("exec:{}", path.display()), &here()).unwrap_err();
        assert!(error.contains("64 KiB"), "{error}");
    }

    #[test]
    fn programs_others_could_replace_are_not_run() {
        let directory = tempfile::tempdir().unwrap();
        let path = program(directory.path(), "echo x");
        let reference = format!("exec:{}", path.display());
        assert_eq!(value(&reference, &here()).unwrap(), "x");
        for mode in [0o720, 0o702] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert!(value(&reference, &here()).unwrap_err().contains("can be written by others"), "{mode:o}");
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(value(&reference, &here()).unwrap_err().contains("can be written by others"));
    }
}
