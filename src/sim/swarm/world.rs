//! The servers of a swarm run: what they serve, and what goes wrong with it.
//!
//! The content of a target follows from its number and version, so that a byte out of place shows
//! wherever it comes from.

use core::time::Duration;

use super::plan::{Faults, JobPlan, Shape, Upload};
use crate::sim::{Answer, How, Request};

/// What all servers share.
pub(super) struct World {
    pub(super) jobs: Vec<JobPlan>,
    /// The version of each target now; all below it were served or may have been.
    pub(super) versions: Vec<u32>,
    pub(super) faults: Faults,
    random: fastrand::Rng,
    /// What a server found wrong with a request.
    pub(super) violations: Vec<String>,
    /// Faults that were served.
    pub(super) served: u64,
}

/// Byte `at` of the content of `target` in `version`.
fn word(target: u64, version: u32, word: u64) -> u64 {
    let mut x = target.wrapping_mul(0x9E37_79B9_7F4A_7C15)
        ^ (u64::from(version) << 40)
        ^ word.wrapping_mul(0xD1B5_4A32_D192_ED03);
    x ^= x >> 29;
    x = x.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x ^ (x >> 32)
}

/// The content of `target` in `version`.
pub(super) fn content(target: u64, version: u32, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 8);
    let mut at = 0;
    while bytes.len() < length {
        bytes.extend_from_slice(&word(target, version, at).to_le_bytes());
        at += 1;
    }
    bytes.truncate(length);
    bytes
}

/// The version that a request body is made of.
pub(super) const UPLOADED: u32 = 1_000_000;
/// Targets beyond the jobs: small, healthy, always there.
pub(super) const PROBE: &str = "/probe";

impl World {
    pub(super) fn new(jobs: Vec<JobPlan>, faults: Faults, seed: u64) -> Self {
        Self {
            versions: vec![0; jobs.len()],
            jobs,
            faults,
            random: fastrand::Rng::with_seed(seed ^ 0x3011_D000),
            violations: Vec::new(),
            served: 0,
        }
    }

    fn chance(&mut self, permille: u32) -> bool {
        let hit = permille > 0 && self.random.u32(0..1000) < permille;
        self.served += u64::from(hit);
        hit
    }

    pub(super) fn answer(&mut self, host: usize, request: &Request) -> Answer {
        if request.target == PROBE {
            return Answer::ok(PROBE);
        }
        let number = request.target.strip_prefix('/').and_then(|n| n.parse::<usize>().ok());
        let Some(number) = number.filter(|&number| number < self.jobs.len()) else {
            self.violations.push(format!("nobody asked for {:?}", request.target));
            return Answer::new(404);
        };
        let job = self.jobs[number].clone();
        if job.host != host || job.method != request.method {
            self.violations.push(format!("{} was asked of host {host}", request.target));
        }
        let has_content = request.field("content-length").is_some_and(|length| length != "0")
            || request.field("transfer-encoding").is_some();
        if request.field("expect").is_some() && !has_content {
            self.violations.push(format!("{} waits with nothing to send", request.target));
        }
        let (sent, whole) = match job.upload {
            Upload::None => (0, request.body.is_empty()),
            Upload::Bytes(length) | Upload::Stream { length, .. } => {
                (length, request.body == content(number as u64, UPLOADED, length))
            }
        };
        // An early answer is given before the content came.
        if !whole && !request.body.is_empty() {
            let got = request.body.len();
            self.violations.push(format!("{} came with {got} bytes of {sent}", request.target));
        }
        self.spoil(number, &job, request)
    }

    /// The answer, with whatever goes wrong with it.
    fn spoil(&mut self, number: usize, job: &JobPlan, request: &Request) -> Answer {
        let faults = self.faults.clone();
        if self.chance(faults.changes) {
            self.versions[number] += 1;
        }
        for (weight, status) in [
            (faults.unavailable, 503),
            (faults.too_many, 429),
            (faults.broken, [500, 502, 504, 408][self.random.usize(0..4)]),
        ] {
            if self.chance(weight) {
                let mut answer = Answer::new(status).body("later");
                if faults.retry_after > 0 && status != 500 && self.random.bool() {
                    let seconds = self.random.u32(0..=faults.retry_after);
                    answer = answer.field("Retry-After", seconds.to_string());
                }
                return self.mishaps(answer, request);
            }
        }
        let answer = self.content(number, job, request);
        self.mishaps(answer, request)
    }

