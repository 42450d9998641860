//! Configs: how they are resolved, and how wrong ones are refused.

use aura_workloads::{
    ConfigError, Direction, Distribution, Length, Load, OpKind, PhaseKind, WorkloadConfig,
};
use serde_json::{Value, json};

fn parse(config: Value) -> Result<WorkloadConfig, serde_json::Error> {
    serde_json::from_value(config)
}

#[test]
fn an_empty_config_is_a_workload() {
    let workload = parse(json!({})).unwrap().resolve().unwrap();
    assert_eq!((workload.records, workload.clients), (1000, 1));
    assert_eq!(workload.load.operations, 1000);
    let [run] = &workload.phases[..] else {
        panic!("{:?}", workload.phases)
    };
    assert_eq!((run.name.as_str(), run.operations), ("run", 1000));
    assert_eq!(run.mix.probability(OpKind::Read), 0.95);
    assert_eq!(run.value.bytes, Length::Constant(1000));
}

#[test]
fn phases_override_the_base_and_inherit_the_rest() {
    let config = json!({
        "preset": "ycsb-e",
        "records": 2000,
        "operations": 5000,
        "clients": 4,
        "key": { "order": "ordered", "zero_padding": 12 },
        "value": { "bytes": { "min": 10, "max": 20, "distribution": "zipfian" } },
        "scan": { "max_length": 10, "direction": "reverse" },
        "load": { "arrival": "poisson", "rate": 50000 },
        "warm_up_operations": 100,
        "phases": [
            { "name": "scans" },
            {
                "name": "writes",
                "operations": 7,
                "mix": { "update": 3, "delete": 1 },
                "distribution": { "kind": "hotspot", "data_fraction": 0.5,
                                  "drift": { "fraction": 0.01, "every_operations": 100 } },
                "load": { "arrival": "closed" }
            }
        ]
    });
    let parsed = parse(config).unwrap();
    let workload = parsed.resolve().unwrap();
    let [warm_up, scans, writes] = &workload.phases[..] else {
        panic!("{:?}", workload.phases)
    };
    assert_eq!((warm_up.kind, warm_up.operations), (PhaseKind::WarmUp, 100));
    assert_eq!(warm_up.mix, scans.mix);
    assert_eq!(scans.operations, 5000);
    assert_eq!(scans.distribution, Distribution::YcsbZipfian {});
    assert_eq!(
        (scans.scan.max_length, scans.scan.direction),
        (10, Direction::Reverse)
    );
    assert_eq!(scans.load, Load::Poisson { rate: 50_000.0 });
    assert_eq!((writes.operations, writes.load), (7, Load::Closed {}));
    assert_eq!(writes.mix.probability(OpKind::Delete), 0.25);
    assert_eq!(writes.mix.probability(OpKind::Scan), 0.0);
    assert_eq!(writes.scan, scans.scan);
    // 2000 records, and room for twice 5 % of 5000 and of 100 inserts.
    assert_eq!(
        [warm_up, scans, writes].map(|phase| phase.key_range),
        [2510; 3]
    );

    let written = serde_json::to_value(&parsed).unwrap();
    assert_eq!(
        parse(written).unwrap(),
        parsed,
        "a config survives being written and read"
    );
}

#[test]
fn no_operations_means_load_only() {
    let workload = parse(json!({ "operations": 0 }))
        .unwrap()
        .resolve()
        .unwrap();
    assert!(workload.phases.is_empty());
}

#[test]
fn unknown_keys_and_names_are_refused() {
    for config in [
        json!({ "record": 1 }),
        json!({ "preset": "ycsb-g" }),
        json!({ "mix": { "reads": 1 } }),
        json!({ "distribution": { "kind": "zipf" } }),
        json!({ "distribution": { "kind": "uniform", "theta": 0.5 } }),
        json!({ "distribution": { "kind": "zipfian", "skew": 0.5 } }),
        json!({ "load": { "arrival": "closed", "rate": 5 } }),
        json!({ "load": { "arrival": "constant" } }),
        json!({ "value": { "bytes": { "min": 1, "max": 2, "mean": 1 } } }),
        json!({ "phases": [{ "operations": 5 }] }),
        json!({ "records": -1 }),
    ] {
        assert!(parse(config.clone()).is_err(), "{config}");
    }
}

