//! Certificates, servers and a client's pump for the TLS tests: all in memory, no clock but theirs.
#![allow(dead_code, missing_docs, reason = "each test program uses its part")]

use std::io::{Read, Write};
use std::sync::Arc;

use gannet::tls::{Config, Error, Options, Received, Roots, Session};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SignatureAlgorithm,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::{ServerConfig, ServerConnection, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::{RootCertStore, SupportedProtocolVersion};

pub(crate) type Authority = CertifiedIssuer<'static, KeyPair>;

/// A certificate authority that signs itself.
pub(crate) fn authority(name: &str) -> Authority {
    let key = KeyPair::generate().unwrap();
    CertifiedIssuer::self_signed(authority_params(name), key).unwrap()
}

/// An authority below another one.
pub(crate) fn intermediate(name: &str, above: &Authority) -> Authority {
    let key = KeyPair::generate().unwrap();
    CertifiedIssuer::signed_by(authority_params(name), key, above).unwrap()
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = named(name, &[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

pub(crate) fn named(common_name: &str, names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

/// A chain and its key.
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: KeyPair,
}

impl Identity {
    pub(crate) fn key_der(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()))
    }

    pub(crate) fn chain_pem(&self) -> Vec<u8> {
        self.chain.iter().flat_map(|certificate| pem(certificate)).collect()
    }

    pub(crate) fn key_pem(&self) -> Vec<u8> {
        self.key.serialize_pem().into_bytes()
    }
}

/// `der` as a PEM file.
pub(crate) fn pem(der: &[u8]) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in der.chunks(48) {
        for group in line.chunks(3) {
            let mut word = 0_u32;
            for index in 0..3 {
                word = word << 8 | u32::from(*group.get(index).unwrap_or(&0));
            }
            for digit in 0..4 {
                let sextet = ALPHABET[(word >> (18 - 6 * digit)) as usize & 63];
                text.push(if digit <= group.len() { char::from(sextet) } else { '=' });
            }
        }
        text.push('\n');
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text.into_bytes()
}

/// A certificate for `names`, signed by `above`, with `change` made to it first.
pub(crate) fn signed(
    above: &Authority,
    names: &[&str],
    algorithm: &'static SignatureAlgorithm,
    change: impl FnOnce(&mut CertificateParams),
) -> Identity {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let mut params = named("leaf", names);
    change(&mut params);
    let leaf = params.signed_by(&key, above).unwrap();
    Identity { chain: vec![leaf.der().clone()], key }
}

/// A certificate that is signed with its own key.
pub(crate) fn self_signed(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
    let key = KeyPair::generate().unwrap();
    let mut params = named("alone", names);
    change(&mut params);
    let leaf = params.self_signed(&key).unwrap();
    Identity { chain: vec![leaf.der().clone()], key }
}

pub(crate) const ECDSA: &SignatureAlgorithm = &rcgen::PKCS_ECDSA_P256_SHA256;
pub(crate) const ED25519: &SignatureAlgorithm = &rcgen::PKCS_ED25519;

/// A clock that stands.
#[derive(Debug)]
pub(crate) struct Standing(pub u64);

impl TimeProvider for Standing {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(self.0)))
    }
}

/// 2026-11-24 09:30:00 UTC.
pub(crate) const NOW: u64 = 1_795_512_600;

pub(crate) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

pub(crate) const TLS12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];
pub(crate) const TLS13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// A server's configuration; `clients` is the authority that must have signed its clients.
pub(crate) fn server(
    identity: &Identity,
    versions: &[&'static SupportedProtocolVersion],
    clients: Option<&Authority>,
) -> ServerConfig {
    let builder = ServerConfig::builder_with_details(provider(), Arc::new(Standing(NOW)))
        .with_protocol_versions(versions)
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(clients.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
                .build()
                .unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(identity.chain.clone(), identity.key_der()).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

/// Options that trust `root` alone and stand still in time.
pub(crate) fn trusting(root: &CertificateDer<'_>) -> Options {
    Options {
        roots: Roots::Pem(vec![pem(root)]),
        time: Some(Arc::new(Standing(NOW))),
        ..Options::default()
    }
}

/// The caller's side of a session: it keeps what was not consumed, and what came out.
pub(crate) struct Client {
    pub(crate) session: Session,
    pub(crate) inbox: Vec<u8>,
    pub(crate) out: Vec<u8>,
    pub(crate) got: Vec<u8>,
    pub(crate) peer_closed: bool,
}

impl Client {
    pub(crate) fn new(config: &Config, host: &str) -> Self {
        let mut client = Self {
            session: Session::new(config, host).unwrap(),
            inbox: Vec::new(),
            out: Vec::new(),
            got: Vec::new(),
            peer_closed: false,
        };
        client.session.start(&mut client.out).unwrap();
        client
    }

    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<Received, Error> {
        self.inbox.extend_from_slice(bytes);
        let got = &mut self.got;
        let received = self.session.receive(&mut self.inbox, &mut self.out, |plain| {
            got.extend_from_slice(plain);
            true
        })?;
        self.inbox.drain(..received.consumed);
        self.peer_closed |= received.peer_closed;
        Ok(received)
    }
}

/// What the server has to send, all of it.
pub(crate) fn from_server(server: &mut ServerConnection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while server.wants_write() {
        server.write_tls(&mut bytes).unwrap();
    }
    bytes
}

/// Hand `bytes` to the server.
pub(crate) fn to_server(
    server: &mut ServerConnection,
    mut bytes: &[u8],
) -> Result<(), rustls::Error> {
    while !bytes.is_empty() {
        if server.read_tls(&mut bytes).unwrap() == 0 {
            break;
        }
        server.process_new_packets()?;
    }
    Ok(())
}

/// All plaintext that the server has.
pub(crate) fn server_reads(server: &mut ServerConnection) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(length @ 1..) = server.reader().read(&mut piece) {
        plain.extend_from_slice(&piece[..length]);
    }
    plain
}

/// Carry bytes both ways until nobody has any; the server's bytes arrive in pieces whose sizes
/// `cut` gives (0: all at once).
pub(crate) fn converse(
    client: &mut Client,
    server: &mut ServerConnection,
    mut cut: impl FnMut() -> usize,
) -> Result<(), Error> {
    loop {
        let up = std::mem::take(&mut client.out);
        let refused = to_server(server, &up).is_err();
        let down = from_server(server);
        if down.is_empty() && (up.is_empty() || refused) {
            return Ok(());
        }
        let mut rest = &down[..];
        while !rest.is_empty() {
            let size = match cut() {
                0 => rest.len(),
                size => size.min(rest.len()),
            };
            let (piece, after) = rest.split_at(size);
            client.feed(piece)?;
            rest = after;
        }
    }
}

/// A client and a server that have shaken hands.
pub(crate) fn connected(
    config: &Config,
    server: &Arc<ServerConfig>,
    host: &str,
) -> (Client, ServerConnection) {
    let mut client = Client::new(config, host);
    let mut server = ServerConnection::new(server.clone()).unwrap();
    converse(&mut client, &mut server, || 0).unwrap();
    assert!(client.session.established());
    (client, server)
}

/// Why a handshake with this server fails.
pub(crate) fn refused(config: &Config, server: ServerConfig, host: &str) -> Error {
    let mut client = Client::new(config, host);
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    converse(&mut client, &mut server, || 0).expect_err("this handshake must fail")
}

pub(crate) fn server_writes(server: &mut ServerConnection, plain: &[u8]) {
    server.writer().write_all(plain).unwrap();
}
