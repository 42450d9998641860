//! `aura diff`: what changed between two runs.

use std::path::PathBuf;

use clap::Args;

use super::{CommandResult, Global, OpenedRun, run_folder};
use crate::diff::{Difference, Line, Part, Run, difference};
use crate::exit::Exit;
use crate::formats::{Cell, Column, Table, column, digits, print};

/// Show what changed between two runs: settings first, then exact counters, then the rest.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  aura diff quickstart smaller-cache
  aura diff results/main results/branch --format csv
  aura diff before after --exact        does a change of the code change any count?

Trials are paired by variant, sweep point and seed; of two runs with one variant each, these are
paired. There are no verdicts: two runs are not interleaved. `aura ab` decides.

Prints one row for each thing that differs: the part (experiment, setting, exact or noisy), what it
is, where, both values, the change in % and in how many seeds. What is equal is counted on standard
error.

Exit codes: 0 compared; 1 with --exact: something exact differs; 2 one is no run; 3 the results
cannot be read.")]
pub(super) struct Arguments {
    /// The first run: a folder, or its name below the results.
    a: PathBuf,
    /// The second run.
    b: PathBuf,
    /// Leave out what is measured in wall time, and end with code 1 if a metric that repeats
    /// exactly differs.
    #[arg(long)]
    exact: bool,
}

const COLUMNS: [Column<Line>; 7] = [
    column("part", |line| line.part.name().into()),
    column("what", |line| line.what.as_str().into()),
    column("where", |line| line.place.as_str().into()),
    column("a", |line| line.a.as_str().into()),
    column("b", |line| line.b.as_str().into()),
    column("change", |line| match line.change {
        None => Cell::number(None),
        Some(change) => {
            let sign = if change > 0.0 { "+" } else { "" };
            Cell::new(change, format!("{sign}{} %", digits(change * 100.0, 3)))
        }
    }),
    column("seeds", |line| match line.seeds {
        None => Cell::number(None),
        Some([differ, all]) => format!("{differ} of {all}").into(),
    }),
];

impl Arguments {
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        let open = |run| OpenedRun::read(run_folder(global, run));
        let [a, b] = [open(&self.a)?, open(&self.b)?];
        let sides = [&a, &b].map(|run| Run {
            plan: &run.plan,
            rows: &run.rows,
        });
        let mut found = difference(sides[0], sides[1]);
        if self.exact {
            found.lines.retain(|line| line.part != Part::Noisy);
        }
        if !found.lines.is_empty() {
            print(&Table::of(&COLUMNS, &found.lines).text(global.format))?;
        }
        global.remark(&summary(&found));
        let exact = found.lines.iter().any(|line| line.part == Part::Exact);
        Ok(if self.exact && exact {
            Exit::ClaimFailed
        } else {
            Exit::Done
        })
    }
}

/// How much differs and how much is equal, in a line.
fn summary(found: &Difference) -> String {
    let count = |part| found.lines.iter().filter(|line| line.part == part).count();
    let mut line = format!(
        "{} settings differ; over {} common trials, {} exact metrics differ and {} are equal",
        count(Part::Setting),
        found.pairs,
        count(Part::Exact),
        found.equal
    );
    if found.pairs == 0 {
        line += ": no variant, point and seed is in both runs";
    }
    line
}
