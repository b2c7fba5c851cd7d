//! Where hosts are, as the user and the system say: `--resolve`, `--connect-to`, zones of
//! addresses, resolv.conf and the hosts file.
//!
//! Owns what is known before anything is looked up; looking up is the driver's. The files of this
//! machine (resolv.conf, hosts) are read when it is made, or when the first name is looked up.

use core::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::io;

use crate::base::Instant;
use crate::dns::{self, Resolver};
use crate::engine::HostKey;
use crate::net::mio::{Mio, reach};
use crate::net::{Driver, Names, system_random};

/// Where hosts are, as the user and the system say.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NameOptions {
    /// Whom to ask, and how. `None`: what resolv.conf and the hosts file of this machine say.
    pub dns: Option<dns::Config>,
    /// How much of what was looked up is remembered, in place of what `dns` says, or of the 131,072
    /// names of some 260 bytes that are its default. [`Options::tiny`](super::Options::tiny): 64 names.
    pub cache: Option<dns::CacheConfig>,
    /// Reads those files, and finds out which families lead out of this machine, when the first
    /// name is looked up, instead of in [`Fetcher::new`](super::Fetcher::new): addresses alone need
    /// none of it. Nothing is told of their oddities then. Only where `dns`, `known` and `routes`
    /// say nothing. Default: false.
    pub later: bool,
    /// Addresses that are known beforehand (`--resolve`).
    pub known: Vec<KnownHost>,
    /// Hosts that are connected to elsewhere (`--connect-to`). The first that fits counts.
    pub routes: Vec<Route>,
    /// Somebody else looks names up: `Fetcher::next_lookup` says which, `Fetcher::resolved`
    /// takes the answers. One that does not come in the time for a connection (`connect_timeout`)
    /// fails as `dns_unanswered`.
    pub external: bool,
}

/// The addresses of a host, given by the user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KnownHost {
    /// In lower case; `None`: every host.
    pub host: Option<Box<str>>,
    /// The port.
    pub port: u16,
    /// In the order of trying.
    pub addresses: Vec<IpAddr>,
}

impl KnownHost {
    /// Reads `[+]HOST:PORT:ADDRESS[,ADDRESS]...`, `*` being every host.
    ///
    /// ```
    /// use gannet::fetch::KnownHost;
    ///
    /// let known = KnownHost::parse("Example.org:443:192.0.2.1,[2001:db8::1]").unwrap();
    /// assert_eq!((known.host.as_deref(), known.port, known.addresses.len()), (Some("example.org"), 443, 2));
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('+').unwrap_or(text);
        let (host, rest) = split_host(text)?;
        let (port, addresses) = rest.split_once(':')?;
        let port = port_number(port)?;
        let addresses: Option<Vec<IpAddr>> = addresses
            .split(',')
            .map(|address| address.trim_matches(['[', ']']).parse().ok())
            .collect();
        let host = (host != "*").then(|| host.to_ascii_lowercase().into());
        Some(Self { host, port, addresses: addresses.filter(|list| !list.is_empty())? })
    }

    /// Whether it speaks of this host and port.
    pub fn is_of(&self, host: &str, port: u16) -> bool {
        self.port == port
            && self.host.as_deref().map_or(host == "*", |name| name.eq_ignore_ascii_case(host))
    }
}

/// A host that is connected to elsewhere; what is asked, and how it is secured, stays.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// Which host, in lower case; `None`: every one.
    pub host: Option<Box<str>>,
    /// Which port; `None`: every one.
    pub port: Option<u16>,
    /// Where to instead; `None`: the same host.
    pub to_host: Option<Box<str>>,
    /// At which port; `None`: the same one.
    pub to_port: Option<u16>,
}

impl Route {
    /// Reads `HOST1:PORT1:HOST2:PORT2`, each of which may be empty.
    ///
    /// ```
    /// use gannet::fetch::Route;
    ///
    /// let route = Route::parse("::127.0.0.1:8080").unwrap();
    /// assert_eq!((route.host, route.to_host.as_deref(), route.to_port), (None, Some("127.0.0.1"), Some(8080)));
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        let (host, rest) = split_host(text)?;
        let (port, rest) = rest.split_once(':')?;
        let (to_host, to_port) = split_host(rest)?;
        let name = |name: &str| (!name.is_empty()).then(|| Box::from(name.to_ascii_lowercase()));
        let number =
            |text: &str| if text.is_empty() { Some(None) } else { port_number(text).map(Some) };
        Some(Self {
            host: name(host),
            port: number(port)?,
            to_host: name(to_host),
            to_port: number(to_port)?,
        })
    }
}

