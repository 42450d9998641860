//! Heat maps: panels of cells, coloured by their values on one scale.

use super::lines::{BELOW, RIGHT, WIDTH};
use super::scene::{Anchor, GREY, INK, Room, SMALL, Scene, at, fitted, text_width};
use super::style::{BLUE, Frame, MARGIN};
use crate::formats::digits;

/// A cell.
pub(crate) struct HeatCell {
    pub(crate) column: usize,
    pub(crate) row: usize,
    pub(crate) value: f64,
    pub(crate) half_width: Option<f64>,
    /// Drawn with a frame.
    pub(crate) best: bool,
}

/// The cells of one variant.
pub(crate) struct HeatPanel<'a> {
    pub(crate) title: &'a str,
    pub(crate) cells: Vec<HeatCell>,
}

/// The chart.
pub(crate) struct HeatChart<'a> {
    /// The values of the x axis.
    pub(crate) columns: &'a [&'a str],
    /// The values of the y axis, the first at the bottom.
    pub(crate) rows: &'a [&'a str],
    pub(crate) x_label: &'a str,
    pub(crate) y_label: &'a str,
    pub(crate) panels: &'a [HeatPanel<'a>],
}

/// The height of a cell.
const CELL: f64 = 40.0;
/// The room above a panel for its title.
const TITLE: f64 = 24.0;
/// The room below a panel for the values of the x axis.
const VALUES: f64 = 24.0;
/// The most columns of cells of panels that stand side by side.
const BESIDE_MAX: usize = 5;
/// The most room that the values of the y axis take.
const LABELS_MAX: f64 = 110.0;
/// The room between panels side by side.
const BETWEEN: f64 = 18.0;

/// The opacity of the least and of the largest value: ink stays readable on both.
const OPACITIES: [f64; 2] = [0.06, 0.72];

/// Where panels are.
struct Layout {
    columns: usize,
    left: f64,
    width: f64,
    height: f64,
}

impl HeatChart<'_> {
    /// Draws the chart.
    pub(crate) fn draw(&self, frame: &Frame) -> Scene {
        let layout = self.layout();
        let top = frame.draw(&mut Scene::new(WIDTH, 1.0)) + 6.0;
        let rows = self.panels.len().div_ceil(layout.columns);
        let bottom = top + layout.height * rows as f64;
        let mut scene = Scene::new(WIDTH, (bottom + BELOW - VALUES).ceil());
        frame.draw(&mut scene);
        for (number, panel) in self.panels.iter().enumerate() {
            let column = number % layout.columns;
            let left = layout.left + column as f64 * (layout.width + BETWEEN);
            let top = top + (number / layout.columns) as f64 * layout.height + TITLE;
            let room = Room {
                left,
                right: left + layout.width,
                top,
                bottom: top + CELL * self.rows.len() as f64,
            };
            self.panel(&mut scene, room, panel, column == 0);
        }
        let middle = at(f64::midpoint(layout.left, RIGHT), bottom + 12.0);
        scene.text(middle, self.x_label, SMALL, INK, Anchor::Middle);
        let beside = at(MARGIN + 6.0, f64::midpoint(top, bottom));
        let name = fitted(self.y_label, SMALL, bottom - top);
        scene.text_upwards(beside, name, SMALL, INK);
        scene
    }

    fn layout(&self) -> Layout {
        let beside = self.panels.len() > 1 && self.columns.len() <= BESIDE_MAX;
        let columns = if beside { 2 } else { 1 };
        let widths = self.rows.iter().map(|value| text_width(value, SMALL));
        let left = MARGIN + 26.0 + widths.fold(0.0, f64::max).min(LABELS_MAX);
        let between = BETWEEN * (columns - 1) as f64;
        Layout {
            columns,
            left,
            width: (RIGHT - left - between) / columns as f64,
            height: TITLE + CELL * self.rows.len() as f64 + VALUES,
        }
    }

    fn panel(&self, scene: &mut Scene, room: Room, panel: &HeatPanel, labelled: bool) {
        let width = (room.right - room.left) / self.columns.len() as f64;
        let title = fitted(panel.title, SMALL, room.right - room.left);
        let above = at(room.left, room.top - 11.0);
        scene.text(above, title, SMALL, INK, Anchor::Left);
        for cell in &panel.cells {
            let left = room.left + cell.column as f64 * width;
            let bottom = room.bottom - cell.row as f64 * CELL;
            let place = Room {
                left: left + 1.0,
                right: left + width - 1.0,
                top: bottom - CELL + 1.0,
                bottom: bottom - 1.0,
            };
            self.cell(scene, place, cell);
        }
        for (number, value) in self.columns.iter().enumerate() {
            let below = at(
                room.left + (number as f64 + 0.5) * width,
                room.bottom + 12.0,
            );
            let value = fitted(value, SMALL, width - 2.0);
            scene.text(below, value, SMALL, GREY, Anchor::Middle);
        }
        for (number, value) in self.rows.iter().enumerate().filter(|_| labelled) {
            let beside = at(room.left - 6.0, room.bottom - (number as f64 + 0.5) * CELL);
            let value = fitted(value, SMALL, LABELS_MAX);
            scene.text(beside, value, SMALL, GREY, Anchor::Right);
        }
    }

    fn cell(&self, scene: &mut Scene, place: Room, cell: &HeatCell) {
        let (from, to) = (at(place.left, place.top), at(place.right, place.bottom));
        let mut color = BLUE;
        let [least, most] = OPACITIES;
        color.3 = least + (most - least) * self.share(cell.value);
        scene.rect(from, to, color);
        if cell.best {
            let corners = vec![from, at(to.x, from.y), to, at(from.x, to.y), from];
            scene.line(corners, INK, 2.0, None);
        }
        let (x, y) = (f64::midpoint(from.x, to.x), f64::midpoint(from.y, to.y));
        let room = place.right - place.left - 4.0;
        let value = digits(cell.value, 3);
        let half = cell.half_width.filter(|half| *half > 0.0);
        let half = half.map(|half| format!("\u{b1}{}", digits(half, 2)));
        let half = half.filter(|half| text_width(half, SMALL) <= room);
        let value_y = if half.is_some() { y - 8.0 } else { y };
        let value = fitted(&value, SMALL, room);
        scene.text(at(x, value_y), value, SMALL, INK, Anchor::Middle);
        if let Some(half) = half {
            scene.text(at(x, y + 9.0), half, SMALL, INK, Anchor::Middle);
        }
    }

    /// A value between the least and the largest of all panels, from 0 to 1.
    fn share(&self, value: f64) -> f64 {
        let cells = || self.panels.iter().flat_map(|panel| &panel.cells);
        let least = cells().map(|cell| cell.value).fold(f64::INFINITY, f64::min);
        let most = cells()
            .map(|cell| cell.value)
            .fold(f64::NEG_INFINITY, f64::max);
        if most > least {
            (value - least) / (most - least)
        } else {
            0.5
        }
    }
}
