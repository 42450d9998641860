//! Carrying out a plan: trials on threads or in processes, each result written whole or not at all.
//!
//! A trial is written under a temporary name and renamed when it is complete
//! ([`RunFolder`]); a killed run leaves at most temporary folders, which the next run removes.
//! Simulated trials are independent and run on several threads. Real ones run one after the other,
//! each in a process of its own, so that no trial finds memory or caches as another left them.
//!
//! A trial is claimed before it runs ([`crate::attempts`]), so that processes that run slices of a
//! plan in one folder, on one machine or several, never run the same trial.

mod interrupt;
mod slices;
mod stop;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::attempts::{Attempt, Claim, Outcome};
use crate::endpoint::Board;
use crate::exit::Exit;
use crate::files::{self, FileError};
use crate::folders::RunFolder;
use crate::formats::json;
use crate::metrics;
use crate::parallel;
use crate::plan::{ExperimentRecord, Plan, PlannedTrial};
use crate::plan_file::{PlanFile, PlanFileError};
use crate::point::Point;
use crate::progress::Progress;
use crate::record::{Manifest, TrialResult, World};
use crate::store::{self, StoreError};
use crate::trial::{self, Advance, Databases, Onlooker, Targets, TrialError, Watcher};

pub use interrupt::Interrupt;
pub use slices::run_slice;
pub use stop::Stop;
use stop::Watch;

/// How trials are run.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The folder of all results.
    pub results: PathBuf,
    /// How many simulated trials run in parallel.
    pub jobs: usize,
    /// No progress on standard error.
    pub quiet: bool,
    /// Run finished trials again.
    pub force: bool,
    /// Take finished trials of another program for those that are missing.
    pub from_other_code: bool,
    /// Real world: keep the databases.
    pub keep: bool,
    /// What trials may run on.
    pub targets: Targets,
    /// Programs that run the trials of a variant, in place of this one. Every trial then has a
    /// process of its own.
    pub programs: BTreeMap<String, PathBuf>,
    /// The job of a scheduler that this process belongs to; empty if none.
    pub job: String,
    /// Where trials say how their engines are, if somebody looks.
    pub board: Option<Arc<Board>>,
}

/// What became of a plan.
#[derive(Debug)]
pub struct RunReport {
    /// The experiment's folder.
    pub folder: RunFolder,
    /// Trials that were run.
    pub run: usize,
    /// Trials that had been finished before.
    pub reused: usize,
    /// Trials that were there, but of another program: run again, or taken if so wanted.
    pub of_other_code: usize,
    /// The command of another experiment that had this folder, whose report is replaced.
    pub replaced: Option<String>,
    /// Trials without a result.
    pub failed: Vec<FailedTrial>,
    /// Trials of the real world that had been finished before, and were run again beside new ones.
    pub again: usize,
    /// Trials that were not tried.
    pub left: usize,
    /// Why they were not.
    pub stop: Option<Stop>,
}

