//! The pairs of a comparison, one after the other, with a look at the time and, if that is wanted,
//! at the results.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::super::{Failure, Global, OpenedRun};
use crate::code;
use crate::compare::{CompareRow, Comparison};
use crate::config::Experiment;
use crate::formats::duration;
use crate::plan::Plan;
use crate::record::World;
use crate::run::{Interrupt, RunOptions, RunReport};
use crate::stats::verdict::Verdict;

/// Runs pairs until they are done, the time is up, or the primary metrics are decided.
pub(super) struct Session<'a> {
    pub(super) global: &'a Global,
    options: RunOptions,
    interrupt: Interrupt,
    budget: Option<Duration>,
    begun: Instant,
    /// The longest that a pair took.
    longest: Duration,
}

impl<'a> Session<'a> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a budget is time of the person who waits"
    )]
    pub(super) fn new(
        global: &'a Global,
        options: RunOptions,
        interrupt: Interrupt,
        budget: Option<Duration>,
    ) -> Self {
        Self {
            global,
            options,
            interrupt,
            budget,
            begun: Instant::now(),
            longest: Duration::ZERO,
        }
    }

    /// Says how long a number of pairs takes, from those that were run.
    pub(super) fn say_price(&self, pairs: usize) {
        let price = self.longest * u32::try_from(pairs).unwrap_or(u32::MAX);
        if !price.is_zero() {
            let [pair, all] = [self.longest, price].map(|it| duration(it.as_secs_f64()));
            self.global
                .remark(&format!("{pairs} pairs of up to {pair} each: {all}"));
        }
    }

    /// Runs a pilot, all of it: its pairs are part of the budget.
    pub(super) fn pilot(&mut self, pilot: &Experiment) -> Result<RunReport, Failure> {
        let programs = std::mem::take(&mut self.options.programs);
        // Both sides are A.
        if let Some(of_a) = programs.get(&pilot.baseline) {
            for variant in &pilot.variants {
                let program = of_a.clone();
                self.options.programs.insert(variant.name.clone(), program);
            }
        }
        let report = self.pairs(pilot, pilot.seeds.len());
        self.options.programs = programs;
        report
    }

    /// Runs the pairs of a comparison, and says why it ended early if it did.
    pub(super) fn run(&mut self, experiment: &Experiment) -> Result<RunReport, Failure> {
        let all = experiment.seeds.len();
        let sequential = experiment.compare.sequential;
        if self.budget.is_none() && !sequential {
            return self.pairs(experiment, all);
        }
        let real = experiment.cases[0].config.world.kind == World::Real;
        // Simulated pairs run side by side: one look for each batch of them.
        let step = if real {
            1
        } else {
            self.options.jobs.div_ceil(2)
        };
        let mut done = 0;
        loop {
            done = (done + step).min(all);
            let report = self.pairs(experiment, done)?;
            if report.stop.is_some() || !report.failed.is_empty() || done == all {
                return Ok(report);
            }
            if sequential && self.is_decided(&report)? {
                self.global
                    .remark(&format!("decided after {done} of at most {all} pairs"));
                return Ok(report);
            }
            if self.is_over(step) {
                self.global.remark(&format!(
                    "the time is up: {done} of {all} pairs were run, whatever they showed"
                ));
                return Ok(report);
            }
        }
    }

    /// Runs the first pairs of a comparison that have not been run yet.
    fn pairs(&mut self, experiment: &Experiment, count: usize) -> Result<RunReport, Failure> {
        let mut part = experiment.clone();
        part.seeds.truncate(count);
        let mut digests = BTreeMap::new();
        for (variant, program) in &self.options.programs {
            digests.insert(variant.clone(), code::digest_of(program)?);
        }
        let plan = Plan::for_programs(&part, code::digest()?, &digests);
        let begun = self.begun.elapsed();
        let report = crate::run::run(&plan, &self.options, &self.interrupt)?;
        let pairs = u32::try_from(report.run.div_ceil(2)).unwrap_or(u32::MAX);
        if pairs > 0 {
            let took = (self.begun.elapsed() - begun) / pairs;
            self.longest = self.longest.max(took);
        }
        Ok(report)
    }

    /// Whether the next pairs would end after the budget.
    fn is_over(&self, pairs: usize) -> bool {
        let next = self.longest * u32::try_from(pairs).unwrap_or(u32::MAX);
        let end = self.begun.elapsed() + next;
        self.budget.is_some_and(|budget| end > budget)
    }

    /// Whether every primary metric is decided; shows how far they are.
    fn is_decided(&self, report: &RunReport) -> Result<bool, Failure> {
        let comparison = OpenedRun::read(report.folder.clone())?.comparison()?;
        for row in primary(&comparison) {
            if row.low.is_some() {
                self.global.remark(&format!(
                    "{} pairs: {}, {}: {}: {}",
                    row.pairs,
                    row.metric,
                    row.phase,
                    row.effect_label(),
                    row.verdict.name()
                ));
            }
        }
        let mut rows = primary(&comparison);
        Ok(rows.all(|row| row.verdict != Verdict::Undecided))
    }
}

fn primary(comparison: &Comparison) -> impl Iterator<Item = &CompareRow> {
    comparison.rows.iter().filter(|row| row.primary)
}
