//! The registry of models: what is known of the indexes of all tables.
//!
//! [`registry`] is its form, in memory and in the file `MODELS.json`; [`book`] keeps the sums of
//! each level, over tables that are gone too.

mod book;
mod registry;

pub(crate) use book::IndexBook;
pub use registry::{IndexRegistry, LevelIndexes, TableModel, inspect};
pub(crate) use registry::{read_registry, report, write_registry};
