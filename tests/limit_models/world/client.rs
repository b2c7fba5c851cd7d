//! The clients: what the engine does with a limit and a pace.

use std::time::Duration;

use gannet::base::Instant;
use gannet::engine::limit::{Complaint, Limit, Sample};
use gannet::engine::pace::Blame;

use super::{Conn, Event, MS, SECOND, State, World};

/// As the engine has it: how long one too many may take to be reset.
const SETTLES: u64 = 5 * MS;

impl World {
    pub(super) fn schedule(&mut self, client: usize) {
        if !self.clients[client].started || self.clients[client].resting {
            return;
        }
        let mut wake = u64::MAX;
        // Each host of the ring once; the address limit stops all.
        for _ in 0..self.clients[client].ring.len() {
            let host = self.clients[client].ring[0];
            while self.step(client, host, &mut wake) {}
            let full = {
                let client = &self.clients[client];
                client.address.as_ref().is_some_and(|address| client.open >= address.allowed())
            };
            let it = &self.clients[client].hosts[host];
            if full && it.jobs > 0 && it.open < it.limit.allowed() {
                break;
            }
            self.clients[client].ring.rotate_left(1);
        }
        let next = self.clients[client].next_wake;
        if wake != u64::MAX && (wake < next || next <= self.now) {
            self.clients[client].next_wake = wake;
            self.at(wake, Event::Wake(client));
        }
    }

    /// Starts one request or one connection; says whether there may be more to start.
    fn step(&mut self, client: usize, host: usize, wake: &mut u64) -> bool {
        let now = self.instant();
        let it = &mut self.clients[client];
        if it.hosts[host].jobs == 0 {
            return false;
        }
        let ready = it.hosts[host].pace.ready_at(now).as_nanos();
        if ready > self.now {
            *wake = (*wake).min(ready);
            return false;
        }
        if let Some(id) = it.hosts[host].idle.pop() {
            self.send(id);
            return true;
        }
        let opening = it.hosts[host].open - it.hosts[host].in_flight;
        if it.hosts[host].open >= it.hosts[host].limit.allowed()
            || u64::from(opening) >= it.hosts[host].jobs
        {
            return false;
        }
        if it.hosts[host].reopen_at > self.now {
            *wake = (*wake).min(it.hosts[host].reopen_at);
            return false;
        }
        if it.address.as_ref().is_some_and(|address| it.open >= address.allowed()) {
            // Another host's idle connection makes room, when the server has seen it go.
            let other = (0..it.hosts.len())
                .find(|&other| it.hosts[other].jobs == 0 && !it.hosts[other].idle.is_empty());
            if let Some(other) = other {
                let id = it.hosts[other].idle.pop().unwrap();
                self.close(id);
            }
            return false;
        }
        it.hosts[host].open += 1;
        it.open += 1;
        let conn = Conn {
            client,
            host,
            state: State::Opening,
            opened_at: self.now,
            sent_at: 0,
            in_flight: 0,
            in_flight_address: 0,
            requests: 0,
            at_server: false,
            answered: false,
            settled: false,
            has_worker: false,
            body: 0,
            first_byte: false,
        };
        self.conns.push(conn);
        let id = self.conns.len() - 1;
        self.after(self.model.rtt * 500, Event::Arrive(id));
        true
    }

    fn send(&mut self, id: usize) {
        let now = self.instant();
        let body = self.draw(self.model.body, self.model.body_spread);
        let (client, host) = (self.conns[id].client, self.conns[id].host);
        let it = &mut self.clients[client];
        it.hosts[host].jobs -= 1;
        it.hosts[host].in_flight += 1;
        it.in_flight += 1;
        it.hosts[host].pace.take(now);
        let conn = &mut self.conns[id];
        conn.state = State::Busy;
        conn.sent_at = self.now;
        conn.requests += 1;
        conn.body = body;
        conn.first_byte = false;
        it.hosts[host].unheard += u32::from(!conn.answered);
        conn.in_flight = it.hosts[host].in_flight;
        conn.in_flight_address = it.in_flight;
        let paced = it.hosts[host].pace.binds();
        let waiting = it.hosts.iter().any(|host| host.jobs > 0);
        let full = it.address.as_ref().is_some_and(|address| it.open >= address.allowed());
        let that = &mut it.hosts[host];
        let bound = that.open >= that.limit.allowed();
        that.limit.sent(now, that.in_flight, that.jobs > 0 && (bound || !full) && !paced);
        if let Some(address) = &mut it.address {
            address.sent(now, it.in_flight, waiting);
        }
        self.after(self.model.rtt * 500, Event::Request(id));
    }

