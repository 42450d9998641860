//! The forest of a comparison: one row per metric, its effect with interval, the margin, and the
//! verdict in a word.

use super::{FigureKind, Page, Words, in_words};
use crate::compare::{self, CompareRow};
use crate::plot::chart::axis::Axis;
use crate::plot::chart::lines::WIDTH;
use crate::plot::chart::scene::{
    Anchor, Color, FAINT, GREY, INK, Marker, SMALL, Scene, at, color, fitted,
};
use crate::plot::chart::style::{BLUE, Frame, MARGIN, VERMILION, WORSE_LETTERS};
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

/// An axis whose largest effect is this many times the median is compressed far from zero, so that
/// an outlier does not press all others together.
const MEDIANS_MAX: f64 = 6.0;

/// The least room on both sides of zero, in percent.
const LEAST: f64 = 0.01;

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
        let several = rows.iter().any(|row| row.variant != rows[0].variant);
        let named: Vec<Named> = rows
            .iter()
            .map(|row| Named::of_metric(row, several))
            .collect();
        let words = Words {
            kind: FigureKind::Forest,
            part: phase.to_owned(),
            title: format!("Change against {baseline}, {}", in_words(phase)),
            subtitle: self.subtitle(site.point),
            caption: format!(
                "Effect of each variant against {baseline} with its 95 % Student interval over \
                 paired seeds; the band is the margin within which a difference does not \
                 matter.{}",
                remarks(&rows)
            ),
            csv: compare::to_csv(&numbers),
        };
        let scene = draw(&named, &self.frame(&words));
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

/// A row with its name, and what stands below that in grey; empty if nothing does.
pub(super) struct Named<'a> {
    pub(super) row: &'a CompareRow,
    pub(super) name: String,
    pub(super) below: String,
}

impl<'a> Named<'a> {
    /// A row that is named by its metric; `several` says that there are several variants.
    fn of_metric(row: &'a CompareRow, several: bool) -> Self {
        Self {
            row,
            name: row.metric.clone(),
            below: if several {
                row.variant.clone()
            } else {
                String::new()
            },
        }
    }
}

/// What the caption says of this forest alone.
pub(super) fn remarks(rows: &[&CompareRow]) -> String {
    let mut remarks = String::new();
    if Extent::of(rows).is_uneven() {
        remarks += " Far from zero the axis is compressed, so that the largest effect is on it.";
    }
    if rows.iter().any(|row| !says_something(row.verdict)) {
        remarks += " Hollow grey squares: nothing may be concluded, for the reason named beside \
            them.";
    }
    remarks
}

/// Whether a verdict is one on the size of the effect.
fn says_something(verdict: Verdict) -> bool {
    !matches!(
        verdict,
        Verdict::Inactive | Verdict::NotMeasured | Verdict::Refused
    )
}

/// Draws rows from the top down.
pub(super) fn draw(named: &[Named], frame: &Frame) -> Scene {
    let rows: Vec<&CompareRow> = named.iter().map(|named| named.row).collect();
    let label = format!(
        "change against {} in % (percentage points for shares of one)",
        rows[0].baseline
    );
    let forest = Forest {
        axis: Extent::of(&rows).axis(label),
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
    for (number, row) in named.iter().enumerate() {
        forest.draw_row(&mut scene, row, middle_of(number));
    }
    scene.stroke(at(LEFT, bottom), at(RIGHT, bottom), GREY, 1.0);
    let below = at(f64::midpoint(LEFT, RIGHT), bottom + 34.0);
    scene.text(below, &forest.axis.label, SMALL, INK, Anchor::Middle);
    scene
}

/// How far effects, intervals and margins reach, in percent.
struct Extent {
    low: f64,
    high: f64,
    /// The median of how far the rows reach on either side.
    median: f64,
}

impl Extent {
    fn of(rows: &[&CompareRow]) -> Self {
        let mut low = 0.0_f64;
        let mut high = 0.0_f64;
        let mut reaches = Vec::new();
        for row in rows {
            let ends = [Some(row.effect), row.low, row.high, Some(row.margin)];
            let ends = ends.into_iter().flatten();
            let ends: Vec<f64> = ends
                .filter_map(|end| row.percent(end))
                .filter(|end| end.is_finite())
                .collect();
            for end in &ends {
                low = low.min(*end);
                high = high.max(*end);
            }
            let margin = row.percent(row.margin).unwrap_or(0.0);
            low = low.min(-margin);
            reaches.push(ends.iter().map(|end| end.abs()).fold(0.0, f64::max));
        }
        reaches.sort_by(f64::total_cmp);
        Self {
            low,
            high,
            median: reaches[reaches.len() / 2],
        }
    }

    fn is_uneven(&self) -> bool {
        self.low.abs().max(self.high) > self.median.max(LEAST) * MEDIANS_MAX
    }

    fn axis(&self, label: String) -> Axis {
        let least = LEAST.max((self.high - self.low) * 0.03);
        let (low, high) = (self.low - least, self.high + least);
        if self.is_uneven() {
            Axis::compressed(label, low * 1.2, high * 1.2, self.median.max(LEAST))
        } else {
            Axis::linear(label, low, high)
        }
    }
}

/// What all rows share.
struct Forest {
    axis: Axis,
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

    fn draw_row(&self, scene: &mut Scene, named: &Named, y: f64) {
        let row = named.row;
        let ink = match row.verdict {
            Verdict::Better => BLUE,
            Verdict::Worse => VERMILION,
            verdict if says_something(verdict) => INK,
            _ => GREY,
        };
        draw_names(scene, named, y);
        if let Some(effect) = row.percent(row.effect) {
            self.draw_interval(scene, row, y, ink);
            let place = at(self.x(effect), y);
            if says_something(row.verdict) {
                scene.mark(place, Marker::Square, 3.5, ink);
            } else {
                scene.outline(place, Marker::Square, 3.5, ink);
            }
        }
        let right = RIGHT + 16.0;
        let note = match row.verdict {
            Verdict::Exact => "exact (one seed)",
            verdict => verdict.name(),
        };
        let letters = if row.verdict == Verdict::Worse {
            WORSE_LETTERS
        } else {
            ink
        };
        scene.text(at(right, y - 9.0), note, SMALL, letters, Anchor::Left);
        let effect = fitted(&row.effect_label(), SMALL, WIDTH - right - 4.0);
        scene.text(at(right, y + 9.0), effect, SMALL, GREY, Anchor::Left);
    }

    fn draw_interval(&self, scene: &mut Scene, row: &CompareRow, y: f64, ink: Color) {
        let percent = |end: Option<f64>| row.percent(end?);
        let (Some(low), Some(high)) = (percent(row.low), percent(row.high)) else {
            return;
        };
        scene.stroke(at(self.x(low), y), at(self.x(high), y), ink, 1.5);
        for x in [self.x(low), self.x(high)] {
            scene.stroke(at(x, y - 6.0), at(x, y + 6.0), ink, 1.5);
        }
    }
}

fn draw_names(scene: &mut Scene, named: &Named, y: f64) {
    let width = LEFT - MARGIN - 8.0;
    let name = fitted(&named.name, SMALL, width);
    if named.below.is_empty() {
        scene.text(at(MARGIN, y), name, SMALL, INK, Anchor::Left);
        return;
    }
    scene.text(at(MARGIN, y - 9.0), name, SMALL, INK, Anchor::Left);
    let below = fitted(&named.below, SMALL, width);
    scene.text(at(MARGIN, y + 9.0), below, SMALL, GREY, Anchor::Left);
}
