//! The report: one page from the question to the command that repeats it.

use std::collections::BTreeSet;

use minijinja::{Value, context};

use super::ReportError;
use super::tables::{VERDICTS_MAX, meanings, metric_tables, place, verdict_lines};
use crate::compare::{self, Comparison, Context, Expectation, Ranked, Ranking};
use crate::formats::shown;
use crate::plot::{Figure, PlotError};
use crate::point;
use crate::record::Manifest;
use crate::store::{self, TidyRow};

/// The most variants whose metrics and settings the page lists.
pub const VARIANTS_MAX: usize = 100;

/// The most trials that the page lists.
const TRIALS_MAX: usize = 2000;

/// The most figures that the page shows before its tables.
const LEADING_MAX: usize = 4;

/// One setting in which a variant differs from the baseline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingDelta {
    /// The variant.
    pub variant: String,
    /// The setting's dotted key.
    pub key: String,
    /// The baseline's value as written in a config.
    pub baseline: String,
    /// The variant's value as written in a config.
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
    /// The parts of it that the comparison decides.
    pub expectations: &'a [Expectation],
    /// The baseline's name.
    pub baseline: &'a str,
    /// The comparison; `None` with one variant.
    pub comparison: Option<&'a Comparison>,
    /// What a reader must know before the numbers, beside what the comparison says.
    pub warnings: &'a [String],
    /// The gathered metrics.
    pub rows: &'a [TidyRow],
    /// Their content hash.
    pub hash: &'a str,
    /// The figures, in order.
    pub figures: &'a [Figure],
    /// What could not be drawn.
    pub skipped: &'a [String],
    /// The settings in which variants differ from the baseline.
    pub deltas: &'a [SettingDelta],
    /// The trials' manifests.
    pub manifests: &'a [&'a Manifest],
    /// The command that repeats the experiment.
    pub command: &'a str,
}

/// Writes the report.
///
/// # Errors
/// [`ReportError`].
pub fn render(input: &ReportInput) -> Result<String, ReportError> {
    let no_comparison = Comparison::default();
    let comparison = input.comparison.unwrap_or(&no_comparison);
    let (first, later) = split(input.figures);
    let blocks = |figures: Vec<&Figure>| {
        let blocks = figures.into_iter().map(figure_block);
        blocks.collect::<Result<Vec<_>, _>>()
    };
    let deltas: Vec<_> = input.deltas.iter().map(delta_line).collect();
    let trials = input.manifests.iter().take(TRIALS_MAX);
    let trials: Vec<_> = trials.map(|it| trial_line(it)).collect();
    let context = Context {
        hypothesis: input.hypothesis,
        expectations: input.expectations,
    };
    let page = context! {
        experiment => input.experiment,
        question => input.question,
        hypothesis => input.hypothesis,
        baseline => input.baseline,
        swept => store::trials_of(input.rows).any(|trial| !trial.point.is_empty()),
        answer => input.comparison.map(|it| compare::answer(it, context)),
        leading => blocks(first)?,
        primary => verdict_lines(comparison, true),
        exploratory => verdict_lines(comparison, false),
        left_out => left_out(input, comparison),
        rankings => rankings(comparison),
        warnings => [input.warnings, &comparison.warnings].concat(),
        missing => comparison.missing.clone(),
        figures => blocks(later)?,
        meanings => meanings(input.rows, comparison),
        skipped => input.skipped.to_vec(),
        tables => metric_tables(input.rows, comparison),
        deltas,
        facts => facts(input),
        trials,
        command => input.command,
    };
    super::fill(super::RUN, page)
}

/// The figures that answer the question of a sweep, and the others.
fn split(figures: &[Figure]) -> (Vec<&Figure>, Vec<&Figure>) {
    let (mut first, mut later): (Vec<&Figure>, Vec<&Figure>) =
        figures.iter().partition(|figure| figure.leads());
    let more = first.split_off(first.len().min(LEADING_MAX));
    later.splice(0..0, more);
    (first, later)
}

fn figure_block(figure: &Figure) -> Result<Value, PlotError> {
    let svg = Value::from_safe_string(figure.svg()?);
    Ok(context! {
        name => figure.name.as_str(),
        title => figure.title.as_str(),
        caption => figure.caption.as_str(),
        svg,
    })
}

fn delta_line(delta: &SettingDelta) -> Value {
    context! {
        variant => delta.variant.as_str(),
        key => delta.key.as_str(),
        baseline => delta.baseline.as_str(),
        value => delta.value.as_str(),
    }
}

/// Says what the page has no room for; `None` if it holds everything.
fn left_out(input: &ReportInput, comparison: &Comparison) -> Option<String> {
    let mut parts = Vec::new();
    let variants = compare::variants(input.rows).len();
    if variants > VARIANTS_MAX {
        parts.push(format!("metrics and settings of {variants} variants"));
    }
    for primary in [true, false] {
        let rows = comparison.rows.iter();
        let rows = rows.filter(|row| row.primary == primary).count();
        if rows > VERDICTS_MAX {
            parts.push(format!("{} verdicts", rows - VERDICTS_MAX));
        }
    }
    if input.manifests.len() > TRIALS_MAX {
        parts.push(format!("{} trials", input.manifests.len() - TRIALS_MAX));
    }
    (!parts.is_empty()).then(|| {
        format!(
            "Not on this page, which would be too large: {}. They are in metrics.parquet, \
             summary.json and plan.jsonl; `aura compare {} --format csv` prints all verdicts.",
            parts.join(", "),
            input.experiment
        )
    })
}

/// The most rankings that the page has room for.
const RANKINGS_MAX: usize = 12;

