//! What an earlier run's records say (`--resume`).
//!
//! Owns which entries of a list are done, which numbers they have, and the mending of the results
//! file: a torn last line, and the lines of URLs that are fetched again, go by writing a new file
//! beside, which takes its place once it is to be written to. Writes no records.

use std::collections::{BTreeMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::hash::fingerprint;
use super::lock;
use super::plan::Resume;
use super::results::refuse_if_written;
use super::values::ResumeKey;

/// Why an earlier run's results can't be gone on with.
#[derive(Debug)]
pub struct Unusable {
    pub message: String,
    /// They are good, and can't be written anew: a full disk, a folder without permission.
    pub local: bool,
}

impl From<String> for Unusable {
    fn from(message: String) -> Self {
        Self { message, local: false }
    }
}

impl Unusable {
    fn unwritten(path: &Path, error: &io::Error) -> Self {
        Self { message: format!("can't rewrite {}: {error}", path.display()), local: true }
    }
}

/// What an earlier run has done.
#[derive(Debug, Default)]
pub struct Done {
    key: Option<ResumeKey>,
    /// The numbers of what is done: intervals, by number each with the sum of its URLs' fingerprints.
    intervals: BTreeMap<u64, Interval>,
    /// By `id` or URL.
    set: HashSet<u64>,
    /// What was counted of the interval that is being passed.
    passing: u64,
    /// How many are done.
    pub count: u64,
    /// How many of the earlier run's records were taken out, to be fetched again.
    pub again: u64,
    /// How many failed and stay so: their kind or status was not asked for.
    pub left: u64,
    /// And how many because they are of other shards.
    pub elsewhere: u64,
    /// Whether a torn line was mended.
    pub mended: bool,
    /// What takes the place of the results, where they have to change.
    pub instead: Option<Instead>,
}

/// The results as they are to be, beside those that are there: until something is written to them,
/// or all of the list is known to be theirs, nothing of the old ones is lost.
#[derive(Debug)]
pub struct Instead {
    path: PathBuf,
    /// Its own name, as long as it has that.
    beside: Option<PathBuf>,
    file: File,
}

impl Instead {
    /// Takes the place of the old results; what is written there now comes behind what stays.
    pub fn take_place(mut self) -> io::Result<File> {
        if let Some(beside) = &self.beside {
            std::fs::rename(beside, &self.path)?;
            self.beside = None;
        }
        self.file.try_clone()
    }
}

/// What nobody needed, or is half of the old ones on a full disk, helps nobody.
impl Drop for Instead {
    fn drop(&mut self) {
        if let Some(beside) = &self.beside {
            let _ = std::fs::remove_file(beside);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Interval {
    last: u64,
    sum: u64,
}

/// What is read of a record.
#[derive(Deserialize)]
struct Line<'a> {
    n: u64,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    url: String,
    ok: bool,
    status: Option<u16>,
    error: Option<LineError>,
}

/// The failure that a record tells of.
#[derive(Deserialize)]
pub(super) struct LineError {
    kind: String,
}

/// As what a record says that its URL failed; one that is ok has not.
pub(super) fn failed_as(ok: bool, error: Option<&LineError>) -> Option<&str> {
    (!ok).then(|| error.map_or("", |error| error.kind.as_str()))
}

impl Done {
    /// Reads an earlier run's results, and makes beside what they are without a torn line and
    /// without what is to be fetched again.
    pub fn read(path: &Path, resume: &Resume) -> Result<Self, Unusable> {
        let mut done = Self { key: Some(resume.key), ..Self::default() };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(done),
            Err(error) => return Err(format!("can't read {}: {error}", path.display()).into()),
        };
        refuse_if_written(&file, path)?;
        // First see whether anything has to change; most of a big file does not.
        let rewrite = done.scan(BufReader::with_capacity(1 << 16, file), path, resume, None)?;
        if rewrite {
            done = Self { key: Some(resume.key), ..Self::default() };
            done.instead = Some(done.write_beside(path, resume)?);
        } else {
            forget(&beside(path));
        }
        Ok(done)
    }

    /// The same once more into a file beside.
    fn write_beside(&mut self, path: &Path, resume: &Resume) -> Result<Instead, Unusable> {
        let failed = |error: io::Error| Unusable::unwritten(path, &error);
        let old = File::open(path).map_err(failed)?;
        let name = beside(path);
        // It is emptied only once it is known that nobody else writes to it.
        let mut options = OpenOptions::new();
        let file = options.create(true).append(true).open(&name).map_err(failed)?;
        refuse_if_written(&file, path)?;
        let instead = Instead { path: path.to_owned(), beside: Some(name), file };
        instead.file.set_len(0).map_err(failed)?;
        let mut new = BufWriter::with_capacity(1 << 16, &instead.file);
        self.scan(BufReader::with_capacity(1 << 16, old), path, resume, Some(&mut new))?;
        new.flush().and_then(|()| instead.file.sync_all()).map_err(failed)?;
        drop(new);
        Ok(instead)
    }

    /// Reads all lines; true: some are torn, doubled, or to be fetched again.
    fn scan(
        &mut self,
        mut old: impl BufRead,
        path: &Path,
        resume: &Resume,
        mut new: Option<&mut dyn Write>,
    ) -> Result<bool, Unusable> {
        let mut rewrite = false;
        let mut line = Vec::new();
        let mut number = 0u64;
        loop {
            line.clear();
            let read = old
                .read_until(b'\n', &mut line)
                .map_err(|error| format!("can't read {}: {error}", path.display()))?;
            if read == 0 {
                return Ok(rewrite);
            }
            number += 1;
            let whole = line.last() == Some(&b'\n');
            if line.trim_ascii().is_empty() {
                rewrite = true;
                continue;
            }
            let keep = match serde_json::from_slice::<Line<'_>>(&line) {
                Ok(record) => self.take(&record, resume),
                Err(_) if !whole => {
                    self.mended = true;
                    false
                }
                Err(error) => {
                    return Err(format!(
                        "line {number} of {} is no record of gannet ({error}); give --results another name",
                        path.display()
                    )
                    .into());
                }
            };
            rewrite |= !keep || !whole;
            if keep && let Some(new) = &mut new {
                if !whole {
                    line.push(b'\n');
                }
                new.write_all(&line).map_err(|error| Unusable::unwritten(path, &error))?;
            }
        }
    }

    /// Whether a record stays; then it counts as done.
    fn take(&mut self, record: &Line<'_>, resume: &Resume) -> bool {
        let chosen = resume.chooses(failed_as(record.ok, record.error.as_ref()), record.status);
        // What this run does not come to would be lost.
        if chosen && resume.comes_to(&record.url) {
            self.again += 1;
            return false;
        }
        let url = fingerprint(record.url.as_bytes());
        let new_number = self.add(record.n, url);
        // Another number is another record, be it of the same URL.
        let fresh = new_number
            | match resume.key {
                ResumeKey::N => false,
                ResumeKey::Url => self.set.insert(url),
                ResumeKey::Id => self.set.insert(by_id(record.id.map(RawValue::get), &record.url)),
            };
        self.count += u64::from(fresh);
        self.left += u64::from(fresh && !record.ok && !chosen);
        self.elsewhere += u64::from(fresh && !record.ok && chosen);
        fresh
    }

    /// Adds a number to the intervals; false: it was there.
    fn add(&mut self, n: u64, sum: u64) -> bool {
        let before =
            self.intervals.range(..=n).next_back().map(|(first, interval)| (*first, *interval));
        if before.is_some_and(|(_, interval)| interval.last >= n) {
            return false;
        }
        let (mut first, mut merged) = (n, Interval { last: n, sum });
        if let Some((start, interval)) = before
            && interval.last + 1 == n
        {
            first = start;
            merged.sum = merged.sum.wrapping_add(interval.sum);
        }
        if let Some(after) = n.checked_add(1).and_then(|next| self.intervals.remove(&next)) {
            merged.last = after.last;
            merged.sum = merged.sum.wrapping_add(after.sum);
        }
        self.intervals.insert(first, merged);
        true
    }

    /// Whether an entry of the list is done. Entries come in order.
    ///
    /// An error: the list is not the one that the results are of.
    pub fn has(&mut self, n: u64, id: Option<&str>, url: &str) -> Result<bool, String> {
        match self.key {
            None => Ok(false),
            Some(ResumeKey::Url) => Ok(self.set.contains(&fingerprint(url.as_bytes()))),
            Some(ResumeKey::Id) => Ok(self.set.contains(&by_id(id, url))),
            Some(ResumeKey::N) => {
                let Some((&first, &interval)) = self.intervals.first_key_value() else {
                    return Ok(false);
                };
                if n < first {
                    return Ok(false);
                }
                self.passing = self.passing.wrapping_add(fingerprint(url.as_bytes()));
                if n == interval.last {
                    self.intervals.pop_first();
                    if std::mem::take(&mut self.passing) != interval.sum {
                        return Err(format!(
                            "entries {first} to {} of the list are not those of the results: this is another list (--resume-key url or id resumes by those)",
                            interval.last
                        ));
                    }
                }
                Ok(true)
            }
        }
    }

    /// The number of an entry that is to be fetched, `n` in the list. Where entries are known by
    /// what they are, another one may have that, and a file of that name: then it is the next one
    /// that nobody has. Whatever of this was recorded when a run is killed, the others get the same
    /// numbers in the next one: all before theirs are taken still.
    pub fn number(&mut self, n: u64) -> Result<u64, String> {
        let taken = match self.key {
            None | Some(ResumeKey::N) => None,
            Some(ResumeKey::Id | ResumeKey::Url) => self.intervals.range(..=n).next_back(),
        };
        let Some(last) = taken.map(|(_, interval)| interval.last).filter(|last| *last >= n) else {
            return Ok(n);
        };
        let free = last.checked_add(1).ok_or_else(|| {
            format!("the results hold entry {last}: there is no number beyond it for entry {n}")
        })?;
        self.add(free, 0);
        Ok(free)
    }

    /// To be asked at the end of the list, which has `n` entries: the first that is done and not
    /// in it.
    pub fn rest(&self, n: u64) -> Option<u64> {
        let first = self.intervals.first_key_value().map(|(first, _)| *first);
        // A stretch that the list ends in has begun before its end.
        first.filter(|_| self.key == Some(ResumeKey::N)).map(|first| first.max(n.saturating_add(1)))
    }
}

/// What an entry is known by where ids count: what has none, by its URL, which no id is taken for.
fn by_id(id: Option<&str>, url: &str) -> u64 {
    id.map_or_else(|| !fingerprint(url.as_bytes()), |id| fingerprint(id.as_bytes()))
}

/// What a run left that was killed before it wrote anything; not what another one writes just now.
fn forget(beside: &Path) {
    if OpenOptions::new().write(true).open(beside).is_ok_and(|file| lock::claim(&file)) {
        let _ = std::fs::remove_file(beside);
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".gannet-new");
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::plan::StatusClass;

    fn resume(key: ResumeKey) -> Resume {
        Resume { key, kinds: Vec::new(), statuses: Vec::new(), portion: None }
    }

    fn line(n: u64, url: &str, kind: Option<&str>, status: u16) -> String {
        match kind {
            None => format!(
                "{{\"n\":{n},\"id\":\"i{n}\",\"url\":\"{url}\",\"ok\":true,\"status\":{status}}}\n"
            ),
            Some(kind) => format!(
                "{{\"n\":{n},\"url\":\"{url}\",\"ok\":false,\"status\":null,\"error\":{{\"kind\":\"{kind}\",\"x\":1}}}}\n"
            ),
        }
    }

    fn read(text: &str, resume: &Resume) -> (Result<Done, Unusable>, String) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r");
        std::fs::write(&path, text).unwrap();
        let mut done = Done::read(&path, resume);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "not before it is written to");
        if let Ok(done) = &mut done
            && let Some(instead) = done.instead.take()
        {
            instead.take_place().unwrap();
        }
        let left = std::fs::read_to_string(&path).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        (done, left)
    }

    #[test]
    fn what_is_done_is_known_by_number_in_any_order() {
        let order = [3u64, 1, 2, 7, 5, 6, 9];
        let text: String =
            order.iter().map(|n| line(*n, &format!("http://a/{n}"), None, 200)).collect();
        let (done, left) = read(&text, &resume(ResumeKey::N));
        let mut done = done.unwrap();
        assert_eq!(left, text);
        assert_eq!((done.count, done.intervals.len()), (7, 3));
        for n in 1..=10 {
            assert_eq!(
                done.has(n, None, &format!("http://a/{n}")).unwrap(),
                order.contains(&n),
                "{n}"
            );
        }
        assert_eq!(done.rest(10), None);
    }

    #[test]
    fn numbers_may_be_as_large_as_they_like() {
        let text = line(u64::MAX, "http://a/", None, 200) + &line(0, "http://b/", None, 200);
        let done = read(&text, &resume(ResumeKey::N)).0.unwrap();
        assert_eq!((done.count, done.intervals.len()), (2, 2));
    }

    #[test]
    fn another_list_is_noticed() {
        let text: String = (1..=3).map(|n| line(n, &format!("http://a/{n}"), None, 200)).collect();
        let mut done = read(&text, &resume(ResumeKey::N)).0.unwrap();
        assert!(done.has(1, None, "http://a/1").unwrap());
        assert!(done.has(2, None, "http://OTHER/").unwrap());
        assert!(done.has(3, None, "http://a/3").unwrap_err().contains("another list"));
        let mut done = read(&text, &resume(ResumeKey::N)).0.unwrap();
        done.has(1, None, "http://a/1").unwrap();
        assert_eq!(done.rest(1), Some(2));
        assert_eq!(read(&text, &resume(ResumeKey::N)).0.unwrap().rest(0), Some(1));
        let later = line(9, "http://a/9", None, 200);
        let mut later = read(&later, &resume(ResumeKey::N)).0.unwrap();
        assert!(!later.has(1, None, "http://a/1").unwrap());
        assert_eq!(later.rest(1), Some(9));
    }

    #[test]
    fn failed_ones_are_taken_out_and_torn_lines_mended() {
        let good = line(1, "http://a/1", None, 200) + &line(4, "http://a/4", None, 404);
        let bad = line(2, "http://a/2", Some("refused"), 0)
            + &line(3, "http://a/3", Some("cancelled"), 0);
        for torn in ["", "{\"n\":5,\"url\":\"ht", "{"] {
            let (done, left) = read(&format!("{bad}{good}{torn}"), &resume(ResumeKey::N));
            let done = done.unwrap();
            assert_eq!(left, good);
            assert_eq!((done.count, done.again, done.mended), (2, 2, !torn.is_empty()));
        }
        let (done, left) = read(good.trim_end(), &resume(ResumeKey::N));
        assert_eq!((done.unwrap().count, left), (2, good.clone()));
        // The same record twice is one.
        let (done, left) = read(&format!("{good}{good}"), &resume(ResumeKey::N));
        assert_eq!((done.unwrap().count, left), (2, good.clone()));
        let kinds = Resume { kinds: vec!["refused".to_owned()], ..resume(ResumeKey::N) };
        assert_eq!(read(&format!("{bad}{good}"), &kinds).0.unwrap().count, 3);
        let statuses =
            Resume { statuses: vec![StatusClass { low: 400, high: 499 }], ..resume(ResumeKey::N) };
        let (done, left) = read(&format!("{bad}{good}"), &statuses);
        assert_eq!(done.unwrap().again, 1);
        assert!(!left.contains("/4") && left.contains("/2"));
    }

    #[test]
    fn other_files_are_left_alone() {
        let (done, left) = read("http://a/\nhttp://b/\n", &resume(ResumeKey::N));
        assert!(done.unwrap_err().message.contains("line 1"));
        assert_eq!(left, "http://a/\nhttp://b/\n");
    }

    #[test]
    fn ids_and_urls_are_known_again() {
        let text = line(1, "http://a/1", None, 200);
        let mut by_id = read(&text, &resume(ResumeKey::Id)).0.unwrap();
        assert!(by_id.has(9, Some("\"i1\""), "x").unwrap());
        assert!(!by_id.has(1, None, "http://a/1").unwrap());
        let mut by_url = read(&text, &resume(ResumeKey::Url)).0.unwrap();
        assert!(by_url.has(9, None, "http://a/1").unwrap());
        assert_eq!(by_url.rest(0), None, "a list may be shorter");
    }

    /// A URL twice in the list has two records, of two numbers.
    #[test]
    fn records_of_one_url_are_told_apart_by_their_numbers() {
        let text = line(1, "http://a/", None, 200) + &line(2, "http://a/", None, 200);
        let once_more = line(2, "http://a/", None, 200);
        for (text, left) in [(&text, &text), (&(text.clone() + &once_more), &text)] {
            let (done, after) = read(text, &resume(ResumeKey::Url));
            assert_eq!((done.unwrap().count, &after), (2, left));
        }
    }

    #[test]
    fn no_number_is_given_twice() {
        let text: String =
            [2, 3, 6, 9].iter().map(|n| line(*n, &format!("http://a/{n}"), None, 200)).collect();
        for key in [ResumeKey::Url, ResumeKey::Id] {
            let mut done = read(&text, &resume(key)).0.unwrap();
            // 4 and 5 were given when their own entries come, and 7 and 8 then.
            for (n, gets) in [(1, 1), (2, 4), (3, 5), (4, 7), (5, 8), (7, 10), (12, 12)] {
                assert_eq!(done.number(n).unwrap(), gets, "{n}");
            }
        }
        let mut by_number = read(&text, &resume(ResumeKey::N)).0.unwrap();
        assert_eq!(by_number.number(3).unwrap(), 3);
        let text = line(u64::MAX, "http://a/", None, 200);
        let mut done = read(&text, &resume(ResumeKey::Url)).0.unwrap();
        assert_eq!(done.number(7).unwrap(), 7);
        assert!(done.number(u64::MAX).is_err());
    }
}
