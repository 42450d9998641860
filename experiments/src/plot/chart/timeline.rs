//! A line over a workload, its phases as bands, and marks in lanes below: what was decided when.

use super::axis::Axis;
use super::lines::{BELOW, Line, RIGHT, WIDTH, x_labels};
use super::scene::{
    Anchor, Color, FAINT, GREY, INK, Place, Room, SMALL, Scene, at, color, fitted, text_width,
};
use super::style::{BLUE, Frame, MARGIN, Styles, VERMILION};

/// A phase of the workload.
pub(crate) struct Band<'a> {
    pub(crate) name: &'a str,
    pub(crate) from: f64,
    pub(crate) to: f64,
}

/// What a decision did to a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It is larger than before.
    Raised,
    /// It is smaller than before.
    Lowered,
    /// There is no number, or it was not set before.
    Other,
}

/// A decision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tick {
    pub(crate) x: f64,
    pub(crate) change: Change,
}

/// Decisions of one kind.
pub(crate) struct Lane {
    pub(crate) name: String,
    pub(crate) ticks: Vec<Tick>,
}

impl Lane {
    /// The lane's name, with how many decisions it holds.
    fn label(&self) -> String {
        format!("{} ({})", self.name, self.ticks.len())
    }
}

/// The chart.
pub(crate) struct Timeline<'a> {
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) bands: Vec<Band<'a>>,
    /// The line of the trial whose decisions are shown, thin ones of others behind it.
    pub(crate) lines: Vec<Line<'a>>,
    pub(crate) lanes: Vec<Lane>,
}

/// The height of the axes.
const HEIGHT: f64 = 220.0;
/// The height of the strip of phases' names.
const NAMES: f64 = 20.0;
/// The room between axes and lanes.
const GAP: f64 = 6.0;
/// The height of a lane.
const LANE: f64 = 18.0;
/// The empty space above and below the marks of a lane.
const EDGE: f64 = 2.0;
/// The width of the cells that decisions are counted in: more of them cannot be seen apart.
const CELL: f64 = 3.0;
/// The least width of a band that has a name.
const NAMED_MIN: f64 = 24.0;
/// Every second phase's band.
const SHADE: Color = color(0xf0f0f0);

/// The opacity of a mark that stands for next to nothing beside the others of its lane.
const OPACITY_MIN: f64 = 0.4;

/// Decisions in one cell, by what they did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cell {
    raised: usize,
    lowered: usize,
    other: usize,
}

