//! The fetcher: URLs in, answers out, over the driver and real sockets.
//!
//! Owns the turn: the driver's, the resolver's, and the hops in between. Everything that is
//! decided about an answer is decided in `slots`.
#![expect(
    clippy::indexing_slicing,
    reason = "a slot's number is that of a slot: they are never fewer"
)]

use core::fmt;
use core::time::Duration;
use std::io;
#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use super::ask::Usual;
use super::names::Directory;
use super::pass::Pass;
use super::simple::Inbox;
use super::slots::State;
use super::visitor::{Place, Places};
use super::{Control, Error, ErrorKind, Options, Request, StartError, Ticket, Visitor, ask};
use crate::base::Instant;
use crate::engine::observe::Observer;
use crate::engine::{
    self, AddressStats, DnsFailure, Engine, HostKey, HostStats, Origin, Phase, Resolved,
};
use crate::net::Driver;
use crate::net::Net as _;
use crate::net::mio::Mio;
#[cfg(feature = "remote")]
use crate::net::remote::TagCommand;
use crate::tls;

/// Fetches URLs: one thread, any number at once.
///
/// Three ways to use it:
/// - *simply*: [`get`](Self::get) and [`next`](Self::next), which collect bodies in memory: those that
///   are whole wait for `next`, so a long list is handed over bit by bit, as below;
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
/// let mut pages = 1..=100;
/// loop {
///     while fetcher.wants() > 0
///         && let Some(page) = pages.next()
///     {
///         fetcher.get(&format!("https://example.org/pages/{page}"))?;
///     }
///     let Some(response) = fetcher.next()? else { break };
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
    /// What is left then is called off.
    draining: Option<Instant>,
    #[cfg(feature = "remote")]
    orders: Option<crate::net::remote::Inbox<Request>>,
}

/// Whom connections over TLS trust: known, or to be read when the first one asks.
enum Tls {
    Made(tls::Config),
    Later(tls::Options),
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
    /// [`Options::names`] say whom to ask, or that they are read later.
    pub fn new(mut options: Options) -> Result<Self, StartError> {
        let tls = if options.tls_later {
            Tls::Later(core::mem::take(&mut options.tls))
        } else {
            Tls::Made(tls::Config::new(options.tls.clone())?)
        };
        Self::build(options, tls)
    }

    /// The same with a TLS configuration of one's own in place of [`Options::tls`]: one that
    /// several fetchers share, or [`tls::Config::custom`] for a rustls `ClientConfig` with a
    /// verifier of one's own.
    pub fn with_tls(options: Options, tls: tls::Config) -> Result<Self, StartError> {
        Self::build(options, Tls::Made(tls))
    }

    fn build(mut options: Options, tls: Tls) -> Result<Self, StartError> {
        options.engine.check()?;
        options.driver.check()?;
        if options.engine.seed == 0 {
            options.engine.seed =
                getrandom::u64().map_err(|error| io::Error::other(error.to_string()))?;
        }
        let (directory, names) = Directory::new(core::mem::take(&mut options.names))?;
        let mut net = Mio::new(options.events.max(1))?;
        net.set_options(options.sockets.clone());
        let engine = Engine::new(options.engine.clone());
        let driver = Driver::new(engine, net, options.driver);
        let mut driver = match tls {
            Tls::Made(tls) => driver.with_tls(tls),
            Tls::Later(options) => driver.with_tls_later(move || tls::Config::new(options)),
        };
        if let Some(names) = names {
            driver = driver.with_names(names);
        }
        Ok(Self {
            driver,
            directory,
            state: State::new(options),
            inbox: Inbox::default(),
            draining: None,
            #[cfg(feature = "remote")]
            orders: None,
        })
    }

    /// How many more requests it takes now.
    pub fn wants(&self) -> usize {
        self.state.places.room()
    }

    /// Begins to find out how far ahead requests are of use, for [`reaches`](Self::reaches).
    #[cfg(feature = "cli")]
    pub(crate) fn reach_ahead(&mut self) {
        self.driver.reach_ahead();
    }

    /// How many more are of use now, to whoever turns it four times a second at least: those that
    /// it takes, or fewer while it has enough to do, since those that wait only cost memory then. `idle` of those
    /// that wait keep no host from having nothing to do.
    #[cfg(feature = "cli")]
    pub(crate) fn reaches(&self, idle: usize) -> usize {
        self.wants().min(self.driver.reaches(idle))
    }

