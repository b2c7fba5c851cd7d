//! What decoders hold: no more than [`Coding::most_bytes`], and none of it where a server likes to
//! have more than a program can spare.
#![cfg(feature = "fetch")]
#![allow(missing_docs)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use gannet::engine::Load;
use gannet::fetch::decode::{Coding, DecodeLimits, Decoder};
use gannet::fetch::{
    Answer, Control, Fetcher, Options, Outcome, Profile, Request, Ticket, Url, UrlRules, Visitor,
    Want,
};

struct Counting;

thread_local! {
    /// Bytes that this thread holds, and the most that it held.
    static HELD: Cell<(isize, isize)> = const { Cell::new((0, 0)) };
}

fn grow(bytes: isize) {
    let _ = HELD.try_with(|held| {
        let (now, most) = held.get();
        held.set((now + bytes, most.max(now + bytes)));
    });
}

// SAFETY: hands everything on to the system's allocator, and only counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size() as isize);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        grow(-(layout.size() as isize));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What `work` held at once, beyond what was there.
fn peak(work: impl FnOnce()) -> usize {
    let before = HELD.get().0;
    HELD.set((before, before));
    work();
    usize::try_from(HELD.get().1 - before).unwrap()
}

/// br with the largest window, and a first block that fills it: no more than these bytes are needed
/// for the window to be there.
const WIDE_BR: &[u8] = b"\xcf\xff\xff\xffabcdefgh";

/// As much of a body as brings the decoder to its largest.
fn decoded(coding: Coding, body: &[u8]) -> usize {
    peak(|| {
        let mut decoder = Decoder::new(&[coding], DecodeLimits::default());
        let flow = decoder.push(body, &mut |_| ControlFlow::Continue(())).unwrap();
        assert!(flow.is_continue());
    })
}

#[test]
fn no_coding_holds_more_than_it_says() {
    // A window is full, and more: stored blocks of 60,000 bytes.
    let mut bare = Vec::new();
    for _ in 0..4 {
        bare.extend_from_slice(&[0, 0x60, 0xea, 0x9f, 0x15]);
        bare.resize(bare.len() + 60_000, b'x');
    }
    let gzip = [b"\x1f\x8b\x08\0\0\0\0\0\0\x03", &bare[..]].concat();
    let zlib = [b"\x78\x9c", &bare[..]].concat();
    let rows = [
        (Coding::Gzip, gzip, 48 << 10),
        (Coding::Deflate, zlib, 48 << 10),
        (Coding::Brotli, WIDE_BR.to_vec(), 16 << 20),
    ];
    for (coding, body, least) in rows {
        let bytes = decoded(coding, &body);
        println!("{}: {bytes} bytes", coding.name());
        assert!((least..=coding.most_bytes()).contains(&bytes), "{}: {bytes}", coding.name());
    }
}

/// Answers everything with this body, in this coding, and tells what was asked for.
fn serve(
    coding: &'static str,
    body: &'static [u8],
) -> (SocketAddr, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (heads, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut buffer = [0; 4_096];
            let count = stream.read(&mut buffer).unwrap_or(0);
            let _ = heads.send(String::from_utf8_lossy(&buffer[..count]).into_owned());
            let head = format!(
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Encoding: {coding}\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(&[head.as_bytes(), body].concat());
        }
    });
    (address, told)
}

/// The names of what requests ended with.
#[derive(Default)]
struct Ends(Vec<&'static str>);

impl Visitor for Ends {
    fn head(&mut self, _: &mut Control<'_, '_>, _: Ticket, _: &Answer<'_>) -> Want {
        Want::Body
    }
    fn body(&mut self, _: &mut Control<'_, '_>, _: Ticket, _: &[u8]) {}
    fn done(&mut self, _: &mut Control<'_, '_>, _: Ticket, outcome: &Outcome<'_>) {
        self.0.push(outcome.result.map_or_else(gannet::fetch::Error::name, |_| "fine"));
    }
}

/// What a fetcher held while it asked so many times for a compressed body, and holds afterwards.
fn fetched(options: Options, address: SocketAddr, count: usize, ends: &mut Ends) -> (usize, usize) {
    let mut fetcher = Fetcher::new(options).unwrap();
    let before = HELD.get().0;
    let most = peak(|| {
        let profile = Profile { compressed: true, attempts: Some(1), ..Profile::default() };
        let url = Url::parse(&format!("http://{address}/"), &UrlRules::default()).unwrap();
        let request = Request { url, tag: 0, profile: Arc::new(profile) };
        while ends.0.len() < count {
            if fetcher.is_idle() {
                fetcher.submit(&request).unwrap();
            }
            fetcher.turn(Some(Duration::from_secs(10)), ends).unwrap();
        }
    });
    (most, usize::try_from(HELD.get().0 - before).unwrap())
}

/// A few bytes make a window of 16 MiB: who counts kilobytes does not ask for it, and does not take it.
#[test]
fn a_tiny_fetcher_has_no_window_of_megabytes() {
    let (address, heads) = serve("br", WIDE_BR);
    let options = Options::tiny();
    let bound = options.most_bytes(&Load::default()) + DecodeLimits::tiny().coding_bytes;
    let mut ends = Ends::default();
    let (most, _) = fetched(options, address, 1, &mut ends);
    assert!(most <= bound, "{most} of {bound}");
    assert_eq!(ends.0, ["coding_too_heavy"]);
    let head = heads.recv().unwrap();
    assert!(head.contains("\r\nAccept-Encoding: deflate, gzip\r\n"), "{head}");
}

/// The window goes with the body that it was for.
#[test]
fn a_decoder_that_waits_for_work_has_no_window() {
    let (address, heads) = serve("br", WIDE_BR);
    let mut ends = Ends::default();
    let (most, held) = fetched(Options::default(), address, 3, &mut ends);
    assert_eq!(ends.0, ["coding_truncated"; 3]);
    assert!(most >= 16 << 20 && held < 1 << 20, "{most} at most, {held} afterwards");
    assert!(heads.recv().unwrap().contains(", br"));
}
