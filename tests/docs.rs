//! The code in `docs/embedding.md` compiles, and what it asserts is so.
#![cfg(all(feature = "cli", feature = "origin"))]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use gannet::engine::{Config, Load};
use gannet::net::DriverConfig;

/// Files that the guide names are there, so that nobody looks for them in vain.
#[test]
fn what_the_guide_names_is_there() {
    let guide = include_str!("../docs/embedding.md");
    let mut named = 0;
    for word in guide.split(|c: char| c.is_whitespace() || "`(),;".contains(c)) {
        if (word.starts_with("examples/") || word.starts_with("tests/")) && word.contains(".rs") {
            named += 1;
            assert!(Path::new(word).exists(), "{word}");
        }
    }
    assert!(named >= 9, "{named}");
}

/// Each bound of the engine and of its driver stands in the guide, with the name of what follows from it.
#[test]
fn every_bound_is_in_the_guide() {
    let guide = include_str!("../docs/embedding.md");
    let table = guide.split("\n## ").find(|part| part.starts_with("Every bound\n")).unwrap();
    let ticked: BTreeSet<&str> = table.split('`').skip(1).step_by(2).collect();
    // Habits, not bounds: what is done, and not how much of it.
    let habits = [
        "seed",
        "free_moves",
        "retry_statuses",
        "retry_error_statuses",
        "retry_attempt_timeouts",
        "retry_all_errors",
        "retry_unsafe",
        "reuse",
        "limits",
    ];
    let fields = |source: &'static str, name: &str, prefix: &str| {
        let from = source.split(&format!("pub struct {name} {{")).nth(1).unwrap();
        let lines = from.split("\n}").next().unwrap().lines();
        let names = lines.filter_map(|line| line.trim().strip_prefix("pub ")?.split(':').next());
        names.map(|name| format!("{prefix}{name}")).collect::<Vec<_>>()
    };
    let mut all = fields(include_str!("../src/engine/config.rs"), "Config", "");
    all.extend(fields(include_str!("../src/proto/response.rs"), "Limits", "limits."));
    all.extend(fields(include_str!("../src/net/bounds.rs"), "DriverConfig", ""));
    all.extend(fields(include_str!("../src/fetch/decode/mod.rs"), "DecodeLimits", ""));
    assert!(all.len() > 40, "{all:?}");
    for field in all.iter().filter(|field| !habits.contains(&field.as_str())) {
        assert!(
            ticked.contains(field.as_str()),
            "`{field}` is not in the table of docs/embedding.md"
        );
    }
    // What is said of the defaults.
    let (config, tiny) = (Config::default(), Config::tiny());
    let row =
        |name: &str| table.lines().find(|line| line.starts_with(&format!("| `{name}`"))).unwrap();
    for (name, number, small) in [
        ("max_connections", config.max_connections, tiny.max_connections),
        ("max_jobs", config.max_jobs, tiny.max_jobs),
        ("attempts", config.attempts, tiny.attempts),
        ("limits.head_fields", config.limits.head_fields.into(), tiny.limits.head_fields.into()),
        (
            "limits.trailer_fields",
            config.limits.trailer_fields.into(),
            tiny.limits.trailer_fields.into(),
        ),
        (
            "limits.interim_answers",
            config.limits.interim_answers.into(),
            tiny.limits.interim_answers.into(),
        ),
    ] {
        let cells: Vec<&str> = row(name).split('|').map(str::trim).collect();
        assert_eq!(
            (cells[2].replace(',', ""), cells[3].to_owned()),
            (number.to_string(), small.to_string()),
            "{name}"
        );
    }
    // Each name of a failure is one.
    let errors = include_str!("../docs/errors.md");
    let parser = include_str!("../src/proto/error.rs");
    for line in table.lines().filter(|line| line.starts_with("| `")) {
        let last = line.trim_end_matches(" |").rsplit('|').next().unwrap();
        for name in last.split('`').skip(1).step_by(2).filter(|name| !name.contains("::")) {
            let is_known =
                errors.contains(&format!("`{name}`")) || parser.contains(&format!("\"{name}\""));
            assert!(is_known, "`{name}`: {line}");
        }
    }
}

