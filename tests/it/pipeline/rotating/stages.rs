//! Real counterparts on which rotations are played: a fresh credential for each play.
//! It must never leave a server behind.

use std::{
    fs,
    path::{Path, PathBuf},
};

use provost_actions::rotators::Rotator;
use provost_model::{Kind, Remedy, Target};
use serde_json::{Value, json};

use super::github;
use crate::{
    aws_proxy::{self, Aws},
    openbao, postgres, sshd,
};

/// A credential that can be rotated, and how.
pub(super) struct Play {
    /// The `[[rotations]]` entry, without what is common to all.
    pub(super) entry: String,
    /// Secrets by the names of their variables.
    pub(super) secrets: Vec<(String, String)>,
    pub(super) kind: Kind,
    pub(super) external: String,
    pub(super) holder: String,
}

/// One sort of credential with its servers.
pub(super) trait Stage: Send + Sync {
    fn name(&self) -> &'static str;

    /// A fresh credential; `None`, said loudly, where its servers are not there.
    fn play(&self, number: usize) -> Play;

    /// What is done about it.
    fn remedy(&self) -> Remedy {
        Remedy::Rotate
    }

    /// What people call it.
    fn called(&self, play: &Play) -> String {
        play.external.clone()
    }

    /// How many of them work in the end, as the counterpart itself says; one more than is right if one is left over.
    fn working(&self, play: &Play) -> usize;
}

/// Every stage whose servers are there.
pub(super) fn all() -> Vec<Box<dyn Stage>> {
    let mut stages: Vec<Box<dyn Stage>> = Vec::new();
    // Each has an account of its own: whoever seeds one must be alone there for a moment.
    if let Some(stage) = AccessKeys::new() {
        stages.push(Box::new(stage));
    }
    if let Some(aws) = aws_proxy::own() {
        let admin = aws.admin("rotates");
        aws.iam(&format!("Action=CreatePolicy&PolicyName=reads&PolicyDocument={}", aws_proxy::HARMLESS));
        stages.push(Box::new(Policies { aws, admin }));
    }
    if let Some(aws) = aws_proxy::own() {
        let admin = aws.admin("rotates");
        stages.push(Box::new(Secrets { aws, admin }));
    }
    stages.extend(github::all());
    if let Some(bao) = openbao::own() {
        let accessor = mounted(&bao, "auth/approle", &json!({ "type": "approle" }));
        stages.push(Box::new(AppRoles { bao, accessor, files: tempfile::tempdir().unwrap() }));
    }
    if let Some(bao) = openbao::own() {
        let accessor = mounted(&bao, "transit", &json!({ "type": "transit" }));
        stages.push(Box::new(Transit { bao, accessor }));
    }
    if let Some(bao) = openbao::own() {
        let accessor = authority(&bao);
        stages.push(Box::new(Certificates { bao, accessor }));
    }
    if let (Some(bao), Some(database)) = (openbao::own(), postgres::own(false)) {
        let accessor = mounted(&bao, "database", &json!({ "type": "database" }));
        stages.push(Box::new(StaticRoles { bao, accessor, database }));
    }
    if let Some(database) = postgres::own(false) {
        let url = database.fresh();
        database.query(&url, "CREATE ROLE acts LOGIN SUPERUSER PASSWORD 'acts-password'");
        stages.push(Box::new(Logins { database, url, files: tempfile::tempdir().unwrap() }));
    }
    if let Some(server) = sshd::own() {
        stages.push(Box::new(SshKeys { server, files: tempfile::tempdir().unwrap() }));
    }
    stages
}

/// How many slots of a target work.
pub(super) async fn active(rotator: &dyn Rotator, target: &Target) -> Vec<String> {
    let slots = rotator.look(target).await.unwrap();
    slots.into_iter().filter(|slot| slot.active).map(|slot| slot.id).collect()
}

fn mounted(bao: &openbao::Server, path: &str, body: &Value) -> String {
    bao.write(&format!("sys/{}{path}", if path.starts_with("auth/") { "" } else { "mounts/" }), body);
    let (_, answer) = bao.ask("GET", &format!("sys/internal/ui/mounts/{path}"), None);
    answer["data"]["accessor"].as_str().unwrap().to_owned()
}

