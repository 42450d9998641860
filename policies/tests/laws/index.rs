//! Laws of table indexes.

use aura_policies::PolicySpec;
use aura_policies::index::{FAMILY, Model, Trained, build, decode};
use bytes::Bytes;

use crate::SplitMix64;

/// Sorted images of many kinds, with a name each.
fn sets() -> Vec<(&'static str, Vec<u64>)> {
    let mut random = SplitMix64(5);
    let mut drawn = |count: usize, bound: u64| (0..count).map(|_| random.below(bound)).collect::<Vec<u64>>();
    let mut sets = vec![
        ("random", drawn(20_000, u64::MAX)),
        ("random, narrow", drawn(20_000, 1 << 44)),
        ("ties", drawn(20_000, 5000)),
        ("few images", drawn(5000, 3)),
        (
            "clustered",
            drawn(50, u64::MAX).into_iter().flat_map(|start| (0..400).map(move |i| start.saturating_add(i))).collect(),
        ),
        (
            "clusters of ties",
            drawn(100, 1 << 60).into_iter().flat_map(|start| (0..200).map(move |i| start + i / 7)).collect(),
        ),
        ("consecutive", (0..10_000).collect()),
        ("consecutive at the top", (u64::MAX - 9999..=u64::MAX).collect()),
        ("far neighbours", [0].into_iter().chain((0..5000).map(|i| (1 << 63) + i)).collect()),
        ("ends", [0, u64::MAX].into_iter().chain((0..5000).map(|i| i * 1_000_003)).collect()),
        ("ties at the ends", [0; 500].into_iter().chain([u64::MAX; 500]).chain((0..5000).map(|i| i << 50)).collect()),
        ("squares", (0..10_000).map(|i| i * i).collect()),
        ("powers", (0..64).map(|i| 1 << i).collect()),
        ("two", vec![3, 9]),
        ("one", vec![3]),
        ("one, often", vec![3; 100]),
        ("none", Vec::new()),
    ];
    for (_, images) in &mut sets {
        images.sort_unstable();
    }
    sets
}

fn check(name: &str, model: &dyn Model, images: &[u64], image: u64) {
    let window = model.locate(image);
    let (lo, hi) = (window.lo as usize, window.hi as usize);
    let rank = images.partition_point(|stored| *stored < image);
    assert!(lo <= rank && rank <= hi, "{name}: {image} has rank {rank}, not in {window:?}");
    assert!(hi <= images.len(), "{name}: {window:?} of {} keys", images.len());
}

#[test]
fn the_rank_lies_in_the_window_for_every_key_and_every_gap() {
    for entry in FAMILY.entries {
        let policy = build(&PolicySpec::named(entry.name)).expect("defaults build");
        let mut models = 0;
        let mut fences = 0;
        for (set, images) in sets() {
            let encoded = match policy.train(&images) {
                Trained::Model(encoded) => encoded,
                Trained::Refused(reason) => {
                    assert!(!reason.is_empty(), "{}", entry.name);
                    continue;
                }
                Trained::Fence => {
                    fences += 1;
                    continue;
                }
            };
            let name = format!("{}, {set}", entry.name);
            models += 1;
            let model = decode(entry.name, Bytes::from(encoded)).expect("what was encoded decodes");
            assert!(model.memory_bytes() > 0 && model.segments() > 0, "{name}");
            for image in &images {
                for near in [image.saturating_sub(1), *image, image.saturating_add(1)] {
                    check(&name, &*model, &images, near);
                }
            }
            for gap in images.windows(2) {
                check(&name, &*model, &images, gap[0] + (gap[1] - gap[0]) / 2);
            }
            for end in [0, 1, u64::MAX - 1, u64::MAX] {
                check(&name, &*model, &images, end);
            }
        }
        assert!(fences == sets().len() || models >= 5, "{}: {models} models, {fences} fences", entry.name);
    }
}

#[test]
fn broken_bytes_do_no_harm() {
    for entry in FAMILY.entries {
        let policy = build(&PolicySpec::named(entry.name)).expect("defaults build");
        let images: Vec<u64> = (0..2000).map(|i| i * i).collect();
        let encoded = match policy.train(&images) {
            Trained::Model(encoded) => Bytes::from(encoded),
            Trained::Fence | Trained::Refused(_) => Bytes::new(),
        };
        for length in 0..encoded.len() {
            assert!(decode(entry.name, encoded.slice(..length)).is_none(), "{}: {length} bytes", entry.name);
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
            if let Some(model) = decode(entry.name, Bytes::from(garbage)) {
                for image in [0, 1, random.next(), u64::MAX] {
                    let window = model.locate(image);
                    assert!(window.lo <= window.hi, "{}: {window:?}", entry.name);
                }
            }
        }
    }
    assert!(decode("no such index", Bytes::new()).is_none());
}
