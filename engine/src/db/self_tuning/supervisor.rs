//! The judge of changes: what windows cost before and after, and when a change is taken back.
//!
//! It has no part in the engine: windows and values come in, orders go out. Costs are the
//! [referee's](aura_policies::referee), so that debt is charged. It never decides on a jump: a
//! window whose mix differs begins another estimate, and so does one whose cost is 1.65 times that
//! of those before. While a change is watched, a jump of the cost begins the watch once more, but
//! only once: what stays is no jump.
//!
//! What changes that were taken back have cost is at most the share `harm` of everything, and one
//! more change: until then the next one waits (Wu et al., "Conservative Bandits", ICML 2016).
//!
//! Two bars stand for what a window may cost. One is the cost just before a change; the other, the
//! anchor, that of the settings that were in force when the mix began, so that many small losses
//! do not add up.

use aura_policies::facts::{Judgement, Standing, Verdict, WindowStats};
use aura_policies::mix::Watch;
use aura_policies::referee::Referee;
use aura_policies::self_tuner::Proposal;

use super::rules::Values;
use crate::config::SelfTuningConfig;
use crate::metrics::TuningStep;

/// The ratio of costs, or its inverse, that is a jump.
const JUMP: f64 = 1.65;

/// Times that the rest is doubled at most.
const DOUBLINGS_MAX: u32 = 10;

/// What to do after a window.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Order {
    pub(super) step: TuningStep,
    pub(super) why: &'static str,
    pub(super) proposal: Option<Proposal>,
    pub(super) before: f64,
    pub(super) after: f64,
    /// The values to set; None if they stay.
    pub(super) set: Option<Values>,
}

/// A change that is being watched.
struct Watched {
    proposal: Proposal,
    /// The values before it.
    back: Values,
    before: f64,
    /// Windows since it was carried out, or since the watch began once more.
    age: u32,
    sum: f64,
    /// Windows that cost more than they may.
    bad: u32,
    /// What all windows since have cost beyond `before`.
    lost: f64,
    has_jumped: bool,
}

enum Phase {
    Estimating,
    Free,
    Watching(Watched),
    /// Windows that are left.
    Resting(u64),
}

/// Judges the changes of one engine.
pub(super) struct Supervisor {
    watch: u32,
    harm: f64,
    fall_back: u32,
    rest: u64,
    referee: Referee,
    mix: Watch,
    phase: Phase,
    /// The values at opening, or those that an operator has set since.
    opening: Values,
    /// The values that should be in force.
    expected: Values,
    /// Costs of the last windows with these values, the newest last.
    costs: Vec<f64>,
    /// What a window cost with the values that were in force when the mix began.
    anchor: Option<(f64, u32)>,
    /// Those values.
    anchor_at: Values,
    bad: u32,
    /// What all windows have cost.
    spent: f64,
    /// What windows of changes that were taken back have cost beyond those before.
    lost: f64,
    fell_back: u32,
    judged: Option<Judgement>,
}

impl Supervisor {
    /// A supervisor of changes away from `opening`; `now` is in force.
    pub(super) fn new(tuning: &SelfTuningConfig, opening: Values, now: Values) -> Self {
        Self {
            watch: tuning.watch,
            harm: tuning.harm,
            fall_back: tuning.fall_back,
            rest: tuning.rest,
            referee: Referee::default(),
            mix: Watch::default(),
            phase: Phase::Estimating,
            opening,
            anchor_at: now.clone(),
            expected: now,
            costs: Vec::new(),
            anchor: None,
            bad: 0,
            spent: 0.0,
            lost: 0.0,
            fell_back: 0,
            judged: None,
        }
    }

    /// Whether somebody else has set the values that are in force `now`.
    pub(super) fn is_changed(&self, now: &Values) -> bool {
        *now != self.expected
    }

