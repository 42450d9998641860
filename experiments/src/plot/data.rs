//! Which numbers go into which figure.

use std::collections::BTreeMap;

use bytesize::ByteSize;

use super::axis::Axis;
use super::bars::{Bar, BarChart, Group, Panel};
use super::lines::{Lane, Line, LineChart, LinePoint};
use super::series::{TimeBin, merged, over_time, spectrum};
use super::{Kind, Page, PlotError, Words, forest, lines};
use crate::compare::{self, CompareRow};
use crate::record::OpClass;
use crate::stats::{self, Estimate};
use crate::store::{Point, StoredTrial, TidyRow, csv, order_points, point_label};

/// Rows of a forest that are read at a glance; of more, only those of primary metrics are drawn.
const FOREST_ROWS_MAX: usize = 16;

/// Lines that one set of axes may hold before they hide each other.
const LINES_MAX: usize = 4;

/// What a Bloom filter's false-positive rate falls to with each bit a key: 0.5 to the power of ln 2.
const BLOOM_BASE: f64 = 0.618_503_137_801_576_2;

/// A variant's mean over seeds, with half the width of its interval.
#[derive(Clone, Copy)]
struct Mean {
    value: f64,
    half_width: Option<f64>,
}

impl Mean {
    fn of(values: &[f64]) -> Option<Self> {
        let half_width = Estimate::of(values).map(|estimate| estimate.half_width(0.95));
        (!values.is_empty()).then(|| Self {
            value: stats::mean(values),
            half_width,
        })
    }
}

/// A value derived from one trial's metrics in one phase.
type Derived<'a> = &'a dyn Fn(&BTreeMap<&str, f64>) -> Option<f64>;

/// The mean over seeds of something derived from metrics, by variant.
fn means<'a>(
    rows: &'a [TidyRow],
    phase: &str,
    point: &Point,
    derived: Derived,
) -> BTreeMap<&'a str, Mean> {
    let mut trials: BTreeMap<(&str, u64), BTreeMap<&str, f64>> = BTreeMap::new();
    for row in rows
        .iter()
        .filter(|row| row.phase == phase && row.point == *point)
    {
        trials
            .entry((&row.variant, row.seed))
            .or_default()
            .insert(&row.metric, row.value);
    }
    let mut values: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for ((variant, _), metrics) in &trials {
        values.entry(variant).or_default().extend(derived(metrics));
    }
    values
        .into_iter()
        .filter_map(|(variant, values)| Some((variant, Mean::of(&values)?)))
        .collect()
}

fn metric(name: &'static str) -> impl Fn(&BTreeMap<&str, f64>) -> Option<f64> {
    move |metrics| metrics.get(name).copied()
}

/// What differs between the points of a sweep: the keys, and a point's values.
fn point_keys(points: &[&Point]) -> String {
    points.first().map_or_else(String::new, |point| {
        point.keys().cloned().collect::<Vec<_>>().join(", ")
    })
}

fn point_values(point: &Point) -> String {
    point.values().cloned().collect::<Vec<_>>().join(", ")
}

const INTERVALS: &str = "Whiskers are 95 % Student intervals over the seeds.";

impl<'a> Page<'a> {
    /// The trials of a phase at a point, by variant.
    fn trials(&self, point: &Point) -> BTreeMap<&'a str, Vec<&'a StoredTrial>> {
        let mut trials: BTreeMap<&str, Vec<&StoredTrial>> = BTreeMap::new();
        for trial in self
            .input
            .trials
            .iter()
            .filter(|trial| trial.manifest.point == *point)
        {
            trials
                .entry(&trial.manifest.variant)
                .or_default()
                .push(trial);
        }
        trials
    }

