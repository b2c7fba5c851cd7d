//! Every count, list and timer of the engine, recounted from scratch: for tests and simulations.
//!
//! Not a part of the engine's work: nothing here is called by it. A sentence comes back that
//! names the first thing that does not add up.
#![expect(
    clippy::cast_possible_truncation,
    reason = "it counts what the engine counts in as many bits"
)]
#![expect(
    clippy::indexing_slicing,
    reason = "it judges the engine, in tests: a key or number that leads nowhere is a defect it is there to find"
)]

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::conn::{ConnKey, State};
use super::host::{Host, HostKey, Names};
use super::job::{JobState, QUEUES, Queue};
use super::{Engine, PerHost};
use crate::base::{Instant, List};

/// What was counted for one host.
#[derive(Clone, Copy, Default)]
struct Count {
    queued: [u32; QUEUES],
    elsewhere: u32,
    dials: u32,
    conns: u32,
    securing: u32,
    proven: u32,
    busy: u32,
    unheard: u32,
    idle: u32,
    opening: u32,
}

impl Engine {
    /// Recounts everything; the first thing that does not add up. Call it between turns: over an engine
    /// alone after [`poll`](Self::poll), when all of its actions were taken and carried out. In between,
    /// work that nobody was given yet looks like work that was forgotten.
    pub fn check(&self, now: Instant) -> Result<(), String> {
        let hosts = self.hosts.iter().map(|(key, _)| key.index() + 1).max().unwrap_or(0);
        let mut counts = vec![Count::default(); hosts];
        self.count_jobs(&mut counts)?;
        self.count_conns(&mut counts)?;
        for (key, dial) in self.dials.iter() {
            let count = &mut counts[dial.host.index()];
            count.dials += 1;
            count.opening += dial.racers.len() as u32;
            if dial.racers.is_empty() {
                return Err(format!("race {key:?} has nobody in it"));
            }
            for racer in &dial.racers {
                match self.conns.get(*racer).map(|conn| &conn.state) {
                    Some(State::Opening(of)) if *of == key => {}
                    other => return Err(format!("racer {racer:?} of {key:?} is {other:?}")),
                }
            }
            if self.dial_timers.get(key.index()).is_none() {
                return Err(format!("race {key:?} has no deadline"));
            }
        }
        if self.dial_timers.len() != self.dials.len() {
            return Err("a deadline of a race that is over".into());
        }
        for (key, host) in self.hosts.iter() {
            self.check_host(key, host, &counts[key.index()])?;
            self.check_wake_up(key, host, now)?;
        }
        self.check_totals(&counts)
    }

    fn count_jobs(&self, counts: &mut [Count]) -> Result<(), String> {
        let mut waiting = 0;
        for (key, job) in self.jobs.iter() {
            let count = &mut counts[job.host.index()];
            let timer = self.job_timers.get(key.index());
            waiting += usize::from(timer.is_some());
            match job.state {
                JobState::Queued(queue) => {
                    count.queued[queue as usize] += 1;
                    let held = &self.hosts[job.host].queues[Queue::Held as usize];
                    let right = match queue {
                        Queue::Held => timer.is_some() == (held.front(&self.jobs) == Some(key)),
                        _ => timer.is_none() || job.waits.attempt.after(Instant::ZERO).is_some(),
                    };
                    if !right {
                        return Err(format!("job {key:?} in {queue:?} has the timer {timer:?}"));
                    }
                }
                JobState::Waiting => {
                    count.elsewhere += 1;
                    if timer.is_none() {
                        return Err(format!("job {key:?} waits for ever"));
                    }
                }
                JobState::Running(conn) => {
                    count.elsewhere += 1;
                    let exchange = self.conns.get(conn).and_then(|conn| conn.exchange());
                    if exchange.is_none_or(|exchange| exchange.job != key) {
                        return Err(format!("job {key:?} runs on {conn:?}, which knows nothing"));
                    }
                }
            }
            if job.progress.before > job.progress.delivered {
                return Err(format!("job {key:?} lost bytes"));
            }
        }
        if self.job_timers.len() != waiting {
            return Err(format!("{} timers for {waiting} waiting jobs", self.job_timers.len()));
        }
        Ok(())
    }

    fn count_conns(&self, counts: &mut [Count]) -> Result<(), String> {
        let mut closing = 0;
        let mut timers = 0;
        for (key, conn) in self.conns.iter() {
            let count = &mut counts[conn.host.index()];
            match &conn.state {
                State::Opening(dial) => {
                    if self.dials.get(*dial).is_none_or(|dial| !dial.racers.contains(&key)) {
                        return Err(format!("{key:?} is opening for no race"));
                    }
                }
                State::Ready => return Err(format!("{key:?} was left between two states")),
                State::Securing { .. } | State::Settling { .. } => count.securing += 1,
                State::Idle { .. } => count.idle += 1,
                State::Closing { .. } => closing += 1,
                State::Busy(exchange) => {
                    count.busy += 1;
                    count.unheard += u32::from(conn.served == 0 && exchange.first_byte.is_none());
                    let job = self.jobs.get(exchange.job).map(|job| job.state);
                    if job != Some(JobState::Running(key)) {
                        return Err(format!("{key:?} is busy with a job that is {job:?}"));
                    }
                }
            }
            if !matches!(conn.state, State::Opening(_)) {
                count.conns += 1;
            }
            count.proven += u32::from(conn.served > 0);
            let armed = self.conn_timers.get(key.index());
            timers += usize::from(armed.is_some());
            if let Some((at, overdue)) = self.deadline_of(key)
                && armed.is_none_or(|armed| armed > at)
            {
                return Err(format!("{key:?}: {overdue:?} at {at:?}, but armed is {armed:?}"));
            }
            self.check_idle(key)?;
        }
        if closing != self.closing {
            return Err(format!("{} closing, counted {closing}", self.closing));
        }
        if timers != self.conn_timers.len() {
            return Err("a deadline of a connection that is gone".into());
        }
        Ok(())
    }

