//! The handler of a swarm run, and the judge of what it saw.
//!
//! Owns the record of each job and the rules for one job: its end comes once, its bytes are the
//! server's, nothing is delivered out of turn, a failure has a reason.

use core::time::Duration;

use super::plan::{Plan, Upload, Whim};
use super::world::{self, World};
use crate::base::Instant;
use crate::engine::{self, Advice, Ctl, Failure, Handler, JobKey, JobRef, Kind, Report, Resume};
use crate::proto::{Body, Head};
use crate::sim::{Accept, Asked};

/// What became of one job.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) key: Option<JobKey>,
    pub(super) body: Vec<u8>,
    pub(super) status: u16,
    heads: u32,
    pub(super) done: u32,
    pub(super) result: Option<Result<u16, Failure>>,
    pub(super) attempts: u32,
    /// It was called off, by the handler or from outside.
    pub(super) called_off: bool,
    /// When reading goes on.
    pub(super) paused_until: Option<Instant>,
    /// Bytes delivered since the pause.
    after_pause: usize,
    pauses: u32,
    /// When more of its body is there.
    pub(super) starved_until: Option<Instant>,
    pub(super) starved_told: bool,
    skips: bool,
}

/// Keeps everything; does as the plan says.
pub(super) struct Watch {
    pub(super) plan: Plan,
    pub(super) records: Vec<Record>,
    pub(super) done: usize,
    pub(super) violations: Vec<String>,
    /// Calls, to tell a turn that did something from one that did not.
    pub(super) calls: u64,
    pub(super) now: Instant,
    pub(super) healed: bool,
    pub(super) probes_failed: Vec<String>,
    random: fastrand::Rng,
}

/// Tags of probes begin here.
pub(super) const PROBES: u64 = 1 << 32;

impl Watch {
    pub(super) fn new(plan: Plan, seed: u64) -> Self {
        Self {
            records: plan.jobs.iter().map(|_| Record::default()).collect(),
            plan,
            done: 0,
            violations: Vec::new(),
            calls: 0,
            now: Instant::ZERO,
            healed: false,
            probes_failed: Vec::new(),
            random: fastrand::Rng::with_seed(seed ^ 0x0A7C_4000),
        }
    }

    fn wrong(&mut self, job: JobRef, what: &str) {
        let tag = job.tag;
        let plan = self.plan.jobs.get(tag as usize);
        self.violations.push(format!("job {tag}: {what} ({plan:?})"));
    }

    fn record(&mut self, job: JobRef) -> Option<&mut Record> {
        self.calls += 1;
        self.records.get_mut(job.tag as usize)
    }

    /// Lets the handler do what it fancies at this point of a response.
    fn whim(&mut self, ctl: &mut Ctl<'_>, job: JobRef) {
        let Some(plan) = self.plan.jobs.get(job.tag as usize) else { return };
        let whim = plan.whim;
        let (now, often) = (self.now, self.random.u32(0..3) == 0);
        let wait = Duration::from_millis(self.random.u64(0..4_000));
        let Some(record) = self.record(job) else { return };
        match whim {
            Whim::Pauses(times) if often && record.pauses < times => {
                record.pauses += 1;
                if record.paused_until.is_none() {
                    record.after_pause = 0;
                }
                record.paused_until = Some(now + wait);
                ctl.pause(job.key);
            }
            Whim::Cancels if often => {
                record.called_off = true;
                ctl.cancel(job.key);
            }
            _ => {}
        }
    }
}

impl Handler for Watch {
    fn head(&mut self, ctl: &mut Ctl<'_>, job: JobRef, head: &Head<'_>, _: Body) -> Advice {
        let Some(plan) = self.plan.jobs.get(job.tag as usize) else {
            return Advice::Deliver(Resume::ByETag);
        };
        let whim = plan.whim;
        let Some(record) = self.record(job) else { return Advice::Abort };
        record.heads += 1;
        record.status = head.status;
        record.skips = whim == Whim::Skips;
        let (heads, over, left) = (record.heads, record.done > 0, record.body.len());
        if over {
            self.wrong(job, "a head after the end");
        }
        if heads > 1 || left > 0 {
            self.wrong(job, "a second head without a restart");
        }
        self.whim(ctl, job);
        match whim {
            Whim::Skips => Advice::SkipBody,
            Whim::Aborts => Advice::Abort,
            _ => Advice::Deliver(Resume::ByETag),
        }
    }

