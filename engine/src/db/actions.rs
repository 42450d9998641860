//! What an agent asks for, carried out.
//!
//! Each action is compared with its range and with what holds already, so that one that is out of
//! range changes nothing, and one that is neutral costs nothing. Run limits are in the manifest;
//! whatever else an agent sets is in memory, and gone when the engine is closed.

use aura_policies::agent::{Action, Transition};
use aura_policies::facts::Outcome;
use aura_policies::{AnyFamily, PolicySpec, filter, picker};

use super::Db;
use crate::compaction::Merge;
use crate::error::{Error, Result};
use crate::manifest::Edit;
use crate::state::{OpenedFiles, Policies};

/// Levels that a tree may have.
const LEVELS_MAX: usize = 64;

/// The slowest rate of writers, in bytes a second: below it, a single batch may wait for minutes.
const WRITE_RATE_MIN: u64 = 64 << 10;

/// The most bits a key.
const FILTER_BITS_MAX: f64 = 32.0;

/// What became of an action.
pub(super) struct CarriedOut {
    pub(super) outcome: Outcome,
    /// The action that would set back what it has set.
    pub(super) undo: Option<Action>,
}

impl From<Outcome> for CarriedOut {
    fn from(outcome: Outcome) -> Self {
        let undo = None;
        Self { outcome, undo }
    }
}

/// A setting was changed that `undo` would set back.
fn changed(undo: Action) -> CarriedOut {
    CarriedOut {
        outcome: Outcome::Done,
        undo: Some(undo),
    }
}

impl Db {
    /// Carries an agent's action out, if it is in range and changes something.
    ///
    /// # Errors
    /// Those of an edit of the manifest.
    pub(super) async fn carry_out(&self, action: &Action) -> Result<CarriedOut> {
        Ok(match action {
            Action::SetRuns {
                level,
                runs,
                transition,
            } => self.set_runs(*level, *runs, *transition).await?,
            Action::SetLevel0Trigger { runs } => self.set_level0_trigger(*runs),
            Action::Merge { from, to } => {
                let merge = Merge {
                    from: *from,
                    to: *to,
                };
                self.scheduler.ask_for_merge(merge).into()
            }
            Action::SetPicker { picker } => self.set_picker(picker).await?,
            Action::SetFilterBits { level, bits } => self.set_filter_bits(*level, *bits).await?,
            Action::SetWriteRate { bytes } => self.set_write_rate(*bytes),
            Action::Hold => self.scheduler.hold().into(),
        })
    }

    async fn set_runs(
        &self,
        level: usize,
        runs: u32,
        transition: Transition,
    ) -> Result<CarriedOut> {
        let shape = self.scheduler.shape();
        let layout = self.core.policies().layout.clone();
        let ratio = layout.ratio();
        if level == 0 || level >= LEVELS_MAX || runs == 0 || runs > ratio {
            return Ok(Outcome::Refused.into());
        }
        let facts = shape.levels.get(level);
        let held = facts.map_or(0, |facts| facts.runs.len()) as u32;
        let limit = facts.and_then(|facts| facts.runs_max);
        let limit = limit.unwrap_or_else(|| layout.runs_max(level, shape.deepest().max(level)));
        let limit = limit.clamp(1, ratio.max(1));
        let overrides = self.core.overrides();
        let waiting = overrides.waits(level);
        let merges = transition == Transition::Greedy && held > runs;
        let holds = match transition {
            Transition::Lazy => waiting.unwrap_or(limit) == runs,
            _ => waiting.is_none() && limit == runs,
        };
        if holds && !merges {
            return Ok(Outcome::Unchanged.into());
        }
        let undo = Action::SetRuns {
            level,
            runs: limit,
            transition: Transition::Flexible,
        };
        overrides.stop_waiting(level);
        if transition == Transition::Lazy && held > 0 && limit != runs {
            overrides.wait_for_empty(level, runs);
            return Ok(changed(undo));
        }
        // Before the limit: the layout must not take the runs beyond it for due.
        let beyond = if held > runs { held - 1 } else { 0 };
        overrides.inherit(level, beyond);
        if limit != runs {
            self.commit_limits(vec![(level, runs)]).await?;
        }
        if merges {
            let merge = Merge {
                from: level,
                to: level,
            };
            if self.scheduler.ask_for_merge(merge) == Outcome::Refused {
                overrides.inherit(level, 0);
            }
        }
        self.scheduler.tree_changed();
        Ok(changed(undo))
    }

