//! `aura repair`: saves what is sound of a damaged database.

use std::path::PathBuf;

use aura_engine::{Loss, RepairReport};
use clap::Args;

use super::{CommandResult, Global, database};
use crate::exit::Exit;
use crate::formats::{Column, Table, column, print};

/// Save what is sound of a damaged database, and say what is lost.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  aura repair db --dry-run
  aura repair db && aura verify db

A damaged table is written again from its sound blocks. Entries whose values are lost are dropped.
Of damaged logs, the writes before the damage are kept. An older version of a lost entry, if there
is one, becomes visible again.

Without CURRENT or its manifest, all tables found are merged by the sequence numbers of their
entries. Among them are tables that a compaction had replaced and a crash kept from being removed:
deleted keys may be there again. So may keys that were deleted by a range: only the range deletes
that are still in the logs are known.

After a repair everything is verified: what is still wrong is reported, and the exit code is 1.

Nothing is deleted: files that are damaged or no longer needed move to DIR/lost, which you may
remove. If nothing is wrong, nothing is changed. An interrupted repair can be run again.

Prints one row per loss: file, offset, bytes, the number of entries and the keys between which they
lay, as far as they are known.

Exit codes:
  0   repaired, or nothing was wrong
  1   with --dry-run: something is wrong; else: something is still wrong after the repair
  2   there is no database, or a newer `aura` wrote it
  3   files cannot be read or written, or the database is in use")]
pub(super) struct Arguments {
    /// The database's directory.
    directory: PathBuf,
    /// Say what would be done, and change nothing. The database is locked meanwhile.
    #[arg(long)]
    dry_run: bool,
}

const COLUMNS: [Column<Loss>; 7] = [
    column("file", |it| it.file.display().to_string().into()),
    column("offset", |it| it.offset.into()),
    column("bytes", |it| it.bytes.into()),
    column("entries", |it| it.entries.into()),
    column("first_key", |it| it.first.clone().into()),
    column("last_key", |it| it.last.clone().into()),
    column("what", |it| it.what.as_str().into()),
];

impl Arguments {
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        let repair = async |env| {
            let builder = database::builder(env, &self.directory).await;
            if self.dry_run {
                builder.plan_repair().await
            } else {
                builder.repair().await
            }
        };
        let report = database::work_on(global, &self.directory, "read and written", repair)?;
        print(&Table::of(&COLUMNS, &report.losses).text(global.format))?;
        if report.sound {
            global.remark("nothing is wrong, and nothing was changed");
            return Ok(Exit::Done);
        }
        self.say_what_is_saved(global, &report);
        for problem in &report.problems {
            global.remark(&format!("still wrong: {problem}"));
        }
        if self.dry_run || !report.problems.is_empty() {
            Ok(Exit::ClaimFailed)
        } else {
            Ok(Exit::Done)
        }
    }

    fn say_what_is_saved(&self, global: &Global, report: &RepairReport) {
        let keeps = if self.dry_run {
            "a repair would keep"
        } else {
            "kept"
        };
        global.remark(&format!(
            "{keeps} {} entries of {} sound and {} damaged tables, and {} writes of logs that are \
             replaced",
            report.entries_kept,
            report.tables_sound,
            report.tables_salvaged,
            report.log_writes_kept
        ));
        if report.rebuilt {
            global.remark(
                "the manifest is lost: keys that were deleted before, one by one or by a range, \
                 may be there again",
            );
        }
        let moves = if self.dry_run { "would move" } else { "moved" };
        let lost = self.directory.join("lost");
        let moved = report.moved.join(", ");
        global.remark(&format!("{moves} to {}: {moved}", lost.display()));
    }
}