fn at_bao(bao: &openbao::Server, rest: &str) -> String {
    format!("address = \"{}\"\ntoken = \"env:BAO_TOKEN\"\n{rest}", bao.url())
}

fn kept_in(bao: &openbao::Server, path: &str, fields: &str) -> String {
    format!(
        "[[rotations.places]]\nkind = \"vault_kv\"\n{}",
        at_bao(bao, &format!("mount = \"secret\"\npath = \"{path}\"\nfields = {{ {fields} }}\n"))
    )
}

fn root() -> Vec<(String, String)> {
    vec![("BAO_TOKEN".to_owned(), openbao::ROOT.to_owned())]
}

fn at_aws(aws: &Aws, (id, key): &(String, String)) -> (String, Vec<(String, String)>) {
    let origin = &aws.origin;
    let entry = format!(
        "access_key_id = \"env:AWS_ID\"\nsecret_access_key = \"env:AWS_KEY\"\nregion = \"us-east-1\"\n\
         endpoint = \"{origin}\"\nsts_endpoint = \"{origin}\"\n"
    );
    (entry, vec![("AWS_ID".to_owned(), id.clone()), ("AWS_KEY".to_owned(), key.clone())])
}

struct Policies {
    aws: Aws,
    admin: (String, String),
}

impl Stage for Policies {
    fn name(&self) -> &'static str {
        "aws_attached_policy"
    }

    fn remedy(&self) -> Remedy {
        Remedy::Restrict
    }

    fn called(&self, play: &Play) -> String {
        play.holder.clone()
    }

    fn play(&self, number: usize) -> Play {
        let name = format!("reader-{number}");
        let trust = format!("&AssumeRolePolicyDocument={}", aws_proxy::HARMLESS);
        let made = self.aws.iam(&format!("Action=CreateRole&RoleName={name}{trust}"));
        let policy = format!("arn:aws:iam::{}:policy/reads", aws_proxy::ACCOUNT);
        self.aws.iam(&format!("Action=AttachRolePolicy&RoleName={name}&PolicyArn={policy}"));
        let id = made.split_once("<RoleId>").unwrap().1.split_once('<').unwrap().0.to_owned();
        let (entry, secrets) = at_aws(&self.aws, &self.admin);
        let entry = format!("{entry}policy_arn = \"{policy}\"\n");
        Play { entry, secrets, kind: Kind::Role, external: id, holder: name }
    }

    fn working(&self, play: &Play) -> usize {
        let attached = self.aws.iam(&format!("Action=ListAttachedRolePolicies&RoleName={}", play.holder));
        usize::from(!attached.contains("policy/reads"))
    }
}

struct Secrets {
    aws: Aws,
    admin: (String, String),
}

