//! What a person sees while it runs: one line on standard error, redrawn a few times a second.
//!
//! Owns the line and the moments at which it is drawn; `console` knows the terminal. Nothing here
//! is seen when standard error is not a terminal, unless it was asked for: then it is a line of its
//! own every second, for a log.
#![expect(clippy::string_slice, reason = "a line is cut where two blanks or a character begin")]

use std::cell::RefCell;
use std::fmt::Write;
use std::rc::Rc;
use std::time::{Duration, Instant};

use console::Term;

use super::plan::Meter;
use super::stdio;
use super::summary::bytes;
use super::values::When;

/// Between two drawings.
const EVERY: Duration = Duration::from_millis(200);
/// Between two lines of a log.
const EVERY_LINE: Duration = Duration::from_secs(1);

/// The line.
pub struct Progress {
    shown: Option<Rc<Shown>>,
    meter: Meter,
    every: Duration,
    begun: Instant,
    next: Instant,
    /// For the rate of the last moments.
    last: (Instant, u64, u64),
    rates: (f64, f64),
}

/// Where it is shown.
#[derive(Debug)]
enum Shown {
    /// One line that is drawn again and again: the text that is on it.
    Terminal(Term, RefCell<String>),
    /// A line after the other.
    Log,
}

impl Shown {
    /// What can't be drawn is not worth a word: it is only progress.
    fn draw(&self, line: &str) {
        match self {
            Self::Terminal(term, drawn) => {
                let mut drawn = drawn.borrow_mut();
                drawn.clear();
                drawn.push_str(line);
                let _ = term.clear_line().and_then(|()| term.write_str(line));
            }
            Self::Log => say_line!("{line}"),
        }
    }

    /// The line makes room for what is written meanwhile.
    fn aside(&self, writes: impl FnOnce()) {
        match self {
            Self::Terminal(term, drawn) if !drawn.borrow().is_empty() => {
                let _ = term.clear_line();
                writes();
                let _ = term.write_str(&drawn.borrow());
            }
            _ => writes(),
        }
    }

    fn clear(&self) {
        if let Self::Terminal(term, drawn) = self
            && !drawn.take().is_empty()
        {
            let _ = term.clear_line();
        }
    }
}

/// The place above the line.
#[derive(Clone, Debug, Default)]
pub struct Above(Option<Rc<Shown>>);

impl Above {
    /// The line makes room for what is written meanwhile.
    pub fn write(&self, writes: impl FnOnce()) {
        match &self.0 {
            Some(shown) => shown.aside(writes),
            None => writes(),
        }
    }
}

/// What the line says.
#[derive(Clone, Copy, Debug, Default)]
pub struct State<'a> {
    pub done: u64,
    pub failed: u64,
    pub in_flight: u64,
    pub bytes: u64,
    pub repeats: u64,
    /// How much of the list is done, in millionths, if its length is known.
    pub read: Option<u64>,
    /// The limit that was found, when there is one host.
    pub limit: Option<u32>,
    /// The most frequent failure.
    pub worst: Option<(&'a str, u64)>,
    /// For one transfer: how many bytes it will have.
    pub total: Option<u64>,
}

impl Progress {
    /// A line, if it is wanted.
    pub fn new(when: When, meter: Meter, now: Instant) -> Self {
        let wanted = match when {
            When::Always => true,
            When::Never => false,
            When::Auto => stdio::stderr_is_terminal(),
        };
        let (shown, every) = if stdio::stderr_is_terminal() {
            (Shown::Terminal(Term::stderr(), RefCell::default()), EVERY)
        } else {
            (Shown::Log, EVERY_LINE)
        };
        let shown = wanted.then(|| Rc::new(shown));
        let next = now + every;
        Self { shown, meter, every, begun: now, next, last: (now, 0, 0), rates: (0.0, 0.0) }
    }

    /// When it wants to be drawn.
    pub fn due(&self) -> Option<Instant> {
        self.shown.as_ref().map(|_| self.next)
    }

    /// Draws, if it is time.
    pub fn tick<'a>(&mut self, now: Instant, state: impl FnOnce() -> State<'a>) {
        let Some(shown) = &self.shown else { return };
        if now < self.next {
            return;
        }
        let state = state();
        let seconds = now.duration_since(self.last.0).as_secs_f64().max(0.001);
        let smooth = |old: f64, new: f64| if old == 0.0 { new } else { old * 0.7 + new * 0.3 };
        self.rates.0 =
            smooth(self.rates.0, state.done.saturating_sub(self.last.1) as f64 / seconds);
        self.rates.1 =
            smooth(self.rates.1, state.bytes.saturating_sub(self.last.2) as f64 / seconds);
        self.last = (now, state.done, state.bytes);
        self.next = now + self.every;
        let width = stdio::stderr_width();
        let line = bar(&state, width)
            .filter(|_| self.meter == Meter::Bar)
            .unwrap_or_else(|| line(&state, self.rates, now.duration_since(self.begun)));
        shown.draw(fitting(&line, width));
    }

    /// Says something above the line.
    pub fn say(&self, text: &str) {
        self.above().write(|| say_line!("{text}"));
    }

    /// For those who write to the terminal while the line is there.
    pub fn above(&self) -> Above {
        Above(self.shown.clone())
    }

    /// Takes the line away.
    pub fn clear(&mut self) {
        if let Some(shown) = self.shown.take() {
            shown.clear();
        }
    }
}

/// Columns of a bar where nobody knows how many there are.
const USUAL_WIDTH: usize = 80;

