//! Runs side by side: settings that differ first, then what was compared, exact counters, and all
//! metrics.
//!
//! The runs take the place of variants, and a variant becomes a part of the sweep point. So every
//! run is compared with the first, variant by variant. Verdicts are given only of a paired
//! comparison: one program, the same seeds, in simulation. Else the page says why there is no
//! verdict.

use std::collections::BTreeSet;
use std::sync::Arc;

use minijinja::{Value, context};

use super::index::block;
use super::tables::{meanings, metric_tables, verdict_lines};
use super::{COMPARISON, ReportError, fill};
use crate::compare::Comparison;
use crate::diff::{self, Line, Part};
use crate::formats::digits;
use crate::plan::Plan;
use crate::point::Point;
use crate::record::World;
use crate::results::Run;
use crate::store::{RowTrial, TidyRow, trials_of};

/// The key under which a variant's name is part of a sweep point.
const VARIANT: &str = "variant";

/// The most rows of exact counters that the page lists for each run.
const EXACT_MAX: usize = 500;

/// One of the runs.
#[derive(Clone, Copy, Debug)]
pub struct Contestant<'a> {
    /// What is known of it; its name is that on the page.
    pub about: &'a Run,
    /// Its plan.
    pub plan: &'a Plan,
    /// The metrics of its finished trials.
    pub rows: &'a [TidyRow],
}

/// What a page of runs side by side is written from.
#[derive(Clone, Copy, Debug)]
pub struct SideBySide<'a> {
    /// The runs; the others are compared with the first. Two at least.
    pub runs: &'a [Contestant<'a>],
    /// The rows of all runs, in which runs are variants ([`as_variant`]).
    pub rows: &'a [TidyRow],
    /// The comparison of these rows; `None` if nothing can be compared.
    pub comparison: Option<&'a Comparison>,
    /// The parts of the path from the page's folder to the folder of results.
    pub to_results: &'a [&'a str],
}

/// Whether all runs have one variant: these are compared, whatever they are called.
pub fn have_one_variant<'a>(mut plans: impl Iterator<Item = &'a Plan>) -> bool {
    plans.all(|plan| plan.experiment.variants.len() == 1)
}

/// The sweep point of a variant where runs are compared. `one` says that it is its run's only one.
pub fn place(variant: &str, point: &Point, one: bool) -> Point {
    let mut place = point.clone();
    if !one {
        place.insert(VARIANT.to_owned(), variant.to_owned());
    }
    place
}

/// A run's rows with the run's name for the variant, whose own becomes part of the sweep point.
pub fn as_variant(rows: &[TidyRow], name: &str, one: bool) -> Vec<TidyRow> {
    let mut rows = rows.to_vec();
    for of_trial in rows.chunk_by_mut(|a, b| Arc::ptr_eq(&a.trial, &b.trial)) {
        let trial = &of_trial[0].trial;
        let trial = Arc::new(RowTrial {
            variant: name.to_owned(),
            point: place(&trial.variant, &trial.point, one),
            ..RowTrial::clone(trial)
        });
        for row in of_trial {
            row.trial = trial.clone();
        }
    }
    rows
}

/// Writes the page of runs side by side.
///
/// # Errors
/// [`ReportError::Template`] if the template refuses.
///
/// # Panics
/// Without a run.
pub fn side_by_side(page: &SideBySide) -> Result<String, ReportError> {
    let (first, others) = page.runs.split_first().expect("a page has runs");
    let reasons: BTreeSet<String> = others
        .iter()
        .flat_map(|other| reasons(*first, *other))
        .collect();
    let mut comparison = page.comparison.cloned().unwrap_or_default();
    comparison.rows.retain(|row| row.pairs > 0);
    let blocks = page.runs.iter().enumerate();
    let runs: Vec<Value> = blocks
        .map(|(at, run)| block(run.about, at, page.to_results))
        .collect();
    let others: Vec<Value> = others.iter().map(|other| against(*first, *other)).collect();
    let names: Vec<&str> = page
        .runs
        .iter()
        .map(|run| run.about.name.as_str())
        .collect();
    let swept = trials_of(page.rows).any(|trial| !trial.point.is_empty());
    let page = context! {
        title => in_words(&names),
        first => names[0],
        reasons => reasons.into_iter().collect::<Vec<_>>(),
        advice => ADVICE,
        warnings => comparison.warnings.clone(),
        runs,
        others,
        primary => verdict_lines(&comparison, true),
        exploratory => verdict_lines(&comparison, false),
        meanings => meanings(page.rows, &comparison),
        tables => metric_tables(page.rows, &comparison),
        swept,
    };
    fill(COMPARISON, page)
}

