//! Laws of streams: they repeat, do not depend on each other, and never get ahead of the inserts.

use std::collections::{BTreeMap, BTreeSet};

use aura_workloads::{
    Acknowledged, Distribution, KeyOrder, KeySpace, Length, LengthRange, Load, Mix, Op, OpKind,
    Phase, PhaseConfig, PhaseKind, Preset, RoleConfig, Seed, ValueConfig, Workload, WorkloadConfig,
    values,
};

const DISTRIBUTIONS: [Distribution; 7] = [
    Distribution::Uniform {},
    Distribution::Zipfian {
        theta: 1.0,
        permute: true,
        scatter: 0,
    },
    Distribution::YcsbZipfian {},
    Distribution::Latest {},
    Distribution::Hotspot {
        data_fraction: 0.1,
        operation_fraction: 0.9,
        drift: None,
    },
    Distribution::Exponential {
        percentile: 95.0,
        fraction: 0.5,
    },
    Distribution::Sequential {},
];

/// Every kind of operation, values of drawn sizes.
fn mixed(distribution: Distribution, clients: u32) -> Workload {
    let range = LengthRange {
        min: 0,
        max: 300,
        distribution: Default::default(),
    };
    let config = WorkloadConfig {
        records: Some(500),
        operations: Some(6000),
        clients: Some(clients),
        mix: Some(Mix {
            read: 2.0,
            update: 1.0,
            insert: 1.0,
            scan: 1.0,
            read_modify_write: 1.0,
            delete: 1.0,
            read_absent: 0.0,
        }),
        distribution: Some(distribution),
        value: Some(ValueConfig {
            bytes: Length::Range(range).into(),
            compressibility: 0.5,
        }),
        ..Default::default()
    };
    config.resolve().unwrap()
}

/// The clients and the phases of a queue take its records from one head.
#[test]
fn the_oldest_records_are_deleted_once_in_order_by_all_clients_and_phases() {
    let phase = |name: &str| PhaseConfig {
        name: name.to_owned(),
        ..PhaseConfig::default()
    };
    let config = WorkloadConfig {
        records: Some(100),
        operations: Some(60),
        clients: Some(2),
        mix: Some(Mix {
            delete: 1.0,
            ..Mix::default()
        }),
        distribution: Some(Distribution::Oldest {}),
        phases: vec![phase("first"), phase("second")],
        ..Default::default()
    };
    let workload = config.resolve().unwrap();
    let acknowledged = Acknowledged::new(workload.records);
    let mut deleted = Vec::new();
    for phase in &workload.phases {
        let mut streams = [0, 1].map(|client| phase.stream(client, Seed(1)));
        for turn in 0..60 {
            let op = streams[turn % 2].next(&acknowledged).expect("30 a client");
            deleted.push(op.key().number);
        }
    }
    let expected = (0..100).chain(std::iter::repeat_n(99, 20));
    assert!(deleted.iter().copied().eq(expected), "{deleted:?}");
}