    fn check_idle(&self, key: ConnKey) -> Result<(), String> {
        let idle = matches!(self.conns[key].state, State::Idle { .. });
        let listed = (List::<0>::holds(&self.conns, key), List::<1>::holds(&self.conns, key));
        if listed == (idle, idle) {
            Ok(())
        } else {
            Err(format!("{key:?} idle: {idle}, in the lists: {listed:?}"))
        }
    }

    fn check_host(&self, key: HostKey, host: &Host, count: &Count) -> Result<(), String> {
        let pairs = [
            ("elsewhere", host.elsewhere, count.elsewhere),
            ("dials", host.dials, count.dials),
            ("conns", host.conns, count.conns),
            ("securing", host.securing, count.securing),
            ("proven", host.proven, count.proven),
            ("busy", host.busy, count.busy),
            ("unheard", host.unheard, count.unheard),
            ("idle", host.idle.len(), count.idle),
            ("moved", host.queues[Queue::Moved as usize].len(), count.queued[0]),
            ("again", host.queues[Queue::Again as usize].len(), count.queued[1]),
            ("urgent", host.queues[Queue::Urgent as usize].len(), count.queued[2]),
            ("ordinary", host.queues[Queue::Ordinary as usize].len(), count.queued[3]),
            ("held", host.queues[Queue::Held as usize].len(), count.queued[4]),
        ];
        for (name, says, counted) in pairs {
            if says != counted {
                return Err(format!("{key:?} says {name} {says}, counted {counted}"));
            }
        }
        if let PerHost::Fixed(most) = self.config.per_host
            && host.slots() > u32::from(most.max(1))
        {
            return Err(format!("{key:?} has {} connections, of {most}", host.slots()));
        }
        Ok(())
    }

    /// A host that has work must be waiting for something that is sure to come.
    fn check_wake_up(&self, key: HostKey, host: &Host, now: Instant) -> Result<(), String> {
        if host.has_no_queue() || List::<0>::holds(&self.hosts, key) {
            return Ok(());
        }
        // The room at an address was promised to another host, which is in the ring for it.
        let promised = |group: usize| {
            self.hosts.iter().any(|(other, host)| {
                host.woken_by == Some(group as u32) && List::<0>::holds(&self.hosts, other)
            })
        };
        let grouped = self.groups.iter().enumerate().any(|(number, group)| {
            group.waiting.contains(&key) && (group.conns > 0 || promised(number))
        });
        let waits = matches!(host.names, Names::Asking { .. })
            || host.busy > 0
            || host.coming() > 0
            || host.conns > host.idle.len() + host.busy + host.securing
            || self.host_timers.get(key.index()).is_some()
            || grouped;
        if waits {
            return Ok(());
        }
        let groups: Vec<_> = self
            .groups
            .iter()
            .map(|group| (group.conns, group.limit.allowed(), group.origins, &group.waiting))
            .collect();
        Err(format!(
            "{key:?} has {} jobs queued, and nothing will wake it (now {now:?}, held till {:?}, \
             {:?}, {:?}, turned away {}, groups {groups:?})",
            host.queued(),
            host.hold_open,
            host.names,
            host.reach,
            host.turned_away
        ))
    }

    fn check_totals(&self, counts: &[Count]) -> Result<(), String> {
        let most = self.config.max_connections.max(1) as usize;
        if self.conns.len() > most {
            return Err(format!("{} connections of {most}", self.conns.len()));
        }
        let idle: u32 = counts.iter().map(|count| count.idle).sum();
        if idle != self.idle.len() {
            return Err(format!("{} idle in all, counted {idle}", self.idle.len()));
        }
        let mut groups = vec![(0, 0); self.groups.iter().len()];
        for (_, conn) in self.conns.iter() {
            groups[conn.group as usize].0 += 1;
            groups[conn.group as usize].1 += u32::from(matches!(conn.state, State::Closing { .. }));
        }
        for (group, counted) in self.groups.iter().zip(groups) {
            let says = (group.conns, group.closing);
            if says != counted {
                return Err(format!("a group says {says:?}, counted {counted:?}"));
            }
            if group.waiting.len() > self.hosts.len() {
                return Err(format!("{} hosts wait for one address", group.waiting.len()));
            }
        }
        let busy: u32 = self.hosts.iter().map(|(_, host)| host.busy).sum();
        if busy != self.busy {
            return Err(format!("{} running, counted {busy}", self.busy));
        }
        let securing: u32 = self.hosts.iter().map(|(_, host)| host.securing).sum();
        if securing != self.securing {
            return Err(format!("{} handshakes in all, counted {securing}", self.securing));
        }
        // A host that is in the ring after a turn was refused by the global cap.
        if let Some(front) = self.ring.front(&self.hosts)
            && !self.starving
        {
            return Err(format!("{front:?} was left in the ring"));
        }
        Ok(())
    }
}
