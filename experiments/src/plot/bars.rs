//! Bar charts: panels with an axis from zero each, groups of one bar a variant, intervals over the seeds.

use super::PlotError;
use super::axis::Axis;
use super::lines::interval;
use super::scene::{Anchor, FAINT, GREY, INK, SMALL, Scene, fitted, text_width};
use super::style::{Frame, MARGIN, Sample, Styles, legend};
use crate::compare::digits;

/// One variant's bar.
pub(super) struct Bar<'a> {
    pub(super) variant: &'a str,
    pub(super) value: f64,
    pub(super) half_width: Option<f64>,
}

/// Bars side by side.
pub(super) struct Group<'a> {
    /// The value of the sweep; empty without one.
    pub(super) label: String,
    pub(super) bars: Vec<Bar<'a>>,
}

/// One metric.
pub(super) struct Panel<'a> {
    /// What the bars show, with the unit.
    pub(super) title: String,
    pub(super) groups: Vec<Group<'a>>,
    /// A value to be compared with, drawn as a line.
    pub(super) reference: Option<f64>,
}

/// The chart.
pub(super) struct BarChart<'a> {
    pub(super) panels: Vec<Panel<'a>>,
    /// What the groups differ in.
    pub(super) groups_label: String,
}

const WIDTH: f64 = 720.0;
const BESIDE: f64 = 270.0;
const BELOW_ONE_ANOTHER: f64 = 150.0;
const BARS_BESIDE_MAX: usize = 6;
/// The height of a line of a group's label.
const LINE: f64 = 14.0;
/// What the labels of the axis take at most.
const AXIS: f64 = 60.0;

impl BarChart<'_> {
    /// Draws the chart: panels side by side where their bars have room, else below one another.
    pub(super) fn draw(
        &self,
        frame: &Frame,
        variants: &[&str],
        styles: &Styles,
    ) -> Result<Scene, PlotError> {
        let bars = |panel: &Panel| {
            panel
                .groups
                .iter()
                .map(|group| group.bars.len())
                .sum::<usize>()
        };
        let widest = self.panels.iter().map(bars).max().unwrap_or(0);
        let columns = if widest <= BARS_BESIDE_MAX {
            self.panels.len()
        } else {
            1
        };
        let rows = self.panels.len().div_ceil(columns.max(1));
        let grouped = self
            .panels
            .iter()
            .any(|panel| panel.groups.iter().any(|group| !group.label.is_empty()));
        let width = (WIDTH - 2.0 * MARGIN) / columns.max(1) as f64;
        let lines = |panel: &Panel| {
            panel
                .groups
                .iter()
                .map(|group| panel.label_lines(group, width).len())
                .max()
        };
        let lines = self.panels.iter().filter_map(lines).max().unwrap_or(1);
        let below = if grouped {
            12.0 + LINE * lines as f64
        } else {
            8.0
        };
        let height =
            26.0 + if columns > 1 || rows == 1 {
                BESIDE
            } else {
                BELOW_ONE_ANOTHER
            } + below;
        let mut trial = Scene::new(WIDTH, 1.0);
        let head = frame.draw(&mut trial);
        let top = legend(&mut trial, head, variants, styles, Sample::Fill);
        let bottom = if grouped { 52.0 } else { 30.0 };
        let mut scene = Scene::new(WIDTH, (top + height * rows as f64 + bottom).ceil());
        frame.draw(&mut scene);
        legend(&mut scene, head, variants, styles, Sample::Fill);
        for (number, panel) in self.panels.iter().enumerate() {
            let left = MARGIN + (number % columns) as f64 * width;
            let top = top + (number / columns) as f64 * height;
            panel.draw(
                &mut scene,
                (left, top),
                (left + width - 10.0, top + height - below),
                styles,
            );
        }
        if grouped {
            let at = (WIDTH / 2.0, top + height * rows as f64 + 8.0);
            scene.text(at, &self.groups_label, SMALL, INK, Anchor::Middle);
        }
        Ok(scene)
    }
}

