//! Ranges and names that the types of the settings do not check.

use std::collections::BTreeSet;

use aura_workloads::{Inputs, RoleConfig};

use super::error::ConfigError;
use super::names::{self, BadName};
use super::policies;
use super::tree::Node;
use super::{ExperimentFile, TrialConfig};
use crate::metrics::{self, Scale};
use crate::record::World;

/// The error of a value that is out of range.
fn refused(tree: &Node, key: &str, message: impl Into<String>) -> ConfigError {
    ConfigError::new(message).at(tree.closest(key).location())
}

/// Checks the settings that concern the whole experiment.
///
/// # Errors
/// [`ConfigError`] with the place of the first one that is refused.
pub(super) fn check_head(
    tree: &Node,
    head: &ExperimentFile,
    name: &str,
) -> Result<(), ConfigError> {
    names::check_name(name).map_err(|bad| bad_name(tree, "name", name, bad))?;
    let seeds = head.seeds.list();
    let distinct: BTreeSet<&u64> = seeds.iter().collect();
    if seeds.is_empty() || distinct.len() != seeds.len() {
        let message = "`seeds` must hold at least one seed, and none twice";
        return Err(refused(tree, "seeds", message));
    }
    let margin = head.compare.margin;
    if !(0.0..1.0).contains(&margin) {
        let message = format!("`compare.margin` = {margin}: must be 0 or more and below 1");
        return Err(refused(tree, "compare.margin", message));
    }
    check_absolute_margins(tree, head)?;
    check_metrics(tree, "compare.primary", &head.compare.primary)?;
    check_metrics(tree, "compare.also", &head.compare.also)
}

/// Checks that absolute margins are of metrics that are compared by their difference as shares.
fn check_absolute_margins(tree: &Node, head: &ExperimentFile) -> Result<(), ConfigError> {
    for (name, margin) in &head.compare.absolute_margin {
        // The name has dots of its own: a path does not lead to it.
        let table = tree.closest("compare.absolute_margin");
        let place = table.child(name).unwrap_or(table).location();
        let message = match metrics::find(name) {
            Err(unknown) => unknown.to_string(),
            Ok(metric) if metric.scale != Scale::Absolute || metric.unit != "ratio" => {
                format!("{name} is no share of one: its margin is relative, `compare.margin`")
            }
            Ok(_) if !(0.0..1.0).contains(margin) => {
                format!("the margin of {name} = {margin}: must be 0 or more and below 1")
            }
            Ok(_) => continue,
        };
        return Err(ConfigError::new(message).at(place));
    }
    Ok(())
}

/// The error of a name at `key` that cannot be used.
pub(super) fn bad_name(tree: &Node, key: &str, name: &str, bad: BadName) -> ConfigError {
    let BadName { why, help } = bad;
    refused(tree, key, format!("`{key}`: the name {name:?} {why}")).help(help)
}

/// Checks the names of phases, and of their roles.
fn check_phases(tree: &Node, config: &TrialConfig) -> Result<(), ConfigError> {
    for (at, phase) in config.workload.phases.iter().enumerate() {
        names::check_phase(&phase.name).map_err(|bad| {
            let key = format!("workload.phases[{at}].name");
            bad_name(tree, &key, &phase.name, bad)
        })?;
        check_roles(tree, &phase.roles, &format!("workload.phases[{at}]."))?;
    }
    check_roles(tree, &config.workload.roles, "workload.")
}

/// Checks the names of roles in the table at `path`.
fn check_roles(tree: &Node, roles: &[RoleConfig], path: &str) -> Result<(), ConfigError> {
    for (at, role) in roles.iter().enumerate() {
        names::check_name(&role.name).map_err(|bad| {
            let key = format!("{path}roles[{at}].name");
            bad_name(tree, &key, &role.name, bad)
        })?;
    }
    Ok(())
}

/// Checks that metrics exist.
fn check_metrics(tree: &Node, key: &str, names: &[String]) -> Result<(), ConfigError> {
    for (at, name) in names.iter().enumerate() {
        if let Err(unknown) = metrics::find(name) {
            let error = refused(tree, &format!("{key}[{at}]"), unknown.to_string());
            return Err(error.help("`aura list metrics` says what each metric is"));
        }
    }
    Ok(())
}

/// Checks the settings of a trial; `inputs` are what the workload names.
///
/// # Errors
/// [`ConfigError`] with the place of the first one that is refused.
pub(super) fn check_trial(
    tree: &Node,
    config: &TrialConfig,
    inputs: &Inputs,
) -> Result<(), ConfigError> {
    check_phases(tree, config)?;
    if let Err(error) = config.workload.resolve_with(inputs) {
        let key = format!("workload.{}", error.key());
        return Err(refused(tree, &key, format!("workload.{error}")));
    }
    policies::check(tree, &config.engine)?;
    match config.engine.validate() {
        Err(aura_engine::Error::Config { key, message }) => {
            let key = format!("engine.{key}");
            return Err(refused(tree, &key, format!("`{key}`: {message}")));
        }
        Err(error) => return Err(ConfigError::new(error.to_string())),
        Ok(()) => {}
    }
    let cores = config.world.cores;
    if !(1..=1024).contains(&cores) {
        let message = format!("`world.cores` = {cores}: must be 1 to 1024");
        return Err(refused(tree, "world.cores", message));
    }
    let simulated = config.world.kind == World::Simulated;
    if let (true, None, Some(io)) = (simulated, &config.world.profile, config.world.io) {
        let message = format!(
            "`world.io` = {:?}: a simulated world has no page cache",
            io.name()
        );
        let error = refused(tree, "world.io", message);
        return Err(
            error.help("leave it out, set `world.kind` = \"real\", or name a `world.profile`")
        );
    }
    if config.shared_load && (simulated || !super::targets::is_aura(&config.target)) {
        let message = "`shared_load` = true: only trials of AuraDB in the real world share a load";
        let error = refused(tree, "shared_load", message);
        return Err(error.help("leave it out: simulated loads of one seed are equal anyway"));
    }
    let points = config.series_points;
    if !(1..=10_000).contains(&points) {
        let message = format!("`series_points` = {points}: must be 1 to 10000");
        return Err(refused(tree, "series_points", message));
    }
    for (key, rate) in [
        ("record.cache", config.record.cache),
        ("record.operations", config.record.operations),
    ] {
        if !(0.0..=1.0).contains(&rate) {
            let message = format!("`{key}` = {rate}: must be 0 to 1");
            return Err(refused(tree, key, message));
        }
    }
    Ok(())
}
