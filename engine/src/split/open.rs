//! Opening a split database.
//!
//! It goes in this order, so that a crash at any point, or a future that is dropped, leaves a
//! directory that opens again:
//!
//! 1. The lock and the marker, which is written first of all in a new directory.
//! 2. The logs are read, to the first record that is torn; what is read is made durable, since it
//!    is about to be flushed.
//! 3. The sides are opened, each with the writes of the logs that are its own: they become tables.
//! 4. A new log is begun, and the marker says that history begins with it; the old logs are
//!    removed.
//! 5. The tasks of the sides are started.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};

use super::Split;
use super::format::{SideMarker, SplitMarker};
use super::log::{SharedLog, write_marker};
use super::moment::Published;
use super::parts::Halves;
use crate::config::{EngineConfig, SyncPolicy};
use crate::db::api::AuraEngine;
use crate::db::side::Side;
use crate::directory::{CURRENT, FileKind, Files, SIDE, SPLIT, numbered, take_lock};
use crate::env::{Clock, Env};
use crate::error::{Error, Result};
use crate::metrics::Telemetry;
use crate::recovery::{LoggedWrites, RecoveryReport};
use crate::state::Lifecycle;
use crate::storage::Sequence;
use crate::wal::{Chain, Link, Replay};

/// What a split database is opened with.
pub(super) struct Opening {
    pub(super) env: Env,
    pub(super) directory: PathBuf,
    pub(super) configs: [EngineConfig; 2],
    /// The seed of the hash; None takes what the directory says, or 0.
    pub(super) hash_seed: Option<u64>,
    pub(super) telemetry: [Telemetry; 2],
}

/// What the logs held.
#[derive(Default)]
struct ReadLogs {
    /// The writes of each side, in order.
    sides: [Vec<LoggedWrites>; 2],
    /// The largest sequence number.
    sequence: Sequence,
    /// The logs that were found.
    numbers: Vec<u64>,
    report: RecoveryReport,
}

impl Opening {
    /// Checks the settings of the two sides.
    fn check(&self) -> Result<SyncPolicy> {
        let [zero, one] = &self.configs;
        zero.validate()?;
        one.validate()?;
        if zero.wal.sync != one.wal.sync {
            let what = "both sides of a split database share one log: it must be equal on both";
            return Err(Error::config("wal.sync", what));
        }
        Ok(zero.wal.sync)
    }

    /// Opens the directory, creating it if it is not there.
    pub(super) async fn open(self) -> Result<Arc<Split>> {
        let policy = self.check()?;
        let env = self.env.clone();
        Files::of(&env).create_directory(&self.directory)?;
        let directory_lock = take_lock(&env, &self.directory)?;
        let started = env.clock.now();
        let marker = self.marker().await?;
        let halves = Halves::new(marker.hash_seed);
        let logs = self.read_logs(marker, halves).await?;
        let lifecycle = Arc::new(Lifecycle::new(false, Some(directory_lock)));
        let log = Arc::new(SharedLog::new(
            env.clone(),
            self.directory.clone(),
            marker.hash_seed,
            lifecycle.clone(),
        ));
        let ReadLogs {
            sides: [of_zero, of_one],
            sequence,
            numbers,
            mut report,
        } = logs;
        let sides = [
            self.open_side(0, marker, &log, of_zero).await?,
            self.open_side(1, marker, &log, of_one).await?,
        ];
        let newest = numbers.last().copied().unwrap_or(0).max(marker.first_log);
        log.begin(newest + 1, sequence).await?;
        for number in numbers {
            // One that cannot be removed now is removed by the next opening.
            let _ = env.fs.remove(&FileKind::Wal.path(&self.directory, number));
        }
        report.nanos = env.clock.now() - started;
        let split = Arc::new(Split {
            published: Published::new(&sides),
            env,
            halves,
            sides,
            log,
            lifecycle,
            policy,
            queue: Mutex::default(),
            recovery: report,
        });
        split.start()?;
        Ok(split)
    }

    fn refused(&self, what: impl Into<String>) -> Error {
        Error::Split {
            directory: self.directory.clone(),
            what: what.into(),
        }
    }

