//! Laws of table indexes.

use aura_policies::index::{FAMILY, Model, Ranks, Trained, Window, build, decode};
use aura_policies::{PolicyError, PolicySpec};
use bytes::Bytes;
use serde_json::json;

use crate::SplitMix64;
use crate::index_sets::{golden, hard};

fn check(name: &str, model: &dyn Model, images: &[u64], image: u64) {
    let window = model.locate(image);
    let lo = window.lo as usize;
    let hi = window.hi as usize;
    let rank = images.partition_point(|stored| *stored < image);
    assert!(
        lo <= rank && rank <= hi,
        "{name}: {image} has rank {rank}, not in {window:?}"
    );
    assert!(
        hi <= images.len(),
        "{name}: {window:?} of {} keys",
        images.len()
    );
}

/// A policy's model of `images`, with parameters at their defaults except those given; `None` if it
/// makes none.
fn trained(spec: &PolicySpec, images: &[u64]) -> Option<Box<dyn Model>> {
    match build(spec).expect("in range").train(images) {
        Trained::Model(encoded) => {
            Some(decode(&spec.policy, Bytes::from(encoded)).expect("what was encoded decodes"))
        }
        Trained::Refused(reason) => {
            assert!(!reason.is_empty(), "{spec}");
            None
        }
        Trained::Fence => None,
    }
}

/// Every registered policy, and some with parameters that change the form of a model.
fn specs() -> Vec<PolicySpec> {
    let mut specs: Vec<PolicySpec> = FAMILY.names().into_iter().map(PolicySpec::named).collect();
    for policy in ["cone", "greedy-plr", "pgm", "radix-spline"] {
        let spec = PolicySpec::named(policy);
        specs.extend([1, 3, 64, 4096].map(|epsilon| spec.clone().with("epsilon", epsilon)));
        specs.push(spec.with("over", "blocks").with("epsilon", 1));
    }
    for policy in ["cone", "pgm"] {
        specs.push(
            PolicySpec::named(policy)
                .with("over", "blocks")
                .with("epsilon", 0),
        );
    }
    let pgm = PolicySpec::named("pgm")
        .with("over", "blocks")
        .with("epsilon", 1);
    specs.extend([0, 1, 64].map(|internal| pgm.clone().with("epsilon_internal", internal)));
    let spline = PolicySpec::named("radix-spline").with("epsilon", 2);
    specs.extend([1, 18].map(|bits| spline.clone().with("radix_bits", bits)));
    for root in ["linear", "cubic", "radix", "logarithmic"] {
        let rmi = PolicySpec::named("rmi").with("root", root);
        specs.extend([1, 10, 300].map(|leaves| rmi.clone().with("leaves", leaves)));
        specs.push(rmi.with("over", "blocks").with("epsilon", 2));
    }
    specs.push(PolicySpec::named("interpolation").with("uniform_cv", 1e18));
    specs
}

#[test]
fn the_rank_lies_in_the_window_for_every_key_and_every_gap() {
    let sets = hard();
    for spec in specs() {
        let mut models = 0;
        for (set, images) in &sets {
            let Some(model) = trained(&spec, images) else {
                continue;
            };
            let name = format!("{spec}, {set}");
            models += 1;
            assert!(
                model.memory_bytes() > 0 && model.segments() > 0 && model.probes(images[0]) > 0,
                "{name}"
            );
            for image in images {
                for near in [image.saturating_sub(1), *image, image.saturating_add(1)] {
                    check(&name, &*model, images, near);
                }
            }
            for gap in images.windows(2) {
                check(&name, &*model, images, gap[0] + (gap[1] - gap[0]) / 2);
            }
            for end in [0, 1, u64::MAX - 1, u64::MAX] {
                check(&name, &*model, images, end);
            }
        }
        assert!(
            spec.policy == FAMILY.default || models >= 5,
            "{spec}: {models} models"
        );
    }
}

