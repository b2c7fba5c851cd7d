//! Socket addresses as text, appended to bytes: without the machinery of `core::fmt`, which would be 5 KiB
//! in a program that prints none itself.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::push_digits;

/// `1.2.3.4:80`, `[::1]:80`, `[fe80::1%2]:80`: what `Display` of the standard library writes.
pub(crate) fn push_address(out: &mut Vec<u8>, address: SocketAddr) {
    match address.ip() {
        IpAddr::V4(ip) => push_octets(out, ip.octets()),
        IpAddr::V6(ip) => {
            out.push(b'[');
            push_v6(out, ip);
            if let SocketAddr::V6(address) = address
                && address.scope_id() != 0
            {
                out.push(b'%');
                push_digits::<10>(out, address.scope_id().into());
            }
            out.push(b']');
        }
    }
    out.push(b':');
    push_digits::<10>(out, address.port().into());
}

fn push_octets(out: &mut Vec<u8>, octets: [u8; 4]) {
    let mut before: &[u8] = b"";
    for octet in octets {
        out.extend_from_slice(before);
        push_digits::<10>(out, octet.into());
        before = b".";
    }
}

/// RFC 5952: the first of the longest runs of two zeros or more is `::`; what stands for an IPv4
/// address shows it.
fn push_v6(out: &mut Vec<u8>, ip: Ipv6Addr) {
    if let Some(ip) = ip.to_ipv4_mapped() {
        out.extend_from_slice(b"::ffff:");
        return push_octets(out, ip.octets());
    }
    let segments = ip.segments();
    let (mut run, mut longest) = (0, 1);
    // Where the longest run ends; nowhere is beyond the end.
    let mut gap_end = usize::MAX;
    for (at, &segment) in segments.iter().enumerate() {
        run = if segment == 0 { run + 1 } else { 0 };
        if run > longest {
            (longest, gap_end) = (run, at + 1);
        }
    }
    let gap = gap_end.saturating_sub(longest)..gap_end;
    let mut is_after_digits = false;
    for (at, &segment) in segments.iter().enumerate() {
        if gap_end != usize::MAX && gap.contains(&at) {
            if at == gap.start {
                out.extend_from_slice(b"::");
            }
            is_after_digits = false;
            continue;
        }
        if is_after_digits {
            out.push(b':');
        }
        push_digits::<16>(out, segment.into());
        is_after_digits = true;
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};
    use core::net::SocketAddrV6;

    use super::*;

    fn said(address: SocketAddr) -> String {
        let mut out = Vec::new();
        push_address(&mut out, address);
        String::from_utf8(out).unwrap()
    }

    /// As the standard library writes them: every pattern of zeros, and the kinds with a form of their own.
    #[test]
    fn addresses_are_those_of_the_standard_library() {
        for text in
            ["1.2.3.4:80", "255.0.10.100:65535", "[::ffff:1.2.3.4]:1", "[::1.2.3.4]:1", "[::]:0"]
        {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(said(address), address.to_string());
        }
        // Miri takes minutes for all.
        for zeros in (0..=u8::MAX).step_by(if cfg!(miri) { 51 } else { 1 }) {
            for value in [1, 0xab, 0xffff] {
                let segments: [u16; 8] =
                    core::array::from_fn(|at| if zeros >> at & 1 == 1 { 0 } else { value });
                for scope in [0, 7] {
                    let address = SocketAddrV6::new(segments.into(), 8080, 0, scope).into();
                    assert_eq!(said(address), SocketAddr::to_string(&address));
                }
            }
        }
    }
}
