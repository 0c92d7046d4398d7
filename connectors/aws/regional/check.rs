//! Each read of the regional listings tried once, with the smallest page, in the region of the credentials.
//! It must never read more of a listing than leads to the next call.

use provost_client::Failure;
use serde_json::{Value, json};

use crate::aws::{
    call::{Rest, Rpc},
    session::Session,
};

/// A trial of a listing, and of what is asked about one of its elements.
struct Trial {
    rpc: Rpc,
    body: fn() -> Value,
    /// Where the first element's name stands, and the calls that take it under that name.
    then: Option<(&'static str, &'static str, &'static [Rpc])>,
}

const fn rpc(operation: &'static str, (host, service): (&'static str, &'static str), target: &'static str) -> Rpc {
    Rpc { operation, host, service, target }
}

const KMS: (&str, &str) = ("kms", "kms");
const ECS: (&str, &str) = ("ecs", "ecs");
const SSO: (&str, &str) = ("sso", "sso");
const ACM: (&str, &str) = ("acm", "acm");

const TRIALS: [Trial; 7] = [
    Trial {
        rpc: rpc("secretsmanager:ListSecrets", ("secretsmanager", "secretsmanager"), "secretsmanager.ListSecrets"),
        body: || json!({"MaxResults": 1}),
        then: None,
    },
    Trial {
        rpc: rpc("ssm:DescribeParameters", ("ssm", "ssm"), "AmazonSSM.DescribeParameters"),
        body: || json!({"MaxResults": 1}),
        then: None,
    },
    Trial { rpc: rpc("kms:ListAliases", KMS, "TrentService.ListAliases"), body: || json!({"Limit": 1}), then: None },
    Trial {
        rpc: rpc("kms:ListKeys", KMS, "TrentService.ListKeys"),
        body: || json!({"Limit": 1}),
        then: Some((
            "/Keys/0/KeyId",
            "KeyId",
            &[
                rpc("kms:DescribeKey", KMS, "TrentService.DescribeKey"),
                rpc("kms:GetKeyRotationStatus", KMS, "TrentService.GetKeyRotationStatus"),
                rpc("kms:ListKeyRotations", KMS, "TrentService.ListKeyRotations"),
            ],
        )),
    },
    Trial {
        rpc: rpc("acm:ListCertificates", ACM, "CertificateManager.ListCertificates"),
        body: || json!({"MaxItems": 1}),
        then: Some((
            "/CertificateSummaryList/0/CertificateArn",
            "CertificateArn",
            &[rpc("acm:DescribeCertificate", ACM, "CertificateManager.DescribeCertificate")],
        )),
    },
    Trial {
        rpc: rpc("sso:ListInstances", SSO, "SWBExternalService.ListInstances"),
        body: || json!({"MaxResults": 1}),
        then: Some((
            "/Instances/0/InstanceArn",
            "InstanceArn",
            &[rpc("sso:ListApplications", SSO, "SWBExternalService.ListApplications")],
        )),
    },
    Trial {
        rpc: rpc("ecs:ListTaskDefinitions", ECS, "AmazonEC2ContainerServiceV20141113.ListTaskDefinitions"),
        body: || json!({"maxResults": 1}),
        then: Some((
            "/taskDefinitionArns/0",
            "taskDefinition",
            &[rpc("ecs:DescribeTaskDefinition", ECS, "AmazonEC2ContainerServiceV20141113.DescribeTaskDefinition")],
        )),
    },
];

/// A trial of a listing of the REST style, with where the first element's name stands and what is asked about it.
type Get = (Rest, &'static str, Option<(&'static str, Rest, [&'static str; 2])>);

const fn get(operation: &'static str, service: &'static str) -> Rest {
    Rest { operation, host: service, service, method: "GET" }
}

const GETS: [Get; 5] = [
    (get("rolesanywhere:ListTrustAnchors", "rolesanywhere"), "/trustanchors?pageSize=1", None),
    (get("rolesanywhere:ListProfiles", "rolesanywhere"), "/profiles?pageSize=1", None),
    (get("lambda:ListFunctions", "lambda"), "/2015-03-31/functions?MaxItems=1", None),
    (
        get("eks:ListClusters", "eks"),
        "/clusters?maxResults=1",
        Some(("/clusters/0", get("eks:DescribeCluster", "eks"), ["/clusters/", ""])),
    ),
    (
        get("eks:ListClusters", "eks"),
        "/clusters?maxResults=1",
        Some((
            "/clusters/0",
            get("eks:ListPodIdentityAssociations", "eks"),
            ["/clusters/", "/pod-identity-associations?maxResults=1"],
        )),
    ),
];

/// What each trial gave, in the order in which they are declared.
pub(in crate::aws) async fn tried(session: &Session) -> Vec<(&'static str, Result<(), Failure>)> {
    let region = session.region();
    let mut answers = Vec::new();
    for trial in &TRIALS {
        let answer = session.rpc::<Value>(&trial.rpc, region, &(trial.body)()).await;
        let named = answer.as_ref().ok().zip(trial.then.as_ref());
        let named =
            named.and_then(|(answer, (place, name, calls))| Some((answer.pointer(place)?.clone(), *name, *calls)));
        answers.push((trial.rpc.operation, answer.map(drop)));
        let Some((value, name, calls)) = named else { continue };
        let body = Value::Object([(name.to_owned(), value)].into_iter().collect());
        for call in calls {
            answers.push((call.operation, session.rpc::<Value>(call, region, &body).await.map(drop)));
        }
    }
    for (list, path, then) in GETS {
        let answer = session.rest::<Value>(&list, region, (path, None)).await;
        let first = then.and_then(|(place, call, around)| {
            let name = answer.as_ref().ok()?.pointer(place)?.as_str()?;
            Some((call, format!("{}{name}{}", around[0], around[1])))
        });
        if answers.iter().all(|(operation, _)| *operation != list.operation) {
            answers.push((list.operation, answer.map(drop)));
        }
        if let Some((call, path)) = first {
            answers.push((call.operation, session.rest::<Value>(&call, region, (&path, None)).await.map(drop)));
        }
    }
    if super::regions::has_agents(region) {
        let list = Rest { operation: "bedrock:ListAgents", host: "bedrock-agent", service: "bedrock", method: "POST" };
        let answer = session.rest::<Value>(&list, region, ("/agents/", Some(&json!({"maxResults": 1})))).await;
        answers.push((list.operation, answer.map(drop)));
    }
    answers
}