/// A trial without a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedTrial {
    /// The trial's label.
    pub trial: String,
    /// Why it has no result.
    pub why: String,
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
    /// Processes run slices of another plan there.
    #[error("slices of another plan are at work in {}", .0.display())]
    OtherPlan(PathBuf),
    /// The plan's file cannot be read.
    #[error(transparent)]
    Plan(#[from] PlanFileError),
    /// A database cannot be where it is to be.
    #[error(transparent)]
    Place(#[from] TrialError),
}

/// Why a trial has no result.
#[derive(Debug, thiserror::Error)]
enum TrialFailure {
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

/// Freezes the plan in the experiment's folder, and runs its trials that are not finished yet.
///
/// # Errors
/// [`RunError`] if the results cannot be written, or another process runs trials there. A trial
/// that fails is no error: it is in the report.
pub fn run(
    plan: &Plan,
    options: &RunOptions,
    interrupt: &Interrupt,
) -> Result<RunReport, RunError> {
    run_within(plan, options, interrupt, None)
}

/// Does what [`run`] does, and shows it as a part of the progress of something larger, if given.
pub(crate) fn run_within(
    plan: &Plan,
    options: &RunOptions,
    interrupt: &Interrupt,
    larger: Option<&Arc<Progress>>,
) -> Result<RunReport, RunError> {
    let folder = RunFolder::new(options.results.join(&plan.experiment.name));
    make_room(&folder)?;
    let setup = files::wait_for_lock(&folder.setup_lock())?;
    let Some(_lock) = files::lock(&folder.lock())? else {
        return Err(RunError::Busy(folder.path().to_owned()));
    };
    drop(setup);
    remove_unfinished(&folder)?;
    let replaced = replaced(&folder, &plan.experiment);
    let mut plan = plan.clone();
    remember(&folder, &mut plan);
    let of_other_code = adopt(&folder, &mut plan, options.from_other_code)?;
    plan.write(&folder)?;
    let report = carry_out(&plan, &folder, options, interrupt, larger)?;
    let tried = report.run + report.failed.len() > 0;
    if tried && !options.keep && plan.is_real() {
        // Empty by now: trials remove their databases.
        drop(files::remove_folder(&folder.databases()));
    }
    Ok(RunReport {
        of_other_code,
        replaced,
        ..report
    })
}

/// Creates the folders of a run.
fn make_room(folder: &RunFolder) -> Result<(), FileError> {
    files::create_folder(&folder.trials())?;
    files::create_folder(&folder.attempts())
}

/// Notes in a plan which of its seeds were compared before in the folder.
fn remember(folder: &RunFolder, plan: &mut Plan) {
    if folder.report().exists()
        && let Ok(earlier) = Plan::read_briefly(folder)
    {
        plan.remember(&earlier);
    }
}

/// Runs the trials of a frozen plan that are not finished yet; shows it as a part of the progress
/// of something larger, if given.
fn carry_out(
    plan: &Plan,
    folder: &RunFolder,
    options: &RunOptions,
    interrupt: &Interrupt,
    larger: Option<&Arc<Progress>>,
) -> Result<RunReport, RunError> {
    let fresh =
        |trial: &&PlannedTrial| options.force || !reuse(folder, trial, &plan.experiment.name);
    let mut pending: Vec<&PlannedTrial> = plan.trials.iter().filter(fresh).collect();
    let asked = pending.len();
    let real = plan.is_real();
    // In processes of their own, one after the other.
    let apart = real || !options.programs.is_empty();
    if real {
        pending = side_by_side(plan, &pending);
    }
    let places = databases(folder, options.keep);
    for trial in pending.iter().filter(|_| real) {
        trial::check_place(trial, &places)?;
    }
    let is_done = |trial: &&&PlannedTrial| folder.trial(&trial.id).is_done();
    let again = pending.iter().filter(is_done);
    let again = again.map(|trial| trial.id.as_str()).collect();
    interrupt.state().folder = Some(folder.clone());
    let own = || Arc::new(Progress::new(pending.len(), "trials", options.quiet));
    let progress = larger.cloned().unwrap_or_else(own);
    let mut runner = Runner {
        folder,
        experiment: &plan.experiment.name,
        keep: options.keep,
        targets: options.targets,
        programs: &options.programs,
        interrupt,
        progress: progress.clone(),
        board: options.board.clone(),
        watch: Watch::default(),
        again,
        attempt: attempt(options, pending.len(), apart),
        run: 0,
        elsewhere: 0,
        failed: Vec::new(),
        stop: None,
    };
    if apart {
        runner.in_processes(&pending);
    } else {
        runner.on_threads(&pending, options.jobs);
    }
    let Runner {
        run,
        elsewhere,
        failed,
        stop,
        ..
    } = runner;
    if larger.is_none() {
        progress.finish();
    }
    interrupt.state().folder = None;
    if real {
        trial::forget_loads(&plan.trials, &places)?;
    }
    Ok(RunReport {
        run,
        reused: plan.trials.len() - pending.len() + elsewhere,
        of_other_code: 0,
        replaced: None,
        again: pending.len() - asked,
        left: pending.len() - run - elsewhere - failed.len(),
        failed,
        stop,
        folder: folder.clone(),
    })
}

/// What the attempts of this process have in common.
fn attempt(options: &RunOptions, trials: usize, apart: bool) -> Attempt {
    Attempt {
        settings: String::new(),
        variant: String::new(),
        number: 0,
        host: trial::host_name(),
        cpu: trial::processor(),
        process: std::process::id(),
        job: options.job.clone(),
        in_parallel: if apart { 1 } else { options.jobs.min(trials) },
        started: 0,
        outcome: Outcome::Begun,
        ended: None,
        memory_peak_bytes: None,
    }
}

/// Returns the command of the experiment that has the folder, if it is another one.
fn replaced(folder: &RunFolder, experiment: &ExperimentRecord) -> Option<String> {
    let before = ExperimentRecord::read(folder).ok()?;
    (before.command != experiment.command).then_some(before.command)
}

/// Counts the trials that are not finished, but are with the same settings under another program;
/// with `take`, the plan takes them.
fn adopt(folder: &RunFolder, plan: &mut Plan, take: bool) -> Result<usize, FileError> {
    let missing = |trial: &PlannedTrial| !folder.trial(&trial.id).is_done();
    if !plan.trials.iter().any(missing) {
        return Ok(0);
    }
    let finished = finished_cases(folder)?;
    let mut adopted = 0;
    for trial in &mut plan.trials {
        if folder.trial(&trial.id).is_done() {
            continue;
        }
        if let Some(id) = finished.get(&trial.case) {
            adopted += 1;
            if take {
                trial.id.clone_from(id);
            }
        }
    }
    Ok(adopted)
}

/// The ids of finished trials, by the hash of settings and seed.
fn finished_cases(folder: &RunFolder) -> Result<BTreeMap<String, String>, FileError> {
    let mut cases = BTreeMap::new();
    for id in files::names(&folder.trials())? {
        let trial = folder.trial(&id);
        if let (true, Some(manifest)) = (trial.is_done(), read_manifest(&trial.manifest())) {
            cases.insert(manifest.case, id);
        }
    }
    Ok(cases)
}

/// Reads a manifest; `None` if it is missing, or of another version.
fn read_manifest(path: &Path) -> Option<Manifest> {
    serde_json::from_str(&files::read_to_string(path).ok()?).ok()
}

/// The pending trials with all others of their seed and point: what is compared in the real world
/// ran side by side, under the same disturbances.
fn side_by_side<'a>(plan: &'a Plan, pending: &[&PlannedTrial]) -> Vec<&'a PlannedTrial> {
    let blocks: BTreeSet<Block> = pending.iter().map(|trial| Block::of(trial)).collect();
    let trials = plan.trials.iter();
    trials
        .filter(|trial| blocks.contains(&Block::of(trial)))
        .collect()
}

