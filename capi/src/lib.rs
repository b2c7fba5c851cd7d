//! The C interface of gannet: `gannet.h` says it in C.
//!
//! Owns the border, the only place with `unsafe` in the repository: opaque handles, callbacks,
//! structs that carry their size, codes with texts. Decides nothing: `gannet::Fetcher` does.
//!
//! - `types`: what both sides know.
//! - `border`: what comes in is looked at, what goes out is no panic.
//! - `visit`: callbacks.
//! - `draft`: what one of them may change of a request's head.
//! - `hosts`: what is known of them.
//!
//! # Threads
//!
//! A `gannet` belongs to the thread that made it: all its functions and callbacks run there. A
//! `gannet_remote` may be used by any thread, by several at once. There is no global state, no
//! signal handler, no environment; SIGPIPE is never raised by it (every write says `MSG_NOSIGNAL`).
#![allow(clippy::missing_safety_doc, reason = "the header says what callers promise")]

mod border;
mod draft;
mod hosts;
mod types;
mod visit;

use core::cell::{Cell, UnsafeCell};
use core::ffi::{c_char, c_int, c_void};
use core::time::Duration;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;

use border::{Fail, bytes, fail, guarded, read_sized, text};
use engine::engine::{Load, PerHost, Retry};
use engine::fetch::{
    Body, Control, Fetcher, Field, Follow, KnownHost, Options, Profile, Remote, Request,
    StartError, Ticket, Url, UrlRules,
};
use engine::net::observe::{Event, Level, level};
use engine::net::remote::RemoteError;
pub use types::*;
use visit::{Calls, Scratch};

/// A loop: requests, connections, and what they share. For one thread.
#[allow(non_camel_case_types)]
pub struct gannet {
    state: Cell<State>,
    inside: UnsafeCell<Inside>,
}

/// Who may come in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Anyone.
    Idle,
    /// Nobody: a call is running, and this is one of its callbacks.
    Busy,
    /// Nobody any more: a call ended in a panic.
    Broken,
}

struct Inside {
    fetcher: Fetcher,
    scratch: Scratch,
    log: gannet_log,
    log_user: *mut c_void,
    log_level: c_int,
    line: Vec<u8>,
}

/// A handle for other threads.
#[allow(non_camel_case_types)]
pub struct gannet_remote {
    remote: Remote,
}

/// The library's version, as in `0.1.0`.
#[unsafe(no_mangle)]
pub extern "C" fn gannet_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// A new loop; NULL and an error where there is none. `options` may be NULL. Free it with
/// gannet_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gannet_new(
    options: *const gannet_options,
    error: *mut gannet_error,
) -> *mut gannet {
    // SAFETY: the header's promises: `options` and `error` are NULL or what they are said to be.
    let make = || unsafe {
        let options = if options.is_null() {
            Options::default()
        } else {
            read_options(&read_sized(options, "options")?)?
        };
        let fetcher = Fetcher::new(options)?;
        let inside = UnsafeCell::new(Inside {
            fetcher,
            scratch: Scratch::default(),
            log: None,
            log_user: core::ptr::null_mut(),
            log_level: 0,
            line: Vec::new(),
        });
        Ok(Box::into_raw(Box::new(gannet { state: Cell::new(State::Idle), inside })))
    };
    // SAFETY: as above.
    unsafe { guarded(error, core::ptr::null_mut(), make).0 }
}

/// Bytes of heap that a loop made with these options holds at most, over TLS as well, while it
/// asks at most `hosts` different servers, with URLs and heads of requests of at most `request_bytes`
/// together; 0 and an error where the options can't work. Nothing is made or opened. Not in it: the
/// certificates that are trusted, remembered TLS sessions, cached names, decoders of compressed
/// answers, bodies that are sent, and what the caller keeps. `options` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gannet_most_bytes(
    options: *const gannet_options,
    hosts: usize,
    request_bytes: usize,
    error: *mut gannet_error,
) -> usize {
    // SAFETY: the header's promises: `options` and `error` are NULL or what they are said to be.
    let inside = || unsafe {
        let options = if options.is_null() {
            Options::default()
        } else {
            read_options(&read_sized(options, "options")?)?
        };
        options.engine.check().and_then(|()| options.driver.check()).map_err(StartError::Config)?;
        Ok(options.most_bytes(&Load { hosts, request_bytes, ..Load::default() }))
    };
    // SAFETY: as above.
    unsafe { guarded(error, 0, inside).0 }
}

