//! What a `host` source is configured to look at, and the few words about the machine it is handed.
//! It must never ask the environment: home, machine id and host name are arguments.

use std::{
    collections::BTreeSet,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Component, Path, PathBuf},
};

use hmac::{Hmac, KeyInit, Mac};
use provost_model::Realm;
use serde::Deserialize;
use sha2::Sha256;

/// Identifies this program towards a machine id, as machine-id(5) asks: the id itself is not shown to anybody.
const APPLICATION: [u8; 16] = *b"provost/host/v01";

/// Directories whose content is made by machines from what is elsewhere; each pattern is the end of a directory's path.
const EXCLUDED: &[&str] = &[
    "node_modules",
    ".git/objects",
    ".git/lfs",
    ".git/logs",
    ".git/refs",
    ".hg/store",
    ".svn/pristine",
    "site-packages",
    "dist-packages",
    "__pycache__",
    ".cargo/registry",
    ".cargo/git",
    ".rustup/toolchains",
    "target/debug",
    "target/release",
    ".npm/_cacache",
    ".npm/_npx",
    ".yarn/cache",
    ".pnpm-store",
    "go/pkg/mod",
    ".gradle/caches",
    ".m2/repository",
    ".ivy2/cache",
    ".cache/pip",
    ".cache/uv",
    ".cache/go-build",
    ".cache/yarn",
    ".cache/pnpm",
    ".cache/mozilla",
    ".cache/google-chrome",
    ".cache/chromium",
    ".cache/doc",
    ".cache/bazel",
    ".cache/huggingface/hub",
    ".local/share/Trash",
    ".local/share/containers/storage",
    ".local/share/docker",
    ".local/share/Steam",
    ".gvfs",
    ".terraform/providers",
    ".ccache",
    ".conda/pkgs",
    ".pyenv/versions",
    ".nvm/versions",
    ".vscode/extensions",
    ".vscode-server",
    ".cursor-server",
    ".cursor/extensions",
];

/// Everything a source's settings say.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Directories to look through, absolute, none twice.
    pub roots: Vec<PathBuf>,
    /// Whether the system's own places are looked at as well.
    pub system: bool,
    /// The directory under which the system's places lie; `/` but for images mounted elsewhere.
    pub system_root: PathBuf,
    /// How far a walk goes.
    pub bounds: Bounds,
    /// Ends of paths of directories that are not entered.
    pub exclude: BTreeSet<String>,
    /// What the machine is known by.
    pub environment: HostEnvironment,
    /// Changed by the operator to accept that roots were replaced.
    pub pins: String,
}

/// What the composition root tells of the machine.
#[derive(Clone, Debug, Default)]
pub(crate) struct HostEnvironment {
    /// The user's home.
    pub home: Option<PathBuf>,
    /// Where the user's configuration lies, if not in `.config` of the home.
    pub xdg_config_home: Option<PathBuf>,
    /// The content of `/etc/machine-id`.
    pub machine_id: Option<String>,
    /// The host's name.
    pub hostname: Option<String>,
    /// As which user the source looks.
    pub uid: Option<u32>,
    /// A realm id that overrides what follows from the machine.
    pub realm: Option<String>,
}

/// How far a walk goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Largest file that is read, in bytes.
    pub file_bytes: u64,
    /// Most directory entries looked at under one root.
    pub files: u64,
    /// Deepest nesting of directories under a root.
    pub depth: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AsTyped {
    roots: Option<Vec<PathBuf>>,
    system: Option<bool>,
    system_root: Option<PathBuf>,
    max_file_bytes: Option<u64>,
    max_files: Option<u64>,
    max_depth: Option<usize>,
    #[serde(default)]
    exclude: Vec<String>,
    #[serde(default)]
    pins: String,
    home: Option<PathBuf>,
    xdg_config_home: Option<PathBuf>,
    machine_id: Option<String>,
    hostname: Option<String>,
    uid: Option<u32>,
    realm: Option<String>,
}

impl Settings {
    /// The settings in a table; an error says which one is wrong and how.
    pub(crate) fn from_table(table: &serde_json::Map<String, serde_json::Value>) -> Result<Self, String> {
        let typed: AsTyped =
            serde_json::from_value(serde_json::Value::Object(table.clone())).map_err(|error| error.to_string())?;
        let environment = HostEnvironment {
            home: typed.home,
            xdg_config_home: typed.xdg_config_home,
            machine_id: typed.machine_id.map(|id| id.trim().to_owned()).filter(|id| !id.is_empty()),
            hostname: typed.hostname.filter(|name| !name.is_empty()),
            uid: typed.uid,
            realm: typed.realm,
        };
        let roots = match typed.roots {
            Some(roots) => roots,
            None => default_roots(&environment)?,
        };
        let bounds = Bounds {
            file_bytes: typed.max_file_bytes.unwrap_or(1 << 20).min(64 << 20),
            files: typed.max_files.unwrap_or(2_000_000),
            depth: typed.max_depth.unwrap_or(40).clamp(1, 200),
        };
        let system_root = typed.system_root.unwrap_or_else(|| PathBuf::from("/"));
        let all = roots.into_iter().map(|root| absolute(&root, environment.home.as_deref()));
        let mut exclude: BTreeSet<String> = EXCLUDED.iter().map(|pattern| (*pattern).to_owned()).collect();
        exclude.extend(
            typed.exclude.iter().map(|pattern| pattern.trim_matches('/').to_owned()).filter(|it| !it.is_empty()),
        );
        Ok(Self {
            roots: all.collect::<Result<BTreeSet<_>, _>>()?.into_iter().collect(),
            system: typed.system.unwrap_or(true),
            system_root: absolute(&system_root, None)?,
            bounds,
            exclude,
            environment,
            pins: typed.pins,
        })
    }

