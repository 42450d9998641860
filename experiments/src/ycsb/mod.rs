//! Configs made of YCSB's property files: the work of `aura import ycsb`.
//!
//! Every property of YCSB's core workload and client becomes a key of the config, with YCSB's own
//! defaults, or a comment that says why it does not. What YCSB would do without an end, or with
//! records that nobody has loaded, is refused, and so are other workloads than the core one. A
//! property that is not known is refused, with the nearest one: YCSB itself accepts it in silence.
//!
//! A record of several fields is one value, whose length is the sum of the fields' lengths. As in
//! YCSB's binding to RocksDB, a read of one field reads the whole value, and an update of one field
//! reads the value and writes it back.
//!
//! Source: YCSB, `CoreWorkload.java`, `Client.java`, and the binding `rocksdb/RocksDBClient.java`.

pub mod properties;

mod histogram;
mod known;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use properties::{BadEscape, Property};

use crate::files::{self, FileError};
use crate::nearest::hint;
use known::{BINDINGS, KNOWN, UNMAPPED};

/// Why properties cannot become a config.
#[derive(Debug, thiserror::Error)]
pub enum YcsbError {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file does not follow the rules of property files.
    #[error("{}: {source}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: BadEscape,
    },
    /// A property is not YCSB's.
    #[error("{place}: `{key}` is no property of YCSB's core workload{hint}")]
    Unknown {
        /// Where it stands.
        place: String,
        /// The key.
        key: String,
        /// The nearest known one.
        hint: String,
    },
    /// A value is not of its kind.
    #[error("{place}: `{key}` = `{value}`: {wanted}")]
    Value {
        /// Where it stands.
        place: String,
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// What it should be.
        wanted: String,
    },
    /// A file of lengths has a bad line.
    #[error("{}: line {line}: {message}", path.display())]
    Histogram {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// What is wrong.
        message: String,
    },
}

/// The names of the workload that is imported: YCSB's, its earlier one, and go-ycsb's.
const CORE_WORKLOADS: [&str; 3] = [
    "site.ycsb.workloads.CoreWorkload",
    "com.yahoo.ycsb.workloads.CoreWorkload",
    "core",
];
/// Records and operations where a file gives none: those of YCSB's own files.
const COUNT_DEFAULT: u64 = 1000;

type Result<T> = std::result::Result<T, YcsbError>;

/// A config made of properties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The config, as TOML.
    pub config: String,
    /// What of the properties is not in it, or not as in YCSB, and why.
    pub remarks: Vec<String>,
}

/// Makes a config of the property file at `path`; `sets` are further properties, which hold.
///
/// # Errors
/// [`YcsbError`] with the file and line of the first property that is refused.
pub fn import(path: &Path, sets: &[(String, String)]) -> Result<Imported> {
    let text = files::read_to_string(path)?;
    let mut read = properties::parse(&text).map_err(|source| YcsbError::Syntax {
        path: path.to_owned(),
        source,
    })?;
    for (key, value) in sets {
        read.push(Property {
            key: key.clone(),
            value: value.clone(),
            line: 0,
        });
    }
    Import::new(path, read)?.config()
}

/// The properties of an import.
struct Import {
    path: PathBuf,
    properties: BTreeMap<String, Property>,
    remarks: Vec<String>,
}

impl Import {
    fn new(path: &Path, read: Vec<Property>) -> Result<Self> {
        let mut import = Self {
            path: path.to_owned(),
            properties: BTreeMap::new(),
            remarks: Vec::new(),
        };
        for property in read {
            let key = property.key.as_str();
            let is_known = KNOWN.contains(&key);
            if let Some((_, why)) = UNMAPPED.iter().find(|(known, _)| *known == key) {
                import.remarks.push(format!("`{key}` is left out: {why}"));
            } else if let Some(binding) = BINDINGS.iter().find(|it| key.starts_with(*it)) {
                let binding = binding.trim_end_matches('.');
                import.remarks.push(format!(
                    "`{key}` is left out: it is a setting of YCSB's {binding} binding or reports"
                ));
            } else if !is_known {
                let known = KNOWN.iter().chain(UNMAPPED.iter().map(|(name, _)| name));
                return Err(YcsbError::Unknown {
                    place: import.place(&property),
                    key: key.to_owned(),
                    hint: hint(key, known.copied()),
                });
            }
            import.properties.insert(key.to_owned(), property);
        }
        Ok(import)
    }

