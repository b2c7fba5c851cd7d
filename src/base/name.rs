//! Names of fields, whose case means nothing (RFC 9110 section 5.1) and is nearly always the usual.

/// Whether a field has this name, given as it is usually written: nearly always the first look
/// says so.
#[inline]
pub(crate) fn is_named(name: &str, usual: &'static str) -> bool {
    name == usual || is_same(name, usual)
}

/// Whether two names are one: the library's own test of it is for long texts, eight times the code.
#[inline]
pub(crate) fn is_same(one: impl AsRef<[u8]>, other: impl AsRef<[u8]>) -> bool {
    let (one, other) = (one.as_ref(), other.as_ref());
    one.len() == other.len() && is_alike(one, other)
}

#[inline(never)]
fn is_alike(one: &[u8], other: &[u8]) -> bool {
    one.iter().zip(other).all(|(one, other)| one.eq_ignore_ascii_case(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_means_nothing() {
        for name in ["Content-Length", "content-length", "CONTENT-LENGTH"] {
            assert!(is_named(name, "Content-Length"));
        }
        for name in ["", "Content-Lengt", "Content-Length ", "Content_Length"] {
            assert!(!is_named(name, "Content-Length"));
        }
    }
}
