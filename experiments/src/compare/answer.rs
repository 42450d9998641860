//! A comparison in words: the answer first, then what is not decided, then how much was asked.

use std::collections::BTreeMap;

use super::expectation::{self, Expectation};
use super::ranking::{Ranked, Ranking};
use super::{CompareRow, Comparison, sweep};
use crate::formats::{digits, shown, shown_p};
use crate::metrics::{self, Direction};
use crate::point;
use crate::stats::LEVEL;
use crate::stats::verdict::Verdict;

/// The most variants or reasons that a line lists.
const LISTED_MAX: usize = 8;

/// The most reasons that a line lists.
const REASONS_MAX: usize = 4;

/// The most places (phases and sweep points) that have lines of their own.
const PLACES_MAX: usize = 6;

/// What the answer is about, beside the numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// What was expected, in the words of the config.
    pub hypothesis: &'a str,
    /// The parts of it that the comparison decides.
    pub expectations: &'a [Expectation],
}

/// Says in words what the comparison shows, one sentence or two a line: the primary metrics, what
/// is not decided, which expectations held (without any: which of the variants that the hypothesis
/// names are decided), and how many comparisons there are.
pub fn answer(comparison: &Comparison, context: Context) -> String {
    let mut lines = Vec::new();
    let primary: Vec<&CompareRow> = comparison.rows.iter().filter(|row| row.primary).collect();
    let asked = if primary.is_empty() {
        lines.push(
            "No primary metric has a value under the baseline and a variant; what follows was \
             asked after the run and is exploratory."
                .to_owned(),
        );
        comparison.rows.iter().collect()
    } else {
        primary
    };
    if asked.is_empty() {
        return "No primary metric has a value under the baseline and a variant.".to_owned();
    }
    let metrics = distinct(asked.iter().map(|row| row.metric.as_str()));
    for metric in &metrics {
        let rows: Vec<&CompareRow> = asked
            .iter()
            .copied()
            .filter(|row| row.metric == *metric)
            .collect();
        let rankings = comparison.rankings.iter();
        let rankings: Vec<&Ranking> = rankings.filter(|it| it.metric == *metric).collect();
        lines.extend(about_metric(metric, &rows, &rankings));
    }
    lines.extend(open_questions(&asked));
    let outcome = expectation::outcome(context.expectations, &comparison.rows);
    lines.extend(outcome.or_else(|| hypothesis(context.hypothesis, &asked)));
    lines.extend(family(comparison));
    lines.join("\n")
}

/// The items without repetition, in the order in which they come.
fn distinct<'a>(items: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut distinct = Vec::new();
    for item in items {
        if !distinct.contains(&item) {
            distinct.push(item);
        }
    }
    distinct
}

/// The first few of a list, and how many more there are.
pub(super) fn listed(items: &[String]) -> String {
    few(items, ", ")
}

