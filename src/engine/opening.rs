//! From a name to a connection that may be used: look-up, race, handshake, and what follows when
//! one of them fails.
//!
//! Owns the rules for hosts that can't be reached (DESIGN section 5): the next address, then the
//! host's backoff, counted for the job at the head of its queue; *down* when that job has used its
//! attempts. A connection is bound to no job until it is ready.
#![expect(
    clippy::indexing_slicing,
    reason = "hosts and groups live as long as the engine; dials, connections and jobs were looked up by `get`, or come from a list of those that are there, in the same function, before anything is dropped"
)]

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use super::conn::{ConnKey, State};
use super::dial::Dial;
use super::host::{HostKey, Names, Reach, Scheme};
use super::job::{QUEUES, QUEUES_OF_FRESH};
use super::limit::Complaint;
use super::observe::What;
use super::outage::NameServers;
use super::settle::Attempt;
use super::{Action, Engine, Failing, Handler, Kind, Phase, TlsInfo, Try, retry, text};
use crate::base::{Instant, Key, nanos, push_address};

/// A host that served is probed at least this often.
const PATIENT_CAP: u64 = 3_000_000_000;

/// What a look-up found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resolved<'a> {
    /// In the order in which they are to be tried. None: the requests end, as `dns_nodata`.
    pub addresses: &'a [IpAddr],
    /// How long they may be used for new connections.
    pub lifetime: Duration,
    /// They have expired, and no server could be asked (RFC 8767).
    pub stale: bool,
}

/// Why a look-up found nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DnsFailure<'a> {
    /// The name in records, which [`Kind::Dns`] has. docs/errors.md knows `dns_nxdomain`, `dns_nodata`,
    /// `dns_servfail`, `dns_refused`, `dns_unanswered`, `dns_malformed`, `dns_bad_name` and
    /// `dns_cname_loop`; another one is passed on as it is.
    pub name: &'static str,
    /// Which server said what for which name.
    pub detail: &'a str,
    /// What to do about it.
    pub hint: Option<&'static str>,
    /// Worth another attempt.
    pub transient: bool,
    /// Whether any name server was heard: while none is, it is our own side's trouble.
    pub servers: NameServers,
}

impl<'a> Resolved<'a> {
    /// What one's own resolver found, just now.
    pub const fn new(addresses: &'a [IpAddr], lifetime: Duration) -> Self {
        Self { addresses, lifetime, stale: false }
    }
}

impl<'a> DnsFailure<'a> {
    /// There is no such name: its requests end, as `dns_nxdomain`. The detail says who said so.
    pub const fn no_such_name(detail: &'a str) -> Self {
        let servers = NameServers::Answered;
        Self { name: "dns_nxdomain", detail, hint: None, transient: false, servers }
    }

    /// It could not be found out for now: it is asked again after a while, as requests have attempts, and
    /// comes out as `dns_servfail` when these are used up.
    pub const fn for_now(detail: &'a str) -> Self {
        Self { name: "dns_servfail", transient: true, ..Self::no_such_name(detail) }
    }
}

