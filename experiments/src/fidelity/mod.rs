//! How far a simulation can be believed: the same variants in both worlds, metric by metric.
//!
//! Three things are asked of a metric in a window. Does the simulation rank the variants as this
//! machine does (Kendall's tau-b; Kendall, 1945)? Of two variants that differ here, does it name
//! the better one? How far off are its values? Variants that differ by less than [`TIE`] are ties.

mod words;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::metrics::{self, Debt};
use crate::names::named_enum;
use crate::point::{self, Point};
use crate::record::Window;
use crate::stats;
use crate::store::TidyRow;

pub use words::{Belief, believed};

named_enum! {
    /// Where a simulation's numbers come from.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
    pub enum Numbers {
        /// The shipped device and prices.
        Shipped = "shipped",
        /// A profile of this machine.
        Calibrated = "calibrated",
    }
}

/// The relative difference below which two values are a tie.
pub const TIE: f64 = 0.02;

/// One variant at one point, in both worlds: means over the seeds.
#[derive(Clone, Debug, PartialEq)]
pub struct Both {
    /// The variant, with its sweep point.
    pub label: String,
    /// The value on this machine.
    pub real: f64,
    /// The value in the simulation.
    pub simulated: f64,
}

/// How one metric agrees in one window.
#[derive(Clone, Debug, PartialEq)]
pub struct Agreement {
    /// The metric.
    pub metric: String,
    /// The window.
    pub phase: String,
    /// The variants, in natural order.
    pub variants: Vec<Both>,
    /// Kendall's tau-b of the two rankings; `None` if in one of them all variants are ties.
    pub tau: Option<f64>,
    /// Pairs of variants that differ on this machine, and those of them for which the simulation
    /// names the same one as larger.
    pub signs: Signs,
    /// The median over the variants of the relative error of the simulated value; `None` if a real
    /// value is zero.
    pub error: Option<f64>,
    /// The median over the variants of the range of the real values over the seeds, relative to
    /// their mean: what a repetition moves. `None` if no variant has two seeds and a mean above
    /// zero.
    pub spread: Option<f64>,
}

/// Pairs of variants that differ on this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signs {
    /// Pairs that the simulation orders alike.
    pub alike: usize,
    /// All pairs that differ by [`TIE`] or more.
    pub pairs: usize,
}

/// Compares the gathered values of two runs of one experiment, this machine's and the simulation's,
/// for each metric and window. Without `phases` the windows are the phases of the config; metrics
/// that include put-off work are compared in the whole trial.
pub fn agreements(
    real: &[TidyRow],
    simulated: &[TidyRow],
    metrics: &[String],
    phases: &[String],
) -> Vec<Agreement> {
    let real = Values::of(real);
    let simulated = Values::of(simulated);
    let mut found = Vec::new();
    for metric in metrics {
        for phase in real.windows(metric, phases) {
            let variants = real.beside(&simulated, metric, phase);
            if !variants.is_empty() {
                let spread = real.spread(metric, phase);
                found.push(agreement(metric, phase, variants, spread));
            }
        }
    }
    found
}

fn agreement(metric: &str, phase: &str, variants: Vec<Both>, spread: Option<f64>) -> Agreement {
    let pairs: Vec<(f64, f64)> = variants.iter().map(|it| (it.real, it.simulated)).collect();
    Agreement {
        metric: metric.to_owned(),
        phase: phase.to_owned(),
        tau: tau_b(&pairs, TIE),
        signs: signs(&pairs, TIE),
        error: median_error(&pairs),
        spread,
        variants,
    }
}

/// The order of two values; equal if they are ties.
fn order(a: f64, b: f64, tie: f64) -> i32 {
    let difference = b - a;
    if difference.abs() <= tie * a.abs().max(b.abs()) {
        0
    } else if difference > 0.0 {
        1
    } else {
        -1
    }
}

/// Every pair of values, each as the orders in both worlds.
fn orders(values: &[(f64, f64)], tie: f64) -> impl Iterator<Item = (i32, i32)> + '_ {
    let pairs = (0..values.len()).flat_map(move |a| (a + 1..values.len()).map(move |b| (a, b)));
    pairs.map(move |(a, b)| {
        let (left, right) = (values[a], values[b]);
        (order(left.0, right.0, tie), order(left.1, right.1, tie))
    })
}

