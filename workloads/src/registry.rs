//! The names that a config may use, as plain data: for listings, error messages and documentation.

use serde::Serialize;

use crate::preset::Preset;
use crate::step::Step;

/// One name that a config may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// The name.
    pub name: &'static str,
    /// One line: what it means.
    pub about: &'static str,
    /// What can be set.
    pub parameters: &'static [Parameter],
}

/// One parameter of a listed name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Parameter {
    /// The key.
    pub name: &'static str,
    /// Its default as a config would write it, or [`REQUIRED`].
    pub default: &'static str,
    /// What it means, and its range.
    pub about: &'static str,
}

/// Stands for the default of a parameter that a config must set.
pub const REQUIRED: &str = "required";

/// The workload presets: `preset = "ycsb-a"`.
///
/// ```
/// let presets = aura_workloads::presets();
/// assert_eq!(presets[0].name, "ycsb-a");
/// ```
pub fn presets() -> Vec<Listed> {
    let mut listed = Vec::new();
    for preset in Preset::ALL {
        listed.push(Listed {
            name: preset.name(),
            about: preset.about(),
            parameters: &[],
        });
    }
    listed
}

/// The key distributions: `distribution = { kind = "zipfian", theta = 0.9 }`.
pub fn distributions() -> &'static [Listed] {
    DISTRIBUTIONS
}

/// The distributions of lengths over a range: `value.bytes = { min = 1, max = 65536, distribution =
/// { lognormal = { median = 400, sigma = 1.0 } } }`, and `scan.length_distribution`.
pub fn lengths() -> &'static [Listed] {
    LENGTHS
}

/// The arrivals: `load = { arrival = "gamma", rate = 1000, shape = 0.5 }`.
pub fn arrivals() -> &'static [Listed] {
    ARRIVALS
}

/// What a phase can do instead of operations: `step = "settle"`.
pub fn steps() -> Vec<Listed> {
    let listed = |step: Step| Listed {
        name: step.name(),
        about: step.about(),
        parameters: match step {
            Step::Wait => const { &[parameter("duration", REQUIRED, "such as \"10s\"")] },
            _ => &[],
        },
    };
    Step::ALL.into_iter().map(listed).collect()
}

/// The tables of a workload, or of one of its phases, and their keys.
pub fn tables() -> &'static [Listed] {
    TABLES
}

