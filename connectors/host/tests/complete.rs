//! Every planted secret is found as what it is, and none is told.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use provost_model::{Kind, Reading, field};

use super::*;
use crate::host::testtree;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_planted_secret_is_found_as_what_it_is_and_none_is_told() {
    let home = tempfile::tempdir().unwrap();
    let tree = testtree::grow(home.path()).unwrap();
    let found = discover(settings(home.path()), &Bookmarks::default()).await;
    assert!(found.cover(home.path()).is_full(), "{:?}", found.troubles);
    for planted in &tree.planted {
        let external = format!("{}/{}#{}", home.path().display(), planted.file, planted.position);
        let record = found.entities.iter().find(|it| it.key.external == external && it.key.kind == planted.kind);
        let same_file: Vec<_> = found
            .entities
            .iter()
            .filter(|it| it.key.external.contains(&planted.file))
            .map(|it| it.key.to_string())
            .collect();
        let record = record.unwrap_or_else(|| panic!("{external} as {} not among {same_file:#?}", planted.kind));
        assert_eq!(record.facts.get(field::PLAINTEXT), Reading::Known(true), "{external}");
        assert!(record.facts.get(field::FINGERPRINT).known().is_some(), "{external}");
        for said in [field::MODE, field::LOCATION, field::STORE_KIND, field::CREDENTIAL_TYPE] {
            assert!(record.facts.get(said).known().is_some(), "{external} {said:?}", said = said.field());
        }
        assert_eq!(record.facts.get(field::CREATED_AT), Reading::NotReported, "{external}");
        assert_eq!(record.facts.get(field::LAST_USED_AT), Reading::NotReported, "{external}");
    }
    let told = format!("{found:?}");
    let values: Vec<String> = tree.planted.iter().map(|it| it.value.clone()).collect();
    assert_eq!(leaks(&told, &values), Vec::<String>::new());
    // The same search finds what is planted on purpose, in each of its forms.
    for form in forms("a-value-planted-on-purpose/+") {
        assert_eq!(leaks(&format!("{told}{form}"), &["a-value-planted-on-purpose/+".to_owned()]).len(), 1, "{form}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_secret_in_six_places_has_one_fingerprint() {
    let home = tempfile::tempdir().unwrap();
    testtree::grow(home.path()).unwrap();
    let found = discover(settings(home.path()), &Bookmarks::default()).await;
    let print = |end: &str| found.at(end).facts.get(field::FINGERPRINT).known().unwrap();
    let shared = print(".docker/config.json#auths/registry.example/auth");
    for end in [
        ".git-credentials#git.example/robot",
        ".netrc#ftp.example/robot",
        "app/.env#DB_PASSWORD",
        "docker-compose.yml#services/db/environment/POSTGRES_PASSWORD",
        ".config/rclone/rclone.conf#box/pass",
    ] {
        assert_eq!(print(end), shared, "{end}");
    }
    assert_eq!(print(".aws/credentials#default/aws_secret_access_key"), print("app/.env#AWS_SECRET_ACCESS_KEY"));
    assert_eq!(print(".aws/credentials#default/aws_secret_access_key"), print("rclone.conf#s3/secret_access_key"));
    assert_eq!(print("tls/server.key#private key"), print("tls/server.crt#certificate"));
    let rsa = print(".ssh/id_rsa#private key");
    assert_eq!(
        found.entities.iter().filter(|it| it.facts.get(field::FINGERPRINT).known().as_ref() == Some(&rsa)).count(),
        2
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_matters_of_each_sort_is_said() {
    let home = tempfile::tempdir().unwrap();
    let tree = testtree::grow(home.path()).unwrap();
    let found = discover(settings(home.path()), &Bookmarks::default()).await;
    let aws = &found.at(".aws/credentials#default/aws_secret_access_key").facts;
    assert_eq!(aws.get(field::OPENS).known().as_deref(), Some("AKIAPLANTED234567ABC"));
    assert_eq!(aws.get(field::MODE).known().as_deref(), Some("0600"));
    assert_eq!(aws.get(field::READABLE_BY_OTHERS), Reading::Known(false));
    let sso = &found.at("0a1b.json#accessToken").facts;
    assert_eq!(sso.get(field::STATUS).known().unwrap().name(), "expired");
    let kube = &found.at(".kube/config#users/admin/token").facts;
    assert_eq!(kube.get(field::EXPIRES_AT), Reading::Known(Time::from_seconds(1_893_456_000)));
    assert_eq!(kube.get(field::SERVICE).known().as_deref(), Some("https://k8s.example:6443"));
    let ssh = &found.at(".ssh/id_rsa#private key").facts;
    assert_eq!((ssh.get(field::BITS), ssh.get(field::PASSPHRASE)), (Reading::Known(1024), Reading::Known(false)));
    let locked = &found.at(".ssh/id_ed25519#private key").facts;
    assert_eq!(
        (locked.get(field::PASSPHRASE), locked.get(field::PLAINTEXT)),
        (Reading::Known(true), Reading::Known(false))
    );
    let reference = found.at(".npmrc#//other.example/:_authToken");
    assert_eq!((reference.key.kind, reference.facts.get(field::PLAINTEXT)), (Kind::Secret, Reading::Known(false)));
    let weak = &found.at("tls/client.pem#certificate");
    assert_eq!(weak.facts.get(field::SIGNATURE_ALGORITHM).known().as_deref(), Some("sha1WithRSAEncryption"));
    let workload = weak.identity.as_ref().unwrap();
    assert!(found.entities.iter().any(|it| it.key == *workload && it.key.kind == Kind::Workload));
    for end in ["app/.env#SECRET_KEY", "app/.env#EMPTY_TOKEN", "app/.env#REF_TOKEN"] {
        assert!(!found.entities.iter().any(|it| it.key.external.ends_with(end)), "{end}");
    }
    for (file, position) in &tree.agents {
        let agent = found.at(&format!("{file}#{position}"));
        assert_eq!(agent.key.kind, Kind::AiAgent);
        assert!(agent.facts.get(field::CLIENT).known().is_some());
        let carried = found.entities.iter().filter(|it| it.identity.as_ref() == Some(&agent.key)).count();
        assert!(carried >= 1, "{file} {position}");
    }
    let cursor = &found.at(".cursor/mcp.json#mcpServers.s").facts;
    assert_eq!(cursor.get(field::COMMAND).known().as_deref(), Some("npx"));
    assert_eq!(cursor.get(field::TRANSPORT).known().as_deref(), Some("stdio"));
    let goose = &found.at("goose/config.yaml#extensions.s").facts;
    assert_eq!(goose.get(field::URL).known().as_deref(), Some("https://mcp.example/s/…/mcp"));
    assert!(found.realm.starts_with("host:"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_encrypted_is_said_to_be_there() {
    let home = tempfile::tempdir().unwrap();
    testtree::grow(home.path()).unwrap();
    let found = discover(settings(home.path()), &Bookmarks::default()).await;
    for (end, plaintext) in [
        (".m2/settings.xml#servers/sealed/password", Reading::Known(false)),
        (".m2/settings.xml#servers/env/password", Reading::Known(false)),
        (".m2/settings-security.xml#master", Reading::Known(true)),
        ("NuGet.Config#packageSourceCredentials/Other/Password", Reading::Known(false)),
        ("NuGet.Config#apikeys/https://feeds.example", Reading::Known(false)),
        ("backup/rclone.conf#", Reading::NotCollected),
        ("heroku/.netrc.gpg#", Reading::NotCollected),
    ] {
        let record = found.at(end);
        assert_eq!((record.key.kind, record.facts.get(field::PLAINTEXT)), (Kind::Secret, plaintext), "{end}");
        assert_eq!(record.facts.get(field::FINGERPRINT), Reading::NotReported, "{end}");
        assert!(record.facts.get(field::FINGERPRINT_NOTE).known().is_some(), "{end}");
    }
    let fact = |end: &str, of: provost_model::Attr<String>| found.at(end).facts.get(of).known();
    assert_eq!(fact("#etl/client_secret", field::OPENS).as_deref(), Some("4f1c"));
    assert_eq!(fact("#s3/secret_access_key", field::OPENS).as_deref(), Some("AKIAPLANTED234567ABC"));
    assert_eq!(fact("#prod/password", field::USERNAME).as_deref(), Some("LOADER"));
    assert_eq!(
        fact("Our Feed/ClearTextPassword", field::SERVICE).as_deref(),
        Some("https://feeds.example/v3/index.json")
    );
    assert_eq!(found.at("default.toml#oauth_token").facts.get(field::STATUS).known().unwrap().name(), "expired");
    assert_eq!(found.at("default.toml#refresh_token").facts.get(field::STATUS).known().unwrap().name(), "unknown");
}

/// A value as it is, and as it could be written elsewhere.
fn forms(value: &str) -> Vec<String> {
    let escaped: String = value
        .bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect();
    let json = serde_json::to_string(value).unwrap();
    vec![
        value.to_owned(),
        STANDARD.encode(value).trim_end_matches('=').to_owned(),
        URL_SAFE_NO_PAD.encode(value),
        hex::encode(value),
        escaped,
        json.trim_matches('"').to_owned(),
        format!("{:?}", value.as_bytes()),
    ]
}

fn leaks(text: &str, values: &[String]) -> Vec<String> {
    values.iter().filter(|value| forms(value).iter().any(|form| text.contains(form))).cloned().collect()
}
