//! The settings that take a policy, in one table.
//!
//! Configs check these settings by the table, fill in the defaults, and hash the result into a
//! trial's id; tests draw policies from it. The test at the end of this file finds a setting that
//! is missing here.

use aura_policies::{
    AnyFamily, PolicySpec, admission, agent, cache, filter, gc, index, layout, picker, placement,
    separation, tuner, warming,
};

use super::EngineConfig;

/// A setting that takes a policy.
pub struct PolicySlot<S> {
    /// The setting's dotted name, such as `cache.eviction`.
    pub key: &'static str,
    /// The family that its policies come from.
    pub family: &'static dyn AnyFamily,
    /// The policy that the settings name there, with its parameters.
    pub spec: S,
}

/// Lists the slots; `$borrow` is `&` or `&mut`.
macro_rules! slots {
    ($config:ident, $($borrow:tt)+) => {
        [
            slot("table.filter", &filter::FAMILY, $($borrow)+ $config.table.filter),
            slot("table.index", &index::FAMILY, $($borrow)+ $config.table.index),
            slot("table.index_tuner", &tuner::FAMILY, $($borrow)+ $config.table.index_tuner),
            slot("cache.eviction", &cache::FAMILY, $($borrow)+ $config.cache.eviction),
            slot("cache.admission", &admission::FAMILY, $($borrow)+ $config.cache.admission),
            slot("cache.warming", &warming::FAMILY, $($borrow)+ $config.cache.warming),
            slot("compaction.layout", &layout::FAMILY, $($borrow)+ $config.compaction.layout),
            slot("compaction.picker", &picker::FAMILY, $($borrow)+ $config.compaction.picker),
            slot("compaction.agent", &agent::FAMILY, $($borrow)+ $config.compaction.agent),
            slot(
                "value_log.separation",
                &separation::FAMILY,
                $($borrow)+ $config.value_log.separation,
            ),
            slot(
                "value_log.placement",
                &placement::FAMILY,
                $($borrow)+ $config.value_log.placement,
            ),
            slot("value_log.gc", &gc::FAMILY, $($borrow)+ $config.value_log.gc),
        ]
    };
}

fn slot<S>(key: &'static str, family: &'static dyn AnyFamily, spec: S) -> PolicySlot<S> {
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
    pub fn policies(&self) -> [PolicySlot<&PolicySpec>; 12] {
        slots!(self, &)
    }

    /// Returns every setting that takes a policy, for changing it.
    pub fn policies_mut(&mut self) -> [PolicySlot<&mut PolicySpec>; 12] {
        slots!(self, &mut)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    /// Collects the keys whose value is a policy.
    fn keys_of_policies(value: &Value, path: &str, found: &mut BTreeSet<String>) {
        let Value::Object(fields) = value else {
            return;
        };
        if fields.contains_key("policy") {
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
        let config = EngineConfig::default();
        let written = serde_json::to_value(&config).expect("plain data");
        let mut found = BTreeSet::new();
        keys_of_policies(&written, "", &mut found);
        let slots = config.policies().map(|slot| slot.key.to_owned());
        assert_eq!(found, BTreeSet::from(slots));
    }
}
