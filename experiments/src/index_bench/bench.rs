//! Builds, checks and times the indexes of one set of keys.

use aura_policies::PolicySpec;
use aura_policies::index::{self as policies, IndexPolicy, Ranks as PolicyRanks, Trained};
use aura_workloads::Seed;
use bytes::Bytes;

use super::fences::Fences;
use super::index::Index;
use super::rows::{self, Latency, Measured, Ranks, Row};
use super::sorted::{self, Queries, SortedKeys};
use super::timing::{Stopwatch, Walk, median, quantile};
use super::{BenchError, Candidate, Settings};

/// Rounds of warm look-ups; in each, all indexes have their turn.
pub const ROUNDS: usize = 5;

/// The policy whose segments are the fewest possible.
const OPTIMAL: &str = "pgm";

/// Look-ups timed together: enough that the clock costs little, few enough for a median.
const BATCH: usize = 16;

/// Untimed look-ups at the start of a round.
const WARM_UP: usize = 4096;

/// Cold look-ups after each walk over other memory.
const COLD_BATCH: usize = 4;

/// A model that trains faster is trained twice more, for a steadier time.
const QUICK_NANOS: u64 = 100_000_000;

/// The number of steps that [`super::bench()`] reports.
pub fn steps(candidates: usize, settings: &Settings) -> u64 {
    (candidates * (1 + ROUNDS) + settings.cold_lookups.div_ceil(COLD_BATCH)) as u64
}

/// The measurement of one set.
pub(super) struct Bench<'a, K: SortedKeys> {
    set: &'a str,
    keys: &'a K,
    settings: &'a Settings,
    step: &'a dyn Fn(),
    queries: Queries<K::Query>,
    watch: Stopwatch,
}

/// An index that was not refused, and its times so far, in nanoseconds.
struct Contender<K: SortedKeys> {
    row: usize,
    index: Index<K>,
    batches: Vec<f64>,
    singles: Vec<f64>,
    cold: Vec<f64>,
}

/// What became of a candidate: its row, and its index unless it was refused.
struct Built<K: SortedKeys> {
    row: Row,
    index: Option<Index<K>>,
}

/// A trained model, and the nanoseconds it took.
struct TimedTraining {
    trained: Trained,
    nanos: u64,
}

impl<'a, K: SortedKeys> Bench<'a, K> {
    pub(super) fn new(
        set: &'a str,
        keys: &'a K,
        settings: &'a Settings,
        step: &'a dyn Fn(),
    ) -> Self {
        let mut generator = Seed(settings.seed)
            .child("index-bench")
            .child("queries")
            .generator();
        let count = settings.lookups.max(settings.cold_lookups).max(1);
        Self {
            set,
            keys,
            settings,
            step,
            queries: sorted::queries(keys, count, &mut generator),
            watch: Stopwatch::start(),
        }
    }

    /// Measures every candidate.
    pub(super) fn run(&self, candidates: &[Candidate]) -> Result<Vec<Row>, BenchError> {
        let mut rows = Vec::new();
        let mut contenders = Vec::new();
        for candidate in candidates {
            let built = self.build(candidate)?;
            if let Some(index) = built.index {
                contenders.push(Contender {
                    row: rows.len(),
                    index,
                    batches: Vec::new(),
                    singles: Vec::new(),
                    cold: Vec::new(),
                });
            }
            rows.push(built.row);
            (self.step)();
        }
        for round in 0..ROUNDS {
            for contender in &mut contenders {
                self.warm(contender, round);
                (self.step)();
            }
            for _refused in contenders.len()..candidates.len() {
                (self.step)();
            }
        }
        self.cold(&mut contenders);
        for contender in &mut contenders {
            if let Some(measured) = &mut rows[contender.row].measured {
                measured.warm = contender.warm_latency();
                measured.cold = contender.cold_latency();
            }
        }
        self.fill_in_optimum(&mut rows)?;
        rows::compare(&mut rows);
        Ok(rows)
    }

