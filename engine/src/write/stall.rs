//! Back-pressure: writers wait when the background cannot keep up.
//!
//! Called by the leader of a commit group, so that all writers wait together. Stops are for limits that memory or reads
//! depend on; before them writes are slowed down smoothly, the more the nearer the stop, so that the wait is spread
//! over many writes rather than met at a cliff. Every wait is an event with its cause, rate and duration.

use std::sync::atomic::Ordering;

use crate::error::Result;
use crate::memtable::Memtable;
use crate::metrics::{Event, EventKind, StallCause, add};
use crate::state::{Inner, ReadState};
use crate::write::Log;

/// Bytes a second let through where slowing down begins; it falls linearly to a sixteenth of this at the stop.
const RATE_MAX: u64 = 64 << 20;

/// How hard the engine presses back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pressure {
    None,
    Slow(StallCause, u64),
    Stop(StallCause),
}

impl Inner {
    /// Waits as the state of the tree demands, and seals the active memtable when it is full.
    pub(crate) async fn make_room(&self, log: &mut Log, bytes: u64) -> Result<()> {
        loop {
            match self.pressure(&self.view.load()) {
                Pressure::None => break,
                Pressure::Slow(cause, rate) => {
                    let nanos = bytes.saturating_mul(1_000_000_000) / rate;
                    let start = self.env.clock.now();
                    self.env.clock.sleep(nanos).await;
                    self.book_stall(cause, rate, start);
                    break;
                }
                Pressure::Stop(cause) => {
                    self.wait_for_room(cause, |pressure| pressure != Pressure::Stop(cause))
                        .await?
                }
            }
        }
        // A memtable of pointers is small: it is full, too, when it points at as much as a value file holds, so that what
        // is overwritten becomes garbage in time, and a recovery has no more than that to check.
        let full = |active: &Memtable| {
            active.bytes() >= self.config().memtable.as_u64()
                || active.separated_bytes() >= self.config().value_log.file.as_u64()
        };
        if !full(&self.view.load().active) {
            return Ok(());
        }
        let sealed_max = self.config().memtables_sealed_max as usize;
        if self.view.load().sealed.len() >= sealed_max {
            self.wait_for_room(StallCause::Memtables, |_| {
                self.view.load().sealed.len() < sealed_max
            })
            .await?;
        }
        self.seal(log).await
    }

    fn pressure(&self, view: &ReadState) -> Pressure {
        let limits = &self.config().compaction;
        let runs = view
            .version
            .levels
            .first()
            .map_or(0, |level| level.runs.len() as u64);
        let debt = self.debt_bytes.load(Ordering::Relaxed);
        let debt_slowdown = limits.debt_slowdown.as_u64();
        let (runs_slowdown, runs_stop) = (
            u64::from(limits.level0_slowdown),
            u64::from(limits.level0_stop),
        );
        let garbage = self.garbage_ppm.load(Ordering::Relaxed);
        let values = &self.config().value_log;
        let garbage_stop = (values.gc_stop * 1e6) as u64;
        let garbage_slowdown = ((values.gc_high + values.gc_stop) / 2.0 * 1e6) as u64;
        if runs >= runs_stop {
            Pressure::Stop(StallCause::Level0Runs)
        } else if debt >= debt_slowdown * 4 {
            Pressure::Stop(StallCause::Debt)
        } else if garbage > garbage_stop {
            Pressure::Stop(StallCause::Garbage)
        } else if runs >= runs_slowdown {
            Pressure::Slow(
                StallCause::Level0Runs,
                rate(runs - runs_slowdown, runs_stop - runs_slowdown),
            )
        } else if debt >= debt_slowdown {
            Pressure::Slow(
                StallCause::Debt,
                rate(debt - debt_slowdown, debt_slowdown * 3),
            )
        } else if garbage > garbage_slowdown {
            let rate = rate(garbage - garbage_slowdown, garbage_stop - garbage_slowdown);
            Pressure::Slow(StallCause::Garbage, rate)
        } else {
            Pressure::None
        }
    }

    async fn wait_for_room(
        &self,
        cause: StallCause,
        enough: impl Fn(Pressure) -> bool,
    ) -> Result<()> {
        let start = self.env.clock.now();
        loop {
            let progress = self.progress.notified();
            tokio::pin!(progress);
            progress.as_mut().enable();
            self.check_writable()?;
            if enough(self.pressure(&self.view.load())) {
                break;
            }
            progress.await;
        }
        self.book_stall(cause, 0, start);
        Ok(())
    }

    fn book_stall(&self, cause: StallCause, rate_bytes: u64, start: u64) {
        let end = self.env.clock.now();
        add(&self.counters.mine().stalls, 1);
        add(&self.counters.mine().stall_nanos, end - start);
        self.counters.event(Event {
            start_nanos: start,
            end_nanos: end,
            kind: EventKind::Stall { cause, rate_bytes },
        });
    }
}

/// The rate `over` a threshold whose stop lies `span` beyond it.
fn rate(over: u64, span: u64) -> u64 {
    let left = span.saturating_sub(over).max(span.div_ceil(16));
    (u128::from(RATE_MAX) * u128::from(left) / u128::from(span.max(1))).max(1) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_falls_smoothly_to_a_sixteenth() {
        assert_eq!(rate(0, 16), RATE_MAX);
        assert_eq!(rate(8, 16), RATE_MAX / 2);
        assert_eq!(rate(15, 16), RATE_MAX / 16);
        assert_eq!(rate(16, 16), RATE_MAX / 16);
        assert!((0..16).all(|over| rate(over, 16) >= rate(over + 1, 16)));
    }
}
