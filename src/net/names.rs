//! The resolver in the driver's loop: look-ups that the engine wants, questions over the net's
//! sockets, and answers back to the engine.
//!
//! Owns who waits for which look-up and for how long (names, TCP and TLS share one connect
//! timeout), and the sockets of questions. What is asked of whom is the resolver's to decide, whose
//! trouble a failure is `doubts`'.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{HashMap, VecDeque};

use super::doubts::{Doubts, servers};
use super::{Driver, Net, RESOLVER, Read};
use crate::base::Instant;
use crate::dns::{
    Action, Answer, DnsError, Lookup, LookupKey, QueryKey, Resolver, SocketFailure, Source, Stats,
};
use crate::engine::{Cause, DnsFailure, Engine, Fault, Handler, HostKey, NameServers, Resolved};

/// Datagrams taken from one socket before the others have their turn.
const READ_BUDGET: u32 = 16;

/// A resolver, and what ties it to the engine's hosts and the net's sockets.
pub struct Names {
    resolver: Resolver,
    /// Makes that when the first name is to be looked up; until then it is one that knows nothing.
    later: Option<Later>,
    /// Unpredictable to strangers: ids are made of it.
    random: Box<dyn FnMut() -> u64 + Send>,
    /// Hosts that are to be found under another name and port.
    routed: HashMap<HostKey, (Box<str>, u16)>,
    /// By a look-up's slot: who waits for it.
    waiting: Vec<Waiting>,
    /// When the longest waiting host has waited long enough.
    patience: VecDeque<(Instant, LookupKey, HostKey)>,
    /// By a question's slot: its socket.
    lines: Vec<Option<Line>>,
    /// Sockets that something came to.
    ready: VecDeque<usize>,
    payload: Vec<u8>,
    doubts: Doubts,
}

type Later = Box<dyn FnOnce(u64) -> Resolver + Send>;

#[derive(Debug)]
struct Waiting {
    lookup: LookupKey,
    hosts: Vec<HostKey>,
}

/// The socket of a question.
#[derive(Debug)]
struct Line {
    query: QueryKey,
    server: SocketAddr,
    kind: LineKind,
}

#[derive(Debug)]
enum LineKind {
    Datagrams,
    /// A stream, with what is to be sent on it.
    Stream {
        connected: bool,
        unsent: Vec<u8>,
    },
}

impl core::fmt::Debug for Names {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Names").field("resolver", &self.resolver).finish_non_exhaustive()
    }
}

impl Names {
    /// `random` must be unpredictable to strangers, for the ids of questions are made of it: the `fetch`
    /// feature has `system_random`, without it the system's own generator is to be asked. There is an example at
    /// [`Driver::with_names`].
    pub fn new(resolver: Resolver, random: impl FnMut() -> u64 + Send + 'static) -> Self {
        Self {
            resolver,
            later: None,
            random: Box::new(random),
            routed: HashMap::new(),
            waiting: Vec::new(),
            patience: VecDeque::new(),
            lines: Vec::new(),
            ready: VecDeque::new(),
            payload: Vec::new(),
            doubts: Doubts::default(),
        }
    }

    /// The same with a resolver that is made, from a random number, when the first name is to be
    /// looked up.
    #[cfg(feature = "fetch")]
    pub(crate) fn later(
        make: impl FnOnce(u64) -> Resolver + Send + 'static,
        random: impl FnMut() -> u64 + Send + 'static,
    ) -> Self {
        let nothing = Resolver::new(crate::dns::Config::default());
        Self { later: Some(Box::new(make)), ..Self::new(nothing, random) }
    }

    /// Looks `host` up under another name, and connects to another port there (`--connect-to`).
    /// What is asked for, and how it is secured, stays. Addresses that are known beforehand
    /// (`--resolve`) need no look-up: [`Driver::place`] says them.
    pub fn route(&mut self, host: HostKey, name: &str, port: u16) {
        self.routed.insert(host, (name.into(), port));
    }

    /// What the resolver has done so far.
    pub fn stats(&self) -> Stats {
        self.resolver.stats()
    }

