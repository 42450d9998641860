//! What timing a sample of operations costs, as a ratio: an engine that times one of 17 operations
//! beside one that times none.
//!
//! ```text
//! cargo bench -p aura-engine --bench overhead
//! ```
//!
//! A difference of one in a hundred drowns in what two runs differ by anyway. So the two take
//! turns: a chunk of operations on the one, the same chunk on the other, in changing order, many
//! times. A round's ratio is taken, and a pair's is the median of its rounds. Two engines of the
//! same settings differ too, by where their memory lies; so there are many pairs, each opened for
//! itself, and the interval is over pairs. A third engine, which times nothing either, stands
//! beside: its ratio says what this machine can see.

use std::hint::black_box;
use std::time::Instant;

use aura_engine::{Direction, Engine, Range, Telemetry};

#[path = "paths/store.rs"]
#[expect(dead_code, reason = "the benchmarks of paths use the rest")]
mod store;

use store::{KEYS, Store, VALUE_BYTES, config, key, ready};

/// Pairs of engines.
const PAIRS: usize = 12;

/// Rounds of a pair.
const ROUNDS: usize = 41;

/// The 0.975 quantile of Student's t with 11 degrees of freedom: one fewer than pairs.
const QUANTILE: f64 = 2.201;

/// Operations of a chunk.
const CHUNK: usize = 20_000;

/// How many operations there are for one that is timed, of the plain engine, of one that is the
/// same, and of the one that observes.
const TIMED_EVERY: [u32; 3] = [0, 0, 17];

fn main() {
    // `cargo test --benches` runs it too, and wants no measurement.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    say(&format!(
        "one operation of {} timed, beside none: {PAIRS} pairs, 95 % intervals",
        TIMED_EVERY[2]
    ));
    compare("get", |every| Gets(open(every).loaded(VALUE_BYTES), 0));
    compare("scan-step", |every| Rows(open(every).loaded(VALUE_BYTES)));
    compare("put", |every| Puts(open(every), 0));
}

fn open(every: u32) -> Store {
    let telemetry = Telemetry {
        timed_every: every,
        ..Telemetry::default()
    };
    Store::observed(config(), telemetry)
}

/// An engine and what is done with it.
trait Work {
    /// Does `CHUNK` operations.
    fn chunk(&mut self);
}

struct Gets(Store, u64);

impl Work for Gets {
    fn chunk(&mut self) {
        for _ in 0..CHUNK {
            let key = key(step(&mut self.1));
            black_box(ready(self.0.engine.get(&key))).expect("it reads");
        }
    }
}

struct Rows(Store);

impl Work for Rows {
    fn chunk(&mut self) {
        let mut scan = self.0.engine.scan(Range::all(), Direction::Forward);
        for _ in 0..CHUNK {
            black_box(self.0.run(scan.next())).expect("it reads");
        }
    }
}

struct Puts(Store, u64);

impl Work for Puts {
    fn chunk(&mut self) {
        for _ in 0..CHUNK {
            let key = key(step(&mut self.1));
            let put = self.0.engine.put(&key, &[7; VALUE_BYTES]);
            self.0.run(put).expect("it writes");
        }
    }
}

/// Goes on to the next number of a key; every one is met once before the first comes again.
fn step(at: &mut u64) -> u64 {
    *at = (*at + 7_919) % KEYS;
    *at
}

/// Prints by how much an operation takes longer if a sample is timed, and if nothing is changed.
fn compare<W: Work>(name: &str, open: impl Fn(u32) -> W) {
    let (mut same, mut timed, mut nanos) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 0..PAIRS {
        // Which is opened first, and so gets the better memory, changes from pair to pair.
        let mut engines = [None, None, None];
        in_turn(pair, |whose| {
            engines[whose] = Some(open(TIMED_EVERY[whose]))
        });
        let mut engines = engines.map(|it| it.expect("each is opened"));
        let (mut of_same, mut of_timed) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let mut took = [0.0; 3];
            in_turn(round, |whose| took[whose] = nanos_of(&mut engines[whose]));
            let [plain, unchanged, sampled] = took;
            of_same.push((unchanged / plain).ln());
            of_timed.push((sampled / plain).ln());
            nanos.push(plain);
        }
        same.push(median(of_same));
        timed.push(median(of_timed));
    }
    let plain = median(nanos);
    say(&format!(
        "{name:<10} {plain:>6.0} ns   timed {}",
        shown(&timed, plain)
    ));
    say(&format!("{:<20}   same  {}", "", shown(&same, plain)));
}

/// Calls `each` with 0, 1 and 2, and begins with another one each time.
fn in_turn(time: usize, mut each: impl FnMut(usize)) {
    (time..time + 3).for_each(|turn| each(turn % 3));
}

/// Returns the nanoseconds of an operation.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn nanos_of(work: &mut impl Work) -> f64 {
    let start = Instant::now();
    work.chunk();
    start.elapsed().as_nanos() as f64 / CHUNK as f64
}

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn say(line: &str) {
    println!("{line}");
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// The mean of log ratios as a percentage with its interval, and as nanoseconds of `plain`.
fn shown(logs: &[f64], plain: f64) -> String {
    let count = logs.len() as f64;
    let mean = logs.iter().sum::<f64>() / count;
    let square = |log: &f64| (log - mean).powi(2);
    let variance = logs.iter().map(square).sum::<f64>() / (count - 1.0);
    let half = QUANTILE * (variance / count).sqrt();
    let percent = |log: f64| 100.0 * log.exp_m1();
    format!(
        "{:+.2} % [{:+.2}, {:+.2}], {:+.1} ns",
        percent(mean),
        percent(mean - half),
        percent(mean + half),
        plain * mean.exp_m1()
    )
}
