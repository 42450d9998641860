//! Devices as data: the numbers of the model, and the profiles that provide them.
//!
//! A config names a profile (`device = "nvme"`) or overrides some of its numbers (`device = {
//! profile = "nvme", units = 32, read_us = 60 }`).

use std::fmt;

use bytesize::ByteSize;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::env::work::non_negative;

/// A duration in microseconds: one number, or its quantiles, between which it is drawn evenly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "LatencyForm", into = "LatencyForm")]
pub struct Latency {
    /// The shortest.
    pub min: f64,
    /// The median.
    pub p50: f64,
    /// One in ten takes at least this.
    pub p90: f64,
    /// One in a hundred takes at least this.
    pub p99: f64,
    /// One in a thousand takes at least this.
    pub p999: f64,
    /// The longest.
    pub max: f64,
}

impl Latency {
    /// Returns a latency that is always the same.
    pub const fn constant(us: f64) -> Self {
        Self {
            min: us,
            p50: us,
            p90: us,
            p99: us,
            p999: us,
            max: us,
        }
    }

    /// Returns the quantiles in ascending order.
    pub(super) fn quantiles(&self) -> [f64; 6] {
        [self.min, self.p50, self.p90, self.p99, self.p999, self.max]
    }
}

/// A [`Latency`] in the form of a config.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected microseconds, or a table of min, p50, p90, p99, p999 and max"
)]
enum LatencyForm {
    Constant(f64),
    Quantiles(Quantiles),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Quantiles {
    min: f64,
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

impl TryFrom<LatencyForm> for Latency {
    type Error = &'static str;

    fn try_from(form: LatencyForm) -> Result<Self, Self::Error> {
        let latency = match form {
            LatencyForm::Constant(us) => Self::constant(us),
            LatencyForm::Quantiles(Quantiles {
                min,
                p50,
                p90,
                p99,
                p999,
                max,
            }) => Self {
                min,
                p50,
                p90,
                p99,
                p999,
                max,
            },
        };
        let quantiles = latency.quantiles();
        if quantiles.iter().all(|us| us.is_finite() && *us >= 0.0) && quantiles.is_sorted() {
            Ok(latency)
        } else {
            Err("microseconds must not be below zero, and quantiles must not descend")
        }
    }
}

impl From<Latency> for LatencyForm {
    fn from(latency: Latency) -> Self {
        let Latency {
            min,
            p50,
            p90,
            p99,
            p999,
            max,
        } = latency;
        if min == max {
            Self::Constant(min)
        } else {
            Self::Quantiles(Quantiles {
                min,
                p50,
                p90,
                p99,
                p999,
                max,
            })
        }
    }
}

/// Highest number of units of a device.
pub(super) const UNITS_MAX: u32 = 65_536;

/// The numbers of the device model. The module `device` describes how they act together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceModel {
    /// Parts that work in parallel (flash dies, a volume's queue slots), at least one. A disk with
    /// heads has one.
    pub units: u32,
    /// Bytes of a file that lie together on one unit. A longer read is divided. 0 means never.
    #[serde(deserialize_with = "bytes")]
    #[schemars(schema_with = "bytes_schema")]
    pub stripe: u64,
    /// Microseconds that a read spends in driver and controller, while no unit is busy.
    #[serde(deserialize_with = "non_negative")]
    pub base_us: f64,
    /// Microseconds that a read keeps its unit busy, before the transfer.
    pub read_us: Latency,
    /// Microseconds until a written piece is acknowledged. They count from its transfer if the
    /// device has a write cache, otherwise from its end on the unit.
    pub write_us: Latency,
    /// Microseconds that a written piece keeps its unit busy.
    #[serde(deserialize_with = "non_negative")]
    pub program_us: f64,
    /// Bytes of one such piece, which the page cache writes back at once (at least one).
    #[serde(deserialize_with = "bytes")]
    #[schemars(schema_with = "bytes_schema")]
    pub write_bytes: u64,
    /// Pieces that the device accepts before the first is done (at least one).
    pub write_depth: u32,
    /// Whether a piece is acknowledged when it has reached the device's own memory.
    pub write_cache: bool,
    /// Microseconds of a sync after all bytes are written back.
    pub sync_us: Latency,
    /// Bytes a second from the device, over the link that all units share. 0 means unlimited.
    #[serde(deserialize_with = "bytes")]
    #[schemars(schema_with = "bytes_schema")]
    pub read_bandwidth: u64,
    /// Bytes a second to the device, over the same link. 0 means unlimited.
    #[serde(deserialize_with = "bytes")]
    #[schemars(schema_with = "bytes_schema")]
    pub write_bandwidth: u64,
    /// Bytes between the two ends of the heads' way. 0 means no heads and no seeks.
    #[serde(deserialize_with = "bytes")]
    #[schemars(schema_with = "bytes_schema")]
    pub seek_capacity: u64,
    /// Microseconds of the shortest seek.
    #[serde(deserialize_with = "non_negative")]
    pub seek_min_us: f64,
    /// Microseconds of a seek over the whole capacity. Between the two, it grows with the root of
    /// the distance.
    #[serde(deserialize_with = "non_negative")]
    pub seek_max_us: f64,
    /// Microseconds of one rotation, half of which follows each seek.
    #[serde(deserialize_with = "non_negative")]
    pub rotation_us: f64,
    /// Requests a second that a volume admits. 0 means unlimited.
    pub iops: u32,
    /// Bytes a second that a volume admits. 0 means unlimited.
    #[serde(deserialize_with = "bytes")]
    #[schemars(schema_with = "bytes_schema")]
    pub throughput: u64,
    /// Milliseconds' worth of requests and bytes that a volume may save up for a burst.
    #[serde(deserialize_with = "non_negative")]
    pub burst_ms: f64,
    /// Dirty bytes (not yet written back) above which an append waits.
    #[serde(deserialize_with = "bytes")]
    #[schemars(schema_with = "bytes_schema")]
    pub dirty_limit: u64,
}

impl DeviceModel {
    /// Numbers of a device that takes no time.
    pub const NULL: Self = Self {
        units: 1,
        stripe: 0,
        base_us: 0.0,
        read_us: Latency::constant(0.0),
        write_us: Latency::constant(0.0),
        program_us: 0.0,
        write_bytes: 4 << 10,
        write_depth: 1,
        write_cache: false,
        sync_us: Latency::constant(0.0),
        read_bandwidth: 0,
        write_bandwidth: 0,
        seek_capacity: 0,
        seek_min_us: 0.0,
        seek_max_us: 0.0,
        rotation_us: 0.0,
        iops: 0,
        throughput: 0,
        burst_ms: 0.0,
        dirty_limit: 64 << 20,
    };

