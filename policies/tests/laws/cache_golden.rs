//! Miss counts that other programs gave for the same policies: they agree exactly.

use aura_policies::PolicySpec;

use crate::cache_trace::{Trace, skewed};

fn misses<const N: usize>(policy: &PolicySpec, trace: &Trace, slots: [u64; N]) -> [u64; N] {
    slots.map(|slots| trace.misses(policy, slots))
}

/// Checks the misses of policies at several sizes.
fn expect<const N: usize>(trace: &Trace, slots: [u64; N], golden: &[(PolicySpec, [u64; N])]) {
    for (policy, expected) in golden {
        assert_eq!(misses(policy, trace, slots), *expected, "{policy}");
    }
}

fn named(name: &str) -> PolicySpec {
    PolicySpec::named(name)
}

#[test]
fn the_skewed_trace_is_the_one_counted() {
    let trace = skewed();
    assert_eq!(
        trace[..10],
        [8496, 5452, 264, 8669, 678, 2979, 424, 12121, 1262, 4057]
    );
    assert_eq!(trace.iter().sum::<u64>(), 1_000_988_552);
}

#[test]
fn misses_on_the_skewed_trace() {
    let golden = [
        (named("lru"), [197_981, 190_086, 162_485, 75_216]),
        (named("fifo"), [197_988, 190_162, 163_890, 84_238]),
        (named("clock"), [197_976, 189_973, 161_388, 72_539]),
        (named("sieve"), [196_771, 185_551, 150_678, 64_294]),
        (named("s3-fifo"), [196_212, 183_884, 149_253, 66_939]),
        (
            named("s3-fifo").with("threshold", 1),
            [196_247, 183_834, 149_329, 66_252],
        ),
        (named("2q"), [196_807, 185_742, 153_182, 74_607]),
        (named("arc"), [196_654, 185_162, 151_948, 70_448]),
        (named("lfu"), [197_062, 185_978, 151_001, 64_305]),
    ];
    expect(&Trace::of_keys(skewed()), [100, 500, 2000, 8000], &golden);
}

#[test]
fn a_loop_larger_than_the_cache_always_misses_unless_ghosts_break_it() {
    let cycle = Trace::of_keys((0..20_000).map(|i| i % 1000));
    let golden = [
        (named("lru"), [20_000, 20_000, 20_000, 20_000, 1000]),
        (named("fifo"), [20_000, 20_000, 20_000, 20_000, 1000]),
        (named("clock"), [20_000, 20_000, 20_000, 20_000, 1000]),
        (named("sieve"), [20_000, 20_000, 20_000, 20_000, 1000]),
        (named("arc"), [20_000, 20_000, 20_000, 20_000, 1000]),
        (named("lfu"), [20_000, 20_000, 20_000, 20_000, 1000]),
        (named("s3-fifo"), [20_000, 20_000, 5418, 2437, 1000]),
    ];
    expect(&cycle, [100, 500, 900, 999, 1000], &golden);
}

#[test]
fn one_scan_through_a_cache_with_room_for_the_hot_keys() {
    let hot = || (0..20_000).map(|i| i % 400);
    let trace = Trace::of_keys(hot().chain(1000..21_000).chain(hot()));
    for (policy, expected) in [
        ("lru", 20_800),
        ("fifo", 20_800),
        ("clock", 20_800),
        ("sieve", 20_400),
        ("s3-fifo", 20_400),
        ("arc", 20_400),
        ("lfu", 20_400),
        ("clock-pro", 20_400),
        ("lru-k", 20_400),
    ] {
        assert_eq!(trace.misses(&named(policy), 1000), expected, "{policy}");
    }
}

#[test]
fn with_one_size_and_cost_gdsf_is_lfu_with_aging() {
    let trace = Trace::of_keys(skewed());
    let slots = [100, 500, 2000, 8000];
    assert_eq!(
        misses(&named("gdsf"), &trace, slots),
        misses(&named("lfu-da"), &trace, slots)
    );
}

