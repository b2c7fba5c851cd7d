//! Reads the tables of `tests/proto`. Their form is told at the top of `tests/proto_tables.rs`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use gannet::proto::{Exchange, Limits};

/// A row of the tables.
pub struct Row {
    pub place: String,
    pub title: String,
    pub exchange: Exchange,
    pub clean: bool,
    pub limits: Limits,
    pub bytes: Vec<u8>,
    pub expected: Vec<Token>,
}

#[derive(Debug)]
pub enum Token {
    Word(String),
    Text(Vec<u8>),
    Named(String, Vec<u8>),
}

/// All rows of all tables.
pub fn rows() -> Vec<Row> {
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
