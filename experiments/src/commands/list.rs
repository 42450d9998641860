//! `aura list`: what configs can name, from the registries.

use std::collections::BTreeMap;

use aura_engine::env::sim::{DeviceProfile, profiles};
use aura_policies::PolicyInfo;
use aura_workloads::Listed;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{CommandResult, Global};
use crate::exit::Exit;
use crate::formats::{Cell, Table, column, print};
use crate::metrics::{self, MetricDef};
use crate::trial::{TargetDef, Targets};

/// List what configs can name: policies, workloads, devices, targets, metrics.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  aura list policies
  aura list policies --format json
  aura list metrics --format csv > metrics.csv

Prints one row per policy, workload, device, target or metric, with its meaning and, for all but the
last, its parameters and their defaults. A star marks a family's default policy.

Exit codes: 0 done; 2 bad usage; 3 standard output cannot be written.")]
pub(super) struct Arguments {
    /// What to list.
    #[arg(value_enum)]
    what: Listing,
}

/// What can be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Listing {
    /// The families of policies.
    Policies,
    /// Presets, distributions of keys and lengths, arrivals, and what phases can set.
    Workloads,
    /// Simulated devices.
    Devices,
    /// What trials of this command can run on.
    Targets,
    /// What is measured.
    Metrics,
}

impl Arguments {
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        let table = match self.what {
            Listing::Policies => policies(),
            Listing::Workloads => workloads(),
            Listing::Devices => devices(),
            Listing::Targets => targets(global.targets),
            Listing::Metrics => metrics(),
        };
        print(&table.text(global.format))?;
        Ok(Exit::Done)
    }
}

/// A policy of a family.
struct Policy {
    family: &'static str,
    policy: PolicyInfo,
}

fn policies() -> Table {
    let mut rows = Vec::new();
    for family in aura_policies::families() {
        for policy in family.policies {
            rows.push(Policy {
                family: family.name,
                policy,
            });
        }
    }
    let columns = [
        column("family", |row: &Policy| row.family.into()),
        column("policy", |row| row.policy.name.into()),
        column("default", |row| {
            let star = if row.policy.default { "*" } else { "" };
            Cell::new(row.policy.default, star.to_owned())
        }),
        column("about", |row| row.policy.about.into()),
        column("parameters", |row| {
            let params = &row.policy.params;
            let lines = params
                .iter()
                .map(|param| format!("{} = {}: {}", param.name, param.default, param.about));
            parameters(json!(params), lines)
        }),
    ];
    Table::of(&columns, &rows)
}

/// A preset or distribution.
struct Workload<'a> {
    kind: &'static str,
    listed: &'a Listed,
}

fn workloads() -> Table {
    let presets = aura_workloads::presets();
    let steps = aura_workloads::steps();
    let mut rows = Vec::new();
    for (kind, listed) in [
        ("preset", presets.as_slice()),
        ("distribution", aura_workloads::distributions()),
        ("table", aura_workloads::tables()),
        ("step", steps.as_slice()),
        ("length", aura_workloads::lengths()),
        ("arrival", aura_workloads::arrivals()),
    ] {
        rows.extend(listed.iter().map(|listed| Workload { kind, listed }));
    }
    let columns = [
        column("kind", |row: &Workload| row.kind.into()),
        column("name", |row| row.listed.name.into()),
        column("about", |row| row.listed.about.into()),
        column("parameters", |row| {
            let params = row.listed.parameters;
            let lines = params
                .iter()
                .map(|param| format!("{} = {}: {}", param.name, param.default, param.about));
            parameters(json!(params), lines)
        }),
    ];
    Table::of(&columns, &rows)
}

fn devices() -> Table {
    let columns = [
        column("device", |row: &DeviceProfile| row.profile.clone().into()),
        column("source", |row| row.source.clone().into()),
        column("numbers", |row| {
            let numbers = json!(row.model);
            let fields = numbers.as_object().into_iter().flatten();
            let lines: Vec<_> = fields
                .map(|(name, value)| format!("{name} = {value}"))
                .collect();
            parameters(numbers.clone(), lines.into_iter())
        }),
    ];
    Table::of(&columns, &profiles())
}

fn targets(targets: Targets) -> Table {
    let columns = [
        column("target", |row: &TargetDef| row.rules.name.into()),
        column("about", |row| row.rules.about.into()),
        column("settings of engine", |row| {
            let lines = row.rules.settings.unwrap_or(&["all"]).iter();
            parameters(json!(row.rules.settings), lines.map(ToString::to_string))
        }),
        column("target_options", |row| {
            let options = row.rules.options.iter();
            let lines = options.map(|option| format!("{}: {}", option.name, option.about));
            let data: BTreeMap<_, _> = row
                .rules
                .options
                .iter()
                .map(|it| (it.name, it.about))
                .collect();
            parameters(json!(data), lines)
        }),
    ];
    Table::of(&columns, targets.all())
}

fn metrics() -> Table {
    let columns = [
        column("metric", |row: &MetricDef| row.name.into()),
        column("unit", |row| row.unit.into()),
        column("class", |row| row.class.name().into()),
        column("better", |row| row.direction.name().into()),
        column("about", |row| row.about.into()),
    ];
    Table::of(&columns, metrics::all())
}

/// Parameters with their defaults; people read one a line.
fn parameters(data: Value, lines: impl Iterator<Item = String>) -> Cell {
    Cell::new(data, lines.collect::<Vec<_>>().join("\n"))
}