    /// Whatever changes what the same files lead to. Roots are not part of it: each has a cursor of its own.
    pub(crate) fn disposition(&self) -> String {
        let Bounds { file_bytes, files, depth } = self.bounds;
        let exclude = self.exclude.iter().map(String::as_str).collect::<Vec<_>>().join(",");
        let root = self.system_root.display();
        format!("bytes={file_bytes} files={files} depth={depth} exclude={exclude} root={root} pins={}", self.pins)
    }

    /// The authority for names on this host: from the machine id, or else from the host's name.
    pub(crate) fn realm(&self, machine_id: Option<&str>) -> Realm {
        if let Some(id) = &self.environment.realm {
            return Realm::new("host", id);
        }
        let id = self.environment.machine_id.as_deref().or(machine_id).map(str::trim);
        match (
            id.filter(|id| !id.is_empty() && *id != "uninitialized").and_then(application_specific),
            &self.environment.hostname,
        ) {
            (Some(id), _) => Realm::new("host", &id),
            (None, Some(name)) => Realm::new("host", &format!("name-{name}")),
            (None, None) => Realm::new("host", "unnamed"),
        }
    }
}

/// The machine id as this program may show it: HMAC-SHA-256 of the application's id, keyed with the machine's, shaped
/// as a random UUID; what `sd_id128_get_machine_app_specific(3)` computes.
fn application_specific(machine_id: &str) -> Option<String> {
    let key = hex::decode(machine_id).ok()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    mac.update(&APPLICATION);
    let digest = mac.finalize().into_bytes();
    let mut id: [u8; 16] = *digest.first_chunk::<16>()?;
    let [_, _, _, _, _, _, version, _, variant, ..] = &mut id;
    *version = (*version & 0x0f) | 0x40;
    *variant = (*variant & 0x3f) | 0x80;
    Some(hex::encode(id))
}

fn default_roots(environment: &HostEnvironment) -> Result<Vec<PathBuf>, String> {
    let home = environment.home.clone().ok_or("roots: not set, and no home directory is known")?;
    let elsewhere = environment.xdg_config_home.clone().filter(|it| it.is_absolute() && !it.starts_with(&home));
    Ok(std::iter::once(home).chain(elsewhere).collect())
}

/// The path with `~` resolved and without `.` and double slashes. `..` is refused: what it means depends on links.
fn absolute(path: &Path, home: Option<&Path>) -> Result<PathBuf, String> {
    let path = match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        (Ok(_), None) => return Err(format!("{}: no home directory is known", path.display())),
        (Err(_), _) => path.to_owned(),
    };
    if !path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
        return Err(format!("{}: must be an absolute path without `..`", path.display()));
    }
    let parts: PathBuf = path.components().collect();
    Ok(PathBuf::from(std::ffi::OsString::from_vec(parts.as_os_str().as_bytes().to_vec())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(table: serde_json::Value) -> Result<Settings, String> {
        Settings::from_table(table.as_object().unwrap())
    }

    #[test]
    fn the_home_is_the_default_and_roots_are_made_plain() {
        assert_eq!(settings(json!({"home": "/home/a"})).unwrap().roots, [PathBuf::from("/home/a")]);
        let roots =
            settings(json!({"home": "/home/a", "roots": ["~/src/", "/srv//x/.", "/home/a/src"]})).unwrap().roots;
        assert_eq!(roots, [PathBuf::from("/home/a/src"), PathBuf::from("/srv/x")]);
        assert!(settings(json!({"roots": ["src"]})).is_err());
        assert!(settings(json!({"roots": ["/a/../b"]})).is_err());
        assert!(settings(json!({})).is_err());
        assert!(settings(json!({"home": "/h", "rots": []})).unwrap_err().contains("rots"));
    }

    #[test]
    fn the_realm_hides_the_machine_id_and_survives_a_new_name() {
        let id = "0123456789abcdef0123456789abcdef";
        let one =
            settings(json!({"home": "/h", "machine_id": format!("{id}\n"), "hostname": "a"})).unwrap().realm(None);
        let two = settings(json!({"home": "/h", "hostname": "b"})).unwrap().realm(Some(id));
        assert_eq!(one, two);
        assert!(!one.as_str().contains(id) && one.as_str().len() == "host:".len() + 32);
        let named = settings(json!({"home": "/h", "hostname": "b"})).unwrap().realm(None);
        assert_eq!(named.as_str(), "host:name-b");
    }

    #[test]
    fn roots_do_not_make_other_roots_cursors_worthless() {
        let of = |table| settings(table).unwrap().disposition();
        assert_eq!(of(json!({"roots": ["/a"]})), of(json!({"roots": ["/a", "/b"], "system": false})));
        assert_ne!(of(json!({"roots": ["/a"]})), of(json!({"roots": ["/a"], "pins": "2"})));
        assert_ne!(of(json!({"roots": ["/a"]})), of(json!({"roots": ["/a"], "max_depth": 3})));
    }
}
