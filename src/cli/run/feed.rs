//! What to fetch next: entries of lists, or the URLs of the command line one after another.
//!
//! Owns numbering, shards, what an earlier run has done, and the turning of an entry into a job
//! and a request. Reads no more than is wanted.

use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::desk::Desk;
use super::job::{Dest, Dump, GoOn, Job, Terms};
use super::output::in_dir;
use super::tell::Early;
use crate::cli::hash::in_shard;
use crate::cli::input::{self, Entry, Line, Lines, More, Next};
use crate::cli::plan::{Ask, Continue, Hosts, Keep, List, Source, Target, Upload, Where};
use crate::cli::results::Done;
use crate::cli::sink::Files;
use crate::cli::template::Template;
use crate::cli::values::Shard;
use crate::cli::writeout::Format;
use crate::cli::{date, glob::Glob, names};
use crate::fetch::{
    Body, Field, Profile, RangeSpec, Request, ResumeFrom, Url, UrlError, UrlRules, mask,
};

/// What came of asking for more.
#[derive(Debug)]
pub enum Step {
    /// A job, and a request in [`Feed::request`].
    Job(usize),
    /// An entry that needs no fetching; it was dealt with.
    Dealt,
    /// Nothing yet.
    Wait,
    /// That was all.
    End,
    /// The list can't be read on.
    Fatal(String),
}

/// What is asked of all entries, ready for the fetcher.
#[derive(Debug)]
pub struct Common {
    pub ask: Ask,
    pub terms: Rc<Terms>,
    pub profile: Arc<Profile>,
    /// The same without credentials, for hosts that may not have them.
    bare: Arc<Profile>,
    auth_hosts: Hosts,
    rules: UrlRules,
}

impl Common {
    /// Of a group's or a batch's options.
    pub fn new(ask: Ask, keep: Keep, auth_hosts: Hosts, batch: bool) -> Result<Self, String> {
        let mut profile = ask.profile.clone();
        // What has left for standard output can't be looked at again.
        profile.on_trust = batch && ask.resume == Continue::Auto && keep.output != Where::Stdout;
        if let Some(condition) = &ask.time_cond {
            let name = if condition.unless { "If-Unmodified-Since" } else { "If-Modified-Since" };
            // What is said of it with -H counts.
            if !profile.fields.iter().any(|field| field.is(name)) {
                profile.fields.extend(Field::new(name, date::http(condition.date).as_bytes()));
            }
        }
        if let Some(path) = &ask.etag_compare {
            let etag = std::fs::read_to_string(path).unwrap_or_default();
            let etag = etag.lines().next().unwrap_or("").trim();
            let value = if etag.is_empty() { "\"\"" } else { etag };
            let field = Field::new("If-None-Match", value.as_bytes());
            profile.fields.push(field.map_err(|error| format!("{}: {error}", path.display()))?);
        }
        let mut bare = profile.clone();
        bare.auth = None;
        bare.fields.retain(|field| field.value().is_none() || !field.is_secret());
        let template = match (&keep.output, batch) {
            (Where::Name(text), true) => Some(Template::parse(text)?),
            _ => None,
        };
        let dump = match keep.dump_header.as_deref() {
            None => None,
            Some("-") => Some(Dump::Stdout),
            Some("%") => Some(Dump::Stderr),
            Some(text) if batch => Some(Dump::Template(Template::parse(text)?)),
            Some(text) => Some(Dump::File(text.into())),
        };
        let format = keep.write_out.as_deref().map(Format::parse).transpose()?;
        let terms = Terms {
            accept_types: ask.accept_types.clone(),
            reject_types: ask.reject_types.clone(),
            time_cond: ask.time_cond.clone(),
            etag_save: ask.etag_save.clone(),
            head_only: profile.head && !batch,
            most_announced: ask.profile.max_filesize.filter(|_| profile.head),
            format,
            template,
            dump,
            keep,
        };
        let rules = ask.rules;
        Ok(Self {
            ask,
            terms: Rc::new(terms),
            profile: Arc::new(profile),
            bare: Arc::new(bare),
            auth_hosts,
            rules,
        })
    }

    fn profile_for(&self, host: &str) -> &Arc<Profile> {
        match &self.auth_hosts {
            Hosts::All => &self.profile,
            Hosts::These(hosts) if hosts.iter().any(|one| one == host) => &self.profile,
            Hosts::These(_) => &self.bare,
        }
    }
}

