//! The frozen bytes of a tiny table: a change of the format must be a new version, not an accident.

use super::*;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn entries() -> [Entry; 3] {
    [put(b"ab", 3, b"xyz"), delete(b"ab", 2), put(b"b", 9, b"")]
}

#[test]
fn the_bytes_of_a_table_are_those_of_version_3() {
    let world = World::new(0);
    let built = world
        .build(&options(Compression::None, "fence", "none", 32), &entries())
        .unwrap();
    let contents = world.contents();
    let mut rest = &contents[..];
    let mut parts = Vec::new();
    for bytes in DATA.iter().chain(&END_3).map(|(_, part)| part.len() / 2) {
        let (part, after) = rest.split_at(bytes.min(rest.len()));
        parts.push(hex(part));
        rest = after;
    }
    for ((name, expected), part) in DATA.iter().chain(&END_3).zip(&parts) {
        assert_eq!(part, expected, "{name}; all of it: {}", hex(&contents));
    }
    assert_eq!((rest, built.bytes), (&[][..], contents.len() as u64));
    assert!(world.open_as(facts(&built)).is_ok());
}

#[test]
fn tables_of_older_versions_are_read() {
    for end in [END_1, END_2] {
        an_older_table_is_read(&end);
    }
}

fn an_older_table_is_read(end: &[(&str, &str); 2]) {
    let world = World::new(0);
    let built = world
        .build(&options(Compression::None, "fence", "none", 32), &entries())
        .unwrap();
    let contents: Vec<u8> = DATA
        .iter()
        .chain(end)
        .flat_map(|(_, part)| unhex(part))
        .collect();
    world.overwrite(&contents);
    let stated = TableFacts {
        bytes: contents.len() as u64,
        ..facts(&built)
    };
    let table = Arc::new(world.open_as(stated).unwrap());
    ready(table.verify(&mut world.context(), |_| {})).unwrap();
    for entry in entries() {
        let found = get(&table, &entry.key, entry.sequence, &mut world.context()).unwrap();
        assert_eq!(found, Some(entry));
    }
}

/// Written by hand from the drawing in `format`. The checksums come from an independent CRC32C.
const DATA: [(&str, &str); 4] = [
    (
        "data block 0",
        "02616201030000000000000378797a000000000100000000170000004b4b764d",
    ),
    (
        "data block 1",
        "0261620002000000000000000000000001000000001400000012d8e3e1",
    ),
    (
        "data block 2",
        "0162010900000000000000000000000100000000130000006ea1560d",
    ),
    (
        "index block",
        "0300000020010261621d010261621c010162001200000022b30f6f",
    ),
];

const END_2: [(&str, &str); 2] = [
    (
        "properties block",
        "03010002090261620162046e6f6e650566656e63650000000566656e63650000\
         0000000000000000000000000000002e000000788ad258",
    ),
    (
        "footer",
        "0000000000000000000000000000000000000000000000005900000000000000\
         1b000000740000000000000037000000020000008ab66c2d617572612e737374",
    ),
];

const END_3: [(&str, &str); 2] = [
    END_2[0],
    (
        "footer",
        "0000000000000000000000000000000000000000000000005900000000000000\
         1b00000074000000000000003700000003000000321c29f0617572612e737374",
    ),
];

const END_1: [(&str, &str); 2] = [
    (
        "properties block",
        "03010002090261620162046e6f6e650566656e6365000200001800000099ebeb05",
    ),
    (
        "footer",
        "0000000000000000000000000000000000000000000000005900000000000000\
         1b00000074000000000000002100000001000000244e5d78617572612e737374",
    ),
];
