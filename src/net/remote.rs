//! A handle for other threads: submit, resume, cancel, wake.
//!
//! Owns the bounded queue between the threads and the loop, and the order of what comes over it.
//! The loop itself stays in one thread: all callbacks run there. What is submitted waits until the
//! engine has room for it; a lock is taken only while something waits.

use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::mio::Mio;
use super::{Driver, Net};
use crate::base::Instant;
use crate::engine::{Handler, Options, Origin, Payload, Request, Retry, Scheme, Unsaid};
use crate::proto::{self, RequestError, RequestHead};

/// A request that owns what it is made of, fit to be sent to another thread.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// With or without TLS.
    pub scheme: Scheme,
    /// A name in lower case, or an address (IPv6 without brackets).
    pub host: Box<str>,
    /// The port.
    pub port: u16,
    /// A token, usually in capitals.
    pub method: Box<str>,
    /// Origin-form (`/path?query`).
    pub target: Box<str>,
    /// Field lines.
    pub fields: Vec<(Box<str>, Box<[u8]>)>,
    /// The request's body.
    pub body: Payload,
    /// The submitter's own number: comes back with every callback, and names the request to
    /// [`Remote::cancel`] and [`Remote::resume`].
    pub tag: u64,
    /// What differs from the engine's configuration.
    pub options: Options,
}

impl Order {
    /// A GET without anything special.
    pub fn get(origin: &Origin<'_>, target: &str) -> Self {
        Self {
            scheme: origin.scheme,
            host: origin.host.into(),
            port: origin.port,
            method: "GET".into(),
            target: target.into(),
            fields: Vec::new(),
            body: Payload::None,
            tag: 0,
            options: Options::default(),
        }
    }

    /// With the submitter's own number.
    #[must_use]
    pub fn tag(mut self, tag: u64) -> Self {
        self.tag = tag;
        self
    }

    /// With one more field line.
    #[must_use]
    pub fn field(mut self, name: &str, value: &[u8]) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// Before the ordinary requests of its host.
    #[must_use]
    pub fn urgent(mut self) -> Self {
        self.options.urgent = true;
        self
    }

    /// Tried as often as `retry` says, whatever the engine's configuration says.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.options.set_retry(retry);
        self
    }

    /// Whether it can be put on the wire.
    fn check(&self) -> Result<(), RequestError> {
        let fields: Vec<(&str, &[u8])> = self.fields();
        let head =
            RequestHead { method: &self.method, target: &self.target, host: "a", fields: &fields };
        let body = self.body.framing();
        let mut out = Vec::new();
        proto::encode_head(&mut out, &head, body)?;
        let unsaid: Unsaid = self.options.unsaid;
        unsaid.apply(&mut out, body);
        Ok(())
    }

    fn fields(&self) -> Vec<(&str, &[u8])> {
        self.fields.iter().map(|(name, value)| (&**name, &**value)).collect()
    }
}

/// Why something was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RemoteError {
    /// As much waits as was allowed: the loop is behind.
    Full,
    /// The loop is gone.
    Closed,
    /// The request can't be put on the wire.
    Request(RequestError),
}

impl fmt::Display for RemoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("as much waits for the loop as was allowed"),
            Self::Closed => f.write_str("the loop is gone"),
            Self::Request(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for RemoteError {}

/// Submits, resumes, cancels and wakes from other threads: `Send`, `Sync`, and cheap to clone.
///
/// Made by [`Driver::remote`] (of [`Order`]s) or by `Fetcher::remote` (of `fetch::Request`s).
/// What was taken is told to the loop's handler as any other request: `done` exactly once, unless
/// the loop is dropped before.
///
/// ```
/// use std::time::Duration;
/// use gannet::engine::{Advice, Config, Ctl, Engine, Handler, JobRef, Origin, Report, Scheme};
/// use gannet::net::remote::Order;
/// use gannet::net::{Driver, DriverConfig, mio::Mio};
/// use gannet::proto::{Body, Head};
///
/// #[derive(Default)]
/// struct Count(u32);
/// impl Handler for Count {
///     fn head(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &Head<'_>, _: Body) -> Advice {
///         Advice::SkipBody
///     }
///     fn body(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &[u8]) {}
///     fn done(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &Report<'_>) {
///         self.0 += 1;
///     }
/// }
///
/// let mut driver = Driver::new(Engine::new(Config::tiny()), Mio::new(64)?, DriverConfig::tiny());
/// let remote = driver.remote(16)?;
/// let thread = std::thread::spawn(move || {
///     let origin = Origin { scheme: Scheme::Http, host: "127.0.0.1", port: 9 };
///     remote.submit(Order::get(&origin, "/").tag(7))?;
///     remote.cancel(7)
/// });
/// let mut count = Count::default();
/// while count.0 == 0 {
///     driver.turn(Some(Duration::from_secs(1)), &mut count)?;
/// }
/// thread.join().unwrap()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Remote<T = Order> {
    channel: Arc<Channel<T>>,
}

