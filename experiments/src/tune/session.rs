//! One search from its first point to its winner's confirmation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::config::{Before, Case, CompareConfig, Experiment, Tuning, VariantSettings};
use crate::folders::RunFolder;
use crate::formats::{digits, significant};
use crate::optimise::goal::{Goal, Measured};
use crate::optimise::search::{self, Known, Method, Outcome, Proposal, Request};
use crate::optimise::space::Space;
use crate::plan::{Plan, PlanError, PlannedTrial};
use crate::point::Point;
use crate::progress::Progress;
use crate::run::{self, Interrupt, RunError, RunOptions, RunReport, Stop};
use crate::store::{self, StoreError, TidyRow};

/// The winner's name in the confirmation.
pub const WINNER: &str = "winner";

/// Batches in a row without a new point after which a search has ended.
const DRY_MAX: usize = 20;

/// Why a search found nothing.
#[derive(Debug, thiserror::Error)]
pub enum TuneError {
    /// No trial was run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The plan of a batch cannot be read back.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Results cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Files cannot be written.
    #[error(transparent)]
    File(#[from] crate::files::FileError),
    /// The baseline has no value of a metric that the search needs.
    #[error("the baseline `{name}` gives no {metric}: {why}")]
    Baseline {
        /// The baseline.
        name: String,
        /// What is missing.
        metric: String,
        /// Why.
        why: String,
    },
    /// More of the same failure, or a full disk.
    #[error("the search stopped, and the same command goes on: {0}")]
    Stopped(String),
}

/// A point with what came of it.
#[derive(Clone, Debug)]
pub struct Evaluated {
    /// Its name among the trials.
    pub name: String,
    /// Its coordinates; empty for a baseline outside the space.
    pub x: Vec<f64>,
    /// What it sets, as tables show it.
    pub settings: Point,
    /// The share of the operations that it did.
    pub share: f64,
    /// The means of its metrics.
    pub means: Measured,
    /// What came of it.
    pub outcome: Outcome,
    /// Why it has no values; empty if it has.
    pub why: String,
}

/// What a search found.
#[derive(Debug)]
pub struct Found {
    /// The folder of its trials.
    pub folder: RunFolder,
    /// The baseline.
    pub baseline: Evaluated,
    /// Every point, in order.
    pub points: Vec<Evaluated>,
    /// The best point at full size that keeps all constraints.
    pub best: Option<Evaluated>,
    /// Trials that were run.
    pub run: usize,
    /// Trials that had been finished before.
    pub reused: usize,
}

impl Found {
    /// Whether the best point is better than the baseline, as far as the search saw.
    pub fn is_better(&self) -> bool {
        let best = self.best.iter();
        best.map(|best| &best.outcome)
            .any(|outcome| outcome.order(&self.baseline.outcome).is_lt())
    }

    /// How many points broke a constraint.
    pub fn infeasible(&self) -> usize {
        let is = |point: &&Evaluated| {
            point.outcome != Outcome::Failed && point.outcome.feasible().is_none()
        };
        self.points.iter().filter(is).count()
    }

    /// How many points have no values.
    pub fn failed(&self) -> usize {
        let points = self.points.iter();
        points.filter(|it| it.outcome == Outcome::Failed).count()
    }
}

/// How many points a search measures, of any size.
pub fn points_of(request: &Request, space: &Space) -> usize {
    match request.method {
        Method::Grid => space.grid_points(),
        Method::Halving => {
            let first = search::first_rung(request);
            first + first / request.eta + first / (request.eta * request.eta)
        }
        _ => request.points,
    }
}

/// A search that is going on.
pub struct Session<'a> {
    experiment: &'a Experiment,
    tuning: &'a mut Tuning,
    options: &'a RunOptions,
    interrupt: &'a Interrupt,
    code: &'a str,
    progress: Arc<Progress>,
    cases: Vec<Case>,
    trials: Vec<PlannedTrial>,
    /// The point of each case's settings; 0 is the baseline.
    known: BTreeMap<String, usize>,
    /// What was measured, the baseline first.
    points: Vec<Evaluated>,
    run: usize,
    reused: usize,
    /// Seconds of one trial of the baseline; zero if none was run.
    trial_seconds: f64,
}

