//! Whether a client's connection is compressed after its login.

use classifier::Dialect;
use net::{Compression, Link, Role};
use wire::error_code::{ER_NOT_SUPPORTED_YET, ER_WRONG_COMPRESSION_LEVEL_CLIENT};
use wire::{Capabilities, Login};

use crate::reply::Refusal;
use crate::settings::ClientCompression;

/// The levels of zstd that a client may ask for.
const ZSTD_LEVELS: std::ops::RangeInclusive<u8> = 1..=22;

/// What clients of servers of this kind are offered. MariaDB does not know zstd.
pub(super) fn offered(dialect: Dialect, configured: ClientCompression) -> Capabilities {
    let mut offered = Capabilities::empty();
    offered.set(Capabilities::COMPRESS, configured.zlib);
    offered.set(Capabilities::ZSTD_COMPRESSION, configured.zstd && dialect == Dialect::MySql);
    offered
}

/// What the client has asked for. If it asks for both, zlib, as MySQL chooses.
pub(super) fn agreed(login: &Login<'_>, offered: Capabilities) -> Result<Option<Compression>, Refusal> {
    let asked = login.capabilities & (Capabilities::COMPRESS | Capabilities::ZSTD_COMPRESSION);
    if !offered.contains(asked) {
        // It would speak it from here on, although it was not offered.
        return Err(Refusal::new(
            ER_NOT_SUPPORTED_YET,
            "this compression is not offered here (listen.compression); connect without it",
        ));
    }
    if asked.contains(Capabilities::COMPRESS) {
        return Ok(Some(Compression::Zlib));
    }
    if asked.is_empty() {
        return Ok(None);
    }
    let level = login.zstd_level;
    if ZSTD_LEVELS.contains(&level) {
        return Ok(Some(Compression::Zstd { level }));
    }
    Err(Refusal::new(ER_WRONG_COMPRESSION_LEVEL_CLIENT, format!("{level} is no level of zstd; there are those from 1 to 22")))
}

/// Goes on as agreed.
pub(super) fn begin(link: Link, agreed: Option<Compression>) -> Link {
    match agreed {
        Some(compression) => link.compress(compression, Role::Server),
        None => link,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Capabilities = Capabilities::COMPRESS.union(Capabilities::ZSTD_COMPRESSION);

    const ALL: ClientCompression = ClientCompression { zlib: true, zstd: true };

    fn login(capabilities: Capabilities, zstd_level: u8) -> Login<'static> {
        Login {
            capabilities,
            max_packet: 0,
            collation: 45,
            user: b"app",
            auth_response: b"",
            schema: None,
            auth_plugin: None,
            attributes: None,
            zstd_level,
        }
    }

    #[test]
    fn zlib_prevails_and_levels_are_checked() {
        let zstd = Capabilities::ZSTD_COMPRESSION;
        assert_eq!(agreed(&login(Capabilities::empty(), 0), BOTH).unwrap(), None);
        assert_eq!(agreed(&login(BOTH, 0), BOTH).unwrap(), Some(Compression::Zlib));
        assert_eq!(agreed(&login(zstd, 22), BOTH).unwrap(), Some(Compression::Zstd { level: 22 }));
        for level in [0, 23, 255] {
            assert_eq!(agreed(&login(zstd, level), BOTH).unwrap_err().code, ER_WRONG_COMPRESSION_LEVEL_CLIENT);
        }
    }

    #[test]
    fn what_is_not_offered_is_refused() {
        for (asked, offered) in [
            (BOTH, Capabilities::COMPRESS),
            (BOTH, Capabilities::empty()),
            (Capabilities::COMPRESS, Capabilities::ZSTD_COMPRESSION),
            (Capabilities::ZSTD_COMPRESSION, super::offered(Dialect::MariaDb, ALL)),
        ] {
            assert_eq!(agreed(&login(asked, 3), offered).unwrap_err().code, ER_NOT_SUPPORTED_YET);
        }
        assert_eq!(super::offered(Dialect::MySql, ALL), BOTH);
    }
}
