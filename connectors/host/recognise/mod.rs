//! Which files are looked into, and what is found in them: one recogniser per sort of place, one slice listing them.
//! It must never open anything: recognisers are handed names and bytes.
//!
//! To add one: a file here with a `const RECOGNISER` (what it is called, which names it takes, how it reads), its line
//! in [`ALL`], and a file of that sort in `testtree`.

mod agents;
mod aws;
mod azure;
mod cargo;
mod ci;
mod cloudflare;
mod compose;
mod databricks;
mod docker;
mod dotenv;
mod fly;
mod forges;
mod gcloud;
mod git;
mod kube;
mod maven;
mod mcp;
mod netrc;
mod npm;
mod nuget;
mod onepassword;
mod pem;
mod pypi;
mod rclone;
mod scheduled;
mod snowflake;
mod ssh;
mod systemd;
mod terraform;
mod vault;

use zeroize::Zeroizing;

pub(super) use git::percent_decoded;
#[cfg(any(test, feature = "testing"))]
pub(super) use rclone::VEIL;

use super::{found::Finds, place::Place, tree::Malformed};

/// Looks into one sort of file.
#[derive(Debug)]
pub(crate) struct Recogniser {
    /// The value of `store_kind` of what it finds.
    pub name: &'static str,
    /// What it looks into, in words.
    pub title: &'static str,
    /// Whether a file of that name exists only to keep secrets: one that cannot be read is then a record by itself.
    pub keeps_secrets: bool,
    /// Whether it takes a file of that name.
    pub takes: fn(&Place) -> bool,
    /// Finds what is in it.
    pub read: fn(&Place, &[u8], &mut Finds<'_>) -> Result<(), Malformed>,
}

/// Every recogniser; the first that takes a name reads the file.
pub(crate) static ALL: &[&Recogniser] = &[
    &aws::CREDENTIALS,
    &aws::SSO_CACHE,
    &aws::CLI_CACHE,
    &gcloud::CREDENTIALS,
    &gcloud::DATABASES,
    &azure::CACHES,
    &kube::CONFIG,
    &docker::CONFIG,
    &npm::NPMRC,
    &npm::YARNRC,
    &pypi::PYPIRC,
    &pypi::PIP_CONF,
    &cargo::CREDENTIALS,
    &git::CREDENTIALS,
    &git::CONFIG,
    &netrc::NETRC,
    &forges::GH,
    &forges::GLAB,
    &terraform::JSON,
    &terraform::RC,
    &vault::TOKEN,
    &databricks::PROFILES,
    &databricks::CACHE,
    &snowflake::CONNECTIONS,
    &snowflake::SNOWSQL,
    &snowflake::CACHE,
    &fly::CONFIG,
    &cloudflare::WRANGLER,
    &cloudflare::TUNNELS,
    &rclone::CONFIG,
    &onepassword::CONFIG,
    &onepassword::CONNECT,
    &maven::SETTINGS,
    &maven::SECURITY,
    &nuget::CONFIG,
    &agents::CREDENTIALS,
    &mcp::CLIENTS,
    &ssh::AUTHORIZED_KEYS,
    &pem::KEYS,
    &systemd::UNITS,
    &dotenv::DOTENV,
    &compose::COMPOSE,
    &ci::PIPELINES,
    &scheduled::CRON,
    &scheduled::ENVIRONMENT,
    &gcloud::KEY_FILES,
];

/// The recogniser that reads files of that name.
pub(crate) fn of(place: &Place) -> Option<&'static Recogniser> {
    ALL.iter().copied().find(|recogniser| (recogniser.takes)(place))
}

/// The file as text. Binary junk is no text.
fn text(bytes: &[u8]) -> Result<Zeroizing<String>, Malformed> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let head = bytes.get(..bytes.len().min(8192)).unwrap_or_default();
    if head.contains(&0) {
        return Err(Malformed(None));
    }
    Ok(Zeroizing::new(String::from_utf8_lossy(bytes).into_owned()))
}

/// Lines of `name = value` under `[section]` headings, as INI files have them: section, name, value.
fn ini(text: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    let mut section = "";
    text.lines().filter_map(move |line| {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[') {
            section = name.split(']').next().unwrap_or_default().trim();
            return None;
        }
        if line.starts_with(['#', ';']) {
            return None;
        }
        let (name, value) = line.split_once('=')?;
        Some((section, name.trim(), value.trim()))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use provost_model::Time;

    use super::*;
    use crate::fingerprint::FingerprintKey;

    fn places() -> Vec<Place> {
        crate::host::testtree::plain_names().into_iter().map(|name| Place::new(format!("/home/u/{name}"))).collect()
    }

    #[test]
    fn every_recogniser_takes_some_file_of_the_test_tree() {
        let places = places();
        for recogniser in ALL {
            let taken = places.iter().any(|place| of(place).is_some_and(|it| it.name == recogniser.name));
            assert!(taken, "{}", recogniser.name);
        }
    }

    #[test]
    fn names_of_recognisers_are_unique() {
        let mut names: Vec<_> = ALL.iter().map(|it| it.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }

    fn feed(bytes: &[u8]) {
        let key = FingerprintKey::new("k1", [1; 32]);
        let place = Place::new(*b"/home/u/.x/file");
        for recogniser in ALL {
            let mut finds = Finds::new(&key, Time::from_seconds(0));
            let _ = (recogniser.read)(&place, bytes, &mut finds);
            let _ = finds.finish();
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn random_bytes_harm_no_recogniser(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            feed(&bytes);
        }

        #[test]
        fn mutilated_files_harm_no_recogniser(seed in 0_usize..10_000, cut in 0_usize..4096, byte in any::<u8>()) {
            let files = crate::host::testtree::plain_files();
            let (_, mut bytes) = files[seed % files.len()].clone();
            if !bytes.is_empty() {
                let at = cut % bytes.len();
                bytes[at] = byte;
                feed(&bytes);
                bytes.truncate(at);
                feed(&bytes);
            }
        }
    }
}
