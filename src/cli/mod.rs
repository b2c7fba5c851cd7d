//! The `gannet` command: files, terminal and command line around [`fetch`](crate::fetch).
//!
//! | module | owns |
//! |---|---|
//! | `lexer`, `variables`, `options`, `absent`, `args`, `values`, `manual` | what was typed, and what is said of it |
//! | `plan`, `data`, `glob` | what it means |
//! | `lines`, `entry`, `backlog`, `prompt`, `wait`, `signals` | what comes in, and where it waits |
//! | `run` | the two ways to run, over the fetcher |
//! | `template`, `names`, `sink`, `stdio` | where bodies go |
//! | `record`, `results`, `earlier`, `kept`, `writeout`, `summary`, `progress` | what is said, and what an earlier run said |
//! | `json`, `date`, `hash` | forms of output |
//! | `demo`, `replay` | the other commands |
//! | `exit` | the exit status |

// A list's bytes, a server's and the user's come here: what indexes says why that can't fail.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]
#![allow(
    unreachable_pub,
    reason = "nothing here is reachable from outside; pub marks a module's face"
)]

/// Says something on standard error. That nobody can read it (its disk is full, its reader has
/// gone) changes nothing: `eprint!` would end the process.
macro_rules! say {
    ($($text:tt)*) => { $crate::cli::stdio::say(std::io::stderr(), &format!($($text)*)) };
}
/// A line of the same.
macro_rules! say_line {
    ($($text:tt)*) => { $crate::cli::stdio::say(std::io::stderr(), &(format!($($text)*) + "\n")) };
}
/// Shows something on standard output, in the same way.
macro_rules! show {
    ($($text:tt)*) => { $crate::cli::stdio::say(std::io::stdout(), &format!($($text)*)) };
}
/// A line of the same.
macro_rules! show_line {
    ($($text:tt)*) => { $crate::cli::stdio::say(std::io::stdout(), &(format!($($text)*) + "\n")) };
}

mod about;
mod absent;
mod args;
mod backlog;
mod certs;
mod data;
mod date;
mod declare;
mod demo;
mod earlier;
mod entry;
mod exit;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod glob;
mod hash;
mod json;
mod kept;
mod lexer;
mod lines;
mod lock;
mod manual;
mod names;
mod options;
mod part;
mod plan;
mod progress;
mod prompt;
#[doc(hidden)]
pub mod record;
mod replay;
mod results;
mod run;
mod secrets;
mod signals;
mod sink;
mod spool;
mod stdio;
mod strftime;
mod summary;
mod template;
mod values;
mod variables;
mod wait;
mod writeout;

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use exit::Exit;
use plan::Command;

/// Runs the command with this process's arguments.
pub fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    command(&words).into()
}

/// The first word may be a command; all else is fetched.
fn command(words: &[OsString]) -> Exit {
    match words.split_first().map(|(first, rest)| (first.to_str().unwrap_or(""), rest)) {
        Some(("demo", servers)) => demo::run(servers).unwrap_or_else(|error| usage(&error)),
        Some(("replay", [file])) if !file.as_encoded_bytes().starts_with(b"-") => {
            replay::run(Path::new(file))
        }
        Some(("replay", _)) => usage("gannet replay FILE"),
        Some(("tune", _)) => {
            usage("'tune' is planned for a later version of gannet and does not exist yet")
        }
        Some((demo::NAIVE, rest)) => demo::naive(rest),
        _ => fetch(words),
    }
}

fn fetch(words: &[OsString]) -> Exit {
    let first = words.first().and_then(|word| word.to_str()).unwrap_or("");
    // -q counts only as the first option, in a bundle too, as curl has it.
    let unread = first == "--disable" || (first.starts_with("-q") && !first.starts_with("--"));
    let config = if unread { None } else { lexer::default_config(|name| std::env::var_os(name)) };
    let words = match lexer::lex(words, config.as_deref()) {
        Ok(words) => words,
        Err(error) => return refused(&error),
    };
    if let Some(file) = &words.stderr
        && let Err(error) = stdio::stderr_to(file)
    {
        let text = format!("--stderr: can't write to {}: {error}", file.display());
        return refused(&plan::Usage { text, exit: Exit::WRITE });
    }
    match plan::plan(&words.groups, words.warnings) {
        Ok(Command::Print(text)) => match stdio::Stdout.write_all(text.as_bytes()) {
            Ok(()) => Exit::SUCCESS,
            Err(_) => Exit::WRITE,
        },
        Ok(Command::Run(plan)) => run::run(*plan),
        Err(error) => refused(&error),
    }
}

/// What can't be carried out; where curl has a number for it, that.
fn refused(error: &plan::Usage) -> Exit {
    if error.exit == Exit::USAGE {
        return usage(&error.text);
    }
    say_line!("gannet: ({}) {}", error.exit.code(), stdio::safe(&error.text));
    error.exit
}

fn usage(message: &str) -> Exit {
    say_line!("gannet: {}", stdio::safe(message));
    say_line!("gannet: 'gannet --help' shows what there is");
    Exit::USAGE
}
