//! What happens at a server's end of a connection.
//!
//! Runs the steps of answers, counts connections as the server does, and speaks TLS where the
//! server does.

use super::Answer;
use super::answer::{How, Step};
use super::net::{Event, Net};
use super::request::{Found, Request};
use super::server::{Accept, Excess, Peer};
use super::wire::Down;
use crate::engine::{Cause, Fault};

impl Net {
    /// A SYN reached the server.
    pub(super) fn syn(&mut self, id: u32) {
        let Some(wire) = self.wires[id as usize].as_deref_mut() else { return };
        let server = &mut self.servers[wire.server];
        match server.accept {
            Accept::BlackHole => return,
            Accept::Refuse => return self.fail(id, Cause::Refused, 111),
            Accept::Unreachable => return self.fail(id, Cause::Unreachable, 113),
            Accept::Yes => {}
        }
        let now = self.time;
        server.unforgotten.retain(|until| *until > now);
        let counted = server.open + server.unforgotten.len() as u32;
        let excess = server.connections.filter(|&(most, _)| counted >= most);
        server.turned_away += u64::from(excess.is_some());
        if let Some((_, Excess::Refuse)) = excess {
            return self.fail(id, Cause::Refused, 111);
        }
        let mut peer = Peer::new(server, id);
        server.accepted += 1;
        match excess {
            None => {
                peer.counted = true;
                server.open += 1;
                server.peak = server.peak.max(server.open);
                if let Some(banner) = server.banner.clone() {
                    peer.steps.push_back(Step::Bytes(banner));
                }
            }
            Some((_, Excess::Unavailable)) => {
                let page = Answer::new(503).closing().encode(false);
                peer.steps.extend([Step::Bytes(page), Step::End(How::Fin)]);
            }
            Some(_) => peer.steps.push_back(Step::End(How::Reset)),
        }
        wire.peer = Some(peer);
        self.push_down(id, Down::Connected);
        self.arm_idle(id);
        self.serve_peer(id);
    }

    fn fail(&mut self, id: u32, cause: Cause, os: i32) {
        self.push_down(id, Down::Failed(Fault { cause, os }));
    }

    pub(super) fn peer(&mut self, id: u32) -> Option<&mut Peer> {
        self.wire(id)?.peer.as_mut()
    }

    pub(super) fn is_tls(&self, id: u32) -> bool {
        #[cfg(feature = "tls")]
        if let Some(Some(wire)) = self.wires.get(id as usize) {
            return self.servers[wire.server].tls.is_some();
        }
        let _ = id;
        false
    }

    /// Bytes reached the server.
    pub(super) fn peer_input(&mut self, id: u32, bytes: &[u8]) {
        let drops = self.chance(self.weather.drops_unread);
        let Some(peer) = self.peer(id) else { return };
        if peer.closed {
            // Nobody is there any more: the kernel says so.
            self.push_down(id, Down::Rst(drops));
            return;
        }
        if peer.stalled {
            return;
        }
        #[cfg(feature = "tls")]
        if peer.tls.is_some() {
            self.decrypt(id, bytes);
            return;
        }
        peer.reader.feed(bytes);
        self.serve_peer(id);
    }

    /// The client's end reached the server.
    pub(super) fn peer_fin(&mut self, id: u32) {
        let Some(wire) = self.wires[id as usize].as_deref_mut() else { return };
        let ignores = self.servers[wire.server].ignores_fin;
        let Some(peer) = &mut wire.peer else { return };
        peer.fin_seen = true;
        if !ignores && !peer.closed && !peer.stalled && peer.steps.is_empty() {
            self.end_of(id, How::Fin);
        }
    }

    /// The client's RST reached the server.
    pub(super) fn peer_gone(&mut self, id: u32) {
        self.uncount(id);
        if let Some(peer) = self.peer(id) {
            peer.closed = true;
            peer.steps.clear();
        }
    }

    fn uncount(&mut self, id: u32) {
        let Some(wire) = self.wires[id as usize].as_deref_mut() else { return };
        let Some(peer) = &mut wire.peer else { return };
        if core::mem::take(&mut peer.counted) {
            let server = &mut self.servers[wire.server];
            server.open -= 1;
            if !server.forgets_after.is_zero() {
                server.unforgotten.push(self.time + server.forgets_after);
            }
        }
    }

