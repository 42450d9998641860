//! Indexes on one set of keys, side by side: how large, how fast to build, how fast to search.
//!
//! ```text
//!   models x epsilons --candidates--> trained, checked against every key and every gap
//!                                        |
//!   keys, seed ----> queries -----> every answer checked, comparisons counted
//!                                        |
//!                                     timed in rounds: warm, then cold -----> rows
//! ```
//!
//! A look-up is the whole of it: the model's window, and the search within it in the sorted array, to the first key not
//! below the query. Rounds go through all indexes in turn, so that a machine that gets slower does so for all of them.

mod candidates;
mod index;
mod rows;
mod sorted;
mod timing;

use aura_policies::index::{self as policies, Ranks, Trained};
use aura_policies::{PolicyError, PolicySpec};
use aura_workloads::Seed;
use aura_workloads::keyset::{KeySet, Keys};
use bytes::Bytes;

pub use candidates::{Candidate, candidates, parse_epsilons, parse_models};
pub use rows::{Errors, Latency, Measured, Row, data, table, write};

use index::Index;
use sorted::{Numbers, Queries, SortedKeys, Strings};
use timing::{Stopwatch, Walk, median, quantile};

/// The name of the baseline that searches the whole array.
pub const WHOLE_ARRAY: &str = "binary search";

/// The policy whose segments are the fewest possible.
const OPTIMAL: &str = "pgm";

/// Look-ups timed together: enough that the clock costs little, few enough for a median.
const BATCH: usize = 16;

/// Look-ups before a round's first timed one, and after each walk over other memory.
const WARM_UP: usize = 4096;
const COLD_BATCH: usize = 4;

/// Rounds of warm look-ups; in each, all indexes have their turn.
pub const ROUNDS: usize = 5;

/// A model that trains faster is trained again, for a steadier time.
const QUICK_NANOS: u64 = 100_000_000;

/// How indexes are measured.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Keys of an emulated data block, for fence pointers and models of blocks.
    pub block_keys: usize,
    /// Warm look-ups of each index.
    pub lookups: usize,
    /// Cold look-ups of each index; 0 for none.
    pub cold_lookups: usize,
    /// Memory walked over before each few cold look-ups.
    pub cold_bytes: usize,
    /// Where the queries come from.
    pub seed: u64,
}

/// Why a set could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A model that there is not, or not with such parameters.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A model that cannot be read back.
    #[error("{model} on {set}: the model that was just trained cannot be read back")]
    Unreadable {
        /// The key set.
        set: String,
        /// The model.
        model: String,
    },
    /// A window without the rank.
    #[error(
        "{model} on {set}: the first key not below {query} has rank {rank}, which is not in the window {lo} to {hi}"
    )]
    Missed {
        /// The key set.
        set: String,
        /// The model.
        model: String,
        /// What was looked for.
        query: String,
        /// Where it is.
        rank: usize,
        /// The window's first rank.
        lo: usize,
        /// Its last.
        hi: usize,
    },
    /// A wrong answer.
    #[error("{model} on {set}: the look-up of {query} answers rank {answer}, but it is {rank}")]
    Wrong {
        /// The key set.
        set: String,
        /// The model.
        model: String,
        /// What was looked for.
        query: String,
        /// What the look-up said.
        answer: usize,
        /// What is right.
        rank: usize,
    },
}

/// What a set of keys is besides its number of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ties {
    /// Keys whose 8 bytes after the common prefix are also another key's.
    pub keys: usize,
    /// The most keys that share them; 1 without ties.
    pub longest_run: usize,
    /// Bytes that all keys begin with.
    pub prefix: usize,
}

/// A set's rows.
#[derive(Debug)]
pub struct Answer {
    /// One row an index.
    pub rows: Vec<Row>,
    /// Of strings only.
    pub ties: Option<Ties>,
}

/// How many steps [`bench()`] tells of.
pub fn steps(candidates: usize, settings: &Settings) -> u64 {
    (candidates * (1 + ROUNDS) + settings.cold_lookups.div_ceil(COLD_BATCH)) as u64
}

/// Builds and measures every candidate on one set; `step` is called as the work goes on.
///
/// # Errors
/// See [`BenchError`].
pub fn bench(
    name: &str,
    set: KeySet,
    candidates: &[Candidate],
    settings: &Settings,
    step: &dyn Fn(),
) -> Result<Answer, BenchError> {
    let (rows, ties) = match set.keys {
        Keys::Numbers(keys) => (
            Bench::of(name, &Numbers::new(keys), settings, step).run(candidates)?,
            None,
        ),
        Keys::Strings(keys) => {
            let keys = Strings::new(keys);
            (
                Bench::of(name, &keys, settings, step).run(candidates)?,
                Some(keys.ties()),
            )
        }
    };
    Ok(Answer { rows, ties })
}

