//! Trains a table's model and checks it before it is used.
//!
//! Index policies are not trusted. Every model is evaluated at every stored key and at the edges of
//! some gaps, which measures its error. A model is refused if it is wrong, takes too much memory,
//! or needs too many blocks per look-up.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use aura_policies::PolicySpec;
use aura_policies::index::{IndexPolicy, Model, Ranks, Trained, Window};
use bytes::Bytes;

use super::locator::{Locator, Starts};
use super::table::IndexWriter;
use super::ties::Ties;
use super::{Refusal, Refused};
use crate::config::IndexGate;
use crate::env::{Clock, CpuWork};

/// Keys on which windows and probes are measured: a share of all, within bounds.
const SAMPLE: RangeInclusive<usize> = 64..=4096;
const SAMPLE_SHARE: usize = 16;

/// Gaps between keys at whose edges a model is evaluated, beside every key.
const GAPS: usize = 64;

/// Ranks from which on a model is tried on stretches of the table first.
const TRIAL_MIN: usize = 4096;

/// Stretches that are tried, and how many of them would make up the table.
const TRIALS: usize = 2;
const TRIAL_PARTS: usize = 32;

/// The policy and settings that build a table's index.
pub(crate) struct IndexBuild {
    /// The policy that trains the model.
    pub policy: Arc<dyn IndexPolicy>,
    /// The policy's name and parameters in the settings.
    pub spec: PolicySpec,
    /// The limits that a model must keep.
    pub gate: IndexGate,
    /// The clock that times the training.
    pub clock: Arc<dyn Clock>,
}

/// The facts about a model that its table stores.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ModelFacts {
    /// Why the model was refused. None if it was not.
    pub refused: Option<Refused>,
    /// The largest number of ranks with equal images.
    pub longest_run: u32,
    /// The largest distance between the correct rank and the farther end of the window.
    pub error_max: u32,
    /// The index policy with its parameters, as in the settings.
    pub parameters: String,
    /// Whether the ranks count blocks instead of entries.
    pub by_block: bool,
    /// The length of the longest ties that are not listed.
    pub tie_bound: u32,
    /// Elements of the list of ties.
    pub tie_runs: u32,
    /// The 99th percentile of the distances.
    pub error_p99: u32,
    /// The mean of the distances, in thousandths.
    pub error_mean_milli: u64,
    /// The 99th percentile of the blocks in a window.
    pub window_blocks: u32,
    /// The mean number of blocks that a look-up examines, in thousandths.
    pub probes_milli: u64,
    /// The mean number of steps of the model per look-up. A simulated CPU is charged for them.
    pub steps: u32,
    /// Nanoseconds of training and checking.
    pub training_nanos: u64,
}

/// The result of training a table's model.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Training {
    /// The model block. None if there is no model or it was refused.
    pub(super) block: Option<Vec<u8>>,
    /// The facts for the table's properties.
    pub(super) facts: ModelFacts,
}

impl IndexBuild {
    /// Returns what the policy's model counts; None if the policy needs no images.
    pub(crate) fn wants(&self) -> Option<Ranks> {
        self.policy.wants_images().then(|| self.policy.ranks())
    }

    /// Trains a model on `images` for the blocks in `blocks`. O(entries).
    ///
    /// Returns the model block, if the table is to have one, and the facts for its properties.
    pub(crate) fn train(
        &self,
        images: &[u64],
        blocks: &IndexWriter,
        work: &mut CpuWork,
    ) -> (Option<Vec<u8>>, ModelFacts) {
        let mut training = Training::default();
        if self.wants().is_some() {
            let start = self.clock.now();
            let mut own = CpuWork::default();
            training = match self.attempt(images, blocks, &mut own) {
                Ok(training) => training,
                Err(refused) => Training {
                    facts: ModelFacts {
                        refused: Some(refused),
                        ..Default::default()
                    },
                    block: None,
                },
            };
            // A simulated clock stands still while the CPU works, so the cost of the work is added.
            training.facts.training_nanos = self.clock.now() - start + self.clock.cost_nanos(&own);
            work.add(&own);
        }
        training.facts.parameters = self.spec.to_string();
        (training.block, training.facts)
    }

