//! Who gets work next: the ring of hosts, the caps, the hand-over of jobs to connections.
//!
//! Owns fairness among hosts and every cap: a host's own limit, that of its address, the global
//! one. A host with work and no obstacle is in the ring; each step serves one job of the host in
//! front and moves it to the back; the first refusal by the global cap ends the round, so that an
//! event never costs a walk over all hosts.
#![expect(
    clippy::cast_possible_truncation,
    reason = "connections and races are counted in `u32` since `max_connections` is one; groups are fewer than hosts, whose keys have as many bits"
)]
#![expect(
    clippy::indexing_slicing,
    reason = "hosts and groups live as long as the engine; a queue's number is an enum's; connections and jobs come from the lists of those that are there, or were looked up by `get` in the same function, before anything is dropped"
)]

use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use super::conn::{Conn, ConnKey, Delivery, Exchange, Sending, Setup, State, Window};
use super::dial::Dial;
use super::host::{Host, HostKey, Names, Reach};
use super::job::{JobKey, JobState, Queue};
use super::limit::{Limit, LimitConfig};
use super::observe::What;
use super::{Action, Cause, Engine, Fault, Group, Handler, JobRef, Kind, PerHost};
use crate::base::{Instant, Key, Links, List};
use crate::proto;

/// A request that must not be sent twice goes only on a connection that idled less than this.
const SURELY_ALIVE: Duration = Duration::from_secs(1);
/// An idle connection that nobody has missed for this long may give way to any other.
const UNMISSED: Duration = Duration::from_secs(1);
/// Responses after which a connection gives way to hosts that have none.
const FAIR_TURN: u32 = 64;
/// With so few connections in all, nothing is searched for the limit of an address: it is all of
/// them.
pub(super) const FEW: u32 = 4;
/// Addresses may be used for the connection that they were looked up for, though it had to wait
/// for a slot for this long after their time: else a long queue would ask again and again.
const ANSWER_WAITS: Duration = Duration::from_secs(300);
/// How soon the machine is asked again after it was out of sockets.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(500);
/// While other hosts have so many connections coming, one is enough for each.
const CROWD: u32 = 16;

/// How long a cap that was lowered stays so; twice as long after each further shortage,
pub(super) const CAP_REST: Duration = Duration::from_secs(1);
/// but never longer than this.
const CAP_REST_MOST: Duration = Duration::from_secs(60);

/// What became of a step.
enum Step {
    /// One job or one connection further: the host goes to the back.
    Moved,
    /// An obstacle: the event that lifts it puts the host back into the ring.
    Blocked,
    /// The global cap: nobody behind this host can open a connection either.
    Full,
}

impl Engine {
    /// Serves the ring until it is empty or the global cap refuses.
    pub(super) fn schedule(&mut self, now: Instant, handler: &mut dyn Handler) {
        self.starving = false;
        while let Some(host) = self.ring.front(&self.hosts) {
            let step = self.step(host, now, handler);
            // What was woken for the room at its address may have had no use for it.
            if !matches!(step, Step::Full)
                && let Some(group) = self.hosts[host].woken_by.take()
            {
                self.wake_waiting(group);
            }
            match step {
                Step::Moved => {
                    if List::<0>::holds(&self.hosts, host) {
                        self.ring.remove(&mut self.hosts, host);
                        self.ring.push_back(&mut self.hosts, host);
                    }
                }
                Step::Blocked => {
                    if List::<0>::holds(&self.hosts, host) {
                        self.ring.remove(&mut self.hosts, host);
                    }
                }
                Step::Full => {
                    self.starving = true;
                    break;
                }
            }
        }
    }

    fn step(&mut self, key: HostKey, now: Instant, handler: &mut dyn Handler) -> Step {
        if self.hosts[key].has_no_queue() {
            return Step::Blocked;
        }
        if self.turned_away(key, now, handler) || self.waits(key, now) {
            return Step::Blocked;
        }
        // Idle connections beyond the limit rest until it grows again.
        if !self.hosts[key].idle.is_empty() && self.hosts[key].is_at_work() {
            return Step::Blocked;
        }
        if let Some(conn) = self.hosts[key].idle.front(&self.conns)
            && let Some(job) = self.next_job(conn, now)
        {
            self.start(conn, job, now);
            return Step::Moved;
        }
        self.open_one(key, now, handler)
    }

