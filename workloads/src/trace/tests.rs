//! Every format: its bytes, reading what was written, and what garbage gives.

use super::*;
use crate::seed::Seed;

fn with_times() -> ReadOptions {
    ReadOptions {
        times: true,
        ..ReadOptions::default()
    }
}

fn loaded(format: Format, bytes: &[u8]) -> Trace {
    read(bytes, format, &with_times()).unwrap_or_else(|error| panic!("{format}: {error}"))
}

fn keys(trace: &Trace) -> Vec<u64> {
    trace
        .objects()
        .iter()
        .map(|object| trace.keys()[*object as usize])
        .collect()
}

fn sizes(trace: &Trace) -> Vec<u64> {
    (0..trace.objects().len())
        .map(|request| trace.bytes(request))
        .collect()
}

fn refused(format: Format, bytes: &[u8]) -> String {
    read(bytes, format, &with_times())
        .expect_err("it is garbage")
        .to_string()
}

fn written(trace: &Trace, format: Format) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(trace, format, &mut bytes).unwrap_or_else(|error| panic!("{format}: {error}"));
    bytes
}

#[test]
fn lis_ranges_are_written_out() {
    let trace = loaded(Format::Lis, b"42 3 0 1\n7 1 0 2\r\n\n  43 1 0 3");
    assert_eq!(keys(&trace), [42, 43, 44, 7, 43]);
    assert!(!trace.has_sizes() && trace.bytes(0) == 1);
    assert_eq!(
        refused(Format::Lis, b"1 1 0 1\n2 x 0 2\n"),
        "line 2: expected four numbers: start, count, ignored, request"
    );
    for bad in [
        "1 1 0",
        "1 1 0 0 0",
        "1 1048577 0 0",
        "18446744073709551615 1 0 0",
        "-1 1 0 0",
    ] {
        assert!(
            refused(Format::Lis, bad.as_bytes()).starts_with("line 1: "),
            "{bad}"
        );
    }
}

/// The first bytes of libCacheSim's own trace, and what its next accesses would be.
#[test]
fn oracle_general_records_are_24_bytes() {
    let trace = loaded(
        Format::Csv,
        b"5633898,42932745,512\n5633898,42932746,512\n5633899,42932745,1024\n",
    );
    let bytes = written(&trace, Format::OracleGeneral);
    let first = [
        0x6a, 0xf7, 0x55, 0x00, 0x09, 0x1a, 0x8f, 0x02, 0, 0, 0, 0, 0, 2, 0, 0, 3, 0, 0, 0, 0, 0,
        0, 0,
    ];
    assert_eq!(bytes.len(), 72);
    assert_eq!(bytes[..24], first);
    assert_eq!(bytes[40..48], [0xff; 8], "the second key never comes again");
    let back = loaded(Format::OracleGeneral, &bytes);
    assert_eq!((keys(&back), sizes(&back)), (keys(&trace), sizes(&trace)));
    assert_eq!(back.times(), trace.times());
    assert_eq!(
        refused(Format::OracleGeneral, &bytes[..50]),
        "byte 48: the trace ends within a record"
    );
    let late = loaded(Format::Csv, b"4294967296,1,1\n");
    assert!(matches!(
        write(&late, Format::OracleGeneral, Vec::new()),
        Err(TraceError::CannotSay { .. })
    ));
}

#[test]
fn csv_finds_its_columns_by_name_number_or_number_of_columns() {
    let mapped = |map: &str, text: &str| {
        let options = ReadOptions {
            columns: map.parse().expect("a map"),
            ..with_times()
        };
        read(text.as_bytes(), Format::Csv, &options)
            .unwrap_or_else(|error| panic!("{map}: {error}"))
    };
    let plain = loaded(Format::Csv, b"time,key,size\n1,10,100\n2.5,11,200\n");
    assert_eq!(
        (keys(&plain), sizes(&plain)),
        (vec![10, 11], vec![100, 200])
    );
    assert_eq!(plain.times(), [1_000_000_000, 2_500_000_000]);
    assert_eq!(
        keys(&loaded(Format::Csv, b"1,10,100\n2,11,200\n")),
        [10, 11]
    );
    assert_eq!(keys(&loaded(Format::Csv, b"10\n11\n")), [10, 11]);
    let named = mapped(
        "key=url,size=len,delimiter=;",
        "len;url;ignored\n5;\"a;b\";x\n6;7;y\n",
    );
    assert_eq!(keys(&named), [xxhash_rust::xxh3::xxh3_64(b"a;b"), 7]);
    assert_eq!(sizes(&named), [5, 6]);
    let numbered = mapped("key=2,size=1,header=no", "5,7\n6,7\n");
    assert_eq!(
        (keys(&numbered), sizes(&numbered)),
        (vec![7, 7], vec![5, 6])
    );
    // A word where a number should be makes the first row a header.
    assert_eq!(keys(&mapped("key=2,size=1", "len,url\n6,7\n")), [7]);
    assert!(!mapped("key=1", "7,x\n").has_sizes());
    assert_eq!(loaded(Format::Csv, b"").objects().len(), 0);
}

