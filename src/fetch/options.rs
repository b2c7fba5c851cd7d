//! What an embedder or the command line decides once for a fetcher.

use core::fmt;
use core::time::Duration;
use std::io;
use std::sync::Arc;

use super::{AddressRules, DecodeLimits, NameOptions, Netrc, RedirectRules, Schemes};
use crate::engine::{Bytes, Config, ConfigError, Load, grown};
use crate::net::DriverConfig;
use crate::net::mio::SocketOptions;
use crate::{dns, tls};

/// Everything that holds for all requests of a [`Fetcher`](super::Fetcher).
///
/// Three sets of numbers are ready-made: [`tiny`](Self::tiny) for a program that counts its
/// kilobytes, [`default`](Self::default), and [`wide`](Self::wide) for a machine that does nothing
/// else. [`most_bytes`](Self::most_bytes) says what a fetcher holds at most.
///
/// ```
/// use gannet::fetch::Options;
///
/// let mut options = Options::default();
/// options.engine.max_connections = 64;
/// options.redirects.max = Some(5);
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    /// Attempts, timeouts, limits and pacing. A seed of zero is replaced by a random one. Default:
    /// [`Config::default`].
    pub engine: Config,
    /// Buffers and the work of one turn. Default: [`DriverConfig::default`].
    pub driver: DriverConfig,
    /// What is trusted, and with what we prove who we are. Default: Mozilla's authorities, TLS 1.2 and 1.3.
    pub tls: tls::Options,
    /// Reads the root certificates when the first connection over TLS needs them, instead of in
    /// [`Fetcher::new`](super::Fetcher::new). What is wrong with [`tls`](Self::tls) is then said
    /// by the requests that need it. Default: false.
    pub tls_later: bool,
    /// Interfaces and probes. Default: those that the system chooses, and none.
    pub sockets: SocketOptions,
    /// Who is asked for addresses, and what is known of them beforehand. Default: the system's
    /// resolv.conf and hosts file, and nothing.
    pub names: NameOptions,
    /// Which schemes may be used (`--proto`). Default: both.
    pub schemes: Schemes,
    /// Where redirects may lead. Default: anywhere, 50 in a row; whether they are followed at all is
    /// [`Profile::follow`](super::Profile::follow)'s to say.
    pub redirects: RedirectRules,
    /// Names and passwords by host. Default: none.
    pub netrc: Option<Arc<Netrc>>,
    /// The password that netrc has for the URL's user goes before the URL's own (`-n`; off is
    /// `--netrc-optional`). Default: false.
    pub netrc_required: bool,
    /// Bounds of decoding. Default: [`DecodeLimits::default`].
    pub decode: DecodeLimits,
    /// Which addresses may be spoken to. Default: all, also after a redirect.
    pub addresses: AddressRules,
    /// How long `100 Continue` is waited for before the body is sent all the same. Default: 1 s.
    pub expect_timeout: Duration,
    /// Events that are taken from the system at once. Default: 256 (`tiny`: 32, `wide`: 1,024).
    pub events: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            engine: Config::default(),
            driver: DriverConfig::default(),
            tls: tls::Options::default(),
            tls_later: false,
            sockets: SocketOptions::default(),
            names: NameOptions::default(),
            schemes: Schemes::ALL,
            redirects: RedirectRules::default(),
            netrc: None,
            netrc_required: false,
            decode: DecodeLimits::default(),
            addresses: AddressRules::default(),
            expect_timeout: Duration::from_secs(1),
            events: 256,
        }
    }
}

impl Options {
    /// For a program that counts its kilobytes: [`Config::tiny`], [`DriverConfig::tiny`] and
    /// [`tls::Options::tiny`], [`DecodeLimits::tiny`], as many events at once as that needs, and 64
    /// names whose addresses are remembered.
    pub fn tiny() -> Self {
        Self {
            engine: Config::tiny(),
            driver: DriverConfig::tiny(),
            tls: tls::Options::tiny(),
            names: NameOptions {
                cache: Some(dns::CacheConfig { entries: 64, ..dns::CacheConfig::default() }),
                ..NameOptions::default()
            },
            decode: DecodeLimits::tiny(),
            events: 32,
            ..Self::default()
        }
    }

    /// For a machine that does nothing else: [`Config::wide`], [`DriverConfig::wide`] and 1,024
    /// events at once. TLS and names are those of [`default`](Self::default), which fit as many.
    ///
    /// ```
    /// use gannet::Fetcher;
    /// use gannet::fetch::Options;
    ///
    /// let fetcher = Fetcher::new(Options::wide())?;
    /// assert_eq!(fetcher.wants(), 65_536);
    /// # Ok::<(), gannet::fetch::StartError>(())
    /// ```
    pub fn wide() -> Self {
        Self {
            engine: Config::wide(),
            driver: DriverConfig::wide(),
            events: 1_024,
            ..Self::default()
        }
    }

    /// Bytes of heap that a fetcher holds at most: [`DriverConfig::most_bytes`] with TLS, and each
    /// request's URL, station and memory (`load.request_bytes` bounds the URL, too). Not in it:
    /// trust anchors, remembered sessions, the resolver's cache, decoders of compressed answers
    /// (see [`DecodeLimits`]), what the visitor keeps, and what [`Fetcher::get`](super::Fetcher::get)
    /// and [`fetch`](super::Fetcher::fetch) collect: bodies that are coming, and responses that were not
    /// taken with [`next`](super::Fetcher::next) yet.
    ///
    /// ```
    /// use gannet::engine::Load;
    /// use gannet::fetch::Options;
    ///
    /// assert!(Options::tiny().most_bytes(&Load::default()) < 512 * 1024);
    /// ```
    pub fn most_bytes(&self, load: &Load) -> usize {
        // The request's URL, the station's, the one before, the trail; each with its parts' places.
        let a_request = 8 * Bytes(load.request_bytes) + super::slots::SLOT_BYTES;
        let jobs = grown(self.engine.max_jobs as usize).max(4);
        let handshake = self.tls.max_handshake_bytes;
        let most = Bytes(self.driver.most_bytes(&self.engine, load, Some(handshake)))
            + jobs * a_request
            + grown(load.hosts) * Bytes(2);
        most.0
    }
}

/// Why a fetcher can't be made.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The TLS options can't be used.
    Tls(tls::ConfigError),
    /// The bounds can't work.
    Config(ConfigError),
    /// The system gave no poll, or no randomness.
    System(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls(error) => error.fmt(f),
            Self::Config(error) => error.fmt(f),
            Self::System(error) => write!(f, "the system refuses what is needed to begin: {error}"),
        }
    }
}

impl core::error::Error for StartError {}

impl From<tls::ConfigError> for StartError {
    fn from(error: tls::ConfigError) -> Self {
        Self::Tls(error)
    }
}

impl From<ConfigError> for StartError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_presets_can_work_and_grow() {
        let presets = [Options::tiny(), Options::default(), Options::wide()];
        let sizes = presets.map(|options| {
            assert_eq!(options.engine.check().and_then(|()| options.driver.check()), Ok(()));
            (options.most_bytes(&Load::default()), options.engine.max_jobs, options.events)
        });
        let grow = |[a, b]: [(usize, u32, usize); 2]| a.0 < b.0 && a.1 < b.1 && a.2 < b.2;
        assert!(grow([sizes[0], sizes[1]]) && grow([sizes[1], sizes[2]]), "{sizes:?}");
    }
}