/// Kendall's tau-b of two rankings in which values that differ relatively by at most `tie` are
/// ties. `None` if one ranking has only ties. O(n^2).
pub fn tau_b(values: &[(f64, f64)], tie: f64) -> Option<f64> {
    let (mut balance, mut left, mut right) = (0, 0u64, 0u64);
    for (first, second) in orders(values, tie) {
        balance += i64::from(first * second);
        left += u64::from(first != 0);
        right += u64::from(second != 0);
    }
    let scale = (left as f64 * right as f64).sqrt();
    (scale > 0.0).then(|| balance as f64 / scale)
}

/// Counts the pairs that differ on the left, and those of them that the right orders alike, however
/// little they differ there.
fn signs(values: &[(f64, f64)], tie: f64) -> Signs {
    let mut found = Signs::default();
    let exact = orders(values, 0.0);
    for ((first, _), (_, second)) in orders(values, tie).zip(exact) {
        if first != 0 {
            found.pairs += 1;
            found.alike += usize::from(first == second);
        }
    }
    found
}

fn median_error(values: &[(f64, f64)]) -> Option<f64> {
    let error = |(real, simulated): &(f64, f64)| {
        (*real != 0.0).then(|| (simulated - real).abs() / real.abs())
    };
    let mut errors: Vec<f64> = values.iter().map(error).collect::<Option<_>>()?;
    median(&mut errors)
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(match values.len() % 2 {
        0 => f64::midpoint(values[middle - 1], upper),
        _ => upper,
    })
}

/// A variant at a point.
type Subject<'a> = (&'a str, &'a Point);

/// Values by window and metric, then by variant and point: one for each seed.
struct Values<'a>(BTreeMap<(&'a str, &'a str), BTreeMap<Subject<'a>, Vec<f64>>>);

impl<'a> Values<'a> {
    fn of(rows: &'a [TidyRow]) -> Self {
        let mut values: BTreeMap<_, BTreeMap<Subject<'a>, Vec<f64>>> = BTreeMap::new();
        for TidyRow { trial, name, value } in rows {
            let place = (name.phase.as_str(), name.metric.as_str());
            let subject = (trial.variant.as_str(), &trial.point);
            let of_place = values.entry(place).or_default();
            of_place.entry(subject).or_default().push(*value);
        }
        Self(values)
    }

