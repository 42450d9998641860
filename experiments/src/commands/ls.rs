//! `aura ls`: what results there are.

use clap::Args;

use super::{CommandResult, Global};
use crate::code;
use crate::exit::Exit;
use crate::files;
use crate::formats::{Cell, Table, column, duration, print};
use crate::results::{self, Run};

/// List the results there are: question, verdict, trials, program, machine, age.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  aura ls
  aura ls --results /data/results --format json

Prints one row per run in the results folder, the last that changed first: its name, the question,
the answer of the last comparison in short, trials done of those planned, the program that planned
it (`this`, or the first digits of another), the machine of its first trial, and its age. Trials are
counted, not read.

Exit codes: 0 listed; 2 bad usage; 3 the folder cannot be read.")]
pub(super) struct Arguments {}

/// The most letters of a question in a table.
const QUESTION: usize = 60;

impl Arguments {
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        let runs = results::list(&global.results)?;
        let this = code::digest()?;
        let now = files::seconds_since_1970();
        let rows: Vec<Row> = runs.iter().map(|run| Row { run, this, now }).collect();
        let columns = [
            column("run", |row: &Row| row.run.name.clone().into()),
            column("question", |row| {
                Cell::new(row.run.question.clone(), shortened(&row.run.question))
            }),
            column("verdict", |row| verdict(row.run)),
            column("done", |row| row.run.done.into()),
            column("planned", |row| row.run.planned.into()),
            column("code", |row| program(row)),
            column("machine", |row| row.run.machine.clone().into()),
            column("age", age),
        ];
        print(&Table::of(&columns, &rows).text(global.format))?;
        if rows.is_empty() {
            let folder = global.results.display();
            global.remark(&format!(
                "{folder} holds no run; --results names another folder"
            ));
        }
        Ok(Exit::Done)
    }
}

struct Row<'a> {
    run: &'a Run,
    /// The digest of this program.
    this: &'a str,
    /// Seconds since 1970.
    now: u64,
}

fn shortened(question: &str) -> String {
    if question.chars().count() <= QUESTION {
        return question.to_owned();
    }
    let kept: String = question.chars().take(QUESTION - 1).collect();
    format!("{}\u{2026}", kept.trim_end())
}

fn verdict(run: &Run) -> Cell {
    match (&run.verdict, run.damage.as_str()) {
        (_, damage) if !damage.is_empty() => format!("cannot be read: {damage}").into(),
        (Some(verdict), _) => verdict.clone().into(),
        (None, _) => Cell::new(serde_json::Value::Null, "not compared yet".to_owned()),
    }
}

/// The program in a word: most runs are of this one, or of one whose first digits name it.
fn program(row: &Row) -> Cell {
    let code = row.run.code.clone();
    if code == row.this {
        return Cell::new(code, "this".to_owned());
    }
    let short: String = code.chars().take(4).collect();
    Cell::new(code, format!("{short} (other)"))
}

fn age(row: &Row) -> Cell {
    match row.run.changed {
        None => Cell::from(serde_json::Value::Null),
        Some(changed) => {
            let seconds = row.now.saturating_sub(changed);
            Cell::new(seconds, duration(seconds as f64))
        }
    }
}
