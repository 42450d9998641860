//! Carrying out a plan: trials on threads or in processes, each result written whole or not at all.
//!
//! ```text
//!   results/<experiment>/.lock              held while somebody runs trials here
//!                       /trials/.tmp-<id>   being written; a killed run leaves at most these, the next removes them
//!                       /trials/<id>        finished: renamed from the above, DONE in it
//! ```
//!
//! Simulated trials know nothing of each other and run on several threads. Real ones run one after the other, each in a
//! process of its own, so that no trial finds memory or caches as another left them.

use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use crate::files::{self, FileError};
use crate::metrics;
use crate::plan::{Plan, PlannedTrial, TRIALS_FOLDER};
use crate::progress::Progress;
use crate::record::{Manifest, TrialResult, World};
use crate::store::{self, StoreError};
use crate::trial::{self, TrialError};

/// The process's exit code when it was interrupted, or somebody else is at work: try again.
pub const EXIT_TRY_AGAIN: u8 = 75;

const TEMPORARY: &str = ".tmp-";
/// The file that says that a trial's folder is complete.
pub const DONE: &str = "DONE";

/// How trials are run.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The folder of all results.
    pub results: PathBuf,
    /// How many simulated trials run side by side.
    pub jobs: usize,
    /// No progress.
    pub quiet: bool,
    /// Run finished trials again.
    pub force: bool,
    /// Real world: leave the databases where they are.
    pub keep: bool,
}

/// What became of a plan.
#[derive(Debug)]
pub struct Outcome {
    /// The experiment's folder.
    pub folder: PathBuf,
    /// Trials run now.
    pub run: usize,
    /// Trials that were finished before.
    pub reused: usize,
    /// Trials without a result: which, and why.
    pub failed: Vec<(String, String)>,
}

/// Why no trial was run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The results cannot be written.
    #[error("results cannot be written: {0}")]
    Results(#[from] FileError),
    /// Another process runs trials there.
    #[error("another `aura run` is at work in {}", .0.display())]
    Busy(PathBuf),
}

/// Why a trial left no result.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Trial(#[from] TrialError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("it panicked: {0}")]
    Panic(String),
    #[error("its process could not be started: {0}")]
    Process(io::Error),
    #[error("{0}")]
    Child(String),
}

/// Runs the trials of a plan that are not finished yet, after freezing the plan in the experiment's folder.
///
/// # Errors
/// If the results cannot be written, or somebody else writes there.
pub fn run(plan: &Plan, options: &RunOptions, interrupt: &Interrupt) -> Result<Outcome, RunError> {
    let folder = options.results.join(&plan.experiment.name);
    let trials = folder.join(TRIALS_FOLDER);
    files::create_folder(&trials)?;
    let Some(_lock) = files::lock(&folder.join(".lock"))? else {
        return Err(RunError::Busy(folder));
    };
    remove_temporaries(&trials)?;
    plan.write(&folder)?;
    let mut pending = Vec::new();
    for trial in &plan.trials {
        if options.force || !reuse(&trials, trial, &plan.experiment.name) {
            pending.push(trial);
        }
    }
    interrupt.state().trials = Some(trials);
    let runner = Runner {
        folder: &folder,
        experiment: &plan.experiment.name,
        keep: options.keep,
        interrupt,
    };
    let progress = Progress::new(pending.len(), "trials", options.quiet);
    let real = |trial: &PlannedTrial| {
        trial
            .settings()
            .is_ok_and(|config| config.world.kind == World::Real)
    };
    let failed = if pending.iter().any(|trial| real(trial)) {
        runner.in_processes(&pending, &progress)
    } else {
        runner.on_threads(&pending, options.jobs, &progress)
    };
    progress.finish();
    interrupt.state().trials = None;
    let run = pending.len() - failed.len();
    Ok(Outcome {
        run,
        reused: plan.trials.len() - pending.len(),
        failed,
        folder,
    })
}

