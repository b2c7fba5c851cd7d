//! What all connections share: the script and what it counts, the sites, chance and the clock.
//!
//! Decides which rule a request meets and what its answer is; never touches a socket.

use core::time::Duration;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::base::{Instant, Key, Timers};

use super::answer::{Ask, Draft, Habits};
use super::conn::{Conn, Exchange, Standing};
use super::outgoing::{Content, Outgoing};
use super::rules::{Action, Asked, Attempts, Body};
use super::running::Shared;
use super::script::Script;
use super::site::{Site, Taken};
use super::stats::Stats;
use super::traffic::{Full, RateFields, Service};
use super::{builtin, codec};

/// A request's content that is kept for its echo, at most.
const MAX_KEPT: usize = 16 << 20;

/// Everything but the sockets.
#[derive(Debug)]
pub(super) struct World {
    pub(super) script: Script,
    pub(super) shared: Arc<Shared>,
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) sites: Vec<Site>,
    /// Deadlines of connections, by their slot.
    pub(super) timers: Timers,
    pub(super) chance: fastrand::Rng,
    pub(super) now: Instant,
    /// When the first connection came: schedules start there.
    pub(super) first_connection: Option<Instant>,
    pub(super) connections: u64,
    pub(super) scratch: Vec<u8>,
    /// A worker is free, or a connection closed: look who waits.
    pub(super) freed: bool,
    requests: u64,
    turns: Vec<u64>,
    attempts: Attempts,
    date: (u64, String),
}

impl World {
    pub(super) fn new(
        script: Script,
        shared: Arc<Shared>,
        addresses: Vec<SocketAddr>,
        sites: usize,
    ) -> Self {
        Self {
            shared,
            addresses,
            sites: (0..sites).map(|_| Site::default()).collect(),
            timers: Timers::new(),
            chance: fastrand::Rng::with_seed(script.seed),
            now: Instant::ZERO,
            first_connection: None,
            connections: 0,
            scratch: vec![0; 64 * 1024],
            freed: false,
            requests: 0,
            turns: vec![0; script.rules.len()],
            attempts: Attempts::default(),
            date: (0, codec::http_date(0)),
            script,
        }
    }

    pub(super) fn stats(&self) -> &Stats {
        &self.shared.stats
    }

    /// Milliseconds since the first connection.
    pub(super) fn schedule_ms(&self) -> u64 {
        self.first_connection.map_or(0, |first| (self.now - first).as_millis() as u64)
    }

    /// How many connections a site bears now.
    pub(super) fn limit(&self) -> usize {
        let limit = self.script.connections.as_ref();
        limit.map_or(usize::MAX, |it| it.limit.at(self.schedule_ms()))
    }

    /// What happens above that.
    pub(super) fn full(&self) -> Full {
        self.script.connections.as_ref().map_or(Full::default(), |it| it.full)
    }

    pub(super) fn is_full(&self, site: usize) -> bool {
        self.sites[site].open >= self.limit()
    }

    /// Sets or moves the deadline of a connection.
    pub(super) fn wake_in(&mut self, key: Key<Conn>, time: Duration) {
        self.timers.set(key.index(), self.now + time);
    }

    /// Counts a request and finds its rule.
    pub(super) fn receive(&mut self, conn: &Conn, exchange: &mut Exchange, bytes: &[u8]) {
        let head = &exchange.head;
        let (method, target) = (head.method(bytes), head.target(bytes));
        self.requests += 1;
        exchange.attempt = self.attempts.count(target);
        let stats = &self.shared.stats;
        stats.requests.up();
        if self.script.count_requests {
            stats.kind(method, target);
        }
        exchange.keeps = builtin::shows_content(target);
        if self.script.rules.is_empty() {
            return;
        }
        let asked = Asked {
            method,
            target,
            field: &|name| head.field(bytes, name),
            address: self.addresses[conn.listener].ip(),
            nth: self.requests,
            nth_on_connection: conn.requests,
            nth_connection: conn.number,
            attempt: exchange.attempt,
        };
        let rules = self.script.rules.iter().zip(&mut self.turns).enumerate();
        for (number, (rule, turn)) in rules {
            if rule.when.matches(&asked, turn, &mut self.chance) {
                exchange.rule = Some(number);
                for action in &rule.then {
                    match action {
                        Action::Early => exchange.is_early = true,
                        Action::NoContinue => exchange.may_continue = false,
                        Action::Edition(edition) => exchange.edition = *edition,
                        Action::Body(Body::Echo) => exchange.keeps = true,
                        _ => {}
                    }
                }
                break;
            }
        }
    }

    /// Keeps a piece of a request's content, if its answer needs it and there is room.
    pub(super) fn keep(exchange: &mut Exchange, bytes: &[u8]) {
        if exchange.keeps {
            let room = MAX_KEPT - exchange.content.len();
            exchange.content.extend_from_slice(&bytes[..bytes.len().min(room)]);
            exchange.is_too_large |= bytes.len() > room;
        }
    }

    /// Takes a token for a request; what `Rate` there is decides.
    pub(super) fn take_request(&mut self, site: usize) -> Option<Taken> {
        let rate = self.script.rate.as_ref()?;
        Some(self.sites[site].take_request(self.now, rate))
    }

    /// Whether requests need a worker at all.
    pub(super) fn has_service(&self) -> bool {
        self.script.service.is_some()
    }

    /// Whether a worker of this site is free.
    pub(super) fn has_worker(&self, site: usize) -> bool {
        let workers = self.service().workers.unwrap_or(usize::MAX);
        self.sites[site].busy < workers
    }

