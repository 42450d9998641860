//! Progress on standard error.

mod metered;

use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};

pub(crate) use metered::metered;

/// The most lines of progress in a whole run if no bar can be drawn.
const LINES_MAX: usize = 10;

/// Progress by things done: a bar on a terminal, else a line now and then.
pub(crate) struct Progress {
    bar: ProgressBar,
    /// What is counted.
    what: &'static str,
    lines: bool,
    /// Things per line.
    every: u64,
}

impl Progress {
    /// Starts to count up to `all` things, which are called `what`.
    pub(crate) fn new(all: usize, what: &'static str, quiet: bool) -> Self {
        let bar = bar(
            all as u64,
            quiet,
            &format!("{{bar:30}} {{pos}}/{{len}} {what}  {{per_sec}}  {{eta}} left  {{msg}}"),
        );
        bar.tick();
        Self {
            bar,
            what,
            lines: !quiet && !io::stderr().is_terminal(),
            every: all.div_ceil(LINES_MAX).max(1) as u64,
        }
    }

    /// Says which one begins.
    pub(crate) fn begin(&self, label: &str) {
        self.bar.set_message(label.to_owned());
    }

    /// Counts one.
    pub(crate) fn end(&self, label: &str) {
        self.bar.set_message(label.to_owned());
        self.bar.inc(1);
        let done = self.bar.position();
        let all = self.bar.length().unwrap_or_default();
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
