//! Requests as they arrive: a strict little parser of its own.
//!
//! Nothing is shared with the client's parser, so that a mistake in one cannot hide a mistake in
//! the other. Strict where a client must be right (RFC 9112): CRLF, one Host, no space around
//! names, no message with two lengths.

use core::ops::Range;

/// A head longer than this is answered with 431.
const MAX_HEAD: usize = 64 * 1024;
/// A line of the chunked coding longer than this is refused.
const MAX_LINE: usize = 8 * 1024;

/// Why a request is refused: the status that says so.
pub(super) type Refusal = u16;

/// Where the parts of a request's head are in the bytes that it was read from.
#[derive(Clone, Debug)]
pub(super) struct Head {
    method: Range<usize>,
    target: Range<usize>,
    fields: Range<usize>,
    /// The length of the head with its empty line.
    pub(super) len: usize,
    /// Whether this is HTTP/1.1.
    pub(super) current: bool,
    /// Whether the connection may be used again afterwards.
    pub(super) keep: bool,
    /// `Expect: 100-continue`.
    pub(super) expects: bool,
    /// The body that follows.
    pub(super) body: Incoming,
}

impl Head {
    /// Reads a head from the start of `bytes`, once it is there as a whole.
    ///
    /// `scanned` remembers how far the end was looked for, so that a trickling head costs nothing.
    pub(super) fn parse(bytes: &[u8], scanned: &mut usize) -> Result<Option<Self>, Refusal> {
        let from = scanned.saturating_sub(3).min(bytes.len());
        let Some(end) = memchr::memmem::find(&bytes[from..], b"\r\n\r\n") else {
            *scanned = bytes.len();
            return if bytes.len() > MAX_HEAD { Err(431) } else { Ok(None) };
        };
        *scanned = 0;
        let end = from + end + 2;
        if end > MAX_HEAD {
            return Err(431);
        }
        Self::lines(bytes, end).map(Some)
    }

    /// Takes the lines of `bytes[..end]` apart; `end` is where the empty line starts.
    fn lines(bytes: &[u8], end: usize) -> Result<Self, Refusal> {
        let first = memchr::memmem::find(&bytes[..end], b"\r\n").ok_or(400_u16)?;
        let mut words = bytes[..first].split(|&byte| byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(400);
        };
        let current = match version {
            b"HTTP/1.1" => true,
            b"HTTP/1.0" => false,
            _ if version.starts_with(b"HTTP/") => return Err(505),
            _ => return Err(400),
        };
        if method.is_empty()
            || !method.iter().all(|&byte| is_token(byte))
            || target.is_empty()
            || !target.iter().all(u8::is_ascii_graphic)
        {
            return Err(400);
        }
        let mut head = Self {
            method: 0..method.len(),
            target: method.len() + 1..method.len() + 1 + target.len(),
            fields: first + 2..end,
            len: end + 2,
            current,
            keep: current,
            expects: false,
            body: Incoming::None,
        };
        head.read_fields(bytes)?;
        Ok(head)
    }

