//! Random servers, random trouble, random users: every look-up ends, every socket is closed, and
//! nothing is believed that no server said.

use super::world::*;
use crate::base::Instant;
use crate::dns::*;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

fn swarm(seed: u64) -> (usize, usize, Instant) {
    let mut random = fastrand::Rng::with_seed(seed);
    let config = Config {
        servers: servers(random.u8(1..4)),
        search: if random.bool() { vec!["s.example".into()] } else { vec![] },
        attempts: random.u8(1..4),
        rotate: random.bool(),
        always_tcp: random.u8(..8) == 0,
        families: [Families::Both, Families::V4, Families::V6][random.usize(..3)],
        cache: CacheConfig { entries: random.usize(..20), ..CacheConfig::default() },
        max_in_flight: random.usize(1..10),
        seed,
        ..Config::default()
    };
    let mut world = World::new(config);
    let weights: [u32; 12] = core::array::from_fn(|_| random.u32(..10) * random.u32(..2));
    let all: u32 = weights.iter().sum::<u32>() + 1;
    let mut keys: Vec<LookupKey> = vec![];
    for _ in 0..random.usize(1..8) {
        for _ in 0..random.usize(..30) {
            let name = format!("host{}{}", random.u8(..25), ["", ".example"][random.usize(..2)]);
            match world.resolve(&name) {
                Lookup::Pending(key) if !keys.contains(&key) => keys.push(key),
                _ => {}
            }
            if random.u8(..20) == 0 && !keys.is_empty() {
                let key = keys.swap_remove(random.usize(..keys.len()));
                world.resolver.cancel(key);
            }
        }
        let until =
            if random.bool() { world.now + random.u32(..20_000) * MS } else { Instant::NEVER };
        world.run_until(until, |asked| {
            let mut draw = random.u32(..all);
            let which = weights.iter().position(|&weight| {
                let here = draw < weight;
                draw = draw.wrapping_sub(weight);
                here
            });
            let delay = random.u32(..3000) * MS;
            let react = match which {
                Some(0) => React::Silent,
                Some(1) => asked.nx(random.u32(..100)),
                Some(2) => asked.none(random.u32(..100)),
                Some(3) => asked.code(random.u16(1..16)),
                Some(4) => say(asked.answer(0x8380, 0, 0)),
                Some(5) => asked.alias(&format!("host{}.example", random.u8(..25))),
                Some(6) => React::Fail(SocketFailure::NobodyListens),
                Some(7) => React::Fail(SocketFailure::Exhausted),
                Some(8) => React::Fail(SocketFailure::Closed),
                Some(9) => say(asked.answer(0x8180, 3, 9)),
                Some(10) => Asked { id: asked.id ^ 1, ..asked.clone() }.address(6),
                _ => asked.address(random.u32(..100)),
            };
            react.after(delay)
        });
    }
    // Heal, and demand that all ends.
    world.run(|asked| asked.address(60));
    for key in keys {
        let mut last = 0;
        let told: Vec<_> = world.told.iter().filter(|told| told.lookup == key).collect();
        for told in &told {
            last += usize::from(!told.more);
        }
        assert!(last == 1 && told.len() <= 2, "seed {seed}: told {} times", told.len());
        assert!(!told[told.len() - 1].more, "seed {seed}");
    }
    for told in &world.told {
        if let Ok(answer) = &told.result {
            for address in &answer.addresses {
                let shown = format!("{address}");
                assert!(BOTH.contains(&shown), "seed {seed}: {shown}");
            }
            assert!(!answer.addresses.is_empty(), "seed {seed}");
        } else {
            assert!(!told.more, "seed {seed}");
        }
    }
    assert!(world.resolver.waiting.len() <= 64 && world.resolver.deadline().is_none());
    (world.asked.len(), world.told.len(), world.now)
}

#[test]
fn every_look_up_ends() {
    for seed in 0..600 {
        swarm(seed);
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..20 {
        assert_eq!(swarm(seed), swarm(seed));
    }
}
