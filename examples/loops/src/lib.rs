//! gannet in other people's loops. Each module is one complete example.
//!
//! The loops that need no further crate are in the library's own `examples/`: mio, `poll(2)`, a
//! `Net` of one's own, and the engine alone over blocking sockets.

pub mod calloop_loop;
pub mod smoltcp_stack;
pub mod tokio_loop;

use gannet::engine::{Advice, Ctl, Handler, JobRef, Report, Resume};
use gannet::proto::{Body, Head};

/// Counts what comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Responses that are whole.
    pub whole: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Bytes of bodies.
    pub bytes: u64,
}

impl Tally {
    /// Requests that are at their end.
    pub fn done(&self) -> u64 {
        self.whole + self.failed
    }
}

impl Handler for Tally {
    fn head(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &Head<'_>, _: Body) -> Advice {
        Advice::Deliver(Resume::Never)
    }

    fn body(&mut self, _: &mut Ctl<'_>, _: JobRef, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
    }

    fn done(&mut self, _: &mut Ctl<'_>, _: JobRef, report: &Report<'_>) {
        self.whole += u64::from(report.result.is_ok());
        self.failed += u64::from(report.result.is_err());
    }
}
