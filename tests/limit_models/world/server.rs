//! The server: connections, workers, a link, a bucket of requests.

use super::{Beyond, CHUNK, Event, MS, SECOND, TICK, World};

impl World {
    /// A SYN.
    pub(super) fn arrive(&mut self, id: usize) {
        let half = self.model.rtt * 500;
        let random = self.rng.u32(0..1000) < self.model.random_resets;
        let refused = match self.hard_limit() {
            Some((limit, beyond)) if self.connections >= limit => match beyond {
                Beyond::Refuse => Some(true),
                Beyond::Reset => Some(false),
                Beyond::Status503 => None,
            },
            _ if random => Some(false),
            _ => None,
        };
        let refused = if self.outage() { Some(true) } else { refused };
        match refused {
            Some(true) => self.after(half, Event::Refused(id)),
            Some(false) => {
                self.after(half, Event::Opened(id));
                self.after(half + 100_000, Event::Reset(id));
            }
            None => {
                self.connections += 1;
                self.conns[id].at_server = true;
                self.after(half, Event::Opened(id));
            }
        }
    }

    /// The limit may have fallen.
    pub(super) fn recount(&mut self) {
        let half = self.model.rtt * 500;
        let limit =
            if self.outage() { 0 } else { self.hard_limit().map_or(u32::MAX, |(limit, _)| limit) };
        for id in (0..self.conns.len()).rev() {
            if self.connections <= limit {
                break;
            }
            if self.conns[id].at_server {
                self.leave(id);
                self.after(half, Event::Reset(id));
            }
        }
    }

    pub(super) fn leave(&mut self, id: usize) {
        if std::mem::take(&mut self.conns[id].at_server) {
            self.connections -= 1;
        }
        if std::mem::take(&mut self.conns[id].has_worker) {
            self.holders -= 1;
            while let Some(next) = self.waiting.pop_front() {
                if self.conns[next].at_server {
                    self.request(next);
                    break;
                }
            }
        }
    }

    pub(super) fn request(&mut self, id: usize) {
        if !self.conns[id].at_server {
            return;
        }
        let half = self.model.rtt * 500;
        let random = self.rng.u32(0..1000) < self.model.random_503;
        if let Some((limit, Beyond::Status503)) = self.hard_limit()
            && self.working + self.waiting.len() as u32 >= limit
        {
            self.after(half + MS, Event::Done(id, 503));
            return;
        }
        if random {
            self.after(half + MS, Event::Done(id, 503));
            return;
        }
        if let Some(rate) = self.model.rate {
            let second = self.now / SECOND;
            if rate.closed.is_some_and(|(from, to)| (from..to).contains(&second)) {
                self.after(half + MS, Event::Done(id, 429));
                return;
            }
            let per_second = rate.at(second);
            if rate.sliding {
                while self.accepted.front().is_some_and(|&at| at + SECOND <= self.now) {
                    self.accepted.pop_front();
                }
                self.tokens = per_second as f64 - self.accepted.len() as f64;
                if self.tokens >= 1.0 {
                    self.accepted.push_back(self.now);
                }
            } else if let Some(window) = rate.window {
                if self.now / (window * SECOND) != self.tokens_at / (window * SECOND) {
                    self.tokens = (per_second * window) as f64;
                }
            } else {
                let earned = (self.now - self.tokens_at) as f64 * per_second as f64;
                self.tokens = (self.tokens + earned / SECOND as f64).min(rate.burst as f64);
            }
            self.tokens_at = self.now;
            if self.tokens < 1.0 {
                let status = if self.model.rate_says_503 { 503 } else { 429 };
                self.after(half + MS, Event::Done(id, status));
                return;
            }
            self.tokens -= 1.0;
        }
        let workers = self.model.workers.map_or(u32::MAX, |workers| workers(self.now / SECOND));
        if self.model.worker_holds && !self.conns[id].has_worker && self.holders < workers {
            self.conns[id].has_worker = true;
            self.holders += 1;
        }
        let free = if self.model.worker_holds {
            self.conns[id].has_worker
        } else {
            self.working < workers
        };
        if free {
            self.work(id);
        } else {
            self.waiting.push_back(id);
        }
    }

    fn work(&mut self, id: usize) {
        self.working += 1;
        let first = self.model.first_service.filter(|_| self.conns[id].requests <= 1);
        let service = first.unwrap_or(self.model.service);
        let mut time = self.draw(service * MS, self.model.spread);
        if self.model.thrash_shared {
            if self.under_way.is_empty() {
                self.after(TICK, Event::Tick);
            }
            self.under_way.push((id, time));
            return;
        }
        if let Some(bears) = self.model.thrash
            && self.working > bears
        {
            let (n, bears) = (u64::from(self.working), u64::from(bears));
            time = time * n * n / (bears * bears);
        }
        let time = self.stalled(time.max(1));
        self.after(time, Event::Worked(id));
    }

    /// All that is under way comes further, by as much as it does with so many.
    pub(super) fn tick(&mut self) {
        let n = self.under_way.len() as u64;
        let bears = u64::from(self.model.thrash.unwrap_or(u32::MAX));
        let done = if n > bears { TICK * bears * bears / (n * n) } else { TICK };
        for (_, left) in &mut self.under_way {
            *left = left.saturating_sub(done);
        }
        while let Some(at) = self.under_way.iter().position(|(_, left)| *left == 0) {
            let (id, _) = self.under_way.remove(at);
            self.worked(id);
        }
        if !self.under_way.is_empty() {
            self.after(TICK, Event::Tick);
        }
    }

    /// How long it takes until so much work is done.
    fn stalled(&self, mut work: u64) -> u64 {
        let Some(span) = self.model.stalls.map(|ms| ms * MS) else { return work };
        let mut now = self.now;
        loop {
            let end = (now / span + 1) * span;
            // Which of ten is as good as chance.
            let chance = (now / span).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
            let goes_on = !chance.is_multiple_of(10);
            if goes_on && work <= end - now {
                return now + work - self.now;
            }
            work -= if goes_on { end - now } else { 0 };
            now = end;
        }
    }

    pub(super) fn worked(&mut self, id: usize) {
        let half = self.model.rtt * 500;
        self.working -= 1;
        let workers = self.model.workers.map_or(u32::MAX, |workers| workers(self.now / SECOND));
        while self.working < workers && !self.model.worker_holds {
            let Some(next) = self.waiting.pop_front() else { break };
            self.work(next);
        }
        if !self.conns[id].at_server {
            return;
        }
        if self.model.bandwidth.is_some() {
            self.link.push_back((id, self.conns[id].body));
            if !self.link_busy {
                self.link_busy = true;
                self.after(0, Event::Chunk);
            }
        } else {
            self.after(half, Event::FirstByte(id));
            self.after(half, Event::Done(id, 200));
        }
    }

    pub(super) fn chunk(&mut self) {
        let half = self.model.rtt * 500;
        let Some((id, left)) = self.link.pop_front() else {
            self.link_busy = false;
            return;
        };
        let bandwidth = self.model.bandwidth.unwrap_or(u64::MAX);
        let chunk = left.min(CHUNK);
        let time = chunk * SECOND / bandwidth;
        if !self.conns[id].first_byte {
            self.conns[id].first_byte = true;
            self.after(time + half, Event::FirstByte(id));
        }
        if left > chunk {
            self.link.push_back((id, left - chunk));
        } else {
            self.after(time + half, Event::Done(id, 200));
        }
        self.after(time.max(1), Event::Chunk);
    }
}
