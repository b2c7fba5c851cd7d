//! The swarm: a seed draws a world, the oracle watches it, then everything heals and must arrive.
//!
//! A world is a random subset of faults with wild weights, caps (connections a host and in all),
//! hosts with their quirks, jobs, and a handler that pauses, cancels and submits in between. The
//! oracle is always on:
//!
//! - the end of a job comes once, its bytes are the server's (of one version), a failure has a
//!   reason in this world, what was had in full is not asked for again;
//! - a POST of which a byte was sent is never sent again;
//! - no cap is ever exceeded, as the servers and the kernel count;
//! - the engine's counts, lists and timers add up after every turn;
//! - no turn spins, nothing waits for ever, nothing is left over;
//! - the same seed leaves the same trace.

mod plan;
mod watch;
mod world;

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::cell::RefCell;
use std::rc::Rc;

use plan::{Incident, Plan, Upload};
use watch::{PROBES, Watch};
use world::World;

use super::{Accept, Net, Server, Weather};
use crate::base::Instant;
use crate::engine::{
    DnsFailure, Engine, HostKey, NameServers, Options, Origin, Payload, PerHost, Request, Resolved,
    Scheme, SubmitError,
};
use crate::net::{Driver, DriverConfig};

/// What a run came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Summary {
    /// A hash of every call of the net with its result.
    pub hash: u64,
    /// Jobs.
    pub jobs: usize,
    /// Jobs that arrived.
    pub arrived: usize,
    /// Turns of the driver.
    pub turns: u64,
    /// Requests on the wire.
    pub requests: usize,
    /// Those of them that went out on a connection that had carried another one before.
    pub reused: u64,
    /// Connections opened.
    pub connections: u64,
    /// Faults that the client met.
    pub faults: u64,
    /// The virtual time that it took.
    pub took: Duration,
    /// The virtual time from the healing of the world to the end of the last job.
    pub recovered_in: Duration,
}

/// A rule was broken.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Violation {
    /// Of this seed.
    pub seed: u64,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: {}", self.seed, self.what)
    }
}

impl core::error::Error for Violation {}

/// Keys and certificates for the hosts that speak TLS; a test brings them.
#[cfg(feature = "tls")]
#[derive(Clone, Debug)]
pub struct Tls {
    /// For the servers.
    pub server: std::sync::Arc<rustls::ServerConfig>,
    /// For the driver.
    pub client: crate::tls::Config,
}

/// A world without TLS.
pub fn run(seed: u64) -> Result<Summary, Violation> {
    let plan = Plan::draw(seed, false);
    let swarm = Swarm::new(plan, seed);
    swarm.run().map_err(|what| Violation { seed, what })
}

/// The same, told call by call on standard error.
pub fn narrate(seed: u64) -> Result<Summary, Violation> {
    let mut swarm = Swarm::new(Plan::draw(seed, false), seed);
    swarm.driver.net_mut().narrate(true);
    swarm.run().map_err(|what| Violation { seed, what })
}

/// A world in which half of the hosts speak TLS.
#[cfg(feature = "tls")]
pub fn run_with_tls(seed: u64, tls: &Tls) -> Result<Summary, Violation> {
    let plan = Plan::draw(seed, true);
    let mut swarm = Swarm::new(plan, seed);
    swarm.secure(tls);
    swarm.run().map_err(|what| Violation { seed, what })
}

/// The same, told call by call on standard error.
#[cfg(feature = "tls")]
pub fn narrate_with_tls(seed: u64, tls: &Tls) -> Result<Summary, Violation> {
    let mut swarm = Swarm::new(Plan::draw(seed, true), seed);
    swarm.secure(tls);
    swarm.driver.net_mut().narrate(true);
    swarm.run().map_err(|what| Violation { seed, what })
}

/// All that a seed draws, for a person to read.
pub fn describe(seed: u64, with_tls: bool) -> String {
    format!("{:#?}", Plan::draw(seed, with_tls))
}

/// Everything arrives within this much of virtual time after the world has healed.
const PATIENCE: Duration = Duration::from_secs(900);
/// With learned request rates, which are slow to recover.
const PATIENCE_WHEN_PACED: Duration = Duration::from_secs(7_200);
/// Turns without anything going on, and without waiting.
const SPINS: u32 = 3;

struct Swarm {
    driver: Driver<Net>,
    watch: Watch,
    world: Rc<RefCell<World>>,
    hosts: Vec<HostKey>,
    order: Vec<usize>,
    submitted: usize,
    incidents: usize,
    lookups: Vec<(Instant, HostKey)>,
    random: fastrand::Rng,
    turns: u64,
    spins: u32,
}

fn at(time: Duration) -> Instant {
    Instant::ZERO + time
}

