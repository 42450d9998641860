//! Size against time: one panel for warm and one for cold look-ups, a line a model, and the front of those that no other
//! beats in both.

use super::axis::Axis;
use super::lines::x_labels;
use super::scene::{Anchor, Color, FAINT, GREY, INK, Place, SMALL, Scene, color, text_width};
use super::style::{Frame, MARGIN, Sample, Styles, legend};
use super::{Figure, PlotError};
use crate::store::csv;

/// One index.
#[derive(Clone, Debug)]
pub struct ParetoPoint {
    /// What tells it from others of its line, such as its epsilon.
    pub label: String,
    /// Its size.
    pub bytes_per_key: f64,
    /// The median look-up in each panel; None where it was not measured.
    pub nanos: [Option<f64>; 2],
}

/// One model, its points in the order of their sizes.
#[derive(Clone, Debug)]
pub struct ParetoLine {
    /// The model.
    pub name: String,
    /// Its points.
    pub points: Vec<ParetoPoint>,
}

/// What the figure is drawn from.
pub struct ParetoInput<'a> {
    /// The key set.
    pub set: &'a str,
    /// How it was measured.
    pub subtitle: &'a str,
    /// What it rests on.
    pub provenance: &'a str,
    /// The line drawn in grey.
    pub baseline: &'a str,
    /// The models.
    pub lines: &'a [ParetoLine],
    /// An index of no bytes, which a logarithmic axis has no place for: its name and times.
    pub weightless: Option<(&'a str, [Option<f64>; 2])>,
}

const WIDTH: f64 = 720.0;
const PANEL: f64 = 236.0;
const GAP: f64 = 30.0;
const BELOW: f64 = 74.0;
const TITLES: [&str; 2] = ["warm look-up (ns, median)", "cold look-up (ns, median)"];
const FRONT: Color = color(0xf0d878);
const TINY: f64 = 11.0;

/// Draws the figure.
///
/// # Errors
/// [`PlotError::Drawing`].
pub fn pareto(input: &ParetoInput) -> Result<Figure, PlotError> {
    let measured = |panel: &usize| points(input.lines, *panel).next().is_some();
    let panels: Vec<usize> = (0..TITLES.len()).filter(measured).collect();
    let title = format!("Index size against look-up time: {}", input.set);
    let frame = Frame {
        title: &title,
        subtitle: input.subtitle,
        provenance: input.provenance,
    };
    let names: Vec<&str> = input.lines.iter().map(|line| line.name.as_str()).collect();
    let styles = Styles::new(&names, input.baseline);
    let sizes = || {
        input
            .lines
            .iter()
            .flat_map(|line| &line.points)
            .map(|point| point.bytes_per_key)
    };
    let (least, most) = (
        sizes().fold(f64::INFINITY, f64::min),
        sizes().fold(0.0, f64::max),
    );
    // Room on both sides, for labels.
    let x = Axis::logarithmic(
        "index size (bytes per key, logarithmic)",
        least / 1.25,
        most * 1.25,
    );
    let head = |scene: &mut Scene| {
        let top = frame.draw(scene);
        let below = legend(scene, top, &names, &styles, Sample::MarkedLine);
        front_key(scene, below)
    };
    let top = head(&mut Scene::new(WIDTH, 1.0));
    let height = (PANEL + GAP) * panels.len() as f64 - GAP;
    let mut scene = Scene::new(WIDTH, (top + height + BELOW).ceil());
    head(&mut scene);
    for (number, panel) in panels.iter().enumerate() {
        let top = top + number as f64 * (PANEL + GAP);
        Panel {
            input,
            x: &x,
            styles: &styles,
            panel: *panel,
            top,
        }
        .draw(&mut scene);
    }
    x_labels(&mut scene, &x, (LEFT, RIGHT), top + height);
    Ok(Figure {
        name: "pareto".to_owned(),
        caption: CAPTION.to_owned(),
        csv: numbers(input),
        title,
        scene,
    })
}

const CAPTION: &str = "Each point is an index; a line joins a model's points over epsilon. The band marks the front: no \
    other index is both smaller and faster.";

const LEFT: f64 = MARGIN + 70.0;
const RIGHT: f64 = WIDTH - 22.0;

/// Says what the band means; answers where it ends.
fn front_key(scene: &mut Scene, top: f64) -> f64 {
    let y = top;
    scene.line(vec![(MARGIN, y), (MARGIN + 30.0, y)], FRONT, 5.0, None);
    let text = "front: none is both smaller and faster; its points are labelled with their epsilon";
    scene.text((MARGIN + 36.0, y), text, SMALL, INK, Anchor::Left);
    y + 24.0
}

