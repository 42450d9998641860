//! Line charts: one or several panels with shared axes, one line per variant, and a lane per
//! variant for stalls.

use super::axis::Axis;
use super::scene::{
    Anchor, Color, FAINT, GREY, INK, Marker, Place, Room, SMALL, Scene, at, color, text_width,
};
use super::style::{BACKGROUND_NAME, Frame, MARGIN, Sample, Styles, legend, legend_within};

/// One variant's line.
#[derive(Clone)]
pub(crate) struct Line<'a> {
    /// The variant.
    pub(crate) variant: &'a str,
    /// The points.
    pub(crate) points: Vec<LinePoint>,
    /// Drawn thin, beside the variant's main line.
    pub(crate) thin: bool,
}

/// A point, with half the width of its interval if it has one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LinePoint {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) half_width: Option<f64>,
}

/// A point worth a word.
#[derive(Clone, Debug)]
pub(crate) struct Callout {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) label: &'static str,
}

/// When a variant was stalled.
pub(crate) struct Lane<'a> {
    pub(crate) variant: &'a str,
    pub(crate) spans: Vec<StallSpan>,
}

/// A part of the x axis in which a variant was stalled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct StallSpan {
    pub(crate) from: f64,
    pub(crate) to: f64,
    /// The share of the time, 0 to 1.
    pub(crate) share: f64,
}

/// The interval of a variant's line along the x axis.
pub(crate) struct Band<'a> {
    pub(crate) variant: &'a str,
    pub(crate) points: Vec<BandPoint>,
}

/// The interval at one place of the x axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct BandPoint {
    pub(crate) x: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// A value that nothing lies below.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct FloorPoint {
    pub(crate) x: f64,
    pub(crate) y: f64,
}

/// One pair of axes.
#[derive(Default)]
pub(crate) struct Panel<'a> {
    pub(crate) lines: Vec<Line<'a>>,
    pub(crate) lanes: Vec<Lane<'a>>,
    /// A line from left to right that nothing lies below: the room there is shaded.
    pub(crate) floor: Vec<FloorPoint>,
    /// Intervals, drawn as bands behind the lines.
    pub(crate) bands: Vec<Band<'a>>,
    /// Points to mark with a ring and a word.
    pub(crate) callouts: Vec<Callout>,
}

/// The chart.
pub(crate) struct LineChart<'a> {
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    /// Panels with the same axes; each of several has a legend of its own.
    pub(crate) panels: Vec<Panel<'a>>,
    /// Whether points are marked.
    pub(crate) marked: bool,
}

/// The width of the page.
pub(crate) const WIDTH: f64 = 720.0;
/// The right end of axes.
pub(crate) const RIGHT: f64 = WIDTH - 22.0;
/// The room below axes, for labels and provenance.
pub(crate) const BELOW: f64 = 74.0;

/// The height of the only panel.
const ONE_PANEL: f64 = 290.0;
/// The height of one of several panels with one line each.
const LOW_PANEL: f64 = 96.0;
/// The height of one of several panels with several lines.
const HIGH_PANEL: f64 = 170.0;
/// The height between a panel and the next one's legend.
const GAP: f64 = 14.0;
/// The room between columns of panels, beside the labels of an axis.
const BETWEEN: f64 = 26.0;
/// Of more panels with one line each, two stand side by side.
const ONE_COLUMN_MAX: usize = 6;
/// The height of a lane.
const LANE: f64 = 8.0;
/// The word beside lanes.
const LANES_LABEL: &str = "stalls";
/// The opacity of bands: two of them can be seen through each other.
const BAND_OPACITY: f64 = 0.22;
const SHADE: Color = color(0xf0f0f0);

/// Lines no further apart than this share of the axis are drawn over each other.
const COINCIDE: f64 = 0.004;

/// Variants that one pair of axes may hold before their lines hide each other.
const TOGETHER_MAX: usize = 8;

/// Variants of one of several panels, beside those that are in all of them.
const PANEL_MAX: usize = 5;

