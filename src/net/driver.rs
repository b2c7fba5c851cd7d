//! The pump: readiness in, bytes through, the engine's actions out.
//!
//! Owns the order of a turn (actions, wait, input and output, deadlines, actions), the latched
//! readiness with its hot list and read budget, and the one read buffer. Decides nothing about
//! HTTP: whatever happens to a connection is reported to the engine. Generic over [`Net`], so
//! that the simulation runs this very code.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;

#[cfg(feature = "dns")]
use super::RESOLVER;
#[cfg(feature = "tls")]
use super::bounds::RECORD;
#[cfg(feature = "tls")]
use super::link::Tls;
use super::link::{Finishing, Link};
use super::reach::Reach;
use super::rest::Rest;
use super::tap::{Tap, Tapped, What};
use super::{DriverConfig, Net, Read, Ready};
use crate::base::Instant;
#[cfg(feature = "tls")]
use crate::engine::TlsInfo;
use crate::engine::observe::Observer;
use crate::engine::{
    Action, ConnKey, Ctl, DnsFailure, Engine, Fault, Handler, HostKey, JobKey, Loss, Next, Origin,
    Request, Resolved, SubmitError,
};
use crate::proto::wire::End;

/// A turn that comes this much later than it wanted to means that the process slept.
const OVERSLEPT: Duration = Duration::from_secs(1);
/// An address that has said nothing for this long when its race ends counts as one that failed.
const UNHEARD: Duration = Duration::from_secs(1);

/// Times that one turn asks what is ready.
const ROUNDS: u32 = 16;

/// Runs an [`Engine`] on a [`Net`].
///
/// One thread, no callbacks but the handler's, nothing blocks but [`turn`](Self::turn) itself.
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
    /// What is to be sent, before and after encryption.
    plain: Vec<u8>,
    #[cfg(feature = "tls")]
    cipher: Vec<u8>,
    ready: Vec<Ready>,
    pub(super) now: Instant,
    rest: Rest,
    reach: Reach,
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

/// What connections over TLS begin with.
#[cfg(feature = "tls")]
enum Trust {
    None,
    /// Made when it is first needed.
    Later(Box<dyn FnOnce() -> Result<crate::tls::Config, crate::tls::ConfigError> + Send>),
    Made(crate::tls::Config),
    Refused(crate::tls::ConfigError),
}

