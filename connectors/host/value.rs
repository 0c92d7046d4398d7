//! What a value looks like: a reference to somewhere else, a token of a known provider, a JWT, or just a text.
//! It must never return, keep or format the value itself.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use provost_model::{Kind, Time};
use zeroize::Zeroizing;

use super::tree::Node;

/// What was recognised in a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Looks {
    /// What sort of credential it is.
    pub kind: Kind,
    /// The sort in the provider's words.
    pub sort: &'static str,
    /// What it opens; empty if the value does not tell.
    pub service: &'static str,
    /// What a self-describing token says of itself.
    pub claims: Claims,
}

/// What a token says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Claims {
    /// When it ends.
    pub expires: Option<Time>,
    /// When it was issued.
    pub issued: Option<Time>,
    /// Who issued it.
    pub issuer: Option<String>,
    /// Whom it speaks for.
    pub subject: Option<String>,
    /// Its id.
    pub id: Option<String>,
    /// Whether these words come from the token; false if it has none.
    pub told: bool,
}

struct Known {
    prefix: &'static str,
    least: usize,
    kind: Kind,
    sort: &'static str,
    service: &'static str,
}

const fn known(prefix: &'static str, least: usize, kind: Kind, sort: &'static str, service: &'static str) -> Known {
    Known { prefix, least, kind, sort, service }
}

