//! Counters, events, and the metrics that are made of them.
//!
//! The mechanism counts, never a policy: a policy that counted its own hits would be its own
//! referee. [`Counters`] are relaxed atomics in stripes of cache lines. Each of the first threads
//! has a stripe of its own, so that counting costs a nanosecond and two readers do not share a
//! line; all others share one. [`Metrics`] is a plain copy
//! of the counters with the tree's state at that moment; the difference of two copies covers the
//! time between them.
//!
//! - [`events`] is where events go; [`latency`] how long operations take.
//! - [`names`] gives each number a name; [`window`] is what happened in a stretch of time;
//!   [`health`] judges windows.

mod events;
mod health;
mod latency;
mod names;
mod telemetry;
mod trace;
mod window;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use aura_policies::agent::Decision;
use aura_policies::facts::{MemoryFacts, Outcome, Reason, WindowStats};
use aura_policies::self_tuner::Proposal;
use aura_policies::tuner::IndexReason;
use serde::Serialize;

use crate::cache::CacheStats;
use crate::context::{LEVELS_COUNTED, ReadStats, with_read_counters};
use crate::env::Clock;
use crate::sync::lock;

pub use events::EventListener;
pub(crate) use events::EventLog;
pub use health::{Ailment, Health, HealthRule, Monitor, Symptom};
pub use latency::{Latencies, Latency, TimedOperation};
pub(crate) use latency::{Timers, Timing};
pub use names::{METRICS, MetricEntry, MetricKind, MetricSource};
pub use telemetry::Telemetry;
pub(crate) use window::History;
pub use window::{Reading, Span, Window};

