//! The layers of a config, and how they are merged into one tree per case.

use std::collections::BTreeSet;

use aura_policies::PolicySpec;
use serde_json::Value;

use super::ExperimentFile;
use super::error::{ConfigError, Location};
use super::names::{self, BadName};
use super::schema::{check_keys, knows};
use super::source::{self, SetArgument};
use super::tree::{Content, Layer, Node, child_path};
use crate::metrics;
use crate::nearest::hint;
use crate::point::Point;

/// What variants and sweeps may set.
const SECTIONS: [&str; 5] = ["workload", "engine", "world", "target", "target_options"];

/// The other settings of a trial.
const SCALARS: [&str; 4] = ["settle", "shared_load", "series_points", "record"];

/// The name of the only variant of an experiment without variants.
const ONLY_VARIANT: &str = "base";

/// The share of accesses to the cache that is recorded.
const RECORD_CACHE: &str = "record.cache";

/// A variant, and what it sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariantSettings {
    /// The name.
    pub name: String,
    /// What it sets: dotted key to value, as tables show it.
    pub settings: Point,
}

/// Flattens settings as tables show them: dotted key to value, a policy with its parameters as one.
pub fn settings(value: &Value) -> Point {
    let mut shown = Point::new();
    flatten("", value, &mut shown);
    shown
}

fn flatten(path: &str, value: &Value, shown: &mut Point) {
    match value.as_object() {
        Some(table) if !table.contains_key("policy") => {
            for (key, value) in table {
                flatten(&child_path(path, key), value, shown);
            }
        }
        _ => drop(shown.insert(path.to_owned(), show(value))),
    }
}

/// Writes a value as tables show it: text without quotes, a policy as `name(parameter=value)`.
pub(super) fn show(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(table) if table.contains_key("policy") => {
            match serde_json::from_value::<PolicySpec>(value.clone()) {
                Ok(spec) => spec.to_string(),
                Err(_) => value.to_string(),
            }
        }
        _ => value.to_string(),
    }
}

/// The first key of a dotted path.
fn section_of(path: &str) -> &str {
    path.split('.').next().unwrap_or_default()
}

/// The layers of a config, not yet merged.
pub(super) struct Layers {
    /// Defaults and file.
    base: Node,
    /// The `--set` arguments, in order.
    sets: Vec<SetArgument>,
}

/// A variant's name, and the tree of what it sets.
pub(super) struct VariantLayer {
    pub(super) name: String,
    pub(super) tree: Node,
    /// Whether it is meant to equal another one.
    pub(super) is_copy: bool,
    /// Where its name stands.
    pub(super) place: Option<Location>,
}

impl VariantLayer {
    /// The variant as tables show it.
    pub(super) fn shown(&self) -> VariantSettings {
        VariantSettings {
            name: self.name.clone(),
            settings: settings(&self.tree.to_value()),
        }
    }
}

/// A sweep in the file.
struct SweepLayer<'a> {
    key: &'a str,
    /// Where the key stands.
    node: &'a Node,
    values: &'a [Node],
    labels: &'a [Node],
}

/// One value of a sweep.
#[derive(Clone)]
pub(super) struct Choice {
    pub(super) key: String,
    pub(super) value: Node,
    /// The value as tables show it.
    pub(super) label: String,
}

impl<'a> SweepLayer<'a> {
    fn of(sweep: &'a Node) -> Option<Self> {
        let node = sweep.child("key")?;
        Some(Self {
            key: node.text()?,
            node,
            values: list(sweep, "values"),
            labels: list(sweep, "labels"),
        })
    }

    fn choices(&self) -> Vec<Choice> {
        let choice = |(at, value): (usize, &Node)| Choice {
            key: self.key.to_owned(),
            value: value.clone().written_by(&Layer::Sweep),
            label: show(&self.labels.get(at).unwrap_or(value).to_value()),
        };
        self.values.iter().enumerate().map(choice).collect()
    }

    fn refused(&self, message: String) -> ConfigError {
        ConfigError::new(message).at(self.node.location())
    }

    /// Checks that the key exists and takes the listed values.
    fn check(&self, schema: &Value) -> Result<(), ConfigError> {
        let key = self.key;
        check_key(schema, key, self.node, "swept")?;
        let values = self.values.len();
        let labels = self.labels.len();
        if values == 0 {
            return Err(self.refused(format!("the sweep over `{key}` has no values")));
        }
        if labels != 0 && labels != values {
            return Err(self.refused(format!(
                "the sweep over `{key}` has {values} values and {labels} labels"
            )));
        }
        self.check_labels()
    }

