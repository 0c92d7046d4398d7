//! A source's settings as typed and as meant.
//! It must never hold a credential: tokens and ids are named by references, and a value in their place is refused.

use std::{path::PathBuf, time::Duration};

use provost_client::{Ask, Limits, Mode};
use serde::Deserialize;

use crate::settings::{SWEEP_EVERY, no_sweep, pace, within};

/// Calls a second for each read when the server belongs to others too.
const SHARED_MOST: f64 = 50.0;
/// Calls in flight unless set.
const IN_FLIGHT: usize = 8;
/// Tokens looked at unless set.
const TOKENS: usize = 200;
/// Certificates of one mount read one by one unless set.
const CERTIFICATES: usize = 2_000;
/// Share of a cold read's calls that looking for new secret ids may cost in a warm run, unless set.
const WARM_SHARE: f64 = 0.045;
/// Most namespaces, prefixes and the like in one list.
const LIST_MAX: usize = 1_000;

/// What the settings mean.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    /// Where the server is: `https://vault.example.org:8200`.
    pub(super) address: String,
    /// How it signs in.
    pub(super) login: Login,
    /// The namespace it signs in at, and from which it looks; without slashes at the ends, empty for the root.
    pub(super) namespace: String,
    /// Namespaces looked at, below `namespace`.
    pub(super) namespaces: Namespaces,
    /// How fast.
    pub(super) pace: Mode,
    /// Calls in flight.
    pub(super) in_flight: usize,
    /// Time in which a sweep gets round.
    pub(super) sweep_every: Duration,
    /// Calls in one run.
    pub(super) max_calls: u64,
    /// Time of one call; not to be set.
    pub(super) attempt: Duration,
    /// Tokens looked at; 0: none.
    pub(super) tokens: usize,
    /// Certificates of one mount read one by one; 0: none.
    pub(super) certificates: usize,
    /// Share of a cold read's calls that looking for new secret ids may cost in a warm run.
    pub(super) warm_share: f64,
    /// Name in custom metadata under which a rotation period stands.
    pub(super) rotation_metadata: String,
    /// The file of an audit device on this host.
    pub(super) audit_log: Option<PathBuf>,
    /// Reads of values that the operator allows.
    pub(super) value_reads: Vec<ValueRead>,
    /// A file with the certificates of a private authority.
    pub(super) ca_file: Option<PathBuf>,
}

/// How it signs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Login {
    /// With a token.
    Token(String),
    /// As an AppRole, at that mount.
    AppRole {
        /// Path of the mount below `auth/`.
        mount: String,
        /// Reference of the role id.
        role_id: String,
        /// Reference of the secret id; none where the role asks for none.
        secret_id: Option<String>,
    },
}

/// Which namespaces are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Namespaces {
    /// The one it signs in at.
    Own,
    /// That and all below it.
    Recursive,
    /// These.
    These(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    address: String,
    token: Option<String>,
    role_id: Option<String>,
    secret_id: Option<String>,
    approle_mount: Option<String>,
    namespace: Option<String>,
    namespaces: Option<TypedNamespaces>,
    pace: Option<String>,
    in_flight: Option<usize>,
    sweep_every: Option<String>,
    max_calls: Option<u64>,
    tokens: Option<usize>,
    certificates: Option<usize>,
    warm_share: Option<f64>,
    rotation_metadata: Option<String>,
    audit_log: Option<PathBuf>,
    #[serde(default)]
    read_values: Vec<String>,
    ca_file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TypedNamespaces {
    Word(String),
    List(Vec<String>),
}

impl Settings {
    /// Reads a `[[sources]]` entry's own settings.
    pub(super) fn read(table: &serde_json::Map<String, serde_json::Value>) -> Result<Self, String> {
        let mut typed: Typed =
            serde_json::from_value(serde_json::Value::Object(table.clone())).map_err(|error| error.to_string())?;
        let login = login(&mut typed)?;
        let pace = pace(typed.pace.as_deref(), SHARED_MOST)?;
        let in_flight = within("in_flight", typed.in_flight.unwrap_or(IN_FLIGHT), (1, 256))?;
        let warm_share = within("warm_share", typed.warm_share.unwrap_or(WARM_SHARE), (0.0, 1.0))?;
        let namespaces = match typed.namespaces {
            None => Namespaces::Own,
            Some(TypedNamespaces::Word(word)) if word == "recursive" => Namespaces::Recursive,
            Some(TypedNamespaces::Word(word)) => {
                return Err(format!("namespaces = {word:?}: expected \"recursive\" or a list of namespaces"));
            }
            Some(TypedNamespaces::List(list)) => Namespaces::These(paths("namespaces", list)?),
        };
        for file in [&typed.audit_log, &typed.ca_file].into_iter().flatten() {
            if !file.is_absolute() {
                return Err(format!("{}: expected an absolute path", file.display()));
            }
        }
        Ok(Self {
            address: typed.address.trim_end_matches('/').to_owned(),
            login,
            namespace: typed.namespace.as_deref().map_or(Ok(String::new()), |it| namespace("namespace", it))?,
            namespaces,
            pace,
            in_flight,
            sweep_every: typed.sweep_every.as_deref().map_or(Ok(SWEEP_EVERY), span)?,
            max_calls: typed.max_calls.unwrap_or(u64::MAX),
            attempt: Limits::default().attempt,
            tokens: within("tokens", typed.tokens.unwrap_or(TOKENS), (0, 100_000))?,
            certificates: within("certificates", typed.certificates.unwrap_or(CERTIFICATES), (0, 100_000))?,
            warm_share,
            rotation_metadata: typed.rotation_metadata.unwrap_or_else(|| "rotation_period".to_owned()),
            audit_log: typed.audit_log,
            value_reads: value_reads(typed.read_values)?,
            ca_file: typed.ca_file,
        })
    }

    /// The references to secrets among them.
    pub(super) fn references(&self) -> Vec<&str> {
        match &self.login {
            Login::Token(reference) => vec![reference],
            Login::AppRole { role_id, secret_id, .. } => {
                [Some(role_id), secret_id.as_ref()].into_iter().flatten().map(String::as_str).collect()
            }
        }
    }
}

/// A mount and a path in it whose values may be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ValueRead {
    /// The mount, one segment.
    pub(super) mount: String,
    /// The path of a secret or folder in it; empty for all.
    path: String,
}

