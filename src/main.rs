//! The `gannet` command.
#![forbid(unsafe_code)]

fn main() {}
