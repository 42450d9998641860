//! From a config's text to the cases that are run, with every value checked.

use std::collections::BTreeSet;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::agents::{self, AgentFiles};
use super::check::{check_head, check_trial};
use super::error::ConfigError;
use super::inputs::{InputFiles, check_scale};
use super::layers::{Choice, Layers, VariantLayer, VariantSettings, show};
use super::machine::Profiles;
use super::policies;
use super::scale::enlarge;
use super::schema::schema;
use super::training::Training;
use super::tree::{Content, Node};
use super::tune::{self, Tuning};
use super::{
    CompareConfig, ExperimentFile, KnownTargets, PaperConfig, Sweep, TrialConfig, expect, print,
    source, targets, twins,
};
use crate::code::short_hash;
use crate::compare::Expectation;
use crate::formats::quoted;
use crate::nearest::hint;
use crate::point::Point;
use crate::regret::RegretConfig;

/// A checked experiment: what is asked, and every combination of settings that is run for it.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// The name: the folder in the results.
    pub name: String,
    /// The command that runs it, from the folder of the config.
    pub command: String,
    /// The question.
    pub question: String,
    /// What is expected.
    pub hypothesis: String,
    /// The parts of it that the run decides.
    pub expect: Vec<Expectation>,
    /// The variant that the others are compared with.
    pub baseline: String,
    /// The seeds that every case is run with.
    pub seeds: Vec<u64>,
    /// By which metrics variants are compared.
    pub compare: CompareConfig,
    /// The variants in order.
    pub variants: Vec<VariantSettings>,
    /// The sweeps.
    pub sweeps: Vec<Sweep>,
    /// One case for each variant at each sweep point, the variants of a point together.
    pub cases: Vec<Case>,
    /// What a reader must know before the results.
    pub warnings: Vec<String>,
    /// Which variants stand still and which know the phases.
    pub regret: Option<RegretConfig>,
    /// The claim of others that it puts to the test.
    pub paper: Option<PaperConfig>,
}

/// One variant at one sweep point, with all its settings.
#[derive(Clone, Debug)]
pub struct Case {
    /// The variant's name.
    pub variant: String,
    /// The sweep point.
    pub point: Point,
    /// All settings.
    pub config: TrialConfig,
    /// All settings as JSON: a tenth of what their tree takes, and plans have thousands.
    values: String,
    /// All settings as TOML, with their origins.
    resolved: String,
}

impl Experiment {
    /// The names of the windows in which metrics can be asked for, those of all cases.
    pub fn windows(&self) -> BTreeSet<&str> {
        super::expect::phases(&self.cases)
    }
}

impl Case {
    /// Returns all settings, every default spelt out, as a text that is equal for equal settings: a
    /// trial's id is made of it. The places of databases, key files, traces, profiles and agents
    /// are left out; their digests are there.
    pub fn canonical(&self) -> String {
        self.without_places().to_string()
    }

    /// The digest of its workload: where it is equal, trials of one seed meet the same operations.
    pub fn cell(&self) -> String {
        let workload = self.without_places()["workload"].to_string();
        short_hash(workload.as_bytes())
    }

    fn without_places(&self) -> Value {
        let mut value = self.values();
        // The default, whether it is written or not.
        if let Some(settings) = value.as_object_mut()
            && settings
                .get("target")
                .and_then(Value::as_str)
                .is_some_and(targets::is_aura)
        {
            settings.remove("target");
        }
        if let Some(world) = value.get_mut("world").and_then(Value::as_object_mut) {
            world.remove("directory");
            world.remove("profile");
        }
        for table in ["/workload/key", "/workload/trace"] {
            if let Some(table) = value.pointer_mut(table).and_then(Value::as_object_mut) {
                table.remove("file");
            }
        }
        agents::without_places(&mut value);
        value
    }

    /// Returns all settings as JSON, for a plan.
    pub fn values(&self) -> Value {
        serde_json::from_str(&self.values).expect("it was written from a value")
    }

    /// Returns the values of some keys, as tables show them; a key without a value is left out.
    pub fn settings_of<'a>(&self, keys: impl Iterator<Item = &'a str>) -> Point {
        let values = self.values();
        let value = |key: &str| {
            let pointer = format!("/{}", key.replace('.', "/"));
            Some((key.to_owned(), show(values.pointer(&pointer)?)))
        };
        keys.filter_map(value).collect()
    }

    /// Returns all settings as TOML, one dotted key a line, each with its origin as a comment.
    /// Another config can be made of it.
    pub fn to_toml(&self) -> &str {
        &self.resolved
    }
}

