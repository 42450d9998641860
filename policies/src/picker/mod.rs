//! Compaction picking: which table of a full level moves down next?

use crate::entry::{Entry, Family, PolicyError, PolicySpec};
use crate::facts::{RunFacts, TableFacts};

mod min_overlap;
mod oldest;
mod round_robin;

/// What a picker chooses from.
#[derive(Clone, Copy, Debug)]
pub struct Candidates<'a> {
    /// The level that is over its capacity.
    pub level: usize,
    /// The tables that may be chosen, in key order; never empty.
    pub tables: &'a [&'a TableFacts],
    /// The run of the next level that the choice is merged into; empty when that level is.
    pub next: &'a RunFacts,
}

/// A data-movement policy for partial compactions.
pub trait Picker: Send {
    /// The index in `candidates.tables` of the table to move down.
    fn pick(&mut self, candidates: &Candidates<'_>) -> usize;
}

/// Makes a picker.
pub type Build = fn(spec: &PolicySpec) -> Result<Box<dyn Picker>, PolicyError>;

/// The family.
pub const FAMILY: Family<Build> = Family {
    name: "picker",
    question: "which table of a full level moves down next?",
    default: "min-overlap",
    entries: &[&min_overlap::ENTRY, &oldest::ENTRY, &round_robin::ENTRY],
};

/// Builds the policy that `spec` names.
///
/// # Errors
/// An unknown name or parameter, or a value out of range.
pub fn build(spec: &PolicySpec) -> Result<Box<dyn Picker>, PolicyError> {
    let entry: &Entry<Build> = FAMILY.find(spec)?;
    (entry.build)(spec)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use crate::facts::{RunFacts, TableFacts};

    /// A table of the keys `smallest..=largest`, one byte each.
    pub(super) fn table(id: u64, smallest: u8, largest: u8, bytes: u64) -> TableFacts {
        TableFacts {
            id,
            bytes,
            entries: bytes,
            deletions: 0,
            separated_bytes: 0,
            smallest: Bytes::copy_from_slice(&[smallest]),
            largest: Bytes::copy_from_slice(&[largest]),
            sequence_min: 0,
            sequence_max: 0,
        }
    }

    pub(super) fn run(tables: &[TableFacts]) -> RunFacts {
        RunFacts {
            id: 1,
            tables: tables.iter().cloned().map(Arc::new).collect(),
        }
    }
}
