//! Which code made a result: a digest of the running program.
//!
//! The digest goes into the id of each trial, so that an edited policy never answers from trials of
//! before the edit. The program and not its sources is hashed: policies of other crates, compiler
//! and settings of the build change it as well.

use std::path::Path;
use std::sync::OnceLock;

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::files::{self, FileError};

/// The last commit that changed the sources of this program, with a remark if they had changes that
/// were not committed when it was built. `unknown` if it was not built in a repository.
pub const COMMIT: &str = env!("AURA_COMMIT");

/// Returns the digest of the running program: 16 hexadecimal digits. The first call reads the
/// program's file.
///
/// # Errors
/// [`FileError`] if the file cannot be read.
pub fn digest() -> Result<&'static str, FileError> {
    static DIGEST: OnceLock<String> = OnceLock::new();
    if let Some(digest) = DIGEST.get() {
        return Ok(digest);
    }
    let digest = digest_of(&files::program()?)?;
    Ok(DIGEST.get_or_init(|| digest))
}

/// Returns the digest of a program's file: 16 hexadecimal digits.
///
/// # Errors
/// [`FileError`] if the file cannot be read.
pub fn digest_of(program: &Path) -> Result<String, FileError> {
    let mut hash = Xxh3::new();
    files::read_pieces(program, |piece| hash.update(piece))?;
    Ok(short(hash.digest128()))
}

/// Hashes bytes to 16 hexadecimal digits.
pub(crate) fn short_hash(bytes: &[u8]) -> String {
    short(xxh3_128(bytes))
}

fn short(hash: u128) -> String {
    let mut hash = format!("{hash:032x}");
    hash.truncate(16);
    hash
}
