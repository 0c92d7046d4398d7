//! The linker's map: which function came from which crate; and the list of those that ran, made of it.
//! It must never put a hash of the compiler into the list: the next version has others.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

const HEAD: &str =
    "/* Written by `cargo xtask layout`: the functions that ran while it looked, crate by crate. They lie side by side,
   so that only they are in memory. A name that is no more costs nothing; one that is missing costs a page. */
";

/// What the linker laid out.
#[derive(Debug, Default)]
pub(super) struct Map {
    /// By the name of the function: its sections, each with the crate of the object it is in.
    functions: BTreeMap<String, Vec<(String, String)>>,
}

/// The list for the linker.
pub(super) struct List {
    pub(super) text: String,
    pub(super) names: usize,
}

impl Map {
    /// Reads a map of LLD's: address, address, size, alignment, and `OBJECT:(SECTION)`.
    pub(super) fn read(text: &str) -> Self {
        let mut map = Self::default();
        for line in text.lines() {
            let Some((object, section)) = line.trim_end().rsplit_once(":(") else { continue };
            let Some(section) = section.strip_suffix(')').filter(|it| it.starts_with(".text.")) else { continue };
            let file = object.rsplit('/').next().unwrap_or_default();
            // Where a name could begin: behind `.text.` or behind what the compiler thinks of how often it runs.
            let name = [".text.unlikely.", ".text.hot.", ".text."].iter().find_map(|it| section.strip_prefix(it));
            if let Some(name) = name {
                map.functions.entry(name.to_owned()).or_default().push((section.to_owned(), of_crate(file)));
            }
        }
        map
    }

    /// The list of what ran.
    pub(super) fn list(&self, called: &BTreeSet<String>) -> List {
        let mut crates: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for (section, object) in called.iter().filter_map(|name| self.functions.get(name)).flatten() {
            crates.entry(object).or_default().insert(without_hashes(section));
        }
        let names = crates.values().map(BTreeSet::len).sum();
        let mut text = format!("{HEAD}SECTIONS\n{{\n  .text.used :\n  {{\n");
        for (object, sections) in crates {
            let _ = writeln!(text, "    {object}(");
            for section in sections {
                let _ = writeln!(text, "      {section}");
            }
            text.push_str("    )\n");
        }
        text.push_str("  }\n}\nINSERT BEFORE .text;\n");
        List { text, names }
    }
}

/// A name as the watcher gives it, without what it adds for versions and recursion.
pub(super) fn plain(name: &str) -> String {
    name.split(['@', '\'']).next().unwrap_or_default().to_owned()
}

/// The pattern of the objects of a crate. A unit of code is named `PROGRAM.CRATE-HASH.CRATE.HASH-cgu.N.rcgu.o`; what is in no
/// such unit is the C libraries' and our own last part.
fn of_crate(file: &str) -> String {
    let parts: Vec<&str> = file.split('.').collect();
    let of = parts.windows(2).find_map(|pair| match pair {
        [hashed, name] => hashed.strip_prefix(name)?.strip_prefix('-').filter(|it| is_hash(it)).map(|_| *name),
        _ => None,
    });
    of.map_or_else(|| "*".to_owned(), |name| format!("*.{name}.*"))
}

fn is_hash(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|it| it.is_ascii_hexdigit())
}

/// The pattern of a section: anything in place of the compiler's hashes, which stand at the end of a name (`17h…E`, and where
/// the linker had to tell two apart `.llvm.…`) or of a crate (`Cs…_`).
fn without_hashes(section: &str) -> String {
    if let Some((name, _)) = section.rsplit_once("17h").filter(|(_, rest)| rest.get(..16).is_some_and(is_hash)) {
        return format!("{name}17h*");
    }
    let (section, end) = section.split_once(".llvm.").map_or((section, ""), |(name, _)| (name, "*"));
    let mut parts = section.split("Cs");
    let mut pattern = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part
            .split_once('_')
            .filter(|(hash, _)| hash.len() > 7 && hash.bytes().all(|it| it.is_ascii_alphanumeric()))
        {
            Some((_, rest)) => {
                let _ = write!(pattern, "Cs*_{rest}");
            }
            None => {
                let _ = write!(pattern, "Cs{part}");
            }
        }
    }
    pattern + end
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = "
          d6e390           d6e390      139     1         /t/provost-7eec033e6396644e.redb-a79a8816d9fd6004.redb.39b02397e671b2d1-cgu.0.rcgu.o.rcgu.o:(.text._ZN4redb4open17h0123456789abcdefE)
          d6e390           d6e390      139     1                 _ZN4redb4open17h0123456789abcdefE
          d6e4c9           d6e4c9       33     1         /t/provost-7eec033e6396644e.redb-a79a8816d9fd6004.redb.39b02397e671b2d1-cgu.1.rcgu.o.rcgu.o:(.text._ZN4redb5close17hfedcba9876543210E.llvm.7)
          d6e500           d6e500       33     1         /t/libstd-9.rlib(std-9.std.1-cgu.0.rcgu.o):(.text.unlikely._RNvNtCs4X4t9plMPHF_3std4rt_Cs4X4t9plMPHF_3std.llvm.9)
          d6e600           d6e600       33     1         /t/libjemalloc.rlib(arena.o):(.text.arena_new)
          d6e700           d6e700       33     1         /t/libjemalloc.rlib(arena.o):(.text.arena_old)
          d6e800           d6e800       33     1         /t/libjemalloc.rlib(arena.o):(.rodata.main)
";

    #[test]
    fn what_ran_is_listed_by_crate_and_without_hashes() {
        let called = [
            "_ZN4redb4open17h0123456789abcdefE",
            "_ZN4redb5close17hfedcba9876543210E.llvm.7",
            "_RNvNtCs4X4t9plMPHF_3std4rt_Cs4X4t9plMPHF_3std.llvm.9",
            "arena_new",
            "main",
        ];
        let list = Map::read(MAP).list(&called.map(str::to_owned).into());
        assert_eq!(list.names, 4);
        let redb = "    *.redb.*(\n      .text._ZN4redb4open17h*\n      .text._ZN4redb5close17h*\n    )\n";
        let others = "    *(\n      .text.arena_new\n      .text.unlikely._RNvNtCs*_3std4rt_Cs*_3std*\n    )\n";
        assert!(list.text.contains(redb) && list.text.contains(others) && !list.text.contains("old"), "{}", list.text);
    }

    #[test]
    fn what_the_watcher_adds_to_a_name_is_taken_away() {
        assert_eq!(plain("malloc@@GLIBC_2.2.5"), "malloc");
        assert_eq!(plain("_ZN4redb4walk17h0123456789abcdefE'2"), "_ZN4redb4walk17h0123456789abcdefE");
    }
}
