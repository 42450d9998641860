//! The profile of a machine: prices of CPU work and the numbers of its disk, as `aura calibrate`
//! writes them and configs name them.

use std::path::{Path, PathBuf};

use aura_engine::env::sim::{CALIBRATED, CpuCosts, DeviceModel, DeviceProfile};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::files::{self, FileError};
use crate::record::FileIo;

/// A measured machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MachineProfile {
    /// Where its numbers come from.
    pub about: About,
    /// What CPU work costs.
    pub cpu: CpuCosts,
    /// The disk, read past the page cache.
    pub device: DeviceModel,
    /// The page cache in front of it.
    pub page_cache: DeviceModel,
}

/// Where the numbers of a profile come from. What the system does not say is empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct About {
    /// Seconds since 1970 when it was measured.
    pub measured: u64,
    /// The version and commit of the program.
    pub program: String,
    /// The processor's model.
    pub cpu: String,
    /// Cores that the program could use.
    pub cores: u64,
    /// The kernel's release.
    pub kernel: String,
    /// The type of the file system.
    pub file_system: String,
    /// The disk.
    pub disk: String,
    /// Whether the reads of the disk bypassed the page cache.
    pub direct: bool,
    /// The share of the variance of the probes' times that the prices explain.
    pub r2: f64,
    /// The largest error of the prices in any probe: 0.3 is 30 %.
    pub error_max: f64,
    /// The median, over the probes, of the longest round over the shortest.
    pub spread: f64,
    /// Prices that could not be found and are the shipped ones.
    pub kept: Vec<String>,
    /// What disturbed the measurement.
    pub warnings: Vec<String>,
}

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is not a profile.
    #[error("{} is no profile of a machine: {why}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The first thing that is wrong, with its place.
        why: String,
    },
}

impl MachineProfile {
    /// Reads a profile.
    ///
    /// # Errors
    /// [`ProfileError`] with the place of the first thing that is wrong.
    pub fn read(path: &Path) -> Result<Self, ProfileError> {
        let text = files::read_to_string(path)?;
        toml::from_str(&text).map_err(|error| ProfileError::Format {
            path: path.to_owned(),
            why: error.to_string().trim().replace('\n', " "),
        })
    }

    /// Writes the profile, with a comment that says how it is used.
    ///
    /// # Errors
    /// [`ProfileError`] if the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), ProfileError> {
        let numbers = toml::to_string(self).map_err(|error| ProfileError::Format {
            path: path.to_owned(),
            why: error.to_string(),
        })?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let text = format!(
            "# Written by `aura calibrate`. A config names it:\n\
             #   world = {{ kind = \"simulated\", profile = {name:?} }}\n\
             # `io = \"page-cache\"` beside it takes the page cache for the disk.\n\n{numbers}"
        );
        Ok(files::replace(path, text.as_bytes())?)
    }

    /// The digest of the numbers, in hexadecimal. Where they come from is not part of it.
    pub fn digest(&self) -> String {
        let numbers = serde_json::json!([self.cpu, self.device, self.page_cache]);
        format!("{:032x}", xxh3_128(numbers.to_string().as_bytes()))
    }

    /// The device of a simulated world: the disk, or for [`FileIo::PageCache`] the page cache.
    pub fn device(&self, io: Option<FileIo>) -> DeviceProfile {
        let About {
            cpu,
            kernel,
            file_system,
            ..
        } = &self.about;
        let (part, model) = match io {
            Some(FileIo::PageCache) => ("page cache", &self.page_cache),
            Some(FileIo::Direct) | None => ("disk", &self.device),
        };
        DeviceProfile {
            profile: CALIBRATED.to_owned(),
            source: format!("aura calibrate: {part}, {cpu}, {kernel}, {file_system}"),
            model: model.clone(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A profile with numbers of its own.
    pub(crate) fn sample() -> MachineProfile {
        let nvme = DeviceProfile::named("nvme").expect("it is shipped");
        let cached = DeviceProfile::named("page-cache").expect("it is shipped");
        MachineProfile {
            about: About {
                cpu: "a processor".to_owned(),
                kept: vec!["key_fitted_ns".to_owned()],
                ..About::default()
            },
            cpu: CpuCosts {
                operation_ns: 777.0,
                ..CpuCosts::default()
            },
            device: DeviceModel {
                base_us: 99.5,
                ..nvme.model
            },
            page_cache: cached.model,
        }
    }

    #[test]
    fn a_profile_survives_its_file_and_its_digest_is_of_the_numbers() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("profile.toml");
        let profile = sample();
        profile.write(&path).expect("it is written");
        let read = MachineProfile::read(&path).expect("it is read");
        assert_eq!(read, profile);
        assert_eq!(read.digest(), profile.digest());
        let mut elsewhere = profile.clone();
        elsewhere.about.cpu = "another".to_owned();
        assert_eq!(elsewhere.digest(), profile.digest());
        let mut slower = profile.clone();
        slower.page_cache.base_us = 3.0;
        assert_ne!(slower.digest(), profile.digest());
    }

    #[test]
    fn what_is_no_profile_is_refused_with_its_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("broken.toml");
        for (text, word) in [
            ("cpu = 3", "line 1"),
            ("[about]\nweather = \"rain\"", "unknown field `weather`"),
        ] {
            files::write(&path, text.as_bytes()).expect("it is written");
            let error = MachineProfile::read(&path).expect_err("it is refused");
            let error = error.to_string();
            assert!(
                error.contains(word) && error.contains("broken.toml"),
                "{error}"
            );
        }
    }
}
