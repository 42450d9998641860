//! Traces with known counts.

use std::collections::BTreeMap;

use aura_policies::PolicySpec;
use aura_policies::cache::{self, Access};
use aura_policies::replay::{Object, Replay};

use crate::SplitMix64;
use crate::oracle::oracle_text;

/// A trace with its keys numbered.
pub(crate) struct Trace {
    requests: Vec<(Object, Access)>,
    objects: usize,
}

impl Trace {
    pub(crate) fn new(requests: impl IntoIterator<Item = Access>) -> Self {
        let mut numbers = BTreeMap::new();
        let number = |access: Access| {
            let next = numbers.len() as Object;
            (*numbers.entry(access.key).or_insert(next), access)
        };
        let requests = requests.into_iter().map(number).collect();
        Self {
            requests,
            objects: numbers.len(),
        }
    }

    pub(crate) fn of_keys(keys: impl IntoIterator<Item = u64>) -> Self {
        Self::new(keys.into_iter().map(Access::unit))
    }

    /// A `time,key,size` trace of the oracles.
    pub(crate) fn of_oracle(name: &str) -> Option<Self> {
        let text = oracle_text(&format!("cache/traces/{name}.csv.zst"))?;
        let access = |line: &str| {
            let mut fields = line
                .split(',')
                .skip(1)
                .map(|field| field.parse().expect("time,key,size"));
            Access::sized(
                fields.next().expect("a key"),
                fields.next().expect("a size"),
            )
        };
        Some(Self::new(text.lines().skip(1).map(access)))
    }

    pub(crate) fn requests(&self) -> &[(Object, Access)] {
        &self.requests
    }

    /// How many objects it requests.
    pub(crate) fn objects(&self) -> usize {
        self.objects
    }

    pub(crate) fn len(&self) -> usize {
        self.requests.len()
    }

    /// Misses with a capacity of `slots` objects.
    pub(crate) fn misses(&self, spec: &PolicySpec, slots: u64) -> u64 {
        self.misses_drawn(spec, slots, 1)
    }

    /// Misses with a capacity of `slots` objects, of a policy that draws from `seed`.
    pub(crate) fn misses_drawn(&self, spec: &PolicySpec, slots: u64, seed: u64) -> u64 {
        self.replay(spec, slots, seed, |access| Access::unit(access.key))
    }

    /// Misses with a capacity of `bytes`.
    pub(crate) fn misses_in_bytes(&self, spec: &PolicySpec, bytes: u64) -> u64 {
        self.misses_in_bytes_drawn(spec, bytes, 1)
    }

    /// Misses with a capacity of `bytes`, of a policy that draws from `seed`.
    pub(crate) fn misses_in_bytes_drawn(&self, spec: &PolicySpec, bytes: u64, seed: u64) -> u64 {
        self.replay(spec, bytes, seed, |access| *access)
    }

    fn replay(
        &self,
        spec: &PolicySpec,
        capacity: u64,
        seed: u64,
        charge: impl Fn(&Access) -> Access,
    ) -> u64 {
        let eviction = cache::build(spec, capacity, seed).expect("the policy builds");
        let mut cache = Replay::new(eviction, None, capacity, self.objects);
        self.requests
            .iter()
            .map(|(object, access)| u64::from(!cache.request(*object, &charge(access))))
            .sum()
    }
}

/// 200,000 keys, 18,156 of them distinct, skewed as the product of two uniform numbers.
pub(crate) fn skewed() -> Vec<u64> {
    let mut random = SplitMix64(0);
    let key = |r: u64| ((((r >> 32) * (r & 0xffff_ffff)) >> 32) * 20_000) >> 32;
    (0..200_000).map(|_| key(random.next())).collect()
}
