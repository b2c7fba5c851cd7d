//! A turn: actions, wait, input and output, deadlines, actions.
//!
//! Owns that order, its bounds in events and in time, who of the hot links is served next, and the carrying out of the engine's
//! actions. Touches no byte: that is the pump's.

use core::time::Duration;

use super::super::link::{Finishing, Link};
use super::super::tap::What;
use super::{Driver, Pumped};
use crate::engine::{Action, ConnKey, Fault, Handler, Loss};
use crate::net::Net;
#[cfg(feature = "dns")]
use crate::net::RESOLVER;
use crate::proto::wire::End;

/// A turn that comes this much later than it wanted to means that the process slept.
const OVERSLEPT: Duration = Duration::from_secs(1);
/// An address that has said nothing for this long when its race ends counts as one that failed.
const UNHEARD: Duration = Duration::from_secs(1);

/// Times that one turn asks what is ready.
const ROUNDS: u32 = 16;

impl<N: Net> Driver<N> {
    /// One turn: carries out what is wanted, waits for at most `timeout` (`None`: until something
    /// happens), handles what is ready, then what is overdue.
    ///
    /// # Errors
    /// What [`Net::wait`] failed with, and nothing else: over [`Mio`](crate::net::mio::Mio) the system's poll,
    /// with its number in [`Fault::os`]; a signal is no error there. What goes wrong with a connection, or
    /// for want of descriptors, is told by [`Handler::done`]. Nothing is lost: `turn` may be called again.
    pub fn turn(
        &mut self,
        timeout: Option<Duration>,
        handler: &mut dyn Handler,
    ) -> Result<(), Fault> {
        let woke_before = self.now;
        self.now = self.net.now();
        self.budget.begin(self.now);
        let mut begins = self.now;
        let finished = self.engine.finished();
        #[cfg(feature = "remote")]
        if self.take_orders(handler) {
            self.stirred = true;
        }
        if core::mem::take(&mut self.stirred) {
            self.act(handler);
            begins = self.net.now();
            self.budget.look(begins);
        }
        let until = self.next_deadline();
        let wanted = until.map(|at| at - self.now);
        let timeout = match (timeout, wanted) {
            (Some(timeout), Some(wanted)) => Some(timeout.min(wanted)),
            (timeout, wanted) => timeout.or(wanted),
        };
        // Whoever was told of an end, of a request that was called off, does not want to wait for
        // something else to happen.
        let ended = self.engine.finished() != finished;
        let timeout = if ended { Some(Duration::ZERO) } else { timeout };
        #[cfg(feature = "cli")]
        if let Some(reach) = &mut self.reach {
            let (held, running) = (self.engine.held(), self.engine.running());
            let (work, most) = (self.engine.work(), self.engine.config().max_jobs);
            reach.waits(held, running, work, most as usize, begins);
        }
        let (running, short) = (self.engine.running(), self.engine.short_time());
        let rest = self.rest.before(timeout, running, short, self.config.most_rest);
        let mut more = self.wait(rest, timeout)?;
        let woke = self.net.now();
        self.engine.beat(begins - woke_before, woke - begins);
        self.rest.came(self.ready.len(), woke.nanos_since(woke_before));
        if let Some(timeout) = timeout {
            let expected = self.now.after(timeout);
            if woke > expected + OVERSLEPT {
                let gap = woke - expected;
                self.engine.slept(gap);
                #[cfg(feature = "dns")]
                if let Some(names) = &mut self.names {
                    names.slept(gap);
                }
            }
        }
        self.now = woke;
        self.budget.waited(woke.nanos_since(begins), woke);
        let mut rounds = 0;
        loop {
            self.latch();
            self.pump_round(handler);
            #[cfg(feature = "dns")]
            self.pump_names(handler);
            if !more {
                break;
            }
            rounds += 1;
            if rounds == ROUNDS || self.budget.is_spent() {
                // A turn has an end: deadlines are due, and others share the loop. The next one is
                // wanted at once.
                self.stirred = true;
                break;
            }
            // An edge-triggered outer loop is told once: the inner poll has to be emptied.
            more = self.wait(None, Some(Duration::ZERO))?;
            self.now = self.net.now();
        }
        self.tick(handler);
        #[cfg(feature = "dns")]
        self.tick_names(handler);
        #[cfg(feature = "remote")]
        self.take_orders(handler);
        self.act(handler);
        if self.budget.has_unlooked() {
            self.look();
        }
        Ok(())
    }

    /// Does what is overdue, a few deadlines at least.
    fn tick(&mut self, handler: &mut dyn Handler) {
        loop {
            let some = self.budget.stride();
            let came = self.engine.tick_some(self.now, some, handler);
            if came > 0 {
                self.look();
            }
            if came < some {
                break;
            }
            if self.budget.is_spent() {
                self.stirred = true;
                break;
            }
        }
    }

    /// A step is done.
    pub(super) fn count(&mut self) {
        if self.budget.count() {
            self.look();
        }
    }

    #[inline(never)]
    fn look(&mut self) {
        let now = self.net.now();
        self.budget.look(now);
    }

