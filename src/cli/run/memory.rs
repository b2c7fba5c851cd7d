//! How much may be held at once: `--max-memory`, and the bounds that hold without it.
//!
//! Owns the arithmetic between a number of bytes and the connections, lines and bodies that fit
//! into it. What the engine and the driver hold at most is their own formula
//! (`DriverConfig::most_bytes`); this divides what the user allows. Never allocates.

use crate::engine::Load;
use crate::fetch::Options;

/// The program, the trust anchors and the tables that are there before the first URL.
const PROGRAM: u64 = 12 << 20;
/// Lines read ahead, unless the user says otherwise: a list of long lines is read as far.
const LINES: u64 = 64 << 20;
/// Bodies that wait in memory for standard output, unless the user says otherwise; longer ones
/// are in an unlinked file anyway.
const BODIES: u64 = 64 << 20;
/// What one host's remembered sessions hold.
const SESSIONS: u64 = 32 << 10;
/// What a job of the command line holds beside its line, once its buffers have grown.
const JOB: u64 = 2048;

/// Bytes of what the command line itself holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Jobs read ahead.
    pub window: u32,
    /// Bytes of lines read ahead: beyond them no further line is read.
    pub lines: u64,
    /// Bytes of bodies that wait in memory: beyond them they wait in unlinked files.
    pub bodies: u64,
}

impl Bounds {
    /// Without `--max-memory`.
    pub const fn usual(window: u32) -> Self {
        Self { window, lines: LINES, bodies: BODIES }
    }
}

/// Lowers the fetcher's options until all fits into `memory` bytes. `record_body`: bytes of a body
/// that go into a record. `Err`: the least that works.
pub fn fit(
    memory: u64,
    options: &mut Options,
    window: u32,
    record_body: Option<u64>,
    warnings: &mut Vec<String>,
) -> Result<Bounds, u64> {
    let share = memory.saturating_sub(PROGRAM);
    // Remembered TLS sessions: a host's tickets with the certificates that came with them.
    options.tls.sessions = options.tls.sessions.min((share / 8 / SESSIONS) as usize);
    // A half for connections, an eighth for those, the rest for lines with their jobs and bodies.
    let (wires, lines, bodies) = (share / 2, share / 16 * 3, share / 16 * 3);
    let fitting = u32::try_from(lines / 2 / JOB).unwrap_or(u32::MAX);
    let asked = options.engine.max_connections;
    let most = |connections: u32, jobs: u32, options: &Options| {
        let mut engine = options.engine.clone();
        engine.max_connections = connections;
        engine.max_jobs = jobs.max(1);
        let load = Load { hosts: 256, name_bytes: 64, addresses: 4, request_bytes: 1024 };
        options.driver.most_bytes(&engine, &load, Some(options.tls.max_handshake_bytes)) as u64
    };
    let bodies_fit = match record_body {
        None | Some(0) => u32::MAX,
        Some(each) => u32::try_from(bodies / each).unwrap_or(u32::MAX),
    };
    // The largest number of connections whose worst case fits: the formula grows with it.
    let (mut low, mut high) = (0, asked.min(bodies_fit));
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if most(middle, window.min(fitting), options) <= wires {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    if low == 0 || fitting == 0 {
        // With little the window is narrow.
        let least = (2 * most(1, window.min(1024), options))
            .max(record_body.unwrap_or(0).saturating_mul(6))
            .max(16 * JOB);
        let least = PROGRAM.saturating_add(least);
        return Err(least.checked_next_multiple_of(1 << 20).unwrap_or(u64::MAX));
    }
    if low < asked {
        warnings.push(format!(
            "--max-memory allows {low} connections instead of {asked} (each may hold a head, a handshake and unsent bytes)"
        ));
    }
    options.engine.max_connections = low;
    Ok(Bounds { window: window.min(fitting), lines: lines / 2, bodies })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_not_begun() {
        let fitted = |memory: u64, body: Option<u64>| {
            let mut options = Options::default();
            let bounds = fit(memory, &mut options, 4096, body, &mut Vec::new());
            bounds.map(|bounds| (options.engine.max_connections, bounds))
        };
        let (all, bounds) = fitted(4 << 30, None).unwrap();
        assert_eq!((all, bounds.window), (512, 4096));
        let (few, bounds) = fitted(64 << 20, None).unwrap();
        assert!((4..200).contains(&few), "{few}");
        assert!(bounds.window < 4096 && bounds.bodies <= 16 << 20);
        // Bodies in records are held whole.
        let (fewer, _) = fitted(64 << 20, Some(4 << 20)).unwrap();
        assert_eq!(fewer, 2);
        let least = fitted(1 << 20, None).unwrap_err();
        assert!(least > 1 << 20);
        assert_eq!(fitted(least, None).map(|(connections, _)| connections >= 1), Ok(true));
        let least = fitted(16 << 20, Some(64 << 20)).unwrap_err();
        assert!(fitted(least, Some(64 << 20)).is_ok());
        assert_eq!(fitted(16 << 20, Some(u64::MAX)), Err(u64::MAX));
    }
}
