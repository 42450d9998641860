//! What a change of phase costs: from the boundary until an arm is as good as the best that stands
//! still.
//!
//! A phase is cut into pieces of equally many operations. The *steady* cost of a phase is what an
//! operation costs its best arm that stands still, under that seed, in the second half. An arm has
//! recovered where three pieces in a row cost at most a tenth more. Until then each piece's time
//! over the steady one is the *cost of the transition*; where it does not recover, the phase's end
//! is the end of the transition. All is time of clients: how long the device worked is not known
//! piece by piece. Phases in which operations come at a given rate are left out, because their
//! time is the schedule's.

use std::collections::BTreeMap;

use aura_policies::mix::SHARE_OF_ANOTHER;
use serde::{Deserialize, Serialize};

use super::Cell;
use crate::compare;
use crate::point::Point;
use crate::record::SeriesPoint;
use crate::stats::{self, CONFIDENCE, Estimate};
use crate::store::{Course, Piece, TidyRow, pieces};

/// Pieces of a phase.
const PIECES: u64 = 20;

/// Pieces in a row that show that an arm has recovered.
const IN_A_ROW: usize = 3;

/// What a piece may cost over the steady cost.
const TOLERANCE: f64 = 1.1;

/// What the changes of phases cost an arm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transitions {
    /// Seconds of clients over the steady cost until recovery, over all changes of a trial: the
    /// mean over seeds.
    pub cost_s: f64,
    /// Half of the width of its 95 % interval; `None` with one seed.
    pub half_width_s: Option<f64>,
    /// How it recovers where writes give way to reads and scans.
    pub to_reads: Option<Recovery>,
    /// How it recovers where reads and scans give way to writes.
    pub to_writes: Option<Recovery>,
}

/// How an arm recovers from changes in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recovery {
    /// Operations from the boundary to the first of three pieces that are good enough, the mean
    /// over changes and seeds. A change from which it does not recover counts with its phase's
    /// operations, so that the mean is too low.
    pub operations: f64,
    /// Changes, over all seeds.
    pub changes: usize,
    /// Those of them from which it does not recover.
    pub unrecovered: usize,
}

/// One change of phase in one trial.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Change {
    /// By how much the share of writes rises.
    writes_rise: f64,
    /// Seconds over the steady cost.
    cost_s: f64,
    /// Operations until recovery, or of the phase.
    operations: u64,
    recovered: bool,
}

/// Adds what changes of phases cost to the arms of every cell. `courses` are the trials over time.
pub fn add_transitions(cells: &mut [Cell], rows: &[TidyRow], courses: &[Course]) {
    for cell in cells {
        let of_cell: Vec<&Course> = courses
            .iter()
            .filter(|course| course.manifest.point == cell.point)
            .collect();
        let shares = shares_of_writes(rows, &cell.point);
        for arm in &mut cell.arms {
            arm.transitions = transitions(&arm.variant, &cell.best_of_phase, &of_cell, &shares);
        }
    }
}

/// What the changes cost `variant`; `None` if no trial shows one.
fn transitions(
    variant: &str,
    best_of_phase: &[(String, String)],
    courses: &[&Course],
    shares: &BTreeMap<&str, f64>,
) -> Option<Transitions> {
    let mut costs = Vec::new();
    let mut all: Vec<Change> = Vec::new();
    for course in courses.iter().filter(|it| it.manifest.variant == variant) {
        let still = |name: &str| {
            let mut courses = courses.iter();
            courses
                .find(|it| it.manifest.variant == name && it.manifest.seed == course.manifest.seed)
        };
        let changes = best_of_phase.windows(2).filter_map(|phases| {
            let [(before, _), (phase, best)] = phases else {
                return None;
            };
            let steady = steady_cost(still(best)?.series.get(phase)?)?;
            let writes_rise = shares.get(phase.as_str())? - shares.get(before.as_str())?;
            change(course.series.get(phase)?, steady, writes_rise)
        });
        let changes: Vec<Change> = changes.collect();
        if !changes.is_empty() {
            costs.push(changes.iter().map(|change| change.cost_s).sum());
            all.extend(changes);
        }
    }
    if costs.is_empty() {
        return None;
    }
    let recovery = |is_here: fn(f64) -> bool| {
        Recovery::of(all.iter().filter(|change| is_here(change.writes_rise)))
    };
    Some(Transitions {
        cost_s: stats::mean(&costs),
        half_width_s: Estimate::of(&costs).map(|estimate| estimate.half_width(CONFIDENCE)),
        to_reads: recovery(|rise| rise < -SHARE_OF_ANOTHER),
        to_writes: recovery(|rise| rise > SHARE_OF_ANOTHER),
    })
}

impl Recovery {
    fn of<'a>(changes: impl Iterator<Item = &'a Change>) -> Option<Self> {
        let mut recovery = Self::default();
        let mut operations = 0;
        for change in changes {
            recovery.changes += 1;
            operations += change.operations;
            recovery.unrecovered += usize::from(!change.recovered);
        }
        recovery.operations = operations as f64 / recovery.changes as f64;
        (recovery.changes > 0).then_some(recovery)
    }
}

