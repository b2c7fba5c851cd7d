//! The check of DNS answers: a resolver with two servers, and sockets to which anything may come.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use gannet::base::Instant;
use gannet::dns::{Action, Config, Lookup, QueryKey, Resolver};

/// An open question.
struct Open {
    server: SocketAddr,
    payload: Vec<u8>,
    tcp: bool,
}

struct World {
    resolver: Resolver,
    now: Instant,
    random: u64,
    open: BTreeMap<QueryKey, Open>,
    told: usize,
    last: usize,
    /// All that ever came.
    came: Vec<u8>,
}

impl World {
    fn drain(&mut self) {
        let mut payload = Vec::new();
        let random = &mut self.random;
        let mut next = || {
            *random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            *random >> 16
        };
        while let Some(action) = self.resolver.poll(self.now, &mut next, &mut payload) {
            match action {
                Action::Send { query, server, again } => {
                    let open = Open { server, payload: payload.clone(), tcp: false };
                    assert_eq!(self.open.insert(query, open).is_some(), again, "one socket each");
                }
                Action::Connect { query, server } => {
                    let open = Open { server, payload: payload[2..].to_vec(), tcp: true };
                    assert!(self.open.insert(query, open).is_none(), "one socket each");
                }
                Action::Close { query } => {
                    assert!(self.open.remove(&query).is_some(), "closed once");
                }
                Action::Resolved { result, more, .. } => {
                    self.told += 1;
                    self.last += usize::from(!more);
                    let Ok(answer) = result else { continue };
                    assert!((1..=64).contains(&answer.addresses.len()), "bounded, never empty");
                    for address in &answer.addresses {
                        let bytes = match address {
                            IpAddr::V4(address) => address.octets().to_vec(),
                            IpAddr::V6(address) => address.octets().to_vec(),
                        };
                        let said = self.came.windows(bytes.len()).any(|window| window == bytes);
                        assert!(said, "{address} was made up");
                    }
                }
            }
        }
    }
}

/// The question of a message of ours: name, type, class.
fn question(message: &[u8]) -> &[u8] {
    let mut end = 12;
    while message[end] > 0 {
        end += 1 + usize::from(message[end]);
    }
    &message[12..end + 5]
}

/// Invariant: whatever comes to the sockets of questions, every look-up ends once, every socket is closed
/// once, no address is told that did not come, and a message with another id changes nothing.
///
/// Input: pieces of a byte that says what to do (bits 0 and 1: the bytes as they are; with the question's
/// id; behind a header of which they are flags and counts, and the question; time passes. Bit 2: to the second
/// question), a byte of length, and so many bytes.
pub fn dns(data: &[u8]) {
    let servers = vec![([192, 0, 2, 1], 53).into(), ([192, 0, 2, 2], 53).into()];
    let config = Config { servers, search: vec!["s".into()], ..Config::default() };
    let mut world = World {
        resolver: Resolver::new(config),
        now: Instant::ZERO,
        random: 7,
        open: BTreeMap::new(),
        told: 0,
        last: 0,
        came: Vec::new(),
    };
    let Lookup::Pending(_) = world.resolver.resolve("www.example", world.now) else {
        panic!("nothing is known yet")
    };
    let mut rest = data;
    while let [what, length, tail @ ..] = rest {
        let (piece, tail) = tail.split_at(usize::from(*length).min(tail.len()));
        rest = tail;
        world.drain();
        let nth = usize::from(what >> 2 & 1);
        let Some((&query, open)) = world.open.iter().nth(nth) else { continue };
        let mut message = piece.to_vec();
        match what & 3 {
            0 => {}
            1 if message.len() >= 2 => message[..2].copy_from_slice(&open.payload[..2]),
            2 if message.len() >= 10 => {
                let question = question(&open.payload);
                let records = message.split_off(10);
                message = [&open.payload[..2], &message, question, &records].concat();
            }
            _ => {
                world.now += Duration::from_millis(100) * u32::from(*length);
                world.resolver.tick(world.now);
                continue;
            }
        }
        let (server, tcp) = (open.server, open.tcp);
        let foreign = message.get(..2) != open.payload.get(..2);
        world.came.extend_from_slice(&message);
        let told = world.told;
        if tcp {
            let prefix = (message.len() as u16).to_be_bytes();
            world.resolver.stream(query, &prefix, world.now);
            for chunk in message.chunks(7) {
                world.resolver.stream(query, chunk, world.now);
            }
        } else {
            world.resolver.datagram(query, server, &message, world.now);
        }
        world.drain();
        assert!(tcp || !foreign || world.told == told, "a message with another id was believed");
    }
    // In the end there is silence, and the end of it.
    let mut turns = 0;
    world.drain();
    while let Some(at) = world.resolver.deadline() {
        turns += 1;
        assert!(turns < 2000, "no end of it");
        world.now = at.max(world.now);
        world.resolver.tick(world.now);
        world.drain();
    }
    assert_eq!((world.last, world.resolver.pending()), (1, 0), "told once");
    assert!(world.open.is_empty(), "a socket was forgotten");
}
