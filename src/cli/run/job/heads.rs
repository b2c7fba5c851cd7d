//! What is kept of heads: the values of the last one that records name, and the text of all of them.
//!
//! Owns how much of that text has been shown and dumped. Never decides what an answer means.

use std::borrow::Cow;
use std::io::Write as _;
use std::ops::Range;

use super::terms::Terms;
use crate::base::is_named;
use crate::cli::plan::RecordHeaders;
use crate::fetch::{Fields, Head, Version};

/// The last head: its status, and of its fields what records say.
#[derive(Debug, Default)]
pub struct LastHead {
    pub status: u16,
    /// Values, one after another.
    values: Vec<u8>,
    content_type: Option<Range<u32>>,
    etag: Option<Range<u32>>,
    last_modified: Option<Range<u32>>,
    location: Option<Range<u32>>,
    pub content_length: Option<u64>,
    /// The body comes decoded: its length and its validators are those of other bytes.
    pub decoded: bool,
}

impl LastHead {
    /// There is none.
    pub(super) fn forget(&mut self) {
        self.status = 0;
        self.values.clear();
        self.content_type = None;
        self.etag = None;
        self.last_modified = None;
        self.location = None;
        self.content_length = None;
        self.decoded = false;
    }

    /// Keeps of a head what records say, in one pass.
    pub fn keep<'a>(
        &mut self,
        status: u16,
        decoded: bool,
        fields: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) {
        self.forget();
        self.status = status;
        self.decoded = decoded;
        for (name, value) in fields {
            let slot = match name.len() {
                12 if is_named(name, "Content-Type") => &mut self.content_type,
                4 if is_named(name, "ETag") => &mut self.etag,
                13 if is_named(name, "Last-Modified") => &mut self.last_modified,
                8 if is_named(name, "Location") => &mut self.location,
                14 if is_named(name, "Content-Length") => {
                    self.content_length = number(value.trim_ascii());
                    continue;
                }
                _ => continue,
            };
            if slot.is_none() {
                // Heads are bounded far below 4 GiB.
                let from = self.values.len() as u32;
                self.values.extend_from_slice(value);
                *slot = Some(from..self.values.len() as u32);
            }
        }
    }

    fn value(&self, range: Option<&Range<u32>>) -> Option<&[u8]> {
        let range = range?;
        self.values.get(range.start as usize..range.end as usize)
    }

    pub fn content_type(&self) -> Option<&[u8]> {
        self.value(self.content_type.as_ref())
    }

    /// The same as text; empty where there is none.
    pub fn media_type(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.content_type().unwrap_or_default())
    }

    pub fn etag(&self) -> Option<&[u8]> {
        self.value(self.etag.as_ref())
    }

    pub fn last_modified(&self) -> Option<&[u8]> {
        self.value(self.last_modified.as_ref())
    }

    pub fn location(&self) -> Option<&[u8]> {
        self.value(self.location.as_ref())
    }

    pub(super) const fn capacity(&self) -> usize {
        self.values.capacity()
    }

    pub(super) const fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.values
    }
}

/// The text of all heads of a transfer, redirects and interim ones included.
#[derive(Debug, Default)]
pub struct Heads {
    /// In lines that are easily read, where somebody looks into them.
    pub lines: Vec<u8>,
    /// With trailers, as they came, where somebody is shown them.
    raw: Vec<u8>,
    /// How much of `raw` `-D` has,
    dumped: usize,
    /// and how much of it is in the output.
    shown: usize,
    /// Where the redirect that was followed last led.
    pub redirect_to: String,
    /// The last ETag of a success or a redirect, for `--etag-save`.
    etag: Vec<u8>,
}

impl Heads {
    pub(super) fn forget(&mut self) {
        self.lines.clear();
        self.raw.clear();
        self.dumped = 0;
        self.shown = 0;
        self.redirect_to.clear();
        self.etag.clear();
    }

    /// Keeps a head for whoever wants it: as it came for those who are shown it, in plain lines for
    /// those who look into it.
    pub fn keep(&mut self, terms: &Terms, records: &RecordHeaders, head: &Head<'_>) {
        if terms.shows_heads() || terms.dump.is_some() || terms.format.is_some() {
            self.raw.extend_from_slice(head.raw);
        }
        if terms.format.is_none() && *records == RecordHeaders::None {
            return;
        }
        let out = &mut self.lines;
        let version = if head.version == Version::Http10 { "1.0" } else { "1.1" };
        let _ = write!(out, "HTTP/{version} {:03} ", head.status);
        out.extend_from_slice(head.reason);
        out.extend_from_slice(b"\r\n");
        for (name, value) in head.fields.iter() {
            push_line(name, value, out);
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Trailers, for those who are shown heads.
    pub fn keep_trailers(&mut self, fields: Fields<'_>) {
        for (name, value) in fields.iter() {
            push_line(name, value, &mut self.raw);
        }
    }

    /// For `--etag-save`; an empty one is none.
    pub fn keep_etag(&mut self, terms: &Terms, head: &Head<'_>) {
        if terms.etag_save.is_some()
            && (200..400).contains(&head.status)
            && let Some(etag) = head.fields.get("etag").filter(|etag| !etag.is_empty())
        {
            self.etag.clear();
            self.etag.extend_from_slice(etag);
        }
    }

    /// What is to be saved of it; empty: nothing.
    pub fn take_etag(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.etag)
    }

    /// Bytes of heads and trailers.
    pub const fn bytes(&self) -> u64 {
        self.raw.len() as u64
    }

    /// What `-D` has not had yet.
    pub fn undumped(&mut self) -> &[u8] {
        let from = std::mem::replace(&mut self.dumped, self.raw.len());
        self.raw.get(from..).unwrap_or_default()
    }

    /// What is not in the output yet.
    pub fn unshown(&mut self) -> &[u8] {
        let from = std::mem::replace(&mut self.shown, self.raw.len());
        self.raw.get(from..).unwrap_or_default()
    }

    pub(super) const fn capacity(&self) -> usize {
        self.lines.capacity() | self.raw.capacity()
    }

    pub(super) const fn buffers(&mut self) -> [&mut Vec<u8>; 2] {
        [&mut self.lines, &mut self.raw]
    }
}

fn push_line(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// A decimal number of digits alone.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_kept_in_one_pass() {
        let mut last = LastHead::default();
        let fields: [(&str, &[u8]); 6] = [
            ("Content-Type", b"a/b"),
            ("ETag", b"\"x\""),
            ("content-length", b"12"),
            ("Location", b"/y"),
            ("Content-Type", b"c/d"),
            ("X-Other", b"z"),
        ];
        last.keep(200, false, fields.iter().map(|(name, value)| (*name, *value)));
        assert_eq!(last.content_type(), Some(b"a/b".as_slice()));
        assert_eq!(last.etag(), Some(b"\"x\"".as_slice()));
        assert_eq!(last.location(), Some(b"/y".as_slice()));
        assert_eq!((last.content_length, last.last_modified()), (Some(12), None));
        last.keep(204, false, std::iter::empty());
        assert_eq!((last.status, last.content_type(), last.content_length), (204, None, None));
    }
}
