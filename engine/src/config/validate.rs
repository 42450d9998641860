//! The ranges of settings that their types do not state.

use bytesize::ByteSize;

use super::{EngineConfig, IndexGate, SyncPolicy};
use crate::error::{Error, Result};

impl EngineConfig {
    /// Checks every range that the types do not.
    ///
    /// # Errors
    /// [`Error::Config`] with the setting's dotted name and its range.
    pub fn validate(&self) -> Result<()> {
        for (key, size, min, max) in self.sizes() {
            if !(min..=max).contains(&size.as_u64()) {
                let (min, max) = (ByteSize(min), ByteSize(max));
                return Err(Error::config(
                    key,
                    format!("{size} is outside {min} to {max}"),
                ));
            }
        }
        for (key, count, min, max) in self.counts() {
            if !(min..=max).contains(&count) {
                return Err(Error::config(
                    key,
                    format!("{count} is outside {min} to {max}"),
                ));
            }
        }
        for (key, share, min) in self.shares() {
            if !(min..=1.0).contains(&share) {
                return Err(Error::config(key, format!("{share} is outside {min} to 1")));
            }
        }
        check_gate(&self.table.index_gate)?;
        check_io_limit(self.io_limit)?;
        match self.wal.sync {
            SyncPolicy::Interval(interval) if interval.is_zero() => Err(Error::config(
                "wal.sync.interval",
                "0s is outside 1ns to any time; say \"always\"",
            )),
            _ => Ok(()),
        }
    }

    /// Settings in bytes: key, value, least, most.
    fn sizes(&self) -> Vec<(&'static str, ByteSize, u64, u64)> {
        let debt = self.compaction.debt_slowdown;
        let mut sizes = vec![
            ("memtable", self.memtable, 4 << 10, 16 << 30),
            ("table.block", self.table.block, 64, 16 << 20),
            ("table.size", self.table.size, 4 << 10, 8 << 30),
            ("compaction.debt_slowdown", debt, 1, u64::MAX / 4),
            ("value_log.file", self.value_log.file, 4 << 10, 64 << 30),
        ];
        if let SyncPolicy::Bytes(size) = self.wal.sync {
            sizes.push(("wal.sync.bytes", size, 1, u64::MAX));
        }
        sizes
    }

    /// Settings that count something: key, value, least, most.
    fn counts(&self) -> Vec<(&'static str, u64, u64, u64)> {
        let compaction = &self.compaction;
        let trigger = u64::from(compaction.level0_trigger);
        let slowdown = u64::from(compaction.level0_slowdown);
        let stop = u64::from(compaction.level0_stop);
        let window_blocks = u64::from(self.table.index_gate.window_blocks);
        let mut counts = vec![
            (
                "memtables_sealed_max",
                self.memtables_sealed_max.into(),
                1,
                64,
            ),
            (
                "table.index_gate.window_blocks",
                window_blocks,
                1,
                u32::MAX.into(),
            ),
            ("cache.shards", self.cache.shards.into(), 0, 1024),
            ("compaction.level0_trigger", trigger, 1, 1000),
            ("compaction.level0_slowdown", slowdown, trigger, 10_000),
            ("compaction.level0_stop", stop, slowdown + 1, 10_001),
            ("compaction.jobs", compaction.jobs.into(), 1, 64),
            (
                "compaction.agent_window",
                compaction.agent_window,
                1,
                u64::MAX,
            ),
            ("value_log.queues", self.value_log.queues.into(), 1, 64),
        ];
        if self.max_open_files != 0 {
            counts.push(("max_open_files", self.max_open_files.into(), 16, u64::MAX));
        }
        counts
    }

    /// Settings that are a part of a whole: key, value, least. The most is 1.
    fn shares(&self) -> [(&'static str, f64, f64); 4] {
        let log = &self.value_log;
        [
            ("cache.metadata_share", self.cache.metadata_share, 0.0),
            ("value_log.gc_low", log.gc_low, 0.0),
            ("value_log.gc_high", log.gc_high, log.gc_low),
            ("value_log.gc_stop", log.gc_stop, log.gc_high),
        ]
    }
}

fn check_gate(gate: &IndexGate) -> Result<()> {
    let IndexGate { memory, probes, .. } = *gate;
    if !(memory.is_finite() && memory > 0.0) {
        let what = format!("{memory} is no number above 0");
        return Err(Error::config("table.index_gate.memory", what));
    }
    if !(probes.is_finite() && probes >= 1.0) {
        let what = format!("{probes} is no number from 1 on");
        return Err(Error::config("table.index_gate.probes", what));
    }
    Ok(())
}

/// The least limit: with less a table takes minutes.
const IO_LIMIT_MIN: ByteSize = ByteSize::kib(64);

/// Checks the range of [`EngineConfig::io_limit`].
///
/// # Errors
/// [`Error::Config`], with the range.
fn check_io_limit(limit: ByteSize) -> Result<()> {
    if limit.as_u64() == 0 || limit >= IO_LIMIT_MIN {
        return Ok(());
    }
    Err(Error::config(
        "io_limit",
        format!("{limit} is neither 0 nor {IO_LIMIT_MIN} or more"),
    ))
}
