//! Documentation that is printed from the code: what differs fails, and `PROVOST_UPDATE_DOCS=1` writes it anew.

use std::{fmt::Write as _, fs, path::PathBuf};

use provost_connectors::Catalogue;
use provost_engine::Rule;

/// The text between the marks of a section, compared with what the code says; or replaced by it.
fn holds((file, section): (&str, &str), said: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = fs::read_to_string(&path).unwrap();
    let (begin, end) = (format!("<!-- {section}: begin -->\n"), format!("<!-- {section}: end -->"));
    let (before, rest) = text.split_once(&begin).unwrap();
    let (between, after) = rest.split_once(&end).unwrap();
    if between == said {
        return;
    }
    assert!(std::env::var_os("PROVOST_UPDATE_DOCS").is_some(), "{section} in {file} is not what the code says");
    fs::write(path, format!("{before}{begin}{said}{end}{after}")).unwrap();
}

#[test]
fn the_tables_of_the_readme_are_what_the_code_says() {
    let mut connectors = String::from("| connector | looks at | kinds |\n|---|---|---|\n");
    let mut manifests =
        String::from("| connector | looks at | kinds | shown to nobody, or left out |\n|---|---|---|---|\n");
    for spec in Catalogue::shipped().iter() {
        let kinds: Vec<&str> = spec.kinds.iter().map(|kind| kind.name()).collect();
        let about = format!("{}: {}", spec.title, spec.about.trim_end_matches('.'));
        let (name, kinds) = (spec.name, kinds.join(", "));
        if provost_connectors::ALL.iter().any(|it| it.name == name) {
            writeln!(connectors, "| `{name}` | {about} | {kinds} |").unwrap();
        } else {
            writeln!(manifests, "| `{name}` | {about} | {kinds} | {} |", spec.blind_spots.join("; ")).unwrap();
        }
    }
    holds(("README.md", "connectors"), &connectors);
    holds(("README.md", "manifests"), &manifests);
    let example = include_str!("../../connectors/manifests/docker-hub.toml");
    holds(("README.md", "a manifest"), &format!("```toml\n{example}```\n"));
    let mut sinks =
        String::from("| sink | where letters go | without a clear answer | checked against |\n|---|---|---|---|\n");
    for spec in provost_actions::sinks::ALL {
        let (name, about, delivery) = (spec.name, spec.about.trim_end_matches('.'), spec.delivery.word());
        let checked = provost::cli::telling::checked(spec.checked);
        writeln!(sinks, "| `{name}` | {about} | {delivery}: {} | {checked} |", spec.because).unwrap();
    }
    holds(("README.md", "sinks"), &sinks);
    let mut rotators = String::from("| rotator | what it does | can | checked against |\n|---|---|---|---|\n");
    for spec in provost_actions::rotators::ALL {
        let can: Vec<&str> = spec.remedies.iter().map(|remedy| remedy.word()).collect();
        let (about, checked) = (spec.about.trim_end_matches('.'), provost::cli::telling::checked(spec.checked));
        writeln!(rotators, "| `{}` | {about} | {} | {checked} |", spec.name, can.join(", ")).unwrap();
    }
    holds(("README.md", "rotators"), &rotators);
    let mut places =
        String::from("| destination | where values go | read back | checked against |\n|---|---|---|---|\n");
    for spec in provost_actions::destinations::ALL {
        let (about, checked) = (spec.about.trim_end_matches('.'), provost::cli::telling::checked(spec.checked));
        writeln!(places, "| `{}` | {about} | {} | {checked} |", spec.name, if spec.readable { "yes" } else { "no" })
            .unwrap();
    }
    holds(("README.md", "destinations"), &places);
    let mut rules = String::from("| rule | severity | what is wrong |\n|---|---|---|\n");
    for rule in provost_engine::rules::ALL {
        writeln!(rules, "| {} | {} | {} |", rule.id, rule.severity, rule.title).unwrap();
    }
    holds(("README.md", "rules"), &rules);
}

#[test]
fn the_table_of_store_formats_is_what_the_code_says() {
    let mut steps = String::from("| step | expands | migrates | contracts | `min_reader` |\n|---|---|---|---|---|\n");
    for step in provost_store::steps::ALL {
        let provost_store::steps::Step {
            to,
            expands,
            migrates,
            contracts,
            min_reader,
            elsewhere,
            anew,
            contracted,
            ..
        } = step;
        let readers = format!("{min_reader}; {elsewhere} elsewhere; {anew} anew; {contracted} in the end");
        writeln!(steps, "| {} → {to} | {expands} | {migrates} | {contracts} | {readers} |", to - 1).unwrap();
    }
    holds(("src/ARCHITECTURE.md", "formats"), &steps);
}

