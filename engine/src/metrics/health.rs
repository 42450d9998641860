//! Whether an engine is well, judged by rules over windows of its metrics.
//!
//! A rule has a figure, a threshold to enter and one to leave, and a number of windows in a row
//! that either takes, so that a figure that swings about one threshold changes nothing. A window in
//! which too little happened for the figure to mean something changes nothing either. The rules are
//! plain data, and judging is a function of readings: neither needs an engine.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::names::{block_requests, hits, share};
use super::{Reading, Window};

/// A way in which an engine is not well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ailment {
    /// Writers wait for the background.
    Stalls,
    /// Debt grows while users write.
    Debt,
    /// The files are much larger than the largest level and the live values.
    Space,
    /// A point read reads the device many times.
    ReadAmplification,
    /// Filters pass keys that are absent.
    Filters,
    /// Models are trained, and answer few look-ups.
    Models,
    /// Hits in the cache have collapsed, against the windows before.
    HitRatio,
    /// Syncs of the logs are slow.
    Device,
    /// Many bytes of the log are not on the device.
    Unsynced,
    /// Jobs of the background fail.
    Background,
}

/// When an ailment begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthRule {
    /// The ailment.
    pub ailment: Ailment,
    /// The figure from which it may begin.
    pub enter: f64,
    /// The figure from which it may end.
    pub leave: f64,
    /// Windows in a row that begin or end it.
    pub windows: u32,
    /// How much must happen in a window for its figure to mean something: operations, bytes or
    /// look-ups, as the ailment's figure rests on.
    pub least: u64,
}

/// The rules with their thresholds: the ailment, the figure to enter and to leave, the windows in a
/// row, and the least evidence.
const RULES: [(Ailment, f64, f64, u32, u64); 10] = [
    (Ailment::Stalls, 0.2, 0.1, 2, 0),
    (Ailment::Debt, 0.5, 0.1, 3, 16 << 20),
    (Ailment::Space, 3.0, 2.0, 3, 256 << 20),
    (Ailment::ReadAmplification, 6.0, 4.0, 2, 1_000),
    (Ailment::Filters, 0.3, 0.15, 2, 1_000),
    (Ailment::Models, 0.1, 0.5, 2, 1_000),
    (Ailment::HitRatio, 0.5, 0.8, 2, 1_000),
    (Ailment::Device, 0.1, 0.05, 2, 1),
    (
        Ailment::Unsynced,
        (64 << 20) as f64,
        (32 << 20) as f64,
        2,
        0,
    ),
    (Ailment::Background, 1.0, 0.0, 1, 0),
];

impl HealthRule {
    /// Every rule, with its usual thresholds.
    pub fn all() -> Vec<Self> {
        let rules = RULES.iter();
        rules
            .map(|&(ailment, enter, leave, windows, least)| Self {
                ailment,
                enter,
                leave,
                windows,
                least,
            })
            .collect()
    }

    /// Whether `figure` may begin the ailment.
    fn enters(&self, figure: f64) -> bool {
        match self.enter >= self.leave {
            true => figure >= self.enter,
            false => figure <= self.enter,
        }
    }

    /// Whether `figure` may end the ailment.
    fn leaves(&self, figure: f64) -> bool {
        match self.enter >= self.leave {
            true => figure <= self.leave,
            false => figure >= self.leave,
        }
    }
}

impl Ailment {
    /// Every ailment.
    pub const ALL: [Self; 10] = [
        Self::Stalls,
        Self::Debt,
        Self::Space,
        Self::ReadAmplification,
        Self::Filters,
        Self::Models,
        Self::HitRatio,
        Self::Device,
        Self::Unsynced,
        Self::Background,
    ];

