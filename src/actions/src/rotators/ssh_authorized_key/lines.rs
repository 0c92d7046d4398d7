//! The lines of an `authorized_keys` file (sshd(8), "AUTHORIZED_KEYS FILE FORMAT"): read, and written with one key changed.
//! It must never change a line of another key, nor a line that is not understood.

use provost_model::{Reading, Slot};

use super::super::marks;
use crate::given::ssh_key::digest_of;

/// What a line that is not to be used for now begins with.
const OFF: &str = "# provost-disabled ";

/// A line with a key.
pub(super) struct Line<'t> {
    off: bool,
    options: &'t str,
    comment: &'t str,
    digest: String,
}

/// What becomes of the lines of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Off,
    On,
    Away,
}

impl<'t> Line<'t> {
    fn read(text: &'t str) -> Option<Self> {
        let (off, text) = text.strip_prefix(OFF).map_or((false, text), |text| (true, text));
        let text = text.trim();
        if text.starts_with('#') {
            return None;
        }
        let (options, rest) = if starts_with_kind(text) { ("", text) } else { split_options(text)? };
        if !starts_with_kind(rest) {
            return None;
        }
        let digest = digest_of(rest)?;
        let mut rest = rest.splitn(3, [' ', '\t']);
        Some(Self { off, options, comment: rest.nth(2).unwrap_or_default().trim(), digest })
    }
}

/// Every key once, in the order of the file; what it is called is put behind `before`.
pub(super) fn slots(text: &str, id: impl Fn(&str) -> String) -> Vec<Slot> {
    let mut slots: Vec<Slot> = Vec::new();
    for line in text.lines().filter_map(Line::read) {
        let id = id(&line.digest);
        match slots.iter_mut().find(|it| it.id == id) {
            Some(slot) => slot.active |= !line.off,
            None => slots.push(Slot {
                id,
                active: !line.off,
                made_at: Reading::NotReported,
                used_at: Reading::NotReported,
                mark: marks::split(line.comment).0,
            }),
        }
    }
    slots
}

/// The text with one more line: a key that may do what that one may. None if that one is not there.
pub(super) fn with(text: &str, like: &str, (public, mark): (&str, &str)) -> Option<String> {
    let line = text.lines().filter_map(Line::read).find(|it| it.digest == like)?;
    let comment = marks::with(mark, line.comment);
    let words = [line.options, public, &comment];
    let words: Vec<&str> = words.into_iter().filter(|it| !it.is_empty()).collect();
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    Some(format!("{text}{end}{}\n", words.join(" ")))
}

/// The text with every line of that key changed.
pub(super) fn changed(text: &str, digest: &str, change: Change) -> String {
    let mut changed = String::with_capacity(text.len() + OFF.len());
    for whole in text.split_inclusive('\n') {
        let line = Line::read(whole.trim_end_matches(['\n', '\r'])).filter(|it| it.digest == digest);
        match (line, change) {
            (Some(_), Change::Away) => {}
            (Some(line), Change::Off) if !line.off => changed.extend([OFF, whole]),
            (Some(line), Change::On) if line.off => changed.push_str(whole.strip_prefix(OFF).unwrap_or(whole)),
            _ => changed.push_str(whole),
        }
    }
    changed
}

fn starts_with_kind(line: &str) -> bool {
    let word = line.split_ascii_whitespace().next().unwrap_or_default();
    ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-", "rsa-sha2-"].iter().any(|start| word.starts_with(start))
}

/// Options end at the first blank outside of quotes.
fn split_options(line: &str) -> Option<(&str, &str)> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b' ' | b'\t' if !quoted => return Some((line.get(..at)?, line.get(at..)?.trim_start())),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::given::ssh_key::made;

    #[test]
    fn a_key_goes_off_on_and_away_and_all_else_stays() {
        let [one, two] = ["", ""].map(|it| made(it).unwrap());
        let options = r#"from="10.0.0.0/8",command="/bin/run \"a b\" # no",no-pty"#;
        let others = format!("# people\n\n# ssh-rsa AAAA old\nnonsense\n{} two\r\n", two.public);
        let text = format!("{others}{options} {} ann@ci of acme\n  {} twice", one.public, one.public);
        let seen = |text: &str| -> Vec<(String, bool)> {
            slots(text, str::to_owned).into_iter().map(|it| (it.id, it.active)).collect()
        };
        assert_eq!(seen(&text), [(two.digest.clone(), true), (one.digest.clone(), true)]);
        let off = changed(&text, &one.digest, Change::Off);
        assert_eq!(seen(&off), [(two.digest.clone(), true), (one.digest.clone(), false)]);
        assert!(off.starts_with(&others));
        assert_eq!(changed(&off, &one.digest, Change::Off), off);
        assert_eq!(changed(&off, &one.digest, Change::On), text);
        for text in [&text, &off] {
            assert_eq!(changed(text, &one.digest, Change::Away), others);
        }
        let new = made("").unwrap();
        let more = with(&text, &one.digest, (&new.public, "provost 7")).unwrap();
        assert_eq!(more, format!("{text}\n{options} {} provost 7 ann@ci of acme\n", new.public));
        assert_eq!(slots(&more, str::to_owned)[2].mark.as_deref(), Some("provost 7"));
        // Marks are not heaped up.
        let again = with(&more, &new.digest, (&two.public, "provost 8")).unwrap();
        assert!(again.ends_with(&format!("{options} {} provost 8 ann@ci of acme\n", two.public)));
        assert_eq!(with(&text, &new.digest, (&new.public, "provost 7")), None);
    }
}
