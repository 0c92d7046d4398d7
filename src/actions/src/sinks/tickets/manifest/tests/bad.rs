//! What is refused: manifests and settings, each with a sentence that says where and what, and repeats no value.

use super::*;

/// Redmine's manifest with one piece replaced.
fn changed(from: &str, to: &str) -> String {
    assert!(REDMINE.contains(from), "{from}");
    REDMINE.replacen(from, to, 1)
}

#[test]
fn a_manifest_that_makes_no_sense_is_refused_with_its_place() {
    let create = "call = \"POST /issues.json\"";
    let comments = "text = \"/notes\"";
    let auth = "header = { \"X-Redmine-API-Key\" = \"{key}\" }";
    let closed = "closed = { at = \"/issue/status/name\", words = [\"Closed\", \"Rejected\"] }";
    let page = "page = { offset = \"offset\", size = [\"limit\", 100], total = \"/total_count\" }";
    let title = "title = \"Redmine\"";
    for (from, to, says) in [
        (title, "title = \"Redmine\"\nhunter2 = 1", "unknown field `hunter2`"),
        (title, "title = [\"hunter2\"]", "expected a string"),
        (title, "title = \"\"", "title: expected what people call the tracker"),
        (
            title,
            "title = \"x\"\nheaders = { Authorization = \"hunter2\" }",
            "headers.Authorization: it proves who calls",
        ),
        (title, "title = \"x\"\nheaders = { \"X-API-Key\" = \"hunter2\" }", "headers.X-API-Key: it proves who calls"),
        (title, "title = \"x\"\nheaders = { host = \"hunter2\" }", "a header \"host\" cannot be sent"),
        (
            title,
            "title = \"x\"\norigin = \"https://hunter2.example\"",
            "base_url: the manifest has an origin of its own",
        ),
        (
            title,
            "title = \"x\"\nseverity = { high = \"hunter2\" }",
            "severity: expected all of info, low, medium, high, critical",
        ),
        ("markup = \"other\"", "markup = \"hunter2\"", "markup: expected plain, markdown, html or other"),
        ("https://www.redmine.org/projects/redmine/wiki/Rest_api", "hunter2", "documentation: expected addresses"),
        ("{base}/issues/{key}", "{base}/hunter2", "url: {key} stands nowhere in it"),
        (auth, "", "auth: expected one of bearer, basic and header"),
        (auth, "bearer = \"Hunter2\"", "auth.bearer: expected the name of a slot"),
        (auth, "bearer = \"key\"\nbasic = [\"ann\", \"key\"]", "auth: expected one of bearer, basic and header"),
        (
            auth,
            "basic = [\"{nobody}\", \"key\"]",
            "auth.basic: nothing fills {nobody} here; filled are closed, open, project, tracker",
        ),
        (auth, "header = { X = \"hunter2\" }", "auth.header.X: expected a slot in braces"),
        (auth, "header = { \"X Y\" = \"{key}\" }", "auth.header: \"X Y\" is no name of a header"),
        ("project = \"the", "title = \"the", "settings: a setting's name is of small letters"),
        (create, "call = \"GET /issues.json\"", "create.call: expected POST, PUT, PATCH and a path"),
        (create, "call = \"DELETE /issues.json\"", "create.call: expected POST, PUT, PATCH and a path"),
        (create, "call = \"hunter2\"", "create.call: expected POST, PUT, PATCH and a path"),
        (create, "call = \"POST https://hunter2.example/x\"", "create.call: its path begins with a slash"),
        (create, "call = \"POST //hunter2.example/x\"", "create.call: each part of its path"),
        (create, "call = \"POST /a/../b\"", "create.call: each part of its path"),
        (create, "call = \"POST /a?hunter2=b\"", "create.call: each part of its path"),
        (create, "call = \"POST /a/{project}{tracker}\"", "create.call: each part of its path"),
        (create, "call = \"POST /graphql\"", "create.call: GraphQL is not spoken here"),
        (
            create,
            "call = \"POST /{key}\"",
            "create.call: nothing fills {key} here; filled are title, text, mark, severity",
        ),
        (create, "call = \"POST /i\"\nquery = { api_key = \"hunter2\" }", "create.query: what proves who calls"),
        (create, "call = \"POST /i\"\nquery = { a = \"{nobody}\" }", "create.query.a: nothing fills {nobody} here"),
        ("key = \"/issue/id\"", "key = \"hunter2\"", "create.key: expected a JSON Pointer"),
        ("\"{text}\"\n\n[comment]", "\"x\"\n\n[comment]", "create: {text} stands nowhere in it"),
        ("subject = \"{title}\"", "subject = \"{titel}\"", "create.body: nothing fills {titel} here"),
        ("subject = \"{title}\"", "subject = \"{title\"", "create.body.issue.subject: a { has no }"),
        ("subject = \"{title}\"", "subject = 1979-05-27", "create.body.issue.subject: JSON knows no dates"),
        ("notes = \"{text}\"", "notes = \"x\"", "comment: {text} stands nowhere in it"),
        (
            "[close]\ncall = \"PUT /issues/{key}.json\"",
            "[close]\ncall = \"PUT /issues\"",
            "close: {key} stands nowhere in it",
        ),
        ("status_id = \"{#closed}\"", "status_id = \"{title}\"", "close.body: nothing fills {title} here"),
        ("[read]\ncall = \"GET", "[read]\ncall = \"POST", "read.call: expected GET and a path"),
        (closed, "closed = { at = \"/a\" }", "read.closed: expected the words that count"),
        (
            closed,
            "closed = { at = \"/a\", words = [\"x\"], there = true }",
            "read.closed: expected the words that count",
        ),
        (closed, "closed = { at = \"a\", there = true }", "read.closed: expected a JSON Pointer"),
        (closed, "", "missing field `closed`"),
        (comments, "text = \"notes\"", "comments.text: expected a JSON Pointer"),
        ("page = { whole = true }", "page = { whole = true, offset = \"o\" }", "comments.page: expected whole = true"),
        ("page = { whole = true }", "page = {}", "comments.page: expected whole = true"),
        ("page = { whole = true }", "", "missing field `page`"),
        (page, "page = { number = \"page\", total = \"/t\", more = \"/m\" }", "list.page: expected total or more"),
        (page, "page = { offset = \"o\", size = [\"l\"] }", "expected"),
        ("consistent = true", "", "missing field `consistent`"),
        ("consistent = true", "consistent = \"hunter2\"", "expected a boolean"),
        ("[check]\ncall = \"GET", "[check]\ncall = \"PUT", "check.call: expected GET and a path"),
    ] {
        let text = changed(from, to);
        let said = built(&text, settings(REDMINE, "https://tracker.example")).err();
        let said = said.unwrap_or_else(|| panic!("{to} is taken"));
        assert!(said.contains(says), "{to}: {said}");
        let named = ["unknown field `hunter2`"];
        assert!(named.contains(&says) || !said.to_lowercase().contains("hunter2"), "{to}: {said}");
    }
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let text =
        changed("subject = \"{title}\"", "subject = \"{titel}\"").replace("text = \"/notes\"", "text = \"notes\"");
    let said = built(&text, settings(REDMINE, "https://tracker.example")).err().unwrap();
    assert!(
        said.starts_with("manifest: ") && said.contains("create.body: ") && said.contains("; comments.text: "),
        "{said}"
    );
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    for (change, says) in [
        (json!({"base_url": null}), "base_url: the manifest has no origin, so this is needed"),
        (json!({"base_url": "http://hunter2.example"}), "base_url: "),
        (json!({"slots": {}}), "slots.key: missing: the manifest's auth wants it"),
        (json!({"slots": {"key": "hunter2"}}), "slots.key: "),
        (json!({"slots": {"key": "env:t", "other": "env:hunter2"}}), "slots: unknown field `other`"),
        (json!({"slots": "hunter2"}), "slots cannot be read"),
        (json!({"settings": {"project": "hunter2"}}), "settings.closed: missing: the number of the status that closes"),
        (
            json!({"settings": {"project": "hunter2\n", "tracker": "3", "closed": "5", "open": "1"}}),
            "settings.project: expected a short text in one line",
        ),
        (
            json!({"settings": {"project": "nhi", "tracker": "3", "closed": "5", "open": "1", "x": "hunter2"}}),
            "settings: unknown field `x`",
        ),
        (json!({"hunter": "hunter2"}), "unknown field `hunter`"),
    ] {
        let mut settings = settings(REDMINE, "https://tracker.example");
        settings.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let said = built(REDMINE, settings).err().unwrap_or_else(|| panic!("{change} is taken"));
        assert!(said.contains(says) && !said.contains("hunter2"), "{change}: {said}");
    }
    let said = (SPEC.build)(&handed(json!({"manifest": "tickets/hunter2.toml"}))).err().unwrap();
    assert_eq!(said, "manifest: expected an absolute path");
}
