//! Reasons to give no verdict on a metric, whatever its differences: nothing acted, too little
//! happened, an open loop fell behind, or work was put off beyond the window.

use std::collections::BTreeSet;

use aura_engine::{EngineConfig, SelfTuningConfig};
use aura_workloads::names;

use super::CompareSettings;
use super::values::{Site, ValueIndex};
use crate::formats::digits;
use crate::metrics::activity::{self, Activity};
use crate::metrics::{Debt, MetricDef};
use crate::stats::verdict::{Judgement, Verdict};

/// The difference of levels, over the larger one, up to which they count as one.
const LEVELS_EQUAL: f64 = 0.05;

/// A variant and the baseline at one site.
pub(super) struct Doubts<'a> {
    index: &'a ValueIndex<'a>,
    site: &'a Site<'a>,
    sides: [&'a str; 2],
    /// What no policy did in the whole trial in which the sides differ; empty if one of them acted.
    idle: String,
    /// What no such policy did at the site, though one acted elsewhere.
    idle_here: String,
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
            idle_here: String::new(),
            overloaded: sides.iter().any(|side| index.overloaded(side, site)),
            margin: settings.margin,
        };
        let whole = Site {
            phase: names::WHOLE,
            ..*site
        };
        let idle_here = doubts.idle_policies(settings, site);
        // What a policy did before, it left in the tree or in the cache.
        let idle = if index.has_whole() {
            doubts.idle_policies(settings, &whole)
        } else {
            idle_here.clone()
        };
        doubts.idle = idle.unwrap_or_default();
        doubts.idle_here = idle_here.unwrap_or_default();
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
        self.too_little(metric).or_else(|| self.other_level(metric))
    }

    /// Says what no policy did in which the sides differ; `None` if one of them acted, or if the
    /// sides differ in something else.
    fn idle_policies(&self, settings: &CompareSettings, site: &Site) -> Option<String> {
        let mut idle = Vec::new();
        for key in self.differing_keys(settings)? {
            let activity = activity_of(key)?;
            let acted = activity.counted_by.iter().any(|metric| {
                let values = self.sides.map(|side| self.most(side, site, metric));
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
    fn most(&self, side: &str, site: &Site, metric: &str) -> Option<f64> {
        let values = self.index.values(side, site, metric)?;
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

    /// Returns the verdict on a metric. It is undecided if the difference of what the sides put off
    /// may have decided it. A side that looks worse for all that it put off is worse.
    pub(super) fn qualified(&self, metric: &MetricDef, judged: Judgement) -> Judgement {
        let judged = self.unless_censored(metric, judged);
        let Some(flattered) = self.flattered(metric) else {
            return self.noted(judged);
        };
        let doubtful = match judged.verdict {
            Verdict::Better => flattered.variant,
            Verdict::Worse => !flattered.variant,
            Verdict::Equivalent | Verdict::Different => true,
            _ => false,
        };
        if doubtful {
            Judgement::new(Verdict::Undecided, flattered.note)
        } else {
            self.noted(judged)
        }
    }

    /// Adds to a judgement that no policy acted here.
    fn noted(&self, mut judged: Judgement) -> Judgement {
        if !self.idle_here.is_empty() {
            if !judged.note.is_empty() {
                judged.note += "; ";
            }
            judged.note += &format!("{} in this window", self.idle_here);
        }
        judged
    }

    /// The side that a metric flatters by more than the margin.
    fn flattered(&self, metric: &MetricDef) -> Option<Flattered> {
        if metric.debt != Debt::Flattered {
            return None;
        }
        let share = |side: &str| self.index.deferred_share(side, self.site);
        let [baseline, variant] = self.sides.map(share);
        let (baseline, variant) = (baseline.unwrap_or(0.0), variant.unwrap_or(0.0));
        let shown = |share: f64| {
            let percent = digits(share.abs() * 100.0, 2);
            if share < 0.0 {
                format!("paid {percent} % for earlier windows")
            } else {
                format!("left {percent} % unpaid")
            }
        };
        ((variant - baseline).abs() > self.margin).then(|| Flattered {
            variant: variant > baseline,
            note: format!(
                "of the bytes written, the variant {} and the baseline {}",
                shown(variant),
                shown(baseline)
            ),
        })
    }
}

/// A side that put off more than the other.
struct Flattered {
    /// Whether it is the variant.
    variant: bool,
    note: String,
}

impl Doubts<'_> {
    /// The metric is measured towards a level that is not the same for both sides, or that neither
    /// reached.
    fn other_level(&self, metric: &MetricDef) -> Option<Judgement> {
        let level = metric.towards?.metric;
        let [baseline, variant] = self
            .sides
            .map(|side| self.index.mean(side, self.site, level));
        let (baseline, variant) = (baseline?, variant?);
        let difference = (variant - baseline).abs();
        if difference > LEVELS_EQUAL * baseline.max(variant) {
            let note = format!(
                "measured towards different levels: {level} is {} against {}",
                digits(variant, 3),
                digits(baseline, 3)
            );
            return Some(Judgement::new(Verdict::NotMeasured, note));
        }
        let [baseline, variant] = self.censored(metric)?;
        (baseline.is_all() && variant.is_all())
            .then(|| Judgement::new(Verdict::NotMeasured, "neither reached the level"))
    }

    /// In how many seeds each side did not reach the level of the metric, if it has one.
    fn censored(&self, metric: &MetricDef) -> Option<[Censored; 2]> {
        let reached = metric.towards?.reached;
        let [baseline, variant] = self.sides.map(|side| {
            let values = self.index.values(side, self.site, reached)?;
            Some(Censored {
                seeds: values.len(),
                never: values.values().filter(|value| **value == 0.0).count(),
            })
        });
        Some([baseline?, variant?])
    }

    /// Returns the verdict if the level was not reached in all seeds. The true values are larger
    /// there: a difference is claimed only if that would make it larger.
    fn unless_censored(&self, metric: &MetricDef, mut judged: Judgement) -> Judgement {
        let Some([baseline, variant]) = self.censored(metric) else {
            return judged;
        };
        let mut notes = Vec::new();
        for (side, censored) in [("variant", &variant), ("baseline", &baseline)] {
            if censored.never > 0 {
                let Censored { never, seeds } = censored;
                notes.push(format!(
                    "the {side} never reached the level under {never} of {seeds} seeds, which \
                     count as the whole window"
                ));
            }
        }
        let holds = match judged.verdict {
            Verdict::Worse => baseline.never == 0,
            Verdict::Better => variant.never == 0,
            Verdict::Equivalent | Verdict::Different => notes.is_empty(),
            _ => true,
        };
        if !holds {
            judged = Judgement::new(Verdict::Undecided, "");
        }
        notes.splice(0..0, Some(judged.note).filter(|note| !note.is_empty()));
        Judgement::new(judged.verdict, notes.join("; "))
    }
}

/// The seeds of a side, and those under which it did not reach a level.
struct Censored {
    seeds: usize,
    never: usize,
}

impl Censored {
    fn is_all(&self) -> bool {
        self.never == self.seeds
    }
}

/// Settings in which self-tuning has its slot, too.
fn all_slots() -> EngineConfig {
    let mut config = EngineConfig {
        self_tuning: Some(SelfTuningConfig::default()),
        ..EngineConfig::default()
    };
    config.compaction.stall = Some(aura_policies::defaults().stall);
    config.io_limiter = Some(aura_policies::defaults().limiter);
    config
}

/// How acting is counted of the policy that a key sets, such as
/// `engine.compaction.layout.ratio`; `None` if the key sets something else.
fn activity_of(key: &str) -> Option<&'static Activity> {
    let mut key = key.strip_prefix("engine.")?.to_owned();
    // What a level sets of its own is counted as what all levels have.
    if let Some(of_level) = key.strip_prefix("table.levels.") {
        key = format!("table.{}", of_level.split_once('.')?.1);
    }
    let config = all_slots();
    let slot = config.policies().into_iter().find(|slot| {
        let rest = key.strip_prefix(&*slot.key);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })?;
    activity::of_family(slot.family.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_of_the_engine_has_an_activity() {
        for slot in all_slots().policies() {
            let key = format!("engine.{}", slot.key);
            assert!(activity_of(&key).is_some(), "{key}");
            assert!(activity_of(&format!("{key}.ratio")).is_some(), "{key}");
        }
        let [of_level, of_all] = ["engine.table.levels.2.index.policy", "engine.table.index"];
        let name = |key| activity_of(key).map(std::ptr::from_ref);
        assert_eq!(name(of_level), name(of_all));
        assert_eq!(activity_of("engine.table.levels.2.block"), None);
        assert_eq!(activity_of("engine.cache.size"), None);
        assert_eq!(activity_of("workload.records"), None);
    }
}
