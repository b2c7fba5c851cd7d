//! Generational keys over a slab.
//!
//! A key names one value for ever: when the value is removed, the key dies with it, and a later
//! value in the same slot has another generation. Stale events therefore die at look-up instead
//! of reaching a stranger. Look-up is an index and one comparison, never a hash.
#![expect(
    clippy::cast_possible_truncation,
    reason = "a slab of 2^32 values does not fit in memory: the index fits"
)]

use core::fmt;
use core::hash::{Hash, Hasher};
use core::marker::PhantomData;

use alloc::vec::Vec;
use slab::Slab;

/// Names one value of an [`Arena<T>`], for as long as it is there.
pub struct Key<T> {
    index: u32,
    generation: u32,
    of: PhantomData<fn() -> T>,
}

/// Bits of a packed key that hold the index: all 32 where a `usize` has 64.
const INDEX_BITS: u32 = if usize::BITS >= 64 { 32 } else { 20 };

impl<T> Key<T> {
    /// The slot: small, dense, reused after removal. Good as an index into a side table.
    pub const fn index(self) -> usize {
        self.index as usize
    }

    /// The same, for lists and indices that hold bare ones.
    pub(crate) const fn slot(self) -> u32 {
        self.index
    }

    /// How many values lived in this slot before.
    pub const fn generation(self) -> u32 {
        self.generation
    }

    /// Both halves in one `usize`, as a poller's token wants it.
    ///
    /// Where a `usize` has 32 bits, only the low 12 bits of the generation fit: enough to tell
    /// an event of this turn from one of the slot's former owner.
    pub const fn pack(self) -> usize {
        ((self.generation as usize) << INDEX_BITS) | self.index as usize
    }
}

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Key<T> {}
impl<T> PartialEq for Key<T> {
    fn eq(&self, other: &Self) -> bool {
        self.index == other.index && self.generation == other.generation
    }
}
impl<T> Eq for Key<T> {}
impl<T> PartialOrd for Key<T> {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Key<T> {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        (self.index, self.generation).cmp(&(other.index, other.generation))
    }
}
impl<T> Hash for Key<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.index, self.generation).hash(state);
    }
}
impl<T> fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}.{}", self.index, self.generation)
    }
}

/// Values in a slab, named by [`Key`]s.
#[derive(Debug)]
pub struct Arena<T> {
    slots: Slab<T>,
    /// The generation of each slot that was ever used.
    generations: Vec<u32>,
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Arena<T> {
    /// What a value takes here at most, beside its room in vain: the lists double when they are
    /// full. A slab's slot is the value, or where the next free one is.
    pub(crate) const SLOT_BYTES: usize = size_of::<(T, usize)>() + size_of::<u32>();

    /// An empty arena; allocates with the first value.
    pub const fn new() -> Self {
        Self { slots: Slab::new(), generations: Vec::new() }
    }

    /// Keeps `value` and names it. Once for each kind of value: a slab writes it in two places.
    #[inline(never)]
    pub fn insert(&mut self, value: T) -> Key<T> {
        let index = self.slots.insert(value);
        let generation = generation_of(&mut self.generations, index);
        Key { index: index as u32, generation, of: PhantomData }
    }

    /// Takes the value out; its key is dead from now on.
    pub fn remove(&mut self, key: Key<T>) -> Option<T> {
        if !self.contains(key) {
            return None;
        }
        let generation = self.generations.get_mut(key.index())?;
        *generation = key.generation.wrapping_add(1);
        self.slots.try_remove(key.index())
    }

    /// Whether the value that `key` names is still here.
    pub fn contains(&self, key: Key<T>) -> bool {
        self.get(key).is_some()
    }

    /// The value that `key` names.
    #[inline]
    pub fn get(&self, key: Key<T>) -> Option<&T> {
        if self.generations.get(key.index()) != Some(&key.generation) {
            return None;
        }
        self.slots.get(key.index())
    }

    /// The value that `key` names, to be changed.
    #[inline]
    pub fn get_mut(&mut self, key: Key<T>) -> Option<&mut T> {
        if self.generations.get(key.index()) != Some(&key.generation) {
            return None;
        }
        self.slots.get_mut(key.index())
    }

    /// The key that a packed token names, if its value is still here.
    pub fn unpack(&self, token: usize) -> Option<Key<T>> {
        let key = self.at(token & ((1_usize << INDEX_BITS) - 1))?;
        (key.pack() == token).then_some(key)
    }

    /// The key of the value that is in slot `index` now.
    #[inline]
    pub fn at(&self, index: usize) -> Option<Key<T>> {
        self.slots.contains(index).then(|| self.key(index))
    }

    /// The value in slot `index` now, for lists that hold bare indices.
    pub(super) fn slot_mut(&mut self, index: u32) -> Option<&mut T> {
        self.slots.get_mut(index as usize)
    }

    /// How many values are here.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether nothing is here.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// All values with their keys, in order of their slots.
    pub fn iter(&self) -> impl Iterator<Item = (Key<T>, &T)> {
        self.slots.iter().map(|(index, value)| (self.key(index), value))
    }

    /// Slots that were ever used: the bound of their indices.
    pub(crate) fn slots(&self) -> usize {
        self.generations.len()
    }

    /// All values, to be changed, in order of their slots.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().map(|(_, value)| value)
    }

    fn key(&self, index: usize) -> Key<T> {
        // `insert` has made one for each slot that ever held a value.
        let Some(&generation) = self.generations.get(index) else { dead() };
        Key { index: index as u32, generation, of: PhantomData }
    }
}

/// A key or an index leads nowhere: a defect of ours. Tests say where; a release build is spared
/// the place of each of some three hundred look-ups, and an argument in those that are not inlined.
#[cold]
#[inline(never)]
#[cfg_attr(debug_assertions, track_caller)]
#[expect(
    clippy::panic,
    reason = "as with a list's index: for keys that the caller knows to be alive"
)]
pub(crate) fn dead() -> ! {
    panic!("a key of something that is gone")
}

/// That of a slot, which may be new: the same for each kind of value.
#[inline(never)]
fn generation_of(generations: &mut Vec<u32>, index: usize) -> u32 {
    if index == generations.len() {
        generations.push(0);
    }
    generations.get(index).copied().unwrap_or_else(|| dead())
}

impl<T> core::ops::Index<Key<T>> for Arena<T> {
    type Output = T;

    /// # Panics
    /// When the key is dead: a defect of the caller, never of its input.
    #[inline]
    fn index(&self, key: Key<T>) -> &T {
        match self.get(key) {
            Some(value) => value,
            None => dead(),
        }
    }
}

impl<T> core::ops::IndexMut<Key<T>> for Arena<T> {
    #[inline]
    fn index_mut(&mut self, key: Key<T>) -> &mut T {
        match self.get_mut(key) {
            Some(value) => value,
            None => dead(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_dies_with_its_value() {
        let mut arena = Arena::new();
        let first = arena.insert('a');
        assert_eq!(arena.remove(first), Some('a'));
        let second = arena.insert('b');
        assert_eq!(second.index(), first.index());
        assert_ne!(second, first);
        assert_eq!(arena.get(first), None);
        assert_eq!(arena.remove(first), None);
        assert_eq!(arena.unpack(first.pack()), None);
        assert_eq!(arena.unpack(second.pack()), Some(second));
        assert_eq!(arena[second], 'b');
    }
}