    /// Whether the host is held or paced; arms the timer that ends it.
    fn waits(&mut self, key: HostKey, now: Instant) -> bool {
        let host = &mut self.hosts[key];
        let ready = host.pace.ready_at(now).max(self.overall_pace.ready_at(now));
        if ready > now {
            self.host_timers.set(key.index(), ready);
            return true;
        }
        false
    }

    /// Opens a connection for a host whose idle ones do not do.
    fn open_one(&mut self, key: HostKey, now: Instant, handler: &mut dyn Handler) -> Step {
        let host = &self.hosts[key];
        if host.coming() >= host.queued() {
            return Step::Blocked;
        }
        if host.slots() >= host.limit.allowed() {
            // A job that none of the idle ones suits must not wait for them for ever.
            if let Some(idle) = host.idle.front(&self.conns) {
                self.retire(idle, now);
            }
            return Step::Blocked;
        }
        // Of many that wait for a slow pace, few will ever need a connection of their own.
        let soon = host.pace.soon(now).min(self.overall_pace.soon(now));
        if host.coming() >= soon {
            return Step::Blocked;
        }
        let probing = matches!(host.reach, Reach::Failing { .. } | Reach::Down { .. });
        if probing && host.coming() > 0 {
            return Step::Blocked;
        }
        if host.hold_open > now {
            let at = host.hold_open;
            self.host_timers.set(key.index(), at);
            return Step::Blocked;
        }
        let first = match &host.names {
            Names::Asking { .. } => return Step::Blocked,
            Names::Known { addresses, until, winner, unused, .. }
                if *until > now || (*unused && now - *until < ANSWER_WAITS) =>
            {
                match addresses.get(*winner).or(addresses.first()) {
                    Some(first) => *first,
                    None => return self.ask(key, now),
                }
            }
            Names::Unknown | Names::Known { .. } => return self.ask(key, now),
        };
        if let Some(at) = self.not_worth_it_before(key, now) {
            let armed = self.host_timers.get(key.index()).unwrap_or(at);
            self.host_timers.set(key.index(), at.min(armed));
            return Step::Blocked;
        }
        if self.turned_away_by_group(key, first, now) {
            return Step::Blocked;
        }
        if self.exhausted > now {
            let at = self.exhausted;
            self.host_timers.set(key.index(), at);
            return Step::Blocked;
        }
        if let Some(at) = self.outage.waits_until(now) {
            self.host_timers.set(key.index(), at);
            return Step::Blocked;
        }
        if self.conns.len() as u32 >= self.cap
            && !self.raise_cap(key, now)
            && !self.make_room(key, now)
        {
            // Who has a connection goes on with it; its next answer asks again. Only a host that
            // has none holds up those behind it.
            let host = &self.hosts[key];
            if host.slots() == 0 {
                return Step::Full;
            }
            if host.slots() == host.idle.len()
                && let Some(idle) = host.idle.front(&self.conns)
            {
                // None of its own suits the job: one gives its slot up, or nothing would ask again.
                self.retire(idle, now);
            }
            // Its connections may be busy for hours, and slots come free elsewhere meanwhile.
            let again = now + UNMISSED;
            let armed = self.host_timers.get(key.index()).unwrap_or(again);
            self.host_timers.set(key.index(), again.min(armed));
            return Step::Blocked;
        }
        self.dial(key, now, handler);
        Step::Moved
    }

    /// When another connection of a host may become worth its opening, if it is not yet.
    fn not_worth_it_before(&self, key: HostKey, now: Instant) -> Option<Instant> {
        let host = &self.hosts[key];
        // What was moved off a stale connection can't go on those that are at work.
        let moved = !host.queues[Queue::Moved as usize].is_empty();
        if host.busy + host.coming() == 0 || moved {
            return None;
        }
        let coming = self.dials.len() as u32 + self.securing;
        let crowded = coming - host.coming() >= CROWD;
        let pressed = self.pulse.is_pressed();
        host.worth.later(host.queued() - host.coming(), host.busy, crowded, pressed, now)
    }

    /// This machine is out of sockets: fewer connections from now on, and a moment's rest.
    pub(super) fn lower_cap(&mut self, now: Instant) {
        self.cap = (self.conns.len() as u32).min(self.cap).max(1);
        if self.exhausted <= now {
            // Those that fail together are one shortage; each further one is rested from longer.
            self.cap_rises = now + self.cap_rest;
            self.cap_rest = (self.cap_rest * 2).min(CAP_REST_MOST);
        }
        self.exhausted = now + EXHAUSTED_PAUSE;
    }

