//! Laws of the warming policies: decisions are functions of the facts, and facts that were not
//! requested play no part.

use aura_policies::warming::{Asks, FAMILY, OutputBlock, Warming, build};
use aura_policies::{PolicyError, PolicySpec};

use crate::SplitMix64;

fn random_block(chance: &mut SplitMix64) -> OutputBlock {
    let from_flush = chance.below(3) == 0;
    let overlapped_blocks = if from_flush {
        0
    } else {
        chance.below(5) as u32
    };
    let overlapped_bytes = u64::from(overlapped_blocks) * 4096;
    let resident_bytes = if overlapped_bytes == 0 {
        0
    } else {
        chance.below(overlapped_bytes + 1)
    };
    OutputBlock {
        level: if from_flush {
            0
        } else {
            1 + chance.below(5) as usize
        },
        from_flush,
        bytes: 1 + chance.below(8192),
        overlapped_blocks,
        overlapped_bytes,
        resident_bytes,
        hits: if resident_bytes == 0 {
            0
        } else {
            chance.below(4)
        },
    }
}

/// What a policy sees that asked for fewer facts.
fn cut_down(block: OutputBlock, asks: Asks) -> OutputBlock {
    let OutputBlock {
        level,
        from_flush,
        bytes,
        ..
    } = block;
    if asks == Asks::Overlaps {
        block
    } else {
        OutputBlock {
            level,
            from_flush,
            bytes,
            ..OutputBlock::default()
        }
    }
}

fn policy(spec: &PolicySpec) -> Box<dyn Warming> {
    build(spec).expect("the policy builds")
}

#[test]
fn decisions_are_repeated_and_rest_on_what_was_asked_for() {
    for name in FAMILY.names() {
        let one = policy(&PolicySpec::named(name));
        let other = policy(&PolicySpec::named(name));
        let mut chance = SplitMix64(3);
        let mut warmed = 0;
        for step in 0..10_000 {
            let block = random_block(&mut chance);
            let warms = one.warms(&block);
            warmed += u64::from(warms);
            assert_eq!(warms, other.warms(&block), "{}, seed 3, step {step}", name);
            assert_eq!(
                warms,
                one.warms(&cut_down(block, one.asks())),
                "{}, seed 3, step {step}",
                name
            );
        }
        assert_eq!(
            warmed > 0,
            one.asks() != Asks::Nothing,
            "{}: a policy warms if and only if it asks",
            name
        );
        assert!(
            one.drops_dead() || warmed == 0,
            "{}: a policy that fills the cache drops dead blocks",
            name
        );
    }
}

#[test]
fn each_warms_what_its_name_says() {
    let warmed = |spec: &PolicySpec| {
        let policy = policy(spec);
        let mut chance = SplitMix64(4);
        let blocks = (0..5_000).map(|_| random_block(&mut chance));
        blocks
            .filter(|block| policy.warms(block))
            .collect::<Vec<_>>()
    };
    assert_eq!(warmed(&PolicySpec::named("warm-all")).len(), 5_000);
    let flushed = warmed(&PolicySpec::named("warm-flush"));
    assert!(flushed.len() > 1_000 && flushed.iter().all(|block| block.from_flush));
    let hot = PolicySpec::named("predicted-hot");
    let half = warmed(&hot);
    assert!(!half.is_empty());
    assert!(
        half.iter()
            .all(|block| 2 * block.resident_bytes >= block.overlapped_bytes && block.hits > 0),
        "{half:?}"
    );
    let whole = warmed(&hot.clone().with("share", 1.0).with("hits", 0));
    for block in whole {
        assert!(block.resident_bytes > 0);
        assert_eq!(block.resident_bytes, block.overlapped_bytes);
    }
    assert!(warmed(&hot.clone().with("share", 0.1)).len() > half.len());
    assert_eq!(warmed(&hot.clone().with("dry_run", true)), []);
    for share in [0.0, 1.5] {
        let refused = build(&hot.clone().with("share", share)).map(drop);
        assert!(
            matches!(refused, Err(PolicyError::BadParameter { .. })),
            "{share}"
        );
    }
}
