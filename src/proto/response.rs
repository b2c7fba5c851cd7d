//! The receiving machine of one exchange: bytes in, events out.
//!
//! Owns: the order of things (interim answers, head, content, trailers, end), a head that came in pieces,
//! and the bounds of a response.
//! Never: keeps content; it is handed on where it lies in the input.
//! RFC 9112 section 6, RFC 9110 section 15.2 (interim answers).

use alloc::vec::Vec;

use super::chunked::{Chunks, Step};
use super::error::Error;
use super::framing::{Body, Exchange, FramingFields, Persistence, decide};
use super::head::{self, Fields, Head, Look, Parsed, Scan, Scratch};
use super::start;
use super::trailers::{self, Progress, Trailers};

/// Bounds of one response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one head, its empty line included. Default: 256 KiB.
    pub head_bytes: u32,
    /// Fields of one head; never more than [`Scratch::FIELDS`], which is the default: 256.
    pub head_fields: u16,
    /// Bytes of one line of a head: name, colon, blank and value, after unfolding. Default: 256 KiB.
    pub line_bytes: u32,
    /// Interim answers before the final one. Default: 32.
    pub interim_answers: u16,
    /// Bytes of all interim answers. Default: 256 KiB.
    pub interim_bytes: u32,
    /// Bytes of all chunk extensions, besides one for every 16 bytes of a chunk's data. Default: 8 KiB.
    pub chunk_extension_bytes: u32,
    /// Bytes of all trailer lines. Default: 16 KiB.
    pub trailer_bytes: u32,
    /// Trailer fields; never more than [`Scratch::FIELDS`]. Default: 128.
    pub trailer_fields: u16,
}

