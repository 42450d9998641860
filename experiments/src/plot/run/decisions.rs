//! What agents and self-tuners decided, under the phases of the workload.

use std::collections::BTreeMap;

use super::series::without_tail;
use super::{FigureKind, Page, Words};
use crate::formats::csv;
use crate::plot::chart::axis::Axis;
use crate::plot::chart::lines::{Line, LinePoint};
use crate::plot::chart::style::BACKGROUND_NAME;
use crate::plot::chart::timeline::{Band, Change, Lane, Tick, Timeline};
use crate::point::{self, Point};
use crate::record::SeriesPoint;
use crate::store::{Decided, Maker, StoredTrial, operations_at, pieces};

/// The most figures: an experiment with many agents and points has a page to fill.
const FIGURES_MAX: usize = 40;

/// Points of a phase's line at most.
const PIECES: u64 = 40;

/// A throughput that is this many times the least one makes the axis logarithmic.
const FAR_APART: f64 = 8.0;

const CAPTION: &str = "Throughput over operations, and below it what was decided, a mark for each \
    place: in the upper half of a lane what was raised, in the lower half what was lowered, over \
    both what is neither, or was set for the first time. The fuller a mark, the more decisions it \
    stands for; a lane's name has their number. Decisions that changed nothing are left out, and \
    so are those of load, steps and waits.";

/// One trial over its operations.
struct Course<'a> {
    seed: u64,
    phases: Vec<Span<'a>>,
}

/// A phase of a trial.
struct Span<'a> {
    name: &'a str,
    slices: &'a [SeriesPoint],
    /// Operations of the phases before it.
    from: u64,
    operations: u64,
    /// Operations a second in the middle of each piece.
    points: Vec<LinePoint>,
}

/// A decision in its lane.
struct Placed<'a> {
    lane: String,
    at: f64,
    decided: &'a Decided,
}

impl Page<'_> {
    pub(super) fn decisions(&mut self) {
        let before = self.figures.drawn.len();
        let phases = self.phases();
        let mut left_out = 0;
        for point in self.points() {
            for (variant, trials) in self.trials(point) {
                let shown = trials.iter().find(|trial| {
                    let mut decisions = trial.decisions.iter();
                    decisions.any(|it| phases.contains(&it.phase.as_str()) && lane_of(it).is_some())
                });
                let Some(shown) = shown else { continue };
                if self.figures.drawn.len() - before < FIGURES_MAX {
                    self.decisions_of(variant, point, shown, &trials, &phases);
                } else {
                    left_out += 1;
                }
            }
        }
        if left_out > 0 {
            let why = format!("{left_out} variants and points are not drawn: {FIGURES_MAX} are");
            self.skip(FigureKind::Decisions, &why);
        }
        let why = "no agent and no self-tuner decided anything in a phase";
        self.skip_if_none(FigureKind::Decisions, before, why);
    }

    fn decisions_of(
        &mut self,
        variant: &str,
        point: &Point,
        shown: &StoredTrial,
        trials: &[&StoredTrial],
        phases: &[&str],
    ) {
        let course = Course::of(shown, phases);
        if course.phases.is_empty() {
            return;
        }
        let placed = course.placed(&shown.decisions);
        let others = trials
            .iter()
            .filter(|trial| trial.manifest.seed != course.seed)
            .map(|trial| Course::of(trial, phases));
        let others: Vec<Course> = others.collect();
        let chart = chart(variant, &course, &others, &placed);
        let words = Words {
            kind: FigureKind::Decisions,
            part: file_part(variant),
            title: format!("Decisions of {variant}"),
            subtitle: if point.is_empty() {
                format!("seed {}", course.seed)
            } else {
                format!("{}, seed {}", point::label(point), course.seed)
            },
            caption: if others.is_empty() {
                CAPTION.to_owned()
            } else {
                format!("{CAPTION} Thin: the throughput under the other seeds.")
            },
            csv: numbers(&course, &placed),
        };
        let scene = chart.draw(&self.frame(&words), &self.styles);
        self.add(words, scene);
    }
}

