//! The files themselves, sort by sort, each with what is planted in it.
//! It must never leave a value out of the list of what was planted.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use provost_model::Kind;

use super::{File, Planted, Tree, keys, secret, tail};

/// The password that is kept in several places: one secret, one fingerprint.
pub(super) const SHARED: &str = "shared password";

/// Everything.
pub(super) fn all() -> Tree {
    let mut tree = Tree::default();
    clouds(&mut tree);
    registries(&mut tree);
    forges(&mut tree);
    keys_and_certificates(&mut tree);
    programs(&mut tree);
    pipelines(&mut tree);
    agents(&mut tree);
    logins(&mut tree);
    tail::grow(&mut tree);
    tree
}

impl Tree {
    pub(super) fn file(&mut self, path: &str, content: impl Into<Vec<u8>>) {
        self.files.push(File { path: path.to_owned(), content: content.into() });
    }

    /// Plants a value in the file that is written next, and returns it.
    pub(super) fn plant(&mut self, file: &str, position: &str, kind: Kind, value: String) -> String {
        self.planted.push(Planted { file: file.to_owned(), position: position.to_owned(), kind, value: value.clone() });
        value
    }
}

fn jwt(seed: &str) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","typ":"JWT"}"#);
    let body =
        URL_SAFE_NO_PAD.encode(r#"{"iss":"https://issuer.example","sub":"robot","iat":1700000000,"exp":1893456000}"#);
    format!("{header}.{body}.{}", secret(seed, 43))
}

