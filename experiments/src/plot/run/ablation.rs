//! What each setting does: the effect of every variant on a primary metric against the baseline,
//! the best first, beside what the variant sets.

use std::collections::BTreeSet;

use super::forest::{Named, draw, remarks};
use super::{FigureKind, Page, Words, in_words};
use crate::compare::{self, CompareRow};
use crate::metrics::{self, Direction};
use crate::point::Point;

/// The most variants that are drawn.
const ROWS_MAX: usize = 24;

impl Page<'_> {
    pub(super) fn ablation(&mut self) {
        let sets: BTreeSet<BTreeSet<&str>> = self
            .variants
            .iter()
            .map(|variant| self.keys_of(variant))
            .filter(|keys| !keys.is_empty())
            .collect();
        if sets.len() < 2 {
            let why = "the variants do not change different settings of the baseline";
            return self.skip(FigureKind::Ablation, why);
        }
        let Some(comparison) = self.input.comparison else {
            return self.skip(FigureKind::Ablation, "nothing was compared");
        };
        let before = self.figures.drawn.len();
        for metric in self.input.primary {
            for window in self.windows() {
                for point in self.points() {
                    let of_metric = comparison.rows.iter().filter(|row| {
                        row.primary
                            && row.metric == *metric
                            && row.phase == window
                            && row.point == *point
                    });
                    self.ablation_of(&ordered(of_metric.collect()), window, point);
                }
            }
        }
        self.skip_if_none(
            FigureKind::Ablation,
            before,
            "no primary metric was compared",
        );
    }

    fn ablation_of(&mut self, rows: &[&CompareRow], window: &str, point: &Point) {
        let Some(first) = rows.first() else {
            return;
        };
        let left_out = rows.len().saturating_sub(ROWS_MAX);
        let shown = &rows[..rows.len().min(ROWS_MAX)];
        let named: Vec<Named> = shown
            .iter()
            .map(|row| Named {
                row,
                name: row.variant.clone(),
                below: self.changes_of(&row.variant),
            })
            .collect();
        let numbers: Vec<CompareRow> = rows.iter().map(|row| (*row).clone()).collect();
        let (metric, baseline) = (&first.metric, &first.baseline);
        let mut caption = format!(
            "Effect of each variant on {metric} against {baseline}, the best first, with its 95 % \
             interval over paired seeds; below a variant, what it sets. The band is the margin \
             within which a difference does not matter.{}",
            remarks(shown)
        );
        if left_out > 0 {
            caption += &format!(" The {left_out} worst are in the CSV alone.");
        }
        let words = Words {
            kind: FigureKind::Ablation,
            part: format!("{metric}.{window}"),
            title: format!("What each setting does to {metric}, {}", in_words(window)),
            subtitle: self.subtitle(point),
            caption,
            csv: compare::to_csv(&numbers),
        };
        let scene = draw(&named, &self.frame(&words));
        self.add(words, scene);
    }

    /// The keys that a variant sets otherwise than the baseline.
    fn keys_of(&self, variant: &str) -> BTreeSet<&str> {
        let set = |variant: &str| self.input.settings.get(variant);
        let (Some(own), Some(baseline)) = (set(variant), set(self.input.baseline)) else {
            return BTreeSet::new();
        };
        let keys = own.keys().chain(baseline.keys());
        keys.filter(|key| own.get(*key) != baseline.get(*key))
            .map(String::as_str)
            .collect()
    }

    /// What a variant sets otherwise than the baseline, `cache.size=1MiB`, and then what only the
    /// baseline sets.
    fn changes_of(&self, variant: &str) -> String {
        let own = self.input.settings.get(variant);
        let value = |key: &str| own.and_then(|own| own.get(key));
        let (set, unset): (Vec<&str>, Vec<&str>) = self
            .keys_of(variant)
            .into_iter()
            .partition(|key| value(key).is_some());
        let set = set.into_iter().map(|key| {
            let value = value(key).map_or("", |value| value.trim_matches('"'));
            format!("{}={value}", short(key))
        });
        let unset = unset.into_iter().map(|key| format!("{} unset", short(key)));
        set.chain(unset).collect::<Vec<_>>().join(", ")
    }
}

/// A key without the words that most keys have.
fn short(key: &str) -> &str {
    let key = key.strip_prefix("engine.").unwrap_or(key);
    key.strip_suffix(".policy").unwrap_or(key)
}

/// Rows from the best effect to the worst; of a metric without a direction, from the largest.
fn ordered(mut rows: Vec<&CompareRow>) -> Vec<&CompareRow> {
    rows.sort_by(|a, b| {
        let ascending = a.effect.total_cmp(&b.effect);
        match metrics::find(&a.metric).map(|metric| metric.direction) {
            Ok(Direction::Lower) => ascending,
            _ => ascending.reverse(),
        }
    });
    rows
}