/// The feed.
pub struct Feed {
    source: Entries,
    /// The request of the last [`Step::Job`], used again and again.
    pub request: Request,
    /// The last entry's number.
    pub n: u64,
    /// How much of the lists was read, and of how much, in bytes.
    pub read: Option<(u64, u64)>,
}

enum Entries {
    Batch(Box<BatchEntries>),
    Transfers(TransferEntries),
}

/// The entries of lists.
pub struct BatchEntries {
    pub common: Common,
    pub lists: VecDeque<List>,
    pub lines: Option<(Lines, String)>,
    pub glob: Option<(Glob, u64)>,
    pub entry: Entry,
    pub shard: Option<Shard>,
    pub done: Option<Done>,
    pub max_line: usize,
    /// Parts of an earlier run go on.
    pub go_on: bool,
    /// The one name that all would get: a second entry is an error.
    pub constant: Option<u64>,
}

/// The URLs of the command line.
pub struct TransferEntries {
    pub commons: Vec<Rc<Common>>,
    /// Of which group each is.
    pub targets: VecDeque<(usize, Target)>,
    pub glob: Option<(usize, Target, Glob, u64)>,
    pub lines: Option<(usize, Target, Lines)>,
    pub parallel: bool,
    /// Each line of a list counts as a URL of the command line: so many more came of lists.
    pub further: u64,
}

impl Feed {
    pub fn batch(entries: BatchEntries, read: Option<(u64, u64)>) -> Self {
        let request =
            Request { url: Url::blank(), tag: 0, profile: Arc::clone(&entries.common.profile) };
        Self { source: Entries::Batch(Box::new(entries)), request, n: 0, read }
    }

    pub fn transfers(entries: TransferEntries) -> Self {
        let profile =
            entries.commons.first().map_or_else(Arc::default, |common| Arc::clone(&common.profile));
        let request = Request { url: Url::blank(), tag: 0, profile };
        Self { source: Entries::Transfers(entries), request, n: 0, read: None }
    }

    /// Lines of lists beyond the first of each, for the groups that follow.
    pub fn further(&self) -> u64 {
        match &self.source {
            Entries::Batch(_) => 0,
            Entries::Transfers(transfers) => transfers.further,
        }
    }

    /// Has what is waited for wake the fetcher's turns.
    pub fn watch(&mut self, registry: &mio::Registry) {
        let lines = match &mut self.source {
            Entries::Batch(batch) => batch.lines.as_mut().map(|(lines, _)| lines),
            Entries::Transfers(transfers) => transfers.lines.as_mut().map(|(_, _, lines)| lines),
        };
        if let Some(lines) = lines {
            lines.watch(registry);
        }
    }

    /// The next one.
    pub fn step(&mut self, desk: &mut Desk) -> Step {
        match &mut self.source {
            Entries::Batch(batch) => {
                batch.step(desk, &mut self.request, &mut self.n, &mut self.read)
            }
            Entries::Transfers(transfers) => transfers.step(desk, &mut self.request, &mut self.n),
        }
    }
}

enum Got {
    Entry,
    Bad(String),
    Wait,
    End,
    Fatal(String),
}

impl BatchEntries {
    /// Reads up to the next entry.
    fn read(&mut self, read: &mut Option<(u64, u64)>) -> Got {
        loop {
            if let Some((glob, next)) = &mut self.glob {
                if *next < glob.count() {
                    self.entry.url.clear();
                    self.entry.more = None;
                    glob.write(*next, &mut self.entry.url);
                    *next += 1;
                    return Got::Entry;
                }
                self.glob = None;
            }
            if let Some((lines, name)) = &mut self.lines {
                let failed = |error: io::Error| Got::Fatal(format!("can't read {name}: {error}"));
                match lines.next() {
                    Err(error) => return failed(error),
                    Ok(Next::Wait) => return Got::Wait,
                    Ok(Next::End) => self.lines = None,
                    Ok(Next::TooLong(number)) => {
                        self.entry.url.clear();
                        self.entry.more = None;
                        return Got::Bad(format!(
                            "line {number} of {name} is longer than --max-line"
                        ));
                    }
                    Ok(Next::Line(line, number)) => {
                        if let Some((done, _)) = read {
                            *done += line.len() as u64 + 1;
                        }
                        match input::read(line, &mut self.entry) {
                            Line::Nothing => {}
                            Line::Entry => return Got::Entry,
                            Line::Bad(why) => {
                                return Got::Bad(format!("line {number} of {name}: {why}"));
                            }
                            Line::Aria2 => {
                                return Got::Fatal(format!(
                                    "{name} looks like a list of aria2 (line {number}): gannet takes a URL a line, or JSON Lines with \"output\" for names"
                                ));
                            }
                        }
                    }
                }
                continue;
            }
            match self.lists.pop_front() {
                None => return Got::End,
                Some(List::Url(glob)) => self.glob = Some((glob, 0)),
                Some(List::Stdin) => {
                    self.lines = Some((Lines::stdin(self.max_line), "standard input".to_owned()));
                }
                Some(List::File(path)) => match Lines::open(&path, self.max_line) {
                    Ok(lines) => self.lines = Some((lines, path.display().to_string())),
                    Err(error) => {
                        return Got::Fatal(format!("can't read {}: {error}", path.display()));
                    }
                },
            }
        }
    }

