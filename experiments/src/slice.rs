//! Which trials of a plan a process runs: an index of a job array, and what it stands for.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::plan_file::BriefTrial;

/// The variables that hold the index of a task, each with the first index that its scheduler gives.
///
/// The first is the user's own, and goes before the others.
const VARIABLES: [(&str, usize); 5] = [
    ("AURA_INDEX", 0),
    ("SLURM_ARRAY_TASK_ID", 0),
    ("HQ_TASK_ID", 0),
    ("JOB_COMPLETION_INDEX", 0),
    ("PARALLEL_SEQ", 1),
];

/// Why there is no slice.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SliceError {
    /// No variable has an index.
    #[error("none of {} is set", names())]
    NoVariable,
    /// A variable holds no index.
    #[error("{name} is {value:?}, which is no index from {first} on")]
    NoIndex {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// The first index.
        first: usize,
    },
    /// Two schedulers give other indexes.
    #[error("{} and {} give different indexes: set AURA_INDEX", .0, .1)]
    Several(&'static str, &'static str),
    /// The indexes are beyond the plan.
    #[error("index {index} is beyond the plan: its {trials} trials have the indexes 0 to {last}")]
    Beyond {
        /// The index.
        index: usize,
        /// The trials of the plan.
        trials: usize,
        /// The last index.
        last: usize,
    },
    /// Trials that are compared side by side would run apart.
    #[error(
        "the slice {}..{} holds some trials of seed {seed} and not the others: real trials are \
         compared only if they ran side by side", .range.start, .range.end
    )]
    CutsABlock {
        /// The trials of the slice.
        range: Range<usize>,
        /// A seed that it cuts.
        seed: u64,
    },
}

fn names() -> String {
    VARIABLES.map(|(name, _)| name).join(", ")
}

/// Reads indexes: `3`, or `0..20`, which is 0 to 19.
///
/// # Errors
/// What is wrong, in words.
pub fn parse(text: &str) -> Result<Range<usize>, String> {
    let whole = |text: &str| text.parse::<usize>().ok();
    let range = match text.split_once("..") {
        None => whole(text).and_then(|index| Some(index..index.checked_add(1)?)),
        Some((from, to)) => whole(from).zip(whole(to)).map(|(from, to)| from..to),
    };
    range
        .filter(|range| !range.is_empty())
        .ok_or_else(|| format!("{text:?} is neither an index nor a range such as 0..20"))
}