/// Lays lines out: in one panel if they are few, else in several, each of which has a few variants
/// in colour, the `shared` ones, and all others thin and grey behind them.
pub(crate) fn panels<'a>(lines: Vec<Line<'a>>, shared: &[&str]) -> Vec<Panel<'a>> {
    let mut variants: Vec<&str> = Vec::new();
    for line in &lines {
        if !variants.contains(&line.variant) {
            variants.push(line.variant);
        }
    }
    if variants.len() <= TOGETHER_MAX {
        return vec![Panel {
            lines,
            ..Panel::default()
        }];
    }
    variants.retain(|variant| !shared.contains(variant));
    let panel = |chunk: &[&str]| {
        let is_shown =
            |line: &&Line| chunk.contains(&line.variant) || shared.contains(&line.variant);
        let others = lines.iter().filter(|line| !is_shown(line) && !line.thin);
        let mut drawn: Vec<Line> = others
            .map(|line| Line {
                variant: BACKGROUND_NAME,
                points: line.points.iter().map(LinePoint::bare).collect(),
                thin: true,
            })
            .collect();
        drawn.extend(lines.iter().filter(is_shown).cloned());
        Panel {
            lines: drawn,
            ..Panel::default()
        }
    };
    variants.chunks(PANEL_MAX).map(panel).collect()
}

/// Where a chart's panels are.
struct Layout {
    columns: usize,
    rows: usize,
    /// The left end of the first column's axes.
    left: f64,
    /// From one column's left end to the next one's.
    column: f64,
    /// The room at the right of a column that the next one's labels take.
    labels: f64,
    /// The height of a panel's own legend.
    legend: f64,
    /// The height of a panel, without its lanes.
    panel: f64,
    /// The height of a panel's lanes.
    lanes: f64,
}

impl Layout {
    fn step(&self) -> f64 {
        self.legend + self.panel + self.lanes + GAP
    }

    fn height(&self) -> f64 {
        self.step() * self.rows as f64 - GAP
    }

    /// The room of a panel's axes, its lanes not included.
    fn room(&self, number: usize, top: f64) -> Room {
        let left = self.left + (number % self.columns) as f64 * self.column;
        let top = top + (number / self.columns) as f64 * self.step() + self.legend;
        Room {
            left,
            right: left + self.column - self.labels,
            top,
            bottom: top + self.panel,
        }
    }
}

