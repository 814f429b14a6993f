//! Connections to the servers: opening them, logging in, keeping them in pools, and bringing them to a session's state.
//!
//! Knows sockets and the protocol, but not where statements go (that is `router`) nor who is primary (that is `monitor`).
//! [`Link`] is shared with the frontend: it is one end of a byte stream with a borrowed buffer, whoever is at the other end.

mod buffers;
mod connection;
mod error;
mod exchange;
mod link;
mod login;
mod pool;
mod state;

pub use buffers::{give_back as give_back_buffer, take as take_buffer};
pub use connection::ServerConnection;
pub use error::{ConnectError, LinkError};
pub use exchange::Exchange;
pub use link::Link;
pub use login::{Account, ConnectOptions, Target};
pub use pool::{Lease, PoolSettings, Pools, WorkerPool};
pub use state::{Applied, SessionState};