    /// Lets a lowered cap rise by a quarter, now and then: a shortage passes. True when there is
    /// room now; else the host is woken when the cap may rise.
    fn raise_cap(&mut self, host: HostKey, now: Instant) -> bool {
        let most = self.config.max_connections.max(1);
        if self.cap >= most {
            return false;
        }
        if self.cap_rises > now {
            self.host_timers.set(host.index(), self.cap_rises);
            return false;
        }
        self.cap = (self.cap + (self.cap / 4).max(1)).min(most);
        self.cap_rises = now + EXHAUSTED_PAUSE;
        if self.cap == most {
            self.cap_rest = CAP_REST;
        }
        (self.conns.len() as u32) < self.cap
    }

    fn ask(&mut self, key: HostKey, now: Instant) -> Step {
        if let Some(at) = self.outage.waits_until(now) {
            self.host_timers.set(key.index(), at);
            return Step::Blocked;
        }
        self.hosts[key].names = Names::Asking { since: now };
        self.actions.push_back(Action::Resolve(key));
        Step::Blocked
    }

    fn dial(&mut self, key: HostKey, now: Instant, handler: &mut dyn Handler) {
        let until = now + self.config.connect_timeout;
        let host = &mut self.hosts[key];
        if host.busy + host.coming() == 0 {
            host.worth.begins(now);
        }
        let Names::Known { addresses, winner, took, stale, unused, .. } = &mut host.names else {
            return;
        };
        *unused = false;
        let dns = (core::mem::take(took), *stale);
        let dial = Dial::new(key, addresses, *winner, now, until, dns);
        host.dials += 1;
        host.stats.peak = host.stats.peak.max(host.slots());
        let dial = self.dials.insert(dial);
        self.race_on(dial, now, handler);
    }

    /// Starts the next address of a race, if one is left and there is room.
    pub(super) fn race_on(&mut self, key: Key<Dial>, now: Instant, handler: &mut dyn Handler) {
        let stagger = self.config.happy_eyeballs;
        loop {
            let dial = &mut self.dials[key];
            if !dial.racers.is_empty() && dial.has_more() && self.conns.len() as u32 >= self.cap {
                // Only the first socket of a race has a claim to a slot: when it stays silent, the
                // next address gets it, so that each has its share of the time.
                let Some(silent) = dial.silent(now) else {
                    dial.postpone(now, stagger);
                    break;
                };
                let remote = self.conns[silent].remote;
                dial.lost(silent, remote, Fault::new(Cause::TimedOut));
                self.drop_conn(silent, true, now);
                continue;
            }
            let Some(address) = dial.next(now, stagger) else {
                if dial.racers.is_empty() {
                    self.dial_failed(key, now, handler);
                    return;
                }
                break;
            };
            let host = dial.host;
            if !handler.allow(host, address) {
                dial.refused = Some(address);
                continue;
            }
            self.begin(key, address, now);
            break;
        }
        self.dial_timers.set(key.index(), self.dials[key].deadline());
    }

    /// One socket more in a race.
    fn begin(&mut self, key: Key<Dial>, address: SocketAddr, now: Instant) {
        let group = self.group_of(address);
        let dial = &mut self.dials[key];
        self.serial += 1;
        let conn = self.conns.insert(Conn {
            host: dial.host,
            serial: self.serial,
            remote: address,
            group,
            opened: now,
            served: 0,
            tls: None,
            setup: Setup { dns: dial.dns, dns_stale: dial.dns_stale, ..Setup::default() },
            state: State::Opening(key),
            in_host: Links::default(),
            in_all: Links::default(),
            in_group: Links::default(),
        });
        dial.racers.push(conn);
        let host = dial.host;
        self.notes.push(now, host, What::Opening { conn: self.serial, address });
        self.groups[group as usize].conns += 1;
        self.actions.push_back(Action::Open { conn, address });
    }

