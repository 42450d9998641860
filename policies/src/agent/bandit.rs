//! What all bandits share: arms are layouts, a play is some windows of one of them.
//!
//! The windows of a play count once the tree holds no more runs than the arm allows (or after
//! [`PATIENCE`] windows), but for the first, in which the tree had the shape of the play before. An
//! arm's standing is the logarithm of its cost above the level that all arms share
//! ([`Level`]). When the mix of operations changes, learners that do not know the mix forget.

use serde_json::Value;

use super::cost::Level;
use super::file::{AgentFile, Learning};
use super::merges;
use super::setting::{Bounds, Hand, PATIENCE, Setting};
use super::{Agent, Decision, SAVED};
use crate::entry::{bad, in_range};
use crate::facts::{TreeShape, WindowStats};
use crate::mix::{Mix, Watch};
use crate::referee::Referee;
use crate::{PolicyError, PolicySpec};

/// What is known of an arm: its standing, and how many windows that rests on.
pub(super) type Known = (f64, f64);

/// How a bandit learns and chooses.
pub(super) trait Learner: Send {
    /// The arm of the next play, among `arms`, in this mix.
    fn choose(&mut self, arms: usize, mix: &Mix) -> usize;

    /// What is known of `arm` in this mix.
    fn known(&self, arm: usize, mix: &Mix) -> Known;

    /// Learns that `arm` had this standing in this mix.
    fn learn(&mut self, arm: usize, mix: &Mix, standing: f64);

    /// Another mix begins.
    fn forget(&mut self) {}

    /// Begins with what a model believes, before the first window.
    fn believe(&mut self, _window: &WindowStats, _tree: &TreeShape) {}

    /// What was learned, for a file; `None` if nothing is worth keeping.
    fn saved(&self) -> Option<AgentFile> {
        None
    }
}

/// The parameters that every bandit has.
pub(super) struct Common {
    pub(super) bounds: Bounds,
    pub(super) windows: u32,
    pub(super) learn: bool,
}

impl Common {
    pub(super) fn check(
        spec: &PolicySpec,
        ratio: u32,
        level0_max: u32,
        windows: u32,
    ) -> Result<Self, PolicyError> {
        Ok(Self {
            bounds: Bounds::check(spec, ratio, level0_max)?,
            windows: in_range(spec, "windows", windows, 1..=1000)?,
            learn: true,
        })
    }
}

/// Opens the file of a learner with so named features.
pub(super) fn open(
    spec: &PolicySpec,
    learning: Learning,
    features: &[&str],
    scales: &[f64],
) -> Result<Option<Vec<f64>>, PolicyError> {
    let opened = learning.open(&spec.policy, features, scales);
    opened.map_err(|message| bad(spec, SAVED, &message))
}

/// An arm in play.
#[derive(Clone, Copy)]
struct Play {
    arm: usize,
    /// Windows that count, the first included.
    windows: u32,
    /// Windows in which the tree had more runs than the arm allows.
    waited: u32,
}

/// A bandit over the arms of [`Setting::arms`].
pub(super) struct Bandit<L> {
    common: Common,
    learner: L,
    arms: Vec<Setting>,
    play: Option<Play>,
    watch: Watch,
    referee: Referee,
    level: Level,
    hand: Hand,
}

impl<L: Learner> Bandit<L> {
    pub(super) fn new(common: Common, learner: L) -> Self {
        Self {
            arms: Setting::arms(&common.bounds),
            hand: Hand::new(common.bounds),
            common,
            learner,
            play: None,
            watch: Watch::default(),
            referee: Referee::default(),
            level: Level::default(),
        }
    }

    /// Learns from a window of the arm in play, and returns whether the play is over.
    fn take(&mut self, mix: &Mix, log: f64, tree: &TreeShape) -> bool {
        let Some(play) = &mut self.play else {
            return true;
        };
        if !self.arms[play.arm].holds(tree) && play.waited < PATIENCE {
            play.waited += 1;
            return false;
        }
        play.windows += 1;
        if (play.windows > 1 || self.common.windows == 1) && self.common.learn {
            let known = self.learner.known(play.arm, mix);
            let stayed = (known.1 >= 1.0).then_some(known);
            let standing = self.level.standing(log, stayed);
            self.learner.learn(play.arm, mix, standing);
        }
        play.windows >= self.common.windows
    }
}

impl<L: Learner> Agent for Bandit<L> {
    fn step(&mut self, window: &WindowStats, tree: &TreeShape) -> Vec<Decision> {
        self.hand.begin(window);
        let is_another_mix = self.watch.see(window);
        let (Some(judged), Some(mix)) = (self.referee.judge(window), Mix::of(window)) else {
            return self.hand.finish();
        };
        if self.play.is_none() {
            self.learner.believe(window, tree);
        }
        let is_over = self.take(&mix, judged.log, tree);
        if is_another_mix {
            self.learner.forget();
        }
        if is_over || is_another_mix {
            let arm = self.learner.choose(self.arms.len(), &self.watch.mix());
            // An arm that is played on needs no window to settle.
            let plays_on = self.play.is_some_and(|last| last.arm == arm);
            self.play = Some(Play {
                arm,
                windows: u32::from(plays_on && self.common.windows > 1),
                waited: 0,
            });
        }
        if let Some(play) = self.play {
            self.hand.set(self.arms[play.arm], tree, "arm");
        }
        merges::for_reads(&mut self.hand, window, tree, &self.watch, &self.referee);
        self.hand.finish()
    }

    fn save(&self) -> Option<Value> {
        self.learner.saved().map(AgentFile::into_value)
    }
}

/// The number with the smallest value, the first of equal ones; 0 if there are no numbers.
pub(super) fn least(numbers: usize, mut value: impl FnMut(usize) -> f64) -> usize {
    let mut best = (f64::INFINITY, 0);
    for number in 0..numbers {
        let value = value(number);
        if value < best.0 {
            best = (value, number);
        }
    }
    best.1
}

/// A reward between 0 and 1 for a standing: one half for the usual cost, more for less.
pub(super) fn reward(standing: f64) -> f64 {
    1.0 / (1.0 + libm::exp(standing.clamp(-30.0, 30.0)))
}