/// The trials of one seed at one point: what is compared pair by pair.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Block<'a> {
    seed: u64,
    point: &'a Point,
}

impl<'a> Block<'a> {
    fn of(trial: &'a PlannedTrial) -> Self {
        Self {
            seed: trial.seed,
            point: &trial.point,
        }
    }
}

/// Returns whether the trial's result is there. If it was run under other names, its manifest gets
/// the present ones.
fn reuse(folder: &RunFolder, trial: &PlannedTrial, experiment: &str) -> bool {
    let folder = folder.trial(&trial.id);
    if !folder.is_done() {
        return false;
    }
    let path = folder.manifest();
    let Some(manifest) = read_manifest(&path) else {
        return false;
    };
    let renamed = Manifest {
        experiment: experiment.to_owned(),
        variant: trial.variant.clone(),
        point: trial.point.clone(),
        ..manifest.clone()
    };
    renamed == manifest || files::replace(&path, json(&renamed).as_bytes()).is_ok()
}

/// Removes the folders of trials that a killed run left.
fn remove_unfinished(folder: &RunFolder) -> Result<(), FileError> {
    let trials = folder.trials();
    for name in files::names(&trials)? {
        if RunFolder::is_unfinished(&name) {
            files::remove_folder(&trials.join(name))?;
        }
    }
    Ok(())
}

/// Runs the trials of an experiment, and notes which failed.
struct Runner<'a> {
    folder: &'a RunFolder,
    experiment: &'a str,
    keep: bool,
    targets: Targets,
    programs: &'a BTreeMap<String, PathBuf>,
    interrupt: &'a Interrupt,
    progress: Arc<Progress>,
    board: Option<Arc<Board>>,
    watch: Watch,
    /// The trials that had a result before, and are run again.
    again: BTreeSet<&'a str>,
    /// What all attempts have in common.
    attempt: Attempt,
    /// Trials that have a result now.
    run: usize,
    /// Trials that another process ran meanwhile.
    elsewhere: usize,
    failed: Vec<FailedTrial>,
    stop: Option<Stop>,
}

