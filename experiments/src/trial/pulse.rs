//! How far a trial has come, for people who wait for it.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use aura_engine::env::Clock;
use serde::{Deserialize, Serialize};

/// Operations that a client does before it counts them: counting each would have clients share a
/// cache line.
pub(super) const COUNTED_EVERY: u64 = 64;

/// Nanoseconds from one report to the next.
const REPORTS_APART_NANOS: u64 = 500_000_000;

/// Reports over a whole simulated trial, if it reports by what is done.
const REPORTS: u64 = 200;

/// What a line of progress begins with.
const MARK: &str = "progress ";

/// Is called now and then while a trial runs.
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
    /// Is called as operations are done.
    watcher: OnceLock<Watcher>,
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
            watcher: OnceLock::new(),
        }
    }

    /// Has `watcher` called as operations are done and windows begin. In a simulation, where a
    /// report at given times would be an event, this changes nothing that is simulated.
    pub(super) fn watch(&self, watcher: Watcher) {
        // There is one at most, which the caller knows.
        drop(self.watcher.set(watcher));
    }

    /// Notes that a window of `operations` begins.
    pub(super) fn enter(&self, name: &str, operations: u64) {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        *window = Entered {
            name: name.to_owned(),
            operations,
            before: self.done.load(Ordering::Relaxed),
        };
        drop(window);
        if let Some(watcher) = self.watcher.get() {
            watcher(&self.advance());
        }
    }

    /// Counts operations that are done.
    pub(super) fn add(&self, operations: u64) {
        let before = self.done.fetch_add(operations, Ordering::Relaxed);
        if let Some(watcher) = self.watcher.get() {
            let report =
                |done: u64| u128::from(done) * u128::from(REPORTS) / u128::from(self.total.max(1));
            if report(before) != report(before + operations) {
                watcher(&self.advance());
            }
        }
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
    fn a_watcher_is_called_as_operations_are_done_and_not_at_each() {
        let meter = Meter::new(100_000);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = seen.clone();
        meter.watch(Box::new(move |advance| {
            noted.lock().expect("no panic").push(advance.of_trial);
        }));
        meter.enter("load", 100_000);
        for _ in 0..10_000 {
            meter.add(10);
        }
        let seen = seen.lock().expect("no panic");
        assert_eq!(seen.len() as u64, REPORTS + 1);
        assert!(seen.is_sorted() && seen.last() == Some(&1.0), "{seen:?}");
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