const TABLES: &[Listed] = &[
    Listed {
        name: "phases",
        about: "stretches of operations or steps; `value`, `mix`, `distribution`, `scan`, `load` \
                and `roles` as in the workload",
        parameters: &[
            parameter("name", REQUIRED, "in metrics and in the seed tree"),
            parameter("step", "null", "a step below, instead of operations"),
            parameter("operations", "1000", "all clients together"),
            parameter(
                "duration",
                "null",
                "such as \"30s\": how long it lasts; with operations, whichever ends first",
            ),
        ],
    },
    Listed {
        name: "roles",
        about: "clients of several kinds in one phase; `value`, `mix`, `distribution`, `scan` and \
                `load` as in the phase",
        parameters: &[
            parameter("name", REQUIRED, "in the seed tree"),
            parameter("clients", "1", "how many"),
            parameter(
                "operations",
                "the phase's",
                "all clients of the role together",
            ),
            parameter(
                "until",
                "null",
                "\"others-end\": goes on until all other roles have ended",
            ),
        ],
    },
    Listed {
        name: "trace",
        about: "a recorded trace that is replayed, in place of mix, distribution and phases",
        parameters: &[
            parameter(
                "file",
                REQUIRED,
                "from the config's folder; plain or compressed",
            ),
            parameter("format", "null", "by default as its name and contents say"),
            parameter(
                "columns",
                "null",
                "of a CSV file, such as \"time=1,op=2,key=3,size=4\"; by default by the header",
            ),
            parameter(
                "speed",
                "\"closed\"",
                "\"closed\", or how many times as fast as recorded",
            ),
            parameter("limit", "null", "the most operations that are read"),
            parameter(
                "sample",
                "null",
                "the share of the keys, by their hash, in (0, 1]",
            ),
            parameter(
                "preload",
                "true",
                "put the keys whose first operation reads them before",
            ),
            parameter(
                "truncated",
                "null",
                "true: read a trace that ends within a record up to there",
            ),
        ],
    },
    Listed {
        name: "key",
        about: "keys: how they are spelt, or the file that they come from",
        parameters: &[
            parameter(
                "order",
                "\"hashed\"",
                "\"hashed\" or \"ordered\": by number, or as in the file",
            ),
            parameter("prefix", "\"user\"", "the beginning of every key"),
            parameter("zero_padding", "1", "the least number of digits"),
            parameter(
                "start",
                "null",
                "the number of the first key, as YCSB's insertstart",
            ),
            parameter(
                "file",
                "null",
                "keys to take instead, from the config's folder",
            ),
            parameter("format", "null", "of the file: sosd-u64, sosd-u32 or lines"),
        ],
    },
    Listed {
        name: "value",
        about: "values: how long they are, and how well they can be compressed",
        parameters: &[
            parameter(
                "bytes",
                "1000",
                "a number or \"64KiB\"; { min, max, distribution }; or a list of { share, bytes }",
            ),
            parameter(
                "compressibility",
                "0.0",
                "the share that a compressor can remove, in [0, 1]",
            ),
        ],
    },
    Listed {
        name: "scan",
        about: "scans: how many records they ask for, and in which direction",
        parameters: &[
            parameter("min_length", "1", "the fewest records, at least 1"),
            parameter("max_length", "100", "the most records"),
            parameter(
                "length_distribution",
                "\"uniform\"",
                "how lengths spread between them: a length below, such as { zipf = { theta = 1 } }",
            ),
            parameter("direction", "\"forward\"", "\"forward\" or \"reverse\""),
        ],
    },
];

const DISTRIBUTIONS: &[Listed] = &[
    Listed {
        name: "uniform",
        about: "every loaded record is equally likely",
        parameters: &[],
    },
    Listed {
        name: "zipfian",
        about: "Zipf's law over the keys, exact (rejection-inversion)",
        parameters: &[
            parameter("theta", "0.99", "skew, in (0, 2)"),
            parameter(
                "permute",
                "true",
                "scatter the hot keys by a seeded permutation",
            ),
            parameter(
                "scatter",
                "0",
                "which permutation: another number, other hot keys",
            ),
        ],
    },
    Listed {
        name: "ycsb-zipfian",
        about: "YCSB's zipfian: 10^10 virtual items folded by a hash; less skewed on few keys",
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
            parameter("data_fraction", "0.2", "hot records, in [0, 1]"),
            parameter(
                "operation_fraction",
                "0.8",
                "operations on hot records, in [0, 1]",
            ),
            parameter(
                "drift",
                "null",
                "{ fraction, every_operations }: how far the hot set moves, and how often",
            ),
        ],
    },
    Listed {
        name: "exponential",
        about: "newer keys are likelier, exponentially",
        parameters: &[
            parameter(
                "percentile",
                "95.0",
                "draws, in %, that fall on the newest part, in [1, 100)",
            ),
            parameter(
                "fraction",
                "0.8571428571",
                "the newest part, as a share of the records, in (0, 1]",
            ),
        ],
    },
    Listed {
        name: "sequential",
        about: "the loaded records in order, again and again",
        parameters: &[],
    },
    Listed {
        name: "oldest",
        about: "each record once, the oldest first, inserted ones as well: a queue's head",
        parameters: &[],
    },
    Listed {
        name: "mixgraph",
        about: "db_bench's mixgraph: hot ranges of keys, a power law in each (Cao et al.)",
        parameters: &[
            parameter(
                "key_dist_a",
                "0.002312",
                "a of the power law a x^b, in [0, 1]; 0: uniform; (0.8 * records)^-b keeps the \
                 skew that was published for 50 million keys",
            ),
            parameter("key_dist_b", "0.3467", "b of the power law, in [0, 10]"),
            parameter("keyrange_num", "30", "ranges, at least 1"),
            parameter(
                "keyrange_dist_a",
                "14.18",
                "range i has the weight a e^(b i) + c e^(d i); all four 0: one range",
            ),
            parameter("keyrange_dist_b", "-2.917", "in [-100, 100]"),
            parameter("keyrange_dist_c", "0.0164", "in [-1e6, 1e6], as a"),
            parameter("keyrange_dist_d", "-0.08082", "in [-100, 100]"),
        ],
    },
];

