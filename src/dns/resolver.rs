//! The resolver's face: every call that a driver makes.
//!
//! Owns all state: the look-ups and questions under way, their deadlines, the servers and the
//! cache. What is asked of whom is in `asking`, what is told when in `telling`. It opens no
//! socket, reads no clock and makes no random number.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use hashbrown::HashTable;

use super::cache::Cache;
use super::config::{Config, Family};
use super::error::{DnsError, DnsErrorKind, Report, Said};
use super::lookup::{Channel, LookupKey, OpenQuery, PendingLookup, QueryKey, Side, Told};
use super::name::{Search, WireName, is_under, plain};
use super::seam::{Action, Answer, Lookup, SocketFailure, Source, Stats};
use super::servers::Servers;
use super::sort::Failed;
use super::wire::Verdict;
use crate::base::{Arena, Instant, Map, Seeded, Timers};

/// The pause after the system had no socket for us.
pub(super) const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);
/// RFC 1035 section 4.2.2.
const LENGTH_PREFIX: usize = 2;

/// A stub resolver as a state machine. See the [module](super) for how to drive it.
#[derive(Debug)]
pub struct Resolver {
    pub(super) config: Config,
    pub(super) search: Search,
    pub(super) hosts: Map<String, Vec<IpAddr>>,
    pub(super) servers: Servers,
    pub(super) cache: Cache,
    pub(super) failed: Failed,
    pub(super) hash: Seeded,
    pub(super) lookups: Arena<PendingLookup>,
    /// The look-ups by what was typed.
    pub(super) names: HashTable<LookupKey>,
    pub(super) queries: Arena<OpenQuery>,
    pub(super) query_timers: Timers,
    /// When a look-up tells what it has: the resolution delay, or the patience before stale data.
    pub(super) lookup_timers: Timers,
    /// Sides that wait for room; those of look-ups that ended meanwhile are passed over.
    pub(super) waiting: VecDeque<(LookupKey, Family)>,
    /// Datagrams to be sent again.
    pub(super) again: VecDeque<QueryKey>,
    pub(super) out: VecDeque<Action>,
    /// Nothing new is sent before, for the system had no socket.
    pub(super) paused_until: Instant,
    pub(super) no_server_given: bool,
    pub(super) stats: Stats,
}

impl Resolver {
    /// A resolver that knows nothing yet.
    pub fn new(mut config: Config) -> Self {
        let hash = Seeded::new(config.seed);
        let mut hosts: Map<String, Vec<IpAddr>> = Map::with_hasher(hash);
        for (name, address) in core::mem::take(&mut config.hosts) {
            hosts.entry(plain(&name)).or_default().push(address);
        }
        let no_server_given = config.servers.is_empty();
        if no_server_given {
            config.servers.push(Config::LOCAL);
        }
        config.max_in_flight = config.max_in_flight.max(1);
        Self {
            search: Search::new(&config.search, config.ndots),
            hosts,
            servers: Servers::new(&config.servers, config.rotate),
            cache: Cache::new(config.cache.clone(), hash),
            failed: Failed::new(hash, config.failed_addresses, config.failed_for),
            hash,
            lookups: Arena::new(),
            names: HashTable::new(),
            queries: Arena::new(),
            query_timers: Timers::new(),
            lookup_timers: Timers::new(),
            waiting: VecDeque::new(),
            again: VecDeque::new(),
            out: VecDeque::new(),
            paused_until: Instant::ZERO,
            no_server_given,
            stats: Stats::default(),
            config,
        }
    }

    /// Asks for the addresses of `name`. However many ask for one name at a time, it is looked
    /// up once: they get the same key.
    pub fn resolve(&mut self, name: &str, now: Instant) -> Lookup {
        self.stats.asked += 1;
        let ready = if let Some(ready) = self.without_servers(name, now) {
            ready
        } else {
            let typed = name.to_ascii_lowercase();
            match self.find(&typed) {
                Some(key) => match self.told(key, now) {
                    Some(answer) => Ok(answer),
                    None => return Lookup::Pending(key),
                },
                None => match self.begin(&typed, now) {
                    Ok(ready) => ready,
                    Err(key) => return Lookup::Pending(key),
                },
            }
        };
        self.stats.ready += 1;
        Lookup::Ready(ready)
    }

