//! THE READ PATH, top to bottom.
//!
//! ```text
//! key ─▶ memtables ─▶ (rows ─▶) tables, newest first: filter ─ index ─ cache ─ block ─▶ value (or value log)
//! ```
//!
//! - [`get`] is a point read; [`rows`] are what the cache keeps of single keys.
//! - [`scan`] walks a range; [`merge`] makes one ordered stream of memtables and tables.
//! - [`snapshot`] is a moment that stays readable.

mod get;
mod merge;
mod rows;
mod scan;
mod snapshot;

pub(crate) use merge::MergingIterator;
pub use scan::Scan;
pub use snapshot::Snapshot;
