//! What an account has beside IAM, against moto: every field that boto3 reads is what the inventory says.
//! It must never compare with anything but the truth that boto3 read.
//!
//! Moto answers some listings with 500 (Roles Anywhere, Identity Center's applications, pod identities): those scopes end
//! partial, and rightly. They are tested against canned answers in `connectors/aws/regional/tests.rs`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    place::{Place, calls, cover, text, troubles},
    server::Moto,
};

const REGIONS: &str = "regions = [\"eu-west-1\", \"us-east-1\"]";

fn known(value: &Value) -> Value {
    if value.is_null() { json!({"reading": "never"}) } else { json!({"reading": "known", "value": value}) }
}

fn said(value: impl Into<Value>) -> Value {
    json!({"reading": "known", "value": value.into()})
}

/// The reading of a time without its part of a second, which boto3's truth leaves out.
fn to_second(reading: &Value) -> Value {
    let mut reading = reading.clone();
    if let Some(text) =
        reading["value"].as_str().and_then(|text| text.split_once('.')).map(|(whole, _)| format!("{whole}Z"))
    {
        reading["value"] = json!(text);
    }
    reading
}

/// Everything that was ever seen, by its external id.
fn records(place: &Place) -> BTreeMap<String, Value> {
    let rows = place.rows(&["inventory", "list", "--presence", "present,missing,gone,unwatched"]);
    rows.into_iter().map(|row| (text(&row, "external_id").to_owned(), row)).collect()
}

fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().unwrap()
}

#[test]
fn what_lies_in_the_regions_is_what_boto3_reads() {
    let moto = Moto::of("moto_cloud.py", &[]);
    let place = Place::new(&moto.url(), REGIONS);
    let (status, run) = place.scan(&[]);
    assert_eq!(status, 3, "moto lacks some listings: {run:#}");
    let all = records(&place);
    let of = |id: &str| all.get(id).unwrap_or_else(|| panic!("{id} is not there: {:#?}", all.keys()));
    for (region, truth) in moto.truth["regions"].as_object().unwrap() {
        for scope in [
            "secretsmanager/secrets",
            "ssm/parameters",
            "kms/keys",
            "acm/certificates",
            "lambda/functions",
            "bedrock/agents",
        ] {
            assert_eq!(cover(&run, &format!("regions/{region}/{scope}")), "full", "{run:#}");
        }
        secrets(list(truth, "secrets"), &of);
        parameters((region, text(&moto.truth, "account")), list(truth, "parameters"), &all);
        keys(list(truth, "keys"), &of);
        for it in list(truth, "certificates") {
            let (row, status) = (of(text(it, "arn")), if it["status"] == "ISSUED" { "active" } else { "inactive" });
            assert_eq!((&row["name"], text(row, "status")), (&it["name"], status), "{row:#}");
            assert_eq!(
                (&row["expires_at"], &row["attributes"]["serial"]),
                (&known(&it["expires"]), &known(&it["serial"]))
            );
            let rotates = if it["type"] == "IMPORTED" { said("off") } else { row["attributes"]["rotation"].clone() };
            assert_eq!(row["attributes"]["rotation"], rotates, "{row:#}");
        }
        for it in list(truth, "clusters") {
            let row = of(text(it, "arn"));
            assert_eq!(row["attributes"]["oidc_issuer"], known(&it["issuer"]), "{row:#}");
            assert_eq!(row["attributes"]["assumes"], said(vec![it["role"].clone()]), "{row:#}");
        }
        for it in list(truth, "functions") {
            let row = of(text(it, "arn"));
            assert_eq!((&row["name"], text(row, "kind")), (&it["name"], "workload"), "{row:#}");
            assert_eq!(row["attributes"]["assumes"], said(vec![it["role"].clone()]), "{row:#}");
            assert_eq!(row["attributes"]["environment_names"], known(&it["names"]), "{row:#}");
        }
        for it in list(truth, "tasks") {
            let roles: Vec<Value> = Some(it["role"].clone()).filter(|role| !role.is_null()).into_iter().collect();
            assert_eq!(of(text(it, "family"))["attributes"]["assumes"], said(roles));
        }
        for it in list(truth, "agents") {
            let row = of(text(it, "arn"));
            assert_eq!((&row["name"], text(row, "kind")), (&it["name"], "ai_agent"), "{row:#}");
            assert_eq!(row["attributes"]["assumes"], said(vec![it["role"].clone()]), "{row:#}");
        }
        let function = format!("arn:aws:lambda:{region}:{}:function:mailer", text(&moto.truth, "account"));
        let held = of(&format!("{function}#SERVICE_SECRET_ACCESS_KEY"));
        assert_eq!(held["attributes"]["opens"], said("AKIAIOSFODNN7EXAMPLE"), "{held:#}");
        assert_eq!(text(of(&format!("{function}#DB_PASSWORD")), "kind"), "password");
        assert!(!all.contains_key(&format!("{function}#STAGE")));
    }
    let whole = format!("{all:?} {run}");
    assert!(!whole.contains("not-to-be-read") && !whole.contains("Tr0ub4dor") && !whole.contains("wJalrXUtn"));
}

