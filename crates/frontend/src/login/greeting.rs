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
/// `LONG_PASSWORD`, which makes room for capabilities of its own; the others of these are not offered, as responses would look different.
pub(super) fn offered(dialect: Dialect, limits: &Limits) -> Capabilities {
    let mut offered = OFFERED;
    offered.set(Capabilities::QUERY_ATTRIBUTES, dialect == Dialect::MySql);
    offered.set(Capabilities::LONG_PASSWORD, dialect == Dialect::MySql);
    offered.set(Capabilities::MARIADB_STMT_BULK_OPERATIONS, dialect == Dialect::MariaDb);
    offered.set(Capabilities::LOCAL_FILES, limits.local_infile > 0);
    offered
}

/// The greeting for the connection with this number.
pub(super) fn greeting(
    shared: &Shared,
    defaults: Defaults,
    id: u32,
    nonce: [u8; 20],
    offered: Capabilities,
    tls: &ClientTls,
) -> BytesMut {
    let Defaults { collation, autocommit, .. } = defaults;
    let [charset, _] = collation.to_le_bytes();
    let tls_offered = if tls.acceptor().is_some() { Capabilities::SSL } else { Capabilities::empty() };
    let mut greeting = BytesMut::new();
    Greeting {
        server_version: shared.server_version(),
        connection_id: id,
        nonce,
        capabilities: offered | tls_offered,
        charset,
        status: status(autocommit),
        auth_plugin: Plugin::CachingSha2.name().as_bytes().to_vec(),
    }
    .encode(&mut greeting);
    greeting
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
