//! Thompson sampling: each arm's cost is drawn from what is believed of it, and the least is
//! played.
//!
//! Source: Thompson, Biometrika 25, 1933; for costs of unknown mean and variance by the
//! normal-inverse-gamma prior (Honda and Takemura, AISTATS 2014).
//! State: count, mean and sum of squares of each arm.
//! Cost: O(arms) a window.
//! Invariants: an arm is played as often as it is believed to be the best. The beliefs are of all
//! windows since the mix last changed.
//! Weak where: the noise is much smaller than `spread`: the first plays of each arm are then
//! wasted.

use super::Build;
use super::bandit::{Bandit, Common, Known, Learner, least};
use super::draws::{gamma, normal};
use crate::PolicySpec;
use crate::entry::{Entry, describe, in_range, params};
use crate::mix::Mix;
use crate::splitmix::SplitMix64;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "thompson",
    about: "the layout whose cost, drawn from what is believed of it, is least (Thompson, 1933)",
    params: describe::<Params>,
    build: |seed, spec: &PolicySpec| {
        let params: Params = params(spec)?;
        let common = Common::check(spec, params.ratio, params.level0_max, params.windows)?;
        in_range(spec, "spread", params.spread, 0.001..=10.0)?;
        let learner = Thompson {
            spread: params.spread,
            arms: Vec::new(),
            draws: SplitMix64::new(seed),
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
    /// The standard deviation of the logarithm of a window's cost that is expected at first (0.001
    /// to 10).
    spread: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            ratio: 10,
            level0_max: 8,
            windows: 2,
            spread: 0.1,
        }
    }
}

/// What is believed of an arm: the parameters of a normal-inverse-gamma law.
#[derive(Clone, Copy, Debug)]
struct Belief {
    mean: f64,
    /// Windows that the mean rests on; a small part of one at first.
    windows: f64,
    shape: f64,
    rate: f64,
}

/// Windows that the prior mean counts as: it says next to nothing.
const PRIOR_WINDOWS: f64 = 0.01;

impl Belief {
    fn prior(spread: f64) -> Self {
        Self {
            mean: 0.0,
            windows: PRIOR_WINDOWS,
            shape: 2.0,
            rate: 2.0 * spread * spread,
        }
    }

    fn learn(&mut self, standing: f64) {
        let surprise = standing - self.mean;
        // The prior mean is a guess without weight: it must not count as noise.
        if self.windows >= 1.0 {
            self.rate += surprise * surprise * self.windows / (2.0 * (self.windows + 1.0));
            self.shape += 0.5;
        }
        self.mean += surprise / (self.windows + 1.0);
        self.windows += 1.0;
    }

    fn draw(&self, draws: &mut SplitMix64) -> f64 {
        let variance = self.rate / gamma(self.shape, draws);
        self.mean + normal(draws) * (variance / self.windows).sqrt()
    }
}

struct Thompson {
    spread: f64,
    arms: Vec<Belief>,
    draws: SplitMix64,
}

impl Learner for Thompson {
    fn choose(&mut self, arms: usize, _mix: &Mix) -> usize {
        self.arms.resize(arms, Belief::prior(self.spread));
        least(arms, |arm| self.arms[arm].draw(&mut self.draws))
    }

    fn known(&self, arm: usize, _mix: &Mix) -> Known {
        let belief = self.arms.get(arm);
        belief.map_or((0.0, 0.0), |it| (it.mean, it.windows - PRIOR_WINDOWS))
    }

    fn learn(&mut self, arm: usize, _mix: &Mix, standing: f64) {
        if let Some(belief) = self.arms.get_mut(arm) {
            belief.learn(standing);
        }
    }

    fn forget(&mut self) {
        self.arms.fill(Belief::prior(self.spread));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_better_of_two_arms_is_played_nine_times_in_ten() {
        for seed in 0..20 {
            let mut thompson = Thompson {
                spread: 0.1,
                arms: Vec::new(),
                draws: SplitMix64::new(seed),
            };
            let mut noise = SplitMix64::new(seed + 100);
            let mut good = 0;
            for turn in 0..600 {
                let arm = thompson.choose(2, &Mix::default());
                let mean = [0.1, -0.1][arm];
                thompson.learn(arm, &Mix::default(), mean + 0.1 * normal(&mut noise));
                good += usize::from(turn >= 100 && arm == 1);
            }
            assert!(good > 450, "{good} of 500, seed {seed}");
        }
    }
}
