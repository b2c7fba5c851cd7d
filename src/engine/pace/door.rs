//! Whether a server accepts anything at all, and what it gives from one such time to the next.
//!
//! Owns the questions at a closed door: where nothing is accepted, whatever the rate, a window is used
//! up or the server is shut. It is asked now and then; what was accepted between two openings tells
//! which it was, and of a window how much it gives. It knows no buckets and sets no rate. Times are in nanoseconds.

use super::{MILLI, SECOND};
use crate::base::{Instant, mul_div};

/// The least and the longest time between two questions whether a window has ended.
const BLOCKED_GAP: u64 = 50_000_000;
const BLOCKED_GAP_MOST: u64 = 2 * SECOND;
/// How long a rate is kept that may be the measure of a closed door instead of a window.
const UNCONFIRMED: u64 = 3 * SECOND;

/// So soon after it opened a server that was really shut is not shut again.
const SOON: u64 = 2 * SECOND;
/// So many times what it gave on average a server may give that has opened.
const MORE: u32 = 32;

/// What is known of openings.
#[derive(Clone, Debug)]
pub(super) struct Door {
    /// Since when nothing was accepted, how many were refused since, and when the last of them was sent.
    blocked: Option<Instant>,
    asked: u32,
    asked_at: Instant,
    /// When requests last began to be accepted, and how many were sent since but refused.
    since: Instant,
    count: u64,
    /// The server counts in windows: how many requests a second they give.
    window: Option<Window>,
    /// How long the last one seemed to be.
    length: u64,
    /// What it can give at most, by what it gave from one opening to the next; and how often it opened,
    /// shortly one after the other.
    most: Option<u64>,
    openings: u32,
}

/// What was accepted between the beginnings of two windows, or of two openings of a door.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) rate: u64,
    /// Two of them were alike.
    pub(super) confirmed: bool,
}

impl Door {
    /// So many requests were sent since then, the refused one included.
    pub(super) fn new(since: Instant, count: u64) -> Self {
        let (window, length) = (None, 0);
        let (blocked, asked, asked_at) = (None, 0, since);
        Self { blocked, asked, asked_at, since, count, window, length, most: None, openings: 0 }
    }

    /// Nanoseconds from one question to the next, where it is shut.
    pub(super) fn gap(&self, now: Instant) -> Option<u64> {
        self.blocked.map(|since| pause(now.nanos_since(since)))
    }

    pub(super) fn is_shut(&self) -> bool {
        self.blocked.is_some()
    }

    /// Whether an answer to what was sent then tells that it is not shut any more.
    pub(super) fn opens(&self, sent_at: Instant) -> bool {
        self.blocked.is_some_and(|since| sent_at > since)
    }

    pub(super) fn window(&self) -> Option<Window> {
        self.window
    }

    /// What it can give at most now that it has opened, in thousandths of a request a second.
    pub(super) fn most(&self) -> Option<u64> {
        self.most
    }

    /// How long a window is, zero where there is none.
    pub(super) fn length(&self) -> u64 {
        self.window.map_or(0, |_| self.length)
    }

    /// For the length of a window as much as this was accepted.
    pub(super) fn gives(&mut self, rate: u64) {
        if let Some(window) = &mut self.window {
            window.rate = window.rate.max(rate);
        }
    }

    /// Of so many one was refused.
    pub(super) fn does_not_give(&mut self, rate: u64) {
        if let Some(window) = &mut self.window {
            window.rate = window.rate.min(rate - rate / 128);
        }
    }

    /// It gives far more than a window would.
    pub(super) fn forget_window(&mut self) {
        self.window = None;
    }

    /// How long a rate that a window tells is kept at least, before more is asked for.
    pub(super) fn keeps(&self) -> u64 {
        match self.window {
            Some(window) if window.confirmed => mul_div(self.length, 5, 4),
            Some(_) => UNCONFIRMED,
            None => 0,
        }
    }

    /// A request is sent.
    pub(super) fn take(&mut self) {
        self.count += 1;
    }

    /// One that was sent was refused.
    pub(super) fn refused(&mut self) {
        self.count = self.count.saturating_sub(1);
    }

    /// What was accepted since it last opened, and when that was, as long as the last one that was
    /// sent is not answered.
    pub(super) fn accepted(&self) -> (Instant, u64) {
        (self.since, self.count.saturating_sub(1).max(1))
    }

    /// Not one passed since the last pause.
    pub(super) fn shut(&mut self, sent_at: Instant) {
        self.blocked.get_or_insert(sent_at);
        self.asked += 1;
        self.asked_at = self.asked_at.max(sent_at);
    }

    /// A request passed that was sent after none did: whether a window has begun, unless an opening
    /// says nothing of windows.
    pub(super) fn opened(&mut self, sent_at: Instant, may_be_window: bool) -> Option<Window> {
        let since = self.blocked.take_if(|since| sent_at > *since)?;
        let asked = core::mem::take(&mut self.asked);
        let length =
            a_second(self.asked_at.nanos_since(self.since), sent_at.nanos_since(self.since));
        let rate = mul_div(self.count.saturating_sub(1) * MILLI, SECOND, length.max(1));
        // A server that was shut for a while may give far more than it did on average. One that seems
        // to be shut again at once is asked far too fast: then not one passes after a refusal.
        if length > SOON {
            self.openings = 0;
        }
        self.most = Some(rate.saturating_mul(u64::from((MORE >> self.openings.min(8)).max(2))));
        self.openings += 1;
        let waited = sent_at.nanos_since(since);
        // A bucket would have let some pass meanwhile.
        let missed = mul_div(rate, waited, SECOND * MILLI);
        (self.since, self.count) = (sent_at, 1);
        let is_window = asked >= 3 && missed >= 3 && waited.saturating_mul(16) >= length;
        if !is_window || !may_be_window || rate < super::learned::SLOWEST {
            return None;
        }
        // It was used up long before its end: this is all it has.
        let before = core::mem::replace(&mut self.length, length);
        let confirmed = before.abs_diff(length) <= length / 4;
        self.window = Some(Window { rate: rate - rate / 64, confirmed });
        self.window
    }
}

/// How long to wait before one that has been shut for so long is asked again.
pub(super) fn pause(shut_for: u64) -> u64 {
    BLOCKED_GAP + (shut_for / 8).min(BLOCKED_GAP_MOST - BLOCKED_GAP)
}

/// How long a window is that has ended between these times: a second, as most are, if that can be, or so long
/// that it has certainly ended.
fn a_second(after: u64, by: u64) -> u64 {
    if (after..=by).contains(&SECOND) { SECOND } else { by }
}
