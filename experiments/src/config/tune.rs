//! The table `tune`: what a search may set, what it is to improve, and what it must keep.
//!
//! A knob is laid over the baseline as a sweep's value is: under `--set`, over everything else.

use std::collections::{BTreeMap, BTreeSet};

use aura_workloads::names;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::ConfigError;
use super::expect::phases;
use super::layers::{self, Choice};
use super::resolve::{Case, Resolver};
use super::scale::{enlarge, shorten};
use super::tree::{Layer, Node};
use super::{ExperimentFile, Seeds};
use crate::metrics::{self, Debt};
use crate::nearest::hint;
use crate::optimise::goal::{Bound, Goal, Limit, Sense, Term};
use crate::optimise::search::{Method, Request};
use crate::optimise::space::{self, Choices, Knob, NumberKind, Range, Rest, Space, Values};
use crate::record::Window;

/// What `aura tune` searches, and by what it judges.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TuneConfig {
    /// How the next points are chosen. Default: `"bayesian"`.
    pub method: Method,
    /// The budget: how many points are measured, each under every seed of the search. With
    /// `"halving"` a point with a third of the operations counts as a third; a grid has as many as
    /// its levels make. The baseline is measured beside them. Default: 40.
    pub points: u32,
    /// The seeds that every point is run with, those of the config first: all points meet the same
    /// operations. Default: 2.
    pub seeds: u32,
    /// The seed of the search's own random numbers. Default: 1.
    pub seed: u64,
    /// How many points are chosen before the outcomes of the first of them are known. It does not
    /// depend on how many jobs run. Default: 2.
    pub batch: u32,
    /// Of `"halving"`: one of this many points goes on. Default: 3.
    pub eta: u32,
    /// The metric to make small: `"metric"`, or `"metric@phase"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimize: Option<String>,
    /// The metric to make large.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximize: Option<String>,
    /// Several metrics with their weights. The cost is the weighted sum of each one's ratio to the
    /// baseline's value, or of the inverse ratio where more is better: the baseline costs the sum
    /// of the weights.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub cost: BTreeMap<String, f64>,
    /// What must be kept, by metric.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub constraints: BTreeMap<String, LimitConfig>,
    /// The comparison of the winner with the baseline.
    pub confirm: ConfirmConfig,
    /// The settings that are searched.
    pub knob: Vec<KnobConfig>,
}

impl Default for TuneConfig {
    fn default() -> Self {
        Self {
            method: Method::default(),
            points: 40,
            seeds: 2,
            seed: 1,
            batch: 2,
            eta: 3,
            minimize: None,
            maximize: None,
            cost: BTreeMap::new(),
            constraints: BTreeMap::new(),
            confirm: ConfirmConfig::default(),
            knob: Vec::new(),
        }
    }
}

/// A limit on a metric.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitConfig {
    /// Its largest mean over the seeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_most: Option<f64>,
    /// Its smallest mean over the seeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
}

/// How the winner is compared with the baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConfirmConfig {
    /// How many fresh seeds, which no point of the search has met. Default: 8.
    pub seeds: u32,
}

impl Default for ConfirmConfig {
    fn default() -> Self {
        Self { seeds: 8 }
    }
}

/// A setting that is searched: a range with `min` and `max`, or a list of `values`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KnobConfig {
    /// The setting's dotted key in `workload`, `engine`, `world` or `target_options`.
    pub key: String,
    /// The smallest value: a number, or a size such as `"64KiB"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<Value>,
    /// The largest value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<Value>,
    /// How values are spread. Default: `"log"` for sizes, else `"linear"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<Spread>,
    /// The distance between values from `min` on. Default: values are rounded to what can be
    /// written briefly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<Value>,
    /// How many values of a range a grid has. Default: 4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub levels: Option<u32>,
    /// The values, if they are listed. A table sets several keys at once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Value>,
    /// The names of the listed values in tables. Default: the values themselves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Another size, which gets what this one leaves of a total.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rest: Option<RestConfig>,
}

