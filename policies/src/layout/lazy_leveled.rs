//! Lazy leveled: T runs in every level but the deepest, which is one run.
//!
//! Source: Dayan and Idreos, "Dostoevsky: Better Space-Time Trade-Offs for LSM-Tree Based Key-Value
//! Stores via Adaptive Removal of Superfluous Merging", SIGMOD 2018.
//! State: none.
//! Cost: each entry is rewritten once a level above the deepest, and about T / 2 to T times in it.
//! A read looks at up to T runs a level, but most data lies in the one run of the deepest.
//! Invariants: K_i = T above the deepest level, K = 1 in it. It plans like `fluid` with k = T and
//! z = 1.
//! Weak where: scans are short, since they look at every run of every level; the deepest level has
//! just begun: most data then lies in the runs above.

use crate::PolicySpec;
use crate::entry::{Entry, describe, params};
use crate::layout::{Build, Layout, RatioParams, check_ratio};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "lazy-leveled",
    about: "T runs a level, one in the deepest (Dayan and Idreos, Dostoevsky, SIGMOD 2018)",
    params: describe::<RatioParams>,
    build: |spec: &PolicySpec| {
        let RatioParams { ratio } = params(spec)?;
        check_ratio(spec, ratio)?;
        Ok(Box::new(LazyLeveled { ratio }))
    },
};

struct LazyLeveled {
    ratio: u32,
}

impl Layout for LazyLeveled {
    fn ratio(&self) -> u32 {
        self.ratio
    }

    fn runs_max(&self, level: usize, deepest: usize) -> u32 {
        if level < deepest { self.ratio } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_run_in_the_deepest_level_alone() {
        let layout = (ENTRY.build)(&PolicySpec::named("lazy-leveled").with("ratio", 4)).unwrap();
        assert_eq!([1, 2, 3].map(|level| layout.runs_max(level, 3)), [4, 4, 1]);
        assert_eq!(layout.runs_max(1, 1), 1);
        assert!((ENTRY.build)(&PolicySpec::named("lazy-leveled").with("ratio", 1)).is_err());
    }
}
