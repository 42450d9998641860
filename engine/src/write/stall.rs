//! Back-pressure: writers wait when the background cannot keep up.
//!
//! Called by the leader of a commit group, so that all writers wait together. How fast they go
//! while level 0, the debt or the garbage grows is decided by the stall control, a policy; the
//! limits are settings. The wait for a flush, once no further memtable may be sealed, bounds memory
//! and is no policy's. Every wait is an event with its cause, rate and duration.

use aura_policies::stall::{Cause, Decision, StallFacts, Zone};

use super::{CommitPipeline, Log};
use crate::error::Result;
use crate::memtable::Memtable;
use crate::metrics::{Event, EventKind, StallCause, add};

/// The longest that a writer waits for an agent's rate without looking up.
const PACE_NANOS: u64 = 10_000_000;

/// How hard the engine presses back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pressure {
    None,
    /// Writes are let through at this many bytes a second.
    Slow(StallCause, u64),
    Stop(StallCause),
}

impl CommitPipeline {
    /// Waits as the state of the tree demands, and seals the active memtable when it is full.
    pub(super) async fn make_room(&self, log: &mut Log, bytes: u64) -> Result<()> {
        loop {
            match self.pressure() {
                Pressure::None => break,
                Pressure::Slow(StallCause::Agent, rate) => {
                    self.pace(rate, bytes).await?;
                    break;
                }
                Pressure::Slow(cause, rate) => {
                    self.slow_down(cause, rate, bytes).await;
                    break;
                }
                Pressure::Stop(cause) => {
                    let released = || self.pressure() != Pressure::Stop(cause);
                    self.wait_for_room(cause, released).await?;
                }
            }
        }
        if !self.is_full(&self.tree.load().active) {
            return Ok(());
        }
        let sealed_max = self.core.config().memtables_sealed_max as usize;
        if self.tree.load().sealed.len() >= sealed_max {
            let flushed = || self.tree.load().sealed.len() < sealed_max;
            self.wait_for_room(StallCause::Memtables, flushed).await?;
        }
        self.seal(log).await
    }

    /// Whether [`make_room`](Self::make_room) has nothing to do.
    pub(super) fn has_room(&self) -> bool {
        self.pressure() == Pressure::None && !self.is_full(&self.tree.load().active)
    }

    /// Whether a memtable is to be sealed. One of pointers is small: it is full, too, when it
    /// points at as much as a value file holds, so that what is overwritten becomes garbage in
    /// time, and a recovery has no more than that to check.
    fn is_full(&self, active: &Memtable) -> bool {
        let config = self.core.config();
        active.bytes() >= config.memtable.as_u64()
            || active.separated_bytes() >= config.value_log.file.as_u64()
    }

    /// How hard the engine presses back, or its agent if that is harder.
    fn pressure(&self) -> Pressure {
        let own = self.own_pressure();
        match (own, self.core.overrides().write_rate()) {
            (_, 0) | (Pressure::Stop(_), _) => own,
            (Pressure::Slow(_, own_rate), rate) if own_rate <= rate => own,
            (_, rate) => Pressure::Slow(StallCause::Agent, rate),
        }
    }

    /// How hard the policy presses back.
    fn own_pressure(&self) -> Pressure {
        let facts = self.stall_facts();
        let policies = self.core.policies();
        match policies.stall.decide(&facts) {
            Decision::Slow { cause, rate } => Pressure::Slow(cause.into(), rate.max(1)),
            Decision::Stop { cause } if self.will_end(&facts, cause) => {
                Pressure::Stop(cause.into())
            }
            Decision::Go | Decision::Stop { .. } => Pressure::None,
        }
    }

    /// Whether work that is due or under way may end a stop for `cause`. Otherwise writers could
    /// wait for ever: debt is an estimate, and a layout may owe what it does not plan.
    fn will_end(&self, facts: &StallFacts, cause: Cause) -> bool {
        is_cause(facts, cause) && !self.scheduler.is_idle()
    }

    /// How far the background is behind.
    fn stall_facts(&self) -> StallFacts {
        let config = self.core.config();
        let limits = &config.compaction;
        let state = self.tree.load();
        let level0 = state.version.levels.first();
        let runs = level0.map_or(0, |level| level.runs.len() as u64);
        let runs_slowdown = u64::from(limits.level0_slowdown);
        let runs_stop = u64::from(limits.level0_stop);
        let debt = self.scheduler.pressing_debt_bytes();
        let debt_slowdown = limits.debt_slowdown.as_u64();
        let garbage = self.scheduler.garbage_ppm();
        let values = &config.value_log;
        let garbage_stop = (values.gc_stop * 1e6) as u64;
        let garbage_slowdown = ((values.gc_high + values.gc_stop) / 2.0 * 1e6) as u64;
        StallFacts {
            level0: zone(runs >= runs_stop, runs >= runs_slowdown, || {
                (runs - runs_slowdown, runs_stop - runs_slowdown)
            }),
            debt: zone(debt >= debt_slowdown * 4, debt >= debt_slowdown, || {
                (debt - debt_slowdown, debt_slowdown * 3)
            }),
            garbage: zone(garbage > garbage_stop, garbage > garbage_slowdown, || {
                (garbage - garbage_slowdown, garbage_stop - garbage_slowdown)
            }),
            debt_bytes: debt,
            memtables_sealed: state.sealed.len() as u64,
            memtables_sealed_max: u64::from(config.memtables_sealed_max),
            // Both grow only. The number of the log grows with each memtable that is sealed.
            changes: self.scheduler.changes().wrapping_add(state.active.wal),
        }
    }

