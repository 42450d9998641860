//! How far a trial has come, for people who wait for it.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use aura_engine::env::Clock;
use serde::{Deserialize, Serialize};

/// Operations that a client does before it counts them: counting each would have clients share a
/// cache line.
pub(super) const COUNTED_EVERY: u64 = 64;

/// Nanoseconds from one report to the next.
const REPORTS_APART_NANOS: u64 = 500_000_000;

/// What a line of progress begins with.
const MARK: &str = "progress ";

/// Is called now and then while a real trial runs.
pub type Watcher = Box<dyn Fn(&Advance) + Send + Sync>;

/// How far a trial has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Advance {
    /// The window that it is in.
    pub window: String,
    /// The share of the window's operations that are done; `None` in a wait.
    pub of_window: Option<f64>,
    /// The share of the trial's operations that are done.
    pub of_trial: f64,
}

impl fmt::Display for Advance {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.of_window {
            Some(share) => write!(formatter, "{} {:.0} %", self.window, 100.0 * share),
            None => formatter.write_str(&self.window),
        }
    }
}

impl Advance {
    /// The line in which a trial's process says it to its parent.
    pub fn to_line(&self) -> String {
        let json = serde_json::to_string(self).expect("it is plain data");
        format!("{MARK}{json}\n")
    }

    /// Reads such a line; `None` if it is another one.
    pub fn from_line(line: &str) -> Option<Self> {
        serde_json::from_str(line.strip_prefix(MARK)?).ok()
    }
}

/// Counts a trial's operations.
pub(super) struct Meter {
    /// Operations of the trial.
    total: u64,
    done: AtomicU64,
    window: Mutex<Entered>,
}

/// The window that a trial is in.
#[derive(Default)]
struct Entered {
    name: String,
    operations: u64,
    /// Operations done before it.
    before: u64,
}

impl Meter {
    pub(super) fn new(total: u64) -> Self {
        Self {
            total,
            done: AtomicU64::new(0),
            window: Mutex::new(Entered {
                name: "open".to_owned(),
                ..Entered::default()
            }),
        }
    }

    /// Notes that a window of `operations` begins.
    pub(super) fn enter(&self, name: &str, operations: u64) {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        *window = Entered {
            name: name.to_owned(),
            operations,
            before: self.done.load(Ordering::Relaxed),
        };
    }

    /// Counts operations that are done.
    pub(super) fn add(&self, operations: u64) {
        self.done.fetch_add(operations, Ordering::Relaxed);
    }

    fn advance(&self) -> Advance {
        let window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let done = self.done.load(Ordering::Relaxed);
        let share = |part: u64, whole: u64| (part as f64 / whole.max(1) as f64).min(1.0);
        let in_window = done.saturating_sub(window.before);
        Advance {
            window: window.name.clone(),
            of_window: (window.operations > 0).then(|| share(in_window, window.operations)),
            of_trial: share(done, self.total),
        }
    }
}

/// Reports to `watcher` until the meter is gone.
pub(super) async fn report(meter: Weak<Meter>, clock: Arc<dyn Clock>, watcher: Watcher) {
    while let Some(meter) = meter.upgrade() {
        watcher(&meter.advance());
        drop(meter);
        clock.sleep(REPORTS_APART_NANOS).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_the_window_and_of_the_trial() {
        let meter = Meter::new(400);
        meter.enter("load", 100);
        meter.add(64);
        let advance = meter.advance();
        assert_eq!(advance.to_string(), "load 64 %");
        assert_eq!(advance.of_trial, 0.16);
        meter.add(36);
        meter.enter("settle", 0);
        let settle = meter.advance();
        assert_eq!(settle.to_string(), "settle");
        assert_eq!((settle.of_window, settle.of_trial), (None, 0.25));
        meter.enter("run", 300);
        meter.add(150);
        let run = meter.advance();
        assert_eq!((run.of_window, run.of_trial), (Some(0.5), 0.625));
    }

    #[test]
    fn a_line_is_read_back_and_others_are_left_alone() {
        let advance = Advance {
            window: "load of \"x\"".to_owned(),
            of_window: Some(0.25),
            of_trial: 0.125,
        };
        let line = advance.to_line();
        assert_eq!(line.lines().count(), 1);
        assert_eq!(Advance::from_line(line.trim_end()), Some(advance));
        assert_eq!(Advance::from_line("progress was made"), None);
        assert_eq!(Advance::from_line("it panicked"), None);
    }
}