impl<'a> Session<'a> {
    /// Begins a search by measuring the baseline.
    ///
    /// # Errors
    /// [`TuneError`], also if the baseline has no value of what is improved.
    pub fn begin(
        experiment: &'a Experiment,
        tuning: &'a mut Tuning,
        options: &'a RunOptions,
        interrupt: &'a Interrupt,
        code: &'a str,
    ) -> Result<Self, TuneError> {
        let points = 1 + points_of(&tuning.request, &tuning.space);
        let trials = points.saturating_mul(tuning.seeds.len());
        let mut session = Self {
            progress: Arc::new(Progress::new(trials, "trials", options.quiet)),
            experiment,
            tuning,
            options,
            interrupt,
            code,
            cases: Vec::new(),
            trials: Vec::new(),
            known: BTreeMap::new(),
            points: Vec::new(),
            run: 0,
            reused: 0,
            trial_seconds: 0.0,
        };
        session.measure_baseline()?;
        Ok(session)
    }

    fn measure_baseline(&mut self) -> Result<(), TuneError> {
        let name = &self.experiment.baseline;
        let mut cases = self.experiment.cases.iter();
        let case = cases.find(|case| case.variant == *name);
        let case = case.expect("every variant has a case").clone();
        let point = Evaluated {
            name: name.clone(),
            x: self.tuning.baseline.clone().unwrap_or_default(),
            settings: self.tuning.before.iter().map(Before::shown).collect(),
            share: 1.0,
            means: Measured::new(),
            outcome: Outcome::Failed,
            why: String::new(),
        };
        let began = self.progress.elapsed();
        self.measure(vec![Fresh { case, point }])?;
        let seconds = (self.progress.elapsed() - began).as_secs_f64();
        let rounds = self.run.div_ceil(self.options.jobs.max(1));
        if rounds > 0 {
            self.trial_seconds = seconds / rounds as f64;
        }
        let Evaluated {
            outcome,
            means,
            why,
            name,
            ..
        } = &self.points[0];
        if *outcome != Outcome::Failed {
            return Ok(());
        }
        let names = self.tuning.goal.names();
        let missing = names.into_iter().find(|name| !means.contains_key(name));
        Err(TuneError::Baseline {
            name: name.clone(),
            metric: missing.unwrap_or_default(),
            why: why.clone(),
        })
    }

    /// What the whole will cost, in words; the baseline's trials are run by now.
    pub fn price(&self) -> String {
        let tuning = &self.tuning;
        let seeds = tuning.seeds.len();
        let points = points_of(&tuning.request, &tuning.space);
        let confirm = 2 * tuning.fresh_seeds.len();
        let all = (points + 1) * seeds + confirm;
        let jobs = self.options.jobs.max(1);
        let mut price = format!(
            "{all} trials: {points} points and the baseline under {seeds} seeds, and {confirm} \
             to confirm"
        );
        if self.trial_seconds > 0.0 {
            let left = (all - self.run) as f64 * self.trial_seconds / jobs as f64;
            price += &format!(
                "; about {} at {} s a trial and {jobs} in parallel, if other settings are as fast \
                 as the baseline's",
                in_words(left),
                digits(self.trial_seconds, 2)
            );
        }
        price
    }

    /// Searches until the budget is spent or nothing is left to ask for, and freezes the plan of
    /// all that was measured.
    ///
    /// # Errors
    /// [`TuneError`].
    pub fn search(mut self) -> Result<Found, TuneError> {
        let request = self.tuning.request;
        let mut search = search::begin(&request);
        let mut known: Vec<Known> = Vec::new();
        if self.tuning.baseline.is_some() {
            known.push(self.points[0].known());
        }
        let mut left = request.points as f64;
        let mut dry = 0;
        while left > 1e-9 && dry < DRY_MAX {
            let asked = search.ask(&self.tuning.space, &known, left);
            if asked.is_empty() {
                break;
            }
            let before = self.points.len();
            for at in self.settle(asked)? {
                known.push(at.known());
            }
            let new = &self.points[before..];
            dry = if new.is_empty() { dry + 1 } else { 0 };
            if !matches!(request.method, Method::Grid | Method::Halving) {
                left -= new.iter().map(|point| point.share).sum::<f64>();
            }
        }
        self.progress.finish();
        let folder = self.folder();
        let record = self.as_experiment(self.cases.clone());
        let mut plan = Plan::new(&record, self.code);
        plan.trials = self.trials;
        plan.write(&folder)?;
        let mut points = self.points.into_iter();
        let baseline = points.next().expect("the baseline is measured first");
        let points: Vec<Evaluated> = points.collect();
        let feasible = points.iter().filter(|point| point.share == 1.0);
        let feasible = feasible.filter(|point| point.outcome.feasible().is_some());
        let best = feasible.min_by(|a, b| a.outcome.order(&b.outcome)).cloned();
        Ok(Found {
            folder,
            baseline,
            points,
            best,
            run: self.run,
            reused: self.reused,
        })
    }

