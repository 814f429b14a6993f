//! Notices that the configuration file has changed, or a certificate that it names.
//!
//! The files are checked once a second. This also finds changes that file system notifications miss: on a network, or of a replaced link. A change counts
//! when all files were the same in two checks in a row, so that no file is read while it is being written.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Time between two checks.
const INTERVAL: Duration = Duration::from_secs(1);

/// The files that are watched.
pub(crate) struct FileWatch {
    paths: Vec<PathBuf>,
    looks: Looks,
}

/// What tells one state of a file from another: device, inode, length, and when it was written.
type Stamp = (u64, u64, u64, i64, i64);

/// What was seen: a stamp for each file, `None` if one of them is not there.
#[derive(Debug, Default)]
struct Looks {
    /// When they were last read.
    read: Option<Vec<Stamp>>,
    last: Option<Vec<Stamp>>,
}

impl FileWatch {
    /// These files, as they are now, have been read.
    pub(crate) async fn new(paths: Vec<PathBuf>) -> Self {
        let mut watch = Self { paths, looks: Looks::default() };
        watch.note_read().await;
        watch
    }

    /// Notes that the files are about to be read.
    pub(crate) async fn note_read(&mut self) {
        let now = stamps(&self.paths).await;
        self.looks = Looks { read: now.clone(), last: now };
    }

    /// Replaces the watched files. If they differ, what was read before is forgotten.
    pub(crate) async fn follow(&mut self, paths: Vec<PathBuf>) {
        if paths != self.paths {
            *self = Self::new(paths).await;
        }
    }

    /// Waits until one of them differs from what was read.
    pub(crate) async fn changed(&mut self) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            let now = stamps(&self.paths).await;
            if self.looks.has_settled(now) {
                return;
            }
        }
    }
}

impl Looks {
    /// Takes one more check, and returns whether the files have changed and are no longer being written.
    fn has_settled(&mut self, now: Option<Vec<Stamp>>) -> bool {
        let is_same = self.last == now;
        self.last = now;
        is_same && self.last.is_some() && self.last != self.read
    }
}

async fn stamps(paths: &[PathBuf]) -> Option<Vec<Stamp>> {
    let mut stamps = Vec::with_capacity(paths.len());
    for path in paths {
        stamps.push(stamp(path).await?);
    }
    Some(stamps)
}

async fn stamp(path: &Path) -> Option<Stamp> {
    let seen = tokio::fs::metadata(path).await.ok()?;
    Some((seen.dev(), seen.ino(), seen.len(), seen.mtime(), seen.mtime_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_when_the_file_is_no_longer_written() {
        let at = |written| Some(vec![(1, 2, 3, 0, 0), (1, 2, 4, written, 0)]);
        let mut looks = Looks { read: at(0), last: at(0) };
        for (now, settled) in [
            (at(0), false),
            (at(1), false),
            (at(2), false),
            (at(2), true),
            // It counts as changed until it is read.
            (at(2), true),
            // It is missing for a moment, as some editors do it.
            (None, false),
            (None, false),
            (at(3), false),
            (at(3), true),
            (at(0), false),
            (at(0), false),
        ] {
            assert_eq!(looks.has_settled(now.clone()), settled, "{now:?}");
        }
    }

    #[tokio::test]
    async fn a_file_is_told_from_the_one_before_by_its_length_and_its_place() {
        let folder = std::env::temp_dir().join(format!("pointsman-watch-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (path, other) = (folder.join("a"), folder.join("b"));
        assert_eq!(stamp(&path).await, None);
        std::fs::write(&path, "1").unwrap();
        let first = stamp(&path).await;
        assert_eq!(first, stamp(&path).await);
        std::fs::write(&path, "22").unwrap();
        assert_ne!(first, stamp(&path).await);
        let second = stamp(&path).await;
        std::fs::write(&other, "22").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert_ne!(second, stamp(&path).await);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
