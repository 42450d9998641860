//! Key sets for table indexes: those of the golden counts, defined by arithmetic, and hard ones.

use crate::SplitMix64;
use crate::oracle::oracle_bytes;

/// Output `i` of SplitMix64 seeded with 0.
fn splitmix(i: u64) -> u64 {
    SplitMix64(i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).next()
}

/// 100,000 distinct keys: `square`, `uniform44`, `gaps`, `clusters` or `linear`.
pub(crate) fn golden(name: &str) -> Vec<u64> {
    let mut images: Vec<u64> = match name {
        "square" => (1..=100_000).map(|i| i * i).collect(),
        "uniform44" => (0..100_000).map(|i| splitmix(i) >> 20).collect(),
        "gaps" => (0..100_000)
            .scan(0, |sum, i| {
                let a = splitmix(i) >> 32;
                let b = splitmix(i) & 0xffff_ffff;
                *sum += 1 + ((((a * b) >> 32) * 1000) >> 32);
                Some(*sum)
            })
            .collect(),
        "clusters" => (0..100_000)
            .map(|i| ((splitmix(i / 1000) >> 24) << 10) + i % 1000)
            .collect(),
        "linear" => (0..100_000).map(|i| 1000 + 7 * i).collect(),
        other => panic!("no set {other}"),
    };
    images.sort_unstable();
    images
}

/// Images with a name.
type Set = (&'static str, Vec<u64>);

/// Sorted images of many kinds, each with a name.
pub(crate) fn hard() -> Vec<Set> {
    let mut sets = drawn_sets();
    sets.extend(computed_sets());
    for (_, images) in &mut sets {
        images.sort_unstable();
    }
    sets
}

fn drawn_sets() -> Vec<Set> {
    let mut random = SplitMix64(5);
    let mut drawn = |count: usize, bound: u64| -> Vec<u64> {
        (0..count).map(|_| random.below(bound)).collect()
    };
    let mut sets = vec![
        ("random", drawn(20_000, u64::MAX)),
        ("random, narrow", drawn(20_000, 1 << 44)),
        ("ties", drawn(20_000, 5000)),
        ("few images", drawn(5000, 3)),
    ];
    let mut clustered = Vec::new();
    for start in drawn(50, u64::MAX) {
        clustered.extend((0..400).map(|i| start.saturating_add(i)));
    }
    sets.push(("clustered", clustered));
    let mut ties = Vec::new();
    for start in drawn(100, 1 << 60) {
        ties.extend((0..200).map(|i| start + i / 7));
    }
    sets.push(("clusters of ties", ties));
    let mut outlier = drawn(20_000, 1 << 30);
    outlier.push(u64::MAX - 1);
    sets.push(("one far outlier", outlier));
    sets
}

fn computed_sets() -> Vec<Set> {
    let many = |ties: &[u64], others: &[u64]| [ties, others].concat();
    let every = |step: u64| -> Vec<u64> { (0..5000).map(|i| i * step).collect() };
    let far: Vec<u64> = (0..5000).map(|i| (1 << 63) + i).collect();
    let tens: Vec<u64> = (0..10_000).map(|i| i * 10).collect();
    let ends = [[0; 500], [u64::MAX; 500]].concat();
    vec![
        ("many ties", many(&[50_000; 500], &tens)),
        ("consecutive", (0..10_000).collect()),
        (
            "consecutive at the top",
            (u64::MAX - 9999..=u64::MAX).collect(),
        ),
        ("far neighbours", many(&[0], &far)),
        ("ends", many(&[0, u64::MAX], &every(1_000_003))),
        ("ties at the ends", many(&ends, &every(1 << 50))),
        ("squares", (0..10_000).map(|i| i * i).collect()),
        (
            "cubes at the top",
            (0..10_000).map(|i| u64::MAX - i * i * i).collect(),
        ),
        ("powers", (0..64).map(|i| 1 << i).collect()),
        ("two", vec![3, 9]),
        ("one", vec![3]),
        ("one, often", vec![3; 100]),
        ("none", Vec::new()),
    ]
}

/// A file of the learned indexes' oracles.
pub(crate) fn oracle(name: &str) -> Option<Vec<u8>> {
    oracle_bytes(&format!("learned_index/{name}"))
}

/// The keys of an oracle's data set, which is stored as differences.
pub(crate) fn oracle_keys(dataset: &str) -> Option<Vec<u64>> {
    let differences = oracle(&format!("keys/{dataset}.u64d.zst"))?;
    let differences = differences
        .chunks_exact(8)
        .map(|bytes| u64::from_le_bytes(bytes.try_into().expect("8 bytes")));
    Some(
        differences
            .scan(0, |key, difference| {
                *key += difference;
                Some(*key)
            })
            .collect(),
    )
}

#[test]
fn the_golden_sets_are_the_ones_counted() {
    let ends = |name| {
        golden(name)
            .first()
            .copied()
            .zip(golden(name).last().copied())
    };
    assert_eq!(ends("square"), Some((1, 10_000_000_000)));
    assert_eq!(ends("uniform44"), Some((18_313_327, 17_591_822_471_410)));
    assert_eq!(ends("gaps"), Some((425, 25_018_686)));
    assert_eq!(
        ends("clusters"),
        Some((16_879_511_702_528, 1_093_115_928_759_271))
    );
}