/// Generates the public struct, the atomics behind it and the conversions from the names of the
/// counters: those that only the engine counts, and those that each read counts for itself.
macro_rules! counters {
    (
        {
            $($(#[doc = $doc:literal])* $name:ident,)*
            ; $($(#[$own_levels_doc:meta])* $own_levels:ident,)*
        }
        { $($(#[doc = $read_doc:literal])* $read:ident,)* }
        { $($(#[$levels_doc:meta])* $levels:ident,)* }
    ) => {
        /// What an engine has done since it was opened.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct Counts {
            $($(#[doc = $doc])* pub $name: u64,)*
            $($(#[$own_levels_doc])* pub $own_levels: [u64; LEVELS_COUNTED],)*
            $(
                #[doc = sum_of!($read)]
                pub $read: u64,
            )*
            $(
                #[doc = sum_of!($levels)]
                pub $levels: [u64; LEVELS_COUNTED],
            )*
        }

        impl Counts {
            /// Every counter but those by level, as name, documentation and value.
            pub(crate) const LIST: &'static [CounterDef] = &[
                $(CounterDef {
                    field: stringify!($name),
                    name: concat!("engine.", stringify!($name)),
                    about: concat!($($doc),*),
                    value: |metrics| metrics.counts.$name,
                },)*
                $(CounterDef {
                    field: stringify!($read),
                    name: concat!("engine.", stringify!($read)),
                    about: concat!($($read_doc),*),
                    value: |metrics| metrics.counts.$read,
                },)*
            ];

            /// Returns the difference to an `earlier` copy.
            #[must_use]
            pub fn since(&self, earlier: &Self) -> Self {
                Self {
                    $($name: self.$name.wrapping_sub(earlier.$name),)*
                    $($read: self.$read.wrapping_sub(earlier.$read),)*
                    $($own_levels: std::array::from_fn(|level| {
                        self.$own_levels[level].wrapping_sub(earlier.$own_levels[level])
                    }),)*
                    $($levels: std::array::from_fn(|level| {
                        self.$levels[level].wrapping_sub(earlier.$levels[level])
                    }),)*
                }
            }

            fn add(&mut self, stripe: &Stripe) {
                $(self.$name += stripe.$name.count();)*
                $(self.$read += stripe.$read.count();)*
                $(for (sum, counter) in self.$own_levels.iter_mut().zip(&stripe.$own_levels) {
                    *sum += counter.count();
                })*
                $(for (sum, counter) in self.$levels.iter_mut().zip(&stripe.$levels) {
                    *sum += counter.count();
                })*
            }
        }

        /// The counters that one thread at a time writes.
        #[derive(Default)]
        #[repr(align(128))]
        pub(crate) struct Stripe {
            $(pub(crate) $name: Counter,)*
            $(pub(crate) $own_levels: [Counter; LEVELS_COUNTED],)*
            $($read: Counter,)*
            $($levels: [Counter; LEVELS_COUNTED],)*
        }

        impl Stripe {
            /// Adds what a read did.
            fn add_read(&self, stats: &ReadStats) {
                $(add_some(&self.$read, stats.$read);)*
                $(for (counter, count) in self.$levels.iter().zip(stats.$levels) {
                    add_some(counter, count);
                })*
            }
        }
    };
}

/// A counter of [`Counts`].
pub(crate) struct CounterDef {
    /// The field's name.
    pub(crate) field: &'static str,
    /// A name for metrics.
    pub(crate) name: &'static str,
    /// Its documentation, with a space before each line.
    pub(crate) about: &'static str,
    /// Its value.
    pub(crate) value: fn(&Metrics) -> u64,
}

/// The documentation of a sum over reads.
macro_rules! sum_of {
    ($name:ident) => {
        concat!(
            "Sum of [`ReadStats::",
            stringify!($name),
            "`] over point reads and scans.",
        )
    };
}

with_read_counters! {
    counters {
        /// Point reads.
        gets,
        /// Point reads that found a value.
        gets_found,
        /// Keys written.
        puts,
        /// Keys deleted.
        deletes,
        /// Ranges of keys deleted.
        range_deletes,
        /// Batches committed.
        batches,
        /// Commit groups: batches that shared one append to the log.
        groups,
        /// Scans started.
        scans,
        /// Rows that scans returned.
        scan_rows,
        /// Bytes of keys and values that users wrote.
        user_write_bytes,
        /// Bytes of values that users read.
        user_read_bytes,
        /// Bytes appended to the write-ahead log.
        wal_bytes,
        /// Syncs of the write-ahead log.
        wal_syncs,
        /// Bytes appended to the value log.
        value_log_bytes,
        /// Syncs of value files.
        value_log_syncs,
        /// Memtables flushed.
        flushes,
        /// Bytes of tables that flushes wrote.
        flush_bytes,
        /// Compactions that merged tables.
        compactions,
        /// Compactions that only moved a table to another level.
        compaction_moves,
        /// Compactions, moves included, whose table a picker chose.
        compaction_picks,
        /// Bytes of tables that compactions read.
        compaction_read_bytes,
        /// Bytes of tables that compactions wrote.
        compaction_write_bytes,
        /// Entries that compactions dropped: older versions, what range deletes hide, and
        /// tombstones with nothing below them.
        compaction_dropped,
        /// Tables removed unread, because range deletes hid all their entries.
        tables_dropped,
        /// Keys that learned indexes were trained on and checked against.
        index_trained_keys,
        /// Tables whose learned index was refused, so that they use fence pointers.
        index_refused,
        /// The part of `index_refused` where the policy itself built no model.
        index_declined,
        /// The part of `index_refused` whose model was wrong.
        index_wrong,
        /// The part of `index_refused` whose model took too much memory.
        index_too_large,
        /// The part of `index_refused` whose windows were too wide.
        index_too_wide,
        /// Nanoseconds spent training and checking models, in flushes and compactions.
        index_training_nanos,
        /// Tables whose index a tuner chose differently from the settings.
        index_tuned,
        /// Nanoseconds of CPU that merging compactions took, system calls included. In a
        /// simulation, what their work was charged.
        compaction_cpu_nanos,
        /// Bytes appended to the manifest.
        manifest_bytes,
        /// New manifests started because the edits of the old one had grown large compared with the
        /// state.
        manifest_rolls,
        /// Nanoseconds that writers waited because the engine was behind (stopped or slowed down).
        stall_nanos,
        /// The part of `stall_nanos` for sealed memtables that waited for their flush.
        stall_memtables_nanos,
        /// The part of `stall_nanos` for runs in level 0.
        stall_level0_nanos,
        /// The part of `stall_nanos` for compaction debt.
        stall_debt_nanos,
        /// The part of `stall_nanos` for garbage in the value log.
        stall_garbage_nanos,
        /// The part of `stall_nanos` for which an agent asked.
        stall_agent_nanos,
        /// Times a writer had to wait or was slowed down.
        stalls,
        /// Nanoseconds that flushes waited for the I/O limit.
        limiter_flush_nanos,
        /// Nanoseconds that compactions that read level 0 waited for the I/O limit, summed over
        /// concurrent ones.
        limiter_level0_nanos,
        /// Nanoseconds that collections of the value log waited for the I/O limit.
        limiter_collection_nanos,
        /// Nanoseconds that other compactions waited for the I/O limit, summed over concurrent
        /// ones.
        limiter_deep_nanos,
        /// Collections of the value log.
        gc_runs,
        /// Collections that failed because a file could not be read or written.
        gc_failures,
        /// Bytes of frames in the files that collections emptied.
        gc_victim_bytes,
        /// Bytes that collections read from value files: the live frames of their victims.
        gc_read_bytes,
        /// Bytes that collections, and compactions that relocate values, wrote to value files.
        gc_write_bytes,
        /// Bytes of value files that were removed from the disk.
        gc_reclaimed_bytes,
        /// Values that compactions wrote to another value file.
        values_relocated,
        /// Values that compactions moved back into tables.
        values_inlined,
        /// Plans of a policy that were refused as unlawful.
        plans_refused,
        /// Decisions of an agent that were carried out.
        agent_actions,
        /// Decisions of an agent that were out of range, or not possible in the tree as it was.
        agent_refused,
        /// The part of `agent_actions` that set something back to what it was at most five windows
        /// before.
        agent_reversals,
        /// The part of `compaction_write_bytes` that merges wrote for which an agent asked.
        agent_bytes,
        /// Changes that a self-tuner proposed.
        self_tuning_proposed,
        /// The part of `self_tuning_proposed` that was out of range, or not possible at the time.
        self_tuning_refused,
        /// The part of `self_tuning_proposed` that was carried out.
        self_tuning_applied,
        /// The part of `self_tuning_applied` that was taken back, because it cost too much or could
        /// not be judged.
        self_tuning_undone,
        /// Times that the settings at opening came back after too many bad windows.
        self_tuning_fallbacks,
        /// Nanoseconds of syncs of the logs, those of value files before them included.
        sync_nanos,
        /// Failures of background jobs, those that were tried again included.
        background_errors,
        /// Background jobs that were tried again after a failure.
        background_retries,
        /// Events that nobody had taken and that made room for others.
        events_dropped,
        /// The part of `device_reads` that point reads caused.
        get_device_reads,
        ;
        /// Bytes of tables that compactions wrote, by the shallowest level that they read. The last
        /// counter includes all deeper levels.
        level_compaction_bytes,
    }
}

impl Counts {
    /// Returns the nanoseconds that background jobs waited for the I/O limit.
    pub fn limiter_wait_nanos(&self) -> u64 {
        self.limiter_flush_nanos
            + self.limiter_level0_nanos
            + self.limiter_collection_nanos
            + self.limiter_deep_nanos
    }

    /// Returns the bytes written to the device for any reason.
    pub fn device_write_bytes(&self) -> u64 {
        self.wal_bytes
            + self.value_log_bytes
            + self.gc_write_bytes
            + self.flush_bytes
            + self.compaction_write_bytes
            + self.manifest_bytes
    }
}

/// Stripes, of which the last is shared.
const STRIPES: usize = 32;

/// The stripe of all threads that have none of their own.
const SHARED: usize = STRIPES - 1;

/// The counters of one engine, with its events and how long its operations take.
pub(crate) struct Counters {
    stripes: [Stripe; STRIPES],
    timers: Timers,
    events: EventLog,
}

thread_local! {
    /// The number of the calling thread's stripe. None until it counts for the first time.
    static NUMBER: Cell<Option<usize>> = const { Cell::new(None) };
    /// What gives the number back when the thread ends.
    static CLAIM: Claim = Claim::take();
}

/// Numbers of stripes that no thread has.
static FREE: Mutex<Option<Vec<usize>>> = Mutex::new(None);

/// The calling thread's claim on a stripe of its own, in every engine of the process. While it
/// lasts, no other thread writes there.
struct Claim {
    number: usize,
}

impl Claim {
    fn take() -> Self {
        let mut free = lock(&FREE);
        let free = free.get_or_insert_with(|| (0..SHARED).rev().collect());
        Self {
            number: free.pop().unwrap_or(SHARED),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // What this thread still counts goes to the stripe of all.
        NUMBER.set(Some(SHARED));
        if self.number != SHARED
            && let Some(free) = &mut *lock(&FREE)
        {
            free.push(self.number);
        }
    }
}

/// Returns the number of the calling thread's stripe.
pub(crate) fn stripe_of_thread() -> usize {
    NUMBER.get().unwrap_or_else(|| {
        let number = CLAIM.try_with(|claim| claim.number).unwrap_or(SHARED);
        NUMBER.set(Some(number));
        number
    })
}

/// The stripe of the calling thread. It stays in that thread, so it is not held across a wait.
pub(crate) struct Mine<'a> {
    stripe: &'a Stripe,
    _of_this_thread: PhantomData<*const ()>,
}

impl Deref for Mine<'_> {
    type Target = Stripe;

    fn deref(&self) -> &Stripe {
        self.stripe
    }
}

/// One counter of a stripe.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, count: u64) {
        self.0.store(count, Ordering::Relaxed);
    }
}

/// Adds to a counter of the calling thread's stripe.
pub(crate) fn add(counter: &Counter, by: u64) {
    let Counter(count) = counter;
    if stripe_of_thread() == SHARED {
        count.fetch_add(by, Ordering::Relaxed);
    } else {
        // Nobody else writes it: an addition in one step would cost ten times as much.
        count.store(
            count.load(Ordering::Relaxed).wrapping_add(by),
            Ordering::Relaxed,
        );
    }
}

/// Adds to a counter whose increment is often 0, without touching it then.
fn add_some(counter: &Counter, by: u64) {
    if by != 0 {
        add(counter, by);
    }
}

impl Counters {
    /// Counters at zero.
    pub(crate) fn new(telemetry: &Telemetry) -> Self {
        Self {
            stripes: Default::default(),
            timers: Timers::new(telemetry.timed_every),
            events: EventLog::new(telemetry.events),
        }
    }

    /// Returns the calling thread's stripe.
    pub(crate) fn mine(&self) -> Mine<'_> {
        Mine {
            stripe: &self.stripes[stripe_of_thread()],
            _of_this_thread: PhantomData,
        }
    }

    /// Adds what a read did.
    pub(crate) fn book_read(&self, stats: &ReadStats) {
        self.mine().add_read(stats);
    }

    /// Returns the sum over the stripes.
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for stripe in &self.stripes {
            counts.add(stripe);
        }
        counts
    }

    /// Returns the bytes that users' reads and writes have moved from and to files: what gets and
    /// scans read, and what was appended to the logs and the value log.
    pub(crate) fn user_file_bytes(&self) -> u64 {
        let of = |it: &Stripe| {
            it.device_read_bytes.count() + it.wal_bytes.count() + it.value_log_bytes.count()
        };
        self.stripes.iter().map(of).sum()
    }

    /// Begins an operation, which may be one that is timed.
    pub(crate) fn begin(&self, operation: TimedOperation, clock: &dyn Clock) -> Timing {
        self.timers.begin(operation, clock)
    }

    /// Ends an operation.
    pub(crate) fn end(&self, timing: &Timing, clock: &dyn Clock) {
        self.timers.end(timing, clock);
    }

    /// How long operations took.
    pub(crate) fn latencies(&self) -> Latencies {
        self.timers.latencies()
    }

    /// Records an event.
    pub(crate) fn event(&self, event: Event) {
        trace::emit(&event);
        add_some(&self.mine().events_dropped, self.events.push(event));
    }

    /// Records an event that took no time.
    pub(crate) fn event_at(&self, nanos: u64, kind: EventKind) {
        self.event(Event {
            start_nanos: nanos,
            end_nanos: nanos,
            kind,
        });
    }

    /// Takes the events recorded since the last call.
    pub(crate) fn take_events(&self) -> Vec<Event> {
        self.events.take()
    }

    /// Adds a listener with room for `capacity` events.
    pub(crate) fn listen(&self, capacity: usize) -> EventListener {
        self.events.listen(capacity)
    }

    /// Ends all listeners.
    pub(crate) fn end_events(&self) {
        self.events.close();
    }
}

/// Why writers were slowed down or stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StallCause {
    /// Too many sealed memtables wait for their flush.
    Memtables,
    /// Too many runs in level 0.
    Level0Runs,
    /// Too many bytes of compaction debt.
    Debt,
    /// Too much of the value log is garbage.
    Garbage,
    /// An agent lets writers through at a rate.
    Agent,
}

/// Something that happened, in the background or to writers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// When it began, in nanoseconds of the engine's clock.
    pub start_nanos: u64,
    /// When it ended, in nanoseconds of the engine's clock.
    pub end_nanos: u64,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// Kind of an event, with its facts.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum EventKind {
    /// A memtable became a table.
    Flush {
        /// Bytes of the table.
        bytes: u64,
    },
    /// Tables were merged, or moved to another level.
    Compaction {
        /// Why the compaction was planned.
        reason: Reason,
        /// The level of the output.
        level: usize,
        /// Bytes read.
        read_bytes: u64,
        /// Bytes written; 0 for a move.
        write_bytes: u64,
    },
    /// A writer waited.
    Stall {
        /// What the engine was behind with.
        cause: StallCause,
        /// Bytes a second that were accepted meanwhile; 0 for a stop.
        rate_bytes: u64,
    },
    /// A tuner chose the index of the next table.
    Index {
        /// The table's level.
        level: usize,
        /// The index that it chose.
        index: String,
        /// Why it chose it.
        reason: IndexReason,
    },
    /// Value files were collected.
    Collection {
        /// Files that the collection emptied.
        files: u64,
        /// Bytes of frames in those files.
        bytes: u64,
        /// Bytes of live frames that were copied.
        live_bytes: u64,
        /// Whether the share of garbage was above the high threshold.
        urgent: bool,
    },
    /// An agent decided something.
    Agent {
        /// The decision, and what became of it.
        #[serde(flatten)]
        made: DecisionMade,
        /// The number of the window that it rests on.
        window: u64,
        /// Operations of that window.
        operations: u64,
        /// Nanoseconds that the window took.
        nanos: u64,
        /// Bytes of work that the background owed at its end.
        debt_bytes: u64,
    },
    /// A window of operations ended, and an agent was asked.
    Window {
        /// What the agent saw.
        #[serde(flatten)]
        facts: Arc<WindowStats>,
        /// What it decided, in this order.
        decisions: Vec<DecisionMade>,
    },
    /// The directory was opened.
    Recovery {
        /// Logs replayed.
        logs: u64,
        /// Bytes of those logs.
        log_bytes: u64,
        /// Writes found in them.
        writes: u64,
    },
    /// A self-tuner proposed a change, or the engine dealt with one.
    SelfTuning(TuningRecord),
    /// Settings were changed.
    Reconfiguration {
        /// The dotted names of those that differ.
        settings: Vec<String>,
    },
    /// Work of the background failed.
    Failure {
        /// The work, such as `flush`.
        work: &'static str,
        /// The error, in words.
        error: String,
        /// Nanoseconds after which it is tried again; None if it is not.
        retry_nanos: Option<u64>,
    },
    /// A sync of the logs took longer than [`Telemetry::slow_sync`].
    SlowSync,
    /// The engine's health changed.
    Health {
        /// Its state: `ok`, `degraded` or `failed`.
        state: &'static str,
        /// What is wrong, in words.
        why: Vec<String>,
    },
    /// Writes are taken again after a failure.
    Resumed {
        /// The failure, in words.
        cause: String,
    },
}

/// What happened to a proposal of a self-tuner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TuningStep {
    /// It was recorded: the engine carries out none.
    Proposed,
    /// It was refused.
    Refused,
    /// It asks for what holds already.
    Unchanged,
    /// It was carried out, and is watched from now on.
    Applied,
    /// It stays.
    Kept,
    /// It was taken back, because windows cost more than they may.
    Undone,
    /// It was given up unjudged.
    Abandoned,
    /// The best settings that are known for the mix of operations came back, because others have
    /// cost too much.
    FellBack,
    /// Another mix of operations has begun: the settings that are known to suit it came back, or
    /// those at opening.
    Restored,
}

/// One step of self-tuning, with what it rests on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TuningRecord {
    /// What happened.
    pub step: TuningStep,
    /// Why, in a few words that are the same whenever the reason is.
    pub why: &'static str,
    /// The proposal that it is about; None where settings came back and none was watched.
    pub proposal: Option<Proposal>,
    /// The number of the window that it follows.
    pub window: u64,
    /// The cost of an operation before the change, in the referee's currency; 0 if it was not
    /// measured.
    pub before: f64,
    /// The cost of an operation with the change; 0 if it was not measured.
    pub after: f64,
    /// The knobs that have a range, as they are after this step.
    pub knobs: BTreeMap<&'static str, f64>,
    /// The engine's memory at the window's end.
    pub memory: MemoryFacts,
}

/// A decision of an agent, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DecisionMade {
    /// The action and its reason.
    #[serde(flatten)]
    pub decision: Decision,
    /// What became of it.
    pub outcome: Outcome,
}

/// State of one level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LevelState {
    /// Sorted runs.
    pub runs: u64,
    /// Tables.
    pub tables: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Entries, tombstones included.
    pub entries: u64,
    /// Tombstones of single keys.
    pub tombstones: u64,
}

/// A copy of the counters with the state of the tree at that moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Metrics {
    /// What the engine did since it was opened.
    pub counts: Counts,
    /// State and counters of the cache.
    pub cache: CacheStats,
    /// State of each level.
    pub levels: Vec<LevelState>,
    /// Bytes of memory that the tables' indexes use.
    pub index_bytes: u64,
    /// Bytes of memory that fence pointers would use in their place.
    pub fence_bytes: u64,
    /// Tables whose index is a learned model.
    pub model_tables: u64,
    /// Segments of those models.
    pub model_segments: u64,
    /// Bytes of memory that the tables' filters use.
    pub filter_bytes: u64,
    /// Bytes of the active and sealed memtables.
    pub memtable_bytes: u64,
    /// The most that [`Self::memory_bytes`] has been since the engine was opened, as seen whenever
    /// a memtable was sealed or the set of live files changed.
    pub memory_peak_bytes: u64,
    /// Range deletes that may still hide something, each held in memory and in the log or the
    /// manifest.
    pub range_tombstones: u64,
    /// Bytes on disk of the write-ahead logs of those memtables.
    pub wal_file_bytes: u64,
    /// Value files on disk.
    pub value_files: u64,
    /// Bytes of value files on disk.
    pub value_file_bytes: u64,
    /// Bytes of value files that nothing points to any more, as far as compactions have found out.
    pub value_garbage_bytes: u64,
    /// Bytes of compaction debt, plus garbage in the value log beyond the tolerated share.
    pub debt_bytes: u64,
}