#[test]
fn csv_finds_its_delimiter() {
    for mark in [",", ";", "|", "\t", " "] {
        for header in ["time,key,size\n", ""] {
            let text = format!("{header}0,1,100\n1,2,200\n2,1,300\n").replace(',', mark);
            let trace = loaded(Format::Csv, text.as_bytes());
            assert_eq!(
                (keys(&trace), sizes(&trace)),
                (vec![1, 2, 1], vec![100, 200, 300]),
                "{text}"
            );
        }
    }
    for (name, head) in [("a.tsv", "x\n"), ("a", "0;1;2\n"), ("a.txt", "0\t1\n")] {
        let found = Format::detect(name, head.as_bytes());
        assert_eq!(found, Some(Format::Csv), "{name}");
    }
    assert_eq!(
        refused(Format::Csv, b"1;2\n3;4\n"),
        "line 1: 2 columns, divided by `;`, without a header: say what they are, such as \
         time=1,key=2,size=3"
    );
    // One column of texts, some of which hold a delimiter.
    assert_eq!(loaded(Format::Csv, b"a;b\nc\nd\n").objects(), [0, 1, 2]);
}

#[test]
fn csv_sees_a_header_by_words_above_numbers_and_knows_names_in_any_spelling() {
    assert_eq!(keys(&loaded(Format::Csv, b"k\n1\n2\n1\n")), [1, 2, 1]);
    assert_eq!(keys(&loaded(Format::Csv, b"a\nb\na\n")).len(), 3, "keys");
    let trace = loaded(
        Format::Csv,
        b"# time (ms), op [get: 1, put: 0], object, size (byte)\n0,1,A,8371\n103,1,B,31\n",
    );
    assert_eq!(sizes(&trace), [8371, 31]);
    assert_eq!(trace.times(), [0, 103_000_000]);
    let trace = loaded(
        Format::Csv,
        b"timestamp,cacheKey,OpType,objectSize,TTL\n1678863569,1,1,1000,3600\n",
    );
    assert_eq!((keys(&trace), sizes(&trace)), (vec![1], vec![1000]));
    let unknown = refused(Format::Csv, b"when,what,much\n1,2,3\n");
    assert!(
        unknown.starts_with("line 1: none of the columns when, what, much has a common name")
            && unknown.contains("objid"),
        "{unknown}"
    );
}

#[test]
fn a_size_of_zero_is_kept_and_charged_one_byte() {
    let trace = loaded(Format::Csv, b"time,key,size\n0,1,0\n1,2,5\n");
    assert_eq!((sizes(&trace), trace.zero_sizes()), (vec![1, 5], 1));
    for format in [Format::Csv, Format::OracleGeneral, Format::Aurat] {
        let back = loaded(format, &written(&trace, format));
        let stated = [0, 1].map(|request| back.stated_bytes(request));
        assert_eq!(stated, [0, 5], "{format}");
    }
}

#[test]
fn deletions_and_times_to_live_end_objects() {
    let living = |text: &str| {
        let options = ReadOptions {
            lives: true,
            ..ReadOptions::default()
        };
        let format = Format::detect("trace", text.as_bytes()).expect("a format");
        read(text.as_bytes(), format, &options).expect("sound")
    };
    let trace = living("0,k,2,10,1,get,0\n1,k,2,0,1,delete,0\n2,k,2,10,1,get,0\n");
    assert_eq!(
        (trace.objects(), trace.ends()),
        (&[0, 0][..], &[(1, 0)][..])
    );
    // A time to live counts from the write; a read neither ends nor prolongs it.
    let text = "1,k,2,1,1,set,60\n60,k,2,1,1,get,0\n61,k,2,1,1,get,0\n500,k,2,1,1,get,0\n";
    let trace = living(text);
    assert_eq!((trace.ends(), trace.expirations()), (&[(2, 0)][..], 1));
    // A later write begins it again, one without a limit ends the limit.
    let text = "1,k,2,1,1,set,60\n50,k,2,1,1,set,60\n100,k,2,1,1,set,0\n999,k,2,1,1,get,0\n";
    assert!(living(text).ends().is_empty());
    let ignored = loaded(Format::Twitter, b"0,k,2,1,1,set,1\n9,k,2,1,1,get,0\n");
    assert!(ignored.ends().is_empty());
    let named = living("time,key,op,ttl\n0,a,put,5\n1,b,put,0\n5,a,get,0\n6,b,del,0\n7,b,get,0\n");
    assert_eq!(named.ends(), [(2, 0), (3, 1)]);
}

