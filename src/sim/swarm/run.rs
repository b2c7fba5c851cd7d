//! One run: the world's servers, the driver, and what happens to both until all is done.
//!
//! Owns the order of it: submissions and incidents by their times, the healing, the probes at the end.
//! What must hold meanwhile is in `oracle`, what a job may see in `watch`.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::cell::RefCell;
use std::rc::Rc;

use super::Summary;
#[cfg(feature = "tls")]
use super::Tls;
use super::plan::{self, Incident, Plan, Upload};
use super::watch::{PROBES, Watch};
use super::world::{self, World};
use crate::base::Instant;
use crate::engine::{
    DnsFailure, Engine, HostKey, NameServers, Options, Origin, Payload, Request, Resolved, Scheme,
    SubmitError,
};
use crate::net::Driver;
use crate::sim::{Accept, Answer, Asked, Net, Server, Weather};

/// Everything arrives within this much of virtual time after the world has healed.
const PATIENCE: Duration = Duration::from_secs(900);
/// With learned request rates, which are slow to recover.
const PATIENCE_WHEN_PACED: Duration = Duration::from_secs(7_200);

pub(super) struct Swarm {
    pub(super) driver: Driver<Net>,
    pub(super) watch: Watch,
    pub(super) world: Rc<RefCell<World>>,
    pub(super) hosts: Vec<HostKey>,
    pub(super) order: Vec<usize>,
    pub(super) submitted: usize,
    pub(super) incidents: usize,
    pub(super) lookups: Vec<(Instant, HostKey)>,
    pub(super) random: fastrand::Rng,
    pub(super) turns: u64,
    pub(super) spins: u32,
}

pub(super) fn at(time: Duration) -> Instant {
    Instant::ZERO + time
}

impl Swarm {
    pub(super) fn new(plan: Plan, seed: u64) -> Self {
        let world = World::new(plan.jobs.clone(), plan.faults.clone(), seed);
        let world = Rc::new(RefCell::new(world));
        let mut net = Net::new(seed);
        net.weather = plan.weather.clone();
        for (number, host) in plan.hosts.iter().enumerate() {
            let shared = Rc::clone(&world);
            let mut server =
                Server::new(move |request| shared.borrow_mut().answer(number, request));
            server.latency = host.latency;
            server.idle_close = host.idle_close;
            server.requests_a_connection = host.requests_a_connection;
            server.says_close = host.says_close;
            server.connections = host.connections;
            server.banner = host.banner.then(|| b"SSH-2.0-OpenSSH_9.2\r\n".to_vec());
            server.early = host.early;
            server.ignores_fin = host.ignores_fin;
            server.deaf = host.deaf;
            server.continues = host.continues;
            server.truncates = host.truncates;
            net.serve(live_address(host), server);
            let dead = host.addresses.iter().filter(|address| !is_live(**address));
            for (address, accept) in dead.zip(&host.dead) {
                let mut server = Server::new(|_| Answer::new(404));
                server.accept = *accept;
                net.serve(SocketAddr::new(*address, host.port), server);
            }
        }
        let mut order: Vec<usize> = (0..plan.jobs.len()).collect();
        order.sort_by_key(|&job| plan.jobs[job].at);
        let mut driver = Driver::new(Engine::new(plan.config.clone()), net, plan.driver);
        let hosts = plan
            .hosts
            .iter()
            .map(|host| {
                let scheme = if host.secure { Scheme::Https } else { Scheme::Http };
                driver.host(&Origin { scheme, host: &host.name, port: host.port })
            })
            .collect();
        Self {
            driver,
            watch: Watch::new(plan, seed),
            world,
            hosts,
            order,
            submitted: 0,
            incidents: 0,
            lookups: Vec::new(),
            random: fastrand::Rng::with_seed(seed ^ 0x51A9_0000),
            turns: 0,
            spins: 0,
        }
    }

    #[cfg(feature = "tls")]
    pub(super) fn secure(&mut self, tls: &Tls) {
        for host in &self.watch.plan.hosts {
            if host.secure
                && let Some(server) = self.driver.net_mut().server_mut(live_address(host))
            {
                server.tls = Some(tls.server.clone());
            }
        }
        let driver = core::mem::replace(
            &mut self.driver,
            Driver::new(
                Engine::new(self.watch.plan.config.clone()),
                Net::new(0),
                self.watch.plan.driver,
            ),
        );
        self.driver = driver.with_tls(tls.client.clone());
    }

    pub(super) fn now(&self) -> Instant {
        self.driver.net().time
    }

