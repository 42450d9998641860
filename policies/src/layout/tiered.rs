//! Tiered: a level gathers T runs, then merges them into one run of the next level.
//!
//! Source: Jagadish et al., "Incremental organization for data recording and warehousing", VLDB
//! 1997.
//! State: none.
//! Cost: each entry is rewritten once a level; a read looks at up to T runs a level.
//! Invariants: K_i = T for every level.
//! Weak where: reads and scans dominate; space is short, since old versions wait in up to T runs;
//! latency must be even, since whole levels merge at once.

use crate::PolicySpec;
use crate::entry::{Entry, describe, params};
use crate::layout::{Build, Layout, RatioParams, check_ratio};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "tiered",
    about: "T runs a level, merged all at once into the next (Jagadish et al., VLDB 1997)",
    params: describe::<RatioParams>,
    build: |spec: &PolicySpec| {
        let RatioParams { ratio } = params(spec)?;
        check_ratio(spec, ratio)?;
        Ok(Box::new(Tiered { ratio }))
    },
};

struct Tiered {
    ratio: u32,
}

impl Layout for Tiered {
    fn ratio(&self) -> u32 {
        self.ratio
    }

    fn runs_max(&self, _level: usize, _deepest: usize) -> u32 {
        self.ratio
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_run_limit_is_the_ratio() {
        let layout = (ENTRY.build)(&PolicySpec::named("tiered").with("ratio", 4)).unwrap();
        assert_eq!(layout.ratio(), 4);
        assert_eq!(layout.runs_max(1, 3), 4);
        assert_eq!(layout.runs_max(9, 3), 4);
        assert!((ENTRY.build)(&PolicySpec::named("tiered").with("ratio", 1)).is_err());
    }
}
