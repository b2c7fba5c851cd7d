//! A fraction of a number, in integers.

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

#[cold]
#[inline(never)]
fn wide(a: u64, b: u64, c: u64) -> u64 {
    u64::try_from(u128::from(a) * u128::from(b) / u128::from(c)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_product_is_too_large() {
        assert_eq!(mul_div(7, 3, 2), 10);
        assert_eq!(mul_div(7, 3, 0), 0);
        assert_eq!(mul_div(u64::MAX, 6, 3), u64::MAX);
        assert_eq!(mul_div(u64::MAX, 6, 12), u64::MAX / 2);
        assert_eq!(mul_div(1 << 40, 1 << 40, 1 << 41), 1 << 39);
    }
}
