//! The I/O limiter: how fast background work may use the device, and which work goes first.
//!
//! It is a token bucket. Bytes are granted in slices; each slice delays the next one by the time
//! that its bytes take at the rate. Waiting jobs are served by priority, as in SILK (Balmau et
//! al., ATC 2019): flushes, because writers wait for memtables; compactions of level 0, because its
//! runs slow reads and stop writers; collections of the value log; deeper compactions, which can
//! wait. As in RocksDB's limiter, each priority gets a share of the slices nevertheless, so that it
//! never starves. Users' reads and writes, the logs, the manifest and recovery are not limited.
//!
//! The rate, within the limit of the settings, and that share are a policy's ([`control`]).
//!
//! A job asks after it has read or written, a few hundred KiB at a time. The device sees such a
//! step at once; the limit holds over many of them.

mod control;

use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use tokio::sync::Notify;

pub(crate) use self::control::SharedControl;
use self::control::{Control, within};
use crate::env::Clock;
use crate::sync::lock;

/// Priority of background work, most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Priority {
    /// A memtable becomes a table.
    Flush,
    /// A compaction that reads level 0.
    Level0,
    /// A collection of the value log.
    Collection,
    /// Any other compaction.
    Deep,
}

const PRIORITIES: usize = 4;

/// Time whose bytes make one slice. Unused time beyond one slice is lost.
const SLICE_NANOS: u64 = 10_000_000;
/// Most bytes of a slice.
const SLICE_BYTES: u64 = 1 << 20;
const SECOND_NANOS: u64 = 1_000_000_000;

/// The limiter of an engine.
#[derive(Default)]
pub(crate) struct Limiter {
    /// Bytes a second in force; 0 means no limit.
    rate: AtomicU64,
    queue: Mutex<Queue>,
    /// Notified when slices were granted or the limit changed.
    changed: Notify,
}

#[derive(Default)]
struct Queue {
    /// The jobs that wait, by priority and in order of arrival.
    waiting: [VecDeque<Request>; PRIORITIES],
    /// Slices that others got while a priority waited, since it last got one.
    passed_over: [u32; PRIORITIES],
    /// Bytes granted by ticket, until their job takes them.
    granted: BTreeMap<u64, u64>,
    next_ticket: u64,
    /// When the next slice can be granted.
    free_at: u64,
    /// Of this many slices, each waiting priority gets at least one.
    turn: u32,
    /// The policy; None before settings are in force.
    control: Option<Control>,
    /// Whether no job waits any more.
    closed: bool,
}

/// A job that waits for bytes.
struct Request {
    ticket: u64,
    bytes: u64,
}

impl Queue {
    /// Returns the priority whose turn it is.
    fn next(&self) -> Option<usize> {
        let waiting = |priority: &usize| !self.waiting[*priority].is_empty();
        let overdue = (0..PRIORITIES)
            .filter(waiting)
            .filter(|it| self.passed_over[*it].saturating_add(1) >= self.turn);
        let longest = overdue.rev().max_by_key(|it| self.passed_over[*it]);
        longest.or_else(|| (0..PRIORITIES).find(waiting))
    }

    /// Grants what can be granted now. Returns whether anything was granted.
    fn serve(&mut self, now: u64, rate: u64) -> bool {
        let mut served = false;
        while self.free_at <= now {
            let Some(priority) = self.next() else { break };
            let Some(request) = self.waiting[priority].pop_front() else {
                break;
            };
            for other in 0..PRIORITIES {
                if !self.waiting[other].is_empty() {
                    self.passed_over[other] = self.passed_over[other].saturating_add(1);
                }
            }
            self.passed_over[priority] = 0;
            let slice = rate / (SECOND_NANOS / SLICE_NANOS);
            let bytes = request.bytes.min(slice.clamp(1, SLICE_BYTES));
            self.granted.insert(request.ticket, bytes);
            if let Some(control) = &mut self.control {
                control.note_grant(bytes);
            }
            let begin = self.free_at.max(now.saturating_sub(SLICE_NANOS));
            self.free_at = begin + (bytes * SECOND_NANOS).div_ceil(rate);
            served = true;
        }
        served
    }
}