impl ValueRead {
    /// The reads to declare: of what is below the path, and of the path itself.
    pub(super) fn reads(&self) -> Vec<String> {
        let exact = format!("GET /v1/{}/data/{}", self.mount, self.path);
        match self.path.as_str() {
            "" => vec![format!("GET /v1/{}/data/{{path...}}", self.mount)],
            _ => vec![format!("{exact}/{{path...}}"), exact],
        }
    }

    /// The question for a secret's value, if it lies there.
    pub(super) fn ask(&self, path: &str) -> Option<Ask> {
        let reads = self.reads();
        match path.strip_prefix(self.path.as_str())? {
            "" => Some(Ask::get(reads.get(1)?.clone(), &[])),
            rest if self.path.is_empty() => Some(Ask::get(reads.first()?.clone(), &[rest])),
            rest => Some(Ask::get(reads.first()?.clone(), &[rest.strip_prefix('/')?])),
        }
    }
}

fn value_reads(list: Vec<String>) -> Result<Vec<ValueRead>, String> {
    let reads = paths("read_values", list)?.into_iter().map(|path| {
        // Signs that a declared path would have to encode are left to folders above it.
        if !path.chars().all(|it| it.is_ascii_alphanumeric() || "-._~/".contains(it)) {
            return Err(format!("read_values = {path:?}: name a folder of letters, digits and -._~ that it lies in"));
        }
        let (mount, path) = path.split_once('/').unwrap_or((&path, ""));
        Ok(ValueRead { mount: mount.to_owned(), path: path.to_owned() })
    });
    reads.collect()
}

fn login(typed: &mut Typed) -> Result<Login, String> {
    let (token, role_id, secret_id) = (typed.token.take(), typed.role_id.take(), typed.secret_id.take());
    match (token, role_id) {
        (Some(token), None) if secret_id.is_none() => Ok(Login::Token(token)),
        (None, Some(role_id)) => {
            let mount = typed.approle_mount.as_deref().unwrap_or("approle");
            Ok(Login::AppRole { mount: namespace("approle_mount", mount)?, role_id, secret_id })
        }
        (Some(_), _) => Err("token and role_id are two ways to sign in: give one".to_owned()),
        (None, None) => Err("token or role_id is missing: how is it to sign in?".to_owned()),
    }
}

fn paths(name: &str, list: Vec<String>) -> Result<Vec<String>, String> {
    if list.len() > LIST_MAX {
        return Err(format!("{name}: more than {LIST_MAX} entries"));
    }
    list.iter().map(|it| namespace(name, it)).collect()
}

