//! What a resolver is told before it starts. Plain values, no file and no clock.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use alloc::string::String;
use alloc::vec::Vec;

/// The port of DNS.
pub const PORT: u16 = 53;
/// Servers beyond this many are not asked.
pub const MAX_SERVERS: usize = 32;

/// Whom to ask, for what, how patiently, and what to remember.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// The name servers, the best first. When there are none, 127.0.0.1 is asked, as
    /// resolv.conf(5) says, and the error carries a hint; never somebody's public resolver.
    /// The first [`MAX_SERVERS`] count.
    pub servers: Vec<SocketAddr>,
    /// Suffixes to try with short names, resolv.conf's `search`. None by default.
    pub search: Vec<String>,
    /// A name with this many dots is tried as it is before the suffixes. 1 by default.
    pub ndots: u8,
    /// How long one server may be silent before another is asked. 5 s by default. Within that
    /// time the datagram is repeated, for datagrams get lost.
    pub timeout: Duration,
    /// How often the list of servers is gone through. 2 by default.
    pub attempts: u8,
    /// Whether the servers share the load instead of the first one bearing it. Off by default.
    pub rotate: bool,
    /// Whether every question goes over TCP, resolv.conf's `use-vc`. Off by default.
    pub always_tcp: bool,
    /// The longest datagram that a server may send us, told by EDNS(0); 0: no EDNS. 1232 by
    /// default, which passes everywhere without being cut in pieces.
    pub edns_size: u16,
    /// Which families of addresses are wanted. Both by default.
    pub families: Families,
    /// Which families lead out of this machine: addresses of the other one are tried last.
    /// Both by default.
    pub reach: Reach,
    /// Names that are not asked for: the hosts file (see [`hosts`](super::hosts)).
    pub hosts: Vec<(String, IpAddr)>,
    /// What to remember.
    pub cache: CacheConfig,
    /// How long one family's answer waits for the other's. 50 ms by default (RFC 8305).
    pub resolution_delay: Duration,
    /// Questions under way at once, each with its own socket; further ones wait. 128 by default:
    /// dnsmasq refuses more than 150.
    pub max_in_flight: usize,
    /// After so many datagrams that are no answer to our question, somebody may be guessing: the
    /// question goes over TCP. 16 by default.
    pub max_strays: u16,
    /// CNAME links from a name to its addresses. 16 by default; more is a
    /// [`CnameLoop`](super::DnsErrorKind::CnameLoop).
    pub max_chain: u8,
    /// Addresses of a family that are kept, the first ones. 32 by default.
    pub max_addresses: usize,
    /// How long an address that failed to connect is tried last. 5 minutes by default.
    pub failed_for: Duration,
    /// How many such addresses are remembered, at 32 bytes each. 1024 by default.
    pub failed_addresses: usize,
    /// The key of the tables: random where strangers choose the names.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
            rotate: false,
            always_tcp: false,
            edns_size: 1232,
            families: Families::Both,
            reach: Reach { v4: true, v6: true },
            hosts: Vec::new(),
            cache: CacheConfig::default(),
            resolution_delay: Duration::from_millis(50),
            max_in_flight: 128,
            max_strays: 16,
            max_chain: 16,
            max_addresses: 32,
            failed_for: Duration::from_secs(300),
            failed_addresses: 1024,
            seed: 0,
        }
    }
}

impl Config {
    /// The server that is asked when none is named.
    pub(super) const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), PORT);
}

/// What is remembered, and how long.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CacheConfig {
    /// Names that are kept; of more, the one that was not used for longest goes. 131,072 by
    /// default, each about 260 bytes; 0: nothing is kept.
    pub entries: usize,
    /// No answer is kept for less, not even one that says 0, unless all its addresses failed to
    /// connect meanwhile. 30 s by default: many servers say 0 of names that hardly ever move.
    pub min_ttl: Duration,
    /// No answer is kept for more. 1 day by default.
    pub max_ttl: Duration,
    /// No "there is no such name" is kept for more. 5 minutes by default (RFC 2308).
    pub negative_max: Duration,
    /// How long after its time an answer may still serve while no server gives a new one
    /// (RFC 8767). 1 hour by default; zero: never.
    pub stale_for: Duration,
    /// How long to wait for a new answer before an old one serves. 1.8 s by default.
    pub stale_after: Duration,
    /// How long an old answer serves without asking again after the servers failed. 30 s by
    /// default.
    pub stale_recheck: Duration,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            entries: 131_072,
            min_ttl: Duration::from_secs(30),
            max_ttl: Duration::from_secs(86_400),
            negative_max: Duration::from_secs(300),
            stale_for: Duration::from_secs(3600),
            stale_after: Duration::from_millis(1800),
            stale_recheck: Duration::from_secs(30),
        }
    }
}

/// Which families of addresses are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Families {
    /// A and AAAA, asked side by side.
    #[default]
    Both,
    /// Only A.
    V4,
    /// Only AAAA.
    V6,
}

impl Families {
    /// Whether an address of this kind is wanted.
    pub const fn want(self, address: &IpAddr) -> bool {
        match self {
            Self::Both => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }
}

/// Which families lead out of this machine. Loopback addresses need no way out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reach {
    /// There is a way out over IPv4.
    pub v4: bool,
    /// There is a way out over IPv6.
    pub v6: bool,
}

/// One of the two questions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) const BOTH: [Self; 2] = [Self::V4, Self::V6];

    pub(super) const fn index(self) -> usize {
        self as usize
    }

    pub(super) const fn wanted(self, families: Families) -> bool {
        matches!(
            (self, families),
            (_, Families::Both) | (Self::V4, Families::V4) | (Self::V6, Families::V6)
        )
    }
}
