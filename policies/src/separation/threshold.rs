//! Threshold: values of a given size or larger go to the value log.
//!
//! Source: Lu et al., "WiscKey", FAST 2016; the size threshold of RocksDB's BlobDB
//! (`min_blob_size`).
//! State: the threshold.
//! Cost: O(1).
//! Invariants: if a value is separated, so is every larger one.
//! Weak where: separated values are scanned (each costs a random read) or overwritten often (the
//! log must be collected).

use super::{Build, Separation};
use crate::PolicySpec;
use crate::entry::{Entry, describe, in_range, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "threshold",
    about: "values of at least a given size go to the value log (WiscKey, FAST 2016; BlobDB)",
    params: describe::<Params>,
    build: |spec: &PolicySpec| {
        let Params { bytes } = params(spec)?;
        in_range(spec, "bytes", bytes, 1..=1 << 30)?;
        Ok(Box::new(Threshold { bytes }))
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// Bytes of the smallest value that is separated (1 to 1 GiB).
    bytes: usize,
}

impl Default for Params {
    fn default() -> Self {
        Self { bytes: 4096 }
    }
}

struct Threshold {
    bytes: usize,
}

impl Separation for Threshold {
    fn separate(&self, _key_bytes: usize, value_bytes: usize) -> bool {
        value_bytes >= self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_itself_is_separated() {
        let policy = (ENTRY.build)(&PolicySpec::named("threshold").with("bytes", 100)).unwrap();
        assert!(policy.separate(1000, 100) && !policy.separate(1000, 99));
        for bytes in [0_u64, (1 << 30) + 1] {
            assert!((ENTRY.build)(&PolicySpec::named("threshold").with("bytes", bytes)).is_err());
        }
    }
}
