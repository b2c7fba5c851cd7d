//! The hosts file: addresses and their names, a line each. hosts(5).

use core::net::IpAddr;

use alloc::string::String;
use alloc::vec::Vec;

use super::name::plain;

/// The names of a hosts file with their addresses, in its order. Lines that make no sense are
/// passed over, as everybody does; so are addresses with a zone.
///
/// ```
/// let hosts = gannet::dns::hosts("10.0.0.1 db.internal db # the new one\n::1 ip6-loopback\n");
/// assert_eq!(hosts.len(), 3);
/// assert_eq!(hosts[1], ("db".to_owned(), [10, 0, 0, 1].into()));
/// ```
pub fn hosts(text: &str) -> Vec<(String, IpAddr)> {
    let mut entries = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for line in text.lines() {
        let line = line.split_once('#').map_or(line, |(before, _)| before);
        let mut words = line.split_ascii_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else { continue };
        entries.extend(words.map(|name| (plain(name), address)));
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn lines() {
        for (text, expected) in [
            ("", &[][..]),
            ("127.0.0.1 localhost", &["localhost 127.0.0.1"]),
            ("  ::1\tA.b.  c\r\n", &["a.b ::1", "c ::1"]),
            ("# 10.0.0.1 a\n10.0.0.2 b#c", &["b 10.0.0.2"]),
            ("10.0.0.1\n10.0.0.300 a\nb 10.0.0.1\nfe80::1%lo0 c", &[]),
            ("10.0.0.1 a\n10.0.0.2 a", &["a 10.0.0.1", "a 10.0.0.2"]),
        ] {
            let found: Vec<String> = hosts(text)
                .into_iter()
                .map(|(name, address)| name + " " + &address.to_string())
                .collect();
            assert_eq!(found, expected, "{text:?}");
        }
    }
}