/// A variant's name as part of a file's.
fn file_part(variant: &str) -> String {
    let lawful = |letter: char| letter.is_alphanumeric() || "-_".contains(letter);
    let letters = variant.chars();
    letters
        .map(|letter| if lawful(letter) { letter } else { '-' })
        .collect()
}

impl<'a> Span<'a> {
    /// A phase that begins after `from` operations; `None` without slices, or an operation.
    fn of(trial: &'a StoredTrial, name: &'a str, from: u64) -> Option<Self> {
        let slices = trial.series.get(name)?;
        let pieces = pieces(without_tail(slices), PIECES);
        let points = pieces.iter().filter(|piece| piece.nanos > 0);
        let points = points.map(|piece| LinePoint {
            x: (from + piece.from) as f64 + piece.operations as f64 / 2.0,
            y: 1e9 / piece.cost(),
            half_width: None,
        });
        let points: Vec<LinePoint> = points.collect();
        let operations = slices.iter().map(|slice| slice.operations).sum();
        (!points.is_empty()).then_some(Self {
            name,
            slices,
            from,
            operations,
            points,
        })
    }

    fn end(&self) -> f64 {
        (self.from + self.operations) as f64
    }

    /// Its line, from its start to its end.
    fn line(&self, variant: &'a str, thin: bool) -> Line<'a> {
        let first = self.points.first().map(|point| LinePoint {
            x: self.from as f64,
            ..*point
        });
        let last = self.points.last().map(|point| LinePoint {
            x: self.end(),
            ..*point
        });
        let between = self.points.iter().copied();
        Line {
            variant,
            points: first.into_iter().chain(between).chain(last).collect(),
            thin,
        }
    }
}

impl<'a> Course<'a> {
    fn of(trial: &'a StoredTrial, phases: &[&'a str]) -> Self {
        let mut spans: Vec<Span> = Vec::new();
        let mut from = 0;
        for name in phases {
            if let Some(span) = Span::of(trial, name, from) {
                from += span.operations;
                spans.push(span);
            }
        }
        Self {
            seed: trial.manifest.seed,
            phases: spans,
        }
    }

    fn end(&self) -> f64 {
        self.phases.last().map_or(0.0, Span::end)
    }

    fn lines(&self, variant: &'a str, thin: bool) -> impl Iterator<Item = Line<'a>> {
        self.phases.iter().map(move |span| span.line(variant, thin))
    }

    /// The decisions that have a lane, each at the operation that ended last before it.
    fn placed<'b>(&self, decisions: &'b [Decided]) -> Vec<Placed<'b>> {
        let place = |decided: &'b Decided| {
            let lane = lane_of(decided)?;
            let span = self.phases.iter().find(|it| it.name == decided.phase)?;
            let at = span.from as f64 + operations_at(span.slices, decided.at_nanos);
            Some(Placed { lane, at, decided })
        };
        decisions.iter().filter_map(place).collect()
    }
}

/// The lane that a decision belongs to; `None` if it changed nothing.
fn lane_of(decided: &Decided) -> Option<String> {
    if decided.is_refused() {
        return Some("refused".to_owned());
    }
    match decided.maker {
        Maker::SelfTuner if decided.outcome == "unchanged" => None,
        Maker::SelfTuner => Some(decided.outcome.replace('-', " ")),
        Maker::Agent if !decided.is_done() => None,
        Maker::Agent => Some(match (decided.action.as_deref()?, decided.level) {
            ("set-runs", Some(level)) => format!("runs of level {level}"),
            ("set-level0-trigger", _) => "level-0 trigger".to_owned(),
            ("merge", _) => "merges".to_owned(),
            ("set-filter-bits", _) => "filter bits".to_owned(),
            ("set-write-rate", _) => "write rate".to_owned(),
            (action, _) => action.trim_start_matches("set-").to_owned(),
        }),
    }
}

/// The lanes whose order is not that of their names: those of steps as they follow one another,
/// and what was not possible last.
const LAST: [&str; 8] = [
    "proposed",
    "applied",
    "kept",
    "undone",
    "abandoned",
    "fell back",
    "restored",
    "refused",
];

