//! What results there are in a folder of results: a line for each run, without reading its trials.
//!
//! The answer of the last comparison is kept in the run's folder (`answer.json`), so that a listing
//! reads a few files of each run, however many trials it has.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::attempts::Attempt;
use crate::code::short_hash;
use crate::compare::{self, Comparison, Context};
use crate::files::{self, FileError};
use crate::folders::RunFolder;
use crate::formats::json;
use crate::plan::ExperimentRecord;
use crate::plan_file::PlanFile;
use crate::record::Manifest;

/// What a comparison showed: `answer.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The answer in words, a line or two a metric; empty if there was nothing to compare.
    pub answer: String,
    /// How many comparisons of primary metrics have each verdict.
    pub verdicts: BTreeMap<String, usize>,
    /// The hash of the ids of the plan's trials: another plan has no answer yet.
    pub plan: String,
    /// How many trials had a result.
    pub trials: usize,
}

/// The hash of a plan's ids.
pub fn plan_hash<'a>(ids: impl Iterator<Item = &'a str>) -> String {
    let mut ids: Vec<&str> = ids.collect();
    ids.sort_unstable();
    short_hash(ids.join(" ").as_bytes())
}

impl Answer {
    /// The answer of a comparison of `trials` trials of the plan with this hash; without one, that
    /// there was none.
    pub fn of(
        comparison: Option<&Comparison>,
        context: Context,
        plan: String,
        trials: usize,
    ) -> Self {
        let mut verdicts = BTreeMap::new();
        for row in comparison.iter().flat_map(|it| &it.rows) {
            if row.primary {
                *verdicts.entry(row.verdict.name().to_owned()).or_default() += 1;
            }
        }
        Self {
            answer: comparison.map_or_else(String::new, |it| compare::answer(it, context)),
            verdicts,
            plan,
            trials,
        }
    }

    /// Keeps the answer in a run's folder.
    ///
    /// # Errors
    /// [`FileError`] if it cannot be written.
    pub fn save(&self, folder: &RunFolder) -> Result<(), FileError> {
        files::replace(&folder.answer(), json(self).as_bytes())
    }

    fn read(folder: &RunFolder) -> Option<Self> {
        serde_json::from_str(&files::read_to_string(&folder.answer()).ok()?).ok()
    }

    /// The first sentence, or the counts of verdicts if it is long.
    fn in_short(&self) -> String {
        let first = self.answer.lines().next().unwrap_or_default();
        let first = first
            .split_inclusive(". ")
            .next()
            .unwrap_or_default()
            .trim();
        if !first.is_empty() && first.chars().count() <= SHORT {
            return first.to_owned();
        }
        let counts = self.verdicts.iter();
        let counts: Vec<String> = counts
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        counts.join(", ")
    }
}

/// The most letters of an answer in a listing.
const SHORT: usize = 120;

/// One run of a folder of results.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its name below the results.
    pub name: String,
    /// What was asked.
    pub question: String,
    /// What the last comparison showed, in short; `None` if there was none.
    pub verdict: Option<String>,
    /// What it showed in full, a line or two a metric; empty if there was none.
    pub answer: String,
    /// Trials of the plan that have a result.
    pub done: usize,
    /// Trials of the plan.
    pub planned: usize,
    /// The seeds of its plan.
    pub seeds: Vec<u64>,
    /// The digest of the program that planned it.
    pub code: String,
    /// The commit of the program that ran its first trial; empty if it is not known.
    pub commit: String,
    /// Where its first trial ran: `simulated, nvme`, or `real`; empty if it is not known.
    pub world: String,
    /// The machine of its first trial: host and processor; empty if it is not known.
    pub machine: String,
    /// When its first trial began, in seconds since 1970; `None` if it is not known.
    pub began: Option<u64>,
    /// When it last changed, in seconds since 1970.
    pub changed: Option<u64>,
    /// Whether it has a report.
    pub has_report: bool,
    /// Why it cannot be read in full; empty if it can.
    pub damage: String,
}

/// Lists the runs in a folder of results, the last that changed first.
///
/// It reads the plan, the answer and one trial's attempt and manifest of each run, and the names of
/// its trials: a folder that has its trial's name is taken for finished.
///
/// # Errors
/// [`FileError`] if the folder cannot be read.
pub fn list(results: &Path) -> Result<Vec<Run>, FileError> {
    let mut runs = Vec::new();
    for name in files::names(results)? {
        let folder = RunFolder::new(results.join(&name));
        if folder.holds_a_run() {
            runs.push(Run::read(&folder, name));
        }
    }
    runs.sort_by(|a, b| b.changed.cmp(&a.changed).then_with(|| a.name.cmp(&b.name)));
    Ok(runs)
}