/// A size that gets what a knob leaves of a total.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestConfig {
    /// Its dotted key.
    pub key: String,
    /// The total, such as `"4MiB"`.
    pub of: Value,
}

/// How the values of a range are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Spread {
    /// Evenly.
    Linear,
    /// By equal factors.
    Log,
}

/// A search that a config describes, checked.
pub struct Tuning {
    /// The settings that are searched.
    pub space: Space,
    /// What is improved, and what is kept.
    pub goal: Goal,
    /// How the search goes.
    pub request: Request,
    /// The seeds of the search.
    pub seeds: Vec<u64>,
    /// Seeds that no point of the search meets, nor a run of the config.
    pub fresh_seeds: Vec<u64>,
    /// The coordinates of the baseline, if it is a point of the space.
    pub baseline: Option<Vec<f64>>,
    /// The baseline's value of each key that is set; `None` if the config leaves it to a default
    /// that depends on others.
    pub before: Vec<Before>,
    resolver: Resolver,
}

/// What a key was before.
#[derive(Clone, Debug, PartialEq)]
pub struct Before {
    /// The dotted key.
    pub key: String,
    /// Its value.
    pub value: Option<Value>,
}

impl Before {
    /// The key with its value, as tables show it.
    pub fn shown(&self) -> (String, String) {
        let value = self.value.as_ref().map(layers::show);
        (
            self.key.clone(),
            value.unwrap_or_else(|| "default".to_owned()),
        )
    }
}

impl Tuning {
    /// Reads the table of a config that was resolved otherwise; `None` if it has none.
    ///
    /// # Errors
    /// [`ConfigError`] with the first thing that is wrong, and where it stands.
    pub(super) fn of(resolver: Resolver, baseline: &Case) -> Result<Option<Self>, ConfigError> {
        let Some(config) = resolver.head.tune.clone() else {
            return Ok(None);
        };
        let reader = Reader {
            resolver: &resolver,
            config: &config,
            baseline,
        };
        reader.check_numbers()?;
        let space = reader.space()?;
        let goal = reader.goal()?;
        let seeds: Vec<u64> = seeds(&resolver.head.seeds, config.seeds);
        let used = resolver.head.seeds.list();
        let last = seeds.iter().chain(&used).max().copied().unwrap_or(0);
        let confirm = u64::from(config.confirm.seeds);
        let before = resolver.before(&space, baseline);
        let coordinates = space.knobs.iter().map(|knob| {
            let value = before.iter().find(|it| it.key == knob.key)?.value.as_ref();
            knob.find(value?)
        });
        let coordinates: Option<Vec<f64>> = coordinates.collect();
        // The rest of a total may be another one than the knob leaves.
        let coordinates = coordinates.filter(|x| {
            let settings = space.settings(x);
            let mut both = settings.iter().zip(&before);
            both.all(|(setting, before)| {
                let value = before.value.as_ref();
                value.is_some_and(|value| space::is_same(value, &setting.value))
            })
        });
        Ok(Some(Self {
            request: Request {
                method: config.method,
                seed: config.seed,
                batch: config.batch as usize,
                points: config.points as usize,
                eta: config.eta as usize,
            },
            fresh_seeds: (last + 1..=last + confirm).collect(),
            baseline: coordinates,
            before,
            seeds,
            space,
            goal,
            resolver,
        }))
    }

    /// Checks that no `--set` argument is for a key that is searched. A run may set it.
    ///
    /// # Errors
    /// [`ConfigError`] at the argument.
    pub(super) fn check_alone(&self) -> Result<(), ConfigError> {
        for Before { key, .. } in &self.before {
            if let Some(set) = self.resolver.layers.set_of(key) {
                let message = format!("`{key}` is searched: --set would make all points equal");
                return Err(ConfigError::new(message).at(Some(set)));
            }
        }
        Ok(())
    }

