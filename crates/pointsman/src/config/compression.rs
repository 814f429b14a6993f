//! Compression: a key of `[listen]`, and `[server_compression]`.

use backend::ServerCompression;
use frontend::ClientCompression;

use super::reader::Section;

/// What clients may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum Algorithm {
    Zlib,
    Zstd,
}

/// How connections to servers are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum Choice {
    Off,
    Zlib,
    Zstd,
}

/// The key of `[listen]`.
pub(super) fn clients(section: &mut Section<'_>) -> ClientCompression {
    let algorithms = section.optional("compression", vec![Algorithm::Zlib, Algorithm::Zstd]);
    let has = |algorithm| algorithms.contains(&algorithm);
    ClientCompression { zlib: has(Algorithm::Zlib), zstd: has(Algorithm::Zstd) }
}

/// `[server_compression]`.
pub(super) fn servers(mut section: Section<'_>) -> ServerCompression {
    let choice = section.optional("algorithm", Choice::Off);
    section.finish();
    match choice {
        Choice::Off => ServerCompression::Off,
        Choice::Zlib => ServerCompression::Zlib,
        Choice::Zstd => ServerCompression::Zstd,
    }
}
