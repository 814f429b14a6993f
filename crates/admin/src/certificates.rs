//! The certificates in use, and until when. The binary reads the files and publishes this.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::watch;

/// All of them, as the last reload has left them.
pub type Certificates = watch::Receiver<Arc<[Certificate]>>;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The key that names its file: `listen.tls_certificate`.
    pub key: String,
    /// The file.
    pub path: PathBuf,
    /// When it, or one that leads to its root, ends.
    pub expires: SystemTime,
}