/// The megabyte of the guide.
#[test]
fn a_megabyte_is_enough() {
    let config = Config { max_connections: 16, ..Config::tiny() };
    let driver = DriverConfig { read_buffer: 32 * 1024, ..DriverConfig::tiny() };
    let load = Load { hosts: 20, request_bytes: 400, ..Load::default() };
    assert!(driver.most_bytes(&config, &load, None) < 1024 * 1024);
}

/// Where kinds of failure get their names: one match, whose arms are `Self::Kind => "name"`.
const KINDS: [&str; 9] = [
    "src/engine/error.rs",
    "src/fetch/error.rs",
    "src/fetch/url/error.rs",
    "src/fetch/redirect.rs",
    "src/fetch/decode/mod.rs",
    "src/proto/request.rs",
    "src/dns/error.rs",
    "src/tls/error.rs",
    "src/cli/run/kind.rs",
];

/// What else is named there: phases, schemes, codings.
const NO_FAILURES: [&str; 14] = [
    "body",
    "br",
    "connect",
    "deflate",
    "dns",
    "first_byte",
    "gzip",
    "head",
    "http",
    "https",
    "queue",
    "send",
    "tls",
    "zstd",
];

/// What a driver says before there is a session.
const OTHERS: [&str; 2] = ["tls_ca_file", "tls_unavailable"];

/// What no test can produce, and why.
const OUT_OF_REACH: [(&str, &str); 3] = [
    ("bad_head", "no way to it is known: what httparse might refuse beyond our own rules"),
    ("out_of_sockets", "waited for, by a lower cap: it ends no request"),
    ("tls_keys_exhausted", "comes after as many records as no connection lives for"),
];

/// A source file without its tests, and those.
fn parted(path: &Path) -> (String, String) {
    let text = fs::read_to_string(path).unwrap_or_default();
    let at = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    (text[..at].to_owned(), text[at..].to_owned())
}

/// The words of a text that look like names, and variants behind their enum's name.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}

