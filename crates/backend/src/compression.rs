//! Whether connections to servers are compressed.

use net::Compression;
use wire::Capabilities;

/// How connections to servers are compressed, where the server offers it. Without the offer they are not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ServerCompression {
    /// Not at all.
    #[default]
    Off,
    /// With zlib, which all servers have.
    Zlib,
    /// With Zstandard, which MySQL has.
    Zstd,
}

impl ServerCompression {
    /// The capabilities to log in with, and what begins after the login.
    pub(crate) fn negotiate(self, capabilities: Capabilities, offered: Capabilities) -> (Capabilities, Option<Compression>) {
        let (flag, compression) = match self {
            Self::Off => return (capabilities, None),
            Self::Zlib => (Capabilities::COMPRESS, Compression::Zlib),
            Self::Zstd => (Capabilities::ZSTD_COMPRESSION, Compression::ZSTD),
        };
        if offered.contains(flag) { (capabilities | flag, Some(compression)) } else { (capabilities, None) }
    }
}
