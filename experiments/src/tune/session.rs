//! One search: points are asked for, run under every seed, and judged, until the budget is spent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::experiments::{compared_by, named, search_name, tune_command};
use super::price;
use crate::config::{Before, Case, Experiment, Tuning};
use crate::folders::RunFolder;
use crate::formats::{digits, significant};
use crate::optimise::goal::{Lack, Measured};
use crate::optimise::search::{self, Known, Method, Outcome, Proposal};
use crate::plan::{Plan, PlanError, PlannedTrial};
use crate::point::Point;
use crate::progress::Progress;
use crate::run::{self, Interrupt, RunError, RunOptions, RunReport, Stop};
use crate::store::{self, StoreError, TidyRow};

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
    /// A figure cannot be written.
    #[error(transparent)]
    Plot(#[from] crate::plot::PlotError),
    /// The baseline has no value of a metric that the search needs, or none that it can use.
    #[error("the search has nothing to start from: the baseline `{name}` failed: {why}")]
    Baseline {
        /// The baseline.
        name: String,
        /// Why.
        why: String,
    },
    /// The baseline does not fit a part of the operations.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
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
    /// The baseline's means at the sizes of rungs, by the bits of their share.
    parts: BTreeMap<u64, Measured>,
    /// What was measured, the baseline first.
    points: Vec<Evaluated>,
    run: usize,
    reused: usize,
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
        let confirm = 2 * tuning.fresh_seeds.len();
        let trials = tuning.trials_at_most() - confirm;
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
            parts: BTreeMap::new(),
            points: Vec::new(),
            run: 0,
            reused: 0,
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
        self.measure(vec![Fresh { case, point }])?;
        let Evaluated {
            outcome, why, name, ..
        } = &self.points[0];
        match outcome {
            Outcome::Measured { .. } => Ok(()),
            Outcome::Failed => Err(TuneError::Baseline {
                name: name.clone(),
                why: why.clone(),
            }),
        }
    }

    /// What the whole will cost, in words; the baseline's trials are run by now.
    pub fn price(&self) -> String {
        let options = self.options;
        let seconds = price::seconds(&self.folder(), &self.trials);
        price::in_words(self.tuning, self.run + self.reused, seconds, options.jobs)
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
        for proposal in &asked {
            self.measure_part(proposal.share)?;
        }
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
        let name = sized(&format!("p{number:03}"), share);
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

    /// Measures the baseline with a share of the operations, which points of that size are held
    /// against.
    fn measure_part(&mut self, share: f64) -> Result<(), TuneError> {
        if share == 1.0 || self.parts.contains_key(&share.to_bits()) {
            return Ok(());
        }
        let name = sized(&self.experiment.baseline, share);
        let case = self.tuning.baseline_case(&name, share)?;
        let measured = self.run_all(vec![case])?;
        let (means, why) = self.means_of(&name, &measured);
        match why {
            Some(why) => Err(TuneError::Baseline { name, why }),
            None => {
                self.parts.insert(share.to_bits(), means);
                Ok(())
            }
        }
    }

    /// Runs cases under every seed of the search, and adds what came of them to the points.
    fn measure(&mut self, fresh: Vec<Fresh>) -> Result<(), TuneError> {
        if fresh.is_empty() {
            return Ok(());
        }
        let cases = fresh.iter().map(|fresh| fresh.case.clone()).collect();
        let measured = self.run_all(cases)?;
        for Fresh { point, case } in fresh {
            let point = self.judged(point, &measured);
            self.known
                .entry(case.canonical())
                .or_insert(self.points.len());
            self.points.push(point);
        }
        self.show_best();
        Ok(())
    }

    /// Runs cases under every seed of the search.
    fn run_all(&mut self, cases: Vec<Case>) -> Result<Trials, TuneError> {
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
        Ok(Trials { rows, report })
    }

    /// The means of a variant's metrics; and why some are missing, if so.
    fn means_of(&self, variant: &str, trials: &Trials) -> (Measured, Option<String>) {
        let own = trials.rows.iter();
        let own = own.filter(|row| row.trial.variant == variant);
        let goal = &self.tuning.goal;
        let means = goal.means(own, self.tuning.seeds.len());
        let of_variant = format!("{variant}, ");
        let mut failures = trials.report.failed.iter();
        let failure = failures.find(|failed| failed.trial.starts_with(&of_variant));
        let names = goal.names().into_iter();
        let missing: Vec<String> = names.filter(|name| !means.contains_key(name)).collect();
        let why = match failure {
            Some(failed) => Some(failed.why.clone()),
            None if missing.is_empty() => None,
            None => Some(Lack::Missing(missing).to_string()),
        };
        (means, why)
    }

    /// Judges a point by its trials.
    fn judged(&self, point: Evaluated, trials: &Trials) -> Evaluated {
        let (means, why) = self.means_of(&point.name, trials);
        let goal = &self.tuning.goal;
        let baseline = self.points.first().map_or(&means, |it| &it.means);
        let outcome = match (why, self.parts.get(&point.share.to_bits())) {
            (Some(why), _) => Err(why),
            (None, None) => goal.outcome(&means, baseline).map_err(|it| it.to_string()),
            (None, Some(part)) => {
                let moved = goal.at_full_size(&means, part, baseline);
                goal.outcome(&moved, baseline).map_err(|it| it.to_string())
            }
        };
        let (outcome, why) = match outcome {
            Ok(outcome) => (outcome, String::new()),
            Err(why) => (Outcome::Failed, why),
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
        Experiment {
            name: search_name(self.experiment),
            command: tune_command(self.experiment),
            expect: Vec::new(),
            seeds: self.tuning.seeds.clone(),
            compare: compared_by(&self.tuning.goal, &self.experiment.compare),
            variants: named(self.tuning, &cases),
            cases,
            ..self.experiment.clone()
        }
    }
}

/// The name of a variant with a share of the operations.
fn sized(name: &str, share: f64) -> String {
    match share == 1.0 {
        true => name.to_owned(),
        false => format!("{name} of {}", digits(share, 2)),
    }
}

/// The trials of a batch.
struct Trials {
    rows: Vec<TidyRow>,
    report: RunReport,
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

/// The metrics of finished trials; none if none is finished.
fn rows_of(folder: &RunFolder, ids: &BTreeSet<String>) -> Result<Vec<TidyRow>, StoreError> {
    match store::gather(folder, Some(ids)) {
        Ok(collected) => Ok(collected.rows),
        Err(StoreError::NoTrials(_)) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