    fn step(
        &mut self,
        desk: &mut Desk,
        request: &mut Request,
        n: &mut u64,
        read: &mut Option<(u64, u64)>,
    ) -> Step {
        let bad = match self.read(read) {
            Got::Wait => return Step::Wait,
            Got::Fatal(message) => return Step::Fatal(message),
            Got::End => {
                return match self.done.as_ref().and_then(Done::rest) {
                    Some(first) => Step::Fatal(format!(
                        "the results hold entry {first}, and the list ends before: this is another list (--resume-key url or id resumes by those)"
                    )),
                    None => Step::End,
                };
            }
            Got::Entry => None,
            Got::Bad(why) => Some(why),
        };
        *n += 1;
        desk.counts.entries += 1;
        if let Some(first) = &mut self.constant {
            *first += 1;
            if *first > 1 {
                return Step::Fatal("-o names one file and the list has several URLs: use a template such as {n}{ext}".to_owned());
            }
        }
        let masked = mask(&self.entry.url);
        if let Some(done) = &mut self.done {
            let id = self.entry.more.as_deref().and_then(|more| more.id.as_deref());
            match done.has(*n, id, &masked) {
                Err(message) => return Step::Fatal(message),
                Ok(true) => {
                    desk.counts.skipped += 1;
                    return Step::Dealt;
                }
                Ok(false) => {}
            }
        }
        let parsed = if bad.is_none() {
            request.url.set(&self.entry.url, &self.common.rules)
        } else {
            Ok(())
        };
        if let (Some(shard), None, Ok(())) = (self.shard, &bad, &parsed)
            && !in_shard(request.url.host(), shard)
        {
            desk.counts.elsewhere += 1;
            return Step::Dealt;
        }
        // Lines that are no URLs have no host: the first shard reports them.
        if self.shard.is_some_and(|shard| shard.index != 1) && (bad.is_some() || parsed.is_err()) {
            desk.counts.elsewhere += 1;
            return Step::Dealt;
        }
        let index = desk.take(&self.common.terms);
        let job = &mut desk.jobs[index];
        job.n = *n;
        job.set_url(&self.entry.url, &masked);
        job.more = self.entry.more.take();
        if let Some(message) = bad {
            desk.early(
                index,
                &Early {
                    kind: "bad_line",
                    message: &message,
                    hint: "mend the line and run again with --resume",
                    exit: 2,
                },
            );
            return Step::Dealt;
        }
        if let Err(error) = parsed {
            refuse_url(desk, index, &error);
            return Step::Dealt;
        }
        if let Some(query) = &self.common.ask.query {
            request.url.append_query(query);
        }
        let dest = self.dest(&mut desk.jobs[index], request);
        if let Dest::File { path, .. } = &dest
            && desk.output.files.is_done(path)
        {
            let shown = path.display().to_string();
            desk.skipped(index, shown);
            return Step::Dealt;
        }
        let mut own: Option<Profile> = None;
        let base = self.common.profile_for(request.url.host());
        if let Some(more) = desk.jobs[index].more.as_deref()
            && let Err(message) = personal(more, base, &mut own)
        {
            desk.early(index, &Early { kind: "bad_line", message: &message, hint: "", exit: 2 });
            return Step::Dealt;
        }
        if self.go_on {
            go_on(
                &dest,
                &mut desk.jobs[index],
                base,
                &mut own,
                self.common.ask.resume == Continue::Auto,
            );
        }
        match own {
            Some(profile) => request.profile = Arc::new(profile),
            None if Arc::ptr_eq(&request.profile, base) => {}
            None => request.profile = Arc::clone(base),
        }
        let hash = desk.hash_for(&desk.jobs[index]);
        let job = &mut desk.jobs[index];
        job.hash = hash;
        job.dest = dest;
        if let Body::Bytes(bytes) = &request.profile.body {
            job.uploaded = bytes.len() as u64;
        }
        request.tag = index as u64;
        desk.hold_back(index, request);
        desk.weigh(index);
        Step::Job(index)
    }

