//! Runs recorded wire bytes through the parser and tells, step by step, what it saw.
//!
//! Owns: pairing requests with answers as a connection does, one after another.
//! Never: retries, redirects, or what a URL was; the record knows only bytes.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;

use super::chunked::{self, Chunks};
use super::framing::{Body, Exchange, FramingFields, KeepAlive, Persistence};
use super::head::{Fields, Head, Scan, Version};
use super::response::{Event, Limits, Phase, Response};
use super::start;
use super::trailers::{Progress, Trailers};
use super::wire::{Damaged, End, Record, records};
use super::{Error, Scratch};
use crate::base::Number;

/// Something that a replay came upon. `Display` is one line, or some for a head, safe for terminals.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// Bytes were sent.
    Sent {
        /// When, in microseconds.
        micros: u64,
        /// What.
        bytes: &'a [u8],
    },
    /// Bytes were received.
    Received {
        /// When, in microseconds.
        micros: u64,
        /// What.
        bytes: &'a [u8],
    },
    /// The connection ended.
    End {
        /// When, in microseconds.
        micros: u64,
        /// How.
        end: End,
    },
    /// A request is on its way.
    Request {
        /// Its method.
        method: &'a str,
        /// Its target.
        target: &'a str,
    },
    /// What was sent is not a request, so answers are read as those to a GET.
    NotARequest,
    /// What the bytes were.
    Event(Event<'a>),
    /// Bytes that no request asked for: after a whole answer, or before the first request.
    Surplus(&'a [u8]),
    /// The answer was refused. What else came is not looked at.
    Refused {
        /// Why.
        error: Error,
        /// How many bytes had been received on the connection, up to and with those at fault.
        at: u64,
        /// The line at fault in a head; else the last bytes up to the one at fault. Empty when the
        /// connection ended too early.
        near: &'a [u8],
    },
    /// The record ended within an answer, without saying how the connection did.
    Unfinished,
    /// The file is damaged from here on.
    Damaged(Damaged),
}

/// How a replay came out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Answers that were whole.
    pub answers: u32,
    /// The first error.
    pub error: Option<Error>,
    /// Bytes that no request asked for.
    pub surplus: u64,
    /// Bytes of content.
    pub content: u64,
    /// What the last whole answer said of the connection.
    pub persistence: Option<Persistence>,
    /// The file was damaged.
    pub damaged: bool,
}

/// Runs a file, a record or bare bytes, through the parser. `tell` hears of every step.
pub fn replay(file: &[u8], limits: &Limits, tell: &mut dyn FnMut(&Step<'_>)) -> Outcome {
    let mut replay = Replay {
        limits,
        requests: Requests::default(),
        answer: None,
        exchange: Exchange::Ordinary,
        head: Vec::new(),
        received: 0,
        outcome: Outcome::default(),
    };
    for record in records(file) {
        match record {
            Ok(Record::Sent { micros, bytes }) => {
                tell(&Step::Sent { micros, bytes });
                replay.requests.sent(bytes, tell);
            }
            Ok(Record::Received { micros, bytes }) => {
                tell(&Step::Received { micros, bytes });
                replay.received(bytes, tell);
            }
            Ok(Record::End { micros, end }) => {
                tell(&Step::End { micros, end });
                replay.end(end, tell);
                return replay.outcome;
            }
            Err(damaged) => {
                tell(&Step::Damaged(damaged));
                replay.outcome.damaged = true;
                return replay.outcome;
            }
        }
    }
    if replay
        .answer
        .as_ref()
        .is_some_and(|answer| !matches!(answer.phase(), Phase::Done | Phase::Failed))
    {
        tell(&Step::Unfinished);
    }
    replay.outcome
}

struct Replay<'l> {
    limits: &'l Limits,
    requests: Requests,
    /// The answer that is or was received last, and to what.
    answer: Option<Response>,
    exchange: Exchange,
    /// Of a head that is not whole: what came before.
    head: Vec<u8>,
    /// Bytes that were received and used.
    received: u64,
    outcome: Outcome,
}

