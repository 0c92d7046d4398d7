//! The annotated example and the JSON schema, printed for people and editors.
//! It must never describe a setting that the reader would refuse.

use std::fmt::Write as _;

use super::Typed;

/// The annotated default configuration, as shipped.
const DEFAULT: &str = include_str!("../../../config/provost.toml");

/// The annotated default, with an example of each connector: its title, what it looks at, and its entry.
pub fn example<'a>(connectors: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>) -> String {
    let mut text = DEFAULT.to_owned();
    for (title, about, entry) in connectors {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n# {title}: {about}\n");
        for line in entry.trim().lines() {
            let _ = if line.is_empty() { writeln!(text, "#") } else { writeln!(text, "# {line}") };
        }
    }
    text
}

/// The JSON schema of the configuration, for editors.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Typed).to_value()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, Paths, parse};

    fn paths() -> Paths {
        Paths::find(None, &Environment::new([("HOME".to_owned(), "/home/a".to_owned())], 1000)).unwrap()
    }

    /// The example with every commented-out setting made a real one.
    fn uncommented(text: &str) -> String {
        let setting = |line: &str| {
            let body = line.trim_start_matches("# ");
            let name = body.split(['=', '[']).next().unwrap_or_default().trim();
            (line.starts_with("# ")
                && !line.starts_with("#  ")
                && body.contains(" = ")
                && name.chars().all(|it| it.is_ascii_lowercase() || it == '_'))
                || line.starts_with("# [")
        };
        text.lines()
            .map(|line| if setting(line) { line.trim_start_matches("# ") } else { line })
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn the_shipped_default_is_valid_as_it_is_and_with_every_setting_switched_on() {
        parse(DEFAULT, &paths()).unwrap();
        let all = uncommented(DEFAULT);
        let config = parse(&all, &paths()).unwrap_or_else(|problems| panic!("{problems:?}\n{all}"));
        assert_eq!(config.sources.len(), 1, "{all}");
    }

    #[test]
    fn the_shipped_default_speaks_of_every_setting() {
        let schema = schema();
        let definitions = schema["$defs"].as_object().unwrap();
        for definition in definitions.values().filter_map(|it| it["properties"].as_object()) {
            for name in definition.keys() {
                assert!(
                    DEFAULT.lines().any(|line| line.trim_start_matches(['#', ' ']).starts_with(&format!("{name} = "))),
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn examples_of_connectors_follow_commented_out() {
        let entry = "[[sources]]\nname = \"this-host\"\nconnector = \"host\"\n";
        let text = example([("Linux host", "credential files", entry)]);
        assert!(text.contains("# Linux host: credential files\n# [[sources]]\n# name = \"this-host\"\n"));
        parse(&text, &paths()).unwrap();
    }

    #[test]
    fn the_schema_refuses_what_the_reader_refuses() {
        let schema = schema();
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["$defs"]["TypedStore"]["additionalProperties"], false);
        assert_eq!(schema["$defs"]["TypedSource"]["additionalProperties"], true);
        assert!(schema["$defs"]["Reference"]["pattern"].is_string());
    }
}
