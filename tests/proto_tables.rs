//! The rulings on responses as tables: `tests/proto/*.txt`, which read like documentation.
//!
//! A row is a title with its source in brackets, the bytes of a server, and what they are taken for:
//!
//! ```text
//! a plus sign is no digit [RFC 9112 section 7.1]
//!   "{chunked}+5\r\nhello\r\n0\r\n\r\n"
//!   => 200 chunked error:bad_chunk_size
//! ```
//!
//! Before the bytes may stand `HEAD` or `CONNECT` (the request's method, else GET), `unclean` (the connection
//! ends without close_notify) and limits such as `head_bytes=40`. The connection ends after the bytes. In
//! strings `{name}` stands for what a line `let name = "..."` said, and `{3*ab}` for `ababab`.
//!
//! After `=>`: each head as its status (interim ones too), the final one followed by how its content is
//! delimited; then, as one likes, `v1.0`, `reason="..."`, `fields=2`, `Name="value"`, `!Name` (no such field); the
//! content in quotes; `trailers`, with fields as for heads; at the end `keep` or `close:...` and what is
//! `surplus="..."`, or `error:name`.
//!
//! Every row is run whole, byte by byte, cut in two at every position, and at random cuts.

mod checks;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use checks::random_cuts;
use checks::table::{Row, Token, rows};
use checks::trace::{Head, Item, Trace, persistence, trace};
use gannet::proto::{Body, Error, Version};

#[test]
fn every_row_gets_its_verdict_however_it_is_cut() {
    let rows = rows();
    let mut random = fastrand::Rng::with_seed(7);
    let mut failures = Vec::new();
    for row in &rows {
        let run = |segments: Vec<&[u8]>| trace(row.exchange, &row.limits, segments, row.clean);
        let whole = run(vec![&row.bytes]);
        if let Err(why) = compare(row, &whole) {
            failures.push(format!(
                "{} {}\n    {why}\n    got {}",
                row.place,
                row.title,
                show(row, &whole)
            ));
            continue;
        }
        let what = format!("{} {}", row.place, row.title);
        assert_eq!(run(row.bytes.chunks(1).collect()), whole, "{what}, byte by byte");
        for cut in 0..=row.bytes.len() {
            let (one, two) = row.bytes.split_at(cut);
            assert_eq!(run(vec![one, two]), whole, "{what}, cut at {cut}");
        }
        for _ in 0..8 {
            let pieces = random_cuts(&row.bytes, &mut random);
            assert_eq!(run(pieces.clone()), whole, "{what}, cut into {pieces:?}");
        }
    }
    assert!(
        failures.is_empty(),
        "{} rows of {}:\n{}",
        failures.len(),
        rows.len(),
        failures.join("\n")
    );
}

#[test]
fn the_tables_are_large_and_no_row_stands_twice() {
    let rows = rows();
    let mut seen = BTreeMap::new();
    let mut twice = Vec::new();
    for row in &rows {
        let key = (row.bytes.clone(), format!("{:?}{:?}{}", row.exchange, row.limits, row.clean));
        if let Some(before) = seen.insert(key, &row.place) {
            twice.push(format!("{} is the same as {before}", row.place));
        }
    }
    assert!(twice.is_empty(), "{}", twice.join("\n"));
    assert!(rows.len() >= 950, "{} rows", rows.len());
}

#[test]
fn every_error_has_a_row_and_a_ruling() {
    let rows = rows();
    let named: BTreeSet<&str> = rows
        .iter()
        .flat_map(|row| &row.expected)
        .filter_map(|token| match token {
            Token::Word(word) => word.strip_prefix("error:"),
            _ => None,
        })
        .collect();
    for error in Error::ALL {
        // What no rule names: there is no known way to it.
        if *error != Error::BadHead {
            assert!(named.contains(error.name()), "no row for {}", error.name());
        }
    }
    let rulings = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/parser.md");
    let rulings = fs::read_to_string(rulings).unwrap();
    for error in Error::ALL {
        assert!(rulings.contains(&format!("`{}`", error.name())), "{error:?} is in no ruling");
    }
    for name in named {
        assert!(Error::ALL.iter().any(|error| error.name() == name), "{name} is no error");
    }
}

