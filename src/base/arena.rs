//! Generational keys: slots in a list, each with the number of values that it held before.
//!
//! A key names one value for ever: when the value is removed, the key dies with it, and a later
//! value in the same slot has another generation. Stale events therefore die at look-up instead
//! of reaching a stranger. Look-up is an index and one comparison, never a hash. Free slots are
//! a chain through the slots themselves; the one that was left last is taken first.

use core::fmt;
use core::hash::{Hash, Hasher};
use core::marker::PhantomData;

use alloc::vec::Vec;

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

/// What a key's index leads to.
#[derive(Debug)]
struct Slot<T> {
    value: Option<T>,
    /// How many values lived here before: what the keys of this one say.
    generation: u32,
    /// While nothing is here: the slot that was left before this one.
    next: u32,
}

/// The end of the chain of free slots: beyond any slot.
const END: u32 = u32::MAX;

/// Values in slots, named by [`Key`]s.
#[derive(Debug)]
pub struct Arena<T> {
    slots: Vec<Slot<T>>,
    /// The slot that was left last.
    free: u32,
    len: usize,
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Arena<T> {
    /// What a value takes here, beside its room in vain: the list doubles when it is full.
    pub(crate) const SLOT_BYTES: usize = size_of::<Slot<T>>();

    /// An empty arena; allocates with the first value.
    pub const fn new() -> Self {
        Self { slots: Vec::new(), free: END, len: 0 }
    }

    /// Keeps `value` and names it.
    pub fn insert(&mut self, value: T) -> Key<T> {
        let index = self.vacant();
        let Some(slot) = self.slots.get_mut(index as usize) else { dead() };
        self.len += 1;
        let key = Key { index, generation: slot.generation, of: PhantomData };
        self.free = slot.next;
        // Nothing was there: what would drop it is not made.
        core::mem::forget(slot.value.replace(value));
        key
    }

    /// The slot of the next value: one that was left, or a new one.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "2^32 values do not fit in memory: the index fits"
    )]
    fn vacant(&mut self) -> u32 {
        if self.free == END {
            self.free = self.slots.len() as u32;
            self.slots.push(Slot { value: None, generation: 0, next: END });
        }
        self.free
    }

    /// Takes the value out; its key is dead from now on.
    pub fn remove(&mut self, key: Key<T>) -> Option<T> {
        let slot = self.slots.get_mut(key.index())?;
        if slot.generation != key.generation {
            return None;
        }
        let value = slot.value.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        slot.next = core::mem::replace(&mut self.free, key.index);
        self.len -= 1;
        Some(value)
    }

    /// Whether the value that `key` names is still here.
    pub fn contains(&self, key: Key<T>) -> bool {
        self.get(key).is_some()
    }

    /// The value that `key` names.
    #[inline]
    pub fn get(&self, key: Key<T>) -> Option<&T> {
        let slot = self.slots.get(key.index())?;
        if slot.generation != key.generation {
            return None;
        }
        slot.value.as_ref()
    }

    /// The value that `key` names, to be changed.
    #[inline]
    pub fn get_mut(&mut self, key: Key<T>) -> Option<&mut T> {
        let slot = self.slots.get_mut(key.index())?;
        if slot.generation != key.generation {
            return None;
        }
        slot.value.as_mut()
    }

    /// The key that a packed token names, if its value is still here.
    pub fn unpack(&self, token: usize) -> Option<Key<T>> {
        let key = self.at(token & ((1_usize << INDEX_BITS) - 1))?;
        (key.pack() == token).then_some(key)
    }

    /// The key of the value that is in slot `index` now.
    #[inline]
    pub fn at(&self, index: usize) -> Option<Key<T>> {
        let slot = self.slots.get(index)?;
        let index = u32::try_from(index).ok()?;
        slot.value.is_some().then_some(Key { index, generation: slot.generation, of: PhantomData })
    }

    /// The value in slot `index` now, for lists that hold bare indices.
    pub(super) fn slot_mut(&mut self, index: u32) -> Option<&mut T> {
        self.slots.get_mut(index as usize)?.value.as_mut()
    }

    /// How many values are here.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is here.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All values with their keys, in order of their slots.
    pub fn iter(&self) -> impl Iterator<Item = (Key<T>, &T)> {
        self.slots.iter().zip(0..).filter_map(|(slot, index)| {
            let key = Key { index, generation: slot.generation, of: PhantomData };
            Some((key, slot.value.as_ref()?))
        })
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
