//! Syslog to sockets of this machine, read back by a reader of RFC 5424 that knows nothing of the writer.
//! It must never take the writer's word for what a message is.

use provost_model::{Severity, Time, door::corpus::HOSTILE};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    net::{TcpListener, UdpSocket, UnixDatagram},
    sync::oneshot,
};

use super::*;
use crate::{
    Event,
    testing::{errand, handed, letter, loopback::AUTHORITY},
};

/// A message as a receiver reads it.
#[derive(Debug)]
struct Message {
    priority: u16,
    head: Vec<String>,
    sd_id: String,
    data: Vec<(String, String)>,
    text: String,
}

impl Message {
    /// By the grammar of RFC 5424, 6, sign by sign; panics where it does not hold.
    fn read(bytes: &[u8]) -> Self {
        let text = std::str::from_utf8(bytes).unwrap();
        assert!(!text.contains(['\n', '\r', '\0']), "{text:?}");
        let (priority, rest) = text.strip_prefix('<').unwrap().split_once('>').unwrap();
        assert!(priority == "0" || !priority.starts_with('0'), "{text}");
        let mut rest = rest.strip_prefix("1 ").expect("VERSION 1");
        let mut head = Vec::new();
        for most in [32, 255, 48, 128, 32] {
            let (word, following) = rest.split_once(' ').unwrap();
            assert!(
                !word.is_empty() && word.len() <= most && word.bytes().all(|it| (33..=126).contains(&it)),
                "{text}"
            );
            head.push(word.to_owned());
            rest = following;
        }
        let at: Time = head[0].parse().unwrap();
        assert!(head[0].ends_with('Z') && head[0].split('.').nth(1).is_none_or(|it| it.len() <= 7), "{at}");
        let mut signs = rest.strip_prefix('[').unwrap().chars();
        let (mut sd_id, mut data) = (String::new(), Vec::new());
        let mut next = signs.next().unwrap();
        while !matches!(next, ' ' | ']') {
            sd_id.push(next);
            next = signs.next().unwrap();
        }
        while next == ' ' {
            let (mut name, mut value) = (String::new(), String::new());
            next = signs.next().unwrap();
            while next != '=' {
                assert!(next.is_ascii_graphic() && !"]\" ".contains(next), "{text}");
                name.push(next);
                next = signs.next().unwrap();
            }
            assert_eq!(signs.next(), Some('"'), "{text}");
            loop {
                match signs.next().unwrap() {
                    '"' => break,
                    ']' => panic!("a bracket ends the data: {text}"),
                    '\\' => match signs.next().unwrap() {
                        sign @ ('"' | '\\' | ']') => value.push(sign),
                        sign => panic!("{sign} needs no escape: {text}"),
                    },
                    sign => value.push(sign),
                }
            }
            assert!((1..=32).contains(&name.len()) && data.iter().all(|(it, _)| *it != name), "{name}: {text}");
            data.push((name, value));
            next = signs.next().unwrap();
        }
        assert_eq!(next, ']', "{text}");
        let rest = signs.as_str().strip_prefix(' ').unwrap().strip_prefix('\u{feff}').expect("a BOM").to_owned();
        Self { priority: priority.parse().unwrap(), head, sd_id, data, text: rest }
    }

    fn value(&self, name: &str) -> &str {
        self.data.iter().find(|(it, _)| it == name).map_or("", |(_, value)| value)
    }
}

/// Messages that are counted in a stream (RFC 6587, 3.4.1).
fn counted(mut bytes: &[u8]) -> Vec<Message> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let blank = bytes.iter().position(|it| *it == b' ').unwrap();
        let length: usize = std::str::from_utf8(&bytes[..blank]).unwrap().parse().unwrap();
        all.push(Message::read(&bytes[blank + 1..=blank + length]));
        bytes = &bytes[blank + 1 + length..];
    }
    all
}

fn sink(address: &str) -> Box<dyn Sink> {
    build(&handed(json!({ "address": address }))).unwrap()
}

fn frames(settings: Value, letter: &Letter) -> Vec<Message> {
    let frames = read(&handed(settings)).unwrap().frames.of(letter).unwrap();
    frames.iter().map(|it| Message::read(it.as_bytes())).collect()
}

