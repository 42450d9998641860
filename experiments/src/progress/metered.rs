//! An engine's world whose bytes are counted on standard error, to show how far a check, a copy or
//! a repair has come.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aura_engine::env::{Env, File, Fs, MaybeReady, OpenFiles};
use bytes::Bytes;
use indicatif::{ProgressBar, ProgressDrawTarget};

use super::style;

/// Shorter work shows no progress.
const SILENT: Duration = Duration::from_secs(2);

/// Counts bytes.
#[derive(Clone)]
pub(crate) struct Meter {
    bar: ProgressBar,
    /// Whether the bar is shown already, or never will be.
    decided: Arc<AtomicBool>,
}

/// Returns `env` with its bytes counted, and the meter. `what` says what is done to them.
pub(crate) fn metered(env: Env, what: &'static str, quiet: bool) -> (Env, Meter) {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    bar.set_style(style(&format!(
        "{{spinner}} {{bytes}} {what} in {{elapsed}}, {{bytes_per_sec}}"
    )));
    let meter = Meter {
        bar,
        decided: Arc::new(AtomicBool::new(quiet)),
    };
    let fs = Arc::new(MeteredFs {
        fs: env.fs.clone(),
        meter: meter.clone(),
    });
    (Env { fs, ..env }, meter)
}

impl Meter {
    fn count(&self, bytes: usize) {
        self.bar.inc(bytes as u64);
        if self.bar.elapsed() > SILENT && !self.decided.swap(true, Ordering::Relaxed) {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

struct MeteredFs {
    fs: Arc<dyn Fs>,
    meter: Meter,
}

impl MeteredFs {
    fn file(&self, file: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(MeteredFile {
            file,
            meter: self.meter.clone(),
        })
    }
}

impl Fs for MeteredFs {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.fs.create(path).map(|file| self.file(file))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.fs.open(path).map(|file| self.file(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.fs.rename(from, to)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.fs.hard_link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.fs.remove(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        self.fs.list(directory)
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        self.fs.create_directory(path)
    }

    fn sync_directory(&self, path: &Path) -> MaybeReady<io::Result<()>> {
        self.fs.sync_directory(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.fs.lock(path)
    }

    fn lock_shared(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.fs.lock_shared(path)
    }

    fn open_files(&self) -> Option<OpenFiles> {
        self.fs.open_files()
    }
}

struct MeteredFile {
    file: Arc<dyn File>,
    meter: Meter,
}

impl File for MeteredFile {
    fn read_at(&self, offset: u64, bytes: usize) -> MaybeReady<io::Result<Bytes>> {
        self.meter.count(bytes);
        self.file.read_at(offset, bytes)
    }

    fn append(&self, data: &[u8]) -> MaybeReady<io::Result<()>> {
        self.meter.count(data.len());
        self.file.append(data)
    }

    fn sync(&self) -> MaybeReady<io::Result<()>> {
        self.file.sync()
    }

    fn bytes(&self) -> io::Result<u64> {
        self.file.bytes()
    }

    fn reserve(&self, bytes: u64) {
        self.file.reserve(bytes);
    }

    fn finish(&self) {
        self.file.finish();
    }
}
