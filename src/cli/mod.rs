//! The `gannet` command: files, terminal and command line around [`fetch`](crate::fetch).
//!
//! | module | owns |
//! |---|---|
//! | `lexer`, `args`, `values` | what was typed |
//! | `plan`, `data`, `glob` | what it means |
//! | `template`, `names` | names of files |
//! | `json`, `date`, `hash`, `writeout` | forms of output |
//! | `exit` | the exit status |

mod about;
mod args;
mod data;
mod date;
mod exit;
mod glob;
mod hash;
mod input;
mod json;
mod lexer;
mod names;
mod plan;
mod record;
mod results;
mod sink;
mod stdio;
mod template;
mod values;
mod wait;
mod writeout;