    /// Fails for counts that no device has.
    fn check(&self) -> Result<(), String> {
        if !(1..=UNITS_MAX).contains(&self.units) {
            return Err(format!(
                "`units` is {}: it must be 1 to {UNITS_MAX}",
                self.units
            ));
        }
        if self.write_depth == 0 || self.write_bytes == 0 {
            return Err("`write_depth` and `write_bytes` must be at least 1".to_owned());
        }
        Ok(())
    }
}

/// Deserializes bytes, as a number or with a unit (`"64MiB"`).
fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    ByteSize::deserialize(deserializer).map(|size| size.as_u64())
}

fn bytes_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["integer", "string"], "minimum": 0 })
}

/// A device by name, with the source of its numbers.
///
/// Simulated latency compares policies under one model of a device; it forecasts no real device.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeviceProfile {
    /// Its name in a config.
    pub profile: String,
    /// Source of its numbers, and which of them are assumed.
    pub source: String,
    /// The numbers.
    #[serde(flatten)]
    pub model: DeviceModel,
}

/// Returns all profiles, sorted by name.
pub fn profiles() -> [DeviceProfile; 6] {
    [
        cloud_block(),
        hdd(),
        null(),
        nvme(),
        page_cache(),
        sata_ssd(),
    ]
}

/// The name of a device that was measured: a table of that name gives all of its numbers, and its
/// source.
pub const CALIBRATED: &str = "calibrated";

