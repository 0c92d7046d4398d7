//! Takes secrets out of what is written down of a conversation, so that equal secrets stay equal and nothing else is lost.
//! It must never leave a secret where its place names it one, nor turn a mask back into what it stands for.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

/// A body that is written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kept {
    Json(Value),
    Text(String),
}

/// Replaces secrets by masks: a word and twelve digits that depend on the secret and on the salt.
#[derive(Clone)]
pub(crate) struct Scrubber {
    salt: [u8; 32],
}

/// What every mask begins with.
const MASK: &str = "masked-";
/// Runs of that length could be a token or a key.
const TOKEN: usize = 32;
/// Runs with a slash among their signs are paths more often than secrets, unless they are that long.
const SLASHED: usize = 40;
/// Tokens with a known beginning have at least that length.
const KNOWN: usize = 16;
/// A part of a name of that length has no digits but at its end.
const PART: usize = 16;
/// Signs of one kind that follow each other in a name, on average.
const WRITTEN: usize = 4;
/// Base64 of that length may be a whole document.
const DOCUMENT: usize = 200;
/// Last words of names that hold a secret.
const SECRET: [&str; 22] = [
    "secret",
    "secrets",
    "password",
    "passwd",
    "passphrase",
    "token",
    "key",
    "apikey",
    "credential",
    "credentials",
    "signature",
    "sig",
    "assertion",
    "authorization",
    "cookie",
    "session",
    "code",
    "pin",
    "pat",
    "private",
    "value",
    "plaintext",
];
/// Words that make such a name harmless: what it holds is published, or is the error's own.
const HARMLESS: [&str; 6] = ["public", "error", "status", "country", "language", "kind"];
/// Beginnings of what is published anyway.
const PUBLISHED: [&str; 6] =
    ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-", "-----BEGIN CERTIFICATE", "-----BEGIN PUBLIC KEY"];
/// Beginnings of tokens that are shorter than others, or have signs that others do not.
const TOKENS: [&str; 24] = [
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "xoxa-",
    "xapp-",
    "sk-",
    "hvs.",
    "hvb.",
    "hvr.",
    "dop_v1_",
    "npm_",
    "pypi-",
    "dckr_pat_",
    "SG.",
    "AIza",
    "eyJ",
    "shpat_",
    "whsec_",
];

impl Scrubber {
    pub(crate) fn new(salt: [u8; 32]) -> Self {
        Self { salt }
    }

    /// A body as it may be written down.
    pub(crate) fn body(&self, kind: &str, body: &[u8]) -> Kept {
        if let Ok(value) = serde_json::from_slice::<Value>(body) {
            return Kept::Json(self.json(value));
        }
        Kept::Text(match std::str::from_utf8(body) {
            Ok(text) if kind.starts_with("application/x-www-form-urlencoded") => self.query(text),
            Ok(text) => self.text(&self.elements(text)),
            // What is neither is not worth keeping.
            Err(_) => self.mask_of(body),
        })
    }

    /// The pairs of a query or a form.
    pub(crate) fn query(&self, text: &str) -> String {
        let pairs = text.split('&').map(|pair| match pair.split_once('=') {
            Some((name, value)) if is_secret(name) => format!("{name}={}", self.masked(value)),
            Some((name, value)) => format!("{name}={}", self.text(value)),
            None => self.text(pair),
        });
        pairs.collect::<Vec<_>>().join("&")
    }

    /// The query of every address in a text, such as a `Link` header.
    pub(crate) fn addresses(&self, text: &str) -> String {
        let ends = |it: char| matches!(it, '>' | '"' | ' ' | '#' | ',');
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('?') {
            let (before, query) = rest.split_at_checked(at + 1).unwrap_or((rest, ""));
            let (query, following) =
                query.split_at_checked(query.find(ends).unwrap_or(query.len())).unwrap_or((query, ""));
            out.push_str(&self.text(before));
            out.push_str(&self.query(query));
            rest = following;
        }
        out.push_str(&self.text(rest));
        out
    }

    /// A text with what looks like a token masked.
    pub(crate) fn text(&self, text: &str) -> String {
        if PUBLISHED.iter().any(|it| text.starts_with(it)) {
            return text.to_owned();
        }
        if let Some((before, user, after)) = user_of(text) {
            return format!("{}{}{}", self.text(before), self.masked(user), self.text(after));
        }
        let mut out = String::new();
        let mut run = String::new();
        for sign in text.chars() {
            if sign.is_ascii_alphanumeric() || matches!(sign, '+' | '/' | '=' | '_' | '-' | '%') {
                run.push(sign);
                continue;
            }
            // A token may have dots in it: its parts are masked one by one.
            out.push_str(&self.run(&run));
            run.clear();
            out.push(sign);
        }
        out.push_str(&self.run(&run));
        out
    }

