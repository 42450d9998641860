//! Databases as they lie in a directory: `aura verify DIR`, `aura checkpoint`, `aura repair`.

use std::path::Path;

use aura_engine::env::Env;
use aura_engine::env::disk::DiskWorld;
use aura_engine::{
    Engine, EngineBuilder, EngineConfig, RepairReport, VerifyReport, verify_directory,
};
use serde_json::Value;

use super::{Answer, EXIT_CLAIM_FAILED, EXIT_DONE, Failure, remark};
use crate::cli::Global;
use crate::metered;
use crate::rows::{self, Cell, Rows};

/// The settings that an engine leaves in its directory.
const SETTINGS: &str = "SETTINGS.json";

/// How names of a database's files end, but for `CURRENT`.
const EXTENSIONS: [&str; 4] = ["manifest", "sst", "vlog", "wal"];

/// Refuses a directory without any file of a database.
pub(super) fn check(env: &Env, directory: &Path) -> Result<(), Failure> {
    let ours = |name: &String| {
        name == "CURRENT"
            || name
                .rsplit_once('.')
                .is_some_and(|(_, extension)| EXTENSIONS.contains(&extension))
    };
    if env
        .fs
        .list(directory)
        .is_ok_and(|names| names.iter().any(ours))
    {
        return Ok(());
    }
    let message = format!("{} is no database", directory.display());
    Err(Failure::usage(
        message,
        "such as a folder below a run's `databases`: `aura run CONFIG --keep`",
    ))
}

/// Does `work` in this machine's world, with its bytes counted on standard error while it lasts.
fn in_world<T>(
    global: &Global,
    directory: &Path,
    doing: &'static str,
    work: impl AsyncFnOnce(Env) -> Result<T, aura_engine::Error>,
) -> Result<T, Failure> {
    let world = DiskWorld::new(1).map_err(Failure::environment)?;
    check(&world.env(), directory)?;
    let (env, meter) = metered::env(world.env(), doing, global.quiet);
    let done = world.block_on(work(env));
    meter.finish();
    Ok(done?)
}

/// The settings that lie beside the database. A database can be read under any.
async fn settings(env: &Env, directory: &Path) -> Option<EngineConfig> {
    let file = env.fs.open(&directory.join(SETTINGS)).ok()?;
    let content = file
        .read_at(0, usize::try_from(file.bytes().ok()?).ok()?)
        .await
        .ok()?;
    serde_json::from_slice(&content).ok()
}

async fn builder(env: Env, directory: &Path) -> EngineBuilder {
    let config = settings(&env, directory).await.unwrap_or_default();
    EngineBuilder::new(env, directory).config(config)
}

/// Reads a database that nobody has open, and checks all of it.
pub(super) fn verify(global: &Global, directory: &Path) -> Answer {
    let world = DiskWorld::new(1).map_err(Failure::environment)?;
    if check(&world.env(), directory).is_err() {
        let message = format!("{} is neither a run nor a database", directory.display());
        return Err(Failure::usage(
            message,
            "name a run's folder, its name below --results, or a database's directory",
        ));
    }
    let report = in_world(global, directory, "read", async |env| {
        verify_directory(&env, directory).await
    })?;
    rows::print(&verify_rows(&report).text(global.format))?;
    if !report.leftovers.is_empty() {
        let (count, names) = (report.leftovers.len(), report.leftovers.join(", "));
        remark(
            global,
            &format!(
                "{count} files are left over, and go when the database is next opened: {names}"
            ),
        );
    }
    if !report.problems.is_empty() {
        remark(
            global,
            &format!(
                "problems: {}; `aura repair DIR --dry-run` says what can be saved",
                report.problems.len()
            ),
        );
        return Ok(EXIT_CLAIM_FAILED);
    }
    remark(
        global,
        "every checksum, the order of every level, every value and every file is as it should be",
    );
    Ok(EXIT_DONE)
}

