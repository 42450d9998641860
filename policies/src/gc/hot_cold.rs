//! Hot-cold: what users wrote and what was copied before are judged apart, and files that are dying are left to die.
//!
//! Source: after HashKV (Chan et al., ATC 2018), which takes values not overwritten since their last collection for cold
//! and keeps them in a log of their own, and DiffKV (Li et al., ATC 2021), where a flush goes to a hot log and what a
//! collection copies to a cold one; the order is after the declining cost of Lomet and Luo, "Efficiently Reclaiming Space in
//! a Log Structured Store", ICDE 2021. None is reproduced; this is what is done. The *pace* of a file is how many of its
//! bytes become garbage for a byte written, on average over some file sizes of writing, over what a file would have that
//! is live throughout and dies like the mean of the log. A file that users wrote is hot and collected from `garbage` on,
//! unless it is dying: its live bytes become garbage more than `dying` times as fast as the log's. A file of survivors is
//! cold and collected from `cold_garbage` on. While the log's garbage is above its high threshold, `urgent_garbage` is
//! enough for either, and dying files count. In order, files go by garbage share ^ 2 / pace: the cost of a byte gained,
//! live bytes over garbage, declines by pace / share ^ 2 a byte written, and a file whose cost declines fast gains by
//! waiting. The files of one job are of one kind, so that what was copied stays apart from what was not.
//! State: the age and garbage of each file at the last look that counted, and its smoothed rate.
//! Cost: O(files log files) a look.
//! Invariants: never hot and cold files in one job; a dying file only if it is urgent.
//! Weak where: the hot set moves faster than files fill, so that the pace of yesterday says nothing; garbage is booked late
//! and in heaps; or overwrites are uniform and space is plenty: survivors are no colder, and are copied too early.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Build, GcPolicy, ValueFileFacts, ValueLogFacts, filling, ranked};
use crate::PolicySpec;
use crate::entry::{Entry, describe, in_range, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "hot-cold",
    about: "survivors earlier, dying files last (after HashKV, DiffKV; declining cost, ICDE 2021)",
    params: describe::<Params>,
    build: |spec: &PolicySpec| {
        let params: Params = params(spec)?;
        for (name, value) in [
            ("garbage", params.garbage),
            ("cold_garbage", params.cold_garbage),
            ("urgent_garbage", params.urgent_garbage),
        ] {
            in_range(spec, name, value, 0.01..=1.0)?;
        }
        in_range(spec, "dying", params.dying, 1.0..=1e9)?;
        Ok(Box::new(HotCold {
            params,
            past: BTreeMap::new(),
        }))
    },
};

#[derive(Debug, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// The least share of garbage of a file that users wrote and that is collected (0.01 to 1).
    garbage: f64,
    /// The same of a file of survivors (0.01 to 1).
    cold_garbage: f64,
    /// The same of either while the log's garbage is above its high threshold (0.01 to 1).
    urgent_garbage: f64,
    /// How many times as fast as the log's the live bytes of a file die that is left to die (1 to 1e9).
    dying: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            garbage: 0.5,
            cold_garbage: 0.25,
            urgent_garbage: 0.1,
            dying: 2.0,
        }
    }
}

/// A file as it was at the last look that counted.
#[derive(Clone, Copy)]
struct Past {
    age_bytes: u64,
    garbage_bytes: u64,
    /// Bytes that died for each byte written, smoothed over looks.
    rate: f64,
}

/// The least pace that the order of files makes a difference of: half the mean of the log.
const PACE_MIN: f64 = 0.5;

struct HotCold {
    params: Params,
    past: BTreeMap<u64, Past>,
}

impl HotCold {
    /// Looks at the files. A look counts for a file once a file size was written since its last, so that rates are means.
    fn look(&mut self, log: &ValueLogFacts) {
        let past = &self.past;
        let seen = |file: &ValueFileFacts| {
            let new = Past {
                age_bytes: file.age_bytes,
                garbage_bytes: file.garbage_bytes,
                rate: 0.0,
            };
            let Some(past) = past.get(&file.id) else {
                return (file.id, new);
            };
            let written = file.age_bytes.saturating_sub(past.age_bytes);
            if written < log.file_bytes.max(1) {
                return (file.id, *past);
            }
            let died = file.garbage_bytes.saturating_sub(past.garbage_bytes);
            (
                file.id,
                Past {
                    rate: (past.rate + died as f64 / written as f64) / 2.0,
                    ..new
                },
            )
        };
        self.past = log.files.iter().map(seen).collect();
    }

