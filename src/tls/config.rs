//! What a client brings to every TLS connection: whom it trusts, who it is, what it remembers.
//!
//! Owns the translation from [`Options`] to one shared rustls configuration. Reads no file and no
//! environment (but for native roots, where that is the point), and installs nothing process-wide.

use core::fmt;
use std::sync::Arc;

use rustls::client::{Resumption, Tls12Resumption, WebPkiServerVerifier};
use rustls::crypto::hash::{Hash, HashAlgorithm};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use rustls::{
    CipherSuite, ClientConfig, InconsistentKeys, KeyLog, RootCertStore, SupportedCipherSuite,
    SupportedProtocolVersion, version,
};

use super::store::SessionStore;
use super::verified::Verified;
use super::verify::{Trust, Verifier, digest};
use crate::base::sort_by_key;

/// Whose signature makes a server's certificate good.
#[derive(Clone)]
#[non_exhaustive]
pub enum Roots {
    /// Mozilla's authorities, compiled in.
    WebPki,
    /// The operating system's, read when the [`Config`] is made.
    #[cfg(feature = "native-roots")]
    Native,
    /// The certificates in these PEM files (their contents), and no others.
    Pem(Vec<Vec<u8>>),
    /// The same, read when the [`Config`] is made: who speaks no TLS reads none.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use gannet::tls::{Config, Options, Roots};
    ///
    /// let read = || {
    ///     let file = "/nowhere/ca.pem";
    ///     std::fs::read(file).map(|pem| vec![pem]).map_err(|error| format!("{file}: {error}"))
    /// };
    /// let options = Options { roots: Roots::Deferred(Arc::new(read)), ..Options::default() };
    /// assert!(Config::new(options).unwrap_err().to_string().contains("/nowhere/ca.pem"));
    /// ```
    Deferred(Arc<dyn Fn() -> Result<Vec<Vec<u8>>, String> + Send + Sync>),
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WebPki => f.write_str("WebPki"),
            #[cfg(feature = "native-roots")]
            Self::Native => f.write_str("Native"),
            Self::Pem(files) => f.debug_tuple("Pem").field(&files.len()).finish(),
            Self::Deferred(_) => f.write_str("Deferred"),
        }
    }
}

/// A TLS version that can be spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Version {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// What to make a [`Config`] from; `Options::default()` is what a careful client uses.
#[derive(Clone)]
pub struct Options {
    /// Whom to trust. Default: [`Roots::WebPki`].
    pub roots: Roots,
    /// Trust anyone, whatever the certificate says (`-k`). Pins are still checked. Default: false.
    pub insecure: bool,
    /// Our own certificate chain and its key, both PEM (they may be the same file). Default: none.
    pub client_certificate: Option<(Vec<u8>, Vec<u8>)>,
    /// The lowest version spoken. Default: TLS 1.2.
    pub min_version: Version,
    /// The highest version spoken. Default: TLS 1.3.
    pub max_version: Version,
    /// SHA-256 digests of public keys (SubjectPublicKeyInfo), of which the server must have one;
    /// none, the default: no pinning.
    pub pins: Vec<[u8; 32]>,
    /// Where secrets are written for debugging (see [`KeyLogWriter`](super::KeyLogWriter)). Default:
    /// nowhere.
    pub key_log: Option<Arc<dyn KeyLog>>,
    /// How many hosts' sessions are remembered for resumption; 0 turns resumption off. A session
    /// holds its server's certificate chain: some 8 times 4 KB a host, where servers are hostile
    /// 8 times `max_handshake_bytes`. Default: 1,024 (`tiny`: 0).
    pub sessions: usize,
    /// The cryptography; by default aws-lc-rs under the feature of that name, else *ring*, with
    /// AES-128 preferred where the processor has AES instructions, as browsers do.
    pub provider: Option<Arc<CryptoProvider>>,
    /// The most bytes that a server may send before its handshake is complete, and (32 KiB if
    /// that is less) the most in a row without data afterwards. Default: 96 KiB (`tiny`: 16 KiB).
    pub max_handshake_bytes: usize,
    /// The clock that certificates and tickets are checked against; by default the system's.
    pub time: Option<Arc<dyn TimeProvider>>,
}

