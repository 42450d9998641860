//! A policy that decides the limiter's rate, at work: what it watches, and when it decides.
//!
//! The jobs that wait for the limit look whether a decision is due. No task does, so that nothing
//! happens while nothing waits, and a policy that watches nothing costs nothing.

use std::sync::{Arc, Mutex};

use aura_policies::limiter::{LimiterFacts, RateControl, Watch};

use crate::config::IO_LIMIT_MIN;
use crate::sync::lock;

/// A policy that decides the rate.
pub(crate) type SharedControl = Arc<Mutex<Box<dyn RateControl>>>;

/// A policy at work.
pub(super) struct Control {
    policy: SharedControl,
    /// The limit that the settings give, in bytes a second; 0 means none.
    limit: u64,
    watch: Option<Watch>,
    /// When it last decided, and the users' bytes then.
    decided: u64,
    user_bytes: u64,
    /// Since then: bytes granted, periods in which a job waited, and the periods up to the last of
    /// those.
    granted: u64,
    drained: u64,
    drained_until: u64,
}

impl Control {
    /// `policy` from `now` on, when users have moved `user_bytes`.
    pub(super) fn new(policy: SharedControl, limit: u64, now: u64, user_bytes: u64) -> Self {
        let watch = lock(&policy).watch();
        Self {
            policy,
            limit,
            watch,
            decided: now,
            user_bytes,
            granted: 0,
            drained: 0,
            drained_until: 0,
        }
    }

    /// Whether this is `policy` at `limit`.
    pub(super) fn is(&self, policy: &SharedControl, limit: u64) -> bool {
        self.limit == limit && Arc::ptr_eq(&self.policy, policy)
    }

    /// Notes that a job was granted `bytes`.
    pub(super) fn note_grant(&mut self, bytes: u64) {
        self.granted += bytes;
    }

    /// Notes that a job waited from `since` until `now`: each period that it waited in is drained.
    pub(super) fn note_wait(&mut self, since: u64, now: u64) {
        let Some(watch) = self.watch else { return };
        let period = |at: u64| at.saturating_sub(self.decided) / watch.period_nanos.max(1);
        let first = period(since).max(self.drained_until);
        let end = period(now).saturating_add(1);
        self.drained += end.saturating_sub(first);
        self.drained_until = self.drained_until.max(end);
    }

    /// The rate from now on, if a decision is due.
    pub(super) fn decide(
        &mut self,
        now: u64,
        rate: u64,
        user_bytes: impl Fn() -> u64,
    ) -> Option<u64> {
        let watch = self.watch?;
        let period = watch.period_nanos.max(1);
        let nanos = now.saturating_sub(self.decided);
        if nanos < period.saturating_mul(watch.periods.max(1).into()) {
            return None;
        }
        let user_bytes = user_bytes();
        let facts = LimiterFacts {
            limit: self.limit,
            rate,
            nanos,
            periods: nanos.div_ceil(period),
            drained: self.drained.min(nanos.div_ceil(period)),
            user_bytes: user_bytes.saturating_sub(self.user_bytes),
            background_bytes: self.granted,
        };
        let next = lock(&self.policy).rate(&facts);
        *self = Self::new(self.policy.clone(), self.limit, now, user_bytes);
        Some(within(next, self.limit))
    }
}

/// `rate`, kept within `limit`, which is above 0.
pub(super) fn within(rate: u64, limit: u64) -> u64 {
    rate.clamp(IO_LIMIT_MIN.as_u64().min(limit), limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_period_of_a_wait_counts_once() {
        struct Watching;
        impl RateControl for Watching {
            fn watch(&self) -> Option<Watch> {
                Some(Watch {
                    period_nanos: 10,
                    periods: 10,
                })
            }

            fn rate(&mut self, facts: &LimiterFacts) -> u64 {
                facts.drained
            }
        }
        let limit = 1 << 30;
        let policy: SharedControl = Arc::new(Mutex::new(Box::new(Watching)));
        let mut control = Control::new(policy, limit, 1000, 0);
        for (since, now, drained) in [
            (900, 1000, 1),
            (1001, 1009, 1),
            (1005, 1035, 4),
            (1020, 1031, 4),
            (1070, 1071, 5),
        ] {
            control.note_wait(since, now);
            assert_eq!(control.drained, drained, "{since} to {now}");
        }
        assert_eq!(control.decide(1099, 1, || 0), None);
        let least = IO_LIMIT_MIN.as_u64();
        assert_eq!(
            control.decide(1100, 1, || 0),
            Some(least),
            "5, kept in range"
        );
        assert_eq!((control.drained, control.decided), (0, 1100));
    }
}
