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
use checks::trace::{Head, Item, Trace, persistence, trace};
use gannet::proto::{Body, Error, Exchange, Limits, Version};

struct Row {
    place: String,
    title: String,
    exchange: Exchange,
    clean: bool,
    limits: Limits,
    bytes: Vec<u8>,
    expected: Vec<Token>,
}

#[derive(Debug)]
enum Token {
    Word(String),
    Text(Vec<u8>),
    Named(String, Vec<u8>),
}

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
    assert!(rows.len() >= 600, "{} rows", rows.len());
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

fn rows() -> Vec<Row> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/proto");
    let mut files: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let mut rows = Vec::new();
    for path in files {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        read_table(&name, &fs::read_to_string(&path).unwrap(), &mut rows);
    }
    rows
}

fn read_table(file: &str, text: &str, rows: &mut Vec<Row>) {
    let mut definitions: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    while let Some((number, line)) = lines.next() {
        let place = format!("{file}:{}", number + 1);
        if let Some(definition) = line.strip_prefix("let ") {
            let (name, value) = definition.split_once(" = ").expect(&place);
            let [Token::Text(value)] = &tokens(value, &definitions, &place)[..] else {
                panic!("{place}")
            };
            definitions.insert(name.to_owned(), value.clone());
            continue;
        }
        let source = line.rsplit_once(" [").and_then(|(_, source)| source.strip_suffix(']'));
        assert!(source.is_some_and(|source| !source.is_empty()), "{place}: no source");
        let input = lines.next().and_then(|(_, line)| line.strip_prefix("  ")).expect(&place);
        let expected = lines.next().and_then(|(_, line)| line.strip_prefix("  => ")).expect(&place);
        let mut row = Row {
            place: place.clone(),
            title: line.to_owned(),
            exchange: Exchange::Ordinary,
            clean: true,
            limits: Limits::DEFAULT,
            bytes: Vec::new(),
            expected: tokens(expected, &definitions, &place),
        };
        for token in tokens(input, &definitions, &place) {
            match token {
                Token::Text(bytes) => row.bytes = bytes,
                Token::Word(word) => option(&mut row, &word),
                Token::Named(..) => panic!("{place}"),
            }
        }
        rows.push(row);
    }
}

fn option(row: &mut Row, word: &str) {
    let limits = &mut row.limits;
    let (name, value) = word.split_once('=').unwrap_or((word, "0"));
    let value: u32 = value.parse().unwrap();
    match name {
        "HEAD" => row.exchange = Exchange::Head,
        "CONNECT" => row.exchange = Exchange::Connect,
        "unclean" => row.clean = false,
        "head_bytes" => limits.head_bytes = value,
        "head_fields" => limits.head_fields = value as u16,
        "line_bytes" => limits.line_bytes = value,
        "interim_answers" => limits.interim_answers = value as u16,
        "interim_bytes" => limits.interim_bytes = value,
        "chunk_extension_bytes" => limits.chunk_extension_bytes = value,
        "trailer_bytes" => limits.trailer_bytes = value,
        "trailer_fields" => limits.trailer_fields = value as u16,
        _ => panic!("{}: {word}", row.place),
    }
}

fn tokens(line: &str, definitions: &BTreeMap<String, Vec<u8>>, place: &str) -> Vec<Token> {
    let mut out = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let end = rest.find([' ', '"']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if let Some(quoted) = after.strip_prefix('"') {
            let (text, after) = quoted_text(quoted, definitions, place);
            out.push(match word.strip_suffix('=') {
                Some(name) => Token::Named(name.to_owned(), text),
                None => Token::Text(text),
            });
            rest = after.trim_start();
        } else {
            out.push(Token::Word(word.to_owned()));
            rest = after.trim_start();
        }
    }
    out
}

/// The text up to the closing quotation mark, and what follows that.
fn quoted_text<'t>(
    text: &'t str,
    definitions: &BTreeMap<String, Vec<u8>>,
    place: &str,
) -> (Vec<u8>, &'t str) {
    let mut out = Vec::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return (out, &text[at + 1..]),
            '\\' => {
                let (_, escaped) = chars.next().expect(place);
                out.push(match escaped {
                    'r' => b'\r',
                    'n' => b'\n',
                    't' => b'\t',
                    '0' => 0,
                    'x' => {
                        chars.nth(1).expect(place);
                        u8::from_str_radix(&text[at + 2..at + 4], 16).expect(place)
                    }
                    '\\' | '"' | '{' => escaped as u8,
                    _ => panic!("{place}: \\{escaped}"),
                });
            }
            '{' => {
                let close = text[at..].find('}').expect(place) + at;
                let name = &text[at + 1..close];
                if let Some((times, what)) = name.split_once('*') {
                    let (what, _) = quoted_text(&format!("{what}\""), definitions, place);
                    out.extend(what.repeat(times.parse().expect(place)));
                } else {
                    out.extend_from_slice(
                        definitions.get(name).unwrap_or_else(|| panic!("{place}: {name}")),
                    );
                }
                while chars.next().expect(place).0 < close {}
            }
            char => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    panic!("{place}: a quotation mark is missing")
}
