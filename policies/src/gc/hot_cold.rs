//! Hot-cold: files that users wrote and files of survivors are judged separately, and files whose
//! values are dying fast are left alone.
//!
//! The *rate* of a file is how many of its bytes die for each byte written to the log, smoothed
//! over some file sizes of writing. Its *pace* compares that with the log: 1 is the rate of a file
//! of its size that is wholly live and dies like the mean of the log.
//!
//! A file that users wrote is hot. It is collected from `garbage` on, unless it is dying: its live
//! bytes die more than `dying` times as fast as the log's. A file of survivors is cold, and is
//! collected from `cold_garbage` on. While the log's garbage is above its high threshold,
//! `urgent_garbage` is enough for either kind, and dying files are collected too.
//!
//! A file whose collection becomes cheaper fast gains by waiting. A byte of freed space costs live
//! bytes / garbage, and that falls by pace / (garbage share)^2 for each byte written. So files are
//! collected in descending order of (garbage share)^2 / pace. The files of one job are of one kind:
//! what was copied before stays apart from what was not.
//!
//! Source: after HashKV (Chan et al., ATC 2018), which keeps values not overwritten since their
//! last collection in a log of their own; after DiffKV (Li et al., ATC 2021), where a flush goes to
//! a hot log and a collection copies to a cold one; the order after the declining cost of Lomet and
//! Luo, "Efficiently Reclaiming Space in a Log Structured Store", ICDE 2021. It reproduces none of
//! them.
//! State: the age and garbage of each file when it was last measured, and its smoothed rate.
//! Cost: O(files log files) a call.
//! Invariants: a job never mixes hot and cold files; a dying file is a victim only if it is urgent.
//! Weak where: the hot set moves faster than files fill, so that past paces predict nothing;
//! garbage is booked late and in bulk; overwrites are uniform and space is plenty, since survivors
//! are then no colder and are copied too early.

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
    /// The least share of garbage at which a file that users wrote is collected (0.01 to 1).
    garbage: f64,
    /// The least share of garbage at which a file of survivors is collected (0.01 to 1).
    cold_garbage: f64,
    /// The least share of garbage of either kind while the log's garbage is above its high
    /// threshold (0.01 to 1).
    urgent_garbage: f64,
    /// The pace above which a file that users wrote is left alone: how many times as fast as the
    /// log's its live bytes die (1 to 1e9).
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

/// A file when it was last measured.
#[derive(Clone, Copy)]
struct Past {
    age_bytes: u64,
    garbage_bytes: u64,
    /// Bytes that died for each byte written, smoothed over measurements.
    rate: f64,
}

impl Past {
    /// A file that is seen for the first time.
    fn first(file: &ValueFileFacts) -> Self {
        Self {
            age_bytes: file.age_bytes,
            garbage_bytes: file.garbage_bytes,
            rate: 0.0,
        }
    }

    /// The file, measured again if a file size was written since: rates are means over that much.
    fn again(self, file: &ValueFileFacts, file_bytes: u64) -> Self {
        let written = file.age_bytes.saturating_sub(self.age_bytes);
        if written < file_bytes.max(1) {
            return self;
        }
        let died = file.garbage_bytes.saturating_sub(self.garbage_bytes);
        Self {
            rate: (self.rate + died as f64 / written as f64) / 2.0,
            ..Self::first(file)
        }
    }
}

/// Smaller paces count as this one in the order of files: half the mean of the log.
const PACE_MIN: f64 = 0.5;

struct HotCold {
    params: Params,
    past: BTreeMap<u64, Past>,
}

impl HotCold {
    /// Measures the files of `log`, and forgets those that are gone.
    fn look(&mut self, log: &ValueLogFacts) {
        let mut seen = BTreeMap::new();
        for file in &log.files {
            let past = match self.past.get(&file.id) {
                Some(past) => past.again(file, log.file_bytes),
                None => Past::first(file),
            };
            seen.insert(file.id, past);
        }
        self.past = seen;
    }

    fn rate(&self, file: &ValueFileFacts) -> f64 {
        self.past.get(&file.id).map_or(0.0, |past| past.rate)
    }

    /// Bytes of the log that die for each byte written, for each byte that is live.
    fn mean_rate(&self, log: &ValueLogFacts) -> f64 {
        let live: u64 = log.files.iter().map(ValueFileFacts::live_bytes).sum();
        let rates: f64 = log.files.iter().map(|file| self.rate(file)).sum();
        rates / live.max(1) as f64
    }

    /// The least share of garbage at which a file is collected.
    fn least_share(&self, file: &ValueFileFacts, urgent: bool) -> f64 {
        let usual = if is_hot(file) {
            self.params.garbage
        } else {
            self.params.cold_garbage
        };
        if urgent {
            self.params.urgent_garbage.min(usual)
        } else {
            usual
        }
    }

    /// Whether a file of this pace is better left alone: it is hot, and its live bytes die fast.
    fn is_dying(&self, file: &ValueFileFacts, pace: f64) -> bool {
        is_hot(file) && pace > self.params.dying * (1.0 - file.garbage_share())
    }
}

fn is_hot(file: &ValueFileFacts) -> bool {
    file.collections == 0
}

impl GcPolicy for HotCold {
    fn victims(&mut self, log: &ValueLogFacts) -> Vec<u64> {
        self.look(log);
        let mean = self.mean_rate(log);
        let pace = |file: &ValueFileFacts| self.rate(file) / (mean * file.bytes as f64);
        let worth_it = |file: &&ValueFileFacts| {
            file.garbage_bytes > 0
                && file.garbage_share() >= self.least_share(file, log.urgent)
                && (log.urgent || !self.is_dying(file, pace(file)))
        };
        let files = log.files.iter().filter(worth_it).copied().collect();
        // A file in which nothing has died lately is not infinitely better than one that is dying
        // slowly. If nothing dies at all, the pace is NaN, and `max` returns the other number.
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

    /// Four files after `written` bytes. File 2 has less than half of the live bytes, and most of
    /// what dies is in it.
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
