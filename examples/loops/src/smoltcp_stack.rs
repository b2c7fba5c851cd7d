//! On a bare-metal TCP stack: the engine alone over smoltcp, against a small server on the same
//! loopback device. One process, no operating system's sockets, virtual time.
//!
//! What an embedder writes for a TCP of their own is [`Stack::carry_out`] (the engine's actions)
//! and [`Stack::report`] (what happened to sockets).

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use gannet::base::Instant;
use gannet::engine::{
    Action, Cause, Config, ConnKey, Engine, Fault, Handler, Loss, Next, Origin, Request, Scheme,
};
use smoltcp::iface::{Config as IfaceConfig, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Loopback, Medium};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::Instant as SmolInstant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

use crate::Tally;

const PORT: u16 = 80;
const BUFFER: usize = 4 * 1024;

/// The body that the server answers with: it tells what was asked for.
pub fn body(target: &str) -> String {
    format!("{target}\n{}", "x".repeat(980))
}

/// One of the engine's connections.
struct Link {
    conn: ConnKey,
    socket: SocketHandle,
    connected: bool,
    paused: bool,
    /// The engine has something to send.
    transmit: bool,
    /// What the stack has not taken yet.
    unsent: Vec<u8>,
    /// Our end was asked for.
    finishing: bool,
}

/// The engine on the stack.
struct Stack {
    engine: Engine,
    links: Vec<Link>,
    next_port: u16,
    buffer: Vec<u8>,
}

fn socket() -> Socket<'static> {
    Socket::new(SocketBuffer::new(vec![0; BUFFER]), SocketBuffer::new(vec![0; BUFFER]))
}

impl Stack {
    fn link(&mut self, conn: ConnKey) -> Option<&mut Link> {
        self.links.iter_mut().find(|link| link.conn == conn)
    }

    /// Carries out what the engine wants.
    fn carry_out(
        &mut self,
        iface: &mut Interface,
        sockets: &mut SocketSet<'static>,
        now: Instant,
        handler: &mut dyn Handler,
    ) {
        self.engine.poll(now, handler);
        while let Some(action) = self.engine.next_action() {
            match action {
                Action::Open { conn, address } => {
                    self.next_port = self.next_port.checked_add(1).unwrap_or(49_152);
                    let handle = sockets.add(socket());
                    let SocketAddr::V4(address) = address else { continue };
                    let to = (IpAddress::Ipv4(*address.ip()), address.port());
                    let socket = sockets.get_mut::<Socket<'_>>(handle);
                    if socket.connect(iface.context(), to, self.next_port).is_err() {
                        sockets.remove(handle);
                        let loss = Loss::Fault(Fault::new(Cause::Unreachable));
                        self.engine.lost(conn, loss, now, handler);
                        continue;
                    }
                    self.links.push(Link {
                        conn,
                        socket: handle,
                        connected: false,
                        paused: false,
                        transmit: false,
                        unsent: Vec::new(),
                        finishing: false,
                    });
                }
                Action::Transmit(conn) => {
                    if let Some(link) = self.link(conn) {
                        link.transmit = true;
                    }
                }
                Action::Read(conn) => {
                    if let Some(link) = self.link(conn) {
                        link.paused = false;
                    }
                }
                Action::Finish(conn) => {
                    if let Some(link) = self.link(conn) {
                        link.finishing = true;
                    }
                }
                Action::Close { conn, .. } => {
                    if let Some(at) = self.links.iter().position(|link| link.conn == conn) {
                        let link = self.links.swap_remove(at);
                        sockets.get_mut::<Socket<'_>>(link.socket).abort();
                        // The reset has to go out before the socket may be forgotten.
                        let _ = iface.poll_egress(now_of(now), &mut Quiet, sockets);
                        sockets.remove(link.socket);
                    }
                }
                // No names and no TLS here.
                _ => {}
            }
        }
    }

    /// Reports what happened to sockets, and moves bytes.
    fn report(
        &mut self,
        sockets: &mut SocketSet<'static>,
        now: Instant,
        handler: &mut dyn Handler,
    ) {
        let conns: Vec<ConnKey> = self.links.iter().map(|link| link.conn).collect();
        for conn in conns {
            self.read(conn, sockets, now, handler);
            self.write(conn, sockets, now, handler);
        }
    }

    fn read(
        &mut self,
        conn: ConnKey,
        sockets: &mut SocketSet<'static>,
        now: Instant,
        handler: &mut dyn Handler,
    ) {
        let Some(link) = self.link(conn) else { return };
        let socket = sockets.get_mut::<Socket<'_>>(link.socket);
        if !link.connected {
            if socket.state() == State::Closed {
                let loss = Loss::Fault(Fault::new(Cause::Refused));
                self.engine.lost(conn, loss, now, handler);
            } else if socket.may_send() {
                link.connected = true;
                self.engine.connected(conn, now, handler);
            }
            return;
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        while let Some(link) = self.link(conn).filter(|link| !link.paused) {
            let socket = sockets.get_mut::<Socket<'_>>(link.socket);
            let count = socket.recv_slice(&mut buffer).unwrap_or(0);
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
                if socket.state() == State::Closed {
                    let loss = Loss::Fault(Fault::new(Cause::Reset));
                    self.engine.lost(conn, loss, now, handler);
                } else if !socket.may_recv() {
                    self.engine.ended(conn, true, now, handler);
                }
                break;
            };
            match self.engine.received(conn, bytes, now, handler) {
                Next::Read => {}
                Next::Pause => {
                    if let Some(link) = self.link(conn) {
                        link.paused = true;
                    }
                }
                Next::Gone => break,
            }
        }
        self.buffer = buffer;
    }