const LENGTHS: &[Listed] = &[
    Listed {
        name: "uniform",
        about: "every length of the range is equally likely",
        parameters: &[],
    },
    Listed {
        name: "zipfian",
        about: "YCSB's zipfian over the lengths, the shortest first",
        parameters: &[],
    },
    Listed {
        name: "zipf",
        about: "Zipf's law over the lengths, exact, the shortest first",
        parameters: &[parameter("theta", REQUIRED, "skew, above 0, at most 10")],
    },
    Listed {
        name: "lognormal",
        about: "many short lengths and few long ones",
        parameters: &[
            parameter("median", REQUIRED, "half of the lengths are below; above 0"),
            parameter(
                "sigma",
                REQUIRED,
                "standard deviation of the natural logarithm; above 0, at most 10",
            ),
        ],
    },
    Listed {
        name: "pareto",
        about: "a power law with a heavy tail",
        parameters: &[
            parameter("scale", REQUIRED, "the smallest length drawn; above 0"),
            parameter(
                "shape",
                REQUIRED,
                "the tail's exponent; above 0, at most 1000",
            ),
        ],
    },
    Listed {
        name: "gamma",
        about: "a hump with an exponential tail; the mean is shape * scale",
        parameters: &[
            parameter("shape", REQUIRED, "above 0, at most 1000"),
            parameter("scale", REQUIRED, "above 0"),
        ],
    },
    Listed {
        name: "weibull",
        about: "exponential at shape 1, heavier below, narrower above",
        parameters: &[
            parameter("shape", REQUIRED, "above 0, at most 1000"),
            parameter(
                "scale",
                REQUIRED,
                "about 63 % of the lengths are below; above 0",
            ),
        ],
    },
    Listed {
        name: "generalized-pareto",
        about: "db_bench's mixgraph: rounded up; above the largest length modulo it",
        parameters: &[
            parameter("k", REQUIRED, "the tail, 0 to 100; 0 is exponential"),
            parameter("sigma", REQUIRED, "the scale, above 0"),
            parameter("theta", REQUIRED, "the smallest length drawn, at least 0"),
        ],
    },
];

const RATE: Parameter = parameter(
    "rate",
    REQUIRED,
    "operations a second on average, all clients together, above 0, at most 1e9; or { from, to, \
     over }, { mean, amplitude, period, phase }, { base, burst, every, length }",
);

const ARRIVALS: &[Listed] = &[
    Listed {
        name: "closed",
        about: "closed loop: when the client's previous operation has ended",
        parameters: &[],
    },
    Listed {
        name: "constant",
        about: "open loop, evenly spaced",
        parameters: &[RATE],
    },
    Listed {
        name: "poisson",
        about: "open loop, a Poisson process",
        parameters: &[RATE],
    },
    Listed {
        name: "gamma",
        about: "open loop with gamma gaps: bursts if shape is below 1",
        parameters: &[RATE, parameter("shape", REQUIRED, "0.01 to 1000")],
    },
    Listed {
        name: "weibull",
        about: "open loop with Weibull gaps: bursts if shape is below 1",
        parameters: &[RATE, parameter("shape", REQUIRED, "0.1 to 1000")],
    },
    Listed {
        name: "lognormal",
        about: "open loop with lognormal gaps",
        parameters: &[
            RATE,
            parameter(
                "sigma",
                REQUIRED,
                "standard deviation of the gaps' natural logarithm, 0.01 to 4",
            ),
        ],
    },
    Listed {
        name: "pareto",
        about: "open loop with Pareto gaps: long silences between bursts",
        parameters: &[
            RATE,
            parameter("shape", REQUIRED, "the tail's exponent, 1.01 to 1000"),
        ],
    },
];

