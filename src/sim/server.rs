//! Simulated servers: what they answer, and their habits with connections.
//!
//! A [`Server`] is a function from requests to [`Answer`]s with a handful of habits; it may be
//! changed while the simulation runs (it goes down, it heals). [`Peer`] is its end of one
//! connection.

use core::fmt;
use core::time::Duration;
use std::collections::VecDeque;

use super::answer::{Answer, How, Step};
use super::request::{Reader, Request};
use crate::base::Instant;

/// What a server does with a SYN.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Accept {
    /// Takes it.
    #[default]
    Yes,
    /// Answers with a RST: nobody listens.
    Refuse,
    /// A router says that there is no such host.
    Unreachable,
    /// Nothing comes back.
    BlackHole,
}

/// What a server does with a connection too many.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Excess {
    /// Accepts and resets it.
    Reset,
    /// Does not accept it.
    Refuse,
    /// Answers 503 unasked, and closes.
    Unavailable,
}

/// A simulated server.
///
/// ```
/// use core::time::Duration;
/// use gannet::sim::{Answer, Server};
///
/// let server = Server::new(|request| match request.target.as_str() {
///     "/" => Answer::ok("hello"),
///     _ => Answer::new(404),
/// })
/// .idle_close(Duration::from_secs(5));
/// assert!(!format!("{server:?}").is_empty());
/// ```
pub struct Server {
    pub(super) answer: Box<dyn FnMut(&Request) -> Answer>,
    /// What it does with a SYN.
    pub accept: Accept,
    /// The way of a segment to it, and back.
    pub latency: Duration,
    /// It closes a connection that was idle for this long.
    pub idle_close: Option<Duration>,
    /// It closes a connection after so many answers.
    pub requests_a_connection: Option<u32>,
    /// It says so in the last one.
    pub says_close: bool,
    /// How many connections it bears, and what becomes of one more.
    pub connections: Option<(u32, Excess)>,
    /// It speaks first.
    pub banner: Option<Vec<u8>>,
    /// It answers `Expect: 100-continue` with an interim answer.
    pub continues: bool,
    /// It answers when it has the head, does not read the content, and resets then.
    pub early: bool,
    /// It reads nothing: what was sent fills the buffers on the way.
    pub deaf: bool,
    /// It does not close its end when the client did.
    pub ignores_fin: bool,
    /// It counts a connection for so long after its end.
    pub forgets_after: Duration,
    /// The first so many connections end so when so many bytes were sent on them, whatever
    /// these are.
    pub cut: Option<Cut>,
    /// It closes without `close_notify`.
    pub truncates: bool,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<std::sync::Arc<rustls::ServerConfig>>,
    /// Connections now, as it counts them.
    pub(super) open: u32,
    /// Those that have ended and are counted still, until then.
    pub(super) unforgotten: Vec<Instant>,
    /// The most of them at once.
    pub(super) peak: u32,
    pub(super) accepted: u64,
    pub(super) turned_away: u64,
    pub(super) requests: u64,
    /// Segments and SYNs reach it in the order in which they were sent.
    pub(super) last_arrival: Instant,
}

/// Where the first connections of a server end, whatever is said on them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cut {
    /// When so many bytes were sent.
    pub at: u64,
    /// In this way.
    pub how: How,
    /// So many connections more.
    pub times: u32,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("accept", &self.accept)
            .field("open", &self.open)
            .field("requests", &self.requests)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// A server that is well-behaved, a millisecond away.
    pub fn new(answer: impl FnMut(&Request) -> Answer + 'static) -> Self {
        Self {
            answer: Box::new(answer),
            accept: Accept::Yes,
            latency: Duration::from_millis(1),
            idle_close: None,
            requests_a_connection: None,
            says_close: true,
            connections: None,
            banner: None,
            continues: true,
            early: false,
            ignores_fin: false,
            deaf: false,
            forgets_after: Duration::ZERO,
            unforgotten: Vec::new(),
            cut: None,
            truncates: false,
            #[cfg(feature = "tls")]
            tls: None,
            open: 0,
            peak: 0,
            accepted: 0,
            turned_away: 0,
            requests: 0,
            last_arrival: Instant::ZERO,
        }
    }

    /// Closes connections that were idle for so long.
    #[must_use]
    pub fn idle_close(mut self, after: Duration) -> Self {
        self.idle_close = Some(after);
        self
    }

    /// Closes connections after so many answers, without saying so before.
    #[must_use]
    pub fn requests_a_connection(mut self, count: u32) -> Self {
        self.requests_a_connection = Some(count);
        self.says_close = false;
        self
    }

    /// Bears so many connections.
    #[must_use]
    pub fn connections(mut self, most: u32, excess: Excess) -> Self {
        self.connections = Some((most, excess));
        self
    }

    /// Speaks first.
    #[must_use]
    pub fn banner(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.banner = Some(bytes.into());
        self
    }

    /// Ends its next `times` connections when `at` bytes were sent on them.
    #[must_use]
    pub fn cut(mut self, at: u64, how: How, times: u32) -> Self {
        self.cut = Some(Cut { at, how, times });
        self
    }

    /// So far away.
    #[must_use]
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Speaks TLS.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, config: std::sync::Arc<rustls::ServerConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// The most connections at once so far, as the server counts them.
    pub fn peak(&self) -> u32 {
        self.peak
    }

    /// Connections now, as the server counts them.
    pub fn open(&self) -> u32 {
        self.open
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Connections beyond its limit so far: reset, refused or answered 503.
    pub fn turned_away(&self) -> u64 {
        self.turned_away
    }

    /// Whole requests so far.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// Forgets the most connections so far, to watch from here on.
    pub fn forget_peak(&mut self) {
        self.peak = self.open;
    }
}

/// A server's end of a connection.
pub(super) struct Peer {
    pub(super) reader: Reader,
    pub(super) steps: VecDeque<Step>,
    /// Whole answers sent.
    pub(super) served: u32,
    /// Says nothing more, whatever comes.
    pub(super) stalled: bool,
    /// It sent its end, or met the client's.
    pub(super) closed: bool,
    /// The client's end came.
    pub(super) fin_seen: bool,
    /// It counts among the server's connections.
    pub(super) counted: bool,
    /// Timers of former steps are dead.
    pub(super) generation: u32,
    /// A timer of `generation` is under way: the next step waits for it.
    pub(super) waiting: bool,
    /// Where its output ends.
    pub(super) cut: Option<(u64, How)>,
    pub(super) sent: u64,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<Box<rustls::ServerConnection>>,
}

impl Peer {
    pub(super) fn new(server: &mut Server, connection: u32) -> Self {
        let cut = server.cut.as_mut().filter(|cut| cut.times > 0).map(|cut| {
            cut.times -= 1;
            (cut.at, cut.how)
        });
        Self {
            reader: Reader::new(connection),
            steps: VecDeque::new(),
            served: 0,
            stalled: false,
            closed: false,
            fin_seen: false,
            counted: false,
            generation: 0,
            waiting: false,
            cut,
            sent: 0,
            #[cfg(feature = "tls")]
            tls: server.tls.as_ref().and_then(|config| {
                let mut connection = rustls::ServerConnection::new(config.clone()).ok()?;
                connection.set_buffer_limit(None);
                Some(Box::new(connection))
            }),
        }
    }
}