    /// The group of an address.
    pub(super) fn group_of(&mut self, address: SocketAddr) -> u32 {
        if let Some(&group) = self.group_index.get(&address.ip()) {
            return group;
        }
        let ceiling = self.ceiling(address);
        let config = match self.config.per_host {
            PerHost::Fixed(n) => {
                LimitConfig { floor: n.max(1), ..LimitConfig::address(ceiling.max(n)) }
            }
            PerHost::Auto { .. } => LimitConfig::address(ceiling),
        };
        let config =
            LimitConfig { start: config.start.max(config.floor).min(config.ceiling), ..config };
        let group = self.groups.len() as u32;
        let limit = if self.config.max_connections <= FEW {
            Limit::fixed(self.config.max_connections as u16)
        } else {
            Limit::new(&config, self.random.u64(..), Instant::ZERO)
        };
        self.groups.push(Group {
            limit,
            conns: 0,
            busy: 0,
            origins: 0,
            served_at: Vec::new(),
            waiting: alloc::collections::VecDeque::new(),
            idle: List::new(),
        });
        self.group_index.insert(address.ip(), group);
        group
    }

    /// The ceiling for an address: what the user named, or what is polite there.
    pub(super) fn ceiling(&self, address: SocketAddr) -> u16 {
        match self.config.per_host {
            PerHost::Auto { ceiling: Some(ceiling), .. } => ceiling.max(1),
            _ if is_private(address) => LimitConfig::CEILING_PRIVATE,
            _ => LimitConfig::CEILING_PUBLIC,
        }
    }

    fn turned_away_by_group(&mut self, host: HostKey, address: SocketAddr, now: Instant) -> bool {
        let number = self.group_of(address) as usize;
        let group = &mut self.groups[number];
        if group.origins < 2 || group.conns < group.limit.allowed() {
            return false;
        }
        if !core::mem::replace(&mut self.hosts[host].turned_away, true) {
            group.waiting.push_back(host);
            self.give_way(number, now);
        }
        true
    }

    /// A connection that nobody uses must not keep those out who wait for room at its address.
    fn give_way(&mut self, group: usize, now: Instant) {
        let mut next = self.groups[group].idle.front(&self.conns);
        while let Some(conn) = next {
            let owner = self.conns[conn].host;
            if self.conns[conn].served > 0 || self.hosts[owner].has_no_queue() {
                self.retire(conn, now);
                break;
            }
            next = self.groups[group].idle.after(&self.conns, conn);
        }
    }

    /// Whether a connection should make room for other hosts at its address: it has no work, or
    /// has had its turn.
    fn gives_way(&self, key: ConnKey) -> bool {
        let conn = &self.conns[key];
        let wanted = !self.groups[conn.group as usize].waiting.is_empty();
        wanted
            && conn.served > 0
            && (self.hosts[conn.host].has_no_queue() || conn.served.is_multiple_of(FAIR_TURN))
    }

    /// Makes room for a connection of `host`: closes the longest idle connection of another one.
    /// A further connection of a host that has one is worth only one that nobody has missed for a
    /// while: else hosts with work would close each other's connections all the time. True when
    /// there is room now.
    fn make_room(&mut self, host: HostKey, now: Instant) -> bool {
        // One is under way for each host that waits: their slots come with the peers' FINs.
        if self.closing >= self.ring.len() {
            return false;
        }
        let mut next = self.idle.front(&self.conns);
        let mut spared = None;
        while let Some(conn) = next {
            let owner = self.conns[conn].host;
            let untried = self.conns[conn].served == 0 && !self.hosts[owner].has_no_queue();
            let missed = match self.conns[conn].state {
                State::Idle { since, .. } => now - since < UNMISSED,
                _ => true,
            };
            if missed && self.hosts[host].slots() > 0 {
                // The others have been idle for less.
                break;
            }
            if owner != host && !untried {
                spared = None;
                self.retire(conn, now);
                break;
            }
            if owner != host {
                spared = spared.or(Some(conn));
            }
            next = self.idle.after(&self.conns, conn);
        }
        if let Some(conn) = spared {
            // What its own host has queued does not suit it, or has to wait.
            self.retire(conn, now);
        }
        (self.conns.len() as u32) < self.cap
    }

