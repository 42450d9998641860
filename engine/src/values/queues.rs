//! The queues: value files that are written in parallel, so that their appends and syncs overlap.
//!
//! The leader of a commit group appends in the order of the WAL. So the frames of a file are in
//! that order, and the frames of a memtable lie before those of the next one. A full file leaves
//! its queue at once. The flush of the last memtable that points into it syncs and seals it, so no
//! writer waits for that.

use std::io;

use super::{StagedValues, ValueLogWriter};
use crate::directory::NamedFile;
use crate::env::{BoxFuture, MaybeReady, Spawn, join_all, spawn_all};
use crate::error::Result;

/// Bytes of a queue's part in a group from which an append gets a task of its own.
const TASK_BYTES_MIN: usize = 128 << 10;

/// Whether this build leaves values unsynced when it syncs the records that point to them. It is a
/// canary: `scripts/canary` demands that the tests fail with it.
const VALUES_STAY_UNSYNCED: bool = cfg!(aura_canary = "sync-order");

/// Proof that every value is durable whose pointer was staged for the WAL. The WAL cannot be synced
/// without it. A record that carries its values points at none.
pub(crate) struct DurableValues(());

impl DurableValues {
    /// The proof for a log whose records all carry their values.
    pub(crate) fn carried() -> Self {
        Self(())
    }
}

/// The value files being written.
pub(crate) struct ValueQueues {
    /// The active file of each queue; `None` before the queue's first value, and after its file was
    /// full.
    active: Vec<Option<ValueLogWriter>>,
    /// Full files whose end is not durable yet.
    full: Vec<ValueLogWriter>,
    /// Whether a record that was staged since the last sync points at a value.
    pointed_at: bool,
}

/// An append to a queue that has begun.
pub(crate) struct Append {
    /// The queue.
    pub(crate) queue: usize,
    /// How many bytes.
    pub(crate) bytes: u64,
    /// How it ends.
    pub(crate) appended: MaybeReady<io::Result<()>>,
}

impl ValueQueues {
    /// Creates `queues` empty queues.
    pub(crate) fn new(queues: usize) -> Self {
        Self {
            active: (0..queues).map(|_| None).collect(),
            full: Vec::new(),
            pointed_at: false,
        }
    }

    /// Notes that a record is staged that points at values.
    pub(crate) fn are_pointed_at(&mut self) {
        self.pointed_at = true;
    }

    /// Returns the queues that `staged` needs and that have no file, or a file of `bytes_max` bytes
    /// or more. Such full files leave their queues.
    pub(crate) fn rotate_for(
        &mut self,
        staged: &[&mut StagedValues],
        bytes_max: u64,
    ) -> Vec<usize> {
        let mut due = Vec::new();
        for (queue, active) in self.active.iter_mut().enumerate() {
            let is_needed = staged.iter().any(|it| it.has(queue));
            let has_room = active.as_ref().is_some_and(|it| it.bytes() < bytes_max);
            if is_needed && !has_room {
                self.full.extend(active.take());
                due.push(queue);
            }
        }
        due
    }

    /// Gives a queue its next file.
    pub(crate) fn set(&mut self, queue: usize, writer: ValueLogWriter) {
        self.active[queue] = Some(writer);
    }

    /// Returns whether file `number` is active in a queue.
    pub(crate) fn is_active(&self, number: u64) -> bool {
        let mut writers = self.active.iter().flatten();
        writers.any(|writer| writer.number == number)
    }

