//! What `aura train` takes from a config: one variant with an agent that can be saved, in all its
//! cells.

use super::agents::AGENT;
use super::error::ConfigError;
use super::layers::VariantLayer;
use super::resolve::{Case, Experiment, Resolver};
use super::targets;
use crate::agent_files::{can_be_saved, savable};
use crate::nearest::hint;
use crate::record::World;
use crate::regret::PriceConfig;

/// An agent that is to be trained.
#[derive(Clone, Debug)]
pub struct Training {
    /// The variant that has it, in every cell, under the seeds to train with.
    pub experiment: Experiment,
    /// The variant's name.
    pub variant: String,
    /// What a second costs.
    pub price: PriceConfig,
}

impl Training {
    /// Finds the variant that is `named`, or the only one with an agent that can be trained.
    pub(super) fn of(
        resolver: &Resolver,
        experiment: Experiment,
        named: Option<&str>,
    ) -> Result<Self, ConfigError> {
        let names: Vec<&str> = experiment
            .variants
            .iter()
            .map(|it| it.name.as_str())
            .collect();
        let variant = match named {
            Some(name) if names.contains(&name) => name,
            Some(name) => {
                let hint = hint(name, names.iter().copied());
                let message = format!("no variant is named {name:?}{hint}");
                return Err(
                    ConfigError::new(message).at(resolver.whole.closest("variant").location())
                );
            }
            None => only(resolver, &experiment, &names)?,
        }
        .to_owned();
        let cases: Vec<Case> = experiment
            .cases
            .iter()
            .filter(|it| it.variant == variant)
            .cloned()
            .collect();
        check(resolver, &variant, &cases)?;
        let price = experiment.regret.as_ref().map(|regret| regret.price);
        Ok(Self {
            price: price.unwrap_or_default(),
            experiment: Experiment {
                cases,
                ..experiment
            },
            variant,
        })
    }

    /// As many seeds as `count`, above all that it is trained with.
    pub fn validation_seeds(&self, count: u64) -> Option<Vec<u64>> {
        let last = self.experiment.seeds.iter().max()?;
        let end = last.checked_add(count)?;
        Some((last + 1..=end).collect())
    }
}

/// The only variant whose agent can be trained.
fn only<'a>(
    resolver: &Resolver,
    experiment: &Experiment,
    names: &[&'a str],
) -> Result<&'a str, ConfigError> {
    let learns = |name: &&&str| {
        let mut cases = experiment
            .cases
            .iter()
            .filter(|case| case.variant == **name);
        cases.any(|case| can_be_saved(&case.config.engine.compaction.agent.policy))
    };
    let found: Vec<&&str> = names.iter().filter(learns).collect();
    match found.as_slice() {
        [only] => Ok(only),
        [] => {
            let first = resolver.variants.first();
            let error = refused(
                resolver,
                first,
                "no variant has an agent that can be trained",
            );
            Err(error.help(help()))
        }
        several => {
            let several: Vec<&str> = several.iter().map(|name| **name).collect();
            let message = format!("several variants have an agent: {}", several.join(", "));
            let place = resolver.whole.closest("variant").location();
            Err(ConfigError::new(message)
                .at(place)
                .help("--agent VARIANT names the one to train"))
        }
    }
}

/// Refuses an agent that cannot be saved, or changes from cell to cell, and trials that cannot be
/// repeated.
fn check(resolver: &Resolver, variant: &str, cases: &[Case]) -> Result<(), ConfigError> {
    let layer = resolver.variants.iter().find(|it| it.name == variant);
    let Some(first) = cases.first() else {
        return Err(refused(resolver, layer, "there is nothing to train on"));
    };
    let agent = &first.config.engine.compaction.agent;
    if !can_be_saved(&agent.policy) {
        let message = format!(
            "`{AGENT}`: the agent `{}` of variant {variant} learns nothing that can be saved",
            agent.policy
        );
        return Err(refused(resolver, layer, &message).help(help()));
    }
    let is_another = |case: &Case| case.config.engine.compaction.agent != *agent;
    if cases.iter().any(is_another) {
        let message = format!("`{AGENT}`: the agent changes from cell to cell");
        return Err(refused(resolver, layer, &message));
    }
    let is_elsewhere = |case: &Case| {
        case.config.world.kind != World::Simulated || !targets::is_aura(&case.config.target)
    };
    if cases.iter().any(is_elsewhere) {
        let message = "agents are trained in the simulated world, where a training can be repeated";
        let place = resolver.whole.closest("world.kind").location();
        return Err(ConfigError::new(message)
            .at(place)
            .help("its file is for every world: `model = \"FILE\"` and `learn = false`"));
    }
    Ok(())
}

fn help() -> String {
    format!("agents that can be: {}", savable().join(", "))
}

/// An error at the agent of a variant, or where it would be.
fn refused(resolver: &Resolver, variant: Option<&VariantLayer>, message: &str) -> ConfigError {
    let own = variant.map(|variant| variant.tree.closest(AGENT).location());
    let place = own
        .flatten()
        .or_else(|| resolver.whole.closest(AGENT).location());
    ConfigError::new(message).at(place)
}
