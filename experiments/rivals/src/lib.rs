//! Other engines as arms of ordinary experiments: RocksDB, fjall, and a `BTreeMap` in memory.
//!
//! Each implements [`Target`](aura_experiments::trial::Target): the same trials, clients, checks
//! of answers, metrics and verdicts as for AuraDB, with the settings that the shared section
//! `engine` gives. The README of this crate lists these settings with reasons.
//!
//! Calls of these engines block. They are made directly, in the thread of the client: that costs
//! them nothing.

mod common;
mod on_btreemap;
mod on_fjall;
mod on_rocksdb;
mod tally;

use aura_experiments::trial::{TargetDef, Targets};

pub use on_btreemap::OnBTreeMap;
pub use on_fjall::OnFjall;
pub use on_rocksdb::OnRocksDb;

/// The targets that this crate adds.
static RIVALS: [TargetDef; 3] = [on_btreemap::TARGET, on_fjall::TARGET, on_rocksdb::TARGET];

/// The targets of `aura-rivals`: AuraDB and those that this crate adds.
pub const TARGETS: Targets = Targets::new("aura-rivals", &RIVALS);
