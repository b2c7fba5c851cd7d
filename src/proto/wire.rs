//! The record of a connection's bytes: what `--record-wire` writes and `gannet replay` reads.
//!
//! Owns: the format, and the masking of secrets before anything is written.
//! Never: what the bytes mean (that is `replay`), files and clocks.
//!
//! # The format
//!
//! One connection a file. The first line is `gannet-wire 1`; lines that begin with `#` are remarks. Then
//! come records, in the order of time; microseconds count from the opening of the connection:
//!
//! ```text
//! > MICROSECONDS LENGTH     bytes that were sent, in one write
//! < MICROSECONDS LENGTH     bytes that were received, in one read
//! ! MICROSECONDS END        the end: eof, truncated, reset or closed
//! ```
//!
//! Each is a line; after the first two follow LENGTH bytes as they were and one line feed, so that a record of
//! text can be read with the eye and no byte needs escaping. `eof` is a proper end by the server,
//! `truncated` a TLS connection that ended without `close_notify`, `reset` a reset, and `closed` our own doing.
//!
//! A file without that first line is taken for the bare bytes of a server, the answer to one GET, followed by
//! `eof`. So every file is a record, and the fuzz target `replay` takes them unchanged.
//!
//! # Masking
//!
//! In lines that begin with the name of a secret field and a colon, each visible character of the value
//! is written as `*`: lengths, blanks and line ends stay, and so does the verdict of the parser. That is done
//! wherever such a line stands, in content too.

use alloc::vec::Vec;
use core::fmt;

use super::syntax::is_blank;

/// The first line of a record.
pub const MAGIC: &[u8] = b"gannet-wire 1\n";

/// Fields whose values are masked.
pub const SECRET_FIELDS: &[&str] =
    &["authorization", "proxy-authorization", "cookie", "set-cookie"];

const LONGEST_SECRET_NAME: usize = 19;

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// The server closed properly.
    Eof,
    /// TLS ended without `close_notify`.
    Truncated,
    /// The connection was reset.
    Reset,
    /// We closed it.
    Closed,
}

impl End {
    const ALL: [Self; 4] = [Self::Eof, Self::Truncated, Self::Reset, Self::Closed];

    /// The word in the file.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Eof => "eof",
            Self::Truncated => "truncated",
            Self::Reset => "reset",
            Self::Closed => "closed",
        }
    }
}

/// Writes one connection's record. Bytes go to a buffer of the caller, who brings them to a file; times are
/// microseconds since the connection was opened.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    sent: Mask,
    received: Mask,
}

impl Recorder {
    /// Begins a record: the first line, and a remark such as the address, from which controls are left out.
    pub fn begin(out: &mut Vec<u8>, remark: &str) -> Self {
        out.extend_from_slice(MAGIC);
        if !remark.is_empty() {
            out.extend_from_slice(b"# ");
            out.extend(remark.bytes().filter(|byte| !byte.is_ascii_control()));
            out.push(b'\n');
        }
        Self::default()
    }

    /// A new request begins. Else content that ends within a line that is masked would have the next head
    /// masked too.
    pub fn next_exchange(&mut self) {
        *self = Self::default();
    }

    /// Bytes that were sent in one write. None are not recorded.
    pub fn sent(&mut self, out: &mut Vec<u8>, micros: u64, bytes: &[u8]) {
        record(out, '>', micros, bytes, &mut self.sent);
    }

    /// Bytes that were received in one read. None are not recorded.
    pub fn received(&mut self, out: &mut Vec<u8>, micros: u64, bytes: &[u8]) {
        record(out, '<', micros, bytes, &mut self.received);
    }

    /// The end.
    pub fn end(self, out: &mut Vec<u8>, micros: u64, end: End) {
        print(out, format_args!("! {micros} {}\n", end.word()));
    }
}

fn record(out: &mut Vec<u8>, mark: char, micros: u64, bytes: &[u8], mask: &mut Mask) {
    if bytes.is_empty() {
        return;
    }
    print(out, format_args!("{mark} {micros} {}\n", bytes.len()));
    out.extend(bytes.iter().map(|byte| mask.byte(*byte)));
    out.push(b'\n');
}

fn print(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    struct Sink<'a>(&'a mut Vec<u8>);
    impl fmt::Write for Sink<'_> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.extend_from_slice(text.as_bytes());
            Ok(())
        }
    }
    // Writing to memory does not fail.
    let _ = fmt::Write::write_fmt(&mut Sink(out), text);
}

