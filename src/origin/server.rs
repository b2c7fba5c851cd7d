//! The loop: one thread, one poller, every connection in turn.

use core::cmp::Reverse;
use core::time::Duration;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use mio::event::Event;
use mio::{Events, Interest, Poll, Token, Waker};

use crate::base::{Arena, Instant, Key, Timers, sort_by_key};

use super::conn::{Conn, Fate, Standing, turned_away};
use super::listen::Listener;
use super::outgoing::{Finish, Outgoing};
use super::rules::How;
use super::running::{Command, Handle, Shared};
use super::script::Script;
use super::session;
use super::stream::{Stream, reset};
use super::traffic::{Full, Share, Welcome};
use super::world::World;

const WAKER: Token = Token(usize::MAX);
/// Listeners count down from here.
const LISTENERS: usize = usize::MAX - 1;
/// Connections accepted in one go.
const MAX_ACCEPTS: usize = 256;
/// How long to wait when the system has no descriptor for another connection.
const ACCEPT_AGAIN: Duration = Duration::from_millis(10);
/// Pollers count in milliseconds; shorter waits are slept through in steps of this.
const NAP: Duration = Duration::from_micros(100);
const MILLISECOND: Duration = Duration::from_millis(1);

/// Deadlines of the server itself.
const SCHEDULE: usize = 0;
const ACCEPT: usize = 1;
/// From here on: when a site has bandwidth again.
const POUR: usize = 2;

/// A server that is bound to its addresses, and serves while it [runs](Server::run).
///
/// ```no_run
/// use gannet::origin::{Script, Server};
///
/// let mut server = Server::bind(Script::new())?;
/// println!("http://{}/", server.addrs()[0]);
/// server.run()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Server {
    poll: Poll,
    events: Events,
    seen: Vec<Seen>,
    listeners: Vec<Listener>,
    conns: Arena<Conn>,
    world: World,
    tls: Option<session::Config>,
    clock: Timers,
    /// Connections with more to do.
    hot: Vec<Key<Conn>>,
    commands: Receiver<Command>,
    handle: Handle,
    is_down: bool,
    in_outage: bool,
    started: std::time::Instant,
}

impl Server {
    /// Listens as the script says, and serves nobody yet.
    pub fn bind(script: Script) -> io::Result<Self> {
        script.check()?;
        let tls = script.tls.as_ref().map(session::Config::new).transpose()?;
        let default = [([127, 0, 0, 1], 0).into()];
        let wanted = if script.listen.is_empty() { &default[..] } else { &script.listen };
        let has_sites = script.share == Share::Address;
        let sites = if has_sites { wanted.len() } else { 1 };
        let mut listeners = Listener::bind_all(wanted, script.admin, has_sites)?;
        let addresses: Vec<SocketAddr> = listeners.iter().map(|it| it.address).collect();
        let poll = Poll::new()?;
        for (number, listener) in listeners.iter_mut().enumerate() {
            listener.register(poll.registry(), Token(LISTENERS - number))?;
        }
        let waker = Waker::new(poll.registry(), WAKER)?;
        let public = &addresses[..wanted.len()];
        let admin = addresses.get(wanted.len()).copied();
        let (shared, commands) = Shared::new(public, admin, tls.is_some(), waker);
        let shared = Arc::new(shared);
        Ok(Self {
            poll,
            events: Events::with_capacity(1_024),
            seen: Vec::new(),
            listeners,
            conns: Arena::new(),
            world: World::new(script, Arc::clone(&shared), addresses, sites),
            tls,
            clock: Timers::new(),
            hot: Vec::new(),
            commands,
            handle: Handle::new(shared),
            is_down: false,
            in_outage: false,
            started: std::time::Instant::now(),
        })
    }

    /// The addresses that it listens on, in the script's order.
    pub fn addrs(&self) -> &[SocketAddr] {
        self.handle.addrs()
    }

    /// What other threads use to look at it, and to stop it.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Serves until it is told to stop.
    pub fn run(&mut self) -> io::Result<()> {
        while !self.handle.is_stopping() {
            self.turn()?;
        }
        Ok(())
    }

    /// Stops listening and resets all connections, as if the process were killed.
    pub fn go_down(&mut self) {
        self.is_down = true;
        self.tend_listeners();
        self.reset_all();
    }

