//! The engine on a microcontroller, between a receiving and a sending buffer that a driver for a
//! network would fill and empty. It is weighed, not run: where bytes would come from is volatile
//! memory, so that the compiler cannot know them.
#![no_std]
#![no_main]

use cortex_m as _;
use cortex_m_rt::entry;
use embedded_alloc::LlffHeap;
use panic_halt as _;

#[global_allocator]
static HEAP: LlffHeap = LlffHeap::empty();

/// What the network would say: a byte that is never known beforehand.
#[inline(never)]
fn outside() -> u8 {
    core::hint::black_box(0)
}

#[cfg(feature = "engine")]
mod fetch {
    extern crate alloc;
    use alloc::vec::Vec;

    use gannet::base::Instant;
    use gannet::engine::{
        Action, Advice, Config, Ctl, Engine, Handler, JobRef, Origin, Report, Request, Resume, Scheme,
    };
    use gannet::proto::{Body, Head};

    struct Count(u64);

    impl Handler for Count {
        fn head(&mut self, _: &mut Ctl<'_>, _: JobRef, _: &Head<'_>, _: Body) -> Advice {
            Advice::Deliver(Resume::Never)
        }
        fn body(&mut self, _: &mut Ctl<'_>, _: JobRef, bytes: &[u8]) {
            self.0 += bytes.len() as u64;
        }
        fn done(&mut self, _: &mut Ctl<'_>, _: JobRef, report: &Report<'_>) {
            self.0 += u64::from(report.result.is_ok());
        }
    }

    pub fn run() {
        let mut engine = Engine::new(Config::tiny());
        let origin = Origin { scheme: Scheme::Http, host: "192.0.2.1", port: 80 };
        let host = engine.host(&origin);
        let (mut count, mut open, mut time) = (Count(0), None, 0);
        let mut now = || {
            time += u64::from(super::outside());
            Instant::from_nanos(time)
        };
        let _ = engine.submit(&Request::get(host, "/"), now());
        let mut out = Vec::new();
        while engine.held() > 0 {
            engine.poll(now(), &mut count);
            while let Some(action) = engine.next_action() {
                match action {
                    Action::Open { conn, .. } => {
                        open = Some(conn);
                        engine.connected(conn, now(), &mut count);
                    }
                    Action::Transmit(conn) => {
                        out.clear();
                        engine.outgoing(conn, &mut out, now(), &mut count);
                        core::hint::black_box(&out[..]);
                        engine.wrote(conn, out.len(), true, now());
                    }
                    Action::Close { .. } => open = None,
                    _ => {}
                }
            }
            if let Some(conn) = open {
                if super::outside() == 1 {
                    engine.ended(conn, true, now(), &mut count);
                } else {
                    engine.received(conn, &[super::outside(); 64], now(), &mut count);
                }
            }
            engine.tick(now(), &mut count);
        }
    }
}

#[entry]
fn main() -> ! {
    #[cfg(feature = "engine")]
    fetch::run();
    loop {
        outside();
    }
}