fn secrets<'a>(truth: &[Value], of: &dyn Fn(&str) -> &'a Value) {
    for it in truth {
        let row = of(text(it, "arn"));
        let attributes = &row["attributes"];
        assert_eq!((&row["name"], text(row, "kind")), (&it["name"], "secret"), "{row:#}");
        assert_eq!(row["created_at"], known(&it["created"]), "{row:#}");
        assert_eq!(row["last_used_at"], known(&it["accessed"]), "{row:#}");
        assert_eq!(attributes["modified_at"], known(&it["changed"]), "{row:#}");
        assert_eq!(attributes["tags"], known(&it["tags"]), "{row:#}");
        let word = match (it["rotates"] == true, text(it, "name")) {
            (true, "app/stuck") => "failing",
            (true, _) => "on",
            (false, _) => "off",
        };
        assert_eq!(attributes["rotation"], said(word), "{row:#}");
        if it["rotates"] == true {
            assert_eq!(
                (&row["rotated_at"], &attributes["rotation_due_at"]),
                (&known(&it["rotated"]), &known(&it["due"]))
            );
        }
        let (status, end) = if it["deleted"].is_null() {
            ("active", json!({"reading": "not_reported"}))
        } else {
            ("inactive", known(&it["deleted"]))
        };
        assert_eq!((text(row, "status"), to_second(&row["expires_at"])), (status, end), "{row:#}");
        let mut stages: Vec<String> = it["stages"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(id, stages)| {
                format!(
                    "{id} {}",
                    stages.as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect::<Vec<_>>().join(" ")
                )
            })
            .collect();
        stages.sort();
        assert_eq!(attributes["versions"], said(stages), "{row:#}");
    }
}

fn parameters((region, account): (&str, &str), truth: &[Value], all: &BTreeMap<String, Value>) {
    for it in truth {
        let id = format!("arn:aws:ssm:{region}:{account}:parameter/{}", text(it, "name").trim_start_matches('/'));
        if it["type"] != "SecureString" {
            assert!(!all.contains_key(&id), "{id} is no secret");
            continue;
        }
        let row = all.get(&id).unwrap_or_else(|| panic!("{id}"));
        assert_eq!((&row["name"], to_second(&row["rotated_at"])), (&it["name"], known(&it["modified"])), "{row:#}");
        let created = if it["version"] == 1 { known(&it["modified"]) } else { json!({"reading": "not_reported"}) };
        assert_eq!(to_second(&row["created_at"]), created, "{row:#}");
    }
}

fn keys<'a>(truth: &[Value], of: &dyn Fn(&str) -> &'a Value) {
    for it in truth {
        let row = of(text(it, "arn"));
        let status = if it["state"] == "Enabled" { "active" } else { "inactive" };
        assert_eq!((text(row, "status"), to_second(&row["created_at"])), (status, known(&it["created"])), "{row:#}");
        let rotation = match &it["rotating"] {
            Value::Bool(true) => said("on"),
            Value::Bool(false) => said("off"),
            _ => json!({"reading": "not_reported"}),
        };
        assert_eq!(row["attributes"]["rotation"], rotation, "{row:#}");
    }
}

