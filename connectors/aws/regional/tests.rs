//! The listings beside IAM against canned answers: what each says, and what becomes of one that fails.
//! It must never need a network or a clock of the wall.

use std::collections::BTreeSet;

use provost_model::{Entity, Kind, Reading, Status, Why, field};
use serde_json::{Value, json};

use crate::{
    Bookmarks,
    aws::{
        SPEC,
        testing::{Account, FakeIam},
        tests::{Said, account, run},
    },
};

const ROLE: &str = "arn:aws:iam::123456789012:role/worker";
const KEY: &str = "arn:aws:kms:eu-west-1:123456789012:key/k1";
const PASSWORD: &str = "Tr0ub4dor-und-3-pferde!";

/// Answers of a region in which there is something of everything.
fn cloud() -> Vec<(&'static str, Vec<Value>)> {
    vec![
        (
            "ListSecrets",
            vec![
                json!({"NextToken": "2", "SecretList": [
                    {"ARN": "arn:s1", "Name": "on", "RotationEnabled": true, "CreatedDate": 1_700_000_000,
                     "LastRotatedDate": 1_790_000_000, "NextRotationDate": 1_796_000_000,
                     "SecretVersionsToStages": {"v2": ["AWSPENDING", "AWSCURRENT"]},
                     "Tags": [{"Key": "owner", "Value": "payments"}]},
                    {"ARN": "arn:s2", "Name": "stuck", "RotationEnabled": true, "NextRotationDate": 1_780_000_000},
                ]}),
                json!({"SecretList": [
                    {"ARN": "arn:s3", "Name": "off", "LastAccessedDate": 1_790_000_000, "DeletedDate": 1_796_000_000},
                    {"ARN": "arn:s4", "Name": "rds!db", "RotationEnabled": true, "OwningService": "rds"},
                    {"ARN": "arn:s5", "Name": "copy", "PrimaryRegion": "us-east-1"},
                ]}),
            ],
        ),
        (
            "DescribeParameters",
            vec![json!({"Parameters": [
                {"Name": "/app/token", "Type": "SecureString", "LastModifiedDate": 1_790_000_000, "Version": 1,
                 "LastModifiedUser": "arn:aws:iam::123456789012:user/ann"},
                {"Name": "open", "Type": "String", "LastModifiedDate": 1_790_000_000, "Version": 1},
            ]})],
        ),
        (
            "ListKeys",
            vec![json!({"Truncated": false, "Keys": [
            {"KeyId": "k1", "KeyArn": KEY}, {"KeyId": "k2", "KeyArn": "arn:k2"}]})],
        ),
        (
            "ListAliases",
            vec![json!({"Truncated": false, "Aliases": [
            {"AliasName": "alias/app", "TargetKeyId": "k1"}, {"AliasName": "alias/aws/s3", "TargetKeyId": "k2"}]})],
        ),
        (
            "DescribeKey",
            vec![json!({"KeyMetadata": {"KeyManager": "CUSTOMER", "KeyState": "Enabled",
            "CreationDate": 1_700_000_000.5, "Origin": "AWS_KMS", "KeySpec": "SYMMETRIC_DEFAULT"}})],
        ),
        (
            "GetKeyRotationStatus",
            vec![json!({"KeyRotationEnabled": true, "RotationPeriodInDays": 365, "NextRotationDate": 1_800_000_000})],
        ),
        (
            "ListKeyRotations",
            vec![json!({"Truncated": false, "Rotations": [
            {"RotationDate": 1_760_000_000}, {"RotationDate": 1_770_000_000}]})],
        ),
        (
            "ListCertificates",
            vec![json!({"CertificateSummaryList": [
            {"CertificateArn": "arn:c1", "DomainName": "www.corp.example", "NotAfter": 1_800_000_000}]})],
        ),
        (
            "DescribeCertificate",
            vec![json!({"Certificate": {"Type": "AMAZON_ISSUED", "Status": "ISSUED",
            "RenewalEligibility": "ELIGIBLE", "NotAfter": 1_800_000_000, "Serial": "0a:0b", "Issuer": "Amazon",
            "KeyAlgorithm": "RSA-2048", "InUseBy": ["arn:lb"]}})],
        ),
        ("ListInstances", vec![json!({"Instances": [{"InstanceArn": "arn:i"}]})]),
        (
            "ListApplications",
            vec![json!({"Applications": [{"ApplicationArn": "arn:a", "Name": "Wiki",
            "Status": "ENABLED", "PortalOptions": {"SignInOptions":
                {"ApplicationUrl": "https://u:p@wiki.example/in?t=1"}}}]})],
        ),
        (
            "GET /trustanchors",
            vec![json!({"trustAnchors": [{"trustAnchorArn": "arn:t", "name": "ca",
            "enabled": false, "createdAt": "2026-01-02T03:04:05Z",
            "source": {"sourceType": "AWS_ACM_PCA", "sourceData": {"acmPcaArn": "arn:pca"}}}]})],
        ),
        (
            "GET /profiles",
            vec![json!({"profiles": [{"profileArn": "arn:p", "name": "build", "enabled": true,
            "roleArns": [ROLE]}]})],
        ),
        ("GET /clusters", vec![json!({"clusters": ["prod"]})]),
        (
            "GET /clusters/prod",
            vec![json!({"cluster": {"arn": "arn:eks", "name": "prod", "status": "ACTIVE",
            "createdAt": 1_700_000_000, "roleArn": ROLE, "identity": {"oidc": {"issuer": "https://oidc/1"}}}})],
        ),
        (
            "GET /clusters/prod/pod-identity-associations",
            vec![json!({"associations": [
            {"associationId": "a-1", "associationArn": "arn:pod", "namespace": "shop", "serviceAccount": "cart"}]})],
        ),
        (
            "GET /clusters/prod/pod-identity-associations/a-1",
            vec![json!({"association":
            {"roleArn": ROLE, "targetRoleArn": "arn:other", "createdAt": 1_700_000_000}})],
        ),
        (
            "POST /agents/",
            vec![json!({"agentSummaries": [{"agentId": "AG1", "agentName": "helper",
            "agentStatus": "PREPARED", "updatedAt": "2026-01-02T03:04:05Z"}]})],
        ),
        ("GET /agents/AG1/", vec![json!({"agent": {"agentResourceRoleArn": ROLE, "instruction": "be nice"}})]),
        (
            "GET /2015-03-31/functions",
            vec![json!({"NextMarker": null, "Functions": [
            {"FunctionName": "mailer", "FunctionArn": "arn:f1", "Role": ROLE,
             "LastModified": "2026-01-02T03:04:05.000+0000",
             "Environment": {"Variables": {"DB_PASSWORD": PASSWORD, "STAGE": "prod"}}},
            {"FunctionName": "closed", "FunctionArn": "arn:f2",
             "Environment": {"Error": {"ErrorCode": "AccessDeniedException"}}}]})],
        ),
        (
            "ListTaskDefinitions",
            vec![json!({"taskDefinitionArns": [
            "arn:aws:ecs:eu-west-1:1:task-definition/web:1", "arn:aws:ecs:eu-west-1:1:task-definition/web:2"]})],
        ),
        (
            "DescribeTaskDefinition",
            vec![json!({"taskDefinition": {"taskRoleArn": ROLE, "containerDefinitions": [
                {"name": "app", "environment": [{"name": "API_TOKEN", "value": PASSWORD}, {"name": "PORT", "value": "1"}]}
            ]}})],
        ),
    ]
}