    /// Where this entry's body goes.
    fn dest(&self, job: &mut Job, request: &Request) -> Dest {
        let terms = &self.common.terms;
        if let Some(output) = job.more.as_deref().and_then(|more| more.output.clone()) {
            return Dest::File {
                path: in_dir(terms, &output),
                shared: true,
                fresh: false,
                header_name: false,
            };
        }
        match &terms.keep.output {
            Where::Nowhere => Dest::Nowhere,
            Where::Stdout => Dest::Whole,
            Where::Remote => {
                let mut name = String::new();
                names::push_piece(names::remote_name(request.url.path()), &mut name);
                names::finish_part(&mut name, 0);
                Dest::File {
                    path: in_dir(terms, &name),
                    shared: true,
                    fresh: false,
                    header_name: terms.keep.header_name,
                }
            }
            Where::Name(_) => {
                let Some(template) = &terms.template else { return Dest::Nowhere };
                let authority = request.url.authority();
                job.host.push_str(&authority);
                job.path.push_str(request.url.path());
                if template.needs_head() {
                    return Dest::Named;
                }
                Dest::File {
                    path: in_dir(terms, &job.name(template, "")),
                    shared: !template.is_unique(),
                    fresh: false,
                    header_name: false,
                }
            }
        }
    }
}

fn refuse_url(desk: &mut Desk, index: usize, error: &UrlError) {
    let message = error.to_string();
    let exit = if matches!(error, UrlError::Scheme(_)) { 1 } else { 3 };
    desk.early(index, &Early { kind: error.name(), message: &message, hint: error.hint(), exit });
}

/// What a line asks otherwise than the others.
fn personal(more: &More, base: &Arc<Profile>, own: &mut Option<Profile>) -> Result<(), String> {
    let asks = more.method.is_some()
        || !more.headers.is_empty()
        || more.body.is_some()
        || more.etag.is_some()
        || more.last_modified.is_some()
        || more.timeout.is_some()
        || more.retry.is_some();
    if !asks {
        return Ok(());
    }
    let profile = own.get_or_insert_with(|| (**base).clone());
    if let Some(method) = &more.method {
        profile.method = Some(method.as_str().into());
    }
    for field in &more.headers {
        // The line's own word counts.
        profile
            .fields
            .retain(|other| !other.is(field.name()) || more.headers.iter().any(|own| own == other));
    }
    profile.fields.extend(more.headers.iter().cloned());
    if let Some(body) = &more.body {
        profile.body = Body::Bytes(body.as_slice().into());
        profile.content_type = None;
    }
    let conditions = [("If-None-Match", &more.etag), ("If-Modified-Since", &more.last_modified)];
    for (name, value) in conditions {
        if let Some(value) = value {
            // The line knows its own better than -z or -H for all.
            profile.fields.retain(|field| !field.is(name));
            profile
                .fields
                .push(Field::new(name, value.as_bytes()).map_err(|error| error.to_string())?);
        }
    }
    if let Some(timeout) = more.timeout {
        profile.timeout = Some(Duration::from_secs_f64(timeout));
    }
    if let Some(retry) = more.retry {
        profile.attempts = Some(retry.saturating_add(1));
    }
    Ok(())
}

/// What an earlier run left of this file goes on; with `-C -` what has its final name, too.
fn go_on(
    dest: &Dest,
    job: &mut Job,
    base: &Arc<Profile>,
    own: &mut Option<Profile>,
    also_final: bool,
) {
    let Dest::File { path, .. } = dest else { return };
    let length =
        std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|meta| meta.len());
    if also_final && let Some(length) = length.filter(|length| *length > 0) {
        own.get_or_insert_with(|| (**base).clone()).range = Some(RangeSpec::from_offset(length));
        job.go_on = GoOn::At { offset: length, typed: false, before: None };
    } else if let Some(left) = Files::leftover(path, &job.url) {
        let profile = own.get_or_insert_with(|| (**base).clone());
        if profile.range.is_none() && !profile.compressed {
            profile.resume =
                Some(ResumeFrom { offset: left.offset, validator: left.validator.clone() });
            job.go_on = GoOn::Part(left);
        }
    }
}