#[test]
fn some_operations_can_be_chosen() {
    let choose = |operations: &[&str], format, text: &str| {
        let options = ReadOptions {
            operations: operations.iter().map(|&name| name.to_owned()).collect(),
            ..ReadOptions::default()
        };
        read(text.as_bytes(), format, &options)
    };
    let text = "key,op,size\n1,GET,5\n2,SET,5\n1,DELETE,0\n3,get,5\n";
    let gets = choose(&["get"], Format::MetaKv, text).expect("sound");
    assert_eq!((keys(&gets), gets.removals()), (vec![1, 3], 0));
    let both = choose(&["set", "delete"], Format::MetaKv, text).expect("sound");
    assert_eq!((keys(&both), both.removals()), (vec![2], 1));
    for (format, text) in [(Format::Csv, "1,2,3\n"), (Format::Lis, "1 1 0 1\n")] {
        assert!(choose(&["get"], format, text).is_err(), "{format}");
    }
}

#[test]
fn a_trace_that_is_cut_short_is_read_up_to_there_if_asked() {
    let whole = loaded(Format::Csv, b"0,1,5\n1,2,5\n2,3,5\n");
    let bytes = written(&whole, Format::OracleGeneral);
    let options = ReadOptions {
        truncated: true,
        ..ReadOptions::default()
    };
    let trace = read(&bytes[..60], Format::OracleGeneral, &options).expect("the sound part");
    assert_eq!(keys(&trace), [1, 2]);
}

#[test]
fn csv_tells_line_and_field_of_what_is_wrong() {
    for (text, expected) in [
        (
            "time,key,size\n1,2,3\n1,2,x\n",
            "line 3: the size `x` is not a number in range",
        ),
        (
            "1,2,3\n1,2\n",
            "line 2: the size is column 3, but the row has 2",
        ),
        (
            "1,2\n",
            "line 1: 2 columns, divided by a comma, without a header: say what they are, such as \
             time=1,key=2,size=3",
        ),
        (
            "time,key,size\n-1,2,3\n",
            "line 2: the time in seconds `-1` is not a number in range",
        ),
    ] {
        assert_eq!(refused(Format::Csv, text.as_bytes()), expected);
    }
    let options = ReadOptions {
        columns: "key=url".parse().expect("a map"),
        ..ReadOptions::default()
    };
    let error = read(&b"a,b\n1,2\n"[..], Format::Csv, &options)
        .expect_err("no such column")
        .to_string();
    assert_eq!(error, "line 1: the header has no column `url`; it has a, b");
}

fn vscsi_record(version: u8, block: u64) -> Vec<u8> {
    let mut record = Vec::new();
    let number = 1_u32.to_le_bytes();
    let bytes = 4096_u32.to_le_bytes();
    let entries = 1_u32.to_le_bytes();
    let command = 0x28_u16.to_le_bytes();
    let version_field = (u16::from(version) << 8 | 3).to_le_bytes();
    if version == 1 {
        [&number[..], &bytes, &entries, &command, &version_field]
            .iter()
            .for_each(|part| record.extend(*part));
    } else {
        [&command[..], &version_field, &number, &bytes, &entries]
            .iter()
            .for_each(|part| record.extend(*part));
    }
    record.extend(block.to_le_bytes());
    record.extend(1_500_000_u64.to_le_bytes());
    if version == 2 {
        record.extend(77_u64.to_le_bytes());
    }
    record
}

#[test]
fn vscsi_has_two_layouts_told_from_the_records() {
    for (version, length) in [(1, 32), (2, 40)] {
        let bytes: Vec<u8> = [9, 8, 9]
            .into_iter()
            .flat_map(|block| vscsi_record(version, block))
            .collect();
        assert_eq!(bytes.len(), 3 * length);
        assert_eq!(Format::detect("trace.bin", &bytes), Some(Format::Vscsi));
        let trace = loaded(Format::Vscsi, &bytes);
        assert_eq!(
            (keys(&trace), sizes(&trace)),
            (vec![9, 8, 9], vec![4096; 3])
        );
        assert_eq!(trace.times()[0], 1_500_000_000);
        assert_eq!(
            keys(&loaded(Format::Vscsi, &bytes[..length])),
            [9],
            "one record alone"
        );
        assert_eq!(
            refused(Format::Vscsi, &bytes[..2 * length + 5]),
            format!("byte {}: the trace ends within a record", 2 * length)
        );
        let mut mixed = bytes.clone();
        mixed[2 * length + if version == 1 { 15 } else { 3 }] = 9;
        assert_eq!(
            refused(Format::Vscsi, &mixed),
            format!(
                "byte {}: not a vscsi record of version {version}",
                2 * length
            )
        );
    }
    assert!(refused(Format::Vscsi, &[0; 100]).starts_with("byte 0: neither"));
    assert_eq!(loaded(Format::Vscsi, b"").objects().len(), 0);
}

