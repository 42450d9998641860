//! Leveled: every level below level 0 is one run.
//!
//! Source: O'Neil et al., "The log-structured merge-tree", Acta Informatica 33, 1996; partial
//! compaction as in LevelDB.
//! State: none.
//! Cost: each entry is rewritten about T / 2 to T times a level; a read looks at one run a level.
//! Invariants: K_i = 1 for every level.
//! Weak where: writes dominate.

use crate::PolicySpec;
use crate::entry::{Entry, describe, params};
use crate::layout::{Build, Layout, RatioParams, check_ratio};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "leveled",
    about: "one run a level, tables move down one at a time (O'Neil et al. 1996; LevelDB)",
    params: describe::<RatioParams>,
    build: |spec: &PolicySpec| {
        let RatioParams { ratio } = params(spec)?;
        check_ratio(spec, ratio)?;
        Ok(Box::new(Leveled { ratio }))
    },
};

struct Leveled {
    ratio: u32,
}

impl Layout for Leveled {
    fn ratio(&self) -> u32 {
        self.ratio
    }

    fn runs_max(&self, _level: usize, _deepest: usize) -> u32 {
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_run_at_every_level_and_a_ratio_in_range() {
        let layout = (ENTRY.build)(&PolicySpec::named("leveled").with("ratio", 4)).unwrap();
        assert_eq!(layout.ratio(), 4);
        assert_eq!(layout.runs_max(1, 3), 1);
        assert_eq!(layout.runs_max(9, 3), 1);
        for ratio in [0, 1, 101] {
            assert!((ENTRY.build)(&PolicySpec::named("leveled").with("ratio", ratio)).is_err());
        }
    }
}
