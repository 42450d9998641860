//! Tests of hostile files: one file of a sound database is mutated, its checksums are corrected,
//! and the database is opened, read, written and compacted. It may refuse, or give other answers,
//! because the checksums vouch for them. It may not panic, hang, or allocate memory for false
//! lengths.
//!
//! The inputs are drawn from a seed; `AURA_FUZZ=<n>` sets their number for each kind of file.
//! Inputs that once failed are kept in `tests/fuzz/<kind>/` and tried first. `engine/src/fuzz.rs`
//! does the same to each decoder by itself, much faster.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use aura_engine::env::sim::SimWorld;
use aura_engine::{AuraEngine, Direction, Engine, Error, Range};
use common::history::open;
use common::specimen::{Specimen, regions, reseal, specimen};
use common::{Chance, print, repeatable, run, seeds, sim_config, tried};

/// Numbers at which lengths and counts overflow.
const EDGES: [u64; 10] = [
    0,
    1,
    0x7f,
    0x80,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    1 << 32,
    u64::MAX >> 1,
    u64::MAX,
];

/// Changes a few places of `bytes`, some of them to parts of `other`.
fn mutate(bytes: &mut Vec<u8>, other: &[u8], chance: &mut Chance) {
    for _ in 0..1 + chance.below(4) {
        let at = chance.below(bytes.len() as u64 + 1) as usize;
        let most = 1 << chance.below(9);
        let length = (chance.below(most) as usize).min(bytes.len() - at);
        match chance.below(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << chance.below(8),
            1 if at < bytes.len() => bytes[at] = chance.below(256) as u8,
            2 => {
                let edge = chance.pick(&EDGES).to_le_bytes();
                let width = chance.pick(&[1, 2, 4, 8]).min(bytes.len() - at);
                bytes[at..at + width].copy_from_slice(&edge[..width]);
            }
            3 => drop(bytes.drain(at..at + length)),
            4 => {
                let part = bytes[at..at + length].to_vec();
                bytes.splice(at..at, part);
            }
            5 => {
                let from = chance.below(other.len() as u64 + 1) as usize;
                let part = &other[from..(from + length).min(other.len())];
                bytes.splice(at..at, part.iter().copied());
            }
            6 => {
                // In text: another number.
                let digits = |from: usize, are_digits: bool| {
                    let rest = bytes[from..].iter();
                    let same = rest.take_while(|byte| byte.is_ascii_digit() == are_digits);
                    from + same.count()
                };
                let start = digits(at, false);
                let end = digits(start, true);
                bytes.splice(start..end, chance.pick(&EDGES).to_string().into_bytes());
            }
            _ => bytes.truncate(bytes.len() - length / 4),
        }
    }
}

/// More rows than any scan of the specimen returns, however its files were mutated.
const ENDLESS: u64 = 1_000_000;

async fn scan(engine: &AuraEngine, direction: Direction) -> Result<(), Error> {
    let mut scan = engine.scan(Range::all(), direction);
    for _ in 0..ENDLESS {
        if scan.next().await?.is_none() {
            return Ok(());
        }
    }
    panic!("a scan does not end");
}

/// Makes every kind of call to a database, as far as it succeeds.
async fn use_it(world: &SimWorld, specimen: &Specimen) -> Result<(), Error> {
    let engine = open(&world.env(), &specimen.config).await?;
    for direction in [Direction::Forward, Direction::Reverse] {
        let _ = scan(&engine, direction).await;
    }
    for key in specimen.history.last().keys() {
        let _ = engine.get(key).await;
    }
    let _ = engine.verify().await;
    let _ = engine.index_registry();
    let _ = engine.put(b"another", &[1; 1000]).await;
    let _ = engine.compact().await;
    let _ = scan(&engine, Direction::Forward).await;
    engine.close().await
}

/// Opens the specimen with `bytes` in place of the file at `path`.
fn try_file(specimen: &Specimen, path: &Path, bytes: &[u8]) {
    let world = SimWorld::with_image(&sim_config(0), &specimen.image).unwrap();
    run(&world, async {
        let file = world.env().fs.create(path).unwrap();
        file.append(bytes).await.unwrap();
        let _ = use_it(&world, specimen).await;
    });
}

/// Returns the folder of the inputs that once failed.
fn kept(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz")
        .join(kind)
}

#[expect(
    clippy::disallowed_methods,
    reason = "inputs are kept as files of the repository"
)]
fn kept_inputs(kind: &str) -> Vec<Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(kept(kind)) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut inputs = Vec::new();
    for path in paths {
        inputs.push(std::fs::read(path).unwrap());
    }
    inputs
}

#[expect(
    clippy::disallowed_methods,
    reason = "inputs are kept as files of the repository"
)]
fn keep(kind: &str, bytes: &[u8]) {
    let path = kept(kind).join(format!("{:08x}", crc32c::crc32c(bytes)));
    std::fs::create_dir_all(kept(kind)).unwrap();
    std::fs::write(&path, bytes).unwrap();
    print(format_args!("kept as {}", path.display()));
}

/// A file of the specimen before it is mutated.
struct SoundFile {
    kind: &'static str,
    path: PathBuf,
    bytes: Vec<u8>,
}

fn fuzz(seed: u64, inputs: u64) {
    let specimen = specimen(seed, false);
    let mut chance = Chance::new(seed);
    let mut files = Vec::new();
    for (path, bytes) in specimen.files() {
        let (kind, _) = regions(&path, &bytes);
        files.push(SoundFile { kind, path, bytes });
    }
    for kind in ["log", "values", "table", "manifest", "CURRENT", "json"] {
        let of_kind: Vec<_> = files.iter().filter(|file| file.kind == kind).collect();
        let kept = kept_inputs(kind);
        tried("inputs", inputs + kept.len() as u64);
        for bytes in &kept {
            for file in &of_kind {
                try_file(&specimen, &file.path, bytes);
            }
        }
        for _ in 0..inputs {
            let file = chance.pick(&of_kind);
            let other = chance.pick(&of_kind);
            let mut bytes = file.bytes.clone();
            mutate(&mut bytes, &other.bytes, &mut chance);
            if chance.below(8) > 0 {
                reseal(kind, &file.path, &mut bytes);
            }
            let tried = catch_unwind(AssertUnwindSafe(|| {
                try_file(&specimen, &file.path, &bytes);
            }));
            if let Err(panic) = tried {
                keep(kind, &bytes);
                resume_unwind(panic);
            }
        }
    }
}

#[test]
fn hostile_files_cause_no_panic_and_no_hang() {
    let inputs = std::env::var("AURA_FUZZ").map_or(300, |inputs| inputs.parse().expect("a number"));
    for seed in seeds(2) {
        repeatable(seed, || fuzz(seed, inputs));
    }
}
