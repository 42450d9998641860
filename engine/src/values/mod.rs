//! The value log: large values, written before the WAL, so that WAL, memtable, flush and compaction
//! carry only pointers.
//!
//! ```text
//! put ─ frame ─ placement ─┬▶ queue 0: active file ─ full ─▶ sealed ─┐
//!                          └▶ queue 1: active file ─ full ─▶ sealed ─┴▶ collected: live frames
//!                                                                        in a new file
//! ```
//!
//! - [`mod@format`] draws the files; [`staged`] frames values; [`queues`] appends them, to several
//!   files in parallel.
//! - [`mod@file`] is a file on disk, [`state`] what the manifest says of it; [`walk`] reads frames
//!   one after another.
//! - [`extents`] are the parts that became garbage, [`garbage`] how they are booked, [`section`]
//!   the places of the frames of a collected file.
//!
//! Separation of keys and values comes from WiscKey (Lu et al., FAST 2016); collection without
//! rewriting pointers from Pebble's blob files.

pub(crate) mod extents;
pub(crate) mod format;

mod file;
mod garbage;
mod queues;
mod section;
mod staged;
mod state;
mod walk;
mod writer;

pub(crate) use extents::Extents;
pub(crate) use file::{ReadyValue, ValueFile};
pub(crate) use garbage::{Garbage, discard};
pub(crate) use queues::{Append, DurableValues, ValueQueues};
pub(crate) use section::Section;
pub(crate) use staged::StagedValues;
pub(crate) use state::{ValueFacts, ValueFileState};
pub(crate) use walk::{Frame, FrameWalker, Step};
pub(crate) use writer::ValueLogWriter;
