//! `aura index-inspect`: the registry of models of a database that nobody has open.

use std::path::Path;

use aura_engine::env::disk::DiskWorld;
use aura_engine::{IndexRegistry, inspect_indexes};

use super::{Answer, EXIT_DONE, Failure, database, remark};
use crate::cli::{Global, IndexInspectArgs, InspectBy};
use crate::index_inspect::{PLAIN_FENCE, levels, panels, tables};
use crate::plan::VERSION;
use crate::plot::{LevelWords, draw_levels};
use crate::rows::{self, Format};
use crate::store;

pub(super) fn index_inspect(global: &Global, arguments: &IndexInspectArgs) -> Answer {
    let directory = arguments.directory.as_path();
    let registry = read(directory)?;
    let by = arguments
        .by
        .or((global.format != Format::Table).then_some(InspectBy::Table));
    let rows = match by {
        None => levels(&registry).text(global.format) + &tables(&registry).text(global.format),
        Some(InspectBy::Level) => levels(&registry).text(global.format),
        Some(InspectBy::Table) => tables(&registry).text(global.format),
    };
    rows::print(&rows)?;
    let name = std::path::absolute(directory)
        .ok()
        .and_then(|path| path.file_name().map(ToOwned::to_owned));
    let name = name.unwrap_or_else(|| "database".into());
    let out = arguments
        .out
        .clone()
        .unwrap_or_else(|| global.results.join("index-inspect").join(&name));
    write(&out, &name.to_string_lossy(), &registry)?;
    remark(global, &format!("wrote {}", out.display()));
    Ok(EXIT_DONE)
}

fn read(directory: &Path) -> Result<IndexRegistry, Failure> {
    let world = DiskWorld::new(1).map_err(Failure::environment)?;
    database::check(&world.env(), directory)?;
    Ok(world.block_on(inspect_indexes(&world.env(), directory))?)
}

/// Writes rows and figure.
fn write(folder: &Path, name: &str, registry: &IndexRegistry) -> Result<(), Failure> {
    store::create_folder(folder)?;
    store::replace(
        &folder.join("tables.csv"),
        tables(registry).text(Format::Csv).as_bytes(),
    )?;
    store::replace(
        &folder.join("levels.csv"),
        levels(registry).text(Format::Csv).as_bytes(),
    )?;
    let models = registry
        .levels
        .iter()
        .map(|it| it.kind.live.models)
        .sum::<u64>();
    let words = LevelWords {
        name: "index-inspect",
        title: &format!("Table indexes, {name}"),
        subtitle: &format!(
            "{} tables, {models} of them with a model",
            registry.tables.len()
        ),
        provenance: &format!("aura index-inspect, AuraDB {VERSION}"),
        baseline: PLAIN_FENCE,
    };
    if let Some(figure) = draw_levels(&words, &panels(registry))? {
        figure.save(folder)?;
    }
    Ok(())
}
