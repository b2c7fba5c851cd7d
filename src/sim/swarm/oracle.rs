//! What holds after every turn, and at the end of a run.
//!
//! Owns the rules that no single job sees: caps, counts that add up, turns that do something, nothing
//! left over. Says what the engine holds when one is broken.

use core::time::Duration;

use super::run::{Swarm, at, live_address};
use crate::engine::PerHost;
use crate::net::DriverConfig;
use crate::sim::Server;

/// Turns without anything going on, and without waiting.
const SPINS: u32 = 3;

impl Swarm {
    /// One turn, and all that holds after every turn.
    pub(super) fn turn(&mut self) -> Result<(), String> {
        self.watch.now = self.now();
        let wants = [
            self.order.get(self.submitted).map(|&job| at(self.watch.plan.jobs[job].at)),
            (self.watch.plan.incidents.get(self.incidents).filter(|_| !self.watch.healed))
                .map(|(time, _)| at(*time)),
            (!self.watch.healed).then(|| at(self.watch.plan.heal_at)),
            self.watch.next_resume(),
            self.lookups.iter().map(|(due, _)| *due).min(),
            self.next_cancel(),
        ];
        let before = (self.now(), self.driver.net().ledger().moved, self.watch.calls);
        // A request that was refused for want of room waits for the end of another one.
        let full = self.driver.engine().wants() == 0;
        let next = wants.into_iter().skip(usize::from(full)).flatten().min();
        let timeout = next.map(|at| at - before.0);
        self.driver
            .turn(timeout, &mut self.watch)
            .map_err(|fault| format!("the net failed: {fault:?}"))?;
        self.turns += 1;
        self.check()?;
        let after = (self.now(), self.driver.net().ledger().moved, self.watch.calls);
        let idle = before.1 == after.1 && before.2 == after.2;
        self.spins = if idle { self.spins + 1 } else { 0 };
        // A turn that may take no time looks at one connection, and each may have been woken in vain.
        let hurried = self.watch.plan.driver.most_turn < DriverConfig::default().most_turn;
        let each = if hurried { self.driver.engine().connections() as u32 } else { 0 };
        if self.spins > SPINS + each {
            return Err(self.lost("turns that do nothing, without a wait"));
        }
        let done = self.driver.engine().held() == 0;
        if core::mem::take(&mut self.driver.net_mut().ledger.stuck) && !done {
            return Err(self.lost("nothing will ever happen any more"));
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        let ledger = self.driver.net().ledger();
        if let Some(first) = ledger.violations.first() {
            return Err(first.clone());
        }
        if let Some(first) = self.watch.violations.first() {
            return Err(first.clone());
        }
        if let Some(first) = self.world.borrow().violations.first() {
            return Err(first.clone());
        }
        self.driver.engine().check(self.driver.now()).map_err(|what| self.lost(&what))?;
        let most = self.watch.plan.config.max_connections;
        if ledger.peak > most {
            return Err(format!("{} sockets at once, of {most}", ledger.peak));
        }
        if let PerHost::Fixed(most) = self.watch.plan.config.per_host {
            for (number, host) in self.watch.plan.hosts.iter().enumerate() {
                let server = self.driver.net().server(live_address(host));
                let peak = server.map_or(0, Server::peak);
                if peak > u32::from(most) {
                    return Err(format!("host {number} saw {peak} connections, of {most}"));
                }
            }
        }
        Ok(())
    }

    /// What is wrong, and what the engine holds at this point.
    pub(super) fn lost(&self, what: &str) -> String {
        let engine = self.driver.engine();
        let mut lines = vec![
            format!("{what}, at {:?} after {} turns", self.now(), self.turns),
            format!(
                "{} held, {} running, {} connections, {} sockets, next deadline {:?}",
                engine.held(),
                engine.running(),
                engine.connections(),
                self.driver.net().ledger().open,
                self.driver.next_deadline()
            ),
        ];
        for (number, &host) in self.hosts.iter().enumerate() {
            let stats = engine.stats_of(host);
            if stats.queued > 0 || stats.connections > 0 {
                lines.push(format!(
                    "host {number}, dead {:?}: {} queued, {} connections of {}, down {}, closed \
                     until {:?}, {:?}",
                    self.watch.dead(number),
                    stats.queued,
                    stats.connections,
                    stats.limit,
                    stats.down,
                    stats.closed_until,
                    stats.counts
                ));
            }
        }
        for (tag, record) in self.watch.records.iter().enumerate() {
            if record.key.is_some() && record.done == 0 {
                lines.push(format!("job {tag}: {:?}", self.watch.plan.jobs[tag]));
            }
        }
        lines.join("\n  ")
    }

    pub(super) fn nothing_left(&mut self) -> Result<(), String> {
        if self.driver.engine().held() > 0 || self.driver.engine().connections() > 0 {
            return Err(self.lost("something is left over"));
        }
        if self.driver.net().ledger().open > 0 {
            return Err(self.lost("sockets are left over"));
        }
        // What is under way arrives.
        let net = self.driver.net_mut();
        net.time += Duration::from_secs(1);
        net.run_due();
        let open: u32 = net.servers_mut().map(|server| server.open()).sum();
        if open > 0 {
            return Err(format!("servers still hold {open} connections"));
        }
        Ok(())
    }
}
