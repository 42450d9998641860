//! THE WRITE PATH: separate -> value log -> WAL -> memtable -> seal.
//!
//! Writers that arrive while a commit group is being written form the next one. The first of them leads it: it appends
//! everybody's values, then everybody's records in one append, syncs by policy, inserts into the memtable, publishes the
//! last sequence number and tells the others. What a writer can do alone (compressing and framing values) it does before
//! it joins, outside any lock.
//!
//! The order that keeps a crash harmless: value files are synced before the WAL record that points into them is, and
//! nothing is published before its record is as durable as the policy asks. When an append or a sync fails, the end of
//! the log is unknown, so the engine takes no further write until it is reopened.

mod stall;

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use aura_policies::placement::ValueFacts;
use bytes::Bytes;
use tokio::sync::oneshot;

use crate::config::{Compression, SyncPolicy};
use crate::directory::FileKind;
use crate::env::{BoxFuture, CpuWork};
use crate::error::{Error, Result};
use crate::manifest::Edit;
use crate::memtable::{Memtable, ValueTail};
use crate::metrics::add;
use crate::state::{Inner, OpenedFiles, ReadState, Uncut};
use crate::storage::{Batch, BatchReader, EntryKind, Sequence, check_key, check_value};
use crate::sync::lock;
use crate::table::hash_key;
use crate::values::{StagedValues, ValueFile, ValueFileState, ValueLogWriter, ValueQueues};
use crate::wal::WalWriter;
use crate::wal::format::Record;

/// Bytes after which a commit group takes no further writer, so that none waits for a very long append.
const GROUP_BYTES_MAX: usize = 4 << 20;

/// The logs, written by the leader of a commit group alone.
pub(crate) struct Log {
    /// The log of the active memtable.
    pub(crate) wal: WalWriter,
    /// The value files being filled.
    pub(crate) values: ValueQueues,
    /// The largest sequence number given out.
    pub(crate) sequence: Sequence,
    /// When the log was last synced, in nanoseconds of the clock.
    pub(crate) synced_at: u64,
}

/// Writers waiting for the next commit group.
#[derive(Default)]
pub(crate) struct CommitQueue {
    waiting: VecDeque<Request>,
    led: bool,
}

struct Request {
    staged: Staged,
    told: oneshot::Sender<Result<()>>,
}

/// A batch whose large values are framed for the value log.
#[derive(Default)]
struct Staged {
    /// The batch as it is logged, where nothing of it is separated.
    body: Bytes,
    writes: u32,
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
    /// The same batch with another value, framed for `queue`.
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
}

impl Staged {
    fn bytes(&self) -> usize {
        self.body.len()
            + self
                .separated
                .as_ref()
                .map_or(0, |it| it.batch.bytes() + it.values.bytes())
    }

    /// The batch as it is logged. Its values have been appended.
    fn into_body(self) -> Bytes {
        let Some(Separated {
            mut batch,
            values,
            places,
        }) = self.separated
        else {
            return self.body;
        };
        places
            .iter()
            .zip(values.pointers())
            .for_each(|(place, pointer)| batch.set_pointer(*place, pointer));
        batch.into_body()
    }
}

impl Inner {
    /// Commits a batch.
    pub(crate) async fn write(self: &Arc<Self>, batch: Batch) -> Result<()> {
        self.check_writable()?;
        if batch.is_empty() {
            return Ok(());
        }
        let mut work = CpuWork {
            operations: 1,
            ..CpuWork::default()
        };
        let staged = self.stage(batch, &mut work);
        self.commit_staged(staged, &work).await
    }