/// The first few of a list with something between them, and how many more there are.
fn few(items: &[String], separator: &str) -> String {
    let shown = items[..items.len().min(LISTED_MAX)].join(separator);
    match items.len().saturating_sub(LISTED_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn about_metric(metric: &str, rows: &[&CompareRow], rankings: &[&Ranking]) -> Vec<String> {
    let mut by_variant: BTreeMap<&str, Vec<&CompareRow>> = BTreeMap::new();
    for row in rows {
        by_variant.entry(&row.variant).or_default().push(row);
    }
    let mut by_variant: Vec<Vec<&CompareRow>> = by_variant.into_values().collect();
    by_variant.sort_by(|a, b| point::natural(&a[0].variant, &b[0].variant));
    let one_place = by_variant.iter().all(|rows| rows.len() == 1);
    let mut lines = Vec::new();
    if !one_place {
        let direction = metrics::find(metric).map(|metric| metric.direction);
        let higher = direction != Ok(Direction::Lower);
        lines.extend(sweep::words(rankings, higher));
    }
    let many_variants = by_variant.len() > 1;
    if many_variants {
        lines.extend(best(metric, rows, rankings));
        if let [ranking] = rankings {
            lines.extend(in_order(ranking));
        }
    }
    if one_place && many_variants {
        let rows: Vec<&CompareRow> = by_variant.iter().map(|rows| rows[0]).collect();
        lines.push(by_verdict(metric, rows));
    } else {
        let clauses: Vec<String> = by_variant.iter().map(|rows| clause(rows)).collect();
        lines.push(format!("On {metric}, {}.", clauses.join("; ")));
    }
    lines
}

/// The best variant in each place, or of many places, how often each is best.
fn best(metric: &str, rows: &[&CompareRow], rankings: &[&Ranking]) -> Vec<String> {
    if rankings.len() <= PLACES_MAX {
        let several = rankings.len() > 1;
        let line = |ranking: &&Ranking| best_at(metric, rows, ranking, several);
        return rankings.iter().filter_map(line).collect();
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for ranking in rankings {
        if let Some(best) = ranking.places.first() {
            *counts.entry(&best.variant).or_default() += 1;
        }
    }
    let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| point::natural(a.0, b.0)));
    let counts: Vec<String> = counts
        .iter()
        .map(|(variant, count)| format!("{variant} in {count}"))
        .collect();
    vec![format!(
        "On {metric} the best mean of {} places is that of {}.",
        rankings.len(),
        listed(&counts)
    )]
}

fn best_at(metric: &str, rows: &[&CompareRow], ranking: &Ranking, several: bool) -> Option<String> {
    let (first, others) = ranking.places.split_first()?;
    let place = if several {
        let place = format!(", {} {}", ranking.phase, point::label(&ranking.point));
        place.trim_end().to_owned()
    } else {
        String::new()
    };
    let row = rows.iter().find(|row| {
        row.variant == first.variant && row.phase == ranking.phase && row.point == ranking.point
    });
    let value = shown(first.mean, &ranking.unit);
    let is_baseline = rows.iter().any(|row| row.baseline == first.variant);
    let mut line = match row {
        None if !is_baseline => return None,
        None => format!(
            "On {metric}{place}, no variant is ahead of the baseline {} ({value})",
            first.variant
        ),
        Some(row) => {
            let (variant, baseline) = (&first.variant, &row.baseline);
            let claim = match row.verdict {
                Verdict::Better | Verdict::Exact => format!("{variant} is best ({value})"),
                _ => format!(
                    "no variant is shown to be better than {baseline}; the best mean is that of \
                     {variant} ({value})"
                ),
            };
            let effect = row.effect_label();
            format!(
                "On {metric}{place}, {claim}: {effect} against {baseline}{}",
                p(row)
            )
        }
    };
    let tied: Vec<String> = ranking
        .tied_with_best()
        .into_iter()
        .map(str::to_owned)
        .collect();
    if first.letters.is_empty() {
        line += ", by its mean alone";
    } else if tied.is_empty() {
        line += if others.len() > 1 {
            ", and ahead of all others"
        } else {
            ""
        };
    } else {
        line += &format!("; not distinguished from it: {}", listed(&tied));
    }
    Some(line + ".")
}

/// All variants with their letters, the best first; `None` without letters.
fn in_order(ranking: &Ranking) -> Option<String> {
    let lettered = |place: &Ranked| (!place.letters.is_empty()).then(|| place.shown());
    let places: Option<Vec<String>> = ranking.places.iter().map(lettered).collect();
    let places = places.filter(|places| places.len() > 2)?.join(", ");
    Some(format!(
        "Ranking on {}: {places}. Those with a letter in common are not distinguished.",
        ranking.metric
    ))
}

/// `, p = 0.01`, or `, p < 0.0001`; empty without.
fn p(row: &CompareRow) -> String {
    match row.p.map(shown_p) {
        None => String::new(),
        Some(p) if p.starts_with('<') => format!(", p {p}"),
        Some(p) => format!(", p = {p}"),
    }
}

/// Why rows have no verdict that decides.
struct Reason<'a> {
    verdict: Verdict,
    note: &'a str,
    open: Vec<Open<'a>>,
}

/// A variant that is not decided in a metric, and where.
struct Open<'a> {
    variant: &'a str,
    metric: &'a str,
    places: Vec<String>,
}

impl<'a> Reason<'a> {
    fn add(&mut self, row: &'a CompareRow) {
        let place = format!("{} {}", row.phase, point::label(&row.point));
        let place = place.trim_end().to_owned();
        let is_same = |open: &&mut Open| open.variant == row.variant && open.metric == row.metric;
        match self.open.iter_mut().find(is_same) {
            Some(open) => open.places.push(place),
            None => self.open.push(Open {
                variant: &row.variant,
                metric: &row.metric,
                places: vec![place],
            }),
        }
    }