/// Closes everything at once; no callback comes any more. NULL is fine. Within a callback of this
/// handle it does nothing: the call that is running still needs it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gannet_free(handle: *mut gannet) {
    if !handle.is_null() {
        // SAFETY: made by `gannet_new`, freed once, and used by no other thread: the header's
        // promises. No call is running on it.
        let inside = || unsafe {
            if (&*handle).state.get() != State::Busy {
                drop(Box::from_raw(handle));
            }
            Ok(())
        };
        // SAFETY: no error is written.
        unsafe { guarded(core::ptr::null_mut(), (), inside) };
    }
}

/// Takes a request: it begins with the next gannet_turn. Gives its ticket; 0 and an error where it
/// is not taken: GANNET_E_FULL when it would be later, GANNET_E_DRAINING when not any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gannet_submit(
    handle: *mut gannet,
    request: *const gannet_request,
    error: *mut gannet_error,
) -> gannet_ticket {
    // SAFETY: the header's promises.
    let inside = || unsafe {
        enter(handle, |inside| {
            let request = read_request(&read_sized(request, "request")?)?;
            Ok(inside.fetcher.submit(&request)?.id())
        })
    };
    // SAFETY: as above.
    unsafe { guarded(error, 0, inside).0 }
}

/// The one descriptor to watch for readability (poll, epoll, libuv, glib, in level- or
/// edge-triggered mode). It stays the same. -1 within a callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gannet_fd(handle: *mut gannet) -> c_int {
    // SAFETY: the header's promises.
    let inside = || unsafe { enter(handle, |inside| Ok(inside.fetcher.as_raw_fd())) };
    // SAFETY: no error is written.
    unsafe { guarded(core::ptr::null_mut(), -1, inside).0 }
}

/// When gannet_turn wants to be called at the latest: in so many milliseconds, rounded up; -1 when
/// only the descriptor can bring something. Ask again after each call to this handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gannet_timeout_ms(handle: *mut gannet) -> i64 {
    // SAFETY: the header's promises.
    let inside = || unsafe {
        enter(handle, |inside| {
            let Some(timeout) = inside.fetcher.next_timeout() else { return Ok(-1) };
            let millis = timeout.as_nanos().div_ceil(1_000_000);
            Ok(i64::try_from(millis).unwrap_or(i64::MAX))
        })
    };
    // SAFETY: no error is written.
    unsafe { guarded(core::ptr::null_mut(), 0, inside).0 }
}

/// One turn: waits for at most `timeout_ms` (0: does not wait; negative: until something happens),
/// and tells `callbacks` what happened.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gannet_turn(
    handle: *mut gannet,
    timeout_ms: i64,
    callbacks: *const gannet_callbacks,
    error: *mut gannet_error,
) -> c_int {
    // SAFETY: the header's promises.
    let inside = || unsafe {
        let calls = read_sized(callbacks, "callbacks")?;
        enter(handle, |inside| inside.turn(timeout_ms, calls))
    };
    // SAFETY: as above.
    unsafe { guarded(error, (), inside).1 }
}

/// Turns until nothing is left to do: for programs that have no loop of their own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gannet_run(
    handle: *mut gannet,
    callbacks: *const gannet_callbacks,
    error: *mut gannet_error,
) -> c_int {
    // SAFETY: the header's promises.
    let inside = || unsafe {
        let calls = read_sized(callbacks, "callbacks")?;
        enter(handle, |inside| {
            while !inside.fetcher.is_idle() {
                inside.turn(-1, calls)?;
            }
            Ok(())
        })
    };
    // SAFETY: as above.
    unsafe { guarded(error, (), inside).1 }
}

