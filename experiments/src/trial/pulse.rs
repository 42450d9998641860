//! How far a trial has come, for people who wait for it.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use aura_engine::env::Clock;
use aura_engine::{Health, Reading};
use serde::{Deserialize, Serialize};

use crate::endpoint::open_metrics;

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

/// Who looks on while a trial runs.
pub struct Onlooker {
    /// What is called.
    pub watcher: Watcher,
    /// Whether it is shown the engine's metrics.
    pub metrics: bool,
}

/// What an engine says of itself at the moment.
pub(super) type Vitals = Box<dyn Fn() -> Option<(Reading, Health)> + Send + Sync>;

/// How far a trial has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Advance {
    /// The window that it is in.
    pub window: String,
    /// The share of the window's operations that are done, or of its duration; `None` in a wait for
    /// the background.
    pub of_window: Option<f64>,
    /// The share of the trial's operations that are done. A phase that only time ends counts as
    /// many as the load.
    pub of_trial: f64,
    /// The engine's metrics as OpenMetrics text, if they are asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<String>,
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

/// What there is to do in a window. Whichever of the two ends first ends it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    /// Operations, if they are counted; else 0.
    pub(super) operations: u64,
    /// Its duration, if it has one.
    pub(super) nanos: Option<u64>,
}

impl Extent {
    /// The weight of the window in the trial: its operations. Those of a window that only time ends
    /// are not known; it counts as much as the load, `of_load`.
    fn weight(&self, of_load: u64) -> u64 {
        match (self.operations, self.nanos) {
            (0, Some(_)) => of_load,
            (operations, _) => operations,
        }
    }
}

/// Counts a trial's operations.
pub(super) struct Meter {
    /// The weight of the trial's windows together.
    total: u64,
    /// The weight of the load.
    of_load: u64,
    done: AtomicU64,
    window: Mutex<Entered>,
    watched: OnceLock<Watched>,
    /// The engine, while it is open and somebody may look at it.
    vitals: Mutex<Option<Vitals>>,
}

/// Who is called, with which time, and when.
struct Watched {
    onlooker: Onlooker,
    clock: Arc<dyn Clock>,
    /// Whether it is called as operations are done and windows begin, rather than at times.
    by_work: bool,
}

/// The window that a trial is in.
#[derive(Default)]
struct Entered {
    name: String,
    extent: Extent,
    /// Operations done before it.
    before: u64,
    /// The weight of the windows before it.
    passed: u64,
    /// When it was first looked at, in nanoseconds.
    seen: Option<u64>,
}

impl Meter {
    /// Begins to count; the first of the windows is the load.
    pub(super) fn new(windows: impl Iterator<Item = Extent>) -> Self {
        let mut windows = windows.peekable();
        let of_load = windows.peek().map_or(0, |load| load.operations);
        Self {
            total: windows.map(|window| window.weight(of_load)).sum(),
            of_load,
            done: AtomicU64::new(0),
            window: Mutex::new(Entered {
                name: "open".to_owned(),
                ..Entered::default()
            }),
            watched: OnceLock::new(),
            vitals: Mutex::default(),
        }
    }

    /// Has `onlooker` called by [`report`], at the time of `clock`; with `by_work`, also as
    /// operations are done and windows begin. In a simulation, where a report at given times would
    /// be an event, this changes nothing that is simulated.
    pub(super) fn watch(&self, onlooker: Onlooker, clock: Arc<dyn Clock>, by_work: bool) {
        // There is one at most, which the caller knows.
        drop(self.watched.set(Watched {
            onlooker,
            clock,
            by_work,
        }));
    }

    /// Whether somebody looks at the engine's metrics.
    pub(super) fn shows_metrics(&self) -> bool {
        self.watched.get().is_some_and(|it| it.onlooker.metrics)
    }

    /// Reports how far the trial is, if somebody looks on.
    fn report(&self) {
        if let Some(watched) = self.watched.get() {
            let mut advance = self.advance(watched.clock.now());
            advance.metrics = self.shows_metrics().then(|| self.metrics()).flatten();
            (watched.onlooker.watcher)(&advance);
        }
    }

    fn report_by_work(&self) {
        if self.watched.get().is_some_and(|watched| watched.by_work) {
            self.report();
        }
    }

    /// Shows onlookers another engine, or none any more.
    pub(super) fn show(&self, vitals: Option<Vitals>) {
        *self.vitals.lock().unwrap_or_else(PoisonError::into_inner) = vitals;
    }

    /// The engine's metrics as text, if it is open.
    fn metrics(&self) -> Option<String> {
        let vitals = self.vitals.lock().unwrap_or_else(PoisonError::into_inner);
        let (reading, health) = vitals.as_ref()?()?;
        drop(vitals);
        Some(open_metrics(reading, health))
    }

    /// Notes that a window begins.
    pub(super) fn enter(&self, name: &str, extent: &Extent) {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        *window = Entered {
            name: name.to_owned(),
            extent: *extent,
            before: self.done.load(Ordering::Relaxed),
            passed: window.passed + window.extent.weight(self.of_load),
            seen: None,
        };
        drop(window);
        self.report_by_work();
    }

