//! Deadlines: which tables must move on though no level is full.
//!
//! A picker says so ([`Picker::is_overdue`]) of tables with tombstones, whose age is counted from
//! the newest entry in a table, so that it changes only when the tree does; or of tables that are
//! asked in vain, if an older table overlaps them: merging the two spares look-ups in one of them.

use crate::facts::{RunFacts, TableFacts, TreeShape};
use crate::picker::{Asks, Picker, Waiting};

/// The tables that are overdue by a picker's word.
pub(super) struct Overdue<'a> {
    tree: &'a TreeShape,
    picker: &'a dyn Picker,
    asks: Asks,
    /// The sequence number that ages are counted from, for a picker that asks for deletions.
    now: u64,
    deepest: usize,
}

impl<'a> Overdue<'a> {
    pub(super) fn new(tree: &'a TreeShape, picker: &'a dyn Picker) -> Self {
        let asks = picker.asks();
        Self {
            tree,
            picker,
            asks,
            now: match asks {
                Asks::Deletions => tree.newest_sequence(),
                _ => 0,
            },
            deepest: tree.deepest(),
        }
    }

    /// Whether there can be any.
    pub(super) fn are_possible(&self) -> bool {
        matches!(self.asks, Asks::Deletions | Asks::Misses)
    }

    /// Whether they come before full levels.
    pub(super) fn come_first(&self) -> bool {
        self.asks == Asks::Deletions
    }

    /// Who decides.
    pub(super) fn picker(&self) -> &'a dyn Picker {
        self.picker
    }

    /// Whether `table` has waited too long in `level`, and something can be done about it.
    pub(super) fn is_overdue(&self, level: usize, table: &TableFacts) -> bool {
        let (age, misses) = match self.asks {
            Asks::Nothing | Asks::Reads => return false,
            Asks::Deletions => match self.age(level, table) {
                Some(age) => (age, 0),
                None => return false,
            },
            Asks::Misses => match self.misses(level, table) {
                0 => return false,
                misses => (0, misses),
            },
        };
        self.picker.is_overdue(&Waiting {
            table,
            level,
            deepest: self.deepest,
            age,
            misses,
        })
    }

    /// The age of the oldest tombstone of `table`, unless it must stay for a snapshot.
    fn age(&self, level: usize, table: &TableFacts) -> Option<u64> {
        let written = self.tree.oldest_deletion(table)?;
        let is_needed = self.tree.oldest_snapshot.is_some_and(|it| it < written);
        let must_stay = level > 0 && level == self.deepest && is_needed;
        (!must_stay).then(|| self.now.saturating_sub(written))
    }

    /// Look-ups in vain in `table` that a merge with an older one would have spared.
    fn misses(&self, level: usize, table: &TableFacts) -> u64 {
        let misses = self.tree.reads.get(&table.id).map_or(0, |it| it.misses);
        if misses == 0 {
            return 0;
        }
        let overlaps =
            |run: &RunFacts| !run.overlapping(&table.smallest, &table.largest).is_empty();
        let own_run = |run: &RunFacts| {
            run.overlapping(&table.smallest, &table.largest)
                .iter()
                .any(|it| it.id == table.id)
        };
        let mut older = self.tree.levels[level].runs.iter();
        // What follows the table's own run is older.
        older.by_ref().find(|run| own_run(run));
        let mut deeper = self.tree.levels[level + 1..].iter().flat_map(|it| &it.runs);
        if older.any(overlaps) || deeper.any(overlaps) {
            return misses;
        }
        0
    }
}