impl Run {
    /// Reads what a listing says of a run.
    pub fn read(folder: &RunFolder, name: String) -> Self {
        let mut run = Self::unknown(folder, name);
        run.damage = run.fill_in(folder).err().unwrap_or_default();
        run
    }

    /// A run of which no file has been read.
    fn unknown(folder: &RunFolder, name: String) -> Self {
        let changed = [folder.answer(), folder.trials(), folder.experiment()];
        let changed = changed.iter().filter_map(|path| files::changed_at(path));
        Self {
            name,
            question: String::new(),
            verdict: None,
            answer: String::new(),
            done: 0,
            planned: 0,
            seeds: Vec::new(),
            code: String::new(),
            commit: String::new(),
            world: String::new(),
            machine: String::new(),
            began: None,
            changed: changed.max(),
            has_report: folder.report().is_file(),
            damage: String::new(),
        }
    }

    /// Fills in what the files of a run say, up to the first that cannot be read.
    fn fill_in(&mut self, folder: &RunFolder) -> Result<(), String> {
        let in_words = |error: &dyn std::error::Error| error.to_string();
        let experiment = ExperimentRecord::read(folder).map_err(|it| in_words(&it))?;
        self.question = experiment.question;
        self.seeds = experiment.seeds;
        self.code = experiment.code;
        let plan = PlanFile::open(&folder.plan()).map_err(|it| in_words(&it))?;
        let names = files::names(&folder.trials()).map_err(|it| in_words(&it))?;
        let ids = plan.ids().map_err(|it| in_words(&it))?;
        self.planned = ids.len();
        let hash = plan_hash(ids.iter().copied());
        let answer = Answer::read(folder).filter(|answer| answer.plan == hash);
        self.verdict = answer.as_ref().map(Answer::in_short);
        let is_done = |id: &&&str| names.binary_search_by(|name| name.as_str().cmp(id)).is_ok();
        let mut done = ids.iter().filter(is_done);
        let first = done.next();
        self.done = usize::from(first.is_some()) + done.count();
        if let (Some(verdict), Some(answer)) = (&mut self.verdict, &answer)
            && answer.trials < self.done
        {
            *verdict += &format!(" (of {} trials)", answer.trials);
        }
        self.answer = answer.map(|answer| answer.answer).unwrap_or_default();
        if let Some(first) = first {
            self.fill_in_first(folder, first);
        }
        Ok(())
    }

    /// Fills in what is known of the first trial: its program, world, machine and time.
    fn fill_in_first(&mut self, folder: &RunFolder, id: &str) {
        if let Some(Attempt {
            host, cpu, started, ..
        }) = Attempt::read(folder, id)
        {
            self.began = Some(started / 1000);
            self.machine = if cpu.is_empty() {
                host
            } else {
                format!("{host} ({cpu})")
            };
        }
        let manifest = files::read_to_string(&folder.trial(id).manifest()).ok();
        let manifest = manifest.and_then(|text| serde_json::from_str::<Manifest>(&text).ok());
        if let Some(manifest) = manifest {
            self.world = manifest.world.name().to_owned();
            if !manifest.device.is_empty() {
                self.world += &format!(", {}", manifest.device);
            }
            self.commit = manifest.commit;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_in_short_is_its_first_sentence_or_counts() {
        let answer = |text: &str| Answer {
            answer: text.to_owned(),
            verdicts: BTreeMap::from([("better".to_owned(), 2), ("worse".to_owned(), 1)]),
            plan: String::new(),
            trials: 4,
        };
        let short = answer("On x, b is better than a by 1.5 %. More.\nAnother line.").in_short();
        assert_eq!(short, "On x, b is better than a by 1.5 %.");
        assert_eq!(answer(&"x".repeat(121)).in_short(), "2 better, 1 worse");
        assert_eq!(answer("").in_short(), "2 better, 1 worse");
    }

    #[test]
    fn runs_are_listed_with_what_is_known_of_them() {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        assert!(list(temporary.path()).expect("readable").is_empty());
        let damaged = RunFolder::new(temporary.path().join("damaged"));
        files::create_folder(damaged.path()).expect("writable");
        files::write(&damaged.experiment(), b"{}").expect("writable");
        files::create_folder(&temporary.path().join("something else")).expect("writable");
        let runs = list(temporary.path()).expect("readable");
        assert_eq!(runs.len(), 1);
        assert_eq!((runs[0].name.as_str(), runs[0].planned), ("damaged", 0));
        assert!(
            runs[0].damage.contains("experiment.json"),
            "{}",
            runs[0].damage
        );
    }
}
