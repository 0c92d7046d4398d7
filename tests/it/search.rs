//! The search for secrets: values in every form in which they might be written down, in everything that was written or said.
//! It must never find nothing because it cannot find: what it has to find, it is tried with.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

use crate::program::Said;

/// What something packed begins with (RFC 8878).
const PACKED: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Everything in which is searched: what it is, and the bytes.
#[derive(Default)]
pub struct Haystack(Vec<(String, Vec<u8>)>);

impl Haystack {
    /// Something of that name.
    pub fn add(&mut self, name: impl Into<String>, bytes: Vec<u8>) {
        self.0.push((name.into(), bytes));
    }

    /// What the program said to these words.
    pub fn said(&mut self, words: &[&str], said: &Said) {
        self.add(format!("the answer to {words:?}"), said.out.clone().into_bytes());
        self.add(format!("the remarks on {words:?}"), said.err.clone().into_bytes());
    }

    /// Every file below but those, as it is on disk, and what is packed in it, unpacked.
    pub fn files(&mut self, below: &Path, but: &[PathBuf]) {
        for entry in fs::read_dir(below).unwrap() {
            let path = entry.unwrap().path();
            if but.contains(&path) {
                continue;
            }
            let kind = fs::symlink_metadata(&path).unwrap().file_type();
            if kind.is_dir() {
                self.files(&path, but);
            } else if kind.is_file() {
                let bytes = fs::read(&path).unwrap();
                for (number, unpacked) in unpacked(&bytes).into_iter().enumerate() {
                    self.add(format!("{} unpacked {number}", path.display()), unpacked);
                }
                self.add(path.display().to_string(), bytes);
            }
        }
    }

    /// Which values are found where, and in which form.
    pub fn find<'a>(&self, values: impl IntoIterator<Item = &'a str>) -> Vec<(String, &'a str, &'static str)> {
        let search = Search::of(values);
        self.0.iter().flat_map(|(place, bytes)| search.through(place, bytes)).collect()
    }

    /// How many of those with that in their name have anything in them.
    pub fn named(&self, part: &str) -> usize {
        self.0.iter().filter(|(place, bytes)| place.contains(part) && !bytes.is_empty()).count()
    }
}

/// What is packed in these bytes, wherever it begins. Most of what looks like a beginning is none.
fn unpacked(bytes: &[u8]) -> Vec<Vec<u8>> {
    let begins = bytes.windows(PACKED.len()).enumerate().filter(|(_, it)| *it == PACKED);
    let read = |(at, _): (usize, &[u8])| {
        let mut unpacked = Vec::new();
        let ended = zstd::Decoder::new(&bytes[at..]).unwrap().single_frame().read_to_end(&mut unpacked);
        ended.is_ok().then_some(unpacked)
    };
    begins.filter_map(read).collect()
}

/// A value, the name of the form, the bytes.
type Form<'a> = (&'a str, &'static str, Vec<u8>);

/// All forms of many values, so that everything is gone through once.
struct Search<'a> {
    /// Whether any form begins with these two bytes.
    likely: Vec<bool>,
    by_beginning: BTreeMap<[u8; BEGINNING], Vec<Form<'a>>>,
}

impl<'a> Search<'a> {
    fn of(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut search = Self { likely: vec![false; 1 << 16], by_beginning: BTreeMap::new() };
        for value in values {
            for (name, form) in forms(value) {
                search.likely[usize::from(u16::from_be_bytes([form[0], form[1]]))] = true;
                let beginning = *form.first_chunk().unwrap();
                search.by_beginning.entry(beginning).or_default().push((value, name, form));
            }
        }
        search
    }

    fn through(&self, place: &str, bytes: &[u8]) -> Vec<(String, &'a str, &'static str)> {
        let mut found = BTreeSet::new();
        for (at, pair) in bytes.windows(2).enumerate() {
            if !self.likely[usize::from(u16::from_be_bytes([pair[0], pair[1]]))] {
                continue;
            }
            let Some(forms) = bytes[at..].first_chunk().and_then(|it| self.by_beginning.get(it)) else { continue };
            let here = forms.iter().filter(|(_, _, form)| bytes[at..].starts_with(form));
            found.extend(here.map(|(value, name, _)| (*value, *name)));
        }
        found.into_iter().map(|(value, name)| (place.to_owned(), value, name)).collect()
    }
}

/// Bytes by which forms are told apart at first.
const BEGINNING: usize = 8;

/// A value in every form in which it might be written down: the form's name, and the bytes.
fn forms(value: &str) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = value.as_bytes();
    let json = serde_json::to_string(value).unwrap();
    let escaped: String = value.bytes().map(|it| format!("%{it:02X}")).collect();
    let url: String = url_escaped(value);
    let mut forms = vec![
        ("as is", bytes.to_vec()),
        ("hex", hex::encode(bytes).into_bytes()),
        ("upper hex", hex::encode_upper(bytes).into_bytes()),
        ("JSON", json.trim_matches('"').as_bytes().to_vec()),
        ("URL", url.into_bytes()),
        ("URL, every byte", escaped.into_bytes()),
        ("UTF-16", value.encode_utf16().flat_map(u16::to_le_bytes).collect()),
    ];
    // Base64 of a text that holds the value depends on where in it the value begins; its first and last letters on what
    // stands beside it.
    for before in 0..3 {
        let padded = [&vec![0; before], bytes].concat();
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let encoded = engine.encode(&padded);
            let from = if before == 0 { 0 } else { 4 };
            forms.push(("base64", encoded.as_bytes()[from..encoded.len() - 2].to_vec()));
        }
    }
    forms
}

fn url_escaped(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    value.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[test]
fn the_search_finds_every_form_anywhere() {
    let value = "pa/ss\"wörd+0123456789";
    for (name, form) in forms(value) {
        let mut haystack = Haystack::default();
        haystack.add("here", [b"xyz".as_slice(), &form, b"zyx"].concat());
        assert!(haystack.find([value]).iter().any(|(_, _, found)| *found == name), "{name}");
    }
    for before in ["", "a", "ab", "abc"] {
        let mut haystack = Haystack::default();
        haystack.add("here", STANDARD_NO_PAD.encode(format!("{before}{value} and more")).into_bytes());
        let found = haystack.find([value]);
        assert!(found.iter().all(|(_, _, form)| *form == "base64") && !found.is_empty(), "after {before:?}: {found:?}");
    }
}