impl Engine {
    /// A look-up that [`Action::Resolve`] asked for is at its end. Addresses that come later, or
    /// better ones, may follow at any time.
    pub fn resolved(
        &mut self,
        key: HostKey,
        result: Result<Resolved<'_>, DnsFailure<'_>>,
        now: Instant,
        handler: &mut dyn Handler,
    ) {
        let host = &mut self.hosts[key];
        let since = match &mut host.names {
            Names::Asking { since } => *since,
            Names::Unknown => return,
            Names::Known { addresses, until, winner, stale, .. } => {
                // The second family, or fresh addresses after stale ones: for the next race.
                if let Ok(found) = result
                    && !found.addresses.is_empty()
                {
                    let best = addresses.get(*winner).copied();
                    let port = host.port;
                    *addresses =
                        found.addresses.iter().map(|ip| SocketAddr::new(*ip, port)).collect();
                    *winner = addresses.iter().position(|a| Some(*a) == best).unwrap_or(0);
                    *until = now.after(found.lifetime);
                    *stale = found.stale;
                }
                return;
            }
        };
        match result {
            Ok(found) if !found.addresses.is_empty() => {
                if !found.stale {
                    self.outage.names_heard(since, now);
                }
                let host = &mut self.hosts[key];
                let port = host.port;
                let addresses = found.addresses.iter().map(|ip| SocketAddr::new(*ip, port));
                let until = now.after(found.lifetime);
                host.names = Names::Known {
                    addresses: addresses.collect(),
                    until,
                    winner: 0,
                    took: now - since,
                    stale: found.stale,
                    unused: true,
                };
                self.count_origin(key);
                self.ring_host(key);
            }
            Ok(_) => {
                let nothing = DnsFailure {
                    name: "dns_nodata",
                    detail: "the name has no address",
                    hint: None,
                    transient: false,
                    servers: NameServers::Answered,
                };
                self.unresolved(key, nothing, since, now, handler);
            }
            Err(failure) => self.unresolved(key, failure, since, now, handler),
        }
    }

    /// Says where a host is, port and scope included, whatever its name says: for addresses that
    /// the user gave. Answers a look-up too, if one is under way.
    pub fn place(&mut self, key: HostKey, addresses: &[SocketAddr], until: Instant, now: Instant) {
        let host = &mut self.hosts[key];
        let took = match host.names {
            Names::Asking { since } => now - since,
            Names::Unknown | Names::Known { .. } => Duration::ZERO,
        };
        // Its limits follow the address, not the literal that stood in its place.
        host.counted = false;
        let addresses = addresses.to_vec();
        host.names = Names::Known { addresses, until, winner: 0, took, stale: false, unused: true };
        self.count_origin(key);
        self.ring_host(key);
    }

    /// Whatever a host waited for, its turn may have come. A look-up that nobody answers is given up, where
    /// whoever looks names up has no bound of his own.
    #[inline(never)]
    pub(super) fn host_due(&mut self, key: HostKey, now: Instant, handler: &mut dyn Handler) {
        let host = &mut self.hosts[key];
        if let Names::Asking { since } = host.names
            && !self.names_are_bounded
        {
            let until = since.after(self.config.connect_timeout);
            if until <= now {
                host.names = Names::Unknown;
                let failing = Failing::new(Kind::Dns("dns_unanswered"));
                self.opening_failed(key, failing, Phase::Dns, false, since, now, handler);
            } else {
                self.host_timers.set(key.index(), until);
            }
        }
        self.ring_host(key);
    }

    fn unresolved(
        &mut self,
        key: HostKey,
        failure: DnsFailure<'_>,
        since: Instant,
        now: Instant,
        handler: &mut dyn Handler,
    ) {
        self.hosts[key].names = Names::Unknown;
        let failing = Failing {
            detail: Some(failure.detail.into()),
            hint: failure.hint.map(Box::from),
            ..Failing::new(Kind::Dns(failure.name))
        };
        let again = self.outage.asks_again(since, now).filter(|_| failure.transient);
        if let Some(at) = again {
            self.hosts[key].hold_open = at;
            self.ring_host(key);
        } else if self.names_are_out(failure.servers, since, now) {
            self.ring_host(key);
        } else if failure.transient {
            self.opening_failed(key, failing, Phase::Dns, false, since, now, handler);
        } else {
            self.decide(key, &failing, Phase::Dns, since, now, handler);
        }
    }

    /// An opening failed as any other one would. The attempt was made for the head of the queue; it decides
    /// for the others, too.
    fn decide(
        &mut self,
        key: HostKey,
        failing: &Failing,
        phase: Phase,
        began: Instant,
        now: Instant,
        handler: &mut dyn Handler,
    ) {
        if let Some(front) = self.front_job(key) {
            self.count_opening(front, failing, began, now);
        }
        self.drain_with(key, failing, phase, now, handler);
    }

