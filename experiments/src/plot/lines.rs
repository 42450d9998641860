//! Line charts: one or several panels with shared axes, one line a variant, and a lane a variant for stalls.

use super::PlotError;
use super::axis::Axis;
use super::scene::{Anchor, Color, FAINT, GREY, INK, Place, SMALL, Scene, color, text_width};
use super::style::{Frame, MARGIN, Sample, Styles, legend};

/// One variant's line.
pub(super) struct Line<'a> {
    /// The variant.
    pub(super) variant: &'a str,
    /// Its points.
    pub(super) points: Vec<LinePoint>,
    /// Drawn thin, beside the variant's main line.
    pub(super) thin: bool,
}

/// A point, with half the width of its interval where it has one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct LinePoint {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) half_width: Option<f64>,
}

/// When a variant was stalled: spans of x with the share of time, 0 to 1.
pub(super) struct Lane<'a> {
    pub(super) variant: &'a str,
    pub(super) spans: Vec<(f64, f64, f64)>,
}

/// A set of axes.
#[derive(Default)]
pub(super) struct Panel<'a> {
    pub(super) lines: Vec<Line<'a>>,
    pub(super) lanes: Vec<Lane<'a>>,
    /// A line from left to right that nothing lies below: the room there is shaded.
    pub(super) floor: Vec<(f64, f64)>,
}

/// The chart.
pub(super) struct LineChart<'a> {
    pub(super) x: Axis,
    pub(super) y: Axis,
    /// Stacked panels; several are labelled with their first line's variant.
    pub(super) panels: Vec<Panel<'a>>,
    /// Whether points are marked.
    pub(super) marked: bool,
}

const WIDTH: f64 = 720.0;
const ONE_PANEL: f64 = 290.0;
const PANEL: f64 = 96.0;
const GAP: f64 = 36.0;
const LANE: f64 = 8.0;
const BELOW: f64 = 74.0;
const SHADE: Color = color(0xf0f0f0);

/// The rectangle of a set of axes.
#[derive(Clone, Copy)]
struct Room {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl LineChart<'_> {
    /// Draws the chart.
    pub(super) fn draw(
        &self,
        frame: &Frame,
        variants: &[&str],
        styles: &Styles,
    ) -> Result<Scene, PlotError> {
        let several = self.panels.len() > 1;
        let each = if several { PANEL } else { ONE_PANEL };
        let lanes = self
            .panels
            .iter()
            .map(|panel| panel.lanes.len())
            .max()
            .unwrap_or(0) as f64
            * LANE;
        let panels = (each + GAP + lanes) * self.panels.len() as f64 - GAP;
        // The legend's height is known once it is drawn: on a page nobody sees.
        let mut trial = Scene::new(WIDTH, 1.0);
        let head = frame.draw(&mut trial);
        let sample = if self.marked {
            Sample::MarkedLine
        } else {
            Sample::Line
        };
        // Several panels carry their names themselves.
        let key = |scene: &mut Scene| {
            if several {
                head + 24.0
            } else {
                legend(scene, head, variants, styles, sample)
            }
        };
        let top = key(&mut trial);
        let mut scene = Scene::new(WIDTH, (top + panels + BELOW).ceil());
        frame.draw(&mut scene);
        key(&mut scene);
        let widest = self
            .y
            .ticks
            .iter()
            .map(|(_, label)| text_width(label, SMALL))
            .fold(0.0, f64::max);
        // "stalls" stands left of the lanes, in the room of the tick labels.
        let widest = if lanes > 0.0 {
            widest.max(text_width("stalls", SMALL))
        } else {
            widest
        };
        let (left, right) = (MARGIN + 24.0 + widest + 6.0, WIDTH - 22.0);
        for (number, panel) in self.panels.iter().enumerate() {
            let top = top + number as f64 * (each + GAP + lanes);
            let room = Room {
                left,
                right,
                top,
                bottom: top + each,
            };
            self.panel(&mut scene, room, panel, styles);
            if several {
                let name = panel.lines.first().map_or("", |line| line.variant);
                scene.text((left, room.top - 10.0), name, SMALL, INK, Anchor::Left);
            }
        }
        let bottom = top + panels;
        x_labels(&mut scene, &self.x, (left, right), bottom);
        scene.text_upwards(
            (MARGIN + 6.0, top + panels / 2.0),
            &self.y.label,
            SMALL,
            INK,
        );
        Ok(scene)
    }

