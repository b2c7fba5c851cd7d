//! What was found of each host, told to a person when it changes (`-v`).
//!
//! Owns what was told last. That the number grows is told once for each doubling, a rate when it changes by a
//! sixteenth; words only, nothing is decided here.

use std::collections::HashMap;

use crate::cli::stdio::safe;
use crate::cli::summary::full;
use crate::engine::HostStats;
use crate::engine::limit::Finding;

/// What was told, by host.
#[derive(Default)]
pub struct Found(HashMap<String, Told>);

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Told {
    finding: &'static str,
    level: u32,
    /// Thousandths of a request a second.
    rate: u64,
}

impl Found {
    /// Tells what is new.
    pub fn look<'a>(&mut self, hosts: impl Iterator<Item = HostStats<'a>>) {
        for host in hosts {
            let origin = full(host.origin.scheme.name(), host.origin.host, host.origin.port);
            let (explanation, rate) = (host.explanation, host.pace.rate_milli.unwrap_or(0));
            let told = self.0.get(&origin).copied().unwrap_or_default();
            let mut tells = told;
            let grows = matches!(explanation.finding, Finding::Growing);
            let is_new = told.finding != explanation.name() || told.level != explanation.allowed;
            if is_new
                && (!grows
                    || told.finding != explanation.name()
                    || explanation.allowed >= told.level * 2)
            {
                (tells.finding, tells.level) = (explanation.name(), explanation.allowed);
                say_line!("* {}: {explanation}", safe(&origin));
            }
            if rate.abs_diff(told.rate) > told.rate / 16 {
                tells.rate = rate;
                say_line!("* {}: {}", safe(&origin), host.pace);
            }
            if tells != told {
                self.0.insert(origin, tells);
            }
        }
    }
}
