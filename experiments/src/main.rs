//! `aura`: experiments on storage policies, from a config to a verdict.

use std::process::ExitCode;

fn main() -> ExitCode {
    aura_experiments::commands::main()
}