#[test]
fn values_out_of_range_are_named() {
    let hotspot = |data, operations| {
        json!({ "records": 10, "distribution": {
            "kind": "hotspot", "data_fraction": data, "operation_fraction": operations } })
    };
    let phase = |phase: Value| json!({ "phases": [{ "name": "a" }, phase] });
    for (config, expected) in [
        (json!({ "records": 0 }), "records"),
        (json!({ "clients": 0 }), "clients"),
        (json!({ "key": { "zero_padding": 65 } }), "key.zero_padding"),
        (json!({ "mix": { "read": 0.0 } }), "mix (its sum)"),
        (json!({ "mix": { "read": 2, "scan": -1 } }), "mix.scan"),
        (
            json!({ "distribution": { "kind": "zipfian", "theta": 2 } }),
            "distribution.theta",
        ),
        (
            json!({ "distribution": { "kind": "zipfian", "theta": 0 } }),
            "distribution.theta",
        ),
        (
            json!({ "distribution": { "kind": "latest" }, "records": 1 }),
            "records",
        ),
        (
            json!({ "distribution": { "kind": "exponential", "percentile": 100 } }),
            "distribution.percentile",
        ),
        (hotspot(0.05, 0.5), "distribution.data_fraction"),
        (hotspot(1.0, 0.5), "distribution.data_fraction"),
        (hotspot(0.5, 1.5), "distribution.operation_fraction"),
        (json!({ "scan": { "min_length": 0 } }), "scan.min_length"),
        (json!({ "scan": { "min_length": 101 } }), "scan.max_length"),
        (
            json!({ "value": { "bytes": { "min": 2, "max": 1 } } }),
            "value.bytes.min",
        ),
        (json!({ "value": { "bytes": 268435457 } }), "value.bytes"),
        (
            json!({ "value": { "compressibility": 1.1 } }),
            "value.compressibility",
        ),
        (
            json!({ "load": { "arrival": "poisson", "rate": 0 } }),
            "load.rate",
        ),
        (
            phase(json!({ "name": "b", "operations": 0 })),
            "phases[1].operations",
        ),
        (phase(json!({ "name": "" })), "phases[1].name (its length)"),
        (
            phase(json!({ "name": "b", "distribution": { "kind": "zipfian", "theta": 3 } })),
            "phases[1].distribution.theta",
        ),
    ] {
        let error = parse(config.clone()).unwrap().resolve().unwrap_err();
        let ConfigError::OutOfRange { key, .. } = &error else {
            panic!("{config}: {error}")
        };
        assert_eq!(key, expected, "{config}: {error}");
        assert!(error.to_string().contains("must be"), "{error}");
    }
}

#[test]
fn a_phase_needs_a_name_of_its_own() {
    for name in ["a", "load", "settle", "warm-up", "drain", "whole"] {
        let config = json!({ "phases": [{ "name": "a" }, { "name": name }] });
        let error = parse(config).unwrap().resolve().unwrap_err();
        let key = "phases[1].name".to_owned();
        assert_eq!(
            error,
            ConfigError::NameTaken {
                key,
                name: name.to_owned()
            }
        );
    }
}

#[test]
fn an_empty_hot_set_is_fine_when_nothing_goes_there() {
    for (data, operations) in [(0.0, 0.0), (1.0, 1.0)] {
        let config = json!({ "distribution": {
            "kind": "hotspot", "data_fraction": data, "operation_fraction": operations } });
        let workload = parse(config).unwrap().resolve().unwrap();
        let acknowledged = aura_workloads::Acknowledged::new(1000);
        let mut stream = workload.phases[0].stream(0, aura_workloads::Seed(1));
        while let Some(op) = stream.next(&acknowledged) {
            assert!(op.key().number < 1000);
        }
    }
}

