//! The adaptive limit, the pace and the budget against models of servers, in virtual time.
//!
//! `models` are the servers of issue 6, each with its service time stated; `goals` holds the
//! search against the best fixed level, `neighbours` at servers with other numbers, `change`
//! against servers that change, `share` against another client and many names, `rates` the pace
//! against 429, and `failures` against each failure that users of other controllers reported
//! (FIELD section 3).
//! `cargo test --test limit_models -- --nocapture` prints the tables.

mod change;
mod failures;
mod goals;
mod models;
mod neighbours;
mod rates;
mod share;
mod world;

use gannet::base::Instant;
use gannet::engine::limit::{Limit, LimitConfig};
use gannet::engine::pace::{Pace, PaceConfig};
use world::{Client, Model, Stats, World};

/// More work than any run can do.
const UNLIMITED: u64 = u64::MAX / 2;

fn pace() -> Pace {
    Pace::new(&PaceConfig::default())
}

/// The search as for an origin on loopback, from a start of choice.
fn search(start: u16, seed: u64) -> Limit {
    Limit::new(&LimitConfig { start, floor: 1, ceiling: 128 }, seed, Instant::ZERO)
}

/// A client with one host and more work than it can do.
fn client(limit: Limit) -> Client {
    Client::new(vec![(limit, pace(), UNLIMITED)], None)
}

/// A client as there are many: a fixed number of connections, come what may.
fn naive(level: u32) -> Client {
    let mut client = client(Limit::fixed(level as u16));
    client.naive = true;
    client
}

/// One client, alone with a server; and what its limit says in the end.
fn alone(model: &Model, client: Client, seconds: u64, seed: u64) -> (Stats, String) {
    let mut world = World::new(model, seed);
    world.add(client, 0);
    world.run(seconds);
    let client = world.clients.pop().expect("the client that was added");
    let words = client.hosts[0].limit.explain().to_string();
    (client.stats, words)
}

fn percent(part: u64, whole: u64) -> f64 {
    part as f64 * 100.0 / whole as f64
}