/// The most trials of a plan, unless more are asked for.
pub const TRIALS_MAX: u64 = 10_000;

/// How large an experiment may be, and how large it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Records, operations, memory and sizes of files are multiplied by this.
    pub scale: u64,
    /// A plan of more trials is refused before it is built.
    pub trials_max: u64,
}

impl Default for Size {
    fn default() -> Self {
        Self {
            scale: 1,
            trials_max: TRIALS_MAX,
        }
    }
}

/// Reads and checks the config at `path`, with the `--set` arguments laid over it, in the given
/// size, for a command that has `targets`. At another scale than 1 the experiment's name says so.
///
/// # Errors
/// [`ConfigError`] with the first thing that is wrong, and where it stands.
pub fn load(
    path: &Path,
    sets: &[String],
    size: Size,
    targets: &KnownTargets,
) -> Result<Experiment, ConfigError> {
    parse_for(path, source::read(path)?, sets, size, targets)
}

/// Reads the config at `path` as [`load`] does, for one side of an A/B comparison: `--set` of a
/// swept key picks that point, and variants may have become equal.
///
/// # Errors
/// [`ConfigError`] with the first thing that is wrong, and where it stands.
pub fn load_side(
    path: &Path,
    sets: &[String],
    size: Size,
    targets: &KnownTargets,
) -> Result<Experiment, ConfigError> {
    let text = source::read(path)?;
    Resolver::new(path, text, sets, size, targets, Reading::Side)?.experiment(path, sets)
}

/// What a config is read for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    Experiment,
    Side,
}

/// Checks a config's text as if it stood at `path`, with the `--set` arguments laid over it, for
/// trials on AuraDB.
///
/// The path gives the experiment its default name, and its extension the language: JSON, else TOML.
///
/// # Errors
/// [`ConfigError`] with the first thing that is wrong, and where it stands.
pub fn parse(path: &Path, text: String, sets: &[String]) -> Result<Experiment, ConfigError> {
    parse_for(path, text, sets, Size::default(), &KnownTargets::default())
}

/// Checks a config's text as if it stood at `path`, with the `--set` arguments laid over it, in the
/// given size, for a command that has `targets`.
///
/// # Errors
/// [`ConfigError`] with the first thing that is wrong, and where it stands.
pub fn parse_for(
    path: &Path,
    text: String,
    sets: &[String],
    size: Size,
    targets: &KnownTargets,
) -> Result<Experiment, ConfigError> {
    let mut resolver = Resolver::new(path, text, sets, size, targets, Reading::Experiment)?;
    let experiment = resolver.experiment(path, sets)?;
    Tuning::of(resolver, baseline_of(&experiment))?;
    Ok(experiment)
}

/// Reads the config at `path` as [`load`] does, and what it says about a search.
///
/// # Errors
/// As [`load`]; [`ConfigError`], too, if the config has no table `tune`, or the search is larger
/// than `size` allows.
pub fn load_tuning(
    path: &Path,
    sets: &[String],
    size: Size,
    targets: &KnownTargets,
) -> Result<(Experiment, Tuning), ConfigError> {
    let mut resolver = Resolver::new(
        path,
        source::read(path)?,
        sets,
        size,
        targets,
        Reading::Experiment,
    )?;
    let experiment = resolver.experiment(path, sets)?;
    let missing = tune::missing(&resolver.head);
    let tuning = Tuning::of(resolver, baseline_of(&experiment))?;
    let tuning = tuning.ok_or(missing)?;
    tuning.check_alone()?;
    tuning.check_size(size.trials_max)?;
    Ok((experiment, tuning))
}

/// Reads the config at `path` as [`load`] does, and which of its variants has an agent to be
/// trained: the one that is `named`, or the only one.
///
/// # Errors
/// As [`load`]; [`ConfigError`], too, if there is no such variant, or its agent cannot be trained.
pub fn load_training(
    path: &Path,
    sets: &[String],
    size: Size,
    targets: &KnownTargets,
    named: Option<&str>,
) -> Result<Training, ConfigError> {
    let text = source::read(path)?;
    let mut resolver = Resolver::new(path, text, sets, size, targets, Reading::Experiment)?;
    let experiment = resolver.experiment(path, sets)?;
    Training::of(&resolver, experiment, named)
}