    /// A connection attempt to `address` came to an end.
    pub(super) fn dialled(&mut self, address: SocketAddr, works: bool, now: Instant) {
        if works {
            self.resolver.address_works(address.ip());
        } else {
            self.resolver.address_failed(address.ip(), now);
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let patience = self.patience.front().map(|(at, ..)| *at);
        [self.resolver.deadline(), patience, self.doubts.deadline()].into_iter().flatten().min()
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    pub(super) fn slept(&mut self, gap: Duration) {
        self.resolver.shift(gap);
        for (at, ..) in &mut self.patience {
            *at += gap;
        }
        self.doubts.shift(gap);
    }

    /// An edge at one of our sockets.
    pub(super) fn latch(&mut self, token: usize) {
        self.ready.push_back(token);
    }

    fn line(&mut self, query: QueryKey) -> Option<&mut Line> {
        self.lines.get_mut(query.index())?.as_mut().filter(|line| line.query == query)
    }

    /// The question whose socket has this token, if it is not over.
    fn query(&self, token: usize) -> Option<QueryKey> {
        let line = self.lines.get(token & (u32::MAX as usize))?.as_ref()?;
        (token_of(line.query) == token).then_some(line.query)
    }

    fn wait_for(&mut self, lookup: LookupKey, host: HostKey, until: Instant) {
        let index = lookup.index();
        while self.waiting.len() <= index {
            self.waiting.push(Waiting { lookup, hosts: Vec::new() });
        }
        if let Some(waiting) = self.waiting.get_mut(index) {
            if waiting.lookup != lookup {
                waiting.lookup = lookup;
                waiting.hosts.clear();
            }
            waiting.hosts.push(host);
        }
        self.patience.push_back((until, lookup, host));
    }

    /// Those who wait for a look-up; no longer, unless `more` is to come.
    fn waiters(&mut self, lookup: LookupKey, more: bool) -> Vec<HostKey> {
        let found = self.waiting.get_mut(lookup.index());
        let Some(waiting) = found.filter(|waiting| waiting.lookup == lookup) else {
            return Vec::new();
        };
        if more { waiting.hosts.clone() } else { core::mem::take(&mut waiting.hosts) }
    }

    /// The next host that has waited long enough for its look-up.
    fn next_impatient(&mut self, now: Instant) -> Option<(LookupKey, HostKey)> {
        while let Some(&(at, lookup, host)) = self.patience.front() {
            let here = self.waiting.get_mut(lookup.index());
            let hosts = here.filter(|here| here.lookup == lookup).map(|here| &mut here.hosts);
            let place = hosts.and_then(|hosts| {
                let place = hosts.iter().position(|other| *other == host)?;
                Some((hosts, place))
            });
            match place {
                // It was answered: nothing to be impatient about.
                None => {
                    self.patience.pop_front();
                }
                Some(_) if at > now => return None,
                Some((hosts, place)) => {
                    hosts.swap_remove(place);
                    self.patience.pop_front();
                    return Some((lookup, host));
                }
            }
        }
        None
    }
}

fn token_of(query: QueryKey) -> usize {
    query.pack() | RESOLVER
}

/// Tells the engine, `port` being another one than the host's own.
fn tell(
    engine: &mut Engine,
    (host, port): (HostKey, Option<u16>),
    result: &Result<Answer, Box<DnsError>>,
    now: Instant,
    handler: &mut dyn Handler,
) {
    match (result, port) {
        (Ok(answer), None) => {
            let lifetime = answer.expires - now;
            let addresses = &answer.addresses;
            let found = Resolved { addresses, lifetime, stale: answer.stale };
            engine.resolved(host, Ok(found), now, handler);
        }
        (Ok(answer), Some(port)) => {
            let addresses: Vec<_> =
                answer.addresses.iter().map(|ip| SocketAddr::new(*ip, port)).collect();
            engine.place(host, &addresses, answer.expires, now);
        }
        (Err(error), _) => tell_failure(engine, host, error, servers(error), now, handler),
    }
}

fn tell_failure(
    engine: &mut Engine,
    host: HostKey,
    error: &DnsError,
    servers: NameServers,
    now: Instant,
    handler: &mut dyn Handler,
) {
    // The hint has a place of its own.
    let detail = DnsError { hint: None, ..error.clone() }.to_string();
    let (name, transient) = (error.kind.as_str(), error.kind.is_transient());
    let failure = DnsFailure { name, detail: &detail, hint: error.hint, transient, servers };
    engine.resolved(host, Err(failure), now, handler);
}

impl<N: Net> Driver<N> {
    /// The engine wants a host's addresses; `false`: there is no resolver here.
    pub(super) fn look_up(&mut self, host: HostKey, handler: &mut dyn Handler) -> bool {
        let Some(names) = &mut self.names else { return false };
        let routed = names.routed.get(&host);
        let port = routed.map(|(_, port)| *port);
        let name = routed.map_or(self.engine.origin(host).host, |(name, _)| name);
        if let Some(make) = names.later.take() {
            names.resolver = make((names.random)());
        }
        match names.resolver.resolve(name, self.now) {
            Lookup::Ready(result) => {
                tell(&mut self.engine, (host, port), &result, self.now, handler);
            }
            Lookup::Pending(lookup) => {
                let until = self.now + self.engine.config().connect_timeout;
                names.wait_for(lookup, host, until);
                self.ask(handler);
            }
        }
        true
    }

    /// Does what the resolver wants.
    fn ask(&mut self, handler: &mut dyn Handler) {
        let Some(mut names) = self.names.take() else { return };
        let now = self.now;
        while let Some(action) = names.resolver.poll(now, &mut *names.random, &mut names.payload) {
            match action {
                Action::Send { query, server, again } => {
                    let token = token_of(query);
                    let opened =
                        if again { Ok(()) } else { self.net.open_datagrams(token, server) };
                    names.open(query, server, LineKind::Datagrams);
                    let sent = opened.and_then(|()| self.net.write(token, &names.payload));
                    if let Err(fault) = sent {
                        names.resolver.socket_failed(query, failure(fault), now);
                    }
                }
                Action::Connect { query, server } => {
                    let unsent = core::mem::take(&mut names.payload);
                    names.open(query, server, LineKind::Stream { connected: false, unsent });
                    if let Err(fault) = self.net.open(token_of(query), server) {
                        names.resolver.socket_failed(query, failure(fault), now);
                    }
                }
                Action::Close { query } => {
                    if names.line(query).is_some() {
                        if let Some(place) = names.lines.get_mut(query.index()) {
                            *place = None;
                        }
                        self.net.close(token_of(query), false);
                    }
                }
                Action::Resolved { lookup, result, more } => {
                    if names.doubts.asked(lookup) && !more {
                        self.checked(&mut names, Some(&result), handler);
                    }
                    for host in names.waiters(lookup, more) {
                        if let Err(error) = &result
                            && names.doubts.failed(&mut names.resolver, host, error, now)
                        {
                            continue;
                        }
                        let routed = names.routed.get(&host);
                        if let Ok(Answer { source: Source::Server(_), .. }) = &result {
                            let name = self.engine.origin(host).host;
                            names.doubts.answered(routed.map_or(name, |(name, _)| name));
                        }
                        let port = routed.map(|(_, port)| *port);
                        tell(&mut self.engine, (host, port), &result, now, handler);
                    }
                }
            }
        }
        self.names = Some(names);
    }

    /// Takes what came to the resolver's sockets.
    pub(super) fn pump_names(&mut self, handler: &mut dyn Handler) {
        let Some(mut names) = self.names.take() else { return };
        let mut buffer = self.take_buffer();
        for _ in 0..names.ready.len() {
            let Some(token) = names.ready.pop_front() else { break };
            if names.pump(&mut self.net, token, &mut buffer, self.now) {
                names.ready.push_back(token);
            }
        }
        self.buffer = buffer;
        self.names = Some(names);
        self.ask(handler);
    }

    /// Does what is due.
    pub(super) fn tick_names(&mut self, handler: &mut dyn Handler) {
        let Some(names) = &mut self.names else { return };
        names.resolver.tick(self.now);
        self.ask(handler);
        while let Some(names) = &mut self.names
            && let Some((lookup, host)) = names.next_impatient(self.now)
            && let Some(error) = names.resolver.unfinished(lookup, self.now)
        {
            if !names.doubts.failed(&mut names.resolver, host, &error, self.now) {
                tell(&mut self.engine, (host, None), &Err(error), self.now, handler);
            }
        }
        if let Some(mut names) = self.names.take() {
            if names.doubts.deadline().is_some_and(|until| until <= self.now) {
                self.checked(&mut names, None, handler);
            }
            self.names = Some(names);
        }
        self.ask(handler);
    }

    /// Whose trouble it is is known, as far as it can be: what waited for that is told.
    fn checked(
        &mut self,
        names: &mut Names,
        result: Option<&Result<Answer, Box<DnsError>>>,
        handler: &mut dyn Handler,
    ) {
        for (host, error, servers) in names.doubts.settled(result) {
            tell_failure(&mut self.engine, host, &error, servers, self.now, handler);
        }
    }
}

impl Names {
    fn open(&mut self, query: QueryKey, server: SocketAddr, kind: LineKind) {
        let index = query.index();
        if index >= self.lines.len() {
            self.lines.resize_with(index + 1, || None);
        }
        if self.line(query).is_none()
            && let Some(place) = self.lines.get_mut(index)
        {
            *place = Some(Line { query, server, kind });
        }
    }

    /// Reads what came to a socket; whether there may be more.
    fn pump<N: Net>(&mut self, net: &mut N, token: usize, buffer: &mut [u8], now: Instant) -> bool {
        for _ in 0..READ_BUDGET {
            // An answer ends its question, and the look-up's end closes the socket.
            let Some(query) = self.query(token) else { return false };
            if let Err(fault) = self.send_rest(net, query) {
                self.resolver.socket_failed(query, failure(fault), now);
                return false;
            }
            let Some(line) = self.line(query) else { return false };
            let server = line.server;
            let is_stream = match line.kind {
                LineKind::Datagrams => false,
                LineKind::Stream { connected, .. } if !connected => return false,
                LineKind::Stream { .. } => true,
            };
            match net.read(token, buffer) {
                Ok(Read::Bytes { count, drained }) => {
                    let bytes = buffer.get(..count).unwrap_or_default();
                    if is_stream {
                        self.resolver.stream(query, bytes, now);
                    } else {
                        self.resolver.datagram(query, server, bytes, now);
                    }
                    if drained {
                        return false;
                    }
                }
                Ok(Read::Blocked) => return false,
                Ok(Read::End) => {
                    self.resolver.socket_failed(query, SocketFailure::Closed, now);
                    return false;
                }
                Err(fault) => {
                    self.resolver.socket_failed(query, failure(fault), now);
                    return false;
                }
            }
        }
        true
    }

    /// What a stream still has to say, as soon as it is connected.
    fn send_rest<N: Net>(&mut self, net: &mut N, query: QueryKey) -> Result<(), Fault> {
        let Some(Line { kind: LineKind::Stream { connected, unsent }, .. }) = self.line(query)
        else {
            return Ok(());
        };
        let token = token_of(query);
        if !*connected {
            *connected = net.established(token)?;
        }
        while *connected && !unsent.is_empty() {
            let Some(count) = net.write(token, unsent)? else { break };
            unsent.drain(..count);
        }
        Ok(())
    }
}

/// What a fault of a socket means to a question.
fn failure(fault: Fault) -> SocketFailure {
    match fault.cause {
        Cause::Refused => SocketFailure::NobodyListens,
        Cause::Unreachable | Cause::NetworkDown => SocketFailure::Unreachable,
        Cause::Exhausted => SocketFailure::Exhausted,
        Cause::Reset => SocketFailure::Closed,
        _ => SocketFailure::Os(fault.os),
    }
}

/// Random numbers from the system, for [`Names::new`].
///
/// # Errors
/// When the system has none.
#[cfg(feature = "fetch")]
pub fn system_random() -> Result<impl FnMut() -> u64 + Send + 'static, std::io::Error> {
    use std::hash::BuildHasher as _;

    // Should the system fail later on, a keyed hash of a number that only grows is still beyond
    // a stranger's guess.
    let fallback = std::hash::RandomState::new();
    let mut count = getrandom::u64().map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(move || {
        count = count.wrapping_add(1);
        getrandom::u64().unwrap_or_else(|_| fallback.hash_one(count))
    })
}
