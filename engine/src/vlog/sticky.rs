//! A file that two tasks sync: the leader of a commit group, and the flush of the memtable before.
//!
//! A system reports bytes that could not be written back to one of those who sync, once; to the next it says that all is
//! well, though the bytes are lost (Rebello et al., "Can Applications Recover from fsync Failures?", ATC 2020). So syncs go one
//! after the other here, and after one that failed all fail: nobody acknowledges what another was told is lost.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Mutex;

use crate::env::{File, Io};

/// A file whose failed sync is not forgotten.
pub(super) struct Sticky {
    file: Arc<dyn File>,
    failed: Arc<Mutex<bool>>,
}

impl Sticky {
    /// Wraps a file that nobody has synced yet.
    pub(super) fn wrap(file: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(Self {
            file,
            failed: Arc::default(),
        })
    }
}

impl File for Sticky {
    fn read_at(&self, offset: u64, bytes: usize) -> Io<io::Result<Bytes>> {
        self.file.read_at(offset, bytes)
    }

    fn append(&self, data: &[u8]) -> Io<io::Result<()>> {
        self.file.append(data)
    }

    fn sync(&self) -> Io<io::Result<()>> {
        let (file, failed) = (self.file.clone(), self.failed.clone());
        Io::pending(async move {
            let mut failed = failed.lock().await;
            if *failed {
                return Err(io::Error::other(
                    "an earlier sync of the file failed: what it was for may be lost",
                ));
            }
            // Until it is known to have succeeded: a caller may be dropped meanwhile.
            *failed = true;
            let synced = file.sync().await;
            *failed = synced.is_err();
            synced
        })
    }

    fn bytes(&self) -> io::Result<u64> {
        self.file.bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::env::sim::{FaultKind, SimConfig, SimWorld};

    use super::*;

    #[test]
    fn after_a_failed_sync_every_sync_fails() {
        let world = SimWorld::new(&SimConfig::default());
        let file = Sticky::wrap(world.env().fs.create(Path::new("/file")).unwrap());
        world.fail_nth(FaultKind::Sync, 1, 1);
        let answers = world.block_on(async {
            file.append(b"lost").await.unwrap();
            // The second is asked for before the first is answered.
            let (first, second) = (file.sync(), file.sync());
            (
                first.await.is_err(),
                second.await.is_err(),
                file.sync().await.is_err(),
            )
        });
        assert_eq!(answers.unwrap(), (true, true, true));
    }
}
