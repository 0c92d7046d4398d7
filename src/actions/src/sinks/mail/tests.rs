//! Mail to a real server, and to servers that misbehave.
//! It must never depend on how fast they are.

use provost_model::{Time, door::corpus::HOSTILE};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::testing::{errand, handed, letter};

#[path = "../../../../../tests/servers/smtp.rs"]
mod smtp;

fn settings(port: u16, tls: &str, to: Value) -> Value {
    let mut settings = json!({
        "host": "127.0.0.1", "port": port, "tls": tls, "from": "provost@example.org", "to": to, "hello": "daemon.example",
    });
    if tls != "none" {
        settings["user"] = smtp::USER.into();
        settings["password"] = format!("env:{}", smtp::PASSWORD).into();
        settings["ca_file"] = smtp::AUTHORITY.into();
    }
    settings
}

fn sink(port: u16, tls: &str, to: Value) -> Box<dyn Sink> {
    build(&handed(settings(port, tls, to))).unwrap()
}

/// The same, which waits for half a second only once the text was sent.
fn hasty(port: u16, to: Value) -> Mail {
    let handed = handed(settings(port, "none", to));
    let settings: Settings = parsed(&handed).unwrap();
    let mut server = server(&settings, &handed).unwrap();
    server.after = Duration::from_millis(500);
    let from = message::address(&settings.from).unwrap();
    let wording = Wording::new(Dialect::Plain, None).unwrap();
    Mail { server, from, to: self::to(&settings).unwrap(), wording }
}

fn header<'a>(mail: &'a Value, name: &str) -> Vec<&'a str> {
    let headers = mail["headers"].as_array().unwrap().iter();
    headers.filter(|it| it[0] == name).map(|it| it[1].as_str().unwrap()).collect()
}

fn wrong(settings: Value) -> String {
    build(&handed(settings)).err().unwrap()
}

#[tokio::test]
async fn a_letter_arrives_as_plain_text_with_an_id_a_date_and_a_thread_of_its_own() {
    let Some(server) = smtp::own("starttls") else { return };
    let sink = sink(server.port, "starttls", json!(["ann@example.org", "bob@example.org"]));
    let mut letter = letter();
    letter.written_at = Time::from_seconds(1_795_000_000);
    let receipt = sink.deliver(&errand(), &letter).await.unwrap();
    let id = format!("<{}@example.org>", letter.id);
    assert_eq!(receipt.reference.as_deref(), Some(id.as_str()));
    (letter.thread, letter.id) = (receipt.reference, "01234567-89ab-7cde-8f01-00000000000a".into());
    sink.deliver(&errand(), &letter).await.unwrap();

    let mails = server.mails();
    let [first, second] = mails.as_slice() else { panic!("{mails:?}") };
    assert_eq!((first["tls"].clone(), first["user"].clone()), (json!(true), json!(smtp::USER)));
    assert_eq!(
        (first["from"].clone(), first["hello"].clone()),
        (json!("provost@example.org"), json!("daemon.example"))
    );
    assert_eq!(first["to"], json!(["ann@example.org", "bob@example.org"]));
    assert_eq!(header(first, "To"), ["ann@example.org, bob@example.org"]);
    assert_eq!(header(first, "Message-ID"), [id.as_str()]);
    assert_eq!(header(first, "Date"), ["Wed, 18 Nov 2026 11:06:40 +0000"]);
    assert_eq!(header(first, "Content-Type"), ["text/plain; charset=\"utf-8\""]);
    assert_eq!(header(first, "MIME-Version"), ["1.0"]);
    assert_eq!(header(first, "Auto-Submitted"), ["auto-generated"]);
    assert_eq!(header(first, "Subject"), [format!("[provost] {}", letter.title())]);
    assert!(header(first, "In-Reply-To").is_empty() && header(first, "References").is_empty());
    assert_eq!((header(second, "In-Reply-To"), header(second, "References")), (vec![id.as_str()], vec![id.as_str()]));
    let words = Wording::new(Dialect::Plain, None).unwrap().words(&letter).unwrap();
    assert_eq!(first["text"].as_str().unwrap().replace("\r\n", "\n").trim_end(), words.replace("000a", "0001"));
    assert!(first["raw"].as_str().unwrap().is_ascii());
}