/// Finds the index of this task in the environment, which `variable` reads.
///
/// # Errors
/// [`SliceError`] if there is no index, or more than one.
pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<usize, SliceError> {
    let mut found: Option<(&'static str, usize)> = None;
    for (name, first) in VARIABLES {
        let Some(value) = variable(name).filter(|value| !value.is_empty()) else {
            continue;
        };
        let index = value.parse::<usize>().ok();
        let Some(index) = index.and_then(|index| index.checked_sub(first)) else {
            return Err(SliceError::NoIndex { name, value, first });
        };
        if name == VARIABLES[0].0 {
            return Ok(index);
        }
        match found {
            Some((other, before)) if before != index => {
                return Err(SliceError::Several(other, name));
            }
            _ => found = Some((name, index)),
        }
    }
    found.map(|(_, index)| index).ok_or(SliceError::NoVariable)
}

/// The job of a scheduler that this process belongs to, such as `slurm 17_3`; empty if none.
pub fn job(variable: impl Fn(&str) -> Option<String>) -> String {
    let pairs = [
        ("slurm", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"),
        ("hyperqueue", "HQ_JOB_ID", "HQ_TASK_ID"),
    ];
    for (scheduler, job, task) in pairs {
        if let (Some(job), Some(task)) = (variable(job), variable(task)) {
            return format!("{scheduler} {job}_{task}");
        }
    }
    let job = variable("SLURM_JOB_ID").map(|job| format!("slurm {job}"));
    job.unwrap_or_default()
}

/// How many slices of `size` trials a plan has.
pub fn count(trials: usize, size: usize) -> usize {
    trials.div_ceil(size.max(1))
}

/// The trials of the slices in `indexes`, `size` trials each; the last one may have fewer.
///
/// # Errors
/// [`SliceError::Beyond`] if an index is not in the plan.
pub fn trials(
    indexes: &Range<usize>,
    size: usize,
    trials: usize,
) -> Result<Range<usize>, SliceError> {
    let slices = count(trials, size);
    if indexes.end > slices {
        return Err(SliceError::Beyond {
            index: indexes.start.max(slices),
            trials,
            last: slices.saturating_sub(1),
        });
    }
    let start = indexes.start.saturating_mul(size);
    Ok(start..indexes.end.saturating_mul(size).min(trials))
}

/// Checks that every seed of a slice is in it with all its trials, which is what the real world
/// demands: its trials are compared only if they ran side by side.
///
/// # Errors
/// [`SliceError::CutsABlock`] names a seed that is not.
pub fn check_blocks(plan: &[BriefTrial], range: &Range<usize>) -> Result<(), SliceError> {
    let inside: BTreeSet<u64> = plan[range.clone()].iter().map(|it| it.seed).collect();
    let outside = plan[..range.start].iter().chain(&plan[range.end..]);
    let cut = outside.map(|it| it.seed).find(|seed| inside.contains(seed));
    match cut {
        None => Ok(()),
        Some(seed) => Err(SliceError::CutsABlock {
            range: range.clone(),
            seed,
        }),
    }
}

/// The trials of each seed, if all seeds have as many: the smallest slice of real trials.
pub fn block(plan: &[BriefTrial]) -> Option<usize> {
    let mut blocks = plan.chunk_by(|a, b| a.seed == b.seed).map(<[_]>::len);
    let first = blocks.next()?;
    blocks.all(|block| block == first).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::point::Point;

    #[test]
    fn indexes_are_one_or_a_range_without_its_end() {
        assert_eq!(parse("3"), Ok(3..4));
        assert_eq!(parse("0..20"), Ok(0..20));
        for bad in ["", "x", "-1", "4..4", "5..4", "1..", "..2", "1-2"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_environment_names_one_task() {
        let index = |set: &[(&str, &str)]| {
            from_environment(|name| {
                let found = set.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(index(&[("SLURM_ARRAY_TASK_ID", "7")]), Ok(7));
        assert_eq!(index(&[("HQ_TASK_ID", "0")]), Ok(0));
        assert_eq!(
            index(&[("PARALLEL_SEQ", "1")]),
            Ok(0),
            "GNU parallel counts from 1"
        );
        assert_eq!(
            index(&[
                ("SLURM_ARRAY_TASK_ID", "7"),
                ("PARALLEL_SEQ", "1"),
                ("AURA_INDEX", "2")
            ]),
            Ok(2)
        );
        assert_eq!(
            index(&[("SLURM_ARRAY_TASK_ID", "7"), ("PARALLEL_SEQ", "1")]),
            Err(SliceError::Several("SLURM_ARRAY_TASK_ID", "PARALLEL_SEQ"))
        );
        assert_eq!(
            index(&[("JOB_COMPLETION_INDEX", "")]),
            Err(SliceError::NoVariable)
        );
        for (name, value) in [("PARALLEL_SEQ", "0"), ("HQ_TASK_ID", "-1")] {
            let refused = index(&[(name, value)]);
            assert!(
                matches!(refused, Err(SliceError::NoIndex { .. })),
                "{refused:?}"
            );
        }
    }

    #[test]
    fn an_array_of_slices_covers_the_plan_and_nothing_else() {
        assert_eq!(trials(&(3..4), 1, 40), Ok(3..4));
        assert_eq!(trials(&(0..20), 1, 40), Ok(0..20));
        assert_eq!(
            trials(&(13..14), 3, 40),
            Ok(39..40),
            "the last slice is shorter"
        );
        assert_eq!(trials(&(0..14), 3, 40), Ok(0..40));
        let beyond = |index, trials, last| {
            Err(SliceError::Beyond {
                index,
                trials,
                last,
            })
        };
        assert_eq!(trials(&(40..41), 1, 40), beyond(40, 40, 39));
        assert_eq!(trials(&(10..15), 3, 40), beyond(14, 40, 13));
    }

    #[test]
    fn a_slice_of_real_trials_holds_whole_seeds() {
        let trial = |seed| BriefTrial {
            id: String::new(),
            variant: "a".to_owned(),
            point: Point::new(),
            seed,
        };
        let plan: Vec<BriefTrial> = [1, 1, 2, 2, 3, 3].map(trial).to_vec();
        assert_eq!(block(&plan), Some(2));
        assert_eq!(block(&plan[1..]), None);
        assert_eq!(check_blocks(&plan, &(2..6)), Ok(()));
        let cut = check_blocks(&plan, &(1..4));
        assert_eq!(
            cut,
            Err(SliceError::CutsABlock {
                range: 1..4,
                seed: 1
            })
        );
    }
}
