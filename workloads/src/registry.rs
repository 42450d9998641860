//! What there is, as plain data: for listings, error messages and documentation.

use serde::Serialize;

use crate::preset::Preset;

/// One name that a config may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// The name.
    pub name: &'static str,
    /// One line.
    pub about: &'static str,
    /// What can be set.
    pub parameters: &'static [Parameter],
}

/// One parameter of a listed name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Parameter {
    /// The key.
    pub name: &'static str,
    /// Its default, as it is written in a config.
    pub default: &'static str,
    /// What it means, and its range.
    pub about: &'static str,
}

/// The workload presets.
pub fn presets() -> Vec<Listed> {
    let listed = |preset: Preset| Listed {
        name: preset.name(),
        about: preset.about(),
        parameters: &[],
    };
    Preset::ALL.into_iter().map(listed).collect()
}

/// The key distributions.
pub fn distributions() -> &'static [Listed] {
    DISTRIBUTIONS
}

const DISTRIBUTIONS: &[Listed] = &[
    Listed {
        name: "uniform",
        about: "every loaded record alike",
        parameters: &[],
    },
    Listed {
        name: "zipfian",
        about: "Zipf's law over the keys, exact (rejection-inversion)",
        parameters: &[
            Parameter {
                name: "theta",
                default: "0.99",
                about: "skew, in (0, 2)",
            },
            Parameter {
                name: "permute",
                default: "true",
                about: "scatter the hot keys by a seeded permutation",
            },
            Parameter {
                name: "scatter",
                default: "0",
                about: "which permutation: another number, other hot keys",
            },
        ],
    },
    Listed {
        name: "ycsb-zipfian",
        about: "what YCSB calls zipfian: 10^10 virtual items folded by a hash; less skewed on few keys",
        parameters: &[],
    },
    Listed {
        name: "latest",
        about: "YCSB's skewed latest: the newest acknowledged keys are the hottest",
        parameters: &[],
    },
    Listed {
        name: "hotspot",
        about: "a share of the operations on a share of the records; the hot set may move",
        parameters: &[
            Parameter {
                name: "data_fraction",
                default: "0.2",
                about: "hot records, in [0, 1]",
            },
            Parameter {
                name: "operation_fraction",
                default: "0.8",
                about: "operations on hot records, in [0, 1]",
            },
            Parameter {
                name: "drift",
                default: "null",
                about: "{ fraction, every_operations }: how far the hot set moves, and how often",
            },
        ],
    },
    Listed {
        name: "exponential",
        about: "newer keys are likelier, exponentially",
        parameters: &[
            Parameter {
                name: "percentile",
                default: "95.0",
                about: "draws, in %, that fall on the newest part, in [1, 100)",
            },
            Parameter {
                name: "fraction",
                default: "0.8571428571",
                about: "the newest part, as a share of the records, in (0, 1]",
            },
        ],
    },
    Listed {
        name: "sequential",
        about: "the loaded records in order, again and again",
        parameters: &[],
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;
    use crate::config::Distribution;

    /// The listing and the config cannot disagree: each name parses, and has these defaults and no others.
    #[test]
    fn listings_are_what_configs_accept() {
        for listed in distributions() {
            let parsed: Distribution =
                serde_json::from_value(json!({ "kind": listed.name })).unwrap();
            let Value::Object(mut written) = serde_json::to_value(parsed).unwrap() else {
                panic!()
            };
            assert_eq!(written.remove("kind"), Some(json!(listed.name)));
            let written: BTreeMap<_, _> = written
                .iter()
                .map(|(name, value)| (name.as_str(), value.to_string()))
                .collect();
            let documented: BTreeMap<_, _> = listed
                .parameters
                .iter()
                .map(|p| (p.name, p.default.to_owned()))
                .collect();
            assert_eq!(written, documented, "{}", listed.name);
        }
        let schema = serde_json::to_value(schemars::schema_for!(Distribution)).unwrap();
        assert_eq!(
            schema["oneOf"].as_array().map(Vec::len),
            Some(distributions().len())
        );
        for preset in Preset::ALL {
            assert_eq!(serde_json::to_value(preset).unwrap(), json!(preset.name()));
        }
    }
}
