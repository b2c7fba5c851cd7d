//! The engine: jobs, hosts, connections, deadlines, pool, retry, adaptive limit.
//!
//! A function of (inputs, time, seed). It has no socket, no clock and no thread: whoever drives it
//! reports what happened ([`Engine::received`], [`Engine::connected`], …) and carries out what it
//! asks for ([`Engine::next_action`]). The same code runs on real sockets, in the simulation,
//! under the fuzzer and in a host's own loop.
//!
//! # The contract
//!
//! After each input, [`Engine::poll`] lets the engine give work to connections; then
//! [`Engine::next_action`] is called until it returns `None`. [`Engine::next_deadline`] says when
//! [`Engine::tick`] wants to be called at the latest. `now` never goes backwards.
//!
//! Data goes up through a [`Handler`], borrowed from the driver's read buffer; what a handler
//! wants changed it queues in its [`Ctl`], which is applied by the next `poll`.
//!
//! # The way of a job
//!
//! [`submit`](Engine::submit) → a queue of its host → a connection that is ready takes it →
//! [`Action::Transmit`] → [`outgoing`](Engine::outgoing) → [`received`](Engine::received) →
//! [`Handler::done`]; or, when the connection is lost, `retry`'s verdict: again at once, again
//! after a backoff, or the end.
// What is told from outside (events, handlers' commands) names its thing by a key that may be dead, and is looked up by
// `get`. Where the engine indexes, the file says why there is something; `check` sees to it after each event of the swarm
// and of the fuzz target `engine`.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::string_slice, clippy::cast_possible_truncation)
)]

#[cfg(feature = "fetch")]
mod alike;
mod bounds;
pub mod budget;
mod cap;
#[cfg(any(test, debug_assertions, feature = "sim"))]
mod check;
mod config;
mod conn;
mod dial;
mod draft;
mod due;
mod early;
mod error;
mod group;
mod handler;
mod host;
mod intake;
mod job;
pub mod limit;
pub mod observe;
mod opening;
mod outage;
pub mod pace;
mod pool;
mod pulse;
mod question;
mod receive;
mod refusal;
mod resume;
mod retry;
mod reuse;
mod schedule;
mod send;
mod settle;
mod spurned;
mod worth;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::hash::BuildHasher;
use core::net::SocketAddr;
use core::time::Duration;

use crate::base::{Arena, Index, Instant, List, Seeded, Timers};
use crate::proto::RequestError;

#[cfg(feature = "fetch")]
pub(crate) use alike::Alike;
use budget::Budget;
use conn::State;
use dial::Dial;
use group::Groups;
use intake::Intake;
use job::JobState;
use limit::Limit;
use observe::Notes;
use pace::Pace;
#[cfg(feature = "cli")]
pub(crate) use pulse::Work;

#[cfg(feature = "std")]
pub(crate) use bounds::{Bytes, grown};
pub use bounds::{ConfigError, Load};
pub use config::{Config, LowSpeed, PerHost, Retry};
pub use conn::{Conn, ConnKey};
pub use draft::Draft;
pub use error::{Cause, Failure, Fault, Kind, Phase};
#[cfg(test)]
pub(crate) use handler::Nobody;
pub use handler::{
    Advice, ConnInfo, Ctl, Handler, JobRef, Report, Resume, Times, TlsInfo, Try, Upload,
};
pub use host::{AddressStats, Counts, Host, HostKey, HostStats, Origin, Remedy, Scheme};
pub use job::{Job, JobKey, Marks, Options, Payload, Request, ResumeFrom, Unsaid, Validator};
pub use opening::{DnsFailure, Resolved};
pub use outage::NameServers;
#[cfg(feature = "fetch")]
pub(crate) use receive::NO_CLOSE_NOTIFY;
#[cfg(feature = "std")]
pub(crate) use receive::Outcome;
pub use resume::ContentRange;
pub use settle::Loss;