/// The place of a lane among the others; those of one place stand in the order of their names.
fn rank(lane: &str) -> usize {
    let last = LAST.iter().position(|name| *name == lane);
    last.map_or(0, |place| place + 1)
}

fn change_of(decided: &Decided) -> Change {
    let is_change = match decided.maker {
        Maker::SelfTuner => decided.outcome == "applied",
        Maker::Agent => decided.is_done(),
    };
    if !is_change {
        return Change::Other;
    }
    match decided.previous.zip(decided.value) {
        Some((before, now)) if now > before => Change::Raised,
        Some((before, now)) if now < before => Change::Lowered,
        _ => Change::Other,
    }
}

fn chart<'a>(
    variant: &'a str,
    course: &Course<'a>,
    others: &[Course<'a>],
    placed: &[Placed],
) -> Timeline<'a> {
    let behind = others.iter();
    let behind = behind.flat_map(|other| other.lines(BACKGROUND_NAME, true));
    let lines: Vec<Line> = behind.chain(course.lines(variant, false)).collect();
    let rates = || lines.iter().flat_map(|line| &line.points);
    let top = rates().map(|point| point.y).fold(0.0, f64::max);
    let low = rates().map(|point| point.y).fold(top, f64::min);
    let end = others.iter().map(Course::end).fold(course.end(), f64::max);
    let mut ticks = Axis::linear("", 0.0, end).ticks;
    ticks.retain(|tick| tick.value <= end);
    let mut lanes: BTreeMap<(usize, &str), Vec<Tick>> = BTreeMap::new();
    for Placed { lane, at, decided } in placed {
        lanes.entry((rank(lane), lane)).or_default().push(Tick {
            x: *at,
            change: change_of(decided),
        });
    }
    let lanes = lanes.into_iter().map(|((_, name), ticks)| Lane {
        name: name.to_owned(),
        ticks,
    });
    let bands = course.phases.iter().map(|span| Band {
        name: span.name,
        from: span.from as f64,
        to: span.end(),
    });
    Timeline {
        x: Axis::from_zero("operations since the first phase began", end, ticks),
        y: if low > 0.0 && top / low >= FAR_APART {
            Axis::logarithmic("throughput (ops/s), logarithmic", low, top)
        } else {
            Axis::linear("throughput (ops/s)", 0.0, top)
        },
        bands: bands.collect(),
        lines,
        lanes: lanes.collect(),
    }
}

