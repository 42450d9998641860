//! Verification: every checksum, the order of every level, and every value pointer, against the files as they are.

use serde::Serialize;

use crate::error::{Error, Result};
use crate::gc::audit;
use crate::retain::{Garbage, discard};
use crate::scan::Scan;
use crate::state::Inner;
use crate::storage::{Direction, Range};
use std::sync::Arc;

/// What a verification looked at and found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// Tables read whole.
    pub tables: u64,
    /// Entries in them.
    pub entries: u64,
    /// Values in the value log that were read and checked.
    pub values: u64,
    /// Rows that can be reached now.
    pub rows: u64,
    /// Bytes of their keys and values.
    pub reachable_bytes: u64,
    /// Bytes of tables, value files and logs on disk.
    pub disk_bytes: u64,
    /// What is wrong, each with its file and place. Empty: all is sound.
    pub problems: Vec<String>,
}

impl Inner {
    /// Reads everything and checks it. The cache is left as it is.
    pub(crate) async fn verify(self: &Arc<Self>) -> Result<VerifyReport> {
        self.check_open()?;
        let view = self.view.load_full();
        let mut report = VerifyReport { disk_bytes: self.metrics().disk_bytes(), ..VerifyReport::default() };
        let mut context = self.context().in_background();
        for (level, state) in view.version.levels.iter().enumerate() {
            for run in &state.runs {
                for pair in run.tables.windows(2) {
                    let (left, right) = (pair[0].facts(), pair[1].facts());
                    if left.overlaps(right) {
                        report.problems.push(format!("level {level}: tables {} and {} overlap", left.id, right.id));
                    }
                }
            }
        }
        let mut traced = Garbage::new();
        for (_, table) in view.version.tables() {
            report.tables += 1;
            let mut pointers = Vec::new();
            let checked = table.verify(&mut context, |entry| {
                discard(&mut traced, entry);
                pointers.extend(entry.pointer().map(|it| (entry.key.clone(), it)));
            });
            match checked.await {
                Ok(found) => {
                    report.entries += found.entries;
                    for (key, pointer) in pointers {
                        report.values += 1;
                        let sound = match view.version.value_files.get(&pointer.file) {
                            Some(state) => state.get(&key, &pointer, &mut context).await.map(drop),
                            None => Err(Error::corruption(table.path(), 0, format!("no value file {}", pointer.file))),
                        };
                        report.problems.extend(sound.err().map(|error| error.to_string()));
                    }
                }
                Err(error) => report.problems.push(error.to_string()),
            }
        }
        report.problems.extend(audit(&view.version, traced)?);
        context.charge();
        let (rows, bytes) = self.reachable().await.unwrap_or_else(|error| {
            report.problems.push(error.to_string());
            (0, 0)
        });
        (report.rows, report.reachable_bytes) = (rows, bytes);
        report.problems.dedup();
        Ok(report)
    }

    /// Rows that can be reached now, and the bytes of their keys and values.
    async fn reachable(self: &Arc<Self>) -> Result<(u64, u64)> {
        let (view, snapshot) = self.view_of_now();
        let scan = Scan::new(self.clone(), snapshot, None, view, Range::all(), Direction::Forward);
        let mut scan = scan.in_background();
        let (mut rows, mut bytes) = (0, 0);
        while let Some((key, value)) = scan.next().await? {
            rows += 1;
            bytes += (key.len() + value.len()) as u64;
        }
        Ok((rows, bytes))
    }
}
