//! Response heads: status line and fields, parsed where they lie.
//!
//! Owns: running httparse, once over a whole head; unfolding of obsolete line folding (RFC 9112
//! section 5.2), which alone copies; the name of what is wrong with a head.
//! Never: framing, and collecting a head that came in pieces (that is `response`).
//! RFC 9112 sections 2.2, 4 and 5.

use alloc::vec::Vec;
use core::fmt;
use core::mem::MaybeUninit;

use memchr::memchr;

use super::error::Error;
use super::framing::KeepAlive;
use super::syntax::{is_blank, is_token_byte, is_value_byte};
use crate::base::is_same;

/// The version that a status line names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

/// Space on the stack for the field lines of one head. Making one costs nothing: it stays
/// uninitialised until a head is parsed into it.
pub struct Scratch<'a> {
    lines: [MaybeUninit<httparse::Header<'a>>; Scratch::FIELDS],
    // For the second look at a head whose lines were folded.
    unfolded: [MaybeUninit<httparse::Header<'a>>; Scratch::FIELDS],
}

impl Scratch<'_> {
    /// As many fields as a head can have at all.
    pub const FIELDS: usize = 256;

    /// Fresh space.
    #[inline]
    pub const fn new() -> Self {
        Self {
            lines: [const { MaybeUninit::uninit() }; Self::FIELDS],
            unfolded: [const { MaybeUninit::uninit() }; Self::FIELDS],
        }
    }
}

impl Default for Scratch<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Scratch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scratch")
    }
}

/// Field lines in the order in which they came.
#[derive(Clone, Copy, Default)]
pub struct Fields<'a> {
    lines: &'a [httparse::Header<'a>],
}

impl<'a> Fields<'a> {
    pub(super) const fn new(lines: &'a [httparse::Header<'a>]) -> Self {
        Self { lines }
    }

    /// Every field line: name as it was written, value without blanks at its ends.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'a str, &'a [u8])> + Clone + use<'a> {
        self.lines.iter().map(|line| (line.name, line.value))
    }

    /// The value of the first line of that name; case does not matter.
    #[inline]
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.lines.iter().find(|line| is_same(line.name, name)).map(|line| line.value)
    }

    /// The values of all lines of that name, in order; case does not matter.
    pub fn get_all<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.lines.iter().filter(move |line| is_same(line.name, name)).map(|line| line.value)
    }

    /// How many field lines there are.
    pub const fn len(&self) -> usize {
        self.lines.len()
    }

    /// No field at all.
    pub const fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

impl fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.lines).finish()
    }
}

/// The head of a response.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Head<'a> {
    /// The version that the status line names.
    pub version: Version,
    /// The status code, 100 to 999.
    pub status: u16,
    /// The reason phrase, often empty; bytes of any encoding, but no controls.
    pub reason: &'a [u8],
    /// The fields.
    pub fields: Fields<'a>,
    /// What a `Keep-Alive` field promised.
    pub keep_alive: KeepAlive,
    /// All of it as it came, from the status line up to and with the empty line.
    pub raw: &'a [u8],
}

/// Where the end of a head was sought so far, across segments; never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Scan {
    /// Within a line.
    #[default]
    InLine,
    /// After a line feed: an empty line may follow.
    LineStart,
    /// After a line feed and a carriage return.
    LineStartCr,
}

impl Scan {
    /// Looks at `bytes` and returns how many of them belong to the head if it ends here. A head
    /// ends with an empty line, after CR LF or LF.
    pub(super) fn find_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        loop {
            let rest = bytes.get(at..)?;
            match self {
                Self::InLine => {
                    at += memchr(b'\n', rest)? + 1;
                    *self = Self::LineStart;
                }
                Self::LineStart | Self::LineStartCr => match rest.first()? {
                    b'\n' => return Some(at + 1),
                    b'\r' if *self == Self::LineStart => {
                        *self = Self::LineStartCr;
                        at += 1;
                    }
                    _ => *self = Self::InLine,
                },
            }
        }
    }
}

