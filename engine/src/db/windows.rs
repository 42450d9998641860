//! Windows of operations: what happened between one end and the next, as policies see it.

use aura_policies::facts::{Outcome, StallNanos, WindowStats};

use super::Db;
use crate::latency::{Class, LatencyCounts};
use crate::metrics::{Counts, Event, EventKind};

impl Db {
    /// Records an event of this moment.
    pub(super) fn event_now(&self, kind: EventKind) {
        let now = self.core.env().clock.now();
        self.core.counters().event(Event {
            start_nanos: now,
            end_nanos: now,
            kind,
        });
    }
}

/// Where the window begins that goes on.
pub(super) struct Windows {
    index: u64,
    started: u64,
    counts: Counts,
    latencies: LatencyCounts,
    /// What became of the decisions after the window before.
    pub(super) outcomes: Vec<Outcome>,
}

impl Windows {
    /// The first window begins now.
    pub(super) fn new(db: &Db) -> Self {
        Self {
            index: 0,
            started: db.core.env().clock.now(),
            counts: Counts::default(),
            latencies: LatencyCounts::default(),
            outcomes: Vec::new(),
        }
    }

    /// Ends the window, and begins the next one.
    pub(super) fn end(&mut self, db: &Db) -> WindowStats {
        let counts = db.core.counters().counts();
        let latencies = db.core.latencies();
        let now = db.core.env().clock.now();
        let mut stats = stats_of(&counts.since(&self.counts));
        stats.index = self.index;
        stats.operations_total = db.core.window_ends().operations();
        stats.nanos = now - self.started;
        stats.debt_bytes = db.scheduler.debt_bytes();
        stats.get_latency = latencies.since(&self.latencies, Class::Get);
        stats.write_latency = latencies.since(&self.latencies, Class::Write);
        stats.scan_latency = latencies.since(&self.latencies, Class::Scan);
        stats.outcomes = std::mem::take(&mut self.outcomes);
        self.index += 1;
        self.started = now;
        self.counts = counts;
        self.latencies = latencies;
        stats
    }
}

/// What the counters say about a window. Reads of the background are in no counter of reads.
fn stats_of(window: &Counts) -> WindowStats {
    WindowStats {
        gets: window.gets,
        gets_found: window.gets_found,
        writes: window.puts + window.deletes + window.range_deletes,
        deletes: window.deletes + window.range_deletes,
        scans: window.scans,
        scan_rows: window.scan_rows,
        user_write_bytes: window.user_write_bytes,
        memtable_hits: window.memtable_hits,
        tables_probed: window.tables_probed,
        filter_probes: window.filter_probes,
        filter_negatives: window.filter_negatives,
        filter_false_positives: window.filter_false_positives,
        get_device_reads: window.get_device_reads,
        block_hits: window.block_hits,
        block_misses: window.block_misses,
        scan_hits: window.scan_hits,
        scan_misses: window.scan_misses,
        level_hits: window.level_hits,
        level_misses: window.level_misses,
        device_write_bytes: window.device_write_bytes(),
        device_read_bytes: window.device_read_bytes
            + window.compaction_read_bytes
            + window.gc_read_bytes,
        wal_bytes: window.wal_bytes,
        value_log_bytes: window.value_log_bytes,
        flushes: window.flushes,
        flush_bytes: window.flush_bytes,
        compactions: window.compactions + window.compaction_moves,
        compaction_read_bytes: window.compaction_read_bytes,
        compaction_write_bytes: window.compaction_write_bytes,
        level_compaction_bytes: window.level_compaction_bytes,
        compaction_dropped: window.compaction_dropped,
        stalls: StallNanos {
            memtables: window.stall_memtables_nanos,
            level0_runs: window.stall_level0_nanos,
            debt: window.stall_debt_nanos,
            garbage: window.stall_garbage_nanos,
            agent: window.stall_agent_nanos,
        },
        ..WindowStats::default()
    }
}