/// Look-ups of stored and of arbitrary images, `AURA_LOOKUPS` of them for each model and set.
#[test]
#[expect(clippy::print_stderr, reason = "the soak says what it tried")]
fn no_window_misses_a_random_image() {
    let lookups =
        std::env::var("AURA_LOOKUPS").map_or(2000, |count| count.parse::<u64>().expect("a number"));
    let names = ["square", "uniform44", "gaps", "clusters", "linear"];
    let mut sets: Vec<(&str, Vec<u64>)> = names.map(|name| (name, golden(name))).into();
    sets.extend(hard().into_iter().filter(|(_, images)| !images.is_empty()));
    let seed = 17;
    let mut random = SplitMix64(seed);
    let mut models = 0;
    for name in FAMILY.names() {
        for (set, images) in &sets {
            let Some(model) = trained(&PolicySpec::named(name), images) else {
                continue;
            };
            models += 1;
            let name = format!("{}, {set}, seed {seed}", name);
            let first = images[0];
            let last = images[images.len() - 1];
            for lookup in 0..lookups {
                let stored = images[random.below(images.len() as u64) as usize];
                let image = match lookup % 4 {
                    0 => stored,
                    1 => random.next(),
                    2 => first + random.below((last - first).saturating_add(1)),
                    _ => stored.wrapping_add(random.next() >> random.below(64)),
                };
                check(&name, &*model, images, image);
            }
        }
    }
    eprintln!(
        "{} look-ups on {models} models: no window missed",
        models * lookups
    );
}

#[test]
fn exact_models_have_windows_of_one_rank() {
    for policy in ["binary", "eytzinger", "interpolation", "oracle"] {
        for (set, images) in hard().iter().filter(|(_, images)| !images.is_empty()) {
            let model = trained(&PolicySpec::named(policy), images).expect("never refused");
            for image in images
                .iter()
                .flat_map(|image| [*image, image.saturating_add(1)])
            {
                let rank = images.partition_point(|stored| *stored < image) as u32;
                assert_eq!(
                    model.locate(image),
                    Window { lo: rank, hi: rank },
                    "{policy}, {set}, {image}"
                );
            }
        }
    }
}

#[test]
fn windows_are_about_two_epsilon_wide() {
    for policy in ["cone", "greedy-plr", "pgm", "radix-spline"] {
        for (set, epsilon) in [
            ("square", 8),
            ("uniform44", 16),
            ("gaps", 64),
            ("clusters", 32),
            ("linear", 4),
        ] {
            let images = golden(set);
            let model = trained(&PolicySpec::named(policy).with("epsilon", epsilon), &images)
                .expect("it pays");
            let width = |image: &u64| model.locate(*image).hi - model.locate(*image).lo;
            let widest = images.iter().map(width).max().unwrap_or(0);
            assert!(widest <= 2 * epsilon + 2, "{policy}, {set}: {widest}");
        }
    }
}

#[test]
fn over_blocks_whose_last_keys_lie_on_a_line_a_window_is_two_blocks_at_most() {
    let last_keys: Vec<u64> = golden("linear").into_iter().skip(39).step_by(40).collect();
    for policy in ["cone", "pgm"] {
        let spec = PolicySpec::named(policy)
            .with("over", "blocks")
            .with("epsilon", 0);
        let model = trained(&spec, &last_keys).expect("it pays");
        for image in last_keys
            .iter()
            .flat_map(|image| [image - 100, *image, image + 1])
        {
            let window = model.locate(image);
            assert!(window.hi - window.lo <= 1, "{spec}, {image}: {window:?}");
        }
    }
}

#[test]
fn many_ties_widen_no_other_window() {
    let mut images: Vec<u64> = (0..10_000).map(|i| i * 10).collect();
    images.extend([50_000; 500]);
    images.sort_unstable();
    for policy in ["cone", "greedy-plr", "pgm", "radix-spline"] {
        let model =
            trained(&PolicySpec::named(policy).with("epsilon", 8), &images).expect("it pays");
        for image in [5, 49_990, 50_000, 50_001, 50_010, 99_990] {
            let window = model.locate(image);
            assert!(
                window.hi - window.lo <= 2 * 8 + 2,
                "{policy}, {image}: {window:?}"
            );
        }
    }
}

/// One key far from all others costs no model its answers. Models without a root to stretch lose
/// nothing else either.
#[test]
fn an_outlier_costs_no_segment_model_more_than_a_segment() {
    let smooth: Vec<u64> = (0..50_000).map(|i| i * i).collect();
    let with_outlier: Vec<u64> = smooth.iter().copied().chain([u64::MAX - 5]).collect();
    for policy in ["cone", "greedy-plr", "pgm", "radix-spline"] {
        let segments = |images| {
            trained(&PolicySpec::named(policy), images)
                .expect("it pays")
                .segments()
        };
        assert!(segments(&with_outlier) <= segments(&smooth) + 1, "{policy}");
    }
}

