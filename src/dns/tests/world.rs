//! A driver without sockets: time jumps from event to event, and every socket that the resolver
//! opens must be closed by it.

use super::super::wire::tests::{Writer, wire};
use super::super::*;
use crate::base::Instant;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

pub(super) const MS: Duration = Duration::from_millis(1);
pub(super) const SEC: Duration = Duration::from_secs(1);
pub(super) const A: u16 = 1;
pub(super) const AAAA: u16 = 28;

/// A question that the resolver sent.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) query: QueryKey,
    pub(super) server: SocketAddr,
    pub(super) id: u16,
    pub(super) name: String,
    pub(super) rtype: u16,
    pub(super) edns: bool,
    pub(super) tcp: bool,
    pub(super) again: bool,
}

impl Asked {
    fn read(action: &Action, payload: &[u8]) -> Self {
        let (query, server, tcp, again) = match *action {
            Action::Send { query, server, again } => (query, server, false, again),
            Action::Connect { query, server } => (query, server, true, false),
            _ => unreachable!("a question"),
        };
        let message = if tcp { &payload[2..] } else { payload };
        let mut labels = vec![];
        let mut at_byte = 12;
        while message[at_byte] > 0 {
            let end = at_byte + 1 + usize::from(message[at_byte]);
            labels.push(String::from_utf8(message[at_byte + 1..end].to_vec()).unwrap());
            at_byte = end;
        }
        Self {
            query,
            server,
            id: u16::from_be_bytes([message[0], message[1]]),
            name: labels.join("."),
            rtype: u16::from_be_bytes([message[at_byte + 1], message[at_byte + 2]]),
            edns: message[11] == 1,
            tcp,
            again,
        }
    }

    pub(super) fn last(&self) -> u8 {
        self.server.ip().to_string().rsplit('.').next().unwrap().parse().unwrap()
    }

    /// The beginning of an answer with so many records.
    pub(super) fn answer(&self, flags: u16, answers: u16, authorities: u16) -> Writer {
        Writer::new(self.id, flags, [1, answers, authorities, 0]).question(&self.name, self.rtype)
    }

    /// 192.0.2.1 or 2001:db8::1, for so many seconds.
    pub(super) fn address(&self, ttl: u32) -> React {
        let v6 = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        let data: &[u8] = if self.rtype == A { &[192, 0, 2, 1] } else { &v6 };
        say(self.answer(0x8180, 1, 0).record(&self.name, self.rtype, ttl, data))
    }

    pub(super) fn none(&self, ttl: u32) -> React {
        say(self.answer(0x8180, 0, 1).soa(ttl, ttl))
    }

    pub(super) fn nx(&self, ttl: u32) -> React {
        say(self.answer(0x8183, 0, 1).soa(ttl, ttl))
    }

    pub(super) fn code(&self, code: u16) -> React {
        say(self.answer(0x8180 | code, 0, 0))
    }

    pub(super) fn alias(&self, target: &str) -> React {
        say(self.answer(0x8180, 1, 0).cname(&self.name, target))
    }
}

/// What a server does with a question.
#[derive(Clone, Debug)]
pub(super) enum React {
    Silent,
    Say(Duration, Vec<u8>),
    Fail(SocketFailure),
}

impl React {
    pub(super) fn after(self, delay: Duration) -> Self {
        match self {
            Self::Say(_, bytes) => Self::Say(delay, bytes),
            other => other,
        }
    }
}

/// After ten milliseconds.
pub(super) fn say(message: Writer) -> React {
    React::Say(10 * MS, message.bytes)
}

pub(super) struct Told {
    pub(super) lookup: LookupKey,
    pub(super) result: Result<Answer, Box<DnsError>>,
    pub(super) more: bool,
    pub(super) at: Instant,
}

pub(super) struct World {
    pub(super) resolver: Resolver,
    pub(super) now: Instant,
    pub(super) random: fastrand::Rng,
    /// Every question, in the order of sending.
    pub(super) asked: Vec<Asked>,
    pub(super) told: Vec<Told>,
    pub(super) open: BTreeMap<QueryKey, Asked>,
    pub(super) most_open: usize,
    events: BTreeMap<(Instant, u64), (QueryKey, SocketAddr, Vec<u8>)>,
    order: u64,
}

/// Servers at 10.0.0.1, 10.0.0.2 …
pub(super) fn servers(count: u8) -> Vec<SocketAddr> {
    (1..=count).map(|last| ([10, 0, 0, last], 53).into()).collect()
}

pub(super) fn config(count: u8) -> Config {
    Config { servers: servers(count), ..Config::default() }
}

impl World {
    pub(super) fn new(config: Config) -> Self {
        Self {
            resolver: Resolver::new(config),
            now: Instant::ZERO + 1000 * SEC,
            random: fastrand::Rng::with_seed(7),
            asked: vec![],
            told: vec![],
            open: BTreeMap::new(),
            most_open: 0,
            events: BTreeMap::new(),
            order: 0,
        }
    }

    pub(super) fn resolve(&mut self, name: &str) -> Lookup {
        self.resolver.resolve(name, self.now)
    }

