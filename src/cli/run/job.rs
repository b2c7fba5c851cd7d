//! One URL on its way, as the command line sees it. Jobs are used again, so that a plain line of a
//! list costs no allocation once their buffers have grown.

use std::io::Write as _;
use std::ops::Range;
use std::path::PathBuf;
use std::rc::Rc;

use sha2::{Digest, Sha256};

use super::kind::Kind;
use crate::base::is_named;
use crate::cli::entry::More;
use crate::cli::part::Leftover;
use crate::cli::plan::{Keep, RecordHeaders, TimeCond, Upload};
use crate::cli::sink::FileSink;
use crate::cli::spool::Spool;
use crate::cli::template::{Template, Values};
use crate::cli::writeout::Format;
use crate::fetch::{Fields, Head, Version};

/// What holds for all URLs of a group.
#[derive(Debug)]
pub struct Terms {
    pub keep: Keep,
    pub accept_types: Vec<String>,
    pub reject_types: Vec<String>,
    pub time_cond: Option<TimeCond>,
    pub etag_save: Option<PathBuf>,
    /// `-I`: heads are the output.
    pub head_only: bool,
    /// A transfer with `-C`: what is here is gone on with, or it fails.
    pub continues: bool,
    /// With `-I`: a body that is said to be longer is too large (`--max-filesize`).
    pub most_announced: Option<u64>,
    pub format: Option<Format>,
    /// A batch's template.
    pub template: Option<Template>,
    pub dump: Option<Dump>,
}

impl Terms {
    /// Heads are part of the output.
    pub const fn shows_heads(&self) -> bool {
        self.keep.show_headers || self.head_only
    }
}

/// Where heads go (`-D`).
#[derive(Debug)]
pub enum Dump {
    Stdout,
    Stderr,
    File(PathBuf),
    Template(Template),
}

/// Where a body is to go.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Dest {
    /// Nowhere.
    #[default]
    Nowhere,
    /// Straight to standard output.
    Stdout,
    /// To standard output, whole.
    Whole,
    /// To this file.
    File {
        path: PathBuf,
        /// Other URLs may come to the same name.
        shared: bool,
        /// It must not be there.
        fresh: bool,
        /// The server may give another name, in this folder.
        header_name: bool,
    },
    /// To a file whose name is known with the head.
    Named,
}

/// Where a body goes now.
#[derive(Debug, Default)]
pub enum Sink {
    /// Nowhere: there was no head yet, or nobody wants it.
    #[default]
    None,
    Stdout,
    Whole(Spool),
    File(Box<FileSink>),
}

/// How a file that is there goes on.
#[derive(Debug)]
pub enum GoOn {
    /// From the start.
    No,
    /// A part of an earlier run, by its validator.
    Part(Leftover),
    /// At the end of what has its final name, as curl; asked for from an offset on.
    At {
        offset: u64,
        /// The offset was typed, and is where each attempt begins: what an earlier one brought is
        /// taken back before the next, as by curl.
        typed: bool,
        /// How long the file was before anything of this run came to it, once that is known.
        before: Option<u64>,
    },
}

/// Our own reason why a URL failed.
#[derive(Clone, Debug)]
pub struct Trouble {
    pub kind: Kind,
    pub message: String,
    pub hint: &'static str,
}

/// Whether a URL is under way in a place of the desk, and on which terms.
#[derive(Debug, Default)]
pub enum Place {
    /// None is: what is left there are buffers.
    #[default]
    Free,
    Taken(Rc<Terms>),
}

