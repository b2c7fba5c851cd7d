//! The request's data as curl composes it: `-d` and its kin, `-H` with its files, `--url-query`.
//!
//! Owns the joining, the percent-encoding and the reading of the files named. Never knows URLs.

use std::io::Read;

use super::plan::Usage;
use crate::fetch::{Field, FieldError};

/// A piece of data in the order typed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `-d`: files lose CR, LF and NUL.
    Plain,
    /// `--data-raw`: no files.
    Raw,
    /// `--data-binary`: files as they are.
    Binary,
    /// `--data-urlencode`.
    Encoded,
    /// `--json`: files as they are, no `&` between.
    Json,
}

/// Joins the pieces of one group's data.
pub fn compose(pieces: &[(Kind, String)]) -> Result<Option<Vec<u8>>, Usage> {
    if pieces.is_empty() {
        return Ok(None);
    }
    let mut data = Vec::new();
    for (kind, text) in pieces {
        // curl puts no & before the first, nor while all before it were empty.
        if !data.is_empty() && *kind != Kind::Json {
            data.push(b'&');
        }
        match (kind, text.strip_prefix('@')) {
            (Kind::Encoded, _) => encoded(text, &mut data)?,
            (Kind::Raw, _) | (_, None) => data.extend_from_slice(text.as_bytes()),
            (Kind::Plain, Some(file)) => {
                data.extend(read_line(file)?);
            }
            (Kind::Binary | Kind::Json, Some(file)) => data.extend(read(file)?),
        }
    }
    Ok(Some(data))
}

/// One `--url-query`: as `--data-urlencode`, and `+text` goes in as it is.
pub fn query(text: &str, out: &mut Vec<u8>) -> Result<(), Usage> {
    if !out.is_empty() {
        out.push(b'&');
    }
    match text.strip_prefix('+') {
        Some(plain) => {
            out.extend_from_slice(plain.as_bytes());
            Ok(())
        }
        None => encoded(text, out),
    }
}

/// `content`, `=content`, `name=content`, `@file`, `name@file`; blanks become `+`.
fn encoded(text: &str, out: &mut Vec<u8>) -> Result<(), Usage> {
    let split = text.find('=').or_else(|| text.find('@'));
    let Some(at) = split else {
        percent(text.as_bytes(), out);
        return Ok(());
    };
    let (name, value) = (&text[..at], &text[at + 1..]);
    if !name.is_empty() {
        out.extend_from_slice(name.as_bytes());
        out.push(b'=');
    }
    if text.as_bytes()[at] == b'@' {
        percent(&read(value)?, out);
    } else {
        percent(value.as_bytes(), out);
    }
    Ok(())
}

fn percent(bytes: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte),
            b' ' => out.push(b'+'),
            other => out.extend_from_slice(&[
                b'%',
                HEX[usize::from(other >> 4)],
                HEX[usize::from(other & 15)],
            ]),
        }
    }
}

/// A file named on the command line, or standard input.
pub fn read(file: &str) -> Result<Vec<u8>, Usage> {
    let mut bytes = Vec::new();
    let result = if file == "-" {
        std::io::stdin().lock().read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|mut file| file.read_to_end(&mut bytes))
    };
    result.map(|_| bytes).map_err(|error| Usage::unread(format!("can't read {file}: {error}")))
}

/// A file whose lines count as one: `-d @FILE`, `-w @FILE`.
pub fn read_line(file: &str) -> Result<Vec<u8>, Usage> {
    let mut bytes = read(file)?;
    bytes.retain(|byte| !matches!(byte, b'\r' | b'\n' | 0));
    Ok(bytes)
}

/// Reads the `-H` of one group, those in files too. A line that is neither `Name: value` nor
/// `Name;` is not sent, as curl has it, but it is said.
pub fn headers(lines: &[String], warnings: &mut Vec<String>) -> Result<Vec<Field>, Usage> {
    let mut all = Vec::new();
    let mut take = |line: &[u8]| match Field::parse(line) {
        Ok(field) => {
            all.push(field);
            Ok::<(), Usage>(())
        }
        Err(FieldError::NoColon) => {
            warnings.push(format!(
                "-H {:?} is not sent: it has no colon",
                String::from_utf8_lossy(line)
            ));
            Ok(())
        }
        Err(error) => Err(format!("-H {:?}: {error}", String::from_utf8_lossy(line)).into()),
    };
    for line in lines {
        match line.strip_prefix('@') {
            Some(file) => {
                let bytes = read(file)?;
                for line in
                    bytes.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty())
                {
                    take(line)?;
                }
            }
            None => take(line.as_bytes())?,
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_composed_as_curl_does() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, b"one\r\ntwo\0three\n").unwrap();
        let at = format!("@{}", path.display());
        let named = format!("n{at}");
        let table: &[(&[(Kind, &str)], &str)] = &[
            (&[(Kind::Plain, "a=b")], "a=b"),
            (&[(Kind::Plain, "a=b"), (Kind::Plain, "c=d")], "a=b&c=d"),
            (&[(Kind::Plain, ""), (Kind::Plain, "c=d")], "c=d"),
            (&[(Kind::Plain, &at)], "onetwothree"),
            (&[(Kind::Binary, &at)], "one\r\ntwo\0three\n"),
            (&[(Kind::Raw, "@x")], "@x"),
            (&[(Kind::Encoded, "a b&c")], "a+b%26c"),
            (&[(Kind::Encoded, "=a=b")], "a%3Db"),
            (&[(Kind::Encoded, "n=a b")], "n=a+b"),
            (&[(Kind::Encoded, &named)], "n=one%0D%0Atwo%00three%0A"),
            (&[(Kind::Encoded, "na@me=v@w")], "na@me=v%40w"),
            (&[(Kind::Json, "{"), (Kind::Json, "}")], "{}"),
        ];
        for (pieces, want) in table {
            let pieces: Vec<_> =
                pieces.iter().map(|(kind, text)| (*kind, (*text).to_owned())).collect();
            assert_eq!(
                String::from_utf8(compose(&pieces).unwrap().unwrap()).unwrap(),
                *want,
                "{pieces:?}"
            );
        }
        assert_eq!(compose(&[]).unwrap(), None);
        assert!(compose(&[(Kind::Plain, "@/no/such/file".to_owned())]).is_err());
    }

    #[test]
    fn queries_are_encoded_unless_they_say_otherwise() {
        let mut out = Vec::new();
        query("name=a b", &mut out).unwrap();
        query("+raw=%20", &mut out).unwrap();
        assert_eq!(out, b"name=a+b&raw=%20");
    }

    #[test]
    fn header_lines_come_from_words_and_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("h");
        std::fs::write(&path, b"A: 1\r\n\nB;\nnothing\n").unwrap();
        let mut warnings = Vec::new();
        let fields =
            headers(&[format!("@{}", path.display()), "Accept:".to_owned()], &mut warnings)
                .unwrap();
        let names: Vec<_> = fields.iter().map(Field::name).collect();
        assert_eq!(names, ["A", "B", "Accept"]);
        assert_eq!(warnings.len(), 1);
        assert!(headers(&["K: a\nb".to_owned()], &mut warnings).is_err());
    }
}
