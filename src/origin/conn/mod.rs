//! One connection: from its acceptance to the byte that ends it.
//!
//! Reads a request, waits for a worker and for time, sends the answer, ends as the script says.
//! While an answer is due nothing is read, so that a peer that sends without end is held by TCP.

mod receive;
mod send;

use core::time::Duration;
use std::io;

use crate::base::Key;

use crate::origin::answer::Draft;
use crate::origin::outgoing::Outgoing;
use crate::origin::request::{Head, Incoming};
use crate::origin::site::Taken;
use crate::origin::stream::Stream;
use crate::origin::world::World;

/// Steps in one go; then others have their turn.
const MAX_STEPS: u32 = 64;
/// An empty read buffer tells on these systems that nothing more has arrived: one call saved.
const SHORT_READ_MEANS_DRY: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// Where a connection stands towards the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::origin) enum Standing {
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
pub(in crate::origin) struct Exchange {
    pub(in crate::origin) head: Head,
    pub(in crate::origin) rule: Option<usize>,
    pub(in crate::origin) attempt: u64,
    pub(in crate::origin) edition: u64,
    /// Answered before its content was read.
    pub(in crate::origin) is_early: bool,
    pub(in crate::origin) may_continue: bool,
    /// Whether the content is kept, for an echo.
    pub(in crate::origin) keeps: bool,
    pub(in crate::origin) content: Vec<u8>,
    pub(in crate::origin) is_too_large: bool,
    pub(in crate::origin) taken: Option<Taken>,
    /// It asks for the server's counters.
    pub(in crate::origin) is_report: bool,
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
    /// The same, and leaves what the peer sends where it is.
    Frozen,
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
pub(in crate::origin) enum Fate {
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

#[derive(Debug)]
pub(in crate::origin) struct Conn {
    pub(in crate::origin) stream: Stream,
    pub(in crate::origin) listener: usize,
    pub(in crate::origin) site: usize,
    /// Counting from 1 in order of acceptance.
    pub(in crate::origin) number: u64,
    pub(in crate::origin) standing: Standing,
    pub(in crate::origin) requests: u64,
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
    pub(in crate::origin) fn new(
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
    pub(in crate::origin) fn note(&mut self, is_readable: bool, is_closing: bool) {
        self.is_readable |= is_readable || is_closing;
        self.is_closing |= is_closing;
    }

    /// Makes it silent; a frozen one does not even read.
    pub(in crate::origin) fn stall(&mut self, is_frozen: bool) {
        self.state = if is_frozen { State::Frozen } else { State::Stalled };
        self.is_readable = true;
    }

    /// Sends this before anything was asked.
    pub(in crate::origin) fn speak(&mut self, outgoing: Outgoing) {
        self.state = State::Answering(outgoing, Pacing::Free);
    }

    /// Whether no request is being answered.
    pub(in crate::origin) fn is_idle(&self) -> bool {
        matches!(self.state, State::Reading) && self.input.is_empty()
    }

    /// Whether nothing will be sent any more.
    fn is_past_answering(&self) -> bool {
        matches!(self.state, State::Stalled | State::Frozen | State::Lingering)
    }

    /// Whether it occupies a worker.
    pub(in crate::origin) fn is_working(&self) -> bool {
        matches!(self.state, State::Working(_))
    }

    /// Whether it waits for a worker.
    pub(in crate::origin) fn is_queued(&self) -> bool {
        matches!(self.state, State::Queued(_))
    }

    /// A worker takes the request on.
    pub(in crate::origin) fn start_work(&mut self, key: Key<Self>, world: &mut World) {
        if let State::Queued(exchange) = core::mem::replace(&mut self.state, State::Reading) {
            let time = world.start_work(self.site);
            world.wake_in(key, time);
            self.state = State::Working(exchange);
        }
    }

    /// Gives a portion of the bandwidth; what is left of it afterwards is taken back.
    pub(in crate::origin) fn grant(&mut self, bytes: u64) -> bool {
        if let State::Answering(_, pacing @ Pacing::Thirsty) = &mut self.state {
            *pacing = Pacing::Free;
            self.granted = bytes;
            return true;
        }
        false
    }

    pub(in crate::origin) fn take_back(&mut self) -> u64 {
        core::mem::take(&mut self.granted)
    }

    /// Begins to wait for a request.
    pub(in crate::origin) fn await_request(&mut self, key: Key<Self>, world: &mut World) {
        self.state = State::Reading;
        if let Some(ms) = world.script.keep_alive.idle_ms
            && self.standing != Standing::Admin
        {
            world.wake_in(key, Duration::from_millis(ms));
        }
    }

    /// Goes on as far as it can; `is_due`: its deadline has come.
    pub(in crate::origin) fn drive(
        &mut self,
        key: Key<Self>,
        world: &mut World,
        mut is_due: bool,
    ) -> Fate {
        for _ in 0..MAX_STEPS {
            if let Some(how) = self.stream.is_cut()
                && !self.is_past_answering()
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
                State::Frozen if self.is_closing => Some(Fate::Close),
                State::Frozen => {
                    self.state = State::Frozen;
                    Some(Fate::Wait)
                }
                State::Lingering if is_due => Some(Fate::Close),
                State::Lingering => {
                    self.state = State::Lingering;
                    Some(self.discard(world))
                }
            };
            // A cut of the wire shows as an error of whatever was being sent.
            if let Some(fate) = fate
                && (self.stream.is_cut().is_none() || self.is_past_answering())
            {
                return fate;
            }
        }
        Fate::Again
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
}

/// What those above the limit are told.
pub(in crate::origin) fn turned_away(
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