#[test]
fn a_secret_that_is_made_shows_and_one_that_is_deleted_goes() {
    let moto = Moto::of("moto_cloud.py", &[]);
    let place = Place::new(&moto.url(), REGIONS);
    place.scan(&[]);
    let scope = "eu-west-1/secretsmanager";
    let made = moto.tell(scope, "secretsmanager.CreateSecret", &json!({"Name": "fresh", "SecretString": "x"}));
    let made: Value = serde_json::from_str(made.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    let plain =
        list(&moto.truth["regions"]["eu-west-1"], "secrets").iter().find(|it| it["name"] == "app/plain").unwrap();
    let delete = json!({"SecretId": plain["arn"], "ForceDeleteWithoutRecovery": true});
    moto.tell(scope, "secretsmanager.DeleteSecret", &delete);
    // A new revision without the password that the one before had.
    let container =
        json!({"name": "app", "image": "x", "memory": 64, "environment": [{"name": "PORT", "value": "8080"}]});
    let task = json!({"family": "web", "containerDefinitions": [container]});
    moto.tell("eu-west-1/ecs", "AmazonEC2ContainerServiceV20141113.RegisterTaskDefinition", &task);
    let presence = |all: &BTreeMap<String, Value>, id: &str| text(&all[id], "presence").to_owned();
    let password =
        format!("arn:aws:ecs:eu-west-1:{}:task-definition/web#app.DB_PASSWORD", text(&moto.truth, "account"));

    let (_, run) = place.scan(&[]);
    let all = records(&place);
    assert_eq!(presence(&all, text(&made, "ARN")), "present");
    assert_eq!(presence(&all, text(plain, "arn")), "missing", "one listing without it is not proof");
    assert_eq!(presence(&all, &password), "gone", "a revision is one answer: what it lacks is not there");
    assert_eq!(calls(&run, "ecs:DescribeTaskDefinition"), 1, "of all revisions one is new: {run:#}");
    place.scan(&[]);
    let all = records(&place);
    assert_eq!(presence(&all, text(plain, "arn")), "gone");
    let said = place.say(&["inventory", "show", text(plain, "arn")]);
    assert!(said.status == 0 && said.out.contains("gone"), "{said:?}");
}

#[test]
fn a_trail_s_files_are_read_from_a_bucket_packed_or_not_and_once() {
    let moto = Moto::of("moto_cloud.py", &[]);
    let trail = "trail = { bucket = \"corp-trail\", region = \"eu-west-1\" }";
    let place = Place::new(&moto.url(), &format!("{REGIONS}\n{trail}"));
    let (_, run) = place.scan(&[]);
    assert_eq!(list(&moto.truth, "trail").len(), 2);
    assert_eq!((calls(&run, "s3:ListBucket"), calls(&run, "s3:GetObject")), (2, 2), "{run:#}");
    assert_eq!(cover(&run, "cloudtrail/files"), "delta", "{run:#}");
    assert!(!troubles(&run).iter().any(|it| it.starts_with("cloudtrail/files")), "{run:#}");
    let (_, run) = place.scan(&[]);
    assert_eq!((calls(&run, "s3:ListBucket"), calls(&run, "s3:GetObject")), (2, 0), "{run:#}");
    // A bucket that is not there is said, and nothing else suffers.
    place.configure(&moto.url(), &format!("{REGIONS}\n{}", trail.replace("corp-trail", "no-such-bucket")));
    let (_, run) = place.scan(&[]);
    assert!(troubles(&run).iter().any(|it| it.starts_with("cloudtrail/files")), "{run:#}");
    assert_eq!(cover(&run, "regions/eu-west-1/secretsmanager/secrets"), "full", "{run:#}");
}
