//! Secrets in systemd units: in environments, in literal credentials, in commands.
//! It must never follow the paths a unit names; files with environments are found where they lie.

use provost_model::{Facts, Kind, Reading, field};

use super::{Recogniser, text};
use crate::host::{
    arguments::search_arguments,
    environment::{Pair, search},
    found::{Finds, Found, Item},
    place::Place,
    tree::Malformed,
};

pub(super) const UNITS: Recogniser = Recogniser {
    name: "systemd_unit",
    title: "systemd units",
    keeps_secrets: false,
    takes: |place| {
        let unit = ["service", "socket", "timer", "mount", "conf"].iter().any(|it| place.has_extension(it));
        unit && place.below("systemd")
    },
    read,
};

fn read(_: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    let text = text(bytes)?;
    // A backslash at the end of a line joins it with the next.
    let joined = zeroize::Zeroizing::new(text.replace("\\\r\n", " ").replace("\\\n", " "));
    let mut assignments = Vec::new();
    let mut section = "";
    let lines: Vec<&str> = joined.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])).collect();
    for line in &lines {
        if let Some(name) = line.strip_prefix('[') {
            section = name.split(']').next().unwrap_or_default();
            continue;
        }
        let Some((name, value)) = line.split_once('=') else { continue };
        let (name, value) = (name.trim(), value.trim());
        match name {
            "Environment" => {
                assignments.extend(words(value).into_iter().filter_map(|word| {
                    let (name, value) = word.split_once('=')?;
                    Some(Pair::new(&format!("{section}/Environment"), name, value))
                }));
            }
            "EnvironmentFile" => environment_file(section, value, finds),
            "SetCredential" => {
                if let Some((id, value)) = value.split_once(':') {
                    finds.slot(Item::new(
                        Kind::Secret,
                        "systemd_credential",
                        format!("{section}/SetCredential/{id}"),
                        value,
                    ));
                }
            }
            "ExecStart" | "ExecStartPre" | "ExecStartPost" | "ExecReload" | "ExecStop" => {
                search_arguments(&format!("{section}/{name}"), words(value).get(1..).unwrap_or_default(), None, finds);
            }
            _ => {}
        }
    }
    search(&assignments, None, finds);
    Ok(())
}

/// A file whose name promises secrets, read by the service manager: a reference, not a value.
fn environment_file(section: &str, path: &str, finds: &mut Finds<'_>) {
    let path = path.trim_start_matches('-').trim_matches('"');
    let lower = path.to_ascii_lowercase();
    if !["secret", "cred", "token", "passw", "key", ".env"].iter().any(|word| lower.contains(word)) {
        return;
    }
    let name = path.rsplit('/').next().unwrap_or_default();
    let facts = Facts::new()
        .with(field::CREDENTIAL_TYPE, "environment_file".to_owned())
        .with(field::PLAINTEXT, false)
        .with(field::FINGERPRINT, Reading::NotReported)
        .with(field::FINGERPRINT_NOTE, format!("a reference: the values are in {path}"));
    let position = format!("{section}/EnvironmentFile/{path}");
    finds.push(Found { kind: Kind::Secret, position, name: name.to_owned(), facts, identity: None });
}

/// Words as systemd splits them: at blanks outside of quotes (systemd.syntax(7)). Escapes are left as they are.
fn words(line: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let quote = matches!(first, '"' | '\'').then_some(first);
        let body = if quote.is_some() { rest.get(1..).unwrap_or_default() } else { rest };
        let end = match quote {
            Some(quote) => body.find(quote),
            None => body.find(char::is_whitespace),
        };
        let (word, after) = body.split_at(end.unwrap_or(body.len()));
        words.push(word);
        rest = after.strip_prefix(|it| Some(it) == quote).unwrap_or(after).trim_start();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_outside_of_quotes() {
        assert_eq!(words(r#""A=b c" 'D=e' F=g "open"#), ["A=b c", "D=e", "F=g", "open"]);
        assert_eq!(words("\"\" x"), ["", "x"]);
    }
}
