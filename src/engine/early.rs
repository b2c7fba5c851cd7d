//! The part of an attempt that comes before its connection: look-up, race and handshake are of its time,
//! as they are of curl's `-m`.
//!
//! Owns whose attempt has begun in its queue, and what follows when its time is over there. Where a host
//! has no connection past its handshake, the first jobs of its queues wait for nothing but what is being
//! opened for it: as many as will be served by that. Whoever stands behind them, or waits for a limit, a
//! pace, a backoff, a budget or the end of an outage, has not begun. What is being opened goes on,
//! whoever gave it up. Such a job's timer stays when a fresh connection takes it: it is the end of the
//! whole attempt. So nothing is added to a request for which a connection is at hand.
#![expect(
    clippy::indexing_slicing,
    reason = "hosts live as long as the engine; a job comes from a queue, or was looked up by the caller; a job that runs has its connection"
)]

use super::host::{Host, HostKey, Names};
use super::job::{JobKey, JobState, QUEUES_OF_FRESH};
use super::settle::Attempt;
use super::{Engine, Failing, Handler, Kind, PerHost, Phase};
use crate::base::Instant;

impl Engine {
    /// How far the opening of a host's first connection is, and how many jobs that is for.
    pub(super) fn opening_of(&self, host: &Host) -> Option<(Phase, u32)> {
        if host.conns > host.securing || self.outage.lasts() {
            return None;
        }
        match host.names {
            _ if host.securing > 0 => Some((Phase::Tls, host.coming())),
            _ if host.dials > 0 => Some((Phase::Connect, host.coming())),
            Names::Asking { .. } => {
                // The address will tell how many it may be; so many they are at most, to begin with.
                let (PerHost::Fixed(few) | PerHost::Auto { start: few, .. }) = self.config.per_host;
                Some((Phase::Dns, few.into()))
            }
            Names::Unknown | Names::Known { .. } => None,
        }
    }

    /// Begins the attempts of those who wait for what is being opened and for nothing else.
    #[inline(never)]
    pub(super) fn begin_early(&mut self, key: HostKey, now: Instant) {
        let host = &self.hosts[key];
        let Some((_, mut left)) = self.opening_of(host) else {
            self.hosts[key].unopened = now;
            return;
        };
        for queue in QUEUES_OF_FRESH {
            let queue = &host.queues[queue as usize];
            let mut next = queue.front(&self.jobs);
            while let Some(job) = next.filter(|_| left > 0) {
                left -= 1;
                next = queue.after(&self.jobs, job);
                let (index, attempt) = (job.index(), self.jobs[job].waits.attempt);
                // One that is due earlier was set for something that came to nothing.
                if let Some(due) = attempt.after(now)
                    && self.job_timers.get(index) < attempt.after(host.unopened)
                {
                    self.job_timers.set(index, due);
                }
            }
        }
    }

