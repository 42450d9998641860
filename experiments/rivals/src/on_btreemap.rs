//! A `BTreeMap` in memory: what the operations cost without files, and what the trial itself costs.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use aura_engine::{
    Batch, Counts, Cursor, Direction, Engine, Key, Metrics, Range, Result, Value, Write,
};
use aura_experiments::config::TargetRules;
use aura_experiments::record::Measures;
use aura_experiments::trial::{Audit, Opening, Target, TargetDef};

use crate::common::{self, Closed};
use crate::tally::{ScanTally, Tally};

pub(crate) const TARGET: TargetDef = TargetDef::of::<OnBTreeMap>(
    TargetRules {
        name: "btreemap",
        about: "A BTreeMap behind one lock: no files, nothing durable, memory without a limit.",
        // Nothing of it means anything to a map, so nothing can be left out of account.
        settings: None,
        options: &[],
        check: |_| Ok(()),
    },
    Measures {
        metrics: Some(&["read.found_ratio", "read.found", "read.not_found"]),
        writes_of_process: false,
    },
);

/// A map in memory that trials can run on.
#[derive(Clone)]
pub struct OnBTreeMap {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    rows: RwLock<BTreeMap<Key, Value>>,
    tally: Arc<Tally>,
    closed: Closed,
}

impl OnBTreeMap {
    fn read(&self) -> Result<RwLockReadGuard<'_, BTreeMap<Key, Value>>> {
        self.shared.closed.check()?;
        Ok(self
            .shared
            .rows
            .read()
            .unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self) -> Result<RwLockWriteGuard<'_, BTreeMap<Key, Value>>> {
        self.shared.closed.check()?;
        Ok(self
            .shared
            .rows
            .write()
            .unwrap_or_else(PoisonError::into_inner))
    }
}

fn remove_range(rows: &mut BTreeMap<Key, Value>, range: Range) {
    if !common::is_empty(&range) {
        let keys: Vec<Key> = rows
            .range((range.start, range.end))
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            rows.remove(&key);
        }
    }
}

impl Engine for OnBTreeMap {
    type Scan = Rows;

    async fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        common::check_key(key)?;
        let found = self.read()?.get(key).cloned();
        self.shared.tally.get(found.as_ref().map(Value::len));
        Ok(found)
    }

    async fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        common::check_put(key, value)?;
        let row = (Key::copy_from_slice(key), Value::copy_from_slice(value));
        self.write()?.insert(row.0, row.1);
        self.shared.tally.put(key.len() + value.len());
        Ok(())
    }

    async fn delete(&self, key: &[u8]) -> Result<()> {
        common::check_key(key)?;
        self.write()?.remove(key);
        self.shared.tally.delete(key.len());
        Ok(())
    }

    async fn delete_range(&self, range: Range) -> Result<()> {
        common::check_range(&range)?;
        remove_range(&mut *self.write()?, range);
        Ok(())
    }

    async fn write(&self, batch: Batch) -> Result<()> {
        let mut rows = OnBTreeMap::write(self)?;
        for write in batch.into_writes() {
            match write {
                Write::Put { key, value } => {
                    self.shared.tally.put(key.len() + value.len());
                    rows.insert(key, value);
                }
                Write::Delete { key } => {
                    self.shared.tally.delete(key.len());
                    rows.remove(&key);
                }
                Write::DeleteRange(range) => remove_range(&mut rows, range),
            }
        }
        Ok(())
    }

    fn scan(&self, range: Range, direction: Direction) -> Rows {
        Rows {
            map: self.clone(),
            range,
            direction,
            left: usize::MAX,
            taken: None,
            tally: ScanTally::new(&self.shared.tally),
        }
    }

    async fn flush(&self) -> Result<()> {
        self.shared.closed.check()
    }

    async fn compact(&self) -> Result<()> {
        self.shared.closed.check()
    }

    async fn close(&self) -> Result<()> {
        self.shared.closed.close();
        Ok(())
    }
}

impl Target for OnBTreeMap {
    async fn open(_opening: Opening<'_>) -> Result<Self> {
        Ok(Self {
            shared: Arc::default(),
        })
    }

    fn metrics(&self) -> Metrics {
        let mut counts = Counts::default();
        self.shared.tally.fill(&mut counts);
        Metrics {
            counts,
            ..Metrics::default()
        }
    }

    async fn wait_idle(&self) -> Result<()> {
        Ok(())
    }

    fn drop_cache(&self) {}

    async fn audit(&self) -> Result<Audit> {
        Ok(Audit {
            reachable_bytes: common::reachable_bytes(self).await?,
            ..Audit::default()
        })
    }
}

/// The rows of a range, as of the first call of `next`: they are taken from the map at once, for a
/// map has no versions.
pub struct Rows {
    map: OnBTreeMap,
    range: Range,
    direction: Direction,
    left: usize,
    taken: Option<VecDeque<(Key, Value)>>,
    tally: ScanTally,
}

impl Rows {
    fn take(&self) -> Result<VecDeque<(Key, Value)>> {
        if common::is_empty(&self.range) {
            return Ok(VecDeque::new());
        }
        let rows = self.map.read()?;
        let rows = rows.range((self.range.start.clone(), self.range.end.clone()));
        let rows = rows.map(|(key, value)| (key.clone(), value.clone()));
        Ok(match self.direction {
            Direction::Forward => rows.take(self.left).collect(),
            Direction::Reverse => rows.rev().take(self.left).collect(),
        })
    }
}

impl Cursor for Rows {
    async fn next(&mut self) -> Result<Option<(Key, Value)>> {
        let taken = match &mut self.taken {
            Some(taken) => taken,
            None => {
                let rows = self.take()?;
                self.taken.insert(rows)
            }
        };
        let row = taken.pop_front();
        if let Some((_, value)) = &row {
            self.tally.row(value.len());
        }
        Ok(row)
    }

    fn limit(mut self, rows: usize) -> Self {
        self.left = self.left.min(rows);
        if let Some(taken) = &mut self.taken {
            taken.truncate(rows);
        }
        self
    }
}
