//! Programs that host AI agents, and where each keeps its configuration of servers: one line each.
//! It must never hold how a configuration is read, only where it lies and in what form.
//! Source: each client's own documentation of its MCP settings.

use super::place::Place;

/// A client and one of its configuration files.
#[derive(Debug)]
pub(crate) struct Client {
    /// The value of `client` on the agents found.
    pub name: &'static str,
    /// How the file is written.
    pub format: Format,
    /// Ways of names that lead to the servers.
    pub ways: &'static [&'static [&'static str]],
    /// Whether servers are also configured per project.
    pub by_project: bool,
    /// Ends of the paths of its files.
    files: &'static [&'static str],
}

/// How a configuration is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// JSON; every client here forgives comments or is forgiven for forbidding them.
    Json,
    /// YAML.
    Yaml,
    /// TOML.
    Toml,
}

/// The client whose file this is.
pub(crate) fn of(place: &Place) -> Option<&'static Client> {
    ALL.iter().find(|client| client.files.iter().any(|tail| matches(place, tail)))
}

/// A tail that ends in `/*` stands for every file right in that directory.
fn matches(place: &Place, tail: &str) -> bool {
    match tail.strip_suffix("/*") {
        Some(directory) => {
            place.shown().rsplit_once('/').is_some_and(|(above, _)| above.ends_with(&format!("/{directory}")))
        }
        None => place.ends(tail),
    }
}

const SERVERS: &[&[&str]] = &[&["mcpServers"]];

const fn json(name: &'static str, ways: &'static [&'static [&'static str]], files: &'static [&'static str]) -> Client {
    Client { name, format: Format::Json, ways, by_project: false, files }
}

/// Every client known.
static ALL: &[Client] = &[
    json("claude-desktop", SERVERS, &["Claude/claude_desktop_config.json", "claude_desktop_config.json"]),
    Client { by_project: true, ..json("claude-code", SERVERS, &[".claude.json"]) },
    json("claude-code", SERVERS, &[".mcp.json", ".claude/settings.json", ".claude/settings.local.json"]),
    json("cursor", SERVERS, &[".cursor/mcp.json"]),
    json(
        "vscode",
        &[&["servers"], &["mcp", "servers"], &["mcp.servers"], &["mcpServers"]],
        &[".vscode/mcp.json", ".vscode/settings.json", "User/mcp.json", "User/settings.json"],
    ),
    Client { format: Format::Toml, ..json("codex", &[&["mcp_servers"]], &[".codex/config.toml"]) },
    json("gemini", SERVERS, &[".gemini/settings.json"]),
    json("windsurf", SERVERS, &["windsurf/mcp_config.json"]),
    json("zed", &[&["context_servers"]], &["zed/settings.json", ".zed/settings.json"]),
    json("continue", &[&["mcpServers"], &["experimental", "modelContextProtocolServers"]], &[".continue/config.json"]),
    Client { format: Format::Yaml, ..json("continue", SERVERS, &[".continue/config.yaml", ".continue/mcpServers/*"]) },
    Client { format: Format::Yaml, ..json("goose", &[&["extensions"]], &["goose/config.yaml"]) },
    json("cline", SERVERS, &["cline_mcp_settings.json"]),
    json("roo", SERVERS, &["settings/mcp_settings.json", ".roo/mcp.json"]),
    json("amazon-q", SERVERS, &[".aws/amazonq/mcp.json", ".amazonq/mcp.json", "amazonq/agents/*"]),
    json("kiro", SERVERS, &[".kiro/settings/mcp.json"]),
    json("copilot-cli", SERVERS, &[".copilot/mcp-config.json"]),
    json("lm-studio", SERVERS, &[".lmstudio/mcp.json"]),
    json("junie", SERVERS, &[".junie/mcp/mcp.json"]),
    json("opencode", &[&["mcp"]], &["opencode.json", "opencode.jsonc", "opencode/config.json"]),
    json("qwen", SERVERS, &[".qwen/settings.json"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_told_by_their_files() {
        let client = |path: &str| of(&Place::new(path)).map(|it| it.name);
        assert_eq!(client("/home/a/.config/Claude/claude_desktop_config.json"), Some("claude-desktop"));
        assert_eq!(client("/home/a/.claude.json"), Some("claude-code"));
        assert_eq!(client("/home/a/src/x/.mcp.json"), Some("claude-code"));
        assert_eq!(client("/home/a/.config/Code/User/settings.json"), Some("vscode"));
        assert_eq!(client("/home/a/.continue/mcpServers/x.yaml"), Some("continue"));
        assert_eq!(client("/home/a/settings.json"), None);
    }
}