    /// Whether a proposal can be carried out now.
    pub(super) fn standing(&self) -> Standing {
        match self.phase {
            Phase::Estimating => Standing::Estimating,
            Phase::Free => Standing::Free,
            Phase::Watching(_) => Standing::Watching,
            Phase::Resting(_) => Standing::Resting,
        }
    }

    /// Takes what became of the last proposal, for the self-tuner.
    pub(super) fn take_judgement(&mut self) -> Option<Judgement> {
        self.judged.take()
    }

    /// Notes what became of a proposal that is not watched.
    pub(super) fn note(&mut self, verdict: Verdict) {
        self.judged = Some(Judgement {
            verdict,
            before: 0.0,
            after: 0.0,
        });
    }

    /// Notes that `proposal` was carried out: `next` is in force, where `back` was.
    pub(super) fn begin(&mut self, proposal: Proposal, back: Values, next: Values) {
        let before = mean(&self.costs);
        self.expected = next;
        self.phase = Phase::Watching(Watched {
            proposal,
            back,
            before,
            age: 0,
            sum: 0.0,
            bad: 0,
            lost: 0.0,
            has_jumped: false,
        });
    }

    /// Notes the values that are in force after an order was carried out, or was not.
    pub(super) fn set(&mut self, now: Values) {
        self.expected = now;
    }

    /// Takes other values for those that an operator wants. A change that is watched is given up.
    fn follow_operator(&mut self, now: &Values) -> Option<Order> {
        for (knob, value) in now {
            if self.expected.get(knob) != Some(value) {
                self.opening.insert(*knob, *value);
            }
        }
        self.expected.clone_from(now);
        self.begin_mix();
        self.give_up("changed-by-hand", None)
    }

    /// Forgets what windows cost: the mix, or who sets the values, is another one.
    fn begin_mix(&mut self) {
        self.costs.clear();
        self.anchor = None;
        self.anchor_at.clone_from(&self.expected);
        self.bad = 0;
        self.fell_back = 0;
    }

    /// Gives up a change that is watched.
    fn give_up(&mut self, why: &'static str, set: Option<Values>) -> Option<Order> {
        let phase = std::mem::replace(&mut self.phase, Phase::Estimating);
        let Phase::Watching(watched) = phase else {
            return None;
        };
        self.judged = Some(Judgement {
            verdict: Verdict::Abandoned,
            before: watched.before,
            after: 0.0,
        });
        Some(Order {
            step: TuningStep::Abandoned,
            why,
            proposal: Some(watched.proposal),
            before: watched.before,
            after: 0.0,
            set,
        })
    }

    /// The most that a window may cost by the anchor.
    fn most_by_anchor(&self) -> f64 {
        let anchor = self.anchor.map_or(f64::INFINITY, |(cost, _)| cost);
        anchor * (1.0 + self.harm)
    }

    /// Takes in a window at whose end the values `now` are in force. Returns what to do.
    pub(super) fn see(&mut self, window: &WindowStats, now: &Values, held: bool) -> Option<Order> {
        let cost = self.referee.judge(window).map(|judged| judged.cost);
        let is_other_mix = self.mix.see(window);
        if self.is_changed(now) {
            return self.follow_operator(now);
        }
        let cost = cost?;
        self.spent += cost;
        if is_other_mix {
            self.begin_mix();
            let back = match &self.phase {
                Phase::Watching(watched) if !held => Some(watched.back.clone()),
                _ => None,
            };
            return self.give_up("another-mix", back);
        }
        if held {
            // Nothing is judged that may have to be taken back.
            if let Phase::Watching(watched) = &mut self.phase {
                (watched.age, watched.sum, watched.bad) = (0, 0.0, 0);
            }
            return None;
        }
        match &mut self.phase {
            Phase::Estimating | Phase::Free => self.estimate(cost),
            Phase::Watching(_) => self.watch(cost),
            Phase::Resting(left) => {
                *left = left.saturating_sub(1);
                if *left == 0 {
                    self.phase = Phase::Estimating;
                    self.costs.clear();
                }
                None
            }
        }
    }

