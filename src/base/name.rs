//! Names of fields, whose case means nothing (RFC 9110 section 5.1) and is nearly always the usual.

/// Whether a field has this name, given as it is usually written: nearly always the first look
/// says so.
#[inline]
pub(crate) fn is_named(name: &str, usual: &'static str) -> bool {
    name == usual || name.eq_ignore_ascii_case(usual)
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
