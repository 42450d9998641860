//! The forest of a comparison: one row per metric, its effect with interval, the margin, and the
//! verdict in a word.

use super::{FigureKind, Page, Words, in_words};
use crate::compare::{self, CompareRow};
use crate::plot::chart::axis::Axis;
use crate::plot::chart::lines::WIDTH;
use crate::plot::chart::scene::{
    Anchor, Color, FAINT, GREY, INK, Marker, SMALL, Scene, at, color, fitted,
};
use crate::plot::chart::style::{BLUE, Frame, MARGIN, VERMILION};
use crate::point::Point;
use crate::stats::verdict::Verdict;

/// Rows that are read at a glance; of more, only those of primary metrics are drawn.
const ROWS_MAX: usize = 16;

/// The height of a row.
const ROW: f64 = 42.0;
/// The left end of the axis.
const LEFT: f64 = 212.0;
/// The right end of the axis.
const RIGHT: f64 = 478.0;
/// The colour of the margin.
const BAND: Color = color(0xe4ecf2);

/// The axis ends at this many times the median effect, so that one outlier does not press all
/// others together. What lies beyond is drawn as a diamond at the end, with its numbers beside it.
const MEDIANS_MAX: f64 = 4.0;

/// One phase at one sweep point.
#[derive(Clone, Copy, PartialEq)]
struct Site<'a> {
    phase: &'a str,
    point: &'a Point,
}

impl Page<'_> {
    pub(super) fn forest(&mut self) {
        let rows = match self.input.comparison {
            Some(comparison) => &comparison.rows[..],
            None => &[],
        };
        let mut sites: Vec<Site> = Vec::new();
        for row in rows {
            let site = Site {
                phase: &row.phase,
                point: &row.point,
            };
            if !sites.contains(&site) {
                sites.push(site);
            }
        }
        if sites.is_empty() {
            self.skip(FigureKind::Forest, "nothing was compared");
        }
        for site in sites {
            self.forest_of(site, rows);
        }
    }

    fn forest_of(&mut self, site: Site, rows: &[CompareRow]) {
        let rows = rows_of(site, rows);
        let phase = site.phase;
        let Some(baseline) = rows.first().map(|row| &row.baseline) else {
            let why =
                format!("no primary metric has a value in phase {phase}, and others are many");
            return self.skip(FigureKind::Forest, &why);
        };
        let numbers: Vec<CompareRow> = rows.iter().map(|row| (*row).clone()).collect();
        let words = Words {
            kind: FigureKind::Forest,
            part: phase.to_owned(),
            title: format!("Change against {baseline}, {}", in_words(phase)),
            subtitle: self.subtitle(site.point),
            caption: format!(
                "Effect of each variant against {baseline} with its 95 % Student interval over \
                 paired seeds; the band is the margin within which a difference does not matter. \
                 Diamonds at the edge lie beyond it."
            ),
            csv: compare::to_csv(&numbers),
        };
        let scene = draw(&rows, &self.frame(&words));
        self.add(words, scene);
    }
}

/// The rows of one site: the variants of a metric together, only primary metrics if there are many.
fn rows_of<'a>(site: Site, rows: &'a [CompareRow]) -> Vec<&'a CompareRow> {
    let mut here: Vec<&CompareRow> = rows
        .iter()
        .filter(|row| row.phase == site.phase && row.point == *site.point)
        .collect();
    if here.len() > ROWS_MAX {
        here.retain(|row| row.primary);
    }
    let metrics: Vec<&str> = here.iter().map(|row| row.metric.as_str()).collect();
    here.sort_by_key(|row| metrics.iter().position(|metric| *metric == row.metric));
    here
}