impl<T> Clone for Remote<T> {
    fn clone(&self) -> Self {
        Self { channel: Arc::clone(&self.channel) }
    }
}

impl<T> fmt::Debug for Remote<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("waiting", &self.waiting()).finish_non_exhaustive()
    }
}

impl Remote<Order> {
    /// Takes a request, and wakes the loop. What is wrong with it is said here.
    pub fn submit(&self, order: Order) -> Result<(), RemoteError> {
        order.check().map_err(RemoteError::Request)?;
        let tag = order.tag;
        self.push(order, tag)
    }
}

impl<T> Remote<T> {
    /// Appends a request, and wakes the loop.
    pub(crate) fn push(&self, request: T, tag: u64) -> Result<(), RemoteError> {
        self.change(|queue| {
            if queue.requests.len() >= queue.most {
                return Err(RemoteError::Full);
            }
            queue.requests.push_back(Waiting { request, tag, called_off: false });
            Ok(())
        })
    }

    /// Goes on with all requests with this tag that wait: reading, or asking for more of a streamed
    /// request body. For a consumer in another thread, which has room again. [`RemoteError::Full`] where as
    /// many resumes and cancels wait for a turn as requests may: nothing was noted then, and it is to be said again.
    pub fn resume(&self, tag: u64) -> Result<(), RemoteError> {
        self.change(|queue| {
            let command = TagCommand::Resume(tag);
            if queue.commands.contains(&command) {
                return Ok(());
            }
            queue.command(command)
        })
    }

    /// Calls off all requests with this tag that were submitted so far.
    pub fn cancel(&self, tag: u64) -> Result<(), RemoteError> {
        self.call_off(Some(tag))
    }

    /// Calls off everything that was submitted so far.
    pub fn cancel_all(&self) -> Result<(), RemoteError> {
        self.call_off(None)
    }

    fn call_off(&self, tag: Option<u64>) -> Result<(), RemoteError> {
        self.change(|queue| {
            for waiting in &mut queue.requests {
                waiting.called_off |= tag.is_none_or(|tag| tag == waiting.tag);
            }
            if tag.is_none() {
                queue.commands.clear();
            }
            queue.command(tag.map_or(TagCommand::CancelAll, TagCommand::Cancel))
        })
    }

    /// Wakes the loop: the turn that is waiting returns, or the next one does not wait. Takes no lock, so it does not
    /// tell whether the loop is gone; then it does nothing.
    pub fn wake(&self) -> Result<(), RemoteError> {
        self.channel.waker.wake().map_err(|_| RemoteError::Closed)
    }

    /// How many requests wait for the loop.
    pub fn waiting(&self) -> usize {
        self.channel.lock().requests.len()
    }

    fn change(
        &self,
        change: impl FnOnce(&mut Queue<T>) -> Result<(), RemoteError>,
    ) -> Result<(), RemoteError> {
        let mut queue = self.channel.lock();
        if !queue.open {
            return Err(RemoteError::Closed);
        }
        change(&mut queue)?;
        self.channel.count(&queue);
        drop(queue);
        self.wake()
    }
}

/// What the threads and the loop share.
struct Channel<T> {
    queue: Mutex<Queue<T>>,
    /// Requests that wait, and commands: looked at without the lock.
    requests: AtomicUsize,
    commands: AtomicUsize,
    waker: ::mio::Waker,
}

struct Queue<T> {
    requests: VecDeque<Waiting<T>>,
    commands: Vec<TagCommand>,
    most: usize,
    open: bool,
}

impl<T> Queue<T> {
    fn command(&mut self, command: TagCommand) -> Result<(), RemoteError> {
        if self.commands.len() >= self.most {
            return Err(RemoteError::Full);
        }
        self.commands.push(command);
        Ok(())
    }
}

/// What is to be done with requests that the loop has already, by their tags.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum TagCommand {
    Resume(u64),
    Cancel(u64),
    CancelAll,
}

/// A request that waits for the loop.
struct Waiting<T> {
    request: T,
    tag: u64,
    called_off: bool,
}

impl<T> Channel<T> {
    fn lock(&self) -> MutexGuard<'_, Queue<T>> {
        // Nothing here panics while it holds the lock.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, queue: &Queue<T>) {
        self.requests.store(queue.requests.len(), Ordering::Release);
        self.commands.store(queue.commands.len(), Ordering::Release);
    }
}

