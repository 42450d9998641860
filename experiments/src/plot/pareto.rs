//! Size against time: one panel for warm and one for cold look-ups, a line per model, and the front
//! of the indexes that no other beats in both.

use super::Figure;
use super::chart::axis::Axis;
use super::chart::labels::{Label, TINY, write_labels};
use super::chart::lines::{BELOW, RIGHT, WIDTH, x_labels};
use super::chart::scene::{
    Anchor, Color, FAINT, GREY, INK, Place, Room, SMALL, Scene, at, color, dash,
};
use super::chart::style::{Frame, MARGIN, Sample, Styles, legend};
use crate::formats::csv;

/// The median look-ups of an index, in nanoseconds; `None` if they were not measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nanos {
    /// With warm caches.
    pub warm: Option<f64>,
    /// With cold caches.
    pub cold: Option<f64>,
}

/// One index.
#[derive(Clone, Debug)]
pub struct ParetoPoint {
    /// What distinguishes it from others of its line, such as its epsilon.
    pub label: String,
    /// Its size.
    pub bytes_per_key: f64,
    /// Its look-ups.
    pub nanos: Nanos,
}

/// One model, its points in the order of their sizes.
#[derive(Clone, Debug)]
pub struct ParetoLine {
    /// The model.
    pub name: String,
    /// Its points.
    pub points: Vec<ParetoPoint>,
}

/// An index of no bytes, which has no place on a logarithmic axis.
#[derive(Clone, Copy, Debug)]
pub struct Weightless<'a> {
    /// The name.
    pub name: &'a str,
    /// Its look-ups.
    pub nanos: Nanos,
}

/// What the figure is drawn from.
pub struct ParetoInput<'a> {
    /// The key set.
    pub set: &'a str,
    /// How it was measured.
    pub subtitle: &'a str,
    /// What the numbers rest on.
    pub provenance: &'a str,
    /// The line drawn in grey.
    pub baseline: &'a str,
    /// The models.
    pub lines: &'a [ParetoLine],
    /// An index of no bytes, drawn as a horizontal line.
    pub weightless: Option<Weightless<'a>>,
}

/// The look-ups that a panel shows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Caches {
    Warm,
    Cold,
}

impl Caches {
    fn title(self) -> &'static str {
        match self {
            Self::Warm => "warm look-up (ns, median)",
            Self::Cold => "cold look-up (ns, median)",
        }
    }

    fn of(self, nanos: &Nanos) -> Option<f64> {
        match self {
            Self::Warm => nanos.warm,
            Self::Cold => nanos.cold,
        }
    }
}

/// A point as one panel shows it.
#[derive(Clone, Copy)]
struct Shown<'a> {
    line: &'a ParetoLine,
    point: &'a ParetoPoint,
    nanos: f64,
}

/// The height of a panel.
const PANEL: f64 = 236.0;
/// The height between panels.
const GAP: f64 = 30.0;
/// The left end of the x axis.
const LEFT: f64 = MARGIN + 70.0;
/// The colour of the front.
const FRONT: Color = color(0xf0d878);

const CAPTION: &str = "Each point is an index; a line joins a model's points over epsilon. The \
    band marks the front: no other index is both smaller and faster.";

/// Draws the figure.
pub fn pareto(input: &ParetoInput) -> Figure {
    let mut panels = vec![Caches::Warm, Caches::Cold];
    panels.retain(|caches| !shown(input.lines, *caches).is_empty());
    let title = format!("Index size against look-up time: {}", input.set);
    let frame = Frame {
        title: &title,
        subtitle: input.subtitle,
        provenance: input.provenance,
    };
    let names: Vec<&str> = input.lines.iter().map(|line| line.name.as_str()).collect();
    let styles = Styles::new(&names, input.baseline);
    let x = size_axis(input.lines);
    let head = |scene: &mut Scene| {
        let top = frame.draw(scene);
        let below = legend(scene, top, &names, &styles, Sample::MarkedLine);
        front_key(scene, below)
    };
    let top = head(&mut Scene::new(WIDTH, 1.0));
    let height = (PANEL + GAP) * panels.len() as f64 - GAP;
    let mut scene = Scene::new(WIDTH, (top + height + BELOW).ceil());
    head(&mut scene);
    for (number, caches) in panels.into_iter().enumerate() {
        let top = top + number as f64 * (PANEL + GAP);
        let panel = Panel::new(input, &x, &styles, caches, top);
        panel.draw(&mut scene);
    }
    x_labels(&mut scene, &x, LEFT, top + height);
    Figure {
        name: "pareto".to_owned(),
        caption: CAPTION.to_owned(),
        csv: numbers(input),
        title,
        scene,
    }
}