/// What comes in by one connection until it ends.
async fn taken(mut stream: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    bytes
}

#[test]
fn each_case_is_a_message_and_so_is_what_is_beside_them() {
    let mut letter = letter();
    letter.written_at = Time::from_micros(1_795_000_000_000_001);
    letter.counts[0].cases = 3;
    let all = frames(json!({ "address": "unix:/dev/log" }), &letter);
    let [case, baseline, digest] = all.as_slice() else { panic!("{all:?}") };
    // Facility 13, severity 3.
    assert_eq!(case.priority, 13 * 8 + 3);
    assert_eq!(case.head, ["2026-11-18T11:06:40.000001Z", "daemon.example", "provost", "-", "opened"]);
    assert_eq!(case.sd_id, "provost@32473");
    let data: Vec<(&str, &str)> = case.data.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let expected = [
        ("letter", "01234567-89ab-7cde-8f01-000000000001"),
        ("case", "01234567-89ab-7cde-8f01-23456789abcd"),
        ("severity", "high"),
        ("rule", "CRED-STALE"),
        ("kind", "access_key"),
        ("action", "disable"),
        ("name", "AKIAIOSFODNN7EXAMPLE"),
        ("externalId", "AKIAIOSFODNN7EXAMPLE"),
        ("sources", "aws-prod"),
        ("owner", "payments"),
        ("openedAt", "2026-11-18T11:06:40Z"),
        ("deadline", "2026-11-18T11:06:40Z"),
        ("overdue", "false"),
        ("stage", "open"),
        ("route", "sample"),
        ("link", "provost cases show 01234567"),
    ];
    assert_eq!(data, expected);
    assert_eq!(
        case.text,
        "high, new: access key AKIAIOSFODNN7EXAMPLE in aws-prod; not used for a long time (CRED-STALE): last used \
         2026-05-03, 210 days ago; limit 45; to do: disable; owner: payments; due: Sun 2026-12-06 13:00 UTC, in 7 days; \
         decide: provost cases show 01234567"
    );
    assert_eq!((baseline.priority, baseline.head[4].as_str()), (13 * 8 + 6, "baseline"));
    assert_eq!((baseline.value("source"), baseline.value("high")), ("aws-prod", "3"));
    assert!(baseline.text.starts_with("first complete run of aws-prod: 3 high; to have it"), "{}", baseline.text);
    assert_eq!((digest.priority, digest.head[4].as_str()), (13 * 8 + 3, "digest"));
    assert_eq!((digest.value("cases"), digest.value("uncertain")), ("3", letter.uncertain[0].as_str()));
    assert_eq!(
        digest.text,
        "3 high cases new; 1 earlier message may be missing: 01234567-89ab-7cde-8f01-000000000000; \
         everything: provost cases list"
    );

    (letter.baselines, letter.uncertain) = (Vec::new(), Vec::new());
    letter.counts[0].cases = 1;
    assert_eq!(frames(json!({ "address": "unix:/dev/log" }), &letter).len(), 1);
}

#[test]
fn a_severity_is_one_of_theirs_and_what_is_settled_wakes_nobody() {
    let table =
        [(Severity::Critical, 2), (Severity::High, 3), (Severity::Medium, 4), (Severity::Low, 5), (Severity::Info, 6)];
    let settings = json!({ "address": "unix:/dev/log", "facility": "local3", "sd_id": "nhi@12345.1" });
    for (severity, code) in table {
        let mut letter = letter();
        letter.cases[0].severity = severity;
        let case = &frames(settings.clone(), &letter)[0];
        assert_eq!((case.priority, case.sd_id.as_str()), (19 * 8 + code, "nhi@12345.1"));
        letter.cases[0].event = Event::Settled;
        let case = &frames(settings.clone(), &letter)[0];
        assert_eq!((case.priority, case.head[4].as_str()), (19 * 8 + 6, "settled"));
    }
}

