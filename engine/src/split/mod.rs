//! A split database: two engines under one log.
//!
//! ```text
//! batch ─ divide by hash ─ queue ─ group ─▶ log ─┬─▶ side 0: memtable ─▶ its own tree
//!                                                └─▶ side 1: memtable ─▶ its own tree
//! ```
//!
//! Every key belongs to one of two sides, by its hash. A side is a whole engine in a directory of
//! its own, with its own settings, cache, memtables, compactions and I/O limit; only its log is
//! switched off. One log holds the records of both, so that a batch over both sides is atomic and
//! costs one sync. Two settings can so be compared on one running database.
//!
//! # What a crash leaves
//!
//! The log is the history, and recovery is to a prefix of it, under every sync policy. A side may
//! flush only what the log holds durably: before a side seals a memtable, everything logged so far
//! is synced (see [`crate::write::LogAbove`]). Otherwise a crash could keep a later write of one
//! side, in a table, and lose an earlier one of the other, in the log.
//!
//! Opening replays all logs that are there, in order, as if nothing of them were in tables. That is
//! right, although some of it is:
//!
//! - Everything in tables is in the replayed prefix, or in a log that was removed, since a flush
//!   waits for the sync of what it holds.
//! - A replayed write is newer than what tables hold, and hides it. The last replayed write of a
//!   key decides. That was the last write of the key in the log, too, and the log holds every write
//!   after its own beginning, so that no table holds a newer one.
//! - A key that no replayed write names is left as the tables have it: its last write is older than
//!   the logs. A replayed range delete removes it only if the range delete came after that write.
//! - A replayed range delete hides keys that were written after it and are in tables. Their writes
//!   come after it in the log, and are replayed after it.
//! - Nobody reads meanwhile, and snapshots do not outlive the engine that made them.
//!
//! What is replayed becomes tables in one edit of each side before the first new write; a crash
//! before the old logs are given up finds them again, and replays them again.
//!
//! # What readers see
//!
//! A group is applied to one side after the other. A pair of snapshots, replaced after each group,
//! is what scans read. A point read asks its side for the newest version, and believes the answer
//! unless a group was being applied meanwhile; then it reads at the pair. See [`moment`].
//!
//! # What there is not
//!
//! A checkpoint, a repair, a read-only opening and a resumption after a failure of the whole: after
//! a failure, the database is to be opened again. Each side verifies itself. Large values are in
//! the log as well as in the value log of their side.
//!
//! - [`api`] is what users see, [`open`] opens a directory, [`close`] closes it.
//! - [`parts`] divides batches, [`commit`] commits them in groups, [`log`] is the log.
//! - [`moment`] is what is published, [`scan`] merges the scans of both sides.
//! - [`mod@format`] draws the files that mark the directories.

pub(crate) mod api;
mod close;
mod commit;
pub(crate) mod format;
pub(crate) mod log;
mod moment;
mod open;
mod parts;
pub(crate) mod scan;

use std::sync::{Arc, Mutex};

use self::log::SharedLog;
use self::moment::Published;
use self::parts::{Halves, Parts};
use crate::config::SyncPolicy;
use crate::db::api::AuraEngine;
use crate::env::Env;
use crate::error::Result;
use crate::recovery::RecoveryReport;
use crate::state::Lifecycle;
use crate::write::CommitQueue;

/// One open split database.
struct Split {
    env: Env,
    halves: Halves,
    sides: [AuraEngine; 2],
    log: Arc<SharedLog>,
    published: Published,
    lifecycle: Arc<Lifecycle>,
    /// When the log is synced.
    policy: SyncPolicy,
    /// Writers that wait for the next group. Held for a few steps.
    queue: Mutex<CommitQueue<Parts>>,
    /// What opening it found in the logs.
    recovery: RecoveryReport,
}

impl Split {
    /// Refuses writes after a failure, of a side too, and after a close.
    fn check_writable(&self) -> Result<()> {
        self.lifecycle.check_writable()?;
        self.sides.iter().try_for_each(AuraEngine::check_writable)
    }
}
