//! What was typed, with types.
//!
//! Owns the groups of options and how clap is told of them: all for the help, and for a run no more
//! than was typed. Which options there are is in `options`, what a combination means in `plan`. Never
//! reads a file. `lexer` has brought the words into `--name=value` form before.

use std::ffi::OsString;

use clap::ArgMatches;

use super::declare::{Field, Kind, Opt, Plain};
use super::options::{
    About, Bounds, Display, Input, Network, Output, Pace, Records, Request, Retry, Time,
};

/// Everything that was typed.
#[derive(Debug)]
pub struct Args {
    #[expect(dead_code, reason = "`plan` reads them from the words, among the options")]
    pub urls: Vec<String>,
    pub input: Input,
    pub output: Output,
    pub records: Records,
    pub request: Request,
    pub pace: Pace,
    pub retry: Retry,
    pub time: Time,
    pub network: Network,
    pub bounds: Bounds,
    pub display: Display,
    pub about: About,
}

impl Args {
    const URLS: Opt = Opt {
        value_name: Some("URL"),
        long_help: Some(
            "What to fetch. {a,b}, [1-100], [001-100:10] and [a-z] stand for several URLs (see --globoff). Without a scheme it is https, or http for a loopback host (see --proto-default).",
        ),
        parser: <Vec<String> as Plain>::PARSER,
        values: Some((1, usize::MAX)),
        ..Opt::new("urls", Kind::Many, "What to fetch: URLs, with globs as `{a,b}` and `[1-9]`")
    };

    /// The headings of the help, and what stands under each.
    const GROUPS: [(&'static str, &'static [Opt]); 11] = [
        (Input::HEADING, Input::OPTIONS),
        (Output::HEADING, Output::OPTIONS),
        (Records::HEADING, Records::OPTIONS),
        (Request::HEADING, Request::OPTIONS),
        (Pace::HEADING, Pace::OPTIONS),
        (Retry::HEADING, Retry::OPTIONS),
        (Time::HEADING, Time::OPTIONS),
        (Network::HEADING, Network::OPTIONS),
        (Bounds::HEADING, Bounds::OPTIONS),
        (Display::HEADING, Display::OPTIONS),
        (About::HEADING, About::OPTIONS),
    ];

    /// Every option, with the heading under which it stands.
    pub fn options() -> impl Iterator<Item = (&'static str, &'static Opt)> {
        let under = |&(heading, options): &(_, &'static [Opt])| {
            options.iter().map(move |option| (heading, option))
        };
        Self::GROUPS.iter().flat_map(under)
    }

    /// The option of this name.
    pub fn option(name: &str) -> Option<&'static Opt> {
        Self::options().map(|(_, option)| option).find(|option| option.is_called(name))
    }

    /// All of it for clap.
    pub fn command() -> clap::Command {
        Self::command_of(|_| true)
    }

    /// No more of it than these groups of words need: a short run would spend a third of its time
    /// on the options that nobody typed.
    pub fn command_for(groups: &[Vec<OsString>]) -> clap::Command {
        let typed = |word: &OsString| {
            // The value behind a name may be of any bytes.
            let word = word.to_string_lossy();
            let name = word.strip_prefix("--")?;
            Self::option(name.split_once('=').map_or(name, |(name, _)| name))
        };
        let mut found: Vec<&Opt> = groups.iter().flatten().filter_map(typed).collect();
        let mut needed = Vec::new();
        while let Some(option) = found.pop() {
            if !needed.contains(&option.name) {
                needed.push(option.name);
                // With those that it names, and those that they name.
                found.extend(option.names_others().filter_map(Self::option));
            }
        }
        Self::command_of(|option| needed.contains(&option.name))
    }

    fn command_of(needed: impl Fn(&Opt) -> bool) -> clap::Command {
        let options = Self::options()
            .filter(|(_, option)| needed(option))
            .map(|(heading, option)| option.arg(Some(heading)));
        clap::Command::new("gannet")
            .version(env!("CARGO_PKG_VERSION"))
            .about("Fetches URLs: one as curl does, a list of millions at the pace that each server bears")
            .disable_help_flag(true)
            .disable_version_flag(true)
            .args_override_self(true)
            .max_term_width(100)
            .override_usage(
                "gannet [OPTIONS] URL...\n       gannet [OPTIONS] -i LIST\n       gannet demo [SERVER...]\n       gannet replay FILE",
            )
            .after_help(
                "All options with an example each: gannet --help all. A failure by its name: gannet --help refused",
            )
            .arg(Self::URLS.arg(None))
            .args(options)
    }

    /// Reads words, the program's name first.
    pub fn parse(
        command: &mut clap::Command,
        words: impl Iterator<Item = OsString>,
    ) -> Result<Self, clap::Error> {
        command.try_get_matches_from_mut(words).map(|mut matches| Self::take(&mut matches))
    }

    fn take(matches: &mut ArgMatches) -> Self {
        Self {
            urls: Field::take(matches, Self::URLS.name),
            input: Input::take(matches),
            output: Output::take(matches),
            records: Records::take(matches),
            request: Request::take(matches),
            pace: Pace::take(matches),
            retry: Retry::take(matches),
            time: Time::take(matches),
            network: Network::take(matches),
            bounds: Bounds::take(matches),
            display: Display::take(matches),
            about: About::take(matches),
        }
    }
}
