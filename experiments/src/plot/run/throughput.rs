//! Throughput over time, with stalls.

use super::series::{TimeBin, over_time, without_tail};
use super::{FigureKind, Page, Words};
use crate::formats::csv;
use crate::plot::chart::axis::Axis;
use crate::plot::chart::lines::{Lane, Line, LineChart, LinePoint, Panel, StallSpan};
use crate::point::Point;
use crate::record::SeriesPoint;

/// Lines that one pair of axes may hold before they hide each other.
const LINES_MAX: usize = 4;

const CAPTION: &str = "Operations a second, mean over the seeds. The strips below show when \
    writers waited for the engine: the fuller the colour, the larger the share of the time.";

const TAIL: &str = " Lines end where the first client had done its last operation: what the others \
    did alone after that is not drawn.";

/// One variant over time.
struct Series<'a> {
    variant: &'a str,
    bins: Vec<TimeBin>,
    /// Whether the time after the first client's last operation was left out.
    is_cut: bool,
}

impl Page<'_> {
    pub(super) fn throughput(&mut self) {
        let before = self.figures.drawn.len();
        for phase in self.phases() {
            for point in self.points() {
                let mut series = Vec::new();
                for (variant, trials) in self.trials(point) {
                    let slices = trials.iter().filter_map(|trial| trial.series.get(phase));
                    let slices: Vec<&Vec<SeriesPoint>> = slices.collect();
                    let cut: Vec<_> = slices.iter().map(|all| without_tail(all)).collect();
                    if let Some(bins) = over_time(&cut) {
                        let is_cut = slices
                            .iter()
                            .zip(&cut)
                            .any(|(all, cut)| all.len() > cut.len());
                        series.push(Series {
                            variant,
                            bins,
                            is_cut,
                        });
                    }
                }
                if !series.is_empty() {
                    self.throughput_of(phase, point, &series);
                }
            }
        }
        let why = "no trial has slices of time";
        self.skip_if_none(FigureKind::Throughput, before, why);
    }

    fn throughput_of(&mut self, phase: &str, point: &Point, series: &[Series]) {
        let chart = chart(series);
        let words = Words {
            kind: FigureKind::Throughput,
            part: phase.to_owned(),
            title: format!("Throughput over time, phase {phase}"),
            subtitle: self.subtitle(point),
            caption: caption(series) + &chart.coinciding(),
            csv: numbers(series),
        };
        let variants: Vec<&str> = series.iter().map(|series| series.variant).collect();
        let scene = chart.draw(&self.frame(&words), &variants, &self.styles);
        self.add(words, scene);
    }
}

fn caption(series: &[Series]) -> String {
    let mut caption = CAPTION.to_owned();
    if series.iter().any(|series| series.is_cut) {
        caption += TAIL;
    }
    caption
}

fn chart<'a>(series: &[Series<'a>]) -> LineChart<'a> {
    let bins = || series.iter().flat_map(|series| &series.bins);
    let end = bins().map(|bin| bin.to).fold(0.0, f64::max);
    let top = bins().map(|bin| bin.rate).fold(0.0, f64::max);
    let stalled = bins().any(|bin| bin.stalled > 0.0);
    let mut panels: Vec<Panel> = Vec::new();
    for Series { variant, bins, .. } in series {
        if series.len() > LINES_MAX || panels.is_empty() {
            panels.push(Panel::default());
        }
        let panel = panels.last_mut().expect("one was just pushed");
        panel.lines.push(line(variant, bins));
        if stalled {
            panel.lanes.push(lane(variant, bins));
        }
    }
    let mut ticks = Axis::linear("", 0.0, end).ticks;
    ticks.retain(|tick| tick.value <= end);
    LineChart {
        x: Axis::from_zero("time since the phase began (s)", end, ticks),
        y: Axis::linear("throughput (ops/s)", 0.0, top),
        panels,
        marked: false,
    }
}

fn line<'a>(variant: &'a str, bins: &[TimeBin]) -> Line<'a> {
    let point = |bin: &TimeBin| LinePoint {
        x: bin.middle(),
        y: bin.rate,
        half_width: None,
    };
    Line {
        variant,
        points: bins.iter().map(point).collect(),
        thin: false,
    }
}

fn lane<'a>(variant: &'a str, bins: &[TimeBin]) -> Lane<'a> {
    let stalled = bins.iter().filter(|bin| bin.stalled > 0.0);
    let span = |bin: &TimeBin| StallSpan {
        from: bin.from,
        to: bin.to,
        share: bin.stalled,
    };
    Lane {
        variant,
        spans: stalled.map(span).collect(),
    }
}

fn numbers(series: &[Series]) -> String {
    let mut rows = Vec::new();
    for Series { variant, bins, .. } in series {
        for bin in bins {
            rows.push([
                (*variant).to_owned(),
                bin.from.to_string(),
                bin.to.to_string(),
                bin.rate.to_string(),
                bin.stalled.to_string(),
            ]);
        }
    }
    let header = [
        "variant",
        "from_s",
        "to_s",
        "throughput_ops",
        "stall_time_ratio",
    ];
    csv(header, rows)
}