    fn wait(&mut self, rest: Option<Duration>, timeout: Option<Duration>) -> Result<bool, Fault> {
        self.ready.clear();
        match rest {
            None => self.net.wait(timeout, &mut self.ready),
            Some(rest) => self.net.wait_rested(rest, timeout, &mut self.ready),
        }
    }

    /// Latches what is ready and puts it on the hot list.
    fn latch(&mut self) {
        for ready in &self.ready {
            #[cfg(feature = "dns")]
            if let Some(names) = self.names.as_mut().filter(|_| ready.token & RESOLVER != 0) {
                names.latch(ready.token);
                continue;
            }
            // The low half of a token is the slot; a stale generation dies here.
            let index = ready.token & (u32::MAX as usize);
            let Some(Some(link)) = self.links.get_mut(index) else { continue };
            if link.key.pack() != ready.token {
                continue;
            }
            link.readable |= ready.readable;
            link.writable |= ready.writable;
            if !link.hot && link.has_work() {
                link.hot = true;
                self.hot.push_back(link.key);
            }
        }
    }

    /// Pumps each hot link once, as far as time allows; those that have more to do go to the back,
    /// those that had no turn stay in front. Established ones go first: of handshakes, only so many
    /// are processed in a turn.
    fn pump_round(&mut self, handler: &mut dyn Handler) {
        let mut handshakes = 0;
        let mut left = self.hot.len();
        while left > 0 && !self.budget.is_spent() {
            let taken = self.pump_together(left, handler);
            left -= taken;
            if taken > 0 {
                self.carry_out(handler);
                continue;
            }
            left -= 1;
            let Some(key) = self.hot.pop_front() else { break };
            let Some(link) = self.link(key) else { continue };
            let securing = Self::is_securing(link);
            if securing {
                handshakes += 1;
                if handshakes > self.config.handshakes_a_turn {
                    self.hot.push_back(key);
                    continue;
                }
            }
            if let Some(link) = self.link(key) {
                link.hot = false;
            }
            self.pump(key, handler);
            self.carry_out(handler);
            if securing {
                self.look();
            } else {
                self.count();
            }
        }
    }

    /// Lets the engine decide, and carries out what it wants.
    fn act(&mut self, handler: &mut dyn Handler) {
        loop {
            self.engine.poll(self.now, handler);
            if !self.carry_out(handler) {
                break;
            }
        }
    }

    /// Carries out the engine's actions; whether there were any.
    fn carry_out(&mut self, handler: &mut dyn Handler) -> bool {
        let mut any = false;
        while let Some(action) = self.engine.next_action() {
            any = true;
            match action {
                #[cfg(feature = "dns")]
                Action::Resolve(host) if self.look_up(host, handler) => {}
                Action::Resolve(host) => self.lookups.push_back(host),
                Action::Open { conn, address } => {
                    let index = conn.index();
                    if index >= self.links.len() {
                        self.links.resize_with(index + 1, || None);
                    }
                    let serial = self.engine.serial_of(conn);
                    if let Some(place) = self.links.get_mut(index) {
                        *place = Some(Link::new(conn, serial, address, self.now));
                    }
                    if let Err(fault) = self.net.open(conn.pack(), address) {
                        self.engine.lost(conn, Loss::Fault(fault), self.now, handler);
                    }
                }
                Action::Secure(conn) => self.secure(conn, handler),
                Action::Transmit(conn) => {
                    if let Some(link) = self.link(conn) {
                        link.transmit = true;
                        if self.budget.is_spent() {
                            self.heat(conn);
                        } else {
                            self.pump(conn, handler);
                            self.count();
                        }
                    }
                }
                Action::Read(conn) => {
                    if let Some(link) = self.link(conn) {
                        link.paused = false;
                        self.heat(conn);
                    }
                }
                Action::Finish(conn) => self.finish(conn, handler),
                Action::Close { conn, reset } => {
                    let now = self.now;
                    if let Some(link) = self.link(conn) {
                        let unheard = !link.connected && link.opened + UNHEARD <= now;
                        let remote = link.remote;
                        if unheard {
                            self.dialled(remote, false);
                        }
                        self.tap(conn, What::End(End::Closed));
                        if let Some(place) = self.links.get_mut(conn.index()) {
                            *place = None;
                        }
                        self.net.close(conn.pack(), reset);
                    }
                }
            }
        }
        any
    }

    /// Puts a link on the hot list, if it has something to do.
    pub(super) fn heat(&mut self, key: ConnKey) {
        let Some(link) = self.link(key) else { return };
        if !link.hot && link.has_work() {
            link.hot = true;
            self.hot.push_back(key);
        }
    }

    /// Our end: close_notify where there is TLS, then FIN, behind whatever is unsent.
    fn finish(&mut self, key: ConnKey, handler: &mut dyn Handler) {
        let Some(link) = self.link(key) else { return };
        link.finishing = Finishing::Wanted;
        link.paused = false;
        Self::farewell(link);
        if self.flush(key, handler) == Pumped::Here {
            self.heat(key);
        }
    }
}
