//! Notices a list that is clumped by host: for seconds nearly all that waits, waits for one host.
//!
//! Owns the looking, once a second and only while the window is full, or a host has enough of it
//! (`feed::aside`). A list of a single host is no clump; so the warning waits until another host was
//! seen, be it before or after.

use std::time::{Duration, Instant};

use super::feed::Aside;
use crate::fetch::Fetcher;

/// How long one host may fill the window.
const LONG: Duration = Duration::from_secs(5);
/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);

/// What is in the window.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Hosts seen in this run.
    pub hosts: usize,
    /// Jobs that wait for any host.
    pub queued: u32,
    /// The host with the most of them.
    pub fullest: Option<(String, u32)>,
    /// Further lines of that one wait aside.
    pub others_go_on: bool,
}

/// What was noticed so far.
#[derive(Debug, Default)]
pub struct Clump {
    /// The host that fills the window, and since when.
    since: Option<(String, Instant)>,
    looked: Option<Instant>,
    /// A host that filled it for long; said once another one is seen.
    found: Option<String>,
    said: bool,
}

impl Clump {
    /// Looks, if it is time; a sentence when there is something to say.
    pub fn look(
        &mut self,
        now: Instant,
        full: bool,
        view: impl FnOnce() -> View,
    ) -> Option<String> {
        if self.said || !(full || self.found.is_some()) {
            self.since = None;
            return None;
        }
        if self.looked.is_some_and(|last| now.duration_since(last) < EVERY) {
            return None;
        }
        self.looked = Some(now);
        let view = view();
        let filled = view
            .fullest
            .filter(|(_, queued)| full && *queued > 0 && queued * 10 >= view.queued * 9);
        match filled {
            None => self.since = None,
            Some((host, _)) => match &self.since {
                Some((before, since)) if *before == host => {
                    if now.duration_since(*since) >= LONG {
                        self.found = Some(host);
                    }
                }
                _ => self.since = Some((host, now)),
            },
        }
        if view.hosts < 2 {
            return None;
        }
        let host = self.found.take()?;
        self.said = true;
        let what = if view.others_go_on {
            "its further lines wait aside, and those of other hosts go on"
        } else {
            "other hosts had nothing to do; mix the list (shuf), or read further ahead with --window"
        };
        Some(format!(
            "the list is clumped by host: for {} s nearly all that was read ahead was for {host}; {what}",
            LONG.as_secs()
        ))
    }
}

/// What waits now, and for whom.
pub fn view(fetcher: &Fetcher, aside: Option<&Aside>) -> View {
    let (mut view, mut longest) = (View::default(), None);
    for (host, waiting) in fetcher.crowds() {
        view.hosts += 1;
        view.queued += waiting;
        if longest.is_none_or(|(_, most)| most < waiting) {
            longest = Some((host, waiting));
        }
    }
    if let Some((host, waiting)) = longest {
        view.fullest = Some((fetcher.origin(host).to_string(), waiting));
        view.others_go_on = aside.is_some_and(|aside| aside.holds_for(host));
    }
    view
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clump_is_said_once_and_only_beside_other_hosts() {
        let start = Instant::now();
        let view = |hosts, host: &str, queued, all| View {
            hosts,
            queued: all,
            fullest: Some((host.to_owned(), queued)),
            others_go_on: false,
        };
        // One host alone fills it: nothing to say, until another one comes.
        let mut clump = Clump::default();
        for second in 0..20 {
            let now = start + Duration::from_secs(second);
            assert_eq!(clump.look(now, true, || view(1, "a", 90, 90)), None);
        }
        let later = start + Duration::from_secs(30);
        let said = clump.look(later, false, || view(2, "b", 1, 1)).unwrap();
        assert!(said.contains("for a; other hosts") && said.contains("--window"), "{said}");
        assert_eq!(clump.look(later + EVERY, true, || view(2, "a", 90, 90)), None);
        // A mixed window, a short one, and another host in between are no clumps.
        let mut clump = Clump::default();
        for second in 0..20 {
            let now = start + Duration::from_secs(second);
            assert_eq!(clump.look(now, true, || view(3, "a", 40, 90)), None);
        }
        for second in 20..40 {
            let now = start + Duration::from_secs(second);
            let host = if second % 4 == 0 { "b" } else { "a" };
            assert_eq!(clump.look(now, true, || view(3, host, 90, 90)), None);
        }
    }
}