    /// Checks that every value has a name of its own: a point is known by it.
    fn check_labels(&self) -> Result<(), ConfigError> {
        for node in self.labels {
            let label = node.text().unwrap_or_default();
            names::check_name(label).map_err(|BadName { why, help }| {
                let message = format!("a label of `{}`: the name {label:?} {why}", self.key);
                ConfigError::new(message).at(node.location()).help(help)
            })?;
        }
        let mut seen = BTreeSet::new();
        for Choice { label, .. } in self.choices() {
            if !seen.insert(label.clone()) {
                let message = format!("the sweep over `{}` has `{label}` twice", self.key);
                return Err(self.refused(message));
            }
        }
        Ok(())
    }

    /// Checks that nothing else sets the key: a value that is never used is a misunderstanding.
    fn check_alone(
        &self,
        variants: &[VariantLayer],
        sets: &[SetArgument],
    ) -> Result<(), ConfigError> {
        let key = self.key;
        let setter = variants
            .iter()
            .find(|variant| variant.tree.get(key).is_some());
        if let Some(variant) = setter {
            return Err(self.refused(format!(
                "variant `{}` sets `{key}`, which the sweep would replace",
                variant.name
            )));
        }
        check_not_set(sets, key, self.values, "swept")
    }
}

/// Checks that a key, which stands at `node`, is one that can be `changed`.
pub(super) fn check_key(
    schema: &Value,
    key: &str,
    node: &Node,
    changed: &str,
) -> Result<(), ConfigError> {
    if !SECTIONS.contains(&section_of(key)) {
        let sections = SECTIONS.join(", ");
        let message = format!("`{key}` cannot be {changed}: keys begin with {sections}");
        return Err(ConfigError::new(message).at(node.location()));
    }
    if knows(schema, key) {
        return Ok(());
    }
    let mut nested = Node::empty();
    let at_the_key = Node {
        key_span: node.span.clone(),
        ..node.clone()
    };
    nested.put(key, at_the_key);
    check_keys(schema, &nested)
}

/// Checks that no `--set` argument makes the `values` of a key equal, which are `varied`: an
/// argument for the key itself, or for a table around it, or for all that differs in it.
fn check_not_set(
    sets: &[SetArgument],
    key: &str,
    values: &[Node],
    varied: &str,
) -> Result<(), ConfigError> {
    for set in sets {
        let under = |value: &Node| {
            let mut tree = Node::empty();
            tree.put(key, value.clone());
            tree.put(&set.key, set.node.clone());
            tree.to_value()
        };
        let mut seen = values.iter().map(under);
        let first = seen.next();
        let are_equal = values.len() > 1 && seen.all(|value| Some(&value) == first.as_ref());
        if set.key == key || are_equal {
            return Err(set.refused(key, varied));
        }
    }
    Ok(())
}

/// Whether a config asks for a metric that follows from recorded accesses to the cache.
fn asks_for_bound(whole: &Node) -> bool {
    ["primary", "also"].iter().any(|names| {
        let compare = whole.child("compare");
        let mut names = compare.map_or(&[][..], |node| list(node, names)).iter();
        names.any(|name| {
            name.text()
                .is_some_and(|name| metrics::OF_BOUND.contains(&name))
        })
    })
}

/// The list at a key of a table; empty if the key is missing.
fn list<'a>(node: &'a Node, key: &str) -> &'a [Node] {
    match node.child(key).map(|node| &node.content) {
        Some(Content::Array(nodes)) => nodes,
        _ => &[],
    }
}

/// Reads a variant. What it copies of another one is not there yet.
fn variant(node: &Node) -> Result<VariantLayer, ConfigError> {
    let Some(name_node) = node.child("name") else {
        return Err(ConfigError::new("a variant needs a name").at(node.location()));
    };
    let place = name_node.location();
    let name = name_node.text().unwrap_or_default();
    names::check_name(name).map_err(|BadName { why, help }| {
        let message = format!("a variant: the name {name:?} {why}");
        ConfigError::new(message).at(place.clone()).help(help)
    })?;
    let mut tree = node.clone().written_by(&Layer::Variant(name.to_owned()));
    if let Content::Table(table) = &mut tree.content {
        table.remove("name");
        table.remove("same_as");
    }
    Ok(VariantLayer {
        name: name.to_owned(),
        tree,
        is_copy: node.child("same_as").is_some(),
        place,
    })
}