    /// Resolves a point with a share of the operations, as a variant called `name`.
    ///
    /// # Errors
    /// [`ConfigError`] if the settings do not fit together.
    pub fn case(&mut self, name: &str, x: &[f64], share: f64) -> Result<Case, ConfigError> {
        let settings = self.space.settings(x).into_iter();
        let choices: Vec<Choice> = settings
            .map(|setting| Choice {
                value: Node::defaults(setting.value).written_by(&Layer::Tune),
                key: setting.key,
                label: setting.label,
            })
            .collect();
        let resolver = &mut self.resolver;
        let baseline = resolver.baseline();
        let mut tree = resolver.layers.case(baseline, &choices);
        enlarge(&mut tree, resolver.scale);
        shorten(&mut tree, share);
        resolver.case(tree, name, &[])
    }
}

impl Resolver {
    /// The baseline's value of each key that a search sets, before it is scaled.
    fn before(&self, space: &Space, baseline: &Case) -> Vec<Before> {
        let tree = self.layers.case(self.baseline(), &[]);
        let values = baseline.values();
        let middle = vec![0.5; space.dimensions()];
        let before = |setting: space::Setting| {
            let key = setting.key;
            let written = tree.get(&key).map(Node::to_value);
            let pointer = format!("/{}", key.replace('.', "/"));
            // The default of a policy's parameter is only in the resolved case.
            let value = written.or_else(|| values.pointer(&pointer).cloned());
            Before { key, value }
        };
        space.settings(&middle).into_iter().map(before).collect()
    }
}

/// The first seeds of a config, and further ones if it has fewer.
fn seeds(own: &Seeds, count: u32) -> Vec<u64> {
    let own = own.list();
    let last = own.iter().max().copied().unwrap_or(0);
    let further = last + 1..;
    own.into_iter()
        .chain(further)
        .take(count as usize)
        .collect()
}

struct Reader<'a> {
    resolver: &'a Resolver,
    config: &'a TuneConfig,
    baseline: &'a Case,
}

