//! How many connections one host bears, found by watching what happens.
//!
//! Owns the limit of one origin or of one address group: a number of connections that events
//! move. It never opens, closes or sends anything, reads no clock and allocates only with the
//! first event: (events, time, seed) in, a number and its reasons out. Request rates are another
//! matter ([`pace`](super::pace)): a 429 is no reason to use fewer connections.
//!
//! What a server does when it is asked for too much differs, and so does the right answer:
//!
//! | the server | is seen by | the limit |
//! |---|---|---|
//! | has a hard limit | fresh connections reset, refused or left waiting, 503 or another error at once | what survived; one probe beyond it, ever more seldom |
//! | queues | latency grows as fast as concurrency, goodput stands still | the knee: goodput × latency without a queue |
//! | shares a bandwidth | bytes a second stand still, time a byte grows | the knee, as above |
//! | thrashes | goodput falls when concurrency grows | the level of the best goodput |
//! | bears anything | goodput grows with concurrency | the ceiling, as fast as answers come |
//! | changes | a probe that succeeds, latency that departs from its base | follows |
//!
//! The rules of growth and of trial steps are in `adaptive`, the measuring in `meter` and, while it
//! grows, in `ladder`, what is told to people in `explain`.

mod adaptive;
mod explain;
mod ladder;
mod meter;

use alloc::boxed::Box;
use core::time::Duration;

pub use explain::{Explanation, Finding, Ledger};

use crate::base::Instant;
use adaptive::Adaptive;

/// Where the search for a limit starts and between which bounds it stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LimitConfig {
    /// Connections to begin with. Default 4 for an origin, 16 for an address.
    pub start: u16,
    /// Never fewer. Default 1.
    pub floor: u16,
    /// Never more. Default 32 for public addresses, 128 for loopback and private ones.
    pub ceiling: u16,
}

impl LimitConfig {
    /// The ceiling for public addresses.
    pub const CEILING_PUBLIC: u16 = 32;
    /// The ceiling for loopback and private addresses.
    pub const CEILING_PRIVATE: u16 = 128;

    /// The search for one origin: a polite start.
    pub const fn origin(ceiling: u16) -> Self {
        Self { start: 4, floor: 1, ceiling }
    }

    /// The search for one address, which may serve many origins.
    pub const fn address(ceiling: u16) -> Self {
        Self { start: 16, floor: 1, ceiling }
    }

    /// With a floor of 1 at least, and the others above it.
    fn in_order(self) -> Self {
        let floor = self.floor.max(1);
        let ceiling = self.ceiling.max(floor);
        Self { start: self.start.clamp(floor, ceiling), floor, ceiling }
    }
}

impl Default for LimitConfig {
    fn default() -> Self {
        Self::origin(Self::CEILING_PUBLIC)
    }
}

/// What a server did that says "too much at once".
///
/// What counts is up to the caller: no stale reuse, no cancelled loser of a
/// race, no address that never worked, and no 429 (that paces).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Complaint {
    /// A fresh connection was reset or closed before a byte of an answer.
    FreshReset,
    /// A connection was refused by an address that has accepted in this run.
    Refused,
    /// A connection attempt timed out at an address that has accepted in this run, or the server left it
    /// unanswered while it served others many times ([`Limit::waiting`]).
    ConnectTimeout,
    /// A TLS handshake timed out.
    HandshakeTimeout,
    /// A 503.
    Overload503,
    /// A 500, 502, 504, 522 or 524, where such answers turned out to come of too much at once.
    ServerError,
}

impl Complaint {
    /// All kinds, in the order of [`Ledger::complaints`].
    pub const ALL: [Self; 6] = [
        Self::FreshReset,
        Self::Refused,
        Self::ConnectTimeout,
        Self::HandshakeTimeout,
        Self::Overload503,
        Self::ServerError,
    ];

