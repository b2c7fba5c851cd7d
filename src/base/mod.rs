//! The ground floor: time as a number, generational keys, exact timers.
//!
//! Owns no protocol and no socket, and reads no clock: time comes in as a value.
//! Everything here is `no_std` + alloc.

mod arena;
mod time;
mod timers;

pub use arena::{Arena, Key};
pub use time::Instant;
pub use timers::Timers;
