//! Pipelines: variables written into them, and tokens of known providers in their scripts.
//! It must never take a reference to the server's own secrets for a value.

use super::{Recogniser, compose::pairs, text};
use crate::host::{
    arguments::search_script,
    environment::{Pair, search},
    found::Finds,
    place::Place,
    tree::{Malformed, Node},
};

/// Deepest nesting that is looked into.
const DEPTH: usize = 24;

pub(super) const PIPELINES: Recogniser = Recogniser {
    name: "ci_pipeline",
    title: "CI pipelines",
    keeps_secrets: false,
    takes: |place| {
        let yaml = place.has_extension("yml") || place.has_extension("yaml");
        let named = [
            ".gitlab-ci.yml",
            ".travis.yml",
            "bitbucket-pipelines.yml",
            "azure-pipelines.yml",
            ".drone.yml",
            ".woodpecker.yml",
            "appveyor.yml",
            "cloudbuild.yaml",
            "Jenkinsfile",
        ];
        let below = [
            ".github/workflows",
            ".circleci",
            ".gitlab/ci",
            ".woodpecker",
            ".buildkite",
            ".gitea/workflows",
            ".forgejo/workflows",
        ];
        named.contains(&place.name()) || (yaml && below.iter().any(|it| place.below(it)))
    },
    read,
};

fn read(place: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    if place.name() == "Jenkinsfile" {
        return groovy(bytes, finds);
    }
    for document in Node::yaml(bytes)? {
        visit("", "", &document, DEPTH, finds);
    }
    Ok(())
}

fn visit(at: &str, name: &str, node: &Node, depth: usize, finds: &mut Finds<'_>) {
    if depth == 0 {
        return;
    }
    if matches!(name, "env" | "environment" | "variables" | "with" | "global" | "args" | "secrets") {
        search(&pairs(at, node), None, finds);
        // Anything deeper, such as the list of global variables of one CI, is an environment of its own.
        for (inner, value) in node.entries().iter().filter(|(_, value)| value.scalar().is_none()) {
            visit(&below(at, inner), inner, value, depth - 1, finds);
        }
        return;
    }
    match node {
        Node::Text(script) => search_script(at, script, finds),
        Node::Map(entries) => {
            entries.iter().for_each(|(inner, value)| visit(&below(at, inner), inner, value, depth - 1, finds))
        }
        Node::List(items) => {
            for (index, item) in items.iter().enumerate() {
                // Steps are told apart by their name where they have one.
                let label =
                    item.get("name").text().map_or_else(|| format!("{at}[{index}]"), |name| format!("{at}[{name}]"));
                visit(&label, "", item, depth - 1, finds);
            }
        }
        _ => {}
    }
}

fn below(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}/{name}") }
}

/// A Jenkins pipeline is a program; only assignments of literal texts and known tokens are looked for.
fn groovy(bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    let text = text(bytes)?;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        let assigned = line
            .split_once('=')
            .filter(|(name, _)| name.trim().bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_'));
        match assigned.map(|(name, value)| (name.trim(), value.trim())) {
            Some((name, value)) if value.starts_with(['"', '\'']) => {
                search(&[Pair::new("environment", name, value)], None, finds)
            }
            _ => search_script(&format!("line {}", index + 1), line, finds),
        }
    }
    Ok(())
}
