//! The settings that take a policy, in one table.
//!
//! Configs check these settings by the table, fill in the defaults, and hash the result into a
//! trial's id; tests draw policies from it. The test at the end of this file finds a setting that
//! is missing here.

use std::borrow::Cow;

use aura_policies::{
    AnyFamily, PolicySpec, admission, agent, cache, filter, gc, index, layout, limiter, picker,
    placement, self_tuner, separation, stall, tuner, warming,
};

use super::EngineConfig;

/// A setting that takes a policy.
pub struct PolicySlot<S> {
    /// The setting's dotted name, such as `cache.eviction`.
    pub key: Cow<'static, str>,
    /// The family that its policies come from.
    pub family: &'static dyn AnyFamily,
    /// The policy that the settings name there, with its parameters.
    pub spec: S,
}

/// Lists the slots; `$borrow` is `&` or `&mut`, and the others make an iterator and an option of
/// such borrows.
macro_rules! slots {
    ($config:ident, $iter:ident, $as_ref:ident, $($borrow:tt)+) => {{
        let table = $($borrow)+ $config.table;
        let cache = $($borrow)+ $config.cache;
        let compaction = $($borrow)+ $config.compaction;
        let value_log = $($borrow)+ $config.value_log;
        let mut slots = vec![
            slot("table.filter", &filter::FAMILY, $($borrow)+ table.filter),
            slot("table.index", &index::FAMILY, $($borrow)+ table.index),
            slot("table.index_tuner", &tuner::FAMILY, $($borrow)+ table.index_tuner),
            slot("cache.eviction", &cache::FAMILY, $($borrow)+ cache.eviction),
            slot("cache.admission", &admission::FAMILY, $($borrow)+ cache.admission),
            slot("cache.warming", &warming::FAMILY, $($borrow)+ cache.warming),
            slot("compaction.layout", &layout::FAMILY, $($borrow)+ compaction.layout),
            slot("compaction.picker", &picker::FAMILY, $($borrow)+ compaction.picker),
            slot("compaction.agent", &agent::FAMILY, $($borrow)+ compaction.agent),
            slot("value_log.separation", &separation::FAMILY, $($borrow)+ value_log.separation),
            slot("value_log.placement", &placement::FAMILY, $($borrow)+ value_log.placement),
            slot("value_log.gc", &gc::FAMILY, $($borrow)+ value_log.gc),
        ];
        let stall = compaction.stall.$as_ref();
        slots.extend(stall.map(|spec| slot("compaction.stall", &stall::FAMILY, spec)));
        let limiter = $config.io_limiter.$as_ref();
        slots.extend(limiter.map(|spec| slot("io_limiter", &limiter::FAMILY, spec)));
        if let Some(tuning) = $($borrow)+ $config.self_tuning {
            let key = "self_tuning.policy";
            slots.push(slot(key, &self_tuner::FAMILY, $($borrow)+ tuning.policy));
        }
        for (level, own) in table.levels.$iter() {
            let key = |name| format!("table.levels.{level}.{name}");
            let filter = own.filter.$as_ref();
            let index = own.index.$as_ref();
            slots.extend(filter.map(|spec| slot(key("filter"), &filter::FAMILY, spec)));
            slots.extend(index.map(|spec| slot(key("index"), &index::FAMILY, spec)));
        }
        slots
    }};
}

fn slot<S>(
    key: impl Into<Cow<'static, str>>,
    family: &'static dyn AnyFamily,
    spec: S,
) -> PolicySlot<S> {
    let key = key.into();
    PolicySlot { key, family, spec }
}

impl EngineConfig {
    /// Returns every setting that takes a policy, with its current policy.
    ///
    /// ```
    /// use aura_engine::EngineConfig;
    ///
    /// for slot in EngineConfig::default().policies() {
    ///     assert_eq!(slot.family.check(slot.spec), Ok(()), "{}", slot.key);
    /// }
    /// ```
    pub fn policies(&self) -> Vec<PolicySlot<&PolicySpec>> {
        slots!(self, iter, as_ref, &)
    }

    /// Returns every setting that takes a policy, for changing it.
    pub fn policies_mut(&mut self) -> Vec<PolicySlot<&mut PolicySpec>> {
        slots!(self, iter_mut, as_mut, &mut)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::config::{LevelConfig, SelfTuningConfig};

    /// Collects the keys whose value is a policy.
    fn keys_of_policies(value: &Value, path: &str, found: &mut BTreeSet<String>) {
        let Value::Object(fields) = value else {
            return;
        };
        if fields.get("policy").is_some_and(Value::is_string) {
            found.insert(path.to_owned());
        }
        for (name, value) in fields {
            let path = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            keys_of_policies(value, &path, found);
        }
    }

    #[test]
    fn every_setting_that_takes_a_policy_is_a_slot() {
        let mut config = EngineConfig::default();
        let own = LevelConfig {
            filter: Some(config.table.filter.clone()),
            index: Some(config.table.index.clone()),
            ..LevelConfig::default()
        };
        config.table.levels.insert(2, own);
        config.self_tuning = Some(SelfTuningConfig::default());
        config.compaction.stall = Some(aura_policies::defaults().stall);
        config.io_limiter = Some(aura_policies::defaults().limiter);
        let written = serde_json::to_value(&config).expect("plain data");
        let mut found = BTreeSet::new();
        keys_of_policies(&written, "", &mut found);
        let slots: BTreeSet<_> = config.policies().into_iter().map(|slot| slot.key).collect();
        let found: BTreeSet<_> = found.into_iter().map(Cow::from).collect();
        assert_eq!(found, slots);
        assert!(slots.contains("table.levels.2.index"));
    }
}
