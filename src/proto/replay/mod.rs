//! Runs recorded wire bytes through the parser and tells, step by step, what it saw.
//!
//! Owns: pairing requests with answers as a connection does, one after another.
//! Never: retries, redirects, or what a URL was; the record knows only bytes.

mod requests;
mod show;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;

use super::framing::{Exchange, Persistence};
use super::head::Scan;
use super::response::{Event, Limits, Phase, Response};
use super::start;
use super::wire::{Damaged, End, Record, records};
use super::{Error, Scratch};
use requests::Requests;
use show::SHOWN;

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
#[non_exhaustive]
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
