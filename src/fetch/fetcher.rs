//! The fetcher: URLs in, answers out, over the driver and real sockets.
//!
//! Owns the turn: the driver's, the resolver's, and the hops in between. Everything that is
//! decided about an answer is decided in `slots`.

use core::fmt;
use core::time::Duration;
use std::io;
use std::os::fd::{AsRawFd, RawFd};

use super::names::Directory;
use super::simple::Inbox;
use super::slots::{Pass, State};
use super::visitor::{Place, Places};
use super::{Control, Error, ErrorKind, Options, Request, StartError, Ticket, Visitor, ask};
use crate::engine::{self, Engine, HostStats, Phase};
use crate::net::Driver;
use crate::net::Net as _;
use crate::net::mio::Mio;
use crate::tls;

/// Fetches URLs: one thread, any number at once.
///
/// Three ways to use it:
/// - *simply*: [`get`](Self::get) and [`next`](Self::next), which collect bodies in memory;
/// - *with a [`Visitor`]*: [`submit`](Self::submit) and [`turn`](Self::turn), which hand out bytes
///   as they come and keep none;
/// - *in a foreign loop*: watch the descriptor ([`AsRawFd`]) for readability, and call `turn` with
///   a timeout of zero when it is readable and when [`next_timeout`](Self::next_timeout) is over.
///
/// ```no_run
/// use gannet::Fetcher;
/// use gannet::fetch::Options;
///
/// let mut fetcher = Fetcher::new(Options::default())?;
/// for page in 1..=100 {
///     fetcher.get(&format!("https://example.org/pages/{page}"))?;
/// }
/// while let Some(response) = fetcher.next()? {
///     match &response.result {
///         Ok(status) => println!("{} {status} {} bytes", response.url, response.body.len()),
///         Err(error) => println!("{} {error}", response.url),
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Fetcher {
    pub(super) driver: Driver<Mio>,
    directory: Directory,
    pub(super) state: State,
    pub(super) inbox: Inbox,
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetcher")
            .field("driver", &self.driver)
            .field("in_flight", &self.in_flight())
            .finish_non_exhaustive()
    }
}

impl Fetcher {
    /// A fetcher without work. Reads resolv.conf and the hosts file, unless
    /// [`Options::names`] say whom to ask.
    pub fn new(mut options: Options) -> Result<Self, StartError> {
        if options.engine.seed == 0 {
            options.engine.seed =
                getrandom::u64().map_err(|error| io::Error::other(error.to_string()))?;
        }
        let tls = tls::Config::new(options.tls.clone())?;
        let (directory, names) = Directory::new(core::mem::take(&mut options.names))?;
        let mut net = Mio::new(options.events.max(1))?;
        net.set_options(options.sockets.clone());
        let engine = Engine::new(options.engine.clone());
        let driver = Driver::new(engine, net, options.driver).with_tls(tls).with_names(names);
        Ok(Self { driver, directory, state: State::new(options), inbox: Inbox::default() })
    }

    /// How many more requests it takes now.
    pub fn wants(&self) -> usize {
        // Those between two hops hold a place with the engine.
        self.driver.engine().wants().saturating_sub(self.state.between.len())
    }

    /// How many requests it has.
    pub fn in_flight(&self) -> usize {
        self.state.len()
    }

    /// How many requests are on a connection.
    pub fn running(&self) -> u32 {
        self.driver.engine().running()
    }

    /// Whether it has nothing to do.
    pub fn is_idle(&self) -> bool {
        self.state.len() == 0
    }

    /// Takes a request; it begins with the next [`turn`](Self::turn). What is wrong with it is
    /// said here, and nowhere else.
    ///
    /// The request is copied into memory that is used again: keep one, and
    /// [`set`](super::Url::set) its URL for the next.
    pub fn submit(&mut self, request: &Request) -> Result<Ticket, Error> {
        if !self.state.options.schemes.contains(request.url.scheme()) {
            return Err(Error::new(ErrorKind::SchemeRefused(request.url.scheme()), Phase::Queue));
        }
        if self.wants() == 0 {
            return Err(Error::new(ErrorKind::Full, Phase::Queue));
        }
        let ticket = self.state.take(request);
        match self.start(ticket.slot as usize) {
            Ok(()) => Ok(ticket),
            Err(error) => {
                self.state.release(ticket.slot as usize);
                Err(error)
            }
        }
    }

