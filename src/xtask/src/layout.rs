//! Finds out which functions of the program run, and writes the list by which the linker lays them side by side:
//! `src/daemon/used.ld`, read by `src/daemon/build.rs`. Run it again after large changes, and when the compiler names
//! functions otherwise. A daemon cannot be watched: its clock is read from a page of the kernel's that the watcher does not
//! map; what scans and judges in it is the same. It must never be needed for a build: a list that is out of date costs memory
//! and nothing else.

mod map;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use self::map::Map;
use crate::{
    bench::{Endpoint, Program, built_endpoint},
    finish, say, tools,
};

/// The list, from the project's root.
const USED: &str = "src/daemon/used.ld";
/// What watches a program run: it names every function that was called. The Debian package has the same name.
const WATCHER: &str = "valgrind";
/// Users to scan: so many that the journal fills and goes into the engine's trees.
const USERS: u64 = 6000;

/// Runs `layout --endpoint DIR`.
pub fn run(words: &[String]) -> Result<()> {
    let ["--endpoint", directory] = words.iter().map(String::as_str).collect::<Vec<_>>()[..] else {
        bail!("--endpoint DIR is missing: the directory of the endpoint's crate (a Cargo package named iamreplay)");
    };
    tools::debian_package(WATCHER, WATCHER)?;
    let endpoint = built_endpoint(Path::new(directory))?;
    let place = tools::target().join("layout");
    fs::create_dir_all(&place)?;
    // The map stays: a program that is built already is not linked again.
    for calls in calls(&place)? {
        fs::remove_file(calls)?;
    }
    let watched = Watched { program: named_program(&place)?, place };
    let map = Map::read(&fs::read_to_string(watched.place.join("map"))?);
    for engine in ["redb", "sled"] {
        watched.scans(&endpoint, engine)?;
    }
    watched.this_host()?;
    let called = watched.called()?;
    let list = map.list(&called);
    if list.names < 1000 {
        bail!("of {} functions that ran the map knows {}: were their names removed?", called.len(), list.names);
    }
    fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(USED), list.text)?;
    say(&format!("{} functions ran; {USED} has {} names of them. Build again to use it.", called.len(), list.names));
    Ok(())
}

/// The program with its names, and the linker's map of it.
fn named_program(place: &Path) -> Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    cargo.args(["rustc", "--release", "--quiet", "--locked", "--package", "provost", "--bin", "provost", "--"]);
    cargo.args(["-C", "strip=none"]).arg(format!("-Clink-arg=-Wl,-Map={}", place.join("map").display()));
    finish(cargo)?;
    let program = place.join("provost");
    fs::copy(tools::target().join("release/provost"), &program)?;
    Ok(program)
}

/// A program whose calls are written down.
struct Watched {
    program: PathBuf,
    place: PathBuf,
}

impl Watched {
    /// A first scan of an account, and one of it when something has changed.
    fn scans(&self, endpoint: &Path, engine: &str) -> Result<()> {
        let endpoint = Endpoint::start(endpoint, USERS, &["--latency-ms", "0"])?;
        let program = Program::new(&self.program, &endpoint.url(), "full", engine)?;
        self.finish(&program.command(&["scan"]), "cold")?;
        endpoint.get("/__churn?rotate_permille=10&use_pct=50&seed=7")?;
        endpoint.get("/__reset?report=1")?;
        self.finish(&program.command(&["scan"]), "warm")
    }

    /// What somebody sees who runs the program for the first time.
    fn this_host(&self) -> Result<()> {
        let home = self.place.join("home");
        let _ = fs::remove_dir_all(&home);
        fs::create_dir_all(&home)?;
        // Its roots are written down, and must be told without detours.
        let home = fs::canonicalize(home)?;
        let mut quickstart = Command::new(&self.program);
        quickstart.env_clear().env("HOME", &home).args(["quickstart", "--once", "--no-aws"]);
        self.finish(&quickstart, "host")
    }

    /// Runs a command to its end. That it did not see everything, status 3, is no fault here.
    fn finish(&self, command: &Command, name: &str) -> Result<()> {
        let ended = self.command(command, name).status().context(WATCHER)?;
        match ended.code() {
            Some(0 | 3) => Ok(()),
            _ => bail!("{name}: {ended}"),
        }
    }

    fn command(&self, command: &Command, name: &str) -> Command {
        let mut watcher = quiet(Command::new(WATCHER));
        watcher.env_clear().env("PATH", "/usr/bin:/bin");
        watcher.args(["--tool=callgrind", "--demangle=no", "--compress-strings=no"]);
        watcher.arg(format!("--callgrind-out-file={}/{name}.%p.calls", self.place.display()));
        watcher.arg(command.get_program()).args(command.get_args());
        watcher.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        watcher
    }

    /// The names of everything that ran.
    fn called(&self) -> Result<BTreeSet<String>> {
        let mut called = BTreeSet::new();
        for file in calls(&self.place)? {
            let text = fs::read_to_string(&file)?;
            called.extend(text.lines().filter_map(|line| line.strip_prefix("fn=")).map(map::plain));
        }
        Ok(called)
    }
}

/// The files in which the watcher wrote what was called.
fn calls(place: &Path) -> Result<Vec<PathBuf>> {
    let files = fs::read_dir(place)?.map(|file| Ok(file?.path())).collect::<Result<Vec<_>>>()?;
    Ok(files.into_iter().filter(|path| path.extension().is_some_and(|it| it == "calls")).collect())
}

fn quiet(mut command: Command) -> Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}