#[tokio::test]
async fn nothing_from_outside_reaches_a_header_or_ends_the_text() {
    let Some(server) = smtp::own("plain") else { return };
    let sink = sink(server.port, "none", json!(["ann@example.org"]));
    let ends = [("a\r\n.\r\nMAIL FROM:<x@y>", "ends the text"), ("a\nBcc: eve@evil.invalid", "adds a header")];
    let texts: Vec<&str> = HOSTILE.iter().chain(&ends).map(|(text, _)| *text).collect();
    for text in &texts {
        let mut letter = letter();
        for case in &mut letter.cases {
            (case.name, case.owner) = ((*text).to_owned(), Some((*text).to_owned()));
            case.faults[0].because = (*text).to_owned();
        }
        letter.thread = Some(format!("<{text}@example.org>"));
        sink.deliver(&errand(), &letter).await.unwrap();
        let preview = sink.preview(&letter).unwrap();
        assert!(
            preview.starts_with("From: provost@example.org\nTo: ann@example.org\nSubject: [provost] "),
            "{preview}"
        );
    }
    let mails = server.mails();
    assert_eq!(mails.len(), texts.len());
    for (mail, text) in mails.iter().zip(&texts) {
        let names: Vec<&str> = mail["headers"].as_array().unwrap().iter().map(|it| it[0].as_str().unwrap()).collect();
        let known = [
            "From",
            "To",
            "Subject",
            "Date",
            "Message-ID",
            "Auto-Submitted",
            "Content-Type",
            "Content-Transfer-Encoding",
            "In-Reply-To",
            "References",
            "MIME-Version",
        ];
        assert!(names.iter().all(|it| known.contains(it)), "{text:?}: {names:?}");
        let shown = mail["text"].as_str().unwrap();
        assert!(shown.contains("Owner: "), "{text:?}: {shown}");
        assert!(!shown.chars().any(|it| it != '\n' && it != '\r' && door_hides(it)), "{text:?}: {shown}");
    }
}

#[tokio::test]
async fn no_line_is_too_long_and_one_of_dots_ends_nothing() {
    let Some(server) = smtp::own("plain") else { return };
    let long = "x".repeat(3_000);
    let mut handed = handed(settings(server.port, "none", json!(["ann@example.org"])));
    for template in [".\n..\n.x\nend".to_owned(), format!("{long}\n.\nend"), "ä\n.\nend".to_owned()] {
        handed.template = Some(template.clone());
        build(&handed).unwrap().deliver(&errand(), &letter()).await.unwrap();
        let mails = server.mails();
        let mail = mails.last().unwrap();
        assert_eq!(mail["text"].as_str().unwrap().replace("\r\n", "\n").trim_end(), template);
        let raw = mail["raw"].as_str().unwrap();
        assert!(raw.is_ascii() && raw.lines().all(|line| line.len() <= 998), "{raw}");
    }
    assert_eq!(server.mails().len(), 3);
}

/// Said apart from the door: everything in the corpus that is not seen.
fn door_hides(letter: char) -> bool {
    letter.is_control() || ('\u{200b}'..='\u{206f}').contains(&letter) || letter == '\u{feff}' || letter >= '\u{e0000}'
}

#[tokio::test]
async fn what_the_server_says_decides_whether_it_may_be_sent_again() {
    let Some(server) = smtp::own("plain") else { return };
    let table = [
        (
            json!(["bounce@x.example", "ann@x.example", "bounce2@x.example"]),
            "give up",
            "2 of 3 recipients refused for good",
        ),
        (json!(["ann@x.example", "grey@x.example"]), "retry", "1 of 2 recipients refused for now: grey@x.example (451"),
        (json!(["grey@x.example", "bounce@x.example"]), "give up", "bounce@x.example (550"),
        (json!(["never@x.example"]), "give up", "554"),
        (json!(["later@x.example"]), "retry", "452"),
        (json!(["cut@x.example"]), "ambiguous", "after the text"),
    ];
    for (to, fate, says) in table {
        let before = server.mails().len();
        let error = sink(server.port, "none", to.clone()).deliver(&errand(), &letter()).await.unwrap_err();
        let found = match &error {
            ActionError::Retry { .. } => "retry",
            ActionError::GiveUp { .. } => "give up",
            ActionError::Ambiguous { .. } => "ambiguous",
        };
        assert_eq!(found, fate, "{to}: {error}");
        assert!(error.said().contains(says), "{to}: {error}");
        let named = to.to_string();
        let took = usize::from(!named.contains("bounce") && !named.contains("grey"));
        assert_eq!(server.mails().len() - before, took, "{to}: all recipients or none");
    }
    let error = hasty(server.port, json!(["hang@x.example"])).deliver(&errand(), &letter()).await.unwrap_err();
    assert!(matches!(&error, ActionError::Ambiguous { said } if said.contains("no answer in time")), "{error}");
    assert_eq!(sink(server.port, "none", json!(["ann@x.example"])).delivery(), Delivery::Blind);
}

