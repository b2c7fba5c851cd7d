//! The code in `docs/embedding.md` compiles, and what it asserts is so.
#![cfg(all(feature = "cli", feature = "origin"))]

use gannet::engine::{Config, Load};
use gannet::net::DriverConfig;

/// Files that the guide names are there, so that nobody looks for them in vain.
#[test]
fn what_the_guide_names_is_there() {
    let guide = include_str!("../docs/embedding.md");
    let mut named = 0;
    for word in guide.split(|c: char| c.is_whitespace() || "`(),;".contains(c)) {
        if (word.starts_with("examples/") || word.starts_with("tests/")) && word.contains(".rs") {
            named += 1;
            assert!(std::path::Path::new(word).exists(), "{word}");
        }
    }
    assert!(named >= 9, "{named}");
}

/// The megabyte of the guide.
#[test]
fn a_megabyte_is_enough() {
    let config = Config { max_connections: 16, ..Config::tiny() };
    let driver = DriverConfig { read_buffer: 32 * 1024, ..DriverConfig::tiny() };
    let load = Load { hosts: 20, request_bytes: 400, ..Load::default() };
    assert!(driver.most_bytes(&config, &load, None) < 1024 * 1024);
}