    fn panel(&self, scene: &mut Scene, room: Room, panel: &Panel, styles: &Styles) {
        let height = room.bottom - room.top;
        let y = |value: f64| room.bottom - self.y.place(value) * height;
        let x = |value: f64| room.left + self.x.place(value) * (room.right - room.left);
        if let (Some(first), Some(last)) = (panel.floor.first(), panel.floor.last()) {
            let floor = panel.floor.iter().map(|point| (x(point.0), y(point.1)));
            let ends = [(x(last.0), room.bottom), (x(first.0), room.bottom)];
            scene.area(floor.chain(ends).collect(), SHADE);
        }
        // A low panel has room for every other label only.
        let every = if height < 30.0 * self.y.ticks.len() as f64 * 0.7 {
            2
        } else {
            1
        };
        for (number, (value, label)) in self.y.ticks.iter().enumerate() {
            scene.line(
                vec![(room.left, y(*value)), (room.right, y(*value))],
                FAINT,
                0.5,
                None,
            );
            if number % every == 0 {
                scene.text(
                    (room.left - 6.0, y(*value)),
                    label,
                    SMALL,
                    GREY,
                    Anchor::Right,
                );
            }
        }
        let lanes_bottom = room.bottom + panel.lanes.len() as f64 * LANE;
        for (value, _) in &self.x.ticks {
            scene.line(
                vec![(x(*value), room.top), (x(*value), lanes_bottom)],
                FAINT,
                0.5,
                None,
            );
        }
        for line in &panel.lines {
            let style = styles.of(line.variant);
            let points: Vec<Place> = line
                .points
                .iter()
                .map(|point| (x(point.x), y(point.y)))
                .collect();
            for (point, at) in line.points.iter().zip(&points) {
                if let Some(half) = point.half_width {
                    interval(
                        scene,
                        at.0,
                        y(point.y - half),
                        y(point.y + half),
                        style.color,
                    );
                }
                if self.marked {
                    scene.mark(*at, style.marker, 3.5, style.color);
                }
            }
            scene.line(
                points,
                style.color,
                if line.thin { 0.75 } else { 1.75 },
                style.dash,
            );
        }
        for (number, lane) in panel.lanes.iter().enumerate() {
            let top = room.bottom + number as f64 * LANE;
            for (from, to, share) in &lane.spans {
                let mut color = styles.of(lane.variant).color;
                color.3 = 0.2 + 0.8 * share.clamp(0.0, 1.0);
                scene.rect(
                    (x(*from), top + 1.5),
                    (x(*to).max(x(*from) + 1.0), top + LANE - 0.5),
                    color,
                );
            }
        }
        if !panel.lanes.is_empty() {
            let middle = f64::midpoint(room.bottom, lanes_bottom) + 2.0;
            // The lowest label of the y axis stands at the bottom: the word moves down from it.
            let at = (room.left - 6.0, middle.max(room.bottom + 14.0));
            scene.text(at, "stalls", SMALL, GREY, Anchor::Right);
        }
        let frame = [
            (room.left, room.top),
            (room.left, lanes_bottom),
            (room.right, lanes_bottom),
        ];
        scene.line(frame.to_vec(), GREY, 1.0, None);
    }
}

/// Writes the ticks' labels that have room, and the axis's own, below `bottom`.
pub(super) fn x_labels(scene: &mut Scene, axis: &Axis, (left, right): (f64, f64), bottom: f64) {
    let mut free_from = f64::NEG_INFINITY;
    for (value, label) in &axis.ticks {
        let at = left + axis.place(*value) * (right - left);
        let half = text_width(label, SMALL) / 2.0;
        if at - half >= free_from && at + half <= WIDTH {
            scene.text((at, bottom + 13.0), label, SMALL, GREY, Anchor::Middle);
            free_from = at + half + 6.0;
        }
    }
    scene.text(
        (f64::midpoint(left, right), bottom + 34.0),
        &axis.label,
        SMALL,
        INK,
        Anchor::Middle,
    );
}

/// An upright interval with its caps.
pub(super) fn interval(scene: &mut Scene, x: f64, low: f64, high: f64, color: Color) {
    scene.line(vec![(x, low), (x, high)], color, 1.0, None);
    for end in [low, high] {
        scene.line(vec![(x - 4.0, end), (x + 4.0, end)], color, 1.0, None);
    }
}