    /// `lhd on cache.hit_ratio in before, moved; fifo on cache.hit_ratio in moved (why)`. What
    /// there is only one of among `rows` goes without saying.
    fn in_words(&self, rows: &[&CompareRow]) -> String {
        let several_metrics = rows.iter().any(|row| row.metric != rows[0].metric);
        let what: Vec<String> = self
            .open
            .iter()
            .map(|open| {
                let mut what = open.variant.to_owned();
                if several_metrics {
                    what += &format!(" on {}", open.metric);
                }
                let of_open =
                    |row: &&&CompareRow| row.variant == open.variant && row.metric == open.metric;
                match rows.iter().filter(of_open).count() {
                    1 => {}
                    all if all == open.places.len() => what += &format!(" in all {all} places"),
                    _ => what += &format!(" in {}", listed(&open.places)),
                }
                what
            })
            .collect();
        let separator = if what.iter().any(|what| what.contains(',')) {
            "; "
        } else {
            ", "
        };
        format!("{} ({})", few(&what, separator), self.note)
    }
}

/// What is not decided, and why: one line per reason.
fn open_questions(rows: &[&CompareRow]) -> Vec<String> {
    let mut reasons: Vec<Reason> = Vec::new();
    for row in rows {
        if !matches!(row.verdict, Verdict::Undecided | Verdict::Refused) {
            continue;
        }
        let is_same = |reason: &Reason| reason.verdict == row.verdict && reason.note == row.note;
        let known = reasons.iter().position(is_same);
        let at = known.unwrap_or_else(|| {
            reasons.push(Reason {
                verdict: row.verdict,
                note: &row.note,
                open: Vec::new(),
            });
            reasons.len() - 1
        });
        reasons[at].add(row);
    }
    let mut parts = BTreeMap::from([(Verdict::Undecided.name(), vec![]), ("refused", vec![])]);
    for reason in reasons {
        let parts = parts.entry(reason.verdict.name()).or_default();
        parts.push(reason.in_words(rows));
    }
    parts
        .into_iter()
        .filter(|(_, parts)| !parts.is_empty())
        .map(|(word, parts)| {
            let word = if word == "refused" {
                "May not be compared"
            } else {
                "Not decided"
            };
            let more = match parts.len().saturating_sub(REASONS_MAX) {
                0 => String::new(),
                more => format!("; {more} more reasons are in the notes"),
            };
            let parts = &parts[..parts.len().min(REASONS_MAX)];
            format!("{word}: {}{more}.", parts.join("; "))
        })
        .collect()
}

/// Which of the variants that the hypothesis names have a verdict.
fn hypothesis(hypothesis: &str, rows: &[&CompareRow]) -> Option<String> {
    if hypothesis.is_empty() {
        return None;
    }
    let named = |variant: &&str| names(hypothesis, variant);
    let variants = distinct(rows.iter().map(|row| row.variant.as_str()));
    let named: Vec<&str> = variants.into_iter().filter(named).collect();
    if named.is_empty() {
        return None;
    }
    let mut decided = Vec::new();
    let mut open = Vec::new();
    for variant in named {
        let is_open = |row: &&&CompareRow| {
            matches!(
                row.verdict,
                Verdict::Undecided | Verdict::Refused | Verdict::Exact
            )
        };
        let own: Vec<&&CompareRow> = rows.iter().filter(|row| row.variant == variant).collect();
        match own.iter().filter(|row| is_open(row)).count() {
            0 => decided.push(variant.to_owned()),
            count if count == own.len() => open.push(variant.to_owned()),
            count => open.push(format!("{variant} in {count} of {}", own.len())),
        }
    }
    let mut parts = Vec::new();
    if !decided.is_empty() {
        parts.push(format!("decided: {}", listed(&decided)));
    }
    if !open.is_empty() {
        parts.push(format!("not decided: {}", listed(&open)));
    }
    Some(format!(
        "Of the variants that the hypothesis names, {}.",
        parts.join("; ")
    ))
}

/// Whether a text has a name as a word of its own, whatever the case of its letters.
fn names(text: &str, name: &str) -> bool {
    let (text, name) = (text.to_lowercase(), name.to_lowercase());
    let joins = |letter: Option<char>| {
        letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '-')
    };
    text.match_indices(&name).any(|(at, found)| {
        let after = &text[at + found.len()..];
        !joins(text[..at].chars().next_back()) && !joins(after.chars().next())
    })
}