/// Whether the trial's result is there. It may have been run under other names, which then are set right.
fn reuse(trials: &Path, trial: &PlannedTrial, experiment: &str) -> bool {
    let folder = trials.join(&trial.id);
    if files::read_to_string(&folder.join(DONE)).is_err() {
        return false;
    }
    let path = folder.join("manifest.json");
    let Some(manifest) = files::read_to_string(&path)
        .ok()
        .and_then(|text| serde_json::from_str::<Manifest>(&text).ok())
    else {
        return false;
    };
    let named = Manifest {
        experiment: experiment.to_owned(),
        variant: trial.variant.clone(),
        point: trial.point.clone(),
        ..manifest.clone()
    };
    if named == manifest {
        return true;
    }
    let mut text = serde_json::to_string_pretty(&named).expect("a manifest is plain data");
    text.push('\n');
    store::replace(&path, text.as_bytes()).is_ok()
}

fn remove_temporaries(trials: &Path) -> Result<(), FileError> {
    for name in files::names(trials)?
        .into_iter()
        .filter(|name| name.starts_with(TEMPORARY))
    {
        files::remove_folder(&trials.join(name))?;
    }
    Ok(())
}

/// Runs single trials of an experiment.
struct Runner<'a> {
    folder: &'a Path,
    experiment: &'a str,
    keep: bool,
    interrupt: &'a Interrupt,
}

type Failed = Vec<(String, String)>;

impl Runner<'_> {
    fn on_threads(&self, pending: &[&PlannedTrial], jobs: usize, progress: &Progress) -> Failed {
        let mut failed = Failed::new();
        let book = |at: usize, result| self.book(pending[at], result, &mut failed, progress);
        side_by_side(pending, jobs, |trial| self.here(trial), book);
        failed
    }

    fn in_processes(&self, pending: &[&PlannedTrial], progress: &Progress) -> Failed {
        let mut failed = Failed::new();
        for trial in pending {
            progress.begin(&trial.label());
            self.book(trial, self.in_process(trial), &mut failed, progress);
        }
        // Left empty by trials that clean up after themselves.
        if !self.keep {
            drop(files::remove_folder(&databases(self.folder)));
        }
        failed
    }

    fn book(
        &self,
        trial: &PlannedTrial,
        result: Result<(), Failure>,
        failed: &mut Failed,
        progress: &Progress,
    ) {
        if let Err(failure) = result {
            progress.say(&format!(
                "trial {} ({}) failed: {failure}",
                trial.id,
                trial.label()
            ));
            failed.push((trial.label(), failure.to_string()));
        }
        progress.end(&trial.label());
    }

    /// Runs a trial in this process and writes its result.
    fn here(&self, trial: &PlannedTrial) -> Result<(), Failure> {
        let run = || trial::run(trial, self.experiment, &databases(self.folder), self.keep);
        let result = catch_unwind(AssertUnwindSafe(run))
            .map_err(|panic| Failure::Panic(panic_message(&*panic)))??;
        // Held while files are written: an interrupt waits for it, then finds nothing half written.
        let _writing = self.interrupt.state();
        store_result(self.folder, trial, &result)
    }

    /// Runs a trial in a process of its own, which writes its result.
    fn in_process(&self, trial: &PlannedTrial) -> Result<(), Failure> {
        let mut command = Command::new(std::env::current_exe().map_err(Failure::Process)?);
        command
            .args(["trial", &trial.id])
            .arg(self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if self.keep {
            command.arg("--keep");
        }
        let mut child = command.spawn().map_err(Failure::Process)?;
        let answer = child.stdout.take();
        {
            let mut state = self.interrupt.state();
            state.child = Some(child);
            state.database = trial
                .settings()
                .ok()
                .map(|config| trial::directory(trial, &config, &databases(self.folder)));
        }
        let mut message = String::new();
        // Ends when the process does.
        answer
            .map(|mut answer| answer.read_to_string(&mut message))
            .transpose()
            .map_err(Failure::Process)?;
        let mut state = self.interrupt.state();
        state.database = None;
        let Some(mut child) = state.child.take() else {
            return Err(Failure::Child("it was stopped".to_owned()));
        };
        let status = child.wait().map_err(Failure::Process)?;
        match (status.success(), message.trim()) {
            (true, _) => Ok(()),
            (false, "") => Err(Failure::Child(format!("its process ended with {status}"))),
            (false, message) => Err(Failure::Child(message.to_owned())),
        }
    }
}

