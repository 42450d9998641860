//! `aura-rivals`: the command `aura` with other engines as further targets.

use std::process::ExitCode;

fn main() -> ExitCode {
    aura_experiments::commands::main_with(aura_rivals::TARGETS)
}
