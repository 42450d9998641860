//! Garbage collection of the value log: which value file is collected next?
//!
//! An overwritten or deleted value stays in its file, as garbage, until the file is collected: its
//! live values are copied to a new file, and the old file is deleted. The mechanism books the
//! garbage of each file and asks for victims. The files of one job are collected together, into one
//! output file.
//!
//! The more of a file is live, the dearer the space that its collection frees. If a share u of all
//! victims is live, the value log writes 1 / (1 - u) bytes for each byte that users write.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::entry::in_range;
use crate::family::{Family, Registered};
use crate::{PolicyError, PolicySpec};

mod age_cutoff;
mod cost_benefit;
mod greedy;
mod hot_cold;
mod never;

/// What is known of a sealed value file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ValueFileFacts {
    /// Its number; a younger file has a larger one.
    pub id: u64,
    /// Bytes of frames when it was sealed, or last collected.
    pub bytes: u64,
    /// The part of `bytes` that no pointer refers to.
    pub garbage_bytes: u64,
    /// Bytes appended to the value log after this file's data: its age, in bytes of writing.
    pub age_bytes: u64,
    /// How often its survivors were copied already; 0 for a file that users wrote.
    pub collections: u32,
}

impl ValueFileFacts {
    /// Bytes that pointers refer to.
    pub fn live_bytes(&self) -> u64 {
        self.bytes.saturating_sub(self.garbage_bytes)
    }

    /// The share of its bytes that is garbage (0 to 1).
    pub fn garbage_share(&self) -> f64 {
        if self.bytes == 0 {
            0.0
        } else {
            self.garbage_bytes.min(self.bytes) as f64 / self.bytes as f64
        }
    }
}

/// The value log at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValueLogFacts {
    /// The files that are sealed and not being collected, in the order of their ids.
    pub files: Vec<ValueFileFacts>,
    /// The size at which a file is sealed.
    pub file_bytes: u64,
    /// Whether the log's garbage is above its high threshold.
    pub urgent: bool,
}

/// Chooses the value files to collect.
pub trait GcPolicy: Send {
    /// The ids of the files to collect together in one job; empty if no file is worth it. Their
    /// live bytes should fit in one output file.
    fn victims(&mut self, log: &ValueLogFacts) -> Vec<u64>;
}

/// How a victim policy is built.
pub type Build = fn(spec: &PolicySpec) -> Result<Box<dyn GcPolicy>, PolicyError>;

/// The victim policies.
pub static FAMILY: Family<Build> = Family {
    name: "gc",
    question: "which value file is collected next?",
    default: "greedy",
    built_in: &[
        &age_cutoff::ENTRY,
        &cost_benefit::ENTRY,
        &greedy::ENTRY,
        &hot_cold::ENTRY,
        &never::ENTRY,
    ],
    probe: |build, spec| build(spec).map(drop),
    registered: Registered::new(),
};

/// Builds the policy that `spec` names.
///
/// ```
/// use aura_policies::PolicySpec;
/// use aura_policies::gc::{self, ValueFileFacts, ValueLogFacts};
///
/// let file = |id, garbage_bytes| ValueFileFacts {
///     id,
///     bytes: 100,
///     garbage_bytes,
///     ..ValueFileFacts::default()
/// };
/// let log = ValueLogFacts {
///     files: vec![file(1, 10), file(2, 90), file(3, 60)],
///     file_bytes: 100,
///     urgent: false,
/// };
/// let mut greedy = gc::build(&PolicySpec::named("greedy"))?;
/// assert_eq!(greedy.victims(&log), [2, 3]);
/// # Ok::<(), aura_policies::PolicyError>(())
/// ```
///
/// # Errors
/// [`PolicyError`] for an unknown name or parameter, or a value out of range.
pub fn build(spec: &PolicySpec) -> Result<Box<dyn GcPolicy>, PolicyError> {
    let entry = FAMILY.find(spec)?;
    (entry.build)(spec)
}

/// How much garbage makes a file worth collecting.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Thresholds {
    /// The least share of garbage at which a file is collected (0 to 1).
    garbage: f64,
    /// The least share while the log's garbage is above its high threshold (0 to 1).
    urgent_garbage: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            garbage: 0.5,
            urgent_garbage: 0.1,
        }
    }
}

impl Thresholds {
    fn checked(self, spec: &PolicySpec) -> Result<Self, PolicyError> {
        in_range(spec, "garbage", self.garbage, 0.0..=1.0)?;
        in_range(spec, "urgent_garbage", self.urgent_garbage, 0.0..=1.0)?;
        Ok(self)
    }

    /// The files of `log` with enough garbage; a file without any never has.
    fn worth_it(self, log: &ValueLogFacts) -> Vec<ValueFileFacts> {
        let least = if log.urgent {
            self.urgent_garbage.min(self.garbage)
        } else {
            self.garbage
        };
        let enough =
            |file: &&ValueFileFacts| file.garbage_bytes > 0 && file.garbage_share() >= least;
        log.files.iter().filter(enough).copied().collect()
    }
}

/// The files in descending order of `score`; of equal ones, by share of garbage and then the oldest
/// first.
fn ranked(
    mut files: Vec<ValueFileFacts>,
    score: impl Fn(&ValueFileFacts) -> f64,
) -> Vec<ValueFileFacts> {
    let order = |a: &ValueFileFacts, b: &ValueFileFacts| -> Ordering {
        let score = score(b).total_cmp(&score(a));
        score
            .then(b.garbage_share().total_cmp(&a.garbage_share()))
            .then(a.id.cmp(&b.id))
    };
    files.sort_by(order);
    files
}

/// The first file, and those after it until their live bytes no longer fit in one output file.
fn filling(files: &[ValueFileFacts], file_bytes: u64) -> Vec<u64> {
    let mut ids = Vec::new();
    let mut live_bytes = 0_u64;
    for file in files {
        live_bytes = live_bytes.saturating_add(file.live_bytes());
        if !ids.is_empty() && live_bytes > file_bytes {
            break;
        }
        ids.push(file.id);
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of 100 bytes.
    pub(super) fn file(
        id: u64,
        garbage_bytes: u64,
        age_bytes: u64,
        collections: u32,
    ) -> ValueFileFacts {
        ValueFileFacts {
            id,
            bytes: 100,
            garbage_bytes,
            age_bytes,
            collections,
        }
    }

    pub(super) fn log(files: &[ValueFileFacts], urgent: bool) -> ValueLogFacts {
        ValueLogFacts {
            files: files.to_vec(),
            file_bytes: 100,
            urgent,
        }
    }

    #[test]
    fn a_job_ends_before_the_file_that_does_not_fit() {
        let files = [
            file(1, 60, 0, 0),
            file(2, 40, 0, 0),
            file(3, 0, 0, 0),
            file(4, 100, 0, 0),
        ];
        assert_eq!(filling(&files, 100), [1, 2]);
        assert_eq!(
            filling(&files, 99),
            [1],
            "a smaller file further on is not considered"
        );
        assert_eq!(
            filling(&files, 10),
            [1],
            "the first is taken whatever its size"
        );
        assert_eq!(filling(&[], 100), [0_u64; 0]);
    }

    #[test]
    fn more_garbage_than_bytes_is_all_garbage() {
        let odd = ValueFileFacts {
            garbage_bytes: 300,
            ..file(1, 0, 0, 0)
        };
        assert_eq!((odd.live_bytes(), odd.garbage_share()), (0, 1.0));
        assert!(ValueFileFacts::default().garbage_share() < f64::EPSILON);
    }
}