/// The points that a panel shows: line, label, bytes and nanoseconds.
fn points(
    lines: &[ParetoLine],
    panel: usize,
) -> impl Iterator<Item = (&ParetoLine, &ParetoPoint, f64)> {
    lines.iter().flat_map(move |line| {
        line.points
            .iter()
            .filter_map(move |point| Some((line, point, point.nanos[panel]?)))
    })
}

/// The points that no other beats in both size and time, by size.
fn front(lines: &[ParetoLine], panel: usize) -> Vec<(&ParetoLine, &ParetoPoint, f64)> {
    let mut all: Vec<_> = points(lines, panel).collect();
    all.sort_by(|(_, a, one), (_, b, other)| {
        a.bytes_per_key
            .total_cmp(&b.bytes_per_key)
            .then(one.total_cmp(other))
    });
    let mut fastest = f64::INFINITY;
    all.retain(|(_, _, nanos)| {
        let better = *nanos < fastest;
        fastest = fastest.min(*nanos);
        better
    });
    all
}

struct Panel<'a> {
    input: &'a ParetoInput<'a>,
    x: &'a Axis,
    styles: &'a Styles,
    panel: usize,
    top: f64,
}

impl Panel<'_> {
    fn draw(&self, scene: &mut Scene) {
        let weightless = self
            .input
            .weightless
            .and_then(|(name, nanos)| Some((name, nanos[self.panel]?)));
        let slowest = points(self.input.lines, self.panel)
            .map(|(.., nanos)| nanos)
            .chain(weightless.map(|(_, ns)| ns));
        let y = Axis::linear(TITLES[self.panel], 0.0, slowest.fold(0.0, f64::max));
        let bottom = self.top + PANEL;
        let at = |bytes: f64, nanos: f64| -> Place {
            (
                LEFT + self.x.place(bytes) * (RIGHT - LEFT),
                bottom - y.place(nanos) * PANEL,
            )
        };
        for (value, label) in &y.ticks {
            let height = at(0.0, *value).1;
            scene.line(vec![(LEFT, height), (RIGHT, height)], FAINT, 0.5, None);
            scene.text((LEFT - 6.0, height), label, SMALL, GREY, Anchor::Right);
        }
        for (value, _) in &self.x.ticks {
            let across = at(*value, 0.0).0;
            scene.line(vec![(across, self.top), (across, bottom)], FAINT, 0.5, None);
        }
        let front = front(self.input.lines, self.panel);
        let steps = front
            .iter()
            .map(|(_, point, nanos)| at(point.bytes_per_key, *nanos))
            .collect::<Vec<_>>();
        scene.line(staircase(&steps, RIGHT), FRONT, 5.0, None);
        if let Some((name, nanos)) = weightless {
            let height = at(0.0, nanos).1;
            scene.line(
                vec![(LEFT, height), (RIGHT, height)],
                GREY,
                1.0,
                Some((5, 4)),
            );
            scene.text(
                (RIGHT - 4.0, height - 9.0),
                format!("{name}, 0 bytes"),
                TINY,
                GREY,
                Anchor::Right,
            );
        }
        for line in self.input.lines {
            let style = self.styles.of(&line.name);
            let places: Vec<Place> = line
                .points
                .iter()
                .filter_map(|point| Some(at(point.bytes_per_key, point.nanos[self.panel]?)))
                .collect();
            for place in &places {
                scene.mark(*place, style.marker, 4.0, style.color);
            }
            if places.len() > 1 {
                scene.line(places, style.color, 1.5, style.dash);
            }
        }
        let labels = front.iter().zip(&steps).map(|((line, point, _), place)| {
            (
                *place,
                point.label.as_str(),
                self.styles.of(&line.name).color,
            )
        });
        label(scene, labels);
        scene.line(
            vec![(LEFT, self.top), (LEFT, bottom), (RIGHT, bottom)],
            GREY,
            1.0,
            None,
        );
        scene.text_upwards(
            (MARGIN + 8.0, f64::midpoint(self.top, bottom)),
            &y.label,
            SMALL,
            INK,
        );
    }
}

