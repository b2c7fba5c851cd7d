//! One TLS connection over bytes: the only file that drives a rustls connection.
//!
//! Owns the handshake, decryption, encryption and the closing alert of one connection, and the
//! bounds on what a server may make us hold or do meanwhile. Never owns a receive buffer: the
//! caller keeps what could not be consumed and hands it in again, with more behind it.
//! RFC 8446 sections 4, 5 and 6.1.
//!
//! How rustls 0.23's `unbuffered` interface behaves, on which this file relies (tests hold it):
//! - Records are decrypted in the buffer handed in. A handshake message that is cut across
//!   records is gathered at the front of that buffer, over the record headers between its parts,
//!   and remembered by position, so unconsumed bytes must come back as they were left. When a
//!   record is to be *encrypted* meanwhile, a buffer must be there that is exactly as long as the
//!   records gone through (else rustls panics); nothing in it is looked at.
//! - Application data is copied once, out of the decrypted record into a vector of its own.
//! - After an error, the alert for the peer waits and must be asked for.
//! - Alerts, 32 empty records in a row, 32 key updates without data and a second renegotiation
//!   are bounded by rustls. Tickets, and the size of a handshake beyond 64 KiB a message, are not.

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::pki_types::ServerName;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, UnbufferedStatus, WriteTraffic,
};
use rustls::{CipherSuite, HandshakeKind, ProtocolVersion};

use super::certificate::{Certificate, printable};
use super::config::{Config, group_name};
use super::error::{Error, ErrorKind};
use super::verify::take_refusal;
use super::{looks_like_http, looks_like_tls};

/// What a record adds to its content, at most (TLS 1.2 with GCM: header 5, nonce 8, tag 16).
const RECORD_OVERHEAD: usize = 32;
/// The most content of one record (RFC 8446 section 5.1).
const RECORD: usize = 16 * 1024;
const HEADER: usize = 5;
/// Bytes without data that are taken in a row once the handshake is complete: tickets, of up to
/// some kilobytes each, and key updates.
const MAX_IDLE: usize = 32 * 1024;
/// Tickets that one connection may bring. Two to four are common.
const MAX_TICKETS: u32 = 1024;

/// How far a session has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// In the handshake; this many bytes of it have been consumed.
    Handshake { received: usize },
    /// Data flows; bytes of messages without data since the last data.
    Open { idle: usize },
    /// The server has said that it will send no more.
    PeerClosed,
    /// We have said that we are done; whatever still arrives is ignored.
    Closed,
    /// Something was wrong; there is no way on.
    Failed,
}

/// One connection's TLS, on the client's side. No socket and no receive buffer belong to it.
pub struct Session {
    connection: Box<UnbufferedClientConnection>,
    stage: Stage,
    /// Bytes at the front of what the caller keeps that rustls has been through already: records
    /// of a handshake message that is not complete.
    held: usize,
    max_handshake_bytes: usize,
}

/// What a call of [`Session::receive`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// Bytes done with, at the front of what was handed in. The others must come again first.
    pub consumed: usize,
    /// Bytes of plaintext handed out.
    pub plain: usize,
    /// The server's close_notify has arrived (now or earlier): its data ended here on purpose.
    pub peer_closed: bool,
    /// `plain` asked to stop; complete records may be left.
    pub stopped: bool,
}

/// What was agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Info {
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: &'static str,
    /// The cipher suite's IANA name.
    pub cipher: &'static str,
    /// The key exchange group, where there was an exchange.
    pub group: Option<&'static str>,
    /// The server has chosen http/1.1 by ALPN (else it did not take part).
    pub alpn: bool,
    /// The handshake went on from an earlier session.
    pub resumed: bool,
}

impl Session {
    /// A session with `host`, a DNS name (ASCII, IDNA done) or an address, with or without
    /// brackets. A name is sent as SNI, an address never; both must be in the certificate.
    pub fn new(config: &Config, host: &str) -> Result<Self, Error> {
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        // A zone is this machine's business; a final dot says "absolute" and is no part of the name.
        let bare = bare.split_once('%').map_or(bare, |(address, _zone)| address);
        let bare = bare.strip_suffix('.').unwrap_or(bare);
        let name = ServerName::try_from(bare.to_owned()).map_err(|_| {
            let message =
                format!("{:?} is neither a host name nor an address", printable(host, 80));
            Error::new(ErrorKind::ServerName, false, message, "")
        })?;
        let connection = UnbufferedClientConnection::new(config.client.clone(), name)
            .map_err(|error| Error::from_rustls(&error, false, None))?;
        Ok(Self {
            connection: Box::new(connection),
            stage: Stage::Handshake { received: 0 },
            held: 0,
            max_handshake_bytes: config.max_handshake_bytes,
        })
    }

