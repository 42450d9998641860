//! Traces of operations: the readers, what each operation finds, and the form on disk.

use super::*;
use crate::lengths::{Length, LengthDistribution, Lengths};

fn operations(text: &[u8], format: Format) -> Operations {
    read_operations(text, format, &ReadOptions::default()).expect("a trace")
}

/// Ready to be replayed: values of 1000 bytes, scans of 7 records.
fn ready(operations: Operations, preload: bool) -> Operations {
    let scans = Lengths::new(7, 7, LengthDistribution::Uniform);
    operations.prepared(preload, &Length::Constant(1000).into(), scans)
}

fn prepared(text: &[u8], format: Format) -> Operations {
    ready(operations(text, format), true)
}

/// Action, key and value bytes of each operation.
fn rows(operations: &Operations) -> Vec<(Action, &[u8], Option<u64>)> {
    (0..operations.len())
        .map(|at| operations.at(at))
        .map(|it| (it.action, it.key, it.value_bytes))
        .collect()
}

#[test]
fn twitters_rows_are_operations_with_the_lengths_of_keys_and_values() {
    let text = b"10,ab,4,7,1,get,0\n10,cd,2,9,1,set,60\n11,ab,4,0,1,delete,0\n12,cd,2,5,1,incr,0\n";
    let read = operations(text, Format::Twitter);
    assert_eq!(
        rows(&read),
        [
            (Action::Get, &b"ab\0\0"[..], Some(7)),
            (Action::Put, b"cd", Some(9)),
            (Action::Delete, b"ab\0\0", Some(0)),
            (Action::ReadModifyWrite, b"cd", Some(5)),
        ]
    );
    assert_eq!(read.time(2), 11_000_000_000);
}

#[test]
fn metas_rows_are_repeated_and_an_unknown_operation_is_refused_with_its_line() {
    let text = b"key,op,size,op_count,key_size\n7,GET,30,3,2\n8,SET,40,1,1\n";
    let read = operations(text, Format::MetaKv);
    let get = (Action::Get, &b"7\0"[..], Some(30));
    assert_eq!(rows(&read), [get, get, get, (Action::Put, b"8", Some(40))]);
    let text = b"key,op,size\n7,GET,30\n8,FROB,1\n";
    let error = read_operations(&text[..], Format::MetaKv, &ReadOptions::default()).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("line 3: the operation `FROB` is not known")
    );
}

#[test]
fn what_is_read_first_is_put_before_and_every_operation_knows_what_it_finds() {
    let text =
        b"key,op,size\na,get,7\nb,put,5\nb,get,5\nb,delete,\nb,get,0\na,put,3\na,rmw,4\na,get,4\n";
    let trace = prepared(text, Format::Csv);
    assert_eq!((trace.loads(), trace.len()), (1, 9));
    let value = |at: u64, number, bytes| Finds::Value {
        source: ValueSource {
            number,
            version: at + 1,
        },
        bytes,
    };
    let finds: Vec<Finds> = (1..9).map(|at| trace.at(at).finds).collect();
    let expected = [
        value(0, 0, 7),
        Finds::Nothing,
        value(2, 1, 5),
        value(2, 1, 5),
        Finds::Nothing,
        value(0, 0, 7),
        value(6, 0, 3),
        value(7, 0, 4),
    ];
    assert_eq!(finds, expected);
    let cold = ready(operations(text, Format::Csv), false);
    assert_eq!((cold.loads(), cold.at(0).finds), (0, Finds::Nothing));
}

#[test]
fn requests_without_operations_are_gets_of_numbers_highest_byte_first() {
    let trace = prepared(&[1, 2, 0, 0, 0, 0, 0, 0], Format::Keys);
    let key = [0, 0, 0, 0, 0, 0, 2, 1];
    // Its value has the default size.
    assert_eq!(trace.at(0).value_bytes, Some(1000));
    assert_eq!(
        (trace.at(1).action, trace.at(1).key),
        (Action::Get, &key[..])
    );
}

/// A record of RocksDB's binary form.
fn record(micros: u64, kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = micros.to_le_bytes().to_vec();
    bytes.push(kind);
    bytes.extend((payload.len() as u32).to_le_bytes());
    bytes.extend(payload);
    bytes
}

fn text(bytes: &[u8]) -> Vec<u8> {
    [&[bytes.len() as u8], bytes].concat()
}