/// How many comparisons there are, and how many false ones to expect among them.
fn family(comparison: &Comparison) -> Option<String> {
    let family = comparison.family;
    let percent = LEVEL * 100.0;
    let mut parts = Vec::new();
    if family.primary > 0 {
        parts.push(format!(
            "{} of primary metrics, corrected as one family: a {percent} % chance that any of \
             their differences is false, and as much that any equivalence is",
            family.primary
        ));
    }
    if family.exploratory > 0 {
        let rows = comparison.rows.iter().filter(|row| !row.primary);
        let called = rows.filter(|row| row.verdict.is_difference()).count();
        let found = match called {
            0 => "none is called".to_owned(),
            called => format!(
                "of the {called} that are called, expect up to {} false",
                digits(called as f64 * LEVEL, 2)
            ),
        };
        parts.push(format!(
            "{} exploratory, of which chance alone would call about {} if they were not \
             corrected; {found}",
            family.exploratory,
            digits(family.exploratory as f64 * LEVEL, 2),
        ));
    }
    (!parts.is_empty()).then(|| format!("Comparisons: {}.", parts.join("; ")))
}

/// Several variants in one place: the verdicts in turn, the largest effects first.
fn by_verdict(metric: &str, mut rows: Vec<&CompareRow>) -> String {
    rows.sort_by(|a, b| b.effect.abs().total_cmp(&a.effect.abs()));
    let group = |counted: &Counted| {
        let effects: Vec<String> = rows
            .iter()
            .filter(|row| row.verdict == counted.verdict)
            .map(|row| format!("{} {}", row.variant, row.effect_label()))
            .collect();
        format!("{}: {}", counted.verdict.name(), listed(&effects))
    };
    let groups: Vec<String> = count_verdicts(&rows).iter().map(group).collect();
    format!(
        "On {metric} against {}: {}.",
        rows[0].baseline,
        groups.join("; ")
    )
}

/// A verdict, and how many rows have it.
struct Counted {
    verdict: Verdict,
    count: usize,
}

/// Counts verdicts, in the order in which they first appear.
fn count_verdicts(rows: &[&CompareRow]) -> Vec<Counted> {
    let mut counts: Vec<Counted> = Vec::new();
    for row in rows {
        match counts
            .iter_mut()
            .find(|counted| counted.verdict == row.verdict)
        {
            Some(counted) => counted.count += 1,
            None => counts.push(Counted {
                verdict: row.verdict,
                count: 1,
            }),
        }
    }
    counts
}

/// One variant in all places.
fn clause(rows: &[&CompareRow]) -> String {
    match rows {
        [row] => clause_of_one(row),
        rows => clause_of_many(rows),
    }
}

fn clause_of_one(row: &CompareRow) -> String {
    let samples = match (row.pairs, row.note.as_str()) {
        (1, note) => note.to_owned(),
        (pairs, "") => format!("{pairs} pairs{}", p(row)),
        (pairs, note) => format!("{pairs} pairs{}; {note}", p(row)),
    };
    let relation = relation(row.verdict, &row.baseline, &row.effect_label());
    format!("{} is {relation} ({samples})", row.variant)
}

fn clause_of_many(rows: &[&CompareRow]) -> String {
    let places = match count_verdicts(rows).as_slice() {
        [only] => format!("{} in all {} places", only.verdict.name(), only.count),
        counts => {
            let counted: Vec<String> = counts
                .iter()
                .map(|counted| format!("{} in {}", counted.verdict.name(), counted.count))
                .collect();
            format!("{} of {} places", counted.join(", "), rows.len())
        }
    };
    let by_effect = |a: &&&CompareRow, b: &&&CompareRow| a.effect.total_cmp(&b.effect);
    let least = rows.iter().min_by(by_effect).expect("there are rows");
    let most = rows.iter().max_by(by_effect).expect("there are rows");
    let unit = most.effect_unit();
    let least = least.shown(least.effect);
    let most = most.shown(most.effect);
    let range = if least == most {
        most
    } else {
        format!("{least} to {most}")
    };
    let CompareRow {
        variant, baseline, ..
    } = rows[0];
    format!("{variant} against {baseline} is {places}: {range} {unit}")
}

fn relation(verdict: Verdict, baseline: &str, effect: &str) -> String {
    match verdict {
        Verdict::Better | Verdict::Worse => {
            format!("{} than {baseline} by {effect}", verdict.name())
        }
        Verdict::Equivalent => format!("equivalent to {baseline}: {effect}"),
        Verdict::Different => format!("different from {baseline} by {effect}"),
        Verdict::Undecided => format!("undecided against {baseline}: {effect}"),
        Verdict::Exact => format!("at {effect} against {baseline}"),
        Verdict::Inactive => format!("inactive, as {baseline} is: {effect}"),
        Verdict::NotMeasured => format!("not measured against {baseline}"),
        Verdict::Refused => format!("not comparable with {baseline}: {effect}"),
    }
}