    /// The windows in which a metric is compared.
    fn windows(&self, metric: &str, asked: &[String]) -> Vec<&'a str> {
        let charged = metrics::find(metric).is_ok_and(|it| it.debt == Debt::Charged);
        let kind = if charged {
            Window::Whole
        } else {
            Window::Phase
        };
        let fits = |phase: &str| match asked {
            [] => Window::named(phase) == kind,
            _ => asked.iter().any(|name| name == phase),
        };
        let places = self.0.keys().filter(|(_, known)| *known == metric);
        let found: BTreeSet<&str> = places.map(|(phase, _)| *phase).collect();
        found.into_iter().filter(|phase| fits(phase)).collect()
    }

    /// The means of what both have values of.
    fn beside(&self, other: &Values, metric: &str, phase: &str) -> Vec<Both> {
        let (Some(mine), Some(others)) =
            (self.0.get(&(phase, metric)), other.0.get(&(phase, metric)))
        else {
            return Vec::new();
        };
        let mut both: Vec<Both> = mine
            .iter()
            .filter_map(|((variant, point), values)| {
                let simulated = others.get(&(*variant, *point))?;
                let place = point::label(point);
                Some(Both {
                    label: format!("{variant} {place}").trim_end().to_owned(),
                    real: stats::mean(values),
                    simulated: stats::mean(simulated),
                })
            })
            .collect();
        both.sort_by(|a, b| point::natural(&a.label, &b.label));
        both
    }

    /// The median over the variants of the range of a metric's values relative to their mean.
    fn spread(&self, metric: &str, phase: &str) -> Option<f64> {
        let of_place = self.0.get(&(phase, metric))?.values();
        let range = |values: &Vec<f64>| {
            let least = values.iter().copied().fold(f64::INFINITY, f64::min);
            let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let mean = stats::mean(values).abs();
            (values.len() > 1 && mean > 0.0).then(|| (most - least) / mean)
        };
        median(&mut of_place.filter_map(range).collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::World;
    use crate::testing::tidy_row;

    fn rows(world: World, metric: &str, values: &[(&str, f64)]) -> Vec<TidyRow> {
        let of_seed = |seed: u64| {
            let values = values.iter();
            // Seeds differ by a hundredth around the mean.
            let shift = if seed == 1 { 0.995 } else { 1.005 };
            values
                .map(move |(variant, value)| tidy_row(variant, seed, world, metric, value * shift))
        };
        [1, 2].into_iter().flat_map(of_seed).collect()
    }

    fn compared(real: &[(&str, f64)], simulated: &[(&str, f64)]) -> Agreement {
        let metric = "run.throughput_ops";
        let real = rows(World::Real, metric, real);
        let simulated = rows(World::Simulated, metric, simulated);
        let found = agreements(&real, &simulated, &[metric.to_owned()], &[]);
        assert_eq!(found.len(), 1, "{found:?}");
        found.into_iter().next().expect("one")
    }

    #[test]
    fn equal_rankings_have_tau_1_and_reversed_ones_have_minus_1() {
        let real = [("a", 100.0), ("b", 150.0), ("c", 200.0), ("d", 300.0)];
        let doubled = real.map(|(name, value)| (name, value * 2.0));
        let found = compared(&real, &doubled);
        assert_eq!(found.tau, Some(1.0));
        assert_eq!(found.signs, Signs { alike: 6, pairs: 6 });
        assert!((found.error.expect("no zero") - 1.0).abs() < 1e-9);
        assert!((found.spread.expect("two seeds") - 0.01).abs() < 1e-9);
        let reversed = real.map(|(name, value)| (name, 1e4 / value));
        let found = compared(&real, &reversed);
        assert_eq!(found.tau, Some(-1.0));
        assert_eq!(found.signs, Signs { alike: 0, pairs: 6 });
    }

    #[test]
    fn one_exchange_among_four_costs_a_third() {
        let real = [("a", 100.0), ("b", 150.0), ("c", 200.0), ("d", 300.0)];
        let exchanged = [("a", 100.0), ("b", 200.0), ("c", 150.0), ("d", 300.0)];
        let found = compared(&real, &exchanged);
        // Five pairs of six are alike: (5 - 1) / 6.
        assert!((found.tau.expect("a ranking") - 4.0 / 6.0).abs() < 1e-12);
        assert_eq!(found.signs, Signs { alike: 5, pairs: 6 });
    }

    #[test]
    fn differences_under_two_percent_are_ties() {
        let real = [("a", 100.0), ("b", 101.0), ("c", 200.0)];
        let simulated = [("a", 11.0), ("b", 10.0), ("c", 20.0)];
        // On this machine two pairs differ, in the simulation all three: 2 / sqrt(2 x 3).
        let found = compared(&real, &simulated);
        assert!((found.tau.expect("a ranking") - 2.0 / 6.0_f64.sqrt()).abs() < 1e-12);
        assert_eq!(found.signs, Signs { alike: 2, pairs: 2 });
        // The simulation may be right by less than two percent.
        let close = [("a", 100.0), ("b", 100.5), ("c", 101.0)];
        let found = compared(&real, &close);
        assert_eq!(found.tau, None);
        assert_eq!(found.signs, Signs { alike: 2, pairs: 2 });
    }

    #[test]
    fn metrics_with_debt_are_compared_in_the_whole_trial_and_phases_can_be_named() {
        let metric = "write.amplification";
        let values = [("a", 2.0), ("b", 3.0)];
        let both = |world| {
            let rows = rows(world, metric, &values);
            let whole = rows.clone().into_iter().map(|row| row.in_phase("whole"));
            whole.chain(rows.clone()).collect::<Vec<_>>()
        };
        let (real, simulated) = (both(World::Real), both(World::Simulated));
        let phases = |asked: &[String]| -> Vec<String> {
            let found = agreements(&real, &simulated, &[metric.to_owned()], asked);
            found.into_iter().map(|it| it.phase).collect()
        };
        assert_eq!(phases(&[]), ["whole"]);
        assert_eq!(phases(&["run".to_owned()]), ["run"]);
        assert_eq!(phases(&["load".to_owned()]), Vec::<String>::new());
    }

    #[test]
    fn what_only_one_world_has_is_left_out_and_zeros_have_no_relative_error() {
        let found = compared(&[("a", 0.0), ("b", 2.0)], &[("a", 0.0), ("c", 1.0)]);
        assert_eq!(found.variants.len(), 1);
        assert_eq!((found.tau, found.error), (None, None));
    }
}
