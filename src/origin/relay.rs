//! Distance: a line between client and server that delivers everything later.
//!
//! For any server, not only this one. Bytes, ends and resets come out in order, each so long after
//! it went in; what is in flight is bounded, so that a receiver that does not read stops the
//! sender. A connection's first bytes also wait for the round trip that its handshake would have
//! taken. One difference to true distance remains: clients connect to the relay, so that a server
//! that refuses shows as a reset.

use core::time::Duration;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};

use crate::base::{Arena, Instant, Key, Timers};

use super::stream::reset;

/// Bytes in flight in one direction of one connection, at most.
const MAX_IN_FLIGHT: usize = 4 << 20;
/// What is read at once.
const PORTION: usize = 64 * 1024;
const WAKER: Token = Token(usize::MAX);
const LISTENER: Token = Token(usize::MAX - 1);

/// A relay on a thread of its own, which ends when this is dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    end: Arc<(AtomicBool, Waker)>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Listens on a free port of 127.0.0.1 and passes everything on to `to` and back; one way
    /// takes `one_way`.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use gannet::origin::{Relay, Script, spawn};
    ///
    /// let server = spawn(Script::new())?;
    /// let far = Relay::spawn(server.addr(), Duration::from_millis(40))?;
    /// assert_ne!(far.addr(), server.addr());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn spawn(to: SocketAddr, one_way: Duration) -> io::Result<Self> {
        let mut listener = TcpListener::bind(([127, 0, 0, 1], 0).into())?;
        let address = listener.local_addr()?;
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let end = Arc::new((AtomicBool::new(false), waker));
        let mut hub = Hub {
            poll,
            listener,
            to,
            one_way,
            lines: Arena::new(),
            timers: Timers::new(),
            scratch: vec![0; PORTION],
            started: std::time::Instant::now(),
            now: Instant::ZERO,
        };
        let is_ended = Arc::clone(&end);
        let thread = std::thread::Builder::new().name("relay".into()).spawn(move || {
            let mut events = Events::with_capacity(256);
            while !is_ended.0.load(Ordering::Acquire) {
                // An error of the poller itself ends the relay, which its clients notice.
                if hub.turn(&mut events).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { address, end, thread: Some(thread) })
    }

    /// Where clients connect to.
    pub const fn addr(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.end.0.store(true, Ordering::Release);
        // Fails only when the thread has ended by itself.
        let _ = self.end.1.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What travels.
#[derive(Debug)]
enum Item {
    Bytes(Vec<u8>),
    End,
    Reset,
}

/// One direction of a connection.
#[derive(Debug, Default)]
struct Lane {
    travelling: VecDeque<(Instant, Item)>,
    in_flight: usize,
    /// Nothing more goes in.
    is_shut: bool,
    /// Everything came out.
    is_over: bool,
}

/// A connection: the client's side is 0, the server's 1; lane 0 leads from the client.
#[derive(Debug)]
struct Line {
    sides: [TcpStream; 2],
    lanes: [Lane; 2],
    /// Before this nothing goes in.
    open_at: Instant,
}

struct Hub {
    poll: Poll,
    listener: TcpListener,
    to: SocketAddr,
    one_way: Duration,
    lines: Arena<Line>,
    timers: Timers,
    scratch: Vec<u8>,
    started: std::time::Instant,
    now: Instant,
}

impl Hub {
    fn read_clock(&mut self) {
        self.now = Instant::ZERO + self.started.elapsed();
    }

    fn turn(&mut self, events: &mut Events) -> io::Result<()> {
        self.read_clock();
        let timeout = self.timers.next().map(|next| next - self.now);
        match self.poll.poll(events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        self.read_clock();
        for event in events.iter() {
            match event.token() {
                WAKER => {}
                LISTENER => self.accept(),
                Token(token) => {
                    if let Some(key) = self.lines.unpack(token >> 1) {
                        self.pump(key);
                    }
                }
            }
        }
        while let Some(slot) = self.timers.pop_due(self.now) {
            if let Some(key) = self.lines.at(slot) {
                self.pump(key);
            }
        }
        Ok(())
    }

    fn accept(&mut self) {
        while let Ok((client, _)) = self.listener.accept() {
            let Ok(server) = TcpStream::connect(self.to) else { continue };
            let open_at = self.now + self.one_way * 2;
            let line = Line { sides: [client, server], lanes: Default::default(), open_at };
            let key = self.lines.insert(line);
            let both = Interest::READABLE | Interest::WRITABLE;
            let mut is_registered = true;
            for (side, socket) in self.lines[key].sides.iter_mut().enumerate() {
                let token = Token(key.pack() << 1 | side);
                is_registered &= self.poll.registry().register(socket, token, both).is_ok();
                let _ = socket.set_nodelay(true);
            }
            if !is_registered {
                self.lines.remove(key);
            }
        }
    }

    /// Takes in what there is, gives out what is due.
    fn pump(&mut self, key: Key<Line>) {
        let Some(line) = self.lines.get_mut(key) else { return };
        let mut is_over = true;
        let mut next = Instant::NEVER;
        for from in [0, 1] {
            let Line { sides, lanes, open_at } = line;
            let lane = &mut lanes[from];
            // Taking in and giving out make room for one another.
            loop {
                lane.take_in(
                    &mut sides[from],
                    &mut self.scratch,
                    self.now.max(*open_at) + self.one_way,
                );
                let before = lane.in_flight;
                if lane.give_out(&mut sides[1 - from], self.now) {
                    for side in sides.iter() {
                        reset(side);
                    }
                    self.timers.cancel(key.index());
                    self.lines.remove(key);
                    return;
                }
                if before < MAX_IN_FLIGHT || lane.in_flight >= MAX_IN_FLIGHT {
                    break;
                }
            }
            is_over &= lane.is_over;
            if let Some(&(due, _)) = lane.travelling.front()
                && due > self.now
            {
                next = next.min(due);
            }
        }
        if is_over {
            self.timers.cancel(key.index());
            self.lines.remove(key);
        } else if next < Instant::NEVER {
            self.timers.set(key.index(), next);
        } else {
            self.timers.cancel(key.index());
        }
    }
}

impl Lane {
    fn take_in(&mut self, from: &mut TcpStream, scratch: &mut [u8], due: Instant) {
        while !self.is_shut && self.in_flight < MAX_IN_FLIGHT {
            let item = match from.read(scratch) {
                Ok(0) => Item::End,
                Ok(count) => Item::Bytes(scratch[..count].to_vec()),
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => continue,
                    io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected => return,
                    _ => Item::Reset,
                },
            };
            match &item {
                Item::Bytes(bytes) => self.in_flight += bytes.len(),
                Item::End | Item::Reset => self.is_shut = true,
            }
            self.travelling.push_back((due, item));
        }
    }

    /// True: the connection is to be reset.
    fn give_out(&mut self, to: &mut TcpStream, now: Instant) -> bool {
        while let Some((due, item)) = self.travelling.front_mut()
            && *due <= now
        {
            match item {
                Item::Reset => return true,
                Item::End => {
                    let _ = to.shutdown(Shutdown::Write);
                    self.is_over = true;
                }
                Item::Bytes(bytes) => match to.write(bytes) {
                    Ok(count) => {
                        self.in_flight -= count;
                        bytes.drain(..count);
                        if !bytes.is_empty() {
                            continue;
                        }
                    }
                    Err(error) => match error.kind() {
                        io::ErrorKind::Interrupted => continue,
                        io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected => return false,
                        // The receiver is gone: its own reset travels the other way.
                        _ => {
                            self.in_flight -= bytes.len();
                        }
                    },
                },
            }
            self.travelling.pop_front();
        }
        false
    }
}
