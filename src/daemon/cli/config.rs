//! `config check|schema|example`.
//! It must never change a file.

use std::path::Path;

use super::{CliError, Exit, Screen};
use crate::config::{self, Config, Problem};

/// Lists every problem; `of_connectors` are those that the connectors have with their own settings.
pub fn check(
    file: &Path,
    read: Result<&Config, &[Problem]>,
    of_connectors: &[Problem],
    screen: &mut Screen<'_>,
) -> Result<Exit, CliError> {
    let problems: Vec<&Problem> = read.err().unwrap_or_default().iter().chain(of_connectors).collect();
    if !screen.is_table() {
        screen.value(&problems)?;
        return Ok(if problems.is_empty() { Exit::Done } else { Exit::Usage });
    }
    for problem in &problems {
        screen.line(&problem.to_string())?;
    }
    match (problems.len(), read) {
        (0, Ok(config)) => {
            let sources = config.sources.len();
            let word = if sources == 1 { "source" } else { "sources" };
            screen.remark(&format!("{}: no problems, {sources} {word}", file.display()))?;
            Ok(Exit::Done)
        }
        (count, _) => {
            screen.remark(&format!(
                "{}: {count} {}",
                file.display(),
                if count == 1 { "problem" } else { "problems" }
            ))?;
            Ok(Exit::Usage)
        }
    }
}

/// Prints the JSON schema.
pub fn schema(screen: &mut Screen<'_>) -> Result<Exit, CliError> {
    let text = serde_json::to_string_pretty(&config::schema()).unwrap_or_default();
    screen.lines(&text)?;
    Ok(Exit::Done)
}

/// Prints the annotated default with an example of each connector: title, what it looks at, entry.
pub fn example<'a>(
    connectors: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>,
    screen: &mut Screen<'_>,
) -> Result<Exit, CliError> {
    screen.lines(&config::example(connectors))?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::screen::fake::written,
        config::{Environment, Paths, parse},
        output::Format,
    };

    fn checked(text: &str, of_connectors: &[Problem]) -> (Exit, String, String) {
        let paths = Paths::find(None, &Environment::new([("HOME".to_owned(), "/h".to_owned())], 1000)).unwrap();
        let read = parse(text, &paths);
        let mut exit = Exit::Done;
        let (out, err) = written(Format::Table, |screen| {
            exit = check(&paths.file, read.as_ref().map_err(Vec::as_slice), of_connectors, screen).unwrap();
        });
        (exit, out, err)
    }

    #[test]
    fn problems_are_listed_and_make_exit_two() {
        let (exit, out, err) = checked("[daemon]\ndrain = \"1m\"\n[snapshots]\nkeep = 0\n", &[]);
        assert_eq!((exit, out.lines().count()), (Exit::Usage, 2));
        assert_eq!(err, "/h/.config/provost/provost.toml: 2 problems\n");
        let (exit, _, err) = checked("[[sources]]\nname = \"a\"\nconnector = \"host\"\n", &[]);
        assert_eq!((exit, err.as_str()), (Exit::Done, "/h/.config/provost/provost.toml: no problems, 1 source\n"));
        assert_eq!(checked("", &[Problem::new("sources[0].roots", "not a list")]).0, Exit::Usage);
    }

    #[test]
    fn schema_and_example_are_printed_whole() {
        let (out, _) = written(Format::Table, |screen| drop(schema(screen)));
        assert!(serde_json::from_str::<serde_json::Value>(&out).unwrap()["properties"]["sources"].is_object());
        let (out, _) = written(Format::Table, |screen| drop(example([], screen)));
        assert_eq!(out, include_str!("../../../config/provost.toml"));
    }
}
