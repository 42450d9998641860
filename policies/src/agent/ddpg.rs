//! DDPG: an actor that moves the limits of shallow levels, and a critic that judges its moves.
//!
//! Source: after RusKey (Yu et al., "Learning to Optimize LSM-trees", PACMMOD 1(2), 2023), whose
//! code was never published; Lillicrap et al., "Continuous control with deep reinforcement
//! learning", ICLR 2016. One learner for the levels together, where RusKey has one a level.
//! State: actor and critic of two hidden layers of 64 with their slow twins, Adam's moments, and
//! the last 2048 windows.
//! Cost: about a millisecond of CPU for each of `updates` a window (batches of 32), 10 microseconds
//! if frozen; some 300 KiB.
//! Invariants: a limit moves by at most one a window and stays in 1..=T; a move that it cannot make
//! counts neither as an action nor as a future. With uniform filters K_1 is learned and copied
//! down; with Monkey's, K_1 and K_2, and deeper limits by the recurrence, rounded down.
//! Weak where: windows are few. Compare with `fit`, which knows the form of the cost.

use serde_json::{Value, json};

use super::cost::Baselines;
use super::draws::normal;
use super::file::{AgentFile, Learning};
use super::merges;
use super::net::{Adam, Net};
use super::propagation::propagate;
use super::setting::{Bounds, Hand, Setting};
use super::{Agent, Build, Decision, SAVED};
use crate::PolicySpec;
use crate::entry::{Entry, bad, describe, in_range, params};
use crate::facts::{TreeShape, WindowStats};
use crate::mix::{BUCKETS, Mix, Watch};
use crate::referee::Referee;
use crate::splitmix::SplitMix64;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "ddpg",
    about: "an actor and a critic move the limits of shallow levels (after RusKey, PACMMOD 2023)",
    params: describe::<Params>,
    build: |seed, spec: &PolicySpec| {
        let params: Params = params(spec)?;
        let bounds = Bounds::check(spec, params.ratio, params.level0_max)?;
        in_range(spec, "discount", params.discount, 0.0..=0.99)?;
        in_range(spec, "noise", params.noise, 0.0..=2.0)?;
        in_range(spec, "rate", params.rate, 1e-6..=0.1)?;
        in_range(spec, "updates", params.updates, 0..=100)?;
        in_range(spec, "start", params.start, 1..=params.ratio)?;
        let limits = if params.monkey { 2 } else { 1 };
        let mut draws = SplitMix64::new(seed);
        let mut brain = Brain::new(limits, &params, &mut draws);
        let scales: [f64; 3] = [bounds.ratio.into(), bounds.level0_max.into(), limits as f64];
        let saved = params.model.open("ddpg", &FEATURES, &scales);
        if let Some(weights) = saved.map_err(|message| bad(spec, SAVED, &message))? {
            let restored = brain.restore(&weights);
            restored.map_err(|message| bad(spec, SAVED, &message))?;
        }
        Ok(Box::new(Ddpg {
            bounds,
            scales,
            learn: params.learn,
            noise_at_first: if params.learn { params.noise } else { 0.0 },
            noise: if params.learn { params.noise } else { 0.0 },
            updates: params.updates,
            limits: vec![params.start; limits],
            brain,
            last: None,
            baselines: Baselines::new(BUCKETS),
            draws,
            watch: Watch::default(),
            referee: Referee::default(),
            hand: Hand::new(bounds),
        }))
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// T: the layout's ratio, the largest run limit (2 to 100).
    ratio: u32,
    /// The largest trigger of level 0 (1 to 64), below the number of runs that slows writers down.
    level0_max: u32,
    /// Whether filters are allocated by level as Monkey does: two levels are then learned.
    monkey: bool,
    /// The weight of the next window's value, where this window's reward weighs 1 (0 to 0.99).
    discount: f64,
    /// The standard deviation of the noise on the actor's moves, from -1 to 1, at first and after
    /// a change of the mix (0 to 2). It falls to 0.1.
    noise: f64,
    /// The learning rate of the actor (0.000001 to 0.1); the critic's is twice as large.
    rate: f64,
    /// Batches that are learned from each window (0 to 100).
    updates: u32,
    /// The first run limit (1 to ratio).
    start: u32,
    /// Whether it goes on learning.
    learn: bool,
    /// A saved agent to begin with: its object, or in experiments its file; empty for none.
    model: Learning,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            ratio: 10,
            level0_max: 8,
            monkey: false,
            discount: 0.8,
            noise: 0.8,
            rate: 1e-3,
            updates: 1,
            start: 1,
            learn: true,
            model: Learning::default(),
        }
    }
}