const fn parameter(name: &'static str, default: &'static str, about: &'static str) -> Parameter {
    Parameter {
        name,
        default,
        about,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;
    use crate::config::{ScanConfig, TraceConfig, ValueConfig};
    use crate::distributions::Distribution;
    use crate::keys::KeySpace;
    use crate::lengths::LengthDistribution;
    use crate::pacing::Load;

    /// The listing and the config cannot disagree: each name parses, and has these defaults and no
    /// others.
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

    /// The defaults of a type, as a config writes them, by key.
    fn defaults<T: Serialize + Default>() -> BTreeMap<String, String> {
        written_keys(&T::default())
    }

    fn written_keys<T: Serialize>(value: &T) -> BTreeMap<String, String> {
        let Value::Object(written) = serde_json::to_value(value).unwrap() else {
            panic!()
        };
        let of = |(key, value): (String, Value)| (key, value.to_string());
        written.into_iter().map(of).collect()
    }

    #[test]
    fn listed_tables_have_the_keys_and_defaults_of_configs() {
        for listed in tables() {
            let expected = match listed.name {
                "phases" | "roles" => continue,
                "key" => {
                    let mut keys = defaults::<KeySpace>();
                    for key in ["start", "file", "format"] {
                        keys.insert(key.to_owned(), "null".to_owned());
                    }
                    keys
                }
                "trace" => {
                    let written = json!({ "file": "" });
                    let trace: TraceConfig = serde_json::from_value(written).unwrap();
                    let mut keys = written_keys(&trace);
                    keys.insert("file".to_owned(), REQUIRED.to_owned());
                    for key in ["format", "columns", "limit", "sample", "truncated"] {
                        keys.insert(key.to_owned(), "null".to_owned());
                    }
                    keys
                }
                "value" => defaults::<ValueConfig>(),
                "scan" => defaults::<ScanConfig>(),
                name => panic!("{name}: which type is it?"),
            };
            let of = |it: &Parameter| (it.name.to_owned(), it.default.to_owned());
            let documented: BTreeMap<_, _> = listed.parameters.iter().map(of).collect();
            assert_eq!(documented, expected, "{}", listed.name);
        }
    }

    /// A value for every parameter of `listed`, all of them required.
    fn ones(listed: &Listed) -> serde_json::Map<String, Value> {
        let mut values = serde_json::Map::new();
        for parameter in listed.parameters {
            assert_eq!(parameter.default, REQUIRED, "{}", listed.name);
            values.insert(parameter.name.to_owned(), json!(1.0));
        }
        values
    }

    fn alternatives<T: schemars::JsonSchema>() -> usize {
        let schema = serde_json::to_value(schemars::schema_for!(T)).unwrap();
        let alternatives = schema["oneOf"].as_array().expect("an enum");
        // The schema puts variants without fields together, or has one constant for each.
        alternatives
            .iter()
            .map(|one| one["enum"].as_array().map_or(1, Vec::len))
            .sum()
    }

    #[test]
    fn listed_lengths_are_what_configs_accept() {
        for listed in lengths() {
            let parameters = ones(listed);
            let written = if parameters.is_empty() {
                json!(listed.name)
            } else {
                json!({ listed.name: parameters })
            };
            let parsed: LengthDistribution = serde_json::from_value(written.clone()).unwrap();
            assert_eq!(serde_json::to_value(parsed).unwrap(), written);
        }
        assert_eq!(alternatives::<LengthDistribution>(), lengths().len());
    }

    #[test]
    fn listed_arrivals_are_what_configs_accept() {
        for listed in arrivals() {
            let mut written = ones(listed);
            written.insert("arrival".to_owned(), json!(listed.name));
            let parsed: Load = serde_json::from_value(Value::Object(written.clone())).unwrap();
            assert_eq!(
                serde_json::to_value(parsed).unwrap(),
                Value::Object(written)
            );
        }
        assert_eq!(alternatives::<Load>(), arrivals().len());
    }
}
