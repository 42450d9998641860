//! Laws of the value log's collection: which victims are lawful, and what collecting them costs.

use std::collections::BTreeSet;

use aura_policies::PolicySpec;
use aura_policies::gc::{FAMILY, GcPolicy, ValueFileFacts, ValueLogFacts, build};

use crate::SplitMix64;
use crate::gc_log::{Done, Log};

const NONE: &str = "never";
const KEYS: u32 = 40_000;
const FILE_BYTES: u64 = 1000;

fn policy(spec: &PolicySpec) -> Box<dyn GcPolicy> {
    build(spec).expect("the policy builds")
}

/// A log with files of many sizes, some larger than they should be, some without garbage and some
/// with nothing else.
fn random_log(chance: &mut SplitMix64) -> ValueLogFacts {
    let file_bytes = 1 + chance.below(2000);
    let mut id = 0;
    let files = (0..chance.below(30)).map(|_| {
        id += 1 + chance.below(3);
        let bytes = 1 + chance.below(2 * file_bytes);
        let garbage_bytes = match chance.below(6) {
            0 => 0,
            1 => bytes,
            _ => chance.below(bytes + 1),
        };
        ValueFileFacts {
            id,
            bytes,
            garbage_bytes,
            age_bytes: chance.below(100_000),
            collections: chance.below(4) as u32,
        }
    });
    ValueLogFacts {
        files: files.collect(),
        file_bytes,
        urgent: chance.below(3) == 0,
    }
}

fn check(log: &ValueLogFacts, victims: &[u64], what: &str) {
    let distinct: BTreeSet<u64> = victims.iter().copied().collect();
    assert_eq!(distinct.len(), victims.len(), "{what}: {victims:?}");
    let file = |id: &u64| {
        log.files
            .iter()
            .find(|file| file.id == *id)
            .unwrap_or_else(|| panic!("{what}: no file {id}"))
    };
    let files: Vec<&ValueFileFacts> = victims.iter().map(file).collect();
    assert!(
        files.iter().all(|file| file.garbage_bytes > 0),
        "{what}: {files:?}"
    );
    let live: u64 = files.iter().map(|file| file.live_bytes()).sum();
    let most = log
        .file_bytes
        .max(files.first().map_or(0, |file| file.live_bytes()));
    assert!(
        live <= most,
        "{what}: {live} bytes are live of at most {most}"
    );
}

#[test]
fn victims_are_files_with_garbage_whose_survivors_fit_one_file() {
    for name in FAMILY.names() {
        let spec = PolicySpec::named(name);
        for seed in 0..20 {
            let mut one = policy(&spec);
            let mut other = policy(&spec);
            let mut chance = SplitMix64(seed);
            let mut named = 0;
            for step in 0..300 {
                let log = random_log(&mut chance);
                let victims = one.victims(&log);
                let what = format!("{}, seed {seed}, step {step}", name);
                check(&log, &victims, &what);
                assert_eq!(
                    victims,
                    other.victims(&log),
                    "{what}: the same facts, the same victims"
                );
                named += victims.len();
            }
            assert_eq!(named == 0, name == NONE, "{}, seed {seed}", name);
        }
    }
}

#[test]
fn a_clean_log_has_no_victims_and_an_urgent_one_with_garbage_has() {
    for name in FAMILY.names() {
        for seed in 0..200 {
            let what = format!("{}, seed {seed}", name);
            let mut chance = SplitMix64(seed);
            let mut log = random_log(&mut chance);
            log.files.push(ValueFileFacts {
                id: 1000,
                bytes: log.file_bytes,
                ..ValueFileFacts::default()
            });
            for urgent in [false, true] {
                let clean = log
                    .files
                    .iter()
                    .map(|file| ValueFileFacts {
                        garbage_bytes: 0,
                        ..*file
                    })
                    .collect();
                let clean = ValueLogFacts {
                    files: clean,
                    urgent,
                    ..log
                };
                assert_eq!(
                    policy(&PolicySpec::named(name)).victims(&clean),
                    [0_u64; 0],
                    "{what}"
                );
            }
            // One file with a fifth of garbage is enough, wherever it stands.
            let dirty = chance.below(log.files.len() as u64) as usize;
            for (place, file) in log.files.iter_mut().enumerate() {
                file.garbage_bytes = if place == dirty {
                    file.bytes.div_ceil(5)
                } else {
                    0
                };
            }
            log.urgent = true;
            let expected = if name == NONE {
                vec![]
            } else {
                vec![log.files[dirty].id]
            };
            assert_eq!(
                policy(&PolicySpec::named(name)).victims(&log),
                expected,
                "{what}"
            );
        }
    }
}

#[test]
fn cost_benefit_is_greedy_where_ages_are_equal() {
    for seed in 0..2000 {
        let mut chance = SplitMix64(seed);
        let mut log = random_log(&mut chance);
        let age_bytes = if chance.below(4) == 0 {
            0
        } else {
            chance.below(1 << 40)
        };
        log.files
            .iter_mut()
            .for_each(|file| file.age_bytes = age_bytes);
        let [greedy, cost_benefit] =
            ["greedy", "cost-benefit"].map(|name| policy(&PolicySpec::named(name)).victims(&log));
        assert_eq!(greedy, cost_benefit, "seed {seed}");
    }
}