    /// The time of an attempt is over that began before it had a connection.
    #[inline(never)]
    pub(super) fn early_due(&mut self, key: JobKey, now: Instant, handler: &mut dyn Handler) {
        let job = &self.jobs[key];
        let host = &self.hosts[job.host];
        let kind = Kind::AttemptTimeout;
        if let JobState::Running(conn) = job.state {
            // On one that served others meanwhile, or was opened after all, its time began with it.
            let whole = job.waits.attempt.after(host.unopened).is_some_and(|due| due <= now);
            if whole && self.conns[conn].served == 0 {
                self.fail_conn(conn, Failing::new(kind), now, handler);
            }
            return;
        }
        let Some((phase, _)) = self.opening_of(host) else { return };
        let late_ones = self.config.retry_all_errors || self.config.retry_attempt_timeouts;
        self.dequeue(key);
        let job = &mut self.jobs[key];
        let (host, began) = (job.host, job.waits.attempt.before(now));
        job.started.get_or_insert(began);
        job.attempts += 1;
        // As `retry::verdict` has it for this kind: nothing of it was sent.
        if !(late_ones && job.repeatable) {
            job.attempts_allowed = 0;
        }
        let (attempt, failing) = (Attempt::none(began), Failing::new(kind));
        self.again(key, kind, None, failing, phase, &attempt, now, handler);
        // The next one is the first now.
        self.ring_host(host);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;
    use core::time::Duration;

    use super::super::{
        Action, Advice, Cause, Config, ConnKey, Ctl, Fault, JobRef, Loss, Next, Origin, Report,
        Request, Resolved, Scheme, TlsInfo,
    };
    use super::*;
    use crate::proto::{Body, Head};

    const AT: fn(u64) -> Instant = |ms| Instant::from_nanos(ms * 1_000_000);
    const MS: fn(u64) -> Duration = Duration::from_millis;

    /// Who ended when, how, in which phase, after how many attempts.
    type End = (u64, u64, Result<u16, Kind>, Option<Phase>, u32);

    /// An engine whose clock and whose driver the test is.
    struct World {
        engine: Engine,
        host: HostKey,
        now: u64,
        asked: u32,
        opened: Vec<ConnKey>,
        secures: Vec<ConnKey>,
        sends: Vec<ConnKey>,
        ends: Vec<End>,
    }

    struct Ends<'a>(&'a mut Vec<End>, u64);