    /// Listens again.
    pub fn come_up(&mut self) {
        self.is_down = false;
        self.tend_listeners();
    }

    /// Resets all connections, and goes on.
    pub fn reset_all(&mut self) {
        let keys: Vec<_> = self.conns.iter().map(|(key, _)| key).collect();
        for key in keys {
            if self.conns.get(key).is_some_and(|conn| conn.standing != Standing::Admin) {
                self.remove(key, Fate::Reset);
            }
        }
    }

    fn turn(&mut self) -> io::Result<()> {
        self.wait()?;
        self.read_clock();
        let mut seen = core::mem::take(&mut self.seen);
        seen.extend(self.events.iter().map(Seen::from));
        for Seen { token, is_readable, is_closing, is_dead } in seen.drain(..) {
            if token == WAKER {
                self.obey();
            } else if let Some(key) = self.conns.unpack(token.0) {
                self.conns[key].note(is_readable, is_closing);
                if is_dead { self.remove(key, Fate::Close) } else { self.drive(key, false) }
            } else if let Some(listener) =
                LISTENERS.checked_sub(token.0).and_then(|at| self.listeners.get_mut(at))
            {
                listener.is_ready = true;
                self.world.freed = true;
            }
        }
        self.seen = seen;
        while let Some(slot) = self.world.timers.pop_due(self.world.now) {
            if let Some(key) = self.conns.at(slot) {
                self.drive(key, true);
            }
        }
        while let Some(what) = self.clock.pop_due(self.world.now) {
            match what {
                SCHEDULE => self.keep_schedule(),
                ACCEPT => self.world.freed = true,
                site => self.pour(site - POUR),
            }
        }
        for key in core::mem::take(&mut self.hot) {
            self.drive(key, false);
        }
        if self.world.script.bandwidth.is_some() {
            for site in 0..self.world.sites.len() {
                self.pour(site);
            }
        }
        while core::mem::take(&mut self.world.freed) {
            self.find_work();
            self.tend_listeners();
            self.accept_all();
        }
        Ok(())
    }

    fn read_clock(&mut self) {
        self.world.now = Instant::ZERO + self.started.elapsed();
    }

    fn wait(&mut self) -> io::Result<()> {
        let next = [self.world.timers.next(), self.clock.next()].into_iter().flatten().min();
        self.read_clock();
        let timeout = if self.hot.is_empty() {
            next.map(|next| next - self.world.now)
        } else {
            Some(Duration::ZERO)
        };
        // Rounded down: the poller itself rounds up to whole milliseconds.
        let whole = timeout.map(|timeout| Duration::from_millis(timeout.as_millis() as u64));
        match self.poll.poll(&mut self.events, whole) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        if let Some(timeout) = timeout
            && timeout < MILLISECOND
            && self.events.is_empty()
        {
            std::thread::sleep(timeout.min(NAP));
        }
        Ok(())
    }

    fn obey(&mut self) {
        while let Ok(command) = self.commands.try_recv() {
            let done = match command {
                Command::Down(done) => {
                    self.go_down();
                    done
                }
                Command::Up(done) => {
                    self.come_up();
                    done
                }
                Command::ResetAll(done) => {
                    self.reset_all();
                    done
                }
            };
            // Whoever asked may have given up waiting.
            let _ = done.send(());
        }
    }