    fn place(&self, property: &Property) -> String {
        match property.line {
            0 => "-p".to_owned(),
            line => format!("{}:{line}", self.path.display()),
        }
    }

    fn text(&self, key: &str, default: &str) -> String {
        let property = self.properties.get(key);
        property.map_or(default, |it| it.value.trim()).to_owned()
    }

    fn parsed<T: FromStr>(&self, key: &str, default: T, wanted: &str) -> Result<T> {
        match self.properties.get(key) {
            None => Ok(default),
            Some(property) => property
                .value
                .trim()
                .parse()
                .map_err(|_| self.refused(key, wanted)),
        }
    }

    fn refused(&self, key: &str, wanted: &str) -> YcsbError {
        let property = self.properties.get(key).cloned().unwrap_or(Property {
            key: key.to_owned(),
            value: String::new(),
            line: 0,
        });
        YcsbError::Value {
            place: self.place(&property),
            key: property.key,
            value: property.value,
            wanted: wanted.to_owned(),
        }
    }

    fn count(&self, key: &str, default: u64) -> Result<u64> {
        self.parsed(key, default, "a whole number of 0 or more")
    }

    fn number(&self, key: &str, default: f64) -> Result<f64> {
        self.parsed(key, default, "a number")
    }

    fn flag(&self, key: &str, default: bool) -> Result<bool> {
        match self.text(key, "").to_ascii_lowercase().as_str() {
            "" => Ok(default),
            // As Java reads it: everything else is false.
            text => Ok(text == "true"),
        }
    }

    fn config(mut self) -> Result<Imported> {
        self.workload()?;
        let mut body = String::new();
        self.counts(&mut body)?;
        self.keys(&mut body)?;
        self.values(&mut body)?;
        self.mix(&mut body)?;
        self.distribution(&mut body)?;
        self.scans(&mut body)?;
        self.pacing(&mut body)?;
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let mut config = format!("# Made of YCSB's {name} by `aura import ycsb`.\n");
        for remark in &self.remarks {
            let _ = writeln!(config, "# {}", remark.replace('\n', " "));
        }
        let question = toml::Value::from(format!("How does the engine do under YCSB's {name}?"));
        let _ = write!(
            config,
            "question = {question}\nseeds = 5\n\n[workload]\n{body}"
        );
        Ok(Imported {
            config,
            remarks: self.remarks,
        })
    }

    /// Refuses another workload than the core one: its properties mean something else.
    fn workload(&self) -> Result<()> {
        match self.text("workload", CORE_WORKLOADS[0]) {
            named if CORE_WORKLOADS.contains(&named.as_str()) => Ok(()),
            _ => Err(self.refused(
                "workload",
                "only site.ycsb.workloads.CoreWorkload is imported",
            )),
        }
    }

    /// Records, operations and clients.
    fn counts(&mut self, body: &mut String) -> Result<()> {
        let inserted = self.inserted()?;
        let clients: u32 = self.parsed("threadcount", 1, "a whole number of 1 or more")?;
        let seconds = self.count("maxexecutiontime", 0)?;
        let _ = writeln!(body, "records = {inserted}");
        match self.count("operationcount", 0)? {
            0 if seconds > 0 => {}
            0 if self.properties.contains_key("operationcount") => {
                let wanted = "without operations YCSB goes on until `maxexecutiontime`, which is \
                              missing";
                return Err(self.refused("operationcount", wanted));
            }
            0 => {
                self.remarks.push(format!(
                    "`operationcount` is not given, and YCSB would never end: {COUNT_DEFAULT} \
                     operations"
                ));
                let _ = writeln!(body, "operations = {COUNT_DEFAULT}");
            }
            operations => {
                let _ = writeln!(body, "operations = {operations}");
            }
        }
        let _ = writeln!(body, "clients = {clients}");
        if seconds > 0 {
            let _ = writeln!(body, "duration = \"{seconds}s\"");
            self.remarks.push(
                "`maxexecutiontime` ends the operations; the load is not ended by time".to_owned(),
            );
        }
        Ok(())
    }

