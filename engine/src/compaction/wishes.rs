//! What an agent wants of the scheduler: merges that the layout does not propose, and a hold of
//! those that it does.
//!
//! A merge is kept as levels, not as tables: which tables it reads is looked up when it begins, as
//! soon as no compaction is at work in its levels. Until then the layout's plans keep out of them.
//! A merge that has nothing left to do by then is given up.

use std::collections::VecDeque;

use aura_policies::facts::{Outcome, Plan, Reason, TreeShape};
use aura_policies::layout::plan_merge;

use super::Scheduler;
use super::scheduler::Jobs;
use crate::manifest::Version;
use crate::sync::lock;

/// Merges that may wait at the same time.
const MERGES_MAX: usize = 16;

/// Levels to be merged into one run of the deeper one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Merge {
    /// The shallowest level that is read.
    pub(crate) from: usize,
    /// The deepest level that is read, and the level of the output.
    pub(crate) to: usize,
}

impl Merge {
    fn plan(self, shape: &TreeShape) -> Option<Plan> {
        plan_merge(shape, self.from, self.to, Reason::Agent)
    }

    fn covers(self, level: usize) -> bool {
        (self.from..=self.to).contains(&level)
    }
}

/// What an agent wants.
#[derive(Default)]
pub(super) struct Wishes {
    /// Merges that wait, the next one first.
    merges: VecDeque<Merge>,
    /// Whether the layout's compactions are held back.
    held: bool,
    /// Those who wait until nothing is left to do: nothing is held back meanwhile.
    idlers: usize,
}

impl Wishes {
    /// Whether the layout's compactions are held back. The hold ends if the engine `presses`.
    pub(super) fn is_held(&mut self, presses: impl FnOnce() -> bool) -> bool {
        if self.held && presses() {
            self.held = false;
        }
        self.held
    }

    /// Whether a merge that waits needs a level that `plan` works in.
    pub(super) fn wait_for(&self, plan: &Plan) -> bool {
        let mut levels = plan.inputs.iter().map(|input| input.level);
        let touches = |merge: &Merge| merge.covers(plan.level) || levels.any(|it| merge.covers(it));
        self.merges.iter().any(touches)
    }

    /// Whether a merge waits that has something to do.
    pub(super) fn has_merge(&self, shape: &TreeShape) -> bool {
        self.merges.iter().any(|merge| merge.plan(shape).is_some())
    }
}

impl Jobs {
    /// The plan of the next merge that an agent has asked for, if its levels are free. It is asked
    /// for once.
    pub(super) fn next_merge(&mut self, shape: &TreeShape) -> Option<Plan> {
        while let Some(merge) = self.wishes.merges.front().copied() {
            let plan = merge.plan(shape);
            if plan.is_some() && self.busy_levels.iter().any(|level| merge.covers(*level)) {
                return None;
            }
            self.wishes.merges.pop_front();
            if plan.is_some() {
                return plan;
            }
        }
        None
    }
}

impl Scheduler {
    /// Merges some levels into one run as soon as that is possible.
    pub(crate) fn ask_for_merge(&self, merge: Merge) -> Outcome {
        let shape = self.shape();
        if merge.to == 0 || merge.from > merge.to || merge.to > shape.deepest() + 1 {
            return Outcome::Refused;
        }
        if merge.plan(&shape).is_none() {
            return Outcome::Unchanged;
        }
        let mut jobs = lock(&self.jobs);
        if jobs.wishes.merges.contains(&merge) {
            return Outcome::Unchanged;
        }
        if jobs.wishes.merges.len() >= MERGES_MAX {
            return Outcome::Refused;
        }
        jobs.wishes.merges.push_back(merge);
        drop(jobs);
        self.settings_changed();
        Outcome::Done
    }

    /// Begins no compaction that the layout proposes until [`end_hold`](Self::end_hold), or until
    /// writers would be slowed down.
    pub(crate) fn hold(&self) -> Outcome {
        if self.presses(&self.tree.version()) {
            return Outcome::Refused;
        }
        let mut jobs = lock(&self.jobs);
        if jobs.wishes.idlers > 0 {
            return Outcome::Refused;
        }
        match std::mem::replace(&mut jobs.wishes.held, true) {
            true => Outcome::Unchanged,
            false => Outcome::Done,
        }
    }

    /// Ends a hold, if there is one.
    pub(crate) fn end_hold(&self) {
        let was_held = std::mem::take(&mut lock(&self.jobs).wishes.held);
        if was_held {
            self.lifecycle.signals().work_is_due();
        }
    }

    /// Ends a hold, and allows no other until the guard is dropped.
    pub(super) fn end_hold_for_good(&self) -> NoHold<'_> {
        lock(&self.jobs).wishes.idlers += 1;
        self.end_hold();
        NoHold(self)
    }

    /// Whether writers are slowed down for what compactions would do.
    pub(super) fn presses(&self, version: &Version) -> bool {
        let config = self.core.config();
        let limits = &config.compaction;
        let runs = version.levels.first().map_or(0, |level| level.runs.len());
        runs >= limits.level0_slowdown as usize
            || self.pressing_debt_bytes() >= limits.debt_slowdown.as_u64()
    }
}

/// Keeps compactions from being held back.
pub(super) struct NoHold<'a>(&'a Scheduler);

impl Drop for NoHold<'_> {
    fn drop(&mut self) {
        lock(&self.0.jobs).wishes.idlers -= 1;
    }
}