struct Bench<'a, K: SortedKeys> {
    set: &'a str,
    keys: &'a K,
    settings: &'a Settings,
    step: &'a dyn Fn(),
    queries: Queries<K::Query>,
    watch: Stopwatch,
}

/// An index that stands, and its times so far.
struct Contender<K> {
    row: usize,
    index: Index<K>,
    batches: Vec<f64>,
    singles: Vec<f64>,
    cold: Vec<f64>,
}

impl<'a, K: SortedKeys> Bench<'a, K> {
    fn of(set: &'a str, keys: &'a K, settings: &'a Settings, step: &'a dyn Fn()) -> Self {
        let mut generator = Seed(settings.seed)
            .child("index-bench")
            .child("queries")
            .generator();
        let count = settings.lookups.max(settings.cold_lookups).max(1);
        let queries = sorted::queries(keys, count, &mut generator);
        Self {
            set,
            keys,
            settings,
            step,
            queries,
            watch: Stopwatch::start(),
        }
    }

    fn run(&self, candidates: &[Candidate]) -> Result<Vec<Row>, BenchError> {
        let mut rows = Vec::new();
        let mut contenders = Vec::new();
        for candidate in candidates {
            let (row, index) = self.build(candidate)?;
            if let Some(index) = index {
                let (batches, singles, cold) = (Vec::new(), Vec::new(), Vec::new());
                contenders.push(Contender {
                    row: rows.len(),
                    index,
                    batches,
                    singles,
                    cold,
                });
            }
            rows.push(row);
            (self.step)();
        }
        for round in 0..ROUNDS {
            for contender in &mut contenders {
                self.warm(contender, round);
                (self.step)();
            }
            (contenders.len()..candidates.len()).for_each(|_| (self.step)());
        }
        self.cold(&mut contenders);
        for contender in &mut contenders {
            let latency = |samples: &mut [f64], others: &mut [f64]| {
                Some(Latency {
                    median: median(samples)?,
                    p99: quantile(others, 0.99)?,
                })
            };
            if let Some(measured) = &mut rows[contender.row].measured {
                measured.warm = latency(&mut contender.batches, &mut contender.singles);
                let mut same = contender.cold.clone();
                measured.cold = latency(&mut contender.cold, &mut same);
            }
        }
        self.optimum(&mut rows)?;
        rows::compare(&mut rows);
        Ok(rows)
    }

    /// Trains a candidate, checks it, and answers its row; without an index if it was refused.
    fn build(&self, candidate: &Candidate) -> Result<(Row, Option<Index<K>>), BenchError> {
        let mut row = Row::new(self.set, self.keys.len(), candidate);
        let Some(spec) = &candidate.spec else {
            row.measured = Some(self.judge(candidate, &Index::Whole, 0)?);
            return Ok((row, Some(Index::Whole)));
        };
        let policy = policies::build(spec)?;
        let blocks = policy.ranks() == Ranks::Blocks;
        let unit = if blocks { self.settings.block_keys } else { 1 };
        row.ranks = Some(if blocks { "blocks" } else { "entries" });
        let of_blocks = if blocks {
            self.keys.fences(unit).images().to_vec()
        } else {
            Vec::new()
        };
        let images = if blocks {
            &of_blocks
        } else {
            self.keys.images()
        };
        let begun = self.watch.now();
        let mut trained = policy.train(images);
        let mut nanos = self.watch.since(begun);
        if nanos < QUICK_NANOS {
            let mut again = || {
                let begun = self.watch.now();
                trained = policy.train(images);
                self.watch.since(begun)
            };
            let mut times = [nanos, again(), again()];
            times.sort_unstable();
            nanos = times[1];
        }
        let index = match trained {
            Trained::Refused(reason) => {
                row.refused = Some(reason.to_owned());
                return Ok((row, None));
            }
            Trained::Fence => {
                row.ranks = Some("blocks");
                let begun = self.watch.now();
                let fences = self.keys.fences(self.settings.block_keys);
                nanos += self.watch.since(begun);
                Index::Fence {
                    fences,
                    block_keys: self.settings.block_keys,
                }
            }
            Trained::Model(encoded) => {
                let model = policies::decode(&spec.policy, Bytes::from(encoded));
                let unreadable = || BenchError::Unreadable {
                    set: self.set.to_owned(),
                    model: candidate.to_string(),
                };
                Index::Model {
                    model: model.ok_or_else(unreadable)?,
                    unit,
                }
            }
        };
        row.measured = Some(self.judge(candidate, &index, nanos)?);
        Ok((row, Some(index)))
    }

