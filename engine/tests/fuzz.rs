//! Hostile files: one file of a sound database is mutated, its checksums are put right, and the database is opened, read,
//! written and compacted. It may refuse, or give other answers, for the checksums vouch for them; it may not panic, hang,
//! or take memory for lengths that are lies.
//!
//! The inputs are drawn from a seed: `AURA_FUZZ=<n>` makes as many of each kind of file. What once failed is kept in
//! `tests/fuzz/<kind>/`, and tried first. `engine/src/fuzz.rs` does the same to each decoder by itself, much faster.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use aura_engine::env::sim::SimWorld;
use aura_engine::{AuraEngine, Direction, Engine, Error, Range};
use common::history::open;
use common::specimen::{Specimen, regions, reseal, specimen};
use common::{Chance, print, repeatable, run, seeds, sim_config, tried};

/// Numbers at which lengths and counts turn over.
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

/// Changes a few places of `bytes`, some of them by parts of `other`.
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
                let start = at
                    + bytes[at..]
                        .iter()
                        .take_while(|byte| !byte.is_ascii_digit())
                        .count();
                let end = start
                    + bytes[start..]
                        .iter()
                        .take_while(|byte| byte.is_ascii_digit())
                        .count();
                bytes.splice(start..end, chance.pick(&EDGES).to_string().into_bytes());
            }
            _ => bytes.truncate(bytes.len() - length / 4),
        }
    }
}

/// Rows that no scan of the specimen comes to, however its files were mutated.
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

/// Does everything with a database, as far as it lets one.
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

/// Opens the specimen with `bytes` in the place of `path`.
fn try_file(specimen: &Specimen, path: &Path, bytes: &[u8]) {
    let world = SimWorld::with_image(&sim_config(0), &specimen.image).unwrap();
    run(&world, async {
        world
            .env()
            .fs
            .create(path)
            .unwrap()
            .append(bytes)
            .await
            .unwrap();
        let _ = use_it(&world, specimen).await;
    });
}

/// Where inputs that once failed are kept.
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
    paths
        .into_iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "inputs are kept as files of the repository"
)]
fn keep(kind: &str, bytes: &[u8]) {
    let path = kept(kind).join(format!("{:08x}", crc32c::crc32c(bytes)));
    std::fs::create_dir_all(kept(kind))
        .and_then(|()| std::fs::write(&path, bytes))
        .unwrap();
    print(format_args!("kept as {}", path.display()));
}

fn fuzz(seed: u64, inputs: u64) {
    let specimen = specimen(seed, false);
    let mut chance = Chance::new(seed);
    let file = |(path, bytes): (PathBuf, Vec<u8>)| (regions(&path, &bytes).0, path, bytes);
    let files: Vec<(&str, PathBuf, Vec<u8>)> = specimen.files().into_iter().map(file).collect();
    for kind in ["log", "values", "table", "manifest", "CURRENT", "json"] {
        let of_kind: Vec<_> = files.iter().filter(|file| file.0 == kind).collect();
        let kept = kept_inputs(kind);
        tried("inputs", inputs + kept.len() as u64);
        for bytes in &kept {
            of_kind
                .iter()
                .for_each(|(_, path, _)| try_file(&specimen, path, bytes));
        }
        for _ in 0..inputs {
            let (_, path, sound) = chance.pick(&of_kind);
            let other = &chance.pick(&of_kind).2;
            let mut bytes = sound.clone();
            mutate(&mut bytes, other, &mut chance);
            if chance.below(8) > 0 {
                reseal(kind, path, &mut bytes);
            }
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| try_file(&specimen, path, &bytes)))
            {
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
