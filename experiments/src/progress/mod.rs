//! Progress on standard error.

mod metered;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressState, ProgressStyle};

pub(crate) use metered::metered;

/// The most lines of progress in a whole run if no bar can be drawn.
const LINES_MAX: usize = 10;

/// Steps of the bar per thing, so that the part of one that is done can be shown.
const STEPS: u64 = 1000;

/// Progress by things done: a bar on a terminal, else a line now and then.
pub(crate) struct Progress {
    bar: ProgressBar,
    done: Arc<AtomicU64>,
    /// The shares of the things that are being done, by their labels.
    parts: Mutex<BTreeMap<String, f64>>,
    all: u64,
    /// What is counted.
    what: &'static str,
    /// What is known so far; empty if nothing is.
    known: Mutex<String>,
    lines: bool,
    /// Things per line.
    every: u64,
}

impl Progress {
    /// Starts to count up to `all` things, which are called `what`.
    pub(crate) fn new(all: usize, what: &'static str, quiet: bool) -> Self {
        let template = format!("{{bar:30}} {{done}} {what}  {{left}}  {{msg}}");
        let bar = bar(all as u64 * STEPS, quiet, &template);
        let done = Arc::new(AtomicU64::new(0));
        let shown = done.clone();
        let show_done = move |_: &ProgressState, output: &mut dyn fmt::Write| {
            let _ = write!(output, "{}/{all}", shown.load(Ordering::Relaxed));
        };
        bar.set_style(
            style(&template)
                .with_key("done", show_done)
                .with_key("left", show_left),
        );
        bar.tick();
        Self {
            bar,
            done,
            parts: Mutex::default(),
            all: all as u64,
            what,
            known: Mutex::default(),
            lines: !quiet && !io::stderr().is_terminal(),
            every: all.div_ceil(LINES_MAX).max(1) as u64,
        }
    }

    /// Says which one begins.
    pub(crate) fn begin(&self, label: &str) {
        self.bar.set_message(label.to_owned());
    }