/// How the turn of a trial ended.
enum Turn {
    /// It was run.
    Run(Result<(), TrialFailure>),
    /// Another process runs it.
    Taken,
    /// Another process has finished it.
    Elsewhere,
    /// The run had ended before.
    Skipped,
}

impl Runner<'_> {
    /// Trials that other processes run are put off, and looked at again when these are done.
    fn on_threads(&mut self, pending: &[&PlannedTrial], jobs: usize) {
        let taken = self.turns(pending, jobs, Claim::take);
        let waiting = |folder: &RunFolder, id: &str| Claim::wait(folder, id).map(Some);
        self.turns(&taken, jobs, waiting);
    }

    /// Gives each trial its turn, and returns those that other processes run.
    fn turns<'p>(
        &mut self,
        pending: &[&'p PlannedTrial],
        jobs: usize,
        claim: impl Fn(&RunFolder, &str) -> Result<Option<Claim>, FileError> + Sync,
    ) -> Vec<&'p PlannedTrial> {
        let folder = self.folder;
        let experiment = self.experiment;
        let interrupt = self.interrupt;
        let databases = databases(folder, self.keep);
        let targets = self.targets;
        let stopped = AtomicBool::new(self.stop.is_some());
        let show = self.show();
        let (again, attempt) = (self.again.clone(), self.attempt.clone());
        let mut taken = Vec::new();
        parallel::for_each(
            pending,
            jobs,
            |trial| {
                if stopped.load(Ordering::Relaxed) {
                    return Turn::Skipped;
                }
                let again = again.contains(trial.id.as_str());
                turn(folder, trial, again, &attempt, &claim, interrupt, || {
                    let onlooker = show.onlooker(trial);
                    let run = || trial::run_among(targets, trial, experiment, &databases, onlooker);
                    run_here(folder, trial, run, interrupt)
                })
            },
            |at, turn| {
                match turn {
                    Turn::Run(result) => self.note(pending[at], result),
                    Turn::Elsewhere => self.note_elsewhere(pending[at]),
                    Turn::Taken => taken.push(pending[at]),
                    Turn::Skipped => {}
                }
                stopped.store(self.stop.is_some(), Ordering::Relaxed);
            },
        );
        taken
    }

    fn in_processes(&mut self, pending: &[&PlannedTrial]) {
        for trial in pending {
            self.progress.begin(&trial.label());
            let again = self.again.contains(trial.id.as_str());
            let claim = |folder: &RunFolder, id: &str| Claim::wait(folder, id).map(Some);
            let run = || self.run_in_process(trial);
            let (folder, interrupt) = (self.folder, self.interrupt);
            match turn(folder, trial, again, &self.attempt, claim, interrupt, run) {
                Turn::Run(result) => self.note(trial, result),
                Turn::Elsewhere => self.note_elsewhere(trial),
                Turn::Taken | Turn::Skipped => {}
            }
            if self.stop.is_some() {
                break;
            }
        }
    }

    fn note_elsewhere(&mut self, trial: &PlannedTrial) {
        self.elsewhere += 1;
        self.progress.end(&trial.label());
    }

    fn note(&mut self, trial: &PlannedTrial, result: Result<(), TrialFailure>) {
        let label = trial.label();
        match result {
            Ok(()) => {
                self.watch.succeeded();
                self.run += 1;
            }
            Err(failure) => {
                let id = &trial.id;
                let why = failure.to_string();
                self.progress
                    .say(&format!("trial {id} ({label}) failed: {why}"));
                self.stop = self.stop.take().or(self.watch.failed(&why));
                let trial = label.clone();
                self.failed.push(FailedTrial { trial, why });
            }
        }
        self.progress.end(&label);
        self.board.iter().for_each(|board| board.end(&label));
    }

    /// Where trials are shown.
    fn show(&self) -> Show {
        Show {
            progress: self.progress.clone(),
            board: self.board.clone(),
        }
    }

    /// Runs a trial in a process of its own, which writes its result.
    fn run_in_process(&self, trial: &PlannedTrial) -> Result<(), TrialFailure> {
        let program = match self.programs.get(&trial.variant) {
            Some(program) => program.clone(),
            None => std::env::current_exe().map_err(TrialFailure::Process)?,
        };
        let mut command = Command::new(program);
        command
            .args(["trial", &trial.id])
            .arg(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if self.keep {
            command.arg("--keep");
        }
        if self.progress.is_shown() {
            command.arg("--progress");
        }
        if self.board.is_some() {
            command.arg("--metrics");
        }
        let mut child = command.spawn().map_err(TrialFailure::Process)?;
        let output = child.stdout.take();
        {
            let databases = databases(self.folder, self.keep);
            let mut state = self.interrupt.state();
            state.child = Some(child);
            state.database = trial
                .settings()
                .ok()
                .map(|config| databases.directory(&trial.id, &config));
        }
        let mut message = String::new();
        if let Some(output) = output {
            // Returns when the process ends.
            let (show, label) = (self.show(), trial.label());
            let show = |advance: &Advance| show.advance(&label, advance);
            message = message_of(output, show).map_err(TrialFailure::Process)?;
        }
        let mut state = self.interrupt.state();
        state.database = None;
        let Some(mut child) = state.child.take() else {
            return Err(TrialFailure::Child("it was stopped".to_owned()));
        };
        let status = child.wait().map_err(TrialFailure::Process)?;
        match (status.success(), message.trim()) {
            (true, _) => Ok(()),
            (false, "") => Err(TrialFailure::Child(format!(
                "its process ended with {status}"
            ))),
            (false, message) => Err(TrialFailure::Child(message.to_owned())),
        }
    }
}

