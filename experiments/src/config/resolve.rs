//! From a config's tree to the cells that are run: layers merged, types read, every value checked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use aura_engine::EngineConfig;
use aura_policies::{
    FamilyInfo, PolicyError, PolicySpec, admission, agent, cache, filter, index, layout, picker,
    separation, tuner, warming,
};
use aura_workloads::ConfigError as WorkloadError;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::{ConfigError, hint};
use super::schema::{check_keys, knows, schema};
use super::tree::{Content, Layer, Node};
use super::{CompareConfig, ExperimentFile, Point, Sweep, TrialConfig, source};
use crate::metrics;

/// The sections that variants, sweeps and trials are made of.
const SECTIONS: [&str; 3] = ["workload", "engine", "world"];

/// What a trial is made of, beside the sections.
const SCALARS: [&str; 3] = ["settle", "series_points", "record"];

/// A checked experiment: what is asked, and every combination of settings that is run for it.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// The name: the folder in the results.
    pub name: String,
    /// The command that runs it, from the folder in which the config lies.
    pub command: String,
    /// The question.
    pub question: String,
    /// What is expected.
    pub hypothesis: String,
    /// The variant that the others are compared with.
    pub baseline: String,
    /// The seeds that every cell is run with.
    pub seeds: Vec<u64>,
    /// By which metrics variants are compared.
    pub compare: CompareConfig,
    /// The variants in order, each with what it sets: dotted key to value, as shown in tables.
    pub variants: Vec<(String, Point)>,
    /// The sweeps.
    pub sweeps: Vec<Sweep>,
    /// One cell for each variant at each point, the variants of a point together.
    pub cells: Vec<Cell>,
}

/// One combination of settings.
#[derive(Clone, Debug)]
pub struct Cell {
    /// The variant's name.
    pub variant: String,
    /// The sweep's point; empty without a sweep.
    pub point: Point,
    /// All settings.
    pub config: TrialConfig,
    pub(super) tree: Node,
}

impl Cell {
    /// All settings, every default spelt out, as text that is the same whenever they are: what a trial's id is made of.
    /// Where databases lie is not a part of it.
    pub fn canonical(&self) -> String {
        let mut value = self.tree.to_value();
        if let Some(world) = value.get_mut("world").and_then(Value::as_object_mut) {
            world.remove("directory");
        }
        value.to_string()
    }

    /// All settings as values, for a plan.
    pub fn values(&self) -> Value {
        self.tree.to_value()
    }
}

/// Reads and checks the config at `path` with the `--set` arguments laid over it.
///
/// # Errors
/// The first thing that is wrong, where it stands.
pub fn load(path: &Path, sets: &[String]) -> Result<Experiment, ConfigError> {
    let schema = schema();
    let file = source::read(path)?;
    check_keys(&schema, &file)?;
    let command = command(path, sets);
    let layers = Layers::new(file, read_sets(&schema, sets)?);
    let mut whole = layers.base.clone();
    layers
        .sets
        .iter()
        .for_each(|(key, node)| whole.put(key, node.clone()));
    let head: ExperimentFile = deserialize(&whole)?;

    let stem = || {
        path.file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
            .unwrap_or_default()
    };
    let name = head.name.clone().unwrap_or_else(stem);
    check_head(&whole, &head, &name)?;
    let variants = layers.variants()?;
    let baseline = layers.baseline(&whole, &variants)?;
    layers.check_sweeps(&schema, &variants)?;
    let mut cells = Vec::new();
    for point in layers.points() {
        for variant in &variants {
            cells.push(layers.cell(variant, &point)?);
        }
    }
    Ok(Experiment {
        name,
        command,
        question: head.question,
        hypothesis: head.hypothesis,
        baseline,
        seeds: head.seeds.list(),
        compare: head.compare,
        variants: variants
            .iter()
            .map(|variant| (variant.name.clone(), settings(&variant.tree.to_value())))
            .collect(),
        sweeps: head.sweep,
        cells,
    })
}

