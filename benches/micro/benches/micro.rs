//! Instruction counts under valgrind: `python3 benches/micro/check.py`, which holds them against
//! `benches/baseline.json`.

use std::hint::black_box;
use std::time::Duration;

use gannet::base::{Instant, Timers};
use gannet::cli::record::{Conn, Record, Writer};
use gannet::engine::Times;
use gannet::fetch::{Url, UrlRules};
use gannet::proto::chunked::{Chunks, Step};
use gannet::proto::{
    Event, Exchange, Limits, RequestBody, RequestHead, Response, Scratch, encode_head, end_head,
};
use gannet_micro::{ANSWER, World};
use gungraun::prelude::*;

// One answer as it stands, from its first byte to the verdict on the connection.
#[library_benchmark]
#[bench::whole(1 << 20)]
#[bench::in_pieces_of_100(100)]
fn response(piece: usize) {
    let limits = Limits::default();
    for _ in 0..100 {
        let mut response = Response::new(Exchange::Ordinary);
        let (mut from, mut to) = (0, 0);
        'message: loop {
            to = (to + piece).min(ANSWER.len());
            loop {
                let mut scratch = Scratch::new();
                let (used, event) = response.next(&limits, &ANSWER[from..to], &mut scratch).unwrap();
                from += used;
                match black_box(event) {
                    Event::Incomplete => break,
                    Event::Done(_) => break 'message,
                    _ => {}
                }
            }
        }
    }
}

fn chunked_body(size: usize) -> Vec<u8> {
    let mut body = Vec::new();
    for _ in 0..100 {
        body.extend_from_slice(format!("{size:x}\r\n").as_bytes());
        body.resize(body.len() + size, b'x');
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"0\r\n");
    body
}

#[library_benchmark]
#[bench::of_16_bytes(args = (16), setup = chunked_body)]
#[bench::of_8_kib(args = (8192), setup = chunked_body)]
fn chunks(body: Vec<u8>) {
    let mut chunks = Chunks::new();
    let mut input = &body[..];
    loop {
        let (used, step) = chunks.next(16 * 1024, input).unwrap();
        input = &input[used..];
        if matches!(black_box(step), Step::Last) {
            break;
        }
    }
}

fn buffer() -> Vec<u8> {
    Vec::with_capacity(4096)
}

#[library_benchmark]
#[bench::get(args = (), setup = buffer)]
fn request(mut out: Vec<u8>) -> Vec<u8> {
    for _ in 0..100 {
        out.clear();
        let head = RequestHead {
            method: "GET",
            target: "/some/page.html?n=1",
            host: "www.example.org",
            fields: black_box(&[("User-Agent", b"gannet"), ("Accept", b"*/*")]),
        };
        encode_head(&mut out, &head, RequestBody::None).unwrap();
        end_head(&mut out);
    }
    out
}

fn timers(things: usize) -> (Timers, usize) {
    let mut timers = Timers::default();
    for thing in 0..things {
        timers.set(thing, Instant::from_nanos(1_000 + thing as u64));
    }
    (timers, things)
}

// Each deadline moves a little, as it does with every answer.
#[library_benchmark]
#[bench::of_64(args = (64), setup = timers)]
#[bench::of_100_000(args = (100_000), setup = timers)]
fn deadlines((mut timers, things): (Timers, usize)) -> Timers {
    for n in 0..1_000_u64 {
        let thing = (n * 7_919) as usize % things;
        timers.set(thing, Instant::from_nanos(200_000 + n));
        black_box(timers.next());
    }
    timers
}

// 20 requests for each of so many hosts: what a request costs must not depend on their number.
#[library_benchmark]
#[bench::hosts_1(args = (1, 20_000), setup = World::new)]
#[bench::hosts_1_000(args = (1_000, 20), setup = World::new)]
#[bench::hosts_10_000(args = (10_000, 20), setup = World::new)]
fn scheduling(world: World) -> u64 {
    world.run()
}

fn writer() -> (Writer, Vec<u8>) {
    (Writer::default(), Vec::with_capacity(4096))
}

#[library_benchmark]
#[bench::plain(args = (), setup = writer)]
fn records((mut writer, mut out): (Writer, Vec<u8>)) -> Vec<u8> {
    let ms = Duration::from_micros(1_234);
    let mut times = Times::default();
    (times.queue, times.first_byte, times.body, times.total) = (ms, ms, ms, ms);
    let record = Record {
        n: 123_456,
        url: "http://www.example.org/some/page.html?n=1",
        final_url: Some("http://www.example.org/some/page.html?n=1"),
        method: "GET",
        status: Some(200),
        attempts: 1,
        body_bytes: 1024,
        wire_bytes: 1270,
        content_type: Some(b"text/html; charset=utf-8"),
        content_length: Some(1024),
        etag: Some(b"\"67430a1c-400\""),
        last_modified: Some(b"Tue, 24 Nov 2026 09:45:00 GMT"),
        started: 1_795_000_000_000,
        times: Some(times),
        conn: Some(Conn { id: 17, reused: true, remote: "127.0.0.1:80".parse().ok(), tls: None }),
        ..Record::default()
    };
    for _ in 0..100 {
        out.clear();
        writer.write(black_box(&record), &mut out);
    }
    out
}

fn url() -> Url {
    Url::blank()
}

#[library_benchmark]
#[bench::ordinary(args = (), setup = url)]
fn urls(mut url: Url) -> Url {
    let rules = UrlRules::default();
    for _ in 0..100 {
        url.set(black_box("https://www.example.org/wiki/Some_Article?action=raw"), &rules).unwrap();
    }
    url
}

library_benchmark_group!(
    name = parts,
    benchmarks = [response, chunks, request, deadlines, scheduling, records, urls]
);

main!(library_benchmark_groups = parts);
