//! Property files of YCSB, and the configs made of them.

use aura_workloads::{Distribution, KeyOrder, Load, Workload};

use super::*;
use crate::config;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        files::write(&path, text.as_bytes()).expect("a file");
        path
    }

    fn import(&self, text: &str) -> Result<Imported> {
        import(&self.write("work.properties", text), &[])
    }
}

/// The workload of the config made of `text`, and the remarks.
fn imported(text: &str) -> (Workload, Vec<String>) {
    let folder = Folder::new();
    let imported = folder.import(text).expect("properties");
    let config = imported.config.clone();
    let experiment = config::parse("ycsb.toml".as_ref(), config, &[]).expect(&imported.config);
    let workload = &experiment.cases[0].config.workload;
    (workload.resolve().expect("a workload"), imported.remarks)
}

#[test]
fn ycsbs_own_defaults_hold_where_a_file_says_nothing() {
    let (workload, remarks) = imported("workload=site.ycsb.workloads.CoreWorkload\n");
    let run = &workload.phases[0];
    assert_eq!(
        (workload.records, run.operations, run.clients),
        (1000, 1000, 1)
    );
    assert_eq!(run.distribution, Distribution::Uniform {});
    assert_eq!(run.value.bytes.range(), 1000..=1000);
    assert_eq!((run.mix.read, run.mix.update), (0.95, 0.0));
    assert_eq!(
        run.mix.read_modify_write, 0.05,
        "one field of ten is written"
    );
    assert_eq!((run.key.order, run.key.zero_padding), (KeyOrder::Hashed, 1));
    let about = ["recordcount", "operationcount", "writeallfields"];
    assert_eq!(remarks.len(), 3, "{remarks:?}");
    for (remark, about) in remarks.iter().zip(about) {
        assert!(remark.starts_with(&format!("`{about}")), "{remark}");
    }
}

#[test]
fn every_property_finds_its_place() {
    let (workload, remarks) = imported(
        "recordcount=5000\noperationcount = 700\nthreadcount:4\ninsertstart=1000\n\
         insertcount=4000\ninsertorder=ordered\nzeropadding=12\nkeyprefix=k\nfieldcount=1\n\
         fieldlength=40\nminfieldlength=10\nfieldlengthdistribution=zipfian\nreadproportion=0.5\n\
         updateproportion=0.2\ninsertproportion=0.1\nscanproportion=0.1\n\
         readmodifywriteproportion=0.1\nrequestdistribution=hotspot\nhotspotdatafraction=0.1\n\
         hotspotopnfraction=0.9\nminscanlength=5\nmaxscanlength=50\n\
         scanlengthdistribution=zipfian\ntarget=2000\nmaxexecutiontime=60\n\
         measurement.interval=both\nrocksdb.dir=/tmp/x\ntable=other\n",
    );
    let run = &workload.phases[0];
    assert_eq!(
        (workload.records, run.operations, run.clients),
        (4000, 700, 4)
    );
    assert_eq!((run.key.start, run.key.prefix.as_str()), (1000, "k"));
    assert_eq!(
        (run.key.order, run.key.zero_padding),
        (KeyOrder::Ordered, 12)
    );
    assert_eq!(run.value.bytes.range(), 10..=40);
    let mix = run.mix;
    let shares = [
        mix.read,
        mix.update,
        mix.insert,
        mix.scan,
        mix.read_modify_write,
    ];
    assert_eq!(shares, [0.5, 0.2, 0.1, 0.1, 0.1]);
    assert_eq!(
        run.distribution,
        Distribution::Hotspot {
            data_fraction: 0.1,
            operation_fraction: 0.9,
            drift: None
        }
    );
    assert_eq!((run.scan.min_length, run.scan.max_length), (5, 50));
    assert_eq!(
        run.load,
        Load::Constant {
            rate: 2000.0.into()
        }
    );
    assert_eq!(run.duration.map(|it| it.as_secs()), Some(60));
    assert_eq!(remarks.len(), 3, "{remarks:?}");
}