#[test]
fn every_rule_says_everything_about_itself() {
    for rule in provost_engine::rules::ALL {
        assert!(Rule::of_id(rule.id).is_some_and(|it| it.version >= 1));
        assert!(!rule.why.is_empty() && !rule.remedy.is_empty() && !rule.title.is_empty(), "{}", rule.id);
        assert!(rule.frameworks.owasp_nhi.iter().all(|id| id.starts_with("NHI")), "{}", rule.id);
        for id in rule.frameworks.nist_csf {
            let retired =
                ["PR.AC", "PR.IP", "PR.MA", "PR.PT", "ID.BE", "ID.GV", "ID.RM", "ID.SC", "DE.DP", "RS.IM", "RC.IM"];
            assert!(!retired.iter().any(|old| id.starts_with(old)), "{} names {id} of CSF 1.1", rule.id);
        }
    }
}

#[test]
fn every_connectors_example_is_a_configuration_that_builds() {
    use provost::config::{Environment, Paths, parse};
    let home = tempfile::tempdir().unwrap();
    let environment = Environment::new([("HOME".to_owned(), home.path().display().to_string())], 1000);
    let paths = Paths::find(None, &environment).unwrap();
    for spec in Catalogue::shipped().iter() {
        let config = parse(spec.example, &paths).unwrap_or_else(|problems| panic!("{}: {problems:?}", spec.name));
        assert_eq!(config.sources.len(), 1, "{}", spec.name);
        assert_eq!(config.sources[0].connector, spec.name);
        provost::wire::Wiring::new(config, environment.clone())
            .unwrap_or_else(|error| panic!("{}: {error}", spec.name));
        assert!(!spec.reads.is_empty() && !spec.permissions.is_empty() && !spec.kinds.is_empty(), "{}", spec.name);
    }
}

#[test]
fn every_rotators_example_is_a_configuration_that_parses_with_a_place_for_its_value() {
    use provost::config::{Environment, Paths, parse};
    use provost_actions::{destinations, rotators};
    let home = tempfile::tempdir().unwrap();
    let environment = Environment::new([("HOME".to_owned(), home.path().display().to_string())], 1000);
    let paths = Paths::find(None, &environment).unwrap();
    let read = |text: &str| parse(text, &paths).unwrap_or_else(|problems| panic!("{text}: {problems:?}"));
    let place = destinations::ALL.iter().find(|spec| spec.readable).unwrap().example;
    for spec in rotators::ALL {
        let text = format!("{}{}", spec.example, if spec.parts.is_empty() { "" } else { place });
        let config = read(&text);
        assert_eq!((config.rotations.len(), config.rotations[0].spec.name), (1, spec.name));
        assert!(!config.rotations[0].enabled, "{}: nothing is switched on by copying", spec.name);
        assert!(
            !spec.documentation.is_empty() && !spec.permissions.is_empty() && !spec.acts.is_empty(),
            "{}",
            spec.name
        );
    }
    let carries = rotators::ALL.iter().find(|spec| !spec.parts.is_empty()).unwrap().example;
    for spec in destinations::ALL {
        let config = read(&format!("{carries}{place}{}", spec.example));
        assert_eq!(config.rotations[0].places[1].spec.name, spec.name);
        assert!(!spec.documentation.is_empty() && !spec.permissions.is_empty(), "{}", spec.name);
    }
    // A value that goes nowhere, or only to where nobody reads it back.
    let refused = parse(carries, &paths).unwrap_err();
    assert!(refused.iter().any(|it| it.to_string().contains("has to be put somewhere")), "{refused:?}");
    let blind = destinations::ALL.iter().find(|spec| !spec.readable).unwrap().example;
    let refused = parse(&format!("{carries}{blind}"), &paths).unwrap_err();
    assert!(refused.iter().any(|it| it.to_string().contains("can be read back")), "{refused:?}");
}

#[test]
fn every_sinks_example_is_a_configuration_that_parses() {
    use provost::config::{Environment, Paths, parse};
    let home = tempfile::tempdir().unwrap();
    let environment = Environment::new([("HOME".to_owned(), home.path().display().to_string())], 1000);
    let paths = Paths::find(None, &environment).unwrap();
    for spec in provost_actions::sinks::ALL {
        let config = parse(spec.example, &paths).unwrap_or_else(|problems| panic!("{}: {problems:?}", spec.name));
        assert_eq!((config.sinks.len(), config.sinks[0].spec.name), (1, spec.name));
        assert!(!spec.because.is_empty() && !spec.documentation.is_empty() && !spec.acts.is_empty(), "{}", spec.name);
    }
}