/// How many more requests are taken now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gannet_wants(handle: *mut gannet) -> usize {
    // SAFETY: the header's promises.
    let inside = || unsafe { enter(handle, |inside| Ok(inside.fetcher.wants())) };
    // SAFETY: no error is written.
    unsafe { guarded(core::ptr::null_mut(), 0, inside).0 }
}

/// How many requests are held.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gannet_in_flight(handle: *mut gannet) -> usize {
    // SAFETY: the header's promises.
    let inside = || unsafe { enter(handle, |inside| Ok(inside.fetcher.in_flight())) };
    // SAFETY: no error is written.
    unsafe { guarded(core::ptr::null_mut(), 0, inside).0 }
}

/// Stops reading an answer: back-pressure to its server. What was read already is still delivered,
/// one read buffer at most; where that is all of it, the request is done.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gannet_pause(handle: *mut gannet, ticket: gannet_ticket) -> c_int {
    // SAFETY: the header's promises.
    unsafe { command(handle, |fetcher| fetcher.pause(Ticket::from_id(ticket))) }
}

/// Goes on reading an answer, or asks for more of an upload.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gannet_resume(handle: *mut gannet, ticket: gannet_ticket) -> c_int {
    // SAFETY: the header's promises.
    unsafe { command(handle, |fetcher| fetcher.resume(Ticket::from_id(ticket))) }
}

/// Calls a request off: the next turn tells that it is done, as `cancelled`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gannet_cancel(handle: *mut gannet, ticket: gannet_ticket) -> c_int {
    // SAFETY: the header's promises.
    unsafe { command(handle, |fetcher| fetcher.cancel(Ticket::from_id(ticket))) }
}

/// Calls everything off.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gannet_cancel_all(handle: *mut gannet) -> c_int {
    // SAFETY: the header's promises.
    unsafe { command(handle, Fetcher::cancel_all) }
}

/// Comes to an end: takes no more requests, and calls off what is not done within `ms`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gannet_drain(handle: *mut gannet, ms: u64) -> c_int {
    // SAFETY: the header's promises.
    unsafe { command(handle, |fetcher| fetcher.drain(Duration::from_millis(ms))) }
}

/// Lines of a log go to `log` from now on, up to this level (GANNET_LOG_), at the end of each turn;
/// NULL: none any more. `log` may not call this handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gannet_set_log(
    handle: *mut gannet,
    level: c_int,
    log: gannet_log,
    user: *mut c_void,
) -> c_int {
    // SAFETY: the header's promises.
    let inside = || unsafe {
        enter(handle, |inside| {
            inside.log = log;
            inside.log_user = user;
            inside.log_level = level;
            inside.fetcher.watch(if log.is_some() { LOG_LINES } else { 0 });
            Ok(())
        })
    };
    // SAFETY: no error is written.
    unsafe { guarded(core::ptr::null_mut(), (), inside).1 }
}

/// Tells `each` what is known of every host that was asked so far: its limit and why that is what it
/// is, what went wrong there, what could be done. `each` may not call this handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gannet_host_stats(
    handle: *mut gannet,
    each: gannet_host_callback,
    user: *mut c_void,
) -> c_int {
    // SAFETY: the header's promises.
    let inside = || unsafe {
        let Some(each) = each else { return fail(GANNET_E_ARGUMENT, "the callback is NULL") };
        enter(handle, |inside| {
            let (now, why) = (inside.fetcher.now(), &mut inside.line);
            for stats in inside.fetcher.host_stats() {
                each(user, &hosts::told(&stats, now, why));
            }
            Ok(())
        })
    };
    // SAFETY: no error is written.
    unsafe { guarded(core::ptr::null_mut(), (), inside).1 }
}