/// The live share of the victims at which a log with live share `alpha` is in balance under uniform
/// overwrites, if files are collected in the order in which they were written: alpha = (u - 1) / ln
/// u. It holds for greedy too if files hold many values, because all files then lose their values
/// at the same pace.
fn balance(alpha: f64) -> f64 {
    let mut low = 1e-9_f64;
    let mut high = 1.0 - 1e-9;
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        if (middle - 1.0) / middle.ln() < alpha {
            low = middle
        } else {
            high = middle
        }
    }
    low
}

/// Overwrites the keys that `draw` returns: ten times as many as there are before measuring, and
/// ten times while measuring.
fn steady(
    log: &mut Log,
    mut write: impl FnMut(&mut Log, u32),
    mut draw: impl FnMut() -> u32,
) -> Done {
    for _ in 0..10 * KEYS {
        write(log, draw());
    }
    log.measure();
    for _ in 0..10 * KEYS {
        write(log, draw());
    }
    log.audit();
    log.done
}

fn uniform(seed: u64) -> impl FnMut() -> u32 {
    let mut chance = SplitMix64(seed);
    move || chance.below(u64::from(KEYS)) as u32
}

/// Nine writes of ten go to a tenth of the keys, which are spread over all.
fn skewed(seed: u64) -> impl FnMut() -> u32 {
    let mut chance = SplitMix64(seed);
    move || {
        let hot = chance.below(10) > 0;
        let lot = chance.below(u64::from(KEYS) / 10) as u32;
        if hot {
            lot * 10
        } else {
            lot * 10 + 1 + chance.below(9) as u32
        }
    }
}

/// Whether `measured` is within `tolerance` of `expected`, relatively.
fn near(measured: f64, expected: f64, tolerance: f64) -> bool {
    (measured / expected - 1.0).abs() < tolerance
}

#[test]
fn write_amplification_is_what_the_victims_live_share_says() {
    for name in ["greedy", "cost-benefit"] {
        for garbage in [0.2, 0.35, 0.5, 0.7] {
            let mut policy = policy(&PolicySpec::named(name).with("garbage", garbage));
            let mut log = Log::loaded(KEYS, FILE_BYTES);
            let done = steady(
                &mut log,
                |log, key| log.write(key, &mut *policy),
                uniform(7),
            );
            let u = done.victims_live();
            let amplification = done.write_amplification();
            assert!(
                near(amplification, 1.0 / (1.0 - u), 0.05),
                "{name}, {garbage}: {amplification} at {u}"
            );
            let early = 1.0 - garbage - u;
            assert!(
                (0.0..0.03).contains(&early),
                "{name}: {u} is live of what is collected at {garbage}"
            );
        }
    }
}

/// Writes what `draw` returns into a log of at most `KEYS / alpha` bytes, which `spec` collects.
fn within(spec: &PolicySpec, alpha: f64, draw: impl FnMut() -> u32) -> Done {
    let mut policy = policy(spec);
    let mut log = Log::loaded(KEYS, FILE_BYTES);
    let space = (f64::from(KEYS) / alpha) as u64;
    steady(
        &mut log,
        |log, key| log.write_within(space, key, &mut *policy),
        draw,
    )
}

#[test]
fn under_uniform_overwrites_the_live_share_follows_from_the_space() {
    for alpha in [0.5, 0.6, 0.7, 0.8, 0.9] {
        let done = |name| within(&PolicySpec::named(name), alpha, uniform(3));
        let oldest = done("age-cutoff");
        let greedy = done("greedy");
        for (name, done) in [("age-cutoff", oldest), ("greedy", greedy)] {
            let u = done.victims_live();
            let expected = balance(1.0 / done.space_amplification(KEYS));
            assert!(
                (u - expected).abs() < 0.01,
                "{name}, {alpha}: {u} is live, {expected} in theory"
            );
            assert!(
                near(done.write_amplification(), 1.0 / (1.0 - u), 0.05),
                "{name}, {alpha}: {done:?}"
            );
        }
        // A policy that looks at more than garbage cannot win where there is no more to know, and
        // should not lose much.
        for (name, most) in [("hot-cold", 1.02), ("cost-benefit", 1.35)] {
            let times = done(name).write_amplification() / greedy.write_amplification();
            assert!(
                (0.97..most).contains(&times),
                "{name}, {alpha}: {times} times the writes of greedy"
            );
        }
    }
}

#[test]
fn under_skew_it_pays_to_separate_hot_from_cold() {
    for (alpha, most) in [(0.5, 0.9), (0.6, 0.8), (0.7, 0.8), (0.8, 0.85), (0.9, 0.85)] {
        let done = |name| within(&PolicySpec::named(name), alpha, skewed(3));
        let greedy = done("greedy");
        for name in ["cost-benefit", "hot-cold"] {
            let one = done(name);
            let times = one.write_amplification() / greedy.write_amplification();
            let space = [one, greedy].map(|done| done.space_amplification(KEYS));
            assert!(
                times < most,
                "{name}, {alpha}: {times} times the writes of greedy"
            );
            assert!(
                space[0] < space[1] + 0.01,
                "{name}, {alpha}: space {space:?}"
            );
        }
    }
}
