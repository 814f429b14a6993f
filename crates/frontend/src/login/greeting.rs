//! The first packets: what Pointsman offers, and the client's login, inside of TLS if the client asks for that.

use bytes::BytesMut;
use classifier::Dialect;
use net::{Exchange, LinkError};
use wire::error_code::ER_SECURE_TRANSPORT_REQUIRED;
use wire::{Capabilities, Greeting, Login, Plugin, StatusFlags};
use zeroize::Zeroizing;

use super::{LARGEST_LOGIN_PACKET, LoginError, tell};
use crate::limits::Limits;
use crate::reply::Refusal;
use crate::tls::ClientTls;
use crate::worker::{Defaults, Shared};

/// What Pointsman offers to clients. Not here because it is a matter of the configuration: TLS, local files, compression.
const OFFERED: Capabilities = Capabilities::LONG_PASSWORD
    .union(Capabilities::FOUND_ROWS)
    .union(Capabilities::LONG_FLAG)
    .union(Capabilities::CONNECT_WITH_DB)
    .union(Capabilities::NO_SCHEMA)
    .union(Capabilities::ODBC)
    .union(Capabilities::IGNORE_SPACE)
    .union(Capabilities::PROTOCOL_41)
    .union(Capabilities::INTERACTIVE)
    .union(Capabilities::IGNORE_SIGPIPE)
    .union(Capabilities::TRANSACTIONS)
    .union(Capabilities::SECURE_CONNECTION)
    .union(Capabilities::MULTI_STATEMENTS)
    .union(Capabilities::MULTI_RESULTS)
    .union(Capabilities::PS_MULTI_RESULTS)
    .union(Capabilities::PLUGIN_AUTH)
    .union(Capabilities::CONNECT_ATTRS)
    .union(Capabilities::PLUGIN_AUTH_LENENC)
    .union(Capabilities::CAN_HANDLE_EXPIRED_PASSWORDS)
    .union(Capabilities::SESSION_TRACK)
    .union(Capabilities::DEPRECATE_EOF);

/// What is offered to clients of servers of this kind, apart from TLS. MariaDB knows no query attributes. It says that it is not MySQL by not offering
/// `LONG_PASSWORD`, which makes room for capabilities of its own. Two of these are offered; the others are not, as responses would look different.
pub(super) fn offered(dialect: Dialect, limits: &Limits) -> Capabilities {
    let mut offered = OFFERED;
    offered.set(Capabilities::QUERY_ATTRIBUTES, dialect == Dialect::MySql);
    offered.set(Capabilities::LONG_PASSWORD, dialect == Dialect::MySql);
    offered.set(Capabilities::MARIADB_STMT_BULK_OPERATIONS, dialect == Dialect::MariaDb);
    offered.set(Capabilities::MARIADB_EXTENDED_METADATA, dialect == Dialect::MariaDb);
    offered.set(Capabilities::LOCAL_FILES, limits.local_infile > 0);
    offered
}

/// The plugin that the greeting names if the configuration does not: that of a server of this kind. MariaDB's clients, from 11.4 on, trust a certificate that
/// nobody has signed only with the native one ([`wire::ServerLogin::vouch_for`]).
pub(super) fn default_plugin(dialect: Dialect) -> Plugin {
    match dialect {
        Dialect::MySql => Plugin::CachingSha2,
        Dialect::MariaDb => Plugin::Native,
    }
}

/// The greeting for the connection with this number.
pub(super) fn greeting(
    shared: &Shared,
    defaults: Defaults,
    (id, nonce): (u32, [u8; 20]),
    offered: Capabilities,
    announced: Plugin,
    tls: &ClientTls,
) -> BytesMut {
    let Defaults { dialect, collation, autocommit, .. } = defaults;
    let tls_offered = if tls.acceptor().is_some() { Capabilities::SSL } else { Capabilities::empty() };
    let mut greeting = BytesMut::new();
    Greeting {
        server_version: shared.server_version(),
        connection_id: id,
        nonce,
        capabilities: offered | tls_offered,
        charset: charset(dialect, collation),
        status: status(autocommit),
        auth_plugin: announced.name().as_bytes().to_vec(),
    }
    .encode(&mut greeting);
    greeting
}

/// The default collation, as a server shows it in the one byte that there is for it: MySQL the low byte of its number, MariaDB another collation of the
/// same character set. The default of MariaDB 11.8 is 2304 (`utf8mb4_uca1400_ai_ci`), and it shows 45.
fn charset(dialect: Dialect, collation: u16) -> u8 {
    let shown = match (dialect, collation) {
        (Dialect::MariaDb, 256..=511 | 608..=639 | 2304..=2559) => 45,
        (Dialect::MariaDb, 576..=607 | 2048..=2303) => 33,
        (Dialect::MariaDb, 640..=671 | 2560..=2815) => 35,
        (Dialect::MariaDb, 672..=735 | 2816..=3071) => 54,
        (Dialect::MariaDb, 736..=767 | 3072..=3327) => 60,
        // The NOPAD twins of those up to 255, of which these are the low bytes.
        _ => collation,
    };
    let [low, _] = shown.to_le_bytes();
    low
}

/// That of a new session.
pub(super) fn status(autocommit: bool) -> StatusFlags {
    if autocommit { StatusFlags::AUTOCOMMIT } else { StatusFlags::empty() }
}

/// The client's login, inside of TLS if the client asks for that, as it must where it is required.
pub(super) async fn receive_login(exchange: Exchange, tls: &ClientTls) -> Result<(Exchange, Zeroizing<Vec<u8>>), LoginError> {
    let (exchange, payload) = receive(exchange).await?;
    if !Login::is_ssl_request(&payload) {
        if tls.is_required() {
            tell(exchange, &Refusal::tls_required()).await;
            return Err(LoginError::NotEncrypted);
        }
        return Ok((exchange, payload));
    }
    let Some(acceptor) = tls.acceptor() else {
        let refusal = Refusal::new(ER_SECURE_TRANSPORT_REQUIRED, "TLS is not offered here; connect without it");
        tell(exchange, &refusal).await;
        return Err(LoginError::NotOffered("TLS"));
    };
    // A second request for TLS is no login, and is refused as that.
    receive(exchange.accept_tls(acceptor).await?).await
}

/// The client's next packet. Who breaks the protocol is told how.
async fn receive(mut exchange: Exchange) -> Result<(Exchange, Zeroizing<Vec<u8>>), LoginError> {
    let error = match exchange.receive().await {
        Ok(payload) => return Ok((exchange, payload)),
        Err(error) => error,
    };
    match &error {
        LinkError::TooLarge => tell(exchange, &Refusal::packet_too_large(LARGEST_LOGIN_PACKET)).await,
        LinkError::OutOfOrder => tell(exchange, &Refusal::out_of_order()).await,
        _ => {}
    }
    Err(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_shows_a_collation_of_the_default_character_set() {
        for (dialect, collation, shown) in [
            (Dialect::MySql, 255, 255),
            (Dialect::MySql, 309, 53),
            (Dialect::MariaDb, 8, 8),
            (Dialect::MariaDb, 1032, 8),
            (Dialect::MariaDb, 608, 45),
            (Dialect::MariaDb, 2048, 33),
            (Dialect::MariaDb, 2304, 45),
            (Dialect::MariaDb, 3072, 60),
        ] {
            assert_eq!(charset(dialect, collation), shown, "{dialect:?} {collation}");
        }
    }
}
