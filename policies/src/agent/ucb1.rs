//! UCB1: the arm with the best mean reward and an allowance for what is not known of it.
//!
//! Source: Auer, Cesa-Bianchi and Fischer, "Finite-time Analysis of the Multiarmed Bandit Problem",
//! Machine Learning 47, 2002.
//! State: plays and the mean standing of each arm.
//! Cost: O(arms) a window.
//! Invariants: each arm is tried before any is tried again. Means are of all windows since the mix
//! last changed.
//! Weak where: phases are short: with the theory's constant (`explore = 1`) rewards that differ by
//! 0.1 need hundreds of plays. The default trusts the small noise of a whole window instead.

use super::Build;
use super::bandit::{Bandit, Common, Known, Learner, least, reward};
use crate::PolicySpec;
use crate::entry::{Entry, describe, in_range, params};
use crate::mix::Mix;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "ucb1",
    about: "the layout with the best mean reward plus what is not known of it (UCB1, 2002)",
    params: describe::<Params>,
    build: |_seed, spec: &PolicySpec| {
        let params: Params = params(spec)?;
        let common = Common::check(spec, params.ratio, params.level0_max, params.windows)?;
        in_range(spec, "explore", params.explore, 0.0..=10.0)?;
        let learner = Ucb {
            explore: params.explore,
            arms: Vec::new(),
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
}

impl Default for Params {
    fn default() -> Self {
        Self {
            ratio: 10,
            level0_max: 8,
            windows: 2,
            explore: 0.05,
        }
    }
}

struct Ucb {
    explore: f64,
    arms: Vec<Known>,
}

impl Learner for Ucb {
    fn choose(&mut self, arms: usize, _mix: &Mix) -> usize {
        self.arms.resize(arms, (0.0, 0.0));
        let all: f64 = self.arms.iter().map(|(_, plays)| plays).sum();
        least(arms, |arm| {
            let (standing, plays) = self.arms[arm];
            if plays == 0.0 {
                return f64::MIN;
            }
            let unknown = (2.0 * libm::log(all.max(1.0)) / plays).sqrt();
            -(reward(standing) + self.explore * unknown)
        })
    }

    fn known(&self, arm: usize, _mix: &Mix) -> Known {
        self.arms.get(arm).copied().unwrap_or_default()
    }

    fn learn(&mut self, arm: usize, _mix: &Mix, standing: f64) {
        if let Some((mean, plays)) = self.arms.get_mut(arm) {
            *plays += 1.0;
            *mean += (standing - *mean) / *plays;
        }
    }

    fn forget(&mut self) {
        self.arms.fill((0.0, 0.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_of_two_arms_is_played_most_and_every_arm_at_times() {
        let mut ucb = Ucb {
            explore: 0.1,
            arms: Vec::new(),
        };
        let mut plays = [0, 0];
        for _ in 0..1000 {
            let arm = ucb.choose(2, &Mix::default());
            plays[arm] += 1;
            ucb.learn(arm, &Mix::default(), [0.5, -0.5][arm]);
        }
        assert!(plays[1] > 900, "{plays:?}");
        assert!(plays[0] >= 2, "the allowance grows with time: {plays:?}");
    }
}
