//! `aura calibrate`: the profile of this machine.

use std::path::PathBuf;

use aura_engine::env::sim::{CpuCosts, DeviceProfile};
use clap::Args;

use super::{CommandResult, Failure, Global};
use crate::calibrate::{CalibrateError, Effort, Found, Price, Probed, Reads, calibrate, predicted};
use crate::code;
use crate::doctor::{Health, Readings, Sample, judge, own_processes, text};
use crate::exit::Exit;
use crate::files;
use crate::formats::{Cell, Table, column, digits, print};
use crate::machine_profile::{About, MachineProfile, ProfileError};
use crate::plan::VERSION;

/// Measure what CPU work and the disk of this machine cost, as a profile that simulations run on.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  aura calibrate -o profile.toml --dir /mnt/nvme
  aura run quickstart.toml -s world.profile=profile.toml
  aura calibrate --quick --format csv

Prices are found by least squares from the CPU time of small workloads on the real engine. A price
that cannot be separated from others keeps its shipped value, and the row says so. The disk is read
past the page cache where the file system allows it. A config names the profile:
  world = { kind = \"simulated\", profile = \"profile.toml\" }
and the path is from the config's folder. It takes about two minutes and 600 MB of the disk, and
wants a quiet machine: see aura doctor.

Prints one row per price (nanoseconds as shipped and as measured), per probe (measured CPU time of
an operation, and what both sets of prices give for it, as ratios) and per measurement of the disk.
How well the prices explain the probes (R2) follows on standard error.

Exit codes:
  0  measured, and the profile is written
  2  bad usage
  3  the folder cannot be used, or the profile cannot be written")]
pub(super) struct Arguments {
    /// The file of the profile.
    #[arg(long, short, value_name = "FILE", default_value = "profile.toml")]
    out: PathBuf,
    /// A folder on the disk to be measured. Default: the results.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Measure for some seconds only: good to see that it works, not for figures.
    #[arg(long)]
    quick: bool,
}

impl Arguments {
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        let place = self.dir.as_ref().unwrap_or(&global.results);
        let folder = place.join("calibrate.tmp");
        let effort = if self.quick {
            Effort::Quick
        } else {
            Effort::Full
        };
        let readings = Readings::take(place);
        let before = Sample::take();
        let shipped = CpuCosts::default();
        let found = calibrate(&folder, effort, &shipped, global.quiet);
        files::remove_folder(&folder)?;
        let found = found?;
        let spent = Sample::take().since(&before, &own_processes());
        let facts = judge(&readings, &spent);
        let warned = facts.iter().filter(|fact| fact.health == Health::Warning);
        let warnings: Vec<String> = warned
            .map(|fact| format!("{}: {}", fact.name, fact.value))
            .collect();
        for warning in &warnings {
            global.remark(&format!("warning: {warning}"));
        }
        let profile = profile(&found, &readings, warnings);
        profile.write(&self.out)?;
        print(&table(&found, &shipped).text(global.format))?;
        remarks(global, &found, &profile.about);
        global.remark(&format!("wrote {}", self.out.display()));
        Ok(Exit::Done)
    }
}

fn profile(found: &Found, readings: &Readings, warnings: Vec<String>) -> MachineProfile {
    let cpu = text("/proc/cpuinfo");
    let model = cpu.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split_once(':'));
    let costs = found.fit.costs();
    let mount = readings.mount.clone().unwrap_or_default();
    let error = |probed: &Probed| (predicted(probed, &costs) / probed.nanos - 1.0).abs();
    let kept = found.fit.prices.iter().filter(|price| price.kept.is_some());
    let mut spreads: Vec<f64> = found.probes.iter().map(|it| it.spread).collect();
    spreads.sort_by(f64::total_cmp);
    MachineProfile {
        about: About {
            measured: files::seconds_since_1970(),
            program: format!("aura {VERSION}, commit {}", code::COMMIT),
            cpu: model.map_or_else(String::new, |(_, model)| model.trim().to_owned()),
            cores: readings.cores,
            kernel: text("/proc/sys/kernel/osrelease"),
            file_system: mount.kind,
            disk: mount.source,
            direct: found.device.direct.is_ok(),
            r2: rounded(found.fit.r2),
            error_max: rounded(found.probes.iter().map(error).fold(0.0, f64::max)),
            spread: rounded(spreads.get(spreads.len() / 2).copied().unwrap_or(1.0)),
            kept: kept.map(|price| price.name.to_owned()).collect(),
            warnings,
        },
        page_cache: found.device.page_cache(),
        cpu: costs,
        device: found.device.device(),
    }
}

fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

/// A row: what it is of, and its numbers.
struct Row {
    what: &'static str,
    name: String,
    unit: &'static str,
    measured: f64,
    shipped: Option<f64>,
    found: Option<f64>,
    note: String,
}

fn table(found: &Found, shipped: &CpuCosts) -> Table {
    let costs = found.fit.costs();
    let prices = found.fit.prices.iter().map(of_price);
    let probes = found.probes.iter();
    let probes = probes.map(|probed| Row {
        what: "probe",
        name: probed.name.clone(),
        unit: "ns",
        measured: probed.nanos,
        shipped: Some(predicted(probed, shipped) / probed.nanos),
        found: Some(predicted(probed, &costs) / probed.nanos),
        note: format!("rounds {} x", digits(probed.spread, 3)),
    });
    let device = &found.device;
    let reads = device.reads.iter().map(|it| of_reads("disk", it));
    let cached = device.cached.iter().map(|it| of_reads("page cache", it));
    let rows: Vec<Row> = prices
        .chain(probes)
        .chain(reads)
        .chain(cached)
        .chain(of_writes(found))
        .collect();
    let columns = [
        column("what", |row: &Row| row.what.into()),
        column("name", |row| row.name.clone().into()),
        column("measured", |row| Cell::number(row.measured)),
        column("unit", |row| row.unit.into()),
        column("shipped", |row| Cell::number(row.shipped)),
        column("found", |row| Cell::number(row.found)),
        column("note", |row| row.note.clone().into()),
    ];
    Table::of(&columns, &rows)
}

fn of_price(price: &Price) -> Row {
    let explains = format!("up to {:.0} % of a probe", price.share * 100.0);
    Row {
        what: "price",
        name: price.name.to_owned(),
        unit: "ns",
        measured: price.found,
        shipped: Some(price.shipped),
        found: Some(price.found),
        note: price.kept.map_or(explains, |kept| kept.name().to_owned()),
    }
}

fn of_reads(what: &'static str, reads: &Reads) -> Row {
    Row {
        what,
        name: format!(
            "read of {} KiB, {} at a time",
            reads.bytes >> 10,
            reads.depth
        ),
        unit: "us",
        measured: reads.latency.p50,
        shipped: None,
        found: None,
        note: format!(
            "p99 {} us, {} a second",
            digits(reads.latency.p99, 3),
            digits(reads.per_second, 3)
        ),
    }
}

fn of_writes(found: &Found) -> [Row; 2] {
    let nvme = DeviceProfile::named("nvme").ok();
    let device = &found.device;
    [
        Row {
            what: "disk",
            name: "sync after 4 KiB".to_owned(),
            unit: "us",
            measured: device.sync.p50,
            shipped: nvme.as_ref().map(|it| it.model.sync_us.p50),
            found: Some(device.sync.p50),
            note: format!("p99 {} us", digits(device.sync.p99, 3)),
        },
        Row {
            what: "disk",
            name: "written a second".to_owned(),
            unit: "MB",
            measured: device.write_bandwidth / 1e6,
            shipped: nvme.map(|it| it.model.write_bandwidth as f64 / 1e6),
            found: Some(device.write_bandwidth / 1e6),
            note: String::new(),
        },
    ]
}

fn remarks(global: &Global, found: &Found, about: &About) {
    global.remark(&format!(
        "the prices explain {:.1} % of the variance of the probes' times (R2, of logarithms); the \
         largest error is {:.0} %; {} of {} prices are kept as shipped",
        about.r2 * 100.0,
        about.error_max * 100.0,
        about.kept.len(),
        found.fit.prices.len()
    ));
    if let Err(why) = &found.device.direct {
        global.remark(&format!(
            "warning: the file system refuses direct I/O ({why}): the disk's reads are those of \
             the page cache"
        ));
    }
}

impl From<CalibrateError> for Failure {
    fn from(error: CalibrateError) -> Self {
        let help = "name a folder on a local disk with --dir";
        Self::refused(error, help)
    }
}

impl From<ProfileError> for Failure {
    fn from(error: ProfileError) -> Self {
        Self::environment(error)
    }
}
