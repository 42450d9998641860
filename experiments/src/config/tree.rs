//! A config as a tree in which every value knows who wrote it.
//!
//! Layers are merged from the weakest to the strongest: default, file, variant, sweep point,
//! `--set`. Tables are merged key by key. A table that is a choice replaces the weaker one if it
//! names the choice (a policy, a distribution, a device, ...), so that the parameters of `{ policy
//! = "leveled", ratio = 4 }` do not leak into `{ policy = "tiered" }`. Without the name it adjusts
//! what was chosen before.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::error::{Location, Source};

/// Who wrote a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Layer {
    /// No one: it is the default.
    Default,
    /// The file.
    File,
    /// A variant.
    Variant(String),
    /// A sweep.
    Sweep,
    /// A point of a search.
    Tune,
    /// `--set`.
    Set,
}

impl Layer {
    /// The number of the layer, from the weakest to the strongest.
    pub(super) fn strength(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::File => 1,
            Self::Variant(_) => 2,
            Self::Sweep => 3,
            Self::Tune => 4,
            Self::Set => 5,
        }
    }
}

/// A value, who wrote it, and where.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// The value.
    pub(super) content: Content,
    /// Who wrote it.
    pub(super) layer: Layer,
    /// The text that holds it; `None` for defaults.
    pub(super) source: Option<Arc<Source>>,
    /// Its bytes in the source.
    pub(super) span: Range<usize>,
    /// Its key's bytes in the source.
    pub(super) key_span: Range<usize>,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// A number, a text or a boolean.
    Leaf(Value),
    /// A list.
    Array(Vec<Node>),
    /// Keys and values.
    Table(BTreeMap<String, Node>),
}

/// The keys by which a table names a choice.
const CHOICE_KEYS: [&str; 4] = ["policy", "kind", "arrival", "profile"];

/// Tables whose keys mean something only together: a stronger layer replaces all of them.
const WHOLE_TABLES: [&str; 2] = ["mix", "sync"];

/// The tables with a `kind` or a `policy` whose other keys mean the same under each. They are
/// merged.
const MERGED: [&str; 2] = ["world", "self_tuning"];

/// The key of sizes, which are numbers, texts or tables.
const BYTES: &str = "bytes";

impl Node {
    /// A node that no one wrote.
    pub(super) fn default_value(content: Content) -> Self {
        Self {
            content,
            layer: Layer::Default,
            source: None,
            span: 0..0,
            key_span: 0..0,
        }
    }

    /// A table without keys.
    pub(super) fn empty() -> Self {
        Self::default_value(Content::Table(BTreeMap::new()))
    }

    /// A tree of defaults. Null is left out: it means an absent optional value.
    pub(super) fn defaults(value: Value) -> Self {
        Self::default_value(match value {
            Value::Object(map) => Content::Table(
                map.into_iter()
                    .filter(|(_, value)| !value.is_null())
                    .map(|(key, value)| (key, Self::defaults(value)))
                    .collect(),
            ),
            Value::Array(values) => {
                Content::Array(values.into_iter().map(Self::defaults).collect())
            }
            leaf => Content::Leaf(leaf),
        })
    }

