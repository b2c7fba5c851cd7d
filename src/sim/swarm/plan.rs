//! What a seed draws: caps, hosts, jobs, faults and incidents.
//!
//! Each fault is there or not, and where it is, its weight is wild: a swarm of very different
//! worlds finds more than many runs of an average one.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use crate::engine::budget::BudgetConfig;
use crate::engine::{Config, PerHost};
use crate::net::DriverConfig;
use crate::sim::{Accept, Excess, Weather};

/// Chances in thousandths that an answer goes wrong in some way.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    pub(super) reset: u32,
    pub(super) fin: u32,
    pub(super) stall: u32,
    pub(super) unavailable: u32,
    pub(super) too_many: u32,
    pub(super) broken: u32,
    pub(super) interim: u32,
    pub(super) drip: u32,
    pub(super) surplus: u32,
    pub(super) closing: u32,
    pub(super) closing_silently: u32,
    pub(super) slow: u32,
    pub(super) lies: u32,
    pub(super) changes: u32,
    /// A 503 or 429 asks to be left alone for up to so many seconds.
    pub(super) retry_after: u32,
    /// Look-ups fail for the moment.
    pub(super) dns: u32,
}

/// Something that happens to the whole of a host, or to this machine.
#[derive(Clone, Copy, Debug)]
pub(super) enum Incident {
    /// A host does this with SYNs from now on.
    Accept(usize, Accept),
    /// All servers close all connections.
    Restart,
    /// This machine's network.
    Network(bool),
}

#[derive(Clone, Debug)]
pub(super) struct HostPlan {
    pub(super) name: String,
    pub(super) port: u16,
    /// Its addresses; those that are dead have no server.
    pub(super) addresses: Vec<IpAddr>,
    pub(super) dead: Vec<Accept>,
    pub(super) secure: bool,
    pub(super) latency: Duration,
    pub(super) idle_close: Option<Duration>,
    pub(super) requests_a_connection: Option<u32>,
    pub(super) says_close: bool,
    pub(super) connections: Option<(u32, Excess)>,
    pub(super) banner: bool,
    pub(super) early: bool,
    pub(super) ignores_fin: bool,
    pub(super) deaf: bool,
    pub(super) continues: bool,
    pub(super) truncates: bool,
    /// Look-ups take so long.
    pub(super) lookup: Duration,
    pub(super) lifetime: Duration,
}

/// What a request carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Upload {
    None,
    Bytes(usize),
    Stream { length: usize, known: bool, replayable: bool },
}

/// How the content of an answer is delimited.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    Length,
    Chunked(usize),
    UntilClose,
}

/// What a handler does in the middle of a response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Whim {
    None,
    /// Pauses so many times.
    Pauses(u32),
    Cancels,
    Skips,
    Aborts,
}

#[derive(Clone, Debug)]
pub(super) struct JobPlan {
    pub(super) host: usize,
    pub(super) method: &'static str,
    pub(super) at: Duration,
    pub(super) length: usize,
    pub(super) shape: Shape,
    pub(super) etag: bool,
    pub(super) ranges: bool,
    pub(super) range: Option<(u64, Option<u64>)>,
    pub(super) upload: Upload,
    pub(super) expect: bool,
    pub(super) urgent: bool,
    pub(super) attempt_timeout: Option<Duration>,
    pub(super) max_body: Option<u64>,
    pub(super) whim: Whim,
    /// Called off from outside at this time.
    pub(super) cancel_at: Option<Duration>,
}

impl JobPlan {
    /// Makes bodies small.
    fn narrow(&mut self, most: usize) {
        self.length = self.length.min(most);
        self.range = self.range.filter(|&(first, last)| {
            first < most as u64 && last.is_none_or(|last| last < most as u64)
        });
        match &mut self.upload {
            Upload::None => {}
            Upload::Bytes(length) | Upload::Stream { length, .. } => *length = (*length).min(most),
        }
    }

    /// May be asked again after bytes were sent.
    pub(super) fn repeatable(&self) -> bool {
        self.method != "POST"
    }
}

