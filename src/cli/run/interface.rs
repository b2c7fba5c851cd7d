//! `--interface`: where connections leave this machine from.
//!
//! Owns the forms in which that is said: a device, an address of ours, or a host's name, which is
//! looked up once, before anything is sent. Never connects.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use crate::cli::plan::Ip;
use crate::net::mio::SocketOptions;

/// Makes sockets leave from what was named, or says why they can't.
pub fn choose(text: &str, ip: Ip, sockets: &mut SocketOptions) -> Result<(), String> {
    let (device, host) = if let Some(device) = text.strip_prefix("if!") {
        (Some(device), None)
    } else if let Some(host) = text.strip_prefix("host!") {
        (None, Some(host))
    } else if let Some(both) = text.strip_prefix("ifhost!") {
        let (device, host) = both.split_once('!').ok_or_else(|| {
            format!("--interface: '{text}' is not ifhost!DEVICE!HOST (an address or a name)")
        })?;
        (Some(device), Some(host))
    } else if text.parse::<IpAddr>().is_err() && is_device(text) {
        (Some(text), None)
    } else {
        (None, Some(text))
    };
    sockets.device = device.map(str::to_owned);
    sockets.bind = host.map(|host| address(host, ip)).transpose()?;
    sockets.check().map_err(|error| format!("--interface: {text} can't be used: {error}"))
}

/// Whether there is a device of that name. Where sockets can't be bound to one, nothing is.
fn is_device(name: &str) -> bool {
    let sockets = SocketOptions { device: Some(name.to_owned()), ..SocketOptions::default() };
    cfg!(any(target_os = "linux", target_os = "android")) && sockets.check().is_ok()
}

/// An address, or one of a name's: sockets are bound to one, of the family that is asked for.
fn address(host: &str, ip: Ip) -> Result<SocketAddr, String> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, 0));
    }
    let no = |why: &str| format!("--interface: {host} is no device and no address here, {why}");
    let found: Vec<SocketAddr> = (host, 0)
        .to_socket_addrs()
        .map_err(|error| no(&format!("and can't be looked up: {error}")))?
        .collect();
    let first = |v4: bool| found.iter().find(|address| address.is_ipv4() == v4);
    let one = match ip {
        Ip::V4 => first(true),
        Ip::V6 => first(false),
        Ip::Any => first(true).or_else(|| first(false)),
    };
    one.copied().ok_or_else(|| no("and as a host it has no address of that family"))
}
