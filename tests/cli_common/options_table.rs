//! `docs/options.md` beside `tests/curl_parity.txt`: which rows compare an option with curl, and
//! where they let gannet do otherwise. Says so when the two tell different things, and writes the
//! page anew when it is asked to (`GANNET_PARITY=page`). The tests that have nothing to do with
//! curl stand in the page alone.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::Command;

const PAGE: &str = "docs/options.md";

/// An option as the manual page lists it.
struct Opt {
    short: Option<char>,
    long: String,
    takes: bool,
}

/// A row of the comparison: its name, why it is apart, its words.
pub(crate) type Compared<'a> = (&'a str, Option<&'a str>, Vec<String>);

fn options() -> Vec<Opt> {
    let output = Command::new(env!("CARGO_BIN_EXE_gannet")).arg("--man").output().unwrap();
    let page = String::from_utf8(output.stdout).unwrap().replace("\\-", "-");
    let mut options = Vec::new();
    for line in page.lines().filter(|line| line.starts_with("\\fB-")) {
        let plain = line.replace("\\fB", "").replace("\\fR", "").replace("\\fI", "");
        let mut words = plain.split([' ', ',']).filter(|word| !word.is_empty()).peekable();
        let short = words.next_if(|word| !word.starts_with("--")).and_then(|w| w.chars().nth(1));
        // A value that may be left away stands in brackets: it is no word of its own.
        let long = words.next().and_then(|word| word.split('[').next()).expect("a long name");
        let long = long.trim_start_matches('-').to_owned();
        options.push(Opt { short, long, takes: words.next().is_some_and(|w| w.starts_with('<')) });
    }
    assert!(options.len() > 140, "{}", options.len());
    options
}

/// The long names that words use, whatever way they are written.
fn used(options: &[Opt], words: &[String]) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if let Some(name) = word.strip_prefix("--").filter(|name| !name.is_empty()) {
            let (name, glued) =
                name.split_once('=').map_or((name, false), |(name, _)| (name, true));
            let name = match name {
                "include" => "show-headers",
                "data-ascii" => "data",
                other => other,
            };
            let find = |name: &str| options.iter().find(|option| option.long == name);
            let option = find(name).or_else(|| find(name.strip_prefix("no-")?));
            if let Some(option) = option {
                used.insert(option.long.clone());
                if option.takes && !glued {
                    words.next();
                }
            }
        } else if let Some(cluster) = word.strip_prefix('-') {
            for (at, letter) in cluster.char_indices() {
                let Some(option) = options.iter().find(|option| option.short == Some(letter))
                else {
                    break;
                };
                used.insert(option.long.clone());
                if option.takes {
                    if at + letter.len_utf8() == cluster.len() {
                        words.next();
                    }
                    break;
                }
            }
        }
    }
    used
}

/// What the page has to say of an option: the rows, and how far gannet does the same.
fn cells(long: &str, rows: &[(&Compared<'_>, BTreeSet<String>)]) -> Option<(String, String)> {
    let of: Vec<_> =
        rows.iter().filter(|(_, used)| used.contains(long)).map(|(row, _)| row).collect();
    let first = of.first()?;
    let mut rows = format!("curl_parity: “{}”", first.0);
    if of.len() > 1 {
        write!(rows, " and {} more", of.len() - 1).unwrap();
    }
    let apart: BTreeSet<&str> = of.iter().filter_map(|row| row.1).collect();
    let same = of.iter().any(|row| row.1.is_none()).then_some("the same".to_owned());
    let apart = (!apart.is_empty())
        .then(|| format!("apart: {}", apart.into_iter().collect::<Vec<_>>().join("; ")));
    let curl = [same, apart].into_iter().flatten().collect::<Vec<_>>().join("; ");
    Some((rows.replace('|', "\\|"), curl.replace('|', "\\|")))
}

/// Compares, or writes.
pub(crate) fn check(compared: &[Compared<'_>]) {
    let options = options();
    let rows: Vec<_> = compared.iter().map(|row| (row, used(&options, &row.2))).collect();
    let page = std::fs::read_to_string(PAGE).unwrap();
    let mut anew = String::new();
    let mut seen = 0;
    for line in page.lines() {
        let option = line.strip_prefix("| `").and_then(|rest| {
            let name = rest.split('`').next()?.rsplit("--").next()?;
            options.iter().find(|option| option.long == name)
        });
        let Some(option) = option else {
            writeln!(anew, "{line}").unwrap();
            continue;
        };
        seen += 1;
        let parts: Vec<&str> = line.trim_matches('|').splitn(3, " | ").map(str::trim).collect();
        let [name, tests, curl] = parts[..] else { panic!("three columns: {line}") };
        let own: Vec<&str> = tests.split("; ").filter(|test| test.contains("::")).collect();
        let mut tests: Vec<String> = own.iter().map(|&test| test.to_owned()).collect();
        let mut curl = curl.trim_end_matches('|').trim().to_owned();
        if let Some((rows, said)) = cells(&option.long, &rows) {
            tests.insert(0, rows);
            curl = said;
        } else {
            assert!(!curl.starts_with("the same") || !own.is_empty(), "{name}: compared by what?");
            assert!(
                !tests.is_empty() || curl.starts_with("curl has no"),
                "{name} has no test: {line}"
            );
        }
        assert!(!tests.is_empty(), "{name} has no test");
        writeln!(anew, "| {name} | {} | {curl} |", tests.join("; ")).unwrap();
    }
    assert_eq!(seen, options.len(), "options in {PAGE}");
    if std::env::var("GANNET_PARITY").is_ok_and(|what| what == "page") {
        std::fs::write(PAGE, anew).unwrap();
        return;
    }
    for (is, should) in page.lines().zip(anew.lines()) {
        assert_eq!(is, should, "GANNET_PARITY=page writes {PAGE} anew");
    }
    assert_eq!(page, anew);
}