/// The settings of the variant that `variants[at]` is to equal.
fn copied(variants: &[VariantLayer], at: usize, original: &Node) -> Result<Node, ConfigError> {
    let copy = &variants[at];
    let refused = |message: String| ConfigError::new(message).at(original.location());
    if copy.tree.table().is_some_and(|table| !table.is_empty()) {
        return Err(refused(format!(
            "variant `{}` has `same_as` and settings of its own: one of them only",
            copy.name
        )));
    }
    let name = original.text().unwrap_or_default();
    let others = || variants.iter().filter(|variant| !variant.is_copy);
    let Some(found) = others().find(|variant| variant.name == name) else {
        let hint = hint(name, others().map(|variant| variant.name.as_str()));
        return Err(refused(format!(
            "`same_as`: there is no variant `{name}` with settings of its own{hint}"
        )));
    };
    let layer = Layer::Variant(copy.name.clone());
    Ok(found.tree.clone().written_by(&layer))
}

/// Parses `--set` arguments and checks their keys.
fn read_sets(schema: &Value, arguments: &[String]) -> Result<Vec<SetArgument>, ConfigError> {
    let mut sets = Vec::new();
    for argument in arguments {
        let set = source::set(argument)?;
        if ["variant", "sweep"].contains(&section_of(&set.key)) {
            let message = format!("`{}` cannot be set from the command line", set.key);
            return Err(ConfigError::new(message)
                .at(set.node.key_location())
                .help("variants and sweeps are written in the file"));
        }
        let mut nested = Node::empty();
        nested.put(&set.key, set.node.clone());
        check_keys(schema, &nested)?;
        sets.push(set);
    }
    Ok(sets)
}

impl Layers {
    /// Lays `file` over the defaults, and keeps the `--set` arguments for later.
    pub(super) fn new(schema: &Value, file: Node, sets: &[String]) -> Result<Self, ConfigError> {
        check_keys(schema, &file)?;
        let defaults = ExperimentFile::default();
        let defaults = serde_json::to_value(defaults).expect("defaults are plain data");
        let mut base = Node::defaults(defaults);
        base.merge(file);
        let mut layers = Self {
            base,
            sets: read_sets(schema, sets)?,
        };
        let written = layers.base.get(RECORD_CACHE).and_then(Node::location);
        if written.is_none() && asks_for_bound(&layers.whole()) {
            layers.base.put(RECORD_CACHE, Node::defaults(1.0.into()));
        }
        Ok(layers)
    }

    /// Leaves out the sweeps over keys that `--set` fixes.
    pub(super) fn leave_out_sweeps_of_set_keys(&mut self) {
        let Content::Table(base) = &mut self.base.content else {
            return;
        };
        let Some(Content::Array(sweeps)) = base.get_mut("sweep").map(|node| &mut node.content)
        else {
            return;
        };
        sweeps.retain(|sweep| {
            let key = sweep.child("key").and_then(Node::text);
            !self.sets.iter().any(|set| Some(set.key.as_str()) == key)
        });
    }

    /// The file and the `--set` arguments, without variants and sweeps.
    pub(super) fn whole(&self) -> Node {
        let mut whole = self.base.clone();
        for set in &self.sets {
            whole.put(&set.key, set.node.clone());
        }
        whole
    }

    /// Checks that no `--set` argument makes the `values` of a key equal, which is searched.
    ///
    /// # Errors
    /// [`ConfigError`] at the argument.
    pub(super) fn check_not_set(&self, key: &str, values: &[Node]) -> Result<(), ConfigError> {
        check_not_set(&self.sets, key, values, "searched")
    }

    /// The variants in order; without any, one that sets nothing.
    pub(super) fn variants(&self) -> Result<Vec<VariantLayer>, ConfigError> {
        let nodes = list(&self.base, "variant");
        let mut variants: Vec<VariantLayer> = Vec::new();
        let mut seen = BTreeSet::new();
        for node in nodes {
            let variant = variant(node)?;
            if !seen.insert(variant.name.clone()) {
                let name = &variant.name;
                let message = format!("two variants are named `{name}`: names must be unique");
                return Err(ConfigError::new(message).at(variant.place));
            }
            variants.push(variant);
        }
        for (at, node) in nodes.iter().enumerate() {
            if let Some(original) = node.child("same_as") {
                let tree = copied(&variants, at, original)?;
                variants[at].tree = tree;
            }
        }
        if variants.is_empty() {
            variants.push(VariantLayer {
                name: ONLY_VARIANT.to_owned(),
                tree: Node::empty(),
                is_copy: false,
                place: None,
            });
        }
        Ok(variants)
    }

