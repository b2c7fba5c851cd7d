//! Is this the server that it says it is? The decision, and the evidence when the answer is no.
//!
//! Owns the choice between a checked chain (webpki against the given authorities), a certificate
//! that was handed in as trusted itself, and no check at all (`-k`); then the pinned keys.
//! Revocation is not checked. RFC 5280 section 6, RFC 9525, RFC 7469 section 2.4 (pins).
//!
//! A server's own certificate in the list of authorities is trusted when it arrives, whether or
//! not it could sign others: that is what `openssl req -x509` makes, what people hand to
//! `--cacert`, and what OpenSSL does with partial chains. webpki alone refuses it.

use core::cell::RefCell;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::hash::Hash;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use super::certificate::Certificate;
use super::verified::{self, Verified};

/// What was refused, for the error message.
pub(super) struct Refusal {
    /// The chain as sent, the server's own certificate first.
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// The server's key, when it was no pinned one.
    pub(super) unpinned: Option<[u8; 32]>,
}

thread_local! {
    /// rustls calls the verifier inside `Session::receive` and passes on its error, which has no
    /// room for the chain (an error of our own kind would, but then the alert that the server
    /// gets is a wrong one). So the evidence waits here for the few instructions until the same
    /// thread's `receive` picks it up.
    static REFUSED: RefCell<Option<Refusal>> = const { RefCell::new(None) };
}

/// The evidence of the refusal that just happened on this thread.
pub(super) fn take_refusal() -> Option<Refusal> {
    REFUSED.with_borrow_mut(Option::take)
}

/// Whom to believe.
#[derive(Debug)]
pub(super) enum Trust {
    /// Anyone (`-k`).
    Anyone,
    /// Chains to authorities, and certificates with one of these SHA-256 digests (sorted).
    Authorities {
        chains: Arc<WebPkiServerVerifier>,
        certificates: Vec<[u8; 32]>,
        verified: Verified,
    },
}

/// The verifier that rustls asks.
pub(super) struct Verifier {
    pub(super) trust: Trust,
    /// SHA-256 digests of acceptable public keys; none: any.
    pub(super) pins: Vec<[u8; 32]>,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
    pub(super) sha256: &'static dyn Hash,
}

impl core::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Verifier")
            .field("trust", &self.trust)
            .field("pins", &self.pins.len())
            .finish_non_exhaustive()
    }
}

/// A SHA-256 digest as an array.
pub(super) fn digest(sha256: &dyn Hash, bytes: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    for (to, from) in digest.iter_mut().zip(sha256.hash(bytes).as_ref()) {
        *to = *from;
    }
    digest
}

impl Verifier {
    fn identity(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        match &self.trust {
            Trust::Anyone => Ok(()),
            Trust::Authorities { chains, certificates, verified } => {
                let key = verified::key(self.sha256, leaf, intermediates);
                if verified.holds(&key, now) {
                    return verify_server_name(&ParsedCertificate::try_from(leaf)?, name);
                }
                let result =
                    chains.verify_server_cert(leaf, intermediates, name, &[], now).map(drop);
                if result.is_err()
                    && !certificates.is_empty()
                    && certificates.binary_search(&digest(self.sha256, leaf)).is_ok()
                {
                    return trusted_itself(leaf, name, now);
                }
                if result.is_ok() {
                    verified.remember(key, leaf, intermediates);
                }
                result
            }
        }
    }

    /// The server's key when it is none of the pinned ones.
    fn unpinned(&self, leaf: &CertificateDer<'_>) -> Result<Option<[u8; 32]>, Error> {
        if self.pins.is_empty() {
            return Ok(None);
        }
        // webpki's reading of the key, not ours: it is the one that checks the signature.
        let key =
            digest(self.sha256, &ParsedCertificate::try_from(leaf)?.subject_public_key_info());
        Ok((!self.pins.contains(&key)).then_some(key))
    }

    /// With `-k`, a certificate that cannot even be read (version 1, say) does not stop us;
    /// a signature that is wrong does. A pinned key must be one that can be read.
    fn tolerate(
        &self,
        result: Result<HandshakeSignatureValid, Error>,
        leaf: &CertificateDer<'_>,
    ) -> Result<HandshakeSignatureValid, Error> {
        let anyone = matches!(self.trust, Trust::Anyone) && self.pins.is_empty();
        match result {
            Err(_) if anyone && ParsedCertificate::try_from(leaf).is_err() => {
                Ok(HandshakeSignatureValid::assertion())
            }
            result => result,
        }
    }
}

/// A certificate that was handed in byte by byte: its dates, purpose and names still count.
fn trusted_itself(
    leaf: &CertificateDer<'_>,
    name: &ServerName<'_>,
    now: UnixTime,
) -> Result<(), Error> {
    let Some(read) = Certificate::read(leaf) else {
        return Err(CertificateError::BadEncoding.into());
    };
    let at = |seconds: i64| {
        UnixTime::since_unix_epoch(core::time::Duration::from_secs(seconds.max(0) as u64))
    };
    let (not_before, not_after) = (at(read.not_before), at(read.not_after));
    if now < not_before {
        return Err(CertificateError::NotValidYetContext { time: now, not_before }.into());
    }
    if now > not_after {
        return Err(CertificateError::ExpiredContext { time: now, not_after }.into());
    }
    if !read.for_servers {
        return Err(CertificateError::InvalidPurpose.into());
    }
    verify_server_name(&ParsedCertificate::try_from(leaf)?, name)
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let mut unpinned = None;
        let result = self.identity(leaf, intermediates, name, now).and_then(|()| {
            unpinned = self.unpinned(leaf)?;
            if unpinned.is_some() {
                return Err(CertificateError::ApplicationVerificationFailure.into());
            }
            Ok(ServerCertVerified::assertion())
        });
        if result.is_err() {
            let chain = core::iter::once(leaf).chain(intermediates);
            let chain = chain.map(|certificate| certificate.clone().into_owned()).collect();
            REFUSED.set(Some(Refusal { chain, unpinned }));
        }
        result
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.tolerate(verify_tls12_signature(message, leaf, signed, &self.algorithms), leaf)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.tolerate(verify_tls13_signature(message, leaf, signed, &self.algorithms), leaf)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