    fn read_fields(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let mut hosts = 0;
        let (mut keep, mut expects, mut body) = (self.keep, false, Incoming::None);
        for line in lines(&bytes[self.fields.clone()]) {
            let (name, value) = split_field(line).ok_or(400_u16)?;
            if !name.iter().all(|&byte| is_token(byte))
                || name.is_empty()
                || value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0))
            {
                return Err(400);
            }
            if name.eq_ignore_ascii_case(b"host") {
                hosts += 1;
            } else if name.eq_ignore_ascii_case(b"content-length") {
                let length = number(value).ok_or(400_u16)?;
                body = match body {
                    Incoming::None => Incoming::Length(length),
                    _ => return Err(400),
                };
            } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
                if !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(501);
                }
                body = match body {
                    Incoming::None => Incoming::Chunked(Chunk::Size),
                    _ => return Err(400),
                };
            } else if name.eq_ignore_ascii_case(b"connection") {
                for option in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
                    if option.eq_ignore_ascii_case(b"close") {
                        keep = false;
                    } else if option.eq_ignore_ascii_case(b"keep-alive") && !self.current {
                        keep = true;
                    }
                }
            } else if name.eq_ignore_ascii_case(b"expect") {
                expects = value.eq_ignore_ascii_case(b"100-continue");
            }
        }
        if hosts > 1 || (hosts == 0 && self.current) {
            return Err(400);
        }
        self.keep = keep;
        self.expects = expects && self.current;
        self.body = if matches!(body, Incoming::Length(0)) { Incoming::None } else { body };
        Ok(())
    }

    /// The method as it was sent.
    pub(super) fn method<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        bytes.get(self.method.clone()).unwrap_or_default()
    }

    /// Path and query: of an absolute target, what follows the authority.
    pub(super) fn target<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        let target = bytes.get(self.target.clone()).unwrap_or_default();
        let absolute = [&b"http://"[..], b"https://"].iter().find_map(|scheme| {
            let (start, rest) = target.split_at_checked(scheme.len())?;
            start.eq_ignore_ascii_case(scheme).then_some(rest)
        });
        let Some(rest) = absolute else { return target };
        memchr::memchr2(b'/', b'?', rest).map_or(b"/", |start| &rest[start..])
    }

    /// The value of the first field with this name.
    pub(super) fn field<'b>(&self, bytes: &'b [u8], name: &str) -> Option<&'b [u8]> {
        self.fields(bytes)
            .find(|(is, _)| is.eq_ignore_ascii_case(name.as_bytes()))
            .map(|pair| pair.1)
    }

    /// All fields, in order.
    pub(super) fn fields<'b>(&self, bytes: &'b [u8]) -> impl Iterator<Item = (&'b [u8], &'b [u8])> {
        lines(bytes.get(self.fields.clone()).unwrap_or_default()).filter_map(split_field)
    }
}

/// What is left of a request's body.
#[derive(Clone, Debug)]
pub(super) enum Incoming {
    /// Nothing.
    None,
    /// So many bytes.
    Length(u64),
    /// Chunks, from this place on.
    Chunked(Chunk),
}

/// Where in the chunked coding the next byte belongs.
#[derive(Clone, Debug)]
pub(super) enum Chunk {
    Size,
    Data(u64),
    AfterData,
    Trailer,
}

impl Incoming {
    /// Whether all of it has been taken.
    pub(super) fn is_done(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Takes as much as `bytes` hold and says how many bytes that was; the content goes to `keep`.
    pub(super) fn take(
        &mut self,
        bytes: &[u8],
        mut keep: impl FnMut(&[u8]),
    ) -> Result<usize, Refusal> {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            match self {
                Self::None => break,
                Self::Length(left) => {
                    let now = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    keep(&rest[..now]);
                    at += now;
                    *left -= now as u64;
                    if *left == 0 {
                        *self = Self::None;
                    }
                }
                Self::Chunked(Chunk::Data(left)) => {
                    let now = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    keep(&rest[..now]);
                    at += now;
                    *left -= now as u64;
                    if *left == 0 {
                        *self = Self::Chunked(Chunk::AfterData);
                    }
                }
                Self::Chunked(place) => {
                    let Some(end) = memchr::memchr(b'\n', rest) else {
                        return if rest.len() > MAX_LINE { Err(400) } else { Ok(at) };
                    };
                    let line = rest[..end].strip_suffix(b"\r").ok_or(400_u16)?;
                    at += end + 1;
                    *self = match place {
                        Chunk::Size => match chunk_size(line).ok_or(400_u16)? {
                            0 => Self::Chunked(Chunk::Trailer),
                            size => Self::Chunked(Chunk::Data(size)),
                        },
                        Chunk::Trailer if line.is_empty() => Self::None,
                        Chunk::Trailer => Self::Chunked(Chunk::Trailer),
                        _ if line.is_empty() => Self::Chunked(Chunk::Size),
                        _ => return Err(400),
                    };
                }
            }
        }
        Ok(at)
    }
}

/// A decimal number and nothing else.
pub(super) fn number(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() || !bytes.iter().all(u8::is_ascii_digit) {
        return None;
    }
    core::str::from_utf8(bytes).ok()?.parse().ok()
}

fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|&byte| byte == b';').next()?.trim_ascii_end();
    if digits.is_empty() || digits.len() > 16 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u64::from_str_radix(core::str::from_utf8(digits).ok()?, 16).ok()
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    core::iter::from_fn(move || {
        let end = memchr::memmem::find(rest, b"\r\n")?;
        let line = &rest[..end];
        rest = &rest[end + 2..];
        Some(line)
    })
}

fn split_field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr::memchr(b':', line)?;
    Some((&line[..colon], line[colon + 1..].trim_ascii()))
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Option<Head>, Refusal> {
        Head::parse(text.as_bytes(), &mut 0)
    }

    #[test]
    fn heads() {
        let text =
            "POST http://h:1/p?q HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nX:  y \r\n\r\nhello";
        let head = parse(text).unwrap().unwrap();
        let bytes = text.as_bytes();
        assert_eq!(head.method(bytes), b"POST");
        assert_eq!(head.target(bytes), b"/p?q");
        assert_eq!(head.field(bytes, "x"), Some(&b"y"[..]));
        assert_eq!(head.fields(bytes).count(), 3);
        assert_eq!(&bytes[head.len..], b"hello");
        assert!(matches!(head.body, Incoming::Length(5)));
        for cut in 0..text.len() - 5 {
            assert!(parse(&text[..cut]).unwrap().is_none(), "{cut}");
        }
    }

    #[test]
    fn refusals() {
        for (name, text, status) in [
            ("no host", "GET / HTTP/1.1\r\n\r\n", 400),
            ("two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
            (
                "two lengths",
                "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
                400,
            ),
            (
                "length and chunked",
                "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                400,
            ),
            ("a signed length", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", 400),
            ("another coding", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
            ("a space before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
            ("a bare line feed", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400),
            ("two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("a newer version", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
            ("no version", "GET /\r\nHost: a\r\n\r\n", 400),
        ] {
            assert_eq!(parse(text).err(), Some(status), "{name}");
        }
        assert_eq!(parse(&"a".repeat(MAX_HEAD + 1)).err(), Some(431));
    }

    #[test]
    fn bodies_arrive_in_any_pieces() {
        let coded = b"5;x=y\r\nhello\r\n00A\r\n, world...\r\n0\r\nTrailer: 1\r\n\r\nrest";
        for step in 1..coded.len() {
            let (mut body, mut content) = (Incoming::Chunked(Chunk::Size), Vec::new());
            let (mut held, mut used) = (Vec::new(), 0);
            for piece in coded.chunks(step) {
                held.extend_from_slice(piece);
                let taken = body.take(&held, |bytes| content.extend_from_slice(bytes)).unwrap();
                used += taken;
                held.drain(..taken);
            }
            assert!(body.is_done());
            assert_eq!(content, b"hello, world...");
            assert_eq!(&coded[used..], b"rest", "step {step}");
        }
        for bad in [&b"x\r\n"[..], b"\r\n", b"+5\r\n", b"5\nhello", b"1\r\nab\r\n"] {
            assert_eq!(Incoming::Chunked(Chunk::Size).take(bad, |_| ()), Err(400), "{bad:?}");
        }
    }

    #[test]
    fn rubbish_is_refused_or_waited_for() {
        let pieces: [&[u8]; 16] = [
            b"GET ",
            b"/ ",
            b"HTTP/1.1",
            b"\r\n",
            b"\n",
            b"\r",
            b":",
            b"Host",
            b"Content-Length: ",
            b"Transfer-Encoding: chunked",
            b"9999999999999999999999",
            b"f",
            b";",
            b" ",
            b"\0",
            b"\xff",
        ];
        for seed in 0..20_000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let text: Vec<u8> =
                (0..random.usize(..20)).flat_map(|_| pieces[random.usize(..16)]).copied().collect();
            if let Ok(Some(head)) = Head::parse(&text, &mut 0) {
                assert!(head.len <= text.len(), "seed {seed}");
                assert!(!head.target(&text).is_empty() && !head.method(&text).is_empty());
            }
            let mut kept = 0;
            let taken = Incoming::Chunked(Chunk::Size).take(&text, |bytes| kept += bytes.len());
            assert!(taken.is_err() || taken.is_ok_and(|taken| kept <= taken), "seed {seed}");
        }
    }
}
