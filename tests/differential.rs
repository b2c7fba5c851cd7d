//! The rows of the tables through another parser: h11, in Python. Where the two differ, the row must stand in
//! `tests/differential.txt` under the reason; what stands there and does not differ is a fault as well.
//!
//! Needs `python3` with h11 0.16 (`pip install h11`); skipped by name where they are missing, unless
//! `GANNET_REQUIRE_H11` is set.

mod checks;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use checks::table::{Row, rows};
use checks::trace::{Item, persistence, trace};
use gannet::proto::{Exchange, Limits};

#[test]
fn h11_agrees_or_the_difference_is_explained() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let there = Command::new("python3").args(["-c", "import h11"]).stderr(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        assert!(std::env::var_os("GANNET_REQUIRE_H11").is_none(), "h11 is required and missing");
        println!("SKIPPED h11_agrees_or_the_difference_is_explained: python3 with h11 is missing");
        return;
    }
    // h11 knows neither our limits nor how TLS ended.
    let rows: Vec<Row> =
        rows().into_iter().filter(|row| row.clean && row.limits == Limits::DEFAULT).collect();
    let theirs = run_h11(manifest, &rows);
    assert_eq!(theirs.len(), rows.len(), "h11 gave a verdict on each row");

    let list = std::fs::read_to_string(manifest.join("tests/differential.txt")).unwrap();
    let mut reason = "";
    let mut explained: BTreeMap<&str, &str> = BTreeMap::new();
    for line in list.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_prefix("  ") {
            Some(title) => drop(explained.insert(title, reason)),
            None => reason = line,
        }
    }
    let mut unexplained = String::new();
    let mut differing = BTreeSet::new();
    for (row, theirs) in rows.iter().zip(&theirs) {
        let ours = ours(row);
        if ours != *theirs {
            differing.insert(row.title.as_str());
            if !explained.contains_key(row.title.as_str()) {
                writeln!(unexplained, "  {}\n# gannet {ours}\n# h11    {theirs}", row.title)
                    .unwrap();
            }
        }
    }
    assert!(unexplained.is_empty(), "differences that nothing explains:\n{unexplained}");
    let stale: Vec<_> = explained.keys().filter(|title| !differing.contains(*title)).collect();
    assert!(stale.is_empty(), "explained, but there is no difference: {stale:#?}");
    println!("{} rows, {} explained differences", rows.len(), differing.len());
}

fn run_h11(manifest: &Path, rows: &[Row]) -> Vec<String> {
    let mut input = String::new();
    for row in rows {
        let method = match row.exchange {
            Exchange::Ordinary => "GET",
            Exchange::Head => "HEAD",
            Exchange::Connect => "CONNECT",
        };
        writeln!(input, "{method} {}", hex(&row.bytes)).unwrap();
    }
    let mut child = Command::new("python3")
        .arg(manifest.join("tests/differential.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn ours(row: &Row) -> String {
    let trace = trace(row.exchange, &row.limits, [&row.bytes[..]], row.clean);
    let statuses: Vec<String> = trace
        .items
        .iter()
        .filter_map(|item| match item {
            Item::Interim(head) | Item::Head(head, _) => Some(head.status.to_string()),
            _ => None,
        })
        .collect();
    let end = match trace.items.last() {
        Some(Item::Done(then)) if persistence(*then) == "keep" => "whole keep",
        Some(Item::Done(_)) => "whole close",
        _ => "error close",
    };
    let statuses = if statuses.is_empty() { "-".to_owned() } else { statuses.join(",") };
    let content = trace.content();
    let content = if content.is_empty() { "-".to_owned() } else { hex(&content) };
    format!("{statuses} {content} {end}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        write!(out, "{byte:02x}").unwrap();
        out
    })
}
