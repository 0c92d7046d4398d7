//! The repositories of an organization as the last run left them: what the next run compares with, kept in a cursor.
//! It must never be believed when its version is another, nor hold anything but names, numbers and digests.

use std::collections::{BTreeMap, HashMap};

use provost_model::Cursor;

/// The form of the bytes; another is read as nothing.
const VERSION: u8 = 1;
const ARCHIVED: u8 = 1;
const HELD: u8 = 2;

/// One repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Repository {
    /// Its name below the organization.
    pub(super) name: String,
    /// Its id in GraphQL; empty where nobody will ask by it.
    pub(super) node: String,
    /// Whether it is archived.
    pub(super) archived: bool,
    /// Whether it ever held a credential, and so has a record as long as it exists.
    pub(super) held: bool,
    /// Digest of its deploy keys; zero if it has none.
    pub(super) keys: u64,
    /// The names of its environments.
    pub(super) environments: Vec<String>,
}

/// Every repository by its id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Index(pub(super) BTreeMap<u64, Repository>);

impl Index {
    /// What a cursor holds; `None` if it is of another version or damaged.
    pub(super) fn read(cursor: &Cursor) -> Option<Self> {
        let mut bytes = Bytes(&cursor.0);
        if bytes.byte()? != VERSION {
            return None;
        }
        let mut all = BTreeMap::new();
        while !bytes.0.is_empty() {
            let (id, flags, keys) = (bytes.number()?, bytes.byte()?, bytes.number()?);
            let (name, node, count) = (bytes.text()?, bytes.text()?, bytes.short()?);
            let environments = (0..count).map(|_| bytes.text()).collect::<Option<Vec<_>>>()?;
            let (archived, held) = (flags & ARCHIVED != 0, flags & HELD != 0);
            all.insert(id, Repository { name, node, archived, held, keys, environments });
        }
        Some(Self(all))
    }

    /// The cursor that holds it.
    pub(super) fn cursor(&self) -> Cursor {
        let mut bytes = vec![VERSION];
        for (id, it) in &self.0 {
            bytes.extend_from_slice(&id.to_be_bytes());
            bytes.push(if it.archived { ARCHIVED } else { 0 } | if it.held { HELD } else { 0 });
            bytes.extend_from_slice(&it.keys.to_be_bytes());
            put(&mut bytes, &it.name);
            // Only whoever has a record is asked for by that id.
            put(&mut bytes, if it.held { &it.node } else { "" });
            let count = u16::try_from(it.environments.len()).unwrap_or(u16::MAX);
            bytes.extend_from_slice(&count.to_be_bytes());
            it.environments.iter().take(usize::from(count)).for_each(|name| put(&mut bytes, name));
        }
        Cursor(bytes)
    }

    /// Ids by name, for what names repositories only.
    pub(super) fn by_name(&self) -> HashMap<&str, u64> {
        self.0.iter().map(|(id, it)| (it.name.as_str(), *id)).collect()
    }
}

fn put(bytes: &mut Vec<u8>, text: &str) {
    let length = u16::try_from(text.len()).unwrap_or(0);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend(text.bytes().take(usize::from(length)));
}

struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn short(&mut self) -> Option<u16> {
        let (first, rest) = self.0.split_first_chunk::<2>()?;
        self.0 = rest;
        Some(u16::from_be_bytes(*first))
    }

    fn number(&mut self) -> Option<u64> {
        let (first, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(u64::from_be_bytes(*first))
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::from(self.short()?);
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        String::from_utf8(text.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_survives_its_cursor() {
        let one = Repository {
            name: "api".into(),
            node: "R_1".into(),
            archived: true,
            held: true,
            keys: 7,
            environments: vec!["prod".into(), "a/b".into()],
        };
        let index = Index(BTreeMap::from([(1, one), (u64::MAX, Repository::default())]));
        assert_eq!(Index::read(&index.cursor()).unwrap(), index);
        let mut damaged = index.cursor();
        damaged.0.truncate(20);
        assert_eq!(Index::read(&damaged), None);
        assert_eq!(Index::read(&Cursor(vec![VERSION + 1])), None);
        assert_eq!(Index::read(&Cursor(vec![])), None);
    }
}
