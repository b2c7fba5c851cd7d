//! Things found again by what they are, of which none is ever forgotten.
//!
//! Owns numbers alone, each with a half of its hash: whoever asks says whether a number is the one that is sought. As nothing is
//! taken out, this is a tenth of the code of a table that can forget, and less memory: an empty place ends each search.

use alloc::vec;
use alloc::vec::Vec;
use core::mem;

/// Marks a place that is empty.
const NONE: u32 = u32::MAX;

/// Numbers by a hash of what they stand for.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// Halves of hashes with their numbers, each at the first empty place from where its hash says: a power of two of places,
    /// of which a quarter is empty at least.
    places: Vec<(u32, u32)>,
    len: usize,
}

impl Index {
    /// What a place takes. Of an index that has just grown three eighths are in use.
    pub(crate) const PLACE_BYTES: usize = size_of::<(u32, u32)>();

    /// An empty index; allocates with the first number.
    pub(crate) const fn new() -> Self {
        Self { places: Vec::new(), len: 0 }
    }

    /// What `judge` makes of the one number of that hash for which it makes anything.
    #[inline]
    pub(crate) fn find<T>(&self, hash: u64, judge: impl Fn(u32) -> Option<T>) -> Option<T> {
        let (half, mask) = (half(hash), self.places.len().wrapping_sub(1));
        let mut at = half as usize;
        // Without any place there is nothing.
        while let Some(&(found, number)) = self.places.get(at & mask)
            && number != NONE
        {
            if found == half
                && let Some(found) = judge(number)
            {
                return Some(found);
            }
            at += 1;
        }
        None
    }

    /// Adds a number, which is not there and is less than the largest.
    pub(crate) fn insert(&mut self, hash: u64, number: u32) {
        self.len += 1;
        if self.len * 4 > self.places.len() * 3 {
            let places = vec![(0, NONE); (self.places.len() * 2).max(4)];
            for (half, number) in mem::replace(&mut self.places, places) {
                if number != NONE {
                    self.put(half, number);
                }
            }
        }
        self.put(half(hash), number);
    }

    /// Writes it into the first empty place.
    fn put(&mut self, half: u32, number: u32) {
        let mask = self.places.len().wrapping_sub(1);
        let mut at = half as usize;
        while let Some(place) = self.places.get_mut(at & mask) {
            if place.1 == NONE {
                *place = (half, number);
                break;
            }
            at += 1;
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a half")]
const fn half(hash: u64) -> u32 {
    hash as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;

    #[test]
    fn agrees_with_an_obvious_model() {
        for seed in 0..if cfg!(miri) { 2 } else { 50 } {
            let mut random = fastrand::Rng::with_seed(seed);
            // Few hashes, so that many are alike in a half, or in whole; and some at the very end.
            let spread = random.u64(1..200);
            let hash = |name: u64| (name % spread).wrapping_mul(0xffff_ffff_ffff);
            let (mut index, mut names, mut model) = (Index::new(), Vec::new(), BTreeMap::new());
            for _ in 0..random.usize(1..500) {
                let name = random.u64(..400);
                let found = index
                    .find(hash(name), |number| (names[number as usize] == name).then_some(number));
                assert_eq!(found, model.get(&name).copied(), "seed {seed}");
                if found.is_none() {
                    let number = names.len() as u32;
                    names.push(name);
                    model.insert(name, number);
                    index.insert(hash(name), number);
                }
                let (places, len) = (index.places.len(), names.len());
                assert!(places.is_power_of_two() && len * 4 <= places * 3, "{len} in {places}");
                assert!(places <= 4 || len * 8 > places * 3, "{len} in {places}");
            }
        }
    }
}