    fn run(&self, run: &str) -> String {
        if run.len() >= DOCUMENT
            && let Some(document) = BASE64_STANDARD.decode(run).ok().and_then(|it| String::from_utf8(it).ok())
        {
            return BASE64_STANDARD.encode(self.text(&document));
        }
        if is_token(run) { self.masked(run) } else { run.to_owned() }
    }

    fn json(&self, value: Value) -> Value {
        match value {
            Value::String(text) if text.contains("://") && text.contains('?') => Value::String(self.addresses(&text)),
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(all) => Value::Array(all.into_iter().map(|it| self.json(it)).collect()),
            Value::Object(fields) => Value::Object(self.fields(fields)),
            other => other,
        }
    }

    fn fields(&self, fields: Map<String, Value>) -> Map<String, Value> {
        let scrubbed = fields.into_iter().map(|(name, value)| {
            let value = if is_secret(&name) { self.hidden(value) } else { self.json(value) };
            // A name may be a token too, where a map is kept by them.
            (self.text(&name), value)
        });
        scrubbed.collect()
    }

    /// What stands under a name that holds secrets: every text in it is masked.
    fn hidden(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.masked(&text)),
            Value::Array(all) => Value::Array(all.into_iter().map(|it| self.hidden(it)).collect()),
            // Its own names say more: a secret's name and age are none.
            other => self.json(other),
        }
    }

    /// Elements of XML whose name holds secrets.
    fn elements(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, tag)) = rest.split_once('<') {
            let Some((name, following)) = tag.split_once('>') else { break };
            let (value, more) =
                following.split_at_checked(following.find('<').unwrap_or(following.len())).unwrap_or((following, ""));
            let closes = name.starts_with(['/', '?', '!']) || name.ends_with('/') || value.trim().is_empty();
            let value = if !closes && is_secret(name) { self.masked(value) } else { value.to_owned() };
            out.push_str(&format!("{before}<{name}>{value}"));
            rest = more;
        }
        out.push_str(rest);
        out
    }

    fn masked(&self, text: &str) -> String {
        let says_nothing = !text.contains(|it: char| it.is_ascii_alphanumeric());
        let published = PUBLISHED.iter().any(|it| text.starts_with(it));
        if is_mask(text) || says_nothing || published { text.to_owned() } else { self.mask_of(text.as_bytes()) }
    }

    fn mask_of(&self, bytes: &[u8]) -> String {
        let digest = Sha256::new().chain_update(self.salt).chain_update(bytes).finalize();
        let hex: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        format!("{MASK}{hex}")
    }
}

