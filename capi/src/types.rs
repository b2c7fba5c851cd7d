//! The plain types of the border. Structs that the caller fills begin with their own size, so that
//! either side may be older than the other.

use core::ffi::{c_char, c_int, c_void};

/// All went well.
pub const GANNET_OK: c_int = 0;
/// An argument makes no sense; the text says which.
pub const GANNET_E_ARGUMENT: c_int = 1;
/// As many requests are held as was allowed; see gannet_wants.
pub const GANNET_E_FULL: c_int = 2;
/// The URL, a header line or the method can't be sent.
pub const GANNET_E_REQUEST: c_int = 3;
/// The options can't work together.
pub const GANNET_E_CONFIG: c_int = 4;
/// The operating system refused; the text says what.
pub const GANNET_E_SYSTEM: c_int = 5;
/// Called from within a callback, where only functions of gannet_ctl may be called.
pub const GANNET_E_REENTERED: c_int = 6;
/// A defect of gannet: the handle can only be freed.
pub const GANNET_E_DEFECT: c_int = 7;
/// The loop that a remote belongs to is gone.
pub const GANNET_E_CLOSED: c_int = 8;
/// The loop comes to an end, by gannet_drain, and takes nothing any more.
pub const GANNET_E_DRAINING: c_int = 9;

/// Numbers for a device that counts its kilobytes.
pub const GANNET_TINY: u32 = 1;
/// Numbers for most programs: what zero means.
pub const GANNET_DEFAULT: u32 = 2;
/// Numbers for a machine that does nothing else.
pub const GANNET_WIDE: u32 = 3;

/// What a head callback answers: deliver the body.
pub const GANNET_GO_ON: c_int = 0;
/// What a head callback answers: the body is of no interest; the request ends well.
pub const GANNET_SKIP_BODY: c_int = 1;
/// What a head callback answers: this is not what was wanted; the request fails as `filtered`.
pub const GANNET_STOP: c_int = 2;
/// What a head callback answers: deliver what was read with the head (a short body may be all there),
/// and read on only after gannet_resume.
pub const GANNET_PAUSE: c_int = 3;

/// What an upload callback answers when it has nothing now; gannet_resume when there is.
pub const GANNET_UPLOAD_PENDING: isize = -1;
/// What an upload callback answers to end the request.
pub const GANNET_UPLOAD_ABORT: isize = -2;

/// How much a line of the log matters, for gannet_set_log.
pub const GANNET_LOG_WARN: c_int = 1;
/// Another attempt follows, or a request failed.
pub const GANNET_LOG_INFO: c_int = 2;
/// A limit changed.
pub const GANNET_LOG_DEBUG: c_int = 3;
/// Each request and connection.
pub const GANNET_LOG_TRACE: c_int = 4;

/// Names a request, from gannet_submit to its done callback. Never 0.
#[allow(non_camel_case_types)]
pub type gannet_ticket = u64;

/// Why a call failed. The caller's own; NULL may be passed where it is of no interest.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct gannet_error {
    /// One of GANNET_E_.
    pub code: c_int,
    /// A sentence, ending in NUL.
    pub text: [c_char; 252],
}

/// Bytes that are somebody else's, without a NUL at the end.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct gannet_str {
    /// The first byte; never NULL.
    pub ptr: *const c_char,
    /// How many.
    pub len: usize,
}

