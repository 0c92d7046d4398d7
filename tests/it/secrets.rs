//! The secret search: what was planted in the files looked at is nowhere in what the program writes or says.
//! It must never find nothing because it cannot find: the same search finds what is recorded on purpose.

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
use provost_connectors::host::testtree::{self, Planted};

use crate::program::{Place, Said, until};

/// Shorter pieces of longer values prove nothing.
const SHORTEST: usize = 16;
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

/// The pieces of a planted value that give it away: itself, or the lines of a key's body.
fn pieces(planted: &Planted) -> Vec<String> {
    let lines = planted.value.lines().filter(|line| !line.starts_with("-----") && line.len() >= SHORTEST);
    let mut pieces: Vec<String> = lines.map(str::to_owned).collect();
    // What all keys of a sort begin with is no secret.
    if pieces.len() > 3 {
        pieces.remove(0);
    }
    assert!(!pieces.is_empty(), "{} is too short to be searched for", planted.position);
    pieces
}

/// The secret halves of a token that is three texts with dots between them must not be found alone either.
fn needles(planted: &[Planted]) -> BTreeSet<String> {
    let pieces = planted.iter().flat_map(pieces);
    pieces.flat_map(|piece| [piece.clone(), piece.rsplit('.').next().unwrap_or_default().to_owned()]).collect()
}

/// Everything in which is searched: what it is, and the bytes.
#[derive(Default)]
struct Haystack(Vec<(String, Vec<u8>)>);

impl Haystack {
    fn said(&mut self, words: &[&str], said: &Said) {
        self.0.push((format!("the answer to {words:?}"), said.out.clone().into_bytes()));
        self.0.push((format!("the remarks on {words:?}"), said.err.clone().into_bytes()));
    }

    /// Every file below, as it is on disk, and unpacked if it is packed.
    fn files(&mut self, below: &Path) {
        for entry in fs::read_dir(below).unwrap() {
            let path = entry.unwrap().path();
            let kind = fs::symlink_metadata(&path).unwrap().file_type();
            if kind.is_dir() {
                self.files(&path);
            } else if kind.is_file() {
                let bytes = fs::read(&path).unwrap();
                if path.extension().is_some_and(|it| it == "zst") {
                    let mut unpacked = Vec::new();
                    zstd::Decoder::new(bytes.as_slice()).unwrap().read_to_end(&mut unpacked).unwrap();
                    self.0.push((format!("{} unpacked", path.display()), unpacked));
                }
                self.0.push((path.display().to_string(), bytes));
            }
        }
    }

    /// Which values are found where, and in which form.
    fn find<'a>(&self, values: impl IntoIterator<Item = &'a str>) -> Vec<(String, &'a str, &'static str)> {
        let search = Search::of(values);
        self.0.iter().flat_map(|(place, bytes)| search.through(place, bytes)).collect()
    }

    fn named(&self, part: &str) -> usize {
        self.0.iter().filter(|(place, bytes)| place.contains(part) && !bytes.is_empty()).count()
    }
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

#[test]
fn the_search_finds_every_form_anywhere() {
    let value = "pa/ss\"wörd+0123456789";
    for (name, form) in forms(value) {
        let mut haystack = Haystack::default();
        haystack.0.push(("here".into(), [b"xyz".as_slice(), &form, b"zyx"].concat()));
        assert!(haystack.find([value]).iter().any(|(_, _, found)| *found == name), "{name}");
    }
    for before in ["", "a", "ab", "abc"] {
        let mut haystack = Haystack::default();
        haystack.0.push(("here".into(), STANDARD_NO_PAD.encode(format!("{before}{value} and more")).into_bytes()));
        let found = haystack.find([value]);
        assert!(found.iter().all(|(_, _, form)| *form == "base64") && !found.is_empty(), "after {before:?}: {found:?}");
    }
}

#[test]
fn nothing_planted_is_written_or_said_anywhere() {
    let (place, tree) = Place::grown();
    // Recorded on purpose: the name of a file, and a word in a key's comment.
    let name = testtree::secret("a name that is no secret", 24);
    fs::copy(place.tree().join("tls/server.key"), place.tree().join(format!("tls/{name}.key"))).unwrap();
    let mut all = Haystack::default();
    let traced = |words: &[&str], all: &mut Haystack| {
        let said = Said::of(&place.command(words).env("PROVOST_LOG", "trace").output().unwrap());
        all.said(words, &said);
        said
    };

    fs::remove_file(place.configuration()).unwrap();
    let tree_root = place.tree();
    traced(&["quickstart", "--once", "--no-aws", "--root", tree_root.to_str().unwrap()], &mut all);
    // Every value changes: what was and what is goes through comparison and history.
    for file in tree.files.iter().filter(|file| file.path.ends_with(".env") || file.path.ends_with(".netrc")) {
        let text = String::from_utf8(file.content.clone()).unwrap().replace("robot", "robby");
        fs::write(place.tree().join(&file.path), text + "\n").unwrap();
    }
    place.configure("");
    for words in [
        &["scan", "-o", "json"][..],
        &["snapshot", "take"],
        &["snapshot", "verify"],
        &["inventory", "list"],
        &["inventory", "list", "--presence", "present,missing,gone,unwatched", "-o", "ndjson"],
        &["inventory", "list", "-o", "csv"],
        &["findings", "list", "--all", "-o", "ndjson"],
        &["sources"],
        &["status", "-o", "json"],
        &["config", "check"],
        &["check", "tree"],
    ] {
        traced(words, &mut all);
    }
    for record in place.listed(&["inventory", "list"]) {
        let id = record["id"].as_str().unwrap();
        if record["kind"] != "certificate" {
            continue;
        }
        traced(&["inventory", "show", id], &mut all);
        traced(&["inventory", "history", id], &mut all);
    }
    let findings = place.listed(&["findings", "list"]);
    let mut rules = BTreeSet::new();
    for finding in findings.iter().filter(|it| rules.insert(it["rule"].as_str().unwrap())) {
        traced(&["findings", "explain", finding["id"].as_str().unwrap()], &mut all);
    }
    assert!(rules.len() > 3, "{rules:?}");
    daemon(&place);
    for directory in ["state", "config", "home", "run"] {
        all.files(&place.path(directory));
    }
    let log = fs::read(place.path("daemon.log")).unwrap();
    all.0.push(("the daemon's log".into(), log));

    // There is something to search in.
    for part in ["sled", "unpacked", "the daemon's log", "the answer to", "the remarks on"] {
        assert!(all.named(part) > 0, "nothing was written to {part}");
    }
    let found = all.find([name.as_str()]);
    for part in ["unpacked", "ndjson", "provost/sled"] {
        assert!(found.iter().any(|(place, ..)| place.contains(part)), "the control is not found in {part}: {found:?}");
    }
    let needles = needles(&tree.planted);
    assert!(needles.len() > 60, "{}", needles.len());
    assert_eq!(all.find(needles.iter().map(String::as_str)), [], "values that were planted");
}

/// Looks once more as a daemon that logs everything.
fn daemon(place: &Place) {
    let log = fs::File::create(place.path("daemon.log")).unwrap();
    let schedule = "schedule = \"0 0 1 1 *\"\n";
    place.configure(schedule);
    let mut command = place.command(&["run"]);
    command.env("PROVOST_LOG", "trace").stderr(log).stdout(std::process::Stdio::null());
    let mut running = crate::program::Running(command.spawn().unwrap());
    let socket: PathBuf = place.socket();
    until("the daemon answers", || socket.exists());
    place.done(&["scan"]);
    running.signal(rustix::process::Signal::TERM);
    assert_eq!(running.ends(), 0);
}
