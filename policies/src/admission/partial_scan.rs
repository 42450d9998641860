//! Partial scan: the first objects of a scan enter, and a share of the later ones.
//!
//! Source: after AdCache (EDBT 2026). There a scan of l objects admits all if l < a, else b (l - a)
//! of them, and a learner sets a and b. Here both are fixed, and each object is decided on its own,
//! because a scan's length is not known in advance.
//! State: none.
//! Cost: one hash for a miss of a scan; one comparison for a point read.
//! Invariants: an object read by itself enters. With a = b = 0 a scan leaves the cache unchanged.
//! The share is one of keys, chosen by their hash, so a repeated scan finds what it left.
//! Weak where: scans are the workload, and the cache could hold what they read.

use super::{Admission, Build};
use crate::cache::Access;
use crate::entry::{Entry, describe, in_range, params};
use crate::splitmix::{remix, unit};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "partial-scan",
    about: "a scan's first objects enter, and a share of the others (after AdCache, EDBT 2026)",
    params: describe::<Params>,
    build: Build {
        needs_sizes: false,
        make: |_capacity, _seed, spec| {
            let Params { a, b } = params(spec)?;
            in_range(spec, "b", b, 0.0..=1.0)?;
            Ok(Some(Box::new(PartialScan { a, b })))
        },
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// Objects at the beginning of a scan that enter.
    a: u32,
    /// Share of the keys that enter later in a scan (0 to 1).
    b: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self { a: 16, b: 0.1 }
    }
}

struct PartialScan {
    a: u32,
    b: f64,
}

impl Admission for PartialScan {
    fn admit(&mut self, incoming: &Access) -> bool {
        incoming.scanned <= self.a || unit(remix(incoming.key)) < self.b
    }

    fn metadata_bytes(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(policy: &mut PartialScan) -> Vec<u32> {
        let scanned = |n| Access {
            scanned: n,
            ..Access::unit(u64::from(n))
        };
        (1..=10_000)
            .filter(|n| policy.admit(&scanned(*n)))
            .collect()
    }

    #[test]
    fn a_scan_enters_in_part_and_the_same_part_each_time() {
        let mut policy = PartialScan { a: 100, b: 0.2 };
        let entered = scan(&mut policy);
        assert!(entered.starts_with(&(1..=100).collect::<Vec<_>>()));
        assert!(
            (1980..2180).contains(&entered.len()),
            "100 and a fifth of 9900: {}",
            entered.len()
        );
        assert_eq!(entered, scan(&mut policy));
    }

    #[test]
    fn closed_to_scans_it_is_open_to_point_reads() {
        let mut policy = PartialScan { a: 0, b: 0.0 };
        assert!(scan(&mut policy).is_empty());
        assert!((0..1000).all(|key| policy.admit(&Access::unit(key))));
        assert_eq!(scan(&mut PartialScan { a: 0, b: 1.0 }).len(), 10_000);
    }
}