/// A trace of version 0.2: a batch of all kinds of writes, a get, two seeks and a multi-get.
fn rocksdb() -> Vec<u8> {
    let header = b"feedcafedeadbeef\tTrace Version: 0.2\tRocksDB Version: 8.6\tFormat: ...\n";
    let mut batch = vec![0; 12];
    batch.extend([&[1][..], &text(b"k1"), &text(b"value")].concat());
    batch.extend([&[5, 3][..], &text(b"k1"), &text(b"other")].concat());
    batch.extend([&[3][..], &text(b"a blob of the log")].concat());
    batch.extend([&[2][..], &text(b"k2"), &text(b"ab")].concat());
    batch.extend([&[7][..], &text(b"k1")].concat());
    batch.extend([&[1][..], &text(b"k3"), &text(b"")].concat());
    batch.extend([&[0xF][..], &text(b"k2"), &text(b"k9")].concat());
    let map = |bits: u64| bits.to_le_bytes().to_vec();
    let family = [0; 4];
    let key = [&map(0b1100)[..], &family, &text(b"k3")].concat();
    let seek = [&map(0b111_0000)[..], &family, &text(b"k2"), &text(b"k1")].concat();
    let keys = text(&[text(b"k1"), text(b"k3")].concat());
    let many = [
        &map(0b111_0000_0000)[..],
        &[2, 0, 0, 0],
        &text(&[0; 8]),
        &keys,
    ]
    .concat();
    [
        record(900, 1, header),
        record(1000, 3, &[map(2), text(&batch)].concat()),
        record(1001, 4, &key),
        record(1002, 5, &seek),
        record(1003, 6, &seek),
        record(1004, 13, &many),
        record(1005, 2, &[]),
    ]
    .concat()
}

#[test]
fn rocksdbs_binary_records_become_operations() {
    let bytes = rocksdb();
    assert_eq!(Format::detect("trace", &bytes), Some(Format::RocksDb));
    let read = operations(&bytes, Format::RocksDb);
    assert_eq!(
        rows(&read),
        [
            (Action::Put, &b"k1"[..], Some(5)),
            (Action::Put, b"\0\0\0\x03k1", Some(5)),
            (Action::ReadModifyWrite, b"k2", Some(2)),
            (Action::Delete, b"k1", None),
            (Action::Put, b"k3", Some(0)),
            (Action::Delete, b"k2", None),
            (Action::Delete, b"k3", None),
            (Action::Get, b"k3", None),
            (Action::Scan, b"k2", None),
            (Action::ReverseScan, b"k2", None),
            (Action::Get, b"k1", None),
            (Action::Get, b"k3", None),
        ]
    );
    assert_eq!((read.time(0), read.range_deletes()), (1_000_000, 1));
    // To a cache, writes and reads are requests, and deletes end objects.
    let requests = super::read(&bytes[..], Format::RocksDb, &ReadOptions::default());
    let requests = requests.expect("a trace");
    assert_eq!((requests.objects().len(), requests.removals()), (9, 1));
}

#[test]
fn damaged_rocksdb_traces_are_refused_with_the_byte() {
    let bytes = rocksdb();
    for cut in 1..bytes.len() - 13 {
        let read = read_operations(&bytes[..cut], Format::RocksDb, &ReadOptions::default());
        match read {
            Err(TraceError::Truncated { place }) => assert!(matches!(place, Place::Byte(_))),
            Err(error) => panic!("{cut}: {error}"),
            // Between two records.
            Ok(read) => assert!(read.len() < 12 || cut >= bytes.len() - 26, "{cut}"),
        }
    }
    let mut wrong = bytes.clone();
    let at = wrong
        .windows(3)
        .position(|it| it == b"0.2")
        .expect("a version");
    wrong[at + 2] = b'7';
    let error = read_operations(&wrong[..], Format::RocksDb, &ReadOptions::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "byte 0: version 0.7 is not known here: 0.1 and 0.2 are"
    );
    // Any byte may be garbage: an error or another trace, never a panic.
    for at in 0..bytes.len() {
        let mut wrong = bytes.clone();
        wrong[at] ^= 0xff;
        drop(read_operations(
            &wrong[..],
            Format::RocksDb,
            &ReadOptions::default(),
        ));
    }
}

#[test]
fn rocksdbs_readable_rows_are_the_same_operations() {
    let text = b"0x6B31 1 0 5 1000\n0x6B31 1 3 5 1000\n0x6B32 5 0 2 1000\n0x6B31 3 0 0 1000\n\
                 0x6B33 1 0 0 1000\n0x6B32 0x6B39 4 0 0 1000\n0x6B33 0 0 0 1001\n\
                 0x6B32 6 0 0 1002\n0x6B32 7 0 0 1003\n0x6B31 8 0 0 1004\n0x6B33 8 0 0 1004\n";
    assert_eq!(Format::detect("trace", text), Some(Format::RocksDbText));
    let read = operations(text, Format::RocksDbText);
    assert_eq!(
        read.digest(),
        operations(&rocksdb(), Format::RocksDb).digest()
    );
    let error = read_operations(
        &b"1 0 5 1000\n"[..],
        Format::RocksDbText,
        &ReadOptions::default(),
    );
    assert!(
        error
            .unwrap_err()
            .to_string()
            .starts_with("line 1: a row is a key as 0x")
    );
}

