//! The index of a folder of results.

use std::path::{Path, PathBuf};

use crate::commands::Failure;
use crate::files;
use crate::folders::{comparison_pages, index_page};
use crate::report::{self, ComparisonLink, Index};
use crate::results;

/// Writes the index of a folder of results, and returns its path.
pub(super) fn write(results: &Path, output: Option<&Path>) -> Result<PathBuf, Failure> {
    let runs = results::list(results)?;
    let page = report::index(&Index {
        folder: &results.display().to_string(),
        runs: &runs,
        comparisons: &comparisons(results)?,
    })?;
    let path = output.map_or_else(|| index_page(results), Path::to_owned);
    if let Some(folder) = path.parent() {
        files::create_folder(folder)?;
    }
    files::replace(&path, page.as_bytes())?;
    Ok(path)
}

/// The pages of runs side by side that there are.
fn comparisons(results: &Path) -> Result<Vec<ComparisonLink>, Failure> {
    let folder = comparison_pages(results);
    let name_of_folder = folder.file_name().unwrap_or_default();
    let name_of_folder = name_of_folder.to_string_lossy().into_owned();
    let names = files::names(&folder)?;
    let pages = names.into_iter().filter_map(|file| {
        let runs = file.strip_suffix(".html")?;
        Some(ComparisonLink {
            name: runs.replace('+', " and "),
            path: vec![name_of_folder.clone(), file],
        })
    });
    Ok(pages.collect())
}
