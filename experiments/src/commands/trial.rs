//! `aura trial`: one trial of the real world, in a process of its own. `aura run` calls it.

use std::path::PathBuf;

use clap::Args;

use super::{CommandResult, Global};
use crate::exit::Exit;
use crate::folders::RunFolder;
use crate::formats::print;
use crate::run::{Asked, run_as_child};

/// Run one trial for `aura run`, in a process of its own.
#[derive(Clone, Debug, Args)]
#[command(hide = true)]
pub(super) struct Arguments {
    /// The trial's id.
    id: String,
    /// The experiment's folder.
    folder: PathBuf,
    /// Keep the database.
    #[arg(long)]
    keep: bool,
    /// Print how far it has come.
    #[arg(long)]
    progress: bool,
    /// Print the engine's metrics with it.
    #[arg(long)]
    metrics: bool,
}

impl Arguments {
    /// Prints why the trial failed, if it did: the parent reads it.
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        let folder = RunFolder::new(&self.folder);
        let targets = global.targets;
        let asked = Asked {
            keep: self.keep,
            progress: self.progress,
            metrics: self.metrics,
        };
        match run_as_child(&folder, &self.id, asked, targets) {
            Ok(()) => Ok(Exit::Done),
            Err(message) => {
                print(&message)?;
                Ok(Exit::ClaimFailed)
            }
        }
    }
}
