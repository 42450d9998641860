//! The judge of changes: what windows cost before and after, and when a change is taken back.
//!
//! It has no part in the engine: windows and values come in, orders go out. Costs are the
//! [referee's](aura_policies::referee), so that debt is charged.
//!
//! Windows differ by chance, most of all where few of them hold a compaction. So what settings
//! cost is known once its standard error is half of `harm`, or after eight times `watch` windows,
//! and a change is taken back if it costs more by `harm` and by more than chance explains. A
//! difference of 1.65 times decides nothing the first time: the change is watched once more.
//!
//! Each mix of operations has an anchor: the cheapest settings that are known for it. A mix that is
//! new begins at the settings of opening, one that comes back begins at its anchor. Where the path
//! of changes has led to windows that cost less than the anchor's, beyond chance, its end is the
//! anchor from then on; where they cost more, the anchor comes back. Small losses
//! do not add up. What all windows have cost beyond the anchor is at most the
//! share `harm` of what the anchor would have cost, the same of `fall_back` windows, and chance:
//! then the anchor comes back and rests (Wu et al., "Conservative Bandits", ICML 2016).

mod level;
mod mixes;
#[cfg(test)]
mod tests;

use aura_policies::facts::{Judgement, Standing, Verdict, WindowStats};
use aura_policies::mix::Watch;
use aura_policies::referee::Referee;
use aura_policies::self_tuner::Proposal;

use self::level::{Level, error_of_difference};
use self::mixes::{Anchor, Mixes};
use super::rules::Values;
use crate::config::SelfTuningConfig;
use crate::metrics::TuningStep;

/// The ratio of costs, or its inverse, that is a jump.
const JUMP: f64 = 1.65;

/// Times `watch` after which a cost counts as known, however noisy it is.
const WATCHES_MAX: u32 = 8;

/// Standard errors beyond which a difference is hardly chance, and beyond which it is not.
const UNLIKELY: f64 = 2.0;
const SURE: f64 = 3.0;

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
    before: Level,
    after: Level,
    /// What all windows since have cost beyond `before`.
    lost: f64,
    /// What was lost against the anchor before it.
    excess: f64,
    has_jumped: bool,
}

