//! What it means: the options of `args` turned into decisions, defaults filled in, contradictions
//! named. From here on nothing knows how it was typed.
//!
//! Owns the difference between the two ways to run, and which output belongs to which URL. Reads
//! the small files that make up a request (`-d @FILE`, `-H @FILE`, `-w @FILE`).

mod build;
mod options;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use build::plan;

use super::exit::Exit;
use super::glob::Glob;
use super::hash::in_shard;
use super::values::{BodyForm, Budget, Rate, ResumeKey, Shard, When};
use crate::fetch::{Network, Profile, Url, UrlRules};

/// What the command line asks for.
#[derive(Debug)]
pub enum Command {
    /// Fetch.
    Run(Box<Plan>),
    /// Print this and end well.
    Print(String),
}

/// A whole run.
#[derive(Debug)]
pub struct Plan {
    /// Transfers or a batch.
    pub way: Way,
    /// What a person sees.
    pub display: Display,
    /// Records, if any.
    pub records: Records,
    /// Things to say before it begins.
    pub warnings: Vec<String>,
}

/// The two ways to run.
#[derive(Debug)]
pub enum Way {
    /// As curl: the groups one after another.
    Transfers(Transfers),
    /// A list.
    Batch(Box<Batch>),
}

/// URLs named on the command line.
#[derive(Debug)]
pub struct Transfers {
    /// Between `--next`.
    pub groups: Vec<Group>,
    /// All at once.
    pub parallel: bool,
    /// Stop at the first failure.
    pub fail_early: bool,
}

/// One group of transfers.
#[derive(Debug)]
pub struct Group {
    /// In order.
    pub targets: Vec<Target>,
    /// What is asked.
    pub ask: Ask,
    /// Where it goes.
    pub keep: Keep,
    /// What the fetcher is made with.
    pub engine: Engine,
}

/// A batch.
#[derive(Debug)]
pub struct Batch {
    /// In order.
    pub lists: Vec<List>,
    /// What is asked of each.
    pub ask: Ask,
    /// Where bodies go.
    pub keep: Keep,
    /// What the fetcher is made with.
    pub engine: Engine,
    /// Jobs read ahead.
    pub window: u32,
    /// Only these hosts.
    pub shard: Option<Shard>,
    /// Hosts that may get the credentials of the command line; `None`: there are none.
    pub auth_hosts: Hosts,
    /// When the whole batch ends.
    pub deadline: Option<Duration>,
    /// After so many failures too.
    pub max_failures: Option<u64>,
    /// URLs that failed do not make the batch fail.
    pub exit_zero: bool,
    /// Bytes of a line.
    pub max_line: usize,
}

/// A list to read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum List {
    /// URLs of the command line.
    Url(Glob),
    /// A file.
    File(PathBuf),
    /// Standard input.
    Stdin,
}

/// Some hosts, or all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Hosts {
    /// Every host.
    All,
    /// These, in lower case.
    These(Vec<String>),
}

/// One URL (or glob) of a transfer and what belongs to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// What to fetch.
    pub url: Source,
    /// The how manieth URL of the command line it is, over all groups.
    pub number: u64,
    /// Where its body goes; of a list's lines, the first one's.
    pub output: Where,
    /// What is sent with it; of a list's lines, with the first.
    pub upload: Option<Upload>,
    /// Where the bodies of a list's further lines go; after these, under the names in their URLs.
    pub more: VecDeque<Where>,
    /// Of a list: no line was taken yet.
    pub is_first: bool,
}

/// Where a URL comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// The command line.
    Glob(Glob),
    /// `@FILE`: a URL a line.
    File(PathBuf),
    /// `@-`.
    Stdin,
}

impl Source {
    /// Whether it may stand for more than one URL.
    pub fn is_several(&self) -> bool {
        match self {
            Self::Glob(glob) => glob.count() > 1,
            Self::File(_) | Self::Stdin => true,
        }
    }
}

/// Where a body goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Where {
    /// Standard output.
    Stdout,
    /// This name, or a template in a batch.
    Name(String),
    /// The name in the URL (and, with `-J`, in the answer).
    Remote,
    /// Nowhere.
    Nowhere,
}

/// A body that is sent piece by piece.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Upload {
    /// What is in memory already, where `--limit-rate` holds it back.
    Bytes(Arc<[u8]>),
    /// This file.
    File(PathBuf),
    /// Standard input, in chunks.
    Stdin,
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Ask {
    /// What all URLs of the group share.
    pub profile: Profile,
    /// How typed text becomes a URL.
    pub rules: UrlRules,
    /// Added to the query.
    pub query: Option<String>,
    /// `.netrc`.
    pub netrc: Option<Netrc>,
    /// `--etag-save`.
    pub etag_save: Option<PathBuf>,
    /// `--etag-compare`.
    pub etag_compare: Option<PathBuf>,
    /// `-C`.
    pub resume: Continue,
    /// `-z`: the answer must be newer (older) than this, whatever its status says.
    pub time_cond: Option<TimeCond>,
    /// `--accept-type`, in lower case.
    pub accept_types: Vec<String>,
    /// `--reject-type`, in lower case.
    pub reject_types: Vec<String>,
    /// The user spoke of retries: an attempt that used up its time is one to repeat.
    pub repeats_late: bool,
}

