//! What a client has set and holds, as a function of its statements and the servers' answers.
//!
//! It has no socket and no clock, and chooses no server. A [`Session`] consists of [`SessionState`], which is repeated on every connection, and
//! [`Binding`], which is not repeated and binds the session to a server. [`ConnectionState`] is the state that one connection has.

mod binding;
mod commit;
mod connection;
mod grammar;
mod outcome;
mod password;
mod prepared;
mod session;
mod settings;
mod statements;
mod transaction;

pub use binding::{Beginning, Binding, Counts, Loss};
pub use commit::{is_refused_as_a_whole, only_rolls_back};
pub use connection::{CaughtUp, ConnectionState, Distance};
pub use grammar::{Detour, Grammar};
pub use outcome::Outcome;
pub use prepared::PreparedText;
pub use session::{RequestKind, Session, Settled, Traces};
pub use settings::{LoginDetails, SessionState};
pub use statements::{ClientStatements, Execution, Prepared, Reading};
pub use transaction::{OpenTransaction, TransactionKind};
