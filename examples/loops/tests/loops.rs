//! Each loop brings the same bytes. `GANNET_COUNT=10000` asks for more; `GANNET_SERVER=ADDRESS:PORT`
//! asks another server than the scripted one (`/bytes/1000?N` must have 1,000 bytes).
#![allow(missing_docs)]

use std::net::SocketAddr;

use gannet::origin::{Running, Script, spawn};
use gannet_loops::{Tally, calloop_loop, smoltcp_stack, tokio_loop};

fn count() -> u64 {
    std::env::var("GANNET_COUNT").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000)
}

fn server() -> (Option<Running>, SocketAddr) {
    if let Ok(text) = std::env::var("GANNET_SERVER") {
        return (None, text.parse().unwrap());
    }
    let server = spawn(Script::new()).unwrap();
    let address = server.addr();
    (Some(server), address)
}

fn all() -> Tally {
    Tally { whole: count(), failed: 0, bytes: 1_000 * count() }
}

#[test]
fn under_tokio() {
    let (_server, address) = server();
    assert_eq!(tokio_loop::run(address, count()).unwrap(), all());
}

#[test]
fn under_tokio_beside_other_tasks() {
    let (_server, address) = server();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ticks = runtime.block_on(async {
        let others = std::rc::Rc::new(std::cell::Cell::new(0_u32));
        let local = tokio::task::LocalSet::new();
        let counter = std::rc::Rc::clone(&others);
        local.spawn_local(async move {
            loop {
                tokio::task::yield_now().await;
                counter.set(counter.get() + 1);
            }
        });
        let tally = local.run_until(tokio_loop::fetch(address, count())).await.unwrap();
        assert_eq!(tally, all());
        others.get()
    });
    assert!(ticks > 10, "the other task had its turns: {ticks}");
}

#[test]
fn under_calloop() {
    let (_server, address) = server();
    assert_eq!(calloop_loop::run(address, count()).unwrap(), all());
}

#[test]
fn on_a_bare_metal_stack() {
    let (tally, answered, took) = smoltcp_stack::run(count());
    assert_eq!(tally, all(), "after {took:?} of virtual time");
    assert_eq!(answered, count());
}
