//! A client of the console proves that it has the token.

use bytes::BytesMut;
use net::{Exchange, Link, LinkError};
use wire::error_code::{ER_ACCESS_DENIED_ERROR, ER_SECURE_TRANSPORT_REQUIRED, sqlstate};
use wire::{
    Capabilities, Challenge, ErrPacket, Expected, Greeting, Login, OkPacket, Plugin, ServerLogin, ServerStep, StatusFlags,
};

use crate::tls::AdminTls;
use crate::token::Token;

/// The console's only user.
const USER: &[u8] = b"admin";

/// Drivers look at the number before they look at anything else.
pub(super) const VERSION: &str = concat!("8.4.0-pointsman-", env!("CARGO_PKG_VERSION"));

/// `utf8mb4_general_ci`.
const COLLATION: u8 = 45;

/// No packet of a login is longer, in bytes.
const PACKET_MAX: usize = 4 * 1024;

/// What opensrv-mysql can do, and a login by plugins. Without `DEPRECATE_EOF`: it ends rows by an EOF in any case, which MySQL's clients do not expect
/// then.
const OFFERED: Capabilities = Capabilities::LONG_PASSWORD
    .union(Capabilities::PROTOCOL_41)
    .union(Capabilities::TRANSACTIONS)
    .union(Capabilities::SECURE_CONNECTION)
    .union(Capabilities::CONNECT_WITH_DB)
    .union(Capabilities::PLUGIN_AUTH)
    .union(Capabilities::PLUGIN_AUTH_LENENC);

/// The link of a client that has logged in, and what it can do. `None`: it was refused.
pub(super) async fn log_in(
    link: Link,
    id: u32,
    token: &Token,
    tls: Option<&AdminTls>,
) -> Result<Option<(Link, Capabilities)>, LinkError> {
    let mut random = [0; 20];
    if aws_lc_rs::rand::fill(&mut random).is_err() {
        tracing::warn!("the system gives no random numbers: nobody can log in to the console");
        return Ok(None);
    }
    let nonce = wire::nonce_from_random(random);
    let mut exchange = Exchange::new(link, PACKET_MAX);
    exchange.send(&greeting(id, nonce, tls.is_some())).await?;
    let mut payload = exchange.receive().await?;
    if let Some(tls) = tls {
        if !Login::is_ssl_request(&payload) {
            let message = "pointsman: connections without TLS are prohibited here ([admin] tls)";
            return refuse(exchange, ER_SECURE_TRANSPORT_REQUIRED, message).await;
        }
        exchange = exchange.accept_tls(&tls.acceptor()).await?;
        payload = exchange.receive().await?;
    }
    let login = Login::decode(&payload)?;
    let capabilities = login.capabilities & OFFERED;
    let login = Login { capabilities, ..login };
    // A user of another name has no password.
    let expected = if login.user == USER { Expected::Password(token.secret()) } else { Expected::Nothing };
    let challenge = Challenge { nonce, announced: Some(Plugin::CachingSha2), force_full: false, secure_transport: false };
    let (mut proof, mut step) = ServerLogin::start(challenge, &login, expected);
    let mut out = BytesMut::new();
    loop {
        step = match step {
            ServerStep::Send(payload) => {
                exchange.send(&payload).await?;
                proof.on_packet(&exchange.receive().await?)
            }
            ServerStep::Accepted { send_first } => {
                if let Some(payload) = send_first {
                    exchange.queue(&payload);
                }
                let ok = OkPacket { status: StatusFlags::AUTOCOMMIT, ..OkPacket::default() };
                ok.encode(0x00, capabilities, &mut out);
                exchange.send(&out).await?;
                return Ok(Some((exchange.into_link(), capabilities)));
            }
            // The proof suffices: nobody is asked for the token itself.
            ServerStep::Denied(_) | ServerStep::SendPublicKey | ServerStep::DecryptPassword(_) | ServerStep::Disclosed(_) => {
                let user = String::from_utf8_lossy(login.user);
                let message = format!("pointsman: access denied for user '{user}'; log in as 'admin' with the token of [admin]");
                tracing::info!(%user, "a login to the console failed");
                return refuse(exchange, ER_ACCESS_DENIED_ERROR, &message).await;
            }
        }
    }
}

async fn refuse(mut exchange: Exchange, code: u16, message: &str) -> Result<Option<(Link, Capabilities)>, LinkError> {
    let mut out = BytesMut::new();
    ErrPacket { code, sqlstate: sqlstate(code), message: message.as_bytes() }.encode(&mut out);
    exchange.send(&out).await?;
    exchange.into_link().close().await;
    Ok(None)
}

fn greeting(id: u32, nonce: [u8; 20], has_tls: bool) -> BytesMut {
    let mut greeting = BytesMut::new();
    Greeting {
        server_version: VERSION.into(),
        connection_id: id,
        nonce,
        capabilities: if has_tls { OFFERED | Capabilities::SSL } else { OFFERED },
        charset: COLLATION,
        status: StatusFlags::AUTOCOMMIT,
        auth_plugin: Plugin::CachingSha2.name().as_bytes().to_vec(),
    }
    .encode(&mut greeting);
    greeting
}