    fn write(
        &mut self,
        conn: ConnKey,
        sockets: &mut SocketSet<'static>,
        now: Instant,
        handler: &mut dyn Handler,
    ) {
        let Some(link) = self.links.iter_mut().find(|link| link.conn == conn) else { return };
        if link.unsent.is_empty() && std::mem::take(&mut link.transmit) {
            self.engine.outgoing(conn, &mut link.unsent, now, handler);
        }
        let socket = sockets.get_mut::<Socket<'_>>(link.socket);
        if !link.unsent.is_empty() {
            let taken = socket.send_slice(&link.unsent).unwrap_or(0);
            link.unsent.drain(..taken);
            let flushed = link.unsent.is_empty();
            self.engine.wrote(conn, taken, flushed, now);
        } else if link.finishing {
            socket.close();
        }
    }
}

/// A device that takes nothing and gives nothing: for the stack's bookkeeping in between.
struct Quiet;

impl smoltcp::phy::Device for Quiet {
    type RxToken<'a> = Nothing;
    type TxToken<'a> = Nothing;

    fn receive(&mut self, _: SmolInstant) -> Option<(Nothing, Nothing)> {
        None
    }
    fn transmit(&mut self, _: SmolInstant) -> Option<Nothing> {
        None
    }
    fn capabilities(&self) -> smoltcp::phy::DeviceCapabilities {
        let mut capabilities = smoltcp::phy::DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = 1_500;
        capabilities
    }
}

/// Never made.
enum Nothing {}

impl smoltcp::phy::RxToken for Nothing {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, _: F) -> R {
        match self {}
    }
}
impl smoltcp::phy::TxToken for Nothing {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, _: usize, _: F) -> R {
        match self {}
    }
}

/// A server of a few lines: answers each request that has come whole, and keeps connections.
struct Server {
    listeners: Vec<(SocketHandle, Vec<u8>)>,
    answered: u64,
}

impl Server {
    fn new(sockets: &mut SocketSet<'static>, listeners: usize) -> Self {
        let listen = |_| {
            let mut socket = socket();
            // A fresh socket and a port above zero: it can listen.
            let _ = socket.listen(PORT);
            (sockets.add(socket), Vec::new())
        };
        Self { listeners: (0..listeners).map(listen).collect(), answered: 0 }
    }

    fn serve(&mut self, sockets: &mut SocketSet<'static>) {
        for (handle, heard) in &mut self.listeners {
            let socket = sockets.get_mut::<Socket<'_>>(*handle);
            let _ = socket.recv(|bytes| {
                heard.extend_from_slice(bytes);
                (bytes.len(), ())
            });
            let room = socket.send_capacity() - socket.send_queue();
            if heard.ends_with(b"\r\n\r\n") && room >= 2_000 {
                let request = String::from_utf8_lossy(heard);
                let body = body(request.split(' ').nth(1).unwrap_or_default());
                let length = body.len();
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
                let _ = socket.send_slice(answer.as_bytes());
                heard.clear();
                self.answered += 1;
            }
            match socket.state() {
                State::CloseWait => socket.close(),
                State::Closed => {
                    heard.clear();
                    let _ = socket.listen(PORT);
                }
                _ => {}
            }
        }
    }
}

fn now_of(now: Instant) -> SmolInstant {
    SmolInstant::from_micros(i64::try_from(now.as_nanos() / 1_000).unwrap_or(i64::MAX))
}

/// Fetches so many bodies over the stack; gives the tally, what the server answered, and the
/// virtual time that it took.
pub fn run(count: u64) -> (Tally, u64, Duration) {
    let mut device = Loopback::new(Medium::Ip);
    let config = IfaceConfig::new(HardwareAddress::Ip);
    let mut iface = Interface::new(config, &mut device, SmolInstant::ZERO);
    iface.update_ip_addrs(|addresses| {
        // An interface has room for an address.
        let _ = addresses.push(IpCidr::new(IpAddress::v4(127, 0, 0, 1), 8));
    });
    let mut sockets = SocketSet::new(Vec::new());
    let mut server = Server::new(&mut sockets, 4);
    let mut stack = Stack {
        engine: Engine::new(Config::tiny()),
        links: Vec::new(),
        next_port: 49_152,
        buffer: vec![0; 2 * 1024],
    };
    let address = Ipv4Addr::LOCALHOST.to_string();
    let origin = Origin { scheme: Scheme::Http, host: &address, port: PORT };
    let host = stack.engine.host(&origin);
    let (mut tally, mut submitted, mut now) = (Tally::default(), 0, Instant::ZERO);
    while tally.done() < count && now.as_nanos() < 3_600_000_000_000 {
        while submitted < count && stack.engine.wants() > 0 {
            let target = format!("/bytes/1000?{submitted}");
            if stack.engine.submit(&Request::get(host, &target).tag(submitted), now).is_err() {
                break;
            }
            submitted += 1;
        }
        stack.carry_out(&mut iface, &mut sockets, now, &mut tally);
        iface.poll(now_of(now), &mut device, &mut sockets);
        server.serve(&mut sockets);
        stack.report(&mut sockets, now, &mut tally);
        stack.engine.tick(now, &mut tally);
        stack.carry_out(&mut iface, &mut sockets, now, &mut tally);
        // The next moment at which anything happens, a millisecond away at most.
        let wait = iface.poll_delay(now_of(now), &sockets);
        let wait = wait.map_or(1_000, |wait| wait.total_micros()).clamp(10, 1_000);
        now += Duration::from_micros(wait);
    }
    (tally, server.answered, now - Instant::ZERO)
}