impl Stage for Secrets {
    fn name(&self) -> &'static str {
        "aws_secret_rotation"
    }

    fn play(&self, number: usize) -> Play {
        let (scope, name) = ("us-east-1/secretsmanager", format!("managed-{number}"));
        let body = format!(r#"{{"Name":"{name}","SecretString":"hunter2"}}"#);
        let made = self.aws.tell(scope, "secretsmanager.CreateSecret", &body);
        let made: Value = serde_json::from_str(&made).unwrap();
        let rules = format!(r#"{{"SecretId":"{name}","RotationRules":{{"AutomaticallyAfterDays":30}}}}"#);
        self.aws.tell(scope, "secretsmanager.RotateSecret", &rules);
        let (entry, secrets) = at_aws(&self.aws, &self.admin);
        let external = made["ARN"].as_str().unwrap().to_owned();
        Play { entry, secrets, kind: Kind::Secret, external, holder: name }
    }

    fn working(&self, play: &Play) -> usize {
        let body = format!(r#"{{"SecretId":"{}"}}"#, play.holder);
        let told = self.aws.tell("us-east-1/secretsmanager", "secretsmanager.DescribeSecret", &body);
        let told: Value = serde_json::from_str(&told).unwrap();
        let stages = told["VersionIdsToStages"].as_object().unwrap().values();
        stages.filter(|it| it.as_array().unwrap().contains(&json!("AWSCURRENT"))).count()
    }
}

/// GitHub as its documentation describes the calls that are made: its description is not there when tests run.
/// A key of OpenSSH: its file, its public half, its digest.
pub(super) fn made_key(directory: &Path, number: usize) -> (PathBuf, String, String) {
    let key = directory.join(format!("key-{number}"));
    sshd::keygen(&key);
    let public = fs::read_to_string(key.with_extension("pub")).unwrap();
    let told = std::process::Command::new("ssh-keygen").args(["-l", "-f"]).arg(key.with_extension("pub")).output();
    let told = String::from_utf8(told.unwrap().stdout).unwrap();
    let digest = told.split(' ').nth(1).unwrap().to_owned();
    (key, public.trim().to_owned(), digest)
}

/// Keys of AWS whose values are in an OpenBao.
pub(super) struct AccessKeys {
    pub(super) aws: Aws,
    bao: openbao::Server,
    admin: (String, String),
}

impl AccessKeys {
    pub(super) fn new() -> Option<Self> {
        let (aws, bao) = (aws_proxy::own()?, openbao::own()?);
        let admin = aws.admin("rotates");
        Some(Self { aws, bao, admin })
    }
}

impl Stage for AccessKeys {
    fn name(&self) -> &'static str {
        "aws_access_key"
    }

    fn play(&self, number: usize) -> Play {
        let user = format!("app-{number}");
        let (id, secret) = self.aws.user(&user, aws_proxy::HARMLESS);
        let path = format!("apps/{user}");
        let data = json!({ "data": { "AWS_ACCESS_KEY_ID": id, "AWS_SECRET_ACCESS_KEY": secret, "REGION": "x" } });
        self.bao.write(&format!("secret/data/{path}"), &data);
        let fields = "access_key_id = \"AWS_ACCESS_KEY_ID\", secret_access_key = \"AWS_SECRET_ACCESS_KEY\"";
        let (entry, aws) = at_aws(&self.aws, &self.admin);
        let entry = format!("{entry}{}", kept_in(&self.bao, &path, fields));
        let secrets = root().into_iter().chain(aws).collect();
        Play { entry, secrets, kind: Kind::AccessKey, external: id, holder: user }
    }

    fn working(&self, play: &Play) -> usize {
        self.aws.keys(&play.holder).len()
    }
}

struct AppRoles {
    bao: openbao::Server,
    accessor: String,
    files: tempfile::TempDir,
}

impl Stage for AppRoles {
    fn name(&self) -> &'static str {
        "vault_approle_secret_id"
    }

    fn play(&self, number: usize) -> Play {
        let role = format!("ci-{number}");
        self.bao.write(&format!("auth/approle/role/{role}"), &json!({ "token_ttl": "5m" }));
        let made = self.bao.write(&format!("auth/approle/role/{role}/secret-id"), &json!({}));
        let path = self.files.path().join(&role);
        fs::write(&path, made["secret_id"].as_str().unwrap()).unwrap();
        let place = format!(
            "[[rotations.places]]\nkind = \"file\"\nformat = \"text\"\npart = \"secret_id\"\npath = {path:?}\n"
        );
        let external = format!("{}/{role}/{}", self.accessor, made["secret_id_accessor"].as_str().unwrap());
        let entry = at_bao(&self.bao, &place);
        Play { entry, secrets: root(), kind: Kind::ClientSecret, external, holder: role }
    }

    fn working(&self, play: &Play) -> usize {
        let (_, listed) = self.bao.ask("LIST", &format!("auth/approle/role/{}/secret-id", play.holder), None);
        listed["data"]["keys"].as_array().map_or(0, Vec::len)
    }
}

struct Transit {
    bao: openbao::Server,
    accessor: String,
}

