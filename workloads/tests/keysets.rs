//! Key files: every format is read back, and broken files are refused.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "tests of files, which say when they were skipped"
)]

use std::io::{self, Read};
use std::path::Path;

use aura_workloads::Seed;
use aura_workloads::keyset::{KeyFormat, KeySet, KeySetError, Keys, StringKeys};

fn words(numbers: &[u64]) -> Vec<u8> {
    numbers
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect()
}

fn read(format: KeyFormat, bytes: &[u8]) -> Result<KeySet, KeySetError> {
    format.read(bytes, None)
}

fn numbers(set: KeySet) -> Vec<u64> {
    match set.keys {
        Keys::Numbers(keys) => keys,
        Keys::Strings(keys) => panic!("{keys:?}"),
    }
}

/// How numbers are written in each format that holds them.
fn written(format: KeyFormat, keys: &[u64]) -> Vec<u8> {
    let deltas = || {
        keys.iter()
            .scan(0, |before, key| Some(key - std::mem::replace(before, *key)))
            .collect::<Vec<u64>>()
    };
    match format {
        KeyFormat::U64 => words(keys),
        KeyFormat::U64Delta => words(&deltas()),
        KeyFormat::SosdU64 => [words(&[keys.len() as u64]), words(keys)].concat(),
        KeyFormat::SosdU32 => {
            let keys32 = keys.iter().flat_map(|key| (*key as u32).to_le_bytes());
            words(&[keys.len() as u64])
                .into_iter()
                .chain(keys32)
                .collect()
        }
        KeyFormat::Lines | KeyFormat::Numbers => keys
            .iter()
            .map(|key| format!("{key}\r\n"))
            .collect::<String>()
            .into(),
    }
}

#[test]
fn every_format_gives_back_what_was_written() {
    let mut generator = Seed(7).generator();
    let mut keys: Vec<u64> = (0..3000)
        .map(|_| generator.below(u64::from(u32::MAX)))
        .chain([0, 5])
        .collect();
    keys.sort_unstable();
    keys.dedup();
    for format in KeyFormat::ALL {
        let set = read(format, &written(format, &keys)).expect("it was just written");
        assert_eq!(set.duplicates, 0);
        match set.keys {
            Keys::Numbers(found) => assert!(found == keys && set.sorted, "{}", format.name()),
            Keys::Strings(found) => {
                assert_eq!(
                    (found.len(), set.sorted),
                    (keys.len(), false),
                    "decimals of any length"
                )
            }
        }
        let limited = format
            .read(&written(format, &keys)[..], Some(10))
            .expect("it was just written");
        assert_eq!(limited.keys.len(), 10, "{}", format.name());
        assert_eq!(KeyFormat::find(format.name()), Some(format));
    }
    let wide = [3, u64::MAX];
    for format in [
        KeyFormat::U64,
        KeyFormat::U64Delta,
        KeyFormat::SosdU64,
        KeyFormat::Numbers,
    ] {
        assert_eq!(
            numbers(read(format, &written(format, &wide)).expect("two keys")),
            wide,
            "{}",
            format.name()
        );
    }
}

#[test]
fn unsorted_keys_are_sorted_and_duplicates_counted() {
    let set = read(KeyFormat::U64, &words(&[9, 3, 9, 1, 3, 3])).expect("keys");
    assert_eq!((set.duplicates, set.sorted), (3, false));
    assert_eq!(numbers(set), [1, 3, 9]);
    let set = read(KeyFormat::U64Delta, &words(&[4, 0, 2])).expect("keys");
    assert_eq!((set.duplicates, set.sorted), (1, true));
    let text = b"pear\n\napple\r\npear\n\xff\xfe\nno end";
    let set = read(KeyFormat::Lines, text).expect("keys");
    let expected: [&[u8]; 4] = [b"apple", b"no end", b"pear", b"\xff\xfe"];
    assert_eq!(
        set.keys,
        Keys::Strings(expected.into_iter().collect::<StringKeys>())
    );
    assert_eq!((set.duplicates, set.sorted), (1, false));
}