impl Limiter {
    /// Grants at most `limit` bytes a second from `now` on, as `policy` decides; 0 means no limit.
    /// Users have moved `user_bytes` so far. A policy that is at work already goes on, unless the
    /// limit is another one.
    pub(crate) fn set(&self, limit: u64, policy: &SharedControl, now: u64, user_bytes: u64) {
        let mut queue = lock(&self.queue);
        let control = queue.control.as_ref();
        let goes_on = control.is_some_and(|it| it.is(policy, limit));
        if !queue.closed && !goes_on {
            let (start, turn) = {
                let policy = lock(policy);
                (policy.start(limit), policy.turn())
            };
            queue.turn = turn.max(2);
            queue.control = Some(Control::new(policy.clone(), limit, now, user_bytes));
            let rate = if limit == 0 { 0 } else { within(start, limit) };
            self.rate.store(rate, Ordering::Relaxed);
        }
        drop(queue);
        self.changed.notify_waiters();
    }

    /// Ends the limit: nothing waits now or later.
    pub(crate) fn close(&self) {
        let mut queue = lock(&self.queue);
        queue.closed = true;
        self.rate.store(0, Ordering::Relaxed);
        drop(queue);
        self.changed.notify_waiters();
    }

    /// Waits until `bytes` are granted. Returns the nanoseconds it waited. `user_bytes` says how
    /// many bytes users have moved from and to files so far.
    pub(crate) async fn take(
        &self,
        clock: &dyn Clock,
        priority: Priority,
        bytes: u64,
        user_bytes: &(dyn Fn() -> u64 + Sync),
    ) -> u64 {
        if self.rate.load(Ordering::Relaxed) == 0 || bytes == 0 {
            return 0;
        }
        let start = clock.now();
        let mut left = bytes;
        while left > 0 {
            left -= self.slice(clock, priority, left, user_bytes).await;
        }
        clock.now() - start
    }

    /// Waits until a part of `wanted` bytes is granted. Returns the bytes of that part.
    async fn slice(
        &self,
        clock: &dyn Clock,
        priority: Priority,
        wanted: u64,
        user_bytes: &(dyn Fn() -> u64 + Sync),
    ) -> u64 {
        let place = Place::new(self, priority, wanted);
        let mut waits_since = None;
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            let wait = {
                let mut queue = lock(&self.queue);
                let mut rate = self.rate.load(Ordering::Relaxed);
                if rate == 0 {
                    return wanted;
                }
                let now = clock.now();
                let mut control = queue.control.as_mut();
                if let (Some(control), Some(since)) = (control.as_mut(), waits_since) {
                    control.note_wait(since, now);
                }
                if let Some(next) = control.and_then(|it| it.decide(now, rate, user_bytes)) {
                    rate = next;
                    self.rate.store(rate, Ordering::Relaxed);
                }
                // Each job serves the whole queue, because the one whose turn it is may wake late.
                let served = queue.serve(now, rate);
                let mine = queue.granted.remove(&place.ticket);
                let wait = queue.free_at.saturating_sub(now);
                drop(queue);
                if served {
                    self.changed.notify_waiters();
                }
                match mine {
                    Some(bytes) => return bytes,
                    None => {
                        waits_since = Some(now);
                        wait
                    }
                }
            };
            either(changed, clock.sleep(wait)).await;
        }
    }
}

/// A place in the queue. It is given up when dropped, as when a user drops the compaction that they
/// asked for.
struct Place<'a> {
    limiter: &'a Limiter,
    priority: Priority,
    ticket: u64,
}

