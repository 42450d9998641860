//! Progress on standard error.

use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};

/// A bar on a terminal, else a line now and then.
pub(crate) struct Progress {
    bar: ProgressBar,
    what: &'static str,
    lines: bool,
    every: u64,
}

/// Lines of progress in a whole run where no bar can be drawn.
const LINES_MAX: usize = 10;

impl Progress {
    /// Of `all` things, which are called `what`.
    pub(crate) fn new(all: usize, what: &'static str, quiet: bool) -> Self {
        let terminal = io::stderr().is_terminal();
        let bar = if quiet || !terminal {
            ProgressBar::hidden()
        } else {
            ProgressBar::new(all as u64)
        };
        bar.set_length(all as u64);
        let template =
            format!("{{bar:30}} {{pos}}/{{len}} {what}  {{per_sec}}  {{eta}} left  {{msg}}");
        bar.set_style(
            ProgressStyle::with_template(&template)
                .expect("the template is fixed but for one word"),
        );
        bar.tick();
        Self {
            bar,
            what,
            lines: !quiet && !terminal,
            every: all.div_ceil(LINES_MAX).max(1) as u64,
        }
    }

    /// One is begun.
    pub(crate) fn begin(&self, label: &str) {
        self.bar.set_message(label.to_owned());
    }

    /// One is done.
    pub(crate) fn end(&self, label: &str) {
        self.bar.set_message(label.to_owned());
        self.bar.inc(1);
        let (done, all) = (self.bar.position(), self.bar.length().unwrap_or_default());
        if self.lines && (done % self.every == 0 || done == all) {
            drop(writeln!(
                io::stderr(),
                "{done}/{all} {} done, the last: {label}",
                self.what
            ));
        }
    }

    /// A line that does not disturb the bar.
    pub(crate) fn say(&self, line: &str) {
        self.bar.suspend(|| drop(writeln!(io::stderr(), "{line}")));
    }

    /// All are done.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