/// What a shell is told to run this again.
fn command(path: &Path, sets: &[String]) -> String {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let plain = |text: &str| {
        text.chars()
            .all(|sign| sign.is_ascii_alphanumeric() || "._-=/:".contains(sign))
    };
    let quoted = |text: &str| {
        if plain(text) {
            text.to_owned()
        } else {
            format!("'{}'", text.replace('\'', r"'\''"))
        }
    };
    let sets: String = sets
        .iter()
        .map(|set| format!(" -s {}", quoted(set)))
        .collect();
    format!("aura run {}{sets}", quoted(&file))
}

fn read_sets(schema: &Value, arguments: &[String]) -> Result<Vec<(String, Node)>, ConfigError> {
    let mut sets = Vec::new();
    for argument in arguments {
        let (key, node) = source::set(argument)?;
        if ["variant", "sweep"].contains(&key.split('.').next().unwrap_or_default()) {
            let error = ConfigError::new(format!("`{key}` cannot be set from the command line"))
                .at(node.key_place());
            return Err(error.help("variants and sweeps are written in the file"));
        }
        let mut nested = Node::empty();
        nested.put(&key, node.clone());
        check_keys(schema, &nested)?;
        sets.push((key, node));
    }
    Ok(sets)
}

/// A variant's name and the tree of what it sets.
struct VariantLayer {
    name: String,
    tree: Node,
}

/// Settings as tables show them: dotted key to value, a policy with its parameters as one.
pub fn settings(value: &Value) -> Point {
    let mut shown = Point::new();
    show_settings("", value, &mut shown);
    shown
}

fn show_settings(path: &str, value: &Value, shown: &mut Point) {
    match value.as_object() {
        Some(table) if !table.contains_key("policy") => {
            for (key, value) in table {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                show_settings(&path, value, shown);
            }
        }
        _ => drop(shown.insert(path.to_owned(), show(value))),
    }
}