/// `HOST:rest`, brackets of an IPv6 address left out.
fn split_host(text: &str) -> Option<(&str, &str)> {
    match text.strip_prefix('[') {
        Some(inner) => inner.split_once("]:"),
        None => text.split_once(':'),
    }
}

fn port_number(text: &str) -> Option<u16> {
    text.parse().ok().filter(|&port| port != 0 && text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// What is known of hosts before they are looked up.
#[derive(Debug)]
pub(super) struct Directory {
    known: Vec<KnownHost>,
    routes: Vec<Route>,
    /// The addresses that are wanted.
    families: dns::Families,
    pub(super) warnings: Vec<String>,
}

impl Directory {
    /// Reads the system's files where the options leave it to them; gives the driver's part too.
    pub(super) fn new(options: NameOptions) -> io::Result<(Self, Option<Names>)> {
        if options.external {
            let (known, routes) = (options.known, options.routes);
            let families = dns::Families::Both;
            let warnings = Vec::new();
            return Ok((Self { known, routes, families, warnings }, None));
        }
        // Ids of questions must be unpredictable: without that nothing is asked at all.
        let mut random = system_random()?;
        let (known, routes) = (options.known, options.routes);
        if options.later && options.dns.is_none() && known.is_empty() && routes.is_empty() {
            let cache = options.cache;
            let names =
                Names::later(move |seed| resolver(remembers(system().0, cache), seed), random);
            // Of no use where nothing is known beforehand.
            let families = dns::Families::Both;
            return Ok((Self { known, routes, families, warnings: Vec::new() }, Some(names)));
        }
        let (config, warnings) = options.dns.map_or_else(system, |config| (config, Vec::new()));
        let config = remembers(config, options.cache);
        let families = config.families;
        let names = Names::new(resolver(config, random()), random);
        Ok((Self { known, routes, families, warnings }, Some(names)))
    }

    /// A host was named for the first time: if the user said where it is, so it is.
    pub(super) fn introduce(&self, driver: &mut Driver<Mio>, host: HostKey) {
        let origin = driver.engine().origin(host);
        if self.known.is_empty() && self.routes.is_empty() && !origin.host.contains('%') {
            return;
        }
        let (mut name, mut port): (Box<str>, u16) = (origin.host.into(), origin.port);
        let fits = |route: &&Route| {
            route.host.as_deref().is_none_or(|host| host == origin.host)
                && route.port.is_none_or(|port| port == origin.port)
        };
        let route = self.routes.iter().find(fits);
        if let Some(route) = route {
            if let Some(to) = &route.to_host {
                name.clone_from(to);
            }
            port = route.to_port.unwrap_or(port);
        }
        let at_port = || self.known.iter().rev().filter(|known| known.port == port);
        let exact = at_port().find(|known| known.host.as_ref() == Some(&name));
        let known = exact.or_else(|| at_port().find(|known| known.host.is_none()));
        // Without one of a family that is wanted, the name is looked up, as curl does.
        let wanted = |ip: &&IpAddr| match self.families {
            dns::Families::Both => true,
            dns::Families::V4 => ip.is_ipv4(),
            dns::Families::V6 => ip.is_ipv6(),
        };
        let addresses: Vec<_> = known
            .into_iter()
            .flat_map(|known| known.addresses.iter().filter(wanted))
            .map(|&ip| SocketAddr::new(ip, port))
            .collect();
        if !addresses.is_empty() {
            driver.place(host, &addresses, Instant::NEVER);
        } else if let Some(address) = literal(&name, port) {
            driver.place(host, &[address], Instant::NEVER);
        } else if let (Some(_), Some(names)) = (route, driver.names_mut()) {
            names.route(host, &name, port);
        }
    }
}

/// What the files of this machine say, and what in them is odd.
fn system() -> (dns::Config, Vec<String>) {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    dns::Config::from_system(&read("/etc/resolv.conf"), &read("/etc/hosts"), zone)
}

/// The same, remembering as much as was said.
fn remembers(config: dns::Config, cache: Option<dns::CacheConfig>) -> dns::Config {
    dns::Config { cache: cache.unwrap_or(config.cache), ..config }
}

/// A resolver, with what the configuration leaves to this machine.
fn resolver(mut config: dns::Config, seed: u64) -> Resolver {
    if config.seed == 0 {
        config.seed = seed;
    }
    if config.reach == dns::Config::default().reach {
        config.reach = reach();
    }
    Resolver::new(config)
}

/// An address that stands in place of a name, its zone included.
fn literal(name: &str, port: u16) -> Option<SocketAddr> {
    if let Some((address, zone)) = name.split_once('%') {
        let address: Ipv6Addr = address.parse().ok()?;
        let zone = self::zone(zone)?;
        return Some(SocketAddrV6::new(address, port, 0, zone).into());
    }
    name.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, port))
}

