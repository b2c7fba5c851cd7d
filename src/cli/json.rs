//! Writing JSON by hand into a buffer that is used again: no tree, no allocation.
//!
//! Owns escaping, UTF-8 (what is none becomes U+FFFD) and numbers. Reading is serde_json's.

/// Appends a string with its quotes.
pub fn string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    escaped(text, out);
    out.push(b'"');
}

/// Appends a string's inside.
pub fn escaped(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    loop {
        let (plain, after) = rest.split_at(plain(rest));
        out.extend_from_slice(plain);
        match after {
            [] => return,
            [byte @ ..0x80, after @ ..] => {
                escape(*byte, out);
                rest = after;
            }
            _ => return beyond_ascii(after, out),
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
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

const fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..0x7f) && byte != b'"' && byte != b'\\'
}

/// How many of the first bytes can stand as they are. Eight are judged at a time: most text needs
/// nothing, and an entity tag needs it at its ends alone.
fn plain(text: &[u8]) -> usize {
    let (words, rest) = text.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        if let Some(special) = first_special(*word) {
            return at * 8 + special;
        }
    }
    // The last word may overlap the one before: what it has of that is known to be plain.
    match text.last_chunk::<8>() {
        Some(word) => first_special(*word).map_or(text.len(), |special| text.len() - 8 + special),
        None => rest.iter().position(|&byte| !is_plain(byte)).unwrap_or(rest.len()),
    }
}

/// The first byte of eight that is not plain. A borrow from one byte to the next can only make
/// one above a true find look special, so the lowest find is right.
fn first_special(word: [u8; 8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    let word = u64::from_le_bytes(word);
    let below = |limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word;
    let equal = |byte: u8| {
        let difference = word ^ (ONES * u64::from(byte));
        difference.wrapping_sub(ONES) & !difference
    };
    let special = (word | below(b' ') | equal(b'"') | equal(b'\\') | equal(0x7f)) & HIGHS;
    (special != 0).then(|| special.trailing_zeros() as usize / 8)
}

fn escape(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        _ => out.extend_from_slice(&[
            b'\\',
            b'u',
            b'0',
            b'0',
            HEX[usize::from(byte >> 4)],
            HEX[usize::from(byte & 15)],
        ]),
    }
}

/// `00` to `99`: numbers are written two digits at a time.
static PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut n = 0;
    while n < 100 {
        pairs[n] = [b'0' + (n / 10) as u8, b'0' + (n % 10) as u8];
        n += 1;
    }
    pairs
};

/// Appends a number.
pub fn number(mut number: u64, out: &mut Vec<u8>) {
    if number < 10 {
        out.push(b'0' + number as u8);
        return;
    }
    let mut digits = [0; 20];
    let mut at = digits.len();
    while number >= 100 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[(number % 100) as usize]);
        number /= 100;
    }
    if number >= 10 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[number as usize]);
    } else {
        at -= 1;
        digits[at] = b'0' + number as u8;
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends a duration in milliseconds, with three decimals.
pub fn millis(time: std::time::Duration, out: &mut Vec<u8>) {
    let micros = time.subsec_micros();
    number(time.as_secs().saturating_mul(1000) + u64::from(micros / 1000), out);
    let rest = micros % 1000;
    if rest > 0 {
        let [tens, ones] = PAIRS[(rest % 100) as usize];
        out.extend_from_slice(&[b'.', b'0' + (rest / 100) as u8, tens, ones]);
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
        string(b"a\xffb", &mut out);
        assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), "a\u{fffd}b");
    }

    #[test]
    fn numbers_and_times() {
        let mut out = Vec::new();
        for n in [0, 9, 10, 99, 100, 101, 12_345, u64::MAX] {
            number(n, &mut out);
            out.push(b' ');
        }
        millis(std::time::Duration::from_micros(1_500), &mut out);
        out.push(b' ');
        millis(std::time::Duration::from_micros(2_000_007), &mut out);
        assert_eq!(out, b"0 9 10 99 100 101 12345 18446744073709551615 1.500 2000.007");
    }
}
