//! `[admin]`.

use std::net::SocketAddr;
use std::path::PathBuf;

use admin::{AdminTls, Token};

use super::reader::Section;
use super::tls;

/// A token that can be guessed is none.
const TOKEN_MIN: usize = 16;

/// Where the admin API is.
#[derive(Debug)]
pub(crate) struct Admin {
    /// A Unix socket.
    pub(crate) socket: Option<PathBuf>,
    /// An address.
    pub(crate) address: Option<SocketAddr>,
    /// Where MySQL clients reach the console.
    pub(crate) console: Option<SocketAddr>,
    /// What a request at the address must bring.
    pub(crate) token: Option<Token>,
    /// Of both addresses.
    pub(crate) tls: Option<AdminTls>,
}

impl Admin {
    pub(super) fn read(mut section: Section<'_>, files: &mut tls::Files) -> Self {
        let socket = section.optional("socket", None);
        let address = section.optional::<Option<SocketAddr>>("address", None);
        let console = section.optional::<Option<SocketAddr>>("console", None);
        let secret = section.optional_secret("token");
        if secret.as_ref().is_some_and(|secret| secret.len() < TOKEN_MIN) {
            section.complain(&format!("token is shorter than {TOKEN_MIN} characters: make one with `openssl rand -hex 16`"));
        }
        let token = secret.and_then(|secret| Token::new(secret.as_bytes()));
        let tls = tls::admin(&mut section, files);
        let has_proof = token.is_some() || tls.as_ref().is_some_and(AdminTls::demands_certificates);
        if !has_proof && address.is_some_and(|address| !address.ip().is_loopback()) {
            section.complain(
                "address is open to other machines: give a token (token, token_file or token_env), or a tls_client_ca with tls = \"required\"",
            );
        }
        if token.is_none() && console.is_some() {
            section.complain("console needs a token, which is the password of its user admin");
        }
        section.finish();
        Self { socket, address, console, token, tls }
    }
}
