//! Reasons to give no verdict on a metric, whatever its differences: nothing acted, too little
//! happened, an open loop fell behind, or work was put off beyond the window.

use std::collections::BTreeSet;

use aura_engine::EngineConfig;

use super::CompareSettings;
use super::values::{Site, ValueIndex};
use crate::formats::digits;
use crate::metrics::activity::{self, Activity};
use crate::metrics::{Debt, MetricDef};
use crate::stats::verdict::{Judgement, Verdict};

/// Operations until the cache is back at its level.
const RECOVERY: &str = "cache.recovery_ops";

/// The level that it is back at.
const LEVEL: &str = "cache.settled_hit_ratio";

/// The difference of levels, over the larger one, up to which they count as one.
const LEVELS_EQUAL: f64 = 0.05;

/// A variant and the baseline at one site.
pub(super) struct Doubts<'a> {
    index: &'a ValueIndex<'a>,
    site: &'a Site<'a>,
    sides: [&'a str; 2],
    /// Why the variant did nothing that the baseline did not; empty if it did something.
    idle: String,
    overloaded: bool,
    margin: f64,
}

impl<'a> Doubts<'a> {
    pub(super) fn of(
        index: &'a ValueIndex<'a>,
        site: &'a Site<'a>,
        variant: &'a str,
        settings: &'a CompareSettings,
    ) -> Self {
        let sides = [settings.baseline.as_str(), variant];
        let mut doubts = Self {
            index,
            site,
            sides,
            idle: String::new(),
            overloaded: sides.iter().any(|side| index.overloaded(side, site)),
            margin: settings.margin,
        };
        doubts.idle = doubts.idle_policies(settings).unwrap_or_default();
        doubts
    }

    /// Returns the verdict that replaces one on the differences, if there is a doubt.
    pub(super) fn about(&self, metric: &MetricDef) -> Option<Judgement> {
        if !self.idle.is_empty() {
            return Some(Judgement::new(Verdict::Inactive, self.idle.clone()));
        }
        if self.overloaded && metric.name.contains(".latency_") {
            let note = "overloaded: the backlog kept growing";
            return Some(Judgement::new(Verdict::Undecided, note));
        }
        self.too_little(metric)
            .or_else(|| self.deferred(metric))
            .or_else(|| self.other_level(metric))
    }

    /// Says what no policy did in which the sides differ; `None` if one of them acted, or if the
    /// sides differ in something else.
    fn idle_policies(&self, settings: &CompareSettings) -> Option<String> {
        let mut idle = Vec::new();
        for key in self.differing_keys(settings)? {
            let activity = activity_of(key)?;
            let acted = activity.counted_by.iter().any(|metric| {
                let values = self.sides.map(|side| self.most(side, metric));
                values.into_iter().any(|most| most > Some(0.0))
            });
            if acted || activity.counted_by.is_empty() {
                return None;
            }
            idle.push(activity.idle);
        }
        idle.dedup();
        (!idle.is_empty()).then(|| idle.join(", "))
    }

    /// The keys that the two sides set differently; `None` if it is not known what they set.
    fn differing_keys<'b>(&self, settings: &'b CompareSettings) -> Option<BTreeSet<&'b str>> {
        let [baseline, variant] = self.sides.map(|side| settings.overrides.get(side));
        let (baseline, variant) = (baseline?, variant?);
        let keys = baseline.keys().chain(variant.keys());
        Some(
            keys.filter(|key| baseline.get(*key) != variant.get(*key))
                .map(String::as_str)
                .collect(),
        )
    }

    /// The largest value of a metric over the seeds.
    fn most(&self, side: &str, metric: &str) -> Option<f64> {
        let values = self.index.values(side, self.site, metric)?;
        values.values().copied().max_by(f64::total_cmp)
    }

    /// Too little of what the metric depends on happened, on both sides.
    fn too_little(&self, metric: &MetricDef) -> Option<Judgement> {
        let need = metric.need?;
        let seen = |side: &str| -> Option<f64> {
            let counts = need.counted_by.iter();
            counts.map(|metric| self.least(side, metric)).sum()
        };
        let most = self.sides.map(seen).into_iter().flatten();
        let most = most.max_by(f64::total_cmp)?;
        (most < need.least as f64).then(|| {
            let (what, least) = (need.what, need.least);
            let note = format!("{} {what}; at least {least} are needed", digits(most, 3));
            Judgement::new(Verdict::NotMeasured, note)
        })
    }

    /// The smallest value of a metric over the seeds.
    fn least(&self, side: &str, metric: &str) -> Option<f64> {
        let values = self.index.values(side, self.site, metric)?;
        values.values().copied().min_by(f64::total_cmp)
    }

    /// A side put off, or paid for an earlier window, more than the margin of what it wrote.
    fn deferred(&self, metric: &MetricDef) -> Option<Judgement> {
        if metric.debt != Debt::Flattered {
            return None;
        }
        let shares = self.sides.map(|side| {
            let share = self.index.deferred_share(side, self.site);
            share.map(|share| (side, share))
        });
        let worst = shares.into_iter().flatten();
        let (side, share) = worst.max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()))?;
        (share.abs() > self.margin).then(|| {
            let percent = digits(share.abs() * 100.0, 2);
            let what = if share > 0.0 {
                "left unpaid"
            } else {
                "paid for earlier windows"
            };
            let note = format!("{side} {what}: {percent} % of the bytes it wrote");
            Judgement::new(Verdict::Undecided, note)
        })
    }
}

impl Doubts<'_> {
    /// The metric is measured towards a level, and the sides end at different ones: whoever ends
    /// low is there soon.
    fn other_level(&self, metric: &MetricDef) -> Option<Judgement> {
        if metric.name != RECOVERY {
            return None;
        }
        let [baseline, variant] = self
            .sides
            .map(|side| self.index.mean(side, self.site, LEVEL));
        let (baseline, variant) = (baseline?, variant?);
        let difference = (variant - baseline).abs();
        (difference > LEVELS_EQUAL * baseline.max(variant)).then(|| {
            let note = format!(
                "they end at different hit ratios, {} against {}: not one level to recover to",
                digits(variant, 3),
                digits(baseline, 3)
            );
            Judgement::new(Verdict::NotMeasured, note)
        })
    }
}

/// How acting is counted of the policy that a key sets, such as
/// `engine.compaction.layout.ratio`; `None` if the key sets something else.
fn activity_of(key: &str) -> Option<&'static Activity> {
    let key = key.strip_prefix("engine.")?;
    let config = EngineConfig::default();
    let slot = config.policies().into_iter().find(|slot| {
        let rest = key.strip_prefix(slot.key);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })?;
    activity::of_family(slot.family.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_of_the_engine_has_an_activity() {
        for slot in EngineConfig::default().policies() {
            let key = format!("engine.{}", slot.key);
            assert!(activity_of(&key).is_some(), "{key}");
            assert!(activity_of(&format!("{key}.ratio")).is_some(), "{key}");
        }
        assert_eq!(activity_of("engine.cache.size"), None);
        assert_eq!(activity_of("workload.records"), None);
    }
}