    /// The job that this ready connection takes, out of its queue.
    pub(super) fn next_job(&mut self, key: ConnKey, now: Instant) -> Option<JobKey> {
        let conn = &self.conns[key];
        let idle_since = match conn.state {
            State::Idle { since, .. } => Some(since),
            _ => None,
        };
        let host = &self.hosts[conn.host];
        let fresh = conn.served == 0;
        let order: &[Queue] = if fresh {
            &[Queue::Moved, Queue::Urgent, Queue::Ordinary, Queue::Again]
        } else {
            &[Queue::Again, Queue::Urgent, Queue::Ordinary]
        };
        for &queue in order {
            let Some(job) = host.queues[queue as usize].front(&self.jobs) else { continue };
            let wanted = &self.jobs[job];
            // The last attempt is kept for a connection that has proven itself, where one is.
            let last = wanted.failures + 1 >= wanted.attempts_allowed && wanted.failures > 0;
            if fresh && queue == Queue::Again && last && host.proven > 0 {
                continue;
            }
            // What can't be sent twice goes on a connection that is surely alive.
            let stale = idle_since.is_some_and(|since| now - since >= SURELY_ALIVE);
            if stale && !wanted.repeatable {
                continue;
            }
            self.dequeue(job);
            return Some(job);
        }
        None
    }

    /// Puts a job on a connection.
    pub(super) fn start(&mut self, key: ConnKey, job: JobKey, now: Instant) {
        self.leave_idle(key);
        let below_cap = (self.conns.len() as u32) < self.cap;
        let conn = &mut self.conns[key];
        let host_key = conn.host;
        let host = &mut self.hosts[host_key];
        let rested = match conn.state {
            State::Idle { since, .. } => since,
            _ => now,
        };
        host.habits.outlived_rest(now - rested);
        if host.busy == 0 {
            if rested < now {
                host.worth.begins(now);
            } else {
                host.worth.asks(now);
            }
        }
        host.busy += 1;
        self.busy += 1;
        host.elsewhere += 1;
        host.pace.take(now);
        self.overall_pace.take(now);
        if self.jobs[job].attempts == 0 {
            host.budget.earn();
            self.overall_budget.earn();
        }
        host.stats.requests += 1;
        // Whether more work waits that nothing but the limit of its host, or of its address,
        // holds back: no pace, and not the cap of all.
        let group = &mut self.groups[conn.group as usize];
        group.busy += 1;
        let shared = group.origins > 1;
        let group_full = shared && group.conns >= group.limit.allowed();
        let paced = host.pace.binds() || self.overall_pace.binds();
        let waits = !host.queues.iter().all(List::is_empty) && !paced && below_cap;
        let host_full = host.slots() >= host.limit.allowed();
        host.limit.sent(now, host.busy, waits && (host_full || !group_full));
        if shared {
            group.limit.sent(now, group.busy, waits || !group.waiting.is_empty());
        }
        let in_flight = (host.busy, group.busy);
        let (number, reused) = (conn.serial, conn.served > 0);
        let record = &mut self.jobs[job];
        record.state = JobState::Running(key);
        record.started.get_or_insert(now);
        record.attempts += 1;
        record.progress.before = record.progress.delivered;
        conn.state = State::Busy(Exchange {
            job,
            started: now,
            rested,
            sending: Sending::Unsent,
            response: proto::Response::new(record.exchange),
            delivery: Delivery::Undecided,
            first_byte: None,
            last_byte: now,
            window: Window { since: now, bytes: 0 },
            paused: false,
            in_flight,
            greeting: super::conn::Greeting::default(),
        });
        let (tag, attempt) = (record.tag, record.attempts);
        let job = JobRef { key: job, tag };
        self.notes.push(now, host_key, What::Sent { job, conn: number, attempt, reused });
        self.actions.push_back(Action::Transmit(key));
        self.arm(key);
    }

    /// A connection is ready: it takes a job, gives way, or waits for one.
    pub(super) fn ready(&mut self, key: ConnKey, now: Instant, handler: &mut dyn Handler) {
        let conn = &self.conns[key];
        let (host_key, served) = (conn.host, conn.served);
        let habits = &mut self.hosts[host_key].habits;
        let used_up = habits.is_used_up(served) && !habits.take_question();
        let used_up = served > 0 && (!self.config.reuse || used_up);
        let host = &self.hosts[host_key];
        let too_many = served > 0 && self.is_surplus(key);
        // A job that only a newer connection may take must not wait for ever.
        let moved_waits = served > 0
            && !host.queues[Queue::Moved as usize].is_empty()
            && host.coming() == 0
            && host.slots() >= host.limit.allowed();
        let unfair = served > 0 && self.starving && self.unfair(host_key, served);
        if used_up || too_many || moved_waits || unfair || self.gives_way(key) {
            self.close_politely(key, now);
            self.ring_host(host_key);
            return;
        }
        if !self.hosts[host_key].is_at_work()
            && !self.turned_away(host_key, now, handler)
            && !self.waits(host_key, now)
            && let Some(job) = self.next_job(key, now)
        {
            self.start(key, job, now);
            // The limit may have grown with the answer that was just completed.
            if self.may_do_more(host_key) {
                self.ring_host(host_key);
            }
            return;
        }
        self.rest(key, now);
        self.ring_host(host_key);
    }

