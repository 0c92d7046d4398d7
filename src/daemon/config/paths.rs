//! Where things are when nobody says so: for a user by the XDG rules, for the system service under /etc and /var.
//! It must never read the environment itself.

use std::path::{Path, PathBuf};

use super::{Environment, Problem};

/// Directory of the system service's configuration.
const SYSTEM_CONFIG: &str = "/etc/provost";

/// For whom Provost runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scene {
    /// For the user who started it.
    User,
    /// As the service of the whole system.
    System,
}

/// Places used unless the configuration names others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// For whom Provost runs.
    pub scene: Scene,
    /// The configuration file.
    pub file: PathBuf,
    /// Whether somebody named that file: then it must exist.
    pub file_named: bool,
    /// The store's directory.
    pub store: PathBuf,
    /// The key for fingerprints, outside the store so that no backup of the store carries it.
    pub fingerprint_key: PathBuf,
    /// The key for checkpoints of evidence.
    pub evidence_key: PathBuf,
    /// The daemon's socket.
    pub socket: PathBuf,
}

impl Paths {
    /// The places for this process, with the file named by `--config` if one is.
    pub fn find(named: Option<&Path>, environment: &Environment) -> Result<Self, Problem> {
        let system = environment.get("STATE_DIRECTORY").is_some()
            || named.is_some_and(|file| file.parent() == Some(Path::new(SYSTEM_CONFIG)));
        if system { Ok(Self::system(named)) } else { Self::user(named, environment) }
    }

    fn system(named: Option<&Path>) -> Self {
        Self {
            scene: Scene::System,
            file: named.map_or_else(|| Path::new(SYSTEM_CONFIG).join("provost.toml"), Path::to_owned),
            file_named: named.is_some(),
            store: "/var/lib/provost".into(),
            fingerprint_key: "/var/lib/provost-keys/fingerprint.key".into(),
            evidence_key: "/var/lib/provost-keys/evidence.key".into(),
            socket: "/run/provost/provost.sock".into(),
        }
    }

    fn user(named: Option<&Path>, environment: &Environment) -> Result<Self, Problem> {
        let config = home(environment, "XDG_CONFIG_HOME", ".config")?.join("provost");
        let store = home(environment, "XDG_STATE_HOME", ".local/state")?.join("provost");
        let runtime = absolute(environment, "XDG_RUNTIME_DIR").map(|directory| directory.join("provost"));
        Ok(Self {
            scene: Scene::User,
            file: named.map_or_else(|| config.join("provost.toml"), Path::to_owned),
            file_named: named.is_some(),
            socket: runtime.unwrap_or_else(|| store.clone()).join("provost.sock"),
            fingerprint_key: config.join("fingerprint.key"),
            evidence_key: config.join("evidence.key"),
            store,
        })
    }
}

/// A directory of the XDG base directory specification, which says to ignore relative ones.
fn home(environment: &Environment, variable: &str, below: &str) -> Result<PathBuf, Problem> {
    absolute(environment, variable).or_else(|| absolute(environment, "HOME").map(|home| home.join(below))).ok_or_else(
        || {
            Problem::new(
                "",
                format!("neither {variable} nor HOME is set; name the file with --config and the store in it"),
            )
        },
    )
}

fn absolute(environment: &Environment, variable: &str) -> Option<PathBuf> {
    environment.get(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(named: Option<&str>, variables: &[(&str, &str)]) -> Result<Paths, Problem> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Paths::find(named.map(Path::new), &Environment::new(variables, 1000))
    }

    #[test]
    fn a_user_has_the_xdg_places() {
        let plain = paths(None, &[("HOME", "/home/a")]).unwrap();
        assert_eq!(plain.file, Path::new("/home/a/.config/provost/provost.toml"));
        assert_eq!(plain.store, Path::new("/home/a/.local/state/provost"));
        assert_eq!(plain.socket, Path::new("/home/a/.local/state/provost/provost.sock"));
        let said = [
            ("HOME", "/home/a"),
            ("XDG_CONFIG_HOME", "/c"),
            ("XDG_STATE_HOME", "relative"),
            ("XDG_RUNTIME_DIR", "/run/user/1000"),
        ];
        let said = paths(Some("x.toml"), &said).unwrap();
        assert_eq!((said.file, said.file_named), (PathBuf::from("x.toml"), true));
        assert_eq!(said.fingerprint_key, Path::new("/c/provost/fingerprint.key"));
        assert_eq!(said.store, Path::new("/home/a/.local/state/provost"));
        assert_eq!(said.socket, Path::new("/run/user/1000/provost/provost.sock"));
        assert!(paths(None, &[]).is_err());
    }

    #[test]
    fn the_service_has_the_system_places() {
        for found in
            [paths(None, &[("STATE_DIRECTORY", "/var/lib/provost")]), paths(Some("/etc/provost/provost.toml"), &[])]
        {
            let found = found.unwrap();
            assert_eq!(found.scene, Scene::System);
            assert_eq!(found.file, Path::new("/etc/provost/provost.toml"));
            assert_eq!(found.store, Path::new("/var/lib/provost"));
            assert!(!found.fingerprint_key.starts_with(&found.store));
        }
    }
}
