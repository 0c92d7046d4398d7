//! The doors to this program's readers: those of the house, and the one to JSON text.
//! It must never let a text move a cursor, reorder a line or hide a character where JSON is read on a terminal.

use std::io;

pub use provost_model::door::{csv_cell, html, is_hidden, log, terminal};
use serde_json::ser::Formatter;

/// To a JSON text: the same value, but hidden characters are written as `\u` escapes, since JSON is read on terminals too.
#[derive(Clone, Copy, Debug, Default)]
pub struct JsonDoor;

impl Formatter for JsonDoor {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        if !fragment.chars().any(is_hidden) {
            return writer.write_all(fragment.as_bytes());
        }
        let mut units = [0; 2];
        let mut bytes = [0; 4];
        for letter in fragment.chars() {
            if is_hidden(letter) {
                for unit in letter.encode_utf16(&mut units) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            } else {
                writer.write_all(letter.encode_utf8(&mut bytes).as_bytes())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use provost_model::door::corpus::HOSTILE;
    use serde::Serialize;

    use super::*;

    #[test]
    fn json_keeps_the_value_and_shows_nothing_hidden() {
        for (text, tries) in HOSTILE {
            let mut out = Vec::new();
            text.serialize(&mut serde_json::Serializer::with_formatter(&mut out, JsonDoor)).unwrap();
            let written = String::from_utf8(out).unwrap();
            assert!(!written.chars().any(is_hidden), "{tries}: {written:?}");
            assert_eq!(serde_json::from_str::<String>(&written).unwrap(), *text, "{tries}");
        }
    }
}
