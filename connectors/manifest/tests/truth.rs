//! Each shipped manifest against the estate that the strict server makes of the vendor's own description: exactly the
//! things that are there, and not one call that the description does not allow.
//! It must never pass in silence where the server is not at hand.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use provost_model::{Reading, Value as Said};
use serde_json::Value;

use super::{
    eyes, names,
    overlay::{self, PAGE, RECORDS, Righted},
    recorded::file,
    shipped, source, writes,
};
use crate::{
    Bookmarks,
    generic::{
        Answered, Asked, Door, Overlay, Upstream, looked,
        recorded::{self, Page},
    },
};

/// What one list is expected to show: its scope, the estate's path up to the records (`*` is one segment), where a
/// record's id is, its kinds, and attributes with the place of their value.
struct Expected {
    scope: &'static str,
    path: &'static str,
    id: &'static str,
    kind: fn(&Value) -> Vec<&'static str>,
    says: &'static [(&'static str, &'static str, Form)],
}

/// How a value is written.
#[derive(Clone, Copy)]
enum Form {
    Text,
    /// RFC 3339; null is never.
    Time,
    Unix,
    Millis,
    Mail,
    /// One word of a text or list stands for a status that is active.
    Active(&'static str),
}

use Form::{Active, Mail, Millis, Text, Time, Unix};

fn token(_: &Value) -> Vec<&'static str> {
    vec!["token"]
}
fn user(_: &Value) -> Vec<&'static str> {
    vec!["user"]
}
fn nothing(_: &Value) -> Vec<&'static str> {
    Vec::new()
}
fn application(_: &Value) -> Vec<&'static str> {
    vec!["application"]
}
fn grant(_: &Value) -> Vec<&'static str> {
    vec!["grant"]
}
fn service_account(_: &Value) -> Vec<&'static str> {
    vec!["service_account"]
}
fn oauth_grant(_: &Value) -> Vec<&'static str> {
    vec!["oauth_grant"]
}