    async fn commit_limits(&self, runs_max: Vec<(usize, u32)>) -> Result<()> {
        let edit = Edit {
            runs_max,
            ..Edit::default()
        };
        self.tree.commit(edit, OpenedFiles::default()).await
    }

    /// Sets the run limits that wait for an empty level, where a compaction has emptied it.
    ///
    /// # Errors
    /// Those of an edit of the manifest.
    pub(super) async fn set_limits_that_waited(&self) -> Result<()> {
        let version = self.tree.version();
        let is_empty = |level: usize| {
            let level = version.levels.get(level);
            level.is_none_or(|level| level.runs.is_empty())
        };
        let due = self.core.overrides().take_due(is_empty);
        match due.is_empty() {
            true => Ok(()),
            false => self.commit_limits(due).await,
        }
    }

    fn set_level0_trigger(&self, runs: u32) -> CarriedOut {
        let before = self.core.level0_trigger();
        if runs == 0 || runs >= self.core.config().compaction.level0_slowdown {
            return Outcome::Refused.into();
        }
        if runs == before {
            return Outcome::Unchanged.into();
        }
        self.core.overrides().set_level0_trigger(runs);
        self.scheduler.tree_changed();
        changed(Action::SetLevel0Trigger { runs: before })
    }

    async fn set_picker(&self, spec: &PolicySpec) -> Result<CarriedOut> {
        let before = self.core.policies().picker_spec.clone();
        let complete = |spec| AnyFamily::complete(&picker::FAMILY, spec);
        if complete(spec).is_ok_and(|wanted| complete(&before) == Ok(wanted)) {
            return Ok(Outcome::Unchanged.into());
        }
        let undo = Action::SetPicker { picker: before };
        let swap = |policies: &Policies| policies.with_picker(spec);
        self.change_policies(swap, undo).await
    }

    async fn set_filter_bits(&self, level: usize, bits: f64) -> Result<CarriedOut> {
        if level >= LEVELS_MAX || !(0.0..=FILTER_BITS_MAX).contains(&bits) {
            return Ok(Outcome::Refused.into());
        }
        let config = self.core.config_to_keep();
        let before = match self.core.policies().own_filter(level) {
            Some(own) => own.spec.clone(),
            None => config.table.at(level).filter.clone(),
        };
        let wanted = filter::with_level_bits(&before, bits);
        let complete = |spec| AnyFamily::complete(&filter::FAMILY, spec).ok();
        let before = complete(&before);
        if complete(&wanted) == before {
            return Ok(Outcome::Unchanged.into());
        }
        let bits_before = before.and_then(|spec| spec.params.get("bits_per_key")?.as_f64());
        let undo = Action::SetFilterBits {
            level,
            bits: bits_before.unwrap_or(0.0),
        };
        let swap = |policies: &Policies| policies.with_filter(level, wanted);
        self.change_policies(swap, undo).await
    }

    /// Replaces policies. A policy that cannot be built is refused.
    async fn change_policies(
        &self,
        change: impl FnOnce(&Policies) -> Result<Policies>,
        undo: Action,
    ) -> Result<CarriedOut> {
        match self.core.change_policies(change).await {
            Ok(()) => {
                self.scheduler.settings_changed();
                Ok(changed(undo))
            }
            Err(Error::Policy { .. }) => Ok(Outcome::Refused.into()),
            Err(error) => Err(error),
        }
    }

    fn set_write_rate(&self, bytes: u64) -> CarriedOut {
        if bytes != 0 && bytes < WRITE_RATE_MIN {
            return Outcome::Refused.into();
        }
        let before = self.core.overrides().set_write_rate(bytes);
        match before == bytes {
            true => Outcome::Unchanged.into(),
            false => changed(Action::SetWriteRate { bytes: before }),
        }
    }
}
