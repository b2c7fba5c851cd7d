//! The URLs of the command line, one after another.
//!
//! Owns the pairing of URLs with their `-o`, `-O` and `-T`, lists of them (`--url @FILE`) included.
#![expect(
    clippy::indexing_slicing,
    reason = "the group of a target is one of those it was made with"
)]

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use super::upload::prepare_upload;
use super::{Common, Step, begin, go_on, is_there, refuse_url};
use crate::cli::glob::Glob;
use crate::cli::lines::{Lines, Next};
use crate::cli::names;
use crate::cli::plan::{Continue, Existing, Source, Target, Where};
use crate::cli::run::desk::Desk;
use crate::cli::run::job::{Dest, GoOn};
use crate::cli::run::kind::Kind;
use crate::cli::run::output::in_dir;
use crate::cli::run::tell::Early;
use crate::fetch::{RangeSpec, Request, mask};

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

impl TransferEntries {
    pub(super) fn step(&mut self, desk: &mut Desk, request: &mut Request, n: &mut u64) -> Step {
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
        job.asked.n = *n;
        job.asked.url_number = target.number + self.further;
        job.asked.set_url(typed, &mask(typed));
        let terms = &common.terms;
        if let Err(message) = desk.output.make_ready(&mut desk.jobs[index], terms) {
            desk.early(index, &Early::new(Kind::WriteFailed, &message, ""));
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
                let name = names::as_typed(typed, names::remote_name(request.url.path()));
                let fresh = terms.keep.header_name && terms.keep.existing != Existing::Clobber;
                Dest::File {
                    path: in_dir(terms, &name),
                    shared: false,
                    fresh,
                    header_name: terms.keep.header_name,
                }
            }
        };
        if is_there(desk, index, &dest) {
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
                desk.jobs[index].out.go_on = GoOn::At { offset, typed: true, before: None };
            }
        }
        if let Some(upload) = &target.upload {
            let profile = own.get_or_insert_with(|| (*common.profile).clone());
            if let Err((exit, message)) =
                prepare_upload(upload, profile, &mut request.url, typed, &common.rules, upload_from)
            {
                let early = Early { exit, ..Early::new(Kind::ReadFailed, &message, "") };
                desk.early(index, &early);
                return Step::Dealt;
            }
            let sent = &mut desk.jobs[index].sent;
            sent.source = Some(upload.clone());
            sent.from = upload_from.unwrap_or(0);
        }
        // Behind the name that a folder's URL has got.
        if let Some(query) = &common.ask.query {
            request.url.append_query(query);
        }
        request.profile = own.map_or_else(|| Arc::clone(&common.profile), Arc::new);
        begin(desk, index, dest, request)
    }
}
