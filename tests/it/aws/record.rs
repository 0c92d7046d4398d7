//! `record`: what AWS answered is in a file for its owner alone, without the credential that asked.

use std::{fs, os::unix::fs::PermissionsExt as _};

use super::{account::Fake, place::Place};

#[test]
fn a_source_is_recorded_once_and_without_its_credential() {
    let fake = Fake::with_users(3);
    let place = Place::new(fake.url(), "");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("aws.jsonl");
    let words = ["record", "aws", "--to", file.to_str().unwrap()];
    let said = place.say(&words);
    assert_eq!(said.status, 0, "{said:?}");
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let calls = text.lines().count() - 1;
    assert!(said.out.contains(&format!("{calls} calls of aws")), "{}", said.out);
    let asked = fake.with(|account| account.calls.values().sum::<u64>());
    assert_eq!(u64::try_from(calls).unwrap(), asked, "every call is written down");
    assert!(text.contains("iam:ListAccessKeys") && text.contains("AKIA0001"), "{text}");
    for secret in ["AKIAEYES", "not-a-secret", "authorization", "Signature="] {
        assert!(!text.contains(secret), "{secret}");
    }
    let again = place.say(&words);
    assert_eq!(again.status, 2, "a file is not written over: {again:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}