/// What the driver is asked to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Action {
    /// Look the host's name up, then call [`Engine::resolved`]: within [`Config::connect_timeout`],
    /// or it counts as failed, and comes again as requests have attempts.
    Resolve(HostKey),
    /// Open a connection, then call [`Engine::connected`] or [`Engine::lost`].
    Open {
        /// The engine's name for it.
        conn: ConnKey,
        /// Where to.
        address: SocketAddr,
    },
    /// Shake hands, then call [`Engine::secured`] or [`Engine::lost`].
    Secure(ConnKey),
    /// Ask [`Engine::outgoing`] what to send. What can be read is read first.
    Transmit(ConnKey),
    /// Read again: a pause is over.
    Read(ConnKey),
    /// Send our end (close_notify and FIN), go on reading, and report the peer's end.
    Finish(ConnKey),
    /// Close; with `reset`, without waiting for anything. The key is dead.
    Close {
        /// Which.
        conn: ConnKey,
        /// Throw away what was not read or sent.
        reset: bool,
    },
}

/// Why a request was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SubmitError {
    /// As many requests are held as the configuration allows; see [`Engine::wants`].
    Full,
    /// The engine is being drained: it takes nothing any more; see [`Engine::drain`].
    Draining,
    /// The request can't be put on the wire.
    Request(RequestError),
}

