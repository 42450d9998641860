//! `aura schema`: the JSON schema of configs.

use clap::{Args, ValueEnum};

use super::{CommandResult, Global};
use crate::config;
use crate::exit::Exit;
use crate::formats::print;

/// Print the JSON schema of configs, for editors.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Example:
  aura schema > aura.schema.json

With `#:schema ./aura.schema.json` as a config's first line, editors that know TOML schemas complete
and check it.

Prints a JSON schema on standard output, whatever --format says.

Exit codes: 0 printed; 2 bad usage; 3 standard output cannot be written.")]
pub(super) struct Arguments {
    /// What the schema describes.
    #[arg(value_enum, default_value_t)]
    what: Schema,
}

/// What has a schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Schema {
    /// Experiment configs.
    #[default]
    Config,
}

impl Arguments {
    pub(super) fn run(&self, _global: &Global) -> CommandResult {
        let schema = match self.what {
            Schema::Config => config::schema(),
        };
        print(&format!("{schema:#}\n"))?;
        Ok(Exit::Done)
    }
}