impl DeviceProfile {
    /// Returns the profile called `name`.
    ///
    /// # Errors
    /// A message that lists the known names.
    pub fn named(name: &str) -> Result<Self, String> {
        profiles()
            .into_iter()
            .find(|known| known.profile == name)
            .ok_or_else(|| {
                let names = profiles().map(|known| known.profile).join(", ");
                format!("unknown device profile `{name}`; there are {names}")
            })
    }

    fn new(profile: &str, source: &str, model: DeviceModel) -> Self {
        Self {
            profile: profile.to_owned(),
            source: source.to_owned(),
            model,
        }
    }

    /// Creates the profile that a table names, with the numbers that the table overrides.
    fn from_table(mut table: Map<String, Value>) -> Result<Self, String> {
        let mut text = |key: &str| match table.remove(key) {
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(format!("`{key}` must be a string")),
            None => Ok(None),
        };
        let name =
            text("profile")?.ok_or("a device table must name the `profile` that it starts from")?;
        let source = text("source")?;
        let known = if name == CALIBRATED && source.is_some() {
            Self::new(CALIBRATED, "", DeviceModel::NULL)
        } else {
            Self::named(&name)?
        };
        let mut numbers = serde_json::to_value(&known.model).map_err(|error| error.to_string())?;
        if let Some(numbers) = numbers.as_object_mut() {
            numbers.extend(table);
        }
        let model: DeviceModel =
            serde_json::from_value(numbers).map_err(|error| error.to_string())?;
        model.check()?;
        Ok(Self {
            profile: name,
            source: source.unwrap_or(known.source),
            model,
        })
    }
}

impl<'de> Deserialize<'de> for DeviceProfile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameOrTable;

        impl<'de> Visitor<'de> for NameOrTable {
            type Value = DeviceProfile;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str(
                    "the name of a device profile, or a table with a `profile` and what to \
                     override",
                )
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<DeviceProfile, E> {
                DeviceProfile::named(name).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<DeviceProfile, A::Error> {
                let table = Map::deserialize(MapAccessDeserializer::new(map))?;
                DeviceProfile::from_table(table).map_err(A::Error::custom)
            }
        }

        deserializer.deserialize_any(NameOrTable)
    }
}

impl JsonSchema for DeviceProfile {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "DeviceProfile".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let names = profiles().map(|known| known.profile);
        let name = json_schema!({ "type": "string", "enum": &names });
        let names = names.into_iter().chain([CALIBRATED.to_owned()]);
        let of_table = json_schema!({ "type": "string", "enum": names.collect::<Vec<_>>() });
        let mut table = DeviceModel::json_schema(generator);
        table.insert("required".to_owned(), ["profile"].as_slice().into());
        if let Some(properties) = table.get_mut("properties").and_then(Value::as_object_mut) {
            properties.insert("profile".to_owned(), of_table.to_value());
            properties.insert(
                "source".to_owned(),
                json_schema!({ "type": "string" }).to_value(),
            );
        }
        json_schema!({ "anyOf": [name, table] })
    }
}

fn null() -> DeviceProfile {
    DeviceProfile::new(
        "null",
        "by definition: a device that takes no time",
        DeviceModel::NULL,
    )
}

