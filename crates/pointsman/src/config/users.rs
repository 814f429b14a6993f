//! `[[users]]`: the accounts of applications, and on what terms they are served.

use std::sync::Arc;

use backend::{Account, PooledAccount};
use frontend::{AccountTerms, ClientTls};

use super::reader::Section;
use super::{duplicates, list, tls};

/// One of them.
#[derive(Debug, Clone)]
pub(crate) struct User {
    /// The account, and its connections to the servers.
    pub(crate) pooled: PooledAccount,
    /// What it may do here.
    pub(crate) terms: AccountTerms,
}

/// All of them. A `None` has mistakes, which are noted.
pub(super) fn users(file: &mut Section<'_>, client_tls: &ClientTls, is_passthrough: bool) -> Vec<Option<User>> {
    let users: Vec<_> = file.sections("users").into_iter().map(|section| user(section, client_tls)).collect();
    if users.is_empty() && !is_passthrough {
        let why = "list every user that applications log in with, or set security.auth = \"passthrough\"";
        file.complain(&format!("there is no [[users]]: {why}"));
    }
    let name = |user: &User| String::from_utf8_lossy(&user.pooled.account.user).into_owned();
    duplicates(file, "users", users.iter().flatten().map(name));
    users
}

fn user(mut section: Section<'_>, client_tls: &ClientTls) -> Option<User> {
    let name = section.required::<String>("name");
    let password = section.secret("password");
    let terms = AccountTerms {
        demands_tls: tls::is_demanded_by(&mut section, client_tls),
        networks: list::networks(&mut section, "networks"),
        client_connections: section.bound("client_connections"),
        statements_per_second: section.bound("statements_per_second"),
    };
    let server_connections = section.bound("server_connections");
    let warm_server_connections = section.optional("warm_server_connections", 0);
    if server_connections.is_some_and(|server_connections| warm_server_connections > server_connections) {
        section.complain("warm_server_connections is more than server_connections allows");
    }
    section.finish();
    let account = Arc::new(Account { user: name?.into_bytes(), password: password?.into_bytes() });
    Some(User { pooled: PooledAccount { account, server_connections, warm_server_connections }, terms })
}