/// Tells `each` of every address that several hosts were found to share: they share its limit, too.
/// `each` may not call this handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gannet_address_stats(
    handle: *mut gannet,
    each: gannet_address_callback,
    user: *mut c_void,
) -> c_int {
    // SAFETY: the header's promises.
    let inside = || unsafe {
        let Some(each) = each else { return fail(GANNET_E_ARGUMENT, "the callback is NULL") };
        enter(handle, |inside| {
            let (mut address, why) = (Vec::new(), &mut inside.line);
            for stats in inside.fetcher.address_stats() {
                each(user, &hosts::address(&stats, &mut address, why));
            }
            Ok(())
        })
    };
    // SAFETY: no error is written.
    unsafe { guarded(core::ptr::null_mut(), (), inside).1 }
}

/// Lines of the log that one turn keeps at most.
const LOG_LINES: usize = 4_096;

/// Within a callback: takes another request. Its ticket comes with its first callback; until then
/// its tag is its name. In `done` the place of the request that is done is free already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gannet_ctl_submit(
    ctl: *mut gannet_ctl,
    request: *const gannet_request,
    error: *mut gannet_error,
) -> c_int {
    // SAFETY: the header's promises.
    let inside = || unsafe {
        let request = read_request(&read_sized(request, "request")?)?;
        Ok(control(ctl)?.submit(&request)?)
    };
    // SAFETY: as above.
    unsafe { guarded(error, (), inside).1 }
}

/// Within a callback: how many more requests are taken.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gannet_ctl_wants(ctl: *mut gannet_ctl) -> usize {
    // SAFETY: the header's promises.
    let inside = || unsafe { Ok(control(ctl)?.wants()) };
    // SAFETY: no error is written.
    unsafe { guarded(core::ptr::null_mut(), 0, inside).0 }
}

/// Within a callback: as gannet_pause. Commands are carried out when the callback has returned and
/// the bytes that it was about are handled; nothing calls back meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gannet_ctl_pause(ctl: *mut gannet_ctl, ticket: gannet_ticket) -> c_int {
    // SAFETY: the header's promises.
    unsafe { ctl_command(ctl, |control| control.pause(Ticket::from_id(ticket))) }
}

/// Within a callback: as gannet_resume.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gannet_ctl_resume(ctl: *mut gannet_ctl, ticket: gannet_ticket) -> c_int {
    // SAFETY: the header's promises.
    unsafe { ctl_command(ctl, |control| control.resume(Ticket::from_id(ticket))) }
}

/// Within a callback: calls a request off, be it the callback's own: nothing more of it is
/// delivered, and its done callback says `cancelled`, even if the same bytes brought its end. In its
/// own done callback it is too late, and does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gannet_ctl_cancel(ctl: *mut gannet_ctl, ticket: gannet_ticket) -> c_int {
    // SAFETY: the header's promises.
    unsafe { ctl_command(ctl, |control| control.cancel(Ticket::from_id(ticket))) }
}

/// Within a callback: as gannet_cancel_all, the callback's own request included.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gannet_ctl_cancel_all(ctl: *mut gannet_ctl) -> c_int {
    // SAFETY: the header's promises.
    unsafe { ctl_command(ctl, |control| control.cancel_all()) }
}

/// A handle for other threads, at most `most` of whose requests wait at a time; NULL and an error
/// where there is none. Free it with gannet_remote_free, before or after the loop.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gannet_remote_new(
    handle: *mut gannet,
    most: usize,
    error: *mut gannet_error,
) -> *mut gannet_remote {
    // SAFETY: the header's promises.
    let inside = || unsafe {
        enter(handle, |inside| {
            let remote = inside.fetcher.remote(most)?;
            Ok(Box::into_raw(Box::new(gannet_remote { remote })))
        })
    };
    // SAFETY: as above.
    unsafe { guarded(error, core::ptr::null_mut(), inside).0 }
}

/// Frees a remote; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gannet_remote_free(remote: *mut gannet_remote) {
    if !remote.is_null() {
        // SAFETY: made by `gannet_remote_new`, freed once: the header's promises.
        drop(unsafe { Box::from_raw(remote) });
    }
}

