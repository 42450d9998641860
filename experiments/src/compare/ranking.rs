//! Every variant against every other: an order with ties.
//!
//! Two variants share a letter if their paired differences do not distinguish them, corrected by
//! Holm over all pairs of the ranking. A variant may have several letters: who is like whom is not
//! transitive.
//!
//! Source: Piepho, "An Algorithm for a Letter-Based Representation of All-Pairwise Comparisons",
//! JCGS 2004 (insert and absorb).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::values::{Site, ValueIndex, Values};
use super::{CompareSettings, Refusals};
use crate::metrics::{Direction, MetricDef, Scale};
use crate::point::Point;
use crate::stats::{self, LEVEL};

/// Of more variants no two are compared: the pairs would be hundreds, and hardly any distinguished.
const VARIANTS_MAX: usize = 24;

/// The variants by their means in one metric, the best first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ranking {
    /// The metric's dotted name.
    pub metric: String,
    /// The metric's unit.
    pub unit: String,
    /// The phase.
    pub phase: String,
    /// The sweep point.
    pub point: Point,
    /// The variants, the best first.
    pub places: Vec<Ranked>,
}

/// A variant's place in a ranking.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ranked {
    /// The variant's name.
    pub variant: String,
    /// Its mean over the seeds; the geometric one of a metric that is compared by ratios.
    pub mean: f64,
    /// Those with a letter in common are not distinguished. Empty if no two were compared.
    pub letters: String,
}

impl Ranking {
    /// The variants that are not distinguished from the best.
    pub fn tied_with_best(&self) -> Vec<&str> {
        let Some((best, others)) = self.places.split_first() else {
            return Vec::new();
        };
        let ties = |other: &&Ranked| {
            other
                .letters
                .contains(|letter| best.letters.contains(letter))
        };
        others
            .iter()
            .filter(ties)
            .map(|other| other.variant.as_str())
            .collect()
    }
}

impl Ranked {
    /// The variant with its letters: `lru ab`.
    pub(super) fn shown(&self) -> String {
        format!("{} {}", self.variant, self.letters)
    }
}

/// A variant's values at a site.
struct Contender<'a> {
    variant: &'a str,
    values: &'a Values,
    mean: f64,
}

/// Ranks the variants in each primary metric that has a better direction, at each site.
pub(super) fn all<'a>(
    index: &ValueIndex,
    sites: &[Site],
    variants: &[&str],
    primary: impl Iterator<Item = &'a MetricDef>,
    settings: &CompareSettings,
    refusals: &Refusals,
) -> Vec<Ranking> {
    let mut rankings = Vec::new();
    for metric in primary.filter(|metric| metric.direction != Direction::Neutral) {
        for site in sites {
            let Some(baseline) = index.values(&settings.baseline, site, metric.name) else {
                continue;
            };
            let contends = |variant: &&&str| refusals.of(variant, site.point).is_none();
            let named = variants
                .iter()
                .filter(contends)
                .filter_map(|variant| Some((*variant, index.values(variant, site, metric.name)?)));
            // Means over other seeds are other means.
            let alike = named.filter(|(_, values)| values.keys().eq(baseline.keys()));
            let contenders: Vec<_> = alike.collect();
            if contenders.len() > 1 {
                rankings.push(rank(metric, site, &contenders));
            }
        }
    }
    rankings
}

fn rank(metric: &MetricDef, site: &Site, contenders: &[(&str, Values)]) -> Ranking {
    let positive = |values: &Values| values.values().all(|value| *value > 0.0);
    let by_ratio =
        metric.scale == Scale::Relative && contenders.iter().all(|(_, values)| positive(values));
    let mut contenders: Vec<Contender> = contenders
        .iter()
        .map(|(variant, values)| {
            let sample: Vec<f64> = values.values().copied().collect();
            let mean = if by_ratio {
                stats::geometric_mean(&sample)
            } else {
                stats::mean(&sample)
            };
            Contender {
                variant,
                values,
                mean,
            }
        })
        .collect();
    contenders.sort_by(|a, b| match metric.direction {
        Direction::Lower => a.mean.total_cmp(&b.mean),
        Direction::Higher | Direction::Neutral => b.mean.total_cmp(&a.mean),
    });
    let letters = letters(&contenders, site, by_ratio);
    let places = contenders
        .iter()
        .zip(letters)
        .map(|(contender, letters)| Ranked {
            variant: contender.variant.to_owned(),
            mean: contender.mean,
            letters,
        });
    Ranking {
        metric: metric.name.to_owned(),
        unit: metric.unit.to_owned(),
        phase: site.phase.to_owned(),
        point: site.point.clone(),
        places: places.collect(),
    }
}

