//! The request's data as curl composes it: `-d` and its kin, `-H` with its files, `--url-query`.
//!
//! Owns the joining, the percent-encoding and the reading of the files named. Never knows URLs.

use std::io::Read;

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
pub fn compose(pieces: &[(Kind, String)]) -> Result<Option<Vec<u8>>, String> {
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
                data.extend(read(file)?.into_iter().filter(|byte| !matches!(byte, b'\r' | b'\n' | 0)));
            }
            (Kind::Binary | Kind::Json, Some(file)) => data.extend(read(file)?),
        }
    }
    Ok(Some(data))
}

/// One `--url-query`: as `--data-urlencode`, and `+text` goes in as it is.
pub fn query(text: &str, out: &mut Vec<u8>) -> Result<(), String> {
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
fn encoded(text: &str, out: &mut Vec<u8>) -> Result<(), String> {
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
            other => out.extend_from_slice(&[b'%', HEX[usize::from(other >> 4)], HEX[usize::from(other & 15)]]),
        }
    }
}

/// A file named on the command line, or standard input.
pub fn read(file: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let result = if file == "-" {
        std::io::stdin().lock().read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|mut file| file.read_to_end(&mut bytes))
    };
    result.map(|_| bytes).map_err(|error| format!("can't read {file}: {error}"))
}

/// What one `-H` says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Header {
    /// `K: V`.
    Set(String, Vec<u8>),
    /// `K;`: an empty value.
    Empty(String),
    /// `K:`: not to be sent.
    Remove(String),
}

impl Header {
    /// The field's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Set(name, _) | Self::Empty(name) | Self::Remove(name) => name,
        }
    }
}

/// Reads the `-H` of one group, those in files too.
pub fn headers(lines: &[String]) -> Result<Vec<Header>, String> {
    let mut all = Vec::new();
    for line in lines {
        if let Some(file) = line.strip_prefix('@') {
            let bytes = read(file)?;
            for line in bytes.split(|&byte| byte == b'\n') {
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                if !line.is_empty() {
                    all.extend(header(line)?);
                }
            }
        } else {
            all.extend(header(line.as_bytes())?);
        }
    }
    Ok(all)
}

fn header(line: &[u8]) -> Result<Option<Header>, String> {
    let said = || String::from_utf8_lossy(line).into_owned();
    if line.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        return Err(format!("the header field {:?} holds a line end or NUL", said()));
    }
    let name_of = |bytes: &[u8]| {
        let token = !bytes.is_empty() && bytes.iter().all(|&b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
        if token { Ok(String::from_utf8_lossy(bytes).into_owned()) } else { Err(format!("{:?} is no header field (Name: value)", said())) }
    };
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    if let Some(colon) = line.iter().position(|&byte| byte == b':') {
        let name = name_of(&line[..colon])?;
        let value = &line[colon + 1..];
        let start = value.iter().position(|byte| !blank(byte)).unwrap_or(value.len());
        let end = value.iter().rposition(|byte| !blank(byte)).map_or(start, |at| at + 1);
        let value = &value[start..end];
        return Ok(Some(if value.is_empty() { Header::Remove(name) } else { Header::Set(name, value.to_vec()) }));
    }
    // curl ignores a line that has neither.
    let Some(semicolon) = line.iter().position(|&byte| byte == b';') else { return Ok(None) };
    if line[semicolon + 1..].iter().all(blank) { Ok(Some(Header::Empty(name_of(&line[..semicolon])?))) } else { Ok(None) }
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
            let pieces: Vec<_> = pieces.iter().map(|(kind, text)| (*kind, (*text).to_owned())).collect();
            assert_eq!(String::from_utf8(compose(&pieces).unwrap().unwrap()).unwrap(), *want, "{pieces:?}");
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
    fn header_lines_set_empty_or_remove() {
        let table: &[(&str, Option<Header>)] = &[
            ("K: v", Some(Header::Set("K".into(), b"v".to_vec()))),
            ("K:v", Some(Header::Set("K".into(), b"v".to_vec()))),
            ("K:  v \t", Some(Header::Set("K".into(), b"v".to_vec()))),
            ("K: a;b:c", Some(Header::Set("K".into(), b"a;b:c".to_vec()))),
            ("K:", Some(Header::Remove("K".into()))),
            ("K: ", Some(Header::Remove("K".into()))),
            ("K;", Some(Header::Empty("K".into()))),
            ("K; x", None),
            ("nothing", None),
        ];
        for (line, want) in table {
            assert_eq!(header(line.as_bytes()).unwrap(), *want, "{line}");
        }
        for bad in ["K\r\nX: v", "K: a\nb", "K: \0", " K: v", "K : v", ": v", "K y;"] {
            assert!(header(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }
}
