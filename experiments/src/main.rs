//! `aura`: experiments on storage policies, from a config to a verdict.

use std::process::ExitCode;

use aura_experiments::{cli::Cli, commands};
use clap::Parser;

fn main() -> ExitCode {
    commands::execute(Cli::parse())
}
