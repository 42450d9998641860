//! What the parts of one open engine share. Each part has one job and private fields.
//!
//! | part | its job |
//! |---|---|
//! | [`Core`] | what all work with: files, settings, policies, cache, counters, the I/O limit |
//! | [`Tree`] | what readers see, the manifest that makes it durable, the snapshots held |
//! | [`Lifecycle`] | whether calls are taken, which tasks run, who holds the directory |
//! | `CommitPipeline` in `write/` | the writers that wait, and the logs |
//! | `Scheduler` in `compaction/` | what the background does, and what it owes |
//!
//! `Db` in `db/` puts them together.
//!
//! # The order of locks
//!
//! Who holds a lock of this list may take one below it, never one above:
//!
//! 1. `Db::merging`, held by the call that merges everything;
//! 2. `CommitPipeline::log`, held by the leader of a commit group, and while a moment is taken; if
//!    the engine is a side of a split database, the lock on the log of that comes next;
//! 3. `Tree::manifest`, held while an edit is made durable and takes effect;
//! 4. `Scheduler::jobs`, held while a job is chosen and while one is given back;
//! 5. the picker of [`Policies`], asked while a job is chosen.
//!
//! `Core::reconfiguring` is held while settings change, by a call that holds no other of the list.
//! Every other lock is a leaf: nothing else is locked, waited for or read while it is held. The
//! first three are held across waits for the device and are locks of tokio; the others are held for
//! a few steps.

mod core;
mod lifecycle;
mod overrides;
mod policies;
mod read_state;
mod signals;
mod tasks;
mod tree;
mod window_ends;

pub(crate) use core::Core;
pub(crate) use lifecycle::{Closing, Lifecycle, Uncut};
pub(crate) use overrides::Overrides;
pub(crate) use policies::Policies;
pub(crate) use read_state::ReadState;
pub(crate) use signals::Signals;
pub(crate) use tasks::{Length, Task, in_task};
pub(crate) use tree::{OpenedFiles, Tree};
pub(crate) use window_ends::{ReadWindows, Watcher, WindowEnds};