/// From any thread: takes a request and wakes the loop. What is wrong with it beyond its form is
/// told by its done callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gannet_remote_submit(
    remote: *const gannet_remote,
    request: *const gannet_request,
    error: *mut gannet_error,
) -> c_int {
    // SAFETY: the header's promises.
    let inside = || unsafe {
        let request = read_request(&read_sized(request, "request")?)?;
        told(of(remote)?.submit(request))
    };
    // SAFETY: as above.
    unsafe { guarded(error, (), inside).1 }
}

/// From any thread: as gannet_resume, for all requests with this tag that wait. GANNET_E_FULL where
/// as many resumes and cancels wait for the loop as requests may: say it again then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gannet_remote_resume(remote: *const gannet_remote, tag: u64) -> c_int {
    // SAFETY: the header's promises.
    let inside = || unsafe { told(of(remote)?.resume(tag)) };
    // SAFETY: no error is written.
    unsafe { guarded(core::ptr::null_mut(), (), inside).1 }
}

/// From any thread: calls off all requests with this tag that were submitted so far.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gannet_remote_cancel(remote: *const gannet_remote, tag: u64) -> c_int {
    // SAFETY: the header's promises.
    let inside = || unsafe { told(of(remote)?.cancel(tag)) };
    // SAFETY: no error is written.
    unsafe { guarded(core::ptr::null_mut(), (), inside).1 }
}

/// From any thread: calls off everything that was submitted so far.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gannet_remote_cancel_all(remote: *const gannet_remote) -> c_int {
    // SAFETY: the header's promises.
    let inside = || unsafe { told(of(remote)?.cancel_all()) };
    // SAFETY: no error is written.
    unsafe { guarded(core::ptr::null_mut(), (), inside).1 }
}

/// From any thread: wakes the loop. The turn that is waiting returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gannet_remote_wake(remote: *const gannet_remote) -> c_int {
    // SAFETY: the header's promises.
    let inside = || unsafe { told(of(remote)?.wake()) };
    // SAFETY: no error is written.
    unsafe { guarded(core::ptr::null_mut(), (), inside).1 }
}

impl Inside {
    fn turn(&mut self, timeout_ms: i64, calls: gannet_callbacks) -> Result<(), Fail> {
        let timeout = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
        let mut visitor = Calls { calls, scratch: &mut self.scratch };
        self.fetcher.turn(timeout, &mut visitor)?;
        let Some(log) = self.log else { return Ok(()) };
        let (line, user, most) = (&mut self.line, self.log_user, self.log_level);
        self.fetcher.observe(&mut |origin: &engine::engine::Origin<'_>, event: &Event| {
            let level = match level(&event.what) {
                Level::Warn => GANNET_LOG_WARN,
                Level::Info => GANNET_LOG_INFO,
                Level::Debug => GANNET_LOG_DEBUG,
                _ => GANNET_LOG_TRACE,
            };
            if level > most {
                return;
            }
            use std::io::Write as _;
            line.clear();
            // Writing to a Vec can't fail.
            let _ = write!(line, "{origin}: {}\0", event.what);
            log(user, level, line.as_ptr().cast());
        });
        Ok(())
    }
}

/// Runs `work` on what a handle holds, once at a time.
///
/// # Safety
/// `handle` is NULL or alive, and used by this thread alone.
unsafe fn enter<T>(
    handle: *mut gannet,
    work: impl FnOnce(&mut Inside) -> Result<T, Fail>,
) -> Result<T, Fail> {
    // SAFETY: the caller's promise; only shared references to the whole are ever made.
    let Some(handle) = (unsafe { handle.as_ref() }) else {
        return fail(GANNET_E_ARGUMENT, "the handle is NULL");
    };
    match handle.state.get() {
        State::Idle => {}
        State::Busy => {
            return fail(
                GANNET_E_REENTERED,
                "called from within a callback: use the functions of gannet_ctl there",
            );
        }
        State::Broken => {
            return fail(GANNET_E_DEFECT, "an earlier call met a defect: only gannet_free is left");
        }
    }
    /// Whoever unwinds leaves it broken.
    struct Running<'a>(&'a Cell<State>, State);
    impl Drop for Running<'_> {
        fn drop(&mut self) {
            self.0.set(self.1);
        }
    }
    handle.state.set(State::Busy);
    let mut running = Running(&handle.state, State::Broken);
    // SAFETY: `state` lets one in at a time, on one thread.
    let result = work(unsafe { &mut *handle.inside.get() });
    running.1 = State::Idle;
    result
}