impl Limits {
    /// The defaults.
    #[expect(clippy::cast_possible_truncation, reason = "the fields that there is room for: 256")]
    pub const DEFAULT: Self = Self {
        head_bytes: 256 * 1024,
        head_fields: Scratch::FIELDS as u16,
        line_bytes: 256 * 1024,
        interim_answers: 32,
        interim_bytes: 256 * 1024,
        chunk_extension_bytes: 8 * 1024,
        trailer_bytes: 16 * 1024,
        trailer_fields: 128,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What came in.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// All of the input was used, and more is needed.
    Incomplete,
    /// An interim (1xx) answer; the final one is still to come.
    Interim(Head<'a>),
    /// The head of the final answer, and how its content is delimited.
    Head(Head<'a>, Body),
    /// Content, never empty, freed of its framing.
    Body(&'a [u8]),
    /// Trailer fields: at least one, without those that a trailer must not hold.
    Trailers(Fields<'a>),
    /// The response is whole. Bytes that follow are surplus.
    Done(Persistence),
}

/// How far the response has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Before the first byte of a head; interim answers may have been before it.
    AwaitingHead,
    /// Within a head.
    InHead,
    /// After the head of the final answer.
    InBody,
    /// The response is whole.
    Done,
    /// An error was found.
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before or in a head. Of one that has begun, what came is held, and its end was sought up to here.
    Head(Option<Scan>),
    Length {
        left: u64,
        then: Persistence,
    },
    Chunked {
        chunks: Chunks,
        then: Persistence,
    },
    Trailers {
        trailers: Trailers,
        then: Persistence,
    },
    UntilClose {
        then: Persistence,
    },
    Done(Persistence),
    Failed(Error),
}

/// The receiving machine of one exchange.
#[derive(Clone, Debug)]
pub struct Response {
    course: Course,
    /// A head that came in pieces, or trailers. Empty, and without memory, otherwise.
    held: Vec<u8>,
    /// A head whose folded lines were unfolded.
    unfolded: Vec<u8>,
}

/// All of the machine but the bytes that it holds, which events borrow.
#[derive(Clone, Debug)]
struct Course {
    exchange: Exchange,
    state: State,
    started: bool,
    interim_answers: u16,
    interim_bytes: u32,
    content_bytes: u64,
}

impl Response {
    /// Before the first byte of the answer to a request of that kind.
    pub const fn new(exchange: Exchange) -> Self {
        Self {
            course: Course {
                exchange,
                state: State::Head(None),
                started: false,
                interim_answers: 0,
                interim_bytes: 0,
                content_bytes: 0,
            },
            held: Vec::new(),
            unfolded: Vec::new(),
        }
    }

    /// Takes a prefix of `input`, and returns its length and what it was. To be called again with the rest,
    /// also with an empty one, until it returns [`Event::Incomplete`] or [`Event::Done`]. After an error
    /// it returns that error for ever.
    #[inline]
    pub fn next<'a>(
        &'a mut self,
        limits: &Limits,
        input: &'a [u8],
        scratch: &'a mut Scratch<'a>,
    ) -> Result<(usize, Event<'a>), Error> {
        self.course.started |= !input.is_empty();
        match self.course.state {
            State::Head(scan) => self.head(scan, limits, input, scratch),
            State::Length { left, then } => Ok(self.length(left, then, input)),
            State::Chunked { chunks, then } => self.chunked(chunks, then, limits, input, scratch),
            State::Trailers { trailers, then } => {
                self.trailers(trailers, then, limits, input, 0, scratch)
            }
            State::UntilClose { .. } => {
                self.forget_head();
                if input.is_empty() {
                    return Ok((0, Event::Incomplete));
                }
                Ok((input.len(), self.course.content(input)))
            }
            State::Done(persistence) => Ok((0, self.done(persistence))),
            State::Failed(error) => Err(error),
        }
    }

    /// The peer closed. `clean` is false when TLS ended without `close_notify`: then a body that lasts until
    /// the close may have been cut by anybody.
    pub fn eof(&mut self, clean: bool) -> Result<Event<'static>, Error> {
        let error = match self.course.state {
            // Interim answers alone are no answer.
            State::Head(None) => Error::NoResponse,
            State::Head(Some(_)) => Error::TruncatedHead,
            State::Length { left: 0, then } | State::Done(then) => return Ok(self.done(then)),
            State::UntilClose { then } if clean => return Ok(self.done(then)),
            State::Length { .. } => Error::TruncatedBody,
            State::Chunked { .. } | State::Trailers { .. } => Error::TruncatedChunked,
            State::UntilClose { .. } => Error::TruncatedUntilClose,
            State::Failed(error) => error,
        };
        self.forget_head();
        Err(self.course.fail(error))
    }

    /// A byte was seen.
    pub const fn started(&self) -> bool {
        self.course.started
    }

    /// How far the response has come.
    pub const fn phase(&self) -> Phase {
        match self.course.state {
            State::Head(None) => Phase::AwaitingHead,
            State::Head(Some(_)) => Phase::InHead,
            State::Done(_) => Phase::Done,
            State::Failed(_) => Phase::Failed,
            _ => Phase::InBody,
        }
    }

    /// Bytes of content handed on so far.
    pub const fn content_bytes(&self) -> u64 {
        self.course.content_bytes
    }

    /// Interim answers so far.
    pub const fn interim_answers(&self) -> u16 {
        self.course.interim_answers
    }

    /// Bytes of memory held for a head in pieces or for trailers.
    pub const fn held_bytes(&self) -> usize {
        self.held.capacity() + self.unfolded.capacity()
    }

    /// Gives back the memory of a head that was handed on by the call before.
    #[inline]
    fn forget_head(&mut self) {
        // Nothing is held of most heads.
        if self.held_bytes() > 0 {
            self.held = Vec::new();
            self.unfolded = Vec::new();
        }
    }

    #[inline]
    fn done(&mut self, persistence: Persistence) -> Event<'static> {
        self.forget_head();
        self.course.state = State::Done(persistence);
        Event::Done(persistence)
    }

    fn head<'a>(
        &'a mut self,
        scan: Option<Scan>,
        limits: &Limits,
        input: &'a [u8],
        scratch: &'a mut Scratch<'a>,
    ) -> Result<(usize, Event<'a>), Error> {
        if scan.is_none() {
            // Of an interim answer before this head.
            self.forget_head();
        }
        if input.is_empty() {
            return Ok((0, Event::Incomplete));
        }
        let Self { course, held, unfolded } = self;
        // The limit first: what lies beyond it is not looked at, so that it plays no part in the verdict.
        let window = input.get(..limits.room_in_head(held)).unwrap_or(input);
        judge_start(held, window).map_err(|error| course.fail(error))?;
        let most = usize::from(limits.head_fields);

        let Some(mut scan) = scan else {
            // Nothing is held: the usual case is that the head is whole in the input.
            return match head::parse(window, most, unfolded, scratch) {
                Ok(Look::Whole(parsed, used)) => {
                    let raw = window.get(..used).unwrap_or_default();
                    Ok((used, course.receive(limits, parsed, raw)?))
                }
                Ok(Look::Partial) => {
                    let mut scan = Scan::default();
                    scan.find_end(window);
                    course.hold(scan, limits, window, held)
                }
                Err(error) => Err(course.fail(error)),
            };
        };
        let Some(used) = scan.find_end(window) else {
            return course.hold(scan, limits, window, held);
        };
        held.extend_from_slice(window.get(..used).unwrap_or_default());
        let raw: &[u8] = held;
        match head::parse(raw, most, unfolded, scratch) {
            Ok(Look::Whole(parsed, _)) => Ok((used, course.receive(limits, parsed, raw)?)),
            Ok(Look::Partial) => Err(course.fail(Error::BadHead)),
            Err(error) => Err(course.fail(error)),
        }
    }

