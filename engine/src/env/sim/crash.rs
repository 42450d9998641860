//! What a crash of the machine leaves of a file system.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::fs::{Body, Change};
use crate::env::blob::Blob;
use crate::env::lock;
use crate::env::tree::Tree;

/// Fate of everything that was not synced: bytes of files, and creations, renames and removals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashMode {
    /// It is lost.
    DropUnsynced,
    /// It is kept, as if only the process died.
    KeepAll,
    /// A prefix of random length is kept, of each file's bytes and of the changes of names.
    Torn,
    /// Each sector (512 or 4096 bytes, at random) is kept or zero at random, up to the file's end
    /// or a random place before it. Each change of names is kept or lost at random; a rename is
    /// still whole or absent.
    Reordered,
}

impl CrashMode {
    /// All modes.
    pub const ALL: [Self; 4] = [
        Self::DropUnsynced,
        Self::KeepAll,
        Self::Torn,
        Self::Reordered,
    ];
}

/// The files that a crash left, for another world to start with.
#[derive(Clone)]
pub struct FsImage {
    pub(super) tree: Tree<Blob>,
}

impl FsImage {
    /// Returns the paths of all files, sorted.
    pub fn paths(&self) -> Vec<PathBuf> {
        let files = self.tree.iter();
        files.map(|(path, _)| path.to_path_buf()).collect()
    }

    /// Returns the content of a file.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if there is no such file.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let blob = self.tree.get(path)?;
        Ok(blob.read(0, blob.bytes() as usize)?.into())
    }
}

/// Returns what a crash leaves of the `durable` names, to which `changes` were made that are not
/// durable.
pub(super) fn survive(
    durable: &Tree<Arc<Body>>,
    changes: &[Change],
    mode: CrashMode,
    seed: u64,
) -> io::Result<FsImage> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut names = durable.clone();
    let beginning = below(&mut random, changes.len() as u64) as usize;
    for (place, change) in changes.iter().enumerate() {
        let kept = match mode {
            CrashMode::DropUnsynced => false,
            CrashMode::KeepAll => true,
            CrashMode::Torn => place < beginning,
            CrashMode::Reordered => flip(&mut random),
        };
        if kept {
            change.apply(&mut names)?;
        }
    }
    let mut tree = names.without_files();
    // All names of a file get the same content.
    let mut fates: BTreeMap<u32, Blob> = BTreeMap::new();
    for (path, body) in names.iter() {
        let fate = fates
            .entry(body.number)
            .or_insert_with(|| remains(body, mode, &mut random));
        tree.insert(path, fate.clone())?;
    }
    Ok(FsImage { tree })
}

/// Returns what a crash leaves of a file.
fn remains(body: &Body, mode: CrashMode, random: &mut Xoshiro256PlusPlus) -> Blob {
    let state = lock(&body.state);
    let synced = state.synced;
    let end = state.blob.bytes();
    let mut blob = state.blob.clone();
    match mode {
        CrashMode::DropUnsynced => blob.truncate(synced),
        CrashMode::KeepAll => {}
        CrashMode::Torn => blob.truncate(synced + below(random, end - synced)),
        CrashMode::Reordered => {
            if flip(random) {
                blob.truncate(synced + below(random, end - synced));
            }
            let sector = if flip(random) { 512 } else { 4096 };
            lose_sectors(&mut blob, synced, sector, random);
        }
    }
    blob.fill_up(state.reserved);
    blob
}

/// Zeroes random sectors. Bytes before `synced` stay.
fn lose_sectors(blob: &mut Blob, synced: u64, sector: u64, random: &mut Xoshiro256PlusPlus) {
    let mut start = synced;
    while start < blob.bytes() {
        let end = ((start / sector + 1) * sector).min(blob.bytes());
        if flip(random) {
            blob.zero(start..end);
        }
        start = end;
    }
}

fn flip(random: &mut Xoshiro256PlusPlus) -> bool {
    random.next_u64() >> 63 == 1
}

/// Draws a number from 0 to `most`.
fn below(random: &mut Xoshiro256PlusPlus, most: u64) -> u64 {
    // The bias of the remainder is far too small for a test to see.
    let drawn = random.next_u64();
    most.checked_add(1).map_or(drawn, |count| drawn % count)
}
