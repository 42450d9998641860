//! `aura checkpoint`: a copy of a database.

use std::path::PathBuf;

use aura_engine::{CheckpointReport, Engine};
use clap::Args;

use super::{CommandResult, Global, database};
use crate::exit::Exit;
use crate::formats::{Column, Table, column, print};

/// Make an openable copy of a database, by hard links where the file system can.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  aura checkpoint /mnt/nvme/db /mnt/nvme/db-monday
  aura checkpoint db /backup/db && aura verify /backup/db

The database is opened under its own settings, which recovers what a crash has left; it must not be
in use. A running engine takes checkpoints itself, while others write (`AuraEngine::checkpoint`).

The target must be absent or empty, and outside the database's directory. Tables and full value
files never change: on the same file system the copy shares their bytes with the database, takes
hardly any space, and keeps them when the database drops them. On another file system they are
copied. A copy that was interrupted is recognised as unfinished, and can be removed.

Prints one row: the sequence number of the copy, and how many files and bytes were linked and
copied.

Exit codes:
  0   the copy is complete
  1   the database is damaged
  2   there is no database, or the target cannot take the copy
  3   files cannot be read or written, or the database is in use")]
pub(super) struct Arguments {
    /// The database's directory.
    directory: PathBuf,
    /// Where the copy goes.
    target: PathBuf,
}

const COLUMNS: [Column<CheckpointReport>; 5] = [
    column("sequence", |it| it.sequence.into()),
    column("files_linked", |it| it.files_linked.into()),
    column("linked_bytes", |it| it.linked_bytes.into()),
    column("files_copied", |it| it.files_copied.into()),
    column("copied_bytes", |it| it.copied_bytes.into()),
];

impl Arguments {
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        let directory = &self.directory;
        let copy = async |env| {
            let engine = database::builder(env, directory).await.open().await?;
            let report = engine.checkpoint(&self.target).await;
            engine.close().await?;
            report
        };
        let report = database::work_on(global, directory, "read and written", copy)?;
        print(&Table::of(&COLUMNS, [&report]).text(global.format))?;
        let target = self.target.display();
        global.remark(&format!("{target} is a database of its own"));
        Ok(Exit::Done)
    }
}
