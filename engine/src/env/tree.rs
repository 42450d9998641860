//! The names of a file system in memory: directories, files and locks.
//!
//! The caller decides what a file is. Paths are compared as spelled; `.` and `..` are not resolved.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::lock;

/// Names of files, each in an existing directory.
#[derive(Clone)]
pub(super) struct Tree<F> {
    directories: BTreeSet<PathBuf>,
    files: BTreeMap<PathBuf, F>,
}

impl<F> Default for Tree<F> {
    /// Creates the root, and the directory that relative names start from.
    fn default() -> Self {
        Self {
            directories: BTreeSet::from([PathBuf::from("/"), PathBuf::new()]),
            files: BTreeMap::new(),
        }
    }
}

impl<F: Clone> Tree<F> {
    /// Fails if no file can be created at `path`: its directory is missing, or it is a directory
    /// itself.
    fn check_place(&self, path: &Path) -> io::Result<()> {
        if self.directories.contains(path) {
            return Err(io::Error::new(
                io::ErrorKind::IsADirectory,
                format!("{} is a directory", path.display()),
            ));
        }
        match path.parent() {
            Some(parent) if self.directories.contains(parent) => Ok(()),
            _ => Err(missing(path)),
        }
    }

    pub(super) fn insert(&mut self, path: &Path, file: F) -> io::Result<()> {
        self.check_place(path)?;
        self.files.insert(path.to_path_buf(), file);
        Ok(())
    }

    pub(super) fn get(&self, path: &Path) -> io::Result<F> {
        self.files.get(path).cloned().ok_or_else(|| missing(path))
    }

    /// Renames a file and returns it.
    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<F> {
        let file = self.get(from)?;
        self.check_place(to)?;
        self.files.remove(from);
        self.files.insert(to.to_path_buf(), file.clone());
        Ok(file)
    }

    /// Gives a file a second name and returns the file.
    pub(super) fn link(&mut self, from: &Path, to: &Path) -> io::Result<F> {
        let file = self.get(from)?;
        self.check_place(to)?;
        if self.files.contains_key(to) {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                format!("{} exists", to.display()),
            ));
        }
        self.files.insert(to.to_path_buf(), file.clone());
        Ok(file)
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.files
            .remove(path)
            .map(drop)
            .ok_or_else(|| missing(path))
    }

    pub(super) fn check_directory(&self, path: &Path) -> io::Result<()> {
        if self.directories.contains(path) {
            Ok(())
        } else {
            Err(missing(path))
        }
    }

    pub(super) fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        self.check_directory(directory)?;
        let mut names = Vec::new();
        for path in self
            .files
            .range(directory.to_path_buf()..)
            .map(|(path, _)| path)
        {
            if !path.starts_with(directory) {
                break;
            }
            if path.parent() == Some(directory)
                && let Some(name) = path.file_name()
            {
                names.push(name.to_string_lossy().into_owned());
            }
        }
        Ok(names)
    }

    pub(super) fn create_directory(&mut self, path: &Path) -> io::Result<()> {
        let file = path
            .ancestors()
            .find(|above| self.files.contains_key(*above));
        if let Some(file) = file {
            return Err(io::Error::new(
                io::ErrorKind::NotADirectory,
                format!("{} is a file", file.display()),
            ));
        }
        self.directories
            .extend(path.ancestors().map(Path::to_path_buf));
        Ok(())
    }

    /// Returns the directories of this tree, without files.
    pub(super) fn without_files<G>(&self) -> Tree<G> {
        Tree {
            directories: self.directories.clone(),
            files: BTreeMap::new(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Path, &F)> {
        self.files.iter().map(|(path, file)| (path.as_path(), file))
    }
}

fn missing(path: &Path) -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        format!("{} does not exist", path.display()),
    )
}

/// The lock files that are taken.
#[derive(Clone, Default)]
pub(super) struct Locks(Arc<Mutex<BTreeMap<PathBuf, Holders>>>);

/// The holders of a lock file.
enum Holders {
    One,
    Shared(usize),
}

impl Locks {
    /// Takes `path` exclusively until the guard is dropped. Fails with
    /// [`io::ErrorKind::WouldBlock`] if it is held.
    pub(super) fn take(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        let mut locks = lock(&self.0);
        if locks.contains_key(path) {
            return Err(locked(path));
        }
        locks.insert(path.to_path_buf(), Holders::One);
        Ok(self.guard(path))
    }

    /// Takes `path` shared until the guard is dropped. Fails with [`io::ErrorKind::WouldBlock`] if
    /// it is held exclusively.
    pub(super) fn take_shared(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        let mut locks = lock(&self.0);
        let holders = locks
            .entry(path.to_path_buf())
            .or_insert(Holders::Shared(0));
        match holders {
            Holders::One => return Err(locked(path)),
            Holders::Shared(count) => *count += 1,
        }
        Ok(self.guard(path))
    }

    fn guard(&self, path: &Path) -> Box<dyn Send + Sync> {
        Box::new(Guard {
            locks: self.clone(),
            path: path.to_path_buf(),
        })
    }

    fn release(&self, path: &Path) {
        let mut locks = lock(&self.0);
        match locks.get_mut(path) {
            Some(Holders::Shared(count)) if *count > 1 => *count -= 1,
            _ => drop(locks.remove(path)),
        }
    }
}

fn locked(path: &Path) -> io::Error {
    let message = format!("{} is locked", path.display());
    io::Error::new(io::ErrorKind::WouldBlock, message)
}

struct Guard {
    locks: Locks,
    path: PathBuf,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.locks.release(&self.path);
    }
}
