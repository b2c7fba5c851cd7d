//! What the network and the kernel do beside carrying bytes: the knobs of faults.

use core::time::Duration;

/// The knobs. Chances are in thousandths.
#[derive(Clone, Debug)]
pub struct Weather {
    /// A read returns a part of what is there.
    pub partial_reads: u32,
    /// A write takes a part of what it was given.
    pub partial_writes: u32,
    /// A wake-up tells of a socket that has nothing.
    pub spurious: u32,
    /// A wait returns without anything.
    pub interrupts: u32,
    /// An edge in one direction tells the state of both, as epoll does.
    pub full_mask: u32,
    /// A reset throws away what was not read, as some kernels do.
    pub drops_unread: u32,
    /// Opening a socket fails for want of descriptors.
    pub exhausted: u32,
    /// The process was stopped during a wait,
    pub sleeps: u32,
    /// for at most so long.
    pub sleep_most: Duration,
    /// Every wake-up comes late by up to this, so that edges are told together.
    pub gather: Duration,
    /// Segments take up to this longer than the server's latency.
    pub jitter: Duration,
    /// Answers come in segments of up to so many bytes.
    pub segment: Option<usize>,
    /// Descriptors of the process.
    pub descriptors: Option<u32>,
    /// This machine has no route.
    pub network_down: bool,
    /// A read that took everything says so.
    pub tells_drained: bool,
    /// Bytes that the client's socket holds unread.
    pub window: usize,
    /// Bytes that the client's socket holds unsent.
    pub send_buffer: usize,
    /// Edges that one wait tells.
    pub batch: usize,
}

impl Weather {
    /// Nothing goes wrong.
    pub fn fair() -> Self {
        Self {
            partial_reads: 0,
            partial_writes: 0,
            spurious: 0,
            interrupts: 0,
            full_mask: 0,
            drops_unread: 0,
            exhausted: 0,
            sleeps: 0,
            sleep_most: Duration::ZERO,
            gather: Duration::ZERO,
            jitter: Duration::ZERO,
            segment: None,
            descriptors: None,
            network_down: false,
            tells_drained: true,
            window: 256 * 1024,
            send_buffer: 256 * 1024,
            batch: 1024,
        }
    }

    /// Nothing is lost, but nothing comes as one would like it: by lot, the same for the same seed.
    pub fn unsteady(seed: u64) -> Self {
        Self::drawn(&mut fastrand::Rng::with_seed(seed))
    }

    /// The same out of somebody's lots.
    pub(super) fn drawn(random: &mut fastrand::Rng) -> Self {
        let mut often = |most: u32| if random.bool() { 0 } else { random.u32(0..=most) };
        let mut weather = Self {
            partial_reads: often(800),
            partial_writes: often(800),
            spurious: often(300),
            interrupts: often(100),
            full_mask: often(1000),
            drops_unread: often(1000),
            gather: Duration::from_micros(u64::from(often(3_000))),
            jitter: Duration::from_micros(u64::from(often(3_000))),
            ..Self::fair()
        };
        weather.tells_drained = random.bool();
        weather.segment = [None, Some(1), Some(7), Some(100), Some(1460)][random.usize(0..5)];
        weather.window = [1, 100, 4_096, 256 * 1024][random.usize(0..4)];
        weather.send_buffer = [1, 50, 4_096, 256 * 1024][random.usize(0..4)];
        weather.batch = [1, 3, 1024][random.usize(0..3)];
        weather
    }
}

impl Default for Weather {
    fn default() -> Self {
        Self::fair()
    }
}
