//! What a writer does before it joins a commit group: compress and frame the values that go to the
//! value log.

use std::sync::atomic::Ordering;

use aura_policies::placement::ValueFacts;
use bytes::Bytes;

use super::CommitPipeline;
use crate::config::Compression;
use crate::env::CpuWork;
use crate::storage::{Batch, BatchSlices, EntryKind, Sequence, ValuePointer, WriteSlices};
use crate::table::hash_key;
use crate::values::StagedValues;
use crate::wal::format::Record;

/// A batch whose large values are framed for the value log.
#[derive(Default)]
pub(super) struct Staged {
    /// The batch as it is logged, if nothing of it is separated; empty otherwise.
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
    places: Vec<usize>,
}

impl Separated {
    /// An empty batch, with room for a batch of `batch_bytes` and for frames of `bytes` bytes.
    fn with_room(batch_bytes: usize, bytes: usize) -> Self {
        Self {
            batch: Batch::with_capacity(batch_bytes),
            values: StagedValues::with_room(bytes),
            places: Vec::with_capacity(1),
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

    /// The record of the log that starts at `sequence`. Its values have been appended.
    pub(super) fn into_record(self, sequence: Sequence) -> Record {
        Record {
            sequence,
            writes: self.writes,
            synced: 0,
            body: match self.separated {
                Some(separated) => separated.into_body(),
                None => self.body,
            },
        }
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
        Staged {
            writes: 1,
            user_bytes: (key.len() + value.len()) as u64,
            separated: Some(separated),
            ..Staged::default()
        }
    }

    /// Compresses and frames the values of a batch that go to the value log.
    pub(super) fn stage(&self, batch: Batch, work: &mut CpuWork) -> Staged {
        let writes = batch.len() as u32;
        let body = batch.into_body();
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
        if staged.separated.is_none() {
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