impl Reader<'_> {
    /// An error at a path below `tune`.
    fn refused(&self, path: &str, message: impl Into<String>) -> ConfigError {
        let whole = &self.resolver.whole;
        let place = match path {
            "" => whole.closest("tune"),
            path => whole.closest(&format!("tune.{path}")),
        };
        ConfigError::new(message).at(place.location())
    }

    fn check_numbers(&self) -> Result<(), ConfigError> {
        let config = self.config;
        let ranges = [
            ("points", config.points, 2, 10_000),
            ("seeds", config.seeds, 1, 1000),
            ("batch", config.batch, 1, 256),
            ("eta", config.eta, 2, 10),
            ("confirm.seeds", config.confirm.seeds, 2, 1000),
        ];
        for (path, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                let message = format!("`tune.{path}` = {value}: must be {least} to {most}");
                return Err(self.refused(path, message));
            }
        }
        if !self.resolver.head.sweep.is_empty() {
            let message = "a config with `tune` cannot sweep: one point is searched for";
            return Err(self.refused("", message));
        }
        Ok(())
    }

    fn space(&self) -> Result<Space, ConfigError> {
        if self.config.knob.is_empty() {
            let error = self.refused("", "`tune` has no knob: there is nothing to search");
            return Err(error.help(
                "[[tune.knob]] with `key`, and `min` and `max` or `values`, for each setting",
            ));
        }
        let mut keys = BTreeSet::new();
        let mut knobs = Vec::new();
        for (at, config) in self.config.knob.iter().enumerate() {
            let knob = self.knob(at, config)?;
            for setting in knob.settings(0.5) {
                if !keys.insert(setting.key.clone()) {
                    let message = format!("two knobs set `{}`", setting.key);
                    return Err(self.refused(&format!("knob[{at}].key"), message));
                }
            }
            knobs.push(knob);
        }
        Ok(Space { knobs })
    }

    fn knob(&self, at: usize, config: &KnobConfig) -> Result<Knob, ConfigError> {
        let path = |key: &str| format!("knob[{at}].{key}");
        self.check_key(&path("key"), &config.key)?;
        let values = match (&config.min, &config.max, config.values.is_empty()) {
            (Some(min), Some(max), true) => Values::Range(self.range(at, config, min, max)?),
            (None, None, false) => Values::Choices(self.choices(at, config)?),
            _ => {
                let message = format!("`{}` needs either `min` and `max`, or `values`", config.key);
                return Err(self.refused(&path("key"), message));
            }
        };
        let mut rest = None;
        if let Some(RestConfig { key, of }) = &config.rest {
            self.check_key(&path("rest.key"), key)?;
            let total = space::amount(of).unwrap_or(0.0);
            let most = match &values {
                Values::Range(range) if range.kind == NumberKind::Size => range.max,
                _ => f64::INFINITY,
            };
            if total <= most {
                let message = format!(
                    "`rest.of` = {of}: must be a size larger than `max`, and `min` and `max` sizes"
                );
                return Err(self.refused(&path("rest.of"), message));
            }
            let (key, of) = (key.clone(), total as u64);
            rest = Some(Rest { key, of });
        }
        Ok(Knob {
            key: config.key.clone(),
            values,
            rest,
        })
    }

    /// Checks that a key exists.
    fn check_key(&self, path: &str, key: &str) -> Result<(), ConfigError> {
        let node = self.resolver.whole.closest(&format!("tune.{path}"));
        layers::check_key(&self.resolver.schema, key, node, "searched")
    }

    fn range(
        &self,
        at: usize,
        config: &KnobConfig,
        min: &Value,
        max: &Value,
    ) -> Result<Range, ConfigError> {
        let refused =
            |key: &str, message: String| Err(self.refused(&format!("knob[{at}].{key}"), message));
        let (Some(low), Some(high)) = (space::amount(min), space::amount(max)) else {
            return refused(
                "min",
                format!("{min} to {max}: both must be numbers or sizes"),
            );
        };
        if low >= high {
            return refused("max", format!("`max` = {max}: must be above `min` = {min}"));
        }
        let whole = |value: &Value| value.is_u64() || value.is_i64();
        let kind = if min.is_string() || max.is_string() {
            NumberKind::Size
        } else if whole(min) && whole(max) {
            NumberKind::Whole
        } else {
            NumberKind::Real
        };
        let logarithmic = match config.scale {
            Some(spread) => spread == Spread::Log,
            None => kind == NumberKind::Size,
        };
        if logarithmic && low <= 0.0 {
            return refused(
                "min",
                format!("`min` = {min}: must be above 0 with scale = \"log\""),
            );
        }
        let step = config.step.as_ref().map(space::amount);
        if step.is_some_and(|step| step.is_none_or(|step| step <= 0.0 || step > high - low)) {
            return refused(
                "step",
                "`step` must be above 0 and fit into the range".to_owned(),
            );
        }
        let levels = config.levels.unwrap_or(4);
        if !(2..=100).contains(&levels) {
            return refused("levels", format!("`levels` = {levels}: must be 2 to 100"));
        }
        Ok(Range {
            min: low,
            max: high,
            logarithmic,
            step: step.flatten(),
            kind,
            levels: levels as usize,
        })
    }

    fn choices(&self, at: usize, config: &KnobConfig) -> Result<Choices, ConfigError> {
        let refused =
            |key: &str, message: String| Err(self.refused(&format!("knob[{at}].{key}"), message));
        let KnobConfig { values, labels, .. } = config;
        if !labels.is_empty() && labels.len() != values.len() {
            let message = format!("{} values and {} labels", values.len(), labels.len());
            return refused("labels", message);
        }
        if values.len() < 2 {
            return refused("values", "one value: there is nothing to choose".to_owned());
        }
        let shown = || values.iter().map(layers::show);
        let labels: Vec<String> = if labels.is_empty() {
            shown().collect()
        } else {
            labels.clone()
        };
        let distinct: BTreeSet<&String> = labels.iter().collect();
        if distinct.len() != labels.len() {
            return refused("values", "a value stands twice".to_owned());
        }
        let amounts: Option<Vec<f64>> = values.iter().map(space::amount).collect();
        Ok(Choices {
            ordered: amounts.is_some_and(|amounts| amounts.is_sorted()),
            values: values.clone(),
            labels,
        })
    }

    fn goal(&self) -> Result<Goal, ConfigError> {
        let config = self.config;
        let costs = usize::from(!config.cost.is_empty());
        let named = config.minimize.iter().chain(&config.maximize).count();
        if costs + named != 1 {
            let message = "`tune` needs one of `minimize`, `maximize` and `cost`";
            return Err(self.refused("", message));
        }
        let mut terms = Vec::new();
        let sense = if let Some(name) = &config.minimize {
            terms.push(self.term("minimize", name, 1.0)?);
            Sense::Minimize
        } else if let Some(name) = &config.maximize {
            terms.push(self.term("maximize", name, 1.0)?);
            Sense::Maximize
        } else {
            for (name, weight) in &config.cost {
                if !(weight.is_finite() && *weight > 0.0) {
                    let message = format!("the weight of {name} = {weight}: must be above 0");
                    return Err(self.refused("cost", message));
                }
                terms.push(self.term("cost", name, *weight)?);
            }
            Sense::Cost
        };
        let mut limits = Vec::new();
        for (name, limit) in &config.constraints {
            let Term { metric, phase, .. } = self.term("constraints", name, 1.0)?;
            let bounds = [
                limit.at_most.map(Bound::AtMost),
                limit.at_least.map(Bound::AtLeast),
            ];
            let before = limits.len();
            limits.extend(bounds.into_iter().flatten().map(|bound| Limit {
                metric,
                phase: phase.clone(),
                bound,
            }));
            if limits.len() == before {
                let message = format!("{name} has neither `at_most` nor `at_least`");
                return Err(self.refused("constraints", message));
            }
        }
        Ok(Goal {
            sense,
            terms,
            limits,
        })
    }

    /// Reads `metric` or `metric@phase`.
    fn term(&self, path: &str, name: &str, weight: f64) -> Result<Term, ConfigError> {
        let (metric, phase) = match name.split_once('@') {
            Some((metric, phase)) => (metric, Some(phase)),
            None => (name, None),
        };
        let metric = metrics::find(metric).map_err(|unknown| {
            let error = self.refused(path, format!("`tune.{path}`: {unknown}"));
            error.help("`aura list metrics` says what each metric is")
        })?;
        let known = phases(std::slice::from_ref(self.baseline));
        let whole = names::WHOLE;
        let phase = match phase {
            Some(phase) if known.contains(phase) => phase,
            Some(phase) => {
                let hint = hint(phase, known.iter().copied());
                let message = format!("`tune.{path}`: no phase is named {phase:?}{hint}");
                return Err(self.refused(path, message));
            }
            None if metric.debt == Debt::Charged => whole,
            None => {
                let own = known
                    .iter()
                    .filter(|name| Window::named(name) == Window::Phase);
                let own: Vec<&str> = own.copied().collect();
                let [only] = own[..] else {
                    let message = format!(
                        "`tune.{path}`: {name} in which phase? There are {}",
                        own.join(", ")
                    );
                    let error = self.refused(path, message);
                    return Err(error.help(format!("write \"{name}@PHASE\"")));
                };
                only
            }
        };
        Ok(Term {
            metric,
            phase: phase.to_owned(),
            weight,
        })
    }
}

/// The error of a config without the table.
pub(super) fn missing(head: &ExperimentFile) -> ConfigError {
    let metric = head.compare.primary.first();
    let metric = metric.map_or("run.throughput_ops", String::as_str);
    ConfigError::new("the config has no table `tune`: what may be set, and what is to improve?")
        .help(format!(
            "for example\n[tune]\nmaximize = \"{metric}\"\n[[tune.knob]]\n\
             key = \"engine.memtable\"\nmin = \"64KiB\"\nmax = \"4MiB\"\n\
             `aura tune --help` says more"
        ))
}
