//! What changed between two runs: settings first, then exact counters, then the rest.
//!
//! Trials are paired by variant, sweep point and seed; of two runs with one variant each, these two
//! are paired. A number is a mean over the seeds that both runs have. There are no verdicts: the
//! trials of two runs did not run side by side. `aura ab` decides.
//!
//! Cost: one pass over the rows of both runs.

use std::collections::{BTreeMap, BTreeSet};

use crate::config;
use crate::formats::digits;
use crate::metrics::{self, Exactness};
use crate::plan::{Plan, PlannedTrial};
use crate::point::{self, Point};
use crate::store::TidyRow;

/// One of the two runs.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// Its plan.
    pub plan: &'a Plan,
    /// The metrics of its finished trials.
    pub rows: &'a [TidyRow],
}

/// What a line of a difference is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The experiment: program, seeds, variants.
    Experiment,
    /// A setting.
    Setting,
    /// A metric that repeats exactly: counters, and virtual time.
    Exact,
    /// A metric in wall time.
    Noisy,
}

impl Part {
    /// The name in listings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Experiment => "experiment",
            Self::Setting => "setting",
            Self::Exact => "exact",
            Self::Noisy => "noisy",
        }
    }
}

/// One thing that differs.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// What it is about.
    pub part: Part,
    /// The setting's key, or the metric's name.
    pub what: String,
    /// The variants and points, or the phase of one, that it is of.
    pub place: String,
    /// The value in the first run; empty if it has none.
    pub a: String,
    /// The value in the second run; empty if it has none.
    pub b: String,
    /// The change of a number as a share of the first; `None` of what is no number, or zero.
    pub change: Option<f64>,
    /// In how many seeds the values differ, of how many.
    pub seeds: Option<[usize; 2]>,
}

/// What differs between two runs, and how much is equal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Difference {
    /// What differs: the experiment, settings, exact metrics, the rest; within a part as planned.
    pub lines: Vec<Line>,
    /// Exact metrics, by place, that are equal in every seed.
    pub equal: usize,
    /// Trials that both runs have.
    pub pairs: usize,
    /// Variants at sweep points that both plans have.
    pub sides: usize,
}

/// Finds what differs between two runs.
pub fn difference(a: Run, b: Run) -> Difference {
    let named = same_names(a, b);
    let mut found = Difference::default();
    found.lines.extend(of_experiments(a, b));
    let (of_settings, sides) = of_settings(a, b, &named);
    found.lines.extend(of_settings);
    found.sides = sides;
    let [of_a, of_b] = [values(a, &Names::new()), values(b, &named)];
    let trials = |values: &Values| -> BTreeSet<(Side, u64)> {
        let sides = values.iter();
        let seeds = sides
            .flat_map(|(place, by_seed)| by_seed.keys().map(|seed| (place.side.clone(), *seed)));
        seeds.collect()
    };
    found.pairs = trials(&of_a).intersection(&trials(&of_b)).count();
    let mut lines = Vec::new();
    for (place, first) in &of_a {
        let Some(second) = of_b.get(place) else {
            continue;
        };
        let in_both = first.keys().any(|seed| second.contains_key(seed));
        match line(place, first, second) {
            Some(line) => lines.push(line),
            None if in_both && place.class != Exactness::Noisy => found.equal += 1,
            None => {}
        }
    }
    lines.sort_by_key(|line| line.part);
    found.lines.extend(lines);
    found
}

/// What a variant of the second run is called in the first.
type Names = BTreeMap<String, String>;

/// Of two runs with one variant each, the two are one, whatever they are called.
fn same_names(a: Run, b: Run) -> Names {
    match (
        &a.plan.experiment.variants[..],
        &b.plan.experiment.variants[..],
    ) {
        ([of_a], [of_b]) => Names::from([(of_b.name.clone(), of_a.name.clone())]),
        _ => Names::new(),
    }
}

fn named(names: &Names, variant: &str) -> String {
    names
        .get(variant)
        .map_or(variant, String::as_str)
        .to_owned()
}

/// A variant at a sweep point.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Side {
    variant: String,
    point: Point,
}

impl Side {
    fn label(&self) -> String {
        let point = point::label(&self.point);
        format!("{} {point}", self.variant).trim_end().to_owned()
    }
}

