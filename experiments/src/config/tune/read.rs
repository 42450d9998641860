//! From the table `tune` to a search: its numbers, and which keys may be searched.

use std::collections::{BTreeMap, BTreeSet};

use super::tuning::SearchSeeds;
use super::{KnobConfig, TuneConfig};
use crate::compare::Part;
use crate::config::error::ConfigError;
use crate::config::layers;
use crate::config::resolve::{Case, Resolver};
use crate::config::tree::Node;
use crate::optimise::search::Method;
use crate::optimise::space::Space;

/// The name of a search's winner among the trials that confirm it.
pub(crate) const WINNER: &str = "winner";

pub(super) struct Reader<'a> {
    pub(super) resolver: &'a Resolver,
    pub(super) config: &'a TuneConfig,
    pub(super) baseline: &'a Case,
}

impl Reader<'_> {
    /// What stands at a path below `tune`, or around it.
    pub(super) fn node(&self, path: &str) -> &Node {
        let whole = &self.resolver.whole;
        match path {
            "" => whole.closest("tune"),
            path => whole.closest(&format!("tune.{path}")),
        }
    }

    /// An error at a path below `tune`.
    pub(super) fn refused(&self, path: &str, message: impl Into<String>) -> ConfigError {
        ConfigError::new(message).at(self.node(path).location())
    }

    /// Checks what stands beside knobs and goal.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
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
        if self.baseline.variant == WINNER {
            let message = format!("the baseline is named `{WINNER}`, as what a search finds is");
            return Err(self
                .refused("", message)
                .help("give the variant another name"));
        }
        if config.method == Method::Halving && self.baseline.config.workload.trace.is_some() {
            let message = "a recorded trace cannot be shortened: `halving` needs operations that \
                           are drawn";
            let help = "with a trace any other method will do";
            return Err(self.refused("method", message).help(help));
        }
        Ok(())
    }

    /// The seeds of the search and those of the confirmation.
    pub(super) fn seeds(&self) -> Result<SearchSeeds, ConfigError> {
        let own = &self.resolver.head.seeds;
        let seeds = SearchSeeds::of(own, self.config.seeds, self.config.confirm.seeds);
        seeds.ok_or_else(|| {
            let place = self.resolver.whole.closest("seeds").location();
            ConfigError::new("`seeds` leave no larger numbers for fresh seeds").at(place)
        })
    }

    pub(super) fn space(&self) -> Result<Space, ConfigError> {
        if self.config.knob.is_empty() {
            let error = self.refused("", "`tune` has no knob: there is nothing to search");
            return Err(error.help(
                "[[tune.knob]] with `key`, and `min` and `max` or `values`, for each setting",
            ));
        }
        let mut keys: Vec<String> = Vec::new();
        let mut knobs = Vec::new();
        for (at, config) in self.config.knob.iter().enumerate() {
            let knob = self.knob(at, config)?;
            for setting in knob.settings(0.5) {
                self.check_apart(at, &keys, &setting.key)?;
                keys.push(setting.key);
            }
            knobs.push(knob);
        }
        Ok(Space { knobs })
    }

    /// Checks that a key is set by one knob alone.
    fn check_apart(&self, at: usize, others: &[String], key: &str) -> Result<(), ConfigError> {
        let is_part = |part: &str, of: &str| {
            let rest = part.strip_prefix(of);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let mut others = others.iter();
        let Some(other) = others.find(|other| is_part(other, key) || is_part(key, other)) else {
            return Ok(());
        };
        let path = format!("knob[{at}].key");
        if other == key {
            return Err(self.refused(&path, format!("two knobs set `{key}`")));
        }
        let message = format!("two knobs set `{key}` and `{other}`, of which one is a part");
        let error = self.refused(&path, message);
        Err(error.help("a policy beside its parameters is the knob `….policy`"))
    }

    /// Checks that a key exists, and that points which differ in it may be compared.
    pub(super) fn check_key(&self, path: &str, key: &str) -> Result<(), ConfigError> {
        layers::check_key(&self.resolver.schema, key, self.node(path), "searched")?;
        let Some(part) = part_of(key) else {
            return Ok(());
        };
        if self.resolver.head.compare.across.contains(&part) {
            return Ok(());
        }
        let part = part.name();
        let message = format!(
            "`{key}` is of the {part}: points would not be compared under one {part}, and the \
             winner would get no verdict"
        );
        Err(self.refused(path, message).help(format!(
            "if it is meant, `[compare]` with `across = [\"{part}\"]` allows it"
        )))
    }

    /// What a reader must know before the search.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut keys: BTreeMap<Part, BTreeSet<&str>> = BTreeMap::new();
        for KnobConfig { key, rest, .. } in &self.config.knob {
            let rest = rest.iter().map(|rest| &rest.key);
            for key in std::iter::once(key).chain(rest) {
                if let Some(part) = part_of(key) {
                    keys.entry(part).or_default().insert(key);
                }
            }
        }
        let warning = |(part, keys): (Part, BTreeSet<&str>)| {
            let keys: Vec<&str> = keys.into_iter().collect();
            let what = match part {
                Part::Workload => "points do not meet the same operations",
                Part::World => "points do not run in the same world",
            };
            format!(
                "{} searched: {what}, as `compare.across` allows",
                keys.join(", ")
            )
        };
        keys.into_iter().map(warning).collect()
    }
}

/// The part beside the engine that a key belongs to.
fn part_of(key: &str) -> Option<Part> {
    Part::find(key.split('.').next().unwrap_or_default())
}
