//! What systemd itself says of the units that are shipped.
//! It must never pass because the tool that judges is missing: then it says so.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Output},
};

const UNITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd");

/// A copy of the unit in a directory of its own, starting something that exists on every machine, with these drop-ins.
fn copy(drop_ins: &[&str]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let unit = std::fs::read_to_string(Path::new(UNITS).join("provost.service")).unwrap();
    let started: Vec<&str> = unit.lines().filter(|line| line.starts_with("ExecStart=")).collect();
    assert_eq!(started, ["ExecStart=/usr/bin/provost --config /etc/provost/provost.toml run"]);
    let unit = unit.replace(started[0], "ExecStart=/bin/true");
    std::fs::write(directory.path().join("provost.service"), unit).unwrap();
    let drop_in_directory = directory.path().join("provost.service.d");
    std::fs::create_dir(&drop_in_directory).unwrap();
    for name in drop_ins {
        std::fs::copy(Path::new(UNITS).join(name), drop_in_directory.join(name)).unwrap();
    }
    directory
}

/// The tool's answer; `None`, loudly, where there is no such tool.
fn ask(tool: &str, arguments: &[&str], directory: &Path) -> Option<Output> {
    match Command::new(tool).args(arguments).current_dir(directory).env("SYSTEMD_PAGER", "").output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            // Past the test harness, which would keep a passing test's words to itself.
            let mut loud = std::io::stderr();
            writeln!(loud, "SKIPPED: {tool} is not installed, the units were not judged").unwrap();
            None
        }
        Err(error) => panic!("{tool}: {error}"),
    }
}

fn said(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn the_unit_verifies_without_a_word() {
    for drop_ins in [&[][..], &["host-scan.conf"]] {
        let directory = copy(drop_ins);
        let Some(verified) = ask("systemd-analyze", &["verify", "./provost.service"], directory.path()) else { return };
        assert!(verified.status.success() && verified.stderr.is_empty(), "{drop_ins:?}: {}", said(&verified));
    }
}

#[test]
fn the_exposure_stays_below_the_bounds() {
    for (drop_ins, bound) in [(&[][..], "--threshold=15"), (&["host-scan.conf"], "--threshold=25")] {
        let directory = copy(drop_ins);
        let arguments = ["security", "--offline=true", bound, "./provost.service"];
        let Some(judged) = ask("systemd-analyze", &arguments, directory.path()) else { return };
        assert!(judged.status.success(), "{drop_ins:?} {bound}: {}", said(&judged));
    }
}

#[test]
fn the_users_and_directories_are_accepted() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("etc")).unwrap();
    let root = format!("--root={}", directory.path().display());
    let users = Path::new(UNITS).join("provost.sysusers.conf");
    let arguments = [root.as_str(), "--dry-run", users.to_str().unwrap()];
    if let Some(made) = ask("systemd-sysusers", &arguments, directory.path()) {
        let said = said(&made);
        assert!(made.status.success(), "{said}");
        assert!(said.contains("'provost'") && said.contains("'provost-operators'"), "{said}");
    }
}

#[test]
fn the_unit_says_what_the_daemon_relies_on() {
    let unit = std::fs::read_to_string(Path::new(UNITS).join("provost.service")).unwrap();
    for line in [
        "Type=notify",
        "TimeoutStopSec=30",
        "LimitCORE=0",
        "DynamicUser=yes",
        "User=provost",
        "RestartPreventExitStatus=2 5",
    ] {
        assert!(unit.lines().any(|found| found == line), "{line}");
    }
    assert!(unit.lines().any(|line| line.starts_with("WatchdogSec=")));
    let credentials: Vec<&str> = unit.lines().filter_map(|line| line.strip_prefix("LoadCredential=")).collect();
    assert!(!credentials.is_empty() && credentials.iter().all(|id| !id.contains(['/', ':'])), "{credentials:?}");
    assert!(
        !unit.lines().any(|line| !line.starts_with('#') && line.contains("/home")),
        "the shipped unit sees no homes"
    );
}