    /// Checks an index against every key, every gap and every query, and answers what needs no clock.
    fn judge(
        &self,
        candidate: &Candidate,
        index: &Index<K>,
        nanos: u64,
    ) -> Result<Measured, BenchError> {
        let errors = index
            .errors(self.keys)
            .map_err(|missed| BenchError::Missed {
                set: self.set.to_owned(),
                model: candidate.to_string(),
                query: format!("image {}", missed.image),
                rank: missed.rank,
                lo: missed.lo,
                hi: missed.hi,
            })?;
        let (mut comparisons, mut searched) = (0, 0);
        for (query, rank) in self.queries.iter() {
            let effort = index.effort(self.keys, query);
            comparisons += effort.comparisons;
            searched += effort.searched;
            let answer = index.rank(self.keys, query);
            if answer != rank {
                let (set, model) = (self.set.to_owned(), candidate.to_string());
                return Err(BenchError::Wrong {
                    set,
                    model,
                    query: K::show(query),
                    answer,
                    rank,
                });
            }
        }
        let keys = self.keys.len() as f64;
        let count = self.queries.len() as f64;
        Ok(Measured {
            bytes: index.memory_bytes(),
            bytes_per_key: index.memory_bytes() as f64 / keys,
            build_ns_per_key: nanos as f64 / keys,
            comparisons: comparisons as f64 / count,
            searched: searched as f64 / count,
            errors,
            segments: index.segments(),
            ..Measured::default()
        })
    }

    /// One round of warm look-ups: a few untimed ones, then batches, then single ones.
    fn warm(&self, contender: &mut Contender<K>, round: usize) {
        let slice = self.queries.slice(round, ROUNDS, self.settings.lookups);
        let index = &contender.index;
        let mut carry = 0;
        for place in slice.clone().take(WARM_UP) {
            carry = self.look_up(index, place, carry);
        }
        for start in slice.clone().step_by(BATCH) {
            let end = (start + BATCH).min(slice.end);
            let begun = self.watch.now();
            for place in start..end {
                carry = self.look_up(index, place, carry);
            }
            contender
                .batches
                .push(self.watch.net(begun) / (end - start) as f64);
        }
        for place in slice {
            let begun = self.watch.now();
            carry = self.look_up(index, place, carry);
            contender.singles.push(self.watch.net(begun));
        }
    }

    /// Looks one query up. The answer goes into the next one's place (as a zero, which the processor cannot know), so
    /// that look-ups wait for each other, as they do where each is a request of its own.
    fn look_up(&self, index: &Index<K>, place: usize, carry: usize) -> usize {
        let query = self.queries.at(place + carry);
        std::hint::black_box(index.rank(self.keys, query)) >> 63
    }

    /// Cold look-ups: before each few, other memory is walked over; who comes first changes from walk to walk.
    fn cold(&self, contenders: &mut [Contender<K>]) {
        let walks = self.settings.cold_lookups.div_ceil(COLD_BATCH);
        let mut walk = Walk::new(self.settings.cold_bytes);
        let mut place = 0;
        for number in 0..walks {
            walk.go();
            let count = contenders.len();
            for turn in 0..count {
                let contender = &mut contenders[(number + turn) % count];
                for _ in 0..COLD_BATCH {
                    let begun = self.watch.now();
                    self.look_up(&contender.index, place % self.queries.len(), 0);
                    contender.cold.push(self.watch.net(begun));
                    place += 1;
                }
            }
            (self.step)();
        }
    }

    /// Fills in the fewest segments possible, where the policy that makes them is registered.
    fn optimum(&self, rows: &mut [Row]) -> Result<(), BenchError> {
        if !policies::FAMILY
            .entries()
            .iter()
            .any(|entry| entry.name == OPTIMAL)
        {
            return Ok(());
        }
        let mut epsilons: Vec<u64> = rows.iter().filter_map(|row| row.epsilon).collect();
        epsilons.sort_unstable();
        epsilons.dedup();
        for epsilon in epsilons {
            let fits = |row: &&Row| {
                row.model == OPTIMAL && row.ranks == Some("entries") && row.epsilon == Some(epsilon)
            };
            let known = rows.iter().find(fits);
            let mut fewest = known.and_then(|row| row.measured.as_ref()?.segments);
            if fewest.is_none() && known.is_none() {
                let policy = policies::build(&PolicySpec::named(OPTIMAL).with("epsilon", epsilon))?;
                if let Trained::Model(encoded) = policy.train(self.keys.images()) {
                    fewest = policies::decode(OPTIMAL, Bytes::from(encoded))
                        .map(|model| model.segments());
                }
            }
            for row in rows.iter_mut().filter(|row| row.epsilon == Some(epsilon)) {
                row.optimal_segments = fewest;
            }
        }
        Ok(())
    }
}
