//! Files of `NAME=value` lines that programs read their environment from.
//! It must never read a template: what stands there is an example.

use super::{Recogniser, text};
use crate::host::{
    environment::{Pair, search},
    found::Finds,
    place::Place,
    tree::Malformed,
};

pub(super) const DOTENV: Recogniser = Recogniser {
    name: "dotenv",
    title: ".env and .dev.vars files",
    keeps_secrets: false,
    takes: |place| {
        let name = place.name();
        let template = [".example", ".sample", ".template", ".dist", ".tmpl"].iter().any(|end| name.ends_with(end));
        let plain = [".env", ".dev.vars"]
            .iter()
            .any(|base| name.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')));
        !template && (plain || name == ".envrc" || place.has_extension("env"))
    },
    read,
};

fn read(_: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    let text = text(bytes)?;
    search(&pairs(&text), None, finds);
    Ok(())
}

/// The assignments in such a text. Values in double quotes may run over several lines.
pub(super) fn pairs(text: &str) -> Vec<Pair<'_>> {
    let mut pairs = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let start = text.len() - rest.len();
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        rest = after;
        let Some((name, raw)) = line.split_once('=') else { continue };
        let name = name.trim();
        let name = name.strip_prefix("export ").unwrap_or(name).trim_start();
        if name.is_empty() || !name.bytes().all(|it| it.is_ascii_alphanumeric() || b"_.-".contains(&it)) {
            continue;
        }
        let value = raw.trim();
        let from = start + (line.len() - raw.len()) + (raw.len() - raw.trim_start().len());
        match value.chars().next().filter(|first| matches!(first, '"' | '\'')) {
            Some(quote) if !value.get(1..).is_some_and(|inner| inner.contains(quote)) => {
                // The quotation goes on: until the quote comes again, or not at all.
                let end = rest.find(quote).filter(|end| *end < 16 * 1024);
                let to = end.map(|end| text.len() - rest.len() + end + 1);
                match to.and_then(|to| text.get(from..to)) {
                    Some(all) => {
                        pairs.push(Pair::new("", name, all));
                        rest = end.and_then(|end| rest.get(end + 1..)).unwrap_or_default();
                    }
                    None => pairs.push(Pair::new("", name, value)),
                }
            }
            Some(quote) => {
                let inner = value.get(1..).unwrap_or_default();
                pairs.push(Pair::new("", name, inner.split(quote).next().unwrap_or_default()));
            }
            None => pairs.push(Pair::new("", name, value.split(" #").next().unwrap_or_default().trim())),
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_are_read_as_programs_read_them() {
        let text = "# x=y\nexport A=1 # why\nB='two # not a comment' # comment\nC=\"-----BEGIN\nmore\n-----END\"\r\nD=\nE F=bad\nG=\"open\n";
        let found: Vec<_> = pairs(text).into_iter().map(|pair| (pair.name.to_owned(), pair.value.to_owned())).collect();
        let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            found,
            [
                ("A", "1"),
                ("B", "two # not a comment"),
                ("C", "\"-----BEGIN\nmore\n-----END\""),
                ("D", ""),
                ("G", "\"open")
            ]
        );
    }
}
