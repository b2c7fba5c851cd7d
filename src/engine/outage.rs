//! Whether our own side is the trouble: the cable is out, the resolver is dead.
//!
//! Owns the evidence (when anybody was heard last, which hosts that had served fail since) and the
//! rule of DESIGN section 5: while the outage lasts, nothing that fails for it is counted, and one
//! opening a second probes whether it is over. Bounded by [`Config::offline_wait`].
//!
//! [`Config::offline_wait`]: super::Config::offline_wait
#![expect(
    clippy::indexing_slicing,
    reason = "a host's key is never dead: hosts live as long as the engine"
)]

use core::time::Duration;

use super::conn::State;
use super::host::HostKey;
use super::{Engine, Kind};
use crate::base::Instant;

/// How often it is probed whether the network is back.
const PROBE: Duration = Duration::from_secs(1);
/// A suspicion that only the silence of what is under way supports may cost this long.
const SUSPICION: Duration = Duration::from_secs(60);

/// Whether name servers were heard when a look-up failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum NameServers {
    /// At least one answered: it is about the name.
    #[default]
    Answered,
    /// None answered, or none could be reached.
    Silent,
    /// On none of their machines a name server is running.
    Absent,
}

/// What was heard, and since when nothing.
#[derive(Debug)]
pub(super) struct Outage {
    /// When any peer was heard last.
    heard: Instant,
    /// When a name server was heard last; zero: never.
    names_heard: Instant,
    /// Hosts that had served and could not be reached since anybody was heard: one of them, and
    /// whether there were others.
    failing: Option<(HostKey, bool)>,
    /// Since when the outage lasts.
    since: Option<Instant>,
    /// No connection is opened and no name asked for before this.
    probe: Instant,
}

impl Outage {
    pub(super) const fn new() -> Self {
        Self {
            heard: Instant::ZERO,
            names_heard: Instant::ZERO,
            failing: None,
            since: None,
            probe: Instant::ZERO,
        }
    }

    /// A peer was heard: the network works.
    pub(super) const fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.failing = None;
        self.since = None;
    }

    /// A look-up that began at `since` was answered. One that took no time was answered by no
    /// server.
    pub(super) fn names_heard(&mut self, since: Instant, now: Instant) {
        if now > since {
            self.names_heard = now;
            self.heard(now);
        }
    }

    /// When the next opening may probe; `None`: now.
    pub(super) fn waits_until(&mut self, now: Instant) -> Option<Instant> {
        self.since?;
        if self.probe > now {
            return Some(self.probe);
        }
        self.probe = now + PROBE;
        None
    }
}

impl Engine {
    /// Since when this machine's own network, or all name servers, seem to be down; `None`: they
    /// are not. Nothing that fails for it is counted meanwhile.
    pub fn offline_since(&self) -> Option<Instant> {
        self.outage.since
    }

    /// A look-up failed: whether that is our own side's trouble, to be waited for.
    pub(super) fn names_are_out(
        &mut self,
        servers: NameServers,
        since: Instant,
        now: Instant,
    ) -> bool {
        let known = self.outage.names_heard;
        let half = since.halfway(now);
        let ours = match servers {
            NameServers::Answered => {
                self.outage.names_heard(since, now);
                false
            }
            // What was heard at its beginning may have been asked for before.
            NameServers::Silent => known <= half,
            // Nobody ever was there: that is a mistake rather than an outage.
            NameServers::Absent => known <= half && known != Instant::ZERO,
        };
        ours && self.waits_for_network(self.config.offline_wait, now)
    }

    /// A host could not be reached: whether that is our own side's trouble, to be waited for.
    pub(super) fn network_is_out(
        &mut self,
        host: HostKey,
        kind: Kind,
        began: Instant,
        now: Instant,
    ) -> bool {
        let most = match kind {
            Kind::NetworkDown => self.config.offline_wait,
            Kind::Refused | Kind::ResetInHandshake | Kind::EofInHandshake | Kind::Tls(_) => {
                self.outage.heard(now);
                return false;
            }
            Kind::Unreachable | Kind::ConnectTimeout if self.outage.heard <= began.halfway(now) => {
                if self.hosts[host].has_served() {
                    self.outage.failing = Some(match self.outage.failing {
                        Some((one, more)) => (one, more || one != host),
                        None => (host, false),
                    });
                }
                match self.outage.failing {
                    // It alone says nothing about the others.
                    Some((one, false)) if one == host => return false,
                    Some(_) => self.config.offline_wait,
                    None if self.all_are_silent() => self.config.offline_wait.min(SUSPICION),
                    None => return false,
                }
            }
            _ => return false,
        };
        self.waits_for_network(most, now)
    }

    /// Requests are under way; that nothing came for them is the caller's to know.
    fn all_are_silent(&self) -> bool {
        self.conns.iter().any(|(_, conn)| matches!(conn.state, State::Busy(_)))
    }

    /// Whether the batch still waits for its own network.
    fn waits_for_network(&mut self, most: Duration, now: Instant) -> bool {
        if most.is_zero() {
            return false;
        }
        if self.outage.since.is_none() {
            self.outage.since = Some(now);
            self.outage.probe = now + PROBE;
        }
        self.outage.since.is_some_and(|since| now < since + most)
    }
}
