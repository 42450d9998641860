//! The queues: value files being filled side by side, so that their appends and syncs go on in parallel.
//!
//! The leader of a commit group appends in the order of the WAL, so each file holds its frames in that order: what a memtable
//! points at lies in front of what the next one does. A file that is full leaves its queue at once, and is synced and sealed
//! by the flush of the last memtable that points into it: no writer waits for that.

use std::sync::Arc;

use super::{StagedValues, ValueLogWriter};
use crate::env::{BoxFuture, File, Spawn, join_all, spawn_all};
use crate::error::{Error, Result};

/// Bytes of a queue's part in a group from which on it is worth a task of its own.
const TASK_BYTES_MIN: usize = 128 << 10;

/// Whether this build leaves values unsynced behind the records that point at them: a canary, for `scripts/canary`, which
/// demands that the tests die of it.
const VALUES_STAY_UNSYNCED: bool = cfg!(aura_canary = "sync-order");

/// Proof that every value whose pointer has been staged for the WAL is durable: a WAL is not synced without it.
pub(crate) struct DurableValues(());

/// The value files being filled.
pub(crate) struct ValueQueues {
    /// The file of each queue; none until a value goes there, and after it was full.
    active: Vec<Option<ValueLogWriter>>,
    /// Full files whose end is not durable yet.
    full: Vec<ValueLogWriter>,
}

impl ValueQueues {
    /// So many queues, without files.
    pub(crate) fn new(queues: usize) -> Self {
        Self {
            active: (0..queues).map(|_| None).collect(),
            full: Vec::new(),
        }
    }

    /// The queues that `staged` needs and that have no file yet, or one of `bytes_max` or more, which leaves.
    pub(crate) fn rotate_for(
        &mut self,
        staged: &[&mut StagedValues],
        bytes_max: u64,
    ) -> Vec<usize> {
        let needed = |queue: usize| {
            staged
                .iter()
                .any(|values| values.frames.contains_key(&queue))
        };
        let mut due = Vec::new();
        for queue in (0..self.active.len()).filter(|queue| needed(*queue)) {
            if self.active[queue]
                .as_ref()
                .is_none_or(|it| it.bytes() >= bytes_max)
            {
                self.full.extend(self.active[queue].take());
                due.push(queue);
            }
        }
        due
    }

    /// Gives a queue its next file.
    pub(crate) fn set(&mut self, queue: usize, writer: ValueLogWriter) {
        self.active[queue] = Some(writer);
    }

    /// Whether file `number` is being filled.
    pub(crate) fn is_active(&self, number: u64) -> bool {
        self.active
            .iter()
            .flatten()
            .any(|writer| writer.number == number)
    }

    /// Appends the values of a group, each queue's in order and the queues in parallel; afterwards their pointers are final.
    /// The bytes appended.
    pub(crate) async fn append(
        &mut self,
        tasks: &dyn Spawn,
        staged: &mut [&mut StagedValues],
    ) -> Result<u64> {
        let mut appends: Vec<BoxFuture<'static, Result<()>>> = Vec::new();
        let (mut total, mut largest) = (0, 0);
        for (queue, writer) in self.active.iter_mut().enumerate() {
            let Some(writer) = writer else { continue };
            let mut pieces = Vec::new();
            for values in staged.iter_mut() {
                let Some(frames) = values.frames.remove(&queue) else {
                    continue;
                };
                let start = writer.reserve(frames.len() as u64);
                for (_, pointer) in values.pointers.iter_mut().filter(|(of, _)| *of == queue) {
                    (pointer.file, pointer.offset) = (writer.number, pointer.offset + start);
                }
                pieces.push(frames);
            }
            if pieces.is_empty() {
                continue;
            }
            let bytes = pieces.iter().map(Vec::len).sum::<usize>();
            (total, largest) = (total + bytes as u64, largest.max(bytes));
            let (file, path) = (writer.file(), writer.path().to_path_buf());
            appends.push(Box::pin(async move {
                append_pieces(&*file, pieces)
                    .await
                    .map_err(|error| Error::io("append to", &path, error))
            }));
        }
        let done = match appends.len() {
            2.. if largest >= TASK_BYTES_MIN => spawn_all(tasks, "values", appends).await,
            _ => join_all(appends).await,
        };
        done.into_iter().collect::<Result<()>>()?;
        Ok(total)
    }

    /// Makes everything appended so far durable, all files in parallel; how many were synced.
    pub(crate) async fn sync(&mut self) -> Result<(DurableValues, u64)> {
        let dirty = || {
            self.active
                .iter()
                .flatten()
                .chain(&self.full)
                .filter(|it| it.is_dirty() && !VALUES_STAY_UNSYNCED)
        };
        let syncs: Vec<BoxFuture<'static, Result<()>>> = dirty()
            .map(|writer| {
                let (file, path): (Arc<dyn File>, _) = (writer.file(), writer.path().to_path_buf());
                Box::pin(async move {
                    file.sync()
                        .await
                        .map_err(|error| Error::io("sync", &path, error))
                }) as _
            })
            .collect();
        let synced = syncs.len() as u64;
        join_all(syncs).await.into_iter().collect::<Result<()>>()?;
        self.active
            .iter_mut()
            .flatten()
            .for_each(ValueLogWriter::set_synced);
        self.full.clear();
        Ok((DurableValues(()), synced))
    }

    /// Forgets the full files that `is_sealed` says are durable already.
    pub(crate) fn forget_full(&mut self, is_sealed: impl Fn(u64) -> bool) {
        self.full.retain(|writer| !is_sealed(writer.number));
    }
}

async fn append_pieces(file: &dyn File, pieces: Vec<Vec<u8>>) -> std::io::Result<()> {
    for piece in pieces {
        file.append(&piece).await?;
    }
    Ok(())
}
