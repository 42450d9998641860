//! Which numbers of a run go into which figure.

mod ablation;
mod decisions;
mod distribution;
mod forest;
mod heat;
mod latency;
mod panels;
mod ranks;
mod series;
mod sweep;
mod throughput;

use std::collections::{BTreeMap, BTreeSet};

use super::chart::scene::Scene;
use super::chart::style::{Frame, Styles};
use super::{Figure, FigureKind, Figures, PlotInput};
use crate::compare;
use crate::point::{self, Point};
use crate::record::Window;
use crate::stats::{self, CONFIDENCE, Estimate};
use crate::store::{StoredTrial, TidyRow, trials_of};

/// What whiskers are, for captions.
const INTERVALS: &str = "Whiskers are 95 % Student intervals over the seeds.";

/// Draws figures of the kinds asked for.
pub fn figures(kinds: &[FigureKind], input: &PlotInput) -> Figures {
    let variants = compare::variants(input.rows);
    let styles = Styles::new(&variants, input.baseline);
    let mut page = Page {
        input,
        variants,
        styles,
        figures: Figures::default(),
    };
    if let Some(why) = too_many(input.rows) {
        page.figures.skipped.push(format!("all figures: {why}"));
        return page.figures;
    }
    for kind in kinds {
        match kind {
            FigureKind::Sweep => page.sweep(),
            FigureKind::HeatMap => page.heat_map(),
            FigureKind::Forest => page.forest(),
            FigureKind::Ablation => page.ablation(),
            FigureKind::CriticalDifference => page.critical_difference(),
            FigureKind::Throughput => page.throughput(),
            FigureKind::Decisions => page.decisions(),
            FigureKind::Latency => page.latency(),
            FigureKind::Ecdf => page.ecdf(),
            FigureKind::Histogram => page.histogram(),
            FigureKind::Amplification => page.amplification(),
            FigureKind::HitRatio => page.hit_ratio(),
            FigureKind::Bound => page.bound(),
            FigureKind::Index => page.index(),
        }
    }
    page.figures
}

/// The most variants, over all sweep points, that figures are drawn of.
const SIDES_MAX: usize = 500;

/// Why no figure is drawn, if the rows are of more variants and points than a page has room for.
pub fn too_many(rows: &[TidyRow]) -> Option<String> {
    let variants = compare::variants(rows).len();
    let points = compare::points(rows).len();
    (variants * points > SIDES_MAX).then(|| {
        format!("{variants} variants at {points} points are more than the {SIDES_MAX} that fit")
    })
}

/// The figures being drawn, and what all of them share.
struct Page<'a> {
    input: &'a PlotInput<'a>,
    variants: Vec<&'a str>,
    styles: Styles,
    figures: Figures,
}

/// The words and numbers of one figure.
struct Words {
    kind: FigureKind,
    /// What distinguishes it from others of its kind, in file names: phase, operation.
    part: String,
    title: String,
    /// The sweep point, and the number of seeds.
    subtitle: String,
    caption: String,
    csv: String,
}

impl<'a> Page<'a> {
    fn frame<'b>(&'b self, words: &'b Words) -> Frame<'b> {
        Frame {
            title: &words.title,
            subtitle: &words.subtitle,
            provenance: self.input.provenance,
        }
    }

    /// Adds a finished figure. The figures of further sweep points get a number in their names.
    fn add(&mut self, words: Words, scene: Scene) {
        let kind = words.kind.name();
        let stem = if words.part.is_empty() {
            kind.to_owned()
        } else {
            format!("{kind}.{}", words.part.replace(' ', "-"))
        };
        let numbered = format!("{stem}.point-");
        let is_namesake =
            |figure: &&Figure| figure.name == stem || figure.name.starts_with(&numbered);
        let name = match self.figures.drawn.iter().filter(is_namesake).count() {
            0 => stem,
            namesakes => format!("{numbered}{}", namesakes + 1),
        };
        self.figures.drawn.push(Figure {
            name,
            title: words.title,
            caption: words.caption,
            csv: words.csv,
            scene,
        });
    }

    fn skip(&mut self, kind: FigureKind, why: &str) {
        self.figures.skipped.push(format!("{}: {why}", kind.name()));
    }

    /// Notes that a kind has no data, unless figures were added after the first `before`.
    fn skip_if_none(&mut self, kind: FigureKind, before: usize, why: &str) {
        if self.figures.drawn.len() == before {
            self.skip(kind, why);
        }
    }

