//! Which addresses may be spoken to: `--deny-net`, `--allow-net`, and the guard against redirects
//! into a private network.
//!
//! Looks at addresses, never at names: so redirects, rebinding, and addresses written inside
//! others (IPv4-mapped, NAT64, 6to4) are all covered by one predicate in the connect path.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network: an address and how many of its leading bits count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    /// The address; bits beyond the leading ones do not count.
    pub address: IpAddr,
    /// How many leading bits count.
    pub bits: u8,
}

impl Network {
    /// Reads `10.0.0.0/8`, `fd00::/8` or a single address.
    ///
    /// ```
    /// use gannet::fetch::Network;
    ///
    /// let network = Network::parse("10.0.0.0/8").unwrap();
    /// assert!(network.contains("10.1.2.3".parse().unwrap()));
    /// assert!(!network.contains("11.1.2.3".parse().unwrap()));
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.trim_matches(['[', ']']).parse().ok()?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => all,
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => {
                bits.parse().ok().filter(|&bits| bits <= all)?
            }
            Some(_) => return None,
        };
        Some(Self { address, bits })
    }

    /// Whether an address lies in it. An IPv6 address that carries an IPv4 one lies where either
    /// of them lies.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.has(address) || inner(address).is_some_and(|inner| self.has(inner.into()))
    }

    fn has(&self, address: IpAddr) -> bool {
        let equal = |one: u128, other: u128, width: u32| {
            let shift = width.saturating_sub(u32::from(self.bits));
            shift >= width || (one ^ other) >> shift == 0
        };
        match (self.address, address) {
            (IpAddr::V4(net), IpAddr::V4(address)) => {
                equal(u128::from(net.to_bits()), u128::from(address.to_bits()), 32)
            }
            (IpAddr::V6(net), IpAddr::V6(address)) => equal(net.to_bits(), address.to_bits(), 128),
            _ => false,
        }
    }
}

/// The IPv4 address that an IPv6 address stands for: mapped and compatible ones, NAT64
/// (RFC 6052), 6to4 (RFC 3056).
fn inner(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(address) = address else { return None };
    let bits = address.to_bits();
    let low = Ipv4Addr::from_bits(bits as u32);
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0x64, 0xff9b, 1, ..] => {
            Some(low)
        }
        [0, 0, 0, 0, 0, 0, high, _] if high != 0 => Some(low),
        [0x2002, ..] => Some(Ipv4Addr::from_bits((bits >> 80) as u32)),
        _ => None,
    }
}

/// Whether an address belongs to no public network: loopback, link-local, RFC 1918, unique local,
/// carrier-grade NAT, and the unspecified ones.
pub fn is_private(address: IpAddr) -> bool {
    let v4 = |address: Ipv4Addr| {
        let [first, second, ..] = address.octets();
        address.is_loopback()
            || address.is_private()
            || address.is_link_local()
            || first == 0
            || (first == 100 && second & 0xc0 == 64)
    };
    let v6 = |address: Ipv6Addr| {
        let first = address.segments()[0];
        address.is_loopback()
            || address.is_unspecified()
            || first & 0xffc0 == 0xfe80
            || first & 0xfe00 == 0xfc00
    };
    match address {
        IpAddr::V4(address) => v4(address),
        IpAddr::V6(address) => v6(address) || inner(address.into()).is_some_and(v4),
    }
}

/// What the user decided about addresses.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AddressRules {
    /// Never connect to these. Default: none.
    pub deny: Vec<Network>,
    /// Connect to these all the same. Default: none.
    pub allow: Vec<Network>,
    /// A redirect from a public address does not lead to a private one. Default: false.
    pub guard_redirects: bool,
}

impl AddressRules {
    /// Whether an address may be connected to. `named`: the host was named by the user, not only
    /// by a redirect of a public one.
    pub fn permit(&self, address: IpAddr, named: bool) -> bool {
        let within =
            |networks: &[Network]| networks.iter().any(|network| network.contains(address));
        if within(&self.allow) {
            return true;
        }
        !within(&self.deny) && (named || !self.guard_redirects || !is_private(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        for (network, address, expected) in [
            ("10.0.0.0/8", "10.255.1.2", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.9.9.9/8", "10.0.0.1", true),
            ("169.254.169.254", "169.254.169.254", true),
            ("169.254.169.254", "169.254.169.255", false),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "8.8.8.8", false),
            ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fc00::1", false),
            ("2001:db8::/33", "2001:db8:8000::", false),
            // An address within an address.
            ("169.254.0.0/16", "::ffff:169.254.169.254", true),
            ("169.254.0.0/16", "64:ff9b::169.254.169.254", true),
            ("169.254.0.0/16", "64:ff9b:1::a9fe:a9fe", true),
            ("169.254.0.0/16", "2002:a9fe:a9fe::1", true),
            ("169.254.0.0/16", "::169.254.169.254", true),
            ("169.254.0.0/16", "::ffff:8.8.8.8", false),
            ("::ffff:0:0/96", "::ffff:8.8.8.8", true),
        ] {
            let found = Network::parse(network).unwrap().contains(address.parse().unwrap());
            assert_eq!(found, expected, "{address} in {network}");
        }
        for text in [
            "",
            "10",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0.0/",
            "private",
        ] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }

    #[test]
    fn private() {
        for (address, expected) in [
            ("127.0.0.1", true),
            ("127.255.0.1", true),
            ("10.0.0.1", true),
            ("172.16.0.1", true),
            ("172.32.0.1", false),
            ("192.168.1.1", true),
            ("169.254.169.254", true),
            ("100.64.0.1", true),
            ("100.127.255.255", true),
            ("100.128.0.1", false),
            ("0.0.0.0", true),
            ("8.8.8.8", false),
            ("::1", true),
            ("::", true),
            ("fe80::1", true),
            ("fec0::1", false),
            ("fc00::1", true),
            ("fdff::1", true),
            ("2001:db8::1", false),
            ("::ffff:127.0.0.1", true),
            ("::ffff:8.8.8.8", false),
            ("64:ff9b::10.0.0.1", true),
            ("2002:7f00:1::", true),
        ] {
            assert_eq!(is_private(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn permits() {
        let net = |text: &str| Network::parse(text).unwrap();
        let rules = AddressRules {
            deny: vec![net("10.0.0.0/8"), net("8.8.8.8")],
            allow: vec![net("10.1.0.0/16"), net("192.168.7.0/24")],
            guard_redirects: true,
        };
        for (address, named, expected) in [
            ("9.9.9.9", true, true),
            ("9.9.9.9", false, true),
            ("8.8.8.8", true, false),
            ("10.2.0.1", true, false),
            ("10.1.0.1", true, true),
            ("10.1.0.1", false, true),
            ("192.168.1.1", true, true),
            ("192.168.1.1", false, false),
            ("192.168.7.1", false, true),
            ("::ffff:127.0.0.1", false, false),
        ] {
            assert_eq!(
                rules.permit(address.parse().unwrap(), named),
                expected,
                "{address} {named}"
            );
        }
        assert!(AddressRules::default().permit("127.0.0.1".parse().unwrap(), false));
    }
}
