//! Chooses the index of the next table from what was observed of earlier ones, level by level.
//!
//! The decision is the tuner's (see [`aura_policies::tuner`]). This file collects its facts.

use std::collections::BTreeMap;
use std::sync::Mutex;

use aura_policies::tuner::{IndexFacts, IndexReason, KindFacts, Observed};

use super::registry::LevelIndexes;
use super::{IndexBuild, IndexUse};
use crate::error::{Error, Result};
use crate::metrics::{Event, EventKind, add};
use crate::sst::Table;
use crate::state::{Inner, lock};
use crate::version::Version;

/// A level, and an index as in the settings.
type LevelModel = (usize, String);

/// The sums over tables that no longer exist.
#[derive(Default)]
pub(crate) struct IndexBook {
    dead: Mutex<BTreeMap<LevelModel, Observed>>,
}

/// Returns what was observed of one table.
fn observed(table: &Table, now: u64) -> Observed {
    let facts = table.facts();
    let index = table.index_report();
    let lookups = table.lookups().read(now);
    Observed {
        tables: 1,
        models: u64::from(index.used == IndexUse::Model),
        refused: u64::from(index.refusal.is_some()),
        keys: facts.entries,
        blocks: index.blocks,
        table_bytes: facts.bytes,
        index_bytes: index.memory_bytes,
        training_nanos: index.training_nanos,
        life_nanos: lookups.life_nanos,
        found: lookups.found,
        absent: lookups.absent,
        probes: lookups.probes,
    }
}

impl IndexBook {
    /// Adds a table of `level` that a compaction has replaced.
    pub(crate) fn retire(&self, level: usize, table: &Table, now: u64) {
        let kind = (level, table.index_report().parameters.clone());
        lock(&self.dead)
            .entry(kind)
            .or_default()
            .add(&observed(table, now));
    }

    /// Restores the sums of earlier openings of the directory.
    pub(super) fn restore(&self, levels: &[LevelIndexes]) {
        let kinds = levels
            .iter()
            .map(|level| ((level.level, level.kind.index.clone()), level.kind.dead));
        lock(&self.dead).extend(kinds);
    }

    /// Returns the sums of each level and index, in that order.
    pub(super) fn levels(&self, version: &Version, now: u64) -> Vec<LevelIndexes> {
        let mut sums: BTreeMap<LevelModel, (Observed, Observed)> = lock(&self.dead)
            .iter()
            .map(|(kind, dead)| (kind.clone(), (*dead, Observed::default())))
            .collect();
        for (level, table) in version.tables() {
            let kind = (level, table.index_report().parameters.clone());
            sums.entry(kind).or_default().1.add(&observed(table, now));
        }
        let sum = |((level, index), (dead, live))| LevelIndexes {
            level,
            kind: KindFacts { index, dead, live },
        };
        sums.into_iter().map(sum).collect()
    }
}

impl Inner {
    /// Returns the policy and settings for the index of the next table of `level`.
    ///
    /// # Errors
    /// [`Error::Policy`] if the tuner chooses an unknown index.
    pub(crate) fn index_for(&self, level: usize, deepest: usize) -> Result<IndexBuild> {
        let configured = &self.config().table.index;
        let settings = |policy, spec| IndexBuild {
            policy,
            spec,
            gate: self.config().table.index_gate,
            clock: self.env.clock.clone(),
        };
        if !self.policies().tuner.is_active() {
            return Ok(settings(self.policies().index.clone(), configured.clone()));
        }
        let now = self.env.clock.now();
        let levels = self.index_book.levels(&self.view.load().version, now);
        let kinds: Vec<KindFacts> = levels
            .into_iter()
            .filter(|it| it.level == level)
            .map(|it| it.kind)
            .collect();
        let choice = self.policies().tuner.choose(&IndexFacts {
            level,
            deepest,
            configured,
            kinds: &kinds,
        });
        let named = |source| Error::Policy {
            key: "table.index_tuner".to_owned(),
            source,
        };
        let policy = aura_policies::index::build(&choice.index).map_err(named)?;
        add(
            &self.counters.mine().index_tuned,
            u64::from(choice.index != *configured),
        );
        if choice.reason != IndexReason::Configured {
            let kind = EventKind::Index {
                level,
                index: choice.index.to_string(),
                reason: choice.reason,
            };
            self.counters.event(Event {
                start_nanos: now,
                end_nanos: now,
                kind,
            });
        }
        Ok(settings(policy.into(), choice.index))
    }
}