#[test]
fn twitter_sizes_are_key_and_value_and_deletions_are_left_out() {
    let text = b"0,nz:u:a,27,96,40,get,0\n\
                 1,nz:u:b,3,5,40,set,3600\n\
                 2,nz:u:b,3,0,40,delete,0\n\
                 3,nz:u:a,27,0,9,gets,0\n";
    assert_eq!(
        Format::detect("cluster52.sort", text),
        Some(Format::Twitter)
    );
    let trace = loaded(Format::Twitter, text);
    assert_eq!(trace.objects(), [0, 1, 0]);
    assert_eq!(sizes(&trace), [123, 8, 27]);
    assert_eq!(trace.removals(), 1);
    assert_eq!(trace.requests_read(), 3);
    assert_eq!(trace.times()[2], 3_000_000_000);
    assert_eq!(
        refused(Format::Twitter, b"0,a,27,96,40,get\n"),
        "line 1: a row has 7 columns, this one 6"
    );
    assert!(
        refused(Format::Twitter, b"0,a,2,9,4,get,0\n0,a,2\n")
            .starts_with("line 2: the operation is column 6")
    );
}

#[test]
fn meta_columns_are_found_by_name_and_rows_repeat() {
    let old = b"key,op,size,op_count,key_size\n\
          101,GET,50,3,10\n\
          102,SET,7,1,10\n\
          101,DELETE,0,1,10\n\
          101,GET_LEASE,50,1,10\n";
    assert_eq!(
        Format::detect("kvcache_traces_1.csv", old),
        Some(Format::MetaKv)
    );
    // A time of another name would be passed over.
    let timed = b"time,op,key,size\n1,get,a,5\n";
    assert_eq!(Format::detect("trace.csv", timed), Some(Format::Csv));
    let trace = loaded(Format::MetaKv, old);
    assert_eq!(
        (keys(&trace), sizes(&trace)),
        (vec![101, 101, 101, 102, 101], vec![60, 60, 60, 17, 60])
    );
    assert_eq!(trace.removals(), 1);
    let new = b"op_time,key,key_size,op,op_count,size,cache_hits,ttl,usecase,sub_usecase\n\
        9,k1,2,GET,1,8,1,0,u,s\n";
    let trace = loaded(Format::MetaKv, new);
    assert_eq!(
        (sizes(&trace), trace.times()),
        (vec![10], &[9_000_000_000][..])
    );
    let bare = loaded(Format::MetaKv, b"101,GET,50,2,10,0\n");
    assert_eq!(sizes(&bare), [60, 60]);
    assert!(
        refused(Format::MetaKv, b"101,GET\n").starts_with("line 1: the columns key, op and size")
    );
    assert_eq!(
        refused(Format::MetaKv, b"key,op,size,op_count\n1,GET,5,65536\n"),
        "line 2: 65536 repetitions are too many"
    );
}

#[test]
fn plain_keys_are_eight_bytes_each() {
    let bytes: Vec<u8> = [5_u64, u64::MAX, 5]
        .iter()
        .flat_map(|key| key.to_le_bytes())
        .collect();
    let trace = loaded(Format::Keys, &bytes);
    assert_eq!(keys(&trace), [5, u64::MAX, 5]);
    assert_eq!(
        refused(Format::Keys, &bytes[..17]),
        "byte 16: the trace ends within a record"
    );
}

const RECORD: TraceRecord = TraceRecord {
    at_ns: 1000,
    key: 0x0102_0304_0506_0708,
    bytes: 4096,
    detail: Detail {
        kind: 1,
        level: Some(3),
        file: 300,
        caller: 9,
        cost: 1,
        scanned: 0,
        hit: true,
    },
};