    /// Appends the values of a group and makes their pointers final. Each queue's values are
    /// appended in order, the queues in parallel. Returns the bytes appended.
    pub(crate) async fn append(
        &mut self,
        tasks: &dyn Spawn,
        staged: &mut [&mut StagedValues],
    ) -> Result<u64> {
        let mut appends: Vec<BoxFuture<'static, Result<()>>> = Vec::new();
        let mut total = 0;
        let mut largest = 0;
        for (queue, writer) in self.active.iter_mut().enumerate() {
            let Some(writer) = writer else { continue };
            let mut pieces = Vec::new();
            for values in staged.iter_mut() {
                let Some(frames) = values.take(queue) else {
                    continue;
                };
                let start = writer.reserve(frames.len() as u64);
                values.settle(queue, writer.number, start);
                pieces.push(frames);
            }
            if pieces.is_empty() {
                continue;
            }
            let bytes = pieces.iter().map(Vec::len).sum::<usize>();
            total += bytes as u64;
            largest = largest.max(bytes);
            let file = writer.file().clone();
            appends.push(Box::pin(append_pieces(file, pieces)));
        }
        let done = match appends.len() {
            2.. if largest >= TASK_BYTES_MIN => spawn_all(tasks, "values", appends).await,
            _ => join_all(appends).await,
        };
        done.into_iter().collect::<Result<()>>()?;
        Ok(total)
    }

    /// Begins to append values that all go to one queue, and makes their pointers final. Returns
    /// None, and does nothing, if that needs more than one append: if several queues are needed, or
    /// a file of `bytes_max` bytes is full.
    pub(crate) fn begin_append(
        &mut self,
        staged: &mut StagedValues,
        bytes_max: u64,
    ) -> Option<Append> {
        let [frames] = &staged.frames[..] else {
            return None;
        };
        let queue = frames.queue;
        let writer = self.active[queue].as_mut()?;
        if writer.bytes() >= bytes_max {
            return None;
        }
        let frames = staged.take(queue)?;
        let bytes = frames.len() as u64;
        let start = writer.reserve(bytes);
        staged.settle(queue, writer.number, start);
        Some(Append {
            queue,
            bytes,
            appended: writer.file().file().append(&frames),
        })
    }

    /// Ends an append to a queue.
    pub(crate) fn end_append(&self, queue: usize, appended: io::Result<()>) -> Result<()> {
        let writer = self.active[queue].as_ref();
        let writer = writer.expect("a file that is appended to is active");
        writer.file().named("append to", appended)
    }

    /// Makes everything durable that records point at, all files in parallel. Returns how many
    /// files were synced.
    pub(crate) async fn sync(&mut self, tasks: &dyn Spawn) -> Result<(DurableValues, u64)> {
        if !self.pointed_at {
            return Ok((DurableValues(()), 0));
        }
        let mut syncs: Vec<BoxFuture<'static, Result<()>>> = Vec::new();
        for writer in self.active.iter().flatten().chain(&self.full) {
            if !writer.is_dirty() || VALUES_STAY_UNSYNCED {
                continue;
            }
            let file = writer.file().clone();
            syncs.push(Box::pin(async move { file.sync().await }));
        }
        let synced = syncs.len() as u64;
        let done = match syncs.len() {
            // A thread that may block makes one sync after the other.
            2.. => spawn_all(tasks, "values", syncs).await,
            _ => join_all(syncs).await,
        };
        done.into_iter().collect::<Result<()>>()?;
        for writer in self.active.iter_mut().flatten() {
            writer.set_synced();
        }
        self.full.clear();
        self.pointed_at = false;
        Ok((DurableValues(()), synced))
    }

    /// Takes the files of all queues out of use: what failed appends left in them is not known.
    pub(crate) fn abandon(&mut self) {
        self.full
            .extend(self.active.iter_mut().filter_map(Option::take));
        self.pointed_at = true;
    }

    /// Forgets full files that are durable already, according to `is_sealed`.
    pub(crate) fn forget_full(&mut self, is_sealed: impl Fn(u64) -> bool) {
        self.full.retain(|writer| !is_sealed(writer.number));
    }
}

async fn append_pieces(file: NamedFile, pieces: Vec<Vec<u8>>) -> Result<()> {
    for piece in pieces {
        file.append(&piece).await?;
    }
    Ok(())
}
