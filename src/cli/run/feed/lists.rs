//! The entries of a batch's lists.
//!
//! Owns which entry is left out (another shard's, one that an earlier run has done), what a line asks
//! for itself alone, and where its body goes. Never parses a line: that is `cli::entry`'s.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::aside::{Aside, Room};
use super::{Common, Step, begin, go_on, is_kept, is_there, refuse_url};
use crate::cli::earlier::Done;
use crate::cli::entry::{self, Entry, Line, More};
use crate::cli::glob::Glob;
use crate::cli::hash::in_shard;
use crate::cli::lines::{Lines, Next};
use crate::cli::names;
use crate::cli::plan::{Continue, List, Portion, Where};
use crate::cli::run::desk::Desk;
use crate::cli::run::job::{Asked, Dest, Dump};
use crate::cli::run::kind::Kind;
use crate::cli::run::output::in_dir;
use crate::cli::run::tell::Early;
use crate::cli::values::Shard;
use crate::fetch::{Body, Field, Profile, Request, mask};

/// A line that was put aside and is longer than this leaves nothing behind.
const LONG: usize = 64 * 1024;

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
    pub aside: Aside,
    /// The line of the entry, where it may have to wait aside.
    pub raw: Vec<u8>,
    /// Nothing more is read of the lists.
    pub ended: bool,
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
                    if !self.aside.is_empty() {
                        self.entry.url.as_bytes().clone_into(&mut self.raw);
                    }
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
                        match entry::read(line, &mut self.entry) {
                            Line::Nothing => {}
                            Line::Entry => {
                                if !self.aside.is_empty() {
                                    line.clone_into(&mut self.raw);
                                }
                                return Got::Entry;
                            }
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

    #[inline]
    pub(super) fn step(
        &mut self,
        desk: &mut Desk,
        request: &mut Request,
        n: &mut u64,
        read: &mut Option<(u64, u64)>,
        room: &Room,
    ) -> Step {
        if !self.aside.is_empty() {
            match self.aside.next(room, &desk.jobs, &mut self.raw) {
                Ok(Some(number)) => return self.take_down(desk, request, number),
                Ok(None) if self.aside.rests(room, &desk.jobs) => return Step::Rest,
                Ok(None) => {}
                Err(error) => {
                    desk.counts.unbegun += self.aside.lines();
                    self.aside = Aside::default();
                    return Step::Fatal(format!("can't read what was put aside: {error}"));
                }
            }
        }
        if self.ended {
            return if self.aside.holds() { Step::Rest } else { Step::End };
        }
        let bad = match self.read(read) {
            Got::Wait => return Step::Wait,
            Got::Fatal(message) => return Step::Fatal(message),
            Got::End => {
                self.ended = true;
                return match self.done.as_ref().and_then(|done| done.rest(*n)) {
                    Some(first) => Step::Other(format!(
                        "the results hold entry {first}, and the list ends before: this is another list (--resume-key url or id resumes by those)"
                    )),
                    None if self.aside.holds() => Step::Rest,
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
                Err(message) => return Step::Other(message),
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
        if let Some(shard) = self.shard {
            let ours = match (&bad, &parsed) {
                (None, Ok(())) => in_shard(request.url.host(), shard),
                // What is no URL has no host: the first shard reports it.
                (None, Err(_)) => shard.index == 1,
                // As its record tells, which a later run judges by that.
                (Some(_), _) => Portion { shard, rules: self.common.rules }.holds(&masked),
            };
            if !ours {
                desk.counts.elsewhere += 1;
                return Step::Dealt;
            }
        }
        let number = match self.done.as_mut().map_or(Ok(*n), |done| done.number(*n)) {
            Ok(number) => number,
            Err(message) => return Step::Fatal(message),
        };
        if !self.aside.is_empty()
            && bad.is_none()
            && parsed.is_ok()
            && self.aside.puts(room, &desk.jobs, &request.url, number, &self.raw)
        {
            return Step::Dealt;
        }
        let more = self.entry.more.take();
        let index = take(desk, &self.common, number, (&self.entry.url, &masked), more);
        if let Some(message) = bad {
            let hint = "mend the line and run again with --resume";
            desk.early(index, &Early::new(Kind::BadLine, &message, hint));
            return Step::Dealt;
        }
        if let Err(error) = parsed {
            refuse_url(desk, index, &error);
            return Step::Dealt;
        }
        self.ready(desk, request, index)
    }

    /// A line that was put aside can go on; what it is was judged when it was read.
    #[cold]
    fn take_down(&mut self, desk: &mut Desk, request: &mut Request, number: u64) -> Step {
        if entry::read(&self.raw, &mut self.entry) != Line::Entry {
            // Of a glob, which is no line.
            self.entry.url = String::from_utf8_lossy(&self.raw).into_owned();
        }
        if self.raw.capacity() > LONG {
            self.raw = Vec::new();
        }
        let parsed = request.url.set(&self.entry.url, &self.common.rules);
        let more = self.entry.more.take();
        let masked = mask(&self.entry.url);
        let index = take(desk, &self.common, number, (&self.entry.url, &masked), more);
        if let Err(error) = parsed {
            refuse_url(desk, index, &error);
            return Step::Dealt;
        }
        self.ready(desk, request, index)
    }

    /// The entry is a URL: what is asked of it, and where its body goes.
    #[inline]
    fn ready(&mut self, desk: &mut Desk, request: &mut Request, index: usize) -> Step {
        if let Some(query) = &self.common.ask.query {
            request.url.append_query(query);
        }
        let dest = self.dest(&mut desk.jobs[index].asked, request);
        if is_there(desk, index, &dest) || is_kept(desk, index, &dest) {
            return Step::Dealt;
        }
        let mut own: Option<Profile> = None;
        let base = self.common.profile_for(request.url.host());
        if let Some(more) = desk.jobs[index].asked.more.as_deref()
            && let Err(message) = personal(more, base, &mut own)
        {
            desk.early(index, &Early::new(Kind::BadLine, &message, ""));
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
        begin(desk, index, dest, request)
    }

    /// Where this entry's body goes.
    fn dest(&self, asked: &mut Asked, request: &Request) -> Dest {
        let terms = &self.common.terms;
        if matches!(terms.keep.output, Where::Name(_))
            || matches!(terms.dump, Some(Dump::Template(_)))
        {
            asked.host.push_str(&request.url.authority());
            asked.path.push_str(request.url.path());
        }
        if let Some(output) = asked.more.as_deref().and_then(|more| more.output.clone()) {
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
                if template.needs_head() {
                    return Dest::Named;
                }
                Dest::File {
                    path: in_dir(terms, &asked.name(template, "")),
                    shared: !template.is_unique(),
                    fresh: false,
                    header_name: false,
                }
            }
        }
    }
}

/// A job for an entry.
#[inline]
fn take(
    desk: &mut Desk,
    common: &Common,
    number: u64,
    (url, masked): (&str, &str),
    more: Option<Box<More>>,
) -> usize {
    let index = desk.take(&common.terms);
    let asked = &mut desk.jobs[index].asked;
    asked.n = number;
    asked.set_url(url, masked);
    asked.more = more;
    index
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