/// A change of these bytes is a new version of the format.
#[test]
fn aurat_golden_bytes() {
    let contents = Contents {
        sizes: true,
        times: true,
        details: true,
    };
    let mut writer = TraceWriter::new(Vec::new(), contents, 0.5).expect("memory");
    writer.push(&RECORD).expect("memory");
    let scan = Detail {
        scanned: 2,
        cost: 5,
        ..Detail::default()
    };
    writer
        .push(&TraceRecord {
            at_ns: 999,
            key: 1,
            bytes: 1,
            detail: scan,
        })
        .expect("memory");
    let bytes = writer.finish().expect("memory");
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, AURAT_GOLDEN.concat());
    let trace = loaded(Format::Aurat, &bytes);
    assert_eq!(
        (keys(&trace), sizes(&trace)),
        (vec![RECORD.key, 1], vec![4096, 1])
    );
    assert_eq!(
        (trace.times(), trace.details()),
        (&[1000, 999][..], &[RECORD.detail, scan][..])
    );
    assert_eq!((trace.recorded_rate(), trace.sample_rate()), (0.5, 1.0));
}

/// Worked out by hand from the layout, except for the three checksums.
const AURAT_GOLDEN: [&str; 9] = [
    // Header: magic, version 1, all contents, a rate of 0.5, checksum.
    "4155524154524143010007000000000000000000",
    "0000e03f3bf5fc058d4d0fa8",
    // A chunk of 31 bytes and two records.
    "1f00000002000000",
    "56c97b2932b3d0de",
    // An index block that was held, caller 9, level 3, file 300, at 1000 ns, key, 4096 bytes.
    "390903ac02d00f08070605040302018020",
    // The second object of a scan, caller 0, cost 5, 1 ns earlier, key 1, one byte.
    "c00005020101000000000000000",
    "1",
    // The end: two records.
    "0800000000000000a7bdd6d2b093b63f",
    "0200000000000000",
];

#[test]
fn aurat_keeps_everything_through_chunks_and_extremes() {
    let mut generator = Seed(3).child("aurat").generator();
    let records: Vec<TraceRecord> = (0..20_000)
        .map(|_| TraceRecord {
            at_ns: generator.bits() >> generator.below(64),
            key: generator.bits(),
            bytes: (generator.bits() >> generator.below(64)).max(1),
            detail: Detail {
                kind: generator.below(6) as u8,
                level: (generator.below(2) == 0).then(|| generator.below(256) as u8),
                file: generator.bits() >> generator.below(64),
                caller: generator.below(256) as u8,
                cost: generator.below(1 << 32) as u32,
                scanned: generator.below(1 << 32) as u32,
                hit: generator.below(2) == 0,
            },
        })
        .collect();
    let contents = Contents {
        sizes: true,
        times: true,
        details: true,
    };
    let mut writer = TraceWriter::new(Vec::new(), contents, 1.0).expect("memory");
    records
        .iter()
        .for_each(|record| writer.push(record).expect("memory"));
    let bytes = writer.finish().expect("memory");
    assert!(bytes.len() > 3 << 16, "several chunks");
    let trace = loaded(Format::Aurat, &bytes);
    let found: Vec<TraceRecord> = (0..records.len())
        .map(|at| TraceRecord {
            at_ns: trace.times()[at],
            key: trace.keys()[trace.objects()[at] as usize],
            bytes: trace.bytes(at),
            detail: trace.details()[at],
        })
        .collect();
    assert!(found == records);
    assert_eq!(
        written(&trace, Format::Aurat),
        bytes,
        "read and written again"
    );
}

#[test]
fn aurat_refuses_what_was_cut_or_changed() {
    let trace = loaded(Format::Csv, b"1,10,100\n2,11,200\n1,10,300\n");
    let bytes = written(&trace, Format::Aurat);
    let again = loaded(Format::Aurat, &bytes);
    assert_eq!(keys(&again), keys(&trace));
    assert_eq!(sizes(&again), sizes(&trace));
    assert_eq!(again.times(), trace.times());
    for length in 0..bytes.len() {
        assert!(
            read(&bytes[..length], Format::Aurat, &with_times()).is_err(),
            "cut at {length}"
        );
    }
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        assert!(
            read(&changed[..], Format::Aurat, &with_times()).is_err(),
            "changed at {at}"
        );
    }
    let unsized_trace = loaded(Format::Lis, b"5 2 0 0\n");
    assert!(!loaded(Format::Aurat, &written(&unsized_trace, Format::Aurat)).has_sizes());
}

