//! Two settings compared at the same time: a split.
//!
//! ```text
//!   load, A on both halves --> windows 1, 2, 3 ..   how the halves differ, window by window
//!   load, A on one, B on the other --> windows 1, 2, 3 ..   each against the same window before
//! ```
//!
//! The keys are divided by hash into two halves, and each half is a tree of its own under one log
//! ([`aura_engine::SplitBuilder`]), with half of the cache, of the memtable and of the I/O limit. A
//! and B run at the same time on one stream of operations, and each operation belongs to the side
//! of its key. Which half is B's is drawn from the seed.
//!
//! The halves are fixed, and no two halves are alike: one has the hotter keys. So B's half is not
//! held against A's alone. First A runs on both halves; then the database is loaded afresh with A
//! on the one and B on the other, and each window repeats the operations of the window with its
//! number under A and A. What B's half differs by from A's then, less what it differed by before,
//! is one pair: a difference in differences. The chance of a window is in both, and the correction
//! has no error of its own beside that of the pairs. A fresh load each time lets settings be
//! compared that a running engine cannot change, and those that act as the tree is written.
//!
//! Only what a side's own counters and its own operations give can be compared: see [`gives`]. The
//! sides interfere: they share one log, device and CPU, and writers of both wait if one stalls. So
//! times under a B that takes more than its share of the device are worse for A as well, and their
//! difference is too small; counts of reads, hits and bytes are not touched by that.
//!
//! Source: the difference in differences of Card and Krueger, "Minimum Wages and Employment",
//! American Economic Review 1994; as a covariate from before the experiment, Deng, Xu, Kohavi and
//! Walker, "Improving the Sensitivity of Online Controlled Experiments by Utilizing Pre-Experiment
//! Data", WSDM 2013.

use super::Side;
use crate::metrics::{self, Scale};
use crate::store::TidyRow;

/// The metrics that the counters of one side give.
const OF_A_SIDE: &[&str] = &[
    "read.amplification",
    "read.found_ratio",
    "write.amplification",
    "device.reads_per_get",
    "cache.hit_ratio",
    "cache.point_hit_ratio",
    "cache.scan_hit_ratio",
    "cache.value_hit_ratio",
    "cache.index_hit_ratio",
    "cache.filter_hit_ratio",
    "cache.row_hit_ratio",
    "cache.used_bytes",
    "filter.false_positive_ratio",
    "filter.bytes_per_key",
    "index.bytes_per_key",
    "index.probes_per_lookup",
    "memtable.hit_ratio",
    "memory.index_bytes",
    "memory.filter_bytes",
    "compaction.write_bytes",
    "compaction.read_bytes",
    "value_log.write_bytes",
    "value_log.garbage_ratio",
    "gc.write_bytes",
    "tree.runs",
    "tree.levels",
];

/// What a verdict asks for beside a metric: how much happened, and what was put off. It stays as it
/// was measured.
const ASKED_FOR: &[&str] = &[
    "compaction.count",
    "gc.count",
    "debt.bytes",
    "debt.charged_bytes",
    "debt.deferred_ratio",
];

/// Whether a split can compare the metric called `name`: one of a side's own counters, or a latency
/// of reads or writes, each of which has one key. The bytes written leave the log out, which is of
/// both sides.
pub fn gives(name: &str) -> bool {
    let is_latency = |class| {
        name.strip_prefix(class)
            .is_some_and(|it| it.starts_with("latency_"))
    };
    OF_A_SIDE.contains(&name) || is_latency("read.") || is_latency("write.")
}

/// Whether a window of a split has a row for the metric called `name`.
pub fn has(name: &str) -> bool {
    gives(name) || ASKED_FOR.contains(&name)
}

/// The rows of a window under A and B, with what the halves differed by in the same window under A
/// and A taken out of B's. A metric that the window before does not have is left out.
pub fn corrected(window: &[TidyRow], before: &[TidyRow]) -> Vec<TidyRow> {
    let value = |like: &TidyRow, side: Side| {
        let same = |row: &&TidyRow| row.name == like.name && row.trial.variant == side.name();
        before.iter().find(same).map(|row| row.value)
    };
    let corrected = |row: &TidyRow| {
        if ASKED_FOR.contains(&row.name.metric.as_str()) {
            return Some(row.clone());
        }
        let (a, b) = (value(row, Side::A)?, value(row, Side::B)?);
        let scale = metrics::find(&row.name.metric).ok()?.scale;
        if scale == Scale::Relative && (a <= 0.0 || b <= 0.0) {
            return None;
        }
        let mut row = row.clone();
        if row.trial.variant == Side::B.name() {
            match scale {
                Scale::Relative => row.value *= a / b,
                Scale::Absolute => row.value -= b - a,
            }
        }
        Some(row)
    };
    window.iter().filter_map(corrected).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::World;
    use crate::testing::tidy_row;

    fn window(metric: &str, a: f64, b: f64) -> Vec<TidyRow> {
        let row = |side, value| tidy_row(side, 1, World::Real, metric, value);
        vec![row("A", a), row("B", b)]
    }

    fn values(rows: &[TidyRow]) -> Vec<f64> {
        rows.iter().map(|row| row.value).collect()
    }

    #[test]
    fn what_the_halves_differed_by_before_is_taken_out() {
        let writes = |a, b| window("write.amplification", a, b);
        // B's half writes twice as much, and under B six times as much.
        let found = corrected(&writes(5.0, 30.0), &writes(2.0, 4.0));
        assert_eq!(values(&found), [5.0, 15.0]);
        let hits = |a, b| window("cache.hit_ratio", a, b);
        let found = corrected(&hits(0.5, 0.75), &hits(0.25, 0.75));
        assert_eq!(values(&found), [0.5, 0.25]);
    }

    #[test]
    fn a_metric_without_a_window_before_is_left_out() {
        let found = corrected(
            &window("cache.hit_ratio", 0.5, 0.6),
            &window("write.amplification", 2.0, 2.0),
        );
        assert_eq!(values(&found), [0.0; 0]);
        let writes = |a, b| window("write.amplification", a, b);
        let found = corrected(&writes(1.0, 2.0), &writes(0.0, 1.0));
        assert_eq!(values(&found), [0.0; 0], "a ratio to nothing");
        let counts = |a, b| window("compaction.count", a, b);
        let found = corrected(&counts(11.0, 12.0), &counts(1.0, 9.0));
        assert_eq!(
            values(&found),
            [11.0, 12.0],
            "what a verdict needs stays as it is"
        );
    }

    #[test]
    fn what_is_of_the_whole_is_not_given() {
        for metric in [
            "run.throughput_ops",
            "scan.latency_p99_us",
            "stall.time_ratio",
        ] {
            assert!(metrics::find(metric).is_ok() && !gives(metric), "{metric}");
        }
        for metric in OF_A_SIDE.iter().copied().chain(["read.latency_p99_us"]) {
            assert!(metrics::find(metric).is_ok() && gives(metric), "{metric}");
        }
    }
}