    /// Lists the variants whose own settings a `--set` replaces, one message per `--set`.
    pub(super) fn overridden(&self, variants: &[VariantLayer]) -> Vec<String> {
        let mut messages = Vec::new();
        for set in &self.sets {
            let replaced: Vec<&str> = variants
                .iter()
                .filter(|variant| !variant.is_copy && variant.tree.writes(&set.key))
                .map(|variant| variant.name.as_str())
                .collect();
            if !replaced.is_empty() {
                messages.push(format!(
                    "--set {} holds for all variants and replaces what these set themselves: {}.",
                    set.key,
                    replaced.join(", ")
                ));
            }
        }
        messages
    }

    /// The baseline's name: the config's, or the first variant's.
    pub(super) fn baseline(
        &self,
        whole: &Node,
        variants: &[VariantLayer],
    ) -> Result<String, ConfigError> {
        let Some(node) = whole.child("baseline") else {
            return Ok(variants[0].name.clone());
        };
        let baseline = node.text().unwrap_or_default();
        let names: Vec<&str> = variants
            .iter()
            .map(|variant| variant.name.as_str())
            .collect();
        if names.contains(&baseline) {
            return Ok(baseline.to_owned());
        }
        let hint = hint(baseline, names.iter().copied());
        let message = format!("unknown variant `{baseline}` as baseline{hint}");
        Err(ConfigError::new(message)
            .at(node.location())
            .help(format!("variants: {}", names.join(", "))))
    }

    fn sweeps(&self) -> Vec<SweepLayer<'_>> {
        let sweeps = list(&self.base, "sweep").iter();
        sweeps.filter_map(SweepLayer::of).collect()
    }

    /// Checks that the plan will have no more than `most` trials, before any of them is built.
    pub(super) fn check_size(&self, seeds: u64, most: u64) -> Result<(), ConfigError> {
        let variants = list(&self.base, "variant").len().max(1);
        let values: Vec<usize> = self
            .sweeps()
            .iter()
            .map(|sweep| sweep.values.len())
            .collect();
        let mut trials = u128::from(seeds).saturating_mul(variants as u128);
        let mut factors = format!("seeds {seeds}, variants {variants}");
        for values in values {
            trials = trials.saturating_mul(values as u128);
            factors += &format!(", values of a sweep {values}");
        }
        if trials <= u128::from(most) {
            return Ok(());
        }
        let message =
            format!("the plan has {trials} trials ({factors}); at most {most} are allowed");
        Err(ConfigError::new(message).help(format!(
            "sweep fewer values together, or allow as many with --max-trials {trials}"
        )))
    }

    /// Checks that every swept key exists, has values, and is set by nothing else.
    pub(super) fn check_sweeps(
        &self,
        schema: &Value,
        variants: &[VariantLayer],
    ) -> Result<(), ConfigError> {
        let mut seen = BTreeSet::new();
        for sweep in self.sweeps() {
            sweep.check(schema)?;
            if !seen.insert(sweep.key) {
                return Err(sweep.refused(format!("`{}` is swept twice", sweep.key)));
            }
            sweep.check_alone(variants, &self.sets)?;
        }
        Ok(())
    }

    /// Every combination of the sweeps' values; the last sweep changes fastest.
    pub(super) fn points(&self) -> Vec<Vec<Choice>> {
        let mut points: Vec<Vec<Choice>> = vec![Vec::new()];
        for sweep in self.sweeps() {
            let choices = sweep.choices();
            let mut longer = Vec::new();
            for point in &points {
                for choice in &choices {
                    let mut point = point.clone();
                    point.push(choice.clone());
                    longer.push(point);
                }
            }
            points = longer;
        }
        points
    }

    /// The settings of a trial: base, variant, sweep point and `--set`, in this order.
    pub(super) fn case(&self, variant: &VariantLayer, point: &[Choice]) -> Node {
        let mut tree = Node::empty();
        for key in SECTIONS.into_iter().chain(SCALARS) {
            if let Some(node) = self.base.child(key) {
                tree.put(key, node.clone());
            }
        }
        tree.merge(variant.tree.clone());
        let mut joined = Node::empty();
        for choice in point {
            joined.join(&choice.key, choice.value.clone());
        }
        tree.merge(joined);
        for set in &self.sets {
            let section = section_of(&set.key);
            if SECTIONS.contains(&section) || SCALARS.contains(&section) {
                tree.put(&set.key, set.node.clone());
            }
        }
        tree
    }
}
