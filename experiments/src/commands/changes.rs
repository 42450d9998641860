//! What the command line changes of a config, for the commands that plan an experiment.

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::RangedU64ValueParser;

use super::{Failure, Global};
use crate::plan::Plan;
use crate::{code, config};

/// Changes of a config.
#[derive(Clone, Debug, Args)]
pub(super) struct Changes {
    /// Set a key of the config, over everything the file says; the value is TOML, a bare word is
    /// text.
    #[arg(long, short, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Set the keys of a file, such as the winner.toml of `aura tune`. A table that is one choice
    /// (a policy, a mix, sync) replaces what the config chose; others are merged. Of several files
    /// the last is the strongest, and --set is stronger.
    #[arg(long, value_name = "FILE")]
    with: Vec<PathBuf>,
    /// The seeds 1 to N, or FROM to TO: short for `--set seeds=N` or a list.
    #[arg(long, value_name = "N|FROM..TO", value_parser = seeds)]
    seeds: Option<String>,
    /// Run the experiment N times as large: records, operations, memory and sizes of files
    /// together. The results go to NAME-xN. A conclusion should hold there, too.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = scales())]
    scale: u64,
    /// Refuse a plan with more trials than this.
    #[arg(long, value_name = "N", default_value_t = config::TRIALS_MAX)]
    max_trials: u64,
}

impl Changes {
    /// Checks a config with these changes, and plans its trials for this program.
    pub(super) fn plan(&self, global: &Global, config: &Path) -> Result<Plan, Failure> {
        let (sets, size) = (self.sets()?, self.size());
        let experiment = config::load(config, &sets, size, &global.targets.known())?;
        Ok(Plan::new(&experiment, code::digest()?))
    }

    /// Everything that is set, the weakest first.
    pub(super) fn sets(&self) -> Result<Vec<String>, Failure> {
        let mut sets = Vec::new();
        for file in &self.with {
            sets.extend(config::overlay(file)?);
        }
        sets.extend(self.set.iter().cloned());
        sets.extend(self.seeds.as_ref().map(|seeds| format!("seeds={seeds}")));
        Ok(sets)
    }

    /// How large the experiment may be, and is made.
    pub(super) fn size(&self) -> config::Size {
        config::Size {
            scale: self.scale,
            trials_max: self.max_trials,
        }
    }
}

/// The most seeds of a range.
const SEEDS_MAX: u64 = 10_000;

/// The value of `seeds` in a config: a number, or a list for `FROM..TO`, both included.
fn seeds(text: &str) -> Result<String, String> {
    let whole = |text: &str| {
        let number = text.parse::<u64>();
        number.map_err(|_| format!("{text:?} is not a whole number; 8 or 9..20, for example"))
    };
    let Some((from, to)) = text.split_once("..") else {
        return whole(text).map(|count| count.to_string());
    };
    let (from, to) = (whole(from)?, whole(to)?);
    if to < from || to - from >= SEEDS_MAX {
        return Err(format!(
            "{from}..{to} is not 1 to {SEEDS_MAX} seeds in order"
        ));
    }
    let list: Vec<String> = (from..=to).map(|seed| seed.to_string()).collect();
    Ok(format!("[{}]", list.join(", ")))
}

/// The scales that an experiment can be run at.
pub(super) fn scales() -> RangedU64ValueParser {
    clap::value_parser!(u64).range(1..=1024)
}