    /// The place of this kind in [`Ledger::complaints`].
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::FreshReset => 0,
            Self::Refused => 1,
            Self::ConnectTimeout => 2,
            Self::HandshakeTimeout => 3,
            Self::Overload503 => 4,
            Self::ServerError => 5,
        }
    }

    /// What happened to the connection, as the end of "the 24th connection was …".
    pub const fn verb(self) -> &'static str {
        match self {
            Self::FreshReset => "reset",
            Self::Refused => "refused",
            Self::ConnectTimeout => "not accepted in time",
            Self::HandshakeTimeout => "not secured in time",
            Self::Overload503 => "answered 503",
            Self::ServerError => "answered with an error",
        }
    }

    /// Whether it concerns the making of connections, so that requests on old ones prove nothing.
    const fn concerns_fresh(self) -> bool {
        !self.is_an_answer()
    }

    /// Whether it is an answer, which may ask for a pause.
    const fn is_an_answer(self) -> bool {
        matches!(self, Self::Overload503 | Self::ServerError)
    }
}

/// A response that came to its end, or a further part of a long one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sample {
    /// When the request was handed to the socket; for a further part of a body, when the part
    /// before it was reported.
    pub sent_at: Instant,
    /// Bytes of the response since the last part that was reported (all, when there was none).
    pub bytes: u64,
    /// Requests in flight to this host when it was sent, itself included.
    pub in_flight: u32,
    /// Whether its connection had served another request before.
    pub reused: bool,
    /// Whether the server did its work: any status counts but those that ask to come back later, 404 too.
    pub served: bool,
    /// Whether the response is over. A body of many megabytes may be reported in parts (one
    /// for each megabyte or more), so that a few large bodies are seen before they end.
    pub whole: bool,
}

/// The limit of connections to one host.
///
/// Connections that are opening, securing, busy, idle and closing count. It is also the pool's
/// idle cap, so that none is closed and opened again for want of a slot.
///
/// ```
/// use core::time::Duration;
///
/// use gannet::base::Instant;
/// use gannet::engine::limit::{Complaint, Limit, LimitConfig};
///
/// let start = Instant::ZERO;
/// let mut limit = Limit::new(&LimitConfig::origin(32), 7, start);
/// assert_eq!(limit.allowed(), 4);
/// // The fourth connection is reset: three it is.
/// limit.complaint(start, Complaint::FreshReset, start, 4);
/// assert_eq!(limit.allowed(), 3);
/// assert_eq!(limit.explain().to_string(), "settled at 3: the 4th connection was reset");
/// ```
#[derive(Debug)]
pub struct Limit(Way);

#[derive(Debug)]
enum Way {
    /// What the user said (`--per-host N`): events are counted and change nothing.
    Fixed {
        /// The user's number.
        allowed: u16,
        /// What happened.
        ledger: Ledger,
    },
    Adaptive(Search),
}

/// A search, made when something is told of it: of most addresses nothing ever is, since the one
/// name that is there has a limit of its own.
#[derive(Debug)]
struct Search {
    config: LimitConfig,
    seed: u64,
    since: Instant,
    made: Option<Box<Adaptive>>,
}

impl Search {
    fn awake(&mut self) -> &mut Adaptive {
        let Self { config, seed, since, made } = self;
        made.get_or_insert_with(|| Box::new(Adaptive::new(*config, *seed, *since)))
    }
}

impl Limit {
    /// Bytes of heap that a search holds at most.
    pub const MOST_BYTES: usize = size_of::<Adaptive>() + ladder::Ladder::MOST_BYTES;

    /// A search for the limit of one host.
    pub fn new(config: &LimitConfig, seed: u64, now: Instant) -> Self {
        Self(Way::Adaptive(Search { config: config.in_order(), seed, since: now, made: None }))
    }

    /// The user's number, at least 1.
    #[inline(never)]
    pub fn fixed(allowed: u16) -> Self {
        Self(Way::Fixed { allowed: allowed.max(1), ledger: Ledger::default() })
    }

    /// Connections that the host may have now: opening, securing, busy, idle and closing.
    pub fn allowed(&self) -> u32 {
        match &self.0 {
            Way::Fixed { allowed, .. } => u32::from(*allowed),
            Way::Adaptive(Search { made: None, config, .. }) => u32::from(config.start),
            Way::Adaptive(Search { made: Some(adaptive), .. }) => adaptive.allowed(),
        }
    }

