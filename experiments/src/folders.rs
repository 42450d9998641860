//! Where everything of an experiment lies on disk: every file name of a run, said once.
//!
//! ```text
//! results/<experiment>/
//!   experiment.json           the question, frozen before the first trial
//!   plan.jsonl                the trials, frozen before the first one runs
//!   .lock                     held while a process runs trials here; slices share it
//!   .setup.lock               held while a process looks who is at work, and freezes the plan
//!   attempts/<id>.json        when and where a trial was tried last, and what became of it
//!   trials/<id>/              one finished trial, see [`TrialFolder`]
//!   trials/.tmp-<id>/         a trial that is being written, or that a killed run left
//!   databases/                real world: the databases of trials that are running or were kept
//!   metrics.parquet           all metrics of all trials
//!   decisions.parquet         with agents or self-tuners: what they decided, and what followed
//!   summary.json              mean and interval over the seeds
//!   plots/                    figures
//!   answer.json               the answer of the last comparison, for `aura ls`
//!   report.html               everything on one page
//! results/index.html          a page over all of them
//! results/comparisons/        pages of runs side by side
//! ```

use std::path::{Path, PathBuf};

use crate::record::OpClass;

/// The name with which the folders of unfinished trials begin.
const UNFINISHED: &str = ".tmp-";

/// The folder of one experiment's results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder(PathBuf);

impl RunFolder {
    /// The results of an experiment in this folder.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Whether a plan was frozen here.
    pub fn holds_a_run(&self) -> bool {
        self.experiment().is_file()
    }

    /// What was asked.
    pub fn experiment(&self) -> PathBuf {
        self.0.join("experiment.json")
    }

    /// The planned trials.
    pub fn plan(&self) -> PathBuf {
        self.0.join("plan.jsonl")
    }

    /// The lock of the process that runs trials.
    pub fn lock(&self) -> PathBuf {
        self.0.join(".lock")
    }

    /// The lock of a process that looks who is at work here.
    pub fn setup_lock(&self) -> PathBuf {
        self.0.join(".setup.lock")
    }

    /// The lock of the process that runs trials of the real world on one host: they disturb each
    /// other.
    pub fn host_lock(&self, host: &str) -> PathBuf {
        self.0.join(format!(".host-{host}.lock"))
    }

    /// The folder that holds what became of attempts.
    pub fn attempts(&self) -> PathBuf {
        self.0.join("attempts")
    }

    /// When and where a trial was tried last, and what became of it; locked while it is.
    pub fn attempt(&self, id: &str) -> PathBuf {
        self.attempts().join(format!("{id}.json"))
    }

    /// The answer of the last comparison.
    pub fn answer(&self) -> PathBuf {
        self.0.join("answer.json")
    }

    /// The folders of all trials.
    pub fn trials(&self) -> PathBuf {
        self.0.join(TRIALS)
    }

    /// The folder of one finished trial.
    pub fn trial(&self, id: &str) -> TrialFolder {
        TrialFolder(self.trials().join(id))
    }

    /// The folder in which a trial is written before it gets its own name.
    pub fn unfinished_trial(&self, id: &str) -> TrialFolder {
        TrialFolder(self.trials().join(format!("{UNFINISHED}{id}")))
    }

    /// Whether a name in [`trials`](Self::trials) is that of an unfinished trial.
    pub fn is_unfinished(name: &str) -> bool {
        name.starts_with(UNFINISHED)
    }

    /// Names the address of the metrics of a trial under way, while they are served.
    pub fn endpoint(&self) -> PathBuf {
        self.0.join("endpoint")
    }

    /// Where trials of the real world put their databases by default.
    pub fn databases(&self) -> PathBuf {
        self.0.join("databases")
    }

    /// All metrics of all trials.
    pub fn metrics(&self) -> PathBuf {
        self.0.join("metrics.parquet")
    }

    /// All decisions of all trials.
    pub fn decisions(&self) -> PathBuf {
        self.0.join("decisions.parquet")
    }

    /// Mean and interval of each metric over the seeds.
    pub fn summary(&self) -> PathBuf {
        self.0.join("summary.json")
    }

    /// The folder of figures.
    pub fn plots(&self) -> PathBuf {
        self.0.join("plots")
    }

    /// The report.
    pub fn report(&self) -> PathBuf {
        self.0.join("report.html")
    }
}

/// The page over the runs of a folder of results.
pub fn index_page(results: &Path) -> PathBuf {
    results.join("index.html")
}

/// The folder of pages that show runs of a folder of results side by side.
pub fn comparison_pages(results: &Path) -> PathBuf {
    results.join("comparisons")
}

