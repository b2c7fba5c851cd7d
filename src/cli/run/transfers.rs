//! Transfers: the URLs of the command line, in groups (`--next`), each with its own options.
//!
//! Owns what passes from one group to the next: connections, numbers, counts, the exit code. Its
//! exit codes are curl's.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Instant;

use super::drive::{Bounds, drive};
use super::feed::{Common, Feed, TransferEntries};
use super::memory;
use super::setup::{self, Refusal};
use super::watch::{Interest, Shared as Watch};
use super::{Setting, close, look_on};
use crate::cli::certs;
use crate::cli::exit::{BatchEnd, Exit};
use crate::cli::plan::{Engine, Group, Hosts, Mode, Transfers, Where};
use crate::cli::progress::Progress;
use crate::cli::results::Results;
use crate::cli::stdio;
use crate::cli::summary::Counts;
use crate::cli::values::When;
use crate::fetch::Fetcher;

/// Fetches the URLs that were typed.
pub fn run(transfers: Transfers, setting: &mut Setting) -> Result<Exit, Refusal> {
    let Transfers { groups, parallel, fail_early } = transfers;
    let usage = |message: String| Refusal { exit: Exit::USAGE, message };
    let fsync = groups.iter().any(|group| group.keep.fsync);
    let mut results = Results::open(&setting.records, false, fsync).map_err(usage)?;
    let mut exit = 0;
    let mut counts = Counts::default();
    let mut number = 0;
    let mut further = 0;
    let mut transfers_done = 0;
    let mut signal = None;
    let mut last: Option<(Engine, Fetcher, memory::Bounds)> = None;
    // One for all groups: a later one may use the connections of those before it, and no two
    // connections of a run have the same number.
    let watched = groups
        .iter()
        .any(|group| group.engine.record_wire.is_some() || group.keep.write_out.is_some())
        || (groups.len() > 1 && results.is_some());
    let asks = |group: &Group| group.keep.write_out.as_deref().is_some_and(certs::are_asked_for);
    let interest =
        Interest { lines: setting.display.verbose, certificates: groups.iter().any(asks) };
    let watch = (watched || setting.display.verbose).then(|| Watch::new(interest));
    let mut groups = groups.into_iter().peekable();
    while let Some(group) = groups.next() {
        // Groups that connect in the same way share connections, and with -Z their time.
        let Group { targets, mut ask, keep, engine } = group;
        ask.profile.attempts = Some(engine.attempts);
        let (mut fetcher, held) = match last.take() {
            Some((earlier, mut fetcher, held)) if earlier.connects_like(&engine) => {
                // What there is to warn of was said for the first of them.
                let said = &mut Vec::new();
                fetcher.set_rules(&setup::options(&engine, ask.netrc.as_ref(), 4096, true, said)?);
                (fetcher, held)
            }
            _ => {
                let warnings = &mut setting.warnings;
                let mut options =
                    setup::options(&engine, ask.netrc.as_ref(), 4096, true, warnings)?;
                let held = setting.held(&engine, &mut options, 4096)?;
                let mut fetcher = Fetcher::new(options)?;
                if let Some(watch) = &watch {
                    look_on(&mut fetcher, watch, &engine)?;
                }
                (fetcher, held)
            }
        };
        setting.warn();
        let mut desk = setting.desk(&keep, &engine, results.take(), held, Mode::Transfers);
        desk.counts = counts;
        desk.transfers = transfers_done;
        desk.last_exit = exit;
        desk.watch.clone_from(&watch);
        let netrc = ask.netrc.clone();
        let first = Common::new(ask, keep, Hosts::All, Mode::Transfers).map_err(usage)?;
        for unknown in first.terms.format.iter().flat_map(|format| &format.unknown) {
            setting.warnings.push(format!("unknown variable in -w: '{unknown}'"));
        }
        let mut commons = vec![Rc::new(first)];
        // A line among the bodies on a terminal helps nobody.
        let quiet = setting.display.verbose
            || setting.display.progress == When::Auto
                && stdio::stdout_is_terminal()
                && targets.iter().any(|target| target.output == Where::Stdout);
        let mut all: VecDeque<_> = targets.into_iter().map(|target| (0, target)).collect();
        while parallel
            && let Some(next) =
                groups.next_if(|next| next.engine == engine && next.ask.netrc == netrc)
        {
            let at = commons.len();
            let mut next = next;
            next.ask.profile.attempts = Some(next.engine.attempts);
            all.extend(next.targets.into_iter().map(|target| (at, target)));
            commons.push(Rc::new(
                Common::new(next.ask, next.keep, Hosts::All, Mode::Transfers).map_err(usage)?,
            ));
        }
        setting.warn();
        let entries =
            TransferEntries { commons, targets: all, glob: None, lines: None, parallel, further };
        let mut feed = Feed::transfers(entries);
        feed.n = number;
        let mut progress = Progress::new(
            if quiet { When::Never } else { setting.display.progress },
            setting.display.meter,
            Instant::now(),
        );
        desk.above = progress.above();
        let bounds = Bounds {
            alone: !parallel,
            fail_early,
            window: held.window as usize,
            ..Bounds::default()
        };
        let ended =
            drive(&mut fetcher, &mut feed, &mut desk, &mut progress, &setting.signals, bounds);
        progress.clear();
        if let Some(message) = &ended.usage {
            desk.last_exit = 26;
            if setting.display.errors {
                say_line!("gannet: {}", stdio::safe(message));
            }
        }
        number = feed.n;
        further = feed.further();
        exit = desk.last_exit;
        signal = ended.signal;
        let stop = ended.why.is_some();
        if groups.peek().is_none() || stop {
            desk.last_exit = exit;
            let end = BatchEnd::default();
            let closed = close(setting, &mut desk, &fetcher, progress, &ended, end);
            if closed != Exit::SUCCESS && exit == 0 {
                exit = closed.code();
            }
            break;
        }
        counts = std::mem::take(&mut desk.counts);
        transfers_done = desk.transfers;
        setting.proxies = desk.proxies.take();
        results = desk.results.take();
        last = Some((engine, fetcher, held));
    }
    Ok(match signal {
        Some(number) => Exit::signal(number),
        None => Exit::curl(exit),
    })
}