    /// Connections that may stay open, idle ones beyond [`allowed`](Self::allowed) included: what
    /// the pool need not close.
    pub fn keeps(&self) -> u32 {
        match &self.0 {
            Way::Fixed { allowed, .. } => u32::from(*allowed),
            Way::Adaptive(Search { made: None, config, .. }) => {
                u32::from(config.start.saturating_mul(2).min(config.ceiling))
            }
            Way::Adaptive(Search { made: Some(adaptive), .. }) => adaptive.keeps(),
        }
    }

    /// A request was handed to the socket.
    ///
    /// `in_flight` counts the requests to this host that are unanswered, this one included.
    /// `queued` says that the host has more work waiting which nothing but this limit holds
    /// back: no pace, not the cap of all hosts, no other limit. That connections within the
    /// limit are still being opened for it changes nothing.
    #[inline]
    pub fn sent(&mut self, now: Instant, in_flight: u32, queued: bool) {
        if let Way::Adaptive(search) = &mut self.0 {
            search.awake().sent(now, in_flight, queued);
        }
    }

    /// The first byte of an answer came, `latency` after its request was written.
    ///
    /// `reused` as in [`Sample::reused`]: only those say how long the server's queue is.
    #[inline]
    pub fn first_byte(&mut self, now: Instant, latency: Duration, reused: bool, sent_at: Instant) {
        self.ledger_mut().first_byte(latency, reused);
        if let Way::Adaptive(search) = &mut self.0 {
            search.awake().first_byte(now, latency, reused, sent_at);
        }
    }

    /// A response is complete, or a further part of a long one is here.
    pub fn done(&mut self, now: Instant, sample: &Sample) {
        self.ledger_mut().done(now, sample);
        if let Way::Adaptive(search) = &mut self.0 {
            search.awake().done(now, sample);
        }
    }

    /// A 503 that asks for a pause (`Retry-After`), or for none: before the complaint that it is. So much
    /// goodput it costs to ask for one connection too many, and so seldom that is done.
    pub fn refusal_costs(&mut self, pause: Duration) {
        if let Way::Adaptive(search) = &mut self.0 {
            search.awake().refusal_costs(pause);
        }
    }

    /// The server said that it is too much.
    ///
    /// `caused_at` is when that connection or request was started: what was started before the
    /// last cut belongs to the same burst. `open` counts the connections at that moment, the
    /// one that failed included.
    pub fn complaint(&mut self, now: Instant, what: Complaint, caused_at: Instant, open: u32) {
        self.ledger_mut().complaint(what);
        if let Way::Adaptive(search) = &mut self.0 {
            search.awake().complaint(now, what, caused_at, open);
        }
    }

    /// The same, of a connection on which nothing was asked: no request was lost.
    pub fn turned_away(&mut self, now: Instant, what: Complaint, caused_at: Instant, open: u32) {
        self.ledger_mut().complaint(what);
        if let Way::Adaptive(search) = &mut self.0 {
            search.awake().turned_away(now, what, caused_at, open);
        }
    }

    /// Whether a connection that was just established, with which there are so many, is a question: one
    /// more than the server is known to bear, which resets what is too many. What is asked on it may be lost.
    pub fn asks(&self, open: u32) -> bool {
        match &self.0 {
            Way::Fixed { .. } => false,
            Way::Adaptive(search) => search.made.as_ref().is_some_and(|it| it.asks(open)),
        }
    }

    /// As [`done`](Self::done), where so many connections wait for the first answer they ever got; so many
    /// others have served.
    ///
    /// A server that has a worker for each connection leaves all others where the system keeps those that
    /// nobody has accepted. They are open and answer nothing, while on the others answers come as quickly as
    /// ever: neither goodput nor latency tells of them. Once that is found, they count no more: the limit is
    /// that of those that are served, and [`allowed`](Self::allowed) is as much more.
    pub fn waiting(&mut self, now: Instant, sample: &Sample, unheard: u32, served: u32) {
        if let Way::Adaptive(search) = &mut self.0 {
            search.awake().waiting(now, sample, unheard, served);
        }
    }

    /// Whether the server has turned away what was too much, and may do so again.
    pub fn is_bounded(&self) -> bool {
        match &self.0 {
            Way::Fixed { .. } => false,
            Way::Adaptive(search) => search.made.as_ref().is_some_and(|it| it.is_bounded()),
        }
    }