#[tokio::test]
async fn who_is_not_trusted_or_not_let_in_gets_nothing_and_no_password_shows() {
    let Some(server) = smtp::own("starttls") else { return };
    let good = settings(server.port, "starttls", json!(["ann@example.org"]));
    let with = |name: &str, value: Value| {
        let mut settings = good.clone();
        settings[name] = value;
        build(&handed(settings)).unwrap()
    };
    let untrusted = {
        let mut settings = good.clone();
        settings.as_object_mut().unwrap().remove("ca_file");
        build(&handed(settings)).unwrap()
    };
    let plain = sink(server.port, "none", json!(["ann@example.org"]));
    let closed = sink(9, "none", json!(["ann@example.org"]));
    let implicit = with("tls", json!("implicit"));
    let wrong = with("password", json!("env:wr0ng-s3cr3t"));
    for (sink, says) in
        [(untrusted, "STARTTLS"), (plain, "530"), (closed, "no connection"), (implicit, "no mail server")]
    {
        let error = sink.deliver(&errand(), &letter()).await.unwrap_err();
        assert!(matches!(error, ActionError::Retry { .. }), "{error}");
        assert!(error.said().contains(says), "{says}: {error}");
    }
    for error in [wrong.deliver(&errand(), &letter()).await.unwrap_err(), wrong.check().await.unwrap_err()] {
        assert!(matches!(&error, ActionError::Retry { said, .. } if said.contains("535")), "{error}");
        assert!(!error.to_string().contains("s3cr3t"), "{error}");
    }
    let unknown = with("password", json!("env:")).deliver(&errand(), &letter()).await.unwrap_err();
    assert!(matches!(unknown, ActionError::Retry { .. }), "{unknown}");
    assert!(server.mails().is_empty());
    let found = build(&handed(good.clone())).unwrap().check().await.unwrap();
    assert!(found.contains("signs us in over TLS"), "{found}");
}

#[tokio::test]
async fn tls_may_come_before_the_first_word() {
    let Some(server) = smtp::own("implicit") else { return };
    let sink = sink(server.port, "implicit", json!(["ann@example.org"]));
    sink.deliver(&errand(), &letter()).await.unwrap();
    assert!(sink.check().await.unwrap().contains("over TLS"));
    let mails = server.mails();
    assert_eq!((mails.len(), mails[0]["tls"].clone(), mails[0]["user"].clone()), (1, json!(true), json!(smtp::USER)));
}

#[tokio::test]
async fn a_letter_goes_to_the_owner_or_to_whom_it_goes_otherwise() {
    let Some(server) = smtp::own("plain") else { return };
    let mut settings = settings(server.port, "none", json!("owner"));
    settings["otherwise_to"] = json!(["security@example.org"]);
    let sink = build(&handed(settings)).unwrap();
    let mut letter = letter();
    sink.deliver(&errand(), &letter).await.unwrap();
    letter.address = Some("payments@example.org".into());
    sink.deliver(&errand(), &letter).await.unwrap();
    let to: Vec<Value> = server.mails().iter().map(|it| it["to"].clone()).collect();
    assert_eq!(to, [json!(["security@example.org"]), json!(["payments@example.org"])]);
    for outside in
        ["a@b>\r\nRCPT TO:<eve@evil.invalid", "\"a b\"@example.org", "nobody", "a@b, eve@evil.invalid", "ä@b.example"]
    {
        letter.address = Some(outside.to_owned());
        let error = sink.deliver(&errand(), &letter).await.unwrap_err();
        assert!(matches!(error, ActionError::GiveUp { .. }), "{outside}: {error}");
    }
    assert_eq!(server.mails().len(), 2);
}

/// A server that says this after each line it gets, beginning with a greeting.
async fn scripted(answers: &'static [&'static str]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        for answer in answers {
            if stream.write_all(answer.as_bytes()).await.is_err() || stream.read_line(&mut String::new()).await.is_err()
            {
                return;
            }
        }
    });
    port
}

#[tokio::test]
async fn what_breaks_before_the_text_may_be_sent_again() {
    let table: [&'static [&'static str]; 6] = [
        &["421 too busy\r\n"],
        &["no mail here\r\n"],
        &["220 x\r\n", "502 no\r\n"],
        &["220 x\r\n", "250 x\r\n", "250 ok\r\n"],
        &["220 x\r\n", "250 x\r\n", "250 ok\r\n", "250 ok\r\n", "451 not now\r\n"],
        &["220 x\r\n", "250 x\r\n", "250 ok\r\n", "250 ok\r\n"],
    ];
    for answers in table {
        let error = hasty(scripted(answers).await, json!(["ann@x.example"])).deliver(&errand(), &letter()).await;
        assert!(matches!(error, Err(ActionError::Retry { .. })), "{answers:?}: {error:?}");
    }
    let error = hasty(scripted(&["220 x\r\n", "250 x\r\n", "550 no\r\n"]).await, json!(["ann@x.example"]))
        .deliver(&errand(), &letter())
        .await;
    assert!(matches!(error, Err(ActionError::GiveUp { .. })), "{error:?}");
}

