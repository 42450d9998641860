//! Simulation against reality: one panel for each way to reach the disk, a point for each variant.
//! On the diagonal both worlds have the same value.

use super::Figure;
use super::chart::axis::Axis;
use super::chart::labels::{Label, write_labels};
use super::chart::lines::{BELOW, RIGHT, WIDTH};
use super::chart::scene::{Anchor, FAINT, GREY, INK, Place, Room, SMALL, Scene, at, dash};
use super::chart::style::{Frame, MARGIN, Sample, Styles, legend};
use crate::formats::csv;

/// One variant in both worlds.
#[derive(Clone, Debug, PartialEq)]
pub struct FidelityMark {
    /// The variant, with its sweep point.
    pub label: String,
    /// What the simulation's numbers are, such as `shipped`.
    pub profile: String,
    /// The value on this machine.
    pub real: f64,
    /// The value in the simulation.
    pub simulated: f64,
}

/// The points of one panel.
#[derive(Clone, Debug, PartialEq)]
pub struct FidelityPanel {
    /// What the panel is of, such as `direct`.
    pub title: String,
    /// Its points.
    pub marks: Vec<FidelityMark>,
}

/// The words around a figure.
#[derive(Clone, Copy, Debug)]
pub struct FidelityWords<'a> {
    /// The metric and its unit.
    pub metric: &'a str,
    /// The window.
    pub phase: &'a str,
    /// What the points rest on.
    pub subtitle: &'a str,
    /// Experiment and version.
    pub provenance: &'a str,
}

/// The height of a panel.
const PANEL: f64 = 300.0;
/// The height between panels: the x axis and a title.
const GAP: f64 = 78.0;
/// The left end of the x axis.
const LEFT: f64 = MARGIN + 70.0;

const CAPTION: &str = "Each point is a variant; on the dashed diagonal both worlds have the same \
    value. A ranking that agrees rises from point to point.";

/// Draws a metric in a window; `None` without points.
pub fn draw_fidelity(words: &FidelityWords, panels: &[FidelityPanel]) -> Option<Figure> {
    let panels: Vec<&FidelityPanel> = panels.iter().filter(|it| !it.marks.is_empty()).collect();
    if panels.is_empty() {
        return None;
    }
    let title = format!("{} in {}, simulated and real", words.metric, words.phase);
    let frame = Frame {
        title: &title,
        subtitle: words.subtitle,
        provenance: words.provenance,
    };
    let mut names: Vec<&str> = Vec::new();
    for mark in panels.iter().flat_map(|panel| &panel.marks) {
        if !names.contains(&mark.profile.as_str()) {
            names.push(&mark.profile);
        }
    }
    let styles = Styles::new(&names, names[0]);
    let head = |scene: &mut Scene| {
        let top = frame.draw(scene);
        legend(scene, top, &names, &styles, Sample::MarkedLine)
    };
    let top = head(&mut Scene::new(WIDTH, 1.0)) + 20.0;
    let height = (PANEL + GAP) * panels.len() as f64 - GAP;
    let mut scene = Scene::new(WIDTH, (top + height + BELOW + 10.0).ceil());
    head(&mut scene);
    for (number, panel) in panels.iter().enumerate() {
        let top = top + number as f64 * (PANEL + GAP);
        draw_panel(&mut scene, panel, top, &styles);
    }
    Some(Figure {
        name: format!(
            "fidelity.{}.{}",
            file_name(words.metric),
            file_name(words.phase)
        ),
        caption: CAPTION.to_owned(),
        csv: numbers(&panels),
        title,
        scene,
    })
}

/// The first word, without what a file's name must not have.
fn file_name(text: &str) -> String {
    let word = text.split(' ').next().unwrap_or_default();
    word.replace(['/', '(', ')'], "-")
}

/// An axis over values of both worlds: logarithmic if all are positive.
fn axis(label: &str, marks: &[FidelityMark]) -> Axis {
    let values = || marks.iter().flat_map(|mark| [mark.real, mark.simulated]);
    let least = values().fold(f64::INFINITY, f64::min);
    let most = values().fold(f64::NEG_INFINITY, f64::max);
    if least > 0.0 && most / least > 2.0 {
        // Room on both sides, for labels.
        Axis::logarithmic(format!("{label} (logarithmic)"), least / 1.4, most * 1.4)
    } else {
        Axis::linear(label, least, most)
    }
}