/// How much is done, as a bar over the whole width; `None`: it is not known how much there is.
fn bar(state: &State<'_>, width: Option<usize>) -> Option<String> {
    let share = match (state.read, state.total) {
        (Some(read), _) => read as f64 / 1e6,
        (None, Some(total)) => state.bytes as f64 / total.max(1) as f64,
        (None, None) => return None,
    };
    let share = share.clamp(0.0, 1.0);
    // One column stays free, so that the cursor does not go on to the next line.
    let room = width.unwrap_or(USUAL_WIDTH).saturating_sub(" 100.0% ".len());
    let done = "#".repeat((share * room as f64) as usize);
    Some(format!("{done:<room$} {:5.1}%", share * 100.0))
}

fn line(state: &State<'_>, rates: (f64, f64), elapsed: Duration) -> String {
    let mut text = String::new();
    if let Some(read) = state.read {
        let _ = write!(text, "{:>3}% ", read / 10_000);
    }
    let clock = |time: Duration| {
        let seconds = time.as_secs();
        if seconds < 3600 {
            format!("{}:{:02}", seconds / 60, seconds % 60)
        } else {
            format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
        }
    };
    let _ = write!(text, "{}", clock(elapsed));
    if let Some(left) = left(state, rates, elapsed) {
        let _ = write!(text, ", {} left", clock(left));
    }
    if state.done > 0 || state.total.is_none() {
        let _ = write!(text, "  {} done", state.done);
    }
    if state.failed > 0 {
        let _ = write!(text, ", {} failed", state.failed);
    }
    if rates.0 >= 0.5 {
        let _ = write!(text, "  {:.0}/s", rates.0);
    }
    let _ = write!(text, "  {}", bytes(state.bytes));
    if let Some(total) = state.total {
        let _ = write!(text, " of {}", bytes(total));
    }
    let _ = write!(text, "  {}/s  {} in flight", bytes(rates.1 as u64), state.in_flight);
    if let Some(limit) = state.limit {
        let _ = write!(text, " of {limit}");
    }
    // What a narrow terminal has no room for comes last.
    if state.repeats > 0 {
        let _ = write!(text, "  {} repeated", state.repeats);
    }
    if let Some((kind, count)) = state.worst {
        let _ = write!(text, "  {count} {kind}");
    }
    text
}

/// As many of a line's pieces, which two blanks part, as a terminal has room for.
fn fitting(line: &str, width: Option<usize>) -> &str {
    let Some(width) = width.filter(|width| line.chars().count() > *width) else { return line };
    let ends = line.match_indices("  ").map(|(at, _)| at).filter(|at| *at > 0);
    let end = ends.take_while(|at| line[..*at].chars().count() <= width).last();
    // Not even the first has: a line that runs over could not be drawn again.
    let cut = || line.char_indices().nth(width).map_or(line.len(), |(at, _)| at);
    &line[..end.unwrap_or_else(cut)]
}

/// How long it may take still.
fn left(state: &State<'_>, rates: (f64, f64), elapsed: Duration) -> Option<Duration> {
    let seconds = if let Some(read) = state.read.filter(|read| *read > 10_000) {
        elapsed.as_secs_f64() * (1_000_000 - read.min(1_000_000)) as f64 / read as f64
    } else {
        let total = state.total?.checked_sub(state.bytes)?;
        total as f64 / rates.1.max(1.0)
    };
    (seconds < 1e7).then(|| Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_grows_with_what_is_known() {
        let of = |bytes, total| State { bytes, total, ..State::default() };
        assert_eq!(bar(&of(5, None), Some(20)), None);
        let table = [
            (of(0, Some(10)), "               0.0%"),
            (of(5, Some(10)), "######        50.0%"),
            (of(10, Some(10)), "############ 100.0%"),
            // What is undone on the way may be more than what was announced.
            (of(11, Some(10)), "############ 100.0%"),
            (of(0, Some(0)), "               0.0%"),
            (State { read: Some(250_000), ..State::default() }, "###           25.0%"),
        ];
        for (state, want) in table {
            assert_eq!(bar(&state, Some(20)).as_deref(), Some(want));
        }
        assert_eq!(bar(&of(1, Some(1)), None).unwrap().len(), 79);
        assert_eq!(bar(&of(1, Some(1)), Some(3)).unwrap(), " 100.0%");
    }

    #[test]
    fn the_line_fits_a_terminal() {
        let state = State {
            done: 51_234,
            failed: 12,
            in_flight: 24,
            bytes: 52_428_800,
            repeats: 31,
            read: Some(430_000),
            limit: Some(24),
            worst: Some(("refused", 9)),
            total: None,
        };
        let text = line(&state, (1176.0, 1.2e6), Duration::from_secs(44));
        assert_eq!(
            text,
            " 43% 0:44, 0:58 left  51234 done, 12 failed  1176/s  52 MB  1.2 MB/s  24 in flight of 24  31 repeated  9 refused"
        );
        assert_eq!(fitting(&text, Some(200)), text);
        assert_eq!(
            fitting(&text, Some(80)),
            " 43% 0:44, 0:58 left  51234 done, 12 failed  1176/s  52 MB  1.2 MB/s"
        );
        assert_eq!(fitting(&text, Some(7)), " 43% 0:");
        let one =
            State { bytes: 1_000_000, total: Some(5_000_000), in_flight: 1, ..State::default() };
        assert_eq!(
            line(&one, (0.0, 1e6), Duration::from_secs(1)),
            "0:01, 0:04 left  1.0 MB of 5.0 MB  1.0 MB/s  1 in flight"
        );
    }
}
