//! One connection: from its acceptance to the byte that ends it.
//!
//! Reads a request, waits for a worker and for time, sends the answer, ends as the script says.
//! While an answer is due nothing is read, so that a peer that sends without end is held by TCP.

use core::time::Duration;
use std::io;

use crate::base::Key;

use super::answer::{Draft, Finish, Next, Outgoing};
use super::request::{Head, Incoming};
use super::script::How;
use super::site::{Site, Taken};
use super::stream::Stream;
use super::traffic::Full;
use super::world::World;

/// Bytes that are rendered at once.
const PORTION: u64 = 64 * 1024;
/// Steps in one go; then others have their turn.
const MAX_STEPS: u32 = 64;
/// How long a closed direction waits for the peer to close the other.
const LINGER: Duration = Duration::from_secs(1);
/// An empty read buffer tells on these systems that nothing more has arrived: one call saved.
const SHORT_READ_MEANS_DRY: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// Where a connection stands towards the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Within it.
    Regular,
    /// Above it: whatever it asks, it is turned away.
    Extra,
    /// The limit fell: reset after the current answer.
    Shed,
    /// On the administrator's address, which has no limit.
    Admin,
}

/// A request that has not been answered yet.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) head: Head,
    pub(super) rule: Option<usize>,
    pub(super) attempt: u64,
    pub(super) edition: u64,
    /// Answered before its content was read.
    pub(super) is_early: bool,
    pub(super) may_continue: bool,
    /// Whether the content is kept, for an echo.
    pub(super) keeps: bool,
    pub(super) content: Vec<u8>,
    pub(super) is_too_large: bool,
    pub(super) taken: Option<Taken>,
    /// It asks for the server's counters.
    pub(super) is_report: bool,
}

impl Exchange {
    fn new(head: Head) -> Self {
        Self {
            head,
            rule: None,
            attempt: 0,
            edition: 0,
            is_early: false,
            may_continue: true,
            keeps: false,
            content: Vec::new(),
            is_too_large: false,
            taken: None,
            is_report: false,
        }
    }
}

/// What a connection is doing.
#[derive(Debug)]
enum State {
    /// Waits for a request's head.
    Reading,
    /// Waits for its content.
    Receiving(Box<Exchange>),
    /// Waits for a worker.
    Queued(Box<Exchange>),
    /// A worker is at it, until the deadline.
    Working(Box<Exchange>),
    /// Sends an answer; `Pacing` says what it waits for.
    Answering(Outgoing, Pacing),
    /// Reads away the rest of a request that was answered early.
    Skipping(Incoming),
    /// Stays open and silent.
    Stalled,
    /// Has closed its direction.
    Lingering,
}

/// What the next bytes of an answer wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pacing {
    /// The network alone.
    Free,
    /// The deadline.
    Paused,
    /// A portion of the bandwidth.
    Thirsty,
}

/// What is to become of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It waits for an event or its deadline.
    Wait,
    /// It has more to do: after the others.
    Again,
    /// It is closed.
    Close,
    /// It is reset.
    Reset,
}

/// What a read brought.
enum Fill {
    Some,
    Nothing,
    Ended,
    Broken,
}

/// What became of sending.
enum Sent {
    All,
    Blocked,
    Broken,
}

#[derive(Debug)]
pub(super) struct Conn {
    pub(super) stream: Stream,
    pub(super) listener: usize,
    pub(super) site: usize,
    /// Counting from 1 in order of acceptance.
    pub(super) number: u64,
    pub(super) standing: Standing,
    pub(super) requests: u64,
    state: State,
    input: Vec<u8>,
    scanned: usize,
    out: Vec<u8>,
    written: usize,
    /// Bytes of the bandwidth that it may send.
    granted: u64,
    is_readable: bool,
    /// The peer closed, or something went wrong: no read is the last before its end shows.
    is_closing: bool,
    has_ended: bool,
}

