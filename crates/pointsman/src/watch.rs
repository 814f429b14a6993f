//! Notices that the configuration file has changed.
//!
//! It is looked at once a second, which also sees what notifications of the file system miss: a file on a network, a link that is exchanged as a whole.
//! A change counts once the file has looked the same twice in a row, so that nobody reads it while it is being written.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Duration;

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(1);

/// The file that is watched.
pub(crate) struct FileWatch {
    path: PathBuf,
    looks: Looks,
}

/// What tells one state of a file from another: device, inode, length, and when it was written.
type Stamp = (u64, u64, u64, i64, i64);

/// What was seen. `None` for a file that is not there.
#[derive(Debug, Default)]
struct Looks {
    /// When it was last read.
    read: Option<Stamp>,
    last: Option<Stamp>,
}

impl FileWatch {
    /// The file as it is now has been read.
    pub(crate) async fn new(path: PathBuf) -> Self {
        let mut watch = Self { path, looks: Looks::default() };
        watch.note_read().await;
        watch
    }

    /// The file is about to be read, for whatever reason.
    pub(crate) async fn note_read(&mut self) {
        let now = stamp(&self.path).await;
        self.looks = Looks { read: now, last: now };
    }

    /// Waits until it is another one than the one that was read.
    pub(crate) async fn changed(&mut self) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            let now = stamp(&self.path).await;
            if self.looks.has_settled(now) {
                return;
            }
        }
    }
}

impl Looks {
    /// One more look: whether the file is another one, and nobody is writing it.
    fn has_settled(&mut self, now: Option<Stamp>) -> bool {
        let is_same = std::mem::replace(&mut self.last, now) == now;
        is_same && now.is_some() && now != self.read
    }
}

async fn stamp(path: &std::path::Path) -> Option<Stamp> {
    let seen = tokio::fs::metadata(path).await.ok()?;
    Some((seen.dev(), seen.ino(), seen.len(), seen.mtime(), seen.mtime_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_once_nobody_writes_any_more() {
        let at = |written| Some((1, 2, 3, written, 0));
        let mut looks = Looks { read: at(0), last: at(0) };
        for (now, settled) in [
            (at(0), false),
            (at(1), false),
            (at(2), false),
            (at(2), true),
            // Until it is read it goes on being another one.
            (at(2), true),
            // It is gone for a moment, as some editors have it.
            (None, false),
            (None, false),
            (at(3), false),
            (at(3), true),
            (at(0), false),
            (at(0), false),
        ] {
            assert_eq!(looks.has_settled(now), settled, "{now:?}");
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
