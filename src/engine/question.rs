//! Whether a server bears one connection more, asked by a connection alone.
//!
//! Who finds a limit by going beyond it has a connection reset each time. What was asked on that one is lost,
//! and costs its URL an attempt. A server that accepts and resets does so within a round: for that long the
//! connection is left without a request. One that says what is too many by an answer (503) has to be asked.
//!
//! Owns that moment. When such a question comes is `limit`'s.
#![expect(
    clippy::indexing_slicing,
    reason = "`key` was looked up by `get` where the event came in, and nothing before these lines drops it; hosts and groups live as long as the engine"
)]

use core::time::Duration;

use super::conn::{ConnKey, State};
use super::host::HostKey;
use super::limit::Complaint;
use super::{Engine, Handler};
use crate::base::Instant;

/// How long a server may take to reset what it has just let in.
const SETTLES: Duration = Duration::from_millis(5);

impl Engine {
    /// A connection without TLS is there. Where it is one more than the server is known to bear, and such were
    /// reset as soon as they were there, it is left alone for a moment first: a request on it would be lost.
    /// Over TLS the handshake has told.
    pub(super) fn settle_in(&mut self, key: ConnKey, now: Instant, handler: &mut dyn Handler) {
        let conn = &mut self.conns[key];
        let host = &mut self.hosts[conn.host];
        let group = &self.groups[conn.group as usize];
        let asks =
            host.limit.asks(host.slots()) || (group.origins > 1 && group.limit.asks(group.conns));
        // While others are at work, nothing waits for it.
        if !asks || host.busy == 0 {
            self.ready(key, now, handler);
            return;
        }
        // The server hears of it half a round later, and is heard after another half.
        conn.state = State::Settling { until: now.after(conn.setup.connect) + SETTLES };
        host.securing += 1;
        self.securing += 1;
        self.arm(key);
    }

    /// A connection was let stay: it may have a request.
    pub(super) fn settled(&mut self, key: ConnKey, now: Instant, handler: &mut dyn Handler) {
        let conn = &mut self.conns[key];
        self.hosts[conn.host].securing -= 1;
        self.securing -= 1;
        conn.state = State::Ready;
        self.ready(key, now, handler);
    }

    /// A connection was not let stay. No request was on it: what is beyond the limit was asked for at no
    /// request's cost.
    pub(super) fn unsettled(&mut self, key: ConnKey, now: Instant) {
        let conn = &self.conns[key];
        let (host_key, opened, group) = (conn.host, conn.opened, conn.group);
        self.drop_conn(key, true, now);
        let host = &mut self.hosts[host_key];
        host.stats.fresh_resets += 1;
        host.spurned.another(now, Some(self.config.host_down_after));
        self.one_too_many((host_key, group), Complaint::FreshReset, opened, now);
        self.note_limit(host_key, now);
    }

    /// A connection without a request that is gone was one too many for its host and at its address, where it
    /// counts as open itself.
    pub(super) fn one_too_many(
        &mut self,
        (host, group): (HostKey, u32),
        complaint: Complaint,
        opened: Instant,
        now: Instant,
    ) {
        let host = &mut self.hosts[host];
        let open = host.slots() + 1;
        host.limit.turned_away(now, complaint, opened, open);
        let group = &mut self.groups[group as usize];
        let open = group.conns + 1;
        group.limit.turned_away(now, complaint, opened, open);
    }
}