#[test]
fn models_of_smooth_sets_are_a_hundredth_of_a_plain_array() {
    for set in ["square", "gaps", "linear"] {
        let images = golden(set);
        for policy in ["cone", "greedy-plr", "pgm", "radix-spline", "rmi"] {
            let bytes = trained(&PolicySpec::named(policy).with("epsilon", 32), &images)
                .expect("it pays")
                .memory_bytes();
            assert!(
                bytes <= 8 * images.len() as u64 / 100,
                "{policy}, {set}: {bytes} bytes"
            );
        }
    }
}

#[test]
fn a_model_that_would_not_pay_is_refused() {
    let mut random = SplitMix64(3);
    let mut noise: Vec<u64> = (0..1000).map(|_| random.next()).collect();
    noise.sort_unstable();
    for (policy, epsilon) in [
        ("cone", 0),
        ("greedy-plr", 1),
        ("pgm", 0),
        ("radix-spline", 1),
        ("rmi", 1),
    ] {
        let spec = PolicySpec::named(policy).with("epsilon", epsilon);
        for images in [&[][..], &[7], &[7, 7, 7], &[1, 2, 3], &noise] {
            assert!(
                trained(&spec, images).is_none(),
                "{spec}: {} images",
                images.len()
            );
        }
    }
    for policy in ["binary", "eytzinger", "interpolation", "oracle"] {
        assert!(
            trained(&PolicySpec::named(policy), &[]).is_none(),
            "{policy}"
        );
    }
}

#[test]
fn parameters_out_of_range_are_refused() {
    let wrong = [
        ("cone", "epsilon", json!(4097)),
        ("greedy-plr", "epsilon", json!(0)),
        ("greedy-plr", "epsilon", json!(4097)),
        ("greedy-plr", "over", json!("tables")),
        ("interpolation", "uniform_cv", json!(-0.1)),
        ("pgm", "epsilon", json!(4097)),
        ("pgm", "epsilon_internal", json!(4097)),
        ("radix-spline", "epsilon", json!(0)),
        ("radix-spline", "radix_bits", json!(0)),
        ("radix-spline", "radix_bits", json!(19)),
        ("rmi", "epsilon", json!(0)),
        ("rmi", "leaves", json!((1 << 24) + 1)),
        ("rmi", "root", json!("square")),
    ];
    for (policy, parameter, value) in wrong {
        let spec = PolicySpec::named(policy).with(parameter, value);
        assert!(
            matches!(build(&spec), Err(PolicyError::BadParameter { .. })),
            "{spec}"
        );
    }
}

#[test]
fn ranks_are_of_entries_or_blocks_as_asked() {
    let ranks = |spec: PolicySpec| build(&spec).expect("in range").ranks();
    for policy in ["binary", "eytzinger", "interpolation"] {
        assert_eq!(ranks(PolicySpec::named(policy)), Ranks::Blocks, "{policy}");
    }
    for policy in ["cone", "greedy-plr", "pgm", "radix-spline", "rmi"] {
        assert_eq!(ranks(PolicySpec::named(policy)), Ranks::Entries, "{policy}");
        assert_eq!(
            ranks(PolicySpec::named(policy).with("over", "blocks")),
            Ranks::Blocks,
            "{policy}"
        );
    }
}

#[test]
fn broken_bytes_cause_no_panic() {
    for name in FAMILY.names() {
        let policy = build(&PolicySpec::named(name)).expect("defaults build");
        let images: Vec<u64> = (0..2000).map(|i| i * i).collect();
        let encoded = match policy.train(&images) {
            Trained::Model(encoded) => Bytes::from(encoded),
            Trained::Fence | Trained::Refused(_) => Bytes::new(),
        };
        for length in 0..encoded.len() {
            assert!(
                decode(name, encoded.slice(..length)).is_none(),
                "{}: {length} bytes",
                name
            );
        }
        let mut random = SplitMix64(11);
        for _ in 0..5000 {
            let mut garbage = encoded.to_vec();
            for _ in 0..1 + random.below(4) {
                match garbage.len() as u64 {
                    0 => garbage.push(random.next() as u8),
                    length => garbage[random.below(length) as usize] = random.next() as u8,
                }
            }
            if let Some(model) = decode(name, Bytes::from(garbage)) {
                for image in [0, 1, random.next(), u64::MAX] {
                    let window = model.locate(image);
                    assert!(window.lo <= window.hi, "{}: {window:?}", name);
                }
            }
        }
    }
    assert!(decode("no such index", Bytes::new()).is_none());
}