fn numbers(course: &Course, placed: &[Placed]) -> String {
    let seed = course.seed.to_string();
    let row = |what: &str, at: f64, value: String| {
        let at = at.round().to_string();
        [what.to_owned(), seed.clone(), at, value]
    };
    let points = course.phases.iter().flat_map(|span| &span.points);
    let mut rows: Vec<[String; 4]> = points
        .map(|point| row("throughput_ops", point.x, point.y.to_string()))
        .collect();
    for Placed { lane, at, decided } in placed {
        let value = decided.value.map_or_else(String::new, |it| it.to_string());
        rows.push(row(lane, *at, value));
    }
    csv(["what", "seed", "operations", "value"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::tests::stored;
    use crate::plot::{self, Figures, PlotInput};
    use crate::record::{Boundary, PhaseMeasure};
    use crate::testing::{rows_of, sample_trial};

    /// Figures of two seeds of one variant. The first seed's agent decided this, in the phases
    /// `run` (ten slices of 0.1 s with 500 to 509 operations) and `reads` (the first two of them).
    fn figures(decisions: Vec<Decided>) -> Figures {
        let mut trials = [0, 1].map(|seed| sample_trial("an agent", seed, 1));
        for trial in &mut trials {
            let nobody = Boundary::default;
            let reads = PhaseMeasure::quiet("reads", 200_000_000, nobody(), nobody());
            trial.phases.insert(1, reads);
        }
        let rows = rows_of(&trials);
        let mut stored = trials.each_ref().map(stored);
        for trial in &mut stored {
            let reads = trial.series["run"][..2].to_vec();
            trial.series.insert("reads".to_owned(), reads);
        }
        stored[0].decisions = decisions;
        let input = PlotInput {
            rows: &rows,
            trials: &stored,
            comparison: None,
            primary: &[],
            baseline: "an agent",
            settings: &BTreeMap::new(),
            provenance: "sample",
        };
        plot::figures(&[FigureKind::Decisions], &input)
    }

    fn decided(phase: &str, at_nanos: u64, previous: Option<f64>, value: f64) -> Decided {
        Decided {
            maker: Maker::Agent,
            phase: phase.to_owned(),
            window: 1,
            operations: Some(1),
            at_nanos,
            action: Some("set-runs".to_owned()),
            level: Some(1),
            value: Some(value),
            previous,
            detail: None,
            reason: "because".to_owned(),
            outcome: "done".to_owned(),
            cost_before: None,
            cost_after: None,
            effect_windows: None,
        }
    }

    #[test]
    fn decisions_stand_at_their_operations_under_the_phases() {
        let step = |outcome: &str| Decided {
            maker: Maker::SelfTuner,
            outcome: outcome.to_owned(),
            ..decided("reads", 0, None, 3.0)
        };
        let drawn = figures(vec![
            decided("load", 1, None, 1.0),
            decided("run", 150_000_000, Some(1.0), 4.0),
            decided("reads", 100_000_000, Some(4.0), 2.0),
            step("fell-back"),
            step("unchanged"),
            step("refused"),
        ]);
        let [figure] = &drawn.drawn[..] else {
            panic!("{:?}", drawn.skipped)
        };
        assert_eq!(figure.name, "decisions.an-agent");
        let svg = figure.svg().expect("it can be drawn");
        for word in [
            "\nrun\n",
            "reads",
            "runs of level 1 (2)",
            "fell back (1)",
            "refused (1)",
            "throughput (ops/s)",
            "seed 0",
        ] {
            assert!(svg.contains(word), "{word}");
        }
        assert!(!svg.contains("unchanged") && !svg.contains("NaN"));
        let place = |word: &str| svg.find(word).expect("it was found above");
        assert!(
            place("runs of level 1") < place("fell back"),
            "an agent's lanes come first"
        );
        assert!(place("fell back") < place("refused"));
        let lines: Vec<&str> = figure.csv.lines().collect();
        assert_eq!(lines[0], "what,seed,operations,value");
        // The first slice of `run` has 500 operations, half of the second one 250.5; `run` has
        // 5,045 in all, and the first slice of `reads` 500.
        assert!(lines.contains(&"runs of level 1,0,751,4"), "{}", figure.csv);
        assert!(lines.contains(&"runs of level 1,0,5545,2"));
        assert!(lines.contains(&"fell back,0,5045,3"));
        let throughput = lines.iter().filter(|it| it.starts_with("throughput"));
        assert_eq!(throughput.count(), 12, "a point for each slice");
    }

    #[test]
    fn many_decisions_share_marks_and_none_is_no_figure() {
        let shapes = |count: u64| {
            let decisions = (0..count).map(|number| {
                let previous = Some((number % 2) as f64);
                decided("run", number * 1_000_000_000 / count, previous, 0.5)
            });
            let drawn = figures(decisions.collect());
            assert_eq!(drawn.drawn[0].csv.lines().count(), 13 + count as usize);
            let svg = drawn.drawn[0].svg().expect("it can be drawn");
            assert!(svg.contains(&format!("runs of level 1 ({count})")));
            svg.matches("<rect").count()
        };
        let (few, many) = (shapes(20), shapes(20_000));
        assert!(few >= 20, "each has a mark: {few}");
        assert!(
            many < 600,
            "marks that cannot be seen apart are one: {many}"
        );
        let drawn = figures(Vec::new());
        assert!(drawn.drawn.is_empty());
        assert_eq!(
            drawn.skipped,
            ["decisions: no agent and no self-tuner decided anything in a phase"]
        );
    }
}