    /// A window without a change to watch.
    fn estimate(&mut self, cost: f64) -> Option<Order> {
        let at_anchor = self.expected == self.anchor_at;
        if is_jump(cost, mean(&self.costs)) {
            self.costs.clear();
            self.phase = Phase::Estimating;
            if at_anchor {
                self.anchor = None;
            }
        }
        self.costs.push(cost);
        let watch = self.watch as usize;
        if self.costs.len() > watch {
            self.costs.remove(0);
        }
        // A change is tried while those that failed have cost a bounded share of everything.
        let can_afford = self.lost <= self.harm * self.spent;
        if self.costs.len() == watch && can_afford {
            self.phase = Phase::Free;
        }
        if at_anchor {
            let (mean, windows) = self.anchor.get_or_insert((cost, 0));
            *windows = (*windows + 1).min(64);
            *mean += (cost - *mean) / f64::from(*windows);
            return None;
        }
        self.bad = match cost > self.most_by_anchor() {
            true => self.bad + 1,
            false => 0,
        };
        (self.bad >= self.fall_back).then(|| self.fall_back("too-many-bad-windows"))
    }

    /// A window with a change to watch.
    fn watch(&mut self, cost: f64) -> Option<Order> {
        let by_anchor = self.most_by_anchor();
        let Phase::Watching(watched) = &mut self.phase else {
            return None;
        };
        watched.lost += cost - watched.before;
        if is_jump(cost, watched.before) && !watched.has_jumped {
            watched.has_jumped = true;
            (watched.age, watched.sum) = (0, 0.0);
            return None;
        }
        watched.age += 1;
        if watched.age == 1 {
            return None;
        }
        watched.sum += cost;
        let by_before = watched.before * (1.0 + self.harm);
        watched.bad += u32::from(cost > by_before.min(by_anchor));
        let counted = watched.age - 1;
        // Whatever the windows that are left cost, the mean is too high.
        let is_hopeless = watched.sum > by_before * f64::from(self.watch);
        if counted < self.watch && !is_hopeless {
            return None;
        }
        let after = watched.sum / f64::from(counted);
        let is_worse = after > by_before || (after > by_anchor && after >= watched.before);
        Some(if is_worse {
            self.take_back(after)
        } else {
            self.keep(after)
        })
    }

    fn keep(&mut self, after: f64) -> Order {
        let order = self.judge(Verdict::Kept, TuningStep::Kept, "no-harm", after, None);
        self.phase = Phase::Free;
        self.costs = vec![after; self.watch as usize];
        self.bad = 0;
        order
    }

    fn take_back(&mut self, after: f64) -> Order {
        let (back, bad, lost) = match &self.phase {
            Phase::Watching(watched) => (Some(watched.back.clone()), watched.bad, watched.lost),
            _ => (None, 0, 0.0),
        };
        self.bad += bad.max(1);
        self.lost += lost.max(0.0);
        let order = self.judge(
            Verdict::Undone,
            TuningStep::Undone,
            "costs-more",
            after,
            back,
        );
        self.phase = Phase::Estimating;
        self.costs.clear();
        if self.bad >= self.fall_back {
            return Order {
                before: order.before,
                after,
                ..self.fall_back("too-many-changes-undone")
            };
        }
        order
    }

    fn judge(
        &mut self,
        verdict: Verdict,
        step: TuningStep,
        why: &'static str,
        after: f64,
        set: Option<Values>,
    ) -> Order {
        let (before, proposal) = match &self.phase {
            Phase::Watching(watched) => (watched.before, Some(watched.proposal)),
            _ => (0.0, None),
        };
        self.judged = Some(Judgement {
            verdict,
            before,
            after,
        });
        Order {
            step,
            why,
            proposal,
            before,
            after,
            set,
        }
    }

