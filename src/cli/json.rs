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
    // Most text needs nothing. Blocks are judged as a whole, so that vector instructions can.
    let plain = |&byte: &u8| (b' '..0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
    let (blocks, rest) = text.as_chunks::<16>();
    if blocks.iter().all(|block| block.iter().fold(true, |so_far, byte| so_far & plain(byte)))
        && rest.iter().all(plain)
    {
        out.extend_from_slice(text);
        return;
    }
    for chunk in text.utf8_chunks() {
        let mut from = 0;
        let valid = chunk.valid().as_bytes();
        for (at, &byte) in valid.iter().enumerate() {
            let escape: &[u8] = match byte {
                b'"' => b"\\\"",
                b'\\' => b"\\\\",
                b'\n' => b"\\n",
                b'\r' => b"\\r",
                b'\t' => b"\\t",
                0..b' ' | 0x7f => b"",
                _ => continue,
            };
            out.extend_from_slice(&valid[from..at]);
            if escape.is_empty() {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(&[
                    b'\\',
                    b'u',
                    b'0',
                    b'0',
                    HEX[usize::from(byte >> 4)],
                    HEX[usize::from(byte & 15)],
                ]);
            } else {
                out.extend_from_slice(escape);
            }
            from = at + 1;
        }
        out.extend_from_slice(&valid[from..]);
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
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
