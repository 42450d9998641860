//! What is owed until a tree is in shape, by the rules of `planner.rs`.

use std::collections::BTreeMap;

use crate::facts::{Reason, RunFacts, TreeShape};
use crate::layout::Layout;
use crate::layout::deadline::Overdue;
use crate::layout::planner::{Due, Limits, Work};
use crate::picker::Picker;

/// Estimates what the rules of the planner still cost: the default of [`Layout::debt_bytes`]. A
/// byte that is read and written again counts once.
pub(super) fn debt_bytes<L: Layout + ?Sized>(
    layout: &L,
    tree: &TreeShape,
    picker: &dyn Picker,
) -> u64 {
    let limits = Limits::new(layout, tree);
    let overdue = Overdue::new(tree, picker);
    let mut debt = 0_u64;
    // Bytes that shallower levels will have moved down by then, by the level that they go to.
    let mut arriving: BTreeMap<usize, u64> = BTreeMap::new();
    // Below the deepest level only what arrives can be due. After 64 more levels every capacity has
    // outgrown it.
    for level in 0..=limits.deepest + u64::BITS as usize {
        if level > limits.deepest && arriving.is_empty() {
            break;
        }
        let arrived = arriving.remove(&level).unwrap_or(0);
        let bytes = limits.level(level).bytes().saturating_add(arrived);
        let due = limits.due(level, bytes);
        let Some(due) = due.or_else(|| limits.overdue(level, &overdue)) else {
            continue;
        };
        let owed = owed(&limits, &due, bytes, &overdue);
        debt = debt
            .saturating_add(owed.moved)
            .saturating_add(owed.rewritten);
        if owed.moved > 0 {
            let moved = arriving.entry(limits.next_level(level)).or_default();
            *moved = moved.saturating_add(owed.moved);
        }
    }
    debt
}

/// Bytes that a level's work reads and writes again.
struct Owed {
    /// Bytes that go to the next level.
    moved: u64,
    /// Bytes that stay in their level.
    rewritten: u64,
}

/// What the work `due` costs in a level that holds `bytes`.
fn owed<L: Layout + ?Sized>(
    limits: &Limits<'_, L>,
    due: &Due,
    bytes: u64,
    overdue: &Overdue<'_>,
) -> Owed {
    let next = limits.next_level(due.level);
    match due.work {
        Work::MergeInPlace => Owed {
            moved: 0,
            rewritten: bytes,
        },
        Work::RewriteTable => Owed {
            moved: 0,
            rewritten: limits
                .overdue_tables(due.level, overdue)
                .map(|table| table.bytes)
                .sum(),
        },
        Work::MoveLevel => Owed {
            moved: bytes,
            rewritten: limits.filling(next, bytes).map_or(0, RunFacts::bytes),
        },
        Work::MoveTable => {
            // The excess is a part of the level, and meets the same part of the next.
            let moved = match due.reason {
                Reason::Deadline => limits
                    .overdue_tables(due.level, overdue)
                    .map(|table| table.bytes)
                    .sum(),
                _ => bytes - limits.capacity_bytes(due.level),
            };
            let share = moved as f64 / bytes.max(1) as f64;
            Owed {
                moved,
                rewritten: (limits.level(next).bytes() as f64 * share) as u64,
            }
        }
    }
}
