//! A connection's way out: an answer's bytes, and what follows them.

use core::time::Duration;
use std::io;

use crate::base::{Instant, Key};
use crate::origin::outgoing::{Finish, Next, Outgoing};
use crate::origin::request::Incoming;
use crate::origin::rules::How;
use crate::origin::site::Site;
use crate::origin::world::World;

use super::{Conn, Fate, Fill, Pacing, Standing, State};

/// Bytes that are rendered at once.
const PORTION: u64 = 64 * 1024;
/// How long a closed direction waits for the peer to close the other.
const LINGER: Duration = Duration::from_secs(1);

/// What became of sending.
pub(super) enum Sent {
    All,
    Blocked,
    Broken,
}

impl Conn {
    pub(super) fn send(
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
                        // Counted before the client can know.
                        if outgoing.is_counted
                            && !outgoing.wants_bytes()
                            && !matches!(outgoing.finish, Finish::Cut(_))
                            && !self.stream.will_be_cut()
                        {
                            world.stats().answers.up();
                        }
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
    pub(super) fn finish(
        &mut self,
        outgoing: Outgoing,
        key: Key<Self>,
        world: &mut World,
    ) -> Option<Fate> {
        if let Finish::Cut(how) = outgoing.finish {
            world.stats().cut.up();
            return self.end(how, key, world);
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

    pub(super) fn skip(
        &mut self,
        mut rest: Incoming,
        key: Key<Self>,
        world: &mut World,
    ) -> Option<Fate> {
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

    pub(super) fn end(&mut self, how: How, key: Key<Self>, world: &mut World) -> Option<Fate> {
        match how {
            How::Reset => Some(Fate::Reset),
            How::Fin => self.close(false, key, world),
            How::Stall | How::Freeze => {
                self.stall(how == How::Freeze);
                None
            }
        }
    }

    /// Closes regularly. What the peer still sends is read away first: closing with unread bytes
    /// would reset the connection and might take the end of the answer with it.
    pub(super) fn close(
        &mut self,
        is_unread: bool,
        key: Key<Self>,
        world: &mut World,
    ) -> Option<Fate> {
        self.stream.say_goodbye();
        if self.has_ended || !(is_unread || self.is_readable) {
            return Some(Fate::Close);
        }
        self.stream.shut();
        self.state = State::Lingering;
        world.wake_in(key, LINGER);
        None
    }

    pub(super) fn write_out(&mut self, world: &World) -> Sent {
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

impl Site {
    /// A portion for someone who did not wait, unless others do.
    pub(super) fn pour_to_first(&mut self, now: Instant, bandwidth: u64) -> u64 {
        if self.thirsty.is_empty() { self.pour(now, bandwidth) } else { 0 }
    }
}
