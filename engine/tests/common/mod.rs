//! Seeded randomness, random settings, and simulated worlds, for the tests that draw their cases.
#![allow(dead_code, reason = "every test file uses a part of it")]

pub(crate) mod cancel;
pub(crate) mod history;
pub(crate) mod specimen;
pub(crate) mod tour;

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use aura_engine::env::sim::{CpuCosts, DeviceProfile, SimConfig, SimWorld};
use aura_engine::{
    CacheConfig, CompactionConfig, Compression, EngineConfig, GcMethod, IndexGate, IndexReads,
    LevelConfig, MemtableStructure, Metadata, Rows, SelfTuningConfig, SyncPolicy, TableConfig,
    TuningMode, ValueLogConfig,
};
use aura_policies::{AnyFamily, PolicySpec};
use bytesize::ByteSize;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// A seeded generator.
pub(crate) struct Chance(Xoshiro256PlusPlus);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0.next_u64() % end
    }

    pub(crate) fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize].clone()
    }
}

/// Returns the seeds to try: `AURA_SEED` alone if it is set, otherwise `AURA_SEEDS` (or `usual`) of
/// them from `AURA_FIRST_SEED` on.
pub(crate) fn seeds(usual: u64) -> Vec<u64> {
    let number = |name| {
        std::env::var(name)
            .ok()
            .map(|it| it.parse::<u64>().expect("a number"))
    };
    match number("AURA_SEED") {
        Some(seed) => vec![seed],
        None => {
            let first = number("AURA_FIRST_SEED").unwrap_or(1);
            (first..first + number("AURA_SEEDS").unwrap_or(usual)).collect()
        }
    }
}

/// Runs `test`. If it fails, prints how to repeat it.
pub(crate) fn repeatable(seed: u64, test: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(test)) {
        #[expect(
            clippy::print_stderr,
            reason = "the reader of a failure needs the seed"
        )]
        {
            eprintln!("to repeat this failure alone: AURA_SEED={seed}");
        }
        resume_unwind(panic);
    }
}

/// Prints a line for a reader who runs the test with `--nocapture`.
#[expect(
    clippy::print_stdout,
    reason = "figures are for people and for scripts/soak, which adds them up"
)]
pub(crate) fn print(line: std::fmt::Arguments<'_>) {
    println!("{line}");
}

/// Prints how many cases of a kind a test has tried.
pub(crate) fn tried(what: &str, count: u64) {
    print(format_args!("tried: {what}={count}"));
}

/// Virtual time after which a test counts as hanging: hours more than any test needs.
const HANGS_AFTER_NANOS: u64 = 3_600_000_000_000;

/// Runs `future` in `world`. It panics if the future waits for ever, even while a timer goes on.
pub(crate) fn run<T>(world: &SimWorld, future: impl Future<Output = T>) -> T {
    let bound = world.env().clock.sleep(HANGS_AFTER_NANOS);
    let bounded = async {
        let mut future = pin!(future);
        let mut bound = pin!(bound);
        std::future::poll_fn(|context| {
            match (future.as_mut().poll(context), bound.as_mut().poll(context)) {
                (Poll::Ready(value), _) => Poll::Ready(value),
                (Poll::Pending, Poll::Ready(())) => {
                    panic!("the future hangs: an hour of virtual time has passed")
                }
                (Poll::Pending, Poll::Pending) => Poll::Pending,
            }
        })
        .await
    };
    world
        .block_on(bounded)
        .unwrap_or_else(|error| panic!("{error}"))
}

/// Returns a simulated world in which CPU work takes no time.
pub(crate) fn sim(seed: u64) -> SimWorld {
    SimWorld::new(&sim_config(seed))
}

pub(crate) fn sim_config(seed: u64) -> SimConfig {
    let device =
        DeviceProfile::named(["null", "nvme", "cloud-block"][seed as usize % 3]).expect("known");
    SimConfig {
        device,
        cpu: CpuCosts::FREE,
        cores: 2,
        seed,
    }
}

fn named(name: &str, params: &[(&str, serde_json::Value)]) -> PolicySpec {
    params
        .iter()
        .fold(PolicySpec::named(name), |spec, (key, value)| {
            spec.with(key, value.clone())
        })
}

/// Returns key number `number`, for tests whose keys have the order of their numbers.
pub(crate) fn key(number: u64) -> Vec<u8> {
    format!("key-{number:06}").into_bytes()
}

/// Returns settings with blocks of 1 KiB, tables of `table`, a cache that holds everything, and
/// compactions only on request.
pub(crate) fn compacted_by_hand(table: ByteSize) -> EngineConfig {
    let mut config = EngineConfig::default();
    config.memtable = ByteSize::mib(8);
    config.table.block = ByteSize::kib(1);
    config.table.size = table;
    config.cache.size = ByteSize::mib(16);
    config.compaction.level0_trigger = 100;
    config.compaction.level0_slowdown = 200;
    config.compaction.level0_stop = 300;
    config
}

