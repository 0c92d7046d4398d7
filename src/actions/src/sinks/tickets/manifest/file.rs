//! The manifest's file: only one that nobody but root and the daemon's user can change, and only a small one.
//! It must never repeat what stands in it, nor its path: either may be a secret in the wrong place.

use std::{fs::File, io::Read as _, path::Path};

use super::typed::Typed;
use crate::given::program;

/// Longest manifest, in bytes.
const LONGEST: u64 = 64 << 10;

/// The manifest in that file, as typed.
pub(super) fn read(path: &str) -> Result<Typed, String> {
    let path = Path::new(path);
    if !path.is_absolute() {
        return Err("expected an absolute path".to_owned());
    }
    let real = program::trusted(path, rustix::process::geteuid().as_raw())?;
    let file = File::open(real).map_err(|error| error.kind().to_string())?;
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(|error| error.kind().to_string())?;
    if bytes.len() as u64 > LONGEST {
        return Err(format!("it is longer than {} KiB", LONGEST >> 10));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| "it is no text in UTF-8".to_owned())?;
    parse(text)
}

/// The same of a text. One fault at a time: what comes after a wrong type cannot be trusted.
pub(super) fn parse(text: &str) -> Result<Typed, String> {
    toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!("{line}:{column}: {}", without_values(error.message()))
    })
}

/// The message without what stands in the text, but for names of ours.
fn without_values(message: &str) -> String {
    let quotes_a_value = ["invalid type: ", "invalid value: ", "unknown variant "];
    if !quotes_a_value.iter().any(|it| message.starts_with(it)) {
        return message.to_owned();
    }
    let expected = message.rsplit_once(", expected ").map_or("something else", |(_, expected)| expected);
    format!("expected {expected}")
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn only_a_small_file_that_nobody_else_can_change_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("manifest.toml");
        let said = |text: &[u8], mode: u32| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            read(path.to_str().unwrap()).err().unwrap()
        };
        assert_eq!(said(b"", 0o600), "1:1: missing field `title`");
        assert_eq!(said(b"", 0o620), "it can be written by others");
        assert_eq!(said(b"", 0o602), "it can be written by others");
        assert_eq!(said(&vec![b'#'; 65 << 10], 0o600), "it is longer than 64 KiB");
        assert_eq!(said(&[0xff], 0o600), "it is no text in UTF-8");
        fs::remove_file(&path).unwrap();
        assert_eq!(read(path.to_str().unwrap()).err().unwrap(), "entity not found");
        assert_eq!(read(dir.path().to_str().unwrap()).err().unwrap(), "it is not a regular file");
        assert_eq!(read("manifest.toml").err().unwrap(), "expected an absolute path");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(said(b"", 0o600), "a directory above it can be written by others");
    }

    #[test]
    fn a_fault_has_its_line_and_no_value() {
        for (text, says) in [
            ("title = \"x\"\nurl = 7", "2:7: expected a string"),
            ("title = \"x\"\nsecret = \"hunter2\"", "2:1: unknown field `secret`"),
            ("title = [\"hunter2\"]", "1:9: expected a string"),
            ("auth = { bearer = { hunter2 = 1 } }", "1:"),
            ("title = hunter2", "1:"),
        ] {
            let said = parse(text).err().unwrap();
            assert!(said.starts_with(says) && !said.contains("hunter2"), "{said}");
        }
    }
}
