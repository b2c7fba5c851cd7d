//! A connection's way in: a request's head, its content, its admission.

use crate::base::Key;
use crate::origin::answer::Draft;
use crate::origin::outgoing::Outgoing;
use crate::origin::request::{Head, Incoming};
use crate::origin::traffic::Full;
use crate::origin::world::World;

use super::send::Sent;
use super::{Conn, Exchange, Fate, Fill, Pacing, Standing, State, turned_away};

impl Conn {
    pub(super) fn read_head(
        &mut self,
        key: Key<Self>,
        world: &mut World,
        is_due: bool,
    ) -> Option<Fate> {
        // Empty lines before a request are no part of it (RFC 9112 section 2.2).
        while self.input.starts_with(b"\r\n") {
            self.input.drain(..2);
            self.scanned = 0;
        }
        if !self.input.is_empty() {
            match Head::parse(&self.input, &mut self.scanned) {
                Ok(Some(head)) => return self.begin(Exchange::new(head), key, world),
                Ok(None) => {}
                Err(status) => {
                    self.refuse(status, world);
                    return None;
                }
            }
        }
        if is_due {
            world.stats().idle_closed.up();
            self.stream.say_goodbye();
            return Some(Fate::Close);
        }
        match self.fill(world) {
            Fill::Some => None,
            Fill::Nothing => Some(Fate::Wait),
            Fill::Ended => {
                self.stream.say_goodbye();
                Some(Fate::Close)
            }
            Fill::Broken => Some(Fate::Close),
        }
    }

    /// A request's head is there.
    pub(super) fn begin(
        &mut self,
        mut exchange: Exchange,
        key: Key<Self>,
        world: &mut World,
    ) -> Option<Fate> {
        self.requests += 1;
        if self.standing == Standing::Extra {
            match world.full() {
                Full::Answer { status, retry_after, .. } => {
                    let outgoing = turned_away(self, status, retry_after, world);
                    self.state = State::Answering(outgoing, Pacing::Free);
                    return None;
                }
                _ => return Some(Fate::Reset),
            }
        }
        let target = exchange.head.target(&self.input);
        if target == b"/__stats" {
            self.requests -= 1;
            exchange.is_report = true;
            let outgoing = world.report(self, &exchange, &self.input);
            self.go_answer(&exchange, outgoing);
            return None;
        }
        if self.standing == Standing::Admin {
            let outgoing =
                world.lay_out(self, Some((&exchange, &self.input)), Draft::of_status(404));
            self.go_answer(&exchange, outgoing);
            return None;
        }
        world.receive(self, &mut exchange, &self.input);
        if exchange.is_early {
            world.timers.cancel(key.index());
            self.answer(&exchange, world);
            return None;
        }
        if exchange.head.body.is_done() {
            self.admit(Box::new(exchange), key, world);
            return None;
        }
        if exchange.head.expects && exchange.may_continue && self.input.len() == exchange.head.len {
            self.out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            if let Sent::Broken = self.write_out(world) {
                return Some(Fate::Close);
            }
        }
        self.state = State::Receiving(Box::new(exchange));
        None
    }

    pub(super) fn read_content(
        &mut self,
        mut exchange: Box<Exchange>,
        key: Key<Self>,
        world: &mut World,
        is_due: bool,
    ) -> Option<Fate> {
        if let Sent::Broken = self.write_out(world) {
            return Some(Fate::Close);
        }
        let from = exchange.head.len;
        if self.input.len() > from {
            let mut body = core::mem::replace(&mut exchange.head.body, Incoming::None);
            let taken = body.take(&self.input[from..], |bytes| World::keep(&mut exchange, bytes));
            exchange.head.body = body;
            match taken {
                Ok(taken) => drop(self.input.drain(from..from + taken)),
                Err(status) => {
                    self.refuse(status, world);
                    return None;
                }
            }
        }
        if exchange.head.body.is_done() {
            self.admit(exchange, key, world);
            return None;
        }
        if is_due {
            world.stats().idle_closed.up();
            return Some(Fate::Close);
        }
        self.state = State::Receiving(exchange);
        match self.fill(world) {
            Fill::Some => None,
            Fill::Nothing => Some(Fate::Wait),
            Fill::Ended | Fill::Broken => Some(Fate::Close),
        }
    }

    /// A whole request is there: is it within the rate, and is there a worker?
    pub(super) fn admit(&mut self, mut exchange: Box<Exchange>, key: Key<Self>, world: &mut World) {
        world.timers.cancel(key.index());
        exchange.taken = world.take_request(self.site);
        if let Some(taken) = exchange.taken
            && !taken.allowed
        {
            world.stats().rate_limited.up();
            let rate = world.script.rate.as_ref();
            let mut draft = Draft::of_status(rate.map_or(429, |rate| rate.status));
            if rate.is_some_and(|rate| rate.retry_after) {
                draft = draft.text_field("Retry-After", taken.wait.to_string());
            }
            let outgoing = world.lay_out(self, Some((&exchange, &self.input)), draft);
            self.go_answer(&exchange, outgoing);
        } else if !world.has_service() {
            self.answer(&exchange, world);
        } else if world.has_worker(self.site) {
            self.state = State::Queued(exchange);
            self.start_work(key, world);
        } else if world.has_place(self.site) {
            world.sites[self.site].waiting.push_back(key);
            self.state = State::Queued(exchange);
        } else {
            world.stats().queue_full.up();
            let full = Draft::of_status(world.status_when_full());
            let outgoing = world.lay_out(self, Some((&exchange, &self.input)), full);
            self.go_answer(&exchange, outgoing);
        }
    }

    pub(super) fn answer(&mut self, exchange: &Exchange, world: &mut World) {
        let outgoing = world.answer(self, exchange, &self.input);
        self.go_answer(exchange, outgoing);
    }

    /// Begins to send, and forgets the request.
    pub(super) fn go_answer(&mut self, exchange: &Exchange, mut outgoing: Outgoing) {
        outgoing.unread = exchange.head.body.clone();
        outgoing.is_counted = !exchange.is_report && self.standing != Standing::Admin;
        self.input.drain(..exchange.head.len);
        self.state = State::Answering(outgoing, Pacing::Free);
    }

    pub(super) fn refuse(&mut self, status: u16, world: &mut World) {
        world.stats().bad_requests.up();
        let outgoing = world.lay_out(self, None, Draft::of_status(status).closing());
        self.state = State::Answering(outgoing, Pacing::Free);
    }
}
