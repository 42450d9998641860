//! Progress on standard error.

mod metered;

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
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
    done: AtomicU64,
    all: u64,
    /// What is counted.
    what: &'static str,
    lines: bool,
    /// Things per line.
    every: u64,
}

impl Progress {
    /// Starts to count up to `all` things, which are called `what`.
    pub(crate) fn new(all: usize, what: &'static str, quiet: bool) -> Self {
        let template = format!("{{bar:30}} {{done}} {what}  {{left}}  {{msg}}");
        let bar = bar(all as u64 * STEPS, quiet, &template);
        bar.set_style(
            style(&template)
                .with_key("done", show_done)
                .with_key("left", show_left),
        );
        bar.tick();
        Self {
            bar,
            done: AtomicU64::new(0),
            all: all as u64,
            what,
            lines: !quiet && !io::stderr().is_terminal(),
            every: all.div_ceil(LINES_MAX).max(1) as u64,
        }
    }

    /// Says which one begins.
    pub(crate) fn begin(&self, label: &str) {
        self.bar.set_message(label.to_owned());
    }

    /// Whether there is a bar, in which parts of a thing can be seen.
    pub(crate) fn is_shown(&self) -> bool {
        !self.bar.is_hidden()
    }

    /// Shows `share` of the present one as done, and `words` on it.
    pub(crate) fn within(&self, share: f64, words: String) {
        let done = self.done.load(Ordering::Relaxed);
        self.bar.set_message(words);
        self.bar.set_position(position(done, share));
    }

    /// Counts one.
    pub(crate) fn end(&self, label: &str) {
        self.bar.set_message(label.to_owned());
        let done = 1 + self.done.fetch_add(1, Ordering::Relaxed);
        let all = self.all;
        self.bar.set_position(position(done, 0.0));
        if self.lines && (done.is_multiple_of(self.every) || done == all) {
            let what = self.what;
            let line = format!("{done}/{all} {what} done, the last: {label}");
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

/// The bar's steps when `done` things are done, and `share` of the next one.
fn position(done: u64, share: f64) -> u64 {
    let part = (share * STEPS as f64) as u64;
    done * STEPS + part.min(STEPS - 1)
}

/// The time left if the rest goes on as the first `done` of `all` steps; `None` before there was
/// one.
fn time_left(elapsed: Duration, done: u64, all: u64) -> Option<Duration> {
    let left = all.saturating_sub(done) as f64 / done as f64;
    Duration::try_from_secs_f64(elapsed.as_secs_f64() * left).ok()
}

fn show_done(state: &ProgressState, output: &mut dyn fmt::Write) {
    let all = state.len().unwrap_or_default() / STEPS;
    let _ = write!(output, "{}/{all}", state.pos() / STEPS);
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
    fn the_part_of_one_that_is_done_moves_the_bar_but_never_to_the_next() {
        assert_eq!(position(0, 0.0), 0);
        assert_eq!(position(2, 0.25), 2250);
        assert_eq!(position(2, 1.0), 2999);
        assert_eq!(position(3, 0.0), 3000);
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
