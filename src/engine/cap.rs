//! The cap of all connections: how many there may be in all, and who makes room.
//!
//! Owns the configured cap, its lowering while the machine is short of sockets, which hosts have to do
//! with one connection, and which idle one is closed for the sake of a host that needs one. Never opens
//! anything, and never takes a connection from a request: only idle ones give way.
#![expect(
    clippy::cast_possible_truncation,
    reason = "connections are counted in `u32` since `max_connections` is one"
)]
#![expect(
    clippy::indexing_slicing,
    reason = "hosts live as long as the engine; the connections come from the list of idle ones"
)]

use core::time::Duration;

use super::Engine;
use super::conn::State;
use super::host::HostKey;
use crate::base::Instant;

/// An idle connection that nobody has missed for this long may give way to any other.
pub(super) const UNMISSED: Duration = Duration::from_secs(1);
/// How soon the machine is asked again after it was out of sockets.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(500);

/// How many nanoseconds a cap that was lowered stays so; twice as long after each further shortage,
pub(super) const CAP_REST: u64 = 1_000_000_000;
/// but never longer than this.
const CAP_REST_MOST: u64 = 60_000_000_000;

impl Engine {
    /// This machine is out of sockets: fewer connections from now on, and a moment's rest.
    pub(super) fn lower_cap(&mut self, now: Instant) {
        self.cap = (self.conns.len() as u32).min(self.cap).max(1);
        if self.exhausted <= now {
            // Those that fail together are one shortage; each further one is rested from longer.
            self.cap_rises = now.later(self.cap_rest);
            self.cap_rest = (self.cap_rest * 2).min(CAP_REST_MOST);
        }
        self.exhausted = now + EXHAUSTED_PAUSE;
    }

    /// Lets a lowered cap rise by a quarter, now and then: a shortage passes. True when there is
    /// room now; else the host is woken when the cap may rise.
    pub(super) fn raise_cap(&mut self, host: HostKey, now: Instant) -> bool {
        let most = self.config.max_connections.max(1);
        if self.cap >= most {
            return false;
        }
        if self.cap_rises > now {
            self.host_timers.set(host.index(), self.cap_rises);
            return false;
        }
        self.cap = (self.cap + (self.cap / 4).max(1)).min(most);
        self.cap_rises = now + EXHAUSTED_PAUSE;
        if self.cap == most {
            self.cap_rest = CAP_REST;
        }
        (self.conns.len() as u32) < self.cap
    }

    /// Whether a host that was never heard has a connection, and others use half of all that there may be.
    /// Silent hosts would else take all, six each, before others have their first: what was sent on
    /// them holds them for the whole time-out.
    pub(super) fn has_to_do_with_one(&self, host: HostKey) -> bool {
        let host = &self.hosts[host];
        host.slots() > 0
            && !host.has_served()
            && host.busy == host.unheard
            && (self.conns.len() as u32).saturating_sub(self.idle.len() + host.slots())
                >= self.cap / 2
    }

    /// Makes room for a connection of `host`: closes the longest idle connection of another one.
    /// A further connection of a host that has one is worth only one that nobody has missed for a
    /// while: else hosts with work would close each other's connections all the time. True when
    /// there is room now.
    pub(super) fn make_room(&mut self, host: HostKey, now: Instant) -> bool {
        // One is under way for each host that waits: their slots come with the peers' FINs.
        if self.closing >= self.ring.len() {
            return false;
        }
        let mut next = self.idle.front(&self.conns);
        let mut spared = None;
        while let Some(conn) = next {
            let owner = self.conns[conn].host;
            let untried = self.conns[conn].served == 0 && !self.hosts[owner].has_no_queue();
            let missed = match self.conns[conn].state {
                State::Idle { since, .. } => now < since + UNMISSED,
                _ => true,
            };
            if missed && self.hosts[host].slots() > 0 {
                // The others have been idle for less.
                break;
            }
            if owner != host && !untried {
                spared = None;
                self.retire(conn, now);
                break;
            }
            if owner != host {
                spared = spared.or(Some(conn));
            }
            next = self.idle.after(&self.conns, conn);
        }
        if let Some(conn) = spared {
            // What its own host has queued does not suit it, or has to wait.
            self.retire(conn, now);
        }
        (self.conns.len() as u32) < self.cap
    }
}
