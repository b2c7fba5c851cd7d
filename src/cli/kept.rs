//! Which files belong to URLs that an earlier run has fetched (`--resume`).
//!
//! Owns the names that its records give. They are read when one is asked about for the first time,
//! which is when a file is there whose name another URL may have: most runs need none of this.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::earlier::{LineError, failed_as};
use super::hash::fingerprint;
use super::plan::Resume;

/// The files of what is done.
#[derive(Debug)]
pub struct Kept {
    results: PathBuf,
    resume: Resume,
    /// In order; eight bytes each. `None`: nobody has asked yet.
    names: Option<Vec<u64>>,
}

/// What is read of a record.
#[derive(Deserialize)]
struct Line {
    url: String,
    ok: bool,
    status: Option<u16>,
    error: Option<LineError>,
    output: Option<String>,
}

impl Kept {
    /// Of the records in this file, as far as they stay.
    pub fn new(results: &Path, resume: &Resume) -> Self {
        Self { results: results.to_owned(), resume: resume.clone(), names: None }
    }

    /// Whether a file is one of these. Where that can't be read any more, it may be.
    pub fn holds(&mut self, path: &Path) -> bool {
        if self.names.is_none() {
            self.names = self.read().ok();
        }
        self.names.as_ref().is_none_or(|names| names.binary_search(&print(path)).is_ok())
    }

    fn read(&self) -> io::Result<Vec<u64>> {
        let mut lines = BufReader::with_capacity(1 << 16, File::open(&self.results)?);
        let mut names = Vec::new();
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line)? > 0 {
            // What is no record was mended or refused before.
            if let Ok(record) = serde_json::from_slice::<Line>(&line)
                && let Some(output) = &record.output
            {
                let failed = failed_as(record.ok, record.error.as_ref());
                let chosen = self.resume.chooses(failed, record.status);
                if !(chosen && self.resume.comes_to(&record.url)) {
                    names.push(print(Path::new(output)));
                }
            }
            line.clear();
        }
        names.sort_unstable();
        Ok(names)
    }
}

/// Of a name, however it is written.
fn print(path: &Path) -> u64 {
    let whole = std::path::absolute(path);
    fingerprint(whole.as_deref().unwrap_or(path).to_string_lossy().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::plan::StatusClass;
    use crate::cli::values::ResumeKey;

    #[test]
    fn files_of_records_that_stay_are_kept_however_they_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let results = dir.path().join("r");
        let text = "{\"url\":\"http://a/\",\"ok\":true,\"status\":200,\"output\":\"out/a\"}\n\
            {\"url\":\"http://a/\",\"ok\":true,\"status\":404,\"output\":\"./out//b \\u00e9\"}\n\
            {\"url\":\"http://a/\",\"ok\":false,\"status\":500,\"error\":{\"kind\":\"status_exhausted\",\"x\":1},\"output\":\"out/c\"}\n\
            {\"url\":\"http://a/\",\"ok\":true,\"status\":200}\ntorn{\n";
        std::fs::write(&results, text).unwrap();
        let here = std::env::current_dir().unwrap();
        let kept = |kinds: &[&str], statuses: &[StatusClass]| {
            let resume = Resume {
                key: ResumeKey::N,
                kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
                statuses: statuses.to_vec(),
                portion: None,
            };
            let mut kept = Kept::new(&results, &resume);
            let whole = here.join("out/a");
            ["out/a", "out/b é", "out/c", "out/d", "./out/a", whole.to_str().unwrap()]
                .map(|name| kept.holds(Path::new(name)))
        };
        assert_eq!(kept(&[], &[]), [true, true, false, false, true, true]);
        assert_eq!(kept(&["refused"], &[])[..3], [true, true, true]);
        let client = StatusClass { low: 400, high: 499 };
        assert_eq!(kept(&[], &[client])[..3], [true, false, true]);
        std::fs::remove_file(&results).unwrap();
        assert_eq!(kept(&[], &[]), [true; 6], "nobody can tell");
    }
}