/// Samsung 970 Pro as NVMeVirt models it (snu-csl/nvmevirt, `ssd_config.h`).
///
/// 8 channels of 2 dies; 32 KiB flash pages; 4 KiB read in 29.76 to 41.76 us and 21.5 us of
/// firmware; a page programmed in 185 us; a write buffered in 4 us, two pages a die; 3360 MB/s over
/// PCIe. Assumed: an even spread inside the read's range, and a sync of one command and one
/// program. Garbage collection is not modelled.
pub(super) fn nvme() -> DeviceProfile {
    let source = "NVMeVirt ssd_config.h, Samsung 970 Pro; assumed: sync = firmware + one program; \
                  no garbage collection";
    let model = DeviceModel {
        units: 16,
        stripe: 32 << 10,
        base_us: 21.5,
        read_us: Latency {
            min: 29.76,
            p50: 35.76,
            p90: 40.56,
            p99: 41.64,
            p999: 41.748,
            max: 41.76,
        },
        write_us: Latency::constant(4.0),
        program_us: 185.0,
        write_bytes: 32 << 10,
        write_depth: 32,
        write_cache: true,
        sync_us: Latency::constant(21.5 + 185.0),
        read_bandwidth: 3_360_000_000,
        write_bandwidth: 3_360_000_000,
        ..DeviceModel::NULL
    };
    DeviceProfile::new("nvme", source, model)
}

/// A typical SATA drive, on the channels of MQSim's default drive.
///
/// Class figures (80 to 200 us a read, 50 to 100 k reads a second, 550 MB/s; comparison pages) over
/// the 8 channels, 750 us program and 8 KiB pages of CMU-SAFARI/MQSim, `ssdconfig.xml`, with eight
/// planes programmed together. Assumed: where the quantiles lie in the range, and a sync of one
/// program and one command.
fn sata_ssd() -> DeviceProfile {
    let source =
        "class figures of SATA drives, MQSim ssdconfig.xml; assumed: quantiles, write cache, sync";
    let model = DeviceModel {
        units: 8,
        stripe: 64 << 10,
        read_us: Latency {
            min: 80.0,
            p50: 90.0,
            p90: 120.0,
            p99: 160.0,
            p999: 200.0,
            max: 200.0,
        },
        write_us: Latency::constant(20.0),
        program_us: 750.0,
        write_bytes: 64 << 10,
        write_depth: 16,
        write_cache: true,
        sync_us: Latency::constant(20.0 + 750.0),
        read_bandwidth: 550_000_000,
        write_bandwidth: 550_000_000,
        ..DeviceModel::NULL
    };
    DeviceProfile::new("sata-ssd", source, model)
}

/// Files that the system holds in its page cache, on an NVMe drive.
///
/// A read takes no time of the device and waits for nobody: a call of the system with its copy is
/// charged as work of the processor, whose price `aura calibrate` takes from such reads. Writes are
/// written back to the drive of the profile `nvme`, and syncs wait for it.
fn page_cache() -> DeviceProfile {
    let source = "reads: none, each costs a call of the system; writes and syncs: the profile nvme";
    let model = DeviceModel {
        base_us: 0.0,
        read_us: Latency::constant(0.0),
        read_bandwidth: 0,
        ..nvme().model
    };
    DeviceProfile::new("page-cache", source, model)
}

/// A 7200 rpm disk.
///
/// 8.33 ms a rotation by arithmetic, 150 to 200 MB/s, about 8 ms a random access over the whole
/// disk (arXiv 2102.11198 and class figures). The ends of the seek curve are chosen to give that:
/// over even random places the mean root of the distance is 8/15, so 0.5 + 7 x 8/15 + 4.17 = 8.4
/// ms. Assumed: a sync waits for one rotation.
fn hdd() -> DeviceProfile {
    let source = "arXiv 2102.11198 and class figures of 7200 rpm disks; assumed: ends of the seek \
                  curve, sync = one rotation";
    let model = DeviceModel {
        write_bytes: 1 << 20,
        sync_us: Latency::constant(8333.0),
        read_bandwidth: 175_000_000,
        write_bandwidth: 175_000_000,
        seek_capacity: 4_000_000_000_000,
        seek_min_us: 500.0,
        seek_max_us: 7500.0,
        rotation_us: 8333.0,
        ..DeviceModel::NULL
    };
    DeviceProfile::new("hdd", source, model)
}