#[test]
fn operations_on_disk_are_read_back_whole() {
    let mut read = operations(&rocksdb(), Format::RocksDb);
    let mut bytes = Vec::new();
    write_operations(&read, &mut bytes).expect("memory");
    let back = operations(&bytes, Format::Aurat);
    assert_eq!(back.digest(), read.digest());
    read = ready(read, true);
    bytes.clear();
    write_operations(&read, &mut bytes).expect("memory");
    let back = operations(&bytes, Format::Aurat);
    assert_eq!((back.loads(), back.len()), (read.loads(), read.len()));
    for cut in 0..bytes.len() {
        let read = read_operations(&bytes[..cut], Format::Aurat, &ReadOptions::default());
        assert!(read.is_err(), "{cut}");
    }
    // The bytes are frozen: an operation of each kind of field.
    let mut writer = TraceWriter::of_operations(Vec::new(), 0.5, true).expect("memory");
    let source = Some(ValueSource {
        number: 300,
        version: 7,
    });
    let record = OperationRecord {
        at_ns: 1000,
        action: Action::Put,
        key: b"key",
        value_bytes: Some(200),
        length: 0,
        source,
        loads: true,
    };
    writer.push_operation(&record).expect("memory");
    let bytes = writer.finish().expect("memory");
    let body = [0x39, 0xd0, 0x0f, 3, b'k', b'e', b'y', 0xc8, 1, 0xac, 2, 7];
    assert_eq!(&bytes[8..12], &[2, 0, 8, 0]);
    assert_eq!(&bytes[48..60], &body);
}

#[test]
fn limits_and_samples_hold_for_operations() {
    let mut text = b"key,op\n".to_vec();
    for key in 0..1000 {
        text.extend(format!("{},get\n", key % 100).bytes());
    }
    let options = ReadOptions {
        limit: Some(500),
        sample: Sample::new(0.5, 1),
        ..ReadOptions::default()
    };
    let read = read_operations(&text[..], Format::Csv, &options).expect("a trace");
    assert_eq!(read.len() % 5, 0, "whole keys");
    assert!((30..70).contains(&read.keys()) && read.len() == read.keys() * 5);
}

#[test]
fn a_deleted_range_without_an_end_is_counted_and_left_out() {
    let text = b"0x6B31 1 0 5 1000\n0x6B30 4 0 0 1001\n0x6B31 0 0 0 1002\n";
    let read = operations(text, Format::RocksDbText);
    assert_eq!(read.len(), 2);
    assert_eq!((read.range_deletes(), read.open_range_deletes()), (0, 1));
    let requests = super::read(&text[..], Format::RocksDbText, &ReadOptions::default());
    assert_eq!(requests.expect("a trace").objects().len(), 2);
}

/// A trace of one write batch.
fn batch_of(entries: &[&[u8]]) -> Vec<u8> {
    let header = b"feedcafedeadbeef\tTrace Version: 0.1\tRocksDB Version: 8.6\tFormat: ...\n";
    let batch = [&[0; 12][..], &entries.concat()].concat();
    [record(900, 1, header), record(1000, 3, &batch)].concat()
}

#[test]
fn a_transaction_in_two_phases_counts_once_when_it_is_committed() {
    let put = [&[1][..], &text(b"k1"), &text(b"value")].concat();
    let ends = [&[0xA][..], &text(b"xid")].concat();
    let commits = [&[0xB][..], &text(b"xid")].concat();
    let timed = [&[0x15][..], &text(b"12345678"), &text(b"xid")].concat();
    let rolls_back = [&[0xC][..], &text(b"xid")].concat();
    let (begins, persisted) = ([0x9], [0x12]);
    for (entries, writes) in [
        // Prepared: its commit has the writes again.
        (vec![&begins[..], &put, &ends], 0),
        (vec![&commits[..], &begins, &put, &ends], 1),
        (vec![&timed[..], &begins, &put, &ends], 1),
        (vec![&rolls_back[..]], 0),
        // Written before its commit, which has no writes.
        (vec![&persisted[..], &put, &ends], 1),
        (vec![&commits[..]], 0),
    ] {
        let read = operations(&batch_of(&entries), Format::RocksDb);
        assert_eq!(read.len(), writes, "{entries:?}");
    }
}