impl LineChart<'_> {
    /// Draws the chart.
    pub(crate) fn draw(&self, frame: &Frame, variants: &[&str], styles: &Styles) -> Scene {
        let layout = self.layout(styles);
        // The legend's height is known once it is drawn: on a page nobody sees.
        let top = self.head(&mut Scene::new(WIDTH, 1.0), frame, variants, styles);
        let mut scene = Scene::new(WIDTH, (top + layout.height() + BELOW).ceil());
        self.head(&mut scene, frame, variants, styles);
        for (number, panel) in self.panels.iter().enumerate() {
            let room = layout.room(number, top);
            self.panel(&mut scene, room, panel, styles);
            if self.has_several_panels() {
                self.panel_legend(&mut scene, panel, room, room.top - layout.legend, styles);
            }
            if number + layout.columns >= self.panels.len() {
                let bottom = room.bottom + layout.lanes;
                x_ticks(&mut scene, &self.x, room, bottom);
            }
        }
        let bottom = top + layout.height();
        x_label(&mut scene, &self.x, layout.left, bottom);
        let middle = at(MARGIN + 6.0, f64::midpoint(top, bottom));
        scene.text_upwards(middle, &self.y.label, SMALL, INK);
        scene
    }

    /// Names the lines that are drawn over each other, for captions; empty without any.
    pub(crate) fn coinciding(&self) -> String {
        let mut lines: Vec<&Line> = Vec::new();
        for line in self.panels.iter().flat_map(|panel| &panel.lines) {
            let known = lines.iter().any(|other| other.variant == line.variant);
            if !known && !line.thin && !line.points.is_empty() {
                lines.push(line);
            }
        }
        let mut groups: Vec<Vec<&Line>> = Vec::new();
        for line in lines {
            match groups
                .iter_mut()
                .find(|group| self.coincide(group[0], line))
            {
                Some(group) => group.push(line),
                None => groups.push(vec![line]),
            }
        }
        let names = |group: &Vec<&Line>| {
            let names: Vec<&str> = group.iter().map(|line| line.variant).collect();
            names.join(" = ")
        };
        let groups = groups.iter().filter(|group| group.len() > 1);
        let groups: Vec<String> = groups.map(names).collect();
        if groups.is_empty() {
            return String::new();
        }
        format!(" Lines that coincide: {}.", groups.join("; "))
    }

    fn coincide(&self, one: &Line, other: &Line) -> bool {
        let near = |line: &Line, point: &LinePoint| match line.y_at(point.x) {
            Some(y) => (self.y.place(y) - self.y.place(point.y)).abs() <= COINCIDE,
            None => false,
        };
        one.points.iter().all(|point| near(other, point))
            && other.points.iter().all(|point| near(one, point))
    }

    fn has_several_panels(&self) -> bool {
        self.panels.len() > 1
    }

    fn sample(&self) -> Sample {
        if self.marked {
            Sample::MarkedLine
        } else {
            Sample::Line
        }
    }

    fn layout(&self, styles: &Styles) -> Layout {
        let several_lines = self.panels.iter().any(|panel| panel.lines.len() > 1);
        let count = self.panels.len();
        let columns = if several_lines || count <= ONE_COLUMN_MAX {
            1
        } else {
            2
        };
        let panel = match (count, several_lines) {
            (0 | 1, _) => ONE_PANEL,
            (_, true) => HIGH_PANEL,
            (_, false) => LOW_PANEL,
        };
        let lanes = self.panels.iter().map(|panel| panel.lanes.len()).max();
        let lanes = lanes.unwrap_or(0) as f64 * LANE;
        let left = self.left(lanes > 0.0);
        let labels = if columns > 1 {
            left - MARGIN - 24.0 + BETWEEN
        } else {
            0.0
        };
        let mut layout = Layout {
            columns,
            rows: count.div_ceil(columns),
            left,
            column: (RIGHT - left + labels) / columns as f64,
            labels,
            legend: 0.0,
            panel,
            lanes,
        };
        if self.has_several_panels() {
            let room = layout.room(0, 0.0);
            let height =
                |panel| self.panel_legend(&mut Scene::new(WIDTH, 1.0), panel, room, 0.0, styles);
            layout.legend = self.panels.iter().map(height).fold(0.0, f64::max);
        }
        layout
    }

    /// Draws title and legend; returns the top of the first panel. Several panels have their own
    /// legends.
    fn head(&self, scene: &mut Scene, frame: &Frame, variants: &[&str], styles: &Styles) -> f64 {
        let head = frame.draw(scene);
        if self.has_several_panels() {
            return head;
        }
        legend(scene, head, variants, styles, self.sample())
    }

    /// Names the lines of one of several panels; returns the end.
    fn panel_legend(
        &self,
        scene: &mut Scene,
        panel: &Panel,
        room: Room,
        top: f64,
        styles: &Styles,
    ) -> f64 {
        let mut names: Vec<&str> = panel.lines.iter().map(|line| line.variant).collect();
        names.retain(|name| *name != BACKGROUND_NAME);
        names.dedup();
        let room = Room { top, ..room };
        legend_within(scene, room, &names, styles, self.sample())
    }

    /// The left end of the axes. The lanes' label shares the room of the tick labels.
    fn left(&self, lanes: bool) -> f64 {
        let mut widest = self.y.label_width();
        if lanes {
            widest = widest.max(text_width(LANES_LABEL, SMALL));
        }
        MARGIN + 24.0 + widest + 6.0
    }

    fn panel(&self, scene: &mut Scene, room: Room, panel: &Panel, styles: &Styles) {
        let plotted = Plotted { chart: self, room };
        let lanes_bottom = room.bottom + panel.lanes.len() as f64 * LANE;
        plotted.floor(scene, panel);
        plotted.grid(scene, lanes_bottom);
        for band in &panel.bands {
            plotted.band(scene, band, styles);
        }
        for line in &panel.lines {
            plotted.line(scene, line, styles);
        }
        for callout in &panel.callouts {
            plotted.callout(scene, callout);
        }
        plotted.lanes(scene, panel, styles, lanes_bottom);
        let frame = vec![
            at(room.left, room.top),
            at(room.left, lanes_bottom),
            at(room.right, lanes_bottom),
        ];
        scene.line(frame, GREY, 1.0, None);
    }
}