impl Swarm {
    fn new(plan: Plan, seed: u64) -> Self {
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
                let mut server = Server::new(|_| super::Answer::new(404));
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
    fn secure(&mut self, tls: &Tls) {
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

    fn now(&self) -> Instant {
        self.driver.net().time
    }

    fn run(mut self) -> Result<Summary, String> {
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

    /// One turn, and all that holds after every turn.
    fn turn(&mut self) -> Result<(), String> {
        self.watch.now = self.now();
        let wants = [
            self.order.get(self.submitted).map(|&job| at(self.watch.plan.jobs[job].at)),
            (self.watch.plan.incidents.get(self.incidents).filter(|_| !self.watch.healed))
                .map(|(time, _)| at(*time)),
            (!self.watch.healed).then(|| at(self.watch.plan.heal_at)),
            self.watch.next_resume(),
            self.lookups.iter().map(|(due, _)| *due).min(),
            self.next_cancel(),
        ];
        let before = (self.now(), self.driver.net().ledger().moved, self.watch.calls);
        // A request that was refused for want of room waits for the end of another one.
        let full = self.driver.engine().wants() == 0;
        let next = wants.into_iter().skip(usize::from(full)).flatten().min();
        let timeout = next.map(|at| at - before.0);
        self.driver
            .turn(timeout, &mut self.watch)
            .map_err(|fault| format!("the net failed: {fault:?}"))?;
        self.turns += 1;
        self.check()?;
        let after = (self.now(), self.driver.net().ledger().moved, self.watch.calls);
        let idle = before.1 == after.1 && before.2 == after.2;
        self.spins = if idle { self.spins + 1 } else { 0 };
        // A turn that may take no time looks at one connection, and each may have been woken in vain.
        let hurried = self.watch.plan.driver.most_turn < DriverConfig::default().most_turn;
        let each = if hurried { self.driver.engine().connections() as u32 } else { 0 };
        if self.spins > SPINS + each {
            return Err(self.lost("turns that do nothing, without a wait"));
        }
        let done = self.driver.engine().held() == 0;
        if core::mem::take(&mut self.driver.net_mut().ledger.stuck) && !done {
            return Err(self.lost("nothing will ever happen any more"));
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        let ledger = self.driver.net().ledger();
        if let Some(first) = ledger.violations.first() {
            return Err(first.clone());
        }
        if let Some(first) = self.watch.violations.first() {
            return Err(first.clone());
        }
        if let Some(first) = self.world.borrow().violations.first() {
            return Err(first.clone());
        }
        self.driver.engine().check(self.driver.now()).map_err(|what| self.lost(&what))?;
        let most = self.watch.plan.config.max_connections;
        if ledger.peak > most {
            return Err(format!("{} sockets at once, of {most}", ledger.peak));
        }
        if let PerHost::Fixed(most) = self.watch.plan.config.per_host {
            for (number, host) in self.watch.plan.hosts.iter().enumerate() {
                let server = self.driver.net().server(live_address(host));
                let peak = server.map_or(0, Server::peak);
                if peak > u32::from(most) {
                    return Err(format!("host {number} saw {peak} connections, of {most}"));
                }
            }
        }
        Ok(())
    }

    /// What is wrong, and what the engine holds at this point.
    fn lost(&self, what: &str) -> String {
        let engine = self.driver.engine();
        let mut lines = vec![
            format!("{what}, at {:?} after {} turns", self.now(), self.turns),
            format!(
                "{} held, {} running, {} connections, {} sockets, next deadline {:?}",
                engine.held(),
                engine.running(),
                engine.connections(),
                self.driver.net().ledger().open,
                self.driver.next_deadline()
            ),
        ];
        for (number, &host) in self.hosts.iter().enumerate() {
            let stats = engine.stats_of(host);
            if stats.queued > 0 || stats.connections > 0 {
                lines.push(format!(
                    "host {number}, dead {:?}: {} queued, {} connections of {}, down {}, closed \
                     until {:?}, {:?}",
                    self.watch.dead(number),
                    stats.queued,
                    stats.connections,
                    stats.limit,
                    stats.down,
                    stats.closed_until,
                    stats.counts
                ));
            }
        }
        for (tag, record) in self.watch.records.iter().enumerate() {
            if record.key.is_some() && record.done == 0 {
                lines.push(format!("job {tag}: {:?}", self.watch.plan.jobs[tag]));
            }
        }
        lines.join("\n  ")
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

    fn next_cancel(&self) -> Option<Instant> {
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

    fn nothing_left(&mut self) -> Result<(), String> {
        if self.driver.engine().held() > 0 || self.driver.engine().connections() > 0 {
            return Err(self.lost("something is left over"));
        }
        if self.driver.net().ledger().open > 0 {
            return Err(self.lost("sockets are left over"));
        }
        // What is under way arrives.
        let net = self.driver.net_mut();
        net.time += Duration::from_secs(1);
        net.run_due();
        let open: u32 = net.servers_mut().map(|server| server.open()).sum();
        if open > 0 {
            return Err(format!("servers still hold {open} connections"));
        }
        Ok(())
    }
}

/// Requests that were not the first on their connection.
fn reused(asked: &[super::Asked]) -> u64 {
    let mut connections: Vec<u32> = asked.iter().map(|asked| asked.connection).collect();
    connections.sort_unstable();
    connections.dedup();
    (asked.len() - connections.len()) as u64
}

fn is_live(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(ip) if ip.octets()[0] == 192)
}

fn live_address(host: &plan::HostPlan) -> SocketAddr {
    let live = host.addresses.iter().copied().find(|&address| is_live(address));
    SocketAddr::new(live.unwrap_or(host.addresses[0]), host.port)
}
