//! Signals: the first one ends gracefully, the second one at once.
//!
//! A handler only sets a flag; a wait that is under way is interrupted by the signal itself. So
//! there is no thread, no pipe and no descriptor more.

#[cfg(target_os = "linux")]
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What has come so far.
#[derive(Clone, Debug)]
pub struct Signals {
    number: Arc<AtomicUsize>,
}

impl Signals {
    /// Takes over SIGINT, SIGTERM and SIGHUP. What the shell told us to ignore (`nohup`) stays
    /// ignored.
    pub fn install() -> std::io::Result<Self> {
        let number = Arc::new(AtomicUsize::new(0));
        let again = Arc::new(AtomicBool::new(false));
        let ignored = ignored();
        for signal in Self::ending() {
            if ignored >> (signal - 1) & 1 == 1 {
                continue;
            }
            // In this order: the second signal finds the flag that the first one set.
            signal_hook::flag::register_conditional_shutdown(
                signal,
                128 + signal,
                Arc::clone(&again),
            )?;
            signal_hook::flag::register(signal, Arc::clone(&again))?;
            signal_hook::flag::register_usize(signal, Arc::clone(&number), signal as usize)?;
        }
        super::stdio::heed(Arc::clone(&number));
        Ok(Self { number })
    }

    #[cfg(unix)]
    fn ending() -> [i32; 3] {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        [SIGINT, SIGTERM, SIGHUP]
    }

    #[cfg(not(unix))]
    fn ending() -> [i32; 2] {
        use signal_hook::consts::{SIGINT, SIGTERM};
        [SIGINT, SIGTERM]
    }

    /// The signal that asks to end.
    pub fn received(&self) -> Option<i32> {
        match self.number.load(Ordering::Relaxed) {
            0 => None,
            number => Some(number as i32),
        }
    }
}

/// The signals that are ignored already, as `nohup` and background jobs of some shells have it: a
/// bit each.
#[cfg(target_os = "linux")]
fn ignored() -> u64 {
    // It says no size: without room from the start it would be read in small pieces.
    let mut status = Vec::with_capacity(4096);
    let read =
        std::fs::File::open("/proc/self/status").and_then(|mut file| file.read_to_end(&mut status));
    if read.is_err() {
        return 0;
    }
    let status = String::from_utf8_lossy(&status);
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(not(target_os = "linux"))]
fn ignored() -> u64 {
    0
}
