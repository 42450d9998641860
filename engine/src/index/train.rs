//! Training a table's model, and what it must pass before it serves.
//!
//! Every model is asked for every stored key and for both edges of every gap, the bound of its error is what was measured
//! then, and one that is wrong, takes too much memory or costs too many blocks a look-up is refused.

use std::sync::Arc;

use aura_policies::PolicySpec;
use aura_policies::index::{IndexPolicy, Model, Ranks, Trained, Window};
use bytes::Bytes;

use super::Refusal;
use super::locator::{Locator, Starts};
use super::table::IndexWriter;
use super::ties::Ties;
use crate::config::IndexGate;
use crate::env::{Clock, CpuWork};

/// Keys on which windows and probes are measured.
const SAMPLE: usize = 4096;

/// How a table's index is made.
pub(crate) struct IndexBuild {
    /// Who trains the model.
    pub policy: Arc<dyn IndexPolicy>,
    /// As the settings name it.
    pub spec: PolicySpec,
    /// What a model must keep to.
    pub gate: IndexGate,
    /// Times the training.
    pub clock: Arc<dyn Clock>,
}

/// What a table says of its model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ModelFacts {
    /// Why there is none although the policy makes them; empty otherwise.
    pub refused: String,
    /// The longest run of ranks with equal images.
    pub longest_run: u32,
    /// The largest distance of an end of a window from the rank that was looked for.
    pub error_max: u32,
    /// The index policy with its parameters, as settings print it.
    pub parameters: String,
    /// Whether the ranks are those of blocks.
    pub by_block: bool,
    /// The longest run that is not listed before the model.
    pub tie_bound: u32,
    /// Runs listed before the model.
    pub tie_runs: u32,
    /// The 99th percentile of the distances.
    pub error_p99: u32,
    /// Their mean, in thousandths.
    pub error_mean_milli: u64,
    /// The 99th percentile of the blocks that a window reaches over.
    pub window_blocks: u32,
    /// Blocks that a look-up examines on average, in thousandths.
    pub probes_milli: u64,
    /// Numbers that the model compares or computes with for an answer, on average: what a simulated CPU is charged.
    pub steps: u32,
    /// Nanoseconds of training and checking.
    pub training_nanos: u64,
}

/// What training a table's model gave.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Training {
    /// The model block, if there is a model and it passed.
    pub(super) block: Option<Vec<u8>>,
    /// What the table says of it.
    pub(super) facts: ModelFacts,
}

impl IndexBuild {
    /// What the images that the policy wants are of; None where it wants none.
    pub(crate) fn wants(&self) -> Option<Ranks> {
        self.policy.wants_images().then(|| self.policy.ranks())
    }

    /// Trains on `images`, with the blocks that `blocks` has seen. The model block, if there is to be one, and what the
    /// table is to say of it. O(entries).
    pub(crate) fn train(
        &self,
        images: &[u64],
        blocks: &IndexWriter,
        work: &mut CpuWork,
    ) -> (Option<Vec<u8>>, ModelFacts) {
        let mut training = Training::default();
        if self.wants().is_some() {
            let (start, mut own) = (self.clock.now(), CpuWork::default());
            training = match self.attempt(images, blocks, &mut own) {
                Ok(training) => training,
                Err((reason, what)) => Training {
                    facts: ModelFacts {
                        refused: reason.because(&what),
                        ..Default::default()
                    },
                    block: None,
                },
            };
            // A simulated clock stands still while the CPU works: there the work is what time it takes.
            training.facts.training_nanos = self.clock.now() - start + self.clock.cost_nanos(&own);
            work.model_evaluations += own.model_evaluations;
        }
        training.facts.parameters = self.spec.to_string();
        (training.block, training.facts)
    }