impl LinePoint {
    /// The point without its interval.
    fn bare(&self) -> Self {
        Self {
            half_width: None,
            ..*self
        }
    }
}

impl Line<'_> {
    /// The line's height at `x`; `None` beyond its ends.
    fn y_at(&self, x: f64) -> Option<f64> {
        let next = self.points.partition_point(|point| point.x < x);
        let after = self.points.get(next)?;
        if after.x == x {
            return Some(after.y);
        }
        let before = self.points.get(next.checked_sub(1)?)?;
        let share = (x - before.x) / (after.x - before.x);
        Some(before.y + (after.y - before.y) * share)
    }
}

/// A chart's axes in the room of one panel.
struct Plotted<'a> {
    chart: &'a LineChart<'a>,
    room: Room,
}

impl Plotted<'_> {
    fn height(&self) -> f64 {
        self.room.bottom - self.room.top
    }

    fn x(&self, value: f64) -> f64 {
        let width = self.room.right - self.room.left;
        self.room.left + self.chart.x.place(value) * width
    }

    fn y(&self, value: f64) -> f64 {
        self.room.bottom - self.chart.y.place(value) * self.height()
    }

    /// Shades the room that nothing lies in.
    fn floor(&self, scene: &mut Scene, panel: &Panel) {
        let (Some(first), Some(last)) = (panel.floor.first(), panel.floor.last()) else {
            return;
        };
        let mut corners: Vec<Place> = panel
            .floor
            .iter()
            .map(|point| at(self.x(point.x), self.y(point.y)))
            .collect();
        corners.push(at(self.x(last.x), self.room.bottom));
        corners.push(at(self.x(first.x), self.room.bottom));
        scene.area(corners, SHADE);
    }

    /// Draws an interval along the axis, in its line's colour.
    fn band(&self, scene: &mut Scene, band: &Band, styles: &Styles) {
        let mut color = styles.of(band.variant).color;
        color.3 = BAND_OPACITY;
        let there = band.points.iter();
        let mut corners: Vec<Place> = there
            .map(|point| at(self.x(point.x), self.y(point.high)))
            .collect();
        let back = band.points.iter().rev();
        corners.extend(back.map(|point| at(self.x(point.x), self.y(point.low))));
        scene.area(corners, color);
    }

    fn grid(&self, scene: &mut Scene, lanes_bottom: f64) {
        let room = self.room;
        let ticks = &self.chart.y.ticks;
        // A low panel has room for every other label only.
        let low = self.height() < 30.0 * ticks.len() as f64 * 0.7;
        let every = if low { 2 } else { 1 };
        for (number, tick) in ticks.iter().enumerate() {
            let y = self.y(tick.value);
            scene.stroke(at(room.left, y), at(room.right, y), FAINT, 0.5);
            if number % every == 0 {
                let beside = at(room.left - 6.0, y);
                scene.text(beside, &tick.label, SMALL, GREY, Anchor::Right);
            }
        }
        for tick in &self.chart.x.ticks {
            let x = self.x(tick.value);
            scene.stroke(at(x, room.top), at(x, lanes_bottom), FAINT, 0.5);
        }
    }

    fn line(&self, scene: &mut Scene, line: &Line, styles: &Styles) {
        let style = styles.of(line.variant);
        let mut places = Vec::with_capacity(line.points.len());
        for point in &line.points {
            let place = at(self.x(point.x), self.y(point.y));
            if let Some(half) = point.half_width {
                let low = self.y(point.y - half);
                let high = self.y(point.y + half);
                interval(scene, place.x, low, high, style.color);
            }
            if self.chart.marked && !line.thin {
                scene.mark(place, style.marker, 3.5, style.color);
            }
            places.push(place);
        }
        let width = if line.thin { 0.75 } else { 1.75 };
        scene.line(places, style.color, width, style.dash);
    }

    /// Rings a point, and writes its word above it, or below if it is at the top.
    fn callout(&self, scene: &mut Scene, callout: &Callout) {
        let place = at(self.x(callout.x), self.y(callout.y));
        scene.outline(place, Marker::Circle, 8.0, INK);
        let above = place.y - 18.0;
        let y = if above < self.room.top + 6.0 {
            place.y + 18.0
        } else {
            above
        };
        let half = text_width(callout.label, SMALL) / 2.0 + 2.0;
        let x = place.x.clamp(self.room.left + half, self.room.right - half);
        scene.text(at(x, y), callout.label, SMALL, INK, Anchor::Middle);
    }

    fn lanes(&self, scene: &mut Scene, panel: &Panel, styles: &Styles, lanes_bottom: f64) {
        let room = self.room;
        for (number, lane) in panel.lanes.iter().enumerate() {
            let top = room.bottom + number as f64 * LANE;
            for span in &lane.spans {
                let mut color = styles.of(lane.variant).color;
                color.3 = 0.2 + 0.8 * span.share.clamp(0.0, 1.0);
                let from = self.x(span.from);
                let to = self.x(span.to).max(from + 1.0);
                scene.rect(at(from, top + 1.5), at(to, top + LANE - 0.5), color);
            }
        }
        if !panel.lanes.is_empty() {
            let middle = f64::midpoint(room.bottom, lanes_bottom) + 2.0;
            // The lowest label of the y axis is at the bottom: the word moves down from it.
            let beside = at(room.left - 6.0, middle.max(room.bottom + 14.0));
            scene.text(beside, LANES_LABEL, SMALL, GREY, Anchor::Right);
        }
    }
}

