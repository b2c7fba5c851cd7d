//! Sorting what is sorted seldom: lists of a run's end, of a start, of a name's addresses.
//!
//! Owns a merge sort that exists once in a program. The library's own, quicker where there are millions, is made anew for each
//! type that is sorted: eight kilobytes of code each time.

use alloc::vec::Vec;
use core::mem;

/// Stable, by a key that is asked for again at each comparison.
pub(crate) fn sort_by_key<T, K: Ord>(items: &mut Vec<T>, key: impl Fn(&T) -> K) {
    let order = order(items.len(), &mut |one, other| match (items.get(one), items.get(other)) {
        (Some(one), Some(other)) => key(one) < key(other),
        _ => false,
    });
    let mut unordered: Vec<Option<T>> = mem::take(items).into_iter().map(Some).collect();
    items.extend(order.into_iter().filter_map(|at| unordered.get_mut(at)?.take()));
}

/// The places of `len` things, in their order: pairs are merged, then fours, then eights.
fn order(len: usize, is_before: &mut dyn FnMut(usize, usize) -> bool) -> Vec<usize> {
    let mut order: Vec<usize> = (0..len).collect();
    let mut merged = Vec::with_capacity(len);
    let mut width = 1;
    while width < len {
        for pair in order.chunks(width * 2) {
            let (mut one, mut other) = pair.split_at(width.min(pair.len()));
            while let (&[first, ref rest @ ..], &[second, ref others @ ..]) = (one, other) {
                if is_before(second, first) {
                    merged.push(second);
                    other = others;
                } else {
                    merged.push(first);
                    one = rest;
                }
            }
            merged.extend_from_slice(one);
            merged.extend_from_slice(other);
        }
        mem::swap(&mut order, &mut merged);
        merged.clear();
        width *= 2;
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_as_the_library_does() {
        let mut random = fastrand::Rng::with_seed(1);
        // Miri takes a thousand times as long.
        for len in 0..if cfg!(miri) { 20 } else { 200 } {
            for keys in [1, 2, 10, 1000] {
                let items: Vec<(u32, usize)> =
                    (0..len).map(|at| (random.u32(..keys), at)).collect();
                let (mut ours, mut theirs) = (items.clone(), items);
                sort_by_key(&mut ours, |item| item.0);
                theirs.sort_by_key(|item| item.0);
                assert_eq!(ours, theirs, "{len} of {keys}");
            }
        }
    }

    #[test]
    fn a_million_take_no_longer_than_they_must() {
        let (mut asked, len) = (0_u64, if cfg!(miri) { 1 << 8 } else { 1 << 20 });
        let sorted = order(len, &mut |one, other| {
            asked += 1;
            one > other
        });
        assert!(sorted.is_sorted_by(|one, other| one > other));
        assert!(asked <= 20 * len as u64, "{asked}");
    }
}
