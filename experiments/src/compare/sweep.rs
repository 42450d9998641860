//! What a sweep of one numeric key says: where a metric is best, and from where on more brings
//! little.

use std::collections::BTreeMap;

use super::ranking::Ranking;
use crate::formats::shown;
use crate::point::{self, Point};

/// The share of the whole gain that is reached at the knee.
const KNEE_SHARE: f64 = 0.95;

/// A mean at a value of the swept key.
#[derive(Clone, Debug, PartialEq)]
pub struct At {
    /// The value as it is written.
    pub label: String,
    /// The value as a number.
    pub amount: f64,
    /// The metric's mean there.
    pub mean: f64,
}

/// Where a metric is best, and from where on more brings little.
#[derive(Clone, Debug, PartialEq)]
pub struct Peak {
    /// The variant with the best mean.
    pub variant: String,
    /// Where it has it.
    pub best: At,
    /// Where its curve first has nearly all of the gain; `None` if no point before the best has.
    pub knee: Option<At>,
}

/// Finds the best point of several variants' curves, and the knee of its curve; `None` without a
/// point.
pub fn peak(curves: &BTreeMap<&str, Vec<At>>, higher_is_better: bool) -> Option<Peak> {
    let sign = if higher_is_better { 1.0 } else { -1.0 };
    let best_of = |curve: &[At]| {
        let means = curve.iter().map(|at| at.mean * sign);
        means.fold(f64::NEG_INFINITY, f64::max)
    };
    let best = curves
        .iter()
        .max_by(|a, b| best_of(a.1).total_cmp(&best_of(b.1)));
    let (variant, curve) = best?;
    let mut curve = curve.clone();
    curve.sort_by(|a, b| a.amount.total_cmp(&b.amount));
    // Of equal means the first: more of the swept key brings nothing.
    let best = curve
        .iter()
        .rev()
        .max_by(|a, b| (a.mean * sign).total_cmp(&(b.mean * sign)))?;
    Some(Peak {
        variant: (*variant).to_owned(),
        knee: knee(&curve, sign).cloned(),
        best: best.clone(),
    })
}

/// Says for each phase and combination of other keys where the metric is best, and where the curve
/// of the variant that is best there has its knee. Empty unless one key alone has several numbers.
pub(super) fn words(rankings: &[&Ranking], higher_is_better: bool) -> Vec<String> {
    let Some(key) = swept_number(rankings) else {
        return Vec::new();
    };
    let mut phases: Vec<&str> = Vec::new();
    for ranking in rankings {
        if !phases.contains(&ranking.phase.as_str()) {
            phases.push(&ranking.phase);
        }
    }
    let several = phases.len() > 1;
    let mut lines = Vec::new();
    for phase in phases {
        let here = rankings.iter().filter(|ranking| ranking.phase == phase);
        let mut curves: BTreeMap<&str, Vec<At>> = BTreeMap::new();
        for ranking in here {
            let Some(label) = ranking.point.get(key) else {
                continue;
            };
            let Some(amount) = point::amount(label) else {
                continue;
            };
            for place in &ranking.places {
                curves.entry(&place.variant).or_default().push(At {
                    label: label.clone(),
                    amount,
                    mean: place.mean,
                });
            }
        }
        let place = if several {
            format!(" in phase {phase}")
        } else {
            String::new()
        };
        lines.extend(line(
            &curves,
            key,
            &rankings[0].unit,
            &place,
            higher_is_better,
        ));
    }
    lines
}

/// The only key of the points, if its values are numbers.
fn swept_number<'a>(rankings: &[&'a Ranking]) -> Option<&'a str> {
    let points: Vec<&Point> = rankings.iter().map(|ranking| &ranking.point).collect();
    let (key, _) = points.first()?.first_key_value()?;
    let is_number = |point: &&Point| {
        point.len() == 1
            && point
                .get(key)
                .is_some_and(|value| point::amount(value).is_some())
    };
    let several = points.iter().any(|point| *point != points[0]);
    (several && points.iter().all(is_number)).then_some(key)
}