/// Where names and passwords of hosts are found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Netrc {
    /// The file; `None`: `~/.netrc`.
    pub file: Option<PathBuf>,
    /// It may be missing, and the URL's own user goes first.
    pub optional: bool,
}

/// `-z`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TimeCond {
    /// Only if *not* modified since.
    pub unless: bool,
    /// Seconds since 1970.
    pub date: i64,
}

/// `-C`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Continue {
    /// From the start.
    No,
    /// From where the file ends.
    Auto,
    /// From here.
    At(u64),
}

/// Where bodies and what else was received go.
#[derive(Clone, Debug)]
pub struct Keep {
    /// For a batch: where bodies go.
    pub output: Where,
    /// The folder for files.
    pub dir: Option<PathBuf>,
    /// Make missing folders.
    pub create_dirs: bool,
    /// The server's own name.
    pub header_name: bool,
    /// What happens to files that are there.
    pub existing: Existing,
    /// Bodies of answers with status 400 and above too.
    pub errors: bool,
    /// The server's time on the file.
    pub remote_time: bool,
    /// `-D`.
    pub dump_header: Option<String>,
    /// Heads before bodies.
    pub show_headers: bool,
    /// `-f`.
    pub fail: Fail,
    /// Remove files of failed transfers.
    pub remove_on_error: bool,
    /// On the disk before it counts.
    pub fsync: bool,
    /// `-w`.
    pub write_out: Option<String>,
    /// `-o -`: a terminal gets what is no text, too.
    pub raw_to_terminal: bool,
}

/// What happens when the file is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Existing {
    /// Overwritten; with `-J` kept.
    Default,
    /// Overwritten.
    Clobber,
    /// Another name is found.
    Keep,
    /// The URL is not fetched.
    Skip,
}

/// What a status of 400 or more means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fail {
    /// An answer like any other.
    No,
    /// A failure, its body not written.
    Quietly,
    /// A failure, its body written.
    WithBody,
}

/// What the fetcher is made with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Engine {
    /// Whether this is a batch, with a batch's defaults.
    pub mode: Mode,
    pub per_host: PerHost,
    pub max_per_host: Option<u16>,
    pub max_connections: Option<u32>,
    pub max_memory: Option<u64>,
    pub rate: Option<Rate>,
    pub rate_per_host: Option<Rate>,
    pub limit_rate: Option<u64>,
    pub limit_rate_total: Option<u64>,
    pub delay: Duration,
    pub reuse: bool,
    pub idle_timeout: Option<Duration>,
    pub attempts: u32,
    pub retry_delay: Option<Duration>,
    pub retry_max_time: Option<Duration>,
    pub max_retry_after: Option<Duration>,
    pub host_down_after: Option<Duration>,
    pub retry_all_errors: bool,
    /// With `-f` or `-C`, and `--retry-all-errors`: statuses of 400 and above.
    pub retry_error_statuses: bool,
    /// Attempts that used up their time may be repeated, where [`Ask::repeats_late`] says so.
    pub retry_timeouts: bool,
    pub offline_wait: bool,
    pub backoff_base: Option<Duration>,
    pub backoff_cap: Option<Duration>,
    pub budget: Option<Budget>,
    pub budget_total: Option<Budget>,
    pub connect_timeout: Option<Duration>,
    pub tls_timeout: Option<Duration>,
    pub first_byte_timeout: Option<Duration>,
    pub stall_timeout: Option<Duration>,
    /// Bytes a second, for so many seconds.
    pub low_speed: Option<(u32, u32)>,
    pub expect_timeout: Option<Duration>,
    pub keepalive: Option<Duration>,
    pub cacert: Option<PathBuf>,
    pub ca_native: bool,
    pub insecure: bool,
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub tls_min_1_3: bool,
    pub tls_max_1_2: bool,
    pub pins: Option<String>,
    pub ip: Ip,
    pub resolve: Vec<String>,
    pub connect_to: Vec<String>,
    pub dns_servers: Vec<String>,
    pub interface: Option<String>,
    pub happy_eyeballs: Option<Duration>,
    pub deny: Vec<Network>,
    pub allow: Vec<Network>,
    pub proto: Protos,
    pub proto_redir: Protos,
    /// Most redirects; `None`: any number.
    pub max_redirs: Option<u32>,
    pub location_trusted: bool,
    pub post301: bool,
    pub post302: bool,
    pub post303: bool,
    pub limits: Limits,
    pub record_wire: Option<PathBuf>,
}

impl Engine {
    /// Whether a fetcher that was made with this will do for the other: they differ in nothing but
    /// what concerns requests.
    pub fn connects_like(&self, other: &Self) -> bool {
        let alike = Self {
            limit_rate: other.limit_rate,
            limit_rate_total: other.limit_rate_total,
            attempts: other.attempts,
            expect_timeout: other.expect_timeout,
            proto: other.proto,
            proto_redir: other.proto_redir,
            max_redirs: other.max_redirs,
            location_trusted: other.location_trusted,
            post301: other.post301,
            post302: other.post302,
            post303: other.post303,
            ..self.clone()
        };
        alike == *other
    }
}