#[test]
fn csv_is_written_as_it_is_read() {
    let text = b"time,key,size\n1,10,100\n2.500000000,11,200\n";
    assert_eq!(written(&loaded(Format::Csv, text), Format::Csv), text);
    let timeless = loaded(Format::Lis, b"5 2 0 0\n");
    assert_eq!(Summary::of(&timeless).span_ns, None);
    assert_eq!(written(&timeless, Format::Csv), b"key\n5\n6\n");
    assert!(matches!(
        write(&timeless, Format::Lis, Vec::new()),
        Err(TraceError::CannotSay { .. })
    ));
}

#[test]
fn names_and_first_bytes_tell_the_format() {
    for (name, head, format) in [
        ("OLTP.lis", &b""[..], Some(Format::Lis)),
        (
            "w96.oracleGeneral.bin",
            b"\x6a\xf7\x55\x00",
            Some(Format::OracleGeneral),
        ),
        ("w96.oracleGeneral", b"", Some(Format::OracleGeneral)),
        ("trace.csv", b"time,key,size\n1,2,3\n", Some(Format::Csv)),
        ("trace", b"1,2,3\n", Some(Format::Csv)),
        ("trace.txt", b"1 4 0 0\n5 1 0 1\n", Some(Format::Lis)),
        ("trace.bin", b"AURATRAC\x01\0", Some(Format::Aurat)),
        ("keys.u64", b"\0\0", Some(Format::Keys)),
        ("trace.bin", b"\0\x01\x02", None),
        ("trace.txt", b"words and words\n", None),
        ("trace", b"", None),
    ] {
        assert_eq!(Format::detect(name, head), format, "{name}");
    }
    assert!(
        Format::ALL
            .into_iter()
            .all(|format| Format::find(format.name()) == Some(format))
    );
}

/// Random bytes, and formats' own bytes with some changed: an error or a trace, and never an
/// endless loop.
#[test]
fn garbage_is_an_error_or_a_trace_and_never_a_panic() {
    let sound: [&[u8]; 4] = [
        b"1 2 0 0\n3 4 0 1\n",
        b"time,key,size\n1,2,3\n4,5,6\n",
        b"0,nz:u:a,27,96,40,get,0\n",
        b"key,op,size,op_count,key_size\n101,GET,50,3,10\n",
    ];
    for seed in 0..400 {
        let mut generator = Seed(seed).child("garbage").generator();
        let mut bytes: Vec<u8> = match sound.get(generator.below(6) as usize) {
            Some(sound) => sound.to_vec(),
            None => (0..generator.below(300))
                .map(|_| generator.bits() as u8)
                .collect(),
        };
        for _ in 0..generator.below(4) {
            if !bytes.is_empty() {
                let at = generator.below(bytes.len() as u64) as usize;
                bytes[at] = generator.bits() as u8;
            }
        }
        // Any answer will do, but no panic.
        let _ = Format::detect("x", &bytes);
        for format in Format::ALL {
            if let Ok(trace) = read(&bytes[..], format, &with_times()) {
                assert!(trace.objects().len() <= 1 << 21, "seed {seed}, {format}");
                drop(Summary::of(&trace));
            }
        }
    }
}

#[test]
fn a_summary_counts_what_is_there() {
    let summary = Summary::of(&loaded(
        Format::Csv,
        b"10,1,100\n12,2,50\n11,1,100\n20,3,7\n21,3,8\n",
    ));
    assert_eq!(summary.requests, 5);
    assert_eq!(summary.objects, 3);
    assert_eq!(summary.one_hit_wonders, 1);
    assert_eq!(summary.request_bytes, Some(265));
    assert_eq!(summary.object_bytes, Some(157));
    assert_eq!(summary.changing, 1);
    assert_eq!(
        summary.sizes,
        Some(SizeQuantiles {
            min: 7,
            p50: 50,
            p90: 100,
            p99: 100,
            max: 100
        })
    );
    assert_eq!(
        (summary.span_ns, summary.kinds.len()),
        (Some(11_000_000_000), 0)
    );
    let empty = Summary::of(&loaded(Format::Csv, b""));
    assert_eq!(empty.requests, 0);
    assert_eq!(empty.sizes, None);
    assert_eq!(empty.popularity, None);
}

/// An lcs file: a header of `header_bytes` that states `requests`, and records.
fn lcs(version: u64, header_bytes: usize, requests: i64, records: &[Vec<u8>]) -> Vec<u8> {
    let magic = 0x1234_5678_9abc_def0_u64.to_le_bytes();
    let mut bytes = vec![0; header_bytes];
    bytes[..8].copy_from_slice(&magic);
    bytes[8..16].copy_from_slice(&version.to_le_bytes());
    bytes[16..24].copy_from_slice(&1_i64.to_le_bytes());
    bytes[24..32].copy_from_slice(&requests.to_le_bytes());
    bytes[header_bytes - 8..].copy_from_slice(&magic);
    bytes.extend(records.concat());
    bytes
}

