//! What goes out on a connection: a request's head, then its body, piece by piece.
//!
//! The sending half of an exchange, which runs beside the receiving one: an answer may come before
//! the request is out. Owns what is sent next and what was taken by the peer: the framing of a
//! streamed body (RFC 9112 section 7.1), the wait for `100 Continue` (RFC 9110 section 10.1.1).
//! Bytes are the driver's as soon as they are handed out; whether what was sent may be sent again is
//! `retry`'s.
#![expect(
    clippy::indexing_slicing,
    reason = "an exchange's job lives until `finish`, which ends the exchange"
)]

use alloc::vec::Vec;

use super::conn::{ConnKey, Sending};
use super::draft::Draft;
use super::handler::{Ctl, Handler, JobRef, Upload};
use super::job::Payload;
use super::{Action, Engine, Failing, Kind, resume};
use crate::base::Instant;
use crate::proto;

impl Engine {
    /// Appends what is to be sent next on this connection to `out`; nothing when nothing is.
    /// The driver reports with [`wrote`](Self::wrote) what the peer took, and keeps the rest.
    pub fn outgoing(
        &mut self,
        key: ConnKey,
        out: &mut Vec<u8>,
        now: Instant,
        handler: &mut dyn Handler,
    ) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        let Some(exchange) = conn.exchange_mut() else { return };
        let before = out.len();
        let job = &mut self.jobs[exchange.job];
        let begins = exchange.sending == Sending::Unsent;
        let start = match exchange.sending {
            Sending::Unsent => {
                let from = out.len();
                resume::ask(job, out);
                let attempt = job.attempts.max(1);
                let job_ref = JobRef { key: exchange.job, tag: job.tag };
                handler.prepare(job_ref, &mut Draft::new(out, from, attempt));
                proto::end_head(out);
                let waits = job.expect_continue.is_some();
                if matches!(job.payload, Payload::None) || waits {
                    let ended = matches!(job.payload, Payload::None);
                    exchange.sending =
                        Sending::Flushing { next: 0, any: false, ended, progress: now };
                    return;
                }
                0
            }
            Sending::Flushing { next, ended: false, .. } => next,
            _ => return,
        };
        let most = (self.config.send_bytes as usize).max(1);
        let any = exchange.sending.any();
        let job_ref = JobRef { key: exchange.job, tag: job.tag };
        let mut ctl = Ctl { intake: &mut self.intake };
        let (next, ended) = match &job.payload {
            Payload::None => (start, true),
            Payload::Bytes(bytes) => {
                let rest = usize::try_from(start).ok().and_then(|start| bytes.get(start..));
                let rest = rest.unwrap_or_default();
                let piece = rest.get(..most).unwrap_or(rest);
                out.extend_from_slice(piece);
                (start + piece.len() as u64, piece.len() == rest.len())
            }
            Payload::Stream { length, .. } => {
                let left = length.map_or(u64::MAX, |length| length - start);
                let room = usize::try_from(left).map_or(most, |left| left.min(most));
                let chunked = length.is_none();
                let piece = stream_piece(handler, &mut ctl, job_ref, start, out, room, chunked);
                let next = start + piece.bytes as u64;
                let complete = length.is_some_and(|length| next == length);
                let failed = match piece.then {
                    Upload::Failed => true,
                    Upload::End => length.is_some() && !complete,
                    Upload::More | Upload::Pending => false,
                };
                match piece.then {
                    // Or a source that gives more than there is room for: what was too much would be lost.
                    _ if failed || piece.bytes > room => {
                        let failing = Failing::new(Kind::ReadFailed);
                        // Nothing of it goes out any more, its head included.
                        out.truncate(before);
                        self.fail_exchange(key, failing, now, handler);
                        return;
                    }
                    // With the head in hand there is something to send; it is asked again behind it.
                    Upload::Pending if piece.bytes == 0 && !begins && !complete => {
                        exchange.sending = Sending::Starved { next };
                        return;
                    }
                    then => (next, then == Upload::End || complete),
                }
            }
        };
        exchange.sending = Sending::Flushing { next, any, ended, progress: now };
    }

    /// The peer took `bytes` of what [`outgoing`](Self::outgoing) gave; `flushed`: all of it by now.
    /// Where a body goes on, [`Action::Transmit`] comes again then.
    pub fn wrote(&mut self, key: ConnKey, bytes: usize, flushed: bool, now: Instant) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        let Some(exchange) = conn.exchange_mut() else { return };
        let Sending::Flushing { next, any, ended, .. } = exchange.sending else { return };
        let any = any || bytes > 0;
        exchange.window.bytes += bytes as u64;
        exchange.sending = if !flushed {
            Sending::Flushing { next, any, ended, progress: now }
        } else if ended {
            Sending::Sent { at: now }
        } else {
            let waits = self.jobs[exchange.job].expect_continue;
            match waits.filter(|_| next == 0 && exchange.first_byte.is_none()) {
                Some(wait) => Sending::Expecting { until: now.after(wait) },
                None => {
                    self.actions.push_back(Action::Transmit(key));
                    Sending::Flushing { next, any, ended, progress: now }
                }
            }
        };
        self.arm(key);
    }
}

/// A piece of a streamed request body.
struct Piece {
    bytes: usize,
    then: Upload,
}

/// Asks the handler for a piece and frames it.
fn stream_piece(
    handler: &mut dyn Handler,
    ctl: &mut Ctl<'_>,
    job: JobRef,
    at: u64,
    out: &mut Vec<u8>,
    room: usize,
    chunked: bool,
) -> Piece {
    if !chunked {
        let before = out.len();
        let then = handler.upload(ctl, job, at, out, room);
        return Piece { bytes: out.len() - before, then };
    }
    let mut piece = Vec::new();
    let then = handler.upload(ctl, job, at, &mut piece, room);
    if let Some(length) = core::num::NonZeroU64::new(piece.len() as u64) {
        proto::encode_chunk_start(out, length);
        out.extend_from_slice(&piece);
        proto::encode_chunk_end(out);
    }
    if then == Upload::End {
        proto::encode_last_chunk(out);
    }
    Piece { bytes: piece.len(), then }
}