/// All operations of a phase as text. The clients take turns, and inserts are acknowledged at once.
fn transcript(phase: &Phase, root: Seed) -> Vec<String> {
    let acknowledged = Acknowledged::new(phase.records);
    let mut streams: Vec<_> = (0..phase.clients)
        .map(|client| phase.stream(client, root))
        .collect();
    let mut lines = Vec::new();
    loop {
        let before = lines.len();
        for stream in &mut streams {
            if let Some(op) = stream.next(&acknowledged) {
                lines.push(format!("{op:?}"));
                if let Op::Insert { key, .. } = op {
                    acknowledged.acknowledge(key.number);
                }
            }
        }
        if lines.len() == before {
            return lines;
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    for distribution in DISTRIBUTIONS {
        let workload = mixed(distribution, 3);
        let phase = &workload.phases[0];
        let one = transcript(phase, Seed(1));
        assert_eq!(one.len(), 6000);
        assert_eq!(one, transcript(phase, Seed(1)));
        assert_ne!(one, transcript(phase, Seed(2)));
    }
}

/// The whole of a stream is pinned: a change makes old results incomparable.
#[test]
fn golden_stream() {
    let workload = mixed(
        Distribution::Zipfian {
            theta: 0.99,
            permute: true,
            scatter: 0,
        },
        2,
    );
    let lines = transcript(&workload.phases[0], Seed(42));
    let digest = lines
        .iter()
        .flat_map(|line| line.bytes())
        .fold(0_u64, |digest, byte| {
            (digest ^ u64::from(byte))
                .wrapping_mul(1_099_511_628_211)
                .rotate_left(5)
        });
    assert_eq!(
        digest, 3_430_322_035_502_261_716,
        "first line: {}",
        lines[0]
    );
}

#[test]
fn absent_reads_look_for_keys_that_are_never_inserted() {
    for order in [KeyOrder::Hashed, KeyOrder::Ordered] {
        let config = WorkloadConfig {
            records: Some(500),
            operations: Some(4000),
            key: KeySpace {
                order,
                ..KeySpace::default()
            },
            mix: Some(Mix {
                insert: 1.0,
                read_absent: 1.0,
                ..Mix::default()
            }),
            distribution: Some(Distribution::Zipfian {
                theta: 0.99,
                permute: true,
                scatter: 0,
            }),
            ..Default::default()
        };
        let workload = config.resolve().unwrap();
        let acknowledged = Acknowledged::new(workload.records);
        let mut inserted = BTreeSet::new();
        let mut absent = BTreeMap::<Vec<u8>, u32>::new();
        for phase in [&workload.load, &workload.phases[0]] {
            let mut stream = phase.stream(0, Seed(3));
            while let Some(op) = stream.next(&acknowledged) {
                let key = op.key();
                match op.kind() {
                    OpKind::ReadAbsent => *absent.entry(key.bytes.to_vec()).or_default() += 1,
                    _ => {
                        acknowledged.acknowledge(key.number);
                        inserted.insert(key.bytes.to_vec());
                    }
                }
            }
        }
        assert!(inserted.len() > 2300, "{} keys", inserted.len());
        assert!(
            absent.keys().all(|key| !inserted.contains(key)),
            "{order:?}"
        );
        assert!(absent.len() > 200, "{} absent keys", absent.len());
        let hottest = absent.values().max();
        assert!(
            hottest > Some(&150),
            "they have the law of the distribution: {hottest:?}"
        );
    }
}

#[test]
fn another_scatter_has_other_hot_keys() {
    let hottest = |scatter| {
        let workload = mixed(
            Distribution::Zipfian {
                theta: 1.2,
                permute: true,
                scatter,
            },
            1,
        );
        let mut counts = std::collections::BTreeMap::<u64, u32>::new();
        alone(&workload, 0, 2000)
            .into_iter()
            .for_each(|(_, key)| *counts.entry(key).or_default() += 1);
        counts
            .into_iter()
            .max_by_key(|(_, count)| *count)
            .map(|(key, _)| key)
    };
    assert_eq!(hottest(3), hottest(3));
    assert_ne!(hottest(0), hottest(1));
    assert_ne!(hottest(1), hottest(2));
}

/// Kinds and keys of one client, while no insert is acknowledged and so nothing is shared.
fn alone(workload: &Workload, client: u32, length: usize) -> Vec<(String, u64)> {
    let acknowledged = Acknowledged::new(workload.records);
    let mut stream = workload.phases[0].stream(client, Seed(8));
    let mut seen = Vec::new();
    while let Some(op) = stream.next(&acknowledged).filter(|_| seen.len() < length) {
        seen.push((op.kind().name().to_owned(), op.key().number));
    }
    seen
}

#[test]
fn more_clients_and_other_purposes_shift_nothing() {
    let few = mixed(
        Distribution::Zipfian {
            theta: 0.99,
            permute: true,
            scatter: 0,
        },
        2,
    );
    let more = mixed(
        Distribution::Zipfian {
            theta: 0.99,
            permute: true,
            scatter: 0,
        },
        5,
    );
    assert_eq!(alone(&few, 1, 1000), alone(&more, 1, 1000));

    let mut constant_values = few.clone();
    constant_values.phases[0].value.bytes = Length::Constant(16).into();
    constant_values.phases[0].scan.max_length = 1;
    assert_eq!(alone(&few, 1, 1000), alone(&constant_values, 1, 1000));
    assert_ne!(alone(&few, 0, 1000), alone(&few, 1, 1000));
}

#[test]
fn phases_with_the_same_settings_request_different_keys() {
    let phase = |name: &str| PhaseConfig {
        name: name.to_owned(),
        ..Default::default()
    };
    let config = WorkloadConfig {
        preset: Some(Preset::YcsbC),
        warm_up_operations: 1000,
        phases: vec![phase("first"), phase("second")],
        ..Default::default()
    };
    let workload = config.resolve().unwrap();
    let kinds: Vec<_> = workload.phases.iter().map(|phase| phase.kind).collect();
    assert_eq!(kinds, [PhaseKind::WarmUp, PhaseKind::Run, PhaseKind::Run]);
    let transcripts: BTreeSet<_> = workload
        .phases
        .iter()
        .map(|phase| transcript(phase, Seed(1)))
        .collect();
    assert_eq!(transcripts.len(), 3);
}

/// Inserts are acknowledged late and out of order. No key beyond the acknowledged prefix is
/// requested.
#[test]
fn no_distribution_requests_an_unacknowledged_key() {
    for (index, distribution) in DISTRIBUTIONS.into_iter().enumerate() {
        for seed in 0..5 {
            let workload = mixed(distribution, 1);
            let acknowledged = Acknowledged::new(workload.records);
            let mut order = Seed(seed).child("order").generator();
            let mut stream = workload.phases[0].stream(0, Seed(seed));
            let mut open = Vec::new();
            let mut newest_asked = 0;
            while let Some(op) = stream.next(&acknowledged) {
                let number = op.key().number;
                if let Op::Insert { .. } = op {
                    open.push(number);
                } else {
                    assert!(number < acknowledged.end(), "{distribution:?}, seed {seed}");
                    newest_asked = newest_asked.max(number);
                }
                if open.len() > 20 {
                    let at = order.below(open.len() as u64) as usize;
                    acknowledged.acknowledge(open.swap_remove(at));
                }
            }
            let follows = [1, 2, 3, 5].contains(&index);
            assert_eq!(
                newest_asked >= 500,
                follows,
                "{distribution:?}: up to {newest_asked}"
            );
        }
    }
}

#[test]
fn clients_split_the_load_without_gap_or_overlap() {
    for clients in [1, 3, 7, 600] {
        let workload = mixed(Distribution::Uniform {}, clients);
        let acknowledged = Acknowledged::new(workload.records);
        let mut loaded = Vec::new();
        for client in 0..clients {
            let mut stream = workload.load.stream(client, Seed(1));
            assert_eq!(stream.remaining(), workload.load.operations_of(client));
            while let Some(op) = stream.next(&acknowledged) {
                assert!(matches!(op, Op::Insert { .. }));
                acknowledged.acknowledge(op.key().number);
                loaded.push(op.key().number);
            }
        }
        assert!(loaded.into_iter().eq(0..500), "{clients} clients");
        assert_eq!(
            acknowledged.end(),
            500,
            "the load is acknowledged from the start"
        );
        let phase = &workload.phases[0];
        assert_eq!(
            (0..clients + 2)
                .map(|c| phase.operations_of(c))
                .sum::<u64>(),
            6000
        );
        assert!(phase.stream(clients, Seed(1)).next(&acknowledged).is_none());
    }
}

#[test]
fn written_values_name_their_key_and_have_drawn_sizes() {
    let workload = mixed(Distribution::Uniform {}, 1);
    let acknowledged = Acknowledged::new(workload.records);
    let mut stream = workload.phases[0].stream(0, Seed(4));
    let mut sizes = BTreeSet::new();
    while let Some(op) = stream.next(&acknowledged) {
        if let Some(value) = op.value() {
            sizes.insert(value.len());
            assert!(values::version_of(value, op.key().number, 0.5).is_some());
        }
    }
    assert_eq!((sizes.first(), sizes.last()), (Some(&0), Some(&300)));
}

#[test]
fn schedules_differ_between_clients_and_repeat() {
    let mut workload = mixed(Distribution::Uniform {}, 2);
    let phase = &mut workload.phases[0];
    assert!(phase.schedule(0, Seed(1)).is_none());
    phase.load = Load::Poisson {
        rate: 1000.0.into(),
    };
    let times = |client| {
        phase
            .schedule(client, Seed(1))
            .unwrap()
            .take(100)
            .collect::<Vec<_>>()
    };
    assert_eq!(times(0), times(0));
    assert_ne!(times(0), times(1));
}

/// The first operations of each client of a phase, role by role, while nothing is acknowledged.
fn beginnings(phase: &Phase, root: Seed) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for part in phase.parts() {
        for client in 0..part.clients {
            let acknowledged = Acknowledged::new(part.records);
            let mut stream = part.stream(client, root);
            let mut lines = Vec::new();
            while let Some(op) = stream.next(&acknowledged).filter(|_| lines.len() < 50) {
                lines.push(format!("{op:?}"));
            }
            all.push(lines);
        }
    }
    all
}

/// Whatever roles there are: streams repeat, differ between roles and clients, and do not depend on
/// other roles or on their order. A phase without roles is not changed by them.
#[test]
fn a_roles_streams_depend_on_nothing_but_its_name_and_the_seed() {
    let mut generator = Seed(11).generator();
    for seed in 0..20 {
        let distribution = DISTRIBUTIONS[generator.below(7) as usize];
        let role = |name: &str, clients| RoleConfig {
            name: name.to_owned(),
            clients: Some(clients),
            ..RoleConfig::default()
        };
        let first = role("first", 1 + generator.below(3) as u32);
        let second = role("second", 1 + generator.below(3) as u32);
        let workload = |roles: &[&RoleConfig]| {
            let config = WorkloadConfig {
                records: Some(500),
                operations: Some(300),
                mix: Some(Mix {
                    read: 1.0,
                    update: 1.0,
                    ..Mix::default()
                }),
                distribution: Some(distribution),
                roles: roles.iter().map(|role| (*role).clone()).collect(),
                ..WorkloadConfig::default()
            };
            config.resolve().unwrap()
        };
        let root = Seed(seed);
        let together = beginnings(&workload(&[&first, &second]).phases[0], root);
        assert_eq!(
            together,
            beginnings(&workload(&[&first, &second]).phases[0], root)
        );
        let alone = beginnings(&workload(&[&first]).phases[0], root);
        assert_eq!(together[..alone.len()], alone, "{distribution:?}");
        let mut turned = beginnings(&workload(&[&second, &first]).phases[0], root);
        turned.rotate_right(alone.len());
        assert_eq!(together, turned, "{distribution:?}");
        let distinct: BTreeSet<_> = together.iter().collect();
        assert_eq!(distinct.len(), together.len(), "{distribution:?}");
        let without = beginnings(&workload(&[]).phases[0], root);
        assert!(!together.contains(&without[0]), "{distribution:?}");
    }
}
