//! What a server is like: how long it works, what it bears, what it does with more.

/// How a number varies from request to request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Spread {
    /// Always the same.
    Same,
    /// Evenly between half and one and a half of it.
    Even,
    /// Exponentially.
    Exponential,
    /// As the logarithm of a normal distribution does, of a spread of a half.
    LogNormal,
    /// One in ten takes ten times as long, the others a bit less.
    Mixed,
}

/// What a server with a hard limit does to one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beyond {
    /// Accepts and resets.
    Reset,
    /// Refuses the connection.
    Refuse,
    /// Answers 503 at once to requests beyond so many in flight, and keeps the connection.
    Status503,
}

/// A request rate limit: a token bucket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RateLimit {
    pub(crate) per_second: u64,
    pub(crate) burst: u64,
    /// What it says in `Retry-After`, in seconds.
    pub(crate) retry_after: Option<u64>,
    /// A fixed window of this length instead of a bucket.
    pub(crate) window: Option<u64>,
    /// No more than so many in any second, instead of a bucket.
    pub(crate) sliding: bool,
    /// From this second on, another rate.
    pub(crate) then: Option<(u64, u64)>,
    /// Seconds in which everything is answered 429.
    pub(crate) closed: Option<(u64, u64)>,
}

impl RateLimit {
    /// Requests a second, then.
    pub(crate) fn at(&self, second: u64) -> u64 {
        self.then.filter(|(from, _)| second >= *from).map_or(self.per_second, |(_, rate)| rate)
    }
}

/// A server model.
#[derive(Clone)]
#[allow(clippy::type_complexity, reason = "a limit as a function of time, and what lies beyond")]
pub(crate) struct Model {
    pub(crate) name: &'static str,
    /// Time that a worker spends on a request, in milliseconds, at least 20.
    pub(crate) service: u64,
    pub(crate) spread: Spread,
    /// Network time, there and back, in microseconds.
    pub(crate) rtt: u64,
    /// Connections (or requests, for 503) that it bears, as a function of the time in seconds.
    pub(crate) hard: Option<(fn(u64) -> u32, Beyond)>,
    /// What a 503 says in `Retry-After`, in seconds.
    pub(crate) busy_pause: Option<u64>,
    /// Whether a limit that falls resets established connections too.
    pub(crate) resets_established: bool,
    pub(crate) workers: Option<fn(u64) -> u32>,
    /// What the first request on a connection takes, in milliseconds, if that is another time.
    pub(crate) first_service: Option<u64>,
    /// A worker serves one connection until that is closed; the others wait.
    pub(crate) worker_holds: bool,
    /// Bytes a second, shared.
    pub(crate) bandwidth: Option<u64>,
    /// Mean body, in bytes, and how bodies vary.
    pub(crate) body: u64,
    pub(crate) body_spread: Spread,
    pub(crate) rate: Option<RateLimit>,
    /// Beyond so many requests in flight the service time grows with their square.
    pub(crate) thrash: Option<u32>,
    /// All that is under way becomes slower then, as it is at each moment; else each is what it was when it
    /// began.
    pub(crate) thrash_shared: bool,
    /// Requests that a connection may carry.
    pub(crate) requests_per_connection: u32,
    /// Random failures, in thousandths: fresh connections reset, requests answered 503.
    pub(crate) random_resets: u32,
    pub(crate) random_503: u32,
    /// What is beyond the rate is answered 503, as nginx does, and not 429.
    pub(crate) rate_says_503: bool,
    /// Of the bucket so much was used up by others when the run begins.
    pub(crate) used_up: u64,
    /// The machine has other work: in one of ten spans of so many milliseconds nothing happens at the
    /// server for that long.
    pub(crate) stalls: Option<u64>,
    /// Seconds in which every connection is refused and reset.
    pub(crate) outage: Option<(u64, u64)>,
    /// The level that is best, if it has one.
    pub(crate) best: Option<u32>,
    /// How long a run takes.
    pub(crate) seconds: u64,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            name: "",
            service: 20,
            spread: Spread::Same,
            rtt: 200,
            hard: None,
            busy_pause: None,
            resets_established: false,
            workers: None,
            first_service: None,
            worker_holds: false,
            bandwidth: None,
            body: 2000,
            body_spread: Spread::Same,
            rate: None,
            thrash: None,
            thrash_shared: false,
            requests_per_connection: u32::MAX,
            random_resets: 0,
            random_503: 0,
            rate_says_503: false,
            used_up: 0,
            stalls: None,
            outage: None,
            best: None,
            seconds: 30,
        }
    }
}