impl Stage for Transit {
    fn name(&self) -> &'static str {
        "vault_transit_key"
    }

    fn play(&self, number: usize) -> Play {
        let key = format!("pay-{number}");
        self.bao.write(&format!("transit/keys/{key}"), &json!({}));
        let (entry, external) = (at_bao(&self.bao, ""), format!("{}/{key}", self.accessor));
        Play { entry, secrets: root(), kind: Kind::Secret, external, holder: key }
    }

    fn working(&self, play: &Play) -> usize {
        let (_, key) = self.bao.ask("GET", &format!("transit/keys/{}", play.holder), None);
        let (latest, least) = (&key["data"]["latest_version"], &key["data"]["min_encryption_version"]);
        (latest.as_u64().unwrap() - least.as_u64().unwrap().max(1) + 1) as usize
    }
}

/// A PKI engine with an authority of its own and a role.
fn authority(bao: &openbao::Server) -> String {
    let accessor = mounted(bao, "pki", &json!({ "type": "pki", "config": { "max_lease_ttl": "87600h" } }));
    bao.write(
        "pki/root/generate/internal",
        &json!({ "common_name": "Root", "ttl": "87600h", "key_type": "ec", "key_bits": 256 }),
    );
    let role = json!({ "allowed_domains": "corp.test", "allow_subdomains": true, "max_ttl": "72h", "key_type": "ec", "key_bits": 256 });
    bao.write("pki/roles/web", &role);
    accessor
}

struct Certificates {
    bao: openbao::Server,
    accessor: String,
}

impl Stage for Certificates {
    fn name(&self) -> &'static str {
        "vault_pki_certificate"
    }

    fn play(&self, number: usize) -> Play {
        let name = format!("api-{number}.corp.test");
        let issued = self.bao.write("pki/issue/web", &json!({ "common_name": name, "ttl": "5h" }));
        let path = format!("certificates/{number}");
        let fields = "certificate = \"CERT\", private_key = \"KEY\", ca_chain = \"CHAIN\"";
        self.bao.write(
            &format!("secret/data/{path}"),
            &json!({ "data": { "CERT": issued["certificate"], "KEY": issued["private_key"] } }),
        );
        let entry =
            at_bao(&self.bao, &format!("mount = \"pki\"\nrole = \"web\"\n{}", kept_in(&self.bao, &path, fields)));
        let external = format!("{}/{}", self.accessor, issued["serial_number"].as_str().unwrap());
        Play { entry, secrets: root(), kind: Kind::Certificate, external, holder: name }
    }

    fn working(&self, play: &Play) -> usize {
        let (_, listed) = self.bao.ask("LIST", "pki/certs", None);
        let serials = listed["data"]["keys"].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned());
        let stands = |serial: &String| {
            let (_, told) = self.bao.ask("GET", &format!("pki/cert/{serial}"), None);
            let text = told["data"]["certificate"].as_str().unwrap();
            told["data"]["revocation_time"] == 0 && names(text).contains(&play.holder)
        };
        serials.filter(stands).count()
    }
}

/// The names in a certificate.
fn names(pem: &str) -> Vec<String> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
    let certificate = pem.parse_x509().unwrap();
    certificate.subject().iter_common_name().filter_map(|it| it.as_str().ok().map(str::to_owned)).collect()
}

struct StaticRoles {
    bao: openbao::Server,
    accessor: String,
    database: postgres::Server,
}

impl Stage for StaticRoles {
    fn name(&self) -> &'static str {
        "vault_static_role"
    }

    fn play(&self, number: usize) -> Play {
        let url = self.database.fresh();
        let over = self.database.over_tcp(&url, self.database.port());
        let (user, rest) = over.strip_prefix("postgres://").unwrap().split_once('@').unwrap();
        let role = format!("svc_{number}");
        self.database.query(&url, &format!("CREATE ROLE {role} LOGIN PASSWORD 'old'"));
        let config = json!({ "plugin_name": "postgresql-database-plugin", "allowed_roles": "*",
            "connection_url": format!("postgresql://{{{{username}}}}:{{{{password}}}}@{rest}"),
            "username": "postgres", "password": user.split_once(':').unwrap().1 });
        self.bao.write(&format!("database/config/pg-{number}"), &config);
        let body = json!({ "db_name": format!("pg-{number}"), "username": role, "rotation_period": 86_400 });
        self.bao.write(&format!("database/static-roles/{role}"), &body);
        let external = format!("{}/static-roles/{role}", self.accessor);
        Play { entry: at_bao(&self.bao, ""), secrets: root(), kind: Kind::Password, external, holder: role }
    }

    fn working(&self, play: &Play) -> usize {
        let (status, told) = self.bao.ask("GET", &format!("database/static-creds/{}", play.holder), None);
        usize::from(status == 200 && told["data"]["password"] != "old")
    }
}