impl Timeline<'_> {
    /// Draws the chart.
    pub(crate) fn draw(&self, frame: &Frame, styles: &Styles) -> Scene {
        // The head's height is known once it is drawn: on a page nobody sees.
        let top = frame.draw(&mut Scene::new(WIDTH, 1.0)) + NAMES;
        let lanes_bottom = top + HEIGHT + GAP + self.lanes.len() as f64 * LANE;
        let mut scene = Scene::new(WIDTH, (lanes_bottom + BELOW).ceil());
        frame.draw(&mut scene);
        let labels = self.lanes.iter().map(|it| text_width(&it.label(), SMALL));
        let widest = labels.fold(self.y.label_width() + 24.0, f64::max);
        let room = Room {
            left: MARGIN + widest + 6.0,
            right: RIGHT,
            top,
            bottom: top + HEIGHT,
        };
        self.phases(&mut scene, room, lanes_bottom);
        self.grid(&mut scene, room, lanes_bottom);
        for line in &self.lines {
            let style = styles.of(line.variant);
            let places = line.points.iter();
            let places = places.map(|it| at(self.x(room, it.x), self.y(room, it.y)));
            let width = if line.thin { 0.75 } else { 1.75 };
            scene.line(places.collect(), style.color, width, None);
        }
        for (number, lane) in self.lanes.iter().enumerate() {
            let top = room.bottom + GAP + number as f64 * LANE;
            self.lane(&mut scene, Room { top, ..room }, lane);
        }
        x_labels(&mut scene, &self.x, room.left, lanes_bottom);
        let middle = at(MARGIN + 6.0, f64::midpoint(room.top, room.bottom));
        scene.text_upwards(middle, &self.y.label, SMALL, INK);
        scene
    }

    fn x(&self, room: Room, value: f64) -> f64 {
        room.left + self.x.place(value) * (room.right - room.left)
    }

    fn y(&self, room: Room, value: f64) -> f64 {
        room.bottom - self.y.place(value) * (room.bottom - room.top)
    }

    /// Shades every second phase, and writes the names that have room above.
    fn phases(&self, scene: &mut Scene, room: Room, lanes_bottom: f64) {
        for (number, band) in self.bands.iter().enumerate() {
            let (from, to) = (self.x(room, band.from), self.x(room, band.to));
            if number % 2 == 0 {
                scene.rect(at(from, room.top - NAMES), at(to, lanes_bottom), SHADE);
            }
            let width = to - from - 6.0;
            if width >= NAMED_MIN {
                let middle = at(f64::midpoint(from, to), room.top - NAMES / 2.0);
                let name = fitted(band.name, SMALL, width);
                scene.text(middle, name, SMALL, GREY, Anchor::Middle);
            }
        }
    }

    fn grid(&self, scene: &mut Scene, room: Room, lanes_bottom: f64) {
        for tick in &self.y.ticks {
            let y = self.y(room, tick.value);
            scene.stroke(at(room.left, y), at(room.right, y), FAINT, 0.5);
            let beside = at(room.left - 6.0, y);
            scene.text(beside, &tick.label, SMALL, GREY, Anchor::Right);
        }
        for frame in [
            [at(room.left, room.top), at(room.left, lanes_bottom)],
            [at(room.left, room.bottom), at(room.right, room.bottom)],
            [at(room.left, lanes_bottom), at(room.right, lanes_bottom)],
        ] {
            let [from, to] = frame;
            scene.stroke(from, to, GREY, 1.0);
        }
    }

    /// Draws the decisions of a kind: in the upper half what was raised, in the lower half what
    /// was lowered, over both what is neither, if nothing else hides there. The fuller the colour,
    /// the more of them there are.
    fn lane(&self, scene: &mut Scene, room: Room, lane: &Lane) {
        let middle = room.top + LANE / 2.0;
        scene.stroke(at(room.left, middle), at(room.right, middle), FAINT, 0.5);
        let beside = at(room.left - 6.0, middle);
        scene.text(beside, lane.label(), SMALL, GREY, Anchor::Right);
        let (high, low) = (room.top + EDGE, room.top + LANE - EDGE);
        let cells = self.cells(room, lane);
        let most = cells.iter().map(Cell::most).max().unwrap_or(0);
        for (number, cell) in cells.iter().enumerate() {
            let from = room.left + number as f64 * CELL;
            let plain = cell.raised + cell.lowered == 0;
            for (count, top, bottom, color) in [
                (cell.raised, high, middle, VERMILION),
                (cell.lowered, middle, low, BLUE),
                (if plain { cell.other } else { 0 }, high, low, INK),
            ] {
                if count > 0 {
                    let (from, to) = ends(from, top, bottom);
                    scene.rect(from, to, faded(color, count, most));
                }
            }
        }
    }

    /// Counts a lane's decisions, from left to right.
    fn cells(&self, room: Room, lane: &Lane) -> Vec<Cell> {
        let count = ((room.right - room.left) / CELL).floor().max(1.0) as usize;
        let mut cells = vec![Cell::default(); count];
        for tick in &lane.ticks {
            let across = self.x.place(tick.x).clamp(0.0, 1.0) * count as f64;
            let cell = &mut cells[(across as usize).min(count - 1)];
            match tick.change {
                Change::Raised => cell.raised += 1,
                Change::Lowered => cell.lowered += 1,
                Change::Other => cell.other += 1,
            }
        }
        cells
    }
}

/// The corners of a mark in a cell.
fn ends(left: f64, top: f64, bottom: f64) -> (Place, Place) {
    (at(left, top), at(left + CELL - 0.5, bottom))
}

impl Cell {
    /// The most decisions that a mark of the cell stands for.
    fn most(&self) -> usize {
        self.raised.max(self.lowered).max(self.other)
    }
}

/// A colour that says how many decisions a mark stands for, full where it is the
/// `most` of a lane.
fn faded(mut color: Color, count: usize, most: usize) -> Color {
    let share = (count as f64).ln_1p() / (most as f64).ln_1p();
    color.3 = OPACITY_MIN + (1.0 - OPACITY_MIN) * share.min(1.0);
    color
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_decisions_share_cells() {
        let tick = |(number, change): (u32, Change)| Tick {
            x: (f64::from(number) + 0.5) / 100.0,
            change,
        };
        let changes = [
            Change::Raised,
            Change::Lowered,
            Change::Raised,
            Change::Other,
        ];
        let ticks = (0..10_000).zip(changes.into_iter().cycle()).map(tick);
        let lane = Lane {
            name: "runs".to_owned(),
            ticks: ticks.collect(),
        };
        let chart = Timeline {
            x: Axis::from_zero("operations", 100.0, Vec::new()),
            y: Axis::linear("", 0.0, 1.0),
            bands: Vec::new(),
            lines: Vec::new(),
            lanes: Vec::new(),
        };
        let room = Room {
            left: 100.0,
            right: 400.0,
            top: 0.0,
            bottom: 10.0,
        };
        let cells = chart.cells(room, &lane);
        let full = Cell {
            raised: 50,
            lowered: 25,
            other: 25,
        };
        assert_eq!(cells, vec![full; 100]);
        assert_eq!(lane.label(), "runs (10000)");
        assert_eq!(full.most(), 50);
        assert!(faded(INK, 1, 50).3 < faded(INK, 3, 50).3);
        assert_eq!(faded(INK, 50, 50).3, 1.0);
        assert_eq!(faded(INK, 1, 1).3, 1.0, "what stands alone is full");
    }
}