#[test]
fn no_text_from_outside_ends_a_value_a_line_or_the_message() {
    let ends =
        [("\"] <0>1 - - - - - - owned", "ends the data"), ("\\\"]\\", "escapes the escape"), ("x\u{85}y", "next line")];
    for (text, tries) in HOSTILE.iter().chain(&ends) {
        for most in [480, 2_048, 65_000] {
            let mut letter = letter();
            for long in [(*text).to_owned(), text.repeat(400)] {
                let case = &mut letter.cases[0];
                (case.name, case.external_id, case.owner) = (long.clone(), long.clone(), Some(long.clone()));
                (case.sources, case.faults[0].because) = (vec![long.clone(), long.clone()], long.clone());
                letter.baselines[0].source = long.clone();
                let settings = json!({ "address": "unix:/dev/log", "most": most });
                let written = read(&handed(settings.clone())).unwrap().frames.of(&letter).unwrap();
                assert!(written.iter().all(|it| it.len() <= most), "{tries}: {most}");
                for message in frames(settings, &letter) {
                    let shown = message.data.iter().map(|(_, value)| value.as_str()).chain([message.text.as_str()]);
                    assert!(
                        shown.flat_map(str::chars).all(|it| !provost_model::door::is_hidden(it)),
                        "{tries}: {message:?}"
                    );
                    assert!(message.text.len() > 40, "{tries}: {message:?}");
                }
            }
        }
    }
    let mut letter = letter();
    letter.cases[0].name = r#"a"b\c]d"#.to_owned();
    assert_eq!(frames(json!({ "address": "unix:/dev/log" }), &letter)[0].value("name"), r#"a"b\c]d"#);
    let mut strange = handed(json!({ "address": "unix:/dev/log", "most": 480 }));
    strange.hostname = format!("a b\n{}", "x".repeat(400));
    let frame = &read(&strange).unwrap().frames.of(&letter).unwrap()[0];
    assert!(Message::read(frame.as_bytes()).head[1].starts_with("abxxx") && frame.len() <= 480);
}

#[test]
fn an_operator_s_template_makes_one_line_too() {
    let mut handed = handed(json!({ "address": "unix:/dev/log" }));
    handed.template = Some("{% for case in cases %}\n{{ case.name }}\n\n  says {{ id }}\n{% endfor %}".to_owned());
    let frames = read(&handed).unwrap().frames.of(&letter()).unwrap();
    let message = Message::read(frames[0].as_bytes());
    assert_eq!(message.text, "AKIAIOSFODNN7EXAMPLE says 01234567-89ab-7cde-8f01-000000000001");
    handed.template = Some("{{ nothing }}".to_owned());
    assert!(build(&handed).err().unwrap().starts_with("the template"));
}

#[tokio::test]
async fn datagrams_carry_a_message_each() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("log");
    let address = format!("unix:{}", path.display());
    let error = sink(&address).deliver(&errand(), &letter()).await.unwrap_err();
    assert!(matches!(error, ActionError::Retry { .. }), "{error}");
    assert!(sink(&address).check().await.is_err());

    let (unix, udp) = (UnixDatagram::bind(&path).unwrap(), UdpSocket::bind("127.0.0.1:0").await.unwrap());
    sink(&address).check().await.unwrap();
    sink(&address).deliver(&errand(), &letter()).await.unwrap();
    let address = format!("udp://{}", udp.local_addr().unwrap());
    assert!(sink(&address).check().await.unwrap().contains("nobody can tell"));
    sink(&address).deliver(&errand(), &letter()).await.unwrap();
    for word in ["opened", "baseline", "digest"] {
        let (mut one, mut other) = ([0; 4_096], [0; 4_096]);
        let (first, second) = (unix.recv(&mut one).await.unwrap(), udp.recv(&mut other).await.unwrap());
        assert_eq!(one[..first], other[..second]);
        assert_eq!(Message::read(&one[..first]).head[4], word);
    }
}

