//! Requests as a simulated server reads them: bytes in, whole requests out.
//!
//! Owns just enough of RFC 9112 to tell one request from the next (sections 3, 6 and 7.1). It is
//! written apart from the engine's own encoder, so that the two check each other: a request that
//! breaks a rule here is a defect of the client.

use crate::base::Instant;

/// A request that a server received.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Request {
    /// The method.
    pub method: String,
    /// The target, as it was sent.
    pub target: String,
    /// Field lines in order, values trimmed.
    pub fields: Vec<(String, String)>,
    /// The content, de-chunked. Empty where an answer is given before it came.
    pub body: Vec<u8>,
    /// The number of its connection, counted from 0 over the whole simulation.
    pub connection: u32,
    /// Its number on that connection, counted from 0.
    pub nth: u32,
    /// When it was complete.
    pub at: Instant,
}

impl Request {
    /// The first field of that name, case ignored.
    pub fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Whether the answer has no content whatever it says (HEAD).
    pub fn is_head(&self) -> bool {
        self.method == "HEAD"
    }
}

/// What a reader found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// The first byte of a request.
    Begun,
    /// Its head; the content may follow.
    Head(Request),
    /// All of it.
    Whole(Request),
    /// Not a request.
    Broken(&'static str),
}

/// Where a reader is.
#[derive(Debug)]
enum State {
    Head,
    Length(Request, usize),
    Chunked(Request),
    Broken,
}

/// Reads requests out of a stream.
#[derive(Debug)]
pub(super) struct Reader {
    state: State,
    buffer: Vec<u8>,
    begun: bool,
    connection: u32,
    nth: u32,
}

impl Reader {
    pub(super) const fn new(connection: u32) -> Self {
        Self { state: State::Head, buffer: Vec::new(), begun: false, connection, nth: 0 }
    }

    /// Takes bytes in.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether nothing of a further request has come.
    pub(super) fn is_between(&self) -> bool {
        matches!(self.state, State::Head) && self.buffer.is_empty()
    }

    /// What there is, one thing at a time.
    pub(super) fn next(&mut self, now: Instant) -> Option<Found> {
        match &mut self.state {
            State::Broken => None,
            State::Head => {
                if self.buffer.is_empty() {
                    return None;
                }
                if !core::mem::replace(&mut self.begun, true) {
                    return Some(Found::Begun);
                }
                let end = find(&self.buffer, b"\r\n\r\n")?;
                let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
                match self.head(&head, now) {
                    Ok(request) => Some(Found::Head(request)),
                    Err(why) => {
                        self.state = State::Broken;
                        Some(Found::Broken(why))
                    }
                }
            }
            State::Length(request, length) => {
                if self.buffer.len() < *length {
                    return None;
                }
                request.body = self.buffer.drain(..*length).collect();
                request.at = now;
                let request = request.clone();
                self.whole();
                Some(Found::Whole(request))
            }
            State::Chunked(request) => match chunks(&self.buffer) {
                Ok(None) => None,
                Ok(Some((body, taken))) => {
                    self.buffer.drain(..taken);
                    request.body = body;
                    request.at = now;
                    let request = request.clone();
                    self.whole();
                    Some(Found::Whole(request))
                }
                Err(why) => {
                    self.state = State::Broken;
                    Some(Found::Broken(why))
                }
            },
        }
    }

    fn whole(&mut self) {
        self.state = State::Head;
        self.begun = false;
        self.nth += 1;
    }

    fn head(&mut self, head: &[u8], now: Instant) -> Result<Request, &'static str> {
        let text = core::str::from_utf8(head).map_err(|_| "a head that is no text")?;
        let mut lines = text.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ');
        let (method, target, version) = (words.next(), words.next(), words.next());
        if version != Some("HTTP/1.1") || words.next().is_some() {
            return Err("a request line that is none");
        }
        let mut fields = Vec::new();
        for line in lines.take_while(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').ok_or("a field line without a colon")?;
            if name.is_empty() || name.contains([' ', '\t']) {
                return Err("a field name that is none");
            }
            fields.push((name.to_owned(), value.trim().to_owned()));
        }
        let request = Request {
            method: method.unwrap_or_default().to_owned(),
            target: target.unwrap_or_default().to_owned(),
            fields,
            body: Vec::new(),
            connection: self.connection,
            nth: self.nth,
            at: now,
        };
        if request.field("host").is_none() {
            return Err("a request without Host");
        }
        let chunked = request.field("transfer-encoding");
        let length = request.field("content-length");
        self.state = match (chunked, length) {
            (Some("chunked"), None) => State::Chunked(request.clone()),
            (Some(_), _) => return Err("a transfer coding that nobody asked for"),
            (None, Some(length)) => {
                let length = length.parse().map_err(|_| "a length that is no number")?;
                State::Length(request.clone(), length)
            }
            (None, None) => State::Length(request.clone(), 0),
        };
        Ok(request)
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// De-chunks a body that is all there: the content, and how many bytes it took.
fn chunks(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, &'static str> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let rest = &bytes[at..];
        let Some(end) = find(rest, b"\r\n") else { return Ok(None) };
        let size = core::str::from_utf8(&rest[..end])
            .ok()
            .and_then(|text| usize::from_str_radix(text, 16).ok())
            .ok_or("a chunk without a size")?;
        let needed = end + 2 + size + 2;
        if rest.len() < needed {
            return Ok(None);
        }
        body.extend_from_slice(&rest[end + 2..end + 2 + size]);
        if &rest[needed - 2..needed] != b"\r\n" {
            return Err("a chunk of another size than it said");
        }
        at += needed;
        if size == 0 {
            return Ok(Some((body, at)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], piece: usize) -> Vec<Found> {
        let mut reader = Reader::new(3);
        let mut found = Vec::new();
        for piece in bytes.chunks(piece) {
            reader.feed(piece);
            while let Some(next) = reader.next(Instant::ZERO) {
                found.push(next);
            }
        }
        found
    }

    #[test]
    fn requests_are_told_apart_however_they_are_cut() {
        let bytes = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n\
            POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc\
            POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\n\r\n";
        for piece in 1..bytes.len() {
            let found = read(bytes, piece);
            let whole: Vec<_> = found
                .iter()
                .filter_map(|found| match found {
                    Found::Whole(request) => {
                        Some((request.target.as_str(), request.nth, request.body.as_slice()))
                    }
                    _ => None,
                })
                .collect();
            assert_eq!(whole, [("/a", 0, &b""[..]), ("/b", 1, b"abc"), ("/c", 2, b"de")]);
            assert_eq!(found.iter().filter(|found| **found == Found::Begun).count(), 3);
        }
    }

    #[test]
    fn what_is_no_request_is_named() {
        for (bytes, why) in [
            (&b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n"[..], "a request line that is none"),
            (b"GET / HTTP/1.1\r\n\r\n", "a request without Host"),
            (b"GET / HTTP/1.1\r\nHost: x\r\nbad name: y\r\n\r\n", "a field name that is none"),
            (
                b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n",
                "a chunk of another size than it said",
            ),
        ] {
            assert_eq!(read(bytes, 1000).last(), Some(&Found::Broken(why)));
        }
    }
}