impl Conn {
    pub(super) fn new(
        stream: Stream,
        listener: usize,
        site: usize,
        number: u64,
        standing: Standing,
    ) -> Self {
        Self {
            stream,
            listener,
            site,
            number,
            standing,
            requests: 0,
            state: State::Reading,
            input: Vec::new(),
            scanned: 0,
            out: Vec::new(),
            written: 0,
            granted: 0,
            is_readable: true,
            is_closing: false,
            has_ended: false,
        }
    }

    /// Something arrived, or the peer closed.
    pub(super) fn note(&mut self, is_readable: bool, is_closing: bool) {
        self.is_readable |= is_readable || is_closing;
        self.is_closing |= is_closing;
    }

    /// Makes it silent.
    pub(super) fn stall(&mut self) {
        self.state = State::Stalled;
    }

    /// Sends this before anything was asked.
    pub(super) fn speak(&mut self, outgoing: Outgoing) {
        self.state = State::Answering(outgoing, Pacing::Free);
    }

    /// Whether no request is being answered.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.state, State::Reading) && self.input.is_empty()
    }

    /// Whether it occupies a worker.
    pub(super) fn is_working(&self) -> bool {
        matches!(self.state, State::Working(_))
    }

    /// Whether it waits for a worker.
    pub(super) fn is_queued(&self) -> bool {
        matches!(self.state, State::Queued(_))
    }

    /// A worker takes the request on.
    pub(super) fn start_work(&mut self, key: Key<Self>, world: &mut World) {
        if let State::Queued(exchange) = core::mem::replace(&mut self.state, State::Reading) {
            let time = world.start_work(self.site);
            world.wake_in(key, time);
            self.state = State::Working(exchange);
        }
    }

    /// Gives a portion of the bandwidth; what is left of it afterwards is taken back.
    pub(super) fn grant(&mut self, bytes: u64) -> bool {
        if let State::Answering(_, pacing @ Pacing::Thirsty) = &mut self.state {
            *pacing = Pacing::Free;
            self.granted = bytes;
            return true;
        }
        false
    }

    pub(super) fn take_back(&mut self) -> u64 {
        core::mem::take(&mut self.granted)
    }

    /// Begins to wait for a request.
    pub(super) fn await_request(&mut self, key: Key<Self>, world: &mut World) {
        self.state = State::Reading;
        if let Some(ms) = world.script.keep_alive.idle_ms
            && self.standing != Standing::Admin
        {
            world.wake_in(key, Duration::from_millis(ms));
        }
    }

    /// Goes on as far as it can; `is_due`: its deadline has come.
    pub(super) fn drive(&mut self, key: Key<Self>, world: &mut World, mut is_due: bool) -> Fate {
        for _ in 0..MAX_STEPS {
            if let Some(how) = self.stream.is_cut()
                && !matches!(self.state, State::Stalled | State::Lingering)
            {
                world.stats().cut.up();
                if let Some(fate) = self.end(how, key, world) {
                    return fate;
                }
                continue;
            }
            let is_due = core::mem::take(&mut is_due);
            let fate = match core::mem::replace(&mut self.state, State::Reading) {
                State::Reading => self.read_head(key, world, is_due),
                State::Receiving(exchange) => self.read_content(exchange, key, world, is_due),
                State::Queued(exchange) => {
                    self.state = State::Queued(exchange);
                    Some(Fate::Wait)
                }
                State::Working(exchange) if is_due => {
                    world.end_work(self.site);
                    self.answer(&exchange, world);
                    None
                }
                State::Working(exchange) => {
                    self.state = State::Working(exchange);
                    Some(Fate::Wait)
                }
                State::Answering(outgoing, pacing) => {
                    self.send(outgoing, pacing, key, world, is_due)
                }
                State::Skipping(rest) => self.skip(rest, key, world),
                State::Stalled => {
                    self.state = State::Stalled;
                    Some(self.discard(world))
                }
                State::Lingering if is_due => Some(Fate::Close),
                State::Lingering => {
                    self.state = State::Lingering;
                    Some(self.discard(world))
                }
            };
            // A cut of the wire shows as an error of whatever was being sent.
            if let Some(fate) = fate
                && self
                    .stream
                    .is_cut()
                    .is_none_or(|_| matches!(self.state, State::Stalled | State::Lingering))
            {
                return fate;
            }
        }
        Fate::Again
    }

    fn read_head(&mut self, key: Key<Self>, world: &mut World, is_due: bool) -> Option<Fate> {
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
    fn begin(&mut self, mut exchange: Exchange, key: Key<Self>, world: &mut World) -> Option<Fate> {
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

    fn read_content(
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
    fn admit(&mut self, mut exchange: Box<Exchange>, key: Key<Self>, world: &mut World) {
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
            let outgoing =
                world.lay_out(self, Some((&exchange, &self.input)), Draft::of_status(503));
            self.go_answer(&exchange, outgoing);
        }
    }

    fn answer(&mut self, exchange: &Exchange, world: &mut World) {
        let outgoing = world.answer(self, exchange, &self.input);
        self.go_answer(exchange, outgoing);
    }

    /// Begins to send, and forgets the request.
    fn go_answer(&mut self, exchange: &Exchange, mut outgoing: Outgoing) {
        outgoing.unread = exchange.head.body.clone();
        outgoing.is_counted = !exchange.is_report && self.standing != Standing::Admin;
        self.input.drain(..exchange.head.len);
        self.state = State::Answering(outgoing, Pacing::Free);
    }

    fn refuse(&mut self, status: u16, world: &mut World) {
        world.stats().bad_requests.up();
        let outgoing = world.lay_out(self, None, Draft::of_status(status).closing());
        self.state = State::Answering(outgoing, Pacing::Free);
    }

    fn send(
        &mut self,
        mut outgoing: Outgoing,
        mut pacing: Pacing,
        key: Key<Self>,
        world: &mut World,
        is_due: bool,
    ) -> Option<Fate> {
        if pacing == Pacing::Paused && is_due {
            pacing = Pacing::Free;
        }
        if pacing != Pacing::Free {
            self.state = State::Answering(outgoing, pacing);
            return Some(Fate::Wait);
        }
        // The handshake comes first, and needs to be read.
        while self.stream.is_handshaking() {
            match self.fill(world) {
                Fill::Some => {}
                Fill::Nothing => {
                    self.state = State::Answering(outgoing, pacing);
                    return Some(Fate::Wait);
                }
                Fill::Ended | Fill::Broken => return Some(Fate::Close),
            }
        }
        let fate = match self.write_out(world) {
            Sent::Broken => return Some(Fate::Close),
            Sent::Blocked => Some(Fate::Wait),
            Sent::All => {
                let mut room = PORTION;
                if let Some(bandwidth) = world.script.bandwidth
                    && outgoing.wants_bytes()
                    && self.standing != Standing::Admin
                {
                    if self.granted == 0 {
                        self.granted = world.sites[self.site].pour_to_first(world.now, bandwidth);
                    }
                    if self.granted == 0 {
                        world.sites[self.site].thirsty.push_back(key);
                        self.state = State::Answering(outgoing, Pacing::Thirsty);
                        return Some(Fate::Wait);
                    }
                    room = room.min(self.granted);
                }
                match outgoing.next(room, &mut self.out) {
                    Next::Send => {
                        self.granted = self.granted.saturating_sub(self.out.len() as u64);
                        None
                    }
                    Next::Wait(time) => {
                        world.wake_in(key, time);
                        pacing = Pacing::Paused;
                        Some(Fate::Wait)
                    }
                    Next::Done => return self.finish(outgoing, key, world),
                }
            }
        };
        self.state = State::Answering(outgoing, pacing);
        fate
    }

    /// The answer has been sent as far as it is to be sent.
    fn finish(&mut self, outgoing: Outgoing, key: Key<Self>, world: &mut World) -> Option<Fate> {
        match outgoing.finish {
            Finish::Cut(how) => {
                world.stats().cut.up();
                return self.end(how, key, world);
            }
            Finish::Keep | Finish::Close if outgoing.is_counted => world.stats().answers.up(),
            Finish::Keep | Finish::Close => {}
        }
        if self.standing == Standing::Shed {
            return Some(Fate::Reset);
        }
        if outgoing.finish == Finish::Close || self.standing == Standing::Extra {
            return self.close(!outgoing.unread.is_done(), key, world);
        }
        if outgoing.unread.is_done() {
            self.await_request(key, world);
        } else {
            self.state = State::Skipping(outgoing.unread);
        }
        None
    }

    fn skip(&mut self, mut rest: Incoming, key: Key<Self>, world: &mut World) -> Option<Fate> {
        match rest.take(&self.input, |_| ()) {
            Ok(taken) => drop(self.input.drain(..taken)),
            Err(_) => return Some(Fate::Close),
        }
        if rest.is_done() {
            self.await_request(key, world);
            return None;
        }
        self.state = State::Skipping(rest);
        match self.fill(world) {
            Fill::Some => None,
            Fill::Nothing => Some(Fate::Wait),
            Fill::Ended | Fill::Broken => Some(Fate::Close),
        }
    }

    fn end(&mut self, how: How, key: Key<Self>, world: &mut World) -> Option<Fate> {
        match how {
            How::Reset => Some(Fate::Reset),
            How::Fin => self.close(false, key, world),
            How::Stall => {
                self.state = State::Stalled;
                self.is_readable = true;
                None
            }
        }
    }

    /// Closes regularly. What the peer still sends is read away first: closing with unread bytes
    /// would reset the connection and might take the end of the answer with it.
    fn close(&mut self, is_unread: bool, key: Key<Self>, world: &mut World) -> Option<Fate> {
        self.stream.say_goodbye();
        if self.has_ended || !(is_unread || self.is_readable) {
            return Some(Fate::Close);
        }
        self.stream.shut();
        self.state = State::Lingering;
        world.wake_in(key, LINGER);
        None
    }

    fn discard(&mut self, world: &mut World) -> Fate {
        if self.is_readable {
            self.is_readable = false;
            if !self.stream.discard(&mut world.scratch) {
                return Fate::Close;
            }
        }
        Fate::Wait
    }

    fn fill(&mut self, world: &mut World) -> Fill {
        if self.has_ended {
            return Fill::Ended;
        }
        while self.is_readable {
            let scratch = &mut world.scratch;
            match self.stream.read(scratch, &mut self.input, &world.shared.stats) {
                Ok(got) => {
                    self.has_ended = got.ended;
                    if SHORT_READ_MEANS_DRY && got.wire < scratch.len() && !self.is_closing {
                        self.is_readable = false;
                    }
                    return if got.ended && got.wire == 0 { Fill::Ended } else { Fill::Some };
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.is_readable = false,
                Err(_) => return Fill::Broken,
            }
        }
        Fill::Nothing
    }

    fn write_out(&mut self, world: &World) -> Sent {
        while self.written < self.out.len() {
            match self.stream.write(&self.out[self.written..]) {
                Ok(0) => return Sent::Broken,
                Ok(count) => {
                    self.written += count;
                    world.stats().bytes_sent.add(count as u64);
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => return Sent::Blocked,
                    _ => return Sent::Broken,
                },
            }
        }
        self.out.clear();
        self.written = 0;
        match self.stream.flush() {
            Ok(()) => Sent::All,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Sent::Blocked,
            Err(_) => Sent::Broken,
        }
    }
}

/// What those above the limit are told.
pub(super) fn turned_away(
    conn: &Conn,
    status: u16,
    retry_after: Option<u32>,
    world: &mut World,
) -> Outgoing {
    let mut draft = Draft::of_status(status).closing();
    if let Some(seconds) = retry_after {
        draft = draft.text_field("Retry-After", seconds.to_string());
    }
    world.lay_out(conn, None, draft)
}

impl Site {
    /// A portion for someone who did not wait, unless others do.
    fn pour_to_first(&mut self, now: crate::base::Instant, bandwidth: u64) -> u64 {
        if self.thirsty.is_empty() { self.pour(now, bandwidth) } else { 0 }
    }
}