enum Phase {
    /// Another mix may have begun: one more window will show it.
    Settling,
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
    anchor: Anchor,
    /// What is known of other mixes.
    mixes: Mixes,
    /// What a window costs on the path of changes that leads away from the anchor.
    away: Level,
    /// The end of the last path that was left for the anchor, and what windows cost on it.
    left: Option<(Values, Level)>,
    /// Windows since the mix or its anchor began.
    windows: f64,
    /// Those of them with other values than the anchor's.
    windows_away: f64,
    /// What these have cost beyond the anchor.
    excess: f64,
    /// Windows whose cost does not count, because the values have just changed.
    skip: u32,
    /// What all windows have cost.
    spent: f64,
    /// What windows of changes that were taken back have cost beyond those before.
    lost: f64,
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
            anchor: Anchor::new(now.clone()),
            expected: now,
            mixes: Mixes::default(),
            away: Level::default(),
            left: None,
            windows: 0.0,
            windows_away: 0.0,
            excess: 0.0,
            skip: 0,
            spent: 0.0,
            lost: 0.0,
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
            Phase::Settling | Phase::Estimating => Standing::Estimating,
            Phase::Free => Standing::Free,
            Phase::Watching(_) => Standing::Watching,
            Phase::Resting(_) => Standing::Resting,
        }
    }

    /// Takes what became of the last proposal, for the self-tuner.
    pub(super) fn take_judgement(&mut self) -> Option<Judgement> {
        self.judged.take()
    }

    /// Notes what became of a proposal, and the costs without and with it, 0 if not measured.
    pub(super) fn note(&mut self, verdict: Verdict, before: f64, after: f64) {
        self.judged = Some(Judgement {
            verdict,
            before,
            after,
        });
    }

    /// Notes that `proposal` was carried out: `next` is in force, where `back` was.
    pub(super) fn begin(&mut self, proposal: Proposal, back: Values, next: Values) {
        let before = *self.here();
        if self.is_at_anchor() || next == self.anchor.at {
            self.away = Level::default();
        }
        self.set(next);
        self.phase = Phase::Watching(Watched {
            proposal,
            back,
            before,
            after: Level::default(),
            lost: 0.0,
            excess: self.excess,
            has_jumped: false,
        });
    }

    /// Notes the values that are in force after an order was carried out, or was not.
    pub(super) fn set(&mut self, now: Values) {
        self.expected = now;
        self.skip = self.skip.max(1);
    }

    fn is_at_anchor(&self) -> bool {
        self.expected == self.anchor.at
    }

    /// What is known of the cost here, at the anchor or on the path.
    fn here(&self) -> &Level {
        match self.is_at_anchor() {
            true => &self.anchor.level,
            false => &self.away,
        }
    }

    /// Whether enough windows were seen to say what one costs.
    fn is_known(&self, level: &Level) -> bool {
        let watch = f64::from(self.watch);
        let most = watch * f64::from(WATCHES_MAX);
        let is_precise = level.error() <= level.mean() * self.harm / 2.0;
        level.windows() >= most || (level.windows() >= watch && (is_precise || watch < 2.0))
    }

    /// The most that a window may cost by the side of `level`, where `noise` is chance.
    fn most(&self, level: &Level, noise: f64) -> f64 {
        level.mean() + noise.max(self.harm * level.mean())
    }

    /// Takes other values for those that an operator wants. A change that is watched is given up.
    fn follow_operator(&mut self, now: &Values) -> Option<Order> {
        for (knob, value) in now {
            if self.expected.get(knob) != Some(value) {
                self.opening.insert(*knob, *value);
            }
        }
        self.set(now.clone());
        self.mixes.clear();
        self.take_anchor(Anchor::new(now.clone()));
        let order = self.give_up("changed-by-hand", None);
        self.phase = Phase::Estimating;
        order
    }

    /// Takes another anchor, and counts from now on what is lost against it.
    fn take_anchor(&mut self, anchor: Anchor) {
        self.anchor = anchor;
        self.away = Level::default();
        self.left = None;
        (self.windows, self.windows_away, self.excess) = (0.0, 0.0, 0.0);
    }

    /// Gives up a change that is watched.
    fn give_up(&mut self, why: &'static str, set: Option<Values>) -> Option<Order> {
        let phase = std::mem::replace(&mut self.phase, Phase::Estimating);
        let Phase::Watching(watched) = phase else {
            return None;
        };
        self.note(Verdict::Abandoned, watched.before.mean(), 0.0);
        Some(Order {
            step: TuningStep::Abandoned,
            why,
            proposal: Some(watched.proposal),
            before: watched.before.mean(),
            after: 0.0,
            set,
        })
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
            return self.leave_mix(held);
        }
        if held {
            // Nothing is judged that may have to be taken back.
            if let Phase::Watching(watched) = &mut self.phase {
                watched.after = Level::default();
            }
            return None;
        }
        if matches!(self.phase, Phase::Settling) {
            return self.enter_mix();
        }
        self.anchor.mix = self.mix.mix();
        self.charge(cost);
        let order = self.judge_window(cost);
        if order.is_none() && self.is_over_budget() {
            return Some(self.stop());
        }
        order
    }

    fn judge_window(&mut self, cost: f64) -> Option<Order> {
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        match self.is_at_anchor() {
            true => self.anchor.level.take(cost),
            false => self.away.take(cost),
        }
        match std::mem::replace(&mut self.phase, Phase::Estimating) {
            Phase::Watching(watched) => self.watch(watched, cost),
            Phase::Resting(left) if left > 1 => {
                self.phase = Phase::Resting(left - 1);
                None
            }
            Phase::Resting(_) => None,
            phase => {
                self.phase = phase;
                self.estimate()
            }
        }
    }

    /// Charges what a window cost beyond the anchor.
    fn charge(&mut self, cost: f64) {
        self.windows += 1.0;
        if let Phase::Watching(watched) = &mut self.phase {
            watched.lost += cost - watched.before.mean();
        }
        if self.is_at_anchor() || !self.anchor.level.is_measured() {
            return;
        }
        self.windows_away += 1.0;
        // A jump counts as a window that is as dear as one can be by chance, or a bit more.
        let (mean, deviation) = (self.anchor.level.mean(), self.anchor.level.deviation());
        let most = mean * JUMP + 2.0 * SURE * deviation;
        self.excess += cost.min(most) - mean;
    }

    /// Whether more was lost against the anchor than may be.
    fn is_over_budget(&self) -> bool {
        let windows = f64::from(self.fall_back) + self.windows;
        let chance = UNLIKELY * self.anchor.level.deviation() * self.windows_away.sqrt();
        let allowed = self.harm * self.anchor.level.mean() * windows + chance;
        !self.is_at_anchor() && self.windows_away > 0.0 && self.excess > allowed
    }

    /// The mix has ended: what is known of it is kept.
    fn leave_mix(&mut self, held: bool) -> Option<Order> {
        let back = match &self.phase {
            Phase::Watching(watched) if !held => Some(watched.back.clone()),
            _ => None,
        };
        if !matches!(self.phase, Phase::Settling) {
            self.mixes.put(self.anchor.clone());
        }
        let order = self.give_up("another-mix", back);
        self.phase = Phase::Settling;
        order
    }

    /// A mix has begun: with the settings that suit it, if it was met before, or those at opening.
    fn enter_mix(&mut self) -> Option<Order> {
        let mix = self.mix.mix();
        let known = self.mixes.take(&mix);
        let why = match known {
            Some(_) => "known-mix",
            None => "new-mix",
        };
        let mut anchor = known.unwrap_or_else(|| Anchor::new(self.opening.clone()));
        anchor.mix = mix;
        anchor.level = Level::default();
        anchor.fell_back = 0;
        self.take_anchor(anchor);
        self.phase = Phase::Estimating;
        (!self.is_at_anchor()).then(|| self.restore(why, 0.0, 0.0))
    }

    /// A window without a change to watch.
    fn estimate(&mut self) -> Option<Order> {
        if let Some(order) = self.compare_with_anchor() {
            return Some(order);
        }
        // A change is tried while those that failed have cost a bounded share of everything.
        let can_afford = self.lost <= self.harm * self.spent;
        let is_estimating = matches!(self.phase, Phase::Estimating);
        if is_estimating && can_afford && self.is_known(self.here()) {
            self.phase = Phase::Free;
        }
        None
    }

    /// Takes the values in force for the anchor if the path costs less, beyond chance, and goes
    /// back to it if the path costs more. There, what the path has cost is compared once more.
    fn compare_with_anchor(&mut self) -> Option<Order> {
        if self.is_at_anchor() {
            return self.compare_with_path();
        }
        if !self.is_known(&self.away) {
            return None;
        }
        let chance = error_of_difference(&self.away, &self.anchor.level);
        let (before, after) = (self.anchor.level.mean(), self.away.mean());
        if after + chance < before {
            let mut anchor = Anchor::new(self.expected.clone());
            anchor.mix = self.anchor.mix;
            anchor.level = self.away;
            self.take_anchor(anchor);
        }
        if after - UNLIKELY * chance <= before {
            return None;
        }
        self.note(Verdict::Undone, before, after);
        self.leave_path(self.expected.clone(), self.away);
        Some(self.restore("best-known-costs-less", before, after))
    }

    /// Goes back to the path if the anchor costs more now than the path did: the costs of all
    /// settings have changed since the anchor was measured.
    fn compare_with_path(&mut self) -> Option<Order> {
        let (_, level) = self.left.as_ref()?;
        if !self.is_known(&self.anchor.level) {
            return None;
        }
        let chance = error_of_difference(level, &self.anchor.level);
        let (before, after) = (self.anchor.level.mean(), level.mean());
        let (at, level) = self.left.take()?;
        if after + chance >= before {
            return None;
        }
        let mut anchor = Anchor::new(at);
        anchor.mix = self.anchor.mix;
        anchor.level = level;
        self.take_anchor(anchor);
        Some(self.restore("what-was-left-costs-less", before, after))
    }

    /// Notes that the anchor comes back, whose cost is measured again, from a path that has led to
    /// the values `end`.
    fn leave_path(&mut self, end: Values, level: Level) {
        let mut anchor = self.anchor.clone();
        anchor.level = Level::default();
        self.take_anchor(anchor);
        let is_path = end != self.anchor.at && level.windows() >= f64::from(self.watch);
        self.left = is_path.then_some((end, level));
    }

    /// Brings the anchor back.
    fn restore(&mut self, why: &'static str, before: f64, after: f64) -> Order {
        self.phase = Phase::Estimating;
        // The cache must fill first.
        self.skip = self.watch;
        Order {
            step: TuningStep::Restored,
            why,
            proposal: None,
            before,
            after,
            set: Some(self.anchor.at.clone()),
        }
    }

    /// A window with a change to watch.
    fn watch(&mut self, mut watched: Watched, cost: f64) -> Option<Order> {
        watched.after.take(cost);
        let (before, after) = (watched.before, watched.after);
        let is_seen = after.windows() >= f64::from(self.watch);
        if !is_seen && !self.is_hopeless(&before, &after) {
            self.phase = Phase::Watching(watched);
            return None;
        }
        let cost = after.mean();
        let noise = noise(&before, &after);
        let is_beyond_chance = (cost - before.mean()).abs() > SURE * noise;
        if !watched.has_jumped && is_jump(cost, before.mean()) && is_beyond_chance {
            watched.has_jumped = true;
            watched.after = Level::default();
            self.phase = Phase::Watching(watched);
            return None;
        }
        let is_worse = cost > self.most(&before, UNLIKELY * noise)
            || (cost >= before.mean() && self.is_beyond_anchor(&after));
        Some(match is_worse {
            true => self.take_back(watched),
            false => self.keep(&watched),
        })
    }

    /// Whether windows cost more than the anchor, if its cost was measured: small losses do not add
    /// up.
    fn is_beyond_anchor(&self, after: &Level) -> bool {
        let anchor = &self.anchor.level;
        let most = self.most(anchor, UNLIKELY * noise(anchor, after));
        anchor.is_measured() && after.mean() > most
    }

    /// Whether windows after a change cost so much that a few of them are enough.
    fn is_hopeless(&self, before: &Level, after: &Level) -> bool {
        let beyond = after.mean() - self.most(before, 0.0);
        after.windows() >= 2.0 && beyond > SURE * noise(before, after)
    }

    fn keep(&mut self, watched: &Watched) -> Order {
        self.phase = Phase::Free;
        self.judge(watched, Verdict::Kept, TuningStep::Kept, "no-harm", None)
    }

    fn take_back(&mut self, watched: Watched) -> Order {
        self.lost += watched.lost.max(0.0);
        if watched.back != self.anchor.at {
            self.away = watched.before;
        }
        let set = Some(watched.back.clone());
        let undone = TuningStep::Undone;
        self.judge(&watched, Verdict::Undone, undone, "costs-more", set)
    }

    fn judge(
        &mut self,
        watched: &Watched,
        verdict: Verdict,
        step: TuningStep,
        why: &'static str,
        set: Option<Values>,
    ) -> Order {
        let (before, after) = (watched.before.mean(), watched.after.mean());
        self.note(verdict, before, after);
        Order {
            step,
            why,
            proposal: Some(watched.proposal),
            before,
            after,
            set,
        }
    }

    /// Too much was lost: a change that did it alone is taken back, and else the anchor comes back.
    fn stop(&mut self) -> Order {
        let phase = std::mem::replace(&mut self.phase, Phase::Estimating);
        let Phase::Watching(watched) = phase else {
            let (before, after) = (self.anchor.level.mean(), self.away.mean());
            self.leave_path(self.expected.clone(), self.away);
            return self.fall_back(None, before, after);
        };
        if watched.excess <= 0.0 {
            return self.take_back(watched);
        }
        self.lost += watched.lost.max(0.0);
        let (before, after) = (watched.before.mean(), watched.after.mean());
        self.note(Verdict::Undone, before, after);
        self.leave_path(watched.back, watched.before);
        self.fall_back(Some(watched.proposal), before, after)
    }

    /// Brings the anchor back, and lets it rest.
    fn fall_back(&mut self, proposal: Option<Proposal>, before: f64, after: f64) -> Order {
        let doublings = self.anchor.fell_back.min(DOUBLINGS_MAX);
        self.anchor.fell_back = self.anchor.fell_back.saturating_add(1);
        self.phase = Phase::Resting(self.rest.saturating_mul(1 << doublings));
        Order {
            step: TuningStep::FellBack,
            why: "too-much-lost",
            proposal,
            before,
            after,
            set: Some(self.anchor.at.clone()),
        }
    }
}

/// The standard error of the difference between a level and a few windows, whose own deviation may
/// be small by chance.
fn noise(level: &Level, few: &Level) -> f64 {
    let deviation = level.deviation().max(few.deviation());
    let known = deviation / level.windows().max(1.0).sqrt();
    known.hypot(deviation / few.windows().max(1.0).sqrt())
}

/// Whether `cost` differs from the cost `before`, if that is known, more than noise explains.
fn is_jump(cost: f64, before: f64) -> bool {
    before > 0.0 && (cost > before * JUMP || cost * JUMP < before)
}