    /// Hands a slot's request to the engine.
    pub(super) fn start(&mut self, slot: usize) -> Result<(), Error> {
        let job = ask::submit(&mut self.driver, &self.directory, &mut self.state, slot)?;
        self.state.places.0[slot].place = Place::Engine(job);
        Ok(())
    }

    /// One turn: carries out what is wanted, waits for at most `timeout` (`None`: until something
    /// happens), and tells the visitor what happened.
    ///
    /// Never longer than needed: it returns after whatever woke it was handled.
    pub fn turn(&mut self, timeout: Option<Duration>, visitor: &mut dyn Visitor) -> io::Result<()> {
        self.move_on(visitor);
        let mut pass = Pass { state: &mut self.state, visitor };
        self.driver.turn(timeout, &mut pass).map_err(|fault| match fault.os {
            0 => io::Error::other("the system's poll failed"),
            os => io::Error::from_raw_os_error(os),
        })?;
        self.move_on(visitor);
        Ok(())
    }

    /// Starts the next hops of those that were redirected.
    fn move_on(&mut self, visitor: &mut dyn Visitor) {
        let mut between = core::mem::take(&mut self.state.between);
        for slot in between.drain(..) {
            let slot = slot as usize;
            let result = if self.state.places.0[slot].doomed {
                Err(Error::new(ErrorKind::Engine(engine::Kind::Cancelled), Phase::Queue))
            } else {
                self.start(slot)
            };
            if let Err(error) = result {
                let mut pass = Pass { state: &mut self.state, visitor };
                pass.ends(&mut self.driver.ctl(), slot, &error);
            }
        }
        // Its memory serves again: the steady state allocates nothing.
        self.state.between = between;
    }

    /// When [`turn`](Self::turn) wants to be called at the latest, from now; `None`: when the
    /// descriptor is readable.
    pub fn next_timeout(&mut self) -> Option<Duration> {
        if !self.state.between.is_empty() {
            return Some(Duration::ZERO);
        }
        let now = self.driver.net_mut().now();
        self.driver.next_deadline().map(|at| ask::until(at, now))
    }

    /// Stops reading an answer.
    pub fn pause(&mut self, ticket: Ticket) {
        self.control(|ctl| ctl.pause(ticket));
    }

    /// Goes on reading an answer, or asks for more of a streamed request body.
    pub fn resume(&mut self, ticket: Ticket) {
        self.control(|ctl| ctl.resume(ticket));
    }

    /// Calls a request off: the next turn tells its visitor.
    pub fn cancel(&mut self, ticket: Ticket) {
        self.control(|ctl| ctl.cancel(ticket));
    }

    /// Calls everything off.
    pub fn cancel_all(&mut self) {
        let places = &mut self.state.places;
        Control { ctl: &mut self.driver.ctl(), places }.cancel_all();
    }

    fn control(&mut self, command: impl FnOnce(&mut Control<'_, '_>)) {
        let places: &mut Places = &mut self.state.places;
        command(&mut Control { ctl: &mut self.driver.ctl(), places });
    }

    /// Lets somebody look on: everything that goes over connections, in plaintext.
    pub fn set_tap(&mut self, tap: Option<crate::net::tap::Tap>) {
        self.driver.set_tap(tap);
    }

    /// What is known of each host.
    pub fn host_stats(&self) -> impl Iterator<Item = HostStats<'_>> {
        self.driver.engine().host_stats()
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.driver.engine().connections()
    }

    /// What it was made with.
    pub const fn options(&self) -> &Options {
        &self.state.options
    }

    /// What was odd in the system's files.
    pub fn warnings(&self) -> &[String] {
        &self.directory.warnings
    }

    /// What the resolver has done so far.
    pub fn name_stats(&self) -> crate::dns::Stats {
        self.driver.names().map_or_else(Default::default, crate::net::Names::stats)
    }

    /// The registry of the poll, for further sources: with tokens from
    /// [`FOREIGN`](crate::net::mio::FOREIGN) on.
    pub fn registry(&self) -> &mio::Registry {
        self.driver.net().registry()
    }

    /// A further source that became ready in the last turn, if there is one.
    pub fn next_foreign(&mut self) -> Option<usize> {
        self.driver.net_mut().next_foreign()
    }
}

impl AsRawFd for Fetcher {
    /// The one descriptor that a foreign loop watches for readability.
    fn as_raw_fd(&self) -> RawFd {
        self.driver.net().as_raw_fd()
    }
}