/// All that a seed draws.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) config: Config,
    pub(super) driver: DriverConfig,
    pub(super) weather: Weather,
    pub(super) faults: Faults,
    pub(super) hosts: Vec<HostPlan>,
    pub(super) jobs: Vec<JobPlan>,
    pub(super) incidents: Vec<(Duration, Incident)>,
    pub(super) heal_at: Duration,
    /// Attempts are without end: what can be repeated must arrive.
    pub(super) demanding: bool,
}

fn one_in(random: &mut fastrand::Rng, n: u32) -> bool {
    random.u32(0..n) == 0
}

/// Up to `most`, small numbers more often.
fn skewed(random: &mut fastrand::Rng, most: u32) -> u32 {
    let limit = random.u32(1..=most);
    random.u32(1..=limit)
}

fn millis(random: &mut fastrand::Rng, most: u32) -> Duration {
    Duration::from_millis(u64::from(skewed(random, most)))
}

impl Plan {
    pub(super) fn draw(seed: u64, with_tls: bool) -> Self {
        // The same lot must not decide the plan and the jitter of the engine.
        let random = &mut fastrand::Rng::with_seed(seed ^ 0x5EED_0F7A_11CE_D000);
        let demanding = !one_in(random, 4);
        let heal_at = Duration::from_millis(u64::from(skewed(random, 30_000)));
        let hosts: Vec<_> = {
            let count = if one_in(random, 3) { 1 } else { skewed(random, 30) };
            (0..count).map(|n| HostPlan::draw(random, n, with_tls)).collect()
        };
        let count = skewed(random, 120);
        let jobs = (0..count).map(|_| JobPlan::draw(random, hosts.len(), heal_at)).collect();
        let incidents = incidents(random, hosts.len(), heal_at);
        let weather = weather(random);
        let driver = DriverConfig {
            read_buffer: [64, 1_000, 16 * 1024, 64 * 1024][random.usize(0..4)],
            read_budget: skewed(random, 8),
            handshakes_a_turn: skewed(random, 16),
            // A call of the simulated net takes 0.3 µs. Drawn apart: the other draws stay what they were.
            most_turn: match fastrand::Rng::with_seed(seed).u32(0..4) {
                0 => Duration::from_nanos(1),
                1 => Duration::from_micros(20),
                _ => DriverConfig::default().most_turn,
            },
            ..DriverConfig::default()
        };
        // Where all goes byte by byte, large bodies take long and find nothing.
        let narrow = weather.segment.is_some_and(|most| most < 100)
            || weather.window.min(weather.send_buffer).min(driver.read_buffer) < 4_096;
        let mut jobs: Vec<JobPlan> = jobs;
        for job in jobs.iter_mut().filter(|_| narrow) {
            job.narrow(2_000);
        }
        Self {
            config: config(random, seed, demanding),
            driver,
            weather,
            faults: Faults::draw(random),
            hosts,
            jobs,
            incidents,
            heal_at,
            demanding,
        }
    }
}

fn config(random: &mut fastrand::Rng, seed: u64, demanding: bool) -> Config {
    let seconds = |random: &mut fastrand::Rng, most: u32| {
        Duration::from_millis(500) + millis(random, most * 1_000)
    };
    let hour = Duration::from_secs(3600);
    let connect_timeout = seconds(random, 5);
    Config {
        seed,
        max_connections: skewed(random, 50),
        max_jobs: if one_in(random, 3) { skewed(random, 30) } else { 4_096 },
        per_host: if one_in(random, 5) {
            PerHost::Auto { ceiling: None, start: skewed(random, 8) as u16 }
        } else {
            PerHost::Fixed(skewed(random, 20) as u16)
        },
        attempts: if demanding { 1_000_000 } else { skewed(random, 6) },
        backoff_base: millis(random, 1_000),
        backoff_cap: seconds(random, 5),
        max_retry_after: Duration::from_secs(10),
        retry_max_time: None,
        host_down_after: if demanding { 100 * hour } else { seconds(random, 30) },
        offline_wait: if demanding { 100 * hour } else { seconds(random, 20) },
        connect_timeout,
        tls_timeout: seconds(random, 5),
        send_timeout: seconds(random, 6),
        first_byte_timeout: Some(seconds(random, 6)),
        head_timeout: seconds(random, 6),
        stall_timeout: Some(seconds(random, 6)),
        idle_timeout: if one_in(random, 2) { seconds(random, 60) } else { millis(random, 500) },
        reuse: !one_in(random, 12),
        // All addresses have their chance.
        happy_eyeballs: millis(random, 400).min(connect_timeout / 8),
        budget: if one_in(random, 4) {
            BudgetConfig { percent: 0, per_second: skewed(random, 10), most: 1 }
        } else {
            BudgetConfig::HOST
        },
        ..Config::default()
    }
}

