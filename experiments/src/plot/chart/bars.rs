//! Bar charts: panels with an axis from zero each, groups of one bar per variant, intervals over
//! the seeds.

use super::axis::Axis;
use super::lines::{WIDTH, interval};
use super::scene::{Anchor, FAINT, GREY, INK, Room, SMALL, Scene, at, dash, fitted, text_width};
use super::style::{Frame, MARGIN, Sample, Styles, legend};
use crate::formats::digits;

/// One variant's bar.
pub(crate) struct Bar<'a> {
    pub(crate) variant: &'a str,
    pub(crate) value: f64,
    pub(crate) half_width: Option<f64>,
    /// What the value could have been at most, drawn as a stroke.
    pub(crate) bound: Option<f64>,
}

impl Bar<'_> {
    /// The upper end of the bar's interval.
    fn top(&self) -> f64 {
        self.value + self.half_width.unwrap_or(0.0)
    }

    /// The upper end of what is drawn of the bar.
    fn highest(&self) -> f64 {
        self.top().max(self.bound.unwrap_or(0.0))
    }
}

/// Bars side by side.
pub(crate) struct Group<'a> {
    /// The sweep's value; empty without a sweep.
    pub(crate) label: String,
    pub(crate) bars: Vec<Bar<'a>>,
}

/// One quantity.
pub(crate) struct Panel<'a> {
    /// What the bars show, with the unit.
    pub(crate) title: String,
    pub(crate) groups: Vec<Group<'a>>,
    /// A value to compare with, drawn as a line.
    pub(crate) reference: Option<f64>,
}

/// The chart.
pub(crate) struct BarChart<'a> {
    pub(crate) panels: Vec<Panel<'a>>,
    /// What the groups differ in.
    pub(crate) groups_label: String,
}

/// The height of panels side by side.
const BESIDE: f64 = 270.0;
/// The height of panels below one another.
const BELOW_ONE_ANOTHER: f64 = 150.0;
/// The height of a panel's title.
const TITLE: f64 = 26.0;
/// The most bars of a panel that fit beside other panels.
const BARS_BESIDE_MAX: usize = 6;
/// The height of a line of a group's label.
const LINE: f64 = 14.0;
/// The height of a bar's label, with some air.
const LABEL_ROOM: f64 = 20.0;
/// The most room that the labels of an axis take.
const AXIS: f64 = 60.0;
/// The room between a panel and the next one to its right.
const BETWEEN: f64 = 10.0;

/// Where a chart's panels are.
struct Layout {
    columns: usize,
    rows: usize,
    /// The width of one panel.
    width: f64,
    /// The height of one panel, with what is below it.
    height: f64,
    /// The room for the groups' labels.
    below: f64,
    /// Whether groups have labels.
    grouped: bool,
}

impl BarChart<'_> {
    /// Draws the chart: panels side by side if their bars have room, else below one another.
    pub(crate) fn draw(&self, frame: &Frame, variants: &[&str], styles: &Styles) -> Scene {
        let layout = self.layout();
        let head = |scene: &mut Scene| {
            let top = frame.draw(scene);
            legend(scene, top, variants, styles, Sample::Fill)
        };
        let top = head(&mut Scene::new(WIDTH, 1.0));
        let panels = layout.height * layout.rows as f64;
        let below = if layout.grouped { 52.0 } else { 30.0 };
        let mut scene = Scene::new(WIDTH, (top + panels + below).ceil());
        head(&mut scene);
        for (number, panel) in self.panels.iter().enumerate() {
            let left = MARGIN + (number % layout.columns) as f64 * layout.width;
            let top = top + (number / layout.columns) as f64 * layout.height;
            let room = Room {
                left,
                right: left + layout.width - BETWEEN,
                top,
                bottom: top + layout.height - layout.below,
            };
            panel.draw(&mut scene, room, styles);
        }
        if layout.grouped {
            let place = at(WIDTH / 2.0, top + panels + 8.0);
            scene.text(place, &self.groups_label, SMALL, INK, Anchor::Middle);
        }
        scene
    }

    fn layout(&self) -> Layout {
        let count = self.panels.len();
        let widest = self.panels.iter().map(Panel::bars_count).max().unwrap_or(0);
        let beside = widest <= BARS_BESIDE_MAX;
        let columns = if beside { count.max(1) } else { 1 };
        let rows = count.div_ceil(columns);
        let width = (WIDTH - 2.0 * MARGIN) / columns as f64;
        let grouped = self.panels.iter().any(Panel::has_labels);
        let below = if grouped {
            let lines = self.panels.iter().map(|panel| panel.lines_max(width));
            12.0 + LINE * lines.max().unwrap_or(1) as f64
        } else {
            8.0
        };
        let bars = if columns > 1 || rows == 1 {
            BESIDE
        } else {
            BELOW_ONE_ANOTHER
        };
        Layout {
            columns,
            rows,
            width,
            height: TITLE + bars + below,
            below,
            grouped,
        }
    }
}