    /// The keys and values of a table.
    pub(super) fn table(&self) -> Option<&BTreeMap<String, Self>> {
        match &self.content {
            Content::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The text of a string.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Leaf(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// The value of a key of a table.
    pub(super) fn child(&self, key: &str) -> Option<&Self> {
        self.table()?.get(key)
    }

    /// Finds the node at a dotted path such as `engine.cache.size` or `workload.phases[1].mix`.
    pub(super) fn get(&self, path: &str) -> Option<&Self> {
        steps(path)
            .into_iter()
            .try_fold(self, |node, step| node.step(step))
    }

    /// Finds the node at the path, or the deepest one above it that somebody wrote.
    pub(super) fn closest(&self, path: &str) -> &Self {
        let mut node = self;
        let mut closest = self;
        for step in steps(path) {
            match node.step(step) {
                Some(child) => node = child,
                None => break,
            }
            if node.source.is_some() {
                closest = node;
            }
        }
        closest
    }

    /// Whether the tree says anything of the value at the path: itself, a part of it, or a choice
    /// that it is a part of.
    pub(super) fn writes(&self, path: &str) -> bool {
        let mut node = self;
        let mut key = "";
        for step in steps(path) {
            match node.step(step) {
                Some(child) => node = child,
                None => return node.table().is_none() || node.is_whole(key),
            }
            if let Step::Key(name) = step {
                key = name;
            }
        }
        true
    }

    fn step(&self, step: Step<'_>) -> Option<&Self> {
        match (step, &self.content) {
            (Step::Key(key), Content::Table(table)) => table.get(key),
            (Step::Index(at), Content::Array(nodes)) => nodes.get(at),
            _ => None,
        }
    }

    /// Puts `node` at a dotted path, creating the tables above it.
    pub(super) fn put(&mut self, path: &str, node: Self) {
        self.merge(nested(path, node));
    }

    /// Puts `node` in place of what is at a dotted path, whose tables above exist.
    pub(super) fn replace(&mut self, path: &str, node: Self) {
        let mut place = self;
        for key in path.split('.') {
            let Content::Table(table) = &mut place.content else {
                return;
            };
            place = table.entry(key.to_owned()).or_insert_with(Self::empty);
        }
        *place = node;
    }

    /// Lays a stronger layer over an item of the list at a path.
    pub(super) fn merge_item(&mut self, list: &str, at: usize, over: Self) {
        let mut node = self;
        for key in list.split('.') {
            let Content::Table(table) = &mut node.content else {
                return;
            };
            let Some(child) = table.get_mut(key) else {
                return;
            };
            node = child;
        }
        if let Content::Array(items) = &mut node.content
            && let Some(item) = items.get_mut(at)
        {
            item.merge(over);
        }
    }

    /// Lays a stronger layer over this one.
    pub(super) fn merge(&mut self, over: Self) {
        self.merge_at("", over);
    }

    fn merge_at(&mut self, key: &str, over: Self) {
        let Content::Table(stronger) = over.content else {
            *self = over;
            return;
        };
        self.spell_out(key);
        match &mut self.content {
            Content::Table(table) if !is_whole(key, &stronger) => {
                for (key, node) in stronger {
                    match table.get_mut(&key) {
                        Some(below) => below.merge_at(&key, node),
                        None => drop(table.insert(key, node)),
                    }
                }
                if self.source.is_none() {
                    self.source = over.source;
                    self.span = over.span;
                    self.key_span = over.key_span;
                    self.layer = over.layer;
                }
            }
            _ => {
                *self = Self {
                    content: Content::Table(stronger),
                    ..over
                }
            }
        }
    }

    /// Puts `node` at a dotted path beside what one layer has there already. The parts of a choice
    /// may come in any order; a choice that is named again replaces the one before.
    pub(super) fn join(&mut self, path: &str, node: Self) {
        self.join_at("", nested(path, node));
    }

    fn join_at(&mut self, key: &str, other: Self) {
        let Content::Table(theirs) = other.content else {
            *self = other;
            return;
        };
        self.spell_out(key);
        match &mut self.content {
            Content::Table(ours) if !(names_choice(key, ours) && names_choice(key, &theirs)) => {
                for (key, node) in theirs {
                    match ours.get_mut(&key) {
                        Some(present) => present.join_at(&key, node),
                        None => drop(ours.insert(key, node)),
                    }
                }
            }
            _ => {
                *self = Self {
                    content: Content::Table(theirs),
                    ..other
                }
            }
        }
    }

    /// Whether this is a table, at a key of that name, that a stronger layer replaces as a whole: a
    /// policy with its parameters, or a mix.
    pub(super) fn is_whole(&self, key: &str) -> bool {
        self.table().is_some_and(|table| is_whole(key, table))
    }

    /// Turns a choice written as a bare name into its table: `"leveled"` into
    /// `{ policy = "leveled" }`. A size such as `"64KiB"` is no choice.
    fn spell_out(&mut self, key: &str) {
        if key != BYTES && self.text().is_some() {
            let choice = if key == "device" { "profile" } else { "policy" };
            let name = self.clone();
            self.content = Content::Table(BTreeMap::from([(choice.to_owned(), name)]));
        }
    }

    /// Marks all of it as written by a layer.
    #[must_use]
    pub(super) fn written_by(mut self, layer: &Layer) -> Self {
        self.layer = layer.clone();
        self.content = match self.content {
            Content::Leaf(value) => Content::Leaf(value),
            Content::Array(nodes) => Content::Array(
                nodes
                    .into_iter()
                    .map(|node| node.written_by(layer))
                    .collect(),
            ),
            Content::Table(table) => Content::Table(
                table
                    .into_iter()
                    .map(|(key, node)| (key, node.written_by(layer)))
                    .collect(),
            ),
        };
        self
    }

    /// Returns the plain value. Its keys are in order, so that its text is canonical.
    pub(super) fn to_value(&self) -> Value {
        match &self.content {
            Content::Leaf(value) => value.clone(),
            Content::Array(nodes) => nodes.iter().map(Self::to_value).collect(),
            Content::Table(table) => Value::Object(
                table
                    .iter()
                    .map(|(key, node)| (key.clone(), node.to_value()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }

    /// Where the value stands; `None` for defaults.
    pub(super) fn location(&self) -> Option<Location> {
        Some(Location {
            source: self.source.clone()?,
            span: self.span.clone(),
        })
    }

    /// Where the value's key stands; `None` for defaults.
    pub(super) fn key_location(&self) -> Option<Location> {
        Some(Location {
            source: self.source.clone()?,
            span: self.key_span.clone(),
        })
    }

    /// Lists every leaf and array below, with its dotted path, in order.
    pub(super) fn leaves(&self) -> Vec<(String, &Self)> {
        let mut leaves = Vec::new();
        self.collect_leaves("", &mut leaves);
        leaves
    }

    fn collect_leaves<'a>(&'a self, path: &str, leaves: &mut Vec<(String, &'a Self)>) {
        match &self.content {
            Content::Table(table) => {
                for (key, node) in table {
                    node.collect_leaves(&child_path(path, key), leaves);
                }
            }
            _ => leaves.push((path.to_owned(), self)),
        }
    }
}

impl Node {
    /// Shows every leaf with its path, such as `workload.phases[1].operations`, for changing it.
    pub(super) fn for_each_leaf(&mut self, change: &mut impl FnMut(&str, &mut Value)) {
        self.change_leaves("", change);
    }

    fn change_leaves(&mut self, path: &str, change: &mut impl FnMut(&str, &mut Value)) {
        match &mut self.content {
            Content::Leaf(value) => change(path, value),
            Content::Array(nodes) => {
                for (at, node) in nodes.iter_mut().enumerate() {
                    node.change_leaves(&format!("{path}[{at}]"), change);
                }
            }
            Content::Table(table) => {
                for (key, node) in table {
                    node.change_leaves(&child_path(path, key), change);
                }
            }
        }
    }
}

/// Whether a table names a choice.
fn names_choice(key: &str, table: &BTreeMap<String, Node>) -> bool {
    !MERGED.contains(&key) && CHOICE_KEYS.iter().any(|choice| table.contains_key(*choice))
}

/// Whether a stronger layer replaces a table as a whole.
fn is_whole(key: &str, table: &BTreeMap<String, Node>) -> bool {
    names_choice(key, table) || WHOLE_TABLES.contains(&key)
}

/// The tree that has only `node`, at a dotted path.
fn nested(path: &str, node: Node) -> Node {
    path.rsplit('.').fold(node, |node, key| Node {
        layer: node.layer.clone(),
        source: node.source.clone(),
        span: node.span.clone(),
        key_span: node.key_span.clone(),
        content: Content::Table(BTreeMap::from([(key.to_owned(), node)])),
    })
}

/// The dotted path of a key below `path`.
pub(super) fn child_path(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// One step of a path.
#[derive(Clone, Copy)]
enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// Splits `phases[1].mix` into phases, 1, mix. Whatever follows a space is an explanation, not part
/// of the path.
fn steps(path: &str) -> Vec<Step<'_>> {
    let path = path.split_whitespace().next().unwrap_or_default();
    let mut steps = Vec::new();
    for part in path.split('.').filter(|part| !part.is_empty()) {
        let mut pieces = part.split('[');
        steps.extend(pieces.next().filter(|key| !key.is_empty()).map(Step::Key));
        let indices = pieces.filter_map(|index| index.strip_suffix(']')?.parse().ok());
        steps.extend(indices.map(Step::Index));
    }
    steps
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tables_merge_and_named_choices_replace() {
        struct Case {
            weaker: Value,
            stronger: Value,
            merged: Value,
        }
        let leveled = || json!({"layout": {"policy": "leveled", "ratio": 4}});
        let cases = [
            Case {
                weaker: json!({"a": {"b": 1, "c": 2}}),
                stronger: json!({"a": {"c": 3}}),
                merged: json!({"a": {"b": 1, "c": 3}}),
            },
            Case {
                weaker: leveled(),
                stronger: json!({"layout": {"policy": "tiered"}}),
                merged: json!({"layout": {"policy": "tiered"}}),
            },
            Case {
                weaker: leveled(),
                stronger: json!({"layout": {"ratio": 8}}),
                merged: json!({"layout": {"policy": "leveled", "ratio": 8}}),
            },
            Case {
                weaker: json!({"layout": "leveled"}),
                stronger: json!({"layout": {"ratio": 8}}),
                merged: json!({"layout": {"policy": "leveled", "ratio": 8}}),
            },
            Case {
                weaker: leveled(),
                stronger: json!({"layout": "tiered"}),
                merged: json!({"layout": "tiered"}),
            },
            Case {
                weaker: json!({"device": "nvme"}),
                stronger: json!({"device": {"read_channels": 1}}),
                merged: json!({"device": {"profile": "nvme", "read_channels": 1}}),
            },
            Case {
                weaker: json!({"mix": {"read": 0.5, "update": 0.5}}),
                stronger: json!({"mix": {"read": 1.0}}),
                merged: json!({"mix": {"read": 1.0}}),
            },
            Case {
                weaker: json!({"value": {"bytes": "64KiB"}}),
                stronger: json!({"value": {"bytes": {"min": 1, "max": 9}}}),
                merged: json!({"value": {"bytes": {"min": 1, "max": 9}}}),
            },
            Case {
                weaker: json!({"world": {"kind": "simulated", "cores": 2}}),
                stronger: json!({"world": {"kind": "real"}}),
                merged: json!({"world": {"kind": "real", "cores": 2}}),
            },
        ];
        for case in cases {
            let mut tree = Node::defaults(case.weaker.clone());
            tree.merge(Node::defaults(case.stronger.clone()));
            assert_eq!(
                tree.to_value(),
                case.merged,
                "{} {}",
                case.weaker,
                case.stronger
            );
        }
    }

    #[test]
    fn settings_of_one_layer_are_joined_in_any_order() {
        let ratio = ("layout.ratio", json!(6));
        let policy = ("layout.policy", json!("tiered"));
        let shares = [("mix.read", json!(0.9)), ("mix.update", json!(0.1))];
        let expected = json!({
            "layout": {"policy": "tiered", "ratio": 6}, "mix": {"read": 0.9, "update": 0.1},
        });
        for order in [[&ratio, &policy], [&policy, &ratio]] {
            let mut point = Node::empty();
            for (key, value) in order.into_iter().chain(&shares) {
                point.join(key, Node::defaults(value.clone()));
            }
            assert_eq!(point.to_value(), expected);
            let mut tree = Node::defaults(json!({
                "layout": {"policy": "leveled", "ratio": 10, "start": 2}, "mix": {"scan": 1.0},
            }));
            tree.merge(point);
            assert_eq!(tree.to_value(), expected);
        }
    }

    #[test]
    fn a_choice_writes_all_of_its_parts() {
        let tree = Node::defaults(json!({
            "layout": {"policy": "tiered"}, "mix": {"read": 1.0}, "table": {"block": 1},
        }));
        for path in [
            "layout",
            "layout.ratio",
            "mix.update",
            "table",
            "table.block",
        ] {
            assert!(tree.writes(path), "{path}");
        }
        assert!(!tree.writes("table.size") && !tree.writes("cache"));
    }

    #[test]
    fn paths_reach_into_lists() {
        let tree = Node::defaults(json!({"a": {"b": [{"c": 1}, {"c": 2}]}}));
        assert_eq!(tree.get("a.b[1].c").map(Node::to_value), Some(json!(2)));
        assert!(tree.get("a.b[2].c").is_none());
        let mut tree = Node::empty();
        tree.put("x.y.z", Node::defaults(json!(5)));
        assert_eq!(tree.to_value(), json!({"x": {"y": {"z": 5}}}));
    }
}
