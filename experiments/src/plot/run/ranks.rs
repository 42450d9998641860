//! The critical-difference diagram: mean ranks of the variants over workloads, and which of them
//! are not distinguished.
//!
//! Source: Demšar, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 2006.

use super::{FigureKind, Page, Words, in_words, means_of};
use crate::formats::{csv, digits, shown_p};
use crate::metrics::{self, Direction, MetricDef};
use crate::plot::chart::ranks::{RankChart, RankMark};
use crate::point::Point;
use crate::stats::{BLOCKS_GOOD, BLOCKS_MIN, Ranks};

/// The most variants that have room on the axis.
const VARIANTS_MAX: usize = 20;

/// The sweep points at which only the workload differs.
struct Blocks<'a> {
    /// The keys of the sweep that are not the workload's.
    others: Point,
    points: Vec<&'a Point>,
}

impl<'a> Page<'a> {
    pub(super) fn critical_difference(&mut self) {
        let kind = FigureKind::CriticalDifference;
        let blocks = blocks(&self.points());
        let most = blocks.iter().map(|it| it.points.len()).max().unwrap_or(0);
        if most < BLOCKS_MIN {
            let why = format!(
                "ranks need {BLOCKS_MIN} workloads at least, from a sweep of workload.preset or \
                 another key of the workload; there are {most}"
            );
            return self.skip(kind, &why);
        }
        if !(3..=VARIANTS_MAX).contains(&self.variants.len()) {
            let why = format!(
                "ranks are of 3 to {VARIANTS_MAX} variants; there are {}",
                self.variants.len()
            );
            return self.skip(kind, &why);
        }
        let before = self.figures.drawn.len();
        for metric in self.input.primary {
            let Ok(metric) = metrics::find(metric) else {
                continue;
            };
            for window in self.judged(metric) {
                for blocks in &blocks {
                    self.ranks_of(metric, window, blocks);
                }
            }
        }
        let why = "no primary metric has a value of each variant in enough workloads";
        self.skip_if_none(kind, before, why);
    }

    fn ranks_of(&mut self, metric: &MetricDef, window: &str, blocks: &Blocks) {
        let higher = match metric.direction {
            Direction::Higher => true,
            Direction::Lower => false,
            Direction::Neutral => return,
        };
        let values = |point: &&Point| {
            let means = means_of(self.input.rows, window, point, metric.name);
            // A block without one of the variants ranks nothing.
            let complete = means.len() == self.variants.len();
            complete.then(|| means.iter().map(|(_, mean)| mean.value).collect())
        };
        let table: Vec<Vec<f64>> = blocks.points.iter().filter_map(values).collect();
        let Some(ranks) = Ranks::of(&table, higher) else {
            return;
        };
        let mut marks: Vec<RankMark> = self
            .variants
            .iter()
            .zip(&ranks.means)
            .map(|(variant, rank)| RankMark {
                variant,
                rank: *rank,
            })
            .collect();
        let groups = groups(&ranks);
        marks.sort_by(|a, b| a.rank.total_cmp(&b.rank));
        let words = Words {
            kind: FigureKind::CriticalDifference,
            part: format!("{}.{window}", metric.name),
            title: format!("Mean ranks in {}, {}", metric.name, in_words(window)),
            subtitle: format!(
                "{} workloads, {}",
                ranks.blocks,
                self.subtitle(&blocks.others)
            ),
            caption: caption(&ranks),
            csv: numbers(&marks, &ranks),
        };
        let chart = RankChart {
            marks: &marks,
            groups: &groups,
            critical_difference: ranks.critical_difference,
        };
        let scene = chart.draw(&self.frame(&words), &self.styles);
        self.add(words, scene);
    }
}

fn caption(ranks: &Ranks) -> String {
    let mut caption = format!(
        "Mean rank of each variant over {} workloads; 1 is the best. Friedman's test that all are \
         alike (Iman and Davenport): p {}. ",
        ranks.blocks,
        match shown_p(ranks.p) {
            p if p.starts_with('<') => p,
            p => format!("= {p}"),
        }
    );
    if ranks.p < crate::stats::LEVEL {
        caption += &format!(
            "Bars join variants whose mean ranks differ by less than Nemenyi's critical difference \
             (CD) of {}, so that they are not distinguished at 5 % over all pairs.",
            digits(ranks.critical_difference, 3)
        );
    } else {
        caption += "No variant is distinguished from another: the bar joins all.";
    }
    if ranks.blocks < BLOCKS_GOOD {
        caption += &format!(" With fewer than {BLOCKS_GOOD} workloads both tests are rough.");
    }
    caption
}

/// The stretches of mean ranks, from the best on, within which no two are distinguished; those
/// inside a longer one left out.
fn groups(ranks: &Ranks) -> Vec<[f64; 2]> {
    let mut order: Vec<usize> = (0..ranks.means.len()).collect();
    order.sort_by(|a, b| ranks.means[*a].total_cmp(&ranks.means[*b]));
    let mut groups: Vec<[f64; 2]> = Vec::new();
    let mut reached = 0;
    for (from, first) in order.iter().enumerate() {
        let alike = |other: &&usize| !ranks.differ(*first, **other);
        let to = from + order[from..].iter().take_while(alike).count() - 1;
        if to > from && to > reached {
            groups.push([ranks.means[*first], ranks.means[order[to]]]);
            reached = to;
        }
    }
    groups
}

/// Sweep points grouped by their keys other than the workload's.
fn blocks<'a>(points: &[&'a Point]) -> Vec<Blocks<'a>> {
    let is_workload = |key: &String| key.starts_with("workload.");
    let mut all: Vec<Blocks> = Vec::new();
    for point in points {
        let mut others = (*point).clone();
        others.retain(|key, _| !is_workload(key));
        if others.len() == point.len() {
            continue;
        }
        match all.iter_mut().find(|blocks| blocks.others == others) {
            Some(blocks) => blocks.points.push(point),
            None => all.push(Blocks {
                others,
                points: vec![point],
            }),
        }
    }
    all
}

fn numbers(marks: &[RankMark], ranks: &Ranks) -> String {
    let rows = marks.iter().map(|mark| {
        [
            mark.variant.to_owned(),
            mark.rank.to_string(),
            ranks.blocks.to_string(),
            ranks.critical_difference.to_string(),
            ranks.p.to_string(),
        ]
    });
    let header = [
        "variant",
        "mean_rank",
        "workloads",
        "critical_difference",
        "friedman_p",
    ];
    csv(header, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_join_neighbours_that_are_not_distinguished() {
        let ranks = |means: [f64; 4], p: f64| Ranks {
            means: means.to_vec(),
            blocks: 10,
            p,
            critical_difference: 1.0,
        };
        let far = ranks([4.0, 1.0, 1.5, 2.2], 0.01);
        assert_eq!(groups(&far), [[1.0, 1.5], [1.5, 2.2]]);
        assert_eq!(groups(&ranks([1.0, 2.5, 4.0, 5.5], 0.01)), [[0.0; 2]; 0]);
        assert_eq!(groups(&ranks([1.0, 2.5, 4.0, 5.5], 0.2)), [[1.0, 5.5]]);
    }
}
