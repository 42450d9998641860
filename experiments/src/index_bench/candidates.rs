//! Which indexes are measured: models by name, epsilons by list.

use std::fmt;

use aura_policies::index::{self, FAMILY};
use aura_policies::{PolicyError, PolicySpec};
use serde_json::Value;

use super::WHOLE_ARRAY;

/// One index to measure.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The policy with its parameters; None for a search of the whole array.
    pub spec: Option<PolicySpec>,
    /// The error bound, of models that have one.
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

/// The candidates that models and epsilons give: the two baselines (the whole array, and the family's default), then each
/// model, those with a parameter `epsilon` once for each value unless they set it themselves.
///
/// # Errors
/// An unknown model or parameter, or a value out of range.
pub fn candidates(models: &[PolicySpec], epsilons: &[u64]) -> Result<Vec<Candidate>, PolicyError> {
    let baseline = FAMILY.default_spec();
    let mut specs = vec![baseline.clone()];
    specs.extend(models.iter().filter(|spec| **spec != baseline).cloned());
    let mut candidates = vec![Candidate {
        spec: None,
        epsilon: None,
    }];
    for spec in specs {
        let entry = FAMILY.find(&spec)?;
        let has_epsilon = (entry.params)().iter().any(|param| param.name == "epsilon");
        if !has_epsilon || spec.params.contains_key("epsilon") {
            let epsilon = spec.params.get("epsilon").and_then(Value::as_u64);
            candidates.push(Candidate {
                spec: Some(spec),
                epsilon,
            });
            continue;
        }
        let with = |epsilon: &u64| Candidate {
            spec: Some(spec.clone().with("epsilon", *epsilon)),
            epsilon: Some(*epsilon),
        };
        candidates.extend(epsilons.iter().map(with));
    }
    for spec in candidates
        .iter()
        .filter_map(|candidate| candidate.spec.as_ref())
    {
        index::build(spec)?;
    }
    Ok(candidates)
}

/// The models that `all`, or a list such as `pgm,rmi(leaves=256)`, stands for.
///
/// # Errors
/// What the list does not say in this form.
pub fn parse_models(text: &str) -> Result<Vec<PolicySpec>, String> {
    if text == "all" {
        return Ok(FAMILY.names().into_iter().map(PolicySpec::named).collect());
    }
    let mut specs = Vec::new();
    for part in split_outside(text)? {
        let (name, params) = match part.split_once('(') {
            None => (part, None),
            Some((name, rest)) => (
                name,
                Some(rest.strip_suffix(')').ok_or_else(|| unclosed(part))?),
            ),
        };
        if name.trim().is_empty() {
            return Err(format!(
                "`{text}` names an empty model; a list is such as `fence,pgm(epsilon=64)`"
            ));
        }
        let mut spec = PolicySpec::named(name.trim());
        for param in params
            .unwrap_or_default()
            .split(',')
            .filter(|param| !param.trim().is_empty())
        {
            let (key, value) = param
                .split_once('=')
                .ok_or_else(|| format!("`{param}` is not of the form name=value"))?;
            let value = value.trim();
            spec = spec.with(
                key.trim(),
                serde_json::from_str(value).unwrap_or_else(|_| Value::from(value)),
            );
        }
        specs.push(spec);
    }
    Ok(specs)
}

fn unclosed(part: &str) -> String {
    format!("`{part}`: parentheses do not match")
}

/// The parts between commas that stand in no parentheses.
fn split_outside(text: &str) -> Result<Vec<&str>, String> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_u32, 0);
    for (place, sign) in text.char_indices() {
        match sign {
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1).ok_or_else(|| unclosed(text))?,
            ',' if depth == 0 => {
                parts.push(text[start..place].trim());
                start = place + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    if depth == 0 {
        Ok(parts)
    } else {
        Err(unclosed(text))
    }
}

/// The epsilons of a list such as `4..256`, which stands for the powers of two between, or `8,32,4..16`; sorted.
///
/// # Errors
/// What is no such list.
pub fn parse_epsilons(text: &str) -> Result<Vec<u64>, String> {
    let number = |text: &str| match text.trim().parse::<u64>() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("`{text}` is no epsilon: a whole number from 1 on")),
    };
    let mut epsilons = Vec::new();
    for part in text.split(',') {
        let Some((from, to)) = part.split_once("..") else {
            epsilons.push(number(part)?);
            continue;
        };
        let (from, to) = (number(from)?, number(to)?);
        let before = epsilons.len();
        epsilons.extend(
            (0..u64::BITS)
                .map(|power| 1 << power)
                .filter(|power| (from..=to).contains(power)),
        );
        if epsilons.len() == before {
            return Err(format!("`{part}` holds no power of two"));
        }
    }
    epsilons.sort_unstable();
    epsilons.dedup();
    Ok(epsilons)
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
        let spec = PolicySpec::named("rmi")
            .with("leaves", 256)
            .with("root", "linear");
        assert_eq!(
            parse_models("fence, rmi(leaves=256, root=linear)"),
            Ok(vec![PolicySpec::named("fence"), spec])
        );
        assert_eq!(
            parse_models("all").map(|specs| specs.len()),
            Ok(FAMILY.entries().len())
        );
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
        let named: Vec<_> = swept.iter().map(ToString::to_string).collect();
        assert_eq!(
            named,
            [
                "binary search",
                "fence",
                "greedy-plr(epsilon=4)",
                "greedy-plr(epsilon=8)"
            ]
        );
        let fixed = candidates(
            &[PolicySpec::named("greedy-plr").with("epsilon", 9)],
            &[4, 8],
        )
        .expect("known");
        assert_eq!(
            fixed
                .iter()
                .filter_map(|candidate| candidate.epsilon)
                .collect::<Vec<_>>(),
            [9]
        );
        assert!(candidates(&[PolicySpec::named("nothing")], &[4]).is_err());
        assert!(candidates(&models, &[1 << 40]).is_err());
    }
}
