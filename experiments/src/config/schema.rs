//! The keys that a config may have, read from its JSON schema: what `aura schema` prints is what is
//! checked.

use std::collections::{BTreeMap, BTreeSet};

use schemars::schema_for;
use serde_json::{Map, Value};

use super::ExperimentFile;
use super::error::ConfigError;
use super::tree::{Content, Node, child_path};
use crate::nearest::nearest;

/// Returns the JSON schema of experiment files.
pub(super) fn schema() -> Value {
    schema_for!(ExperimentFile).to_value()
}

/// Refuses the first key of `tree` that no config has.
///
/// # Errors
/// [`ConfigError`] with the key's place, the nearest known key and the list of those known there.
pub(super) fn check_keys(schema: &Value, tree: &Node) -> Result<(), ConfigError> {
    Checker { root: schema }.check(&[schema], tree, "")
}

/// Whether a dotted path leads to a key that a config may have. Below a policy every key is
/// possible here; the policy itself says whether it has such a parameter.
pub(super) fn knows(schema: &Value, path: &str) -> bool {
    let checker = Checker { root: schema };
    let mut schemas = vec![schema];
    for key in path.split('.') {
        let known = checker.known(&schemas);
        match known.below(key) {
            Some(below) => schemas = below.to_vec(),
            None => return known.open,
        }
    }
    true
}

/// The tables with most settings.
const SECTIONS: [&str; 4] = ["workload", "engine", "world", "compare"];

struct Checker<'a> {
    root: &'a Value,
}

/// The keys that a table may have.
#[derive(Default)]
struct Known<'a> {
    /// Each key with the schemas of what stands below it.
    keys: BTreeMap<&'a str, Vec<&'a Value>>,
    /// The schemas of what stands below a number, such as that of a level.
    numbered: Vec<&'a Value>,
    /// Whether other keys are allowed too, or it need not be a table.
    open: bool,
}

/// The pattern by which schemas describe keys that are numbers.
const NUMBERS: &str = r"^\d+$";

impl<'a> Known<'a> {
    /// The schemas of what stands below `key`; `None` if no table here has such a key.
    fn below(&self, key: &str) -> Option<&[&'a Value]> {
        let is_number = !self.numbered.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit());
        match self.keys.get(key) {
            None if is_number => Some(&self.numbered),
            known => known.map(Vec::as_slice),
        }
    }
}

impl<'a> Checker<'a> {
    fn check(&self, schemas: &[&'a Value], node: &Node, path: &str) -> Result<(), ConfigError> {
        match &node.content {
            Content::Leaf(_) => Ok(()),
            Content::Array(nodes) => self.check_items(schemas, nodes, path),
            Content::Table(table) => {
                let known = self.known(schemas);
                for (key, node) in table {
                    let path = child_path(path, key);
                    match known.below(key) {
                        Some(below) => self.check(below, node, &path)?,
                        None if known.open => {}
                        None => return Err(self.unknown(&path, key, node, &known)),
                    }
                }
                Ok(())
            }
        }
    }

    fn check_items(
        &self,
        schemas: &[&'a Value],
        nodes: &[Node],
        path: &str,
    ) -> Result<(), ConfigError> {
        let parts = self.parts(schemas);
        let items: Vec<&Value> = parts.iter().filter_map(|part| part.get("items")).collect();
        for (at, node) in nodes.iter().enumerate() {
            self.check(&items, node, &format!("{path}[{at}]"))?;
        }
        Ok(())
    }

    fn unknown(&self, path: &str, key: &str, node: &Node, known: &Known<'_>) -> ConfigError {
        let names: BTreeSet<&str> = known.keys.keys().copied().collect();
        let parent = path.strip_suffix(key).unwrap_or_default();
        let mut meant: Vec<String> = Vec::new();
        meant.extend(self.elsewhere(key, parent, known));
        if let Some(near) = nearest(key, names.iter().copied()).first() {
            meant.push(format!("{parent}{near}"));
        }
        let hint = if meant.is_empty() {
            String::new()
        } else {
            format!("; nearest: `{}`", meant.join("`, `"))
        };
        let place = match parent.strip_suffix('.') {
            Some(parent) => format!("in `{parent}`"),
            None => "here".to_owned(),
        };
        let mut list = names.into_iter().collect::<Vec<_>>().join(", ");
        if !known.numbered.is_empty() {
            list = "numbers".to_owned();
        }
        ConfigError::new(format!("unknown key `{path}`{hint}"))
            .at(node.key_location())
            .help(format!("known {place}: {list}"))
    }

    /// Finds a key of that name in one of the tables with most settings: first in those beside it,
    /// then in the file's.
    fn elsewhere(&self, key: &str, parent: &str, beside: &Known<'_>) -> Option<String> {
        let find = |known: &Known<'_>, parent: &str| {
            let has = |section: &&str| {
                known
                    .keys
                    .get(section)
                    .is_some_and(|below| self.known(below).keys.contains_key(key))
            };
            let section = SECTIONS.iter().find(|section| has(section))?;
            Some(format!("{parent}{section}.{key}"))
        };
        find(beside, parent).or_else(|| find(&self.known(&[self.root]), ""))
    }

    fn known(&self, schemas: &[&'a Value]) -> Known<'a> {
        let mut known = Known::default();
        let mut is_table = false;
        for part in self.parts(schemas) {
            let properties = part.get("properties").and_then(Value::as_object);
            let closed = part.get("additionalProperties") == Some(&Value::Bool(false));
            let object = part.get("type").and_then(Value::as_str) == Some("object");
            if properties.is_some() || object {
                is_table = true;
                known.open |= !closed;
            }
            for (name, schema) in properties.into_iter().flat_map(Map::iter) {
                known.keys.entry(name).or_default().push(schema);
            }
            let patterns = part.get("patternProperties").and_then(Value::as_object);
            let numbered = patterns.and_then(|patterns| patterns.get(NUMBERS));
            known.numbered.extend(numbered);
        }
        known.open |= !is_table;
        known
    }

    /// The schemas behind references and alternatives.
    fn parts(&self, schemas: &[&'a Value]) -> Vec<&'a Value> {
        let mut parts = Vec::new();
        let mut open: Vec<&Value> = schemas.to_vec();
        while let Some(schema) = open.pop() {
            let reference = schema.get("$ref").and_then(Value::as_str);
            let pointer = reference.and_then(|text| text.strip_prefix('#'));
            open.extend(pointer.and_then(|pointer| self.root.pointer(pointer)));
            for alternatives in ["anyOf", "oneOf", "allOf"] {
                let schemas = schema.get(alternatives).and_then(Value::as_array);
                open.extend(schemas.into_iter().flatten());
            }
            parts.push(schema);
        }
        parts
    }
}