    /// How many records are loaded, from `insertstart` on.
    fn inserted(&mut self) -> Result<u64> {
        let has = |import: &Self, key: &str| import.properties.contains_key(key);
        if !has(self, "recordcount") {
            self.remarks.push(format!(
                "`recordcount` is not given, and YCSB would load without an end: {COUNT_DEFAULT} \
                 records"
            ));
        }
        let records = self.count("recordcount", COUNT_DEFAULT)?;
        let start = self.count("insertstart", 0)?;
        if start > 0 && !has(self, "insertcount") {
            let wanted = "with it `insertcount` must be given: YCSB else loads `recordcount` \
                          records from there, and requests only those below `recordcount`";
            return Err(self.refused("insertstart", wanted));
        }
        let inserted = self.count("insertcount", records)?;
        let key = if has(self, "insertcount") {
            "insertcount"
        } else {
            "recordcount"
        };
        if inserted == 0 {
            return Err(self.refused(key, "there must be a record to load"));
        }
        let end = start.checked_add(inserted).filter(|end| *end <= records);
        let Some(end) = end else {
            let wanted = format!("`insertstart` + `insertcount` is above `recordcount`, {records}");
            return Err(self.refused(key, &wanted));
        };
        if end < records {
            self.check_part(records)?;
            self.remarks.push(format!(
                "`insertcount`: {inserted} of {records} records are loaded, as by one of several \
                 clients of YCSB; there are no others here"
            ));
        }
        Ok(inserted)
    }

    /// Refuses what asks for records that other clients of YCSB load.
    fn check_part(&self, records: u64) -> Result<()> {
        let distribution = self.text("requestdistribution", "uniform");
        let wanted = format!(
            "it begins at record {records}, where only part of the records is loaded: give all of \
             them by `insertcount`"
        );
        if self.number("insertproportion", 0.0)? > 0.0 {
            return Err(self.refused("insertproportion", &wanted));
        }
        if matches!(distribution.as_str(), "latest" | "exponential") {
            return Err(self.refused("requestdistribution", &wanted));
        }
        Ok(())
    }

    fn keys(&mut self, body: &mut String) -> Result<()> {
        let order = match self.text("insertorder", "hashed").as_str() {
            "hashed" => "hashed",
            _ => "ordered",
        };
        let prefix = toml::Value::from(self.text("keyprefix", "user"));
        let padding = self.count("zeropadding", 1)?;
        let start = self.count("insertstart", 0)?;
        let _ = write!(
            body,
            "key = {{ order = \"{order}\", prefix = {prefix}, zero_padding = {padding}"
        );
        if start > 0 {
            let _ = write!(body, ", start = {start}");
        }
        body.push_str(" }\n");
        Ok(())
    }

    fn values(&mut self, body: &mut String) -> Result<()> {
        let fields = self.count("fieldcount", 10)?.max(1);
        let length = self.count("fieldlength", 100)?;
        let min = self.count("minfieldlength", 1)?;
        let spread = self.text("fieldlengthdistribution", "constant");
        if self.flag("dataintegrity", false)? {
            if spread != "constant" {
                let wanted = "`dataintegrity` needs fields of a constant length, as in YCSB";
                return Err(self.refused("fieldlengthdistribution", wanted));
            }
            self.remarks.push(
                "`dataintegrity`: every value follows from its key, and one read in 64 of each \
                 client has all its bytes checked; there is no VERIFY measurement"
                    .to_owned(),
            );
        }
        let one = match spread.as_str() {
            "constant" => {
                let bytes = fields.checked_mul(length);
                let bytes = bytes.ok_or_else(|| self.refused("fieldlength", "a smaller length"))?;
                let _ = writeln!(body, "value.bytes = {bytes}");
                return Ok(());
            }
            "uniform" | "zipfian" if min > length => {
                return Err(self.refused("minfieldlength", "at most `fieldlength`"));
            }
            "uniform" | "zipfian" => {
                format!("{{ min = {min}, max = {length}, distribution = \"{spread}\" }}")
            }
            "histogram" => self.histogram()?,
            _ => {
                let wanted = "one of constant, uniform, zipfian, histogram";
                return Err(self.refused("fieldlengthdistribution", wanted));
            }
        };
        let _ = match fields {
            1 => writeln!(body, "value.bytes = {one}"),
            _ => writeln!(body, "value.bytes = {{ fields = {fields}, bytes = {one} }}"),
        };
        Ok(())
    }

