//! One window of a trial as metrics see it, and the arithmetic that several of them share.
//!
//! A window is charged with what it caused: the bytes written in it, and the rise of the unpaid
//! debt. Debt is estimated at most boundaries: the bytes in memtables' logs, and what the layout
//! and the collector say is due. At the end of the last phase it is known: it is what the drain
//! wrote.

use aura_engine::Counts;
use aura_engine::env::sim::SimStats;
use hdrhistogram::Histogram;

use super::recovery::{Recovery, final_hit_ratio, recovery};
use crate::record::{OpClass, PhaseMeasure, ProcessUse, SpaceMeasure, TrialResult, Window};

/// Unpaid work where a window begins and where it ends, in bytes to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unpaid {
    /// At the start.
    pub before: u64,
    /// At the end.
    pub after: u64,
}

/// What a metric is computed from: one window of a trial.
pub struct PhaseFacts<'a> {
    /// What the trial measured.
    pub measure: &'a PhaseMeasure,
    /// The engine's counters over the window: those at its end less those at its start.
    pub counts: Counts,
    /// Work that is unpaid at its ends.
    pub debt: Unpaid,
    /// Bytes at the end of the trial; `None` in all windows but `whole`.
    pub space: Option<SpaceMeasure>,
    /// The simulated device's write bandwidth; `None` in the real world or if it has no limit.
    pub device_write_bytes_per_s: Option<u64>,
    /// Bytes written to files over the window, for any reason.
    pub written: u64,
}

/// A statistic of a latency histogram.
#[derive(Clone, Copy)]
pub(super) enum Statistic {
    Mean,
    Quantile(f64),
    Max,
}

/// Hits and misses of one kind of request to the cache.
#[derive(Clone, Copy)]
pub(super) struct Hits {
    pub(super) hits: u64,
    pub(super) misses: u64,
}

impl Hits {
    /// Hits over requests; `None` without a request.
    pub(super) fn ratio(self) -> Option<f64> {
        ratio(self.hits, self.hits + self.misses)
    }
}

/// `part / whole`; `None` if the whole is zero.
pub(super) fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// A count, which is always defined.
pub(super) fn count(value: u64) -> Option<f64> {
    Some(value as f64)
}

impl<'a> PhaseFacts<'a> {
    /// The facts of a trial's windows, in order.
    pub fn of(trial: &'a TrialResult) -> Vec<Self> {
        let mut facts: Vec<Self> = Vec::with_capacity(trial.phases.len());
        let mut before = 0;
        for (at, measure) in trial.phases.iter().enumerate() {
            let is_whole = measure.window() == Window::Whole;
            let after = unpaid_after(trial, at);
            facts.push(Self {
                measure,
                counts: measure.after.counts.since(&measure.before.counts),
                debt: Unpaid {
                    before: if is_whole { 0 } else { before },
                    after,
                },
                space: is_whole.then_some(trial.space),
                device_write_bytes_per_s: trial.device_write_bytes_per_s,
                written: written(trial, measure),
            });
            before = after;
        }
        facts
    }

    /// `written` bytes and the rise of debt.
    pub(crate) fn charged(&self, written: u64) -> f64 {
        written as f64 + self.deferred()
    }

    /// The rise of debt; negative if it fell.
    fn deferred(&self) -> f64 {
        self.debt.after as f64 - self.debt.before as f64
    }

    /// The rise of debt over the bytes written; `None` if nothing was written.
    pub(super) fn deferred_ratio(&self) -> Option<f64> {
        (self.written > 0).then(|| self.deferred() / self.written as f64)
    }

    /// `written` bytes and the rise of debt over the bytes that users wrote; `None` if they wrote
    /// nothing, or if an estimate of debt at the start was too high by more than all of it.
    pub(super) fn amplification(&self, written: u64) -> Option<f64> {
        let user = self.counts.user_write_bytes;
        let charged = self.charged(written);
        (user > 0 && charged > 0.0).then(|| charged / user as f64)
    }

    /// Operations of all classes.
    pub(super) fn operations(&self) -> u64 {
        self.measure.operations.values().sum()
    }

    pub(super) fn seconds(&self) -> f64 {
        self.measure.nanos as f64 / 1e9
    }

    /// `operations` a second; `None` if there were none.
    pub(super) fn rate(&self, operations: u64) -> Option<f64> {
        (operations > 0).then(|| operations as f64 / self.seconds())
    }

    /// Operations of one class a second.
    pub(super) fn throughput(&self, class: OpClass) -> Option<f64> {
        self.rate(*self.measure.operations.get(&class)?)
    }

    /// Microseconds from the (intended) start to the end.
    pub(super) fn latency(&self, class: OpClass, statistic: Statistic) -> Option<f64> {
        micros(self.measure.latency.get(&class)?, statistic)
    }

    /// Microseconds from the actual start to the end.
    pub(super) fn service(&self, class: OpClass, statistic: Statistic) -> Option<f64> {
        micros(self.measure.service.get(&class)?, statistic)
    }

    /// Microseconds from the intended start to the actual one, of operations whose client was idle.
    pub(super) fn pacing_error(&self, statistic: Statistic) -> Option<f64> {
        micros(self.measure.pacing.as_ref()?, statistic)
    }

    /// A share of the phase's time.
    pub(super) fn of_time(&self, nanos: u64) -> Option<f64> {
        ratio(nanos, self.measure.nanos)
    }

    /// What a counter of the simulated device or CPU rose by; `None` in the real world.
    pub(super) fn simulated(&self, counter: fn(&SimStats) -> u64) -> Option<u64> {
        let before = self.measure.device_before.as_ref()?;
        let after = self.measure.device_after.as_ref()?;
        Some(counter(after) - counter(before))
    }

