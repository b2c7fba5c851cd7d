//! That engines can come to share what they learn of hosts and names, and nothing that stands in
//! the interface today is in the way (docs/api.md, "What several engines may share"). Most of this
//! is held by its being compiled.
#![cfg(feature = "fetch")]
#![allow(missing_docs)]

use std::sync::Mutex;
use std::time::Duration;

use gannet::dns;
use gannet::engine::limit::Explanation;
use gannet::engine::pace::PaceExplanation;
use gannet::engine::{
    AddressStats, Config, ConfigError, Counts, Engine, HostStats, Origin, Remedy, Scheme,
};
use gannet::fetch::{Fetcher, Options, StartError};
use gannet::net::mio::Mio;
use gannet::net::{Driver, DriverConfig, Names};

/// Loops are made of what they own, and have no parameter for what they know: a type or a lifetime
/// more would be seen by everyone who names them. What is to be shared comes by one more method,
/// by value, as `with_names` and `with_tls` do.
#[test]
fn loops_are_made_without_a_word_of_what_they_know() {
    let _: fn(Config) -> Engine = Engine::new;
    let _: fn(Config) -> Result<Engine, ConfigError> = Engine::try_new;
    let _: fn(Engine, Mio, DriverConfig) -> Driver<Mio> = Driver::new;
    let _: fn(Driver<Mio>, Names) -> Driver<Mio> = Driver::with_names;
    let _: fn(Driver<Mio>, gannet::tls::Config) -> Driver<Mio> = Driver::with_tls;
    let _: fn(Options) -> Result<Fetcher, StartError> = Fetcher::new;
    let _: fn(Options, gannet::tls::Config) -> Result<Fetcher, StartError> = Fetcher::with_tls;
    fn owned<T: Send + 'static>() {}
    owned::<Engine>();
    owned::<Names>();
    owned::<dns::Resolver>();
    owned::<Driver<Mio>>();
    owned::<Fetcher>();
}

/// What is told of a host but for its name.
type Told = (u32, u32, Explanation, PaceExplanation, Counts, Option<Remedy>);

fn told(host: &HostStats<'_>) -> Told {
    (host.limit, host.connections, host.explanation, host.pace, host.counts, host.remedy())
}

/// What is told of limits, rates and names are values: they can come from behind a lock that is
/// free again when they are looked at. Only a host's name is borrowed, and that is the engine's.
#[test]
fn what_is_told_borrows_from_no_limit_and_no_cache() {
    fn value<T: Copy + Send + Sync + 'static>() {}
    value::<Told>();
    value::<AddressStats>();
    value::<dns::Stats>();
    let config = Config { max_connections: 64, ..Config::default() };
    let engine = Mutex::new(Engine::try_new(config).unwrap());
    let key =
        engine.lock().unwrap().host(&Origin { scheme: Scheme::Http, host: "192.0.2.1", port: 80 });
    let all: Vec<Told> = engine.lock().unwrap().host_stats().map(|host| told(&host)).collect();
    let one = told(&engine.lock().unwrap().stats_of(key));
    let addresses: Vec<AddressStats> = engine.lock().unwrap().address_stats().collect();
    assert!(engine.try_lock().is_ok(), "nothing holds it");
    assert_eq!((all.len(), addresses.len()), (1, 0));
    assert_eq!((all[0].2.to_string(), all[0].4.requests), (one.2.to_string(), 0));
    assert_eq!(one.3.held_until - gannet::base::Instant::ZERO, Duration::ZERO);
}
