//! From the bytes of a statement to what it can do.
//!
//! Pure: no sockets, no clock, no knowledge of servers or sessions. The caller says how the bytes are to be read
//! ([`Context`]) and gets a [`Statement`] back: its effects, the session items that it creates or ends, its digest, and the
//! reason of the verdict. Where a statement then runs is the router's business.

mod statement;

pub use statement::{Because, Charset, Context, Dialect, Digest, Effects, Pin, SessionEffect, SqlMode, Statement, Track, Verb};