    fn content(&mut self, number: usize, job: &JobPlan, request: &Request) -> Answer {
        let version = self.versions[number];
        let bytes = content(number as u64, version, job.length);
        let tag = format!("\"{number}-{version}\"");
        let lies = self.faults.lies;
        let range = request.field("range").and_then(|range| {
            let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
            let first: usize = first.parse().ok()?;
            let last = last.parse().unwrap_or(usize::MAX).min(job.length.saturating_sub(1));
            (first <= last).then_some((first, last))
        });
        let backwards = request.field("range").and_then(|range| {
            let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
            Some(last.parse::<u64>().ok()? < first.parse::<u64>().ok()?)
        });
        if backwards == Some(true) {
            self.violations.push(format!("{} in a range that is none", request.target));
        }
        let fits = request.field("if-range").is_none_or(|wanted| job.etag && wanted == tag);
        let mut answer = match range {
            Some((first, last)) if job.ranges && fits => {
                let lie = request.field("if-range").is_some() && self.chance(lies);
                let total = job.length;
                if lie {
                    return self.lie(&bytes, first, last, total, &tag);
                }
                Answer::new(206)
                    .body(&bytes[first..=last])
                    .field("Content-Range", format!("bytes {first}-{last}/{total}"))
            }
            _ => Answer::ok(bytes),
        };
        if job.etag {
            answer = answer.field("ETag", tag);
        }
        match job.shape {
            Shape::Length => answer,
            Shape::Chunked(size) => answer.chunked(size),
            Shape::UntilClose => answer.until_close(),
        }
    }

    /// A continuation that is none: whoever takes it for one has broken bytes.
    fn lie(&mut self, bytes: &[u8], first: usize, last: usize, total: usize, tag: &str) -> Answer {
        let range =
            |first: usize, last: usize, total: usize| format!("bytes {first}-{last}/{total}");
        let part = |first: usize| Answer::new(206).body(&bytes[first..=last]);
        match self.random.u32(0..6) {
            // Another position than was asked for.
            0 if first > 0 => part(first - 1)
                .field("ETag", tag)
                .field("Content-Range", range(first - 1, last, total)),
            // Of another version, and it says so.
            1 => part(first)
                .field("ETag", "\"other\"")
                .field("Content-Range", range(first, last, total)),
            // Without a word of what it is.
            2 => part(first).field("ETag", tag),
            3 => part(first).field("Content-Range", range(first, last, total)),
            // Parts, of which there is one.
            4 => {
                let named = range(first, last, total);
                let mut parts = format!("--x\r\nContent-Range: {named}\r\n\r\n").into_bytes();
                parts.extend_from_slice(&bytes[first..=last]);
                parts.extend_from_slice(b"\r\n--x--\r\n");
                Answer::new(206)
                    .body(parts)
                    .field("ETag", tag)
                    .field("Content-Type", "multipart/byteranges; boundary=x")
                    .field("Content-Range", named)
            }
            // It has changed its mind about how long it is.
            _ => Answer::new(416).field("Content-Range", format!("bytes */{total}")),
        }
        .useless()
    }

    fn mishaps(&mut self, mut answer: Answer, request: &Request) -> Answer {
        let faults = self.faults.clone();
        if self.chance(faults.interim) {
            answer = answer.interim(103);
        }
        if self.chance(faults.slow) {
            let delay = Duration::from_millis(u64::from(self.random.u32(0..8_000)));
            answer = answer.after(delay);
        }
        let length = answer.encode(request.is_head()).len();
        if self.chance(faults.drip) {
            let piece = (length / self.random.usize(1..20)).max(1);
            let every = Duration::from_millis(u64::from(self.random.u32(0..2_000)));
            answer = answer.drip(piece, every);
        }
        if self.chance(faults.closing) {
            answer = answer.closing();
        } else if self.chance(faults.closing_silently) {
            answer = answer.closing_silently();
        }
        if !answer.is_until_close() && self.chance(faults.surplus) {
            answer = answer.surplus(if self.random.bool() { "x" } else { "HTTP/1.1 200 OK\r\n" });
        }
        let at = match self.random.u32(0..4) {
            0 => 0,
            1 => length,
            _ => self.random.usize(0..=length),
        };
        if self.chance(faults.reset) {
            answer = answer.cut(at, How::Reset);
        } else if self.chance(faults.stall) {
            answer = answer.cut(at, How::Stall);
        } else if self.chance(faults.fin) {
            // Nobody can tell the end of such a body from a cut.
            let how = if answer.is_until_close() { How::Reset } else { How::Fin };
            answer = answer.cut(at, how);
        }
        answer
    }
}
