//! The driver itself: what it holds, how it is put together, and what it is told from outside.
//!
//! The order of a turn is in `turn`, the way of bytes between sockets and the engine in `pump`,
//! TLS between them in `secure` (`plain` where this build has none). All of them share the latched
//! readiness with its hot list and the one read buffer. Decides nothing about HTTP: whatever happens
//! to a connection is reported to the engine. Generic over [`Net`], so that the simulation runs this
//! very code.

mod budget;
#[cfg(not(feature = "tls"))]
mod plain;
mod pump;
#[cfg(feature = "tls")]
mod secure;
mod turn;

use core::net::SocketAddr;
use std::collections::VecDeque;

use super::link::Link;
#[cfg(feature = "cli")]
use super::reach::Reach;
use super::rest::Rest;
use super::tap::{Tap, Tapped, What};
use super::{DriverConfig, Net, Ready};
use crate::base::Instant;
#[cfg(feature = "fetch")]
use crate::engine::Alike;
use crate::engine::observe::Observer;
use crate::engine::{
    ConnKey, Ctl, DnsFailure, Engine, Handler, HostKey, JobKey, Origin, Outcome, Request, Resolved,
    SubmitError,
};
use budget::Budget;
use pump::Brought;
#[cfg(feature = "tls")]
use secure::Trust;

/// Reads that are handled together, at most.
pub(super) const TOGETHER: usize = budget::STRIDE as usize;
/// Bytes of what is kept of each until it is handled.
pub(super) const A_READ: usize = size_of::<(ConnKey, Brought)>() + size_of::<(ConnKey, Outcome)>();

/// Runs an [`Engine`] on a [`Net`].
///
/// One thread, no callbacks but the handler's, nothing blocks but `turn`(Self::turn) itself.
/// In a foreign loop: watch the net's descriptor, call `turn` with a timeout of zero when it is
/// readable and when [`next_deadline`](Self::next_deadline) has come.
pub struct Driver<N> {
    pub(super) engine: Engine,
    pub(super) net: N,
    pub(super) config: DriverConfig,
    links: Vec<Option<Link>>,
    /// Links that have something to do, each at most once.
    hot: VecDeque<ConnKey>,
    /// Names that somebody else is to look up.
    lookups: VecDeque<HostKey>,
    /// The read buffer; taken out while it is in use.
    pub(super) buffer: Vec<u8>,
    /// What reads have brought into it and was not handed on yet; empty between two batches.
    brought: Vec<(ConnKey, Brought)>,
    /// What that came to; empty between two batches.
    outcomes: Vec<(ConnKey, Outcome)>,
    /// What is to be sent, before and after encryption.
    plain: Vec<u8>,
    #[cfg(feature = "tls")]
    cipher: Vec<u8>,
    ready: Vec<Ready>,
    pub(super) now: Instant,
    rest: Rest,
    /// How far ahead to hold requests; only where somebody goes by it.
    #[cfg(feature = "cli")]
    reach: Option<Reach>,
    budget: Budget,
    /// Requests or commands came in since the last turn.
    stirred: bool,
    tap: Option<Tap>,
    #[cfg(feature = "remote")]
    pub(super) inbox: Option<super::remote::Inbox<super::remote::Order>>,
    #[cfg(feature = "dns")]
    pub(super) names: Option<super::Names>,
    #[cfg(feature = "tls")]
    tls: Trust,
}

impl<N> core::fmt::Debug for Driver<N> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Driver").field("engine", &self.engine).finish_non_exhaustive()
    }
}

/// Whether the pump may go on with a link.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pumped {
    /// It is still there.
    Here,
    /// The engine gave it up.
    Gone,
}

impl<N: Net> Driver<N> {
    /// A driver for plain HTTP. Requests over TLS need `with_tls` (feature `tls`), else they end as
    /// `tls_unavailable`.
    pub fn new(engine: Engine, mut net: N, config: DriverConfig) -> Self {
        let now = net.now();
        let budget = Budget::new(config.most_turn);
        Self {
            engine,
            net,
            config,
            links: Vec::new(),
            hot: VecDeque::new(),
            lookups: VecDeque::new(),
            buffer: Vec::new(),
            brought: Vec::new(),
            outcomes: Vec::new(),
            plain: Vec::new(),
            #[cfg(feature = "tls")]
            cipher: Vec::new(),
            ready: Vec::new(),
            now,
            rest: Rest::default(),
            #[cfg(feature = "cli")]
            reach: None,
            budget,
            stirred: false,
            tap: None,
            #[cfg(feature = "remote")]
            inbox: None,
            #[cfg(feature = "dns")]
            names: None,
            #[cfg(feature = "tls")]
            tls: Trust::None,
        }
    }