/// Prefixes that providers give their tokens so that they are recognised: each from the provider's documentation.
/// `least` is the length of the whole value from which a match counts. Longer prefixes stand before shorter ones.
const KNOWN: &[Known] = &[
    known("github_pat_", 40, Kind::Token, "github_fine_grained_pat", "github.com"),
    known("ghp_", 36, Kind::Token, "github_pat", "github.com"),
    known("gho_", 36, Kind::Token, "github_oauth_token", "github.com"),
    known("ghu_", 36, Kind::Token, "github_user_token", "github.com"),
    known("ghs_", 36, Kind::Token, "github_installation_token", "github.com"),
    known("ghr_", 36, Kind::Token, "github_refresh_token", "github.com"),
    known("glpat-", 24, Kind::Token, "gitlab_pat", "gitlab"),
    known("gldt-", 20, Kind::Token, "gitlab_deploy_token", "gitlab"),
    known("glrt-", 20, Kind::Token, "gitlab_runner_token", "gitlab"),
    known("glptt-", 20, Kind::Token, "gitlab_trigger_token", "gitlab"),
    known("glcbt-", 20, Kind::Token, "gitlab_job_token", "gitlab"),
    known("gloas-", 20, Kind::ClientSecret, "gitlab_oauth_secret", "gitlab"),
    known("glsa_", 30, Kind::Token, "grafana_service_account_token", "grafana"),
    known("xoxb-", 24, Kind::Token, "slack_bot_token", "slack.com"),
    known("xoxp-", 24, Kind::Token, "slack_user_token", "slack.com"),
    known("xoxa-", 24, Kind::Token, "slack_app_token", "slack.com"),
    known("xoxr-", 24, Kind::Token, "slack_refresh_token", "slack.com"),
    known("xoxe-", 24, Kind::Token, "slack_refresh_token", "slack.com"),
    known("xapp-", 24, Kind::Token, "slack_app_level_token", "slack.com"),
    known("sk-ant-oat", 40, Kind::Token, "anthropic_oauth_token", "api.anthropic.com"),
    known("sk-ant-ort", 40, Kind::Token, "anthropic_refresh_token", "api.anthropic.com"),
    known("sk-ant-admin", 40, Kind::Token, "anthropic_admin_key", "api.anthropic.com"),
    known("sk-ant-", 40, Kind::Token, "anthropic_api_key", "api.anthropic.com"),
    known("sk-or-", 40, Kind::Token, "openrouter_api_key", "openrouter.ai"),
    known("sk-proj-", 40, Kind::Token, "openai_project_key", "api.openai.com"),
    known("sk-svcacct-", 40, Kind::Token, "openai_service_account_key", "api.openai.com"),
    known("sk-admin-", 40, Kind::Token, "openai_admin_key", "api.openai.com"),
    known("sk_live_", 20, Kind::Token, "stripe_secret_key", "api.stripe.com"),
    known("sk_test_", 20, Kind::Token, "stripe_test_key", "api.stripe.com"),
    known("rk_live_", 20, Kind::Token, "stripe_restricted_key", "api.stripe.com"),
    known("whsec_", 24, Kind::Secret, "webhook_secret", ""),
    known("sk-", 32, Kind::Token, "api_key", ""),
    known("AIza", 39, Kind::Token, "google_api_key", "googleapis.com"),
    known("ya29.", 30, Kind::Token, "google_access_token", "googleapis.com"),
    known("1//", 40, Kind::Token, "google_refresh_token", "googleapis.com"),
    known("GOCSPX-", 28, Kind::ClientSecret, "google_client_secret", "googleapis.com"),
    known("npm_", 36, Kind::Token, "npm_token", "registry.npmjs.org"),
    known("pypi-", 40, Kind::Token, "pypi_token", "pypi.org"),
    known("dckr_pat_", 24, Kind::Token, "docker_pat", "docker.io"),
    known("dckr_oat_", 24, Kind::Token, "docker_oat", "docker.io"),
    known("hvs.", 24, Kind::Token, "vault_service_token", "vault"),
    known("hvb.", 24, Kind::Token, "vault_batch_token", "vault"),
    known("hvr.", 24, Kind::Token, "vault_recovery_token", "vault"),
    known("hf_", 30, Kind::Token, "huggingface_token", "huggingface.co"),
    known("lin_api_", 30, Kind::Token, "linear_api_key", "linear.app"),
    known("ntn_", 30, Kind::Token, "notion_token", "notion.so"),
    known("SG.", 50, Kind::Token, "sendgrid_api_key", "sendgrid.com"),
    known("dop_v1_", 40, Kind::Token, "digitalocean_token", "digitalocean.com"),
    known("shpat_", 30, Kind::Token, "shopify_token", "shopify.com"),
    known("xai-", 40, Kind::Token, "xai_api_key", "api.x.ai"),
    known("gsk_", 40, Kind::Token, "groq_api_key", "api.groq.com"),
    known("pplx-", 40, Kind::Token, "perplexity_api_key", "perplexity.ai"),
    known("tvly-", 24, Kind::Token, "tavily_api_key", "tavily.com"),
    known("figd_", 30, Kind::Token, "figma_token", "figma.com"),
    known("sntrys_", 30, Kind::Token, "sentry_token", "sentry.io"),
    known("sbp_", 30, Kind::Token, "supabase_token", "supabase.com"),
    known("dapi", 36, Kind::Token, "databricks_token", "databricks"),
    known("dose", 36, Kind::ClientSecret, "databricks_client_secret", "databricks"),
    known("HRKU-", 40, Kind::Token, "heroku_api_key", "api.heroku.com"),
    known("ops_eyJ", 100, Kind::Token, "onepassword_service_account_token", "1password.com"),
    known("fm2_", 60, Kind::Token, "fly_token", "api.fly.io"),
    known("fo1_", 40, Kind::Token, "fly_token", "api.fly.io"),
    known("ATATT3x", 60, Kind::Token, "atlassian_api_token", "atlassian.com"),
    known("PMAK-", 40, Kind::Token, "postman_api_key", "postman.com"),
    known("NRAK-", 30, Kind::Token, "newrelic_api_key", "newrelic.com"),
    known("rubygems_", 40, Kind::Token, "rubygems_token", "rubygems.org"),
    known("cio", 35, Kind::Token, "crates_io_token", "crates.io"),
    known("AGE-SECRET-KEY-1", 60, Kind::Secret, "age_identity", ""),
];

/// What the value looks like; `None` if it could be anything.
pub(crate) fn looks(value: &[u8]) -> Option<Looks> {
    let value = bare(value);
    let text = std::str::from_utf8(value).ok()?;
    if let Some(claims) = jwt(text) {
        return Some(Looks { kind: Kind::Token, sort: "jwt", service: "", claims });
    }
    if text.starts_with("-----BEGIN ") && text.contains("PRIVATE KEY-----") {
        return Some(Looks { kind: Kind::Secret, sort: "private_key", service: "", claims: Claims::default() });
    }
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./=+~".contains(&byte)) {
        return None;
    }
    let like = |known: &&Known| text.len() >= known.least && text.starts_with(known.prefix) && mixed(text, known);
    let known = KNOWN.iter().find(like)?;
    Some(Looks { kind: known.kind, sort: known.sort, service: known.service, claims: Claims::default() })
}

