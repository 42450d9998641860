//! What happened in a stretch of time: two readings, and what lies between them.
//!
//! Nobody reads a clock for this: a reading is taken when somebody asks, or by a task that the
//! settings of telemetry start.

use std::collections::VecDeque;

use serde::Serialize;

use super::{Counts, Latencies, Metrics};

/// How far back a history goes.
const KEPT_NANOS: u64 = 60_000_000_000;

/// Readings that are closer together than this are thinned out once a newer one arrives.
const SPACING_NANOS: u64 = 250_000_000;

/// All that an engine says of itself at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Reading {
    /// The moment, in nanoseconds of the engine's clock.
    pub at_nanos: u64,
    /// Counters and state.
    pub metrics: Metrics,
    /// How long the timed operations took.
    pub latencies: Latencies,
    /// Bytes of the log that are not known to be on the device; None under `wal.sync = "never"`,
    /// which asks for no more.
    pub unsynced_bytes: Option<u64>,
    /// The failure that stopped writes, in words.
    pub failure: Option<String>,
}

/// How long a window is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Span {
    /// Since the reading before.
    Last,
    /// Ten seconds, or a little more.
    TenSeconds,
    /// A minute, or a little more.
    Minute,
    /// Since the engine was opened.
    SinceOpen,
}

impl Span {
    /// Every span.
    pub const ALL: [Self; 4] = [Self::Last, Self::TenSeconds, Self::Minute, Self::SinceOpen];

    fn nanos(self) -> u64 {
        match self {
            Self::Last => 0,
            Self::TenSeconds => 10_000_000_000,
            Self::Minute => KEPT_NANOS,
            Self::SinceOpen => u64::MAX,
        }
    }
}

/// What an engine did between two readings.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Window {
    /// Its length in nanoseconds.
    pub nanos: u64,
    /// What the counters rose by.
    pub counts: Counts,
    /// How long the operations took that were timed in it.
    pub latencies: Latencies,
    /// The reading at its start.
    pub before: Reading,
    /// The reading at its end.
    pub after: Reading,
}

impl Window {
    /// The window between two readings of one engine.
    pub fn between(before: &Reading, after: &Reading) -> Self {
        Self {
            nanos: after.at_nanos.saturating_sub(before.at_nanos),
            counts: after.metrics.counts.since(&before.metrics.counts),
            latencies: after.latencies.since(&before.latencies),
            before: before.clone(),
            after: after.clone(),
        }
    }

    /// A count of the window a second; None for a window without length.
    pub fn rate(&self, count: u64) -> Option<f64> {
        (self.nanos > 0).then(|| count as f64 * 1e9 / self.nanos as f64)
    }
}

/// The last minute of readings, and the first of all.
#[derive(Debug)]
pub(crate) struct History {
    /// The moment when the engine was opened, with all counters at zero.
    opened: Reading,
    /// The oldest first.
    readings: VecDeque<Reading>,
}

impl History {
    /// The history of an engine that was opened at `at_nanos`.
    pub(crate) fn new(at_nanos: u64) -> Self {
        Self {
            opened: Reading {
                at_nanos,
                ..Reading::default()
            },
            readings: VecDeque::new(),
        }
    }

    /// Adds a reading, unless a later one came first. O(1), amortised.
    pub(crate) fn push(&mut self, reading: Reading) {
        let now = reading.at_nanos;
        if self.readings.back().is_some_and(|last| last.at_nanos > now) {
            return;
        }
        let is_close = |one: &Reading, other: &Reading| {
            other.at_nanos.saturating_sub(one.at_nanos) < SPACING_NANOS
        };
        let count = self.readings.len();
        // The last one stays: the shortest window begins with it.
        if count >= 3 && is_close(&self.readings[count - 3], &self.readings[count - 2]) {
            self.readings.remove(count - 2);
        }
        self.readings.push_back(reading);
        let is_old = |reading: &Reading| now.saturating_sub(reading.at_nanos) >= KEPT_NANOS;
        // One that is a minute old stays: a window of a minute begins with it.
        while self.readings.get(1).is_some_and(is_old) {
            self.readings.pop_front();
        }
    }

    /// The window that ends with the newest reading. It is shorter than asked for if the engine was
    /// opened later than its start, and longer if readings are rarer.
    pub(crate) fn window(&self, span: Span) -> Window {
        let Some(after) = self.readings.back() else {
            return Window::default();
        };
        let is_before =
            |reading: &&Reading| after.at_nanos.saturating_sub(reading.at_nanos) >= span.nanos();
        let earlier = self.readings.iter().rev().skip(1);
        let before = earlier.clone().find(is_before).unwrap_or(&self.opened);
        Window::between(before, after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(millis: u64) -> Reading {
        let mut reading = Reading {
            at_nanos: millis * 1_000_000,
            ..Reading::default()
        };
        reading.metrics.counts.gets = millis;
        reading
    }

    /// The start and the end of a window in milliseconds.
    fn ends(history: &History, span: Span) -> (u64, u64) {
        let window = history.window(span);
        let start = window.before.at_nanos / 1_000_000;
        let end = window.after.at_nanos / 1_000_000;
        assert_eq!(window.nanos, (end - start) * 1_000_000);
        assert_eq!(window.counts.gets, end - window.before.metrics.counts.gets);
        (start, end)
    }

    #[test]
    fn a_window_begins_with_the_youngest_reading_that_is_old_enough() {
        let mut history = History::new(1_000_000_000);
        assert_eq!(history.window(Span::Last), Window::default());
        for second in 2..=100 {
            history.push(reading(second * 1_000));
        }
        assert_eq!(ends(&history, Span::Last), (99_000, 100_000));
        assert_eq!(ends(&history, Span::TenSeconds), (90_000, 100_000));
        assert_eq!(ends(&history, Span::Minute), (40_000, 100_000));
        assert_eq!(ends(&history, Span::SinceOpen), (1_000, 100_000));
        assert_eq!(history.readings.len(), 61);
    }

    #[test]
    fn a_young_engine_has_short_windows() {
        let mut history = History::new(1_000_000_000);
        history.push(reading(1_500));
        for span in Span::ALL {
            assert_eq!(ends(&history, span), (1_000, 1_500), "{span:?}");
        }
    }

    #[test]
    fn readings_that_are_close_together_take_no_room() {
        let mut history = History::new(0);
        for milli in 0..50_000 {
            history.push(reading(milli));
        }
        assert!(history.readings.len() < 260, "{}", history.readings.len());
        assert_eq!(ends(&history, Span::Last), (49_998, 49_999));
        let (start, _) = ends(&history, Span::TenSeconds);
        assert!((39_500..=39_999).contains(&start), "{start}");
    }
}
