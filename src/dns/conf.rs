//! The system's own files, as text, turned into a [`Config`]: resolv.conf(5) and hosts(5).
//!
//! Reads no file: the text is handed in, so that a test or a container can hand in another.

use core::net::{IpAddr, SocketAddr, SocketAddrV6};
use core::time::Duration;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use resolv_conf::ScopedIp;

use super::config::{Config, Families, PORT};
use super::hosts::hosts;

/// resolv.conf(5): MAXNS.
const MAX_SYSTEM_SERVERS: usize = 3;
/// resolv.conf(5): the caps of `timeout`, `attempts` and `ndots`.
const MAX_TIMEOUT: u32 = 30;
const MAX_ATTEMPTS: u32 = 5;
const MAX_NDOTS: u32 = 15;

impl Config {
    /// What the system's files say; a file that is not there or can't be read is `""`.
    ///
    /// `zone` gives the number of an interface, for servers at link-local addresses
    /// (`fe80::1%eth0`). To honour `RES_OPTIONS` and `LOCALDOMAIN`, append them to the text as
    /// lines `options …` and `search …`. Lines that make no sense are passed over; what they
    /// are comes back beside the result, for a warning.
    ///
    /// ```
    /// use gannet::dns::Config;
    ///
    /// let text = "nameserver 192.0.2.53\nsearch example.com\noptions timeout:1 rotate";
    /// let (config, warnings) = Config::from_system(text, "10.0.0.1 db", |_| None);
    /// assert_eq!(config.servers, ["192.0.2.53:53".parse().unwrap()]);
    /// assert_eq!(config.timeout.as_secs(), 1);
    /// assert!(config.rotate && warnings.is_empty());
    /// ```
    pub fn from_system(
        resolv_conf: &str,
        hosts_file: &str,
        zone: impl Fn(&str) -> Option<u32>,
    ) -> (Self, Vec<String>) {
        let (parsed, errors) = resolv_conf::Config::parse_with_errors(resolv_conf.as_bytes());
        let mut warnings: Vec<String> =
            errors.iter().map(|error| format!("resolv.conf: {error}")).collect();
        let mut servers = Vec::new();
        for server in parsed.nameservers.iter().take(MAX_SYSTEM_SERVERS) {
            match server {
                ScopedIp::V4(address) => servers.push(SocketAddr::new((*address).into(), PORT)),
                ScopedIp::V6(address, None) => {
                    servers.push(SocketAddr::new(IpAddr::V6(*address), PORT));
                }
                ScopedIp::V6(address, Some(name)) => {
                    match name.parse().ok().or_else(|| zone(name)) {
                        Some(zone) => {
                            servers.push(SocketAddrV6::new(*address, PORT, 0, zone).into());
                        }
                        None => warnings.push(format!("resolv.conf: no interface {name:?}")),
                    }
                }
            }
        }
        let families = if parsed.no_aaaa { Families::V4 } else { Families::Both };
        let config = Self {
            servers,
            search: parsed.get_last_search_or_domain().cloned().collect(),
            ndots: parsed.ndots.min(MAX_NDOTS) as u8,
            timeout: Duration::from_secs(parsed.timeout.clamp(1, MAX_TIMEOUT).into()),
            attempts: parsed.attempts.clamp(1, MAX_ATTEMPTS) as u8,
            rotate: parsed.rotate,
            always_tcp: parsed.use_vc,
            families,
            hosts: hosts(hosts_file),
            ..Self::default()
        };
        (config, warnings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn parsed(text: &str) -> Config {
        let zone = |name: &str| (name == "eth0").then_some(2);
        Config::from_system(text, "", zone).0
    }

    #[test]
    fn servers() {
        for (text, expected) in [
            ("", ""),
            ("nameserver 192.0.2.1\n# nameserver 192.0.2.2\n", "192.0.2.1:53"),
            ("nameserver ::1", "[::1]:53"),
            ("nameserver fe80::1%eth0", "[fe80::1%2]:53"),
            ("nameserver fe80::1%7", "[fe80::1%7]:53"),
            ("nameserver fe80::1%eth9\nnameserver 192.0.2.1", "192.0.2.1:53"),
            ("nameserver example.com\nnameserver 192.0.2.1", "192.0.2.1:53"),
            (
                "nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nnameserver 192.0.2.4",
                "192.0.2.1:53 192.0.2.2:53 192.0.2.3:53",
            ),
        ] {
            let servers: Vec<_> = parsed(text).servers.iter().map(ToString::to_string).collect();
            assert_eq!(servers.join(" "), expected, "{text:?}");
        }
    }

    #[test]
    fn options() {
        let config = parsed("");
        assert_eq!((config.ndots, config.attempts, config.timeout.as_secs()), (1, 2, 5));
        let config = parsed("options ndots:3 attempts:4 timeout:7 rotate use-vc no-aaaa");
        assert_eq!((config.ndots, config.attempts, config.timeout.as_secs()), (3, 4, 7));
        assert!(config.rotate && config.always_tcp);
        assert_eq!(config.families, Families::V4);
        let config = parsed("options ndots:300 attempts:0 timeout:0");
        assert_eq!((config.ndots, config.attempts, config.timeout.as_secs()), (15, 1, 1));
    }

    #[test]
    fn search() {
        assert_eq!(parsed("search a.example b.example").search, ["a.example", "b.example"]);
        assert_eq!(parsed("domain a.example").search, ["a.example"]);
        assert_eq!(parsed("domain a.example\nsearch b.example").search, ["b.example"]);
    }

    #[test]
    fn nonsense_is_said_and_the_rest_counts() {
        let (config, warnings) =
            Config::from_system("nonsense\nnameserver 192.0.2.1\nnameserver x", "", |_| None);
        assert_eq!(config.servers.len(), 1);
        assert!(!warnings.is_empty());
    }
}