/// Whether this is the id of an AWS access key: public, and not a secret.
pub(crate) fn is_aws_key_id(value: &str) -> bool {
    value.len() >= 16
        && value.len() <= 128
        && ["AKIA", "ASIA"].iter().any(|prefix| value.starts_with(prefix))
        && value.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// The part of the value that is written out here, without quotes and the word `Bearer`; `None` if it is empty, a
/// placeholder, or a reference to another place. The default of `${NAME:-default}` is written out.
pub(crate) fn literal(value: &[u8]) -> Option<&[u8]> {
    let value = bare(value);
    let Ok(text) = std::str::from_utf8(value) else { return Some(value) };
    if let Some(inner) = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) {
        let (_, default) = inner.split_once(":-").or_else(|| inner.split_once('-'))?;
        return literal(default.as_bytes());
    }
    (!is_reference(text) && !is_placeholder(text)).then_some(value)
}

/// The longest text without white space, at least so long and of a random look: what a command line hides.
pub(crate) fn seems_random(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let letters = text.bytes().filter(u8::is_ascii_alphabetic).count();
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_=+".contains(&byte));
    text.len() >= 24 && plain && digits >= 4 && letters >= 4 && text.matches('-').count() < 5
}

fn bare(value: &[u8]) -> &[u8] {
    let mut value = value.strip_prefix(b"\xef\xbb\xbf").unwrap_or(value).trim_ascii();
    for quote in [b'"', b'\'', b'`'] {
        if let [first, inner @ .., last] = value
            && *first == quote
            && *last == quote
        {
            value = inner;
            break;
        }
    }
    for scheme in ["bearer ", "token ", "basic ", "apikey "] {
        if let Some((head, rest)) = value.split_at_checked(scheme.len())
            && head.eq_ignore_ascii_case(scheme.as_bytes())
        {
            return rest.trim_ascii();
        }
    }
    value
}

