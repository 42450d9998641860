//! Configs: how they are resolved, and how wrong ones are refused.

use std::time::Duration;

use aura_workloads::{
    ConfigError, Direction, Distribution, Length, Load, OpKind, Phase, PhaseKind, Preset, Step,
    Until, WorkloadConfig,
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
    assert_eq!(run.value.bytes, Length::Constant(1000).into());
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
    assert_eq!(
        scans.load,
        Load::Poisson {
            rate: 50_000.0.into()
        }
    );
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

#[test]
fn sizes_may_be_mixed_of_lengths_with_shares() {
    let sizes = json!([
        { "share": 9, "bytes": 100 },
        { "share": 0, "bytes": 7 },
        { "share": 3, "bytes": { "min": 200, "max": "1KiB" } },
        { "share": 6, "bytes": "64KiB" },
        { "share": 0, "bytes": 9 },
    ]);
    let config = parse(json!({
        "records": 4000, "operations": 0, "value": { "bytes": sizes },
    }))
    .unwrap();
    let written = serde_json::to_value(&config).unwrap();
    assert_eq!(parse(written).unwrap(), config);

    let workload = config.resolve().unwrap();
    let lengths = |seed| -> Vec<usize> {
        let acknowledged = aura_workloads::Acknowledged::new(0);
        let mut stream = workload.load.stream(0, aura_workloads::Seed(seed));
        let mut lengths = Vec::new();
        while let Some(op) = stream.next(&acknowledged) {
            lengths.extend(op.value().map(<[u8]>::len));
        }
        lengths
    };
    let drawn = lengths(3);
    assert_eq!(drawn, lengths(3), "the seed says how long each value is");
    assert_ne!(drawn, lengths(4));
    // Pinned: a change makes old results incomparable.
    assert_eq!(drawn[..8], [100, 866, 571, 379, 65_536, 65_536, 100, 100]);
    let of = |range: std::ops::RangeInclusive<usize>| {
        drawn.iter().filter(|length| range.contains(length)).count()
    };
    let (small, middle, large) = (of(100..=100), of(200..=1024), of(65_536..=65_536));
    assert_eq!(small + middle + large, 4000, "no other length");
    for (count, expected) in [(small, 2000), (middle, 667), (large, 1333)] {
        assert!(count.abs_diff(expected) < 120, "{count} for {expected}");
    }
    let distinct: std::collections::BTreeSet<_> = drawn.iter().collect();
    assert!(distinct.len() > 300, "a range is drawn from: {distinct:?}");
}

#[test]
fn wrong_mixtures_of_sizes_are_named() {
    let sized = |bytes: Value| json!({ "value": { "bytes": bytes } });
    let one = |share: Value, bytes: Value| sized(json!([{ "share": share, "bytes": bytes }]));
    for (config, expected) in [
        (sized(json!([])), "value.bytes (its entries)"),
        (one(json!(-1), json!(5)), "value.bytes[0].share"),
        (
            one(json!(0), json!(5)),
            "value.bytes (the sum of its shares)",
        ),
        (one(json!(1), json!("1GiB")), "value.bytes[0].bytes"),
        (
            one(json!(1), json!({ "min": 9, "max": 1 })),
            "value.bytes[0].bytes.min",
        ),
        (
            one(
                json!(1),
                json!({ "min": 1, "max": 9, "distribution": { "zipf": { "theta": 0 } } }),
            ),
            "value.bytes[0].bytes.distribution.zipf.theta",
        ),
    ] {
        let error = parse(config.clone()).unwrap().resolve().unwrap_err();
        let ConfigError::OutOfRange { key, .. } = &error else {
            panic!("{config}: {error}")
        };
        assert_eq!(key, expected, "{config}: {error}");
    }
    for (config, expected) in [
        (
            one(json!(1), json!([{ "share": 1, "bytes": 5 }])),
            "invalid type: sequence, expected a number of bytes",
        ),
        (sized(json!("5 apples")), "couldn't parse"),
        (
            sized(json!(true)),
            "a list of tables { share, bytes }, or a record { fields, bytes }",
        ),
        (sized(json!([{ "bytes": 5 }])), "missing field `share`"),
        (sized(json!([5])), "expected struct WeightedLength"),
        (
            sized(json!([{ "share": 1, "bytes": 5, "weight": 1 }])),
            "unknown field `weight`",
        ),
    ] {
        let error = parse(config.clone()).unwrap_err().to_string();
        assert!(error.contains(expected), "{config}: {error}");
    }
}

/// The key of the error that a config ends with.
fn refused(config: &Value) -> ConfigError {
    parse(config.clone()).unwrap().resolve().unwrap_err()
}

#[test]
fn a_phase_may_be_a_step() {
    let config = parse(json!({
        "mix": { "delete": 1 },
        "warm_up_operations": 50,
        "phases": [
            { "name": "pause", "step": "wait", "duration": "1m 30s" },
            { "name": "cold", "step": "drop-caches" },
            { "name": "reads", "mix": { "read": 1 } },
        ],
    }))
    .unwrap();
    let written = serde_json::to_value(&config).unwrap();
    assert_eq!(parse(written).unwrap(), config);
    let workload = config.resolve().unwrap();
    let names: Vec<&str> = workload.phases.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["pause", "cold", "warm-up", "reads"]);
    let steps: Vec<_> = workload.phases.iter().map(|it| it.step()).collect();
    let expected = [Some(Step::Wait), Some(Step::DropCaches), None, None];
    assert_eq!(steps, expected);
    let pause = &workload.phases[0];
    assert_eq!(pause.duration, Some(Duration::from_secs(90)));
    assert!(!pause.does(OpKind::Delete), "a step does no operations");
    let acknowledged = aura_workloads::Acknowledged::new(1000);
    let mut stream = pause.stream(0, aura_workloads::Seed(1));
    assert!(stream.next(&acknowledged).is_none());
}