/// Bounds that were named.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Limits {
    pub head_size: Option<u64>,
    pub head_line: Option<u64>,
    pub head_fields: Option<u16>,
    pub interim: Option<u16>,
    pub interim_size: Option<u64>,
    pub chunk_extensions: Option<u64>,
    pub trailer_size: Option<u64>,
    pub trailer_fields: Option<u16>,
    pub codings: Option<u16>,
    pub decode_ratio: Option<u32>,
}

/// Connections a host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PerHost {
    /// Found out.
    Auto,
    /// Exactly.
    Fixed(u16),
}

/// Families of addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ip {
    Any,
    V4,
    V6,
}

/// Schemes that may be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Protos {
    pub http: bool,
    pub https: bool,
}

/// Which of the two ways to run it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// URLs of the command line, as curl has them.
    Transfers,
    /// Lists, with a record a URL.
    Batch,
}

/// What progress looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Meter {
    /// Numbers alone.
    Line,
    /// A bar, where it is known how much there is to come.
    Bar,
}

/// What a person sees.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Display {
    /// Neither progress nor messages.
    pub silent: bool,
    /// Error messages.
    pub errors: bool,
    pub verbose: bool,
    pub summary: bool,
    pub progress: When,
    pub meter: Meter,
    pub color: When,
}

/// What is said about each URL, and what was said before.
#[derive(Clone, Debug)]
pub struct Records {
    pub results: Option<PathBuf>,
    pub overwrite: bool,
    pub summary: Option<PathBuf>,
    pub resume: Option<Resume>,
    pub headers: RecordHeaders,
    pub body: Option<BodyForm>,
    pub body_max: u64,
    pub sha256: bool,
    pub unbuffered: bool,
}

/// Header fields in records.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RecordHeaders {
    None,
    All,
    /// In lower case.
    These(Vec<String>),
}

/// How an earlier run is taken up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resume {
    pub key: ResumeKey,
    /// Kinds to fetch again; empty: all.
    pub kinds: Vec<String>,
    /// Statuses to fetch again.
    pub statuses: Vec<StatusClass>,
    /// `--shard`: nothing of other parts is fetched again, whatever came of it.
    pub portion: Option<Portion>,
}

impl Resume {
    /// Whether what failed so, or came with this status, is to be fetched again.
    pub fn chooses(&self, failed: Option<&str>, status: Option<u16>) -> bool {
        let by_kind = failed.is_some_and(|kind| {
            // With statuses alone, failures of other kinds stay as they are.
            if self.kinds.is_empty() {
                self.statuses.is_empty()
            } else {
                self.kinds.iter().any(|one| one == kind)
            }
        });
        by_kind
            || status.is_some_and(|status| self.statuses.iter().any(|class| class.holds(status)))
    }

    /// Whether this run would come to the URL of such a record.
    pub fn comes_to(&self, url: &str) -> bool {
        self.portion.is_none_or(|portion| portion.holds(url))
    }

    /// The options that choose.
    pub fn choice(&self) -> String {
        let statuses: Vec<String> = self.statuses.iter().map(ToString::to_string).collect();
        let options = [("--resume-kinds", &self.kinds), ("--resume-status", &statuses)];
        let given = options.iter().filter(|(_, values)| !values.is_empty());
        let given: Vec<String> =
            given.map(|(option, values)| format!("{option} {}", values.join(","))).collect();
        given.join(" or ")
    }
}

/// The part of a list that is fetched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Portion {
    pub shard: Shard,
    pub rules: UrlRules,
}

impl Portion {
    /// Whether what stands for a URL in a record belongs to it: by its host. What is no URL has
    /// none, and is the first one's.
    pub fn holds(&self, url: &str) -> bool {
        Url::parse(url, &self.rules)
            .map_or(self.shard.index == 1, |url| in_shard(url.host(), self.shard))
    }
}

/// `404` or `5xx`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StatusClass {
    pub low: u16,
    pub high: u16,
}

impl std::fmt::Display for StatusClass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.low == self.high {
            write!(f, "{}", self.low)
        } else {
            write!(f, "{}xx", self.low / 100)
        }
    }
}

/// Why the command line can't be used.
#[derive(Debug)]
pub struct Usage {
    /// What is wrong.
    pub text: String,
    /// How it ends.
    pub exit: Exit,
}

impl Usage {
    /// A file that is named on the command line can't be read.
    pub fn unread(text: String) -> Self {
        Self { text, exit: Exit::READ }
    }

    /// With something in front.
    pub fn at(self, place: &str) -> Self {
        Self { text: format!("{place}: {}", self.text), ..self }
    }
}

impl From<String> for Usage {
    fn from(text: String) -> Self {
        Self { text, exit: Exit::USAGE }
    }
}

fn usage<T>(text: impl Into<String>) -> Result<T, Usage> {
    Err(Usage::from(text.into()))
}

fn no_glob(text: String) -> Usage {
    Usage { text, exit: Exit::curl(3) }
}