    /// Its name, as in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stalls => "stalls",
            Self::Debt => "debt",
            Self::Space => "space",
            Self::ReadAmplification => "read-amplification",
            Self::Filters => "filters",
            Self::Models => "models",
            Self::HitRatio => "hit-ratio",
            Self::Device => "device",
            Self::Unsynced => "unsynced",
            Self::Background => "background",
        }
    }

    /// The figure that the ailment is judged by, with the evidence that it rests on. `usual_hits`
    /// is the hit ratio of the windows before.
    fn figure(self, window: &Window, usual_hits: Option<f64>) -> Option<(f64, u64)> {
        let counts = &window.counts;
        let now = &window.after.metrics;
        let (figure, evidence) = match self {
            Self::Stalls => (share(counts.stall_nanos, window.nanos), window.nanos),
            Self::Debt => {
                let rise = now.debt_bytes as f64 - window.before.metrics.debt_bytes as f64;
                let written = counts.user_write_bytes;
                ((written > 0).then(|| rise / written as f64), written)
            }
            Self::Space => {
                let largest = now.levels.iter().map(|level| level.bytes).max();
                let values = now.value_file_bytes.saturating_sub(now.value_garbage_bytes);
                let stored = now.table_bytes() + now.value_file_bytes;
                (share(stored, largest.unwrap_or(0) + values), stored)
            }
            Self::ReadAmplification => (share(counts.get_device_reads, counts.gets), counts.gets),
            Self::Filters => {
                let wrong = counts.filter_false_positives;
                let asked = wrong + counts.filter_negatives;
                (hits(wrong, counts.filter_negatives), asked)
            }
            Self::Models => {
                let is_trained = now.counts.index_trained_keys > 0;
                let served = share(counts.model_lookups, counts.index_lookups);
                (served.filter(|_| is_trained), counts.index_lookups)
            }
            Self::HitRatio => {
                let ratio = hits(counts.block_hits, counts.block_misses);
                let usual = usual_hits.filter(|usual| *usual > 0.0);
                let of_usual = ratio.zip(usual).map(|(ratio, usual)| ratio / usual);
                (of_usual, block_requests(counts))
            }
            Self::Device => {
                let nanos = share(counts.sync_nanos, counts.wal_syncs);
                (nanos.map(|nanos| nanos / 1e9), counts.wal_syncs)
            }
            Self::Unsynced => {
                let bytes = window.after.unsynced_bytes;
                (bytes.map(|bytes| bytes as f64), bytes.unwrap_or(0))
            }
            Self::Background => (Some(counts.background_errors as f64), 1),
        };
        figure.map(|figure| (figure, evidence))
    }

    /// What is wrong, in words with the figure.
    fn why(self, figure: f64) -> String {
        let percent = figure * 100.0;
        let mib = figure / f64::from(1 << 20);
        match self {
            Self::Stalls => format!("writers waited {percent:.0} % of the time"),
            Self::Debt => format!("debt rose by {figure:.2} bytes for each byte written"),
            Self::Space => {
                format!("files hold {figure:.1} times the largest level and the live values")
            }
            Self::ReadAmplification => format!("a get reads files {figure:.1} times"),
            Self::Filters => format!("filters passed {percent:.0} % of absent keys"),
            Self::Models => {
                format!("models are trained, but answered {percent:.0} % of look-ups")
            }
            Self::HitRatio => {
                format!("the cache's hit ratio is {percent:.0} % of what it was")
            }
            Self::Device => format!("a sync of the logs took {:.0} ms", figure * 1e3),
            Self::Unsynced => format!("{mib:.0} MiB of the log are not on the device"),
            Self::Background => format!("{figure:.0} jobs of the background failed"),
        }
    }

    /// What helps against it.
    fn helps(self) -> &'static str {
        match self {
            Self::Stalls => "raise compaction.jobs or io_limit, or write less",
            Self::Debt => "raise compaction.jobs or io_limit, or choose a lazier layout",
            Self::Space => "compact, lower value_log.gc_high, or choose a leveled layout",
            Self::ReadAmplification => "raise cache.size, lower the runs of the layout",
            Self::Filters => "give table.filter more bits for each key, and compact",
            Self::Models => "choose another table.index, or loosen table.index_gate",
            Self::HitRatio => "raise cache.size, or choose another cache.eviction",
            Self::Device => "look for other users of the device, or sync less often",
            Self::Unsynced => "look at the device, or shorten wal.sync",
            Self::Background => "look at the events for the errors, and at the device",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Symptom {
    /// The kind.
    pub ailment: Ailment,
    /// What is wrong, with the figure of the last window that said so.
    pub why: String,
    /// When it began, in nanoseconds of the engine's clock.
    pub since_nanos: u64,
    /// What helps.
    pub helps: &'static str,
}

/// Whether an engine is well.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Health {
    /// Nothing is known to be wrong.
    #[default]
    Ok,
    /// It works, but not as it should.
    Degraded {
        /// What is wrong, at least one.
        symptoms: Vec<Symptom>,
    },
    /// It takes no writes.
    Failed {
        /// The failure that stopped them.
        why: String,
        /// When it was first seen, in nanoseconds of the engine's clock.
        since_nanos: u64,
    },
}