/// The rankings of three or more variants.
fn rankings(comparison: &Comparison) -> Vec<Value> {
    let line = |ranking: &Ranking, place: &Ranked| {
        context! {
            variant => place.variant.as_str(),
            mean => shown(place.mean, &ranking.unit),
            letters => place.letters.as_str(),
        }
    };
    let of_many = comparison.rankings.iter().filter(|it| it.places.len() > 2);
    of_many
        .take(RANKINGS_MAX)
        .map(|ranking| {
            let places = ranking.places.iter().map(|place| line(ranking, place));
            context! {
                metric => ranking.metric.as_str(),
                place => place(&ranking.phase, &ranking.point),
                places => places.collect::<Vec<_>>(),
            }
        })
        .collect()
}

/// `variant at point, seed 3: 0123abcd`.
fn trial_line(manifest: &Manifest) -> String {
    let Manifest {
        variant, seed, id, ..
    } = manifest;
    if manifest.point.is_empty() {
        return format!("{variant}, seed {seed}: {id}");
    }
    let point = point::label(&manifest.point);
    format!("{variant} at {point}, seed {seed}: {id}")
}

/// How the experiment was run: names and values; without those that are empty.
fn facts(input: &ReportInput) -> Vec<Value> {
    let all = |of: fn(&Manifest) -> String| {
        let values: BTreeSet<String> = input.manifests.iter().map(|it| of(it)).collect();
        values.into_iter().collect::<Vec<_>>().join(", ")
    };
    let seeds: BTreeSet<u64> = input.manifests.iter().map(|it| it.seed).collect();
    let seeds: Vec<String> = seeds.iter().map(u64::to_string).collect();
    let facts = [
        ("World", all(|manifest| manifest.world.name().to_owned())),
        ("Device", all(|manifest| manifest.device.clone())),
        ("AuraDB", all(|manifest| manifest.version.clone())),
        ("Commit", all(|manifest| manifest.commit.clone())),
        ("Seeds", seeds.join(", ")),
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
    use crate::plot::tests::drawn;
    use crate::record::TrialResult;
    use crate::report::tables::verdict_line;
    use crate::stats::verdict::Verdict;
    use crate::store::content_hash;
    use crate::testing::{rows_of, sample_trial};

    fn page(question: &str) -> String {
        let mut trials = Vec::new();
        for (variant, factor) in [("lru", 2), ("sieve", 1)] {
            for seed in 0..3 {
                trials.push(sample_trial(variant, seed, factor));
            }
        }
        page_of(question, &trials)
    }

    fn settings() -> CompareSettings {
        CompareSettings {
            baseline: "lru".to_owned(),
            ..CompareSettings::default()
        }
    }

    fn page_of(question: &str, trials: &[TrialResult]) -> String {
        let rows = rows_of(trials);
        let settings = settings();
        let delta = SettingDelta {
            variant: "sieve".to_owned(),
            key: "engine.cache.eviction.policy".to_owned(),
            baseline: "\"lru\"".to_owned(),
            value: "\"sieve\"".to_owned(),
        };
        let comparison = compare(&rows, &settings).ok();
        let input = ReportInput {
            experiment: "sample",
            question,
            hypothesis: "It is.",
            expectations: &[],
            baseline: "lru",
            comparison: comparison.as_ref(),
            warnings: &["The databases lay on tmpfs.".to_owned()],
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
            "<figure id=\"sweep.run.throughput_ops.run\">",
            "Best: sieve at 32MiB.",
            "Primary metrics, named before the run",
            "data-label=\"95 % interval\"",
            "<dt>run.throughput_ops</dt><dd>Operations",
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
    fn the_warnings_of_a_single_variant_are_on_its_page() {
        let page = page_of("How fast is lru?", &[sample_trial("lru", 0, 1)]);
        assert!(page.contains("<li>The databases lay on tmpfs.</li>"));
        assert!(!page.contains("class=\"answer\""), "nothing was compared");
    }

    #[test]
    fn a_page_that_would_be_too_large_says_what_it_leaves_out() {
        let mut trials = vec![sample_trial("lru", 0, 2), sample_trial("lru", 1, 2)];
        for number in 0..VERDICTS_MAX + 20 {
            let variant = format!("v{number}");
            trials.push(sample_trial(&variant, 0, 1));
            trials.push(sample_trial(&variant, 1, 1));
        }
        let page = page_of("Which of many?", &trials);
        for words in [
            "metrics and settings of 521 variants",
            "20 verdicts",
            "aura compare sample --format csv",
        ] {
            assert!(page.contains(words), "{words}");
        }
        assert!(
            !page.contains("<h3>Phase run</h3>"),
            "no table has 521 columns"
        );
    }

    #[test]
    fn every_verdict_has_a_class_and_the_page_a_rule_for_it() {
        let rows = rows_of(&[sample_trial("lru", 0, 2), sample_trial("sieve", 0, 1)]);
        let mut row = compare(&rows, &settings()).expect("two variants").rows[0].clone();
        for verdict in Verdict::ALL {
            row.verdict = verdict;
            let line = verdict_line(&row);
            let class = line.get_attr("class").expect("it is there").to_string();
            assert!(
                !class.contains(char::is_whitespace),
                "{class:?} would be two classes"
            );
            let template = include_str!("page.css");
            assert!(
                template.contains(&format!(".{class} {{")),
                "no rule for .{class}"
            );
        }
        assert!(
            include_str!("parts.html").contains(r#"<span class="verdict {{ row.class }}">"#),
            "the class is what the page uses"
        );
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
        let addresses = page.matches("http").count();
        assert_eq!(
            addresses,
            page.matches("xmlns=\"http://www.w3.org/2000/svg\"").count(),
            "no address but SVG's name"
        );
    }
}
