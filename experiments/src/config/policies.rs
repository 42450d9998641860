//! The policies in an engine's settings: built once to check them, and their defaults spelt out.

use std::collections::BTreeMap;

use aura_engine::EngineConfig;
use aura_policies::{
    FamilyInfo, PolicyError, PolicySpec, admission, agent, cache, filter, index, layout, picker,
    separation, tuner, warming,
};

use super::error::ConfigError;
use super::tree::{Content, Node};
use crate::nearest::hint;

/// A capacity that every cache policy accepts: what is refused there is a bad parameter.
const TRIAL_CAPACITY: u64 = 1 << 20;

/// A key of the settings that takes a policy.
struct Slot<'a> {
    key: &'static str,
    /// What the settings say there.
    spec: &'a PolicySpec,
    family: fn() -> FamilyInfo,
    /// Builds the policy and drops it.
    build: fn(&PolicySpec) -> Result<(), PolicyError>,
}

/// The slots of an engine's settings. `value_log.gc` and `value_log.placement` are not among them:
/// their parameters would become a part of every trial's id.
fn slots(engine: &EngineConfig) -> [Slot<'_>; 10] {
    [
        Slot {
            key: "engine.table.filter",
            spec: &engine.table.filter,
            family: || filter::FAMILY.info(),
            build: |spec| filter::build(spec).map(drop),
        },
        Slot {
            key: "engine.table.index",
            spec: &engine.table.index,
            family: || index::FAMILY.info(),
            build: |spec| index::build(spec).map(drop),
        },
        Slot {
            key: "engine.cache.eviction",
            spec: &engine.cache.eviction,
            family: || cache::FAMILY.info(),
            build: |spec| cache::build(spec, TRIAL_CAPACITY, 0).map(drop),
        },
        Slot {
            key: "engine.cache.admission",
            spec: &engine.cache.admission,
            family: || admission::FAMILY.info(),
            build: |spec| admission::build(spec, TRIAL_CAPACITY, 0).map(drop),
        },
        Slot {
            key: "engine.cache.warming",
            spec: &engine.cache.warming,
            family: || warming::FAMILY.info(),
            build: |spec| warming::build(spec).map(drop),
        },
        Slot {
            key: "engine.table.index_tuner",
            spec: &engine.table.index_tuner,
            family: || tuner::FAMILY.info(),
            build: |spec| tuner::build(spec).map(drop),
        },
        Slot {
            key: "engine.compaction.layout",
            spec: &engine.compaction.layout,
            family: || layout::FAMILY.info(),
            build: |spec| layout::build(spec).map(drop),
        },
        Slot {
            key: "engine.compaction.picker",
            spec: &engine.compaction.picker,
            family: || picker::FAMILY.info(),
            build: |spec| picker::build(spec).map(drop),
        },
        Slot {
            key: "engine.compaction.agent",
            spec: &engine.compaction.agent,
            family: || agent::FAMILY.info(),
            build: |spec| agent::build(spec, 0).map(drop),
        },
        Slot {
            key: "engine.value_log.separation",
            spec: &engine.value_log.separation,
            family: || separation::FAMILY.info(),
            build: |spec| separation::build(spec).map(drop),
        },
    ]
}

/// Checks that every policy exists and takes its parameters.
///
/// # Errors
/// [`ConfigError`] with the place of the first policy or parameter that is refused.
pub(super) fn check(tree: &Node, engine: &EngineConfig) -> Result<(), ConfigError> {
    for slot in slots(engine) {
        (slot.build)(slot.spec).map_err(|error| slot.error(tree, &error))?;
    }
    Ok(())
}

impl Slot<'_> {
    fn error(&self, tree: &Node, error: &PolicyError) -> ConfigError {
        let key = self.key;
        let (location, hint) = match error {
            PolicyError::UnknownPolicy { policy, known, .. } => {
                let node = tree.closest(&format!("{key}.policy"));
                (node.location(), hint(policy, known.iter().copied()))
            }
            PolicyError::UnknownParameter {
                parameter, known, ..
            } => {
                let node = tree.closest(&format!("{key}.{parameter}"));
                let known = known.iter().map(String::as_str);
                (node.key_location(), hint(parameter, known))
            }
            PolicyError::BadParameter { parameter, .. } => {
                let path = if self.spec.params.contains_key(parameter) {
                    format!("{key}.{parameter}")
                } else {
                    key.to_owned()
                };
                (tree.closest(&path).location(), String::new())
            }
        };
        ConfigError::new(format!("`{key}`: {error}{hint}"))
            .at(location)
            .help("`aura list policies` shows all policies with their parameters")
    }
}

/// Fills in the parameters that policies take by default: what is printed, and hashed into a
/// trial's id, is everything.
pub(super) fn spell_out_defaults(tree: &mut Node, engine: &EngineConfig) {
    for slot in slots(engine) {
        let policies = (slot.family)().policies;
        let policy = policies
            .into_iter()
            .find(|policy| policy.name == slot.spec.policy);
        for param in policy.into_iter().flat_map(|policy| policy.params) {
            if !param.default.is_null() && !slot.spec.params.contains_key(&param.name) {
                let path = format!("{}.{}", slot.key, param.name);
                tree.put(&path, Node::defaults(param.default));
            }
        }
        // A policy without parameters may still be a bare name: as a table, one policy is always
        // the same text.
        let table = Content::Table(BTreeMap::new());
        tree.put(slot.key, Node::default_value(table));
    }
}