#[test]
fn laws_of_lengths_and_arrivals_are_read_from_configs_and_change_the_stream() {
    let config = parse(json!({
        "records": 100,
        "operations": 2000,
        "mix": { "update": 1, "scan": 1 },
        "value": { "bytes": {
            "min": 10, "max": 5000,
            "distribution": { "lognormal": { "median": 200, "sigma": 1 } } } },
        "scan": { "length_distribution": { "zipf": { "theta": 2.5 } } },
        "load": { "arrival": "gamma", "rate": 1000, "shape": 0.5 },
    }))
    .unwrap();
    let written = serde_json::to_value(&config).unwrap();
    assert_eq!(parse(written).unwrap(), config);

    let workload = config.resolve().unwrap();
    let phase = &workload.phases[0];
    let acknowledged = aura_workloads::Acknowledged::new(100);
    let mut stream = phase.stream(0, aura_workloads::Seed(3));
    let mut values = Vec::new();
    let mut scans = Vec::new();
    while let Some(op) = stream.next(&acknowledged) {
        match op {
            aura_workloads::Op::Update { value, .. } => values.push(value.len()),
            aura_workloads::Op::Scan { length, .. } => scans.push(length),
            other => panic!("{other:?}"),
        }
    }
    values.sort_unstable();
    assert!((150..250).contains(&values[values.len() / 2]), "{values:?}");
    assert!(
        values[0] >= 10 && values[values.len() - 1] > 1500,
        "{values:?}"
    );
    // The shortest of 100 lengths has 1 / zeta(2.5) = 75 % of the draws.
    let ones = scans.iter().filter(|length| **length == 1).count() as f64;
    let share = ones / scans.len() as f64;
    assert!((0.70..0.80).contains(&share), "{share}");
    let times = phase
        .schedule(0, aura_workloads::Seed(3))
        .expect("an open loop");
    assert!(times.take(100).is_sorted());
}

#[test]
fn parameters_of_laws_out_of_range_are_named() {
    let sized =
        |law: Value| json!({ "value": { "bytes": { "min": 1, "max": 9, "distribution": law } } });
    for (config, expected) in [
        (
            sized(json!({ "zipf": { "theta": 0 } })),
            "value.bytes.distribution.zipf.theta",
        ),
        (
            sized(json!({ "lognormal": { "median": 0, "sigma": 1 } })),
            "value.bytes.distribution.lognormal.median",
        ),
        (
            sized(json!({ "lognormal": { "median": 5, "sigma": 11 } })),
            "value.bytes.distribution.lognormal.sigma",
        ),
        (
            sized(json!({ "pareto": { "scale": 1, "shape": 0 } })),
            "value.bytes.distribution.pareto.shape",
        ),
        (
            sized(json!({ "gamma": { "scale": -1, "shape": 1 } })),
            "value.bytes.distribution.gamma.scale",
        ),
        (
            sized(json!({ "weibull": { "scale": 1, "shape": 1001 } })),
            "value.bytes.distribution.weibull.shape",
        ),
        (
            json!({ "scan": { "length_distribution": { "zipf": { "theta": 11 } } } }),
            "scan.length_distribution.zipf.theta",
        ),
        (
            json!({ "load": { "arrival": "pareto", "rate": 1, "shape": 1 } }),
            "load.shape",
        ),
        (
            json!({ "load": { "arrival": "lognormal", "rate": 1, "sigma": 5 } }),
            "load.sigma",
        ),
        (
            json!({ "load": { "arrival": "weibull", "rate": 0, "shape": 1 } }),
            "load.rate",
        ),
    ] {
        let error = parse(config.clone()).unwrap().resolve().unwrap_err();
        let ConfigError::OutOfRange { key, .. } = &error else {
            panic!("{config}: {error}")
        };
        assert_eq!(key, expected, "{config}: {error}");
    }
    for config in [
        sized(json!("lognormal")),
        sized(json!({ "lognormal": { "median": 5 } })),
        sized(json!({ "uniform": { "min": 5 } })),
        json!({ "load": { "arrival": "gamma", "rate": 5 } }),
    ] {
        assert!(parse(config.clone()).is_err(), "{config}");
    }
}
