//! Runs the scripted server: `cargo run --example origin -- hard-limit`, or a script from a file.
//!
//! Prints the URL of each address that it listens on, then serves until it is killed. What it has
//! counted is at `/__stats`.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use gannet::origin::{Relay, Script, Server, presets};

const USAGE: &str = "\
usage: origin PRESET|FILE.json [--listen ADDRESS:PORT]... [--admin ADDRESS:PORT]
              [--distance MS] [--print]

  --listen    where to listen: by default a free port of 127.0.0.1
  --admin     one more address, for /__stats alone
  --distance  one more address, from which everything takes MS milliseconds each way
  --print     prints the script as JSON instead of serving

presets: tls";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut script = None;
    let (mut listen, mut admin) = (Vec::<SocketAddr>::new(), None);
    let (mut distance, mut prints) = (None, false);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or("an address is missing");
        match argument.as_str() {
            "--listen" => listen.push(value()?.parse()?),
            "--admin" => admin = Some(value()?.parse()?),
            "--distance" => {
                let ms = arguments.next().ok_or("how far?")?.parse()?;
                distance = Some(Duration::from_millis(ms));
            }
            "--print" => prints = true,
            "tls" => script = Some(tls()?),
            "-h" | "--help" => {
                println!("{USAGE} {}", presets::NAMES.join(" "));
                return Ok(());
            }
            name => {
                script = Some(match presets::by_name(name) {
                    Some(script) => script,
                    None => read(name)?,
                });
            }
        }
    }
    let mut script: Script =
        script.ok_or_else(|| format!("{USAGE} {}", presets::NAMES.join(" ")))?;
    if !listen.is_empty() {
        script.listen = listen;
    }
    script.admin = admin.or(script.admin);
    if prints {
        println!("{}", serde_json::to_string_pretty(&script)?);
        return Ok(());
    }
    let mut server = Server::bind(script)?;
    let handle = server.handle();
    let scheme = handle.url("");
    let scheme = scheme.split("://").next().unwrap_or_default();
    for address in server.addrs() {
        println!("{scheme}://{address}/");
    }
    if let Some(admin) = handle.admin_addr() {
        println!("http://{admin}/__stats");
    }
    let relay = distance.map(|one_way| Relay::spawn(handle.addr(), one_way)).transpose()?;
    if let Some(relay) = &relay {
        println!("{scheme}://{}/ (far away)", relay.addr());
    }
    server.run()?;
    Ok(())
}

fn read(name: &str) -> Result<Script, Box<dyn Error>> {
    let text = std::fs::read_to_string(name)
        .map_err(|error| format!("{name} is no preset, and as a file: {error}"))?;
    Ok(serde_json::from_str(&text).map_err(|error| format!("{name}: {error}"))?)
}

/// A server with a certificate of its own, made now; the client has to be told not to mind.
fn tls() -> Result<Script, Box<dyn Error>> {
    let made =
        rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    Ok(presets::tls(&made.cert.pem(), &made.signing_key.serialize_pem()))
}