#[test]
fn a_step_has_no_other_keys() {
    let step = |keys: Value| {
        let mut phase = json!({ "name": "b", "step": "compact" });
        let keys = keys.as_object().unwrap().clone();
        phase.as_object_mut().unwrap().extend(keys);
        json!({ "phases": [{ "name": "a" }, phase] })
    };
    for (keys, key) in [
        (json!({ "operations": 5 }), "operations"),
        (json!({ "mix": { "read": 1 } }), "mix"),
        (
            json!({ "distribution": { "kind": "latest" } }),
            "distribution",
        ),
        (json!({ "scan": {} }), "scan"),
        (json!({ "value": {} }), "value"),
        (json!({ "load": { "arrival": "closed" } }), "load"),
        (json!({ "roles": [{ "name": "a" }] }), "roles"),
    ] {
        let error = refused(&step(keys));
        assert_eq!(error.key(), format!("phases[1].{key}"));
        let said = format!("phases[1].{key}: a step does no operations: leave it out");
        assert_eq!(error.to_string(), said);
    }
    let error = refused(&step(json!({ "duration": "1s" })));
    assert_eq!(error.key(), "phases[1].duration");
    assert!(error.to_string().contains("only \"wait\" takes it"));
    let error = refused(&step(json!({ "step": "wait" })));
    assert_eq!(error.key(), "phases[1].step");
    assert!(error.to_string().contains("needs a `duration`"), "{error}");
    let error = refused(&step(json!({ "step": "wait", "duration": "0s" })));
    assert_eq!(error.key(), "phases[1].duration");
    assert!(parse(step(json!({ "step": "sleep" }))).is_err());
}

#[test]
fn time_may_end_a_phase() {
    let ends = |config: Value| {
        let workload = parse(config).unwrap().resolve().unwrap();
        let of = |phase: &Phase| (phase.operations, phase.duration.map(|it| it.as_secs()));
        workload.phases.iter().map(of).collect::<Vec<_>>()
    };
    let endless = Phase::ENDLESS;
    assert_eq!(ends(json!({ "duration": "30s" })), [(endless, Some(30))]);
    let both = json!({ "duration": "30s", "operations": 7 });
    assert_eq!(ends(both), [(7, Some(30))]);
    let phases = json!([
        { "name": "a" },
        { "name": "b", "duration": "1s" },
        { "name": "c", "duration": "2s", "operations": 9 },
    ]);
    assert_eq!(
        ends(json!({ "phases": phases })),
        [(1000, None), (endless, Some(1)), (9, Some(2))]
    );
    assert_eq!(
        ends(json!({ "operations": 5, "phases": phases })),
        [(5, None), (5, Some(1)), (9, Some(2))]
    );
    assert_eq!(
        ends(json!({ "duration": "8s", "warm_up_operations": 3, "phases": phases })),
        [
            (3, None),
            (endless, Some(8)),
            (endless, Some(1)),
            (9, Some(2))
        ]
    );
    assert_eq!(refused(&json!({ "duration": "40 days" })).key(), "duration");
    assert_eq!(refused(&json!({ "duration": "0s" })).key(), "duration");
    assert!(parse(json!({ "duration": 30 })).is_err());
    assert!(parse(json!({ "duration": "a while" })).is_err());
}