fn compare(row: &Row, got: &Trace) -> Result<(), String> {
    let mut items = got.items.iter();
    let mut head: Option<&Head> = None;
    let mut trailers: Option<&Vec<(String, Vec<u8>)>> = None;
    let mut surplus = &[][..];
    for token in &row.expected {
        let fields = trailers.or(head.map(|head| &head.fields));
        let wrong = || Err(format!("expected {token:?}"));
        match token {
            Token::Text(text) => match items.next() {
                Some(Item::Content(bytes)) if bytes == text => {}
                _ => return wrong(),
            },
            Token::Named(name, value) if name == "surplus" => surplus = value,
            Token::Named(name, value) if name == "reason" => {
                if head.is_none_or(|head| head.reason != *value) {
                    return wrong();
                }
            }
            Token::Named(name, value) => {
                if !fields.is_some_and(|fields| {
                    fields.iter().any(|field| field == &(name.clone(), value.clone()))
                }) {
                    return wrong();
                }
            }
            Token::Word(word) => {
                let fine = if let Some(name) = word.strip_prefix('!') {
                    fields.is_some_and(|fields| {
                        !fields.iter().any(|field| field.0.eq_ignore_ascii_case(name))
                    })
                } else if let Some(count) = word.strip_prefix("fields=") {
                    fields.is_some_and(|fields| fields.len().to_string() == count)
                } else if word == "v1.0" || word == "v1.1" {
                    let want = if word == "v1.0" { Version::Http10 } else { Version::Http11 };
                    head.is_some_and(|head| head.version == want)
                } else if let Some(Item::Head(got, body)) = items.clone().next()
                    && head.is_none_or(|before| !std::ptr::eq(before, got))
                    && word.parse() == Ok(got.status)
                {
                    head = Some(got);
                    let _ = body;
                    true
                } else if let Some(Item::Head(got, body)) = items.clone().next()
                    && head.is_some_and(|before| std::ptr::eq(before, got))
                {
                    items.next();
                    framing(*body) == *word
                } else {
                    match items.next() {
                        Some(Item::Interim(got)) => {
                            head = Some(got);
                            word.parse() == Ok(got.status)
                        }
                        Some(Item::Trailers(got)) => {
                            trailers = Some(got);
                            word == "trailers"
                        }
                        Some(Item::Done(then)) => word == persistence(*then),
                        Some(Item::Error(name)) => word.strip_prefix("error:") == Some(name),
                        _ => false,
                    }
                };
                if !fine {
                    return wrong();
                }
            }
        }
    }
    if let Some(item) = items.next() {
        return Err(format!("not expected: {item:?}"));
    }
    let behind =
        if matches!(got.items.last(), Some(Item::Done(_))) { &row.bytes[got.used..] } else { &[] };
    if behind == surplus { Ok(()) } else { Err(format!("surplus {}", behind.escape_ascii())) }
}

fn framing(body: Body) -> String {
    match body {
        Body::None => "none".to_owned(),
        Body::Length(length) => format!("length={length}"),
        Body::Chunked => "chunked".to_owned(),
        Body::UntilClose => "until-close".to_owned(),
    }
}

/// A trace as it would stand in a table.
fn show(row: &Row, got: &Trace) -> String {
    let named = |fields: &[(String, Vec<u8>)]| -> String {
        let words: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!(" {name}=\"{}\"", value.escape_ascii()))
            .collect();
        words.concat()
    };
    let mut words: Vec<String> = got
        .items
        .iter()
        .map(|item| match item {
            Item::Interim(head) => format!("{}{}", head.status, named(&head.fields)),
            Item::Head(head, body) => {
                format!("{} {}{}", head.status, framing(*body), named(&head.fields))
            }
            Item::Content(bytes) => format!("\"{}\"", bytes.escape_ascii()),
            Item::Trailers(fields) => format!("trailers{}", named(fields)),
            Item::Done(then) => persistence(*then).to_owned(),
            Item::Error(name) => format!("error:{name}"),
        })
        .collect();
    if matches!(got.items.last(), Some(Item::Done(_))) && got.used < row.bytes.len() {
        words.push(format!("surplus=\"{}\"", row.bytes[got.used..].escape_ascii()));
    }
    format!("=> {}", words.join(" "))
}