/// A URL.
#[derive(Debug)]
pub struct Job {
    pub n: u64,
    /// As it stands in the list, secrets masked.
    pub url: String,
    /// As it stands in the list, where that is not what `url` says.
    typed: String,
    pub host: String,
    pub path: String,
    pub more: Option<Box<More>>,
    pub place: Place,
    pub dest: Dest,
    pub sink: Sink,
    pub go_on: GoOn,
    /// What came for a part file counts no more, but whether it is given up is seen with the next head.
    pub part_waits: bool,
    pub upload: Option<Upload>,
    /// Where in the file the upload begins.
    pub upload_from: u64,
    /// Boxed, as what most URLs of a list never have: thousands of jobs wait.
    pub hash: Option<Box<Sha256>>,
    pub trouble: Option<Box<Trouble>>,
    /// Milliseconds since 1970.
    pub started: i64,
    /// The how manieth URL of the command line it came of.
    pub url_number: u64,
    pub status: u16,
    /// Values of the last head, one after another.
    kept: Vec<u8>,
    content_type: Option<Range<u32>>,
    etag: Option<Range<u32>>,
    last_modified: Option<Range<u32>>,
    location: Option<Range<u32>>,
    pub content_length: Option<u64>,
    /// The last ETag of a success or a redirect, for `--etag-save`.
    pub last_etag: Vec<u8>,
    /// All heads in lines that are easily read, where somebody looks into them.
    pub heads: Vec<u8>,
    /// All heads and trailers as they came, where somebody is shown them.
    pub raw: Vec<u8>,
    /// How much of `raw` `-D` has.
    pub dumped: usize,
    /// How much of `raw` is in the output.
    pub shown: usize,
    /// Where the redirect that was followed last led.
    pub redirect_to: String,
    /// For the record.
    pub body: Vec<u8>,
    pub body_cut: bool,
    /// Bytes of the body, as delivered.
    pub received: u64,
    /// Bytes of the request's body.
    pub uploaded: u64,
    /// Bytes that have left for an output that can't be taken back.
    pub poured: u64,
    pub output: Option<String>,
    pub truncated: bool,
    pub unchanged: bool,
    /// `-z` was not met by what the server sent.
    pub unmet: bool,
    /// A part or a range was continued.
    pub decoded: bool,
    /// For `--limit-rate`.
    pub pace: Pace,
    /// The same for what is sent.
    pub sent: Pace,
    /// Bytes of its line, as they count for what is held.
    pub weight: u64,
}

/// Bytes against time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    pub since: Option<std::time::Instant>,
    pub bytes: u64,
    pub paused: bool,
}

impl Default for Job {
    fn default() -> Self {
        Self {
            n: 0,
            url: String::new(),
            typed: String::new(),
            host: String::new(),
            path: String::new(),
            more: None,
            place: Place::Free,
            dest: Dest::Nowhere,
            sink: Sink::None,
            go_on: GoOn::No,
            part_waits: false,
            upload: None,
            upload_from: 0,
            hash: None,
            trouble: None,
            started: 0,
            url_number: 0,
            status: 0,
            kept: Vec::new(),
            content_type: None,
            etag: None,
            last_modified: None,
            location: None,
            content_length: None,
            last_etag: Vec::new(),
            heads: Vec::new(),
            raw: Vec::new(),
            dumped: 0,
            shown: 0,
            redirect_to: String::new(),
            body: Vec::new(),
            body_cut: false,
            received: 0,
            uploaded: 0,
            poured: 0,
            output: None,
            truncated: false,
            unchanged: false,
            unmet: false,
            decoded: false,
            pace: Pace::default(),
            sent: Pace::default(),
            weight: 0,
        }
    }
}

impl Job {
    /// What was asked of it, while it is under way.
    pub fn terms(&self) -> Option<Rc<Terms>> {
        match &self.place {
            Place::Free => None,
            Place::Taken(terms) => Some(Rc::clone(terms)),
        }
    }

    /// It is under way.
    pub const fn is_taken(&self) -> bool {
        matches!(self.place, Place::Taken(_))
    }

    /// What a template calls it.
    pub fn name(&self, template: &Template, content_type: &str) -> String {
        let id = self.more.as_deref().and_then(More::id_text);
        let values = Values {
            n: self.n,
            id: id.as_deref(),
            url: self.typed(),
            host: &self.host,
            path: &self.path,
            content_type,
        };
        let mut name = String::new();
        template.write(&values, &mut name);
        name
    }

    /// Ready for another URL; the buffers stay.
    pub fn clear(&mut self) {
        self.url.clear();
        self.typed.clear();
        self.host.clear();
        self.path.clear();
        self.more = None;
        self.place = Place::Free;
        self.dest = Dest::Nowhere;
        self.sink = Sink::None;
        self.go_on = GoOn::No;
        self.part_waits = false;
        self.upload = None;
        self.upload_from = 0;
        self.hash = None;
        self.trouble = None;
        self.status = 0;
        self.forget_head();
        self.forget_heads();
        self.body.clear();
        self.body_cut = false;
        self.received = 0;
        self.uploaded = 0;
        self.poured = 0;
        self.output = None;
        self.truncated = false;
        self.unchanged = false;
        self.unmet = false;
        self.decoded = false;
        self.pace = Pace::default();
        self.sent = Pace::default();
        self.weight = 0;
    }

