//! What reading a URL costs: the ordinary line of a list, against the `url` crate.
//!
//! `cargo bench --bench url`

use std::hint::black_box;
use std::time::Instant;

use gannet::fetch::{Url, UrlRules};

const LINES: [&str; 4] = [
    "http://127.0.0.1:8080/files/1k.bin?n=12345",
    "https://www.example.org/wiki/Some_Article?action=raw&oldid=123456789",
    "https://cdn.example.net/images/2024/05/17/a1b2c3d4e5f60718.jpg",
    "http://example.com/",
];

fn main() {
    let rules = UrlRules::default();
    let mut url = Url::blank();
    let rows: [(&str, &mut dyn FnMut(&str)); 3] = [
        ("url crate, parse", &mut |line| {
            black_box(url::Url::parse(black_box(line))).unwrap();
        }),
        ("gannet, parse", &mut |line| {
            black_box(Url::parse(black_box(line), &rules)).unwrap();
        }),
        ("gannet, set (memory reused)", &mut |line| {
            black_box(&mut url).set(black_box(line), &rules).unwrap();
        }),
    ];
    for (name, read) in rows {
        // The best of several runs: the machine has other things to do.
        let mut best = f64::MAX;
        for _ in 0..20 {
            let start = Instant::now();
            for _ in 0..25_000 {
                for line in LINES {
                    read(line);
                }
            }
            best = best.min(start.elapsed().as_secs_f64() * 1e9 / (25_000.0 * LINES.len() as f64));
        }
        println!("{name:30} {best:6.1} ns a line");
    }
}
