//! Secrets among the words of a command line.
//! It must never keep the words: what a program is told may hold anything.

use provost_model::Kind;

use super::{
    environment::{Pair, search, speaks_of, split_url},
    found::{Finds, Item, Of},
    value,
};

/// Finds the credentials in the arguments of a command. Positions are named by option where there is one.
pub(crate) fn search_arguments(below: &str, words: &[&str], identity: Option<&Of>, finds: &mut Finds<'_>) {
    let mut option = "";
    for (index, word) in words.iter().enumerate() {
        let (name, text) = match word.split_once('=') {
            Some((name, text)) if name.starts_with('-') => (name, text),
            _ => (option, *word),
        };
        let is_option = word.starts_with('-') && !word.contains('=') && !word.contains(' ');
        option = if is_option { word } else { "" };
        if is_option && value::looks(word.as_bytes()).is_none() {
            continue;
        }
        let position = if name.is_empty() {
            format!("{below}[{index}]")
        } else {
            format!("{below}/{}", name.trim_start_matches('-'))
        };
        word_of(position, name, text, identity, finds);
    }
}

/// Finds tokens of known providers among the words of a script, whatever stands around them.
pub(crate) fn search_script(position: &str, script: &str, finds: &mut Finds<'_>) {
    let cut = |letter: char| {
        letter.is_whitespace()
            || matches!(letter, '"' | '\'' | '`' | '=' | ',' | ';' | '(' | ')' | '@' | '|' | '&' | '<' | '>')
    };
    let words = script.split(cut).flat_map(|word| std::iter::once(word).chain(word.rsplit(':').take(1)));
    let mut last = "";
    for word in words.filter(|word| word.len() >= 16) {
        if word != last && value::looks(word.as_bytes()).is_some() {
            finds.value(Item::new(Kind::Token, "token", position, word));
            last = word;
        }
    }
}

fn word_of(position: String, option: &str, text: &str, identity: Option<&Of>, finds: &mut Finds<'_>) {
    let identity = || identity.cloned();
    if value::looks(text.as_bytes()).is_some() {
        finds.value(Item::new(Kind::Token, "token", position, text).identity(identity()));
    } else if let Some((user, password, host)) = split_url(text) {
        let item = Item::new(Kind::Password, "password_in_url", position, password).username(user).service(host);
        finds.value(item.identity(identity()));
    } else if let Some(query) =
        text.split_once("://").and_then(|(_, rest)| rest.split_once('?')).map(|(_, query)| query)
    {
        search_query(&position, query, identity().as_ref(), finds);
    } else if let Some((name, value)) = text.split_once(':').filter(|(name, _)| speaks_of(name).is_some()) {
        // A header, such as `Authorization: Bearer …`.
        search(&[Pair { name, value: value.trim(), position }], identity().as_ref(), finds);
    } else if let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.contains([' ', '/'])) {
        search(&[Pair { name, value, position: format!("{position}/{name}") }], identity().as_ref(), finds);
    } else if speaks_of(option.trim_start_matches('-')).is_some() {
        search(&[Pair { name: option.trim_start_matches('-'), value: text, position }], identity().as_ref(), finds);
    }
}

/// Finds the credentials in the query of an address.
pub(crate) fn search_query(below: &str, query: &str, identity: Option<&Of>, finds: &mut Finds<'_>) {
    let query = query.split('#').next().unwrap_or_default();
    for (name, value) in query.split('&').filter_map(|part| part.split_once('=')) {
        let value = super::recognise::percent_decoded(value);
        let Ok(value) = std::str::from_utf8(&value) else { continue };
        // `?key=…` and `?token=…` are the usual names; a bare `key` says enough in a query.
        let name = if name.eq_ignore_ascii_case("key") || name.eq_ignore_ascii_case("sig") { "api_key" } else { name };
        let pair = Pair { name, value, position: format!("{below}?{name}") };
        search(&[pair], identity, finds);
    }
}

#[cfg(test)]
mod tests {
    use provost_model::Time;

    use super::*;
    use crate::fingerprint::FingerprintKey;

    #[test]
    fn secrets_are_found_behind_options_and_in_headers_and_addresses() {
        let key = FingerprintKey::new("k1", [1; 32]);
        let mut finds = Finds::new(&key, Time::from_seconds(0));
        let words = [
            "--token",
            "q2w3e4r5t6y7u8i9",
            "--api-key=q2w3e4r5t6y7u8i9",
            "--verbose",
            "plain",
            "-e",
            "DB_PASSWORD=q2w3e4r5t6y7u8i9",
            "--header",
            "Authorization: Bearer q2w3e4r5t6y7u8i9",
            "postgres://u:q2w3e4r5t6y7u8i9@h/db",
            "https://h/x?api_key=q2w3e4r5t6y7u8i9",
            "--token",
            "${TOKEN}",
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        ];
        search_arguments("args", &words, None, &mut finds);
        let (found, _) = finds.finish();
        let positions: Vec<_> = found.iter().map(|it| it.position.as_str()).collect();
        assert_eq!(
            positions,
            [
                "args/token",
                "args/api-key",
                "args/e/DB_PASSWORD",
                "args/header",
                "args[9]",
                "args[10]?api_key",
                "args[13]"
            ]
        );
    }
}
