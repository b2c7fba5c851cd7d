//! A fraction of a number, and its root, in integers.

/// a × b ÷ c without overflow in between; nothing where `c` is none, and the most that fits where it does not.
pub(crate) fn mul_div(a: u64, b: u64, c: u64) -> u64 {
    if c == 0 {
        return 0;
    }
    // Nearly all products fit, and a division by 128 bits is a long loop.
    match a.checked_mul(b) {
        Some(product) => product / c,
        None => wide(a, b, c),
    }
}

/// The same where the product does not fit, bit by bit: a third of what the library divides 128 bits with.
#[cold]
#[inline(never)]
fn wide(a: u64, b: u64, c: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (0..64).rev().fold(0, |quotient, bit| {
        let next = quotient | 1 << bit;
        if u128::from(next) * u128::from(c) <= product { next } else { quotient }
    })
}

/// The largest number whose square is not above this one, bit by bit: a fifth of the library's code, for what is asked seldom.
pub(crate) fn root(square: u64) -> u64 {
    (0..32).rev().fold(0, |root, bit| {
        let next = root | 1 << bit;
        if next * next <= square { next } else { root }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_those_of_the_library() {
        let squares =
            (0..64).flat_map(|bit| [1 << bit, (1_u64 << bit) - 1, 3 << bit, u64::MAX >> bit]);
        for square in (0..1000).chain(squares) {
            assert_eq!(root(square), square.isqrt(), "{square}");
        }
    }

    #[test]
    fn no_product_is_too_large() {
        assert_eq!(mul_div(7, 3, 2), 10);
        assert_eq!(mul_div(7, 3, 0), 0);
        assert_eq!(mul_div(u64::MAX, 6, 3), u64::MAX);
        assert_eq!(mul_div(u64::MAX, 6, 12), u64::MAX / 2);
        assert_eq!(mul_div(1 << 40, 1 << 40, 1 << 41), 1 << 39);
    }
}