struct Logins {
    database: postgres::Server,
    url: String,
    files: tempfile::TempDir,
}

impl Stage for Logins {
    fn name(&self) -> &'static str {
        "postgresql_login"
    }

    fn play(&self, number: usize) -> Play {
        let pair = ["a", "b"].map(|it| format!("app_{number}_{it}"));
        for statement in [
            format!("CREATE ROLE owner_{number} NOLOGIN"),
            format!("CREATE ROLE {} LOGIN PASSWORD 'first' IN ROLE owner_{number}", pair[0]),
            format!("CREATE ROLE {} NOLOGIN IN ROLE owner_{number}", pair[1]),
        ] {
            self.database.query(&self.url, &statement);
        }
        let path: PathBuf = self.files.path().join(format!("{number}.json"));
        fs::write(&path, json!({ "user": pair[0], "password": "first", "more": 1 }).to_string()).unwrap();
        let name = self.database.query(&self.url, "SELECT current_database()");
        let entry = format!(
            "host = \"127.0.0.1\"\nport = {}\ndatabase = \"{}\"\nuser = \"acts\"\ntls = \"off\"\npassword = \"env:ACTS\"\n\
             pair = [\"{}\", \"{}\"]\n[[rotations.places]]\nkind = \"file\"\nformat = \"json\"\npath = {path:?}\n\
             fields = {{ user = \"user\", password = \"password\" }}\n",
            self.database.port(),
            name.trim(),
            pair[0],
            pair[1]
        );
        let secrets = vec![("ACTS".to_owned(), "acts-password".to_owned())];
        Play { entry, secrets, kind: Kind::Password, external: pair[0].clone(), holder: format!("shop-{number}") }
    }

    fn working(&self, play: &Play) -> usize {
        let pair = play.external.strip_suffix("_a").unwrap();
        let sql = format!("SELECT count(*) FROM pg_roles WHERE rolname LIKE '{pair}\\__' AND rolcanlogin");
        self.database.query(&self.url, &sql).trim().parse().unwrap()
    }
}

struct SshKeys {
    server: sshd::Server,
    files: tempfile::TempDir,
}

impl Stage for SshKeys {
    fn name(&self) -> &'static str {
        "ssh_authorized_key"
    }

    fn play(&self, number: usize) -> Play {
        let (key, public, digest) = made_key(self.files.path(), number);
        let file = self.server.authorized_keys();
        fs::write(&file, &public).unwrap();
        let place = self.files.path().join(format!("held-{number}"));
        fs::copy(&key, &place).unwrap();
        let entry = format!(
            "file = {file:?}\nlogin = \"{}@127.0.0.1:{}\"\nknown_hosts = {:?}\n\
             [[rotations.places]]\nkind = \"file\"\nformat = \"text\"\npart = \"private_key\"\npath = {place:?}\n",
            whoami(),
            self.server.port(),
            self.server.known_hosts()
        );
        let external = format!("{}#{digest}", file.display());
        Play { entry, secrets: Vec::new(), kind: Kind::SshKey, external, holder: format!("deploy-{number}") }
    }

    fn working(&self, _: &Play) -> usize {
        let text = fs::read_to_string(self.server.authorized_keys()).unwrap();
        text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).count()
    }
}

fn whoami() -> String {
    let uid = rustix::process::geteuid().as_raw().to_string();
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let line = passwd.lines().find(|line| line.split(':').nth(2) == Some(&uid)).unwrap();
    line.split(':').next().unwrap().to_owned()
}