    /// Trains, checks and measures a model.
    fn attempt(
        &self,
        images: &[u64],
        blocks: &IndexWriter,
        work: &mut CpuWork,
    ) -> Result<Training, Refused> {
        if u32::try_from(images.len()).is_err() {
            let what = "ranks have 32 bits, and the table has more entries";
            return Err(Refusal::Declined.because(what));
        }
        self.try_stretches(images, blocks, work)?;
        work.keys_fitted += images.len() as u64;
        let encoded = match self.policy.train(images) {
            Trained::Fence => return Ok(Training::default()),
            Trained::Refused(why) => return Err(Refusal::Declined.because(why)),
            Trained::Model(encoded) => encoded,
        };
        let model =
            aura_policies::index::decode(&self.spec.policy, Bytes::copy_from_slice(&encoded));
        let model =
            model.ok_or_else(|| Refusal::Wrong.because("the encoded model cannot be decoded"))?;
        let by_block = self.policy.ranks() == Ranks::Blocks;
        let fence_bytes = blocks.fence_bytes();
        let (ties, longest_run) = Ties::new(images, fence_bytes / 50);
        let mut facts = ModelFacts {
            longest_run,
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
                "{bytes} B, with the addresses of blocks, where fence pointers take \
                 {packed_bytes} B"
            );
            return Err(Refusal::TooLarge.because(what));
        }
        let measured = measure(&locator, images, work);
        facts.window_blocks = measured.window_blocks;
        facts.probes_milli = measured.probes_milli;
        facts.steps = measured.steps;
        self.check_width(&measured, "")?;
        // The dearest part comes last: most models that are refused are too large or too wide.
        let errors = check(locator.model(), images, work);
        let errors = errors.map_err(|what| Refusal::Wrong.because(what))?;
        facts.error_max = errors.max;
        facts.error_p99 = errors.quantile(99);
        facts.error_mean_milli = errors.mean_milli();
        Ok(Training {
            block: Some(block),
            facts,
        })
    }

    /// Refuses a model whose look-ups cost more than the gate allows.
    fn check_width(&self, measured: &Measured, place: &str) -> Result<(), Refused> {
        let probes = measured.probes_milli as f64;
        if measured.window_blocks <= self.gate.window_blocks && probes <= 1e3 * self.gate.probes {
            return Ok(());
        }
        let what = format!(
            "windows of {} blocks (99th percentile), {:.3} blocks a look-up{place}",
            measured.window_blocks,
            probes / 1e3
        );
        Err(Refusal::TooWide.because(what))
    }

    /// Refuses a large table's model at a fraction of the cost of fitting it: if models of two
    /// short stretches both exceed the gate.
    fn try_stretches(
        &self,
        images: &[u64],
        blocks: &IndexWriter,
        work: &mut CpuWork,
    ) -> Result<(), Refused> {
        if images.len() < TRIAL_MIN {
            return Ok(());
        }
        let mut outcome = Ok(());
        for trial in 1..=TRIALS {
            let first = blocks.blocks() * trial / (TRIALS + 1);
            let last = first + blocks.blocks().div_ceil(TRIAL_PARTS);
            let stretch = first..last.min(blocks.blocks());
            let Some(measured) = self.try_stretch(images, blocks, stretch, work) else {
                return Ok(());
            };
            outcome = self.check_width(&measured, ", in a stretch of the table");
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    /// Measures a model of some blocks of a table; None if the policy makes none of them.
    fn try_stretch(
        &self,
        images: &[u64],
        blocks: &IndexWriter,
        stretch: Range<usize>,
        work: &mut CpuWork,
    ) -> Option<Measured> {
        let count = stretch.len();
        let (images, starts) = match self.policy.ranks() {
            Ranks::Blocks => (&images[stretch], None),
            Ranks::Entries => {
                let starts = &blocks.starts()[stretch.start..=stretch.end];
                let images = &images[starts[0] as usize..starts[count] as usize];
                let starts: Vec<u64> = starts.iter().map(|rank| rank - starts[0]).collect();
                (images, Some(Starts::new(&starts)))
            }
        };
        work.keys_fitted += images.len() as u64;
        let Trained::Model(encoded) = self.policy.train(images) else {
            return None;
        };
        let model = aura_policies::index::decode(&self.spec.policy, encoded.into())?;
        let (ties, _) = Ties::new(images, blocks.fence_bytes() / (50 * TRIAL_PARTS as u64));
        let locator = Locator::new(model, starts, ties, count);
        Some(measure(&locator, images, work))
    }
}

/// A histogram of measured errors.
struct Errors {
    max: u32,
    sum: u64,
    count: u64,
    /// The number of errors of each size below 1,024, then of each power of two.
    counts: Vec<u32>,
}

/// Errors below this size are counted exactly.
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

    /// Returns the percentile `percent` of the errors.
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

/// Evaluates a model at every stored image, at both ends of all images, and at both edges of up to
/// [`GAPS`] gaps. Inside a gap the blocks confirm what a model says.
///
/// # Errors
/// A description of the first wrong window.
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
                "the model returns {lo}..={hi} for image {image:#x} of rank {rank} of {count}"
            ));
        }
        errors.add((rank - lo).max(hi - rank));
        Ok(())
    };
    let mut rank = 0;
    let mut gap_start = Some(0);
    let stride = images.len().div_ceil(GAPS).max(1);
    for (gap, tied) in images.chunk_by(|a, b| a == b).enumerate() {
        let image = tied[0];
        let is_drawn = gap.is_multiple_of(stride);
        if let Some(start) = gap_start.filter(|start| is_drawn && *start < image) {
            ask(start, rank)?;
            ask(image - 1, rank)?;
        }
        ask(image, rank)?;
        rank += tied.len() as u32;
        gap_start = image.checked_add(1);
    }
    if let Some(start) = gap_start {
        ask(start, count)?;
        ask(u64::MAX, count)?;
    }
    Ok(errors)
}

