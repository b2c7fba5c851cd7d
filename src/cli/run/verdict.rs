//! What an answer means for the one who asked: the verdicts that only the command line knows (`-f`,
//! `-C`, `-z`, types, the expected digest).
//!
//! Judges jobs, and writes into them why they failed. Opens nothing and writes nowhere.

use super::job::{Dest, GoOn, Job, News, Terms};
use super::kind::Kind;
use crate::cli::date;
use crate::cli::plan::{Fail, Mode};
use crate::fetch::{Answer, ContentRange};

/// What is to be done with an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Its body is what was asked for.
    Body,
    /// Its head may be shown; its body is nothing.
    HeadAlone,
    /// Neither is wanted.
    Nothing,
    /// It is to be called off: the job says why, or the type is one that nobody wants.
    Off,
}

/// The verdict on an answer, when its head is there.
pub fn on_head(job: &mut Job, terms: &Terms, answer: &Answer<'_>) -> Verdict {
    let status = answer.head.status;
    if job.out.poured > 0 {
        // Something else has left for standard output, and this one is called off.
        return Verdict::Off;
    }
    // Of a file that goes on, 416 may say that it was whole already.
    let beyond = status == 416 && matches!(job.out.go_on, GoOn::At { .. });
    if status >= 400 && terms.keep.fail != Fail::No && !beyond {
        job.fail(Kind::HttpError, "", format!("the server answered {status}"));
        if terms.keep.fail == Fail::Quietly {
            return Verdict::HeadAlone;
        }
    }
    if status >= 400 && job.out.part_waits() && terms.continues {
        refuse_to_go_on(job, status);
        return Verdict::Off;
    }
    if let (Some(most), Some(length)) = (terms.most_announced, job.head.content_length)
        && length > most
    {
        let message = format!("the body is larger than {most} bytes");
        job.fail(Kind::FileTooLarge, "--max-filesize allows more", message);
        return Verdict::HeadAlone;
    }
    if let Some(verdict) = continued(job, answer) {
        return verdict;
    }
    if !wanted_type(terms, job.head.content_type().unwrap_or(b"")) {
        return Verdict::Off;
    }
    if status == 304 {
        job.news = News::Unchanged;
        return Verdict::HeadAlone;
    }
    if status < 300 && unmet(terms, job) {
        job.news = News::Unmet;
        return Verdict::HeadAlone;
    }
    if terms.mode == Mode::Batch
        && status >= 400
        && !terms.keep.errors
        && !matches!(job.out.dest, Dest::Nowhere)
    {
        return Verdict::Nothing;
    }
    Verdict::Body
}

/// Whether an answer that would be asked for once more is, under `-C`: an error in place of what
/// follows here is, where all errors are to be; one to a request for all is an answer like any other,
/// and a 416 may say that all is here.
pub fn is_to_come_again(job: &Job, terms: &Terms, status: u16) -> bool {
    if !terms.continues || status < 400 || asks_to_come_back(status) {
        return true;
    }
    let is_first = match job.out.go_on {
        GoOn::At { before, .. } => before.is_none(),
        GoOn::Part(_) => false,
        GoOn::No => job.received.bytes == 0 && !job.out.part_waits(),
    };
    match job.out.go_on {
        GoOn::At { .. } => status != 416 || !is_first,
        _ => !is_first || terms.keep.fail != Fail::No,
    }
}

/// The statuses that are repeated without anybody's word.
const fn asks_to_come_back(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504 | 522 | 524)
}

/// The verdict on a whole body: its size and digest are those of its line, or the job says why not.
pub fn on_body(job: &mut Job, digest: Option<[u8; 32]>) {
    let Some(more) = job.asked.more.as_deref() else { return };
    if job.news != News::New || job.head.status >= 300 {
        return;
    }
    let (size, sha256) = (more.size, more.sha256);
    let before = if let GoOn::At { offset, .. } = job.out.go_on { offset } else { 0 };
    let whole = before + job.received.bytes;
    if let Some(size) = size.filter(|size| *size != whole) {
        let message = format!("the body has {whole} bytes, the list says {size}");
        job.fail(Kind::Checksum, "the file on the server is not the expected one", message);
    } else if sha256.is_some() && sha256 != digest {
        job.fail(
            Kind::Checksum,
            "the file on the server is not the expected one",
            "the body's SHA-256 is not the one in the list",
        );
    }
}

/// How it ended, for the fetcher.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// With a whole answer.
    Whole,
    /// With the last whole answer of one that was told to come back later, which is an answer to look
    /// at.
    Exhausted,
    Failed,
}

/// Whether what was received is kept under its name.
pub fn is_kept(job: &Job, terms: &Terms, end: End) -> bool {
    let counts = match end {
        End::Whole => true,
        End::Exhausted => terms.mode == Mode::Transfers || terms.keep.errors,
        End::Failed => false,
    };
    let with_body = job.trouble.as_ref().is_none_or(|trouble| {
        trouble.kind == Kind::HttpError
            && terms.keep.fail == Fail::WithBody
            && !(terms.keep.remove_on_error
                && matches!(job.out.dest, Dest::File { .. } | Dest::Named))
    });
    counts && with_body
}

/// Whether `-z` is not met, though the server sent a body.
fn unmet(terms: &Terms, job: &Job) -> bool {
    let Some(condition) = &terms.time_cond else { return false };
    let modified =
        job.head.last_modified().and_then(|value| date::parse(std::str::from_utf8(value).ok()?));
    match modified {
        None => false,
        Some(modified) if condition.unless => modified > condition.date,
        Some(modified) => modified <= condition.date,
    }
}