    fn drive(&mut self, key: Key<Conn>, is_due: bool) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        let fate = conn.drive(key, &mut self.world, is_due);
        let unspent = conn.take_back();
        if unspent > 0 {
            self.world.sites[conn.site].give_back(unspent);
        }
        match fate {
            Fate::Wait => {}
            Fate::Again => self.hot.push(key),
            Fate::Close | Fate::Reset => self.remove(key, fate),
        }
    }

    fn remove(&mut self, key: Key<Conn>, fate: Fate) {
        let Some(conn) = self.conns.remove(key) else { return };
        self.world.timers.cancel(key.index());
        if conn.is_working() {
            self.world.end_work(conn.site);
        }
        if conn.is_queued() {
            self.world.sites[conn.site].waiting.retain(|&waiting| waiting != key);
        }
        if conn.standing == Standing::Regular {
            self.world.sites[conn.site].open -= 1;
            self.world.freed = true;
        }
        if conn.standing != Standing::Admin {
            self.world.stats().closed(conn.listener);
        }
        if fate == Fate::Reset {
            self.world.stats().resets.up();
            conn.stream.reset();
        }
    }

    /// Gives free workers to those who wait for one.
    fn find_work(&mut self) {
        if !self.world.has_service() {
            return;
        }
        for site in 0..self.world.sites.len() {
            while self.world.has_worker(site)
                && let Some(key) = self.world.sites[site].waiting.pop_front()
            {
                if let Some(conn) = self.conns.get_mut(key) {
                    conn.start_work(key, &mut self.world);
                }
            }
        }
    }

    /// Deals bandwidth out to those who wait for it, in turn.
    fn pour(&mut self, site: usize) {
        let Some(bandwidth) = self.world.script.bandwidth else { return };
        while let Some(&key) = self.world.sites[site].thirsty.front() {
            let portion = self.world.sites[site].pour(self.world.now, bandwidth);
            if portion == 0 {
                let at = self.world.sites[site].next_portion(self.world.now, bandwidth);
                self.clock.set(POUR + site, at);
                return;
            }
            self.world.sites[site].thirsty.pop_front();
            if self.conns.get_mut(key).is_some_and(|conn| conn.grant(portion)) {
                self.drive(key, false);
            } else {
                self.world.sites[site].give_back(portion);
            }
        }
    }

    /// Opens and closes listeners as outages and limits want it.
    fn tend_listeners(&mut self) {
        let refuses = self.world.full() == Full::Refuse;
        for (number, listener) in self.listeners.iter_mut().enumerate() {
            let is_full = refuses && self.world.is_full(listener.site);
            let is_open = listener.is_admin || !(self.is_down || self.in_outage || is_full);
            match listener.set(is_open, self.poll.registry(), Token(LISTENERS - number)) {
                Ok(true) if is_full => self.world.stats().listener_closed.up(),
                Ok(_) => {}
                Err(_) => self.clock.set(ACCEPT, self.world.now + ACCEPT_AGAIN),
            }
        }
    }

    fn accept_all(&mut self) {
        for number in 0..self.listeners.len() {
            let mut count = 0;
            while self.listeners[number].is_ready {
                let Listener { site, is_admin, .. } = self.listeners[number];
                if !is_admin && self.world.is_full(site) {
                    match self.world.full() {
                        Full::Wait => break,
                        Full::Refuse => {
                            self.tend_listeners();
                            break;
                        }
                        _ => {}
                    }
                }
                match self.listeners[number].accept() {
                    Ok(tcp) => self.welcome(tcp, number),
                    Err(error) => match error.kind() {
                        io::ErrorKind::WouldBlock => self.listeners[number].is_ready = false,
                        io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                        _ => {
                            self.clock.set(ACCEPT, self.world.now + ACCEPT_AGAIN);
                            break;
                        }
                    },
                }
                count += 1;
                if count == MAX_ACCEPTS {
                    self.clock.set(ACCEPT, self.world.now);
                    break;
                }
            }
        }
    }

    fn welcome(&mut self, tcp: mio::net::TcpStream, listener: usize) {
        let Listener { site, is_admin, .. } = self.listeners[listener];
        let standing = if is_admin {
            Standing::Admin
        } else if self.world.is_full(site) {
            Standing::Extra
        } else {
            Standing::Regular
        };
        if standing != Standing::Admin {
            self.world.connections += 1;
            self.world.stats().opened(listener);
            if self.world.first_connection.is_none() {
                self.world.first_connection = Some(self.world.now);
                self.keep_schedule();
            }
        }
        let mut greeting = None;
        if standing == Standing::Extra {
            self.world.stats().turned_away.up();
            match self.world.full() {
                Full::ResetOnAccept | Full::Refuse | Full::Wait => {
                    reset(&tcp);
                    self.world.stats().resets.up();
                    self.world.stats().closed(listener);
                    return;
                }
                Full::Answer { status, retry_after, at_once: true } => {
                    greeting = Some((status, retry_after));
                }
                Full::ResetOnRequest | Full::Answer { .. } => {}
            }
        }
        // Small pieces are to arrive as small pieces. Where this fails the connection is dead.
        let _ = tcp.set_nodelay(true);
        let Ok(stream) = Stream::new(tcp, self.tls.as_ref().filter(|_| !is_admin)) else {
            self.world.stats().closed(listener);
            return;
        };
        let number = self.world.connections;
        let key = self.conns.insert(Conn::new(stream, listener, site, number, standing));
        if standing == Standing::Regular {
            self.world.sites[site].open += 1;
            if self.world.full() == Full::Refuse && self.world.is_full(site) {
                // Before anyone hears from this connection.
                self.tend_listeners();
            }
        }
        let conn = &mut self.conns[key];
        if self.world.script.tls.as_ref().is_some_and(|tls| !tls.close_notify) {
            conn.stream.be_rude();
        }
        let registry = self.poll.registry();
        let both = Interest::READABLE | Interest::WRITABLE;
        if registry.register(conn.stream.tcp(), Token(key.pack()), both).is_err() {
            self.remove(key, Fate::Close);
            return;
        }
        conn.await_request(key, &mut self.world);
        if let Some((status, retry_after)) = greeting {
            let outgoing = turned_away(conn, status, retry_after, &mut self.world);
            conn.speak(outgoing);
        }
        if standing == Standing::Regular {
            let World { script, chance, .. } = &mut self.world;
            match script.arrivals.iter().find(|it| it.matches(number, chance)).map(|it| &it.then) {
                Some(Welcome::Banner { bytes, then }) => {
                    let finish = then.map_or(Finish::Keep, Finish::Cut);
                    conn.speak(Outgoing::raw(&bytes.0, finish));
                }
                Some(Welcome::End(How::Reset)) => return self.remove(key, Fate::Reset),
                Some(Welcome::End(How::Fin)) => return self.remove(key, Fate::Close),
                Some(Welcome::End(how @ (How::Stall | How::Freeze))) => {
                    conn.stall(*how == How::Freeze);
                }
                Some(Welcome::CutWire { at, how }) => conn.stream.cut_after(*at, *how),
                None => {}
            }
        }
        self.drive(key, false);
    }

    /// Does what the script's schedule wants now, and looks when it wants something next.
    fn keep_schedule(&mut self) {
        let Some(first) = self.world.first_connection else { return };
        let ms = self.world.schedule_ms();
        let script = &self.world.script;
        let edges = script.outages.iter().flat_map(|it| [it.at_ms, it.end_ms()]);
        let changes = script.connections.iter().filter_map(|it| it.limit.next_change(ms));
        if let Some(next) = edges.chain(changes).filter(|&at| at > ms).min() {
            self.clock.set(SCHEDULE, first + Duration::from_millis(next));
        }
        let in_outage = script.outages.iter().any(|it| (it.at_ms..it.end_ms()).contains(&ms));
        if in_outage != self.in_outage {
            self.in_outage = in_outage;
            self.tend_listeners();
            if in_outage {
                self.reset_all();
            }
        }
        for site in 0..self.world.sites.len() {
            self.shed(site);
        }
        self.world.freed = true;
    }

    /// The limit may have fallen below what is open: the newest have to go.
    fn shed(&mut self, site: usize) {
        let excess = self.world.sites[site].open.saturating_sub(self.world.limit());
        if excess == 0 {
            return;
        }
        let mut newest: Vec<_> = self
            .conns
            .iter()
            .filter(|(_, conn)| conn.site == site && conn.standing == Standing::Regular)
            .map(|(key, conn)| (conn.number, key))
            .collect();
        sort_by_key(&mut newest, |&(number, _)| Reverse(number));
        for (_, key) in newest.into_iter().take(excess) {
            let conn = &mut self.conns[key];
            conn.standing = Standing::Shed;
            self.world.sites[site].open -= 1;
            self.world.stats().turned_away.up();
            if self.conns[key].is_idle() {
                self.remove(key, Fate::Reset);
            }
        }
    }
}

/// An event, taken out of the poller's list so that the list is free while it is dealt with.
#[derive(Debug)]
struct Seen {
    token: Token,
    is_readable: bool,
    /// The peer closed its direction.
    is_closing: bool,
    /// Both directions are closed, or the connection was reset.
    is_dead: bool,
}

impl From<&Event> for Seen {
    fn from(event: &Event) -> Self {
        let is_closing = event.is_read_closed();
        Self {
            token: event.token(),
            is_readable: event.is_readable(),
            is_closing,
            is_dead: event.is_error() || is_closing && event.is_write_closed(),
        }
    }
}