impl Options {
    /// For a device that counts its kilobytes: handshakes of 16 KiB at most, and no remembered
    /// sessions (connections are kept, so that few handshakes are made at all). Goes with
    /// [`Config::tiny`](crate::engine::Config::tiny).
    pub fn tiny() -> Self {
        Self { sessions: 0, max_handshake_bytes: 16 * 1024, ..Self::default() }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            roots: Roots::WebPki,
            insecure: false,
            client_certificate: None,
            min_version: Version::Tls12,
            max_version: Version::Tls13,
            pins: Vec::new(),
            key_log: None,
            sessions: 1024,
            provider: None,
            max_handshake_bytes: DEFAULT_MAX_HANDSHAKE_BYTES,
            time: None,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("insecure", &self.insecure)
            .field("client_certificate", &self.client_certificate.is_some())
            .field("versions", &(self.min_version..=self.max_version))
            .field("pins", &self.pins.len())
            .field("sessions", &self.sessions)
            .field("max_handshake_bytes", &self.max_handshake_bytes)
            .finish_non_exhaustive()
    }
}

/// rustls takes a certificate message of up to 64 KiB; this is that, with the rest around it.
const DEFAULT_MAX_HANDSHAKE_BYTES: usize = 96 * 1024;
/// With the smallest certificates there are, a server sends some 700 bytes.
const LEAST_HANDSHAKE_BYTES: usize = 512;

/// What a [`Config`] could not be made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigErrorKind {
    /// There is no usable certificate among the roots.
    Roots,
    /// The client certificate or its key is missing, encrypted, unreadable, or they do not match.
    ClientCertificate,
    /// No version is left between the lowest and the highest.
    Versions,
    /// The provider lacks something that is needed.
    Provider,
    /// A pinned key is not spelt as one.
    Pins,
    /// No server's part of a handshake fits in `max_handshake_bytes`.
    HandshakeBytes,
}

/// Why there is no [`Config`]: a sentence, with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    kind: ConfigErrorKind,
    message: String,
}

impl ConfigError {
    pub(super) fn new(kind: ConfigErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    fn own(message: impl Into<String>) -> Self {
        Self::new(ConfigErrorKind::ClientCertificate, message)
    }

    /// What was wrong.
    pub fn kind(&self) -> ConfigErrorKind {
        self.kind
    }

    /// The name of the kind, for records.
    pub fn name(&self) -> &'static str {
        match self.kind {
            ConfigErrorKind::Roots => "tls_ca_file",
            ConfigErrorKind::ClientCertificate => "tls_own_certificate",
            ConfigErrorKind::Versions => "tls_versions",
            ConfigErrorKind::Provider => "tls_provider",
            ConfigErrorKind::Pins => "tls_pins",
            ConfigErrorKind::HandshakeBytes => "tls_handshake_bytes",
        }
    }