/// Draws the rows of one site.
fn draw(rows: &[&CompareRow], frame: &Frame) -> Scene {
    let limit = limit(rows);
    let label = format!(
        "change against {} in % (percentage points for shares of one)",
        rows[0].baseline
    );
    let forest = Forest {
        axis: Axis::linear(label, -limit, limit),
        several_variants: rows.iter().any(|row| row.variant != rows[0].variant),
    };
    let top = frame.draw(&mut Scene::new(WIDTH, 1.0)) + 6.0;
    let bottom = top + ROW * rows.len() as f64;
    let mut scene = Scene::new(WIDTH, (bottom + 74.0).ceil());
    frame.draw(&mut scene);
    let middle_of = |number: usize| top + ROW * (number as f64 + 0.5);
    for (number, row) in rows.iter().enumerate() {
        forest.draw_margin(&mut scene, row, middle_of(number));
    }
    for tick in &forest.axis.ticks {
        let x = forest.x(tick.value);
        scene.stroke(at(x, top), at(x, bottom), FAINT, 0.5);
        let below = at(x, bottom + 13.0);
        scene.text(below, &tick.label, SMALL, GREY, Anchor::Middle);
    }
    let zero = forest.x(0.0);
    scene.stroke(at(zero, top), at(zero, bottom), GREY, 1.0);
    for (number, row) in rows.iter().enumerate() {
        forest.draw_row(&mut scene, row, middle_of(number));
    }
    scene.stroke(at(LEFT, bottom), at(RIGHT, bottom), GREY, 1.0);
    let below = at(f64::midpoint(LEFT, RIGHT), bottom + 34.0);
    scene.text(below, &forest.axis.label, SMALL, INK, Anchor::Middle);
    scene
}

/// The end of the axis, in percent.
fn limit(rows: &[&CompareRow]) -> f64 {
    let extent = |row: &&CompareRow| {
        let ends = [Some(row.effect), row.low, row.high, Some(row.margin)];
        ends.into_iter()
            .flatten()
            .filter_map(|end| row.percent(end))
            .map(f64::abs)
            .fold(0.0, f64::max)
    };
    let mut extents: Vec<f64> = rows.iter().map(extent).collect();
    extents.sort_by(f64::total_cmp);
    let largest = extents.last().copied().unwrap_or(0.0);
    let median = extents[extents.len() / 2];
    largest.min(median * MEDIANS_MAX).max(0.01) * 1.05
}

/// What all rows share.
struct Forest {
    axis: Axis,
    several_variants: bool,
}

impl Forest {
    fn x(&self, percent: f64) -> f64 {
        LEFT + self.axis.place(percent) * (RIGHT - LEFT)
    }

    fn draw_margin(&self, scene: &mut Scene, row: &CompareRow, middle: f64) {
        let Some(margin) = row.percent(row.margin) else {
            return;
        };
        let from = at(self.x(-margin), middle - ROW / 2.0 + 2.0);
        let to = at(self.x(margin), middle + ROW / 2.0 - 2.0);
        scene.rect(from, to, BAND);
    }

    fn draw_row(&self, scene: &mut Scene, row: &CompareRow, y: f64) {
        let ink = match row.verdict {
            Verdict::Better => BLUE,
            Verdict::Worse => VERMILION,
            _ => INK,
        };
        self.draw_names(scene, row, y);
        if let Some(effect) = row.percent(row.effect) {
            self.draw_interval(scene, row, y, ink);
            let marker = if self.axis.shows(effect) {
                Marker::Square
            } else {
                Marker::Diamond
            };
            scene.mark(at(self.x(effect), y), marker, 3.5, ink);
        }
        let right = RIGHT + 16.0;
        let note = match row.verdict {
            Verdict::Exact => "exact (one seed)",
            verdict => verdict.name(),
        };
        scene.text(at(right, y - 9.0), note, SMALL, ink, Anchor::Left);
        let effect = fitted(&row.effect_label(), SMALL, WIDTH - right - 4.0);
        scene.text(at(right, y + 9.0), effect, SMALL, GREY, Anchor::Left);
    }

    fn draw_names(&self, scene: &mut Scene, row: &CompareRow, y: f64) {
        let width = LEFT - MARGIN - 8.0;
        let metric = fitted(&row.metric, SMALL, width);
        if self.several_variants {
            let above = at(MARGIN, y - 9.0);
            scene.text(above, metric, SMALL, INK, Anchor::Left);
            let variant = fitted(&row.variant, SMALL, width);
            let below = at(MARGIN, y + 9.0);
            scene.text(below, variant, SMALL, GREY, Anchor::Left);
        } else {
            scene.text(at(MARGIN, y), metric, SMALL, INK, Anchor::Left);
        }
    }

    fn draw_interval(&self, scene: &mut Scene, row: &CompareRow, y: f64, ink: Color) {
        let percent = |end: Option<f64>| row.percent(end?);
        let (Some(low), Some(high)) = (percent(row.low), percent(row.high)) else {
            return;
        };
        scene.stroke(at(self.x(low), y), at(self.x(high), y), ink, 1.5);
        for end in [low, high] {
            if self.axis.shows(end) {
                let x = self.x(end);
                scene.stroke(at(x, y - 6.0), at(x, y + 6.0), ink, 1.5);
            }
        }
    }
}
