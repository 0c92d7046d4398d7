//! Ways by which an identity could give itself more rights than its documents give it.
//! It must never count a right that a condition guards, that reaches some resources only, or that is given over itself only.

use super::{Document, Effect, Named, Selection, Statement, pattern::covers};

/// AWS has no wildcard over partitions in what people write.
const PARTITIONS: [&str; 3] = ["arn:aws:", "arn:aws-cn:", "arn:aws-us-gov:"];
/// The condition that says to which services a role may be handed.
const PASSED_TO: &str = "iam:PassedToService";
const PASS: &str = "iam:PassRole";

/// A way to more rights: what it is called, the actions it takes, and the service that the role is handed to, if one is.
struct Way {
    name: &'static str,
    actions: &'static [&'static str],
    service: Option<&'static str>,
}

/// Ways by rights over identities and policies themselves, by code that others' roles run, and by handing a stronger role
/// to something that one controls. Collected from the published research on AWS privilege escalation.
const WAYS: [Way; 36] = [
    own("iam:CreatePolicyVersion", &["iam:CreatePolicyVersion"]),
    own("iam:SetDefaultPolicyVersion", &["iam:SetDefaultPolicyVersion"]),
    own("iam:AttachUserPolicy", &["iam:AttachUserPolicy"]),
    own("iam:AttachGroupPolicy", &["iam:AttachGroupPolicy"]),
    own("iam:AttachRolePolicy", &["iam:AttachRolePolicy"]),
    own("iam:PutUserPolicy", &["iam:PutUserPolicy"]),
    own("iam:PutGroupPolicy", &["iam:PutGroupPolicy"]),
    own("iam:PutRolePolicy", &["iam:PutRolePolicy"]),
    own("iam:AddUserToGroup", &["iam:AddUserToGroup"]),
    own("iam:UpdateAssumeRolePolicy", &["iam:UpdateAssumeRolePolicy"]),
    own("iam:CreateAccessKey", &["iam:CreateAccessKey"]),
    own("iam:CreateLoginProfile", &["iam:CreateLoginProfile"]),
    own("iam:UpdateLoginProfile", &["iam:UpdateLoginProfile"]),
    own("lambda:UpdateFunctionCode", &["lambda:UpdateFunctionCode"]),
    own("lambda:UpdateFunctionConfiguration", &["lambda:UpdateFunctionConfiguration"]),
    own("glue:UpdateDevEndpoint", &["glue:UpdateDevEndpoint"]),
    own("codebuild:UpdateProject", &["codebuild:UpdateProject", "codebuild:StartBuild"]),
    own("ssm:SendCommand", &["ssm:SendCommand"]),
    own("ssm:StartSession", &["ssm:StartSession"]),
    own("ecs:ExecuteCommand", &["ecs:ExecuteCommand"]),
    own("sagemaker:CreatePresignedNotebookInstanceUrl", &["sagemaker:CreatePresignedNotebookInstanceUrl"]),
    own("sso:PutInlinePolicyToPermissionSet", &["sso:PutInlinePolicyToPermissionSet", "sso:ProvisionPermissionSet"]),
    handed("iam:PassRole+lambda:CreateFunction", &["lambda:CreateFunction"], "lambda.amazonaws.com"),
    handed("iam:PassRole+ec2:RunInstances", &["ec2:RunInstances"], "ec2.amazonaws.com"),
    handed("iam:PassRole+ec2:AssociateIamInstanceProfile", &["ec2:AssociateIamInstanceProfile"], "ec2.amazonaws.com"),
    handed("iam:PassRole+cloudformation:CreateStack", &["cloudformation:CreateStack"], "cloudformation.amazonaws.com"),
    handed("iam:PassRole+glue:CreateDevEndpoint", &["glue:CreateDevEndpoint"], "glue.amazonaws.com"),
    handed("iam:PassRole+glue:CreateJob", &["glue:CreateJob", "glue:StartJobRun"], "glue.amazonaws.com"),
    handed(
        "iam:PassRole+datapipeline:CreatePipeline",
        &["datapipeline:CreatePipeline", "datapipeline:PutPipelineDefinition"],
        "datapipeline.amazonaws.com",
    ),
    handed("iam:PassRole+ecs:RunTask", &["ecs:RegisterTaskDefinition", "ecs:RunTask"], "ecs-tasks.amazonaws.com"),
    handed(
        "iam:PassRole+codebuild:CreateProject",
        &["codebuild:CreateProject", "codebuild:StartBuild"],
        "codebuild.amazonaws.com",
    ),
    handed(
        "iam:PassRole+sagemaker:CreateNotebookInstance",
        &["sagemaker:CreateNotebookInstance", "sagemaker:CreatePresignedNotebookInstanceUrl"],
        "sagemaker.amazonaws.com",
    ),
    handed("iam:PassRole+sagemaker:CreateTrainingJob", &["sagemaker:CreateTrainingJob"], "sagemaker.amazonaws.com"),
    handed(
        "iam:PassRole+states:CreateStateMachine",
        &["states:CreateStateMachine", "states:StartExecution"],
        "states.amazonaws.com",
    ),
    handed("iam:PassRole+apprunner:CreateService", &["apprunner:CreateService"], "tasks.apprunner.amazonaws.com"),
    handed(
        "iam:PassRole+bedrock-agentcore:CreateCodeInterpreter",
        &["bedrock-agentcore:CreateCodeInterpreter", "bedrock-agentcore:InvokeCodeInterpreter"],
        "bedrock-agentcore.amazonaws.com",
    ),
];

