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
    /// It is one of the name servers alone, as far as is known.
    only_names: bool,
    /// When the last one ended.
    ended: Instant,
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
            only_names: false,
            ended: Instant::ZERO,
            probe: Instant::ZERO,
        }
    }

    /// Whether it is known that our own side is the trouble.
    pub(super) const fn lasts(&self) -> bool {
        self.since.is_some()
    }

    /// A peer was heard: the network works.
    pub(super) const fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.failing = None;
        // Of the name servers that says nothing.
        if !self.only_names && self.since.take().is_some() {
            self.ended = now;
        }
    }

    /// A look-up that began at `since` was answered. One that took no time was answered by no
    /// server.
    pub(super) fn names_heard(&mut self, since: Instant, now: Instant) {
        if now > since {
            self.names_heard = now;
            self.only_names = false;
            self.heard(now);
        }
    }

    /// When a look-up that began at `since`, and may be made again, is: `None`: it did not begin while
    /// all was out. What is asked for just after that may still join what was asked for before.
    pub(super) fn asks_again(&self, since: Instant, now: Instant) -> Option<Instant> {
        let over = self.ended > Instant::ZERO && since < self.ended + PROBE * 2;
        over.then_some(now + PROBE)
    }

    /// When the next opening, or look-up, may probe; `None`: now.
    pub(super) fn waits_until(&mut self, looks_up: bool, now: Instant) -> Option<Instant> {
        self.since.filter(|_| looks_up || !self.only_names)?;
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
        ours && self.waits_for_network(self.config.offline_wait, true, now)
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
            // It began while all was out: that it is back was too late for it.
            Kind::Unreachable | Kind::ConnectTimeout if began < self.outage.ended => return true,
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
        self.waits_for_network(most, false, now)
    }

    /// Requests are under way; that nothing came for them is the caller's to know.
    fn all_are_silent(&self) -> bool {
        self.conns.iter().any(|(_, conn)| matches!(conn.state, State::Busy(_)))
    }

    /// Whether the batch still waits for its own network.
    fn waits_for_network(&mut self, most: Duration, names: bool, now: Instant) -> bool {
        if most.is_zero() {
            return false;
        }
        self.outage.only_names = names && (self.outage.only_names || self.outage.since.is_none());
        if self.outage.since.is_none() {
            self.outage.since = Some(now);
            self.outage.probe = now + PROBE;
        }
        self.outage.since.is_some_and(|since| now < since.after(most))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Action, Advice, Config, Ctl, DnsFailure, Handler, JobRef, Origin, Report, Request,
        Resolved, Scheme,
    };
    use super::*;
    use crate::proto::{Body, Head};

    const AT: fn(u64) -> Instant = |seconds| Instant::from_nanos(seconds * 1_000_000_000);

    struct Nobody;

    impl Handler for Nobody {
        fn head(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &Head<'_>, _: Body) -> Advice {
            Advice::SkipBody
        }
        fn body(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &[u8]) {}
        fn done(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &Report<'_>) {}
    }

    /// Requests have one attempt: each failure that is counted ends one.
    fn engine() -> Engine {
        let connect_timeout = Duration::from_secs(100);
        Engine::new(Config { attempts: 1, connect_timeout, ..Config::default() })
    }

    /// One request to a host of its own, whose look-up begins now if it may.
    fn asked(engine: &mut Engine, host: &str, now: Instant) -> HostKey {
        let host = engine.host(&Origin { scheme: Scheme::Http, host, port: 80 });
        engine.submit(&Request::get(host, "/"), now).unwrap();
        again(engine, now);
        host
    }

    fn again(engine: &mut Engine, now: Instant) {
        engine.tick(now, &mut Nobody);
        engine.poll(now, &mut Nobody);
        while !matches!(engine.next_action(), None | Some(Action::Resolve(_))) {}
    }

    fn silent(engine: &mut Engine, host: HostKey, now: Instant) {
        let nobody =
            DnsFailure { servers: NameServers::Silent, ..DnsFailure::for_now("no answer") };
        engine.resolved(host, Err(nobody), now, &mut Nobody);
        again(engine, now);
    }

    fn found(engine: &mut Engine, host: HostKey, now: Instant) {
        let address = ["127.0.0.1".parse().unwrap()];
        let found = Resolved::new(&address, Duration::from_secs(60));
        engine.resolved(host, Ok(found), now, &mut Nobody);
        again(engine, now);
    }

    #[test]
    fn who_asked_while_all_name_servers_were_silent_asks_again() {
        let mut engine = engine();
        let [first, early] = ["a.test", "b.test"].map(|name| asked(&mut engine, name, AT(0)));
        found(&mut engine, first, AT(1));
        let late = asked(&mut engine, "c.test", AT(9));
        silent(&mut engine, early, AT(10));
        assert_eq!((engine.offline_since(), engine.held()), (Some(AT(10)), 3));
        again(&mut engine, AT(11));
        found(&mut engine, early, AT(20));
        assert_eq!((engine.offline_since(), engine.held()), (None, 3));
        // They are back: that this one heard nobody says nothing else, and no new outage.
        silent(&mut engine, late, AT(21));
        assert_eq!((engine.offline_since(), engine.held()), (None, 3));
        // What begins after that is about the name.
        let other = asked(&mut engine, "d.test", AT(23));
        found(&mut engine, other, AT(25));
        silent(&mut engine, late, AT(26));
        assert_eq!((engine.offline_since(), engine.held()), (None, 3));
    }

    #[test]
    fn that_hosts_are_heard_says_nothing_of_name_servers() {
        let mut engine = engine();
        let [first, early] = ["a.test", "b.test"].map(|name| asked(&mut engine, name, AT(0)));
        found(&mut engine, first, AT(1));
        silent(&mut engine, early, AT(10));
        engine.outage.heard(AT(11));
        assert_eq!(engine.offline_since(), Some(AT(10)));
        // Their connections are opened as ever, and only look-ups probe.
        assert_eq!(engine.outage.waits_until(false, AT(10)), None);
        assert_eq!(engine.outage.waits_until(true, AT(10)), Some(AT(11)));
        // All is out: whoever is heard ends it.
        assert!(engine.network_is_out(first, Kind::NetworkDown, AT(12), AT(12)));
        engine.outage.heard(AT(13));
        assert_eq!(engine.offline_since(), None);
    }

    #[test]
    fn a_connection_that_was_asked_for_while_all_was_out_is_no_failure_of_its_host() {
        let mut engine = engine();
        let host = asked(&mut engine, "a.test", AT(0));
        assert!(engine.network_is_out(host, Kind::NetworkDown, AT(1), AT(1)));
        engine.outage.heard(AT(10));
        assert!(engine.network_is_out(host, Kind::ConnectTimeout, AT(9), AT(12)));
        assert_eq!(engine.offline_since(), None);
        assert!(!engine.network_is_out(host, Kind::ConnectTimeout, AT(10), AT(12)));
    }
}
