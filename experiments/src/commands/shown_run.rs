//! The endpoint of a run: the metrics of its trials under way.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;

use super::{Failure, Global, database};
use crate::endpoint::{Board, Server, Source};
use crate::files;
use crate::folders::RunFolder;

/// A run whose trials under way are shown. The endpoint answers until the process ends; the file
/// that names it is removed when this is dropped.
pub(super) struct ShownRun {
    /// Where trials say how their engines are.
    pub(super) board: Arc<Board>,
    /// The address for Prometheus.
    pub(super) url: String,
    folder: RunFolder,
}

impl ShownRun {
    /// Begins to answer at `address`, in a thread of its own, and names it in the run's folder.
    pub(super) fn begin(folder: &RunFolder, address: SocketAddr) -> Result<Self, Failure> {
        let board = Arc::new(Board::default());
        let shown = board.clone();
        let source: Source = Arc::new(move || shown.text());
        let world = database::world()?;
        let server = Server::bind(address).map_err(Failure::environment)?;
        let url = server.url().map_err(Failure::environment)?;
        let thread = std::thread::Builder::new().name("metrics".to_owned());
        let thread = thread.spawn(move || server.answer(world.env(), source, pending()));
        thread.map_err(Failure::environment)?;
        files::create_folder(folder.path())?;
        files::replace(&folder.endpoint(), url.as_bytes())?;
        Ok(Self {
            board,
            url,
            folder: folder.clone(),
        })
    }
}

impl ShownRun {
    /// Ends it, and says which ailments trials had, and how many of them.
    pub(super) fn end(self, global: &Global) {
        for (ailment, trials) in self.board.ailing() {
            let first = trials.first().map_or("", String::as_str);
            let others = match trials.len() {
                1 => String::new(),
                2 => " and another trial".to_owned(),
                count => format!(" and {} other trials", count - 1),
            };
            global.remark(&format!(
                "at times not healthy, by {ailment}: {first}{others}"
            ));
        }
    }
}

impl Drop for ShownRun {
    fn drop(&mut self) {
        // One that stays names an address at which nobody answers.
        let _ = files::remove(&self.folder.endpoint());
    }
}