/// The loop's end of the queue.
pub(crate) struct Inbox<T> {
    channel: Arc<Channel<T>>,
}

impl<T> Inbox<T> {
    /// A queue for so many requests.
    pub(crate) fn new(net: &Mio, most: usize) -> io::Result<Self> {
        let queue = Queue {
            requests: VecDeque::new(),
            commands: Vec::new(),
            most: most.max(1),
            open: true,
        };
        let channel = Channel {
            queue: Mutex::new(queue),
            requests: AtomicUsize::new(0),
            commands: AtomicUsize::new(0),
            waker: net.waker()?,
        };
        Ok(Self { channel: Arc::new(channel) })
    }

    pub(crate) fn remote(&self) -> Remote<T> {
        Remote { channel: Arc::clone(&self.channel) }
    }

    /// Whether a turn could do something for what waits.
    pub(crate) fn wants_turn(&self, room: bool) -> bool {
        self.channel.commands.load(Ordering::Acquire) > 0
            || (room && self.channel.requests.load(Ordering::Acquire) > 0)
    }

    /// What is to be done; requests to call off that waited here are marked already.
    pub(crate) fn commands(&self) -> Vec<TagCommand> {
        if self.channel.commands.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        let mut queue = self.channel.lock();
        let commands = core::mem::take(&mut queue.commands);
        self.channel.count(&queue);
        commands
    }

    /// The request that has waited longest, and whether it was called off.
    pub(crate) fn next(&self) -> Option<(T, bool)> {
        if self.channel.requests.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut queue = self.channel.lock();
        let waiting = queue.requests.pop_front()?;
        self.channel.count(&queue);
        Some((waiting.request, waiting.called_off))
    }
}

impl<T> Drop for Inbox<T> {
    fn drop(&mut self) {
        let mut queue = self.channel.lock();
        queue.open = false;
        queue.requests.clear();
        queue.commands.clear();
        self.channel.count(&queue);
    }
}

impl Driver<Mio> {
    /// A handle for other threads, at most `most` of whose requests wait at a time; where there
    /// is one already, another of the same kind. The descriptor becomes readable when there is
    /// something to do.
    pub fn remote(&mut self, most: usize) -> io::Result<Remote> {
        if self.inbox.is_none() {
            self.inbox = Some(Inbox::new(self.net(), most)?);
        }
        let inbox = self.inbox.as_ref().ok_or(io::ErrorKind::Other)?;
        Ok(inbox.remote())
    }
}

impl<N: Net> Driver<N> {
    /// Takes what other threads have submitted, as far as there is room; whether there was
    /// anything.
    pub(super) fn take_orders(&mut self, handler: &mut dyn Handler) -> bool {
        let Some(inbox) = self.inbox.take() else { return false };
        let mut any = false;
        let now: Instant = self.now;
        for command in inbox.commands() {
            match command {
                TagCommand::Resume(tag) => self.engine.resume_tag(tag),
                TagCommand::Cancel(tag) => self.engine.cancel_tag(tag, now, handler),
                TagCommand::CancelAll => self.engine.cancel_all(now, handler),
            }
            any = true;
        }
        while self.engine.has_room()
            && let Some((order, called_off)) = inbox.next()
        {
            let origin = Origin { scheme: order.scheme, host: &order.host, port: order.port };
            let host = self.engine.host(&origin);
            let fields = order.fields();
            let request = Request {
                host,
                method: &order.method,
                target: &order.target,
                fields: &fields,
                body: order.body.clone(),
                tag: order.tag,
                options: order.options.clone(),
            };
            // It was looked at when it was submitted, and there is room: the engine takes it,
            // unless it takes nothing any more.
            if called_off || self.engine.submit(&request, now).is_err() {
                self.engine.submit_called_off(&request, now, handler);
            }
            any = true;
        }
        self.inbox = Some(inbox);
        any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Config, Engine};

    #[test]
    fn an_order_is_told_as_a_request_is() {
        let origin = Origin { scheme: Scheme::Http, host: "192.0.2.1", port: 80 };
        let host = Engine::new(Config::tiny()).host(&origin);
        for retry in [Retry::none(), Retry::attempts(3)] {
            let order = Order::get(&origin, "/a").tag(7).urgent().retry(retry);
            let request = Request::get(host, "/a").tag(7).urgent().retry(retry);
            assert_eq!((order.tag, &*order.method, &*order.target), (7, "GET", "/a"));
            assert_eq!(order.options, request.options);
            assert!(order.options.urgent && order.options != Options::default());
        }
    }
}
