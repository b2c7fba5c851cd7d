//! Under calloop: the engine's descriptor as a `Generic` source.
//!
//! calloop wants to own what it watches: `AsFd` gives it a descriptor of its own for the same poll
//! (`try_clone_to_owned`), without any `unsafe`.

use std::error::Error;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::time::Duration;

use calloop::generic::Generic;
use calloop::{EventLoop, Interest, Mode, PostAction};
use gannet::engine::{Config, Engine, Origin, Request, Scheme};
use gannet::net::mio::Mio;
use gannet::net::{Driver, DriverConfig, Net as _};

use crate::Tally;

/// What the loop's callbacks share.
struct State {
    driver: Driver<Mio>,
    tally: Tally,
    /// Times that the descriptor was readable.
    wakes: u64,
}

/// Fetches so many bodies from `server`.
pub fn run(server: SocketAddr, count: u64) -> Result<Tally, Box<dyn Error>> {
    let engine = Engine::try_new(Config::default())?;
    let driver = Driver::new(engine, Mio::new(256)?, DriverConfig::default());
    let mut events: EventLoop<'_, State> = EventLoop::try_new()?;
    let descriptor = driver.net().as_fd().try_clone_to_owned()?;
    let source = Generic::new(descriptor, Interest::READ, Mode::Level);
    events
        .handle()
        .insert_source(source, |_, _, state| {
            state.wakes += 1;
            match state.driver.turn(Some(Duration::ZERO), &mut state.tally) {
                Ok(()) => Ok(PostAction::Continue),
                Err(fault) => Err(std::io::Error::other(format!("{fault:?}"))),
            }
        })
        .map_err(|error| error.error)?;

    let mut state = State { driver, tally: Tally::default(), wakes: 0 };
    let name = server.ip().to_string();
    let origin = Origin { scheme: Scheme::Http, host: &name, port: server.port() };
    let host = state.driver.host(&origin);
    let mut submitted = 0;
    while state.tally.done() < count {
        while submitted < count && state.driver.engine().wants() > 0 {
            let target = format!("/bytes/1000?{submitted}");
            state.driver.submit(&Request::get(host, &target).tag(submitted))?;
            submitted += 1;
        }
        let now = state.driver.net_mut().now();
        let timeout = state.driver.next_deadline().map(|at| at - now);
        let before = state.wakes;
        events.dispatch(timeout, &mut state)?;
        if state.wakes == before {
            // The deadline came, and no byte.
            state.driver.turn(Some(Duration::ZERO), &mut state.tally)?;
        }
    }
    Ok(state.tally)
}