impl Health {
    /// Its state in one word: `ok`, `degraded` or `failed`.
    pub fn state(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded { .. } => "degraded",
            Self::Failed { .. } => "failed",
        }
    }

    /// What is wrong, in words.
    pub fn why(&self) -> Vec<String> {
        match self {
            Self::Ok => Vec::new(),
            Self::Degraded { symptoms } => symptoms.iter().map(|it| it.why.clone()).collect(),
            Self::Failed { why, .. } => vec![why.clone()],
        }
    }

    /// What is wrong, without the figures: two readings of one state are equal in this.
    fn kinds(&self) -> (&'static str, Vec<Ailment>) {
        let kinds = match self {
            Self::Degraded { symptoms } => symptoms.iter().map(|it| it.ailment).collect(),
            Self::Ok | Self::Failed { .. } => Vec::new(),
        };
        (self.state(), kinds)
    }
}

/// How far an ailment has come.
#[derive(Clone, Debug, Default)]
struct Course {
    /// Windows in a row that would change it.
    in_a_row: u32,
    symptom: Option<Symptom>,
}

/// Judges an engine's health, reading by reading.
#[derive(Clone, Debug)]
pub struct Monitor {
    rules: Vec<HealthRule>,
    window_nanos: u64,
    /// The reading that began the window.
    last: Reading,
    courses: BTreeMap<Ailment, Course>,
    /// The usual hit ratio: a mean in which a window weighs a sixteenth.
    usual_hits: Option<f64>,
    failed_since: Option<u64>,
}

impl Monitor {
    /// Judges by `rules`, over windows of at least `window`, an engine of which `first` is known.
    pub fn new(rules: Vec<HealthRule>, window: Duration, first: Reading) -> Self {
        Self {
            rules,
            window_nanos: u64::try_from(window.as_nanos()).unwrap_or(u64::MAX).max(1),
            last: first,
            courses: BTreeMap::new(),
            usual_hits: None,
            failed_since: None,
        }
    }

    /// The health after one more reading. A window ends with it if it is long enough; otherwise
    /// only a failure is news. O(rules).
    pub fn judge(&mut self, reading: &Reading) -> Health {
        let nanos = reading.at_nanos.saturating_sub(self.last.at_nanos);
        if nanos >= self.window_nanos {
            let window = Window::between(&self.last, reading);
            self.observe(&window);
            self.last = reading.clone();
        }
        let Some(why) = &reading.failure else {
            self.failed_since = None;
            return self.of_courses();
        };
        Health::Failed {
            why: why.clone(),
            since_nanos: *self.failed_since.get_or_insert(reading.at_nanos),
        }
    }

    /// Whether two judgements differ in what is wrong, not only in figures.
    pub(crate) fn is_news(before: &Health, after: &Health) -> bool {
        before.kinds() != after.kinds()
    }

    fn of_courses(&self) -> Health {
        let symptoms = self.courses.values().filter_map(|it| it.symptom.clone());
        let symptoms: Vec<Symptom> = symptoms.collect();
        match symptoms.is_empty() {
            true => Health::Ok,
            false => Health::Degraded { symptoms },
        }
    }

