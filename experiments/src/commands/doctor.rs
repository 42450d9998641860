//! `aura doctor`: what disturbs measurements on this machine.

use std::path::PathBuf;

use clap::Args;

use super::{CommandResult, Global, database};
use crate::doctor::{Fact, Health, Readings, Sample, judge, own_processes};
use crate::exit::Exit;
use crate::formats::{Table, column, print};

/// Nanoseconds between the two looks at the processor and the processes.
const WATCHED: u64 = 1_000_000_000;

/// Say what disturbs measurements on this machine: each fact with its consequence and its fix.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  aura doctor
  aura doctor --strict /mnt/nvme
  aura doctor --format json | jq -r 'select(.verdict == \"warning\") | .fix'

Prints one row per fact: its value, a verdict (ok, unknown, note or warning), what follows from it
for measurements, and what helps. Stolen time and other processes are those of one second. What the
system does not say is unknown, never a guess. Trials of the real world record the same facts in
their manifests, and reports repeat the warnings.

Exit codes:
  0  done
  1  with --strict: there is a warning
  2  bad usage
  3  standard output cannot be written")]
pub(super) struct Arguments {
    /// The directory whose disk is looked at; it need not exist. Default: the results.
    directory: Option<PathBuf>,
    /// End with code 1 if there is a warning.
    #[arg(long)]
    strict: bool,
}

impl Arguments {
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        let before = Sample::take();
        let world = database::world()?;
        world.block_on(world.env().clock.sleep(WATCHED));
        let spent = Sample::take().since(&before, &own_processes());
        let directory = self.directory.as_ref().unwrap_or(&global.results);
        let facts = judge(&Readings::take(directory), &spent);
        print(&table(&facts).text(global.format))?;
        let count = |health| facts.iter().filter(|fact| fact.health == health).count();
        let warnings = count(Health::Warning);
        global.remark(&format!(
            "{warnings} warnings, {} notes, {} unknown",
            count(Health::Note),
            count(Health::Unknown)
        ));
        Ok(if self.strict && warnings > 0 {
            Exit::ClaimFailed
        } else {
            Exit::Done
        })
    }
}

fn table(facts: &[Fact]) -> Table {
    let columns = [
        column("fact", |fact: &Fact| fact.name.clone().into()),
        column("value", |fact| fact.value.clone().into()),
        column("verdict", |fact| fact.health.name().into()),
        column("consequence", |fact| fact.consequence.clone().into()),
        column("fix", |fact| fact.fix.clone().into()),
    ];
    Table::of(&columns, facts)
}