/// What a loop is made with. Fill it with zeros, set `size`, then what matters: zero means the
/// preset's own number.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct gannet_options {
    /// sizeof(gannet_options).
    pub size: usize,
    /// GANNET_TINY, GANNET_DEFAULT or GANNET_WIDE.
    pub preset: u32,
    /// Connections in all.
    pub max_connections: u32,
    /// Connections a host; 0: found while running.
    pub max_per_host: u32,
    /// Requests held at once.
    pub max_jobs: u32,
    /// Attempts a request, the first one included.
    pub attempts: u32,
    /// Not 0: nothing is ever sent twice.
    pub no_repeats: u32,
    /// Name, TCP and TLS together.
    pub connect_timeout_ms: u32,
    /// From the request written to the answer's first byte.
    pub first_byte_timeout_ms: u32,
    /// Without one byte of the body.
    pub stall_timeout_ms: u32,
    /// Bytes of the one read buffer, once reads have filled smaller ones (256 KiB).
    pub read_buffer: u32,
    /// Certificates to trust in place of Mozilla's, as PEM; NULL: Mozilla's.
    pub ca_pem: *const c_char,
    /// How many bytes of them.
    pub ca_pem_len: usize,
    /// Not 0: trust anyone, whatever the certificate says.
    pub insecure: u32,
    /// Not 0: no address in private networks is connected to because a public host redirects there.
    pub guard_redirects: u32,
    /// `HOST:PORT:ADDRESS[,ADDRESS]` lines, as curl's --resolve; NULL: none. Ends in NUL.
    pub resolve: *const c_char,
    /// Seeds all that is drawn by lot; 0: from the system.
    pub seed: u64,
}

/// What is asked for. Fill it with zeros, set `size` and `url`, then what matters.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct gannet_request {
    /// sizeof(gannet_request).
    pub size: usize,
    /// Where to. Ends in NUL.
    pub url: *const c_char,
    /// The method; NULL: GET, or POST with a body. Ends in NUL.
    pub method: *const c_char,
    /// `Name: value` lines, each ending in NUL; `Name:` removes a default one.
    pub headers: *const *const c_char,
    /// How many of them.
    pub headers_len: usize,
    /// A body in memory; NULL: none. It is copied.
    pub body: *const u8,
    /// How many bytes of it.
    pub body_len: usize,
    /// Not 0: the body comes from the upload callback instead.
    pub upload: u32,
    /// The upload's length; UINT64_MAX: unknown.
    pub upload_len: u64,
    /// Not 0: the upload callback can begin again from offset 0.
    pub upload_again: u32,
    /// The caller's own number: comes with every callback.
    pub tag: u64,
    /// Not 0: follow redirects.
    pub follow: u32,
    /// Not 0: ask for a compressed answer, and decode it.
    pub compressed: u32,
    /// Not 0: before the ordinary requests of its host.
    pub urgent: u32,
    /// Not 0: may be sent twice though its method is not idempotent.
    pub retry_unsafe: u32,
    /// Not 0: never sent twice.
    pub no_repeats: u32,
    /// Attempts, the first one included; 0: as the options say.
    pub attempts: u32,
    /// One attempt with its redirects; 0: as the options say.
    pub timeout_ms: u32,
    /// A body larger than this is an error; 0: no bound.
    pub max_bytes: u64,
    /// From the request written to the answer's first byte; 0: as the options say, UINT32_MAX: as long
    /// as it takes.
    pub first_byte_timeout_ms: u32,
    /// Without one byte of the body; 0: as the options say, UINT32_MAX: as long as it takes.
    pub stall_timeout_ms: u32,
}

/// A field line of a head.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct gannet_field {
    /// Its name, as it was sent.
    pub name: gannet_str,
    /// Its value, without blanks around it.
    pub value: gannet_str,
}

/// The head of an answer, valid during the callback.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct gannet_head {
    /// Bytes of this struct that are there.
    pub size: usize,
    /// The status.
    pub status: u32,
    /// Redirects before it.
    pub redirects: u32,
    /// Where it came from.
    pub url: gannet_str,
    /// Where a redirect leads; empty in a head callback.
    pub location: gannet_str,
    /// Field lines, in order.
    pub fields: *const gannet_field,
    /// How many of them.
    pub fields_len: usize,
    /// The length of the body as it comes over the wire; UINT64_MAX: unknown.
    pub length: u64,
}