    /// Looks names up by itself. Without this, somebody else answers
    /// [`next_lookup`](Self::next_lookup).
    ///
    /// ```
    /// # #[cfg(all(feature = "fetch", feature = "mio"))]
    /// # fn made() -> Result<(), Box<dyn std::error::Error>> {
    /// use gannet::dns::{self, Resolver};
    /// use gannet::engine::{Config, Engine};
    /// use gannet::net::mio::Mio;
    /// use gannet::net::{Driver, DriverConfig, Names, system_random};
    ///
    /// let servers = vec!["127.0.0.53:53".parse()?];
    /// let resolver = Resolver::new(dns::Config { servers, ..dns::Config::default() });
    /// let names = Names::new(resolver, system_random()?);
    /// let engine = Engine::new(Config::default());
    /// let driver = Driver::new(engine, Mio::new(64)?, DriverConfig::default()).with_names(names);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "dns")]
    #[must_use]
    pub fn with_names(mut self, names: super::Names) -> Self {
        self.engine.names_are_bounded = true;
        self.names = Some(names);
        self
    }

    /// The resolver's side, to be looked at.
    #[cfg(feature = "dns")]
    pub fn names(&self) -> Option<&super::Names> {
        self.names.as_ref()
    }

    /// The resolver's side, to be told where hosts are.
    #[cfg(feature = "dns")]
    pub fn names_mut(&mut self) -> Option<&mut super::Names> {
        self.names.as_mut()
    }

