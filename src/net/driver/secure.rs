//! TLS between the pump and a link's socket.
//!
//! Owns how a session begins, what is encrypted and decrypted on the way, and the part of a record
//! that is held until the rest of it comes. What a handshake proves is decided in [`crate::tls`].

use super::super::bounds::RECORD;
use super::super::link::{Finishing, Link, Tls};
use super::super::tap::{Tapped, What};
use super::{Driver, Pumped};
use crate::base::Instant;
use crate::engine::{ConnKey, Handler, Loss, TlsInfo};
use crate::net::Net;
use crate::proto::wire::End;

/// What connections over TLS begin with.
pub(super) enum Trust {
    None,
    /// Made when it is first needed.
    Later(Box<dyn FnOnce() -> Result<crate::tls::Config, crate::tls::ConfigError> + Send>),
    Made(crate::tls::Config),
    Refused(crate::tls::ConfigError),
}

impl<N: Net> Driver<N> {
    /// Whether its handshake is under way.
    pub(super) fn is_securing(link: &Link) -> bool {
        link.tls.as_ref().is_some_and(|tls| !tls.secured)
    }

    /// Begins the handshake.
    pub(super) fn secure(&mut self, key: ConnKey, handler: &mut dyn Handler) {
        let Some(host) = self.engine.host_of(key) else { return };
        let name = self.engine.origin(host).host;
        if let Trust::Later(_) = &self.tls
            && let Trust::Later(make) = core::mem::replace(&mut self.tls, Trust::None)
        {
            self.tls = match make() {
                Ok(config) => Trust::Made(config),
                Err(error) => Trust::Refused(error),
            };
        }
        let begun = match &self.tls {
            Trust::None | Trust::Later(_) => {
                Err(("tls_unavailable", "no TLS configuration was given".into(), None))
            }
            Trust::Refused(error) => Err((error.name(), error.to_string(), None)),
            Trust::Made(config) => crate::tls::Session::new(config, name)
                .and_then(|mut session| {
                    let mut hello = Vec::new();
                    session.start(&mut hello).map(|()| (session, hello))
                })
                .map_err(|error| (error.name(), error.to_string(), error.hint())),
        };
        match begun {
            Ok((session, hello)) => {
                let Some(link) = self.link(key) else { return };
                link.unsent = hello;
                link.tls =
                    Some(Tls { session, partial: Vec::new(), secured: false, closed: false });
                self.pump(key, handler);
            }
            Err((name, detail, hint)) => {
                let loss = Loss::Tls { name, detail: &detail, hint, is_final: true };
                self.engine.lost(key, loss, self.now, handler);
            }
        }
    }

    /// Our end, as TLS says it.
    pub(super) fn farewell(link: &mut Link) {
        if let Some(tls) = &mut link.tls {
            let mut farewell = Vec::new();
            tls.session.close(&mut farewell);
            link.unsent.extend_from_slice(&farewell);
        }
    }

    /// The peer's end where TLS has a say in it; `false`: there is none here.
    pub(super) fn end_secured(&mut self, key: ConnKey, handler: &mut dyn Handler) -> bool {
        let now = self.now;
        let Some(link) = self.link(key) else { return false };
        if let Some(tls) = &link.tls {
            let clean = tls.closed;
            let how = if clean { End::Eof } else { End::Truncated };
            // In a handshake, only the engine's own kind tells that it was cut; TLS has
            // something to add only when the server did not speak TLS at all.
            let said = if tls.secured { None } else { tls.session.end_of_input() };
            if let Some(error) = said.filter(crate::tls::Error::is_final) {
                self.lost_to_tls(key, &error, now, handler);
            } else {
                self.tap(key, What::End(how));
                self.engine.ended(key, clean, now, handler);
            }
            return true;
        }
        false
    }

    /// Shows whoever looks on what the server showed.
    fn tap_certificates(&mut self, key: ConnKey) {
        let Some(tap) = &mut self.tap else { return };
        if let Some(Some(Link { tls: Some(tls), serial, .. })) = self.links.get(key.index()) {
            let chain: Vec<&[u8]> = tls.session.certificates().collect();
            tap(&Tapped { conn: *serial, at: self.now, what: What::Certificates(&chain) });
        }
    }

    /// TLS ended a connection.
    fn lost_to_tls(
        &mut self,
        key: ConnKey,
        error: &crate::tls::Error,
        now: Instant,
        handler: &mut dyn Handler,
    ) {
        let detail = error.to_string();
        let (name, hint, is_final) = (error.name(), error.hint(), error.is_final());
        self.engine.lost(key, Loss::Tls { name, detail: &detail, hint, is_final }, now, handler);
    }

    /// Whether what is unsent, TLS's own, can leave together with the request that is next: the
    /// end of a handshake is no packet of its own then, nor a system call.
    pub(super) fn goes_along(link: &Link) -> bool {
        let established = link.tls.as_ref().is_some_and(|tls| tls.secured);
        let alone = link.transmit && link.finishing == Finishing::No;
        established && alone && !link.unsent_request && link.unsent_at == 0
    }