/// Claims a trial, runs it if nobody has meanwhile, and notes what became of it. `again` says that
/// a result that is there counts for nothing.
fn turn(
    folder: &RunFolder,
    trial: &PlannedTrial,
    again: bool,
    attempt: &Attempt,
    claim: impl Fn(&RunFolder, &str) -> Result<Option<Claim>, FileError>,
    interrupt: &Interrupt,
    run: impl FnOnce() -> Result<(), TrialFailure>,
) -> Turn {
    let mut claim = match claim(folder, &trial.id) {
        Ok(Some(claim)) => claim,
        Ok(None) => return Turn::Taken,
        Err(error) => return Turn::Run(Err(error.into())),
    };
    if !again && folder.trial(&trial.id).is_done() {
        return Turn::Elsewhere;
    }
    let begun = claim.begin(Attempt {
        settings: trial.settings_hash(),
        variant: trial.variant.clone(),
        ..attempt.clone()
    });
    if let Err(error) = begun {
        return Turn::Run(Err(error.into()));
    }
    interrupt.state().claims.insert(trial.id.clone(), claim);
    let result = run();
    let outcome = match &result {
        Ok(()) => Outcome::Done,
        Err(failure) => Outcome::Failed(failure.to_string()),
    };
    // A real trial has a process of its own, whose memory is among its metrics.
    let own = !trial.runs_in(World::Real);
    let memory_peak = own.then(trial::memory_peak_bytes).flatten();
    let claim = interrupt.state().claims.remove(&trial.id);
    let noted = claim.map_or(Ok(()), |claim| claim.end(outcome, memory_peak));
    Turn::Run(result.and(noted.map_err(TrialFailure::from)))
}

/// Reads what a trial's process prints: how far it has come, which is shown, and why it failed.
fn message_of(output: impl Read, show: impl Fn(&Advance)) -> io::Result<String> {
    let mut message = String::new();
    for line in BufReader::new(output).lines() {
        let line = line?;
        match Advance::from_line(&line) {
            Some(advance) => show(&advance),
            None => message += &format!("{line}\n"),
        }
    }
    Ok(message)
}

/// Where it is shown how far trials have come, and how their engines are.
#[derive(Clone)]
struct Show {
    progress: Arc<Progress>,
    board: Option<Arc<Board>>,
}

impl Show {
    fn advance(&self, label: &str, advance: &Advance) {
        let words = format!("{label}: {advance}");
        self.progress.within(label, advance.of_trial, words);
        if let (Some(board), Some(text)) = (&self.board, &advance.metrics) {
            board.show(label, text.clone());
        }
    }

    /// Who looks on while a trial of this process runs; `None` if nobody does.
    fn onlooker(&self, trial: &PlannedTrial) -> Option<Onlooker> {
        let metrics = self.board.is_some();
        if !metrics && !self.progress.is_shown() {
            return None;
        }
        let (show, label) = (self.clone(), trial.label());
        let watcher = Box::new(move |advance: &Advance| show.advance(&label, advance));
        Some(Onlooker { watcher, metrics })
    }
}

