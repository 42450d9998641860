//! Deadlines: which tables must move on though no level is full.
//!
//! A picker says so of tables with tombstones ([`Picker::is_overdue`]). Their age is counted from
//! the newest entry in a table, so that it changes only when the tree does.

use crate::facts::{TableFacts, TreeShape};
use crate::picker::{Asks, Picker, Waiting};

/// The tables that are overdue by a picker's word.
pub(super) struct Overdue<'a> {
    tree: &'a TreeShape,
    picker: &'a dyn Picker,
    /// The sequence number that ages are counted from; `None` if the picker has no deadlines.
    now: Option<u64>,
    deepest: usize,
}

impl<'a> Overdue<'a> {
    pub(super) fn new(tree: &'a TreeShape, picker: &'a dyn Picker) -> Self {
        let has_deadlines = picker.asks() == Asks::Deletions;
        Self {
            tree,
            picker,
            now: has_deadlines.then(|| tree.newest_sequence()),
            deepest: tree.deepest(),
        }
    }

    /// Whether there can be any.
    pub(super) fn are_possible(&self) -> bool {
        self.now.is_some()
    }

    /// Who decides.
    pub(super) fn picker(&self) -> &'a dyn Picker {
        self.picker
    }

    /// Whether `table` has waited too long in `level`, and something can be done about it.
    pub(super) fn is_overdue(&self, level: usize, table: &TableFacts) -> bool {
        let Some((now, written)) = self.now.zip(self.tree.oldest_deletion(table)) else {
            return false;
        };
        let is_needed = self.tree.oldest_snapshot.is_some_and(|it| it < written);
        if level > 0 && level == self.deepest && is_needed {
            return false;
        }
        self.picker.is_overdue(&Waiting {
            table,
            level,
            deepest: self.deepest,
            age: now.saturating_sub(written),
        })
    }
}
