//! What is asked of all entries, ready for the fetcher.
//!
//! Owns the profile of a group or a batch: the conditions of `-z` and `--etag-compare`, templates and
//! formats that were parsed once. Reads the file of an ETag, and never an entry.

use std::rc::Rc;
use std::sync::Arc;

use crate::cli::date;
use crate::cli::plan::{Ask, Continue, Hosts, Keep, Mode, Where};
use crate::cli::run::job::{Dump, Terms};
use crate::cli::template::Template;
use crate::cli::writeout::Format;
use crate::fetch::{Field, Profile, UrlRules};

/// What is asked of all entries, ready for the fetcher.
#[derive(Debug)]
pub struct Common {
    pub ask: Ask,
    pub terms: Rc<Terms>,
    pub profile: Arc<Profile>,
    /// The same without credentials, for hosts that may not have them.
    bare: Arc<Profile>,
    auth_hosts: Hosts,
    pub(super) rules: UrlRules,
}

impl Common {
    /// Of a group's or a batch's options.
    pub fn new(ask: Ask, keep: Keep, auth_hosts: Hosts, mode: Mode) -> Result<Self, String> {
        let batch = mode == Mode::Batch;
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
            mode,
            accept_types: ask.accept_types.clone(),
            reject_types: ask.reject_types.clone(),
            time_cond: ask.time_cond.clone(),
            etag_save: ask.etag_save.clone(),
            head_only: profile.head && !batch,
            repeats_late: ask.repeats_late,
            continues: ask.resume != Continue::No && !batch,
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

    pub(super) fn profile_for(&self, host: &str) -> &Arc<Profile> {
        match &self.auth_hosts {
            Hosts::All => &self.profile,
            Hosts::These(hosts) if hosts.iter().any(|one| one == host) => &self.profile,
            Hosts::These(_) => &self.bare,
        }
    }
}
