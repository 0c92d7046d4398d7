//! The whole program against a real OpenBao: what appears, what goes with its time, what may not be seen.
//! It must never take the connector's word for what the server holds.

use serde_json::{Value, json};

use crate::{
    openbao::{self, Server},
    program::{Place, Said},
};

/// A place with one source, and a server with a few AppRoles and secrets.
struct Eyes {
    server: Server,
    place: Place,
}

/// What the source's token may do.
pub(crate) const POLICY: &str = r#"
path "sys/auth" { capabilities = ["read"] }
path "sys/mounts" { capabilities = ["read"] }
path "sys/policies/acl" { capabilities = ["list"] }
path "sys/policies/acl/*" { capabilities = ["read"] }
path "auth/approle/role" { capabilities = ["list"] }
path "auth/approle/role/+" { capabilities = ["read"] }
path "auth/approle/role/+/role-id" { capabilities = ["read"] }
path "auth/approle/role/+/secret-id" { capabilities = ["list"] }
path "auth/approle/role/+/secret-id/" { capabilities = ["list"] }
path "auth/approle/role/+/secret-id-accessor/lookup" { capabilities = ["update"] }
path "secret/metadata" { capabilities = ["list"] }
path "secret/metadata/*" { capabilities = ["list", "read"] }
"#;

impl Eyes {
    fn open() -> Option<Self> {
        let server = openbao::own()?;
        server.write("sys/auth/approle", &json!({"type": "approle"}));
        for number in 1..=6 {
            server.write(&format!("auth/approle/role/app{number}"), &json!({"secret_id_ttl": "720h"}));
            for _ in 0..4 {
                server.write(&format!("auth/approle/role/app{number}/secret-id"), &json!({}));
            }
            server.write(&format!("secret/data/app{number}"), &json!({"data": {"v": "1"}}));
        }
        let token = server.token("eyes", POLICY);
        let place = Place::new().with([("EYES_TOKEN", &*Box::leak(token.into_boxed_str()))]);
        place.write_configuration(&format!(
            "[store]\nmin_free = \"1MiB\"\n[[sources]]\nname = \"bao\"\nconnector = \"vault\"\npace = \"full\"\n\
             address = {:?}\ntoken = \"env:EYES_TOKEN\"\n",
            server.url()
        ));
        Some(Self { server, place })
    }

    fn scan(&self, more: &[&str]) -> Value {
        let said = self.place.say(&[&["scan", "--output", "json"], more].concat());
        let runs: Value = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
        runs[0].clone()
    }

    /// The record whose external id ends so.
    fn record(&self, kind: &str, end: &str) -> Value {
        let filter = format!("kind == \"{kind}\"");
        let rows = self.place.listed(&[
            "inventory",
            "list",
            "--presence",
            "present,missing,gone,unwatched",
            "--where",
            &filter,
        ]);
        let mut found = rows.into_iter().filter(|row| row["external_id"].as_str().unwrap().ends_with(end));
        let row = found.next().unwrap_or_else(|| panic!("there is no {kind} …{end}"));
        assert!(found.next().is_none(), "two of {end}");
        row
    }
}

fn history(place: &Place, id: &str) -> Vec<Value> {
    let Said { out, .. } = place.say(&["inventory", "history", id, "--output", "json"]);
    serde_json::from_str(&out).unwrap()
}

#[test]
fn a_secret_id_appears_and_goes_and_a_refused_reading_is_not_permitted() {
    let Some(eyes) = Eyes::open() else { return };
    let (server, place) = (&eyes.server, &eyes.place);
    let run = eyes.scan(&[]);
    assert_eq!(run["outcome"], "complete", "{run:#}");

    let made = server.write("auth/approle/role/app3/secret-id", &json!({}));
    let accessor = made["secret_id_accessor"].as_str().unwrap().to_owned();
    let truth =
        server.write("auth/approle/role/app3/secret-id-accessor/lookup", &json!({"secret_id_accessor": accessor}));
    let run = eyes.scan(&[]);
    assert_eq!(run["outcome"], "complete", "{run:#}");
    let row = eyes.record("client_secret", &accessor);
    assert_eq!(row["presence"], "present");
    let created: provost_model::Time = truth["creation_time"].as_str().unwrap().parse().unwrap();
    assert_eq!(row["created_at"], json!({"reading": "known", "value": created.to_string()}), "{row:#}");
    assert_eq!(row["identity"], eyes.record("service_account", "/app3")["id"]);

    server.write("auth/approle/role/app3/secret-id-accessor/destroy", &json!({"secret_id_accessor": accessor}));
    server.delete("secret/metadata/app2");
    let run = eyes.scan(&[]);
    assert_eq!(run["outcome"], "complete", "{run:#}");
    for (kind, end) in [("client_secret", accessor.as_str()), ("secret", "/app2")] {
        let row = eyes.record(kind, end);
        assert_eq!(row["presence"], "gone", "{row:#}");
        let last = history(place, row["id"].as_str().unwrap());
        let gone = last.iter().find(|line| line["what"] == "gone").unwrap_or_else(|| panic!("{last:#?}"));
        assert!(gone["recorded"].is_string() || gone["at"].is_string(), "with its time: {gone:#}");
    }
    assert_eq!(eyes.record("secret", "/app1")["presence"], "present");

    // Without the right to read roles, what they may do is not known any more, and nothing is gone by that.
    let less = POLICY.replace("path \"auth/approle/role/+\" { capabilities = [\"read\"] }", "");
    server.write("sys/policies/acl/eyes", &json!({ "policy": less }));
    let run = eyes.scan(&["--sweep"]);
    assert_eq!(run["outcome"], "complete", "{run:#}");
    let row = eyes.record("service_account", "/app1");
    assert_eq!(row["presence"], "present");
    assert_eq!(row["attributes"]["policies"], json!({"reading": "not_permitted"}), "{row:#}");
    let told = run["troubles"].as_array().unwrap().iter().any(|it| it["place"] == "approle/approle/roles");
    assert!(told, "{run:#}");
    let listed = place.say(&["sources", "show", "bao"]);
    let shown = format!("{}{}", listed.out, listed.err);
    for words in ["cannot see", "approle/approle/roles"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }

    // A role that is deleted takes its secret ids along.
    server.delete("auth/approle/role/app5");
    eyes.scan(&[]);
    let secret_ids = place.listed(&["inventory", "list", "--presence", "gone", "--where", "kind == \"client_secret\""]);
    let of_app5 = secret_ids.iter().filter(|row| row["external_id"].as_str().unwrap().contains("/app5/")).count();
    assert_eq!((eyes.record("service_account", "/app5")["presence"].as_str(), of_app5), (Some("gone"), 4));
}