/// Draws any policy of a family.
pub(crate) fn any(chance: &mut Chance, family: &dyn AnyFamily) -> PolicySpec {
    let policies = family.info().policies;
    let names: Vec<&str> = policies.iter().map(|policy| policy.name).collect();
    PolicySpec::named(chance.pick(&names))
}

/// Draws a limit on background I/O, or no limit.
pub(crate) fn io_limit(chance: &mut Chance) -> ByteSize {
    ByteSize(chance.pick(&[0, 0, 1 << 20, 32 << 20]))
}

/// Draws small settings, so that a few thousand operations flush and compact many times. Every
/// policy is drawn too.
pub(crate) fn random_config(chance: &mut Chance) -> EngineConfig {
    let mut config = EngineConfig::default();
    config.memtable = ByteSize(chance.pick(&[4 << 10, 16 << 10, 64 << 10]));
    config.memtable_structure = chance.pick(&MemtableStructure::ALL);
    config.memtables_sealed_max = 1 + chance.below(3) as u32;
    let interval = SyncPolicy::Interval(Duration::from_micros(500));
    config.wal.sync = chance.pick(&[
        SyncPolicy::Always,
        SyncPolicy::Never,
        interval,
        SyncPolicy::Bytes(ByteSize(4096)),
    ]);
    draw_tables(chance, &mut config.table);
    draw_cache(chance, &mut config.cache);
    draw_compaction(chance, &mut config.compaction);
    draw_value_log(chance, &mut config.value_log);
    draw_self_tuning(chance, &mut config);
    if chance.below(2) == 0 {
        // Drawn with the other policies.
        config.io_limiter = Some(aura_policies::defaults().limiter);
    }
    for slot in config.policies_mut() {
        *slot.spec = draw_policy(chance, &slot.key, slot.family);
    }
    config.io_limit = io_limit(chance);
    config
}

const CODECS: [Compression; 4] = [
    Compression::None,
    Compression::Lz4,
    Compression::Zstd,
    Compression::Snappy,
];

fn draw_tables(chance: &mut Chance, table: &mut TableConfig) {
    table.compression = chance.pick(&CODECS);
    table.block = ByteSize(chance.pick(&[64, 512, 4096]));
    table.size = ByteSize(chance.pick(&[4 << 10, 32 << 10]));
    let open = IndexGate {
        memory: 1e9,
        window_blocks: u32::MAX,
        probes: 1e9,
    };
    table.index_gate = chance.pick(&[IndexGate::default(), open, open]);
    table.index_reads = chance.pick(&[IndexReads::Blocks, IndexReads::Window]);
    if chance.below(2) == 0 {
        let own = LevelConfig {
            block: Some(ByteSize(chance.pick(&[64, 512, 4096]))),
            compression: Some(chance.pick(&CODECS)),
            // Drawn with the other policies.
            filter: Some(table.filter.clone()),
            index: Some(table.index.clone()),
        };
        table.levels.insert(1, own);
    }
}

fn draw_cache(chance: &mut Chance, cache: &mut CacheConfig) {
    cache.size = ByteSize(chance.pick(&[0, 4 << 10, 64 << 10, 1 << 20]));
    cache.shards = chance.below(3) as u32;
    cache.metadata = chance.pick(&[Metadata::Pinned, Metadata::Priority, Metadata::Normal]);
    cache.metadata_share = chance.pick(&[0.0, 0.3, 1.0]);
    cache.rows = chance.pick(&[Rows::None, Rows::KeyValue, Rows::KeyPointer, Rows::Both]);
}

fn draw_compaction(chance: &mut Chance, compaction: &mut CompactionConfig) {
    compaction.agent_window = 100;
    compaction.base = ByteSize(chance.pick(&[16 << 10, 64 << 10]));
    compaction.level0_trigger = 1 + chance.below(4) as u32;
    compaction.level0_slowdown = compaction.level0_trigger + 2;
    compaction.level0_stop = compaction.level0_trigger + 4;
    compaction.jobs = 1 + chance.below(3) as u32;
    if chance.below(2) == 0 {
        // Drawn with the other policies.
        compaction.stall = Some(aura_policies::defaults().stall);
        compaction.debt_slowdown = ByteSize(chance.pick(&[16 << 10, 64 << 10]));
    }
}

/// Self-tuning over ranges that hold every value that is drawn elsewhere, in half of all cases.
fn draw_self_tuning(chance: &mut Chance, config: &mut EngineConfig) {
    if chance.below(2) == 0 {
        return;
    }
    let mut tuning = SelfTuningConfig {
        mode: chance.pick(&[TuningMode::Apply, TuningMode::Apply, TuningMode::Propose]),
        window: 20,
        hold: chance.below(8) == 0,
        watch: 1 + chance.below(2) as u32,
        harm: chance.pick(&[0.0, 0.1, 1.0]),
        fall_back: 1 + chance.below(4) as u32,
        rest: 1 + chance.below(4),
        ..SelfTuningConfig::default()
    };
    tuning.ranges.memtable = Some([ByteSize::kib(4), ByteSize::kib(256)]);
    tuning.ranges.cache.size = Some([ByteSize(0), ByteSize::mib(1)]);
    tuning.ranges.filter_bits = Some([1.0, 20.0]);
    tuning.ranges.level0_trigger = Some([1, 6]);
    tuning.ranges.io_limit = Some([ByteSize::kib(64), ByteSize::gib(1)]);
    config.self_tuning = Some(tuning);
}