    fn folder(&self) -> RunFolder {
        RunFolder::new(self.options.results.join(search_name(self.experiment)))
    }

    /// Measures the points that are new; returns all that were asked for, in order.
    fn settle(&mut self, asked: Vec<Proposal>) -> Result<Vec<Evaluated>, TuneError> {
        let mut fresh = Vec::new();
        let mut places = Vec::new();
        let mut refused = Vec::new();
        for Proposal { x, share } in asked {
            let number = self.points.len() + fresh.len() + refused.len();
            let mut point = self.unmeasured(number, x, share);
            match self.tuning.case(&point.name, &point.x, share) {
                Err(error) => {
                    point.why = error.to_string();
                    refused.push(point.clone());
                    places.push(Place::Refused(point));
                }
                Ok(case) => {
                    let next = self.points.len() + fresh.len();
                    let at = *self.known.entry(case.canonical()).or_insert(next);
                    if at == next {
                        fresh.push(Fresh { case, point });
                    }
                    places.push(Place::At(at));
                }
            }
        }
        self.measure(fresh)?;
        self.points.extend(refused);
        let found = |place| match place {
            Place::At(at) => self.points[at].clone(),
            Place::Refused(point) => point,
        };
        Ok(places.into_iter().map(found).collect())
    }

    fn unmeasured(&self, number: usize, x: Vec<f64>, share: f64) -> Evaluated {
        let name = if share == 1.0 {
            format!("p{number:03}")
        } else {
            format!("p{number:03} of {}", digits(share, 2))
        };
        let settings = self.tuning.space.settings(&x).into_iter();
        Evaluated {
            name,
            settings: settings.map(|it| (it.key, it.label)).collect(),
            x,
            share,
            means: Measured::new(),
            outcome: Outcome::Failed,
            why: String::new(),
        }
    }

    /// Runs cases under every seed of the search, and adds what came of them to the points.
    fn measure(&mut self, fresh: Vec<Fresh>) -> Result<(), TuneError> {
        if fresh.is_empty() {
            return Ok(());
        }
        let cases: Vec<Case> = fresh.iter().map(|fresh| fresh.case.clone()).collect();
        self.cases.extend(cases.iter().cloned());
        let batch = self.as_experiment(cases);
        let plan = Plan::new(&batch, self.code);
        let report = run::run_within(&plan, self.options, self.interrupt, Some(&self.progress))?;
        self.run += report.run;
        self.reused += report.reused;
        (0..report.reused).for_each(|_| self.progress.end("done before"));
        if let Some(stop) = &report.stop {
            return Err(TuneError::Stopped(match stop {
                Stop::Alike { failed, why } => format!("{failed} trials failed alike: {why}"),
                Stop::DiskFull { why } => why.clone(),
            }));
        }
        // The trials may be those of another build, by other ids.
        let plan = Plan::read(&report.folder)?;
        let rows = rows_of(&report.folder, &plan.ids())?;
        self.trials.extend(plan.trials);
        for Fresh { point, case } in fresh {
            let measured = self.judged(point, &rows, &report);
            self.known
                .entry(case.canonical())
                .or_insert(self.points.len());
            self.points.push(measured);
        }
        self.show_best();
        Ok(())
    }

    /// Judges a point by the rows of its trials.
    fn judged(&self, point: Evaluated, rows: &[TidyRow], report: &RunReport) -> Evaluated {
        let own = rows.iter().filter(|row| row.trial.variant == point.name);
        let goal = &self.tuning.goal;
        let means = goal.means(own, self.tuning.seeds.len());
        let baseline = self.points.first().map_or(&means, |it| &it.means);
        let outcome = goal.outcome(&means, baseline);
        let of_point = format!("{}, ", point.name);
        let mut failures = report.failed.iter();
        let failure = failures.find(|failed| failed.trial.starts_with(&of_point));
        let missing = || {
            let names = goal.names().into_iter();
            let missing: Vec<String> = names.filter(|name| !means.contains_key(name)).collect();
            format!("no value of {}", missing.join(", "))
        };
        let why = match (&outcome, failure) {
            (Outcome::Measured { .. }, _) => String::new(),
            (Outcome::Failed, Some(failed)) => failed.why.clone(),
            (Outcome::Failed, None) => missing(),
        };
        Evaluated {
            means,
            outcome,
            why,
            ..point
        }
    }