/// The cost of look-ups, measured at some stored keys.
struct Measured {
    /// The 99th percentile of the blocks in a window.
    window_blocks: u32,
    /// The mean number of blocks examined, in thousandths.
    probes_milli: u64,
    /// The mean number of steps of the model.
    steps: u32,
}

/// Measures the cost of look-ups at a [`SAMPLE`] of the stored keys.
fn measure(locator: &Locator, images: &[u64], work: &mut CpuWork) -> Measured {
    let sample = (images.len() / SAMPLE_SHARE).clamp(*SAMPLE.start(), *SAMPLE.end());
    let stride = images.len().div_ceil(sample).max(1);
    let mut widths = Vec::with_capacity(sample);
    let mut probes = 0;
    let mut steps = 0;
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
    Measured {
        window_blocks: u32::try_from(width).unwrap_or(u32::MAX),
        probes_milli: 1000 * probes / asked,
        steps,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A model that returns the true rank with some slack, and is wrong at one image.
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
    fn a_model_is_evaluated_at_every_key_and_at_gaps_and_its_error_is_measured() {
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
            "the inside of a gap is not evaluated"
        );
    }

    #[test]
    fn of_many_gaps_some_are_evaluated_and_every_key() {
        let images: Vec<u64> = (0..10_000).map(|i| 10 * i + 5).collect();
        let is_refused = |wrong_at| {
            let scripted = Scripted {
                images: images.clone(),
                slack: 1,
                wrong_at: Some(wrong_at),
            };
            check(&scripted, &images, &mut CpuWork::default()).is_err()
        };
        assert!(images.iter().step_by(97).all(|image| is_refused(*image)));
        assert!(is_refused(0) && is_refused(u64::MAX));
        let found = images.iter().filter(|image| is_refused(*image + 1)).count();
        assert!((GAPS - 8..=GAPS + 1).contains(&found), "{found} gaps");
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
        assert_eq!(errors.quantile(99), 99);
        assert_eq!(errors.quantile(50), 50);
        assert_eq!(errors.max, 99);
        assert_eq!(errors.mean_milli(), 49_500);
        (0..100).for_each(|_| errors.add(5_000));
        assert_eq!(
            (errors.quantile(99), errors.quantile(40)),
            (5_000, 80),
            "the power of two above, but not the maximum"
        );
        errors.add(u32::MAX);
        assert_eq!(errors.quantile(99), 8_192);
        assert_eq!(errors.quantile(100), u32::MAX);
        assert_eq!(errors.max, u32::MAX);
    }
}
