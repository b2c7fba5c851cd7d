//! A connection: one enum of states, each holding what it needs, each with one deadline.
//!
//! Sending and receiving are two machines of one exchange; whether the connection can be used
//! again is derived from both. Nothing here touches a socket: the driver reports, the engine
//! decides.

use core::net::SocketAddr;
use core::time::Duration;

use super::dial::Dial;
use super::host::Host;
use super::{Config, ConnInfo, JobKey, Kind, Phase, TlsInfo};
use crate::base::{Instant, Key, Linked, Links, mul_div, nanos};
use crate::proto;

/// Names a connection; the driver's sockets carry the same key.
pub type ConnKey = Key<Conn>;

/// A connection, from the first SYN to the last FIN.
#[derive(Debug)]
pub struct Conn {
    pub(super) host: Key<Host>,
    /// Counted from 1 in the order of opening; what records show.
    pub(super) serial: u64,
    pub(super) remote: SocketAddr,
    /// The group of that address.
    pub(super) group: u32,
    /// When it was opened, for samples and for jobs that want a newer one.
    pub(super) opened: Instant,
    /// Responses that were completed on it.
    pub(super) served: u32,
    pub(super) tls: Option<TlsInfo>,
    pub(super) setup: Setup,
    pub(super) state: State,
    /// Its place among the host's idle connections.
    pub(super) in_host: Links,
    /// Its place among all idle connections, the longest idle first.
    pub(super) in_all: Links,
    /// Its place among the idle connections to its address.
    pub(super) in_group: Links,
}

/// What setting the connection up cost; told with its first exchange.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Setup {
    pub(super) dns: Duration,
    pub(super) dns_stale: bool,
    pub(super) connect: Duration,
    pub(super) tls: Duration,
}

/// Where a connection is in its life.
#[allow(clippy::large_enum_variant, reason = "at work is the usual state; a box a request is not")]
#[derive(Debug)]
pub(super) enum State {
    /// TCP, as part of a race.
    Opening(Key<Dial>),
    /// TLS.
    Securing { since: Instant, until: Instant },
    /// Established, one more than the server is known to bear: until then it is seen whether it stays.
    Settling { until: Instant },
    /// Between two states: work or rest is chosen at once.
    Ready,
    /// Kept, without work.
    Idle { since: Instant, until: Instant },
    /// At work.
    Busy(Exchange),
    /// Our end was sent; the peer's is awaited. Or it came, and the server is given a moment to take
    /// note: where that makes room for another, which it would refuse else.
    Closing { until: Instant, leaves: Leaves },
}

/// What is to come after a connection that is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Leaves {
    /// Nothing: it was the server's wish, or its answer could not be kept on.
    Nothing,
    /// Another connection, for which it makes room.
    Room,
}

/// One request and its response.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) job: JobKey,
    /// When the job was put on this connection, and since when the connection had rested.
    pub(super) started: Instant,
    pub(super) rested: Instant,
    pub(super) sending: Sending,
    pub(super) response: proto::Response,
    pub(super) delivery: Delivery,
    /// When the first byte came.
    pub(super) first_byte: Option<Instant>,
    /// When the head that is coming began: none between interim answers, which are no beginning
    /// of the answer.
    pub(super) head_began: Option<Instant>,
    /// When the last byte came, or the head was complete, or reading was resumed.
    pub(super) last_byte: Instant,
    /// The window in which the speed is measured; a body's begins with its head's end.
    pub(super) window: Window,
    pub(super) paused: bool,
    /// Busy connections of the host, and of its address, when this request was sent.
    pub(super) in_flight: (u32, u32),
    /// What came is no HTTP; it may be the front of another protocol's greeting.
    pub(super) greeting: Greeting,
    /// On a fresh connection: whether others overtake it.
    pub(super) overtaking: Option<Overtaking>,
}

/// What is looked at while a fresh connection says nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Overtaking {
    /// Answers of the host when the request was sent.
    pub(super) before: u64,
    /// How often that was looked at.
    pub(super) looks: u32,
}

