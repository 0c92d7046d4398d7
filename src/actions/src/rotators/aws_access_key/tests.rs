//! Access keys: against moto, which checks signatures, and what IAM may answer else.
//! It must never leave a server behind.

use std::time::SystemTime;

use secrecy::ExposeSecret as _;
use serde_json::json;

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

const USER: &str = "svc-billing";

fn rotator(origin: &str, keys: (&str, &str)) -> AccessKeys {
    let mut built = built(&entry(origin, keys, &json!({}))).unwrap();
    built.patience = (Duration::from_millis(600), Duration::from_millis(100));
    built
}

struct Scene {
    aws: Aws,
    rotator: AccessKeys,
    own: String,
    old: (String, String),
    target: Target,
}

fn scene() -> Option<Scene> {
    let aws = aws_proxy::own()?;
    let (own, secret) = aws.admin("provost");
    let old = aws.user(USER, aws_proxy::HARMLESS);
    let rotator = rotator(&aws.origin, (&own, &secret));
    let mut target = target(Kind::AccessKey, &old.0, USER);
    target.realm = format!("aws:{}", aws_proxy::ACCOUNT);
    Some(Scene { aws, rotator, own, old, target })
}

impl Scene {
    async fn ids(&self) -> Vec<(String, bool, Reading<Time>)> {
        let slots = self.rotator.look(&self.target).await.unwrap();
        slots.into_iter().map(|it| (it.id, it.active, it.used_at)).collect()
    }
}

#[tokio::test]
async fn a_key_is_rotated_by_hand_and_each_step_is_what_aws_then_has() {
    let Some(it) = scene() else { return };
    let (aws, hands, target, old) = (&it.aws, &it.rotator, &it.target, &it.old);
    let order = ordered(Remedy::Rotate);
    assert_eq!(
        hands.check().await.unwrap().split(';').next().unwrap(),
        format!("signs as arn:aws:iam::{}:user/provost", aws_proxy::ACCOUNT)
    );
    assert_eq!(hands.own(), std::slice::from_ref(&it.own));
    assert_eq!(it.ids().await, [(old.0.clone(), true, Reading::Never)]);
    let at = Time::from_seconds(1_795_000_000);
    aws.used(&old.0, SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000));
    assert_eq!(it.ids().await, [(old.0.clone(), true, Reading::Known(at))]);
    aws.late(Duration::from_secs(u64::MAX >> 32));
    assert_eq!(it.ids().await[0].2, Reading::Never, "it is not told yet");
    aws.late(Duration::ZERO);

    let new = hands.mint(&order, target, "provost 1", &Bundle::default()).await.unwrap();
    assert_eq!(new.value.parts().collect::<Vec<_>>(), [ID, SECRET]);
    assert_eq!(it.ids().await.iter().filter(|slot| slot.0 == new.id && slot.2 == Reading::Never).count(), 1);
    hands.verify(target, &new.id, &new.value).await.unwrap();
    assert_eq!(aws.uses(&new.id).len(), 1, "it was the new key that was tried");
    assert!(matches!(it.ids().await.iter().find(|slot| slot.0 == new.id).unwrap().2, Reading::Known(_)));
    let third = hands.mint(&order, target, "provost 1", &Bundle::default()).await.unwrap_err();
    assert!(matches!(&third, ActionError::GiveUp { said } if said.contains("LimitExceeded")), "{third}");

    for _ in 0..2 {
        hands.disable(&order, target, &old.0).await.unwrap();
    }
    assert!(it.ids().await.contains(&(old.0.clone(), false, Reading::Known(at))));
    let value = Bundle::new([(ID.to_owned(), old.0.as_str().into()), (SECRET.to_owned(), old.1.as_str().into())]);
    let off = hands.verify(target, &old.0, &value).await.unwrap_err();
    assert!(matches!(&off, ActionError::GiveUp { said } if said.contains("InvalidClientTokenId")), "{off}");
    for _ in 0..2 {
        hands.enable(&order, target, &old.0).await.unwrap();
    }
    hands.verify(target, &old.0, &value).await.unwrap();
    hands.disable(&order, target, &old.0).await.unwrap();
    for _ in 0..2 {
        hands.delete(&order, target, &old.0).await.unwrap();
    }
    assert_eq!(aws.keys(USER), [(new.id.clone(), "Active".to_owned())]);
    assert_eq!(it.ids().await.into_iter().map(|slot| slot.0).collect::<Vec<_>>(), std::slice::from_ref(&new.id));
    let gone = hands.enable(&order, target, &old.0).await.unwrap_err();
    assert!(matches!(gone, ActionError::GiveUp { .. }), "{gone}");
    let said = format!("{new:?} {off:?} {third:?} {gone:?} {:?}", new.value);
    assert!(!said.contains(new.value.get(SECRET).unwrap().expose_secret()) && !said.contains(&old.1), "{said}");
    let signed_by: Vec<_> = aws.calls().into_iter().filter(|call| call.action != "GetCallerIdentity").collect();
    assert!(signed_by.iter().all(|call| call.key == it.own), "{signed_by:?}");
}

