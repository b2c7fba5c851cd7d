//! What the examples of loops do with answers: a record for each URL, the same in every loop.

use std::collections::HashMap;
use std::fmt;

use gannet::engine::{Advice, Ctl, Handler, JobRef, Kind, Report, Resume};
use gannet::proto::{Body, Head};

/// What became of one URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// The request's tag.
    pub tag: u64,
    /// Its status; 0 when it failed.
    pub status: u16,
    /// The bytes of its body.
    pub bytes: u64,
    /// A sum over them (FNV-1a).
    pub sum: u64,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tag, status, bytes, sum } = self;
        write!(f, "{tag} {status} {bytes} {sum:016x}")
    }
}

impl Record {
    /// That of a request to which nothing came yet.
    pub fn new(tag: u64) -> Self {
        Self { tag, status: 0, bytes: 0, sum: 0xcbf2_9ce4_8422_2325 }
    }

    /// Adds bytes of its body.
    pub fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.sum = bytes.iter().fold(self.sum, |sum, &byte| {
            (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
    }
}

/// Records of what is done, and of what runs.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    running: HashMap<u64, Record>,
    /// In the order in which they were done.
    pub records: Vec<Record>,
}

impl Tally {
    /// Requests that are at their end.
    pub fn done(&self) -> u64 {
        self.records.len() as u64
    }

    /// A line for each, in the order of the tags.
    pub fn lines(&self) -> Vec<String> {
        let mut records = self.records.clone();
        records.sort();
        records.iter().map(Record::to_string).collect()
    }
}

impl Handler for Tally {
    fn head(&mut self, _: &mut Ctl<'_>, job: JobRef, _: &Head<'_>, _: Body) -> Advice {
        self.running.insert(job.tag, Record::new(job.tag));
        Advice::Deliver(Resume::Never)
    }

    fn body(&mut self, _: &mut Ctl<'_>, job: JobRef, bytes: &[u8]) {
        if let Some(record) = self.running.get_mut(&job.tag) {
            record.add(bytes);
        }
    }

    fn restart(&mut self, _: &mut Ctl<'_>, job: JobRef, _: Kind) {
        // What was delivered is void; the next head begins anew.
        self.running.remove(&job.tag);
    }

    fn done(&mut self, _: &mut Ctl<'_>, job: JobRef, report: &Report<'_>) {
        let mut record = self.running.remove(&job.tag).unwrap_or(Record::new(job.tag));
        record.status = report.result.unwrap_or(0);
        self.records.push(record);
    }
}
