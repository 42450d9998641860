//! Databases in a directory of this machine, opened for a command.

use std::path::Path;

use aura_engine::env::Env;
use aura_engine::env::disk::DiskWorld;
use aura_engine::{AuraEngine, EngineBuilder, EngineConfig};

use super::{Failure, Global};
use crate::progress::metered;

/// The settings that an engine leaves in its directory.
const SETTINGS: &str = "SETTINGS.json";

/// The file that names the manifest.
const CURRENT: &str = "CURRENT";

/// The extensions of a database's other files.
const EXTENSIONS: [&str; 4] = ["manifest", "sst", "vlog", "wal"];

/// Whether a directory holds any file of a database.
pub(super) fn is_database(env: &Env, directory: &Path) -> bool {
    let names = env.fs.list(directory).unwrap_or_default();
    names.iter().any(|name| is_database_file(name))
}

fn is_database_file(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    name == CURRENT || extension.is_some_and(|extension| EXTENSIONS.contains(&extension))
}

/// Refuses a directory without any file of a database.
pub(super) fn check(env: &Env, directory: &Path) -> Result<(), Failure> {
    if is_database(env, directory) {
        return Ok(());
    }
    Err(Failure::usage(
        format_args!("{} is no database", directory.display()),
        "such as a folder below a run's `databases`: `aura run CONFIG --keep`",
    ))
}

/// The world of this machine, with one thread.
pub(super) fn world() -> Result<DiskWorld, Failure> {
    DiskWorld::new(1).map_err(Failure::environment)
}

/// Does `work` on a database, and shows on standard error how many bytes it has gone through.
/// `doing` says what is done to them.
pub(super) fn work_on<T>(
    global: &Global,
    directory: &Path,
    doing: &'static str,
    work: impl AsyncFnOnce(Env) -> Result<T, aura_engine::Error>,
) -> Result<T, Failure> {
    let world = world()?;
    check(&world.env(), directory)?;
    let (env, meter) = metered(world.env(), doing, global.quiet);
    let done = world.block_on(work(env));
    meter.finish();
    Ok(done?)
}

/// Prepares to open a database under its own settings.
pub(super) async fn builder(env: Env, directory: &Path) -> EngineBuilder {
    let settings = settings(&env, directory).await.unwrap_or_default();
    EngineBuilder::new(env, directory).config(settings)
}

/// Opens a database to read what it holds now, under its own settings.
///
/// # Errors
/// Those of [`EngineBuilder::open_read_only`].
pub(super) async fn open_to_read(env: &Env, directory: &Path) -> aura_engine::Result<AuraEngine> {
    let builder = builder(env.clone(), directory).await;
    builder.open_read_only().await
}

/// Reads the settings in a database's directory. `None` if they are missing or damaged: a database
/// can be read under any settings.
async fn settings(env: &Env, directory: &Path) -> Option<EngineConfig> {
    let file = env.fs.open(&directory.join(SETTINGS)).ok()?;
    let bytes = usize::try_from(file.bytes().ok()?).ok()?;
    let content = file.read_at(0, bytes).await.ok()?;
    serde_json::from_slice(&content).ok()
}
