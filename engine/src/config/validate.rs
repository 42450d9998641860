//! The ranges of settings that their types do not state.
//!
//! Each range stands beside its key in one table a kind of number, so that an error names both.

use std::borrow::Cow;
use std::fmt::Display;

use bytesize::ByteSize;

use super::{EngineConfig, IndexGate, SyncPolicy};
use crate::error::{Error, Result};

/// A setting with the range that it must keep to.
struct Ranged<T> {
    /// The setting's dotted name.
    key: Cow<'static, str>,
    value: T,
    min: T,
    max: T,
}

impl<T> Ranged<T> {
    fn new(key: impl Into<Cow<'static, str>>, value: T, min: T, max: T) -> Self {
        Self {
            key: key.into(),
            value,
            min,
            max,
        }
    }
}

impl<T: PartialOrd + Display> Ranged<T> {
    /// # Errors
    /// [`Error::Config`] if the value is outside its range.
    fn check(&self) -> Result<()> {
        let Self {
            key,
            value,
            min,
            max,
        } = self;
        if (min..=max).contains(&value) {
            return Ok(());
        }
        let what = format!("{value} is outside {min} to {max}");
        Err(Error::config(key, what))
    }
}

impl EngineConfig {
    /// Checks every range that the types do not state.
    ///
    /// ```
    /// use aura_engine::EngineConfig;
    ///
    /// let mut config = EngineConfig::default();
    /// config.value_log.queues = 65;
    /// let error = config.validate().unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "setting value_log.queues: 65 is outside 1 to 64"
    /// );
    /// ```
    ///
    /// # Errors
    /// [`Error::Config`] with the setting's dotted name and its range.
    pub fn validate(&self) -> Result<()> {
        for size in self.sizes() {
            size.check()?;
        }
        for count in self.counts() {
            count.check()?;
        }
        for share in self.shares() {
            share.check()?;
        }
        check_gate(&self.table.index_gate)?;
        check_io_limit(self.io_limit)?;
        self.check_self_tuning()?;
        match self.wal.sync {
            SyncPolicy::Interval(interval) if interval.is_zero() => Err(Error::config(
                "wal.sync.interval",
                "0s is outside 1ns to any time; say \"always\"",
            )),
            _ => Ok(()),
        }
    }

    /// Settings in bytes.
    fn sizes(&self) -> Vec<Ranged<ByteSize>> {
        let range = |key, value, min, max| Ranged::new(key, value, ByteSize(min), ByteSize(max));
        let debt = self.compaction.debt_slowdown;
        let mut sizes = vec![
            range("memtable", self.memtable, 4 << 10, 16 << 30),
            range("table.block", self.table.block, 64, 16 << 20),
            range("table.size", self.table.size, 4 << 10, 8 << 30),
            range("compaction.debt_slowdown", debt, 1, u64::MAX / 4),
            range("value_log.file", self.value_log.file, 4 << 10, 64 << 30),
        ];
        if let SyncPolicy::Bytes(size) = self.wal.sync {
            sizes.push(range("wal.sync.bytes", size, 1, u64::MAX));
        }
        sizes.extend(self.table.levels.iter().filter_map(|(level, own)| {
            let key = format!("table.levels.{level}.block");
            Some(Ranged::new(
                key,
                own.block?,
                ByteSize(64),
                ByteSize(16 << 20),
            ))
        }));
        sizes
    }

    /// Settings that count something.
    fn counts(&self) -> Vec<Ranged<u64>> {
        let range = Ranged::new;
        let sealed = u64::from(self.memtables_sealed_max);
        let window = u64::from(self.table.index_gate.window_blocks);
        let shards = u64::from(self.cache.shards);
        let trigger = u64::from(self.compaction.level0_trigger);
        let slowdown = u64::from(self.compaction.level0_slowdown);
        let stop = u64::from(self.compaction.level0_stop);
        let jobs = u64::from(self.compaction.jobs);
        let agent_window = self.compaction.agent_window;
        let queues = u64::from(self.value_log.queues);
        let open_files = u64::from(self.max_open_files);
        let window_max = u64::from(u32::MAX);
        let mut counts = vec![
            range("memtables_sealed_max", sealed, 1, 64),
            range("table.index_gate.window_blocks", window, 1, window_max),
            range("cache.shards", shards, 0, 1024),
            range("compaction.level0_trigger", trigger, 1, 1000),
            range("compaction.level0_slowdown", slowdown, trigger, 10_000),
            range("compaction.level0_stop", stop, slowdown + 1, 10_001),
            range("compaction.jobs", jobs, 1, 64),
            range("compaction.agent_window", agent_window, 1, u64::MAX),
            range("value_log.queues", queues, 1, 64),
        ];
        if let Some(tuning) = &self.self_tuning {
            let watch = u64::from(tuning.watch);
            let fall_back = u64::from(tuning.fall_back);
            counts.extend([
                range("self_tuning.window", tuning.window, 1, u64::MAX),
                range("self_tuning.watch", watch, 1, 1000),
                range("self_tuning.fall_back", fall_back, 1, 10_000),
                range("self_tuning.rest", tuning.rest, 1, 1_000_000),
            ]);
        }
        if let Some(level) = self.table.levels.keys().next_back() {
            counts.push(range("table.levels", u64::from(*level), 0, 63));
        }
        if open_files != 0 {
            counts.push(range("max_open_files", open_files, 16, u64::MAX));
        }
        counts
    }

    /// Settings that are a share of a whole.
    fn shares(&self) -> [Ranged<f64>; 5] {
        let range = |key, value, min| Ranged::new(key, value, min, 1.0);
        let log = &self.value_log;
        let harm = self.self_tuning.as_ref().map_or(0.0, |tuning| tuning.harm);
        [
            range("cache.metadata_share", self.cache.metadata_share, 0.0),
            range("value_log.gc_low", log.gc_low, 0.0),
            range("value_log.gc_high", log.gc_high, log.gc_low),
            range("value_log.gc_stop", log.gc_stop, log.gc_high),
            range("self_tuning.harm", harm, 0.0),
        ]
    }
}

fn check_gate(gate: &IndexGate) -> Result<()> {
    let IndexGate { memory, probes, .. } = *gate;
    if !(memory.is_finite() && memory > 0.0) {
        let what = format!("{memory} is not a number above 0");
        return Err(Error::config("table.index_gate.memory", what));
    }
    if !(probes.is_finite() && probes >= 1.0) {
        let what = format!("{probes} is not a number of 1 or more");
        return Err(Error::config("table.index_gate.probes", what));
    }
    Ok(())
}

/// The lowest limit. Below it, writing one table takes minutes.
pub(crate) const IO_LIMIT_MIN: ByteSize = ByteSize::kib(64);

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