impl Replay<'_> {
    fn received(&mut self, segment: &[u8], tell: &mut dyn FnMut(&Step<'_>)) {
        let mut bytes = segment;
        loop {
            if self.answer.as_ref().is_none_or(|answer| answer.phase() == Phase::Done) {
                let Some(exchange) = self.requests.exchanges.pop_front() else {
                    if !bytes.is_empty() {
                        self.outcome.surplus += bytes.len() as u64;
                        tell(&Step::Surplus(bytes));
                    }
                    return;
                };
                self.answer = Some(Response::new(exchange));
                self.exchange = exchange;
            }
            let Some(answer) = &mut self.answer else { return };
            let phase = answer.phase();
            let in_head = matches!(phase, Phase::AwaitingHead | Phase::InHead);
            // In content little is held, so that a copy costs nothing.
            let before = (phase == Phase::InBody).then(|| answer.clone());
            let mut scratch = Scratch::new();
            match answer.next(self.limits, bytes, &mut scratch) {
                Ok((_, Event::Incomplete)) => {
                    self.received += bytes.len() as u64;
                    if in_head {
                        self.head.extend_from_slice(bytes);
                    }
                    return;
                }
                Ok((used, event)) => {
                    tell(&Step::Event(event));
                    self.outcome.note(event);
                    self.received += used as u64;
                    self.head.clear();
                    bytes = bytes.get(used..).unwrap_or_default();
                }
                Err(_) if phase == Phase::Failed => return,
                Err(error) => {
                    self.outcome.error.get_or_insert(error);
                    self.refuse(error, before, segment, bytes, tell);
                    return;
                }
            }
        }
    }

    /// Tells of an answer that was refused, and where in it the fault is: found by feeding it
    /// again, line by line or byte by byte, until the same error comes. `bytes` is what was left of `segment`.
    fn refuse(
        &mut self,
        error: Error,
        before: Option<Response>,
        segment: &[u8],
        bytes: &[u8],
        tell: &mut dyn FnMut(&Step<'_>),
    ) {
        if let Some(mut before) = before {
            let fault = (0..bytes.len()).find(|&at| {
                let byte = bytes.get(at..=at).unwrap_or_default();
                let mut rest = byte;
                loop {
                    let mut scratch = Scratch::new();
                    match before.next(self.limits, rest, &mut scratch) {
                        Ok((_, Event::Incomplete | Event::Done(_))) => return false,
                        Ok((used, _)) => rest = rest.get(used..).unwrap_or_default(),
                        Err(_) => return true,
                    }
                }
            });
            let end = fault.map_or(bytes.len(), |at| at + 1);
            let seen = segment.len() - bytes.len() + end;
            let near = segment.get(seen.saturating_sub(SHOWN / 2)..seen).unwrap_or_default();
            tell(&Step::Refused { error, at: self.received + end as u64, near });
            return;
        }
        let begun = self.received - self.head.len() as u64;
        self.head.extend_from_slice(bytes);
        let whole = Scan::default().find_end(&self.head).unwrap_or(self.head.len());
        let head = self.head.get(..whole).unwrap_or_default();
        // The first bytes are judged as they come.
        let mut alone = Response::new(self.exchange);
        let start = head.chunks(1).take(start::LONGEST).position(|byte| {
            alone.next(self.limits, byte, &mut Scratch::new()).is_err_and(|found| found == error)
        });
        if let Some(at) = start {
            return tell(&Step::Refused { error, at: begun + at as u64 + 1, near: head });
        }
        let (mut end, mut line) = (0, head);
        for next in head.split_inclusive(|byte| *byte == b'\n').take(Scratch::FIELDS + 2) {
            end += next.len();
            line = next;
            // Up to here, and then the empty line.
            let part = [head.get(..end).unwrap_or_default(), b"\r\n"].concat();
            let mut alone = Response::new(self.exchange);
            if matches!(alone.next(self.limits, &part, &mut Scratch::new()), Err(found) if found == error)
            {
                break;
            }
        }
        tell(&Step::Refused { error, at: begun + end as u64, near: line });
    }

    fn end(&mut self, end: End, tell: &mut dyn FnMut(&Step<'_>)) {
        if self.answer.as_ref().is_none_or(|answer| answer.phase() == Phase::Done)
            && let Some(exchange) = self.requests.exchanges.pop_front()
        {
            self.answer = Some(Response::new(exchange));
        }
        let Some(answer) = &mut self.answer else { return };
        match answer.phase() {
            Phase::Done | Phase::Failed => return,
            _ if end == End::Closed => return tell(&Step::Unfinished),
            _ => {}
        }
        match answer.eof(end == End::Eof) {
            Ok(event) => {
                self.outcome.note(event);
                tell(&Step::Event(event));
            }
            Err(error) => {
                self.outcome.error.get_or_insert(error);
                tell(&Step::Refused { error, at: self.received, near: &[] });
            }
        }
    }
}

impl Outcome {
    fn note(&mut self, event: Event<'_>) {
        match event {
            Event::Body(bytes) => self.content += bytes.len() as u64,
            Event::Done(persistence) => {
                self.answers += 1;
                self.persistence = Some(persistence);
            }
            _ => {}
        }
    }
}

/// Follows what was sent just far enough to know which kinds of answers are to come.
#[derive(Default)]
struct Requests {
    state: Sending,
    exchanges: VecDeque<Exchange>,
}

#[derive(Default)]
enum Sending {
    #[default]
    Start,
    Head(Scan, Vec<u8>),
    Length(u64),
    Chunked(Chunks),
    Trailers(Trailers, Vec<u8>),
    /// Not a request: no longer followed.
    Lost,
}

impl Requests {
    fn sent(&mut self, mut bytes: &[u8], tell: &mut dyn FnMut(&Step<'_>)) {
        while !bytes.is_empty() {
            let used = match &mut self.state {
                Sending::Start => {
                    self.state = Sending::Head(Scan::default(), Vec::new());
                    0
                }
                Sending::Head(scan, held) => {
                    let end = scan.find_end(bytes);
                    let used = end.unwrap_or(bytes.len());
                    held.extend_from_slice(bytes.get(..used).unwrap_or_default());
                    if end.is_some() {
                        self.state = request(held, &mut self.exchanges, tell);
                    }
                    used
                }
                Sending::Length(left) => {
                    let used = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    *left -= used as u64;
                    if *left == 0 {
                        self.state = Sending::Start;
                    }
                    used
                }
                Sending::Chunked(chunks) => match chunks.next(u32::MAX, bytes) {
                    Ok((used, chunked::Step::Last)) => {
                        self.state = Sending::Trailers(Trailers::default(), Vec::new());
                        used
                    }
                    Ok((used, _)) => used,
                    Err(_) => return self.state = Sending::Lost,
                },
                Sending::Trailers(trailers, held) => {
                    match trailers.collect(u32::MAX, bytes, held) {
                        Ok((used, Progress::Complete)) => {
                            self.state = Sending::Start;
                            used
                        }
                        Ok((used, Progress::Incomplete)) => used,
                        Err(_) => return self.state = Sending::Lost,
                    }
                }
                Sending::Lost => return,
            };
            bytes = bytes.get(used..).unwrap_or_default();
        }
    }
}

/// A whole request head; returns what follows it.
fn request(
    head: &[u8],
    exchanges: &mut VecDeque<Exchange>,
    tell: &mut dyn FnMut(&Step<'_>),
) -> Sending {
    let mut lines = [httparse::EMPTY_HEADER; Scratch::FIELDS];
    let mut parsed = httparse::Request::new(&mut lines);
    let whole = matches!(parsed.parse(head), Ok(httparse::Status::Complete(_)));
    let (true, Some(method), Some(target)) = (whole, parsed.method, parsed.path) else {
        tell(&Step::NotARequest);
        exchanges.push_back(Exchange::Ordinary);
        return Sending::Lost;
    };
    tell(&Step::Request { method, target });
    exchanges.push_back(Exchange::of(method));
    let (framing, _) =
        FramingFields::read(parsed.headers.iter().map(|line| (line.name, line.value)));
    match (framing.transfer_encoding, framing.content_length) {
        (Some(Ok(())), _) => Sending::Chunked(Chunks::new()),
        (None, Some(Ok(length))) if length > 0 => Sending::Length(length),
        (None, None | Some(Ok(_))) => Sending::Start,
        _ => Sending::Lost,
    }
}

/// So many bytes of a segment are shown.
const SHOWN: usize = 60;

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sent { micros, bytes } => segment(f, *micros, '>', bytes),
            Self::Received { micros, bytes } => segment(f, *micros, '<', bytes),
            Self::End { micros, end } => {
                time(f, *micros)?;
                write!(f, "! {}", end.word())
            }
            Self::Request { method, target } => {
                write!(f, "    request: {method} {}", target.escape_default())
            }
            Self::NotARequest => {
                f.write_str("    not a request; answers are read as those to a GET")
            }
            Self::Event(event) => write_event(f, event),
            Self::Surplus(bytes) => {
                write!(f, "    surplus: {} that no request asked for: ", count(bytes))?;
                quoted(f, bytes)
            }
            Self::Refused { error, at, near } => {
                write!(f, "    error: {} ({error}) at byte {at}", error.name())?;
                if near.is_empty() {
                    return Ok(());
                }
                f.write_str(": ")?;
                quoted(f, near)
            }
            Self::Unfinished => f.write_str("    unfinished: the record ends within the answer"),
            Self::Damaged(damaged) => write!(f, "    {damaged}"),
        }
    }
}

fn time(f: &mut fmt::Formatter<'_>, micros: u64) -> fmt::Result {
    write!(f, "{:>8}.{:03} ms ", micros / 1000, micros % 1000)
}

fn segment(f: &mut fmt::Formatter<'_>, micros: u64, mark: char, bytes: &[u8]) -> fmt::Result {
    time(f, micros)?;
    write!(f, "{mark} {}: ", count(bytes))?;
    quoted(f, bytes)
}

const fn count(bytes: &[u8]) -> Number {
    Number(bytes.len() as u64, "byte", "bytes")
}

fn quoted(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    let shown = bytes.get(..SHOWN).unwrap_or(bytes);
    let more = if shown.len() < bytes.len() { "..." } else { "" };
    write!(f, "\"{}\"{more}", shown.escape_ascii())
}

fn write_event(f: &mut fmt::Formatter<'_>, event: &Event<'_>) -> fmt::Result {
    match event {
        Event::Incomplete => f.write_str("    incomplete"),
        Event::Interim(head) => {
            f.write_str("    interim ")?;
            write_head(f, head)
        }
        Event::Head(head, body) => {
            f.write_str("    ")?;
            write_head(f, head)?;
            f.write_str("\n    content: ")?;
            match body {
                Body::None => f.write_str("none"),
                Body::Length(length) => {
                    write!(f, "{}, by Content-Length", Number(*length, "byte", "bytes"))
                }
                Body::Chunked => f.write_str("chunked"),
                Body::UntilClose => f.write_str("until the connection closes"),
            }
        }
        Event::Body(bytes) => {
            write!(f, "    body: {}: ", count(bytes))?;
            quoted(f, bytes)
        }
        Event::Trailers(fields) => {
            f.write_str("    trailers:")?;
            write_fields(f, *fields)
        }
        Event::Done(Persistence::KeepAlive) => {
            f.write_str("    done: the connection may be reused")
        }
        Event::Done(Persistence::Close(reason)) => write!(f, "    done: not reused, {reason}"),
    }
}

fn write_head(f: &mut fmt::Formatter<'_>, head: &Head<'_>) -> fmt::Result {
    let version = if head.version == Version::Http10 { "1.0" } else { "1.1" };
    write!(f, "head: HTTP/{version} {} \"{}\"", head.status, head.reason.escape_ascii())?;
    write_fields(f, head.fields)?;
    let KeepAlive { timeout, max } = head.keep_alive;
    if let Some(timeout) = timeout {
        write!(f, "\n    idle connections are kept for {timeout} s")?;
    }
    if let Some(max) = max {
        let more = Number(max.into(), "more request", "more requests");
        write!(f, "\n    this connection takes {more}")?;
    }
    Ok(())
}

fn write_fields(f: &mut fmt::Formatter<'_>, fields: Fields<'_>) -> fmt::Result {
    fields
        .iter()
        .try_for_each(|(name, value)| write!(f, "\n        {name}: {}", value.escape_ascii()))
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::{String, ToString};

    use super::*;
    use crate::proto::wire::Recorder;

    fn told(file: &[u8]) -> (String, Outcome) {
        let mut out = String::new();
        let outcome = replay(file, &Limits::DEFAULT, &mut |step| {
            out += &step.to_string();
            out.push('\n');
        });
        (out, outcome)
    }

    #[test]
    fn bare_bytes_are_explained() {
        let (out, outcome) =
            told(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: \x1b[2J\xff\r\n\r\nhi+");
        assert_eq!(outcome.error, Some(Error::BadFieldValue));
        assert!(
            out.contains(
                "    error: bad_field_value (a field value holds a control character) at byte 46: \"X: \\x1b[2J\\xff\\r\\n\"\n"
            ),
            "{out}"
        );

        let (out, outcome) = told(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: \xff\r\n\r\nhi+");
        let wanted = "       0.000 ms > 33 bytes: \"GET / HTTP/1.1\\r\\nHost: unknown\\r\\n\\r\\n\"
    request: GET /
       0.000 ms < 47 bytes: \"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nX: \\xff\\r\\n\\r\\nhi+\"
    head: HTTP/1.1 200 \"OK\"
        Content-Length: 2
        X: \\xff
    content: 2 bytes, by Content-Length
    body: 2 bytes: \"hi\"
    done: the connection may be reused
    surplus: 1 byte that no request asked for: \"+\"
       0.000 ms ! eof
";
        assert_eq!(out, wanted);
        assert_eq!((outcome.answers, outcome.surplus, outcome.content), (1, 1, 2));
    }

    #[test]
    fn the_fault_is_shown() {
        let ch = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        for (bytes, at, near) in [
            (format!("{ch}5\r\nhello\r\n+5\r\nhello"), 58, "5\r\nhello\r\n+"),
            (format!("{ch}5\nhello"), 49, "5\n"),
            (format!("{ch}0\r\nA : b\r\n\r\n"), 59, "0\r\nA : b\r\n\r\n"),
            ("HTTP/1.1 200 OK\r\nA: b\r\nC : d\r\nE: f\r\n\r\nx".into(), 30, "C : d\r\n"),
            (
                "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n".into(),
                61,
                "Content-Length: 6\r\n",
            ),
            ("HTTP/1.1 20 OK\r\nA: b\r\n\r\n".into(), 16, "HTTP/1.1 20 OK\r\n"),
            ("HTTP/1.1 100\r\n\r\nHTTP/1.1 200 OK\r\n: b\r\n\r\n".into(), 38, ": b\r\n"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab".into(), 40, ""),
        ] {
            for piece in [usize::MAX, 1, 4] {
                let mut file = Vec::new();
                let mut recorder = Recorder::begin(&mut file, "");
                recorder.sent(&mut file, 0, b"GET / HTTP/1.1\r\n\r\n");
                for piece in bytes.as_bytes().chunks(piece) {
                    recorder.received(&mut file, 1, piece);
                }
                recorder.end(&mut file, 2, End::Eof);
                let mut seen = None;
                let _ = replay(&file, &Limits::DEFAULT, &mut |step| {
                    if let Step::Refused { at, near, .. } = step {
                        seen = Some((*at, near.to_vec()));
                    }
                });
                let (found, shown) = seen.expect("it is refused");
                assert_eq!(found, at, "{bytes:?} in pieces of {piece}");
                // What is shown of content begins earlier, or with the piece.
                let shown = shown.escape_ascii().to_string();
                let near = near.as_bytes().escape_ascii().to_string();
                assert!(shown.ends_with(&near) || near.ends_with(&shown), "{shown}, {near}");
                assert!(shown.len() >= near.len() || piece < usize::MAX, "{shown}, {near}");
                assert_eq!(shown.is_empty(), near.is_empty(), "{near}");
            }
        }
    }

    #[test]
    fn what_is_no_answer_is_shown_from_its_first_byte() {
        for (bytes, at) in
            [(&b"SSH-2.0-x\r\n"[..], 1), (b"HTTP/2 200\r\n\r\n", 6), (b"\r\nHTTP", 1)]
        {
            let (out, _) = told(bytes);
            let want = format!("at byte {at}: \"{}\"\n", bytes.escape_ascii());
            assert!(out.contains(&want), "{want}: {out}");
        }
    }

    #[test]
    fn answers_are_paired_with_requests() {
        let mut file = Vec::new();
        let mut recorder = Recorder::begin(&mut file, "");
        recorder.sent(&mut file, 0, b"HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n");
        recorder.received(&mut file, 1, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
        recorder.sent(&mut file, 2, b"POST /b HTTP/1.1\r\nContent-Length: 4\r\n\r\nGE");
        recorder.sent(
            &mut file,
            2,
            b"T PUT /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET /d ",
        );
        recorder.received(
            &mut file,
            3,
            b"HTTP/1.1 100\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb",
        );
        recorder.sent(&mut file, 4, b"HTTP/1.1\r\n\r\n");
        recorder.received(
            &mut file,
            5,
            b"HTTP/1.1 201\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200\r\n\r\nxy",
        );
        recorder.end(&mut file, 6, End::Truncated);
        let (out, outcome) = told(&file);
        assert_eq!((outcome.answers, outcome.content, outcome.surplus), (3, 3, 0), "{out}");
        assert_eq!(outcome.error, Some(Error::TruncatedUntilClose));
        for line in ["request: HEAD /a", "request: POST /b", "request: PUT /c", "request: GET /d"] {
            assert!(out.contains(line), "{out}");
        }
    }

    #[test]
    fn requests_sent_ahead_keep_their_order() {
        let mut file = Vec::new();
        let mut recorder = Recorder::begin(&mut file, "");
        recorder.sent(&mut file, 0, b"GET / HTTP/1.1\r\n\r\nHEAD / HTTP/1.1\r\n\r\n");
        let answer = b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n";
        recorder.received(&mut file, 1, &[&answer[..], b"ab", answer].concat());
        recorder.end(&mut file, 2, End::Eof);
        let (out, outcome) = told(&file);
        assert_eq!((outcome.answers, outcome.content, outcome.error), (2, 2, None), "{out}");
    }
}
