//! Numbers as text: with the word for what they count (`1 byte`, `2 bytes`), or their digits alone.

use alloc::vec::Vec;
use core::fmt;

/// How many there are of something: the number, the word for one, the word for more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number(pub u64, pub &'static str, pub &'static str);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, one, many) = *self;
        write!(f, "{count} {}", if count == 1 { one } else { many })
    }
}

/// A number in digits of a base from 10 to 16, without memory of its own and without the cost of formatting.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a number of 64 bits has 20 digits at most, and each is less than its base"
)]
#[inline]
fn digits<const BASE: u64>(mut number: u64, out: &mut [u8; 20]) -> &[u8] {
    let mut at = out.len();
    for place in out.iter_mut().rev() {
        let digit = (number % BASE) as u8;
        *place = if digit < 10 { b'0' + digit } else { b'a' + (digit - 10) };
        at -= 1;
        number /= BASE;
        if number == 0 {
            break;
        }
    }
    out.get(at..).unwrap_or_default()
}

/// A number in decimal digits.
#[cfg(any(feature = "fetch", feature = "demo"))]
#[inline]
pub(crate) fn decimal(number: u64, out: &mut [u8; 20]) -> &[u8] {
    digits::<10>(number, out)
}

/// Appends a number in digits of a base from 10 to 16.
pub(crate) fn push_digits<const BASE: u64>(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(digits::<BASE>(number, &mut [0; 20]));
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn one_of_a_thing_is_told_as_one() {
        let say = |count| Number(count, "body", "bodies").to_string();
        assert_eq!([say(0), say(1), say(2)], ["0 bodies", "1 body", "2 bodies"]);
    }

    #[cfg(feature = "fetch")]
    #[test]
    fn decimal_digits_are_those_of_the_number() {
        for number in [0, 9, 10, 1_234_567_890, u64::MAX] {
            assert_eq!(decimal(number, &mut [0; 20]), number.to_string().as_bytes());
        }
    }

    #[test]
    fn digits_are_those_of_the_number() {
        for number in [0, 9, 10, 255, 65_535, 1_234_567_890, u64::MAX] {
            let (mut decimal, mut hex) = (b"a".to_vec(), Vec::new());
            push_digits::<10>(&mut decimal, number);
            push_digits::<16>(&mut hex, number);
            assert_eq!(decimal, alloc::format!("a{number}").into_bytes());
            assert_eq!(hex, alloc::format!("{number:x}").into_bytes());
        }
    }
}