/// What httparse made of a head.
pub(super) struct Parsed<'a> {
    pub(super) version: Version,
    pub(super) status: u16,
    pub(super) reason: &'a [u8],
    pub(super) lines: &'a mut [httparse::Header<'a>],
}

/// What a look at bytes that may hold a whole head came to.
pub(super) enum Look<'a> {
    /// A head of so many bytes.
    Whole(Parsed<'a>, usize),
    /// The end of the head is not there yet.
    Partial,
}

/// Parses the head at the beginning of `bytes`, if it is whole there; at most `most` fields.
/// A malformed head is an error only when it is whole, so that the verdict does not depend on cuts.
/// `unfolded` is where a head with folded lines is copied to.
pub(super) fn parse<'a>(
    bytes: &'a [u8],
    most: usize,
    unfolded: &'a mut Vec<u8>,
    scratch: &'a mut Scratch<'a>,
) -> Result<Look<'a>, Error> {
    let Scratch { lines, unfolded: again } = scratch;
    let most = most.min(Scratch::FIELDS);
    if let Ok(look) = attempt(bytes, lines.get_mut(..most).unwrap_or_default()) {
        return match look {
            Look::Whole(parsed, _) if parsed.status < 100 => Err(Error::BadStatusCode),
            look => Ok(look),
        };
    }
    let Some(length) = Scan::InLine.find_end(bytes) else { return Ok(Look::Partial) };
    let whole = bytes.get(..length).unwrap_or_default();
    if !unfold(whole, unfolded) {
        return Err(diagnose(whole, most));
    }
    match attempt(unfolded, again.get_mut(..most).unwrap_or_default()) {
        Ok(Look::Whole(parsed, _)) if parsed.status >= 100 => Ok(Look::Whole(parsed, length)),
        _ => Err(diagnose(unfolded, most)),
    }
}

fn attempt<'a>(
    bytes: &'a [u8],
    lines: &'a mut [MaybeUninit<httparse::Header<'a>>],
) -> Result<Look<'a>, httparse::Error> {
    let mut parsed = httparse::Response::new(&mut []);
    let httparse::Status::Complete(length) = httparse::ParserConfig::default()
        .parse_response_with_uninit_headers(&mut parsed, bytes, lines)?
    else {
        return Ok(Look::Partial);
    };
    let reason = match parsed.reason {
        // httparse drops a reason with obs-text.
        None | Some("") => raw_reason(bytes),
        Some(reason) => reason.as_bytes(),
    };
    let version = if parsed.version == Some(0) { Version::Http10 } else { Version::Http11 };
    let status = parsed.code.unwrap_or(0);
    Ok(Look::Whole(Parsed { version, status, reason, lines: parsed.headers }, length))
}

/// The reason phrase as it stands in a valid head: after `HTTP/1.x NNN ` up to the end of the line.
fn raw_reason(head: &[u8]) -> &[u8] {
    let rest = head.get(12..).unwrap_or_default();
    let line = rest.get(..memchr(b'\n', rest).unwrap_or(0)).unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    line.strip_prefix(b" ").unwrap_or_default()
}

/// Copies a head with each fold (blanks, line end, blanks) as one SP. `false`, and nothing copied,
/// when no line is folded. The line after the status line is never a continuation: a blank there
/// is a fault, and stays for [`diagnose`] to find.
#[cold]
fn unfold(head: &[u8], out: &mut Vec<u8>) -> bool {
    let mut folded = false;
    out.clear();
    for (number, line) in head.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let content = without_line_end(line);
        if number > 1 && line.first().is_some_and(|byte| is_blank(*byte)) {
            folded = true;
            // The end of the line before becomes part of the fold.
            let kept = without_line_end(out)
                .iter()
                .rposition(|byte| !is_blank(*byte))
                .map_or(0, |last| last + 1);
            out.truncate(kept);
            out.push(b' ');
            let blanks = content.iter().take_while(|byte| is_blank(**byte)).count();
            out.extend_from_slice(line.get(blanks..).unwrap_or_default());
        } else {
            out.extend_from_slice(line);
        }
    }
    if !folded {
        out.clear();
    }
    folded
}

fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The name of the first fault of a head that httparse refused. The head is whole and unfolded,
/// and its first bytes were judged already.
#[cold]
fn diagnose(head: &[u8], most: usize) -> Error {
    let mut lines = head.split_inclusive(|byte| *byte == b'\n').map(without_line_end);
    if let Some(error) = lines.next().and_then(status_line_fault) {
        return error;
    }
    for (number, line) in lines.enumerate() {
        if line.is_empty() {
            break;
        }
        if let Some(error) = field_line_fault(line, number == 0) {
            return error;
        }
        if number >= most {
            return Error::TooManyFields;
        }
    }
    Error::BadHead
}

fn status_line_fault(line: &[u8]) -> Option<Error> {
    let code = line.get(9..).unwrap_or_default();
    let digits = code.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits != 3 || code.first() == Some(&b'0') {
        return Some(Error::BadStatusCode);
    }
    match code.get(3) {
        None => None,
        Some(b' ') => fault_among(code.get(4..).unwrap_or_default(), Error::BadReason),
        Some(b'\r') => Some(Error::BareCr),
        Some(0) => Some(Error::NulInHead),
        Some(_) => Some(Error::BadStatusLine),
    }
}

fn field_line_fault(line: &[u8], first: bool) -> Option<Error> {
    if first && line.first().is_some_and(|byte| is_blank(*byte)) {
        return Some(Error::BlankBeforeFirstField);
    }
    let Some(colon) = memchr(b':', line) else {
        return Some(fault_among(line, Error::MissingColon).unwrap_or(Error::MissingColon));
    };
    let name = line.get(..colon).unwrap_or_default();
    let Some(last) = name.last() else { return Some(Error::EmptyFieldName) };
    if let Some(error) = fault_among(name, Error::BadFieldName) {
        return Some(error);
    }
    if is_blank(*last) {
        return Some(Error::BlankBeforeColon);
    }
    if !name.iter().all(|byte| is_token_byte(*byte)) {
        return Some(Error::BadFieldName);
    }
    fault_among(line.get(colon + 1..).unwrap_or_default(), Error::BadFieldValue)
}

/// The first control character, by name; `other` for those without one.
fn fault_among(bytes: &[u8], other: Error) -> Option<Error> {
    bytes.iter().find(|byte| !is_value_byte(**byte)).map(|byte| match byte {
        0 => Error::NulInHead,
        b'\r' => Error::BareCr,
        _ => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_wherever_the_head_is_cut() {
        for (text, end) in [
            ("a\r\n\r\nb", Some(5)),
            ("a\n\nb", Some(3)),
            ("a\r\n\nb", Some(4)),
            ("a\n\r\nb", Some(4)),
            ("a\r\n\r\r\n\n", Some(7)),
            ("a\n\rb\n\r\n", Some(7)),
            ("a\r\n \r\n\r\n", Some(8)),
            ("a\r\n\r", None),
            ("\n", None),
        ] {
            for cut in 0..=text.len() {
                let (one, two) = text.as_bytes().split_at(cut);
                let mut scan = Scan::default();
                let found = scan.find_end(one).or_else(|| scan.find_end(two).map(|n| n + cut));
                assert_eq!(found, end, "{text:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn folds_become_one_space() {
        let mut out = Vec::new();
        assert!(unfold(
            b"HTTP/1.1 200\r\nA: b \t\r\n \t c\r\n\td\nE:\r\n f\r\nG: h\r\n  \r\n\r\n",
            &mut out
        ));
        assert_eq!(out, b"HTTP/1.1 200\r\nA: b c d\nE: f\r\nG: h \r\n\r\n");
        assert!(!unfold(b"HTTP/1.1 200\r\n A: b\r\n\r\n", &mut out));
        assert!(out.is_empty());
    }
}