    /// Speaks TLS as `tls` says.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(mut self, tls: crate::tls::Config) -> Self {
        self.tls = Trust::Made(tls);
        self
    }

    /// Speaks TLS with what `make` makes when the first connection asks for it: a run without
    /// TLS reads no root certificates. What `make` says against it, those connections fail with.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls_later(
        mut self,
        make: impl FnOnce() -> Result<crate::tls::Config, crate::tls::ConfigError> + Send + 'static,
    ) -> Self {
        self.tls = Trust::Later(Box::new(make));
        self
    }

    /// Lets somebody look on; `None`: nobody any more.
    pub fn set_tap(&mut self, tap: Option<Tap>) {
        self.tap = tap;
    }

    /// Keeps events for [`observe`](Self::observe), at most so many; see [`Engine::watch`].
    pub fn watch(&mut self, most: usize) {
        self.engine.watch(most);
    }

    /// Hands the events that wait to `observer`, in order: call it after each
    /// `turn`(Self::turn). [`watch`](Self::watch) turns them on.
    pub fn observe<O: Observer + ?Sized>(&mut self, observer: &mut O) {
        self.engine.observe(observer);
    }

    #[cfg(feature = "fetch")]
    pub(crate) fn retag(&mut self, tag: impl Fn(u64) -> u64) {
        self.engine.retag(tag);
    }

    #[inline]
    fn tap(&mut self, key: ConnKey, what: What<'_>) {
        if let Some(tap) = &mut self.tap {
            let conn = match self.links.get(key.index()) {
                Some(Some(link)) if link.key == key => link.serial,
                _ => 0,
            };
            tap(&Tapped { conn, at: self.now, what });
        }
    }

    fn link(&mut self, key: ConnKey) -> Option<&mut Link> {
        self.links.get_mut(key.index())?.as_mut().filter(|link| link.key == key)
    }

    /// The engine, to be looked at.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The net.
    pub fn net(&self) -> &N {
        &self.net
    }

    /// The net, to be configured.
    pub fn net_mut(&mut self) -> &mut N {
        &mut self.net
    }

    /// The time of the last wake-up.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The key of an origin.
    pub fn host(&mut self, origin: &Origin<'_>) -> HostKey {
        self.engine.host(origin)
    }

    /// What one read may bring from now on.
    #[cfg(feature = "fetch")]
    pub(crate) fn set_read_buffer(&mut self, bytes: usize) {
        self.config.read_buffer = bytes.max(512);
        if self.buffer.len() > self.config.read_buffer {
            self.buffer = Vec::new();
        }
    }

    /// Begins to find out how far ahead requests are of use: for a loop that asks
    /// [`reaches`](Self::reaches), and turns a few times a second whatever
    /// [`next_deadline`](Self::next_deadline) says.
    #[cfg(feature = "cli")]
    pub(crate) fn reach_ahead(&mut self) {
        self.reach.get_or_insert_with(Reach::new);
    }

    /// How many more requests are within reach of what runs, where so many are held for nothing.
    #[cfg(feature = "cli")]
    pub(crate) fn reaches(&self, idle: usize) -> usize {
        match &self.reach {
            Some(reach) => {
                (reach.get(self.engine.running()) + idle).saturating_sub(self.engine.held())
            }
            None => usize::MAX,
        }
    }

    /// Takes a request; it is started by the next turn.
    ///
    /// # Panics
    /// Where the host is another driver's.
    pub fn submit(&mut self, request: &Request<'_>) -> Result<JobKey, SubmitError> {
        let job = self.engine.submit(request, self.now)?;
        self.stirred = true;
        Ok(job)
    }

    /// What many requests like this one have in common; see [`Engine::alike`].
    #[cfg(feature = "fetch")]
    pub(crate) fn alike(&mut self, request: &Request<'_>) -> Option<Alike> {
        self.engine.alike(request)
    }

    /// Takes a request of a kind that is known; it is started by the next turn.
    #[cfg(feature = "fetch")]
    pub(crate) fn submit_alike(
        &mut self,
        alike: &Alike,
        host: HostKey,
        target: &str,
        tag: u64,
    ) -> Result<JobKey, SubmitError> {
        let job = self.engine.submit_alike(alike, host, target, tag, self.now)?;
        self.stirred = true;
        Ok(job)
    }

    /// Commands from outside a handler, applied by the next turn.
    pub fn ctl(&mut self) -> Ctl<'_> {
        self.stirred = true;
        self.engine.ctl()
    }

    /// Comes to an end: takes no more requests, and calls off what is not done at `deadline`;
    /// see [`Engine::drain`]. It is over when [`Engine::held`] is zero.
    pub fn drain(&mut self, deadline: Instant) {
        self.stirred = true;
        self.engine.drain(deadline);
    }

    /// A name that somebody has to look up, if there is one; answer with
    /// [`resolved`](Self::resolved), in the time of [`connect_timeout`](crate::engine::Config::connect_timeout).
    /// Who looks up in another thread wakes the loop with `Remote::wake` (over a net of one's own by
    /// whatever ends its `wait`) when the answer is there, and calls `resolved` in the loop's thread.
    pub fn next_lookup(&mut self) -> Option<HostKey> {
        self.lookups.pop_front()
    }

    /// The answer to a look-up.
    pub fn resolved(
        &mut self,
        host: HostKey,
        result: Result<Resolved<'_>, DnsFailure<'_>>,
        handler: &mut dyn Handler,
    ) {
        self.engine.resolved(host, result, self.now, handler);
        self.stirred = true;
    }

    /// Says where a host is; see [`Engine::place`].
    pub fn place(&mut self, host: HostKey, addresses: &[SocketAddr], until: Instant) {
        self.engine.place(host, addresses, until, self.now);
        self.stirred = true;
    }

    /// When `turn`(Self::turn) wants to be called at the latest: the time of the last wake-up
    /// while work is latched, `None` when only the net can bring something.
    pub fn next_deadline(&self) -> Option<Instant> {
        // Nobody has begun with a look-up that waits here: nothing may be slept over before.
        if self.stirred || !self.hot.is_empty() || !self.lookups.is_empty() {
            return Some(self.now);
        }
        #[cfg(feature = "remote")]
        if self.inbox.as_ref().is_some_and(|inbox| inbox.wants_turn(self.engine.has_room())) {
            return Some(self.now);
        }
        let engine = self.engine.next_deadline();
        #[cfg(feature = "dns")]
        if let Some(names) = &self.names {
            if names.has_ready() {
                return Some(self.now);
            }
            return [engine, names.deadline()].into_iter().flatten().min();
        }
        engine
    }
}