/// The number of a zone: it is one, or it is an interface of this machine, which the system tells
/// by a file. Read where an address names one, so that nobody else pays for it.
fn zone(name: &str) -> Option<u32> {
    let number = |text: &str| text.trim().parse().ok().filter(|&number| number != 0);
    number(name).or_else(|| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_:.@".contains(&byte);
        let is_name = name.bytes().all(plain) && name.bytes().any(|byte| byte != b'.');
        let file = is_name.then(|| format!("/sys/class/net/{name}/ifindex"))?;
        number(&std::fs::read_to_string(file).ok()?)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::engine::{Config, Engine, Nobody, Origin, Scheme};
    use crate::net::DriverConfig;

    #[test]
    fn the_first_name_makes_the_resolver_and_no_address_does() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        // Nobody listens there any more.
        drop(listener);
        let made = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&made);
        let make = move |seed| {
            count.fetch_add(1, Ordering::Relaxed);
            resolver(dns::Config::default(), seed)
        };
        let engine = Engine::new(Config { attempts: 1, ..Config::default() });
        let mio = Mio::new(16).unwrap();
        let mut driver =
            Driver::new(engine, mio, DriverConfig::default()).with_names(Names::later(make, || 4));
        for (host, times) in [("127.0.0.1", 0), ("localhost", 1), ("a.localhost", 1)] {
            let host = driver.host(&Origin { scheme: Scheme::Http, host, port });
            driver.submit(&crate::engine::Request::get(host, "/")).unwrap();
            for _ in 0..1000 {
                driver.turn(Some(Duration::from_millis(10)), &mut Nobody).unwrap();
                if driver.engine().held() == 0 {
                    break;
                }
            }
            assert_eq!(driver.engine().held(), 0);
            assert_eq!(made.load(Ordering::Relaxed), times);
        }
    }

    #[test]
    fn who_counts_kilobytes_remembers_few_names() {
        let tiny = super::super::Options::tiny().names.cache;
        assert_eq!(remembers(dns::Config::default(), tiny).cache.entries, 64);
        assert_eq!(remembers(dns::Config::default(), None), dns::Config::default());
    }

    #[test]
    fn known_hosts() {
        let known = |host: Option<&str>, port, addresses: &[&str]| {
            let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
            Some(KnownHost { host: host.map(Box::from), port, addresses })
        };
        for (text, expected) in [
            ("h:80:1.2.3.4", known(Some("h"), 80, &["1.2.3.4"])),
            ("+H:80:1.2.3.4", known(Some("h"), 80, &["1.2.3.4"])),
            ("*:443:::1", known(None, 443, &["::1"])),
            ("h:443:[::1],1.2.3.4,::2", known(Some("h"), 443, &["::1", "1.2.3.4", "::2"])),
            ("[::5]:80:1.2.3.4", known(Some("::5"), 80, &["1.2.3.4"])),
            ("h:80:", None),
            ("h:0:1.2.3.4", None),
            ("h:+80:1.2.3.4", None),
            ("h:80:name", None),
            ("h:80:1.2.3.4,", None),
            ("h:80", None),
            ("h", None),
            ("", None),
        ] {
            assert_eq!(KnownHost::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn routes() {
        let route = |host: Option<&str>, port, to: Option<&str>, to_port| {
            Some(Route { host: host.map(Box::from), port, to_host: to.map(Box::from), to_port })
        };
        for (text, expected) in [
            ("a:80:b:81", route(Some("a"), Some(80), Some("b"), Some(81))),
            ("A::B:", route(Some("a"), None, Some("b"), None)),
            ("::127.0.0.1:8080", route(None, None, Some("127.0.0.1"), Some(8080))),
            (":::", route(None, None, None, None)),
            ("[::1]:80:[::2]:81", route(Some("::1"), Some(80), Some("::2"), Some(81))),
            ("a:80:b", None),
            ("a:x:b:1", None),
            ("a:0:b:1", None),
            ("", None),
        ] {
            assert_eq!(Route::parse(text), expected, "{text}");
        }
    }
}