    fn rate(&self, file: &ValueFileFacts) -> f64 {
        self.past.get(&file.id).map_or(0.0, |past| past.rate)
    }
}

fn is_hot(file: &ValueFileFacts) -> bool {
    file.collections == 0
}

impl GcPolicy for HotCold {
    fn victims(&mut self, log: &ValueLogFacts) -> Vec<u64> {
        self.look(log);
        let live: u64 = log.files.iter().map(ValueFileFacts::live_bytes).sum();
        let mean = log.files.iter().map(|file| self.rate(file)).sum::<f64>() / live.max(1) as f64;
        let pace = |file: &ValueFileFacts| self.rate(file) / (mean * file.bytes as f64);
        let worth_it = |file: &&ValueFileFacts| {
            let threshold = if is_hot(file) {
                self.params.garbage
            } else {
                self.params.cold_garbage
            };
            let least = if log.urgent {
                self.params.urgent_garbage.min(threshold)
            } else {
                threshold
            };
            let dying =
                is_hot(file) && pace(file) > self.params.dying * (1.0 - file.garbage_share());
            file.garbage_bytes > 0 && file.garbage_share() >= least && (log.urgent || !dying)
        };
        let files = log.files.iter().filter(worth_it).copied().collect();
        // A file of which nothing has died lately is not infinitely better than one that is dying slowly. Where nothing
        // dies at all, the pace is no number, of which the maximum is the other one.
        let mut files = ranked(files, |file| {
            file.garbage_share().powi(2) / pace(file).max(PACE_MIN)
        });
        if let Some(first) = files.first().map(is_hot) {
            files.retain(|file| is_hot(file) == first);
        }
        filling(&files, log.file_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{file, log};
    use super::*;

    fn policy() -> Box<dyn GcPolicy> {
        (ENTRY.build)(&PolicySpec::named("hot-cold")).unwrap()
    }

    #[test]
    fn cold_files_are_collected_earlier_and_apart() {
        let files = [
            file(1, 30, 0, 1),
            file(2, 45, 0, 0),
            file(3, 55, 0, 0),
            file(4, 70, 0, 3),
            file(5, 40, 0, 2),
        ];
        assert_eq!(
            policy().victims(&log(&files, false)),
            [4, 5],
            "30 + 60 bytes are live, 70 more do not fit"
        );
        assert_eq!(
            policy().victims(&log(&files[..3], false)),
            [3],
            "file 1 is of the other kind"
        );
        assert_eq!(policy().victims(&log(&files[..2], false)), [1]);
        assert_eq!(policy().victims(&log(&files[1..2], false)), [0_u64; 0]);
        assert_eq!(policy().victims(&log(&files[1..2], true)), [2]);
    }

    /// Four files after `written` bytes. File 2 has less than half of the live bytes, and most of what dies is in it.
    fn grown(written: u64, hot: u64) -> Vec<ValueFileFacts> {
        let rest = |id, garbage| file(id, garbage, 1000 + written, 0);
        vec![
            rest(1, 55 + written / 100),
            file(2, hot, 500 + written, 0),
            rest(3, 2),
            rest(4, 2),
        ]
    }

    #[test]
    fn a_dying_file_waits_until_it_slows_down_or_is_urgent() {
        let mut policy = policy();
        let mut look = |written, hot, urgent| policy.victims(&log(&grown(written, hot), urgent));
        assert_eq!(look(0, 10, false), [1]);
        assert_eq!(look(100, 60, false), [1], "60 % garbage, but dying");
        assert_eq!(look(150, 80, false), [1], "a look too soon changes nothing");
        assert_eq!(
            look(150, 80, true),
            [1, 2],
            "56 % that gain nothing by waiting go before 80 % that do"
        );
        let waits = (2..20)
            .take_while(|step| look(step * 100, 80, false) == [1])
            .count();
        assert!(
            (1..10).contains(&waits),
            "what has stopped dying is collected, after {waits} more looks"
        );
    }
}