    pub(super) fn pending(&mut self, name: &str) -> LookupKey {
        match self.resolve(name) {
            Lookup::Pending(key) => key,
            Lookup::Ready(ready) => panic!("{name} is there already: {ready:?}"),
        }
    }

    pub(super) fn ready(&mut self, name: &str) -> Result<Answer, Box<DnsError>> {
        match self.resolve(name) {
            Lookup::Ready(ready) => ready,
            Lookup::Pending(_) => panic!("{name} has to be asked for"),
        }
    }

    /// Does what the resolver says, and gives what it asked.
    pub(super) fn drain(&mut self) -> Vec<Asked> {
        let mut payload = vec![];
        let mut fresh = vec![];
        loop {
            let random = &mut self.random;
            let action = self.resolver.poll(self.now, &mut || random.u64(..), &mut payload);
            let Some(action) = action else { break };
            match action {
                Action::Close { query } => {
                    assert!(self.open.remove(&query).is_some(), "closed twice");
                }
                Action::Resolved { lookup, result, more } => {
                    self.told.push(Told { lookup, result, more, at: self.now });
                }
                _ => {
                    let asked = Asked::read(&action, &payload);
                    let before = self.open.insert(asked.query, asked.clone());
                    assert_eq!(before.is_some(), asked.again, "a socket for each question");
                    self.most_open = self.most_open.max(self.open.len());
                    self.asked.push(asked.clone());
                    fresh.push(asked);
                }
            }
        }
        fresh
    }

    pub(super) fn react(&mut self, asked: &Asked, react: React) {
        match react {
            React::Silent => {}
            React::Say(delay, bytes) => {
                self.order += 1;
                let event = (asked.query, asked.server, bytes);
                self.events.insert((self.now + delay, self.order), event);
            }
            React::Fail(why) => self.resolver.socket_failed(asked.query, why, self.now),
        }
    }

    /// Hands a message in, as it would come over the question's socket.
    pub(super) fn deliver(&mut self, query: QueryKey, from: SocketAddr, bytes: &[u8]) {
        if self.open.get(&query).is_some_and(|asked| asked.tcp) {
            let length = (bytes.len() as u16).to_be_bytes();
            for byte in length.iter().chain(bytes) {
                self.resolver.stream(query, &[*byte], self.now);
            }
        } else {
            self.resolver.datagram(query, from, bytes, self.now);
        }
    }

    /// Runs until nothing is under way, or until `until`.
    pub(super) fn run_until(&mut self, until: Instant, mut server: impl FnMut(&Asked) -> React) {
        for turn in 0.. {
            assert!(turn < 2_000_000, "no end of it");
            for asked in self.drain() {
                let react = server(&asked);
                self.react(&asked, react);
            }
            let event = self.events.first_key_value().map(|((at, _), _)| *at);
            let more = !self.resolver.out.is_empty() || !self.resolver.waiting.is_empty();
            let due = self.resolver.deadline();
            let Some(next) = [event, due].into_iter().flatten().min() else {
                if more {
                    continue;
                }
                break;
            };
            if next > until {
                self.now = until;
                return;
            }
            self.now = self.now.max(next);
            while let Some(entry) = self.events.first_entry() {
                if entry.key().0 > self.now {
                    break;
                }
                let (query, from, bytes) = entry.remove();
                self.deliver(query, from, &bytes);
            }
            self.resolver.tick(self.now);
        }
    }

    pub(super) fn run(&mut self, server: impl FnMut(&Asked) -> React) {
        self.run_until(Instant::NEVER, server);
        assert_eq!(self.resolver.pending(), 0, "a look-up was forgotten");
        assert!(self.open.is_empty(), "a socket was forgotten: {:?}", self.open);
    }

    /// Asks for a name, runs, and gives what was told last.
    pub(super) fn ask(
        &mut self,
        name: &str,
        server: impl FnMut(&Asked) -> React,
    ) -> Result<Answer, Box<DnsError>> {
        let key = self.pending(name);
        self.run(server);
        let last = self.told.last().expect("a result");
        assert!(last.lookup == key && !last.more);
        last.result.clone()
    }

    pub(super) fn sleep(&mut self, time: Duration) {
        self.now += time;
        self.resolver.tick(self.now);
    }

    /// Who was asked for what, shortly: `1:www.example/A`.
    pub(super) fn questions(&self) -> Vec<String> {
        self.asked
            .iter()
            .map(|asked| {
                let kind = if asked.rtype == A { "A" } else { "AAAA" };
                let how = if asked.tcp { "+tcp" } else { "" };
                alloc::format!("{}:{}/{kind}{how}", asked.last(), asked.name)
            })
            .collect()
    }
}

pub(super) fn shown(result: &Result<Answer, Box<DnsError>>) -> String {
    match result {
        Ok(answer) => {
            let list: Vec<String> = answer.addresses.iter().map(ToString::to_string).collect();
            let stale = if answer.stale { " stale" } else { "" };
            list.join(" ") + stale
        }
        Err(error) => error.kind.as_str().into(),
    }
}

pub(super) fn bytes_of(name: &str) -> Vec<u8> {
    wire(name)
}

pub(super) const BOTH: &str = "2001:db8::1 192.0.2.1";