    /// How many requests it has.
    pub fn in_flight(&self) -> usize {
        self.state.len()
    }

    /// How many requests are on a connection.
    pub fn running(&self) -> u32 {
        self.driver.engine().running()
    }

    /// Whether it has nothing to do: nothing is under way, and nothing waits that a visitor or another thread has
    /// submitted.
    pub fn is_idle(&self) -> bool {
        #[cfg(feature = "remote")]
        if self.orders.as_ref().is_some_and(|orders| orders.wants_turn(true)) {
            return false;
        }
        self.state.len() == 0 && self.state.places.queued.is_empty()
    }

    /// Comes to an end: takes no more requests, and calls off what is not done within `time`. It
    /// is over when [`is_idle`](Self::is_idle) says so.
    pub fn drain(&mut self, time: Duration) {
        self.state.places.closed = true;
        let deadline = self.driver.net_mut().now() + time;
        self.draining = Some(deadline);
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
            // What is wrong with the request would be so with room as well.
            let full = self.state.places.refusal();
            let kind = ask::fault(request).map_or(full, ErrorKind::Request);
            return Err(Error::new(kind, Phase::Queue));
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

    /// The host of a request's own URL.
    #[cfg(feature = "cli")]
    pub(crate) fn home_of(&self, ticket: Ticket) -> Option<HostKey> {
        self.state.slots.get(ticket.slot as usize).and_then(|slot| slot.home)
    }

    /// How many requests are on a host's connections, and how many connections it may have.
    #[cfg(feature = "cli")]
    pub(crate) fn work_of(&self, host: HostKey) -> (u32, u32) {
        self.driver.engine().work_of(host)
    }

    /// The hosts, and how many requests wait for each.
    #[cfg(feature = "cli")]
    pub(crate) fn crowds(&self) -> impl Iterator<Item = (HostKey, u32)> {
        self.driver.engine().crowds()
    }

    /// The origin that a key names.
    #[cfg(feature = "cli")]
    pub(crate) fn origin(&self, host: HostKey) -> Origin<'_> {
        self.driver.engine().origin(host)
    }

    /// Hands a slot's request to the engine.
    #[inline]
    pub(super) fn start(&mut self, slot: usize) -> Result<(), Error> {
        let job = ask::submit(&mut self.driver, &self.directory, &mut self.state, slot)?;
        self.state.places.entries[slot].place = Place::Engine(job);
        Ok(())
    }

    /// One turn: carries out what is wanted, waits for at most `timeout` (`None`: until something
    /// happens), and tells the visitor what happened.
    ///
    /// Never longer than needed: it returns after whatever woke it was handled.
    ///
    /// # Errors
    /// When the system's poll fails, with its number (`ENOMEM`, or `EBADF` where somebody closed the
    /// descriptor); a signal is no error. What goes wrong with a connection, or for want of descriptors, is
    /// never told here, but by [`Visitor::done`](super::Visitor::done). Nothing is lost: `turn` may be
    /// called again.
    pub fn turn(&mut self, timeout: Option<Duration>, visitor: &mut dyn Visitor) -> io::Result<()> {
        self.move_on(visitor);
        let timeout = match self.next_cut() {
            None => timeout,
            Some(cut) => Some(timeout.map_or(cut, |timeout| timeout.min(cut))),
        };
        let mut pass = Pass { state: &mut self.state, visitor };
        self.driver.turn(timeout, &mut pass).map_err(|fault| match fault.os {
            0 => io::Error::other("the system's poll failed"),
            os => io::Error::from_raw_os_error(os),
        })?;
        // Slots that came free in this turn have not been taken again yet.
        let slots = &self.state.slots;
        self.driver.retag(|slot| slots.get(slot as usize).map_or(slot, |slot| slot.request.tag));
        self.move_on(visitor);
        Ok(())
    }

    /// Starts the next hops of those that were redirected, and what visitors and other threads
    /// have submitted.
    fn move_on(&mut self, visitor: &mut dyn Visitor) {
        if self.next_cut() == Some(Duration::ZERO) {
            self.draining = None;
            self.cancel_all();
        }
        let mut between = core::mem::take(&mut self.state.between);
        for slot in between.drain(..) {
            self.start_or_end(slot as usize, visitor);
        }
        // Its memory serves again: the steady state allocates nothing.
        self.state.between = between;
        let mut queued = core::mem::take(&mut self.state.places.queued);
        for (request, called_off) in queued.drain(..) {
            self.begin(&request, called_off, visitor);
        }
        if self.state.places.queued.is_empty() {
            self.state.places.queued = queued;
        }
        #[cfg(feature = "remote")]
        self.take_orders(visitor);
    }