/// Two contenders by their places.
#[derive(Clone, Copy)]
struct Duel {
    better: usize,
    worse: usize,
}

/// The letters of each contender; none if no two can be compared.
fn letters(contenders: &[Contender], site: &Site, by_ratio: bool) -> Vec<String> {
    let none = vec![String::new(); contenders.len()];
    if contenders.len() > VARIANTS_MAX {
        return none;
    }
    let mut duels = Vec::new();
    let mut p_values = Vec::new();
    for better in 0..contenders.len() {
        for worse in better + 1..contenders.len() {
            let differences = differences(&contenders[better], &contenders[worse], by_ratio);
            let Some(p) = site.test.p_value(&differences) else {
                return none;
            };
            duels.push(Duel { better, worse });
            p_values.push(p);
        }
    }
    let corrected = stats::holm(&p_values).into_iter();
    let distinguished: Vec<Duel> = duels
        .into_iter()
        .zip(corrected)
        .filter(|(_, p)| *p < LEVEL)
        .map(|(duel, _)| duel)
        .collect();
    display(contenders.len(), &distinguished)
}

fn differences(one: &Contender, other: &Contender, by_ratio: bool) -> Vec<f64> {
    let pairs = one.values.values().zip(other.values.values());
    pairs
        .map(|(one, other)| {
            if by_ratio {
                (one / other).ln()
            } else {
                one - other
            }
        })
        .collect()
}

/// Gives letters so that two of `count` share one if and only if they are not distinguished.
fn display(count: usize, distinguished: &[Duel]) -> Vec<String> {
    let mut groups: Vec<BTreeSet<usize>> = vec![(0..count).collect()];
    for Duel { better, worse } in distinguished {
        let mut split = Vec::new();
        for group in groups {
            if group.contains(better) && group.contains(worse) {
                for left_out in [worse, better] {
                    let mut part = group.clone();
                    part.remove(left_out);
                    split.push(part);
                }
            } else {
                split.push(group);
            }
        }
        groups = absorbed(split);
    }
    groups.sort_by(|a, b| a.iter().cmp(b.iter()));
    let letter = |number: usize| char::from(b'a' + u8::try_from(number % 26).unwrap_or(0));
    (0..count)
        .map(|contender| {
            let own = groups.iter().enumerate();
            let own = own.filter(|(_, group)| group.contains(&contender));
            own.map(|(number, _)| letter(number)).collect()
        })
        .collect()
}

/// The groups without those that lie within another one.
fn absorbed(groups: Vec<BTreeSet<usize>>) -> Vec<BTreeSet<usize>> {
    let mut kept: Vec<BTreeSet<usize>> = Vec::new();
    for group in groups {
        if !kept.iter().any(|other| group.is_subset(other)) {
            kept.retain(|other| !other.is_subset(&group));
            kept.push(group);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_shared_by_those_that_are_not_distinguished() {
        let duel = |better, worse| Duel { better, worse };
        assert_eq!(display(3, &[]), ["a", "a", "a"]);
        assert_eq!(display(3, &[duel(0, 2)]), ["a", "ab", "b"]);
        assert_eq!(display(3, &[duel(0, 1), duel(0, 2)]), ["a", "b", "b"]);
        let all = [duel(0, 1), duel(0, 2), duel(1, 2)];
        assert_eq!(display(3, &all), ["a", "b", "c"]);
        // Not in the order of the means: 1 differs from 2, and 0 from neither.
        assert_eq!(display(3, &[duel(1, 2)]), ["ab", "a", "b"]);
    }

    #[test]
    fn letters_say_exactly_what_is_distinguished() {
        // Every way in which five can be distinguished.
        let pairs: Vec<Duel> = (0..5)
            .flat_map(|better| (better + 1..5).map(move |worse| Duel { better, worse }))
            .collect();
        for chosen in 0_u32..1 << pairs.len() {
            let apart: Vec<Duel> = pairs
                .iter()
                .enumerate()
                .filter(|(at, _)| chosen >> at & 1 == 1)
                .map(|(_, duel)| *duel)
                .collect();
            let letters = display(5, &apart);
            for (at, Duel { better, worse }) in pairs.iter().enumerate() {
                let shared = letters[*better].contains(|letter| letters[*worse].contains(letter));
                assert_eq!(shared, chosen >> at & 1 == 0, "{chosen:b}: {letters:?}");
            }
        }
    }
}