/// # Safety
/// As [`enter`].
unsafe fn command(handle: *mut gannet, work: impl FnOnce(&mut Fetcher)) -> c_int {
    // SAFETY: the caller's promise.
    let inside = || unsafe {
        enter(handle, |inside| {
            work(&mut inside.fetcher);
            Ok(())
        })
    };
    // SAFETY: no error is written.
    unsafe { guarded(core::ptr::null_mut(), (), inside).1 }
}

/// # Safety
/// `ctl` is NULL, or was handed to the callback that is running.
unsafe fn control<'a>(ctl: *mut gannet_ctl) -> Result<&'a mut Control<'a, 'a>, Fail> {
    // SAFETY: the caller's promise.
    match unsafe { ctl.as_mut() } {
        // SAFETY: it points to the control that the callback was made with, which is not used
        // otherwise until the callback returns; the reference ends before that.
        Some(ctl) => Ok(unsafe { &mut *ctl.control.cast::<Control<'a, 'a>>() }),
        None => fail(GANNET_E_ARGUMENT, "the ctl is NULL"),
    }
}

/// # Safety
/// As [`control`].
unsafe fn ctl_command(ctl: *mut gannet_ctl, work: impl FnOnce(&mut Control<'_, '_>)) -> c_int {
    // SAFETY: the caller's promise.
    let inside = || unsafe {
        work(control(ctl)?);
        Ok(())
    };
    // SAFETY: no error is written.
    unsafe { guarded(core::ptr::null_mut(), (), inside).1 }
}

/// # Safety
/// `remote` is NULL or alive.
unsafe fn of<'a>(remote: *const gannet_remote) -> Result<&'a Remote, Fail> {
    // SAFETY: the caller's promise.
    match unsafe { remote.as_ref() } {
        Some(remote) => Ok(&remote.remote),
        None => fail(GANNET_E_ARGUMENT, "the remote is NULL"),
    }
}

fn told(result: Result<(), RemoteError>) -> Result<(), Fail> {
    result.or_else(|error| {
        let code = match error {
            RemoteError::Full => GANNET_E_FULL,
            RemoteError::Closed => GANNET_E_CLOSED,
            _ => GANNET_E_REQUEST,
        };
        fail(code, error.to_string())
    })
}

