//! What a batch survives, on the built binary and real sockets: kills, cuts, sick hosts, a network
//! that goes away.

mod bystanders;
#[path = "../cli_common/mod.rs"]
mod common;
mod crash;
mod cuts;
mod fair;
mod firewall;
mod hosts;
mod network;
mod resume;
mod versions;