fn is_mask(text: &str) -> bool {
    let digits = text.strip_prefix(MASK);
    digits.is_some_and(|it| it.len() == 12 && it.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Whether a name holds secrets, by its last word: `client_secret`, `privateKey`, `X-Amz-Signature`.
fn is_secret(name: &str) -> bool {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut lower = false;
    for sign in name.chars() {
        if !sign.is_ascii_alphanumeric() || (sign.is_ascii_uppercase() && lower) {
            words.push(std::mem::take(&mut word));
        }
        if sign.is_ascii_alphanumeric() {
            word.push(sign.to_ascii_lowercase());
        }
        lower = sign.is_ascii_lowercase();
    }
    words.push(word);
    let last = words.iter().rev().find(|word| !word.is_empty());
    last.is_some_and(|last| SECRET.contains(&last.as_str())) && !words.iter().any(|it| HARMLESS.contains(&it.as_str()))
}

/// The user and password of an address in a text, with what stands before and after them.
fn user_of(text: &str) -> Option<(&str, &str, &str)> {
    let begins = text.find("://")? + 3;
    let (before, rest) = text.split_at_checked(begins)?;
    let authority = rest.get(..rest.find(['/', '?', '#', ' ', '"']).unwrap_or(rest.len()))?;
    let (user, after) = rest.split_at_checked(authority.rfind('@')?)?;
    (!is_mask(user)).then_some((before, user, after))
}

/// Whether a run of signs could be a token, a signature or a key.
fn is_token(run: &str) -> bool {
    let core = run.trim_end_matches('=');
    if is_mask(core) || is_uuid(core) {
        return false;
    }
    let known = TOKENS.iter().any(|it| core.starts_with(it.trim_end_matches('.')));
    if known && core.len() >= KNOWN && core.contains(|it: char| it.is_ascii_digit()) {
        return true;
    }
    let length = if core.contains('/') { SLASHED } else { TOKEN };
    core.len() >= length && !is_written(core)
}

/// Whether a run is written in words, as names of services and resources are: its case and kind of sign change seldom, and
/// no long part of it has digits inside.
fn is_written(run: &str) -> bool {
    let (mut signs, mut pieces) = (0_usize, 0_usize);
    for part in run.split(['-', '_', '/', '+', '=', '%']).filter(|part| !part.is_empty()) {
        let name = part.trim_end_matches(|it: char| it.is_ascii_digit());
        if name.len() >= PART && name.contains(|it: char| it.is_ascii_digit()) {
            return false;
        }
        let kinds: Vec<u8> = part.bytes().map(kind_of).collect();
        let changes =
            kinds.windows(2).filter(|pair| matches!(pair, [a, b] if a != b && !matches!((a, b), (b'A', b'a'))));
        signs += part.len();
        pieces += 1 + changes.count();
    }
    signs >= WRITTEN * pieces
}

fn kind_of(sign: u8) -> u8 {
    match sign {
        b'A'..=b'Z' => b'A',
        b'a'..=b'z' => b'a',
        _ => b'0',
    }
}

fn is_uuid(run: &str) -> bool {
    let lengths: Vec<usize> = run.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && run.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scrubber() -> Scrubber {
        Scrubber::new([7; 32])
    }

    #[test]
    fn a_secret_is_masked_by_its_place_or_its_looks() {
        let aws = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        let secrets = ["hunter2", aws, "ghp_0123456789abcdefghij", "s3cr3t-0-value", "3f2a9c0d1e4b5a69"];
        let whole = json!({
            "password": "hunter2",
            "nested": [{ "clientSecret": "s3cr3t-0-value", "text": format!("it is {aws}.") }],
            "api_key": ["hunter2"],
            "text": "token ghp_0123456789abcdefghij given",
            "value": "https://hooks.example/T0/hunter2",
            "note": "see postgres://app:hunter2@db.example/x",
            "hash": "3f2a9c0d1e4b5a6978c0d1e2f3a4b5c6d7e8f901",
            "url": "https://a.example/x?page=2&access_token=hunter2#x",
            "variables": [{ "name": "A", "value": "hunter2" }],
        });
        let body = |kind, body: &str| match scrubber().body(kind, body.as_bytes()) {
            Kept::Json(value) => value.to_string(),
            Kept::Text(text) => text,
        };
        let whole = body("application/json", &whole.to_string());
        let form = body("application/x-www-form-urlencoded", "client_secret=hunter2&scope=read");
        let xml = body("text/xml", "<a><SecretAccessKey>hunter2</SecretAccessKey><Key/>x</a>");
        let link = scrubber().addresses("<https://a.example/x?sig=hunter2&page=2>; rel=\"next\"");
        for text in [&whole, &form, &xml, &link] {
            assert!(secrets.iter().all(|secret| !text.contains(secret)), "{text}");
        }
        assert!(whole.contains("page=2") && link.contains("page=2>; rel=\"next\""), "{link}");
        assert!(form.ends_with("&scope=read") && xml.ends_with("</SecretAccessKey><Key/>x</a>"), "{xml}");
    }

    #[test]
    fn what_is_no_secret_stays_as_it_is() {
        let body = json!({
            "arn": "arn:aws:iam::123456789012:role/service-role/AWSServiceRoleForAutoScaling",
            "id": "0b7e7dee-9a3c-4a0e-9b6f-1f5b6c2b7a11",
            "access_key_id": "AKIAIOSFODNN7EXAMPLE",
            "token_type": "bearer",
            "secret_name": "prod/db",
            "secret_scanning": "enabled",
            "secrets": [{ "name": "DEPLOY_TOKEN", "created_at": "2026-01-01T00:00:00Z" }],
            "key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0123456789abcdefghijklmnopqrstuvwxyz me",
            "public_key": "012345678901234567890",
            "password": "",
            "last4": "****",
            "count": 3,
            "rotation": null,
            "name": "github-actions-deployment-of-the-payments-service-2",
        });
        assert_eq!(scrubber().body("application/json", body.to_string().as_bytes()), Kept::Json(body));
    }

    #[test]
    fn equal_secrets_stay_equal_and_a_mask_stays_itself() {
        let scrub = |text: &str| scrubber().query(text);
        let once = scrub("cursor=Y3Vyc29yOnYyOpHOAAAAAAAAAAAAAAAAAAAAAAAA1&access_token=hunter2");
        assert_eq!(scrub(&once), once);
        assert_eq!(scrub("access_token=hunter2").split('=').nth(1), once.split('=').nth(2));
        assert_ne!(scrub("access_token=hunter2"), scrub("access_token=hunter3"));
        assert_ne!(Scrubber::new([8; 32]).query("access_token=hunter2"), scrub("access_token=hunter2"));
    }

    #[test]
    fn a_document_in_base64_keeps_its_shape() {
        let report = format!(
            "user,arn\n{}ghp_0123456789abcdefghij,x\n",
            "alice,arn:aws:iam::123456789012:user/alice\n".repeat(9)
        );
        let text = scrubber().text(&BASE64_STANDARD.encode(&report));
        let kept = String::from_utf8(BASE64_STANDARD.decode(text).unwrap()).unwrap();
        assert!(kept.contains("alice,arn:aws:iam::123456789012:user/alice") && !kept.contains("ghp_"), "{kept}");
    }
}
