//! A connection's bytes, plain or through TLS, up to the byte where the wire is to be cut.

use std::io::{self, BufRead, IoSlice, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

use mio::net::TcpStream;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, ServerSessionMemoryCache};
use rustls::{HandshakeKind, ServerConfig, ServerConnection};

use super::rules::How;
use super::stats::Stats;
use super::traffic::{Tls, TlsVersion};

/// Sessions that can be resumed, at most.
const SESSIONS: usize = 16_384;

/// A configuration for all connections of a server.
pub(super) fn tls_config(tls: &Tls) -> io::Result<Arc<ServerConfig>> {
    let wrong = |what: String| io::Error::new(io::ErrorKind::InvalidInput, what);
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(tls.certificates.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(format!("the certificate: {error}")))?;
    let key = PrivateKeyDer::from_pem_slice(tls.key.as_bytes())
        .map_err(|error| wrong(format!("the private key: {error}")))?;
    let versions: Vec<_> = tls
        .versions
        .iter()
        .map(|version| match version {
            TlsVersion::Tls12 => &rustls::version::TLS12,
            TlsVersion::Tls13 => &rustls::version::TLS13,
        })
        .collect();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, key))
        .map_err(|error| wrong(format!("TLS: {error}")))?;
    if tls.resumption {
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
    } else {
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    config.alpn_protocols = tls.alpn.iter().map(|name| name.clone().into_bytes()).collect();
    Ok(Arc::new(config))
}

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
    tls: Option<Box<ServerConnection>>,
    /// Bytes that may still be sent, and what comes then.
    wire: Option<(u64, How)>,
    greeted: bool,
    says_goodbye: bool,
}

impl Stream {
    pub(super) fn new(tcp: TcpStream, tls: Option<&Arc<ServerConfig>>) -> io::Result<Self> {
        let tls = match tls {
            None => None,
            Some(config) => {
                let mut session =
                    ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
                session.set_buffer_limit(Some(256 * 1024));
                Some(Box::new(session))
            }
        };
        Ok(Self { tcp, tls, wire: None, greeted: false, says_goodbye: true })
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
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
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
        let mut rest = &scratch[..wire];
        let mut ended = wire == 0;
        while !rest.is_empty() && !ended {
            tls.read_tls(&mut rest)?;
            if let Err(error) = tls.process_new_packets() {
                stats.tls_failed.up();
                // The alert that names the mistake.
                let _ = self.flush();
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
            loop {
                match tls.reader().fill_buf() {
                    Ok([]) => {
                        ended = true;
                        break;
                    }
                    Ok(bytes) => {
                        let len = bytes.len();
                        input.extend_from_slice(bytes);
                        tls.reader().consume(len);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
        }
        if !self.greeted
            && let Some(kind) = tls.handshake_kind()
            && !tls.is_handshaking()
        {
            self.greeted = true;
            match kind {
                HandshakeKind::Resumed => stats.tls_resumed.up(),
                _ => stats.tls_full.up(),
            }
        }
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
        let taken = tls.writer().write(bytes)?;
        match self.flush() {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock || taken == 0 => Err(error),
            Ok(()) if taken == 0 => Err(io::ErrorKind::WouldBlock.into()),
            _ => Ok(taken),
        }
    }

    /// Sends everything that was taken.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                tls.write_tls(&mut Wire { tcp: &mut self.tcp, left: &mut self.wire })?;
            }
        }
        Ok(())
    }

    /// Says that nothing follows: by `close_notify` where there is TLS.
    pub(super) fn say_goodbye(&mut self) {
        if let Some(tls) = self.tls.as_mut().filter(|_| self.says_goodbye) {
            tls.send_close_notify();
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
