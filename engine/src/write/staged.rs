//! What a writer does before it joins a commit group: compress and frame the values that go to the
//! value log.

use std::sync::atomic::Ordering;

use aura_policies::placement::ValueFacts;
use bytes::Bytes;
use smallvec::SmallVec;

use super::CommitPipeline;
use crate::config::Compression;
use crate::env::CpuWork;
use crate::storage::{Batch, BatchSlices, EntryKind, Sequence, ValuePointer, WriteSlices};
use crate::table::hash_key;
use crate::values::StagedValues;
use crate::wal::format::Record;

/// Bytes of batches with separated values up to which the records of a group carry those, if each
/// group is synced: to write that much twice takes less than a second sync.
const CARRIED_BYTES_MAX: usize = 32 << 10;

/// A batch whose large values are framed for the value log.
#[derive(Default)]
pub(super) struct Staged {
    /// The batch as it was given; empty if values of it are separated and the log cannot have them
    /// as well.
    body: Bytes,
    writes: u32,
    /// Bytes of its keys and values.
    user_bytes: u64,
    deletes: u32,
    range_deletes: u32,
    separated: Option<Separated>,
}

/// A batch with pointers in the place of values.
struct Separated {
    batch: Batch,
    values: StagedValues,
    /// Where the pointers lie in the batch; they are final when the values have been appended.
    places: SmallVec<[usize; 1]>,
}

impl Separated {
    /// An empty batch, with room for a batch of `batch_bytes` and for frames of `bytes` bytes.
    fn with_room(batch_bytes: usize, bytes: usize) -> Self {
        Self {
            batch: Batch::with_capacity(batch_bytes),
            values: StagedValues::with_room(bytes),
            places: SmallVec::new(),
        }
    }

    /// Adds a value, framed for `queue`.
    fn put(
        &mut self,
        queue: usize,
        key: &[u8],
        value: &[u8],
        compression: Compression,
        work: &mut CpuWork,
    ) {
        let pointer = self.values.push(queue, key, value, compression, work);
        self.places.push(self.batch.put_pointer(key, &pointer));
    }

    /// The batch with final pointers. Its values have been appended.
    fn into_body(self) -> Bytes {
        let mut batch = self.batch;
        for (place, pointer) in self.places.iter().zip(self.values.pointers()) {
            batch.set_pointer(*place, pointer);
        }
        batch.into_body()
    }
}

/// What a batch counts for in the metrics.
pub(super) struct WriteCounts {
    pub(super) puts: u64,
    pub(super) deletes: u64,
    pub(super) range_deletes: u64,
    /// Bytes of keys and values.
    pub(super) user_bytes: u64,
}

impl Staged {
    /// The number of its writes.
    pub(super) fn writes(&self) -> u32 {
        self.writes
    }

    /// Bytes that it appends to the logs.
    pub(super) fn bytes(&self) -> usize {
        let separated = self.separated.as_ref();
        self.body.len() + separated.map_or(0, |it| it.batch.bytes() + it.values.bytes())
    }

    /// What it counts for.
    pub(super) fn counts(&self) -> WriteCounts {
        WriteCounts {
            puts: u64::from(self.writes - self.deletes - self.range_deletes),
            deletes: self.deletes.into(),
            range_deletes: self.range_deletes.into(),
            user_bytes: self.user_bytes,
        }
    }

    /// The values that go to the value log, if there are any.
    pub(super) fn values_mut(&mut self) -> Option<&mut StagedValues> {
        Some(&mut self.separated.as_mut()?.values)
    }

    /// Bytes that are written twice if its record carries what goes to the value log; None if it
    /// cannot.
    fn carriable_bytes(&self) -> Option<usize> {
        match &self.separated {
            None => Some(0),
            Some(_) => (!self.body.is_empty()).then_some(self.body.len()),
        }
    }