    /// Waits for as long as `bytes` bytes take at `rate` bytes a second.
    async fn slow_down(&self, cause: StallCause, rate: u64, bytes: u64) {
        let nanos = bytes.saturating_mul(1_000_000_000) / rate;
        let clock = &self.core.env().clock;
        let start = clock.now();
        clock.sleep(nanos).await;
        self.book_stall(cause, rate, start);
    }

    /// Waits for as long as `bytes` bytes take at `rate` bytes a second, the agent's. Since that
    /// may be long, it looks up now and then: another rate, or the end of the engine, ends it.
    async fn pace(&self, rate: u64, bytes: u64) -> Result<()> {
        let clock = &self.core.env().clock;
        let start = clock.now();
        let nanos = (u128::from(bytes) * 1_000_000_000 / u128::from(rate.max(1))) as u64;
        let end = start.saturating_add(nanos);
        while clock.now() < end && self.core.overrides().write_rate() == rate {
            self.lifecycle.check_writable()?;
            let left = end.saturating_sub(clock.now());
            clock.sleep(left.min(PACE_NANOS)).await;
        }
        self.book_stall(StallCause::Agent, rate, start);
        Ok(())
    }

    /// Waits until `is_room` returns true.
    async fn wait_for_room(&self, cause: StallCause, is_room: impl Fn() -> bool) -> Result<()> {
        let start = self.core.env().clock.now();
        let released = self.lifecycle.signals().wait_until(|| {
            self.lifecycle.check_writable()?;
            Ok(is_room())
        });
        released.await?;
        self.book_stall(cause, 0, start);
        Ok(())
    }

    fn book_stall(&self, cause: StallCause, rate_bytes: u64, start: u64) {
        let end = self.core.env().clock.now();
        let mine = self.core.counters().mine();
        add(&mine.stalls, 1);
        add(&mine.stall_nanos, end - start);
        let by_cause = match cause {
            StallCause::Memtables => &mine.stall_memtables_nanos,
            StallCause::Level0Runs => &mine.stall_level0_nanos,
            StallCause::Debt => &mine.stall_debt_nanos,
            StallCause::Garbage => &mine.stall_garbage_nanos,
            StallCause::Agent => &mine.stall_agent_nanos,
        };
        add(by_cause, end - start);
        self.core.counters().event(Event {
            start_nanos: start,
            end_nanos: end,
            kind: EventKind::Stall { cause, rate_bytes },
        });
    }
}

impl From<Cause> for StallCause {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::Memtables => Self::Memtables,
            Cause::Level0Runs => Self::Level0Runs,
            Cause::Debt => Self::Debt,
            Cause::Garbage => Self::Garbage,
        }
    }
}

/// Where a measure stands; `place` says how far beyond its point it is, and how far the stop is.
fn zone(is_stop: bool, is_slow: bool, place: impl Fn() -> (u64, u64)) -> Zone {
    match (is_stop, is_slow) {
        (true, _) => Zone::Stop,
        (false, true) => {
            let (over, span) = place();
            Zone::Slow { over, span }
        }
        (false, false) => Zone::Free,
    }
}

/// Whether the facts have the cause that a policy names.
fn is_cause(facts: &StallFacts, cause: Cause) -> bool {
    let zone = match cause {
        Cause::Memtables => return facts.memtables_sealed > 0,
        Cause::Level0Runs => facts.level0,
        Cause::Debt => facts.debt,
        Cause::Garbage => facts.garbage,
    };
    zone != Zone::Free
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_for_what_is_not_there_is_not_obeyed() {
        let slow = Zone::Slow { over: 1, span: 2 };
        let facts = StallFacts {
            level0: slow,
            debt: Zone::Stop,
            ..StallFacts::default()
        };
        assert!(is_cause(&facts, Cause::Level0Runs));
        assert!(is_cause(&facts, Cause::Debt));
        assert!(!is_cause(&facts, Cause::Garbage));
        assert!(!is_cause(&facts, Cause::Memtables));
    }
}
