//! `--limit-rate` and `--limit-rate-total`: bytes against time.
//!
//! Owns what has come and gone under a limit and who waits for it. Knows no jobs but by their
//! tickets, and never pauses anybody itself: it says until when.

use std::time::{Duration, Instant};

use crate::fetch::Ticket;

/// Bytes that a limited transfer may be ahead of its rate.
const BURST: u64 = 16 * 1024;
/// Below this a read buffer only costs system calls.
const LEAST_READ: usize = 4 * 1024;

/// The limits, and how far they are used.
#[derive(Debug, Default)]
pub struct Rates {
    /// Bytes a second of each transfer.
    each: Option<u64>,
    /// Bytes a second of all together.
    all: Option<u64>,
    received: Used,
    sent: Used,
    /// Who waits, and until when.
    paused: Vec<(Instant, Ticket)>,
}

/// Bytes since a moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Used {
    since: Option<Instant>,
    bytes: u64,
}

/// How a body comes under a limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    used: Used,
    /// It is among those who wait.
    paused: bool,
}

impl Pace {
    /// Its time has come.
    pub const fn go_on(&mut self) {
        self.paused = false;
    }
}

impl Rates {
    pub fn new(each: Option<u64>, all: Option<u64>) -> Self {
        Self { each, all, ..Self::default() }
    }

    /// There are none: nothing need be counted.
    pub const fn is_free(&self) -> bool {
        self.each.is_none() && self.all.is_none()
    }

    /// Whether another request may begin under `--limit-rate-total`, else when. Short bodies arrive
    /// at once, however slowly they are read: what is to be held back is their requests.
    pub fn may_begin(&self, in_flight: usize, now: Instant) -> Result<(), Option<Instant>> {
        let Some(rate) = self.all else { return Ok(()) };
        let most = usize::try_from(rate / BURST).unwrap_or(usize::MAX).max(2);
        if in_flight >= most {
            return Err(None);
        }
        let due = [self.received, self.sent]
            .into_iter()
            .filter_map(|used| ahead(used.since?, used.bytes, rate, now))
            .max();
        due.map_or(Ok(()), |due| Err(Some(due)))
    }

    /// How much of a body may leave now; `None`: nothing yet, its time was noted.
    pub fn room(&mut self, sent: &mut Used, ticket: Ticket, room: usize) -> Option<usize> {
        if self.is_free() {
            return Some(room);
        }
        let now = Instant::now();
        let mut room = room;
        let mut until = None;
        if let Some(rate) = self.each {
            let since = *sent.since.get_or_insert(now);
            until = ahead(since, sent.bytes, rate, now);
            room = room.min(piece(rate));
        }
        if let Some(rate) = self.all {
            until = until.max(self.sent.ahead(rate, now));
            room = room.min(piece(rate));
        }
        match until {
            Some(until) => {
                self.paused.push((until, ticket));
                None
            }
            None => Some(room),
        }
    }

    /// Bytes of a body have left.
    pub const fn has_sent(&mut self, sent: &mut Used, bytes: u64) {
        sent.bytes += bytes;
        self.sent.bytes += bytes;
    }

    /// Bytes have come; true: the transfer is to be paused, its time was noted.
    pub fn has_received(&mut self, pace: &mut Pace, ticket: Ticket, bytes: u64) -> bool {
        let now = Instant::now();
        let mut until = None;
        if let Some(rate) = self.each {
            let since = *pace.used.since.get_or_insert(now);
            pace.used.bytes += bytes;
            until = ahead(since, pace.used.bytes, rate, now);
        }
        if let Some(rate) = self.all {
            self.received.bytes += bytes;
            until = until.max(self.received.ahead(rate, now));
        }
        match until {
            Some(until) if !pace.paused => {
                pace.paused = true;
                self.paused.push((until, ticket));
                true
            }
            _ => false,
        }
    }

    /// When the next one goes on.
    pub fn due(&self) -> Option<Instant> {
        self.paused.iter().map(|(until, _)| *until).min()
    }

    /// Those whose time has come.
    pub fn go_on(&mut self, now: Instant, mut resume: impl FnMut(Ticket)) {
        self.paused.retain(|(until, ticket)| {
            let waits = *until > now;
            if !waits {
                resume(*ticket);
            }
            waits
        });
    }
}

impl Used {
    /// When what all transfers moved too early would have been due.
    fn ahead(&mut self, rate: u64, now: Instant) -> Option<Instant> {
        let since = *self.since.get_or_insert(now);
        let until = ahead(since, self.bytes, rate, now);
        if until.is_none() && now.duration_since(since) > Duration::from_secs(5) {
            // What was not used is not saved up for ever.
            *self = Self { since: Some(now), bytes: 0 };
        }
        until
    }
}

/// What one read may bring under a limit: what has been read is delivered at once, and the last
/// piece of a body is waited for by nobody.
pub fn read_buffer(rate: u64, usual: usize) -> usize {
    piece(rate).max(LEAST_READ).min(usual)
}

/// Bytes that are sent at once under a limit: an eighth of a second's worth.
fn piece(rate: u64) -> usize {
    usize::try_from(rate / 8).unwrap_or(usize::MAX).clamp(1, 64 * 1024)
}

/// When bytes that came too early would have been due.
fn ahead(since: Instant, bytes: u64, rate: u64, now: Instant) -> Option<Instant> {
    let bytes = bytes.saturating_sub(BURST.min(rate / 4));
    let micros = u128::from(bytes) * 1_000_000 / u128::from(rate.max(1));
    let due =
        since + Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX / 2).min(1 << 50));
    (due > now).then_some(due)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_kept_over_time() {
        let start = Instant::now();
        assert_eq!(ahead(start, 1000, 1_000_000, start), None);
        let due = ahead(start, 2_000_000, 1_000_000, start).unwrap();
        assert!((1_980..=2_000).contains(&due.duration_since(start).as_millis()));
        assert_eq!(ahead(start, 2_000_000, 1_000_000, start + Duration::from_secs(2)), None);
    }
}
