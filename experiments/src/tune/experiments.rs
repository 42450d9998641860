//! A search as experiments: the points that are measured, and the winner beside the baseline.

use super::session::Found;
use crate::config::{
    Case, CompareConfig, ConfigError, Experiment, Tuning, VariantSettings, WINNER,
};
use crate::optimise::goal::Goal;

/// The best point and the baseline as an experiment under fresh seeds.
///
/// # Errors
/// [`ConfigError`] if the winner's settings do not fit together, which
/// a measured point's do.
pub fn confirmation(
    experiment: &Experiment,
    tuning: &mut Tuning,
    found: &Found,
) -> Result<Experiment, ConfigError> {
    let best = found.best.as_ref().unwrap_or(&found.baseline);
    let winner = tuning.case(WINNER, &best.x, 1.0)?;
    let mut cases = experiment.cases.iter();
    let baseline = cases.find(|case| case.variant == experiment.baseline);
    let cases = vec![baseline.expect("every variant has a case").clone(), winner];
    Ok(Experiment {
        name: confirm_name(experiment),
        command: tune_command(experiment),
        expect: Vec::new(),
        seeds: tuning.fresh_seeds.clone(),
        compare: compared_by(&tuning.goal, &experiment.compare),
        variants: named(tuning, &cases),
        cases,
        ..experiment.clone()
    })
}

/// How the winner is compared with the baseline: what is improved is primary, what is kept is
/// looked at beside the config's own metrics.
pub(super) fn compared_by(goal: &Goal, own: &CompareConfig) -> CompareConfig {
    let mut primary: Vec<String> = Vec::new();
    for term in &goal.terms {
        if !primary.iter().any(|name| name == term.metric.name) {
            primary.push(term.metric.name.to_owned());
        }
    }
    let limits = goal.limits.iter();
    let limits = limits.map(|limit| limit.metric.name.to_owned());
    let own_metrics = own.primary.iter().chain(&own.also).cloned();
    let also = limits.chain(own_metrics);
    CompareConfig {
        also: also.filter(|name| !primary.contains(name)).collect(),
        primary: primary.clone(),
        ..own.clone()
    }
}

/// The name of the folder of a search.
pub(super) fn search_name(experiment: &Experiment) -> String {
    format!("{}-tune", experiment.name)
}

/// The name of the folder of a search's confirmation.
pub fn confirm_name(experiment: &Experiment) -> String {
    format!("{}-confirm", search_name(experiment))
}

/// The shell command that repeats a search.
pub(super) fn tune_command(experiment: &Experiment) -> String {
    experiment.command.replacen(" run ", " tune ", 1)
}

/// The cases as variants, with what they have of the keys that are searched.
pub(super) fn named(tuning: &Tuning, cases: &[Case]) -> Vec<VariantSettings> {
    let keys = || tuning.before.iter().map(|before| before.key.as_str());
    let named = |case: &Case| VariantSettings {
        name: case.variant.clone(),
        settings: case.settings_of(keys()),
    };
    cases.iter().map(named).collect()
}