    /// Whether there are more connections than the limit of its host, or of its address, lets stay
    /// or work. Those that are closing are none of them: on a long way, where closing takes time, all
    /// would be closed for the sake of one.
    fn is_surplus(&self, key: ConnKey) -> bool {
        let conn = &self.conns[key];
        let host = &self.hosts[conn.host];
        let stay = host.busy + host.idle.len() + host.coming() + 1;
        let group = &self.groups[conn.group as usize];
        stay > host.limit.keeps() || (group.origins > 1 && group.busy >= group.limit.allowed())
    }

    /// Whether a host takes more than its share while others have nothing.
    fn unfair(&self, host: HostKey, served: u32) -> bool {
        let share = (self.cap / self.ring.len().max(1)).max(1);
        self.hosts[host].conns > share || served.is_multiple_of(FAIR_TURN)
    }

    /// Whether more of its work could be under way than is.
    fn may_do_more(&self, key: HostKey) -> bool {
        let host = &self.hosts[key];
        let idle = !host.idle.is_empty() && !host.is_at_work();
        idle || (host.slots() < host.limit.allowed() && host.coming() < host.queued())
    }

    /// Puts a connection among the idle ones, to wait for work.
    fn rest(&mut self, key: ConnKey, now: Instant) {
        let conn = &mut self.conns[key];
        let host = &mut self.hosts[conn.host];
        let until = now + host.habits.idle_for(self.config.idle_timeout);
        conn.state = State::Idle { since: now, until };
        // The one that was used last is taken first: the others grow old and are retired.
        host.idle.push_front(&mut self.conns, key);
        self.idle.push_back(&mut self.conns, key);
        let group = self.conns[key].group as usize;
        self.groups[group].idle.push_back(&mut self.conns, key);
        if host.busy == 0 && host.has_no_queue() {
            host.limit.idle(now);
        }
        let conn = &self.conns[key];
        self.notes.push(now, conn.host, What::Idle { conn: conn.serial });
        self.arm(key);
    }

    /// Takes a connection out of the lists of idle ones, if it is there.
    pub(super) fn leave_idle(&mut self, key: ConnKey) {
        if let State::Idle { .. } = self.conns[key].state {
            let host = self.conns[key].host;
            self.hosts[host].idle.remove(&mut self.conns, key);
            self.idle.remove(&mut self.conns, key);
            let group = self.conns[key].group as usize;
            self.groups[group].idle.remove(&mut self.conns, key);
        }
    }

    /// Closes an idle connection that is not wanted any more.
    pub(super) fn retire(&mut self, key: ConnKey, now: Instant) {
        self.leave_idle(key);
        let conn = &self.conns[key];
        self.notes.push(now, conn.host, What::Retired { conn: conn.serial });
        self.close_politely(key, now);
    }

    /// Sends our end and waits for the peer's, counted in the caps until it is there.
    pub(super) fn close_politely(&mut self, key: ConnKey, now: Instant) {
        self.conns[key].state = State::Closing { until: now + self.config.closing_timeout };
        self.closing += 1;
        self.actions.push_back(Action::Finish(key));
        self.arm(key);
    }

    /// The connection is gone from the engine; its slot and its host's are free.
    pub(super) fn drop_conn(&mut self, key: ConnKey, reset: bool, now: Instant) {
        self.leave_idle(key);
        let Some(conn) = self.conns.remove(key) else { return };
        self.conn_timers.cancel(key.index());
        let gone = What::Closed { conn: conn.serial, served: conn.served };
        self.notes.push(now, conn.host, gone);
        self.actions.push_back(Action::Close { conn: key, reset });
        let host = &mut self.hosts[conn.host];
        let group = &mut self.groups[conn.group as usize];
        match conn.state {
            State::Opening(_) => {}
            State::Securing { .. } => {
                host.conns -= 1;
                host.securing -= 1;
                self.securing -= 1;
            }
            State::Closing { .. } => {
                host.conns -= 1;
                self.closing -= 1;
            }
            State::Busy(_) => {
                host.conns -= 1;
                host.busy -= 1;
                self.busy -= 1;
                group.busy -= 1;
            }
            State::Idle { .. } | State::Ready => host.conns -= 1,
        }
        if conn.served > 0 {
            host.proven -= 1;
        }
        if host.busy == 0 && host.has_no_queue() {
            host.limit.idle(now);
        }
        self.groups[conn.group as usize].conns -= 1;
        self.wake_waiting(conn.group);
        let group = &self.groups[conn.group as usize];
        if !group.waiting.is_empty() && group.conns >= group.limit.allowed() {
            // The limit has shrunk below what was open: one that left made no room yet.
            self.give_way(conn.group as usize, now);
        }
        self.ring_host(conn.host);
    }

