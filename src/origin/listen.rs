//! Addresses that are listened on, and for a while are not.

use std::io;
use std::net::SocketAddr;

use mio::net::TcpListener;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the system holds for us until they are accepted.
const BACKLOG: i32 = 4_096;
/// How often another free port is looked for when several addresses are to have the same.
const PORT_TRIES: u32 = 32;

/// One address.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) address: SocketAddr,
    pub(super) site: usize,
    pub(super) is_admin: bool,
    /// There may be connections to accept.
    pub(super) is_ready: bool,
    socket: Option<TcpListener>,
    /// Keeps the port ours while nothing listens, and keeps clients from connecting to themselves.
    _holder: Option<Socket>,
}

impl Listener {
    fn bind(address: SocketAddr, site: usize, is_admin: bool) -> io::Result<Self> {
        // Elsewhere a second socket could not be bound to the same address.
        let holder = if cfg!(target_os = "linux") { Some(socket(address)?) } else { None };
        let address = match &holder {
            Some(holder) => bound(holder)?,
            None => address,
        };
        let mut listener =
            Self { address, site, is_admin, is_ready: false, socket: None, _holder: holder };
        listener.listen()?;
        Ok(listener)
    }

    /// All addresses of a server, the administrator's last; those without a port share one.
    pub(super) fn bind_all(
        addresses: &[SocketAddr],
        admin: Option<SocketAddr>,
        has_sites: bool,
    ) -> io::Result<Vec<Self>> {
        let mut tries = 0;
        loop {
            match Self::try_bind_all(addresses, has_sites) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries < PORT_TRIES => {
                    tries += 1;
                }
                Err(error) => return Err(error),
                Ok(mut all) => {
                    if let Some(admin) = admin {
                        all.push(Self::bind(admin, 0, true)?);
                    }
                    return Ok(all);
                }
            }
        }
    }

    fn try_bind_all(addresses: &[SocketAddr], has_sites: bool) -> io::Result<Vec<Self>> {
        let mut all: Vec<Self> = Vec::with_capacity(addresses.len());
        let mut port = 0;
        for (number, &address) in addresses.iter().enumerate() {
            let mut wanted = address;
            if wanted.port() == 0 {
                wanted.set_port(port);
            }
            let listener = Self::bind(wanted, if has_sites { number } else { 0 }, false)?;
            if address.port() == 0 {
                port = listener.address.port();
            }
            all.push(listener);
        }
        Ok(all)
    }

    /// Listens, if it does not.
    fn listen(&mut self) -> io::Result<()> {
        let socket = socket(self.address)?;
        socket.listen(BACKLOG)?;
        self.address = bound(&socket)?;
        self.socket = Some(TcpListener::from_std(socket.into()));
        Ok(())
    }

    /// Makes it listen or not; says whether that was a change.
    pub(super) fn set(
        &mut self,
        is_open: bool,
        registry: &Registry,
        token: Token,
    ) -> io::Result<bool> {
        if is_open == self.socket.is_some() {
            return Ok(false);
        }
        if is_open {
            self.listen()?;
            self.register(registry, token)?;
        } else {
            self.socket = None;
            self.is_ready = false;
        }
        Ok(true)
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.socket {
            Some(socket) => registry.register(socket, token, Interest::READABLE),
            None => Ok(()),
        }
    }

    /// One connection, if there is one.
    pub(super) fn accept(&mut self) -> io::Result<mio::net::TcpStream> {
        match &self.socket {
            Some(socket) => socket.accept().map(|(stream, _)| stream),
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if cfg!(unix) {
        // Elsewhere the option means something else: that others may take the port over.
        socket.set_reuse_address(true)?;
    }
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn bound(socket: &Socket) -> io::Result<SocketAddr> {
    let address = socket.local_addr()?;
    address.as_socket().ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}
