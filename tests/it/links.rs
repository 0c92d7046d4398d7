//! Groups as a user of the program meets them: why two places are one secret, keeping them apart, taking it back.

use std::fs;

use serde_json::Value;

use crate::program::Place;

/// Three places that keep access keys: two keep one, one keeps another of the same name.
fn place() -> (Place, [String; 3]) {
    let place = Place::new();
    place.configure("");
    let secret = |letter: char| format!("{letter}x7Qm2Zt9Lw4Rb6Yc1Nd8Vf3Hg5Jk0Ps{letter}aeiou");
    for (name, key, letter) in [("one", "5T6Y7U8I", 'A'), ("two", "5T6Y7U8I", 'A'), ("three", "5T6Y7U8J", 'B')] {
        let directory = place.tree().join(name);
        fs::create_dir_all(&directory).unwrap();
        let text = format!("AWS_ACCESS_KEY_ID=AKIAQ2W3E4R{key}9\nAWS_SECRET_ACCESS_KEY={}\n", secret(letter));
        fs::write(directory.join(".env"), text).unwrap();
    }
    place.done(&["scan"]);
    let rows = place.listed(&["inventory", "list", "--where", "kind == \"access_key\""]);
    let id = |part: &str| {
        let of = |row: &&Value| row["attributes"]["location"]["value"].as_str().unwrap().contains(part);
        rows.iter().find(of).unwrap_or_else(|| panic!("{rows:?}"))["id"].as_str().unwrap().to_owned()
    };
    let ids = ["/one/", "/two/", "/three/"].map(id);
    (place, ids)
}

/// The text without what differs from run to run.
fn plain(text: &str, place: &Place, ids: &[String; 3]) -> String {
    // How long the path is decides where lines are broken.
    let mut text = text.replace(place.tree().to_str().unwrap(), "TREE").replace("\n    ", " ");
    for (id, name) in ids.iter().zip(["ONE", "TWO", "THREE"]) {
        text = text.replace(id.as_str(), name).replace(&id[id.len() - 8..], name);
    }
    let date = |word: &str| word.len() >= 20 && word.starts_with("20") && word.contains('T');
    let words =
        |line: &str| line.split(' ').map(|word| if date(word) { "TIME" } else { word }).collect::<Vec<_>>().join(" ");
    let uid = rustix::process::getuid().as_raw();
    text.lines().map(words).collect::<Vec<_>>().join("\n").replace(&format!("uid {uid}"), "uid UID")
}

