//! The bytes of one answer, given out piece by piece.
//!
//! Knows where to wait, where to stop and what comes then, but neither HTTP nor a socket. Large
//! contents are never held: their pieces are computed when they are sent.

use core::time::Duration;

use super::pattern;
use super::request::Incoming;
use super::rules::{Drip, How};

/// Content that can be taken in parts.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Bytes(Vec<u8>),
    Pattern { seed: u64, from: u64, len: u64 },
}

impl Content {
    pub(super) const EMPTY: Self = Self::Bytes(Vec::new());

    pub(super) fn text(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }

    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Pattern { len, .. } => *len,
        }
    }

    /// A part, which must be inside.
    pub(super) fn part(&self, from: u64, len: u64) -> Self {
        match self {
            Self::Bytes(bytes) => Self::Bytes(bytes[from as usize..(from + len) as usize].to_vec()),
            Self::Pattern { seed, from: start, .. } => {
                Self::Pattern { seed: *seed, from: start + from, len }
            }
        }
    }

    pub(super) fn append(&self, from: u64, len: usize, out: &mut Vec<u8>) {
        match self {
            Self::Bytes(bytes) => out.extend_from_slice(&bytes[from as usize..from as usize + len]),
            Self::Pattern { seed, from: start, .. } => {
                pattern::append(*seed, start + from, len, out);
            }
        }
    }
}

/// What follows an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    /// The next request.
    Keep,
    /// A regular close.
    Close,
    /// The end of the connection in the middle of the answer.
    Cut(How),
}

/// The bytes of an answer, given out piece by piece.
#[derive(Debug)]
pub(super) struct Outgoing {
    parts: Vec<Content>,
    part: usize,
    within: u64,
    rendered: u64,
    end: u64,
    pauses: Vec<(u64, Duration)>,
    next_pause: usize,
    drip: Option<Drip>,
    dripped: bool,
    pub(super) finish: Finish,
    /// What has not been read of the request that this answers.
    pub(super) unread: Incoming,
    /// Whether it answers a request that counts.
    pub(super) is_counted: bool,
}

/// What an answer wants next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Bytes were appended: send them.
    Send,
    /// Wait so long.
    Wait(Duration),
    /// Nothing more.
    Done,
}

impl Outgoing {
    /// All of `parts` up to the byte `end`, with waits before certain bytes.
    pub(super) fn new(
        parts: Vec<Content>,
        end: u64,
        pauses: Vec<(u64, Duration)>,
        drip: Option<Drip>,
        finish: Finish,
    ) -> Self {
        Self {
            parts,
            part: 0,
            within: 0,
            rendered: 0,
            end,
            pauses,
            next_pause: 0,
            drip,
            dripped: false,
            finish,
            unread: Incoming::None,
            is_counted: false,
        }
    }

    /// These bytes and this end, without any request.
    pub(super) fn raw(bytes: &[u8], finish: Finish) -> Self {
        let all = Content::Bytes(bytes.to_vec());
        Self::new(vec![all], bytes.len() as u64, Vec::new(), None, finish)
    }

    /// Appends up to `room` further bytes to `out`, or says what else to do.
    pub(super) fn next(&mut self, room: u64, out: &mut Vec<u8>) -> Next {
        let mut stop = self.end.min(self.rendered.saturating_add(room));
        if let Some(&(at, wait)) = self.pauses.get(self.next_pause) {
            if at <= self.rendered {
                self.next_pause += 1;
                return Next::Wait(wait);
            }
            stop = stop.min(at);
        }
        if self.rendered >= self.end {
            return Next::Done;
        }
        if let Some(drip) = &self.drip {
            if core::mem::take(&mut self.dripped) && drip.every_ms > 0 {
                return Next::Wait(Duration::from_millis(drip.every_ms));
            }
            stop = stop.min(self.rendered.saturating_add(drip.bytes));
            self.dripped = true;
        }
        while self.rendered < stop {
            let Some(part) = self.parts.get(self.part) else { break };
            let now = (stop - self.rendered).min(part.len() - self.within);
            part.append(self.within, now as usize, out);
            self.rendered += now;
            self.within += now;
            if self.within == part.len() {
                self.part += 1;
                self.within = 0;
            }
        }
        Next::Send
    }

    /// Whether this answer may be sent as fast as the network takes it.
    pub(super) fn wants_bytes(&self) -> bool {
        self.rendered < self.end
    }
}
