//! Numbers as text: with the word for what they count (`1 byte`, `2 bytes`), or their digits alone.

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

/// A number in digits, without memory of its own and without the cost of formatting.
#[cfg(any(feature = "fetch", feature = "demo"))]
#[expect(clippy::indexing_slicing, reason = "a number of 64 bits has 20 digits at most")]
#[inline]
pub(crate) fn decimal(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[at..];
        }
    }
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
    fn digits_are_those_of_the_number() {
        for number in [0, 9, 10, 1_234_567_890, u64::MAX] {
            assert_eq!(decimal(number, &mut [0; 20]), number.to_string().as_bytes());
        }
    }
}
