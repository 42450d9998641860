//! Line charts: one or several panels with shared axes, one line per variant, and a lane per
//! variant for stalls.

use super::axis::Axis;
use super::scene::{
    Anchor, Color, FAINT, GREY, INK, Place, Room, SMALL, Scene, at, color, text_width,
};
use super::style::{Frame, MARGIN, Sample, Styles, legend};

/// One variant's line.
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
}

/// The chart.
pub(crate) struct LineChart<'a> {
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    /// Stacked panels; several are labelled with their first line's variant.
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
/// The height of one of several panels.
const PANEL: f64 = 96.0;
/// The height between panels.
const GAP: f64 = 36.0;
/// The height of a lane.
const LANE: f64 = 8.0;
/// The word beside lanes.
const LANES_LABEL: &str = "stalls";
const SHADE: Color = color(0xf0f0f0);

/// Heights of a chart's parts.
struct Heights {
    /// One panel, without its lanes.
    panel: f64,
    /// The lanes of one panel.
    lanes: f64,
    /// From one panel's top to the next one's.
    step: f64,
}

impl LineChart<'_> {
    /// Draws the chart.
    pub(crate) fn draw(&self, frame: &Frame, variants: &[&str], styles: &Styles) -> Scene {
        let heights = self.heights();
        let panels = heights.step * self.panels.len() as f64 - GAP;
        // The legend's height is known once it is drawn: on a page nobody sees.
        let top = self.head(&mut Scene::new(WIDTH, 1.0), frame, variants, styles);
        let mut scene = Scene::new(WIDTH, (top + panels + BELOW).ceil());
        self.head(&mut scene, frame, variants, styles);
        let left = self.left(heights.lanes > 0.0);
        for (number, panel) in self.panels.iter().enumerate() {
            let top = top + number as f64 * heights.step;
            let room = Room {
                left,
                right: RIGHT,
                top,
                bottom: top + heights.panel,
            };
            self.panel(&mut scene, room, panel, styles);
            if self.has_several_panels() {
                let name = panel.lines.first().map_or("", |line| line.variant);
                let above = at(left, room.top - 10.0);
                scene.text(above, name, SMALL, INK, Anchor::Left);
            }
        }
        x_labels(&mut scene, &self.x, left, top + panels);
        let middle = at(MARGIN + 6.0, top + panels / 2.0);
        scene.text_upwards(middle, &self.y.label, SMALL, INK);
        scene
    }

    fn has_several_panels(&self) -> bool {
        self.panels.len() > 1
    }

    fn heights(&self) -> Heights {
        let panel = if self.has_several_panels() {
            PANEL
        } else {
            ONE_PANEL
        };
        let lanes = self.panels.iter().map(|panel| panel.lanes.len()).max();
        let lanes = lanes.unwrap_or(0) as f64 * LANE;
        Heights {
            panel,
            lanes,
            step: panel + GAP + lanes,
        }
    }

    /// Draws title and legend; returns the top of the first panel. Several panels carry their names
    /// themselves.
    fn head(&self, scene: &mut Scene, frame: &Frame, variants: &[&str], styles: &Styles) -> f64 {
        let head = frame.draw(scene);
        if self.has_several_panels() {
            return head + 24.0;
        }
        let sample = if self.marked {
            Sample::MarkedLine
        } else {
            Sample::Line
        };
        legend(scene, head, variants, styles, sample)
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
        for line in &panel.lines {
            plotted.line(scene, line, styles);
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
            if self.chart.marked {
                scene.mark(place, style.marker, 3.5, style.color);
            }
            places.push(place);
        }
        let width = if line.thin { 0.75 } else { 1.75 };
        scene.line(places, style.color, width, style.dash);
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
    let mut free_from = f64::NEG_INFINITY;
    for tick in &axis.ticks {
        let x = left + axis.place(tick.value) * (RIGHT - left);
        let half = text_width(&tick.label, SMALL) / 2.0;
        if x - half >= free_from && x + half <= WIDTH {
            let below = at(x, bottom + 13.0);
            scene.text(below, &tick.label, SMALL, GREY, Anchor::Middle);
            free_from = x + half + 6.0;
        }
    }
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