    pub(super) fn opened(&mut self, id: usize) {
        let (client, host) = (self.conns[id].client, self.conns[id].host);
        if self.conns[id].state != State::Opening {
            return;
        }
        let it = &self.clients[client];
        let that = &it.hosts[host];
        let asks = that.limit.asks(that.open)
            || it.address.as_ref().is_some_and(|address| address.asks(it.open));
        if asks && that.in_flight > 0 && !std::mem::replace(&mut self.conns[id].settled, true) {
            self.after(self.model.rtt * 1000 + SETTLES, Event::Opened(id));
            return;
        }
        let it = &self.clients[client];
        let ready = it.hosts[host].pace.ready_at(self.instant()).as_nanos() <= self.now;
        if it.hosts[host].jobs > 0 && ready && !it.resting {
            self.send(id);
        } else {
            self.conns[id].state = State::Idle;
            self.clients[client].hosts[host].idle.push(id);
            self.schedule(client);
        }
    }

    /// The connection came to nothing before an answer.
    pub(super) fn failed(&mut self, id: usize, what: Complaint) {
        let now = self.instant();
        let (client, host) = (self.conns[id].client, self.conns[id].host);
        let caused = Instant::from_nanos(self.conns[id].opened_at);
        let late = self.late();
        let asked = self.conns[id].requests > 0;
        let it = &mut self.clients[client];
        it.stats.refused += 1;
        it.stats.late_refused += u64::from(late && asked);
        it.stats.late_turned_away += u64::from(late && !asked);
        let open = it.hosts[host].open;
        let told: fn(&mut Limit, Instant, Complaint, Instant, u32) =
            if asked { Limit::complaint } else { Limit::turned_away };
        told(&mut it.hosts[host].limit, now, what, caused, open);
        if let Some(address) = &mut it.address {
            told(address, now, what, caused, it.open);
        }
        if it.naive {
            it.hosts[host].reopen_at = self.now + 50 * MS;
        }
        self.drop(id);
        self.schedule(client);
    }

    pub(super) fn reset(&mut self, id: usize) {
        match self.conns[id].state {
            State::Dead => {}
            State::Closing => {
                self.drop(id);
                let client = self.conns[id].client;
                self.schedule(client);
            }
            // A fresh connection: a complaint. A used one: stale, no complaint.
            _ if self.conns[id].requests <= 1 && self.conns[id].state != State::Idle => {
                self.failed(id, Complaint::FreshReset);
            }
            _ => {
                let (client, host) = (self.conns[id].client, self.conns[id].host);
                self.drop(id);
                let (now, left) = (self.instant(), self.served_on(client, host));
                let it = &mut self.clients[client];
                if it.hosts[host].jobs > 0 && !it.resting {
                    it.hosts[host].limit.lost(now, left);
                }
                self.schedule(client);
            }
        }
    }

    /// Connections of a host that have served and are open.
    fn served_on(&self, client: usize, host: usize) -> u32 {
        let serves = |it: &&Conn| {
            (it.client, it.host) == (client, host)
                && it.requests > 1
                && matches!(it.state, State::Busy | State::Idle)
        };
        self.conns.iter().filter(serves).count() as u32
    }

    /// Takes a connection out of all counts; a job that it carried goes back.
    fn drop(&mut self, id: usize) {
        let (client, host) = (self.conns[id].client, self.conns[id].host);
        let state = std::mem::replace(&mut self.conns[id].state, State::Dead);
        let it = &mut self.clients[client];
        match state {
            State::Dead => return,
            State::Busy => {
                it.hosts[host].unheard -= u32::from(!self.conns[id].answered);
                it.hosts[host].in_flight -= 1;
                it.in_flight -= 1;
                it.hosts[host].jobs += 1;
            }
            State::Idle => it.hosts[host].idle.retain(|&other| other != id),
            State::Opening => {}
            State::Closing => {
                it.hosts[host].closing -= 1;
                it.closing -= 1;
            }
        }
        it.hosts[host].served_on -= u32::from(self.conns[id].answered);
        it.hosts[host].open -= 1;
        it.open -= 1;
    }

    fn close(&mut self, id: usize) {
        self.conns[id].state = State::Closing;
        let it = &mut self.clients[self.conns[id].client];
        it.hosts[self.conns[id].host].closing += 1;
        it.closing += 1;
        self.after(self.model.rtt * 500, Event::Fin(id));
    }

    pub(super) fn gone(&mut self, id: usize) {
        let client = self.conns[id].client;
        self.drop(id);
        self.schedule(client);
    }

