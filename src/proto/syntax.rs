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
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| is_token_byte(*byte))
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
pub(super) fn number(digits: &[u8]) -> Result<u64, bool> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(false);
    }
    digits.iter().try_fold(0u64, |value, digit| {
        value
            .checked_mul(10)
            .and_then(|value| value.checked_add(u64::from(digit - b'0')))
            .ok_or(true)
    })
}