/// The first case of the baseline.
fn baseline_of(experiment: &Experiment) -> &Case {
    let mut cases = experiment.cases.iter();
    cases
        .find(|case| case.variant == experiment.baseline)
        .expect("every variant has a case")
}

/// A config that was read, from which cases are made.
pub(super) struct Resolver {
    pub(super) schema: Value,
    pub(super) layers: Layers,
    /// The file and the `--set` arguments.
    pub(super) whole: Node,
    pub(super) head: ExperimentFile,
    pub(super) scale: u64,
    name: String,
    pub(super) variants: Vec<VariantLayer>,
    baseline: String,
    files: Found,
    targets: KnownTargets,
    reading: Reading,
}

impl Resolver {
    fn new(
        path: &Path,
        text: String,
        sets: &[String],
        Size { scale, trials_max }: Size,
        targets: &KnownTargets,
        reading: Reading,
    ) -> Result<Self, ConfigError> {
        let schema = schema();
        let mut layers = Layers::new(&schema, source::parse(path, text)?, sets)?;
        if reading == Reading::Side {
            layers.leave_out_sweeps_of_set_keys();
        }
        let whole = layers.whole();
        let head: ExperimentFile = deserialize(&whole)?;
        layers.check_size(head.seeds.count(), trials_max)?;
        let mut name = match &head.name {
            Some(name) => name.clone(),
            None => {
                let stem = path.file_stem().unwrap_or_default();
                stem.to_string_lossy().into_owned()
            }
        };
        if scale != 1 {
            name += &format!("-x{scale}");
        }
        check_head(&whole, &head, &name)?;
        let variants = layers.variants()?;
        let baseline = layers.baseline(&whole, &variants)?;
        layers.check_sweeps(&schema, &variants)?;
        Ok(Self {
            schema,
            layers,
            whole,
            head,
            scale,
            name,
            variants,
            baseline,
            files: Found {
                inputs: InputFiles::of(path),
                profiles: Profiles::of(path),
                agents: AgentFiles::of(path),
            },
            reading,
            targets: targets.clone(),
        })
    }

    /// The variant that others are compared with.
    pub(super) fn baseline(&self) -> &VariantLayer {
        let mut variants = self.variants.iter();
        variants
            .find(|variant| variant.name == self.baseline)
            .expect("the baseline is a variant")
    }

    /// Makes a case of a variant's settings.
    pub(super) fn case(
        &mut self,
        tree: Node,
        variant: &str,
        point: &[Choice],
    ) -> Result<Case, ConfigError> {
        case(tree, variant, point, &self.targets, &mut self.files)
    }

    fn experiment(&mut self, path: &Path, sets: &[String]) -> Result<Experiment, ConfigError> {
        let mut cases = Vec::new();
        for point in self.layers.points() {
            for at in 0..self.variants.len() {
                let variant = &self.variants[at];
                let name = variant.name.clone();
                let mut tree = self.layers.case(variant, &point);
                check_scale(&tree, self.scale)?;
                enlarge(&mut tree, self.scale);
                cases.push(self.case(tree, &name, &point)?);
            }
        }
        let Self { head, variants, .. } = self;
        let mut warnings = self.layers.overridden(variants);
        if self.reading == Reading::Experiment {
            // A side is one point, and expects nothing.
            expect::check(&self.whole, head, &self.baseline, &cases)?;
            warnings.extend(twins::check(variants, &cases, &warnings)?);
        }
        let head = head.clone();
        let seeds = head.seeds.list();
        warnings.extend(self.files.agents.overlaps(&cases, &seeds));
        Ok(Experiment {
            name: self.name.clone(),
            command: command(self.targets.program(), path, sets, self.scale),
            question: head.question,
            hypothesis: head.hypothesis,
            expect: head.expect,
            baseline: self.baseline.clone(),
            seeds,
            compare: head.compare,
            variants: variants.iter().map(VariantLayer::shown).collect(),
            sweeps: head.sweep,
            cases,
            warnings,
            regret: head.regret,
            paper: head.paper,
        })
    }
}

/// The shell command that runs this config again.
fn command(program: &str, path: &Path, sets: &[String], scale: u64) -> String {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let mut command = format!("{program} run {}", quoted(&file));
    for set in sets {
        command += &format!(" -s {}", quoted(set));
    }
    if scale != 1 {
        command += &format!(" --scale {scale}");
    }
    command
}

/// The files that a config names.
pub(super) struct Found {
    inputs: InputFiles,
    profiles: Profiles,
    agents: AgentFiles,
}