impl fmt::Display for SubmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the engine holds as many requests as it was allowed"),
            Self::Draining => f.write_str("the engine is being drained and takes no more requests"),
            Self::Request(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for SubmitError {}

impl From<RequestError> for SubmitError {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

/// What the driver should do after it handed bytes in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Read on.
    Read,
    /// Stop reading until [`Action::Read`].
    Pause,
    /// The connection's key is dead; a [`Action::Close`] is queued.
    Gone,
}

/// The engine. See the [module](self) for the contract.
pub struct Engine {
    config: Config,
    random: fastrand::Rng,
    jobs: Arena<Job>,
    hosts: Arena<Host>,
    conns: Arena<Conn>,
    dials: Arena<Dial>,
    hasher: Seeded,
    /// Hosts by their origin, groups by their address.
    host_index: Index,
    groups: Groups,
    group_index: Index,
    /// Hosts that have work and no obstacle.
    ring: List<0>,
    /// All idle connections, the longest idle first.
    idle: List<1>,
    job_timers: Timers,
    host_timers: Timers,
    conn_timers: Timers,
    dial_timers: Timers,
    /// The kind of deadlines that the next call begins with.
    ticked: usize,
    actions: VecDeque<Action>,
    intake: Intake,
    /// What happened, for whoever looks on.
    notes: Notes,
    /// Connections in all, now: the configured cap, or less while the machine is short of sockets.
    cap: u32,
    /// No connection is opened before this: the machine was out of sockets.
    exhausted: Instant,
    /// When a lowered cap may rise again, and how long it rests after the next shortage.
    cap_rises: Instant,
    cap_rest: u64,
    /// Whether our own side is the trouble.
    outage: outage::Outage,
    pulse: pulse::Pulse,
    closing: u32,
    /// Handshakes under way.
    securing: u32,
    /// Requests that are on a connection.
    busy: u32,
    /// A host in the ring waits for a slot of the global cap.
    starving: bool,
    overall_pace: Pace,
    overall_budget: Budget,
    serial: u64,
    /// Whoever looks names up bounds the time that it takes himself.
    pub(crate) names_are_bounded: bool,
    /// Nothing is taken any more, and what is left then is called off.
    draining: Option<Instant>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("jobs", &self.jobs.len())
            .field("hosts", &self.hosts.len())
            .field("conns", &self.conns.len())
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine without work. Allocates nothing until there is some.
    pub fn new(config: Config) -> Self {
        let hasher = Seeded::new(config.seed);
        Self {
            random: fastrand::Rng::with_seed(config.seed),
            jobs: Arena::new(),
            hosts: Arena::new(),
            conns: Arena::new(),
            dials: Arena::new(),
            hasher,
            host_index: Index::new(),
            groups: Groups::default(),
            group_index: Index::new(),
            ring: List::new(),
            idle: List::new(),
            job_timers: Timers::new(),
            host_timers: Timers::new(),
            conn_timers: Timers::new(),
            dial_timers: Timers::new(),
            ticked: 0,
            actions: VecDeque::new(),
            intake: Intake::new(&config),
            notes: Notes::default(),
            cap: config.max_connections.max(1),
            exhausted: Instant::ZERO,
            cap_rises: Instant::ZERO,
            cap_rest: cap::CAP_REST,
            outage: outage::Outage::new(),
            pulse: pulse::Pulse::default(),
            closing: 0,
            securing: 0,
            busy: 0,
            starving: false,
            overall_pace: Pace::new(&config.overall_pace),
            overall_budget: Budget::new(&config.overall_budget, Instant::ZERO),
            serial: 0,
            names_are_bounded: false,
            draining: None,
            config,
        }
    }

    /// An engine, if its configuration can work.
    pub fn try_new(config: Config) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self::new(config))
    }

    /// Comes to an end: takes no more requests from now on, and calls off what is not done at
    /// `deadline`. Those that are held go on until then, repeats included. It is over when
    /// [`held`](Self::held) is zero.
    pub fn drain(&mut self, deadline: Instant) {
        self.draining = Some(deadline);
        self.intake.close();
    }

    /// The loop that drives this has worked for a while, then waited: whether further connections
    /// can make anything faster depends on it. Without this they are opened as if nothing else
    /// took time.
    pub fn beat(&mut self, working: Duration, waiting: Duration) {
        self.pulse.beat(working, waiting);
    }

    /// A time that is short beside that of the answers that came lately, zero before the first: a
    /// loop may let so much pass before it looks for more.
    pub fn short_time(&self) -> Duration {
        self.pulse.short_time()
    }

    /// Whether [the loop](Self::beat) is at work for more than half of its time: what else is asked
    /// for waits for it as much as for servers.
    pub fn is_pressed(&self) -> bool {
        self.pulse.is_pressed()
    }

    /// How much of its time the loop is at work.
    #[cfg(feature = "cli")]
    pub(crate) fn work(&self) -> Work {
        self.pulse.work()
    }

    /// What it was configured with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The key of an origin; the same origin has the same key for the engine's life.
    pub fn host(&mut self, origin: &Origin<'_>) -> HostKey {
        let hash = self.hasher.hash_one((origin.scheme, origin.host, origin.port));
        let hosts = &self.hosts;
        let is_it = |key: &HostKey| hosts[*key].origin() == *origin;
        let known = |number| hosts.at(number as usize).filter(is_it);
        if let Some(key) = self.host_index.find(hash, known) {
            return key;
        }
        let limit = match self.config.per_host {
            PerHost::Fixed(n) => Limit::fixed(n),
            // Chosen by its address, once that is known; nothing is opened before.
            PerHost::Auto { .. } => Limit::fixed(1),
        };
        let pace = Pace::new(&self.config.pace).in_flight_at_most(self.config.max_connections);
        let budget = Budget::new(&self.config.budget, Instant::ZERO);
        let key = self.hosts.insert(Host::new(origin, limit, pace, budget));
        self.intake.name_host(key, host::authority(origin));
        self.count_origin(key);
        self.host_index.insert(hash, key.slot());
        key
    }

    /// The origin that a key names. Panics for another engine's key.
    #[expect(
        clippy::indexing_slicing,
        reason = "no host is ever dead; a key from elsewhere is the caller's mistake"
    )]
    pub fn origin(&self, host: HostKey) -> Origin<'_> {
        self.hosts[host].origin()
    }

    /// How many more requests it takes now.
    pub fn wants(&self) -> usize {
        self.intake.room()
    }

    /// How many requests it holds: queued, waiting, running.
    pub fn held(&self) -> usize {
        self.jobs.len() + self.intake.waiting()
    }

    /// How many requests have come to their end so far.
    pub fn finished(&self) -> u64 {
        self.intake.gone()
    }

    /// Commands from outside a handler, applied by the next [`poll`](Self::poll).
    pub fn ctl(&mut self) -> Ctl<'_> {
        Ctl { intake: &mut self.intake }
    }

    /// The host that a connection was opened for.
    pub fn host_of(&self, conn: ConnKey) -> Option<HostKey> {
        self.conns.get(conn).map(|conn| conn.host)
    }

    /// A connection's number, counted from 1 in the order of opening; 0 when there is none.
    pub fn serial_of(&self, conn: ConnKey) -> u64 {
        self.conns.get(conn).map_or(0, |conn| conn.serial)
    }

    /// Whether a connection's handshake is under way.
    pub fn is_securing(&self, conn: ConnKey) -> bool {
        self.conns.get(conn).is_some_and(|conn| matches!(conn.state, State::Securing { .. }))
    }

    /// How many requests are on a connection.
    pub fn running(&self) -> u32 {
        self.busy
    }

    /// How many connections there are, those that are opening and closing included.
    pub fn connections(&self) -> usize {
        self.conns.len()
    }

    /// What is known of each host, with the reasons in words: [`HostStats::explanation`] and
    /// [`HostStats::pace`].
    pub fn host_stats(&self) -> impl Iterator<Item = HostStats<'_>> {
        self.hosts.iter().map(|(_, host)| host.stats())
    }

    /// What is known of each address that several origins share.
    pub fn address_stats(&self) -> impl Iterator<Item = AddressStats> {
        self.groups.iter().filter(|group| group.origins > 1).map(|group| AddressStats {
            address: group.address,
            origins: group.origins,
            connections: group.conns,
            limit: group.limit.allowed(),
            explanation: group.limit.explain(),
        })
    }

    /// What is known of one host. Panics for another engine's key.
    #[expect(
        clippy::indexing_slicing,
        reason = "no host is ever dead; a key from elsewhere is the caller's mistake"
    )]
    pub fn stats_of(&self, host: HostKey) -> HostStats<'_> {
        self.hosts[host].stats()
    }

    /// How many requests are on a host's connections, and how many connections it may have.
    #[cfg(feature = "cli")]
    pub(crate) fn work_of(&self, host: HostKey) -> (u32, u32) {
        self.hosts.get(host).map_or((0, 0), |host| (host.busy, host.limit.allowed()))
    }

    /// The hosts, and how many requests wait for each.
    #[cfg(feature = "cli")]
    pub(crate) fn crowds(&self) -> impl Iterator<Item = (HostKey, u32)> {
        self.hosts.iter().map(|(key, host)| (key, host.waiting()))
    }

    /// Whether a job is on a connection: for progress displays. False where it is queued, waits for another
    /// attempt, or is not here any more.
    pub fn is_running(&self, job: JobKey) -> bool {
        self.jobs.get(job).is_some_and(|job| matches!(job.state, JobState::Running(_)))
    }

    /// What the driver is asked to do next; `None`: nothing more for the moment.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }
}

/// What was put together of pieces of text.
#[inline(never)]
fn text(bytes: Vec<u8>) -> Box<str> {
    String::from_utf8(bytes).unwrap_or_default().into()
}

/// A failure on its way to a verdict.
#[derive(Clone, Debug)]
pub(crate) struct Failing {
    kind: Kind,
    os: i32,
    /// The number of the connection that had been opened, where it never served; 0: none had been.
    opened: u64,
    detail: Option<Box<str>>,
    hint: Option<Box<str>>,
}

impl Failing {
    /// Nothing but its kind is known. Where something fails, a call costs nothing.
    #[cold]
    #[inline(never)]
    const fn new(kind: Kind) -> Self {
        Self { kind, os: 0, opened: 0, detail: None, hint: None }
    }

    /// What is told of it.
    fn into_failure(self, kind: Kind, phase: Phase, reused: Option<bool>) -> Failure {
        let Self { kind: cause, os, detail, hint, .. } = self;
        let cause = Some(cause).filter(|cause| *cause != kind);
        Failure { kind, cause, phase, reused, os, detail, hint }
    }
}
