//! Expectations that no comparison could decide are refused.

use std::collections::BTreeSet;

use aura_workloads::names;

use super::ExperimentFile;
use super::error::ConfigError;
use super::resolve::Case;
use super::tree::Node;
use crate::compare::Expectation;
use crate::metrics::{self, Debt};
use crate::nearest::hint;
use crate::regret;

/// Checks that expectations speak of primary metrics, variants, phases and points that there are.
///
/// # Errors
/// [`ConfigError`] at the first that does not.
pub(super) fn check(
    tree: &Node,
    head: &ExperimentFile,
    baseline: &str,
    cases: &[Case],
) -> Result<(), ConfigError> {
    for (at, expectation) in head.expect.iter().enumerate() {
        if let Some(Wrong { key, message }) = wrong(expectation, head, baseline, cases) {
            let key = format!("expect[{at}].{key}");
            let place = tree.closest(&key).location();
            return Err(ConfigError::new(format!("`{key}`: {message}")).at(place));
        }
    }
    if let Some(regret) = &head.regret {
        let variants: BTreeSet<&str> = cases.iter().map(|case| case.variant.as_str()).collect();
        let variants: Vec<&str> = variants.into_iter().collect();
        if let Err(regret::Wrong { key, message }) = regret.check(&variants) {
            let key = format!("regret.{key}");
            let place = tree.closest(&key).location();
            return Err(ConfigError::new(format!("`{key}`: {message}")).at(place));
        }
    }
    let Some(paper) = &head.paper else {
        return Ok(());
    };
    if let Some(Wrong { key, message }) = wrong(&paper.ours.expectation(), head, baseline, cases) {
        let key = format!(
            "paper.ours.{}",
            if key == "variants" { "variant" } else { key }
        );
        let place = tree.closest(&key).location();
        return Err(ConfigError::new(format!("`{key}`: {message}")).at(place));
    }
    Ok(())
}

struct Wrong {
    key: &'static str,
    message: String,
}

fn wrong(
    expectation: &Expectation,
    head: &ExperimentFile,
    baseline: &str,
    cases: &[Case],
) -> Option<Wrong> {
    let Expectation {
        metric,
        variants,
        verdict: _,
        phase,
        at: _,
    } = expectation;
    let primary = &head.compare.primary;
    if !primary.contains(metric) {
        let known = primary.join(", ");
        let message = format!("{metric:?} is no primary metric; those are {known}");
        let key = "metric";
        return Some(Wrong { key, message });
    }
    if variants.is_empty() {
        let message = "names no variant".to_owned();
        let key = "variants";
        return Some(Wrong { key, message });
    }
    for variant in variants {
        let message = if variant == baseline {
            format!("{variant:?} is the baseline, with which variants are compared")
        } else if cases.iter().all(|case| case.variant != *variant) {
            let known = cases.iter().map(|case| case.variant.as_str());
            format!("no variant is named {variant:?}{}", hint(variant, known))
        } else {
            continue;
        };
        let key = "variants";
        return Some(Wrong { key, message });
    }
    if let Some(phase) = phase {
        let phases = phases(cases);
        if !phases.contains(phase.as_str()) {
            let known = phases.iter().copied();
            let message = format!("no phase is named {phase:?}{}", hint(phase, known));
            let key = "phase";
            return Some(Wrong { key, message });
        }
    }
    if let Some(message) = asked_elsewhere(metric, phase.as_deref(), head.compare.whole) {
        let key = "phase";
        return Some(Wrong { key, message });
    }
    if !cases
        .iter()
        .any(|case| expectation.is_of_point(&case.point))
    {
        let message = "no sweep point has these values, as tables show them".to_owned();
        let key = "at";
        return Some(Wrong { key, message });
    }
    None
}

/// Says why no verdict answers the question in `phase`: it is asked of whole trials, or of phases.
fn asked_elsewhere(metric: &str, phase: Option<&str>, whole: bool) -> Option<String> {
    let debt = metrics::find(metric).ok()?.debt;
    let of_whole = debt == Debt::Charged || (debt == Debt::Flattered && whole);
    match phase? {
        names::WHOLE if of_whole => None,
        names::WHOLE if debt == Debt::Flattered => Some(format!(
            "{metric} is asked of each phase; `compare.whole = true` asks it of whole trials"
        )),
        names::WHOLE => Some(format!(
            "{metric} is asked of each phase, and not of whole trials"
        )),
        phase if of_whole => Some(format!(
            "{metric} is asked of whole trials, and not of {phase:?}: leave the phase out"
        )),
        _ => None,
    }
}

/// The names of the windows in which a primary metric may be asked.
pub(super) fn phases(cases: &[Case]) -> BTreeSet<&str> {
    let mut found = BTreeSet::from([names::LOAD, names::WHOLE]);
    for case in cases {
        let phases = &case.config.workload.phases;
        let with_operations = phases.iter().filter(|phase| phase.step.is_none());
        found.extend(with_operations.map(|phase| phase.name.as_str()));
        if phases.is_empty() {
            found.insert(names::RUN);
        }
    }
    found
}