    /// Reads the marker, or writes the first one.
    async fn marker(&self) -> Result<SplitMarker> {
        let files = Files::of(&self.env);
        let path = self.directory.join(SPLIT);
        let names = files.list(&self.directory)?;
        let has = |marker: &str| names.iter().any(|name| name == marker);
        if has(CURRENT) {
            return Err(self.refused("it holds a database that is not split"));
        }
        if has(SIDE) {
            return Err(self.refused("it is one side of a split database: open the whole"));
        }
        if has(SPLIT) {
            let bytes = files.open(&path)?.read_whole().await?;
            let marker = SplitMarker::decode(&bytes).ok_or_else(|| {
                Error::corruption(&path, 0, "it is no marker, or its checksum is wrong")
            })?;
            return match self.hash_seed {
                Some(seed) if seed != marker.hash_seed => Err(self.refused(format!(
                    "its keys are divided by hash seed {}, not {seed}",
                    marker.hash_seed
                ))),
                _ => Ok(marker),
            };
        }
        if let Some((kind, number)) = numbered(&names, None).first() {
            let name = kind.name(*number);
            let what = format!("it is missing, but {name} exists: the marker was lost");
            return Err(Error::corruption(&path, 0, what));
        }
        let marker = SplitMarker {
            hash_seed: self.hash_seed.unwrap_or(0),
            ..SplitMarker::default()
        };
        write_marker(&self.env, &self.directory, marker).await?;
        Ok(marker)
    }

    /// Reads the logs that are needed, divides what they hold, and makes it durable. Removes those
    /// that are not needed.
    async fn read_logs(&self, marker: SplitMarker, halves: Halves) -> Result<ReadLogs> {
        let files = Files::of(&self.env);
        let names = files.list(&self.directory)?;
        let logs = numbered(&names, None).into_iter();
        let logs = logs.filter(|(kind, _)| *kind == FileKind::Wal);
        let mut numbers: Vec<u64> = logs.map(|(_, number)| number).collect();
        self.remove_old(&mut numbers, marker.first_log).await?;
        if marker.first_log > 0 && numbers.first() != Some(&marker.first_log) {
            let path = FileKind::Wal.path(&self.directory, marker.first_log);
            let what = "the marker names it, but it is missing";
            return Err(Error::corruption(&path, 0, what));
        }
        let durable: BTreeMap<u64, u64> = match marker.durable.bytes {
            0 => BTreeMap::new(),
            bytes => [(marker.durable.log, bytes)].into(),
        };
        let mut read = ReadLogs::default();
        let mut chain = Chain::new(&self.directory, durable, None);
        for number in numbers.iter().copied() {
            let mut log = Replay::open(&self.env, &self.directory, number).await?;
            match chain.link(number, &mut log)? {
                Link::Follows => {}
                Link::Orphan => continue,
                Link::CutOff => break,
            }
            self.take_log(&mut log, halves, &mut read)?;
            chain.add(number, &log);
            if !log.is_complete() {
                log.check_torn()?;
            }
        }
        chain.check_durable()?;
        // Before a side flushes any of it: what was read may be in memory only.
        for number in &numbers {
            let path = FileKind::Wal.path(&self.directory, *number);
            files.open(&path)?.sync().await?;
        }
        files.sync_directory(&self.directory).await?;
        read.numbers = numbers;
        Ok(read)
    }

    /// Removes the logs below `first`, and takes them from `numbers`.
    async fn remove_old(&self, numbers: &mut Vec<u64>, first: u64) -> Result<()> {
        let needed = numbers.partition_point(|number| *number < first);
        if needed == 0 {
            return Ok(());
        }
        // On the device an older marker may be in force, which names them.
        let files = Files::of(&self.env);
        files.open(&self.directory.join(SPLIT))?.sync().await?;
        files.sync_directory(&self.directory).await?;
        for number in numbers.drain(..needed) {
            let path = FileKind::Wal.path(&self.directory, number);
            let _ = self.env.fs.remove(&path);
        }
        Ok(())
    }

