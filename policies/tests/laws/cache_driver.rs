//! Requests by key: numbers the keys for [`Replay`], asks for each victim twice, and records what
//! left.

use std::collections::BTreeMap;

use aura_policies::PolicySpec;
use aura_policies::admission::Admission;
use aura_policies::cache::{self, Access, Eviction, Removal, Slot};
use aura_policies::replay::{Object, Replay};

pub(crate) struct CacheDriver {
    cache: Replay,
    objects: BTreeMap<u64, Object>,
    keys: Vec<u64>,
    /// The keys evicted so far, in order.
    pub(crate) evicted: Vec<u64>,
    /// Requests for objects that were not held.
    pub(crate) misses: u64,
}

/// More distinct keys than any test uses.
const OBJECTS: usize = 1 << 20;

impl CacheDriver {
    pub(crate) fn new(policy: &str, capacity: u64, seed: u64) -> Self {
        Self::with_admission(&PolicySpec::named(policy), None, capacity, seed)
    }

    pub(crate) fn with_admission(
        policy: &PolicySpec,
        admission: Option<Box<dyn Admission>>,
        capacity: u64,
        seed: u64,
    ) -> Self {
        let eviction = cache::build(policy, capacity, seed).expect("the policy builds");
        let watched = Box::new(Watched {
            eviction,
            named: None,
        });
        Self {
            cache: Replay::new(watched, admission, capacity, OBJECTS),
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

    /// Requests an object. On a miss it enters if the policy admits it. Returns whether it was a
    /// hit.
    pub(crate) fn request(&mut self, access: Access) -> bool {
        let object = self.object(access.key);
        let Self {
            cache,
            evicted,
            keys,
            ..
        } = self;
        let hit = cache.request_reporting(object, &access, |object| {
            evicted.push(keys[object as usize])
        });
        self.misses += u64::from(!hit);
        hit
    }

    /// Requests objects of one byte each.
    pub(crate) fn request_units(&mut self, keys: impl IntoIterator<Item = u64>) {
        for key in keys {
            self.request(Access::unit(key));
        }
    }

    /// The object with this key dies, if it is held.
    pub(crate) fn remove(&mut self, key: u64) {
        let object = self.object(key);
        self.cache.remove(object);
    }

    /// Changes the capacity, and evicts what no longer fits.
    pub(crate) fn resize(&mut self, capacity: u64) {
        let Self {
            cache,
            evicted,
            keys,
            ..
        } = self;
        cache.resize(capacity, |object| evicted.push(keys[object as usize]));
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

/// Checks that a policy keeps its contract: asked again, it names the same victim, and that one is
/// evicted.
struct Watched {
    eviction: Box<dyn Eviction>,
    named: Option<Slot>,
}

impl Eviction for Watched {
    fn admit(&mut self, incoming: &Access) -> bool {
        self.eviction.admit(incoming)
    }

    fn victim(&mut self, incoming: &Access) -> Slot {
        let slot = self.eviction.victim(incoming);
        assert_eq!(
            self.eviction.victim(incoming),
            slot,
            "asked again, it names the same slot"
        );
        self.named = Some(slot);
        slot
    }

    fn on_insert(&mut self, slot: Slot, incoming: &Access) {
        self.eviction.on_insert(slot, incoming);
    }

    fn on_hit(&mut self, slot: Slot) {
        self.eviction.on_hit(slot);
    }

    fn on_remove(&mut self, slot: Slot, why: Removal) {
        assert!(
            why == Removal::Died || self.named == Some(slot),
            "the mechanism evicts the victim named"
        );
        self.eviction.on_remove(slot, why);
    }

    fn resize(&mut self, capacity: u64) {
        self.named = None;
        self.eviction.resize(capacity);
    }

    fn metadata_bytes(&self) -> u64 {
        self.eviction.metadata_bytes()
    }

    fn audit(&self, held: &[Slot]) -> Result<(), String> {
        self.eviction.audit(held)
    }
}