impl<N: Net> Driver<N> {
    /// A driver for plain HTTP. Requests over TLS need [`with_tls`](Self::with_tls).
    pub fn new(engine: Engine, mut net: N, config: DriverConfig) -> Self {
        let now = net.now();
        Self {
            engine,
            net,
            config,
            links: Vec::new(),
            hot: VecDeque::new(),
            lookups: VecDeque::new(),
            buffer: Vec::new(),
            plain: Vec::new(),
            #[cfg(feature = "tls")]
            cipher: Vec::new(),
            ready: Vec::new(),
            now,
            rest: Rest::default(),
            reach: Reach::new(),
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
    #[cfg(feature = "dns")]
    #[must_use]
    pub fn with_names(mut self, names: super::Names) -> Self {
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
    /// [`turn`](Self::turn). [`watch`](Self::watch) turns them on.
    pub fn observe<O: Observer + ?Sized>(&mut self, observer: &mut O) {
        self.engine.observe(observer);
    }

    #[cfg(feature = "fetch")]
    pub(crate) fn retag(&mut self, tag: impl Fn(u64) -> u64) {
        self.engine.retag(tag);
    }

    fn tap(&mut self, key: ConnKey, what: What<'_>) {
        if let Some(tap) = &mut self.tap {
            let conn = match self.links.get(key.index()) {
                Some(Some(link)) if link.key == key => link.serial,
                _ => 0,
            };
            tap(&Tapped { conn, at: self.now, what });
        }
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

    /// How many more requests it wants now: as many as [`Engine::wants`] says, or fewer while the
    /// loop has enough to do with those it holds, since those that wait only cost memory then.
    /// Those are taken too.
    pub fn wants(&self) -> usize {
        let reach = self.reach.get(self.engine.running());
        self.engine.wants().min(reach.saturating_sub(self.engine.held()))
    }

    /// Takes a request; it is started by the next turn.
    pub fn submit(&mut self, request: &Request<'_>) -> Result<JobKey, SubmitError> {
        let job = self.engine.submit(request, self.now)?;
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
    /// [`resolved`](Self::resolved).
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

    /// When [`turn`](Self::turn) wants to be called at the latest: the time of the last wake-up
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

    /// One turn: carries out what is wanted, waits for at most `timeout` (`None`: until something
    /// happens), handles what is ready, then what is overdue.
    pub fn turn(
        &mut self,
        timeout: Option<Duration>,
        handler: &mut dyn Handler,
    ) -> Result<(), Fault> {
        let woke_before = self.now;
        self.now = self.net.now();
        let mut begins = self.now;
        let finished = self.engine.finished();
        #[cfg(feature = "remote")]
        if self.take_orders(handler) {
            self.stirred = true;
        }
        if core::mem::take(&mut self.stirred) {
            self.act(handler);
            begins = self.net.now();
        }
        let until = self.next_deadline();
        let wanted = until.map(|at| at - self.now);
        let timeout = match (timeout, wanted) {
            (Some(timeout), Some(wanted)) => Some(timeout.min(wanted)),
            (timeout, wanted) => timeout.or(wanted),
        };
        // Whoever was told of an end, of a request that was called off, does not want to wait for
        // something else to happen.
        let ended = self.engine.finished() != finished;
        let timeout = if ended { Some(Duration::ZERO) } else { timeout };
        let (held, running) = (self.engine.held(), self.engine.running());
        let (pressed, most) = (self.engine.is_pressed(), self.engine.config().max_jobs);
        self.reach.waits(held, running, pressed, most as usize, begins);
        let rest = self.rest.before(timeout, self.engine.short_time(), self.config.most_rest);
        let mut more = self.wait(rest, timeout)?;
        let woke = self.net.now();
        self.engine.beat(begins - woke_before, woke - begins);
        self.rest.came(self.ready.len(), woke - woke_before);
        if let Some(timeout) = timeout {
            let expected = self.now + timeout;
            if woke - expected > OVERSLEPT {
                self.engine.slept(woke - expected);
                #[cfg(feature = "dns")]
                if let Some(names) = &mut self.names {
                    names.slept(woke - expected);
                }
            }
        }
        self.now = woke;
        let mut rounds = 0;
        loop {
            self.latch();
            self.pump_round(handler);
            #[cfg(feature = "dns")]
            self.pump_names(handler);
            if !more {
                break;
            }
            rounds += 1;
            if rounds == ROUNDS {
                // A turn has an end: deadlines are due, and others share the loop. The next one is
                // wanted at once.
                self.stirred = true;
                break;
            }
            // An edge-triggered outer loop is told once: the inner poll has to be emptied.
            more = self.wait(None, Some(Duration::ZERO))?;
            self.now = self.net.now();
        }
        self.engine.tick(self.now, handler);
        #[cfg(feature = "dns")]
        self.tick_names(handler);
        #[cfg(feature = "remote")]
        self.take_orders(handler);
        self.act(handler);
        Ok(())
    }

    fn wait(&mut self, rest: Option<Duration>, timeout: Option<Duration>) -> Result<bool, Fault> {
        self.ready.clear();
        match rest {
            None => self.net.wait(timeout, &mut self.ready),
            Some(rest) => self.net.wait_rested(rest, timeout, &mut self.ready),
        }
    }

    /// Latches what is ready and puts it on the hot list.
    fn latch(&mut self) {
        for ready in &self.ready {
            #[cfg(feature = "dns")]
            if let Some(names) = self.names.as_mut().filter(|_| ready.token & RESOLVER != 0) {
                names.latch(ready.token);
                continue;
            }
            // The low half of a token is the slot; a stale generation dies here.
            let index = ready.token & (u32::MAX as usize);
            let Some(Some(link)) = self.links.get_mut(index) else { continue };
            if link.key.pack() != ready.token {
                continue;
            }
            link.readable |= ready.readable;
            link.writable |= ready.writable;
            if !link.hot && link.has_work() {
                link.hot = true;
                self.hot.push_back(link.key);
            }
        }
    }

    /// Pumps each hot link once; those that have more to do go to the back. Established ones go
    /// first: of handshakes, only so many are processed in a turn.
    fn pump_round(&mut self, handler: &mut dyn Handler) {
        let mut handshakes = 0;
        for _ in 0..self.hot.len() {
            let Some(key) = self.hot.pop_front() else { break };
            let Some(link) = self.link(key) else { continue };
            if Self::is_securing(link) {
                handshakes += 1;
                if handshakes > self.config.handshakes_a_turn {
                    self.hot.push_back(key);
                    continue;
                }
            }
            if let Some(link) = self.link(key) {
                link.hot = false;
            }
            self.pump(key, handler);
            self.carry_out(handler);
        }
    }

    #[cfg(feature = "tls")]
    fn is_securing(link: &Link) -> bool {
        link.tls.as_ref().is_some_and(|tls| !tls.secured)
    }

    #[cfg(not(feature = "tls"))]
    const fn is_securing(_: &Link) -> bool {
        false
    }

    fn link(&mut self, key: ConnKey) -> Option<&mut Link> {
        self.links.get_mut(key.index())?.as_mut().filter(|link| link.key == key)
    }

    /// Lets the engine decide, and carries out what it wants.
    fn act(&mut self, handler: &mut dyn Handler) {
        loop {
            self.engine.poll(self.now, handler);
            if !self.carry_out(handler) {
                break;
            }
        }
    }

    /// Carries out the engine's actions; whether there were any.
    fn carry_out(&mut self, handler: &mut dyn Handler) -> bool {
        let mut any = false;
        while let Some(action) = self.engine.next_action() {
            any = true;
            match action {
                #[cfg(feature = "dns")]
                Action::Resolve(host) if self.look_up(host, handler) => {}
                Action::Resolve(host) => self.lookups.push_back(host),
                Action::Open { conn, address } => {
                    let index = conn.index();
                    if index >= self.links.len() {
                        self.links.resize_with(index + 1, || None);
                    }
                    let serial = self.engine.serial_of(conn);
                    if let Some(place) = self.links.get_mut(index) {
                        *place = Some(Link::new(conn, serial, address, self.now));
                    }
                    if let Err(fault) = self.net.open(conn.pack(), address) {
                        self.engine.lost(conn, Loss::Fault(fault), self.now, handler);
                    }
                }
                Action::Secure(conn) => self.secure(conn, handler),
                Action::Transmit(conn) => {
                    if let Some(link) = self.link(conn) {
                        link.transmit = true;
                        self.pump(conn, handler);
                    }
                }
                Action::Read(conn) => {
                    if let Some(link) = self.link(conn) {
                        link.paused = false;
                        self.heat(conn);
                    }
                }
                Action::Finish(conn) => self.finish(conn, handler),
                Action::Close { conn, reset } => {
                    let now = self.now;
                    if let Some(link) = self.link(conn) {
                        let unheard = !link.connected && link.opened + UNHEARD <= now;
                        let remote = link.remote;
                        if unheard {
                            self.dialled(remote, false);
                        }
                        self.tap(conn, What::End(End::Closed));
                        if let Some(place) = self.links.get_mut(conn.index()) {
                            *place = None;
                        }
                        self.net.close(conn.pack(), reset);
                    }
                }
            }
        }
        any
    }

    /// Puts a link on the hot list, if it has something to do.
    fn heat(&mut self, key: ConnKey) {
        let Some(link) = self.link(key) else { return };
        if !link.hot && link.has_work() {
            link.hot = true;
            self.hot.push_back(key);
        }
    }

    /// Our end: close_notify where there is TLS, then FIN, behind whatever is unsent.
    fn finish(&mut self, key: ConnKey, handler: &mut dyn Handler) {
        let Some(link) = self.link(key) else { return };
        link.finishing = Finishing::Wanted;
        link.paused = false;
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut link.tls {
            let mut farewell = Vec::new();
            tls.session.close(&mut farewell);
            link.unsent.extend_from_slice(&farewell);
        }
        if self.flush(key, handler) == Pumped::Here {
            self.heat(key);
        }
    }

    /// Reads first, then writes: the peer may have answered, or gone, before we send.
    fn pump(&mut self, key: ConnKey, handler: &mut dyn Handler) {
        let Some(link) = self.link(key) else { return };
        if !link.connected {
            if self.connect(key, handler) == Pumped::Gone {
                return;
            }
            if self.engine.is_securing(key) {
                // What came along with the connection is TLS's: the session is on its way.
                return;
            }
        }
        if self.pump_reads(key, handler) == Pumped::Gone {
            return;
        }
        if self.flush(key, handler) == Pumped::Gone {
            return;
        }
        self.heat(key);
    }

    /// Completes connecting, after an edge.
    fn connect(&mut self, key: ConnKey, handler: &mut dyn Handler) -> Pumped {
        match self.net.established(key.pack()) {
            Ok(true) => {
                if let Some(link) = self.link(key) {
                    link.connected = true;
                    let remote = link.remote;
                    self.dialled(remote, true);
                    if self.tap.is_some() {
                        let local = self.net.local(key.pack());
                        self.tap(key, What::Connected { remote, local });
                    }
                }
                self.engine.connected(key, self.now, handler);
                Pumped::Here
            }
            Ok(false) => {
                if let Some(link) = self.link(key) {
                    link.readable = false;
                    link.writable = false;
                }
                Pumped::Gone
            }
            Err(fault) => {
                if let Some(link) = self.link(key) {
                    let remote = link.remote;
                    self.dialled(remote, false);
                }
                self.engine.lost(key, Loss::Fault(fault), self.now, handler);
                Pumped::Gone
            }
        }
    }

    /// An address did or did not connect: the resolver's order of addresses learns from it.
    #[cfg(feature = "dns")]
    fn dialled(&mut self, remote: SocketAddr, works: bool) {
        if let Some(names) = &mut self.names {
            names.dialled(remote, works, self.now);
        }
    }

    #[cfg(not(feature = "dns"))]
    const fn dialled(&self, _: SocketAddr, _: bool) {}

    /// Reads until nothing is there, the engine wants no more, or the budget is spent.
    fn pump_reads(&mut self, key: ConnKey, handler: &mut dyn Handler) -> Pumped {
        for _ in 0..self.config.read_budget {
            let Some(link) = self.link(key) else { return Pumped::Gone };
            if !link.readable || link.paused {
                return Pumped::Here;
            }
            if self.read_once(key, handler) == Pumped::Gone {
                return Pumped::Gone;
            }
        }
        Pumped::Here
    }

    /// One read into the shared buffer, behind the part of a record that is held.
    fn read_once(&mut self, key: ConnKey, handler: &mut dyn Handler) -> Pumped {
        let mut buffer = core::mem::take(&mut self.buffer);
        if buffer.len() < self.config.read_buffer {
            buffer.resize(self.config.read_buffer, 0);
        }
        let held = self.unpark(key, &mut buffer);
        let room = buffer.get_mut(held..).unwrap_or_default();
        let pumped = match self.net.read(key.pack(), room) {
            Ok(Read::Bytes { count, drained }) => {
                if let Some(link) = self.link(key) {
                    link.readable = !drained;
                }
                let filled = buffer.get_mut(..held + count).unwrap_or_default();
                self.deliver(key, filled, handler)
            }
            Ok(Read::Blocked) => {
                self.park(key, buffer.get(..held).unwrap_or_default());
                match self.link(key) {
                    None => Pumped::Gone,
                    Some(link) => {
                        link.readable = false;
                        let broken = link.broken;
                        self.lose_broken(key, broken, handler)
                    }
                }
            }
            Ok(Read::End) => {
                self.end(key, handler);
                Pumped::Gone
            }
            Err(fault) => {
                self.tap(key, What::End(End::Reset));
                self.engine.lost(key, Loss::Fault(fault), self.now, handler);
                Pumped::Gone
            }
        };
        self.buffer = buffer;
        pumped
    }

    /// A write failed, and all that came before it has been read: the connection is lost.
    fn lose_broken(
        &mut self,
        key: ConnKey,
        broken: Option<Fault>,
        handler: &mut dyn Handler,
    ) -> Pumped {
        let Some(fault) = broken else { return Pumped::Here };
        self.engine.lost(key, Loss::Fault(fault), self.now, handler);
        Pumped::Gone
    }

    /// The peer's end, as the engine is to see it.
    fn end(&mut self, key: ConnKey, handler: &mut dyn Handler) {
        #[cfg(feature = "tls")]
        {
            let now = self.now;
            let Some(link) = self.link(key) else { return };
            if let Some(tls) = &link.tls {
                let clean = tls.closed;
                let how = if clean { End::Eof } else { End::Truncated };
                // In a handshake, only the engine's own kind tells that it was cut; TLS has
                // something to add only when the server did not speak TLS at all.
                let said = if tls.secured { None } else { tls.session.end_of_input() };
                if let Some(error) = said.filter(crate::tls::Error::is_final) {
                    self.lost_to_tls(key, &error, now, handler);
                } else {
                    self.tap(key, What::End(how));
                    self.engine.ended(key, clean, now, handler);
                }
                return;
            }
        }
        self.tap(key, What::End(End::Eof));
        self.engine.ended(key, true, self.now, handler);
    }

    /// Hands plaintext to the engine, and notes what it wants.
    fn plaintext(&mut self, key: ConnKey, bytes: &[u8], handler: &mut dyn Handler) -> Pumped {
        self.tap(key, What::Received(bytes));
        match self.engine.received(key, bytes, self.now, handler) {
            Next::Read => Pumped::Here,
            Next::Pause => {
                if let Some(link) = self.link(key) {
                    link.paused = true;
                }
                Pumped::Here
            }
            Next::Gone => Pumped::Gone,
        }
    }

    #[cfg(not(feature = "tls"))]
    fn deliver(&mut self, key: ConnKey, bytes: &mut [u8], handler: &mut dyn Handler) -> Pumped {
        self.plaintext(key, bytes, handler)
    }

    #[cfg(not(feature = "tls"))]
    const fn unpark(&self, _: ConnKey, _: &mut [u8]) -> usize {
        0
    }

    #[cfg(not(feature = "tls"))]
    const fn park(&self, _: ConnKey, _: &[u8]) {}

    #[cfg(not(feature = "tls"))]
    fn secure(&mut self, key: ConnKey, handler: &mut dyn Handler) {
        let loss = Loss::Tls {
            name: "tls_unavailable",
            detail: "this build has no TLS",
            hint: None,
            is_final: true,
        };
        self.engine.lost(key, loss, self.now, handler);
    }

    /// Sends what is unsent, then what the engine has, then our end.
    fn flush(&mut self, key: ConnKey, handler: &mut dyn Handler) -> Pumped {
        loop {
            let Some(link) = self.link(key) else { return Pumped::Gone };
            if !link.writable || !link.connected || link.broken.is_some() {
                return Pumped::Here;
            }
            if !link.is_flushed() {
                if self.write_unsent(key, handler) == Pumped::Gone {
                    return Pumped::Gone;
                }
                continue;
            }
            if link.finishing == Finishing::Wanted {
                link.finishing = Finishing::Sent;
                self.net.finish(key.pack());
                return Pumped::Here;
            }
            if !core::mem::take(&mut link.transmit) {
                return Pumped::Here;
            }
            if self.transmit(key, handler) == Pumped::Gone {
                return Pumped::Gone;
            }
        }
    }

    /// Asks the engine what to send, and sends it straight from the shared buffer; only what the
    /// peer does not take is kept with the link.
    fn transmit(&mut self, key: ConnKey, handler: &mut dyn Handler) -> Pumped {
        let mut plain = core::mem::take(&mut self.plain);
        plain.clear();
        self.engine.outgoing(key, &mut plain, self.now, handler);
        self.tap(key, What::Sent(&plain));
        let pumped = if plain.is_empty() { Pumped::Here } else { self.send(key, &plain, handler) };
        self.plain = plain;
        pumped
    }

    /// TLS ended a connection.
    #[cfg(feature = "tls")]
    fn lost_to_tls(
        &mut self,
        key: ConnKey,
        error: &crate::tls::Error,
        now: Instant,
        handler: &mut dyn Handler,
    ) {
        let detail = error.to_string();
        let (name, hint, is_final) = (error.name(), error.hint(), error.is_final());
        self.engine.lost(key, Loss::Tls { name, detail: &detail, hint, is_final }, now, handler);
    }

    #[cfg(feature = "tls")]
    fn send(&mut self, key: ConnKey, plain: &[u8], handler: &mut dyn Handler) -> Pumped {
        let now = self.now;
        let mut cipher = core::mem::take(&mut self.cipher);
        let Some(link) = self.link(key) else { return Pumped::Gone };
        let pumped = match &mut link.tls {
            None => self.write_fresh(key, plain, plain.len(), handler),
            Some(tls) => {
                cipher.clear();
                match tls.session.send(plain, &mut cipher) {
                    Ok(_) => self.write_fresh(key, &cipher, plain.len(), handler),
                    Err(error) => {
                        self.lost_to_tls(key, &error, now, handler);
                        Pumped::Gone
                    }
                }
            }
        };
        self.cipher = cipher;
        pumped
    }

    #[cfg(not(feature = "tls"))]
    fn send(&mut self, key: ConnKey, plain: &[u8], handler: &mut dyn Handler) -> Pumped {
        self.write_fresh(key, plain, plain.len(), handler)
    }

    /// Writes bytes that were just made; `request` of them are the request's.
    fn write_fresh(
        &mut self,
        key: ConnKey,
        bytes: &[u8],
        request: usize,
        handler: &mut dyn Handler,
    ) -> Pumped {
        match self.net.write(key.pack(), bytes) {
            Ok(Some(count)) if count == bytes.len() => {
                self.engine.wrote(key, request, true, self.now);
                Pumped::Here
            }
            Ok(taken) => {
                let count = taken.unwrap_or(0);
                let Some(link) = self.link(key) else { return Pumped::Gone };
                // A short write blocks: an edge tells when there is room again. Some systems take
                // a short piece without blocking; the next attempt then finds out.
                link.writable = taken.is_some();
                link.unsent.clear();
                link.unsent.extend_from_slice(bytes.get(count..).unwrap_or_default());
                link.unsent_at = 0;
                link.unsent_request = true;
                if count > 0 {
                    self.engine.wrote(key, count.min(request), false, self.now);
                }
                Pumped::Here
            }
            Err(fault) => self.write_failed(key, fault, handler),
        }
    }

    fn write_unsent(&mut self, key: ConnKey, handler: &mut dyn Handler) -> Pumped {
        let Some(Some(link)) = self.links.get_mut(key.index()) else { return Pumped::Gone };
        let rest = link.unsent.get(link.unsent_at..).unwrap_or_default();
        match self.net.write(key.pack(), rest) {
            Ok(Some(count)) => {
                link.unsent_at += count;
                let flushed = link.is_flushed();
                let request = link.unsent_request;
                if flushed {
                    link.unsent = Vec::new();
                    link.unsent_at = 0;
                    link.unsent_request = false;
                }
                if request {
                    self.engine.wrote(key, count, flushed, self.now);
                }
                Pumped::Here
            }
            Ok(None) => {
                link.writable = false;
                Pumped::Here
            }
            Err(fault) => self.write_failed(key, fault, handler),
        }
    }

    /// A write error is not final: the peer may have answered before it closed.
    fn write_failed(&mut self, key: ConnKey, fault: Fault, handler: &mut dyn Handler) -> Pumped {
        let Some(link) = self.link(key) else { return Pumped::Gone };
        link.broken = Some(fault);
        link.unsent = Vec::new();
        link.unsent_at = 0;
        link.readable = true;
        link.paused = false;
        loop {
            match self.link(key) {
                None => return Pumped::Gone,
                Some(link) if !link.readable => return Pumped::Here,
                Some(_) => {}
            }
            if self.read_once(key, handler) == Pumped::Gone {
                return Pumped::Gone;
            }
        }
    }
}

#[cfg(feature = "tls")]
impl<N: Net> Driver<N> {
    /// Begins the handshake.
    fn secure(&mut self, key: ConnKey, handler: &mut dyn Handler) {
        let Some(host) = self.engine.host_of(key) else { return };
        let name = self.engine.origin(host).host;
        if let Trust::Later(_) = &self.tls
            && let Trust::Later(make) = core::mem::replace(&mut self.tls, Trust::None)
        {
            self.tls = match make() {
                Ok(config) => Trust::Made(config),
                Err(error) => Trust::Refused(error),
            };
        }
        let begun = match &self.tls {
            Trust::None | Trust::Later(_) => {
                Err(("tls_unavailable", "no TLS configuration was given".into(), None))
            }
            Trust::Refused(error) => Err((error.name(), error.to_string(), None)),
            Trust::Made(config) => crate::tls::Session::new(config, name)
                .and_then(|mut session| {
                    let mut hello = Vec::new();
                    session.start(&mut hello).map(|()| (session, hello))
                })
                .map_err(|error| (error.name(), error.to_string(), error.hint())),
        };
        match begun {
            Ok((session, hello)) => {
                let Some(link) = self.link(key) else { return };
                link.unsent = hello;
                link.tls =
                    Some(Tls { session, partial: Vec::new(), secured: false, closed: false });
                self.pump(key, handler);
            }
            Err((name, detail, hint)) => {
                let loss = Loss::Tls { name, detail: &detail, hint, is_final: true };
                self.engine.lost(key, loss, self.now, handler);
            }
        }
    }

    /// Moves the part of a record that is held to the front of the read buffer.
    fn unpark(&mut self, key: ConnKey, buffer: &mut Vec<u8>) -> usize {
        let Some(Some(link)) = self.links.get_mut(key.index()) else { return 0 };
        let Some(tls) = &mut link.tls else { return 0 };
        let held = tls.partial.len();
        if held == 0 {
            return 0;
        }
        // Room for a whole record more, whatever the buffer's size is.
        if buffer.len() < held + RECORD {
            buffer.resize(held + RECORD, 0);
        }
        if let Some(front) = buffer.get_mut(..held) {
            front.copy_from_slice(&tls.partial);
        }
        tls.partial = Vec::new();
        held
    }

    /// Keeps the part of a record for the next read.
    fn park(&mut self, key: ConnKey, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if let Some(Some(Link { tls: Some(tls), .. })) = self.links.get_mut(key.index()) {
            tls.partial.extend_from_slice(bytes);
        }
    }

    /// Hands on what was read: as it is, or decrypted.
    fn deliver(&mut self, key: ConnKey, bytes: &mut [u8], handler: &mut dyn Handler) -> Pumped {
        let Some(Some(link)) = self.links.get_mut(key.index()) else { return Pumped::Gone };
        let Some(mut tls) = link.tls.take() else { return self.plaintext(key, bytes, handler) };
        let mut answer = core::mem::take(&mut self.cipher);
        answer.clear();
        let mut pumped = Pumped::Here;
        let received = tls.session.receive(bytes, &mut answer, |plain| {
            pumped = self.plaintext(key, plain, handler);
            pumped == Pumped::Here
        });
        // The session goes back unless the engine gave the connection up meanwhile.
        if pumped == Pumped::Here {
            match received {
                Ok(received) => {
                    tls.closed |= received.peer_closed;
                    let rest = bytes.get(received.consumed..).unwrap_or_default();
                    tls.partial.extend_from_slice(rest);
                    let established = tls.session.established() && !tls.secured;
                    tls.secured |= established;
                    let info = if established { tls.session.info() } else { None };
                    let closed = tls.closed;
                    if let Some(Some(link)) = self.links.get_mut(key.index()) {
                        link.tls = Some(tls);
                        link.unsent.extend_from_slice(&answer);
                        if closed {
                            // What follows is no data: the transport's own end is next.
                            link.readable = true;
                        }
                    }
                    if let Some(info) = info {
                        let info = TlsInfo {
                            version: info.version,
                            cipher: info.cipher,
                            resumed: info.resumed,
                        };
                        self.tap(key, What::Secured(info));
                        self.engine.secured(key, info, self.now, handler);
                    }
                    if closed {
                        self.engine.ended(key, true, self.now, handler);
                        pumped = Pumped::Gone;
                    }
                }
                Err(error) => {
                    // The alert tells the server why; best effort, once.
                    if !answer.is_empty() {
                        let _ = self.net.write(key.pack(), &answer);
                    }
                    self.lost_to_tls(key, &error, self.now, handler);
                    pumped = Pumped::Gone;
                }
            }
        }
        self.cipher = answer;
        pumped
    }
}
