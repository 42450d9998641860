//! `aura list`: what configs can name, from the registries.

use aura_engine::env::sim::profiles;
use aura_policies::ParamDoc;
use aura_workloads::Parameter;
use serde_json::{Value, json};

use super::{Answer, EXIT_DONE};
use crate::cli::{Global, Listing};
use crate::metrics;
use crate::rows::{self, Cell, Rows};

pub(super) fn list(global: &Global, what: Listing) -> Answer {
    let text = match what {
        Listing::Policies => policies().text(global.format),
        Listing::Workloads => workloads().text(global.format),
        Listing::Devices => devices().text(global.format),
        Listing::Metrics => metrics().text(global.format),
    };
    rows::print(&text)?;
    Ok(EXIT_DONE)
}

/// Names with their defaults as people read them, one a line.
fn parameters<'a>(data: Value, named: impl Iterator<Item = (&'a str, String, &'a str)>) -> Cell {
    let lines: Vec<_> = named
        .map(|(name, default, about)| format!("{name} = {default}: {about}"))
        .collect();
    Cell::new(data, lines.join("\n"))
}

fn policies() -> Rows<5> {
    let mut rows = Rows::new(["family", "policy", "default", "about", "parameters"]);
    for family in aura_policies::families() {
        for policy in family.policies {
            let named = |param: &'_ ParamDoc| (param.default.to_string(), param.about.clone());
            let shown: Vec<_> = policy
                .params
                .iter()
                .map(|param| (param.name.as_str(), named(param)))
                .collect();
            let shown = shown
                .iter()
                .map(|(name, (default, about))| (*name, default.clone(), about.as_str()));
            let params = parameters(json!(policy.params), shown);
            let default = Cell::new(
                policy.default.into(),
                if policy.default { "*" } else { "" }.to_owned(),
            );
            rows.push([
                family.name.into(),
                policy.name.into(),
                default,
                policy.about.into(),
                params,
            ]);
        }
    }
    rows
}

fn workloads() -> Rows<4> {
    let mut rows = Rows::new(["kind", "name", "about", "parameters"]);
    let presets = aura_workloads::presets();
    let kinds = [
        ("preset", presets.as_slice()),
        ("distribution", aura_workloads::distributions()),
        ("length", aura_workloads::lengths()),
        ("arrival", aura_workloads::arrivals()),
    ];
    let listed = kinds
        .iter()
        .flat_map(|(kind, names)| names.iter().map(move |listed| (*kind, listed)));
    for (kind, listed) in listed {
        let named = |parameter: &Parameter| {
            (
                parameter.name,
                parameter.default.to_owned(),
                parameter.about,
            )
        };
        let params = parameters(
            json!(listed.parameters),
            listed.parameters.iter().map(named),
        );
        rows.push([kind.into(), listed.name.into(), listed.about.into(), params]);
    }
    rows
}

fn devices() -> Rows<3> {
    let mut rows = Rows::new(["device", "source", "numbers"]);
    for device in profiles() {
        let numbers = json!(device.model);
        let shown = numbers
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| format!("{name} = {value}"));
        let shown = shown.collect::<Vec<_>>().join("\n");
        rows.push([
            device.profile.into(),
            device.source.into(),
            Cell::new(numbers, shown),
        ]);
    }
    rows
}

fn metrics() -> Rows<5> {
    let mut rows = Rows::new(["metric", "unit", "class", "better", "about"]);
    for metric in metrics::info() {
        let better = json!(metric.direction);
        let about = metric.about.into();
        rows.push([
            metric.name.into(),
            metric.unit.into(),
            metric.class.into(),
            better.into(),
            about,
        ]);
    }
    rows
}
