//! What the state files of Terraform and OpenTofu say is theirs: they would put back what is changed beside them.
//! It must never keep, show or log anything of a state file but ids and addresses: values of secrets stand in there.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use provost_model::{Record, field};
use serde::Deserialize;
use zeroize::Zeroizing;

/// Longest state file read, in bytes.
const MOST: u64 = 256 << 20;
/// The version of the format that is read: that of Terraform since 0.12 and of OpenTofu.
const VERSION: u64 = 4;
/// Shorter ids are equal by accident.
const ID_MIN: usize = 6;

/// State files, each read again when it changes.
#[derive(Debug, Default)]
pub struct StateFiles {
    files: Vec<PathBuf>,
    read: Mutex<BTreeMap<PathBuf, Known>>,
}

/// What a file said when it was read.
#[derive(Clone, Debug)]
struct Known {
    stamp: (Option<SystemTime>, u64),
    /// Ids, each with the address of its resource.
    ids: Arc<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct State {
    version: u64,
    #[serde(default)]
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    #[serde(default)]
    mode: String,
    #[serde(default)]
    module: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    name: String,
    #[serde(default)]
    instances: Vec<Instance>,
}

#[derive(Deserialize)]
struct Instance {
    #[serde(default)]
    attributes: Option<Attributes>,
}

/// The attributes by which providers name what they made. All others are passed over unread.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Attributes {
    id: Name,
    arn: Name,
    unique_id: Name,
    accessor: Name,
    serial_number: Name,
}

/// A name, or nothing where it is of another type.
#[derive(Default)]
struct Name(Option<String>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Any {
            Text(String),
            Number(u64),
            Other(serde::de::IgnoredAny),
        }
        Ok(Self(match Any::deserialize(deserializer)? {
            Any::Text(text) => Some(text),
            Any::Number(number) => Some(number.to_string()),
            Any::Other(_) => None,
        }))
    }
}

impl StateFiles {
    /// Those files; none is read yet.
    pub fn new(files: Vec<PathBuf>) -> Self {
        Self { files, read: Mutex::default() }
    }

    /// Who manages a record, as `Terraform (address in file)`, if one of the files has it; or why that cannot be told.
    pub fn manages(&self, record: &Record) -> Result<Option<String>, String> {
        for file in &self.files {
            let ids = self.ids(file).map_err(|said| format!("{}: {said}", file.display()))?;
            if let Some(address) = names(record).iter().find_map(|name| ids.get(name)) {
                return Ok(Some(format!("Terraform ({address} in {})", file.display())));
            }
        }
        Ok(None)
    }

    fn ids(&self, file: &Path) -> Result<Arc<BTreeMap<String, String>>, String> {
        let about = std::fs::metadata(file).map_err(|error| error.to_string())?;
        let stamp = (about.modified().ok(), about.len());
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = read.get(file).filter(|known| known.stamp == stamp) {
            return Ok(Arc::clone(&known.ids));
        }
        let ids = Arc::new(ids(file)?);
        read.insert(file.to_owned(), Known { stamp, ids: Arc::clone(&ids) });
        Ok(ids)
    }
}

/// Every id of a state file, with the address of its resource.
fn ids(file: &Path) -> Result<BTreeMap<String, String>, String> {
    let mut bytes = Zeroizing::new(Vec::new());
    let file = File::open(file).map_err(|error| error.to_string())?;
    let length = file.metadata().map_or(0, |about| about.len());
    if length > MOST {
        return Err(format!("it is longer than {} MiB", MOST >> 20));
    }
    // At once, so that no copy of what was read is left behind.
    bytes.reserve_exact(usize::try_from(length + 1).unwrap_or(0));
    file.take(MOST).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    // What a parser says may repeat what it read.
    let state: State = serde_json::from_slice(&bytes)
        .map_err(|error| format!("it is no state file (line {}, column {})", error.line(), error.column()))?;
    if state.version != VERSION {
        return Err(format!("it is of version {}; {VERSION} is read", state.version));
    }
    let mut ids = BTreeMap::new();
    for resource in state.resources.into_iter().filter(|it| it.mode == "managed") {
        let module = resource.module.map(|module| format!("{module}.")).unwrap_or_default();
        let address = format!("{module}{}.{}", resource.kind, resource.name);
        for attributes in resource.instances.into_iter().filter_map(|instance| instance.attributes) {
            let Attributes { id, arn, unique_id, accessor, serial_number } = attributes;
            for Name(name) in [id, arn, unique_id, accessor, serial_number] {
                let Some(name) = name else { continue };
                // Some providers write where it is before what it is called.
                let last = name.rsplit(':').next().unwrap_or_default().to_owned();
                let both = [Some(name.clone()), (last != name && !name.starts_with("arn:")).then_some(last)];
                for name in both.into_iter().flatten().filter(|it| it.len() >= ID_MIN) {
                    ids.insert(name, address.clone());
                }
            }
        }
    }
    Ok(ids)
}

