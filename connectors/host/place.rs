//! Names of places on a host: a path as it is written in records, and what the file system says of a file.
//! It must never lose a name: bytes that are no UTF-8 are written as escapes that can be read back.

use std::{collections::BTreeMap, ffi::OsStr, os::unix::ffi::OsStrExt, path::Path, sync::Arc};

use provost_model::{Facts, Reading, Time, field};

/// Longest position or path kept whole in a key, in bytes; longer ones end in a digest.
const NAME_MAX: usize = 1024;

/// A file or directory by its absolute path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    raw: Vec<u8>,
    shown: String,
}

/// What the file system says of a file, and who could read it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FileFacts {
    /// Permission bits.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Last change of its content, in seconds and nanoseconds since 1970.
    pub modified: (i64, i64),
    /// Whether every directory above lets its group, and others, pass.
    pub reach: Reach,
}

/// Whom the directories above a file let pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    /// Members of some group.
    pub group: bool,
    /// Everybody.
    pub others: bool,
}

/// User names by number, as `/etc/passwd` has them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Users(Arc<BTreeMap<u32, String>>);

impl Place {
    /// The place of that absolute path.
    pub(crate) fn new(raw: impl Into<Vec<u8>>) -> Self {
        let raw = raw.into();
        let shown = escaped(&raw);
        Self { raw, shown }
    }

    /// A place in this directory.
    pub(crate) fn child(&self, name: &[u8]) -> Self {
        let mut raw = self.raw.clone();
        if raw.last() != Some(&b'/') {
            raw.push(b'/');
        }
        raw.extend_from_slice(name);
        Self::new(raw)
    }

    /// The directory it lies in.
    pub(crate) fn directory(&self) -> &Path {
        let end = self.raw.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at.max(1));
        Path::new(OsStr::from_bytes(self.raw.get(..end).unwrap_or_default()))
    }

    /// The path, escaped.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// The last component, escaped.
    pub(crate) fn name(&self) -> &str {
        self.shown.rsplit('/').next().unwrap_or_default()
    }

    /// The name of the directory it lies in, escaped.
    pub(crate) fn parent(&self) -> &str {
        self.shown.rsplit('/').nth(1).unwrap_or_default()
    }

    /// Whether the path ends in these components, such as `.aws/credentials`.
    pub(crate) fn ends(&self, tail: &str) -> bool {
        self.shown.strip_suffix(tail).is_some_and(|before| before.ends_with('/'))
    }

    /// Whether these components occur below one another anywhere above the last one, such as `.aws/sso/cache`.
    pub(crate) fn below(&self, components: &str) -> bool {
        let above = self.shown.rsplit_once('/').map_or("", |(above, _)| above);
        let inner = format!("/{components}");
        above.ends_with(&inner) || above.contains(&format!("{inner}/"))
    }

    /// Whether the last component has that extension.
    pub(crate) fn has_extension(&self, extension: &str) -> bool {
        self.name().rsplit_once('.').is_some_and(|(stem, its)| !stem.is_empty() && its.eq_ignore_ascii_case(extension))
    }

    /// The external id of something at a position in this file.
    pub(crate) fn external(&self, position: &str) -> String {
        bounded(format!("{}#{}", self.shown, escaped(position.as_bytes())))
    }
}

impl FileFacts {
    /// Whether users beside the owner can read the file, by its mode and by the directories above it. Access lists are
    /// not read: where there is one the group bits are its upper bound.
    pub(crate) fn readable_by_others(&self) -> bool {
        (self.mode & 0o004 != 0 && self.reach.others) || (self.mode & 0o040 != 0 && self.reach.group)
    }

    /// The facts about a file that every record of something in it carries.
    pub(crate) fn facts(&self, place: &Place, users: &Users) -> Facts {
        let (seconds, nanos) = self.modified;
        let modified = Time::from_micros(seconds.saturating_mul(1_000_000).saturating_add(nanos / 1_000));
        Facts::new()
            .with(field::LOCATION, place.shown().to_owned())
            .with(field::MODE, format!("{:04o}", self.mode & 0o7777))
            .with(field::FILE_OWNER, users.name(self.uid))
            .with(field::FILE_OWNER_UID, i64::from(self.uid))
            .with(field::MODIFIED_AT, modified)
            .with(field::READABLE_BY_OTHERS, self.readable_by_others())
    }
}

