//! Deadlines in an indexed heap: exact, cancellable, one entry a thing, no corpses.
//!
//! A thing is a small dense number (a slot of an [`Arena`](super::Arena)). Setting its deadline
//! again moves its one entry; cancelling takes it out. The heap has four children a node: half
//! the levels of a binary one, and siblings share a cache line.
#![expect(
    clippy::cast_possible_truncation,
    reason = "things are slots of an arena, whose indices are 32 bits wide, and the heap has one entry for each at most"
)]

use alloc::vec::Vec;

use super::Instant;
use super::arena::dead;
use super::nanos;

/// Marks a thing that has no deadline.
const NONE: u32 = u32::MAX;
/// Children of a node.
const ARITY: usize = 4;

/// One deadline at most for each of many things, the earliest first.
///
/// ```
/// use gannet::base::{Instant, Timers};
///
/// let mut timers = Timers::new();
/// timers.set(7, Instant::from_nanos(30));
/// timers.set(8, Instant::from_nanos(20));
/// timers.set(7, Instant::from_nanos(10));
/// timers.cancel(8);
/// assert_eq!(timers.next(), Some(Instant::from_nanos(10)));
/// assert_eq!(timers.pop_due(Instant::from_nanos(9)), None);
/// assert_eq!(timers.pop_due(Instant::from_nanos(10)), Some(7));
/// assert!(timers.is_empty());
/// ```
#[derive(Debug, Default)]
pub struct Timers {
    heap: Vec<(Instant, u32)>,
    /// Where in the heap each thing's entry is.
    places: Vec<u32>,
}

impl Timers {
    /// No deadlines.
    pub const fn new() -> Self {
        Self { heap: Vec::new(), places: Vec::new() }
    }

    /// Sets the deadline of `thing`, in place of any that it had.
    pub fn set(&mut self, thing: usize, at: Instant) {
        if thing >= self.places.len() {
            self.places.resize(thing + 1, NONE);
        }
        let place = *self.place(thing);
        if place == NONE {
            self.heap.push((at, thing as u32));
            self.up(self.heap.len() - 1);
        } else {
            let place = place as usize;
            let Some((old, _)) = self.heap.get_mut(place) else { dead() };
            let before = core::mem::replace(old, at);
            if at < before {
                self.up(place);
            } else {
                self.down(place);
            }
        }
    }

    /// Takes the deadline of `thing` away, if it has one.
    pub fn cancel(&mut self, thing: usize) {
        let Some(&place) = self.places.get(thing) else { return };
        if place != NONE {
            self.remove(place as usize);
        }
    }

    /// The deadline of `thing`.
    #[inline]
    pub fn get(&self, thing: usize) -> Option<Instant> {
        let place = *self.places.get(thing)?;
        Some(self.heap.get(place as usize)?.0)
    }

    /// The earliest deadline.
    pub fn next(&self) -> Option<Instant> {
        self.heap.first().map(|&(at, _)| at)
    }

    /// Takes out one thing whose deadline is not after `now`.
    pub fn pop_due(&mut self, now: Instant) -> Option<usize> {
        let &(at, thing) = self.heap.first()?;
        if at > now {
            return None;
        }
        self.remove(0);
        Some(thing as usize)
    }

    /// Moves every deadline later by `gap`: the process slept, and the world with it.
    pub fn shift(&mut self, gap: core::time::Duration) {
        let gap = nanos(gap);
        for entry in &mut self.heap {
            entry.0 = entry.0.later(gap);
        }
    }

    /// How many things have a deadline.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether nothing has a deadline.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    fn remove(&mut self, place: usize) {
        // The last one takes its place.
        let Some(last) = self.heap.pop() else { dead() };
        let (_, thing) = match self.heap.get_mut(place) {
            Some(entry) => core::mem::replace(entry, last),
            None => last,
        };
        *self.place(thing as usize) = NONE;
        if place < self.heap.len() {
            self.down(place);
            self.up(place);
        }
    }

    fn up(&mut self, mut place: usize) {
        let entry = self.entry(place);
        while place > 0 {
            let parent = (place - 1) / ARITY;
            let above = self.entry(parent);
            if above.0 <= entry.0 {
                break;
            }
            self.put(place, above);
            place = parent;
        }
        self.put(place, entry);
    }

    fn down(&mut self, mut place: usize) {
        let entry = self.entry(place);
        loop {
            let first = place * ARITY + 1;
            let last = (first + ARITY).min(self.heap.len());
            let Some(least) = (first..last).min_by_key(|&child| self.entry(child).0) else { break };
            let below = self.entry(least);
            if entry.0 <= below.0 {
                break;
            }
            self.put(place, below);
            place = least;
        }
        self.put(place, entry);
    }

    /// Writes an entry, and down where in the heap it is.
    fn put(&mut self, place: usize, entry: (Instant, u32)) {
        *self.heap.get_mut(place).unwrap_or_else(|| dead()) = entry;
        *self.place(entry.1 as usize) = place as u32;
    }

    /// An entry: `put` and `remove` write the heap and the places together.
    #[inline]
    fn entry(&self, place: usize) -> (Instant, u32) {
        *self.heap.get(place).unwrap_or_else(|| dead())
    }

    /// The place of a thing: `set` has made one.
    #[inline]
    fn place(&mut self, thing: usize) -> &mut u32 {
        self.places.get_mut(thing).unwrap_or_else(|| dead())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;

    #[test]
    fn agrees_with_an_obvious_model() {
        for seed in 0..if cfg!(miri) { 2 } else { 200 } {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut timers = Timers::new();
            let mut model = BTreeMap::new();
            for _ in 0..300 {
                let thing = random.usize(..40);
                match random.u8(..4) {
                    0 | 1 => {
                        let at = Instant::from_nanos(random.u64(..100));
                        timers.set(thing, at);
                        model.insert(thing, at);
                    }
                    2 => {
                        timers.cancel(thing);
                        model.remove(&thing);
                    }
                    _ => {
                        let now = Instant::from_nanos(random.u64(..100));
                        let popped = timers.pop_due(now);
                        let least = model.values().min().copied().filter(|&at| at <= now);
                        assert_eq!(popped.map(|thing| model[&thing]), least, "seed {seed}");
                        if let Some(thing) = popped {
                            model.remove(&thing);
                        }
                    }
                }
                assert_eq!(timers.next(), model.values().min().copied(), "seed {seed}");
                assert_eq!(timers.len(), model.len(), "seed {seed}");
            }
        }
    }
}