    /// Hands a slot's request to the engine, or tells its visitor why not.
    fn start_or_end(&mut self, slot: usize, visitor: &mut dyn Visitor) {
        let result = if self.state.places.entries[slot].doomed {
            Err(Error::new(ErrorKind::Engine(engine::Kind::Cancelled), Phase::Queue))
        } else {
            self.start(slot)
        };
        if let Err(error) = result {
            let mut pass = Pass { state: &mut self.state, visitor };
            pass.ends(&mut self.driver.ctl(), slot, &error);
        }
    }

    /// A request that was taken begins; what is wrong with it is told to the visitor.
    fn begin(&mut self, request: &Request, called_off: bool, visitor: &mut dyn Visitor) {
        let slot = self.state.take(request).slot as usize;
        let scheme = request.url.scheme();
        if !self.state.options.schemes.contains(scheme) {
            let error = Error::new(ErrorKind::SchemeRefused(scheme), Phase::Queue);
            let mut pass = Pass { state: &mut self.state, visitor };
            pass.ends(&mut self.driver.ctl(), slot, &error);
            return;
        }
        self.state.places.entries[slot].doomed |= called_off;
        self.start_or_end(slot, visitor);
    }

    /// How long until what is left is called off.
    fn next_cut(&mut self) -> Option<Duration> {
        let deadline = self.draining?;
        let now = self.driver.net_mut().now();
        Some(ask::until(deadline, now))
    }

    /// Takes what other threads have submitted, as far as there is room.
    #[cfg(feature = "remote")]
    fn take_orders(&mut self, visitor: &mut dyn Visitor) {
        let Some(orders) = self.orders.take() else { return };
        for command in orders.commands() {
            let tag = match command {
                TagCommand::Resume(tag) | TagCommand::Cancel(tag) => Some(tag),
                TagCommand::CancelAll => None,
            };
            for ticket in self.state.tickets_of(tag) {
                match command {
                    TagCommand::Resume(_) => self.resume(ticket),
                    TagCommand::Cancel(_) | TagCommand::CancelAll => self.cancel(ticket),
                }
            }
        }
        loop {
            let places = &self.state.places;
            if places.live + places.queued.len() >= places.most {
                break;
            }
            let closed = places.closed;
            let Some((request, called_off)) = orders.next() else { break };
            self.begin(&request, called_off || closed, visitor);
        }
        self.orders = Some(orders);
    }

    /// A handle for other threads: it submits, resumes and cancels by tag, and wakes. At most
    /// `most` requests wait at a time. The descriptor becomes readable when there is something to do. What is
    /// wrong with a request is told by [`Visitor::done`].
    ///
    /// ```no_run
    /// use std::sync::Arc;
    /// use gannet::Fetcher;
    /// use gannet::fetch::{Options, Profile, Request, Url, UrlRules};
    ///
    /// let mut fetcher = Fetcher::new(Options::default())?;
    /// let remote = fetcher.remote(64)?;
    /// std::thread::spawn(move || {
    ///     let url = Url::parse("https://example.org/", &UrlRules::default())?;
    ///     let request = Request { url, tag: 1, profile: Arc::new(Profile::default()) };
    ///     Ok::<_, Box<dyn std::error::Error + Send + Sync>>(remote.submit(request)?)
    /// });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "remote")]
    pub fn remote(&mut self, most: usize) -> io::Result<super::Remote> {
        if self.orders.is_none() {
            self.orders = Some(crate::net::remote::Inbox::new(self.driver.net(), most)?);
        }
        let orders = self.orders.as_ref().ok_or(io::ErrorKind::Other)?;
        Ok(orders.remote())
    }

    /// Keeps events for [`observe`](Self::observe), at most so many;
    /// see [`Engine::watch`].
    pub fn watch(&mut self, most: usize) {
        self.driver.watch(most);
    }

    /// Hands the events that wait to `observer`, in order: call it after each
    /// [`turn`](Self::turn). [`watch`](Self::watch) turns them on.
    pub fn observe<O: Observer + ?Sized>(&mut self, observer: &mut O) {
        self.driver.observe(observer);
    }

