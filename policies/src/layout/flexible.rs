//! Flexible: each level has a run limit of its own, between leveling (1) and tiering (T).
//!
//! Source: Yu et al., "Learning to Optimize LSM-trees" (RusKey's FLSM-tree), PACMMOD 1(2), 2023;
//! the limits K_i of Dayan and Idreos, "Dostoevsky", SIGMOD 2018.
//! State: the list of limits.
//! Cost: at level i each entry is rewritten about T / K_i times, and a read looks at up to K_i
//! runs.
//! Invariants: 1 <= K_i <= T. With all K_i = 1 it plans like `leveled`, with all K_i = T like
//! `tiered`.
//! Weak where: the limits are guesses; it is meant for an agent that sets them.

use crate::PolicySpec;
use crate::entry::{Entry, bad, describe, params};
use crate::layout::{Build, Layout, RATIO_DEFAULT, check_ratio};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "flexible",
    about: "a run limit for each level, from leveling to tiering (RusKey, PACMMOD 2023)",
    params: describe::<Params>,
    build: |spec: &PolicySpec| {
        let Params { ratio, runs } = params(spec)?;
        check_ratio(spec, ratio)?;
        let Some(&deeper) = runs.last() else {
            return Err(bad(
                spec,
                "runs",
                "must hold the limit of at least one level",
            ));
        };
        if let Some(limit) = runs.iter().find(|limit| !(1..=ratio).contains(limit)) {
            let message = format!("must each be 1 to {ratio} (the ratio), not {limit}");
            return Err(bad(spec, "runs", &message));
        }
        Ok(Box::new(Flexible {
            ratio,
            runs,
            deeper,
        }))
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// T: how many times larger each level is than the one above (2 to 100).
    ratio: u32,
    /// K_i: the most runs that levels 1, 2, ... may hold (1 to ratio each). The last limit holds
    /// for all deeper levels.
    runs: Vec<u32>,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            ratio: RATIO_DEFAULT,
            runs: vec![1],
        }
    }
}

struct Flexible {
    ratio: u32,
    runs: Vec<u32>,
    deeper: u32,
}

impl Layout for Flexible {
    fn ratio(&self) -> u32 {
        self.ratio
    }

    fn runs_max(&self, level: usize, _deepest: usize) -> u32 {
        self.runs
            .get(level.saturating_sub(1))
            .copied()
            .unwrap_or(self.deeper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(ratio: u32, runs: &[u32]) -> PolicySpec {
        PolicySpec::named("flexible")
            .with("ratio", ratio)
            .with("runs", runs.to_vec())
    }

    #[test]
    fn the_last_limit_repeats() {
        let layout = (ENTRY.build)(&spec(5, &[5, 3, 1])).unwrap();
        assert_eq!(
            [1, 2, 3, 4, 9].map(|level| layout.runs_max(level, 4)),
            [5, 3, 1, 1, 1]
        );
    }

    #[test]
    fn limits_out_of_range_are_refused() {
        for runs in [&[][..], &[0], &[5, 6]] {
            assert!((ENTRY.build)(&spec(5, runs)).is_err(), "{runs:?}");
        }
    }
}
