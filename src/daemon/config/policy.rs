//! The `[thresholds]` of a file that is not the configuration, for whoever asks what they would change.
//! It must never hand on anything else of that file: it may be a whole configuration.

use std::path::Path;

use toml::{Table, Value};

use super::{Problem, typed};

/// Longest file, and longest text of thresholds, in bytes.
const TEXT_MAX: u64 = 128 << 10;

/// The `[thresholds]` of a file, as the text of one that holds nothing else.
pub fn thresholds_in(file: &Path) -> Result<String, Problem> {
    let text = super::read_up_to(file, TEXT_MAX).map_err(|error| Problem::new("", error.to_string()))?;
    let thresholds = thresholds_of(&text)?;
    let alone = Table::from_iter([("thresholds".to_owned(), Value::Table(thresholds))]);
    toml::to_string(&alone).map_err(|error| Problem::new("thresholds", error.to_string()))
}

/// The `[thresholds]` of a text.
pub fn thresholds_of(text: &str) -> Result<Table, Problem> {
    if text.len() as u64 > TEXT_MAX {
        return Err(Problem::new("", format!("it is longer than {} KiB", TEXT_MAX >> 10)));
    }
    match typed::read::<Table>(text)?.remove("thresholds") {
        Some(Value::Table(thresholds)) => Ok(thresholds),
        Some(_) => Err(Problem::new("thresholds", "must be a table of figures")),
        None => Err(Problem::new("", "there is no table [thresholds] in it")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_whole_configuration_only_the_thresholds_are_handed_on() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("provost.toml");
        let thresholds = "[thresholds]\nage_key_days = 30\n\n[[thresholds.overrides]]\nmatch = { realm = \"aws\" }\n\
                          thresholds = { age_key_days = 60 }\n";
        let whole = format!("[store]\npath = \"/srv/elsewhere\"\n{thresholds}[[sources]]\nname = \"a\"\n");
        std::fs::write(&file, whole).unwrap();
        let text = thresholds_in(&file).unwrap();
        assert!(!text.contains("elsewhere") && !text.contains("sources"), "{text}");
        assert_eq!(thresholds_of(&text), thresholds_of(thresholds));
    }

    #[test]
    fn what_holds_no_thresholds_or_too_much_is_refused() {
        for (text, said) in [
            ("[threshold]\nage_key_days = 30\n", "there is no table [thresholds] in it"),
            ("thresholds = 3\n", "thresholds: must be a table of figures"),
            ("[thresholds]\nage_key_days = = 3\n", "line 2, column 16: "),
            (&" ".repeat((128 << 10) + 1), "it is longer than 128 KiB"),
        ] {
            let refused = thresholds_of(text).unwrap_err().to_string();
            assert!(refused.starts_with(said), "{refused}");
        }
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("long.toml");
        std::fs::write(&file, format!("[thresholds]\n{}", "#".repeat(128 << 10))).unwrap();
        assert_eq!(thresholds_in(&file).unwrap_err().to_string(), "it is longer than 128 KiB");
    }
}
