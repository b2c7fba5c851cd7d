//! Writing JSON by hand into a buffer that is used again: no tree, no allocation.
//!
//! Owns escaping, UTF-8 (what is none becomes U+FFFD) and numbers. Reading is serde_json's.

use crate::base::decimal;

/// A byte as two hexadecimal digits.
pub const fn hex(byte: u8) -> [u8; 2] {
    const fn digit(number: u8) -> u8 {
        if number < 10 { b'0' + number } else { b'a' + number - 10 }
    }
    [digit(byte >> 4), digit(byte & 15)]
}

/// What stands before the first such byte, and what behind it.
pub fn halves(text: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let (before, from) = text.split_at_checked(memchr::memchr(byte, text)?)?;
    Some((before, from.split_first()?.1))
}

/// Appends a string with its quotes.
pub fn string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let (plain, rest) = text.split_at(plain(text));
    out.extend_from_slice(plain);
    if !rest.is_empty() {
        escaped(rest, out);
    }
    out.push(b'"');
}

/// What begins with a byte that can't stand as it is.
fn escaped(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    loop {
        match rest {
            [] => return,
            [byte @ ..0x80, after @ ..] => {
                escape(*byte, out);
                let (plain, after) = after.split_at(plain(after));
                out.extend_from_slice(plain);
                rest = after;
            }
            _ => return beyond_ascii(rest, out),
        }
    }
}

/// The same for text that begins with something that is not ASCII.
#[cold]
fn beyond_ascii(text: &[u8], out: &mut Vec<u8>) {
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().as_bytes() {
            match *character {
                byte if is_plain(byte) || byte >= 0x80 => out.push(byte),
                byte => escape(byte, out),
            }
        }
        // Latin-1, as nobody said what else: different bytes stay different.
        for byte in chunk.invalid() {
            out.extend_from_slice(char::from(*byte).encode_utf8(&mut [0; 2]).as_bytes());
        }
    }
}

const fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..0x7f) && byte != b'"' && byte != b'\\'
}

/// How many of the first bytes can stand as they are.
#[inline]
fn plain(text: &[u8]) -> usize {
    let first = |special: u64| special.trailing_zeros() as usize / 8;
    let (words, rest) = text.as_chunks();
    for (at, word) in words.iter().enumerate() {
        let special = special(u64::from_le_bytes(*word));
        if special != 0 {
            return at * 8 + first(special);
        }
    }
    // The last word overlaps the one before: what it has of that is known to be plain.
    if let Some(last) = text.last_chunk() {
        let special = special(u64::from_le_bytes(*last));
        return text.len() - 8 + first(special);
    }
    rest.iter().take_while(|&&byte| is_plain(byte)).count()
}

/// Zero when all eight bytes can stand as they are; else the lowest bit that is set is the highest
/// of the first byte that can't.
#[inline]
const fn special(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const HIGHS: u64 = ONES * 0x80;
    // A borrow goes up only, and so does a carry: below the first hit there is none.
    const fn below(word: u64, limit: u8) -> u64 {
        word.wrapping_sub(ONES * limit as u64) & !word
    }
    let quote = below(word ^ (ONES * b'"' as u64), 1);
    let backslash = below(word ^ (ONES * b'\\' as u64), 1);
    let delete = word.wrapping_add(ONES);
    (word | below(word, b' ') | quote | backslash | delete) & HIGHS
}

fn escape(byte: u8, out: &mut Vec<u8>) {
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        _ => {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&hex(byte));
        }
    }
}

/// Appends a number.
pub fn number(number: u64, out: &mut Vec<u8>) {
    match u32::try_from(number) {
        Ok(small @ 0..10) => out.push(b'0' + small as u8),
        // Four digits each, the first four in the low half.
        Ok(small @ 10..10_000) => eight(u64::from(small) << 32, out),
        Ok(small @ 10_000..100_000_000) => {
            eight(u64::from(small / 10_000) | u64::from(small % 10_000) << 32, out);
        }
        _ => long(number, out),
    }
}