/// Each name with the variants that it belongs to.
fn kinds() -> BTreeMap<String, BTreeSet<String>> {
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in KINDS {
        let (code, _) = parted(Path::new(path));
        let mut arms = code.split("=> \"");
        let mut before = arms.next().unwrap_or("");
        for arm in arms {
            let (name, rest) = arm.split_once('"').unwrap_or((arm, ""));
            if !NO_FAILURES.contains(&name)
                && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            {
                // The arm begins behind the last comma or brace that ends another one.
                let at = before.rfind(",\n").or(before.rfind("{\n")).unwrap_or(0);
                let variants = before[at..].split("Self::").skip(1);
                let variants = variants.map(|text| words(text).next().unwrap_or("").to_owned());
                all.entry(name.to_owned()).or_default().extend(variants);
            }
            before = rest;
        }
    }
    for error in gannet::proto::Error::ALL {
        all.entry(error.name().to_owned()).or_default();
    }
    for name in OTHERS {
        all.entry(name.to_owned()).or_default();
    }
    all
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// One list of names: those that the code gives are those that `docs/errors.md` and, for the parser's
/// rules, `docs/parser.md` tell.
#[test]
fn every_kind_of_failure_is_documented_and_nothing_else() {
    let quoted = |text: &str| -> BTreeSet<String> {
        text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let errors = include_str!("../docs/errors.md");
    let (_, list) = errors.split_once("## All names").unwrap();
    let rulings = quoted(include_str!("../docs/parser.md"));
    let mut documented: BTreeSet<String> = quoted(list)
        .into_iter()
        .filter(|it| !["-f", "SSL_CERT_FILE"].contains(&it.as_str()))
        .collect();
    for error in gannet::proto::Error::ALL {
        assert!(rulings.contains(error.name()), "docs/parser.md: {}", error.name());
        documented.insert(error.name().to_owned());
    }
    let named: BTreeSet<String> = kinds().into_keys().collect();
    assert!(named.len() > 140, "{}", named.len());
    assert_eq!(named.difference(&documented).collect::<Vec<_>>(), [""; 0], "not documented");
    assert_eq!(documented.difference(&named).collect::<Vec<_>>(), [""; 0], "not in the code");
    // Sections are about kinds that there are.
    for title in errors.lines().filter_map(|line| line.strip_prefix("## ")) {
        for name in title.split(", ").filter(|name| *name != "All names") {
            assert!(named.contains(name), "{name}");
        }
    }
}

/// `docs/records.md` has each field of a list's line and of a record.
#[test]
fn every_field_of_lists_and_records_is_documented() {
    let page = include_str!("../docs/records.md");
    let (records, _) = include_str!("../src/cli/record.rs").split_once("#[cfg(test)]").unwrap();
    let mut fields: Vec<&str> = records.split("key!(\"").skip(1).collect();
    assert!(fields.len() > 40, "{}", fields.len());
    let (_, line) = include_str!("../src/cli/entry.rs").split_once("struct Object<'a> {").unwrap();
    let (line, _) = line.split_once("\n}").unwrap();
    let lines = line.lines().map(str::trim).filter(|line| !line.starts_with("#["));
    fields.extend(lines.filter(|line| !line.is_empty()));
    for field in fields {
        let end = field.find(['"', ':']).unwrap();
        assert!(
            page.contains(&format!("`{}`", &field[..end])),
            "docs/records.md: {}",
            &field[..end]
        );
    }
}

/// The command gives no name but by its enum of kinds.
#[test]
fn the_command_has_no_names_but_those() {
    let mut sources = Vec::new();
    files(Path::new("src/cli"), &mut sources);
    assert!(sources.len() > 50, "{}", sources.len());
    for path in sources {
        let (code, _) = parted(&path);
        for before in ["fail(", "failed(", "kind: "] {
            for part in code.split(before).skip(1) {
                let name = part.trim_start().strip_prefix('"');
                assert_eq!(name.and_then(|name| name.lines().next()), None, "{}", path.display());
            }
        }
    }
}

/// Each kind is expected by a test, by its name or its variant, or there is a reason why not.
#[test]
fn every_kind_of_failure_has_a_test() {
    let mut paths = Vec::new();
    files(Path::new("tests"), &mut paths);
    let mut tests = String::new();
    for path in paths.iter().filter(|path| !path.ends_with("docs.rs")) {
        // A corpus is no text.
        tests.push_str(&fs::read_to_string(path).unwrap_or_default());
    }
    let mut sources = Vec::new();
    files(Path::new("src"), &mut sources);
    for path in sources {
        let is_test = path.iter().any(|part| {
            let part = part.to_string_lossy();
            part.trim_end_matches(".rs").ends_with("tests") || part == "sim"
        });
        let (code, its_tests) = parted(&path);
        tests.push_str(if is_test { &code } else { &its_tests });
    }
    let words: BTreeSet<&str> = words(&tests).collect();
    let mut untested = Vec::new();
    for (name, variants) in kinds() {
        let as_variant = |variant: &String| {
            ["Kind::", "Error::", "E::"].iter().any(|of| tests.contains(&format!("{of}{variant}")))
        };
        let is_tested = words.contains(name.as_str()) || variants.iter().any(as_variant);
        let out_of_reach = OUT_OF_REACH.iter().any(|(other, _)| *other == name);
        if is_tested == out_of_reach {
            untested.push(name);
        }
    }
    assert_eq!(untested, [""; 0], "without a test, or out of reach with one");
}
