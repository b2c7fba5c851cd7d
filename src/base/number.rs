//! A number with the word for what it counts: `1 byte`, `2 bytes`.

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

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn one_of_a_thing_is_told_as_one() {
        let say = |count| Number(count, "body", "bodies").to_string();
        assert_eq!([say(0), say(1), say(2)], ["0 bodies", "1 body", "2 bodies"]);
    }
}
