//! Rotation by Secrets Manager: against moto, which rotates at once, and a service that takes its time.
//! It must never leave a server behind.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use super::*;
use crate::{
    aws::testing::{
        aws_proxy::{self, Aws, Trouble},
        entry,
    },
    testing::{
        act as ordered,
        loopback::{Loopback, Reply},
        target,
    },
};

const SCOPE: &str = "eu-west-1/secretsmanager";
const SAGA: &str = "0192a3b4-c5d6-7e8f-9012-3456789abcde";
const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:app-a1b2c3";

fn rotator(origin: &str, keys: (&str, &str)) -> SecretRotation {
    let mut built = built(&entry(origin, keys, &json!({}))).unwrap();
    built.patience = (Duration::from_millis(400), Duration::from_millis(50));
    built
}

struct Scene {
    aws: Aws,
    hands: SecretRotation,
    target: Target,
}

fn scene(rotates: bool) -> Option<Scene> {
    let aws = aws_proxy::own()?;
    let keys = aws.admin("provost");
    let made = aws.tell(SCOPE, "secretsmanager.CreateSecret", r#"{"Name":"app","SecretString":"hunter2"}"#);
    let made: Value = serde_json::from_str(&made).unwrap();
    if rotates {
        let body = r#"{"SecretId":"app","RotationRules":{"AutomaticallyAfterDays":30}}"#;
        aws.tell(SCOPE, "secretsmanager.RotateSecret", body);
    }
    let hands = rotator(&aws.origin, (&keys.0, &keys.1));
    let mut target = target(Kind::Secret, made["ARN"].as_str().unwrap(), "");
    target.realm = format!("aws:{}", aws_proxy::ACCOUNT);
    Some(Scene { aws, hands, target })
}

fn mark() -> String {
    format!("provost {SAGA}")
}

#[tokio::test]
async fn a_rotation_is_begun_once_and_seen_to_its_end() {
    let Some(it) = scene(true) else { return };
    let (hands, target, order) = (&it.hands, &it.target, ordered(Remedy::Rotate));
    let before = hands.look(target).await.unwrap();
    assert!(before[0].id == target.external_id && before[0].active && before[0].mark.is_none());
    assert_eq!(before.iter().skip(1).filter(|it| it.active).count(), 1);
    assert!(before.iter().all(|it| it.mark.as_deref() != Some(&mark())));
    it.aws.next("RotateSecret", Trouble::CutAfter);
    let lost = hands.mint(&order, target, &mark(), &Bundle::default()).await.unwrap_err();
    assert!(matches!(lost, ActionError::Ambiguous { .. }), "{lost}");
    // What was lost is found by its mark.
    let found = hands.look(target).await.unwrap();
    let ours = found.iter().find(|it| it.mark.as_deref() == Some(&mark())).unwrap();
    assert!(ours.active && ours.id == SAGA && matches!(ours.made_at, Reading::Known(_)), "{ours:?}");
    assert_eq!(found.iter().skip(1).filter(|it| it.active).count(), 1);
    hands.verify(target, SAGA, &Bundle::default()).await.unwrap();

    let second = SAGA.replace("0192", "0193");
    let new = hands.mint(&order, target, &format!("provost {second}"), &Bundle::default()).await.unwrap();
    assert!(new.id == second && new.value.is_empty());
    hands.verify(target, &second, &Bundle::default()).await.unwrap();
    let over = hands.verify(target, SAGA, &Bundle::default()).await.unwrap_err();
    assert!(matches!(&over, ActionError::GiveUp { said } if said.contains("another version")), "{over}");
    assert_eq!(it.aws.count("GetSecretValue"), 0);
    assert!(hands.check().await.unwrap().contains("user/provost"));
    for error in [
        hands.disable(&order, target, SAGA).await.err(),
        hands.enable(&order, target, SAGA).await.err(),
        hands.delete(&order, target, SAGA).await.err(),
    ] {
        assert!(matches!(error, Some(ActionError::GiveUp { .. })), "{error:?}");
    }
}

#[tokio::test]
async fn what_is_not_set_up_or_not_there_or_elsewhere_is_left_alone() {
    let Some(it) = scene(false) else { return };
    let (hands, order) = (&it.hands, ordered(Remedy::Rotate));
    let unset = hands.mint(&order, &it.target, &mark(), &Bundle::default()).await.unwrap_err();
    assert!(matches!(&unset, ActionError::GiveUp { said } if said.contains("not set up")), "{unset}");
    let mut other = it.target.clone();
    other.external_id = ARN.into();
    assert_eq!(hands.look(&other).await.unwrap(), []);
    assert!(matches!(hands.mint(&order, &other, &mark(), &Bundle::default()).await, Err(ActionError::GiveUp { .. })));
    other.external_id = ARN.replace("eu-west-1", "eu-west-2");
    assert!(matches!(hands.look(&other).await, Err(ActionError::GiveUp { .. })));
    for mark in ["", "provost", "provost x", SAGA, &format!("provost {}", "a/".repeat(20))] {
        assert!(
            matches!(hands.mint(&order, &it.target, mark, &Bundle::default()).await, Err(ActionError::GiveUp { .. })),
            "{mark}"
        );
    }
    assert_eq!(it.aws.count("RotateSecret"), 0);
}

#[tokio::test]
async fn a_rotation_that_takes_its_time_is_waited_for_and_not_given_up() {
    let asked = AtomicU32::new(0);
    let to = Loopback::start(move |call| {
        let number = asked.fetch_add(1, Ordering::Relaxed);
        let stages = match number {
            0 => json!({ "old": ["AWSCURRENT"] }),
            1 | 2 => json!({ "old": ["AWSCURRENT"], "new": ["AWSPENDING"] }),
            3 => json!({ "old": ["AWSPREVIOUS"], "new": ["AWSCURRENT", "AWSPENDING"] }),
            _ => json!({ "old": ["AWSCURRENT"], "new": ["AWSPENDING"] }),
        };
        assert_eq!(call.header("x-amz-target"), "secretsmanager.DescribeSecret");
        Reply::json(&json!({ "Name": "app", "VersionIdsToStages": stages }).to_string())
    })
    .await;
    let hands = rotator(&to.origin, ("AKIA0", "hunter2"));
    let target = target(Kind::Secret, ARN, "");
    hands.verify(&target, "new", &Bundle::default()).await.unwrap();
    assert_eq!(to.asked().len(), 4);
    let late = hands.verify(&target, "new", &Bundle::default()).await.unwrap_err();
    assert!(late.may_repeat(), "{late}");
}
