//! The arrows between the folders of `src` point downward only, and nothing below `net` touches
//! the operating system. Reads the sources as text, tests within them left out.

use std::fs;
use std::path::{Path, PathBuf};

/// Each layer with the layers that it may name.
const MAY_NAME: [(&str, &[&str]); 10] = [
    ("base", &[]),
    ("proto", &["base"]),
    ("engine", &["base", "proto"]),
    ("dns", &["base"]),
    ("tls", &["base"]),
    ("net", &["base", "proto", "engine", "dns", "tls"]),
    ("sim", &["base", "proto", "engine", "net", "tls"]),
    ("origin", &["base"]),
    ("fetch", &["base", "proto", "engine", "dns", "tls", "net"]),
    ("cli", &["fetch", "net", "engine", "base", "dns", "tls"]),
];

/// Single files that may name more than their layer, and why.
const EXCEPTIONS: [(&str, &str, &str); 4] = [
    ("cli/demo", "origin", "the demo serves itself"),
    ("cli/fuzzing", "proto", "a check for the fuzzer: what a list asks for can be sent"),
    ("cli/replay", "proto", "replay shows what the parser sees"),
    ("cli/run/watch", "proto", "--record-wire writes what replay reads"),
];

/// What must not appear in the layers that know no operating system.
const NO_SYSTEM: [&str; 8] = [
    "std::time",
    "std::thread",
    "std::net",
    "std::fs",
    "std::env",
    "SystemTime",
    "std::collections::HashMap",
    "RandomState",
];
const SYSTEM_FREE: [&str; 4] = ["base", "proto", "engine", "dns"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

/// The lines of code with their numbers: no comments, and nothing behind a test module's door.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let lines = text[..end].lines().enumerate();
    lines.filter(|(_, line)| !line.trim_start().starts_with("//")).map(|(n, line)| (n + 1, line))
}

fn is_test_file(relative: &str) -> bool {
    relative.split('/').any(|part| part.trim_end_matches(".rs").ends_with("tests"))
}

#[test]
fn arrows_point_downward() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 50, "the sources were found");
    let mut wrong = Vec::new();
    for file in files {
        let relative = file.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
        let Some((layer, _)) = relative.split_once('/') else { continue };
        let (_, allowed) = MAY_NAME.iter().find(|(name, _)| *name == layer).expect("a known layer");
        if is_test_file(&relative) {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        for (number, line) in code(&text) {
            for (at, _) in line.match_indices("crate::") {
                let named: String = line[at + 7..]
                    .chars()
                    .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                    .collect();
                let is_layer = MAY_NAME.iter().any(|(name, _)| *name == named);
                let excepted = EXCEPTIONS
                    .iter()
                    .any(|(start, other, _)| relative.starts_with(start) && *other == named);
                if is_layer && named != layer && !allowed.contains(&named.as_str()) && !excepted {
                    wrong.push(format!("src/{relative}:{number}: {layer} names {named}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that point upward:\n{}", wrong.join("\n"));
}

#[test]
fn nothing_below_net_touches_the_system() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for layer in SYSTEM_FREE {
        let mut files = Vec::new();
        sources(&root.join(layer), &mut files);
        for file in files {
            let relative = file.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
            // Reads texts that somebody else read from files; behind the feature `fetch`.
            if is_test_file(&relative) || relative == "dns/conf.rs" {
                continue;
            }
            let text = fs::read_to_string(&file).unwrap();
            for (number, line) in code(&text) {
                for word in NO_SYSTEM {
                    if line.contains(word) {
                        wrong.push(format!("src/{relative}:{number}: {word}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "below net:\n{}", wrong.join("\n"));
}