    pub(super) fn forest(&mut self) -> Result<(), PlotError> {
        let rows = self
            .input
            .comparison
            .map_or(&[][..], |comparison| &comparison.rows);
        let mut places: Vec<(&str, &Point)> = Vec::new();
        for row in rows {
            if !places.contains(&(row.phase.as_str(), &row.point)) {
                places.push((&row.phase, &row.point));
            }
        }
        if places.is_empty() {
            self.skip(Kind::Forest, "nothing was compared");
        }
        for (phase, point) in places {
            // Variants of a metric stand together.
            let mut here: Vec<&CompareRow> = rows
                .iter()
                .filter(|row| row.phase == phase && row.point == *point)
                .collect();
            if here.len() > FOREST_ROWS_MAX {
                here.retain(|row| row.primary);
            }
            let metrics: Vec<&str> = here.iter().map(|row| row.metric.as_str()).collect();
            let rank = |name: &str| metrics.iter().position(|metric| *metric == name);
            here.sort_by_key(|row| rank(&row.metric));
            let words = Words {
                kind: Kind::Forest,
                part: phase.to_owned(),
                title: format!("Change against {}, phase {phase}", here[0].baseline),
                subtitle: self.subtitle(point),
                caption: format!(
                    "Effect of each variant against {} with its 95 % Student interval over paired seeds; the band is the \
                     margin within which a difference does not matter. Diamonds at the edge lie beyond it.",
                    here[0].baseline
                ),
                csv: compare::to_csv(&here.iter().map(|row| (*row).clone()).collect::<Vec<_>>()),
            };
            let scene = forest::draw(&here, &self.frame(&words))?;
            self.add(words, scene);
        }
        Ok(())
    }

    pub(super) fn throughput(&mut self) -> Result<(), PlotError> {
        let before = self.figures.drawn.len();
        for phase in compare::phases(self.input.rows) {
            for point in compare::points(self.input.rows) {
                let trials = self.trials(point);
                let slices = |(variant, trials): (&&'a str, &Vec<&'a StoredTrial>)| {
                    let slices: Vec<_> = trials
                        .iter()
                        .filter_map(|trial| trial.series.get(phase))
                        .collect();
                    Some((*variant, over_time(&slices)?))
                };
                let series: Vec<(&str, Vec<TimeBin>)> = trials.iter().filter_map(slices).collect();
                if !series.is_empty() {
                    self.throughput_of(phase, point, &series)?;
                }
            }
        }
        if self.figures.drawn.len() == before {
            self.skip(Kind::Throughput, "no trial has slices of time");
        }
        Ok(())
    }

    fn throughput_of(
        &mut self,
        phase: &str,
        point: &Point,
        series: &[(&str, Vec<TimeBin>)],
    ) -> Result<(), PlotError> {
        let bins = || series.iter().flat_map(|(_, bins)| bins);
        let (end, top) = (
            bins().map(|bin| bin.to).fold(0.0, f64::max),
            bins().map(|bin| bin.rate).fold(0.0, f64::max),
        );
        let several = series.len() > LINES_MAX;
        let stalled = bins().any(|bin| bin.stalled > 0.0);
        let mut panels: Vec<lines::Panel> = Vec::new();
        for (variant, bins) in series {
            if several || panels.is_empty() {
                panels.push(lines::Panel::default());
            }
            let point = |bin: &TimeBin| LinePoint {
                x: bin.middle(),
                y: bin.rate,
                half_width: None,
            };
            let spans = bins
                .iter()
                .filter(|bin| bin.stalled > 0.0)
                .map(|bin| (bin.from, bin.to, bin.stalled));
            let panel = panels.last_mut().expect("one was just pushed");
            panel.lines.push(Line {
                variant,
                points: bins.iter().map(point).collect(),
                thin: false,
            });
            if stalled {
                panel.lanes.push(Lane {
                    variant,
                    spans: spans.collect(),
                });
            }
        }
        let seconds = Axis::linear("time (s)", 0.0, end);
        let ticks = seconds
            .ticks
            .into_iter()
            .filter(|(tick, _)| *tick <= end)
            .collect();
        let chart = LineChart {
            x: Axis::fixed("time since the phase began (s)", (0.0, end), ticks),
            y: Axis::linear("throughput (ops/s)", 0.0, top),
            panels,
            marked: false,
        };
        let rows = series.iter().flat_map(|(variant, bins)| {
            bins.iter().map(|bin| {
                let [from, to, rate, stalled] =
                    [bin.from, bin.to, bin.rate, bin.stalled].map(|value| value.to_string());
                [(*variant).to_owned(), from, to, rate, stalled]
            })
        });
        let words = Words {
            kind: Kind::Throughput,
            part: phase.to_owned(),
            title: format!("Throughput over time, phase {phase}"),
            subtitle: self.subtitle(point),
            caption:
                "Operations a second, mean over the seeds. The strips below show when writers waited for the engine: \
                      the fuller the colour, the larger the share of the time."
                    .to_owned(),
            csv: csv(["variant", "from_s", "to_s", "throughput_ops", "stall_time_ratio"], rows),
        };
        let variants: Vec<&str> = series.iter().map(|(variant, _)| *variant).collect();
        let scene = chart.draw(&self.frame(&words), &variants, &self.styles)?;
        self.add(words, scene);
        Ok(())
    }