/// Masks one direction, byte by byte, so that cuts play no part.
#[derive(Clone, Copy, Debug)]
enum Mask {
    /// So much of a line was seen, and it may yet be a secret's name.
    Name { name: [u8; LONGEST_SECRET_NAME], length: usize, blank: bool },
    /// In a line without a secret.
    Open,
    /// In a secret.
    Secret,
    /// After the end of a secret's line: a blank continues it.
    AfterSecret,
}

impl Default for Mask {
    fn default() -> Self {
        Self::LINE_START
    }
}

impl Mask {
    const LINE_START: Self = Self::Name { name: [0; LONGEST_SECRET_NAME], length: 0, blank: false };

    fn byte(&mut self, byte: u8) -> u8 {
        if matches!(self, Self::AfterSecret) {
            // A carriage return may belong to the line's end, or be a blank of sorts.
            *self = match byte {
                b'\n' | b'\r' => Self::AfterSecret,
                _ if is_blank(byte) => Self::Secret,
                _ => Self::LINE_START,
            };
        }
        match self {
            Self::Secret if matches!(byte, b'\n' | b'\r') => *self = Self::AfterSecret,
            Self::Secret => {
                return if byte.is_ascii_graphic() || byte >= 0x80 { b'*' } else { byte };
            }
            Self::AfterSecret => {}
            // A bare carriage return begins a line for some; better masked than not.
            _ if matches!(byte, b'\n' | b'\r') => *self = Self::LINE_START,
            Self::Open => {}
            Self::Name { name, length, blank } => {
                let seen = name.get(..*length).unwrap_or_default();
                *self = if byte == b':' {
                    let secret = SECRET_FIELDS.iter().any(|field| field.as_bytes() == seen);
                    if secret { Self::Secret } else { Self::Open }
                } else if is_blank(byte) && *length > 0 {
                    Self::Name { name: *name, length: *length, blank: true }
                } else if let (false, Some(slot)) = (*blank, name.get_mut(*length)) {
                    *slot = byte.to_ascii_lowercase();
                    Self::Name { name: *name, length: *length + 1, blank: false }
                } else {
                    Self::Open
                };
            }
        }
        byte
    }
}

/// One record of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// Bytes that were sent.
    Sent {
        /// When, in microseconds.
        micros: u64,
        /// What.
        bytes: &'a [u8],
    },
    /// Bytes that were received.
    Received {
        /// When, in microseconds.
        micros: u64,
        /// What.
        bytes: &'a [u8],
    },
    /// The end.
    End {
        /// When, in microseconds.
        micros: u64,
        /// How.
        end: End,
    },
}

/// A file is not a record: the byte at which it stops being one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// Counted from the beginning of the file.
    pub at: usize,
}

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the wire record is damaged at byte {}", self.at)
    }
}

impl core::error::Error for Damaged {}

/// The records of a file, in order. A file without the first line gives what the bare bytes of a
/// server stand for.
pub fn records(file: &[u8]) -> impl Iterator<Item = Result<Record<'_>, Damaged>> {
    Records { file, at: file.starts_with(MAGIC).then_some(MAGIC.len()), bare: 0, failed: false }
}

/// What a file of bare bytes is taken to answer.
pub const BARE_REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: unknown\r\n\r\n";

struct Records<'a> {
    file: &'a [u8],
    /// Where the next record begins; none for bare bytes.
    at: Option<usize>,
    /// Which record of bare bytes is next.
    bare: u8,
    failed: bool,
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, Damaged>;

    fn next(&mut self) -> Option<Self::Item> {
        let Some(mut at) = self.at else {
            self.bare = self.bare.saturating_add(1);
            return match self.bare {
                1 => Some(Ok(Record::Sent { micros: 0, bytes: BARE_REQUEST })),
                2 => Some(Ok(Record::Received { micros: 0, bytes: self.file })),
                3 => Some(Ok(Record::End { micros: 0, end: End::Eof })),
                _ => None,
            };
        };
        loop {
            let rest = self.file.get(at..)?;
            if rest.is_empty() || self.failed {
                return None;
            }
            let line_end = rest.iter().position(|byte| *byte == b'\n');
            let line = rest.get(..line_end.unwrap_or(rest.len())).unwrap_or_default();
            if line.starts_with(b"#") || line.is_empty() {
                at += line.len() + 1;
                self.at = Some(at);
                continue;
            }
            let parsed =
                line_end.and_then(|end| parse(line, rest.get(end + 1..).unwrap_or_default()));
            let Some((record, behind)) = parsed else {
                self.failed = true;
                return Some(Err(Damaged { at }));
            };
            self.at = Some(at + line.len() + 1 + behind);
            return Some(Ok(record));
        }
    }
}

