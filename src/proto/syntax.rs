//! The few character classes and list rules of RFC 9110 section 5.6 that everything here shares.

/// A `tchar` (RFC 9110 section 5.6.2).
pub(super) const fn is_token_byte(byte: u8) -> bool {
    matches!(
        byte,
        b'!' | b'#'
            | b'$'
            | b'%'
            | b'&'
            | b'\''
            | b'*'
            | b'+'
            | b'-'
            | b'.'
            | b'^'
            | b'_'
            | b'`'
            | b'|'
            | b'~'
    ) || byte.is_ascii_alphanumeric()
}

/// A `token`: at least one `tchar`.
#[expect(clippy::indexing_slicing, reason = "a byte has its place in a table of 256")]
pub(super) fn is_token(bytes: &[u8]) -> bool {
    #[expect(clippy::cast_possible_truncation, reason = "it counts to 255")]
    static TOKEN: [bool; 256] = {
        let mut table = [false; 256];
        let mut byte = 0;
        while byte < 256 {
            table[byte] = is_token_byte(byte as u8);
            byte += 1;
        }
        table
    };
    !bytes.is_empty() && bytes.iter().all(|byte| TOKEN[usize::from(*byte)])
}

/// Bytes that may stand in a field value.
pub(super) fn is_value(bytes: &[u8]) -> bool {
    // A word with a blank that is none of the usual is looked at once more.
    all(bytes, |word| below(word, b' ') | equal(word, 0x7f), is_value_byte)
}

/// Bytes that may stand in a Host value: those of a field value but blanks.
pub(super) fn is_host(bytes: &[u8]) -> bool {
    let right = |byte| is_value_byte(byte) && !is_blank(byte);
    all(bytes, |word| below(word, b'!') | equal(word, 0x7f), right)
}

/// Bytes that can be seen, of ASCII: what a request target is made of.
pub(super) fn is_graphic(bytes: &[u8]) -> bool {
    all(
        bytes,
        |word| below(word, b'!') | equal(word, 0x7f) | (word & HIGHS),
        |byte| byte.is_ascii_graphic(),
    )
}

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);

/// Whether all bytes are right, eight at a time: `suspect` is zero for a word of right ones.
fn all(bytes: &[u8], suspect: impl Fn(u64) -> u64, right: impl Fn(u8) -> bool) -> bool {
    let sound = |word: &[u8; 8]| {
        suspect(u64::from_ne_bytes(*word)) == 0 || word.iter().all(|byte| right(*byte))
    };
    match bytes.last_chunk() {
        // The last word may overlap the one before.
        Some(last) => bytes.as_chunks().0.iter().all(sound) && sound(last),
        None => bytes.iter().all(|byte| right(*byte)),
    }
}

/// Not zero when a byte of the word is below `limit`, which is at most 0x80.
const fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(ONES * limit as u64) & !word & HIGHS
}

/// Not zero when a byte of the word is this one.
const fn equal(word: u64, byte: u8) -> u64 {
    below(word ^ (ONES * byte as u64), 1)
}

/// What may stand in a field value: HTAB, SP, visible characters and obs-text.
pub(super) const fn is_value_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// Without the blanks (OWS) at both ends.
pub(super) fn trim(bytes: &[u8]) -> &[u8] {
    let Some(first) = bytes.iter().position(|byte| !is_blank(*byte)) else { return &[] };
    let last = bytes.iter().rposition(|byte| !is_blank(*byte)).unwrap_or(first);
    bytes.get(first..=last).unwrap_or_default()
}

/// SP or HTAB.
pub(super) const fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// The elements of a comma-separated list, trimmed; empty ones included. None of the lists read
/// here knows quoted strings, so a quotation mark is a character like others and matches nothing.
pub(super) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(trim)
}

/// A decimal number: digits alone, at least one. `Err(true)` means that it does not fit.
#[inline]
pub(crate) fn number(digits: &[u8]) -> Result<u64, bool> {
    if digits.is_empty() {
        return Err(false);
    }
    // So many fit whatever they are.
    if digits.len() < 20 {
        return digits.iter().try_fold(0, |value, digit| match digit.wrapping_sub(b'0') {
            digit @ 0..10 => Ok(value * 10 + u64::from(digit)),
            _ => Err(false),
        });
    }
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(false);
    }
    digits.iter().try_fold(0u64, |value, digit| {
        value
            .checked_mul(10)
            .and_then(|value| value.checked_add(u64::from(digit - b'0')))
            .ok_or(true)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_bytes_are_judged_alike() {
        for length in 0..19 {
            for at in 0..length {
                // Minutes under miri.
                for byte in (0..=u8::MAX).step_by(if cfg!(miri) { 17 } else { 1 }) {
                    let mut text = [b'a'; 19];
                    text[at] = byte;
                    // Beside another that is looked at closely.
                    text[0] = if at > 0 { 0xff } else { text[0] };
                    let value = &text[..length];
                    assert_eq!(is_value(value), value.iter().all(|byte| is_value_byte(*byte)));
                    let host = |byte: &u8| is_value_byte(*byte) && !is_blank(*byte);
                    assert_eq!(is_host(value), value.iter().all(host));
                    text[0] = if at > 0 { b'~' } else { text[0] };
                    let target = &text[..length];
                    assert_eq!(is_graphic(target), target.iter().all(u8::is_ascii_graphic));
                    let token = &text[..length];
                    assert_eq!(is_token(token), token.iter().all(|byte| is_token_byte(*byte)));
                }
            }
        }
        assert!(!is_token(b""));
    }
}