/// A fresh connection that has said nothing for so long, or twice as long and so on, may be one that
/// nobody has accepted: what drops connections without a word (firewalls, a full listen queue) leaves
/// them so for ever.
const UNHEARD_FOR: u64 = 5_000_000_000;
/// That is believed where on each of the others, at least so many, as many were answered meanwhile.
const OVERTAKEN_BY: u64 = 8;

/// The first bytes of an answer that does not begin as HTTP does.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Greeting {
    bytes: [u8; 5],
    len: u8,
}

/// Greetings of protocols whose servers speak first (SSH, SMTP and FTP, POP3, IMAP, VNC, rsync).
const GREETINGS: [&[u8]; 6] = [b"SSH-", b"220", b"+OK", b"* OK", b"RFB 0", b"@RSYN"];

impl Greeting {
    /// Whether it has begun.
    pub(super) const fn has_begun(self) -> bool {
        self.len > 0
    }

    /// Goes on with these bytes; whether it is a greeting, `None` while that can't be told. The
    /// verdict does not depend on how the bytes were cut.
    pub(super) fn hear(&mut self, bytes: &[u8]) -> Option<bool> {
        for (slot, byte) in self.bytes.iter_mut().skip(self.len.into()).zip(bytes) {
            *slot = *byte;
            self.len += 1;
        }
        let heard = self.bytes.get(..self.len.into()).unwrap_or_default();
        if GREETINGS.iter().any(|greeting| heard.starts_with(greeting)) {
            return Some(true);
        }
        if GREETINGS.iter().any(|greeting| greeting.starts_with(heard)) {
            return None;
        }
        Some(false)
    }
}

/// Bytes of a body, of either direction, since a point in time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) since: Instant,
    pub(super) bytes: u64,
}

/// The sending machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sending {
    /// Not a byte was handed to the driver.
    Unsent,
    /// The driver is writing; `next` is the body's next byte.
    Flushing { next: u64, any: bool, ended: bool, progress: Instant },
    /// The head is out; the body waits for `100 Continue`.
    Expecting { until: Instant },
    /// The peer spoke first: nothing is sent; its head is read to its end.
    Withheld,
    /// The embedder has no more of the body at the moment.
    Starved { next: u64 },
    /// Everything is out.
    Sent { at: Instant },
}

impl Sending {
    /// Whether any byte of the request may have reached the peer.
    pub(super) const fn any(self) -> bool {
        match self {
            Self::Unsent | Self::Withheld => false,
            Self::Flushing { any, .. } => any,
            Self::Expecting { .. } | Self::Starved { .. } | Self::Sent { .. } => true,
        }
    }
}

/// What becomes of the response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Delivery {
    /// Its final head has not come.
    Undecided,
    /// To the handler.
    Deliver,
    /// To the handler, but the job then ends with this failure.
    DeliverThen(Kind),
    /// Read to its end and thrown away; the job is complete.
    Skip,
    /// Read to its end and thrown away; the job then ends with this failure.
    SkipThen(Kind),
    /// Read to its end and thrown away; the job is tried again.
    Again(u16),
}

impl Delivery {
    /// Whether the head told all that counts: the body is read for the connection's sake alone.
    pub(super) const fn is_settled(self) -> bool {
        matches!(self, Self::Skip | Self::SkipThen(_) | Self::Again(_))
    }

    /// Whether the server did no work: it asked to come back later, though that may be done no more.
    pub(super) const fn is_refused(self) -> bool {
        match self {
            Self::Again(_) => true,
            Self::DeliverThen(kind) | Self::SkipThen(kind) => {
                matches!(kind, Kind::StatusExhausted | Kind::HostClosed)
            }
            Self::Undecided | Self::Deliver | Self::Skip => false,
        }
    }
}

/// How long a body that nobody wants is read so that its connection can be kept.
const WORTH_WAITING: Duration = Duration::from_secs(1);

impl Linked for Conn {
    fn links(&mut self, list: usize) -> &mut Links {
        match list {
            0 => &mut self.in_host,
            1 => &mut self.in_all,
            _ => &mut self.in_group,
        }
    }
    fn links_ref(&self, list: usize) -> &Links {
        match list {
            0 => &self.in_host,
            1 => &self.in_all,
            _ => &self.in_group,
        }
    }
}