/// The name of the folder that holds all trials.
const TRIALS: &str = "trials";

/// The folder of the trial that a file belongs to; `None` if it is not in one.
pub fn trial_around(file: &Path) -> Option<&Path> {
    let is_trial = |folder: &&Path| {
        let parent = folder.parent().and_then(Path::file_name);
        parent.is_some_and(|name| name == TRIALS)
    };
    file.ancestors().find(is_trial)
}

/// The folder of one trial.
///
/// ```text
/// manifest.json                       what the trial was
/// config.resolved.toml                every setting, and where its value came from
/// metrics.jsonl                       its metrics, one a line
/// series.parquet                      its phases in slices of time
/// latency/<phase>.<op>.hlog           HDR histogram V2, nanoseconds from the intended start
/// latency/<phase>.<op>.service.hlog   from the actual start; in an open loop only
/// events.jsonl                        flushes, compactions, stalls and decisions of agents
/// decisions.jsonl                     with an agent: what it saw of each window, and decided;
///                                     with a self-tuner: what became of each proposal
/// cache.aurat.zst                     with record.cache: the accesses to the cache
/// operations.aurat.zst                with record.operations: the operations of the clients
/// DONE                                written last: the folder is complete
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrialFolder(PathBuf);

impl TrialFolder {
    /// The results of a trial in this folder.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What the trial was.
    pub fn manifest(&self) -> PathBuf {
        self.0.join("manifest.json")
    }

    /// Every setting, and where its value came from.
    pub fn config(&self) -> PathBuf {
        self.0.join("config.resolved.toml")
    }

    /// The trial's metrics.
    pub fn metrics(&self) -> PathBuf {
        self.0.join("metrics.jsonl")
    }

    /// The phases in slices of time.
    pub fn series(&self) -> PathBuf {
        self.0.join("series.parquet")
    }

    /// The folder of latency histograms.
    pub fn latency(&self) -> PathBuf {
        self.0.join("latency")
    }

    /// The histogram of one class of operations in one phase.
    pub fn histogram(&self, of: &HistogramName) -> PathBuf {
        self.latency().join(of.file_name())
    }

    /// What happened in the background.
    pub fn events(&self) -> PathBuf {
        self.0.join("events.jsonl")
    }

    /// What an agent saw of each window of operations, and what it decided; and what became of the
    /// proposals of a self-tuner.
    pub fn decisions(&self) -> PathBuf {
        self.0.join("decisions.jsonl")
    }

    /// The recorded accesses to the cache.
    pub fn cache_trace(&self) -> PathBuf {
        self.0.join("cache.aurat.zst")
    }

    /// The recorded operations.
    pub fn operations(&self) -> PathBuf {
        self.0.join("operations.aurat.zst")
    }

    /// The mark of a complete folder.
    pub fn done(&self) -> PathBuf {
        self.0.join("DONE")
    }

    /// Whether the folder is complete.
    pub fn is_done(&self) -> bool {
        self.done().is_file()
    }
}

/// Which latencies a histogram holds; the name of its file says the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HistogramName {
    /// The phase.
    pub phase: String,
    /// The class of operations.
    pub class: OpClass,
    /// Whether times count from the actual start of an operation, not from its intended one.
    pub service: bool,
}

impl HistogramName {
    const SERVICE: &str = ".service";
    const EXTENSION: &str = ".hlog";

    fn file_name(&self) -> String {
        let from = if self.service { Self::SERVICE } else { "" };
        let op = self.class.name();
        format!("{}.{op}{from}{}", self.phase, Self::EXTENSION)
    }

    /// Reads a file's name; `None` if it is not that of a histogram.
    pub fn parse(file_name: &str) -> Option<Self> {
        let stem = file_name.strip_suffix(Self::EXTENSION)?;
        let plain = stem.strip_suffix(Self::SERVICE).unwrap_or(stem);
        let (phase, op) = plain.rsplit_once('.')?;
        Some(Self {
            phase: phase.to_owned(),
            class: OpClass::find(op)?,
            service: plain.len() < stem.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histogram_names_read_back() {
        for service in [false, true] {
            let name = HistogramName {
                phase: "run".to_owned(),
                class: OpClass::ReadModifyWrite,
                service,
            };
            assert_eq!(HistogramName::parse(&name.file_name()), Some(name));
        }
        for bad in ["run.read", "run.hlog", "run.get.hlog", "read.hlog.part"] {
            assert_eq!(HistogramName::parse(bad), None, "{bad}");
        }
    }
}
