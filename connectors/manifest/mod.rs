//! Connectors without code: a system that needs only list calls is described in a file, and read by what is here.
//! It must never know an expression language, nor send a credential for a manifest that nobody vouches for.

mod authority;
mod check;
mod fault;
mod look;
mod make;
mod mean;
mod meant;
mod paging;
mod pointer;
mod record;
mod settings;
mod shipped;
mod spec;
mod template;
#[cfg(test)]
mod tests;
mod time_form;
mod typed;

use std::sync::Arc;

use async_trait::async_trait;
use provost_client::{Egress, Failure, Limits, Patience, Provider, Web};
use provost_model::Trouble;

pub(crate) use self::shipped::specs as shipped_specs;
#[cfg(test)]
pub(crate) use self::tests::estates;
pub use self::{fault::Fault, look::Depth, meant::Manifest, settings::Trust, shipped::SHIPPED};
use self::{look::Looking, settings::Settings};
use crate::{Access, Bookmarks, Connector, Emitter, Source};

/// One source of a manifest.
struct Saas {
    manifest: Arc<Manifest>,
    settings: Settings,
    web: Web,
    depth: Depth,
}

impl Manifest {
    /// The connector of a source.
    pub fn connector(
        self: &Arc<Self>,
        source: &Source,
        trust: Trust,
        depth: Depth,
    ) -> Result<Box<dyn Connector>, String> {
        self.eyes((source, trust), depth, (Limits::default(), Patience::default()))
    }

    fn eyes(
        self: &Arc<Self>,
        (source, trust): (&Source, Trust),
        depth: Depth,
        (limits, patience): (Limits, Patience),
    ) -> Result<Box<dyn Connector>, String> {
        let settings = Settings::read(self, &source.settings, trust)?;
        // What nobody vouches for is shown the source's secrets on this machine only: there they are words for a mock server.
        let authority = match trust {
            Trust::Nobody if !mean::is_origin(&settings.base).is_ok_and(|url| mean::is_here(&url)) => {
                authority::nobody()
            }
            _ => authority::of(&settings, source)?,
        };
        let mut headers = Vec::new();
        for (name, value) in &self.headers {
            headers.push((name.clone(), value.fill(&settings.with)?));
        }
        let mut limits = Limits { in_flight: settings.in_flight, ..limits };
        limits.calls = settings.max_calls.unwrap_or(limits.calls);
        let web = Web::new(
            Provider {
                origin: settings.base.clone(),
                also: settings.also(),
                reads: self.reads_of(&settings),
                headers,
                pace: settings.pace,
                reserve: settings.reserve,
                limits,
                egress: Egress::of_environment(),
                patience,
                ..Provider::default()
            },
            authority,
        )?;
        Ok(Box::new(Saas { manifest: Arc::clone(self), settings, web, depth }))
    }

    /// Every call a source of it may send: its lists', and the one for its token.
    fn reads_of(&self, settings: &Settings) -> Vec<String> {
        let mut reads: Vec<String> = self.reads().into_iter().filter(|read| read.starts_with("GET ")).collect();
        reads.extend(settings.way.token_url().map(|url| format!("POST {url}")));
        reads
    }
}

impl Saas {
    fn looking(&self) -> Looking<'_> {
        Looking { manifest: &self.manifest, web: &self.web, with: &self.settings.with, depth: self.depth }
    }
}

#[async_trait]
impl Connector for Saas {
    async fn announce(&self) -> String {
        format!("{} at {}", self.manifest.title, self.settings.base)
    }

    async fn check(&self) -> Access {
        self.web.begin();
        check::access(&self.looking(), &self.settings).await
    }

    fn disposition(&self) -> String {
        let Settings { base, with, .. } = &self.settings;
        format!("{} {base} {with:?}", self.manifest.digest)
    }

    async fn discover(&self, _known: &Bookmarks, to: &mut Emitter) -> Result<(), Trouble> {
        self.web.begin();
        let looking = self.looking();
        let realm = looking.realm().await;
        look::count(&self.web, to).await?;
        let realm = realm.map_err(fatal)?;
        to.realm(realm.clone()).await?;
        looking.look(&realm, to).await?;
        Ok(())
    }
}

fn fatal(failure: Failure) -> Trouble {
    Trouble { place: failure.operation, why: failure.why, said: failure.said, blind_spot: false }
}
