//! Every option with its help, declared once for parsing, `--help`, the manual page and the
//! completions.
//!
//! Owns names, help texts and headings. Never decides what a combination means (that is `plan`).

use std::path::PathBuf;
use std::time::Duration;

use super::declare::options;
use super::values::{self, BodyForm, Budget, Offline, Rate, ResumeKey, Shard, When};

/// Networks of one occurrence of an option.
#[derive(Clone, Debug)]
pub struct Nets(pub Vec<crate::fetch::Network>);

fn parse_nets(text: &str) -> Result<Nets, String> {
    values::nets(text).map(Nets)
}

options! {
    /// Where URLs come from.
    #[command(next_help_heading = "Input")]
    pub struct Input {
        /// A list of URLs, one a line (or JSON Lines); - is standard input
        #[arg(short = 'i', long, value_name = "FILE", long_help = "Fetch a list: a URL a line, blank lines and lines that begin with # skipped; or a JSON object a line with url, id, method, headers, body, body_base64, output, meta, sha256, size, etag, last_modified, timeout, retry. - is standard input. May be given several times. The list is read as a stream: a hundred million lines take no more memory than ten.")]
        pub input_file: Vec<PathBuf>,
        /// A URL; @FILE reads URLs from a file, each saved as by -O
        #[arg(long, value_name = "URL", long_help = "A URL, as if it stood alone. @FILE (@- is standard input) reads one URL a line as curl does: no globs, each saved as by -O unless there is an -o for it; -T sends a file to the first one.")]
        pub url: Vec<String>,
        /// Take {} and [] in URLs as they are
        #[arg(short = 'g', long)]
        pub globoff: bool,
        /// Jobs of a list that are read ahead, at most (4096)
        #[arg(long, value_name = "N", hide_short_help = true, value_parser = clap::value_parser!(u32).range(1..=1_000_000), long_help = "Read at most N jobs of a list ahead (4096). Further lines of a host that is slow, paused or sick wait aside, in an unlinked temporary file where they are many, and those of other hosts go on.")]
        pub window: Option<u32>,
        /// Only the hosts of part K of N
        #[arg(long, value_name = "K/N", hide_short_help = true, value_parser = values::shard, long_help = "Fetch only the URLs whose host falls into part K of N (K from 1). Which part a host falls into is fixed for ever: jump consistent hashing of the first 64 bits of the SHA-256 of the host in lower case. A host is never split, so that limits a host hold across machines. K may be written I+1, for schedulers that count from 0.")]
        pub shard: Option<Shard>,
    }

    /// Where bodies go.
    #[command(next_help_heading = "Output")]
    pub struct Output {
        /// Write to a file; in a batch a template such as {host}/{n:08}{ext}
        #[arg(short = 'o', long, value_name = "FILE", long_help = "Transfers: the n-th -o names the file of the n-th URL; #1 stands for the first glob's value; - is standard output. What is no text is not shown on a terminal unless -o - says so.\n\nBatch: a template. {n} its number in the list (lines that are skipped do not count), {n:08} with zeros, {id}, {host}, {path} made safe, {name} the last part of the path or index, {ext} the extension in the URL, {type_ext} the one for the Content-Type, {hash} the SHA-256 of the URL in hex; {hash:0:2} a slice; {{ a brace. -o - writes whole bodies one after another to standard output.")]
        pub output: Vec<String>,
        /// Name the file as the URL does
        #[arg(short = 'O', long, num_args = 0, default_missing_value = "true")]
        pub remote_name: Vec<bool>,
        /// Write the body nowhere
        #[arg(
            long,
            num_args = 0,
            default_missing_value = "true",
            hide_short_help = true,
            long_help = "Write the body nowhere: it is received and checked, and let go. It stands for one URL as -o does."
        )]
        pub out_null: Vec<bool>,
        /// -O for every URL that has no -o
        #[arg(long, hide_short_help = true)]
        pub remote_name_all: bool,
        /// With -O: take the name from Content-Disposition
        #[arg(
            short = 'J',
            long,
            long_help = "With -O: take the name that the server gives in Content-Disposition. Only its last part counts, and a file that is there is never overwritten."
        )]
        pub remote_header_name: bool,
        /// Put files into this folder
        #[arg(
            long,
            value_name = "DIR",
            long_help = "Put files into this folder. In a batch, alone, it names them {n:08}{ext}."
        )]
        pub output_dir: Option<PathBuf>,
        /// Make missing folders of -o
        #[arg(
            long,
            hide_short_help = true,
            long_help = "Make missing folders of -o and --output-dir. A template does so by itself."
        )]
        pub create_dirs: bool,
        /// Overwrite files (undoes --no-clobber)
        #[arg(
            long,
            hide_short_help = true,
            overrides_with = "no-clobber",
            long_help = "Overwrite files that are there, also with -J. This is the default otherwise."
        )]
        pub clobber: bool,
        /// Never overwrite: append .1, .2, … to the name
        #[arg(
            long,
            overrides_with = "clobber",
            long_help = "Never overwrite a file: .1, .2 and so on up to .100 are appended to the name until one is free."
        )]
        pub no_clobber: bool,
        /// Do not fetch what has its file already
        #[arg(long)]
        pub skip_existing: bool,
        /// In a batch: keep bodies of answers with status 400 and above too
        #[arg(long, hide_short_help = true)]
        pub keep_errors: bool,
        /// Give the file the time of the server's Last-Modified
        #[arg(short = 'R', long, hide_short_help = true)]
        pub remote_time: bool,
        /// Write the answers' heads to a file
        #[arg(
            short = 'D',
            long,
            value_name = "FILE",
            long_help = "Write the heads of answers to a file; - is standard output, % the standard error. In a batch a template, as for -o; a name that several URLs come to holds the heads of all."
        )]
        pub dump_header: Option<String>,
        /// Print the answer's head before its body (curl's -i)
        #[arg(long, visible_alias = "include")]
        pub show_headers: bool,
        /// A status of 400 or more is a failure, its body not written
        #[arg(short = 'f', long, overrides_with = "fail-with-body")]
        pub fail: bool,
        /// A status of 400 or more is a failure, its body kept
        #[arg(long, overrides_with = "fail", hide_short_help = true)]
        pub fail_with_body: bool,
        /// Stop at the first transfer that fails
        #[arg(long, hide_short_help = true)]
        pub fail_early: bool,
        /// In a batch: URLs that failed are no reason for another exit status than 0
        #[arg(
            long,
            hide_short_help = true,
            long_help = "In a batch: exit with 0 when the list came to its end, whether URLs failed or not; the records and the summary say which. A wrong command line, local trouble and signals still have their own status. For schedulers that would start all of it again."
        )]
        pub exit_zero: bool,
        /// Remove the file of a transfer that failed
        #[arg(long, hide_short_help = true)]
        pub remove_on_error: bool,
        /// Refuse bodies larger than this
        #[arg(long, value_name = "BYTES", hide_short_help = true, value_parser = values::size)]
        pub max_filesize: Option<u64>,
        /// Keep only the first bytes of each body
        #[arg(long, value_name = "BYTES", hide_short_help = true, value_parser = values::size, long_help = "Keep only so many bytes of each body and let the rest go; the record says truncated.")]
        pub truncate: Option<u64>,
        /// Take only these content types
        #[arg(
            long,
            value_name = "GLOB,…",
            hide_short_help = true,
            value_delimiter = ',',
            long_help = "Take only answers whose Content-Type fits one of these; others end after their head with the kind filtered."
        )]
        pub accept_type: Vec<String>,
        /// Do not take these content types
        #[arg(long, value_name = "GLOB,…", hide_short_help = true, value_delimiter = ',')]
        pub reject_type: Vec<String>,
        /// Go on at this offset; - finds it out from the file
        #[arg(
            short = 'C',
            long,
            value_name = "OFFSET",
            long_help = "Go on with a transfer at this offset. With - the offset is the length of the file that is there: a part file that gannet left is continued after a check by its validator; on a finished name it does as curl. A retry of a body that goes to a file then asks for the rest only, also where there is no validator, unless the server says that it is another version. A number does not depend on the file: what comes is put at its end. With -T FILE the first bytes are left out of what is sent, and the server is told so; standard input can't be gone on with."
        )]
        pub continue_at: Option<String>,
        /// Wait until each file is on the disk before it counts
        #[arg(long, hide_short_help = true)]
        pub fsync: bool,
        /// Print this after each transfer
        #[arg(
            short = 'w',
            long,
            value_name = "FORMAT",
            long_help = "Print this after each transfer: text with %{variables} as curl's, \\n, \\t, %header{NAME}, %output{FILE}, %{json}, %{header_json}, %{stderr}, %{onerror}. @FILE reads it from a file. Not with -i: a batch's records tell what it would."
        )]
        pub write_out: Option<String>,
    }

    /// What is said about each URL.
    #[command(next_help_heading = "Records")]
    pub struct Records {
        /// Write a JSON record a URL to this file; - is standard output
        #[arg(
            long,
            value_name = "FILE",
            long_help = "Write one JSON record a URL, in the order of completion. A batch without it writes records to standard output. A file that is there and not empty is refused unless --resume or --results-overwrite is given."
        )]
        pub results: Option<PathBuf>,
        /// Overwrite the results file
        #[arg(long, hide_short_help = true, conflicts_with = "resume")]
        pub results_overwrite: bool,
        /// Write the summary as JSON to this file
        #[arg(long, value_name = "FILE")]
        pub summary: Option<PathBuf>,
        /// Go on with an earlier run: skip what its results say is done
        #[arg(
            long,
            requires = "results",
            long_help = "Go on with the run that wrote --results FILE: what is recorded as ok is skipped, what failed is fetched again, a line torn by a crash is mended. Another list than that of the earlier run is noticed and stops the run; until records of its own are written, it leaves the results as they are."
        )]
        pub resume: bool,
        /// With --resume: fetch again only what failed with these kinds
        #[arg(
            long,
            value_name = "KIND,…",
            hide_short_help = true,
            value_delimiter = ',',
            requires = "resume"
        )]
        pub resume_kinds: Vec<String>,
        /// With --resume: fetch again what ended with these statuses
        #[arg(
            long,
            value_name = "5xx,404,…",
            hide_short_help = true,
            value_delimiter = ',',
            requires = "resume"
        )]
        pub resume_status: Vec<String>,
        /// With --resume: by what a URL is known again (n)
        #[arg(
            long,
            value_name = "n|id|url",
            hide_short_help = true,
            requires = "resume",
            long_help = "With --resume: by what a URL is known again. n, its number in the list, needs next to no memory; id and url keep a hash of each in memory. With these, a URL that is new where the list has a number that another one's record has, gets the next number that is free."
        )]
        pub resume_key: Option<ResumeKey>,
        /// Put these header fields into the records; or all
        #[arg(
            long,
            value_name = "NAME,…|all",
            hide_short_help = true,
            value_delimiter = ',',
            long_help = "Put these header fields into the records; or all of them. A transfer has a record only with --results."
        )]
        pub record_headers: Vec<String>,
        /// Put bodies into the records
        #[arg(
            long,
            value_name = "text|base64",
            hide_short_help = true,
            long_help = "Put bodies into the records. A transfer has a record only with --results."
        )]
        pub record_body: Option<BodyForm>,
        /// Longest body in a record (1M); longer ones are cut there
        #[arg(
            long,
            value_name = "BYTES",
            hide_short_help = true,
            value_parser = values::size,
            requires = "record-body"
        )]
        pub record_body_max: Option<u64>,
        /// Put the SHA-256 of each body into its record
        #[arg(
            long,
            long_help = "Put the SHA-256 of each body, decoded as it is delivered, into its record. A transfer has a record only with --results."
        )]
        pub sha256: bool,
        /// Write each record at once
        #[arg(
            long,
            hide_short_help = true,
            long_help = "Write each record at once, else once a second and at the end. A transfer has a record only with --results."
        )]
        pub unbuffered: bool,
    }

    /// What is asked.
    #[command(next_help_heading = "Request")]
    pub struct Request {
        /// The method
        #[arg(
            short = 'X',
            long,
            value_name = "METHOD",
            long_help = "The method, kept on every hop of -L as curl does (see --follow)."
        )]
        pub request: Option<String>,
        /// A header field; 'K:' removes one, 'K;' sends it empty, @FILE reads them
        #[arg(short = 'H', long, value_name = "FIELD", long_help = "A header field. 'K:' removes one that gannet would send, 'K;' sends it without a value, @FILE reads one a line.")]
        pub header: Vec<String>,
        /// The User-Agent (gannet/VERSION)
        #[arg(short = 'A', long, value_name = "NAME")]
        pub user_agent: Option<String>,
        /// The Referer; ;auto sends the previous URL when redirected
        #[arg(short = 'e', long, value_name = "URL")]
        pub referer: Option<String>,
        /// Send this by POST; @FILE reads it, line ends dropped
        #[arg(short = 'd', long, value_name = "DATA", visible_alias = "data-ascii", long_help = "Send this by POST as application/x-www-form-urlencoded. @FILE reads it from a file, CR, LF and NUL dropped. Several are joined by &.")]
        pub data: Vec<String>,
        /// As -d, without the meaning of @
        #[arg(long, value_name = "DATA", hide_short_help = true)]
        pub data_raw: Vec<String>,
        /// As -d, files sent as they are
        #[arg(long, value_name = "DATA")]
        pub data_binary: Vec<String>,
        /// As -d, percent-encoded: content, =content, name=content, @file, name@file
        #[arg(long, value_name = "DATA", hide_short_help = true)]
        pub data_urlencode: Vec<String>,
        /// Send this as JSON by POST
        #[arg(long, value_name = "DATA", long_help = "Send this by POST with Content-Type and Accept application/json. @FILE reads it from a file. Several are joined as they are.")]
        pub json: Vec<String>,
        /// Upload a file by PUT; - is standard input
        #[arg(short = 'T', long, value_name = "FILE", long_help = "Upload a file by PUT. A URL that ends with a slash gets the file's name appended. - reads standard input and sends it in chunks. The n-th -T belongs to the n-th URL.")]
        pub upload_file: Vec<String>,
        /// Put the data of -d into the URL's query and use GET
        #[arg(short = 'G', long)]
        pub get: bool,
        /// Add to the URL's query, encoded as by --data-urlencode
        #[arg(long, value_name = "DATA", hide_short_help = true)]
        pub url_query: Vec<String>,
        /// Ask for the head only
        #[arg(short = 'I', long)]
        pub head: bool,
        /// Ask for these bytes only
        #[arg(
            short = 'r',
            long,
            value_name = "RANGE",
            long_help = "Ask for these bytes only: 0-499, 500-, -500, or several separated by commas."
        )]
        pub range: Option<String>,
        /// Leave /../ and /./ in paths as they are
        #[arg(long, hide_short_help = true)]
        pub path_as_is: bool,
        /// Use HTTP/1.1 (gannet speaks nothing else)
        #[arg(long, hide_short_help = true)]
        pub http1_1: bool,
        /// What follows is another group of URLs with options of its own
        #[arg(long, short = ':', hide_short_help = true)]
        pub next: bool,
        /// User and password
        #[arg(
            short = 'u',
            long,
            value_name = "USER:PASSWORD",
            long_help = "User and password for Basic authentication. Without :PASSWORD it is asked for, on the terminal or, where there is none, from the first line of standard input. In a batch it needs --auth-host."
        )]
        pub user: Option<String>,
        /// Send -u by Basic authentication (always so)
        #[arg(long, hide_short_help = true)]
        pub basic: bool,
        /// A bearer token
        #[arg(long, value_name = "TOKEN", hide_short_help = true)]
        pub oauth2_bearer: Option<String>,
        /// In a batch: the hosts that may get credentials; or all
        #[arg(
            long,
            value_name = "HOST,…|all",
            value_delimiter = ',',
            hide_short_help = true,
            long_help = "In a batch: the hosts that -u, --oauth2-bearer and -H of Authorization or Cookie are meant for. Without it, these are refused together with -i: a secret never goes to a list of strangers by accident. A host is named as in a URL, without scheme and port."
        )]
        pub auth_host: Vec<String>,
        /// Take users and passwords from ~/.netrc
        #[arg(short = 'n', long)]
        pub netrc: bool,
        /// Take users and passwords from this file
        #[arg(long, value_name = "FILE", hide_short_help = true)]
        pub netrc_file: Option<PathBuf>,
        /// Use .netrc if there is one; the URL's own user goes first
        #[arg(long, hide_short_help = true)]
        pub netrc_optional: bool,
        /// Follow redirects
        #[arg(short = 'L', long)]
        pub location: bool,
        /// Follow redirects with methods as the standard says, also those of -X
        #[arg(long, hide_short_help = true)]
        pub follow: bool,
        /// Most redirects of one URL (50); -1: any number
        #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(-1..))]
        pub max_redirs: Option<i64>,
        /// Schemes that may be used
        #[arg(
            long,
            value_name = "PROTOCOLS",
            hide_short_help = true,
            long_help = "Schemes that may be used, as curl's: +name, -name, =name, all, separated by commas."
        )]
        pub proto: Option<String>,
        /// Schemes that may be used after a redirect
        #[arg(long, value_name = "PROTOCOLS", hide_short_help = true)]
        pub proto_redir: Option<String>,
        /// Scheme of URLs that name none
        #[arg(long, value_name = "SCHEME", hide_short_help = true)]
        pub proto_default: Option<String>,
        /// Send credentials to other hosts after a redirect too
        #[arg(long, hide_short_help = true)]
        pub location_trusted: bool,
        /// Stay with POST after a 301
        #[arg(long, hide_short_help = true)]
        pub post301: bool,
        /// Stay with POST after a 302
        #[arg(long, hide_short_help = true)]
        pub post302: bool,
        /// Stay with POST after a 303
        #[arg(long, hide_short_help = true)]
        pub post303: bool,
        /// Ask for a compressed answer and undo the compression
        #[arg(long)]
        pub compressed: bool,
        /// Only if modified since this date, or since this file's; -DATE: only if not
        #[arg(short = 'z', long, value_name = "DATE|FILE", hide_short_help = true)]
        pub time_cond: Option<String>,
        /// Keep the answer's ETag in this file
        #[arg(long, value_name = "FILE", hide_short_help = true)]
        pub etag_save: Option<PathBuf>,
        /// Only if the ETag differs from that in this file
        #[arg(long, value_name = "FILE", hide_short_help = true)]
        pub etag_compare: Option<PathBuf>,
        /// Read options from this file; - is standard input
        #[arg(short = 'K', long, value_name = "FILE", long_help = "Read options from a file in curl's syntax: an option a line, with or without dashes, its value after a blank, = or :, quoted if need be. Unless -q comes first, the file gannet/config in the user's configuration folder (or the one that GANNET_CONFIG names) is read before.")]
        pub config: Vec<PathBuf>,
        /// Set a variable that --expand-NAME puts into the value of another option
        #[arg(long, value_name = "NAME=TEXT|NAME@FILE", hide_short_help = true, long_help = "Set a variable: NAME=TEXT, NAME@FILE (@- is standard input), %NAME out of the environment, %NAME=TEXT or %NAME@FILE where it may be missing there; NAME[FIRST-LAST]=… takes these bytes. --expand-OPTION VALUE is --OPTION with {{NAME}} in its value replaced, for each option that has a value and stands later; \\{{ is a {{ as it is. {{NAME:trim:url}} applies functions from left to right: trim, json (escapes of a JSON string), url, b64, 64dec.")]
        pub variable: Vec<String>,
        /// First of all: do not read the default config file
        #[arg(short = 'q', long)]
        pub disable: bool,
        /// How long to wait for 100 Continue (1)
        #[arg(long, value_name = "SECONDS", hide_short_help = true, value_parser = values::seconds)]
        pub expect100_timeout: Option<Duration>,
    }

    /// How many at once, and how fast.
    #[command(next_help_heading = "Concurrency and politeness")]
    pub struct Pace {
        /// Connections a host: a number, or auto to find out what it bears (auto)
        #[arg(long, value_name = "N|auto", alias = "parallel-max-host")]
        pub per_host: Option<String>,
        /// Ceiling for auto (32 on public addresses, 128 on private ones)
        #[arg(long, value_name = "N", hide_short_help = true, value_parser = clap::value_parser!(u16).range(1..))]
        pub max_per_host: Option<u16>,
        /// All URLs at once instead of one after another
        #[arg(short = 'Z', long)]
        pub parallel: bool,
        /// With -Z: connect at once, without waiting for a free connection (always so)
        #[arg(long, hide_short_help = true)]
        pub parallel_immediate: bool,
        /// Connections in all (512, less when descriptors are scarce)
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=1_000_000), long_help = "Connections in all (512, less when descriptors are scarce; 0 is the same).")]
        pub parallel_max: Option<u32>,
        /// Requests in a time: 10/s, 3/15s, 120/m; a bare number an hour
        #[arg(long, value_name = "N/UNIT", value_parser = values::rate)]
        pub rate: Option<Rate>,
        /// The same for each host; a bare number an hour
        #[arg(long, value_name = "N/UNIT", hide_short_help = true, value_parser = values::rate)]
        pub rate_per_host: Option<Rate>,
        /// Bytes a second of each transfer
        #[arg(long, value_name = "SPEED", value_parser = values::size)]
        pub limit_rate: Option<u64>,
        /// Bytes a second of all transfers together
        #[arg(long, value_name = "SPEED", hide_short_help = true, value_parser = values::size)]
        pub limit_rate_total: Option<u64>,
        /// Pause between two requests to one host
        #[arg(long, value_name = "TIME", value_parser = values::duration)]
        pub delay: Option<Duration>,
        /// A connection for each request
        #[arg(long, hide_short_help = true)]
        pub no_reuse: bool,
        /// Close a connection after so long without work (60)
        #[arg(long, value_name = "TIME", hide_short_help = true, value_parser = values::duration)]
        pub idle_timeout: Option<Duration>,
        /// Memory that connections, lines and bodies may hold together
        #[arg(long, value_name = "BYTES", hide_short_help = true, value_parser = values::size, long_help = "Memory that the run may hold: connections with their buffers, lines read ahead, bodies on their way to standard output or into records. What does not fit is not begun: fewer connections are opened, fewer lines read ahead, bodies wait in unlinked files earlier; when that lowers what was asked for, a warning says so. Each host beyond 256 takes some 2.5 KiB more.")]
        pub max_memory: Option<u64>,
        /// End the batch after so many failures
        #[arg(long, value_name = "N", hide_short_help = true, value_parser = clap::value_parser!(u64).range(1..))]
        pub max_failures: Option<u64>,
    }

    /// When to try again.
    #[command(next_help_heading = "Retry")]
    pub struct Retry {
        /// Further attempts after a failure that may pass (4)
        #[arg(long, value_name = "N")]
        pub retry: Option<u32>,
        /// A fixed pause between attempts
        #[arg(long, value_name = "SECONDS", hide_short_help = true, value_parser = values::seconds)]
        pub retry_delay: Option<Duration>,
        /// No new attempt after this long
        #[arg(long, value_name = "SECONDS", hide_short_help = true, value_parser = values::seconds)]
        pub retry_max_time: Option<Duration>,
        /// A Retry-After beyond this closes the host until then (120)
        #[arg(long, value_name = "TIME", hide_short_help = true, value_parser = values::duration)]
        pub max_retry_after: Option<Duration>,
        /// A host that has served and now refuses is given up after this long (60)
        #[arg(long, value_name = "TIME", hide_short_help = true, value_parser = values::duration)]
        pub host_down_after: Option<Duration>,
        /// Try again after any failure; never a POST
        #[arg(
            long,
            long_help = "Try again after any failure of a transfer, with -f also after any status of 400 and above, with -C after one in place of the rest; never a POST (see --retry-unsafe). What can't be written or read on this machine (exit status 23 and 26) is no failure of a transfer, nor is a range that was refused (33) with another status."
        )]
        pub retry_all_errors: bool,
        /// Try again after a refused connection (always on)
        #[arg(long, hide_short_help = true)]
        pub retry_connrefused: bool,
        /// Requests that are not idempotent may be sent twice
        #[arg(long, hide_short_help = true)]
        pub retry_unsafe: bool,
        /// When this machine's own network is down (wait)
        #[arg(long, value_name = "wait|fail", hide_short_help = true)]
        pub offline: Option<Offline>,
        /// The first pause before another attempt is drawn between zero and this (250ms)
        #[arg(long, value_name = "TIME", hide_short_help = true, value_parser = values::duration)]
        pub backoff_base: Option<Duration>,
        /// No pause is drawn beyond this (30s)
        #[arg(long, value_name = "TIME", hide_short_help = true, value_parser = values::duration)]
        pub backoff_cap: Option<Duration>,
        /// Further attempts that one host may cost (20%+10)
        #[arg(long, value_name = "PERCENT%+N", hide_short_help = true, value_parser = values::budget, long_help = "Further attempts that one host may cost: so many for a hundred requests, and so many a second. What is beyond waits; it fails only at --retry-max-time.")]
        pub retry_budget: Option<Budget>,
        /// Further attempts that all hosts together may cost (20%+100)
        #[arg(long, value_name = "PERCENT%+N", hide_short_help = true, value_parser = values::budget)]
        pub retry_budget_total: Option<Budget>,
    }

    /// How long to wait.
    #[command(next_help_heading = "Time")]
    pub struct Time {
        /// For a connection: name, TCP and TLS together (10)
        #[arg(long, value_name = "SECONDS", value_parser = values::seconds)]
        pub connect_timeout: Option<Duration>,
        /// For the TLS handshake, within that (10)
        #[arg(long, value_name = "SECONDS", hide_short_help = true, value_parser = values::seconds)]
        pub tls_timeout: Option<Duration>,
        /// For the answer to begin (batch: 60)
        #[arg(long, value_name = "SECONDS", hide_short_help = true, value_parser = values::seconds)]
        pub first_byte_timeout: Option<Duration>,
        /// Give up what is slower than -Y for this long
        #[arg(short = 'y', long, value_name = "SECONDS", hide_short_help = true)]
        pub speed_time: Option<u32>,
        /// Bytes a second below which a transfer is slow
        #[arg(short = 'Y', long, value_name = "SPEED", hide_short_help = true)]
        pub speed_limit: Option<u32>,
        /// For one attempt with its redirects
        #[arg(short = 'm', long, value_name = "SECONDS", value_parser = values::seconds, long_help = "For one attempt with its redirects: from the look-up to the last byte, not the time in a queue. One that takes longer is repeated only where --retry is given: by themselves, batches don't repeat what would take as long again.")]
        pub max_time: Option<Duration>,
        /// For the whole batch
        #[arg(long, value_name = "TIME", value_parser = values::duration)]
        pub deadline: Option<Duration>,
        /// First TCP probe on a silent connection after this long (60)
        #[arg(long, value_name = "SECONDS", hide_short_help = true, value_parser = values::seconds)]
        pub keepalive_time: Option<Duration>,
        /// No TCP probes
        #[arg(long, hide_short_help = true)]
        pub no_keepalive: bool,
    }

    /// By what way.
    #[command(next_help_heading = "TLS and network")]
    pub struct Network {
        /// Trust only the certificates of this file or folder
        #[arg(
            long,
            value_name = "FILE",
            long_help = "Trust only the certificate authorities of this file or folder (PEM). Without it CURL_CA_BUNDLE, SSL_CERT_FILE and SSL_CERT_DIR count, else the authorities that are built in."
        )]
        pub cacert: Option<PathBuf>,
        /// Trust what the system trusts, instead of the authorities that are built in
        #[arg(long, hide_short_help = true)]
        pub ca_native: bool,
        /// Do not check the server's certificate
        #[arg(short = 'k', long)]
        pub insecure: bool,
        /// Our own certificate (PEM)
        #[arg(short = 'E', long, value_name = "FILE", hide_short_help = true)]
        pub cert: Option<PathBuf>,
        /// The key of --cert (PEM)
        #[arg(long, value_name = "FILE", hide_short_help = true)]
        pub key: Option<PathBuf>,
        /// TLS 1.0 or later (always so, and at least 1.2)
        #[arg(short = '1', long, hide_short_help = true)]
        pub tlsv1: bool,
        /// TLS 1.0 or later (always so, and at least 1.2)
        #[arg(long, hide_short_help = true)]
        pub tlsv1_0: bool,
        /// TLS 1.1 or later (always so, and at least 1.2)
        #[arg(long, hide_short_help = true)]
        pub tlsv1_1: bool,
        /// TLS 1.2 or later
        #[arg(long, hide_short_help = true)]
        pub tlsv1_2: bool,
        /// TLS 1.3 or later
        #[arg(long, hide_short_help = true)]
        pub tlsv1_3: bool,
        /// The latest version of TLS
        #[arg(long, value_name = "1.2|1.3", hide_short_help = true, value_parser = ["1.2", "1.3", "default"])]
        pub tls_max: Option<String>,
        /// The server's key must have one of these hashes, or be the one in this file (PEM or DER)
        #[arg(long, value_name = "sha256//HASH;…|FILE", hide_short_help = true)]
        pub pinnedpubkey: Option<String>,
        /// Send small packets at once (always so)
        #[arg(long, hide_short_help = true)]
        pub tcp_nodelay: bool,
        /// Only IPv4
        #[arg(short = '4', long, overrides_with = "ipv6", hide_short_help = true)]
        pub ipv4: bool,
        /// Only IPv6
        #[arg(short = '6', long, overrides_with = "ipv4", hide_short_help = true)]
        pub ipv6: bool,
        /// HOST:PORT:ADDRESS,…: these addresses for this host
        #[arg(long, value_name = "HOST:PORT:ADDRESS", long_help = "Use these addresses for this host and port instead of looking them up. * stands for any host.")]
        pub resolve: Vec<String>,
        /// HOST1:PORT1:HOST2:PORT2: go to the second instead of the first
        #[arg(long, value_name = "HOST1:PORT1:HOST2:PORT2")]
        pub connect_to: Vec<String>,
        /// Ask these name servers
        #[arg(long, value_name = "ADDRESS[:PORT],…", value_delimiter = ',', hide_short_help = true)]
        pub dns_servers: Vec<String>,
        /// Send from this device, address or host
        #[arg(long, value_name = "NAME", hide_short_help = true, long_help = "Send from this device, this address, or an address of this host (an IPv4 one, unless -6). if!DEVICE, host!HOST and ifhost!DEVICE!HOST say which it is.")]
        pub interface: Option<String>,
        /// How long one address gets before the next is tried beside it (250)
        #[arg(long, value_name = "MS", hide_short_help = true)]
        pub happy_eyeballs_timeout_ms: Option<u32>,
        /// Never connect to these networks
        #[arg(long, value_name = "NET,…", hide_short_help = true, value_parser = parse_nets, long_help = "Never connect to these networks (CIDR, an address, or private: loopback, link-local, RFC 1918, ULA, CGNAT). Checked on the address at every connect, after redirects too.")]
        pub deny_net: Vec<Nets>,
        /// Connect to these networks even if they are denied
        #[arg(long, value_name = "NET,…", hide_short_help = true, value_parser = parse_nets)]
        pub allow_net: Vec<Nets>,
    }

    /// What may be how large.
    #[command(next_help_heading = "Bounds")]
    pub struct Bounds {
        /// Bytes of an answer's head (256K)
        #[arg(long, value_name = "BYTES", hide_short_help = true, value_parser = values::size)]
        pub max_head_size: Option<u64>,
        /// Bytes of a line of an answer's head, unfolded (as --max-head-size)
        #[arg(long, value_name = "BYTES", hide_short_help = true, value_parser = values::size)]
        pub max_head_line: Option<u64>,
        /// Fields of an answer's head (256)
        #[arg(long, value_name = "N", hide_short_help = true, value_parser = clap::value_parser!(u16).range(1..))]
        pub max_head_fields: Option<u16>,
        /// Interim answers before the final one (32)
        #[arg(long, value_name = "N", hide_short_help = true)]
        pub max_interim: Option<u16>,
        /// Bytes of all interim answers before the final one (256K)
        #[arg(long, value_name = "BYTES", hide_short_help = true, value_parser = values::size)]
        pub max_interim_size: Option<u64>,
        /// Bytes of chunk extensions of one body, besides a sixteenth of its data (8K)
        #[arg(long, value_name = "BYTES", hide_short_help = true, value_parser = values::size)]
        pub max_chunk_extensions: Option<u64>,
        /// Bytes of trailers (16K)
        #[arg(long, value_name = "BYTES", hide_short_help = true, value_parser = values::size)]
        pub max_trailer_size: Option<u64>,
        /// Fields of trailers (128)
        #[arg(long, value_name = "N", hide_short_help = true, value_parser = clap::value_parser!(u16).range(1..))]
        pub max_trailer_fields: Option<u16>,
        /// Codings on top of each other (4)
        #[arg(long, value_name = "N", hide_short_help = true, value_parser = clap::value_parser!(u16).range(1..=16))]
        pub max_codings: Option<u16>,
        /// Decoded bytes for each compressed one, above 1 MiB (1000)
        #[arg(long, value_name = "N", hide_short_help = true)]
        pub max_decode_ratio: Option<u32>,
        /// Bytes of a line of a list (1M, 64 at least)
        #[arg(long, value_name = "BYTES", hide_short_help = true, value_parser = values::size)]
        pub max_line: Option<u64>,
    }

    /// What a person sees.
    #[command(next_help_heading = "Display")]
    pub struct Display {
        /// Neither progress nor messages
        #[arg(short = 's', long)]
        pub silent: bool,
        /// With -s: error messages all the same
        #[arg(short = 'S', long)]
        pub show_error: bool,
        /// Say what is sent and received
        #[arg(short = 'v', long)]
        pub verbose: bool,
        /// No summary at the end of a batch
        #[arg(long, hide_short_help = true)]
        pub no_summary: bool,
        /// When to show progress (auto: on a terminal; always: elsewhere as a line a second)
        #[arg(long, value_name = "WHEN", hide_short_help = true)]
        pub progress: Option<When>,
        /// No progress
        #[arg(long, hide_short_help = true)]
        pub no_progress_meter: bool,
        /// Progress as a bar, where the length is known
        #[arg(short = '#', long, hide_short_help = true, long_help = "Show progress as a bar of # and a share, where it is known how much there is to come; else as without it. When it is shown at all is up to --progress.")]
        pub progress_bar: bool,
        /// Write bodies to standard output as they come (always so)
        #[arg(short = 'N', long, hide_short_help = true)]
        pub no_buffer: bool,
        /// Write messages to this file; - is standard output
        #[arg(long, value_name = "FILE", hide_short_help = true, long_help = "Write to this file what would go to the standard error: messages, progress, the summary, -v. - is standard output.")]
        pub stderr: Option<PathBuf>,
        /// When to use colours (auto)
        #[arg(long, value_name = "WHEN", hide_short_help = true)]
        pub color: Option<When>,
        /// Keep the wire bytes of each connection in this folder
        #[arg(long, value_name = "DIR", hide_short_help = true)]
        pub record_wire: Option<PathBuf>,
    }

    /// About gannet itself.
    #[command(next_help_heading = "About")]
    pub struct About {
        /// This help; all: every option with an example; the name of a failure: what it means
        #[arg(short = 'h', long, value_name = "all|KIND", num_args = 0..=1, require_equals = true, default_missing_value = "")]
        pub help: Option<String>,
        /// Version, features and libraries
        #[arg(short = 'V', long)]
        pub version: bool,
        /// Print completions for this shell
        #[arg(long, value_name = "SHELL", hide_short_help = true)]
        pub completions: Option<clap_complete::Shell>,
        /// Print the manual page
        #[arg(long, hide_short_help = true)]
        pub man: bool,
    }
}