    /// Sends what was just made, encrypted where the link has TLS, behind what is unsent of TLS's own.
    pub(super) fn send(&mut self, key: ConnKey, plain: &[u8], handler: &mut dyn Handler) -> Pumped {
        let now = self.now;
        let mut cipher = core::mem::take(&mut self.cipher);
        let Some(link) = self.link(key) else { return Pumped::Gone };
        let pumped = match &mut link.tls {
            None => self.write_fresh(key, plain, (0, plain.len()), handler),
            Some(tls) => {
                cipher.clear();
                cipher.append(&mut core::mem::take(&mut link.unsent));
                let own = cipher.len();
                match tls.session.send(plain, &mut cipher) {
                    Ok(_) => self.write_fresh(key, &cipher, (own, plain.len()), handler),
                    Err(error) => {
                        self.lost_to_tls(key, &error, now, handler);
                        Pumped::Gone
                    }
                }
            }
        };
        self.cipher = cipher;
        pumped
    }

    /// Moves the part of a record that is held into the read buffer, from `from` on.
    pub(super) fn unpark(&mut self, key: ConnKey, buffer: &mut Vec<u8>, from: usize) -> usize {
        let Some(Some(link)) = self.links.get_mut(key.index()) else { return 0 };
        let Some(tls) = &mut link.tls else { return 0 };
        let held = tls.partial.len();
        if held == 0 {
            return 0;
        }
        // Room for a whole record more, whatever the buffer's size is.
        if buffer.len() < from + held + RECORD {
            buffer.resize(from + held + RECORD, 0);
        }
        debug_assert!(buffer.len() <= self.config.read_buffer + 2 * RECORD, "as most_bytes says");
        if let Some(front) = buffer.get_mut(from..from + held) {
            front.copy_from_slice(&tls.partial);
        }
        tls.partial = Vec::new();
        held
    }

    /// Keeps the part of a record for the next read.
    pub(super) fn park(&mut self, key: ConnKey, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if let Some(Some(Link { tls: Some(tls), .. })) = self.links.get_mut(key.index()) {
            tls.partial.extend_from_slice(bytes);
        }
    }

    /// Hands on what was read: as it is, or decrypted.
    pub(super) fn deliver(
        &mut self,
        key: ConnKey,
        bytes: &mut [u8],
        handler: &mut dyn Handler,
    ) -> Pumped {
        let Some(Some(link)) = self.links.get_mut(key.index()) else { return Pumped::Gone };
        let Some(mut tls) = link.tls.take() else { return self.plaintext(key, bytes, handler) };
        let mut answer = core::mem::take(&mut self.cipher);
        answer.clear();
        let mut pumped = Pumped::Here;
        let received = tls.session.receive(bytes, &mut answer, |plain| {
            pumped = self.plaintext(key, plain, handler);
            pumped == Pumped::Here
        });
        let goes_on = matches!(&received, Ok(received) if tls.secured && !received.peer_closed);
        if pumped == Pumped::Here && !goes_on {
            pumped = self.settle_last(key, handler);
        }
        // The session goes back unless the engine gave the connection up meanwhile.
        if pumped == Pumped::Here {
            match received {
                Ok(received) => {
                    tls.closed |= received.peer_closed;
                    let rest = bytes.get(received.consumed..).unwrap_or_default();
                    tls.partial.extend_from_slice(rest);
                    let established = tls.session.established() && !tls.secured;
                    tls.secured |= established;
                    let info = if established { tls.session.info() } else { None };
                    let closed = tls.closed;
                    if let Some(Some(link)) = self.links.get_mut(key.index()) {
                        link.tls = Some(tls);
                        link.unsent.extend_from_slice(&answer);
                        if closed {
                            // What follows is no data: the transport's own end is next.
                            link.readable = true;
                        }
                    }
                    if let Some(info) = info {
                        let info = TlsInfo {
                            version: info.version,
                            cipher: info.cipher,
                            resumed: info.resumed,
                        };
                        self.tap(key, What::Secured(info));
                        self.tap_certificates(key);
                        self.engine.secured(key, info, self.now, handler);
                        if let Some(link) = self.link(key) {
                            // There may be a request for it already.
                            link.transmit = true;
                        }
                    }
                    if closed {
                        self.engine.ended(key, true, self.now, handler);
                        pumped = Pumped::Gone;
                    }
                }
                Err(error) => {
                    // The alert tells the server why; best effort, once.
                    if !answer.is_empty() {
                        let _ = self.net.write(key.pack(), &answer);
                    }
                    self.lost_to_tls(key, &error, self.now, handler);
                    pumped = Pumped::Gone;
                }
            }
        }
        self.cipher = answer;
        pumped
    }
}
