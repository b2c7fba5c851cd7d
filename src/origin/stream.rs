//! A connection's bytes, plain or through TLS, up to the byte where the wire is to be cut.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;

use mio::net::TcpStream;

use super::rules::How;
use super::session::{Config, Session};
use super::stats::Stats;

/// What a read brought.
pub(super) struct Got {
    /// Bytes that came over the wire.
    pub(super) wire: usize,
    /// Nothing will come any more.
    pub(super) ended: bool,
}

/// One accepted connection.
#[derive(Debug)]
pub(super) struct Stream {
    tcp: TcpStream,
    tls: Option<Session>,
    /// Bytes that may still be sent, and what comes then.
    wire: Option<(u64, How)>,
    says_goodbye: bool,
}

impl Stream {
    pub(super) fn new(tcp: TcpStream, tls: Option<&Config>) -> io::Result<Self> {
        let tls = tls.map(Session::new).transpose()?;
        Ok(Self { tcp, tls, wire: None, says_goodbye: true })
    }

    pub(super) fn tcp(&mut self) -> &mut TcpStream {
        &mut self.tcp
    }

    /// Cuts the wire after so many more bytes.
    pub(super) fn cut_after(&mut self, bytes: u64, how: How) {
        self.wire = Some((bytes, how));
    }

    /// Closes without `close_notify`.
    pub(super) fn be_rude(&mut self) {
        self.says_goodbye = false;
    }

    /// Whether the wire will be cut at some byte.
    pub(super) fn will_be_cut(&self) -> bool {
        self.wire.is_some()
    }

    /// How to end, if the wire is cut here.
    pub(super) fn is_cut(&self) -> Option<How> {
        self.wire.and_then(|(left, how)| (left == 0).then_some(how))
    }

    /// Whether answers have to wait for TLS.
    pub(super) fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(Session::is_handshaking)
    }

    /// Reads once; what the peer meant is appended to `input`.
    pub(super) fn read(
        &mut self,
        scratch: &mut [u8],
        input: &mut Vec<u8>,
        stats: &Stats,
    ) -> io::Result<Got> {
        let wire = self.tcp.read(scratch)?;
        let Some(tls) = &mut self.tls else {
            input.extend_from_slice(&scratch[..wire]);
            return Ok(Got { wire, ended: wire == 0 });
        };
        let ended = match tls.take(&scratch[..wire], input, stats) {
            Ok(ended) => ended || wire == 0,
            Err(error) => {
                // The alert that names the mistake.
                let _ = self.flush();
                return Err(error);
            }
        };
        match self.flush() {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(Got { wire, ended }),
        }
    }

    /// Reads what the peer sent and looks at none of it; false: the peer is gone.
    pub(super) fn discard(&mut self, scratch: &mut [u8]) -> bool {
        loop {
            match self.tcp.read(scratch) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
    }

    /// Takes some of `bytes`, which then have been or will be sent.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return Wire { tcp: &mut self.tcp, left: &mut self.wire }.write(bytes);
        };
        let taken = tls.write(bytes)?;
        match self.flush() {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock || taken == 0 => Err(error),
            Ok(()) if taken == 0 => Err(io::ErrorKind::WouldBlock.into()),
            _ => Ok(taken),
        }
    }

    /// Sends everything that was taken.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            tls.flush(&mut Wire { tcp: &mut self.tcp, left: &mut self.wire })?;
        }
        Ok(())
    }

    /// Says that nothing follows: by `close_notify` where there is TLS.
    pub(super) fn say_goodbye(&mut self) {
        if let Some(tls) = self.tls.as_mut().filter(|_| self.says_goodbye) {
            tls.say_goodbye();
            let _ = self.flush();
        }
    }

    /// Closes the direction to the peer.
    pub(super) fn shut(&mut self) {
        let _ = self.tcp.shutdown(Shutdown::Write);
    }

    /// Ends the connection with a true reset.
    pub(super) fn reset(self) {
        reset(&self.tcp);
    }
}

/// Arms a socket so that closing it sends a reset: no linger time, nothing kept.
pub(super) fn reset(tcp: &TcpStream) {
    let _ = socket2::SockRef::from(tcp).set_linger(Some(core::time::Duration::ZERO));
}

/// The socket, up to the byte where it is cut.
struct Wire<'a> {
    tcp: &'a mut TcpStream,
    left: &'a mut Option<(u64, How)>,
}

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some((left, _)) = self.left else { return self.tcp.write(bytes) };
        if *left == 0 {
            return Err(io::Error::other("cut here"));
        }
        let now = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
        let sent = self.tcp.write(&bytes[..now])?;
        *left -= sent as u64;
        Ok(sent)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.left.is_none() {
            return self.tcp.write_vectored(slices);
        }
        let first = slices.iter().find(|slice| !slice.is_empty());
        first.map_or(Ok(0), |slice| self.write(slice))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