    /// Takes the sound records of a log.
    fn take_log(&self, log: &mut Replay, halves: Halves, read: &mut ReadLogs) -> Result<()> {
        let path = FileKind::Wal.path(&self.directory, log.number());
        loop {
            let offset = log.offset();
            let Some(record) = log.next()? else { break };
            let end = record.sequence + u64::from(record.writes);
            read.report.batches += 1;
            read.report.writes += u64::from(record.writes);
            let parts = halves.divide(record.body, record.writes).ok_or_else(|| {
                let what = "a record's checksum holds, but it is not a batch";
                Error::corruption(&path, offset, what)
            })?;
            for (side, part) in read.sides.iter_mut().zip(parts.sides) {
                side.extend(part);
            }
            read.sequence = read.sequence.max(end.saturating_sub(1));
        }
        // A log without a record says where the next one goes on.
        let next = log.expected().unwrap_or(0);
        read.sequence = read.sequence.max(next.saturating_sub(1));
        read.report.logs += 1;
        read.report.log_bytes += log.offset();
        Ok(())
    }

    /// Opens a side with the writes that the logs hold for it. No task of it runs yet.
    async fn open_side(
        &self,
        number: usize,
        marker: SplitMarker,
        log: &Arc<SharedLog>,
        logged: Vec<LoggedWrites>,
    ) -> Result<AuraEngine> {
        let directory = self.directory.join(format!("side-{number}"));
        self.mark_side(&directory, number, marker).await?;
        let side = Side {
            above: log.clone(),
            logged,
        };
        AuraEngine::prepare_side(
            self.env.clone(),
            directory,
            self.configs[number].clone(),
            self.telemetry[number].clone(),
            side,
        )
        .await
    }

    /// Checks that a directory is the side that it should be; marks it if it is new.
    async fn mark_side(&self, directory: &Path, number: usize, marker: SplitMarker) -> Result<()> {
        let files = Files::of(&self.env);
        files.create_directory(directory)?;
        let names = files.list(directory)?;
        let has = |name: &str| names.iter().any(|it| it == name);
        let expected = SideMarker {
            hash_seed: marker.hash_seed,
            side: number as u64,
        };
        let path = directory.join(SIDE);
        if marker.first_log > 0 && !has(CURRENT) {
            let what = "it is missing, but the log of the split database says that it was there";
            return Err(Error::corruption(&directory.join(CURRENT), 0, what));
        }
        if has(SIDE) {
            let bytes = files.open(&path)?.read_whole().await?;
            return match SideMarker::decode(&bytes) {
                Some(found) if found == expected => Ok(()),
                Some(found) => Err(self.refused(format!(
                    "side-{number} is side {} of the halves of hash seed {}",
                    found.side, found.hash_seed
                ))),
                None => {
                    let what = "it is no marker, or its checksum is wrong";
                    Err(Error::corruption(&path, 0, what))
                }
            };
        }
        if has(CURRENT) {
            return Err(self.refused(format!("side-{number} holds a database of its own")));
        }
        let replacement = files
            .write_replacement(directory, SIDE, &expected.encode())
            .await?;
        replacement.sync().await?;
        replacement.put_in_place()?;
        files.sync_directory(directory).await
    }
}

impl Split {
    /// Starts the tasks.
    fn start(self: &Arc<Self>) -> Result<()> {
        self.sides.iter().try_for_each(AuraEngine::start_side)?;
        if let SyncPolicy::Interval(interval) = self.policy {
            let nanos = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
            // A timer outlives a closed engine by at most one interval: closing does not wait.
            let timer = sync_by_timer(Arc::downgrade(&self.log), self.env.clock.clone(), nanos);
            self.env.tasks.spawn("sync", Box::pin(timer));
        }
        Ok(())
    }
}

async fn sync_by_timer(log: Weak<SharedLog>, clock: Arc<dyn Clock>, nanos: u64) {
    while log.strong_count() > 0 {
        clock.sleep(nanos).await;
        let Some(log) = log.upgrade() else { return };
        if log.sync_by_timer().await.is_err() {
            return;
        }
    }
}
