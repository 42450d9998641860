//! Write amplification in the steady state, beside a model that knows the settings alone.
//!
//! Every key is overwritten at random, and slowly enough that compaction keeps up. The model adds
//! up what a written byte costs on its way down:
//!
//! - 1 for the log, and 1 for the flush.
//! - Leveled. Level 0 meets the whole of level 1: 1 + s_1 / a, where s_i are bytes of level i and
//!   `a` is what level 0 hands down at once. Between levels with ratio r a table meets tables below
//!   it that have filled up since the last visit, half full on average: 1 + r / 2.
//! - Tiered. A byte is written once a level: a level gathers runs up to its capacity, and hands
//!   them down as one.
//! - A merge keeps one version of a key. Of two random sets of keys, the shares p and q of all
//!   keys, it keeps p + q - pq.
//!
//! Log and tables add framing to what the user wrote. It is taken from the trial, as is the size of
//! a flush.
//!
//! Source: Dayan and Idreos, "Dostoevsky", SIGMOD 2018, for the costs per level; Lim, Andersen and
//! Kaminsky, "Towards accurate and fast evaluation of multi-stage log-structured designs", FAST
//! 2016, for partial compactions and for versions that merges drop.

use super::*;
use crate::config;
use crate::metrics::PhaseFacts;
use crate::plan::Plan;

const RECORDS: u64 = 24_000;
const LEVEL0_RUNS: u32 = 4;

#[derive(Debug)]
struct Shape {
    layout: &'static str,
    ratio: u32,
    base_kib: u32,
}

/// The steady phase of a trial. All are bytes.
struct Steady {
    user: f64,
    log: f64,
    flushed: f64,
    device: f64,
    /// Of one flush.
    flush: f64,
    /// Of level 1 when it is full.
    base: f64,
}

impl Steady {
    fn of(shape: &Shape) -> Self {
        let Shape {
            layout,
            ratio,
            base_kib,
        } = shape;
        let text = format!(
            r#"
seeds = [1]

[workload]
mix = {{ update = 1.0 }}
distribution = {{ kind = "uniform" }}
records = {RECORDS}
clients = 2
value = {{ bytes = 200 }}
load = {{ arrival = "constant", rate = 20000 }}

[[workload.phases]]
name = "fill"
operations = 50_000

[[workload.phases]]
name = "steady"
operations = 100_000

[engine]
memtable = "64KiB"
table = {{ size = "32KiB", filter = "none" }}

[engine.compaction]
base = "{base_kib}KiB"
level0_trigger = {LEVEL0_RUNS}
layout = {{ policy = "{layout}", ratio = {ratio} }}
"#
        );
        let experiment = config::parse("steady.toml".as_ref(), text, &[]).expect("a config");
        let plan = Plan::new(&experiment, "test");
        let trial = run(&plan.trials[0], "test", &Databases::default()).expect("a simulation");
        let facts = PhaseFacts::of(&trial);
        let named = facts.iter().find(|it| it.measure.name == "steady");
        let steady = named.expect("the phase");
        let counts = &steady.counts;
        Self {
            user: counts.user_write_bytes as f64,
            log: counts.wal_bytes as f64,
            flushed: counts.flush_bytes as f64,
            device: steady.charged(counts.device_write_bytes()),
            flush: counts.flush_bytes as f64 / counts.flushes as f64,
            base: f64::from(*base_kib) * 1024.0,
        }
    }

    /// Bytes of all records in tables.
    fn records(&self) -> f64 {
        RECORDS as f64 * self.flushed / 100_000.0
    }

    /// The bytes that stay when sets of records at random are merged.
    fn merged(&self, sets: impl IntoIterator<Item = f64>) -> f64 {
        let joined = |sum: f64, set: f64| sum + set - sum * set / self.records();
        sets.into_iter().fold(0.0, joined)
    }

    /// What compactions write for each byte that was flushed.
    fn leveled(&self, ratio: u32) -> f64 {
        let arriving = self.merged(vec![self.flush; LEVEL0_RUNS as usize]);
        let mut cost = self.merged([arriving, self.base]) / arriving;
        let mut above = self.base;
        let mut capacity = self.base;
        let mut deeper = self.records() - self.base;
        while deeper > 0.0 {
            capacity *= f64::from(ratio);
            let level = deeper.min(capacity);
            cost += 1.0 + level / above / 2.0 - level / self.records();
            deeper -= level;
            above = level;
        }
        cost
    }

    /// What compactions write for each byte that was flushed.
    fn tiered(&self, ratio: u32) -> f64 {
        let mut run = self.flush;
        let mut runs = LEVEL0_RUNS as usize;
        let mut capacity = self.base;
        let mut kept = 1.0;
        let mut cost = 0.0;
        while run < 0.9 * self.records() {
            let merged = self.merged(vec![run; runs]);
            kept *= merged / (run * runs as f64);
            cost += kept;
            run = merged;
            runs = (capacity / run).ceil() as usize;
            capacity *= f64::from(ratio);
        }
        cost
    }
}

#[test]
fn steady_write_amplification_is_the_models() {
    let shape = |layout, ratio, base_kib| Shape {
        layout,
        ratio,
        base_kib,
    };
    for shape in [
        shape("leveled", 4, 256),
        shape("leveled", 6, 512),
        shape("leveled", 10, 256),
        shape("tiered", 4, 256),
        shape("tiered", 6, 512),
        shape("tiered", 8, 256),
    ] {
        let steady = Steady::of(&shape);
        let compactions = match shape.layout {
            "leveled" => steady.leveled(shape.ratio),
            _ => steady.tiered(shape.ratio),
        };
        let expected = (steady.log + steady.flushed * (1.0 + compactions)) / steady.user;
        let measured = steady.device / steady.user;
        let error = measured / expected - 1.0;
        assert!(
            error.abs() < 0.1,
            "{shape:?}: {measured:.2}, by the model {expected:.2}"
        );
    }
}
