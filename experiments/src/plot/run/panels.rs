//! Figures of bars: amplification, distance to the bounds, table indexes, hit ratio.

use super::{Derived, FigureKind, INTERVALS, Metrics, Page, Words, in_words, means};
use crate::formats::csv;
use crate::plot::chart::bars::{Bar, BarChart, Group, Panel};
use crate::point::Point;

/// What a Bloom filter's false-positive rate falls to with each bit per key: 0.5 to the power of
/// ln 2.
const BLOOM_BASE: f64 = 0.618_503_137_801_576_2;

/// One panel of a figure.
pub(super) struct PanelDef {
    /// What the bars show, with the unit.
    title: &'static str,
    /// A value to compare with.
    reference: Option<f64>,
    value: Derived,
    /// What a bar's value could have been at most.
    bound: Option<Derived>,
}

impl PanelDef {
    /// A panel of plain values.
    pub(super) const fn new(title: &'static str, value: Derived) -> Self {
        Self {
            title,
            reference: None,
            value,
            bound: None,
        }
    }

    /// The panel, with a bound of each bar.
    pub(super) const fn below(self, bound: Derived) -> Self {
        Self {
            bound: Some(bound),
            ..self
        }
    }

    /// A panel whose values are compared with 1.
    const fn against_one(title: &'static str, value: Derived) -> Self {
        Self {
            title,
            reference: Some(1.0),
            value,
            bound: None,
        }
    }
}

/// A figure of bars.
pub(super) struct BarsDef {
    pub(super) kind: FigureKind,
    pub(super) title: &'static str,
    /// What the panels show; the meaning of whiskers is added.
    pub(super) caption: &'static str,
    /// Whether the whole trial is drawn beside its phases.
    pub(super) whole: bool,
    pub(super) panels: &'static [PanelDef],
}

fn metric(metrics: &Metrics, name: &str) -> Option<f64> {
    metrics.get(name).copied()
}

const AMPLIFICATION: BarsDef = BarsDef {
    kind: FigureKind::Amplification,
    title: "Amplification",
    caption: "Amplification from zero, mean over the seeds. Work that is put off is included.",
    whole: true,
    panels: &[
        PanelDef::new("write (bytes written / user bytes)", |metrics| {
            metric(metrics, "write.amplification")
        }),
        PanelDef::new("read (bytes read / user bytes)", |metrics| {
            metric(metrics, "read.amplification")
        }),
        PanelDef::new("space (disk / reachable bytes)", |metrics| {
            metric(metrics, "space.amplification")
        }),
    ],
};

const BOUND: BarsDef = BarsDef {
    kind: FigureKind::Bound,
    title: "Distance to the bound",
    caption: "Each as a share of what it is measured against (dashed, 1): the device's write \
        bandwidth, the bytes that fence pointers would take, and 0.6185 to the power of the bits a \
        key. Mean over the seeds.",
    whole: false,
    panels: &[
        PanelDef::against_one("device write bandwidth used", |metrics| {
            metric(metrics, "device.write_bandwidth_ratio")
        }),
        PanelDef::against_one("index bytes / fence pointers", |metrics| {
            let fence = metric(metrics, "index.fence_bytes_per_key")?;
            let index = metric(metrics, "index.bytes_per_key")?;
            (fence > 0.0).then(|| index / fence)
        }),
        PanelDef::against_one("false positives / Bloom's formula", |metrics| {
            let bytes = metric(metrics, "filter.bytes_per_key")?;
            let rate = metric(metrics, "filter.false_positive_ratio")?;
            (bytes > 0.0).then(|| rate / BLOOM_BASE.powf(bytes * 8.0))
        }),
    ],
};

const INDEX: BarsDef = BarsDef {
    kind: FigureKind::Index,
    title: "Table indexes",
    caption: "What the indexes of tables take and cost; dashed: what they are compared with.",
    whole: false,
    panels: &[
        PanelDef::against_one("index bytes / plain fence pointers", |metrics| {
            metric(metrics, "index.fence_ratio")
        }),
        PanelDef::against_one("data blocks examined a look-up", |metrics| {
            metric(metrics, "index.probes_per_lookup")
        }),
        PanelDef::new("reads of files a get", |metrics| {
            metric(metrics, "device.reads_per_get")
        }),
        PanelDef::new("CPU time an operation (ns)", |metrics| {
            metric(metrics, "cpu.ns_per_op")
        }),
        PanelDef::new("training / CPU time of compactions", |metrics| {
            metric(metrics, "index.training_cpu_ratio")
        }),
    ],
};