    fn body(&mut self, ctl: &mut Ctl<'_>, job: JobRef, bytes: &[u8]) {
        let most = self.plan.driver.read_buffer.max(40_000);
        let Some(record) = self.record(job) else { return };
        record.body.extend_from_slice(bytes);
        if record.paused_until.is_some() {
            record.after_pause += bytes.len();
        }
        let wrong = match () {
            () if record.done > 0 => "content after the end",
            () if record.heads == 0 => "content without a head",
            () if record.skips => "content that was to be skipped",
            () if bytes.is_empty() => "content that is none",
            () if record.after_pause > most => "more than one read buffer after a pause",
            () => "",
        };
        if !wrong.is_empty() {
            self.wrong(job, wrong);
        }
        self.whim(ctl, job);
    }

    fn restart(&mut self, ctl: &mut Ctl<'_>, job: JobRef, _: Kind) {
        let Some(record) = self.record(job) else { return };
        record.body.clear();
        record.heads = 0;
        // A pause belongs to a response.
        record.paused_until = None;
        let over = record.done > 0;
        if over {
            self.wrong(job, "a restart after the end");
        }
        if self.plan.jobs.get(job.tag as usize).is_some_and(|plan| plan.whim == Whim::Cancels) {
            self.whim(ctl, job);
        }
    }

    fn resumed(&mut self, ctl: &mut Ctl<'_>, job: JobRef, at: u64) {
        let Some(record) = self.record(job) else { return };
        record.paused_until = None;
        let fits = record.body.len() as u64 == at && record.heads == 1;
        if !fits {
            self.wrong(job, "a continuation that does not fit");
        }
        self.whim(ctl, job);
    }

    fn upload(
        &mut self,
        _: &mut Ctl<'_>,
        job: JobRef,
        at: u64,
        out: &mut Vec<u8>,
        room: usize,
    ) -> engine::Upload {
        let Some(plan) = self.plan.jobs.get(job.tag as usize) else { return engine::Upload::End };
        let Upload::Stream { length, .. } = plan.upload else {
            self.wrong(job, "asked for a body that it does not have");
            return engine::Upload::End;
        };
        let piece = self.random.usize(0..=room);
        let starves = self.random.u32(0..4) == 0;
        let wait = Duration::from_millis(self.random.u64(0..500));
        let now = self.now;
        let at = at as usize;
        let Some(record) = self.record(job) else { return engine::Upload::End };
        if record.starved_until.is_some_and(|until| until > now) {
            return engine::Upload::Pending;
        }
        if starves && record.starved_until.is_none() && at < length {
            // Nothing now; the harness tells when.
            record.starved_until = Some(now + wait);
            record.starved_told = false;
            return engine::Upload::Pending;
        }
        record.starved_until = None;
        let piece = piece.max(1).min(length - at).min(room);
        let bytes = world::content(job.tag, world::UPLOADED, length);
        out.extend_from_slice(&bytes[at..at + piece]);
        if at + piece == length { engine::Upload::End } else { engine::Upload::More }
    }

    fn done(&mut self, _: &mut Ctl<'_>, job: JobRef, report: &Report<'_>) {
        if job.tag >= PROBES {
            self.calls += 1;
            self.done += 1;
            if report.result != Ok(200) {
                let host = job.tag - PROBES;
                self.probes_failed.push(format!("host {host}: {:?}", report.result));
            }
            return;
        }
        let Some(record) = self.record(job) else { return };
        record.done += 1;
        record.result = Some(report.result.map_err(Clone::clone));
        record.attempts = report.attempts;
        record.paused_until = None;
        record.starved_until = None;
        let twice = record.done > 1;
        let delivered = record.body.len() as u64 == report.body_bytes || record.skips;
        self.done += 1;
        if twice {
            self.wrong(job, "its end came twice");
        }
        if !delivered {
            self.wrong(job, "the report counts other bytes than were delivered");
        }
    }
}

