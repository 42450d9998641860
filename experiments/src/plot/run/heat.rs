//! The primary metrics over two swept keys: a cell for each pair of values, a panel for each
//! variant.

use std::collections::BTreeSet;

use super::{FigureKind, Mean, Page, Words, in_words, means_of};
use crate::formats::csv;
use crate::metrics::{self, Direction, MetricDef};
use crate::plot::chart::heat::{HeatCell, HeatChart, HeatPanel};
use crate::point::{self, Point};

/// The most variants that have a panel.
const PANELS_MAX: usize = 8;

/// The most values of a key that have room.
const VALUES_MAX: usize = 12;

/// Two swept keys with their values, and the points at which only they differ.
struct Grid<'a> {
    x: Key<'a>,
    y: Key<'a>,
    /// The other keys of the sweep.
    others: Point,
    points: Vec<&'a Point>,
}

/// A swept key and its values in order.
#[derive(Clone)]
struct Key<'a> {
    name: &'a str,
    values: Vec<&'a str>,
}

/// One variant's means over a grid.
struct Means<'a> {
    variant: &'a str,
    cells: Vec<(&'a Point, Mean)>,
}

impl<'a> Page<'a> {
    pub(super) fn heat_map(&mut self) {
        let points = self.points();
        let grids = grids(&points);
        if grids.is_empty() {
            return self.skip(FigureKind::HeatMap, "no two keys are swept together");
        }
        if self.variants.len() > PANELS_MAX {
            let why = format!("more than {PANELS_MAX} variants, a panel each");
            return self.skip(FigureKind::HeatMap, &why);
        }
        let before = self.figures.drawn.len();
        for metric in self.input.primary {
            let Ok(metric) = metrics::find(metric) else {
                continue;
            };
            for window in self.judged(metric) {
                for grid in &grids {
                    self.heat_of(metric, window, grid);
                }
            }
        }
        self.skip_if_none(FigureKind::HeatMap, before, "no primary metric has values");
    }

    fn heat_of(&mut self, metric: &MetricDef, window: &str, grid: &Grid<'a>) {
        let means = self.means_over(metric, window, grid);
        if means.is_empty() {
            return;
        }
        let panels: Vec<HeatPanel> = means.iter().map(|it| panel(it, grid, metric)).collect();
        let chart = HeatChart {
            columns: &grid.x.values,
            rows: &grid.y.values,
            x_label: grid.x.name,
            y_label: grid.y.name,
            panels: &panels,
        };
        let best = match metric.direction {
            Direction::Neutral => "",
            _ => " A frame marks the best cell of each variant.",
        };
        let Grid { x, y, .. } = grid;
        let words = Words {
            kind: FigureKind::HeatMap,
            part: format!("{}.{window}", metric.name),
            title: format!("{} over {} and {}", metric.name, x.name, y.name),
            subtitle: format!("{}, {}", in_words(window), self.subtitle(&grid.others)),
            caption: format!(
                "{} Mean over the seeds in {}, below it half the 95 % Student interval; the \
                 stronger the colour, the more, on one scale for all panels.{best}",
                metric.about,
                if metric.unit == "ratio" {
                    "shares of one"
                } else {
                    metric.unit
                }
            ),
            csv: numbers(&means),
        };
        let scene = chart.draw(&self.frame(&words));
        self.add(words, scene);
    }

    fn means_over(&self, metric: &MetricDef, window: &str, grid: &Grid<'a>) -> Vec<Means<'a>> {
        let mut all: Vec<Means> = Vec::new();
        for point in &grid.points {
            for (variant, mean) in means_of(self.input.rows, window, point, metric.name) {
                match all.iter_mut().find(|means| means.variant == variant) {
                    Some(means) => means.cells.push((point, mean)),
                    None => all.push(Means {
                        variant,
                        cells: vec![(point, mean)],
                    }),
                }
            }
        }
        all.sort_by(|a, b| point::natural(a.variant, b.variant));
        all
    }
}

fn panel<'a>(means: &Means<'a>, grid: &Grid, metric: &MetricDef) -> HeatPanel<'a> {
    let values = || means.cells.iter().map(|(_, mean)| mean.value);
    let best = match metric.direction {
        Direction::Higher => values().max_by(f64::total_cmp),
        Direction::Lower => values().min_by(f64::total_cmp),
        Direction::Neutral => None,
    };
    let cell = |(point, mean): &(&Point, Mean)| {
        let place = |key: &Key| {
            key.values
                .iter()
                .position(|value| *value == point[key.name])
        };
        Some(HeatCell {
            column: place(&grid.x)?,
            row: place(&grid.y)?,
            value: mean.value,
            half_width: mean.half_width,
            best: Some(mean.value) == best,
        })
    };
    HeatPanel {
        title: means.variant,
        cells: means.cells.iter().filter_map(cell).collect(),
    }
}

/// The grids of the two keys with the most values; the one with more is on the x axis.
fn grids<'a>(points: &[&'a Point]) -> Vec<Grid<'a>> {
    let Some(first) = points.first() else {
        return Vec::new();
    };
    let key = |name: &'a String| {
        let values: BTreeSet<&str> = points.iter().map(|point| point[name].as_str()).collect();
        let mut values: Vec<&str> = values.into_iter().collect();
        values.sort_by(|a, b| point::natural(a, b));
        Key { name, values }
    };
    let has_key = |name: &&String| points.iter().all(|point| point.contains_key(*name));
    let mut keys: Vec<Key> = first.keys().filter(has_key).map(key).collect();
    keys.retain(|key| (2..=VALUES_MAX).contains(&key.values.len()));
    keys.sort_by_key(|key| std::cmp::Reverse(key.values.len()));
    let [x, y, ..] = &keys[..] else {
        return Vec::new();
    };
    let mut grids: Vec<Grid> = Vec::new();
    for point in points {
        let mut others = (*point).clone();
        others.retain(|key, _| key != x.name && key != y.name);
        match grids.iter_mut().find(|grid| grid.others == others) {
            Some(grid) => grid.points.push(point),
            None => grids.push(Grid {
                x: x.clone(),
                y: y.clone(),
                others,
                points: vec![point],
            }),
        }
    }
    grids
}

fn numbers(means: &[Means]) -> String {
    let rows = means.iter().flat_map(|Means { variant, cells }| {
        cells.iter().map(|(point, mean)| {
            [
                (*variant).to_owned(),
                point::label(point),
                mean.value.to_string(),
                mean.half_width_field(),
            ]
        })
    });
    csv(["variant", "point", "mean", "half_width_95"], rows)
}