/// A path without slashes at its ends.
fn namespace(name: &str, text: &str) -> Result<String, String> {
    let path = text.trim_matches('/');
    let sound = |it: &str| !it.is_empty() && !matches!(it, "." | "..") && !it.contains(char::is_control);
    if path.is_empty() && name != "namespace" || !path.is_empty() && !path.split('/').all(sound) {
        return Err(format!("{name} = {text:?}: expected a path such as \"team-a/prod\""));
    }
    Ok(path.to_owned())
}

/// A length of time such as `7d`, `12h` or `30m`.
fn span(text: &str) -> Result<Duration, String> {
    let read = seconds_of(text).filter(|it| (60..=10_000 * 86_400).contains(it));
    read.map(Duration::from_secs).ok_or_else(|| no_sweep(text))
}

/// The seconds of a length of time such as `90d`, `12h`, `30m`, `86400s`, `2w`, or a bare number of seconds.
pub(super) fn seconds_of(text: &str) -> Option<u64> {
    let text = text.trim();
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "w" => 7 * 86_400,
        "d" => 86_400,
        "h" => 3_600,
        "m" => 60,
        "s" => 1,
        _ => return text.parse().ok(),
    };
    number.trim().parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: serde_json::Value) -> Result<Settings, String> {
        Settings::read(value.as_object().unwrap())
    }

    #[test]
    fn an_address_and_a_reference_are_enough() {
        let settings = read(json!({"address": "https://bao.example.org:8200/", "token": "env:BAO_TOKEN"})).unwrap();
        assert_eq!(settings.address, "https://bao.example.org:8200");
        assert_eq!(settings.login, Login::Token("env:BAO_TOKEN".into()));
        assert_eq!((settings.namespace.as_str(), settings.namespaces), ("", Namespaces::Own));
        assert!(settings.audit_log.is_none());
        let approle = json!({"address": "https://x", "role_id": "file:/r", "secret_id": "credential:s",
            "approle_mount": "team/approle/", "namespaces": ["a/b/", "c"]});
        let settings = read(approle).unwrap();
        assert!(matches!(settings.login, Login::AppRole { mount, .. } if mount == "team/approle"));
        assert_eq!(settings.namespaces, Namespaces::These(vec!["a/b".into(), "c".into()]));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_would() {
        let with = |name: &str, value: serde_json::Value| {
            let mut table = json!({"address": "https://x", "token": "env:T"});
            table[name] = value;
            table
        };
        for (table, says) in [
            (with("pace", json!("fast")), "shared"),
            (with("in_flight", json!(0)), "1 to 256"),
            (with("sweep_every", json!("soon")), "7d"),
            (with("namespaces", json!("all")), "recursive"),
            (with("namespaces", json!(["a/../b"])), "a path"),
            (with("audit_log", json!("audit.log")), "absolute"),
            (with("read_values", json!([""])), "a path"),
            (with("read_values", json!(["kv/{path...}"])), "letters"),
            (with("warm_share", json!(2.0)), "0 to 1"),
            (with("role_id", json!("env:R")), "two ways"),
            (with("secret_id", json!("env:R")), "two ways"),
            (with("password", json!("x")), "unknown field"),
            (json!({"address": "https://x"}), "missing"),
            (json!({"token": "env:T"}), "address"),
        ] {
            let error = read(table).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn only_values_of_the_paths_named_may_be_asked_for() {
        let settings = json!({"address": "https://x", "token": "env:T", "read_values": ["kv/prod/db", "all/"]});
        let reads = read(settings).unwrap().value_reads;
        assert_eq!(reads[0].reads(), ["GET /v1/kv/data/prod/db/{path...}", "GET /v1/kv/data/prod/db"]);
        assert_eq!(reads[1].reads(), ["GET /v1/all/data/{path...}"]);
        let asked = |path: &str| reads[0].ask(path).map(|it| it.read().to_owned());
        assert_eq!(asked("prod/db").as_deref(), Some("GET /v1/kv/data/prod/db"));
        assert_eq!(asked("prod/db/x/y").as_deref(), Some("GET /v1/kv/data/prod/db/{path...}"));
        for other in ["prod", "prod/dbx", "prod/d", "x/prod/db"] {
            assert_eq!(asked(other), None, "{other}");
        }
    }

    #[test]
    fn lengths_of_time_are_read_as_people_write_them() {
        let table = [
            ("90d", Some(90 * 86_400)),
            ("24h0m", None),
            ("86400", Some(86_400)),
            ("2w", Some(14 * 86_400)),
            ("30 m", Some(1_800)),
            ("", None),
            ("d", None),
            ("-1d", None),
            ("99999999999999999d", None),
            ("é", None),
        ];
        for (text, seconds) in table {
            assert_eq!(seconds_of(text), seconds, "{text:?}");
        }
    }
}