impl Conn {
    /// What a record says of it.
    pub(super) fn info(&self) -> ConnInfo {
        ConnInfo {
            id: self.serial,
            reused: self.served > 0,
            remote: self.remote,
            tls: self.tls,
            dns_stale: self.setup.dns_stale,
        }
    }

    /// The exchange that is under way.
    pub(super) fn exchange(&self) -> Option<&Exchange> {
        match &self.state {
            State::Busy(exchange) => Some(exchange),
            _ => None,
        }
    }

    /// The exchange that is under way, to be changed.
    pub(super) fn exchange_mut(&mut self) -> Option<&mut Exchange> {
        match &mut self.state {
            State::Busy(exchange) => Some(exchange),
            _ => None,
        }
    }

    /// The one deadline of the state it is in, and what passing it means.
    pub(super) fn deadline(
        &self,
        config: &Config,
        waits: Option<Waits>,
    ) -> Option<(Instant, Overdue)> {
        match &self.state {
            // The race has its own.
            State::Opening(_) | State::Ready => None,
            State::Securing { until, .. } => Some((*until, Overdue::Fails(Kind::TlsTimeout))),
            State::Settling { until } => Some((*until, Overdue::Settles)),
            State::Idle { until, .. } => Some((*until, Overdue::Retires)),
            State::Closing { until, .. } => Some((*until, Overdue::Gone)),
            State::Busy(exchange) => exchange.deadline(config, waits.unwrap_or_default()),
        }
    }
}

/// How long one request is waited for: its own times, or the engine's.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Waits {
    pub(super) attempt: Wait,
    pub(super) first_byte: Wait,
    pub(super) stall: Wait,
}

/// Nanoseconds; the largest number is without end. Every request has some: this is half of what an
/// `Option<Duration>` takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait(u64);

impl Wait {
    pub(super) fn new(time: Option<Duration>) -> Self {
        Self(time.map_or(u64::MAX, nanos))
    }

    pub(super) fn after(self, start: Instant) -> Option<Instant> {
        (self.0 != u64::MAX).then(|| start.later(self.0))
    }

    /// When it began that ends now.
    pub(super) const fn before(self, end: Instant) -> Instant {
        Instant::from_nanos(end.as_nanos().saturating_sub(self.0))
    }
}

impl Default for Wait {
    fn default() -> Self {
        Self(u64::MAX)
    }
}

/// What it means that a deadline passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Overdue {
    /// The exchange or the handshake failed.
    Fails(Kind),
    /// `100 Continue` did not come: the body is sent all the same.
    Continues,
    /// The server has let it stay.
    Settles,
    /// The connection was idle for long enough.
    Retires,
    /// The peer's end is not awaited any longer.
    Gone,
    /// The rest of a body that nobody wants is not awaited any longer.
    Enough,
    /// A fresh connection has said nothing for a while: perhaps nobody has accepted it.
    Unheard,
}

impl Exchange {
    /// How far it is; `answered`: what came was of its answer.
    pub(super) const fn phase(&self, answered: bool) -> Phase {
        match (self.delivery, answered, self.sending) {
            (Delivery::Undecided, true, _) => Phase::Head,
            (Delivery::Undecided, _, Sending::Sent { .. } | Sending::Expecting { .. }) => {
                Phase::FirstByte
            }
            (Delivery::Undecided, ..) => Phase::Send,
            _ => Phase::Body,
        }
    }

    /// min(phase, attempt); paused: the attempt alone.
    fn deadline(&self, config: &Config, waits: Waits) -> Option<(Instant, Overdue)> {
        let attempt = waits.attempt.after(self.started);
        let attempt = attempt.map(|until| (until, Overdue::Fails(Kind::AttemptTimeout)));
        let phase = if self.paused { None } else { self.phase_deadline(config, waits) };
        match (attempt, phase) {
            (Some(attempt), Some(phase)) => Some(if phase.0 < attempt.0 { phase } else { attempt }),
            (attempt, phase) => attempt.or(phase),
        }
    }

