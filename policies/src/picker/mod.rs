//! Compaction picking: which table of a full level moves down next?
//!
//! A picker is asked whenever a partial compaction could be due, and learns of a move only when it
//! is carried out. So asking is free, and may happen at any time.
//!
//! A picker may also say of a table that it has waited too long ([`Picker::is_overdue`]), for its
//! tombstones or for look-ups in vain. The layout's planner then moves that table on though no
//! level is full.
//!
//! `oldest-largest-seq`, RocksDB's name for the rule of `oldest`, is an alias of it.

use crate::facts::{Plan, RunFacts, TableFacts, TreeShape};
use crate::family::{Family, Registered};
use crate::{PolicyError, PolicySpec};

mod coldest;
mod compensated_size;
mod lethe;
mod min_overlap;
mod most_tombstones;
mod oldest;
mod oldest_smallest_seq;
mod random;
mod read_triggered;
mod round_robin;

/// What a picker chooses from.
#[derive(Clone, Copy, Debug)]
pub struct Candidates<'a> {
    /// The level that is over its capacity.
    pub level: usize,
    /// The tables that may be chosen, in key order; never empty.
    pub tables: &'a [&'a TableFacts],
    /// The run of the next level that the chosen table merges into; empty if that level is, or if
    /// the table stays in its level.
    pub next: &'a RunFacts,
    /// The whole tree.
    pub tree: &'a TreeShape,
}

/// What a picker wants to know of tables that is not free to find out. Only one that asks for
/// [`Deletions`](Self::Deletions) or for [`Misses`](Self::Misses) is asked what is overdue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// Nothing.
    Nothing,
    /// How often tables were asked: [`TreeShape::reads`].
    Reads,
    /// When tombstones were written: [`TreeShape::oldest_deletions`]. What is overdue for them
    /// comes before full levels.
    Deletions,
    /// How often tables were asked in vain: [`TreeShape::reads`], as they were when a window of
    /// reads ended. What is overdue for them comes after full levels.
    Misses,
}

/// A table that holds tombstones or is asked in vain, and what speaks for moving it on.
#[derive(Clone, Copy, Debug)]
pub struct Waiting<'a> {
    /// The table.
    pub table: &'a TableFacts,
    /// Its level.
    pub level: usize,
    /// The deepest level of the tree that holds a table.
    pub deepest: usize,
    /// The age of its oldest tombstone, in sequence numbers: how much later the newest entry of
    /// all tables was written. At least that, if it is not known exactly. 0 for a picker that does
    /// not ask for deletions.
    pub age: u64,
    /// Point look-ups that passed its filter and found nothing, if an older table overlaps it,
    /// which could have answered them in its place. 0 for a picker that does not ask for misses.
    pub misses: u64,
}

/// Chooses the table that a partial compaction moves down a level.
///
/// Choosing changes nothing: an engine may ask which compaction is due without starting it. A
/// picker that remembers what was moved does so in [`Picker::on_moved`].
pub trait Picker: Send {
    /// Returns the index in `candidates.tables` of the table to move down. Asked again with the
    /// same candidates and no move in between, it returns the same index.
    fn pick(&self, candidates: &Candidates<'_>) -> usize;

    /// `table`, which [`Picker::pick`] has chosen in `level`, is now being moved down.
    fn on_moved(&mut self, _level: usize, _table: &TableFacts) {}

    /// What it wants to know of tables.
    fn asks(&self) -> Asks {
        Asks::Nothing
    }

    /// Whether a table must go on towards the deepest level though its level may not be full. There
    /// it is rewritten without its tombstones, or merges with the older runs. Whatever it answers,
    /// planning ends.
    fn is_overdue(&self, _waiting: &Waiting<'_>) -> bool {
        false
    }
}

/// Calls [`Picker::on_moved`] if `plan`, which is about to be carried out in `tree`, moves a table
/// that `picker` chose. O(tables of the level).
///
/// ```
/// use aura_policies::facts::TreeShape;
/// use aura_policies::picker::{self, report_move};
/// use aura_policies::{PolicySpec, layout};
///
/// let tree: TreeShape = "
///     base 100
///     L1  1[0-4]=60  2[5-9]=60
/// "
/// .parse()?;
/// let leveled = layout::build(&PolicySpec::named("leveled"))?;
/// let mut picker = picker::build(&PolicySpec::named("round-robin"))?;
/// let plan = leveled.plan(&tree, &*picker).expect("level 1 is full");
/// assert_eq!(plan.picked, Some(1));
///
/// // Only now is the plan carried out: the next one takes the other table.
/// report_move(&mut *picker, &tree, &plan);
/// let next = leveled.plan(&tree, &*picker).expect("level 1 is still full");
/// assert_eq!(next.picked, Some(2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn report_move(picker: &mut dyn Picker, tree: &TreeShape, plan: &Plan) {
    let Some(picked) = plan.picked else {
        return;
    };
    for input in &plan.inputs {
        let Some(level) = tree.levels.get(input.level) else {
            continue;
        };
        let mut tables = level.runs.iter().flat_map(|run| &run.tables);
        if let Some(table) = tables.find(|table| table.id == picked) {
            picker.on_moved(input.level, table);
            return;
        }
    }
}

/// How a picker is built.
pub type Build = fn(spec: &PolicySpec) -> Result<Box<dyn Picker>, PolicyError>;

/// The pickers.
pub static FAMILY: Family<Build> = Family {
    name: "picker",
    question: "which table of a full level moves down next?",
    default: "min-overlap",
    built_in: &[
        &coldest::ENTRY,
        &compensated_size::ENTRY,
        &lethe::ENTRY,
        &min_overlap::ENTRY,
        &most_tombstones::ENTRY,
        &oldest::ENTRY,
        &oldest_smallest_seq::ENTRY,
        &random::ENTRY,
        &read_triggered::ENTRY,
        &round_robin::ENTRY,
    ],
    probe: |build, spec| build(spec).map(drop),
    registered: Registered::with_aliases(&[("oldest-largest-seq", "oldest")]),
};

/// Builds the picker that `spec` names.
///
/// ```
/// use aura_policies::facts::{TableFacts, TreeShape};
/// use aura_policies::picker::{self, Candidates};
/// use aura_policies::PolicySpec;
///
/// let tree: TreeShape = "
///     L1  1[0-4]=60  2[5-9]=60
///     L2  5[0-4]=50
/// "
/// .parse()?;
/// let run = &tree.levels[1].runs[0];
/// let tables: Vec<&TableFacts> = run.tables.iter().map(AsRef::as_ref).collect();
/// let next = &tree.levels[2].runs[0];
/// let candidates = Candidates { level: 1, tables: &tables, next, tree: &tree };
///
/// let mut picker = picker::build(&PolicySpec::named("round-robin"))?;
/// assert_eq!(picker.pick(&candidates), 0);
/// assert_eq!(picker.pick(&candidates), 0, "nothing has moved");
/// picker.on_moved(1, tables[0]);
/// assert_eq!(picker.pick(&candidates), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`PolicyError`] for an unknown name or parameter, or a value out of range.
pub fn build(spec: &PolicySpec) -> Result<Box<dyn Picker>, PolicyError> {
    let entry = FAMILY.find(spec)?;
    (entry.build)(spec)
}