    pub(super) fn run(mut self) -> Result<Summary, String> {
        let heal_at = at(self.watch.plan.heal_at);
        let paced = self.watch.plan.faults.too_many > 0 || self.watch.plan.faults.retry_after > 0;
        let patience = if paced { PATIENCE_WHEN_PACED } else { PATIENCE };
        while self.submitted < self.order.len() || self.driver.engine().held() > 0 {
            if self.now() >= heal_at && !self.watch.healed {
                self.heal();
            }
            self.incidents();
            self.submit();
            self.handle();
            self.turn()?;
            if self.now() > heal_at + patience {
                return Err(self.lost("not done in time"));
            }
        }
        let recovered_in = self.now() - heal_at;
        self.heal();
        self.rest("after the jobs")?;
        for tag in 0..self.watch.records.len() {
            self.watch.judge(tag, &self.world.borrow(), &self.driver.net().ledger().asked)?;
        }
        self.probe()?;
        self.rest("after the probes")?;
        self.nothing_left()?;
        let ledger = self.driver.net().ledger();
        let posts = self.watch.plan.jobs.iter().filter(|job| !job.repeatable()).count();
        let begun = ledger.asked.iter().filter(|asked| asked.first == b'P').count();
        if begun > posts {
            return Err(format!("bytes of POSTs went out {begun} times for {posts} jobs"));
        }
        let arrived =
            self.watch.records.iter().filter(|record| matches!(record.result, Some(Ok(_))));
        Ok(Summary {
            hash: ledger.hash,
            jobs: self.watch.records.len(),
            arrived: arrived.count(),
            turns: self.turns,
            requests: ledger.asked.len(),
            reused: reused(&ledger.asked),
            connections: ledger.opened,
            faults: ledger.faults,
            took: self.now() - Instant::ZERO,
            recovered_in,
        })
    }

    fn submit(&mut self) {
        while let Some(&job) = self.order.get(self.submitted) {
            let plan = &self.watch.plan.jobs[job];
            if at(plan.at) > self.now() {
                break;
            }
            let target = format!("/{job}");
            let range = plan.range.map(|(first, last)| match last {
                Some(last) => format!("bytes={first}-{last}"),
                None => format!("bytes={first}-"),
            });
            let field;
            let fields: &[(&str, &[u8])] = match &range {
                Some(range) => {
                    field = [("Range", range.as_bytes())];
                    &field
                }
                None => &[],
            };
            let request = Request {
                host: self.hosts[plan.host],
                method: plan.method,
                target: &target,
                fields,
                body: match plan.upload {
                    Upload::None => Payload::None,
                    Upload::Bytes(length) => {
                        Payload::Bytes(world::content(job as u64, world::UPLOADED, length).into())
                    }
                    Upload::Stream { length, known, replayable } => {
                        Payload::Stream { length: known.then_some(length as u64), replayable }
                    }
                },
                tag: job as u64,
                options: Options {
                    urgent: plan.urgent,
                    attempt_timeout: plan.attempt_timeout,
                    max_body_bytes: plan.max_body,
                    expect_continue: plan.expect.then_some(Duration::from_millis(700)),
                    ..Options::default()
                },
            };
            match self.driver.submit(&request) {
                Ok(key) => {
                    self.watch.records[job].key = Some(key);
                    self.submitted += 1;
                }
                Err(SubmitError::Full) if self.driver.engine().wants() == 0 => break,
                Err(error) => {
                    self.watch.violations.push(format!("job {job} was not taken: {error}"));
                    break;
                }
            }
        }
    }

    fn incidents(&mut self) {
        while let Some(&(time, incident)) = self.watch.plan.incidents.get(self.incidents) {
            if at(time) > self.now() || self.watch.healed {
                break;
            }
            self.incidents += 1;
            match incident {
                Incident::Accept(host, accept) => {
                    let address = live_address(&self.watch.plan.hosts[host]);
                    if let Some(server) = self.driver.net_mut().server_mut(address) {
                        server.accept = accept;
                    }
                }
                Incident::Restart => self.driver.net_mut().restart_servers(),
                Incident::Network(down) => self.driver.net_mut().weather.network_down = down,
            }
        }
    }

    pub(super) fn next_cancel(&self) -> Option<Instant> {
        let live = |job: usize| {
            let record = &self.watch.records[job];
            record.key.is_some() && record.done == 0 && !record.called_off
        };
        let jobs = self.watch.plan.jobs.iter().enumerate();
        jobs.filter(|(job, _)| live(*job)).filter_map(|(_, job)| job.cancel_at.map(at)).min()
    }

