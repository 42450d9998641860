//! What an agent has set in memory, beside the settings. It is gone when the engine is closed.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use aura_policies::facts::TreeShape;

use crate::sync::lock;

/// The settings that an agent overrides.
#[derive(Default)]
pub(crate) struct Overrides {
    /// Runs in level 0 that start a merge; 0 for what the settings say.
    level0_trigger: AtomicU32,
    /// Bytes a second that writers are let through at; 0 for no limit.
    write_rate: AtomicU64,
    /// Runs by level that stay beyond a limit which was lowered. It is cut as they leave.
    inherited: Mutex<BTreeMap<usize, u32>>,
    /// Run limits that wait until their level is empty.
    waiting: Mutex<BTreeMap<usize, u32>>,
}

impl Overrides {
    /// Runs in level 0 that start a merge, where the settings say `trigger` and `slowdown`.
    pub(crate) fn level0_trigger(&self, trigger: u32, slowdown: u32) -> u32 {
        match self.level0_trigger.load(Ordering::Relaxed) {
            0 => trigger,
            // Settings may have changed since.
            own => own.min(slowdown),
        }
    }

    /// Sets the runs in level 0 that start a merge.
    pub(crate) fn set_level0_trigger(&self, runs: u32) {
        self.level0_trigger.store(runs, Ordering::Relaxed);
    }

    /// Bytes a second that writers are let through at; 0 for no limit.
    pub(crate) fn write_rate(&self) -> u64 {
        self.write_rate.load(Ordering::Relaxed)
    }

    /// Sets the bytes a second that writers are let through at. Returns those before.
    pub(crate) fn set_write_rate(&self, bytes: u64) -> u64 {
        self.write_rate.swap(bytes, Ordering::Relaxed)
    }

    /// Lets `runs` runs of `level` stay beyond its limit.
    pub(crate) fn inherit(&self, level: usize, runs: u32) {
        lock(&self.inherited).insert(level, runs);
    }

    /// Adds the runs that stay beyond their level's limit to `shape`, and forgets those that have
    /// left. O(levels).
    pub(crate) fn show(&self, shape: &mut TreeShape) {
        lock(&self.inherited).retain(|level, inherited| {
            let Some(facts) = shape.levels.get_mut(*level) else {
                return false;
            };
            let others = facts.runs.len().saturating_sub(1);
            *inherited = (*inherited).min(u32::try_from(others).unwrap_or(u32::MAX));
            facts.runs_inherited = *inherited;
            *inherited > 0
        });
    }

    /// Has the limit `runs` wait until `level` is empty.
    pub(crate) fn wait_for_empty(&self, level: usize, runs: u32) {
        lock(&self.waiting).insert(level, runs);
    }

    /// Gives up a limit of `level` that waits. Returns it.
    pub(crate) fn stop_waiting(&self, level: usize) -> Option<u32> {
        lock(&self.waiting).remove(&level)
    }

    /// The limit of `level` that waits.
    pub(crate) fn waits(&self, level: usize) -> Option<u32> {
        lock(&self.waiting).get(&level).copied()
    }

    /// Takes the limits of levels that are empty.
    pub(crate) fn take_due(&self, is_empty: impl Fn(usize) -> bool) -> Vec<(usize, u32)> {
        let mut due = Vec::new();
        lock(&self.waiting).retain(|level, runs| {
            let waits = !is_empty(*level);
            if !waits {
                due.push((*level, *runs));
            }
            waits
        });
        due
    }
}
