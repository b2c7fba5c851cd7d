//! Bodies and queries put together from options, byte for byte as curl does it.
//!
//! Owns what `-d`, `--data-urlencode`, `--json` and `--url-query` mean once the files that they
//! name have been read. Never opens a file.
#![expect(
    clippy::indexing_slicing,
    reason = "the mark's place is one in the text; half a byte has its place in sixteen digits"
)]

/// What several `-d`, `--data-urlencode` and `--json` add up to.
///
/// ```
/// use gannet::fetch::form::Data;
///
/// let mut data = Data::default();
/// data.push(b"name=value");
/// data.push(b"x");
/// assert_eq!(data.as_bytes(), b"name=value&x");
/// assert_eq!(data.content_type(), "application/x-www-form-urlencoded");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Data {
    bytes: Vec<u8>,
    json: bool,
}

impl Data {
    /// Adds a piece, `&` between it and what is there.
    pub fn push(&mut self, piece: &[u8]) {
        if !self.bytes.is_empty() {
            self.bytes.push(b'&');
        }
        self.bytes.extend_from_slice(piece);
    }

    /// Adds a piece of JSON; several are one text (`--json`).
    pub fn push_json(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
        self.json = true;
    }

    /// Whether `--json` had a part in it: `Accept: application/json` is asked for as well.
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// What the body is, unless the user says otherwise.
    pub const fn content_type(&self) -> &'static str {
        if self.json { "application/json" } else { "application/x-www-form-urlencoded" }
    }

    /// All of it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// All of it.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// What `-d @file` makes of a file: CR, LF and NUL are left out.
pub fn without_line_ends(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n' | 0)).collect()
}

/// An argument of `--data-urlencode` or `--url-query`, taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece<'a> {
    /// The name, sent as it stands.
    pub name: Option<&'a [u8]>,
    /// What is encoded after it.
    pub content: Content<'a>,
}

/// Where a [`Piece`]'s content comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Content<'a> {
    /// From the argument.
    Text(&'a [u8]),
    /// From the file of this name.
    File(&'a [u8]),
    /// From the argument, and not encoded (`--url-query +text`).
    Raw(&'a [u8]),
}

impl<'a> Piece<'a> {
    /// The forms of `--data-urlencode`: `content`, `=content`, `name=content`, `@file`,
    /// `name@file`.
    pub fn parse(argument: &'a [u8]) -> Self {
        // A `=` anywhere goes before an `@`.
        let split = memchr::memchr(b'=', argument).or_else(|| memchr::memchr(b'@', argument));
        let Some(at) = split else {
            return Self { name: None, content: Content::Text(argument) };
        };
        let name = (at > 0).then_some(&argument[..at]);
        let rest = &argument[at + 1..];
        let content = if argument[at] == b'@' { Content::File(rest) } else { Content::Text(rest) };
        Self { name, content }
    }

    /// The same, and `+text` for text that is encoded already (`--url-query`).
    pub fn parse_query(argument: &'a [u8]) -> Self {
        match argument.strip_prefix(b"+") {
            Some(raw) => Self { name: None, content: Content::Raw(raw) },
            None => Self::parse(argument),
        }
    }

    /// The encoded piece. `file` is what the file held, when the content comes from one.
    pub fn encode(&self, file: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some(name) = self.name {
            out.extend_from_slice(name);
            out.push(b'=');
        }
        match self.content {
            Content::Raw(raw) => out.extend_from_slice(raw),
            Content::Text(text) => urlencode(text, &mut out),
            Content::File(_) => urlencode(file, &mut out),
        }
        out
    }
}

/// `application/x-www-form-urlencoded`: letters, digits and `-._~` stay, a blank becomes `+`.
pub fn urlencode(bytes: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte),
            b' ' => out.push(b'+'),
            _ => out.extend_from_slice(&[
                b'%',
                HEX[usize::from(byte >> 4)],
                HEX[usize::from(byte & 15)],
            ]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checked against curl 7.88 and a listening socket.
    #[test]
    fn as_curl_encodes() {
        for (argument, file, expected) in [
            ("a b", "", "a+b"),
            ("n=x y&~*", "", "n=x+y%26~%2A"),
            ("=eq al", "", "eq+al"),
            ("n@/tmp/g.txt", "sp ace&", "n=sp+ace%26"),
            ("@/tmp/g.txt", "sp ace&", "sp+ace%26"),
            ("n=", "", "n="),
            ("n=a=b", "", "n=a%3Db"),
            ("n=a@b", "", "n=a%40b"),
            ("a@b=c", "file", "a@b=c"),
            ("na@me=v@w", "file", "na@me=v%40w"),
            ("n b=c", "", "n b=c"),
            ("\u{e4}", "", "%C3%A4"),
            ("", "", ""),
            ("+x", "", "%2Bx"),
        ] {
            let encoded = Piece::parse(argument.as_bytes()).encode(file.as_bytes());
            assert_eq!(String::from_utf8(encoded).unwrap(), expected, "{argument}");
        }
        assert_eq!(Piece::parse_query(b"+raw%20x").encode(b""), b"raw%20x");
        assert_eq!(Piece::parse_query(b"n=v w").encode(b""), b"n=v+w");
        assert_eq!(Piece::parse(b"n@file name").content, Content::File(b"file name"));
    }

    #[test]
    fn pieces_add_up() {
        let mut data = Data::default();
        data.push(b"");
        data.push(b"b");
        data.push(b"c");
        assert_eq!(data.as_bytes(), b"b&c");

        let mut json = Data::default();
        json.push_json(b"{\"a\":");
        json.push_json(b"1}");
        assert_eq!(
            (json.as_bytes(), json.content_type(), json.is_json()),
            (b"{\"a\":1}".as_slice(), "application/json", true)
        );
        let mut mixed = Data::default();
        mixed.push(b"x");
        mixed.push_json(b"y");
        assert_eq!(
            (mixed.content_type(), mixed.into_bytes()),
            ("application/json", b"xy".to_vec())
        );
    }

    #[test]
    fn line_ends_go() {
        assert_eq!(without_line_ends(b"a\r\nb\0c\n"), b"abc");
    }
}