    /// Append the ClientHello to `out`. Once, before anything else.
    pub fn start(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.receive(&mut [], out, |_| true).map(drop)
    }

    /// Take ciphertext in: what was left over by the last call first, exactly as it was left,
    /// then what has arrived since. Records are decrypted in place; `plain` gets each piece of
    /// plaintext (at most 16 KiB) and says whether to go on. What must be sent is appended to
    /// `out`, also when this fails: it may be the alert that tells the server why.
    ///
    /// Progress is made by complete records, so an incomplete one is left over; all complete ones
    /// are consumed, unless `plain` stops or a handshake message goes on in the next record.
    pub fn receive(
        &mut self,
        incoming: &mut [u8],
        out: &mut Vec<u8>,
        mut plain: impl FnMut(&[u8]) -> bool,
    ) -> Result<Received, Error> {
        let mut done = Received::default();
        match self.stage {
            Stage::Handshake { received: 0 } => {
                if let Some(error) = not_tls(incoming) {
                    self.stage = Stage::Failed;
                    return Err(error);
                }
                if (1..HEADER).contains(&incoming.len()) {
                    return Ok(done); // too short to name what it is, if it is not TLS
                }
            }
            Stage::Handshake { .. } | Stage::Open { .. } => {}
            Stage::PeerClosed | Stage::Closed => {
                // RFC 8446 section 6.1: data after a closure alert is ignored.
                done.consumed = incoming.len();
                done.peer_closed = self.stage == Stage::PeerClosed;
                return Ok(done);
            }
            Stage::Failed => return Err(self.over()),
        }
        // Counted before rustls rearranges what it holds; it goes through all complete records.
        let Some(fresh) = incoming.get(self.held..) else {
            self.stage = Stage::Failed;
            let message = "what was left of the last call's input must come again";
            return Err(Error::new(ErrorKind::Internal, self.was_established(), message, ""));
        };
        let through = self.held + complete_records(fresh);
        loop {
            let rest = incoming.get_mut(done.consumed..).unwrap_or_default();
            let UnbufferedStatus { mut discard, state } = self.connection.process_tls_records(rest);
            let mut data = 0;
            let mut blocked = false;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(Ok(record)) = traffic.next_record() {
                        discard += record.discard;
                        data += record.payload.len();
                        done.stopped |= !plain(record.payload);
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut message)) => {
                    append(out, |room| message.encode(room).map_err(|e| encode_room(&e)));
                }
                Ok(ConnectionState::TransmitTlsData(transmit)) => transmit.done(),
                Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => {
                    self.stage = Stage::PeerClosed;
                    self.held = 0;
                    done.consumed = incoming.len();
                    done.peer_closed = true;
                    self.flush(out);
                    return Ok(done);
                }
                Ok(_) => blocked = true, // WriteTraffic or BlockedHandshake: nothing more to do
                Err(error) => return Err(self.fail(&error, out)),
            }
            done.consumed += discard;
            done.plain += data;
            self.account(discard, data)?;
            if blocked || done.stopped {
                break;
            }
        }
        // Data does not come in the middle of a message, so after a stop there is none to hold.
        self.held = if done.stopped { 0 } else { through.saturating_sub(done.consumed) };
        let kept = incoming.len() - done.consumed;
        match self.stage {
            Stage::Handshake { received } if received + kept > self.bound() => Err(self.too_much()),
            Stage::Open { idle } if self.held > 0 && idle + kept > self.bound() => {
                Err(self.too_much())
            }
            _ => Ok(done),
        }
    }

    /// How much of TLS's own is taken in at this stage.
    fn bound(&self) -> usize {
        match self.stage {
            Stage::Handshake { .. } => self.max_handshake_bytes,
            _ => self.max_handshake_bytes.min(MAX_IDLE),
        }
    }

    /// Count what was consumed against the bounds.
    fn account(&mut self, discarded: usize, data: usize) -> Result<(), Error> {
        let bound = self.bound();
        match &mut self.stage {
            Stage::Handshake { received } => {
                *received += discarded;
                if *received > bound {
                    return Err(self.too_much());
                }
                if !self.connection.is_handshaking() {
                    self.stage = Stage::Open { idle: 0 };
                }
            }
            Stage::Open { idle } => {
                *idle = if data > 0 { 0 } else { *idle + discarded };
                if *idle > bound || self.connection.tls13_tickets_received() > MAX_TICKETS {
                    return Err(self.too_much());
                }
            }
            Stage::PeerClosed | Stage::Closed | Stage::Failed => {}
        }
        Ok(())
    }

    fn too_much(&mut self) -> Error {
        let (established, bound) = (self.established(), self.bound());
        self.stage = Stage::Failed;
        if established {
            let message = format!(
                "the server floods the connection with TLS messages that carry no data \
                 (at most {bound} bytes in a row and {MAX_TICKETS} tickets are accepted)"
            );
            Error::new(ErrorKind::Flood, true, message, "")
        } else {
            let message = format!(
                "the server's TLS handshake is larger than {bound} bytes, the most that is accepted"
            );
            Error::new(ErrorKind::HandshakeTooLarge, false, message, "")
        }
    }

    /// The handshake is complete, and data may be sent.
    pub fn established(&self) -> bool {
        matches!(self.stage, Stage::Open { .. } | Stage::PeerClosed)
    }

    fn was_established(&self) -> bool {
        !self.connection.is_handshaking()
    }

    /// Encrypt all of `plain` and append the records to `out`; returns how much was taken, which
    /// is all of it. Hand in as much as should be on its way: ciphertext cannot be taken back.
    pub fn send(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<usize, Error> {
        if !self.established() {
            return Err(self.over());
        }
        if plain.is_empty() {
            return Ok(0);
        }
        let room = plain.len() + plain.len().div_ceil(RECORD) * RECORD_OVERHEAD;
        let encrypted = self.with_traffic(out, |mut traffic, out| {
            let start = out.len();
            let mut needed = room;
            loop {
                out.resize(start + needed, 0);
                match traffic.encrypt(plain, out.get_mut(start..).unwrap_or_default()) {
                    Ok(written) => {
                        out.truncate(start + written);
                        return true;
                    }
                    Err(EncryptError::InsufficientSize(size)) if size.required_size > needed => {
                        needed = size.required_size; // a key update goes first
                    }
                    Err(_) => {
                        out.truncate(start);
                        return false;
                    }
                }
            }
        })?;
        if encrypted {
            return Ok(plain.len());
        }
        self.flush(out);
        self.stage = Stage::Failed;
        let message = "the TLS keys have encrypted as much as they may";
        Err(Error::new(ErrorKind::KeysExhausted, true, message, ""))
    }

    /// Come to the state in which rustls encrypts, and do something there.
    fn with_traffic<R>(
        &mut self,
        out: &mut Vec<u8>,
        act: impl FnOnce(WriteTraffic<'_, ClientConnectionData>, &mut Vec<u8>) -> R,
    ) -> Result<R, Error> {
        let mut stand_in = vec![0; self.held]; // of no length but while a message is cut in two
        loop {
            let UnbufferedStatus { state, .. } = self.connection.process_tls_records(&mut stand_in);
            match state {
                Ok(ConnectionState::WriteTraffic(traffic)) => return Ok(act(traffic, out)),
                Ok(ConnectionState::EncodeTlsData(mut message)) => {
                    append(out, |room| message.encode(room).map_err(|e| encode_room(&e)));
                }
                Ok(ConnectionState::TransmitTlsData(transmit)) => transmit.done(),
                Ok(_) => return Err(self.over()),
                Err(error) => return Err(self.fail(&error, out)),
            }
        }
    }

    /// Say that we are done: append close_notify to `out`, when there is a connection to close.
    /// Whatever is received afterwards is ignored.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        if self.established() {
            let _ = self.with_traffic(out, |mut traffic, out| {
                append(out, |room| traffic.queue_close_notify(room).map_err(|e| encrypt_room(&e)));
            });
        }
        self.stage = Stage::Closed;
    }

    /// The transport has ended: was that fair? `None` when the server had said goodbye (or we
    /// had); else what to call it.
    pub fn end_of_input(&self) -> Option<Error> {
        match self.stage {
            Stage::PeerClosed | Stage::Closed => None,
            Stage::Handshake { received } => {
                let message = if received == 0 {
                    "the server closed the connection before it said anything in TLS"
                } else {
                    "the server closed the connection in the TLS handshake"
                };
                Some(Error::new(ErrorKind::HandshakeCut, false, message, ""))
            }
            Stage::Open { .. } => {
                let message = "the server closed the connection without a TLS close_notify: what it sent may be cut short";
                Some(Error::new(ErrorKind::Truncated, true, message, ""))
            }
            Stage::Failed => Some(self.over()),
        }
    }

    /// What was agreed; `None` until the handshake is complete.
    pub fn info(&self) -> Option<Info> {
        if !self.was_established() {
            return None;
        }
        let connection = &self.connection;
        Some(Info {
            version: match connection.protocol_version()? {
                ProtocolVersion::TLSv1_3 => "TLSv1.3",
                ProtocolVersion::TLSv1_2 => "TLSv1.2",
                _ => "TLS",
            },
            cipher: cipher_name(connection.negotiated_cipher_suite()?.suite()),
            group: connection.negotiated_key_exchange_group().map(group_name),
            alpn: connection.alpn_protocol().is_some(),
            resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
        })
    }

    /// What the server's certificate says, for those who look; resumed sessions have it too.
    pub fn peer(&self) -> Option<Certificate> {
        Certificate::read(self.connection.peer_certificates()?.first()?)
    }

    /// What the server showed, its own certificate first, as DER; resumed sessions have it too.
    pub fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        self.connection.peer_certificates().into_iter().flatten().map(AsRef::as_ref)
    }

    fn fail(&mut self, error: &rustls::Error, out: &mut Vec<u8>) -> Error {
        let established = self.established();
        self.flush(out);
        self.stage = Stage::Failed;
        Error::from_rustls(error, established, take_refusal())
    }

    fn over(&self) -> Error {
        let message = match self.stage {
            Stage::Handshake { .. } => "nothing can be sent before the TLS handshake is complete",
            _ => "the TLS session is over",
        };
        Error::new(ErrorKind::Closed, self.was_established(), message, "")
    }

    /// Append what waits to be sent. rustls hands that out before it looks at any input, so there
    /// need be none.
    fn flush(&mut self, out: &mut Vec<u8>) {
        while self.connection.wants_write() {
            let UnbufferedStatus { state, .. } = self.connection.process_tls_records(&mut []);
            match state {
                Ok(ConnectionState::EncodeTlsData(mut message)) => {
                    append(out, |room| message.encode(room).map_err(|e| encode_room(&e)));
                }
                _ => return,
            }
        }
    }
}