#[tokio::test]
async fn a_stream_carries_counted_messages_and_its_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    let receiver = tokio::spawn(async move { taken(listener.accept().await.unwrap().0).await });
    let mut letter = letter();
    letter.cases[0].name = "東京".to_owned();
    let sink = sink(&address);
    assert_eq!(sink.delivery(), Delivery::Blind);
    sink.deliver(&errand(), &letter).await.unwrap();
    let messages = counted(&receiver.await.unwrap());
    assert_eq!((messages.len(), messages[0].value("name")), (3, "東京"));
    // The listener is gone with its task.
    let error = sink.deliver(&errand(), &letter).await.unwrap_err();
    assert!(matches!(error, ActionError::Retry { .. }), "{error}");
}

#[tokio::test]
async fn a_stream_that_breaks_off_leaves_open_what_was_read() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    let (told, done) = oneshot::channel();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_exact(&mut [0; 10]).await.unwrap();
        // What was not read makes an end a reset.
        drop(stream);
        told.send(()).unwrap();
    });
    let error = sink(&address).deliver(&errand(), &letter()).await.unwrap_err();
    done.await.unwrap();
    assert!(matches!(&error, ActionError::Ambiguous { .. }), "{error}");
}

#[tokio::test]
async fn a_stream_may_be_encrypted_and_is_not_without_trust() {
    let home = tempfile::tempdir().unwrap();
    let ca = home.path().join("ca.pem");
    std::fs::write(&ca, AUTHORITY).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("tls://{}", listener.local_addr().unwrap());
    let receiver = tokio::spawn(async move {
        let acceptor = acceptor();
        let mut all = Vec::new();
        for _ in 0..3 {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(stream) = acceptor.accept(stream).await {
                all.push(taken(stream).await);
            }
        }
        all
    });
    let trusting = build(&handed(json!({ "address": address, "ca_file": ca }))).unwrap();
    trusting.deliver(&errand(), &letter()).await.unwrap();
    trusting.check().await.unwrap();
    let error = sink(&address).deliver(&errand(), &letter()).await.unwrap_err();
    assert!(matches!(&error, ActionError::Retry { said, .. } if said.starts_with("no TLS")), "{error}");
    let all = receiver.await.unwrap();
    assert_eq!(all.iter().map(|it| counted(it).len()).collect::<Vec<_>>(), [3, 0]);
}

fn acceptor() -> tokio_rustls::TlsAcceptor {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
    let pem = include_bytes!("../../../../../tests/servers/loopback/server.pem");
    let (certificate, key) =
        (CertificateDer::from_pem_slice(pem).unwrap(), PrivateKeyDer::from_pem_slice(pem).unwrap());
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    std::sync::Arc::new(config).into()
}

#[test]
fn settings_that_make_no_sense_are_named() {
    let good = "unix:/dev/log";
    let table = [
        (json!({ "address": "unix:log" }), "address:"),
        (json!({ "address": "udp://hunter2" }), "address:"),
        (json!({ "address": "tcp://a:hunter2@b.example:1" }), "address:"),
        (json!({ "address": "tcp://b.example:1/hunter2" }), "address:"),
        (json!({ "address": "http://b.example:1" }), "address:"),
        (json!({ "address": "/dev/log" }), "address:"),
        (json!({ "address": good, "ca_file": "/x" }), "ca_file: only"),
        (json!({ "address": "tls://b.example", "ca_file": "/nowhere/hunter2" }), "ca_file:"),
        (json!({ "address": good, "facility": "hunter2" }), "facility: one of kern,"),
        (json!({ "address": good, "sd_id": "provost" }), "sd_id:"),
        (json!({ "address": good, "sd_id": "pro vost@1" }), "sd_id:"),
        (json!({ "address": good, "sd_id": "provost@x]" }), "sd_id:"),
        (json!({ "address": good, "most": 479 }), "most:"),
        (json!({ "address": good, "most": "hunter2" }), "most cannot be read: expected usize"),
    ];
    for (settings, says) in table {
        let said = build(&handed(settings.clone())).err().unwrap_or_default();
        assert!(said.starts_with(says) && !said.contains("hunter2"), "{settings}: {said}");
    }
    for address in ["tls://logs.example.org", "tls://[::1]:6515", "udp://[::1]:514", "tcp://logs.example.org:601"] {
        assert!(build(&handed(json!({ "address": address }))).is_ok(), "{address}");
    }
}
