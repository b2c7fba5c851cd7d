//! What holds for all URLs of a group or a batch.
//!
//! Owns nothing that changes while a URL is under way: jobs share it.

use std::path::PathBuf;

use crate::cli::plan::{Keep, Mode, TimeCond};
use crate::cli::template::Template;
use crate::cli::writeout::Format;

/// What holds for all URLs of a group.
#[derive(Debug)]
pub struct Terms {
    pub mode: Mode,
    pub keep: Keep,
    pub accept_types: Vec<String>,
    pub reject_types: Vec<String>,
    pub time_cond: Option<TimeCond>,
    pub etag_save: Option<PathBuf>,
    /// `-I`: heads are the output.
    pub head_only: bool,
    /// What used up its time is repeated.
    pub repeats_late: bool,
    /// A transfer with `-C`: what is here is gone on with, or it fails.
    pub continues: bool,
    /// With `-I`: a body that is said to be longer is too large (`--max-filesize`).
    pub most_announced: Option<u64>,
    pub format: Option<Format>,
    /// A batch's template.
    pub template: Option<Template>,
    pub dump: Option<Dump>,
}

impl Terms {
    /// Heads are part of the output.
    pub const fn shows_heads(&self) -> bool {
        self.keep.show_headers || self.head_only
    }
}

/// Where heads go (`-D`).
#[derive(Debug)]
pub enum Dump {
    Stdout,
    Stderr,
    File(PathBuf),
    Template(Template),
}
