//! What stands for TLS where the server is there for the demonstration alone (`demo` without
//! `origin`): nothing. A script that asks for it is refused, so that the command does not carry a
//! server's side of TLS that it never uses.

use std::io::{self, Write};

use super::stats::Stats;
use super::traffic::Tls;

/// There is none.
#[derive(Clone, Debug)]
pub(super) enum Config {}

impl Config {
    pub(super) fn new(_: &Tls) -> io::Result<Self> {
        let what = "a scripted server with TLS needs the feature `origin`";
        Err(io::Error::new(io::ErrorKind::Unsupported, what))
    }
}

/// There is none.
#[derive(Debug)]
pub(super) enum Session {}

impl Session {
    pub(super) fn new(config: &Config) -> io::Result<Self> {
        match *config {}
    }

    pub(super) fn is_handshaking(&self) -> bool {
        match *self {}
    }

    pub(super) fn take(&mut self, _: &[u8], _: &mut Vec<u8>, _: &Stats) -> io::Result<bool> {
        match *self {}
    }

    pub(super) fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        match *self {}
    }

    pub(super) fn flush(&mut self, _: &mut dyn Write) -> io::Result<()> {
        match *self {}
    }

    pub(super) fn say_goodbye(&mut self) {
        match *self {}
    }
}
