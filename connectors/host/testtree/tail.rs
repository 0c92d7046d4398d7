//! Files of command lines that are met less often: data platforms, hosting, storage and build tools.
//! It must never leave a value out of the list of what was planted.

use aws_lc_rs::{
    cipher::{AES_256, DecryptionContext, EncryptingKey, EncryptionContext, UnboundCipherKey},
    iv::FixedLength,
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use provost_model::Kind;

use super::{Tree, files::SHARED, keys, noise, secret};
use crate::host::recognise::VEIL;

pub(super) fn grow(tree: &mut Tree) {
    data_platforms(tree);
    hosting(tree);
    storage(tree);
    vaults_and_builds(tree);
}

fn data_platforms(tree: &mut Tree) {
    let file = ".databrickscfg";
    let token = tree.plant(file, "DEFAULT/token", Kind::Token, format!("dapi{}", hex::encode(noise("databricks", 16))));
    let client = tree.plant(file, "etl/client_secret", Kind::ClientSecret, secret("databricks client", 36));
    tree.file(file, format!(
        "[DEFAULT]\nhost = https://adb-1.azuredatabricks.net\ntoken = {token}\n\n[etl]\nhost = https://dbc-1.cloud.databricks.com\nclient_id = 4f1c\nclient_secret = {client}\nauth_type = oauth-m2m\n"
    ));
    let file = ".databricks/token-cache.json";
    let host = "https://dbc-1.cloud.databricks.com";
    let refresh =
        tree.plant(file, &format!("tokens/{host}/refresh_token"), Kind::Token, secret("databricks refresh", 60));
    tree.file(file, format!(
        r#"{{"version":1,"tokens":{{"{host}":{{"access_token":"","token_type":"Bearer","refresh_token":"{refresh}","expiry":"2026-01-02T03:04:05Z"}}}}}}"#
    ));
    let file = ".snowflake/config.toml";
    let password = tree.plant(file, "prod/password", Kind::Password, secret("snowflake", 24));
    tree.file(file, format!(
        "default_connection_name = \"prod\"\n[connections.prod]\naccount = \"org-acct\"\nuser = \"LOADER\"\npassword = \"{password}\"\nprivate_key_file = \"/home/u/rsa_key.p8\"\n"
    ));
    let file = ".snowflake/connections.toml";
    let token = tree.plant(file, "pat/token", Kind::Token, secret("snowflake pat", 60));
    let pem = keys::pem("PRIVATE KEY", &keys::pkcs8_rsa(&keys::modulus("snowflake", 2048)));
    tree.plant(file, "jwt/private_key_raw", Kind::Secret, pem.clone());
    tree.file(file, format!(
        "[pat]\naccount = \"org-acct\"\nauthenticator = \"PROGRAMMATIC_ACCESS_TOKEN\"\ntoken = \"{token}\"\n[jwt]\naccount = \"org-acct\"\nprivate_key_raw = \"\"\"{pem}\"\"\"\n"
    ));
    let file = ".snowsql/config";
    let password = tree.plant(file, "connections.dev/password", Kind::Password, secret("snowsql", 24));
    tree.file(file, format!(
        "[connections]\n#password = notthis\n[connections.dev]\naccountname = org-dev\nusername = DEV\npassword = \"{password}\"\n[options]\nlog_level = DEBUG\n"
    ));
    let file = ".cache/snowflake/credential_cache_v1.json";
    let token = tree.plant(file, "tokens/0a1b2c", Kind::Token, secret("snowflake cache", 80));
    tree.file(file, format!(r#"{{"tokens":{{"0a1b2c":"{token}"}}}}"#));
}

fn hosting(tree: &mut Tree) {
    let file = "heroku/.netrc";
    let key =
        tree.plant(file, "api.heroku.com/robot@corp.example", Kind::Token, format!("HRKU-AA{}", secret("heroku", 58)));
    tree.file(file, format!("machine api.heroku.com\n  login robot@corp.example\n  password {key}\n"));
    tree.file("heroku/.netrc.gpg", noise("netrc", 64));
    let file = ".fly/config.yml";
    let one = tree.plant(file, "access_token", Kind::Token, format!("fm2_{}", secret("fly one", 90)));
    let other = tree.plant(file, "access_token/2", Kind::Token, format!("fm2_{}", secret("fly other", 90)));
    let private = STANDARD.encode(noise("fly peer", 32));
    tree.plant(file, "wire_guard_state/corp/localprivate", Kind::Secret, private.clone());
    tree.file(file, format!(
        "access_token: FlyV1 {one},{other}\nmetrics_token: \"\"\nwire_guard_state:\n  corp:\n    name: peer\n    localpublic: {}\n    localprivate: {private}\n",
        STANDARD.encode(noise("fly public", 32))
    ));
    let file = ".config/.wrangler/config/default.toml";
    let token = tree.plant(file, "oauth_token", Kind::Token, secret("wrangler", 80));
    let refresh = tree.plant(file, "refresh_token", Kind::Token, secret("wrangler refresh", 80));
    tree.file(file, format!(
        "oauth_token = \"{token}\"\nexpiration_time = \"2026-01-02T03:04:05.678Z\"\nrefresh_token = \"{refresh}\"\nscopes = [ \"account:read\" ]\n"
    ));
    let file = ".cloudflared/cert.pem";
    let token = tree.plant(file, "apiToken", Kind::Token, secret("argo", 40));
    let login = format!(r#"{{"zoneID":"z","accountID":"a","apiToken":"{token}"}}"#);
    tree.file(file, keys::pem("ARGO TUNNEL TOKEN", login.as_bytes()));
    let file = ".cloudflared/6ff42ae2-765d-4adf-8112-31c55c1551ef.json";
    let key = STANDARD.encode(noise("tunnel", 32));
    tree.plant(file, "TunnelSecret", Kind::Secret, key.clone());
    tree.file(
        file,
        format!(r#"{{"AccountTag":"a","TunnelSecret":"{key}","TunnelID":"6ff42ae2-765d-4adf-8112-31c55c1551ef"}}"#),
    );
    let file = "src/worker/.dev.vars";
    let token = tree.plant(file, "API_TOKEN", Kind::Token, secret("dev vars", 32));
    tree.file(file, format!("API_TOKEN={token}\n"));
}

fn storage(tree: &mut Tree) {
    let file = ".config/rclone/rclone.conf";
    let key = tree.plant(file, "s3/secret_access_key", Kind::AccessKey, secret("aws", 40));
    let password = tree.plant(file, "box/pass", Kind::Password, secret(SHARED, 24));
    let refresh = tree.plant(file, "drive/token/refresh_token", Kind::Token, format!("1//0{}", secret("drive", 60)));
    tree.file(file, format!(
        "[s3]\ntype = s3\nprovider = AWS\naccess_key_id = AKIAPLANTED234567ABC\nsecret_access_key = {key}\n\n[box]\ntype = sftp\nhost = files.example\nuser = robot\npass = {}\n\n[drive]\ntype = drive\ntoken = {{\"access_token\":\"\",\"token_type\":\"Bearer\",\"refresh_token\":\"{refresh}\",\"expiry\":\"2026-01-02T03:04:05.678+01:00\"}}\n",
        veiled(&password)
    ));
    let sealed = STANDARD.encode(noise("rclone", 96));
    tree.file("backup/rclone.conf", format!("# Encrypted rclone configuration File\n\nRCLONE_ENCRYPT_V0:\n{sealed}\n"));
}

fn vaults_and_builds(tree: &mut Tree) {
    let file = ".config/op/config";
    let half = ["A3", &secret("op one", 6), &secret("op two", 6), &secret("op three", 26)].join("-");
    let half = tree.plant(file, "accounts/corp/accountKey", Kind::Secret, half);
    tree.file(file, format!(
        r#"{{"latest_signin":"corp","device":"d","accounts":[{{"shorthand":"corp","accountUUID":"A","url":"https://corp.1password.com","email":"robot@corp.example","accountKey":"{half}","userUUID":"U"}}]}}"#
    ));
    let file = "connect/1password-credentials.json";
    let key = tree.plant(file, "uniqueKey/k", Kind::Secret, URL_SAFE_NO_PAD.encode(noise("connect", 32)));
    tree.file(file, format!(
        r#"{{"verifier":{{"salt":"s","localHash":"h"}},"encCredentials":{{"kid":"l","data":"d"}},"version":"2","uniqueKey":{{"alg":"A256GCM","k":"{key}","kid":"k-1","kty":"oct"}}}}"#
    ));
    let file = ".m2/settings.xml";
    let password = tree.plant(file, "servers/releases/password", Kind::Password, secret("maven", 24));
    let header = tree.plant(
        file,
        "servers/api/httpHeaders/Private-Token",
        Kind::Token,
        format!("glpat-{}", secret("maven header", 20)),
    );
    tree.file(file, format!(
        "<settings xmlns=\"http://maven.apache.org/SETTINGS/1.2.0\"><servers>\n<server><id>releases</id><username>robot</username><password>{password}</password></server>\n<server><id>env</id><password>${{env.REPO_PASSWORD}}</password></server>\n<server><id>sealed</id><username>robot</username><password>{{COQLCE6DU6GtcS5P=}}</password></server>\n<server><id>api</id><configuration><httpHeaders><property><name>Private-Token</name><value>{header}</value></property></httpHeaders></configuration></server>\n</servers></settings>\n"
    ));
    tree.file(
        ".m2/settings-security.xml",
        "<settingsSecurity><master>{jSMOWnoPFgsHVpMvz5VrIt5kRbzGpI8u+9EF1iFQyJQ=}</master></settingsSecurity>\n",
    );
    let file = ".nuget/NuGet/NuGet.Config";
    let password =
        tree.plant(file, "packageSourceCredentials/Our Feed/ClearTextPassword", Kind::Password, secret("nuget", 52));
    tree.file(file, format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<configuration>\n<packageSources><add key=\"Our Feed\" value=\"https://feeds.example/v3/index.json\"/></packageSources>\n<packageSourceCredentials><Our_x0020_Feed><add key=\"Username\" value=\"robot\"/><add key=\"ClearTextPassword\" value=\"{password}\"/></Our_x0020_Feed><Other><add key=\"Password\" value=\"AQAAANCMnd8BFdERjHoAwE\"/></Other></packageSourceCredentials>\n<apikeys><add key=\"https://feeds.example\" value=\"AQAAANCMnd8BFdERjHoAwF\"/></apikeys>\n</configuration>\n"
    ));
}

/// The text as `rclone obscure` writes it.
fn veiled(text: &str) -> String {
    let (mut veiled, mut iv) = (text.as_bytes().to_vec(), [0_u8; 16]);
    iv.copy_from_slice(&noise("veil", 16));
    let key = UnboundCipherKey::new(&AES_256, &VEIL).and_then(EncryptingKey::ctr);
    let done = key.and_then(|key| key.less_safe_encrypt(&mut veiled, EncryptionContext::Iv128(FixedLength::from(iv))));
    match done {
        Ok(DecryptionContext::Iv128(_)) => URL_SAFE_NO_PAD.encode([iv.as_slice(), &veiled].concat()),
        _ => String::new(),
    }
}