impl TransferEntries {
    fn step(&mut self, desk: &mut Desk, request: &mut Request, n: &mut u64) -> Step {
        loop {
            if let Some((group, target, glob, next)) = &mut self.glob {
                if *next < glob.count() {
                    let number = *next;
                    *next += 1;
                    let (group, target, glob) = (*group, target.clone(), glob.clone());
                    let mut typed = String::new();
                    glob.write(number, &mut typed);
                    return self.job(
                        desk,
                        request,
                        n,
                        group,
                        &target,
                        &typed,
                        Some((&glob, number)),
                    );
                }
                self.glob = None;
            }
            if let Some((group, target, lines)) = &mut self.lines {
                match lines.next() {
                    Err(error) => return Step::Fatal(format!("can't read the URLs: {error}")),
                    Ok(Next::Wait) => return Step::Wait,
                    Ok(Next::End) => self.lines = None,
                    Ok(Next::TooLong(number)) => {
                        return Step::Fatal(format!("line {number} of the URLs is too long"));
                    }
                    Ok(Next::Line(line, _)) => {
                        let text = String::from_utf8_lossy(line.trim_ascii()).into_owned();
                        if !text.is_empty() && !text.starts_with('#') {
                            let (group, this) = (*group, target.clone());
                            target.output = target.more.pop_front().unwrap_or(Where::Remote);
                            target.upload = None;
                            if this.is_first {
                                target.is_first = false;
                            } else {
                                self.further += 1;
                            }
                            return self.job(desk, request, n, group, &this, &text, None);
                        }
                    }
                }
                continue;
            }
            let Some((group, target)) = self.targets.pop_front() else { return Step::End };
            match &target.url {
                Source::Glob(glob) => {
                    let glob = glob.clone();
                    self.glob = Some((group, target, glob, 0));
                }
                Source::Stdin => self.lines = Some((group, target, Lines::stdin(1 << 20))),
                Source::File(path) => match Lines::open(path, 1 << 20) {
                    Ok(lines) => self.lines = Some((group, target, lines)),
                    Err(error) => {
                        return Step::Fatal(format!("can't read {}: {error}", path.display()));
                    }
                },
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "all of what one URL is made of")]
    fn job(
        &self,
        desk: &mut Desk,
        request: &mut Request,
        n: &mut u64,
        group: usize,
        target: &Target,
        typed: &str,
        glob: Option<(&Glob, u64)>,
    ) -> Step {
        let common = &self.commons[group];
        *n += 1;
        desk.counts.entries += 1;
        let index = desk.take(&common.terms);
        let job = &mut desk.jobs[index];
        job.n = *n;
        job.url_number = target.number + self.further;
        job.set_url(typed, &mask(typed));
        let terms = &common.terms;
        if let Err(message) = desk.output.make_ready(&mut desk.jobs[index], terms) {
            let kind = "write_failed";
            desk.early(index, &Early { kind, message: &message, hint: "", exit: 23 });
            return Step::Dealt;
        }
        if let Err(error) = request.url.set(typed, &common.rules) {
            refuse_url(desk, index, &error);
            return Step::Dealt;
        }
        let dest = match &target.output {
            Where::Nowhere => Dest::Nowhere,
            Where::Stdout if self.parallel => Dest::Whole,
            Where::Stdout => Dest::Stdout,
            Where::Name(name) => {
                let name =
                    glob.map_or_else(|| name.clone(), |(glob, number)| glob.name(number, name));
                Dest::File {
                    path: in_dir(terms, &name),
                    shared: false,
                    fresh: false,
                    header_name: false,
                }
            }
            Where::Remote => {
                let name = names::remote_name(request.url.path());
                let fresh = terms.keep.header_name
                    && terms.keep.existing != crate::cli::plan::Existing::Clobber;
                Dest::File {
                    path: in_dir(terms, name),
                    shared: false,
                    fresh,
                    header_name: terms.keep.header_name,
                }
            }
        };
        if let Dest::File { path, .. } = &dest
            && desk.output.files.is_done(path)
        {
            let shown = path.display().to_string();
            desk.skipped(index, shown);
            return Step::Dealt;
        }
        let mut own = None;
        let mut upload_from = None;
        match common.ask.resume {
            Continue::No => {}
            Continue::Auto if target.upload.is_none() => {
                if matches!(dest, Dest::File { .. }) {
                    own.get_or_insert_with(|| (*common.profile).clone()).on_trust = true;
                }
                go_on(&dest, &mut desk.jobs[index], &common.profile, &mut own, true);
            }
            // Of what is uploaded the first bytes are left out, and the server is told so.
            Continue::Auto => upload_from = Some(0),
            Continue::At(offset) if target.upload.is_some() => upload_from = Some(offset),
            Continue::At(offset) => {
                own.get_or_insert_with(|| (*common.profile).clone()).range =
                    Some(RangeSpec::from_offset(offset));
                desk.jobs[index].go_on = GoOn::At { offset, typed: true, before: None };
            }
        }
        if let Some(upload) = &target.upload {
            let profile = own.get_or_insert_with(|| (*common.profile).clone());
            if let Err((exit, message)) =
                prepare_upload(upload, profile, &mut request.url, typed, &common.rules, upload_from)
            {
                desk.early(
                    index,
                    &Early { kind: "read_failed", message: &message, hint: "", exit },
                );
                return Step::Dealt;
            }
            desk.jobs[index].upload = Some(upload.clone());
            desk.jobs[index].upload_from = upload_from.unwrap_or(0);
        }
        // Behind the name that a folder's URL has got.
        if let Some(query) = &common.ask.query {
            request.url.append_query(query);
        }
        request.profile = own.map_or_else(|| Arc::clone(&common.profile), Arc::new);
        let hash = desk.hash_for(&desk.jobs[index]);
        let job = &mut desk.jobs[index];
        job.hash = hash;
        job.dest = dest;
        if let Body::Bytes(bytes) = &request.profile.body {
            job.uploaded = bytes.len() as u64;
        }
        request.tag = index as u64;
        desk.hold_back(index, request);
        desk.weigh(index);
        Step::Job(index)
    }
}

/// The body of `-T`, and the file's name after a URL that ends with a slash.
fn prepare_upload(
    upload: &Upload,
    profile: &mut Profile,
    url: &mut Url,
    typed: &str,
    rules: &UrlRules,
    from: Option<u64>,
) -> Result<(), (u8, String)> {
    profile.upload = true;
    match upload {
        Upload::Bytes(bytes) => profile.body = Body::Bytes(Arc::clone(bytes)),
        Upload::Stdin => {
            // curl leaves the first bytes out and says a range that means nothing.
            if from.is_some_and(|from| from > 0) {
                let message = "-C goes on with a file: nobody knows how long standard input is";
                return Err((36, message.to_owned()));
            }
            // Who says the length and wants no chunks has counted.
            let of = |name: &str| profile.fields.iter().find(|field| field.is(name));
            let no_chunks = of("transfer-encoding").is_some_and(|field| field.value().is_none());
            let length = of("content-length")
                .and_then(|field| std::str::from_utf8(field.value()?).ok()?.parse().ok())
                .filter(|_| no_chunks);
            profile.body = Body::Stream { length, replayable: false };
        }
        Upload::File(path) => {
            let meta = std::fs::metadata(path)
                .map_err(|error| (26, format!("can't read {}: {error}", path.display())))?;
            if meta.is_dir() {
                return Err((26, format!("{} is a folder", path.display())));
            }
            let mut length = meta.is_file().then_some(meta.len());
            // An empty file is sent as one that is not continued: a range can't be empty.
            if let (Some(from), Some(whole)) =
                (from.filter(|from| *from > 0 || length != Some(0)), length)
            {
                let rest = whole.checked_sub(from).filter(|rest| *rest > 0).ok_or_else(|| {
                    // As curl: the one is done, the other can't be begun there.
                    let exit = if whole > 0 { 18 } else { 26 };
                    (exit, format!("{} has no bytes from {from} on", path.display()))
                })?;
                length = Some(rest);
                profile.content_range = Some(format!("bytes {from}-{}/{whole}", whole - 1).into());
            }
            profile.body = Body::Stream { length, replayable: length.is_some() };
            if url.path().ends_with('/') && url.query().is_none() {
                let name = path
                    .file_name()
                    .map(|name| name.to_string_lossy().into_owned())
                    .unwrap_or_default();
                let mut encoded = Vec::new();
                crate::fetch::form::urlencode(name.as_bytes(), &mut encoded);
                let encoded = String::from_utf8_lossy(&encoded).replace('+', "%20");
                let mut text = typed.split('#').next().unwrap_or(typed).to_owned();
                if !text.ends_with('/') {
                    text.push('/');
                }
                text.push_str(&encoded);
                url.set(&text, rules).map_err(|error| (3, error.to_string()))?;
            }
        }
    }
    Ok(())
}