/// Runs a trial in this process and writes its result.
fn run_here(
    folder: &RunFolder,
    trial: &PlannedTrial,
    run: impl FnOnce() -> Result<TrialResult, TrialError>,
    interrupt: &Interrupt,
) -> Result<(), TrialFailure> {
    let result = catch_unwind(AssertUnwindSafe(run))
        .map_err(|panic| TrialFailure::Panic(panic_message(&*panic)))??;
    // Held while files are written: an interrupt waits for it, and finds nothing half written.
    let _writing = interrupt.state();
    store_result(folder, trial, &result)
}

/// The plan of a run's folder with one of its trials, or none if it has no such trial.
fn plan_of(folder: &RunFolder, id: &str) -> Result<Plan, String> {
    let in_words = |error: PlanFileError| error.to_string();
    let file = PlanFile::open(&folder.plan()).map_err(in_words)?;
    let place = file
        .ids()
        .map_err(in_words)?
        .iter()
        .position(|it| *it == id);
    let range = place.map_or(0..0, |place| place..place + 1);
    file.plan_of(range).map_err(in_words)
}

/// What the process of a trial is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// The database is kept.
    pub keep: bool,
    /// It prints how far it has come, for its parent.
    pub progress: bool,
    /// It prints the engine's metrics, too.
    pub metrics: bool,
}

/// Runs the one trial that a parent process asks for. The process ends when its parent does.
///
/// # Errors
/// Why the trial has no result, in words.
pub fn run_as_child(
    folder: &RunFolder,
    id: &str,
    asked: Asked,
    targets: Targets,
) -> Result<(), String> {
    let plan = plan_of(folder, id)?;
    let trial = plan.trials.first();
    let trial = trial.ok_or("the plan holds no such trial")?;
    let watch = std::thread::Builder::new().spawn(|| {
        // The parent never writes: this returns when it is gone, and no one needs the result.
        drop(io::copy(&mut io::stdin(), &mut io::sink()));
        Exit::Interrupted.now()
    });
    watch.map_err(|error| error.to_string())?;
    let say: Watcher = Box::new(|advance: &Advance| {
        drop(io::stdout().write_all(advance.to_line().as_bytes()));
    });
    let databases = databases(folder, asked.keep);
    let onlooker = (asked.progress || asked.metrics).then_some(Onlooker {
        watcher: say,
        metrics: asked.metrics,
    });
    let experiment = &plan.experiment.name;
    let result = trial::run_among(targets, trial, experiment, &databases, onlooker)
        .map_err(|error| error.to_string())?;
    store_result(folder, trial, &result).map_err(|failure| failure.to_string())
}

fn databases(folder: &RunFolder, keep: bool) -> Databases {
    Databases {
        folder: folder.databases(),
        keep,
    }
}

/// Writes a trial's folder: under a temporary name, which becomes its own when all is written.
fn store_result(
    folder: &RunFolder,
    trial: &PlannedTrial,
    result: &TrialResult,
) -> Result<(), TrialFailure> {
    let unfinished = folder.unfinished_trial(&trial.id);
    let finished = folder.trial(&trial.id);
    files::remove_folder(unfinished.path())?;
    files::create_folder(unfinished.path())?;
    store::write_trial(&unfinished, result, &metrics::derive(result))?;
    files::write(&unfinished.config(), trial.resolved.as_bytes())?;
    files::write(&unfinished.done(), b"")?;
    files::remove_folder(finished.path())?;
    files::rename(unfinished.path(), finished.path())?;
    Ok(())
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "without a message".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn progress_of_a_process_is_shown_and_the_rest_is_its_message() {
        let advance = |of_trial| Advance {
            window: "load".to_owned(),
            of_window: Some(0.5),
            of_trial,
            metrics: None,
        };
        let output = format!(
            "{}it failed:\n{}no space",
            advance(0.1).to_line(),
            advance(0.2).to_line()
        );
        let shown = RefCell::new(Vec::new());
        let show = |advance: &Advance| shown.borrow_mut().push(advance.of_trial);
        let message = message_of(output.as_bytes(), show).expect("it is text");
        assert_eq!(message, "it failed:\nno space\n");
        assert_eq!(*shown.borrow(), [0.1, 0.2]);
    }
}