impl Metrics {
    /// Returns the number of entries in tables, tombstones included.
    pub fn table_entries(&self) -> u64 {
        self.levels.iter().map(|level| level.entries).sum()
    }

    /// Returns the number of tombstones of single keys in tables.
    pub fn table_tombstones(&self) -> u64 {
        self.levels.iter().map(|level| level.tombstones).sum()
    }

    /// Returns the bytes of memory for data: memtables, the cache with what its policies remember,
    /// and pinned indexes and filters.
    pub fn memory_bytes(&self) -> u64 {
        self.memtable_bytes + self.cache.memory_bytes()
    }

    /// Returns the bytes of tables on disk.
    pub fn table_bytes(&self) -> u64 {
        self.levels.iter().map(|level| level.bytes).sum()
    }

    /// Returns the bytes of tables, value files and logs on disk.
    pub fn disk_bytes(&self) -> u64 {
        self.table_bytes() + self.value_file_bytes + self.wal_file_bytes
    }

    /// Returns the number of sorted runs, which a point read without filters would have to search.
    pub fn runs(&self) -> u64 {
        self.levels.iter().map(|level| level.runs).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    /// More threads at the same time than there are stripes, and as many after them: no addition is
    /// lost, with a stripe of one's own or without.
    #[test]
    fn many_threads_count_exactly() {
        let counters = Counters::new(&Telemetry::default());
        let threads = 2 * STRIPES;
        for _ in 0..2 {
            let all = Barrier::new(threads);
            std::thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(|| {
                        add(&counters.mine().gets, 1);
                        all.wait();
                        (1..1_000).for_each(|_| add(&counters.mine().gets, 1));
                    });
                }
            });
        }
        assert_eq!(counters.counts().gets, 4_000 * STRIPES as u64);
    }
}