    /// It is over: one long line, body or head must not be held until another URL comes.
    pub fn trim(&mut self) {
        // Taken together bit by bit, sizes are no less than the largest of them.
        let texts = self.url.capacity()
            | self.typed.capacity()
            | self.host.capacity()
            | self.path.capacity();
        let buffers = self.kept.capacity()
            | self.heads.capacity()
            | self.raw.capacity()
            | self.body.capacity();
        if texts > 4 * 1024 || buffers > 64 * 1024 {
            self.give_back();
        }
    }

    #[cold]
    fn give_back(&mut self) {
        for text in [&mut self.url, &mut self.typed, &mut self.host, &mut self.path] {
            if text.capacity() > 4 * 1024 {
                *text = String::new();
            }
        }
        for buffer in [&mut self.kept, &mut self.heads, &mut self.raw, &mut self.body] {
            if buffer.capacity() > 64 * 1024 {
                *buffer = Vec::new();
            }
        }
    }

    /// Sets the URL as it stands in the list, and as it may be shown.
    #[inline]
    pub fn set_url(&mut self, typed: &str, masked: &str) {
        self.url.push_str(masked);
        if typed != masked {
            self.typed.push_str(typed);
        }
    }

    /// The URL as it stands in the list.
    pub fn typed(&self) -> &str {
        if self.typed.is_empty() { &self.url } else { &self.typed }
    }

    /// Nothing that came so far counts: neither what was received, nor its heads, nor what was
    /// judged of it. What is asked, and what left for good, stays.
    pub fn begin_again(&mut self) {
        self.part_waits = self.has_part();
        // What had its final name before is still asked to go on at its end.
        if !matches!(self.go_on, GoOn::At { .. }) {
            self.go_on = GoOn::No;
        }
        self.void_body();
        self.forget_head();
        self.forget_heads();
        self.status = 0;
        self.trouble = None;
        self.output = None;
        self.truncated = false;
        self.unchanged = false;
        self.unmet = false;
        self.decoded = false;
    }

    /// Something of the body is in a part file, of this run or of an earlier one.
    fn has_part(&self) -> bool {
        self.part_waits
            || matches!(self.go_on, GoOn::Part(_))
            || matches!(&self.sink, Sink::File(sink) if sink.appended().is_none())
    }

    /// An answer that is none to what was asked takes nothing away.
    pub fn spares_part(&self) -> bool {
        self.part_waits
            && self
                .trouble
                .as_ref()
                .is_some_and(|trouble| matches!(trouble.kind, Kind::HttpError | Kind::RangeRefused))
    }

    fn forget_heads(&mut self) {
        self.heads.clear();
        self.raw.clear();
        self.dumped = 0;
        self.shown = 0;
        self.redirect_to.clear();
        self.last_etag.clear();
    }

    fn forget_head(&mut self) {
        self.kept.clear();
        self.content_type = None;
        self.etag = None;
        self.last_modified = None;
        self.location = None;
        self.content_length = None;
    }

