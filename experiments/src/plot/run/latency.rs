//! Latency by percentile.

use super::series::{merged, spectrum};
use super::{FigureKind, Page, Words};
use crate::formats::csv;
use crate::plot::chart::axis::Axis;
use crate::plot::chart::lines::{Line, LineChart, panels};
use crate::point::Point;
use crate::record::OpClass;
use crate::store::{HistogramKey, StoredTrial};

impl<'a> Page<'a> {
    pub(super) fn latency(&mut self) {
        let before = self.figures.drawn.len();
        for (key, point) in self.histogram_places() {
            let spectra = self.spectra(&key, point);
            if !spectra.is_empty() {
                self.latency_of(&key, point, spectra);
            }
        }
        let why = "no trial has latency histograms";
        self.skip_if_none(FigureKind::Latency, before, why);
    }

    /// Where trials may have histograms: each phase, class of operation and sweep point.
    pub(super) fn histogram_places(&self) -> Vec<(HistogramKey, &'a Point)> {
        let mut places = Vec::new();
        for phase in self.phases() {
            for class in OpClass::ALL {
                let phase = phase.to_owned();
                let key = HistogramKey { phase, class };
                places.extend(self.points().into_iter().map(|point| (key.clone(), point)));
            }
        }
        places
    }

    /// Each variant's lines: the main one counts from the intended start, a thin one from the
    /// actual start.
    fn spectra(&self, key: &HistogramKey, point: &Point) -> Vec<Line<'a>> {
        let mut spectra = Vec::new();
        for (variant, trials) in self.trials(point) {
            for thin in [false, true] {
                let histogram = |trial: &&'a StoredTrial| {
                    if thin {
                        trial.service.get(key)
                    } else {
                        trial.latency.get(key)
                    }
                };
                if let Some(merged) = merged(trials.iter().filter_map(histogram)) {
                    spectra.push(Line {
                        variant,
                        points: spectrum(&merged),
                        thin,
                    });
                }
            }
        }
        spectra
    }

    fn latency_of(&mut self, key: &HistogramKey, point: &Point, spectra: Vec<Line>) {
        let phase = &key.phase;
        let op = key.class.name();
        let open_loop = spectra.iter().any(|line| line.thin);
        let meaning = if open_loop {
            "Thick lines count from when an operation was due, thin ones from when it began."
        } else {
            "Closed loop: the next operation waits for the last, so that queueing is not in it."
        };
        let csv = numbers(&spectra);
        let mut variants: Vec<&str> = spectra.iter().map(|line| line.variant).collect();
        variants.dedup();
        let chart = chart(spectra, self.input.baseline);
        let others = if chart.panels.len() > 1 {
            " Thin and grey: the other variants."
        } else {
            ""
        };
        let words = Words {
            kind: FigureKind::Latency,
            part: format!("{phase}.{op}"),
            title: format!("Latency of {op} operations, phase {phase}"),
            subtitle: self.subtitle(point),
            caption: format!(
                "Latency by percentile, all seeds in one histogram. {meaning}{others}{}",
                chart.coinciding()
            ),
            csv,
        };
        let scene = chart.draw(&self.frame(&words), &variants, &self.styles);
        self.add(words, scene);
    }
}

fn chart<'a>(spectra: Vec<Line<'a>>, baseline: &str) -> LineChart<'a> {
    let points = || spectra.iter().flat_map(|line| &line.points);
    let least = points().map(|point| point.y).fold(f64::INFINITY, f64::min);
    let top = points().map(|point| point.y).fold(0.0, f64::max);
    let end = points().map(|point| point.x).fold(1.0, f64::max);
    LineChart {
        x: Axis::nines("percentile (each nine takes the same room)", end),
        y: Axis::logarithmic("latency (\u{b5}s, logarithmic)", least.max(1e-3), top),
        panels: panels(spectra, &[baseline]),
        marked: false,
    }
}

fn numbers(spectra: &[Line]) -> String {
    let mut rows = Vec::new();
    for line in spectra {
        let start = if line.thin { "actual" } else { "intended" };
        for point in &line.points {
            let quantile = 1.0 - 10_f64.powf(-point.x);
            rows.push([
                line.variant.to_owned(),
                start.to_owned(),
                quantile.to_string(),
                point.y.to_string(),
            ]);
        }
    }
    csv(["variant", "start", "quantile", "latency_us"], rows)
}
