//! What the background does to the tree: flushes, compactions and collections.
//!
//! - [`scheduler`] says what runs, what is due next and what is owed.
//! - [`flush`] makes a memtable a table; [`table_writer`] writes tables, [`warm`] what of them
//!   enters the cache, [`index_choice`] which index they get, [`new_files`] removes them if a job
//!   fails.
//! - A policy proposes a plan, [`mod@check`] compares it with the tree, [`job`] looks up what it
//!   names, [`mod@merge`] carries it out, and [`version_filter`] says which versions survive. No
//!   choice is made there. A plan that is refused is counted and costs nothing but the merge that
//!   did not happen.
//! - [`wishes`] is what an agent wants of the scheduler: merges, and a hold.
//! - [`collection`] collects value files, [`value_log`] says how much of them is garbage;
//!   [`mod@values`] is what compactions do with values.

mod check;
mod collection;
mod flush;
mod index_choice;
mod job;
mod merge;
mod new_files;
mod scheduler;
mod table_writer;
mod value_log;
mod values;
mod version_filter;
mod warm;
mod wishes;

pub(crate) use check::check;
pub(crate) use collection::Collector;
pub(crate) use flush::Flusher;
pub(crate) use job::Job;
pub(crate) use merge::Compaction;
pub(crate) use new_files::{NewFile, NewTables};
pub(crate) use scheduler::Scheduler;
pub(crate) use value_log::ValueLogState;
pub(crate) use version_filter::VersionFilter;
pub(crate) use wishes::Merge;