    /// Sets `key` to `value`: as a batch of one, without the copy of a large value that a batch is.
    pub(crate) async fn put(self: &Arc<Self>, key: &[u8], value: &[u8]) -> Result<()> {
        if !self.policies().separation.separate(key.len(), value.len()) {
            let mut batch = Batch::with_capacity(key.len() + value.len() + 16);
            batch.put(key, value)?;
            return self.write(batch).await;
        }
        self.check_writable()?;
        check_key(key)?;
        check_value(value)?;
        let mut work = CpuWork {
            operations: 1,
            ..CpuWork::default()
        };
        let mut separated = self.separate(key.len() + value.len());
        let compression = self.config().value_log.compression;
        separated.put(
            self.queue_for(key, value.len()),
            key,
            value,
            compression,
            &mut work,
        );
        let user_bytes = (key.len() + value.len()) as u64;
        let staged = Staged {
            writes: 1,
            user_bytes,
            separated: Some(separated),
            ..Staged::default()
        };
        self.commit_staged(staged, &work).await
    }

    async fn commit_staged(self: &Arc<Self>, staged: Staged, work: &CpuWork) -> Result<()> {
        let writes = staged.writes;
        self.env.clock.charge(work);
        let (tell, told) = oneshot::channel();
        let leads = {
            let mut queue = lock(&self.queue);
            queue.waiting.push_back(Request { staged, told: tell });
            !mem::replace(&mut queue.led, true)
        };
        if leads {
            self.begin_commit().await;
        }
        (0..writes).for_each(|_| self.count_operation());
        // Every request is answered; a sender is lost only when the commit's task was killed with its runtime.
        told.await.unwrap_or(Err(Error::Closed))
    }

    /// Commits the groups that wait. What can be done without waiting is done here; the rest belongs
    /// to a task: the writer may be dropped, or not be polled, while others wait for the group.
    async fn begin_commit(self: &Arc<Self>) {
        if self.config().wal.sync == SyncPolicy::Always {
            let commit = leading(self, usize::MAX);
            return self.env.tasks.spawn_on_thread("commit", commit);
        }
        let mut commit = Some(leading(self, GROUPS_LED_MAX));
        std::future::poll_fn(|context| {
            if let Some(mut begun) = commit.take()
                && begun.as_mut().poll(context).is_pending()
            {
                self.env.tasks.spawn_on_thread("commit", begun);
            }
            Poll::Ready(())
        })
        .await;
    }

    /// A batch of nothing yet, with room for frames of so many bytes.
    fn separate(&self, bytes: usize) -> Separated {
        Separated {
            batch: Batch::new(),
            values: StagedValues::with_room(bytes),
            places: Vec::new(),
        }
    }

    /// Compresses and frames the values that go to the value log.
    fn stage(&self, batch: Batch, work: &mut CpuWork) -> Staged {
        let (writes, body) = (batch.len() as u32, batch.into_body());
        let mut staged = Staged {
            body: body.clone(),
            writes,
            ..Staged::default()
        };
        let (policies, config) = (self.policies(), self.config());
        for (index, write) in BatchReader::new(body.clone()).enumerate() {
            let (kind, key, value) = write.expect("a batch is well formed");
            staged.user_bytes += (key.len() + value.len()) as u64;
            staged.deletes += u32::from(kind == EntryKind::Delete);
            staged.range_deletes += u32::from(kind == EntryKind::DeleteRange);
            if kind == EntryKind::Put && policies.separation.separate(key.len(), value.len()) {
                // The writes before the first such one stay as they are.
                let separated = staged.separated.get_or_insert_with(|| {
                    let mut separated = self.separate(body.len());
                    for write in BatchReader::new(body.clone()).take(index) {
                        let (kind, key, value) = write.expect("a batch is well formed");
                        separated.batch.copy(kind, &key, &value);
                    }
                    separated
                });
                let queue = self.queue_for(&key, value.len());
                separated.put(queue, &key, &value, config.value_log.compression, work);
            } else if let Some(separated) = &mut staged.separated {
                separated.batch.copy(kind, &key, &value);
            }
        }
        if staged.separated.is_some() {
            staged.body = Bytes::new();
        }
        staged
    }

    /// The queue of the value log that a value goes to.
    fn queue_for(&self, key: &[u8], bytes: usize) -> usize {
        let queues = self.config().value_log.queues;
        if queues == 1 {
            return 0;
        }
        let number = self.separated.fetch_add(1, Ordering::Relaxed);
        let facts = ValueFacts {
            key_hash: hash_key(key),
            bytes: bytes as u64,
            number,
        };
        self.policies()
            .placement
            .queue(&facts, queues)
            .min(queues - 1) as usize
    }

