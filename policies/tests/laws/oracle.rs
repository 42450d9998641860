//! Files of the folder that `AURA_ORACLES` names: results of other programs.

use std::path::Path;

/// The contents of a file, decompressed if it ends in `.zst`; `None`, with a note, if no folder is
/// named.
#[expect(clippy::print_stderr, reason = "a test that does not run must say so")]
#[expect(
    clippy::disallowed_methods,
    reason = "the oracles are files outside the engine's storage"
)]
pub(crate) fn oracle_bytes(name: &str) -> Option<Vec<u8>> {
    let Some(folder) = std::env::var_os("AURA_ORACLES") else {
        eprintln!("skipped: AURA_ORACLES is not set");
        return None;
    };
    let bytes = std::fs::read(Path::new(&folder).join(name)).expect("the oracle file is there");
    if name.ends_with(".zst") {
        Some(zstd::decode_all(&bytes[..]).expect("a zstd frame"))
    } else {
        Some(bytes)
    }
}

/// The text of a file.
pub(crate) fn oracle_text(name: &str) -> Option<String> {
    oracle_bytes(name).map(|bytes| String::from_utf8(bytes).expect("text"))
}