    fn phase_deadline(&self, config: &Config, waits: Waits) -> Option<(Instant, Overdue)> {
        let (moves, phase) = match self.delivery {
            Delivery::Skip | Delivery::SkipThen(_) | Delivery::Again(_) => {
                return Some((self.window.since + WORTH_WAITING, Overdue::Enough));
            }
            Delivery::Deliver | Delivery::DeliverThen(_) => {
                let until = waits.stall.after(self.last_byte);
                (true, until.map(|until| (until, Overdue::Fails(Kind::Stalled))))
            }
            Delivery::Undecided => match self.head_began {
                Some(began) => {
                    let until = began + config.head_timeout;
                    (false, Some((until, Overdue::Fails(Kind::HeadTimeout))))
                }
                None => self.sending_deadline(config, waits),
            },
        };
        // That we have nothing to send is not the peer's slowness.
        let is_ours = matches!(self.sending, Sending::Starved { .. });
        let waits = config.waiting_is_slow && !is_ours;
        let low = config.low_speed.filter(|_| moves || waits);
        let speed =
            low.map(|low| (self.window.since.after(low.during), Overdue::Fails(Kind::TooSlow)));
        match (speed, phase) {
            (Some(speed), Some(phase)) => Some(if speed.0 < phase.0 { speed } else { phase }),
            (speed, phase) => speed.or(phase),
        }
    }

    /// The deadline while no answer has begun, and whether anything moves meanwhile.
    fn sending_deadline(
        &self,
        config: &Config,
        waits: Waits,
    ) -> (bool, Option<(Instant, Overdue)>) {
        let fails = |at: Instant, kind| Some((at, Overdue::Fails(kind)));
        match self.sending {
            Sending::Unsent => {
                (false, fails(self.started + config.send_timeout, Kind::SendTimeout))
            }
            Sending::Flushing { progress, .. } => {
                (true, fails(progress + config.send_timeout, Kind::SendTimeout))
            }
            Sending::Expecting { until } => (false, Some((until, Overdue::Continues))),
            // With a first byte, the head's own deadline holds.
            Sending::Starved { .. } | Sending::Withheld => (false, None),
            Sending::Sent { at } => {
                let until = waits.first_byte.after(at).and_then(|end| {
                    let unheard = self.overtaking.filter(|_| self.first_byte.is_none());
                    let looks = unheard
                        .map(|it| at.later(UNHEARD_FOR.saturating_mul(u64::from(it.looks) + 1)));
                    match looks.filter(|look| *look < end) {
                        Some(look) => Some((look, Overdue::Unheard)),
                        None => fails(end, Kind::FirstByteTimeout),
                    }
                });
                (false, until)
            }
        }
    }

    /// Whether this host answered others over and over while it said nothing to this one: not one
    /// that is slow, but one that nobody works on.
    pub(super) fn is_overtaken(&self, answers: u64) -> bool {
        let others = u64::from(self.in_flight.0).max(OVERTAKEN_BY);
        let unheard = self.overtaking.filter(|_| self.first_byte.is_none());
        unheard.is_some_and(|it| answers - it.before >= others * OVERTAKEN_BY)
    }

    /// Moves everything that deadlines are counted from by so many nanoseconds: the process slept.
    pub(super) fn shift(&mut self, gap: u64) {
        let sending = match &mut self.sending {
            Sending::Flushing { progress: at, .. }
            | Sending::Expecting { until: at }
            | Sending::Sent { at } => Some(at),
            Sending::Unsent | Sending::Withheld | Sending::Starved { .. } => None,
        };
        let perhaps = [self.first_byte.as_mut(), self.head_began.as_mut(), sending];
        let always =
            [&mut self.started, &mut self.rested, &mut self.last_byte, &mut self.window.since];
        for at in always.into_iter().chain(perhaps.into_iter().flatten()) {
            *at = at.later(gap);
        }
    }

    /// Whether it kept the speed that is asked for; begins a new window if it did.
    pub(super) fn fast_enough(&mut self, config: &Config, now: Instant) -> bool {
        let Some(low) = config.low_speed else { return true };
        let wanted = mul_div(low.bytes_per_second.into(), nanos(low.during), 1_000_000_000);
        if self.window.bytes < wanted {
            return false;
        }
        self.window = Window { since: now, bytes: 0 };
        true
    }
}
