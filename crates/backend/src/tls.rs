//! Whether connections to servers are encrypted, and whether that may fail.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use net::TlsConnector;

use crate::login::ServerAddress;

/// How connections to servers are encrypted. Copies of one are the same; two that were made apart are not, even if they say the same.
#[derive(Clone, Default)]
pub struct ServerTls(Option<Arc<Terms>>);

struct Terms {
    connector: TlsConnector,
    /// There is no connection in clear.
    is_demanded: bool,
    /// One for each server, as each has sessions of its own to go on with.
    by_server: Mutex<Vec<(ServerAddress, TlsConnector)>>,
}

/// Says what it demands.
impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            None => "off",
            Some(terms) if terms.is_demanded => "demanded",
            Some(_) => "preferred",
        })
    }
}

impl ServerTls {
    /// In clear.
    pub const OFF: Self = Self(None);

    /// Encrypted where the server offers it, else in clear.
    pub fn preferred(connector: TlsConnector) -> Self {
        Self::new(connector, false)
    }

    /// Encrypted, or there is no connection.
    pub fn demanded(connector: TlsConnector) -> Self {
        Self::new(connector, true)
    }

    fn new(connector: TlsConnector, is_demanded: bool) -> Self {
        Self(Some(Arc::new(Terms { connector, is_demanded, by_server: Mutex::default() })))
    }

    pub(crate) fn is_demanded(&self) -> bool {
        self.0.as_ref().is_some_and(|terms| terms.is_demanded)
    }

    /// Whether a connection that was made by these terms is one by the others.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// What to connect to this server with; `None` for in clear.
    pub(crate) fn connector(&self, server: &ServerAddress) -> Option<TlsConnector> {
        let terms = self.0.as_ref()?;
        let mut known = terms.by_server.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, connector)) = known.iter().find(|(known, _)| known == server) {
            return Some(connector.clone());
        }
        let connector = terms.connector.with_own_sessions();
        known.push((server.clone(), connector.clone()));
        Some(connector)
    }
}

#[cfg(test)]
mod tests;
