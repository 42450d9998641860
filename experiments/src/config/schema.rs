//! The keys a config may have, read from its JSON schema: what `aura schema` prints is what is checked.

use std::collections::{BTreeMap, BTreeSet};

use schemars::schema_for;
use serde_json::{Map, Value};

use super::ExperimentFile;
use super::error::ConfigError;
use super::tree::{Content, Node};
use crate::metrics::nearest;

/// The JSON schema of experiment files.
pub(super) fn schema() -> Value {
    schema_for!(ExperimentFile).to_value()
}

/// Refuses the first key of `tree` that no config has.
///
/// # Errors
/// With the key's place, the nearest known key and the list of those known there.
pub(super) fn check_keys(schema: &Value, tree: &Node) -> Result<(), ConfigError> {
    Checker { root: schema }.check(&[schema], tree, "")
}

/// Whether a dotted path leads to a key that a config may have. Below a policy every key is possible here; the policy
/// itself says whether it has such a parameter.
pub(super) fn knows(schema: &Value, path: &str) -> bool {
    let checker = Checker { root: schema };
    let mut schemas = vec![schema];
    for key in path.split('.') {
        let known = checker.known(&schemas);
        match known.keys.get(key) {
            Some(below) => schemas = below.clone(),
            None => return known.open,
        }
    }
    true
}

/// The tables where most settings are.
const SECTIONS: [&str; 4] = ["workload", "engine", "world", "compare"];

struct Checker<'a> {
    root: &'a Value,
}

/// The keys of a table.
#[derive(Default)]
struct Known<'a> {
    keys: BTreeMap<&'a str, Vec<&'a Value>>,
    /// Whether other keys may stand there, too, or it need not be a table.
    open: bool,
}

impl<'a> Checker<'a> {
    fn check(&self, schemas: &[&'a Value], node: &Node, path: &str) -> Result<(), ConfigError> {
        match &node.content {
            Content::Leaf(_) => Ok(()),
            Content::Array(nodes) => {
                let parts = self.parts(schemas);
                let items: Vec<&Value> =
                    parts.iter().filter_map(|part| part.get("items")).collect();
                let mut places = nodes.iter().enumerate();
                places.try_for_each(|(at, node)| self.check(&items, node, &format!("{path}[{at}]")))
            }
            Content::Table(table) => {
                let known = self.known(schemas);
                for (key, node) in table {
                    let path = if path.is_empty() {
                        key.clone()
                    } else {
                        format!("{path}.{key}")
                    };
                    match known.keys.get(key.as_str()) {
                        Some(below) => self.check(below, node, &path)?,
                        None if known.open => {}
                        None => return Err(self.unknown(&path, key, node, &known)),
                    }
                }
                Ok(())
            }
        }
    }

    fn unknown(&self, path: &str, key: &str, node: &Node, known: &Known<'_>) -> ConfigError {
        let names: BTreeSet<&str> = known.keys.keys().copied().collect();
        let parent = path.strip_suffix(key).unwrap_or_default();
        let near = nearest(key, names.iter().copied())
            .first()
            .map(|near| format!("{parent}{near}"));
        let meant: Vec<_> = self
            .elsewhere(key, parent, known)
            .into_iter()
            .chain(near)
            .map(|meant| format!("`{meant}`"))
            .collect();
        let hint = if meant.is_empty() {
            String::new()
        } else {
            format!("; nearest: {}", meant.join(", "))
        };
        let place = parent
            .strip_suffix('.')
            .map_or_else(|| "here".to_owned(), |parent| format!("in `{parent}`"));
        let list = names.into_iter().collect::<Vec<_>>().join(", ");
        ConfigError::new(format!("unknown key `{path}`{hint}"))
            .at(node.key_place())
            .help(format!("known {place}: {list}"))
    }

    /// A key of that name in one of the tables where most settings are: first in those beside it, then in the file's.
    fn elsewhere(&self, key: &str, parent: &str, beside: &Known<'_>) -> Option<String> {
        let find = |known: &Known<'_>, parent: &str| {
            let has = |section: &&str| {
                known
                    .keys
                    .get(section)
                    .is_some_and(|below| self.known(below).keys.contains_key(key))
            };
            SECTIONS
                .iter()
                .find(|section| has(section))
                .map(|section| format!("{parent}{section}.{key}"))
        };
        find(beside, parent).or_else(|| find(&self.known(&[self.root]), ""))
    }

    fn known(&self, schemas: &[&'a Value]) -> Known<'a> {
        let mut known = Known::default();
        let mut tables = 0;
        for part in self.parts(schemas) {
            let properties = part.get("properties").and_then(Value::as_object);
            let closed = part.get("additionalProperties") == Some(&Value::Bool(false));
            if properties.is_some() || part.get("type").and_then(Value::as_str) == Some("object") {
                tables += 1;
                known.open |= !closed;
            }
            for (name, schema) in properties.into_iter().flat_map(Map::iter) {
                known.keys.entry(name).or_default().push(schema);
            }
        }
        known.open |= tables == 0;
        known
    }

    /// The schemas behind references and alternatives.
    fn parts(&self, schemas: &[&'a Value]) -> Vec<&'a Value> {
        let mut parts = Vec::new();
        let mut open: Vec<&Value> = schemas.to_vec();
        while let Some(schema) = open.pop() {
            let reference = schema
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|text| text.strip_prefix('#'));
            open.extend(reference.and_then(|pointer| self.root.pointer(pointer)));
            for alternatives in ["anyOf", "oneOf", "allOf"] {
                open.extend(
                    schema
                        .get(alternatives)
                        .and_then(Value::as_array)
                        .into_iter()
                        .flatten(),
                );
            }
            parts.push(schema);
        }
        parts
    }
}
