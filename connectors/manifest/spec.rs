//! A manifest as a connector's description, beside those written in Rust.
//! It must never keep two descriptions of one text.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
};

use super::{look::Depth, meant::Manifest, settings::Trust};
use crate::{Permission, Reach, Read, Source, Spec};

/// Descriptions by digest and trust. A connector's description lives as long as the program, as those written in Rust
/// do; so the same file, read again at a reload, must lead to the same one.
static KNOWN: Mutex<BTreeMap<(String, bool), &'static Spec>> = Mutex::new(BTreeMap::new());

impl Manifest {
    /// The description of the connector it is.
    pub fn spec(self, trust: Trust) -> &'static Spec {
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry((self.digest.clone(), trust == Trust::Shipped)).or_insert_with(|| described(self, trust))
    }

    /// A `[[sources]]` entry that works.
    pub(super) fn example(&self) -> String {
        let mut example = format!("[[sources]]\nname = {:?}\nconnector = {:?}\n", self.name, self.name);
        let way = self.ways.first();
        let slots = way.map(|way| way.slots(&self.slots)).unwrap_or_default();
        let mut line = |name: &str, value: String, about: &str| {
            // Writing to a String cannot fail.
            let _ = writeln!(example, "{:<30} # {about}", format!("{name} = {value:?}"));
        };
        for (name, about) in &self.slots {
            if slots.contains(name) {
                line(
                    name,
                    format!("env:{}_{}", self.name.replace('-', "_"), name).to_uppercase().replacen("ENV:", "env:", 1),
                    about,
                );
            }
        }
        let used = self.needs(way);
        for (name, about) in self.settings.iter().filter(|(name, _)| used.contains(name)) {
            line(name, format!("your-{}", name.replace('_', "-")), about);
        }
        match &self.base {
            Some(base) => line("# base_url", base.clone(), "the only place the credential is sent to"),
            None => line(
                "base_url",
                format!("https://your-account.{}.example", self.name),
                "the address of your account there",
            ),
        }
        for way in self.ways.iter().skip(1) {
            let others = way.slots(&self.slots).join(", ");
            let _ = writeln!(example, "# or bind: {others}");
        }
        example.push_str("schedule = \"41 */6 * * *\"\n");
        example
    }
}

fn described(manifest: Manifest, trust: Trust) -> &'static Spec {
    let manifest = Arc::new(manifest);
    let reads = manifest.reads().into_iter().map(|read| Read(kept(read))).collect::<Vec<_>>();
    let permissions = manifest.lists.iter().map(|list| Permission {
        action: kept(list.permission.clone()),
        optional: list.optional,
        why: kept(list.why.clone()),
    });
    let permissions = permissions.collect::<Vec<_>>();
    let texts = |all: &[String]| all.iter().map(|it| kept(it.clone())).collect::<Vec<_>>().leak() as &'static [_];
    let built = Arc::clone(&manifest);
    let build = move |source: &Source| built.connector(source, trust, Depth::Whole);
    Box::leak(Box::new(Spec {
        name: kept(manifest.name.clone()),
        title: kept(manifest.title.clone()),
        about: kept(manifest.about.clone()),
        version: manifest.version,
        reach: Reach::Provider,
        kinds: manifest.kinds().leak(),
        reads: reads.leak(),
        permissions: permissions.leak(),
        blind_spots: texts(&manifest.blind_spots),
        example: kept(manifest.example()),
        documentation: texts(&manifest.documentation),
        build: Box::leak(Box::new(build)),
    }))
}

/// A text that lives as long as the program.
fn kept(text: String) -> &'static str {
    text.leak()
}