const fn list(
    (scope, path, id): (&'static str, &'static str, &'static str),
    kind: fn(&Value) -> Vec<&'static str>,
    says: &'static [(&'static str, &'static str, Form)],
) -> Expected {
    Expected { scope, path, id, kind, says }
}

/// What is expected of each manifest; written from the vendors' documentation, not from the manifests.
fn expected(name: &str) -> Vec<Expected> {
    match name {
        "datadog" => vec![
            list(
                ("users", "/api/v2/users", "/id"),
                |it| vec![if it["attributes"]["service_account"] == true { "service_account" } else { "user" }],
                &[
                    ("name", "/attributes/name", Text),
                    ("emails", "/attributes/email", Mail),
                    ("created_at", "/attributes/created_at", Time),
                    ("last_used_at", "/attributes/last_login_time", Time),
                ],
            ),
            list(
                ("api-keys", "/api/v2/api_keys", "/id"),
                token,
                &[
                    ("name", "/attributes/name", Text),
                    ("created_at", "/attributes/created_at", Time),
                    ("last_used_at", "/attributes/date_last_used", Time),
                    // Nobody of the estate's users made a key of it: the maker's id is what there is to say.
                    ("created_by", "/relationships/created_by/data/id", Text),
                ],
            ),
            list(
                ("application-keys", "/api/v2/application_keys", "/id"),
                token,
                &[("created_at", "/attributes/created_at", Time), ("last_used_at", "/attributes/last_used_at", Time)],
            ),
        ],
        "openai" => vec![
            list(
                ("users", "/v1/organization/users", "/id"),
                user,
                &[("emails", "/email", Mail), ("created_at", "/added_at", Unix)],
            ),
            list(("projects", "/v1/organization/projects", "/id"), nothing, &[]),
            list(
                ("service-accounts", "/v1/organization/projects/*/service_accounts", "/id"),
                service_account,
                &[("name", "/name", Text), ("created_at", "/created_at", Unix)],
            ),
            list(
                ("project-keys", "/v1/organization/projects/*/api_keys", "/id"),
                token,
                &[
                    ("created_at", "/created_at", Unix),
                    ("last_used_at", "/last_used_at", Unix),
                    ("key_id", "/id", Text),
                ],
            ),
            list(
                ("admin-keys", "/v1/organization/admin_api_keys", "/id"),
                token,
                &[
                    ("created_at", "/created_at", Unix),
                    ("last_used_at", "/last_used_at", Unix),
                    ("expires_at", "/expires_at", Unix),
                ],
            ),
        ],
        "anthropic" => vec![
            list(
                ("users", "/v1/organizations/users", "/id"),
                user,
                &[("emails", "/email", Mail), ("created_at", "/added_at", Time)],
            ),
            list(("workspaces", "/v1/organizations/workspaces", "/id"), nothing, &[]),
            list(
                ("api-keys", "/v1/organizations/api_keys", "/id"),
                token,
                &[
                    ("name", "/name", Text),
                    ("created_at", "/created_at", Time),
                    ("status", "/status", Active("active")),
                ],
            ),
        ],
        "cloudflare" => vec![
            list(("members", "/client/v4/accounts/*/members", "/id"), user, &[("emails", "/user/email", Mail)]),
            list(
                ("service-tokens", "/client/v4/accounts/*/access/service_tokens", "/id"),
                token,
                &[("name", "/name", Text), ("key_id", "/client_id", Text), ("created_at", "/created_at", Time)],
            ),
        ],
        "auth0" => vec![
            list(("apis", "/api/v2/resource-servers", "/id"), application, &[("service", "/identifier", Text)]),
            list(
                ("clients", "/api/v2/clients", "/client_id"),
                |it| match it["token_endpoint_auth_method"].as_str() {
                    Some("client_secret_post" | "client_secret_basic") => vec!["application", "client_secret"],
                    _ => vec!["application"],
                },
                &[("name", "/name", Text)],
            ),
            list(("client-grants", "/api/v2/client-grants", "/id"), grant, &[("service", "/audience", Text)]),
        ],
        "jumpcloud" => vec![
            list(
                ("users", "/api/systemusers", "/_id"),
                user,
                &[("emails", "/email", Mail), ("created_at", "/created", Time)],
            ),
            list(("applications", "/api/applications", "/_id"), application, &[("created_at", "/created", Time)]),
        ],
        "sendgrid" => vec![list(("api-keys", "/v3/api_keys", "/api_key_id"), token, &[("name", "/name", Text)])],
        "twilio" => vec![
            list(("accounts", "/2010-04-01/Accounts.json", "/sid"), nothing, &[]),
            list(
                ("api-keys", "/2010-04-01/Accounts/*/Keys.json", "/sid"),
                |_| vec!["access_key"],
                &[("name", "/friendly_name", Text), ("key_id", "/sid", Text)],
            ),
        ],
        "vercel" => vec![
            list(
                ("members", "/v3/teams/*/members", "/uid"),
                user,
                &[("emails", "/email", Mail), ("created_at", "/createdAt", Millis)],
            ),
            list(
                ("tokens", "/v5/user/tokens", "/id"),
                token,
                &[
                    ("created_at", "/createdAt", Millis),
                    ("last_used_at", "/activeAt", Millis),
                    ("expires_at", "/expiresAt", Millis),
                ],
            ),
            list(
                ("integrations", "/v1/integrations/configurations", "/id"),
                |it| if it["teamId"] == overlay::TEAM { oauth_grant(it) } else { nothing(it) },
                &[("created_at", "/createdAt", Millis)],
            ),
            list(("webhooks", "/v1/webhooks", "/id"), grant, &[("created_at", "/createdAt", Millis)]),
        ],
        "netlify" => vec![
            list(("accounts", "/api/v1/accounts", "/id"), nothing, &[]),
            list(("members", "/api/v1/*/members", "/id"), user, &[("emails", "/email", Mail)]),
            list(
                ("deploy-keys", "/api/v1/deploy_keys", "/id"),
                |_| vec!["ssh_key"],
                &[("created_at", "/created_at", Time)],
            ),
            list(("sites", "/api/v1/sites", "/id"), nothing, &[]),
            list(
                ("build-hooks", "/api/v1/sites/*/build_hooks", "/id"),
                token,
                &[("name", "/title", Text), ("created_at", "/created_at", Time)],
            ),
        ],
        "zoom" => ["users", "inactive-users"]
            .map(|scope| {
                list(
                    (scope, "/v2/users", "/id"),
                    user,
                    &[
                        ("emails", "/email", Mail),
                        ("created_at", "/created_at", Time),
                        ("last_used_at", "/last_login_time", Time),
                    ],
                )
            })
            .into(),
        "asana" => vec![
            list(("users", "/api/1.0/users", "/gid"), user, &[("name", "/name", Text)]),
            list(
                ("webhooks", "/api/1.0/webhooks", "/gid"),
                grant,
                &[("created_at", "/created_at", Time), ("last_used_at", "/last_success_at", Time)],
            ),
        ],
        "box" => vec![
            list(
                ("users", "/2.0/users", "/id"),
                |it| vec![if it["is_platform_access_only"] == true { "service_account" } else { "user" }],
                &[("name", "/name", Text), ("emails", "/login", Mail), ("created_at", "/created_at", Time)],
            ),
            list(("webhooks", "/2.0/webhooks", "/id"), grant, &[]),
        ],
        "docker-hub" => vec![list(
            ("access-tokens", "/v2/access-tokens", "/uuid"),
            token,
            &[
                ("name", "/token_label", Text),
                ("created_at", "/created_at", Time),
                ("last_used_at", "/last_used", Time),
                ("status", "/is_active", Active("true")),
            ],
        )],
        "snowflake" => vec![list(
            ("users", "/api/v2/users", "/name"),
            |it| {
                let mut kinds = vec!["user"];
                kinds.extend((it["has_password"] == true).then_some("password"));
                kinds.extend((it["has_rsa_public_key"] == true).then_some("access_key"));
                kinds
            },
            &[("name", "/name", Text)],
        )],
        other => panic!("nothing is expected of {other}"),
    }
}

/// The strict server; ends with its owner.
struct Server {
    child: Child,
    address: std::net::SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the server for that system; `None`, said aloud, where it is not at hand.
fn server(name: &str) -> Option<Server> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shared = std::env::var_os("PROVOST_SHARED").map_or_else(|| root.join("shared"), PathBuf::from);
    let file = format!("{}.json", name.replace('-', ""));
    let (script, spec) = (shared.join("specs/specserver.py"), shared.join("specs").join(file));
    let python = std::env::var("PROVOST_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let packages = Command::new(&python).args(["-c", "import jsonschema, referencing"]).stderr(Stdio::null()).status();
    if !script.exists() || !packages.is_ok_and(|it| it.success()) {
        let what = format!("they, or python's jsonschema, are not at hand ({})", script.display());
        writeln!(std::io::stderr(), "NOT TESTED against the vendors' descriptions: {what}").unwrap();
        return None;
    }
    let mut child = Command::new(python)
        .arg(script)
        .args(["--spec", &spec.display().to_string(), "--n", &RECORDS.to_string(), "--page-cap", &PAGE.to_string()])
        .args(["--seed", "7"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let said: Value = serde_json::from_str(&line).unwrap();
    let address = said["listening"].as_str().unwrap().trim_start_matches("http://").parse().unwrap();
    Some(Server { child, address })
}

/// Asks the server about itself.
async fn control(server: &Server, path: &str) -> Value {
    let upstream = Upstream::Server(server.address);
    let asked = Asked {
        method: "GET".to_owned(),
        target: path.to_owned(),
        body: Vec::new(),
        headers: BTreeMap::from([("host".to_owned(), "x".to_owned())]),
    };
    serde_json::from_slice(&upstream.answer(&asked).await.unwrap().body).unwrap()
}

/// Puts answers right and remembers them.
struct Recorder {
    righted: Righted,
    pages: std::sync::Mutex<Vec<Page>>,
}

impl Overlay for Recorder {
    fn instead(&self, asked: &mut Asked) -> Option<Answered> {
        self.righted.instead(asked)
    }

    fn after(&self, asked: &Asked, answered: Answered) -> Answered {
        let answered = self.righted.after(asked, answered);
        let page = Page::of(asked, &answered);
        let mut pages = self.pages.lock().unwrap();
        if !pages.iter().any(|it| it.asked == page.asked) {
            pages.push(page);
        }
        answered
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_manifest_maps_its_generated_estate_to_exactly_what_is_there() {
    let mut wrong = Vec::new();
    for name in names() {
        let Some(server) = server(&name) else { return };
        let righted = || Righted { name: String::leak(name.clone()) };
        let recorder = Arc::new(Recorder { righted: righted(), pages: Default::default() });
        let manifest = shipped(&name);
        let door = Door::open(Arc::new(Upstream::Server(server.address)), Some(recorder.clone())).await;
        let said =
            looked(&*eyes(&manifest, &source(&manifest, &door.url, overlay::settings(&name))), &Bookmarks::default())
                .await;
        if said.broke.is_some() || !said.troubles.is_empty() {
            wrong.push(format!("{name}: {:?} {:?}", said.broke, said.troubles));
        }
        let violations = control(&server, "/__violations").await;
        if violations != Value::Array(Vec::new()) {
            wrong.push(format!("{name}: {violations}"));
        }
        let mut estate = control(&server, "/__estate").await;
        righted().times(&mut estate);
        for expected in expected(&name) {
            let told: BTreeMap<String, _> = said
                .in_scope(expected.scope)
                .into_values()
                .map(|it| (format!("{} {}", it.key.kind.name(), it.key.external), it))
                .collect();
            let mut there = BTreeMap::new();
            for record in records(&estate, expected.path) {
                for kind in (expected.kind)(record) {
                    let id = record.pointer(expected.id).unwrap().as_str().unwrap();
                    there.insert(format!("{kind} {id}"), record);
                }
            }
            let (told_keys, there_keys): (Vec<_>, Vec<_>) = (told.keys().collect(), there.keys().collect());
            if told_keys != there_keys {
                wrong.push(format!("{name} {}: told {told_keys:?}, there are {there_keys:?}", expected.scope));
                continue;
            }
            for (key, record) in there {
                let main = told[&key].key.kind.name() == (expected.kind)(record)[0];
                for (attribute, place, form) in expected.says.iter().filter(|_| main) {
                    let field = provost_model::Field::from_name(attribute).unwrap();
                    let says = told[&key].facts.iter().find(|(it, _)| *it == field).map(|(_, reading)| reading.clone());
                    let should = reading(record.pointer(place).unwrap_or(&Value::Null), *form);
                    if says != should {
                        wrong.push(format!("{name} {key}: {attribute} is {says:?}, should be {should:?}"));
                    }
                }
            }
        }
        if writes() {
            recorded::keep(&file(&name), &*recorder.pages.lock().unwrap());
        } else if *recorder.pages.lock().unwrap() != recorded::pages(&file(&name)) {
            wrong.push(format!("{name}: the recorded pages are not those of its estate"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The records of all lists at that path.
fn records<'a>(estate: &'a Value, path: &str) -> Vec<&'a Value> {
    let wanted: Vec<&str> = path.split('/').collect();
    let fits = |path: &str| {
        let pieces: Vec<&str> = path.split('/').collect();
        pieces.len() == wanted.len()
            && pieces.iter().zip(&wanted).all(|(piece, wanted)| *wanted == "*" || piece == wanted)
    };
    let lists = estate.as_object().unwrap().iter().filter(|(path, _)| fits(path));
    lists.flat_map(|(_, records)| records.as_array().unwrap()).collect()
}

/// What should be said of a value; nothing of null, but that a time of it never came.
fn reading(value: &Value, form: Form) -> Option<Reading<Said>> {
    let at = |micros: i64| Some(Reading::Known(Said::Time(provost_model::Time::from_micros(micros))));
    match (form, value) {
        (Time | Unix, Value::Null) => Some(Reading::Never),
        (_, Value::Null) => None,
        (Time, text) => at(text.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_microsecond()),
        (Unix, number) => at(number.as_i64().unwrap() * 1_000_000),
        (Millis, number) => at(number.as_i64().unwrap() * 1_000),
        (Text, text) => Some(Reading::Known(Said::Text(text.as_str().unwrap().to_owned()))),
        (Mail, text) => Some(Reading::Known(Said::List(vec![text.as_str().unwrap().to_owned()]))),
        (Active(word), value) => {
            let said = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let status = if said == word { "active" } else { "inactive" };
            Some(Reading::Known(Said::Text(status.to_owned())))
        }
    }
}

#[test]
fn every_manifest_is_expected_to_show_something() {
    for name in names() {
        let scopes: Vec<&str> = expected(&name).iter().map(|it| it.scope).collect();
        assert!(!scopes.is_empty(), "{name}");
    }
}