    fn length<'a>(&mut self, left: u64, then: Persistence, input: &'a [u8]) -> (usize, Event<'a>) {
        if left == 0 {
            return (0, self.done(then));
        }
        self.forget_head();
        if input.is_empty() {
            return (0, Event::Incomplete);
        }
        let take = usize::try_from(left).map_or(input.len(), |left| left.min(input.len()));
        self.course.state = State::Length { left: left - take as u64, then };
        (take, self.course.content(input.get(..take).unwrap_or(input)))
    }

    fn chunked<'a>(
        &'a mut self,
        mut chunks: Chunks,
        then: Persistence,
        limits: &Limits,
        input: &'a [u8],
        scratch: &'a mut Scratch<'a>,
    ) -> Result<(usize, Event<'a>), Error> {
        self.forget_head();
        let (used, step) = chunks
            .next(limits.chunk_extension_bytes, input)
            .map_err(|error| self.course.fail(error))?;
        self.course.state = State::Chunked { chunks, then };
        match step {
            Step::Incomplete => Ok((used, Event::Incomplete)),
            Step::Data(bytes) => Ok((used, self.course.content(bytes))),
            Step::Last => self.trailers(Trailers::default(), then, limits, input, used, scratch),
        }
    }

    /// `before` bytes of `input` were used already.
    fn trailers<'a>(
        &'a mut self,
        mut trailers: Trailers,
        then: Persistence,
        limits: &Limits,
        input: &'a [u8],
        before: usize,
        scratch: &'a mut Scratch<'a>,
    ) -> Result<(usize, Event<'a>), Error> {
        let Self { course, held, unfolded } = self;
        let rest = input.get(before..).unwrap_or_default();
        let (used, progress) = trailers
            .collect(limits.trailer_bytes, rest, held)
            .map_err(|error| course.fail(error))?;
        let used = before + used;
        if progress == Progress::Incomplete {
            course.state = State::Trailers { trailers, then };
            return Ok((used, Event::Incomplete));
        }
        course.state = State::Done(then);
        if held.is_empty() {
            return Ok((used, Event::Done(then)));
        }
        let lines = match head::parse(held, usize::from(limits.trailer_fields), unfolded, scratch) {
            Ok(Look::Whole(parsed, _)) => trailers::retain_allowed(parsed.lines),
            Ok(Look::Partial) => return Err(course.fail(Error::BadHead)),
            Err(Error::TooManyFields) => return Err(course.fail(Error::TooManyTrailers)),
            Err(error) => return Err(course.fail(error)),
        };
        let fields = Fields::new(lines);
        Ok((used, if fields.is_empty() { Event::Done(then) } else { Event::Trailers(fields) }))
    }
}

impl Course {
    fn fail(&mut self, error: Error) -> Error {
        self.state = State::Failed(error);
        error
    }