/// What the networks see. All are from 0 to 1, and continuous where a level appears.
const FEATURES: [&str; 11] = [
    "empty",
    "hits",
    "scans",
    "writes",
    "K_1/T",
    "K_2/T",
    "level0/max",
    "runs0/2max",
    "runs1/2T",
    "bytes1/bytes",
    "debt/bytes",
];

type State = [f64; FEATURES.len()];

const HIDDEN: usize = 64;
const BATCH: usize = 32;
const MEMORY: usize = 2048;

/// The share by which the slow twins follow, each batch.
const FOLLOW: f64 = 0.01;

/// A move's size above which a limit changes.
const STEP: f64 = 1.0 / 3.0;

/// Which moves a limit can make: from `low` to `high`, of -1..=1.
#[derive(Clone, Copy, Debug)]
struct Legal {
    low: f64,
    high: f64,
}

impl Legal {
    fn of(runs: u32, ratio: u32) -> Self {
        Self {
            low: if runs > 1 { -1.0 } else { 0.0 },
            high: if runs < ratio { 1.0 } else { 0.0 },
        }
    }
}

/// What followed a move.
#[derive(Clone, Debug)]
struct Followed {
    state: State,
    moves: Vec<f64>,
    legal: Vec<Legal>,
    reward: f64,
    next: State,
    next_legal: Vec<Legal>,
}

/// Actor, critic, and what they learn from.
struct Brain {
    actor: Net,
    critic: Net,
    slow_actor: Net,
    slow_critic: Net,
    of_actor: Adam,
    of_critic: Adam,
    discount: f64,
    memory: Vec<Followed>,
}

impl Brain {
    fn new(limits: usize, params: &Params, draws: &mut SplitMix64) -> Self {
        let states = FEATURES.len();
        let actor = Net::new([states, HIDDEN, HIDDEN, limits], draws);
        let critic = Net::new([states + limits, HIDDEN, HIDDEN, 1], draws);
        Self {
            of_actor: Adam::new(params.rate, actor.params().len()),
            of_critic: Adam::new(2.0 * params.rate, critic.params().len()),
            slow_actor: actor.clone(),
            slow_critic: critic.clone(),
            actor,
            critic,
            discount: params.discount,
            memory: Vec::new(),
        }
    }

    fn restore(&mut self, weights: &[f64]) -> Result<(), String> {
        let (actor, critic) = (self.actor.params().len(), self.critic.params().len());
        if weights.len() != actor + critic {
            let found = weights.len();
            return Err(format!("has {found} weights, not {}", actor + critic));
        }
        self.actor.params_mut().copy_from_slice(&weights[..actor]);
        self.critic.params_mut().copy_from_slice(&weights[actor..]);
        self.slow_actor = self.actor.clone();
        self.slow_critic = self.critic.clone();
        Ok(())
    }

    fn saved(&self) -> Vec<f64> {
        [self.actor.params(), self.critic.params()].concat()
    }

    /// The actor's moves, each within what is legal.
    fn moves(actor: &Net, state: &State, legal: &[Legal]) -> Vec<f64> {
        let pass = actor.forward(state);
        let bounded = pass.output().iter().zip(legal);
        bounded
            .map(|(it, legal)| libm::tanh(*it).clamp(legal.low, legal.high))
            .collect()
    }

    fn value(critic: &Net, state: &State, moves: &[f64]) -> f64 {
        critic.forward(&[&state[..], moves].concat()).output()[0]
    }

    /// What the critic should say of `it`. The future is that of legal moves.
    fn target(&self, it: &Followed) -> f64 {
        let moves = Self::moves(&self.slow_actor, &it.next, &it.next_legal);
        it.reward + self.discount * Self::value(&self.slow_critic, &it.next, &moves)
    }

    fn remember(&mut self, followed: Followed, draws: &mut SplitMix64) {
        if self.memory.len() < MEMORY {
            self.memory.push(followed);
        } else {
            let place = draws.below(MEMORY);
            self.memory[place] = followed;
        }
    }

