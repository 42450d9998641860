//! Size class: values of similar size share a queue.
//!
//! Source: the size classes of slab allocators (Bonwick, USENIX 1994). DiffKV (Li et al., ATC 2021)
//! divides values by size too, though not within the log.
//! State: the parameters.
//! Cost: O(queues) at most.
//! Invariants: a larger value never goes to an earlier queue. Queue 0 holds values below
//! `smallest`, each further queue values below `ratio` times the bound before, and the last queue
//! the rest.
//! Weak where: values are of one size, since one queue gets them all.

use serde::{Deserialize, Serialize};

use super::{Build, Placement, ValueFacts};
use crate::PolicySpec;
use crate::entry::{Entry, describe, in_range, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "size-class",
    about: "values of similar size share a queue (after slab allocators)",
    params: describe::<Params>,
    build: |spec: &PolicySpec| {
        let params: Params = params(spec)?;
        in_range(spec, "smallest", params.smallest, 1..=1 << 40)?;
        in_range(spec, "ratio", params.ratio, 2..=1 << 20)?;
        Ok(Box::new(SizeClass { params }))
    },
};

#[derive(Debug, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// Bytes below which a value goes to the first queue (1 to 1 TiB).
    smallest: u64,
    /// The factor between the bounds of two queues (2 to 2^20).
    ratio: u64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            smallest: 16 << 10,
            ratio: 4,
        }
    }
}

struct SizeClass {
    params: Params,
}

impl Placement for SizeClass {
    fn queue(&self, value: &ValueFacts, queues: u32) -> u32 {
        let mut queue = 0;
        let mut bound = Some(self.params.smallest);
        while queue + 1 < queues && bound.is_some_and(|bound| value.bytes >= bound) {
            queue += 1;
            bound = bound.and_then(|bound| bound.checked_mul(self.params.ratio));
        }
        queue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_grow_by_the_ratio_and_the_last_queue_takes_the_rest() {
        let spec = PolicySpec::named("size-class")
            .with("smallest", 100)
            .with("ratio", 10);
        let policy = (ENTRY.build)(&spec).unwrap();
        let queue = |bytes, queues| {
            policy.queue(
                &ValueFacts {
                    bytes,
                    ..ValueFacts::default()
                },
                queues,
            )
        };
        let at = [0, 99, 100, 999, 1000, 9999, 10_000, u64::MAX];
        assert_eq!(at.map(|bytes| queue(bytes, 4)), [0, 0, 1, 1, 2, 2, 3, 3]);
        assert_eq!(at.map(|bytes| queue(bytes, 2)), [0, 0, 1, 1, 1, 1, 1, 1]);
        assert_eq!(
            queue(u64::MAX, u32::MAX),
            18,
            "the bound of class 18 is above 2^64"
        );
    }
}