fn size_axis(lines: &[ParetoLine]) -> Axis {
    let points = || lines.iter().flat_map(|line| &line.points);
    let sizes = || points().map(|point| point.bytes_per_key);
    let least = sizes().fold(f64::INFINITY, f64::min);
    let most = sizes().fold(0.0, f64::max);
    // Room on both sides, for labels.
    Axis::logarithmic(
        "index size (bytes per key, logarithmic)",
        least / 1.25,
        most * 1.25,
    )
}

/// Says what the band means; returns the end of the text.
fn front_key(scene: &mut Scene, top: f64) -> f64 {
    scene.stroke(at(MARGIN, top), at(MARGIN + 30.0, top), FRONT, 5.0);
    let text = "front: none is both smaller and faster; its points are labelled with their epsilon";
    let beside = at(MARGIN + 36.0, top);
    scene.text(beside, text, SMALL, INK, Anchor::Left);
    top + 24.0
}

/// The points that a panel shows.
fn shown(lines: &[ParetoLine], caches: Caches) -> Vec<Shown<'_>> {
    let mut points = Vec::new();
    for line in lines {
        for point in &line.points {
            if let Some(nanos) = caches.of(&point.nanos) {
                points.push(Shown { line, point, nanos });
            }
        }
    }
    points
}

/// The points that no other beats in both size and time, by size.
fn front(lines: &[ParetoLine], caches: Caches) -> Vec<Shown<'_>> {
    let mut front = shown(lines, caches);
    let size = |shown: &Shown| shown.point.bytes_per_key;
    front.sort_by(|a, b| {
        size(a)
            .total_cmp(&size(b))
            .then(a.nanos.total_cmp(&b.nanos))
    });
    let mut fastest = f64::INFINITY;
    front.retain(|shown| {
        let better = shown.nanos < fastest;
        fastest = fastest.min(shown.nanos);
        better
    });
    front
}

struct Panel<'a> {
    input: &'a ParetoInput<'a>,
    x: &'a Axis,
    y: Axis,
    styles: &'a Styles,
    caches: Caches,
    room: Room,
}

impl<'a> Panel<'a> {
    fn new(
        input: &'a ParetoInput<'a>,
        x: &'a Axis,
        styles: &'a Styles,
        caches: Caches,
        top: f64,
    ) -> Self {
        let points = shown(input.lines, caches);
        let weightless = input.weightless.and_then(|it| caches.of(&it.nanos));
        let nanos = points.iter().map(|shown| shown.nanos).chain(weightless);
        let slowest = nanos.fold(0.0, f64::max);
        Self {
            input,
            x,
            y: Axis::linear(caches.title(), 0.0, slowest),
            styles,
            caches,
            room: Room {
                left: LEFT,
                right: RIGHT,
                top,
                bottom: top + PANEL,
            },
        }
    }

    fn place(&self, bytes: f64, nanos: f64) -> Place {
        at(
            LEFT + self.x.place(bytes) * (RIGHT - LEFT),
            self.room.bottom - self.y.place(nanos) * PANEL,
        )
    }

    fn draw(&self, scene: &mut Scene) {
        self.draw_grid(scene);
        let front = front(self.input.lines, self.caches);
        let steps: Vec<Place> = front
            .iter()
            .map(|shown| self.place(shown.point.bytes_per_key, shown.nanos))
            .collect();
        scene.line(staircase(&steps), FRONT, 5.0, None);
        self.draw_weightless(scene);
        for line in self.input.lines {
            self.draw_line(scene, line);
        }
        let label = |(shown, place): (&Shown<'a>, &Place)| Label {
            place: *place,
            text: &shown.point.label,
            color: self.styles.of(&shown.line.name).color,
        };
        let labels: Vec<Label> = front.iter().zip(&steps).map(label).collect();
        write_labels(scene, &labels);
        let room = self.room;
        let axes = vec![
            at(LEFT, room.top),
            at(LEFT, room.bottom),
            at(RIGHT, room.bottom),
        ];
        scene.line(axes, GREY, 1.0, None);
        let middle = at(MARGIN + 8.0, f64::midpoint(room.top, room.bottom));
        scene.text_upwards(middle, &self.y.label, SMALL, INK);
    }

    fn draw_grid(&self, scene: &mut Scene) {
        for tick in &self.y.ticks {
            let y = self.place(0.0, tick.value).y;
            scene.stroke(at(LEFT, y), at(RIGHT, y), FAINT, 0.5);
            let beside = at(LEFT - 6.0, y);
            scene.text(beside, &tick.label, SMALL, GREY, Anchor::Right);
        }
        for tick in &self.x.ticks {
            let x = self.place(tick.value, 0.0).x;
            let top = at(x, self.room.top);
            scene.stroke(top, at(x, self.room.bottom), FAINT, 0.5);
        }
    }