/// Counted here, and by no other program: the same policies agree with other programs on the traces
/// of the oracles, or with a model. A count that changes is a policy that changed.
#[test]
fn misses_of_policies_that_are_compared_elsewhere() {
    let golden = [
        (named("clock-pro"), [196_717, 185_489, 151_995, 66_026]),
        (named("mq"), [197_881, 187_470, 145_671, 62_567]),
        (
            named("mq").with("lifetime", 75).with("ghosts", 0.5),
            [197_969, 190_014, 162_312, 75_032],
        ),
        (named("lru-k"), [196_825, 185_653, 152_106, 66_225]),
        (
            named("lru-k").with("correlated", 0.0),
            [196_685, 185_206, 151_151, 65_842],
        ),
        (named("random"), [197_993, 190_314, 163_506, 84_082]),
        (named("lhd"), [197_866, 190_007, 161_057, 73_179]),
    ];
    expect(&Trace::of_keys(skewed()), [100, 500, 2000, 8000], &golden);
}

#[test]
fn clock_pro_breaks_a_loop_and_lru_k_and_mq_do_not() {
    let cycle = Trace::of_keys((0..20_000).map(|i| i % 1000));
    let golden = [
        (named("clock-pro"), [18_138, 10_595, 3071, 1190, 1000]),
        (named("lru-k"), [20_000, 20_000, 20_000, 20_000, 1000]),
        (named("mq"), [20_000, 20_000, 20_000, 20_000, 1000]),
        (named("random"), [20_000, 16_158, 4654, 1041, 1000]),
    ];
    expect(&cycle, [100, 500, 900, 999, 1000], &golden);
}

#[test]
fn misses_on_cloud_physics() {
    let Some(trace) = Trace::of_oracle("cloudPhysicsIO") else {
        return;
    };
    assert_eq!(trace.len(), 113_872);
    let golden = [
        (
            named("lru"),
            [95_398, 94_823, 94_189, 92_816, 87_740, 75_013],
        ),
        (
            named("fifo"),
            [96_483, 95_520, 94_588, 92_910, 87_596, 72_732],
        ),
        (
            named("clock"),
            [95_293, 94_727, 94_081, 92_747, 87_731, 74_923],
        ),
        (
            named("sieve"),
            [94_379, 93_975, 93_411, 91_547, 84_794, 69_601],
        ),
        (
            named("s3-fifo"),
            [94_551, 94_017, 92_455, 87_644, 80_658, 70_641],
        ),
        (
            named("2q"),
            [94_565, 94_117, 93_075, 89_423, 82_104, 72_175],
        ),
        (
            named("arc"),
            [94_218, 94_027, 92_829, 90_159, 82_230, 67_162],
        ),
        (
            named("lfu"),
            [96_651, 95_562, 93_707, 91_547, 84_794, 69_601],
        ),
        (
            named("slru").with("fill", "spread"),
            [94_579, 94_084, 93_636, 91_778, 85_035, 66_674],
        ),
        (
            named("gdsf"),
            [94_697, 94_176, 93_645, 92_469, 87_633, 73_466],
        ),
    ];
    for (policy, expected) in golden {
        assert_eq!(
            misses(&policy, &trace, [500, 1000, 2000, 4000, 8000, 16_000]),
            expected,
            "{policy}"
        );
    }
}

#[test]
fn misses_on_cloud_physics_with_sizes() {
    let Some(trace) = Trace::of_oracle("cloudPhysicsIO") else {
        return;
    };
    let golden = [
        (
            named("lru"),
            [
                93_374, 89_783, 83_572, 81_722, 72_494, 72_104, 71_972, 71_704,
            ],
        ),
        (
            named("arc").with("step", "one"),
            [
                90_252, 85_861, 78_168, 74_297, 67_381, 65_685, 64_439, 64_772,
            ],
        ),
    ];
    for (policy, expected) in golden {
        let found =
            [1, 2, 3, 4, 5, 6, 7, 8].map(|steps| trace.misses_in_bytes(&policy, steps << 27));
        assert_eq!(found, expected, "{policy}");
    }
}