const ADVICE: &str = "`aura ab` runs two configs side by side, pair by pair, and decides; \
    `aura compare --code` compares two programs.";

/// `a, b and c`.
fn in_words(names: &[&str]) -> String {
    match names {
        [all @ .., last] if !all.is_empty() => format!("{} and {last}", all.join(", ")),
        names => names.concat(),
    }
}

/// Why a comparison with the first run is not paired; empty if it is.
fn reasons(first: Contestant, other: Contestant) -> Vec<String> {
    let [a, b] = [first, other].map(|run| run.about);
    let mut reasons = Vec::new();
    if a.code != b.code {
        let [of_a, of_b] = [a, b].map(|run| run.code.chars().take(8).collect::<String>());
        reasons.push(format!(
            "Another program: {} ran by {of_a}, {} by {of_b}.",
            a.name, b.name
        ));
    }
    if a.seeds != b.seeds {
        let [of_a, of_b] = [a, b].map(|run| diff::shown_seeds(&run.seeds));
        reasons.push(format!(
            "Other seeds: {} has {of_a}, {} has {of_b}.",
            a.name, b.name
        ));
    }
    let is_real = |run: Contestant| trials_of(run.rows).any(|trial| trial.world == World::Real);
    match [first, other].map(is_real) {
        [false, false] => {}
        [true, true] if a.machine != b.machine => reasons.push(format!(
            "Another machine: {} ran on {}, {} on {}.",
            a.name, a.machine, b.name, b.machine
        )),
        [true, true] => reasons.push(format!(
            "Other times: {} and {} were measured one after the other, not pair by pair, and met \
             other disturbances.",
            a.name, b.name
        )),
        [_, _] => reasons.push(format!(
            "Another world: one of {} and {} was simulated.",
            a.name, b.name
        )),
    }
    reasons
}

/// What differs between the first run and another one.
fn against(first: Contestant, other: Contestant) -> Value {
    let [a, b] = [first, other].map(|run| diff::Run {
        plan: run.plan,
        rows: run.rows,
    });
    let found = diff::difference(a, b);
    let lines = |parts: &[Part], most: usize| -> Vec<Value> {
        let of_parts = found.lines.iter().filter(|line| parts.contains(&line.part));
        of_parts.take(most).map(line).collect()
    };
    let exact = found.lines.iter().filter(|line| line.part == Part::Exact);
    let exact = exact.count();
    let mut counted = if found.pairs == 0 {
        "No variant, point and seed is in both runs: no counter can be compared trial by trial."
            .to_owned()
    } else {
        format!(
            "Of {} common trials, {exact} exact metrics differ and {} are equal.",
            found.pairs, found.equal
        )
    };
    if exact > EXACT_MAX {
        counted += &format!(" The first {EXACT_MAX} are listed; `aura diff` prints all.");
    }
    context! {
        name => other.about.name.as_str(),
        settings => lines(&[Part::Experiment, Part::Setting], usize::MAX),
        no_settings => if found.sides == 0 {
            "No variant is in both runs at one point; no setting can be compared."
        } else {
            "No setting differs."
        },
        exact => lines(&[Part::Exact], EXACT_MAX),
        counted,
    }
}

