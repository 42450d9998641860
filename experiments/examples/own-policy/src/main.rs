//! A command `aura` that knows this crate's policy beside AuraDB's own.

use std::process::ExitCode;

fn main() -> ExitCode {
    own_policy::register().expect("the name is free, and this is the first call");
    aura_experiments::commands::main()
}