    /// The lengths that YCSB's file of lengths lists.
    fn histogram(&self) -> Result<String> {
        let named = self.text("fieldlengthhistogram", "hist.txt");
        let path = self.path.with_file_name("").join(named);
        let text = files::read_to_string(&path)?;
        let parts = histogram::parse(&text).map_err(|bad| YcsbError::Histogram {
            path: path.clone(),
            line: bad.line,
            message: bad.message.to_owned(),
        })?;
        let part =
            |it: &histogram::Part| format!("{{ share = {}, bytes = {} }}", it.share, it.bytes);
        let parts: Vec<String> = parts.iter().map(part).collect();
        Ok(format!("[{}]", parts.join(", ")))
    }

    fn mix(&mut self, body: &mut String) -> Result<()> {
        let read = self.number("readproportion", 0.95)?;
        let mut update = self.number("updateproportion", 0.05)?;
        let insert = self.number("insertproportion", 0.0)?;
        let scan = self.number("scanproportion", 0.0)?;
        let mut modify = self.number("readmodifywriteproportion", 0.0)?;
        let fields = self.count("fieldcount", 10)?;
        let whole = self.flag("writeallfields", false)? || fields <= 1;
        if !self.flag("readallfields", true)? && fields > 1 {
            self.remarks.push(
                "`readallfields = false`: a record is one value, and a read of one field reads it \
                 whole, as in YCSB's RocksDB binding"
                    .to_owned(),
            );
        }
        if !whole && update > 0.0 {
            self.remarks.push(format!(
                "`writeallfields = false`: an update of one of {fields} fields reads the value \
                 and writes it back, as in YCSB's RocksDB binding; with `writeallfields` it is a \
                 put"
            ));
            modify += update;
            update = 0.0;
        }
        let shares = [
            ("read", read),
            ("update", update),
            ("insert", insert),
            ("scan", scan),
            ("read_modify_write", modify),
        ];
        let given = shares.iter().filter(|(_, share)| *share != 0.0);
        let given: Vec<String> = given.map(|(name, it)| format!("{name} = {it:?}")).collect();
        let _ = writeln!(body, "mix = {{ {} }}", given.join(", "));
        Ok(())
    }

    fn distribution(&mut self, body: &mut String) -> Result<()> {
        let named = self.text("requestdistribution", "uniform");
        let written = match named.as_str() {
            "uniform" | "sequential" | "latest" => format!("{{ kind = \"{named}\" }}"),
            "zipfian" => "{ kind = \"ycsb-zipfian\" }".to_owned(),
            "hotspot" => format!(
                "{{ kind = \"hotspot\", data_fraction = {:?}, operation_fraction = {:?} }}",
                self.number("hotspotdatafraction", 0.2)?,
                self.number("hotspotopnfraction", 0.8)?
            ),
            "exponential" => format!(
                "{{ kind = \"exponential\", percentile = {:?}, fraction = {:?} }}",
                self.number("exponential.percentile", 95.0)?,
                self.number("exponential.frac", 0.857_142_857_1)?
            ),
            _ => {
                let wanted = "one of uniform, zipfian, latest, hotspot, exponential, sequential";
                return Err(self.refused("requestdistribution", wanted));
            }
        };
        let _ = writeln!(body, "distribution = {written}");
        Ok(())
    }

    fn scans(&mut self, body: &mut String) -> Result<()> {
        let min = self.count("minscanlength", 1)?;
        let max = self.count("maxscanlength", 1000)?;
        let spread = self.text("scanlengthdistribution", "uniform");
        if !matches!(spread.as_str(), "uniform" | "zipfian") {
            return Err(self.refused("scanlengthdistribution", "uniform or zipfian"));
        }
        if self.number("scanproportion", 0.0)? > 0.0 {
            let _ = writeln!(
                body,
                "scan = {{ min_length = {min}, max_length = {max}, length_distribution = \
                 \"{spread}\" }}"
            );
        }
        Ok(())
    }

    fn pacing(&mut self, body: &mut String) -> Result<()> {
        let target = self.number("target", 0.0)?;
        if target > 0.0 {
            let _ = writeln!(
                body,
                "load = {{ arrival = \"constant\", rate = {target:?} }}"
            );
            if self.text("measurement.interval", "op") == "op" {
                self.remarks.push(
                    "`target`: latencies count from the time at which an operation was to begin, \
                     as with YCSB's measurement.interval=intended; those of its default, `op`, \
                     leave out queueing and are the service times here"
                        .to_owned(),
                );
            }
        }
        Ok(())
    }
}
