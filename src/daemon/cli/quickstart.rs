//! `quickstart`: what is said before anything is read, and after the configuration was written.
//! It must never begin to read before it said what.

use std::path::Path;

use super::{CliError, Screen};

/// Says what is about to be read: one line for each source, in the connector's own words.
pub fn announce(sources: &[(&str, String)], screen: &mut Screen<'_>) -> Result<(), CliError> {
    screen.remark("About to read, and only to read:")?;
    for (name, about) in sources {
        screen.remark(&format!("  {name}: {about}"))?;
    }
    Ok(())
}

/// Says what became of the configuration: written, or left as it was.
pub fn configuration(file: &Path, written: bool, screen: &mut Screen<'_>) -> Result<(), CliError> {
    let file = file.display();
    screen.remark(&if written {
        format!("Wrote {file}; change it, then `provost config check`.")
    } else {
        format!("{file} is there already and was left as it is.")
    })?;
    Ok(())
}

/// The text of a configuration for these sources: each with its connector's own example entry.
pub fn text<'a>(entries: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = "# Written by `provost quickstart`. `provost config example` shows every setting.\n".to_owned();
    for entry in entries {
        text.push('\n');
        text.push_str(entry.trim());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::screen::fake::written,
        config::{Environment, Paths, parse},
        output::Format,
    };

    #[test]
    fn everything_is_said_beforehand_on_the_side_of_remarks() {
        let (out, err) = written(Format::Table, |screen| {
            announce(&[("this-host", "files below /home/a\u{1b}".to_owned())], screen).unwrap();
            configuration(Path::new("/c/provost.toml"), false, screen).unwrap();
        });
        assert_eq!(out, "");
        assert_eq!(
            err,
            "About to read, and only to read:\n  this-host: files below /home/a\\u{1b}\n\
             /c/provost.toml is there already and was left as it is.\n"
        );
    }

    #[test]
    fn what_is_written_can_be_read() {
        let paths = Paths::find(None, &Environment::new([("HOME".to_owned(), "/h".to_owned())], 1000)).unwrap();
        let text = text(["[[sources]]\nname = \"this-host\"\nconnector = \"host\"\nschedule = \"17 */6 * * *\"\n"]);
        assert_eq!(parse(&text, &paths).unwrap().sources.len(), 1);
    }
}
