//! In the steady state a plain GET costs the fetcher no heap allocation.
#![cfg(feature = "fetch")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use gannet::Fetcher;
use gannet::engine::PerHost;
use gannet::fetch::{
    Answer, Control, Options, Outcome, Profile, Request, Ticket, Url, UrlRules, Visitor, Want,
};

struct Counting;

thread_local! {
    static COUNTS: AtomicBool = const { AtomicBool::new(false) };
}
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: hands everything on to the system's allocator, and only counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

fn count() {
    // The server's thread has its own flag, which stays off.
    let _ = COUNTS.try_with(|counts| {
        if counts.load(Ordering::Relaxed) {
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        }
    });
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[derive(Default)]
struct Tally {
    done: u64,
    bytes: u64,
}

impl Visitor for Tally {
    fn head(&mut self, _: &mut Control<'_, '_>, _: Ticket, _: &Answer<'_>) -> Want {
        Want::Body
    }

    fn body(&mut self, _: &mut Control<'_, '_>, _: Ticket, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
    }

    fn done(&mut self, _: &mut Control<'_, '_>, _: Ticket, outcome: &Outcome<'_>) {
        assert_eq!(outcome.result, Ok(200));
        self.done += 1;
    }
}

/// Answers every request on every connection with the same 1,000 bytes.
fn serve() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            std::thread::spawn(move || {
                let answer =
                    format!("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{}", "x".repeat(1_000));
                let mut buffer = [0; 4_096];
                while let Ok(1..) = stream.read(&mut buffer) {
                    if stream.write_all(answer.as_bytes()).is_err() {
                        break;
                    }
                }
            });
        }
    });
    address
}

#[test]
fn the_steady_state_allocates_nothing() {
    let address = serve();
    let mut options = Options::default();
    options.engine.per_host = PerHost::Fixed(8);
    let mut fetcher = Fetcher::new(options).unwrap();
    let mut tally = Tally::default();
    let rules = UrlRules::default();
    let mut request = Request { url: Url::blank(), tag: 0, profile: Arc::new(Profile::default()) };
    let mut line = String::new();
    let mut run = |fetcher: &mut Fetcher, count: u64| {
        use std::fmt::Write as _;
        let until = tally.done + count;
        let mut submitted = tally.done;
        while tally.done < until {
            while submitted < until && fetcher.in_flight() < 32 {
                line.clear();
                write!(line, "http://{address}/path/{submitted}?a=b").unwrap();
                request.url.set(&line, &rules).unwrap();
                request.tag = submitted;
                fetcher.submit(&request).unwrap();
                submitted += 1;
            }
            fetcher.turn(Some(Duration::from_secs(5)), &mut tally).unwrap();
        }
    };
    run(&mut fetcher, 2_000);
    COUNTS.with(|counts| counts.store(true, Ordering::Relaxed));
    run(&mut fetcher, 2_000);
    COUNTS.with(|counts| counts.store(false, Ordering::Relaxed));
    let allocations = ALLOCATIONS.load(Ordering::Relaxed);
    // Whatever grows does so by doubling: a handful at most, never one a request.
    assert!(allocations <= 8, "{allocations} allocations for 2,000 requests");
    assert_eq!(tally.bytes, 4_000 * 1_000);
}