#[test]
fn room_for_inserts_follows_from_the_rate_if_time_ends_a_phase() {
    let config = |load: Value| {
        let config = json!({
            "records": 100, "duration": "10s", "mix": { "insert": 1, "read": 1 }, "load": load,
        });
        parse(config).unwrap().resolve().unwrap()
    };
    let open = config(json!({ "arrival": "constant", "rate": 50 }));
    assert_eq!(open.phases[0].key_range, 100 + 500);
    let closed = config(json!({ "arrival": "closed" }));
    assert_eq!(closed.phases[0].key_range, 100);
    assert!(closed.phases[0].numbers > 1_000_000_000_000);
}

#[test]
fn roles_have_clients_and_work_of_their_own() {
    let config = parse(json!({
        "preset": "ycsb-c",
        "operations": 600,
        "warm_up_operations": 20,
        "roles": [
            { "name": "writers", "mix": { "update": 1 }, "until": "others-end",
              "load": { "arrival": "constant", "rate": 100 }, "value": { "bytes": 7 } },
            { "name": "readers", "clients": 3 },
            { "name": "scanners", "clients": 2, "operations": 10, "until": "others-end",
              "mix": { "scan": 1 } },
        ],
        "phases": [
            { "name": "mixed" },
            { "name": "alone", "operations": 50, "roles": [{ "name": "readers", "clients": 5 }] },
            { "name": "short", "duration": "1s", "operations": 3 },
        ],
    }))
    .unwrap();
    let written = serde_json::to_value(&config).unwrap();
    assert_eq!(parse(written).unwrap(), config);
    let workload = config.resolve().unwrap();
    assert_eq!((workload.clients, workload.load.clients), (6, 6));
    let [warm_up, mixed, alone, short] = &workload.phases[..] else {
        panic!("{:?}", workload.phases)
    };
    let of = |phase: &Phase| -> Vec<(u32, u64)> {
        let parts = phase.parts().iter();
        parts.map(|it| (it.clients, it.operations)).collect()
    };
    assert_eq!(of(warm_up), [(1, 20), (3, 20), (2, 20)]);
    assert_eq!(of(mixed), [(1, Phase::ENDLESS), (3, 600), (2, 10)]);
    assert_eq!(of(alone), [(5, 50)]);
    assert_eq!(of(short), [(1, Phase::ENDLESS), (3, 3), (2, 10)]);
    let [writers, readers, scanners] = mixed.parts() else {
        panic!("{mixed:?}")
    };
    assert_eq!(writers.until, Some(Until::OthersEnd));
    assert_eq!(readers.until, None);
    assert_eq!(writers.value.bytes, Length::Constant(7).into());
    assert_eq!(readers.mix.probability(OpKind::Read), 1.0);
    assert_eq!(readers.load, Load::Closed {});
    assert_eq!(scanners.mix.probability(OpKind::Scan), 1.0);
    assert!(mixed.does(OpKind::Update) && !mixed.does(OpKind::Delete));
    assert!(!alone.does(OpKind::Update));
}

#[test]
fn wrong_roles_are_named() {
    let roles = |roles: Value| json!({ "roles": roles });
    let waits = json!({ "name": "a", "until": "others-end" });
    for (config, key) in [
        (
            json!({ "clients": 2, "roles": [{ "name": "a" }] }),
            "clients",
        ),
        (
            roles(json!([{ "name": "a" }, { "name": "a" }])),
            "roles[1].name",
        ),
        (roles(json!([{ "name": "" }])), "roles[0].name (its length)"),
        (
            roles(json!([{ "name": "a", "clients": 0 }])),
            "roles[0].clients",
        ),
        (
            roles(json!([{ "name": "a", "operations": 0 }])),
            "roles[0].operations",
        ),
        (
            roles(json!([{ "name": "a", "mix": { "read": -1 } }])),
            "roles[0].mix.read",
        ),
        (roles(json!([waits])), "roles"),
        (
            json!({ "phases": [{ "name": "p", "roles": [waits, { "name": "b", "clients": 0 }] }] }),
            "phases[0].roles[1].clients",
        ),
        (
            json!({ "phases": [{ "name": "p", "roles": [waits] }] }),
            "phases[0].roles",
        ),
        (
            roles(json!([{ "name": "a", "clients": 65536 }, { "name": "b" }])),
            "roles (their clients)",
        ),
    ] {
        let error = refused(&config);
        assert_eq!(error.key(), key, "{config}: {error}");
    }
    let ended = json!({ "duration": "1s", "roles": [waits] });
    assert!(parse(ended).unwrap().resolve().is_ok());
    for role in [
        json!({ "clients": 2 }),
        json!({ "name": "a", "until": "never" }),
        json!({ "name": "a", "duration": "1s" }),
    ] {
        assert!(parse(roles(json!([role.clone()]))).is_err(), "{role}");
    }
}