    /// The exit code: curl's, or 2 for what is a mistake on the command line.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            ConfigErrorKind::Roots => 77,
            ConfigErrorKind::ClientCertificate => 58,
            ConfigErrorKind::Provider => 35,
            ConfigErrorKind::Versions | ConfigErrorKind::Pins | ConfigErrorKind::HandshakeBytes => {
                2
            }
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConfigError {}

/// What all connections share. Cloning is cheap.
#[derive(Clone)]
pub struct Config {
    pub(super) client: Arc<ClientConfig>,
    pub(super) max_handshake_bytes: usize,
    store: Option<Arc<SessionStore>>,
    skipped: usize,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("max_handshake_bytes", &self.max_handshake_bytes)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// Make one from options.
    pub fn new(options: Options) -> Result<Self, ConfigError> {
        if options.max_handshake_bytes < LEAST_HANDSHAKE_BYTES {
            let message = format!("max_handshake_bytes must be at least {LEAST_HANDSHAKE_BYTES}");
            return Err(ConfigError::new(ConfigErrorKind::HandshakeBytes, message));
        }
        let provider = options.provider.unwrap_or_else(default_provider);
        let versions = versions(options.min_version, options.max_version)?;
        let sha256 = sha256(&provider)?;

        let mut skipped = 0;
        let trust = if options.insecure {
            Trust::Anyone
        } else {
            let mut certificates = Vec::new();
            let roots = match options.roots {
                Roots::WebPki => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
                #[cfg(feature = "native-roots")]
                Roots::Native => native_roots(&mut skipped)?,
                Roots::Pem(files) => pem_roots(&files, sha256, &mut certificates, &mut skipped)?,
                Roots::Deferred(read) => {
                    let files =
                        read().map_err(|why| ConfigError::new(ConfigErrorKind::Roots, why))?;
                    pem_roots(&files, sha256, &mut certificates, &mut skipped)?
                }
            };
            let chains =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                    .build()
                    .map_err(|error| ConfigError::new(ConfigErrorKind::Roots, error.to_string()))?;
            Trust::Authorities { chains, certificates, verified: Verified::default() }
        };
        let verifier = Verifier {
            trust,
            pins: options.pins,
            algorithms: provider.signature_verification_algorithms,
            sha256,
        };

        let time = options.time.unwrap_or_else(|| Arc::new(DefaultTimeProvider));
        let builder = ClientConfig::builder_with_details(provider, time)
            .with_protocol_versions(&versions)
            .map_err(|error| ConfigError::new(ConfigErrorKind::Provider, error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut client = match options.client_certificate {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder
                .with_client_auth_cert(own_chain(&chain)?, own_key(&key)?)
                .map_err(own_error)?,
        };
        client.alpn_protocols = vec![b"http/1.1".to_vec()];
        if let Some(key_log) = options.key_log {
            client.key_log = key_log;
        }
        let store = (options.sessions > 0).then(|| Arc::new(SessionStore::new(options.sessions)));
        client.resumption = match &store {
            Some(store) => Resumption::store(store.clone())
                .tls12_resumption(Tls12Resumption::SessionIdOrTickets),
            None => Resumption::disabled(),
        };
        Ok(Self {
            client: Arc::new(client),
            max_handshake_bytes: options.max_handshake_bytes,
            store,
            skipped,
        })
    }

    /// Use a rustls configuration as it is, for programs that have one. Its verifier's refusals
    /// are told with less detail, and ALPN is what it says (offer `http/1.1` or nothing).
    pub fn custom(client: Arc<ClientConfig>) -> Self {
        Self { client, max_handshake_bytes: DEFAULT_MAX_HANDSHAKE_BYTES, store: None, skipped: 0 }
    }

    /// The rustls configuration within.
    pub fn rustls(&self) -> &Arc<ClientConfig> {
        &self.client
    }

    /// The remembered sessions; `None` when resumption is off or the configuration is custom.
    pub fn sessions(&self) -> Option<&SessionStore> {
        self.store.as_deref()
    }

    /// How many certificates among the roots could not be used (they are passed over).
    pub fn skipped_roots(&self) -> usize {
        self.skipped
    }
}

fn versions(
    min: Version,
    max: Version,
) -> Result<Vec<&'static SupportedProtocolVersion>, ConfigError> {
    let all = [(Version::Tls13, &version::TLS13), (Version::Tls12, &version::TLS12)];
    let chosen: Vec<_> =
        all.into_iter().filter(|(v, _)| (min..=max).contains(v)).map(|(_, v)| v).collect();
    if chosen.is_empty() {
        return Err(ConfigError::new(
            ConfigErrorKind::Versions,
            "the lowest TLS version allowed is above the highest one",
        ));
    }
    Ok(chosen)
}

/// The provider that the crate was built with. *ring* and aws-lc-rs prefer AES-256; AES-128 takes
/// a third less time for the same practical security, and its handshake hashes with SHA-256.
pub(super) fn default_provider() -> Arc<CryptoProvider> {
    #[cfg(feature = "aws-lc-rs")]
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(not(feature = "aws-lc-rs"))]
    let mut provider = rustls::crypto::ring::default_provider();
    let aes = has_aes();
    sort_by_key(&mut provider.cipher_suites, |suite| {
        let name = suite.suite();
        let old = suite.tls13().is_none();
        let rank = match name {
            CipherSuite::TLS13_AES_128_GCM_SHA256
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
            | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => 1,
            CipherSuite::TLS13_CHACHA20_POLY1305_SHA256
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
            | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => {
                if aes {
                    3
                } else {
                    0
                }
            }
            _ => 2,
        };
        (old, rank)
    });
    Arc::new(provider)
}

/// Does the processor have instructions for AES? Without them ChaCha20 is several times faster.
fn has_aes() -> bool {
    #[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
    let found = std::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    let found = std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "x86", target_arch = "aarch64")))]
    let found = false;
    found
}

