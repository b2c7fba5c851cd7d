//! The state behind the limits: connections, workers, bytes and requests a second.
//!
//! One for the whole server, or one for each address. Pure arithmetic on what it is told.

use std::collections::VecDeque;

use crate::base::{Instant, Key};

use super::conn::Conn;
use super::traffic::Rate;

/// The shortest time for which bytes are dealt out, in nanoseconds.
const BEAT: u64 = 1_000_000;

/// What one limit covers.
#[derive(Debug, Default)]
pub(super) struct Site {
    /// Connections that count against the limit.
    pub(super) open: usize,
    /// Requests at work.
    pub(super) busy: usize,
    /// Requests that wait for a worker.
    pub(super) waiting: VecDeque<Key<Conn>>,
    /// Connections that wait for bandwidth.
    pub(super) thirsty: VecDeque<Key<Conn>>,
    pub(super) bytes: Bucket,
    pub(super) requests: Bucket,
}

/// A token bucket with time in nanoseconds and tokens in fractions of one.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    /// Billionths of tokens.
    held: u128,
    at: Instant,
    is_started: bool,
}

const ONE: u128 = 1_000_000_000;

impl Bucket {
    /// Lets time pass: `rate` tokens a second (in billionths), never more than `most`.
    fn fill(&mut self, now: Instant, rate: u128, most: u128) {
        if self.is_started {
            let gap = (now - self.at).as_nanos();
            self.held = (self.held + gap * rate / ONE).min(most);
        } else {
            self.is_started = true;
            self.held = most;
        }
        self.at = now;
    }
}

impl Site {
    /// How many bytes one connection gets at once.
    pub(super) fn portion(bandwidth: u64) -> u64 {
        (bandwidth / (ONE as u64 / BEAT)).clamp(512, 16 * 1024)
    }

    /// Takes a portion of bytes from the bucket; 0: there is none yet.
    pub(super) fn pour(&mut self, now: Instant, bandwidth: u64) -> u64 {
        let portion = Self::portion(bandwidth);
        // Two beats may be caught up with, so that a late turn loses nothing.
        let most = portion.max(bandwidth / 100);
        self.bytes.fill(now, u128::from(bandwidth) * ONE, u128::from(most) * ONE);
        let need = u128::from(portion) * ONE;
        if self.bytes.held < need {
            return 0;
        }
        self.bytes.held -= need;
        portion
    }

    /// Gives bytes back that were not sent.
    pub(super) fn give_back(&mut self, bytes: u64) {
        self.bytes.held += u128::from(bytes) * ONE;
    }

    /// When the next portion will be there.
    pub(super) fn next_portion(&self, now: Instant, bandwidth: u64) -> Instant {
        let missing = (u128::from(Self::portion(bandwidth)) * ONE).saturating_sub(self.bytes.held);
        now + core::time::Duration::from_nanos((missing / u128::from(bandwidth)) as u64 + 1)
    }

    /// Takes one request from the bucket.
    pub(super) fn take_request(&mut self, now: Instant, rate: &Rate) -> Taken {
        let per_second = (rate.per_second * ONE as f64) as u128;
        let most = u128::from(rate.burst.max(1)) * ONE;
        self.requests.fill(now, per_second, most);
        let allowed = self.requests.held >= ONE;
        if allowed {
            self.requests.held -= ONE;
        }
        let held = self.requests.held;
        let seconds = |missing: u128| missing.div_ceil(per_second.max(1)) as u64;
        Taken {
            allowed,
            left: (held / ONE) as u64,
            wait: seconds(ONE.saturating_sub(held)).max(1),
            full_in: seconds(most.saturating_sub(held)),
        }
    }
}

/// What became of a request for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) allowed: bool,
    /// Whole tokens that are left.
    pub(super) left: u64,
    /// Seconds until there is one, at least 1.
    pub(super) wait: u64,
    /// Seconds until all are there.
    pub(super) full_in: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_kept() {
        let rate = Rate { per_second: 50.0, burst: 5, ..Rate::default() };
        let mut site = Site::default();
        let allowed = (0..2_000_u64)
            .filter(|ms| site.take_request(Instant::from_nanos(ms * 1_000_000), &rate).allowed)
            .count();
        assert!((104..=105).contains(&allowed), "{allowed}");
        assert_eq!(site.take_request(Instant::from_nanos(1_999_000_000), &rate).wait, 1);
    }

    #[test]
    fn a_slow_rate_says_how_long() {
        let rate = Rate { per_second: 0.2, burst: 1, ..Rate::default() };
        let mut site = Site::default();
        assert!(site.take_request(Instant::ZERO, &rate).allowed);
        let taken = site.take_request(Instant::from_nanos(500_000_000), &rate);
        assert_eq!((taken.allowed, taken.wait), (false, 5));
    }

    #[test]
    fn bandwidth_is_kept() {
        let mut site = Site::default();
        let bandwidth = 1_000_000;
        let (mut now, mut sent) = (Instant::ZERO, 0);
        while now < Instant::from_nanos(2_000_000_000) {
            sent += site.pour(now, bandwidth);
            now = now.max(site.next_portion(now, bandwidth));
        }
        assert!((1_990_000..2_020_000).contains(&sent), "{sent}");
    }
}