fn of_experiments(a: Run, b: Run) -> Vec<Line> {
    let (first, second) = (&a.plan.experiment, &b.plan.experiment);
    let variants = |run: Run| -> Vec<String> {
        run.plan
            .experiment
            .variants
            .iter()
            .map(|it| it.name.clone())
            .collect()
    };
    let facts = [
        ("program", first.code.clone(), second.code.clone()),
        ("version", first.version.clone(), second.version.clone()),
        (
            "seeds",
            shown_seeds(&first.seeds),
            shown_seeds(&second.seeds),
        ),
        ("variants", variants(a).join(", "), variants(b).join(", ")),
        (
            "primary",
            first.compare.primary.join(", "),
            second.compare.primary.join(", "),
        ),
    ];
    let differing = facts.into_iter().filter(|(_, a, b)| a != b);
    differing
        .map(|(what, a, b)| Line {
            part: Part::Experiment,
            what: what.to_owned(),
            place: String::new(),
            a,
            b,
            change: None,
            seeds: None,
        })
        .collect()
}

/// Writes seeds: `1..10` if they follow on each other, else each of them.
pub fn shown_seeds(seeds: &[u64]) -> String {
    match seeds {
        [first, .., last] if (last - first) as usize + 1 == seeds.len() => {
            format!("{first}..{last}")
        }
        seeds => seeds
            .iter()
            .map(u64::to_string)
            .collect::<Vec<_>>()
            .join(", "),
    }
}

/// The settings of each variant at each point.
fn settings(run: Run, names: &Names) -> BTreeMap<Side, Point> {
    let mut found = BTreeMap::new();
    for trial in &run.plan.trials {
        let PlannedTrial { variant, point, .. } = trial;
        let side = Side {
            variant: named(names, variant),
            point: point.clone(),
        };
        let of_trial = || config::settings(&trial.config.value());
        found.entry(side).or_insert_with(of_trial);
    }
    found
}

/// A setting with its values in both runs.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Change {
    key: String,
    a: String,
    b: String,
}

/// The settings that differ, and how many sides both plans have.
fn of_settings(a: Run, b: Run, names: &Names) -> (Vec<Line>, usize) {
    let [first, second] = [settings(a, &Names::new()), settings(b, names)];
    let mut changes: BTreeMap<Change, Vec<&Side>> = BTreeMap::new();
    let mut common = 0;
    for (side, of_a) in &first {
        let Some(of_b) = second.get(side) else {
            continue;
        };
        common += 1;
        let keys: BTreeSet<&String> = of_a.keys().chain(of_b.keys()).collect();
        for key in keys {
            let [a, b] = [of_a, of_b].map(|it| it.get(key).cloned().unwrap_or_default());
            if a != b {
                let key = key.clone();
                changes.entry(Change { key, a, b }).or_default().push(side);
            }
        }
    }
    let line = |(Change { key, a, b }, sides): (Change, Vec<&Side>)| Line {
        part: Part::Setting,
        what: key,
        place: if sides.len() == common {
            "all".to_owned()
        } else {
            let labels: Vec<String> = sides.iter().map(|side| side.label()).collect();
            labels.join("; ")
        },
        a,
        b,
        change: None,
        seeds: None,
    };
    (changes.into_iter().map(line).collect(), common)
}

/// Where a value is measured.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    side: Side,
    phase: String,
    /// The place of the metric in the registry, and its name if that is not there.
    rank: usize,
    metric: String,
    class: Exactness,
}

/// Values by place, and there by seed.
type Values = BTreeMap<Place, BTreeMap<u64, f64>>;

fn values(run: Run, names: &Names) -> Values {
    let mut values = Values::new();
    for row in run.rows {
        let place = Place {
            side: Side {
                variant: named(names, &row.trial.variant),
                point: row.trial.point.clone(),
            },
            phase: row.name.phase.clone(),
            rank: metrics::rank(&row.name.metric),
            metric: row.name.metric.clone(),
            class: row.name.class,
        };
        values
            .entry(place)
            .or_default()
            .insert(row.trial.seed, row.value);
    }
    values
}