    /// Seals the active memtable: the next one logs to a new file.
    pub(crate) async fn seal(&self, log: &mut Log) -> Result<()> {
        let syncs = self.config().wal.sync != SyncPolicy::Never;
        if syncs {
            // What the old log holds must be durable before the new one is: recovery is to a prefix.
            self.sync_log(log).await?;
        }
        let number = self.new_number();
        let first = log.sequence + 1;
        let wal =
            WalWriter::create(&self.env, &self.directory, number, first, Some(&log.wal)).await?;
        if syncs {
            self.sync_directory().await?;
        }
        log.wal = wal;
        self.seal_values(log)?;
        let active = Arc::new(Memtable::new(self.config().memtable_structure, number));
        self.change_view(|view| {
            let mut sealed = vec![view.active.clone()];
            sealed.extend(view.sealed.iter().cloned());
            ReadState {
                active,
                sealed,
                version: view.version.clone(),
            }
        });
        self.work_due.notify_waiters();
        Ok(())
    }

    /// Tells the active memtable, which is being sealed, how far the value files are filled that it may point into.
    fn seal_values(&self, log: &mut Log) -> Result<()> {
        let view = self.view.load();
        let files = &view.version.value_files;
        let mut tails = Vec::new();
        for state in files.values().filter(|state| !state.is_sealed()) {
            let (file, bytes) = (state.number, state.file.bytes()?);
            tails.push(ValueTail {
                file,
                bytes,
                full: !log.values.is_active(file),
            });
        }
        log.values
            .forget_full(|file| files.get(&file).is_none_or(ValueFileState::is_sealed));
        view.active.seal(tails);
        Ok(())
    }

    /// Makes everything logged so far durable: values first, then the records that point at them.
    pub(crate) async fn sync_log(&self, log: &mut Log) -> Result<()> {
        let (durable, files) = log.values.sync().await?;
        add(&self.counters.mine().value_log_syncs, files);
        if log.wal.unsynced_bytes() > 0 {
            log.wal.sync(&durable).await?;
            *lock(&self.log_durable) = log.wal.durable_part();
            add(&self.counters.mine().wal_syncs, 1);
        }
        log.synced_at = self.env.clock.now();
        Ok(())
    }

    fn must_sync(&self, log: &Log) -> bool {
        match self.config().wal.sync {
            SyncPolicy::Always => true,
            SyncPolicy::Never => false,
            SyncPolicy::Bytes(bytes) => log.wal.unsynced_bytes() >= bytes.as_u64(),
            SyncPolicy::Interval(interval) => {
                u128::from(self.env.clock.now() - log.synced_at) >= interval.as_nanos()
            }
        }
    }

    /// Appends a group's values; afterwards their pointers are final.
    async fn append_values(&self, log: &mut Log, group: &mut [Request]) -> Result<()> {
        let mut staged: Vec<&mut StagedValues> = group
            .iter_mut()
            .filter_map(|request| Some(&mut request.staged.separated.as_mut()?.values))
            .collect();
        if staged.is_empty() {
            return Ok(());
        }
        for queue in log
            .values
            .rotate_for(&staged, self.config().value_log.file.as_u64())
        {
            let writer = self.begin_values().await?;
            log.values.set(queue, writer);
        }
        let appended = log.values.append(&*self.env.tasks, &mut staged).await?;
        add(&self.counters.mine().value_log_bytes, appended);
        self.view.load().active.add_separated(appended);
        Ok(())
    }

    /// Begins a value file. The manifest knows it before a pointer into it exists.
    async fn begin_values(&self) -> Result<ValueLogWriter> {
        let number = self.new_number();
        let writer = ValueLogWriter::create(
            &self.env,
            FileKind::Values.path(&self.directory, number),
            number,
        )
        .await?;
        self.sync_directory().await?;
        let file = ValueFile::new(
            number,
            writer.path().to_path_buf(),
            writer.file(),
            self.env.fs.clone(),
        );
        let opened = OpenedFiles {
            values: [(number, Arc::new(file))].into(),
            ..OpenedFiles::default()
        };
        self.commit_edit(
            Edit {
                values_opened: vec![number],
                ..Edit::default()
            },
            opened,
        )
        .await?;
        Ok(writer)
    }