#[tokio::test]
async fn a_new_key_is_given_time_and_then_given_up() {
    let Some(it) = scene() else { return };
    let (aws, hands, target) = (&it.aws, &it.rotator, &it.target);
    let new = hands.mint(&ordered(Remedy::Rotate), target, "", &Bundle::default()).await.unwrap();
    // Each try is two calls: what is refused for its keys is signed anew once.
    for _ in 0..4 {
        aws.next("GetCallerIdentity", Trouble::Refuse(403, "InvalidClientTokenId"));
    }
    hands.verify(target, &new.id, &new.value).await.unwrap();
    let part =
        |secret: &str| Bundle::new([(ID.to_owned(), new.id.as_str().into()), (SECRET.to_owned(), secret.into())]);
    let wrong = hands.verify(target, &new.id, &part("hunter2")).await.unwrap_err();
    assert!(matches!(&wrong, ActionError::GiveUp { said } if said.contains("SignatureDoesNotMatch")), "{wrong}");
    assert!(!format!("{wrong:?}").contains("hunter2"));
    let another = hands.verify(target, &it.old.0, &new.value).await.unwrap_err();
    assert!(matches!(&another, ActionError::GiveUp { said } if said.contains("another key")), "{another}");
    let mut stranger = target.clone();
    stranger.holder_name = "billing".into();
    let strange = hands.verify(&stranger, &new.id, &new.value).await.unwrap_err();
    assert!(matches!(&strange, ActionError::GiveUp { said } if said.contains("svc-billing")), "{strange}");
    aws.next("GetCallerIdentity", Trouble::CutAfter);
    assert!(hands.verify(target, &new.id, &new.value).await.unwrap_err().may_repeat(), "nothing changes by looking");
}

#[tokio::test]
async fn what_is_lost_on_the_way_is_ambiguous_and_what_is_refused_is_not() {
    let Some(it) = scene() else { return };
    let (aws, hands, target, order) = (&it.aws, &it.rotator, &it.target, ordered(Remedy::Rotate));
    for (trouble, made) in [(Trouble::CutBefore, 0), (Trouble::CutAfter, 1)] {
        aws.next("CreateAccessKey", trouble);
        let lost = hands.mint(&order, target, "", &Bundle::default()).await.unwrap_err();
        assert!(matches!(lost, ActionError::Ambiguous { .. }), "{trouble:?}: {lost}");
        assert_eq!(aws.keys(USER).len(), 1 + made, "{trouble:?}");
    }
    assert_eq!(aws.count("CreateAccessKey"), 2, "each was sent once");
    for trouble in [Trouble::CutBefore, Trouble::CutAfter] {
        aws.next("UpdateAccessKey", trouble);
        let lost = hands.disable(&order, target, &it.old.0).await.unwrap_err();
        assert!(matches!(lost, ActionError::Ambiguous { .. }), "{trouble:?}: {lost}");
    }
    let off = aws.keys(USER).into_iter().filter(|key| key.1 == "Inactive").count();
    assert_eq!((off, aws.count("UpdateAccessKey")), (1, 2));
    for (status, code, repeats) in [
        (403, "AccessDenied", true),
        (400, "Throttling", true),
        (409, "ConcurrentModification", true),
        (409, "EntityTemporarilyUnmodifiable", true),
        (400, "ValidationError", false),
        (409, "LimitExceeded", false),
    ] {
        aws.next("CreateAccessKey", Trouble::Refuse(status, code));
        let refused = hands.mint(&order, target, "", &Bundle::default()).await.unwrap_err();
        assert_eq!(refused.may_repeat(), repeats, "{code}: {refused}");
        assert!(!matches!(refused, ActionError::Ambiguous { .. }) && refused.said().contains(code), "{refused}");
    }
    aws.next("CreateAccessKey", Trouble::Refuse(500, "ServiceFailure"));
    assert!(matches!(
        hands.mint(&order, target, "", &Bundle::default()).await.unwrap_err(),
        ActionError::Ambiguous { .. }
    ));
    aws.next("GetAccessKeyLastUsed", Trouble::Refuse(403, "AccessDenied"));
    assert_eq!(it.ids().await[0].2, Reading::NotPermitted);
}