/// Somebody on the way to a server, who puts the answers to everything behind the one to STARTTLS, where nothing is encrypted
/// yet.
async fn spoiled(server: u16) -> u16 {
    const ANSWERS: &str = "250-x\r\n250 AUTH PLAIN\r\n235 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 ok\r\n221 bye\r\n";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut asks, mut to_client) = listener.accept().await.unwrap().0.into_split();
        let (answers, mut to_server) = TcpStream::connect(("127.0.0.1", server)).await.unwrap().into_split();
        tokio::spawn(async move { tokio::io::copy(&mut asks, &mut to_server).await });
        let mut answers = BufReader::new(answers);
        let mut greeted = false;
        loop {
            let mut line = String::new();
            answers.read_line(&mut line).await.unwrap();
            let begins = greeted && line.starts_with("220");
            greeted = true;
            line.push_str(if begins { ANSWERS } else { "" });
            to_client.write_all(line.as_bytes()).await.unwrap();
            if begins {
                break;
            }
        }
        tokio::io::copy(&mut answers, &mut to_client).await
    });
    port
}

#[tokio::test]
async fn an_answer_put_in_before_tls_is_none_that_came_by_it() {
    let Some(server) = smtp::own("starttls") else { return };
    let sink = sink(spoiled(server.port).await, "starttls", json!(["ann@example.org"]));
    let error = sink.deliver(&errand(), &letter()).await.unwrap_err();
    assert!(matches!(&error, ActionError::Retry { said, .. } if said.contains("STARTTLS")), "{error}");
    assert!(server.mails().is_empty());
}

#[tokio::test]
async fn a_server_without_starttls_gets_no_word_more() {
    let port = scripted(&["220 x\r\n", "250 x\r\n"]).await;
    let error = sink(port, "starttls", json!(["ann@example.org"])).deliver(&errand(), &letter()).await.unwrap_err();
    assert!(matches!(&error, ActionError::Retry { said, .. } if said.contains("STARTTLS")), "{error}");
}

#[tokio::test]
async fn a_server_that_repeats_the_password_is_not_repeated() {
    // The second is what AUTH PLAIN sends of that user and password.
    for echo in ["535 no pw-s3cr3t\r\n", "501 AHByb3Zvc3QAcHctczNjcjN0\r\n", "535 cHctczNjcjN0\r\n"] {
        let answers = ["220 x\r\n", "250-x\r\n250 AUTH PLAIN\r\n", echo];
        let port = scripted(Box::leak(Box::new(answers))).await;
        let mut settings = settings(port, "none", json!(["ann@example.org"]));
        (settings["user"], settings["password"]) = (smtp::USER.into(), format!("env:{}", smtp::PASSWORD).into());
        let error = build(&handed(settings)).unwrap().check().await.unwrap_err();
        assert!(matches!(&error, ActionError::Retry { said, .. } if said.ends_with('…')), "{error}");
    }
}

#[test]
fn settings_that_make_no_sense_are_named() {
    let table = [
        ("host", json!("smtp.example.org:587/x"), "host:"),
        ("tls", json!("hunter2"), "tls cannot be read: expected one of `starttls`, `implicit`, `none`"),
        ("from", json!("hunter2"), "from:"),
        ("from", json!("Ann <ann@example.org>"), "from:"),
        ("to", json!([]), "to:"),
        ("to", json!("everybody"), "to:"),
        ("to", json!("owner"), "otherwise_to:"),
        ("otherwise_to", json!(["a@b.example"]), "otherwise_to:"),
        ("user", json!("ann\nx"), "user and password:"),
        ("password", json!("hunter2"), "password:"),
        ("hello", json!("a b"), "hello:"),
        ("ca_file", json!("/nowhere/hunter2.pem"), "ca_file:"),
    ];
    for (name, value, says) in table {
        let mut settings = settings(587, "starttls", json!(["ann@example.org"]));
        settings[name] = value;
        let said = wrong(settings);
        assert!(said.starts_with(says) && !said.contains("hunter2"), "{name}: {said}");
    }
    let mut elsewhere = settings(25, "none", json!(["ann@example.org"]));
    elsewhere["host"] = "smtp.example.org".into();
    assert!(wrong(elsewhere.clone()).starts_with("tls:"));
    elsewhere["host"] = "::1".into();
    assert!(build(&handed(elsewhere)).is_ok());
}
