//! Compaction picking: which table of a full level moves down next?

use crate::facts::{Plan, RunFacts, TableFacts, TreeShape};
use crate::family::{Family, Registered};
use crate::{PolicyError, PolicySpec};

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

/// Chooses the table that a partial compaction moves down a level.
///
/// Choosing changes nothing: an engine may ask which compaction is due without starting it. A picker
/// that remembers what was moved does so in [`Picker::on_moved`].
pub trait Picker: Send {
    /// The index in `candidates.tables` of the table to move down. Asked again with the same
    /// candidates and no move in between, it is the same.
    fn pick(&self, candidates: &Candidates<'_>) -> usize;

    /// `table`, which [`Picker::pick`] has chosen in `level`, is now being moved down.
    fn on_moved(&mut self, _level: usize, _table: &TableFacts) {}
}

/// Calls [`Picker::on_moved`] if `plan`, which is about to be carried out in `tree`, moves a table
/// that `picker` chose. O(tables of the level).
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

/// Makes a picker.
pub type Build = fn(spec: &PolicySpec) -> Result<Box<dyn Picker>, PolicyError>;

/// The family.
pub static FAMILY: Family<Build> = Family {
    name: "picker",
    question: "which table of a full level moves down next?",
    default: "min-overlap",
    built_in: &[&min_overlap::ENTRY, &oldest::ENTRY, &round_robin::ENTRY],
    probe: |build, spec| build(spec).map(drop),
    registered: Registered::new(),
};

/// Builds the policy that `spec` names.
///
/// # Errors
/// An unknown name or parameter, or a value out of range.
pub fn build(spec: &PolicySpec) -> Result<Box<dyn Picker>, PolicyError> {
    let entry = FAMILY.find(spec)?;
    (entry.build)(spec)
}