/// # Safety
/// The pointers within are NULL or what they are said to be.
unsafe fn read_options(from: &gannet_options) -> Result<Options, Fail> {
    let mut options = Options::default();
    match from.preset {
        0 | GANNET_DEFAULT => {}
        GANNET_TINY => options = Options::tiny(),
        GANNET_WIDE => options = Options::wide(),
        _ => {
            return fail(
                GANNET_E_ARGUMENT,
                "options.preset is none of GANNET_TINY, _DEFAULT, _WIDE",
            );
        }
    }
    let set = |to: &mut u32, from: u32| *to = if from == 0 { *to } else { from };
    let time = |from: u32| (from != 0).then(|| Duration::from_millis(from.into()));
    let config = &mut options.engine;
    set(&mut config.max_connections, from.max_connections);
    set(&mut config.max_jobs, from.max_jobs);
    set(&mut config.attempts, from.attempts);
    if from.no_repeats != 0 {
        *config = config.clone().retry(Retry::none());
    }
    if let Ok(n @ 1..) = u16::try_from(from.max_per_host) {
        config.per_host = PerHost::Fixed(n);
    } else if from.max_per_host != 0 {
        return fail(GANNET_E_ARGUMENT, "options.max_per_host is above 65535");
    }
    if let Some(time) = time(from.connect_timeout_ms) {
        config.connect_timeout = time;
    }
    config.first_byte_timeout = time(from.first_byte_timeout_ms).or(config.first_byte_timeout);
    config.stall_timeout = time(from.stall_timeout_ms).or(config.stall_timeout);
    config.seed = from.seed;
    if from.read_buffer != 0 {
        options.driver.read_buffer = from.read_buffer as usize;
    }
    if !from.ca_pem.is_null() {
        // SAFETY: the caller's promise.
        let pem = unsafe { bytes(from.ca_pem.cast(), from.ca_pem_len) };
        options.tls.roots = engine::tls::Roots::Pem(vec![pem.to_vec()]);
    }
    options.tls.insecure = from.insecure != 0;
    options.addresses.guard_redirects = from.guard_redirects != 0;
    // SAFETY: the caller's promise.
    let resolve = unsafe { text(from.resolve, "options.resolve")? };
    for line in resolve.unwrap_or_default().lines().filter(|line| !line.is_empty()) {
        match KnownHost::parse(line) {
            Some(known) => options.names.known.push(known),
            None => {
                return fail(
                    GANNET_E_ARGUMENT,
                    format!("options.resolve: '{line}' is not HOST:PORT:ADDRESS[,ADDRESS]"),
                );
            }
        }
    }
    Ok(options)
}

/// A request's own time, in milliseconds: 0 is none, the largest number without end.
fn own_time(ms: u32) -> Option<Duration> {
    match ms {
        0 => None,
        u32::MAX => Some(Duration::MAX),
        ms => Some(Duration::from_millis(ms.into())),
    }
}

/// # Safety
/// The pointers within are NULL or what they are said to be.
unsafe fn read_request(from: &gannet_request) -> Result<Request, Fail> {
    // SAFETY: the caller's promise.
    let Some(url) = (unsafe { text(from.url, "request.url")? }) else {
        return fail(GANNET_E_ARGUMENT, "request.url is NULL");
    };
    let url = match Url::parse(url, &UrlRules::default()) {
        Ok(url) => url,
        Err(error) => return fail(GANNET_E_REQUEST, engine::fetch::Error::from(error).to_string()),
    };
    // SAFETY: the caller's promise.
    let method = unsafe { text(from.method, "request.method")? };
    let mut profile = Profile {
        method: method.map(Box::from),
        follow: if from.follow == 0 { Follow::No } else { Follow::Standard },
        compressed: from.compressed != 0,
        urgent: from.urgent != 0,
        retry_unsafe: from.retry_unsafe != 0,
        at_most_once: from.no_repeats != 0,
        attempts: (from.attempts != 0).then_some(from.attempts),
        timeout: (from.timeout_ms != 0).then(|| Duration::from_millis(from.timeout_ms.into())),
        first_byte_timeout: own_time(from.first_byte_timeout_ms),
        stall_timeout: own_time(from.stall_timeout_ms),
        max_filesize: (from.max_bytes != 0).then_some(from.max_bytes),
        ..Profile::default()
    };
    if from.upload != 0 {
        let length = Some(from.upload_len).filter(|&length| length != u64::MAX);
        profile.body = Body::Stream { length, replayable: from.upload_again != 0 };
    } else if !from.body.is_null() {
        // SAFETY: the caller's promise.
        profile.body = Body::Bytes(Arc::from(unsafe { bytes(from.body, from.body_len) }));
    }
    if !from.headers.is_null() {
        for at in 0..from.headers_len {
            // SAFETY: the caller promises so many lines.
            let line = unsafe { text(*from.headers.add(at), "request.headers")? };
            let Some(line) = line else {
                return fail(GANNET_E_ARGUMENT, "request.headers has a NULL");
            };
            match Field::parse(line.as_bytes()) {
                Ok(field) => profile.fields.push(field),
                Err(error) => return fail(GANNET_E_REQUEST, format!("'{line}': {error}")),
            }
        }
    }
    Ok(Request { url, tag: from.tag, profile: Arc::new(profile) })
}
