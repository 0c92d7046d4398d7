//! Messages by one of Slack's incoming webhooks, whose whole address is the secret.
//! It must never let that address into an error, a log or a debug form; its host may show.

use async_trait::async_trait;
use provost_client::{Body, authority::SecretOf};
use provost_model::Errand;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Checked, Delivery, Handed, Receipt, Sink, SinkSpec,
    address::{self, Address, Ways},
    place,
    secret::asked,
    settings,
    slack::sections,
};
use crate::{ActionError, Dialect, Letter, Wording};

/// What this sink is.
pub static SPEC: SinkSpec = SinkSpec {
    name: "slack_webhook",
    title: "Slack incoming webhook",
    about: "messages to the one channel of an incoming webhook of Slack",
    delivery: Delivery::Blind,
    because: "a webhook tells nothing of what it wrote and lists nothing: after an unclear answer nobody can tell",
    gathers: true,
    // Slack takes about one message a second by a webhook (<https://docs.slack.dev/apis/web-api/rate-limits>).
    per_minute: 30,
    acts: &[address::POST],
    reads: &[],
    permissions: &["incoming-webhook, which Slack gives with the address"],
    checked: Checked::Words,
    example: r#"[[sinks]]
name = "security-webhook"
kind = "slack_webhook"
# Where the webhook's address (https://hooks.slack.com/services/…) is; whoever has it can write, so it is never here.
url = "env:SLACK_WEBHOOK_URL"
"#,
    documentation: &[
        "https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks/",
        "https://docs.slack.dev/messaging/formatting-message-text/",
        "https://docs.slack.dev/apis/web-api/rate-limits/",
    ],
    build: &build,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    url: String,
}

struct Webhook {
    url: SecretOf,
    ways: Ways,
    wording: Wording,
}

fn build(handed: &Handed) -> Result<Box<dyn Sink>, String> {
    let settings: Settings = settings::parsed(handed)?;
    let url = settings::reference(handed, "url", &settings.url)?;
    let wording = Wording::new(Dialect::Slack, handed.template.as_deref()).map_err(|error| error.to_string())?;
    let ways = Ways::new(&SPEC, address::way(None)?, 64 << 10);
    Ok(Box::new(Webhook { url, ways, wording }))
}

impl Webhook {
    fn payload(&self, letter: &Letter) -> Result<(String, Value), String> {
        let text = self.wording.words(letter).map_err(|error| error.to_string())?;
        let blocks = sections::blocks(&text, None);
        let payload = json!({ "text": text, "blocks": blocks, "unfurl_links": false, "unfurl_media": false });
        Ok((text, payload))
    }

    /// Where the secret leads just now. Nothing was sent: whatever is wrong with it can be put right.
    async fn address(&self) -> Result<Address, ActionError> {
        let url = asked(&self.url).await?;
        let address = Address::new(url.expose_secret(), &self.ways);
        let address = address.and_then(|it| match it.is_path() {
            true => Ok(it),
            false => Err("a webhook's address is a path, without query and fragment".to_owned()),
        });
        address.map_err(|said| ActionError::Retry { after: None, said: format!("url: {said}") })
    }
}

#[async_trait]
impl Sink for Webhook {
    fn delivery(&self) -> Delivery {
        Delivery::Blind
    }

    async fn deliver(&self, errand: &Errand, letter: &Letter) -> Result<Receipt, ActionError> {
        let (_, payload) = self.payload(letter).map_err(|said| ActionError::GiveUp { said })?;
        let address = self.address().await?;
        let posted = address.post(errand, (Body::Json(payload), Vec::new())).await;
        let answer = posted.map_err(|undone| address.veiled(place::undone(undone)))?;
        if answer.body().trim_ascii() != b"ok" {
            let said = "the webhook was answered with success, but not with Slack's ok".to_owned();
            return Err(ActionError::Ambiguous { said });
        }
        Ok(Receipt::default())
    }

    async fn look_up(&self, _: &Letter) -> Result<Option<Receipt>, ActionError> {
        Err(ActionError::GiveUp { said: "a webhook lists nothing".to_owned() })
    }

    async fn check(&self) -> Result<String, ActionError> {
        let address = self.address().await?;
        Ok(format!("the address is at {}; whether it is still good shows with the first letter", address.origin()))
    }

