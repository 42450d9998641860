//! `aura compare`: the variants of one run, or of several side by side.

use crate::cli::{CompareArgs, Global};
use crate::compare::{CompareSettings, Comparison, answer, compare as compare_rows, table, to_csv};
use crate::rows::{self, Format, json_lines};
use crate::store::TidyRow;

use super::{Answer, EXIT_DONE, Failure, Run, remark, run_folder};

pub(super) fn compare(global: &Global, arguments: &CompareArgs) -> Answer {
    let mut runs = Vec::new();
    for run in &arguments.runs {
        runs.push(Run::open(run_folder(global, run))?);
    }
    let record = &runs[0].plan.experiment;
    let mut settings = record.compare.against(&record.baseline);
    let mut rows = Vec::new();
    for run in &runs {
        if runs.len() == 1 {
            rows.clone_from(&run.rows);
        } else {
            let name = &run.plan.experiment.name;
            rows.extend(run.rows.iter().map(|row| TidyRow {
                variant: format!("{name}/{}", row.variant),
                ..row.clone()
            }));
        }
    }
    if runs.len() > 1 {
        settings.baseline = format!("{}/{}", record.name, record.baseline);
    }
    settings.baseline = arguments.baseline.clone().unwrap_or(settings.baseline);
    settings.margin = arguments.margin.unwrap_or(settings.margin);
    if !arguments.metric.is_empty() {
        settings.primary.clone_from(&arguments.metric);
        settings.also.clear();
    }
    show(global, &comparison(&rows, &settings)?)?;
    Ok(EXIT_DONE)
}

/// Compares, with an error that says what to do.
pub(super) fn comparison(
    rows: &[TidyRow],
    settings: &CompareSettings,
) -> Result<Comparison, Failure> {
    let help = "`aura list metrics` lists metrics; --baseline names another variant";
    compare_rows(rows, settings).map_err(|error| Failure::usage(error, help))
}

/// The rows, then in words what they say.
pub(super) fn show(global: &Global, comparison: &Comparison) -> Result<(), Failure> {
    let text = match global.format {
        Format::Table => format!("{}\n", table(&comparison.rows)),
        Format::Csv => to_csv(&comparison.rows),
        Format::Json => json_lines(comparison.rows.iter().map(|row| serde_json::json!(row))),
    };
    rows::print(&text)?;
    for warning in &comparison.warnings {
        remark(global, &format!("warning: {warning}"));
    }
    if !comparison.missing.is_empty() {
        remark(
            global,
            &format!(
                "without a value anywhere: {}",
                comparison.missing.join(", ")
            ),
        );
    }
    remark(global, &answer(comparison));
    Ok(())
}