#[tokio::test]
async fn who_is_somebody_else_or_root_is_left_alone() {
    let Some(it) = scene() else { return };
    let (hands, order) = (&it.rotator, ordered(Remedy::Rotate));
    let changed = |change: &dyn Fn(&mut Target)| {
        let mut target = it.target.clone();
        change(&mut target);
        target
    };
    let before = it.aws.calls().len();
    for name in ["", "<root_account>"] {
        let root = changed(&|target| target.holder_name = name.into());
        let errors = [
            hands.look(&root).await.err(),
            hands.mint(&order, &root, "", &Bundle::default()).await.err(),
            hands.disable(&order, &root, "AKIA1").await.err(),
            hands.enable(&order, &root, "AKIA1").await.err(),
            hands.delete(&order, &root, "AKIA1").await.err(),
            hands.verify(&root, "AKIA1", &Bundle::default()).await.err(),
        ];
        assert!(errors.iter().all(|it| matches!(it, Some(ActionError::GiveUp { .. }))), "{errors:?}");
    }
    assert_eq!(it.aws.calls().len(), before, "nothing was sent");
    // What is not listed would be taken for gone.
    let elsewhere = changed(&|target| target.realm = "aws:210987654321".into());
    let error = hands.look(&elsewhere).await.unwrap_err();
    assert!(matches!(&error, ActionError::GiveUp { said } if said.contains("210987654321")), "{error}");
    let renamed = changed(&|target| target.holder_name = "renamed".into());
    for error in [hands.look(&renamed).await.err(), hands.delete(&order, &renamed, &it.old.0).await.err()] {
        assert!(matches!(error, Some(ActionError::GiveUp { .. })), "{error:?}");
    }
    assert_eq!(it.aws.keys(USER).len(), 1);
}

#[tokio::test]
async fn a_role_is_taken_on_and_acts() {
    let Some(aws) = aws_proxy::own() else { return };
    let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}"#;
    let all = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:*","Resource":"*"}]}"#;
    let may = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}]}"#;
    aws.iam(&format!("Action=CreateRole&RoleName=rotates&AssumeRolePolicyDocument={trust}"));
    aws.iam(&format!("Action=PutRolePolicy&RoleName=rotates&PolicyName=p&PolicyDocument={all}"));
    let (id, secret) = aws.user("provost", may);
    let old = aws.user(USER, aws_proxy::HARMLESS);
    let target = target(Kind::AccessKey, &old.0, USER);
    let order = ordered(Remedy::Rotate);
    let bare = rotator(&aws.origin, (&id, &secret));
    assert!(
        bare.mint(&order, &target, "", &Bundle::default()).await.unwrap_err().may_repeat(),
        "somebody can allow it"
    );
    let role = json!({ "role_arn": format!("arn:aws:iam::{}:role/rotates", aws_proxy::ACCOUNT) });
    let hands = built(&entry(&aws.origin, (&id, &secret), &role)).unwrap();
    hands.mint(&order, &target, "", &Bundle::default()).await.unwrap();
    hands.disable(&order, &target, &old.0).await.unwrap();
    assert_eq!((aws.keys(USER).len(), aws.count("AssumeRole")), (2, 1));
    assert!(hands.check().await.unwrap().contains("role/rotates"));
    assert_eq!(hands.own(), [id]);
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_ambiguous_where_something_was_made() {
    for body in ["", "<CreateAccessKeyResponse>", "<A><AccessKeyId>AKIA1</AccessKeyId></A>", "{}"] {
        let to = Loopback::start(move |_| Reply::new(200, &[], body)).await;
        let hands = rotator(&to.origin, ("AKIA0", "hunter2"));
        let target = target(Kind::AccessKey, "AKIA9", USER);
        let error = hands.mint(&ordered(Remedy::Rotate), &target, "", &Bundle::default()).await.unwrap_err();
        assert!(matches!(error, ActionError::Ambiguous { .. }), "{body}: {error}");
        assert_eq!(to.asked().len(), 1);
        assert_eq!(to.asked()[0].body, format!("Action=CreateAccessKey&Version=2010-05-08&UserName={USER}"));
        assert!(hands.look(&target).await.is_err());
    }
    let never = Loopback::start(|_| Reply::json("{}")).await;
    drop(rotator(&never.origin, ("AKIA0", "hunter2")));
    assert_eq!(never.accepted(), 0);
}

#[test]
fn settings_are_read_as_they_are_meant() {
    let built = |settings: serde_json::Value| build(&entry("https://iam.example.org", ("a", "b"), &settings)).err();
    assert_eq!(built(json!({})), None);
    assert_eq!(built(json!({ "session_token": "env:x" })), None);
    assert!(built(json!({ "hunter1": "hunter2" })).unwrap().contains("`hunter1`"));
    for (name, value) in [
        ("access_key_id", "hunter2"),
        ("secret_access_key", "hunter2"),
        ("session_token", "hunter2"),
        ("role_arn", "hunter2"),
        ("external_id", "hunter2"),
        ("region", "HUNTER2hunter2"),
        ("endpoint", "http://hunter2.example.org"),
        ("sts_endpoint", "http://hunter2.example.org"),
    ] {
        let said = built(json!({ name: value })).unwrap();
        assert!(said.starts_with(&format!("{name}: ")) && !said.contains("hunter2"), "{name}: {said}");
    }
}
