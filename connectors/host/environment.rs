//! Names with values beside them, as in environments: which of them are credentials, and what belongs together.
//! It must never call something a secret for its name alone when its value is a number, a switch or a path.

use provost_model::Kind;
use url::Url;

use super::{
    found::{Finds, Item, Of},
    value,
};

/// A name and its value, at a position of a file.
pub(crate) struct Pair<'v> {
    /// The name, such as `DB_PASSWORD`.
    pub name: &'v str,
    /// What is written behind it.
    pub value: &'v str,
    /// Where it stands.
    pub position: String,
}

impl<'v> Pair<'v> {
    /// The pair of that name below a position.
    pub(crate) fn new(below: &str, name: &'v str, value: &'v str) -> Self {
        let position = if below.is_empty() { name.to_owned() } else { format!("{below}.{name}") };
        Self { name, value, position }
    }
}

/// Finds the credentials among pairs that stand together.
pub(crate) fn search(pairs: &[Pair<'_>], identity: Option<&Of>, finds: &mut Finds<'_>) {
    for pair in pairs {
        if let Some(item) = credential(pair, pairs) {
            finds.value(item.identity(identity.cloned()));
        }
    }
}

/// What a name says of its value; `None` if it does not speak of a secret.
pub(crate) fn speaks_of(name: &str) -> Option<(Kind, &'static str)> {
    let words = words(name);
    let mut words = words.iter().rev().map(String::as_str).skip_while(|word| {
        matches!(*word, "PROD" | "PRODUCTION" | "DEV" | "STAGING" | "STAGE" | "TEST" | "VALUE" | "BASE64" | "B64")
            || word.bytes().all(|it| it.is_ascii_digit())
    });
    let last = words.next()?;
    let before = words.next().unwrap_or_default();
    match last {
        "PASSWORD" | "PASSWD" | "PASSPHRASE" | "PASSWORT" | "PWD" | "PASS" if !(last == "PWD" && before.is_empty()) => {
            Some((Kind::Password, "password"))
        }
        "PWD" => None,
        "TOKEN" | "PAT" | "JWT" | "BEARER" => Some((Kind::Token, "token")),
        "APIKEY" | "ACCESSTOKEN" | "AUTHTOKEN" => Some((Kind::Token, "api_key")),
        "KEY" if matches!(before, "API" | "ACCESS" | "AUTH" | "ADMIN") => Some((Kind::Token, "api_key")),
        "KEY"
            if matches!(
                before,
                "PRIVATE"
                    | "SECRET"
                    | "SIGNING"
                    | "ENCRYPTION"
                    | "MASTER"
                    | "ACCOUNT"
                    | "STORAGE"
                    | "SERVICE"
                    | "SUBSCRIPTION"
                    | "HMAC"
                    | "SESSION"
                    | "COOKIE"
                    | "DEPLOY"
                    | "LICENSE"
            ) =>
        {
            Some((Kind::Secret, "key"))
        }
        "SECRET" if before == "CLIENT" => Some((Kind::ClientSecret, "client_secret")),
        "SECRET" | "SECRETKEY" | "CREDENTIAL" | "CREDENTIALS" | "AUTHORIZATION" | "SALT" => {
            Some((Kind::Secret, "secret"))
        }
        _ => None,
    }
}

/// The name cut into upper-case words at `_`, `-`, `.`, spaces and humps.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut lower = false;
    for letter in name.chars().take(256) {
        let cut = matches!(letter, '_' | '-' | '.' | ' ' | ':' | '/');
        if cut || (lower && letter.is_uppercase()) {
            words.push(String::new());
        }
        lower = letter.is_lowercase() || letter.is_ascii_digit();
        if let Some(word) = words.last_mut().filter(|_| !cut) {
            word.extend(letter.to_uppercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn credential<'v>(pair: &'v Pair<'v>, all: &[Pair<'_>]) -> Option<Item<'v>> {
    let literal = value::literal(pair.value.as_bytes())?;
    let text = std::str::from_utf8(literal).ok()?;
    let upper = pair.name.to_ascii_uppercase().replace(['-', '.'], "_");
    if let Some(before) = upper.strip_suffix("SECRET_ACCESS_KEY") {
        let id = format!("{before}ACCESS_KEY_ID");
        let item = Item::new(Kind::AccessKey, "aws_secret_access_key", &pair.position, pair.value).aws().service("aws");
        return Some(match beside(all, &id) {
            Some(id) => item.opens(id).long_lived(!id.starts_with("ASIA")),
            None => item,
        });
    }
    if upper.ends_with("SESSION_TOKEN") && upper.contains("AWS") {
        return Some(
            Item::new(Kind::Token, "aws_session_token", &pair.position, pair.value).service("aws").long_lived(false),
        );
    }
    if value::is_aws_key_id(text) {
        return None;
    }
    if value::looks(literal).is_some() {
        return Some(Item::new(Kind::Token, "token", &pair.position, pair.value));
    }
    if let Some(item) = in_url(pair, text) {
        return Some(item);
    }
    if let Some(item) = in_connection(pair, text) {
        return Some(item);
    }
    let (kind, sort) = speaks_of(pair.name)?;
    if is_plain(text) {
        return None;
    }
    let item = Item::new(kind, sort, &pair.position, pair.value);
    let account = ["USER", "USERNAME", "LOGIN"].iter().find_map(|word| {
        let stem = upper.rsplit_once('_').map_or(String::new(), |(stem, _)| format!("{stem}_"));
        beside(all, &format!("{stem}{word}"))
    });
    Some(match account {
        Some(account) => item.username(account),
        None => item,
    })
}

/// A password inside of an address, such as `postgres://user:password@host/db`.
fn in_url<'v>(pair: &'v Pair<'v>, text: &'v str) -> Option<Item<'v>> {
    let (user, password, host) = split_url(text)?;
    value::literal(password.as_bytes())?;
    Some(Item::new(Kind::Password, "password_in_url", &pair.position, password).username(user).service(host))
}

