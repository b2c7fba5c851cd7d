//! From the engine's view of hosts and addresses to C's.

use core::mem::size_of;
use std::io::Write as _;

use engine::base::Instant;
use engine::engine::{AddressStats, HostStats, Kind, Remedy};

use crate::border::str_of;
use crate::types::{gannet_address, gannet_host};

/// What is told of a host; `why` holds the sentence.
pub(crate) fn told(stats: &HostStats<'_>, now: Instant, why: &mut Vec<u8>) -> gannet_host {
    why.clear();
    // Writing to a Vec can't fail.
    let _ = write!(why, "{}", stats.explanation);
    let word = |word: Option<&'static str>| str_of(word.unwrap_or_default().as_bytes());
    let counts = &stats.counts;
    gannet_host {
        size: size_of::<gannet_host>(),
        scheme: str_of(stats.origin.scheme.name().as_bytes()),
        host: str_of(stats.origin.host.as_bytes()),
        port: stats.origin.port.into(),
        down: stats.down.into(),
        limit: stats.limit,
        connections: stats.connections,
        peak: counts.peak,
        queued: stats.queued,
        finding: word(Some(stats.explanation.name())),
        why: str_of(why),
        rate_milli: stats.pace.rate_milli.unwrap_or(0),
        closed_ms: stats.closed_until.map_or(0, |until| {
            u64::try_from((until - now).as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
        }),
        remedy: word(stats.remedy().map(Remedy::name)),
        error: word(stats.failure.map(Kind::name)),
        requests: counts.requests,
        responses: counts.responses,
        bytes: counts.bytes,
        opened: counts.connections,
        open_failures: counts.open_failures,
        fresh_resets: counts.fresh_resets,
        stale: counts.stale,
        idle_closes: counts.idle_closes,
        timeouts: counts.timeouts,
        too_many: counts.too_many,
        unavailable: counts.unavailable,
        repeats: counts.repeats,
        resumed: counts.resumed,
        failed: counts.failed,
    }
}

/// What is told of an address; `written` and `why` hold its text and the sentence.
pub(crate) fn address(
    stats: &AddressStats,
    written: &mut Vec<u8>,
    why: &mut Vec<u8>,
) -> gannet_address {
    written.clear();
    why.clear();
    // Writing to a Vec can't fail.
    let _ = write!(written, "{}", stats.address);
    let _ = write!(why, "{}", stats.explanation);
    gannet_address {
        size: size_of::<gannet_address>(),
        address: str_of(written),
        hosts: stats.origins,
        limit: stats.limit,
        connections: stats.connections,
        finding: str_of(stats.explanation.name().as_bytes()),
        why: str_of(why),
    }
}