pub(super) fn sha256(provider: &CryptoProvider) -> Result<&'static dyn Hash, ConfigError> {
    let hash_of = |suite: &SupportedCipherSuite| match suite {
        SupportedCipherSuite::Tls13(suite) => suite.common.hash_provider,
        SupportedCipherSuite::Tls12(suite) => suite.common.hash_provider,
    };
    let mut hashes = provider.cipher_suites.iter().map(hash_of);
    hashes.find(|hash| hash.algorithm() == HashAlgorithm::SHA256).ok_or_else(|| {
        ConfigError::new(
            ConfigErrorKind::Provider,
            "the cryptography provider has no cipher suite with SHA-256",
        )
    })
}

#[cfg(feature = "native-roots")]
fn native_roots(skipped: &mut usize) -> Result<RootCertStore, ConfigError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (_, unusable) = roots.add_parsable_certificates(found.certs);
    *skipped = unusable;
    if roots.is_empty() {
        let why = found.errors.first().map_or_else(String::new, |error| format!(": {error}"));
        return Err(ConfigError::new(
            ConfigErrorKind::Roots,
            format!(
                "the operating system has no certificate authorities{why}; install ca-certificates"
            ),
        ));
    }
    Ok(roots)
}

fn pem_roots(
    files: &[Vec<u8>],
    sha256: &dyn Hash,
    certificates: &mut Vec<[u8; 32]>,
    skipped: &mut usize,
) -> Result<RootCertStore, ConfigError> {
    let mut roots = RootCertStore::empty();
    for file in files {
        for certificate in CertificateDer::pem_slice_iter(file) {
            let Ok(certificate) = certificate else {
                *skipped += 1;
                continue;
            };
            let known = digest(sha256, &certificate);
            match roots.add(certificate) {
                Ok(()) => certificates.push(known),
                Err(_) => *skipped += 1,
            }
        }
    }
    sort_by_key(certificates, |digest| *digest);
    certificates.dedup();
    if roots.is_empty() {
        let message = match *skipped {
            0 if files.iter().any(|file| file.first() == Some(&0x30)) => {
                "no certificate found: this looks like DER, and PEM is needed \
                 (openssl x509 -inform DER -in FILE -out FILE.pem)"
                    .to_owned()
            }
            0 => "no certificate found: a PEM file with -----BEGIN CERTIFICATE----- is needed"
                .to_owned(),
            n => format!("no usable certificate found: {n} could not be read"),
        };
        return Err(ConfigError::new(ConfigErrorKind::Roots, message));
    }
    Ok(roots)
}

fn own_chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) if pem.first() == Some(&0x30) => Err(ConfigError::own(
            "the client certificate looks like DER or PKCS#12, and PEM is needed \
             (openssl x509 -inform DER, or openssl pkcs12 -nodes -in FILE -out FILE.pem)",
        )),
        Ok(_) => Err(ConfigError::own(
            "no certificate found in the client certificate's file (PEM is needed)",
        )),
        Err(error) => {
            Err(ConfigError::own(format!("the client certificate cannot be read: {error}")))
        }
    }
}

fn own_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, ConfigError> {
    // An old-style encrypted key has the label of a plain one, so this comes first.
    let says = |text: &[u8]| memchr::memmem::find(pem, text).is_some();
    if says(b"BEGIN ENCRYPTED PRIVATE KEY") || says(b"Proc-Type: 4,ENCRYPTED") {
        return Err(ConfigError::own(
            "the client key is encrypted, and pass phrases are not supported; \
             write a plain copy: openssl pkey -in KEY -out PLAIN",
        ));
    }
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => ConfigError::own(
            "no private key found for the client certificate (PEM with -----BEGIN PRIVATE KEY-----, \
             RSA PRIVATE KEY or EC PRIVATE KEY is needed)",
        ),
        error => ConfigError::own(format!("the client key cannot be read: {error}")),
    })
}

fn own_error(error: rustls::Error) -> ConfigError {
    match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            ConfigError::own("the client key does not belong to the client certificate")
        }
        error => {
            ConfigError::own(format!("the client certificate and key cannot be used: {error}"))
        }
    }
}

/// The name of a key exchange group, as OpenSSL and curl print it.
pub(super) fn group_name(group: &dyn SupportedKxGroup) -> &'static str {
    match group.name() {
        rustls::NamedGroup::X25519 => "X25519",
        rustls::NamedGroup::secp256r1 => "P-256",
        rustls::NamedGroup::secp384r1 => "P-384",
        rustls::NamedGroup::X25519MLKEM768 => "X25519MLKEM768",
        _ => "other",
    }
}
