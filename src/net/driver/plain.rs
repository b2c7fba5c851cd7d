//! In place of `secure` in a build without TLS: bytes go through as they are.
#![expect(clippy::unused_self, reason = "called as where there is TLS")]

use super::super::link::Link;
use super::{Driver, Pumped};
use crate::engine::{ConnKey, Handler, Loss};
use crate::net::Net;

impl<N: Net> Driver<N> {
    pub(super) const fn is_securing(_: &Link) -> bool {
        false
    }

    pub(super) const fn farewell(_: &mut Link) {}

    pub(super) const fn end_secured(&self, _: ConnKey, _: &mut dyn Handler) -> bool {
        false
    }

    pub(super) fn deliver(
        &mut self,
        key: ConnKey,
        bytes: &mut [u8],
        handler: &mut dyn Handler,
    ) -> Pumped {
        self.plaintext(key, bytes, handler)
    }

    pub(super) const fn unpark(&self, _: ConnKey, _: &mut [u8], _: usize) -> usize {
        0
    }

    pub(super) const fn park(&self, _: ConnKey, _: &[u8]) {}

    pub(super) fn secure(&mut self, key: ConnKey, handler: &mut dyn Handler) {
        let loss = Loss::Tls {
            name: "tls_unavailable",
            detail: "this build has no TLS",
            hint: None,
            is_final: true,
        };
        self.engine.lost(key, loss, self.now, handler);
    }

    pub(super) const fn goes_along(_: &Link) -> bool {
        false
    }

    pub(super) fn send(&mut self, key: ConnKey, plain: &[u8], handler: &mut dyn Handler) -> Pumped {
        self.write_fresh(key, plain, (0, plain.len()), handler)
    }
}