/// A record of version 3, which later versions follow with features.
fn lcs_record(seconds: u32, key: u64, bytes: i64, operation: u8, ttl: u32) -> Vec<u8> {
    let mut record = Vec::new();
    record.extend(seconds.to_le_bytes());
    record.extend(key.to_le_bytes());
    record.extend(bytes.to_le_bytes());
    record.extend([operation, 0xaa, 0xbb, 0xcc]);
    record.extend(ttl.to_le_bytes());
    record.extend((-1_i64).to_le_bytes());
    record
}

#[test]
fn lcs_bytes_of_each_version_are_read() {
    let golden = [
        // Time 3, key 0x0102030405060708, 258 bytes, next request 2.
        &b"\x03\0\0\0\x08\x07\x06\x05\x04\x03\x02\x01\x02\x01\0\0\x02\0\0\0\0\0\0\0"[..],
        // The same key at 5, never again.
        b"\x05\0\0\0\x08\x07\x06\x05\x04\x03\x02\x01\x02\x01\0\0\xff\xff\xff\xff\xff\xff\xff\xff",
    ];
    let first = lcs(1, 1024, 2, &golden.map(<[u8]>::to_vec));
    assert_eq!(Format::detect("trace", &first), Some(Format::Lcs));
    assert_eq!(Format::detect("w.LCS", b""), Some(Format::Lcs));
    let trace = loaded(Format::Lcs, &first);
    assert_eq!(keys(&trace), [0x0102_0304_0506_0708; 2]);
    assert_eq!(sizes(&trace), [258, 258]);
    assert_eq!(trace.times(), [3_000_000_000, 5_000_000_000]);

    let second = |record: &[u8]| [&record[..16], b"\x01\x07\0\0", &record[16..]].concat();
    let second = lcs(2, 8192, 0, &golden.map(second));
    assert_eq!(sizes(&loaded(Format::Lcs, &second)), [258, 258]);

    let large = (1_i64 << 40) + 1;
    for (version, features) in [(3, 0), (4, 1), (5, 2), (6, 4), (7, 8), (8, 16)] {
        let record = |key| [lcs_record(7, key, large, 1, 0), vec![0xee; 4 * features]].concat();
        for header_bytes in [1024, 8192] {
            let bytes = lcs(version, header_bytes, 3, &[record(1), record(2), record(1)]);
            let trace = loaded(Format::Lcs, &bytes);
            assert_eq!(keys(&trace), [1, 2, 1], "version {version}");
            assert_eq!(sizes(&trace), [large as u64; 3]);
        }
    }
    let aurat = written(&trace, Format::Aurat);
    let again = loaded(Format::Aurat, &aurat);
    assert_eq!((keys(&again), sizes(&again)), (keys(&trace), sizes(&trace)));
    assert_eq!(again.times(), trace.times());
}

#[test]
fn lcs_operations_and_times_to_live_count() {
    let records = [
        lcs_record(0, 1, 10, 3, 5), // set for five seconds
        lcs_record(1, 2, 10, 1, 0),
        lcs_record(2, 2, 10, 9, 0), // deleted
        lcs_record(5, 1, 10, 1, 0), // over
        lcs_record(6, 2, 10, 1, 0),
    ];
    let bytes = lcs(3, 8192, 5, &records);
    let options = ReadOptions {
        lives: true,
        ..with_times()
    };
    let trace = read(&bytes[..], Format::Lcs, &options).expect("a trace");
    assert_eq!((trace.removals(), trace.expirations()), (1, 1));
    assert_eq!(trace.ends(), [(2, 1), (2, 0)]);
    let sets = ReadOptions {
        operations: vec!["SET".to_owned()],
        ..with_times()
    };
    let trace = read(&bytes[..], Format::Lcs, &sets).expect("a trace");
    assert_eq!(keys(&trace), [1]);
    let first = lcs(1, 1024, 0, &[vec![0; 24]]);
    let refusal = read(&first[..], Format::Lcs, &sets).expect_err("it has no operations");
    assert!(refusal.to_string().contains("operations"), "{refusal}");
}

