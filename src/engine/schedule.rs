//! Who gets work next: the ring of hosts.
//!
//! Owns fairness among hosts, their queues, and the order in which obstacles are looked at before a
//! host may open a connection. A host with work and no obstacle is in the ring; each step serves one
//! job of the host in front and moves it to the back; the first refusal by the cap of all ends the
//! round, so that an event never costs a walk over all hosts. The caps themselves are kept elsewhere:
//! a host's own limit in `limit`, that of its address in `group`, that of all in `cap`; what a
//! connection does with its job is `send`'s and `receive`'s.
#![expect(
    clippy::cast_possible_truncation,
    reason = "connections and races are counted in `u32` since `max_connections` is one"
)]
#![expect(
    clippy::indexing_slicing,
    reason = "hosts live as long as the engine; a queue's number is an enum's; jobs are those that a list holds, or that the caller has just put in"
)]

use core::time::Duration;

use super::cap::UNMISSED;
use super::host::{HostKey, Names, Reach};
use super::job::{JobKey, JobState, Queue};
use super::{Action, Engine, Handler, Kind};
use crate::base::{Instant, List};

/// Addresses may be used for the connection that they were looked up for, though it had to wait
/// for a slot for this long after their time: else a long queue would ask again and again.
const ANSWER_WAITS: Duration = Duration::from_secs(300);
/// While other hosts have so many connections coming, one is enough for each.
const CROWD: u32 = 16;

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
        let step = if self.turned_away(key, now, handler)
            || self.waits(key, now)
            // Idle connections beyond the limit rest until it grows again.
            || (!self.hosts[key].idle.is_empty() && self.hosts[key].is_at_work())
        {
            Step::Blocked
        } else if let Some(conn) = self.hosts[key].idle.front(&self.conns)
            && let Some(job) = self.next_job(conn, now)
        {
            self.start(conn, job, now);
            return Step::Moved;
        } else {
            self.open_one(key, now, handler)
        };
        self.begin_early(key, now);
        step
    }

    /// Whether the host is held or paced; arms the timer that ends it.
    #[inline]
    pub(super) fn waits(&mut self, key: HostKey, now: Instant) -> bool {
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
        let at = host.hold_open.max(host.spurned.until());
        if at > now {
            self.host_timers.set(key.index(), at);
            return Step::Blocked;
        }
        let first = match &host.names {
            Names::Asking { .. } => return Step::Blocked,
            Names::Known { addresses, until, winner, unused, .. }
                if *until > now || (*unused && now < *until + ANSWER_WAITS) =>
            {
                match addresses.get(*winner).or(addresses.first()) {
                    Some(first) => *first,
                    None => return self.ask(key, now),
                }
            }
            Names::Unknown | Names::Known { .. } => return self.ask(key, now),
        };
        if let Some(at) = self.not_worth_it_before(key, now) {
            self.look_again(key, at);
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
        if let Some(at) = self.outage.waits_until(false, now) {
            self.host_timers.set(key.index(), at);
            return Step::Blocked;
        }
        if self.has_to_do_with_one(key)
            || (self.conns.len() as u32 >= self.cap
                && !self.raise_cap(key, now)
                && !self.make_room(key, now))
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
            self.look_again(key, now + UNMISSED);
            return Step::Blocked;
        }
        self.dial(key, now, handler);
        Step::Moved
    }

    /// Looks at a host at this time again, or before, where it waits for something else as well.
    fn look_again(&mut self, key: HostKey, at: Instant) {
        let armed = self.host_timers.get(key.index()).unwrap_or(at);
        self.host_timers.set(key.index(), at.min(armed));
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
        // One more for each of many hosts would be many more.
        let pressed = self.pulse.works_for(if self.busy - host.busy >= CROWD { 4 } else { 2 });
        host.worth.later(host.queued() - host.coming(), host.busy, crowded, pressed, now)
    }

    fn ask(&mut self, key: HostKey, now: Instant) -> Step {
        if let Some(at) = self.outage.waits_until(true, now) {
            self.host_timers.set(key.index(), at);
            return Step::Blocked;
        }
        self.hosts[key].names = Names::Asking { since: now };
        self.host_timers.set(key.index(), now.after(self.config.connect_timeout));
        self.actions.push_back(Action::Resolve(key));
        Step::Blocked
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
            // The token that was lent to it is the next one's.
            if queue == Queue::Held
                && let Some(at) = self.job_timers.get(job.index())
                && let Some(next) = self.hosts[host].queues[queue as usize].front(&self.jobs)
            {
                self.job_timers.set(next.index(), at);
            }
        }
    }

    /// A cheap look at whether a step could do anything for a host that just got work.
    fn has_no_obstacle(&self, key: HostKey) -> bool {
        let host = &self.hosts[key];
        !host.idle.is_empty()
            || host.slots() < host.limit.allowed()
            // An attempt may begin with what is on its way.
            || host.conns == host.securing
            || !matches!(host.reach, Reach::Open)
    }

    /// Puts a host into the ring, if it has work and is not there.
    pub(super) fn ring_host(&mut self, key: HostKey) {
        if !self.hosts[key].has_no_queue() && !List::<0>::holds(&self.hosts, key) {
            self.ring.push_back(&mut self.hosts, key);
        }
    }

    /// Whether jobs of this host end at once, because it is given up or asked to be left alone.
    #[inline]
    pub(super) fn turned_away(
        &mut self,
        key: HostKey,
        now: Instant,
        handler: &mut dyn Handler,
    ) -> bool {
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
