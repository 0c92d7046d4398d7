//! Which directories are looked through, each with a scope of its own: the configured roots, and the system's places.
//! It must never let the path of one scope be the beginning of another's: roots leave the selection one by one.

use std::path::{Path, PathBuf};

use super::{place::escaped, settings::Settings};

/// A directory with a scope of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Area {
    /// The scope's path.
    pub scope: String,
    /// Where it begins.
    pub path: PathBuf,
    /// Whether it is one of the system's places: absent or closed, it is left out.
    pub system: bool,
    /// Only the files right in it belong to it.
    pub shallow: bool,
    /// What is missed if it may not be read.
    pub holds: &'static str,
}

/// Places of the system, below its root, whether only files right in them count, and what they hold.
const SYSTEM: &[(&str, bool, &str)] = &[
    ("etc", true, "environments of sessions and scheduled jobs"),
    ("etc/ssh", false, "SSH host keys and keys that may log in"),
    ("etc/systemd/system", false, "secrets in systemd units"),
    ("etc/ssl/private", false, "private keys of TLS services"),
    ("etc/pki/tls/private", false, "private keys of TLS services"),
    ("etc/letsencrypt/archive", false, "private keys and certificates of TLS services"),
    ("etc/cron.d", false, "environments of scheduled jobs"),
    ("etc/default", false, "environments of services"),
    ("etc/kubernetes", false, "Kubernetes client configurations"),
    ("etc/rancher/k3s", false, "Kubernetes client configurations"),
    ("var/spool/cron/crontabs", false, "environments of scheduled jobs"),
];

/// Every area of a source.
pub(crate) fn all(settings: &Settings) -> Vec<Area> {
    let roots = settings.roots.iter().map(|path| Area {
        scope: scope("root", path),
        path: path.clone(),
        system: false,
        shallow: false,
        holds: "everything below it",
    });
    let system = SYSTEM.iter().filter(|_| settings.system).map(|(below, shallow, holds)| {
        let path = settings.system_root.join(below);
        Area { scope: scope("system", &path), path, system: true, shallow: *shallow, holds }
    });
    let mut areas: Vec<Area> = roots.collect();
    for area in system {
        // Already a root of its own: it keeps that scope.
        if !areas.iter().any(|it| it.path == area.path) {
            areas.push(area);
        }
    }
    areas
}

/// Whether a scope of that path is one this connector makes.
pub(crate) fn is_ours(scope: &str) -> bool {
    scope.ends_with(']') && (scope.starts_with("root[") || scope.starts_with("system["))
}

/// Brackets, so that `/home` does not hold `/home/alice`: each root comes and goes by itself.
fn scope(word: &str, path: &Path) -> String {
    format!("{word}[{}]", escaped(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str())))
}

#[cfg(test)]
mod tests {
    use provost_model::{Realm, Scope};
    use serde_json::json;

    use super::*;

    #[test]
    fn no_scope_lies_below_another() {
        let table = json!({"roots": ["/home", "/home/alice", "/", "/etc/ssh"]});
        let areas = all(&Settings::from_table(table.as_object().unwrap()).unwrap());
        let realm = Realm::new("host", "x");
        let scopes: Vec<_> = areas.iter().map(|area| Scope::new(realm.clone(), area.scope.clone())).collect();
        for (index, one) in scopes.iter().enumerate() {
            assert!(is_ours(&one.path));
            for (at, other) in scopes.iter().enumerate() {
                assert_eq!(one.holds(other), index == at, "{one} {other}");
            }
        }
        assert_eq!(scopes.len(), 4 + SYSTEM.len() - 1);
    }
}