impl Reach {
    /// Nothing is above.
    pub(crate) const ALL: Reach = Reach { group: true, others: true };

    /// Whom a directory of that mode lets pass, of those who came so far.
    pub(crate) fn through(self, mode: u32) -> Self {
        Self { group: self.group && mode & 0o011 != 0, others: self.others && mode & 0o001 != 0 }
    }
}

impl Default for Reach {
    fn default() -> Self {
        Self::ALL
    }
}

impl Users {
    /// The users in the text of a passwd file; lines that make no sense are left out.
    pub(crate) fn from_passwd(text: &str) -> Self {
        let entry = |line: &str| {
            let mut columns = line.split(':');
            let name = columns.next()?.to_owned();
            let uid = columns.nth(1)?.parse().ok()?;
            Some((uid, name))
        };
        let mut users = BTreeMap::new();
        for (uid, name) in text.lines().take(100_000).filter_map(entry) {
            users.entry(uid).or_insert(name);
        }
        Self(Arc::new(users))
    }

    /// The name of that user, if it has one.
    pub(crate) fn name(&self, uid: u32) -> Reading<String> {
        self.0.get(&uid).cloned().map_or(Reading::NotReported, Reading::Known)
    }
}

/// The bytes as text in which `\`, `#`, control characters and what is no UTF-8 are written as escapes.
pub(crate) fn escaped(raw: &[u8]) -> String {
    let mut text = String::with_capacity(raw.len());
    for chunk in raw.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '\\' => text.push_str("\\\\"),
                '#' => text.push_str("\\x23"),
                letter if letter.is_control() => text.push_str(&format!("\\u{{{:x}}}", u32::from(letter))),
                letter => text.push(letter),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

fn bounded(name: String) -> String {
    if name.len() <= NAME_MAX {
        return name;
    }
    let digest = super::digest(name.as_bytes());
    let kept = name.char_indices().take_while(|(at, letter)| at + letter.len_utf8() <= NAME_MAX - 20).map(|(_, it)| it);
    format!("{}…{}", kept.collect::<String>(), digest.get(..16).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_no_utf8_are_kept_apart() {
        let one = Place::new(*b"/home/a/\xff\xfe#.env");
        let other = Place::new(*b"/home/a/\xff\xfd#.env");
        assert_eq!(one.shown(), "/home/a/\\xff\\xfe\\x23.env");
        assert_ne!(one.external("A"), other.external("A"));
        assert_ne!(Place::new(*b"/a\\xff").shown(), Place::new(*b"/a\xff").shown());
    }

    #[test]
    fn tails_match_whole_components_only() {
        let place = Place::new(*b"/home/a/.aws/sso/cache/x.json");
        assert!(place.ends("cache/x.json") && !place.ends("ache/x.json"));
        assert!(place.below(".aws/sso/cache") && place.below(".aws/sso") && !place.below("aws/sso"));
        assert!(place.has_extension("json") && !Place::new(*b"/x/.json").has_extension("json"));
    }

    #[test]
    fn a_long_name_ends_in_a_digest() {
        let long = Place::new(format!("/{}", "é".repeat(4000)));
        assert!(long.external("A").len() <= NAME_MAX + 8);
        assert_ne!(long.external("A"), long.external("B"));
    }

    #[test]
    fn a_private_directory_above_keeps_others_out() {
        let reach = Reach::ALL.through(0o755).through(0o700);
        let file = FileFacts { mode: 0o644, reach, ..FileFacts::default() };
        assert!(!file.readable_by_others());
        assert!(
            FileFacts { mode: 0o644, reach: Reach::ALL.through(0o755), ..FileFacts::default() }.readable_by_others()
        );
        assert!(
            FileFacts { mode: 0o640, reach: Reach::ALL.through(0o750), ..FileFacts::default() }.readable_by_others()
        );
        assert!(
            !FileFacts { mode: 0o604, reach: Reach::ALL.through(0o750), ..FileFacts::default() }.readable_by_others()
        );
    }
}
