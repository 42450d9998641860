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
    assert!(
        remarks.len() == 1 && remarks[0].contains("writeallfields"),
        "{remarks:?}"
    );
}

#[test]
fn every_property_finds_its_place() {
    let (workload, remarks) = imported(
        "recordcount=5000\noperationcount = 700\nthreadcount:4\ninsertstart=1000\n\
         insertorder=ordered\nzeropadding=12\nkeyprefix=k\nfieldcount=1\nfieldlength=40\n\
         minfieldlength=10\nfieldlengthdistribution=zipfian\nreadproportion=0.5\n\
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
    assert_eq!(remarks.len(), 2, "{remarks:?}");
}

#[test]
fn a_histogram_of_lengths_becomes_shares_of_each_field() {
    let folder = Folder::new();
    folder.write("lengths.txt", "BlockSize\t10\n0 0\n1\t3\n5\t1\n");
    let text = "fieldcount=2\nwriteallfields=true\nfieldlengthdistribution=histogram\n\
                fieldlengthhistogram=lengths.txt\n";
    let config = folder.import(text).expect("properties").config;
    let line = "value.bytes = { fields = 2, bytes = [{ share = 3, bytes = 10 }, \
                { share = 1, bytes = 50 }] }";
    assert!(config.contains(line), "{config}");
    assert!(config::parse("ycsb.toml".as_ref(), config, &[]).is_ok());
    folder.write("lengths.txt", "BlockSize\t10\nsome thing\n");
    let error = folder.import(text).unwrap_err().to_string();
    assert!(
        error.ends_with("line 2: the weight is not a whole number"),
        "{error}"
    );
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
