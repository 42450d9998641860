//! The policies in an engine's settings: built once to check them, and their defaults spelt out.

use std::collections::BTreeMap;

use aura_engine::{EngineConfig, PolicySlot};
use aura_policies::{PolicyError, PolicySpec};
use serde_json::json;

use super::error::ConfigError;
use super::tree::{Content, Node};
use crate::nearest::hint;

/// Checks that every policy exists and takes its parameters.
///
/// # Errors
/// [`ConfigError`] with the place of the first policy or parameter that is refused.
pub(super) fn check(tree: &Node, engine: &EngineConfig) -> Result<(), ConfigError> {
    for slot in engine.policies() {
        let checked = slot.family.check(slot.spec);
        checked.map_err(|error| refusal(tree, &slot, &error))?;
    }
    Ok(())
}

fn refusal(tree: &Node, slot: &PolicySlot<&PolicySpec>, error: &PolicyError) -> ConfigError {
    let key = &format!("engine.{}", slot.key);
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
            let path = if slot.spec.params.contains_key(parameter) {
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

/// Fills in the parameters that policies take by default: what is printed, and hashed into a
/// trial's id, is everything.
pub(super) fn spell_out_defaults(tree: &mut Node, engine: &EngineConfig) {
    spell_out_self_tuning(tree, engine);
    for slot in engine.policies() {
        let key = format!("engine.{}", slot.key);
        // What has no answer here was refused by the check.
        let complete = slot.family.complete(slot.spec).into_iter();
        for (name, value) in complete.flat_map(|spec| spec.params) {
            if !slot.spec.params.contains_key(&name) {
                tree.put(&format!("{key}.{name}"), Node::defaults(value));
            }
        }
        // A policy without parameters may still be a bare name: as a table, one policy is always
        // the same text.
        let table = Content::Table(BTreeMap::new());
        tree.put(&key, Node::default_value(table));
    }
}

/// Fills in the settings of self-tuning, which an engine without it does not have.
fn spell_out_self_tuning(tree: &mut Node, engine: &EngineConfig) {
    if let Some(tuning) = &engine.self_tuning {
        let mut all = Node::defaults(json!({ "engine": { "self_tuning": tuning } }));
        all.merge(std::mem::replace(tree, Node::empty()));
        *tree = all;
    }
}