    /// The next thing to do, until there is nothing: after every other call. `random` must be
    /// unpredictable to strangers, for ids are made of it. What is to be sent is in `payload`.
    pub fn poll(
        &mut self,
        now: Instant,
        random: &mut dyn FnMut() -> u64,
        payload: &mut Vec<u8>,
    ) -> Option<Action> {
        if let Some(action) = self.out.pop_front() {
            return Some(action);
        }
        while let Some(query) = self.again.pop_front() {
            if let Some(action) = self.send_again(query, payload) {
                return Some(action);
            }
        }
        while self.queries.len() < self.config.max_in_flight && now >= self.paused_until {
            let (lookup, family) = self.waiting.pop_front()?;
            if let Some(action) = self.send(lookup, family, now, random, payload) {
                return Some(action);
            }
        }
        None
    }

    /// A datagram that came to the socket of `query` from `from`.
    pub fn datagram(&mut self, query: QueryKey, from: SocketAddr, bytes: &[u8], now: Instant) {
        let Some(open) = self.queries.get(query) else {
            self.stats.strays += 1;
            return;
        };
        let Channel::Udp { sent, .. } = open.channel else { return };
        let expected = self.servers.address(open.server);
        if !expected.is_some_and(|server| server.ip() == from.ip() && server.port() == from.port())
        {
            self.stats.strays += 1;
            return;
        }
        // Which of several copies was answered is not to be known: no sample then.
        let took = (sent == 1).then(|| now.since(open.sent));
        let verdict = self.read(open, bytes);
        self.judge(query, verdict, took, now);
    }

    /// Bytes that came over the connection of `query`.
    pub fn stream(&mut self, query: QueryKey, bytes: &[u8], now: Instant) {
        let Some(open) = self.queries.get_mut(query) else { return };
        let Channel::Tcp { received } = &mut open.channel else { return };
        received.extend_from_slice(bytes);
        let Some((length, message)) = received.split_first_chunk::<LENGTH_PREFIX>() else { return };
        let length = usize::from(u16::from_be_bytes(*length));
        let Some(message) = message.get(..length) else { return };
        let message = message.to_vec();
        let Some(open) = self.queries.get(query) else { return };
        let verdict = match self.read(open, &message) {
            // Nobody else can speak here: the server itself talks nonsense.
            Verdict::Stray | Verdict::Truncated => Verdict::Malformed,
            verdict => verdict,
        };
        self.judge(query, verdict, None, now);
    }

    /// The socket of `query` could not be opened, sent to or read, or the stream ended.
    pub fn socket_failed(&mut self, query: QueryKey, why: SocketFailure, now: Instant) {
        let Some(open) = self.queries.get(query) else { return };
        let over_tcp = matches!(open.channel, Channel::Tcp { .. });
        let said = match why {
            SocketFailure::Exhausted => {
                self.paused_until = now + EXHAUSTED_PAUSE;
                if self.wait_for_a_socket(query) {
                    return;
                }
                Said::Exhausted
            }
            _ if over_tcp => Said::TcpFailed,
            SocketFailure::NobodyListens => Said::NobodyListens,
            SocketFailure::Unreachable => Said::Unreachable,
            SocketFailure::Closed => Said::Os(0),
            SocketFailure::Os(code) => Said::Os(code),
        };
        self.move_on(query, said, now);
    }

    /// When [`tick`](Self::tick) is to be called next.
    pub fn deadline(&self) -> Option<Instant> {
        let room = self.queries.len() < self.config.max_in_flight;
        let pause = (room && !self.waiting.is_empty()).then_some(self.paused_until);
        [self.query_timers.next(), self.lookup_timers.next(), pause].into_iter().flatten().min()
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Instant) {
        while let Some(index) = self.query_timers.pop_due(now) {
            if let Some(query) = self.queries.at(index) {
                self.overdue(query, now);
            }
        }
        while let Some(index) = self.lookup_timers.pop_due(now) {
            if let Some(lookup) = self.lookups.at(index) {
                self.tell_early(lookup, now);
            }
        }
    }

    /// The process was stopped for `gap`: all deadlines move with it.
    pub fn shift(&mut self, gap: Duration) {
        self.query_timers.shift(gap);
        self.lookup_timers.shift(gap);
        let keys: Vec<QueryKey> = self.queries.iter().map(|(key, _)| key).collect();
        for key in keys {
            if let Some(query) = self.queries.get_mut(key) {
                query.until += gap;
            }
        }
    }

