//! A server's side of TLS: bytes in, bytes out.
//!
//! Owns what rustls holds of a connection. Knows no socket: what is to be sent goes into whatever
//! it is given.

use std::io::{self, BufRead, Write};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, ServerSessionMemoryCache};
use rustls::{HandshakeKind, ServerConfig, ServerConnection};

use super::stats::Stats;
use super::traffic::{Tls, TlsVersion};

/// Sessions that can be resumed, at most.
const SESSIONS: usize = 16_384;

/// For all connections of a server.
#[derive(Clone, Debug)]
pub(super) struct Config(Arc<ServerConfig>);

impl Config {
    pub(super) fn new(tls: &Tls) -> io::Result<Self> {
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
        Ok(Self(Arc::new(config)))
    }
}

/// One connection's TLS.
#[derive(Debug)]
pub(super) struct Session {
    tls: Box<ServerConnection>,
    greeted: bool,
}

impl Session {
    pub(super) fn new(config: &Config) -> io::Result<Self> {
        let mut session = ServerConnection::new(Arc::clone(&config.0)).map_err(io::Error::other)?;
        session.set_buffer_limit(Some(256 * 1024));
        Ok(Self { tls: Box::new(session), greeted: false })
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.tls.is_handshaking()
    }

    /// Takes what came over the wire; what the peer meant is appended to `input`. Whether the
    /// peer said that this is all. After an error there is an alert to be sent that names it.
    pub(super) fn take(
        &mut self,
        mut wire: &[u8],
        input: &mut Vec<u8>,
        stats: &Stats,
    ) -> io::Result<bool> {
        let tls = &mut self.tls;
        let mut ended = false;
        while !wire.is_empty() && !ended {
            tls.read_tls(&mut wire)?;
            if let Err(error) = tls.process_new_packets() {
                stats.tls_failed.up();
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
        Ok(ended)
    }

    /// Takes what is to be said to the peer.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tls.writer().write(bytes)
    }

    /// Sends what was taken.
    pub(super) fn flush(&mut self, wire: &mut dyn Write) -> io::Result<()> {
        while self.tls.wants_write() {
            self.tls.write_tls(wire)?;
        }
        Ok(())
    }

    /// Says that nothing follows.
    pub(super) fn say_goodbye(&mut self) {
        self.tls.send_close_notify();
    }
}