/// User, password and host of an address as they are written, if it has a password.
pub(crate) fn split_url(text: &str) -> Option<(&str, &str, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let sound = !scheme.is_empty() && scheme.bytes().all(|it| it.is_ascii_alphanumeric() || b"+-.".contains(&it));
    let authority = rest.split(['/', '?', '#', ' ', ',']).next().unwrap_or_default();
    // A password may hold `/` unescaped; the address proper then ends at the last `@`.
    let authority = if authority.contains('@') { authority } else { rest.rsplit_once('@').map_or(authority, |_| rest) };
    let (account, host) = authority.rsplit_once('@')?;
    let (user, password) = account.split_once(':')?;
    let host = host.split(['/', '?', '#']).next().unwrap_or_default();
    (sound && !password.is_empty() && Url::parse(text).is_ok()).then_some((user, password, host))
}

/// A key inside of a connection string, such as `…;AccountName=x;AccountKey=y;…`.
fn in_connection<'v>(pair: &'v Pair<'v>, text: &'v str) -> Option<Item<'v>> {
    let part = |wanted: &[&str]| {
        text.split(';').filter_map(|part| part.split_once('=')).find_map(|(name, value)| {
            wanted.iter().any(|it| name.trim().eq_ignore_ascii_case(it)).then_some(value.trim())
        })
    };
    if text.matches('=').count() < 2 || !text.contains(';') {
        return None;
    }
    let key = part(&["AccountKey", "SharedAccessKey", "Password", "Pwd"])?;
    value::literal(key.as_bytes())?;
    let service = part(&["AccountName", "Endpoint", "Server", "Data Source", "Host"]).unwrap_or_default();
    let user = part(&["SharedAccessKeyName", "User Id", "Uid", "User"]).unwrap_or_default();
    Some(Item::new(Kind::Secret, "connection_string", &pair.position, key).service(service).username(user))
}

/// A number, a switch, a path or an address without password: no secret, whatever its name.
fn is_plain(text: &str) -> bool {
    let path = ["/", "./", "../", "~/", "C:\\"].iter().any(|start| text.starts_with(start));
    let number = text.len() < 8 && text.bytes().all(|it| it.is_ascii_digit() || it == b'.');
    text.len() < 4 || number || path || (text.contains("://") && Url::parse(text).is_ok())
}

fn beside<'v>(pairs: &'v [Pair<'_>], name: &str) -> Option<&'v str> {
    let pair = pairs.iter().find(|it| it.name.to_ascii_uppercase().replace(['-', '.'], "_") == name)?;
    let literal = value::literal(pair.value.as_bytes())?;
    std::str::from_utf8(literal).ok()
}

#[cfg(test)]
mod tests {
    use provost_model::{Time, field};

    use super::*;
    use crate::fingerprint::FingerprintKey;

    #[test]
    fn names_speak_of_secrets_or_not() {
        for name in
            ["DB_PASSWORD", "githubToken", "API_KEY_2", "stripe.secret", "clientSecret", "JWT_SECRET_PROD", "apiKey"]
        {
            assert!(speaks_of(name).is_some(), "{name}");
        }
        for name in [
            "PWD",
            "MAX_TOKENS",
            "TOKEN_URL",
            "PASSWORD_FILE",
            "PUBLIC_KEY",
            "KEY",
            "COMPASS",
            "BYPASS_TIMEOUT",
            "SECRET_NAME",
        ] {
            assert!(speaks_of(name).is_none(), "{name}");
        }
    }

    #[test]
    fn what_belongs_together_is_said_together() {
        let key = FingerprintKey::new("k1", [1; 32]);
        let mut finds = Finds::new(&key, Time::from_seconds(0));
        let pairs = [
            Pair::new("", "AWS_ACCESS_KEY_ID", "AKIAQ2W3E4R5T6Y7U8I9"),
            Pair::new("", "AWS_SECRET_ACCESS_KEY", "q2w3e4r5t6y7u8i9o0p1a2s3d4f5g6h7j8k9l0z1"),
            Pair::new("", "DB_USER", "app"),
            Pair::new("", "DB_PASSWORD", "q2w3e4r5t6y7u8i9"),
            Pair::new("", "DATABASE_URL", "postgres://app:q2w3e4r5t6y7u8i9@db.example:5432/x"),
            Pair::new("", "TOKEN_TTL", "3600"),
            Pair::new("", "API_TOKEN", "12345"),
            Pair::new("", "SECRET_KEY", "/run/secrets/key"),
        ];
        search(&pairs, None, &mut finds);
        let (found, _) = finds.finish();
        let positions: Vec<_> = found.iter().map(|it| it.position.as_str()).collect();
        assert_eq!(positions, ["AWS_SECRET_ACCESS_KEY", "DB_PASSWORD", "DATABASE_URL"]);
        assert_eq!(found[0].facts.get(field::OPENS).known().as_deref(), Some("AKIAQ2W3E4R5T6Y7U8I9"));
        assert_eq!(found[1].facts.get(field::USERNAME).known().as_deref(), Some("app"));
        assert_eq!(found[1].facts.get(field::FINGERPRINT), found[2].facts.get(field::FINGERPRINT));
        assert_eq!(found[2].facts.get(field::SERVICE).known().as_deref(), Some("db.example:5432"));
    }
}