    /// Learns from one batch.
    fn train(&mut self, draws: &mut SplitMix64) {
        if self.memory.len() < BATCH {
            return;
        }
        let mut of_critic = vec![0.0; self.critic.params().len()];
        let mut of_actor = vec![0.0; self.actor.params().len()];
        let share = 1.0 / BATCH as f64;
        for _ in 0..BATCH {
            let it = &self.memory[draws.below(self.memory.len())];
            let pass = self.critic.forward(&[&it.state[..], &it.moves].concat());
            let surprise = pass.output()[0] - self.target(it);
            let slope = surprise * share;
            self.critic.backward(&pass, &[slope], Some(&mut of_critic));
            self.push_actor(it, share, &mut of_actor);
        }
        self.of_critic.descend(self.critic.params_mut(), &of_critic);
        self.of_actor.descend(self.actor.params_mut(), &of_actor);
        self.slow_critic.follow(&self.critic, FOLLOW);
        self.slow_actor.follow(&self.actor, FOLLOW);
    }

    /// Adds the actor's gradient: towards moves that the critic values more.
    fn push_actor(&self, it: &Followed, share: f64, gradient: &mut [f64]) {
        let pass = self.actor.forward(&it.state);
        let moves = Self::moves(&self.actor, &it.state, &it.legal);
        let judged = self.critic.forward(&[&it.state[..], &moves].concat());
        let slopes = self.critic.backward(&judged, &[-share], None);
        let mut outer = Vec::with_capacity(moves.len());
        for (at, raw) in pass.output().iter().enumerate() {
            let squashed = libm::tanh(*raw);
            let slope = slopes[FEATURES.len() + at];
            // Beyond the border the critic is not asked; only the way back counts.
            let beyond = (squashed > it.legal[at].high && slope < 0.0)
                || (squashed < it.legal[at].low && slope > 0.0);
            let slope = if beyond { 0.0 } else { slope };
            outer.push(slope * (1.0 - squashed * squashed) + share * 1e-2 * raw);
        }
        self.actor.backward(&pass, &outer, Some(gradient));
    }
}

/// Moves, and the state and mix that they were made in.
struct Made {
    state: State,
    mix: usize,
    moves: Vec<f64>,
    legal: Vec<Legal>,
}

struct Ddpg {
    bounds: Bounds,
    scales: [f64; 3],
    learn: bool,
    noise_at_first: f64,
    noise: f64,
    updates: u32,
    /// The limits that are learned: of level 1, and perhaps of level 2.
    limits: Vec<u32>,
    brain: Brain,
    last: Option<Made>,
    baselines: Baselines,
    draws: SplitMix64,
    watch: Watch,
    referee: Referee,
    hand: Hand,
}

impl Ddpg {
    fn state(&self, mix: &Mix, window: &WindowStats, tree: &TreeShape) -> State {
        let ratio = f64::from(self.bounds.ratio);
        let level0_max = f64::from(self.bounds.level0_max);
        let bytes = |level: usize| tree.levels.get(level).map_or(0.0, |it| it.bytes() as f64);
        let all: f64 = (0..tree.levels.len()).map(bytes).sum();
        let part = |part: f64, whole: f64| (part / whole.max(1.0)).clamp(0.0, 1.0);
        let runs = |level| merges::runs_of(tree, level) as f64;
        let first = self.limits[0];
        let second = self.limits.get(1).copied().unwrap_or(first);
        let level0 = Setting::uniform(first, &self.bounds).level0;
        let [empty, hits, scans, writes] = mix.shares();
        [
            empty,
            hits,
            scans,
            writes,
            f64::from(first) / ratio,
            f64::from(second) / ratio,
            f64::from(level0) / level0_max,
            part(runs(0), 2.0 * level0_max),
            part(runs(1), 2.0 * ratio),
            part(bytes(1), all),
            part(window.debt_bytes as f64, all),
        ]
    }

    fn legal(&self) -> Vec<Legal> {
        let limits = self.limits.iter();
        limits
            .map(|runs| Legal::of(*runs, self.bounds.ratio))
            .collect()
    }

    fn take(&mut self, next: State, mix: usize, log: f64) {
        let excess = self.baselines.excess(mix, log);
        let Some(made) = self.last.take() else {
            return;
        };
        if !self.learn || made.mix != mix {
            return;
        }
        let followed = Followed {
            state: made.state,
            moves: made.moves,
            legal: made.legal,
            reward: (-excess).clamp(-1.0, 1.0),
            next,
            next_legal: self.legal(),
        };
        self.brain.remember(followed, &mut self.draws);
        for _ in 0..self.updates {
            self.brain.train(&mut self.draws);
        }
    }