    fn show_best(&self) {
        let goal = &self.tuning.goal;
        let whole = self.points.iter().filter(|point| point.share == 1.0);
        let best = whole.min_by(|a, b| a.outcome.order(&b.outcome));
        let Some(best) = best.filter(|best| best.outcome.feasible().is_some()) else {
            return;
        };
        if let Some(value) = goal.shown(&best.means, &self.points[0].means) {
            let name = &best.name;
            self.progress
                .know(format!("best {}: {name}", significant(value)));
        }
    }

    /// The cases as an experiment under the seeds of the search.
    fn as_experiment(&self, cases: Vec<Case>) -> Experiment {
        let named = |case: &Case| VariantSettings {
            name: case.variant.clone(),
            settings: case.settings_of(self.tuning.before.iter().map(|it| it.key.as_str())),
        };
        Experiment {
            name: search_name(self.experiment),
            command: tune_command(self.experiment),
            expect: Vec::new(),
            seeds: self.tuning.seeds.clone(),
            compare: compared_by(&self.tuning.goal, &self.experiment.compare),
            variants: cases.iter().map(named).collect(),
            cases,
            ..self.experiment.clone()
        }
    }
}

/// A case to be measured.
struct Fresh {
    case: Case,
    point: Evaluated,
}

/// Where the outcome of a point that was asked for is.
enum Place {
    At(usize),
    Refused(Evaluated),
}

impl Evaluated {
    fn known(&self) -> Known {
        Known {
            x: self.x.clone(),
            share: self.share,
            outcome: self.outcome.clone(),
        }
    }
}

/// The best point and the baseline as an experiment under fresh seeds.
///
/// # Errors
/// [`ConfigError`](crate::config::ConfigError) if the winner's settings do not fit together, which
/// a measured point's do.
pub fn confirmation(
    experiment: &Experiment,
    tuning: &mut Tuning,
    found: &Found,
) -> Result<Experiment, crate::config::ConfigError> {
    let best = found.best.as_ref().unwrap_or(&found.baseline);
    let winner = tuning.case(WINNER, &best.x, 1.0)?;
    let mut cases = experiment.cases.iter();
    let baseline = cases.find(|case| case.variant == experiment.baseline);
    let cases = vec![baseline.expect("every variant has a case").clone(), winner];
    let keys: Vec<&str> = tuning.before.iter().map(|it| it.key.as_str()).collect();
    let named = |case: &Case| VariantSettings {
        name: case.variant.clone(),
        settings: case.settings_of(keys.iter().copied()),
    };
    Ok(Experiment {
        name: format!("{}-confirm", search_name(experiment)),
        command: tune_command(experiment),
        expect: Vec::new(),
        seeds: tuning.fresh_seeds.clone(),
        compare: compared_by(&tuning.goal, &experiment.compare),
        variants: cases.iter().map(named).collect(),
        cases,
        ..experiment.clone()
    })
}

/// How the winner is compared with the baseline: what is improved is primary, what is kept is
/// looked at beside the config's own metrics.
fn compared_by(goal: &Goal, own: &CompareConfig) -> CompareConfig {
    let mut primary: Vec<String> = Vec::new();
    for term in &goal.terms {
        if !primary.iter().any(|name| name == term.metric.name) {
            primary.push(term.metric.name.to_owned());
        }
    }
    let limits = goal.limits.iter();
    let limits = limits.map(|limit| limit.metric.name.to_owned());
    let own_metrics = own.primary.iter().chain(&own.also).cloned();
    let also = limits.chain(own_metrics);
    CompareConfig {
        also: also.filter(|name| !primary.contains(name)).collect(),
        primary: primary.clone(),
        ..own.clone()
    }
}

/// The name of the folder of a search.
fn search_name(experiment: &Experiment) -> String {
    format!("{}-tune", experiment.name)
}

/// The shell command that repeats a search.
fn tune_command(experiment: &Experiment) -> String {
    experiment.command.replacen(" run ", " tune ", 1)
}

/// The metrics of finished trials; none if none is finished.
fn rows_of(folder: &RunFolder, ids: &BTreeSet<String>) -> Result<Vec<TidyRow>, StoreError> {
    match store::gather(folder, Some(ids)) {
        Ok(collected) => Ok(collected.rows),
        Err(StoreError::NoTrials(_)) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn in_words(seconds: f64) -> String {
    if seconds < 90.0 {
        format!("{} s", digits(seconds, 2))
    } else {
        format!("{} min", digits(seconds / 60.0, 2))
    }
}
