//! The recorded pages of shipped manifests as estates of the generic tests.
//! It must never leave a shipped manifest out.

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;

use super::{eyes, fixtures, names, overlay, shipped, source};
use crate::{
    Connector, Spec,
    generic::{Estate, Throttle, Upstream, recorded},
    manifest::Trust,
};

/// Where the recorded pages of a manifest are.
pub(super) fn file(name: &str) -> PathBuf {
    fixtures().join(format!("{name}.jsonl"))
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
        recorded::replayed(&file(&self.name))
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