#[test]
fn db_benchs_presets_have_a_role_that_goes_on_until_the_readers_have_ended() {
    let config = |preset| WorkloadConfig {
        preset: Some(preset),
        clients: Some(4),
        records: Some(1000),
        ..WorkloadConfig::default()
    };
    for (preset, kind) in [
        (Preset::ReadWhileWriting, aura_workloads::OpKind::Read),
        (Preset::SeekRandomWhileWriting, aura_workloads::OpKind::Scan),
    ] {
        let workload = config(preset).resolve().unwrap();
        let [readers, writer] = workload.phases[0].parts() else {
            panic!("two roles");
        };
        assert_eq!((readers.clients, readers.mix.share(kind)), (4, 1.0));
        assert_eq!((writer.clients, writer.mix.update), (1, 1.0));
        assert!(writer.until.is_some() && writer.is_endless());
        assert_eq!(workload.clients, 5, "all of them load");
    }
    let seeks = config(Preset::SeekRandom).resolve().unwrap();
    assert_eq!(seeks.phases[0].scan.max_length, 1);
}

#[test]
fn a_queue_gives_out_each_record_once_the_oldest_first() {
    let config = WorkloadConfig {
        preset: Some(Preset::Queue),
        records: Some(50),
        operations: Some(400),
        ..WorkloadConfig::default()
    };
    let workload = config.resolve().unwrap();
    let acknowledged = aura_workloads::Acknowledged::new(50);
    let mut stream = workload.phases[0].stream(0, aura_workloads::Seed(3));
    let (mut deleted, mut inserted) = (Vec::new(), Vec::new());
    while let Some(op) = stream.next(&acknowledged) {
        match op {
            aura_workloads::Op::Insert { key, .. } => {
                acknowledged.acknowledge(key.number);
                inserted.push(key.number);
            }
            _ => deleted.push(op.key().number),
        }
    }
    let in_order = |from: u64, numbers: &[u64]| (from..).zip(numbers).all(|(a, b)| a == *b);
    assert!(in_order(0, &deleted) && in_order(50, &inserted));
    assert!(
        deleted.len() > 150,
        "beyond the loaded ones: {}",
        deleted.len()
    );
}

#[test]
fn mixgraph_is_what_its_authors_published_and_its_parameters_are_checked() {
    let workload = parse(json!({ "preset": "mixgraph" })).unwrap().resolve();
    let workload = workload.unwrap();
    let run = &workload.phases[0];
    let shares = [run.mix.read, run.mix.update, run.mix.scan];
    assert_eq!(shares, [0.83, 0.14, 0.03]);
    assert_eq!(
        workload.load.value, run.value,
        "loaded values have the law, too"
    );
    assert_eq!(run.value.bytes.range(), 10..=1024);
    assert_eq!((run.scan.min_length, run.scan.max_length), (1, 10_000));
    let written = serde_json::to_value(run.distribution).unwrap();
    assert_eq!(written["keyrange_num"], json!(30));
    assert_eq!(
        run.key.zero_padding, 16,
        "neighbours in a range are neighbours on disk"
    );

    let refused = |set: Value| {
        let mut distribution = json!({ "kind": "mixgraph" });
        for (key, value) in set.as_object().unwrap() {
            distribution[key] = value.clone();
        }
        let config = json!({ "preset": "mixgraph", "records": 100, "distribution": distribution });
        parse(config).unwrap().resolve().unwrap_err().to_string()
    };
    let cases = [
        (
            json!({ "keyrange_num": 101 }),
            "distribution.keyrange_num = 101: must be 1 to 100",
        ),
        (
            json!({ "key_dist_b": -1.0 }),
            "distribution.key_dist_b = -1: must be 0 to 10",
        ),
        (json!({ "key_dist_b": 0.01 }), "fewer than 1e18 ranks"),
        (
            json!({ "keyrange_dist_a": -14.0 , "keyrange_dist_c": 0.0 }),
            "above 1e-16",
        ),
        (
            json!({ "keyrange_dist_b": 101.0 }),
            "keyrange_dist_b = 101: must be -100 to 100",
        ),
    ];
    for (set, expected) in cases {
        let error = refused(set.clone());
        assert!(error.contains(expected), "{set}: {error}");
    }
    // db_bench's other set-ups: one range, and neither range nor rank.
    for off in ["all_dist", "all_random"] {
        let mut distribution = json!({ "kind": "mixgraph" });
        for key in ["a", "b", "c", "d"] {
            distribution[format!("keyrange_dist_{key}")] = json!(0.0);
        }
        if off == "all_random" {
            distribution["key_dist_a"] = json!(0.0);
        }
        let config = json!({ "preset": "mixgraph", "distribution": distribution });
        assert!(parse(config).unwrap().resolve().is_ok(), "{off}");
    }
}
