//! Real sockets: the only place in the library that makes system calls.
//!
//! Each socket is registered once, for both directions, edge-triggered. Owns the translation of
//! the system's errors, and the knowledge of where a short read means that nothing is left.

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::io::{self, ErrorKind, Read as _, Write as _};
#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Instant as Clock;

use mio::net::{TcpStream, UdpSocket};
use mio::{Events, Interest, Poll, Registry, Token, Waker};
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, TcpKeepalive, Type};

use super::{Net, RESOLVER, Read, Ready};
use crate::base::{Instant, dead};
use crate::engine::{Cause, Fault};

/// Where a read that did not fill the buffer means that the socket is empty, as long as no close
/// or error was seen: epoll and kqueue give a further edge for what comes later.
const SHORT_READ_DRAINS: bool =
    cfg!(any(target_os = "linux", target_os = "android", target_vendor = "apple"));
/// Tokens from here on belong to whoever shares the poll; those of connections are smaller.
pub const FOREIGN: usize = 1 << (usize::BITS - 1);
/// The token of [`Mio::waker`]: no connection and no question has it.
const WAKER: usize = FOREIGN - 1;

/// Which families lead out of this machine, by its routes: nothing is sent. Where none does,
/// both may be tried, for what is on the machine itself.
#[cfg(feature = "dns")]
pub fn reach() -> crate::dns::Reach {
    // Addresses for documentation: they go where everything goes that has no route of its own.
    let leads_out = |from: SocketAddr, to: SocketAddr| {
        std::net::UdpSocket::bind(from).and_then(|socket| socket.connect(to)).is_ok()
    };
    let v4 = leads_out(
        (Ipv4Addr::UNSPECIFIED, 0).into(),
        (Ipv4Addr::new(192, 0, 2, 1), crate::dns::PORT).into(),
    );
    let v6 = leads_out(
        (Ipv6Addr::UNSPECIFIED, 0).into(),
        (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), crate::dns::PORT).into(),
    );
    if v4 || v6 { crate::dns::Reach { v4, v6 } } else { crate::dns::Reach { v4: true, v6: true } }
}

/// Options of every socket.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SocketOptions {
    /// The local address to connect from. One that this machine does not have fails each connection, as
    /// [`Cause::NetworkDown`]: [`check`](Self::check) tells beforehand. Connections to addresses of the other
    /// family are not bound.
    pub bind: Option<SocketAddr>,
    /// The device to connect through (Linux).
    pub device: Option<String>,
    /// TCP probes on idle connections after this long.
    pub keepalive: Option<Duration>,
}

impl SocketOptions {
    /// Whether sockets can be made so: the address is one of this machine's, the device exists.
    pub fn check(&self) -> io::Result<()> {
        if let Some(local) = self.bind {
            let socket =
                Socket::new(Domain::for_address(local), Type::STREAM, Some(Protocol::TCP))?;
            socket.bind(&SockAddr::from(local))?;
        }
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(device) = &self.device {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
            socket.bind_device(Some(device.as_bytes()))?;
        }
        Ok(())
    }
}

/// The operating system's sockets over one `mio::Poll`.
#[derive(Debug)]
pub struct Mio {
    poll: Poll,
    events: Events,
    /// Those of connections, and those of the resolver.
    sockets: [Vec<Option<Connected>>; 2],
    options: SocketOptions,
    /// Events of tokens that are not ours, for whoever shares the poll.
    foreign: Vec<usize>,
    start: Clock,
}

#[derive(Debug)]
struct Connected {
    token: usize,
    socket: Kind,
    /// A close or an error was seen: a short read no longer means that nothing is left.
    closing: bool,
}

#[derive(Debug)]
enum Kind {
    Stream(TcpStream),
    Datagrams(UdpSocket),
}