    fn content<'a>(&mut self, bytes: &'a [u8]) -> Event<'a> {
        self.content_bytes = self.content_bytes.saturating_add(bytes.len() as u64);
        Event::Body(bytes)
    }

    /// Keeps a part of a head that is not whole yet. Its end was sought up to what is held.
    fn hold<'a>(
        &mut self,
        scan: Scan,
        limits: &Limits,
        window: &[u8],
        held: &mut Vec<u8>,
    ) -> Result<(usize, Event<'a>), Error> {
        // Doubled, but never beyond what a head may have: the bound holds for what is allocated.
        let wanted = held.len() + window.len();
        if wanted > held.capacity() {
            let most = (limits.head_bytes as usize).max(wanted);
            held.reserve_exact(wanted.max(held.capacity() * 2).min(most) - held.len());
        }
        held.extend_from_slice(window);
        if limits.room_in_head(held) == 0 {
            return Err(self.fail(Error::HeadTooLarge));
        }
        self.state = State::Head(Some(scan));
        Ok((window.len(), Event::Incomplete))
    }

    /// A whole head was parsed; `raw` is what it was parsed from.
    fn receive<'a>(
        &mut self,
        limits: &Limits,
        parsed: Parsed<'a>,
        raw: &'a [u8],
    ) -> Result<Event<'a>, Error> {
        self.judge(limits, parsed, raw).map_err(|error| self.fail(error))
    }

    fn judge<'a>(
        &mut self,
        limits: &Limits,
        parsed: Parsed<'a>,
        raw: &'a [u8],
    ) -> Result<Event<'a>, Error> {
        let Parsed { version, status, reason, lines } = parsed;
        let fields = Fields::new(lines);
        let mut longest = STATUS_LINE_BEFORE_REASON + reason.len();
        let (framing, keep_alive) = FramingFields::read(fields.iter().inspect(|(name, value)| {
            longest = longest.max(name.len() + ": ".len() + value.len());
        }));
        if longest > limits.line_bytes as usize {
            return Err(Error::LineTooLong);
        }
        let head = Head { version, status, reason, fields, keep_alive, raw };
        if (100..200).contains(&status) {
            self.count_interim(limits, status, raw.len())?;
            self.state = State::Head(None);
            return Ok(Event::Interim(head));
        }
        let (body, then) = decide(self.exchange, version, status, &framing)?;
        self.state = match body {
            Body::None => State::Length { left: 0, then },
            Body::Length(left) => State::Length { left, then },
            Body::Chunked => State::Chunked { chunks: Chunks::new(), then },
            Body::UntilClose => State::UntilClose { then },
        };
        Ok(Event::Head(head, body))
    }

    fn count_interim(&mut self, limits: &Limits, status: u16, length: usize) -> Result<(), Error> {
        if status == 101 {
            return Err(Error::UnaskedUpgrade);
        }
        if self.interim_answers >= limits.interim_answers {
            return Err(Error::TooManyInterim);
        }
        self.interim_answers += 1;
        self.interim_bytes =
            self.interim_bytes.saturating_add(u32::try_from(length).unwrap_or(u32::MAX));
        if self.interim_bytes > limits.interim_bytes {
            return Err(Error::InterimTooLarge);
        }
        Ok(())
    }
}

impl Limits {
    /// How many bytes a head may still have of which so much is held.
    fn room_in_head(&self, held: &[u8]) -> usize {
        (self.head_bytes as usize).saturating_sub(held.len())
    }
}

/// `HTTP/1.1 200 `
const STATUS_LINE_BEFORE_REASON: usize = 13;

/// The first bytes of a head, some of which may be held.
#[inline]
fn judge_start(held: &[u8], window: &[u8]) -> Result<(), Error> {
    if held.is_empty() {
        return start::judge(window.get(..start::LONGEST).unwrap_or(window));
    }
    if held.len() >= start::LONGEST {
        return Ok(());
    }
    let mut first = [0; start::LONGEST];
    let mut length = 0;
    for (slot, byte) in first.iter_mut().zip(held.iter().chain(window)) {
        *slot = *byte;
        length += 1;
    }
    start::judge(first.get(..length).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use core::fmt::Write as _;

    use super::*;

    fn trace(segments: &[&[u8]], limits: &Limits) -> String {
        let mut response = Response::new(Exchange::Ordinary);
        let mut out = String::new();
        for segment in segments {
            let mut input = *segment;
            loop {
                let mut scratch = Scratch::new();
                match response.next(limits, input, &mut scratch) {
                    Ok((_, Event::Incomplete)) => break,
                    Ok((_, Event::Done(persistence))) => {
                        return out + &alloc::format!("done {persistence:?}");
                    }
                    Ok((used, event)) => {
                        input = &input[used..];
                        match event {
                            Event::Body(bytes) => out += core::str::from_utf8(bytes).unwrap(),
                            event => writeln!(out, "{event:?}").unwrap(),
                        }
                    }
                    Err(error) => return out + error.name(),
                }
            }
        }
        out + &alloc::format!("{:?}", response.eof(true))
    }

    #[test]
    fn cuts_do_not_matter() {
        for text in [
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhellosurplus",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=\"b\"\r\nhello\r\n0\r\nX: y\r\nHost: z\r\n\r\n",
            "HTTP/1.0 200\nA: b\n c\n\nuntil close",
            "HTTP/1.1 204 No\r\nBad : x\r\n\r\n",
        ] {
            let bytes = text.as_bytes();
            for limits in
                [Limits::DEFAULT, Limits { head_bytes: 40, trailer_bytes: 7, ..Limits::DEFAULT }]
            {
                let whole = trace(&[bytes], &limits);
                for cut in (0..bytes.len()).step_by(if cfg!(miri) { 13 } else { 1 }) {
                    assert_eq!(
                        trace(&[&bytes[..cut], &bytes[cut..]], &limits),
                        whole,
                        "{text:?} at {cut}"
                    );
                }
                let single: Vec<&[u8]> = bytes.chunks(1).collect();
                assert_eq!(trace(&single, &limits), whole, "{text:?}");
            }
        }
    }
}
