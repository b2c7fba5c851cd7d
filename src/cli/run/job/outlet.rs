//! Where a body goes: what was decided before the answer came, and what is open now.
//!
//! Owns the states of that way and what is left behind on it. What is opened, written and closed is
//! [`Output`](crate::cli::run::output::Output)'s to do.

use std::path::PathBuf;

use crate::cli::part::Leftover;
use crate::cli::sink::FileSink;
use crate::cli::spool::Spool;

/// The way of a body.
#[derive(Debug, Default)]
pub struct Outlet {
    pub dest: Dest,
    pub sink: Sink,
    pub go_on: GoOn,
    /// The name that the record tells.
    pub output: Option<String>,
    /// Bytes that have left for an output that can't be taken back.
    pub poured: u64,
}

/// Where a body is to go.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Dest {
    /// Nowhere.
    #[default]
    Nowhere,
    /// Straight to standard output.
    Stdout,
    /// To standard output, whole.
    Whole,
    /// To this file.
    File {
        path: PathBuf,
        /// Other URLs may come to the same name.
        shared: bool,
        /// It must not be there.
        fresh: bool,
        /// The server may give another name, in this folder.
        header_name: bool,
    },
    /// To a file whose name is known with the head.
    Named,
}

/// Where a body goes now.
#[derive(Debug, Default)]
pub enum Sink {
    /// Nowhere: there was no head yet, or nobody wants it.
    #[default]
    None,
    Stdout,
    Whole(Spool),
    File(Box<FileSink>),
    /// What came for a part file counts no more, but whether it is given up is seen with the next
    /// head: an error must not cost what is here. One of an earlier run may never have been opened.
    Waiting(Option<Box<FileSink>>),
}

/// How a file that is there goes on.
#[derive(Debug, Default)]
pub enum GoOn {
    /// From the start.
    #[default]
    No,
    /// A part of an earlier run, by its validator.
    Part(Leftover),
    /// At the end of what has its final name, as curl; asked for from an offset on.
    At {
        offset: u64,
        /// The offset was typed, and is where each attempt begins: what an earlier one brought is
        /// taken back before the next, as by curl.
        typed: bool,
        /// How long the file was before anything of this run came to it, once that is known.
        before: Option<u64>,
    },
}

impl Outlet {
    /// A part waits for the next head.
    pub const fn part_waits(&self) -> bool {
        matches!(self.sink, Sink::Waiting(_))
    }

    /// What came counts no more. A part waits for the next head now; anything else is the caller's
    /// to void.
    pub fn begin_again(&mut self) -> Sink {
        self.output = None;
        let continued = matches!(self.go_on, GoOn::Part(_));
        // What had its final name before is still asked to go on at its end.
        if continued {
            self.go_on = GoOn::No;
        }
        match std::mem::take(&mut self.sink) {
            Sink::File(part) if part.appended().is_none() => self.sink = Sink::Waiting(Some(part)),
            Sink::Waiting(part) => self.sink = Sink::Waiting(part),
            Sink::None if continued => self.sink = Sink::Waiting(None),
            other => return other,
        }
        Sink::None
    }
}