#[test]
fn a_file_that_holds_no_keys_is_refused_with_the_place() {
    let says = |format, bytes: &[u8]| read(format, bytes).expect_err("it is broken").to_string();
    let torn = [words(&[1, 2]), vec![0; 3]].concat();
    assert!(says(KeyFormat::U64, &torn).contains("3 of its 8 bytes, after 2 whole keys"));
    assert!(says(KeyFormat::U64Delta, &torn).contains("after 2 whole keys"));
    assert!(says(KeyFormat::SosdU64, &words(&[3, 1, 2])).contains("promises 3 keys, and 2 follow"));
    assert!(
        says(KeyFormat::SosdU64, &words(&[1, 1, 2])).contains("promises 1 keys, and more follow")
    );
    assert!(
        says(KeyFormat::SosdU64, &words(&[u64::MAX, 1])).contains("promises 18446744073709551615")
    );
    assert!(says(KeyFormat::SosdU32, &[2, 0, 0]).contains("3 of its 8 bytes"));
    assert!(says(KeyFormat::U64Delta, &words(&[5, u64::MAX])).contains("up to key 1 "));
    assert!(
        says(KeyFormat::Numbers, b"12\n\n-3\n")
            .contains("line 3 is not a number from 0 to 2^64 - 1: `-3`")
    );
    assert!(says(KeyFormat::Numbers, b"18446744073709551616").contains("line 1"));
    for format in KeyFormat::ALL {
        assert_eq!(says(format, b""), "it holds no key", "{}", format.name());
    }
    assert_eq!(says(KeyFormat::SosdU64, &words(&[0])), "it holds no key");
    assert_eq!(says(KeyFormat::Lines, b"\n\r\n\n"), "it holds no key");
    // A binary file read as text, with a line that never ends.
    let endless = KeyFormat::Lines
        .read(io::repeat(b'x'), None)
        .expect_err("it never ends");
    assert!(
        endless.to_string().starts_with("line 1 is over"),
        "{endless}"
    );
}

#[test]
fn garbage_never_panics() {
    let mut generator = Seed(11).generator();
    for _ in 0..2000 {
        let bytes: Vec<u8> = (0..generator.below(80))
            .map(|_| generator.bits() as u8 >> generator.below(8))
            .collect();
        for format in KeyFormat::ALL {
            if let Ok(set) = read(format, &bytes) {
                assert!(!set.keys.is_empty());
            }
        }
    }
}

#[test]
fn a_failing_source_is_reported() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the cable is loose"))
        }
    }
    for format in KeyFormat::ALL {
        let error = format.read(Failing, None).expect_err("nothing can be read");
        assert_eq!(error.to_string(), "the cable is loose", "{}", format.name());
    }
}

#[test]
fn names_of_files_suggest_their_format() {
    for (name, format) in [
        ("books_200M_uint64", Some(KeyFormat::SosdU64)),
        ("books_200M_uint32", Some(KeyFormat::SosdU32)),
        ("uniform.u64d", Some(KeyFormat::U64Delta)),
        ("uniform.U64", Some(KeyFormat::U64)),
        ("words.txt", Some(KeyFormat::Lines)),
        ("words", None),
    ] {
        assert_eq!(KeyFormat::of_file_name(name), format, "{name}");
    }
}

/// The reference key sets, whose sizes and ends are stated beside them.
#[test]
fn reference_sets_have_the_stated_ends() {
    let Some(folder) = std::env::var_os("AURA_ORACLES") else {
        println!("skipped: AURA_ORACLES is not set");
        return;
    };
    let folder = Path::new(&folder).join("learned_index");
    let table = std::fs::read_to_string(folder.join("datasets.csv")).expect("the table of sets");
    for row in table.lines().skip(1) {
        let fields: Vec<&str> = row.split(',').collect();
        let file = std::fs::File::open(folder.join(fields[5])).expect("the keys");
        let source = zstd::stream::read::Decoder::new(file).expect("a zstd frame");
        let set = KeyFormat::U64Delta
            .read(source, None)
            .expect("a readable set");
        assert!(set.sorted && set.duplicates == 0, "{row}");
        let keys = numbers(set);
        let found = [keys.len() as u64, keys[0], keys[keys.len() - 1]];
        let stated = [1, 2, 3].map(|field: usize| fields[field].parse::<u64>().expect("a number"));
        assert_eq!(found, stated, "{row}");
    }
}
