//! AI agents: the servers that clients of the Model Context Protocol are configured to start or call, and the
//! credentials handed to them.
//! It must never start a server, nor keep its arguments.

use std::collections::BTreeSet;

use provost_model::{Facts, Kind, Reading, Status, field};

use super::Recogniser;
use crate::host::{
    arguments::{search_arguments, search_query},
    environment::{Pair, search, split_url},
    found::{Finds, Found, Item, Of, address},
    mcp_clients::{self, Client, Format},
    place::Place,
    tree::{Malformed, Node},
    value,
};

pub(super) const CLIENTS: Recogniser = Recogniser {
    name: "mcp_config",
    title: "AI agents: MCP client configurations",
    keeps_secrets: false,
    takes: |place| mcp_clients::of(place).is_some(),
    read,
};

fn read(place: &Place, bytes: &[u8], finds: &mut Finds<'_>) -> Result<(), Malformed> {
    let Some(client) = mcp_clients::of(place) else { return Ok(()) };
    let documents = match client.format {
        Format::Json => vec![Node::json_with_comments(bytes)?],
        Format::Yaml => Node::yaml(bytes)?,
        Format::Toml => vec![Node::toml(bytes)?],
    };
    for document in &documents {
        for way in client.ways {
            servers(client, &way.join("."), document.at(way), finds);
        }
        if client.by_project {
            for (project, settings) in document.get("projects").entries() {
                servers(client, &format!("projects.{project}.mcpServers"), settings.get("mcpServers"), finds);
            }
        }
        own_settings(document, finds);
    }
    Ok(())
}

/// Servers by name, or in a list that names them.
fn servers(client: &Client, at: &str, node: &Node, finds: &mut Finds<'_>) {
    for (name, server) in node.entries() {
        one_server(client, &format!("{at}.{name}"), name, server, finds);
    }
    for (index, server) in node.items().iter().enumerate() {
        let name = server.get("name").text().map_or_else(|| index.to_string(), str::to_owned);
        one_server(client, &format!("{at}.{name}"), &name, server, finds);
    }
}

fn one_server(client: &Client, at: &str, name: &str, server: &Node, finds: &mut Finds<'_>) {
    // Continue keeps the way to reach the server one level deeper.
    let server = if server.get("transport").entries().is_empty() { server } else { server.get("transport") };
    let (command, arguments) = command(server);
    let url = ["url", "httpUrl", "serverUrl", "uri", "endpoint"].iter().find_map(|it| server.get(it).text());
    if command.is_none() && url.is_none() {
        return;
    }
    let environment = pairs(&format!("{at}.env"), server, &["env", "envs", "environment"]);
    let headers = pairs(&format!("{at}.headers"), server, &["headers", "http_headers", "requestInit"]);
    let names: BTreeSet<String> =
        environment.iter().map(|pair| pair.name.to_owned()).chain(environment_keys(server)).collect();
    let mut facts = Facts::new()
        .with(field::CLIENT, client.name.to_owned())
        .with(field::TRANSPORT, transport(server, url).to_owned())
        .with(field::ENVIRONMENT_NAMES, names.into_iter().collect::<Vec<_>>())
        .with(field::STATUS, if is_off(server) { Status::Inactive } else { Status::Active });
    if let Some(command) = command {
        facts.set(field::COMMAND, program(command).to_owned());
        if let Some(package) = package(command, &arguments) {
            facts.set(field::DESCRIPTION, format!("starts {package}"));
        }
    }
    if let Some(url) = url {
        facts.set(field::URL, address(url));
        facts.set(field::SERVICE, host_of(url));
    }
    let tools = allowed_tools(server);
    // Every client can be told which tools a server may offer; one that is not told offers all.
    facts.set(field::TOOLS, if tools.is_empty() { Reading::Never } else { Reading::Known(tools) });
    finds.push(Found { kind: Kind::AiAgent, position: at.to_owned(), name: name.to_owned(), facts, identity: None });

    let agent = Of::Agent(at.to_owned());
    search(&environment, Some(&agent), finds);
    for pair in headers {
        header(pair, &agent, finds);
    }
    search_arguments(&format!("{at}.args"), &arguments, Some(&agent), finds);
    for (name, sort) in
        [("apiKey", "api_key"), ("bearer_token", "token"), ("token", "token"), ("authorization_token", "token")]
    {
        if let Some(value) = server.get(name).text() {
            finds.slot(Item::new(Kind::Token, sort, format!("{at}.{name}"), value).identity(Some(agent.clone())));
        }
    }
    if let Some(url) = url {
        in_address(at, url, &agent, finds);
    }
}

/// The program and its arguments, in the ways the clients write them.
fn command(server: &Node) -> (Option<&str>, Vec<&str>) {
    let node = if server.get("command").is_null() { server.get("cmd") } else { server.get("command") };
    let arguments = |node| -> Vec<&str> { Node::items(node).iter().filter_map(Node::text).collect() };
    match node {
        Node::Text(program) => (Some(program), arguments(server.get("args"))),
        Node::List(_) => {
            let words = arguments(node);
            (words.first().copied(), words.get(1..).unwrap_or_default().to_vec())
        }
        inner => (inner.get("path").text(), arguments(inner.get("args"))),
    }
}

fn pairs<'n>(below: &str, server: &'n Node, names: &[&str]) -> Vec<Pair<'n>> {
    let inside = server.get("command");
    let nodes = names.iter().flat_map(|name| [server.get(name), inside.get(name)]);
    let entries = nodes.flat_map(|node| node.entries().iter().chain(node.get("headers").entries()));
    entries.filter_map(|(name, value)| Some(Pair::new(below, name, value.scalar()?))).collect()
}

