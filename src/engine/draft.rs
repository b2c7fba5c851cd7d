//! The head of an attempt on its way out, for whoever signs requests.
//!
//! Owns setting and removing field lines in bytes that are encoded already. Never touches the
//! request line, `Host` and the framing fields: those were settled when the request was taken.

use alloc::vec::Vec;

use crate::base::is_same;
use crate::proto;

/// A request's head, encoded but not sent; see [`Handler::prepare`](super::Handler::prepare).
#[derive(Debug)]
pub struct Draft<'a> {
    out: &'a mut Vec<u8>,
    /// Where the head begins in `out`.
    from: usize,
    attempt: u32,
}

/// Names of fields that are the engine's own.
const OURS: [&str; 6] =
    ["host", "content-length", "transfer-encoding", "expect", "range", "if-range"];

impl<'a> Draft<'a> {
    pub(super) const fn new(out: &'a mut Vec<u8>, from: usize, attempt: u32) -> Self {
        Self { out, from, attempt }
    }

    /// Which attempt it is, counted from 1; one that costs nothing (its kept connection turned
    /// out to be closed) has the number of the attempt that it repeats. In a `Visitor` it begins with 1
    /// again at each hop of a redirect.
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The request line and the field lines as they stand.
    pub fn bytes(&self) -> &[u8] {
        self.out.get(self.from..).unwrap_or_default()
    }

    /// Gives the field this value, in place of all that it had. `false`: nothing was changed,
    /// since the field is the engine's own or is not fit to be sent.
    pub fn set(&mut self, name: &str, value: &[u8]) -> bool {
        if is_ours(name) {
            return false;
        }
        let end = self.out.len();
        if proto::encode_field(self.out, name, value).is_err() {
            return false;
        }
        self.remove_until(name, end);
        true
    }

    /// Takes the field out, all its lines. `false`: it was not there, or is the engine's own.
    pub fn remove(&mut self, name: &str) -> bool {
        !is_ours(name) && self.remove_until(name, self.out.len())
    }

    /// Gives a value the blanks around it that its user typed: the first line of this very name
    /// that holds it behind one blank gets it as it is. `false`: there is none.
    pub fn respace(&mut self, name: &str, value: &[u8]) -> bool {
        let is_blank = |byte: &&u8| matches!(byte, b' ' | b'\t');
        let before = value.iter().take_while(is_blank).count();
        let behind = value.iter().rev().take_while(is_blank).count();
        let Some(bare) = value.get(before..value.len().saturating_sub(behind)) else {
            return false;
        };
        if is_ours(name) {
            return false;
        }
        let mut at = self.line_after(self.from);
        while at < self.out.len() {
            let next = self.line_after(at);
            let line = self.out.get(at..next).unwrap_or_default();
            let found = line
                .strip_prefix(name.as_bytes())
                .and_then(|rest| rest.strip_prefix(b": "))
                .and_then(|rest| rest.strip_suffix(b"\r\n"))
                .is_some_and(|found| found == bare);
            if found {
                let from = at + name.len() + 1;
                let to = next - 2;
                self.out.splice(from..to, value.iter().copied());
                return true;
            }
            at = next;
        }
        false
    }

    /// Removes lines of this name that begin before `end`.
    fn remove_until(&mut self, name: &str, mut end: usize) -> bool {
        let mut any = false;
        let mut at = self.line_after(self.from);
        while at < end {
            let next = self.line_after(at);
            let line = self.out.get(at..next).unwrap_or_default();
            let is_named = line.get(name.len()) == Some(&b':')
                && line.get(..name.len()).is_some_and(|n| is_same(n, name));
            if is_named {
                self.out.drain(at..next);
                end -= next - at;
                any = true;
            } else {
                at = next;
            }
        }
        any
    }

    /// Where the line after the one at `at` begins.
    fn line_after(&self, at: usize) -> usize {
        let rest = self.out.get(at..).unwrap_or_default();
        memchr::memchr(b'\n', rest).map_or(self.out.len(), |feed| at + feed + 1)
    }
}

fn is_ours(name: &str) -> bool {
    OURS.iter().any(|ours| is_same(ours, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_set_in_place_of_all_its_lines() {
        let mut out =
            b"before GET / HTTP/1.1\r\nHost: a\r\nX-Sig: 1\r\nA: b\r\nx-sig: 2\r\n".to_vec();
        let mut draft = Draft::new(&mut out, 7, 2);
        assert_eq!(draft.attempt(), 2);
        assert!(draft.set("X-Sig", b"3"));
        assert_eq!(draft.bytes(), b"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nX-Sig: 3\r\n");
        assert!(draft.remove("a"));
        assert!(!draft.remove("a"));
        assert_eq!(draft.bytes(), b"GET / HTTP/1.1\r\nHost: a\r\nX-Sig: 3\r\n");
        for (name, value) in
            [("host", &b"b"[..]), ("Content-Length", b"9"), ("a b", b"1"), ("a", b"1\r\nb: c")]
        {
            assert!(!draft.set(name, value), "{name}");
        }
        assert_eq!(draft.bytes(), b"GET / HTTP/1.1\r\nHost: a\r\nX-Sig: 3\r\n");
    }

    #[test]
    fn blanks_are_put_back_and_nothing_else() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nA: b\r\nC: d e\r\n";
        let mut out = head.to_vec();
        let mut draft = Draft::new(&mut out, 0, 1);
        for (name, value) in [
            ("A", &b"c"[..]),
            ("a", b"b"),
            ("Host", b"a"),
            ("A", b"\r\nb"),
            ("A", b"b\r\nX: y"),
            ("A", b"  "),
            ("D", b""),
        ] {
            assert!(!draft.respace(name, value), "{name} {value:?}");
        }
        assert_eq!(draft.bytes(), head);
        assert!(draft.respace("A", b"b"));
        assert!(draft.respace("A", b"\t b "));
        assert!(draft.respace("C", b"  d e"));
        assert_eq!(draft.bytes(), b"GET / HTTP/1.1\r\nHost: a\r\nA:b\r\nA:\t b \r\nC:  d e\r\n");
        // What was put back is not found again.
        assert!(!draft.respace("A", b"b"));
    }
}
