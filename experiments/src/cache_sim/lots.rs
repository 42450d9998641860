//! Which policies draw lots: they alone need several seeds.
//!
//! A policy does not declare it, so it is tried: a made-up trace is replayed with two seeds, in a
//! small and in a larger cache. What hits and misses alike with both draws no lots.

use aura_policies::cache::{self, Access};
use aura_policies::replay::Replay;
use aura_policies::{PolicyError, PolicySpec, admission};
use aura_workloads::{Seed, TrueZipf};

/// Requests of the made-up trace.
const REQUESTS: usize = 40_000;

/// Objects of the made-up trace.
const OBJECTS: usize = 4000;

/// Bytes of the caches, for objects of 1 to 7. The larger one is for policies whose samples hold a
/// small one whole.
const CAPACITIES: [u64; 2] = [160, 2400];

/// Whether two seeds can lead to different hits. A policy that cannot be built draws none: its rows
/// say why.
pub(super) fn draws_lots(eviction: &PolicySpec, admission: &PolicySpec) -> bool {
    let objects = requests();
    CAPACITIES.iter().any(|&capacity| {
        let hits = |seed| hits(eviction, admission, capacity, seed, &objects);
        match (hits(1), hits(2)) {
            (Ok(one), Ok(other)) => one != other,
            _ => false,
        }
    })
}

/// Skewed requests, and now and then a scan.
fn requests() -> Vec<u32> {
    let zipf = TrueZipf::new(OBJECTS as u64, 0.8);
    let mut generator = Seed(1).child("lots").generator();
    let mut objects = Vec::with_capacity(REQUESTS);
    for at in 0..REQUESTS {
        let drawn = zipf.draw(&mut generator) as usize;
        let is_scan = at % 4000 < 400;
        objects.push(if is_scan {
            at % OBJECTS
        } else {
            drawn % OBJECTS
        } as u32);
    }
    objects
}

fn hits(
    eviction: &PolicySpec,
    admission: &PolicySpec,
    capacity: u64,
    seed: u64,
    objects: &[u32],
) -> Result<Vec<bool>, PolicyError> {
    let eviction = cache::build(eviction, capacity, seed)?;
    let admission = admission::build(admission, capacity, seed)?;
    let mut replay = Replay::new(eviction, admission, capacity, OBJECTS);
    let access = |object: u32| Access::sized(u64::from(object), u64::from(1 + object % 7));
    let hit = |object: &u32| replay.request(*object, &access(*object));
    Ok(objects.iter().map(hit).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policies_that_use_their_seed_are_found() {
        let draws = |name: &str| {
            let always = admission::FAMILY.default_spec();
            draws_lots(&PolicySpec::named(name), &always)
        };
        for name in ["cacheus", "hyperbolic", "lecar", "lhd", "lrb"] {
            assert!(draws(name), "{name}");
        }
        for name in [
            "2q", "arc", "car", "clock", "fifo", "gdsf", "lfu", "lirs", "lru", "s3-fifo",
        ] {
            assert!(!draws(name), "{name}");
        }
        let lru = PolicySpec::named("lru");
        assert!(draws_lots(&lru, &PolicySpec::named("adaptsize")));
        assert!(!draws_lots(&PolicySpec::named("no-such"), &lru));
    }
}