    /// A name that is to be looked up, where [`NameOptions::external`](super::NameOptions::external)
    /// says that somebody else does so; answer with [`resolved`](Self::resolved), in the time of
    /// [`connect_timeout`](crate::engine::Config::connect_timeout). Who looks up in another thread wakes the
    /// loop with `Remote::wake` when the answer is there, and calls `resolved` in the loop's thread.
    pub fn next_lookup(&mut self) -> Option<(HostKey, Origin<'_>)> {
        let host = self.driver.next_lookup()?;
        Some((host, self.driver.engine().origin(host)))
    }

    /// The answer to a look-up.
    pub fn resolved(
        &mut self,
        host: HostKey,
        result: Result<Resolved<'_>, DnsFailure<'_>>,
        visitor: &mut dyn Visitor,
    ) {
        let mut pass = Pass { state: &mut self.state, visitor };
        self.driver.resolved(host, result, &mut pass);
    }

    /// For how long this machine's own network, or every name server, has seemed to be down;
    /// `None`: it is not. What fails for it is not counted meanwhile.
    pub fn offline_for(&mut self) -> Option<Duration> {
        let since = self.driver.engine().offline_since()?;
        Some(self.driver.net_mut().now() - since)
    }

    /// When [`turn`](Self::turn) wants to be called at the latest, from now; `None`: when the
    /// descriptor is readable.
    pub fn next_timeout(&mut self) -> Option<Duration> {
        if !self.state.between.is_empty() || !self.state.places.queued.is_empty() {
            return Some(Duration::ZERO);
        }
        #[cfg(feature = "remote")]
        if let Some(orders) = &self.orders {
            let places = &self.state.places;
            if orders.wants_turn(places.live + places.queued.len() < places.most) {
                return Some(Duration::ZERO);
            }
        }
        let now = self.driver.net_mut().now();
        let next = self.driver.next_deadline().map(|at| ask::until(at, now));
        [next, self.next_cut()].into_iter().flatten().min()
    }

    /// Stops reading an answer; see [`Control::pause`], also for the times that stand still meanwhile.
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

    /// The time by this fetcher's clock, to which the moments in [`HostStats`] belong.
    pub fn now(&mut self) -> Instant {
        self.driver.net_mut().now()
    }

    /// What is known of each host, with the reasons in words: [`HostStats::explanation`] and
    /// [`HostStats::pace`].
    pub fn host_stats(&self) -> impl Iterator<Item = HostStats<'_>> {
        self.driver.engine().host_stats()
    }

    /// What is known of each address that several origins share, in no order.
    pub fn address_stats(&self) -> impl Iterator<Item = AddressStats> {
        self.driver.engine().address_stats()
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.driver.engine().connections()
    }

    /// Takes over what of these options concerns requests and no connection, for requests that are
    /// submitted from now on and redirects from now on: [`schemes`](Options::schemes),
    /// [`redirects`](Options::redirects), [`netrc`](Options::netrc) with
    /// [`netrc_required`](Options::netrc_required), and [`expect_timeout`](Options::expect_timeout);
    /// and of [`driver`](Options::driver) what one read may bring.
    pub fn set_rules(&mut self, options: &Options) {
        self.state.usual = Usual::Unknown;
        let own = &mut self.state.options;
        own.schemes = options.schemes;
        own.redirects = options.redirects;
        own.netrc.clone_from(&options.netrc);
        own.netrc_required = options.netrc_required;
        own.expect_timeout = options.expect_timeout;
        own.driver.read_buffer = options.driver.read_buffer;
        self.driver.set_read_buffer(options.driver.read_buffer);
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

    /// The token of a further source that became ready and was not taken yet, if there is one: as it was
    /// registered, [`FOREIGN`](crate::net::mio::FOREIGN) included.
    pub fn next_foreign(&mut self) -> Option<usize> {
        self.driver.net_mut().next_foreign()
    }
}

#[cfg(unix)]
impl AsFd for Fetcher {
    /// The one descriptor that a foreign loop watches for readability. It stays the same.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.driver.net().as_fd()
    }
}

#[cfg(unix)]
impl AsRawFd for Fetcher {
    /// The one descriptor that a foreign loop watches for readability.
    fn as_raw_fd(&self) -> RawFd {
        self.driver.net().as_raw_fd()
    }
}
