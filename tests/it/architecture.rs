//! Keeps the walls of the house: who may import whom, how long a file may be, what every file says first.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Every room, and the rooms it may import.
const ROOMS: [(&str, &[&str]); 7] = [
    ("src/model", &[]),
    ("src/client", &["provost-model"]),
    ("src/engine", &["provost-model"]),
    ("src/store", &["provost-model"]),
    ("src/actions", &["provost-model", "provost-client"]),
    ("connectors", &["provost-model", "provost-client"]),
    (".", &["provost-model", "provost-engine", "provost-store", "provost-actions", "provost-connectors"]),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn manifest(room: &str) -> toml::Table {
    fs::read_to_string(root().join(room).join("Cargo.toml")).unwrap().parse().unwrap()
}

fn sources() -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut pending: Vec<PathBuf> = ["src", "connectors", "tests"].iter().map(|it| root().join(it)).collect();
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.insert(path.strip_prefix(root()).unwrap().to_owned(), text);
            }
        }
    }
    found
}

#[test]
fn rooms_import_only_whom_they_may() {
    for (room, may) in ROOMS {
        let manifest = manifest(room);
        for table in ["dependencies", "build-dependencies"] {
            let Some(dependencies) = manifest.get(table).and_then(toml::Value::as_table) else { continue };
            for name in dependencies.keys().filter(|name| name.starts_with("provost-")) {
                assert!(may.contains(&name.as_str()), "{room} must not import {name}");
            }
        }
    }
}

#[test]
fn the_model_does_nothing() {
    let manifest = manifest("src/model");
    let names: Vec<_> = manifest["dependencies"].as_table().unwrap().keys().cloned().collect();
    assert_eq!(names, ["jiff", "serde"], "the model is nouns: no I/O, no async, no randomness");
}

#[test]
fn only_its_room_knows_an_engine_or_a_client() {
    for (room, _) in ROOMS {
        let manifest = manifest(room);
        let names: Vec<_> = manifest["dependencies"].as_table().unwrap().keys().cloned().collect();
        // Logins of databases are changed in the databases' own protocol.
        let guarded: [(&str, &[&str]); 4] = [
            ("sled", &["src/store"]),
            ("redb", &["src/store"]),
            ("sqlx", &["src/store", "src/actions"]),
            ("reqwest", &["src/client"]),
        ];
        for (guarded, homes) in guarded {
            assert!(
                homes.contains(&room) || !names.iter().any(|name| name == guarded),
                "{room} must not use {guarded}"
            );
        }
    }
}

/// What opens connections to speak HTTP, and who may bring it into the program: the transport of `src/client`.
const TRANSPORTS: [(&str, &[&str]); 6] = [
    ("reqwest", &["provost-client"]),
    // Octocrab names its types; its own transport is a feature, which is off.
    ("hyper-util", &["reqwest", "hyper-rustls", "octocrab"]),
    ("hyper-rustls", &["reqwest"]),
    ("aws-smithy-http-client", &[]),
    ("ureq", &[]),
    ("curl", &[]),
];

#[test]
fn one_transport_speaks_to_providers() {
    let lock: toml::Table = fs::read_to_string(root().join("Cargo.lock")).unwrap().parse().unwrap();
    for package in lock["package"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let needed = package.get("dependencies").and_then(toml::Value::as_array).into_iter().flatten();
        for needs in needed.filter_map(|it| it.as_str()?.split(' ').next()) {
            if let Some((_, may)) = TRANSPORTS.iter().find(|(transport, _)| *transport == needs) {
                assert!(may.contains(&name), "{name} brings {needs}: calls could leave around the gate");
            }
        }
    }
}

#[test]
fn no_library_brings_its_own_transport() {
    let dependencies = &manifest(".")["workspace"]["dependencies"];
    for (library, feature) in [("octocrab", "default-client"), ("aws-config", "default-https-client")] {
        let features = dependencies[library]["features"].as_array().unwrap();
        assert!(!features.iter().any(|it| it.as_str() == Some(feature)), "{library} with {feature}");
        assert_eq!(dependencies[library]["default-features"].as_bool(), Some(false), "{library}");
    }
}

#[test]
fn no_room_but_the_client_opens_a_socket_to_another_machine() {
    // The daemon listens on its own socket, in the file system; engines of the store have a protocol of their own, which
    // their suite stands between; the workshop tries what it builds on this machine; tests of all connectors stand between too.
    // Mail and logs are spoken in no HTTP; their hands have an order for whatever they send.
    let exempt = [
        "src/client",
        "src/xtask",
        "src/store/src/suite",
        "connectors/generic",
        "src/actions/src/sinks/mail/conversation.rs",
        "src/actions/src/sinks/syslog/way.rs",
    ];
    let marks = ["TcpStream::connect", "UdpSocket::bind", "reqwest::", "hyper::"];
    for (path, text) in sources() {
        let of_tests =
            path.iter().any(|it| it == "tests" || it == "tests.rs") || exempt.iter().any(|it| path.starts_with(it));
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        for mark in marks.iter().filter(|_| !of_tests) {
            assert!(!text.contains(mark), "{} holds {mark}", path.display());
        }
    }
}

#[test]
fn a_file_says_what_it_owns_and_fits_on_its_wall() {
    for (path, text) in sources() {
        assert!(text.starts_with("//! "), "{} does not say what it owns", path.display());
        assert!(text.lines().count() <= 600, "{} outgrew its idea", path.display());
        let of_tests = path.iter().any(|it| it == "tests");
        if !of_tests && !text.contains("cfg(test)]\nmod tests;") {
            let head: String = text.lines().take_while(|line| line.starts_with("//!")).collect();
            assert!(head.contains("must never") || head.contains("must only"), "{} has no limit", path.display());
        }
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(!["util", "utils", "common", "helpers", "manager", "service"].contains(&name.as_str()), "{name}");
    }
}

#[test]
fn what_the_linker_is_told_is_used_names_our_rooms_and_no_hash() {
    // A compiler's hash in a name would have the list hold for that compiler only.
    let used = std::fs::read_to_string(root().join("src/daemon/used.ld")).unwrap();
    for room in ["provost", "provost_client", "provost_connectors", "provost_engine", "provost_model", "provost_store"]
    {
        assert!(used.contains(&format!("    *.{room}.*(\n")), "nothing of {room}");
    }
    let hashed = |name: &str| name.rsplit_once("17h").is_some_and(|(_, rest)| !rest.starts_with('*'));
    let hashed: Vec<&str> = used.lines().filter(|line| line.contains("_ZN") && hashed(line)).collect();
    assert!(hashed.is_empty() && used.ends_with("INSERT BEFORE .text;\n"), "{hashed:?}");
}

#[test]
fn nothing_unfinished_is_marked_instead_of_done() {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("#[ign", "ore")];
    for (path, text) in sources() {
        for mark in marks {
            assert!(!text.contains(mark), "{} holds {mark}", path.display());
        }
    }
}

#[test]
fn the_top_level_is_the_one_that_was_agreed() {
    let agreed = [
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "SECURITY.md",
        "config",
        "connectors",
        "src",
        "systemd",
        "target",
        "tests",
    ];
    let listed = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    for name in listed.filter(|name| !name.starts_with('.')) {
        assert!(agreed.contains(&name.as_str()), "{name} does not belong at the top level");
    }
    assert!(Path::new(&root()).join("src/ARCHITECTURE.md").exists());
}