fn draw_value_log(chance: &mut Chance, value_log: &mut ValueLogConfig) {
    value_log.compression = chance.pick(&CODECS);
    value_log.file = ByteSize(chance.pick(&[4 << 10, 16 << 10, 256 << 10]));
    value_log.queues = 1 + chance.below(3) as u32;
    value_log.gc_method = chance.pick(&GcMethod::ALL);
    let shares = [[0.0, 0.0, 0.0], [0.1, 0.3, 0.4], [0.2, 0.9, 1.0]];
    let [low, high, stop] = chance.pick(&shares);
    value_log.gc_low = low;
    value_log.gc_high = high;
    value_log.gc_stop = stop;
    value_log.inline_again = chance.below(2) == 0;
}

/// Self-tuners that are never at rest.
fn self_tuners() -> Vec<PolicySpec> {
    vec![
        named("random", &[("rate", 1.into())]),
        named("random", &[("rate", 1.into())]),
        named("hill-climb", &[("pause", 1.into())]),
        named("memory", &[("min_gain", 0.into())]),
        named("limiter", &[("periods", 2.into())]),
    ]
}

/// Layouts that suit a small tree.
fn layouts() -> Vec<PolicySpec> {
    vec![
        named("leveled", &[("ratio", 3.into())]),
        named("tiered", &[("ratio", 3.into())]),
        named(
            "flexible",
            &[("ratio", 4.into()), ("runs", serde_json::json!([3, 1, 2]))],
        ),
        named("lazy-leveled", &[("ratio", 3.into())]),
        named(
            "fluid",
            &[("ratio", 4.into()), ("k", 3.into()), ("z", 2.into())],
        ),
        named("dynamic", &[("ratio", 3.into()), ("levels", 3.into())]),
        named("universal", &[("runs", 3.into())]),
        named("moose", &[("data", 20.into())]),
        named("bush", &[]),
    ]
}

/// Draws a policy for a setting: any of its family, or one with parameters that suit a small tree.
fn draw_policy(chance: &mut Chance, key: &str, family: &dyn AnyFamily) -> PolicySpec {
    let indexes = aura_policies::index::FAMILY.names();
    let steps = serde_json::json!([
        { "at_operations": 200, "level": 1, "runs": 3 },
        { "at_operations": 300, "level0_trigger": 1 },
        { "at_operations": 500, "level": 2, "runs": 2, "transition": "lazy" },
        { "at_operations": 700, "merge": { "from": 0, "to": 2 } },
        { "at_operations": 900, "level": 1, "runs": 1, "transition": "greedy" },
    ]);
    let of_level = key.strip_prefix("table.levels.1.");
    let key = of_level.map_or(key.to_owned(), |of_level| format!("table.{of_level}"));
    let suited = match &*key {
        "table.filter" => vec![
            named("none", &[]),
            named("bloom", &[]),
            named("bloom", &[("bits_per_key", 2.into())]),
        ],
        "table.index_tuner" => vec![
            named("fixed", &[]),
            named("cost-benefit", &[("bootstrap", serde_json::json!([1]))]),
            named(
                "adaptive",
                &[
                    ("candidates", serde_json::json!(indexes)),
                    ("explore", 1.into()),
                ],
            ),
        ],
        "compaction.layout" => layouts(),
        "compaction.picker" => {
            let soon = named("lethe", &[("deadline", 300.into()), ("ratio", 3.into())]);
            let often = named("read-triggered", &[("reads_per_byte", 0.001.into())]);
            vec![soon, often, any(chance, family)]
        }
        "compaction.agent" => vec![
            named("none", &[]),
            named("schedule", &[("steps", steps)]),
            named(
                "random",
                &[
                    ("rate", 1.into()),
                    ("runs_max", 3.into()),
                    ("level0_max", 3.into()),
                ],
            ),
        ],
        "self_tuning.policy" => self_tuners(),
        "io_limiter" => vec![
            named("fixed", &[]),
            named("silk", &[("window_ms", 1.into())]),
            named(
                "auto-tuned",
                &[("period_ms", 1.into()), ("periods", 2.into())],
            ),
        ],
        "value_log.separation" => vec![
            named("never", &[]),
            named("threshold", &[("bytes", 1.into())]),
            named("threshold", &[("bytes", 512.into())]),
        ],
        _ => return any(chance, family),
    };
    chance.pick(&suited)
}