    /// Keeps of a head what records say, in one pass.
    pub fn keep_head<'a>(
        &mut self,
        status: u16,
        fields: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) {
        self.status = status;
        self.forget_head();
        for (name, value) in fields {
            let slot = match name.len() {
                12 if is_named(name, "Content-Type") => &mut self.content_type,
                4 if is_named(name, "ETag") => &mut self.etag,
                13 if is_named(name, "Last-Modified") => &mut self.last_modified,
                8 if is_named(name, "Location") => &mut self.location,
                14 if is_named(name, "Content-Length") => {
                    self.content_length = number(value.trim_ascii());
                    continue;
                }
                16 if is_named(name, "Content-Encoding") => {
                    self.decoded = !value.eq_ignore_ascii_case(b"identity");
                    continue;
                }
                _ => continue,
            };
            if slot.is_none() {
                // Heads are bounded far below 4 GiB.
                let from = self.kept.len() as u32;
                self.kept.extend_from_slice(value);
                *slot = Some(from..self.kept.len() as u32);
            }
        }
    }

    /// Keeps a head for whoever wants it: as it came for those who are shown it, in plain lines for
    /// those who look into it.
    pub fn keep_lines(&mut self, terms: &Terms, records: &RecordHeaders, head: &Head<'_>) {
        if terms.shows_heads() || terms.dump.is_some() || terms.format.is_some() {
            self.raw.extend_from_slice(head.raw);
        }
        if terms.format.is_none() && *records == RecordHeaders::None {
            return;
        }
        let out = &mut self.heads;
        let version = if head.version == Version::Http10 { "1.0" } else { "1.1" };
        let _ = write!(out, "HTTP/{version} {:03} ", head.status);
        out.extend_from_slice(head.reason);
        out.extend_from_slice(b"\r\n");
        for (name, value) in head.fields.iter() {
            push_line(name, value, out);
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Trailers, for those who are shown heads.
    pub fn keep_trailers(&mut self, fields: Fields<'_>) {
        for (name, value) in fields.iter() {
            push_line(name, value, &mut self.raw);
        }
    }

    /// For `--etag-save`; an empty one is none.
    pub fn keep_etag(&mut self, terms: &Terms, head: &Head<'_>) {
        if terms.etag_save.is_some()
            && (200..400).contains(&head.status)
            && let Some(etag) = head.fields.get("etag").filter(|etag| !etag.is_empty())
        {
            self.last_etag.clear();
            self.last_etag.extend_from_slice(etag);
        }
    }

    fn value(&self, range: Option<&Range<u32>>) -> Option<&[u8]> {
        let range = range?;
        self.kept.get(range.start as usize..range.end as usize)
    }

    pub fn content_type(&self) -> Option<&[u8]> {
        self.value(self.content_type.as_ref())
    }

    pub fn etag(&self) -> Option<&[u8]> {
        self.value(self.etag.as_ref())
    }

    pub fn last_modified(&self) -> Option<&[u8]> {
        self.value(self.last_modified.as_ref())
    }

    pub fn location(&self) -> Option<&[u8]> {
        self.value(self.location.as_ref())
    }

    /// The first trouble counts.
    pub fn fail(&mut self, kind: Kind, hint: &'static str, message: impl Into<String>) {
        if self.trouble.is_none() {
            self.trouble = Some(Box::new(Trouble { kind, message: message.into(), hint }));
        }
    }

    /// More of the body, for the digest and the record.
    pub fn note_body(&mut self, bytes: &[u8], record_max: Option<u64>) {
        self.received += bytes.len() as u64;
        if let Some(hash) = &mut self.hash {
            hash.update(bytes);
        }
        if let Some(most) = record_max {
            let room = usize::try_from(most).unwrap_or(usize::MAX).saturating_sub(self.body.len());
            self.body.extend_from_slice(&bytes[..bytes.len().min(room)]);
            self.body_cut |= bytes.len() > room;
        }
    }

    fn void_body(&mut self) {
        self.received = 0;
        self.body.clear();
        self.body_cut = false;
        if let Some(hash) = &mut self.hash {
            **hash = Sha256::new();
        }
    }
}

fn push_line(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// A decimal number of digits alone.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_buffers_go_when_the_url_is_over() {
        let mut job = Job::default();
        job.body.resize(1 << 20, 0);
        job.url.push_str(&"x".repeat(10_000));
        job.trim();
        assert_eq!((job.body.capacity(), job.url.capacity()), (0, 0));
        job.body.resize(1_000, 0);
        job.trim();
        assert!(job.body.capacity() > 0, "short ones are used again");
    }

    #[test]
    fn heads_are_kept_in_one_pass() {
        let mut job = Job::default();
        let fields: [(&str, &[u8]); 6] = [
            ("Content-Type", b"a/b"),
            ("ETag", b"\"x\""),
            ("content-length", b"12"),
            ("Location", b"/y"),
            ("Content-Type", b"c/d"),
            ("X-Other", b"z"),
        ];
        job.keep_head(200, fields.iter().map(|(name, value)| (*name, *value)));
        assert_eq!(job.content_type(), Some(b"a/b".as_slice()));
        assert_eq!(job.etag(), Some(b"\"x\"".as_slice()));
        assert_eq!(job.location(), Some(b"/y".as_slice()));
        assert_eq!((job.content_length, job.last_modified()), (Some(12), None));
        job.keep_head(204, std::iter::empty());
        assert_eq!((job.status, job.content_type(), job.content_length), (204, None, None));
    }

    #[test]
    fn bodies_in_records_are_bounded() {
        let mut job = Job { hash: Some(Box::new(Sha256::new())), ..Job::default() };
        job.note_body(b"hello", Some(7));
        job.note_body(b"world", Some(7));
        assert_eq!(
            (job.body.as_slice(), job.body_cut, job.received),
            (b"hellowo".as_slice(), true, 10)
        );
        job.void_body();
        job.note_body(b"abc", Some(7));
        assert_eq!((job.body_cut, job.received), (false, 3));
        assert_eq!(<[u8; 32]>::from(job.hash.take().unwrap().finalize())[0], 0xba);
    }
}