    /// Whether a connection that has just served is to be closed for the sake of those that are left
    /// waiting, though another may be opened for it: that one stands behind them.
    pub fn gives_way(&mut self) -> bool {
        match &mut self.0 {
            Way::Fixed { .. } => false,
            Way::Adaptive(search) => search.awake().gives_way(),
        }
    }

    /// What the server complained about is not how many connections there are, but how many requests
    /// come in a time, or not about how much is asked for at all: what was made of that is void. It goes on
    /// from where it is, or from `level` if that is more.
    pub fn acquit(&mut self, now: Instant, level: u32) {
        if let Way::Adaptive(search) = &mut self.0 {
            search.awake().acquit(now, level);
        }
    }

    /// The server closed a connection that had served, while there was work for it.
    ///
    /// One is stale, and no complaint. Many at once mean that the server bears fewer than it did, or
    /// began anew: it is not to meet as many fresh ones in their place at once. `left` counts those
    /// that have served and are still open.
    pub fn lost(&mut self, now: Instant, left: u32) {
        if let Way::Adaptive(search) = &mut self.0 {
            search.awake().lost(now, left);
        }
    }

    /// The server refuses one after the other, and is left alone for a moment. What was under way comes back
    /// meanwhile, and as much at once is not to be asked of it then.
    pub fn shut(&mut self, now: Instant) {
        if let Way::Adaptive(search) = &mut self.0 {
            search.awake().shut(now);
        }
    }

    /// The host has no work any more: what is being measured is void.
    pub fn idle(&mut self, now: Instant) {
        match &mut self.0 {
            Way::Fixed { ledger, .. } => ledger.idle(),
            Way::Adaptive(Search { made: None, .. }) => {}
            Way::Adaptive(Search { made: Some(adaptive), .. }) => {
                adaptive.ledger_mut().idle();
                adaptive.idle(now);
            }
        }
    }

    /// Why the limit is what it is, and what was counted.
    pub fn explain(&self) -> Explanation {
        match &self.0 {
            Way::Fixed { allowed, ledger } => {
                Explanation::new(u32::from(*allowed), Finding::Fixed, None, *ledger)
            }
            Way::Adaptive(Search { made: None, config, .. }) => {
                let allowed = u32::from(config.start);
                Explanation::new(allowed, Finding::Growing, None, Ledger::default())
            }
            Way::Adaptive(Search { made: Some(adaptive), .. }) => adaptive.explain(),
        }
    }

    fn ledger_mut(&mut self) -> &mut Ledger {
        match &mut self.0 {
            Way::Fixed { ledger, .. } => ledger,
            Way::Adaptive(search) => search.awake().ledger_mut(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A firewall drops what is too many: when that is known, the level has long fallen to what it lets in.
    #[test]
    fn what_fails_beyond_the_level_takes_nothing_from_it() {
        let start = Instant::ZERO;
        let mut limit = Limit::new(&LimitConfig::origin(32), 7, start);
        for open in (5..=15).rev() {
            limit.complaint(start, Complaint::ConnectTimeout, start, open);
        }
        assert_eq!(limit.allowed(), 4);
        // One more, and one less survived.
        limit.complaint(start, Complaint::ConnectTimeout, start, 4);
        assert_eq!(limit.allowed(), 3);
    }

    #[test]
    fn what_a_search_says_before_it_is_made_it_says_afterwards() {
        let config = |start, floor, ceiling| LimitConfig { start, floor, ceiling };
        let odd =
            [config(40, 0, 7), config(0, 3, 9), config(5, 9, 2), config(u16::MAX, 1, u16::MAX)];
        for config in [LimitConfig::origin(32), LimitConfig::address(128)].into_iter().chain(odd) {
            let mut limit = Limit::new(&config, 1, Instant::ZERO);
            limit.idle(Instant::ZERO);
            let told = (limit.allowed(), limit.keeps(), limit.explain());
            let Way::Adaptive(search) = &mut limit.0 else { unreachable!("it is no fixed one") };
            assert!(search.made.is_none());
            search.awake();
            assert_eq!((limit.allowed(), limit.keeps(), limit.explain()), told, "{config:?}");
        }
    }
}