/// A number of up to eight digits: they are found together, two, four and eight at a time, and
/// written as one word of which the part behind the last digit is taken back. To copy so few bytes
/// costs more than to make them.
#[inline]
fn eight(halves: u64, out: &mut Vec<u8>) {
    // Two digits each: for less than ten thousand a hundredth is 10,486 / 2^20.
    let hundreds = ((halves * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let pairs = hundreds | (halves - hundreds * 100) << 16;
    // One digit each: for less than a hundred a tenth is 103 / 2^10.
    let tens = ((pairs * 103) >> 10) & 0x000f_000f_000f_000f;
    let digits = tens | (pairs - tens * 10) << 8;
    let zeros = digits.trailing_zeros() / 8;
    let text = (digits | (u64::MAX / 255 * u64::from(b'0'))) >> (zeros * 8);
    let end = out.len() + 8 - zeros as usize;
    out.extend_from_slice(&text.to_le_bytes());
    out.truncate(end);
}

/// A number of more than eight digits.
#[cold]
fn long(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(decimal(number, &mut [0; 20]));
}

/// Appends a duration in milliseconds, with three decimals.
pub fn millis(time: std::time::Duration, out: &mut Vec<u8>) {
    // Phases that did not happen: most of a request on a kept connection.
    if time.is_zero() {
        out.push(b'0');
        return;
    }
    let micros = time.subsec_micros();
    number(time.as_secs().saturating_mul(1000) + u64::from(micros / 1000), out);
    let rest = micros % 1000;
    if rest > 0 {
        let digit = |of: u32| b'0' + (of % 10) as u8;
        out.extend_from_slice(&[b'.', digit(rest / 100), digit(rest / 10), digit(rest)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_read_back_as_they_were() {
        let long = "a block of sixteen and more, and \" behind";
        let last = "sixteen and fifteen: 31 bytes\\\n";
        for text in
            ["", "plain", long, last, "a\"b\\c", "\n\r\t\0\u{1}\u{1f}\u{7f}", "é€𝄞", "\u{2028}"]
        {
            let mut out = Vec::new();
            string(text.as_bytes(), &mut out);
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
        // Every byte at every place of a text of every length, against the plain rule.
        for length in 0..20 {
            for at in 0..length {
                for byte in 0..0x80 {
                    let mut text = vec![b'a'; length];
                    text[at] = byte;
                    text[0] ^= u8::from(at > 0);
                    let mut out = Vec::new();
                    string(&text, &mut out);
                    assert_eq!(serde_json::from_slice::<String>(&out).unwrap().as_bytes(), text);
                    assert!(out.iter().all(|byte| (b' '..0x7f).contains(byte)), "{out:?}");
                }
            }
        }
        let mut out = Vec::new();
        string(b"a\xe9\x80b \xc3\xa9", &mut out);
        let text = serde_json::from_slice::<String>(&out).unwrap();
        assert_eq!(text, "a\u{e9}\u{80}b \u{e9}", "Latin-1, and UTF-8 where it is that");
    }

    #[test]
    fn numbers_and_times() {
        let mut out = Vec::new();
        let edges = (0..20).map(|digits| 10u64.pow(digits));
        let edges = edges.flat_map(|edge| [edge - 1, edge, edge + 1, edge / 9 * 8, edge / 7 * 3]);
        for n in edges.chain(0..100_000).chain([u64::MAX]) {
            out.clear();
            number(n, &mut out);
            assert_eq!(out, n.to_string().as_bytes());
        }
        out.clear();
        millis(std::time::Duration::from_micros(1_500), &mut out);
        out.push(b' ');
        millis(std::time::Duration::from_micros(2_000_007), &mut out);
        assert_eq!(out, b"1.500 2000.007");
    }
}