fn line(
    curves: &BTreeMap<&str, Vec<At>>,
    key: &str,
    unit: &str,
    place: &str,
    higher_is_better: bool,
) -> Option<String> {
    let Peak {
        variant,
        best,
        knee,
    } = peak(curves, higher_is_better)?;
    let first = curves[variant.as_str()]
        .iter()
        .min_by(|a, b| a.amount.total_cmp(&b.amount))?;
    let mut line = format!(
        "Best point{place}: {variant} at {key}={}, {}.",
        best.label,
        shown(best.mean, unit)
    );
    if let Some(knee) = knee {
        line += &format!(
            " Knee: at {} it has {:.0} % of what there is to gain from {} on.",
            knee.label,
            KNEE_SHARE * 100.0,
            first.label
        );
    }
    Some(line)
}

/// The first point of a rising curve with nearly all of the gain; `None` if no point before
/// the best has it.
fn knee(curve: &[At], sign: f64) -> Option<&At> {
    let first = curve.first()?.mean * sign;
    let best = curve.iter().map(|at| at.mean * sign).fold(first, f64::max);
    let reached = |at: &&At| (at.mean * sign - first) >= (best - first) * KNEE_SHARE;
    let knee = curve.iter().find(reached)?;
    (best > first && knee.mean * sign < best).then_some(knee)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Ranked;

    fn ranking(size: &str, means: &[(&str, f64)]) -> Ranking {
        let place = |(variant, mean): &(&str, f64)| Ranked {
            variant: (*variant).to_owned(),
            mean: *mean,
            letters: String::new(),
        };
        Ranking {
            metric: "cache.hit_ratio".to_owned(),
            unit: "ratio".to_owned(),
            phase: "run".to_owned(),
            point: Point::from([("engine.cache.size".to_owned(), size.to_owned())]),
            places: means.iter().map(place).collect(),
        }
    }

    #[test]
    fn a_sweep_has_its_best_point_and_knee() {
        let rankings = [
            ranking("256KiB", &[("sieve", 0.30), ("lru", 0.20)]),
            ranking("1MiB", &[("sieve", 0.60), ("lru", 0.50)]),
            ranking("4MiB", &[("sieve", 0.89), ("lru", 0.85)]),
            ranking("16MiB", &[("sieve", 0.90), ("lru", 0.90)]),
        ];
        let rankings: Vec<&Ranking> = rankings.iter().collect();
        let line = &words(&rankings, true)[0];
        assert!(
            line.starts_with("Best point: sieve at engine.cache.size=16MiB, 0.9."),
            "{line}"
        );
        assert!(line.contains("Knee: at 4MiB it has 95 %"), "{line}");
        let line = &words(&rankings, false)[0];
        assert!(
            line.starts_with("Best point: lru at engine.cache.size=256KiB, 0.2."),
            "{line}"
        );
        assert!(!line.contains("Knee"), "the first point is best: {line}");
    }

    #[test]
    fn of_equal_means_the_first_is_best() {
        let rankings = [
            ranking("1MiB", &[("lru", 0.5)]),
            ranking("4MiB", &[("lru", 0.9)]),
            ranking("16MiB", &[("lru", 0.9)]),
        ];
        let line = &words(&rankings.iter().collect::<Vec<_>>(), true)[0];
        assert!(line.contains("at engine.cache.size=4MiB, 0.9."), "{line}");
    }

    #[test]
    fn a_sweep_of_words_has_neither() {
        let rankings = [ranking("a", &[("lru", 1.0)]), ranking("b", &[("lru", 2.0)])];
        assert!(words(&rankings.iter().collect::<Vec<_>>(), true).is_empty());
        assert!(words(&[], true).is_empty());
    }
}