    /// The server ends a connection, or goes silent on it.
    pub(super) fn end_of(&mut self, id: u32, how: How) {
        let drops = self.chance(self.weather.drops_unread);
        let Some(wire) = self.wires[id as usize].as_deref_mut() else { return };
        let truncates = self.servers[wire.server].truncates;
        let Some(peer) = &mut wire.peer else { return };
        if peer.closed {
            return;
        }
        peer.steps.clear();
        peer.generation += 1;
        peer.waiting = false;
        match how {
            How::Stall => peer.stalled = true,
            How::Reset => {
                peer.closed = true;
                self.uncount(id);
                self.push_down(id, Down::Rst(drops));
            }
            How::Fin => {
                #[cfg(feature = "tls")]
                if let (Some(tls), false) = (&mut peer.tls, truncates) {
                    tls.send_close_notify();
                    self.flush_tls(id);
                }
                let _ = truncates;
                if let Some(peer) = self.peer(id)
                    && !peer.closed
                {
                    peer.closed = true;
                    self.uncount(id);
                    self.push_down(id, Down::Fin);
                }
            }
        }
    }

    /// A wait between two steps is over.
    pub(super) fn step_due(&mut self, id: u32, generation: u32) {
        let Some(peer) = self.peer(id) else { return };
        if peer.generation == generation && peer.waiting {
            peer.waiting = false;
            self.serve_peer(id);
        }
    }

    /// The server's patience with an idle connection is over.
    pub(super) fn idle_due(&mut self, id: u32, generation: u32) {
        let Some(peer) = self.peer(id) else { return };
        if peer.generation == generation && peer.steps.is_empty() && peer.reader.is_between() {
            self.end_of(id, How::Fin);
        }
    }

    fn arm_idle(&mut self, id: u32) {
        let Some(wire) = self.wires[id as usize].as_deref_mut() else { return };
        let Some(peer) = &mut wire.peer else { return };
        peer.generation += 1;
        if let Some(after) = self.servers[wire.server].idle_close {
            let event = Event::Idle(id, peer.generation);
            let at = self.time + after;
            self.at(at, event);
        }
    }

    /// Goes on with the steps of an answer, then with the next request.
    pub(super) fn serve_peer(&mut self, id: u32) {
        loop {
            let now = self.time;
            let Some(peer) = self.peer(id) else { return };
            if peer.closed || peer.stalled || peer.waiting {
                return;
            }
            if let Some(step) = peer.steps.pop_front() {
                self.step(id, step);
                continue;
            }
            let Some(found) = peer.reader.next(now) else { return };
            match found {
                Found::Begun => peer.generation += 1,
                Found::Head(request) => self.head_came(id, &request),
                Found::Whole(request) => self.answer(id, &request, false),
                Found::Broken(why) => {
                    self.ledger.violation(format!("connection {id}: {why}"));
                    self.end_of(id, How::Fin);
                }
            }
        }
    }

    fn head_came(&mut self, id: u32, request: &Request) {
        let Some(wire) = self.wires[id as usize].as_deref_mut() else { return };
        let server = &self.servers[wire.server];
        if server.early {
            self.answer(id, request, true);
        } else if server.continues && request.field("expect").is_some() {
            self.say(id, b"HTTP/1.1 100 Continue\r\n\r\n");
        }
    }

    fn answer(&mut self, id: u32, request: &Request, early: bool) {
        let Some(wire) = self.wires[id as usize].as_deref_mut() else { return };
        let server = &mut self.servers[wire.server];
        let Some(peer) = &mut wire.peer else { return };
        server.requests += 1;
        let mut answer = (server.answer)(request);
        if server.requests_a_connection.is_some_and(|most| peer.served + 1 >= most) {
            let says = server.says_close;
            answer = if says { answer.closing() } else { answer.closing_silently() };
        }
        answer.steps(request.is_head(), &mut peer.steps);
        let steps = peer.steps.clone();
        self.tale(|| {
            format!("{id}: server: {} {} -> {}", request.method, request.target, told(&steps))
        });
        let Some(peer) = self.peer(id) else { return };
        if early {
            // What was not read makes the kernel send a RST behind the answer.
            peer.steps.pop_back();
            peer.steps.push_back(Step::End(How::Reset));
        }
    }