    fn observe(&mut self, window: &Window) {
        for rule in &self.rules {
            let figure = rule.ailment.figure(window, self.usual_hits);
            let Some((figure, evidence)) = figure else {
                continue;
            };
            if evidence < rule.least {
                continue;
            }
            let course = self.courses.entry(rule.ailment).or_default();
            follow(course, rule, figure, window.after.at_nanos);
        }
        self.learn_hits(window);
    }

    /// Notes the hit ratio of a window with enough requests, so that a lasting change becomes
    /// usual.
    fn learn_hits(&mut self, window: &Window) {
        let rule = self.rules.iter().find(|it| it.ailment == Ailment::HitRatio);
        let counts = &window.counts;
        let ratio = hits(counts.block_hits, counts.block_misses);
        let Some((rule, ratio)) = rule.zip(ratio) else {
            return;
        };
        if block_requests(counts) >= rule.least {
            let usual = self.usual_hits.unwrap_or(ratio);
            self.usual_hits = Some(usual + (ratio - usual) / 16.0);
        }
    }
}

/// Takes a course one window further.
fn follow(course: &mut Course, rule: &HealthRule, figure: f64, now: u64) {
    let changes = match &course.symptom {
        None => rule.enters(figure),
        Some(_) => rule.leaves(figure),
    };
    course.in_a_row = if changes { course.in_a_row + 1 } else { 0 };
    let is_due = course.in_a_row >= rule.windows.max(1);
    if is_due {
        course.in_a_row = 0;
    }
    match &mut course.symptom {
        None if is_due => {
            course.symptom = Some(Symptom {
                ailment: rule.ailment,
                why: rule.ailment.why(figure),
                since_nanos: now,
                helps: rule.ailment.helps(),
            });
        }
        Some(_) if is_due => course.symptom = None,
        Some(symptom) if rule.enters(figure) => symptom.why = rule.ailment.why(figure),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// An engine that does in each window what `step` says.
    struct Patient {
        monitor: Monitor,
        reading: Reading,
    }

    impl Patient {
        fn new() -> Self {
            let rules = HealthRule::all();
            Self {
                monitor: Monitor::new(rules, Duration::from_secs(10), Reading::default()),
                reading: Reading::default(),
            }
        }

        fn window(&mut self, step: impl FnOnce(&mut Reading)) -> Health {
            self.reading.at_nanos += 10 * SECOND;
            step(&mut self.reading);
            self.monitor.judge(&self.reading)
        }

        fn stalled(&mut self, share: f64) -> Health {
            let nanos = (share * 10e9) as u64;
            self.window(|it| it.metrics.counts.stall_nanos += nanos)
        }
    }

    fn ailments(health: &Health) -> Vec<Ailment> {
        health.kinds().1
    }

    #[test]
    fn an_ailment_begins_and_ends_after_windows_in_a_row() {
        let mut patient = Patient::new();
        assert_eq!(patient.stalled(0.5), Health::Ok, "one window is not enough");
        assert_eq!(patient.stalled(0.0), Health::Ok);
        assert_eq!(patient.stalled(0.5), Health::Ok);
        let ill = patient.stalled(0.3);
        let Health::Degraded { symptoms } = &ill else {
            panic!("{ill:?}");
        };
        assert_eq!(symptoms[0].since_nanos, 40 * SECOND);
        assert_eq!(symptoms[0].why, "writers waited 30 % of the time");
        // Between the thresholds nothing changes, however long.
        for _ in 0..5 {
            assert_eq!(ailments(&patient.stalled(0.15)), [Ailment::Stalls]);
        }
        assert_eq!(ailments(&patient.stalled(0.05)), [Ailment::Stalls]);
        assert_eq!(ailments(&patient.stalled(0.15)), [Ailment::Stalls]);
        assert_eq!(ailments(&patient.stalled(0.05)), [Ailment::Stalls]);
        assert_eq!(patient.stalled(0.05), Health::Ok);
        for _ in 0..5 {
            assert_eq!(patient.stalled(0.15), Health::Ok);
        }
    }

    #[test]
    fn readings_within_a_window_do_not_count_as_windows() {
        let mut patient = Patient::new();
        for _ in 0..50 {
            patient.reading.at_nanos += SECOND / 10;
            patient.reading.metrics.counts.stall_nanos += SECOND / 10;
            let health = patient.monitor.judge(&patient.reading);
            assert_eq!(health, Health::Ok);
        }
    }

    #[test]
    fn a_window_without_evidence_changes_nothing() {
        let mut patient = Patient::new();
        let mut filters = |asked: u64| {
            patient.window(|it| {
                it.metrics.counts.filter_false_positives += asked;
            })
        };
        filters(2_000);
        filters(10);
        assert_eq!(ailments(&filters(2_000)), [Ailment::Filters]);
        assert_eq!(ailments(&filters(0)), [Ailment::Filters]);
    }

    #[test]
    fn a_collapse_of_hits_is_one_against_the_windows_before_and_becomes_usual() {
        let mut patient = Patient::new();
        let mut read = |hits: u64| {
            patient.window(|it| {
                it.metrics.counts.block_hits += hits * 100;
                it.metrics.counts.block_misses += (100 - hits) * 100;
            })
        };
        for _ in 0..10 {
            assert_eq!(read(90), Health::Ok);
        }
        assert_eq!(read(20), Health::Ok);
        assert_eq!(ailments(&read(20)), [Ailment::HitRatio]);
        let windows = (0..200).take_while(|_| read(20) != Health::Ok).count();
        assert!((10..100).contains(&windows), "{windows}");
    }

    #[test]
    fn a_failure_is_said_at_once_and_hides_the_rest() {
        let mut patient = Patient::new();
        patient.stalled(0.5);
        patient.stalled(0.5);
        patient.reading.at_nanos += 1;
        patient.reading.failure = Some("no space".to_owned());
        let failed = patient.monitor.judge(&patient.reading);
        assert_eq!(failed.state(), "failed");
        assert_eq!(failed.why(), ["no space"]);
        patient.reading.at_nanos += 5;
        assert_eq!(
            patient.monitor.judge(&patient.reading),
            failed,
            "since when"
        );
        patient.reading.failure = None;
        let mended = patient.monitor.judge(&patient.reading);
        assert_eq!(ailments(&mended), [Ailment::Stalls]);
    }

    /// Every rule is met by a window that its threshold describes, and by no idle one.
    #[test]
    fn each_rule_finds_its_ailment_and_no_other() {
        type Cause = fn(&mut Reading);
        let cause: [(Ailment, Cause); 9] = [
            (Ailment::Stalls, |it| {
                it.metrics.counts.stall_nanos += 9 * SECOND
            }),
            (Ailment::Debt, |it| {
                it.metrics.counts.user_write_bytes += 32 << 20;
                it.metrics.debt_bytes += 32 << 20;
            }),
            (Ailment::Space, |it| {
                it.metrics.value_file_bytes = 1 << 30;
                it.metrics.value_garbage_bytes = (1 << 30) - (1 << 20);
            }),
            (Ailment::ReadAmplification, |it| {
                it.metrics.counts.gets += 10_000;
                it.metrics.counts.get_device_reads += 100_000;
            }),
            (Ailment::Filters, |it| {
                it.metrics.counts.filter_false_positives += 10_000
            }),
            (Ailment::Models, |it| {
                it.metrics.counts.index_trained_keys += 1;
                it.metrics.counts.index_lookups += 10_000;
            }),
            (Ailment::Device, |it| {
                it.metrics.counts.wal_syncs += 1;
                it.metrics.counts.sync_nanos += SECOND;
            }),
            (Ailment::Unsynced, |it| it.unsynced_bytes = Some(1 << 30)),
            (Ailment::Background, |it| {
                it.metrics.counts.background_errors += 1
            }),
        ];
        for (ailment, cause) in cause {
            let mut patient = Patient::new();
            assert_eq!(patient.window(|_| {}), Health::Ok);
            for _ in 0..3 {
                patient.window(cause);
            }
            assert_eq!(ailments(&patient.window(cause)), [ailment]);
        }
    }
}