    /// Goes back to the settings at opening, and lets them rest.
    fn fall_back(&mut self, why: &'static str) -> Order {
        let doublings = self.fell_back.min(DOUBLINGS_MAX);
        let fell_back = self.fell_back.saturating_add(1);
        self.begin_mix();
        self.anchor_at.clone_from(&self.opening);
        self.fell_back = fell_back;
        self.phase = Phase::Resting(self.rest.saturating_mul(1 << doublings));
        Order {
            step: TuningStep::FellBack,
            why,
            proposal: None,
            before: 0.0,
            after: 0.0,
            set: Some(self.opening.clone()),
        }
    }
}

/// Whether `cost` differs from the cost `before`, if that is known, more than noise explains.
fn is_jump(cost: f64, before: f64) -> bool {
    before > 0.0 && (cost > before * JUMP || cost * JUMP < before)
}

/// The mean; 0 of nothing.
fn mean(costs: &[f64]) -> f64 {
    match costs.len() {
        0 => 0.0,
        len => costs.iter().sum::<f64>() / len as f64,
    }
}

#[cfg(test)]
mod tests {
    use aura_policies::facts::{Knob, Latency};
    use aura_policies::self_tuner::Change;

    use super::*;

    fn values(trigger: f64) -> Values {
        Values::from([(Knob::Level0Trigger, trigger)])
    }

    /// A supervisor with its values, and a clock of windows.
    struct World {
        supervisor: Supervisor,
        now: Values,
    }

    impl World {
        fn new() -> Self {
            let tuning = SelfTuningConfig {
                watch: 3,
                harm: 0.05,
                fall_back: 6,
                rest: 5,
                ..SelfTuningConfig::default()
            };
            let now = values(4.0);
            Self {
                supervisor: Supervisor::new(&tuning, now.clone(), now.clone()),
                now,
            }
        }

        /// A window with a cost and a share of reads of which the rest is writes.
        fn window(&mut self, cost: u64, reads: u64) -> Option<Order> {
            let window = WindowStats {
                gets: reads,
                gets_found: reads,
                writes: 100 - reads,
                get_latency: Latency {
                    count: 100,
                    nanos: cost * 100,
                    p99_nanos: 0,
                },
                ..WindowStats::default()
            };
            let order = self.supervisor.see(&window, &self.now, false)?;
            if let Some(set) = &order.set {
                self.now.clone_from(set);
                self.supervisor.set(set.clone());
            }
            Some(order)
        }

        /// Windows of reads with these costs, after which nothing is done.
        fn quiet(&mut self, costs: &[u64]) {
            for cost in costs {
                assert_eq!(self.window(*cost, 90), None, "{cost}");
            }
        }

        fn apply(&mut self, trigger: f64) {
            assert_eq!(self.supervisor.standing(), Standing::Free);
            let change = Change::Set {
                knob: Knob::Level0Trigger,
                value: trigger,
            };
            let back = std::mem::replace(&mut self.now, values(trigger));
            let proposal = Proposal::new(change, "test");
            self.supervisor.begin(proposal, back, self.now.clone());
        }
    }

    #[test]
    fn a_change_is_kept_or_taken_back_by_the_mean_of_its_windows() {
        let mut world = World::new();
        world.quiet(&[100, 110]);
        assert_eq!(world.supervisor.standing(), Standing::Estimating);
        world.quiet(&[90]);
        world.apply(5.0);
        // The first window does not count.
        world.quiet(&[130, 90, 115]);
        let kept = world.window(106, 90).expect("a judgement");
        assert_eq!((kept.step, &kept.set), (TuningStep::Kept, &None));
        assert!((kept.after - 103.7).abs() < 0.1, "{kept:?}");
        world.apply(6.0);
        world.quiet(&[110, 110, 110]);
        let undone = world.window(110, 90).expect("a judgement");
        assert_eq!(undone.step, TuningStep::Undone);
        assert_eq!(undone.set, Some(values(5.0)));
        let verdict = world.supervisor.take_judgement().map(|it| it.verdict);
        assert_eq!(verdict, Some(Verdict::Undone));
        assert_eq!(world.supervisor.take_judgement(), None, "once");
    }

