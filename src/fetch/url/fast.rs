//! The ordinary line of a list, `http(s)://host[:port]/path?query`, in one pass.
//!
//! Says either exactly what the `url` crate says, or nothing: whatever needs encoding, mapping or
//! removal is left to it. Held to that by a property test and a fuzz target.
#![expect(
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "lengths are counted up to what is there, over bytes of ASCII; a class is looked up by a byte, of 256"
)]

use super::{Scheme, Url};

const NAME: u8 = 1;
const PATH: u8 = 2;
const QUERY: u8 = 4;
/// In a path it asks for a closer look.
const MARK: u8 = 8;

/// Which bytes may stand where without being changed; in a host, others may, too, by their
/// neighbours.
const CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let character = byte as u8;
        table[byte] = match character {
            b'a'..=b'z' | b'0'..=b'9' | b'_' => NAME | PATH | QUERY,
            b'A'..=b'Z' | b'-' | b'.' => PATH | QUERY,
            b'/' | b'%' => MARK | PATH | QUERY,
            b'!' | b'$' | b'&' | b'(' | b')' | b'*' | b'+' | b',' | b':' | b';' | b'=' | b'@'
            | b'[' | b']' | b'|' | b'~' => PATH | QUERY,
            b'\'' => PATH,
            b'?' | b'{' | b'}' => QUERY,
            _ => 0,
        };
        byte += 1;
    }
    table
};

/// Reads `rest`, what follows `scheme://`, into `out`; `false` (and `out` untouched) when it is
/// not an ordinary line.
pub(super) fn parse(scheme: Scheme, rest: &str, out: &mut Url) -> bool {
    let bytes = rest.as_bytes();
    let Some((host_len, upper)) = host(bytes) else { return false };
    let Some((port, port_len)) = port(&bytes[host_len..], scheme) else { return false };
    let tail = &bytes[host_len + port_len..];
    if !tail.is_empty() && !target(tail) {
        return false;
    }

    let text = &mut out.text;
    text.clear();
    text.reserve(scheme.prefix().len() + rest.len() + 1);
    text.push_str(scheme.prefix());
    let authority = text.len();
    text.push_str(&rest[..host_len]);
    if upper {
        text[authority..].make_ascii_lowercase();
    }
    let host_end = text.len();
    if port != scheme.default_port() {
        text.push_str(&rest[host_len..host_len + port_len]);
    }
    let path = text.len();
    text.push_str(if tail.is_empty() { "/" } else { &rest[host_len + port_len..] });
    out.scheme = scheme;
    out.authority = authority as u32;
    out.host_end = host_end as u32;
    out.port = port;
    out.path = path as u32;
    out.target_end = text.len() as u32;
    true
}

/// Reads `text` into `out` if it has scheme and authority in common with what that holds: those need
/// no second look. `false`, and `out` untouched, when it has not or its target is not ordinary.
pub(super) fn parse_again(text: &str, out: &mut Url) -> bool {
    let path = out.path as usize;
    let (Some(authority), Some(tail)) = (text.get(..path), text.get(path..)) else { return false };
    let ordinary = !tail.is_empty() && target(tail.as_bytes());
    if !ordinary || out.zone().is_some() || out.text.get(..path) != Some(authority) {
        return false;
    }
    out.text.truncate(path);
    out.text.push_str(tail);
    out.target_end = out.text.len() as u32;
    true
}

/// The length of a plain host and whether it has capitals.
fn host(bytes: &[u8]) -> Option<(usize, bool)> {
    let mut label = 0;
    let mut upper = false;
    let mut length = 0;
    loop {
        length += run(&bytes[length..], NAME, NAME);
        let previous = if length == 0 { b'.' } else { bytes[length - 1] };
        match bytes.get(length) {
            Some(b'.') if previous == b'.' => return None,
            Some(b'.') => label = length + 1,
            // Punycode has rules of its own.
            Some(b'-') if previous == b'-' => return None,
            Some(b'-') => {}
            Some(byte) if byte.is_ascii_uppercase() => upper = true,
            _ if previous == b'.' => return None,
            _ => break,
        }
        length += 1;
    }
    // A last label that begins with a digit may be an IPv4 address in one of its many forms.
    if bytes[label].is_ascii_digit() && !canonical_ipv4(&bytes[..length]) {
        return None;
    }
    Some((length, upper))
}

fn canonical_ipv4(host: &[u8]) -> bool {
    let mut numbers = 0;
    for number in host.split(|&byte| byte == b'.') {
        let value = match number {
            [b'0'..=b'9'] => 0,
            [a @ b'1'..=b'9', b @ b'0'..=b'9'] => u16::from(a - b'0') * 10 + u16::from(b - b'0'),
            [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] => {
                u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0')
            }
            _ => return false,
        };
        if value > 255 {
            return false;
        }
        numbers += 1;
    }
    numbers == 4
}

/// The port and the length of `:port`, 0 when there is none.
fn port(bytes: &[u8], scheme: Scheme) -> Option<(u16, usize)> {
    let Some((b':', digits)) = bytes.split_first() else {
        return Some((scheme.default_port(), 0));
    };
    let mut port = 0_u32;
    let mut length = 0;
    while let Some(digit @ b'0'..=b'9') = digits.get(length) {
        if length == 5 || (port == 0 && length > 0) {
            return None;
        }
        port = port * 10 + u32::from(digit - b'0');
        length += 1;
    }
    let port = u16::try_from(port).ok().filter(|&port| port != 0)?;
    Some((port, length + 1))
}

/// Whether a target is in its final form: nothing to encode, no dot segments, no fragment.
fn target(bytes: &[u8]) -> bool {
    if bytes[0] != b'/' {
        return false;
    }
    let mut at = 0;
    loop {
        at += run(&bytes[at..], PATH | MARK, PATH);
        match bytes.get(at) {
            None => return true,
            Some(b'?') => break,
            // `.` and `..` as whole segments; a name may begin with a dot.
            Some(b'/') if bytes.get(at + 1) == Some(&b'.') => {
                let after = if bytes.get(at + 2) == Some(&b'.') { at + 3 } else { at + 2 };
                if matches!(bytes.get(after), None | Some(b'/' | b'?' | b'%')) {
                    return false;
                }
            }
            // A dot in disguise.
            Some(b'%') if matches!(bytes.get(at + 1..at + 3), Some([b'2', b'e' | b'E'])) => {
                return false;
            }
            Some(b'/' | b'%') => {}
            Some(_) => return false,
        }
        at += 1;
    }
    let query = &bytes[at + 1..];
    run(query, QUERY, QUERY) == query.len()
}

/// How many of the first bytes have of the classes in `mask` those in `want`.
fn run(bytes: &[u8], mask: u8, want: u8) -> usize {
    bytes.iter().position(|&byte| CLASS[usize::from(byte)] & mask != want).unwrap_or(bytes.len())
}
