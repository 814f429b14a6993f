//! The SQL console: any MySQL client asks what the HTTP API answers.
//!
//! ```text
//! client ── login, our own ──▶ one packet at a time ──▶ opensrv-mysql ──▶ command::parse ──▶ the API's router ──▶ rows
//! ```
//!
//! opensrv-mysql speaks the protocol of results. It is kept from everything else, as it reads beyond a packet when two of them come in one read, answers
//! OK to commands that it does not know, and has one simple login: the client logs in with `wire`, before opensrv-mysql hears of it, and `packets` hands
//! over one whole packet at a time, of the commands that it does right. Application traffic never comes here.

mod catalogue;
mod command;
mod condition;
mod lexer;
mod login;
mod packets;
mod query;
mod rows;
mod shim;
mod tables;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use net::{Link, LinkError};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use self::packets::Served;
use crate::tls::AdminTls;
use crate::token::Token;

/// Clients at once. More wait to be accepted.
const CLIENTS_MAX: usize = 16;

/// From accept to the end of the login.
const LOGIN: Duration = Duration::from_secs(10);

/// A client that says nothing for so long is disconnected.
const IDLE: Duration = Duration::from_hours(1);

/// After a failed accept (no file descriptors left), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stop` is cancelled. Whoever logs in as `admin` with the token as password may do everything.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    (token, tls): (Token, Option<AdminTls>),
    stop: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(CLIENTS_MAX));
    let mut id = 0_u32;
    loop {
        // It is never closed.
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "the console cannot accept a client");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        id = id.wrapping_add(1);
        let (router, token, tls, stop) = (router.clone(), token.clone(), tls.clone(), stop.clone());
        tokio::spawn(async move {
            let _place = place;
            tokio::select! {
                ended = attend(stream, id, router, (&token, tls.as_ref())) => if let Err(error) = ended {
                    tracing::debug!(%error, "a client of the console has left");
                },
                () = stop.cancelled() => {}
            }
        });
    }
}

/// One client, from its greeting to its end.
async fn attend(stream: TcpStream, id: u32, router: Router, (token, tls): (&Token, Option<&AdminTls>)) -> Result<(), LinkError> {
    let link = Link::new(stream)?;
    let login = timeout(LOGIN, login::log_in(link, id, token, tls)).await;
    let Some((mut link, capabilities)) = login.unwrap_or(Ok(None))? else { return Ok(()) };
    let mut served = Served::start(router, capabilities).await?;
    while timeout(IDLE, served.next_command(&mut link)).await.unwrap_or(Ok(false))? {}
    link.close().await;
    Ok(())
}