    pub(super) fn first_byte(&mut self, id: usize) {
        let now = self.instant();
        let conn = &self.conns[id];
        if conn.state != State::Busy {
            return;
        }
        let latency = Duration::from_nanos(self.now - conn.sent_at);
        let (sent, reused) = (Instant::from_nanos(conn.sent_at), conn.requests > 1);
        let late = self.late();
        let it = &mut self.clients[self.conns[id].client];
        if late {
            it.stats.late_latency += latency.as_nanos() as u64;
        }
        it.hosts[self.conns[id].host].limit.first_byte(now, latency, reused, sent);
        if let Some(address) = &mut it.address {
            address.first_byte(now, latency, reused, sent);
        }
    }

    pub(super) fn done(&mut self, id: usize, status: u16) {
        let now = self.instant();
        if self.conns[id].state != State::Busy {
            return;
        }
        let late = self.late();
        let retry_after = self.model.rate.and_then(|rate| {
            rate.retry_after.map(|seconds| match rate.window {
                Some(window) => window - self.now / SECOND % window,
                None => seconds,
            })
        });
        let conn = &self.conns[id];
        let (client, host) = (conn.client, conn.host);
        let sent_at = Instant::from_nanos(conn.sent_at);
        let mut sample = Sample {
            sent_at,
            bytes: if status == 200 { conn.body } else { 100 },
            in_flight: conn.in_flight,
            reused: conn.requests > 1,
            served: status == 200,
            whole: true,
        };
        let in_flight_address = conn.in_flight_address;
        let used_up = conn.requests >= self.model.requests_per_connection;
        let second = (self.now / SECOND) as usize;
        let it = &mut self.clients[client];
        let that = &mut it.hosts[host];
        that.in_flight -= 1;
        it.in_flight -= 1;
        it.stats.longest = it.stats.longest.max(self.now - sent_at.as_nanos());
        match status {
            200 => {
                it.stats.served += 1;
                it.stats.bytes += sample.bytes;
                it.stats.seconds[second] += 1;
                it.stats.late_served += u64::from(late);
                that.pace.success(sent_at, sample.in_flight);
            }
            429 => {
                it.stats.too_many += 1;
                it.stats.late_429 += u64::from(late);
                that.jobs += 1;
                if it.paced {
                    let pause = retry_after.map(Duration::from_secs);
                    that.pace.too_many(now, sent_at, pause, None);
                }
            }
            _ => {
                it.stats.refused += 1;
                it.stats.late_refused += u64::from(late);
                that.jobs += 1;
                let open = that.open;
                let pause = self.model.busy_pause.map(Duration::from_secs);
                if let Some(pause) = pause {
                    that.pace.hold_until(now + pause);
                }
                if !that.pace.is_about_503() {
                    let (what, pause) = (Complaint::Overload503, pause.unwrap_or_default());
                    that.limit.refusal_costs(pause);
                    that.limit.complaint(now, what, sent_at, open);
                    if let Some(address) = &mut it.address {
                        address.refusal_costs(pause);
                        address.complaint(now, what, sent_at, it.open);
                    }
                }
                let level = that.limit.allowed();
                let blame = that.pace.unavailable(now, sent_at, level, pause);
                if blame == Blame::Shut {
                    that.limit.shut(now);
                    if let Some(address) = &mut it.address {
                        address.shut(now);
                    }
                }
                if blame == (Blame::Rate { found: true }) {
                    that.limit.acquit(now, 0);
                    if let Some(address) = &mut it.address {
                        address.acquit(now, 0);
                    }
                }
            }
        }
        that.limit.done(now, &sample);
        let first = !std::mem::replace(&mut self.conns[id].answered, true);
        that.unheard -= u32::from(first);
        that.served_on += u32::from(first);
        that.limit.waiting(now, &sample, that.unheard, that.served_on);
        if let Some(address) = &mut it.address {
            sample.in_flight = in_flight_address;
            address.done(now, &sample);
        }
        let that = &mut it.hosts[host];
        let surplus = that.open - that.closing > that.limit.allowed()
            || that.limit.gives_way()
            || it.address.as_ref().is_some_and(|address| it.open - it.closing > address.allowed());
        if used_up {
            self.leave(id);
            self.close(id);
        } else if surplus {
            self.close(id);
        } else {
            self.conns[id].state = State::Idle;
            that.idle.push(id);
            let mut wake = u64::MAX;
            if !it.resting {
                self.step(client, host, &mut wake);
            }
            let it = &mut self.clients[client];
            if it.resting && it.in_flight == 0 {
                for host in &mut it.hosts {
                    host.limit.idle(now);
                }
            }
        }
        self.schedule(client);
    }
}