    fn step(&mut self, id: u32, step: Step) {
        match step {
            Step::Bytes(bytes) => self.say(id, &bytes),
            Step::Wait(time) => {
                let now = self.time;
                let Some(peer) = self.peer(id) else { return };
                peer.generation += 1;
                peer.waiting = true;
                let event = Event::Step(id, peer.generation);
                self.at(now + time, event);
            }
            Step::Whole(status) => self.push_down(id, Down::Whole(status)),
            Step::End(how) => self.end_of(id, how),
            Step::Done => {
                let Some(wire) = self.wires[id as usize].as_deref_mut() else { return };
                let ignores = self.servers[wire.server].ignores_fin;
                let Some(peer) = &mut wire.peer else { return };
                peer.served += 1;
                if peer.fin_seen && !ignores {
                    self.end_of(id, How::Fin);
                } else {
                    self.arm_idle(id);
                }
            }
        }
    }

    /// The server says something: encrypted, where it speaks TLS.
    fn say(&mut self, id: u32, bytes: &[u8]) {
        #[cfg(feature = "tls")]
        if let Some(tls) = self.peer(id).and_then(|peer| peer.tls.as_mut()) {
            use std::io::Write as _;
            // rustls buffers without end here, and writing to a buffer can't fail.
            let _ = tls.writer().write_all(bytes);
            self.flush_tls(id);
            return;
        }
        self.send(id, bytes);
    }

    /// Puts bytes on the wire, in segments; stops where the connection is to be cut.
    fn send(&mut self, id: u32, bytes: &[u8]) {
        let Some(peer) = self.peer(id) else { return };
        if peer.closed || peer.stalled {
            return;
        }
        let cut = peer.cut.filter(|&(at, _)| at <= peer.sent + bytes.len() as u64);
        let count = cut.map_or(bytes.len(), |(at, _)| at.saturating_sub(peer.sent) as usize);
        peer.sent += count as u64;
        let mut rest = &bytes[..count];
        while !rest.is_empty() {
            let size = match self.weather.segment {
                Some(most) => self.random.usize(1..=most.max(1)).min(rest.len()),
                None => rest.len(),
            };
            let (segment, behind) = rest.split_at(size);
            self.push_down(id, Down::Bytes(segment.to_vec()));
            rest = behind;
        }
        if let Some((_, how)) = cut {
            // Cut just behind an answer.
            let whole = self.peer(id).is_some_and(|peer| {
                count == bytes.len() && matches!(peer.steps.front(), Some(Step::Whole(_)))
            });
            if whole {
                self.push_down(id, Down::Whole(None));
            }
            #[cfg(feature = "tls")]
            if let Some(peer) = self.peer(id) {
                // It is cut, not closed.
                peer.tls = None;
            }
            self.end_of(id, how);
        }
    }
}

/// Steps, in short.
fn told(steps: &std::collections::VecDeque<Step>) -> String {
    let told = steps.iter().map(|step| match step {
        Step::Bytes(bytes) => {
            let front = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]);
            format!("{} bytes {front:?}", bytes.len())
        }
        other => format!("{other:?}"),
    });
    told.collect::<Vec<_>>().join(", ")
}

#[cfg(feature = "tls")]
impl Net {
    fn decrypt(&mut self, id: u32, bytes: &[u8]) {
        use std::io::Read as _;
        let mut rest = bytes;
        let mut plain = Vec::new();
        let mut failed = false;
        while !rest.is_empty() && !failed {
            let Some(tls) = self.peer(id).and_then(|peer| peer.tls.as_mut()) else { return };
            if tls.read_tls(&mut rest).is_err() {
                break;
            }
            failed = tls.process_new_packets().is_err();
            // Ends with "would block".
            let _ = tls.reader().read_to_end(&mut plain);
            self.flush_tls(id);
        }
        if failed {
            self.end_of(id, How::Fin);
            return;
        }
        if !plain.is_empty() {
            self.listen(id, &plain);
        }
        if let Some(peer) = self.peer(id) {
            peer.reader.feed(&plain);
        }
        self.serve_peer(id);
    }

    fn flush_tls(&mut self, id: u32) {
        let mut out = Vec::new();
        while let Some(tls) = self.peer(id).and_then(|peer| peer.tls.as_mut())
            && tls.wants_write()
        {
            // Writing to a Vec can't fail.
            let _ = tls.write_tls(&mut out);
        }
        if !out.is_empty() {
            self.send(id, &out);
        }
    }
}
