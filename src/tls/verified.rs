//! Chains that were found good lately, so that the same one need not be worked through again.
//!
//! Checking a chain is a third of what a full handshake costs, and a server shows the same one at
//! every connection, often for many names. The check is a function of the chain, the authorities
//! (fixed for a configuration) and the time, and the time matters only by the dates of the
//! certificates; so a digest of the chain, with the span in which all dates hold, stands for it.
//! Only successes are kept. The name, and the server's signature over the handshake, which proves
//! that it has the key, are checked every time. Revocation is not checked, here or there.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use rustls::crypto::hash::Hash;
use rustls::pki_types::{CertificateDer, UnixTime};

use super::certificate::validity;

/// How many are kept, at some 60 bytes each; when there are more, all are forgotten.
const LIMIT: usize = 1024;

/// The memory of one configuration.
#[derive(Debug, Default)]
pub(super) struct Verified {
    spans: Mutex<HashMap<Key, Span>>,
}

/// A digest of a chain.
pub(super) type Key = [u8; 32];

/// From the latest start to the earliest end, in seconds since 1970, both included.
type Span = (u64, u64);

/// What stands for this chain.
pub(super) fn key(sha256: &dyn Hash, leaf: &[u8], others: &[CertificateDer<'_>]) -> Key {
    let mut context = sha256.start();
    // Each part behind its length: no two lists of parts read the same.
    for part in core::iter::once(leaf).chain(others.iter().map(AsRef::as_ref)) {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut key = [0; 32];
    for (to, from) in key.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    key
}

impl Verified {
    /// Was it found good, and is it still in all dates?
    pub(super) fn holds(&self, key: &Key, now: UnixTime) -> bool {
        let spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        spans.get(key).is_some_and(|&(from, to)| (from..=to).contains(&now.as_secs()))
    }

    /// It was found good now.
    pub(super) fn remember(&self, key: Key, leaf: &[u8], others: &[CertificateDer<'_>]) {
        let mut span = (0, u64::MAX);
        for der in core::iter::once(leaf).chain(others.iter().map(AsRef::as_ref)) {
            let Some((from, to)) = validity(der) else { return };
            let Ok(to) = u64::try_from(to) else { return };
            span = (span.0.max(u64::try_from(from).unwrap_or(0)), span.1.min(to));
        }
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        if spans.len() >= LIMIT {
            spans.clear();
        }
        spans.insert(key, span);
    }
}