fn weather(random: &mut fastrand::Rng) -> Weather {
    let mut weather = if one_in(random, 6) { Weather::fair() } else { Weather::drawn(random) };
    if one_in(random, 6) {
        weather.exhausted = skewed(random, 900);
    }
    if one_in(random, 8) {
        weather.descriptors = Some(skewed(random, 20));
    }
    if one_in(random, 6) {
        weather.sleeps = skewed(random, 30);
        weather.sleep_most = Duration::from_millis(u64::from(skewed(random, 10_000)));
    }
    weather
}

fn incidents(
    random: &mut fastrand::Rng,
    hosts: usize,
    heal_at: Duration,
) -> Vec<(Duration, Incident)> {
    let mut incidents = Vec::new();
    let heal = heal_at.as_millis() as u32 + 1;
    if one_in(random, 3) {
        for _ in 0..skewed(random, 10) {
            let at = Duration::from_millis(u64::from(random.u32(0..heal)));
            let host = random.usize(0..hosts);
            let accept = [Accept::Refuse, Accept::BlackHole, Accept::Unreachable, Accept::Yes]
                [random.usize(0..4)];
            incidents.push((at, Incident::Accept(host, accept)));
            if random.bool() {
                let up = at + millis(random, 5_000);
                incidents.push((up, Incident::Accept(host, Accept::Yes)));
            }
        }
    }
    if one_in(random, 4) {
        for _ in 0..skewed(random, 5) {
            let at = Duration::from_millis(u64::from(random.u32(0..heal)));
            incidents.push((at, Incident::Restart));
        }
    }
    if one_in(random, 8) {
        let at = Duration::from_millis(u64::from(random.u32(0..heal)));
        incidents.push((at, Incident::Network(true)));
        incidents.push((at + millis(random, 5_000), Incident::Network(false)));
    }
    incidents.sort_by_key(|(at, _)| *at);
    incidents
}

impl Faults {
    fn draw(random: &mut fastrand::Rng) -> Self {
        let calm = one_in(random, 6);
        let mut weight = |one: u32, most: u32| {
            if calm || random.u32(0..one) > 0 { 0 } else { skewed(random, most) }
        };
        Self {
            reset: weight(3, 600),
            fin: weight(3, 600),
            stall: weight(5, 200),
            unavailable: weight(5, 500),
            too_many: weight(6, 300),
            broken: weight(6, 300),
            interim: weight(5, 500),
            drip: weight(6, 200),
            surplus: weight(5, 400),
            closing: weight(4, 1_000),
            closing_silently: weight(4, 1_000),
            slow: weight(4, 500),
            lies: weight(4, 1_000),
            changes: weight(4, 500),
            retry_after: weight(2, 14),
            dns: weight(6, 700),
        }
    }

    /// Whether anything that takes longer than it should is among them.
    pub(super) fn delays(&self) -> bool {
        self.stall + self.slow + self.drip > 0
    }
}

