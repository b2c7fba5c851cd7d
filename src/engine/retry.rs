//! What follows from a failure: the verdict table, and how long to wait.
//!
//! Pure functions of a few facts (RFC 9110 section 9.2.2, RFC 9112 section 9.3.1). Whether a
//! body can be continued is `resume`'s question; this module only says whether another attempt
//! may be made at all, and what it costs.

use super::{Cause, Config, Kind};
use crate::base::nanos;

/// What is known of the attempt that failed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Facts {
    /// The connection had served before.
    pub(super) reused: bool,
    /// The request may be sent twice.
    pub(super) repeatable: bool,
    /// A byte of the request may have reached the peer.
    pub(super) sent: bool,
    /// A byte of the answer came.
    pub(super) answered: bool,
    /// It has been moved free of charge before.
    pub(super) moved: bool,
    /// The request's body can be produced again.
    pub(super) replayable: bool,
    /// No further attempt is allowed: what would be in its way is of no concern.
    pub(super) last: bool,
    /// It timed out before the first byte once before.
    pub(super) slow_once: bool,
    /// Others were answered over and over on connections of the host, and not a byte came here.
    pub(super) overtaken: bool,
    /// The user asked for every failure to be tried again.
    pub(super) all_errors: bool,
    /// The user asked for attempts that used up their time to be tried again.
    pub(super) late_ones: bool,
}

/// What follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// Again at once on a newer connection, not counted.
    Free,
    /// Again after a backoff, counted.
    Again,
    /// The end.
    Final(Kind),
}

/// The table.
pub(super) fn verdict(kind: Kind, facts: Facts) -> Verdict {
    let may_repeat = facts.repeatable || !facts.sent;
    let again = match kind {
        Kind::StaleReuse | Kind::ResetBeforeResponse | Kind::EmptyReply => {
            // One that came with an interim answer was no stale connection.
            let stale = facts.reused && !facts.answered;
            if may_repeat && stale && !facts.moved && facts.replayable {
                return Verdict::Free;
            }
            may_repeat
        }
        Kind::ServerSpokeFirst => {
            // Surplus of a former answer, met on a kept connection before we had sent: the job
            // moves on. A fresh connection that speaks first is no HTTP server.
            if facts.reused && !facts.sent && !facts.moved {
                return Verdict::Free;
            }
            facts.reused && !facts.sent
        }
        Kind::FirstByteTimeout
            if facts.overtaken && !facts.moved && facts.repeatable && facts.replayable =>
        {
            return Verdict::Free;
        }
        Kind::FirstByteTimeout => facts.repeatable && !facts.slow_once,
        Kind::ResetInHead
        | Kind::ResetInBody
        | Kind::EofInHead
        | Kind::EofInBody
        | Kind::HeadTimeout
        | Kind::Stalled
        | Kind::TooSlow
        | Kind::SendTimeout => may_repeat && (facts.repeatable || !facts.answered),
        Kind::ResetInHandshake | Kind::EofInHandshake | Kind::TlsTimeout => true,
        Kind::AttemptTimeout => (facts.all_errors || facts.late_ones) && facts.repeatable,
        Kind::Malformed(_) | Kind::Tls(_) => facts.all_errors && facts.repeatable,
        _ => false,
    };
    match (again, facts.replayable || !facts.sent) {
        (true, true) => Verdict::Again,
        (true, false) if facts.last => Verdict::Final(kind),
        (true, false) => Verdict::Final(Kind::BodyNotReplayable),
        (false, _) => Verdict::Final(kind),
    }
}

/// Whether what was sent on a kept connection may have crossed what came on it: a 408 (RFC 9110 section
/// 15.5.9), for which the server was tired of waiting, or bytes that are no answer. It moves as it
/// would have with the loss alone.
pub(super) fn has_crossed(job: Facts) -> bool {
    verdict(Kind::StaleReuse, Facts { sent: true, ..job }) == Verdict::Free
}

/// The failure that the loss of a busy connection is, by how far its exchange had come.
pub(super) fn loss(cause: Option<Cause>, reused: bool, answered: bool, in_body: bool) -> Kind {
    // A kernel that gave up (ETIMEDOUT) tells the same as a reset: the connection is gone.
    match (cause.is_some(), answered, in_body) {
        (_, false, _) if reused => Kind::StaleReuse,
        (true, false, _) => Kind::ResetBeforeResponse,
        (false, false, _) => Kind::EmptyReply,
        (true, true, false) => Kind::ResetInHead,
        (false, true, false) => Kind::EofInHead,
        (true, true, true) => Kind::ResetInBody,
        (false, true, true) => Kind::EofInBody,
    }
}

/// Statuses that ask to come back later.
#[inline]
pub(super) const fn asks_to_come_back(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504 | 522 | 524)
}

