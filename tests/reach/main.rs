//! Names, addresses and TLS, through the built binary: which address is spoken to, which is not,
//! and what is said when it can't be.

mod addresses;
mod calls;
#[path = "../cli_common/mod.rs"]
mod common;
#[path = "../dns_common/mod.rs"]
mod dns_common;
mod names;
mod tls;
#[path = "../tls_common/mod.rs"]
mod tls_common;