#[test]
fn lcs_garbage_is_named_with_its_place() {
    let record = lcs_record(0, 1, 10, 1, 0);
    let bad = |bytes: &[u8]| refused(Format::Lcs, bytes);
    assert!(bad(b"time,key\n0,1\n").starts_with("byte 0: this is not"));
    assert!(bad(&lcs(9, 8192, 0, &[])).contains("version 9 is not known"));
    assert!(bad(&lcs(0, 1024, 0, &[])).contains("version 0 is not known"));
    assert!(bad(&lcs(3, 1024, -1, &[])).contains("-1 requests"));
    let mut described = lcs(1, 1024, 0, &[]);
    described[8..12].copy_from_slice(b"<IQI");
    assert!(bad(&described).contains("traceConv"));
    let mut open = lcs(3, 8192, 0, &[]);
    open[8191] = 0;
    assert!(bad(&open).contains("last bytes are wrong"));
    for cut in [8, 1000, 1024, 5000, 8191] {
        let bytes = &lcs(3, 8192, 0, &[])[..cut];
        assert_eq!(
            bad(bytes),
            "byte 0: the trace ends within a record",
            "{cut}"
        );
    }
    // Fewer records than stated, and half a record.
    let short = lcs(3, 1024, 2, std::slice::from_ref(&record));
    assert!(bad(&short).starts_with("byte 1060: the trace ends"));
    assert!(bad(&lcs(3, 1024, 0, &[record[..20].to_vec()])).starts_with("byte 1024: "));
    let negative = lcs(3, 1024, 0, &[lcs_record(0, 1, -5, 1, 0)]);
    assert_eq!(bad(&negative), "byte 1024: a size of -5");
    let unknown = lcs(3, 1024, 0, &[record.clone(), lcs_record(0, 1, 5, 77, 0)]);
    assert_eq!(bad(&unknown), "byte 1060: operation 77 is not known");
    assert!(
        loaded(Format::Lcs, &lcs(3, 1024, 0, &[]))
            .objects()
            .is_empty()
    );
}

#[test]
fn costs_are_read_and_written() {
    let text = b"time,key,size,penalty\n0,1,10,300\n1,2,10,0\n2,1,10,4294967295\n";
    let trace = loaded(Format::Csv, text);
    let costs = |trace: &Trace| [0, 1, 2].map(|request| trace.cost(request));
    assert!(trace.has_costs());
    assert_eq!(costs(&trace), [300, 0, u32::MAX]);
    assert_eq!(trace.whole().cost, 300 + u64::from(u32::MAX));
    for format in [Format::Csv, Format::Aurat] {
        let again = loaded(format, &written(&trace, format));
        assert_eq!(costs(&again), costs(&trace), "{format}");
    }
    for bad in ["-1", "1.5", "4294967296", "x", ""] {
        let text = format!("key,cost\n1,1\n2,{bad}\n");
        let refusal = refused(Format::Csv, text.as_bytes());
        assert!(
            refusal.starts_with("line 3: the cost, a whole number,"),
            "{refusal}"
        );
    }
}

#[test]
fn blocks_are_the_trace() {
    let mut generator = Seed(11).child("blocks").generator();
    let row = |at: u64| {
        let key = generator.below(700);
        let operation = if at % 9 == 4 { "del" } else { "get" };
        format!("{at},{key},{},{operation},{}\n", 1 + key % 50, key % 5)
    };
    let text = "time,key,size,op,cost\n".to_owned() + &(0..5000).map(row).collect::<String>();
    let options = ReadOptions {
        lives: true,
        ..with_times()
    };
    let whole = read(text.as_bytes(), Format::Csv, &options).expect("a trace");
    let mut joined = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut take = |block: Trace| {
        let before = joined.0.len();
        joined.0.extend_from_slice(block.objects());
        joined.1.extend(sizes(&block));
        joined.2.extend_from_slice(block.times());
        joined
            .3
            .extend((0..block.objects().len()).map(|at| block.cost(at)));
        joined.4.extend(
            block
                .ends()
                .iter()
                .map(|(at, object)| (before + at, *object)),
        );
        true
    };
    let rest = read_blocks(text.as_bytes(), Format::Csv, &options, 300, &mut take);
    let rest = rest.expect("a trace");
    let requests = whole.objects().len();
    assert_eq!(joined.0, whole.objects());
    assert_eq!(joined.1, sizes(&whole));
    assert_eq!(joined.2, whole.times());
    assert_eq!(
        joined.3,
        (0..requests).map(|at| whole.cost(at)).collect::<Vec<_>>()
    );
    assert_eq!(joined.4, whole.ends());
    assert_eq!((rest.keys(), rest.whole()), (whole.keys(), whole.whole()));
    assert!(rest.objects().is_empty() && rest.removals() == whole.removals());

    let mut blocks = 0;
    let mut take = |_: Trace| {
        blocks += 1;
        blocks < 3
    };
    read_blocks(text.as_bytes(), Format::Csv, &options, 300, &mut take).expect("a trace");
    assert_eq!(blocks, 3);
}
