//! Size threshold: objects up to a fixed size enter.
//!
//! Source: LRU-Threshold of many web caches (Abrams et al., "Caching Proxies: Limitations and
//! Potentials", 1995).
//! State: none.
//! Cost: one comparison a miss.
//! Invariants: no object above the threshold is in the cache.
//! Weak where: the best threshold changes with the workload; a large object requested often is
//! never held.

use super::{Admission, Build};
use crate::cache::Access;
use crate::entry::{Entry, describe, in_range, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "size-threshold",
    about: "objects up to a fixed size enter (Abrams et al. 1995)",
    params: describe::<Params>,
    build: Build {
        needs_sizes: true,
        make: |_capacity, _seed, spec| {
            let Params { bytes_max } = params(spec)?;
            in_range(spec, "bytes_max", bytes_max, 1..)?;
            Ok(Some(Box::new(SizeThreshold { bytes_max })))
        },
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// Bytes of the largest object that enters (at least 1).
    bytes_max: u64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            bytes_max: 64 << 10,
        }
    }
}

struct SizeThreshold {
    bytes_max: u64,
}

impl Admission for SizeThreshold {
    fn admit(&mut self, incoming: &Access) -> bool {
        incoming.bytes <= self.bytes_max
    }

    fn metadata_bytes(&self) -> u64 {
        0
    }
}