    /// Whether one more request may wait.
    pub(super) fn has_place(&self, site: usize) -> bool {
        self.sites[site].waiting.len() < self.service().queue.unwrap_or(usize::MAX)
    }

    /// Occupies a worker and says for how long.
    pub(super) fn start_work(&mut self, site: usize) -> Duration {
        let Service { time, thrash, .. } = self.service();
        self.sites[site].busy += 1;
        let nanos = time.sample(&mut self.chance);
        let slowdown = thrash.map_or(1_000, |thrash| thrash.slowdown(self.sites[site].busy));
        Duration::from_nanos((u128::from(nanos) * u128::from(slowdown) / 1_000) as u64)
    }

    /// A worker is done, or its connection is gone.
    pub(super) fn end_work(&mut self, site: usize) {
        self.sites[site].busy -= 1;
        self.freed = true;
    }

    /// What a request is answered for which there is no place.
    pub(super) fn status_when_full(&self) -> u16 {
        self.service().full.unwrap_or(503)
    }

    fn service(&self) -> Service {
        self.script.service.unwrap_or_default()
    }

    /// The answer to a request, by its rule or its path.
    pub(super) fn answer(&mut self, conn: &Conn, exchange: &Exchange, bytes: &[u8]) -> Outgoing {
        let draft = if exchange.is_too_large {
            Draft::of_status(413).closing()
        } else {
            let ask = Ask {
                head: &exchange.head,
                bytes,
                content: &exchange.content,
                edition: exchange.edition,
                attempt: exchange.attempt,
            };
            match exchange.rule.and_then(|number| self.script.rules.get(number)) {
                Some(rule) => Draft::by_rule(&rule.then, &ask, builtin::draft),
                None => builtin::draft(&ask),
            }
        };
        self.lay_out(conn, Some((exchange, bytes)), draft)
    }

    /// What the server has counted.
    pub(super) fn report(&mut self, conn: &Conn, exchange: &Exchange, bytes: &[u8]) -> Outgoing {
        let counters = self.stats().counters();
        let text = serde_json::to_vec(&counters).unwrap_or_default();
        let draft = Draft::new(200, Content::Bytes(text))
            .field(&b"Content-Type"[..], &b"application/json"[..]);
        self.lay_out(conn, Some((exchange, bytes)), draft)
    }

    /// An answer of the server's own, such as an error; `exchange` is what it answers, if any.
    pub(super) fn lay_out(
        &mut self,
        conn: &Conn,
        exchange: Option<(&Exchange, &[u8])>,
        mut draft: Draft,
    ) -> Outgoing {
        let is_ordinary = exchange.is_some_and(|(exchange, _)| !exchange.is_report)
            && conn.standing == Standing::Regular;
        let mut habits = Habits::default();
        let keep_alive = &self.script.keep_alive;
        let mut hint = String::new();
        if let Some(max) = keep_alive.max_requests
            && conn.requests >= max
            && is_ordinary
        {
            if keep_alive.quiet {
                draft.close_quietly = true;
            } else {
                draft.close = true;
            }
        } else if keep_alive.hint {
            if let Some(ms) = keep_alive.idle_ms {
                hint = format!("timeout={}", ms / 1_000);
            }
            if let Some(max) = keep_alive.max_requests {
                let comma = if hint.is_empty() { "" } else { ", " };
                hint = format!("{hint}{comma}max={}", max.saturating_sub(conn.requests));
            }
            habits.hint = (!hint.is_empty()).then_some(&hint);
        }
        if is_ordinary {
            habits.latency = Duration::from_millis(self.script.latency_ms);
            if let Some(chaos) = &self.script.chaos
                && self.chance.f64() < chaos.probability
            {
                draft.cut_at_random(chaos.how);
            }
        }
        let fields = match (exchange.and_then(|(exchange, _)| exchange.taken), &self.script.rate) {
            (Some(taken), Some(rate)) => {
                rate_fields(taken, rate.burst, rate.per_second, rate.fields)
            }
            _ => Vec::new(),
        };
        habits.fields = &fields;
        habits.date = today(&mut self.date);
        let head = exchange.map(|(exchange, bytes)| (&exchange.head, bytes));
        draft.lay_out(head, &habits, &mut self.chance)
    }
}

/// The current date, written anew once a second.
fn today(cached: &mut (u64, String)) -> &str {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if cached.0 != seconds {
        *cached = (seconds, codec::http_date(seconds));
    }
    &cached.1
}

fn rate_fields(
    taken: Taken,
    burst: u32,
    per_second: f64,
    style: RateFields,
) -> Vec<(&'static str, String)> {
    let Taken { left, full_in, wait, .. } = taken;
    let (limit, reset) = (burst.to_string(), if left > 0 { full_in } else { wait }.to_string());
    match style {
        RateFields::None => Vec::new(),
        RateFields::X => vec![
            ("X-RateLimit-Limit", limit),
            ("X-RateLimit-Remaining", left.to_string()),
            ("X-RateLimit-Reset", reset),
        ],
        RateFields::Plain => vec![
            ("RateLimit-Limit", limit),
            ("RateLimit-Remaining", left.to_string()),
            ("RateLimit-Reset", reset),
        ],
        RateFields::Draft => {
            let window = ((f64::from(burst) / per_second).ceil() as u64).max(1);
            vec![
                ("RateLimit-Policy", format!("\"default\";q={limit};w={window}")),
                ("RateLimit", format!("\"default\";r={left};t={reset}")),
            ]
        }
    }
}
