//! Records the accesses to a trial's cache: the trace that `aura cache-sim` replays, and the bound
//! on each phase's hits.

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

/// Collects accesses as they are made.
#[derive(Default)]
pub(super) struct CacheRecorder {
    records: Mutex<Vec<TraceRecord>>,
}

impl CacheRecorder {
    fn records(&self) -> MutexGuard<'_, Vec<TraceRecord>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accesses recorded so far.
    pub(super) fn len(&self) -> usize {
        self.records().len()
    }

    /// Takes all accesses, in the order in which they ended.
    pub(super) fn take(&self) -> Vec<TraceRecord> {
        mem::take(&mut self.records())
    }

    /// Returns the most hits that a cache of `capacity` bytes could have had on data blocks, among
    /// the accesses after the first `start`. The capacity is that of the recorded share.
    ///
    /// What the cache held at the start is unknown: the smallest objects are assumed to have been
    /// there, as many as fit.
    pub(super) fn bound_since(
        &self,
        start: usize,
        capacity: u64,
    ) -> Result<CacheBound, PolicyError> {
        let DataBlocks {
            requests,
            mut first_bytes,
        } = self.data_blocks(start);
        let bound = bound::build(&PolicySpec::named(BOUND))?;
        let misses = bound.replay(&requests, capacity).misses;
        first_bytes.sort_unstable();
        let mut held_at_start = 0;
        let mut used = 0;
        for bytes in first_bytes {
            used += bytes;
            if used > capacity {
                break;
            }
            held_at_start += 1;
        }
        let asked = requests.len() as u64;
        Ok(CacheBound {
            hits: (asked - misses + held_at_start).min(asked),
            asked,
        })
    }

    /// The requests for data blocks after the first `start` accesses.
    fn data_blocks(&self, start: usize) -> DataBlocks {
        let mut numbers: BTreeMap<u64, Object> = BTreeMap::new();
        let mut blocks = DataBlocks::default();
        for record in &self.records()[start..] {
            if record.detail.kind != BlockKind::Data as u8 {
                continue;
            }
            let object = *numbers.entry(record.key).or_insert_with(|| {
                blocks.first_bytes.push(record.bytes);
                (blocks.first_bytes.len() - 1) as Object
            });
            blocks.requests.push(Request {
                object,
                bytes: record.bytes,
            });
        }
        blocks
    }
}

/// Requests for data blocks, which are numbered by first use.
#[derive(Default)]
struct DataBlocks {
    requests: Vec<Request>,
    /// The size of each block at its first request.
    first_bytes: Vec<u64>,
}

impl CacheObserver for CacheRecorder {
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

    fn request(recorder: &CacheRecorder, kind: BlockKind, key: u64) {
        recorder.on_access(&CacheEvent {
            at_ns: 7,
            key,
            file: Some(3),
            offset: Some(0),
            bytes: 10,
            kind,
            level: Some(1),
            caller: Caller::Get,
            scanned: 0,
            cost: 1,
            hit: false,
        });
    }

    #[test]
    fn the_bound_is_on_the_data_blocks_of_a_phase() {
        let recorder = CacheRecorder::default();
        request(&recorder, BlockKind::Data, 1);
        let start = recorder.len();
        request(&recorder, BlockKind::Data, 1);
        request(&recorder, BlockKind::Filter, 9);
        request(&recorder, BlockKind::Data, 2);
        request(&recorder, BlockKind::Data, 1);
        request(&recorder, BlockKind::Data, 3);
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
