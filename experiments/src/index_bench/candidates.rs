//! Which indexes are measured: models by name, epsilons by list.

use std::fmt;

use aura_policies::index::{self, FAMILY};
use aura_policies::{PolicyError, PolicySpec};
use serde_json::Value;

use super::WHOLE_ARRAY;
use crate::specs;

/// The parameter that bounds a model's error.
const EPSILON: &str = "epsilon";

/// One index to measure.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The policy with its parameters; `None` for a search of the whole array.
    pub spec: Option<PolicySpec>,
    /// The error bound; `None` for models without one.
    pub epsilon: Option<u64>,
}

impl Candidate {
    /// The model's name.
    pub fn model(&self) -> &str {
        self.spec.as_ref().map_or(WHOLE_ARRAY, |spec| &spec.policy)
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.spec {
            Some(spec) => spec.fmt(f),
            None => f.write_str(WHOLE_ARRAY),
        }
    }
}

/// Combines models and epsilons.
///
/// The two baselines come first: a search of the whole array, and the family's default. A model
/// with a parameter `epsilon` is returned once for each value, unless it sets the parameter itself.
///
/// # Errors
/// [`PolicyError`] for an unknown model or parameter, or a value out of range.
pub fn candidates(models: &[PolicySpec], epsilons: &[u64]) -> Result<Vec<Candidate>, PolicyError> {
    let baseline = FAMILY.default_spec();
    let mut specs = vec![baseline.clone()];
    specs.extend(models.iter().filter(|spec| **spec != baseline).cloned());
    let mut candidates = vec![Candidate {
        spec: None,
        epsilon: None,
    }];
    for spec in specs {
        candidates.extend(with_epsilons(spec, epsilons)?);
    }
    for candidate in &candidates {
        if let Some(spec) = &candidate.spec {
            index::build(spec)?;
        }
    }
    Ok(candidates)
}

/// One model at each epsilon.
fn with_epsilons(spec: PolicySpec, epsilons: &[u64]) -> Result<Vec<Candidate>, PolicyError> {
    let entry = FAMILY.find(&spec)?;
    let has_epsilon = (entry.params)().iter().any(|param| param.name == EPSILON);
    if !has_epsilon || spec.params.contains_key(EPSILON) {
        let epsilon = spec.params.get(EPSILON).and_then(Value::as_u64);
        return Ok(vec![Candidate {
            spec: Some(spec),
            epsilon,
        }]);
    }
    let with = |epsilon: &u64| Candidate {
        spec: Some(spec.clone().with(EPSILON, *epsilon)),
        epsilon: Some(*epsilon),
    };
    Ok(epsilons.iter().map(with).collect())
}

/// Reads a list of models: `all`, or names with parameters such as `pgm,rmi(leaves=256)`.
///
/// # Errors
/// A message about the first part that is not written as a model.
pub fn parse_models(text: &str) -> Result<Vec<PolicySpec>, String> {
    if text == "all" {
        return Ok(specs::all_of(&FAMILY));
    }
    let parts = specs::split(text).into_iter();
    parts
        .map(|part| specs::parse(part).map_err(|error| error.to_string()))
        .collect()
}

/// Reads a list of epsilons, sorted: `8,32`, or `4..256` for the powers of two between.
///
/// # Errors
/// A message about the first part that is no epsilon.
pub fn parse_epsilons(text: &str) -> Result<Vec<u64>, String> {
    let mut epsilons = Vec::new();
    for part in text.split(',') {
        match part.split_once("..") {
            Some((from, to)) => {
                let powers = powers_of_two(epsilon(from)?, epsilon(to)?);
                if powers.is_empty() {
                    return Err(format!("`{part}` holds no power of two"));
                }
                epsilons.extend(powers);
            }
            None => epsilons.push(epsilon(part)?),
        }
    }
    epsilons.sort_unstable();
    epsilons.dedup();
    Ok(epsilons)
}

fn epsilon(text: &str) -> Result<u64, String> {
    match text.trim().parse::<u64>() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!(
            "`{text}` is no epsilon: a whole number of 1 or more"
        )),
    }
}

fn powers_of_two(from: u64, to: u64) -> Vec<u64> {
    let powers = (0..u64::BITS).map(|power| 1 << power);
    powers.filter(|power| (from..=to).contains(power)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epsilons_are_powers_of_two_between_and_lists() {
        assert_eq!(
            parse_epsilons("4..256"),
            Ok(vec![4, 8, 16, 32, 64, 128, 256])
        );
        assert_eq!(parse_epsilons("5..40"), Ok(vec![8, 16, 32]));
        assert_eq!(parse_epsilons("100, 4..8,16,8"), Ok(vec![4, 8, 16, 100]));
        for bad in ["", "0", "x", "4..", "..", "9..15", "256..4", "-4"] {
            assert!(parse_epsilons(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn models_may_carry_parameters() {
        let rmi = PolicySpec::named("rmi")
            .with("leaves", 256)
            .with("root", "linear");
        assert_eq!(
            parse_models("fence, rmi(leaves=256, root=linear)"),
            Ok(vec![PolicySpec::named("fence"), rmi])
        );
        let all = parse_models("all").expect("all models");
        assert_eq!(all.len(), FAMILY.entries().len());
        for bad in [
            "",
            "a,,b",
            "pgm(",
            "pgm)",
            "pgm(epsilon)",
            "pgm(epsilon=4",
            "pgm(epsilon=4)x",
        ] {
            assert!(parse_models(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_models_with_an_epsilon_are_swept() {
        let models = [PolicySpec::named("fence"), PolicySpec::named("greedy-plr")];
        let swept = candidates(&models, &[4, 8]).expect("known models");
        let names: Vec<_> = swept.iter().map(ToString::to_string).collect();
        assert_eq!(
            names,
            [
                "binary search",
                "fence",
                "greedy-plr(epsilon=4)",
                "greedy-plr(epsilon=8)"
            ]
        );
        let fixed = [PolicySpec::named("greedy-plr").with("epsilon", 9)];
        let fixed = candidates(&fixed, &[4, 8]).expect("a known model");
        let epsilons: Vec<_> = fixed
            .iter()
            .filter_map(|candidate| candidate.epsilon)
            .collect();
        assert_eq!(epsilons, [9]);
        assert!(candidates(&[PolicySpec::named("nothing")], &[4]).is_err());
        assert!(candidates(&models, &[1 << 40]).is_err());
    }
}