    /// Whether the records of a group may carry the values that go to the value log.
    pub(super) fn may_carry_values<'a>(mut group: impl Iterator<Item = &'a Self>) -> bool {
        let bytes = group.try_fold(0, |sum, staged| Some(sum + staged.carriable_bytes()?));
        bytes.is_some_and(|bytes: usize| bytes <= CARRIED_BYTES_MAX)
    }

    /// The records of the memtable and of the log, from `sequence` on. Its values have been
    /// appended. The log's is None if it is the same.
    pub(super) fn into_records(
        self,
        sequence: Sequence,
        carries_values: bool,
    ) -> (Record, Option<Record>) {
        let record = |body| Record {
            sequence,
            writes: self.writes,
            synced: 0,
            body,
        };
        match self.separated {
            None => (record(self.body), None),
            Some(separated) => {
                let logged = carries_values.then(|| record(self.body));
                (record(separated.into_body()), logged)
            }
        }
    }

    /// Whether its record points at values, unless it carries them.
    pub(super) fn is_separated(&self) -> bool {
        self.separated.is_some()
    }
}

impl CommitPipeline {
    /// Whether the policy separates a value of `value_bytes` bytes.
    pub(super) fn separates(&self, key_bytes: usize, value_bytes: usize) -> bool {
        let policies = self.core.policies();
        policies.separation.separate(key_bytes, value_bytes)
    }

    /// Compresses and frames the one value of a put, which goes to the value log.
    pub(super) fn stage_one(&self, key: &[u8], value: &[u8], work: &mut CpuWork) -> Staged {
        let batch_bytes = Batch::put_bytes(key.len(), ValuePointer::ENCODED_BYTES);
        let mut separated = Separated::with_room(batch_bytes, key.len() + value.len());
        let compression = self.core.config().value_log.compression;
        let queue = self.queue_for(key, value.len());
        separated.put(queue, key, value, compression, work);
        let bytes = Batch::put_bytes(key.len(), value.len());
        let mut given = Batch::default();
        if self.syncs_always && bytes <= CARRIED_BYTES_MAX {
            given = Batch::with_capacity(bytes);
            given.copy(EntryKind::Put, key, value);
        }
        Staged {
            body: given.into_body(),
            writes: 1,
            user_bytes: (key.len() + value.len()) as u64,
            separated: Some(separated),
            ..Staged::default()
        }
    }

    /// Compresses and frames the values of a batch that go to the value log.
    pub(super) fn stage(&self, body: Bytes, writes: u32, work: &mut CpuWork) -> Staged {
        let mut staged = Staged {
            writes,
            ..Staged::default()
        };
        let policies = self.core.policies();
        let config = self.core.config();
        for (index, write) in BatchSlices::new(&body).enumerate() {
            let WriteSlices { kind, key, value } = write.expect("a batch is well formed");
            staged.user_bytes += (key.len() + value.len()) as u64;
            staged.deletes += u32::from(kind == EntryKind::Delete);
            staged.range_deletes += u32::from(kind == EntryKind::DeleteRange);
            if kind == EntryKind::Put && policies.separation.separate(key.len(), value.len()) {
                let separated = staged
                    .separated
                    .get_or_insert_with(|| separated_from(&body, index));
                let queue = self.queue_for(key, value.len());
                separated.put(queue, key, value, config.value_log.compression, work);
            } else if let Some(separated) = &mut staged.separated {
                separated.batch.copy(kind, key, value);
            }
        }
        let is_carried = self.syncs_always && body.len() <= CARRIED_BYTES_MAX;
        if staged.separated.is_none() || is_carried {
            staged.body = body;
        }
        staged
    }

    /// The queue of the value log that a value goes to.
    fn queue_for(&self, key: &[u8], bytes: usize) -> usize {
        let queues = self.core.config().value_log.queues;
        if queues == 1 {
            return 0;
        }
        let facts = ValueFacts {
            key_hash: hash_key(key),
            bytes: bytes as u64,
            number: self.separated.fetch_add(1, Ordering::Relaxed),
        };
        let queue = self.core.policies().placement.queue(&facts, queues);
        queue.min(queues - 1) as usize
    }
}

/// A batch of the first `writes` writes of `body`, none of which is separated.
fn separated_from(body: &[u8], writes: usize) -> Separated {
    let mut separated = Separated::with_room(0, body.len());
    for write in BatchSlices::new(body).take(writes) {
        let WriteSlices { kind, key, value } = write.expect("a batch is well formed");
        separated.batch.copy(kind, key, value);
    }
    separated
}
