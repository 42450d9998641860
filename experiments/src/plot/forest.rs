//! The forest of a comparison: one row a metric, its effect with interval, the margin, and the verdict in a word.

use super::PlotError;
use super::axis::Axis;
use super::scene::{Anchor, Color, FAINT, GREY, INK, Marker, SMALL, Scene, color, fitted};
use super::style::{Frame, MARGIN};
use crate::compare::CompareRow;
use crate::stats::Verdict;

const WIDTH: f64 = 720.0;
const ROW: f64 = 42.0;
const LEFT: f64 = 212.0;
const RIGHT: f64 = 478.0;
const GOOD: Color = color(0x0072b2);
const BAD: Color = color(0xd55e00);
const BAND: Color = color(0xe4ecf2);

/// The axis ends at this many times the median effect, so that one outlier does not press all others together; what lies
/// beyond is drawn as a diamond at the end, and its numbers stand beside it.
const MEDIANS_MAX: f64 = 4.0;

/// Draws the rows, which are of one place.
pub(super) fn draw(rows: &[&CompareRow], frame: &Frame) -> Result<Scene, PlotError> {
    let several = rows.iter().any(|row| row.variant != rows[0].variant);
    let limit = limit(rows);
    let label = format!(
        "change against {} in % (percentage points for shares of one)",
        rows[0].baseline
    );
    let axis = Axis::linear(label, -limit, limit);
    let mut trial = Scene::new(WIDTH, 1.0);
    let top = frame.draw(&mut trial) + 6.0;
    let bottom = top + ROW * rows.len() as f64;
    let mut scene = Scene::new(WIDTH, (bottom + 74.0).ceil());
    frame.draw(&mut scene);
    let x = |percent: f64| LEFT + axis.place(percent) * (RIGHT - LEFT);
    for (number, row) in rows.iter().enumerate() {
        let middle = top + ROW * (number as f64 + 0.5);
        if let Some(margin) = row.percent(row.margin) {
            let (upper, lower) = (middle - ROW / 2.0 + 2.0, middle + ROW / 2.0 - 2.0);
            scene.rect((x(-margin), upper), (x(margin), lower), BAND);
        }
    }
    for (value, label) in &axis.ticks {
        scene.line(
            vec![(x(*value), top), (x(*value), bottom)],
            FAINT,
            0.5,
            None,
        );
        scene.text(
            (x(*value), bottom + 13.0),
            label,
            SMALL,
            GREY,
            Anchor::Middle,
        );
    }
    scene.line(vec![(x(0.0), top), (x(0.0), bottom)], GREY, 1.0, None);
    for (number, row) in rows.iter().enumerate() {
        row_of(
            &mut scene,
            row,
            top + ROW * (number as f64 + 0.5),
            several,
            &axis,
        );
    }
    scene.line(vec![(LEFT, bottom), (RIGHT, bottom)], GREY, 1.0, None);
    scene.text(
        (f64::midpoint(LEFT, RIGHT), bottom + 34.0),
        &axis.label,
        SMALL,
        INK,
        Anchor::Middle,
    );
    Ok(scene)
}

/// Where the axis ends, in percent.
fn limit(rows: &[&CompareRow]) -> f64 {
    let drawn = |row: &&CompareRow| {
        let ends = [Some(row.effect), row.low, row.high, Some(row.margin)]
            .into_iter()
            .flatten();
        ends.filter_map(|end| row.percent(end))
            .map(f64::abs)
            .fold(0.0, f64::max)
    };
    let mut extents: Vec<f64> = rows.iter().map(drawn).collect();
    extents.sort_by(f64::total_cmp);
    let largest = extents.last().copied().unwrap_or(0.0);
    largest
        .min(extents[extents.len() / 2] * MEDIANS_MAX)
        .max(0.01)
        * 1.05
}

fn row_of(scene: &mut Scene, row: &CompareRow, y: f64, several: bool, axis: &Axis) {
    let x = |percent: f64| LEFT + axis.place(percent) * (RIGHT - LEFT);
    let ink = match row.verdict {
        Verdict::Better => GOOD,
        Verdict::Worse => BAD,
        Verdict::Equivalent | Verdict::Different | Verdict::Undecided | Verdict::Exact => INK,
    };
    let metric = fitted(&row.metric, SMALL, LEFT - MARGIN - 8.0);
    let (first, second) = if several { (y - 9.0, y + 9.0) } else { (y, y) };
    scene.text((MARGIN, first), metric, SMALL, INK, Anchor::Left);
    if several {
        let variant = fitted(&row.variant, SMALL, LEFT - MARGIN - 8.0);
        scene.text((MARGIN, second), variant, SMALL, GREY, Anchor::Left);
    }
    if let Some(effect) = row.percent(row.effect) {
        if let (Some(low), Some(high)) = (
            row.low.and_then(|low| row.percent(low)),
            row.high.and_then(|high| row.percent(high)),
        ) {
            scene.line(vec![(x(low), y), (x(high), y)], ink, 1.5, None);
            for end in [low, high].into_iter().filter(|end| axis.shows(*end)) {
                scene.line(vec![(x(end), y - 6.0), (x(end), y + 6.0)], ink, 1.5, None);
            }
        }
        let marker = if axis.shows(effect) {
            Marker::Square
        } else {
            Marker::Diamond
        };
        scene.mark((x(effect), y), marker, 3.5, ink);
    }
    let right = RIGHT + 16.0;
    let note = match row.verdict {
        Verdict::Exact => "exact (one seed)".to_owned(),
        verdict => verdict.word().to_owned(),
    };
    scene.text((right, y - 9.0), note, SMALL, ink, Anchor::Left);
    scene.text(
        (right, y + 9.0),
        fitted(&row.effect_label(), SMALL, WIDTH - right - 4.0),
        SMALL,
        GREY,
        Anchor::Left,
    );
}
