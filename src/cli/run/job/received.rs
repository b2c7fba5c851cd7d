//! What has come of a body: how much, its digest, and what its record says of it.
//!
//! Owns the counting. Where the bytes go is [`outlet`](super::outlet)'s.

use sha2::{Digest, Sha256};

use crate::cli::run::rates::Pace;

/// What has come of a body.
#[derive(Debug, Default)]
pub struct Received {
    /// As delivered; what an earlier run left of it counts.
    pub bytes: u64,
    /// Boxed, as what most URLs of a list never have: thousands of jobs wait.
    hash: Option<Box<Sha256>>,
    /// How much of it the record has, if any.
    record_max: Option<u64>,
    /// For the record,
    pub recorded: Vec<u8>,
    /// which does not have all of it.
    pub is_cut: bool,
    /// For `--limit-rate`.
    pub pace: Pace,
}

impl Received {
    /// Ready for another body; `hash`: its digest is wanted, `record_max`: so much of it is recorded.
    pub fn begin(&mut self, hash: bool, record_max: Option<u64>) {
        self.hash = hash.then(Box::default);
        self.record_max = record_max;
    }

    pub(super) fn clear(&mut self) {
        self.hash = None;
        self.void();
        self.pace = Pace::default();
    }

    /// Nothing has come.
    pub(super) fn void(&mut self) {
        self.bytes = 0;
        self.recorded.clear();
        self.is_cut = false;
        if let Some(hash) = &mut self.hash {
            **hash = Sha256::new();
        }
    }

    /// What an earlier run left of the body: so many bytes, which `read` brings where somebody looks
    /// into them.
    pub fn take_up<E>(
        &mut self,
        bytes: u64,
        read: impl FnOnce(&mut dyn FnMut(&[u8])) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.hash.is_none() && self.record_max.is_none() {
            self.bytes = bytes;
            return Ok(());
        }
        read(&mut |bytes: &[u8]| self.note(bytes))
    }

    /// More of the body, for the digest and the record.
    pub fn note(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        if let Some(hash) = &mut self.hash {
            hash.update(bytes);
        }
        if let Some(most) = self.record_max {
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            let room = most.saturating_sub(self.recorded.len());
            self.recorded.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
            self.is_cut |= bytes.len() > room;
        }
    }

    /// The digest, to which what more is coming for is added first.
    pub const fn hash(&mut self) -> Option<&mut Sha256> {
        match &mut self.hash {
            Some(hash) => Some(&mut **hash),
            None => None,
        }
    }

    /// The digest, where one was wanted.
    pub fn digest(&mut self) -> Option<[u8; 32]> {
        self.hash.take().map(|hash| hash.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_in_records_are_bounded() {
        let mut body = Received::default();
        body.begin(true, Some(7));
        body.note(b"hello");
        body.note(b"world");
        assert_eq!(
            (body.recorded.as_slice(), body.is_cut, body.bytes),
            (b"hellowo".as_slice(), true, 10)
        );
        body.void();
        body.note(b"abc");
        assert_eq!((body.is_cut, body.bytes), (false, 3));
        assert_eq!(body.digest().unwrap()[0], 0xba);
    }
}