    fn attempt(
        &self,
        images: &[u64],
        blocks: &IndexWriter,
        work: &mut CpuWork,
    ) -> Result<Training, (Refusal, String)> {
        if u32::try_from(images.len()).is_err() {
            return Err((
                Refusal::Declined,
                "ranks have 32 bits, and the table has more entries".to_owned(),
            ));
        }
        // A fit takes a step a key, about what asking takes.
        work.model_evaluations += images.len() as u64;
        let encoded = match self.policy.train(images) {
            Trained::Fence => return Ok(Training::default()),
            Trained::Refused(why) => return Err((Refusal::Declined, why.to_owned())),
            Trained::Model(encoded) => encoded,
        };
        let model =
            aura_policies::index::decode(&self.spec.policy, Bytes::copy_from_slice(&encoded));
        let model = model.ok_or_else(|| {
            (
                Refusal::Wrong,
                "the encoded model does not read back".to_owned(),
            )
        })?;
        let errors = check(&*model, images, work).map_err(|what| (Refusal::Wrong, what))?;

        let by_block = self.policy.ranks() == Ranks::Blocks;
        let fence_bytes = blocks.fence_bytes();
        let (ties, longest_run) = Ties::new(images, fence_bytes / 50);
        let mut facts = ModelFacts {
            longest_run,
            error_max: errors.max,
            error_p99: errors.quantile(99),
            error_mean_milli: errors.mean_milli(),
            by_block,
            tie_bound: ties.bound,
            tie_runs: ties.len() as u32,
            ..ModelFacts::default()
        };
        let mut block = Vec::with_capacity(encoded.len());
        ties.encode(&mut block);
        block.extend_from_slice(&encoded);
        let starts = (!by_block).then(|| Starts::new(blocks.starts()));
        let locator = Locator::new(model, starts, ties, blocks.blocks());
        let bytes = locator.memory_bytes() + blocks.address_bytes();
        let packed_bytes = blocks.packed_fence_bytes();
        if bytes as f64 > self.gate.memory * packed_bytes as f64 {
            let what = format!(
                "{bytes} B, with the addresses of blocks, where fence pointers take {packed_bytes} B"
            );
            return Err((Refusal::TooLarge, what));
        }
        (facts.window_blocks, facts.probes_milli, facts.steps) = measure(&locator, images, work);
        if facts.window_blocks > self.gate.window_blocks
            || facts.probes_milli as f64 > 1e3 * self.gate.probes
        {
            let what = format!(
                "windows of {} blocks (99th percentile), {:.3} blocks a look-up",
                facts.window_blocks,
                facts.probes_milli as f64 / 1e3
            );
            return Err((Refusal::TooWide, what));
        }
        Ok(Training {
            block: Some(block),
            facts,
        })
    }
}

/// The distances that were measured.
struct Errors {
    max: u32,
    sum: u64,
    count: u64,
    /// How many there are of each distance below 1,024; then of each power of two.
    counts: Vec<u32>,
}

/// Distances below this are counted one by one.
const FINE: u32 = 1024;

impl Errors {
    fn add(&mut self, error: u32) {
        self.max = self.max.max(error);
        self.sum += u64::from(error);
        self.count += 1;
        let at = if error < FINE {
            error
        } else {
            FINE + error.ilog2()
        };
        self.counts[at as usize] += 1;
    }

    /// The distance that `percent` of a hundred are not above.
    fn quantile(&self, percent: u64) -> u32 {
        let mut left = self.count * percent / 100;
        for (at, count) in (0..).zip(&self.counts) {
            left = match left.checked_sub(u64::from(*count)) {
                Some(left) => left,
                None if at < FINE => return at,
                None => return 2u32.saturating_pow(at - FINE + 1).min(self.max),
            };
        }
        self.max
    }

    fn mean_milli(&self) -> u64 {
        1000 * self.sum / self.count.max(1)
    }
}

/// Asks a model for every stored image and both edges of every gap. The errors, or the first broken promise.
fn check(model: &dyn Model, images: &[u64], work: &mut CpuWork) -> Result<Errors, String> {
    let count = images.len() as u32;
    let mut errors = Errors {
        max: 0,
        sum: 0,
        count: 0,
        counts: vec![0; FINE as usize + 32],
    };
    let mut ask = |image: u64, rank: u32| {
        work.model_evaluations += 1;
        let Window { lo, hi } = model.locate(image);
        if lo > rank || rank > hi || hi > count {
            return Err(format!(
                "the model says {lo}..={hi} for image {image:#x}, whose rank of {count} is {rank}"
            ));
        }
        errors.add((rank - lo).max(hi - rank));
        Ok(())
    };
    let mut rank = 0;
    let mut gap_start = Some(0);
    for run in images.chunk_by(|a, b| a == b) {
        let image = run[0];
        if let Some(start) = gap_start.filter(|start| *start < image) {
            ask(start, rank)?;
            ask(image - 1, rank)?;
        }
        ask(image, rank)?;
        rank += run.len() as u32;
        gap_start = image.checked_add(1);
    }
    if let Some(start) = gap_start {
        ask(start, count)?;
        ask(u64::MAX, count)?;
    }
    Ok(errors)
}

