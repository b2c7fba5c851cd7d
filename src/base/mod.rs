//! The ground floor: time as a number, generational keys, exact timers, keyed hashes, lists, fractions and roots in integers.
//!
//! Owns no protocol and no socket, and reads no clock: time comes in as a value.
//! Everything here is `no_std` + alloc.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::string_slice, clippy::cast_possible_truncation)
)]

mod address;
mod arena;
mod hash;
mod index;
mod list;
mod name;
mod number;
mod ratio;
#[cfg(any(feature = "dns", feature = "tls", feature = "demo", test))]
mod sort;
mod time;
mod timers;

pub(crate) use address::push_address;
pub(crate) use arena::dead;
pub use arena::{Arena, Key};
#[cfg(feature = "dns")]
pub(crate) use hash::Map;
pub use hash::{Seeded, SeededHasher};
pub(crate) use index::Index;
pub use list::{Linked, Links, List};
pub(crate) use name::{is_named, is_same};
#[cfg(any(feature = "fetch", feature = "demo"))]
pub(crate) use number::decimal;
pub(crate) use number::{Number, push_digits};
pub(crate) use ratio::{mul_div, root};
#[cfg(any(feature = "dns", feature = "tls", feature = "demo", test))]
pub(crate) use sort::sort_by_key;
pub use time::Instant;
pub(crate) use time::nanos;
pub use timers::Timers;