    /// The phases worth a figure, in the order of the trial.
    fn phases(&self) -> Vec<&'a str> {
        compare::phases(self.input.rows)
    }

    /// The windows whose metrics are worth a figure: the phases, and `whole`.
    fn windows(&self) -> Vec<&'a str> {
        compare::windows(self.input.rows)
    }

    /// The sweep points in order.
    fn points(&self) -> Vec<&'a Point> {
        compare::points(self.input.rows)
    }

    /// The trials at a point, by variant.
    fn trials(&self, point: &Point) -> Vec<(&'a str, Vec<&'a StoredTrial>)> {
        let mut trials: BTreeMap<&str, Vec<&StoredTrial>> = BTreeMap::new();
        for trial in self.input.trials {
            let manifest = &trial.manifest;
            if manifest.point == *point {
                trials.entry(&manifest.variant).or_default().push(trial);
            }
        }
        in_order(trials)
    }

    /// `engine.cache.size=32MiB, 4 seeds`.
    fn subtitle(&self, point: &Point) -> String {
        let seeds: BTreeSet<u64> = trials_of(self.input.rows).map(|trial| trial.seed).collect();
        let seeds = if seeds.len() == 1 {
            "1 seed".to_owned()
        } else {
            format!("{} seeds", seeds.len())
        };
        if point.is_empty() {
            seeds
        } else {
            format!("{}, {seeds}", point::label(point))
        }
    }
}

/// A window in a title.
fn in_words(window: &str) -> String {
    match Window::named(window) {
        Window::Whole => "whole trial".to_owned(),
        Window::Step => format!("step {window}"),
        _ => format!("phase {window}"),
    }
}

/// A mean over seeds, with half the width of its interval.
#[derive(Clone, Copy)]
struct Mean {
    value: f64,
    half_width: Option<f64>,
}

impl Mean {
    /// The mean of values; `None` without one.
    fn of(values: &[f64]) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        Some(Self {
            value: stats::mean(values),
            half_width: Estimate::of(values).map(|estimate| estimate.half_width(CONFIDENCE)),
        })
    }

    /// Half the width in a CSV; empty with one seed.
    fn half_width_field(&self) -> String {
        self.half_width
            .map_or_else(String::new, |half| half.to_string())
    }
}

/// The metrics of one trial in one phase, by name.
type Metrics<'a> = BTreeMap<&'a str, f64>;

/// A quantity derived from a trial's metrics.
type Derived = fn(&Metrics) -> Option<f64>;

/// Returns the mean over seeds of a derived quantity, by variant.
fn means<'a>(
    rows: &'a [TidyRow],
    phase: &str,
    point: &Point,
    derived: Derived,
) -> Vec<(&'a str, Mean)> {
    let mut trials: BTreeMap<(&str, u64), Metrics> = BTreeMap::new();
    for row in rows {
        let TidyRow { trial, name, value } = row;
        if name.phase == phase && trial.point == *point {
            let metrics = trials.entry((&trial.variant, trial.seed)).or_default();
            metrics.insert(&name.metric, *value);
        }
    }
    let mut values: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for ((variant, _), metrics) in &trials {
        values.entry(variant).or_default().extend(derived(metrics));
    }
    let mean = |(variant, values): (&'a str, Vec<f64>)| Some((variant, Mean::of(&values)?));
    in_order(values.into_iter().filter_map(mean).collect())
}

/// Returns the mean over seeds of a metric, by variant.
fn means_of<'a>(
    rows: &'a [TidyRow],
    window: &str,
    point: &Point,
    metric: &str,
) -> Vec<(&'a str, Mean)> {
    let mut values: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for row in rows {
        let TidyRow { trial, name, value } = row;
        if name.metric == metric && name.phase == window && trial.point == *point {
            values.entry(&trial.variant).or_default().push(*value);
        }
    }
    let mean = |(variant, values): (&'a str, Vec<f64>)| Some((variant, Mean::of(&values)?));
    in_order(values.into_iter().filter_map(mean).collect())
}

/// What is known by variant, in the natural order of their names.
fn in_order<T>(by_variant: BTreeMap<&str, T>) -> Vec<(&str, T)> {
    let mut ordered: Vec<(&str, T)> = by_variant.into_iter().collect();
    ordered.sort_by(|a, b| point::natural(a.0, b.0));
    ordered
}
