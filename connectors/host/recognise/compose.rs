//! Compose files: environments, build arguments and commands of their services.
//! It must never follow the files they include; those are found where they lie.

use super::Recogniser;
use crate::host::{
    arguments::search_arguments,
    environment::{Pair, search},
    found::Finds,
    place::Place,
    tree::{Malformed, Node},
};

pub(super) const COMPOSE: Recogniser = Recogniser {
    name: "compose",
    title: "Compose files",
    keeps_secrets: false,
    takes: |place| {
        let name = place.name();
        let stem = ["docker-compose", "compose", "podman-compose"]
            .iter()
            .any(|stem| name.strip_prefix(stem).is_some_and(|rest| rest.starts_with(['.', '-'])));
        stem && (place.has_extension("yml") || place.has_extension("yaml"))
    },
    read,
};

fn read(_: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    for document in Node::yaml(bytes)? {
        for (name, service) in document.get("services").entries() {
            let at = |what: &str| format!("services/{name}/{what}");
            search(&pairs(&at("environment"), service.get("environment")), None, finds);
            search(&pairs(&at("build/args"), service.at(&["build", "args"])), None, finds);
            let words: Vec<&str> = match service.get("command") {
                Node::Text(line) => line.split_ascii_whitespace().collect(),
                list => list.items().iter().filter_map(Node::text).collect(),
            };
            search_arguments(&at("command"), &words, None, finds);
        }
        for (name, entry) in document.get("secrets").entries().iter().chain(document.get("configs").entries()) {
            // Written into the file itself: Compose calls it `content`.
            let content = entry.get("content").text().map(|text| Pair {
                name: "secret",
                value: text,
                position: format!("secrets/{name}/content"),
            });
            search(content.as_slice(), None, finds);
        }
    }
    Ok(())
}

/// An environment as a map, or as a list of `NAME=value`.
pub(super) fn pairs<'n>(below: &str, node: &'n Node) -> Vec<Pair<'n>> {
    let map = node.entries().iter().filter_map(|(name, value)| {
        // GitLab allows `{ value: …, description: … }`.
        let value = value.scalar().or_else(|| value.get("value").scalar())?;
        Some(Pair { name, value, position: format!("{below}/{name}") })
    });
    let list = node.items().iter().filter_map(|item| {
        let (name, value) = item.text()?.split_once('=')?;
        Some(Pair { name, value, position: format!("{below}/{name}") })
    });
    map.chain(list).collect()
}
