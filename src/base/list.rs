//! Intrusive lists over an arena: queues that cost nothing an entry and nothing a queue.
//!
//! A value that wants to stand in lists carries one [`Links`] for each list it can be in, and
//! names them by number through [`Linked`]. Appending, taking out of the middle and popping are
//! a few index writes; nothing is ever allocated.
#![expect(clippy::cast_possible_truncation, reason = "an arena's indices are 32 bits wide")]

use super::arena::{Arena, Key};

/// No neighbour.
const NONE: u32 = u32::MAX;
/// Neighbour of a value that is in no list.
const OUT: u32 = u32::MAX - 1;

/// The two neighbours of a value in a list.
#[derive(Clone, Copy, Debug)]
pub struct Links {
    before: u32,
    after: u32,
}

impl Default for Links {
    fn default() -> Self {
        Self { before: OUT, after: OUT }
    }
}

/// A value that can stand in lists, which are told apart by their numbers.
pub trait Linked {
    /// Its neighbours in the list of that number.
    fn links(&mut self, list: usize) -> &mut Links;
    /// Its neighbours there, to be read.
    fn links_ref(&self, list: usize) -> &Links;
}

/// A doubly linked list, of the number `N`, of values that live in one arena.
///
/// A key handed to a method must be alive in that arena; a value is in at most one list of a
/// number at a time.
#[derive(Debug)]
pub struct List<const N: usize>(Ends);

/// The two ends of a list. What is done there is one function for all numbers of a kind of value,
/// where the size counts.
#[derive(Debug)]
struct Ends {
    front: u32,
    back: u32,
    len: u32,
}

impl<const N: usize> Default for List<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> List<N> {
    /// An empty list.
    pub const fn new() -> Self {
        Self(Ends { front: NONE, back: NONE, len: 0 })
    }

    /// How many values are in it.
    pub const fn len(&self) -> u32 {
        self.0.len
    }

    /// Whether it is empty.
    pub const fn is_empty(&self) -> bool {
        self.0.len == 0
    }

    /// The first value.
    #[inline]
    pub fn front<T: Linked>(&self, arena: &Arena<T>) -> Option<Key<T>> {
        arena.at(self.0.front as usize)
    }

    /// The value after `key`.
    pub fn after<T: Linked>(&self, arena: &Arena<T>, key: Key<T>) -> Option<Key<T>> {
        arena.at(arena[key].links_ref(N).after as usize)
    }

    /// Whether the value is in a list of this number.
    pub fn holds<T: Linked>(arena: &Arena<T>, key: Key<T>) -> bool {
        arena.get(key).is_some_and(|value| value.links_ref(N).before != OUT)
    }

    /// Puts a value at the end.
    pub fn push_back<T: Linked>(&mut self, arena: &mut Arena<T>, key: Key<T>) {
        debug_assert!(!Self::holds(arena, key), "already in a list");
        self.0.push_back(arena, key, N);
    }

    /// Puts a value at the beginning.
    pub fn push_front<T: Linked>(&mut self, arena: &mut Arena<T>, key: Key<T>) {
        debug_assert!(!Self::holds(arena, key), "already in a list");
        self.0.push_front(arena, key, N);
    }

    /// Takes a value out, wherever it stands. It must be in this very list.
    pub fn remove<T: Linked>(&mut self, arena: &mut Arena<T>, key: Key<T>) {
        debug_assert!(Self::holds(arena, key), "in no list");
        self.0.remove(arena, key, N);
    }

    /// Takes the first value out.
    pub fn pop_front<T: Linked>(&mut self, arena: &mut Arena<T>) -> Option<Key<T>> {
        let key = self.front(arena)?;
        self.remove(arena, key);
        Some(key)
    }
}

impl Ends {
    fn push_back<T: Linked>(&mut self, arena: &mut Arena<T>, key: Key<T>, list: usize) {
        *arena[key].links(list) = Links { before: self.back, after: NONE };
        let index = key.index() as u32;
        match arena.slot_mut(self.back) {
            Some(last) => last.links(list).after = index,
            None => self.front = index,
        }
        self.back = index;
        self.len += 1;
    }

    fn push_front<T: Linked>(&mut self, arena: &mut Arena<T>, key: Key<T>, list: usize) {
        *arena[key].links(list) = Links { before: NONE, after: self.front };
        let index = key.index() as u32;
        match arena.slot_mut(self.front) {
            Some(first) => first.links(list).before = index,
            None => self.back = index,
        }
        self.front = index;
        self.len += 1;
    }

    fn remove<T: Linked>(&mut self, arena: &mut Arena<T>, key: Key<T>, list: usize) {
        let Links { before, after } = core::mem::take(arena[key].links(list));
        match arena.slot_mut(before) {
            Some(value) => value.links(list).after = after,
            None => self.front = after,
        }
        match arena.slot_mut(after) {
            Some(value) => value.links(list).before = before,
            None => self.back = before,
        }
        self.len -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::VecDeque;

    struct Value(Links);

    impl Linked for Value {
        fn links(&mut self, _: usize) -> &mut Links {
            &mut self.0
        }
        fn links_ref(&self, _: usize) -> &Links {
            &self.0
        }
    }

    #[test]
    fn agrees_with_a_deque() {
        for seed in 0..if cfg!(miri) { 2 } else { 100 } {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut arena = Arena::new();
            let mut list = List::<0>::new();
            let mut model = VecDeque::new();
            for _ in 0..200 {
                match random.u8(..5) {
                    0 | 1 => {
                        let key = arena.insert(Value(Links::default()));
                        if random.bool() {
                            list.push_back(&mut arena, key);
                            model.push_back(key);
                        } else {
                            list.push_front(&mut arena, key);
                            model.push_front(key);
                        }
                    }
                    2 => {
                        let popped = list.pop_front(&mut arena);
                        assert_eq!(popped, model.pop_front(), "seed {seed}");
                        popped.map(|key| arena.remove(key));
                    }
                    _ if !model.is_empty() => {
                        let key = model.remove(random.usize(..model.len())).unwrap();
                        list.remove(&mut arena, key);
                        assert!(!List::<0>::holds(&arena, key));
                        arena.remove(key);
                    }
                    _ => {}
                }
                assert_eq!(list.len() as usize, model.len(), "seed {seed}");
                let mut seen = VecDeque::new();
                let mut next = list.front(&arena);
                while let Some(key) = next {
                    seen.push_back(key);
                    next = list.after(&arena, key);
                }
                assert_eq!(seen, model, "seed {seed}");
            }
        }
    }
}