fn clouds(tree: &mut Tree) {
    let file = ".aws/credentials";
    let key = tree.plant(file, "default/aws_secret_access_key", Kind::AccessKey, secret("aws", 40));
    tree.file(file, format!("[default]\naws_access_key_id = AKIAPLANTED234567ABC\naws_secret_access_key = {key}\n"));
    let file = ".aws/sso/cache/0a1b.json";
    let token = tree.plant(file, "accessToken", Kind::Token, secret("sso", 120));
    tree.file(file, format!(r#"{{"startUrl":"https://corp.awsapps.com/start","accessToken":"{token}","expiresAt":"2026-01-02T03:04:05UTC"}}"#));
    let file = ".aws/cli/cache/0a1b.json";
    let key = tree.plant(file, "Credentials.SecretAccessKey", Kind::AccessKey, secret("cli", 40));
    let session = tree.plant(file, "Credentials.SessionToken", Kind::Token, secret("session", 200));
    tree.file(file, format!(
        r#"{{"Credentials":{{"AccessKeyId":"ASIAPLANTED234567ABC","SecretAccessKey":"{key}","SessionToken":"{session}","Expiration":"2026-01-02T03:04:05+00:00"}}}}"#
    ));
    let file = ".config/gcloud/application_default_credentials.json";
    let refresh = tree.plant(file, "refresh_token", Kind::Token, format!("1//0{}", secret("google", 60)));
    let client = tree.plant(file, "client_secret", Kind::ClientSecret, secret("google client", 24));
    tree.file(file, format!(r#"{{"type":"authorized_user","client_id":"id.apps.googleusercontent.com","client_secret":"{client}","refresh_token":"{refresh}"}}"#));
    tree.file(".config/gcloud/credentials.db", "SQLite format 3\0");
    let file = "src/app/service-account.json";
    let pem = keys::pem("PRIVATE KEY", &keys::pkcs8_rsa(&keys::modulus("service account", 2048)));
    tree.plant(file, "private_key", Kind::Secret, pem.clone());
    let pem = pem.replace('\n', "\\n");
    tree.file(file, format!(r#"{{"type":"service_account","client_email":"robot@p.iam.gserviceaccount.com","private_key_id":"0f1e2d","private_key":"{pem}"}}"#));
    let file = ".azure/msal_token_cache.json";
    let token = tree.plant(file, "RefreshToken/entry", Kind::Token, secret("azure", 90));
    tree.file(
        file,
        format!(r#"{{"RefreshToken":{{"entry":{{"secret":"{token}","environment":"login.microsoftonline.com"}}}}}}"#),
    );
    let file = ".azure/service_principal_entries.json";
    let value = tree.plant(file, "app-id/client_secret", Kind::ClientSecret, secret("principal", 40));
    tree.file(file, format!(r#"[{{"client_id":"app-id","tenant":"t","client_secret":"{value}"}}]"#));
    let file = ".kube/config";
    let token = tree.plant(file, "users/admin/token", Kind::Token, jwt("kube"));
    let pem = keys::pem("RSA PRIVATE KEY", &keys::pkcs1(&keys::modulus("kube", 2048)));
    tree.plant(file, "users/cert/client-key-data", Kind::Secret, pem.clone());
    let certificate =
        keys::pem("CERTIFICATE", &keys::certificate("kube-user", &keys::modulus("kube", 2048), keys::Use::Client));
    let (certificate, pem) = (STANDARD.encode(certificate), STANDARD.encode(pem));
    tree.file(file, format!(
        "clusters:\n- name: c\n  cluster: {{server: 'https://k8s.example:6443'}}\ncontexts:\n- context: {{cluster: c, user: admin}}\n\
         users:\n- name: admin\n  user: {{token: {token}}}\n- name: cert\n  user:\n    client-certificate-data: {certificate}\n    client-key-data: {pem}\n"
    ));
}

fn registries(tree: &mut Tree) {
    let file = ".docker/config.json";
    let password = tree.plant(file, "auths/registry.example/auth", Kind::Password, secret(SHARED, 24));
    let auth = STANDARD.encode(format!("robot:{password}"));
    tree.file(
        file,
        format!(r#"{{"auths":{{"registry.example":{{"auth":"{auth}"}}}},"credHelpers":{{"ecr":"ecr-login"}}}}"#),
    );
    let file = ".npmrc";
    let token = tree.plant(file, "//registry.npmjs.org/:_authToken", Kind::Token, format!("npm_{}", secret("npm", 36)));
    tree.file(file, format!("//registry.npmjs.org/:_authToken={token}\n//other.example/:_authToken=${{NPM_TOKEN}}\n"));
    let file = ".yarnrc.yml";
    let token = tree.plant(file, "npmAuthToken", Kind::Token, secret("yarn", 36));
    tree.file(file, format!("npmAuthToken: {token}\n"));
    let file = ".pypirc";
    let token = tree.plant(file, "pypi/password", Kind::Token, format!("pypi-{}", secret("pypi", 80)));
    tree.file(file, format!("[pypi]\nusername = __token__\npassword = {token}\n"));
    let file = ".config/pip/pip.conf";
    let password = tree.plant(file, "global/index-url", Kind::Password, secret("pip", 20));
    tree.file(file, format!("[global]\nindex-url = https://robot:{password}@pypi.example/simple\n"));
    let file = ".cargo/credentials.toml";
    let token = tree.plant(file, "registry/token", Kind::Token, format!("cio{}", secret("cargo", 32)));
    tree.file(file, format!("[registry]\ntoken = \"{token}\"\n"));
}

fn forges(tree: &mut Tree) {
    let file = ".git-credentials";
    let password = tree.plant(file, "git.example/robot", Kind::Password, secret(SHARED, 24));
    let first = password.as_bytes().first().map_or(String::new(), |byte| format!("%{byte:02x}"));
    tree.file(file, format!("https://robot:{first}{}@git.example\n", password.get(1..).unwrap_or_default()));
    let file = "src/app/.git/config";
    let token = tree.plant(file, "remote origin/url", Kind::Token, format!("ghp_{}", secret("remote", 36)));
    tree.file(file, format!("[remote \"origin\"]\n\turl = https://x-access-token:{token}@github.com/o/r.git\n"));
    let file = ".netrc";
    let password = tree.plant(file, "ftp.example/robot", Kind::Password, secret(SHARED, 24));
    tree.file(file, format!("machine ftp.example login robot password {password}\n"));
    let file = ".config/gh/hosts.yml";
    let token = tree.plant(file, "github.com/oauth_token", Kind::Token, format!("gho_{}", secret("gh", 36)));
    tree.file(file, format!("github.com:\n    user: octo\n    oauth_token: {token}\n"));
    let file = ".config/glab-cli/config.yml";
    let token = tree.plant(file, "hosts/gitlab.com/token", Kind::Token, format!("glpat-{}", secret("glab", 20)));
    tree.file(file, format!("hosts:\n    gitlab.com:\n        token: {token}\n        user: robot\n"));
    let file = ".terraform.d/credentials.tfrc.json";
    let token = tree.plant(file, "credentials/app.terraform.io/token", Kind::Token, secret("tf", 60));
    tree.file(file, format!(r#"{{"credentials":{{"app.terraform.io":{{"token":"{token}"}}}}}}"#));
    let file = ".terraformrc";
    let token = tree.plant(file, "credentials/tf.example/token", Kind::Token, secret("tfrc", 60));
    tree.file(file, format!("credentials \"tf.example\" {{\n  token = \"{token}\"\n}}\n"));
    let file = ".vault-token";
    let token = tree.plant(file, "token", Kind::Token, format!("hvs.{}", secret("vault", 90)));
    tree.file(file, format!("{token}\n"));
}

fn keys_and_certificates(tree: &mut Tree) {
    let blob = keys::ssh_rsa(&keys::modulus("id_rsa", 1024));
    let file = ".ssh/id_rsa";
    let pem =
        tree.plant(file, "private key", Kind::SshKey, keys::pem("OPENSSH PRIVATE KEY", &keys::openssh(&blob, false)));
    tree.file(file, pem);
    tree.file(".ssh/id_ed25519", keys::pem("OPENSSH PRIVATE KEY", &keys::openssh(&keys::ssh_ed25519("id"), true)));
    let (one, two) = (STANDARD.encode(&blob), STANDARD.encode(keys::ssh_ed25519("other")));
    tree.file(
        ".ssh/authorized_keys",
        format!("# people\nssh-rsa {one} old@laptop\nfrom=\"10.0.0.0/8\",no-pty ssh-ed25519 {two} ci\n"),
    );
    let modulus = keys::modulus("tls", 2048);
    let file = "tls/server.key";
    let key = tree.plant(file, "private key", Kind::Secret, keys::pem("PRIVATE KEY", &keys::pkcs8_rsa(&modulus)));
    tree.file(file, key);
    tree.file(
        "tls/server.crt",
        keys::pem("CERTIFICATE", &keys::certificate("server.example", &modulus, keys::Use::Server)),
    );
    tree.file(
        "tls/client.pem",
        keys::pem("CERTIFICATE", &keys::certificate("builder", &keys::modulus("client", 1024), keys::Use::Client)),
    );
}

fn programs(tree: &mut Tree) {
    let file = ".config/systemd/user/app.service";
    let token = tree.plant(file, "Service/Environment.API_TOKEN", Kind::Token, secret("unit", 32));
    let literal = tree.plant(file, "Service/SetCredential/db", Kind::Secret, secret("credential", 32));
    tree.file(file, format!(
        "[Service]\nEnvironment=\"API_TOKEN={token}\" MODE=fast\nEnvironmentFile=-/etc/app/secrets.env\nSetCredential=db:{literal}\nExecStart=/usr/bin/app --verbose\n"
    ));
    let file = "src/app/.env";
    let key = tree.plant(file, "AWS_SECRET_ACCESS_KEY", Kind::AccessKey, secret("aws", 40));
    let password = tree.plant(file, "DB_PASSWORD", Kind::Password, secret(SHARED, 24));
    let slack = tree.plant(file, "SLACK_TOKEN", Kind::Token, format!("xoxb-{}", secret("slack", 40)));
    tree.file(file, format!(
        "AWS_ACCESS_KEY_ID=AKIAPLANTED234567ABC\nAWS_SECRET_ACCESS_KEY=\"{key}\"\nDB_USER=app\nDB_PASSWORD='{password}'\nSLACK_TOKEN={slack}\nSECRET_KEY=changeme\nEMPTY_TOKEN=\nREF_TOKEN=${{OTHER}}\n"
    ));
    let file = "src/app/docker-compose.yml";
    let password = tree.plant(file, "services/db/environment/POSTGRES_PASSWORD", Kind::Password, secret(SHARED, 24));
    tree.file(file, format!("services:\n  db:\n    image: postgres\n    environment:\n      POSTGRES_PASSWORD: {password}\n      POSTGRES_USER: app\n      OTHER_PASSWORD: ${{PASSWORD}}\n"));
    let file = "cron.d/job";
    let token = tree.plant(file, "API_TOKEN", Kind::Token, secret("cron", 32));
    tree.file(file, format!("API_TOKEN={token}\n17 * * * * robot /usr/bin/run\n"));
    let file = ".config/environment.d/10-app.conf";
    let token = tree.plant(file, "APP_TOKEN", Kind::Token, secret("environment", 32));
    tree.file(file, format!("APP_TOKEN={token}\n"));
}

fn pipelines(tree: &mut Tree) {
    let file = "src/app/.gitlab-ci.yml";
    let token = tree.plant(file, "variables/DEPLOY_TOKEN", Kind::Token, format!("glpat-{}", secret("ci", 20)));
    tree.file(file, format!("variables:\n  DEPLOY_TOKEN: {token}\n  MODE: fast\nbuild:\n  script: [make]\n  rules: [!reference [.x, rules]]\n"));
    let file = "src/app/.github/workflows/ci.yml";
    let key = tree.plant(file, "jobs/build/steps[Publish]/env/API_KEY", Kind::Token, secret("workflow", 32));
    let token = tree.plant(file, "jobs/build/steps[1]/run", Kind::Token, format!("ghp_{}", secret("script", 36)));
    tree.file(file, format!(
        "on: push\njobs:\n  build:\n    steps:\n    - name: Publish\n      env:\n        API_KEY: {key}\n        OTHER_KEY: ${{{{ secrets.KEY }}}}\n    - run: |\n        curl -H 'Authorization: token {token}' https://api.github.com\n"
    ));
    let file = "src/app/Jenkinsfile";
    let token = tree.plant(file, "environment.DEPLOY_PASSWORD", Kind::Password, secret("jenkins", 24));
    tree.file(
        file,
        format!(
            "pipeline {{\n  environment {{\n    DEPLOY_PASSWORD = '{token}'\n    OTHER = credentials('x')\n  }}\n}}\n"
        ),
    );
}

/// Configurations of clients: each with one server `s` that is handed one token.
fn agents(tree: &mut Tree) {
    let json = |path: &str, before: &str, after: &str, at: &str, tree: &mut Tree| {
        let token =
            tree.plant(path, &format!("{at}.s.env.GITHUB_TOKEN"), Kind::Token, format!("ghp_{}", secret(path, 36)));
        let server = format!(
            r#"{{"s":{{"command":"/usr/bin/npx","args":["-y","@modelcontextprotocol/server-github"],"env":{{"GITHUB_TOKEN":"{token}","MODE":"x"}}}}}}"#
        );
        tree.agents.push((path.to_owned(), format!("{at}.s")));
        tree.file(path, format!("{before}{server}{after}"));
    };
    for path in [
        ".config/Claude/claude_desktop_config.json",
        ".cursor/mcp.json",
        ".gemini/settings.json",
        ".codeium/windsurf/mcp_config.json",
        "src/app/.mcp.json",
    ] {
        json(path, "{\"mcpServers\":", "}", "mcpServers", tree);
    }
    json(".claude.json", "{\"projects\":{\"/home/u/p\":{\"mcpServers\":", "}}}", "projects./home/u/p.mcpServers", tree);
    json("src/app/.vscode/mcp.json", "{ // ours\n\"servers\":", ",}", "servers", tree);
    json(".config/Code/User/settings.json", "{\"mcp\":{\"servers\":", "}}", "mcp.servers", tree);
    json(".config/zed/settings.json", "// Zed\n{\"context_servers\":", "}", "context_servers", tree);

    let file = ".codex/config.toml";
    let token = tree.plant(file, "mcp_servers.s.env.API_TOKEN", Kind::Token, secret("codex", 40));
    tree.agents.push((file.to_owned(), "mcp_servers.s".to_owned()));
    tree.file(
        file,
        format!(
            "[mcp_servers.s]\ncommand = \"uvx\"\nargs = [\"server\"]\n[mcp_servers.s.env]\nAPI_TOKEN = \"{token}\"\n"
        ),
    );

    let file = ".continue/config.yaml";
    let token = tree.plant(file, "mcpServers.s.env.API_TOKEN", Kind::Token, secret("continue", 40));
    let key = tree.plant(file, "models.m.apiKey", Kind::Token, format!("sk-ant-api03-{}", secret("model", 60)));
    tree.agents.push((file.to_owned(), "mcpServers.s".to_owned()));
    tree.file(file, format!("models:\n- name: m\n  provider: anthropic\n  apiKey: {key}\nmcpServers:\n- name: s\n  command: run\n  env:\n    API_TOKEN: {token}\n"));

    let file = ".config/goose/config.yaml";
    let token = tree.plant(file, "extensions.s.headers.Authorization", Kind::Token, jwt("goose"));
    let path = tree.plant(file, "extensions.s.url/path", Kind::Token, secret("secret path", 32));
    tree.agents.push((file.to_owned(), "extensions.s".to_owned()));
    tree.file(file, format!(
        "extensions:\n  s:\n    type: streamable_http\n    enabled: true\n    uri: https://mcp.example/s/{path}/mcp?x=1\n    headers:\n      Authorization: Bearer {token}\n"
    ));
}

fn logins(tree: &mut Tree) {
    let file = ".claude/.credentials.json";
    let access =
        tree.plant(file, "claudeAiOauth.accessToken", Kind::Token, format!("sk-ant-oat01-{}", secret("claude", 80)));
    let refresh = tree.plant(
        file,
        "claudeAiOauth.refreshToken",
        Kind::Token,
        format!("sk-ant-ort01-{}", secret("claude refresh", 80)),
    );
    tree.file(
        file,
        format!(
            r#"{{"claudeAiOauth":{{"accessToken":"{access}","refreshToken":"{refresh}","expiresAt":1790000000000}}}}"#
        ),
    );
    let file = ".codex/auth.json";
    let key = tree.plant(file, "OPENAI_API_KEY", Kind::Token, format!("sk-proj-{}", secret("openai", 60)));
    tree.file(file, format!(r#"{{"OPENAI_API_KEY":"{key}","tokens":null}}"#));
}