    fn draw_weightless(&self, scene: &mut Scene) {
        let Some(weightless) = self.input.weightless else {
            return;
        };
        let Some(nanos) = self.caches.of(&weightless.nanos) else {
            return;
        };
        let y = self.place(0.0, nanos).y;
        scene.line(vec![at(LEFT, y), at(RIGHT, y)], GREY, 1.0, dash(5, 4));
        let text = format!("{}, 0 bytes", weightless.name);
        let above = at(RIGHT - 4.0, y - 9.0);
        scene.text(above, text, TINY, GREY, Anchor::Right);
    }

    fn draw_line(&self, scene: &mut Scene, line: &ParetoLine) {
        let style = self.styles.of(&line.name);
        let mut places = Vec::new();
        for point in &line.points {
            if let Some(nanos) = self.caches.of(&point.nanos) {
                let place = self.place(point.bytes_per_key, nanos);
                scene.mark(place, style.marker, 4.0, style.color);
                places.push(place);
            }
        }
        if places.len() > 1 {
            scene.line(places, style.color, 1.5, style.dash);
        }
    }
}

/// From point to point of the front, never below what is reached: flat to the next point's size,
/// then down to it.
fn staircase(front: &[Place]) -> Vec<Place> {
    let mut steps = Vec::new();
    for (number, place) in front.iter().enumerate() {
        steps.push(*place);
        let next = front.get(number + 1).map_or(RIGHT, |next| next.x);
        steps.push(at(next, place.y));
    }
    steps
}

fn numbers(input: &ParetoInput) -> String {
    let text = |nanos: Option<f64>| nanos.map_or_else(String::new, |nanos| nanos.to_string());
    let warm_front = front(input.lines, Caches::Warm);
    let cold_front = front(input.lines, Caches::Cold);
    let is_on = |front: &[Shown], point: &ParetoPoint| {
        let on = front.iter().any(|shown| std::ptr::eq(shown.point, point));
        on.to_string()
    };
    let mut rows = Vec::new();
    for line in input.lines {
        for point in &line.points {
            rows.push([
                line.name.clone(),
                point.label.clone(),
                point.bytes_per_key.to_string(),
                text(point.nanos.warm),
                text(point.nanos.cold),
                is_on(&warm_front, point),
                is_on(&cold_front, point),
            ]);
        }
    }
    if let Some(Weightless { name, nanos }) = input.weightless {
        rows.push([
            name.to_owned(),
            String::new(),
            "0".to_owned(),
            text(nanos.warm),
            text(nanos.cold),
            String::new(),
            String::new(),
        ]);
    }
    let header = [
        "index",
        "point",
        "bytes_per_key",
        "warm_ns",
        "cold_ns",
        "front_warm",
        "front_cold",
    ];
    csv(header, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An index measured with warm caches only.
    fn warm(label: &str, bytes_per_key: f64, nanos: f64) -> ParetoPoint {
        ParetoPoint {
            label: label.to_owned(),
            bytes_per_key,
            nanos: Nanos {
                warm: Some(nanos),
                cold: None,
            },
        }
    }

    fn line(name: &str, points: Vec<ParetoPoint>) -> ParetoLine {
        ParetoLine {
            name: name.to_owned(),
            points,
        }
    }

    #[test]
    fn the_front_holds_what_nothing_beats_in_both() {
        let a = [
            warm("64", 0.01, 90.0),
            warm("16", 0.1, 70.0),
            warm("4", 1.0, 75.0),
        ];
        let lines = [line("a", a.to_vec()), line("b", vec![warm("", 0.1, 80.0)])];
        let found: Vec<String> = front(&lines, Caches::Warm)
            .iter()
            .map(|shown| format!("{} {}", shown.line.name, shown.point.label))
            .collect();
        assert_eq!(found, ["a 64", "a 16"]);
        assert!(front(&lines, Caches::Cold).is_empty());
    }

    #[test]
    fn a_figure_has_its_numbers_and_no_panel_without_data() {
        let pgm = vec![warm("64", 0.01, 90.0), warm("16", 0.1, 70.0)];
        let lines = [line("fence", vec![warm("", 0.25, 100.0)]), line("pgm", pgm)];
        let input = ParetoInput {
            set: "s",
            subtitle: "",
            provenance: "made up",
            baseline: "fence",
            lines: &lines,
            weightless: Some(Weightless {
                name: "binary search",
                nanos: Nanos {
                    warm: Some(150.0),
                    cold: None,
                },
            }),
        };
        let figure = pareto(&input);
        let svg = figure.svg().expect("it can be drawn");
        for word in ["warm look-up", "binary search, 0 bytes", "made up"] {
            assert!(svg.contains(word), "{word}");
        }
        for word in ["cold look-up", "NaN"] {
            assert!(!svg.contains(word), "{word}");
        }
        assert_eq!(
            figure.csv.lines().nth(2),
            Some("pgm,64,0.01,90,,true,false")
        );
    }
}
