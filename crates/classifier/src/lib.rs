//! From the bytes of a statement to what it can do.
//!
//! Pure: no sockets, no clock, no knowledge of servers or sessions. The caller says how the bytes are to be read
//! ([`Context`]) and gets a [`Statement`] back: its effects, the session items that it creates or ends, its digest, and the
//! reason of the verdict. Where a statement then runs is the router's business.
//!
//! The way of a statement: `digest` reads it once and looks for a known verdict; `classifier::dispatch` finds the module that knows its first word; a
//! read is scanned token by token (`scan`) and parsed (`tree`; `shape` where sqlparser cannot), and must be a read to both. `catalogue` knows what
//! users have defined, and `classifier::knowledge` what has turned out since. What is not understood is not a read.

mod statement;

mod catalogue;
mod classifier;

mod digest;
mod lexer;

mod read;
mod scan;
mod shape;
mod show;
mod tree;

mod control;
mod definition;
mod set;
mod write;

mod functions;
mod keyword;
mod schema;
mod variables;

mod connection;
mod prepared;

mod charset;
mod findings;
mod reason;
mod results;
mod sql_mode;
mod text;

pub use catalogue::{Catalogue, Definition};
pub use classifier::{CacheStats, Classifier, Knowledge, ParseLimits};
pub use connection::{Count, Kill, KillScope, KillTarget, asked_connection_id, asked_count, kill};
pub use digest::{digest, digest_text};
pub use prepared::{Inner, inner_text};
pub use results::Results;
pub use statement::{
    Charset, Context, Dialect, Digest, Effects, Pin, PinKind, Placement, Reason, SessionEffect, SqlMode, Statement, StatementKey,
    Verb,
};
pub use text::{explained_route, hint_text, mentions_table};
pub use tree::{Work, parsing_work};