impl Panel<'_> {
    /// A group's label, broken between words where the group has no room for it. `width` is the panel's.
    fn label_lines(&self, group: &Group, width: f64) -> Vec<String> {
        let room = (width - AXIS) / self.groups.len() as f64 - 4.0;
        let mut lines: Vec<String> = Vec::new();
        for word in group.label.split(' ') {
            let longer = lines.last().map(|line| format!("{line} {word}"));
            match (lines.last_mut(), longer) {
                (Some(line), Some(longer)) if text_width(&longer, SMALL) <= room => *line = longer,
                _ => lines.push(fitted(word, SMALL, room)),
            }
        }
        lines
    }

    fn draw(
        &self,
        scene: &mut Scene,
        (left, top): (f64, f64),
        (right, bottom): (f64, f64),
        styles: &Styles,
    ) {
        let width = right + 10.0 - left;
        scene.text(
            (left, top + 10.0),
            fitted(&self.title, SMALL, right - left),
            SMALL,
            INK,
            Anchor::Left,
        );
        let bars = || self.groups.iter().flat_map(|group| &group.bars);
        let tops = bars().map(|bar| bar.value + bar.half_width.unwrap_or(0.0));
        let largest = tops.chain(self.reference).fold(0.0, f64::max);
        // The labels of values stand above the bars.
        let axis = Axis::linear("", 0.0, largest * 1.08);
        let top = top + 30.0;
        let widest = axis
            .ticks
            .iter()
            .map(|(_, label)| text_width(label, SMALL))
            .fold(0.0, f64::max);
        let left = left + widest + 8.0;
        let y = |value: f64| bottom - axis.place(value) * (bottom - top);
        for (value, label) in &axis.ticks {
            scene.line(
                vec![(left, y(*value)), (right, y(*value))],
                FAINT,
                0.5,
                None,
            );
            scene.text((left - 6.0, y(*value)), label, SMALL, GREY, Anchor::Right);
        }
        let group_width = (right - left) / self.groups.len() as f64;
        for (number, group) in self.groups.iter().enumerate() {
            let from = left + number as f64 * group_width;
            group.draw(scene, (from, from + group_width), bottom, &y, styles);
            for (line, text) in self.label_lines(group, width).iter().enumerate() {
                let at = (from + group_width / 2.0, bottom + 13.0 + LINE * line as f64);
                scene.text(at, text, SMALL, GREY, Anchor::Middle);
            }
        }
        if let Some(reference) = self.reference {
            scene.line(
                vec![(left, y(reference)), (right, y(reference))],
                INK,
                1.25,
                Some((5, 4)),
            );
        }
        scene.line(vec![(left, bottom), (right, bottom)], GREY, 1.0, None);
    }
}

impl Group<'_> {
    fn draw(
        &self,
        scene: &mut Scene,
        (from, to): (f64, f64),
        bottom: f64,
        y: &dyn Fn(f64) -> f64,
        styles: &Styles,
    ) {
        let room = (to - from) * 0.84;
        let step = (room / self.bars.len() as f64).min(64.0);
        let start = f64::midpoint(from, to) - step * self.bars.len() as f64 / 2.0;
        let labels: Vec<String> = self.bars.iter().map(|bar| digits(bar.value, 3)).collect();
        let fit = labels
            .iter()
            .all(|label| text_width(label, SMALL) <= step - 2.0);
        for (number, (bar, label)) in self.bars.iter().zip(labels).enumerate() {
            let (left, right) = (
                start + step * (number as f64 + 0.08),
                start + step * (number as f64 + 0.92),
            );
            let style = styles.of(bar.variant);
            scene.rect((left, y(bar.value)), (right, bottom), style.color);
            let middle = f64::midpoint(left, right);
            let top = bar.value + bar.half_width.unwrap_or(0.0);
            if let Some(half) = bar.half_width {
                interval(scene, middle, y((bar.value - half).max(0.0)), y(top), INK);
            }
            if fit {
                scene.text((middle, y(top) - 9.0), label, SMALL, INK, Anchor::Middle);
            }
        }
    }
}