fn is_reference(text: &str) -> bool {
    const SCHEMES: &[&str] = &[
        "op://",
        "vault:",
        "vault://",
        "secret://",
        "secrets://",
        "env:",
        "env://",
        "file:",
        "file://",
        "keychain:",
        "keyring:",
        "awssm://",
        "ssm:",
        "ssm://",
        "gcpsm://",
        "akv://",
        "sops:",
        "ENC[",
        "arn:aws:secretsmanager:",
        "arn:aws:ssm:",
        "credential:",
        "exec:",
        "ref+",
        "doppler://",
        "bws://",
        "!reference",
    ];
    let named =
        |rest: &str| rest.starts_with(|first: char| first.is_ascii_alphabetic() || matches!(first, '_' | '{' | '('));
    let variable = text.strip_prefix('$').is_some_and(|rest| {
        let word = rest.trim_matches(|it| matches!(it, '{' | '}' | '(' | ')'));
        named(rest) && (rest.len() != word.len() || word.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_'))
    });
    let percent = text.len() > 2
        && text.starts_with('%')
        && text.ends_with('%')
        && text.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_' || it == b'%');
    variable
        || percent
        || (text.contains("{{") && text.contains("}}"))
        || (text.starts_with("@") && text.contains("Microsoft.KeyVault("))
        || SCHEMES.iter().any(|scheme| text.starts_with(scheme))
}

fn is_placeholder(text: &str) -> bool {
    const WORDS: &[&str] = &[
        "changeme",
        "change-me",
        "change_me",
        "changeit",
        "placeholder",
        "example",
        "dummy",
        "redacted",
        "todo",
        "tbd",
        "none",
        "null",
        "nil",
        "undefined",
        "true",
        "false",
        "yes",
        "no",
        "replaceme",
        "replace-me",
        "replace_me",
        "insert-here",
        "secret",
        "password",
        "token",
        "your-token",
        "optional",
        "required",
        "not-set",
        "notset",
        "unset",
        "na",
        "n/a",
        "oauth2",
        "prompt",
    ];
    let lower = text.to_ascii_lowercase();
    let mut letters = lower.chars().filter(|it| it.is_alphanumeric());
    let first = letters.next();
    let one_letter = letters.all(|it| Some(it) == first);
    let begins = [
        "your-",
        "your_",
        "my-secret",
        "replace-with",
        "replace_with",
        "insert-your",
        "insert_your",
        "changeme",
        "example-",
    ];
    one_letter
        || WORDS.contains(&lower.as_str())
        || begins.iter().any(|word| lower.starts_with(word))
        || (lower.starts_with('<') && lower.ends_with('>'))
        || (lower.starts_with('[') && lower.ends_with(']'))
        || (lower.starts_with("xxx") && lower.ends_with("xxx"))
        || lower.ends_with("_here")
        || lower.ends_with("-here")
}

/// Not a word that happens to begin like a token: a part behind the prefix is random.
fn mixed(text: &str, known: &Known) -> bool {
    let rest = text.get(known.prefix.len()..).unwrap_or_default();
    let digits = rest.bytes().filter(u8::is_ascii_digit).count();
    let upper = rest.bytes().filter(u8::is_ascii_uppercase).count();
    digits + upper >= 3
}

/// The claims of a JSON web token; `None` if it is none. The signature is not checked: these are its own words.
fn jwt(text: &str) -> Option<Claims> {
    let mut parts = text.split('.');
    let (header, body, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    if !header.starts_with("eyJ") || text.len() > 64 * 1024 {
        return None;
    }
    let part = |text: &str| {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()?);
        Node::json(&bytes).ok()
    };
    if parts.count() == 2 {
        // An encrypted token: five parts, of which only the header can be read.
        return part(header)?.get("enc").text().map(|_| Claims::default());
    }
    let header = part(header)?;
    header.get("alg").text()?;
    let Some(body) = part(body) else { return Some(Claims::default()) };
    let time = |name: &str| {
        let seconds = body.get(name).scalar()?.parse::<f64>().ok()?;
        (seconds.abs() < 1e11).then(|| Time::from_seconds(seconds as i64))
    };
    let word = |name: &str| body.get(name).text().filter(|word| word.len() <= 512).map(str::to_owned);
    Some(Claims {
        expires: time("exp"),
        issued: time("iat"),
        issuer: word("iss"),
        subject: word("sub").or_else(|| word("email")),
        id: word("jti"),
        told: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_and_placeholders_are_no_secrets() {
        for text in [
            "",
            "  ",
            "\"\"",
            "${TOKEN}",
            "$TOKEN",
            "Bearer ${TOKEN}",
            "$(cat x)",
            "{{ secrets.X }}",
            "${{ secrets.X }}",
            "%TOKEN%",
            "op://vault/item",
            "vault:secret/data/x#y",
            "<your-token>",
            "changeme",
            "CHANGE_ME",
            "xxxxxxxx",
            "********",
            "your-api-key",
            "${env:TOKEN}",
            "${input:token}",
            "put-your-token-here",
            "arn:aws:secretsmanager:eu-west-1:1:secret:x",
            "ENC[AES256,x]",
        ] {
            assert_eq!(literal(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn values_are_found_behind_quotes_schemes_and_defaults() {
        for (text, value) in [
            ("hunter2xyz", "hunter2xyz"),
            ("'hunter2xyz'", "hunter2xyz"),
            ("Bearer abc.def", "abc.def"),
            ("${PASS:-hunter2xyz}", "hunter2xyz"),
            ("$2b$12$abcdefgh", "$2b$12$abcdefgh"),
            ("pa$$word{1}", "pa$$word{1}"),
        ] {
            assert_eq!(literal(text.as_bytes()), Some(value.as_bytes()), "{text}");
        }
        assert_eq!(literal(b"\xff\xfe\x00binary"), Some(&b"\xff\xfe\x00binary"[..]));
    }

    #[test]
    fn tokens_of_known_providers_are_told_apart() {
        for (text, sort) in [
            ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", "github_pat"),
            ("glpat-Zx81Tq09LmNb72VcRt5Y", "gitlab_pat"),
            ("sk-ant-api03-AbCdEf0123456789AbCdEf0123456789", "anthropic_api_key"),
            ("sk-AbCdEf0123456789AbCdEf0123456789", "api_key"),
            ("xoxb-1234567890-AbCdEfGhIjKl", "slack_bot_token"),
        ] {
            assert_eq!(looks(text.as_bytes()).unwrap().sort, sort, "{text}");
        }
        for text in [
            "sk-learn-is-a-library-and-not-a-secret-key",
            "ghp_short",
            "cioppino is a stew of fish from the bay area",
            "npm_config_registry_of_the_company_name",
        ] {
            assert_eq!(looks(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_web_token_tells_when_it_ends() {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let token = format!(
            "{}.{}.c2ln",
            part(r#"{"alg":"RS256"}"#),
            part(r#"{"exp":1893456000,"iat":1700000000,"iss":"https://issuer","sub":"me"}"#)
        );
        let claims = looks(token.as_bytes()).unwrap().claims;
        assert_eq!(claims.expires, Some(Time::from_seconds(1_893_456_000)));
        assert_eq!(claims.issued, Some(Time::from_seconds(1_700_000_000)));
        assert_eq!(claims.subject.as_deref(), Some("me"));
        assert!(looks(b"eyJhbGciOi.not.a-token").is_none());
    }
}
