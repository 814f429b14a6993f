//! The transport of both legs, to clients and to servers: a stream, plain or encrypted, compressed or not, with the bytes that have arrived on it,
//! the packets of a login, and buffers.
//!
//! It frames packets and does not know what they mean; how long anything may take is the caller's business.

mod acceptor;
mod buffers;
mod compression;
mod error;
mod exchange;
mod link;
mod listener_handle;
mod socket_file;
mod tls;
mod within;

pub use acceptor::TcpAcceptor;
pub use buffers::{compact as compact_buffer, give_back as give_back_buffer, take as take_buffer};
pub use compression::{Compression, Decoded, Frames, Role};
pub use error::LinkError;
pub use exchange::{Exchange, receive_packet};
pub use link::{Link, watch_peers};
pub use listener_handle::ListenerHandle;
pub use socket_file::SocketFile;
pub use tls::{Authorities, ClientCertificates, Identity, TlsAcceptor, TlsConnector, TlsError, Trust, expires_at};
pub use within::within;