    async fn commit(&self, group: &mut [Request]) -> Result<()> {
        let mut log = self.log.lock().await;
        // If this is cut short, nobody knows what of the group is in the log.
        let uncut = Uncut::new(self, "a commit");
        let committed = self.commit_to(&mut log, group).await;
        uncut.ended();
        committed
    }

    async fn commit_to(&self, log: &mut Log, group: &mut [Request]) -> Result<()> {
        // Under the lock: a close that came first has taken it already.
        self.check_writable()?;
        let bytes = group
            .iter()
            .map(|request| request.staged.bytes() as u64)
            .sum();
        self.make_room(log, bytes).await?;
        self.append_values(log, group).await?;
        let mut logged = Vec::with_capacity(group.len());
        for request in group.iter_mut() {
            let staged = mem::take(&mut request.staged);
            let (writes, user_bytes) = (staged.writes, staged.user_bytes);
            let (deletes, range_deletes) = (staged.deletes, staged.range_deletes);
            let record = Record {
                sequence: log.sequence + 1,
                writes,
                synced: 0,
                body: staged.into_body(),
            };
            log.sequence += u64::from(writes);
            let mine = self.counters.mine();
            add(&mine.user_write_bytes, user_bytes);
            add(&mine.puts, u64::from(writes - deletes - range_deletes));
            add(&mine.deletes, u64::from(deletes));
            add(&mine.range_deletes, u64::from(range_deletes));
            log.wal.stage(record.clone());
            logged.push(record);
        }
        add(&self.counters.mine().batches, group.len() as u64);
        add(&self.counters.mine().groups, 1);
        let appended = log.wal.append().await?;
        add(&self.counters.mine().wal_bytes, appended);
        self.view.load().active.add_logged(appended);
        if self.must_sync(log) {
            self.sync_log(log).await?;
        }
        let mut work = CpuWork {
            system_calls: 1,
            bytes_checksummed: appended,
            bytes_copied: appended,
            ..CpuWork::default()
        };
        let view = self.view.load();
        for record in logged {
            view.active
                .insert_batch(record.sequence, record.writes, record.body, &mut work)
                .expect("a batch is well formed");
        }
        self.env.clock.charge(&work);
        self.published.store(log.sequence, Ordering::Release);
        Ok(())
    }
}

/// Groups that a writer commits at most before a task goes on: those that form meanwhile cost it less
/// than another leader, but its own caller waits for them.
const GROUPS_LED_MAX: usize = 16;

/// Commits groups while writers wait; after `groups_max` of them another task goes on.
fn leading(inner: &Arc<Inner>, groups_max: usize) -> BoxFuture<'static, ()> {
    let inner = inner.clone();
    Box::pin(async move {
        for _ in 0..groups_max {
            lead_group(&inner).await;
            let mut queue = lock(&inner.queue);
            if queue.waiting.is_empty() {
                queue.led = false;
                return;
            }
        }
        let next = leading(&inner, usize::MAX);
        inner.env.tasks.spawn_on_thread("commit", next);
    })
}

/// Commits the writers that wait, as one group.
async fn lead_group(inner: &Inner) {
    let mut group = Vec::new();
    {
        let mut queue = lock(&inner.queue);
        let mut bytes = 0;
        while bytes < GROUP_BYTES_MAX
            && let Some(request) = queue.waiting.pop_front()
        {
            bytes += request.staged.bytes();
            group.push(request);
        }
    }
    let result = inner.commit(&mut group).await;
    if let Err(error) = &result
        && !matches!(error, Error::Poisoned { .. } | Error::Closed)
    {
        inner.set_poison(error);
    }
    for request in group {
        // A writer that was dropped does not wait for the answer.
        let _ = request.told.send(result.clone());
    }
}