/// One record from its line and what follows it, and how many bytes of that it took.
fn parse<'a>(line: &'a [u8], rest: &'a [u8]) -> Option<(Record<'a>, usize)> {
    let mut words = core::str::from_utf8(line).ok()?.split(' ');
    let (mark, micros, third) = (words.next()?, words.next()?.parse().ok()?, words.next()?);
    if words.next().is_some() {
        return None;
    }
    if mark == "!" {
        let end = End::ALL.into_iter().find(|end| end.word() == third)?;
        return Some((Record::End { micros, end }, 0));
    }
    let length: usize = third.parse().ok()?;
    let bytes = rest.get(..length)?;
    if rest.get(length) != Some(&b'\n') {
        return None;
    }
    let record = match mark {
        ">" => Record::Sent { micros, bytes },
        "<" => Record::Received { micros, bytes },
        _ => return None,
    };
    Some((record, length + 1))
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::*;

    fn masked(pieces: &[&str]) -> String {
        let mut mask = Mask::default();
        pieces
            .iter()
            .flat_map(|piece| piece.bytes())
            .map(|byte| char::from(mask.byte(byte)))
            .collect()
    }

    #[test]
    fn secrets_are_masked_wherever_they_are_cut() {
        let text = "GET / HTTP/1.1\r\nHost: a\r\nauthorization: Basic dXNl\r\nCOOKIE : a=b; c=d\r\n\te=f\r\n\
                    X-Cookie: seen\r\nSet-Cookies: seen\r\nProxy-Authorization:x\r\n\r\nSet-Cookie: in=content\nend";
        let want = "GET / HTTP/1.1\r\nHost: a\r\nauthorization: ***** ****\r\nCOOKIE : **** ***\r\n\t***\r\n\
                    X-Cookie: seen\r\nSet-Cookies: seen\r\nProxy-Authorization:*\r\n\r\nSet-Cookie: **********\nend";
        for cut in (0..text.len()).step_by(if cfg!(miri) { 31 } else { 1 }) {
            let (one, two) = text.split_at(cut);
            assert_eq!(masked(&[one, two]), want);
        }
    }

    #[test]
    fn what_is_recorded_is_read_back() {
        let mut file = Vec::new();
        let mut recorder = Recorder::begin(&mut file, "127.0.0.1:80\nplain");
        recorder.sent(&mut file, 1, b"GET / HTTP/1.1\r\nCookie: a\r\n\r\n");
        recorder.sent(&mut file, 1, b"");
        recorder.received(&mut file, 20, b"HTTP/1.1 204\r\nSet-Coo");
        recorder.received(&mut file, 30, b"kie: b=c\n\n! 5 eof\n");
        recorder.end(&mut file, u64::MAX, End::Reset);
        let read: Vec<_> = records(&file).map(Result::unwrap).collect();
        assert_eq!(
            read,
            [
                Record::Sent { micros: 1, bytes: b"GET / HTTP/1.1\r\nCookie: *\r\n\r\n" },
                Record::Received { micros: 20, bytes: b"HTTP/1.1 204\r\nSet-Coo" },
                Record::Received { micros: 30, bytes: b"kie: ***\n\n! 5 eof\n" },
                Record::End { micros: u64::MAX, end: End::Reset },
            ]
        );
        assert!(file.starts_with(b"gannet-wire 1\n# 127.0.0.1:80plain\n> 1 29\nGET"));
    }

    #[test]
    fn damage_is_located() {
        for (rest, at) in [
            ("> 1 5\nabc\n", 0),
            ("> 1 3\nabcd\n", 0),
            ("> 1\nabc\n", 0),
            ("> 1 +3 4\nabc\n", 0),
            ("> 1 99999999999999999999999\n", 0),
            ("* 1 3\nabc\n", 0),
            ("! 1 gone\n", 0),
            ("! 1 eof", 0),
            ("# fine\n\n< 1 3\nabc\n< ", 18),
        ] {
            let file = [MAGIC, rest.as_bytes()].concat();
            let last = records(&file).last().unwrap();
            assert_eq!(last, Err(Damaged { at: MAGIC.len() + at }), "{rest:?}");
        }
    }

    #[test]
    fn bare_bytes_are_an_answer_to_get() {
        let read: Vec<_> = records(b"HTTP/1.1 204\n\n").map(Result::unwrap).collect();
        assert_eq!(read.len(), 3);
        assert_eq!(read[1], Record::Received { micros: 0, bytes: b"HTTP/1.1 204\n\n" });
        assert_eq!(records(MAGIC).count(), 0);
    }
}
