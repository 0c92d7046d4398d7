//! Matrix: a real Synapse, and what a homeserver may answer else.
//! It must never leave a server behind.

use provost_model::door::corpus::HOSTILE;

use super::*;
use crate::testing::{
    errand, handed, letter,
    loopback::{Loopback, Reply},
};

#[path = "../../../../../tests/servers/synapse.rs"]
mod synapse;

fn sink(origin: &str, room: &str, token: &str) -> Box<dyn Sink> {
    build(&handed(json!({ "origin": origin, "room": room, "token": format!("env:{token}") }))).unwrap()
}

fn numbered(number: u32) -> Letter {
    let mut letter = letter();
    letter.id = format!("01234567-89ab-7cde-8f01-{number:012}");
    letter
}

#[tokio::test]
async fn a_real_homeserver_takes_each_letter_once_and_shows_it_as_it_was_meant() {
    let Some(server) = synapse::own() else { return };
    let (bot, token) = server.user("provost");
    let (ann, reader) = server.user("ann");
    let room = server.room(&reader, "security");
    let alias = format!("#security:{}", synapse::NAME);
    let sink_of = |room: &str, token: &str| sink(&server.url(), room, token);

    let outside = sink_of(&room, &token).check().await.unwrap_err();
    assert!(outside.said().contains(&bot) && outside.said().contains("not in the room"), "{outside}");
    let error = sink_of(&room, &token).deliver(&errand(), &letter()).await.unwrap_err();
    assert!(error.may_repeat(), "somebody can let it in: {error}");
    server.ask(&token, "POST", &format!("v3/join/{}", room.replace('!', "%21").replace(':', "%3A")), Some(&json!({})));
    assert_eq!(
        sink_of(&room, &token).check().await.unwrap(),
        format!("signed in as {bot}, which is in the room {room}")
    );
    assert!(sink_of(&alias, &token).check().await.unwrap().ends_with(&alias));

    let first = sink_of(&room, &token).deliver(&errand(), &letter()).await.unwrap();
    assert_eq!(sink_of(&alias, &token).deliver(&errand(), &letter()).await.unwrap(), first, "the event that is there");
    let shown = server.messages(&reader, &room);
    assert_eq!(shown.len(), 1, "{shown:?}");
    assert_eq!((shown[0]["event_id"].as_str(), shown[0]["sender"].as_str()), (first.reference.as_deref(), Some(&*bot)));
    let content = &shown[0]["content"];
    assert!(content["body"].as_str().unwrap().starts_with("1 high case new;"), "{content}");
    assert!(content["formatted_body"].as_str().unwrap().starts_with("<b>1 high case new;"), "{content}");
    assert_eq!((&content["msgtype"], &content["m.mentions"]), (&json!("m.text"), &json!({})));

    let mut reply = numbered(500);
    reply.thread = first.reference.clone();
    sink_of(&room, &token).deliver(&errand(), &reply).await.unwrap();
    assert_eq!(
        server.messages(&reader, &room)[1]["content"]["m.relates_to"]["event_id"].as_str(),
        reply.thread.as_deref()
    );

    for (number, (text, _)) in (1000..).zip(HOSTILE) {
        let mut letter = numbered(number);
        // Who is to be woken up is somebody who is there.
        letter.cases[0].name = format!("{text} {ann} @room");
        sink_of(&room, &token).deliver(&errand(), &letter).await.unwrap();
    }
    let shown = server.messages(&reader, &room);
    assert_eq!(shown.len(), 2 + HOSTILE.len());
    for (event, (_, tries)) in shown.iter().skip(2).zip(HOSTILE) {
        let (body, html) =
            (event["content"]["body"].as_str().unwrap(), event["content"]["formatted_body"].as_str().unwrap());
        assert!(body.contains(&ann) && html.contains(&ann), "{tries}");
        let text = html.replace("<b>", "").replace("</b>", "").replace("<br>", "");
        assert!(!text.contains(['<', '>', '"', '\'']), "{tries}: {html}");
        assert_eq!(event["content"]["m.mentions"], json!({}), "{tries}");
    }
    let woken = server.ask(&reader, "GET", "v3/notifications?only=highlight", None);
    assert_eq!(woken["notifications"], json!([]), "nobody was mentioned");

    let mut large = numbered(2000);
    large.cases = vec![large.cases[0].clone(); 400];
    large.cases.iter_mut().for_each(|case| case.name = "\\<\"é".repeat(40));
    sink_of(&room, &token).deliver(&errand(), &large).await.unwrap();
    assert_eq!(server.messages(&reader, &room).len(), 3 + HOSTILE.len());

    let wrong = sink_of(&room, "s3cr3t").deliver(&errand(), &numbered(3000)).await.unwrap_err();
    assert!(wrong.may_repeat() && wrong.said().contains("Invalid access token"), "{wrong}");
    assert!(!format!("{wrong:?}").contains("s3cr3t"));
    assert!(sink_of(&room, "s3cr3t").check().await.unwrap_err().said().contains("Invalid access token"));
    for unknown in ["!nowhere:corp.test", "#nowhere:corp.test"] {
        let error = sink_of(unknown, &token).deliver(&errand(), &numbered(3001)).await.unwrap_err();
        assert!(error.may_repeat(), "somebody can set it right: {error}");
        assert!(sink_of(unknown, &token).check().await.is_err());
    }
    assert_eq!(server.messages(&reader, &room).len(), 3 + HOSTILE.len());
}