/// AWS EBS gp3 at its base.
///
/// 3000 requests and 125 MiB a second (AWS EBS documentation), where a request longer than 256 KiB
/// counts as several. Latency is documented as single-digit milliseconds; the quantiles within that
/// are assumed. The volume acknowledges durable writes, so a sync costs nothing more.
fn cloud_block() -> DeviceProfile {
    let source = "AWS EBS documentation, gp3 at its base; assumed: quantiles within single-digit \
                  milliseconds, no burst";
    let latency = Latency {
        min: 500.0,
        p50: 1000.0,
        p90: 2000.0,
        p99: 5000.0,
        p999: 9000.0,
        max: 9900.0,
    };
    let model = DeviceModel {
        units: 128,
        stripe: 256 << 10,
        read_us: latency,
        write_us: latency,
        write_bytes: 256 << 10,
        write_depth: 8,
        iops: 3000,
        throughput: 125 << 20,
        ..DeviceModel::NULL
    };
    DeviceProfile::new("cloud-block", source, model)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<DeviceProfile, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn every_profile_is_found_by_name_and_survives_being_written_out() {
        assert!(profiles().is_sorted_by(|a, b| a.profile < b.profile));
        for profile in profiles() {
            assert!(!profile.source.is_empty());
            assert_eq!(parse(&format!("{:?}", profile.profile)).unwrap(), profile);
            assert_eq!(
                parse(&serde_json::to_string(&profile).unwrap()).unwrap(),
                profile
            );
        }
    }

    #[test]
    fn a_table_overrides_single_numbers() {
        let text = r#"{
            "profile": "nvme", "read_us": 60, "stripe": "64KiB", "units": 4, "source": "measured"
        }"#;
        let mut expected = nvme();
        expected.source = "measured".to_owned();
        expected.model.read_us = Latency::constant(60.0);
        expected.model.stripe = 65_536;
        expected.model.units = 4;
        assert_eq!(parse(text).unwrap(), expected);
    }

    #[test]
    fn a_measured_device_gives_its_source_and_starts_from_no_time() {
        let found = parse(r#"{"profile": "calibrated", "source": "here", "base_us": 5}"#).unwrap();
        let expected = DeviceModel {
            base_us: 5.0,
            ..DeviceModel::NULL
        };
        assert_eq!(found, DeviceProfile::new(CALIBRATED, "here", expected));
        assert_eq!(
            parse(&serde_json::to_string(&found).unwrap()).unwrap(),
            found
        );
        for text in [r#""calibrated""#, r#"{"profile": "calibrated"}"#] {
            let error = parse(text).unwrap_err();
            assert!(error.contains("unknown device profile"), "{error}");
        }
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        let descending = r#"{
            "profile": "hdd",
            "sync_us": {"min": 2, "p50": 1, "p90": 3, "p99": 3, "p999": 3, "max": 3}
        }"#;
        for (text, word) in [
            (
                r#""nvmee""#,
                "cloud-block, hdd, null, nvme, page-cache, sata-ssd",
            ),
            (r#"{"units": 4}"#, "must name the `profile`"),
            (r#"{"profile": "hdd", "unit": 4}"#, "unknown field `unit`"),
            (r#"{"profile": 3}"#, "must be a string"),
            (r#"{"profile": "hdd", "base_us": -4}"#, "below zero"),
            (r#"{"profile": "hdd", "read_us": -4}"#, "below zero"),
            (
                r#"{"profile": "hdd", "read_us": "fast"}"#,
                "expected microseconds",
            ),
            (descending, "descend"),
            (r#"{"profile": "nvme", "units": 0}"#, "1 to 65536"),
            (r#"{"profile": "nvme", "write_bytes": 0}"#, "at least 1"),
            ("7", "the name of a device profile"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn the_schema_names_the_profiles_and_requires_no_number() {
        let schema = schemars::schema_for!(DeviceProfile).to_value();
        assert_eq!(schema["anyOf"][0]["enum"][1], "hdd");
        assert_eq!(
            schema["anyOf"][1]["required"],
            serde_json::json!(["profile"])
        );
        assert!(schema["anyOf"][1]["properties"]["read_us"].is_object());
    }
}
