//! What is configured, as the API shows it. The binary reads the file and publishes this.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::watch;

/// All keys of the configuration, section by section, as the last reload has left them.
pub type Settings = watch::Receiver<Arc<[Setting]>>;

/// One key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// With its section, and in a list with the name of its entry: `routing.max_lag`, `servers.db1.weight`.
    pub name: String,
    /// The value in force, as the file would have it; never a secret. `None`: there is none.
    pub value: Option<String>,
    /// Where that is from.
    pub source: Source,
    /// The value that the file has now, and that takes effect at the next start.
    pub next: Option<String>,
}

/// Where a value is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The configuration file.
    File,
    /// The file does not have the key.
    Default,
}
