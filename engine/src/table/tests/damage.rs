//! Damaged tables give the right answer, or an error that names the file and a place in it. They
//! never give a wrong value or panic.

use super::*;
use crate::index::IndexUse;

/// Returns whether `error` is damage in the table's file, at a place in it.
fn names_the_place(error: &Error, bytes: usize) -> bool {
    match error {
        Error::Corruption { file, offset, .. } => file == path() && *offset <= bytes as u64,
        _ => false,
    }
}

/// Reads everything from a table. Returns the number of answers that were errors.
fn question(world: &World, table: &Arc<Table>, entries: &[Entry], label: &str) -> u64 {
    let mut context = world.context();
    let mut errors = 0;
    let mut judge = |answer: Result<Option<Entry>>, expected: Option<&Entry>| match answer {
        Ok(found) => assert_eq!(found.as_ref(), expected, "{label}"),
        Err(error) => {
            assert!(
                names_the_place(&error, table.facts().bytes as usize),
                "{label}: {error}"
            );
            errors += 1;
        }
    };
    for entry in entries {
        let number = u64::from_be_bytes(entry.key[..].try_into().unwrap());
        judge(get(table, &entry.key, u64::MAX, &mut context), Some(entry));
        if number % 10 == 0 {
            let absent = (number + 1).to_be_bytes();
            judge(get(table, &absent, u64::MAX, &mut context), None);
        }
    }
    let mut cursor = TableCursor::new(Arc::clone(table));
    let mut moved = ready(cursor.seek_first(&mut context));
    for entry in entries {
        let stop = moved.is_err();
        judge(moved.map(|()| cursor.entry_to_keep()), Some(entry));
        if stop {
            break;
        }
        moved = ready(cursor.next(&mut context));
    }
    errors
}

fn small_table(compression: Compression) -> (World, Vec<Entry>, TableFacts, Vec<u8>) {
    let world = World::new(0);
    let entries = even_numbers(40);
    let built = world
        .build(&options(compression, "greedy-plr", "bloom", 300), &entries)
        .unwrap();
    assert_eq!(built.index.used, IndexUse::Model, "{:?}", built.index);
    let contents = world.contents();
    (world, entries, facts(&built), contents)
}

#[test]
fn every_flipped_bit_is_detected_or_harmless() {
    for compression in [Compression::None, Compression::Zstd] {
        let (world, entries, facts, contents) = small_table(compression);
        let mut refused = 0;
        let mut answered_in_part = 0;
        let mut fell_back = 0;
        for bit in 0..8 * contents.len() {
            let mut damaged = contents.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            world.overwrite(&damaged);
            let label = format!(
                "{compression:?}, bit {} of byte {} of {}",
                bit % 8,
                bit / 8,
                contents.len()
            );
            let mut context = world.context();
            let table = match world.open_counting(facts.clone(), &mut context) {
                Ok(table) => Arc::new(table),
                Err(error) => {
                    assert!(names_the_place(&error, contents.len()), "{label}: {error}");
                    refused += 1;
                    continue;
                }
            };
            let errors = question(&world, &table, &entries, &label);
            if context.stats.model_fallbacks == 1 {
                assert_eq!(
                    (errors, table.index_report().used),
                    (0, IndexUse::Fence),
                    "{label}"
                );
                assert!(table.index_report().refused.is_some(), "{label}");
                fell_back += 1;
            } else {
                assert!(errors > 0, "{label}: not detected");
                answered_in_part += 1;
            }
            let error = ready(table.verify(&mut world.context(), |_| {})).expect_err(&label);
            assert!(names_the_place(&error, contents.len()), "{label}: {error}");
        }
        assert!(
            refused > 800 && answered_in_part > 2_000 && fell_back > 300,
            "{refused} {answered_in_part} {fell_back}"
        );
    }
}

#[test]
fn every_truncation_is_refused() {
    let (world, _, facts, contents) = small_table(Compression::None);
    for bytes in 0..contents.len() {
        world.overwrite(&contents[..bytes]);
        for stated in [contents.len(), bytes] {
            let facts = TableFacts {
                bytes: stated as u64,
                ..facts.clone()
            };
            let error = world
                .open_as(facts)
                .map(drop)
                .expect_err("a truncated table was opened");
            assert!(
                names_the_place(&error, contents.len()),
                "{bytes} of {}: {error}",
                contents.len()
            );
        }
    }
}

#[test]
fn another_table_in_its_place_is_refused() {
    let (world, _, facts, _) = small_table(Compression::None);
    let wrong = TableFacts {
        entries: facts.entries + 1,
        ..facts.clone()
    };
    assert!(names_the_place(
        &world.open_as(wrong).map(drop).unwrap_err(),
        facts.bytes as usize
    ));
    let wrong = TableFacts {
        largest: Bytes::from_static(b"zzz"),
        ..facts.clone()
    };
    assert!(names_the_place(
        &world.open_as(wrong).map(drop).unwrap_err(),
        facts.bytes as usize
    ));
    assert!(world.open_as(facts).is_ok());
}

#[test]
fn a_newer_format_is_distinguished_from_damage() {
    let (world, _, facts, mut contents) = small_table(Compression::None);
    let footer = contents.len() - format::FOOTER_BYTES;
    let version = contents.len() - 16;
    contents[version..version + 4].copy_from_slice(&4u32.to_le_bytes());
    let checksum = crc32c::crc32c(&contents[footer..version + 4]);
    contents[version + 4..version + 8].copy_from_slice(&checksum.to_le_bytes());
    world.overwrite(&contents);
    let error = world.open_as(facts).map(drop).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Format {
                found: 4,
                supported: 3,
                ..
            }
        ),
        "{error}"
    );
}
