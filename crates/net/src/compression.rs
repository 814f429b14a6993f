//! The compressed protocol: after the login, all bytes go in *frames*, each compressed by itself or stored as it is.
//!
//! A frame's header has its length, its number, and the length of what is in it (0: stored). Packets are a stream within the frames: one may begin in
//! the middle of a frame and go on in the next. [`Frames`] has no IO, [`crate::Link`] puts it between the socket, or TLS, and the inbox.
//!
//! Sources: MySQL `page_protocol_basic_compression` and `page_protocol_basic_compression_packet`; MariaDB "0 - Packet". What both servers do about
//! the numbers is not written there (`sql-common/net_serv.cc`, `sql/net_serv.cc`): they check the frames' and let go of the packets', which they
//! begin again from the frame's number after each flush.

mod codec;
mod frames;
mod packets;

#[cfg(test)]
mod tests;

pub use self::codec::Compression;
pub use self::frames::{Decoded, Frames, Role};