#[tokio::test]
async fn an_alias_is_resolved_and_a_letter_goes_under_its_own_id() {
    let to = Loopback::start(|asked| match asked.method.as_str() {
        "GET" => Reply::json(r#"{"room_id":"!r:corp.test","servers":["corp.test"]}"#),
        _ => Reply::json(r#"{"event_id":"$1"}"#),
    })
    .await;
    let receipt = sink(&to.origin, "#a:corp.test", "s3cr3t").deliver(&errand(), &letter()).await.unwrap();
    assert_eq!(receipt.reference.as_deref(), Some("$1"));
    let id = letter().id;
    assert_eq!(
        to.targets(),
        [
            "/_matrix/client/v3/directory/room/%23a%3Acorp.test".to_owned(),
            format!("/_matrix/client/v3/rooms/%21r%3Acorp.test/send/m.room.message/{id}"),
        ]
    );
    assert_eq!(to.asked()[1].header("authorization"), "Bearer s3cr3t");
}

#[tokio::test]
async fn what_the_homeserver_answers_decides_what_happens_next() {
    async fn failed(reply: impl Fn() -> Reply + Send + Sync + 'static) -> ActionError {
        let to = Loopback::start(move |_| reply()).await;
        sink(&to.origin, "!r:corp.test", "s3cr3t").deliver(&errand(), &letter()).await.unwrap_err()
    }
    let limited = failed(|| {
        Reply::new(429, &[("retry-after", "3")], r#"{"errcode":"M_LIMIT_EXCEEDED","error":"x","retry_after_ms":3000}"#)
    });
    let limited = limited.await;
    assert!(matches!(limited, ActionError::Retry { after: Some(it), .. } if it.as_secs() == 3), "{limited}");
    let large = failed(|| Reply::new(413, &[], r#"{"errcode":"M_TOO_LARGE","error":"event too large"}"#)).await;
    assert!(matches!(large, ActionError::GiveUp { .. }), "{large}");
    for status in [401, 403, 404] {
        assert!(failed(move || Reply::new(status, &[], r#"{"errcode":"M_X"}"#)).await.may_repeat(), "{status}");
    }
    for unclear in [
        || Reply::new(500, &[], ""),
        || Reply::new(200, &[], "").cut(30),
        || Reply::json(r#"{"event_id":"$1"}"#).cut(1),
        || Reply::json("{}"),
    ] {
        let error = failed(unclear).await;
        assert!(matches!(error, ActionError::Ambiguous { .. }), "{error}");
    }
    // Nothing was sent where the alias did not resolve.
    let to = Loopback::start(|_| Reply::new(500, &[], "")).await;
    let error = sink(&to.origin, "#a:corp.test", "s3cr3t").deliver(&errand(), &letter()).await.unwrap_err();
    assert!(error.may_repeat(), "{error}");
    assert!(to.asked().iter().all(|asked| asked.method == "GET"));
}

#[test]
fn a_room_is_an_id_or_an_alias_and_no_content_is_larger_than_an_event_may_be() {
    for room in ["security", "#security", "!", "! x:y", "@ann:corp.test"] {
        let error = build(&handed(json!({ "origin": "https://m.example", "room": room, "token": "env:x" })));
        let error = error.err().unwrap();
        assert!(error.starts_with("`room`") && !error.contains("security"), "{error}");
    }
    let build = |template: Option<String>| {
        let mut handed = handed(json!({ "origin": "https://m.example", "room": "!r", "token": "env:x" }));
        handed.template = template;
        super::build(&handed).unwrap()
    };
    let size = |preview: &str| {
        let (_, content) = preview.split_once(&format!("{SEND}\n")).unwrap();
        let content: Value = serde_json::from_str(content).unwrap();
        (content.to_string().len(), content.get("formatted_body").is_some())
    };
    assert!(size(&build(None).preview(&letter()).unwrap()).1);
    let mut many = letter();
    many.cases = vec![many.cases[0].clone(); 400];
    many.cases.iter_mut().for_each(|case| case.name = "\\".repeat(60));
    let (length, _) = size(&build(None).preview(&many).unwrap());
    assert!(length <= CONTENT_MAX, "{length}");
    // Every letter of it takes two in JSON.
    let (length, formatted) = size(&build(Some("\\".repeat(29_900) + "{{ title }}")).preview(&letter()).unwrap());
    assert!(length <= CONTENT_MAX && !formatted, "{length}");
    let (length, formatted) = size(&build(Some("\"".repeat(29_990))).preview(&letter()).unwrap());
    assert!(length <= CONTENT_MAX && !formatted, "{length}");
}