/// How a request ended, valid during the callback.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct gannet_result {
    /// Bytes of this struct that are there.
    pub size: usize,
    /// Not 0: it ended well, with `status`.
    pub ok: u32,
    /// The last status that came, also where the request failed afterwards; 0: none.
    pub status: u32,
    /// What went wrong, as one stable word (docs/errors.md lists them); empty when it ended well.
    pub error: gannet_str,
    /// The same in a sentence, with what to do about it.
    pub text: gannet_str,
    /// curl's exit code for it; 0 when it ended well.
    pub curl_code: u32,
    /// Attempts made.
    pub attempts: u32,
    /// Redirects followed.
    pub redirects: u32,
    /// Not 0: the connection had served before.
    pub reused: u32,
    /// Where redirects led.
    pub url: gannet_str,
    /// Bytes of the body that were delivered.
    pub body_bytes: u64,
    /// Bytes of the answers on the wire, TLS not counted.
    pub wire_bytes: u64,
    /// Microseconds from the first attempt to the end.
    pub total_us: u64,
    /// Microseconds from the request written to the answer's first byte.
    pub first_byte_us: u64,
}

/// What is known of a host, valid during the callback. Numbers are of the loop's whole life.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct gannet_host {
    /// Bytes of this struct that are there.
    pub size: usize,
    /// `http` or `https`.
    pub scheme: gannet_str,
    /// Its name, or its address.
    pub host: gannet_str,
    /// Its port.
    pub port: u32,
    /// Not 0: it is given up, none of its addresses accepts a connection.
    pub down: u32,
    /// Connections that it may have now.
    pub limit: u32,
    /// Connections that it has now.
    pub connections: u32,
    /// The most that it had at once.
    pub peak: u32,
    /// Requests that wait for it.
    pub queued: u32,
    /// How the limit came about, as one stable word: `fixed`, `growing`, `ceiling`, `hard_limit`, `queue`,
    /// `bandwidth`, `thrash`, `outage`.
    pub finding: gannet_str,
    /// The same in a sentence, with its numbers.
    pub why: gannet_str,
    /// The rate that it was found to bear, or asked for, in thousandths of a request a second; 0: none is known.
    pub rate_milli: u64,
    /// Milliseconds for which it asked to be left alone, from now on; 0: it did not.
    pub closed_ms: u64,
    /// What its user could do, as one stable word: `check_that_it_runs`, `come_back_later`, `slow_down`,
    /// `ask_for_more`, `use_fewer`, `ask_why`, `allow_more`; empty: nothing.
    pub remedy: gannet_str,
    /// As what the last request failed that failed for good (docs/errors.md); empty: none did.
    pub error: gannet_str,
    /// Requests sent, repeats included.
    pub requests: u64,
    /// Answers that came to their end.
    pub responses: u64,
    /// Bytes of their bodies, as they came over the wire.
    pub bytes: u64,
    /// Connections that were established.
    pub opened: u64,
    /// Connections that could not be opened.
    pub open_failures: u64,
    /// Fresh connections that were reset or closed before an answer.
    pub fresh_resets: u64,
    /// Kept connections that turned out to be closed when a request went out.
    pub stale: u64,
    /// Idle connections that the server closed.
    pub idle_closes: u64,
    /// Time-outs of any phase after the connection was there.
    pub timeouts: u64,
    /// Answers of 429.
    pub too_many: u64,
    /// Answers of 503.
    pub unavailable: u64,
    /// Attempts that were made again.
    pub repeats: u64,
    /// Bodies that were continued instead of begun again.
    pub resumed: u64,
    /// Requests that failed for good, those that were called off left out.
    pub failed: u64,
}

/// Takes what is known of one host.
#[allow(non_camel_case_types)]
pub type gannet_host_callback = Option<extern "C" fn(user: *mut c_void, host: *const gannet_host)>;

/// What is known of an address that several hosts share, valid during the callback.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct gannet_address {
    /// Bytes of this struct that are there.
    pub size: usize,
    /// The address, without a port.
    pub address: gannet_str,
    /// Hosts that were seen there.
    pub hosts: u32,
    /// Connections that all of them together may have now.
    pub limit: u32,
    /// Connections that they have now.
    pub connections: u32,
    /// How the limit came about, in the words of gannet_host.
    pub finding: gannet_str,
    /// The same in a sentence, with its numbers.
    pub why: gannet_str,
}

