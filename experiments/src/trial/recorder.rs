//! What a trial's cache was asked for: the trace that `aura cache-sim` replays, and the bound on each phase's hits.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aura_engine::{CacheEvent, CacheObserver, Caller};
use aura_policies::bound::{self, Object, Request};
use aura_policies::cache::BlockKind;
use aura_policies::{PolicyError, PolicySpec};
use aura_workloads::trace::{Detail, TraceRecord};

use crate::record::CacheBound;

/// The bound that holds for objects of any size.
const BOUND: &str = "pfoo-l";

/// Collects look-ups as they are made.
#[derive(Default)]
pub(super) struct Recorder {
    records: Mutex<Vec<TraceRecord>>,
}

impl Recorder {
    fn records(&self) -> MutexGuard<'_, Vec<TraceRecord>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Look-ups recorded so far.
    pub(super) fn len(&self) -> usize {
        self.records().len()
    }

    /// All of them, in the order in which they ended.
    pub(super) fn take(&self) -> Vec<TraceRecord> {
        mem::take(&mut self.records())
    }

    /// What the best cache of `capacity` bytes could have held of the data blocks asked for since `start` look-ups were
    /// recorded; the capacity is that of the sampled part. What it may have held at the start is not known: as many of the
    /// smallest objects as fit are taken to have been there.
    pub(super) fn bound_since(
        &self,
        start: usize,
        capacity: u64,
    ) -> Result<CacheBound, PolicyError> {
        let mut numbers = BTreeMap::new();
        let mut first_bytes = Vec::new();
        let mut number = |record: &TraceRecord| {
            *numbers.entry(record.key).or_insert_with(|| {
                first_bytes.push(record.bytes);
                (first_bytes.len() - 1) as Object
            })
        };
        let records = self.records();
        let blocks = records[start..]
            .iter()
            .filter(|record| record.detail.kind == BlockKind::Data as u8);
        let trace: Vec<Request> = blocks
            .map(|record| Request {
                object: number(record),
                bytes: record.bytes,
            })
            .collect();
        drop(records);
        let misses = bound::build(&PolicySpec::named(BOUND))?
            .replay(&trace, capacity)
            .misses;
        first_bytes.sort_unstable();
        let there = first_bytes.iter().scan(0, |sum, bytes| {
            *sum += bytes;
            Some(*sum)
        });
        let asked = trace.len() as u64;
        let hits = asked - misses + there.take_while(|sum| *sum <= capacity).count() as u64;
        Ok(CacheBound {
            hits: hits.min(asked),
            asked,
        })
    }
}

impl CacheObserver for Recorder {
    fn on_access(&self, event: &CacheEvent) {
        let caller = match event.caller {
            Caller::Get => 0,
            Caller::Scan => 1,
            Caller::Background => 2,
        };
        let detail = Detail {
            kind: event.kind as u8,
            level: event.level,
            file: event.file.unwrap_or_default(),
            caller,
            cost: event.cost,
            scanned: event.scanned,
            hit: event.hit,
        };
        self.records().push(TraceRecord {
            at_ns: event.at_ns,
            key: event.key,
            bytes: event.bytes,
            detail,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(recorder: &Recorder, kind: BlockKind, key: u64, bytes: u64) {
        recorder.on_access(&CacheEvent {
            at_ns: 7,
            key,
            file: Some(3),
            offset: Some(0),
            bytes,
            kind,
            level: Some(1),
            caller: Caller::Get,
            scanned: 0,
            cost: 1,
            hit: false,
        });
    }

    #[test]
    fn the_bound_is_on_the_blocks_of_a_phase() {
        let recorder = Recorder::default();
        ask(&recorder, BlockKind::Data, 1, 10);
        let start = recorder.len();
        for (kind, key) in [
            (BlockKind::Data, 1),
            (BlockKind::Filter, 9),
            (BlockKind::Data, 2),
            (BlockKind::Data, 1),
            (BlockKind::Data, 3),
        ] {
            ask(&recorder, kind, key, 10);
        }
        // One object fits: it may have been there, and object 1 may be held for its second request.
        assert_eq!(
            recorder.bound_since(start, 10),
            Ok(CacheBound { hits: 2, asked: 4 })
        );
        assert_eq!(
            recorder.bound_since(start, 1000),
            Ok(CacheBound { hits: 4, asked: 4 })
        );
        assert_eq!(recorder.take().len(), 6);
        assert_eq!(recorder.len(), 0);
    }
}
