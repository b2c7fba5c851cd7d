//! A keyed hash for maps whose keys come from the network.
//!
//! Owns the mixing of bytes into 64 bits under a key that the embedder hands in; never makes a
//! key of its own, so that the same seed gives the same run. Each word is multiplied into 128
//! bits and folded: every bit of the input reaches every bit of the result, and who does not
//! know the key cannot choose names that collide. It is no cryptographic hash: keys of tables
//! only, nothing that is stored or shown.

use core::hash::{BuildHasher, Hasher};

/// A map that is ordered by nothing but its seed.
#[cfg(feature = "dns")]
pub(crate) type Map<K, V> = hashbrown::HashMap<K, V, Seeded>;

/// Odd, and with about as many ones as zeros (the first digits of pi, as everyone takes).
const MULTIPLIER: u64 = 0x243f_6a88_85a3_08d3;

/// Makes hashers that all share one key.
///
/// ```
/// use core::hash::BuildHasher;
/// use std::collections::HashMap;
/// use gannet::base::Seeded;
///
/// let mut hosts = HashMap::with_hasher(Seeded::new(42));
/// hosts.insert("example.com", 1);
/// assert_eq!(hosts.get("example.com"), Some(&1));
/// assert_eq!(Seeded::new(7).hash_one("a"), Seeded::new(7).hash_one("a"));
/// assert_ne!(Seeded::new(7).hash_one("a"), Seeded::new(8).hash_one("a"));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seeded {
    start: u64,
    key: u64,
}

impl Seeded {
    /// A key made of `seed`: random bits where strangers choose the names, any number in tests.
    pub const fn new(seed: u64) -> Self {
        // Two words that neither repeat nor cancel each other whatever the seed is.
        let start = fold(seed ^ MULTIPLIER, 0xa409_3822_299f_31d1);
        let key = fold(seed.wrapping_add(MULTIPLIER), 0x082e_fa98_ec4e_6c89) | 1;
        Self { start, key }
    }
}

impl BuildHasher for Seeded {
    type Hasher = SeededHasher;

    #[inline]
    fn build_hasher(&self) -> SeededHasher {
        SeededHasher { state: self.start, key: self.key }
    }
}

/// Mixes what is written under the key of the [`Seeded`] that made it.
#[derive(Clone, Copy, Debug)]
pub struct SeededHasher {
    state: u64,
    key: u64,
}

/// The product's halves, one folded onto the other.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the two halves of a product")]
const fn fold(one: u64, other: u64) -> u64 {
    let product = one as u128 * other as u128;
    (product as u64) ^ ((product >> 64) as u64)
}

impl SeededHasher {
    #[inline]
    fn mix(&mut self, word: u64) {
        // The sum keeps a word that cancels the state from wiping out all that came before.
        self.state = fold(self.state ^ word, MULTIPLIER).wrapping_add(self.key).rotate_left(23);
    }
}

impl Hasher for SeededHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            let mut whole = [0; 8];
            whole.copy_from_slice(word);
            self.mix(u64::from_le_bytes(whole));
        }
        let rest = words.remainder();
        let mut last = [0; 8];
        if let Some(place) = last.get_mut(..rest.len()) {
            place.copy_from_slice(rest);
        }
        // Seven bytes at most: the eighth is the place for the length.
        last[7] = bytes.len().to_le_bytes()[0];
        self.mix(u64::from_le_bytes(last));
    }

    #[inline]
    fn write_u8(&mut self, number: u8) {
        self.mix(number.into());
    }

    #[inline]
    fn write_u16(&mut self, number: u16) {
        self.mix(number.into());
    }

    #[inline]
    fn write_u32(&mut self, number: u32) {
        self.mix(number.into());
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        self.mix(number);
    }

    #[inline]
    fn write_usize(&mut self, number: usize) {
        self.mix(number as u64);
    }

    #[inline]
    fn finish(&self) -> u64 {
        fold(self.state ^ self.key, MULTIPLIER ^ self.key.rotate_left(32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::vec;
    use alloc::vec::Vec;

    #[test]
    #[cfg_attr(miri, ignore = "a matter of statistics, not of memory; minutes under miri")]
    fn near_keys_do_not_cluster() {
        // Tables take the low bits for the slot and the high seven for the tag: both must spread.
        for seed in [0, 1, u64::MAX, 0x1234_5678_9abc_def0] {
            let hash = Seeded::new(seed);
            for shift in [0, 54] {
                let mut slots = vec![0_u32; 1024];
                for number in 0..10_240 {
                    let name = format!("host{number}.example");
                    slots[(hash.hash_one(name.as_str()) >> shift) as usize % 1024] += 1;
                }
                let fullest = slots.iter().max().copied().unwrap_or(0);
                assert!(fullest < 32, "ten a slot on average, {fullest} in one, seed {seed}");
            }
        }
    }

    #[test]
    fn lengths_and_zeros_count() {
        let hash = Seeded::new(3);
        let mut seen: Vec<u64> = (0..40_usize)
            .map(|length| {
                let mut hasher = hash.build_hasher();
                hasher.write(&vec![0; length]);
                hasher.finish()
            })
            .collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 40);
    }

    #[test]
    #[cfg_attr(miri, ignore = "a matter of statistics, too")]
    fn collisions_do_not_carry_over_to_another_key() {
        let (one, other) = (Seeded::new(1), Seeded::new(2));
        let slot = |hash: &Seeded, number: u32| hash.hash_one(number) & 0xff;
        let together: Vec<u32> = (0..20_000).filter(|&n| slot(&one, n) == 0).collect();
        let still = together.iter().filter(|&&n| slot(&other, n) == slot(&other, together[0]));
        assert!(together.len() > 40);
        assert!(still.count() < together.len() / 8);
    }
}
