//! Programs of this machine that are run: with their own words, for a bounded time, and only such as nobody else can replace.
//! It must never use a shell, wait for ever, hand on the daemon's environment, or keep what a program prints.

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::process::{Child, Command};

use crate::ActionError;

/// A program, and what is said to it.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    path: PathBuf,
    words: Vec<String>,
}

impl Program {
    /// The program of a setting: an absolute path, and words that it is given as they are.
    pub(crate) fn parse(setting: &str, words: &[String]) -> Result<Self, String> {
        match words.split_first() {
            Some((path, words)) if path.starts_with('/') => Ok(Self { path: path.into(), words: words.to_vec() }),
            _ => Err(format!("{setting}: expected the absolute path of a program, and its words")),
        }
    }

    /// The program's real path, if nobody but root and the daemon's user can replace it.
    pub(crate) fn trusted(&self) -> Result<PathBuf, String> {
        trusted(&self.path, rustix::process::geteuid().as_raw())
    }

    /// Runs it to its end. It may have done something whenever it was started and did not end well.
    pub(crate) async fn run(&self, patience: Duration) -> Result<(), ActionError> {
        let path =
            self.trusted().map_err(|said| ActionError::GiveUp { said: format!("the program is not run: {said}") })?;
        let mut command = bare(&path);
        command.args(&self.words).stdout(Stdio::null()).stderr(Stdio::null());
        let started = command.spawn();
        let mut child = started.map_err(|error| ActionError::Retry {
            after: None,
            said: format!("the program does not start: {}", error.kind()),
        })?;
        let ended = tokio::time::timeout(patience, child.wait()).await;
        let said = match ended {
            Ok(Ok(status)) if status.success() => return Ok(()),
            Ok(Ok(status)) => format!("the program ended with {status}"),
            Ok(Err(error)) => format!("the program's end was not seen: {}", error.kind()),
            Err(_) => {
                end(&mut child).await;
                format!("the program did not end within {} s", patience.as_secs())
            }
        };
        Err(ActionError::Ambiguous { said })
    }
}

/// A command without our environment, input and directory, at the head of a group of its own.
pub(crate) fn bare(path: &Path) -> Command {
    let mut command = Command::new(path);
    command.env_clear().env("PATH", "/usr/bin:/bin").current_dir("/").stdin(Stdio::null());
    command.process_group(0).kill_on_drop(true);
    command
}

/// Ends a program and what it started.
pub(crate) async fn end(child: &mut Child) {
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(group) = group {
        // It may have ended by itself in this moment: then there is nothing to kill.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.wait().await;
}

/// The real path of a file, if nobody but root and that user can change or replace it.
pub(crate) fn trusted(program: &Path, uid: u32) -> Result<PathBuf, String> {
    let real = program.canonicalize().map_err(|error| error.kind().to_string())?;
    for (number, place) in real.ancestors().enumerate() {
        let about = place.metadata().map_err(|error| error.kind().to_string())?;
        let is_program = number == 0;
        if is_program && !about.is_file() {
            return Err("it is not a regular file".to_owned());
        }
        let what = if is_program { "it" } else { "a directory above it" };
        if about.uid() != 0 && about.uid() != uid {
            return Err(format!("{what} belongs neither to root nor to the daemon's user"));
        }
        // In a sticky directory others can add files but not replace this one.
        let sticky = !is_program && about.mode() & 0o1000 != 0;
        if about.mode() & 0o022 != 0 && !sticky {
            return Err(format!("{what} can be written by others"));
        }
    }
    Ok(real)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    fn script(dir: &Path, body: &str) -> Program {
        let path = dir.join("program");
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        Program::parse("reload", &[path.display().to_string(), "$(id)".into(), dir.display().to_string()]).unwrap()
    }

    #[tokio::test]
    async fn a_program_is_given_its_words_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let program = script(dir.path(), "printf '%s|%s' \"$1\" \"$HOME\" > \"$2/told\"");
        program.run(Duration::from_secs(20)).await.unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("told")).unwrap(), "$(id)|");
        assert!(Program::parse("reload", &["program".into()]).is_err() && Program::parse("reload", &[]).is_err());
    }

    #[tokio::test]
    async fn one_that_fails_or_hangs_may_have_done_something_and_one_that_others_can_replace_is_not_run() {
        let dir = tempfile::tempdir().unwrap();
        let failed = script(dir.path(), "echo s3cret; echo s3cret >&2; exit 3").run(Duration::from_secs(20)).await;
        let said = failed.unwrap_err();
        assert!(matches!(&said, ActionError::Ambiguous { said } if said.contains('3') && !said.contains("s3cret")));
        let slow = script(dir.path(), "sleep 600 & echo $! > \"$2/pid\"; wait").run(Duration::from_secs(1)).await;
        assert!(matches!(slow, Err(ActionError::Ambiguous { .. })), "{slow:?}");
        let pid = fs::read_to_string(dir.path().join("pid")).unwrap();
        let alive = || fs::read_to_string(format!("/proc/{}/stat", pid.trim())).is_ok_and(|it| !it.contains(") Z "));
        for _ in 0..200 {
            if alive() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        assert!(!alive(), "what it started is ended with it");
        let program = script(dir.path(), "echo x > \"$2/told\"");
        for mode in [0o720, 0o702] {
            fs::set_permissions(dir.path().join("program"), fs::Permissions::from_mode(mode)).unwrap();
            let refusal = program.run(Duration::from_secs(20)).await.unwrap_err();
            assert!(matches!(&refusal, ActionError::GiveUp { said } if said.contains("by others")), "{refusal}");
        }
        assert!(!dir.path().join("told").exists());
    }
}