/// Takes what is known of one address.
#[allow(non_camel_case_types)]
pub type gannet_address_callback =
    Option<extern "C" fn(user: *mut c_void, address: *const gannet_address)>;

/// What may be asked for within a callback. Valid during the callback.
#[allow(non_camel_case_types)]
pub struct gannet_ctl {
    /// A `Control`, whose lifetimes end with the callback.
    pub(crate) control: *mut c_void,
}

/// The head of a request that is about to be sent. Valid during the callback.
#[allow(non_camel_case_types)]
pub struct gannet_draft {
    /// A `Draft`, whose lifetime ends with the callback.
    pub(crate) draft: *mut c_void,
}

/// Who is told. Fill it with zeros, set `size`, then the callbacks that matter: any of them may be
/// NULL. They must not throw, jump out, or call anything but functions of gannet_ctl.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct gannet_callbacks {
    /// sizeof(gannet_callbacks).
    pub size: usize,
    /// Handed to every callback.
    pub user: *mut c_void,
    /// A final head came; answers GANNET_GO_ON, GANNET_SKIP_BODY, GANNET_STOP or GANNET_PAUSE.
    /// It comes again after `restart`.
    pub head: Option<
        extern "C" fn(
            user: *mut c_void,
            ctl: *mut gannet_ctl,
            ticket: gannet_ticket,
            tag: u64,
            head: *const gannet_head,
        ) -> c_int,
    >,
    /// Bytes of the body came.
    pub body: Option<
        extern "C" fn(
            user: *mut c_void,
            ctl: *mut gannet_ctl,
            ticket: gannet_ticket,
            tag: u64,
            data: *const u8,
            len: usize,
        ),
    >,
    /// What was delivered for this request is void: the body comes again from the start.
    pub restart: Option<
        extern "C" fn(user: *mut c_void, ctl: *mut gannet_ctl, ticket: gannet_ticket, tag: u64),
    >,
    /// Whether a redirect is followed: not 0 is yes.
    pub redirect: Option<
        extern "C" fn(
            user: *mut c_void,
            ticket: gannet_ticket,
            tag: u64,
            head: *const gannet_head,
        ) -> c_int,
    >,
    /// Whether a request may be sent once more, though the rules allow it: not 0 is yes. `error` is
    /// what ended the attempt, `status` 0 unless an answer asked to come back.
    pub repeat: Option<
        extern "C" fn(
            user: *mut c_void,
            ticket: gannet_ticket,
            tag: u64,
            error: gannet_str,
            status: u32,
        ) -> c_int,
    >,
    /// More of an upload is wanted: write at most `room` bytes from offset `at` on to `out` and
    /// answer how many; 0 is the end, or GANNET_UPLOAD_PENDING or GANNET_UPLOAD_ABORT.
    pub upload: Option<
        extern "C" fn(
            user: *mut c_void,
            ctl: *mut gannet_ctl,
            ticket: gannet_ticket,
            tag: u64,
            at: u64,
            out: *mut u8,
            room: usize,
        ) -> isize,
    >,
    /// Whether a connection to `address` (`192.0.2.1:443`) may be opened: not 0 is yes.
    pub allow: Option<extern "C" fn(user: *mut c_void, address: gannet_str) -> c_int>,
    /// The request is at its end, exactly once; its ticket is dead from now on.
    pub done: Option<
        extern "C" fn(
            user: *mut c_void,
            ctl: *mut gannet_ctl,
            ticket: gannet_ticket,
            tag: u64,
            result: *const gannet_result,
        ),
    >,
    /// An attempt is about to be sent, at this hop: gannet_draft_set may still change its fields, so
    /// that signatures and tokens that expire are made anew.
    pub prepare: Option<
        extern "C" fn(user: *mut c_void, ticket: gannet_ticket, tag: u64, draft: *mut gannet_draft),
    >,
}

/// Takes lines of the log: `text` ends in NUL.
#[allow(non_camel_case_types)]
pub type gannet_log = Option<extern "C" fn(user: *mut c_void, level: c_int, text: *const c_char)>;