    fn preview(&self, letter: &Letter) -> Result<String, String> {
        let (text, payload) = self.payload(letter)?;
        Ok(format!("{text}\n\nPOST to the webhook\n{payload:#}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        errand, handed, letter,
        loopback::{Loopback, Reply},
    };

    const PATH: &str = "services/T0/B0/hunter2";

    fn sink(address: &str) -> Box<dyn Sink> {
        build(&handed(json!({ "url": format!("env:{address}") }))).unwrap()
    }

    async fn failed(reply: impl Fn() -> Reply + Send + Sync + 'static) -> ActionError {
        let to = Loopback::start(move |_| reply()).await;
        let error = sink(&format!("{}/{PATH}", to.origin)).deliver(&errand(), &letter()).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        error
    }

    #[tokio::test]
    async fn a_letter_is_posted_to_the_address_as_it_is() {
        let to = Loopback::start(|_| Reply::new(200, &[("content-type", "text/html")], "ok")).await;
        let sink = sink(&format!("{}/{PATH}\n", to.origin));
        assert_eq!(sink.deliver(&errand(), &letter()).await.unwrap(), Receipt::default());
        let asked = &to.asked()[0];
        assert_eq!((asked.method.as_str(), asked.target.as_str()), ("POST", "/services/T0/B0/hunter2"));
        assert_eq!(asked.header("content-type"), "application/json");
        let body: Value = serde_json::from_str(&asked.body).unwrap();
        assert!(body["text"].as_str().unwrap().starts_with("*1 high case new;"), "{body}");
        assert_eq!((&body["blocks"][0]["text"]["text"], &body["unfurl_links"]), (&body["text"], &json!(false)));
        assert_eq!(sink.delivery(), Delivery::Blind);
        assert!(sink.look_up(&letter()).await.is_err(), "nobody can tell");
    }

    #[tokio::test]
    async fn what_slack_answers_decides_what_happens_next() {
        for (status, word) in [(403, "invalid_token"), (403, "action_prohibited"), (404, "no_service"), (410, "gone")] {
            let error = failed(move || Reply::new(status, &[], word)).await;
            assert!(error.may_repeat(), "somebody can mend it: {error}");
        }
        let error = failed(|| Reply::new(400, &[], "invalid_payload")).await;
        assert!(matches!(error, ActionError::GiveUp { .. }), "{error}");
        let error = failed(|| Reply::new(429, &[("retry-after", "9")], "rate_limited")).await;
        assert!(matches!(error, ActionError::Retry { after: Some(after), .. } if after.as_secs() == 9), "{error}");
        for reply in [
            || Reply::new(500, &[], "rollup_error"),
            || Reply::new(200, &[], "<html>welcome to the hotel's network</html>"),
            || Reply::new(200, &[], "ok").cut(1),
            || Reply::new(200, &[], "").cut(30),
        ] {
            let error = failed(reply).await;
            assert!(matches!(error, ActionError::Ambiguous { .. }), "{error}");
        }
    }

    #[tokio::test]
    async fn an_address_that_is_none_is_not_repeated() {
        for address in [
            "hunter2",
            "http://example.org/services/hunter2",
            "https://hooks.slack.com",
            "https://hooks.slack.com/services/hunter2?x=hunter2",
            "https://me:hunter2@hooks.slack.com/services/x",
            "https://hooks.slack.com/services/hunter2%2f",
            "file:///hunter2",
        ] {
            for error in [
                sink(address).check().await.unwrap_err(),
                sink(address).deliver(&errand(), &letter()).await.unwrap_err(),
            ] {
                assert!(error.may_repeat() && !format!("{error:?}").contains("hunter2"), "{error:?}");
            }
        }
        let found = sink("https://hooks.slack.com/services/hunter2").check().await.unwrap();
        assert!(found.contains("https://hooks.slack.com;") && !found.contains("hunter2"), "{found}");
        let closed = sink("http://127.0.0.1:9/hunter2").deliver(&errand(), &letter()).await.unwrap_err();
        assert!(closed.may_repeat() && !format!("{closed:?}").contains("hunter2"), "{closed:?}");
    }
}
