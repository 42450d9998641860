//! Fluid: at most K runs in every level but the deepest, and at most Z in that.
//!
//! Source: the Fluid LSM-tree of Dayan and Idreos, "Dostoevsky", SIGMOD 2018.
//! Variant: K and Z count the run being filled, so tiering is K = Z = T. The paper does not count
//! it, and has K = Z = T - 1.
//! State: none.
//! Cost: each entry is rewritten about T / K times a level, and T / Z times in the deepest; a read
//! looks at up to K runs a level and Z in the deepest.
//! Invariants: 1 <= K <= T and 1 <= Z <= T. K = Z = 1 plans like `leveled`, K = Z = T like
//! `tiered`, K = T with Z = 1 like `lazy-leveled`.
//! Weak where: the mix of reads, scans and writes changes: K and Z suit one mix.

use crate::PolicySpec;
use crate::entry::{Entry, describe, in_range, params};
use crate::layout::{Build, Layout, RATIO_DEFAULT, check_ratio};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "fluid",
    about: "K runs a level, Z in the deepest (Dayan and Idreos, Dostoevsky, SIGMOD 2018)",
    params: describe::<Params>,
    build: |spec: &PolicySpec| {
        let Params { ratio, k, z } = params(spec)?;
        check_ratio(spec, ratio)?;
        in_range(spec, "k", k, 1..=ratio)?;
        in_range(spec, "z", z, 1..=ratio)?;
        Ok(Box::new(Fluid { ratio, k, z }))
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// T: how many times larger each level is than the one above (2 to 100).
    ratio: u32,
    /// K: the most runs in each level above the deepest (1 to ratio).
    k: u32,
    /// Z: the most runs in the deepest level (1 to ratio).
    z: u32,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            ratio: RATIO_DEFAULT,
            k: 4,
            z: 1,
        }
    }
}

struct Fluid {
    ratio: u32,
    k: u32,
    z: u32,
}

impl Layout for Fluid {
    fn ratio(&self) -> u32 {
        self.ratio
    }

    fn runs_max(&self, level: usize, deepest: usize) -> u32 {
        if level < deepest { self.k } else { self.z }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(ratio: u32, k: u32, z: u32) -> PolicySpec {
        let spec = PolicySpec::named("fluid").with("ratio", ratio);
        spec.with("k", k).with("z", z)
    }

    #[test]
    fn k_above_the_deepest_level_and_z_in_it() {
        let layout = (ENTRY.build)(&spec(6, 5, 2)).unwrap();
        assert_eq!([1, 2, 3].map(|level| layout.runs_max(level, 3)), [5, 5, 2]);
    }

    #[test]
    fn limits_out_of_range_are_refused() {
        for (k, z) in [(0, 1), (7, 1), (1, 0), (1, 7)] {
            assert!((ENTRY.build)(&spec(6, k, z)).is_err(), "{k} {z}");
        }
        assert!((ENTRY.build)(&PolicySpec::named("fluid").with("ratio", 3)).is_err());
    }
}