fn draw_panel(scene: &mut Scene, panel: &FidelityPanel, top: f64, styles: &Styles) {
    let x = axis("real", &panel.marks);
    let y = axis("simulated", &panel.marks);
    let room = Room {
        left: LEFT,
        right: RIGHT,
        top,
        bottom: top + PANEL,
    };
    let place = |real: f64, simulated: f64| {
        at(
            LEFT + x.place(real) * (RIGHT - LEFT),
            room.bottom - y.place(simulated) * PANEL,
        )
    };
    let above = at(LEFT, top - 12.0);
    scene.text(above, &panel.title, SMALL, INK, Anchor::Left);
    draw_grid(scene, &x, &y, room, place);
    // Both axes have the same ends.
    let ends = vec![at(room.left, room.bottom), at(room.right, room.top)];
    scene.line(ends, GREY, 1.0, dash(5, 4));
    let mut labels = Vec::new();
    for mark in &panel.marks {
        let style = styles.of(&mark.profile);
        let middle = place(mark.real, mark.simulated);
        scene.mark(middle, style.marker, 4.0, style.color);
        labels.push(Label {
            place: middle,
            text: &mark.label,
            color: style.color,
        });
    }
    write_labels(scene, &labels);
    let middle = at(f64::midpoint(room.left, room.right), room.bottom + 38.0);
    scene.text(middle, &x.label, SMALL, INK, Anchor::Middle);
    let middle = at(MARGIN + 8.0, f64::midpoint(room.top, room.bottom));
    scene.text_upwards(middle, &y.label, SMALL, INK);
}

fn draw_grid(scene: &mut Scene, x: &Axis, y: &Axis, room: Room, place: impl Fn(f64, f64) -> Place) {
    for tick in &y.ticks {
        let height = place(tick.value, tick.value).y;
        scene.stroke(at(room.left, height), at(room.right, height), FAINT, 0.5);
        let beside = at(room.left - 6.0, height);
        scene.text(beside, &tick.label, SMALL, GREY, Anchor::Right);
    }
    for tick in &x.ticks {
        let across = place(tick.value, tick.value).x;
        scene.stroke(at(across, room.top), at(across, room.bottom), FAINT, 0.5);
        let below = at(across, room.bottom + 16.0);
        scene.text(below, &tick.label, SMALL, GREY, Anchor::Middle);
    }
    let axes = vec![
        at(room.left, room.top),
        at(room.left, room.bottom),
        at(room.right, room.bottom),
    ];
    scene.line(axes, GREY, 1.0, None);
}

fn numbers(panels: &[&FidelityPanel]) -> String {
    let mut rows = Vec::new();
    for panel in panels {
        for mark in &panel.marks {
            rows.push([
                panel.title.clone(),
                mark.profile.clone(),
                mark.label.clone(),
                mark.real.to_string(),
                mark.simulated.to_string(),
            ]);
        }
    }
    csv(["panel", "profile", "variant", "real", "simulated"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> FidelityWords<'static> {
        FidelityWords {
            metric: "run.throughput_ops (ops/s)",
            phase: "run",
            subtitle: "2 seeds",
            provenance: "made up",
        }
    }

    #[test]
    fn a_figure_labels_its_points_and_has_their_numbers() {
        let mark = |label: &str, profile: &str, real, simulated| FidelityMark {
            label: label.to_owned(),
            profile: profile.to_owned(),
            real,
            simulated,
        };
        let panels = [
            FidelityPanel {
                title: "direct".to_owned(),
                marks: vec![
                    mark("lru", "shipped", 1000.0, 4000.0),
                    mark("sieve", "calibrated", 2000.0, 2100.0),
                ],
            },
            FidelityPanel {
                title: "page-cache".to_owned(),
                marks: Vec::new(),
            },
        ];
        let figure = draw_fidelity(&words(), &panels).expect("there are points");
        assert_eq!(figure.name, "fidelity.run.throughput_ops.run");
        let svg = figure.svg().expect("it can be drawn");
        for word in [
            "lru",
            "sieve",
            "calibrated",
            "direct",
            "made up",
            "simulated",
        ] {
            assert!(svg.contains(word), "{word}");
        }
        for word in ["page-cache", "NaN"] {
            assert!(!svg.contains(word), "{word}");
        }
        assert_eq!(
            figure.csv.lines().nth(1),
            Some("direct,shipped,lru,1000,4000")
        );
    }

    #[test]
    fn without_points_there_is_no_figure() {
        assert!(draw_fidelity(&words(), &[]).is_none());
    }
}