    pub(super) fn latency(&mut self) -> Result<(), PlotError> {
        let before = self.figures.drawn.len();
        for phase in compare::phases(self.input.rows) {
            for class in OpClass::ALL {
                for point in compare::points(self.input.rows) {
                    self.latency_of(phase, class, point)?;
                }
            }
        }
        if self.figures.drawn.len() == before {
            self.skip(Kind::Latency, "no trial has latency histograms");
        }
        Ok(())
    }

    fn latency_of(&mut self, phase: &str, class: OpClass, point: &Point) -> Result<(), PlotError> {
        // The variant's main line counts from the intended start, its thin one from the actual start.
        let mut spectra: Vec<Line> = Vec::new();
        for (variant, trials) in self.trials(point) {
            let key = (phase.to_owned(), class);
            for thin in [false, true] {
                let of = |trial: &&'a StoredTrial| {
                    if thin {
                        trial.service.get(&key)
                    } else {
                        trial.latency.get(&key)
                    }
                };
                if let Some(merged) = merged(trials.iter().filter_map(of)) {
                    spectra.push(Line {
                        variant,
                        points: spectrum(&merged),
                        thin,
                    });
                }
            }
        }
        if spectra.is_empty() {
            return Ok(());
        }
        let values = || spectra.iter().flat_map(|line| &line.points);
        let least = values()
            .map(|point| point.y)
            .fold(f64::INFINITY, f64::min)
            .max(1e-3);
        let (end, top) = values().fold((1.0_f64, 0.0_f64), |(end, top), at| {
            (end.max(at.x), top.max(at.y))
        });
        let open = spectra.iter().any(|line| line.thin);
        let mut variants: Vec<&str> = spectra.iter().map(|line| line.variant).collect();
        variants.dedup();
        let rows = spectra.iter().flat_map(|line| {
            let from = if line.thin { "actual" } else { "intended" };
            line.points.iter().map(move |at| {
                let quantile = 1.0 - 10_f64.powf(-at.x);
                [
                    line.variant.to_owned(),
                    from.to_owned(),
                    quantile.to_string(),
                    at.y.to_string(),
                ]
            })
        });
        let csv = csv(["variant", "start", "quantile", "latency_us"], rows);
        let meaning = if open {
            "Thick lines count from when an operation was due, thin ones from when it began."
        } else {
            "Closed loop: the next operation waits for the last, so that queueing is not in it."
        };
        let words = Words {
            kind: Kind::Latency,
            part: format!("{phase}.{}", class.name()),
            title: format!("Latency of {} operations, phase {phase}", class.name()),
            subtitle: self.subtitle(point),
            caption: format!("Latency by percentile, all seeds in one histogram. {meaning}"),
            csv,
        };
        let chart = LineChart {
            x: Axis::nines("percentile (each nine takes the same room)", end),
            y: Axis::logarithmic("latency (\u{b5}s, logarithmic)", least, top),
            panels: vec![lines::Panel {
                lines: spectra,
                ..lines::Panel::default()
            }],
            marked: false,
        };
        let scene = chart.draw(&self.frame(&words), &variants, &self.styles)?;
        self.add(words, scene);
        Ok(())
    }

    pub(super) fn amplification(&mut self) -> Result<(), PlotError> {
        let panels: [(&str, Derived, Option<f64>); 3] = [
            (
                "write (bytes written / user bytes)",
                &metric("write.amplification"),
                None,
            ),
            (
                "read (bytes read / user bytes)",
                &metric("read.amplification"),
                None,
            ),
            (
                "space (disk / reachable bytes)",
                &metric("space.amplification"),
                None,
            ),
        ];
        let caption = format!("Amplification from zero, mean over the seeds. {INTERVALS}");
        self.bars(Kind::Amplification, "Amplification", &caption, &panels)
    }

    pub(super) fn bound(&mut self) -> Result<(), PlotError> {
        let share = |part: &'static str, whole: &'static str| {
            move |metrics: &BTreeMap<&str, f64>| {
                let (part, whole) = (metrics.get(part)?, metrics.get(whole)?);
                (*whole > 0.0).then(|| part / whole)
            }
        };
        let bloom = |metrics: &BTreeMap<&str, f64>| {
            let bits = metrics
                .get("filter.bytes_per_key")
                .filter(|bytes| **bytes > 0.0)?
                * 8.0;
            Some(metrics.get("filter.false_positive_ratio")? / BLOOM_BASE.powf(bits))
        };
        let panels: [(&str, Derived, Option<f64>); 3] = [
            (
                "device write bandwidth used",
                &metric("device.write_bandwidth_ratio"),
                Some(1.0),
            ),
            (
                "index bytes / fence pointers",
                &share("index.bytes_per_key", "index.fence_bytes_per_key"),
                Some(1.0),
            ),
            ("false positives / Bloom's formula", &bloom, Some(1.0)),
        ];
        let caption = format!(
            "Each as a share of what it is measured against (dashed, 1): the device's write bandwidth, the bytes that fence \
             pointers would take, and 0.6185 to the power of the bits a key. Mean over the seeds. {INTERVALS}"
        );
        self.bars(Kind::Bound, "Distance to the bound", &caption, &panels)
    }

    pub(super) fn index(&mut self) -> Result<(), PlotError> {
        if !self
            .input
            .rows
            .iter()
            .any(|row| row.metric == "index.model_tables" && row.value > 0.0)
        {
            self.skip(Kind::Index, "no table has a model");
            return Ok(());
        }
        let panels: [(&str, Derived, Option<f64>); 5] = [
            (
                "index bytes / plain fence pointers",
                &metric("index.fence_ratio"),
                Some(1.0),
            ),
            (
                "data blocks examined a look-up",
                &metric("index.probes_per_lookup"),
                Some(1.0),
            ),
            (
                "reads of files a get",
                &metric("device.reads_per_get"),
                None,
            ),
            ("CPU time an operation (ns)", &metric("cpu.ns_per_op"), None),
            (
                "training / CPU time of compactions",
                &metric("index.training_cpu_ratio"),
                None,
            ),
        ];
        let caption = format!(
            "What the indexes of tables take and cost; dashed: what they are held against. {INTERVALS}"
        );
        self.bars(Kind::Index, "Table indexes", &caption, &panels)
    }

    fn bars(
        &mut self,
        kind: Kind,
        title: &str,
        caption: &str,
        of: &[(&str, Derived, Option<f64>)],
    ) -> Result<(), PlotError> {
        let before = self.figures.drawn.len();
        let points = compare::points(self.input.rows);
        for phase in compare::phases(self.input.rows) {
            let mut panels = Vec::new();
            for (name, derived, reference) in of {
                let groups = points.iter().map(|point| {
                    let bars = means(self.input.rows, phase, point, derived).into_iter();
                    let bar = |(variant, mean): (&'a str, Mean)| Bar {
                        variant,
                        value: mean.value,
                        half_width: mean.half_width,
                    };
                    Group {
                        label: point_values(point),
                        bars: bars.map(bar).collect(),
                    }
                });
                let groups: Vec<Group> = groups.filter(|group| !group.bars.is_empty()).collect();
                if !groups.is_empty() {
                    panels.push(Panel {
                        title: (*name).to_owned(),
                        groups,
                        reference: *reference,
                    });
                }
            }
            if panels.is_empty() {
                continue;
            }
            let mut rows = Vec::new();
            for panel in &panels {
                for group in &panel.groups {
                    for bar in &group.bars {
                        let half = bar
                            .half_width
                            .map_or_else(String::new, |half| half.to_string());
                        let value = bar.value.to_string();
                        rows.push([
                            panel.title.clone(),
                            group.label.clone(),
                            bar.variant.to_owned(),
                            value,
                            half,
                        ]);
                    }
                }
            }
            let words = Words {
                kind,
                part: phase.to_owned(),
                title: format!("{title}, phase {phase}"),
                subtitle: self.subtitle(&Point::new()),
                caption: caption.to_owned(),
                csv: csv(["panel", "point", "variant", "mean", "half_width_95"], rows),
            };
            let chart = BarChart {
                panels,
                groups_label: point_keys(&points),
            };
            let scene = chart.draw(&self.frame(&words), &self.variants, &self.styles)?;
            self.add(words, scene);
        }
        if self.figures.drawn.len() == before {
            self.skip(kind, "none of its metrics has a value");
        }
        Ok(())
    }

    pub(super) fn hit_ratio(&mut self) -> Result<(), PlotError> {
        let points = compare::points(self.input.rows);
        let size = |point: &&Point| {
            point
                .iter()
                .find_map(|(key, value)| Some((key.clone(), cache_size(key, value)?)))
        };
        let key = points.first().and_then(size).map(|(key, _)| key);
        match key {
            Some(key) if points.len() > 1 => self.hit_ratio_over(&key, &points),
            _ => {
                let panels: [(&str, Derived, Option<f64>); 1] =
                    [("block cache hit ratio", &metric("cache.hit_ratio"), None)];
                let caption =
                    format!("Data blocks found in the cache over those asked for. {INTERVALS}");
                self.bars(Kind::HitRatio, "Cache hit ratio", &caption, &panels)
            }
        }
    }

    /// One figure for each combination of the sweep's other keys.
    fn hit_ratio_over(&mut self, key: &str, points: &[&Point]) -> Result<(), PlotError> {
        let before = self.figures.drawn.len();
        let without = |point: &Point| -> Point {
            let mut rest = point.clone();
            rest.remove(key);
            rest
        };
        let mut others: Vec<Point> = points.iter().map(|point| without(point)).collect();
        others.sort_by(order_points);
        others.dedup();
        for phase in compare::phases(self.input.rows) {
            for other in &others {
                let mut lines: BTreeMap<&str, Vec<LinePoint>> = BTreeMap::new();
                let mut ticks = Vec::new();
                let mut rows = Vec::new();
                for point in points.iter().filter(|point| without(point) == *other) {
                    let Some((label, size)) = point
                        .get(key)
                        .and_then(|value| Some((value, cache_size(key, value)?)))
                    else {
                        continue;
                    };
                    ticks.push((size, label.clone()));
                    for (variant, mean) in
                        means(self.input.rows, phase, point, &metric("cache.hit_ratio"))
                    {
                        let half = mean.half_width.map(|half| half * 100.0);
                        let value = LinePoint {
                            x: size,
                            y: mean.value * 100.0,
                            half_width: half,
                        };
                        lines.entry(variant).or_default().push(value);
                        let half = mean
                            .half_width
                            .map_or_else(String::new, |half| half.to_string());
                        rows.push([
                            variant.to_owned(),
                            point_label(point),
                            size.to_string(),
                            mean.value.to_string(),
                            half,
                        ]);
                    }
                }
                if lines.is_empty() {
                    continue;
                }
                let words = Words {
                    kind: Kind::HitRatio,
                    part: phase.to_owned(),
                    title: format!("Cache hit ratio over cache size, phase {phase}"),
                    subtitle: self.subtitle(other),
                    caption: format!(
                        "Data blocks found in the cache over those asked for. {INTERVALS}"
                    ),
                    csv: csv(
                        [
                            "variant",
                            "point",
                            "cache_bytes",
                            "hit_ratio",
                            "half_width_95",
                        ],
                        rows,
                    ),
                };
                self.hit_ratio_lines(words, key, ticks, lines)?;
            }
        }
        if self.figures.drawn.len() == before {
            self.skip(Kind::HitRatio, "no phase asked the cache for a block");
        }
        Ok(())
    }

    fn hit_ratio_lines(
        &mut self,
        words: Words,
        key: &str,
        ticks: Vec<(f64, String)>,
        lines: BTreeMap<&str, Vec<LinePoint>>,
    ) -> Result<(), PlotError> {
        let ends = lines.values().flatten().map(|point| {
            let half = point.half_width.unwrap_or(0.0);
            (point.y - half, point.y + half)
        });
        let (low, high) = ends.fold((100.0_f64, 0.0_f64), |(low, high), (from, to)| {
            (low.min(from), high.max(to))
        });
        let variants: Vec<&str> = lines.keys().copied().collect();
        let line = |(variant, points)| Line {
            variant,
            points,
            thin: false,
        };
        let chart = LineChart {
            x: Axis::sizes(format!("{key} (logarithmic)"), ticks),
            y: Axis::linear("block cache hit ratio (%)", low.max(0.0), high.min(100.0)),
            panels: vec![lines::Panel {
                lines: lines.into_iter().map(line).collect(),
                ..lines::Panel::default()
            }],
            marked: true,
        };
        let scene = chart.draw(&self.frame(&words), &variants, &self.styles)?;
        self.add(words, scene);
        Ok(())
    }
}

/// The bytes of a sweep's value, if its key is the size of a cache.
fn cache_size(key: &str, value: &str) -> Option<f64> {
    let bytes = value.parse::<ByteSize>().ok()?.as_u64();
    (key.ends_with("cache.size") && bytes > 0).then_some(bytes as f64)
}
