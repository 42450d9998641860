//! Requests by key: numbers the keys for [`Replay`] and writes down what left.

use std::collections::BTreeMap;

use aura_policies::PolicySpec;
use aura_policies::cache::replay::{Object, Replay};
use aura_policies::cache::{self, Access};

pub(crate) struct CacheDriver {
    cache: Replay,
    objects: BTreeMap<u64, Object>,
    keys: Vec<u64>,
    /// The keys evicted so far, in order.
    pub(crate) evicted: Vec<u64>,
    /// Requests that found nothing.
    pub(crate) misses: u64,
}

/// More distinct keys than any test asks for.
const OBJECTS: usize = 1 << 20;

impl CacheDriver {
    pub(crate) fn new(policy: &str, capacity: u64, seed: u64) -> Self {
        Self::with(&PolicySpec::named(policy), capacity, seed)
    }

    pub(crate) fn with(spec: &PolicySpec, capacity: u64, seed: u64) -> Self {
        let eviction = cache::build(spec, capacity, seed).expect("the policy builds");
        Self {
            cache: Replay::new(eviction, None, capacity, OBJECTS),
            objects: BTreeMap::new(),
            keys: Vec::new(),
            evicted: Vec::new(),
            misses: 0,
        }
    }

    fn object(&mut self, key: u64) -> Object {
        let keys = &mut self.keys;
        *self.objects.entry(key).or_insert_with(|| {
            keys.push(key);
            (keys.len() - 1) as Object
        })
    }

    /// Asks for an object and, on a miss, brings it in if the policy admits it.
    pub(crate) fn request(&mut self, access: Access) {
        let object = self.object(access.key);
        let Self { cache, evicted, keys, .. } = self;
        let hit = cache.request_telling(object, &access, |object| evicted.push(keys[object as usize]));
        self.misses += u64::from(!hit);
    }

    /// Asks for objects of one byte each.
    pub(crate) fn request_units(&mut self, keys: impl IntoIterator<Item = u64>) {
        keys.into_iter().for_each(|key| self.request(Access::unit(key)));
    }

    /// The object of that key dies, if it is held.
    pub(crate) fn remove(&mut self, key: u64) {
        let object = self.object(key);
        self.cache.remove(object);
    }

    pub(crate) fn audit(&self) -> Result<(), String> {
        self.cache.audit()
    }

    pub(crate) fn metadata_bytes(&self) -> u64 {
        self.cache.metadata_bytes()
    }

    pub(crate) fn held(&self) -> usize {
        self.cache.held()
    }
}