impl Watch {
    /// Judges a job that is at its end.
    pub(super) fn judge(&self, tag: usize, world: &World, asked: &[Asked]) -> Result<(), String> {
        let (plan, record) = (&self.plan.jobs[tag], &self.records[tag]);
        let told = |what: String| Err(format!("job {tag}: {what}\n{plan:?}\n{:?}", record.result));
        match &record.result {
            None => return told("it has no result".into()),
            Some(Ok(status)) => {
                if *status != record.status {
                    return told(format!(
                        "it ended with {status}, its head said {}",
                        record.status
                    ));
                }
                if plan.whim == Whim::Aborts {
                    return told("it was to be aborted".into());
                }
                if plan.whim != Whim::Skips && !self.is_the_servers(tag, world) {
                    return told("its bytes are not the server's".into());
                }
            }
            Some(Err(failure)) => {
                if !self.allows(tag, failure.kind) {
                    return told(format!("no reason to fail: {failure}"));
                }
            }
        }
        let target = format!("/{tag}");
        let mine: Vec<&Asked> = asked.iter().filter(|asked| asked.target == target).collect();
        // At most one free move.
        if mine.len() as u32 > record.attempts + 1 {
            return told(format!("asked {} times in {} attempts", mine.len(), record.attempts));
        }
        if !plan.repeatable() && mine.len() > 1 {
            return told(format!("a POST was sent {} times", mine.len()));
        }
        // What was had in full is not asked for again.
        let again = [408, 429, 500, 502, 503, 504];
        let needless = mine
            .iter()
            .rev()
            .skip(1)
            .find(|asked| asked.whole.is_some_and(|status| !again.contains(&status)));
        if let Some(needless) = needless {
            return told(format!("asked again after a whole answer: {needless:?}"));
        }
        Ok(())
    }

    fn is_the_servers(&self, tag: usize, world: &World) -> bool {
        let (plan, record) = (&self.plan.jobs[tag], &self.records[tag]);
        if plan.method == "HEAD" {
            return record.body.is_empty();
        }
        (0..=world.versions[tag]).any(|version| {
            let all = world::content(tag as u64, version, plan.length);
            match (record.status, plan.range) {
                (206, Some((first, last))) => {
                    let last =
                        last.map_or(plan.length, |last| (last as usize + 1).min(plan.length));
                    record.body == all[first as usize..last]
                }
                (200, _) => record.body == all,
                _ => false,
            }
        })
    }

    /// Whether a job may fail for this reason, in this world.
    fn allows(&self, tag: usize, kind: Kind) -> bool {
        let plan = &self.plan;
        let (job, record) = (&plan.jobs[tag], &self.records[tag]);
        let host = &plan.hosts[job.host];
        let faults = &plan.faults;
        let incidents = !plan.incidents.is_empty();
        let slow = faults.delays() || incidents || plan.weather.sleeps > 0 || host.deaf;
        let replayable = !matches!(job.upload, Upload::Stream { replayable: false, .. });
        // What is worth another attempt is final when there is none, or when it must not be.
        let may_repeat = job.repeatable() && replayable;
        let finite = !plan.demanding || !may_repeat;
        match kind {
            Kind::Cancelled => record.called_off,
            Kind::Aborted => job.whim == Whim::Aborts,
            Kind::BodyTooLarge => job.max_body.is_some(),
            Kind::AttemptTimeout => job.attempt_timeout.is_some(),
            Kind::ServerSpokeFirst => host.banner || (finite && faults.surplus > 0),
            Kind::FirstByteTimeout => slow,
            Kind::HostClosed => faults.retry_after > 10,
            Kind::BodyNotReplayable => !replayable,
            Kind::StaleReuse
            | Kind::ResetBeforeResponse
            | Kind::EmptyReply
            | Kind::ResetInHead
            | Kind::ResetInBody
            | Kind::EofInHead
            | Kind::EofInBody
            | Kind::HeadTimeout
            | Kind::Stalled
            | Kind::StatusExhausted => finite,
            Kind::SendTimeout => finite && (host.deaf || plan.weather.sleeps > 0),
            // What was behind an answer and came late looks like the next one.
            Kind::Malformed(_) => faults.surplus > 0,
            Kind::Refused
            | Kind::Unreachable
            | Kind::ConnectTimeout
            | Kind::ConnectFailed
            | Kind::NetworkDown
            | Kind::HostDown
            | Kind::TlsTimeout
            | Kind::ResetInHandshake
            | Kind::EofInHandshake => !plan.demanding,
            // Who slept over the answer to a look-up looks at the time first.
            Kind::Dns("dns_unanswered") => !plan.demanding && plan.weather.sleeps > 0,
            Kind::Dns(_) => !plan.demanding && faults.dns > 0,
            _ => false,
        }
    }

    /// The next time at which the harness has something to do for a job.
    pub(super) fn next_resume(&self) -> Option<Instant> {
        let times = |record: &Record| [record.paused_until, record.starved_until];
        self.records.iter().flat_map(times).flatten().filter(|&at| at > self.now).min()
    }

    /// What a host's first address does, for reports.
    pub(super) fn dead(&self, host: usize) -> &[Accept] {
        &self.plan.hosts[host].dead
    }
}
