//! Sliding-window UCB: UCB over the last plays alone, for costs that drift.
//!
//! Source: Garivier and Moulines, "On Upper-Confidence Bound Policies for Switching Bandit
//! Problems", ALT 2011.
//! State: the last `plays` standings with their arms.
//! Cost: O(plays) a window.
//! Invariants: what is older than `plays` windows does not count; an arm without a window in them
//! is tried next.
//! Weak where: there are nearly as many arms as plays: it explores for ever.

use std::collections::VecDeque;

use super::Build;
use super::bandit::{Bandit, Common, Known, Learner, least, reward};
use crate::PolicySpec;
use crate::entry::{Entry, describe, in_range, params};
use crate::mix::Mix;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "sliding-window-ucb",
    about: "UCB over the last windows, for costs that drift (ALT 2011)",
    params: describe::<Params>,
    build: |_seed, spec: &PolicySpec| {
        let params: Params = params(spec)?;
        let common = Common::check(spec, params.ratio, params.level0_max, params.windows)?;
        in_range(spec, "explore", params.explore, 0.0..=10.0)?;
        in_range(spec, "plays", params.plays, 10..=100_000)?;
        let learner = SlidingWindow {
            explore: params.explore,
            most: params.plays,
            plays: VecDeque::new(),
        };
        Ok(Box::new(Bandit::new(common, learner)))
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// T: the layout's ratio, the largest run limit (2 to 100).
    ratio: u32,
    /// The largest trigger of level 0 (1 to 64), below the number of runs that slows writers down.
    level0_max: u32,
    /// Windows of a play (1 to 1000). If there are several, the first after a change does not
    /// count.
    windows: u32,
    /// The weight of what is not known (0 to 10), where the theory for rewards from 0 to 1 has 1.
    explore: f64,
    /// Windows that are remembered (10 to 100000).
    plays: usize,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            ratio: 10,
            level0_max: 8,
            windows: 2,
            explore: 0.05,
            plays: 100,
        }
    }
}

struct SlidingWindow {
    explore: f64,
    most: usize,
    plays: VecDeque<(usize, f64)>,
}

impl Learner for SlidingWindow {
    fn choose(&mut self, arms: usize, mix: &Mix) -> usize {
        let all = (self.plays.len() as f64).max(1.0);
        least(arms, |arm| {
            let (standing, plays) = self.known(arm, mix);
            if plays == 0.0 {
                return f64::MIN;
            }
            let unknown = (2.0 * libm::log(all) / plays).sqrt();
            -(reward(standing) + self.explore * unknown)
        })
    }

    fn known(&self, arm: usize, _mix: &Mix) -> Known {
        let of_arm = || self.plays.iter().filter(|(played, _)| *played == arm);
        let plays = of_arm().count() as f64;
        let sum: f64 = of_arm().map(|(_, standing)| standing).sum();
        (sum / plays.max(1.0), plays)
    }

    fn learn(&mut self, arm: usize, _mix: &Mix, standing: f64) {
        if self.plays.len() >= self.most {
            self.plays.pop_front();
        }
        self.plays.push_back((arm, standing));
    }

    fn forget(&mut self) {
        self.plays.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_arms_that_change_places() {
        let mut bandit = SlidingWindow {
            explore: 0.1,
            most: 50,
            plays: VecDeque::new(),
        };
        let mut good = 0;
        for turn in 0..400 {
            let arm = bandit.choose(2, &Mix::default());
            let best = usize::from(turn >= 200);
            let standing = if arm == best { -0.5 } else { 0.5 };
            bandit.learn(arm, &Mix::default(), standing);
            assert!(bandit.plays.len() <= 50);
            good += usize::from(turn >= 250 && arm == best);
        }
        assert!(good > 135, "{good} of 150");
    }
}