/// Does `work` on every item on `jobs` threads, and hands each answer with its item's number to `take`, on this thread,
/// as it comes.
pub fn side_by_side<T: Sync, R: Send>(
    items: &[T],
    jobs: usize,
    work: impl Fn(&T) -> R + Sync,
    mut take: impl FnMut(usize, R),
) {
    let next = AtomicUsize::new(0);
    let (send, answers) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, items.len().max(1)) {
            let (send, next, work) = (send.clone(), &next, &work);
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { break };
                    // The receiver outlives this scope.
                    drop(send.send((at, work(item))));
                }
            });
        }
        drop(send);
        answers.iter().for_each(|(at, answer)| take(at, answer));
    });
}

/// Runs the one trial that a parent process asks for, and ends when the parent does.
///
/// # Errors
/// Why there is no result, in words.
pub fn run_as_child(folder: &Path, id: &str, keep: bool) -> Result<(), String> {
    let plan = Plan::read(folder).map_err(|error| error.to_string())?;
    let trial = plan
        .trials
        .iter()
        .find(|trial| trial.id == id)
        .ok_or("the plan holds no such trial")?;
    let watch = std::thread::Builder::new().spawn(|| {
        // The parent never writes: this ends when it is gone, and nobody waits for the result any more.
        drop(io::copy(&mut io::stdin(), &mut io::sink()));
        std::process::exit(EXIT_TRY_AGAIN.into());
    });
    watch.map_err(|error| error.to_string())?;
    let result = trial::run(trial, &plan.experiment.name, &databases(folder), keep)
        .map_err(|error| error.to_string())?;
    store_result(folder, trial, &result).map_err(|failure| failure.to_string())
}

fn databases(folder: &Path) -> PathBuf {
    folder.join("databases")
}

fn store_result(folder: &Path, trial: &PlannedTrial, result: &TrialResult) -> Result<(), Failure> {
    let trials = folder.join(TRIALS_FOLDER);
    let (temporary, finished) = (
        trials.join(format!("{TEMPORARY}{}", trial.id)),
        trials.join(&trial.id),
    );
    files::remove_folder(&temporary)?;
    files::create_folder(&temporary)?;
    store::write_trial(&temporary, result, &metrics::derive(result))?;
    files::write(
        &temporary.join("config.resolved.toml"),
        trial.resolved.as_bytes(),
    )?;
    files::write(&temporary.join(DONE), b"")?;
    files::remove_folder(&finished)?;
    files::rename(&temporary, &finished)?;
    Ok(())
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_owned())
}

/// What must be cleaned up when the process is asked to stop.
#[derive(Default)]
struct State {
    trials: Option<PathBuf>,
    child: Option<Child>,
    database: Option<PathBuf>,
}

/// The one who ends a run early. A trial that is under way is given up; finished ones stay.
#[derive(Clone, Default)]
pub struct Interrupt {
    state: Arc<Mutex<State>>,
}

impl Interrupt {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the process once nothing is half written.
    pub fn stop(&self) -> ! {
        let mut state = self.state();
        if let Some(mut child) = state.child.take() {
            drop(child.kill().and_then(|()| child.wait()));
        }
        drop(
            state
                .database
                .take()
                .map(|database| files::remove_folder(&database)),
        );
        drop(
            state
                .trials
                .take()
                .map(|trials| remove_temporaries(&trials)),
        );
        drop(writeln!(
            io::stderr(),
            "interrupted: finished trials are kept; run the same command to resume"
        ));
        std::process::exit(EXIT_TRY_AGAIN.into());
    }
}