    /// Trains a candidate and checks it.
    fn build(&self, candidate: &Candidate) -> Result<Built<K>, BenchError> {
        let mut row = Row::new(self.set, self.keys.len(), candidate);
        let Some(spec) = &candidate.spec else {
            row.measured = Some(self.check(candidate, &Index::Whole, 0)?);
            let index = Some(Index::Whole);
            return Ok(Built { row, index });
        };
        let policy = policies::build(spec)?;
        let of_blocks = policy.ranks() == PolicyRanks::Blocks;
        row.ranks = Some(if of_blocks {
            Ranks::Blocks
        } else {
            Ranks::Entries
        });
        let mut training = self.train(&*policy, of_blocks);
        let index = match training.trained {
            Trained::Refused(reason) => {
                row.refused = Some(reason.to_owned());
                return Ok(Built { row, index: None });
            }
            Trained::Fence => {
                row.ranks = Some(Ranks::Blocks);
                let begun = self.watch.now();
                let fences = self.keys.fences(self.settings.block_keys);
                training.nanos += self.watch.since(begun);
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
                    unit: if of_blocks {
                        self.settings.block_keys
                    } else {
                        1
                    },
                }
            }
        };
        row.measured = Some(self.check(candidate, &index, training.nanos)?);
        Ok(Built {
            row,
            index: Some(index),
        })
    }

    /// Trains a policy on the keys, or on the last key of each block. A quick training is timed
    /// three times, and the median counts.
    fn train(&self, policy: &dyn IndexPolicy, of_blocks: bool) -> TimedTraining {
        let fences;
        let images = if of_blocks {
            fences = self.keys.fences(self.settings.block_keys);
            fences.images()
        } else {
            self.keys.images()
        };
        let train = || {
            let begun = self.watch.now();
            let trained = policy.train(images);
            TimedTraining {
                trained,
                nanos: self.watch.since(begun),
            }
        };
        let first = train();
        if first.nanos >= QUICK_NANOS {
            return first;
        }
        let second = train();
        let third = train();
        let mut times = [first.nanos, second.nanos, third.nanos];
        times.sort_unstable();
        TimedTraining {
            trained: third.trained,
            nanos: times[1],
        }
    }

    /// Checks an index against every key, every gap and every query, and measures what needs no
    /// clock.
    fn check(
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
        let mut comparisons = 0;
        let mut searched = 0;
        for (query, rank) in self.queries.iter() {
            let effort = index.effort(self.keys, query);
            comparisons += effort.comparisons;
            searched += effort.searched;
            let answer = index.rank(self.keys, query);
            if answer != rank {
                return Err(BenchError::Wrong {
                    set: self.set.to_owned(),
                    model: candidate.to_string(),
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
            let nanos = self.watch.net(begun);
            contender.batches.push(nanos / (end - start) as f64);
        }
        for place in slice {
            let begun = self.watch.now();
            carry = self.look_up(index, place, carry);
            contender.singles.push(self.watch.net(begun));
        }
    }

    /// Looks one query up. The answer goes into the next query's place (as a zero, which the
    /// processor cannot know), so that look-ups wait for each other, as separate requests do.
    fn look_up(&self, index: &Index<K>, place: usize, carry: usize) -> usize {
        let query = self.queries.at(place + carry);
        std::hint::black_box(index.rank(self.keys, query)) >> 63
    }

    /// Cold look-ups: other memory is walked over before each few. The first index changes from
    /// walk to walk.
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

    /// Fills in the fewest segments possible, if the policy that makes them is registered.
    fn fill_in_optimum(&self, rows: &mut [Row]) -> Result<(), BenchError> {
        if policies::FAMILY.get(OPTIMAL).is_none() {
            return Ok(());
        }
        let mut epsilons: Vec<u64> = rows.iter().filter_map(|row| row.epsilon).collect();
        epsilons.sort_unstable();
        epsilons.dedup();
        for epsilon in epsilons {
            let fewest = self.fewest_segments(rows, epsilon)?;
            for row in rows.iter_mut().filter(|row| row.epsilon == Some(epsilon)) {
                row.optimal_segments = fewest;
            }
        }
        Ok(())
    }

    /// The fewest segments at an epsilon: measured already, or else trained for. `None` if the
    /// optimal model was refused.
    fn fewest_segments(&self, rows: &[Row], epsilon: u64) -> Result<Option<u64>, BenchError> {
        let is_optimal = |row: &&Row| {
            row.model == OPTIMAL
                && row.ranks == Some(Ranks::Entries)
                && row.epsilon == Some(epsilon)
        };
        if let Some(row) = rows.iter().find(is_optimal) {
            return Ok(row.measured.as_ref().and_then(|measured| measured.segments));
        }
        let policy = policies::build(&PolicySpec::named(OPTIMAL).with("epsilon", epsilon))?;
        let Trained::Model(encoded) = policy.train(self.keys.images()) else {
            return Ok(None);
        };
        let model = policies::decode(OPTIMAL, Bytes::from(encoded));
        Ok(model.map(|model| model.segments()))
    }
}

impl<K: SortedKeys> Contender<K> {
    fn warm_latency(&mut self) -> Option<Latency> {
        Some(Latency {
            median: median(&mut self.batches)?,
            p99: quantile(&mut self.singles, 0.99)?,
        })
    }

    fn cold_latency(&mut self) -> Option<Latency> {
        Some(Latency {
            median: median(&mut self.cold)?,
            p99: quantile(&mut self.cold, 0.99)?,
        })
    }
}