/// The line of a metric; `None` if it is equal in every seed that both have, or they have none.
fn line(place: &Place, a: &BTreeMap<u64, f64>, b: &BTreeMap<u64, f64>) -> Option<Line> {
    let pair = |(seed, a): (&u64, &f64)| Some([*a, *b.get(seed)?]);
    let pairs: Vec<[f64; 2]> = a.iter().filter_map(pair).collect();
    let differ = pairs.iter().filter(|[a, b]| a != b).count();
    if differ == 0 {
        return None;
    }
    let mean = |at: usize| pairs.iter().map(|pair| pair[at]).sum::<f64>() / pairs.len() as f64;
    let [a, b] = [mean(0), mean(1)];
    Some(Line {
        part: if place.class == Exactness::Noisy {
            Part::Noisy
        } else {
            Part::Exact
        },
        what: place.metric.clone(),
        place: format!("{} {}", place.phase, place.side.label()),
        a: digits(a, 6),
        b: digits(b, 6),
        change: (a != 0.0).then(|| b / a - 1.0),
        seeds: Some([differ, pairs.len()]),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::parse;
    use crate::record::World;
    use crate::testing::tidy_row;

    fn plan(variant: &str, more: &str) -> Plan {
        let text = format!(
            "seeds = 3\nworkload = {{ records = 100, operations = 100 }}\n{more}\n\
             [[variant]]\nname = \"{variant}\""
        );
        let experiment = parse("a.toml".as_ref(), text, &[]).expect("a config");
        Plan::new(&experiment, "code")
    }

    fn rows(variant: &str, world: World, metric: &str, values: [f64; 3]) -> Vec<TidyRow> {
        let class = metrics::find(metric).expect("it is known").class;
        let row = |(seed, value)| {
            let mut row = tidy_row(variant, seed, world, metric, value);
            Arc::make_mut(&mut row.name).class = class.within(world);
            row
        };
        (1..=3_u64).zip(values).map(row).collect()
    }

    #[test]
    fn settings_come_first_then_exact_counters_then_the_rest() {
        let [a, b] = [plan("old", ""), plan("new", "engine.cache.size = \"1MiB\"")];
        let exact = World::Simulated;
        let mut of_a = rows(
            "old",
            World::Real,
            "run.throughput_ops",
            [100.0, 110.0, 120.0],
        );
        of_a.extend(rows("old", exact, "cache.hit_ratio", [0.5, 0.5, 0.5]));
        of_a.extend(rows("old", exact, "write.amplification", [4.0, 4.0, 4.0]));
        let mut of_b = rows(
            "new",
            World::Real,
            "run.throughput_ops",
            [120.0, 130.0, 146.0],
        );
        of_b.extend(rows("new", exact, "cache.hit_ratio", [0.5, 0.4, 0.3]));
        of_b.extend(rows("new", exact, "write.amplification", [4.0, 4.0, 4.0]));
        let [first, second] = [(&a, &of_a), (&b, &of_b)].map(|(plan, rows)| Run { plan, rows });
        let found = difference(first, second);
        let shown: Vec<(Part, &str)> = found
            .lines
            .iter()
            .map(|line| (line.part, line.what.as_str()))
            .collect();
        let expected = [
            (Part::Experiment, "variants"),
            (Part::Setting, "engine.cache.size"),
            (Part::Exact, "cache.hit_ratio"),
            (Part::Noisy, "run.throughput_ops"),
        ];
        assert_eq!(shown, expected);
        assert_eq!((found.equal, found.pairs), (1, 3));
        assert_eq!(found.lines[1].place, "all");
        let hits = &found.lines[2];
        assert_eq!((hits.a.as_str(), hits.b.as_str()), ("0.5", "0.4"));
        assert_eq!(hits.seeds, Some([2, 3]));
        assert!((hits.change.expect("a share") + 0.2).abs() < 1e-9);
        assert!((found.lines[3].change.expect("a share") - 0.2).abs() < 1e-9);
    }

    #[test]
    fn what_no_seed_has_in_both_runs_is_not_called_equal() {
        let plan = plan("only", "");
        let of_a = rows("only", World::Simulated, "cache.hit_ratio", [0.1, 0.2, 0.3]);
        let mut of_b = of_a.clone();
        for row in &mut of_b {
            Arc::make_mut(&mut row.trial).seed += 10;
        }
        let [a, b] = [&of_a, &of_b].map(|rows| Run { plan: &plan, rows });
        let found = difference(a, b);
        assert_eq!((found.lines.len(), found.equal, found.pairs), (0, 0, 0));
        assert_eq!(found.sides, 1);
    }

    #[test]
    fn a_run_does_not_differ_from_itself() {
        let plan = plan("only", "");
        let rows = rows("only", World::Simulated, "cache.hit_ratio", [0.1, 0.2, 0.3]);
        let run = Run {
            plan: &plan,
            rows: &rows,
        };
        let found = difference(run, run);
        assert_eq!((found.lines.len(), found.equal, found.pairs), (0, 1, 3));
    }
}