/// The nanoseconds of an operation in the second half of a phase; `None` without one.
fn steady_cost(slices: &[SeriesPoint]) -> Option<f64> {
    let all = pieces(slices, PIECES);
    let late = &all[all.len() / 2..];
    let sum = |of: fn(&Piece) -> u64| late.iter().map(of).sum::<u64>() as f64;
    let operations = sum(|piece| piece.operations);
    (operations > 0.0).then(|| sum(|piece| piece.nanos) / operations)
}

/// What the change to a phase cost; `None` if it has no operation.
fn change(slices: &[SeriesPoint], steady: f64, writes_rise: f64) -> Option<Change> {
    let pieces = pieces(slices, PIECES);
    let is_good = |piece: &Piece| piece.cost() <= steady * TOLERANCE;
    let good = pieces
        .windows(IN_A_ROW)
        .position(|row| row.iter().all(is_good));
    let within = &pieces[..good.unwrap_or(pieces.len())];
    let over = |piece: &Piece| piece.nanos as f64 - steady * piece.operations as f64;
    (!pieces.is_empty()).then(|| Change {
        writes_rise,
        cost_s: within.iter().map(over).sum::<f64>() / 1e9,
        operations: within.iter().map(|piece| piece.operations).sum(),
        recovered: good.is_some(),
    })
}

/// The share of writes in the operations of each phase at a point, from any of its trials: it is
/// what the workload asks for. Phases of open loops are left out.
fn shares_of_writes<'a>(rows: &'a [TidyRow], point: &Point) -> BTreeMap<&'a str, f64> {
    let phases = compare::phases(rows);
    let mut rates: BTreeMap<&str, BTreeMap<&str, f64>> = BTreeMap::new();
    let mut open: Vec<&str> = Vec::new();
    for row in rows.iter().filter(|row| row.trial.point == *point) {
        let phase = row.name.phase.as_str();
        if row.name.metric.ends_with(".service_mean_us") {
            open.push(phase);
        }
        if let Some(class) = row.name.metric.strip_suffix(".throughput_ops") {
            let rates = rates.entry(phase).or_default();
            rates.entry(class).or_insert(row.value);
        }
    }
    let share = |(phase, rates): (&'a str, BTreeMap<&str, f64>)| {
        let rate = |class: &str| rates.get(class).copied().unwrap_or(0.0);
        let writes = rate("write") + rate("rmw") + rate("delete");
        let all = writes + rate("read") + rate("read_absent") + rate("scan");
        let is_asked = phases.contains(&phase) && !open.contains(&phase) && all > 0.0;
        is_asked.then_some((phase, writes / all))
    };
    rates.into_iter().filter_map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Slices of ten operations with these costs.
    fn slices(costs: &[u64]) -> Vec<SeriesPoint> {
        let slice = |cost: &u64| SeriesPoint {
            nanos: cost * 10,
            operations: 10,
            ..SeriesPoint::default()
        };
        costs.iter().map(slice).collect()
    }

    #[test]
    fn a_transition_ends_before_three_good_pieces() {
        // Good are 110 and less. The first good piece stands alone, and the next two are a row of
        // two. 4 + 3 + 2 + 2 pieces of ten operations are over by 100, 0, 50, -10.
        let costs = [
            200, 200, 200, 200, 100, 150, 90, 110, 150, 100, 110, 105, 400, 400,
        ];
        let found = change(&slices(&costs), 100.0, -0.5).expect("it has operations");
        let over = 4.0 * 100.0 + 0.0 + 50.0 - 10.0 + 10.0 + 50.0;
        let expected = Change {
            writes_rise: -0.5,
            cost_s: over * 10.0 / 1e9,
            operations: 90,
            recovered: true,
        };
        assert!((found.cost_s - expected.cost_s).abs() < 1e-15, "{found:?}");
        assert_eq!(
            Change {
                cost_s: expected.cost_s,
                ..found
            },
            expected
        );
    }

    #[test]
    fn without_recovery_the_phase_counts_and_at_once_nothing_does() {
        let never = change(&slices(&[150, 150, 100, 100]), 100.0, 0.5).expect("operations");
        assert_eq!((never.operations, never.recovered), (40, false));
        assert!((never.cost_s - 1e-6).abs() < 1e-15, "{never:?}");
        let at_once = change(&slices(&[90, 90, 90]), 100.0, 0.5).expect("operations");
        assert_eq!((at_once.operations, at_once.cost_s), (0, 0.0));
        assert!(at_once.recovered);
        assert_eq!(change(&[], 100.0, 0.5), None);
    }

    #[test]
    fn the_steady_cost_is_that_of_the_second_half() {
        assert_eq!(steady_cost(&slices(&[900, 900, 100, 200])), Some(150.0));
        assert_eq!(steady_cost(&[]), None);
    }

    #[test]
    fn recoveries_are_means_that_count_what_does_not_recover() {
        let change = |operations, recovered| Change {
            writes_rise: 0.5,
            cost_s: 1.0,
            operations,
            recovered,
        };
        let all = [change(100, true), change(0, true), change(500, false)];
        let expected = Recovery {
            operations: 200.0,
            changes: 3,
            unrecovered: 1,
        };
        assert_eq!(Recovery::of(all.iter()), Some(expected));
        assert_eq!(Recovery::of([].iter()), None);
    }
}
