//! `examples/mirror.rs`, a thousand URLs inside a mio loop: whole, and within its megabyte, counted.
#![cfg(all(feature = "fetch", feature = "origin"))]
#![allow(missing_docs, dead_code, unreachable_pub, reason = "an example is a program")]

#[path = "../examples/mirror.rs"]
mod mirror;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use gannet::engine::Load;
use gannet::origin::{Script, pattern, spawn};

struct Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// The server's thread has counters of its own.
fn count(bytes: isize) {
    let _ = LIVE.try_with(|live| {
        live.set(live.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(live.get())));
    });
}

// SAFETY: every call goes to the system's allocator unchanged; the counters are plain cells of the
// calling thread that allocate nothing.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_thousand_urls_in_a_megabyte() {
    let server = spawn(Script::new()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let urls: Vec<String> = (0..1_000)
        .map(|n| match n % 10 {
            7 => server.url(&format!("/redirect-to?url=/bytes/20000?{n}")),
            8 => server.url("/status/404"),
            _ => server.url(&format!("/bytes/20000?{n}")),
        })
        .chain(["nonsense://x".to_owned()])
        .collect();
    let before = LIVE.get();
    let idle = gannet::Fetcher::new(mirror::options()).unwrap();
    println!(
        "a fetcher that has nothing to do, certificates included: {} bytes",
        LIVE.get() - before
    );
    drop(idle);
    let before = LIVE.get();
    PEAK.set(before);
    let mirror = mirror::run(mirror::options(), urls.iter().cloned(), dir.path()).unwrap();
    let peak = PEAK.get() - before;
    println!("a thousand URLs: {peak} bytes at most");
    assert_eq!((mirror.whole, mirror.failed.len()), (900, 101), "{:?}", mirror.failed.last());
    for n in [0, 7, 999] {
        let body = std::fs::read(dir.path().join(n.to_string())).unwrap();
        assert_eq!(body, pattern::body(&format!("/bytes/20000?{n}"), 20_000), "{n}");
    }
    assert!(!dir.path().join("8").exists(), "a 404 leaves no file");
    assert!(peak < 1024 * 1024, "{peak}");
    let formula = mirror::options().most_bytes(&Load::default());
    assert!(peak.cast_unsigned() < formula + 256 * 1024, "{peak} of {formula}, anchors beside it");
}
