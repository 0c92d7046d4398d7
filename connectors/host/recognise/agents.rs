//! Logins of AI agents themselves: what Claude Code, Codex, Gemini, Copilot and others keep to reach their models.
//! It must never refresh a login.

use provost_model::{Kind, Time};

use super::{Recogniser, text};
use crate::host::{
    environment::{Pair, search, speaks_of},
    found::{Finds, Item},
    place::Place,
    tree::{Malformed, Node},
    value,
};

/// Deepest nesting that is looked into.
const DEPTH: usize = 8;

pub(super) const CREDENTIALS: Recogniser = Recogniser {
    name: "ai_agent_login",
    title: "Logins of AI agents",
    keeps_secrets: true,
    takes: |place| service(place).is_some(),
    read,
};

/// Which service the logins in a file of that name open.
fn service(place: &Place) -> Option<&'static str> {
    const FILES: &[(&str, &str)] = &[
        (".claude/.credentials.json", "api.anthropic.com"),
        (".codex/auth.json", "api.openai.com"),
        (".gemini/oauth_creds.json", "googleapis.com"),
        (".gemini/.env", "googleapis.com"),
        ("github-copilot/apps.json", "github.com"),
        ("github-copilot/hosts.json", "github.com"),
        ("opencode/auth.json", ""),
        ("goose/secrets.yaml", ""),
        (".qwen/oauth_creds.json", "qwen.ai"),
        (".aider.conf.yml", ""),
        (".config/llm/keys.json", ""),
        ("io.datasette.llm/keys.json", ""),
        (".cache/huggingface/token", "huggingface.co"),
        ("huggingface/token", "huggingface.co"),
    ];
    FILES.iter().find(|(tail, _)| place.ends(tail)).map(|(_, service)| *service)
}

fn read(place: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    let service = service(place).unwrap_or_default();
    if place.name() == "token" {
        let text = text(bytes)?;
        finds.slot(Item::new(Kind::Token, "token", "token", text.trim()).service(service));
        return Ok(());
    }
    if place.name() == ".env" {
        let text = text(bytes)?;
        search(&super::dotenv::pairs(&text), None, finds);
        return Ok(());
    }
    let documents = if place.has_extension("json") { vec![Node::json(bytes)?] } else { Node::yaml(bytes)? };
    for document in &documents {
        visit("", document, service, DEPTH, finds);
    }
    Ok(())
}

/// Every text whose name or look is a credential's, with the end that stands beside it.
fn visit(at: &str, node: &Node, service: &str, depth: usize, finds: &mut Finds<'_>) {
    if depth == 0 {
        return;
    }
    let ends =
        ["expiresAt", "expiry_date", "expires_at", "expires"].iter().find_map(|name| time(node.get(name).scalar()?));
    for (name, value) in node.entries() {
        let position = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
        let Some(text) = value.text() else {
            visit(&position, value, service, depth - 1, finds);
            continue;
        };
        let named = speaks_of(name)
            .or_else(|| (name == "key" || name == "access" || name == "refresh").then_some((Kind::Token, "token")));
        let lasting = name.to_ascii_lowercase().contains("refresh");
        match named {
            Some((kind, sort)) => {
                let item = Item::new(kind, sort, position, text).service(service);
                finds.slot(if lasting { item.long_lived(true) } else { item.expires(ends) });
            }
            None if value::looks(text.as_bytes()).is_some() => {
                finds.value(Item::new(Kind::Token, "token", position, text).service(service))
            }
            None => search(&[Pair { name, value: text, position }], None, finds),
        }
    }
    for (index, item) in node.items().iter().enumerate() {
        visit(&format!("{at}[{index}]"), item, service, depth - 1, finds);
    }
}

/// Milliseconds or seconds since 1970, or an RFC 3339 instant.
fn time(text: &str) -> Option<Time> {
    match text.parse::<i64>() {
        Ok(number) if number > 100_000_000_000 => Some(Time::from_micros(number.saturating_mul(1_000))),
        Ok(number) => (number > 0).then(|| Time::from_seconds(number)),
        Err(_) => text.parse().ok(),
    }
}