fn in_region(region: &str, cloud: Vec<(&'static str, Vec<Value>)>) -> Account {
    let answers = |pages: Vec<Value>| pages.into_iter().map(|page| (200, page.to_string())).collect();
    let cloud = cloud.into_iter().map(|(what, pages)| (format!("{region} {what}"), answers(pages)));
    let nobody = |at: &str| (format!("{at} LookupEvents"), vec![(200, r#"{"Events":[]}"#.to_owned())]);
    Account { cloud: cloud.chain([nobody("us-east-1"), nobody(region)]).collect(), ..account() }
}

async fn look(fake: &FakeIam, known: &Bookmarks, regions: &[&str]) -> Said {
    let (result, said) = run(fake, known, json!({"pace": "full", "regions": regions})).await;
    result.unwrap();
    said
}

fn one<'a>(said: &'a Said, external: &str) -> &'a Entity {
    let found = said.entities.iter().find(|(_, it)| it.key.external == external);
    &found
        .unwrap_or_else(|| panic!("{external} in {:?}", said.entities.iter().map(|it| &it.1.key).collect::<Vec<_>>()))
        .1
}

fn text(entity: &Entity, attr: provost_model::Attr<String>) -> Option<String> {
    entity.facts.get(attr).known()
}

#[tokio::test]
async fn everything_of_a_region_is_said_as_it_is() {
    let fake = FakeIam::start(in_region("eu-west-1", cloud())).await.unwrap();
    let said = look(&fake, &Bookmarks::default(), &["eu-west-1"]).await;
    assert!(said.troubles.is_empty(), "{:?}", said.troubles);
    for (external, word) in [("arn:s1", "on"), ("arn:s2", "failing"), ("arn:s3", "off"), ("arn:s4", "managed")] {
        assert_eq!(text(one(&said, external), field::ROTATION).as_deref(), Some(word), "{external}");
    }
    let first = one(&said, "arn:s1");
    assert_eq!(first.facts.get(field::VERSIONS), Reading::Known(vec!["v2 AWSCURRENT AWSPENDING".to_owned()]));
    assert_eq!(first.facts.get(field::LAST_USED_AT), Reading::Never);
    assert_eq!(first.facts.get(field::TAGS).known().unwrap()["owner"], "payments");
    assert_eq!(one(&said, "arn:s2").facts.get(field::ROTATED_AT), Reading::Never);
    let off = one(&said, "arn:s3");
    assert_eq!(off.facts.get(field::ROTATED_AT), Reading::NotReported);
    assert_eq!(off.facts.get(field::STATUS), Reading::Known(Status::Inactive), "about to be deleted");
    assert_eq!(one(&said, "arn:s5").facts.get(field::ROTATION), Reading::NotReported, "another region rotates it");

    let parameter = one(&said, "arn:aws:ssm:eu-west-1:123456789012:parameter/app/token");
    assert_eq!(text(parameter, field::CREATED_BY).as_deref(), Some("arn:aws:iam::123456789012:user/ann"));
    assert_eq!(parameter.facts.get(field::CREATED_AT), parameter.facts.get(field::ROTATED_AT));
    assert!(!said.entities.iter().any(|(_, it)| it.key.external.ends_with("parameter/open")));

    let key = one(&said, KEY);
    assert_eq!((text(key, field::NAME).as_deref(), text(key, field::ROTATION).as_deref()), (Some("app"), Some("on")));
    assert_eq!(key.facts.get(field::ROTATED_AT).known().unwrap().as_seconds(), 1_770_000_000);
    assert!(!said.entities.iter().any(|(_, it)| it.key.external == "arn:k2"), "AWS manages it");

    assert_eq!(key.facts.get(field::ROTATION_PERIOD), Reading::Known(365 * 86_400));

    let certificate = one(&said, "arn:c1");
    assert_eq!(certificate.facts.get(field::BITS), Reading::Known(2048));
    assert_eq!(text(certificate, field::ROTATION).as_deref(), Some("managed"));
    assert_eq!(certificate.facts.get(field::HOLDERS), Reading::Known(vec!["arn:lb".to_owned()]));

    assert_eq!(text(one(&said, "arn:a"), field::URL).as_deref(), Some("https://wiki.example/in"));
    assert_eq!(one(&said, "arn:t").facts.get(field::STATUS), Reading::Known(Status::Inactive));
    let acting = vec![ROLE.to_owned()];
    for external in ["arn:p", "arn:eks", "arn:f1", "arn:aws:bedrock:eu-west-1:123456789012:agent/AG1"] {
        assert_eq!(one(&said, external).facts.get(field::ASSUMES), Reading::Known(acting.clone()), "{external}");
    }
    let pod = one(&said, "arn:pod");
    assert_eq!(pod.facts.get(field::ASSUMES), Reading::Known(vec![ROLE.to_owned(), "arn:other".to_owned()]));
    assert_eq!(text(pod, field::OIDC_ISSUER).as_deref(), Some("https://oidc/1"));
    assert_eq!(text(pod, field::OIDC_SUBJECT).as_deref(), Some("system:serviceaccount:shop:cart"));
    assert_eq!(one(&said, "arn:f2").facts.get(field::ENVIRONMENT_NAMES), Reading::NotPermitted);
}

#[tokio::test]
async fn variables_that_are_credentials_are_named_and_their_values_are_not() {
    let fake = FakeIam::start(in_region("eu-west-1", cloud())).await.unwrap();
    let said = look(&fake, &Bookmarks::default(), &["eu-west-1"]).await;
    let function = one(&said, "arn:f1#DB_PASSWORD");
    let task = one(&said, "arn:aws:ecs:eu-west-1:1:task-definition/web#app.API_TOKEN");
    assert_eq!((function.key.kind, task.key.kind), (Kind::Password, Kind::Token));
    assert_eq!(text(function, field::FINGERPRINT), text(task, field::FINGERPRINT), "one secret in two places");
    assert!(text(function, field::FINGERPRINT).unwrap().starts_with("k1:"));
    assert_eq!(function.container.as_ref().unwrap().external, "arn:f1");
    let names = one(&said, "arn:f1").facts.get(field::ENVIRONMENT_NAMES);
    assert_eq!(names, Reading::Known(vec!["DB_PASSWORD".to_owned(), "STAGE".to_owned()]));
    let all = format!("{:?} {:?}", said.entities, said.troubles);
    assert!(!all.contains(PASSWORD) && all.contains("DB_PASSWORD") && !all.contains("be nice"));
}

#[tokio::test]
async fn the_calls_are_those_that_are_declared_and_all_of_them() {
    let fake = FakeIam::start(in_region("eu-west-1", cloud())).await.unwrap();
    let said = look(&fake, &Bookmarks::default(), &["eu-west-1"]).await;
    let declared: BTreeSet<&str> = SPEC.reads.iter().map(|read| read.0).collect();
    let made: BTreeSet<&str> = said.calls.keys().map(String::as_str).collect();
    let undeclared: Vec<_> = made.difference(&declared).filter(|it| !it.ends_with("(sweep)")).collect();
    assert!(undeclared.is_empty(), "{undeclared:?}");
    // Of a trail's files see `aws::trail::tests`.
    let elsewhere = ["organizations:ListAccounts", "ec2:DescribeRegions", "account:ListRegions"];
    let elsewhere = |read: &str| ["iam:", "s3:"].iter().any(|it| read.starts_with(it)) || elsewhere.contains(&read);
    let unmade: Vec<_> = declared.difference(&made).filter(|read| !elsewhere(read)).collect();
    assert!(unmade.is_empty(), "{unmade:?}");
}

#[tokio::test]
async fn a_listing_that_fails_touches_no_other() {
    for (fault, why) in [
        ((500, "{}".to_owned()), Why::Unavailable),
        ((200, "{\"SecretList\": [".to_owned()), Why::Malformed),
        ((200, "{}".to_owned()), Why::Malformed),
        ((200, "<html>".to_owned()), Why::Malformed),
    ] {
        let mut account = in_region("eu-west-1", cloud());
        // The first page is fine, the second is not.
        let pages = account.cloud.get_mut("eu-west-1 ListSecrets").unwrap();
        pages[1] = fault.clone();
        let fake = FakeIam::start(account).await.unwrap();
        let said = look(&fake, &Bookmarks::default(), &["eu-west-1"]).await;
        let scope = "regions/eu-west-1/secretsmanager/secrets";
        assert_eq!(said.why(scope), Some(why), "{fault:?}: {:?}", said.troubles);
        assert_eq!(said.covers[scope], "partial", "{fault:?}");
        assert_eq!(said.troubles.len(), 1, "{:?}", said.troubles);
        assert_eq!(said.covers["regions/eu-west-1/kms/keys"], "full");
        assert_eq!(said.covers["iam/authorization"], "full");
    }
}

#[tokio::test]
async fn a_throttled_listing_is_asked_again() {
    let mut account = in_region("eu-west-1", cloud());
    let throttle = (400, r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#.to_owned());
    account.cloud.get_mut("eu-west-1 ListInstances").unwrap().insert(0, throttle);
    let fake = FakeIam::start(account).await.unwrap();
    let said = look(&fake, &Bookmarks::default(), &["eu-west-1"]).await;
    assert!(said.troubles.is_empty(), "{:?}", said.troubles);
    assert_eq!(said.calls["sso:ListInstances"], 2);
    assert_eq!(text(one(&said, "arn:a"), field::NAME).as_deref(), Some("Wiki"));
}

#[tokio::test]
async fn what_is_refused_is_one_blind_spot_with_its_regions() {
    // Nothing is answered: everything is refused.
    let fake = FakeIam::start(account()).await.unwrap();
    let said = look(&fake, &Bookmarks::default(), &["eu-west-1", "us-east-1"]).await;
    assert!(said.troubles.iter().all(|it| it.blind_spot && it.why == Why::Denied), "{:?}", said.troubles);
    let secrets = said.troubles.iter().find(|it| it.place == "secretsmanager:ListSecrets").unwrap();
    assert!(secrets.said.ends_with("(in eu-west-1, us-east-1)"), "{}", secrets.said);
    assert!(!said.covers.contains_key("regions/eu-west-1/secretsmanager/secrets"), "what is not seen is not covered");
    // A part that is refused leaves what can be seen.
    let mut account = in_region("eu-west-1", cloud());
    account.cloud.retain(|what, _| !what.ends_with("GetKeyRotationStatus") && !what.ends_with("DescribeCertificate"));
    let fake = FakeIam::start(account).await.unwrap();
    let said = look(&fake, &Bookmarks::default(), &["eu-west-1"]).await;
    assert_eq!(one(&said, KEY).facts.get(field::ROTATION), Reading::NotPermitted);
    assert_eq!(one(&said, "arn:c1").facts.get(field::EXPIRES_AT), Reading::NotPermitted);
    assert_eq!(said.covers["regions/eu-west-1/kms/keys"], "full");
    assert_eq!(said.troubles.len(), 2, "{:?}", said.troubles);
}

#[tokio::test]
async fn what_cannot_have_changed_is_not_asked_again() {
    let fake = FakeIam::start(in_region("eu-west-1", cloud())).await.unwrap();
    let cold = look(&fake, &Bookmarks::default(), &["eu-west-1"]).await;
    fake.with(|account| account.calls.clear());
    let warm = look(&fake, &cold.next, &["eu-west-1"]).await;
    for operation in ["acm:DescribeCertificate", "bedrock:GetAgent", "ecs:DescribeTaskDefinition"] {
        assert!(!warm.calls.contains_key(operation), "{operation}");
    }
    assert_eq!(warm.covers["regions/eu-west-1/acm/certificates"], "unchanged");
    assert_eq!(warm.covers["regions/eu-west-1/ecs/task-definitions"], "delta");
    // Another revision, and a certificate renewed.
    fake.with(|account| {
        let arn = "arn:aws:ecs:eu-west-1:1:task-definition/web:3";
        account.cloud.insert(
            "eu-west-1 ListTaskDefinitions".into(),
            vec![(200, json!({"taskDefinitionArns": [arn]}).to_string())],
        );
        let renewed = json!({"CertificateSummaryList": [{"CertificateArn": "arn:c1", "NotAfter": 1_900_000_000}]});
        account.cloud.insert("eu-west-1 ListCertificates".into(), vec![(200, renewed.to_string())]);
        account.calls.clear();
    });
    let changed = look(&fake, &warm.next, &["eu-west-1"]).await;
    assert_eq!((changed.calls["acm:DescribeCertificate"], changed.calls["ecs:DescribeTaskDefinition"]), (1, 1));
}

#[tokio::test]
async fn regions_are_those_enabled_and_one_that_is_left_out_is_unwatched() {
    let fake = FakeIam::start(in_region("eu-west-1", cloud())).await.unwrap();
    let both = look_enabled(&fake, &Bookmarks::default()).await;
    assert_eq!(both.calls.get("ec2:DescribeRegions"), Some(&1), "{:?} {:?}", both.calls, both.troubles);
    assert_eq!(both.calls["secretsmanager:ListSecrets"], 3, "two pages in one region, a refusal in the other");
    let said = look(&fake, &both.next, &["eu-west-1"]).await;
    let left: Vec<_> = said.unwatched.iter().filter(|scope| scope.contains("/regions/")).collect();
    assert_eq!(left, ["aws:123456789012/regions/us-east-1"]);
}

async fn look_enabled(fake: &FakeIam, known: &Bookmarks) -> Said {
    let (result, said) = run(fake, known, json!({"pace": "full", "regions": Value::Null})).await;
    result.unwrap();
    said
}
