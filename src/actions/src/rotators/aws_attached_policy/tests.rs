//! Attached policies: against moto, which checks signatures.
//! It must never leave a server behind.

use serde_json::json;

use super::*;
use crate::{
    aws::testing::{
        aws_proxy::{self, Aws, Trouble},
        entry,
    },
    testing::{act as ordered, target},
};

const POLICY: &str = "arn:aws:iam::123456789012:policy/reads";
const OTHER: &str = "arn:aws:iam::123456789012:policy/other";
const NAME: &str = "svc-billing";

fn between(text: &str, element: &str) -> String {
    let rest = text.split_once(&format!("<{element}>")).unwrap().1;
    rest.split_once('<').unwrap().0.to_owned()
}

struct Scene {
    aws: Aws,
    hands: Box<dyn Rotator>,
}

fn scene() -> Option<Scene> {
    let aws = aws_proxy::own()?;
    let keys = aws.admin("provost");
    for name in ["reads", "other"] {
        aws.iam(&format!("Action=CreatePolicy&PolicyName={name}&PolicyDocument={}", aws_proxy::HARMLESS));
    }
    let hands = build(&entry(&aws.origin, (&keys.0, &keys.1), &json!({ "policy_arn": POLICY }))).unwrap();
    Some(Scene { aws, hands })
}

impl Scene {
    /// One of that kind with both policies, as a target.
    fn holder(&self, kind: Kind, word: &str) -> Target {
        let more =
            if word == "Role" { format!("&AssumeRolePolicyDocument={}", aws_proxy::HARMLESS) } else { String::new() };
        let made = self.aws.iam(&format!("Action=Create{word}&{word}Name={NAME}{more}"));
        for policy in [POLICY, OTHER] {
            self.aws.iam(&format!("Action=Attach{word}Policy&{word}Name={NAME}&PolicyArn={policy}"));
        }
        let mut target = target(kind, &between(&made, &format!("{word}Id")), "");
        target.name = NAME.into();
        target
    }

    fn has(&self, word: &str, policy: &str) -> bool {
        self.aws.iam(&format!("Action=ListAttached{word}Policies&{word}Name={NAME}")).contains(policy)
    }
}

#[tokio::test]
async fn a_policy_is_detached_and_attached_again_and_no_other_is_touched() {
    let Some(it) = scene() else { return };
    let order = ordered(Remedy::Restrict);
    for (kind, word) in [(Kind::User, "User"), (Kind::Role, "Role"), (Kind::Group, "Group")] {
        let target = it.holder(kind, word);
        let id = target.external_id.as_str();
        let active = async || {
            let slots = it.hands.look(&target).await.unwrap();
            assert_eq!((slots.len(), slots[0].id.as_str()), (1, id));
            slots[0].active
        };
        assert!(active().await, "{word}");
        for _ in 0..2 {
            it.hands.disable(&order, &target, id).await.unwrap();
        }
        assert!(!active().await && !it.has(word, POLICY) && it.has(word, OTHER), "{word}");
        for _ in 0..2 {
            it.hands.enable(&order, &target, id).await.unwrap();
        }
        assert!(active().await && it.has(word, POLICY), "{word}");
    }
    assert!(it.hands.check().await.unwrap().contains("user/provost"));
}

#[tokio::test]
async fn a_namesake_is_left_alone() {
    let Some(it) = scene() else { return };
    let order = ordered(Remedy::Restrict);
    let mut target = it.holder(Kind::User, "User");
    target.external_id = "AIDASOMEBODYELSE".into();
    let mut gone = target.clone();
    gone.name = "gone".into();
    let mut token = target.clone();
    token.kind = Kind::Token;
    for target in [&target, &gone, &token] {
        let errors = [
            it.hands.look(target).await.err(),
            it.hands.disable(&order, target, "AIDASOMEBODYELSE").await.err(),
            it.hands.enable(&order, target, "AIDASOMEBODYELSE").await.err(),
        ];
        assert!(errors.iter().all(|it| matches!(it, Some(ActionError::GiveUp { .. }))), "{errors:?}");
    }
    assert!(it.has("User", POLICY));
    assert_eq!((it.aws.count("DetachUserPolicy"), it.aws.count("AttachUserPolicy")), (0, 0));
}

#[tokio::test]
async fn what_is_lost_on_the_way_is_ambiguous_and_what_cannot_be_is_given_up() {
    let Some(it) = scene() else { return };
    let order = ordered(Remedy::Restrict);
    let target = it.holder(Kind::User, "User");
    for trouble in [Trouble::CutBefore, Trouble::CutAfter] {
        it.aws.next("DetachUserPolicy", trouble);
        let lost = it.hands.disable(&order, &target, "").await.unwrap_err();
        assert!(matches!(lost, ActionError::Ambiguous { .. }), "{lost}");
    }
    assert!(!it.has("User", POLICY));
    it.aws.next("AttachUserPolicy", Trouble::Refuse(403, "AccessDenied"));
    assert!(it.hands.enable(&order, &target, "").await.unwrap_err().may_repeat());
    for error in [
        it.hands.mint(&order, &target, "", &Bundle::default()).await.err(),
        it.hands.verify(&target, "", &Bundle::default()).await.err(),
        it.hands.delete(&order, &target, "").await.err(),
    ] {
        assert!(matches!(error, Some(ActionError::GiveUp { .. })), "{error:?}");
    }
    let said = build(&entry("https://iam.example.org", ("a", "b"), &json!({ "policy_arn": "hunter2" }))).err().unwrap();
    assert!(said.starts_with("policy_arn: ") && !said.contains("hunter2"), "{said}");
}