impl HostPlan {
    fn draw(random: &mut fastrand::Rng, n: u32, with_tls: bool) -> Self {
        let port = 1_000 + n as u16;
        // A third of the hosts share a few addresses: names on one machine.
        let shared = one_in(random, 3);
        let last = if shared { random.u32(0..3) } else { 10 + n };
        let live = IpAddr::V4(Ipv4Addr::new(192, 0, 2, last as u8));
        let mut addresses = vec![live];
        let mut dead = Vec::new();
        if one_in(random, 4) {
            for k in 0..skewed(random, 3) {
                let address = IpAddr::V4(Ipv4Addr::new(198, 51, 100, (n * 4 + k) as u8));
                let place = random.usize(0..=addresses.len());
                addresses.insert(place, address);
                dead.push(
                    [Accept::Refuse, Accept::BlackHole, Accept::Unreachable][random.usize(0..3)],
                );
            }
        }
        let literal = addresses.len() == 1 && random.bool();
        let quirk = one_in(random, 2);
        let latency = Duration::from_micros(u64::from(skewed(random, 50_000)));
        // Longer than a request takes to come, else nothing is ever served.
        let patience = latency * 4 + Duration::from_millis(20);
        Self {
            name: if literal { live.to_string() } else { format!("h{n}.test") },
            port,
            addresses,
            dead,
            secure: with_tls && random.bool(),
            latency,
            idle_close: (quirk && one_in(random, 3)).then(|| patience + millis(random, 3_000)),
            requests_a_connection: (quirk && one_in(random, 4)).then(|| skewed(random, 10)),
            says_close: random.bool(),
            connections: (quirk && one_in(random, 4)).then(|| {
                let excess = [Excess::Reset, Excess::Refuse, Excess::Unavailable];
                (skewed(random, 6), excess[random.usize(0..3)])
            }),
            banner: quirk && one_in(random, 12),
            early: quirk && one_in(random, 10),
            ignores_fin: quirk && one_in(random, 6),
            deaf: quirk && one_in(random, 12),
            continues: random.bool(),
            truncates: quirk && one_in(random, 4),
            lookup: millis(random, 300),
            lifetime: if one_in(random, 3) {
                Duration::ZERO + millis(random, 3_000)
            } else {
                Duration::from_secs(3600)
            },
        }
    }
}

impl JobPlan {
    fn draw(random: &mut fastrand::Rng, hosts: usize, heal_at: Duration) -> Self {
        let method = match random.u32(0..20) {
            0 => "HEAD",
            1 => "DELETE",
            2..=4 => "POST",
            _ => "GET",
        };
        let length = match random.u32(0..12) {
            0 => 0,
            1 => skewed(random, 200_000) as usize,
            2..=4 => skewed(random, 5_000) as usize,
            _ => skewed(random, 200) as usize,
        };
        let upload = match (method, random.u32(0..4)) {
            ("POST", 1) => Upload::Bytes(skewed(random, 20_000) as usize - 1),
            ("POST" | "DELETE", 2) => Upload::Stream {
                length: skewed(random, 200_000) as usize - 1,
                known: random.bool(),
                replayable: random.bool(),
            },
            _ => Upload::None,
        };
        let early = one_in(random, 3);
        let within = |random: &mut fastrand::Rng, all: u32| {
            Duration::from_millis(u64::from(random.u32(0..=all)))
        };
        let heal = heal_at.as_millis() as u32;
        let at = if early { Duration::ZERO } else { within(random, heal) };
        let ranges = random.bool();
        let range = (method == "GET" && length > 2 && one_in(random, 12)).then(|| {
            let first = random.u64(0..length as u64 - 1);
            let last = random.bool().then(|| random.u64(first..length as u64));
            (first, last)
        });
        Self {
            host: random.usize(0..hosts),
            method,
            at,
            length,
            shape: match random.u32(0..6) {
                0 => Shape::UntilClose,
                1 | 2 => Shape::Chunked(skewed(random, 1_000) as usize),
                _ => Shape::Length,
            },
            etag: random.bool(),
            ranges,
            range,
            upload,
            expect: upload != Upload::None && one_in(random, 3),
            urgent: one_in(random, 6),
            attempt_timeout: one_in(random, 20).then(|| millis(random, 20_000)),
            max_body: one_in(random, 20).then(|| u64::from(skewed(random, 300))),
            whim: match random.u32(0..20) {
                0 | 1 => Whim::Pauses(skewed(random, 4)),
                2 => Whim::Cancels,
                3 => Whim::Skips,
                4 if one_in(random, 3) => Whim::Aborts,
                _ => Whim::None,
            },
            cancel_at: one_in(random, 15).then(|| at + within(random, 3_000)),
        }
    }
}