    /// Wakes as many of those who wait for a slot at this address as there is room for.
    pub(super) fn wake_waiting(&mut self, group: u32) {
        let place = group as usize;
        let mut room = self.groups[place].limit.allowed().saturating_sub(self.groups[place].conns);
        while room > 0
            && let Some(waiting) = self.groups[place].waiting.pop_front()
        {
            let host = &mut self.hosts[waiting];
            host.turned_away = false;
            if !host.has_no_queue() {
                room -= 1;
                host.woken_by = Some(group);
                self.ring_host(waiting);
            }
        }
    }

    /// Appends a job to a queue of its host.
    pub(super) fn enqueue(&mut self, job: JobKey, queue: Queue) {
        let host = self.jobs[job].host;
        self.jobs[job].state = JobState::Queued(queue);
        self.hosts[host].queues[queue as usize].push_back(&mut self.jobs, job);
        if self.hosts[host].idle.is_empty() {
            if self.has_no_obstacle(host) {
                self.ring_host(host);
            }
            return;
        }
        // A connection of its own waits: no need to stand behind those who need a slot.
        if List::<0>::holds(&self.hosts, host) {
            self.ring.remove(&mut self.hosts, host);
        }
        self.ring.push_front(&mut self.hosts, host);
    }

    /// Takes a job out of its queue.
    pub(super) fn dequeue(&mut self, job: JobKey) {
        if let JobState::Queued(queue) = self.jobs[job].state {
            let host = self.jobs[job].host;
            self.hosts[host].queues[queue as usize].remove(&mut self.jobs, job);
            self.jobs[job].state = JobState::Waiting;
        }
    }

    /// A cheap look at whether a step could do anything for a host that just got work.
    fn has_no_obstacle(&self, key: HostKey) -> bool {
        let host = &self.hosts[key];
        !host.idle.is_empty()
            || host.slots() < host.limit.allowed()
            || !matches!(host.reach, Reach::Open)
    }

    /// Puts a host into the ring, if it has work and is not there.
    pub(super) fn ring_host(&mut self, key: HostKey) {
        if !self.hosts[key].has_no_queue() && !List::<0>::holds(&self.hosts, key) {
            self.ring.push_back(&mut self.hosts, key);
        }
    }

    /// Whether jobs of this host end at once, because it is given up or asked to be left alone.
    fn turned_away(&mut self, key: HostKey, now: Instant, handler: &mut dyn Handler) -> bool {
        match self.hosts[key].reach {
            Reach::Open | Reach::Failing { .. } => false,
            Reach::Closed { until } if until <= now => {
                self.hosts[key].reach = Reach::Open;
                false
            }
            Reach::Closed { .. } => {
                self.drain_queues(key, Kind::HostClosed, now, handler);
                true
            }
            Reach::Down { probe, .. } if probe <= now => false,
            Reach::Down { .. } => {
                if self.hosts[key].coming() > 0 {
                    // A probe is under way: its answer decides.
                    return true;
                }
                self.drain_queues(key, Kind::HostDown, now, handler);
                true
            }
        }
    }
}

/// Loopback, link-local, private and shared addresses: the user's own machines.
fn is_private(address: SocketAddr) -> bool {
    match address.ip().to_canonical() {
        core::net::IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_loopback()
                || ip.is_private()
                || ip.is_link_local()
                || (a == 100 && b & 0xc0 == 64)
        }
        core::net::IpAddr::V6(ip) => {
            ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()
        }
    }
}

impl Host {
    /// Whether a connection of this host was ever established in this run.
    pub(super) fn has_served(&self) -> bool {
        self.stats.responses > 0
    }
}