    /// Answers look-ups, resumes and cancels what is due.
    fn handle(&mut self) {
        let now = self.now();
        while let Some(host) = self.driver.next_lookup() {
            let number = self.hosts.iter().position(|&known| known == host).unwrap_or(0);
            self.lookups.push((now + self.watch.plan.hosts[number].lookup, host));
        }
        let lookups = core::mem::take(&mut self.lookups);
        for (due, host) in lookups {
            if due > now {
                self.lookups.push((due, host));
                continue;
            }
            let number = self.hosts.iter().position(|&known| known == host).unwrap_or(0);
            let plan = &self.watch.plan.hosts[number];
            let dns = if self.watch.healed { 0 } else { self.watch.plan.faults.dns };
            let failure = DnsFailure {
                name: "dns_timeout",
                detail: "nobody answered",
                hint: None,
                transient: true,
                servers: NameServers::Answered,
            };
            let (addresses, lifetime) = (plan.addresses.clone(), plan.lifetime);
            let result = if self.random.u32(0..1000) < dns {
                Err(failure)
            } else {
                Ok(Resolved { addresses: &addresses, lifetime, stale: false })
            };
            self.driver.resolved(host, result, &mut self.watch);
        }
        for job in 0..self.watch.records.len() {
            let record = &mut self.watch.records[job];
            let Some(key) = record.key.filter(|_| record.done == 0) else { continue };
            let paused = record.paused_until.is_some_and(|until| until <= now);
            let starved = record.starved_until.is_some_and(|until| until <= now);
            let starved = starved && !core::mem::replace(&mut record.starved_told, true);
            if paused || starved {
                record.paused_until = None;
                self.driver.ctl().resume(key);
            }
            let cancel = self.watch.plan.jobs[job].cancel_at;
            if cancel.is_some_and(|due| at(due) <= now) && !record.called_off {
                record.called_off = true;
                self.driver.ctl().cancel(key);
            }
        }
    }

    /// From now on nothing goes wrong.
    fn heal(&mut self) {
        self.watch.healed = true;
        self.world.borrow_mut().faults = plan::Faults::default();
        let live: Vec<SocketAddr> = self.watch.plan.hosts.iter().map(live_address).collect();
        let net = self.driver.net_mut();
        net.weather = Weather { jitter: net.weather.jitter, ..Weather::fair() };
        for address in live {
            if let Some(server) = net.server_mut(address) {
                server.accept = Accept::Yes;
                server.banner = None;
                server.early = false;
                server.ignores_fin = false;
                server.deaf = false;
                server.truncates = false;
                server.connections = None;
            }
        }
        net.stir();
    }

    /// Turns until nothing is armed any more.
    fn rest(&mut self, when: &str) -> Result<(), String> {
        let start = self.now();
        loop {
            self.handle();
            if self.driver.next_deadline().is_none() && self.lookups.is_empty() {
                return Ok(());
            }
            self.turn()?;
            if self.now() > start + PATIENCE {
                return Err(self.lost(&format!("timers for ever, {when}")));
            }
        }
    }

    /// Every host serves again, whatever happened before.
    fn probe(&mut self) -> Result<(), String> {
        // A host that is down is probed now and then, one that is closed opens by and by.
        let later = self.now() + Duration::from_secs(60);
        self.driver.net_mut().time = later;
        for (number, host) in self.hosts.clone().into_iter().enumerate() {
            let request = Request::get(host, world::PROBE).tag(PROBES + number as u64);
            while self.driver.submit(&request).is_err() {
                self.handle();
                self.turn()?;
            }
        }
        let start = self.now();
        while self.driver.engine().held() > 0 {
            self.handle();
            self.turn()?;
            if self.now() > start + PATIENCE {
                return Err(self.lost("probes of healthy hosts are not done"));
            }
        }
        match self.watch.probes_failed.first() {
            Some(first) => Err(format!("a healthy host does not serve: {first}")),
            None => Ok(()),
        }
    }
}

/// Requests that were not the first on their connection.
fn reused(asked: &[Asked]) -> u64 {
    let mut connections: Vec<u32> = asked.iter().map(|asked| asked.connection).collect();
    connections.sort_unstable();
    connections.dedup();
    (asked.len() - connections.len()) as u64
}

fn is_live(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(ip) if ip.octets()[0] == 192)
}

pub(super) fn live_address(host: &plan::HostPlan) -> SocketAddr {
    let live = host.addresses.iter().copied().find(|&address| is_live(address));
    SocketAddr::new(live.unwrap_or(host.addresses[0]), host.port)
}
