//! `aura regret`: arms that adapt, against those that stand still.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;

use super::{CommandResult, Failure, Global, OpenedRun, run_folder};
use crate::exit::Exit;
use crate::formats::print;
use crate::regret::{
    Cell, PriceConfig, RegretConfig, add_transitions, cells, cells_in_words, table, worst,
};
use crate::store;

/// Show what it cost not to know the workload: regret to the best variant that stands still.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  aura regret compaction-agents
  aura regret compaction-agents --device 0
  aura regret my-run --static leveled --static tiered --schedule scheduled

The config's table `regret` says which variants stand still and which know when the phases change;
all others adapt. The cost of a trial is the time of its phases and the time that the device worked,
the drain included: what an arm puts off is paid. --client and --device weigh the two; with
--device 0 what is left to the drain is free. Where it is not known how long the device worked, as
in the real world, the drain counts in full.

Prints one row per sweep point and variant, the cheapest first: its cost in seconds, its regret (its
cost over that of the best variant that stands still, less one) and the captured share (of the way
from there to the best-known schedule), each with its 95 % interval over seeds. Where phases change,
`transition s` is what that cost: the time of clients over the steady cost of the new phase's best
variant that stands still, until three pieces in a row (of twenty in a phase) are within a tenth of
it. `to reads` and `to writes` are the operations until then, by direction, and from how many
changes a variant did not recover before its phase was over. With
`frozen = { LEARNING = \"TWIN\" }` in the table `regret`, `explored` is the cost over that of the
frozen twin, less one. What each point can show follows on standard error: a point where the best
that stands still is at most 2 % behind the best of every phase put together, and behind every
schedule, is neutral; one where it is 10 % behind either is adaptive.

Exit codes: 0 shown; 2 a name is unknown, or nothing says what stands still; 3 the results cannot be
read.")]
pub(super) struct Arguments {
    /// The run: a folder, or its name below the results.
    run: PathBuf,
    /// A variant that stands still, instead of the config's.
    #[arg(long = "static", value_name = "VARIANT")]
    still: Vec<String>,
    /// A variant that knows when the phases change, instead of the config's.
    #[arg(long, value_name = "VARIANT")]
    schedule: Vec<String>,
    /// The price of a second in which clients are served. Default: the config's, or 1.
    #[arg(long, value_name = "PRICE")]
    client: Option<f64>,
    /// The price of a second in which the device works. Default: the config's, or 1.
    #[arg(long, value_name = "PRICE")]
    device: Option<f64>,
}

impl Arguments {
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        let run = OpenedRun::read(run_folder(global, &self.run))?;
        let config = self.config(&run)?;
        for warning in &run.plan.experiment.warnings {
            global.remark(&format!("warning: {warning}"));
        }
        let mut cells = cells_of(&run, &config)?;
        let courses = store::read_courses(&run.folder, Some(&run.plan.ids()))?;
        add_transitions(&mut cells, &run.rows, &courses);
        print(&table(&cells).text(global.format))?;
        for line in cells_in_words(&cells, &worst(&cells)) {
            global.remark(&line);
        }
        Ok(Exit::Done)
    }

    /// The config's table under the arguments.
    fn config(&self, run: &OpenedRun) -> Result<RegretConfig, Failure> {
        let mut config = run.plan.experiment.regret.clone().unwrap_or(RegretConfig {
            still: Vec::new(),
            schedules: Vec::new(),
            frozen: BTreeMap::new(),
            price: PriceConfig::default(),
        });
        if !self.still.is_empty() {
            config.still.clone_from(&self.still);
        }
        if !self.schedule.is_empty() {
            config.schedules.clone_from(&self.schedule);
        }
        config.price.client = self.client.unwrap_or(config.price.client);
        config.price.device = self.device.unwrap_or(config.price.device);
        let names = run.plan.experiment.variants.iter();
        let names: Vec<&str> = names.map(|variant| variant.name.as_str()).collect();
        config
            .check(&names)
            .map_err(|wrong| Failure::usage(wrong.message, "name variants of the run"))?;
        Ok(config)
    }
}

/// Says in words what the cells of a run can show; its rows are for `aura regret`.
pub(super) fn remark(
    global: &Global,
    run: &OpenedRun,
    config: &RegretConfig,
) -> Result<(), Failure> {
    let cells = cells_of(run, config)?;
    for line in cells_in_words(&cells, &worst(&cells)) {
        global.remark(&line);
    }
    global.remark(&format!(
        "aura regret {} has the regret of each variant",
        run.plan.experiment.name
    ));
    Ok(())
}

fn cells_of(run: &OpenedRun, config: &RegretConfig) -> Result<Vec<Cell>, Failure> {
    let advice = "`aura status` lists what is left to run";
    cells(&run.rows, config).map_err(|error| Failure::usage(error, advice))
}
