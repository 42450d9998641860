//! The figures of an open engine: its counters, with the state of its tree at one moment.

use std::time::Duration;

use super::Db;
use crate::compaction::ValueLogState;
use crate::config::SyncPolicy;
use crate::index::IndexUse;
use crate::metrics::{
    EventKind, Health, History, LevelState, Metrics, Monitor, Reading, Span, Telemetry, Window,
};
use crate::models::{IndexRegistry, report};
use crate::sync::lock;
use crate::wal::format::FILE_HEADER_BYTES;

/// The readings of the last minute, and what they say of the engine's health.
pub(super) struct Watch {
    history: History,
    monitor: Monitor,
    health: Health,
}

impl Watch {
    /// The watch of an engine that is opened at `at_nanos`.
    pub(super) fn new(telemetry: &Telemetry, at_nanos: u64) -> Self {
        let first = Reading {
            at_nanos,
            ..Reading::default()
        };
        let window = telemetry.health_window.max(Duration::from_nanos(1));
        Self {
            history: History::new(at_nanos),
            monitor: Monitor::new(telemetry.health.clone(), window, first),
            health: Health::Ok,
        }
    }
}

impl Db {
    /// The registry of models.
    pub(super) fn index_registry(&self) -> IndexRegistry {
        let now = self.core.env().clock.now();
        report(&self.tree.load().version, self.core.index_book(), now)
    }

    /// All that the engine says of itself now.
    pub(super) fn reading(&self) -> Reading {
        let syncs = self.core.config().wal.sync != SyncPolicy::Never;
        Reading {
            at_nanos: self.core.env().clock.now(),
            metrics: self.metrics(),
            latencies: self.core.counters().latencies(),
            unsynced_bytes: syncs.then(|| self.unsynced_bytes()),
            failure: self.lifecycle.failure().map(|cause| cause.to_string()),
        }
    }

    /// Bytes of the active memtable's log that are not known to be on the device.
    fn unsynced_bytes(&self) -> u64 {
        let durable = self.tree.log_durable();
        let state = self.tree.load();
        let logged = state.active.logged_bytes();
        match durable.log == state.active.wal {
            // The log's header is no record.
            true => (logged + FILE_HEADER_BYTES as u64).saturating_sub(durable.bytes),
            false => logged,
        }
    }

    /// Takes a reading, and judges the engine's health by it. A change is an event.
    pub(super) fn observe(&self) -> Health {
        let reading = self.reading();
        let now = reading.at_nanos;
        let mut watch = lock(&self.watch);
        let health = watch.monitor.judge(&reading);
        watch.history.push(reading);
        let before = std::mem::replace(&mut watch.health, health.clone());
        drop(watch);
        if Monitor::is_news(&before, &health) {
            let kind = EventKind::Health {
                state: health.state(),
                why: health.why(),
            };
            self.core.counters().event_at(now, kind);
        }
        health
    }

    /// Takes a reading. Returns the window of this length that ends with it.
    pub(super) fn window(&self, span: Span) -> Window {
        self.observe();
        lock(&self.watch).history.window(span)
    }

    /// A copy of the counters and the tree's state.
    pub(super) fn metrics(&self) -> Metrics {
        let state = self.tree.load();
        let mut metrics = Metrics {
            counts: self.core.counters().counts(),
            cache: self.core.cache().stats(),
            memtable_bytes: state.memtable_bytes(),
            memory_peak_bytes: self.core.note_memory(state.memtable_bytes()),
            wal_file_bytes: state
                .memtables()
                .map(|memtable| memtable.logged_bytes())
                .sum(),
            range_tombstones: state.ranges().tombstones(),
            debt_bytes: self.scheduler.debt_bytes(),
            ..Metrics::default()
        };
        metrics
            .levels
            .resize(state.version.levels.len(), LevelState::default());
        for (level, figures) in state.version.levels.iter().zip(&mut metrics.levels) {
            figures.runs = level.runs.len() as u64;
        }
        for (level, table) in state.version.tables() {
            let facts = table.facts();
            let index = table.index_report();
            let figures = &mut metrics.levels[level];
            figures.tables += 1;
            figures.bytes += facts.bytes;
            figures.entries += facts.entries;
            figures.tombstones += facts.deletions;
            metrics.index_bytes += table.index_bytes();
            metrics.fence_bytes += index.fence_bytes;
            metrics.model_tables += u64::from(index.used == IndexUse::Model);
            metrics.model_segments += index.segments;
            metrics.filter_bytes += table.filter_bytes();
        }
        // A file that cannot be measured counts for nothing.
        for file in state.version.values_on_disk().values() {
            metrics.value_file_bytes += file.bytes().unwrap_or(0);
            metrics.value_files += 1;
        }
        metrics.value_garbage_bytes =
            ValueLogState::of(&state.version).map_or(0, |log| log.garbage_bytes);
        metrics
    }
}
