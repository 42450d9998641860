//! `aura import`: configs made of other benchmarks' files.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{CommandResult, Failure, Global};
use crate::exit::Exit;
use crate::files;
use crate::formats::print;
use crate::ycsb::{self, YcsbError};

/// Make a config of another benchmark's file.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  aura import ycsb workloada -o workload-a.toml
  aura run workload-a.toml

Prints a config, or writes it to the file that -o names.

Exit codes: 0 done; 2 bad usage, or a file that cannot be understood; 3 a file cannot be written.")]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Ycsb(Ycsb),
}

/// Make a config of a property file of YCSB's core workload.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  aura import ycsb workloads/workloada
  aura import ycsb work.properties -p recordcount=1000000 -p threadcount=8 -o work.toml

Every property has YCSB's own default. A record of several fields is one value; as in YCSB's RocksDB
binding, an update of one field reads the value and writes it back. What the config has no place for
stands in it as a comment, with the reason, and is named on standard error. A property that YCSB's
core workload does not have is an error, with the nearest name.

Prints the config, or writes it to the file that -o names.

Exit codes: 0 done; 2 bad usage, or a property that cannot be understood; 3 the file cannot be
written.")]
struct Ycsb {
    /// The property file.
    file: PathBuf,
    /// A further property, which holds in the place of the file's.
    #[arg(short, long = "property", value_name = "KEY=VALUE")]
    property: Vec<String>,
    /// The file to be written. Default: standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl From<YcsbError> for Failure {
    fn from(error: YcsbError) -> Self {
        let help = match &error {
            YcsbError::File(_) => "name a property file of YCSB, such as workloads/workloada",
            YcsbError::Unknown { .. } => "correct it, or take it out: YCSB ignores it in silence",
            _ => "YCSB's CoreWorkload says what a property may be",
        };
        Self::usage(error, help)
    }
}

impl Arguments {
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        let Command::Ycsb(ycsb) = &self.command;
        ycsb.run(global)
    }
}

impl Ycsb {
    fn run(&self, global: &Global) -> CommandResult {
        let mut sets = Vec::new();
        for property in &self.property {
            let Some((key, value)) = property.split_once('=') else {
                return Err(Failure::usage(
                    format_args!("-p {property}: it is not of the form KEY=VALUE"),
                    "such as -p recordcount=1000000",
                ));
            };
            sets.push((key.trim().to_owned(), value.to_owned()));
        }
        let imported = ycsb::import(&self.file, &sets)?;
        for remark in &imported.remarks {
            global.remark(&format!("warning: {remark}"));
        }
        match &self.output {
            None => print(&imported.config)?,
            Some(path) => {
                files::write(path, imported.config.as_bytes()).map_err(Failure::environment)?;
                global.remark(&format!("wrote {}", path.display()));
            }
        }
        Ok(Exit::Done)
    }
}
