//! gannet in other people's loops. Each module is one complete example.
//!
//! The loops that need no further crate are in the library's own `examples/`: mio, `poll(2)`, a
//! `Net` of one's own, and the engine alone over blocking sockets.

pub mod calloop_loop;
pub mod smoltcp_stack;
pub mod tokio_loop;

#[path = "../../tally/mod.rs"]
pub mod tally;
pub use tally::{Record, Tally};