const fn own(name: &'static str, actions: &'static [&'static str]) -> Way {
    Way { name, actions, service: None }
}

const fn handed(name: &'static str, actions: &'static [&'static str], service: &'static str) -> Way {
    Way { name, actions, service: Some(service) }
}

/// What the statements of one document contribute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rights {
    /// For each way, which of its actions are allowed, one bit each; the last bit is for handing a role over.
    allowed: Vec<u8>,
    /// The same for what is denied.
    denied: Vec<u8>,
}

/// The bit for handing a role over: no way takes so many actions.
const HANDED: u8 = 1 << 7;

impl Rights {
    pub(super) fn of(document: &Document) -> Self {
        let mut rights = Self::default();
        for statement in &document.statements {
            let bits: Vec<u8> = WAYS.iter().map(|way| bits(statement, way)).collect();
            if bits.iter().all(|bits| *bits == 0) {
                continue;
            }
            let into = match statement.effect {
                Effect::Allow => &mut rights.allowed,
                Effect::Deny => &mut rights.denied,
            };
            join(into, &bits);
        }
        rights
    }
}

/// The ways that these policies leave open under that permissions boundary. `None` if none was found and some document
/// could not be read.
pub fn escalates(policies: &[Named<'_>], boundary: Option<Named<'_>>) -> Option<Vec<String>> {
    let (mut allowed, mut denied) = (Vec::new(), Vec::new());
    for rights in policies.iter().filter_map(|named| Some(&named.summary?.rights)) {
        join(&mut allowed, &rights.allowed);
        join(&mut denied, &rights.denied);
    }
    let limit = boundary.and_then(|named| named.summary).map(|summary| &summary.rights);
    let bits = |of: &[u8], at: usize| of.get(at).copied().unwrap_or(0);
    let open = |(at, way): (usize, &Way)| {
        let mut kept = bits(&allowed, at) & !bits(&denied, at);
        if let Some(limit) = limit {
            kept &= bits(&limit.allowed, at) & !bits(&limit.denied, at);
        }
        (kept == needed(way)).then(|| way.name.to_owned())
    };
    let names: Vec<String> = WAYS.iter().enumerate().filter_map(open).collect();
    let unread = policies.iter().chain(&boundary).any(|named| named.summary.is_none());
    if names.is_empty() && unread { None } else { Some(names) }
}

fn needed(way: &Way) -> u8 {
    let actions = way.actions.iter().fold(0, |bits: u8, _| (bits << 1) | 1);
    if way.service.is_some() { actions | HANDED } else { actions }
}

/// Which actions of a way a statement allows or denies on everything that they could be asked of.
fn bits(statement: &Statement, way: &Way) -> u8 {
    let Some(resources) = &statement.resources else { return 0 };
    let mut bits = 0;
    if !statement.is_conditional() {
        for (at, action) in way.actions.iter().enumerate() {
            if includes(&statement.actions, action) && reaches(resources, action, statement.effect) {
                bits |= 1 << at;
            }
        }
    }
    if way.service.is_some_and(|service| hands_over(statement, resources, service)) {
        bits |= HANDED;
    }
    bits
}

/// Whether a statement lets any role be handed to that service, or denies that.
fn hands_over(statement: &Statement, resources: &Selection, service: &str) -> bool {
    let fits = |(operator, key, values): &(String, String, Vec<String>)| {
        let compares = matches!(operator.as_str(), "StringEquals" | "StringLike" | "StringEqualsIgnoreCase");
        key.eq_ignore_ascii_case(PASSED_TO) && compares && values.iter().any(|value| covers(value, service))
    };
    let unguarded = statement.unknown.is_empty() && statement.conditions.iter().all(fits);
    unguarded && includes(&statement.actions, PASS) && reaches(resources, PASS, statement.effect)
}

fn includes(actions: &Selection, action: &str) -> bool {
    match actions {
        Selection::Only(patterns) => patterns.iter().any(|it| covers(it, action)),
        Selection::AllBut(patterns) => !patterns.iter().any(|it| covers(it, action)),
    }
}

/// Whether a selection reaches every resource of the sort that an action is about. All but some does for an Allow, as
/// what is left is enough; a Deny of all but some takes nothing for certain.
fn reaches(resources: &Selection, action: &str, effect: Effect) -> bool {
    match resources {
        Selection::Only(patterns) => patterns.iter().any(|it| is_every(it, action)),
        Selection::AllBut(patterns) => effect == Effect::Allow && !patterns.iter().any(|it| is_every(it, action)),
    }
}

fn is_every(pattern: &str, action: &str) -> bool {
    let (service, action) = action.split_once(':').unwrap_or_default();
    // An account's documents are about that account, and its regions are all of them only if none is named.
    let mut parts: Vec<&str> = pattern.splitn(6, ':').collect();
    if let Some(account) = parts.get_mut(4).filter(|it| it.len() == 12 && it.bytes().all(|byte| byte.is_ascii_digit()))
    {
        *account = "*";
    }
    let pattern = parts.join(":");
    let sort = match (service, action) {
        ("iam", "AddUserToGroup" | "AttachGroupPolicy" | "PutGroupPolicy") => "group/*",
        ("iam", "CreatePolicyVersion" | "SetDefaultPolicyVersion") => "policy/*",
        ("iam", "AttachRolePolicy" | "PutRolePolicy" | "UpdateAssumeRolePolicy" | "PassRole") => "role/*",
        ("iam", _) => "user/*",
        _ => "*",
    };
    let region = if service == "iam" { "" } else { "*" };
    PARTITIONS.iter().any(|partition| covers(&pattern, &format!("{partition}{service}:{region}:*:{sort}")))
}

fn join(into: &mut Vec<u8>, bits: &[u8]) {
    if bits.is_empty() {
        return;
    }
    into.resize(WAYS.len(), 0);
    for (into, bits) in into.iter_mut().zip(bits) {
        *into |= bits;
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Summary, *};

    fn summary(statements: &str) -> Summary {
        Summary::of(&Document::parse(&format!(r#"{{"Statement":[{statements}]}}"#)).unwrap())
    }

    fn named(summary: Option<&Summary>) -> Named<'_> {
        Named { policy: "P", inline: false, group: None, summary }
    }

    fn of(statements: &str) -> Vec<String> {
        escalates(&[named(Some(&summary(statements)))], None).unwrap()
    }

    fn allow(action: &str, resource: &str) -> String {
        format!(r#"{{"Effect":"Allow","Action":{action},"Resource":{resource}}}"#)
    }

    #[test]
    fn every_way_is_found_by_exactly_its_actions() {
        for way in &WAYS {
            let mut actions: Vec<&str> = way.actions.to_vec();
            actions.extend(way.service.map(|_| PASS));
            let found = of(&allow(&format!("{actions:?}"), r#""*""#));
            assert!(found.contains(&way.name.to_owned()), "{}: {found:?}", way.name);
            for left_out in 0..actions.len() {
                let mut less = actions.clone();
                less.remove(left_out);
                if !less.is_empty() {
                    let found = of(&allow(&format!("{less:?}"), r#""*""#));
                    assert!(!found.contains(&way.name.to_owned()), "{} without {left_out}", way.name);
                }
            }
            assert!(way.actions.len() < 7 && needed(way) & HANDED == if way.service.is_some() { HANDED } else { 0 });
        }
    }

    #[test]
    fn rights_over_oneself_over_some_and_under_conditions_lead_nowhere() {
        for (action, resource) in [
            (r#""iam:CreateAccessKey""#, r#""arn:aws:iam::*:user/${aws:username}""#),
            (r#""iam:CreatePolicyVersion""#, r#""arn:aws:iam::123456789012:policy/team/*""#),
            (r#"["iam:PassRole","lambda:CreateFunction"]"#, r#""arn:aws:iam::123456789012:role/basic""#),
            (r#""lambda:UpdateFunctionCode""#, r#""arn:aws:lambda:eu-west-1:123456789012:function:mine""#),
            (r#""s3:*""#, r#""*""#),
        ] {
            assert!(of(&allow(action, resource)).is_empty(), "{action} on {resource}");
        }
        let guarded = r#"{"Effect":"Allow","Action":"iam:*","Resource":"*","Condition":{"Bool":{"a:b":"true"}}}"#;
        assert!(of(guarded).is_empty());
    }

    #[test]
    fn all_of_an_account_s_users_are_everybody() {
        let all = r#""arn:aws:iam::123456789012:user/*""#;
        assert_eq!(of(&allow(r#""iam:CreateAccessKey""#, all)), ["iam:CreateAccessKey"]);
        assert_eq!(of(&allow(r#"["iam:CreateAccessKey","iam:PutRolePolicy"]"#, all)), ["iam:CreateAccessKey"]);
    }

    #[test]
    fn a_role_may_be_handed_to_the_services_that_are_named_only() {
        let passes = |service: &str| {
            format!(
                r#"{{"Effect":"Allow","Action":["iam:PassRole","x:y"],"Resource":"*",
                    "Condition":{{"StringEquals":{{"iam:PassedToService":"{service}"}}}}}},
                    {{"Effect":"Allow","Action":["lambda:CreateFunction","ec2:RunInstances"],"Resource":"*"}}"#
            )
        };
        assert_eq!(of(&passes("lambda.amazonaws.com")), ["iam:PassRole+lambda:CreateFunction"]);
        assert!(of(&passes("rds.amazonaws.com")).is_empty());
    }

    #[test]
    fn a_deny_and_a_boundary_close_ways() {
        let given = allow(r#"["iam:CreatePolicyVersion","iam:AddUserToGroup"]"#, r#""*""#);
        let denied = r#"{"Effect":"Deny","Action":"iam:Add*","Resource":"*"}"#;
        assert_eq!(of(&format!("{given},{denied}")), ["iam:CreatePolicyVersion"]);
        let (all, limit) = (summary(&given), summary(&allow(r#""iam:Add*""#, r#""*""#)));
        assert_eq!(escalates(&[named(Some(&all))], Some(named(Some(&limit)))).unwrap(), ["iam:AddUserToGroup"]);
    }

    #[test]
    fn an_unread_document_leaves_the_answer_open_only_where_nothing_was_found() {
        let given = summary(&allow(r#""iam:CreatePolicyVersion""#, r#""*""#));
        assert_eq!(escalates(&[named(None)], None), None);
        assert_eq!(escalates(&[named(None), named(Some(&given))], None).unwrap(), ["iam:CreatePolicyVersion"]);
    }
}
