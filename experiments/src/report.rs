//! The report: one page of HTML that stands alone, from the question to the command that repeats it.
//!
//! Style and figures are inside the page; it has no script, needs no network, and reads on paper as on a dark screen.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::{Environment, Value, context};

use crate::compare::{self, CompareRow, Comparison, shown, shown_mean, shown_p};
use crate::metrics;
use crate::plot::{Figure, PlotError};
use crate::record::Manifest;
use crate::store::{self, SummaryRow, TidyRow, point_label};

/// One setting in which a variant differs from the baseline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingDelta {
    /// The variant.
    pub variant: String,
    /// The setting's dotted key.
    pub key: String,
    /// The baseline's value as written in a config.
    pub baseline: String,
    /// The variant's value.
    pub value: String,
}

/// What a report is written from.
pub struct ReportInput<'a> {
    /// The experiment's name.
    pub experiment: &'a str,
    /// The question, as the config asks it.
    pub question: &'a str,
    /// What was expected; may be empty.
    pub hypothesis: &'a str,
    /// The baseline's name.
    pub baseline: &'a str,
    /// The comparison; None with one variant.
    pub comparison: Option<&'a Comparison>,
    /// The gathered metrics.
    pub rows: &'a [TidyRow],
    /// Their content hash.
    pub hash: &'a str,
    /// The figures, in order.
    pub figures: &'a [Figure],
    /// What could not be drawn.
    pub skipped: &'a [String],
    /// In what the variants differ from the baseline.
    pub deltas: &'a [SettingDelta],
    /// The trials' manifests.
    pub manifests: &'a [&'a Manifest],
    /// The command that repeats the experiment.
    pub command: &'a str,
}

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A figure could not be drawn.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// The template refused.
    #[error("the report cannot be filled in: {0}")]
    Template(#[from] minijinja::Error),
}

/// Writes the report.
///
/// # Errors
/// See [`ReportError`].
pub fn render(input: &ReportInput) -> Result<String, ReportError> {
    let mut environment = Environment::new();
    environment.add_template("report.html", include_str!("report.html"))?;
    let empty = Comparison::default();
    let comparison = input.comparison.unwrap_or(&empty);
    let block = |figure: &Figure| -> Result<Value, PlotError> {
        let svg = Value::from_safe_string(figure.svg()?);
        Ok(context! { name => figure.name.as_str(), caption => figure.caption.as_str(), svg })
    };
    let delta = |delta: &SettingDelta| {
        context! { variant => delta.variant.as_str(), key => delta.key.as_str(), baseline => delta.baseline.as_str(), value => delta.value.as_str() }
    };
    let figures = input
        .figures
        .iter()
        .map(block)
        .collect::<Result<Vec<_>, _>>()?;
    let trials: Vec<_> = input
        .manifests
        .iter()
        .map(|manifest| trial(manifest))
        .collect();
    let lines = |primary: bool| -> Vec<Value> {
        comparison
            .rows
            .iter()
            .filter(|row| row.primary == primary)
            .map(verdict_line)
            .collect()
    };
    let page = context! {
        experiment => input.experiment,
        question => input.question,
        hypothesis => input.hypothesis,
        baseline => input.baseline,
        swept => input.rows.iter().any(|row| !row.point.is_empty()),
        answer => input.comparison.map(compare::answer),
        primary => lines(true),
        exploratory => lines(false),
        warnings => comparison.warnings.clone(),
        missing => comparison.missing.clone(),
        figures,
        skipped => input.skipped.to_vec(),
        tables => metric_tables(input.rows, comparison),
        deltas => input.deltas.iter().map(delta).collect::<Vec<_>>(),
        facts => facts(input),
        trials,
        command => input.command,
    };
    Ok(environment.get_template("report.html")?.render(page)?)
}

fn about(metric: &str) -> &'static str {
    metrics::find(metric).map_or("", |metric| metric.about)
}

fn verdict_line(row: &CompareRow) -> Value {
    let interval = row.low.zip(row.high);
    context! {
        metric => row.metric.as_str(),
        about => about(&row.metric),
        place => if row.point.is_empty() { row.phase.clone() } else { format!("{}, {}", row.phase, point_label(&row.point)) },
        variant => row.variant.as_str(),
        baseline_mean => shown(row.baseline_mean, &row.unit),
        variant_mean => shown(row.variant_mean, &row.unit),
        effect => row.effect_with_unit(),
        interval => interval.map(|(low, high)| format!("{} to {}", row.shown(low), row.shown(high))),
        p => row.p.map(shown_p),
        pairs => row.pairs,
        verdict => row.verdict.word(),
        note => row.note.as_str(),
    }
}

/// `variant, point, seed 3: 0123abcd`.
fn trial(manifest: &Manifest) -> String {
    let point = match manifest.point.is_empty() {
        true => String::new(),
        false => format!(" at {}", point_label(&manifest.point)),
    };
    format!(
        "{}{point}, seed {}: {}",
        manifest.variant, manifest.seed, manifest.id
    )
}

