//! When a run ends before its plan does: more of the same failure, or a disk without room.

use std::collections::BTreeMap;

/// This many failures of one kind end the run, if no more trials have succeeded.
const ALIKE_MAX: usize = 3;

/// Why a run ended before its plan did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The first trials failed, and in one way.
    Alike {
        /// How many did.
        failed: usize,
        /// Why the last of them did.
        why: String,
    },
    /// The disk has no room for results.
    DiskFull {
        /// The system's words.
        why: String,
    },
}

/// Watches how trials end.
#[derive(Default)]
pub(super) struct Watch {
    succeeded: usize,
    /// Failures by kind.
    failed: BTreeMap<String, usize>,
}

impl Watch {
    /// Notes a trial that has a result.
    pub(super) fn succeeded(&mut self) {
        self.succeeded += 1;
    }

    /// Notes why a trial failed; says whether the others need not be tried.
    pub(super) fn failed(&mut self, why: &str) -> Option<Stop> {
        let why = why.to_owned();
        if is_disk_full(&why) {
            return Some(Stop::DiskFull { why });
        }
        let failed = self.failed.entry(kind_of(&why)).or_default();
        *failed += 1;
        let failed = *failed;
        (failed >= ALIKE_MAX && failed >= self.succeeded).then_some(Stop::Alike { failed, why })
    }
}

/// Whether the message is about a disk, or a share of it, that is full. A trial's process hands on
/// nothing but its message.
fn is_disk_full(why: &str) -> bool {
    let words = [
        "No space left on device",
        "no storage space",
        "quota exceeded",
    ];
    words.iter().any(|words| why.contains(words))
}

/// The message without what differs from trial to trial: words with a digit, such as ids.
fn kind_of(why: &str) -> String {
    let words = why.split(|letter: char| !letter.is_alphanumeric());
    let kept = words.filter(|word| !word.contains(|letter: char| letter.is_ascii_digit()));
    kept.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn three_failures_of_a_kind_end_the_run() {
        let mut watch = Watch::default();
        assert_eq!(watch.failed("cannot open /db/0a1b2c: denied"), None);
        assert_eq!(watch.failed("it panicked: index 3 of 2"), None);
        assert_eq!(watch.failed("cannot open /db/9f8e7d: denied"), None);
        let third = "cannot open /db/77aa00: denied";
        let stop = Stop::Alike {
            failed: 3,
            why: third.to_owned(),
        };
        assert_eq!(watch.failed(third), Some(stop));
    }

    #[test]
    fn failures_between_many_results_do_not_end_it() {
        let mut watch = Watch::default();
        for _ in 0..10 {
            (0..3).for_each(|_| watch.succeeded());
            assert_eq!(watch.failed("it panicked"), None);
        }
    }

    #[test]
    fn a_full_disk_ends_it_at_once() {
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
            let why = format!("cannot write x: {}", io::Error::from(kind));
            let mut watch = Watch::default();
            (0..9).for_each(|_| watch.succeeded());
            assert_eq!(watch.failed(&why), Some(Stop::DiskFull { why }));
        }
        let system = io::Error::from_raw_os_error(28).to_string();
        assert!(is_disk_full(&system), "{system}");
    }
}