/// `--accept-type` and `--reject-type`.
fn wanted_type(terms: &Terms, content_type: &[u8]) -> bool {
    if terms.accept_types.is_empty() && terms.reject_types.is_empty() {
        return true;
    }
    let text = String::from_utf8_lossy(content_type);
    let essence = text.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let fits =
        |globs: &[String]| globs.iter().any(|glob| fits_glob(glob.as_bytes(), essence.as_bytes()));
    (terms.accept_types.is_empty() || fits(&terms.accept_types)) && !fits(&terms.reject_types)
}

/// `*` stands for any text, `?` for one character.
fn fits_glob(glob: &[u8], text: &[u8]) -> bool {
    let (mut g, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(&letter) = text.get(t) {
        match glob.get(g) {
            Some(b'*') => {
                star = Some((g + 1, t));
                g += 1;
            }
            Some(&byte) if byte == b'?' || byte == letter => {
                g += 1;
                t += 1;
            }
            _ => match star {
                Some((after, at)) => {
                    star = Some((after, at + 1));
                    g = after;
                    t = at + 1;
                }
                None => return false,
            },
        }
    }
    glob.iter().skip(g).all(|&byte| byte == b'*')
}

/// Whether this answer to `-C` says that the file here was whole already.
fn continued_whole(job: &Job, answer: &Answer<'_>) -> bool {
    let GoOn::At { offset, .. } = job.out.go_on else { return false };
    let field = answer.head.fields.get("content-range");
    // Some servers leave the unit away.
    let range = field.and_then(|value| {
        ContentRange::parse(value)
            .or_else(|| ContentRange::parse(&[b"bytes ".as_slice(), value].concat()))
    });
    match (answer.head.status, range) {
        (416, Some(ContentRange::Unsatisfied { whole })) => whole == offset,
        // It is sent once more, and is as long as what is here: curl is content with that, too.
        (200, None) => field.is_none() && job.head.content_length == Some(offset),
        _ => false,
    }
}

/// Whether this answer brings what follows the first `offset` bytes. As curl: some servers don't name
/// the last position, and some say it all with a 200, which has to fit then.
fn is_the_rest(job: &Job, answer: &Answer<'_>, offset: u64) -> bool {
    let Some(field) = answer.head.fields.get("content-range") else { return false };
    match (answer.head.status, ContentRange::parse(field)) {
        (206, Some(ContentRange::Part { first, .. })) => first == offset,
        (200, Some(ContentRange::Part { first, last, whole })) => {
            let length = job.head.content_length;
            first == offset
                && whole.is_none_or(|whole| whole - 1 == last)
                && length.is_none_or(|length| length == last - first + 1)
                && !answer.decoded
        }
        (206, None) => open_range(field) == Some(offset),
        (200, None) => open_range(field) == Some(offset) && !answer.decoded,
        _ => false,
    }
}

/// The first position of a range that is said to have no end: `bytes 500-`.
fn open_range(field: &[u8]) -> Option<u64> {
    let (unit, range) = std::str::from_utf8(field).ok()?.trim().split_once(' ')?;
    let first = range.trim_start().strip_suffix('-')?;
    let is_one = unit.eq_ignore_ascii_case("bytes") && first.bytes().all(|b| b.is_ascii_digit());
    is_one.then(|| first.parse().ok()).flatten()
}

/// `-C` on a file that has its final name, as curl judges it.
fn continued(job: &mut Job, answer: &Answer<'_>) -> Option<Verdict> {
    let GoOn::At { offset, .. } = job.out.go_on else { return None };
    if continued_whole(job, answer) {
        job.news = News::Unchanged;
        return Some(Verdict::Nothing);
    }
    if is_the_rest(job, answer, offset) {
        return None;
    }
    match answer.head.status {
        416 => {
            job.fail(
                Kind::RangeRefused,
                "remove the file to start again",
                "the file here is not a beginning of the one there",
            );
            Some(Verdict::Off)
        }
        206 => {
            job.fail(
                Kind::RangeRefused,
                "",
                "the server sent another part than the one that was asked for",
            );
            Some(Verdict::Off)
        }
        status => {
            refuse_to_go_on(job, status);
            Some(Verdict::Off)
        }
    }
}

fn refuse_to_go_on(job: &mut Job, status: u16) {
    let message = if status >= 400 {
        format!("the server does not continue: it answered {status}")
    } else {
        "the server does not continue: it has no ranges for this".to_owned()
    };
    job.fail(Kind::RangeRefused, "without -C it starts again", message);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_without_an_end() {
        for (field, want) in [
            ("bytes 50-", Some(50)),
            (" Bytes  0- ", Some(0)),
            ("bytes -", None),
            ("bytes +5-", None),
            ("bytes 5", None),
            ("bytes 5-6", None),
            ("items 5-", None),
            ("bytes 99999999999999999999-", None),
        ] {
            assert_eq!(open_range(field.as_bytes()), want, "{field}");
        }
    }

    #[test]
    fn types_fit_globs() {
        for (glob, text, want) in [
            ("text/html", "text/html", true),
            ("text/*", "text/html", true),
            ("*/*", "a/b", true),
            ("*", "", true),
            ("text/*", "image/png", false),
            ("image/?ng", "image/png", true),
            ("*json", "application/ld+json", true),
            ("a*b*c", "axxbyybzc", true),
            ("a*b*c", "axxbyybz", false),
            ("", "a", false),
        ] {
            assert_eq!(fits_glob(glob.as_bytes(), text.as_bytes()), want, "{glob} {text}");
        }
    }
}