impl core::fmt::Debug for Session {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Session").field("stage", &self.stage).finish_non_exhaustive()
    }
}

/// Let `encode` write behind what is in `out`, with as much room as it asks for.
fn append(out: &mut Vec<u8>, mut encode: impl FnMut(&mut [u8]) -> Result<usize, Option<usize>>) {
    let start = out.len();
    let mut room = 512; // most ClientHellos, and every alert
    loop {
        out.resize(start + room, 0);
        match encode(out.get_mut(start..).unwrap_or_default()) {
            Ok(written) => {
                out.truncate(start + written);
                return;
            }
            Err(Some(needed)) if needed > room => room = needed,
            Err(_) => {
                out.truncate(start);
                return;
            }
        }
    }
}

/// How much room is missing, if that is what is wrong.
fn encode_room(error: &EncodeError) -> Option<usize> {
    match error {
        EncodeError::InsufficientSize(size) => Some(size.required_size),
        EncodeError::AlreadyEncoded => None,
    }
}

fn encrypt_room(error: &EncryptError) -> Option<usize> {
    match error {
        EncryptError::InsufficientSize(size) => Some(size.required_size),
        EncryptError::EncryptExhausted => None,
    }
}

/// The length of the complete records at the front.
fn complete_records(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(&[_, _, _, high, low]) = bytes.get(at..at + HEADER) {
        let end = at + HEADER + usize::from(u16::from_be_bytes([high, low]));
        if end > bytes.len() {
            break;
        }
        at = end;
    }
    at
}

