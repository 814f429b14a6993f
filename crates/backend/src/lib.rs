//! Connections to the servers: opening them, logging in, keeping them in pools, and bringing them to a session's state.
//!
//! Knows sockets and the protocol, but not where statements go (that is `router`) nor who is primary (that is `monitor`).

mod compression;
mod connection;
mod error;
mod login;
mod parsec;
mod pool;
mod prepared;
mod tls;

pub use compression::ServerCompression;
pub use connection::{Rest, ServerConnection};
pub use error::{ConnectError, Shortage};
pub use login::{Account, ConnectOptions, ServerAddress};
pub use pool::{Lease, PoolSettings, PooledAccount, PooledServer, Pools, WaitedFor, Wanted, WarmUp, WorkerPool};
pub use prepared::{OnServer, PreparedStatements};
pub use tls::ServerTls;
