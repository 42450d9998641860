//! A plan as one file, to be run on another machine: what was asked, then a trial a line.
//!
//! The lines of the trials are those of `plan.jsonl` in a run's folder. A slice parses the lines of
//! its own trials and no others: ten thousand trials are tens of megabytes.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::files::{self, FileError};
use crate::folders::RunFolder;
use crate::formats::write_lines;
use crate::plan::{ExperimentRecord, Plan, PlanError, PlannedTrial};
use crate::point::Point;
use crate::record::World;

/// What the first line of a plan's file says of its format.
const FORMAT: &str = "aura-plan-1";

/// The first line of a plan's file.
#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    trials: usize,
    experiment: ExperimentRecord,
}

/// A file that is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanFileError {
    /// The operating system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// What was asked is beside the plan in a run's folder, and cannot be read.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A line is not what it should be.
    #[error("{}, line {line}: {source}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line's number, from 1.
        line: usize,
        /// What does not fit.
        source: serde_json::Error,
    },
    /// The file's first line is not that of a plan.
    #[error("{} is no plan: its first line is not that of {FORMAT}", .0.display())]
    NoPlan(PathBuf),
    /// The file was cut, or lines were added.
    #[error("{} holds {found} trials, and its first line says {expected}", path.display())]
    Cut {
        /// The file.
        path: PathBuf,
        /// The trials that its first line promises.
        expected: usize,
        /// The trials that it holds.
        found: usize,
    },
}

/// A trial of a plan without its settings.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct BriefTrial {
    /// The trial's id.
    pub id: String,
    /// The variant's name.
    pub variant: String,
    /// The sweep point.
    pub point: Point,
    /// The seed.
    pub seed: u64,
}

impl BriefTrial {
    /// The trial's name in messages.
    pub fn label(&self) -> String {
        crate::plan::label(&self.variant, &self.point, self.seed)
    }
}

/// A plan whose trials are read when they are asked for.
pub struct PlanFile {
    path: PathBuf,
    /// What is asked.
    pub experiment: ExperimentRecord,
    bytes: Vec<u8>,
    /// The places of the trials' lines.
    lines: Vec<Range<usize>>,
    /// The number of the first trial's line, from 1.
    first_line: usize,
}

impl PlanFile {
    /// Writes a plan as one file, in place of an older one.
    ///
    /// # Errors
    /// [`FileError`] if it cannot be written.
    pub fn write(path: &Path, plan: &Plan) -> Result<(), FileError> {
        let header = Header {
            format: FORMAT.to_owned(),
            trials: plan.trials.len(),
            experiment: plan.experiment.clone(),
        };
        files::replace_by(path, |writer| {
            write_lines(writer, [header])?;
            write_lines(writer, &plan.trials)
        })
    }