    /// Nobody waits for `lookup` any more: its sockets are closed, nothing is told.
    pub fn cancel(&mut self, lookup: LookupKey) {
        let Some(state) = self.lookups.get(lookup) else { return };
        let open = state.sides.each_ref().map(|side| match side {
            Side::Open(query, _) => Some(*query),
            _ => None,
        });
        for query in open.into_iter().flatten() {
            self.close(query);
        }
        self.end(lookup);
        // What is left of it in the queue must not pile up.
        if self.waiting.len() > 4 * self.lookups.len() + 64 {
            let lookups = &self.lookups;
            self.waiting.retain(|(lookup, _)| lookups.contains(*lookup));
        }
    }

    /// What is known to be wrong with a look-up that is not at its end: for a caller who can't
    /// wait any longer.
    pub fn unfinished(&self, lookup: LookupKey, now: Instant) -> Option<Box<DnsError>> {
        let state = self.lookups.get(lookup)?;
        let mut error = DnsError {
            kind: DnsErrorKind::Unanswered,
            name: state.typed.clone(),
            bad: None,
            reports: state.reports.clone(),
            hint: self.hint(DnsErrorKind::Unanswered),
        };
        for side in &state.sides {
            let Side::Open(query, _) = side else { continue };
            let Some(open) = self.queries.get(*query) else { continue };
            let Some(server) = self.servers.address(open.server) else { continue };
            let Some(name) = self.asked(open) else { continue };
            let sent = if let Channel::Udp { sent, .. } = open.channel { sent } else { 1 };
            let said = Said::Silence { sent, waited: now.since(open.sent) };
            let report = Report { server, name: alloc::format!("{name}").into(), said };
            if !error.reports.contains(&report) {
                error.reports.push(report);
            }
        }
        Some(Box::new(error))
    }

    /// Forgets what the cache knows about `name`.
    pub fn invalidate(&mut self, name: &str) {
        let mut from = 0;
        while let Some((number, name)) = self.search.candidate(name, from) {
            self.cache.forget(&name);
            from = number + 1;
        }
    }

    /// `address` did not connect: for a while it comes last in every answer.
    pub fn address_failed(&mut self, address: IpAddr, now: Instant) {
        self.failed.mark(address, now);
    }

    /// `address` did connect.
    pub fn address_works(&mut self, address: IpAddr) {
        self.failed.clear(address);
    }

    /// What it has done so far.
    pub fn stats(&self) -> Stats {
        let (cached, evicted) = self.cache.size();
        Stats { cached, evicted, ..self.stats }
    }

    /// Look-ups under way. One that waits for room takes some 300 bytes: their number is the
    /// caller's to bound.
    pub fn pending(&self) -> usize {
        self.lookups.len()
    }

    // ---- before any server is asked ----------------------------------------------------------

    fn without_servers(&self, name: &str, now: Instant) -> Option<Result<Answer, Box<DnsError>>> {
        if let Ok(address) = name.parse() {
            let addresses = [address].into();
            return Some(Ok(self.answer(addresses, Instant::NEVER, Source::Literal, now)));
        }
        let why = match WireName::parse(name) {
            Err(why) => Some(why),
            Ok(_) if is_under(name, "onion") => Some("it is a name of Tor, not of DNS (RFC 7686)"),
            Ok(_) => None,
        };
        if why.is_some() {
            let name = name.into();
            let kind = DnsErrorKind::BadName;
            let error = DnsError { kind, name, bad: why, reports: Vec::new(), hint: None };
            return Some(Err(Box::new(error)));
        }
        let families = self.config.families;
        if is_under(name, "localhost") {
            let all = [IpAddr::V6(Ipv6Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::LOCALHOST)];
            let addresses = all.into_iter().filter(|address| families.want(address)).collect();
            return Some(Ok(self.answer(addresses, Instant::NEVER, Source::Localhost, now)));
        }
        if self.hosts.is_empty() {
            return None;
        }
        let known = self.hosts.get(plain(name).as_str())?;
        let addresses: Vec<_> =
            known.iter().copied().filter(|address| families.want(address)).collect();
        let found = !addresses.is_empty();
        found.then(|| Ok(self.answer(addresses, Instant::NEVER, Source::Hosts, now)))
    }

    /// What a look-up under way has told already.
    fn told(&self, lookup: LookupKey, now: Instant) -> Option<Answer> {
        let state = self.lookups.get(lookup)?;
        match state.told {
            Told::Nothing => None,
            Told::OneFamily => {
                let (addresses, expires) = state.addresses()?;
                Some(self.answer(addresses, expires, Source::Cache, now))
            }
            Told::Stale => self.stale_answer(&WireName::from_bytes(&state.name), now),
        }
    }
}