    /// Shows what is known so far, beside all that follows.
    pub(crate) fn know(&self, words: String) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = words;
    }

    /// What is known so far, and words on what is being done.
    fn with_known(&self, words: &str) -> String {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match known.as_str() {
            "" => words.to_owned(),
            known => format!("{known}; {words}"),
        }
    }

    /// Whether there is a bar, in which parts of a thing can be seen.
    pub(crate) fn is_shown(&self) -> bool {
        !self.bar.is_hidden()
    }

    /// Shows `share` of the one that is called `label` as done, and `words` on it. Several may be
    /// at work.
    pub(crate) fn within(&self, label: &str, share: f64, words: String) {
        self.bar.set_message(self.with_known(&words));
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.insert(label.to_owned(), share);
        let done = self.done.load(Ordering::Relaxed);
        self.bar.set_position(position(done, &parts));
    }

    /// Counts one.
    pub(crate) fn end(&self, label: &str) {
        self.bar.set_message(self.with_known(label));
        let done = 1 + self.done.fetch_add(1, Ordering::Relaxed);
        let all = self.all;
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.remove(label);
        self.bar.set_position(position(done, &parts));
        drop(parts);
        if self.lines && (done.is_multiple_of(self.every) || done == all) {
            let what = self.what;
            let last = format!("the last: {label}");
            let line = format!("{done}/{all} {what} done, {}", self.with_known(&last));
            drop(writeln!(io::stderr(), "{line}"));
        }
    }

    /// Prints a line without disturbing the bar.
    pub(crate) fn say(&self, line: &str) {
        self.bar.suspend(|| drop(writeln!(io::stderr(), "{line}")));
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// The bar's steps when `done` things are done, and `parts` of others.
fn position(done: u64, parts: &BTreeMap<String, f64>) -> u64 {
    let part = |share: &f64| ((share * STEPS as f64) as u64).min(STEPS - 1);
    done * STEPS + parts.values().map(part).sum::<u64>()
}

/// The time left if the rest goes on as the first `done` of `all` steps; `None` before there was
/// one.
fn time_left(elapsed: Duration, done: u64, all: u64) -> Option<Duration> {
    let left = all.saturating_sub(done) as f64 / done as f64;
    Duration::try_from_secs_f64(elapsed.as_secs_f64() * left).ok()
}

fn show_left(state: &ProgressState, output: &mut dyn fmt::Write) {
    let all = state.len().unwrap_or_default();
    if let Some(left) = time_left(state.elapsed(), state.pos(), all) {
        let _ = write!(output, "{:#} left", HumanDuration(left));
    }
}

/// Progress in percent: a bar on a terminal, else nothing.
pub(crate) struct Percent(ProgressBar);

impl Percent {
    /// Starts to count up to `steps`.
    pub(crate) fn new(steps: u64, label: &str, quiet: bool) -> Self {
        let bar = bar(steps, quiet, "{bar:30} {percent} %  {eta} left  {msg}");
        bar.set_message(label.to_owned());
        Self(bar)
    }

    /// Counts one step.
    pub(crate) fn step(&self) {
        self.0.inc(1);
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}

/// A live view of what other processes do: a bar and some lines below it, on a terminal.
pub(crate) struct Live(ProgressBar);

impl Live {
    /// Begins a view of `all` things.
    pub(crate) fn new(all: u64) -> Self {
        Self(bar(all, false, "{bar:40} {percent} %\n{msg}"))
    }

    /// Begins a view of lines alone.
    pub(crate) fn lines() -> Self {
        Self(bar(0, false, "{msg}"))
    }

    /// Shows that `done` are done, and `lines` about the rest.
    pub(crate) fn show(&self, done: u64, lines: &str) {
        self.0.set_position(done);
        self.0.set_message(lines.to_owned());
        self.0.tick();
    }

    /// Removes the view.
    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}

/// A bar, hidden if standard error is no terminal or nobody wants it.
fn bar(length: u64, quiet: bool, template: &str) -> ProgressBar {
    let bar = if quiet || !io::stderr().is_terminal() {
        ProgressBar::hidden()
    } else {
        ProgressBar::new(length)
    };
    bar.set_length(length);
    bar.set_style(style(template));
    bar
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("templates are constants but for one word")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_those_at_work_move_the_bar_but_never_to_the_next() {
        let at = |done, shares: &[f64]| {
            let labels = ["a", "b"].map(str::to_owned).into_iter();
            position(done, &labels.zip(shares.iter().copied()).collect())
        };
        assert_eq!(at(0, &[]), 0);
        assert_eq!(at(2, &[0.25]), 2250);
        assert_eq!(at(2, &[1.0]), 2999);
        assert_eq!(at(2, &[0.75, 0.5]), 3250);
        assert_eq!(at(3, &[]), 3000);
    }

    #[test]
    fn one_that_ends_takes_its_part_with_it() {
        let progress = Progress::new(4, "trials", true);
        progress.within("a", 0.5, "a: load 50 %".to_owned());
        progress.within("b", 0.25, "b: load 25 %".to_owned());
        progress.within("a", 0.75, "a: run 10 %".to_owned());
        assert_eq!(progress.bar.position(), 1000);
        progress.end("a");
        assert_eq!(progress.bar.position(), 1250);
        assert_eq!(progress.bar.message(), "a");
    }

    #[test]
    fn the_time_left_is_as_the_time_before() {
        let minute = Duration::from_secs(60);
        assert_eq!(time_left(minute, 1000, 4000), Some(3 * minute));
        assert_eq!(time_left(minute, 4000, 4000), Some(Duration::ZERO));
        assert_eq!(time_left(minute, 0, 4000), None);
        assert_eq!(time_left(Duration::ZERO, 0, 0), None);
    }
}