impl<'a> Place<'a> {
    fn new(limiter: &'a Limiter, priority: Priority, wanted: u64) -> Self {
        let mut queue = lock(&limiter.queue);
        let ticket = queue.next_ticket;
        queue.next_ticket += 1;
        queue.waiting[priority as usize].push_back(Request {
            ticket,
            bytes: wanted,
        });
        Self {
            limiter,
            priority,
            ticket,
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut queue = lock(&self.limiter.queue);
        queue.granted.remove(&self.ticket);
        let waiting = &mut queue.waiting[self.priority as usize];
        waiting.retain(|request| request.ticket != self.ticket);
    }
}

/// Waits for the first of two futures.
async fn either(one: impl Future<Output = ()>, other: impl Future<Output = ()>) {
    let mut one = pin!(one);
    let mut other = pin!(other);
    poll_fn(|context| match one.as_mut().poll(context) {
        Poll::Ready(()) => Poll::Ready(()),
        Poll::Pending => other.as_mut().poll(context),
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::env::sim::{CpuCosts, DeviceProfile, SimConfig, SimWorld};
    use crate::env::{BoxFuture, Env};

    const MIB: u64 = 1 << 20;

    fn world() -> SimWorld {
        let device = DeviceProfile::named("null").unwrap();
        SimWorld::new(&SimConfig {
            device,
            cpu: CpuCosts::FREE,
            cores: 2,
            seed: 1,
        })
    }

    /// Users who move nothing.
    const NO_USERS: &(dyn Fn() -> u64 + Sync) = &|| 0;

    /// Limits at `rate`, as the default policy does.
    fn set_rate(limiter: &Limiter, rate: u64) {
        let policy = aura_policies::limiter::build(&aura_policies::defaults().limiter);
        let policy = Arc::new(Mutex::new(policy.expect("the default")));
        limiter.set(rate, &policy, 0, 0);
    }

    fn limiter(rate: u64) -> Arc<Limiter> {
        let limiter = Arc::new(Limiter::default());
        set_rate(&limiter, rate);
        limiter
    }

    /// Asks for `request` bytes again and again. Returns the sum of what it got.
    fn ask(env: &Env, limiter: &Arc<Limiter>, priority: Priority, request: u64) -> Arc<AtomicU64> {
        let clock = env.clock.clone();
        let limiter = limiter.clone();
        let sum = Arc::new(AtomicU64::new(0));
        let task: BoxFuture<'static, ()> = Box::pin({
            let sum = sum.clone();
            async move {
                loop {
                    limiter.take(&*clock, priority, request, NO_USERS).await;
                    sum.fetch_add(request, Ordering::Relaxed);
                }
            }
        });
        env.tasks.spawn("ask", task);
        sum
    }

    /// Returns the bytes that each of `priorities` got in `seconds` when all always ask for more.
    fn shares(priorities: &[Priority], seconds: u64, rate: u64) -> Vec<u64> {
        let world = world();
        let limiter = limiter(rate);
        let env = world.env();
        world
            .block_on(async {
                let sums: Vec<_> = priorities
                    .iter()
                    .map(|it| ask(&env, &limiter, *it, 64 << 10))
                    .collect();
                env.clock.sleep(seconds * SECOND_NANOS).await;
                sums.iter().map(|sum| sum.load(Ordering::Relaxed)).collect()
            })
            .unwrap()
    }

    #[test]
    fn the_rate_is_kept_for_requests_of_any_size() {
        for rate in [64 << 10, 3 * MIB, 200 * MIB, 5000 * MIB] {
            for request in [1000.max(rate / 5000), 256 << 10, 64 * MIB] {
                let world = world();
                let limiter = limiter(rate);
                let env = world.env();
                let nanos = world
                    .block_on(async {
                        let start = env.clock.now();
                        let mut left = 10 * rate;
                        while left > 0 {
                            let bytes = request.min(left);
                            limiter
                                .take(&*env.clock, Priority::Deep, bytes, NO_USERS)
                                .await;
                            left -= bytes;
                        }
                        env.clock.now() - start
                    })
                    .unwrap();
                let seconds = nanos as f64 / SECOND_NANOS as f64;
                assert!(
                    (9.95..10.05).contains(&seconds),
                    "{rate} B/s in requests of {request}: 10 s took {seconds}"
                );
            }
        }
    }

    #[test]
    fn a_watching_policy_moves_the_rate_and_goes_on_while_the_limit_stays() {
        let spec = aura_policies::PolicySpec::named("auto-tuned")
            .with("period_ms", 2)
            .with("periods", 50);
        let policy = aura_policies::limiter::build(&spec).unwrap();
        let policy: SharedControl = Arc::new(Mutex::new(policy));
        let limit = 20 * MIB;
        let world = world();
        let env = world.env();
        let limiter = Arc::new(Limiter::default());
        limiter.set(limit, &policy, 0, 0);
        let shares = world.block_on(async {
            let sums = [Priority::Deep, Priority::Level0]
                .map(|priority| ask(&env, &limiter, priority, 64 << 10));
            let mut shares = Vec::new();
            for _ in 0..4 {
                let sum = || -> u64 { sums.iter().map(|it| it.load(Ordering::Relaxed)).sum() };
                let before = sum();
                env.clock.sleep(SECOND_NANOS).await;
                shares.push((sum() - before) as f64 / limit as f64);
                limiter.set(limit, &policy, env.clock.now(), 0);
            }
            shares
        });
        let shares = shares.unwrap();
        // Ten decisions a second, from half of the limit: 0.5 times 1.05, 1.05^2 and so on.
        let expected = [0.629, 0.968, 1.0, 1.0];
        for (share, expected) in shares.iter().zip(expected) {
            assert!((share - expected).abs() < 0.04, "{shares:?}");
        }
    }

    #[test]
    fn unused_time_is_not_saved_up() {
        let world = world();
        let limiter = limiter(MIB);
        let env = world.env();
        let waited = world.block_on(async {
            env.clock.sleep(100 * SECOND_NANOS).await;
            limiter
                .take(&*env.clock, Priority::Flush, MIB, NO_USERS)
                .await
        });
        let waited = waited.unwrap() as f64 / SECOND_NANOS as f64;
        assert!((0.97..1.0).contains(&waited), "one second took {waited} s");
    }

    #[test]
    fn urgent_work_goes_first_and_no_priority_starves() {
        use Priority::{Collection, Deep, Flush, Level0};
        for (priorities, expected) in [
            (vec![Flush, Deep], vec![0.9, 0.1]),
            (vec![Deep, Level0], vec![0.1, 0.9]),
            (vec![Level0, Collection], vec![0.9, 0.1]),
            (vec![Collection, Deep, Deep], vec![0.9, 0.05, 0.05]),
            (
                vec![Deep, Collection, Level0, Flush],
                vec![0.1, 0.1, 0.1, 0.7],
            ),
        ] {
            let shares = shares(&priorities, 100, 10 * MIB);
            let total: u64 = shares.iter().sum();
            let mib = total / MIB;
            assert!(
                (990..=1001).contains(&mib),
                "{priorities:?}: {mib} MiB in 100 s"
            );
            for ((share, expected), priority) in shares.iter().zip(&expected).zip(&priorities) {
                let share = *share as f64 / total as f64;
                assert!(
                    (share - expected).abs() < 0.01,
                    "{priorities:?}: {priority:?} got a share of {share}"
                );
            }
        }
    }

    #[test]
    fn an_urgent_request_waits_for_at_most_one_slice() {
        let world = world();
        let limiter = limiter(10 * MIB);
        let env = world.env();
        let waited = world.block_on(async {
            ask(&env, &limiter, Priority::Deep, 100 * MIB);
            env.clock.sleep(SECOND_NANOS / 3).await;
            limiter
                .take(&*env.clock, Priority::Flush, 1000, NO_USERS)
                .await
        });
        assert!(waited.unwrap() <= SLICE_NANOS);
    }

    #[test]
    fn without_a_limit_no_job_waits() {
        let world = world();
        let limiter = limiter(0);
        let env = world.env();
        let waited = world.block_on(async {
            limiter
                .take(&*env.clock, Priority::Deep, u64::MAX, NO_USERS)
                .await
        });
        assert_eq!(waited.unwrap(), 0);
        assert_eq!(lock(&limiter.queue).next_ticket, 0, "no job queued up");
    }

    #[test]
    fn waiting_jobs_go_on_when_the_limit_is_lifted_or_the_limiter_closed() {
        for close in [true, false] {
            let world = world();
            let limiter = limiter(64 << 10);
            let env = world.env();
            let nanos = world.block_on(async {
                let clock = env.clock.clone();
                let other = limiter.clone();
                env.tasks.spawn(
                    "change",
                    Box::pin(async move {
                        clock.sleep(SECOND_NANOS).await;
                        if close {
                            other.close()
                        } else {
                            set_rate(&other, 0)
                        }
                    }),
                );
                limiter
                    .take(&*env.clock, Priority::Flush, 1000 * MIB, NO_USERS)
                    .await
            });
            assert_eq!(nanos.unwrap(), SECOND_NANOS, "not a nanosecond longer");
            set_rate(&limiter, 1);
            let after = world
                .block_on(async {
                    limiter
                        .take(&*env.clock, Priority::Deep, 10, NO_USERS)
                        .await
                })
                .unwrap();
            assert_eq!(after > 0, !close, "a closed limiter stays open");
        }
    }

    #[test]
    fn a_dropped_request_delays_no_other() {
        let world = world();
        let limiter = limiter(MIB);
        let env = world.env();
        world
            .block_on(async {
                let mut given_up =
                    Box::pin(limiter.take(&*env.clock, Priority::Flush, 100 * MIB, NO_USERS));
                let polled = poll_fn(|context| Poll::Ready(given_up.as_mut().poll(context))).await;
                assert!(polled.is_pending());
                // Held but not polled, it gets the slice it waits for, and no more.
                let waited = limiter
                    .take(&*env.clock, Priority::Deep, MIB / 10, NO_USERS)
                    .await;
                assert!(waited <= SECOND_NANOS / 10 + 2 * SLICE_NANOS, "{waited}");
                drop(given_up);
                let waited = limiter
                    .take(&*env.clock, Priority::Deep, MIB / 10, NO_USERS)
                    .await;
                assert!(waited <= SECOND_NANOS / 10 + SLICE_NANOS, "{waited}");
                let queue = lock(&limiter.queue);
                assert!(queue.waiting.iter().all(VecDeque::is_empty) && queue.granted.is_empty());
            })
            .unwrap();
    }
}