fn case(
    mut tree: Node,
    variant: &str,
    point: &[Choice],
    targets: &KnownTargets,
    files: &mut Found,
) -> Result<Case, ConfigError> {
    let mut config: TrialConfig = deserialize(&tree)?;
    let inputs = files.inputs.read(&mut tree, &mut config)?;
    files.profiles.apply(&mut tree, &config)?;
    files.agents.read(&mut tree, &mut config)?;
    check_trial(&tree, &config, &inputs)?;
    targets::check(&tree, &config, &inputs, targets)?;
    policies::spell_out_defaults(&mut tree, &config.engine);
    spell_out_device(&mut tree, &config);
    // Now with every default of policy and device: equal settings are equal.
    let config = deserialize(&tree)?;
    let point = point
        .iter()
        .map(|choice| (choice.key.clone(), choice.label.clone()))
        .collect();
    Ok(Case {
        variant: variant.to_owned(),
        point,
        config,
        values: tree.to_value().to_string(),
        resolved: print::to_toml(&tree),
    })
}

/// Fills in the numbers of the device's profile that the config does not set.
fn spell_out_device(tree: &mut Node, config: &TrialConfig) {
    let device = &config.world.device;
    let device = serde_json::to_value(device).expect("a device profile is plain data");
    let Content::Table(fields) = Node::defaults(device).content else {
        return;
    };
    let written: BTreeSet<String> = match tree.get("world.device").and_then(Node::table) {
        Some(table) => table.keys().cloned().collect(),
        None => BTreeSet::from(["profile".to_owned()]),
    };
    for (field, node) in fields {
        if !written.contains(&field) {
            tree.put(&format!("world.device.{field}"), node);
        }
    }
}

/// Reads a tree as a type; an error is shown at the value that caused it.
fn deserialize<T: DeserializeOwned>(tree: &Node) -> Result<T, ConfigError> {
    serde_path_to_error::deserialize(tree.to_value()).map_err(|error| {
        let path = error.path().to_string();
        let message = error.inner().to_string();
        let written = tree.get(&path).map(Node::to_value).unwrap_or_default();
        let (message, help) = match expected(&message, &written) {
            Some(Expected { what, write }) => (format!("{written} is not {what}"), Some(write)),
            None => (message, None),
        };
        let near = match message.strip_prefix("unknown") {
            Some(rest) => hint_of_list(rest),
            None => String::new(),
        };
        let located = tree.closest(&path).location();
        let error = ConfigError::new(format!("`{path}`: {message}{near}")).at(located);
        match help {
            Some(help) => error.help(help),
            None => error,
        }
    })
}

/// What a value should have been, and how that is written.
struct Expected {
    what: &'static str,
    write: String,
}

/// Says what was expected in place of `written`, if serde's or the size type's own `message` would
/// help nobody.
fn expected(message: &str, written: &Value) -> Option<Expected> {
    let is_size = [
        "couldn't parse",
        "expected integer overflow",
        "ByteSize",
        "parsable string",
        "an integer or string",
    ];
    if is_size.iter().any(|words| message.contains(words)) {
        return Some(Expected {
            what: "a size of 0 or more bytes",
            write: "a size is a number with a unit, such as \"64KiB\", \"1.5MiB\" or \"2GB\""
                .to_owned(),
        });
    }
    let (_, wanted) = message.rsplit_once("expected ")?;
    let whole = ["u8", "u16", "u32", "u64", "usize", "i64"];
    if whole.contains(&wanted) && !written.is_object() && !written.is_array() {
        return Some(Expected {
            what: "a whole number of 0 or more that fits",
            write: match written.as_f64().filter(|number| number.fract() == 0.0) {
                Some(number) if number >= 0.0 => {
                    format!("write it without point and exponent: {number:.0}")
                }
                _ => "a whole number has digits only, such as 1_000_000".to_owned(),
            },
        });
    }
    (wanted == "f64").then(|| Expected {
        what: "a number",
        write: "write it without quotes, such as 0.99".to_owned(),
    })
}

/// Returns the nearest name for a message like "unknown variant `x`, expected one of `a`, `b`".
fn hint_of_list(message: &str) -> String {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match quoted.as_slice() {
        [name, known @ ..] if !known.is_empty() => hint(name, known.iter().copied()),
        [name] => {
            let list = message.rsplit_once("there are ");
            let list = list.map(|(_, list)| list).unwrap_or_default();
            hint(name, list.split(", ").filter(|known| !known.is_empty()))
        }
        _ => String::new(),
    }
}
