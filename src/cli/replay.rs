//! `gannet replay FILE`: recorded wire bytes through the parser, step by step.

use std::io::Write;
use std::path::Path;

use super::exit::Exit;
use super::stdio::Stdout;
use crate::engine::Kind;
use crate::fetch::ErrorKind;
use crate::proto::{Limits, replay};

/// Runs a record, or bare bytes, and prints what was seen. Ends as a transfer of such an answer would: with
/// curl's code for what the parser refused first. A record that is damaged can't be used.
pub fn run(path: &Path) -> Exit {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            say_line!("gannet: can't read {}: {error}", path.display());
            return Exit::USAGE;
        }
    };
    let mut text = Vec::new();
    let mut closed = false;
    let mut print = |text: &mut Vec<u8>, all: bool| {
        if !closed && (all || text.len() > 1 << 16) {
            // Whoever reads may have seen enough.
            closed = Stdout.write_all(text).is_err();
            text.clear();
        }
    };
    let outcome = replay::replay(&bytes, &Limits::default(), &mut |step| {
        let _ = writeln!(text, "{step}");
        print(&mut text, false);
    });
    let _ = write!(
        text,
        "{} whole {}",
        outcome.answers,
        if outcome.answers == 1 { "answer" } else { "answers" }
    );
    let _ = write!(text, ", {} bytes of content", outcome.content);
    if outcome.surplus > 0 {
        let _ = write!(text, ", {} bytes that nobody asked for", outcome.surplus);
    }
    if let Some(error) = outcome.error {
        let _ = write!(text, "; refused: {error} ({})", error.name());
    }
    if outcome.damaged {
        let _ = write!(text, "; the record is damaged");
    }
    text.push(b'\n');
    print(&mut text, true);
    match outcome.error {
        Some(error) => Exit::curl(ErrorKind::Engine(Kind::Malformed(error)).exit().code()),
        None if outcome.damaged => Exit::USAGE,
        None => Exit::SUCCESS,
    }
}