    #[test]
    fn small_losses_do_not_add_up() {
        let mut world = World::new();
        world.quiet(&[100, 100, 100]);
        world.apply(5.0);
        world.quiet(&[104, 104, 104]);
        assert_eq!(
            world.window(104, 90).map(|it| it.step),
            Some(TuningStep::Kept)
        );
        world.apply(6.0);
        world.quiet(&[108, 108, 108]);
        // 4 % more than before, and 8 % more than at first.
        assert_eq!(
            world.window(108, 90).map(|it| it.step),
            Some(TuningStep::Undone)
        );
    }

    #[test]
    fn a_jump_decides_nothing() {
        let mut world = World::new();
        world.quiet(&[100, 100, 300, 100, 100]);
        assert_eq!(world.supervisor.standing(), Standing::Estimating);
        world.quiet(&[100]);
        world.apply(5.0);
        // The watch begins once more.
        world.quiet(&[100, 100, 100_000, 100, 100, 100]);
        assert_eq!(
            world.window(100, 90).map(|it| it.step),
            Some(TuningStep::Kept)
        );
        world.apply(6.0);
        // What stays is no jump. The mean of three cannot fall below 103 any more.
        world.quiet(&[100, 400, 400]);
        let undone = world.window(400, 90).map(|it| it.step);
        assert_eq!(undone, Some(TuningStep::Undone));
    }

    #[test]
    fn the_next_change_waits_until_the_last_failure_is_affordable() {
        let mut world = World::new();
        world.quiet(&[100, 100, 100]);
        world.apply(5.0);
        world.quiet(&[150, 150]);
        let undone = world.window(150, 90).or_else(|| world.window(150, 90));
        assert_eq!(undone.map(|it| it.step), Some(TuningStep::Undone));
        // Four windows at 50 more are 5 % of 4,000, of which 900 are spent.
        world.quiet(&[100; 30]);
        assert_eq!(world.supervisor.standing(), Standing::Estimating);
        world.quiet(&[100]);
        assert_eq!(world.supervisor.standing(), Standing::Free);
    }

    #[test]
    fn another_mix_gives_the_change_up_and_begins_another_estimate() {
        let mut world = World::new();
        world.quiet(&[100, 100, 100]);
        world.apply(5.0);
        world.quiet(&[100, 100]);
        let order = world.window(900, 10).expect("it is given up");
        assert_eq!(order.step, TuningStep::Abandoned);
        assert_eq!(order.set, Some(values(4.0)));
        assert_eq!(world.supervisor.standing(), Standing::Estimating);
    }

    #[test]
    fn bad_windows_lead_back_to_the_opening_and_to_a_rest() {
        let mut world = World::new();
        world.quiet(&[100, 100, 100]);
        for step in [TuningStep::Undone, TuningStep::FellBack] {
            world.apply(5.0);
            world.quiet(&[120, 120, 120]);
            assert_eq!(world.window(120, 90).map(|it| it.step), Some(step));
            if step == TuningStep::Undone {
                world.quiet(&[100; 10]);
            }
        }
        assert_eq!(world.now, values(4.0));
        world.quiet(&[100; 4]);
        assert_eq!(world.supervisor.standing(), Standing::Resting);
        world.quiet(&[100]);
        assert_eq!(world.supervisor.standing(), Standing::Estimating);
    }

    /// A change that seemed good, and is not.
    #[test]
    fn what_turns_bad_after_it_was_kept_is_not_kept_for_ever() {
        let mut world = World::new();
        world.quiet(&[100, 100, 100]);
        world.apply(5.0);
        world.quiet(&[100, 100, 100]);
        assert_eq!(
            world.window(100, 90).map(|it| it.step),
            Some(TuningStep::Kept)
        );
        world.quiet(&[120; 5]);
        let order = world.window(120, 90).expect("the sixth bad window");
        assert_eq!(order.step, TuningStep::FellBack);
        assert_eq!(order.set, Some(values(4.0)));
    }
}