    /// What a counter of the process rose by; `None` in a simulation.
    pub(super) fn process(&self, counter: fn(&ProcessUse) -> u64) -> Option<u64> {
        rise_of_process(self.measure, counter)
    }

    /// The share of the bytes read that the system's page cache answered.
    pub(super) fn page_cache_ratio(&self) -> Option<f64> {
        let asked = self.process(|used| used.asked)?;
        let from_device = self.process(|used| used.from_device)?;
        // What was read ahead may be more than what was asked for.
        ratio(asked - from_device.min(asked), asked)
    }

    /// Bytes written a second over the device's write bandwidth.
    pub(super) fn write_bandwidth_ratio(&self) -> Option<f64> {
        let bandwidth = self.device_write_bytes_per_s?;
        Some(self.written as f64 * 1e9 / self.measure.nanos as f64 / bandwidth as f64)
    }

    /// A value over the entries in tables at the end.
    pub(super) fn per_entry(&self, bytes: u64) -> Option<f64> {
        ratio(bytes, self.measure.after.table_entries())
    }

    /// Hits of cached rows, whether they hold values or pointers.
    pub(super) fn row_hits(&self) -> Hits {
        let counts = &self.counts;
        Hits {
            hits: counts.key_value_hits + counts.key_pointer_hits,
            misses: counts.key_value_misses + counts.key_pointer_misses,
        }
    }

    /// Hits of scans, of every kind of object.
    pub(super) fn scan_hits(&self) -> Hits {
        Hits {
            hits: self.counts.scan_hits,
            misses: self.counts.scan_misses,
        }
    }

    /// Hits of point reads, of every kind of object: all hits but those of scans.
    pub(super) fn point_hits(&self) -> Hits {
        let counts = &self.counts;
        let rows = self.row_hits();
        let hits = counts.block_hits
            + counts.value_hits
            + counts.index_hits
            + counts.filter_hits
            + rows.hits;
        let misses = counts.block_misses
            + counts.value_misses
            + counts.index_misses
            + counts.filter_misses
            + rows.misses;
        Hits {
            hits: hits - counts.scan_hits,
            misses: misses - counts.scan_misses,
        }
    }

    /// The hit ratio of data, index and filter blocks of one level.
    pub(super) fn level_hit_ratio(&self, level: usize) -> Option<f64> {
        let hits = self.counts.level_hits[level];
        let misses = self.counts.level_misses[level];
        Hits { hits, misses }.ratio()
    }

    /// A count of what an agent did; `None` if none has decided anything since the engine was
    /// opened.
    pub(super) fn of_agent(&self, value: u64) -> Option<f64> {
        let so_far = &self.measure.after.counts;
        (so_far.agent_actions + so_far.agent_refused > 0).then_some(value as f64)
    }

    /// A count of what became of a self-tuner's proposals; `None` if there has been none since the
    /// engine was opened.
    pub(super) fn of_self_tuner(&self, value: u64) -> Option<f64> {
        let so_far = &self.measure.after.counts;
        (so_far.self_tuning_proposed > 0).then_some(value as f64)
    }

    /// What a counter of the cache rose by.
    pub(super) fn cache_rise(&self, counter: fn(&aura_engine::CacheStats) -> u64) -> Option<f64> {
        let before = counter(&self.measure.before.cache);
        let after = counter(&self.measure.after.cache);
        count(after.saturating_sub(before))
    }

    pub(super) fn settled_hit_ratio(&self) -> Option<f64> {
        final_hit_ratio(&self.measure.series)
    }

    /// The best possible hit ratio for data blocks; `None` without a recorded trace.
    pub(super) fn bound_hit_ratio(&self) -> Option<f64> {
        let bound = self.measure.cache_bound?;
        ratio(bound.hits, bound.asked)
    }

    pub(super) fn recovery(&self) -> Option<Recovery> {
        recovery(&self.measure.series, self.bound_hit_ratio()?)
    }
}

/// Work that is unpaid at the end of a window, in bytes to write.
fn unpaid_after(trial: &TrialResult, at: usize) -> u64 {
    let windows = &trial.phases;
    match (windows[at].window(), windows.get(at + 1)) {
        (Window::Drain | Window::Whole, _) => 0,
        (_, Some(drain)) if drain.window() == Window::Drain => written(trial, drain),
        _ => windows[at].after.debt_bytes + windows[at].after.wal_file_bytes,
    }
}

/// Bytes written to files in a window: as the engine counts them, or else the system.
fn written(trial: &TrialResult, window: &PhaseMeasure) -> u64 {
    if trial.measures.writes_of_process {
        return rise_of_process(window, |used| used.written).unwrap_or(0);
    }
    let counts = window.after.counts.since(&window.before.counts);
    counts.device_write_bytes()
}

fn rise_of_process(window: &PhaseMeasure, counter: fn(&ProcessUse) -> u64) -> Option<u64> {
    let before = counter(window.process_before.as_ref()?);
    let after = counter(window.process_after.as_ref()?);
    Some(after.saturating_sub(before))
}

fn micros(histogram: &Histogram<u64>, statistic: Statistic) -> Option<f64> {
    if histogram.is_empty() {
        return None;
    }
    let nanos = match statistic {
        Statistic::Mean => histogram.mean(),
        Statistic::Quantile(quantile) => histogram.value_at_quantile(quantile) as f64,
        Statistic::Max => histogram.max() as f64,
    };
    Some(nanos / 1e3)
}