    /// Opens a plan's file, or the `plan.jsonl` of a run's folder.
    ///
    /// # Errors
    /// [`PlanFileError`] if it cannot be read, or is no plan.
    pub fn open(path: &Path) -> Result<Self, PlanFileError> {
        let bytes = files::read(path)?;
        let mut lines = lines(&bytes);
        let path = path.to_owned();
        let first = lines.first().cloned().unwrap_or_default();
        if bytes[first.clone()].starts_with(b"{\"format\":") {
            let at_line = |source| PlanFileError::Line {
                path: path.clone(),
                line: 1,
                source,
            };
            let header: Header = serde_json::from_slice(&bytes[first]).map_err(at_line)?;
            lines.remove(0);
            if header.format != FORMAT {
                return Err(PlanFileError::NoPlan(path));
            }
            if header.trials != lines.len() {
                return Err(PlanFileError::Cut {
                    path,
                    expected: header.trials,
                    found: lines.len(),
                });
            }
            return Ok(Self {
                path,
                experiment: header.experiment,
                bytes,
                lines,
                first_line: 2,
            });
        }
        let folder = RunFolder::new(path.parent().unwrap_or(Path::new("")));
        if !folder.holds_a_run() || folder.plan() != path {
            return Err(PlanFileError::NoPlan(path));
        }
        Ok(Self {
            experiment: ExperimentRecord::read(&folder)?,
            path,
            bytes,
            lines,
            first_line: 1,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many trials there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether the plan has no trial.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Reads the trials in `range`, which must be within the plan, as a plan of their own.
    ///
    /// # Errors
    /// [`PlanFileError::Line`] if a line is no trial of this version.
    pub fn plan_of(&self, range: Range<usize>) -> Result<Plan, PlanFileError> {
        Ok(Plan {
            experiment: self.experiment.clone(),
            trials: self.each::<PlannedTrial>(range)?,
        })
    }

    /// Whether some of its trials run in the real world. Every seed has all cases, so that the
    /// first one decides.
    ///
    /// # Errors
    /// [`PlanFileError::Line`] if a line is no trial of this version.
    pub fn is_real(&self) -> Result<bool, PlanFileError> {
        let mut first = None;
        for index in 0..self.len() {
            let [trial] = &self.each::<PlannedTrial>(index..index + 1)?[..] else {
                break;
            };
            if *first.get_or_insert(trial.seed) != trial.seed {
                break;
            }
            if trial.runs_in(World::Real) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads all trials without their settings.
    ///
    /// # Errors
    /// [`PlanFileError::Line`] if a line is no trial of this version.
    pub fn brief(&self) -> Result<Vec<BriefTrial>, PlanFileError> {
        self.each(0..self.len())
    }

    /// The ids of all trials, in order, without reading more of the lines than needed.
    ///
    /// # Errors
    /// [`PlanFileError::Line`] if a line is no trial of this version.
    pub fn ids(&self) -> Result<Vec<&str>, PlanFileError> {
        #[derive(Deserialize)]
        struct Id<'a> {
            id: &'a str,
        }
        let mut ids = Vec::with_capacity(self.len());
        for (index, line) in self.lines.iter().enumerate() {
            let line = &self.bytes[line.clone()];
            match id_at_start(line) {
                Some(id) => ids.push(id),
                None => ids.extend(self.each::<Id>(index..index + 1)?.iter().map(|it| it.id)),
            }
        }
        Ok(ids)
    }

    fn each<'a, T: Deserialize<'a>>(
        &'a self,
        range: Range<usize>,
    ) -> Result<Vec<T>, PlanFileError> {
        let mut trials = Vec::with_capacity(range.len());
        for (place, line) in self.lines[range.clone()].iter().enumerate() {
            let trial = serde_json::from_slice(&self.bytes[line.clone()]);
            trials.push(trial.map_err(|source| PlanFileError::Line {
                path: self.path.clone(),
                line: self.first_line + range.start + place,
                source,
            })?);
        }
        Ok(trials)
    }

    /// The bytes of all trials' lines.
    fn trials(&self) -> &[u8] {
        let start = self.lines.first().map_or(0, |line| line.start);
        &self.bytes[start..]
    }

    /// Whether this plan is the one that is frozen in a run's folder.
    pub fn is_frozen_in(&self, folder: &RunFolder) -> bool {
        let asked = |experiment: &ExperimentRecord| ExperimentRecord {
            // What was compared before differs from folder to folder.
            looked_at: Vec::new(),
            ..experiment.clone()
        };
        let is_asked = ExperimentRecord::read(folder)
            .is_ok_and(|frozen| asked(&frozen) == asked(&self.experiment));
        is_asked && files::read(&folder.plan()).is_ok_and(|frozen| frozen == self.trials())
    }
}

/// The id of a trial whose line begins with it, as those that [`Plan::write`] writes do.
fn id_at_start(line: &[u8]) -> Option<&str> {
    let rest = line.strip_prefix(b"{\"id\":\"")?;
    let end = rest.iter().position(|byte| *byte == b'"')?;
    let id = std::str::from_utf8(&rest[..end]).ok()?;
    id.bytes()
        .all(|byte| byte.is_ascii_alphanumeric())
        .then_some(id)
}

/// The places of the lines that are not empty.
fn lines(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut lines = Vec::new();
    let mut start = 0;
    for line in bytes.split(|byte| *byte == b'\n') {
        if !line.is_empty() {
            lines.push(start..start + line.len());
        }
        start += line.len() + 1;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    const CONFIG: &str = r#"
baseline = "lru"
seeds = 3
workload = { preset = "ycsb-c", records = 100, operations = 100 }

[[variant]]
name = "lru"
engine.cache.eviction = "lru"

[[variant]]
name = "sieve"
engine.cache.eviction = "sieve"

[compare]
primary = ["cache.hit_ratio"]
"#;

    fn plan() -> Plan {
        let experiment = config::parse("two.toml".as_ref(), CONFIG.to_owned(), &[]);
        Plan::new(&experiment.expect("a config"), "0123456789abcdef")
    }

    #[test]
    fn a_plan_reads_back_whole_and_in_slices() {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        let path = temporary.path().join("p.jsonl");
        let plan = plan();
        PlanFile::write(&path, &plan).expect("it is writable");
        let file = PlanFile::open(&path).expect("it was just written");
        assert_eq!(file.len(), 6);
        assert_eq!(file.plan_of(0..6).expect("trials"), plan);
        assert_eq!(
            file.plan_of(2..4).expect("trials").trials,
            plan.trials[2..4]
        );
        let ids: Vec<&str> = plan.trials.iter().map(|it| it.id.as_str()).collect();
        assert_eq!(file.ids().expect("trials"), ids);
        let brief = file.brief().expect("trials");
        let labels: Vec<String> = plan.trials.iter().map(PlannedTrial::label).collect();
        assert_eq!(
            brief.iter().map(BriefTrial::label).collect::<Vec<_>>(),
            labels
        );

        let folder = RunFolder::new(temporary.path().join("two"));
        files::create_folder(folder.path()).expect("writable");
        assert!(!file.is_frozen_in(&folder));
        plan.write(&folder).expect("writable");
        assert!(file.is_frozen_in(&folder));
        let frozen = PlanFile::open(&folder.plan()).expect("the folder of a run");
        assert_eq!(frozen.plan_of(0..6).expect("trials"), plan);
    }

    #[test]
    fn what_is_no_plan_is_named_with_its_line() {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        let path = temporary.path().join("p.jsonl");
        PlanFile::write(&path, &plan()).expect("it is writable");
        let text = files::read_to_string(&path).expect("it was written");
        let opened = |text: &str| {
            files::write(&path, text.as_bytes()).expect("writable");
            PlanFile::open(&path).and_then(|file| file.brief().map(drop))
        };
        let without_last: Vec<&str> = text.lines().take(6).collect();
        let cut = opened(&without_last.join("\n"));
        assert!(
            matches!(
                cut,
                Err(PlanFileError::Cut {
                    expected: 6,
                    found: 5,
                    ..
                })
            ),
            "{cut:?}"
        );
        let damaged = opened(&text.replacen("{\"id\":", "{\"idea\":", 2));
        assert!(
            matches!(damaged, Err(PlanFileError::Line { line: 2, .. })),
            "{damaged:?}"
        );
        for text in ["", "{}\n", "name = 1\n"] {
            assert!(
                matches!(opened(text), Err(PlanFileError::NoPlan(_))),
                "{text}"
            );
        }
    }
}