/// From point to point of the front, never below what is reached: flat to the next point's size, then down to it.
fn staircase(front: &[Place], right: f64) -> Vec<Place> {
    let mut steps = Vec::new();
    for (number, place) in front.iter().enumerate() {
        steps.push(*place);
        let next = front.get(number + 1).map_or(right, |next| next.0);
        steps.push((next, place.1));
    }
    steps
}

/// Writes labels below their points where they have room, and leaves out those that would cover another.
fn label<'a>(scene: &mut Scene, labels: impl Iterator<Item = (Place, &'a str, Color)>) {
    let mut taken: Vec<(Place, Place)> = Vec::new();
    for ((x, y), text, color) in labels.filter(|(_, text, _)| !text.is_empty()) {
        let half = text_width(text, TINY) / 2.0 + 2.0;
        for middle in [y + 13.0, y - 13.0] {
            let (from, to) = ((x - half, middle - 7.0), (x + half, middle + 7.0));
            let free = taken.iter().all(|(low, high)| {
                to.0 < low.0 || from.0 > high.0 || to.1 < low.1 || from.1 > high.1
            });
            if free {
                scene.text((x, middle), text, TINY, color, Anchor::Middle);
                taken.push((from, to));
                break;
            }
        }
    }
}

fn numbers(input: &ParetoInput) -> String {
    let fronts = [0, 1].map(|panel| front(input.lines, panel));
    let mut rows = Vec::new();
    for line in input.lines {
        for point in &line.points {
            let nanos = point
                .nanos
                .map(|nanos| nanos.map_or_else(String::new, |nanos| nanos.to_string()));
            let on = fronts.each_ref().map(|front| {
                front
                    .iter()
                    .any(|(_, other, _)| std::ptr::eq(*other, point))
            });
            let [warm, cold] = nanos;
            let [on_warm, on_cold] = on.map(|on| on.to_string());
            let size = point.bytes_per_key.to_string();
            rows.push([
                line.name.clone(),
                point.label.clone(),
                size,
                warm,
                cold,
                on_warm,
                on_cold,
            ]);
        }
    }
    if let Some((name, nanos)) = input.weightless {
        let [warm, cold] =
            nanos.map(|nanos| nanos.map_or_else(String::new, |nanos| nanos.to_string()));
        let none = String::new;
        rows.push([
            name.to_owned(),
            none(),
            "0".to_owned(),
            warm,
            cold,
            none(),
            none(),
        ]);
    }
    csv(
        [
            "index",
            "point",
            "bytes_per_key",
            "warm_ns",
            "cold_ns",
            "front_warm",
            "front_cold",
        ],
        rows,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, points: &[(&str, f64, f64)]) -> ParetoLine {
        let point = |(label, bytes_per_key, nanos): &(&str, f64, f64)| ParetoPoint {
            label: (*label).to_owned(),
            bytes_per_key: *bytes_per_key,
            nanos: [Some(*nanos), None],
        };
        ParetoLine {
            name: name.to_owned(),
            points: points.iter().map(point).collect(),
        }
    }

    #[test]
    fn the_front_holds_what_nothing_beats_in_both() {
        let lines = [
            line(
                "a",
                &[("64", 0.01, 90.0), ("16", 0.1, 70.0), ("4", 1.0, 75.0)],
            ),
            line("b", &[("", 0.1, 80.0)]),
        ];
        let found: Vec<(&str, &str)> = front(&lines, 0)
            .iter()
            .map(|(line, point, _)| (line.name.as_str(), point.label.as_str()))
            .collect();
        assert_eq!(found, [("a", "64"), ("a", "16")]);
        assert!(front(&lines, 1).is_empty());
    }

    #[test]
    fn a_figure_has_its_numbers_and_no_panel_without_data() {
        let lines = [
            line("fence", &[("", 0.25, 100.0)]),
            line("pgm", &[("64", 0.01, 90.0), ("16", 0.1, 70.0)]),
        ];
        let weightless = Some(("binary search", [Some(150.0), None]));
        let input = ParetoInput {
            set: "s",
            subtitle: "",
            provenance: "made up",
            baseline: "fence",
            lines: &lines,
            weightless,
        };
        let figure = pareto(&input).expect("it can be drawn");
        let svg = figure.svg().expect("it can be drawn");
        assert!(
            svg.contains("warm look-up") && !svg.contains("cold look-up") && !svg.contains("NaN")
        );
        assert!(svg.contains("binary search, 0 bytes") && svg.contains("made up"));
        assert_eq!(
            figure.csv.lines().nth(2),
            Some("pgm,64,0.01,90,,true,false")
        );
    }
}
