//! One simulated connection: the client's socket, both directions of the way, the server's end.
//!
//! Owns what is in flight and the exact state of the edges: an edge is told once, and again only
//! after a call found nothing more (or took everything and said so).

use std::collections::VecDeque;

use super::request::Reader;
use super::server::Peer;
use crate::base::Instant;
use crate::engine::Fault;

/// What is on its way to the server.
#[derive(Debug)]
pub(super) enum Up {
    Syn,
    Bytes(Vec<u8>),
    Fin,
    Rst,
}

/// What is on its way to the client.
#[derive(Debug)]
pub(super) enum Down {
    Connected,
    Failed(Fault),
    Bytes(Vec<u8>),
    /// A whole answer ends here; of this status, if it is one that counts.
    Whole(Option<u16>),
    Fin,
    /// With `true`, what was not read is lost.
    Rst(bool),
}

/// How far connecting is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Connect {
    UnderWay,
    Established,
    Failed(Fault),
}

/// The server's end, as it arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    Fin,
    Rst,
    /// A reset of which the client was told: from then on it is an end like any other.
    RstTold,
}

/// One connection.
pub(super) struct Wire {
    pub(super) server: usize,
    /// The client's socket, until it closes it.
    pub(super) token: Option<usize>,
    pub(super) connect: Connect,
    pub(super) inbox: VecDeque<u8>,
    /// Bytes that arrived, and bytes that were read.
    pub(super) arrived: u64,
    pub(super) read: u64,
    /// Ends of whole answers, by position.
    pub(super) marks: VecDeque<(u64, Option<u16>)>,
    /// The last of them that was read; what was read behind it belongs to no whole answer.
    pub(super) whole: u64,
    pub(super) end: Option<End>,
    /// An edge told of an end or an error: a short read means nothing any more.
    pub(super) end_told: bool,
    /// A further edge may be told.
    pub(super) read_armed: bool,
    pub(super) write_armed: bool,
    /// Edges to be told by the next wait.
    pub(super) readable: bool,
    pub(super) writable: bool,
    pub(super) queued: bool,
    /// The client sent its end.
    pub(super) finished: bool,
    pub(super) up: VecDeque<(Instant, Up)>,
    pub(super) up_bytes: usize,
    /// What the client says, as a listener on the wire sees it.
    pub(super) tap: Reader,
    /// The request that is being answered, in the ledger.
    pub(super) asked: Option<usize>,
    pub(super) peer: Option<Peer>,
    pub(super) down: VecDeque<(Instant, Down)>,
    pub(super) down_last: Instant,
}

impl Wire {
    pub(super) fn new(server: usize, token: usize, id: u32) -> Self {
        Self {
            server,
            token: Some(token),
            connect: Connect::UnderWay,
            inbox: VecDeque::new(),
            arrived: 0,
            read: 0,
            marks: VecDeque::new(),
            whole: 0,
            end: None,
            end_told: false,
            read_armed: true,
            write_armed: true,
            readable: false,
            writable: false,
            queued: false,
            finished: false,
            up: VecDeque::new(),
            up_bytes: 0,
            tap: Reader::new(id),
            asked: None,
            peer: None,
            down: VecDeque::new(),
            down_last: Instant::ZERO,
        }
    }

    /// Something changed: an edge is due, for each direction that is armed.
    pub(super) fn edge(&mut self, readable: bool, writable: bool) {
        if readable && core::mem::take(&mut self.read_armed) {
            self.readable = true;
        }
        if writable && core::mem::take(&mut self.write_armed) {
            self.writable = true;
        }
    }

    /// Moves what has arrived into the socket, as far as the window allows. Returns whether the
    /// client's kernel has to answer with a RST, because its socket is gone.
    pub(super) fn arrive(&mut self, now: Instant, window: usize) -> bool {
        let mut refused = false;
        while let Some((at, piece)) = self.down.front() {
            if *at > now {
                break;
            }
            if self.token.is_none() {
                refused |= !matches!(piece, Down::Rst(_) | Down::Failed(_));
                self.down.pop_front();
                continue;
            }
            if matches!(piece, Down::Bytes(_)) && self.inbox.len() >= window {
                // A RST does not wait for room; what is before it is lost.
                let rst = self
                    .down
                    .iter()
                    .take_while(|(at, _)| *at <= now)
                    .position(|(_, piece)| matches!(piece, Down::Rst(_)));
                let Some(rst) = rst else { break };
                self.down.drain(..rst);
                continue;
            }
            let Some((_, piece)) = self.down.pop_front() else { break };
            match piece {
                Down::Connected => {
                    self.connect = Connect::Established;
                    self.edge(false, true);
                }
                Down::Failed(fault) => {
                    self.connect = Connect::Failed(fault);
                    self.edge(true, true);
                }
                Down::Bytes(bytes) => {
                    self.arrived += bytes.len() as u64;
                    self.inbox.extend(bytes);
                    self.edge(true, false);
                }
                Down::Whole(status) => self.marks.push_back((self.arrived, status)),
                Down::Fin => {
                    self.end = Some(End::Fin);
                    self.edge(true, false);
                }
                Down::Rst(drops) => {
                    if drops {
                        self.inbox.clear();
                        self.marks.clear();
                    }
                    self.end = Some(End::Rst);
                    self.edge(true, true);
                }
            }
        }
        refused
    }
}
