//! The MySQL client/server protocol: packets, capabilities, login exchanges, and where MySQL and MariaDB differ.
//!
//! Everything here is a function of its arguments. The crate opens no socket, reads no clock and draws no random number (a
//! nonce is an argument), and it knows nothing of what a statement means. Decoding borrows from the caller's buffer and checks
//! every read: no input panics. Callers are `backend` (as a client of servers) and `frontend` (as a server to clients).
//!
//! Not here: TLS and compression (but for what asks for them), RSA (the login state machines say when the caller has to encrypt or decrypt), result rows.
//!
//! Two manuals describe the protocol: "MySQL Server Developer Documentation", pages `page_protocol_*` on dev.mysql.com, and
//! the MariaDB documentation's "Client/Server Protocol" chapter. Each module names the pages it follows, and where the
//! servers themselves do something else.

pub mod primitives;

pub mod packet;

pub mod proxy_header;

pub mod capabilities;

pub mod handshake;

pub mod auth;

pub mod result;

pub mod error_code;

pub mod session_state;

pub mod response;

pub mod file;

pub mod command;

pub use auth::client::{ClientLogin, ClientStep};
pub use auth::server::{Challenge, Expected, ServerLogin, ServerStep};
pub use auth::{ParsecChallenge, Plugin, nonce_from_random};
pub use capabilities::{Capabilities, StatusFlags};
pub use command::*;
pub use file::FileTracker;
pub use handshake::{AuthMoreData, AuthSwitch, ChangeUser, Greeted, Greeting, Login, decode_greeting};
pub use packet::{Frame, HEADER, Header, MAX_PAYLOAD, frame, put_packet, put_packet_with};
pub use primitives::{Malformed, Put, Reader};
pub use proxy_header::{ProxyHeader, proxy_header, put_proxy_header};
pub use response::{Expect, PacketKind, ResponseTracker, Step};
pub use result::{EofPacket, ErrOwned, ErrPacket, OkPacket, PrepareOk};
pub use session_state::{LAST_GTID, StateChange, state_changes, without_own_trackers};