impl<'a> Page<'a> {
    pub(super) fn amplification(&mut self) {
        self.bars(&AMPLIFICATION);
    }

    pub(super) fn bound(&mut self) {
        self.bars(&BOUND);
    }

    pub(super) fn index(&mut self) {
        let mut rows = self.input.rows.iter();
        if rows.any(|row| row.name.metric == "index.model_tables" && row.value > 0.0) {
            self.bars(&INDEX);
        } else {
            self.skip(FigureKind::Index, "no table has a model");
        }
    }

    /// Adds one figure per phase.
    pub(super) fn bars(&mut self, def: &BarsDef) {
        let before = self.figures.drawn.len();
        let points = self.points();
        let windows = if def.whole {
            self.windows()
        } else {
            self.phases()
        };
        for phase in windows {
            let panels: Vec<Panel> = def
                .panels
                .iter()
                .map(|panel| self.panel(panel, phase, &points))
                .filter(|panel| !panel.groups.is_empty())
                .collect();
            if panels.is_empty() {
                continue;
            }
            let words = Words {
                kind: def.kind,
                part: phase.to_owned(),
                title: format!("{}, {}", def.title, in_words(phase)),
                subtitle: self.subtitle(&Point::new()),
                caption: format!("{} {INTERVALS}{}", def.caption, bound_words(&panels)),
                csv: numbers(&panels),
            };
            let chart = BarChart {
                panels,
                groups_label: point_keys(&points),
            };
            let scene = chart.draw(&self.frame(&words), &self.variants, &self.styles);
            self.add(words, scene);
        }
        let why = "none of its metrics has a value";
        self.skip_if_none(def.kind, before, why);
    }

    /// One group per sweep point that has a value.
    fn panel(&self, def: &PanelDef, phase: &str, points: &[&Point]) -> Panel<'a> {
        let mut groups = Vec::new();
        for point in points {
            let values = means(self.input.rows, phase, point, def.value);
            if values.is_empty() {
                continue;
            }
            let bounds = match def.bound {
                Some(bound) => means(self.input.rows, phase, point, bound),
                None => Vec::new(),
            };
            let bound_of = |variant: &str| {
                let own = bounds.iter().find(|(name, _)| *name == variant);
                own.map(|(_, mean)| mean.value)
            };
            let bars = values.into_iter().map(|(variant, mean)| Bar {
                variant,
                value: mean.value,
                half_width: mean.half_width,
                bound: bound_of(variant),
            });
            groups.push(Group {
                label: point_values(point),
                bars: bars.collect(),
            });
        }
        Panel {
            title: def.title.to_owned(),
            groups,
            reference: def.reference,
        }
    }
}

/// Says what the strokes are, if there are any.
fn bound_words(panels: &[Panel]) -> &'static str {
    let groups = panels.iter().flat_map(|panel| &panel.groups);
    let mut bars = groups.flat_map(|group| &group.bars);
    if bars.any(|bar| bar.bound.is_some()) {
        " Strokes: the best that any cache of the size could have done, from the recorded accesses."
    } else {
        ""
    }
}

/// What the sweep points differ in.
fn point_keys(points: &[&Point]) -> String {
    let Some(point) = points.first() else {
        return String::new();
    };
    let keys: Vec<&str> = point.keys().map(String::as_str).collect();
    keys.join(", ")
}

fn point_values(point: &Point) -> String {
    let values: Vec<&str> = point.values().map(String::as_str).collect();
    values.join(", ")
}

fn numbers(panels: &[Panel]) -> String {
    let mut rows = Vec::new();
    for panel in panels {
        for group in &panel.groups {
            for bar in &group.bars {
                let optional =
                    |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
                rows.push([
                    panel.title.clone(),
                    group.label.clone(),
                    bar.variant.to_owned(),
                    bar.value.to_string(),
                    optional(bar.half_width),
                    optional(bar.bound),
                ]);
            }
        }
    }
    let header = [
        "panel",
        "point",
        "variant",
        "mean",
        "half_width_95",
        "bound",
    ];
    csv(header, rows)
}