fn line(line: &Line) -> Value {
    let change = line.change.map(|change| {
        let sign = if change > 0.0 { "+" } else { "" };
        format!("{sign}{} %", digits(change * 100.0, 3))
    });
    context! {
        what => line.what.as_str(),
        place => line.place.as_str(),
        a => line.a.as_str(),
        b => line.b.as_str(),
        change => change.unwrap_or_default(),
        seeds => line.seeds.map(|[differ, all]| format!("{differ} of {all}")).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{CompareSettings, compare};
    use crate::config::parse;
    use crate::report::index::tests::run;
    use crate::testing::tidy_row;

    fn plan(block: &str) -> Plan {
        let text = format!(
            "seeds = 2\nbaseline = \"lru\"\nworkload = {{ records = 100, operations = 100 }}\n\
             engine.table.block = \"{block}\"\n[[variant]]\nname = \"lru\"\n\
             [[variant]]\nname = \"sieve\"\nengine.cache.eviction = \"sieve\""
        );
        let experiment = parse("a.toml".as_ref(), text, &[]).expect("a config");
        Plan::new(&experiment, "code")
    }

    fn rows(world: World, ratio: f64) -> Vec<TidyRow> {
        let mut rows = Vec::new();
        for variant in ["lru", "sieve"] {
            for seed in [1, 2] {
                let value = ratio + seed as f64 / 100.0;
                rows.push(tidy_row(variant, seed, world, "cache.hit_ratio", value));
            }
        }
        rows
    }

    /// The page of two runs, the second of which differs as `change` says.
    fn page(world: World, change: impl Fn(&mut Run)) -> String {
        let mut about = [run("before", 0), run("after", 60)];
        change(&mut about[1]);
        let plans = [plan("4KiB"), plan("8KiB")];
        let rows = [rows(world, 0.5), rows(world, 0.6)];
        let all = [
            as_variant(&rows[0], "before", false),
            as_variant(&rows[1], "after", false),
        ];
        let all = all.concat();
        let settings = CompareSettings {
            baseline: "before".to_owned(),
            primary: vec!["cache.hit_ratio".to_owned()],
            ..CompareSettings::default()
        };
        let comparison = compare(&all, &settings).expect("two runs");
        let runs = [0, 1].map(|at| Contestant {
            about: &about[at],
            plan: &plans[at],
            rows: &rows[at],
        });
        let page = side_by_side(&SideBySide {
            runs: &runs,
            rows: &all,
            comparison: Some(&comparison),
            to_results: &[".."],
        });
        page.expect("the template is filled in")
    }

    #[test]
    fn one_program_and_the_same_seeds_in_simulation_have_verdicts() {
        let page = page(World::Simulated, |_| {});
        let order = [
            "<h1>before and after</h1>",
            "A paired comparison",
            "<a href=\"../before/report.html\"",
            "Settings that differ",
            "engine.table.block",
            "Verdicts against before",
            "run, variant=lru",
            "<span class=\"verdict better\">",
            "run, variant=sieve",
            "Of 4 common trials, 2 exact metrics differ and 0 are equal.",
            "All metrics",
        ];
        let mut from = page.find("<body>").expect("a page has a body");
        for words in order {
            let at = page[from..].find(words);
            from += at.unwrap_or_else(|| panic!("{words:?} is missing or too early"));
        }
    }

    #[test]
    fn what_is_not_paired_has_no_verdict_and_says_why() {
        for (world, change, reason) in [
            (
                World::Simulated,
                (|run| run.code = "fedcba98".to_owned()) as fn(&mut Run),
                "Another program: before ran by 01234567, after by fedcba98.",
            ),
            (
                World::Simulated,
                |run| run.seeds = vec![1, 2, 3],
                "Other seeds: before has 1..2, after has 1..3.",
            ),
            (
                World::Real,
                |run| run.machine = "other".to_owned(),
                "Another machine: before ran on host (a processor), after on other.",
            ),
            (World::Real, |_| {}, "Other times: before and after"),
        ] {
            let page = page(world, change);
            assert!(page.contains("This is no paired comparison"), "{reason}");
            assert!(page.contains(reason), "{reason}");
            assert!(!page.contains("class=\"verdict "), "{reason}");
            assert!(page.contains("Effects against before"), "{reason}");
        }
    }
}