/// A table a phase: a line a metric and point, a cell a variant.
fn metric_tables(rows: &[TidyRow], comparison: &Comparison) -> Vec<Value> {
    let variants: Vec<String> = compare::variants(rows)
        .into_iter()
        .map(str::to_owned)
        .collect();
    let summary = store::summarise(rows);
    let mut phases: Vec<&str> = Vec::new();
    for row in &summary {
        if !phases.contains(&row.phase.as_str()) {
            phases.push(&row.phase);
        }
    }
    // Where a metric stands in the comparison, primary ones first; the others follow in the registry's order.
    let compared = |metric: &str| comparison.rows.iter().position(|row| row.metric == metric);
    let table = |phase: &&str| {
        let mut names: BTreeSet<(usize, usize, &str)> = BTreeSet::new();
        for row in summary.iter().filter(|row| row.phase == **phase) {
            names.insert((
                compared(&row.metric).unwrap_or(usize::MAX),
                metrics::rank(&row.metric),
                &row.metric,
            ));
        }
        let mut lines = Vec::new();
        for (place, _, metric) in names {
            for point in compare::points(rows) {
                let here = |row: &&SummaryRow| {
                    row.phase == **phase && row.metric == metric && row.point == *point
                };
                let cells: BTreeMap<&str, String> = summary
                    .iter()
                    .filter(here)
                    .map(|row| {
                        (
                            row.variant.as_str(),
                            shown_mean(row.mean, row.half_width, &row.unit),
                        )
                    })
                    .collect();
                if cells.is_empty() {
                    continue;
                }
                let of = |name: &String| cells.get(name.as_str()).cloned().unwrap_or_default();
                lines.push(context! {
                    metric,
                    about => about(metric),
                    point => point_label(point),
                    compared => place != usize::MAX,
                    cells => variants.iter().map(of).collect::<Vec<_>>(),
                });
            }
        }
        context! { phase => *phase, variants => variants.clone(), lines }
    };
    phases.iter().map(table).collect()
}

fn facts(input: &ReportInput) -> Vec<Value> {
    let all = |of: &dyn Fn(&Manifest) -> String| {
        let values: BTreeSet<String> = input
            .manifests
            .iter()
            .map(|manifest| of(manifest))
            .collect();
        values.into_iter().collect::<Vec<_>>().join(", ")
    };
    let seeds: BTreeSet<u64> = input
        .manifests
        .iter()
        .map(|manifest| manifest.seed)
        .collect();
    let seeds = seeds
        .iter()
        .map(u64::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    let facts = [
        (
            "World",
            all(&|manifest| store::world_name(manifest.world).to_owned()),
        ),
        ("Device", all(&|manifest| manifest.device.clone())),
        ("AuraDB", all(&|manifest| manifest.version.clone())),
        ("Seeds", seeds),
        ("Trials", input.manifests.len().to_string()),
        ("Content hash", input.hash.to_owned()),
    ];
    facts
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| context! { name, value })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{CompareSettings, compare};
    use crate::metrics::{derive, tests::sample};
    use crate::plot::tests::drawn;
    use crate::store::{content_hash, tidy};

    fn page(question: &str) -> String {
        let trials: Vec<_> = [("lru", 2), ("sieve", 1)]
            .into_iter()
            .flat_map(|(name, f)| (0..3).map(move |seed| sample(name, seed, f)))
            .collect();
        let rows: Vec<TidyRow> = trials
            .iter()
            .flat_map(|trial| tidy(&trial.manifest, &derive(trial)))
            .collect();
        let settings = CompareSettings {
            baseline: "lru".to_owned(),
            ..CompareSettings::default()
        };
        let delta = SettingDelta {
            variant: "sieve".to_owned(),
            key: "engine.cache.eviction.policy".to_owned(),
            baseline: "\"lru\"".to_owned(),
            value: "\"sieve\"".to_owned(),
        };
        let input = ReportInput {
            experiment: "sample",
            question,
            hypothesis: "It is.",
            baseline: "lru",
            comparison: Some(&compare(&rows, &settings).expect("two variants")),
            rows: &rows,
            hash: &content_hash(&rows),
            figures: &drawn().drawn,
            skipped: &["bound: none of its metrics has a value".to_owned()],
            deltas: &[delta],
            manifests: &trials
                .iter()
                .map(|trial| &trial.manifest)
                .collect::<Vec<_>>(),
            command: "aura run sample.toml",
        };
        render(&input).expect("the template is filled in")
    }

    #[test]
    fn the_answer_comes_first_and_everything_is_there() {
        let page = page("Is sieve faster?");
        let order = [
            "Is sieve faster?",
            "On run.throughput_ops, sieve is better than lru by +100 %",
            "Primary metrics, named before the run",
            "<figure id=\"forest.run\">",
            "plots/forest.run.csv",
            "Not drawn: bound: none",
            "<h3>Phase run</h3>",
            "engine.cache.eviction.policy",
            "simulated",
            "Content hash",
            "lru at engine.cache.size=32MiB, seed 0: lru-0",
            "aura run sample.toml",
        ];
        let mut from = page.find("<body>").expect("a page has a body");
        for words in order {
            let at = page[from..].find(words);
            from += at.unwrap_or_else(|| panic!("{words:?} is missing or too early"));
        }
    }

    #[test]
    fn the_page_stands_alone_and_text_stays_text() {
        let page = page("Is <script>alert(1)</script> & co. faster?");
        assert!(
            page.contains("Is &lt;script&gt;alert(1)&lt;"),
            "the question is escaped"
        );
        for outside in ["<script", "<link", "<img", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
        let links = page.matches("http").count();
        assert_eq!(
            links,
            page.matches("xmlns=\"http://www.w3.org/2000/svg\"").count(),
            "no address but SVG's name"
        );
    }
}