    impl Handler for Ends<'_> {
        fn head(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &Head<'_>, _: Body) -> Advice {
            Advice::SkipBody
        }
        fn body(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &[u8]) {}
        fn done(&mut self, _: &mut Ctl<'_>, job: JobRef, report: &Report<'_>) {
            let phase = report.result.err().map(|failure| failure.phase);
            let result = report.result.map_err(|failure| failure.kind);
            self.0.push((job.tag, self.1, result, phase, report.attempts));
        }
    }

    impl World {
        /// Attempts have half a second; connecting has ten.
        fn new(name: &str, scheme: Scheme, config: Config) -> Self {
            let attempt_timeout = Some(MS(500));
            let mut engine = Engine::new(Config { attempt_timeout, ..config });
            let host = engine.host(&Origin { scheme, host: name, port: 80 });
            let (opened, secures, sends) = (Vec::new(), Vec::new(), Vec::new());
            Self { engine, host, now: 0, asked: 0, opened, secures, sends, ends: Vec::new() }
        }

        fn submit(&mut self, tag: u64) {
            let request = Request::get(self.host, "/").tag(tag);
            self.engine.submit(&request, AT(self.now)).unwrap();
            self.act();
        }

        fn input(&mut self, input: impl FnOnce(&mut Engine, Instant, &mut dyn Handler)) {
            input(&mut self.engine, AT(self.now), &mut Ends(&mut self.ends, self.now));
            self.act();
        }

        fn act(&mut self) {
            let now = AT(self.now);
            loop {
                self.engine.poll(now, &mut Ends(&mut self.ends, self.now));
                let Some(action) = self.engine.next_action() else { break };
                match action {
                    Action::Resolve(_) => self.asked += 1,
                    Action::Open { conn, .. } => self.opened.push(conn),
                    Action::Secure(conn) => self.secures.push(conn),
                    Action::Transmit(conn) => {
                        let mut out = Vec::new();
                        let mut handler = Ends(&mut self.ends, self.now);
                        self.engine.outgoing(conn, &mut out, now, &mut handler);
                        self.engine.wrote(conn, out.len(), true, now);
                        self.sends.push(conn);
                    }
                    _ => {}
                }
            }
            self.engine.check(now).unwrap();
        }

        /// Lets time pass, deadline by deadline.
        fn until(&mut self, ms: u64) {
            while let Some(at) = self.engine.next_deadline().filter(|&at| at <= AT(ms)) {
                self.now = self.now.max(at.as_nanos().div_ceil(1_000_000));
                self.input(|engine, now, handler| engine.tick(now, handler));
            }
            self.now = ms;
        }

        fn found(&mut self) {
            let (host, address) = (self.host, ["127.0.0.1".parse().unwrap()]);
            let found = Resolved::new(&address, Duration::from_secs(60));
            self.input(|engine, now, handler| engine.resolved(host, Ok(found), now, handler));
        }

        fn connected(&mut self) {
            let conn = self.opened.remove(0);
            self.input(|engine, now, handler| engine.connected(conn, now, handler));
        }

        fn secured(&mut self) {
            let conn = self.secures.remove(0);
            let tls = TlsInfo { version: "TLSv1.3", cipher: "", resumed: false };
            self.input(|engine, now, handler| engine.secured(conn, tls, now, handler));
        }

        fn answered(&mut self) {
            let conn = self.sends.remove(0);
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
            self.input(|engine, now, handler| {
                assert_eq!(engine.received(conn, answer, now, handler), Next::Read);
            });
        }
    }

    fn late(tag: u64, at: u64, phase: Phase) -> End {
        (tag, at, Err(Kind::AttemptTimeout), Some(phase), 1)
    }

    fn fixed(most: u16) -> Config {
        Config { per_host: PerHost::Fixed(most), ..Config::default() }
    }

    #[test]
    fn a_look_up_takes_of_the_attempts_time() {
        let mut world = World::new("a.test", Scheme::Http, fixed(1));
        world.until(100);
        world.submit(0);
        world.submit(1);
        world.until(599);
        assert_eq!(world.ends, []);
        // The one behind it begins when it is the first.
        world.until(1_000);
        assert_eq!(world.ends, [late(0, 600, Phase::Dns)]);
        // What was asked for goes on, for whoever still wants it.
        world.found();
        world.connected();
        world.answered();
        assert_eq!((world.asked, world.ends[1]), (1, (1, 1_000, Ok(200), None, 1)));
    }

    #[test]
    fn so_do_race_and_handshake() {
        let mut world = World::new("127.0.0.1", Scheme::Http, Config::default());
        world.submit(0);
        world.until(1_000);
        assert_eq!(world.ends, [late(0, 500, Phase::Connect)]);

        let mut world = World::new("127.0.0.1", Scheme::Https, Config::default());
        world.submit(0);
        world.until(300);
        world.connected();
        world.until(1_000);
        assert_eq!((world.secures.len(), &world.ends[..]), (1, &[late(0, 500, Phase::Tls)][..]));
    }

    #[test]
    fn what_is_called_off_says_how_far_it_was() {
        let end = |steps: usize, answer: &[u8]| {
            let mut world = World::new("a.test", Scheme::Https, Config::default());
            world.submit(0);
            let steps = &[World::found, World::connected, World::secured][..steps];
            for step in steps {
                step(&mut world);
            }
            if let Some(conn) = world.sends.pop() {
                world.input(|engine, now, handler| {
                    engine.received(conn, answer, now, handler);
                });
            }
            world.input(|engine, now, handler| engine.cancel_all(now, handler));
            let ends: Vec<_> = world.ends.iter().map(|end| (end.2, end.3)).collect();
            assert_eq!(ends.len(), 1);
            assert_eq!(ends[0].0, Err(Kind::Cancelled));
            ends[0].1.unwrap()
        };
        let rows: [(usize, &[u8], Phase); 6] = [
            (0, b"", Phase::Dns),
            (1, b"", Phase::Connect),
            (2, b"", Phase::Tls),
            (3, b"", Phase::FirstByte),
            (3, b"HTTP/1.1 200 OK\r\n", Phase::Head),
            (3, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123", Phase::Body),
        ];
        for (steps, answer, phase) in rows {
            assert_eq!(end(steps, answer), phase);
        }
    }

    #[test]
    fn what_is_left_is_left_for_the_rest() {
        let mut world = World::new("a.test", Scheme::Https, Config::default());
        world.submit(0);
        world.until(100);
        world.found();
        world.until(200);
        world.connected();
        world.until(300);
        world.secured();
        assert_eq!(world.sends.len(), 1);
        world.until(2_000);
        assert_eq!(world.ends, [late(0, 500, Phase::FirstByte)]);
    }

    #[test]
    fn as_many_begin_as_connections_are_opened() {
        let mut world = World::new("127.0.0.1", Scheme::Http, fixed(2));
        (0..5).for_each(|tag| world.submit(tag));
        world.until(1_100);
        assert_eq!(world.opened.len(), 2);
        let ends = [0, 1, 2, 3].map(|tag| late(tag, 500 + tag / 2 * 500, Phase::Connect));
        assert_eq!(world.ends, ends);
        // One that comes when no more may be opened waits for one of them as well.
        let mut world = World::new("127.0.0.1", Scheme::Http, fixed(1));
        world.submit(0);
        world.until(700);
        world.submit(1);
        world.until(2_000);
        assert_eq!(world.ends, [late(0, 500, Phase::Connect), late(1, 1_200, Phase::Connect)]);
    }

    #[test]
    fn the_time_in_the_queue_is_free() {
        let mut world = World::new("127.0.0.1", Scheme::Http, fixed(1));
        (0..20).for_each(|tag| world.submit(tag));
        world.until(400);
        world.connected();
        // Each has its whole time on a connection that is at hand, whatever came before.
        for tag in 0..20 {
            world.until(world.now + if tag == 0 { 50 } else { 450 });
            world.answered();
            assert_eq!(world.ends.last(), Some(&(tag, world.now, Ok(200), None, 1)));
        }
    }

    #[test]
    fn one_that_could_not_be_served_at_once_has_its_whole_time_on_a_kept_connection() {
        let mut world = World::new("127.0.0.1", Scheme::Http, fixed(2));
        (0..2).for_each(|tag| world.submit(tag));
        // The second connection never comes; the first serves both.
        world.connected();
        world.until(300);
        world.answered();
        world.until(700);
        world.answered();
        assert_eq!(world.ends, [(0, 300, Ok(200), None, 1), (1, 700, Ok(200), None, 1)]);
    }

    #[test]
    fn a_backoff_is_free_and_what_is_opened_after_it_is_another_attempt() {
        let config = Config { retry_delay: Some(MS(2_000)), ..fixed(1) };
        let mut world = World::new("127.0.0.1", Scheme::Http, config);
        world.submit(0);
        world.until(400);
        let conn = world.opened.remove(0);
        let refused = Loss::Fault(Fault::new(Cause::Refused));
        world.input(|engine, now, handler| engine.lost(conn, refused, now, handler));
        world.until(2_899);
        assert_eq!((world.opened.len(), world.ends.len()), (1, 0));
        world.until(4_000);
        assert_eq!(world.ends[0].1, 2_900);
        assert_eq!((world.ends[0].2, world.ends[0].4), (Err(Kind::AttemptTimeout), 2));
    }

    #[test]
    fn it_is_repeated_where_late_attempts_are() {
        let config = Config {
            retry_attempt_timeouts: true,
            attempts: 3,
            retry_delay: Some(MS(100)),
            ..fixed(1)
        };
        let mut world = World::new("127.0.0.1", Scheme::Http, config);
        world.submit(0);
        world.until(9_000);
        let end = (0, 1_700, Err(Kind::AttemptTimeout), Some(Phase::Connect), 3);
        assert_eq!((world.opened.len(), &world.ends[..]), (1, &[end][..]));
    }

    #[test]
    fn a_look_up_that_nobody_answers_is_given_up_and_counted() {
        let config = Config {
            connect_timeout: MS(300),
            retry_delay: Some(MS(100)),
            attempts: 2,
            ..Config::default()
        };
        let unanswered = Kind::Dns("dns_unanswered");
        let mut world = World::new("a.test", Scheme::Http, config.clone());
        (0..2).for_each(|tag| world.submit(tag));
        world.until(9_000);
        // Of those behind it, none would fare better.
        let ends =
            [0, 1].map(|tag| (tag, 700, Err(unanswered), Some(Phase::Dns), 2 - tag as u32 * 2));
        assert_eq!((world.asked, &world.ends[..]), (2, &ends[..]));
        // One that is answered the second time.
        let mut world = World::new("a.test", Scheme::Http, config.clone());
        world.submit(0);
        world.until(500);
        world.found();
        world.connected();
        world.answered();
        assert_eq!(world.ends, [(0, 500, Ok(200), None, 2)]);
        // Whoever looks names up in time of his own is not hurried, nor is one that was asleep.
        let mut world = World::new("a.test", Scheme::Http, config.clone());
        world.engine.names_are_bounded = true;
        world.submit(0);
        world.until(499);
        assert_eq!((world.asked, world.ends.len()), (1, 0));
        let mut world = World::new("a.test", Scheme::Http, config);
        world.submit(0);
        world.engine.slept(MS(5_000));
        world.until(5_299);
        assert_eq!(world.asked, 1);
        world.until(5_400);
        assert_eq!(world.asked, 2);
    }

    #[test]
    fn what_the_process_slept_over_is_given_back() {
        let mut world = World::new("127.0.0.1", Scheme::Http, fixed(1));
        world.submit(0);
        world.engine.slept(MS(5_000));
        world.until(9_000);
        assert_eq!(world.ends, [late(0, 5_500, Phase::Connect)]);
    }

    /// Everything that may be opened for who is asked, and what is due until then.
    fn settle(world: &mut World, until: u64) {
        for ms in (world.now..=until).step_by(100) {
            world.until(ms);
            while !world.opened.is_empty() {
                world.connected();
            }
        }
    }

    fn three_at_one_address(idle: Duration) -> (World, [HostKey; 3]) {
        let per_host = PerHost::Fixed(3);
        let config =
            Config { max_connections: 4, idle_timeout: idle, per_host, ..Config::default() };
        let mut world = World::new("127.0.0.1", Scheme::Http, Config::default());
        world.engine = Engine::new(config);
        let at = |port| Origin { scheme: Scheme::Http, host: "127.0.0.1", port };
        let hosts = [81, 82, 83].map(|port| world.engine.host(&at(port)));
        (world, hosts)
    }

    /// A host with more idle connections than jobs has some to spare.
    #[test]
    fn who_has_idle_ones_to_spare_gives_way() {
        let (mut world, [a, b, c]) = three_at_one_address(Duration::from_secs(60));
        world.host = a;
        (0..3).for_each(|tag| world.submit(tag));
        settle(&mut world, 3_000);
        while !world.sends.is_empty() {
            world.answered();
        }
        world.host = c;
        world.submit(3);
        settle(&mut world, 3_100);
        assert_eq!(world.engine.groups[0].conns, 4, "three idle, one busy");
        for (host, tag) in [(a, 4), (a, 5), (b, 6)] {
            let request = Request::get(host, "/").tag(tag);
            world.engine.submit(&request, AT(world.now)).unwrap();
        }
        world.act();
        assert_eq!(world.engine.groups[0].closing, 1);
    }

    /// A job that wants no idle connection closes one of its own host's, where nothing else can be opened.
    #[test]
    fn who_wants_a_fresh_one_closes_an_idle_one_of_its_own() {
        let (mut world, [a, b, _]) = three_at_one_address(Duration::from_secs(60));
        world.host = a;
        (0..2).for_each(|tag| world.submit(tag));
        settle(&mut world, 3_000);
        (0..2).for_each(|_| world.answered());
        world.host = b;
        (2..5).for_each(|tag| world.submit(tag));
        settle(&mut world, 8_000);
        assert_eq!(world.engine.groups[0].conns, 4, "two idle, two busy");
        let mut request = Request::get(a, "/").tag(9);
        request.method = "POST";
        world.engine.submit(&request, AT(world.now)).unwrap();
        world.act();
        assert_eq!(world.engine.groups[0].closing, 1);
    }
}