fn verify_rows(report: &VerifyReport) -> Rows<16> {
    let mut rows = Rows::new([
        "tables",
        "entries",
        "values",
        "logs",
        "log_records",
        "rows",
        "reachable_bytes",
        "disk_bytes",
        "space_amplification",
        "value_disk_bytes",
        "value_log_amplification",
        "garbage_bytes",
        "unreadable_bytes",
        "value_files",
        "leftovers",
        "problems",
    ]);
    let ratio = |ratio: Option<f64>| match ratio {
        Some(ratio) => Cell::new(ratio.into(), format!("{ratio:.3}")),
        None => Cell::new(Value::Null, String::new()),
    };
    let lines = |lines: &[String]| Cell::new(lines.to_vec().into(), lines.join("\n"));
    let files = &report.value_files;
    rows.push([
        report.tables.into(),
        report.entries.into(),
        report.values.into(),
        report.logs.into(),
        report.log_records.into(),
        report.rows.into(),
        report.reachable_bytes.into(),
        report.disk_bytes.into(),
        ratio(report.space_amplification()),
        report.value_disk_bytes().into(),
        ratio(report.value_log_amplification()),
        files
            .iter()
            .map(|file| file.garbage_bytes)
            .sum::<u64>()
            .into(),
        files
            .iter()
            .map(|file| file.unreadable_bytes)
            .sum::<u64>()
            .into(),
        files.len().into(),
        lines(&report.leftovers),
        lines(&report.problems),
    ]);
    rows
}

/// Makes an openable copy.
pub(super) fn checkpoint(global: &Global, directory: &Path, target: &Path) -> Answer {
    let report = in_world(global, directory, "read and written", async |env| {
        let engine = builder(env, directory).await.open().await?;
        let report = engine.checkpoint(target).await;
        engine.close().await?;
        report
    })?;
    let mut rows = Rows::new([
        "sequence",
        "files_linked",
        "linked_bytes",
        "files_copied",
        "copied_bytes",
    ]);
    let linked = [report.files_linked, report.linked_bytes].map(Into::into);
    let copied = [report.files_copied, report.copied_bytes].map(Into::into);
    let ([files_linked, linked_bytes], [files_copied, copied_bytes]) = (linked, copied);
    rows.push([
        report.sequence.into(),
        files_linked,
        linked_bytes,
        files_copied,
        copied_bytes,
    ]);
    rows::print(&rows.text(global.format))?;
    remark(
        global,
        &format!("{} is a database of its own", target.display()),
    );
    Ok(EXIT_DONE)
}

/// Saves what is sound, or says what would be saved.
pub(super) fn repair(global: &Global, directory: &Path, dry_run: bool) -> Answer {
    let report = in_world(global, directory, "read and written", async |env| {
        let builder = builder(env, directory).await;
        if dry_run {
            builder.plan_repair().await
        } else {
            builder.repair().await
        }
    })?;
    rows::print(&loss_rows(&report).text(global.format))?;
    if report.sound {
        remark(global, "nothing is wrong, and nothing was changed");
        return Ok(EXIT_DONE);
    }
    let keeps = if dry_run {
        "a repair would keep"
    } else {
        "kept"
    };
    let RepairReport {
        tables_sound,
        tables_salvaged,
        entries_kept,
        log_writes_kept,
        ..
    } = report;
    remark(
        global,
        &format!(
            "{keeps} {entries_kept} entries of {tables_sound} sound and {tables_salvaged} damaged tables, and \
             {log_writes_kept} writes of logs that do not stay as they are"
        ),
    );
    if report.rebuilt {
        remark(
            global,
            "the manifest is lost: keys that were deleted before, one by one or by a range, may be there again",
        );
    }
    let moves = if dry_run { "would move" } else { "moved" };
    remark(
        global,
        &format!(
            "{moves} to {}: {}",
            directory.join("lost").display(),
            report.moved.join(", ")
        ),
    );
    Ok(if dry_run {
        EXIT_CLAIM_FAILED
    } else {
        EXIT_DONE
    })
}

fn loss_rows(report: &RepairReport) -> Rows<7> {
    let mut rows = Rows::new([
        "file",
        "offset",
        "bytes",
        "entries",
        "first_key",
        "last_key",
        "what",
    ]);
    for loss in &report.losses {
        let number =
            |number: Option<u64>| number.map_or(Cell::new(Value::Null, String::new()), Cell::from);
        let text = |text: &Option<String>| {
            text.clone()
                .map_or(Cell::new(Value::Null, String::new()), Cell::from)
        };
        rows.push([
            loss.file.display().to_string().into(),
            loss.offset.into(),
            number(loss.bytes),
            number(loss.entries),
            text(&loss.first),
            text(&loss.last),
            loss.what.as_str().into(),
        ]);
    }
    rows
}