/// A value as tables show it: text without its quotes, a policy as `name(parameter=value)`.
fn show(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(table) if table.contains_key("policy") => {
            serde_json::from_value::<PolicySpec>(value.clone())
                .map_or_else(|_| value.to_string(), |spec| spec.to_string())
        }
        _ => value.to_string(),
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
struct Choice {
    key: String,
    value: Node,
    /// How it is shown.
    label: String,
}

impl<'a> SweepLayer<'a> {
    fn of(sweep: &'a Node) -> Option<Self> {
        let list = |key| match sweep.child(key).map(|node| &node.content) {
            Some(Content::Array(nodes)) => nodes.as_slice(),
            _ => &[],
        };
        let node = sweep.child("key")?;
        Some(Self {
            key: node.text()?,
            node,
            values: list("values"),
            labels: list("labels"),
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
}

/// The layers of a config, apart.
struct Layers {
    /// Defaults and file.
    base: Node,
    /// `--set` arguments, in order: the dotted key and the value.
    sets: Vec<(String, Node)>,
}

impl Layers {
    fn new(file: Node, sets: Vec<(String, Node)>) -> Self {
        let mut base = Node::defaults(
            serde_json::to_value(ExperimentFile::default()).expect("defaults are plain data"),
        );
        base.merge(file);
        Self { base, sets }
    }

    fn list(&self, key: &str) -> &[Node] {
        match self.base.child(key).map(|node| &node.content) {
            Some(Content::Array(nodes)) => nodes,
            _ => &[],
        }
    }

    /// The variants in order; without any, one that sets nothing.
    fn variants(&self) -> Result<Vec<VariantLayer>, ConfigError> {
        let mut variants: Vec<VariantLayer> = Vec::new();
        for node in self.list("variant") {
            let name = node
                .child("name")
                .and_then(Node::text)
                .unwrap_or_default()
                .to_owned();
            if name.is_empty() || variants.iter().any(|other| other.name == name) {
                let error = ConfigError::new(format!(
                    "a variant's name must be there and unique, `{name}` is not"
                ));
                return Err(error.at(node.child("name").and_then(Node::place)));
            }
            let layer = Layer::Variant(name.clone());
            let mut tree = node.clone().written_by(&layer);
            if let Content::Table(table) = &mut tree.content {
                table.remove("name");
            }
            variants.push(VariantLayer { name, tree });
        }
        if variants.is_empty() {
            variants.push(VariantLayer {
                name: "base".to_owned(),
                tree: Node::empty(),
            });
        }
        Ok(variants)
    }

    fn baseline(&self, whole: &Node, variants: &[VariantLayer]) -> Result<String, ConfigError> {
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
        let message = format!(
            "unknown variant `{baseline}` as baseline{}",
            hint(baseline, names.iter().copied())
        );
        Err(ConfigError::new(message)
            .at(node.place())
            .help(format!("variants: {}", names.join(", "))))
    }

    fn sweeps(&self) -> Vec<SweepLayer<'_>> {
        self.list("sweep")
            .iter()
            .filter_map(SweepLayer::of)
            .collect()
    }

    /// A swept key exists, has values, and nothing else sets it: a value that is never used is a misunderstanding.
    fn check_sweeps(&self, schema: &Value, variants: &[VariantLayer]) -> Result<(), ConfigError> {
        let mut seen = BTreeSet::new();
        for SweepLayer {
            key,
            node,
            values,
            labels,
        } in self.sweeps()
        {
            let refuse = |message: String| Err(ConfigError::new(message).at(node.place()));
            let section = key.split('.').next().unwrap_or_default();
            if !SECTIONS.contains(&section) {
                return refuse(format!(
                    "`{key}` cannot be swept: keys begin with {}",
                    SECTIONS.join(", ")
                ));
            }
            if !knows(schema, key) {
                let mut nested = Node::empty();
                nested.put(
                    key,
                    Node {
                        key_span: node.span.clone(),
                        ..node.clone()
                    },
                );
                check_keys(schema, &nested)?;
            }
            if values.is_empty() {
                return refuse(format!("the sweep over `{key}` has no values"));
            }
            if !labels.is_empty() && labels.len() != values.len() {
                return refuse(format!(
                    "the sweep over `{key}` has {} values and {} labels",
                    values.len(),
                    labels.len()
                ));
            }
            if !seen.insert(key) {
                return refuse(format!("`{key}` is swept twice"));
            }
            if let Some(variant) = variants
                .iter()
                .find(|variant| variant.tree.get(key).is_some())
            {
                return refuse(format!(
                    "variant `{}` sets `{key}`, which the sweep would replace",
                    variant.name
                ));
            }
            if let Some((_, set)) = self.sets.iter().find(|(set, _)| set == key) {
                let error = ConfigError::new(format!(
                    "`{key}` is swept: --set would make all its points equal"
                ));
                return Err(error.at(set.key_place()));
            }
        }
        Ok(())
    }

    /// Every combination of the sweeps' values, the last sweep's changing fastest.
    fn points(&self) -> Vec<Vec<Choice>> {
        let mut points = vec![Vec::new()];
        for sweep in self.sweeps() {
            let choices = sweep.choices();
            let with = |point: &Vec<Choice>, choice: &Choice| {
                point.iter().chain([choice]).cloned().collect()
            };
            points = points
                .iter()
                .flat_map(|point| choices.iter().map(move |choice| with(point, choice)))
                .collect();
        }
        points
    }

    fn cell(&self, variant: &VariantLayer, point: &[Choice]) -> Result<Cell, ConfigError> {
        let mut tree = Node::empty();
        for key in SECTIONS.into_iter().chain(SCALARS) {
            if let Some(node) = self.base.child(key) {
                tree.put(key, node.clone());
            }
        }
        tree.merge(variant.tree.clone());
        for choice in point {
            tree.put(&choice.key, choice.value.clone());
        }
        let of_trial = |key: &str| {
            SECTIONS
                .iter()
                .chain(&SCALARS)
                .any(|known| key.split('.').next() == Some(known))
        };
        for (key, value) in self.sets.iter().filter(|(key, _)| of_trial(key)) {
            tree.put(key, value.clone());
        }
        let config: TrialConfig = deserialize(&tree)?;
        check_trial(&tree, &config)?;
        spell_out_defaults(&mut tree, &config);
        let point = point
            .iter()
            .map(|choice| (choice.key.clone(), choice.label.clone()))
            .collect();
        Ok(Cell {
            variant: variant.name.clone(),
            point,
            config,
            tree,
        })
    }
}

/// Reads a tree as a type; an error is shown where the value stands that caused it.
fn deserialize<T: DeserializeOwned>(tree: &Node) -> Result<T, ConfigError> {
    serde_path_to_error::deserialize(tree.to_value()).map_err(|error| {
        let path = error.path().to_string();
        // What the size type says of a negative number helps nobody.
        let message = error
            .inner()
            .to_string()
            .replace("expected integer overflow", "expected a size of 0 or more");
        let near = message
            .strip_prefix("unknown")
            .map(hint_of_list)
            .unwrap_or_default();
        ConfigError::new(format!("`{path}`: {message}{near}")).at(tree.closest(&path).place())
    })
}

/// The nearest name for a message like "unknown variant `x`, expected one of `a`, `b`".
fn hint_of_list(message: &str) -> String {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match quoted.as_slice() {
        [name, known @ ..] if !known.is_empty() => hint(name, known.iter().copied()),
        [name] => {
            let list = message
                .rsplit_once("there are ")
                .map(|(_, list)| list)
                .unwrap_or_default();
            hint(name, list.split(", ").filter(|known| !known.is_empty()))
        }
        _ => String::new(),
    }
}

/// Ranges and names of the settings that concern the whole experiment.
fn check_head(tree: &Node, head: &ExperimentFile, name: &str) -> Result<(), ConfigError> {
    let refuse =
        |key: &str, message: String| Err(ConfigError::new(message).at(tree.closest(key).place()));
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\']) {
        return refuse("name", format!("`{name}` cannot be the name of a folder"));
    }
    let seeds = head.seeds.list();
    if seeds.is_empty() || seeds.iter().collect::<BTreeSet<_>>().len() != seeds.len() {
        return refuse(
            "seeds",
            "`seeds` must hold at least one seed, and none twice".to_owned(),
        );
    }
    if !(0.0..1.0).contains(&head.compare.margin) {
        return refuse(
            "compare.margin",
            format!(
                "`compare.margin` = {}: must be 0 or more and below 1",
                head.compare.margin
            ),
        );
    }
    for (list, names) in [
        ("primary", &head.compare.primary),
        ("also", &head.compare.also),
    ] {
        for (at, name) in names.iter().enumerate() {
            if let Err(unknown) = metrics::find(name) {
                let error = ConfigError::new(unknown.to_string())
                    .at(tree.closest(&format!("compare.{list}[{at}]")).place());
                return Err(error.help("`aura list metrics` says what each of them is"));
            }
        }
    }
    Ok(())
}

/// Ranges that the types of a trial's settings do not hold.
fn check_trial(tree: &Node, config: &TrialConfig) -> Result<(), ConfigError> {
    let refuse =
        |key: &str, message: String| Err(ConfigError::new(message).at(tree.closest(key).place()));
    if let Err(error) = config.workload.resolve() {
        let (WorkloadError::OutOfRange { key, .. } | WorkloadError::NameTaken { key, .. }) = &error;
        return refuse(&format!("workload.{key}"), format!("workload.{error}"));
    }
    for (path, spec, build) in policies(&config.engine) {
        build(spec).map_err(|error| policy_error(tree, path, spec, &error))?;
    }
    match config.engine.validate() {
        Err(aura_engine::Error::Config { key, message }) => {
            return refuse(
                &format!("engine.{key}"),
                format!("`engine.{key}`: {message}"),
            );
        }
        Err(error) => return Err(ConfigError::new(error.to_string())),
        Ok(()) => {}
    }
    if !(1..=1024).contains(&config.world.cores) {
        return refuse(
            "world.cores",
            format!("`world.cores` = {}: must be 1 to 1024", config.world.cores),
        );
    }
    if !(1..=10_000).contains(&config.series_points) {
        return refuse(
            "series_points",
            format!(
                "`series_points` = {}: must be 1 to 10000",
                config.series_points
            ),
        );
    }
    if !(0.0..=1.0).contains(&config.record.cache) {
        return refuse(
            "record.cache",
            format!("`record.cache` = {}: must be 0 to 1", config.record.cache),
        );
    }
    Ok(())
}

type Build = fn(&PolicySpec) -> Result<(), PolicyError>;

/// Every policy of an engine's settings: where it stands, what it is, and how its family builds it.
fn policies(engine: &EngineConfig) -> [(&'static str, &PolicySpec, Build); 10] {
    [
        ("engine.table.filter", &engine.table.filter, |spec| {
            filter::build(spec).map(drop)
        }),
        ("engine.table.index", &engine.table.index, |spec| {
            index::build(spec).map(drop)
        }),
        ("engine.cache.eviction", &engine.cache.eviction, |spec| {
            cache::build(spec, 1 << 20, 0).map(drop)
        }),
        ("engine.cache.admission", &engine.cache.admission, |spec| {
            admission::build(spec, 1 << 20, 0).map(drop)
        }),
        ("engine.cache.warming", &engine.cache.warming, |spec| {
            warming::build(spec).map(drop)
        }),
        (
            "engine.table.index_tuner",
            &engine.table.index_tuner,
            |spec| tuner::build(spec).map(drop),
        ),
        (
            "engine.compaction.layout",
            &engine.compaction.layout,
            |spec| layout::build(spec).map(drop),
        ),
        (
            "engine.compaction.picker",
            &engine.compaction.picker,
            |spec| picker::build(spec).map(drop),
        ),
        (
            "engine.compaction.agent",
            &engine.compaction.agent,
            |spec| agent::build(spec, 0).map(drop),
        ),
        (
            "engine.value_log.separation",
            &engine.value_log.separation,
            |spec| separation::build(spec).map(drop),
        ),
    ]
}

/// The families in the order of [`policies`].
fn families() -> [FamilyInfo; 10] {
    [
        filter::FAMILY.info(),
        index::FAMILY.info(),
        cache::FAMILY.info(),
        admission::FAMILY.info(),
        warming::FAMILY.info(),
        tuner::FAMILY.info(),
        layout::FAMILY.info(),
        picker::FAMILY.info(),
        agent::FAMILY.info(),
        separation::FAMILY.info(),
    ]
}

fn policy_error(tree: &Node, path: &str, spec: &PolicySpec, error: &PolicyError) -> ConfigError {
    let (place, hint) = match error {
        PolicyError::UnknownPolicy { policy, known, .. } => (
            tree.closest(&format!("{path}.policy")).place(),
            hint(policy, known.iter().copied()),
        ),
        PolicyError::UnknownParameter {
            parameter, known, ..
        } => {
            let node = tree.closest(&format!("{path}.{parameter}"));
            (
                node.key_place(),
                hint(parameter, known.iter().map(String::as_str)),
            )
        }
        PolicyError::BadParameter { parameter, .. } => {
            let at = if spec.params.contains_key(parameter) {
                format!("{path}.{parameter}")
            } else {
                path.to_owned()
            };
            (tree.closest(&at).place(), String::new())
        }
    };
    let error = ConfigError::new(format!("`{path}`: {error}{hint}")).at(place);
    error.help("`aura list policies` shows all policies with their parameters")
}

/// Fills in the parameters that policies and the device take when nothing is said: what is printed, and hashed into a
/// trial's id, is all there is.
fn spell_out_defaults(tree: &mut Node, config: &TrialConfig) {
    for ((path, spec, _), family) in policies(&config.engine).into_iter().zip(families()) {
        let policy = family
            .policies
            .into_iter()
            .find(|policy| policy.name == spec.policy);
        let left_out = policy
            .into_iter()
            .flat_map(|policy| policy.params)
            .filter(|param| !param.default.is_null());
        for param in left_out.filter(|param| !spec.params.contains_key(&param.name)) {
            tree.put(
                &format!("{path}.{}", param.name),
                Node::defaults(param.default),
            );
        }
        // A policy without parameters may still be a bare name; as a table it is the same text either way.
        tree.put(path, Node::default_value(Content::Table(BTreeMap::new())));
    }
    let device =
        serde_json::to_value(&config.world.device).expect("a device profile is plain data");
    let Content::Table(fields) = Node::defaults(device).content else {
        return;
    };
    let written: BTreeSet<String> = match tree.get("world.device").and_then(Node::table) {
        Some(table) => table.keys().cloned().collect(),
        None => BTreeSet::from(["profile".to_owned()]),
    };
    for (field, node) in fields
        .into_iter()
        .filter(|(field, _)| !written.contains(field))
    {
        tree.put(&format!("world.device.{field}"), node);
    }
}