/// Names of variables that are handed over from the client's own environment.
fn environment_keys(server: &Node) -> Vec<String> {
    let lists = ["env_keys", "env_vars", "envVars"].into_iter().flat_map(|name| server.get(name).items());
    let one = ["bearer_token_env_var"].into_iter().filter_map(|name| server.get(name).text());
    lists.filter_map(Node::text).chain(one).map(str::to_owned).collect()
}

/// A header that carries a credential, by its name or its look.
fn header(pair: Pair<'_>, agent: &Of, finds: &mut Finds<'_>) {
    let lower = pair.name.to_ascii_lowercase();
    let carries = ["authorization", "token", "key", "secret", "cookie", "auth"].iter().any(|word| lower.contains(word));
    let item = Item::new(Kind::Token, "http_header", pair.position, pair.value).identity(Some(agent.clone()));
    if carries {
        finds.slot(item);
    } else if value::looks(pair.value.as_bytes()).is_some() {
        finds.value(item);
    }
}

/// What an address carries: a password, a query, or a path that is itself the secret.
fn in_address(at: &str, url: &str, agent: &Of, finds: &mut Finds<'_>) {
    if let Some((user, password, host)) = split_url(url) {
        let item =
            Item::new(Kind::Password, "password_in_url", format!("{at}.url"), password).username(user).service(host);
        finds.value(item.identity(Some(agent.clone())));
    }
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    search_query(&format!("{at}.url"), query, Some(agent), finds);
    let path = path.split_once("://").map_or("", |(_, rest)| rest).split_once('/').map_or("", |(_, path)| path);
    for segment in path.split('/') {
        if value::looks(segment.as_bytes()).is_some() || value::seems_random(segment) {
            let item =
                Item::new(Kind::Token, "secret_address", format!("{at}.url/path"), segment).service(&host_of(url));
            finds.value(item.identity(Some(agent.clone())));
        }
    }
}

fn transport<'n>(server: &'n Node, url: Option<&str>) -> &'n str {
    let said = ["type", "transport"].iter().find_map(|name| server.get(name).text());
    match said {
        Some("stdio" | "local" | "builtin") => "stdio",
        Some("sse") => "sse",
        Some("http" | "streamable-http" | "streamable_http" | "streamableHttp" | "remote") => "http",
        _ if url.is_some_and(|url| url.trim_end_matches('/').ends_with("/sse")) => "sse",
        _ if url.is_some() => "http",
        _ => "stdio",
    }
}

fn is_off(server: &Node) -> bool {
    server.get("disabled").is_true() || matches!(server.get("enabled"), Node::Bool(false))
}

fn allowed_tools(server: &Node) -> Vec<String> {
    let lists =
        ["alwaysAllow", "autoApprove", "includeTools", "enabled_tools", "tools", "allowedTools", "available_tools"];
    let all = lists.iter().flat_map(|name| server.get(name).items()).filter_map(Node::text);
    let mut tools: Vec<String> = all.filter(|it| it.len() <= 128).take(128).map(str::to_owned).collect();
    if server.get("trust").is_true() {
        tools.push("*".to_owned());
    }
    tools
}

/// The last component of a program's path. A command line written as one word loses its arguments.
fn program(command: &str) -> &str {
    let first = command.split_ascii_whitespace().next().unwrap_or_default();
    first.rsplit(['/', '\\']).next().unwrap_or_default()
}

/// The package a runner is asked to start, which says more than the runner's name.
fn package<'a>(command: &str, arguments: &[&'a str]) -> Option<&'a str> {
    let plain: Vec<&'a str> = arguments.iter().copied().filter(|it| !it.starts_with('-')).collect();
    let word = match program(command) {
        "npx" | "bunx" | "uvx" | "pnpx" => plain.first(),
        "pnpm" | "yarn" | "bun" | "pipx" | "uv" | "npm" => plain.get(1),
        "docker" | "podman" => plain.iter().find(|it| it.contains('/') && !it.contains(['=', ':', '@'])),
        _ => None,
    }?;
    let named = word.len() <= 100 && word.bytes().all(|it| it.is_ascii_alphanumeric() || b"@/._-".contains(&it));
    let secret = value::looks(word.as_bytes()).is_some() || word.split(['/', '@']).any(value::seems_random);
    (named && !secret).then_some(word)
}

fn host_of(url: &str) -> String {
    let clean = address(url);
    let rest = clean.split_once("://").map_or(clean.as_str(), |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default().to_owned()
}

/// Credentials that stand in a client's own settings: its environment, and keys of models.
fn own_settings(document: &Node, finds: &mut Finds<'_>) {
    let environment: Vec<_> = document
        .get("env")
        .entries()
        .iter()
        .filter_map(|(name, value)| Some(Pair::new("env", name, value.scalar()?)))
        .collect();
    search(&environment, None, finds);
    for list in ["models", "tabAutocompleteModel", "embeddingsProvider", "language_models", "providers"] {
        let node = document.get(list);
        let named = node.entries().iter().map(|(name, entry)| (name.clone(), entry));
        let listed = node.items().iter().enumerate().map(|(index, entry)| {
            (
                entry.get("name").text().or(entry.get("title").text()).map_or_else(|| index.to_string(), str::to_owned),
                entry,
            )
        });
        for (name, entry) in named.chain(listed).chain(std::iter::once((String::new(), node))) {
            for key in ["apiKey", "api_key"] {
                if let Some(value) = entry.get(key).text() {
                    let service = entry.get("provider").text().unwrap_or_default();
                    finds.slot(
                        Item::new(Kind::Token, "api_key", format!("{list}.{name}.{key}"), value).service(service),
                    );
                }
            }
        }
    }
}
