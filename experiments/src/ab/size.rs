//! How many pairs decide, and what a number of pairs can see.

use crate::compare::{CompareRow, Comparison};
use crate::metrics::Scale;
use crate::stats::{Estimate, Test};

/// Pairs of A against A that a pilot runs: from fewer the spread is too rough.
pub const PAIRS_OF_PILOT: usize = 8;

/// What a comparison can see in one primary metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolution {
    /// The metric.
    pub metric: String,
    /// Its unit.
    pub unit: String,
    /// The phase.
    pub phase: String,
    /// Whether differences are shares of the baseline's value.
    pub scale: Scale,
    /// Pairs that there were.
    pub pairs: usize,
    /// The standard deviation of one pair's difference: a share, or in the metric's unit.
    pub sd: f64,
    /// The least difference that as many pairs call different nine times in ten; `None` if they are
    /// too few to call any.
    pub least: Option<f64>,
    /// What other numbers of pairs would call different.
    pub others: Vec<Seen>,
}

/// What another number of pairs would see.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// Pairs.
    pub pairs: usize,
    /// The least difference.
    pub least: f64,
}

/// Numbers of pairs that a reader may want to choose among.
const CHOICES: [usize; 5] = [6, 10, 20, 40, 80];

/// What a comparison can see in each of its primary metrics that has a spread, by `test`.
pub fn resolutions(comparison: &Comparison, test: Test) -> Vec<Resolution> {
    let comparisons = comparison.family.primary;
    let primary = comparison.rows.iter().filter(|row| row.primary);
    primary
        .filter_map(|row| {
            let sd = row.sd?;
            let least = |pairs: usize| {
                let estimate = Estimate {
                    n: pairs,
                    mean: 0.0,
                    sd,
                };
                Some(effect(
                    row.scale,
                    estimate.least_difference(test, comparisons)?,
                ))
            };
            let seen = |pairs| {
                let least = least(pairs)?;
                (pairs != row.pairs).then_some(Seen { pairs, least })
            };
            Some(Resolution {
                metric: row.metric.clone(),
                unit: row.unit.clone(),
                phase: row.phase.clone(),
                scale: row.scale,
                pairs: row.pairs,
                sd: effect(row.scale, sd),
                least: least(row.pairs),
                others: CHOICES.into_iter().filter_map(seen).collect(),
            })
        })
        .collect()
}

/// The pairs with which each primary metric of a pilot calls a difference of `detect` nine times in
/// ten: a share, for metrics whose differences are shares; for others the row's own margin counts.
/// `None` if a metric would need more than ten thousand, or the pilot has no primary metric.
pub fn pairs_for(pilot: &Comparison, detect: f64, test: Test) -> Option<usize> {
    let comparisons = pilot.family.primary;
    let least = test.pairs_min(comparisons);
    let pairs = |row: &CompareRow| {
        let mean = match row.scale {
            Scale::Relative => detect.ln_1p(),
            Scale::Absolute => row.margin,
        };
        let estimate = Estimate {
            n: row.pairs,
            mean,
            sd: row.sd?,
        };
        if estimate.sd == 0.0 {
            return Some(least);
        }
        estimate.pairs_to_decide(test, 0.0, comparisons, least)
    };
    let primary = pilot.rows.iter().filter(|row| row.primary);
    let needed: Option<Vec<usize>> = primary.map(pairs).collect();
    needed?.into_iter().max()
}

/// A number on the scale of the differences as an effect.
fn effect(scale: Scale, difference: f64) -> f64 {
    match scale {
        Scale::Relative => difference.exp_m1(),
        Scale::Absolute => difference,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{CompareSettings, compare};
    use crate::record::World;
    use crate::testing::tidy_row;

    /// Pairs whose logarithms differ by `sd` to one side or the other.
    fn pilot(sd: f64) -> Comparison {
        let mut rows = Vec::new();
        for seed in 1..=8_u64 {
            let value = |side: f64| (sd * side / 1.069).exp() * 1000.0;
            let sign = if seed.is_multiple_of(2) { 1.0 } else { -1.0 };
            for (variant, value) in [("A", 1000.0), ("B", value(sign))] {
                let metric = "run.throughput_ops";
                rows.push(tidy_row(variant, seed, World::Real, metric, value));
            }
        }
        let settings = CompareSettings {
            baseline: "A".to_owned(),
            ..CompareSettings::default()
        };
        compare(&rows, &settings).expect("two sides")
    }

    #[test]
    fn a_pilot_says_how_many_pairs_decide() {
        // The table of `stats`: for 90 % power at 5 %.
        for (sd, detect, pairs) in [(0.01, 0.01, 13), (0.02, 0.01, 44), (0.04, 0.02, 44)] {
            let found = pairs_for(&pilot(sd), detect, Test::SignFlips).expect("some");
            assert!(found.abs_diff(pairs) <= 1, "{sd}, {detect}: {found}");
        }
        assert_eq!(pairs_for(&pilot(0.001), 0.05, Test::SignFlips), Some(6));
        assert_eq!(pairs_for(&pilot(0.5), 0.001, Test::SignFlips), None);
        assert_eq!(
            pairs_for(&Comparison::default(), 0.05, Test::SignFlips),
            None
        );
    }

    #[test]
    fn what_is_seen_shrinks_with_more_pairs() {
        let found = resolutions(&pilot(0.02), Test::SignFlips);
        assert_eq!(found.len(), 1);
        let Resolution {
            sd, least, others, ..
        } = &found[0];
        assert!((sd - 0.0202).abs() < 1e-3, "{sd}");
        let all: Vec<f64> = others.iter().map(|seen| seen.least).collect();
        assert_eq!(all.len(), CHOICES.len());
        assert!(all.windows(2).all(|pair| pair[0] > pair[1]), "{all:?}");
        let least = least.expect("eight are enough");
        assert!(least < all[0] && least > all[1], "{least} {all:?}");
    }
}
