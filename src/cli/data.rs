//! The request's data as it was typed: `-d` and its kin, `-H` with its files, `--url-query`.
//!
//! Owns the reading of the files named and the order of the pieces; what they add up to is
//! `fetch::form`'s. Never knows URLs.

use std::io::Read;

use super::plan::Usage;
use crate::fetch::form::{self, Content, Data, Piece};
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
pub fn compose(pieces: &[(Kind, String)]) -> Result<Option<Data>, Usage> {
    if pieces.is_empty() {
        return Ok(None);
    }
    let mut data = Data::default();
    for (kind, text) in pieces {
        match (kind, text.strip_prefix('@')) {
            (Kind::Encoded, _) => data.push(&encoded(Piece::parse(text.as_bytes()))?),
            (Kind::Json, Some(file)) => data.push_json(&read(file)?),
            (Kind::Json, None) => data.push_json(text.as_bytes()),
            (Kind::Plain, Some(file)) => data.push(&read_line(file)?),
            (Kind::Binary, Some(file)) => data.push(&read(file)?),
            (Kind::Plain | Kind::Raw | Kind::Binary, _) => data.push(text.as_bytes()),
        }
    }
    Ok(Some(data))
}

/// One `--url-query`: as `--data-urlencode`, and `+text` goes in as it is.
pub fn query(text: &str, out: &mut Vec<u8>) -> Result<(), Usage> {
    if !out.is_empty() {
        out.push(b'&');
    }
    out.extend(encoded(Piece::parse_query(text.as_bytes()))?);
    Ok(())
}

/// With the file that it names, if it names one.
fn encoded(piece: Piece<'_>) -> Result<Vec<u8>, Usage> {
    match piece.content {
        Content::File(name) => Ok(piece.encode(&read(&String::from_utf8_lossy(name))?)),
        Content::Text(_) | Content::Raw(_) => Ok(piece.encode(b"")),
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
    Ok(form::without_line_ends(&read(file)?))
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
                String::from_utf8(compose(&pieces).unwrap().unwrap().into_bytes()).unwrap(),
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