#[test]
fn two_places_of_one_key_are_one_secret_until_somebody_parts_them() {
    let (place, ids) = place();
    let [one, two, three] = ids.each_ref().map(String::as_str);
    let oldest = one.min(two);

    let groups = place.listed(&["inventory", "groups"]);
    assert_eq!(groups.len(), 1, "{groups:?}");
    assert_eq!((groups[0]["of"].as_str(), groups[0]["id"].as_str()), (Some("secret"), Some(oldest)));
    assert_eq!(groups[0]["records"].as_array().unwrap().len(), 2);
    assert_eq!(place.done(&["inventory", "show", one, "-o", "json"]).lines()[0]["groups"]["secret"], oldest);
    let shown = place.done(&["inventory", "show", one]).out;
    assert!(shown.lines().any(|line| line.starts_with("group (secret) ") && line.ends_with(oldest)), "{shown}");
    let page = place.done(&["inventory", "show", one, "-o", "json"]).lines();
    let kept = page[0]["custody"]["kept_in"].as_array().unwrap();
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert_eq!((kept[0]["itself"].as_bool(), kept[1]["id"].as_str()), (Some(true), Some(two)));
    assert_eq!(kept[1]["confidence"].as_f64().map(|it| (it * 1000.0).round()), Some(999.0), "{kept:?}");
    assert!(
        shown.contains("\nKept in\n  this record\n") && shown.contains("confidence 1.00 by key id AKIA"),
        "{shown}"
    );
    let then = place.done(&["inventory", "show", one, "--at", "2100-01-01", "-o", "json"]).lines();
    assert!(then[0]["custody"].is_null(), "keys are indexed as of now");
    assert!(place.done(&["inventory", "groups"]).fits());

    let why = place.done(&["inventory", "why-linked", one, two, "-o", "json"]).lines();
    assert_eq!((why[0]["linked"].as_bool(), why[0]["group"].as_str()), (Some(true), Some(oldest)));
    let step = &why[0]["chain"][0];
    assert_eq!((step["from"]["id"].as_str(), step["to"]["id"].as_str()), (Some(one), Some(two)));
    assert_eq!((step["from"]["source"].as_str(), step["broken"].as_str()), (Some("tree"), None));
    assert!(step["from"]["as_of"].is_string() && step["key"].is_string());
    let said = place.done(&["inventory", "why-linked", one, two]);
    insta::assert_snapshot!(plain(&said.out, &place, &ids), @r#"
One secret: the two share keys.

key id AKIAQ2W3E4R5T6Y7U8I9
  access_key .env AWS_SECRET_ACCESS_KEY at TREE/one/.env in host:324db2c1493f4909a681944d7a5031da (ONE): key_id as of TIME (now), from tree
  access_key .env AWS_SECRET_ACCESS_KEY at TREE/two/.env in host:324db2c1493f4909a681944d7a5031da (TWO): key_id as of TIME (now), from tree
"#);

    let said = place.done(&["inventory", "why-linked", one, three]);
    insta::assert_snapshot!(plain(&said.out, &place, &ids), @r#"
Not one: they have the same name, and no key in common. A name unites nobody.
"#);

    let said = place.done(&["inventory", "unlink", one, two, "--reason", "the second is a copy for tests"]);
    insta::assert_snapshot!(plain(&said.out, &place, &ids), @r#"
.env AWS_SECRET_ACCESS_KEY and .env AWS_SECRET_ACCESS_KEY are kept apart from now on: the second is
  a copy for tests
"#);
    assert!(place.listed(&["inventory", "groups"]).is_empty());
    assert_eq!(place.done(&["inventory", "show", one, "-o", "json"]).lines()[0]["groups"], serde_json::json!({}));
    let said = place.done(&["inventory", "why-linked", two, one]);
    insta::assert_snapshot!(plain(&said.out, &place, &ids), @r#"
Not one secret: keys lead from one to the other, but not all of them unite.

key id AKIAQ2W3E4R5T6Y7U8I9 (does not unite: an operator keeps apart who would come together by it)
  access_key .env AWS_SECRET_ACCESS_KEY at TREE/two/.env in host:324db2c1493f4909a681944d7a5031da (TWO): key_id as of TIME (now), from tree
  access_key .env AWS_SECRET_ACCESS_KEY at TREE/one/.env in host:324db2c1493f4909a681944d7a5031da (ONE): key_id as of TIME (now), from tree

kept apart by uid UID at TIME the second is a copy for tests
"#);
    // It stays so when they are looked at again.
    fs::write(place.tree().join("one/.env"), fs::read(place.tree().join("two/.env")).unwrap()).unwrap();
    place.done(&["scan"]);
    assert!(place.listed(&["inventory", "groups"]).is_empty());

    let said = place.done(&["inventory", "link-again", two, one, "--reason", "it is the same after all"]);
    insta::assert_snapshot!(plain(&said.out, &place, &ids), @r#"
.env AWS_SECRET_ACCESS_KEY and .env AWS_SECRET_ACCESS_KEY are kept apart no more: it is the same
  after all
"#);
    assert_eq!(place.listed(&["inventory", "groups"])[0]["records"], groups[0]["records"]);
    let words = place.listed(&["inventory", "groups", "--apart"]);
    assert_eq!(words.len(), 1, "a word is kept for good");
    assert_eq!(words[0]["reason"], "the second is a copy for tests");
    assert_eq!(words[0]["released_reason"], "it is the same after all");
    assert_eq!(words[0]["by"].as_u64(), Some(rustix::process::getuid().as_raw().into()));
    assert!(place.listed(&["inventory", "groups", "--held"]).is_empty());
}

#[test]
fn what_cannot_be_parted_is_refused() {
    let (place, ids) = place();
    let one = ids[0].as_str();
    for (words, said) in [
        (["inventory", "unlink", one, one, "--reason", "x"], "are one record"),
        (["inventory", "unlink", one, "nothing-like-it", "--reason", "x"], "no record is called"),
        (["inventory", "link-again", one, &ids[1], "--reason", "x"], "nobody keeps these two apart"),
    ] {
        let answer = place.say(&words);
        assert!(answer.status == 2 && answer.err.contains(said), "{words:?}: {}{}", answer.out, answer.err);
    }
}