    /// Counts operations that are done.
    pub(super) fn add(&self, operations: u64) {
        let before = self.done.fetch_add(operations, Ordering::Relaxed);
        if self.watched.get().is_some() {
            let report =
                |done: u64| u128::from(done) * u128::from(REPORTS) / u128::from(self.total.max(1));
            if report(before) != report(before + operations) {
                self.report_by_work();
            }
        }
    }

    /// How far the trial is at `now`.
    fn advance(&self, now: u64) -> Advance {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let done = self.done.load(Ordering::Relaxed);
        let share = |part: u64, whole: u64| (part as f64 / whole.max(1) as f64).min(1.0);
        let Extent { operations, nanos } = window.extent;
        let in_window = done.saturating_sub(window.before);
        let by_count = (operations > 0).then(|| share(in_window, operations));
        let begun = *window.seen.get_or_insert(now);
        let by_time = nanos.map(|nanos| share(now - begun, nanos));
        let of_window = match (by_count, by_time) {
            (Some(count), Some(time)) => Some(count.max(time)),
            (count, time) => count.or(time),
        };
        let weight = window.extent.weight(self.of_load) as f64;
        let passed = window.passed as f64 + weight * of_window.unwrap_or(0.0);
        Advance {
            window: window.name.clone(),
            of_window,
            of_trial: (passed / self.total.max(1) as f64).min(1.0),
            metrics: None,
        }
    }
}

/// Reports now and then, until the meter is gone.
pub(super) async fn report(meter: Weak<Meter>, clock: Arc<dyn Clock>) {
    while let Some(meter) = meter.upgrade() {
        meter.report();
        drop(meter);
        clock.sleep(REPORTS_APART_NANOS).await;
    }
}

#[cfg(test)]
mod tests {
    use aura_engine::env::sim::{SimConfig, SimWorld};

    use super::*;

    fn counted(operations: u64) -> Extent {
        Extent {
            operations,
            nanos: None,
        }
    }

    #[test]
    fn shares_are_of_the_window_and_of_the_trial() {
        let meter = Meter::new([counted(100), counted(300)].into_iter());
        meter.enter("load", &counted(100));
        meter.add(64);
        let advance = meter.advance(0);
        assert_eq!(advance.to_string(), "load 64 %");
        assert_eq!(advance.of_trial, 0.16);
        meter.add(36);
        meter.enter("settle", &counted(0));
        let settle = meter.advance(0);
        assert_eq!(settle.to_string(), "settle");
        assert_eq!((settle.of_window, settle.of_trial), (None, 0.25));
        meter.enter("run", &counted(300));
        meter.add(150);
        let run = meter.advance(0);
        assert_eq!((run.of_window, run.of_trial), (Some(0.5), 0.625));
    }

    #[test]
    fn a_watcher_is_called_as_operations_are_done_and_not_at_each() {
        let meter = Meter::new([counted(100_000)].into_iter());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = seen.clone();
        let watcher: Watcher = Box::new(move |advance| {
            noted.lock().expect("no panic").push(advance.of_trial);
        });
        let world = SimWorld::new(&SimConfig::default());
        let onlooker = Onlooker {
            watcher,
            metrics: false,
        };
        meter.watch(onlooker, world.env().clock, true);
        meter.enter("load", &counted(100_000));
        for _ in 0..10_000 {
            meter.add(10);
        }
        let seen = seen.lock().expect("no panic");
        assert_eq!(seen.len() as u64, REPORTS + 1);
        assert!(seen.is_sorted() && seen.last() == Some(&1.0), "{seen:?}");
    }

    #[test]
    fn a_window_that_time_ends_goes_by_time() {
        let timed = Extent {
            operations: 0,
            nanos: Some(1000),
        };
        let either = Extent {
            operations: 200,
            nanos: Some(1000),
        };
        let windows = [counted(100), timed, either];
        let meter = Meter::new(windows.into_iter());
        meter.enter("load", &windows[0]);
        meter.add(100);
        meter.enter("timed", &windows[1]);
        assert_eq!(meter.advance(5000).of_window, Some(0.0));
        // Its operations are not counted: it weighs as much as the load.
        let half = meter.advance(5500);
        assert_eq!((half.of_window, half.of_trial), (Some(0.5), 0.375));
        meter.enter("either", &windows[2]);
        meter.add(50);
        assert_eq!(meter.advance(6000).of_window, Some(0.25));
        assert_eq!(meter.advance(6400).of_window, Some(0.4));
    }

    #[test]
    fn a_line_is_read_back_and_others_are_left_alone() {
        let advance = Advance {
            window: "load of \"x\"".to_owned(),
            of_window: Some(0.25),
            of_trial: 0.125,
            metrics: Some("aura_clock_seconds 1\n# EOF\n".to_owned()),
        };
        let line = advance.to_line();
        assert_eq!(line.lines().count(), 1);
        assert_eq!(Advance::from_line(line.trim_end()), Some(advance));
        assert_eq!(Advance::from_line("progress was made"), None);
        assert_eq!(Advance::from_line("it panicked"), None);
    }
}