#[test]
fn a_histogram_of_lengths_becomes_shares_of_each_field() {
    let folder = Folder::new();
    folder.write(
        "lengths.txt",
        "BlockSize\t10\n0\t0\n1\t30\n2\t0\n3\t9\n4\t2\n",
    );
    let text = "recordcount=10\noperationcount=10\nfieldcount=2\nwriteallfields=true\n\
                fieldlengthdistribution=histogram\nfieldlengthhistogram=lengths.txt\n";
    let config = folder.import(text).expect("properties").config;
    let line = "value.bytes = { fields = 2, bytes = [{ share = 1, bytes = 10 }, \
                { share = 30, bytes = 20 }, { share = 10, bytes = 40 }] }";
    assert!(config.contains(line), "{config}");
    assert!(config::parse("ycsb.toml".as_ref(), config, &[]).is_ok());
    folder.write("lengths.txt", "BlockSize\t10\nsome thing\n");
    let error = folder.import(text).unwrap_err().to_string();
    assert!(
        error.contains("lengths.txt: line 2: buckets are numbered"),
        "{error}"
    );
}

#[test]
fn counts_of_each_phase_are_ycsbs_or_refused_with_their_line() {
    let counts = |text: &str| {
        let (workload, remarks) = imported(text);
        let run = &workload.phases[0];
        let operations = (!run.is_endless()).then_some(run.operations);
        let start = run.key.start;
        (workload.records, start, operations, remarks.len())
    };
    let whole = "writeallfields=true\noperationcount=50\n";
    let of = |text: &str| counts(&format!("{text}{whole}"));
    assert_eq!(of("recordcount=500\n"), (500, 0, Some(50), 0));
    let part = "recordcount=500\ninsertstart=100\ninsertcount=300\n";
    assert_eq!(of(part), (300, 100, Some(50), 1));
    // Without operations, time ends them.
    let timed = "recordcount=500\nwriteallfields=true\nmaxexecutiontime=5\n";
    assert_eq!(counts(timed), (500, 0, None, 1));
    let timed = format!("{timed}operationcount=0\n");
    assert_eq!(counts(&timed), (500, 0, None, 1));

    let folder = Folder::new();
    let part_and = |text: &str| format!("{part}{text}");
    for (text, expected) in [
        ("recordcount=0\n".to_owned(), ":1: `recordcount` = `0`"),
        (
            "recordcount=9\ninsertstart=3\n".to_owned(),
            ":2: `insertstart`",
        ),
        (part_and("insertcount=401\n"), ":4: `insertcount` = `401`"),
        (
            part_and(&format!("insertcount={}\n", u64::MAX)),
            ":4: `insertcount`",
        ),
        (part_and("insertproportion=0.1\n"), ":4: `insertproportion`"),
        (
            part_and("requestdistribution=latest\n"),
            ":4: `requestdistribution`",
        ),
        (
            "recordcount=9\noperationcount=0\n".to_owned(),
            ":2: `operationcount`",
        ),
        (format!("fieldlength={}\n", u64::MAX), ":1: `fieldlength`"),
    ] {
        let error = folder.import(&text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn other_workloads_than_the_core_one_are_refused_with_their_line() {
    let folder = Folder::new();
    for class in [
        "TimeSeriesWorkload",
        "RestWorkload",
        "ConstantOccupancyWorkload",
    ] {
        let text = format!("recordcount=10\nworkload=site.ycsb.workloads.{class}\n");
        let error = folder.import(&text).unwrap_err().to_string();
        assert!(error.contains(".properties:2: `workload`"), "{error}");
        assert!(error.contains("CoreWorkload is imported"), "{error}");
    }
    for class in CORE_WORKLOADS {
        let text = format!("recordcount=10\nworkload = {class} \n");
        assert!(folder.import(&text).is_ok(), "{class}");
    }
}

#[test]
fn what_is_not_ycsbs_is_refused_with_its_line_and_the_nearest_name() {
    let folder = Folder::new();
    let refused = |text: &str| folder.import(text).unwrap_err().to_string();
    let error = refused("recordcount=10\n\nrecordcuont=20\n");
    assert!(error.contains(".properties:3: `recordcuont`"), "{error}");
    assert!(error.ends_with("nearest: `recordcount`"), "{error}");
    let error = refused("readproportion=most\n");
    assert!(
        error.ends_with(":1: `readproportion` = `most`: a number"),
        "{error}"
    );
    let error = refused("requestdistribution=zipf\n");
    assert!(error.contains("one of uniform, zipfian"), "{error}");
    let path = folder.write("work.properties", "recordcount=10\n");
    let sets = [("fieldlenght".to_owned(), "1".to_owned())];
    let error = import(&path, &sets).unwrap_err().to_string();
    assert!(error.starts_with("-p: `fieldlenght`"), "{error}");
    let sets = [("recordcount".to_owned(), "77".to_owned())];
    let config = import(&path, &sets).expect("properties").config;
    assert!(config.contains("records = 77\n"), "{config}");
}