impl Mio {
    /// A poll of its own. `capacity` events are taken at once, one at least.
    pub fn new(capacity: usize) -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(capacity.max(1)),
            sockets: [Vec::new(), Vec::new()],
            options: SocketOptions::default(),
            foreign: Vec::new(),
            start: Clock::now(),
        })
    }

    /// Options of the sockets that are opened from now on.
    pub fn set_options(&mut self, options: SocketOptions) {
        self.options = options;
    }

    /// To register further sources, with tokens from [`FOREIGN`] on.
    pub fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    /// The token of a further source that became ready and was not taken yet, if there is one: as it was
    /// registered, [`FOREIGN`] included.
    pub fn next_foreign(&mut self) -> Option<usize> {
        self.foreign.pop()
    }

    /// Wakes this from another thread: [`Net::wait`] returns. A poll can have one only.
    pub fn waker(&self) -> io::Result<Waker> {
        Waker::new(self.poll.registry(), Token(WAKER))
    }

    #[inline]
    fn slot(&mut self, token: usize) -> &mut Option<Connected> {
        let [connections, resolver] = &mut self.sockets;
        let slots = if token & RESOLVER == 0 { connections } else { resolver };
        let index = token & (u32::MAX as usize);
        if index >= slots.len() {
            slots.resize_with(index + 1, || None);
        }
        // Made long enough right before.
        slots.get_mut(index).unwrap_or_else(|| dead())
    }

    #[inline]
    fn socket(&mut self, token: usize) -> Result<&mut Connected, Fault> {
        match self.slot(token) {
            Some(socket) if socket.token == token => Ok(socket),
            _ => Err(Fault::new(Cause::Other)),
        }
    }

    fn connect(&mut self, token: usize, address: SocketAddr) -> io::Result<TcpStream> {
        // Made so that it never waits, where the system can: one call less a connection.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let kind = Type::STREAM.nonblocking();
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let kind = Type::STREAM;
        let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if let Some(after) = self.options.keepalive {
            // What systems take: a probe that comes sooner is better than no connection.
            let after = after.clamp(Duration::from_secs(1), Duration::from_secs(32_767));
            socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(after).with_interval(after))?;
        }
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(device) = &self.options.device {
            socket.bind_device(Some(device.as_bytes()))?;
        }
        if let Some(local) = self.options.bind.filter(|local| local.is_ipv4() == address.is_ipv4())
        {
            socket.bind(&system_address(local))?;
        }
        match socket.connect(&system_address(address)) {
            Ok(()) => {}
            Err(error) if is_in_progress(&error) => {}
            Err(error) => return Err(error),
        }
        let mut stream = TcpStream::from_std(socket.into());
        let both = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, Token(token), both)?;
        Ok(stream)
    }
}

impl Mio {
    /// The system chooses the port, at random, when the socket is bound.
    fn connect_datagrams(&mut self, token: usize, peer: SocketAddr) -> io::Result<UdpSocket> {
        let any: SocketAddr = if peer.is_ipv4() {
            (Ipv4Addr::UNSPECIFIED, 0).into()
        } else {
            (Ipv6Addr::UNSPECIFIED, 0).into()
        };
        let mut socket = UdpSocket::bind(any)?;
        socket.connect(peer)?;
        self.poll.registry().register(&mut socket, Token(token), Interest::READABLE)?;
        Ok(socket)
    }
}

#[cfg(unix)]
impl AsFd for Mio {
    /// The one descriptor that a foreign loop watches for readability. It stays the same.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poll.registry().as_fd()
    }
}

#[cfg(unix)]
impl AsRawFd for Mio {
    /// The one descriptor that a foreign loop watches for readability. It lives as long as this.
    fn as_raw_fd(&self) -> RawFd {
        self.poll.as_raw_fd()
    }
}

impl Net for Mio {
    fn local(&mut self, token: usize) -> Option<SocketAddr> {
        match &self.socket(token).ok()?.socket {
            Kind::Stream(stream) => stream.local_addr().ok(),
            Kind::Datagrams(_) => None,
        }
    }

    fn now(&mut self) -> Instant {
        let nanos = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Instant::from_nanos(nanos)
    }

    fn open(&mut self, token: usize, address: SocketAddr) -> Result<(), Fault> {
        let stream = self.connect(token, address).map_err(|error| {
            let mut fault = fault(&error);
            if error.kind() == ErrorKind::AddrNotAvailable && self.options.bind.is_some() {
                // It is the address that we were told to use: a port is not wanting.
                fault.cause = Cause::NetworkDown;
            }
            fault
        })?;
        *self.slot(token) = Some(Connected { token, socket: Kind::Stream(stream), closing: false });
        Ok(())
    }

    fn open_datagrams(&mut self, token: usize, peer: SocketAddr) -> Result<(), Fault> {
        let datagrams = self.connect_datagrams(token, peer).map_err(|error| {
            // Without a socket's own address there is no way to the peer: no want of ports, which
            // the system tells in another way.
            match error.kind() {
                ErrorKind::AddrNotAvailable => Fault { cause: Cause::NetworkDown, ..fault(&error) },
                ErrorKind::WouldBlock => Fault { cause: Cause::Exhausted, ..fault(&error) },
                _ => fault(&error),
            }
        })?;
        let socket = Kind::Datagrams(datagrams);
        *self.slot(token) = Some(Connected { token, socket, closing: false });
        Ok(())
    }