/// Writes the labels of an x axis from `left` to [`RIGHT`] below `bottom`: those of the ticks that
/// have room, and the axis's own.
pub(crate) fn x_labels(scene: &mut Scene, axis: &Axis, left: f64, bottom: f64) {
    let room = Room {
        left,
        right: RIGHT,
        top: 0.0,
        bottom,
    };
    x_ticks(scene, axis, room, bottom);
    x_label(scene, axis, left, bottom);
}

/// Writes the labels of the ticks that have room.
fn x_ticks(scene: &mut Scene, axis: &Axis, room: Room, bottom: f64) {
    let mut free_from = f64::NEG_INFINITY;
    for tick in &axis.ticks {
        let x = room.left + axis.place(tick.value) * (room.right - room.left);
        let half = text_width(&tick.label, SMALL) / 2.0;
        if x - half >= free_from && x + half <= room.right + WIDTH - RIGHT {
            let below = at(x, bottom + 13.0);
            scene.text(below, &tick.label, SMALL, GREY, Anchor::Middle);
            free_from = x + half + 6.0;
        }
    }
}

fn x_label(scene: &mut Scene, axis: &Axis, left: f64, bottom: f64) {
    let middle = at(f64::midpoint(left, RIGHT), bottom + 34.0);
    scene.text(middle, &axis.label, SMALL, INK, Anchor::Middle);
}

/// Draws an upright interval with its caps.
pub(crate) fn interval(scene: &mut Scene, x: f64, low: f64, high: f64, color: Color) {
    scene.stroke(at(x, low), at(x, high), color, 1.0);
    for end in [low, high] {
        scene.stroke(at(x - 4.0, end), at(x + 4.0, end), color, 1.0);
    }
}