    /// Makes the actor's moves, with noise, and returns them as they were made.
    fn act(&mut self, state: &State) -> Vec<f64> {
        let legal = self.legal();
        let mut moves = Brain::moves(&self.brain.actor, state, &legal);
        for (at, amount) in moves.iter_mut().enumerate() {
            let noise = self.noise * normal(&mut self.draws);
            *amount = (*amount + noise).clamp(legal[at].low, legal[at].high);
            if *amount > STEP {
                self.limits[at] += 1;
            } else if *amount < -STEP {
                self.limits[at] -= 1;
            }
        }
        self.noise = (self.noise * 0.995).max(self.noise.min(0.1));
        moves
    }
}

impl Agent for Ddpg {
    fn step(&mut self, window: &WindowStats, tree: &TreeShape) -> Vec<Decision> {
        self.hand.begin(window);
        if self.watch.see(window) {
            self.noise = self.noise_at_first;
        }
        let (Some(judged), Some(mix)) = (self.referee.judge(window), Mix::of(window)) else {
            return self.hand.finish();
        };
        let state = self.state(&mix, window, tree);
        self.take(state, mix.bucket(), judged.log);
        let legal = self.legal();
        let moves = self.act(&state);
        self.last = Some(Made {
            state,
            mix: mix.bucket(),
            moves,
            legal,
        });
        let levels = tree.deepest().max(1);
        let limits = propagate(&self.limits, self.bounds.ratio, levels);
        for (above, runs) in limits.into_iter().enumerate() {
            self.hand.set_runs(above + 1, runs, tree, "actor");
        }
        let level0 = Setting::uniform(self.limits[0], &self.bounds).level0;
        self.hand.set_level0(level0, tree, "actor");
        merges::for_reads(&mut self.hand, window, tree, &self.watch, &self.referee);
        self.hand.finish()
    }

    fn save(&self) -> Option<Value> {
        let parameters = json!({ "discount": self.brain.discount });
        let weights = self.brain.saved();
        Some(AgentFile::new("ddpg", &FEATURES, &self.scales, parameters, weights).into_value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn followed(next_runs: u32) -> Followed {
        Followed {
            state: [0.5; FEATURES.len()],
            moves: vec![0.5],
            legal: vec![Legal::of(2, 10)],
            reward: 0.25,
            next: [0.5; FEATURES.len()],
            next_legal: vec![Legal::of(next_runs, 10)],
        }
    }

    #[test]
    fn the_target_is_of_moves_that_can_be_made() {
        let mut draws = SplitMix64::new(1);
        let mut brain = Brain::new(1, &Params::default(), &mut draws);
        // An actor that always wants one run more.
        let last = brain.slow_actor.params().len() - 1;
        brain.slow_actor.params_mut()[last] = 9.0;
        let state = [0.5; FEATURES.len()];
        for (runs, made) in [(5, libm::tanh(9.0)), (10, 0.0)] {
            let it = followed(runs);
            let moves = Brain::moves(&brain.slow_actor, &state, &it.next_legal);
            assert!((moves[0] - made).abs() < 1e-2, "{moves:?}");
            let future = Brain::value(&brain.slow_critic, &state, &moves);
            assert_eq!(brain.target(&it), 0.25 + 0.8 * future);
        }
    }

    #[test]
    fn a_saved_agent_acts_alike_and_another_shape_is_refused() {
        let build = |spec: &PolicySpec| (ENTRY.build)(3, spec);
        let spec = PolicySpec::named("ddpg");
        let window = |turn: u64| WindowStats {
            scans: 500,
            writes: 500,
            device_write_bytes: 1_000_000 + 1000 * (turn % 7),
            ..WindowStats::default()
        };
        let mut taught = build(&spec).unwrap();
        for turn in 0..100 {
            taught.step(&window(turn), &TreeShape::default());
        }
        let saved = taught.save().expect("weights");
        let text: Value = serde_json::from_str(&saved.to_string()).unwrap();
        let frozen = spec.with("model", text).with("learn", false);
        let mut twins = [build(&frozen).unwrap(), build(&frozen).unwrap()];
        for turn in 0..30 {
            let [one, two] = &mut twins;
            let tree = TreeShape::default();
            assert_eq!(
                one.step(&window(turn), &tree),
                two.step(&window(turn + 3), &tree)
            );
        }
        assert_eq!(twins[0].save(), Some(saved), "it does not learn");
        assert!(build(&frozen.with("monkey", true)).is_err());
    }
}