/// The 99th percentile of the blocks in a window, the mean blocks of a look-up in thousandths, and the mean steps of the
/// model, over some stored keys.
fn measure(locator: &Locator, images: &[u64], work: &mut CpuWork) -> (u32, u64, u32) {
    let stride = images.len().div_ceil(SAMPLE).max(1);
    let (mut widths, mut probes, mut steps) = (Vec::with_capacity(SAMPLE), 0, 0);
    for rank in (0..images.len()).step_by(stride) {
        work.model_evaluations += 1;
        let candidates = locator.candidates(images[rank], true);
        widths.push(candidates.span.len());
        probes += candidates.probes(locator.block_of(rank));
        steps += u64::from(locator.model().probes(images[rank]));
    }
    widths.sort_unstable();
    let width = widths.get(widths.len() * 99 / 100).copied().unwrap_or(0);
    let asked = (widths.len() as u64).max(1);
    let steps = u32::try_from(steps.div_ceil(asked)).unwrap_or(u32::MAX);
    (
        u32::try_from(width).unwrap_or(u32::MAX),
        1000 * probes / asked,
        steps,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says the true rank, give or take what it is told to, and is wrong at one image.
    struct Scripted {
        images: Vec<u64>,
        slack: u32,
        wrong_at: Option<u64>,
    }

    impl Model for Scripted {
        fn locate(&self, image: u64) -> Window {
            let rank = self.images.partition_point(|stored| *stored < image) as u32;
            if self.wrong_at == Some(image) {
                return Window {
                    lo: rank + 1,
                    hi: rank + 1,
                };
            }
            Window {
                lo: rank.saturating_sub(self.slack),
                hi: (rank + self.slack).min(self.images.len() as u32),
            }
        }

        fn memory_bytes(&self) -> u64 {
            0
        }

        fn segments(&self) -> u64 {
            1
        }
    }

    #[test]
    fn a_model_is_asked_at_every_key_and_gap_and_its_error_is_measured() {
        let images = vec![3, 3, 3, 8, 9, 40];
        let check_with = |slack, wrong_at| {
            let scripted = Scripted {
                images: images.clone(),
                slack,
                wrong_at,
            };
            check(&scripted, &images, &mut CpuWork::default()).map(|errors| errors.max)
        };
        assert_eq!(check_with(0, None), Ok(0));
        assert_eq!(check_with(2, None), Ok(2));
        for edge in [0, 2, 3, 4, 7, 8, 9, 10, 39, 40, 41, u64::MAX] {
            assert!(
                check_with(1, Some(edge)).is_err(),
                "a model that is wrong at {edge} passed"
            );
        }
        assert_eq!(
            check_with(1, Some(20)),
            Ok(1),
            "the inside of a gap is not asked"
        );
    }

    #[test]
    fn quantiles_and_means_are_those_of_the_list() {
        let mut errors = Errors {
            max: 0,
            sum: 0,
            count: 0,
            counts: vec![0; FINE as usize + 32],
        };
        (0..=99).for_each(|error| errors.add(error));
        assert_eq!(
            (
                errors.quantile(99),
                errors.quantile(50),
                errors.max,
                errors.mean_milli()
            ),
            (99, 50, 99, 49_500)
        );
        (0..100).for_each(|_| errors.add(5_000));
        assert_eq!(
            (errors.quantile(99), errors.quantile(40)),
            (5_000, 80),
            "the power of two above, but not the maximum"
        );
        errors.add(u32::MAX);
        assert_eq!(
            (errors.quantile(99), errors.quantile(100), errors.max),
            (8_192, u32::MAX, u32::MAX)
        );
    }
}
