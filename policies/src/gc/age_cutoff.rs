//! Age cutoff: only the oldest files are collected, the oldest first, once they hold enough garbage
//! together.
//!
//! Source: RocksDB's BlobDB (`blob_garbage_collection_age_cutoff`, 0.25;
//! `blob_garbage_collection_force_threshold`, which is off there). BlobDB moves live values out of
//! old files whenever a compaction meets them. Here a separate job does, when the garbage of the
//! old files together reaches the threshold. Files age by their numbers, so survivors, which get a
//! new file, are young again.
//! State: none.
//! Cost: O(files) a job.
//! Invariants: every victim is old, and no file that stays and has enough garbage is older than a
//! victim.
//! Weak where: the garbage is in young files. It waits until they are old, and cold values are
//! copied again and again.

use serde::{Deserialize, Serialize};

use super::{Build, GcPolicy, ValueFileFacts, ValueLogFacts, filling};
use crate::PolicySpec;
use crate::entry::{Entry, describe, in_range, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "age-cutoff",
    about: "the oldest first, of the oldest share of files (RocksDB's BlobDB)",
    params: describe::<Params>,
    build: |spec: &PolicySpec| {
        let params: Params = params(spec)?;
        in_range(spec, "cutoff", params.cutoff, 0.0..=1.0)?;
        in_range(spec, "force", params.force, 0.0..=1.0)?;
        in_range(spec, "least", params.least, 0.0..=1.0)?;
        Ok(Box::new(AgeCutoff { params }))
    },
};

#[derive(Debug, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// The oldest share of files, which may be collected (0 to 1); at least one file.
    cutoff: f64,
    /// The share of garbage in the old files together at which one is collected (0 to 1).
    force: f64,
    /// The share of garbage below which a file is passed over (0 to 1).
    least: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            cutoff: 0.25,
            force: 0.5,
            least: 0.1,
        }
    }
}

struct AgeCutoff {
    params: Params,
}

impl GcPolicy for AgeCutoff {
    fn victims(&mut self, log: &ValueLogFacts) -> Vec<u64> {
        let old = (log.files.len() as f64 * self.params.cutoff).ceil() as usize;
        let worth_it = |files: &[ValueFileFacts]| -> Vec<ValueFileFacts> {
            let enough = |file: &&ValueFileFacts| {
                file.garbage_bytes > 0 && file.garbage_share() >= self.params.least
            };
            files.iter().filter(enough).copied().collect()
        };
        let eligible = &log.files[..old.max(1).min(log.files.len())];
        let bytes: u64 = eligible.iter().map(|file| file.bytes).sum();
        let garbage: u64 = eligible.iter().map(|file| file.garbage_bytes).sum();
        if !log.urgent && (garbage as f64) < self.params.force * bytes as f64 {
            return Vec::new();
        }
        let mut victims = worth_it(eligible);
        if victims.is_empty() && log.urgent {
            // The garbage is in younger files, and cannot wait.
            victims = worth_it(&log.files);
        }
        filling(&victims, log.file_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{file, log};
    use super::*;

    #[test]
    fn old_files_go_when_they_hold_enough_garbage_together() {
        let mut policy = (ENTRY.build)(&PolicySpec::named("age-cutoff")).unwrap();
        let mut files: Vec<ValueFileFacts> = (1..=8).map(|id| file(id, 90, 0, 0)).collect();
        files[0].garbage_bytes = 20;
        files[1].garbage_bytes = 70;
        assert_eq!(
            policy.victims(&log(&files, false)),
            [0_u64; 0],
            "90 of 200 bytes are less than half"
        );
        files[1].garbage_bytes = 80;
        assert_eq!(policy.victims(&log(&files, false)), [1, 2]);
        files[0].garbage_bytes = 9;
        assert_eq!(
            policy.victims(&log(&files, true)),
            [2],
            "a file with almost no garbage is passed over"
        );
        files[1].garbage_bytes = 9;
        assert_eq!(
            policy.victims(&log(&files, true)),
            [3, 4, 5, 6, 7, 8],
            "younger files, because it is urgent"
        );
        assert_eq!(policy.victims(&log(&files, false)), [0_u64; 0]);
    }
}