/// What the first bytes are, when they are no TLS record and there are enough of them to tell.
fn not_tls(first: &[u8]) -> Option<Error> {
    let head = first.get(..HEADER)?;
    if looks_like_tls(head) {
        return None;
    }
    Some(if looks_like_http(first) {
        Error::new(
            ErrorKind::PlainHttp,
            false,
            "the server speaks plain HTTP here, not TLS",
            "use http:// for this port, or the server's https port",
        )
    } else {
        let quoted = printable(&String::from_utf8_lossy(first.get(..32).unwrap_or(first)), 32);
        let message = format!("the server's first bytes are no TLS: {quoted:?}");
        Error::new(ErrorKind::NotTls, false, message, "is this port one for https?")
    })
}

/// IANA's name of a suite; rustls writes those of TLS 1.3 in its own way.
fn cipher_name(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        other => other.as_str().unwrap_or("unknown"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complete_records_are_counted_whole() {
        let two = [22, 3, 3, 0, 2, 9, 9, 23, 3, 3, 0, 1, 7];
        for (length, complete) in [(0, 0), (4, 0), (6, 0), (7, 7), (8, 7), (12, 7), (13, 13)] {
            assert_eq!(complete_records(&two[..length]), complete, "{length}");
        }
    }

    #[test]
    fn what_is_no_tls_is_named_once_there_is_enough_of_it() {
        for (bytes, kind) in [
            (&b"HTTP"[..], None),
            (b"HTTP/1.1 400 Bad Request\r\n", Some(ErrorKind::PlainHttp)),
            (b"SSH-2.0-OpenSSH_9.2\r\n", Some(ErrorKind::NotTls)),
            (b"220 mail.example ESMTP\r\n", Some(ErrorKind::NotTls)),
            (&[22, 3, 3, 0, 80], None),
            (&[21, 3, 1, 0, 2, 2, 70], None),
            (&[0, 0, 0, 0, 0], Some(ErrorKind::NotTls)),
        ] {
            assert_eq!(not_tls(bytes).map(|error| error.kind()), kind, "{bytes:?}");
        }
    }
}