/// What a record may be called in a state file.
fn names(record: &Record) -> Vec<String> {
    let mut names = record.externals.clone();
    names.extend(record.externals.iter().filter_map(|it| it.rsplit_once('/')).map(|(_, last)| last.to_owned()));
    names.extend(record.get(field::ARN).known());
    names.extend(record.get(field::KEY_ID).known());
    names.retain(|it| it.len() >= ID_MIN);
    names
}

#[cfg(test)]
mod tests {
    use provost_model::{Kind, Realm, RecordId, Time};
    use serde_json::json;

    use super::*;

    fn state() -> serde_json::Value {
        json!({
            "version": 4, "terraform_version": "1.9.0", "outputs": {"token": {"value": "hunter2-in-an-output"}},
            "resources": [
                {"mode": "managed", "type": "aws_iam_access_key", "name": "deploy", "instances": [
                    {"attributes": {"id": "AKIAMANAGED1", "secret": "hunter2-in-a-state-file", "user": "deployer"}}]},
                {"mode": "managed", "module": "module.ci", "type": "github_repository_deploy_key", "name": "k",
                    "instances": [{"attributes": {"id": "shop:87654321", "key": "ssh-ed25519 AAAA"}}, {"attributes": null}]},
                {"mode": "managed", "type": "aws_iam_role", "name": "r", "instances": [
                    {"attributes": {"id": "deploy-role", "arn": "arn:aws:iam::1:role/deploy-role", "unique_id": "AROAMANAGED"}}]},
                {"mode": "data", "type": "aws_iam_user", "name": "only_read", "instances": [{"attributes": {"id": "AIDAREAD"}}]},
                {"mode": "managed", "type": "x", "name": "odd", "instances": [{"attributes": {"id": 12, "arn": ["a"], "accessor": null}}]},
            ],
        })
    }

    fn record(external: &str) -> Record {
        Record {
            id: RecordId::from_bytes([1; 16]),
            kind: Kind::AccessKey,
            realm: Realm::from_text("aws:1"),
            externals: vec![external.to_owned()],
            identity: None,
            container: None,
            first_seen: Time::from_seconds(0),
            baseline: false,
            statements: Vec::new(),
        }
    }

    #[test]
    fn what_is_managed_is_known_by_its_ids_and_nothing_else_of_the_file_is_kept() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("terraform.tfstate");
        std::fs::write(&file, state().to_string()).unwrap();
        let files = StateFiles::new(vec![file.clone()]);
        let of = |external: &str| files.manages(&record(external)).unwrap();
        let here = |address: &str| Some(format!("Terraform ({address} in {})", file.display()));
        assert_eq!(of("AKIAMANAGED1"), here("aws_iam_access_key.deploy"));
        assert_eq!(of("shop/keys/87654321"), here("module.ci.github_repository_deploy_key.k"));
        assert_eq!(of("AROAMANAGED"), here("aws_iam_role.r"));
        for other in ["AKIAOTHER", "AIDAREAD", "12", "deployer", "hunter2-in-a-state-file"] {
            assert_eq!(of(other), None, "{other}");
        }
        assert!(!format!("{files:?}").contains("hunter2"));
        // What changes is read again, what cannot be read is no "no".
        let mut newer = state();
        newer["resources"][0]["instances"][0]["attributes"]["id"] = json!("AKIAMANAGED-2");
        std::fs::write(&file, newer.to_string()).unwrap();
        assert_eq!((of("AKIAMANAGED1"), of("AKIAMANAGED-2").is_some()), (None, true));
        let said = |text: &str| {
            std::fs::write(&file, text).unwrap();
            files.manages(&record("AKIAMANAGED1")).unwrap_err()
        };
        assert!(said(r#"{"version": 3, "modules": []}"#).ends_with("it is of version 3; 4 is read"));
        let broken = said(r#"{"version": 4, "resources": "hunter2-not-a-list"}"#);
        assert!(broken.contains("no state file (line 1") && !broken.contains("hunter2"), "{broken}");
        std::fs::remove_file(&file).unwrap();
        assert!(files.manages(&record("AKIAMANAGED1")).is_err());
    }
}
