//! Pages that were recorded once, as a provider: so that everything is tested where no generated estate is at hand.
//! It must never answer a request that was not recorded.

use std::{collections::BTreeMap, fs, sync::Arc};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{eyes, fixtures, names, overlay, shipped, source};
use crate::{
    Connector, Spec,
    generic::{Answered, Asked, Estate, Throttle, Upstream},
    manifest::Trust,
};

/// One exchange as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Page {
    pub asked: String,
    pub link: Option<String>,
    pub body: Value,
}

/// The recorded pages of a manifest, in the order in which they were asked for.
pub(super) fn pages(name: &str) -> Vec<Page> {
    let path = fixtures().join(format!("{name}.jsonl"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let page = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap();
        Page {
            asked: row["asked"].as_str().unwrap().to_owned(),
            link: row["link"].as_str().map(str::to_owned),
            body: row["body"].clone(),
        }
    };
    text.lines().map(page).collect()
}

/// Keeps pages.
pub(super) fn keep(name: &str, pages: &[Page]) {
    let lines: Vec<String> = pages
        .iter()
        .map(|page| json!({"asked": page.asked, "link": page.link, "body": page.body}).to_string())
        .collect();
    fs::create_dir_all(fixtures()).unwrap();
    fs::write(fixtures().join(format!("{name}.jsonl")), lines.join("\n") + "\n").unwrap();
}

/// Recorded pages as a provider.
pub(super) fn replayed(name: &str) -> Arc<Upstream> {
    let pages: BTreeMap<String, Page> = pages(name).into_iter().map(|page| (page.asked.clone(), page)).collect();
    Arc::new(Upstream::Pages(Box::new(move |asked: &Asked| match pages.get(&asked.name()) {
        None => Answered::json(404, &json!({"error": format!("{} was not recorded", asked.name())})),
        Some(page) => {
            let mut answered = Answered::json(200, &page.body);
            answered.headers.extend(page.link.clone().map(|link| ("link".to_owned(), link)));
            answered
        }
    })))
}

/// A shipped manifest and its recorded pages.
struct Recorded {
    name: String,
}

/// The estates of all shipped manifests.
pub(crate) fn estates() -> Vec<Box<dyn Estate>> {
    names().into_iter().map(|name| Box::new(Recorded { name }) as Box<dyn Estate>).collect()
}

#[async_trait]
impl Estate for Recorded {
    fn spec(&self) -> &'static Spec {
        (*shipped(&self.name)).clone().spec(Trust::Shipped)
    }

    async fn start(&self) -> Arc<Upstream> {
        replayed(&self.name)
    }

    fn eyes(&self, base: &str) -> Box<dyn Connector> {
        let manifest = shipped(&self.name);
        eyes(&manifest, &source(&manifest, base, overlay::settings(&self.name)))
    }

    fn throttle(&self) -> Throttle {
        // Each in the vendor's own words, as its documentation has them.
        let headers = match self.name.as_str() {
            "datadog" => vec![("x-ratelimit-limit", "300"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1")],
            "cloudflare" => vec![("ratelimit", "\"default\";r=0;t=1"), ("retry-after", "1")],
            "openai" => vec![("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "1s")],
            "anthropic" => vec![("anthropic-ratelimit-requests-remaining", "0"), ("retry-after", "1")],
            "auth0" | "vercel" | "netlify" | "sendgrid" => {
                vec![("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1")]
            }
            _ => vec![("retry-after", "1")],
        };
        Throttle { status: 429, headers, body: "{\"errors\":[\"Too many requests\"]}" }
    }

    fn spare(&self) -> Vec<&'static str> {
        // Calls for a token: what proves who is looking is bound here to what needs none.
        self.spec().reads.iter().map(|read| read.0).filter(|read| read.starts_with("POST ")).collect()
    }
}