#[test]
fn deletes_of_ranges_cost_no_more_than_the_operations_before_them() {
    let mut batch = Vec::new();
    let everything = [&[0xF][..], &text(b"a"), &text(b"z")].concat();
    for key in 0..200_u8 {
        batch.extend([&[1][..], &text(&[b'k', key]), &text(b"value")].concat());
    }
    for _ in 0..1000 {
        batch.extend(&everything);
    }
    // One key comes back, by a write; reading another does not bring it back.
    batch.extend([&[1][..], &text(&[b'k', 7]), &text(b"value")].concat());
    batch.extend(&everything);
    let read = operations(&batch_of(&[&batch]), Format::RocksDb);
    assert_eq!(
        (read.len(), read.range_deletes()),
        (200 + 200 + 1 + 1, 1001)
    );
    assert_eq!(read.at(401).key, [b'k', 7]);
    assert_eq!(read.at(401).action, Action::Delete);
}

#[test]
fn a_source_without_times_gives_a_file_without_times() {
    let mut read = operations(b"key,op,size\na,put,7\nb,get,5\n", Format::Csv);
    for _ in 0..2 {
        assert!(!read.has_times());
        let mut bytes = Vec::new();
        write_operations(&read, &mut bytes).expect("memory");
        assert_eq!(&bytes[8..12], &[2, 0, 24, 0]);
        let back = operations(&bytes, Format::Aurat);
        assert!(!back.has_times() && back.loads() == read.loads());
        assert_eq!(rows(&back), rows(&read));
        for cut in 0..bytes.len() {
            let options = ReadOptions::default();
            assert!(read_operations(&bytes[..cut], Format::Aurat, &options).is_err());
        }
        // No time is made up for what is put before, either.
        read = ready(back, true);
    }
}

#[test]
fn numbers_that_are_too_large_are_refused_with_their_place() {
    let refused = |text: &str, format| {
        let options = ReadOptions::default();
        let error = read_operations(text.as_bytes(), format, &options).unwrap_err();
        error.to_string()
    };
    for (text, format, expected) in [
        (
            "0x61 0 0 0 1\n0x61 0 0 0 18446744073709551615\n",
            Format::RocksDbText,
            "line 2: a time of 18446744073709551615 microseconds",
        ),
        (
            "time,key,op\n1,a,get\n9300000000,a,get\n",
            Format::Csv,
            "line 3: the time is more than 292 years",
        ),
        (
            "key,op,scan\na,scan,4294967296\n",
            Format::Csv,
            "line 2: the scan length is 2^32 or more",
        ),
        (
            "key,op,size\na,put,300000000\n",
            Format::Csv,
            "line 2: a value of 300000000 bytes",
        ),
    ] {
        assert!(
            refused(text, format).starts_with(expected),
            "{}",
            refused(text, format)
        );
    }
    let text = b"0,ab,18446744073709551615,7,1,get,0\n";
    let error = super::read(&text[..], Format::Twitter, &ReadOptions::default()).unwrap_err();
    assert!(
        error.to_string().starts_with("line 1: the sizes"),
        "{error}"
    );
}

#[test]
fn a_sample_is_the_same_in_every_format_and_of_a_sample() {
    let mut text = "0,k0,3,5,1,get,0\n".to_owned();
    for key in 1..4000 {
        text += &format!("{key},k{key},6,5,1,get,0\n");
    }
    let sampled = |bytes: &[u8], format, rate| {
        let options = ReadOptions {
            sample: Sample::new(rate, Sample::SEED),
            ..ReadOptions::default()
        };
        let read = read_operations(bytes, format, &options).expect("a trace");
        let mut written = Vec::new();
        write_operations(&read, &mut written).expect("memory");
        (read, written)
    };
    let (_, whole) = sampled(text.as_bytes(), Format::Twitter, 1.0);
    let (tenth, bytes) = sampled(text.as_bytes(), Format::Twitter, 0.1);
    let (again, _) = sampled(&whole, Format::Aurat, 0.1);
    assert_eq!(rows(&tenth), rows(&again), "padded keys, too");
    assert!(tenth.len().abs_diff(400) < 80, "{}", tenth.len());
    let (half, _) = sampled(&bytes, Format::Aurat, 0.5);
    assert!(half.len().abs_diff(tenth.len() / 2) < 40, "{}", half.len());
    assert!((half.recorded_rate() - 0.05).abs() < 1e-12);
}