    /// A socket of a race is established.
    pub fn connected(&mut self, key: ConnKey, now: Instant, handler: &mut dyn Handler) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        let State::Opening(dial_key) = conn.state else { return };
        conn.setup.connect = now - conn.opened;
        let (host_key, remote) = (conn.host, conn.remote);
        let Some(dial) = self.dials.remove(dial_key) else { return };
        self.dial_timers.cancel(dial_key.index());
        self.outage.heard(now);
        let host = &mut self.hosts[host_key];
        host.dials -= 1;
        host.conns += 1;
        host.stats.connections += 1;
        host.hold_open = Instant::ZERO;
        host.reach = Reach::Open;
        if let Names::Known { addresses, winner, .. } = &mut host.names {
            *winner = addresses.iter().position(|&address| address == remote).unwrap_or(0);
        }
        let secure = host.scheme == Scheme::Https;
        let conn = self.conns[key].serial;
        self.notes.push(now, host_key, What::Connected { conn });
        self.conns[key].state = State::Ready;
        if secure {
            host.securing += 1;
            self.securing += 1;
            let until = dial.until.min(now.after(self.config.tls_timeout));
            self.conns[key].state = State::Securing { since: now, until };
        }
        for loser in dial.racers.into_iter().filter(|&racer| racer != key) {
            self.drop_conn(loser, true, now);
        }
        if secure {
            self.actions.push_back(Action::Secure(key));
            self.arm(key);
        } else {
            let took = self.conns[key].setup.connect;
            self.hosts[host_key].worth.opened(took);
            self.settle_in(key, now, handler);
        }
    }

    /// The handshake is complete.
    pub fn secured(&mut self, key: ConnKey, tls: TlsInfo, now: Instant, handler: &mut dyn Handler) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        let State::Securing { since, .. } = conn.state else { return };
        conn.setup.tls = now - since;
        conn.tls = Some(tls);
        let host = &mut self.hosts[conn.host];
        host.securing -= 1;
        self.securing -= 1;
        host.worth.opened(conn.setup.connect + conn.setup.tls);
        conn.state = State::Ready;
        let (host, conn) = (conn.host, conn.serial);
        self.notes.push(now, host, What::Secured { conn, tls });
        self.ready(key, now, handler);
    }

    /// A race is lost: no address accepted in time.
    pub(super) fn dial_failed(&mut self, key: Key<Dial>, now: Instant, handler: &mut dyn Handler) {
        let Some(dial) = self.dials.remove(key) else { return };
        self.dial_timers.cancel(key.index());
        for &racer in &dial.racers {
            self.drop_conn(racer, true, now);
        }
        let (kind, os, address) = dial.verdict();
        let ours = self.network_is_out(dial.host, kind, dial.started, now);
        let host = &mut self.hosts[dial.host];
        host.dials -= 1;
        // What was wrong on our own side tells nothing of the host.
        let own = matches!(kind, Kind::NetworkDown | Kind::AddressRefused | Kind::OutOfSockets);
        host.stats.open_failures += u64::from(!(ours || own));
        if let Names::Known { addresses, winner, until, .. } = &mut host.names {
            *winner = (*winner + 1) % addresses.len().max(1);
            // It may have moved: whoever looks names up decides whether to ask again. What the
            // user gave stays.
            if *until != Instant::NEVER {
                *until = (*until).min(now);
            }
        }
        if ours {
            self.ring_host(dial.host);
            return;
        }
        let detail = address.map(|address| {
            let mut out = Vec::new();
            push_address(&mut out, address);
            text(out)
        });
        let failing = Failing { os, detail, ..Failing::new(kind) };
        let complaint = match kind {
            Kind::Refused => Some(Complaint::Refused),
            Kind::ConnectTimeout => Some(Complaint::ConnectTimeout),
            // Accepted and reset before this machine looked: one too many all the same.
            Kind::ConnectFailed if dial.was_reset() => Some(Complaint::FreshReset),
            _ => None,
        };
        // One too many where others were let in before: under this name, or under any at its address.
        // It counts as open itself. No request was on it.
        if let (Some(complaint), true) = (complaint, host.has_served()) {
            let open = host.slots() + 1;
            host.limit.turned_away(now, complaint, dial.started, open);
        }
        if let (Some(complaint), Some(address)) = (complaint, address) {
            let group = self.group_of(address) as usize;
            let group = &mut self.groups[group];
            if group.served_at.contains(&address.port()) {
                let open = group.conns + 1;
                group.limit.turned_away(now, complaint, dial.started, open);
            }
        }
        self.note_limit(dial.host, now);
        // Whoever resets what it has accepted is there.
        let says_down = !(own || dial.was_reset());
        self.opening_failed(
            dial.host,
            failing,
            Phase::Connect,
            says_down,
            dial.started,
            now,
            handler,
        );
    }

    /// The handshake failed.
    pub(super) fn securing_failed(
        &mut self,
        key: ConnKey,
        mut failing: Failing,
        is_final: bool,
        now: Instant,
        handler: &mut dyn Handler,
    ) {
        let conn = &self.conns[key];
        let (host_key, opened, group) = (conn.host, conn.opened, conn.group);
        failing.opened = conn.serial;
        self.drop_conn(key, true, now);
        let host = &mut self.hosts[host_key];
        let complaint = match failing.kind {
            Kind::TlsTimeout => Some(Complaint::HandshakeTimeout),
            Kind::ResetInHandshake | Kind::EofInHandshake => Some(Complaint::FreshReset),
            _ => None,
        };
        if let (Some(complaint), true) = (complaint, host.has_served()) {
            self.one_too_many((host_key, group), complaint, opened, now);
        }
        self.note_limit(host_key, now);
        if is_final && self.hosts[host_key].proven == 0 {
            self.decide(host_key, &failing, Phase::Tls, opened, now, handler);
        } else {
            self.opening_failed(host_key, failing, Phase::Tls, false, opened, now, handler);
        }
    }

    /// A connection could not be had: the host's backoff, counted for the head of its queue. `says_down`:
    /// nothing at its addresses accepts one.
    #[expect(clippy::too_many_arguments, reason = "what failed, and when")]
    fn opening_failed(
        &mut self,
        key: HostKey,
        failing: Failing,
        phase: Phase,
        says_down: bool,
        began: Instant,
        now: Instant,
        handler: &mut dyn Handler,
    ) {
        match failing.kind {
            Kind::OutOfSockets => {
                // Ours, not the host's: fewer connections from now on, and a moment's rest.
                self.lower_cap(now);
                self.ring_host(key);
                return;
            }
            Kind::AddressRefused => {
                self.drain_with(key, &failing, phase, now, handler);
                return;
            }
            kind if self.network_is_out(key, kind, began, now) => {
                self.ring_host(key);
                return;
            }
            _ => {}
        }
        let host = &self.hosts[key];
        let alive = host.busy > 0 || !host.idle.is_empty();
        let (since, rounds, last) = match host.reach {
            Reach::Failing { since, rounds, last } => (since, rounds, last),
            Reach::Down { rounds, .. } => (now, rounds, Instant::ZERO),
            _ => (now, 0, Instant::ZERO),
        };
        if !alive && rounds > 0 && began < last {
            // Begun before the last failure was counted: the same round.
            self.ring_host(key);
            return;
        }
        let front = self.front_job(key);
        let failures = front.map_or(0, |job| self.jobs[job].failures);
        let wait = retry::backoff(&self.config, rounds.max(failures), &mut self.random);
        let (rounds, probe) = (rounds.saturating_add(1), now.later(wait));
        let host = &mut self.hosts[key];
        if alive {
            // Others of its connections work: only the opening of further ones rests.
            host.hold_open = now.later(wait.max(nanos(self.config.backoff_base) / 2));
            self.ring_host(key);
            return;
        }
        // What is opened next is of another attempt.
        host.unopened = now;
        let is_there = phase == Phase::Connect && !says_down;
        if matches!(host.reach, Reach::Down { .. }) && !is_there {
            host.reach = Reach::Down { rounds, probe };
            host.hold_open = probe;
            self.drain_with(key, &failing, phase, now, handler);
            return;
        }
        host.reach = Reach::Failing { since, rounds, last: now };
        let patience = self.config.host_down_after;
        let patient = host.has_served() && now < since.after(patience);
        host.hold_open = if patient { probe.min(now.later(PATIENT_CAP)) } else { probe };
        let Some(front) = front.filter(|_| !patient) else {
            self.ring_host(key);
            return;
        };
        self.count_opening(front, &failing, began, now);
        let out_of_time = self.out_of_time(front, probe);
        let job = &self.jobs[front];
        let served = self.hosts[key].has_served();
        if job.failures < job.attempts_allowed && !out_of_time && !served {
            self.ring_host(key);
            return;
        }
        self.end_queued(front, &failing, phase, now, handler);
        if says_down {
            self.hosts[key].reach = Reach::Down { rounds, probe };
            self.notes.push(now, key, What::Down);
            let failing = Failing { kind: Kind::HostDown, ..failing };
            self.drain_with(key, &failing, Phase::Connect, now, handler);
        } else if let Kind::Dns(_) = failing.kind {
            self.drain_with(key, &failing, phase, now, handler);
        }
        self.ring_host(key);
    }

    /// An attempt of this job ended before there was a connection.
    fn count_opening(
        &mut self,
        key: super::JobKey,
        failing: &Failing,
        began: Instant,
        now: Instant,
    ) {
        let job = &mut self.jobs[key];
        job.started.get_or_insert(began);
        job.attempts += 1;
        job.failures += 1;
        job.tries.push(Try {
            kind: failing.kind,
            status: None,
            conn: failing.opened,
            reused: false,
            at_byte: 0,
            took: now - began,
        });
    }

    /// The job that a connection to this host would take first.
    fn front_job(&self, key: HostKey) -> Option<super::JobKey> {
        QUEUES_OF_FRESH
            .into_iter()
            .find_map(|queue| self.hosts[key].queues[queue as usize].front(&self.jobs))
    }

    /// Ends all jobs that wait for this host, each with the same failure.
    pub(super) fn drain_with(
        &mut self,
        key: HostKey,
        failing: &Failing,
        phase: Phase,
        now: Instant,
        handler: &mut dyn Handler,
    ) {
        // What a handler submits meanwhile is not part of it: commands are applied later.
        for queue in 0..QUEUES {
            while let Some(job) = self.hosts[key].queues[queue].front(&self.jobs) {
                self.end_queued(job, failing, phase, now, handler);
            }
        }
    }

    /// Ends a job that waits for a connection.
    fn end_queued(
        &mut self,
        job: super::JobKey,
        failing: &Failing,
        phase: Phase,
        now: Instant,
        handler: &mut dyn Handler,
    ) {
        self.dequeue(job);
        let reused = (failing.opened > 0).then_some(false);
        let failure = failing.clone().into_failure(failing.kind, phase, reused);
        self.finish(job, Err(failure), &Attempt::none(now), now, handler);
    }

    /// Ends all jobs that wait for this host, by a rule rather than by a failure of their own.
    pub(super) fn drain_queues(
        &mut self,
        key: HostKey,
        kind: Kind,
        now: Instant,
        handler: &mut dyn Handler,
    ) {
        self.drain_with(key, &Failing::new(kind), Phase::Queue, now, handler);
    }
}