/// Full jitter, in nanoseconds: uniform between zero and `min(cap, base · 2ⁿ)`, `n` failures before this one.
pub(super) fn backoff(config: &Config, failures: u32, random: &mut fastrand::Rng) -> u64 {
    if let Some(delay) = config.retry_delay {
        return nanos(delay);
    }
    let most = nanos(config.backoff_base).saturating_mul(1 << failures.min(31));
    random.u64(0..=most.min(nanos(config.backoff_cap)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH_GET: Facts = Facts {
        reused: false,
        repeatable: true,
        sent: true,
        answered: false,
        moved: false,
        replayable: true,
        last: false,
        slow_once: false,
        overtaken: false,
        all_errors: false,
        late_ones: false,
    };
    const REUSED_GET: Facts = Facts { reused: true, ..FRESH_GET };
    const FRESH_POST: Facts = Facts { repeatable: false, ..FRESH_GET };
    const REUSED_POST: Facts = Facts { reused: true, ..FRESH_POST };

    #[test]
    fn the_table() {
        use Kind::*;
        use Verdict::{Again, Final, Free};
        let unsent = |facts| Facts { sent: false, ..facts };
        let answered = |facts| Facts { answered: true, ..facts };
        let moved = |facts| Facts { moved: true, ..facts };
        let rows = [
            ("stale, GET: free", StaleReuse, REUSED_GET, Free),
            ("stale again, GET: counted", StaleReuse, moved(REUSED_GET), Again),
            ("stale, POST sent: final", StaleReuse, REUSED_POST, Final(StaleReuse)),
            ("stale, POST unsent: free", StaleReuse, unsent(REUSED_POST), Free),
            ("fresh reset, GET: counted", ResetBeforeResponse, FRESH_GET, Again),
            (
                "fresh reset, POST sent: final",
                ResetBeforeResponse,
                FRESH_POST,
                Final(ResetBeforeResponse),
            ),
            ("fresh reset, POST unsent: counted", ResetBeforeResponse, unsent(FRESH_POST), Again),
            ("empty reply, GET: counted", EmptyReply, FRESH_GET, Again),
            ("reset in head, GET: counted", ResetInHead, answered(FRESH_GET), Again),
            ("reset in head, POST: final", ResetInHead, answered(FRESH_POST), Final(ResetInHead)),
            ("cut body, GET: counted", EofInBody, answered(REUSED_GET), Again),
            ("cut body, POST: final", EofInBody, answered(REUSED_POST), Final(EofInBody)),
            ("stall, GET: counted", Stalled, answered(FRESH_GET), Again),
            ("no first byte, GET: counted", FirstByteTimeout, FRESH_GET, Again),
            (
                "no first byte twice: final",
                FirstByteTimeout,
                Facts { slow_once: true, ..FRESH_GET },
                Final(FirstByteTimeout),
            ),
            ("no first byte, POST: final", FirstByteTimeout, FRESH_POST, Final(FirstByteTimeout)),
            (
                "no first byte, and others overtook it: free",
                FirstByteTimeout,
                Facts { overtaken: true, ..FRESH_GET },
                Free,
            ),
            ("banner, fresh: final", ServerSpokeFirst, unsent(FRESH_GET), Final(ServerSpokeFirst)),
            ("surplus on a kept one: free", ServerSpokeFirst, unsent(REUSED_GET), Free),
            ("surplus on a kept one, POST: free", ServerSpokeFirst, unsent(REUSED_POST), Free),
            ("surplus again: counted", ServerSpokeFirst, moved(unsent(REUSED_GET)), Again),
            ("handshake cut: counted", ResetInHandshake, unsent(FRESH_POST), Again),
            (
                "body gone: final, named",
                ResetInBody,
                Facts { replayable: false, ..answered(FRESH_GET) },
                Final(BodyNotReplayable),
            ),
            (
                "body gone, and no further attempt: as it is",
                ResetInBody,
                Facts { replayable: false, last: true, ..answered(FRESH_GET) },
                Final(ResetInBody),
            ),
            ("attempt's time used up: final", AttemptTimeout, FRESH_GET, Final(AttemptTimeout)),
            (
                "attempt's time used up, and such are to be repeated",
                AttemptTimeout,
                Facts { late_ones: true, ..FRESH_GET },
                Again,
            ),
            ("malformed: final", Tls("tls_alert"), FRESH_GET, Final(Tls("tls_alert"))),
            ("cancelled: final", Cancelled, FRESH_GET, Final(Cancelled)),
        ];
        for (name, kind, facts, wanted) in rows {
            assert_eq!(verdict(kind, facts), wanted, "{name}");
        }
    }

    #[test]
    fn backoff_is_bounded_and_spread() {
        let config = Config::default();
        let mut random = fastrand::Rng::with_seed(1);
        for failures in 0..80 {
            let most = config.backoff_base * 2_u32.saturating_pow(failures.min(10));
            let mut above_half = 0;
            for _ in 0..100 {
                let wait = backoff(&config, failures, &mut random);
                assert!(wait <= nanos(most.min(config.backoff_cap)), "{failures}: {wait}");
                above_half += u32::from(wait > nanos(most.min(config.backoff_cap)) / 2);
            }
            assert!((20..80).contains(&above_half), "{failures}: {above_half}");
        }
    }
}