impl Panel<'_> {
    fn bars_count(&self) -> usize {
        self.groups.iter().map(|group| group.bars.len()).sum()
    }

    fn has_labels(&self) -> bool {
        self.groups.iter().any(|group| !group.label.is_empty())
    }

    /// The most lines of a group's label in a panel of `width`.
    fn lines_max(&self, width: f64) -> usize {
        let lines = self
            .groups
            .iter()
            .map(|group| self.label_lines(group, width).len());
        lines.max().unwrap_or(1)
    }

    /// Breaks a group's label between words if the group has no room for it. `width` is the
    /// panel's.
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

    fn draw(&self, scene: &mut Scene, room: Room, styles: &Styles) {
        let width = room.right + BETWEEN - room.left;
        let title = fitted(&self.title, SMALL, room.right - room.left);
        let place = at(room.left, room.top + 10.0);
        scene.text(place, title, SMALL, INK, Anchor::Left);
        let axis = self.axis();
        let bars = Room {
            left: room.left + axis.label_width() + 8.0,
            top: room.top + 30.0,
            ..room
        };
        let y = |value: f64| bars.bottom - axis.place(value) * (bars.bottom - bars.top);
        for tick in &axis.ticks {
            let y = y(tick.value);
            scene.stroke(at(bars.left, y), at(bars.right, y), FAINT, 0.5);
            let beside = at(bars.left - 6.0, y);
            scene.text(beside, &tick.label, SMALL, GREY, Anchor::Right);
        }
        let group_width = (bars.right - bars.left) / self.groups.len() as f64;
        for (number, group) in self.groups.iter().enumerate() {
            let left = bars.left + number as f64 * group_width;
            let room = Room {
                left,
                right: left + group_width,
                ..bars
            };
            group.draw(scene, room, &y, styles);
            for (line, text) in self.label_lines(group, width).iter().enumerate() {
                let place = at(
                    left + group_width / 2.0,
                    bars.bottom + 13.0 + LINE * line as f64,
                );
                scene.text(place, text, SMALL, GREY, Anchor::Middle);
            }
        }
        if let Some(reference) = self.reference {
            let y = y(reference);
            let line = vec![at(bars.left, y), at(bars.right, y)];
            scene.line(line, INK, 1.25, dash(5, 4));
        }
        let bottom = bars.bottom;
        scene.stroke(at(bars.left, bottom), at(bars.right, bottom), GREY, 1.0);
    }

    /// An axis from zero, with room for the labels above the bars.
    fn axis(&self) -> Axis {
        let bars = self.groups.iter().flat_map(|group| &group.bars);
        let largest = bars
            .map(Bar::highest)
            .chain(self.reference)
            .fold(0.0, f64::max);
        Axis::linear("", 0.0, largest * 1.08)
    }
}

impl Group<'_> {
    fn draw(&self, scene: &mut Scene, room: Room, y: &dyn Fn(f64) -> f64, styles: &Styles) {
        let count = self.bars.len() as f64;
        let step = ((room.right - room.left) * 0.84 / count).min(64.0);
        let start = f64::midpoint(room.left, room.right) - step * count / 2.0;
        let labels: Vec<String> = self.bars.iter().map(|bar| digits(bar.value, 3)).collect();
        let labels_fit = labels
            .iter()
            .all(|label| text_width(label, SMALL) <= step - 2.0);
        for (number, (bar, label)) in self.bars.iter().zip(labels).enumerate() {
            let left = start + step * (number as f64 + 0.08);
            let right = start + step * (number as f64 + 0.92);
            let style = styles.of(bar.variant);
            scene.rect(at(left, y(bar.value)), at(right, room.bottom), style.color);
            let middle = f64::midpoint(left, right);
            if let Some(half) = bar.half_width {
                let low = (bar.value - half).max(0.0);
                interval(scene, middle, y(low), y(bar.top()), INK);
            }
            if let Some(bound) = bar.bound {
                scene.stroke(
                    at(left - 2.0, y(bound)),
                    at(right + 2.0, y(bound)),
                    INK,
                    2.0,
                );
            }
            if labels_fit {
                // Between the bar and its bound, if there is room.
                let room = y(bar.top()) - y(bar.highest());
                let low_enough = bar.highest() <= bar.top() || room > LABEL_ROOM;
                let under = if low_enough { bar.top() } else { bar.highest() };
                let above = at(middle, y(under) - 9.0);
                scene.text(above, label, SMALL, INK, Anchor::Middle);
            }
        }
    }
}