    fn established(&mut self, token: usize) -> Result<bool, Fault> {
        let Kind::Stream(stream) = &self.socket(token)?.socket else { return Ok(true) };
        if let Some(error) = stream.take_error().map_err(|error| fault(&error))? {
            return Err(fault(&error));
        }
        match stream.peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotConnected || is_in_progress(&error) => {
                Ok(false)
            }
            Err(error) => Err(fault(&error)),
        }
    }

    fn read(&mut self, token: usize, buffer: &mut [u8]) -> Result<Read, Fault> {
        let Connected { socket, closing, .. } = self.socket(token)?;
        loop {
            let (read, drains) = match socket {
                Kind::Stream(stream) => (stream.read(buffer), SHORT_READ_DRAINS && !*closing),
                // Each read takes one datagram, and an empty one is no end.
                Kind::Datagrams(socket) => (socket.recv(buffer), false),
            };
            return match read {
                Ok(0) if matches!(socket, Kind::Stream(_)) => Ok(Read::End),
                Ok(count) => Ok(Read::Bytes { count, drained: drains && count < buffer.len() }),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Read::Blocked),
                Err(error) => Err(fault(&error)),
            };
        }
    }

    fn write(&mut self, token: usize, bytes: &[u8]) -> Result<Option<usize>, Fault> {
        let socket = self.socket(token)?;
        loop {
            let written = match &mut socket.socket {
                Kind::Stream(stream) => stream.write(bytes),
                Kind::Datagrams(socket) => socket.send(bytes),
            };
            return match written {
                Ok(count) => Ok(Some(count)),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
                Err(error) => Err(fault(&error)),
            };
        }
    }

    fn finish(&mut self, token: usize) {
        if let Ok(Connected { socket: Kind::Stream(stream), .. }) = self.socket(token) {
            // The peer may be gone: then its end is about to be read.
            let _ = stream.shutdown(std::net::Shutdown::Write);
        }
    }

    fn close(&mut self, token: usize, reset: bool) {
        if let Ok(Connected { socket, .. }) = self.socket(token) {
            if let Kind::Stream(stream) = socket
                && reset
            {
                let _ = SockRef::from(&*stream).set_linger(Some(Duration::ZERO));
            }
            *self.slot(token) = None;
        }
    }

    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> Result<bool, Fault> {
        self.poll(timeout)?;
        Ok(self.sort(ready))
    }

    fn wait_rested(
        &mut self,
        rest: Duration,
        timeout: Option<Duration>,
        ready: &mut Vec<Ready>,
    ) -> Result<bool, Fault> {
        std::thread::sleep(rest);
        self.wait(timeout, ready)
    }
}

impl Mio {
    fn poll(&mut self, timeout: Option<Duration>) -> Result<(), Fault> {
        match self.poll.poll(&mut self.events, timeout) {
            // A signal: nothing is ready, and whoever waits for it looks.
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                self.events.clear();
                Ok(())
            }
            result => result.map_err(|error| fault(&error)),
        }
    }

    /// Sorts what is ready by whom it concerns; whether there may be more.
    fn sort(&mut self, ready: &mut Vec<Ready>) -> bool {
        let mut count = 0;
        for event in &self.events {
            count += 1;
            let token = event.token().0;
            if token == WAKER {
                continue;
            }
            if token >= FOREIGN {
                // Kept until it is taken: it may be told only once.
                if !self.foreign.contains(&token) {
                    self.foreign.push(token);
                }
                continue;
            }
            let closing = event.is_read_closed() || event.is_error() || event.is_write_closed();
            if closing {
                let [connections, resolver] = &mut self.sockets;
                let slots = if token & RESOLVER == 0 { connections } else { resolver };
                let index = token & (u32::MAX as usize);
                if let Some(Some(socket)) = slots.get_mut(index) {
                    socket.closing |= socket.token == token;
                }
            }
            ready.push(Ready {
                token,
                readable: event.is_readable() || closing,
                writable: event.is_writable() || closing,
            });
        }
        count == self.events.capacity()
    }
}

/// As the system wants it, made in one place for both ends of a connection.
#[inline(never)]
fn system_address(address: SocketAddr) -> SockAddr {
    address.into()
}

fn is_in_progress(error: &io::Error) -> bool {
    // EINPROGRESS is not among the portable kinds: 115 on Linux, 36 on BSD and macOS; Windows
    // says that it would block.
    let numbers =
        if cfg!(any(target_os = "linux", target_os = "android")) { [115, 115] } else { [36, 150] };
    error.kind() == ErrorKind::WouldBlock
        || error.raw_os_error().is_some_and(|number| numbers.contains(&number))
}

/// What an error of the system means.
fn fault(error: &io::Error) -> Fault {
    let os = error.raw_os_error().unwrap_or(0);
    let cause = match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            Cause::Reset
        }
        ErrorKind::ConnectionRefused => Cause::Refused,
        ErrorKind::HostUnreachable => Cause::Unreachable,
        ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => Cause::NetworkDown,
        ErrorKind::TimedOut => Cause::TimedOut,
        ErrorKind::AddrNotAvailable | ErrorKind::OutOfMemory => Cause::Exhausted,
        ErrorKind::PermissionDenied => Cause::Denied,
        _ => match os {
            // EMFILE, ENFILE; ENOBUFS on Linux and on BSD; Windows counts its own from 10,000.
            23 | 24 | 55 | 105 | 10_024 | 10_055 => Cause::Exhausted,
            _ => Cause::Other,
        },
    };
    Fault { cause, os }
}
